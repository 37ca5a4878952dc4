// SPDX-License-Identifier: Apache-2.0
//
// Expiry: deadlines on the tick, lazy touches, and a random run against the plain rule.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "serve/date.h"
#include "serve/expiry.h"

static struct mono ms(int64_t v)
{
    return (struct mono){v * 1000000};
}

static void dies_at_the_first_tick_after_its_timeout(void **state)
{
    (void)state;
    struct expiry *e = expiry_new(2000, 1);
    int64_t id = 0;
    expiry_add(e, 7, 4000, ms(100)); // 4100 -> 6000
    assert_false(expiry_due(e, ms(5999), &id));
    assert_true(expiry_due(e, ms(6000), &id));
    assert_int_equal(id, 7);
    assert_false(expiry_due(e, ms(6000), &id)); // once, and again at the next tick
    assert_true(expiry_has(e, 7, NULL));
    assert_false(expiry_due(e, ms(7999), &id));
    assert_true(expiry_due(e, ms(8000), &id));
    expiry_check(e);
    expiry_free(&e);
    assert_null(e);
}

static void a_touch_moves_the_deadline(void **state)
{
    (void)state;
    struct expiry *e = expiry_new(2000, 1);
    int64_t id = 0;
    int32_t timeout = 0;
    expiry_add(e, 7, 4000, ms(0));
    expiry_touch(e, 7, ms(5000)); // 9000 -> 10000
    expiry_touch(e, 7, ms(1000)); // older news
    expiry_touch(e, 8, ms(1000)); // unknown
    assert_false(expiry_due(e, ms(9999), &id));
    assert_true(expiry_due(e, ms(10000), &id));
    expiry_touch(e, 7, ms(9900)); // heard of just before
    assert_false(expiry_due(e, ms(13899), &id));
    assert_true(expiry_due(e, ms(14000), &id));
    expiry_add(e, 7, 40000, ms(14000)); // renewed with another timeout
    assert_true(expiry_has(e, 7, &timeout));
    assert_int_equal(timeout, 40000);
    assert_false(expiry_due(e, ms(53999), &id));
    expiry_remove(e, 7);
    expiry_remove(e, 7);
    assert_false(expiry_due(e, ms(90000), &id));
    assert_int_equal(expiry_count(e), 0);
    expiry_free(&e);
}

static void a_suspended_process_expires_nobody(void **state)
{
    (void)state;
    struct expiry *e = expiry_new(2000, 1);
    int64_t id = 0;
    for (int64_t i = 1; i <= 100; i++) {
        expiry_add(e, i, 4000 + (int32_t)i * 100, ms(0));
    }
    expiry_shift(e, 3600001);
    assert_false(expiry_due(e, ms(3600001 + 4000), &id));
    expiry_check(e);
    int n = 0;
    while (expiry_due(e, ms(3600001 + 18000), &id)) {
        n++;
    }
    assert_int_equal(n, 100);
    expiry_free(&e);
}

// Asked at any time, it changes nothing.
static void a_deadline_can_be_looked_at(void **state)
{
    (void)state;
    struct expiry *e = expiry_new(2000, 1);
    int64_t id = 0;
    assert_false(expiry_is_past(e, 7, ms(INT64_MAX / 1000000))); // unknown
    expiry_add(e, 7, 4000, ms(100));                             // 4100 -> 6000
    assert_false(expiry_is_past(e, 7, ms(5999)));
    assert_true(expiry_is_past(e, 7, ms(6000)));
    assert_false(expiry_is_past(e, 8, ms(6000)));
    expiry_touch(e, 7, ms(3000)); // 7000 -> 8000
    assert_false(expiry_is_past(e, 7, ms(7999)));
    assert_true(expiry_is_past(e, 7, ms(8000)));
    assert_true(expiry_is_past(e, 7, ms(90000)));
    assert_true(expiry_due(e, ms(8000), &id)); // as if nobody had looked
    assert_true(expiry_is_past(e, 7, ms(8000)));
    expiry_shift(e, 2000);
    assert_false(expiry_is_past(e, 7, ms(9999)));
    expiry_remove(e, 7);
    assert_false(expiry_is_past(e, 7, ms(90000)));
    expiry_free(&e);
}

