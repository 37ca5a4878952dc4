// SPDX-License-Identifier: Apache-2.0
//
// The requests that set, check and remove watches. client-protocol.md 3.11, 6.5, 6.6; Java:
// DataTree.setWatches, FinalRequestProcessor, WatcherOrBitSet modes of 3.9.
#include "serve/core.h"
#include "wire/jute.h"
#include "wire/ops.h"

enum event_type { EVENT_CREATED = 1, EVENT_DELETED, EVENT_DATA, EVENT_CHILDREN };

static void add(struct serve *s, struct conn *c, struct slice path, unsigned mode)
{
    watch_add(s->watches, c->id, path, mode);
    c->has_watches = true;
}

static bool paths_ok(const struct slice_vec *v)
{
    bool ok = v->n >= 0;
    for (int32_t i = 0; ok && i < v->n; i++) {
        ok = !slice_is_null(v->v[i]);
    }
    return ok;
}

// A watch that a client had when it had seen relative_zxid: what it has missed is told at once,
// else it is registered again.
static void set_one(struct serve *s, struct conn *c, int64_t relative_zxid, struct slice path,
                    unsigned mode)
{
    uint32_t node = tree_find(s->tree, path);
    if (!node) {
        notify_one(s, c, EVENT_DELETED, path);
        return;
    }
    struct node_stat st;
    tree_node_stat(s->tree, node, &st);
    if (mode == WATCH_DATA && st.mzxid > relative_zxid) {
        notify_one(s, c, EVENT_DATA, path);
    } else if (mode == WATCH_CHILD && st.pzxid > relative_zxid) {
        notify_one(s, c, EVENT_CHILDREN, path);
    } else {
        add(s, c, path, mode);
    }
}

static void set_all(struct serve *s, struct conn *c, const struct set_watches2 *w)
{
    for (int32_t i = 0; i < w->data.n; i++) {
        set_one(s, c, w->relative_zxid, w->data.v[i], WATCH_DATA);
    }
    for (int32_t i = 0; i < w->exist.n; i++) {
        if (tree_find(s->tree, w->exist.v[i])) {
            notify_one(s, c, EVENT_CREATED, w->exist.v[i]);
        } else {
            add(s, c, w->exist.v[i], WATCH_DATA);
        }
    }
    for (int32_t i = 0; i < w->child.n; i++) {
        set_one(s, c, w->relative_zxid, w->child.v[i], WATCH_CHILD);
    }
    for (int32_t i = 0; i < w->persistent.n; i++) {
        add(s, c, w->persistent.v[i], WATCH_PERSISTENT);
    }
    for (int32_t i = 0; i < w->persistent_recursive.n; i++) {
        add(s, c, w->persistent_recursive.v[i], WATCH_PERSISTENT_RECURSIVE);
    }
}

enum zkerr watchop_set(struct serve *s, struct conn *c, int32_t op, struct slice body)
{
    struct jute_in in = jute_in(body, s->cfg.bytes_max);
    struct set_watches2 w = {0};
    if (op == OP_SET_WATCHES2) {
        jute_get_record(&in, &record_set_watches2, &w, &s->arena);
    } else {
        struct set_watches old;
        jute_get_record(&in, &record_set_watches, &old, &s->arena);
        w.relative_zxid = old.relative_zxid;
        w.data = old.data;
        w.exist = old.exist;
        w.child = old.child;
    }
    if (in.err || !paths_ok(&w.data) || !paths_ok(&w.exist) || !paths_ok(&w.child) ||
        !paths_ok(&w.persistent) || !paths_ok(&w.persistent_recursive)) {
        return ZK_MARSHALLINGERROR;
    }
    set_all(s, c, &w);
    return ZK_OK;
}

enum zkerr watchop_add(struct serve *s, struct conn *c, struct slice body, struct buf *out)
{
    struct jute_in in = jute_in(body, s->cfg.bytes_max);
    struct slice path = jute_get_bytes(&in);
    int32_t mode = jute_get_int(&in);
    if (in.err || slice_is_null(path) || mode < 0 || mode > 1) {
        return ZK_MARSHALLINGERROR;
    }
    add(s, c, path, mode == 0 ? WATCH_PERSISTENT : WATCH_PERSISTENT_RECURSIVE);
    buf_put_i32(out, 0);
    return ZK_OK;
}

enum zkerr watchop_check(struct serve *s, struct conn *c, struct slice body, bool remove)
{
    static const unsigned modes_of[] = {
        [1] = WATCH_CHILD,
        [2] = WATCH_DATA,
        [3] = WATCH_DATA | WATCH_CHILD | WATCH_PERSISTENT | WATCH_PERSISTENT_RECURSIVE,
        [4] = WATCH_PERSISTENT,
        [5] = WATCH_PERSISTENT_RECURSIVE,
    };
    struct jute_in in = jute_in(body, s->cfg.bytes_max);
    struct slice path = jute_get_bytes(&in);
    int32_t type = jute_get_int(&in);
    if (in.err || slice_is_null(path) || type < 1 || type > 5) {
        return ZK_MARSHALLINGERROR;
    }
    if (!(watch_modes(s->watches, c->id, path) & modes_of[type])) {
        return ZK_NOWATCHER;
    }
    if (remove) {
        watch_remove(s->watches, c->id, path, modes_of[type]);
    }
    return ZK_OK;
}
