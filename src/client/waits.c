// SPDX-License-Identifier: Apache-2.0
//
// What waits: gates, reeve_call(), reeve_wait_connected(). Each is something asynchronous whose
// last callback opens a gate on the waiting thread's stack. Every callback comes exactly once, so
// nobody waits for ever, and nobody leaves while a callback may still come.
#include <stdio.h>

#include "base/must.h"
#include "client/client_internal.h"
#include "client/result.h"

// ---- gates --------------------------------------------------------------------------------------

void gate_init(struct reeve_gate *g, struct reeve *zk)
{
    g->zk = zk;
    atomic_init(&g->bits, 0);
    client_enter(zk);
}

void gate_fini(struct reeve_gate *g)
{
    client_leave(g->zk);
}

enum reeve_error reeve_gate_new(struct reeve *zk, struct reeve_gate **g)
{
    *g = alloc_get(&zk->allocator, NULL, sizeof(**g));
    if (!*g) {
        return REEVE_NO_MEMORY;
    }
    gate_init(*g, zk);
    return REEVE_OK;
}

void reeve_gate_free(struct reeve_gate **gp)
{
    struct reeve_gate *g = *gp;
    *gp = NULL;
    if (g) {
        struct reeve *zk = g->zk;
        alloc_put(&zk->allocator, g);
        client_leave(zk);
    }
}

void reeve_gate_open(struct reeve_gate *g)
{
    struct reeve *zk = g->zk; // lives: the waiting thread is still inside, or this is a callback
    void (*opened)(void *, struct reeve_gate *) = zk->driver.opened;
    void *ctx = zk->driver.ctx;
    uint32_t before = atomic_fetch_or(&g->bits, GATE_OPEN);
    if ((before & GATE_ASLEEP) && opened) {
        opened(ctx, g);
    }
}

enum reeve_error reeve_gate_wait(struct reeve_gate *g)
{
    if (client_on_loop(g->zk)) {
        return REEVE_WRONG_THREAD;
    }
    if (!gate_is_open(g)) {
        g->zk->driver.wait(g->zk, g->zk->driver.ctx, g);
    }
    return REEVE_OK;
}

// ---- one request --------------------------------------------------------------------------------

struct waiting_call {
    struct reeve_gate gate;
    struct reeve_result *r; // NULL: only the error is wanted
    enum reeve_error error;
};

enum reeve_error reeve_result_copy(const struct reeve *zk, struct reeve_result *to,
                                   const struct reeve_result *r)
{
    return result_copy(&zk->allocator, to, r);
}

// A result that the memory is missing for is the request's failure, although it has an answer.
static enum reeve_error keep(const struct reeve *zk, struct reeve_result *to,
                             const struct reeve_result *r)
{
    return to && reeve_result_copy(zk, to, r) ? REEVE_NO_MEMORY : r->error;
}

static void on_answer(void *ctx, const struct reeve_result *r)
{
    struct waiting_call *w = ctx;
    w->error = keep(w->gate.zk, w->r, r);
    reeve_gate_open(&w->gate);
}

static void refuse(struct reeve *zk, const struct reeve_request *q, enum reeve_error e,
                   struct waiting_call *w)
{
    char why[100] = "";
    if (e == REEVE_TOO_BIG) {
        snprintf(why, sizeof(why), "a request of %zu bytes, request_max is %u",
                 call_size(zk->chroot, q), (unsigned)zk->request_max);
    }
    struct reeve_result failed = {.error = e, .path = "", .why = why};
    if (q) {
        failed.op = q->op;
        failed.path = q->path ? q->path : "";
    }
    w->error = keep(zk, w->r, &failed);
}

enum reeve_error reeve_call(struct reeve *zk, const struct reeve_request *q, struct reeve_result *r)
{
    struct waiting_call w = {.r = r};
    gate_init(&w.gate, zk);
    enum reeve_error e =
        client_on_loop(zk) ? REEVE_WRONG_THREAD : reeve_submit(zk, q, on_answer, &w);
    if (e) {
        refuse(zk, q, e, &w);
    } else {
        must(!reeve_gate_wait(&w.gate));
    }
    gate_fini(&w.gate);
    return e ? e : w.error;
}

// ---- a connection -------------------------------------------------------------------------------

struct waiting_connected {
    struct reeve_gate gate;
    int64_t timeout_ms;
    enum reeve_error error;
};

static void on_state(void *ctx, const struct reeve_session *s);
static void on_time(void *ctx);

static void finish(struct waiting_connected *w, enum reeve_error e)
{
    reeve_unlisten(w->gate.zk, on_state, w);
    (void)reeve_cancel(w->gate.zk, on_time, w);
    w->error = e;
    reeve_gate_open(&w->gate);
}

static void on_state(void *ctx, const struct reeve_session *s)
{
    struct waiting_connected *w = ctx;
    if (s->state == REEVE_STATE_CONNECTED || s->state == REEVE_STATE_READ_ONLY) {
        finish(w, REEVE_OK);
    } else if (s->state == REEVE_STATE_AUTH_FAILED) {
        finish(w, REEVE_AUTH_FAILED);
    } else if (s->state == REEVE_STATE_LOST && w->gate.zk->one_session) {
        finish(w, REEVE_SESSION_EXPIRED);
    } else if (s->state == REEVE_STATE_ENDED) {
        finish(w, REEVE_CLOSED);
    }
}

// Also called when the client closes.
static void on_time(void *ctx)
{
    struct waiting_connected *w = ctx;
    finish(w, w->gate.zk->closing ? REEVE_CLOSED : REEVE_OPERATION_TIMEOUT);
}

static void begin(void *ctx)
{
    struct waiting_connected *w = ctx;
    enum reeve_error e = reeve_listen(w->gate.zk, on_state, w);
    if (!e && w->timeout_ms >= 0) {
        e = reeve_after(w->gate.zk, w->timeout_ms, on_time, w);
    }
    if (e) {
        finish(w, e);
    }
}

enum reeve_error reeve_wait_connected(struct reeve *zk, int64_t timeout_ms)
{
    if (client_on_loop(zk)) {
        return REEVE_WRONG_THREAD;
    }
    struct waiting_connected w = {.timeout_ms = timeout_ms};
    gate_init(&w.gate, zk);
    enum reeve_error e = reeve_post(zk, begin, &w);
    if (!e) {
        must(!reeve_gate_wait(&w.gate));
        e = w.error;
    }
    gate_fini(&w.gate);
    return e;
}
