// SPDX-License-Identifier: Apache-2.0
#include "cli/cmd_bench_latency.h"

#include <stddef.h>

// Values below 2^LATENCY_BITS have a cell each; above, the highest bits choose it.
static size_t cell_of(uint64_t v)
{
    if (v >> LATENCY_VALUE_BITS) {
        return LATENCY_CELLS - 1;
    }
    if (v >> LATENCY_BITS == 0) {
        return (size_t)v;
    }
    int shift = 63 - __builtin_clzll(v) - LATENCY_BITS;
    return ((size_t)(shift + 1) << LATENCY_BITS) + (size_t)((v >> shift) - (1u << LATENCY_BITS));
}

static uint64_t end_of(size_t cell)
{
    size_t group = cell >> LATENCY_BITS, at = cell & ((1u << LATENCY_BITS) - 1);
    if (group == 0) {
        return at;
    }
    return ((uint64_t)(at + (1u << LATENCY_BITS) + 1) << (group - 1)) - 1;
}

void latency_put(struct latency *l, uint64_t ns)
{
    l->cells[cell_of(ns)]++;
    l->n++;
    l->sum_ns += ns;
    l->max_ns = ns > l->max_ns ? ns : l->max_ns;
}

void latency_add(struct latency *l, const struct latency *from)
{
    for (size_t i = 0; i < LATENCY_CELLS; i++) {
        l->cells[i] += from->cells[i];
    }
    l->n += from->n;
    l->sum_ns += from->sum_ns;
    l->max_ns = from->max_ns > l->max_ns ? from->max_ns : l->max_ns;
}

uint64_t latency_quantile(const struct latency *l, double q)
{
    uint64_t want = (uint64_t)(q * (double)l->n + 0.9999999), seen = 0;
    want = want < 1 ? 1 : want > l->n ? l->n : want;
    for (size_t i = 0; l->n > 0 && i < LATENCY_CELLS; i++) {
        seen += l->cells[i];
        if (seen >= want) {
            uint64_t end = end_of(i);
            return end < l->max_ns ? end : l->max_ns;
        }
    }
    return 0;
}
