// SPDX-License-Identifier: Apache-2.0
//
// check_guest: who believes to hold what. At every moment at most one guest that is awake believes
// to hold a lock or to lead; a guest that wakes up unlearns what is no longer true before it does
// anything else; the fencing token of each grant is larger than that of the grant before. When the
// faults are over, nobody waits for ever.
//
// One exception, which is ZooKeeper's: a follower that is cut off from its leader answers
// heartbeats for up to syncLimit, while the leader, which does not hear of them, lets the session
// expire. So two may believe while paths between servers are bad, and for a while after; then only
// the token tells them apart.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// What one has at a time. The partitions are those of guest_partition.c.
enum { THING_LOCK, THING_LOCK_2, THING_LEADER, THING_PARTITION, THINGS = THING_PARTITION + 10 };

struct thing {
    unsigned believers; // bits of clients
    uint32_t newest;    // who was given it last
    int64_t token;      // of that grant
    int64_t since_ns;   // last gained or lost
    uint64_t grants;
};

struct world;

bool check_guest_cut_off(const struct world *w); // the exception
void check_guest_gain(struct world *w, uint32_t guest, uint32_t thing, int64_t token);
void check_guest_lose(struct world *w, uint32_t guest, uint32_t thing);
void check_guest_woke(struct world *w, uint32_t guest);
