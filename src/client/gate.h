// SPDX-License-Identifier: Apache-2.0
//
// struct reeve_gate: one thread waits, a callback opens. A word that is changed by atomic
// operations only, so that opening a gate at which nobody sleeps costs no system call, and one at
// which somebody does costs one. How to sleep is the driver's affair (client.h: wait, opened).
//
// Nothing of a gate is touched after the operation that opens it: who waits may have freed it.
#pragma once

#include <stdatomic.h>

#include "reeve/reeve.h"

enum {
    GATE_OPEN = 1,
    GATE_ASLEEP = 2, // somebody sleeps, or is about to
    GATE_DRIVE = 4   // the sleeper is asked to drive the client (loop_wait.c)
};

struct reeve_gate {
    struct reeve *zk;
    _Atomic uint32_t bits;
};

// For gates on the stack; between the two client_free() waits.
void gate_init(struct reeve_gate *g, struct reeve *zk);
void gate_fini(struct reeve_gate *g);

static inline bool gate_is_open(const struct reeve_gate *g)
{
    return atomic_load_explicit(&g->bits, memory_order_acquire) & GATE_OPEN;
}
