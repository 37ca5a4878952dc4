// SPDX-License-Identifier: Apache-2.0
//
// What of a reeve_discovery the asking for instances once (discovery_find.c) needs.
#pragma once

#include "reeve/discovery.h"

struct reeve *discovery_zk(const struct reeve_discovery *d);
const char *discovery_base(const struct reeve_discovery *d);
