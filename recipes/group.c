// SPDX-License-Identifier: Apache-2.0
//
// struct reeve_group: a seat (kit.h) that is taken again whenever it is gone, as long as `member`,
// and a list that follows (group_watch.h).
//
//     OUT --join--> TAKING --> IN --leave--> LEAVING --> OUT
//                      \--another session has the name--> WAITING --it goes--> TAKING
//     IN --session or node gone--> TAKING (with the next session)
//     IN --node is another session's--> WAITING
//
// Data: `data` is what the user wants, `made` what the seat was made with; one write at a time
// brings the node from one to the other, and answers all who asked until it was sent.
#include "reeve/group.h"

#include <string.h>

#include "recipes/group_watch.h"

struct waiter {
    struct waiter *next;
    reeve_group_fn *done;
    void *ctx;
    uint64_t version;   // set_data: of their data
    int64_t timeout_ms; // join
    void *data;         // set_data, on its way to the loop
    size_t data_len;
};

enum group_state { GROUP_OUT, GROUP_TAKING, GROUP_WAITING, GROUP_IN, GROUP_LEAVING };

struct reeve_group {
    struct kit_object o;
    char *path, *id;
    enum reeve_layout layout;
    void (*failed)(void *ctx, enum reeve_error why);
    void *ctx;
    struct group_watch watch;
    enum group_state state;
    bool member; // joined and not left
    struct kit_seat seat;
    char *node;       // CURATOR: our node's path, from the beginning
    bool own_watched; // the watch on it stands
    size_t asked;     // requests about our node under way
    struct waiter *joining, *leaving, *setting;
    struct kit_timer timeout, again;
    void *data, *made;
    size_t data_len;
    uint64_t version, written; // of data; of what the node has
    bool writing;
};

static const char *const party[] = {"__party__"};

static void take(struct reeve_group *g);
static void guard(struct reeve_group *g);
static void write_data(struct reeve_group *g);
static void on_own(void *ctx, const struct reeve_event *ev);

// ---- those who wait -----------------------------------------------------------------------------

static void end_waiter(struct reeve_group *g, struct waiter *w, enum reeve_error e)
{
    struct waiter own = *w;
    kit_free(g->o.zk, w->data);
    kit_free(g->o.zk, w);
    own.done(own.ctx, e);
}

// Those of the list whose version is not above `version`.
static void end_waiters(struct reeve_group *g, struct waiter **list, uint64_t version,
                        enum reeve_error e)
{
    struct waiter *all = *list;
    *list = NULL; // callbacks may add new ones
    while (all) {
        struct waiter *w = all;
        all = w->next;
        if (w->version <= version) {
            end_waiter(g, w, e);
        } else {
            w->next = *list;
            *list = w;
        }
    }
}

static void end_joining(struct reeve_group *g, enum reeve_error e)
{
    kit_cancel(&g->timeout);
    end_waiters(g, &g->joining, UINT64_MAX, e);
}

// ---- our node -----------------------------------------------------------------------------------

static void forget_own(struct reeve_group *g)
{
    if (g->own_watched || g->asked) {
        reeve_unwatch(g->o.zk, g->node ? g->node : g->seat.path, on_own, g);
        g->own_watched = false;
    }
}

static void out(struct reeve_group *g, enum reeve_error e)
{
    g->state = GROUP_OUT;
    end_waiters(g, &g->setting, UINT64_MAX, g->o.closed ? kit_why_closed(&g->o) : REEVE_OK);
    end_waiters(g, &g->leaving, UINT64_MAX, e);
    if (g->member && !g->o.closed) {
        take(g); // joined again while it was leaving
    }
}

static void on_left(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    struct reeve_group *g = arg;
    if (g->state == GROUP_LEAVING) {
        out(g, e);
    } else if (g->member) {
        take(g);
    }
}

static void leave(struct reeve_group *g)
{
    bool had = g->state != GROUP_OUT;
    forget_own(g);
    kit_cancel(&g->again);
    g->state = GROUP_LEAVING;
    if (!kit_seat_leave(&g->seat, on_left, g)) {
        out(g, had ? REEVE_OK : REEVE_NO_NODE);
    }
}

