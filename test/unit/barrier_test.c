// SPDX-License-Identifier: Apache-2.0
//
// Barriers: nobody passes early, everybody passes in the end, members that are lost count as gone;
// with connections cut at each message and memory missing at each allocation.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reeve/barrier.h"
#include "test/support/client_rig.h"

enum { MEMBERS = 3 };

struct told {
    size_t n, lost;
    enum reeve_error e;
};

static void on_done(void *ctx, enum reeve_error e)
{
    struct told *t = ctx;
    t->n++;
    t->e = e;
}

static void on_lost(void *ctx)
{
    struct told *t = ctx;
    t->lost++;
}

// ---- barrier ------------------------------------------------------------------------------------

static void opens_for_all(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve_barrier *b[MEMBERS];
    struct told t[MEMBERS] = {{0}};
    for (size_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(reeve_barrier_new(&b[i], crig_client(w, NULL), "/x/gate", NULL), REEVE_OK);
    }
    assert_int_equal(reeve_barrier_wait(b[0], -1), REEVE_OK); // there is none
    assert_int_equal(reeve_barrier_close(b[0]), REEVE_OK);
    assert_int_equal(reeve_barrier_close(b[1]), REEVE_OK);
    assert_int_equal(reeve_barrier_wait(b[1], 300), REEVE_OPERATION_TIMEOUT);
    for (size_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(reeve_barrier_wait_async(b[i], -1, on_done, &t[i]), REEVE_OK);
    }
    crig_advance(w, 3000);
    assert_int_equal(t[0].n + t[1].n + t[2].n, 0);
    assert_int_equal(reeve_barrier_open(b[2]), REEVE_OK);
    assert_int_equal(reeve_barrier_open(b[2]), REEVE_OK);
    crig_run(w);
    for (size_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(t[i].n, 1);
        assert_int_equal(t[i].e, REEVE_OK);
        reeve_barrier_free(&b[i]);
    }
    assert_int_equal(reeve_barrier_new(&b[0], crig_client(w, NULL), "/", NULL),
                     REEVE_BAD_ARGUMENTS);
    crig_free(&w);
}

static void a_wait_survives_what_happens(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
    struct reeve_barrier *a, *b;
    struct told t = {0}, freed = {0};
    assert_int_equal(reeve_barrier_new(&a, zk, "/gate", NULL), REEVE_OK);
    assert_int_equal(reeve_barrier_new(&b, other, "/gate", NULL), REEVE_OK);
    assert_int_equal(reeve_barrier_close(b), REEVE_OK);
    assert_int_equal(reeve_barrier_wait_async(a, -1, on_done, &t), REEVE_OK);
    crig_run(w);
    crig_cut(w, zk);
    crig_advance(w, 3000);
    crig_expire(w, zk);
    crig_cut(w, zk);
    crig_advance(w, 5000);
    assert_int_equal(t.n, 0);
    crig_refuse(w, zk, true);
    crig_cut(w, zk);
    assert_int_equal(reeve_barrier_open(b), REEVE_OK); // while the waiting one is cut off
    assert_int_equal(t.n, 0);
    crig_refuse(w, zk, false);
    crig_advance(w, 5000);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.e, REEVE_OK);

    // Open and closed again while it is cut off: it was open at some moment.
    for (int lost = 0; lost < 2; lost++) {
        t.n = 0;
        assert_int_equal(reeve_barrier_close(b), REEVE_OK);
        assert_int_equal(reeve_barrier_wait_async(a, -1, on_done, &t), REEVE_OK);
        crig_run(w);
        crig_refuse(w, zk, true);
        crig_cut(w, zk);
        assert_int_equal(reeve_barrier_open(b), REEVE_OK);
        assert_int_equal(reeve_barrier_close(b), REEVE_OK);
        crig_advance(w, lost ? 30000 : 1000);
        crig_refuse(w, zk, false);
        crig_advance(w, 5000);
        assert_int_equal(t.n, 1);
        assert_int_equal(t.e, REEVE_OK);
        assert_int_equal(reeve_barrier_open(b), REEVE_OK);
    }

    assert_int_equal(reeve_barrier_close(b), REEVE_OK);
    assert_int_equal(reeve_barrier_wait_async(a, -1, on_done, &freed), REEVE_OK);
    crig_run(w);
    reeve_barrier_free(&a);
    crig_run(w);
    assert_int_equal(freed.n, 1);
    assert_int_equal(freed.e, REEVE_CANCELLED);
    reeve_barrier_free(&b);
    crig_free(&w);
}

