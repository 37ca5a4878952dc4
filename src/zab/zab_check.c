// SPDX-License-Identifier: Apache-2.0
//
// What is always true of a role between two steps.
//
//   leader    its epoch is above all it accepted; only proposals of that epoch are outstanding, the
//             oldest has not its quorum, unless another server leads on; the history ends at what
//             is committed; who is LIVE was sent all COMMITs. Two memberships decide from the
//             proposal of a reconfiguration to its commit
//   learner   the line is without a gap and its moves are in order; before LIVE nothing is appended
//             without its COMMIT and nothing owes an ACK
#include "zab/leader_internal.h"
#include "zab/learner_internal.h"

static void check_peer(const struct leader *l, const struct peer *p)
{
    must(p->sid != l->s.sid);
    if (p->phase >= PEER_TOLD) {
        must(l->epoch.phase != EPOCH_OPEN);
    }
    if (p->phase == PEER_SYNCING) {
        must(p->catchup.sent <= l->proposals.committed || p->catchup.sent == p->catchup.last_zxid);
    }
    if (p->phase >= PEER_OFFERED && !p->observer && l->proposals.n) {
        must(p->catchup.sent == l->proposals.last_proposed);
    }
    if (p->phase == PEER_LIVE) {
        must(l->phase == LEADER_BROADCAST);
        must(p->observer || p->commit_sent == l->proposals.committed);
    }
}

static void check_with_peers(const struct leader *l)
{
    history_check(l->history);
    must(!l->history->n || history_max(l->history) == l->proposals.committed);
    if (l->phase > LEADER_DISCOVERY) {
        must(l->epoch.epoch > l->s.accepted_epoch);
        must(l->epoch.epoch > zxid_epoch(l->s.last_zxid));
    }
    if (l->phase < LEADER_BROADCAST) {
        must(!l->proposals.n);
        must(l->proposals.committed == l->s.last_zxid);
    } else {
        must((l->quorum.n == 2) == (l->reconfig > l->proposals.committed));
    }
    if (l->proposals.n) {
        must(zxid_epoch(proposals_at(&l->proposals, 0)->zxid) == l->epoch.epoch);
    }
    for (size_t i = 0; i < l->peers_n; i++) {
        check_peer(l, &l->peers[i]);
    }
}

void leader_check(const struct leader *l)
{
    if (l->phase == LEADER_OVER) {
        return;
    }
    proposals_check(&l->proposals);
    if (l->s.alone) {
        must(!l->history);
        must(!l->peers_n);
        must((l->proposals.n == 0) == (l->proposals.committed == l->proposals.last_proposed));
    } else {
        check_with_peers(l);
    }
    if (l->proposals.n && l->designated == l->s.sid) {
        const struct proposal *p = proposals_at(&l->proposals, 0);
        must(!quorum_reached(&p->quorum, &p->acks));
    }
}

void learner_check(const struct learner *l)
{
    if (l->phase == LEARNER_OVER) {
        return;
    }
    history_check(l->history);
    must(l->committed <= l->last);
    const struct line *q = &l->line;
    line_check(q);
    must(l->phase == LEARNER_LIVE || q->appended <= q->committed);
    must(l->phase == LEARNER_LIVE || q->acked == q->appended);
    must(q->acked == q->appended || q->v[q->acked].e.zxid > l->logged);
    must(l->phase < LEARNER_ACKED || l->opened);
}
