// SPDX-License-Identifier: Apache-2.0
//
// struct obsmaster: a live follower that stands in for the leader towards observers. It lives
// beside the struct learner of that time of following, from SERVE to the end of the role, and
// decides nothing: there are no epochs and quorums here, an observer is brought to this server's
// committed history and told of each further commit as it happens here.
//
// In: TICK, PEER_UP, PEER_DOWN, PACKET, DISK, HISTORY of zab_role.h, and COMMITTED for each COMMIT
// of the learner, in order. Out: SEND, DROP, ASK_DISK, READ_HISTORY, SEND_SNAPSHOT, TOUCHED, and
// REQUEST, which the node passes on to the leader as its own, with the answers going back in the
// order of the leader's.
//
// An observer: CONNECTED -> TOLD (LEADERINFO) -> SYNCING -> OFFERED (NEWLEADER is queued; INFORM of
// every commit from here on) -> LIVE (it acknowledged NEWLEADER; UPTODATE).
//
// An observer may come from another follower that was ahead of this one. What it has of this epoch
// was committed by the one leader of it and will be so here in a moment; until the tick after that
// it waits as AHEAD, so no NEWLEADER leaves while a commit is only half done here. Apache has it
// cut its log instead, and its clients see the past.
//
// Java: ObserverMaster, LearnerHandler.run.
#pragma once

#include "zab/history.h"
#include "zab/zab_role.h"

struct obsmaster;

struct obsmaster_settings {
    int64_t tick_ms;
    int64_t init_limit, sync_limit; // ticks
    int64_t epoch;                  // that of the leader
    int64_t committed;              // the end of the history
    int64_t config_version;         // of the membership that is active
};

// The history is the learner's, who adds to it; a COMMITTED finds its entry there.
struct obsmaster *obsmaster_new(const struct obsmaster_settings *s, struct history *h);
void obsmaster_free(struct obsmaster **o);
void obsmaster_step(struct obsmaster *o, const struct role_event *ev, struct role_out *out);

size_t obsmaster_synced(const struct obsmaster *o); // how many observers are live
size_t obsmaster_peers(const struct obsmaster *o);
void obsmaster_check(const struct obsmaster *o); // invariants, after every step in tests
