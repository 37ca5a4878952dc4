// SPDX-License-Identifier: Apache-2.0
//
// DataTree.processTxn. Every transaction may meet a tree that has it already, or has what came
// later (replay over a fuzzy snapshot): disk-format.md 8 gives the rule for each case.
#include "tree/apply.h"

#include "tree/node.h"
#include "wire/path.h"

struct ctx {
    struct tree *t;
    const struct txn_header *hdr;
    struct arena *a;
    struct apply_out *out;
};

static void fire(struct ctx *c, enum watch_list list, int32_t type, struct slice path, int32_t acl,
                 bool unless_data)
{
    struct apply_out *o = c->out;
    if (o->fired_n == o->fired_cap) {
        int32_t cap = o->fired_cap ? o->fired_cap * 2 : 4;
        struct fired *v = arena_alloc(c->a, (size_t)cap * sizeof(*v));
        if (o->fired_n) {
            memcpy(v, o->fired, (size_t)o->fired_n * sizeof(*v));
        }
        o->fired = v;
        o->fired_cap = cap;
    }
    o->fired[o->fired_n++] = (struct fired){
        .list = list,
        .type = type,
        .path = path,
        .acl = acl_table_list(c->t->acls, acl),
        .unless_data = unless_data,
    };
}

enum { EVENT_CREATED = 1, EVENT_DELETED, EVENT_DATA_CHANGED, EVENT_CHILDREN_CHANGED };

// How clients name a parent: the root is "/", never "".
static struct slice parent_for_clients(struct slice path)
{
    struct slice p = path_parent(path);
    return p.n ? p : SLICE_LIT("/");
}

// A creation counts at its parent only if the parent does not know of it yet.
static void count_creation(struct ctx *c, uint32_t parent, int32_t cversion)
{
    const struct node *p = node_at(c->t, parent);
    int32_t v = cversion == -1 ? wrap_add(p->cversion, 1) : cversion;
    if (v > p->cversion) {
        struct node *n = node_change_begin(c->t, parent);
        n->cversion = v;
        n->pzxid = c->hdr->zxid;
        node_change_end(c->t, parent);
    }
}

struct creation {
    struct slice path, data;
    const struct acl_vec *acl;
    int32_t parent_cversion;
    int64_t owner;
};

static void create_again(struct ctx *c, uint32_t parent, uint32_t h, const struct creation *x,
                         struct apply_result *r)
{
    node_change_begin(c->t, h);
    node_put_acl(c->t, h, x->acl);
    node_change_end(c->t, h);
    if (r->type == OP_CREATE) {
        count_creation(c, parent, x->parent_cversion);
    }
    r->err = ZK_NODEEXISTS;
}

static void apply_create(struct ctx *c, const struct creation *x, struct apply_result *r)
{
    struct tree *t = c->t;
    struct slice up = path_parent(x->path);
    // A stored parent is "" or longer than "/": "//x" would be a second name of "/x".
    uint32_t parent = up.p && up.n != 1 ? tree_find(t, up) : 0;
    if (!parent) {
        r->err = ZK_NONODE;
        return;
    }
    struct slice name = path_base(x->path);
    if (!name.n) {
        r->err = ZK_NONODE;
        return;
    }
    uint32_t h = node_child(t, parent, name);
    if (h) {
        create_again(c, parent, h, x, r);
        return;
    }
    // A child changes its parent's child count, which clients see, so the walk must know first.
    walk_touch(t, parent);
    count_creation(c, parent, x->parent_cversion);
    struct node_init in = {
        .data = x->data,
        .acl = acl_table_get(t->acls, x->acl),
        .owner = x->owner,
        .czxid = c->hdr->zxid,
        .mzxid = c->hdr->zxid,
        .pzxid = c->hdr->zxid,
        .ctime = c->hdr->time,
        .mtime = c->hdr->time,
    };
    h = node_create(t, parent, x->path, &in);
    quota_on_create(t, x->path, (uint32_t)x->data.n);
    r->path = x->path;
    tree_node_stat(t, h, &r->stat);
    fire(c, WATCH_LIST_DATA, EVENT_CREATED, x->path, in.acl, false);
    fire(c, WATCH_LIST_CHILD, EVENT_CHILDREN_CHANGED, parent_for_clients(x->path),
         node_at(t, parent)->acl, false);
}

static void apply_delete(struct ctx *c, struct slice path, struct apply_result *r)
{
    struct tree *t = c->t;
    struct slice up = path_parent(path);
    uint32_t parent = up.p ? tree_find(t, up) : 0;
    struct slice name = path_base(path);
    uint32_t h = parent ? node_child(t, parent, name) : 0;
    if (!parent || !name.n) {
        r->err = ZK_NONODE;
        return;
    }
    struct node *p = node_change_begin(t, parent);
    if (c->hdr->zxid > p->pzxid) {
        p->pzxid = c->hdr->zxid;
    }
    node_change_end(t, parent);
    if (!h) {
        r->err = ZK_NONODE;
        return;
    }
    int32_t acl = node_at(t, h)->acl;
    uint32_t data_len = node_data_len(node_at(t, h));
    node_remove(t, h);
    quota_on_delete(t, path, data_len);
    fire(c, WATCH_LIST_DATA, EVENT_DELETED, path, acl, false);
    fire(c, WATCH_LIST_CHILD, EVENT_DELETED, path, acl, true);
    fire(c, WATCH_LIST_CHILD, EVENT_CHILDREN_CHANGED, parent_for_clients(path),
         node_at(t, parent)->acl, false);
}

