// SPDX-License-Identifier: Apache-2.0
//
// struct leader: one time of leading, from the election's result to STEP_DOWN. See zab_role.h for
// what goes in and out.
//
//   DISCOVERY   collects FOLLOWERINFO until the epoch is closed
//   ACCEPTING   acceptedEpoch is being saved; then LEADERINFO to all who came
//   PROMISES    collects ACKEPOCH until a quorum has promised
//   CURRENT     currentEpoch is being saved; then each learner is synchronised, NEWLEADER behind it
//   SYNC        collects ACK of NEWLEADER, its own among them
//   BROADCAST   serves: proposals, acknowledgements, commits
//   OVER        stepped down
//
// Alone, it begins with BROADCAST.
//
// All of the own log counts as committed from CURRENT on: it is sent with COMMIT, and is so in fact
// once the quorum has acknowledged NEWLEADER. From then on only proposals of the own epoch are
// outstanding.
//
// A learner: JOINED -> TOLD (LEADERINFO) -> PROMISED -> SYNCING (from disk, step by step) ->
// OFFERED (NEWLEADER is queued; stands in line for what comes) -> ACKED -> LIVE (UPTODATE). COMMITs
// are held back from OFFERED to LIVE: Apache 3.5 to 3.9.2 drop who sends one (ZOOKEEPER-4394).
//
// TLA+: ZabWithFLEAndSYNC.tla, Leader*; Java: Leader.lead, LearnerHandler.run.
#pragma once

#include "zab/history.h"
#include "zab/zab_role.h"

struct leader;

// The history belongs to the caller and outlives the leader; it ends at s->last_zxid. Alone: NULL.
struct leader *leader_new(const struct role_settings *s, struct history *h);
void leader_free(struct leader **l);
void leader_step(struct leader *l, const struct role_event *ev, struct role_out *out);

bool leader_is_serving(const struct leader *l);
bool leader_is_over(const struct leader *l);
int64_t leader_epoch(const struct leader *l);     // -1: not yet
int64_t leader_next_zxid(const struct leader *l); // what the next PROPOSE must carry
int64_t leader_committed(const struct leader *l);
size_t leader_in_flight(const struct leader *l);
// Who leads by the membership activated last, at SERVE or by ACTIVATE. Another server: this one
// commits nothing more.
int64_t leader_designated(const struct leader *l);
// The one for NEWLEADER: the last seen until it serves, then the committed one.
const struct members *leader_members(const struct leader *l);
// Whether itself and the followers that are synchronised now are a quorum of m: it asks that before
// it proposes m (15.3).
bool leader_has_quorum(const struct leader *l, const struct members *m);

enum learner_figure { LEARNER_JOINS, LEARNER_SYNCS, LEARNER_IS_LIVE };

struct leader_peer {
    int64_t sid;
    enum learner_figure is; // before or in its synchronisation, or it has its UPTODATE
    bool observer;
    int64_t acked; // last proposal it acknowledged, 0: none
};

struct leader_figures { // for status words
    size_t followers, synced_followers;
    size_t observers, synced_observers;
    size_t pending_syncs;
};

struct leader_figures leader_figures(const struct leader *l);
size_t leader_peers(const struct leader *l);
struct leader_peer leader_peer_at(const struct leader *l, size_t i);
void leader_check(const struct leader *l); // invariants, after every step in tests
