// SPDX-License-Identifier: Apache-2.0
//
// FinalRequestProcessor's reads. The checks stand in Apache's order.
#include "tree/read.h"

#include "limits.h"
#include "tree/node.h"
#include "wire/jute.h"
#include "wire/ops.h"
#include "wire/path.h"

enum { STAT_LEN = 68 };

static void put_stat(const struct tree *t, uint32_t h, struct buf *out)
{
    struct node_stat st;
    tree_node_stat(t, h, &st);
    uint8_t *p = buf_reserve(out, STAT_LEN);
    be64_put(p, (uint64_t)st.czxid);
    be64_put(p + 8, (uint64_t)st.mzxid);
    be64_put(p + 16, (uint64_t)st.ctime);
    be64_put(p + 24, (uint64_t)st.mtime);
    be32_put(p + 32, (uint32_t)st.version);
    be32_put(p + 36, (uint32_t)st.cversion);
    be32_put(p + 40, (uint32_t)st.aversion);
    be64_put(p + 44, (uint64_t)st.ephemeral_owner);
    be32_put(p + 52, (uint32_t)st.data_length);
    be32_put(p + 56, (uint32_t)st.num_children);
    be64_put(p + 60, (uint64_t)st.pzxid);
}

static bool may(const struct tree *t, const struct auth *who, uint32_t h, int32_t perms)
{
    return acl_allows(acl_table_list(t->acls, node_at(t, h)->acl), perms, who, &t->cfg.acl);
}

// The node, if it is there and `who` has any of perms on it.
static enum zkerr find(const struct tree *t, const struct auth *who, struct slice path,
                       int32_t perms, uint32_t *h)
{
    if (!path.p) {
        return ZK_MARSHALLINGERROR;
    }
    *h = tree_find(t, path);
    if (!*h) {
        return ZK_NONODE;
    }
    return may(t, who, *h, perms) ? ZK_OK : ZK_NOAUTH;
}

enum zkerr read_exists(const struct tree *t, const struct auth *who, struct slice path,
                       struct buf *out)
{
    uint32_t h;
    if (path_has_nul(path)) {
        return ZK_BADARGUMENTS;
    }
    enum zkerr e = find(t, who, path, PERM_READ, &h);
    if (!e) {
        put_stat(t, h, out);
    }
    return e;
}

enum zkerr read_data(const struct tree *t, const struct auth *who, struct slice path,
                     struct buf *out)
{
    uint32_t h;
    enum zkerr e = find(t, who, path, PERM_READ, &h);
    if (!e) {
        jute_put_bytes(out, node_data(node_at(t, h)));
        put_stat(t, h, out);
    }
    return e;
}

// Readers without ADMIN do not see the hashes of digest ids.
static void put_acl(struct buf *out, const struct acl *x, bool whole)
{
    struct slice id = x->id.id;
    const uint8_t *colon = id.n ? memchr(id.p, ':', id.n) : NULL;
    buf_put_i32(out, x->perms);
    jute_put_bytes(out, x->id.scheme);
    if (whole || !colon || !slice_eq_str(x->id.scheme, "digest")) {
        jute_put_bytes(out, id);
        return;
    }
    size_t n = (size_t)(colon - id.p);
    buf_put_i32(out, (int32_t)(n + 2));
    buf_put(out, id.p, n);
    buf_put(out, ":x", 2);
}

enum zkerr read_acl(const struct tree *t, const struct auth *who, struct slice path,
                    struct buf *out)
{
    uint32_t h;
    enum zkerr e = find(t, who, path, PERM_READ | PERM_ADMIN, &h);
    if (e) {
        return e;
    }
    const struct acl_vec *v = acl_table_list(t->acls, node_at(t, h)->acl);
    bool whole = may(t, who, h, PERM_ADMIN);
    buf_put_i32(out, v ? v->n : 0);
    for (int32_t i = 0; v && i < v->n; i++) {
        put_acl(out, &v->v[i], whole);
    }
    put_stat(t, h, out);
    return ZK_OK;
}

