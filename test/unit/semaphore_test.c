// SPDX-License-Identifier: Apache-2.0
//
// Leases of several clients on one server, in both layouts: never more than the limit, and nothing
// left behind. The rig (lock_rig.h) counts after every callback.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/lock_rig.h"

static const enum lock_rig_kind leases[] = {LOCK_RIG_LEASE};

static void setup(struct lock_rig *w, enum reeve_layout layout, size_t n, size_t limit)
{
    lock_rig_init(w, n, layout, limit, leases, 1);
}

static size_t count_held(const struct lock_rig *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        n += w->k[i].held;
    }
    return n;
}

static struct contender *a_holder(struct lock_rig *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->k[i].held) {
            return &w->k[i];
        }
    }
    return NULL;
}

// Curator's leases have numbers, so a create that is executed late makes a second one.
static void a_lease_that_is_made_late_is_not_counted(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, REEVE_LAYOUT_CURATOR, 2, 1);
    char path[160];
    bool cut = true;
    for (size_t at = 0; cut; at++) { // each message is lost once
        crig_cut_after(w.c, w.k[0].zk, CRIG_TO_SERVER, at);
        contender_acquire(&w.k[0], -1);
        crig_advance(w.c, 3000);
        cut = crig_was_cut(w.c, w.k[0].zk);
        assert_true(w.k[0].held);
        contender_release(&w.k[0]);
        crig_run(w.c);
    }
    for (int late_holding = 0; late_holding < 2; late_holding++) {
        contender_acquire(&w.k[0], -1);
        crig_run(w.c);
        assert_true(w.k[0].held);
        const char *name = lock_rig_names(&w, "/app/lock/leases");
        snprintf(path, sizeof(path), "/app/lock/leases/%.*s", (int)strcspn(name, " ") - 10, name);
        if (!late_holding) {
            contender_release(&w.k[0]);
            crig_run(w.c);
        }
        assert_int_equal(
            reeve_create(w.k[0].zk, path, NULL, 0, REEVE_EPHEMERAL | REEVE_SEQUENTIAL, NULL),
            REEVE_OK);
        if (!late_holding) {
            contender_acquire(&w.k[0], -1);
            crig_run(w.c);
            assert_true(w.k[0].held);
        }
        assert_int_equal(lock_rig_count(&w, "/app/lock/leases"), 1 + late_holding);
        contender_release(&w.k[0]);
        crig_run(w.c);
        assert_int_equal(lock_rig_count(&w, "/app/lock/leases"), 0);
        contender_acquire(&w.k[1], 0);
        crig_run(w.c);
        assert_true(w.k[1].held);
        contender_release(&w.k[1]);
        crig_run(w.c);
    }
    lock_rig_fini(&w);
}

static void as_many_as_the_limit_hold_one(void **state)
{
    (void)state;
    for (enum reeve_layout layout = 0; layout <= REEVE_LAYOUT_KAZOO; layout++) {
        struct lock_rig w;
        setup(&w, layout, 6, 3);
        for (size_t i = 0; i < w.n; i++) {
            contender_acquire(&w.k[i], -1);
            crig_run(w.c);
        }
        for (size_t i = 0; i < w.n; i++) {
            assert_int_equal(w.k[i].held, i < 3);
        }
        for (size_t i = 0; i < w.n; i++) {
            assert_true(w.k[i].held);
            assert_int_equal(w.k[i].order, i + 1);
            contender_release(&w.k[i]);
            crig_run(w.c);
            assert_int_equal(w.k[i].released_e, REEVE_OK);
        }
        lock_rig_fini(&w);
    }
}

static void curators_names(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, REEVE_LAYOUT_CURATOR, 2, 1);
    assert_int_equal(reeve_lock_acquire(w.k[0].l, -1, NULL), REEVE_OK);
    assert_int_equal(reeve_lock_acquire(w.k[1].l, 0, NULL), REEVE_OPERATION_TIMEOUT);
    const char *names = lock_rig_names(&w, "/app/lock/leases");
    assert_int_equal(strncmp(names, "_c_", 3), 0);
    assert_int_equal(strncmp(names + 39, "-lease-0000000000 ", 18), 0);
    assert_int_equal(lock_rig_count(&w, "/app/lock/locks"), 0);
    struct reeve_contenders *list;
    assert_int_equal(reeve_lock_holders(w.k[1].l, &list), REEVE_OK);
    assert_int_equal(list->n, 1);
    assert_string_equal((const char *)list->list[0].data, "c0");
    assert_int_equal(list->list[0].token, reeve_lock_token(w.k[0].l));
    reeve_contenders_free(&list);
    lock_rig_fini(&w);
}

