// SPDX-License-Identifier: Apache-2.0
//
// Locks of several clients on one server: who has it when, and what is left behind, with everything
// that can go wrong at each point of the conversation. The rig (lock_rig.h) checks after every
// callback that at most one believes to have it and that tokens grow.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/lock_rig.h"

static const enum lock_rig_kind locks[] = {LOCK_RIG_LOCK};

static void setup(struct lock_rig *w, size_t n)
{
    lock_rig_init(w, n, REEVE_LAYOUT_CURATOR, 1, locks, 1);
}

// Until somebody among all has a callback that was not there before, or time is up.
static void advance_until(struct lock_rig *w, const bool *done)
{
    for (int i = 0; i < 600 && !*done; i++) {
        crig_advance(w->c, 100);
    }
    assert_true(*done);
}

// ---- plain life ---------------------------------------------------------------------------------

static void one_client_takes_and_gives_back(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, 1);
    struct contender *k = &w.k[0];
    assert_int_equal(reeve_lock_token(k->l), 0);
    int64_t token = 0;
    assert_int_equal(reeve_lock_acquire(k->l, -1, &token), REEVE_OK);
    assert_true(token > 0);
    assert_int_equal(reeve_lock_token(k->l), token);
    const char *names = lock_rig_names(&w, "/app/lock");
    assert_non_null(strstr(names, "-lock-0000000000"));
    assert_int_equal(strncmp(names, "_c_", 3), 0);
    assert_int_equal(strspn(names + 3, "0123456789abcdef-"), 37);
    assert_int_equal(reeve_lock_acquire(k->l, -1, NULL), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_lock_release(k->l), REEVE_OK);
    assert_int_equal(reeve_lock_token(k->l), 0);
    assert_int_equal(reeve_lock_release(k->l), REEVE_NO_NODE);
    assert_int_equal(lock_rig_count(&w, "/app/lock"), 0);
    int64_t second = 0;
    assert_int_equal(reeve_lock_acquire(k->l, 0, &second), REEVE_OK);
    assert_true(second > token);
    assert_int_equal(reeve_lock_release(k->l), REEVE_OK);
    assert_int_equal(k->lost, 0);
    lock_rig_fini(&w);
}

static void names_are_kazoos_in_its_layout(void **state)
{
    (void)state;
    struct lock_rig w;
    lock_rig_init(&w, 1, REEVE_LAYOUT_KAZOO, 1, locks, 1);
    assert_int_equal(reeve_lock_acquire(w.k[0].l, -1, NULL), REEVE_OK);
    const char *names = lock_rig_names(&w, "/app/lock");
    assert_int_equal(strspn(names, "0123456789abcdef"), 32);
    assert_string_equal(names + 32, "__lock__0000000000 ");
    lock_rig_fini(&w);
}

static void first_come_first_served(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, 5);
    for (size_t i = 0; i < w.n; i++) {
        contender_acquire(&w.k[i], -1);
        crig_run(w.c);
    }
    for (size_t i = 0; i < w.n; i++) {
        assert_true(w.k[i].held);
        assert_int_equal(w.k[i].order, i + 1);
        contender_release(&w.k[i]);
        crig_run(w.c);
        assert_int_equal(w.k[i].released, 1);
        assert_int_equal(w.k[i].released_e, REEVE_OK);
    }
    lock_rig_fini(&w);
}

