// SPDX-License-Identifier: Apache-2.0
#include "zab/quorum.h"

#include "base/must.h"

void quorum_init(struct quorum *q, const int64_t *sids, size_t n)
{
    must(n >= 1 && n <= QUORUM_VOTERS_MAX);
    q->n = n;
    for (size_t i = 0; i < n; i++) {
        q->sids[i] = sids[i];
    }
}

size_t quorum_size(const struct quorum *q)
{
    return q->n;
}

void quorum_ack(const struct quorum *q, struct quorum_acks *a, int64_t sid)
{
    for (size_t i = 0; i < q->n; i++) {
        if (q->sids[i] == sid) {
            a->bits |= (uint64_t)1 << i;
        }
    }
}

bool quorum_reached(const struct quorum *q, const struct quorum_acks *a)
{
    return (size_t)__builtin_popcountll(a->bits) > q->n / 2;
}
