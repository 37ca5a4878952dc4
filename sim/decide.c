// SPDX-License-Identifier: Apache-2.0
//
// Writes, decided a second time: the checks of client-protocol.md 3.3, 3.4, 3.5 and 3.9 in their
// order, on the model.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/must.h"
#include "sim/model.h"
#include "wire/jute.h"

struct doing {
    struct model *m;
    int64_t zxid, time_ms;
    bool closing; // a session: its nodes go in any order
    bool dead;    // the session that asks has been closed
};

static bool has_slash(struct slice path)
{
    return path.n && memchr(path.p, '/', path.n);
}

static bool is_built_in(struct slice path)
{
    return slice_eq_str(path, "/") || slice_eq_str(path, "/zookeeper") ||
           slice_eq_str(path, "/zookeeper/quota") || slice_eq_str(path, "/zookeeper/config");
}

// The parent as create and delete look for it: whatever stands before the last slash.
static const struct model_version *parent_of(struct doing *d, struct slice path)
{
    return model_at(d->m, model_parent(path), d->zxid);
}

static void fire(struct doing *d, bool child_list, int32_t type, struct slice path,
                 struct acl_vec acl, bool unless_data)
{
    model_fire(d->m,
               (struct model_fired){d->zxid, child_list, unless_data, d->closing, type, path, acl});
}

static void remove_node(struct doing *d, struct slice path)
{
    struct model_version *v = model_edit(d->m, path, d->zxid);
    struct acl_vec acl = v->acl;
    v->exists = false;
    struct slice parent = model_parent(path);
    struct model_version *p = model_edit(d->m, parent, d->zxid);
    p->pzxid = d->zxid;
    fire(d, false, 2, path, acl, false);
    fire(d, true, 2, path, acl, true);
    fire(d, true, 4, parent, p->acl, false);
}

// ---- create ----------------------------------------------------------------------------------

struct shape { // what opcode and flags make together
    enum model_kind kind;
    bool sequential;
    int32_t err;
};

static struct shape shape_of(const struct ask *q, bool in_multi)
{
    struct shape s = {MODEL_PLAIN, false, ZK_OK};
    bool ttl_flags = q->flags == 5 || q->flags == 6;
    if (q->flags < 0 || q->flags > 6) {
        s.err = ZK_BADARGUMENTS;
        return s;
    }
    s.sequential = q->flags == 2 || q->flags == 3 || q->flags == 6;
    if (ttl_flags) {
        s.kind = MODEL_TTL;
        bool good = q->type == OP_CREATE_TTL && q->ttl_ms > 0 && q->ttl_ms <= 0xffffffffff;
        s.err = good ? ZK_OK : ZK_BADARGUMENTS;
    } else if (q->type == OP_CREATE_TTL && !in_multi) {
        s.err = ZK_BADARGUMENTS;
    } else if (q->type == OP_CREATE_CONTAINER || (q->flags == 4 && in_multi)) {
        s.kind = MODEL_CONTAINER;
    } else if (q->flags == 1 || q->flags == 3) {
        s.kind = MODEL_EPHEMERAL;
    }
    return s;
}

static int32_t check_create(struct doing *d, const struct ask *q, const struct shape *s,
                            struct slice *path, struct acl_vec *acl)
{
    if (s->err) {
        return s->err;
    }
    if (d->dead) {
        return ZK_SESSIONEXPIRED;
    }
    if (!has_slash(q->path)) {
        return ZK_BADARGUMENTS;
    }
    *acl = acls_fix(q->acl, q->who, &d->m->arena);
    if (acl->n < 0) {
        return ZK_INVALIDACL;
    }
    const struct model_version *parent = parent_of(d, q->path);
    if (!parent) {
        return ZK_NONODE;
    }
    if (!acls_allow(parent->acl, PERM_CREATE, q->who)) {
        return ZK_NOAUTH;
    }
    *path = q->path;
    if (s->sequential) {
        *path = slice_str(
            arena_fmt(&d->m->arena, "%.*s%010" PRId32, SLICE_ARG(q->path), parent->creations));
    }
    if (!model_path_is_valid(*path)) {
        return ZK_BADARGUMENTS;
    }
    if (model_at(d->m, *path, d->zxid)) {
        return ZK_NODEEXISTS;
    }
    return parent->kind == MODEL_EPHEMERAL ? ZK_NOCHILDRENFOREPHEMERALS : ZK_OK;
}

