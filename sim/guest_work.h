// SPDX-License-Identifier: Apache-2.0
//
// What a guest's program does, in parts that know nothing of each other: one file and one row in
// guest_work.c each. A run has a few of them, by its seed or as --parts says; all its guests have
// the same.
//
// A part draws what it does from a generator of its own, seeded with what start() is given (calls
// and locks are older and draw from the world's), so a new one changes no run that has it not.
#pragma once

#include "sim/guest.h"

// All that the guests of a run share: which parts there are, and what each keeps of all guests.
struct guest_part {
    const char *name; // for --parts
    // What all guests' parts keep together, or NULL where they keep nothing. `end`: all guests have
    // left, all sessions are over: is what they left behind right?
    void *(*board_new)(struct world *w, uint64_t seed);
    void (*board_end)(void *board, struct world *w);
    void (*board_free)(void *board);
    // One guest's.
    void *(*start)(struct guest *g, void *board, uint64_t seed);
    void (*tick)(void *part);  // something new to do; every 20 ms
    void (*leave)(void *part); // gives back what it has, frees its recipes
    // It was paused, and the library has told it what it missed. May be NULL.
    void (*woke)(void *part);
    // The faults are long over: has everything gone on? May be NULL.
    void (*check_calm)(void *part);
    void (*free)(void *part); // after the library: every callback has come
};

extern const struct guest_part guest_calls;
extern const struct guest_part guest_locks;
extern const struct guest_part guest_cache;
extern const struct guest_part guest_partition;
extern const struct guest_part guest_group;
extern const struct guest_part guest_discovery;
extern const struct guest_part guest_rwlock;
extern const struct guest_part guest_semaphore;
extern const struct guest_part guest_counter;
extern const struct guest_part guest_barrier;
extern const struct guest_part guest_queue;

struct world *guest_world(const struct guest *g);
// The session is over by the own clock; or the servers were first, see check_guest.h.
bool guest_may_lose(const struct world *w, enum reeve_error why);
// An error of a recipe that is in order: its session or its client is over, it was told to end, or
// a server refused it: one whose disk is full, or for a tick an observer master whom it does not
// expect there.
bool guest_may_fail(const struct world *w, enum reeve_error e);
