// SPDX-License-Identifier: Apache-2.0
#include "wire/quorum.h"

void quorum_init(struct quorum *q, const struct members *committed, const struct members *last_seen)
{
    must(committed->voters_n >= 1);
    *q = (struct quorum){.of = {committed}, .n = 1};
    if (last_seen && last_seen->version > committed->version) {
        q->of[q->n++] = last_seen;
    }
}

bool quorum_has_voter(const struct quorum *q, int64_t sid)
{
    bool has = false;
    for (size_t c = 0; c < q->n; c++) {
        has |= members_is_voter(q->of[c], sid);
    }
    return has;
}

void quorum_ack(const struct quorum *q, struct quorum_acks *a, int64_t sid)
{
    for (size_t c = 0; c < q->n; c++) {
        for (size_t i = 0; i < q->of[c]->voters_n; i++) {
            if (q->of[c]->voters[i] == sid) {
                a->bits[c] |= (uint64_t)1 << i;
            }
        }
    }
}

bool quorum_reached(const struct quorum *q, const struct quorum_acks *a)
{
    bool all = true;
    for (size_t c = 0; c < q->n; c++) {
        all &= members_is_quorum(q->of[c], a->bits[c]);
    }
    return all;
}