static void fail(struct reeve_group *g, enum reeve_error e)
{
    g->member = false;
    if (g->failed && !kit_is_closing(&g->o)) {
        g->failed(g->ctx, e);
    }
    end_joining(g, e);
    end_waiters(g, &g->setting, UINT64_MAX, e);
    leave(g);
}

static void on_again(struct kit_object *o, void *arg)
{
    (void)o;
    struct reeve_group *g = arg;
    if (g->state == GROUP_IN) {
        guard(g);
        write_data(g);
    } else if (g->member && g->state == GROUP_TAKING && g->seat.state == KIT_SEAT_EMPTY) {
        take(g);
    } else if (g->state == GROUP_WAITING) {
        guard(g);
    }
}

static void later(struct reeve_group *g)
{
    (void)kit_start(&g->o, &g->again, KIT_AGAIN_MS, on_again, g); // else the next call or state
}

static void on_error(struct reeve_group *g, enum reeve_error e)
{
    if (kit_is_for_now(e) || e == REEVE_SESSION_EXPIRED) {
        later(g);
    } else {
        fail(g, e);
    }
}

static void on_taken(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    struct reeve_group *g = arg;
    if (g->state != GROUP_TAKING) {
        return;
    }
    if (e == REEVE_NODE_EXISTS) {
        g->state = GROUP_WAITING;
        guard(g);
    } else if (e) {
        on_error(g, e);
    } else {
        g->state = GROUP_IN;
        guard(g);
        end_joining(g, REEVE_OK);
        write_data(g);
    }
}

static void take(struct reeve_group *g)
{
    struct reeve *zk = g->o.zk;
    g->state = GROUP_TAKING;
    void *made = kit_bytes(zk, g->data, g->data_len);
    char *name =
        g->layout == REEVE_LAYOUT_KAZOO ? kit_name_kazoo(zk, party[0]) : kit_str(zk, g->id);
    if (!made || !name) {
        kit_free(zk, made);
        kit_free(zk, name);
        on_error(g, REEVE_NO_MEMORY);
        return;
    }
    kit_free(zk, g->made);
    g->made = made;
    g->written = g->version;
    enum reeve_error e =
        kit_seat_take(&g->seat, g->path, name, REEVE_EPHEMERAL, made, g->data_len, on_taken, g);
    if (e == REEVE_SESSION_EXPIRED) {
        fail(g, e); // there will be no other
    } else if (e) {
        on_error(g, e);
    }
}

// It is gone, and is made again.
static void gone(struct reeve_group *g)
{
    if (g->state == GROUP_IN || g->state == GROUP_WAITING) {
        forget_own(g);
        kit_seat_lost(&g->seat);
        take(g);
    }
}

static void on_guarded(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct reeve_group *g = arg;
    g->asked--;
    g->own_watched |= r->watching;
    if (g->state != GROUP_IN && g->state != GROUP_WAITING) {
        return;
    }
    bool ours = g->state == GROUP_IN && r->stat.czxid == g->seat.czxid;
    if (r->error == REEVE_OK && g->state == GROUP_IN && !ours) {
        kit_seat_lost(&g->seat); // another one has the name since; a change's event hid the end
        g->state = GROUP_WAITING;
    } else if (r->error == REEVE_NO_NODE) {
        gone(g);
    } else if (kit_is_transient(r->error) || r->error == REEVE_SESSION_EXPIRED) {
        guard(g); // asked in a session that is over
    } else if (kit_is_for_now(r->error)) {
        later(g);
    } else if (r->error) {
        fail(g, r->error);
    }
}

// IN: tells when somebody deletes our node. WAITING: when the other one has gone.
static void guard(struct reeve_group *g)
{
    if (g->own_watched || g->asked) {
        return;
    }
    struct reeve_request q = {.op = REEVE_OP_GET,
                              .path = g->node ? g->node : g->seat.path,
                              .watch = {.fn = on_own, .ctx = g}};
    enum reeve_error e = kit_submit(&g->o, &q, on_guarded, g);
    g->asked += !e;
    if (e) {
        later(g);
    }
}

