// SPDX-License-Identifier: Apache-2.0
//
// Elections on one server: never two who believe to lead, somebody always does in the end, and
// observers see who it is.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/must.h"
#include "reeve/election.h"
#include "test/support/client_rig.h"

enum { N = 3 };

struct world;

struct candidate {
    struct world *w;
    struct reeve *zk;
    struct reeve_election *e;
    struct reeve_observer *ob;
    bool leads;
    int gained, lost, failed, waited, left;
    enum reeve_error why, waited_e, left_e;
    int64_t token;
    char sees[16]; // who leads, "-" nobody, "" nothing told yet
    int told;
    enum reeve_error ob_e;
};

struct world {
    struct crig *c;
    struct candidate k[N];
    int64_t last_token;
    bool may_be_two; // a session was ended by force
};

static void on_gained(void *ctx, int64_t token)
{
    struct candidate *k = ctx;
    must(!k->leads);
    k->leads = true;
    k->gained++;
    must(token > k->w->last_token);
    k->w->last_token = token;
    k->token = token;
    for (int i = 0; i < N; i++) {
        must(k == &k->w->k[i] || !k->w->k[i].leads || k->w->may_be_two);
    }
}

static void on_lost(void *ctx, enum reeve_error why)
{
    struct candidate *k = ctx;
    must(k->leads);
    k->leads = false;
    k->lost++;
    k->why = why;
}

static void on_failed(void *ctx, enum reeve_error why)
{
    struct candidate *k = ctx;
    k->failed++;
    k->why = why;
}

static void on_waited(void *ctx, enum reeve_error e, int64_t token)
{
    struct candidate *k = ctx;
    must((token > 0) == !e);
    k->waited++;
    k->waited_e = e;
}

static void on_left(void *ctx, enum reeve_error e)
{
    struct candidate *k = ctx;
    k->left++;
    k->left_e = e;
}

static void on_leader(void *ctx, enum reeve_error e, const struct reeve_contender *leader)
{
    struct candidate *k = ctx;
    must(!k->ob_e);
    k->ob_e = e;
    k->told++;
    snprintf(k->sees, sizeof(k->sees), "%s", leader ? (const char *)leader->data : "-");
}

static void setup(struct world *w, enum reeve_election_layout layout)
{
    *w = (struct world){.c = crig_new()};
    for (int i = 0; i < N; i++) {
        struct candidate *k = &w->k[i];
        char id[16];
        snprintf(id, sizeof(id), "c%d", i);
        k->w = w;
        k->zk = crig_client(w->c, NULL);
        struct reeve_election_options o = {.layout = layout,
                                           .id = id,
                                           .gained = on_gained,
                                           .lost = on_lost,
                                           .failed = on_failed,
                                           .ctx = k};
        assert_int_equal(reeve_election_new(&k->e, k->zk, "/app/leader", &o), REEVE_OK);
        assert_int_equal(reeve_election_observe(&k->ob, k->zk, "/app/leader", layout, on_leader, k),
                         REEVE_OK);
    }
    crig_run(w->c);
}

static void join(struct world *w, int i)
{
    while (reeve_election_join(w->k[i].e)) {
    }
    crig_run(w->c);
}

static void teardown(struct world *w)
{
    crig_fail_alloc(w->c, 0, 0);
    for (int i = 0; i < N; i++) {
        reeve_election_free(&w->k[i].e);
        reeve_observer_free(&w->k[i].ob);
    }
    crig_advance(w->c, 15000);
    assert_int_equal(crig_children(w->c, "/app/leader"), 0);
    crig_free(&w->c);
}

static int leader(const struct world *w)
{
    for (int i = 0; i < N; i++) {
        if (w->k[i].leads) {
            return i;
        }
    }
    return -1;
}

static void all_see(struct world *w, const char *id)
{
    for (int i = 0; i < N; i++) {
        assert_string_equal(w->k[i].sees, id);
    }
}

