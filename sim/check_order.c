// SPDX-License-Identifier: Apache-2.0
//
// Replies: in the order of the requests, with zxids that never go back, whichever server answers,
// never run ahead of what has been committed, and never lag behind what this server had applied
// when the request was sent. A sync's answer knows every write that had been answered, to anybody,
// when it was asked. What a reply says must be what the model says at its zxid.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "sim/check_tree.h"
#include "sim/client.h"
#include "sim/host.h"
#include "sim/world.h"
#include "wire/jute.h"
#include "zab/zab_role.h"

enum { RECENT_S = 10 };

static int compare_slices(const void *pa, const void *pb)
{
    const struct slice *a = pa, *b = pb;
    size_t n = a->n < b->n ? a->n : b->n;
    int c = n ? memcmp(a->p, b->p, n) : 0;
    return c ? c : a->n < b->n ? -1 : a->n > b->n;
}

// A reply that begins with a list of names, which may come in any order: in the model's order.
static struct slice sorted(struct slice body, struct arena *a)
{
    struct jute_in in = jute_in(body, SIZE_MAX);
    int32_t n = jute_get_count(&in, 4);
    if (in.err || n < 0) {
        return body;
    }
    struct slice *v = arena_alloc(a, (size_t)n * sizeof(*v) + 1);
    for (int32_t i = 0; i < n; i++) {
        v[i] = jute_get_bytes(&in);
    }
    if (in.err) {
        return body;
    }
    qsort(v, (size_t)n, sizeof(*v), compare_slices);
    struct buf b = {0};
    buf_put_i32(&b, n);
    for (int32_t i = 0; i < n; i++) {
        jute_put_bytes(&b, v[i]);
    }
    buf_put(&b, in.p, jute_left(&in));
    struct slice out = arena_copy(a, buf_slice(&b));
    buf_fini(&b);
    return out;
}

static bool names_come_first(int32_t type)
{
    return type == OP_GET_CHILDREN || type == OP_GET_CHILDREN2 || type == OP_GET_EPHEMERALS;
}

static void fail_reply(struct client *c, const struct ask *q, const char *what, int64_t have,
                       int64_t want)
{
    char text[160];
    ask_fmt(q, text, sizeof(text));
    report_fail(&c->w->report, "client %u: %s of the reply to %s is %" PRId64 ", expected %" PRId64,
                c->index, what, text, have, want);
}

static void compare_body(struct client *c, const struct ask *q, struct slice have,
                         struct slice want)
{
    if (have.n != want.n) {
        fail_reply(c, q, "the length", (int64_t)have.n, (int64_t)want.n);
        return;
    }
    for (size_t i = 0; i < have.n; i++) {
        if (have.p[i] != want.p[i]) {
            char what[64];
            snprintf(what, sizeof(what), "byte %zu of %zu", i, have.n);
            fail_reply(c, q, what, have.p[i], want.p[i]);
            return;
        }
    }
}

// A refusal is right only if the disk was full lately, or the session was closing.
static bool may_be_refused(const struct client *c, const struct ask *q, int32_t err)
{
    const struct world *w = c->w;
    if (err == ZK_SYSTEMERROR) {
        for (uint32_t i = 0; i < w->hosts_n; i++) {
            const struct host *h = w->hosts[i];
            if (h->full_now || h->full_end_ns + RECENT_S * SIM_S > q->sent_ns) {
                return true;
            }
        }
        return false;
    }
    return err == ZK_SESSIONEXPIRED && c->closing;
}

static void check_write(struct client *c, struct ask *q, const struct reply_header *h,
                        struct slice body)
{
    if (!q->decided && may_be_refused(c, q, h->err)) {
        q->refused = true;
    } else if (!q->decided) {
        fail_reply(c, q, "the log has nothing of it, the error", h->err, 0);
    } else if (h->zxid != q->zxid) {
        fail_reply(c, q, "the zxid", h->zxid, q->zxid);
    } else if (h->err != q->err) {
        fail_reply(c, q, "the error", h->err, q->err);
    } else {
        struct check_tree *check = c->w->check;
        check->answered = q->zxid > check->answered ? q->zxid : check->answered;
        compare_body(c, q, body, q->err ? SLICE_LIT("") : q->body);
    }
}

static void check_read(struct client *c, struct ask *q, const struct reply_header *h,
                       struct slice body, int32_t watch_err)
{
    struct arena a = {0};
    struct buf want = {0};
    int32_t err = answer(c->w->check->model, q, h->zxid, &a, &want);
    err = watch_err ? watch_err : err;
    if (h->err != err) {
        fail_reply(c, q, "the error", h->err, err);
    } else if (err) {
        compare_body(c, q, body, SLICE_LIT(""));
    } else {
        compare_body(c, q, names_come_first(q->type) ? sorted(body, &a) : body,
                     names_come_first(q->type) ? sorted(buf_slice(&want), &a) : buf_slice(&want));
    }
    buf_fini(&want);
    arena_fini(&a);
}

