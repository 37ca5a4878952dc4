// SPDX-License-Identifier: Apache-2.0
#include "tree/node.h"

enum { CHILDREN_MAX = (1 << 28) - 1 };

static uint32_t hash_name(const struct tree *t, uint32_t parent, struct slice name)
{
    return (uint32_t)hash_bytes(t->cfg.seed ^ (uint64_t)parent * 0x9e3779b97f4a7c15u, name);
}

uint32_t node_child(const struct tree *t, uint32_t parent, struct slice name)
{
    uint32_t h = index_first(&t->names, hash_name(t, parent, name));
    while (h) {
        const struct node *n = node_at(t, h);
        if (n->parent == parent && n->block->name_len == name.n &&
            memcmp(n->block->bytes, name.p, name.n) == 0) {
            break;
        }
        h = index_next(&t->names, h);
    }
    return h;
}

int64_t node_owner(const struct tree *t, uint32_t h)
{
    return node_at(t, h)->kind == NODE_PLAIN ? 0 : owners_value(&t->owners, h);
}

size_t node_path_len(const struct tree *t, uint32_t h)
{
    size_t n = 0;
    for (; h != t->root; h = node_at(t, h)->parent) {
        n += 1 + node_at(t, h)->block->name_len;
    }
    return n;
}

uint32_t node_next_below(const struct tree *t, uint32_t top, uint32_t h)
{
    if (node_at(t, h)->first_child) {
        return node_at(t, h)->first_child;
    }
    while (h != top && !node_at(t, h)->next) {
        h = node_at(t, h)->parent;
    }
    return h == top ? 0 : node_at(t, h)->next;
}

static uint64_t node_digest(const struct tree *t, uint32_t h)
{
    const struct node *n = node_at(t, h);
    if (n->hidden || !t->cfg.digest_enabled) {
        return 0;
    }
    struct digest_stat s = {n->czxid,   n->mzxid,    n->pzxid,    n->ctime,        n->mtime,
                            n->version, n->cversion, n->aversion, node_owner(t, h)};
    return digest_node(n->crc, &s);
}

static struct block *block_new(struct slice name, struct slice data)
{
    struct block *b = mem_alloc(sizeof(*b) + name.n + data.n);
    b->name_len = (uint32_t)name.n;
    b->data_len = data.p ? (uint32_t)data.n : NODE_DATA_NULL;
    memcpy(b->bytes, name.p, name.n);
    if (data.n) {
        memcpy(b->bytes + name.n, data.p, data.n);
    }
    return b;
}

static void link_child(struct tree *t, uint32_t parent, uint32_t h)
{
    struct node *p = node_at(t, parent);
    struct node *n = node_at(t, h);
    must(p->children < CHILDREN_MAX);
    p->children++;
    n->next = p->first_child;
    if (p->first_child) {
        node_at(t, p->first_child)->prev = h;
    }
    p->first_child = h;
}

static void unlink_child(struct tree *t, uint32_t h)
{
    struct node *n = node_at(t, h);
    struct node *p = node_at(t, n->parent);
    must(p->children > 0);
    p->children--;
    if (n->prev) {
        node_at(t, n->prev)->next = n->next;
    } else {
        must(p->first_child == h);
        p->first_child = n->next;
    }
    if (n->next) {
        node_at(t, n->next)->prev = n->prev;
    }
}

// Below /zookeeper: its own children, and theirs.
static bool is_hidden(const struct tree *t, uint32_t parent)
{
    const struct node *p = node_at(t, parent);
    return p->hidden || (p->parent == t->root && slice_eq_str(node_name(p), "zookeeper"));
}

