// SPDX-License-Identifier: Apache-2.0
//
// The committed transactions in memory: bounded, one range, never over a gap.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "zab/history.h"

static void add(struct history *h, int64_t zxid)
{
    struct blob *txn = blob_new(slice_of(&zxid, sizeof(zxid)));
    history_append(h, zxid, txn);
    blob_unref(&txn);
    history_check(h);
}

static void it_keeps_the_newest_and_knows_how_far_it_reaches(void **state)
{
    (void)state;
    struct history h;
    history_init(&h, 4, 1000);
    assert_false(history_reaches(&h, 0));
    history_reset(&h, 0);
    assert_true(history_reaches(&h, 0));
    for (int64_t z = 0x100000001; z <= 0x100000006; z++) {
        add(&h, z);
    }
    assert_int_equal(h.n, 4);
    assert_int_equal(history_min(&h), 0x100000003);
    assert_true(history_reaches(&h, 0x100000002)); // the one before its first
    assert_false(history_reaches(&h, 0x100000001));
    assert_int_equal(history_find(&h, 0x100000002), 0);
    assert_int_equal(history_find(&h, 0x100000004), 2);
    assert_int_equal(history_find(&h, 0x100000006), 4);
    history_fini(&h);
}

static void its_bytes_are_bounded(void **state)
{
    (void)state;
    struct history h;
    history_init(&h, 500, 24);
    for (int64_t z = 0x100000001; z <= 0x100000006; z++) {
        add(&h, z);
    }
    assert_int_equal(h.n, 3);
    assert_int_equal(h.bytes, 24);
    history_fini(&h);
}

static void what_somebody_is_brought_up_to_stays(void **state)
{
    (void)state;
    struct history h;
    history_init(&h, 4, 80);
    for (int64_t z = 0x100000001; z <= 0x100000009; z++) {
        history_pin(&h, 0x100000003);
        add(&h, z);
    }
    assert_true(history_reaches(&h, 0x100000003));
    assert_int_equal(h.n, 6);
    history_pin(&h, INT64_MAX);
    assert_int_equal(h.n, 4);
    history_pin(&h, 0);
    for (int64_t z = 0x10000000a; z <= 0x100000020; z++) {
        add(&h, z);
    }
    assert_int_equal(h.n, 10); // but not beyond its bytes
    history_fini(&h);
}

static void zookeeper_2846_a_gap_begins_a_new_range(void **state)
{
    (void)state;
    struct history h;
    history_init(&h, 500, 1000);
    add(&h, 0x100000001);
    add(&h, 0x200000001); // the next epoch follows
    assert_int_equal(h.n, 2);
    add(&h, 0x200000003);
    assert_int_equal(h.n, 1);
    assert_false(history_reaches(&h, 0x200000001));
    assert_false(history_reaches(&h, 0x200000002)); // it may be ours or not: nobody knows
    history_reset(&h, 0x300000000);                 // a snapshot of the next epoch
    add(&h, 0x300000001);
    assert_true(history_reaches(&h, 0x300000000));
    history_fini(&h);
}

static void what_is_cut_from_the_log_is_cut_here(void **state)
{
    (void)state;
    struct history h;
    history_init(&h, 500, 1000);
    for (int64_t z = 0x100000001; z <= 0x100000006; z++) {
        add(&h, z);
    }
    history_truncate(&h, 0x100000004);
    history_check(&h);
    assert_int_equal(history_max(&h), 0x100000004);
    history_truncate(&h, 0);
    assert_int_equal(h.n, 0);
    assert_true(history_reaches(&h, 0));
    history_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_keeps_the_newest_and_knows_how_far_it_reaches),
        cmocka_unit_test(its_bytes_are_bounded),
        cmocka_unit_test(what_somebody_is_brought_up_to_stays),
        cmocka_unit_test(zookeeper_2846_a_gap_begins_a_new_range),
        cmocka_unit_test(what_is_cut_from_the_log_is_cut_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
