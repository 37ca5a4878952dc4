// SPDX-License-Identifier: Apache-2.0
//
// A cache's outside: the user's calls, the session, events of watches, who is told what.
//
// Recursive watches do not tell what happened while there was no connection, and one-shot watches
// end with the session. So every new connection begins a round, whatever kind of watch there is:
// one way to go on, that is right in all cases.

#include <string.h>

#include "recipes/cache_state.h"

static void begin_round(struct reeve_cache *c);

// ---- who is told --------------------------------------------------------------------------------

void cache_tell(struct reeve_cache *c, const struct reeve_cache_event *ev)
{
    if (c->opt.event && !atomic_load(&c->o.closing)) {
        c->opt.event(c->opt.ctx, ev);
    }
}

static void tell_all(struct reeve_cache *c, enum reeve_cache_event_type type, enum reeve_error e)
{
    struct reeve_cache_event ev = {.type = type, .path = c->path, .error = e};
    cache_tell(c, &ev);
}

static void call_waiter(struct cache_waiter *w, enum reeve_error e)
{
    struct reeve_cache *c = w->c;
    struct cache_waiter **at = &c->waiters;
    while (*at != w) {
        at = &(*at)->next;
    }
    *at = w->next;
    kit_cancel(&w->timer);
    reeve_cache_done_fn *done = w->done;
    void *ctx = w->ctx;
    kit_free(c->o.zk, w);
    done(ctx, e);
}

static void call_waiters(struct reeve_cache *c, enum reeve_error e)
{
    while (c->waiters) {
        call_waiter(c->waiters, e);
    }
}

static void open_gap(struct reeve_cache *c)
{
    atomic_store(&c->in_sync, false);
    if (c->ready && !c->gap) {
        c->gap = true;
        tell_all(c, REEVE_CACHE_GAP, REEVE_OK);
    }
}

void cache_complete(struct reeve_cache *c)
{
    bool first = !c->ready;
    c->state = CACHE_LIVE;
    c->ready = true;
    atomic_store(&c->in_sync, true);
    if (first) {
        tell_all(c, REEVE_CACHE_READY, REEVE_OK);
    } else if (c->gap) {
        c->gap = false;
        tell_all(c, REEVE_CACHE_RESYNCED, REEVE_OK);
    }
    call_waiters(c, REEVE_OK);
}

// ---- watches and trouble ------------------------------------------------------------------------

static void unwatch_below(struct reeve_cache *c, struct cache_node *n)
{
    reeve_unwatch(c->o.zk, n->path, cache_on_event, c);
    struct cache_node *child;
    LIST_FOREACH (child, &n->children, sibling) {
        unwatch_below(c, child);
    }
}

static void unwatch(struct reeve_cache *c)
{
    if (!c->one_shot) {
        reeve_unwatch(c->o.zk, c->path, cache_on_event, c);
    } else if (c->tree.top) {
        unwatch_below(c, c->tree.top);
    }
    c->watched = false;
}

void cache_fail(struct reeve_cache *c, enum reeve_error e)
{
    if (c->state == CACHE_FAILED) {
        return;
    }
    c->state = CACHE_FAILED;
    c->error = e;
    atomic_store(&c->in_sync, false);
    kit_cancel(&c->again);
    cache_forget_todo(c);
    unwatch(c);
    tell_all(c, REEVE_CACHE_FAILED, e);
    call_waiters(c, e);
}

static void on_again(struct kit_object *o, void *arg)
{
    struct reeve_cache *c = (struct reeve_cache *)o;
    (void)arg;
    bool all = c->again_all;
    c->again_all = false;
    if (c->state == CACHE_IDLE || c->state == CACHE_FAILED) {
        return;
    }
    if (all) {
        begin_round(c);
    } else {
        cache_pump(c);
    }
}

void cache_again(struct reeve_cache *c, bool all)
{
    if (c->state == CACHE_FAILED) {
        return;
    }
    if (all) {
        open_gap(c);
        c->again_all = true;
    }
    if (!c->again.on) {
        enum reeve_error e = kit_start(&c->o, &c->again, c->opt.retry_ms, on_again, NULL);
        if (e == REEVE_NO_MEMORY) {
            cache_fail(c, e);
        }
    }
}

// ---- rounds -------------------------------------------------------------------------------------

