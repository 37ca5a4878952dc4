// SPDX-License-Identifier: Apache-2.0
//
// Plain calls of a guest: reads, writes and watches of all kinds below a node of its own, several
// at a time. What must hold, whatever happens to connections and sessions:
// - each callback is called exactly once; each one-shot watch that was set, exactly once; a
//   persistent one until its last event and not after;
// - numbers are written in order, so what is read is never older than the last number acknowledged
//   in this session, and never one whose write is said not to have happened;
// - a write of number n is never executed when an earlier one is lost and may not have been.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sim/guest_work.h"
#include "sim/world.h"

enum {
    BLIND_S = 20, // longer than any session lives without its client
    CALLS_NEVER_MAX = 512
};

struct calls {
    struct world *w;
    struct reeve *zk;
    uint32_t guest;
    struct guest_call *all; // to the end of the run
    size_t flying, depth;
    char path[24];
    int64_t blind_until_ns;
    uint64_t number, acknowledged;   // of writes: submitted, answered in this session
    uint64_t never[CALLS_NEVER_MAX]; // surely not executed
    size_t never_n;
};

struct guest_call {
    struct calls *calls;
    struct guest_call *next;
    uint64_t number; // of a write; 0: none
    bool watches, done, watching, over;
    char path[48];
};

static struct guest_call *new_call(struct calls *s)
{
    struct guest_call *c = mem_zalloc(sizeof(*c));
    c->calls = s;
    c->next = s->all;
    s->all = c;
    return c;
}

static void fail(struct calls *s, const char *what, const struct guest_call *c)
{
    report_fail(&s->w->report, "guest %u: %s (%s, number %" PRIu64 ")", s->guest, what, c->path,
                c->number);
}

static void on_event(void *ctx, const struct reeve_event *ev)
{
    struct guest_call *c = ctx;
    if (c->over || (c->done && !c->watching)) {
        fail(c->calls, "a watch is called that is over or was never set", c);
    }
    c->over = ev->last;
}

static void note_write(struct calls *s, struct guest_call *c, const struct reeve_result *r)
{
    if (r->error == REEVE_OK && s->w->now_ns > s->blind_until_ns) {
        s->acknowledged = c->number > s->acknowledged ? c->number : s->acknowledged;
    } else if (r->error && !r->maybe_done && s->never_n < CALLS_NEVER_MAX) {
        s->never[s->never_n++] = c->number;
    }
}

static void note_read(struct calls *s, struct guest_call *c, const struct reeve_result *r)
{
    if (r->error != REEVE_OK || r->op != REEVE_OP_GET || strcmp(c->path, s->path) != 0) {
        return;
    }
    uint64_t seen = r->data ? strtoull(r->data, NULL, 10) : 0;
    if (seen < c->number) {
        fail(s, "a read shows less than was acknowledged when it was asked", c);
    }
    for (size_t i = 0; i < s->never_n; i++) {
        if (s->never[i] == seen) {
            fail(s, "a read shows a write that is said not to have happened", c);
        }
    }
}

static void on_done(void *ctx, const struct reeve_result *r)
{
    struct guest_call *c = ctx;
    struct calls *s = c->calls;
    if (c->done) {
        fail(s, "a callback is called twice", c);
    }
    c->done = true;
    c->watching = r->watching;
    s->flying--;
    s->w->fig.calls++;
    if (r->op == REEVE_OP_SET) {
        note_write(s, c, r);
    } else {
        note_read(s, c, r);
    }
}

static void ask(struct calls *s, struct reeve_request *q, bool watch)
{
    struct guest_call *c = new_call(s);
    snprintf(c->path, sizeof(c->path), "%s", q->path);
    c->watches = watch;
    c->number = q->op == REEVE_OP_SET ? s->number : s->acknowledged;
    if (watch) {
        q->watch = (struct reeve_watch){on_event, c};
    }
    s->flying++;
    if (reeve_submit(s->zk, q, on_done, c)) {
        s->flying--;
        c->done = true;
    }
}

static void ask_number(struct calls *s)
{
    char text[24];
    s->number++;
    int n = snprintf(text, sizeof(text), "%" PRIu64, s->number);
    struct reeve_request q = {.op = REEVE_OP_SET,
                              .path = s->path,
                              .data = text,
                              .data_len = (size_t)n,
                              .version = REEVE_ANY_VERSION};
    ask(s, &q, false);
}

