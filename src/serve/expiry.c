// SPDX-License-Identifier: Apache-2.0
//
// A table of entries (slab, found by a chained hash) and a heap of their handles by key. The key is
// the deadline, or for an entry that was already handed out as due the next tick, at which it is
// handed out again if nothing has happened to it. Deadlines are multiples of the tick, so that
// `dump` shows Apache's buckets; nothing else depends on it.
#include "serve/expiry.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/slab.h"
#include "serve/date.h"

struct entry {
    int64_t session;
    int64_t owner;
    int64_t deadline; // ticks
    int64_t key;      // ticks; order in the heap
    int32_t timeout_ms;
    uint32_t next; // same hash
    uint32_t pos;  // in the heap
};

struct expiry {
    int64_t tick_ns;
    uint64_t seed;
    struct slab slab;
    uint32_t *table;
    size_t table_n; // power of two
    uint32_t *heap;
    size_t heap_n, heap_cap;
};

struct expiry *expiry_new(int32_t tick_ms, uint64_t seed)
{
    must(tick_ms > 0);
    struct expiry *e = mem_zalloc(sizeof(*e));
    e->tick_ns = (int64_t)tick_ms * 1000000;
    e->seed = seed;
    slab_init(&e->slab, sizeof(struct entry));
    e->table_n = 16;
    e->table = mem_zalloc(e->table_n * sizeof(*e->table));
    return e;
}

void expiry_free(struct expiry **e)
{
    if (*e) {
        slab_fini(&(*e)->slab);
        mem_free((*e)->table);
        mem_free((*e)->heap);
        mem_free(*e);
        *e = NULL;
    }
}

static struct entry *entry_at(const struct expiry *e, uint32_t h)
{
    return slab_at(&e->slab, h);
}

// The link that holds the session's handle, or the end of its chain.
static uint32_t *find(const struct expiry *e, int64_t session)
{
    uint64_t h = hash_bytes(e->seed, slice_of(&session, sizeof(session)));
    uint32_t *link = &e->table[h & (e->table_n - 1)];
    while (*link && entry_at(e, *link)->session != session) {
        link = &entry_at(e, *link)->next;
    }
    return link;
}

static void grow_table(struct expiry *e)
{
    uint32_t *old = e->table;
    size_t old_n = e->table_n;
    e->table_n *= 2;
    e->table = mem_zalloc(e->table_n * sizeof(*e->table));
    for (size_t i = 0; i < old_n; i++) {
        for (uint32_t h = old[i]; h;) {
            uint32_t next = entry_at(e, h)->next;
            entry_at(e, h)->next = 0;
            *find(e, entry_at(e, h)->session) = h;
            h = next;
        }
    }
    mem_free(old);
}

static void place(struct expiry *e, size_t pos, uint32_t h)
{
    e->heap[pos] = h;
    entry_at(e, h)->pos = (uint32_t)pos;
}

static int64_t key_at(const struct expiry *e, size_t pos)
{
    return entry_at(e, e->heap[pos])->key;
}

