// SPDX-License-Identifier: Apache-2.0
//
// What the naming recipes know about a reeve_instance beyond the public header.
#pragma once

#include "reeve/discovery.h"

enum { INSTANCE_BYTES_MAX = 4 << 20 }; // of JSON; more is no instance

// Whether two instances were read from the same bytes.
bool instance_same(const struct reeve_instance *a, const struct reeve_instance *b);
// Milliseconds since 1970, UTC.
int64_t instance_wall_ms(void);
// A list with room for n, empty. NO_MEMORY.
enum reeve_error instances_init(struct reeve_instances *all, const struct reeve *zk, size_t n);