static void kazoos_names_and_limit(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, REEVE_LAYOUT_KAZOO, 1, 2);
    assert_int_equal(reeve_lock_acquire(w.k[0].l, -1, NULL), REEVE_OK);
    const char *names = lock_rig_names(&w, "/app/lock");
    assert_int_equal(strspn(names, "0123456789abcdef"), 32);
    assert_string_equal(names + 32, " ");
    struct reeve_result r;
    assert_int_equal(reeve_get(w.k[0].zk, "/app/lock", NULL, &r), REEVE_OK);
    assert_string_equal((const char *)r.data, "2");
    reeve_result_fini(&r);
    struct reeve_lock *other;
    struct reeve_lock_options o = {.layout = REEVE_LAYOUT_KAZOO};
    assert_int_equal(reeve_semaphore_new(&other, w.k[0].zk, "/app/lock", 3, &o), REEVE_OK);
    assert_int_equal(reeve_lock_acquire(other, -1, NULL), REEVE_BAD_ARGUMENTS);
    reeve_lock_free(&other);
    assert_int_equal(reeve_semaphore_new(&other, w.k[0].zk, "/app/lock", 0, &o),
                     REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_semaphore_new(&other, w.k[0].zk, "/", 1, &o), REEVE_BAD_ARGUMENTS);
    lock_rig_fini(&w);
}

// Four clients and two leases; everybody takes one, holds it and gives it back.
static void play(struct lock_rig *w)
{
    for (size_t i = 0; i < w->n; i++) {
        contender_acquire(&w->k[i], -1);
    }
    for (int i = 0; i < 200 && w->grants < (int)w->n; i++) {
        crig_advance(w->c, 300);
        struct contender *k = a_holder(w);
        if (k) {
            contender_release(k);
        }
    }
    crig_advance(w->c, 1000);
    assert_int_equal(w->grants, w->n);
}

static void each_message_may_be_the_last(void **state)
{
    (void)state;
    for (enum reeve_layout layout = 0; layout <= REEVE_LAYOUT_KAZOO; layout++) {
        for (size_t victim = 0; victim < 3; victim += 2) {
            for (enum crig_way way = CRIG_TO_SERVER; way <= CRIG_TO_CLIENT; way++) {
                bool cut = true;
                for (size_t n = 0; cut; n++) {
                    struct lock_rig w;
                    setup(&w, layout, 4, 2);
                    crig_cut_after(w.c, w.k[victim].zk, way, n);
                    play(&w);
                    cut = crig_was_cut(w.c, w.k[victim].zk);
                    for (size_t i = 0; i < w.n; i++) {
                        assert_int_equal(w.k[i].lost + w.k[i].failed, 0);
                    }
                    lock_rig_fini(&w);
                }
            }
        }
    }
}

static void giving_up_is_possible_at_each_point(void **state)
{
    (void)state;
    for (enum reeve_layout layout = 0; layout <= REEVE_LAYOUT_KAZOO; layout++) {
        for (int how = 0; how < 3; how++) {
            for (int steps = 0; steps < 40; steps++) {
                struct lock_rig w;
                setup(&w, layout, 3, 1);
                contender_acquire(&w.k[0], -1);
                crig_run(w.c);
                contender_acquire(&w.k[1], -1);
                for (int i = 0; i < steps; i++) {
                    (void)crig_step(w.c);
                }
                if (how == 0) {
                    assert_int_equal(reeve_lock_cancel(w.k[1].l), REEVE_OK);
                } else if (how == 1) {
                    reeve_lock_free(&w.k[1].l);
                } else {
                    crig_close(w.c, &w.k[1].zk);
                    w.k[1].l = NULL;
                }
                crig_run(w.c);
                assert_false(w.k[1].asking);
                assert_int_equal(w.k[1].e, how == 2 ? REEVE_CLOSED : REEVE_CANCELLED);
                contender_acquire(&w.k[2], -1);
                contender_release(&w.k[0]);
                crig_run(w.c);
                assert_true(w.k[2].held);
                lock_rig_fini(&w);
            }
        }
    }
}

