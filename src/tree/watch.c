// SPDX-License-Identifier: Apache-2.0
//
// One entry per (path, watcher), with the modes as bits. It hangs in three places: in the list of
// its path, in the list of its watcher, and in a hash by both. Entries with the recursive mode
// stand first in the list of their path, so that a change far below looks at no others.
#include "tree/watch.h"

#include "base/hash.h"
#include "base/mem.h"
#include "tree/index.h"

enum {
    MODES_DATA = WATCH_DATA | WATCH_PERSISTENT | WATCH_PERSISTENT_RECURSIVE,
    MODES_CHILD = WATCH_CHILD | WATCH_PERSISTENT,
    MODES_ALL = MODES_DATA | MODES_CHILD
};

struct entry {
    struct index_link link; // by path and watcher
    uint32_t path, watcher;
    uint32_t path_next, path_prev;
    uint32_t watcher_next, watcher_prev;
    uint32_t modes;
};

struct path {
    struct index_link link; // by bytes
    uint8_t *bytes;         // NULL in a freed item
    uint32_t len;
    uint32_t first, last;
    uint32_t data_n, child_n; // entries in each of the two lists
};

struct watcher {
    uint32_t first;
    uint32_t data_n;
    uint32_t stamp; // of the trigger that has found it last
};

struct watches {
    uint64_t seed;
    struct slab entries, paths;
    struct index by_key, by_path;
    struct watcher *watchers; // by connection number
    size_t watchers_n, watchers_cap;
    uint32_t stamp;
    size_t recursive_n;               // entries with the recursive mode
    size_t data_n, child_n;           // entries in each of the two lists
    size_t data_paths, data_watchers; // with any entry in the data list
};

static struct entry *entry_at(const struct watches *w, uint32_t h)
{
    return slab_at(&w->entries, h);
}

static struct path *path_at(const struct watches *w, uint32_t h)
{
    return slab_at(&w->paths, h);
}

static struct slice path_slice(const struct path *p)
{
    return slice_of(p->bytes, p->len);
}

struct watches *watches_new(uint64_t seed)
{
    struct watches *w = mem_zalloc(sizeof(*w));
    w->seed = seed;
    slab_init(&w->entries, sizeof(struct entry));
    slab_init(&w->paths, sizeof(struct path));
    index_init(&w->by_key, &w->entries, offsetof(struct entry, link));
    index_init(&w->by_path, &w->paths, offsetof(struct path, link));
    return w;
}

void watches_free(struct watches **wp)
{
    struct watches *w = *wp;
    if (!w) {
        return;
    }
    for (uint32_t h = 1; h < w->paths.next; h++) {
        mem_free(path_at(w, h)->bytes);
    }
    index_fini(&w->by_key);
    index_fini(&w->by_path);
    slab_fini(&w->entries);
    slab_fini(&w->paths);
    mem_free(w->watchers);
    mem_free(w);
    *wp = NULL;
}

static uint32_t hash_path(const struct watches *w, struct slice path)
{
    return (uint32_t)hash_bytes(w->seed, path);
}

static uint32_t hash_key(const struct watches *w, uint32_t path, uint32_t watcher)
{
    uint32_t key[2] = {path, watcher};
    return (uint32_t)hash_bytes(w->seed, slice_of(key, sizeof(key)));
}

static uint32_t find_path(const struct watches *w, struct slice path)
{
    uint32_t h = index_first(&w->by_path, hash_path(w, path));
    while (h && !slice_eq(path_slice(path_at(w, h)), path)) {
        h = index_next(&w->by_path, h);
    }
    return h;
}

static uint32_t find_entry(const struct watches *w, uint32_t path, uint32_t watcher)
{
    uint32_t h = index_first(&w->by_key, hash_key(w, path, watcher));
    while (h && (entry_at(w, h)->path != path || entry_at(w, h)->watcher != watcher)) {
        h = index_next(&w->by_key, h);
    }
    return h;
}

