// SPDX-License-Identifier: Apache-2.0
//
// PrepRequestProcessor.pRequest2Txn, one function per kind of change.
#include "tree/prep_internal.h"

#include <stdio.h>

#include "wire/path.h"

static enum zkerr check_session(const struct prep *x)
{
    int64_t id = x->req->session;
    bool open = id == 0 || pending_session_is_open(x->p, id) ||
                (x->req->local && !pending_session_is_closing(x->p, id));
    return open ? x->req->refuse : ZK_SESSIONEXPIRED;
}

static bool may(const struct prep *x, const struct pnode *n, int32_t perm)
{
    return acl_allows(pending_acl(x->p, n), perm, x->req->auth, &x->p->t->cfg.acl);
}

static bool version_fits(int32_t current, int32_t expected)
{
    return expected == -1 || expected == current;
}

static enum zkerr check_create_mode(const struct prep *x, const struct create_order *o)
{
    if (o->flags < CREATE_PERSISTENT || o->flags > CREATE_TTL_SEQUENTIAL) {
        return ZK_BADARGUMENTS;
    }
    if (create_is_ttl(o->flags)) {
        if (!x->p->t->cfg.extended_types) {
            return ZK_UNIMPLEMENTED;
        }
        return o->ttl_ms > 0 && o->ttl_ms <= OWNER_TTL_MAX ? ZK_OK : ZK_BADARGUMENTS;
    }
    // A TTL request for another kind of node brings Apache's server down if its ttl is negative.
    return o->ttl_ms >= 0 || o->type == OP_CREATE_TTL ? ZK_BADARGUMENTS : ZK_OK;
}

// The name with the parent's counter behind it. Stays the same for modes without a number.
static struct slice final_path(struct prep *x, const struct create_order *o, int32_t counter)
{
    if (o->flags != CREATE_SEQUENTIAL && o->flags != CREATE_EPHEMERAL_SEQUENTIAL &&
        o->flags != CREATE_TTL_SEQUENTIAL) {
        return o->path;
    }
    enum { DIGITS_MAX = 12 };
    uint8_t *p = arena_alloc(&x->p->arena, o->path.n + DIGITS_MAX);
    memcpy(p, o->path.p, o->path.n);
    int n = snprintf((char *)p + o->path.n, DIGITS_MAX, "%010d", counter);
    return slice_of(p, o->path.n + (size_t)n);
}

static int64_t owner_of(const struct prep *x, const struct create_order *o)
{
    if (o->type == OP_CREATE_CONTAINER) {
        return OWNER_CONTAINER;
    }
    if (o->type == OP_CREATE_TTL) {
        return OWNER_TTL | o->ttl_ms;
    }
    return o->flags == CREATE_EPHEMERAL || o->flags == CREATE_EPHEMERAL_SEQUENTIAL ? x->req->session
                                                                                   : 0;
}

// The list to store. "auth" becomes all identities of the client, in every part of a multi anew: a
// short request could make an entry that fills the memory and that no start would read.
static enum zkerr fixup_acl(struct prep *x, const struct acl_vec *in, struct acl_vec *out)
{
    const struct tree_config *cfg = &x->p->t->cfg;
    enum zkerr e = acl_fixup(in, x->req->auth, &cfg->acl, &x->p->arena, out);
    for (int32_t i = 0; !e && i < out->n; i++) {
        x->acl_bytes += 12 + out->v[i].id.scheme.n + out->v[i].id.id.n;
    }
    return e || x->acl_bytes <= prep_entry_max(x->p) ? e : ZK_INVALIDACL;
}

