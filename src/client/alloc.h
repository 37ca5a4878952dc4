// SPDX-License-Identifier: Apache-2.0
//
// The library's memory: the allocator of reeve_options, by value wherever something must be freed
// later. NULL is an answer that every caller has a way to go on from.
#pragma once

#include "reeve/reeve.h"

static inline void *alloc_get(const struct reeve_allocator *a, void *p, size_t n)
{
    return a->alloc(a->ctx, p, n ? n : 1);
}

static inline void alloc_put(const struct reeve_allocator *a, void *p)
{
    if (p) {
        a->alloc(a->ctx, p, 0);
    }
}

void *alloc_zero(const struct reeve_allocator *a, size_t n); // n bytes of 0, or NULL
// The options' allocator, or malloc and free if it is not set.
struct reeve_allocator alloc_of(const struct reeve_options *o);
