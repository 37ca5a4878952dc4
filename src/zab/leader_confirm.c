// SPDX-License-Identifier: Apache-2.0
//
// Whether this is still the leader. One that was paused, or that nobody reaches, does not know yet
// that there is another one, which commits: were it to answer a sync, the read behind that would
// show the past. So a sync waits until a quorum has shown that it followed this leader after the
// sync was asked: by a PING that it is sent now and answers, or by having sent the sync itself.
// What is proposed behind the sync and commits shows it as well (answer_syncs_before). Java's
// leader answers at once.
//
//   round      goes up with each PING to all; one is under way while round > confirmed
//   proof      as many answers of this peer belong to the round: it answers each PING, in order
//
// No more than one round is under way: a sync that comes meanwhile waits for the next, so many of
// them cost no more than one.
#include "zab/leader_internal.h"

#define NOT_ASKED UINT64_MAX

void leader_ping(struct leader *l, struct peer *p)
{
    acts_send(&l->acts, p->sid, QPACKET_PING, l->proposals.last_proposed);
    p->pings += p->phase == PEER_LIVE; // before UPTODATE it answers none
}

static void ask(struct leader *l, struct peer *p)
{
    p->proof = NOT_ASKED;
    if (p->phase == PEER_LIVE && !p->observer) {
        leader_ping(l, p);
        p->proof = p->pings;
    }
}

static void begin(struct leader *l)
{
    l->round++;
    for (size_t i = 0; i < l->peers_n; i++) {
        ask(l, &l->peers[i]);
    }
}

static bool is_answered(const struct leader *l)
{
    struct quorum_acks follow = {0};
    quorum_ack(&l->quorum, &follow, l->s.sid);
    for (size_t i = 0; i < l->peers_n; i++) {
        const struct peer *p = &l->peers[i];
        if (p->phase == PEER_LIVE && p->pongs >= p->proof) {
            quorum_ack(&l->quorum, &follow, p->sid);
        }
    }
    return quorum_reached(&l->quorum, &follow);
}

static void check(struct leader *l)
{
    while (l->round > l->confirmed && is_answered(l)) {
        l->confirmed = l->round;
        if (l->round_wanted > l->round) {
            begin(l);
        }
    }
}

uint64_t leader_confirm_for(struct leader *l, int64_t sid)
{
    struct quorum_acks follow = {0};
    if (l->s.alone) {
        return 0;
    }
    quorum_ack(&l->quorum, &follow, l->s.sid);
    quorum_ack(&l->quorum, &follow, sid);
    if (quorum_reached(&l->quorum, &follow)) {
        return 0;
    }
    l->round_wanted = l->round + 1;
    if (l->round == l->confirmed) {
        begin(l);
    }
    return l->round_wanted;
}

void leader_confirm_live(struct leader *l, struct peer *p)
{
    p->pings = p->pongs = 0;
    p->proof = NOT_ASKED;
    if (l->round > l->confirmed) {
        ask(l, p);
    }
}

void leader_confirm_pong(struct leader *l, struct peer *p)
{
    p->pongs += p->pongs < p->pings;
    check(l);
}
