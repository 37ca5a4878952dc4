// SPDX-License-Identifier: Apache-2.0
//
// How a learner gets the history of a leader: what zab/catchup.h does, then what is outstanding,
// then NEWLEADER. Java: LearnerHandler.syncFollower, Leader.startForwarding.
#include "zab/leader_internal.h"

static struct catchup_source source(struct leader *l, const struct peer *p)
{
    return (struct catchup_source){.acts = &l->acts,
                                   .history = l->history,
                                   .sid = p->sid,
                                   .committed = l->proposals.committed,
                                   .epoch = l->epoch.epoch,
                                   .serving = l->phase == LEADER_BROADCAST,
                                   .questions = &l->questions};
}

// Not so for what was asked for a former connection of the same learner.
static bool waits_for(const struct peer *p, const struct role_event *ev)
{
    return p->phase == PEER_SYNCING && p->catchup.asked == ev->tag;
}

// From now on it stands in line: every proposal goes to it as it is made.
static void offer(struct leader *l, struct peer *p)
{
    p->commit_sent = l->proposals.committed;
    for (size_t i = 0; i < l->proposals.n && !p->observer; i++) {
        const struct proposal *x = proposals_at(&l->proposals, i);
        acts_send_txn(&l->acts, p->sid, QPACKET_PROPOSAL, &(struct zab_entry){x->zxid, x->txn});
        p->catchup.sent = x->zxid;
    }
    acts_send(&l->acts, p->sid, QPACKET_NEWLEADER, zxid_of_epoch(l->epoch.epoch));
    p->phase = PEER_OFFERED;
    p->deadline = leader_limit(l, l->s.init_limit + l->s.sync_limit);
}

static void go_on(struct leader *l, struct peer *p, enum catchup_result r, const char *why)
{
    l->pin_stale = true;
    if (r == CATCHUP_BROKEN) {
        leader_drop(l, p, why);
    } else if (r == CATCHUP_DONE) {
        offer(l, p);
    }
}

void leader_sync_begin(struct leader *l, struct peer *p)
{
    struct catchup_source s = source(l, p);
    p->phase = PEER_SYNCING;
    go_on(l, p, catchup_begin(&s, &p->catchup), NULL);
}

void leader_sync_on_disk(struct leader *l, struct peer *p, const struct role_event *ev)
{
    if (waits_for(p, ev)) {
        struct catchup_source s = source(l, p);
        go_on(l, p, catchup_on_disk(&s, &p->catchup, ev), NULL);
    }
}

void leader_sync_on_history(struct leader *l, struct peer *p, const struct role_event *ev)
{
    if (waits_for(p, ev)) {
        struct catchup_source s = source(l, p);
        const char *why = NULL;
        p->deadline =
            leader_limit(l, l->s.init_limit + l->s.sync_limit); // it is this server's disk
        enum catchup_result r = catchup_on_history(&s, &p->catchup, ev, &why);
        go_on(l, p, r, why);
    }
}