static void apply_set_data(struct ctx *c, const struct set_data_txn *x, struct apply_result *r)
{
    struct tree *t = c->t;
    uint32_t h = tree_find(t, x->path);
    if (!h) {
        r->err = ZK_NONODE;
        return;
    }
    struct node *n = node_change_begin(t, h);
    int64_t before = node_data_len(n);
    n->mtime = c->hdr->time;
    n->mzxid = c->hdr->zxid;
    n->version = x->version;
    node_put_data(t, h, x->path, x->data);
    node_change_end(t, h);
    quota_on_set_data(t, x->path, (int64_t)x->data.n - before);
    tree_node_stat(t, h, &r->stat);
    fire(c, WATCH_LIST_DATA, EVENT_DATA_CHANGED, x->path, n->acl, false);
}

static void apply_set_acl(struct ctx *c, const struct set_acl_txn *x, struct apply_result *r)
{
    uint32_t h = tree_find(c->t, x->path);
    if (!h) {
        r->err = ZK_NONODE;
        return;
    }
    node_change_begin(c->t, h)->aversion = x->version;
    node_put_acl(c->t, h, &x->acl);
    node_change_end(c->t, h);
    tree_node_stat(c->t, h, &r->stat);
}

// The listed paths, then whatever else the session still owns.
static void apply_close_session(struct ctx *c, const struct close_session_txn *x)
{
    struct tree *t = c->t;
    struct apply_result ignored = {0};
    session_del(t->sessions, c->hdr->client_id);
    for (int32_t i = 0; i < x->paths.n; i++) {
        apply_delete(c, x->paths.v[i], &ignored);
    }
    uint32_t cursor = 0, h;
    while (tree_ephemeral_next(t, c->hdr->client_id, &cursor, &h)) {
        struct buf path = {0};
        tree_path(t, h, &path);
        apply_delete(c, arena_copy(c->a, buf_slice(&path)), &ignored);
        buf_fini(&path);
        cursor = 0;
    }
}

static void apply_body(struct ctx *c, const struct txn_body *b, struct apply_result *r)
{
    struct creation x;
    r->type = b->type;
    switch (b->type) {
    case OP_CREATE:
    case OP_CREATE2:
        x = (struct creation){b->create.path, b->create.data, &b->create.acl,
                              b->create.parent_cversion,
                              b->create.ephemeral ? c->hdr->client_id : 0};
        apply_create(c, &x, r);
        break;
    case OP_CREATE_CONTAINER:
        x = (struct creation){b->create_container.path, b->create_container.data,
                              &b->create_container.acl, b->create_container.parent_cversion,
                              OWNER_CONTAINER};
        apply_create(c, &x, r);
        break;
    case OP_CREATE_TTL:
        x = (struct creation){b->create_ttl.path, b->create_ttl.data, &b->create_ttl.acl,
                              b->create_ttl.parent_cversion,
                              OWNER_TTL | (b->create_ttl.ttl_ms & OWNER_TTL_MAX)};
        apply_create(c, &x, r);
        break;
    case OP_DELETE:
    case OP_DELETE_CONTAINER:
        apply_delete(c, b->del.path, r);
        break;
    case OP_SET_DATA:
    case OP_RECONFIG:
        apply_set_data(c, &b->set_data, r);
        break;
    case OP_SET_ACL:
        apply_set_acl(c, &b->set_acl, r);
        break;
    case OP_CREATE_SESSION:
        session_put(c->t->sessions, c->hdr->client_id, b->create_session.timeout_ms);
        break;
    case OP_CLOSE_SESSION:
        apply_close_session(c, &b->close_session);
        break;
    case OP_ERROR:
        r->err = b->error.err;
        break;
    default: // CHECK: nothing to do
        break;
    }
}

// A failed part fails all: the parts before it are answered 0, those behind it -2.
static void apply_multi(struct ctx *c, const struct txn *txn, struct apply_result *r)
{
    bool failed = false, behind = false;
    for (int32_t i = 0; i < txn->parts_n; i++) {
        failed = failed || txn->parts[i].type == OP_ERROR;
    }
    r->type = OP_MULTI;
    r->parts = arena_zalloc(c->a, (size_t)txn->parts_n * sizeof(*r->parts));
    r->parts_n = txn->parts_n;
    for (int32_t i = 0; i < txn->parts_n; i++) {
        struct apply_result *part = &r->parts[i];
        if (!failed || txn->parts[i].type == OP_ERROR) {
            apply_body(c, &txn->parts[i], part);
            behind = failed;
        } else {
            part->type = OP_ERROR;
            part->err = behind ? ZK_RUNTIMEINCONSISTENCY : ZK_OK;
        }
    }
}

void apply_txn(struct tree *t, const struct txn *txn, struct arena *a, struct apply_out *out)
{
    struct ctx c = {t, &txn->hdr, a, out};
    *out = (struct apply_out){0};
    for (size_t i = 0; i < t->acl_dropped_n; i++) {
        acl_table_unref(t->acls, t->acl_dropped[i]);
    }
    t->acl_dropped_n = 0;
    if (txn->hdr.type == OP_MULTI) {
        apply_multi(&c, txn, &out->result);
    } else {
        apply_body(&c, &txn->body, &out->result);
    }
    if (txn->hdr.zxid > t->zxid) {
        t->zxid = txn->hdr.zxid;
    }
    digest_applied(t, txn->hdr.zxid, txn->has_digest, txn->digest.version,
                   (uint64_t)txn->digest.digest);
}
