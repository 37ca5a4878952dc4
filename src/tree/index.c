// SPDX-License-Identifier: Apache-2.0
#include "tree/index.h"

#include <string.h>

#include "base/mem.h"

enum { BUCKETS_MIN = 16 };

void index_init(struct index *x, const struct slab *slab, size_t link_off)
{
    *x = (struct index){.slab = slab, .link_off = (uint32_t)link_off};
    x->buckets = BUCKETS_MIN;
    x->mask = BUCKETS_MIN - 1;
    mem_grow((void **)&x->segs, &x->segs_cap, 1, sizeof(*x->segs));
    x->segs[x->segs_n++] = mem_zalloc(INDEX_SEG * sizeof(uint32_t));
}

void index_fini(struct index *x)
{
    for (size_t i = 0; i < x->segs_n; i++) {
        mem_free(x->segs[i]);
    }
    mem_free(x->segs);
    *x = (struct index){0};
}

static void make_segs(struct index *x, uint32_t buckets)
{
    while ((size_t)x->segs_n << INDEX_SEG_SHIFT < buckets) {
        mem_grow((void **)&x->segs, &x->segs_cap, x->segs_n + 1, sizeof(*x->segs));
        x->segs[x->segs_n++] = mem_zalloc(INDEX_SEG * sizeof(uint32_t));
    }
}

void index_double(struct index *x)
{
    must(x->slab->free_head == 0);
    must(x->count < x->slab->next);
    must(x->buckets < UINT32_MAX / 4);
    for (size_t i = 0; i < x->segs_n; i++) {
        memset(x->segs[i], 0, INDEX_SEG * sizeof(uint32_t));
    }
    x->buckets = (x->mask + 1) * 2;
    x->mask = x->buckets - 1;
    make_segs(x, x->buckets);
    for (uint32_t item = 1; item <= x->count; item++) {
        struct index_link *l = index_link_at(x, item);
        uint32_t *head = index_head(x, index_bucket(x, l->hash));
        l->next = *head;
        *head = item;
    }
}

// One bucket more: the items of its lower half-brother whose next hash bit is set move there.
static void split(struct index *x)
{
    must(x->buckets < UINT32_MAX / 2);
    if (x->buckets == x->mask + 1) {
        x->mask = x->mask * 2 + 1;
    }
    make_segs(x, x->buckets + 1);
    uint32_t fresh = x->buckets++;
    uint32_t *from = index_head(x, fresh & (x->mask >> 1));
    uint32_t *to = index_head(x, fresh);
    while (*from) {
        uint32_t item = *from;
        struct index_link *l = index_link_at(x, item);
        if ((l->hash & x->mask) == fresh) {
            *from = l->next;
            l->next = 0;
            *to = item;
            to = &l->next;
        } else {
            from = &l->next;
        }
    }
}

void index_put(struct index *x, uint32_t item, uint32_t hash)
{
    if (x->count >= x->buckets) {
        split(x);
    }
    struct index_link *l = index_link_at(x, item);
    uint32_t *head = index_head(x, index_bucket(x, hash));
    l->hash = hash;
    l->next = *head;
    *head = item;
    x->count++;
}

void index_del(struct index *x, uint32_t item)
{
    const struct index_link *l = index_link_at(x, item);
    uint32_t *at = index_head(x, index_bucket(x, l->hash));
    while (*at != item) {
        must(*at != 0);
        at = &index_link_at(x, *at)->next;
    }
    *at = l->next;
    x->count--;
}

void index_check(const struct index *x)
{
    uint32_t n = 0;
    for (uint32_t b = 0; b < x->buckets; b++) {
        for (uint32_t i = *index_head(x, b); i; i = index_link_at(x, i)->next) {
            must(index_bucket(x, index_link_at(x, i)->hash) == b);
            n++;
        }
    }
    must(n == x->count);
    must(x->slab->live == n);
}