// Restores the heap's order around the one entry whose key may be wrong.
static void sift(struct expiry *e, size_t pos)
{
    uint32_t h = e->heap[pos];
    int64_t key = entry_at(e, h)->key;
    while (pos > 0 && key < key_at(e, (pos - 1) / 2)) {
        place(e, pos, e->heap[(pos - 1) / 2]);
        pos = (pos - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * pos + 1;
        if (child >= e->heap_n) {
            break;
        }
        if (child + 1 < e->heap_n && key_at(e, child + 1) < key_at(e, child)) {
            child++;
        }
        if (key <= key_at(e, child)) {
            break;
        }
        place(e, pos, e->heap[child]);
        pos = child;
    }
    place(e, pos, h);
}

// Java: ExpiryQueue.roundToNextInterval.
static int64_t deadline_of(const struct expiry *e, struct mono at, int32_t timeout_ms)
{
    return (at.ns + (int64_t)timeout_ms * 1000000) / e->tick_ns + 1;
}

static void set_deadline(struct expiry *e, struct entry *x, int64_t deadline)
{
    x->deadline = deadline;
    x->key = deadline;
    sift(e, x->pos);
}

void expiry_add(struct expiry *e, int64_t session, int32_t timeout_ms, struct mono now)
{
    uint32_t h = *find(e, session);
    if (!h) {
        if (e->slab.live >= e->table_n) {
            grow_table(e);
        }
        h = slab_alloc(&e->slab);
        entry_at(e, h)->session = session;
        entry_at(e, h)->owner = EXPIRY_NO_OWNER;
        *find(e, session) = h;
        mem_grow((void **)&e->heap, &e->heap_cap, e->heap_n + 1, sizeof(*e->heap));
        entry_at(e, h)->key = INT64_MAX;
        place(e, e->heap_n++, h);
    }
    struct entry *x = entry_at(e, h);
    x->timeout_ms = timeout_ms;
    set_deadline(e, x, deadline_of(e, now, timeout_ms));
}

void expiry_touch(struct expiry *e, int64_t session, struct mono at)
{
    uint32_t h = *find(e, session);
    if (!h) {
        return;
    }
    struct entry *x = entry_at(e, h);
    int64_t deadline = deadline_of(e, at, x->timeout_ms);
    if (deadline > x->deadline) {
        set_deadline(e, x, deadline);
    }
}

void expiry_remove(struct expiry *e, int64_t session)
{
    uint32_t *link = find(e, session);
    uint32_t h = *link;
    if (!h) {
        return;
    }
    struct entry *x = entry_at(e, h);
    *link = x->next;
    size_t pos = x->pos;
    uint32_t last = e->heap[--e->heap_n];
    if (last != h) {
        place(e, pos, last);
        sift(e, pos);
    }
    slab_free(&e->slab, h);
}

bool expiry_has(const struct expiry *e, int64_t session, int32_t *timeout_ms)
{
    uint32_t h = *find(e, session);
    if (h && timeout_ms) {
        *timeout_ms = entry_at(e, h)->timeout_ms;
    }
    return h != 0;
}

bool expiry_is_past(const struct expiry *e, int64_t session, struct mono now)
{
    uint32_t h = *find(e, session);
    return h && entry_at(e, h)->deadline * e->tick_ns <= now.ns;
}

bool expiry_owner(const struct expiry *e, int64_t session, int64_t *owner)
{
    uint32_t h = *find(e, session);
    if (h) {
        *owner = entry_at(e, h)->owner;
    }
    return h != 0;
}

void expiry_set_owner(struct expiry *e, int64_t session, int64_t owner)
{
    uint32_t h = *find(e, session);
    if (h) {
        entry_at(e, h)->owner = owner;
    }
}

size_t expiry_count(const struct expiry *e)
{
    return e->heap_n;
}

bool expiry_due(struct expiry *e, struct mono now, int64_t *session)
{
    if (e->heap_n == 0 || key_at(e, 0) * e->tick_ns > now.ns) {
        return false;
    }
    struct entry *x = entry_at(e, e->heap[0]);
    *session = x->session;
    x->key = now.ns / e->tick_ns + 1;
    sift(e, 0);
    return true;
}

void expiry_shift(struct expiry *e, int64_t ms)
{
    int64_t ticks = (ms * 1000000 + e->tick_ns - 1) / e->tick_ns;
    for (size_t i = 0; i < e->heap_n; i++) {
        struct entry *x = entry_at(e, e->heap[i]);
        x->deadline += ticks;
        x->key += ticks;
    }
}

static int by_deadline(const void *a, const void *b)
{
    const struct expiry_point *x = a;
    const struct expiry_point *y = b;
    int late = (x->at.ns > y->at.ns) - (x->at.ns < y->at.ns);
    return late ? late : (x->session > y->session) - (x->session < y->session);
}

struct expiry_point *expiry_points(const struct expiry *e)
{
    struct expiry_point *v = mem_alloc(e->heap_n * sizeof(*v));
    for (size_t i = 0; i < e->heap_n; i++) {
        const struct entry *x = entry_at(e, e->heap[i]);
        v[i] = (struct expiry_point){x->session, {x->deadline * e->tick_ns}};
    }
    if (e->heap_n) {
        qsort(v, e->heap_n, sizeof(*v), by_deadline);
    }
    return v;
}

void expiry_fmt_sets(const struct expiry *e, const char *title, struct mono now, struct wall wall,
                     void (*member)(void *ctx, int64_t session, struct buf *b), void *ctx,
                     struct buf *b)
{
    struct expiry_point *v = expiry_points(e);
    size_t sets = 0;
    for (size_t i = 0; i < e->heap_n; i++) {
        sets += i == 0 || v[i].at.ns != v[i - 1].at.ns;
    }
    buf_fmt(b, "%s Sets (%zu)/(%zu):\n", title, sets, e->heap_n);
    for (size_t i = 0; i < e->heap_n;) {
        size_t end = i;
        while (end < e->heap_n && v[end].at.ns == v[i].at.ns) {
            end++;
        }
        buf_fmt(b, "%zu expire at ", end - i);
        date_fmt((struct wall){wall.ms + mono_diff_ms(v[i].at, now)}, b);
        buf_fmt(b, ":\n");
        for (; i < end; i++) {
            member(ctx, v[i].session, b);
        }
    }
    mem_free(v);
}

static void fmt_session(void *ctx, int64_t session, struct buf *b)
{
    (void)ctx;
    buf_fmt(b, "\t0x%" PRIx64 "\n", (uint64_t)session);
}

void expiry_fmt(const struct expiry *e, struct mono now, struct wall wall, struct buf *b)
{
    expiry_fmt_sets(e, "Session", now, wall, fmt_session, NULL, b);
}

void expiry_check(const struct expiry *e)
{
    must(e->heap_n == e->slab.live);
    for (size_t i = 0; i < e->heap_n; i++) {
        const struct entry *x = entry_at(e, e->heap[i]);
        must(x->pos == i);
        must(x->key >= x->deadline);
        must(i == 0 || key_at(e, (i - 1) / 2) <= x->key);
        must(*find(e, x->session) == e->heap[i]);
    }
}
