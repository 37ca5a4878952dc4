// SPDX-License-Identifier: Apache-2.0
//
// struct reeve_lock: what a user sees of a lock: a machine (lock_kind.h) that contends, and at most
// one user who wants it.
//
//     machine idle, nobody wants --acquire--> a want, machine under way --granted--> held, no want
//     machine ending (released, given up) --acquire--> a want that begins when it is idle
//
// The token is the only field that other threads read.
#include "reeve/lock.h"

#include "recipes/lock_kind.h"

struct want {
    reeve_lock_fn *done;
    void *ctx;
    int64_t timeout_ms;
};

struct released {
    reeve_lock_released_fn *done;
    void *ctx;
};

struct reeve_lock {
    struct kit_object o;
    char *path, *list_path;
    void *payload;
    void (*on_lost)(void *ctx, enum reeve_error why);
    void *ctx;
    const struct lock_kind *kind;
    void *machine;
    struct lock_list_want list;
    struct want *want;
    struct released *released; // who waits for the end of what was held
    struct kit_timer timeout;
    _Atomic int64_t token;
};

// ---- the one who wants it -----------------------------------------------------------------------

static void tell(struct kit_object *o, struct want *want, enum reeve_error e, int64_t token)
{
    struct want w = *want;
    kit_free(o->zk, want);
    w.done(w.ctx, e, token);
}

// True: there was one.
static bool end_want(struct reeve_lock *l, enum reeve_error e, int64_t token)
{
    struct want *want = l->want;
    l->want = NULL;
    kit_cancel(&l->timeout);
    if (want) {
        tell(&l->o, want, e, token);
    }
    return want;
}

static void give_up(struct reeve_lock *l, enum reeve_error e)
{
    if (l->want) {
        (void)l->kind->end(l->machine);
        (void)end_want(l, e, 0);
    }
}

static void on_timeout(struct kit_object *o, void *arg)
{
    (void)arg;
    give_up((struct reeve_lock *)o, REEVE_OPERATION_TIMEOUT);
}

static void begin(struct reeve_lock *l)
{
    enum reeve_error e = l->kind->begin(l->machine, l->want->timeout_ms == 0);
    if (e) {
        (void)end_want(l, e, 0);
    }
}

// ---- hooks of the machine
// --------------------------------------------------------------------------

static void on_granted(struct kit_object *o, void *arg)
{
    struct reeve_lock *l = arg;
    (void)o;
    int64_t token = l->kind->token(l->machine);
    atomic_store(&l->token, token);
    (void)end_want(l, REEVE_OK, token);
}

static void on_failed(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    (void)end_want(arg, e, 0);
}

static void on_turn_lost(struct kit_object *o, void *arg, enum reeve_error e)
{
    struct reeve_lock *l = arg;
    atomic_store(&l->token, 0);
    if (l->on_lost && !kit_is_closing(o)) {
        l->on_lost(l->ctx, e);
    }
}

static void on_idle(struct kit_object *o, void *arg, enum reeve_error e)
{
    struct reeve_lock *l = arg;
    struct released *waiting = l->released;
    l->released = NULL;
    if (waiting) {
        struct released r = *waiting;
        kit_free(o->zk, waiting);
        r.done(r.ctx, e);
    }
    if (l->want) {
        begin(l);
    }
}

static const struct turn_hooks hooks = {on_granted, on_failed, on_turn_lost, on_idle};

// ---- life ---------------------------------------------------------------------------------------

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    struct reeve_lock *l = (struct reeve_lock *)o;
    l->kind->on_session(l->machine, s);
}

static void on_close(struct kit_object *o)
{
    struct reeve_lock *l = (struct reeve_lock *)o;
    atomic_store(&l->token, 0);
    (void)l->kind->end(l->machine);
    (void)end_want(l, kit_why_closed(o), 0);
    l->kind->poke(l->machine);
}

