// SPDX-License-Identifier: Apache-2.0
//
// What this program is called. Clients parse the number in front (kazoo asks for the features of a
// server by it), so that is the protocol's version; ours follows.
#pragma once

#define REEVE_VERSION      "0.1.0"
#define REEVE_ZK_VERSION   "3.9.5-reeve-" REEVE_VERSION
#define REEVE_VERSION_LINE REEVE_ZK_VERSION ", built on 2026-11-21 00:00 UTC"
