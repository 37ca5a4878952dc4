// SPDX-License-Identifier: Apache-2.0
//
// What the four letter words tell of a node beyond what serve knows itself.
#pragma once

struct node;
struct serve_facts;

// Good until the next call.
struct serve_facts *status_facts(struct node *n);
