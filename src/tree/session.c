// SPDX-License-Identifier: Apache-2.0
#include "tree/session.h"

#include "base/hash.h"
#include "base/mem.h"
#include "tree/index.h"

struct session {
    struct index_link link;
    bool live; // a freed item stays in the slab; iteration skips it
    int32_t timeout_ms;
    int64_t id;
};

struct session_table {
    uint64_t seed;
    struct slab slab;
    struct index index;
};

static uint32_t hash_id(const struct session_table *t, int64_t id)
{
    return (uint32_t)hash_bytes(t->seed, slice_of(&id, sizeof(id)));
}

static uint32_t find(const struct session_table *t, int64_t id)
{
    uint32_t h = index_first(&t->index, hash_id(t, id));
    while (h && ((struct session *)slab_at(&t->slab, h))->id != id) {
        h = index_next(&t->index, h);
    }
    return h;
}

struct session_table *session_table_new(uint64_t seed)
{
    struct session_table *t = mem_zalloc(sizeof(*t));
    t->seed = seed;
    slab_init(&t->slab, sizeof(struct session));
    index_init(&t->index, &t->slab, offsetof(struct session, link));
    return t;
}

void session_table_free(struct session_table **t)
{
    if (*t) {
        index_fini(&(*t)->index);
        slab_fini(&(*t)->slab);
        mem_free(*t);
        *t = NULL;
    }
}

void session_put(struct session_table *t, int64_t id, int32_t timeout_ms)
{
    uint32_t h = find(t, id);
    if (!h) {
        h = slab_alloc(&t->slab);
        index_put(&t->index, h, hash_id(t, id));
    }
    struct session *s = slab_at(&t->slab, h);
    s->live = true;
    s->id = id;
    s->timeout_ms = timeout_ms;
}

void session_del(struct session_table *t, int64_t id)
{
    uint32_t h = find(t, id);
    if (h) {
        index_del(&t->index, h);
        ((struct session *)slab_at(&t->slab, h))->live = false;
        slab_free(&t->slab, h);
    }
}

bool session_get(const struct session_table *t, int64_t id, int32_t *timeout_ms)
{
    uint32_t h = find(t, id);
    if (h && timeout_ms) {
        *timeout_ms = ((struct session *)slab_at(&t->slab, h))->timeout_ms;
    }
    return h != 0;
}

size_t session_count(const struct session_table *t)
{
    return t->slab.live;
}

bool session_next(const struct session_table *t, size_t *cursor, int64_t *id, int32_t *timeout_ms)
{
    while (++*cursor < t->slab.next) {
        const struct session *s = slab_at(&t->slab, (uint32_t)*cursor);
        if (s->live) {
            *id = s->id;
            *timeout_ms = s->timeout_ms;
            return true;
        }
    }
    return false;
}
