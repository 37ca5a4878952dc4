// SPDX-License-Identifier: Apache-2.0
//
// Latencies, counted in cells: 64 for each power of two, so a value is off by less than 1.6 %, and
// nothing grows or is sorted while load runs. Up to 2^41 ns (36 minutes); max is exact.
#pragma once

#include <stdint.h>

enum { LATENCY_BITS = 6, LATENCY_VALUE_BITS = 41 };
enum { LATENCY_CELLS = (LATENCY_VALUE_BITS - LATENCY_BITS + 1) << LATENCY_BITS };

// All zero is empty.
struct latency {
    uint64_t cells[LATENCY_CELLS];
    uint64_t n, sum_ns, max_ns;
};

void latency_put(struct latency *l, uint64_t ns);
void latency_add(struct latency *l, const struct latency *from);
// The smallest value that the share q (0 to 1) of all does not exceed, as the upper end of its
// cell; 0 when empty.
uint64_t latency_quantile(const struct latency *l, double q);
