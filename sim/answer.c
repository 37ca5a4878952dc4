// SPDX-License-Identifier: Apache-2.0
//
// Reads, answered a second time: client-protocol.md 3.6, at any zxid of the past.
#include <stdlib.h>

#include "base/mem.h"
#include "sim/model.h"
#include "wire/jute.h"

static struct slice root_of(struct slice path)
{
    return path.n == 0 ? SLICE_LIT("/") : path;
}

static void put_stat(const struct model *m, struct slice path, int64_t zxid, struct buf *b)
{
    struct node_stat st;
    model_stat(m, path, zxid, &st);
    jute_put_record(b, &record_node_stat, &st);
}

static void put_children(const struct model *m, struct slice path, int64_t zxid, struct buf *b)
{
    size_t count_at = b->n;
    int32_t n = 0;
    buf_put_i32(b, 0);
    for (size_t i = 0; i < m->nodes_n; i++) {
        struct slice p = m->nodes[i]->path;
        if (p.n > 1 && slice_eq(model_parent(p), path) && model_at(m, p, zxid)) {
            size_t skip = path.n == 1 ? 1 : path.n + 1;
            jute_put_bytes(b, slice_skip(p, skip));
            n++;
        }
    }
    be32_put(b->p + count_at, (uint32_t)n);
}

static void put_ephemerals(const struct model *m, const struct ask *q, int64_t zxid, struct buf *b)
{
    size_t count_at = b->n;
    int32_t n = 0;
    buf_put_i32(b, 0);
    for (size_t i = 0; i < m->nodes_n; i++) {
        struct slice p = m->nodes[i]->path;
        const struct model_version *v = model_at(m, p, zxid);
        if (v && v->kind == MODEL_EPHEMERAL && v->session == q->session &&
            slice_has_prefix(p, q->path)) {
            jute_put_bytes(b, p);
            n++;
        }
    }
    be32_put(b->p + count_at, (uint32_t)n);
}

static void put_descendants(const struct model *m, struct slice path, int64_t zxid, struct buf *b)
{
    int32_t n = 0;
    for (size_t i = 0; i < m->nodes_n; i++) {
        struct slice p = m->nodes[i]->path;
        bool below =
            path.n == 1 ? p.n > 1 : p.n > path.n && slice_has_prefix(p, path) && p.p[path.n] == '/';
        n += below && model_at(m, p, zxid);
    }
    buf_put_i32(b, n);
}

static void put_acl(const struct model *m, const struct ask *q, int64_t zxid, struct arena *a,
                    struct buf *b)
{
    const struct model_version *v = model_at(m, q->path, zxid);
    struct acl_vec acl = v->acl;
    if (!acls_allow(acl, PERM_ADMIN, q->who)) {
        acl = acls_mask(acl, a);
    }
    buf_put_i32(b, acl.n);
    for (int32_t i = 0; i < acl.n; i++) {
        buf_put_i32(b, acl.v[i].perms);
        jute_put_bytes(b, acl.v[i].id.scheme);
        jute_put_bytes(b, acl.v[i].id.id);
    }
    put_stat(m, q->path, zxid, b);
}

static int32_t answer_node(const struct model *m, const struct ask *q, int64_t zxid,
                           struct arena *a, struct buf *b)
{
    const struct model_version *v = model_at(m, q->path, zxid);
    int32_t perms = q->type == OP_GET_ACL ? PERM_READ | PERM_ADMIN : PERM_READ;
    if (!v) {
        return ZK_NONODE;
    }
    if (!acls_allow(v->acl, perms, q->who)) {
        return ZK_NOAUTH;
    }
    struct slice path = root_of(q->path);
    switch (q->type) {
    case OP_GET_DATA:
        jute_put_bytes(b, v->data);
        put_stat(m, path, zxid, b);
        break;
    case OP_GET_CHILDREN:
        put_children(m, path, zxid, b);
        break;
    case OP_GET_CHILDREN2:
        put_children(m, path, zxid, b);
        put_stat(m, path, zxid, b);
        break;
    case OP_GET_ACL:
        put_acl(m, q, zxid, a, b);
        break;
    case OP_GET_ALL_CHILDREN_NUMBER:
        put_descendants(m, path, zxid, b);
        break;
    default:
        put_stat(m, path, zxid, b);
        break;
    }
    return ZK_OK;
}

static void put_identities(const struct ask *q, struct buf *b)
{
    size_t count_at = b->n;
    int32_t n = 1;
    buf_put_i32(b, 0);
    jute_put_bytes(b, SLICE_LIT("ip"));
    jute_put_bytes(b, acls_ip(q->who.client));
    for (uint32_t u = 0; u < USERS; u++) {
        if (q->who.users & 1u << u) {
            const char *user = acls_user(u);
            jute_put_bytes(b, SLICE_LIT("digest"));
            jute_put_bytes(b, slice_of(user, (size_t)(strchr(user, ':') - user)));
            n++;
        }
    }
    be32_put(b->p + count_at, (uint32_t)n);
}

static void put_reads(const struct model *m, const struct ask *q, int64_t zxid, struct arena *a,
                      struct buf *b)
{
    for (int32_t i = 0; i < q->parts_n; i++) {
        struct buf body = {0};
        struct ask part = q->parts[i];
        part.who = q->who;
        int32_t err = answer_node(m, &part, zxid, a, &body);
        struct multi_header h = {err ? -1 : part.type, false, err};
        jute_put_record(b, &record_multi_header, &h);
        if (err) {
            buf_put_i32(b, err);
        } else {
            buf_put_slice(b, buf_slice(&body));
        }
        buf_fini(&body);
    }
    struct multi_header end = {-1, true, -1};
    jute_put_record(b, &record_multi_header, &end);
}

int32_t answer(const struct model *m, const struct ask *q, int64_t zxid, struct arena *a,
               struct buf *body)
{
    switch (q->type) {
    case OP_SYNC:
        jute_put_bytes(body, q->path);
        return ZK_OK;
    case OP_GET_EPHEMERALS:
        put_ephemerals(m, q, zxid, body);
        return ZK_OK;
    case OP_WHO_AM_I:
        put_identities(q, body);
        return ZK_OK;
    case OP_MULTI_READ:
        put_reads(m, q, zxid, a, body);
        return ZK_OK;
    case OP_ADD_WATCH:
        buf_put_i32(body, 0);
        return ZK_OK;
    case OP_EXISTS:
    case OP_GET_DATA:
    case OP_GET_CHILDREN:
    case OP_GET_CHILDREN2:
    case OP_GET_ACL:
    case OP_GET_ALL_CHILDREN_NUMBER:
        return answer_node(m, q, zxid, a, body);
    default:
        return ZK_OK; // pings, auth, setWatches: nothing but the header
    }
}