static void the_first_leads_and_the_next_follows(void **state)
{
    (void)state;
    static const char *const marks[] = {"-latch-0000000000", "-lock-0000000000",
                                        "__lock__0000000000"};
    for (enum reeve_election_layout layout = 0; layout <= REEVE_ELECTION_KAZOO; layout++) {
        struct world w;
        setup(&w, layout);
        all_see(&w, "-");
        for (int i = 0; i < N; i++) {
            join(&w, i);
        }
        assert_int_equal(leader(&w), 0);
        all_see(&w, "c0");
        struct reeve_contenders *list;
        assert_int_equal(reeve_election_participants(w.k[2].e, &list), REEVE_OK);
        assert_int_equal(list->n, 3);
        assert_non_null(strstr(list->list[0].name, marks[layout]));
        assert_string_equal((const char *)list->list[2].data, "c2");
        assert_int_equal(list->list[0].token, reeve_election_token(w.k[0].e));
        reeve_contenders_free(&list);
        w.k[0].leads = false;
        assert_int_equal(reeve_election_resign(w.k[0].e), REEVE_OK);
        crig_run(w.c);
        assert_int_equal(leader(&w), 1);
        all_see(&w, "c1");
        w.k[1].leads = false;
        assert_int_equal(reeve_election_leave(w.k[1].e), REEVE_OK);
        assert_int_equal(reeve_election_leave(w.k[1].e), REEVE_NO_NODE);
        crig_run(w.c);
        assert_int_equal(leader(&w), 2);
        all_see(&w, "c2");
        w.k[2].leads = false;
        assert_int_equal(reeve_election_leave(w.k[2].e), REEVE_OK);
        crig_run(w.c);
        assert_int_equal(leader(&w), 0); // stood in line again when it resigned
        all_see(&w, "c0");
        assert_int_equal(w.k[0].lost + w.k[1].lost + w.k[2].lost, 0);
        teardown(&w);
    }
}

static void waiting_to_lead(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_ELECTION_LATCH);
    int64_t token;
    assert_int_equal(reeve_election_wait(w.k[0].e, 1000, &token), REEVE_NO_NODE);
    assert_int_equal(token, 0);
    join(&w, 0);
    assert_int_equal(reeve_election_wait(w.k[0].e, 1000, &token), REEVE_OK);
    assert_int_equal(token, w.k[0].token);
    join(&w, 1);
    assert_int_equal(reeve_election_wait(w.k[1].e, 1000, &token), REEVE_OPERATION_TIMEOUT);
    assert_int_equal(reeve_election_wait_async(w.k[1].e, -1, on_waited, &w.k[1]), REEVE_OK);
    assert_int_equal(reeve_election_wait_async(w.k[1].e, 5000, on_waited, &w.k[1]), REEVE_OK);
    crig_run(w.c);
    assert_int_equal(w.k[1].waited, 0);
    w.k[0].leads = false;
    reeve_election_free(&w.k[0].e);
    crig_run(w.c);
    assert_int_equal(w.k[1].waited, 2);
    assert_int_equal(w.k[1].waited_e, REEVE_OK);
    join(&w, 2);
    assert_int_equal(reeve_election_wait_async(w.k[2].e, -1, on_waited, &w.k[2]), REEVE_OK);
    reeve_election_free(&w.k[2].e);
    crig_run(w.c);
    assert_int_equal(w.k[2].waited, 1);
    assert_int_equal(w.k[2].waited_e, REEVE_CANCELLED);
    teardown(&w);
}