static void link_path(struct watches *w, uint32_t h, bool first)
{
    struct entry *e = entry_at(w, h);
    struct path *p = path_at(w, e->path);
    e->path_next = first ? p->first : 0;
    e->path_prev = first ? 0 : p->last;
    *(e->path_next ? &entry_at(w, e->path_next)->path_prev : &p->last) = h;
    *(e->path_prev ? &entry_at(w, e->path_prev)->path_next : &p->first) = h;
}

static void unlink_path(struct watches *w, uint32_t h)
{
    struct entry *e = entry_at(w, h);
    struct path *p = path_at(w, e->path);
    *(e->path_next ? &entry_at(w, e->path_next)->path_prev : &p->last) = e->path_prev;
    *(e->path_prev ? &entry_at(w, e->path_prev)->path_next : &p->first) = e->path_next;
}

static struct watcher *watcher_at(struct watches *w, uint32_t watcher)
{
    if (watcher >= w->watchers_n) {
        size_t n = (size_t)watcher + 1;
        mem_grow((void **)&w->watchers, &w->watchers_cap, n, sizeof(*w->watchers));
        memset(w->watchers + w->watchers_n, 0,
               (w->watchers_cap - w->watchers_n) * sizeof(*w->watchers));
        w->watchers_n = w->watchers_cap;
    }
    return &w->watchers[watcher];
}

static uint32_t make_path(struct watches *w, struct slice path)
{
    uint32_t h = slab_alloc(&w->paths);
    struct path *p = path_at(w, h);
    p->bytes = mem_alloc(path.n);
    memcpy(p->bytes, path.p, path.n);
    p->len = (uint32_t)path.n;
    index_put(&w->by_path, h, hash_path(w, path));
    return h;
}

static uint32_t make_entry(struct watches *w, uint32_t path, uint32_t watcher)
{
    struct watcher *c = watcher_at(w, watcher);
    uint32_t h = slab_alloc(&w->entries);
    struct entry *e = entry_at(w, h);
    e->path = path;
    e->watcher = watcher;
    e->watcher_next = c->first;
    if (c->first) {
        entry_at(w, c->first)->watcher_prev = h;
    }
    c->first = h;
    link_path(w, h, false);
    index_put(&w->by_key, h, hash_key(w, path, watcher));
    return h;
}

static void drop_entry(struct watches *w, uint32_t h)
{
    struct entry *e = entry_at(w, h);
    uint32_t path = e->path;
    unlink_path(w, h);
    if (e->watcher_next) {
        entry_at(w, e->watcher_next)->watcher_prev = e->watcher_prev;
    }
    if (e->watcher_prev) {
        entry_at(w, e->watcher_prev)->watcher_next = e->watcher_next;
    } else {
        w->watchers[e->watcher].first = e->watcher_next;
    }
    index_del(&w->by_key, h);
    slab_free(&w->entries, h);
    struct path *p = path_at(w, path);
    if (!p->first) {
        index_del(&w->by_path, path);
        mem_free(p->bytes);
        p->bytes = NULL;
        slab_free(&w->paths, path);
    }
}

static void count_data(struct watches *w, struct path *p, struct watcher *c, bool up)
{
    uint32_t d = up ? 1 : UINT32_MAX;
    w->data_paths += p->data_n == (up ? 0 : 1) ? (up ? 1 : SIZE_MAX) : 0;
    w->data_watchers += c->data_n == (up ? 0 : 1) ? (up ? 1 : SIZE_MAX) : 0;
    w->data_n += up ? 1 : SIZE_MAX;
    p->data_n += d;
    c->data_n += d;
}

