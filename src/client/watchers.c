// SPDX-License-Identifier: Apache-2.0
//
// One chained table of registrations by path, in each chain in the order they were asked for, and
// one list of those that are due. What is OVER leaves the table when it has been pulled.
//
// The registration pulled last is kept until the next pull, also if it was taken back meanwhile:
// its path is in the hands of the callback.
#include "client/watchers.h"

#include "base/hash.h"
#include "base/must.h"
#include "wire/path.h"

enum { BUCKETS_MIN = 16 };

struct chain {
    struct watch *first, **end;
};

struct watchers {
    struct reeve_allocator allocator;
    uint64_t seed;
    struct chain *buckets;
    size_t buckets_n; // a power of two
    size_t linked;    // in the table
    size_t n;         // of these SET
    size_t recursive_n;
    size_t recursive_path_max; // no longer path was ever in list WATCH_RECURSIVE
    struct watch *due, *due_last;
    struct watch *pulled;
};

struct watch *watch_new(const struct reeve_allocator *a, enum watch_list list, struct slice path,
                        const struct reeve_watch *w)
{
    must(path.n < UINT32_MAX);
    struct watch *r = alloc_get(a, NULL, sizeof(*r) + path.n + 1);
    if (!r) {
        return NULL;
    }
    *r = (struct watch){
        .list = list, .fn = w->fn, .ctx = w->ctx, .allocator = *a, .path_n = (uint32_t)path.n};
    memcpy(r->path, path.p, path.n);
    r->path[path.n] = 0;
    return r;
}

void watch_free(struct watch **r)
{
    if (*r) {
        struct reeve_allocator a = (*r)->allocator;
        alloc_put(&a, *r);
        *r = NULL;
    }
}

// n empty chains; NULL: no memory.
static struct chain *buckets_new(const struct reeve_allocator *a, size_t n)
{
    struct chain *c = alloc_zero(a, n * sizeof(*c));
    for (size_t i = 0; c && i < n; i++) {
        c[i].end = &c[i].first;
    }
    return c;
}

enum reeve_error watchers_new(const struct reeve_allocator *a, uint64_t seed, struct watchers **w)
{
    *w = NULL;
    struct watchers *new = alloc_zero(a, sizeof(*new));
    struct chain *buckets = buckets_new(a, BUCKETS_MIN);
    if (!new || !buckets) {
        alloc_put(a, new);
        alloc_put(a, buckets);
        return REEVE_NO_MEMORY;
    }
    new->allocator = *a;
    new->seed = seed;
    new->buckets = buckets;
    new->buckets_n = BUCKETS_MIN;
    *w = new;
    return REEVE_OK;
}

// ---- the table --------------------------------------------------------------------------------

static struct slice path_of(const struct watch *r)
{
    return slice_of(r->path, r->path_n);
}

static struct chain *bucket(const struct watchers *w, uint64_t hash)
{
    return &w->buckets[hash & (w->buckets_n - 1)];
}

static bool is_at(const struct watch *r, uint64_t hash, struct slice path)
{
    return r->hash == hash && r->path_n == path.n && memcmp(r->path, path.p, path.n) == 0;
}

static bool is_one_shot(enum watch_list list)
{
    return list < WATCH_PERSISTENT;
}

static void append(struct chain *c, struct watch *r)
{
    r->next = NULL;
    *c->end = r;
    c->end = &r->next;
}

// Twice the buckets; each chain keeps its order. Without memory it stays as it is.
static void grow(struct watchers *w)
{
    size_t n = w->buckets_n;
    struct chain *new = buckets_new(&w->allocator, 2 * n);
    if (!new) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        for (struct watch *r = w->buckets[i].first, *next; r; r = next) {
            next = r->next;
            append(&new[r->hash & (2 * n - 1)], r);
        }
    }
    alloc_put(&w->allocator, w->buckets);
    w->buckets = new;
    w->buckets_n = 2 * n;
}

static void link(struct watchers *w, struct watch *r)
{
    if (w->linked >= w->buckets_n) {
        grow(w);
    }
    r->hash = hash_bytes(w->seed, path_of(r));
    append(bucket(w, r->hash), r);
    w->linked++;
}

// Out of the table, and freed.
static void drop_at(struct watchers *w, struct watch **at)
{
    struct watch *r = *at;
    *at = r->next;
    if (!r->next) {
        bucket(w, r->hash)->end = at;
    }
    w->linked--;
    watch_free(&r);
}

static void drop(struct watchers *w, struct watch *r)
{
    struct watch **at = &bucket(w, r->hash)->first;
    while (*at != r) {
        at = &(*at)->next;
    }
    drop_at(w, at);
}

