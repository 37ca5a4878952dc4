// SPDX-License-Identifier: Apache-2.0
//
// struct committed: the transactions an ensemble has committed, in their order: there is one for
// all hosts and the whole run, and it only grows. A transaction gets into it when a server that
// serves has applied it, or when a client has been told of it.
//
// What each server holds must be the beginning of it (PrefixConsistency, TotalOrder, Agreement of
// Zab.tla), and it must hold requests of clients only, each once (Integrity; check_tree.c).
#pragma once

#include "base/slice.h"

struct committed_entry {
    int64_t zxid;
    uint32_t sum;    // of the record's bytes
    bool has_digest; // of the tree behind it
    uint64_t digest;
    int64_t seen_ns; // when it was seen first
    uint32_t host;   // there
};

struct committed {
    struct committed_entry *v;
    size_t n, cap;
};

void committed_fini(struct committed *h);
int64_t committed_end(const struct committed *h); // last zxid, 0: empty
void committed_add(struct committed *h, struct committed_entry e);
// How many entries have a zxid of at most this.
size_t committed_count(const struct committed *h, int64_t zxid);
uint32_t committed_sum(struct slice record);
