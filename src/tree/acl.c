// SPDX-License-Identifier: Apache-2.0
//
// The table of distinct lists. A list is one malloc'd block (the entries, then their texts) behind
// an item of a slab; two indexes find it by id and by content. Items never move, so a pointer to a
// list holds as long as somebody has a reference.
#include "tree/acl.h"

#include "base/mem.h"
#include "tree/index.h"

struct entry {
    struct index_link by_id, by_list;
    int32_t id; // 0 in a freed item
    uint32_t refs;
    struct acl_vec list;
};

struct acl_table {
    uint64_t seed;
    int32_t id_last; // highest given out
    struct slab slab;
    struct index by_id, by_list;
};

static const struct acl open_acl = {
    PERM_ALL,
    {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}},
};
static const struct acl_vec open_list = {(struct acl *)&open_acl, 1};

static struct entry *at(const struct acl_table *t, uint32_t h)
{
    return slab_at(&t->slab, h);
}

static uint32_t hash_id(int32_t id)
{
    return (uint32_t)id * 2654435761u;
}

static uint32_t hash_list(const struct acl_table *t, const struct acl_vec *v)
{
    uint64_t h = t->seed + (uint64_t)v->n;
    for (int32_t i = 0; i < v->n; i++) {
        h = hash_bytes(h + (uint32_t)v->v[i].perms, v->v[i].id.scheme);
        h = hash_bytes(h, v->v[i].id.id);
    }
    return (uint32_t)h;
}

static bool list_eq(const struct acl_vec *a, const struct acl_vec *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (int32_t i = 0; i < a->n; i++) {
        if (a->v[i].perms != b->v[i].perms || !slice_eq(a->v[i].id.scheme, b->v[i].id.scheme) ||
            !slice_eq(a->v[i].id.id, b->v[i].id.id)) {
            return false;
        }
    }
    return true;
}

static struct slice copy_to(uint8_t **p, struct slice s)
{
    if (!s.p) {
        return s;
    }
    memcpy(*p, s.p, s.n);
    struct slice out = slice_of(*p, s.n);
    *p += s.n;
    return out;
}

static struct acl_vec copy_list(const struct acl_vec *v)
{
    size_t n = v->n > 0 ? (size_t)v->n : 0;
    size_t bytes = n * sizeof(struct acl);
    for (size_t i = 0; i < n; i++) {
        bytes += v->v[i].id.scheme.n + v->v[i].id.id.n;
    }
    struct acl *list = mem_alloc(bytes);
    uint8_t *text = (uint8_t *)(list + n);
    for (size_t i = 0; i < n; i++) {
        list[i].perms = v->v[i].perms;
        list[i].id.scheme = copy_to(&text, v->v[i].id.scheme);
        list[i].id.id = copy_to(&text, v->v[i].id.id);
    }
    return (struct acl_vec){list, v->n};
}

struct acl_table *acl_table_new(uint64_t seed)
{
    struct acl_table *t = mem_zalloc(sizeof(*t));
    t->seed = seed;
    slab_init(&t->slab, sizeof(struct entry));
    index_init(&t->by_id, &t->slab, offsetof(struct entry, by_id));
    index_init(&t->by_list, &t->slab, offsetof(struct entry, by_list));
    return t;
}

void acl_table_free(struct acl_table **t)
{
    if (!*t) {
        return;
    }
    for (uint32_t h = 1; h < (*t)->slab.next; h++) {
        if (at(*t, h)->id) {
            mem_free(at(*t, h)->list.v);
        }
    }
    index_fini(&(*t)->by_id);
    index_fini(&(*t)->by_list);
    slab_fini(&(*t)->slab);
    mem_free(*t);
    *t = NULL;
}

static uint32_t find_id(const struct acl_table *t, int32_t id)
{
    uint32_t h = index_first(&t->by_id, hash_id(id));
    while (h && at(t, h)->id != id) {
        h = index_next(&t->by_id, h);
    }
    return h;
}

static uint32_t find_list(const struct acl_table *t, const struct acl_vec *v, uint32_t hash)
{
    uint32_t h = index_first(&t->by_list, hash);
    while (h && !list_eq(&at(t, h)->list, v)) {
        h = index_next(&t->by_list, h);
    }
    return h;
}

static uint32_t add(struct acl_table *t, int32_t id, const struct acl_vec *v, uint32_t hash)
{
    uint32_t h = slab_alloc(&t->slab);
    struct entry *e = at(t, h);
    e->id = id;
    e->list = copy_list(v);
    index_put(&t->by_id, h, hash_id(id));
    index_put(&t->by_list, h, hash);
    if (id > t->id_last) {
        t->id_last = id;
    }
    return h;
}

static void forget(struct acl_table *t, uint32_t h)
{
    index_del(&t->by_id, h);
    index_del(&t->by_list, h);
    mem_free(at(t, h)->list.v);
    at(t, h)->id = 0;
    slab_free(&t->slab, h);
}

// Ids rise; after the last one the search for a free one starts again at 1.
static int32_t free_id(const struct acl_table *t)
{
    if (t->id_last < INT32_MAX) {
        return t->id_last + 1;
    }
    int32_t id = 1;
    while (find_id(t, id)) {
        must(id < INT32_MAX);
        id++;
    }
    return id;
}

int32_t acl_table_get(struct acl_table *t, const struct acl_vec *v)
{
    uint32_t hash = hash_list(t, v);
    uint32_t h = find_list(t, v, hash);
    if (!h) {
        h = add(t, free_id(t), v, hash);
    }
    at(t, h)->refs++;
    return at(t, h)->id;
}

void acl_table_ref(struct acl_table *t, int32_t id)
{
    uint32_t h = id > 0 ? find_id(t, id) : 0;
    if (h) {
        at(t, h)->refs++;
    }
}

void acl_table_unref(struct acl_table *t, int32_t id)
{
    uint32_t h = id > 0 ? find_id(t, id) : 0;
    if (!h) {
        return;
    }
    must(at(t, h)->refs > 0);
    if (--at(t, h)->refs == 0) {
        forget(t, h);
    }
}

const struct acl_vec *acl_table_list(const struct acl_table *t, int32_t id)
{
    if (id == ACL_ID_OPEN) {
        return &open_list;
    }
    uint32_t h = find_id(t, id);
    return h ? &at(t, h)->list : NULL;
}

void acl_table_define(struct acl_table *t, int32_t id, const struct acl_vec *v)
{
    must(id > 0);
    uint32_t h = find_id(t, id);
    if (h) {
        forget(t, h);
    }
    add(t, id, v, hash_list(t, v));
}

void acl_table_purge(struct acl_table *t)
{
    for (uint32_t h = 1; h < t->slab.next; h++) {
        if (at(t, h)->id && at(t, h)->refs == 0) {
            forget(t, h);
        }
    }
}

int32_t acl_table_count(const struct acl_table *t)
{
    return (int32_t)t->slab.live;
}

// Ids are dense as a rule, so the next one is tried for directly before all are looked through.
int32_t acl_table_next(const struct acl_table *t, int32_t after)
{
    enum { TRIES = 64 };
    for (int32_t id = after, n = 0; id < t->id_last && n < TRIES; n++) {
        if (find_id(t, ++id)) {
            return id;
        }
    }
    int32_t best = 0;
    for (uint32_t h = 1; h < t->slab.next; h++) {
        int32_t id = at(t, h)->id;
        if (id > after && (!best || id < best)) {
            best = id;
        }
    }
    return best;
}
