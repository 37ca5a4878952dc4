// SPDX-License-Identifier: Apache-2.0
//
// The invariants of a tree, recomputed from its nodes.
#include "tree/node.h"

struct sums {
    uint64_t digest;
    int64_t data_size;
    size_t nodes, owned;
};

static void check_children(const struct tree *t, uint32_t h)
{
    uint32_t n = 0, prev = 0;
    for (uint32_t c = node_at(t, h)->first_child; c; c = node_at(t, c)->next) {
        must(node_at(t, c)->parent == h);
        must(node_at(t, c)->prev == prev);
        must(node_at(t, c)->block != NULL);
        prev = c;
        n++;
    }
    must(n == node_at(t, h)->children);
}

static void check_node(const struct tree *t, uint32_t h, struct sums *s)
{
    const struct node *n = node_at(t, h);
    struct buf path = {0};
    tree_path(t, h, &path);
    must(tree_find(t, buf_slice(&path)) == h);
    must((n->parent == 0) == (h == t->root));
    struct slice stored = path_stored(buf_slice(&path));
    must(n->hidden == slice_has_prefix(stored, SLICE_LIT("/zookeeper/")));
    int64_t owner = node_owner(t, h);
    must(n->kind == owner_kind(&t->cfg, owner));
    check_children(t, h);
    if (t->cfg.digest_enabled && !n->hidden) {
        must(n->crc == digest_crc(stored, node_data(n)));
        struct digest_stat st = {n->czxid,   n->mzxid,    n->pzxid,    n->ctime, n->mtime,
                                 n->version, n->cversion, n->aversion, owner};
        s->digest += digest_node(n->crc, &st);
    }
    s->data_size += (int64_t)(stored.n + node_data_len(n));
    s->nodes++;
    s->owned += n->kind != NODE_PLAIN;
    must(t->walk.active || n->walked == t->walk.mark);
    buf_fini(&path);
}

void tree_check(const struct tree *t)
{
    struct sums s = {.data_size = 1};
    must(t->root != 0);
    for (uint32_t h = 1; h < t->nodes.next; h++) {
        if (node_at(t, h)->block) {
            check_node(t, h, &s);
        }
    }
    must(s.digest == t->digest);
    must(s.data_size == t->data_size);
    must(s.nodes == t->nodes.live);
    must(s.owned == t->owners.items.live);
    index_check(&t->names);
    owners_check(t);
    quota_check(t);
}
