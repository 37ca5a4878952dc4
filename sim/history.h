// SPDX-License-Identifier: Apache-2.0
//
// struct history: the transactions an ensemble has committed, in their order: there is one for all
// hosts and the whole run, and it only grows. A transaction gets into it when a server that serves
// has applied it, or when a client has been told of it.
//
// What each server holds must be the beginning of it (PrefixConsistency, TotalOrder, Agreement of
// Zab.tla), and it must hold requests of clients only, each once (Integrity; check_tree.c).
#pragma once

#include "base/slice.h"

struct history_entry {
    int64_t zxid;
    uint32_t sum;    // of the record's bytes
    bool has_digest; // of the tree behind it
    uint64_t digest;
    int64_t seen_ns; // when it was seen first
    uint32_t host;   // there
};

struct history {
    struct history_entry *v;
    size_t n, cap;
};

void global_history_fini(struct history *h);
int64_t global_history_end(const struct history *h); // last zxid, 0: empty
void global_history_add(struct history *h, struct history_entry e);
// How many entries have a zxid of at most this.
size_t global_history_count(const struct history *h, int64_t zxid);
uint32_t global_history_sum(struct slice record);