static void fini(struct kit_object *o)
{
    struct reeve_lock *l = (struct reeve_lock *)o;
    if (l->machine) {
        l->kind->fini(l->machine);
    }
    kit_free(o->zk, l->machine);
    kit_free(o->zk, l->list_path);
    kit_free(o->zk, l->path);
    kit_free(o->zk, l->payload);
}

static const struct kit_class class = {sizeof(struct reeve_lock), on_session, on_close, fini};

static enum reeve_error fill(struct reeve_lock *l, const char *path,
                             const struct reeve_lock_options *o, const struct lock_wish *wish)
{
    struct reeve *zk = l->o.zk;
    const char *below = wish->list_below;
    l->on_lost = o->on_lost;
    l->ctx = o->ctx;
    l->kind = wish->kind;
    l->path = kit_str(zk, path);
    l->list_path = below ? kit_join(zk, path, below) : kit_str(zk, path);
    l->payload = kit_bytes(zk, o->payload, o->payload_len);
    l->machine = kit_alloc(zk, l->kind->size);
    if (!l->path || !l->list_path || !l->payload || !l->machine) {
        kit_free(zk, l->machine);
        l->machine = NULL;
        return REEVE_NO_MEMORY;
    }
    l->list = wish->list;
    l->list.path = l->list_path;
    struct lock_setup setup = {.path = l->path,
                               .data = l->payload,
                               .data_len = o->payload_len,
                               .rule = wish->rule,
                               .limit = wish->limit};
    enum reeve_error e = kit_set_acl(&l->o, o->acl, o->acl_n);
    e = e ? e : l->kind->init(l->machine, &l->o, &setup, &hooks, l);
    return e ? e : kit_open(&l->o);
}

enum reeve_error lock_make(struct reeve_lock **out, struct reeve *zk, const char *path,
                           const struct reeve_lock_options *o, const struct lock_wish *wish)
{
    *out = NULL;
    if (!kit_path_ok(path) || (!o->payload && o->payload_len)) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &class, &object);
    if (e) {
        return e;
    }
    e = fill((struct reeve_lock *)object, path, o, wish);
    if (e) {
        kit_undo(object);
        return e;
    }
    *out = (struct reeve_lock *)object;
    return REEVE_OK;
}

// ---- the plain lock -----------------------------------------------------------------------------

static const char *const markers[] = {"lock-", "__lock__"};
static const struct turn_rule rules[] = {
    [REEVE_LAYOUT_CURATOR] = {false, "lock-", {"lock-", "__lock__"}, 2},
    [REEVE_LAYOUT_KAZOO] = {true, "__lock__", {"lock-", "__lock__"}, 2},
};

enum reeve_error reeve_lock_new(struct reeve_lock **out, struct reeve *zk, const char *path,
                                const struct reeve_lock_options *options)
{
    struct reeve_lock_options none = {.layout = REEVE_LAYOUT_CURATOR};
    const struct reeve_lock_options *o = options ? options : &none;
    *out = NULL;
    if (o->layout > REEVE_LAYOUT_KAZOO) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct lock_wish wish = {.kind = &lock_kind_turn,
                             .rule = &rules[o->layout],
                             .list = {.markers = markers, .markers_n = 2, .shared = -1}};
    return lock_make(out, zk, path, o, &wish);
}

void reeve_lock_free(struct reeve_lock **lp)
{
    struct reeve_lock *l = *lp;
    *lp = NULL;
    if (l) {
        kit_close(&l->o);
    }
}

// ---- acquire ------------------------------------------------------------------------------------

static void on_acquire(struct kit_object *o, void *arg)
{
    struct reeve_lock *l = (struct reeve_lock *)o;
    struct want *want = arg;
    l->kind->poke(l->machine);
    bool busy = l->want || l->kind->token(l->machine);
    if (o->closed || busy) {
        tell(o, want, o->closed ? kit_why_closed(o) : REEVE_BAD_ARGUMENTS, 0);
        return;
    }
    enum reeve_error e = REEVE_OK;
    if (want->timeout_ms > 0) {
        e = kit_start(o, &l->timeout, want->timeout_ms, on_timeout, NULL);
    }
    if (e) {
        tell(o, want, e, 0);
        return;
    }
    l->want = want;
    if (l->kind->is_idle(l->machine)) {
        begin(l);
    }
}

