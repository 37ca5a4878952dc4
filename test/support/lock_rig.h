// SPDX-License-Identifier: Apache-2.0
//
// Clients that contend for a lock, a read/write lock or a semaphore on a client_rig: everything
// that is a struct reeve_lock. Each contender is a client of its own with one handle. After every
// callback the rig checks who believes to have it: at most `limit`, or one writer alone.
#pragma once

#include "reeve/lock.h"
#include "reeve/rwlock.h"
#include "reeve/semaphore.h"
#include "test/support/client_rig.h"

enum { LOCK_RIG_MAX = 40 };

enum lock_rig_kind { LOCK_RIG_LOCK, LOCK_RIG_READER, LOCK_RIG_WRITER, LOCK_RIG_LEASE };

struct lock_rig;

struct contender {
    struct lock_rig *w;
    struct reeve *zk;
    struct reeve_lock *l;
    enum lock_rig_kind kind;
    bool held;                           // granted, not lost and not given back
    bool asking;                         // an acquire without a callback
    int granted;                         // how often
    int failed;                          // how often an acquire was told an error
    int lost;                            // on_lost calls
    int released;                        // release callbacks
    int order;                           // of the last grant among all contenders, from 1
    int64_t token;                       // of the last grant
    enum reeve_error e, why, released_e; // of the last of each
};

struct lock_rig {
    struct crig *c;
    struct contender k[LOCK_RIG_MAX];
    size_t n;
    size_t limit; // leases
    int grants;
    int64_t last_token; // exclusive kinds: tokens grow
};

// n clients with a handle each at /app/lock; kinds[i % kinds_n] says which.
void lock_rig_init(struct lock_rig *w, size_t n, enum reeve_layout layout, size_t limit,
                   const enum lock_rig_kind *kinds, size_t kinds_n);
// Gives back and frees everything; fails if a node of a contender whose session lives is left.
void lock_rig_fini(struct lock_rig *w);

void contender_acquire(struct contender *k, int64_t timeout_ms); // no memory: asks again
void contender_release(struct contender *k);
// Children of a path as an unrelated client sees them, each followed by a blank; static memory.
const char *lock_rig_names(struct lock_rig *w, const char *path);
size_t lock_rig_count(struct lock_rig *w, const char *path);
