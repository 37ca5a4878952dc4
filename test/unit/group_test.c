// SPDX-License-Identifier: Apache-2.0
//
// Members of a group on one server: nodes, lists that follow, joining again.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reeve/group.h"
#include "test/support/client_rig.h"

enum { N = 3 };

struct member {
    struct reeve *zk;
    struct reeve_group *g;
    char seen[1024]; // the list told last: "a=1 b=2 "
    int lists;
    int joined, failed;
    enum reeve_error e, why, list_e;
};

struct world {
    struct crig *c;
    struct member m[N];
};

static void print(char *text, size_t max, const struct reeve_contenders *list)
{
    size_t at = 0;
    text[0] = 0;
    for (size_t i = 0; i < list->n; i++) {
        at += (size_t)snprintf(text + at, max - at, "%s=%s ", list->list[i].name,
                               (const char *)list->list[i].data);
    }
}

static void on_members(void *ctx, enum reeve_error e, const struct reeve_contenders *list)
{
    struct member *m = ctx;
    m->list_e = e;
    m->lists++;
    if (!e) {
        print(m->seen, sizeof(m->seen), list);
    }
}

static void on_failed(void *ctx, enum reeve_error why)
{
    struct member *m = ctx;
    m->failed++;
    m->why = why;
}

static void on_done(void *ctx, enum reeve_error e)
{
    struct member *m = ctx;
    m->joined++;
    m->e = e;
}

static void make(struct world *w, struct member *m, enum reeve_layout layout, const char *id)
{
    m->zk = crig_client(w->c, NULL);
    struct reeve_group_options o = {.layout = layout,
                                    .id = id,
                                    .data = "1",
                                    .data_len = 1,
                                    .on_members = on_members,
                                    .failed = on_failed,
                                    .ctx = m};
    assert_int_equal(reeve_group_new(&m->g, m->zk, "/app/group", &o), REEVE_OK);
}

static void setup(struct world *w, enum reeve_layout layout)
{
    static const char *const ids[N] = {"a", "ab", "b"};
    *w = (struct world){.c = crig_new()};
    for (int i = 0; i < N; i++) {
        make(w, &w->m[i], layout, ids[i]);
    }
    crig_run(w->c);
}

static void teardown(struct world *w)
{
    for (int i = 0; i < N; i++) {
        reeve_group_free(&w->m[i].g);
    }
    crig_advance(w->c, 15000);
    assert_int_equal(crig_children(w->c, "/app/group"), 0);
    crig_free(&w->c);
}

static void members_come_and_go(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_LAYOUT_CURATOR);
    assert_int_equal(w.m[0].lists, 1); // nobody
    assert_string_equal(w.m[0].seen, "");
    assert_int_equal(reeve_group_join(w.m[0].g, -1), REEVE_OK);
    assert_int_equal(reeve_group_join(w.m[0].g, -1), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_group_join(w.m[2].g, 1000), REEVE_OK);
    crig_run(w.c);
    for (int i = 0; i < N; i++) {
        assert_string_equal(w.m[i].seen, "a=1 b=1 ");
    }
    assert_int_equal(reeve_group_join(w.m[1].g, 1000), REEVE_OK);
    assert_int_equal(reeve_group_set_data(w.m[1].g, "new", 3), REEVE_OK);
    crig_run(w.c);
    assert_string_equal(w.m[0].seen, "a=1 ab=new b=1 ");
    assert_int_equal(reeve_group_leave(w.m[0].g), REEVE_OK);
    assert_int_equal(reeve_group_leave(w.m[0].g), REEVE_NO_NODE);
    crig_run(w.c);
    assert_string_equal(w.m[2].seen, "ab=new b=1 ");
    struct reeve_contenders *list;
    assert_int_equal(reeve_group_members(w.m[0].g, &list), REEVE_OK);
    char text[256];
    print(text, sizeof(text), list);
    assert_string_equal(text, "ab=new b=1 ");
    reeve_contenders_free(&list);
    // Data set while out is what it joins with.
    assert_int_equal(reeve_group_set_data(w.m[0].g, "2", 1), REEVE_OK);
    assert_int_equal(reeve_group_join(w.m[0].g, -1), REEVE_OK);
    crig_run(w.c);
    assert_string_equal(w.m[1].seen, "a=2 ab=new b=1 ");
    teardown(&w);
}

