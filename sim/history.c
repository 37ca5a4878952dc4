// SPDX-License-Identifier: Apache-2.0
#include "sim/history.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/must.h"

void global_history_fini(struct history *h)
{
    mem_free(h->v);
    *h = (struct history){0};
}

int64_t global_history_end(const struct history *h)
{
    return h->n ? h->v[h->n - 1].zxid : 0;
}

void global_history_add(struct history *h, struct history_entry e)
{
    must(e.zxid > global_history_end(h));
    mem_grow((void **)&h->v, &h->cap, h->n + 1, sizeof(*h->v));
    h->v[h->n++] = e;
}

size_t global_history_count(const struct history *h, int64_t zxid)
{
    size_t lo = 0, hi = h->n;
    if (zxid >= global_history_end(h)) {
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

uint32_t global_history_sum(struct slice record)
{
    return hash_crc32(HASH_CRC_INIT, record);
}