// Another that is SET and the same.
static bool is_set_already(const struct watchers *w, const struct watch *r)
{
    const struct watch *o = bucket(w, r->hash)->first;
    while (o && !(o->state == WATCH_SET && o->list == r->list && o->fn == r->fn &&
                  o->ctx == r->ctx && is_at(o, r->hash, path_of(r)))) {
        o = o->next;
    }
    return o != NULL;
}

void watchers_ask(struct watchers *w, struct watch **owner)
{
    struct watch *r = *owner;
    must(r->state == WATCH_NEW);
    link(w, r);
    r->state = WATCH_ASKED;
    r->owner = owner;
}

void watchers_withdraw(struct watchers *w, struct watch **owner)
{
    struct watch *r = *owner;
    must(r->state <= WATCH_ASKED);
    *owner = NULL;
    if (r->state == WATCH_NEW) {
        watch_free(&r);
    } else {
        drop(w, r);
    }
}

void watchers_add(struct watchers *w, struct watch *r)
{
    must(r->state <= WATCH_ASKED);
    if (r->state == WATCH_NEW) {
        link(w, r);
    }
    if (is_set_already(w, r)) {
        drop(w, r);
        return;
    }
    r->state = WATCH_SET;
    w->n++;
    if (r->list == WATCH_RECURSIVE) {
        w->recursive_n++;
        w->recursive_path_max =
            r->path_n > w->recursive_path_max ? r->path_n : w->recursive_path_max;
    }
}

static void finish(struct watchers *w, struct watch *r)
{
    must(r->state == WATCH_SET);
    r->state = WATCH_OVER;
    w->n--;
    w->recursive_n -= r->list == WATCH_RECURSIVE;
}

// ---- what is due ------------------------------------------------------------------------------

static void list_due(struct watchers *w, struct watch *r, enum reeve_event_type type,
                     enum reeve_error why, const char *path)
{
    r->due_type = type;
    r->due_why = why;
    r->due_path = path;
    if (r->due) {
        return; // it ends before its event was told: the end is told instead
    }
    r->due = true;
    r->next_due = NULL;
    r->prev_due = w->due_last;
    *(w->due_last ? &w->due_last->next_due : &w->due) = r;
    w->due_last = r;
}

static void unlist_due(struct watchers *w, struct watch *r)
{
    *(r->prev_due ? &r->prev_due->next_due : &w->due) = r->next_due;
    *(r->next_due ? &r->next_due->prev_due : &w->due_last) = r->prev_due;
    r->due = false;
}

static void release_pulled(struct watchers *w)
{
    struct watch *r = w->pulled;
    w->pulled = NULL;
    if (r && r->state == WATCH_OVER && !r->due) {
        drop(w, r);
    }
}

static void end(struct watchers *w, struct watch *r, enum reeve_error why)
{
    finish(w, r);
    list_due(w, r, REEVE_EVENT_ENDED, why, NULL);
}

// Every registration at exactly `path` in one of the lists.
static void fire_at(struct watchers *w, unsigned lists, struct slice path,
                    enum reeve_event_type type, const char *event_path)
{
    uint64_t hash = hash_bytes(w->seed, path);
    for (struct watch *r = bucket(w, hash)->first; r; r = r->next) {
        if (r->state != WATCH_SET || !(lists & 1u << r->list) || !is_at(r, hash, path)) {
            continue;
        }
        if (is_one_shot(r->list)) {
            finish(w, r);
        }
        list_due(w, r, type, REEVE_OK, event_path);
    }
}

// ZKWatchManager.materialize
static unsigned lists_of(enum reeve_event_type type)
{
    switch (type) {
    case REEVE_EVENT_CREATED:
    case REEVE_EVENT_CHANGED:
        return 1u << WATCH_DATA | 1u << WATCH_EXIST | 1u << WATCH_PERSISTENT;
    case REEVE_EVENT_DELETED:
        return 1u << WATCH_DATA | 1u << WATCH_EXIST | 1u << WATCH_CHILD | 1u << WATCH_PERSISTENT;
    case REEVE_EVENT_CHILDREN:
        return 1u << WATCH_CHILD | 1u << WATCH_PERSISTENT;
    default:
        return 0;
    }
}

void watchers_fire(struct watchers *w, enum reeve_event_type type, struct slice path)
{
    must(!w->due);
    unsigned lists = lists_of(type);
    if (!lists || !path.n) {
        return;
    }
    fire_at(w, lists, path, type, NULL);
    if (w->recursive_n == 0 || type == REEVE_EVENT_CHILDREN) {
        return;
    }
    const char *whole = (const char *)path.p;
    for (struct slice p = path; p.n; p = path_parent(p)) {
        if (p.n <= w->recursive_path_max) {
            fire_at(w, 1u << WATCH_RECURSIVE, p, type, whole);
        }
    }
    if (path.n > 1 && path.p[0] == '/') {
        fire_at(w, 1u << WATCH_RECURSIVE, SLICE_LIT("/"), type, whole);
    }
}