static void kazoos_layout_has_its_names(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_LAYOUT_KAZOO);
    assert_int_equal(reeve_create(w.m[0].zk, "/app", NULL, 0, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_create(w.m[0].zk, "/app/group", NULL, 0, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_create(w.m[0].zk, "/app/group/other", NULL, 0, REEVE_EPHEMERAL, NULL),
                     REEVE_OK);
    assert_int_equal(reeve_group_join(w.m[1].g, -1), REEVE_OK);
    crig_run(w.c);
    assert_int_equal(strspn(w.m[0].seen, "0123456789abcdef"), 32);
    assert_string_equal(w.m[0].seen + 32, "__party__=1 ");
    assert_int_equal(reeve_delete(w.m[0].zk, "/app/group/other", REEVE_ANY_VERSION, NULL),
                     REEVE_OK);
    teardown(&w);
}

static void a_lost_session_is_followed_by_joining_again(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_LAYOUT_CURATOR);
    assert_int_equal(reeve_group_join(w.m[0].g, -1), REEVE_OK);
    assert_int_equal(reeve_group_join(w.m[1].g, -1), REEVE_OK);
    crig_hold(w.c, w.m[0].zk, true);
    crig_refuse(w.c, w.m[0].zk, true);
    crig_advance(w.c, 20000);
    assert_string_equal(w.m[1].seen, "ab=1 ");
    crig_hold(w.c, w.m[0].zk, false);
    crig_refuse(w.c, w.m[0].zk, false);
    crig_advance(w.c, 5000);
    assert_string_equal(w.m[1].seen, "a=1 ab=1 ");
    assert_string_equal(w.m[0].seen, "a=1 ab=1 ");
    crig_expire(w.c, w.m[1].zk);
    crig_advance(w.c, 5000);
    assert_string_equal(w.m[1].seen, "a=1 ab=1 ");
    assert_string_equal(w.m[0].seen, "a=1 ab=1 ");
    assert_int_equal(w.m[0].failed + w.m[1].failed, 0);
    teardown(&w);
}

static void a_node_that_somebody_deletes_is_made_again(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_LAYOUT_CURATOR);
    assert_int_equal(reeve_group_join(w.m[0].g, -1), REEVE_OK);
    assert_int_equal(reeve_group_set_data(w.m[0].g, "9", 1), REEVE_OK);
    assert_int_equal(reeve_delete(w.m[2].zk, "/app/group/a", REEVE_ANY_VERSION, NULL), REEVE_OK);
    crig_run(w.c);
    assert_string_equal(w.m[2].seen, "a=9 ");
    teardown(&w);
}

static void a_full_disk_is_waited_for(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_LAYOUT_CURATOR);
    crig_server(w.c)->refuse = true;
    assert_int_equal(reeve_group_join_async(w.m[0].g, -1, on_done, &w.m[0]), REEVE_OK);
    crig_advance(w.c, 2000);
    assert_int_equal(w.m[0].joined, 0);
    crig_server(w.c)->refuse = false;
    crig_advance(w.c, 1000);
    assert_int_equal(w.m[0].joined, 1);
    assert_int_equal(w.m[0].e, REEVE_OK);
    assert_string_equal(w.m[2].seen, "a=1 ");
    teardown(&w);
}

static void a_name_that_is_taken_is_waited_for(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_LAYOUT_CURATOR);
    struct member twin = {.lists = 0};
    make(&w, &twin, REEVE_LAYOUT_CURATOR, "a");
    assert_int_equal(reeve_group_join(w.m[0].g, -1), REEVE_OK);
    assert_int_equal(reeve_group_join(twin.g, 1000), REEVE_OPERATION_TIMEOUT);
    assert_int_equal(reeve_group_join_async(twin.g, -1, on_done, &twin), REEVE_OK);
    crig_run(w.c);
    assert_int_equal(twin.joined, 0);
    assert_int_equal(reeve_group_leave(w.m[0].g), REEVE_OK);
    crig_run(w.c);
    assert_int_equal(twin.joined, 1);
    assert_int_equal(twin.e, REEVE_OK);
    assert_string_equal(w.m[0].seen, "a=1 ");
    reeve_group_free(&twin.g);
    crig_run(w.c);
    crig_close(w.c, &twin.zk);
    teardown(&w);
}