enum zkerr read_children(const struct tree *t, const struct auth *who, struct slice path,
                         bool with_stat, struct buf *out)
{
    uint32_t h;
    enum zkerr e = find(t, who, path, PERM_READ, &h);
    if (e) {
        return e;
    }
    const struct node *n = node_at(t, h);
    buf_put_i32(out, (int32_t)n->children);
    for (uint32_t c = n->first_child; c; c = node_at(t, c)->next) {
        jute_put_bytes(out, node_name(node_at(t, c)));
    }
    if (with_stat) {
        put_stat(t, h, out);
    }
    return ZK_OK;
}

enum zkerr read_all_children_number(const struct tree *t, const struct auth *who, struct slice path,
                                    struct buf *out)
{
    uint32_t h;
    enum zkerr e = find(t, who, path, PERM_READ, &h);
    if (!e) {
        // Apache's table holds the root twice; asked for "" it counts "/" as a descendant.
        buf_put_i32(out, (int32_t)tree_descendants(t, h) + (path.n == 0));
    }
    return e;
}

static bool is_blank(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] > ' ') {
            return false;
        }
    }
    return true;
}

enum zkerr read_ephemerals(const struct tree *t, int64_t session, struct slice prefix,
                           struct buf *out)
{
    bool all = is_blank(prefix) || slice_eq_str(prefix, "/");
    size_t count_at = out->n;
    int32_t count = 0;
    uint32_t cursor = 0, h;
    buf_put_i32(out, 0);
    while (tree_ephemeral_next(t, session, &cursor, &h)) {
        size_t at = out->n;
        buf_put_i32(out, 0);
        tree_path(t, h, out);
        if (all || slice_has_prefix(slice_of(out->p + at + 4, out->n - at - 4), prefix)) {
            be32_put(out->p + at, (uint32_t)(out->n - at - 4));
            count++;
        } else {
            out->n = at;
        }
    }
    be32_put(out->p + count_at, (uint32_t)count);
    return ZK_OK;
}

static void put_header(struct buf *out, int32_t type, bool done, int32_t err)
{
    buf_put_i32(out, type);
    jute_put_bool(out, done);
    buf_put_i32(out, err);
}

static void put_error(struct buf *out, enum zkerr e)
{
    put_header(out, OP_ERROR, false, e);
    buf_put_i32(out, e);
}

// The answer of one operation: its body, or the error in its place.
static void put_result(const struct tree *t, const struct auth *who, int32_t op, struct slice path,
                       struct buf *out)
{
    size_t at = out->n;
    put_header(out, op, false, 0);
    enum zkerr e =
        op == OP_GET_DATA ? read_data(t, who, path, out) : read_children(t, who, path, false, out);
    if (e) {
        out->n = at;
        put_error(out, e);
    }
}

static bool is_write(int32_t op)
{
    return op == OP_CREATE || op == OP_CREATE2 || op == OP_CREATE_CONTAINER ||
           op == OP_CREATE_TTL || op == OP_DELETE || op == OP_SET_DATA || op == OP_CHECK;
}

enum zkerr read_multi(const struct tree *t, const struct auth *who, struct slice body,
                      struct buf *out)
{
    size_t at = out->n;
    struct jute_in in = jute_in(body, t->cfg.bytes_max);
    for (int i = 0;; i++) {
        struct multi_header h;
        struct path_watch_request r;
        jute_get_record(&in, &record_multi_header, &h, NULL);
        if (!in.err && h.done) {
            put_header(out, OP_ERROR, true, -1);
            return ZK_OK;
        }
        if (h.type == OP_GET_DATA || h.type == OP_GET_CHILDREN) {
            jute_get_record(&in, &record_path_watch_request, &r, NULL);
        } else {
            jute_fail(&in, ERR_UNSUPPORTED);
        }
        if (in.err) {
            out->n = at;
            if (i == 0 && is_write(h.type)) {
                put_header(out, OP_ERROR, true, -1);
            }
            return ZK_MARSHALLINGERROR;
        }
        if (out->n - at < LIMIT_MULTI_READ_BYTES) {
            put_result(t, who, h.type, r.path, out);
        } else {
            put_error(out, ZK_SYSTEMERROR);
        }
    }
}
