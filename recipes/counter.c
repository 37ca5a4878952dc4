// SPDX-License-Identifier: Apache-2.0
//
// A counter: reads the number and its version, computes, and writes naming the version; again from
// the beginning if somebody else wrote meanwhile. Calls wait in a line; the first one is at work:
//
//     READ --> (MAKE parents, MAKE node --> READ) --> WRITE --> done
//       ^------------- PAUSE <-- another version ------/
//
// The write goes through a ledger, which finds out what became of it when the answer is lost. So a
// number is never added twice and no add is reported that was not made.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recipes/ledger.h"
#include "reeve/counter.h"

enum {
    PAUSE_MAX_MS = 64,
    TEXT_MAX = 24, // a number as text
};

enum call_kind { CALL_GET, CALL_ADD, CALL_SET, CALL_SWAP };

struct counter_call {
    struct counter_call *next;
    enum call_kind kind;
    int64_t number, expected;
    reeve_counter_fn *done;
    void *ctx;
};

struct reeve_counter {
    struct kit_object o;
    struct reeve_counter_options opt;
    char *path, *parent;
    struct ledger ledger;
    struct counter_call *first, **end;
    bool busy; // the first call is at work
    int64_t before, after;
    char data[TEXT_MAX];
    size_t data_len;
    struct reeve_request set;
    struct ledger_write write;
    uint32_t tries;
    struct kit_timer pause;
};

static void run(struct reeve_counter *c);

// ---- numbers as data ----------------------------------------------------------------------------

static uint64_t get_be(const uint8_t *p, size_t n)
{
    uint64_t u = 0;
    for (size_t i = 0; i < n; i++) {
        u = u << 8 | p[i];
    }
    return u;
}

static bool text_to_number(const char *text, size_t len, int64_t *n)
{
    int64_t value = 0;
    bool minus = text[0] == '-';
    if (len <= (size_t)minus) {
        return false;
    }
    for (size_t i = minus; i < len; i++) {
        int digit = text[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) {
            return false;
        }
    }
    *n = value; // kept negative: the smallest number has no positive
    return minus || !__builtin_sub_overflow(INT64_C(0), value, n);
}

static bool decode(const struct reeve_counter *c, const void *data, size_t len, int64_t *n)
{
    if (len == 0) {
        *n = c->opt.initial;
        return true;
    }
    switch (c->opt.layout) {
    case REEVE_COUNTER_LONG:
        *n = len == 8 ? (int64_t)get_be(data, 8) : 0;
        return len == 8;
    case REEVE_COUNTER_INT:
        *n = len == 4 ? (int32_t)(uint32_t)get_be(data, 4) : 0;
        return len == 4;
    case REEVE_COUNTER_TEXT:
        return text_to_number(data, len, n);
    }
    return false;
}

static bool fits(enum reeve_counter_layout layout, int64_t n)
{
    return layout != REEVE_COUNTER_INT || (n >= INT32_MIN && n <= INT32_MAX);
}

static void encode(struct reeve_counter *c, int64_t n)
{
    if (c->opt.layout == REEVE_COUNTER_TEXT) {
        c->data_len = (size_t)snprintf(c->data, sizeof(c->data), "%" PRId64, n);
        return;
    }
    c->data_len = c->opt.layout == REEVE_COUNTER_LONG ? 8 : 4;
    for (size_t i = 0; i < c->data_len; i++) {
        c->data[i] = (char)(uint8_t)((uint64_t)n >> (8 * (c->data_len - 1 - i)));
    }
}

// ---- the first call -----------------------------------------------------------------------------

static void finish(struct reeve_counter *c, enum reeve_error e, bool maybe_done)
{
    struct counter_call *call = c->first;
    struct reeve_counter_result r = {e, c->before, c->after, maybe_done};
    c->first = call->next;
    if (!c->first) {
        c->end = &c->first;
    }
    c->busy = false;
    kit_cancel(&c->pause);
    call->done(call->ctx, &r);
    kit_free(c->o.zk, call);
    run(c);
}

static void on_pause(struct kit_object *o, void *arg)
{
    (void)arg;
    struct reeve_counter *c = (struct reeve_counter *)o;
    c->busy = false;
    run(c);
}

// Somebody else was faster: again, after a moment that rivals do not share.
static void pause(struct reeve_counter *c)
{
    uint32_t limit = c->tries < 6 ? 1U << c->tries : PAUSE_MAX_MS;
    c->tries++;
    int64_t ms = (int64_t)(reeve_random(c->o.zk) % (limit + 1));
    enum reeve_error e = kit_start(&c->o, &c->pause, ms, on_pause, NULL);
    if (e) {
        finish(c, e, false);
    }
}

