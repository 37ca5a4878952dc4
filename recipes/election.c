// SPDX-License-Identifier: Apache-2.0
//
// struct reeve_election: a turn (lock_turn.h) that begins again whenever it has ended, as long as
// it is `joined`. Observers are in election_watch.c.
#include "reeve/election.h"

#include <string.h>

#include "recipes/election.h"
#include "recipes/lock_list.h"
#include "recipes/lock_turn.h"

struct waiter { // of reeve_election_wait_async
    struct waiter *next;
    struct reeve_election *e;
    reeve_lock_fn *done;
    void *ctx;
    int64_t timeout_ms;
    struct kit_timer timeout;
};

struct leaving {
    reeve_election_fn *done;
    void *ctx;
};

struct reeve_election {
    struct kit_object o;
    char *path, *id;
    enum reeve_election_layout layout;
    struct reeve_election_options options; // callbacks only
    struct turn turn;
    bool joined;
    enum reeve_error why; // not joined: what a wait is told
    struct leaving *leaving;
    struct waiter *waiters;
    struct kit_timer again; // to begin after NO_MEMORY
    _Atomic int64_t token;
};

const char *const election_markers[] = {
    [REEVE_ELECTION_LATCH] = "latch-",
    [REEVE_ELECTION_SELECTOR] = "lock-",
    [REEVE_ELECTION_KAZOO] = "__lock__",
};

static const struct turn_rule rules[] = {
    [REEVE_ELECTION_LATCH] = {false, "latch-", {"latch-"}, 1},
    [REEVE_ELECTION_SELECTOR] = {false, "lock-", {"lock-"}, 1},
    [REEVE_ELECTION_KAZOO] = {true, "__lock__", {"__lock__"}, 1},
};

// ---- those who wait -----------------------------------------------------------------------------

static void end_waiter(struct waiter *w, enum reeve_error e, int64_t token)
{
    struct waiter own = *w;
    kit_cancel(&w->timeout);
    kit_free(own.e->o.zk, w);
    own.done(own.ctx, e, token);
}

static void end_waiters(struct reeve_election *e, enum reeve_error error, int64_t token)
{
    struct waiter *w = e->waiters;
    e->waiters = NULL; // a callback may add new ones
    while (w) {
        struct waiter *next = w->next;
        end_waiter(w, error, token);
        w = next;
    }
}

static void on_timeout(struct kit_object *o, void *arg)
{
    struct reeve_election *e = (struct reeve_election *)o;
    struct waiter *w = arg;
    struct waiter **to = &e->waiters;
    while (*to && *to != w) {
        to = &(*to)->next;
    }
    if (*to) {
        *to = w->next;
        end_waiter(w, REEVE_OPERATION_TIMEOUT, 0);
    }
}

// ---- standing in line ---------------------------------------------------------------------------

static void begin(struct reeve_election *e);

static void on_again(struct kit_object *o, void *arg)
{
    (void)arg;
    begin((struct reeve_election *)o);
}

static void fail(struct reeve_election *e, enum reeve_error why)
{
    e->joined = false;
    e->why = why;
    if (e->options.failed && !kit_is_closing(&e->o)) {
        e->options.failed(e->options.ctx, why);
    }
    end_waiters(e, why, 0);
}

// Missing memory is waited for, and a server that refuses writes for a while (a full disk).
static void on_error(struct reeve_election *e, enum reeve_error why)
{
    if (!e->joined || e->o.closed) {
        return;
    }
    if (kit_is_for_now(why)) {
        why = kit_start(&e->o, &e->again, KIT_AGAIN_MS, on_again, NULL);
    }
    if (why) {
        fail(e, why);
    }
}

static void begin(struct reeve_election *e)
{
    if (e->joined && !e->o.closed && !e->again.on && e->turn.state == TURN_IDLE) {
        enum reeve_error why = turn_begin(&e->turn, false);
        if (why) {
            on_error(e, why);
        }
    }
}

static void on_granted(struct kit_object *o, void *arg)
{
    struct reeve_election *e = arg;
    int64_t token = e->turn.seat.czxid;
    atomic_store(&e->token, token);
    if (e->options.gained && !kit_is_closing(o)) {
        e->options.gained(e->options.ctx, token);
    }
    end_waiters(e, REEVE_OK, token);
}

static void on_failed(struct kit_object *o, void *arg, enum reeve_error why)
{
    (void)o;
    on_error(arg, why);
}

