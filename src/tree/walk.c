// SPDX-License-Identifier: Apache-2.0
//
// A node carries one bit: equal to walk.mark it is written, or younger than the walk. The bit's
// meaning flips at each begin, so no pass over the nodes is needed; only a cancelled walk makes
// one.
#include "tree/walk.h"

#include "base/endian.h"
#include "tree/node.h"
#include "wire/jute.h"

enum { STAT_LEN = 8 * 7 + 4 * 3 };

bool tree_walk_active(const struct tree *t)
{
    return t->walk.active || t->walk.out.n > 0;
}

static void put_sessions(const struct tree *t, struct buf *b)
{
    size_t cursor = 0;
    int64_t id;
    int32_t timeout_ms;
    buf_put_i32(b, (int32_t)session_count(t->sessions));
    while (session_next(t->sessions, &cursor, &id, &timeout_ms)) {
        buf_put_i64(b, id);
        buf_put_i32(b, timeout_ms);
    }
}

static void put_acls(const struct tree *t, struct buf *b)
{
    buf_put_i32(b, acl_table_count(t->acls));
    for (int32_t id = acl_table_next(t->acls, 0); id; id = acl_table_next(t->acls, id)) {
        const struct acl_vec *v = acl_table_list(t->acls, id);
        buf_put_i64(b, id);
        buf_put_i32(b, v->n);
        for (int32_t i = 0; i < v->n; i++) {
            buf_put_i32(b, v->v[i].perms);
            jute_put_bytes(b, v->v[i].id.scheme);
            jute_put_bytes(b, v->v[i].id.id);
        }
    }
}

// The path of a parent, kept while its children follow each other. A handle that is used again
// belongs to a younger node, and so do its children: the walk never asks for those.
static struct slice parent_path(struct tree *t, uint32_t parent)
{
    struct walk *w = &t->walk;
    if (w->parent != parent) {
        buf_clear(&w->path);
        if (parent != t->root) {
            tree_path(t, parent, &w->path);
        }
        w->parent = parent;
    }
    return buf_slice(&w->path);
}

static void put_node(struct tree *t, uint32_t h)
{
    struct walk *w = &t->walk;
    const struct node *n = node_at(t, h);
    struct slice up = n->parent ? parent_path(t, n->parent) : slice_of("", 0);
    struct slice name = node_name(n);
    buf_put_i32(&w->out, (int32_t)(n->parent ? up.n + 1 + name.n : 0));
    if (n->parent) {
        buf_put_slice(&w->out, up);
        buf_put_u8(&w->out, '/');
        buf_put_slice(&w->out, name);
    }
    jute_put_bytes(&w->out, node_data(n));
    uint8_t *p = buf_reserve(&w->out, STAT_LEN);
    be64_put(p, (uint64_t)(int64_t)n->acl);
    be64_put(p + 8, (uint64_t)n->czxid);
    be64_put(p + 16, (uint64_t)n->mzxid);
    be64_put(p + 24, (uint64_t)n->ctime);
    be64_put(p + 32, (uint64_t)n->mtime);
    be32_put(p + 40, (uint32_t)n->version);
    be32_put(p + 44, (uint32_t)n->cversion);
    be32_put(p + 48, (uint32_t)n->aversion);
    be64_put(p + 52, (uint64_t)node_owner(t, h));
    be64_put(p + 60, (uint64_t)n->pzxid);
}

void walk_write(struct tree *t, uint32_t h)
{
    struct walk *w = &t->walk;
    size_t n = 0;
    for (; h && node_at(t, h)->walked != w->mark; h = node_at(t, h)->parent) {
        mem_grow((void **)&w->stack, &w->stack_cap, n + 1, sizeof(*w->stack));
        w->stack[n++] = h;
    }
    while (n > 0) {
        put_node(t, w->stack[--n]);
        node_at(t, w->stack[n])->walked = w->mark;
    }
}

void tree_walk_begin(struct tree *t, struct walk_info *info)
{
    struct walk *w = &t->walk;
    must(!tree_walk_active(t));
    must(t->root != 0);
    w->active = true;
    w->mark = !w->mark;
    w->cursor = 1;
    w->end = t->nodes.next;
    w->parent = 0;
    put_sessions(t, &w->out);
    put_acls(t, &w->out);
    *info = (struct walk_info){t->zxid, t->digest, t->nodes.live};
}

bool tree_walk_slice(struct tree *t, size_t nodes_max)
{
    struct walk *w = &t->walk;
    if (!w->active) {
        return true;
    }
    // A slot that holds nothing to write counts as well: it was looked at.
    for (; nodes_max > 0 && w->cursor < w->end; nodes_max--, w->cursor++) {
        const struct node *n = node_at(t, w->cursor);
        if (n->block && n->walked != w->mark) {
            walk_write(t, w->cursor);
        }
    }
    if (w->cursor < w->end) {
        return false;
    }
    jute_put_bytes(&w->out, SLICE_LIT("/"));
    w->active = false;
    return true;
}

void tree_walk_take(struct tree *t, struct buf *b)
{
    must(b->n == 0);
    struct buf out = t->walk.out;
    t->walk.out = *b;
    *b = out;
}

size_t tree_walk_waiting(const struct tree *t)
{
    return t->walk.out.n;
}

void tree_walk_cancel(struct tree *t)
{
    struct walk *w = &t->walk;
    for (uint32_t h = 1; w->active && h < t->nodes.next; h++) {
        if (node_at(t, h)->block) {
            node_at(t, h)->walked = w->mark;
        }
    }
    walk_fini(w);
}

// Leaves the mark, which the nodes carry.
void walk_fini(struct walk *w)
{
    buf_fini(&w->path);
    buf_fini(&w->out);
    mem_free(w->stack);
    *w = (struct walk){.mark = w->mark};
}
