// SPDX-License-Identifier: Apache-2.0
//
// Fired watches -> frames. The frame of a trigger is encoded once; every connection it hits gets
// the same bytes behind its output. client-protocol.md 6.3, 6.4, 1.6; Java: WatchManager
// .triggerWatch, NIOServerCnxn.process.
//
// Notifications cannot be held back by reading less, so a peer that does not take them is cut off
// when LIMIT_CONN_UNSENT_CLOSE of them wait.
#include <inttypes.h>

#include "serve/core.h"
#include "wire/jute.h"

enum { STATE_SYNC_CONNECTED = 3 };

static void encode(struct buf *b, int64_t zxid, int32_t type, struct slice path)
{
    b->n = 0;
    buf_put_i32(b, (int32_t)(28 + path.n));
    buf_put_i32(b, -1);
    buf_put_i64(b, zxid);
    buf_put_i32(b, 0);
    buf_put_i32(b, type);
    buf_put_i32(b, STATE_SYNC_CONNECTED);
    jute_put_bytes(b, path);
}

static void send(struct serve *s, struct conn *c)
{
    size_t n = s->notice.n;
    buf_put(core_conn_out(s, c), s->notice.p, n);
    c->notices += n;
    c->stats.sent++;
    s->stats.sent++;
    s->stats.watch_bytes += (int64_t)n;
    core_order_send(s, c);
    if (c->notices > LIMIT_CONN_UNSENT_CLOSE && c->out.n + c->unsent > LIMIT_CONN_UNSENT_CLOSE) {
        log_warn(s->log,
                 "session 0x%" PRIx64 " does not read its notifications, %zu bytes wait: "
                 "connection closed, the session may come back",
                 (uint64_t)c->session, c->out.n + c->unsent);
        core_close(s, c);
    }
}

void notify_one(struct serve *s, struct conn *c, int32_t type, struct slice path)
{
    if (c->state != CONN_CLOSING) {
        encode(&s->notice, -1, type, path);
        send(s, c);
    }
}

static struct summary *counter(struct serve *s, int32_t type)
{
    switch (type) {
    case 1:
        return &s->stats.watch_created;
    case 2:
        return &s->stats.watch_deleted;
    case 3:
        return &s->stats.watch_changed;
    default:
        return &s->stats.watch_children;
    }
}

static void fire(struct serve *s, int64_t zxid, const struct fired *f)
{
    size_t n = watch_trigger(s->watches, f->list, f->path, &s->hits, &s->hits_cap);
    uint64_t before = s->trigger++;
    if (n == 0) {
        return;
    }
    encode(&s->notice, zxid, f->type, f->path);
    const struct acl_rules *rules = &tree_config(s->tree)->acl;
    struct auth nobody = {NULL, 0};
    bool open = acl_allows(f->acl, PERM_READ, &nobody, rules);
    for (size_t i = 0; i < n; i++) {
        if (i + 4 < n) {
            __builtin_prefetch(conn_get(&s->conns, s->hits[i + 4]));
        }
        struct conn *c = conn_get(&s->conns, s->hits[i]);
        must(c != NULL);
        bool again = f->unless_data && c->served == before;
        if (c->state == CONN_CLOSING || again) {
            continue;
        }
        c->served = s->trigger;
        if (open || acl_allows(f->acl, PERM_READ, c->auth, rules)) {
            send(s, c);
        }
    }
    summary_add(counter(s, f->type), (int64_t)n);
}

void notify_fire(struct serve *s, int64_t zxid, const struct apply_out *out)
{
    for (int32_t i = 0; i < out->fired_n; i++) {
        fire(s, zxid, &out->fired[i]);
    }
}
