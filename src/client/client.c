// SPDX-License-Identifier: Apache-2.0
#include "client/client_internal.h"

#include <string.h>

#include "base/must.h"
#include "client/hosts.h"

enum { REQUEST_MAX = 1048575 }; // jute.maxbuffer of servers

// ---- life ---------------------------------------------------------------------------------------

static void seed(struct reeve *zk, uint64_t seed)
{
    // The second half of a GUID must not follow from the first, and two clients with one seed do
    // not begin in the same nanosecond.
    zk->rng[0].state = seed;
    zk->rng[1].state = seed ^ (uint64_t)zk->now.ns;
    zk->rng[1].state = rng_next(&zk->rng[1]);
}

static enum reeve_error fill(struct reeve *zk, const struct reeve_options *o)
{
    enum reeve_error e = engine_new(&zk->engine, o);
    if (e) {
        return e;
    }
    zk->chroot = engine_chroot(zk->engine);
    zk->request_max = o->request_max ? o->request_max : REQUEST_MAX;
    zk->one_session = o->one_session;
    zk->now = zk->engine_now = zk->driver.clock(zk->driver.ctx);
    engine_set_now(zk->engine, zk->now);
    seed(zk, o->seed);
    struct reeve_session s;
    engine_get_session(zk->engine, &s);
    client_told_set(zk, &s);
    return REEVE_OK;
}

static void destroy(struct reeve *zk)
{
    engine_free(&zk->engine);
    client_listeners_free(zk);
    pthread_cond_destroy(&zk->left);
    pthread_mutex_destroy(&zk->lock);
    struct reeve_allocator a = zk->allocator;
    alloc_put(&a, zk);
}

enum reeve_error client_new(struct reeve **out, const struct reeve_options *o,
                            const struct client_driver *d)
{
    *out = NULL;
    struct reeve_allocator a = alloc_of(o);
    struct reeve *zk = alloc_zero(&a, sizeof(*zk));
    if (!zk) {
        return REEVE_NO_MEMORY;
    }
    zk->allocator = a;
    zk->driver = *d;
    zk->calls_to = &zk->calls;
    must(pthread_mutex_init(&zk->lock, NULL) == 0);
    must(pthread_cond_init(&zk->left, NULL) == 0);
    enum reeve_error e = fill(zk, o);
    if (e) {
        destroy(zk);
        return e;
    }
    *out = zk;
    return REEVE_OK;
}

void client_free(struct reeve **zkp)
{
    struct reeve *zk = *zkp;
    *zkp = NULL;
    if (!zk) {
        return;
    }
    if (!zk->closed) {
        client_begin_close(zk, false);
    }
    zk->sealed = true;
    for (struct mono now = zk->driver.clock(zk->driver.ctx); !client_is_over(zk);) {
        client_run(zk, now);
        struct mono next = client_deadline(zk);
        now = next.ns > now.ns ? next : now;
    }
    pthread_mutex_lock(&zk->lock);
    while (zk->inside) {
        pthread_cond_wait(&zk->left, &zk->lock);
    }
    pthread_mutex_unlock(&zk->lock);
    destroy(zk);
}

void client_enter(struct reeve *zk)
{
    pthread_mutex_lock(&zk->lock);
    zk->inside++;
    pthread_mutex_unlock(&zk->lock);
}

void client_leave(struct reeve *zk)
{
    pthread_mutex_lock(&zk->lock);
    must(zk->inside > 0);
    if (--zk->inside == 0) {
        pthread_cond_signal(&zk->left);
    }
    pthread_mutex_unlock(&zk->lock);
}

// ---- the loop's thread --------------------------------------------------------------------------

struct engine *client_engine(struct reeve *zk)
{
    return zk->engine;
}