static void a_release_wakes_exactly_one(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, LOCK_RIG_MAX);
    for (size_t i = 0; i < w.n; i++) {
        contender_acquire(&w.k[i], -1);
        crig_run(w.c);
    }
    size_t to_client[LOCK_RIG_MAX];
    size_t to_server[LOCK_RIG_MAX];
    for (size_t i = 0; i < w.n; i++) {
        to_client[i] = crig_messages(w.c, w.k[i].zk, CRIG_TO_CLIENT);
        to_server[i] = crig_messages(w.c, w.k[i].zk, CRIG_TO_SERVER);
    }
    contender_release(&w.k[0]);
    crig_run(w.c);
    assert_true(w.k[1].held);
    // The releaser: one request; its answer, and the notification of its own node's end.
    assert_int_equal(crig_messages(w.c, w.k[0].zk, CRIG_TO_SERVER) - to_server[0], 1);
    assert_int_equal(crig_messages(w.c, w.k[0].zk, CRIG_TO_CLIENT) - to_client[0], 2);
    // The next: a notification, and the names.
    assert_int_equal(crig_messages(w.c, w.k[1].zk, CRIG_TO_SERVER) - to_server[1], 1);
    assert_int_equal(crig_messages(w.c, w.k[1].zk, CRIG_TO_CLIENT) - to_client[1], 2);
    for (size_t i = 2; i < w.n; i++) {
        assert_int_equal(crig_messages(w.c, w.k[i].zk, CRIG_TO_SERVER), to_server[i]);
        assert_int_equal(crig_messages(w.c, w.k[i].zk, CRIG_TO_CLIENT), to_client[i]);
    }
    lock_rig_fini(&w);
}

static void contenders_are_listed_in_order(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, 3);
    struct reeve_contenders *list;
    assert_int_equal(reeve_lock_holders(w.k[0].l, &list), REEVE_OK);
    assert_int_equal(list->n, 0);
    reeve_contenders_free(&list);
    for (size_t i = 0; i < w.n; i++) {
        contender_acquire(&w.k[2 - i], -1);
        crig_run(w.c);
    }
    assert_int_equal(reeve_lock_holders(w.k[0].l, &list), REEVE_OK);
    assert_int_equal(list->n, 3);
    for (size_t i = 0; i < 3; i++) {
        struct reeve_session s;
        reeve_get_session(w.k[2 - i].zk, &s);
        assert_int_equal(list->list[i].data_len, 2);
        assert_int_equal(((const char *)list->list[i].data)[1], '2' - (int)i);
        assert_int_equal(list->list[i].session, s.id);
        assert_false(list->list[i].shared);
    }
    assert_int_equal(list->list[0].token, reeve_lock_token(w.k[2].l));
    reeve_contenders_free(&list);
    lock_rig_fini(&w);
}

static void two_layouts_exclude_each_other(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, 1);
    struct reeve *zk = crig_client(w.c, NULL);
    struct reeve_lock *other;
    struct reeve_lock_options o = {.layout = REEVE_LAYOUT_KAZOO};
    assert_int_equal(reeve_lock_new(&other, zk, "/app/lock", &o), REEVE_OK);
    assert_int_equal(reeve_lock_acquire(other, -1, NULL), REEVE_OK);
    assert_int_equal(reeve_lock_acquire(w.k[0].l, 0, NULL), REEVE_OPERATION_TIMEOUT);
    assert_int_equal(reeve_lock_release(other), REEVE_OK);
    assert_int_equal(reeve_lock_acquire(w.k[0].l, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_lock_acquire(other, 0, NULL), REEVE_OPERATION_TIMEOUT);
    reeve_lock_free(&other);
    crig_close(w.c, &zk);
    lock_rig_fini(&w);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, 1);
    struct reeve_lock *l;
    const char *bad[] = {NULL, "", "x", "/x/", "//x", "/x//y", "/./x", "/x/.."};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(reeve_lock_new(&l, w.k[0].zk, bad[i], NULL), REEVE_BAD_ARGUMENTS);
        assert_null(l);
    }
    struct reeve_lock_options o = {.payload_len = 3};
    assert_int_equal(reeve_lock_new(&l, w.k[0].zk, "/x", &o), REEVE_BAD_ARGUMENTS);
    o = (struct reeve_lock_options){.layout = (enum reeve_layout)7};
    assert_int_equal(reeve_lock_new(&l, w.k[0].zk, "/x", &o), REEVE_BAD_ARGUMENTS);
    lock_rig_fini(&w);
}

// ---- giving up ----------------------------------------------------------------------------------

