// SPDX-License-Identifier: Apache-2.0
//
// The double barrier: a seat below the node makes a member.
//
//     OUT --enter--> ENTERING --ready, or enough members--> INSIDE --leave--> LEAVING --> OUT
//          ENTERING --timeout, free--> GIVING_UP --seat left--> OUT
//          any --session lost--> OUT
//
// ENTERING first takes away a `ready` without members, which was left by members that were lost
// inside. Then it takes its seat, looks at `ready` (with a watch) and at the list of members; who
// finds enough of them makes `ready`. The last one to come always finds enough, so nobody else has
// to look twice.
// A member has the same name in all its sessions, so that it can never be there twice: what a lost
// session has left behind is deleted before it enters anew.
// LEAVING repeats: list the members; the lowest waits for the highest to go, all others go at once
// and wait for the lowest. Answers of an earlier look are recognised by its number and ignored.

#include <string.h>

#include "recipes/kit.h"
#include "reeve/barrier.h"

enum state { OUT, ENTERING, INSIDE, LEAVING, GIVING_UP };

struct reeve_double_barrier {
    struct kit_object o;
    uint32_t members;
    struct reeve_double_barrier_options opt;
    char *path, *ready;
    char *name; // of the member's node
    void *data;
    struct kit_seat seat;
    enum state state;
    uintptr_t look;              // grows with each one
    char *watched;               // LEAVING: whose end is waited for, or NULL
    reeve_barrier_done_fn *done; // the call under way, or NULL
    void *ctx;
    enum reeve_error why; // GIVING_UP: what the call ends with
    struct kit_timer again, timeout;
};

struct double_call {
    bool enter;
    int64_t timeout_ms;
    reeve_barrier_done_fn *done;
    void *ctx;
};

static void look(struct reeve_double_barrier *b);
static void on_event(void *ctx, const struct reeve_event *ev);

// ---- states -------------------------------------------------------------------------------------

static void stop_looking(struct reeve_double_barrier *b)
{
    b->look++;
    kit_cancel(&b->again);
    reeve_unwatch(b->o.zk, b->ready, on_event, b);
    if (b->watched) {
        reeve_unwatch(b->o.zk, b->watched, on_event, b);
        kit_free(b->o.zk, b->watched);
        b->watched = NULL;
    }
}

static void finish(struct reeve_double_barrier *b, enum state state, enum reeve_error e)
{
    stop_looking(b);
    kit_cancel(&b->timeout);
    b->state = state;
    reeve_barrier_done_fn *done = b->done;
    b->done = NULL;
    if (done) {
        done(b->ctx, e);
    }
}

static void on_out(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)arg, (void)e;
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    if (b->state == GIVING_UP) {
        finish(b, OUT, b->why);
    }
}

// Out again, and then the call ends with e.
static void give_up(struct reeve_double_barrier *b, enum reeve_error e)
{
    stop_looking(b);
    b->state = GIVING_UP;
    b->why = e;
    if (!kit_seat_leave(&b->seat, on_out, NULL)) {
        finish(b, OUT, e);
    }
}

static void on_again(struct kit_object *o, void *arg)
{
    (void)arg;
    look((struct reeve_double_barrier *)o);
}

// What a step met that it cannot go on with.
static void trouble(struct reeve_double_barrier *b, enum reeve_error e)
{
    if (kit_is_transient(e) || e == REEVE_NO_NODE) {
        e = kit_start(&b->o, &b->again, KIT_AGAIN_MS, on_again, NULL);
    }
    if (e) {
        give_up(b, e);
    }
}

static void submit(struct reeve_double_barrier *b, const struct reeve_request *q, kit_result_fn *fn)
{
    enum reeve_error e = kit_submit(&b->o, q, fn, (void *)b->look);
    if (e) {
        trouble(b, e);
    }
}

static bool is_old(const struct reeve_double_barrier *b, const void *arg)
{
    return (uintptr_t)arg != b->look;
}

static bool is_ready_node(const char *name)
{
    return strcmp(name, "ready") == 0;
}

// ---- entering -----------------------------------------------------------------------------------

static void on_ready_made(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    if (is_old(b, arg)) {
        return;
    }
    if (r->error == REEVE_OK || r->error == REEVE_NODE_EXISTS) {
        finish(b, INSIDE, REEVE_OK);
    } else {
        trouble(b, r->error);
    }
}

