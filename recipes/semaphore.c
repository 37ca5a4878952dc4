// SPDX-License-Identifier: Apache-2.0
//
// A lease as a kind of lock (lock_kind.h): a turn in line for the right to take one, then the lease
// itself, a seat of its own. Whoever has the turn counts the leases and watches them as long as
// there is no room; the turn ends as soon as the lease is held.
//
//     IDLE --begin--> [LIMIT] --> TRYING --> HELD
//                                    \--turn, seat or session gone--> AGAIN --> TRYING
//     every one --end--> ENDING --> IDLE
//
// TRYING is one function, step(), that is called whenever something has become known, and asks for
// what is not known yet. Curator's program makes its lease first and waits until it is among the
// first `limit`; kazoo's waits for room first and makes it then.
#include "reeve/semaphore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recipes/lock_kind.h"

enum sem_state { SEM_IDLE, SEM_LIMIT, SEM_TRYING, SEM_HELD, SEM_ENDING, SEM_AGAIN };
enum sem_room { ROOM_UNKNOWN, ROOM_NONE, ROOM_FREE };

struct sem {
    struct kit_object *o;
    const char *path;
    char *locks, *leases;
    int32_t limit;
    bool kazoo;
    const void *data;
    size_t data_len;
    const struct turn_hooks *up;
    void *arg;

    enum sem_state state;
    struct turn line;
    struct kit_seat lease;
    size_t asked;     // requests under way
    bool only_try;    // nobody is waited for
    bool limit_known; // kazoo: the path says the same
    enum sem_room room;
    bool counting;
    bool kids_watched;
    bool own_watched, own_asked;
    enum reeve_error ended;
    struct kit_timer again; // after NO_MEMORY while HELD
};

static void step(struct sem *s);
static void guard(struct sem *s);
static enum reeve_error start(struct sem *s);
static void on_kids(void *ctx, const struct reeve_event *ev);
static void on_own(void *ctx, const struct reeve_event *ev);

// ---- ends ---------------------------------------------------------------------------------------

static bool is_trying(const struct sem *s)
{
    return s->state == SEM_LIMIT || s->state == SEM_TRYING;
}

static bool quiet(const struct sem *s)
{
    return !s->asked && s->lease.state == KIT_SEAT_EMPTY && s->line.state == TURN_IDLE;
}

static void forget_kids(struct sem *s)
{
    if (s->kids_watched || s->counting) {
        reeve_unwatch(s->o->zk, s->leases, on_kids, s);
    }
    s->kids_watched = false;
    s->room = ROOM_UNKNOWN;
}

static void forget(struct sem *s)
{
    forget_kids(s);
    if (s->own_watched) {
        reeve_unwatch(s->o->zk, s->lease.path, on_own, s);
        s->own_watched = false;
    }
    kit_cancel(&s->again);
}

static void settle(struct sem *s)
{
    if ((s->state != SEM_ENDING && s->state != SEM_AGAIN) || !quiet(s)) {
        return;
    }
    forget(s);
    if (s->state == SEM_AGAIN && !s->o->closed) {
        s->state = SEM_IDLE;
        enum reeve_error e = start(s);
        if (!e) {
            return;
        }
        s->state = SEM_ENDING;
        s->up->failed(s->o, s->arg, e);
        if (s->state != SEM_ENDING) {
            return;
        }
    }
    s->state = SEM_IDLE;
    s->up->idle(s->o, s->arg, s->ended);
}

static void on_left(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    struct sem *s = arg;
    s->ended = e;
    settle(s);
}

static void leave(struct sem *s, enum sem_state state)
{
    s->state = state;
    s->ended = REEVE_OK;
    forget_kids(s);
    (void)kit_seat_leave(&s->lease, on_left, s);
    (void)turn_end(&s->line);
}

static void fail(struct sem *s, enum reeve_error e)
{
    leave(s, SEM_ENDING);
    s->up->failed(s->o, s->arg, e);
    settle(s);
}

