// SPDX-License-Identifier: Apache-2.0
//
// When enough have said yes. An election, a proposal and a NEWLEADER are decided by every
// membership that counts at that time: the committed one, and the last seen one if it is newer, so
// a change of the ensemble needs the old and the new one. Each has its own set of yeses, fed by its
// own voters only. Java: SyncedLearnerTracker.
//
// Borrows the memberships: they outlive it.
#pragma once

#include "wire/members.h"

enum { QUORUM_CONFIGS_MAX = 2 };

struct quorum {
    const struct members *of[QUORUM_CONFIGS_MAX];
    size_t n;
};

struct quorum_acks {
    uint64_t bits[QUORUM_CONFIGS_MAX]; // per membership; bit i: its voters[i]
};

// last_seen may be NULL; it counts only if its version is greater.
void quorum_init(struct quorum *q, const struct members *committed,
                 const struct members *last_seen);
bool quorum_has_voter(const struct quorum *q, int64_t sid); // of any of the memberships
void quorum_ack(const struct quorum *q, struct quorum_acks *a, int64_t sid); // others: ignored
bool quorum_reached(const struct quorum *q, const struct quorum_acks *a);