static void on_own(void *ctx, const struct reeve_event *ev)
{
    struct reeve_group *g = ctx;
    g->own_watched = false;
    if (ev->type == REEVE_EVENT_DELETED) {
        gone(g);
    } else if (g->state == GROUP_IN || g->state == GROUP_WAITING) {
        guard(g);
    }
}

// ---- data ---------------------------------------------------------------------------------------

struct writing {
    struct reeve_group *g;
    uint64_t version;
};

static void on_written(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct writing w = *(struct writing *)arg;
    struct reeve_group *g = w.g;
    kit_free(o->zk, arg);
    g->writing = false;
    if (g->state != GROUP_IN) {
        return;
    }
    if (r->error == REEVE_OK) {
        g->written = w.version;
        end_waiters(g, &g->setting, w.version, REEVE_OK);
    } else if (!kit_is_transient(r->error) && r->error != REEVE_NO_NODE &&
               r->error != REEVE_NO_MEMORY && r->error != REEVE_SESSION_EXPIRED) {
        g->written = w.version; // refused, and would be again
        end_waiters(g, &g->setting, w.version, r->error);
    } else if (r->error == REEVE_NO_NODE) {
        return; // it is about to be made again, with the data
    } else if (r->error == REEVE_NO_MEMORY) {
        later(g);
        return;
    }
    write_data(g);
}

static void write_data(struct reeve_group *g)
{
    if (g->state != GROUP_IN || g->writing) {
        return;
    }
    end_waiters(g, &g->setting, g->written, REEVE_OK);
    if (g->written == g->version) {
        return;
    }
    struct writing *w = kit_alloc(g->o.zk, sizeof(*w));
    enum reeve_error e = REEVE_NO_MEMORY;
    if (w) {
        *w = (struct writing){g, g->version};
        struct reeve_request q = {.op = REEVE_OP_SET,
                                  .path = g->seat.path,
                                  .data = g->data,
                                  .data_len = g->data_len,
                                  .version = REEVE_ANY_VERSION};
        e = kit_submit(&g->o, &q, on_written, w);
    }
    g->writing = !e;
    if (e) {
        kit_free(g->o.zk, w);
    }
    if (e == REEVE_NO_MEMORY) {
        later(g);
    } else if (e) {
        g->written = g->version; // refused, and would be again
        end_waiters(g, &g->setting, g->written, e);
    }
}

// ---- life ---------------------------------------------------------------------------------------

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    struct reeve_group *g = (struct reeve_group *)o;
    bool over = s->state == REEVE_STATE_AUTH_FAILED || s->state == REEVE_STATE_ENDED;
    if (over || s->state == REEVE_STATE_LOST) {
        kit_seat_lost(&g->seat);
    }
    if (over && g->member) {
        fail(g, s->state == REEVE_STATE_ENDED ? REEVE_CLOSED : REEVE_AUTH_FAILED);
    } else if (s->state == REEVE_STATE_LOST) {
        gone(g);
    }
    kit_seat_poke(&g->seat);
    on_again(o, g);
    group_watch_on_session(&g->watch, s);
}

static void on_close(struct kit_object *o)
{
    struct reeve_group *g = (struct reeve_group *)o;
    g->member = false;
    group_watch_close(&g->watch);
    end_joining(g, kit_why_closed(o));
    end_waiters(g, &g->setting, UINT64_MAX, kit_why_closed(o));
    if (g->state != GROUP_OUT && g->state != GROUP_LEAVING) {
        leave(g);
    }
    kit_seat_poke(&g->seat);
}

static void fini(struct kit_object *o)
{
    struct reeve_group *g = (struct reeve_group *)o;
    group_watch_fini(&g->watch);
    if (g->seat.o) {
        kit_seat_fini(&g->seat);
    }
    kit_free(o->zk, g->path);
    kit_free(o->zk, g->id);
    kit_free(o->zk, g->node);
    kit_free(o->zk, g->data);
    kit_free(o->zk, g->made);
}

