// SPDX-License-Identifier: Apache-2.0
//
// A histogram of latencies: log-linear, 128 cells for each power of two, so any value is off by
// less than 0.8 % and nothing is allocated or sorted while load runs. Values up to 2^41 ns (36
// minutes); what is larger is counted in the last cell, and max stays exact.
#pragma once

#include <stdint.h>

enum {
    HIST_CELL_BITS = 7,
    HIST_VALUE_BITS = 41,
    HIST_CELLS = (HIST_VALUE_BITS - HIST_CELL_BITS + 1) << HIST_CELL_BITS,
};

// All zero = empty.
struct hist {
    uint64_t cells[HIST_CELLS];
    uint64_t count;
    uint64_t sum_ns;
    uint64_t max_ns;
};

void bench_hist_put(struct hist *h, uint64_t value_ns);
// Adds all of `from` to `h`.
void bench_hist_merge(struct hist *h, const struct hist *from);
// The smallest value that at least the share q (0..1) of the values does not exceed, in ns; 0 when
// empty. It is the upper end of its cell, and never above the largest value seen.
uint64_t bench_hist_quantile(const struct hist *h, double q);
// 0 when empty.
double bench_hist_mean_ns(const struct hist *h);
