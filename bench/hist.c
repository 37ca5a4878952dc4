// SPDX-License-Identifier: Apache-2.0
//
// See hist.h. A value below 2^7 has a cell of its own; above, the cell is named by the place of
// the highest bit and the 7 bits that follow it.
#include "hist.h"

static uint32_t cell_of(uint64_t value)
{
    if (value >> HIST_VALUE_BITS != 0) {
        return HIST_CELLS - 1;
    }
    if (value >> HIST_CELL_BITS == 0) {
        return (uint32_t)value;
    }
    uint32_t top = 63u - (uint32_t)__builtin_clzll(value);
    uint32_t shift = top - HIST_CELL_BITS;
    uint32_t low = (uint32_t)(value >> shift) & ((1u << HIST_CELL_BITS) - 1u);
    return ((shift + 1) << HIST_CELL_BITS) + low;
}

// The largest value that falls into the cell.
static uint64_t cell_top(uint32_t cell)
{
    if (cell >> HIST_CELL_BITS == 0) {
        return cell;
    }
    uint32_t shift = (cell >> HIST_CELL_BITS) - 1;
    uint64_t low = cell & ((1u << HIST_CELL_BITS) - 1u);
    return (((1u << HIST_CELL_BITS) + low + 1) << shift) - 1;
}

void bench_hist_put(struct hist *h, uint64_t value_ns)
{
    h->cells[cell_of(value_ns)]++;
    h->count++;
    h->sum_ns += value_ns;
    if (value_ns > h->max_ns) {
        h->max_ns = value_ns;
    }
}

void bench_hist_merge(struct hist *h, const struct hist *from)
{
    for (uint32_t i = 0; i < HIST_CELLS; i++) {
        h->cells[i] += from->cells[i];
    }
    h->count += from->count;
    h->sum_ns += from->sum_ns;
    if (from->max_ns > h->max_ns) {
        h->max_ns = from->max_ns;
    }
}

uint64_t bench_hist_quantile(const struct hist *h, double q)
{
    if (h->count == 0) {
        return 0;
    }
    double exact = q * (double)h->count;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact || rank == 0) {
        rank++;
    }
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HIST_CELLS - 1; i++) {
        seen += h->cells[i];
        if (seen >= rank) {
            uint64_t top = cell_top(i);
            return top < h->max_ns ? top : h->max_ns;
        }
    }
    return h->max_ns;
}

double bench_hist_mean_ns(const struct hist *h)
{
    return h->count == 0 ? 0.0 : (double)h->sum_ns / (double)h->count;
}
