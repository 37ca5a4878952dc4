// SPDX-License-Identifier: Apache-2.0
//
// What a leader, or an observer master, gives a learner from its disk: first what there is to give
// (OFFER, for the plan), then a snapshot file as a stream, then the log behind it. One thing at a
// time per learner, a part at a time, and the next part only when the connection has taken the one
// before: a slow learner costs its own time and no memory. While a snapshot streams, packets to
// that learner wait in `held`; they go out behind its signature.
#include <inttypes.h>

#include "base/mem.h"
#include "limits.h"
#include "node/node_internal.h"

static bool begin(struct node *n, int64_t sid, enum feed_kind kind, struct peer_conn **out)
{
    struct peer_conn *c = peers_of_sid(&n->ens->peers, sid);
    if (!c) {
        return false;
    }
    must(c->feed.kind == FEED_NONE);
    c->feed.kind = kind;
    c->feed.tag = ++n->ens->feeds;
    *out = c;
    return true;
}

static void set_deadline(struct node *n, struct peer_conn *c)
{
    c->deadline = mono_add_ms(n->env->now, n->cfg->init_limit * n->cfg->tick_ms);
}

static int64_t committed(const struct node *n)
{
    return n->leader ? leader_committed(n->leader) : learner_committed(n->learner);
}

// Whether anybody may be given something here now: a leader, or an observer master.
static bool gives(const struct node *n)
{
    return (n->leader || n->obsmaster) && !n->over;
}

static void offer(struct node *n, struct peer_conn *c)
{
    c->feed.fresh = false;
    disk_offer(n->disk, c->feed.tag, c->feed.after, committed(n));
}

// fresh: what is on the disk will not do, and a snapshot is written first. Before this leader
// serves what is in it may not be committed yet (ZOOKEEPER-1549), so only for want of anything
// else: should another leader cut the log, snapshots above the cut go with it.
void feed_offer(struct node *n, int64_t sid, uint64_t role_tag, int64_t after, bool fresh)
{
    struct peer_conn *c;
    if (!begin(n, sid, FEED_OFFER, &c)) {
        return;
    }
    c->feed.role_tag = role_tag;
    c->feed.after = after;
    c->feed.fresh = fresh;
    if (fresh) {
        disk_allow_snapshots(n->disk, true);
        disk_snapshot_soon(n->disk);
    } else {
        offer(n, c);
    }
}

void feed_on_snapped(struct node *n)
{
    for (struct peer_conn *c = n->ens ? n->ens->peers.first : NULL; c; c = c->next) {
        if (c->feed.kind == FEED_OFFER && c->feed.fresh && !c->closing && gives(n)) {
            offer(n, c);
        }
    }
}

void feed_snapshot(struct node *n, int64_t sid, int64_t zxid, int64_t file)
{
    struct peer_conn *c = peers_of_sid(&n->ens->peers, sid);
    if (!c) {
        return;
    }
    if (file < 0) {
        log_warn(&n->env->log,
                 "server %" PRId64 " needs a snapshot, and there is none that can be sent: see the "
                 "disk of %s",
                 sid, n->cfg->data_dir);
        peers_close(&n->ens->peers, c);
        return;
    }
    port_send(n, sid, &(struct zab_packet){.type = QPACKET_SNAP, .zxid = zxid});
    must(begin(n, sid, FEED_SNAPSHOT, &c));
    log_info(&n->env->log, "server %" PRId64 " is sent the snapshot 0x%" PRIx64 " as 0x%" PRIx64,
             sid, (uint64_t)file, (uint64_t)zxid);
    set_deadline(n, c);
    disk_stream_begin(n->disk, c->feed.tag, file);
}

void feed_history(struct node *n, int64_t sid, uint64_t role_tag, int64_t after)
{
    struct peer_conn *c = peers_of_sid(&n->ens->peers, sid);
    if (!c) {
        return;
    }
    if (c->feed.kind == FEED_SNAPSHOT) {
        c->feed.history_next = true;
        c->feed.history_after = after;
        c->feed.history_role_tag = role_tag;
        return;
    }
    must(begin(n, sid, FEED_HISTORY, &c));
    c->feed.role_tag = role_tag;
    disk_history_begin(n->disk, c->feed.tag, after, committed(n));
}

void feed_say(struct node *n, int64_t sid, const struct zab_packet *k)
{
    const struct logger *log = &n->env->log;
    if (k->type == QPACKET_TRUNC) {
        log_info(log, "server %" PRId64 " is told to cut its log at 0x%" PRIx64, sid,
                 (uint64_t)k->zxid);
    } else if (k->type == QPACKET_UPTODATE) {
        log_info(log, "server %" PRId64 " is synchronised (committed is 0x%" PRIx64 ")", sid,
                 (uint64_t)committed(n));
    }
}