enum reeve_error reeve_lock_acquire_async(struct reeve_lock *l, int64_t timeout_ms,
                                          reeve_lock_fn *done, void *ctx)
{
    struct want *want = kit_alloc(l->o.zk, sizeof(*want));
    if (!want) {
        return REEVE_NO_MEMORY;
    }
    *want = (struct want){done, ctx, timeout_ms};
    enum reeve_error e = kit_send(&l->o, on_acquire, want);
    if (e) {
        kit_free(l->o.zk, want);
    }
    return e;
}

struct acquiring {
    struct kit_wait wait;
    int64_t token;
};

static void on_acquired(void *ctx, enum reeve_error e, int64_t token)
{
    struct acquiring *a = ctx;
    a->token = token;
    kit_wait_open(&a->wait, e);
}

enum reeve_error reeve_lock_acquire(struct reeve_lock *l, int64_t timeout_ms, int64_t *token)
{
    struct acquiring a = {.token = 0};
    enum reeve_error e = kit_wait_new(l->o.zk, &a.wait);
    if (!e) {
        e = kit_wait_end(&a.wait, reeve_lock_acquire_async(l, timeout_ms, on_acquired, &a));
    }
    if (token) {
        *token = a.token;
    }
    return e;
}

static void on_cancel(struct kit_object *o, void *arg)
{
    struct reeve_lock *l = (struct reeve_lock *)o;
    (void)arg;
    l->kind->poke(l->machine);
    give_up(l, REEVE_CANCELLED);
}

enum reeve_error reeve_lock_cancel(struct reeve_lock *l)
{
    return kit_send(&l->o, on_cancel, NULL);
}

// ---- release ------------------------------------------------------------------------------------

static void on_release(struct kit_object *o, void *arg)
{
    struct reeve_lock *l = (struct reeve_lock *)o;
    struct released *r = arg;
    enum reeve_error e = REEVE_NO_NODE;
    l->kind->poke(l->machine);
    if (l->kind->token(l->machine)) {
        atomic_store(&l->token, 0);
        e = REEVE_OK;
        if (l->kind->end(l->machine)) {
            l->released = r;
            return;
        }
    }
    struct released done = *r;
    kit_free(o->zk, r);
    done.done(done.ctx, e);
}

static void nobody(void *ctx, enum reeve_error e)
{
    (void)ctx;
    (void)e;
}

enum reeve_error reeve_lock_release_async(struct reeve_lock *l, reeve_lock_released_fn *done,
                                          void *ctx)
{
    struct released *r = kit_alloc(l->o.zk, sizeof(*r));
    if (!r) {
        return REEVE_NO_MEMORY;
    }
    *r = (struct released){done ? done : nobody, ctx};
    enum reeve_error e = kit_send(&l->o, on_release, r);
    if (e) {
        kit_free(l->o.zk, r);
    }
    return e;
}

enum reeve_error reeve_lock_release(struct reeve_lock *l)
{
    struct kit_wait w;
    enum reeve_error e = kit_wait_new(l->o.zk, &w);
    return e ? e : kit_wait_end(&w, reeve_lock_release_async(l, kit_wait_done, &w));
}

int64_t reeve_lock_token(const struct reeve_lock *l)
{
    return atomic_load(&l->token);
}

// ---- who contends -------------------------------------------------------------------------------

enum reeve_error reeve_lock_holders_async(struct reeve_lock *l, reeve_contenders_fn *done,
                                          void *ctx)
{
    return lock_list_async(&l->o, &l->list, done, ctx);
}

enum reeve_error reeve_lock_holders(struct reeve_lock *l, struct reeve_contenders **list)
{
    return lock_list_wait(&l->o, &l->list, list);
}