static void read_all(struct reeve_cache *c)
{
    c->state = CACHE_READING;
    if (c->tree.top) {
        cache_want(c, c->tree.top, CACHE_TODO_GET);
    } else {
        cache_hear(c, NULL, c->path);
    }
    if (c->state == CACHE_READING) {
        cache_pump(c);
    }
}

static void on_watch_set(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_cache *c = (struct reeve_cache *)o;
    if (o->closed || c->state != CACHE_WATCHING || (uintptr_t)arg != (uintptr_t)c->round) {
        return;
    }
    if (r->error == REEVE_OK) {
        c->watched = true;
        read_all(c);
    } else if (r->error == REEVE_UNIMPLEMENTED) {
        c->one_shot = true;
        read_all(c);
    } else if (r->error == REEVE_NO_AUTH || r->error == REEVE_BAD_ARGUMENTS) {
        cache_fail(c, r->error);
    } else if (!kit_is_over(r->error)) {
        cache_again(c, true);
    }
}

// Everything is looked at again, behind a watch that sees what happens meanwhile.
static void begin_round(struct reeve_cache *c)
{
    c->round++;
    kit_cancel(&c->again);
    c->again_all = false;
    if (c->one_shot || c->watched) {
        read_all(c);
        return;
    }
    c->state = CACHE_WATCHING;
    struct reeve_request q = {.op = REEVE_OP_ADD_WATCH,
                              .path = c->path,
                              .kind = REEVE_WATCH_RECURSIVE,
                              .watch = {cache_on_event, c}};
    enum reeve_error e = kit_submit(&c->o, &q, on_watch_set, (void *)(uintptr_t)c->round);
    if (e == REEVE_NO_MEMORY) {
        cache_again(c, true);
    } else if (e) {
        cache_fail(c, e);
    }
}

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    struct reeve_cache *c = (struct reeve_cache *)o;
    if (o->closed || c->state == CACHE_FAILED) {
        return;
    }
    switch (s->state) {
    case REEVE_STATE_CONNECTED:
    case REEVE_STATE_READ_ONLY:
        if (s->renewed) {
            c->watched = false;
            c->one_shot = c->opt.one_shot || c->opt.one_node;
        }
        open_gap(c);
        begin_round(c);
        break;
    case REEVE_STATE_SUSPENDED:
        open_gap(c);
        c->state = CACHE_IDLE;
        break;
    case REEVE_STATE_LOST:
        c->watched = false;
        open_gap(c);
        cache_forget_todo(c);
        begin_round(c); // finds out whether there will be another session, and waits for it
        break;
    case REEVE_STATE_AUTH_FAILED:
        cache_fail(c, REEVE_AUTH_FAILED);
        break;
    case REEVE_STATE_ENDED:
        cache_fail(c, REEVE_CLOSED);
        break;
    case REEVE_STATE_CONNECTING:
        break;
    }
}

// ---- events -------------------------------------------------------------------------------------

static void appeared(struct reeve_cache *c, const char *path)
{
    struct cache_node *parent = NULL;
    if (strcmp(path, c->path) != 0) {
        parent = cache_tree_find_parent(&c->tree, path);
        if (!parent) {
            return; // it will be in its parent's list, which has not been asked for yet
        }
    }
    cache_hear(c, parent, path);
}

static void on_change(struct reeve_cache *c, const struct reeve_event *ev)
{
    struct cache_node *n = cache_tree_find(&c->tree, ev->path);
    switch (ev->type) {
    case REEVE_EVENT_CREATED:
    case REEVE_EVENT_CHANGED:
        if (n) {
            n->unread = c->one_shot;
            cache_want(c, n, CACHE_TODO_GET);
        } else {
            appeared(c, ev->path);
        }
        break;
    case REEVE_EVENT_CHILDREN:
        if (n && n->seen && c->one_shot && !c->opt.one_node) {
            cache_want(c, n, CACHE_TODO_LIST);
        }
        break;
    case REEVE_EVENT_DELETED:
        if (n && c->one_shot) {
            n->unread = true;
            cache_want(c, n, CACHE_TODO_GET);
        } else if (n) {
            cache_vanish(c, n);
        }
        break;
    case REEVE_EVENT_ENDED:
        break;
    }
}

