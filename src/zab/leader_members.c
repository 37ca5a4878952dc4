// SPDX-License-Identifier: Apache-2.0
//
// Who counts, and who leads on: the memberships of one time of leading.
//
//   start          the committed one, and the last seen if it is newer: both decide NEWLEADER
//   SERVE          the newer of them alone
//   reconfigured   proposed: the present and the new one, for it and all behind it
//                  committed: the new one alone, for what is proposed from then on
//
// A proposal keeps the memberships it was made with (zab/proposals.h). They are our own copies:
// what stands behind one reconfiguration is committed before the next one is, so three of them are
// ever in use at a time.
//
// Java: Leader.propose, tryToCommit, getDesignatedLeader, isQuorumSynced.
#include "zab/leader_internal.h"

// Its copy, in the place of the one that nothing refers to any more.
static const struct members *keep(struct leader *l, const struct members *m)
{
    struct members **place = &l->own[l->own_at];
    l->own_at = (l->own_at + 1) % LEADER_OWN_MEMBERS;
    members_free(place);
    *place = members_copy(m);
    return *place;
}

void leader_members_init(struct leader *l, const struct members *last_seen)
{
    quorum_init(&l->quorum, l->s.committed, last_seen);
}

void leader_members_fini(struct leader *l)
{
    for (size_t i = 0; i < LEADER_OWN_MEMBERS; i++) {
        members_free(&l->own[i]);
    }
}

void leader_members_seen(struct leader *l, const struct members *m)
{
    must(l->phase == LEADER_ACCEPTING);
    leader_members_init(l, keep(l, m));
}

static bool same_quorum_address(const struct member *a, const struct member *b)
{
    bool same = a && b && a->addrs_n == b->addrs_n;
    for (size_t i = 0; same && i < a->addrs_n; i++) {
        same = slice_eq(a->addrs[i].host, b->addrs[i].host) &&
               a->addrs[i].quorum_port == b->addrs[i].quorum_port;
    }
    return same;
}

static bool may_lead_on(const struct leader *l, const struct members *next)
{
    int64_t sid = l->s.sid;
    return members_is_voter(next, sid) &&
           same_quorum_address(members_find(l->s.committed, sid), members_find(next, sid));
}

static uint64_t bits_of(const struct members *m, int64_t sid)
{
    struct quorum q = {.of = {m}, .n = 1};
    struct quorum_acks a = {0};
    quorum_ack(&q, &a, sid);
    return a.bits[0];
}

// Only who hears of it at once can take over at once.
static uint64_t listening(const struct leader *l, const struct members *next)
{
    uint64_t who = 0;
    for (size_t i = 0; i < l->peers_n; i++) {
        if (l->peers[i].phase >= PEER_ACKED) {
            who |= bits_of(next, l->peers[i].sid);
        }
    }
    return who;
}

// A voter of `next` that acknowledged its proposal (`acks`), and the most of what is outstanding
// behind that, without a hole. There is none if this server alone decides: then it leads on.
static int64_t choose(const struct leader *l, const struct members *next, uint64_t acks)
{
    acks &= ~bits_of(next, l->s.sid);
    uint64_t best = acks & listening(l, next) ? acks & listening(l, next) : acks;
    if (!best) {
        return l->s.sid;
    }
    for (size_t i = 0; i < l->proposals.n; i++) {
        const struct proposal *p = proposals_at(&l->proposals, i);
        uint64_t further = best & p->acks.bits[p->quorum.n - 1];
        if (p->quorum.of[p->quorum.n - 1] != next || !further) {
            break;
        }
        best = further;
    }
    return next->voters[__builtin_ctzll(best)];
}

// Nothing of the old membership is asked from now on, and who leads is settled.
static void change_to(struct leader *l, const struct members *next, uint64_t acks)
{
    l->designated = may_lead_on(l, next) ? l->s.sid : choose(l, next, acks);
    l->s.committed = next;
    quorum_init(&l->quorum, next, NULL);
}

void leader_members_serve(struct leader *l)
{
    if (l->quorum.n > 1) {
        change_to(l, l->quorum.of[1], l->newleader.bits[1]);
    }
}

void leader_members_propose(struct leader *l, const struct members *next, int64_t zxid)
{
    must(!l->reconfig);
    must(next->version == zxid);
    must(next->version > l->s.committed->version);
    l->reconfig = zxid;
    quorum_init(&l->quorum, l->s.committed, keep(l, next));
}

void leader_members_commit(struct leader *l, const struct proposal *p)
{
    must(p->zxid == l->reconfig);
    must(p->quorum.n == 2);
    l->reconfig = 0;
    change_to(l, p->quorum.of[1], p->acks.bits[1]);
}

bool leader_has_quorum(const struct leader *l, const struct members *m)
{
    struct quorum q = {.of = {m}, .n = 1};
    struct quorum_acks there = {0};
    quorum_ack(&q, &there, l->s.sid);
    for (size_t i = 0; i < l->peers_n; i++) {
        if (l->peers[i].phase >= PEER_ACKED && !l->peers[i].observer) {
            quorum_ack(&q, &there, l->peers[i].sid);
        }
    }
    return quorum_reached(&q, &there);
}

int64_t leader_designated(const struct leader *l)
{
    return l->designated;
}

const struct members *leader_members(const struct leader *l)
{
    return l->phase < LEADER_BROADCAST ? l->quorum.of[l->quorum.n - 1] : l->s.committed;
}
