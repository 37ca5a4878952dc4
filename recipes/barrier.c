// SPDX-License-Identifier: Apache-2.0
//
// The simple barrier. Every call is on its own: it makes the node, or deletes it, or waits until it
// is deleted. All three may be done twice without harm, so a lost connection only means: again.

#include <string.h>

#include "recipes/kit.h"
#include "reeve/barrier.h"

enum call_kind { CALL_CLOSE, CALL_OPEN, CALL_WAIT };

struct reeve_barrier {
    struct kit_object o;
    char *path, *parent;
    struct barrier_call *calls; // those under way
};

struct barrier_call {
    struct reeve_barrier *b;
    struct barrier_call *next;
    enum call_kind kind;
    bool finished; // told; what is under way is still to come
    bool asking;   // a request is under way
    int64_t timeout_ms;
    int64_t czxid; // CALL_WAIT: of the node when it was seen last; 0: not yet
    reeve_barrier_done_fn *done;
    void *ctx;
    struct kit_timer again, timeout;
};

static void step(struct barrier_call *call);
static void on_event(void *ctx, const struct reeve_event *ev);

// ---- a call's end -------------------------------------------------------------------------------

static void release(struct barrier_call *call)
{
    if (call->finished && !call->asking) {
        kit_free(call->b->o.zk, call);
    }
}

static void finish(struct barrier_call *call, enum reeve_error e)
{
    struct barrier_call **at = &call->b->calls;
    while (*at != call) {
        at = &(*at)->next;
    }
    *at = call->next;
    call->finished = true;
    kit_cancel(&call->again);
    kit_cancel(&call->timeout);
    reeve_unwatch(call->b->o.zk, call->b->path, on_event, call);
    call->done(call->ctx, e);
    release(call);
}

// ---- steps --------------------------------------------------------------------------------------

static void on_again(struct kit_object *o, void *arg)
{
    (void)o;
    step(arg);
}

static void again(struct barrier_call *call)
{
    enum reeve_error e = kit_start(&call->b->o, &call->again, KIT_AGAIN_MS, on_again, call);
    if (e) {
        finish(call, e);
    }
}

static void on_parents(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    struct barrier_call *call = arg;
    call->asking = false;
    if (call->finished) {
        release(call);
    } else if (e) {
        finish(call, e);
    } else {
        step(call);
    }
}

static void make_parents(struct barrier_call *call)
{
    enum reeve_error e = kit_ensure(&call->b->o, call->b->parent, on_parents, call);
    call->asking = !e;
    if (e) {
        finish(call, e);
    }
}

// It is closed, and the watch will tell. Another node than before: it was open in between.
static void wait_on(struct barrier_call *call, int64_t czxid)
{
    int64_t before = call->czxid;
    call->czxid = czxid;
    if (before && before != czxid) {
        finish(call, REEVE_OK);
    }
}

static void on_answer(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct barrier_call *call = arg;
    enum reeve_error e = r->error;
    call->asking = false;
    if (call->finished) {
        release(call);
    } else if (kit_is_transient(e) || e == REEVE_NO_MEMORY) {
        again(call);
    } else if (call->kind == CALL_WAIT && e == REEVE_OK) {
        wait_on(call, r->stat.czxid);
    } else if (call->kind == CALL_CLOSE && e == REEVE_NO_NODE) {
        make_parents(call);
    } else if ((call->kind == CALL_CLOSE && e == REEVE_NODE_EXISTS) || e == REEVE_NO_NODE) {
        finish(call, REEVE_OK);
    } else if (call->kind == CALL_WAIT && e == REEVE_SESSION_EXPIRED) {
        again(call);
    } else {
        finish(call, e);
    }
}

static void on_event(void *ctx, const struct reeve_event *ev)
{
    struct barrier_call *call = ctx;
    if (ev->type == REEVE_EVENT_DELETED) {
        finish(call, REEVE_OK);
    } else if (ev->type == REEVE_EVENT_ENDED && ev->why != REEVE_SESSION_EXPIRED && ev->why) {
        finish(call, ev->why);
    } else if (!call->asking) {
        step(call);
    }
}

static void step(struct barrier_call *call)
{
    struct reeve_request q = {.path = call->b->path, .version = REEVE_ANY_VERSION};
    switch (call->kind) {
    case CALL_CLOSE:
        q.op = REEVE_OP_CREATE;
        break;
    case CALL_OPEN:
        q.op = REEVE_OP_DELETE;
        break;
    case CALL_WAIT:
        q.op = REEVE_OP_EXISTS;
        q.watch = (struct reeve_watch){on_event, call};
        break;
    }
    enum reeve_error e = kit_submit(&call->b->o, &q, on_answer, call);
    call->asking = !e;
    if (e) {
        finish(call, e);
    }
}

