// SPDX-License-Identifier: Apache-2.0
//
// struct epoch: how a leader and its quorum agree on a new epoch (discovery).
//
//   OPEN     learners and the leader say what epoch they accepted last; each raises the proposal
//   CLOSED   a quorum, the leader among them, has: the epoch is fixed, later ones do not change it
//   AGREED   a quorum has promised it and none of them was ahead of the leader's history
//
// The committed membership alone decides here, as in Apache. Nobody in the quorum of promises has a
// newer (currentEpoch, last zxid) than the leader: so its history holds all that was ever
// committed. TLA+: LeaderProcessFOLLOWERINFO, LeaderProcessACKEPOCH; Java: getEpochToPropose,
// waitForEpochAck.
#pragma once

#include "wire/quorum.h"

// A zxid has 31 bits for it. Far from the end of them only a voter's word raises the epoch: whoever
// else names one that is nearer would take all that are left from the ensemble.
#define EPOCH_LAST INT32_MAX
#define EPOCH_FAR  0x7f000000

enum epoch_phase { EPOCH_OPEN, EPOCH_CLOSED, EPOCH_AGREED };

struct epoch {
    struct quorum quorum;
    int64_t leader;
    int64_t epoch; // the proposal
    enum epoch_phase phase;
    struct quorum_acks joined, promised;
    bool leader_joined, leader_promised;
    int64_t current_epoch, last_zxid; // the leader's history
};

enum epoch_answer { EPOCH_PROMISED, EPOCH_NOT_COUNTED, EPOCH_AHEAD };

void epoch_init(struct epoch *e, const struct members *committed, int64_t leader,
                int64_t current_epoch, int64_t last_zxid);
// Whether sid, who accepted that epoch, may join.
bool epoch_may_join(const struct epoch *e, int64_t sid, int64_t accepted_epoch);
void epoch_join(struct epoch *e, int64_t sid, int64_t accepted_epoch);
// current_epoch -1: it has accepted this epoch before, which is no promise. AHEAD: it has more than
// the leader and must not take part, while there is no agreement; later ones are synced.
enum epoch_answer epoch_promise(struct epoch *e, int64_t sid, int64_t current_epoch,
                                int64_t last_zxid);

enum epoch_offer { EPOCH_NEWER, EPOCH_SAME, EPOCH_OLDER };
// The learner's side: what an offered epoch is to a server that accepted `accepted`.
enum epoch_offer epoch_compare(int64_t accepted, int64_t offered);
