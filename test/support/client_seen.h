// SPDX-License-Identifier: Apache-2.0
//
// What callbacks of a client leave behind, for tests on client_rig to look at. For cmocka programs.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/support/client_rig.h"

// What callbacks leave behind.
struct seen {
    size_t n;
    enum reeve_error error; // of the last
    char text[160];
    size_t order; // the how many-th callback it was, of all that share the counter
    size_t *counter;
};

static inline void on_done(void *ctx, const struct reeve_result *r)
{
    struct seen *s = ctx;
    s->n++;
    s->error = r->error;
    s->order = s->counter ? ++*s->counter : 0;
    (void)reeve_result_text(r, s->text, sizeof(s->text));
}

struct watched {
    struct reeve *zk;
    size_t n, last;
    enum reeve_event_type type;
    enum reeve_error why;
    char path[64];
    bool unwatch; // itself, at the first event
};

static inline void on_event(void *ctx, const struct reeve_event *ev)
{
    struct watched *w = ctx;
    assert_int_equal(w->last, 0);
    w->n++;
    w->last += ev->last;
    w->type = ev->type;
    w->why = ev->why;
    snprintf(w->path, sizeof(w->path), "%s", ev->path);
    if (w->unwatch) {
        reeve_unwatch(w->zk, "/w", on_event, w);
        assert_string_equal(w->path, ev->path); // it is valid during the whole callback
    }
}

struct states {
    struct reeve *zk;
    size_t n;
    char text[64]; // one letter each
};

static inline void on_state(void *ctx, const struct reeve_session *s)
{
    struct states *t = ctx;
    struct reeve_session now;
    reeve_get_session(t->zk, &now);
    assert_int_equal(now.state, s->state);
    assert_string_equal(now.server, s->server);
    assert_true(t->n < sizeof(t->text) - 1);
    t->text[t->n++] = "cCRSLAE"[s->state];
}

struct task {
    struct reeve *zk;
    size_t n;
    int64_t at_ms;
    size_t order, *counter;
};

static inline void on_task(void *ctx)
{
    struct task *t = ctx;
    assert_true(reeve_on_loop(t->zk));
    t->n++;
    t->at_ms = reeve_now_ms(t->zk);
    t->order = t->counter ? ++*t->counter : 0;
}
