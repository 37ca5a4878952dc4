// SPDX-License-Identifier: Apache-2.0
//
// What clients ask: every operation over a small tree, so that they meet; half of the paths are of
// nodes that exist, versions are right, wrong or any, and some requests make no sense.
#include "sim/check_tree.h"
#include "sim/guest.h"
#include "sim/world.h"

enum { NODES_MANY = 120, MULTI_MAX = 5 };

static uint64_t below(struct client *c, uint64_t n)
{
    return world_below(c->w, n);
}

static const struct model *model(struct client *c)
{
    return c->w->check->model;
}

// A node that exists, outside the server's own.
static struct slice existing(struct client *c)
{
    const struct model *m = model(c);
    size_t at = (size_t)below(c, m->nodes_n);
    for (size_t i = 0; i < m->nodes_n; i++) {
        struct slice p = m->nodes[(at + i) % m->nodes_n]->path;
        bool theirs = slice_has_prefix(p, SLICE_LIT("/zookeeper")) ||
                      slice_has_prefix(p, SLICE_LIT(GUESTS_PATH)) || (c->w->opt.guests && p.n < 2);
        if (!theirs && model_at(m, p, m->zxid)) {
            return p;
        }
    }
    return c->w->opt.guests ? SLICE_LIT("/a") : SLICE_LIT("/");
}

static struct slice invented(struct client *c)
{
    static const char *const odd[] = {"/a/",    "a", "//",    "/a//b",
                                      "/a/./b", "/", "/b/..", "/a/b/c/d/e"};
    static const char names[] = "abcd";
    if (below(c, 40) == 0) {
        return slice_str(odd[below(c, sizeof(odd) / sizeof(odd[0]))]);
    }
    uint8_t p[8];
    size_t depth = 1 + (size_t)below(c, 3);
    for (size_t i = 0; i < depth; i++) {
        p[2 * i] = '/';
        p[2 * i + 1] = (uint8_t)names[below(c, sizeof(names) - 1)];
    }
    return arena_copy(&c->arena, slice_of(p, 2 * depth));
}

static struct slice any_path(struct client *c)
{
    return below(c, 2) ? existing(c) : invented(c);
}

static struct slice some_data(struct client *c)
{
    static const size_t sizes[] = {1, 8, 30, 30, 100, 100, 511, 2000, 20000};
    uint64_t x = below(c, 20);
    if (x == 0) {
        return SLICE_NULL;
    }
    if (x == 1) {
        return SLICE_LIT("");
    }
    size_t n = sizes[below(c, sizeof(sizes) / sizeof(sizes[0]))];
    n = below(c, 600) == 0 ? 400000 : n;
    uint8_t *p = arena_alloc(&c->arena, n);
    memset(p, (int)('a' + below(c, 26)), n);
    return slice_of(p, n);
}

static int32_t some_version(struct client *c, struct slice path, bool aversion)
{
    const struct model_version *v = model_at(model(c), path, model(c)->zxid);
    switch (below(c, 4)) {
    case 0:
        return (int32_t)below(c, 4) - 2;
    case 1:
        return v ? aversion ? v->aversion : v->version : 0;
    default:
        return -1;
    }
}

static int32_t some_acl(struct client *c)
{
    return below(c, 3) ? 0 : (int32_t)below(c, ACLS);
}

static void make_create(struct client *c, struct ask *q)
{
    q->type = below(c, 2) ? OP_CREATE : OP_CREATE2;
    q->flags = (int32_t)below(c, 4);
    q->path = below(c, 4) ? invented(c) : existing(c);
    q->data = some_data(c);
    q->acl = some_acl(c);
    if (q->flags >= 2 && below(c, 2)) {
        // Sequential names grow as long as they like, but not below one another.
        q->path = slice_str(
            arena_fmt(&c->arena, "/%c/%s", (int)('a' + below(c, 4)), below(c, 2) ? "s-" : ""));
    }
    uint64_t x = below(c, 12);
    if (x == 0) {
        q->type = OP_CREATE_CONTAINER;
        q->flags = below(c, 2) ? 4 : q->flags;
    } else if (x == 1) {
        q->type = OP_CREATE_TTL;
        q->flags = 5 + (int32_t)below(c, 2);
        q->ttl_ms = below(c, 10) ? 500 + (int64_t)below(c, 5000) : (int64_t)below(c, 2) - 1;
    }
}