static void ask_multi(struct calls *s, const char *child)
{
    struct reeve_request parts[2] = {
        {.op = REEVE_OP_CREATE, .path = child, .data = "m", .data_len = 1},
        {.op = REEVE_OP_DELETE, .path = child, .version = REEVE_ANY_VERSION}};
    struct reeve_request q = {.op = REEVE_OP_MULTI, .path = s->path, .parts = parts, .parts_n = 2};
    ask(s, &q, false);
}

static void ask_something(struct calls *s)
{
    struct world *w = s->w;
    char child[48];
    snprintf(child, sizeof(child), "%s/%c", s->path, (int)('a' + world_below(w, 3)));
    const char *path = world_chance(w, 1, 2) ? s->path : child;
    bool watch = world_chance(w, 1, 4);
    struct reeve_request q = {.path = path, .version = REEVE_ANY_VERSION};
    switch (world_below(w, 12)) {
    case 0:
        q.op = REEVE_OP_CREATE;
        q.path = world_chance(w, 1, 4) ? s->path : child;
        q.flags = q.path == child && world_chance(w, 1, 3) ? REEVE_EPHEMERAL : 0;
        ask(s, &q, false);
        break;
    case 1:
        q.op = REEVE_OP_DELETE;
        q.path = child;
        ask(s, &q, false);
        break;
    case 2:
        q.op = REEVE_OP_CHILDREN;
        ask(s, &q, watch);
        break;
    case 3:
        q.op = REEVE_OP_EXISTS;
        ask(s, &q, watch);
        break;
    case 4:
        q.op = REEVE_OP_ADD_WATCH;
        q.kind = world_chance(w, 1, 2) ? REEVE_WATCH_PERSISTENT : REEVE_WATCH_RECURSIVE;
        ask(s, &q, true);
        break;
    case 5:
        q.op = REEVE_OP_SYNC;
        ask(s, &q, false);
        break;
    case 6:
        ask_multi(s, child);
        break;
    case 7:
    case 8:
        q.op = REEVE_OP_GET;
        ask(s, &q, watch);
        break;
    default:
        ask_number(s);
        break;
    }
}

// A watch is taken back: not a word of it any more.
static void unwatch_one(struct calls *s)
{
    for (struct guest_call *c = s->all; c; c = c->next) {
        if (c->watches && c->done && c->watching && !c->over) {
            reeve_unwatch(s->zk, c->path, on_event, c);
            c->over = true;
            return;
        }
    }
}

// A new session may be with a server that is behind; and as long as the servers have the old one,
// its last writes may still be executed, behind those of the new one.
static void on_session(void *ctx, const struct reeve_session *session)
{
    struct calls *s = ctx;
    if (session->state == REEVE_STATE_LOST) {
        s->acknowledged = 0;
        s->blind_until_ns = s->w->now_ns + BLIND_S * SIM_S;
    }
}

static void *start(struct guest *g, void *board, uint64_t seed)
{
    struct calls *s = mem_zalloc(sizeof(*s));
    (void)board;
    (void)seed;
    *s = (struct calls){.w = guest_world(g), .zk = g->zk, .guest = g->c->index};
    s->depth = 1 + (size_t)world_below(s->w, world_chance(s->w, 1, 3) ? 40 : 4);
    snprintf(s->path, sizeof(s->path), "%s-%u", GUESTS_PATH, s->guest);
    must(!reeve_listen(s->zk, on_session, s));
    return s;
}

static void tick(void *part)
{
    struct calls *s = part;
    size_t n = s->flying < s->depth && world_chance(s->w, 1, 8)
                   ? 1 + (size_t)world_below(s->w, s->depth - s->flying)
                   : 0;
    if (s->number == 0 && n) {
        struct reeve_request q = {.op = REEVE_OP_CREATE, .path = s->path};
        ask(s, &q, false);
        ask_number(s);
    }
    for (size_t i = 0; i < n; i++) {
        ask_something(s);
    }
    if (world_chance(s->w, 1, 100)) {
        unwatch_one(s);
    }
}

static void leave(void *part)
{
    (void)part; // calls end with the client
}

static void finish(void *part)
{
    struct calls *s = part;
    while (s->all) {
        struct guest_call *c = s->all;
        s->all = c->next;
        if (!c->done) {
            fail(s, "a callback was never called", c);
        } else if (c->watching && !c->over) {
            fail(s, "a watch never came to its end", c);
        }
        mem_free(c);
    }
    mem_free(s);
}

const struct guest_part guest_calls = {
    .name = "calls", .start = start, .tick = tick, .leave = leave, .free = finish};
