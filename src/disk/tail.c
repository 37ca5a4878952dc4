// SPDX-License-Identifier: Apache-2.0
#include "disk/tail.h"

#include "base/mem.h"

static void drop_first(struct tail *t)
{
    struct disk_entry *e = &t->v[t->from++];
    t->bytes -= e->txn->n;
    blob_unref(&e->txn);
}

void tail_put(struct tail *t, int64_t zxid, struct slice entry)
{
    // Twice the room: moving down then costs nothing worth counting.
    if (t->end == 2 * TAIL_ENTRIES) {
        t->end -= t->from;
        memmove(t->v, t->v + t->from, t->end * sizeof(*t->v));
        t->from = 0;
    }
    mem_grow((void **)&t->v, &t->cap, t->end + 1, sizeof(*t->v));
    t->v[t->end++] = (struct disk_entry){zxid, blob_new(entry)};
    t->bytes += entry.n;
    while (t->end - t->from > TAIL_ENTRIES || t->bytes > TAIL_BYTES) {
        drop_first(t);
    }
}

void tail_clear(struct tail *t)
{
    while (t->from < t->end) {
        drop_first(t);
    }
    t->from = t->end = 0;
}

void tail_fini(struct tail *t)
{
    tail_clear(t);
    mem_free(t->v);
    *t = (struct tail){0};
}
