// SPDX-License-Identifier: Apache-2.0
//
// The kinds of struct reeve_lock. What users see of it (acquire, timeouts, release, who contends)
// is the same for all and in lock.c; how the servers are asked is the kind's machine: a turn for
// locks and both sides of a read/write lock, a turn and a lease for semaphores (semaphore.c).
#pragma once

#include "recipes/lock_list.h"
#include "recipes/lock_turn.h"

struct lock_setup {
    const char *path; // borrowed for the machine's life, as the rest
    const void *data;
    size_t data_len;
    const void *rule; // the kind's own
    int32_t limit;    // semaphores: how many leases there are
};

// A machine promises what lock_turn.h says of a turn, with the same hooks.
struct lock_kind {
    size_t size;
    enum reeve_error (*init)(void *m, struct kit_object *o, const struct lock_setup *setup,
                             const struct turn_hooks *hooks, void *arg);
    enum reeve_error (*begin)(void *m, bool only_try);
    bool (*end)(void *m);
    void (*on_session)(void *m, const struct reeve_session *s);
    void (*poke)(void *m); // try again what found no memory; hooks may be called
    void (*fini)(void *m); // also of zeroed memory, and after a failed init
    bool (*is_idle)(const void *m);
    int64_t (*token)(const void *m); // above 0: HELD
};

extern const struct lock_kind lock_kind_turn; // rule: a struct turn_rule

struct lock_wish {
    const struct lock_kind *kind;
    const void *rule;
    int32_t limit;
    const char *list_below; // contenders are listed there, below the path; NULL: at the path
    struct lock_list_want list;
};

// What reeve_lock_new() and its like do; o must not be NULL.
enum reeve_error lock_make(struct reeve_lock **out, struct reeve *zk, const char *path,
                           const struct reeve_lock_options *o, const struct lock_wish *wish);
