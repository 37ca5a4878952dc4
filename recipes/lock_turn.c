// SPDX-License-Identifier: Apache-2.0
#include "recipes/lock_turn.h"

#include <string.h>

#include "recipes/lock_kind.h"

static void look(struct turn *t);
static void ask_own(struct turn *t);
static void on_before(void *ctx, const struct reeve_event *ev);
static void on_own(void *ctx, const struct reeve_event *ev);

// ---- ends ---------------------------------------------------------------------------------------

static bool is_trying(const struct turn *t)
{
    return t->state == TURN_SEATING || t->state == TURN_LOOKING || t->state == TURN_WAITING;
}

// The watch stays until there is another one, for its path is ours to free only then.
static void forget_before(struct turn *t)
{
    if (t->before) {
        reeve_unwatch(t->o->zk, t->before, on_before, t);
        kit_free(t->o->zk, t->before);
        t->before = NULL;
    }
    t->before_watched = false;
}

static void forget_own(struct turn *t)
{
    if (t->own_watched || t->own_asked) {
        reeve_unwatch(t->o->zk, t->seat.path, on_own, t);
        t->own_watched = false;
    }
}

static enum reeve_error sit(struct turn *t);

static bool quiet(const struct turn *t)
{
    return !t->asked && t->seat.state == KIT_SEAT_EMPTY;
}

static void forget(struct turn *t)
{
    forget_own(t);
    forget_before(t);
    kit_cancel(&t->again);
}

// ENDING and AGAIN come to their end when nothing is under way any more.
static void settle(struct turn *t)
{
    if ((t->state != TURN_ENDING && t->state != TURN_AGAIN) || !quiet(t)) {
        return;
    }
    forget(t);
    if (t->state == TURN_AGAIN && !t->o->closed) {
        t->state = TURN_IDLE;
        enum reeve_error e = sit(t);
        if (!e) {
            return;
        }
        t->state = TURN_ENDING;
        t->hooks->failed(t->o, t->arg, e);
        if (t->state != TURN_ENDING) {
            return; // ended, and perhaps begun anew, by who was told
        }
    }
    t->state = TURN_IDLE;
    t->hooks->idle(t->o, t->arg, t->ended);
}

static void on_left(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    struct turn *t = arg;
    t->ended = e;
    settle(t);
}

static void leave(struct turn *t, enum turn_state state)
{
    t->state = state;
    t->ended = REEVE_OK;
    forget_before(t);
    (void)kit_seat_leave(&t->seat, on_left, t);
}

static void fail(struct turn *t, enum reeve_error e)
{
    leave(t, TURN_ENDING);
    t->hooks->failed(t->o, t->arg, e);
    settle(t);
}

// Our place in the line is gone, and so we stand in line again.
static void again(struct turn *t)
{
    leave(t, TURN_AGAIN);
    settle(t);
}

static void lose(struct turn *t, enum reeve_error e)
{
    kit_seat_lost(&t->seat);
    leave(t, TURN_ENDING);
    t->hooks->lost(t->o, t->arg, e);
    settle(t);
}

static void gone(struct turn *t)
{
    if (t->state == TURN_HELD) {
        lose(t, REEVE_NO_NODE);
    } else if (is_trying(t)) {
        kit_seat_lost(&t->seat);
        again(t);
    }
}

// ---- requests -----------------------------------------------------------------------------------

static enum reeve_error ask(struct turn *t, const struct reeve_request *q, kit_result_fn *fn)
{
    enum reeve_error e = kit_submit(t->o, q, fn, t);
    t->asked += !e;
    return e;
}

// An answer has come. True: the turn is in the same round as when it asked.
static bool answered(struct turn *t)
{
    bool wanted = is_trying(t) || t->state == TURN_HELD;
    t->asked--;
    settle(t);
    return wanted;
}

// What errors mean that are nobody's own.
static void on_error(struct turn *t, enum reeve_error e)
{
    if (e == REEVE_SESSION_EXPIRED) {
        kit_seat_lost(&t->seat);
        again(t);
    } else {
        fail(t, e);
    }
}

// ---- our own node -------------------------------------------------------------------------------

static void grant(struct turn *t)
{
    if (t->state == TURN_LOOKING && t->looked && t->own_watched) {
        t->state = TURN_HELD;
        t->hooks->granted(t->o, t->arg);
    }
}

static void on_again(struct kit_object *o, void *arg)
{
    (void)o;
    ask_own(arg);
}

static void on_own_got(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct turn *t = arg;
    t->own_asked = false;
    t->own_watched |= r->watching;
    if (!answered(t)) {
        return;
    }
    if (r->error == REEVE_OK) {
        grant(t);
    } else if (r->error == REEVE_NO_NODE) {
        gone(t);
    } else if (kit_is_transient(r->error)) {
        ask_own(t);
    } else if (t->state != TURN_HELD) {
        on_error(t, r->error);
    } else {
        (void)kit_start(t->o, &t->again, KIT_AGAIN_MS, on_again, t);
    }
}

