// SPDX-License-Identifier: Apache-2.0
//
// Summaries and histograms: exact below 32, off by 6 % at most above, any value counted once.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/summary.h"

static void a_summary_keeps_the_least_and_the_most(void **state)
{
    (void)state;
    struct summary s = {0};
    summary_add(&s, 5);
    summary_add(&s, 7);
    summary_add(&s, -1);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.sum, 11);
    assert_int_equal(s.min, -1);
    assert_int_equal(s.max, 7);
}

static void cells_ascend_without_a_gap(void **state)
{
    (void)state;
    uint32_t last = 0;
    for (int64_t v = 0; v <= 1 << 20; v++) {
        uint32_t cell = histogram_cell(v);
        assert_in_range(cell, last, last + 1);
        last = cell;
    }
    assert_int_equal(histogram_cell(INT32_MAX), HISTOGRAM_CELLS - 1);
    assert_int_equal(histogram_cell(INT64_MAX), HISTOGRAM_CELLS - 1);
    assert_int_equal(histogram_cell(-1), 0);
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void quantiles_are_those_of_the_sorted_values(void **state)
{
    (void)state;
    enum { N = 5000 };
    static int64_t v[N];
    static const int64_t quantiles[] = {1, 500, 950, 990, 999, 1000};
    struct rng r = {1};
    for (int bits = 4; bits < 33; bits++) {
        struct histogram h = {0};
        for (int i = 0; i < N; i++) {
            v[i] = (int64_t)rng_below(&r, 1ull << bits);
            histogram_add(&h, v[i]);
        }
        qsort(v, N, sizeof(*v), ascending);
        for (size_t i = 0; i < sizeof(quantiles) / sizeof(*quantiles); i++) {
            int64_t want = v[N * quantiles[i] / 1000 - 1];
            int64_t got = histogram_quantile(&h, quantiles[i]);
            assert_true(got >= want || want > INT32_MAX);
            assert_true(got <= h.all.max);
            assert_true(got - want <= want / 16 || want > INT32_MAX);
        }
    }
}

static void few_values(void **state)
{
    (void)state;
    struct histogram h = {0};
    assert_int_equal(histogram_quantile(&h, 999), 0);
    histogram_add(&h, 1000);
    assert_int_equal(histogram_quantile(&h, 500), 1000); // not the end of its cell
    assert_int_equal(histogram_quantile(&h, 999), 1000);
    histogram_add(&h, 3);
    assert_int_equal(histogram_quantile(&h, 500), 3);
    assert_int_equal(histogram_quantile(&h, 501), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_summary_keeps_the_least_and_the_most),
        cmocka_unit_test(cells_ascend_without_a_gap),
        cmocka_unit_test(quantiles_are_those_of_the_sorted_values),
        cmocka_unit_test(few_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