void watchers_end(struct watchers *w, enum reeve_error why)
{
    for (size_t i = 0; i < w->buckets_n; i++) {
        for (struct watch *r = w->buckets[i].first; r; r = r->next) {
            if (r->state == WATCH_SET) {
                end(w, r, why);
            }
        }
    }
}

void watchers_removed(struct watchers *w, struct slice path, enum reeve_watch_kind kind)
{
    static const unsigned lists[] = {
        [REEVE_WATCH_CHILDREN] = 1u << WATCH_CHILD,
        [REEVE_WATCH_DATA] = 1u << WATCH_DATA | 1u << WATCH_EXIST,
        [REEVE_WATCH_ANY] = (1u << WATCH_LISTS) - 1,
        [REEVE_WATCH_PERSISTENT] = 1u << WATCH_PERSISTENT,
        [REEVE_WATCH_RECURSIVE] = 1u << WATCH_RECURSIVE,
    };
    must(kind >= REEVE_WATCH_CHILDREN);
    must(kind <= REEVE_WATCH_RECURSIVE);
    uint64_t hash = hash_bytes(w->seed, path);
    for (struct watch *r = bucket(w, hash)->first; r; r = r->next) {
        if (r->state == WATCH_SET && lists[kind] & 1u << r->list && is_at(r, hash, path)) {
            end(w, r, REEVE_OK);
        }
    }
}

// One of those that are taken back. False: it stays for a while, see pulled.
static bool forget_at(struct watchers *w, struct watch **at)
{
    struct watch *r = *at;
    if (r->state == WATCH_ASKED) {
        *r->owner = NULL;
    } else if (r->state == WATCH_SET) {
        finish(w, r);
    }
    if (r->due) {
        unlist_due(w, r);
    }
    if (r == w->pulled) {
        return false;
    }
    drop_at(w, at);
    return true;
}

bool watchers_forget(struct watchers *w, struct slice path, reeve_watch_fn *fn, void *ctx)
{
    uint64_t hash = hash_bytes(w->seed, path);
    bool gone = false;
    bool left = false;
    for (struct watch **at = &bucket(w, hash)->first; *at;) {
        struct watch *r = *at;
        bool counts = is_at(r, hash, path) && r->state != WATCH_OVER;
        bool mine = is_at(r, hash, path) && r->fn == fn && r->ctx == ctx;
        gone = gone || (counts && mine);
        left = left || (counts && !mine);
        if (!mine || !forget_at(w, at)) {
            at = &r->next;
        }
    }
    return gone && !left;
}

bool watchers_next(struct watchers *w, struct reeve_watch *watch, struct reeve_event *ev)
{
    release_pulled(w);
    struct watch *r = w->due;
    if (!r) {
        return false;
    }
    unlist_due(w, r);
    w->pulled = r;
    *watch = (struct reeve_watch){r->fn, r->ctx};
    const char *path = r->due_path ? r->due_path : r->path;
    *ev = (struct reeve_event){r->due_type, path, r->state == WATCH_OVER, r->due_why};
    return true;
}

// ---- looking ----------------------------------------------------------------------------------

size_t watchers_count(const struct watchers *w)
{
    return w->n;
}

// Whether it is SET and no earlier one of the chain is, for the same list and path.
static bool is_first(const struct watchers *w, const struct watch *r)
{
    const struct watch *o = bucket(w, r->hash)->first;
    while (o != r &&
           !(o->state == WATCH_SET && o->list == r->list && is_at(o, r->hash, path_of(r)))) {
        o = o->next;
    }
    return o == r && r->state == WATCH_SET;
}

// The cursor is the registration told last.
bool watchers_each(const struct watchers *w, size_t *at, enum watch_list *list, struct slice *path)
{
    const struct watch *r = (const struct watch *)*at;
    size_t i = r ? (r->hash & (w->buckets_n - 1)) + 1 : 0;
    r = r ? r->next : NULL;
    for (;;) {
        for (; r; r = r->next) {
            if (is_first(w, r)) {
                *at = (size_t)r;
                *list = r->list;
                *path = path_of(r);
                return true;
            }
        }
        if (i == w->buckets_n) {
            return false;
        }
        r = w->buckets[i++].first;
    }
}

void watchers_free(struct watchers **w)
{
    if (!*w) {
        return;
    }
    struct watchers *old = *w;
    for (size_t i = 0; i < old->buckets_n; i++) {
        for (struct watch *r = old->buckets[i].first, *next; r; r = next) {
            next = r->next;
            if (r->state == WATCH_ASKED) {
                *r->owner = NULL;
            }
            watch_free(&r);
        }
    }
    struct reeve_allocator a = old->allocator;
    alloc_put(&a, old->buckets);
    alloc_put(&a, old);
    *w = NULL;
}