// Its node goes and another one's comes while it cannot be told: it is no member as long as that
// one is, and takes nothing from it.
static void a_name_that_was_taken_over_is_waited_for(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_LAYOUT_CURATOR);
    struct member twin = {.lists = 0};
    make(&w, &twin, REEVE_LAYOUT_CURATOR, "a");
    assert_int_equal(reeve_group_join(w.m[0].g, -1), REEVE_OK);
    crig_refuse(w.c, w.m[0].zk, true);
    crig_cut(w.c, w.m[0].zk);
    assert_int_equal(reeve_delete(twin.zk, "/app/group/a", -1, NULL), REEVE_OK);
    assert_int_equal(reeve_group_join(twin.g, -1), REEVE_OK);
    crig_refuse(w.c, w.m[0].zk, false);
    crig_advance(w.c, 3000);
    assert_int_equal(reeve_group_set_data(twin.g, "t", 1), REEVE_OK);
    assert_int_equal(reeve_group_set_data_async(w.m[0].g, "2", 1, on_done, &w.m[0]), REEVE_OK);
    crig_advance(w.c, 1000);
    assert_int_equal(w.m[0].joined, 0);
    assert_string_equal(w.m[2].seen, "a=t ");
    assert_int_equal(reeve_group_leave(twin.g), REEVE_OK);
    crig_run(w.c);
    assert_int_equal(w.m[0].joined, 1);
    assert_string_equal(w.m[2].seen, "a=2 ");
    assert_int_equal(reeve_delete(twin.zk, "/app/group/a", -1, NULL), REEVE_OK);
    crig_run(w.c);
    assert_string_equal(w.m[2].seen, "a=2 ");
    reeve_group_free(&twin.g);
    crig_run(w.c);
    crig_close(w.c, &twin.zk);
    teardown(&w);
}

static void data_that_is_too_big_is_refused(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_LAYOUT_CURATOR);
    size_t n = 2000000;
    char *big = calloc(1, n);
    assert_int_equal(reeve_group_join(w.m[0].g, -1), REEVE_OK);
    assert_int_equal(reeve_group_set_data_async(w.m[0].g, big, n, on_done, &w.m[0]), REEVE_OK);
    crig_advance(w.c, 1000);
    assert_int_equal(w.m[0].joined, 1);
    assert_int_equal(w.m[0].e, REEVE_TOO_BIG);
    assert_int_equal(reeve_group_set_data(w.m[0].g, "2", 1), REEVE_OK);
    crig_run(w.c);
    assert_string_equal(w.m[1].seen, "a=2 ");
    free(big);
    teardown(&w);
}

// Those who look on are told of a change at two requests each, however many members there are.
static void a_change_is_cheap(void **state)
{
    (void)state;
    enum { MANY = 50 };
    struct world w;
    setup(&w, REEVE_LAYOUT_CURATOR);
    struct reeve *other = crig_client(w.c, NULL);
    struct reeve_group *many[MANY];
    for (int i = 0; i < MANY; i++) {
        char id[16];
        snprintf(id, sizeof(id), "m%02d", i);
        struct reeve_group_options o = {.id = id};
        assert_int_equal(reeve_group_new(&many[i], other, "/app/group", &o), REEVE_OK);
        assert_int_equal(reeve_group_join(many[i], -1), REEVE_OK);
    }
    crig_run(w.c);
    size_t before = crig_messages(w.c, w.m[0].zk, CRIG_TO_SERVER);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(reeve_group_set_data(many[7 + i], "new", 3), REEVE_OK);
        crig_run(w.c);
        assert_non_null(strstr(w.m[0].seen, i == 0 ? "m07=new m08=" : "m07=new m08=new "));
    }
    assert_int_equal(reeve_group_leave(many[3]), REEVE_OK);
    crig_run(w.c);
    assert_null(strstr(w.m[0].seen, "m03="));
    assert_in_range(crig_messages(w.c, w.m[0].zk, CRIG_TO_SERVER) - before, 4, 3 * 2 + 2);
    for (int i = 0; i < MANY; i++) {
        reeve_group_free(&many[i]);
    }
    crig_run(w.c);
    crig_close(w.c, &other);
    teardown(&w);
}

// Whatever happens while a list is read, the last one told is right.
static void what_changes_while_it_is_read_is_told(void **state)
{
    (void)state;
    for (int steps = 0; steps < 40; steps++) {
        struct world w;
        setup(&w, REEVE_LAYOUT_CURATOR);
        struct reeve *other = crig_client(w.c, NULL);
        assert_int_equal(reeve_group_join(w.m[1].g, -1), REEVE_OK);
        assert_int_equal(reeve_group_join(w.m[2].g, -1), REEVE_OK);
        crig_run(w.c);
        assert_int_equal(reeve_set_async(other, "/app/group/ab", "2", 1, -1, NULL, NULL), 0);
        assert_int_equal(reeve_set_async(other, "/app/group/b", "2", 1, -1, NULL, NULL), 0);
        for (int i = 0; i < steps; i++) {
            (void)crig_step(w.c);
        }
        assert_int_equal(reeve_set_async(other, "/app/group/ab", "3", 1, -1, NULL, NULL), 0);
        crig_run(w.c);
        assert_string_equal(w.m[0].seen, "ab=3 b=2 ");
        crig_refuse(w.c, w.m[0].zk, true);
        crig_cut(w.c, w.m[0].zk);
        assert_int_equal(reeve_set(other, "/app/group/b", "4", 1, -1, NULL), REEVE_OK);
        crig_refuse(w.c, w.m[0].zk, false);
        crig_advance(w.c, 3000);
        assert_string_equal(w.m[0].seen, "ab=3 b=4 ");
        crig_close(w.c, &other);
        teardown(&w);
    }
}