// The one place where an entry's modes change: all counts and the order in the list follow. An
// entry without modes goes.
static void set_modes(struct watches *w, uint32_t h, uint32_t modes)
{
    struct entry *e = entry_at(w, h);
    struct path *p = path_at(w, e->path);
    uint32_t old = e->modes;
    if (!(old & MODES_DATA) != !(modes & MODES_DATA)) {
        count_data(w, p, &w->watchers[e->watcher], (modes & MODES_DATA) != 0);
    }
    if (!(old & MODES_CHILD) != !(modes & MODES_CHILD)) {
        bool up = (modes & MODES_CHILD) != 0;
        w->child_n += up ? 1 : SIZE_MAX;
        p->child_n += up ? 1 : UINT32_MAX;
    }
    if ((old ^ modes) & WATCH_PERSISTENT_RECURSIVE) {
        bool up = (modes & WATCH_PERSISTENT_RECURSIVE) != 0;
        w->recursive_n += up ? 1 : SIZE_MAX;
        unlink_path(w, h);
        link_path(w, h, up);
    }
    e->modes = modes;
    if (!modes) {
        drop_entry(w, h);
    }
}

void watch_add(struct watches *w, uint32_t watcher, struct slice path, unsigned modes)
{
    must((modes & ~(unsigned)MODES_ALL) == 0);
    if (!modes || !path.p) {
        return;
    }
    uint32_t p = find_path(w, path);
    p = p ? p : make_path(w, path);
    uint32_t h = find_entry(w, p, watcher);
    h = h ? h : make_entry(w, p, watcher);
    set_modes(w, h, entry_at(w, h)->modes | modes);
}

void watch_drop(struct watches *w, uint32_t watcher)
{
    while (watcher < w->watchers_n && w->watchers[watcher].first) {
        set_modes(w, w->watchers[watcher].first, 0);
    }
}

unsigned watch_modes(const struct watches *w, uint32_t watcher, struct slice path)
{
    uint32_t p = path.p ? find_path(w, path) : 0;
    uint32_t h = p ? find_entry(w, p, watcher) : 0;
    return h ? entry_at(w, h)->modes : 0;
}

void watch_remove(struct watches *w, uint32_t watcher, struct slice path, unsigned modes)
{
    uint32_t p = path.p ? find_path(w, path) : 0;
    uint32_t h = p ? find_entry(w, p, watcher) : 0;
    if (h) {
        set_modes(w, h, entry_at(w, h)->modes & ~modes);
    }
}

struct hits {
    uint32_t **v;
    size_t *cap;
    size_t n;
};

static void hit(struct watches *w, struct hits *hits, uint32_t watcher)
{
    if (w->watchers[watcher].stamp == w->stamp) {
        return;
    }
    w->watchers[watcher].stamp = w->stamp;
    mem_grow((void **)hits->v, hits->cap, hits->n + 1, sizeof(**hits->v));
    (*hits->v)[hits->n++] = watcher;
}

static void trigger_exact(struct watches *w, enum watch_list list, struct slice path,
                          struct hits *hits)
{
    uint32_t p = find_path(w, path);
    if (!p) {
        return;
    }
    uint32_t modes = list == WATCH_LIST_DATA ? MODES_DATA : MODES_CHILD;
    uint32_t once = list == WATCH_LIST_DATA ? WATCH_DATA : WATCH_CHILD;
    uint32_t left = list == WATCH_LIST_DATA ? path_at(w, p)->data_n : path_at(w, p)->child_n;
    for (uint32_t h = path_at(w, p)->first, next; h && left; h = next) {
        struct entry *e = entry_at(w, h);
        next = e->path_next;
        if (e->modes & modes) {
            left--;
            hit(w, hits, e->watcher);
            if (e->modes & once) {
                set_modes(w, h, e->modes & ~once); // frees the path with its last entry
            }
        }
    }
}

static void trigger_above(struct watches *w, struct slice path, struct hits *hits)
{
    while (path.n > 1) {
        do {
            path.n--;
        } while (path.n > 0 && path.p[path.n] != '/');
        struct slice up = path.n ? path : slice_head(path, 1); // "/" for the root
        uint32_t p = find_path(w, up);
        for (uint32_t h = p ? path_at(w, p)->first : 0; h; h = entry_at(w, h)->path_next) {
            if (!(entry_at(w, h)->modes & WATCH_PERSISTENT_RECURSIVE)) {
                break;
            }
            hit(w, hits, entry_at(w, h)->watcher);
        }
    }
}

