// SPDX-License-Identifier: Apache-2.0
//
// Who owns a node, for the few that are not plain: ephemerals by session, containers, TTL nodes.
// Each has an item found by its node and linked into the list of its session or kind. Apache's
// EphemeralType says what a stored ephemeralOwner means.
#include "tree/node.h"

enum { KEY_CONTAINER = 0, KEY_TTL = -1 };

#define TTL_TOP     0xff00000000000000ull
#define TTL_FEATURE 0x00ffff0000000000ull

enum node_kind owner_kind(const struct tree_config *cfg, int64_t owner)
{
    if (owner == 0) {
        return NODE_PLAIN;
    }
    if (owner == OWNER_CONTAINER) {
        return NODE_CONTAINER;
    }
    if (cfg->extended_types &&
        (((uint64_t)owner & TTL_TOP) == TTL_TOP || (cfg->emulate_353_ttl && owner < 0))) {
        return NODE_TTL;
    }
    return NODE_EPHEMERAL;
}

bool owner_is_known(const struct tree_config *cfg, int64_t owner)
{
    return owner_kind(cfg, owner) != NODE_TTL || cfg->emulate_353_ttl ||
           ((uint64_t)owner & TTL_FEATURE) == 0;
}

int64_t owner_ttl_ms(int64_t owner)
{
    return owner & OWNER_TTL_MAX;
}

void owners_init(struct owners *o, uint64_t seed)
{
    o->seed = seed;
    o->ephemerals = 0;
    slab_init(&o->items, sizeof(struct owner));
    slab_init(&o->lists, sizeof(struct owner_list));
    index_init(&o->by_node, &o->items, offsetof(struct owner, link));
    index_init(&o->by_key, &o->lists, offsetof(struct owner_list, link));
}

void owners_fini(struct owners *o)
{
    index_fini(&o->by_node);
    index_fini(&o->by_key);
    slab_fini(&o->items);
    slab_fini(&o->lists);
}

static struct owner *item_at(const struct owners *o, uint32_t h)
{
    return slab_at(&o->items, h);
}

static struct owner_list *list_at(const struct owners *o, uint32_t h)
{
    return slab_at(&o->lists, h);
}

static uint32_t hash_node(const struct owners *o, uint32_t node)
{
    return (uint32_t)hash_bytes(o->seed, slice_of(&node, sizeof(node)));
}

static uint32_t hash_key(const struct owners *o, int64_t key)
{
    return (uint32_t)hash_bytes(o->seed, slice_of(&key, sizeof(key)));
}

static uint32_t find_item(const struct owners *o, uint32_t node)
{
    uint32_t h = index_first(&o->by_node, hash_node(o, node));
    while (h && item_at(o, h)->node != node) {
        h = index_next(&o->by_node, h);
    }
    return h;
}

static uint32_t find_list(const struct owners *o, enum node_kind kind, int64_t key)
{
    uint32_t h = index_first(&o->by_key, hash_key(o, key));
    while (h && (list_at(o, h)->key != key || list_at(o, h)->kind != kind)) {
        h = index_next(&o->by_key, h);
    }
    return h;
}

static int64_t key_of(enum node_kind kind, int64_t value)
{
    return kind == NODE_EPHEMERAL ? value : kind == NODE_TTL ? KEY_TTL : KEY_CONTAINER;
}

void owners_put(struct owners *o, uint32_t node, enum node_kind kind, int64_t value)
{
    int64_t key = key_of(kind, value);
    uint32_t list = find_list(o, kind, key);
    if (!list) {
        list = slab_alloc(&o->lists);
        list_at(o, list)->key = key;
        list_at(o, list)->kind = kind;
        index_put(&o->by_key, list, hash_key(o, key));
    }
    uint32_t h = slab_alloc(&o->items);
    struct owner *it = item_at(o, h);
    struct owner_list *l = list_at(o, list);
    *it = (struct owner){.node = node, .list = list, .next = l->first, .value = value};
    if (l->first) {
        item_at(o, l->first)->prev = h;
    }
    l->first = h;
    l->count++;
    o->ephemerals += kind == NODE_EPHEMERAL;
    index_put(&o->by_node, h, hash_node(o, node));
}

void owners_del(struct owners *o, uint32_t node)
{
    uint32_t h = find_item(o, node);
    must(h != 0);
    struct owner *it = item_at(o, h);
    struct owner_list *l = list_at(o, it->list);
    uint32_t list = it->list;
    if (it->prev) {
        item_at(o, it->prev)->next = it->next;
    } else {
        l->first = it->next;
    }
    if (it->next) {
        item_at(o, it->next)->prev = it->prev;
    }
    o->ephemerals -= l->kind == NODE_EPHEMERAL;
    index_del(&o->by_node, h);
    slab_free(&o->items, h);
    if (--l->count == 0) {
        must(l->first == 0);
        index_del(&o->by_key, list);
        slab_free(&o->lists, list);
    }
}