void cache_on_event(void *ctx, const struct reeve_event *ev)
{
    struct reeve_cache *c = ctx;
    if (c->o.closed || c->state == CACHE_FAILED) {
        return;
    }
    if (ev->type != REEVE_EVENT_ENDED) {
        on_change(c, ev);
        cache_pump(c);
    } else if (!kit_is_over(ev->why) && ev->why != REEVE_AUTH_FAILED) {
        c->watched = false; // somebody else here took it back, or it may not be any more
        cache_again(c, true);
    }
}

// ---- life ---------------------------------------------------------------------------------------

static void on_close(struct kit_object *o)
{
    struct reeve_cache *c = (struct reeve_cache *)o;
    atomic_store(&c->in_sync, false);
    kit_cancel(&c->again);
    cache_forget_todo(c);
    unwatch(c);
    call_waiters(c, kit_why_closed(o));
}

static void fini(struct kit_object *o)
{
    struct reeve_cache *c = (struct reeve_cache *)o;
    if (c->tree.buckets) {
        cache_tree_fini(&c->tree);
    }
    pthread_mutex_destroy(&c->lock);
    kit_free(o->zk, c->reads);
    kit_free(o->zk, c->path);
}

static const struct kit_class cache_class = {
    .size = sizeof(struct reeve_cache),
    .on_session = on_session,
    .on_close = on_close,
    .fini = fini,
};

static void set_options(struct reeve_cache *c, const struct reeve_cache_options *o)
{
    c->opt = o ? *o : (struct reeve_cache_options){0};
    c->opt.nodes_max = c->opt.nodes_max ? c->opt.nodes_max : 100000;
    c->opt.bytes_max = c->opt.bytes_max ? c->opt.bytes_max : UINT64_C(268435456);
    c->opt.reads_max = c->opt.reads_max ? c->opt.reads_max : 64;
    c->opt.retry_ms = c->opt.retry_ms > 0 ? c->opt.retry_ms : KIT_AGAIN_MS;
    c->one_shot = c->opt.one_shot || c->opt.one_node;
}

// Members that need memory. fini() frees what there is.
static enum reeve_error make(struct reeve_cache *c, const char *path)
{
    struct reeve *zk = c->o.zk;
    c->path = kit_str(zk, path);
    c->reads = kit_alloc(zk, c->opt.reads_max * sizeof(*c->reads));
    if (!c->path || !c->reads) {
        return REEVE_NO_MEMORY;
    }
    for (uint32_t i = 0; i < c->opt.reads_max; i++) {
        c->reads[i].next_free = c->free_reads;
        c->free_reads = &c->reads[i];
    }
    return cache_tree_init(&c->tree, zk, c->opt.nodes_max, c->opt.bytes_max);
}

enum reeve_error reeve_cache_new(struct reeve_cache **cp, struct reeve *zk, const char *path,
                                 const struct reeve_cache_options *o)
{
    *cp = NULL;
    if (!path || !kit_path_ok(path)) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &cache_class, &object);
    if (e) {
        return e;
    }
    struct reeve_cache *c = (struct reeve_cache *)object;
    TAILQ_INIT(&c->todo);
    pthread_mutex_init(&c->lock, NULL);
    set_options(c, o);
    e = make(c, path);
    e = e ? e : kit_open(object);
    if (e) {
        kit_undo(object);
        return e;
    }
    *cp = c;
    return REEVE_OK;
}

void reeve_cache_free(struct reeve_cache **cp)
{
    struct reeve_cache *c = *cp;
    *cp = NULL;
    if (c) {
        kit_close(&c->o);
    }
}

// ---- waiting until it is ready ------------------------------------------------------------------

static void on_time(struct kit_object *o, void *arg)
{
    (void)o;
    call_waiter(arg, REEVE_OPERATION_TIMEOUT);
}

static void wait_ready(struct kit_object *o, void *arg)
{
    struct reeve_cache *c = (struct reeve_cache *)o;
    struct cache_waiter *w = arg;
    w->next = c->waiters;
    c->waiters = w;
    enum reeve_error e = REEVE_OK;
    if (o->closed) {
        call_waiter(w, kit_why_closed(o));
    } else if (c->state == CACHE_FAILED) {
        call_waiter(w, c->error);
    } else if (c->ready) {
        call_waiter(w, REEVE_OK);
    } else if (w->timeout_ms >= 0) {
        e = kit_start(o, &w->timer, w->timeout_ms, on_time, w);
    }
    if (e) {
        call_waiter(w, e);
    }
}

