// SPDX-License-Identifier: Apache-2.0
//
// Registering watches again. See restore.h.
#include "client/restore.h"

#include "base/endian.h"
#include "base/must.h"
#include "wire/ops.h"

struct restore_piece {
    struct restore_piece *next;
    struct mono sent_at;
    uint64_t sent_end;
    size_t n;
    uint8_t frame[];
};

// How much of the table goes into one piece.
struct share {
    size_t start; // cursor of watchers_each()
    size_t items;
    int32_t count[WATCH_LISTS];
    size_t bytes[WATCH_LISTS];
};

void restore_drop(struct restore *r)
{
    while (r->first) {
        struct restore_piece *p = r->first;
        r->first = p->next;
        alloc_put(&r->allocator, p);
    }
    r->next = NULL;
}

static size_t fixed_bytes(size_t lists)
{
    return 4 + 8 + 8 + lists * 4; // length, header, zxid, counts
}

// Takes from the table what fits, at least one. *at is behind it afterwards. False: nothing left.
static bool measure(const struct watchers *w, size_t *at, size_t lists, struct share *s)
{
    *s = (struct share){.start = *at};
    size_t total = fixed_bytes(lists);
    size_t cursor = *at;
    enum watch_list list;
    struct slice path;
    while (watchers_each(w, &cursor, &list, &path)) {
        total += 4 + path.n;
        if (s->items && total > RESTORE_BYTES_MAX) {
            break;
        }
        s->items++;
        s->count[list]++;
        s->bytes[list] += 4 + path.n;
        *at = cursor;
    }
    return s->items > 0;
}

static struct restore_piece *build(const struct restore *r, const struct watchers *w,
                                   const struct share *s, size_t lists, int64_t zxid)
{
    size_t n = fixed_bytes(lists);
    for (size_t i = 0; i < lists; i++) {
        n += s->bytes[i];
    }
    struct restore_piece *p = alloc_get(&r->allocator, NULL, sizeof(*p) + n);
    if (!p) {
        return NULL;
    }
    *p = (struct restore_piece){.n = n};
    be32_put(p->frame, (uint32_t)(n - 4));
    be32_put(p->frame + 4, (uint32_t)RESTORE_XID);
    be32_put(p->frame + 8, lists == WATCH_LISTS ? OP_SET_WATCHES2 : OP_SET_WATCHES);
    be64_put(p->frame + 12, (uint64_t)zxid);
    uint8_t *to[WATCH_LISTS], *end = p->frame + 20;
    for (size_t i = 0; i < lists; i++) {
        be32_put(end, (uint32_t)s->count[i]);
        to[i] = end + 4;
        end += 4 + s->bytes[i];
    }
    must(end == p->frame + n);
    size_t cursor = s->start;
    enum watch_list list;
    struct slice path;
    for (size_t i = 0; i < s->items && watchers_each(w, &cursor, &list, &path); i++) {
        be32_put(to[list], (uint32_t)path.n);
        memcpy(to[list] + 4, path.p, path.n);
        to[list] += 4 + path.n;
    }
    return p;
}

static size_t lists_of(const struct watchers *w)
{
    size_t at = 0;
    enum watch_list list;
    struct slice path;
    while (watchers_each(w, &at, &list, &path)) {
        if (list >= WATCH_PERSISTENT) {
            return WATCH_LISTS;
        }
    }
    return WATCH_PERSISTENT;
}

bool restore_build(struct restore *r, const struct watchers *w, int64_t zxid)
{
    restore_drop(r);
    size_t lists = lists_of(w);
    size_t at = 0;
    struct share s;
    struct restore_piece **end = &r->first;
    while (measure(w, &at, lists, &s)) {
        *end = build(r, w, &s, lists, zxid);
        if (!*end) {
            restore_drop(r);
            return false;
        }
        end = &(*end)->next;
    }
    r->next = r->first;
    return true;
}

struct slice restore_next(const struct restore *r)
{
    return r->next ? slice_of(r->next->frame, r->next->n) : SLICE_NULL;
}

void restore_sent(struct restore *r, struct mono now, uint64_t end)
{
    r->next->sent_at = now;
    r->next->sent_end = end;
    r->next = r->next->next;
}

bool restore_answered(struct restore *r, uint64_t gone, struct mono *asked)
{
    struct restore_piece *p = r->first;
    if (p == r->next || p->sent_end > gone) {
        return false;
    }
    *asked = p->sent_at;
    r->first = p->next;
    alloc_put(&r->allocator, p);
    return true;
}