static void a_lease_of_a_lost_session_is_free(void **state)
{
    (void)state;
    for (enum reeve_layout layout = 0; layout <= REEVE_LAYOUT_KAZOO; layout++) {
        struct lock_rig w;
        setup(&w, layout, 3, 2);
        for (size_t i = 0; i < w.n; i++) {
            contender_acquire(&w.k[i], -1);
            crig_run(w.c);
        }
        assert_int_equal(count_held(&w), 2);
        crig_hold(w.c, w.k[0].zk, true); // the rig fails if three believe to have one
        crig_refuse(w.c, w.k[0].zk, true);
        crig_advance(w.c, 20000);
        assert_int_equal(w.k[0].lost, 1);
        assert_int_equal(w.k[0].why, REEVE_SESSION_EXPIRED);
        assert_true(w.k[2].held);
        crig_hold(w.c, w.k[0].zk, false);
        crig_refuse(w.c, w.k[0].zk, false);
        lock_rig_fini(&w);
    }
}

static void sessions_may_end_at_each_point(void **state)
{
    (void)state;
    for (enum reeve_layout layout = 0; layout <= REEVE_LAYOUT_KAZOO; layout++) {
        for (int steps = 0; steps < 60; steps++) {
            for (int victim = 0; victim < 2; victim++) {
                struct lock_rig w;
                setup(&w, layout, 2, 1);
                contender_acquire(&w.k[0], -1);
                contender_acquire(&w.k[1], -1);
                for (int i = 0; i < steps; i++) {
                    (void)crig_step(w.c);
                }
                w.limit = 2; // the server ends it by force: nobody's clock could tell before
                crig_expire(w.c, w.k[victim].zk);
                crig_advance(w.c, 5000);
                assert_int_equal(count_held(&w), 1);
                struct contender *first = a_holder(&w);
                struct contender *second = first == &w.k[0] ? &w.k[1] : &w.k[0];
                if (!second->asking) {
                    assert_int_equal(second->lost, 1);
                    contender_acquire(second, -1);
                }
                contender_release(first);
                crig_advance(w.c, 5000);
                assert_true(second->held);
                lock_rig_fini(&w);
            }
        }
    }
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    for (enum reeve_layout layout = 0; layout <= REEVE_LAYOUT_KAZOO; layout++) {
        bool failed = true;
        for (size_t n = 1; failed; n++) {
            struct lock_rig w;
            setup(&w, layout, 2, 1);
            crig_fail_alloc(w.c, n, 1);
            contender_acquire(&w.k[0], -1);
            contender_acquire(&w.k[1], -1);
            for (int i = 0; i < 3; i++) {
                crig_advance(w.c, 2000);
                struct contender *k = a_holder(&w);
                if (k) {
                    contender_release(k);
                }
            }
            for (int i = 0; i < 2; i++) {
                assert_false(w.k[i].asking);
                assert_true(w.k[i].granted || w.k[i].e == REEVE_NO_MEMORY);
            }
            failed = crig_alloc_failed(w.c);
            crig_fail_alloc(w.c, 0, 0);
            assert_int_equal(reeve_lock_acquire(w.k[0].l, 20000, NULL), REEVE_OK);
            assert_int_equal(reeve_lock_release(w.k[0].l), REEVE_OK);
            lock_rig_fini(&w);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_the_limit_hold_one),
        cmocka_unit_test(a_lease_that_is_made_late_is_not_counted),
        cmocka_unit_test(curators_names),
        cmocka_unit_test(kazoos_names_and_limit),
        cmocka_unit_test(each_message_may_be_the_last),
        cmocka_unit_test(giving_up_is_possible_at_each_point),
        cmocka_unit_test(a_lease_of_a_lost_session_is_free),
        cmocka_unit_test(sessions_may_end_at_each_point),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
