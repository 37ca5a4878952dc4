// SPDX-License-Identifier: Apache-2.0
//
// struct job: one handle of a lock (of whatever kind) at work: it asks, waits with and without
// patience, holds for a while, gives back, is freed in any state and made anew. What it is told
// goes to check_guest at once; what it gives back, before it gives it back.
#pragma once

#include "base/rng.h"
#include "reeve/lock.h"
#include "sim/guest_work.h"

struct job;

// A new handle into j->lock, with these options.
typedef enum reeve_error job_make_fn(struct job *j, const struct reeve_lock_options *o);

struct job {
    struct guest *g;
    struct rng *rng;
    uint32_t thing;
    const char *name; // of what it is, for messages
    job_make_fn *make;
    enum reeve_layout layout;
    bool any_layout; // a new one is drawn with each handle
    bool shares;     // it takes a part of the thing, not all of it
    struct reeve_lock *lock;
    enum job_state { JOB_IDLE, JOB_ASKED, JOB_HELD } state;
    int64_t since_ns, until_ns;
};

void job_start(struct job *j); // everything up to `shares` is set
void job_tick(struct job *j);
void job_leave(struct job *j);
void job_check_calm(const struct job *j);
void job_check_over(const struct job *j); // every callback has come