static const struct kit_class class = {sizeof(struct reeve_group), on_session, on_close, fini};

static struct lock_list_want members(const struct reeve_group *g)
{
    bool kazoo = g->layout == REEVE_LAYOUT_KAZOO;
    return (struct lock_list_want){
        .path = g->path, .ending = kazoo ? party[0] : NULL, .shared = -1};
}

static enum reeve_error fill(struct reeve_group *g, const char *path,
                             const struct reeve_group_options *o)
{
    struct reeve *zk = g->o.zk;
    bool curator = o->layout == REEVE_LAYOUT_CURATOR;
    kit_seat_init(&g->seat, &g->o);
    g->seat.plain_parents = !curator;
    g->layout = o->layout;
    g->failed = o->failed;
    g->ctx = o->ctx;
    g->path = kit_str(zk, path);
    g->data = kit_bytes(zk, o->data, o->data_len);
    g->data_len = o->data_len;
    g->id = o->id ? kit_str(zk, o->id) : NULL;
    g->node = o->id && curator ? kit_join(zk, path, o->id) : NULL;
    if (!g->path || !g->data || (o->id && !g->id) || (o->id && curator && !g->node)) {
        return REEVE_NO_MEMORY;
    }
    struct lock_list_want want = members(g);
    if (o->on_members) {
        group_watch_init(&g->watch, &g->o, &want, o->on_members, o->ctx);
    }
    enum reeve_error e = kit_set_acl(&g->o, o->acl, o->acl_n);
    return e ? e : kit_open(&g->o);
}

enum reeve_error reeve_group_new(struct reeve_group **out, struct reeve *zk, const char *path,
                                 const struct reeve_group_options *options)
{
    struct reeve_group_options none = {.layout = REEVE_LAYOUT_CURATOR};
    const struct reeve_group_options *o = options ? options : &none;
    *out = NULL;
    if (!kit_path_ok(path) || o->layout > REEVE_LAYOUT_KAZOO || (o->id && !kit_name_ok(o->id)) ||
        (!o->data && o->data_len)) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &class, &object);
    if (e) {
        return e;
    }
    e = fill((struct reeve_group *)object, path, o);
    if (e) {
        kit_undo(object);
        return e;
    }
    *out = (struct reeve_group *)object;
    return REEVE_OK;
}

void reeve_group_free(struct reeve_group **gp)
{
    struct reeve_group *g = *gp;
    *gp = NULL;
    if (g) {
        kit_close(&g->o);
    }
}

// ---- join, leave, set data ----------------------------------------------------------------------

static void nobody(void *ctx, enum reeve_error e)
{
    (void)ctx;
    (void)e;
}

static enum reeve_error send(struct reeve_group *g, kit_fn *fn, struct waiter *w,
                             reeve_group_fn *done, void *ctx)
{
    if (!w) {
        return REEVE_NO_MEMORY;
    }
    w->done = done ? done : nobody;
    w->ctx = ctx;
    enum reeve_error e = kit_send(&g->o, fn, w);
    if (e) {
        kit_free(g->o.zk, w->data);
        kit_free(g->o.zk, w);
    }
    return e;
}

static void on_timeout(struct kit_object *o, void *arg)
{
    (void)o;
    struct reeve_group *g = arg;
    g->member = false;
    leave(g);
    end_joining(g, REEVE_OPERATION_TIMEOUT);
}

static void on_join(struct kit_object *o, void *arg)
{
    struct reeve_group *g = (struct reeve_group *)o;
    struct waiter *w = arg;
    bool nameless = !g->id && g->layout == REEVE_LAYOUT_CURATOR;
    kit_seat_poke(&g->seat);
    enum reeve_error e = o->closed               ? kit_why_closed(o)
                         : nameless || g->member ? REEVE_BAD_ARGUMENTS
                         : w->timeout_ms < 0
                             ? REEVE_OK
                             : kit_start(o, &g->timeout, w->timeout_ms, on_timeout, g);
    if (e) {
        end_waiter(g, w, e);
        return;
    }
    g->member = true;
    w->next = g->joining;
    g->joining = w;
    if (g->state == GROUP_OUT) {
        take(g);
    }
}

