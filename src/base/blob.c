// SPDX-License-Identifier: Apache-2.0
#include "base/blob.h"

#include "base/mem.h"
#include "base/must.h"

struct blob *blob_new(struct slice s)
{
    must(s.n <= UINT32_MAX);
    struct blob *b = mem_alloc(sizeof(*b) + s.n);
    b->refs = 1;
    b->n = (uint32_t)s.n;
    if (s.n) {
        memcpy(b->bytes, s.p, s.n);
    }
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    must(b->refs > 0);
    must(b->refs < UINT32_MAX);
    b->refs++;
    return b;
}

void blob_unref(struct blob **b)
{
    if (!*b) {
        return;
    }
    must((*b)->refs > 0);
    if (--(*b)->refs == 0) {
        mem_free(*b);
    }
    *b = NULL;
}