static void on_members(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    if (is_old(b, arg)) {
        return;
    }
    if (r->error) {
        trouble(b, r->error);
        return;
    }
    size_t n = r->children_n;
    for (size_t i = 0; i < r->children_n; i++) {
        n -= is_ready_node(r->children[i]);
    }
    if (n >= b->members) {
        struct reeve_request q = {.op = REEVE_OP_CREATE, .path = b->ready};
        submit(b, &q, on_ready_made);
    }
}

static void on_ready(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    if (is_old(b, arg)) {
        return;
    }
    if (r->error == REEVE_OK) {
        finish(b, INSIDE, REEVE_OK);
    } else if (r->error == REEVE_NO_NODE) {
        struct reeve_request q = {.op = REEVE_OP_CHILDREN, .path = b->path};
        submit(b, &q, on_members);
    } else {
        trouble(b, r->error);
    }
}

static enum reeve_error take_seat(struct reeve_double_barrier *b);
static void delete_former(struct reeve_double_barrier *b);

static void on_former_gone(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    if (is_old(b, arg)) {
        return;
    }
    enum reeve_error e = r->error;
    if (kit_is_transient(e)) {
        delete_former(b);
        return;
    }
    e = e == REEVE_OK || e == REEVE_NO_NODE ? take_seat(b) : e;
    if (e) {
        finish(b, OUT, e);
    }
}

// Our node of a session that is lost to us; the servers have it still.
static void delete_former(struct reeve_double_barrier *b)
{
    enum reeve_error e = kit_delete(&b->o, b->path, b->name, on_former_gone, (void *)b->look);
    if (e) {
        finish(b, OUT, e);
    }
}

static void on_seat(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)arg;
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    if (b->state == ENTERING && e == REEVE_NODE_EXISTS) {
        delete_former(b);
    } else if (b->state == ENTERING && e) {
        finish(b, OUT, e);
    } else if (b->state == ENTERING) {
        look(b);
    }
}

static enum reeve_error take_seat(struct reeve_double_barrier *b)
{
    char *name = kit_str(b->o.zk, b->name);
    if (!name) {
        return REEVE_NO_MEMORY;
    }
    return kit_seat_take(&b->seat, b->path, name, REEVE_EPHEMERAL, b->data, b->opt.data_len,
                         on_seat, NULL);
}

static void sit(struct reeve_double_barrier *b)
{
    b->look++;
    enum reeve_error e = take_seat(b);
    if (e) {
        finish(b, OUT, e);
    }
}

static void on_swept(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    if (is_old(b, arg)) {
        return;
    }
    if (kit_is_transient(r->error) || kit_is_over(r->error)) {
        trouble(b, r->error);
    } else {
        sit(b); // also if it may not be deleted
    }
}

// Whether there is `ready` and nobody else, but for our own node of a lost session.
static bool is_left_behind(const struct reeve_double_barrier *b, const struct reeve_result *r)
{
    bool ready = false;
    for (size_t i = 0; i < r->children_n; i++) {
        bool this = is_ready_node(r->children[i]);
        if (!this && strcmp(r->children[i], b->name) != 0) {
            return false;
        }
        ready |= this;
    }
    return ready;
}

static void on_first_look(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    if (is_old(b, arg)) {
        return;
    }
    if (r->error && r->error != REEVE_NO_NODE) {
        trouble(b, r->error);
    } else if (is_left_behind(b, r)) {
        struct reeve_request q = {
            .op = REEVE_OP_DELETE, .path = b->ready, .version = REEVE_ANY_VERSION};
        submit(b, &q, on_swept);
    } else {
        sit(b);
    }
}

// ---- leaving ------------------------------------------------------------------------------------

static void on_ready_gone(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    if (is_old(b, arg)) {
        return;
    }
    if (kit_is_transient(r->error)) {
        trouble(b, r->error);
    } else {
        finish(b, OUT, REEVE_OK); // whoever comes last deletes it; another one may have
    }
}

static void on_gone(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)arg;
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    if (b->state == LEAVING && e) {
        finish(b, OUT, e);
    } else if (b->state == LEAVING) {
        look(b);
    }
}

// Our own node goes, and then the list is looked at again.
static void go(struct reeve_double_barrier *b)
{
    if (!kit_seat_leave(&b->seat, on_gone, NULL)) {
        look(b);
    }
}