static void a_lost_leader_is_told_before_the_next_leads(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_ELECTION_LATCH);
    for (int i = 0; i < N; i++) {
        join(&w, i);
    }
    crig_hold(w.c, w.k[0].zk, true); // on_gained fails if two lead
    crig_refuse(w.c, w.k[0].zk, true);
    crig_advance(w.c, 20000);
    assert_int_equal(leader(&w), 1);
    assert_int_equal(w.k[0].lost, 1);
    assert_int_equal(w.k[0].why, REEVE_SESSION_EXPIRED);
    assert_string_equal(w.k[2].sees, "c1");
    crig_hold(w.c, w.k[0].zk, false);
    crig_refuse(w.c, w.k[0].zk, false);
    crig_advance(w.c, 5000);
    all_see(&w, "c1");
    w.k[1].leads = w.k[2].leads = false;
    reeve_election_free(&w.k[1].e);
    reeve_election_free(&w.k[2].e);
    crig_run(w.c);
    assert_int_equal(leader(&w), 0);
    assert_int_equal(w.k[0].gained, 2);
    teardown(&w);
}

static void observers_need_no_path(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_ELECTION_LATCH);
    all_see(&w, "-");
    assert_int_equal(w.k[0].told, 1);
    assert_int_equal(reeve_create(w.k[0].zk, "/app", NULL, 0, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_create(w.k[0].zk, "/app/leader", NULL, 0, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_create(w.k[0].zk, "/app/leader/x", NULL, 0, 0, NULL), REEVE_OK);
    crig_run(w.c);
    all_see(&w, "-");
    assert_int_equal(w.k[0].told, 1);
    join(&w, 1);
    all_see(&w, "c1");
    assert_int_equal(reeve_delete(w.k[0].zk, "/app/leader/x", REEVE_ANY_VERSION, NULL), REEVE_OK);
    crig_close(w.c, &w.k[0].zk);
    w.k[0].e = NULL;
    w.k[0].ob = NULL;
    assert_int_equal(w.k[0].ob_e, REEVE_CLOSED);
    teardown(&w);
}

// Those who wait do not wake observers.
static void an_observer_watches_the_leader_only(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_ELECTION_LATCH);
    join(&w, 0);
    size_t before = crig_messages(w.c, w.k[2].zk, CRIG_TO_CLIENT);
    join(&w, 1);
    assert_int_equal(reeve_election_leave(w.k[1].e), REEVE_OK);
    crig_run(w.c);
    assert_int_equal(crig_messages(w.c, w.k[2].zk, CRIG_TO_CLIENT), before);
    teardown(&w);
}

// Two candidates; one is cut off after each message, then the leader leaves.
static void each_message_may_be_the_last(void **state)
{
    (void)state;
    for (int victim = 0; victim < 2; victim++) {
        for (enum crig_way way = CRIG_TO_SERVER; way <= CRIG_TO_CLIENT; way++) {
            bool cut = true;
            for (size_t n = 0; cut; n++) {
                struct world w;
                setup(&w, REEVE_ELECTION_LATCH);
                crig_cut_after(w.c, w.k[victim].zk, way, n);
                join(&w, 0);
                join(&w, 1);
                crig_advance(w.c, 3000);
                int first = leader(&w);
                assert_true(first == 0 || first == 1);
                w.k[first].leads = false;
                assert_int_equal(reeve_election_leave_async(w.k[first].e, on_left, &w.k[first]),
                                 REEVE_OK);
                crig_advance(w.c, 3000);
                assert_int_equal(leader(&w), 1 - first);
                assert_int_equal(w.k[first].left, 1);
                assert_int_equal(w.k[first].left_e, REEVE_OK);
                all_see(&w, first ? "c0" : "c1");
                assert_int_equal(w.k[0].lost + w.k[1].lost, 0);
                cut = crig_was_cut(w.c, w.k[victim].zk);
                teardown(&w);
            }
        }
    }
}