static void fill_create(struct txn_body *out, const struct create_order *o, struct slice path,
                        const struct acl_vec *acl, int32_t cversion, int64_t owner)
{
    out->type = o->type;
    switch (o->type) {
    case OP_CREATE_CONTAINER:
        out->create_container = (struct create_container_txn){path, o->data, *acl, cversion};
        break;
    case OP_CREATE_TTL:
        out->create_ttl = (struct create_ttl_txn){path, o->data, *acl, cversion, o->ttl_ms};
        break;
    default:
        out->create = (struct create_txn){path, o->data, *acl, owner != 0, cversion};
        break;
    }
}

// The parent's side: the counter goes on, wrapping; what apply stores only grows.
static int32_t count_creation(struct prep *x, struct slice parent_path)
{
    uint32_t h = pending_touch(x->p, parent_path);
    struct pnode *n = &rec_at(x->p, h)->n;
    n->cversion_seq = wrap_add(n->cversion_seq, 1);
    int32_t stored = n->cversion_seq == -1 ? wrap_add(n->cversion, 1) : n->cversion_seq;
    if (stored > n->cversion) {
        n->cversion = stored;
        n->pzxid = x->zxid;
    }
    n->children++;
    int32_t counter = n->cversion_seq;
    pending_done(x->p, h);
    return counter;
}

static void put_node(struct prep *x, struct slice path, const struct create_order *o,
                     const struct acl_vec *acl, int64_t owner)
{
    uint32_t h = pending_make(x->p, path, o->data);
    struct pnode *n = &rec_at(x->p, h)->n;
    n->owner = owner;
    n->czxid = n->mzxid = n->pzxid = x->zxid;
    n->ctime = n->mtime = x->now.ms;
    pending_set_acl(x->p, h, acl);
    pending_done(x->p, h);
}

enum zkerr prep_create(struct prep *x, const struct create_order *o, struct txn_body *out)
{
    struct pnode parent, node;
    struct acl_vec acl;
    enum zkerr e = check_create_mode(x, o);
    e = e ? e : check_session(x);
    if (!e && x->req->local && owner_of(x, o) == x->req->session &&
        !pending_session_is_open(x->p, x->req->session)) {
        e = ZK_SESSIONEXPIRED; // only a global session may own it
    }
    if (e) {
        return e;
    }
    if (!o->path.p) {
        return ZK_MARSHALLINGERROR;
    }
    struct slice up = path_parent(o->path);
    if (!up.p || path_has_nul(o->path)) {
        return ZK_BADARGUMENTS;
    }
    e = fixup_acl(x, &o->acl, &acl);
    if (e) {
        return e;
    }
    if (!pending_get(x->p, up, &parent)) {
        return ZK_NONODE;
    }
    if (!may(x, &parent, PERM_CREATE)) {
        return ZK_NOAUTH;
    }
    struct slice path = final_path(x, o, parent.cversion_seq);
    if (!path_is_valid(path)) {
        return ZK_BADARGUMENTS;
    }
    if (pending_get(x->p, path, &node)) {
        return ZK_NODEEXISTS;
    }
    if (owner_kind(&x->p->t->cfg, parent.owner) == NODE_EPHEMERAL) {
        return ZK_NOCHILDRENFOREPHEMERALS;
    }
    if (!quota_allows(x->p->t, path, (int64_t)o->data.n, 1)) {
        return ZK_QUOTAEXCEEDED;
    }
    int64_t owner = owner_of(x, o);
    int32_t cversion = count_creation(x, up);
    put_node(x, path, o, &acl, owner);
    fill_create(out, o, path, &acl, cversion, owner);
    return ZK_OK;
}

static bool is_built_in(struct slice path)
{
    return slice_eq_str(path, "/") || slice_eq_str(path, "/zookeeper") ||
           slice_eq_str(path, "/zookeeper/quota") || slice_eq_str(path, "/zookeeper/config");
}

// getParentPathAndValidate: the parent's path, or why there can be none.
static enum zkerr deletable(struct slice path, struct slice *up)
{
    if (!path.p) {
        return ZK_MARSHALLINGERROR;
    }
    *up = path_parent(path);
    return !up->p || path_has_nul(path) || is_built_in(path) ? ZK_BADARGUMENTS : ZK_OK;
}