static void a_barrier_without_memory_says_so(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t at = 1; failed; at++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL);
        crig_run(w);
        crig_fail_alloc(w, at, 1);
        struct reeve_barrier *b = NULL;
        struct told t[3] = {{0}};
        enum reeve_error e[4];
        e[3] = reeve_barrier_new(&b, zk, "/p/gate", NULL);
        e[0] = e[3] ? e[3] : reeve_barrier_close_async(b, on_done, &t[0]);
        crig_advance(w, 1000);
        e[1] = e[3] ? e[3] : reeve_barrier_wait_async(b, 1000, on_done, &t[1]);
        e[2] = e[3] ? e[3] : reeve_barrier_open_async(b, on_done, &t[2]);
        crig_advance(w, 3000);
        failed = crig_alloc_failed(w);
        crig_fail_alloc(w, 0, 0);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(t[i].n, e[i] == REEVE_OK);
            assert_true(!t[i].e || t[i].e == REEVE_NO_MEMORY || t[i].e == REEVE_OPERATION_TIMEOUT);
        }
        reeve_barrier_free(&b);
        crig_free(&w);
    }
}

// ---- double barrier -----------------------------------------------------------------------------

struct team {
    struct crig *w;
    struct reeve *zk[MEMBERS];
    struct reeve_double_barrier *b[MEMBERS];
    struct told t[MEMBERS];
};

static void team_new(struct team *team)
{
    memset(team, 0, sizeof(*team));
    team->w = crig_new();
    for (size_t i = 0; i < MEMBERS; i++) {
        struct reeve_double_barrier_options o = {
            .data = "me", .data_len = 2, .lost = on_lost, .ctx = &team->t[i]};
        team->zk[i] = crig_client(team->w, NULL);
        assert_int_equal(reeve_double_barrier_new(&team->b[i], team->zk[i], "/x/jobs", MEMBERS, &o),
                         REEVE_OK);
    }
    crig_run(team->w);
}

static void team_free(struct team *team)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        reeve_double_barrier_free(&team->b[i]);
    }
    crig_free(&team->w);
}

static void enter(struct team *t, size_t i, int64_t timeout_ms)
{
    assert_int_equal(reeve_double_barrier_enter_async(t->b[i], timeout_ms, on_done, &t->t[i]),
                     REEVE_OK);
}

static void leave(struct team *t, size_t i, int64_t timeout_ms)
{
    assert_int_equal(reeve_double_barrier_leave_async(t->b[i], timeout_ms, on_done, &t->t[i]),
                     REEVE_OK);
}

static size_t told(const struct team *t)
{
    return t->t[0].n + t->t[1].n + t->t[2].n;
}

static size_t children(struct team *t)
{
    struct reeve_result r;
    enum reeve_error e = reeve_children(t->zk[MEMBERS - 1], "/x/jobs", NULL, &r);
    size_t n = r.children_n;
    assert_true(e == REEVE_OK || e == REEVE_NO_NODE);
    reeve_result_fini(&r);
    return n;
}

static void enter_and_leave_together(void **state)
{
    (void)state;
    struct team t;
    team_new(&t);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < MEMBERS; i++) {
            crig_advance(t.w, 1000);
            assert_int_equal(told(&t), round * 2 * MEMBERS);
            enter(&t, i, -1);
        }
        crig_run(t.w);
        assert_int_equal(told(&t), (round * 2 + 1) * MEMBERS);
        assert_int_equal(children(&t), MEMBERS + 1);
        for (size_t i = 0; i < MEMBERS; i++) {
            crig_advance(t.w, 1000);
            assert_int_equal(told(&t), (round * 2 + 1) * MEMBERS);
            leave(&t, i, -1);
        }
        crig_advance(t.w, 100);
        assert_int_equal(told(&t), (round * 2 + 2) * MEMBERS);
        assert_int_equal(children(&t), 0);
    }
    team_free(&t);
}

