// SPDX-License-Identifier: Apache-2.0
//
// The server's tree against the model, node by node.
#include <inttypes.h>

#include "base/hash.h"
#include "node/node.h"
#include "sim/check_tree.h"
#include "sim/host.h"
#include "sim/world.h"
#include "tree/tree.h"

static bool same_acl(const struct tree *t, uint32_t node, struct acl_vec want)
{
    int32_t id = tree_node_acl(t, node);
    const struct acl_vec *have = id == ACL_ID_OPEN ? NULL : acl_table_list(tree_acls(t), id);
    if (!have) {
        return id == ACL_ID_OPEN && want.n == 1 && want.v[0].perms == PERM_ALL &&
               slice_eq_str(want.v[0].id.scheme, "world");
    }
    if (have->n != want.n) {
        return false;
    }
    for (int32_t i = 0; i < want.n; i++) {
        if (have->v[i].perms != want.v[i].perms ||
            !slice_eq(have->v[i].id.scheme, want.v[i].id.scheme) ||
            !slice_eq(have->v[i].id.id, want.v[i].id.id)) {
            return false;
        }
    }
    return true;
}

static bool same_stat(const struct node_stat *a, const struct node_stat *b)
{
    return a->czxid == b->czxid && a->mzxid == b->mzxid && a->ctime == b->ctime &&
           a->mtime == b->mtime && a->version == b->version && a->cversion == b->cversion &&
           a->aversion == b->aversion && a->ephemeral_owner == b->ephemeral_owner &&
           a->data_length == b->data_length && a->num_children == b->num_children &&
           a->pzxid == b->pzxid;
}

static void compare_node(struct check_tree *c, struct host *h, struct slice path,
                         const struct model_version *v)
{
    const struct tree *t = node_tree(h->node);
    int64_t zxid = tree_zxid(t);
    struct report *r = &h->w->report;
    uint32_t node = tree_find(t, path);
    if (!node) {
        report_fail(r, "%.*s is missing from the tree at 0x%" PRIx64, SLICE_ARG(path), zxid);
        return;
    }
    struct node_stat have, want;
    tree_node_stat(t, node, &have);
    model_stat(c->model, path, zxid, &want);
    if (!same_stat(&have, &want)) {
        report_fail(r,
                    "stat of %.*s differs from the model's: version %d for %d, cversion %d for "
                    "%d, pzxid 0x%" PRIx64 " for 0x%" PRIx64 ", mzxid 0x%" PRIx64 " for 0x%" PRIx64
                    ", czxid 0x%" PRIx64 " for 0x%" PRIx64,
                    SLICE_ARG(path), have.version, want.version, have.cversion, want.cversion,
                    have.pzxid, want.pzxid, have.mzxid, want.mzxid, have.czxid, want.czxid);
    }
    if (!slice_eq(tree_node_data(t, node), v->data)) {
        report_fail(r, "data of %.*s differs from the model's (%zu bytes for %zu)", SLICE_ARG(path),
                    tree_node_data(t, node).n, v->data.n);
    }
    if (!same_acl(t, node, v->acl)) {
        report_fail(r, "ACL of %.*s differs from the model's", SLICE_ARG(path));
    }
}

// disk-format.md 4.
static uint64_t digest_of(struct slice path, const struct model_version *v)
{
    uint8_t tail[60];
    int64_t owner = v->kind == MODEL_EPHEMERAL   ? v->session
                    : v->kind == MODEL_CONTAINER ? INT64_MIN
                    : v->kind == MODEL_TTL ? (int64_t)(0xff00000000000000u | (uint64_t)v->ttl_ms)
                                           : 0;
    const int64_t longs[] = {v->czxid, v->mzxid, v->pzxid, v->ctime, v->mtime};
    for (size_t i = 0; i < 5; i++) {
        be64_put(tail + 8 * i, (uint64_t)longs[i]);
    }
    be32_put(tail + 40, (uint32_t)v->version);
    be32_put(tail + 44, (uint32_t)v->creations);
    be32_put(tail + 48, (uint32_t)v->aversion);
    be64_put(tail + 52, (uint64_t)owner);
    uint32_t crc = HASH_CRC_INIT;
    if (path.n > 1) { // the root's name is empty
        crc = hash_crc32(crc, path);
    }
    if (v->data.n) {
        crc = hash_crc32(crc, v->data);
    }
    return hash_crc32(crc, slice_of(tail, sizeof(tail)));
}

static void compare_sessions(struct check_tree *c, struct host *h)
{
    const struct session_table *t = tree_sessions_const(node_tree(h->node));
    int64_t zxid = tree_zxid(node_tree(h->node));
    size_t alive = 0;
    for (size_t i = 0; i < c->model->sessions_n; i++) {
        const struct model_session *s = &c->model->sessions[i];
        int32_t timeout_ms;
        bool lives = s->created <= zxid && (!s->closed || s->closed > zxid);
        alive += lives;
        if (session_get(t, s->id, &timeout_ms) != lives) {
            report_fail(&h->w->report, "session 0x%" PRIx64 " is %s, and the server has it %s",
                        s->id, lives ? "alive" : "closed", lives ? "no more" : "still");
        } else if (lives && timeout_ms != s->timeout_ms) {
            report_fail(&h->w->report, "session 0x%" PRIx64 " has timeout %d, was %d", s->id,
                        timeout_ms, s->timeout_ms);
        }
    }
    if (alive != session_count(t)) {
        report_fail(&h->w->report, "%zu sessions are alive, the server has %zu", alive,
                    session_count(t));
    }
}

void check_tree_compare(struct check_tree *c, struct host *h)
{
    const struct tree *t = node_tree(h->node);
    const struct model *m = c->model;
    struct report *r = &h->w->report;
    uint64_t digest = 0;
    int64_t zxid = tree_zxid(t);
    size_t n = 0;
    for (size_t i = 0; i < m->nodes_n && !r->failed; i++) {
        struct slice path = m->nodes[i]->path;
        const struct model_version *v = model_at(m, path, zxid);
        if (v) {
            n++;
            if (h->w->hosts_n == 1 || !slice_eq_str(path, "/zookeeper/config")) {
                compare_node(c, h, path, v); // an ensemble keeps its members there
            }
            digest += slice_has_prefix(path, SLICE_LIT("/zookeeper/")) ? 0 : digest_of(path, v);
        }
    }
    if (r->failed) {
        return;
    }
    if (tree_node_count(t) != n + 1) {
        report_fail(r, "the tree has %zu nodes, expected %zu", tree_node_count(t) - 1, n);
    } else if (tree_digest(t) != digest) {
        report_fail(r, "the digest of the tree is %" PRIu64 ", expected %" PRIu64, tree_digest(t),
                    digest);
    } else if (tree_digest_mismatches(t)) {
        report_fail(r, "the server counted %" PRId64 " digest mismatches",
                    tree_digest_mismatches(t));
    }
    compare_sessions(c, h);
    node_check(h->node);
}

void check_tree_end(struct check_tree *c, struct world *w)
{
    const struct model *m = c->model;
    for (size_t i = 0; i < m->sessions_n; i++) {
        if (!m->sessions[i].closed) {
            report_fail(&w->report, "session 0x%" PRIx64 " was left long ago and has not expired",
                        m->sessions[i].id);
        }
    }
    for (size_t i = 0; i < m->nodes_n; i++) {
        const struct model_version *v = model_at(m, m->nodes[i]->path, m->zxid);
        if (v && v->kind == MODEL_EPHEMERAL) {
            report_fail(&w->report, "%.*s outlives its session", SLICE_ARG(m->nodes[i]->path));
        }
    }
}
