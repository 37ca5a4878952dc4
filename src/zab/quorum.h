// SPDX-License-Identifier: Apache-2.0
//
// Who votes, and when enough of them have acknowledged: a strict majority. An acknowledgement set
// is a bit per voter, so counting is a popcount.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUORUM_VOTERS_MAX = 64 }; // one machine word per acknowledgement set

struct quorum {
    int64_t sids[QUORUM_VOTERS_MAX];
    size_t n;
};

struct quorum_acks {
    uint64_t bits; // bit i: voter sids[i]
};

void quorum_init(struct quorum *q, const int64_t *sids, size_t n);
size_t quorum_size(const struct quorum *q);
void quorum_ack(const struct quorum *q, struct quorum_acks *a, int64_t sid); // non-voters: ignored
bool quorum_reached(const struct quorum *q, const struct quorum_acks *a);
