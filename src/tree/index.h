// SPDX-License-Identifier: Apache-2.0
//
// struct index: a hash table over the items of one slab, grown by linear hashing: each insert
// beyond the load limit splits one bucket, so no insert ever waits for a whole rehash. A bucket is
// a 32-bit handle; items carry their hash and the next handle of their chain (struct index_link),
// so a chain is walked without looking at keys of other hashes. Buckets live in segments: growing
// copies nothing.
//
// The caller compares keys: it walks with index_first() and index_next(), both skip other hashes.
// Never shrinks: a tree that was large once may be so again.
#pragma once

#include "base/slab.h"

struct index_link {
    uint32_t hash, next;
};

enum { INDEX_SEG_SHIFT = 10, INDEX_SEG = 1 << INDEX_SEG_SHIFT };

struct index {
    const struct slab *slab;
    uint32_t link_off; // of struct index_link in an item
    uint32_t buckets;  // in use, grows by one
    uint32_t mask;     // of the round in progress: 2^k - 1 >= buckets - 1
    uint32_t count;
    uint32_t **segs;
    size_t segs_n, segs_cap;
};

void index_init(struct index *x, const struct slab *slab, size_t link_off);
void index_fini(struct index *x);
void index_put(struct index *x, uint32_t item, uint32_t hash);
void index_del(struct index *x, uint32_t item);
// Twice the buckets at once, for filling a new table: takes the items in the order of the slab,
// which is several times cheaper than as many splits. The items must be the first `count` of the
// slab.
void index_double(struct index *x);
void index_check(const struct index *x); // every item in its bucket, the count right

static inline struct index_link *index_link_at(const struct index *x, uint32_t item)
{
    return (struct index_link *)((uint8_t *)slab_at(x->slab, item) + x->link_off);
}

static inline uint32_t index_bucket(const struct index *x, uint32_t hash)
{
    uint32_t b = hash & x->mask;
    return b < x->buckets ? b : b & (x->mask >> 1);
}

static inline uint32_t *index_head(const struct index *x, uint32_t bucket)
{
    return &x->segs[bucket >> INDEX_SEG_SHIFT][bucket & (INDEX_SEG - 1)];
}

// Two steps towards a later look-up: the bucket, and then what the bucket points to.
static inline void index_prefetch(const struct index *x, uint32_t hash)
{
    __builtin_prefetch(index_head(x, index_bucket(x, hash)));
}

static inline void index_prefetch_item(const struct index *x, uint32_t hash)
{
    uint32_t item = *index_head(x, index_bucket(x, hash));
    if (item) {
        __builtin_prefetch(index_link_at(x, item));
    }
}

// The next item with this hash in a chain, `item` itself included; 0 at the end.
static inline uint32_t index_skip(const struct index *x, uint32_t item, uint32_t hash)
{
    while (item) {
        const struct index_link *l = index_link_at(x, item);
        if (l->hash == hash) {
            break;
        }
        item = l->next;
    }
    return item;
}

static inline uint32_t index_first(const struct index *x, uint32_t hash)
{
    return index_skip(x, *index_head(x, index_bucket(x, hash)), hash);
}

static inline uint32_t index_next(const struct index *x, uint32_t item)
{
    const struct index_link *l = index_link_at(x, item);
    return index_skip(x, l->next, l->hash);
}