// While it is HELD there is nobody who waits for an error: without memory it is tried again.
static void ask_own(struct turn *t)
{
    if (t->own_asked || t->own_watched || t->seat.state != KIT_SEAT_TAKEN) {
        return;
    }
    struct reeve_request q = {
        .op = REEVE_OP_GET, .path = t->seat.path, .watch = {.fn = on_own, .ctx = t}};
    enum reeve_error e = ask(t, &q, on_own_got);
    t->own_asked = !e;
    if (e && t->state == TURN_HELD) {
        (void)kit_start(t->o, &t->again, KIT_AGAIN_MS, on_again, t);
    } else if (e) {
        fail(t, e);
    }
}

static void on_own(void *ctx, const struct reeve_event *ev)
{
    struct turn *t = ctx;
    t->own_watched = false;
    if (ev->type == REEVE_EVENT_DELETED) {
        gone(t);
    } else {
        ask_own(t);
    }
}

// ---- who is before us ---------------------------------------------------------------------------

static void on_before_got(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct turn *t = arg;
    t->before_watched |= r->watching;
    if (!answered(t)) {
        return;
    }
    if (r->error == REEVE_OK && t->state == TURN_LOOKING) {
        t->state = TURN_WAITING;
    } else if (r->error == REEVE_NO_NODE || kit_is_transient(r->error)) {
        look(t);
    } else if (r->error) {
        on_error(t, r->error);
    }
}

// getData instead of exists: a node that is gone must not leave a watch behind.
static void watch_before(struct turn *t)
{
    struct reeve_request q = {
        .op = REEVE_OP_GET, .path = t->before, .watch = {.fn = on_before, .ctx = t}};
    enum reeve_error e = ask(t, &q, on_before_got);
    if (e) {
        fail(t, e);
    }
}

static void on_before(void *ctx, const struct reeve_event *ev)
{
    struct turn *t = ctx;
    t->before_watched = false;
    if (t->state != TURN_WAITING) {
        return;
    }
    t->state = TURN_LOOKING;
    if (ev->type == REEVE_EVENT_CHANGED) {
        watch_before(t);
    } else {
        look(t);
    }
}

// Whether a seat blocks us, and its number.
static bool blocks(const struct turn *t, const char *name, int32_t *seq)
{
    for (size_t i = 0; i < t->rule->blocks_n; i++) {
        if (kit_seq(name, t->rule->blocks[i], seq)) {
            return true;
        }
    }
    return false;
}

// The youngest of those that are older than we. *found: our own seat is there.
static const char *find_before(const struct turn *t, const struct reeve_result *r, bool *found)
{
    const char *own_name = kit_name(t->seat.path);
    const char *before = NULL;
    int32_t own = 0;
    int32_t before_seq = 0;
    *found = false;
    if (!kit_seq(own_name, t->rule->marker, &own)) {
        return NULL;
    }
    for (size_t i = 0; i < r->children_n; i++) {
        const char *name = r->children[i];
        int32_t seq;
        if (strcmp(name, own_name) == 0) {
            *found = true;
        } else if (blocks(t, name, &seq) && kit_seq_cmp(seq, own) < 0 &&
                   (!before || kit_seq_cmp(seq, before_seq) > 0)) {
            before = name;
            before_seq = seq;
        }
    }
    return before;
}

static void stand_behind(struct turn *t, const char *name)
{
    if (t->only_try) {
        fail(t, REEVE_OPERATION_TIMEOUT);
        return;
    }
    forget_before(t);
    t->before = kit_join(t->o->zk, t->path, name);
    if (t->before) {
        watch_before(t);
    } else {
        fail(t, REEVE_NO_MEMORY);
    }
}

static void on_twin_deleted(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct turn *t = arg;
    if (!answered(t) || t->state != TURN_LOOKING) {
        return;
    }
    if (r->error == REEVE_OK || r->error == REEVE_NO_NODE || kit_is_transient(r->error)) {
        look(t);
    } else {
        on_error(t, r->error);
    }
}

// A node of ours that was made late: we must not wait for it, nor others behind us.
static void delete_twin(struct turn *t, const char *name)
{
    enum reeve_error e = kit_delete(t->o, t->path, name, on_twin_deleted, t);
    t->asked += !e;
    if (e) {
        fail(t, e);
    }
}

static void on_children(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct turn *t = arg;
    if (!answered(t) || t->state != TURN_LOOKING) {
        return;
    }
    bool found = false;
    const char *before = r->error ? NULL : find_before(t, r, &found);
    const char *twin = found ? kit_seat_twin(&t->seat, r) : NULL;
    if (twin) {
        delete_twin(t, twin);
    } else if (before && found) {
        stand_behind(t, before);
    } else if (found) {
        forget_before(t);
        t->looked = true;
        grant(t);
    } else if (r->error == REEVE_OK || r->error == REEVE_NO_NODE) {
        again(t); // our node is not there
    } else if (kit_is_transient(r->error)) {
        look(t);
    } else {
        on_error(t, r->error);
    }
}

