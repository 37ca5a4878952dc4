// SPDX-License-Identifier: Apache-2.0
//
// struct reeve: who is told what, and when. Listeners, tasks, watches taken back.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/support/client_seen.h"

static int setup(void **state)
{
    *state = crig_new();
    return 0;
}

// At the end of each test, while what callbacks write to is still there.
static void end(void **state)
{
    crig_free((struct crig **)state);
}

// ---- listeners ----------------------------------------------------------------------------------

static void remove_itself(void *ctx, const struct reeve_session *s)
{
    struct states *t = ctx;
    on_state(ctx, s);
    reeve_unlisten(t->zk, remove_itself, ctx);
}

static void listeners_come_and_go(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    struct states a = {.zk = zk}, b = {.zk = zk}, c = {.zk = zk};
    assert_int_equal(reeve_listen(zk, on_state, &a), REEVE_OK);
    assert_int_equal(reeve_listen(zk, remove_itself, &b), REEVE_OK);
    assert_int_equal(reeve_listen(zk, on_state, &c), REEVE_OK);
    reeve_unlisten(zk, on_state, &c);
    crig_run(w);
    assert_string_equal(a.text, "cC");
    assert_string_equal(b.text, "c");
    assert_string_equal(c.text, "");
    assert_int_equal(reeve_listen(zk, on_state, &c), REEVE_OK);
    crig_run(w);
    assert_string_equal(c.text, "C"); // the state of that time, once
    crig_cut(w, zk);
    crig_run(w);
    assert_string_equal(a.text, "cCSC");
    assert_string_equal(c.text, "CSC");
    crig_close(w, &zk);
    assert_string_equal(a.text, "cCSCE");
    assert_string_equal(c.text, "CSCE");
    end(state);
}

// ---- tasks --------------------------------------------------------------------------------------

static void tasks_come_in_order_and_in_time(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    static const int64_t ms[] = {500, 20, 0, 500, -7, 100000, 20};
    static const size_t order[] = {6, 4, 2, 7, 3, 8, 5};
    struct task t[7] = {{0}}, post = {.zk = zk};
    size_t counter = 0;
    int64_t begin = crig_now_ms(w);
    for (size_t i = 0; i < 7; i++) {
        t[i] = (struct task){.zk = zk, .counter = &counter};
        assert_int_equal(reeve_after(zk, ms[i], on_task, &t[i]), REEVE_OK);
    }
    post.counter = &counter;
    assert_int_equal(reeve_post(zk, on_task, &post), REEVE_OK);
    crig_advance(w, 100000);
    assert_int_equal(post.order, 1);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(t[i].n, 1);
        assert_int_equal(t[i].order, order[i]);
        assert_int_equal(t[i].at_ms - begin, ms[i] > 0 ? ms[i] : 0);
    }
    end(state);
}

struct canceller {
    struct task timer, due;
    bool cancelled[4];
};

static void cancel(void *ctx)
{
    struct canceller *c = ctx;
    struct reeve *zk = c->timer.zk;
    assert_int_equal(reeve_after(zk, 5, on_task, &c->due), REEVE_OK);
    c->cancelled[0] = reeve_cancel(zk, on_task, &c->due); // not taken in yet
    c->cancelled[1] = reeve_cancel(zk, on_task, &c->timer);
    c->cancelled[2] = reeve_cancel(zk, on_task, &c->timer);
    assert_int_equal(reeve_post(zk, on_task, &c->due), REEVE_OK);
    c->cancelled[3] = reeve_cancel(zk, on_task, &c->due); // a post is no timer
}

static void timers_can_be_taken_back(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    struct canceller c = {.timer.zk = zk, .due.zk = zk};
    assert_int_equal(reeve_after(zk, 100, on_task, &c.timer), REEVE_OK);
    assert_int_equal(reeve_post(zk, cancel, &c), REEVE_OK);
    crig_advance(w, 1000);
    assert_true(c.cancelled[0]);
    assert_true(c.cancelled[1]);
    assert_false(c.cancelled[2]);
    assert_false(c.cancelled[3]);
    assert_int_equal(c.timer.n, 0);
    assert_int_equal(c.due.n, 1);
    end(state);
}

static void post_again(void *ctx)
{
    struct task *t = ctx;
    if (++t->n < 1000) {
        assert_int_equal(reeve_post(t->zk, post_again, t), REEVE_OK);
    }
    (void)reeve_cancel(t->zk, on_task, t); // looks for it among all that was put in
}

struct late {
    struct states states;
    char seen[64]; // what had been told when the timer came
};

static void on_late(void *ctx)
{
    struct late *l = ctx;
    memcpy(l->seen, l->states.text, sizeof(l->seen));
}