static void waiting_ends_in_time(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, 3);
    contender_acquire(&w.k[0], -1);
    crig_run(w.c);
    int64_t before = crig_now_ms(w.c);
    assert_int_equal(reeve_lock_acquire(w.k[1].l, 1500, NULL), REEVE_OPERATION_TIMEOUT);
    assert_in_range(crig_now_ms(w.c) - before, 1500, 1600);
    contender_acquire(&w.k[1], -1);
    contender_acquire(&w.k[2], -1);
    crig_run(w.c);
    assert_int_equal(reeve_lock_cancel(w.k[1].l), REEVE_OK);
    crig_run(w.c);
    assert_int_equal(w.k[1].e, REEVE_CANCELLED);
    contender_release(&w.k[0]);
    crig_run(w.c);
    assert_true(w.k[2].held);
    assert_int_equal(lock_rig_count(&w, "/app/lock"), 1);
    lock_rig_fini(&w);
}

// Cancel, free or a second acquire after each message of the conversation.
static void giving_up_is_possible_at_each_point(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        for (int steps = 0; steps < 24; steps++) {
            struct lock_rig w;
            setup(&w, 3);
            contender_acquire(&w.k[0], -1);
            crig_run(w.c);
            contender_acquire(&w.k[1], -1);
            for (int i = 0; i < steps; i++) {
                (void)crig_step(w.c);
            }
            contender_acquire(&w.k[2], -1);
            if (how == 0) {
                assert_int_equal(reeve_lock_cancel(w.k[1].l), REEVE_OK);
            } else if (how == 1) {
                reeve_lock_free(&w.k[1].l);
            } else {
                crig_close(w.c, &w.k[1].zk);
                w.k[1].l = NULL; // went with its client
            }
            crig_run(w.c);
            assert_false(w.k[1].asking);
            assert_int_equal(w.k[1].e, how == 2 ? REEVE_CLOSED : REEVE_CANCELLED);
            contender_release(&w.k[0]);
            crig_run(w.c);
            assert_true(w.k[2].held);
            lock_rig_fini(&w);
        }
    }
}

// ---- lost connections ---------------------------------------------------------------------------

// a has it, b waits, a gives it back, b has it and gives it back; then a once more.
static void play(struct lock_rig *w)
{
    struct contender *a = &w->k[0];
    struct contender *b = &w->k[1];
    contender_acquire(a, -1);
    advance_until(w, &a->held);
    contender_acquire(b, -1);
    crig_advance(w->c, 300);
    if (a->held) {
        contender_release(a);
    }
    advance_until(w, &b->held);
    contender_release(b);
    contender_acquire(a, -1);
    advance_until(w, &a->held);
}

static void each_message_may_be_the_last(void **state)
{
    (void)state;
    for (int victim = 0; victim < 2; victim++) {
        for (enum crig_way way = CRIG_TO_SERVER; way <= CRIG_TO_CLIENT; way++) {
            bool cut = true;
            for (size_t n = 0; cut; n++) {
                struct lock_rig w;
                setup(&w, 2);
                crig_cut_after(w.c, w.k[victim].zk, way, n);
                play(&w);
                cut = crig_was_cut(w.c, w.k[victim].zk);
                assert_int_equal(w.k[0].granted, 2);
                assert_int_equal(w.k[1].granted, 1);
                assert_int_equal(w.k[0].lost + w.k[1].lost, 0);
                assert_int_equal(w.k[0].failed + w.k[1].failed, 0);
                assert_int_equal(lock_rig_count(&w, "/app/lock"), 1);
                lock_rig_fini(&w);
            }
        }
    }
}

static void each_byte_may_be_the_last(void **state)
{
    (void)state;
    bool cut = true;
    for (size_t n = 0; cut; n += 17) {
        struct lock_rig w;
        setup(&w, 2);
        crig_pieces(w.c, 64);
        crig_cut_after_bytes(w.c, w.k[1].zk, n % 2 ? CRIG_TO_CLIENT : CRIG_TO_SERVER, n);
        play(&w);
        cut = crig_was_cut(w.c, w.k[1].zk);
        assert_int_equal(lock_rig_count(&w, "/app/lock"), 1);
        lock_rig_fini(&w);
    }
}

// ---- lost sessions ------------------------------------------------------------------------------