// What calls are refused with, from the moment the state is told.
static void refuse(struct reeve *zk, enum reeve_state state)
{
    enum reeve_error e = REEVE_OK;
    if (state == REEVE_STATE_AUTH_FAILED) {
        e = REEVE_AUTH_FAILED;
    } else if (state == REEVE_STATE_LOST && zk->one_session) {
        e = REEVE_SESSION_EXPIRED;
    }
    pthread_mutex_lock(&zk->lock);
    zk->refuses = zk->refuses ? zk->refuses : e;
    pthread_mutex_unlock(&zk->lock);
}

static void deliver(struct reeve *zk, struct engine_happening *h)
{
    switch (h->type) {
    case ENGINE_NOTHING:
        break;
    case ENGINE_DIAL:
        if (zk->sealed) {
            engine_on_gone(zk->engine, h->link, "the client is closed");
        } else {
            zk->driver.dial(zk, zk->driver.ctx, h->link, h->host, h->port);
        }
        break;
    case ENGINE_CUT:
        if (!zk->sealed) {
            zk->driver.cut(zk, zk->driver.ctx, h->link);
        }
        break;
    case ENGINE_STATE:
        refuse(zk, h->session.state);
        client_tell(zk, &h->session);
        break;
    case ENGINE_DONE:
        if (h->call->done) {
            h->call->done(h->call->ctx, &h->result);
        }
        call_free(&h->call);
        break;
    case ENGINE_WATCH:
        h->watch.fn(h->watch.ctx, &h->event);
        break;
    case ENGINE_OVER:
        zk->over = true;
        break;
    }
}

static void set_now(struct reeve *zk, struct mono now)
{
    zk->now = now.ns > zk->now.ns ? now : zk->now;
}

static void set_engine_now(struct reeve *zk, struct mono now)
{
    if (now.ns > zk->engine_now.ns) {
        zk->engine_now = now;
        engine_set_now(zk->engine, now);
    }
}

// A callback may have taken long. That the session is over is then the next thing to be told. For
// everything else the engine's time is that of the run: that nothing came in while nobody listened
// says nothing about the connection.
bool client_overslept(struct reeve *zk)
{
    set_now(zk, zk->driver.clock(zk->driver.ctx));
    bool over = zk->now.ns >= engine_lost_at(zk->engine).ns;
    if (over) {
        set_engine_now(zk, zk->now);
    }
    return over;
}

void client_pull(struct reeve *zk)
{
    struct engine_happening h;
    for (;;) {
        client_take_in(zk);
        client_tell_fresh(zk);
        (void)client_overslept(zk);
        if (!engine_next(zk->engine, &h)) {
            return;
        }
        deliver(zk, &h);
    }
}

// Happenings come before tasks: a process that wakes up late hears that its session is lost before
// its timers tell it anything.
void client_run(struct reeve *zk, struct mono now)
{
    must(atomic_load(&zk->runner) == 0);
    atomic_store(&zk->runner, (uintptr_t)pthread_self());
    set_now(zk, now);
    set_engine_now(zk, now);
    client_pull(zk);
    client_tasks_ripen(zk);
    client_tasks_run(zk);
    client_pull(zk);
    struct reeve_session s;
    engine_get_session(zk->engine, &s);
    atomic_store_explicit(&zk->zxid, s.zxid, memory_order_relaxed);
    atomic_store(&zk->runner, 0);
}

struct mono client_deadline(const struct reeve *zk)
{
    struct mono next = engine_deadline(zk->engine);
    const struct note *timer = zk->timers.first;
    if (atomic_load(&zk->has_input) || zk->tasks.first || (timer && zk->closing)) {
        return (struct mono){0};
    }
    return timer && timer->due.ns < next.ns ? timer->due : next;
}

bool client_is_over(const struct reeve *zk)
{
    return zk->over && !atomic_load(&zk->has_input) && !zk->tasks.first && !zk->timers.first;
}

// ---- from any thread ----------------------------------------------------------------------------