static void on_lost(struct kit_object *o, void *arg, enum reeve_error why)
{
    struct reeve_election *e = arg;
    atomic_store(&e->token, 0);
    if (e->options.lost && !kit_is_closing(o)) {
        e->options.lost(e->options.ctx, why);
    }
    if (why == REEVE_AUTH_FAILED || why == REEVE_CLOSED) {
        on_error(e, why);
    }
}

static void end_leaving(struct reeve_election *e, enum reeve_error why)
{
    struct leaving *waiting = e->leaving;
    e->leaving = NULL;
    if (waiting) {
        struct leaving l = *waiting;
        kit_free(e->o.zk, waiting);
        l.done(l.ctx, why);
    }
}

static void on_idle(struct kit_object *o, void *arg, enum reeve_error why)
{
    (void)o;
    struct reeve_election *e = arg;
    end_leaving(e, why);
    begin(e);
}

static const struct turn_hooks hooks = {on_granted, on_failed, on_lost, on_idle};

// ---- life ---------------------------------------------------------------------------------------

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    struct reeve_election *e = (struct reeve_election *)o;
    turn_on_session(&e->turn, s);
    begin(e);
}

static void on_close(struct kit_object *o)
{
    struct reeve_election *e = (struct reeve_election *)o;
    e->joined = false;
    atomic_store(&e->token, 0);
    kit_cancel(&e->again);
    (void)turn_end(&e->turn);
    end_waiters(e, kit_why_closed(o), 0);
    turn_poke(&e->turn);
}

static void fini(struct kit_object *o)
{
    struct reeve_election *e = (struct reeve_election *)o;
    turn_fini(&e->turn);
    kit_free(o->zk, e->path);
    kit_free(o->zk, e->id);
}

static const struct kit_class class = {sizeof(struct reeve_election), on_session, on_close, fini};

static enum reeve_error fill(struct reeve_election *e, const char *path,
                             const struct reeve_election_options *o)
{
    e->path = kit_str(e->o.zk, path);
    e->id = kit_str(e->o.zk, o->id ? o->id : "");
    e->layout = o->layout;
    e->why = REEVE_NO_NODE;
    e->options = *o;
    turn_init(&e->turn, &e->o, e->path, &rules[o->layout], &hooks, e);
    if (!e->path || !e->id) {
        return REEVE_NO_MEMORY;
    }
    turn_set_data(&e->turn, e->id, strlen(e->id));
    enum reeve_error error = kit_set_acl(&e->o, o->acl, o->acl_n);
    return error ? error : kit_open(&e->o);
}

enum reeve_error reeve_election_new(struct reeve_election **out, struct reeve *zk, const char *path,
                                    const struct reeve_election_options *options)
{
    struct reeve_election_options none = {.layout = REEVE_ELECTION_LATCH};
    const struct reeve_election_options *o = options ? options : &none;
    *out = NULL;
    if (!kit_path_ok(path) || o->layout > REEVE_ELECTION_KAZOO) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &class, &object);
    if (e) {
        return e;
    }
    e = fill((struct reeve_election *)object, path, o);
    if (e) {
        kit_undo(object);
        return e;
    }
    *out = (struct reeve_election *)object;
    return REEVE_OK;
}

void reeve_election_free(struct reeve_election **ep)
{
    struct reeve_election *e = *ep;
    *ep = NULL;
    if (e) {
        kit_close(&e->o);
    }
}

// ---- taking part --------------------------------------------------------------------------------

static void on_join(struct kit_object *o, void *arg)
{
    (void)arg;
    struct reeve_election *e = (struct reeve_election *)o;
    e->joined = !o->closed;
    turn_poke(&e->turn);
    begin(e);
}

enum reeve_error reeve_election_join(struct reeve_election *e)
{
    return kit_send(&e->o, on_join, NULL);
}

// Only the leader gives something up; who waits keeps its place.
static void on_resign(struct kit_object *o, void *arg)
{
    (void)arg;
    struct reeve_election *e = (struct reeve_election *)o;
    if (e->turn.state == TURN_HELD) {
        atomic_store(&e->token, 0);
        if (!turn_end(&e->turn)) {
            begin(e);
        }
    }
}

enum reeve_error reeve_election_resign(struct reeve_election *e)
{
    return kit_send(&e->o, on_resign, NULL);
}

