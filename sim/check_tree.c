// SPDX-License-Identifier: Apache-2.0
#include "sim/check_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "disk/logfile.h"
#include "node/node.h"
#include "sim/client.h"
#include "sim/host.h"
#include "sim/world.h"
#include "tree/tree.h"
#include "wire/txn.h"

enum { COMPARE_EVERY = 400, PATH_LEN = 128 };

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
    mem_free(c->sums);
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
                               .heard_ns = hosts_awake_ns(w)};
    m->zxid = t->hdr.zxid;
    w->fig.sessions++;
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
    silence = silence > s->gap_ns ? silence : s->gap_ns;
    if (silence < s->timeout_ms * SIM_MS) {
        report_fail(&w->report,
                    "session 0x%" PRIx64 " expired, but was never silent for longer than %" PRId64
                    " ms of its %d",
                    s->id, silence / SIM_MS, s->timeout_ms);
    }
    decide_close(c->model, s->id, t->hdr.zxid);
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
    if (q->decided || q->refused || q->xid <= s->last_xid) {
        report_fail(&w->report, "request %d of session 0x%" PRIx64 " is executed %s", q->xid, s->id,
                    q->decided   ? "twice"
                    : q->refused ? "though it was refused"
                                 : "out of order");
        return;
    }
    s->last_xid = q->xid;
    decide(c->model, q, t->hdr.zxid, t->hdr.time);
    bool failed = t->hdr.type == OP_ERROR;
    if (failed != (q->err != ZK_OK) || (failed && t->body.error.err != q->err)) {
        report_fail(&w->report, "request %d of session 0x%" PRIx64 ": the log says %s, expected %s",
                    q->xid, s->id, failed ? zkerr_name(t->body.error.err) : "OK",
                    zkerr_name(q->err));
    }
}

static void on_record(struct check_tree *c, struct world *w, struct slice entry)
{
    struct txn t;
    enum err e = txn_decode(entry, SIZE_MAX, &c->arena, &t);
    if (e) {
        report_fail(&w->report, "a log record does not decode: %s", err_text(e));
        return;
    }
    if (t.hdr.zxid != c->model->zxid + 1) {
        report_fail(&w->report, "zxid 0x%" PRIx64 " follows 0x%" PRIx64 " in the log", t.hdr.zxid,
                    c->model->zxid);
        return;
    }
    struct buf text = {0};
    txn_fmt(&text, &t);
    report_line(&w->report, "applied %.*s", (int)text.n, (const char *)text.p);
    buf_fini(&text);
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

// ---- following the log -----------------------------------------------------------------------

struct search {
    uint64_t at_most, best;
};

static void consider(void *ctx, const char *name, uint64_t size)
{
    struct search *s = ctx;
    char *end;
    (void)size;
    if (strncmp(name, "log.", 4) != 0) {
        return;
    }
    uint64_t z = strtoull(name + 4, &end, 16);
    if (*end == 0 && end != name + 4 && z <= s->at_most && z > s->best) {
        s->best = z;
    }
}

static struct slice log_bytes(struct host *h, uint64_t name)
{
    char path[PATH_LEN];
    snprintf(path, sizeof(path), "%s/version-2/log.%" PRIx64, h->cfg.data_log_dir, name);
    return crashdisk_peek(h->disk, path);
}

static uint64_t newest_log(struct host *h, uint64_t at_most)
{
    char dir[PATH_LEN];
    snprintf(dir, sizeof(dir), "%s/version-2", h->cfg.data_log_dir);
    struct search s = {at_most, 0};
    crashdisk_each(h->disk, dir, consider, &s);
    return s.best;
}

// The next record of the log, wherever it is; false: there is none.
static bool next_record(struct check_tree *c, struct host *h, struct slice *entry)
{
    for (int tries = 0; tries < 2; tries++) {
        struct slice bytes = c->file ? log_bytes(h, c->file) : SLICE_NULL;
        size_t used;
        if (bytes.n > c->off && c->off >= LOGFILE_HEADER_LEN &&
            logfile_next(slice_skip(bytes, c->off), SIZE_MAX / 2, entry, &used) == LOGFILE_RECORD) {
            c->off += used;
            return true;
        }
        uint64_t best = newest_log(h, (uint64_t)c->model->zxid + 1);
        if (best == c->file) {
            return false;
        }
        c->file = best;
        c->off = LOGFILE_HEADER_LEN;
    }
    return false;
}

// A record is the same whenever it is read again.
static void check_sum(struct check_tree *c, struct world *w, int64_t zxid, struct slice entry)
{
    mem_grow((void **)&c->sums, &c->sums_cap, (size_t)zxid + 1, sizeof(*c->sums));
    uint32_t sum = hash_crc32(HASH_CRC_INIT, entry);
    if (zxid > c->model->zxid) {
        c->sums[zxid] = sum;
    } else if (c->sums[zxid] != sum) {
        report_fail(&w->report, "record 0x%" PRIx64 " of the log is not what it was", zxid);
    }
}

static void follow(struct check_tree *c, struct host *h, int64_t to)
{
    struct world *w = h->w;
    while (c->model->zxid < to && !w->report.failed) {
        struct slice entry;
        struct txn_header hdr;
        if (!next_record(c, h, &entry) || txn_decode_header(entry, &hdr) != ERR_OK) {
            report_fail(&w->report,
                        "host %u has applied 0x%" PRIx64 ", and its log ends at 0x%" PRIx64,
                        h->index, to, c->model->zxid);
            return;
        }
        check_sum(c, w, hdr.zxid, entry);
        if (hdr.zxid > c->model->zxid) {
            on_record(c, w, entry);
        }
    }
}

void check_tree_follow(struct check_tree *c, struct host *h)
{
    int64_t to = tree_zxid(node_tree(h->node));
    if (to > c->model->zxid) {
        follow(c, h, to);
    }
    if (++c->follows % COMPARE_EVERY == 0) {
        check_tree_compare(c, h);
    }
}

void check_tree_boot(struct check_tree *c, struct host *h)
{
    struct world *w = h->w;
    int64_t to = tree_zxid(node_tree(h->node));
    if (to < c->model->zxid) {
        report_fail(&w->report,
                    "host %u recovered up to 0x%" PRIx64 ", but 0x%" PRIx64 " had been applied",
                    h->index, to, c->model->zxid);
        return;
    }
    c->file = 0;
    follow(c, h, to);
    check_tree_compare(c, h);
    for (size_t i = 0; i < c->model->sessions_n; i++) {
        c->model->sessions[i].heard_ns = hosts_awake_ns(w);
        c->model->sessions[i].gap_ns = 0;
    }
}

void check_tree_heard(struct check_tree *c, struct world *w, int64_t session)
{
    struct model_session *s = session ? model_session(c->model, session) : NULL;
    if (s) {
        int64_t awake = hosts_awake_ns(w), gap = awake - s->heard_ns;
        s->gap_ns = gap > s->gap_ns ? gap : s->gap_ns;
        s->heard_ns = awake;
    }
}