void feed_end(struct node *n, struct peer_conn *c)
{
    if (c->feed.kind == FEED_SNAPSHOT) {
        disk_stream_end(n->disk, c->feed.tag);
    } else if (c->feed.kind == FEED_HISTORY) {
        disk_history_end(n->disk, c->feed.tag);
    }
    c->feed = (struct feed){0};
}

// The next part, if the connection has room for it.
static void more(struct node *n, struct peer_conn *c)
{
    peers_flush_one(&n->ens->peers, c);
    c->feed.waits = c->unsent > LIMIT_FEED_UNSENT;
    if (c->feed.waits) {
        return;
    }
    if (c->feed.kind == FEED_SNAPSHOT) {
        disk_stream_more(n->disk, c->feed.tag);
    } else {
        disk_history_more(n->disk, c->feed.tag);
    }
}

void feed_on_drained(struct node *n, struct peer_conn *c)
{
    if (c->feed.kind == FEED_SNAPSHOT && !c->closing) {
        set_deadline(n, c);
        port_step(n, c, (struct role_event){.type = ROLE_IN_FED, .sid = c->sid});
    }
    if (c->feed.waits && !c->closing) {
        more(n, c);
    }
}

static void on_offer(struct node *n, struct peer_conn *c, const struct disk_answer *a)
{
    struct role_event ev = {.type = ROLE_IN_DISK, .sid = c->sid, .tag = c->feed.role_tag};
    struct sync_run *runs = mem_alloc((a->runs_n + 1) * sizeof(*runs));
    for (size_t i = 0; i < a->runs_n; i++) {
        const struct disk_run *r = &a->runs[i];
        runs[i] = (struct sync_run){r->first, r->last, r->joined, r->bytes};
    }
    ev.disk = (struct sync_ask){.force_snapshot = n->cfg->force_snapshot_sync,
                                .disk = runs,
                                .disk_n = a->runs_n,
                                .size_factor = n->cfg->snapshot_size_factor,
                                .snapshot_bytes = a->snapshot_bytes,
                                .snapshot_zxid = a->snapshot_zxid};
    feed_end(n, c);
    port_step(n, c, ev);
    mem_free(runs);
}

static void on_history(struct node *n, struct peer_conn *c, const struct disk_answer *a)
{
    struct role_event ev = {.type = ROLE_IN_HISTORY, .sid = c->sid, .tag = c->feed.role_tag};
    uint64_t tag = c->feed.tag;
    struct zab_entry *entries = mem_alloc((a->entries_n + 1) * sizeof(*entries));
    for (size_t i = 0; i < a->entries_n; i++) {
        entries[i] = (struct zab_entry){a->entries[i].zxid, a->entries[i].txn};
    }
    ev.history.entries = entries;
    ev.history.n = a->entries_n;
    if (!a->entries_n) {
        feed_end(n, c); // the role may ask for more at once
    }
    port_step(n, c, ev);
    mem_free(entries);
    c = peers_of_feed(&n->ens->peers, tag); // it may have been dropped
    if (c && !c->closing && a->entries_n) {
        more(n, c);
    }
}

static void end_snapshot(struct node *n, struct peer_conn *c)
{
    qpacket_put_signature(&c->out);
    buf_put_slice(&c->out, buf_slice(&c->held));
    buf_fini(&c->held);
    struct feed f = c->feed;
    feed_end(n, c);
    c->deadline = (struct mono){INT64_MAX};
    port_step(n, c, (struct role_event){.type = ROLE_IN_FED, .sid = c->sid});
    if (f.history_next) {
        feed_history(n, c->sid, f.history_role_tag, f.history_after);
    }
}

static void on_stream(struct node *n, struct peer_conn *c, const struct disk_answer *a)
{
    if (a->failed) {
        port_drop(n, c, "the snapshot could not be read to its end");
        return;
    }
    buf_put_slice(&c->out, a->bytes);
    if (a->end) {
        end_snapshot(n, c);
    } else {
        more(n, c);
    }
}

void feed_on_disk(struct node *n, const struct disk_event *ev)
{
    struct peer_conn *c = peers_of_feed(&n->ens->peers, ev->answer->tag);
    if (!c || c->closing || !gives(n)) {
        return;
    }
    switch ((int)ev->type) {
    case DISK_OFFER:
        on_offer(n, c, ev->answer);
        break;
    case DISK_HISTORY:
        on_history(n, c, ev->answer);
        break;
    case DISK_STREAM:
        on_stream(n, c, ev->answer);
        break;
    }
}