static int32_t create(struct doing *d, const struct ask *q, bool in_multi, struct slice *path)
{
    struct shape s = shape_of(q, in_multi);
    struct acl_vec acl;
    int32_t err = check_create(d, q, &s, path, &acl);
    if (err) {
        return err;
    }
    struct slice parent = model_parent(*path);
    struct model_version *v = model_edit(d->m, *path, d->zxid);
    *v = (struct model_version){.zxid = d->zxid,
                                .exists = true,
                                .kind = s.kind,
                                .data = q->data,
                                .acl = acl,
                                .czxid = d->zxid,
                                .mzxid = d->zxid,
                                .pzxid = d->zxid,
                                .ctime = d->time_ms,
                                .mtime = d->time_ms,
                                .session = s.kind == MODEL_EPHEMERAL ? q->session : 0,
                                .ttl_ms = q->ttl_ms};
    struct model_version *p = model_edit(d->m, parent, d->zxid);
    p->creations++;
    p->pzxid = d->zxid;
    fire(d, false, 1, *path, acl, false);
    fire(d, true, 4, parent, p->acl, false);
    return ZK_OK;
}

// ---- delete, setData, setACL, check ----------------------------------------------------------

static int32_t del(struct doing *d, const struct ask *q)
{
    if (!has_slash(q->path) || is_built_in(q->path)) {
        return ZK_BADARGUMENTS;
    }
    const struct model_version *parent = parent_of(d, q->path);
    if (!parent) {
        return ZK_NONODE;
    }
    if (!acls_allow(parent->acl, PERM_DELETE, q->who)) {
        return ZK_NOAUTH;
    }
    const struct model_version *v = model_at(d->m, q->path, d->zxid);
    if (!v) {
        return ZK_NONODE;
    }
    if (q->version != -1 && q->version != v->version) {
        return ZK_BADVERSION;
    }
    if (model_children(d->m, q->path, d->zxid)) {
        return ZK_NOTEMPTY;
    }
    remove_node(d, q->path);
    return ZK_OK;
}

// setData, setACL and check begin alike: the path, the node, the permission, the version.
static int32_t find_for(struct doing *d, const struct ask *q, int32_t perm, bool aversion)
{
    if (!model_path_is_valid(q->path)) {
        return ZK_BADARGUMENTS;
    }
    if (q->type == OP_SET_ACL && acls_fix(q->acl, q->who, &d->m->arena).n < 0) {
        return ZK_INVALIDACL;
    }
    const struct model_version *v = model_at(d->m, q->path, d->zxid);
    if (!v) {
        return ZK_NONODE;
    }
    if (!acls_allow(v->acl, perm, q->who)) {
        return ZK_NOAUTH;
    }
    int32_t version = aversion ? v->aversion : v->version;
    return q->version != -1 && q->version != version ? ZK_BADVERSION : ZK_OK;
}

static int32_t set_data(struct doing *d, const struct ask *q)
{
    int32_t err = find_for(d, q, PERM_WRITE, false);
    if (err) {
        return err;
    }
    struct model_version *v = model_edit(d->m, q->path, d->zxid);
    v->data = q->data;
    v->version++;
    v->mzxid = d->zxid;
    v->mtime = d->time_ms;
    fire(d, false, 3, q->path, v->acl, false);
    return ZK_OK;
}

static int32_t set_acl(struct doing *d, const struct ask *q)
{
    int32_t err = find_for(d, q, PERM_ADMIN, true);
    if (err) {
        return err;
    }
    struct acl_vec acl = acls_fix(q->acl, q->who, &d->m->arena);
    struct model_version *v = model_edit(d->m, q->path, d->zxid);
    v->acl = acl;
    v->aversion++;
    return ZK_OK;
}

static void put_stat(struct doing *d, struct slice path, struct buf *b)
{
    struct node_stat st;
    model_stat(d->m, path, d->zxid, &st);
    jute_put_record(b, &record_node_stat, &st);
}

// One operation, alone or as a part. Appends the body of its result.
static int32_t execute(struct doing *d, const struct ask *q, bool in_multi, struct buf *b)
{
    int32_t err;
    struct slice path = q->path;
    bool creates = q->type != OP_DELETE && q->type != OP_CHECK && q->type != OP_SET_DATA &&
                   q->type != OP_SET_ACL;
    if (d->dead && !creates) {
        return ZK_SESSIONEXPIRED;
    }
    switch (q->type) {
    case OP_DELETE:
        return del(d, q);
    case OP_CHECK:
        return find_for(d, q, PERM_READ, false);
    case OP_SET_DATA:
        err = set_data(d, q);
        break;
    case OP_SET_ACL:
        err = set_acl(d, q);
        break;
    default:
        err = create(d, q, in_multi, &path);
        if (!err) {
            jute_put_bytes(b, path);
        }
        break;
    }
    if (!err && q->type != OP_CREATE) {
        put_stat(d, path, b);
    }
    return err;
}