// A server whose disk is full refuses writes until there is space; nobody drops out.
static void a_full_disk_is_waited_for(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_ELECTION_LATCH);
    crig_server(w.c)->refuse = true;
    join(&w, 0);
    crig_advance(w.c, 3000);
    assert_int_equal(w.k[0].gained, 0);
    crig_server(w.c)->refuse = false;
    crig_advance(w.c, 1000);
    assert_true(w.k[0].leads);
    // What it gives up while the disk is full is given up as soon as there is space.
    join(&w, 1);
    crig_run(w.c);
    crig_server(w.c)->refuse = true;
    assert_int_equal(reeve_election_resign(w.k[0].e), REEVE_OK);
    w.k[0].leads = false;
    crig_advance(w.c, 1000);
    assert_false(w.k[1].leads);
    crig_server(w.c)->refuse = false;
    crig_advance(w.c, 1000);
    assert_true(w.k[1].leads);
    assert_int_equal(w.k[0].failed + w.k[1].failed, 0);
    teardown(&w);
}

static void sessions_may_end_at_each_point(void **state)
{
    (void)state;
    for (int victim = 0; victim < 2; victim++) {
        for (int steps = 0; steps < 40; steps++) {
            struct world w;
            setup(&w, REEVE_ELECTION_LATCH);
            w.may_be_two = true;
            assert_int_equal(reeve_election_join(w.k[0].e), REEVE_OK);
            assert_int_equal(reeve_election_join(w.k[1].e), REEVE_OK);
            for (int i = 0; i < steps; i++) {
                (void)crig_step(w.c);
            }
            crig_expire(w.c, w.k[victim].zk);
            crig_advance(w.c, 5000);
            assert_int_equal(w.k[0].leads + w.k[1].leads, 1);
            all_see(&w, w.k[0].leads ? "c0" : "c1");
            assert_int_equal(w.k[0].failed + w.k[1].failed, 0);
            teardown(&w);
        }
    }
}

static void it_may_be_freed_at_each_point(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        for (int steps = 0; steps < 30; steps++) {
            struct world w;
            setup(&w, REEVE_ELECTION_LATCH);
            join(&w, 1);
            assert_int_equal(reeve_election_join(w.k[0].e), REEVE_OK);
            assert_int_equal(reeve_election_wait_async(w.k[0].e, -1, on_waited, &w.k[0]), REEVE_OK);
            for (int i = 0; i < steps; i++) {
                (void)crig_step(w.c);
            }
            if (how) {
                crig_close(w.c, &w.k[0].zk);
                w.k[0].e = NULL;
                w.k[0].ob = NULL;
            } else {
                reeve_election_free(&w.k[0].e);
                reeve_observer_free(&w.k[0].ob);
            }
            crig_run(w.c);
            assert_int_equal(w.k[0].waited, 1);
            assert_int_equal(w.k[0].waited_e, how ? REEVE_CLOSED : REEVE_CANCELLED);
            join(&w, 2);
            w.k[1].leads = false;
            reeve_election_free(&w.k[1].e);
            crig_run(w.c);
            assert_int_equal(leader(&w), 2);
            teardown(&w);
        }
    }
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct world w;
        setup(&w, REEVE_ELECTION_LATCH);
        crig_fail_alloc(w.c, n, 1);
        join(&w, 0);
        join(&w, 1);
        crig_advance(w.c, 5000);
        int first = leader(&w);
        assert_true(first >= 0);
        w.k[first].leads = false;
        while (reeve_election_resign(w.k[first].e)) {
        }
        crig_advance(w.c, 5000);
        int second = leader(&w); // who found no memory may have lost its place
        assert_true(second >= 0);
        all_see(&w, second ? "c1" : "c0");
        failed = crig_alloc_failed(w.c);
        teardown(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_leads_and_the_next_follows),
        cmocka_unit_test(waiting_to_lead),
        cmocka_unit_test(a_lost_leader_is_told_before_the_next_leads),
        cmocka_unit_test(observers_need_no_path),
        cmocka_unit_test(an_observer_watches_the_leader_only),
        cmocka_unit_test(each_message_may_be_the_last),
        cmocka_unit_test(a_full_disk_is_waited_for),
        cmocka_unit_test(sessions_may_end_at_each_point),
        cmocka_unit_test(it_may_be_freed_at_each_point),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
