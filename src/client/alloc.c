// SPDX-License-Identifier: Apache-2.0
#include "client/alloc.h"

#include <stdlib.h>
#include <string.h>

void *alloc_zero(const struct reeve_allocator *a, size_t n)
{
    void *p = alloc_get(a, NULL, n);
    return p ? memset(p, 0, n) : NULL;
}

static void *from_libc(void *ctx, void *p, size_t n)
{
    (void)ctx;
    if (n == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, n);
}

struct reeve_allocator alloc_of(const struct reeve_options *o)
{
    return o->allocator.alloc ? o->allocator : (struct reeve_allocator){from_libc, NULL};
}