enum reeve_error reeve_cache_wait_ready_async(struct reeve_cache *c, int64_t timeout_ms,
                                              reeve_cache_done_fn *done, void *ctx)
{
    struct cache_waiter *w = kit_alloc(c->o.zk, sizeof(*w));
    if (!w) {
        return REEVE_NO_MEMORY;
    }
    *w = (struct cache_waiter){.c = c, .done = done, .ctx = ctx, .timeout_ms = timeout_ms};
    enum reeve_error e = kit_send(&c->o, wait_ready, w);
    if (e) {
        kit_free(c->o.zk, w);
    }
    return e;
}

enum reeve_error reeve_cache_wait_ready(struct reeve_cache *c, int64_t timeout_ms)
{
    struct kit_wait w;
    enum reeve_error e = kit_wait_new(c->o.zk, &w);
    return e ? e : kit_wait_end(&w, reeve_cache_wait_ready_async(c, timeout_ms, kit_wait_done, &w));
}

static void resync(struct kit_object *o, void *arg)
{
    struct reeve_cache *c = (struct reeve_cache *)o;
    (void)arg;
    if (o->closed || o->ended || (c->state == CACHE_IDLE && !c->watched && !c->one_shot)) {
        return; // a session that begins does the same
    }
    open_gap(c);
    begin_round(c);
}

enum reeve_error reeve_cache_resync(struct reeve_cache *c)
{
    return kit_send(&c->o, resync, NULL);
}

// ---- what is there: any thread ------------------------------------------------------------------

bool reeve_cache_in_sync(struct reeve_cache *c)
{
    return atomic_load(&c->in_sync);
}

uint32_t reeve_cache_count(struct reeve_cache *c)
{
    pthread_mutex_lock(&c->lock);
    uint32_t n = c->tree.seen;
    pthread_mutex_unlock(&c->lock);
    return n;
}

static enum reeve_error no_such(struct reeve_cache *c, const char *path, enum reeve_op op,
                                struct reeve_result *r)
{
    struct reeve_result none = {.error = REEVE_NO_NODE, .op = op, .path = path, .why = ""};
    enum reeve_error e = reeve_result_copy(c->o.zk, r, &none);
    return e ? e : REEVE_NO_NODE;
}

enum reeve_error reeve_cache_get(struct reeve_cache *c, const char *path, struct reeve_result *r)
{
    enum reeve_error e;
    pthread_mutex_lock(&c->lock);
    const struct cache_node *n = cache_tree_find(&c->tree, path);
    if (n && n->seen) {
        struct reeve_result found = {.op = REEVE_OP_GET,
                                     .path = path,
                                     .why = "",
                                     .data = n->data.bytes,
                                     .data_len = n->data.len,
                                     .has_stat = true,
                                     .stat = n->stat};
        e = reeve_result_copy(c->o.zk, r, &found);
    } else {
        e = no_such(c, path, REEVE_OP_GET, r);
    }
    pthread_mutex_unlock(&c->lock);
    return e;
}

static enum reeve_error copy_children(struct reeve_cache *c, const struct cache_node *n,
                                      struct reeve_result *r)
{
    size_t count = 0;
    const struct cache_node *child;
    LIST_FOREACH (child, &n->children, sibling) {
        count++;
    }
    const char **names = kit_alloc(c->o.zk, (count + 1) * sizeof(*names));
    struct reeve_result found = {.op = REEVE_OP_CHILDREN,
                                 .path = n->path,
                                 .why = "",
                                 .children = names,
                                 .has_stat = true,
                                 .stat = n->stat};
    if (!names) {
        struct reeve_result none = {.error = REEVE_NO_MEMORY, .path = "", .why = ""};
        *r = none;
        return REEVE_NO_MEMORY;
    }
    LIST_FOREACH (child, &n->children, sibling) {
        if (child->seen) {
            names[found.children_n++] = kit_name(child->path);
        }
    }
    enum reeve_error e = reeve_result_copy(c->o.zk, r, &found);
    kit_free(c->o.zk, names);
    return e;
}

enum reeve_error reeve_cache_children(struct reeve_cache *c, const char *path,
                                      struct reeve_result *r)
{
    pthread_mutex_lock(&c->lock);
    const struct cache_node *n = cache_tree_find(&c->tree, path);
    enum reeve_error e =
        n && n->seen ? copy_children(c, n, r) : no_such(c, path, REEVE_OP_CHILDREN, r);
    pthread_mutex_unlock(&c->lock);
    return e;
}
