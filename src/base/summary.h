// SPDX-License-Identifier: Apache-2.0
//
// Figures of something that happens often: how often, how much, the least and the most; and, where
// the shape matters, a histogram for percentiles. Plain values, all zero is empty.
#pragma once

#include <stdint.h>

// Java: AvgMinMaxCounter.
struct summary {
    int64_t n, sum, min, max;
};

static inline void summary_add(struct summary *s, int64_t v)
{
    if (s->n == 0 || v < s->min) {
        s->min = v;
    }
    if (s->n == 0 || v > s->max) {
        s->max = v;
    }
    s->n++;
    s->sum += v;
}

// Log-linear: 16 cells for each power of two, so a value is off by 6 % at most, below 32 not at
// all. Values from 0 to INT32_MAX; what is larger counts in the last cell.
enum { HISTOGRAM_BITS = 4, HISTOGRAM_CELLS = (32 - HISTOGRAM_BITS) << HISTOGRAM_BITS };

// Java: AvgMinMaxPercentileCounter.
struct histogram {
    struct summary all;
    uint64_t cells[HISTOGRAM_CELLS];
};

static inline uint32_t histogram_cell(int64_t v)
{
    uint32_t u = v < 0 ? 0 : v > INT32_MAX ? INT32_MAX : (uint32_t)v;
    if (u >> HISTOGRAM_BITS == 0) {
        return u;
    }
    uint32_t shift = 31u - (uint32_t)__builtin_clz(u) - HISTOGRAM_BITS;
    return (shift << HISTOGRAM_BITS) + (u >> shift);
}

static inline void histogram_add(struct histogram *h, int64_t v)
{
    summary_add(&h->all, v);
    h->cells[histogram_cell(v)]++;
}

// The smallest value that at least so many of 1000 values do not exceed: the upper end of its cell,
// never above the largest value seen. 0 when empty.
int64_t histogram_quantile(const struct histogram *h, int64_t per_mille);