// ---- multi -----------------------------------------------------------------------------------

static int32_t result_type(const struct ask *p)
{
    bool with_stat = p->type == OP_CREATE_CONTAINER || p->type == OP_CREATE_TTL;
    return with_stat ? OP_CREATE2 : p->type;
}

static void multi(struct doing *d, const struct ask *q, struct buf *b)
{
    int32_t err = ZK_OK, failed = 0;
    for (int32_t i = 0; i < q->parts_n && !err; i++) {
        struct multi_header h = {result_type(&q->parts[i]), false, ZK_OK};
        jute_put_record(b, &record_multi_header, &h);
        err = execute(d, &q->parts[i], true, b);
        failed = i;
    }
    if (err) {
        model_undo(d->m, d->zxid);
        buf_clear(b);
        for (int32_t i = 0; i < q->parts_n; i++) {
            int32_t e = i < failed ? ZK_OK : i == failed ? err : ZK_RUNTIMEINCONSISTENCY;
            struct multi_header h = {-1, false, e};
            jute_put_record(b, &record_multi_header, &h);
            buf_put_i32(b, e);
        }
    }
    struct multi_header end = {-1, true, -1};
    jute_put_record(b, &record_multi_header, &end);
}

// Flags that a multi refuses as a whole: TTL flags on an opcode that has no ttl, and unknown ones.
static bool cannot_decode(const struct ask *q)
{
    for (int32_t i = 0; i < q->parts_n; i++) {
        const struct ask *p = &q->parts[i];
        bool creates = p->type == OP_CREATE || p->type == OP_CREATE2 ||
                       p->type == OP_CREATE_CONTAINER || p->type == OP_CREATE_TTL;
        bool ttl = p->flags == 5 || p->flags == 6;
        if (p->type == OP_SET_ACL || (creates && (p->flags < 0 || p->flags > 6)) ||
            (creates && ttl && p->type != OP_CREATE_TTL)) {
            return true;
        }
    }
    return false;
}

// ---- entry -----------------------------------------------------------------------------------

void decide(struct model *m, struct ask *q, int64_t zxid, int64_t time_ms)
{
    struct doing d = {m, zxid, time_ms, false, false};
    struct buf body = {0};
    const struct model_session *s = model_session(m, q->session);
    d.dead = !s || s->closed;
    q->decided = true;
    q->zxid = zxid;
    q->err = ZK_OK;
    if (q->type == OP_MULTI) {
        q->err = cannot_decode(q) ? ZK_MARSHALLINGERROR : ZK_OK;
        if (!q->err) {
            multi(&d, q, &body);
        }
    } else if (q->type == OP_CLOSE_SESSION) { // good even for a session that is gone
        decide_close(m, q->session, zxid);
    } else {
        q->err = execute(&d, q, false, &body);
    }
    q->body = arena_copy(&m->arena, buf_slice(&body));
    buf_fini(&body);
    m->zxid = zxid;
}

// Deletion order is free, so the events of one close are checked as a set (check_watch.c).
void decide_close(struct model *m, int64_t session, int64_t zxid)
{
    struct doing d = {m, zxid, 0, true, false};
    for (size_t i = 0; i < m->nodes_n; i++) {
        struct slice path = m->nodes[i]->path;
        const struct model_version *v = model_at(m, path, zxid);
        if (v && v->kind == MODEL_EPHEMERAL && v->session == session) {
            remove_node(&d, path);
        }
    }
    struct model_session *s = model_session(m, session);
    if (s && !s->closed) {
        s->closed = zxid;
    }
    m->zxid = zxid;
}

bool decide_reap(struct model *m, struct slice path, int64_t zxid)
{
    struct doing d = {m, zxid, 0, false, false};
    const struct model_version *v = model_at(m, path, zxid);
    m->zxid = zxid;
    if (!v || model_children(m, path, zxid) ||
        (v->kind != MODEL_TTL && !(v->kind == MODEL_CONTAINER && v->creations > 0))) {
        return false;
    }
    remove_node(&d, path);
    return true;
}
