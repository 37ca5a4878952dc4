// SPDX-License-Identifier: Apache-2.0
//
// struct learner: one time of following or observing, from the election's result to STEP_DOWN. See
// zab_role.h for what goes in and out.
//
//   CONNECTING   until PEER_UP; then FOLLOWERINFO or OBSERVERINFO
//   JOINING      waits for LEADERINFO
//   ACCEPTING    acceptedEpoch is being saved; then ACKEPOCH
//   OPENING      waits for DIFF, TRUNC or SNAP
//   SYNCING      takes in the leader's history, up to NEWLEADER
//   LOGGING      all of it must be durable first: the opening's TRUNCATE or snapshot, then the log
//   CURRENT      currentEpoch is being saved; then ACK of NEWLEADER
//   ACKED        waits for UPTODATE
//   LIVE         serves
//   OVER         stepped down
//
// What came and is not finished stands in one line, oldest first: an entry is appended once it may
// be, committed when the leader says so, acknowledged when it is logged. Up to NEWLEADER an entry
// is appended as soon as it has its COMMIT, so that a long history is on disk in pieces; a crash
// there leaves a beginning of the leader's history, maybe with entries above currentEpoch
// (zab_role.h says how a start deals with it). What has no COMMIT by then, and what comes behind
// NEWLEADER, waits for UPTODATE, and its ACKs stand behind that of NEWLEADER (4685).
//
// Nothing is taken over a gap, the first entry is held against the own last zxid, too
// (ZOOKEEPER-2846, 4925); the zxid of DIFF is no state (2355).
//
// TLA+: ZabWithFLEAndSYNC.tla, Follower*; Java: Learner.syncWithLeader, Follower.followLeader,
// Observer.observeLeader.
#pragma once

#include "zab/history.h"
#include "zab/zab_role.h"

struct learner;

// The history belongs to the caller and outlives the learner; it ends at s->last_zxid.
struct learner *learner_new(const struct role_settings *s, struct history *h);
void learner_free(struct learner **l);
void learner_step(struct learner *l, const struct role_event *ev, struct role_out *out);

bool learner_is_live(const struct learner *l);
bool learner_is_over(const struct learner *l);
int64_t learner_epoch(const struct learner *l); // what the leader offered; -1: nothing yet
int64_t learner_committed(const struct learner *l);
void learner_check(const struct learner *l); // invariants, after every step in tests