// A learner that was sent a snapshot names it by the new epoch's first zxid, which is no
// transaction; the others name the last one until there is another.
static bool is_back(const struct client *c, int64_t zxid)
{
    const struct committed *h = &c->w->check->committed;
    return zxid < c->last_zxid && (zxid_counter(c->last_zxid) ||
                                   committed_count(h, zxid) < committed_count(h, c->last_zxid));
}

static void check_zxid(struct client *c, const struct ask *q, int64_t zxid)
{
    check_tree_told(c->w->check, c->w->hosts[c->host], zxid);
    if (is_back(c, zxid)) {
        fail_reply(c, q, "it goes back in time: the zxid", zxid, c->last_zxid);
    } else if (zxid > c->w->check->model->zxid && zxid_counter(zxid)) {
        fail_reply(c, q, "nobody applied it: the zxid", zxid, c->w->check->model->zxid);
    } else if (zxid < q->sent_zxid) {
        fail_reply(c, q, "it is older than the request: the zxid", zxid, q->sent_zxid);
    } else if (q->type == OP_SYNC && zxid < q->after_zxid) {
        fail_reply(c, q, "a write was answered before this was asked: the zxid", zxid,
                   q->after_zxid);
    }
    c->last_zxid = zxid > c->last_zxid ? zxid : c->last_zxid;
}

static void on_reply(struct client *c, struct ask *q, const struct reply_header *h,
                     struct slice body)
{
    struct world *w = c->w;
    q->state = ASK_ANSWERED;
    w->fig.replies++;
    c->answered++;
    if (q->type == OP_AUTH) {
        if (h->zxid != 0 || h->err != ZK_OK) {
            fail_reply(c, q, "the error", h->err, ZK_OK);
        }
        return;
    }
    check_zxid(c, q, h->zxid);
    if (w->report.failed) {
        return;
    }
    int32_t watch_err =
        watcher_on_reply(&c->watcher, w->check->model, q, h->zxid, h->err, &w->report);
    if (w->report.failed) {
        return;
    }
    if (h->err == ZK_SESSIONEXPIRED && c->closing) {
        q->refused = !q->decided; // asked behind the end of its own session
    } else if (ask_is_write(q)) {
        check_write(c, q, h, body);
    } else {
        check_read(c, q, h, body, watch_err);
    }
}

static void on_notification(struct client *c, const struct reply_header *h, struct slice body)
{
    struct world *w = c->w;
    struct arena a = {0};
    struct jute_in in = jute_in(body, SIZE_MAX);
    struct watcher_event e;
    jute_get_record(&in, &record_watcher_event, &e, &a);
    arena_fini(&a);
    if (in.err || jute_left(&in) || h->err || e.state != 3) {
        report_fail(&w->report, "client %u gets a notification it cannot read", c->index);
        return;
    }
    w->fig.notifications++;
    if (h->zxid != -1) {
        check_tree_told(w->check, w->hosts[c->host], h->zxid);
        if (h->zxid < c->last_zxid || h->zxid > w->check->model->zxid) {
            report_fail(&w->report,
                        "client %u gets a notification of 0x%" PRIx64 " after 0x%" PRIx64, c->index,
                        (uint64_t)h->zxid, (uint64_t)c->last_zxid);
            return;
        }
        c->last_zxid = h->zxid;
    }
    watcher_on_event(&c->watcher, w->check->model, h->zxid, e.type, e.path, &w->report);
}

// The request a reply belongs to: the oldest one; identities are answered out of order.
static struct ask *take(struct client *c, int32_t xid)
{
    size_t i = c->first;
    while (xid == XID_AUTH && i < c->asks_n && c->asks[i]->type != OP_AUTH) {
        i++;
    }
    if (i == c->asks_n) {
        report_fail(&c->w->report, "client %u gets a reply with xid %d and has asked nothing",
                    c->index, xid);
        return NULL;
    }
    struct ask *q = c->asks[i];
    if (q->xid != xid) {
        report_fail(&c->w->report, "client %u gets a reply with xid %d, expected %d", c->index, xid,
                    q->xid);
        return NULL;
    }
    memmove(c->asks + c->first + 1, c->asks + c->first, (i - c->first) * sizeof(c->asks[0]));
    c->asks[c->first++] = q;
    return q;
}

void check_order_frame(struct client *c, struct slice frame)
{
    struct arena a = {0};
    struct jute_in in = jute_in(frame, SIZE_MAX);
    struct reply_header h;
    jute_get_record(&in, &record_reply_header, &h, &a);
    arena_fini(&a);
    if (in.err) {
        report_fail(&c->w->report, "client %u gets a frame of %zu bytes", c->index, frame.n);
        return;
    }
    struct slice body = slice_of(in.p, jute_left(&in));
    report_line(&c->w->report, "client %u gets xid %d zxid 0x%" PRIx64 " err %d, %zu bytes",
                c->index, h.xid, (uint64_t)h.zxid, h.err, body.n);
    if (h.xid == XID_EVENT) {
        on_notification(c, &h, body);
        return;
    }
    struct ask *q = take(c, h.xid);
    if (q) {
        on_reply(c, q, &h, body);
    }
}