static void prints_sets_as_apache(void **state)
{
    (void)state;
    struct expiry *e = expiry_new(2000, 1);
    struct buf b = {0};
    expiry_fmt(e, ms(0), (struct wall){0}, &b);
    assert_true(slice_eq_str(buf_slice(&b), "Session Sets (0)/(0):\n"));
    buf_clear(&b);
    expiry_add(e, 0x10000180c4d0005, 4000, ms(500));
    expiry_add(e, 0x10000180c4d0004, 4000, ms(100));
    expiry_add(e, 3, 9000, ms(0));
    expiry_fmt(e, ms(1000), (struct wall){1795212782000 - 5000}, &b);
    assert_true(slice_eq_str(buf_slice(&b), "Session Sets (2)/(3):\n"
                                            "2 expire at Fri Nov 20 22:13:02 UTC 2026:\n"
                                            "\t0x10000180c4d0004\n\t0x10000180c4d0005\n"
                                            "1 expire at Fri Nov 20 22:13:06 UTC 2026:\n"
                                            "\t0x3\n"));
    buf_fini(&b);
    expiry_free(&e);
}

static void dates(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *want;
    } cases[] = {
        {0, "Thu Jan 01 00:00:00 UTC 1970"},
        {951782400000, "Tue Feb 29 00:00:00 UTC 2000"},
        {4107542400000, "Mon Mar 01 00:00:00 UTC 2100"},
        {-1, "Wed Dec 31 23:59:59 UTC 1969"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buf b = {0};
        date_fmt((struct wall){cases[i].ms}, &b);
        buf_put_u8(&b, 0);
        assert_string_equal((const char *)b.p, cases[i].want);
        buf_fini(&b);
    }
}

// Against an array of deadlines.
static void random_run(void **state)
{
    (void)state;
    enum { IDS = 200 };
    struct rng r = {42};
    struct expiry *e = expiry_new(1000, 5);
    int64_t dies[IDS] = {0}; // 0: not there
    int32_t timeout[IDS] = {0};
    int64_t now = 0;
    for (int step = 0; step < 20000; step++) {
        int64_t id = (int64_t)rng_below(&r, IDS);
        now += (int64_t)rng_below(&r, 40);
        switch (rng_below(&r, 4)) {
        case 0:
            timeout[id] = 1000 + (int32_t)rng_below(&r, 9000);
            expiry_add(e, id, timeout[id], ms(now));
            dies[id] = ((now + timeout[id]) / 1000 + 1) * 1000;
            break;
        case 1:
        case 2:
            expiry_touch(e, id, ms(now));
            if (dies[id]) {
                int64_t d = ((now + timeout[id]) / 1000 + 1) * 1000;
                dies[id] = d > dies[id] ? d : dies[id];
            }
            break;
        case 3:
            expiry_remove(e, id);
            dies[id] = 0;
            break;
        }
        int64_t due;
        while (expiry_due(e, ms(now), &due)) {
            assert_in_range(due, 0, IDS - 1);
            assert_true(dies[due] != 0 && dies[due] <= now);
            expiry_remove(e, due);
            dies[due] = 0;
        }
        for (int i = 0; i < IDS; i++) {
            assert_true(dies[i] == 0 || dies[i] > now);
            assert_int_equal(expiry_has(e, i, NULL), dies[i] != 0);
        }
    }
    expiry_check(e);
    expiry_free(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dies_at_the_first_tick_after_its_timeout),
        cmocka_unit_test(a_touch_moves_the_deadline),
        cmocka_unit_test(a_suspended_process_expires_nobody),
        cmocka_unit_test(a_deadline_can_be_looked_at),
        cmocka_unit_test(prints_sets_as_apache),
        cmocka_unit_test(dates),
        cmocka_unit_test(random_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