static void the_holder_is_told_before_the_next_has_it(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, 2);
    contender_acquire(&w.k[0], -1);
    crig_run(w.c);
    contender_acquire(&w.k[1], -1);
    crig_run(w.c);
    crig_hold(w.c, w.k[0].zk, true); // the rig's check fails if both believe to have it
    crig_refuse(w.c, w.k[0].zk, true);
    advance_until(&w, &w.k[1].held);
    assert_int_equal(w.k[0].lost, 1);
    assert_int_equal(w.k[0].why, REEVE_SESSION_EXPIRED);
    assert_int_equal(reeve_lock_token(w.k[0].l), 0);
    assert_true(w.k[1].token > w.k[0].token);
    crig_hold(w.c, w.k[0].zk, false);
    crig_refuse(w.c, w.k[0].zk, false);
    contender_acquire(&w.k[0], -1);
    crig_advance(w.c, 5000);
    assert_true(w.k[0].asking);
    contender_release(&w.k[1]);
    advance_until(&w, &w.k[0].held);
    lock_rig_fini(&w);
}

static void a_stopped_holder_hears_it_first_of_all(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, 2);
    contender_acquire(&w.k[0], -1);
    crig_run(w.c);
    contender_acquire(&w.k[1], -1);
    crig_run(w.c);
    crig_stop(w.c, w.k[0].zk, true);
    w.limit = 2; // it cannot be told while it is stopped, so both believe it for a while
    w.k[0].kind = LOCK_RIG_LEASE;
    advance_until(&w, &w.k[1].held);
    assert_true(w.k[0].held);
    contender_release(&w.k[0]); // what it does as soon as it runs again
    w.k[0].held = true;
    crig_stop(w.c, w.k[0].zk, false);
    crig_run(w.c);
    assert_int_equal(w.k[0].lost, 1);
    assert_int_equal(w.k[0].released_e, REEVE_NO_NODE);
    assert_true(w.k[1].token > w.k[0].token);
    lock_rig_fini(&w);
}

// The session of one of two ends at each point of the conversation.
static void a_session_may_end_at_each_point(void **state)
{
    (void)state;
    for (int steps = 0; steps < 40; steps++) {
        for (int victim = 0; victim < 2; victim++) {
            struct lock_rig w;
            setup(&w, 2);
            contender_acquire(&w.k[0], -1);
            contender_acquire(&w.k[1], -1);
            for (int i = 0; i < steps; i++) {
                (void)crig_step(w.c);
            }
            w.limit = 2; // the server ends it by force: nobody's clock could tell before
            w.k[0].kind = LOCK_RIG_LEASE;
            crig_expire(w.c, w.k[victim].zk);
            crig_advance(w.c, 5000);
            struct contender *first = w.k[0].held ? &w.k[0] : &w.k[1];
            struct contender *second = w.k[0].held ? &w.k[1] : &w.k[0];
            assert_true(first->held);
            assert_false(second->held);
            if (!second->asking) {
                assert_int_equal(second->lost, 1);
                contender_acquire(second, -1);
            }
            crig_advance(w.c, 1000);
            contender_release(first);
            advance_until(&w, &second->held);
            assert_int_equal(lock_rig_count(&w, "/app/lock"), 1);
            lock_rig_fini(&w);
        }
    }
}

static void a_node_that_somebody_deletes_is_lost(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, 2);
    contender_acquire(&w.k[0], -1);
    crig_run(w.c);
    contender_acquire(&w.k[1], -1);
    crig_run(w.c);
    struct reeve_contenders *list;
    assert_int_equal(reeve_lock_holders(w.k[0].l, &list), REEVE_OK);
    assert_int_equal(list->n, 2);
    char path[2][128];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path[i], sizeof(path[i]), "/app/lock/%s", list->list[i].name);
    }
    reeve_contenders_free(&list);
    struct reeve *zk = crig_client(w.c, NULL);
    // The one who waits stands in line anew.
    assert_int_equal(reeve_delete(zk, path[1], REEVE_ANY_VERSION, NULL), REEVE_OK);
    crig_run(w.c);
    assert_true(w.k[1].asking);
    assert_int_equal(lock_rig_count(&w, "/app/lock"), 2);
    // Data that changes is nobody's business.
    assert_int_equal(reeve_set(zk, path[0], "x", 1, REEVE_ANY_VERSION, NULL), REEVE_OK);
    crig_run(w.c);
    assert_true(w.k[0].held);
    w.limit = 2; // who hears of the deletion first is the server's choice
    w.k[0].kind = LOCK_RIG_LEASE;
    assert_int_equal(reeve_delete(zk, path[0], REEVE_ANY_VERSION, NULL), REEVE_OK);
    crig_run(w.c);
    assert_int_equal(w.k[0].lost, 1);
    assert_int_equal(w.k[0].why, REEVE_NO_NODE);
    assert_true(w.k[1].held);
    crig_close(w.c, &zk);
    lock_rig_fini(&w);
}

