// SPDX-License-Identifier: Apache-2.0
//
// Asking for the instances below one path, once; and what of a reeve_discovery that needs.
#pragma once

#include "reeve/discovery.h"

struct reeve *discovery_zk(const struct reeve_discovery *d);
const char *discovery_base(const struct reeve_discovery *d);

// done comes exactly once if this is OK.
enum reeve_error find_start(struct reeve *zk, const char *path, reeve_instances_fn *done,
                            void *ctx);
