// SPDX-License-Identifier: Apache-2.0
//
// Two walks side by side, both parents first and brothers by name: the smaller path is the one that
// the other tree lacks.
#include "cli/snap_compare.h"

#include <inttypes.h>
#include <stdlib.h>

#include "tree/acl.h"

struct side {
    struct snap_walk w;
    bool more;
};

static void step(struct side *s)
{
    s->more = snap_walk_next(&s->w);
}

// The order of the walks: "/a/b" comes before "/a-b" because it is below "/a".
static int compare_paths(struct slice a, struct slice b)
{
    a = a.n == 1 ? slice_of(a.p, 0) : a; // the root
    b = b.n == 1 ? slice_of(b.p, 0) : b;
    for (size_t i = 0; i < a.n && i < b.n; i++) {
        if (a.p[i] != b.p[i]) {
            int x = a.p[i] == '/' ? -1 : a.p[i];
            int y = b.p[i] == '/' ? -1 : b.p[i];
            return x - y;
        }
    }
    return (a.n > b.n) - (a.n < b.n);
}

static bool is_below(struct slice path, struct slice top)
{
    return slice_has_prefix(path, top) && (top.n == 1 || (path.n > top.n && path.p[top.n] == '/'));
}

static void tell(struct snap_compare *c, const struct snap_change *change)
{
    uint64_t bytes = (uint64_t)(change->bytes < 0 ? -change->bytes : change->bytes);
    bool all = c->nodes_min == 0 && c->bytes_min == 0;
    bool by_nodes = c->nodes_min && change->kind != SNAP_CHANGED && change->nodes >= c->nodes_min;
    if (all || by_nodes || (c->bytes_min && bytes >= c->bytes_min)) {
        c->each(c->ctx, change);
    }
}

// A node that only this side has, with all below it.
static void take_subtree(struct snap_compare *c, struct side *s, struct snap_change *change,
                         enum snap_change_kind kind)
{
    change->kind = kind;
    change->nodes = 0;
    change->bytes = 0;
    buf_clear(&change->why);
    buf_clear(&change->path);
    buf_put_slice(&change->path, buf_slice(&s->w.path));
    do {
        change->nodes++;
        change->bytes += (int64_t)tree_node_data(s->w.file->tree, s->w.node).n;
        step(s);
    } while (s->more && is_below(buf_slice(&s->w.path), buf_slice(&change->path)));
    if (kind == SNAP_DELETED) {
        change->bytes = -change->bytes;
        c->deleted += change->nodes;
    } else {
        c->created += change->nodes;
    }
    c->bytes += change->bytes;
    tell(c, change);
}

// ---- the same path in both ----------------------------------------------------------------------

static bool same_acl(const struct tree *a, const struct data_node *x, const struct tree *b,
                     const struct data_node *y)
{
    if ((x->acl == ACL_ID_OPEN) != (y->acl == ACL_ID_OPEN)) {
        return false;
    }
    const struct acl_vec *p = acl_table_list(tree_acls(a), (int32_t)x->acl);
    const struct acl_vec *q = acl_table_list(tree_acls(b), (int32_t)y->acl);
    if (!p || !q) {
        return p == q;
    }
    bool same = p->n == q->n;
    for (int32_t i = 0; same && i < p->n; i++) {
        same = p->v[i].perms == q->v[i].perms && slice_eq(p->v[i].id.scheme, q->v[i].id.scheme) &&
               slice_eq(p->v[i].id.id, q->v[i].id.id);
    }
    return same;
}

static void differ(struct buf *why, const char *what, int64_t a, int64_t b)
{
    if (a != b) {
        buf_fmt(why, "%s%s %" PRId64 " -> %" PRId64, why->n ? ", " : "", what, a, b);
    }
}

static void note(struct buf *why, bool is, const char *what)
{
    if (is) {
        buf_fmt(why, "%s%s", why->n ? ", " : "", what);
    }
}

static void compare_node(struct snap_compare *c, const struct side *a, const struct side *b,
                         struct snap_change *change)
{
    const struct tree *t = c->a->tree, *u = c->b->tree;
    struct data_node x, y;
    tree_node_stored(t, a->w.node, &x);
    tree_node_stored(u, b->w.node, &y);
    struct buf *why = &change->why;
    buf_clear(why);
    note(why, x.czxid != y.czxid, "deleted and created again");
    if (!x.data.p != !y.data.p) {
        note(why, true, x.data.p ? "data is null now" : "data is not null any more");
    } else if (!slice_eq(x.data, y.data)) {
        buf_fmt(why, "%sdata %zu -> %zu bytes", why->n ? ", " : "", x.data.n, y.data.n);
    }
    differ(why, "version", x.version, y.version);
    note(why, !same_acl(t, &x, u, &y), "ACL");
    differ(why, "ACL version", x.aversion, y.aversion);
    note(why, x.ephemeral_owner != y.ephemeral_owner, "owner");
    if (why->n == 0) {
        return;
    }
    change->kind = SNAP_CHANGED;
    change->nodes = 1;
    change->bytes = (int64_t)y.data.n - (int64_t)x.data.n;
    buf_clear(&change->path);
    buf_put_slice(&change->path, buf_slice(&b->w.path));
    c->changed++;
    c->bytes += change->bytes;
    tell(c, change);
}

static uint64_t sessions_only_in(const struct snap_file *f, const struct snap_file *other)
{
    const struct session_table *theirs = tree_sessions_const(other->tree);
    size_t cursor = 0;
    int64_t id;
    int32_t timeout_ms;
    uint64_t n = 0;
    while (session_next(tree_sessions_const(f->tree), &cursor, &id, &timeout_ms)) {
        n += !session_get(theirs, id, NULL);
    }
    return n;
}

bool snap_compare_run(struct snap_compare *c)
{
    c->created = c->deleted = c->changed = 0;
    c->bytes = 0;
    struct side a, b;
    struct snap_change change = {0};
    snap_walk_init(&a.w, c->a);
    snap_walk_init(&b.w, c->b);
    step(&a);
    step(&b);
    while (a.more || b.more) {
        int order = !a.more   ? 1
                    : !b.more ? -1
                              : compare_paths(buf_slice(&a.w.path), buf_slice(&b.w.path));
        if (order < 0) {
            take_subtree(c, &a, &change, SNAP_DELETED);
        } else if (order > 0) {
            take_subtree(c, &b, &change, SNAP_CREATED);
        } else {
            compare_node(c, &a, &b, &change);
            step(&a);
            step(&b);
        }
    }
    snap_walk_fini(&a.w);
    snap_walk_fini(&b.w);
    buf_fini(&change.path);
    buf_fini(&change.why);
    c->sessions_new = sessions_only_in(c->b, c->a);
    c->sessions_gone = sessions_only_in(c->a, c->b);
    return c->created + c->deleted + c->changed + c->sessions_new + c->sessions_gone == 0;
}