static void on_written(struct kit_object *o, struct ledger_write *w, enum reeve_error e,
                       const struct reeve_result *parts)
{
    (void)parts;
    struct reeve_counter *c = (struct reeve_counter *)o;
    bool rival = e == REEVE_BAD_VERSION || e == REEVE_NO_NODE;
    bool maybe = e && (w->state == LEDGER_UNSURE || kit_is_over(e));
    if (rival && !o->closed) {
        pause(c);
    } else {
        finish(c, rival ? REEVE_CANCELLED : e, maybe);
    }
}

static void write_number(struct reeve_counter *c, int32_t version)
{
    encode(c, c->after);
    c->set = (struct reeve_request){.op = REEVE_OP_SET,
                                    .path = c->path,
                                    .data = c->data,
                                    .data_len = c->data_len,
                                    .version = version};
    c->write = (struct ledger_write){.parts = &c->set, .parts_n = 1, .done = on_written};
    ledger_write(&c->ledger, &c->write);
}

static void on_made(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)arg;
    struct reeve_counter *c = (struct reeve_counter *)o;
    if (o->closed) {
        finish(c, REEVE_CANCELLED, false);
    } else if (r->error == REEVE_OK || r->error == REEVE_NODE_EXISTS || r->error == REEVE_NO_NODE ||
               kit_is_transient(r->error)) {
        pause(c);
    } else {
        finish(c, r->error, false);
    }
}

static void on_parents(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)arg;
    struct reeve_counter *c = (struct reeve_counter *)o;
    if (o->closed) {
        e = REEVE_CANCELLED;
    }
    if (!e) {
        encode(c, c->opt.initial);
        struct reeve_request q = {
            .op = REEVE_OP_CREATE, .path = c->path, .data = c->data, .data_len = c->data_len};
        e = kit_submit(o, &q, on_made, NULL);
    }
    if (e) {
        finish(c, e, false);
    }
}

// The counter's own node is a persistent one: a container could vanish with its last ledger.
static void make_node(struct reeve_counter *c)
{
    enum reeve_error e = kit_ensure(&c->o, c->parent, on_parents, NULL);
    if (e) {
        finish(c, e, false);
    }
}

// What the first call makes of the number `before`. False: it is finished already.
static bool compute(struct reeve_counter *c)
{
    const struct counter_call *call = c->first;
    c->after = c->before;
    bool overflow = false;
    if (call->kind == CALL_ADD) {
        overflow = __builtin_add_overflow(c->before, call->number, &c->after);
    } else if (call->kind == CALL_SET || call->kind == CALL_SWAP) {
        c->after = call->number;
    }
    if (call->kind == CALL_SWAP && call->expected != c->before) {
        c->after = c->before;
        finish(c, REEVE_BAD_VERSION, false);
    } else if (call->kind == CALL_GET) {
        finish(c, REEVE_OK, false);
    } else if (overflow || !fits(c->opt.layout, c->after)) {
        c->after = c->before;
        finish(c, REEVE_BAD_ARGUMENTS, false);
    } else {
        return true;
    }
    return false;
}

static void on_read(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)arg;
    struct reeve_counter *c = (struct reeve_counter *)o;
    if (o->closed) {
        finish(c, kit_why_closed(o), false);
    } else if (r->error == REEVE_NO_NODE && c->first->kind != CALL_GET) {
        make_node(c);
    } else if (kit_is_transient(r->error)) {
        pause(c);
    } else if (r->error && r->error != REEVE_NO_NODE) {
        finish(c, r->error, false);
    } else if (!decode(c, r->data, r->data_len, &c->before) && c->first->kind != CALL_SET) {
        finish(c, REEVE_MALFORMED, false);
    } else if (compute(c)) {
        write_number(c, r->stat.version);
    }
}

static void run(struct reeve_counter *c)
{
    if (c->busy || !c->first) {
        return;
    }
    c->busy = true;
    struct reeve_request q = {.op = REEVE_OP_GET, .path = c->path};
    enum reeve_error e = c->o.closed ? REEVE_CANCELLED : kit_submit(&c->o, &q, on_read, NULL);
    if (e) {
        finish(c, e, false);
    }
}

// ---- life ---------------------------------------------------------------------------------------

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    struct reeve_counter *c = (struct reeve_counter *)o;
    ledger_on_session(&c->ledger, s);
}

// Requests under way finish their call; what waits for a moment does not need it any more.
static void on_close(struct kit_object *o)
{
    struct reeve_counter *c = (struct reeve_counter *)o;
    bool paused = c->pause.on;
    kit_cancel(&c->pause);
    ledger_close(&c->ledger);
    if (paused) {
        finish(c, kit_why_closed(o), false);
    }
}

static void fini(struct kit_object *o)
{
    struct reeve_counter *c = (struct reeve_counter *)o;
    ledger_fini(&c->ledger);
    kit_free(o->zk, c->path);
    kit_free(o->zk, c->parent);
}

static const struct kit_class counter_class = {
    .size = sizeof(struct reeve_counter),
    .on_session = on_session,
    .on_close = on_close,
    .fini = fini,
};