uint32_t node_create(struct tree *t, uint32_t parent, struct slice path, const struct node_init *in)
{
    struct slice stored = path_stored(path);
    size_t base = stored.n;
    while (base > 0 && stored.p[base - 1] != '/') {
        base--;
    }
    struct slice name = slice_skip(stored, base);
    must((name.n > 0) == (parent != 0));
    uint32_t h = slab_alloc(&t->nodes);
    struct node *n = node_at(t, h);
    n->parent = parent;
    n->block = block_new(name, in->data);
    n->hidden = parent ? is_hidden(t, parent) & 1u : 0;
    n->walked = t->walk.mark;
    n->acl = in->acl;
    n->version = in->version;
    n->cversion = in->cversion;
    n->aversion = in->aversion;
    n->czxid = in->czxid;
    n->mzxid = in->mzxid;
    n->pzxid = in->pzxid;
    n->ctime = in->ctime;
    n->mtime = in->mtime;
    enum node_kind kind = owner_kind(&t->cfg, in->owner);
    n->kind = kind & 3u;
    if (kind != NODE_PLAIN) {
        owners_put(&t->owners, h, kind, in->owner);
    }
    if (parent) {
        link_child(t, parent, h);
    } else {
        t->root = h;
    }
    if (in->unindexed) {
        n->link.hash = hash_name(t, parent, name);
    } else {
        index_put(&t->names, h, hash_name(t, parent, name));
    }
    t->data_size += (int64_t)(stored.n + in->data.n);
    if (t->cfg.digest_enabled && !n->hidden) {
        n->crc = digest_crc(stored, in->data);
        t->digest += node_digest(t, h);
    }
    return h;
}

bool node_index(struct tree *t, uint32_t h)
{
    struct node *n = node_at(t, h);
    for (uint32_t i = index_first(&t->names, n->link.hash); i; i = index_next(&t->names, i)) {
        const struct node *other = node_at(t, i);
        if (other->parent == n->parent && slice_eq(node_name(other), node_name(n))) {
            return false;
        }
    }
    index_put(&t->names, h, n->link.hash);
    return true;
}

static void drop_acl(struct tree *t, int32_t id)
{
    if (id <= 0) {
        return;
    }
    mem_grow((void **)&t->acl_dropped, &t->acl_dropped_cap, t->acl_dropped_n + 1,
             sizeof(*t->acl_dropped));
    t->acl_dropped[t->acl_dropped_n++] = id;
}

static void remove_leaf(struct tree *t, uint32_t h)
{
    struct node *n = node_at(t, h);
    must(n->first_child == 0 && n->children == 0);
    walk_touch(t, h);
    t->digest -= node_digest(t, h);
    t->data_size -= (int64_t)(node_path_len(t, h) + node_data_len(n));
    unlink_child(t, h);
    index_del(&t->names, h);
    if (n->kind != NODE_PLAIN) {
        owners_del(&t->owners, h);
    }
    drop_acl(t, n->acl);
    mem_free(n->block);
    n->block = NULL;
    slab_free(&t->nodes, h);
}

// A node with children goes only in the replay over a fuzzy snapshot; what belongs below a later
// node of the same name is made again by the later transactions.
void node_remove(struct tree *t, uint32_t h)
{
    must(h != t->root);
    for (;;) {
        uint32_t leaf = h;
        while (node_at(t, leaf)->first_child) {
            leaf = node_at(t, leaf)->first_child;
        }
        remove_leaf(t, leaf);
        if (leaf == h) {
            return;
        }
    }
}

struct node *node_change_begin(struct tree *t, uint32_t h)
{
    walk_touch(t, h);
    t->digest -= node_digest(t, h);
    return node_at(t, h);
}

void node_change_end(struct tree *t, uint32_t h)
{
    t->digest += node_digest(t, h);
}

void node_put_data(struct tree *t, uint32_t h, struct slice path, struct slice data)
{
    struct node *n = node_at(t, h);
    t->data_size += (int64_t)data.n - (int64_t)node_data_len(n);
    if (data.n != node_data_len(n)) {
        n->block = mem_realloc(n->block, sizeof(*n->block) + n->block->name_len + data.n);
    }
    n->block->data_len = data.p ? (uint32_t)data.n : NODE_DATA_NULL;
    if (data.n) {
        memcpy(n->block->bytes + n->block->name_len, data.p, data.n);
    }
    if (t->cfg.digest_enabled && !n->hidden) {
        n->crc = digest_crc(path_stored(path), data);
    }
}

void node_put_acl(struct tree *t, uint32_t h, const struct acl_vec *v)
{
    int32_t id = acl_table_get(t->acls, v);
    struct node *n = node_at(t, h);
    drop_acl(t, n->acl);
    n->acl = id;
}
