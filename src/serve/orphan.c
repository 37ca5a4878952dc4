// SPDX-License-Identifier: Apache-2.0
//
// A plain list: it holds only sessions with writes in flight, which throttling bounds, and drains
// as they commit.
#include "serve/orphan.h"

struct orphan {
    uint32_t next;
    int64_t session;
    struct order order;
};

static struct orphan *orphan_at(const struct orphans *o, uint32_t h)
{
    return slab_at(&o->slab, h);
}

void orphans_init(struct orphans *o)
{
    slab_init(&o->slab, sizeof(struct orphan));
    o->first = 0;
}

// The link that holds the session's handle, or the list's end.
static uint32_t *find(struct orphans *o, int64_t session)
{
    uint32_t *link = &o->first;
    while (*link && orphan_at(o, *link)->session != session) {
        link = &orphan_at(o, *link)->next;
    }
    return link;
}

static void drop(struct orphans *o, struct slab *items, uint32_t *link)
{
    uint32_t h = *link;
    order_clear(&orphan_at(o, h)->order, items);
    *link = orphan_at(o, h)->next;
    slab_free(&o->slab, h);
}

void orphan_forget_all(struct orphans *o, struct slab *items)
{
    while (o->first) {
        drop(o, items, &o->first);
    }
}

void orphans_fini(struct orphans *o, struct slab *items)
{
    orphan_forget_all(o, items);
    slab_fini(&o->slab);
}

void orphan_keep(struct orphans *o, struct slab *items, int64_t session, const struct order *from)
{
    if (!order_oldest_write(from, items)) {
        return;
    }
    uint32_t h = *find(o, session);
    if (!h) {
        h = slab_alloc(&o->slab);
        orphan_at(o, h)->session = session;
        *find(o, session) = h;
    }
    for (uint32_t at = from->head; at;) {
        struct order_item copy = *(struct order_item *)slab_at(items, at);
        if (copy.kind == ORDER_WRITE && !copy.answered) {
            order_push(&orphan_at(o, h)->order, items, &copy, SLICE_NULL);
        }
        at = copy.next;
    }
}

bool orphan_take(struct orphans *o, struct slab *items, int64_t session, int32_t cxid)
{
    uint32_t *link = o->first ? find(o, session) : &o->first;
    if (!*link) {
        return false;
    }
    struct order *order = &orphan_at(o, *link)->order;
    if (order_head(order, items)->xid != cxid) {
        return false;
    }
    order_pop(order, items);
    if (order->n == 0) {
        drop(o, items, link);
    }
    return true;
}

void orphan_forget(struct orphans *o, struct slab *items, int64_t session)
{
    uint32_t *link = find(o, session);
    if (*link) {
        drop(o, items, link);
    }
}
