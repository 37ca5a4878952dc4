// SPDX-License-Identifier: Apache-2.0
//
// struct reeve_lock: a turn (lock_turn.h), and at most one user who wants it.
//
//     turn IDLE, nobody wants --acquire--> a want, turn under way --granted--> HELD, no want
//     turn ENDING (released, given up) --acquire--> a want that begins when the turn is idle
//
// The token is the only field that other threads read.
#include "reeve/lock.h"

#include "recipes/lock_list.h"
#include "recipes/lock_turn.h"

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
    char *path;
    void *payload;
    void (*on_lost)(void *ctx, enum reeve_error why);
    void *ctx;
    struct turn turn;
    struct want *want;
    struct released *released; // who waits for ENDING to end
    struct kit_timer timeout;
    _Atomic int64_t token;
};

static const char *const markers[] = {"lock-", "__lock__"};
static const struct turn_rule rules[] = {
    [REEVE_LAYOUT_CURATOR] = {false, "lock-", {"lock-", "__lock__"}, 2},
    [REEVE_LAYOUT_KAZOO] = {true, "__lock__", {"lock-", "__lock__"}, 2},
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
        (void)turn_end(&l->turn);
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
    enum reeve_error e = turn_begin(&l->turn, l->want->timeout_ms == 0);
    if (e) {
        (void)end_want(l, e, 0);
    }
}

// ---- hooks of the turn --------------------------------------------------------------------------

static void on_granted(struct kit_object *o, void *arg)
{
    struct reeve_lock *l = arg;
    (void)o;
    atomic_store(&l->token, l->turn.seat.czxid);
    (void)end_want(l, REEVE_OK, l->turn.seat.czxid);
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
    turn_on_session(&((struct reeve_lock *)o)->turn, s);
}

static void on_close(struct kit_object *o)
{
    struct reeve_lock *l = (struct reeve_lock *)o;
    atomic_store(&l->token, 0);
    (void)turn_end(&l->turn);
    (void)end_want(l, kit_why_closed(o), 0);
}

static void fini(struct kit_object *o)
{
    struct reeve_lock *l = (struct reeve_lock *)o;
    turn_fini(&l->turn);
    kit_free(o->zk, l->path);
    kit_free(o->zk, l->payload);
}

static const struct kit_class class = {sizeof(struct reeve_lock), on_session, on_close, fini};

static enum reeve_error fill(struct reeve_lock *l, const char *path,
                             const struct reeve_lock_options *o)
{
    l->path = kit_str(l->o.zk, path);
    l->payload = kit_bytes(l->o.zk, o->payload, o->payload_len);
    l->on_lost = o->on_lost;
    l->ctx = o->ctx;
    turn_init(&l->turn, &l->o, l->path, &rules[o->layout], &hooks, l);
    turn_set_data(&l->turn, l->payload, o->payload_len);
    return l->path && l->payload ? kit_open(&l->o) : REEVE_NO_MEMORY;
}

enum reeve_error reeve_lock_new(struct reeve_lock **out, struct reeve *zk, const char *path,
                                const struct reeve_lock_options *options)
{
    struct reeve_lock_options none = {.layout = REEVE_LAYOUT_CURATOR};
    const struct reeve_lock_options *o = options ? options : &none;
    *out = NULL;
    if (!kit_path_ok(path) || o->layout > REEVE_LAYOUT_KAZOO || (!o->payload && o->payload_len)) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &class, &object);
    if (e) {
        return e;
    }
    e = fill((struct reeve_lock *)object, path, o);
    if (e) {
        kit_undo(object);
        return e;
    }
    *out = (struct reeve_lock *)object;
    return REEVE_OK;
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
    bool busy = l->want || l->turn.state == TURN_HELD;
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
    if (l->turn.state == TURN_IDLE) {
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
    (void)arg;
    give_up((struct reeve_lock *)o, REEVE_CANCELLED);
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
    if (l->turn.state == TURN_HELD) {
        atomic_store(&l->token, 0);
        e = REEVE_OK;
        if (turn_end(&l->turn)) {
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

static struct lock_list_want contenders(const struct reeve_lock *l)
{
    return (struct lock_list_want){
        .path = l->path, .markers = markers, .markers_n = 2, .shared = -1};
}

enum reeve_error reeve_lock_holders_async(struct reeve_lock *l, reeve_contenders_fn *done,
                                          void *ctx)
{
    struct lock_list_want want = contenders(l);
    return lock_list_async(&l->o, &want, done, ctx);
}

enum reeve_error reeve_lock_holders(struct reeve_lock *l, struct reeve_contenders **list)
{
    struct lock_list_want want = contenders(l);
    return lock_list_wait(&l->o, &want, list);
}
