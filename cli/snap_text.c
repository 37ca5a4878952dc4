// SPDX-License-Identifier: Apache-2.0
#include "cli/snap_text.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cli/offline_text.h"
#include "tree/node.h"

static const struct acl_vec *acl_of(const struct tree *t, const struct data_node *d)
{
    static struct acl open[1] = {
        {PERM_ALL, {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}}};
    static const struct acl_vec everybody = {open, 1};
    return d->acl == ACL_ID_OPEN ? &everybody : acl_table_list(tree_acls(t), (int32_t)d->acl);
}

// The tree made /zookeeper/config if the file has none.
static int32_t children_of(const struct snap_walk *w, const struct node_stat *st)
{
    bool hidden = w->file->hide_config && slice_eq_str(buf_slice(&w->path), "/zookeeper");
    return st->num_children - hidden;
}

static void put_owner(struct buf *b, const struct tree *t, int64_t owner)
{
    switch (owner_kind(tree_config(t), owner)) {
    case NODE_PLAIN:
        break;
    case NODE_CONTAINER:
        buf_fmt(b, " container");
        break;
    case NODE_TTL:
        buf_fmt(b, " ttl=%" PRId64 "ms", owner_ttl_ms(owner));
        break;
    default:
        buf_fmt(b, " ephemeral=0x%" PRIx64, (uint64_t)owner);
        break;
    }
}

void snap_text_node(struct buf *b, const struct snap_walk *w, bool data)
{
    const struct tree *t = w->file->tree;
    struct data_node d;
    struct node_stat st;
    tree_node_stored(t, w->node, &d);
    tree_node_stat(t, w->node, &st);
    offline_escaped(b, buf_slice(&w->path));
    buf_fmt(b,
            " bytes=%zu children=%" PRId32 " version=%" PRId32 " cversion=%" PRId32
            " aversion=%" PRId32 " czxid=0x%" PRIx64 " mzxid=0x%" PRIx64 " pzxid=0x%" PRIx64,
            d.data.n, children_of(w, &st), d.version, st.cversion, d.aversion, (uint64_t)d.czxid,
            (uint64_t)d.mzxid, (uint64_t)d.pzxid);
    buf_fmt(b, " ctime=");
    offline_time(b, d.ctime);
    buf_fmt(b, " mtime=");
    offline_time(b, d.mtime);
    put_owner(b, t, d.ephemeral_owner);
    const struct acl_vec *acl = acl_of(t, &d);
    if (!acl) {
        buf_fmt(b, " acl=?"); // a fuzzy snapshot: the log behind it names it
    } else if (d.acl != ACL_ID_OPEN) {
        buf_fmt(b, " acl=");
        offline_acl(b, acl);
    }
    if (data) {
        buf_fmt(b, " data=");
        offline_base64(b, d.data);
    }
    buf_fmt(b, "\n");
}

// ---- sessions -----------------------------------------------------------------------------------

static int by_id(const void *a, const void *b)
{
    const struct snap_session *x = a, *y = b;
    return ((uint64_t)x->id > (uint64_t)y->id) - ((uint64_t)x->id < (uint64_t)y->id);
}

struct snap_session *snap_sessions(const struct snap_file *f, size_t *n)
{
    const struct session_table *table = tree_sessions_const(f->tree);
    struct snap_session *v = mem_alloc((session_count(table) + 1) * sizeof(*v));
    size_t cursor = 0;
    *n = 0;
    while (session_next(table, &cursor, &v[*n].id, &v[*n].timeout_ms)) {
        uint32_t at = 0, node;
        v[*n].ephemerals = 0;
        while (tree_ephemeral_next(f->tree, v[*n].id, &at, &node)) {
            v[*n].ephemerals++;
        }
        ++*n;
    }
    qsort(v, *n, sizeof(*v), by_id);
    return v;
}

void snap_text_sessions(struct buf *b, const struct snap_file *f)
{
    size_t n;
    struct snap_session *v = snap_sessions(f, &n);
    for (size_t i = 0; i < n; i++) {
        buf_fmt(b, "session 0x%" PRIx64 " timeout=%" PRId32 "ms ephemerals=%" PRIu64 "\n",
                (uint64_t)v[i].id, v[i].timeout_ms, v[i].ephemerals);
    }
    mem_free(v);
}

void snap_text_sessions_json(struct buf *b, const struct snap_file *f)
{
    size_t n;
    struct snap_session *v = snap_sessions(f, &n);
    buf_fmt(b, "[");
    for (size_t i = 0; i < n; i++) {
        buf_fmt(
            b, "%s{\"id\":\"0x%" PRIx64 "\",\"timeout_ms\":%" PRId32 ",\"ephemerals\":%" PRIu64 "}",
            i ? "," : "", (uint64_t)v[i].id, v[i].timeout_ms, v[i].ephemerals);
    }
    buf_fmt(b, "]");
    mem_free(v);
}

// ---- the file -----------------------------------------------------------------------------------

void snap_text_head(struct buf *b, const struct snap_file *f, const char *path)
{
    static const char *const packed[] = {"", ", gzip", ", snappy"};
    buf_fmt(b, "%s: %" PRIu64 " nodes, %" PRIu64 " sessions", path, f->nodes, f->sessions);
    if (f->zxid >= 0) {
        buf_fmt(b, ", zxid 0x%" PRIx64, (uint64_t)f->zxid);
    }
    if (f->info.has_digest) {
        buf_fmt(b, ", digest %" PRId64 " at 0x%" PRIx64, (int64_t)f->info.digest,
                (uint64_t)f->info.digest_zxid);
    }
    buf_fmt(b, "%s\n", packed[f->packed]);
}

void snap_text_node_json(struct buf *b, const struct snap_walk *w)
{
    const struct tree *t = w->file->tree;
    struct data_node d;
    struct node_stat st;
    tree_node_stored(t, w->node, &d);
    tree_node_stat(t, w->node, &st);
    buf_fmt(b, "{\"path\":");
    offline_json(b, buf_slice(&w->path));
    buf_fmt(b, ",");
    offline_json_data(b, d.data);
    const struct acl_vec *acl = acl_of(t, &d);
    if (acl) {
        buf_fmt(b, ",\"acl\":");
        offline_json_acl(b, acl);
    }
    enum node_kind kind = owner_kind(tree_config(t), d.ephemeral_owner);
    if (kind == NODE_TTL) {
        buf_fmt(b, ",\"ttl_ms\":%" PRId64, owner_ttl_ms(d.ephemeral_owner));
    } else if (kind != NODE_PLAIN) {
        buf_fmt(b, kind == NODE_CONTAINER ? ",\"container\":true" : ",\"ephemeral\":true");
    }
    buf_fmt(b,
            ",\"stat\":{\"cZxid\":\"0x%" PRIx64 "\",\"ctime\":%" PRId64 ",\"mZxid\":\"0x%" PRIx64
            "\",\"mtime\":%" PRId64 ",\"pZxid\":\"0x%" PRIx64 "\",\"cversion\":%" PRId32,
            (uint64_t)d.czxid, d.ctime, (uint64_t)d.mzxid, d.mtime, (uint64_t)d.pzxid, st.cversion);
    buf_fmt(b,
            ",\"dataVersion\":%" PRId32 ",\"aclVersion\":%" PRId32
            ",\"ephemeralOwner\":\"0x%" PRIx64 "\",\"dataLength\":%zu,\"numChildren\":%" PRId32
            "}}",
            d.version, d.aversion, (uint64_t)d.ephemeral_owner, d.data.n, children_of(w, &st));
}
