// SPDX-License-Identifier: Apache-2.0

#include "recipes/ledger.h"

#include <string.h>

static void run(struct ledger *l);

void ledger_init(struct ledger *l, struct kit_object *o, const char *dir)
{
    *l = (struct ledger){.o = o, .dir = dir};
    l->end = &l->first;
    kit_seat_init(&l->seat, o);
    l->seat.no_parents = true;
}

void ledger_fini(struct ledger *l)
{
    kit_seat_fini(&l->seat);
}

static void finish(struct ledger_write *w, enum reeve_error e, const struct reeve_result *parts)
{
    struct ledger *l = w->ledger;
    struct ledger_write **at = &l->first;
    while (*at != w) {
        at = &(*at)->next;
    }
    *at = w->next;
    if (!*at) {
        l->end = at;
    }
    w->done(l->o, w, e, parts);
}

// The first write in this state, or NULL. (A done() may change the list, so each search is new.)
static struct ledger_write *first_in(const struct ledger *l, int state)
{
    struct ledger_write *w = l->first;
    while (w && (int)w->state != state) {
        w = w->next;
    }
    return w;
}

static void finish_all(struct ledger *l, int state, enum reeve_error e)
{
    for (struct ledger_write *w = first_in(l, state); w; w = first_in(l, state)) {
        finish(w, e, NULL);
    }
}

// ---- after a loss -------------------------------------------------------------------------------

static void ask(struct ledger *l);

static void on_again(struct kit_object *o, void *arg)
{
    (void)o;
    struct ledger *l = arg;
    run(l);
}

static bool is_executed(const struct ledger_write *w, int32_t version)
{
    return (int32_t)((uint32_t)version - (uint32_t)w->version) >= 0;
}

static void known(struct ledger *l, int32_t version)
{
    l->executed = version;
    for (struct ledger_write *w = first_in(l, LEDGER_UNSURE); w; w = first_in(l, LEDGER_UNSURE)) {
        if (is_executed(w, version)) {
            finish(w, REEVE_OK, NULL);
        } else {
            w->state = LEDGER_WAITING;
        }
    }
}

// What happened cannot be told. While the session lives it is asked again; at once when the ledger
// is closing, because a timer would not outlast the client's end.
static void unknown(struct ledger *l, enum reeve_error e)
{
    l->asking = false;
    if (l->closing && kit_is_transient(e)) {
        ask(l);
        return;
    }
    if (!kit_is_over(e) && e != REEVE_NO_NODE && !l->closing) {
        e = kit_start(l->o, &l->again, KIT_AGAIN_MS, on_again, l);
        if (!e) {
            return;
        }
    }
    finish_all(l, LEDGER_UNSURE, e == REEVE_NO_NODE ? REEVE_CONNECTION_LOSS : e);
    run(l);
}

static void on_version(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct ledger *l = arg;
    if (r->error) {
        unknown(l, r->error);
        return;
    }
    l->asking = false;
    known(l, r->stat.version);
    run(l);
}

static void on_sync(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct ledger *l = arg;
    enum reeve_error e = r->error;
    if (!e && !l->seat.path) {
        e = REEVE_SESSION_EXPIRED;
    }
    if (!e) {
        struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = l->seat.path};
        e = kit_submit(o, &q, on_version, l);
    }
    if (e) {
        unknown(l, e);
    }
}

// Behind a sync, so that a server that lags behind cannot answer with an old number.
static void ask(struct ledger *l)
{
    struct reeve_request q = {.op = REEVE_OP_SYNC, .path = l->dir};
    l->asking = true;
    enum reeve_error e = kit_submit(l->o, &q, on_sync, l);
    if (e) {
        unknown(l, e);
    }
}

// ---- sending ------------------------------------------------------------------------------------

