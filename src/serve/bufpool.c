// SPDX-License-Identifier: Apache-2.0
#include "serve/bufpool.h"

#include "limits.h"

enum {
    ROOM_MIN = 2048,      // a few replies; grows by doubling with what a connection does
    ROOM_MAX = 128 * 1024 // larger ones come from rare large replies and would fill the pool
};

struct buf bufpool_take(struct bufpool *p)
{
    struct buf b = {0};
    if (p->n) {
        b = p->v[--p->n];
        p->bytes -= b.cap;
        return b;
    }
    buf_grow(&b, ROOM_MIN);
    return b;
}

void bufpool_give(struct bufpool *p, struct buf *b)
{
    if (b->cap < ROOM_MIN || b->cap > ROOM_MAX || p->bytes + b->cap > LIMIT_BUF_POOL_BYTES) {
        buf_fini(b);
        return;
    }
    mem_grow((void **)&p->v, &p->cap, p->n + 1, sizeof(*p->v));
    b->n = 0;
    p->bytes += b->cap;
    p->v[p->n++] = *b;
    *b = (struct buf){0};
}

void bufpool_fini(struct bufpool *p)
{
    for (size_t i = 0; i < p->n; i++) {
        buf_fini(&p->v[i]);
    }
    mem_free(p->v);
    *p = (struct bufpool){0};
}
