// SPDX-License-Identifier: Apache-2.0
#include "sim/check_tree.h"

#include <inttypes.h>

#include "base/mem.h"
#include "node/node.h"
#include "sim/client.h"
#include "sim/host.h"
#include "sim/world.h"
#include "tree/tree.h"
#include "wire/txn.h"
#include "zab/zab_role.h"

enum { COMPARE_EVERY = 400, EQUAL_MS = 2000, QUIET_S = 8 };

struct check_tree *check_tree_new(void)
{
    struct check_tree *c = mem_zalloc(sizeof(*c));
    c->model = model_new();
    return c;
}

void check_tree_free(struct check_tree **cp)
{
    struct check_tree *c = *cp;
    *cp = NULL;
    model_free(&c->model);
    arena_fini(&c->arena);
    committed_fini(&c->committed);
    mem_free(c);
}

// ---- one record of the log -------------------------------------------------------------------

static void on_create_session(struct check_tree *c, struct world *w, const struct txn *t)
{
    struct model *m = c->model;
    if (model_session(m, t->hdr.client_id)) {
        report_fail(&w->report, "session 0x%" PRIx64 " is created twice", t->hdr.client_id);
        return;
    }
    mem_grow((void **)&m->sessions, &m->sessions_cap, m->sessions_n + 1, sizeof(*m->sessions));
    m->sessions[m->sessions_n++] =
        (struct model_session){.id = t->hdr.client_id,
                               .created = t->hdr.zxid,
                               .timeout_ms = t->body.create_session.timeout_ms,
                               .heard_host = UINT32_MAX,
                               .heard_ns = hosts_awake_ns(w)};
    m->zxid = t->hdr.zxid;
    w->fig.sessions++;
}

// What a learner hears reaches the leader with the next ping, or never, if the learner goes first
// or is cut off, which either may notice a sync limit later.
static int64_t expiry_slack_ns(const struct world *w, const struct model_session *s, int64_t zxid)
{
    if (w->hosts_n > 1 && zxid_epoch(zxid) != w->check->epoch) {
        return INT64_MAX / 2; // an earlier leader had decided it, and knew less
    }
    const struct host *leader = trail_leader(w);
    if (w->hosts_n == 1 || (leader && leader->index == s->heard_host)) {
        return 0;
    }
    const struct host *h = s->heard_host < w->hosts_n ? w->hosts[s->heard_host] : NULL;
    if (!h || !h->trail.serving || h->trail.since_ns > s->heard_ns) {
        return INT64_MAX / 2;
    }
    bool quiet = w->phase == PHASE_CALM && w->now_ns - w->faults.healed_ns > QUIET_S * SIM_S;
    int64_t ticks = quiet ? 2 : h->cfg.sync_limit + 2;
    return ticks * h->cfg.tick_ms * SIM_MS;
}

static void on_expiry(struct check_tree *c, struct world *w, const struct txn *t)
{
    struct model_session *s = model_session(c->model, t->hdr.client_id);
    if (!s || s->closed) {
        report_fail(&w->report, "expiry of session 0x%" PRIx64 ", which is not alive",
                    t->hdr.client_id);
        return;
    }
    int64_t silence = hosts_awake_ns(w) - s->heard_ns;
    silence = silence > s->gap_ns ? silence : s->gap_ns; // the end of a gap is told late, too
    silence += expiry_slack_ns(w, s, t->hdr.zxid);
    if (silence < s->timeout_ms * SIM_MS) {
        report_fail(&w->report,
                    "session 0x%" PRIx64 " expired, but was never silent for longer than %" PRId64
                    " ms of its %d",
                    s->id, silence / SIM_MS, s->timeout_ms);
    }
    decide_close(c->model, s->id, t->hdr.zxid);
}

// Or that it was closed where it moved to, before a late request over its former server.
static bool says_moved(const struct txn *t, bool closed)
{
    const struct txn_body *b = t->hdr.type == OP_MULTI && t->parts_n ? &t->parts[0] : &t->body;
    for (int32_t i = 1; t->hdr.type == OP_MULTI && i < t->parts_n; i++) {
        b = t->parts[i].type == OP_ERROR && t->parts[i].error.err == ZK_SESSIONMOVED ? &t->parts[i]
                                                                                     : b;
    }
    return b->type == OP_ERROR &&
           (b->error.err == ZK_SESSIONMOVED || (closed && b->error.err == ZK_SESSIONEXPIRED));
}

// An observer master's word for it, when the client moved between it and an observer below it.
static bool says_late(const struct world *w, const struct txn *t)
{
    return w->conf.observer_masters && t->hdr.type == OP_ERROR &&
           t->body.error.err == ZK_BADARGUMENTS;
}

// A request that is still on its way when its client has gone to another server; or that client has
// asked for its session at another server first, and the leader hears of it last (ZOOKEEPER-710).
static bool may_have_moved(const struct world *w, const struct ask *q)
{
    unsigned asked = w->clients[q->who.client]->asked_hosts;
    return w->hosts_n > 1 && !q->decided && (q->state == ASK_LOST || (asked & (asked - 1)));
}