static void calls_have_their_time(void **state)
{
    (void)state;
    struct team t;
    team_new(&t);
    assert_int_equal(reeve_double_barrier_leave(t.b[0], -1), REEVE_API_ERROR);
    enter(&t, 0, 500);
    enter(&t, 1, -1);
    crig_run(t.w);
    assert_int_equal(reeve_double_barrier_enter(t.b[1], -1), REEVE_API_ERROR);
    crig_advance(t.w, 1000);
    assert_int_equal(t.t[0].n, 1);
    assert_int_equal(t.t[0].e, REEVE_OPERATION_TIMEOUT);
    assert_int_equal(children(&t), 1); // it is out again
    enter(&t, 0, -1);
    enter(&t, 2, -1);
    crig_run(t.w);
    assert_int_equal(told(&t), 4);
    leave(&t, 0, 500);
    crig_advance(t.w, 1000);
    assert_int_equal(t.t[0].e, REEVE_OPERATION_TIMEOUT);
    leave(&t, 1, -1);
    leave(&t, 2, -1);
    crig_advance(t.w, 1000);
    assert_int_equal(t.t[1].e, REEVE_OK);
    assert_int_equal(t.t[2].e, REEVE_OK);
    assert_int_equal(children(&t), 0);
    team_free(&t);
}

static void a_lost_member_has_left(void **state)
{
    (void)state;
    struct team t;
    team_new(&t);
    for (size_t i = 0; i < MEMBERS; i++) {
        enter(&t, i, -1);
    }
    crig_run(t.w);
    assert_int_equal(told(&t), MEMBERS);
    leave(&t, 1, -1);
    leave(&t, 2, -1);
    crig_run(t.w);
    assert_int_equal(told(&t), MEMBERS);
    crig_expire(t.w, t.zk[0]);
    crig_cut(t.w, t.zk[0]);
    crig_advance(t.w, 5000);
    assert_int_equal(t.t[0].lost, 1);
    assert_int_equal(told(&t), MEMBERS + 2);
    assert_int_equal(reeve_double_barrier_leave(t.b[0], -1), REEVE_API_ERROR);

    enter(&t, 0, -1); // and one that is lost while it enters is told
    crig_run(t.w);
    crig_expire(t.w, t.zk[0]);
    crig_cut(t.w, t.zk[0]);
    crig_advance(t.w, 5000);
    assert_int_equal(t.t[0].e, REEVE_SESSION_EXPIRED);
    assert_int_equal(t.t[0].lost, 1);
    team_free(&t);
}

// It comes back while the servers still have the node of its lost session: nobody is two members.
static void a_member_that_comes_back_counts_once(void **state)
{
    (void)state;
    struct team t;
    team_new(&t);
    enter(&t, 0, -1);
    enter(&t, 1, -1);
    crig_run(t.w);
    crig_refuse(t.w, t.zk[0], true);
    crig_cut(t.w, t.zk[0]);
    while (!t.t[0].n) {
        crig_advance(t.w, 1);
    }
    assert_int_equal(t.t[0].e, REEVE_SESSION_EXPIRED);
    assert_int_equal(children(&t), 2);
    crig_refuse(t.w, t.zk[0], false);
    enter(&t, 0, -1);
    crig_advance(t.w, 500);
    assert_int_equal(told(&t), 1);
    assert_int_equal(children(&t), 2);
    enter(&t, 2, -1);
    crig_advance(t.w, 500);
    assert_int_equal(told(&t), 1 + MEMBERS);
    team_free(&t);
}

// `ready` outlives members that die inside; who comes after them must not pass alone.
static void nobody_passes_where_all_have_died(void **state)
{
    (void)state;
    for (size_t at = 0; at < 2; at++) {
        struct team t;
        team_new(&t);
        for (size_t i = 0; i < MEMBERS; i++) {
            enter(&t, i, -1);
        }
        crig_run(t.w);
        assert_int_equal(told(&t), MEMBERS);
        for (size_t i = 0; i < MEMBERS; i++) {
            crig_expire(t.w, t.zk[i]);
        }
        crig_advance(t.w, 20000);
        assert_int_equal(t.t[0].lost + t.t[1].lost + t.t[2].lost, MEMBERS);
        assert_int_equal(children(&t), 1); // ready
        if (at) {                          // lost in the middle of taking it away
            crig_cut_after(t.w, t.zk[0], CRIG_TO_CLIENT, 1);
        }
        enter(&t, 0, -1);
        crig_advance(t.w, 3000);
        enter(&t, 1, -1);
        crig_advance(t.w, 3000);
        assert_int_equal(told(&t), MEMBERS);
        assert_int_equal(children(&t), 2);
        enter(&t, 2, -1);
        crig_run(t.w);
        assert_int_equal(told(&t), 2 * MEMBERS);
        assert_int_equal(t.t[0].e, REEVE_OK);
        team_free(&t);
    }
}