// b joins, sets its data, leaves and joins, and is cut off after each message.
static void each_message_may_be_the_last(void **state)
{
    (void)state;
    for (enum crig_way way = CRIG_TO_SERVER; way <= CRIG_TO_CLIENT; way++) {
        bool cut = true;
        for (size_t n = 0; cut; n++) {
            struct world w;
            setup(&w, REEVE_LAYOUT_CURATOR);
            crig_cut_after(w.c, w.m[1].zk, way, n);
            assert_int_equal(reeve_group_join(w.m[1].g, -1), REEVE_OK);
            assert_int_equal(reeve_group_set_data(w.m[1].g, "2", 1), REEVE_OK);
            assert_int_equal(reeve_group_leave(w.m[1].g), REEVE_OK);
            crig_advance(w.c, 5000);
            assert_string_equal(w.m[0].seen, "");
            assert_int_equal(reeve_group_join(w.m[1].g, -1), REEVE_OK);
            crig_advance(w.c, 5000);
            assert_string_equal(w.m[0].seen, "ab=2 ");
            assert_string_equal(w.m[1].seen, "ab=2 ");
            cut = crig_was_cut(w.c, w.m[1].zk);
            teardown(&w);
        }
    }
}

static void it_may_be_freed_at_each_point(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        for (int steps = 0; steps < 20; steps++) {
            struct world w;
            setup(&w, REEVE_LAYOUT_CURATOR);
            assert_int_equal(reeve_group_join_async(w.m[0].g, -1, on_done, &w.m[0]), REEVE_OK);
            for (int i = 0; i < steps; i++) {
                (void)crig_step(w.c);
            }
            bool was = w.m[0].joined;
            if (how) {
                crig_close(w.c, &w.m[0].zk);
                w.m[0].g = NULL;
            } else {
                reeve_group_free(&w.m[0].g);
            }
            crig_run(w.c);
            assert_int_equal(w.m[0].joined, 1);
            enum reeve_error e = how ? REEVE_CLOSED : REEVE_CANCELLED;
            assert_true(was || w.m[0].e == REEVE_OK || w.m[0].e == e);
            assert_true(steps || w.m[0].e == e);
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
        setup(&w, REEVE_LAYOUT_CURATOR);
        crig_fail_alloc(w.c, n, 1);
        while (reeve_group_join_async(w.m[0].g, -1, on_done, &w.m[0])) {
        }
        crig_advance(w.c, 3000);
        assert_int_equal(w.m[0].joined, 1);
        assert_int_equal(w.m[0].e, REEVE_OK);
        enum reeve_error e;
        while ((e = reeve_group_set_data(w.m[0].g, "2", 1)) == REEVE_NO_MEMORY) {
        }
        assert_int_equal(e, REEVE_OK);
        crig_advance(w.c, 3000);
        assert_string_equal(w.m[0].seen, "a=2 ");
        assert_string_equal(w.m[1].seen, "a=2 ");
        failed = crig_alloc_failed(w.c);
        crig_fail_alloc(w.c, 0, 0);
        teardown(&w);
    }
}

static void lookers_on_hear_of_the_end(void **state)
{
    (void)state;
    struct world w;
    setup(&w, REEVE_LAYOUT_CURATOR);
    crig_close(w.c, &w.m[0].zk);
    w.m[0].g = NULL;
    assert_int_equal(w.m[0].list_e, REEVE_CLOSED);
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_come_and_go),
        cmocka_unit_test(kazoos_layout_has_its_names),
        cmocka_unit_test(a_lost_session_is_followed_by_joining_again),
        cmocka_unit_test(a_node_that_somebody_deletes_is_made_again),
        cmocka_unit_test(a_full_disk_is_waited_for),
        cmocka_unit_test(a_name_that_is_taken_is_waited_for),
        cmocka_unit_test(a_name_that_was_taken_over_is_waited_for),
        cmocka_unit_test(data_that_is_too_big_is_refused),
        cmocka_unit_test(a_change_is_cheap),
        cmocka_unit_test(what_changes_while_it_is_read_is_told),
        cmocka_unit_test(each_message_may_be_the_last),
        cmocka_unit_test(it_may_be_freed_at_each_point),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(lookers_on_hear_of_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