static void on_time(struct kit_object *o, void *arg)
{
    (void)o;
    finish(arg, REEVE_OPERATION_TIMEOUT);
}

static void take_call(struct kit_object *o, void *arg)
{
    struct barrier_call *call = arg;
    struct reeve_barrier *b = call->b;
    call->next = b->calls;
    b->calls = call;
    if (o->closed) {
        finish(call, kit_why_closed(o));
        return;
    }
    if (call->timeout_ms >= 0) {
        enum reeve_error e = kit_start(o, &call->timeout, call->timeout_ms, on_time, call);
        if (e) {
            finish(call, e);
            return;
        }
    }
    step(call);
}

// ---- life and calls -----------------------------------------------------------------------------

static void on_close(struct kit_object *o)
{
    struct reeve_barrier *b = (struct reeve_barrier *)o;
    while (b->calls) {
        finish(b->calls, kit_why_closed(o));
    }
}

static void fini(struct kit_object *o)
{
    struct reeve_barrier *b = (struct reeve_barrier *)o;
    kit_free(o->zk, b->path);
    kit_free(o->zk, b->parent);
}

static const struct kit_class barrier_class = {
    .size = sizeof(struct reeve_barrier),
    .on_close = on_close,
    .fini = fini,
};

enum reeve_error reeve_barrier_new(struct reeve_barrier **bp, struct reeve *zk, const char *path,
                                   const struct reeve_barrier_options *o)
{
    *bp = NULL;
    if (!path || !kit_path_ok(path) || !path[1]) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &barrier_class, &object);
    if (e) {
        return e;
    }
    struct reeve_barrier *b = (struct reeve_barrier *)object;
    size_t n = (size_t)(strrchr(path, '/') - path);
    b->path = kit_str(zk, path);
    b->parent = kit_bytes(zk, path, n ? n : 1);
    e = o ? kit_set_acl(object, o->acl, o->acl_n) : REEVE_OK;
    e = e ? e : b->path && b->parent ? kit_open(object) : REEVE_NO_MEMORY;
    if (e) {
        kit_undo(object);
        return e;
    }
    *bp = b;
    return REEVE_OK;
}

void reeve_barrier_free(struct reeve_barrier **bp)
{
    struct reeve_barrier *b = *bp;
    *bp = NULL;
    if (b) {
        kit_close(&b->o);
    }
}

static enum reeve_error send_call(struct reeve_barrier *b, enum call_kind kind, int64_t timeout_ms,
                                  reeve_barrier_done_fn *done, void *ctx)
{
    struct barrier_call *call = kit_alloc(b->o.zk, sizeof(*call));
    if (!call) {
        return REEVE_NO_MEMORY;
    }
    *call = (struct barrier_call){
        .b = b, .kind = kind, .timeout_ms = timeout_ms, .done = done, .ctx = ctx};
    enum reeve_error e = kit_send(&b->o, take_call, call);
    if (e) {
        kit_free(b->o.zk, call);
    }
    return e;
}

static enum reeve_error call_and_wait(struct reeve_barrier *b, enum call_kind kind,
                                      int64_t timeout_ms)
{
    struct kit_wait w;
    enum reeve_error e = kit_wait_new(b->o.zk, &w);
    return e ? e : kit_wait_end(&w, send_call(b, kind, timeout_ms, kit_wait_done, &w));
}

enum reeve_error reeve_barrier_close_async(struct reeve_barrier *b, reeve_barrier_done_fn *done,
                                           void *ctx)
{
    return send_call(b, CALL_CLOSE, -1, done, ctx);
}

enum reeve_error reeve_barrier_close(struct reeve_barrier *b)
{
    return call_and_wait(b, CALL_CLOSE, -1);
}

enum reeve_error reeve_barrier_open_async(struct reeve_barrier *b, reeve_barrier_done_fn *done,
                                          void *ctx)
{
    return send_call(b, CALL_OPEN, -1, done, ctx);
}

enum reeve_error reeve_barrier_open(struct reeve_barrier *b)
{
    return call_and_wait(b, CALL_OPEN, -1);
}

enum reeve_error reeve_barrier_wait_async(struct reeve_barrier *b, int64_t timeout_ms,
                                          reeve_barrier_done_fn *done, void *ctx)
{
    return send_call(b, CALL_WAIT, timeout_ms, done, ctx);
}

enum reeve_error reeve_barrier_wait(struct reeve_barrier *b, int64_t timeout_ms)
{
    return call_and_wait(b, CALL_WAIT, timeout_ms);
}
