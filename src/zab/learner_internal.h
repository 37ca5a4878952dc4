// SPDX-License-Identifier: Apache-2.0
//
// The state of a learner, for learner.c and its invariants.
#pragma once

#include "zab/acts.h"
#include "zab/epoch.h"
#include "zab/learner.h"
#include "zab/line.h"

enum learner_phase {
    LEARNER_CONNECTING,
    LEARNER_JOINING,
    LEARNER_ACCEPTING,
    LEARNER_OPENING,
    LEARNER_SYNCING,
    LEARNER_LOGGING,
    LEARNER_CURRENT,
    LEARNER_ACKED,
    LEARNER_LIVE,
    LEARNER_OVER
};

struct learner {
    struct role_settings s;
    struct history *history;
    enum learner_phase phase;
    struct mono now, deadline;
    int64_t epoch;         // offered by the leader
    bool opened;           // what the opening packet asked for is durable
    int64_t last;          // the last entry taken in
    int64_t contained;     // zxid of the snapshot, which holds what comes again; -1: none
    int64_t history_end;   // the last entry that had its COMMIT before NEWLEADER
    int64_t last_appended; // of this role; 0: none
    int64_t logged;        // durable, as far as LOGGED said
    int64_t committed;     // last applied
    struct line line;
    struct acts acts;
};
