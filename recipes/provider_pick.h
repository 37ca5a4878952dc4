// SPDX-License-Identifier: Apache-2.0
//
// Which one of a set of instances is next, and which are left out: the rules of a provider, without
// servers, threads and clocks. Curator's strategies and its DownInstancePolicy.
#pragma once

#include "reeve/discovery.h"

// What callers had trouble with. The first error starts a time in which errors are counted; at the
// end of it they are forgotten.
struct down {
    const struct reeve_instance *instance; // kept
    uint32_t errors;
    int64_t first_ms, last_ms;
};

enum { DOWN_MAX = 1024, WEIGHT_MAX = 1000000 }; // the oldest is forgotten then

struct pick {
    const struct reeve *zk;
    enum reeve_balance balance;
    bool sticky, least_failing;
    const char *weight_key;
    uint32_t down_errors;
    int64_t down_ms;
    uint64_t rng;
    uint32_t turn;                      // round-robin
    const struct reeve_instance *stuck; // kept; sticky: the one
    struct down *downs;                 // room for DOWN_MAX, made with the first
    size_t downs_n;
    struct reeve_instances set; // what there is, in the order of ids
    uint32_t *weights;          // of the set
};

void pick_fini(struct pick *p);
// The new set, which is taken over. NO_MEMORY: the old one stays, and `set` the caller's.
enum reeve_error pick_set(struct pick *p, struct reeve_instances *set);
// Kept for the caller, or NULL: none can be picked.
const struct reeve_instance *pick_next(struct pick *p, int64_t now_ms);
// Whether this one may be picked.
bool pick_is_up(const struct pick *p, const struct reeve_instance *i, int64_t now_ms);
void pick_note_error(struct pick *p, const struct reeve_instance *i, int64_t now_ms);
