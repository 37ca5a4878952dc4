// SPDX-License-Identifier: Apache-2.0
#include "serve/order.h"

#include "base/mem.h"

static struct order_item *item_at(const struct slab *items, uint32_t h)
{
    return slab_at(items, h);
}

void order_slab_init(struct slab *items)
{
    slab_init(items, sizeof(struct order_item));
}

static void set_bytes(struct order_item *item, struct slice bytes)
{
    mem_free(item->bytes);
    item->bytes = NULL;
    item->bytes_n = (uint32_t)bytes.n;
    if (bytes.n) {
        item->bytes = mem_alloc(bytes.n);
        memcpy(item->bytes, bytes.p, bytes.n);
    }
}

struct order_item *order_push(struct order *o, struct slab *items, const struct order_item *item,
                              struct slice bytes)
{
    uint32_t h = slab_alloc(items);
    struct order_item *x = item_at(items, h);
    *x = *item;
    x->next = 0;
    x->bytes = NULL;
    set_bytes(x, bytes);
    if (o->tail) {
        item_at(items, o->tail)->next = h;
    } else {
        o->head = h;
    }
    o->tail = h;
    o->n++;
    o->reads += x->kind == ORDER_READ;
    o->counted += x->xid > 0;
    o->cost += x->cost;
    return x;
}

struct order_item *order_head(const struct order *o, const struct slab *items)
{
    return o->head ? item_at(items, o->head) : NULL;
}

bool order_is_ready(const struct order *o, const struct slab *items)
{
    const struct order_item *x = order_head(o, items);
    return x && (x->kind == ORDER_READ || x->answered);
}

void order_pop(struct order *o, struct slab *items)
{
    uint32_t h = o->head;
    struct order_item *x = item_at(items, h);
    o->head = x->next;
    if (!o->head) {
        o->tail = 0;
    }
    o->n--;
    o->reads -= x->kind == ORDER_READ;
    o->counted -= x->xid > 0;
    o->cost -= x->cost;
    mem_free(x->bytes);
    slab_free(items, h);
}

void order_clear(struct order *o, struct slab *items)
{
    while (o->head) {
        order_pop(o, items);
    }
}

struct order_item *order_oldest_write(const struct order *o, const struct slab *items)
{
    for (uint32_t h = o->head; h; h = item_at(items, h)->next) {
        struct order_item *x = item_at(items, h);
        if (x->kind == ORDER_WRITE && !x->answered) {
            return x;
        }
    }
    return NULL;
}

struct order_item *order_find_write(const struct order *o, const struct slab *items, int32_t xid,
                                    int32_t op)
{
    for (uint32_t h = o->head; h; h = item_at(items, h)->next) {
        struct order_item *x = item_at(items, h);
        if (x->kind == ORDER_WRITE && !x->answered && x->xid == xid && x->op == op) {
            return x;
        }
    }
    return NULL;
}

struct order_item *order_find_sync(const struct order *o, const struct slab *items, uint32_t tag)
{
    for (uint32_t h = o->head; h; h = item_at(items, h)->next) {
        struct order_item *x = item_at(items, h);
        if (x->kind == ORDER_SYNC && !x->answered && x->tag == tag) {
            return x;
        }
    }
    return NULL;
}

void order_answer(struct order_item *item, struct slice reply, bool close_after)
{
    must(!item->answered);
    must(item->kind != ORDER_READ);
    item->answered = true;
    item->close_after = close_after;
    set_bytes(item, reply);
}

bool order_ends(const struct order *o, const struct slab *items)
{
    const struct order_item *x = o->tail ? item_at(items, o->tail) : NULL;
    return x && x->answered && x->close_after;
}

void order_check(const struct order *o, const struct slab *items)
{
    uint32_t n = 0;
    uint32_t reads = 0;
    uint32_t counted = 0;
    size_t cost = 0;
    uint32_t last = 0;
    for (uint32_t h = o->head; h; h = item_at(items, h)->next) {
        const struct order_item *x = item_at(items, h);
        n++;
        reads += x->kind == ORDER_READ;
        counted += x->xid > 0;
        cost += x->cost;
        must(!x->answered || x->kind != ORDER_READ);
        must((x->bytes == NULL) == (x->bytes_n == 0));
        last = h;
    }
    must(n == o->n);
    must(reads == o->reads);
    must(counted == o->counted);
    must(cost == o->cost);
    must(last == o->tail);
}
