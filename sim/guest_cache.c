// SPDX-License-Identifier: Apache-2.0
//
// Caches of a small tree, or of one of its nodes, that all guests write to: nodes come, change and
// go, also within one transaction, and caches are begun anew at any time. What must hold:
// - what is told of a path is what the history has: this data with this czxid and mzxid; a node
//   that is told as deleted was deleted;
// - it is told in order: created, changed, deleted, children between the two of their parent; what
//   is old is what was told last; and as long as the session lives, nothing goes back in time;
// - READY comes first and once, GAP and RESYNCED take turns; what reeve_cache_get() returns is what
//   was told last;
// - nothing is told behind reeve_cache_free(), and who waits is called once;
// - when nothing is wrong any more the copy is the tree.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "reeve/cache.h"
#include "sim/guest_look.h"
#include "sim/world.h"

#define TREE GUESTS_PATH "/tree"

static const char *const paths[] = {
    TREE,      TREE "/a",   TREE "/a/x", TREE "/a/x/y",  TREE "/a/x/y/z", TREE "/a/y",
    TREE "/b", TREE "/b/x", TREE "/b/y", TREE "/with-b", TREE "/with-b/x"};
enum { PATHS = sizeof(paths) / sizeof(paths[0]), WATCHERS = 2 };

struct told {
    bool there;
    int64_t czxid, mzxid;
    uint64_t life; // which session it was told in
};

// One cache and what it told; kept to the end, as nothing may come after it was freed.
struct watcher_of {
    struct caches *part;
    struct watcher_of *next;
    struct reeve_cache *cache; // NULL: freed
    const char *path;
    unsigned number; // of this guest's
    bool one_node, ready, gap;
    int64_t wrong_ns; // since when it is not in sync, though it should be
    unsigned waits;   // for READY
    struct told told[PATHS];
};

struct caches {
    struct guest *g;
    struct rng rng;
    struct watcher_of *watchers[WATCHERS], *all;
    uint64_t life; // of sessions
    uint64_t number;
    unsigned caches;
};

static struct world *world_of(const struct watcher_of *c)
{
    return guest_world(c->part->g);
}

static bool chance(struct caches *k, uint64_t num, uint64_t den)
{
    return rng_chance(&k->rng, num, den);
}

static bool is_below(const char *path, const char *top)
{
    size_t n = strlen(top);
    return strncmp(path, top, n) == 0 && path[n] == '/';
}

static bool follows(const struct watcher_of *c, size_t i)
{
    return strcmp(paths[i], c->path) == 0 || (!c->one_node && is_below(paths[i], c->path));
}

static void wrong(const struct watcher_of *c, const char *path, const char *what)
{
    guest_fail(c->part->g, "cache %u of %s%s: %s: %s", c->number, c->path,
               c->one_node ? " alone" : "", path, what);
}

// ---- what is told ----------------------------------------------------------------------------

static const struct told *parent_of(const struct watcher_of *c, size_t i)
{
    for (size_t k = 0; k < PATHS; k++) {
        size_t n = strlen(paths[k]);
        if (follows(c, k) && is_below(paths[i], paths[k]) && !strchr(paths[i] + n + 1, '/')) {
            return &c->told[k];
        }
    }
    return NULL;
}

static bool has_children(const struct watcher_of *c, size_t i)
{
    for (size_t k = 0; k < PATHS; k++) {
        if (c->told[k].there && is_below(paths[k], paths[i])) {
            return true;
        }
    }
    return false;
}

static void check_is_history(const struct watcher_of *c, const char *path,
                             const struct reeve_cache_node *n)
{
    const struct model_version *v =
        guest_look_told(world_of(c), path, n->stat.czxid, n->stat.mzxid);
    if (!v) {
        wrong(c, path, "it was never as it is told");
    } else if (!guest_data_is(v, n->data, n->data_len) || (n->data == NULL) != !v->data.p ||
               n->stat.version > v->version || n->stat.ephemeral_owner != v->session) {
        wrong(c, path, "it had other data then");
    }
}

// A deletion, or another node of that name, behind what was told last.
static void check_was_deleted(const struct watcher_of *c, size_t i)
{
    const struct told *t = &c->told[i];
    const struct model_node *n = guest_look(world_of(c), paths[i]);
    for (size_t k = 0; n && k < n->n; k++) {
        bool later = n->v[k].zxid > t->mzxid || t->life != c->part->life;
        if (later && (!n->v[k].exists || n->v[k].czxid != t->czxid)) {
            return;
        }
    }
    if (t->life == c->part->life) {
        wrong(c, paths[i], "it is told as deleted and never was");
    }
}

