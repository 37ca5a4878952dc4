// SPDX-License-Identifier: Apache-2.0
//
// struct tail: the last entries of the log as they are read, for whoever keeps a history in memory.
// Bounded in number and bytes; always without a hole, since what stands before one is dropped.
#pragma once

#include "disk/sync.h"

enum { TAIL_ENTRIES = 500, TAIL_BYTES = 16 * 1024 * 1024 };

// Zeroed is empty and valid. v[from..end) counts.
struct tail {
    struct disk_entry *v;
    size_t from, end, cap;
    size_t bytes;
};

void tail_put(struct tail *t, int64_t zxid, struct slice entry); // copies
void tail_clear(struct tail *t);
void tail_fini(struct tail *t);

static inline const struct disk_entry *tail_entries(const struct tail *t, size_t *n)
{
    *n = t->end - t->from;
    return *n ? t->v + t->from : NULL;
}