enum reeve_error reeve_submit(struct reeve *zk, const struct reeve_request *q, reeve_done_fn *done,
                              void *ctx)
{
    struct call *c;
    enum reeve_error e = call_new(&zk->allocator, zk->chroot, zk->request_max, q, &c);
    if (e) {
        return e;
    }
    c->done = done;
    c->ctx = ctx;
    c->submitted = zk->driver.clock(zk->driver.ctx); // a callback may have begun long ago
    e = client_put_call(zk, c);
    if (e) {
        call_free(&c);
    }
    return e;
}

// Nothing may fail here, so without memory the note lies on this stack, and this thread waits until
// it was taken in.
static void unwatch_slowly(struct reeve *zk, struct note n)
{
    struct reeve_gate gate;
    gate_init(&gate, zk);
    n.gate = &gate;
    (void)client_put_note(zk, &n);
    (void)reeve_gate_wait(&gate);
    gate_fini(&gate);
}

void reeve_unwatch(struct reeve *zk, const char *path, reeve_watch_fn *fn, void *ctx)
{
    if (!path) {
        return; // no watch is there
    }
    if (client_on_loop(zk)) {
        client_take_in(zk);
        engine_unwatch(zk->engine, path, fn, ctx);
        return;
    }
    struct note *n = client_note_new(zk, NOTE_UNWATCH, path);
    if (!n) {
        unwatch_slowly(zk,
                       (struct note){.kind = NOTE_UNWATCH, .watch = fn, .ctx = ctx, .text = path});
        return;
    }
    n->watch = fn;
    n->ctx = ctx;
    (void)client_put_note(zk, n);
}

// Whether the list is one is said at once, on whatever thread; it is parsed twice for that.
static enum reeve_error check_servers(struct reeve *zk, const char *servers)
{
    struct hosts h;
    struct rng rng = {1};
    char *chroot = NULL;
    char why[HOST_WHY_MAX];
    if (!servers || strchr(servers, '/')) {
        return REEVE_BAD_ARGUMENTS;
    }
    enum reeve_error e =
        hosts_init(&h, &zk->allocator, &rng, false, servers, &chroot, why, sizeof(why));
    if (!e) {
        hosts_fini(&h);
        alloc_put(&zk->allocator, chroot);
    }
    return e;
}

enum reeve_error reeve_set_servers(struct reeve *zk, const char *servers)
{
    if (client_on_loop(zk)) {
        client_take_in(zk);
        return zk->closing ? REEVE_CLOSED : engine_set_servers(zk->engine, servers);
    }
    enum reeve_error e = check_servers(zk, servers);
    if (e) {
        return e;
    }
    struct note *n = client_note_new(zk, NOTE_SERVERS, servers);
    if (!n) {
        return REEVE_NO_MEMORY;
    }
    e = client_put_note(zk, n);
    if (e) {
        client_note_free(zk, n);
    }
    return e;
}

bool reeve_on_loop(const struct reeve *zk)
{
    return client_on_loop(zk);
}

void *reeve_realloc(const struct reeve *zk, void *p, size_t n)
{
    return zk->allocator.alloc(zk->allocator.ctx, p, n);
}

int64_t reeve_now_ms(const struct reeve *zk)
{
    return zk->driver.clock(zk->driver.ctx).ns / 1000000;
}

uint64_t reeve_random(struct reeve *zk)
{
    pthread_mutex_lock(&zk->lock);
    uint64_t n = rng_next(&zk->rng[0]);
    pthread_mutex_unlock(&zk->lock);
    return n;
}

void reeve_guid(struct reeve *zk, char guid[33])
{
    pthread_mutex_lock(&zk->lock);
    uint64_t half[2] = {rng_next(&zk->rng[0]), rng_next(&zk->rng[1])};
    pthread_mutex_unlock(&zk->lock);
    for (size_t i = 0; i < 32; i++) {
        guid[i] = "0123456789abcdef"[half[i / 16] >> (i % 16 * 4) & 15];
    }
    guid[32] = 0;
}