static void make_write(struct client *c, struct ask *q, bool in_multi)
{
    uint64_t x = below(c, 20);
    bool full = model(c)->nodes_n > 0 &&
                model_children(model(c), SLICE_LIT("/"), model(c)->zxid) > 3 && c->asks_n % 3 == 0;
    if (x < (full ? 4u : 9u)) {
        make_create(c, q);
    } else if (x < 13) {
        q->type = OP_DELETE;
        q->path = below(c, 4) ? existing(c) : any_path(c);
        q->version = some_version(c, q->path, false);
    } else if (x < 18 || in_multi) {
        q->type = in_multi && x >= 18 ? OP_CHECK : OP_SET_DATA;
        q->path = any_path(c);
        q->data = some_data(c);
        q->version = some_version(c, q->path, false);
    } else {
        q->type = OP_SET_ACL;
        q->path = any_path(c);
        if (c->w->opt.guests && slice_eq_str(q->path, "/")) {
            q->path = SLICE_LIT("/a"); // guests begin at the root
        }
        q->acl = some_acl(c);
        q->version = some_version(c, q->path, true);
    }
}

static void make_multi(struct client *c, struct ask *q)
{
    q->type = OP_MULTI;
    q->path = SLICE_LIT("");
    q->parts_n = (int32_t)below(c, MULTI_MAX);
    q->parts = arena_zalloc(&c->arena, (size_t)q->parts_n * sizeof(*q->parts) + 1);
    for (int32_t i = 0; i < q->parts_n; i++) {
        q->parts[i].version = -1;
        make_write(c, &q->parts[i], true);
    }
}

static void make_read(struct client *c, struct ask *q)
{
    static const int32_t types[] = {OP_GET_DATA,      OP_GET_DATA,       OP_GET_DATA,
                                    OP_EXISTS,        OP_EXISTS,         OP_GET_CHILDREN,
                                    OP_GET_CHILDREN2, OP_GET_CHILDREN2,  OP_GET_ACL,
                                    OP_SYNC,          OP_GET_EPHEMERALS, OP_GET_ALL_CHILDREN_NUMBER,
                                    OP_WHO_AM_I,      OP_MULTI_READ};
    q->type = types[below(c, sizeof(types) / sizeof(types[0]))];
    q->path = any_path(c);
    q->watch = below(c, 3) == 0;
    if (q->type == OP_MULTI_READ) {
        q->parts_n = (int32_t)below(c, MULTI_MAX);
        q->parts = arena_zalloc(&c->arena, (size_t)q->parts_n * sizeof(*q->parts) + 1);
    }
    for (int32_t i = 0; i < q->parts_n; i++) {
        q->parts[i] = (struct ask){.type = OP_GET_DATA, .path = any_path(c)};
    }
    if (q->type == OP_GET_EPHEMERALS) {
        q->path = below(c, 2) ? SLICE_LIT("/") : SLICE_LIT("/a");
    }
}

static void make_watch(struct client *c, struct ask *q)
{
    static const int32_t types[] = {OP_ADD_WATCH, OP_ADD_WATCH, OP_CHECK_WATCHES,
                                    OP_REMOVE_WATCHES};
    q->type = types[below(c, 4)];
    const struct watcher *t = &c->watcher;
    q->path = t->n && below(c, 3) ? t->v[below(c, t->n)].path : any_path(c);
    q->mode = q->type == OP_ADD_WATCH ? (int32_t)below(c, 2) : (int32_t)below(c, 7);
}

struct ask *load_next(struct client *c)
{
    uint64_t x = below(c, 100);
    if (x == 99 && below(c, 4) == 0) {
        return client_ask(c, OP_CLOSE_SESSION);
    }
    struct ask *q = client_ask(c, OP_PING);
    if (x < 42) {
        make_write(c, q, false);
    } else if (x < 52) {
        make_multi(c, q);
    } else if (x < 92) {
        make_read(c, q);
    } else if (x < 98) {
        make_watch(c, q);
    } else {
        q->xid = XID_PING;
        q->path = SLICE_LIT("");
    }
    return q;
}
