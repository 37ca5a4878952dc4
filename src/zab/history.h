// SPDX-License-Identifier: Apache-2.0
//
// struct history: the last committed transactions, in memory, for learners that are a little behind
// (Java's committedLog). It outlives roles: node fills it when it recovers and settles the log, a
// role adds what it commits. It is one range without a gap: what does not follow its last entry
// begins a new range (ZOOKEEPER-2846, 2418, 4925), and what was cut from the log is cut here.
// The blobs are shared with whoever else holds them.
#pragma once

#include "zab/zab_role.h"

enum {
    HISTORY_KEEP_MIN = 500,              // Java's commitLogCount: never less, if there are as many
    HISTORY_BYTES_MAX = 16 * 1024 * 1024 // beyond it entries go, even the last 500
};

struct history {
    struct zab_entry *ring; // of cap (a power of two), n used from `first`
    size_t first, n, cap;
    size_t keep, bytes, bytes_max;
    int64_t pin;
    int64_t floor; // the state its first entry follows; of an empty one: the last state
    bool floored;  // it is known
};

// Keeps everything above zxid, however many, as far as the bytes allow: somebody is being brought
// up to it. INT64_MAX: nobody is.
void history_pin(struct history *h, int64_t zxid);
void history_init(struct history *h, size_t keep, size_t bytes_max);
void history_fini(struct history *h);
void history_reset(struct history *h, int64_t zxid); // the state is that of a snapshot at zxid
void history_append(struct history *h, int64_t zxid, struct blob *txn); // takes a reference
void history_truncate(struct history *h, int64_t zxid);                 // nothing above zxid
int64_t history_min(const struct history *h); // of the first entry; must not be empty
int64_t history_max(const struct history *h);
const struct zab_entry *history_at(const struct history *h, size_t i);
size_t history_find(const struct history *h, int64_t zxid); // first entry above zxid; n: none
// Whether it has everything that follows a state at `zxid`, which is one of its own.
bool history_reaches(const struct history *h, int64_t zxid);
void history_check(const struct history *h);