static void again(struct sem *s)
{
    leave(s, SEM_AGAIN);
    settle(s);
}

static void lose(struct sem *s, enum reeve_error e)
{
    kit_seat_lost(&s->lease);
    leave(s, SEM_ENDING);
    s->up->lost(s->o, s->arg, e);
    settle(s);
}

static void gone(struct sem *s)
{
    if (s->state == SEM_HELD) {
        lose(s, REEVE_NO_NODE);
    } else if (is_trying(s)) {
        kit_seat_lost(&s->lease);
        again(s);
    }
}

// ---- requests -----------------------------------------------------------------------------------

static enum reeve_error ask(struct sem *s, const struct reeve_request *q, kit_result_fn *fn)
{
    enum reeve_error e = kit_submit(s->o, q, fn, s);
    s->asked += !e;
    return e;
}

// An answer has come. True: it is for the same round as when it was asked for.
static bool answered(struct sem *s)
{
    bool wanted = is_trying(s) || s->state == SEM_HELD;
    s->asked--;
    settle(s);
    return wanted;
}

static void on_error(struct sem *s, enum reeve_error e)
{
    if (e == REEVE_SESSION_EXPIRED) {
        again(s);
    } else {
        fail(s, e);
    }
}

// ---- our lease ----------------------------------------------------------------------------------

static void on_again(struct kit_object *o, void *arg)
{
    (void)o;
    guard(arg);
}

static void on_guarded(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct sem *s = arg;
    s->own_asked = false;
    s->own_watched |= r->watching;
    if (!answered(s)) {
        return;
    }
    if (r->error == REEVE_NO_NODE) {
        gone(s);
    } else if (kit_is_transient(r->error)) {
        guard(s);
    } else if (r->error && s->state != SEM_HELD) {
        on_error(s, r->error);
    } else if (r->error) {
        (void)kit_start(s->o, &s->again, KIT_AGAIN_MS, on_again, s);
    } else {
        step(s);
    }
}

// Somebody may delete our node: it is held only while that would be told.
static void guard(struct sem *s)
{
    if (s->own_asked || s->own_watched || s->lease.state != KIT_SEAT_TAKEN) {
        return;
    }
    struct reeve_request q = {
        .op = REEVE_OP_GET, .path = s->lease.path, .watch = {.fn = on_own, .ctx = s}};
    enum reeve_error e = ask(s, &q, on_guarded);
    s->own_asked = !e;
    if (e && s->state == SEM_HELD) {
        (void)kit_start(s->o, &s->again, KIT_AGAIN_MS, on_again, s);
    } else if (e) {
        fail(s, e);
    }
}

static void on_own(void *ctx, const struct reeve_event *ev)
{
    struct sem *s = ctx;
    s->own_watched = false;
    if (ev->type == REEVE_EVENT_DELETED) {
        gone(s);
    } else {
        guard(s);
    }
}

static void on_taken(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    struct sem *s = arg;
    if (s->state != SEM_TRYING) {
        settle(s);
    } else if (e) {
        on_error(s, e);
    } else {
        step(s);
    }
}

static void take(struct sem *s)
{
    struct reeve *zk = s->o->zk;
    char *name = s->kazoo ? kit_name_kazoo(zk, "") : kit_name_curator(zk, "lease-");
    unsigned flags = REEVE_EPHEMERAL | (s->kazoo ? 0 : REEVE_SEQUENTIAL);
    enum reeve_error e =
        kit_seat_take(&s->lease, s->leases, name, flags, s->data, s->data_len, on_taken, s);
    if (e) {
        on_error(s, e);
    }
}

// ---- the others' --------------------------------------------------------------------------------