enum zkerr prep_delete(struct prep *x, const struct delete_request *r, struct txn_body *out)
{
    struct slice up;
    struct pnode parent, node;
    enum zkerr e = check_session(x);
    e = e ? e : deletable(r->path, &up);
    if (e) {
        return e;
    }
    if (!pending_get(x->p, up, &parent)) {
        return ZK_NONODE;
    }
    if (!may(x, &parent, PERM_DELETE)) {
        return ZK_NOAUTH;
    }
    if (!pending_get(x->p, r->path, &node)) {
        return ZK_NONODE;
    }
    if (!version_fits(node.version, r->version)) {
        return ZK_BADVERSION;
    }
    if (node.children > 0) {
        return ZK_NOTEMPTY;
    }
    pending_delete(x->p, r->path, x->zxid);
    out->type = OP_DELETE;
    out->del = (struct delete_txn){r->path};
    return ZK_OK;
}

// The reaper looks at the applied tree: is the node of that path now another one?
static bool is_made_anew(const struct prep *x, struct slice path, const struct pnode *node)
{
    struct node_stat applied;
    uint32_t h = tree_find(x->p->t, path);
    if (!h) {
        return true;
    }
    tree_node_stat(x->p->t, h, &applied);
    return applied.czxid != node->czxid;
}

// Still what the reaper saw? A node used or made anew in the meantime stays.
enum zkerr prep_delete_container(struct prep *x, struct slice path, struct txn_body *out)
{
    struct slice up;
    struct pnode node;
    enum zkerr e = deletable(path, &up);
    if (e) {
        return e;
    }
    if (!pending_get(x->p, path, &node)) {
        return ZK_NONODE;
    }
    if (node.children > 0) {
        return ZK_NOTEMPTY;
    }
    enum node_kind kind = owner_kind(&x->p->t->cfg, node.owner);
    bool due = (kind == NODE_CONTAINER && !is_made_anew(x, path, &node)) ||
               (kind == NODE_TTL && x->now.ms > node.mtime &&
                (uint64_t)x->now.ms - (uint64_t)node.mtime > (uint64_t)owner_ttl_ms(node.owner));
    if (!due) {
        return ZK_BADVERSION;
    }
    pending_delete(x->p, path, x->zxid);
    out->type = OP_DELETE_CONTAINER;
    out->del = (struct delete_txn){path};
    return ZK_OK;
}

// An existing node on which the client has a permission, checked in Apache's order.
static enum zkerr reach(const struct prep *x, struct slice path, int32_t perm, struct pnode *node)
{
    enum zkerr e = check_session(x);
    if (e) {
        return e;
    }
    if (!path_is_valid(path)) {
        return ZK_BADARGUMENTS;
    }
    if (!pending_get(x->p, path, node)) {
        return ZK_NONODE;
    }
    return may(x, node, perm) ? ZK_OK : ZK_NOAUTH;
}

enum zkerr prep_set_data(struct prep *x, const struct set_data_request *r, struct txn_body *out)
{
    struct pnode node;
    enum zkerr e = reach(x, r->path, PERM_WRITE, &node);
    if (e) {
        return e;
    }
    if (!quota_allows(x->p->t, r->path, (int64_t)r->data.n - node.data_len, 0)) {
        return ZK_QUOTAEXCEEDED;
    }
    if (!version_fits(node.version, r->version)) {
        return ZK_BADVERSION;
    }
    uint32_t h = pending_touch(x->p, r->path);
    struct pnode *n = &rec_at(x->p, h)->n;
    n->version = wrap_add(n->version, 1);
    n->mzxid = x->zxid;
    n->mtime = x->now.ms;
    pending_set_data(x->p, h, r->data);
    pending_done(x->p, h);
    out->type = OP_SET_DATA;
    out->set_data = (struct set_data_txn){r->path, r->data, n->version};
    return ZK_OK;
}