static void check_not_back(const struct watcher_of *c, size_t i, const struct reeve_stat *now)
{
    const struct told *t = &c->told[i];
    bool back = t->there ? now->mzxid <= t->mzxid : now->czxid <= t->czxid;
    if (back && (t->life == c->part->life || (c->ready && !c->gap))) {
        wrong(c, paths[i], "it goes back in time");
    }
}

static void check_order(const struct watcher_of *c, size_t i, const struct reeve_cache_event *ev)
{
    const struct told *t = &c->told[i], *parent = parent_of(c, i);
    if (t->there != (ev->old != NULL) || (ev->type == REEVE_CACHE_CREATED) != !ev->old ||
        (ev->type == REEVE_CACHE_DELETED) != !ev->node) {
        wrong(c, paths[i], "created, changed and deleted come in a wrong order");
    } else if (ev->old && (ev->old->stat.czxid != t->czxid || ev->old->stat.mzxid != t->mzxid)) {
        wrong(c, paths[i], "what is old was never told");
    } else if (ev->type == REEVE_CACHE_CHANGED && ev->node->stat.czxid != t->czxid) {
        wrong(c, paths[i], "a node made anew is told as changed");
    } else if (ev->type == REEVE_CACHE_CREATED && parent && !parent->there) {
        wrong(c, paths[i], "a child is told before its parent");
    } else if (ev->type == REEVE_CACHE_DELETED && has_children(c, i)) {
        wrong(c, paths[i], "a parent goes before its children");
    }
}

static void check_get(const struct watcher_of *c, size_t i)
{
    const struct told *t = &c->told[i];
    struct reeve_result r;
    enum reeve_error e = reeve_cache_get(c->cache, paths[i], &r);
    if (e != (t->there ? REEVE_OK : REEVE_NO_NODE) ||
        (t->there && (r.stat.czxid != t->czxid || r.stat.mzxid != t->mzxid))) {
        wrong(c, paths[i], "reeve_cache_get() does not return what was told");
    }
    reeve_result_fini(&r);
}

static void on_node(struct watcher_of *c, const struct reeve_cache_event *ev)
{
    size_t i = 0;
    while (i < PATHS && strcmp(paths[i], ev->path) != 0) {
        i++;
    }
    if (i == PATHS || !follows(c, i)) {
        wrong(c, ev->path, "this is not for it");
        return;
    }
    struct told *t = &c->told[i];
    check_order(c, i, ev);
    if (ev->old) {
        check_is_history(c, ev->path, ev->old);
    }
    if (ev->node) {
        check_is_history(c, ev->path, ev->node);
        check_not_back(c, i, &ev->node->stat);
        *t = (struct told){true, ev->node->stat.czxid, ev->node->stat.mzxid, c->part->life};
    } else {
        check_was_deleted(c, i);
        t->there = false;
        t->life = c->part->life;
    }
    check_get(c, i);
}

static void on_event(void *ctx, const struct reeve_cache_event *ev)
{
    static const char *const names[] = {"created", "changed",  "deleted", "ready",
                                        "gap",     "resynced", "failed"};
    struct watcher_of *c = ctx;
    report_line(&world_of(c)->report, "guest %u: cache %u: %s %s", guest_index(c->part->g),
                c->number, names[ev->type], ev->path);
    if (!c->cache) {
        wrong(c, ev->path, "it was freed, and tells something");
        return;
    }
    switch (ev->type) {
    case REEVE_CACHE_READY:
        if (c->ready || c->gap) {
            wrong(c, ev->path, "it is ready twice");
        }
        c->ready = true;
        break;
    case REEVE_CACHE_GAP:
    case REEVE_CACHE_RESYNCED:
        if (!c->ready || c->gap == (ev->type == REEVE_CACHE_GAP)) {
            wrong(c, ev->path, "gaps begin and end in a wrong order");
        }
        c->gap = ev->type == REEVE_CACHE_GAP;
        break;
    case REEVE_CACHE_FAILED:
        wrong(c, ev->path, reeve_error_name(ev->error));
        break;
    default:
        on_node(c, ev);
        break;
    }
}

