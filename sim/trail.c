// SPDX-License-Identifier: Apache-2.0
#include "sim/trail.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "disk/logfile.h"
#include "node/node.h"
#include "sim/check_tree.h"
#include "sim/host.h"
#include "sim/world.h"
#include "tree/tree.h"
#include "wire/txn.h"
#include "zab/zab_role.h"

enum { PATH_LEN = 128 };

// ---- log files -------------------------------------------------------------------------------

struct search {
    uint64_t limit;
    bool above; // the lowest name above the limit, else the highest up to it
    uint64_t best;
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
    if (*end != 0 || end == name + 4 || (z > s->limit) != s->above) {
        return;
    }
    if (s->best == 0 || (s->above ? z < s->best : z > s->best)) {
        s->best = z;
    }
}

static uint64_t find_log(struct host *h, uint64_t limit, bool above)
{
    char dir[PATH_LEN];
    struct search s = {limit, above, 0};
    snprintf(dir, sizeof(dir), "%s/version-2", h->cfg.data_log_dir);
    crashdisk_each(h->disk, dir, consider, &s);
    return s.best;
}

static struct slice log_bytes(struct host *h, uint64_t name)
{
    char path[PATH_LEN];
    snprintf(path, sizeof(path), "%s/version-2/log.%" PRIx64, h->cfg.data_log_dir, name);
    return crashdisk_peek(h->disk, path);
}

static struct log_cursor cursor_at(struct host *h, int64_t zxid)
{
    return (struct log_cursor){find_log(h, (uint64_t)zxid, false), LOGFILE_HEADER_LEN};
}

// The next record of the host's log; false: there is none.
static bool next_record(struct host *h, struct log_cursor *c, struct slice *record, int64_t *zxid)
{
    for (;;) {
        struct slice bytes = c->file ? log_bytes(h, c->file) : SLICE_NULL;
        struct txn_header hdr;
        size_t used;
        if (bytes.n > c->off && logfile_next(slice_skip(bytes, c->off), SIZE_MAX / 2, record,
                                             &used) == LOGFILE_RECORD) {
            c->off += used;
            *zxid = txn_decode_header(*record, &hdr) == ERR_OK ? hdr.zxid : INT64_MAX;
            return true;
        }
        uint64_t next = find_log(h, c->file, true);
        if (!next) {
            return false;
        }
        *c = (struct log_cursor){next, LOGFILE_HEADER_LEN};
    }
}

static bool log_reaches(struct host *h, struct log_cursor c, int64_t to)
{
    struct slice record;
    int64_t zxid = 0;
    while (zxid < to && next_record(h, &c, &record, &zxid)) {
    }
    return zxid == to;
}

// ---- the history -----------------------------------------------------------------------------

static struct committed_entry describe(struct host *h, struct slice record, int64_t zxid)
{
    struct arena a = {0};
    struct txn t;
    struct committed_entry e = {zxid, committed_sum(record), false, 0, h->w->now_ns, h->index};
    if (txn_decode(record, SIZE_MAX, &a, &t) == ERR_OK && t.has_digest) {
        e.has_digest = true;
        e.digest = (uint64_t)t.digest.digest;
    }
    arena_fini(&a);
    return e;
}

// A record that the host counts as applied: the history has it, or it is the next one there.
static void on_record(struct host *h, struct slice record, int64_t zxid)
{
    struct world *w = h->w;
    struct committed *all = &w->check->committed;
    int64_t end = committed_end(all);
    if (zxid <= end) {
        size_t n = committed_count(all, zxid);
        if (n == 0 || all->v[n - 1].zxid != zxid) {
            report_fail(&w->report, "host %u has 0x%" PRIx64 " in its log, which never committed",
                        h->index, zxid);
        } else if (all->v[n - 1].sum != committed_sum(record)) {
            report_fail(&w->report, "host %u has another 0x%" PRIx64 " in its log than host %u had",
                        h->index, zxid, all->v[n - 1].host);
        }
        return;
    }
    if (!zxid_follows(end, zxid)) {
        report_fail(&w->report, "host %u: zxid 0x%" PRIx64 " follows 0x%" PRIx64, h->index, zxid,
                    end);
        return;
    }
    committed_add(all, describe(h, record, zxid));
    check_tree_record(w->check, w, record);
}

// Reads the log up to the given zxid.
static void read_up_to(struct host *h, struct log_cursor *c, int64_t to)
{
    while (!h->w->report.failed) {
        struct log_cursor next = *c;
        struct slice record;
        int64_t zxid;
        if (!next_record(h, &next, &record, &zxid) || zxid > to) {
            break;
        }
        on_record(h, record, zxid);
        *c = next;
    }
}