enum zkerr prep_set_acl(struct prep *x, const struct set_acl_request *r, struct txn_body *out)
{
    struct pnode node;
    struct acl_vec acl;
    enum zkerr e = check_session(x);
    if (e) {
        return e;
    }
    if (!path_is_valid(r->path)) {
        return ZK_BADARGUMENTS;
    }
    e = fixup_acl(x, &r->acl, &acl);
    if (e) {
        return e;
    }
    if (!pending_get(x->p, r->path, &node)) {
        return ZK_NONODE;
    }
    if (!may(x, &node, PERM_ADMIN)) {
        return ZK_NOAUTH;
    }
    if (!version_fits(node.aversion, r->version)) {
        return ZK_BADVERSION;
    }
    uint32_t h = pending_touch(x->p, r->path);
    rec_at(x->p, h)->n.aversion = wrap_add(node.aversion, 1);
    pending_set_acl(x->p, h, &acl);
    pending_done(x->p, h);
    out->type = OP_SET_ACL;
    out->set_acl = (struct set_acl_txn){r->path, acl, wrap_add(node.aversion, 1)};
    return ZK_OK;
}

// The node's version stays -1, and the digest leaves it out as all below /zookeeper.
enum zkerr prep_reconfig(struct prep *x, struct txn_body *out)
{
    struct slice path = SLICE_LIT("/zookeeper/config");
    struct pnode node;
    if (!x->p->t->cfg.reconfig_enabled) {
        return ZK_RECONFIGDISABLED;
    }
    enum zkerr e = reach(x, path, PERM_WRITE, &node);
    if (e) {
        return e;
    }
    uint32_t h = pending_touch(x->p, path);
    struct pnode *n = &rec_at(x->p, h)->n;
    n->version = -1;
    n->mzxid = x->zxid;
    n->mtime = x->now.ms;
    pending_set_data(x->p, h, x->req->body);
    pending_done(x->p, h);
    out->type = OP_RECONFIG;
    out->set_data = (struct set_data_txn){path, x->req->body, -1};
    return ZK_OK;
}

enum zkerr prep_check(struct prep *x, const struct check_version_request *r, struct txn_body *out)
{
    struct pnode node;
    enum zkerr e = reach(x, r->path, PERM_READ, &node);
    if (e) {
        return e;
    }
    if (!version_fits(node.version, r->version)) {
        return ZK_BADVERSION;
    }
    out->type = OP_CHECK;
    out->check = (struct check_version_txn){r->path, wrap_add(node.version, 1)};
    return ZK_OK;
}

// As many as an entry can hold. Whoever applies it removes what else the session owns, too.
static struct slice_vec that_fit(const struct prep *x, struct slice_vec paths)
{
    size_t room = prep_entry_max(x->p), used = PREP_ENTRY_FIXED;
    int32_t n = 0;
    while (n < paths.n && used + 4 + paths.v[n].n <= room) {
        used += 4 + paths.v[n++].n;
    }
    return (struct slice_vec){paths.v, n};
}

void prep_close_session(struct prep *x, struct txn_body *out)
{
    struct slice_vec paths = pending_ephemerals(x->p, x->req->session);
    for (int32_t i = 0; i < paths.n; i++) {
        struct pnode n;
        // Only a foreign tree can have an ephemeral below one that goes first.
        if (pending_get(x->p, paths.v[i], &n) && pending_get(x->p, path_parent(paths.v[i]), &n)) {
            pending_delete(x->p, paths.v[i], x->zxid);
        }
    }
    pending_close_session(x->p, x->req->session, x->zxid);
    out->type = OP_CLOSE_SESSION;
    out->close_session.paths = that_fit(x, paths);
    if (!x->p->t->cfg.close_session_txn) {
        out->close_session.paths = (struct slice_vec){NULL, -1};
    }
}