enum reeve_error reeve_group_join_async(struct reeve_group *g, int64_t timeout_ms,
                                        reeve_group_fn *done, void *ctx)
{
    struct waiter *w = kit_alloc(g->o.zk, sizeof(*w));
    if (w) {
        w->timeout_ms = timeout_ms;
    }
    return send(g, on_join, w, done, ctx);
}

enum reeve_error reeve_group_join(struct reeve_group *g, int64_t timeout_ms)
{
    struct kit_wait w;
    enum reeve_error e = kit_wait_new(g->o.zk, &w);
    return e ? e : kit_wait_end(&w, reeve_group_join_async(g, timeout_ms, kit_wait_done, &w));
}

static void on_leave(struct kit_object *o, void *arg)
{
    struct reeve_group *g = (struct reeve_group *)o;
    struct waiter *w = arg;
    kit_seat_poke(&g->seat);
    if (g->state == GROUP_OUT) {
        end_waiter(g, w, REEVE_NO_NODE);
        return;
    }
    g->member = false;
    w->next = g->leaving;
    g->leaving = w;
    end_joining(g, REEVE_CANCELLED);
    if (g->state != GROUP_LEAVING) {
        leave(g);
    }
}

enum reeve_error reeve_group_leave_async(struct reeve_group *g, reeve_group_fn *done, void *ctx)
{
    return send(g, on_leave, kit_alloc(g->o.zk, sizeof(struct waiter)), done, ctx);
}

enum reeve_error reeve_group_leave(struct reeve_group *g)
{
    struct kit_wait w;
    enum reeve_error e = kit_wait_new(g->o.zk, &w);
    return e ? e : kit_wait_end(&w, reeve_group_leave_async(g, kit_wait_done, &w));
}

static void on_set_data(struct kit_object *o, void *arg)
{
    struct reeve_group *g = (struct reeve_group *)o;
    struct waiter *w = arg;
    if (o->closed) {
        end_waiter(g, w, kit_why_closed(o));
        return;
    }
    kit_free(o->zk, g->data);
    g->data = w->data;
    g->data_len = w->data_len;
    w->data = NULL;
    w->version = ++g->version;
    if (!g->member) {
        end_waiter(g, w, REEVE_OK);
        return;
    }
    w->next = g->setting;
    g->setting = w;
    write_data(g);
}

enum reeve_error reeve_group_set_data_async(struct reeve_group *g, const void *data, size_t n,
                                            reeve_group_fn *done, void *ctx)
{
    struct waiter *w = kit_alloc(g->o.zk, sizeof(*w));
    if (w) {
        w->data = kit_bytes(g->o.zk, data, n);
        w->data_len = n;
        if (!w->data) {
            kit_free(g->o.zk, w);
            w = NULL;
        }
    }
    return send(g, on_set_data, w, done, ctx);
}

enum reeve_error reeve_group_set_data(struct reeve_group *g, const void *data, size_t n)
{
    struct kit_wait w;
    enum reeve_error e = kit_wait_new(g->o.zk, &w);
    return e ? e : kit_wait_end(&w, reeve_group_set_data_async(g, data, n, kit_wait_done, &w));
}

// ---- members ------------------------------------------------------------------------------------

enum reeve_error reeve_group_members_async(struct reeve_group *g, reeve_contenders_fn *done,
                                           void *ctx)
{
    struct lock_list_want want = members(g);
    return lock_list_async(&g->o, &want, done, ctx);
}

enum reeve_error reeve_group_members(struct reeve_group *g, struct reeve_contenders **list)
{
    struct lock_list_want want = members(g);
    return lock_list_wait(&g->o, &want, list);
}