int64_t owners_value(const struct owners *o, uint32_t node)
{
    uint32_t h = find_item(o, node);
    must(h != 0);
    return item_at(o, h)->value;
}

size_t tree_ephemeral_count(const struct tree *t)
{
    return t->owners.ephemerals;
}

bool tree_ephemeral_next(const struct tree *t, int64_t session, uint32_t *cursor, uint32_t *node)
{
    const struct owners *o = &t->owners;
    if (*cursor == 0) {
        uint32_t list = find_list(o, NODE_EPHEMERAL, session);
        *cursor = list ? list_at(o, list)->first : 0;
    } else {
        *cursor = item_at(o, *cursor)->next;
    }
    if (*cursor == 0) {
        return false;
    }
    *node = item_at(o, *cursor)->node;
    return true;
}

bool tree_ephemeral_owner_next(const struct tree *t, size_t *cursor, int64_t *session)
{
    const struct owners *o = &t->owners;
    while (++*cursor < o->lists.next) {
        const struct owner_list *l = list_at(o, (uint32_t)*cursor);
        if (l->first && l->kind == NODE_EPHEMERAL) {
            *session = l->key;
            return true;
        }
    }
    return false;
}

// ContainerManager.getCandidates. Differences are taken as unsigned: times come from outside.
static bool is_due(const struct node *n, const struct owner *it, enum node_kind kind,
                   int64_t wall_ms, int64_t never_used_ms)
{
    if (n->children) {
        return false;
    }
    int64_t age = wall_ms > n->mtime ? (int64_t)((uint64_t)wall_ms - (uint64_t)n->mtime) : 0;
    if (kind == NODE_TTL) {
        return age > owner_ttl_ms(it->value);
    }
    return n->cversion > 0 || (never_used_ms != 0 && n->cversion == 0 && age > never_used_ms);
}

static void reap_list(const struct tree *t, enum node_kind kind, int64_t wall_ms,
                      int64_t never_used_ms, int32_t max, struct arena *a, struct slice_vec *out)
{
    const struct owners *o = &t->owners;
    uint32_t list = find_list(o, kind, key_of(kind, 0));
    uint32_t h = list ? list_at(o, list)->first : 0;
    struct buf path = {0};
    for (; h && out->n < max; h = item_at(o, h)->next) {
        const struct owner *it = item_at(o, h);
        if (is_due(node_at(t, it->node), it, kind, wall_ms, never_used_ms)) {
            buf_clear(&path);
            tree_path(t, it->node, &path);
            out->v[out->n++] = arena_copy(a, buf_slice(&path));
        }
    }
    buf_fini(&path);
}

struct slice_vec tree_reapable(const struct tree *t, int64_t wall_ms, int64_t never_used_ms,
                               int32_t max, struct arena *a)
{
    size_t most = t->owners.items.live;
    most = most < (size_t)(max > 0 ? max : 0) ? most : (size_t)(max > 0 ? max : 0);
    struct slice_vec out = {arena_alloc(a, most * sizeof(*out.v)), 0};
    reap_list(t, NODE_CONTAINER, wall_ms, never_used_ms, (int32_t)most, a, &out);
    reap_list(t, NODE_TTL, wall_ms, never_used_ms, (int32_t)most, a, &out);
    return out;
}

void owners_check(const struct tree *t)
{
    const struct owners *o = &t->owners;
    size_t items = 0, ephemerals = 0;
    index_check(&o->by_node);
    index_check(&o->by_key);
    for (uint32_t list = 1; list < o->lists.next; list++) {
        const struct owner_list *l = list_at(o, list);
        uint32_t n = 0;
        for (uint32_t h = l->first, prev = 0; h; prev = h, h = item_at(o, h)->next) {
            const struct owner *it = item_at(o, h);
            must(it->prev == prev);
            must(it->list == list);
            must(node_at(t, it->node)->block != NULL);
            must(node_at(t, it->node)->kind == l->kind);
            must(owner_kind(&t->cfg, it->value) == l->kind);
            must(key_of(l->kind, it->value) == l->key);
            must(find_item(o, it->node) == h);
            n++;
        }
        must(l->first == 0 || n == l->count);
        items += n;
        ephemerals += l->kind == NODE_EPHEMERAL ? n : 0;
    }
    must(items == o->items.live);
    must(ephemerals == o->ephemerals);
}