static void on_multi(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct ledger_write *w = arg;
    struct ledger *l = w->ledger;
    l->sent--;
    l->broken |= r->error != REEVE_OK;
    enum reeve_error of_ledger = r->parts_n ? r->parts[0].error : REEVE_OK;
    if (!r->error) {
        l->executed = w->version;
        finish(w, REEVE_OK, r->parts + 1);
    } else if (kit_is_transient(r->error) || r->error == REEVE_NO_MEMORY) {
        bool perhaps = r->maybe_done || r->error == REEVE_NO_MEMORY;
        w->state = perhaps ? LEDGER_UNSURE : LEDGER_WAITING;
    } else if (of_ledger == REEVE_BAD_VERSION) {
        // One before it failed; or, where none did, it is there already: an earlier try of it was
        // executed after it had been given up.
        bool late = w->version == (int32_t)((uint32_t)l->executed + 1);
        w->state = late ? LEDGER_UNSURE : LEDGER_WAITING;
    } else if (of_ledger == REEVE_NO_NODE) {
        w->state = LEDGER_WAITING;
        kit_seat_lost(&l->seat);
    } else {
        finish(w, r->error, NULL);
    }
    run(l);
}

static enum reeve_error send_one(struct ledger *l, struct ledger_write *w)
{
    struct reeve_request *parts = kit_alloc(l->o->zk, (w->parts_n + 1) * sizeof(*parts));
    if (!parts) {
        return REEVE_NO_MEMORY;
    }
    parts[0] =
        (struct reeve_request){.op = REEVE_OP_SET, .path = l->seat.path, .version = l->version};
    memcpy(parts + 1, w->parts, w->parts_n * sizeof(*parts));
    struct reeve_request q = {.op = REEVE_OP_MULTI, .parts = parts, .parts_n = w->parts_n + 1};
    enum reeve_error e = kit_submit(l->o, &q, on_multi, w);
    kit_free(l->o->zk, parts);
    if (!e) {
        w->version = ++l->version;
        l->sent++;
        w->state = LEDGER_SENT;
    }
    return e;
}

static void on_seat(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    struct ledger *l = arg;
    l->version = 0;
    l->executed = 0;
    if (e && e != REEVE_SESSION_EXPIRED && !l->closing) {
        finish_all(l, LEDGER_WAITING, e);
    }
    run(l);
}

static void take_seat(struct ledger *l)
{
    if (l->seat.state != KIT_SEAT_EMPTY) {
        return; // on its way
    }
    char *name = kit_name_kazoo(l->o->zk, "-reeve");
    enum reeve_error e = REEVE_NO_MEMORY;
    if (name) {
        e = kit_seat_take(&l->seat, l->dir, name, REEVE_EPHEMERAL, "0", 1, on_seat, l);
    }
    if (e) {
        finish_all(l, LEDGER_WAITING, e);
    }
}

static void run(struct ledger *l)
{
    if (l->asking || l->again.on || (l->broken && l->sent)) {
        return;
    }
    if (first_in(l, LEDGER_UNSURE)) {
        ask(l);
        return;
    }
    if (l->broken) {
        l->broken = false;
        l->version = l->executed;
    }
    if (l->closing) {
        finish_all(l, LEDGER_WAITING, REEVE_CANCELLED);
        if (!l->sent) {
            (void)kit_seat_leave(&l->seat, NULL, NULL);
        }
        return;
    }
    for (struct ledger_write *w = first_in(l, LEDGER_WAITING); w; w = first_in(l, LEDGER_WAITING)) {
        if (l->seat.state != KIT_SEAT_TAKEN) {
            take_seat(l);
            return;
        }
        enum reeve_error e = send_one(l, w);
        if (e) {
            finish(w, e, NULL);
        }
    }
}

void ledger_write(struct ledger *l, struct ledger_write *w)
{
    w->state = LEDGER_WAITING;
    w->ledger = l;
    w->next = NULL;
    *l->end = w;
    l->end = &w->next;
    run(l);
}

void ledger_on_session(struct ledger *l, const struct reeve_session *s)
{
    if (s->state == REEVE_STATE_LOST || s->state == REEVE_STATE_AUTH_FAILED) {
        kit_seat_lost(&l->seat);
        finish_all(l, LEDGER_UNSURE,
                   s->state == REEVE_STATE_LOST ? REEVE_SESSION_EXPIRED : REEVE_AUTH_FAILED);
    }
    kit_seat_poke(&l->seat);
}

void ledger_close(struct ledger *l)
{
    l->closing = true;
    if (l->o->ended) {
        finish_all(l, LEDGER_WAITING, REEVE_CLOSED);
        finish_all(l, LEDGER_UNSURE, REEVE_CLOSED);
        return;
    }
    kit_cancel(&l->again);
    run(l);
}