static void on_request(struct check_tree *c, struct world *w, const struct txn *t)
{
    struct ask *q = clients_find(w, t->hdr.client_id, t->hdr.cxid);
    struct model_session *s = model_session(c->model, t->hdr.client_id);
    if (!q || !s) {
        if (t->hdr.type == OP_ERROR &&
            (t->hdr.client_id == 0 || clients_chaos(w, t->hdr.client_id))) {
            c->model->zxid = t->hdr.zxid; // a reaping that came too late; garbage
        } else {
            report_fail(&w->report,
                        "the log has a request nobody made: session 0x%" PRIx64 " cxid %d type %d",
                        t->hdr.client_id, t->hdr.cxid, t->hdr.type);
        }
        return;
    }
    if (says_late(w, t) && may_have_moved(w, q)) {
        q->decided = true;
        q->zxid = t->hdr.zxid;
        q->err = ZK_BADARGUMENTS;
        c->model->zxid = t->hdr.zxid;
        return;
    }
    if (says_moved(t, s->closed) && may_have_moved(w, q)) {
        q->decided = true; // it has no effect
        q->zxid = t->hdr.zxid;
        q->err = s->closed ? ZK_SESSIONEXPIRED : ZK_SESSIONMOVED;
        c->model->zxid = t->hdr.zxid;
        return;
    }
    if (t->hdr.zxid <= q->after_zxid) {
        report_fail(&w->report,
                    "request %d of session 0x%" PRIx64 " is executed at 0x%" PRIx64
                    ", and was sent after the answer to 0x%" PRIx64,
                    q->xid, s->id, t->hdr.zxid, q->after_zxid);
        return;
    }
    bool late_nothing = q->type == OP_MULTI && q->parts_n == 0 && may_have_moved(w, q);
    if (q->decided || q->refused || (q->xid <= s->last_xid && !late_nothing)) {
        report_fail(&w->report, "request %d of session 0x%" PRIx64 " is executed %s", q->xid, s->id,
                    q->decided   ? "twice"
                    : q->refused ? "though it was refused"
                                 : "out of order");
        return;
    }
    s->last_xid = q->xid > s->last_xid ? q->xid : s->last_xid;
    decide(c->model, q, t->hdr.zxid, t->hdr.time);
    bool failed = t->hdr.type == OP_ERROR;
    if (failed != (q->err != ZK_OK) || (failed && t->body.error.err != q->err)) {
        report_fail(&w->report, "request %d of session 0x%" PRIx64 ": the log says %s, expected %s",
                    q->xid, s->id, failed ? zkerr_name(t->body.error.err) : "OK",
                    zkerr_name(q->err));
    }
}

static void say_applied(struct world *w, const struct txn *t)
{
    struct buf text = {0};
    if (!w->report.silent) {
        txn_fmt(&text, t);
        report_line(&w->report, "applied %.*s", (int)text.n, (const char *)text.p);
    }
    buf_fini(&text);
}

void check_tree_record(struct check_tree *c, struct world *w, struct slice entry)
{
    struct txn t;
    enum err e = txn_decode(entry, SIZE_MAX, &c->arena, &t);
    if (e) {
        report_fail(&w->report, "a log record does not decode: %s", err_text(e));
        return;
    }
    say_applied(w, &t);
    w->fig.commits++;
    if (t.hdr.type == OP_CREATE_SESSION) {
        on_create_session(c, w, &t);
    } else if (t.hdr.type == OP_CLOSE_SESSION && t.hdr.cxid == 0) {
        on_expiry(c, w, &t);
    } else if (t.hdr.type == OP_DELETE_CONTAINER) {
        if (!decide_reap(c->model, t.body.del.path, t.hdr.zxid)) {
            report_fail(&w->report, "%.*s is reaped and was not due", SLICE_ARG(t.body.del.path));
        }
    } else {
        on_request(c, w, &t);
    }
    arena_reset(&c->arena);
}

// ---- from the hosts --------------------------------------------------------------------------

void check_tree_follow(struct check_tree *c, struct host *h)
{
    trail_follow(h);
    if (h->trail.serving && ++c->follows % COMPARE_EVERY == 0) {
        check_tree_compare(c, h);
    }
}

void check_tree_boot(struct check_tree *c, struct host *h)
{
    trail_follow(h);
    if (h->trail.serving && !h->w->report.failed) {
        check_tree_compare(c, h);
    }
}

// Its sessions have their full time from now on: nobody could reach this leader before.
void check_tree_lead(struct check_tree *c, struct host *h)
{
    for (size_t i = 0; i < c->model->sessions_n; i++) {
        c->model->sessions[i].heard_ns = hosts_awake_ns(h->w);
        c->model->sessions[i].heard_host = h->index;
        c->model->sessions[i].gap_ns = 0;
    }
}

void check_tree_heard(struct check_tree *c, struct host *h, int64_t session)
{
    struct model_session *s = session ? model_session(c->model, session) : NULL;
    if (s) {
        int64_t awake = hosts_awake_ns(h->w), gap = awake - s->heard_ns;
        s->gap_ns = gap > s->gap_ns ? gap : s->gap_ns;
        s->heard_ns = awake;
        s->heard_host = h->index;
    }
}

void check_tree_told(struct check_tree *c, struct host *h, int64_t zxid)
{
    (void)c;
    trail_claim(h, zxid);
}

void check_tree_equal(struct check_tree *c, struct world *w)
{
    struct host *leader = trail_leader(w);
    if (!leader) {
        report_fail(&w->report, "there is no leader, and nothing is wrong any more");
        return;
    }
    for (uint32_t i = 0; i < w->hosts_n && !w->report.failed; i++) {
        struct host *h = w->hosts[i];
        const struct committed_entry *e = &c->committed.v[h->trail.at];
        if (!h->node || !h->trail.serving) {
            report_fail(&w->report, "host %u does not serve, and nothing is wrong any more", i);
        } else if (h->trail.at < c->committed.n && e->seen_ns + EQUAL_MS * SIM_MS < w->now_ns) {
            report_fail(&w->report,
                        "host %u is at 0x%" PRIx64 ", 0x%" PRIx64 " was applied elsewhere %" PRId64
                        " ms ago, and nothing is wrong any more",
                        i, h->trail.zxid, e->zxid, (w->now_ns - e->seen_ns) / SIM_MS);
        } else {
            check_tree_compare(c, h);
        }
    }
}