static void on_ready(void *ctx, enum reeve_error e)
{
    struct watcher_of *c = ctx;
    bool good = e == REEVE_OK ? c->ready : e == REEVE_CANCELLED ? !c->cache : !c->ready;
    if (c->waits == 0) {
        wrong(c, c->path, "who waits is called twice");
    } else if (!good || (e && e != REEVE_CANCELLED && e != REEVE_OPERATION_TIMEOUT)) {
        wrong(c, c->path, "who waits is told something that is not true");
    }
    c->waits--;
}

static void on_session(void *ctx, const struct reeve_session *s)
{
    struct caches *k = ctx;
    k->life += s->state == REEVE_STATE_LOST;
}

// ---- what it does ----------------------------------------------------------------------------

static struct watcher_of *watcher_new(struct caches *k)
{
    static const int64_t timeouts_ms[] = {-1, 0, 500, 20000};
    static const uint32_t reads[] = {0, 1, 3};
    struct watcher_of *c = mem_zalloc(sizeof(*c));
    c->part = k;
    c->number = ++k->caches;
    c->path = chance(k, 2, 3) ? TREE : paths[rng_below(&k->rng, PATHS)];
    c->one_node = chance(k, 1, 5);
    c->next = k->all;
    k->all = c;
    struct reeve_cache_options o = {.event = on_event,
                                    .ctx = c,
                                    .one_node = c->one_node,
                                    .one_shot = chance(k, 1, 3),
                                    .reads_max = reads[rng_below(&k->rng, 3)],
                                    .retry_ms = chance(k, 1, 2) ? 10 : 0};
    report_line(&guest_world(k->g)->report, "guest %u: cache %u of %s%s%s", guest_index(k->g),
                c->number, c->path, o.one_node ? " alone" : "", o.one_shot ? ", one-shot" : "");
    must(!reeve_cache_new(&c->cache, k->g->zk, c->path, &o));
    if (chance(k, 1, 2)) {
        int64_t timeout_ms = timeouts_ms[rng_below(&k->rng, 4)];
        c->waits++;
        must(!reeve_cache_wait_ready_async(c->cache, timeout_ms, on_ready, c));
    }
    return c;
}

// Without a connection it may be behind, and says so.
static void check_gap(const struct watcher_of *c)
{
    struct reeve_session s;
    reeve_get_session(c->part->g->zk, &s);
    if (s.state != REEVE_STATE_CONNECTED && (reeve_cache_in_sync(c->cache) || c->ready != c->gap)) {
        wrong(c, c->path, "there is no connection, and it does not say that it may be behind");
    }
}

static void submit(struct caches *k, struct reeve_request *q)
{
    char text[32];
    snprintf(text, sizeof(text), "%u.%" PRIu64, guest_index(k->g), ++k->number);
    q->data = chance(k, 1, 12) ? NULL : chance(k, 1, 8) ? "same" : text;
    q->data_len = q->data ? strlen(q->data) : 0;
    q->version = q->op == REEVE_OP_CREATE ? 0 : REEVE_ANY_VERSION;
    (void)reeve_submit(k->g->zk, q, NULL, NULL);
}

// Two changes in one transaction: a node that is made anew, or two that go together.
static void change_two(struct caches *k, const char *path)
{
    struct reeve_request parts[2] = {
        {.op = REEVE_OP_DELETE, .path = path, .version = REEVE_ANY_VERSION},
        {.op = REEVE_OP_CREATE, .path = path, .data = "anew", .data_len = 4}};
    if (chance(k, 1, 2)) {
        parts[1].path = paths[rng_below(&k->rng, PATHS)];
        parts[1].op = REEVE_OP_DELETE;
        parts[1].version = REEVE_ANY_VERSION;
    }
    struct reeve_request q = {.op = REEVE_OP_MULTI, .parts = parts, .parts_n = 2};
    (void)reeve_submit(k->g->zk, &q, NULL, NULL);
}

static void change(struct caches *k)
{
    const char *path = paths[rng_below(&k->rng, PATHS)];
    struct reeve_request q = {.path = path};
    switch (rng_below(&k->rng, 10)) {
    case 0:
    case 1:
        q.op = REEVE_OP_DELETE;
        q.version = REEVE_ANY_VERSION;
        (void)reeve_submit(k->g->zk, &q, NULL, NULL);
        break;
    case 2:
        change_two(k, path);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        q.op = REEVE_OP_CREATE;
        q.flags = path[strlen(path) - 1] == 'z' && chance(k, 1, 2) ? REEVE_EPHEMERAL : 0;
        submit(k, &q);
        break;
    default:
        q.op = REEVE_OP_SET;
        submit(k, &q);
        break;
    }
}