static void on_twin_deleted(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct sem *s = arg;
    s->counting = false;
    if (!answered(s) || s->state != SEM_TRYING) {
        return;
    }
    if (r->error == REEVE_OK || r->error == REEVE_NO_NODE || kit_is_transient(r->error)) {
        step(s);
    } else {
        on_error(s, r->error);
    }
}

// A lease of ours that was made late; it is not to be counted, by nobody.
static void delete_twin(struct sem *s, const char *name)
{
    enum reeve_error e = kit_delete(s->o, s->leases, name, on_twin_deleted, s);
    s->asked += !e;
    s->counting = !e;
    if (e) {
        fail(s, e);
    }
}

static bool has(const struct reeve_result *r, const char *name)
{
    for (size_t i = 0; i < r->children_n; i++) {
        if (strcmp(r->children[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void on_counted(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct sem *s = arg;
    s->counting = false;
    s->kids_watched |= r->watching;
    if (!answered(s) || s->state != SEM_TRYING) {
        return;
    }
    bool ours = !s->kazoo && s->lease.state == KIT_SEAT_TAKEN;
    const char *twin = ours && !r->error ? kit_seat_twin(&s->lease, r) : NULL;
    if (twin) {
        delete_twin(s, twin);
    } else if (r->error == REEVE_OK && (!ours || has(r, kit_name(s->lease.path)))) {
        size_t others = r->children_n - ours;
        s->room = others < (size_t)s->limit ? ROOM_FREE : ROOM_NONE;
        step(s);
    } else if (r->error == REEVE_OK || r->error == REEVE_NO_NODE) {
        s->limit_known = false; // ours is not there, or the whole path
        again(s);
    } else if (kit_is_transient(r->error)) {
        step(s);
    } else {
        on_error(s, r->error);
    }
}

static void count(struct sem *s)
{
    if (s->counting || s->room != ROOM_UNKNOWN) {
        return;
    }
    struct reeve_request q = {
        .op = REEVE_OP_CHILDREN, .path = s->leases, .watch = {.fn = on_kids, .ctx = s}};
    enum reeve_error e = ask(s, &q, on_counted);
    s->counting = !e;
    if (e) {
        fail(s, e);
    }
}

static void on_kids(void *ctx, const struct reeve_event *ev)
{
    (void)ev;
    struct sem *s = ctx;
    s->kids_watched = false;
    s->room = ROOM_UNKNOWN;
    step(s);
}

// ---- trying -------------------------------------------------------------------------------------

static void hold(struct sem *s)
{
    s->state = SEM_HELD;
    forget_kids(s);
    (void)turn_end(&s->line);
    s->up->granted(s->o, s->arg);
}

static void step(struct sem *s)
{
    if (s->state != SEM_TRYING || s->line.state != TURN_HELD) {
        return;
    }
    if (s->room == ROOM_NONE && s->only_try) {
        fail(s, REEVE_OPERATION_TIMEOUT);
        return;
    }
    bool may_take = !s->kazoo || s->room == ROOM_FREE;
    if (s->lease.state == KIT_SEAT_EMPTY && may_take) {
        take(s);
    } else if (s->lease.state == KIT_SEAT_TAKEN) {
        guard(s);
    }
    bool must_count = s->kazoo ? s->lease.state == KIT_SEAT_EMPTY : s->own_asked || s->own_watched;
    if (s->state == SEM_TRYING && must_count) {
        count(s);
    }
    if (s->state == SEM_TRYING && s->own_watched && (s->kazoo || s->room == ROOM_FREE)) {
        hold(s);
    }
}

static void on_line_granted(struct kit_object *o, void *arg)
{
    (void)o;
    step(arg);
}

static void on_line_failed(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    struct sem *s = arg;
    if (is_trying(s)) {
        fail(s, e);
    }
}

static void on_line_lost(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    struct sem *s = arg;
    if (is_trying(s)) {
        e == REEVE_CLOSED || e == REEVE_AUTH_FAILED ? fail(s, e) : again(s);
    }
}

static void on_line_idle(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    (void)e;
    settle(arg);
}

static const struct turn_hooks line_hooks = {on_line_granted, on_line_failed, on_line_lost,
                                             on_line_idle};

// ---- kazoo's limit ------------------------------------------------------------------------------

static void read_limit(struct sem *s);

static void stand_in_line(struct sem *s)
{
    s->limit_known = true;
    s->state = SEM_TRYING;
    enum reeve_error e = turn_begin(&s->line, s->only_try);
    if (e) {
        on_error(s, e);
    }
}

static void on_limit_set(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct sem *s = arg;
    if (!answered(s)) {
        return;
    }
    if (r->error == REEVE_OK) {
        stand_in_line(s);
    } else if (r->error == REEVE_BAD_VERSION || kit_is_transient(r->error)) {
        read_limit(s);
    } else {
        on_error(s, r->error);
    }
}

static void write_limit(struct sem *s, int32_t version)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", s->limit);
    struct reeve_request q = {.op = REEVE_OP_SET,
                              .path = s->path,
                              .data = text,
                              .data_len = (size_t)n,
                              .version = version};
    enum reeve_error e = ask(s, &q, on_limit_set);
    if (e) {
        fail(s, e);
    }
}

static void on_limit(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct sem *s = arg;
    if (!answered(s)) {
        return;
    }
    if (r->error == REEVE_NO_NODE) {
        again(s);
        return;
    }
    if (r->error) {
        kit_is_transient(r->error) ? read_limit(s) : on_error(s, r->error);
        return;
    }
    if (!r->data_len) {
        write_limit(s, r->stat.version);
        return;
    }
    char *end;
    long there = strtol(r->data, &end, 10);
    if (*end == 0 && there != s->limit) { // what is no number is somebody else's business
        fail(s, REEVE_BAD_ARGUMENTS);
    } else {
        stand_in_line(s);
    }
}

static void read_limit(struct sem *s)
{
    struct reeve_request q = {.op = REEVE_OP_GET, .path = s->path};
    enum reeve_error e = ask(s, &q, on_limit);
    if (e) {
        fail(s, e);
    }
}

static void on_path(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    struct sem *s = arg;
    if (!answered(s)) {
        return;
    }
    if (e) {
        on_error(s, e);
    } else {
        read_limit(s);
    }
}

// ---- as a kind of lock --------------------------------------------------------------------------

static enum reeve_error start(struct sem *s)
{
    if (!s->kazoo || s->limit_known) {
        enum reeve_error e = turn_begin(&s->line, s->only_try);
        s->state = e ? SEM_IDLE : SEM_TRYING;
        return e;
    }
    enum reeve_error e = kit_ensure_plain(s->o, s->path, on_path, s);
    s->asked += !e;
    s->state = e ? SEM_IDLE : SEM_LIMIT;
    return e;
}

static enum reeve_error sem_init(void *m, struct kit_object *o, const struct lock_setup *setup,
                                 const struct turn_hooks *up, void *arg)
{
    static const struct turn_rule rules[] = {
        [REEVE_LAYOUT_CURATOR] = {false, "lock-", {"lock-"}, 1},
        [REEVE_LAYOUT_KAZOO] = {true, "__lock__", {"__lock__"}, 1},
    };
    struct sem *s = m;
    s->o = o;
    s->path = setup->path;
    s->limit = setup->limit;
    s->kazoo = *(const enum reeve_layout *)setup->rule == REEVE_LAYOUT_KAZOO;
    s->data = setup->data;
    s->data_len = setup->data_len;
    s->up = up;
    s->arg = arg;
    s->leases = s->kazoo ? kit_str(o->zk, s->path) : kit_join(o->zk, s->path, "leases");
    s->locks = kit_alloc(o->zk, strlen(s->path) + sizeof("-__lock__"));
    if (s->locks) {
        memcpy(s->locks, s->path, strlen(s->path));
        memcpy(s->locks + strlen(s->path), s->kazoo ? "-__lock__" : "/locks",
               s->kazoo ? sizeof("-__lock__") : sizeof("/locks"));
    }
    turn_init(&s->line, o, s->locks, &rules[s->kazoo], &line_hooks, s);
    kit_seat_init(&s->lease, o);
    s->lease.plain_parents = s->kazoo;
    if (s->kazoo) {
        turn_set_data(&s->line, s->data, s->data_len);
    }
    return s->leases && s->locks ? REEVE_OK : REEVE_NO_MEMORY;
}

static void sem_fini(void *m)
{
    struct sem *s = m;
    if (!s->o) {
        return;
    }
    turn_fini(&s->line);
    kit_seat_fini(&s->lease);
    kit_free(s->o->zk, s->locks);
    kit_free(s->o->zk, s->leases);
}

static enum reeve_error sem_begin(void *m, bool only_try)
{
    struct sem *s = m;
    s->only_try = only_try;
    s->ended = REEVE_OK;
    return start(s);
}

static bool sem_end(void *m)
{
    struct sem *s = m;
    if (s->state == SEM_AGAIN) {
        s->state = SEM_ENDING;
    } else if (s->state != SEM_IDLE && s->state != SEM_ENDING) {
        leave(s, SEM_ENDING);
    }
    if (s->state == SEM_ENDING && quiet(s)) {
        forget(s);
        s->state = SEM_IDLE;
    }
    return s->state != SEM_IDLE;
}

static void sem_poke(void *m)
{
    struct sem *s = m;
    turn_poke(&s->line);
    kit_seat_poke(&s->lease);
    guard(s);
    settle(s);
}

// The user is told before anything else.
static void sem_on_session(void *m, const struct reeve_session *session)
{
    struct sem *s = m;
    bool ended = session->state == REEVE_STATE_ENDED;
    bool refused = session->state == REEVE_STATE_AUTH_FAILED;
    if (ended || refused || session->state == REEVE_STATE_LOST) {
        if (s->state == SEM_HELD) {
            lose(s, ended ? REEVE_CLOSED : refused ? REEVE_AUTH_FAILED : REEVE_SESSION_EXPIRED);
        } else {
            kit_seat_lost(&s->lease);
        }
    }
    turn_on_session(&s->line, session);
    sem_poke(s);
}

static bool sem_is_idle(const void *m)
{
    return ((const struct sem *)m)->state == SEM_IDLE;
}

static int64_t sem_token(const void *m)
{
    const struct sem *s = m;
    return s->state == SEM_HELD ? s->lease.czxid : 0;
}

static const struct lock_kind kind = {.size = sizeof(struct sem),
                                      .init = sem_init,
                                      .begin = sem_begin,
                                      .end = sem_end,
                                      .on_session = sem_on_session,
                                      .poke = sem_poke,
                                      .fini = sem_fini,
                                      .is_idle = sem_is_idle,
                                      .token = sem_token};

enum reeve_error reeve_semaphore_new(struct reeve_lock **lease, struct reeve *zk, const char *path,
                                     int32_t limit, const struct reeve_lock_options *options)
{
    struct reeve_lock_options none = {.layout = REEVE_LAYOUT_CURATOR};
    const struct reeve_lock_options *o = options ? options : &none;
    *lease = NULL;
    if (o->layout > REEVE_LAYOUT_KAZOO || limit < 1 || (path && strcmp(path, "/") == 0)) {
        return REEVE_BAD_ARGUMENTS;
    }
    bool kazoo = o->layout == REEVE_LAYOUT_KAZOO;
    struct lock_wish wish = {.kind = &kind,
                             .rule = &o->layout,
                             .limit = limit,
                             .list_below = kazoo ? NULL : "leases",
                             .list = {.shared = -1}};
    return lock_make(lease, zk, path, o, &wish);
}