static void on_leave(struct kit_object *o, void *arg)
{
    struct reeve_election *e = (struct reeve_election *)o;
    struct leaving *l = arg;
    bool was = e->joined;
    e->why = REEVE_NO_NODE;
    turn_poke(&e->turn);
    e->joined = false;
    atomic_store(&e->token, 0);
    kit_cancel(&e->again);
    if (turn_end(&e->turn) && !e->leaving) {
        e->leaving = l;
        l = NULL;
    }
    end_waiters(e, REEVE_NO_NODE, 0);
    if (l) {
        struct leaving own = *l;
        kit_free(o->zk, l);
        own.done(own.ctx, was ? REEVE_OK : REEVE_NO_NODE);
    }
}

static void nobody(void *ctx, enum reeve_error e)
{
    (void)ctx;
    (void)e;
}

enum reeve_error reeve_election_leave_async(struct reeve_election *e, reeve_election_fn *done,
                                            void *ctx)
{
    struct leaving *l = kit_alloc(e->o.zk, sizeof(*l));
    if (!l) {
        return REEVE_NO_MEMORY;
    }
    *l = (struct leaving){done ? done : nobody, ctx};
    enum reeve_error error = kit_send(&e->o, on_leave, l);
    if (error) {
        kit_free(e->o.zk, l);
    }
    return error;
}

enum reeve_error reeve_election_leave(struct reeve_election *e)
{
    struct kit_wait w;
    enum reeve_error error = kit_wait_new(e->o.zk, &w);
    return error ? error : kit_wait_end(&w, reeve_election_leave_async(e, kit_wait_done, &w));
}

// ---- waiting to lead ----------------------------------------------------------------------------

static void on_wait(struct kit_object *o, void *arg)
{
    struct reeve_election *e = (struct reeve_election *)o;
    struct waiter *w = arg;
    enum reeve_error error = o->closed ? kit_why_closed(o) : e->joined ? REEVE_OK : e->why;
    bool leads = e->turn.state == TURN_HELD;
    if (!error && !leads && w->timeout_ms >= 0) {
        error = kit_start(o, &w->timeout, w->timeout_ms, on_timeout, w);
    }
    if (error || leads) {
        end_waiter(w, error, error ? 0 : e->turn.seat.czxid);
        return;
    }
    w->next = e->waiters;
    e->waiters = w;
}

enum reeve_error reeve_election_wait_async(struct reeve_election *e, int64_t timeout_ms,
                                           reeve_lock_fn *done, void *ctx)
{
    struct waiter *w = kit_alloc(e->o.zk, sizeof(*w));
    if (!w) {
        return REEVE_NO_MEMORY;
    }
    *w = (struct waiter){.e = e, .done = done, .ctx = ctx, .timeout_ms = timeout_ms};
    enum reeve_error error = kit_send(&e->o, on_wait, w);
    if (error) {
        kit_free(e->o.zk, w);
    }
    return error;
}

struct waiting {
    struct kit_wait wait;
    int64_t token;
};

static void on_waited(void *ctx, enum reeve_error e, int64_t token)
{
    struct waiting *w = ctx;
    w->token = token;
    kit_wait_open(&w->wait, e);
}

enum reeve_error reeve_election_wait(struct reeve_election *e, int64_t timeout_ms, int64_t *token)
{
    struct waiting w = {.token = 0};
    enum reeve_error error = kit_wait_new(e->o.zk, &w.wait);
    if (!error) {
        error = kit_wait_end(&w.wait, reeve_election_wait_async(e, timeout_ms, on_waited, &w));
    }
    if (token) {
        *token = w.token;
    }
    return error;
}

int64_t reeve_election_token(const struct reeve_election *e)
{
    return atomic_load(&e->token);
}

// ---- who takes part -----------------------------------------------------------------------------

static struct lock_list_want participants(const struct reeve_election *e)
{
    return (struct lock_list_want){
        .path = e->path, .markers = &election_markers[e->layout], .markers_n = 1, .shared = -1};
}

enum reeve_error reeve_election_participants_async(struct reeve_election *e,
                                                   reeve_contenders_fn *done, void *ctx)
{
    struct lock_list_want want = participants(e);
    return lock_list_async(&e->o, &want, done, ctx);
}

enum reeve_error reeve_election_participants(struct reeve_election *e,
                                             struct reeve_contenders **list)
{
    struct lock_list_want want = participants(e);
    return lock_list_wait(&e->o, &want, list);
}