static void on_other(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    if (is_old(b, arg)) {
        return;
    }
    if (r->error == REEVE_NO_NODE) {
        look(b);
    } else if (r->error) {
        trouble(b, r->error);
    }
}

static void wait_for(struct reeve_double_barrier *b, const char *name)
{
    b->watched = kit_join(b->o.zk, b->path, name);
    if (!b->watched) {
        trouble(b, REEVE_NO_MEMORY);
        return;
    }
    struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = b->watched, .watch = {on_event, b}};
    submit(b, &q, on_other);
}

static void delete_ready(struct reeve_double_barrier *b)
{
    struct reeve_request q = {
        .op = REEVE_OP_DELETE, .path = b->ready, .version = REEVE_ANY_VERSION};
    submit(b, &q, on_ready_gone);
}

static void on_left(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    if (is_old(b, arg)) {
        return;
    }
    if (r->error && r->error != REEVE_NO_NODE) {
        trouble(b, r->error);
        return;
    }
    const char *mine = b->seat.state == KIT_SEAT_TAKEN ? kit_name(b->seat.path) : NULL;
    const char *lowest = NULL, *highest = NULL;
    bool found = false;
    for (size_t i = 0; i < r->children_n; i++) {
        const char *name = r->children[i];
        if (!is_ready_node(name)) {
            lowest = lowest && strcmp(lowest, name) < 0 ? lowest : name;
            highest = highest && strcmp(highest, name) > 0 ? highest : name;
            found |= mine && strcmp(mine, name) == 0;
        }
    }
    if (mine && !found) {
        kit_seat_lost(&b->seat); // somebody deleted it
        mine = NULL;
    }
    if (!lowest) {
        delete_ready(b);
    } else if (mine && (strcmp(mine, lowest) != 0 || lowest == highest)) {
        go(b);
    } else {
        wait_for(b, mine ? highest : lowest);
    }
}

// ---- looking ------------------------------------------------------------------------------------

static void look(struct reeve_double_barrier *b)
{
    stop_looking(b);
    if (b->state == ENTERING && b->seat.state == KIT_SEAT_EMPTY) {
        struct reeve_request q = {.op = REEVE_OP_CHILDREN, .path = b->path};
        submit(b, &q, on_first_look);
    } else if (b->state == ENTERING) {
        struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = b->ready, .watch = {on_event, b}};
        submit(b, &q, on_ready);
    } else if (b->state == LEAVING) {
        struct reeve_request q = {.op = REEVE_OP_CHILDREN, .path = b->path};
        submit(b, &q, on_left);
    }
}

static void on_event(void *ctx, const struct reeve_event *ev)
{
    struct reeve_double_barrier *b = ctx;
    if (b->state == ENTERING && ev->type == REEVE_EVENT_CREATED) {
        finish(b, INSIDE, REEVE_OK);
    } else if (ev->type != REEVE_EVENT_ENDED || !ev->why) {
        look(b);
    }
}

static void on_time(struct kit_object *o, void *arg)
{
    (void)arg;
    give_up((struct reeve_double_barrier *)o, REEVE_OPERATION_TIMEOUT);
}

// ---- life ---------------------------------------------------------------------------------------

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    if (s->state == REEVE_STATE_LOST || s->state == REEVE_STATE_AUTH_FAILED) {
        bool inside = b->state == INSIDE;
        kit_seat_lost(&b->seat);
        if (inside) {
            b->state = OUT;
            if (b->opt.lost) {
                b->opt.lost(b->opt.ctx);
            }
        } else if (b->state == LEAVING ||
                   (b->state == ENTERING && b->seat.state == KIT_SEAT_EMPTY)) {
            finish(b, OUT,
                   s->state == REEVE_STATE_LOST ? REEVE_SESSION_EXPIRED : REEVE_AUTH_FAILED);
        }
    }
    kit_seat_poke(&b->seat);
}

static void on_close(struct kit_object *o)
{
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    (void)kit_seat_leave(&b->seat, NULL, NULL);
    finish(b, OUT, kit_why_closed(o));
}

static void fini(struct kit_object *o)
{
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    kit_seat_fini(&b->seat);
    kit_free(o->zk, b->path);
    kit_free(o->zk, b->ready);
    kit_free(o->zk, b->name);
    kit_free(o->zk, b->data);
    kit_free(o->zk, b->watched);
}