// The history goes on to this zxid. A server may apply what a quorum has in its logs before it is
// in its own; but what stands before it in a log that has it is what stands before it in all.
static void extend(struct host *h, int64_t to)
{
    struct world *w = h->w;
    int64_t end = committed_end(&w->check->committed);
    if (to <= end || !zxid_counter(to)) {
        return;
    }
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        struct host *o = w->hosts[(h->index + i) % w->hosts_n];
        struct log_cursor c = o->trail.serving ? o->trail.log : cursor_at(o, end);
        if (log_reaches(o, c, to)) {
            read_up_to(o, &c, to);
            return;
        }
    }
    report_fail(&w->report, "host %u has applied 0x%" PRIx64 ", and its log ends before it",
                h->index, to);
}

// ---- one host --------------------------------------------------------------------------------

static void begin_to_lead(struct host *h, const struct node_view *v, int64_t to)
{
    struct world *w = h->w;
    struct check_tree *c = w->check;
    report_line(&w->report, "host %u leads epoch %" PRId64 " from 0x%" PRIx64, h->index, v->epoch,
                to);
    w->fig.leaders++;
    if (to < committed_end(&c->committed)) {
        report_fail(&w->report,
                    "host %u begins to serve at 0x%" PRIx64 ", but 0x%" PRIx64 " had been applied",
                    h->index, to, committed_end(&c->committed));
    }
    if (w->hosts_n > 1 && v->epoch <= c->epoch) {
        report_fail(&w->report, "host %u leads epoch %" PRId64 ", and host %u led %" PRId64,
                    h->index, v->epoch, c->epoch_leader, c->epoch);
    }
    c->epoch = v->epoch;
    c->epoch_leader = h->index;
}

// A server that serves anew: it may have got its log from anywhere, so its newest file is read from
// the start.
static void begin_to_serve(struct host *h, const struct node_view *v, int64_t to)
{
    struct trail *t = &h->trail;
    int64_t end = committed_end(&h->w->check->committed);
    *t = (struct trail){.serving = true,
                        .leading = v->leading,
                        .log = cursor_at(h, to < end ? to : end),
                        .since_ns = h->w->now_ns};
    if (v->leading) {
        begin_to_lead(h, v, to);
    }
}

static void check_digest(struct host *h, int64_t to)
{
    const struct committed *all = &h->w->check->committed;
    size_t n = committed_count(all, to);
    const struct committed_entry *e = n ? &all->v[n - 1] : NULL;
    h->trail.at = n;
    if (zxid_counter(to) && (!e || e->zxid != to)) {
        report_fail(&h->w->report, "host %u serves 0x%" PRIx64 ", which never committed", h->index,
                    to);
    } else if (e && e->has_digest && e->digest != tree_digest(node_tree(h->node))) {
        report_fail(&h->w->report, "host %u has another tree at 0x%" PRIx64 " than the log says",
                    h->index, to);
    }
}

void trail_follow(struct host *h)
{
    struct node_view v = node_view(h->node);
    struct trail *t = &h->trail;
    int64_t to = tree_zxid(node_tree(h->node));
    if (!v.serving) {
        t->serving = t->leading = false;
        return;
    }
    bool anew = !t->serving || t->leading != v.leading;
    if (anew) {
        begin_to_serve(h, &v, to);
    } else if (to == t->zxid) {
        return;
    } else if (to < t->zxid) {
        report_fail(&h->w->report, "host %u goes back from 0x%" PRIx64 " to 0x%" PRIx64, h->index,
                    t->zxid, to);
    }
    extend(h, to);
    read_up_to(h, &t->log, to);
    if (!h->w->report.failed) {
        check_digest(h, to);
    }
    t->zxid = to;
    report_line(&h->w->report, "host %u has 0x%" PRIx64, h->index, to);
    if (anew && v.leading) {
        check_tree_lead(h->w->check, h);
    }
}

void trail_end(struct host *h)
{
    h->trail = (struct trail){.zxid = h->trail.zxid, .at = h->trail.at};
}

void trail_claim(struct host *h, int64_t zxid)
{
    extend(h, zxid);
}

bool trail_leads(struct host *h, int64_t from, int64_t to)
{
    const struct committed *all = &h->w->check->committed;
    struct log_cursor c = cursor_at(h, from);
    size_t at = committed_count(all, from), end = committed_count(all, to);
    struct slice record;
    int64_t zxid;
    while (at < end && next_record(h, &c, &record, &zxid) && zxid <= all->v[at].zxid) {
        at += zxid == all->v[at].zxid;
    }
    return at == end;
}

struct host *trail_leader(const struct world *w)
{
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        const struct trail *t = &w->hosts[i]->trail;
        if (t->serving && t->leading && w->check->epoch_leader == i) {
            return w->hosts[i];
        }
    }
    return NULL;
}
