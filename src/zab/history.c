// SPDX-License-Identifier: Apache-2.0
#include "zab/history.h"

#include "base/mem.h"

static struct zab_entry *at(const struct history *h, size_t i)
{
    return &h->ring[(h->first + i) & (h->cap - 1)];
}

const struct zab_entry *history_at(const struct history *h, size_t i)
{
    must(i < h->n);
    return at(h, i);
}

void history_init(struct history *h, size_t keep, size_t bytes_max)
{
    *h = (struct history){.keep = keep, .bytes_max = bytes_max, .pin = INT64_MAX};
}

static void drop_oldest(struct history *h)
{
    struct zab_entry *e = at(h, 0);
    h->floor = e->zxid;
    h->floored = true;
    h->bytes -= e->txn->n;
    blob_unref(&e->txn);
    h->first = (h->first + 1) & (h->cap - 1);
    h->n--;
}

static void clear(struct history *h)
{
    while (h->n) {
        drop_oldest(h);
    }
}

void history_fini(struct history *h)
{
    clear(h);
    mem_free(h->ring);
    *h = (struct history){0};
}

void history_reset(struct history *h, int64_t zxid)
{
    clear(h);
    h->floor = zxid;
    h->floored = true;
}

static void grow(struct history *h)
{
    size_t cap = h->cap ? h->cap * 2 : 64;
    struct zab_entry *ring = mem_alloc(cap * sizeof(*ring));
    for (size_t i = 0; i < h->n; i++) {
        ring[i] = *at(h, i);
    }
    mem_free(h->ring);
    h->ring = ring;
    h->first = 0;
    h->cap = cap;
}

static void trim(struct history *h)
{
    while (h->n > 1 && (h->bytes > h->bytes_max || (h->n > h->keep && history_min(h) <= h->pin))) {
        drop_oldest(h);
    }
}

void history_pin(struct history *h, int64_t zxid)
{
    h->pin = zxid;
    trim(h);
}

void history_append(struct history *h, int64_t zxid, struct blob *txn)
{
    if (h->n || h->floored) {
        int64_t last = h->n ? history_max(h) : h->floor;
        must(zxid > last);
        if (!zxid_follows(last, zxid)) {
            clear(h);
            h->floored = false;
        }
    }
    if (h->n == h->cap) {
        grow(h);
    }
    *at(h, h->n) = (struct zab_entry){zxid, blob_ref(txn)};
    h->n++;
    h->bytes += txn->n;
    trim(h);
}

void history_truncate(struct history *h, int64_t zxid)
{
    while (h->n && history_max(h) > zxid) {
        struct zab_entry *e = at(h, h->n - 1);
        h->bytes -= e->txn->n;
        blob_unref(&e->txn);
        h->n--;
    }
    if (!h->n) {
        history_reset(h, zxid);
    }
}

int64_t history_min(const struct history *h)
{
    return history_at(h, 0)->zxid;
}

int64_t history_max(const struct history *h)
{
    must(h->n);
    return at(h, h->n - 1)->zxid;
}

size_t history_find(const struct history *h, int64_t zxid)
{
    size_t lo = 0, hi = h->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (at(h, mid)->zxid > zxid) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return lo;
}

bool history_reaches(const struct history *h, int64_t zxid)
{
    if (h->floored && zxid == h->floor) {
        return true;
    }
    return h->n && zxid >= history_min(h);
}

void history_check(const struct history *h)
{
    size_t bytes = 0;
    for (size_t i = 0; i < h->n; i++) {
        const struct zab_entry *e = at(h, i);
        bytes += e->txn->n;
        must(e->txn->refs > 0);
        if (i || h->floored) {
            must(zxid_follows(i ? at(h, i - 1)->zxid : h->floor, e->zxid));
        }
    }
    must(bytes == h->bytes);
    must(h->n <= h->keep || h->n <= 1 || history_min(h) > h->pin);
}
