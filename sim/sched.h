// SPDX-License-Identifier: Apache-2.0
//
// struct sched: what will happen, ordered by (time, order of scheduling). The only source of order
// in the simulated world, so one seed gives one history. Events carry numbers, never pointers;
// whoever schedules something that may be overtaken by fate (a crash, a cut) puts a generation in
// `gen` and ignores the event when it is stale.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sched_kind {
    SCHED_TURN,     // a: host; it takes events
    SCHED_TIMER,    // a: host
    SCHED_JOB_RUN,  // a: host, b: lane
    SCHED_JOB_DONE, // a: host, b: lane
    SCHED_BOOT,     // a: host
    SCHED_DIAL,     // a: host, gen: the dial
    SCHED_OPEN,     // a: link; the connection request arrives
    SCHED_MOVE,     // a: link, b: side that sends; bytes arrive
    SCHED_LINGER,   // a: link, b: side; an orderly close has waited long enough
    SCHED_GONE,     // a: link, b: side; this end notices a cut
    SCHED_THAW,     // a: link; a frozen link moves again
    SCHED_CLIENT,   // a: client; it does something
    SCHED_FAULT,    // the next fault
    SCHED_UNFAULT,  // a: kind of fault, b: host; it ends
    SCHED_PHASE     // the next part of the run
};

struct sched_event {
    int64_t at_ns;
    uint64_t seq;
    uint64_t gen;
    enum sched_kind kind;
    uint32_t a, b;
};

struct sched {
    struct sched_event *heap;
    size_t n, cap;
    uint64_t seq;
};

void sched_add(struct sched *s, struct sched_event ev);
bool sched_next(struct sched *s, struct sched_event *ev); // false: nothing will ever happen again
void sched_fini(struct sched *s);
