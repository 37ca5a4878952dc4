// SPDX-License-Identifier: Apache-2.0
//
// What a guest's program does, in parts that know nothing of each other: plain calls
// (guest_calls.c), and recipes (guest_work.c).
#pragma once

#include "sim/guest.h"

enum { CALLS_NEVER_MAX = 512 };

struct guest_call;

struct guest_calls {
    struct world *w;
    struct reeve *zk;
    uint32_t guest;
    struct guest_call *all; // to the end of the run
    size_t flying, depth;
    char path[24];
    int64_t blind_until_ns;
    uint64_t number, acknowledged;   // of writes: submitted, answered in this session
    uint64_t never[CALLS_NEVER_MAX]; // surely not executed
    size_t never_n;
};

void guest_calls_init(struct guest_calls *s, struct world *w, struct reeve *zk, uint32_t guest);
void guest_calls_tick(struct guest_calls *s);
void guest_calls_fini(struct guest_calls *s); // every callback must have come by now