// Who comes late passes, as long as one of those who were in time is there.
static void who_comes_late_passes(void **state)
{
    (void)state;
    struct team t;
    struct told late = {0};
    team_new(&t);
    struct reeve_double_barrier *b;
    struct reeve *zk = crig_client(t.w, NULL);
    assert_int_equal(reeve_double_barrier_new(&b, zk, "/x/jobs", MEMBERS, NULL), REEVE_OK);
    for (size_t i = 0; i < MEMBERS; i++) {
        enter(&t, i, -1);
    }
    crig_run(t.w);
    crig_drop(t.w, &t.zk[0]);
    crig_drop(t.w, &t.zk[1]);
    t.b[0] = t.b[1] = NULL;
    crig_advance(t.w, 20000);
    assert_int_equal(reeve_double_barrier_enter_async(b, 1000, on_done, &late), REEVE_OK);
    crig_run(t.w);
    assert_int_equal(late.n, 1);
    assert_int_equal(late.e, REEVE_OK);
    reeve_double_barrier_free(&b);
    team_free(&t);
}

static void survives_cuts(void **state)
{
    (void)state;
    for (size_t way = 0; way < 2; way++) {
        bool cut = true;
        for (size_t at = 1; cut; at++) {
            struct team t;
            team_new(&t);
            crig_cut_after(t.w, t.zk[1], way ? CRIG_TO_CLIENT : CRIG_TO_SERVER, at);
            for (size_t i = 0; i < MEMBERS; i++) {
                enter(&t, i, -1);
            }
            crig_advance(t.w, 4000);
            assert_int_equal(told(&t), MEMBERS);
            for (size_t i = 0; i < MEMBERS; i++) {
                leave(&t, i, -1);
            }
            crig_advance(t.w, 4000);
            cut = crig_was_cut(t.w, t.zk[1]);
            assert_int_equal(told(&t), 2 * MEMBERS);
            assert_int_equal(t.t[1].e, REEVE_OK);
            assert_int_equal(children(&t), 0);
            team_free(&t);
        }
    }
}

static void a_member_is_freed_at_any_time(void **state)
{
    (void)state;
    for (size_t steps = 0; steps < 40; steps++) {
        struct team t;
        team_new(&t);
        enter(&t, 0, -1);
        for (size_t i = 0; i < steps; i++) {
            (void)crig_step(t.w);
        }
        reeve_double_barrier_free(&t.b[0]);
        crig_advance(t.w, 1000);
        assert_int_equal(t.t[0].n, 1);
        assert_int_equal(t.t[0].e, REEVE_CANCELLED);
        assert_int_equal(children(&t), 0);
        team_free(&t);
    }
}

static void a_member_without_memory_is_out_or_in(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t at = 1; failed; at++) {
        struct team t;
        team_new(&t);
        struct reeve_double_barrier *alone = NULL;
        struct told in = {0}, out = {0};
        crig_fail_alloc(t.w, at, 1);
        enum reeve_error e = reeve_double_barrier_new(&alone, t.zk[0], "/x/jobs", 1, NULL);
        enum reeve_error ee = e ? e : reeve_double_barrier_enter_async(alone, -1, on_done, &in);
        crig_advance(t.w, 2000);
        enum reeve_error le = in.n && !in.e
                                  ? reeve_double_barrier_leave_async(alone, -1, on_done, &out)
                                  : REEVE_CANCELLED;
        crig_advance(t.w, 2000);
        failed = crig_alloc_failed(t.w);
        crig_fail_alloc(t.w, 0, 0);
        assert_int_equal(in.n, ee == REEVE_OK);
        assert_int_equal(out.n, le == REEVE_OK);
        assert_true(!in.e || in.e == REEVE_NO_MEMORY);
        assert_true(!out.e || out.e == REEVE_NO_MEMORY);
        reeve_double_barrier_free(&alone);
        crig_advance(t.w, 1000);
        assert_true(children(&t) <= 1); // at most `ready`
        team_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_for_all),
        cmocka_unit_test(a_wait_survives_what_happens),
        cmocka_unit_test(a_barrier_without_memory_says_so),
        cmocka_unit_test(enter_and_leave_together),
        cmocka_unit_test(calls_have_their_time),
        cmocka_unit_test(a_lost_member_has_left),
        cmocka_unit_test(a_member_that_comes_back_counts_once),
        cmocka_unit_test(nobody_passes_where_all_have_died),
        cmocka_unit_test(who_comes_late_passes),
        cmocka_unit_test(survives_cuts),
        cmocka_unit_test(a_member_is_freed_at_any_time),
        cmocka_unit_test(a_member_without_memory_is_out_or_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
