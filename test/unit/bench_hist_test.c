// SPDX-License-Identifier: Apache-2.0
//
// The load tool's histogram against the same values sorted: a percentile is off by less than one
// cell (1/128 of the value), never too small, and merging equals putting into one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bench/hist.h"

static const double quantiles[] = {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0};
enum { QUANTILES = sizeof quantiles / sizeof quantiles[0], VALUES = 20000 };

static struct hist hist;
static struct hist other;
static uint64_t values[VALUES];

static int setup(void **state)
{
    (void)state;
    hist = (struct hist){0};
    other = (struct hist){0};
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// Values of all magnitudes from 1 ns to some minutes.
static void fill_values(void)
{
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < VALUES; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        values[i] = (x >> 8) >> (18 + x % 38);
    }
}

static void check_quantiles(const struct hist *h)
{
    qsort(values, VALUES, sizeof values[0], compare);
    for (size_t i = 0; i < QUANTILES; i++) {
        double exact_rank = quantiles[i] * VALUES;
        size_t rank = (size_t)exact_rank;
        rank += (double)rank < exact_rank || rank == 0;
        uint64_t exact = values[rank - 1];
        uint64_t found = bench_hist_quantile(h, quantiles[i]);
        assert_in_range(found, exact, exact + exact / 128);
    }
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(bench_hist_quantile(&hist, 0.5), 0);
    assert_true(bench_hist_mean_ns(&hist) == 0.0);
    bench_hist_merge(&hist, &other);
    assert_int_equal(hist.count, 0);
}

static void test_small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t v = 1; v <= 100; v++) {
        bench_hist_put(&hist, v);
    }
    assert_int_equal(bench_hist_quantile(&hist, 0.5), 50);
    assert_int_equal(bench_hist_quantile(&hist, 0.99), 99);
    assert_int_equal(bench_hist_quantile(&hist, 0.991), 100);
    assert_int_equal(bench_hist_quantile(&hist, 0.0), 1);
    assert_true(bench_hist_mean_ns(&hist) == 50.5);
}

static void test_one_value_is_every_quantile(void **state)
{
    (void)state;
    bench_hist_put(&hist, 123456789);
    for (size_t i = 0; i < QUANTILES; i++) {
        assert_int_equal(bench_hist_quantile(&hist, quantiles[i]), 123456789);
    }
}

// Each power of two and its neighbours: the borders of the cells.
static void test_borders(void **state)
{
    (void)state;
    for (uint32_t bit = 1; bit < HIST_VALUE_BITS; bit++) {
        for (int64_t step = -1; step <= 1; step++) {
            uint64_t v = (uint64_t)((INT64_C(1) << bit) + step);
            struct hist h = {0};
            bench_hist_put(&h, v);
            bench_hist_put(&h, UINT64_C(1) << 40);
            assert_in_range(bench_hist_quantile(&h, 0.5), v, v + v / 128);
        }
    }
}

static void test_too_large_keeps_max(void **state)
{
    (void)state;
    bench_hist_put(&hist, 5);
    bench_hist_put(&hist, UINT64_MAX / 4);
    assert_int_equal(bench_hist_quantile(&hist, 0.5), 5);
    assert_true(bench_hist_quantile(&hist, 1.0) == UINT64_MAX / 4);
    assert_true(hist.max_ns == UINT64_MAX / 4);
}

static void test_against_sorted(void **state)
{
    (void)state;
    fill_values();
    for (int i = 0; i < VALUES; i++) {
        bench_hist_put(&hist, values[i]);
    }
    check_quantiles(&hist);
}

static void test_merge(void **state)
{
    (void)state;
    fill_values();
    uint64_t sum = 0;
    for (int i = 0; i < VALUES; i++) {
        bench_hist_put(i % 3 == 0 ? &hist : &other, values[i]);
        sum += values[i];
    }
    bench_hist_merge(&hist, &other);
    assert_int_equal(hist.count, VALUES);
    assert_true(hist.sum_ns == sum);
    check_quantiles(&hist);
    assert_true(hist.max_ns == values[VALUES - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty, setup),
        cmocka_unit_test_setup(test_small_values_are_exact, setup),
        cmocka_unit_test_setup(test_one_value_is_every_quantile, setup),
        cmocka_unit_test_setup(test_borders, setup),
        cmocka_unit_test_setup(test_too_large_keeps_max, setup),
        cmocka_unit_test_setup(test_against_sorted, setup),
        cmocka_unit_test_setup(test_merge, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
