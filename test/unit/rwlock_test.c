// SPDX-License-Identifier: Apache-2.0
//
// Readers and writers of several clients: readers together, writers alone, in the order of their
// coming. What both sides share with locks is tested in lock_test.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/lock_rig.h"

static void setup(struct lock_rig *w, enum reeve_layout layout, const char *sides)
{
    enum lock_rig_kind kinds[LOCK_RIG_MAX];
    size_t n = strlen(sides);
    for (size_t i = 0; i < n; i++) {
        kinds[i] = sides[i] == 'r' ? LOCK_RIG_READER : LOCK_RIG_WRITER;
    }
    lock_rig_init(w, n, layout, n, kinds, n);
}

static void all_acquire(struct lock_rig *w)
{
    for (size_t i = 0; i < w->n; i++) {
        contender_acquire(&w->k[i], -1);
        crig_run(w->c);
    }
}

// "11000": who has it.
static const char *held(const struct lock_rig *w)
{
    static char text[LOCK_RIG_MAX + 1];
    for (size_t i = 0; i < w->n; i++) {
        text[i] = w->k[i].held ? '1' : '0';
    }
    text[w->n] = 0;
    return text;
}

static void give_back(struct lock_rig *w, size_t i)
{
    contender_release(&w->k[i]);
    crig_run(w->c);
}

static void readers_together_writers_alone(void **state)
{
    (void)state;
    for (enum reeve_layout layout = 0; layout <= REEVE_LAYOUT_KAZOO; layout++) {
        struct lock_rig w;
        setup(&w, layout, "rrwrrwr");
        all_acquire(&w);
        assert_string_equal(held(&w), "1100000");
        give_back(&w, 0);
        assert_string_equal(held(&w), "0100000");
        give_back(&w, 1);
        assert_string_equal(held(&w), "0010000");
        give_back(&w, 2);
        assert_string_equal(held(&w), "0001100");
        give_back(&w, 4);
        assert_string_equal(held(&w), "0001000");
        give_back(&w, 3);
        assert_string_equal(held(&w), "0000010");
        give_back(&w, 5);
        assert_string_equal(held(&w), "0000001");
        lock_rig_fini(&w);
    }
}

static void names_and_sides_are_listed(void **state)
{
    (void)state;
    static const char *const marks[][2] = {{"-__READ__0000000000", "-__WRIT__0000000001"},
                                           {"__rlock__0000000000", "__lock__0000000001"}};
    for (enum reeve_layout layout = 0; layout <= REEVE_LAYOUT_KAZOO; layout++) {
        struct lock_rig w;
        setup(&w, layout, "rw");
        all_acquire(&w);
        struct reeve_contenders *list;
        assert_int_equal(reeve_lock_holders(w.k[1].l, &list), REEVE_OK);
        assert_int_equal(list->n, 2);
        assert_true(list->list[0].shared);
        assert_false(list->list[1].shared);
        assert_non_null(strstr(list->list[0].name, marks[layout][0]));
        assert_non_null(strstr(list->list[1].name, marks[layout][1]));
        reeve_contenders_free(&list);
        lock_rig_fini(&w);
    }
}

static void a_writer_that_gives_up_lets_readers_pass(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, REEVE_LAYOUT_CURATOR, "rwr");
    all_acquire(&w);
    assert_string_equal(held(&w), "100");
    assert_int_equal(reeve_lock_cancel(w.k[1].l), REEVE_OK);
    crig_run(w.c);
    assert_string_equal(held(&w), "101");
    lock_rig_fini(&w);
}

// A reader's end in the middle of a crowd wakes nobody but a writer that waits for it alone.
static void only_those_who_can_go_are_woken(void **state)
{
    (void)state;
    struct lock_rig w;
    setup(&w, REEVE_LAYOUT_CURATOR, "rrrwrr");
    all_acquire(&w);
    size_t before[6];
    for (size_t i = 0; i < w.n; i++) {
        before[i] = crig_messages(w.c, w.k[i].zk, CRIG_TO_CLIENT);
    }
    give_back(&w, 1);
    for (size_t i = 0; i < w.n; i++) {
        size_t more = crig_messages(w.c, w.k[i].zk, CRIG_TO_CLIENT) - before[i];
        assert_int_equal(more, i == 1 ? 2 : 0);
    }
    lock_rig_fini(&w);
}

static void each_message_may_be_the_last(void **state)
{
    (void)state;
    for (size_t victim = 0; victim < 4; victim++) {
        bool cut = true;
        for (size_t n = 0; cut; n++) {
            struct lock_rig w;
            setup(&w, REEVE_LAYOUT_CURATOR, "wrwr");
            crig_cut_after(w.c, w.k[victim].zk, n % 2 ? CRIG_TO_CLIENT : CRIG_TO_SERVER, n / 2);
            all_acquire(&w);
            for (int round = 0; round < 100 && w.grants < 4; round++) {
                crig_advance(w.c, 500);
                for (size_t i = 0; i < w.n; i++) {
                    if (w.k[i].held) {
                        contender_release(&w.k[i]);
                    }
                }
            }
            assert_int_equal(w.grants, 4);
            cut = crig_was_cut(w.c, w.k[victim].zk);
            lock_rig_fini(&w);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_together_writers_alone),
        cmocka_unit_test(names_and_sides_are_listed),
        cmocka_unit_test(a_writer_that_gives_up_lets_readers_pass),
        cmocka_unit_test(only_those_who_can_go_are_woken),
        cmocka_unit_test(each_message_may_be_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