// ---- nodes that are made late
// --------------------------------------------------------------------

// The write of a lost connection may be executed after everybody thought it was not.
static void make_late(struct contender *k, const char *name)
{
    char path[128];
    int n = (int)strlen(name) - 10;
    snprintf(path, sizeof(path), "/app/lock/%.*s", n, name);
    assert_int_equal(reeve_create(k->zk, path, NULL, 0, REEVE_EPHEMERAL | REEVE_SEQUENTIAL, NULL),
                     REEVE_OK);
}

static void get_name(struct contender *k, size_t i, char *name, size_t max)
{
    struct reeve_contenders *list;
    assert_int_equal(reeve_lock_holders(k->l, &list), REEVE_OK);
    assert_true(list->n > i);
    snprintf(name, max, "%s", list->list[i].name);
    reeve_contenders_free(&list);
}

static void a_node_that_is_made_late_stops_nobody(void **state)
{
    (void)state;
    char name[128];
    struct lock_rig w;
    setup(&w, 3);
    contender_acquire(&w.k[0], -1);
    crig_run(w.c);
    // Late while it waits: in line before another one.
    crig_cut_after(w.c, w.k[1].zk, CRIG_TO_SERVER, 0);
    contender_acquire(&w.k[1], -1);
    crig_advance(w.c, 3000);
    assert_true(crig_was_cut(w.c, w.k[1].zk));
    get_name(&w.k[1], 1, name, sizeof(name));
    make_late(&w.k[1], name);
    contender_acquire(&w.k[2], -1);
    crig_run(w.c);
    assert_int_equal(lock_rig_count(&w, "/app/lock"), 4);
    contender_release(&w.k[0]);
    crig_run(w.c);
    assert_true(w.k[1].held);
    assert_int_equal(lock_rig_count(&w, "/app/lock"), 2);
    // Late while it has the lock.
    make_late(&w.k[1], name);
    contender_release(&w.k[1]);
    crig_run(w.c);
    assert_int_equal(w.k[1].released_e, REEVE_OK);
    assert_true(w.k[2].held);
    assert_int_equal(lock_rig_count(&w, "/app/lock"), 1);
    // Late behind everything: the next time it is recognised.
    make_late(&w.k[1], name);
    contender_acquire(&w.k[1], -1);
    crig_run(w.c);
    contender_acquire(&w.k[0], -1);
    crig_run(w.c);
    contender_release(&w.k[2]);
    crig_run(w.c);
    assert_true(w.k[1].held);
    contender_release(&w.k[1]);
    crig_run(w.c);
    assert_true(w.k[0].held);
    assert_int_equal(lock_rig_count(&w, "/app/lock"), 1);
    lock_rig_fini(&w);
}

// ---- memory -------------------------------------------------------------------------------------

// What could not even be put off is done at the next call.
static void poke(struct lock_rig *w)
{
    for (int i = 0; i < 30; i++) {
        for (size_t j = 0; j < w->n; j++) {
            if (!w->k[j].asking) {
                (void)reeve_lock_cancel(w->k[j].l);
            }
        }
        crig_advance(w->c, 100);
    }
}

