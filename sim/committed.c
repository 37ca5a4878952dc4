// SPDX-License-Identifier: Apache-2.0
#include "sim/committed.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/must.h"

void committed_fini(struct committed *h)
{
    mem_free(h->v);
    *h = (struct committed){0};
}

int64_t committed_end(const struct committed *h)
{
    return h->n ? h->v[h->n - 1].zxid : 0;
}

void committed_add(struct committed *h, struct committed_entry e)
{
    must(e.zxid > committed_end(h));
    mem_grow((void **)&h->v, &h->cap, h->n + 1, sizeof(*h->v));
    h->v[h->n++] = e;
}

size_t committed_count(const struct committed *h, int64_t zxid)
{
    size_t lo = 0, hi = h->n;
    if (zxid >= committed_end(h)) {
        return h->n;
    }
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (h->v[mid].zxid <= zxid) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

uint32_t committed_sum(struct slice record)
{
    return hash_crc32(HASH_CRC_INIT, record);
}