static void look(struct turn *t)
{
    t->state = TURN_LOOKING;
    t->looked = false;
    struct reeve_request q = {.op = REEVE_OP_CHILDREN, .path = t->path};
    enum reeve_error e = ask(t, &q, on_children);
    if (e) {
        fail(t, e);
    }
}

// ---- the seat -----------------------------------------------------------------------------------

static void on_taken(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    struct turn *t = arg;
    if (t->state != TURN_SEATING) {
        settle(t);
    } else if (e) {
        on_error(t, e);
    } else {
        t->state = TURN_LOOKING;
        ask_own(t);
        if (t->state == TURN_LOOKING) {
            look(t);
        }
    }
}

static enum reeve_error sit(struct turn *t)
{
    struct reeve *zk = t->o->zk;
    char *name = t->rule->kazoo ? kit_name_kazoo(zk, t->rule->marker)
                                : kit_name_curator(zk, t->rule->marker);
    enum reeve_error e = kit_seat_take(&t->seat, t->path, name, REEVE_EPHEMERAL | REEVE_SEQUENTIAL,
                                       t->data, t->data_len, on_taken, t);
    if (!e) {
        t->state = TURN_SEATING;
    }
    return e;
}

// ---- what recipes call --------------------------------------------------------------------------

void turn_init(struct turn *t, struct kit_object *o, const char *path, const struct turn_rule *rule,
               const struct turn_hooks *hooks, void *arg)
{
    *t = (struct turn){.o = o, .path = path, .rule = rule, .hooks = hooks, .arg = arg, .data = ""};
    kit_seat_init(&t->seat, o);
    t->seat.plain_parents = rule->kazoo; // its programs do not expect that their path goes
}

void turn_set_data(struct turn *t, const void *data, size_t n)
{
    t->data = data;
    t->data_len = n;
}

void turn_fini(struct turn *t)
{
    if (!t->o) {
        return;
    }
    kit_seat_fini(&t->seat);
    kit_free(t->o->zk, t->before);
    t->before = NULL;
}

enum reeve_error turn_begin(struct turn *t, bool only_try)
{
    t->only_try = only_try;
    t->ended = REEVE_OK;
    return sit(t);
}

bool turn_end(struct turn *t)
{
    if (t->state == TURN_IDLE) {
        return false;
    }
    if (t->state == TURN_AGAIN) {
        t->state = TURN_ENDING;
    } else if (t->state != TURN_ENDING) {
        leave(t, TURN_ENDING);
    }
    if (quiet(t)) {
        forget(t);
        t->state = TURN_IDLE;
    }
    return t->state != TURN_IDLE;
}

void turn_on_session(struct turn *t, const struct reeve_session *s)
{
    bool lost = s->state == REEVE_STATE_LOST || s->state == REEVE_STATE_AUTH_FAILED ||
                s->state == REEVE_STATE_ENDED;
    enum reeve_error why = s->state == REEVE_STATE_ENDED         ? REEVE_CLOSED
                           : s->state == REEVE_STATE_AUTH_FAILED ? REEVE_AUTH_FAILED
                                                                 : REEVE_SESSION_EXPIRED;
    if (lost && t->state == TURN_HELD) {
        lose(t, why);
    } else if (lost) {
        kit_seat_lost(&t->seat);
    }
    if (lost && is_trying(t)) {
        why == REEVE_SESSION_EXPIRED ? again(t) : fail(t, why);
    }
    turn_poke(t);
}

void turn_poke(struct turn *t)
{
    kit_seat_poke(&t->seat);
    ask_own(t);
    settle(t);
}

// ---- as a kind of lock --------------------------------------------------------------------------

static enum reeve_error kind_init(void *m, struct kit_object *o, const struct lock_setup *setup,
                                  const struct turn_hooks *up, void *arg)
{
    turn_init(m, o, setup->path, setup->rule, up, arg);
    turn_set_data(m, setup->data, setup->data_len);
    return REEVE_OK;
}

static enum reeve_error kind_begin(void *m, bool only_try)
{
    return turn_begin(m, only_try);
}

static bool kind_end(void *m)
{
    return turn_end(m);
}

static void kind_on_session(void *m, const struct reeve_session *s)
{
    turn_on_session(m, s);
}

static void kind_poke(void *m)
{
    turn_poke(m);
}

static void kind_fini(void *m)
{
    turn_fini(m);
}

static bool kind_is_idle(const void *m)
{
    return ((const struct turn *)m)->state == TURN_IDLE;
}

static int64_t kind_token(const void *m)
{
    const struct turn *t = m;
    return t->state == TURN_HELD ? t->seat.czxid : 0;
}

const struct lock_kind lock_kind_turn = {.size = sizeof(struct turn),
                                         .init = kind_init,
                                         .begin = kind_begin,
                                         .end = kind_end,
                                         .on_session = kind_on_session,
                                         .poke = kind_poke,
                                         .fini = kind_fini,
                                         .is_idle = kind_is_idle,
                                         .token = kind_token};
