// SPDX-License-Identifier: Apache-2.0
//
// How a learner gets the leader's history: what zab/sync_plan.h says, then whatever was committed
// meanwhile, from memory if that reaches back far enough and else from disk once more, then what is
// outstanding, then NEWLEADER. Java: LearnerHandler.syncFollower, Leader.startForwarding.
#include "base/mem.h"
#include "zab/leader_internal.h"

static void send_committed(struct leader *l, struct peer *p, const struct zab_entry *e)
{
    acts_send_txn(&l->acts, p->sid, QPACKET_PROPOSAL, e);
    acts_send(&l->acts, p->sid, QPACKET_COMMIT, e->zxid);
    p->sent = e->zxid;
}

static void ask(struct leader *l, struct peer *p, enum role_action_type type, int64_t zxid)
{
    p->asked = ++l->questions;
    p->read_to = l->proposals.committed;
    l->pin_stale = true;
    acts_add(&l->acts,
             (struct role_action){
                 .type = type, .sid = p->sid, .zxid = zxid, .tag = p->asked, .fresh = p->fresh});
}

// Not so for what was asked for a former connection of the same learner.
static bool waits_for(const struct peer *p, const struct role_event *ev)
{
    return p->phase == PEER_SYNCING && p->asked == ev->tag;
}

// From now on it stands in line: every proposal goes to it as it is made.
static void offer(struct leader *l, struct peer *p)
{
    p->commit_sent = l->proposals.committed;
    for (size_t i = 0; i < l->proposals.n && !p->observer; i++) {
        const struct proposal *x = proposals_at(&l->proposals, i);
        acts_send_txn(&l->acts, p->sid, QPACKET_PROPOSAL, &(struct zab_entry){x->zxid, x->txn});
        p->sent = x->zxid;
    }
    acts_send(&l->acts, p->sid, QPACKET_NEWLEADER, zxid_of_epoch(l->epoch.epoch));
    p->phase = PEER_OFFERED;
    l->pin_stale = true;
    p->deadline = leader_limit(l, l->s.init_limit + l->s.sync_limit);
}

static void catch_up(struct leader *l, struct peer *p)
{
    if (p->sent < l->proposals.committed) {
        if (!history_reaches(l->history, p->sent)) {
            ask(l, p, ROLE_READ_HISTORY, p->sent);
            return;
        }
        for (size_t i = history_find(l->history, p->sent); i < l->history->n; i++) {
            send_committed(l, p, history_at(l->history, i));
        }
    }
    offer(l, p);
}

static void follow_plan(struct leader *l, struct peer *p, const struct sync_plan *plan)
{
    if (plan->open == SYNC_SNAP) {
        acts_add(&l->acts, (struct role_action){.type = ROLE_SEND_SNAPSHOT,
                                                .sid = p->sid,
                                                .zxid = plan->zxid,
                                                .file = plan->from_file ? plan->file : -1});
        p->sent = plan->zxid;
    } else {
        acts_send(&l->acts, p->sid, plan->open == SYNC_DIFF ? QPACKET_DIFF : QPACKET_TRUNC,
                  plan->zxid);
        p->sent = plan->after;
    }
    if (plan->disk_end) {
        ask(l, p, ROLE_READ_HISTORY, plan->after);
    } else {
        catch_up(l, p);
    }
}

// A server without a history, or one that has no other way to say that it cannot cut its own.
static bool wants_snapshot(const struct leader *l, const struct peer *p)
{
    return p->last_zxid == 0 && l->proposals.committed != 0;
}

static struct sync_plan make_plan(const struct leader *l, const struct peer *p,
                                  const struct sync_ask *disk)
{
    struct sync_run *runs = mem_alloc((l->history->n + 1) * sizeof(*runs));
    size_t n = 0;
    for (size_t i = 0; i < l->history->n; i++) {
        int64_t zxid = history_at(l->history, i)->zxid;
        if (!n || !sync_run_extend(&runs[n - 1], zxid)) {
            runs[n] = (struct sync_run){.first = zxid, .last = zxid, .joined = n > 0};
            n++;
        }
    }
    struct sync_ask q = *disk;
    q.learner = p->last_zxid;
    q.committed = l->proposals.committed;
    q.serving = l->phase == LEADER_BROADCAST;
    q.force_snapshot = wants_snapshot(l, p);
    int64_t own = zxid_of_epoch(l->epoch.epoch);
    q.last_processed = q.serving && own > l->proposals.committed ? own : l->proposals.committed;
    q.memory = runs;
    q.memory_n = n;
    struct sync_plan plan = sync_plan_make(&q);
    mem_free(runs);
    return plan;
}

void leader_sync_begin(struct leader *l, struct peer *p)
{
    p->phase = PEER_SYNCING;
    struct sync_ask nothing = {.size_factor = -1, .snapshot_zxid = -1};
    struct sync_plan plan = make_plan(l, p, &nothing);
    if (p->last_zxid == l->proposals.committed) {
        plan = (struct sync_plan){.open = SYNC_DIFF, .zxid = p->last_zxid, .after = p->last_zxid};
    }
    if (plan.open == SYNC_SNAP) {
        ask(l, p, ROLE_ASK_DISK, p->last_zxid);
    } else {
        follow_plan(l, p, &plan);
    }
}

void leader_sync_on_disk(struct leader *l, struct peer *p, const struct role_event *ev)
{
    if (!waits_for(p, ev)) {
        return;
    }
    struct sync_ask disk = ev->disk;
    disk.final = true;
    struct sync_plan plan = make_plan(l, p, &disk);
    if (plan.open == SYNC_SNAP && !plan.from_file && !p->fresh) {
        p->fresh = true;
        ask(l, p, ROLE_ASK_DISK, p->last_zxid);
        return;
    }
    follow_plan(l, p, &plan);
}

void leader_sync_on_history(struct leader *l, struct peer *p, const struct role_event *ev)
{
    if (!waits_for(p, ev)) {
        return;
    }
    p->deadline = leader_limit(l, l->s.init_limit + l->s.sync_limit); // it is this server's disk
    for (size_t i = 0; i < ev->history.n; i++) {
        const struct zab_entry *e = &ev->history.entries[i];
        if (e->zxid <= p->sent || e->zxid > l->proposals.committed) {
            continue;
        }
        if (!zxid_follows(p->sent, e->zxid)) {
            leader_drop(l, p, "a gap in the log that it was being sent");
            return;
        }
        send_committed(l, p, e);
    }
    if (!ev->history.n) {
        if (!history_reaches(l->history, p->sent) && p->sent < l->proposals.committed) {
            leader_drop(l, p, "the log could not be read far enough");
        } else {
            catch_up(l, p);
        }
    }
}