// Each allocation fails once, alone or with the 20 after it: whoever wanted the lock is told, or
// has it; and it can be had afterwards.
static void each_allocation_may_fail(void **state)
{
    (void)state;
    for (int row = 1; row <= 21; row += 20) {
        bool failed = true;
        for (size_t n = 1; failed; n++) {
            struct lock_rig w;
            setup(&w, 2);
            crig_fail_alloc(w.c, n, (size_t)row);
            contender_acquire(&w.k[0], -1);
            contender_acquire(&w.k[1], -1);
            crig_advance(w.c, 2000);
            for (int i = 0; i < 2; i++) {
                struct contender *k = &w.k[i];
                assert_true(k->held || k->asking || k->e == REEVE_NO_MEMORY);
                if (k->held) {
                    contender_release(k);
                }
            }
            poke(&w);
            crig_advance(w.c, 15000);
            for (int i = 0; i < 2; i++) {
                struct contender *k = &w.k[i];
                assert_false(k->asking);
                if (k->held) {
                    contender_release(k);
                    poke(&w);
                }
            }
            failed = crig_alloc_failed(w.c);
            crig_fail_alloc(w.c, 0, 0);
            assert_int_equal(reeve_lock_acquire(w.k[0].l, 20000, NULL), REEVE_OK);
            assert_int_equal(reeve_lock_release(w.k[0].l), REEVE_OK);
            lock_rig_fini(&w);
        }
    }
}

static void a_handle_may_not_be_made_for_want_of_memory(void **state)
{
    (void)state;
    struct crig *c = crig_new();
    struct reeve *zk = crig_client(c, NULL);
    enum reeve_error e = REEVE_NO_MEMORY;
    for (size_t n = 1; e; n++) {
        struct reeve_lock *l;
        size_t alive = crig_alive(c);
        crig_fail_alloc(c, n, 1);
        e = reeve_lock_new(&l, zk, "/x", NULL);
        assert_true(e == REEVE_OK || e == REEVE_NO_MEMORY);
        if (e) {
            assert_null(l);
            assert_int_equal(crig_alive(c), alive);
        }
        crig_fail_alloc(c, 0, 0);
        reeve_lock_free(&l);
    }
    crig_close(c, &zk);
    crig_free(&c);
}

// ---- company ------------------------------------------------------------------------------------

static void a_client_may_have_several(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, 1);
    struct reeve_lock *same;
    struct reeve_lock *other;
    assert_int_equal(reeve_lock_new(&same, w.k[0].zk, "/app/lock", NULL), REEVE_OK);
    assert_int_equal(reeve_lock_new(&other, w.k[0].zk, "/other", NULL), REEVE_OK);
    assert_int_equal(reeve_lock_acquire(w.k[0].l, -1, NULL), REEVE_OK);
    assert_int_equal(reeve_lock_acquire(other, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_lock_acquire(same, 0, NULL), REEVE_OPERATION_TIMEOUT);
    assert_int_equal(reeve_lock_release(w.k[0].l), REEVE_OK);
    assert_int_equal(reeve_lock_acquire(same, 0, NULL), REEVE_OK);
    reeve_lock_free(&same);
    reeve_lock_free(&other);
    lock_rig_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_client_takes_and_gives_back),
        cmocka_unit_test(names_are_kazoos_in_its_layout),
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(a_release_wakes_exactly_one),
        cmocka_unit_test(contenders_are_listed_in_order),
        cmocka_unit_test(two_layouts_exclude_each_other),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(waiting_ends_in_time),
        cmocka_unit_test(giving_up_is_possible_at_each_point),
        cmocka_unit_test(each_message_may_be_the_last),
        cmocka_unit_test(each_byte_may_be_the_last),
        cmocka_unit_test(the_holder_is_told_before_the_next_has_it),
        cmocka_unit_test(a_stopped_holder_hears_it_first_of_all),
        cmocka_unit_test(a_session_may_end_at_each_point),
        cmocka_unit_test(a_node_that_somebody_deletes_is_lost),
        cmocka_unit_test(a_node_that_is_made_late_stops_nobody),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(a_handle_may_not_be_made_for_want_of_memory),
        cmocka_unit_test(a_client_may_have_several),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