static void *start(struct guest *g, void *board, uint64_t seed)
{
    struct caches *k = mem_zalloc(sizeof(*k));
    (void)board;
    k->g = g;
    k->rng.state = seed;
    must(!reeve_listen(g->zk, on_session, k));
    for (size_t i = 0; i < WATCHERS; i++) {
        k->watchers[i] = watcher_new(k);
    }
    return k;
}

// At the start there is nothing to put it below.
static void change_more(struct caches *k)
{
    static const char *const above[] = {GUESTS_PATH, TREE};
    for (size_t i = 0; i < 2 && !guest_look_now(guest_world(k->g), above[i]); i++) {
        struct reeve_request q = {.op = REEVE_OP_CREATE, .path = above[i]};
        (void)reeve_submit(k->g->zk, &q, NULL, NULL);
    }
    for (uint64_t n = chance(k, 1, 10) ? 10 : 1; n > 0; n--) {
        change(k);
    }
}

static void tick(void *part)
{
    struct caches *k = part;
    struct world *w = guest_world(k->g);
    for (size_t i = 0; i < WATCHERS; i++) {
        check_gap(k->watchers[i]);
        if (w->phase == PHASE_STORM && chance(k, 1, 400)) {
            reeve_cache_free(&k->watchers[i]->cache);
            k->watchers[i] = watcher_new(k);
        } else if (chance(k, 1, 500)) {
            (void)reeve_cache_resync(k->watchers[i]->cache);
        }
    }
    if (!guest_is_quiet(w) && chance(k, 1, 12)) {
        change_more(k);
    }
}

static void leave(void *part)
{
    struct caches *k = part;
    for (size_t i = 0; i < WATCHERS; i++) {
        reeve_cache_free(&k->watchers[i]->cache);
    }
}

// ---- in the end ------------------------------------------------------------------------------

static void check_children(const struct watcher_of *c, size_t i)
{
    struct reeve_result r;
    size_t n = 0;
    for (size_t k = 0; k < PATHS; k++) {
        n += c->told[k].there && parent_of(c, k) == &c->told[i];
    }
    enum reeve_error e = reeve_cache_children(c->cache, paths[i], &r);
    if (e != (c->told[i].there ? REEVE_OK : REEVE_NO_NODE) || r.children_n != (e ? 0 : n)) {
        wrong(c, paths[i], "it has other children than were told");
    }
    reeve_result_fini(&r);
}

static void check_equal(const struct watcher_of *c)
{
    uint32_t n = 0;
    for (size_t i = 0; i < PATHS; i++) {
        const struct told *t = &c->told[i];
        const struct model_version *v =
            follows(c, i) ? guest_look_now(world_of(c), paths[i]) : NULL;
        if (t->there != (v != NULL)) {
            wrong(c, paths[i], v ? "it is there, and was not told" : "it has long gone");
        } else if (v && (v->czxid != t->czxid || v->mzxid != t->mzxid)) {
            wrong(c, paths[i], "there is a later state");
        }
        n += t->there;
        check_get(c, i);
        check_children(c, i);
    }
    if (n != reeve_cache_count(c->cache)) {
        wrong(c, c->path, "it counts wrong");
    }
}

static void check_calm(void *part)
{
    struct caches *k = part;
    for (size_t i = 0; i < WATCHERS; i++) {
        struct watcher_of *c = k->watchers[i];
        bool in_sync = c->ready && !c->gap;
        if (in_sync != reeve_cache_in_sync(c->cache)) {
            wrong(c, c->path, "reeve_cache_in_sync() does not say what was told");
        } else if (in_sync) {
            check_equal(c);
        }
        if (guest_is_too_long(k->g, !in_sync, &c->wrong_ns)) {
            wrong(c, c->path, "nothing is wrong any more, and it is not in sync");
        }
    }
}

static void finish(void *part)
{
    struct caches *k = part;
    while (k->all) {
        struct watcher_of *c = k->all;
        k->all = c->next;
        if (c->waits) {
            wrong(c, c->path, "who waits is never called");
        }
        mem_free(c);
    }
    mem_free(k);
}

const struct guest_part guest_cache = {.name = "cache",
                                       .start = start,
                                       .tick = tick,
                                       .leave = leave,
                                       .check_calm = check_calm,
                                       .free = finish};
