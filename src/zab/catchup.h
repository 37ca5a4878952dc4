// SPDX-License-Identifier: Apache-2.0
//
// struct catchup: one learner being brought to the history of this server: the opening packet and
// the proposals behind it, from memory or, a question at a time, from the disk. A leader and an
// observer master do it alike; what they have is a struct catchup_source, made for one call.
//
//   begin -> ASKED | DONE
//   ASKED: ASK_DISK or READ_HISTORY is out; on_disk, on_history -> ASKED | DONE | BROKEN
//
// DONE: everything committed is queued for the learner, in this very step; whoever is the source
// lets it stand in line for what comes next at once. While one is ASKED the source keeps its
// history from read_to on (history_pin).
//
// Java: LearnerHandler.syncFollower.
#pragma once

#include "zab/acts.h"
#include "zab/history.h"

struct catchup_source {
    struct acts *acts;
    const struct history *history;
    int64_t sid;       // of the learner
    int64_t committed; // the end of the history
    int64_t epoch;     // of this time of leading or following
    bool serving;      // the epoch is established
    uint64_t *questions;
};

struct catchup {
    int64_t last_zxid; // as the learner said
    bool fresh;        // a new snapshot was asked for
    uint64_t asked;    // tag of its last question to the disk; answers to others are late ones
    int64_t read_to;   // the log is being read for it up to here, or further
    int64_t sent;      // everything up to it is queued
};

enum catchup_result { CATCHUP_ASKED, CATCHUP_DONE, CATCHUP_BROKEN };

enum catchup_result catchup_begin(const struct catchup_source *s, struct catchup *c);
// The caller has made sure that the event's tag is c->asked. BROKEN: *why.
enum catchup_result catchup_on_disk(const struct catchup_source *s, struct catchup *c,
                                    const struct role_event *ev);
enum catchup_result catchup_on_history(const struct catchup_source *s, struct catchup *c,
                                       const struct role_event *ev, const char **why);
