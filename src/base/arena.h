// SPDX-License-Identifier: Apache-2.0
//
// struct arena: memory that lives as long as one step or one request and goes in one drop.
// Zero-initialised is empty and valid. reset keeps the first chunk, so a steady state allocates
// nothing.
#pragma once

#include <stddef.h>

#include "base/slice.h"

struct arena_chunk;
struct arena {
    struct arena_chunk *head; // the chunk in use; older ones follow
    size_t used;              // bytes used in head
};

void *arena_alloc(struct arena *a, size_t n);             // aligned to 16, not zeroed
void *arena_zalloc(struct arena *a, size_t n);            // zeroed
struct slice arena_copy(struct arena *a, struct slice s); // null stays null
char *arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_reset(struct arena *a);
void arena_fini(struct arena *a);