size_t watch_trigger(struct watches *w, enum watch_list list, struct slice path, uint32_t **hits,
                     size_t *hits_cap)
{
    struct hits out = {hits, hits_cap, 0};
    if (++w->stamp == 0) { // after 2^32 triggers old stamps would look new
        for (size_t i = 0; i < w->watchers_n; i++) {
            w->watchers[i].stamp = 0;
        }
        w->stamp = 1;
    }
    trigger_exact(w, list, path, &out);
    if (list == WATCH_LIST_DATA && w->recursive_n) {
        trigger_above(w, path, &out);
    }
    return out.n;
}

size_t watch_count(const struct watches *w)
{
    return w->data_n + w->child_n;
}

size_t watch_data_paths(const struct watches *w)
{
    return w->data_paths;
}

size_t watch_data_watchers(const struct watches *w)
{
    return w->data_watchers;
}

size_t watch_data_count(const struct watches *w)
{
    return w->data_n;
}

void watch_each_data(const struct watches *w,
                     void (*each)(void *ctx, struct slice path, uint32_t watcher), void *ctx)
{
    for (uint32_t p = 1; p < w->paths.next; p++) {
        const struct path *x = path_at(w, p);
        for (uint32_t h = x->bytes ? x->first : 0; h; h = entry_at(w, h)->path_next) {
            if (entry_at(w, h)->modes & MODES_DATA) {
                each(ctx, path_slice(x), entry_at(w, h)->watcher);
            }
        }
    }
}

struct counts {
    size_t entries, data, child, recursive, data_paths;
};

static void check_path(const struct watches *w, uint32_t p, struct counts *n)
{
    const struct path *x = path_at(w, p);
    uint32_t prev = 0, data = 0, child = 0;
    bool plain = false; // seen an entry without the recursive mode
    must(x->first != 0);
    for (uint32_t h = x->first; h; prev = h, h = entry_at(w, h)->path_next) {
        const struct entry *e = entry_at(w, h);
        bool recursive = (e->modes & WATCH_PERSISTENT_RECURSIVE) != 0;
        must(e->path == p);
        must(e->path_prev == prev);
        must(e->modes != 0);
        must(!recursive || !plain);
        must(find_entry(w, p, e->watcher) == h);
        plain = plain || !recursive;
        n->entries++;
        n->recursive += recursive;
        data += (e->modes & MODES_DATA) != 0;
        child += (e->modes & MODES_CHILD) != 0;
    }
    must(x->last == prev);
    must(x->data_n == data);
    must(x->child_n == child);
    must(find_path(w, path_slice(x)) == p);
    n->data += data;
    n->child += child;
    n->data_paths += data > 0;
}

void watches_check(const struct watches *w)
{
    struct counts n = {0};
    for (uint32_t p = 1; p < w->paths.next; p++) {
        if (path_at(w, p)->bytes) {
            check_path(w, p, &n);
        }
    }
    must(n.entries == w->entries.live);
    must(n.data == w->data_n);
    must(n.child == w->child_n);
    must(n.recursive == w->recursive_n);
    must(n.data_paths == w->data_paths);
    size_t entries = 0, data_watchers = 0;
    for (size_t i = 0; i < w->watchers_n; i++) {
        uint32_t data = 0, prev = 0;
        for (uint32_t h = w->watchers[i].first; h; prev = h, h = entry_at(w, h)->watcher_next) {
            must(entry_at(w, h)->watcher == i);
            must(entry_at(w, h)->watcher_prev == prev);
            data += (entry_at(w, h)->modes & MODES_DATA) != 0;
            entries++;
        }
        must(w->watchers[i].data_n == data);
        data_watchers += data > 0;
    }
    must(entries == n.entries);
    must(data_watchers == w->data_watchers);
    index_check(&w->by_key);
    index_check(&w->by_path);
}