static const struct kit_class double_class = {
    .size = sizeof(struct reeve_double_barrier),
    .on_session = on_session,
    .on_close = on_close,
    .fini = fini,
};

enum reeve_error reeve_double_barrier_new(struct reeve_double_barrier **bp, struct reeve *zk,
                                          const char *path, uint32_t members,
                                          const struct reeve_double_barrier_options *o)
{
    *bp = NULL;
    if (!path || !kit_path_ok(path) || !path[1] || !members || (o && !o->data && o->data_len)) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &double_class, &object);
    if (e) {
        return e;
    }
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)object;
    b->opt = o ? *o : (struct reeve_double_barrier_options){0};
    b->members = members;
    kit_seat_init(&b->seat, object);
    b->path = kit_str(zk, path);
    b->ready = kit_join(zk, path, "ready");
    b->name = kit_name_kazoo(zk, "");
    b->data = kit_bytes(zk, b->opt.data, b->opt.data_len);
    e = kit_set_acl(object, b->opt.acl, b->opt.acl_n);
    b->opt.acl = NULL; // borrowed only until here
    bool all = b->path && b->ready && b->name && b->data;
    e = e ? e : all ? kit_open(object) : REEVE_NO_MEMORY;
    if (e) {
        kit_undo(object);
        return e;
    }
    *bp = b;
    return REEVE_OK;
}

void reeve_double_barrier_free(struct reeve_double_barrier **bp)
{
    struct reeve_double_barrier *b = *bp;
    *bp = NULL;
    if (b) {
        kit_close(&b->o);
    }
}

// ---- calls --------------------------------------------------------------------------------------

static enum reeve_error begin(struct reeve_double_barrier *b, const struct double_call *call)
{
    if (b->o.closed) {
        return kit_why_closed(&b->o);
    }
    bool allowed =
        call->enter ? b->state == OUT && b->seat.state == KIT_SEAT_EMPTY : b->state == INSIDE;
    if (!allowed) {
        return REEVE_API_ERROR;
    }
    return call->timeout_ms >= 0 ? kit_start(&b->o, &b->timeout, call->timeout_ms, on_time, NULL)
                                 : REEVE_OK;
}

static void take_call(struct kit_object *o, void *arg)
{
    struct reeve_double_barrier *b = (struct reeve_double_barrier *)o;
    struct double_call call = *(struct double_call *)arg;
    kit_free(o->zk, arg);
    enum reeve_error e = begin(b, &call);
    if (e) {
        call.done(call.ctx, e);
        return;
    }
    b->done = call.done;
    b->ctx = call.ctx;
    b->state = call.enter ? ENTERING : LEAVING;
    look(b);
}

static enum reeve_error send_call(struct reeve_double_barrier *b, bool enter, int64_t timeout_ms,
                                  reeve_barrier_done_fn *done, void *ctx)
{
    struct double_call *call = kit_alloc(b->o.zk, sizeof(*call));
    if (!call) {
        return REEVE_NO_MEMORY;
    }
    *call = (struct double_call){enter, timeout_ms, done, ctx};
    enum reeve_error e = kit_send(&b->o, take_call, call);
    if (e) {
        kit_free(b->o.zk, call);
    }
    return e;
}

static enum reeve_error call_and_wait(struct reeve_double_barrier *b, bool enter,
                                      int64_t timeout_ms)
{
    struct kit_wait w;
    enum reeve_error e = kit_wait_new(b->o.zk, &w);
    return e ? e : kit_wait_end(&w, send_call(b, enter, timeout_ms, kit_wait_done, &w));
}

enum reeve_error reeve_double_barrier_enter_async(struct reeve_double_barrier *b,
                                                  int64_t timeout_ms, reeve_barrier_done_fn *done,
                                                  void *ctx)
{
    return send_call(b, true, timeout_ms, done, ctx);
}

enum reeve_error reeve_double_barrier_enter(struct reeve_double_barrier *b, int64_t timeout_ms)
{
    return call_and_wait(b, true, timeout_ms);
}

enum reeve_error reeve_double_barrier_leave_async(struct reeve_double_barrier *b,
                                                  int64_t timeout_ms, reeve_barrier_done_fn *done,
                                                  void *ctx)
{
    return send_call(b, false, timeout_ms, done, ctx);
}

enum reeve_error reeve_double_barrier_leave(struct reeve_double_barrier *b, int64_t timeout_ms)
{
    return call_and_wait(b, false, timeout_ms);
}