// A process that was stopped: that the session is over is the first thing it hears.
static void a_late_timer_comes_behind_the_loss(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    struct late l = {.states.zk = zk};
    assert_int_equal(reeve_listen(zk, on_state, &l.states), REEVE_OK);
    assert_int_equal(reeve_wait_connected(zk, -1), REEVE_OK);
    assert_int_equal(reeve_after(zk, 5000, on_late, &l), REEVE_OK);
    crig_run(w);
    crig_stop(w, zk, true);
    crig_advance(w, 15000);
    crig_stop(w, zk, false);
    crig_run(w);
    assert_true(strncmp(l.seen, "cCL", 3) == 0);
    end(state);
}

static void a_task_that_posts_itself_stops_nobody(void **state)
{
    struct crig *w = *state;
    struct task t = {.zk = crig_client(w, NULL)};
    assert_int_equal(reeve_post(t.zk, post_again, &t), REEVE_OK);
    assert_int_equal(reeve_wait_connected(t.zk, -1), REEVE_OK);
    assert_true(t.n < 1000);
    crig_run(w);
    assert_int_equal(t.n, 1000);
    end(state);
}

// ---- watches ------------------------------------------------------------------------------------

static void a_watch_is_taken_back(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
    struct watched a = {.zk = zk}, b = {.zk = zk}, c = {.zk = zk};
    struct reeve_watch fa = {on_event, &a}, fb = {on_event, &b}, fc = {on_event, &c};
    struct seen s = {0};
    assert_int_equal(reeve_exists(zk, "/w", &fa, NULL), REEVE_NO_NODE);
    assert_int_equal(reeve_exists(zk, "/w", &fb, NULL), REEVE_NO_NODE);
    assert_int_equal(reeve_exists_async(zk, "/w", &fc, on_done, &s), REEVE_OK); // under way
    reeve_unwatch(zk, "/w", on_event, &a);
    reeve_unwatch(zk, "/w", on_event, &c);
    assert_int_equal(reeve_create(other, "/w", NULL, 0, 0, NULL), REEVE_OK);
    crig_close(w, &zk);
    assert_int_equal(s.n, 1);
    assert_int_equal(a.n, 0);
    assert_int_equal(b.n, 1);
    assert_int_equal(c.n, 0);
    end(state);
}

static void set_and_take_back(void *ctx)
{
    struct watched *a = ctx;
    struct reeve_watch fn = {on_event, a};
    assert_int_equal(reeve_exists_async(a->zk, "/w", &fn, NULL, NULL), REEVE_OK);
    reeve_unwatch(a->zk, "/w", on_event, a);
}

// In one callback: the request is behind nothing yet but the inbox.
static void a_watch_is_taken_back_before_it_was_asked_for(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    struct watched a = {.zk = zk};
    assert_int_equal(reeve_post(zk, set_and_take_back, &a), REEVE_OK);
    crig_run(w);
    assert_int_equal(reeve_create(zk, "/w", NULL, 0, 0, NULL), REEVE_OK);
    crig_close(w, &zk);
    assert_int_equal(a.n, 0);
    end(state);
}

static void a_watch_takes_itself_back(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    static const enum reeve_watch_kind kinds[] = {REEVE_WATCH_PERSISTENT, REEVE_WATCH_RECURSIVE};
    assert_int_equal(reeve_create(zk, "/w", NULL, 0, 0, NULL), REEVE_OK);
    for (size_t i = 0; i < 2; i++) {
        struct watched a = {.zk = zk, .unwatch = true};
        struct reeve_watch fn = {on_event, &a};
        assert_int_equal(reeve_add_watch(zk, "/w", kinds[i], &fn, NULL), REEVE_OK);
        assert_int_equal(reeve_set(zk, "/w", "1", 1, -1, NULL), REEVE_OK);
        assert_int_equal(reeve_set(zk, "/w", "2", 1, -1, NULL), REEVE_OK);
        crig_run(w);
        assert_int_equal(a.n, 1);
        assert_int_equal(reeve_check_watches(zk, "/w", kinds[i], NULL), REEVE_NO_WATCHER);
    }
    struct watched one = {.zk = zk, .unwatch = true};
    struct reeve_watch fn = {on_event, &one};
    assert_int_equal(reeve_get(zk, "/w", &fn, NULL), REEVE_OK);
    assert_int_equal(reeve_set(zk, "/w", "3", 1, -1, NULL), REEVE_OK);
    crig_close(w, &zk);
    assert_int_equal(one.n, 1);
    end(state);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(listeners_come_and_go),
        TEST(tasks_come_in_order_and_in_time),
        TEST(timers_can_be_taken_back),
        TEST(a_late_timer_comes_behind_the_loss),
        TEST(a_task_that_posts_itself_stops_nobody),
        TEST(a_watch_is_taken_back),
        TEST(a_watch_is_taken_back_before_it_was_asked_for),
        TEST(a_watch_takes_itself_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
