// SPDX-License-Identifier: Apache-2.0
//
// check_guest: who believes to hold what. At every moment the guests that are awake believe to have
// no more of a thing than there is of it: one has a lock or leads, many read or one writes, and a
// semaphore has so many leases. A guest that wakes up unlearns what is no longer true before it
// does anything else; the fencing token of a grant is larger than those of the grants before that
// it excludes. When the faults are over, nobody waits for ever.
//
// One exception, which is ZooKeeper's: a follower that is cut off from its leader answers
// heartbeats for up to syncLimit, while the leader, which does not hear of them, lets the session
// expire. So two may believe while paths between servers are bad, and for a while after; then only
// the token tells them apart.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { THING_GUESTS_MAX = 16 }; // clients there are

// The partitions are those of guest_partition.c.
enum {
    THING_LOCK,
    THING_LOCK_2,
    THING_LEADER,
    THING_RWLOCK,
    THING_SEMAPHORE,
    THING_PARTITION,
    THINGS = THING_PARTITION + 10
};

struct thing {
    uint32_t parts;      // how many may have a part of it; 0: one, all of it
    unsigned believers;  // bits of clients
    unsigned sharers;    // those of them that have a part, not all of it
    uint32_t newest;     // who was given it last
    int64_t token;       // the largest
    int64_t whole_token; // the largest of who was given all of it
    int64_t tokens[THING_GUESTS_MAX];
    int64_t since_ns; // last gained or lost
    uint64_t grants;
};

struct world;

bool check_guest_cut_off(const struct world *w); // the exception
void check_guest_gain(struct world *w, uint32_t guest, uint32_t thing, int64_t token);
void check_guest_gain_part(struct world *w, uint32_t guest, uint32_t thing, int64_t token);
void check_guest_lose(struct world *w, uint32_t guest, uint32_t thing);
void check_guest_woke(struct world *w, uint32_t guest);
