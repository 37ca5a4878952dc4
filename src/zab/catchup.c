// SPDX-License-Identifier: Apache-2.0
#include "zab/catchup.h"

#include "base/mem.h"

static void send_committed(const struct catchup_source *s, struct catchup *c,
                           const struct zab_entry *e)
{
    acts_send_txn(s->acts, s->sid, QPACKET_PROPOSAL, e);
    acts_send(s->acts, s->sid, QPACKET_COMMIT, e->zxid);
    c->sent = e->zxid;
}

static enum catchup_result ask(const struct catchup_source *s, struct catchup *c,
                               enum role_action_type type, int64_t zxid)
{
    c->asked = ++*s->questions;
    c->read_to = s->committed;
    acts_add(s->acts,
             (struct role_action){
                 .type = type, .sid = s->sid, .zxid = zxid, .tag = c->asked, .fresh = c->fresh});
    return CATCHUP_ASKED;
}

static enum catchup_result from_memory(const struct catchup_source *s, struct catchup *c)
{
    if (c->sent < s->committed) {
        if (!history_reaches(s->history, c->sent)) {
            return ask(s, c, ROLE_READ_HISTORY, c->sent);
        }
        for (size_t i = history_find(s->history, c->sent); i < s->history->n; i++) {
            send_committed(s, c, history_at(s->history, i));
        }
    }
    return CATCHUP_DONE;
}

static enum catchup_result follow_plan(const struct catchup_source *s, struct catchup *c,
                                       const struct sync_plan *plan)
{
    if (plan->open == SYNC_SNAP) {
        acts_add(s->acts, (struct role_action){.type = ROLE_SEND_SNAPSHOT,
                                               .sid = s->sid,
                                               .zxid = plan->zxid,
                                               .file = plan->from_file ? plan->file : -1});
        c->sent = plan->zxid;
    } else {
        acts_send(s->acts, s->sid, plan->open == SYNC_DIFF ? QPACKET_DIFF : QPACKET_TRUNC,
                  plan->zxid);
        c->sent = plan->after;
    }
    return plan->disk_end ? ask(s, c, ROLE_READ_HISTORY, plan->after) : from_memory(s, c);
}

// A server without a history, or one that has no other way to say that it cannot cut its own.
static bool wants_snapshot(const struct catchup_source *s, const struct catchup *c)
{
    return c->last_zxid == 0 && s->committed != 0;
}

static struct sync_plan make_plan(const struct catchup_source *s, const struct catchup *c,
                                  const struct sync_ask *disk)
{
    struct sync_run *runs = mem_alloc((s->history->n + 1) * sizeof(*runs));
    size_t n = 0;
    for (size_t i = 0; i < s->history->n; i++) {
        int64_t zxid = history_at(s->history, i)->zxid;
        if (!n || !sync_run_extend(&runs[n - 1], zxid)) {
            runs[n] = (struct sync_run){.first = zxid, .last = zxid, .joined = n > 0};
            n++;
        }
    }
    struct sync_ask q = *disk;
    q.learner = c->last_zxid;
    q.committed = s->committed;
    q.serving = s->serving;
    q.force_snapshot = wants_snapshot(s, c);
    int64_t own = zxid_of_epoch(s->epoch);
    q.last_processed = q.serving && own > s->committed ? own : s->committed;
    q.memory = runs;
    q.memory_n = n;
    struct sync_plan plan = sync_plan_make(&q);
    mem_free(runs);
    return plan;
}

enum catchup_result catchup_begin(const struct catchup_source *s, struct catchup *c)
{
    struct sync_ask nothing = {.size_factor = -1, .snapshot_zxid = -1};
    struct sync_plan plan = make_plan(s, c, &nothing);
    if (c->last_zxid == s->committed) {
        plan = (struct sync_plan){.open = SYNC_DIFF, .zxid = c->last_zxid, .after = c->last_zxid};
    }
    if (plan.open == SYNC_SNAP) {
        return ask(s, c, ROLE_ASK_DISK, c->last_zxid);
    }
    return follow_plan(s, c, &plan);
}

enum catchup_result catchup_on_disk(const struct catchup_source *s, struct catchup *c,
                                    const struct role_event *ev)
{
    struct sync_ask disk = ev->disk;
    disk.final = true;
    struct sync_plan plan = make_plan(s, c, &disk);
    if (plan.open == SYNC_SNAP && !plan.from_file && !c->fresh) {
        c->fresh = true;
        return ask(s, c, ROLE_ASK_DISK, c->last_zxid);
    }
    return follow_plan(s, c, &plan);
}

enum catchup_result catchup_on_history(const struct catchup_source *s, struct catchup *c,
                                       const struct role_event *ev, const char **why)
{
    for (size_t i = 0; i < ev->history.n; i++) {
        const struct zab_entry *e = &ev->history.entries[i];
        if (e->zxid <= c->sent || e->zxid > s->committed) {
            continue;
        }
        if (!zxid_follows(c->sent, e->zxid)) {
            *why = "a gap in the log that it was being sent";
            return CATCHUP_BROKEN;
        }
        send_committed(s, c, e);
    }
    if (ev->history.n) {
        return CATCHUP_ASKED; // more of it comes
    }
    if (!history_reaches(s->history, c->sent) && c->sent < s->committed) {
        *why = "the log could not be read far enough";
        return CATCHUP_BROKEN;
    }
    return from_memory(s, c);
}