// "/a" for "/a/b", "/" for "/a".
static char *parent_of(const struct reeve *zk, const char *path)
{
    size_t n = (size_t)(strrchr(path, '/') - path);
    return kit_bytes(zk, path, n ? n : 1);
}

enum reeve_error reeve_counter_new(struct reeve_counter **cp, struct reeve *zk, const char *path,
                                   const struct reeve_counter_options *o)
{
    *cp = NULL;
    if (!path || !kit_path_ok(path) || !path[1] || (o && !fits(o->layout, o->initial))) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &counter_class, &object);
    if (e) {
        return e;
    }
    struct reeve_counter *c = (struct reeve_counter *)object;
    c->opt = o ? *o : (struct reeve_counter_options){0};
    c->end = &c->first;
    c->path = kit_str(zk, path);
    c->parent = parent_of(zk, path);
    ledger_init(&c->ledger, object, c->path);
    e = kit_set_acl(object, c->opt.acl, c->opt.acl_n);
    c->opt.acl = NULL; // borrowed only until here
    e = e ? e : c->path && c->parent ? kit_open(object) : REEVE_NO_MEMORY;
    if (e) {
        kit_undo(object);
        return e;
    }
    *cp = c;
    return REEVE_OK;
}

void reeve_counter_free(struct reeve_counter **cp)
{
    struct reeve_counter *c = *cp;
    *cp = NULL;
    if (c) {
        kit_close(&c->o);
    }
}

// ---- calls --------------------------------------------------------------------------------------

static void take_call(struct kit_object *o, void *arg)
{
    struct reeve_counter *c = (struct reeve_counter *)o;
    struct counter_call *call = arg;
    if (o->closed) {
        struct reeve_counter_result r = {.error = kit_why_closed(o)};
        call->done(call->ctx, &r);
        kit_free(o->zk, call);
        return;
    }
    *c->end = call;
    c->end = &call->next;
    c->tries = 0;
    run(c);
}

static enum reeve_error send_call(struct reeve_counter *c, enum call_kind kind, int64_t number,
                                  int64_t expected, reeve_counter_fn *done, void *ctx)
{
    struct counter_call *call = kit_alloc(c->o.zk, sizeof(*call));
    if (!call) {
        return REEVE_NO_MEMORY;
    }
    *call = (struct counter_call){
        .kind = kind, .number = number, .expected = expected, .done = done, .ctx = ctx};
    enum reeve_error e = kit_send(&c->o, take_call, call);
    if (e) {
        kit_free(c->o.zk, call);
    }
    return e;
}

enum reeve_error reeve_counter_get_async(struct reeve_counter *c, reeve_counter_fn *done, void *ctx)
{
    return send_call(c, CALL_GET, 0, 0, done, ctx);
}

enum reeve_error reeve_counter_add_async(struct reeve_counter *c, int64_t delta,
                                         reeve_counter_fn *done, void *ctx)
{
    return send_call(c, CALL_ADD, delta, 0, done, ctx);
}

enum reeve_error reeve_counter_set_async(struct reeve_counter *c, int64_t number,
                                         reeve_counter_fn *done, void *ctx)
{
    return send_call(c, CALL_SET, number, 0, done, ctx);
}

enum reeve_error reeve_counter_swap_async(struct reeve_counter *c, int64_t expected, int64_t number,
                                          reeve_counter_fn *done, void *ctx)
{
    return send_call(c, CALL_SWAP, number, expected, done, ctx);
}

struct counter_blocking {
    struct kit_wait wait;
    int64_t before, after;
};

static void on_done(void *ctx, const struct reeve_counter_result *r)
{
    struct counter_blocking *w = ctx;
    w->before = r->before;
    w->after = r->after;
    kit_wait_open(&w->wait, r->error);
}

static enum reeve_error call_and_wait(struct reeve_counter *c, enum call_kind kind, int64_t number,
                                      int64_t expected, int64_t *before, int64_t *after)
{
    struct counter_blocking w = {.before = 0};
    enum reeve_error e = kit_wait_new(c->o.zk, &w.wait);
    if (e) {
        return e;
    }
    e = kit_wait_end(&w.wait, send_call(c, kind, number, expected, on_done, &w));
    if (before) {
        *before = w.before;
    }
    if (after) {
        *after = w.after;
    }
    return e;
}

enum reeve_error reeve_counter_get(struct reeve_counter *c, int64_t *now)
{
    return call_and_wait(c, CALL_GET, 0, 0, NULL, now);
}

enum reeve_error reeve_counter_add(struct reeve_counter *c, int64_t delta, int64_t *after)
{
    return call_and_wait(c, CALL_ADD, delta, 0, NULL, after);
}

enum reeve_error reeve_counter_set(struct reeve_counter *c, int64_t number)
{
    return call_and_wait(c, CALL_SET, number, 0, NULL, NULL);
}

enum reeve_error reeve_counter_swap(struct reeve_counter *c, int64_t expected, int64_t number,
                                    int64_t *before)
{
    return call_and_wait(c, CALL_SWAP, number, expected, before, NULL);
}
