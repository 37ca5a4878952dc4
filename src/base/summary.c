// SPDX-License-Identifier: Apache-2.0
#include "base/summary.h"

// The largest value that falls into the cell.
static int64_t cell_top(uint32_t cell)
{
    if (cell >> HISTOGRAM_BITS == 0) {
        return cell;
    }
    uint32_t shift = (cell >> HISTOGRAM_BITS) - 1;
    int64_t head = cell - (shift << HISTOGRAM_BITS);
    return ((head + 1) << shift) - 1;
}

int64_t histogram_quantile(const struct histogram *h, int64_t per_mille)
{
    int64_t n = h->all.n;
    // As many values as must not be above it, rounded up; n * per_mille could overflow.
    int64_t rank = n / 1000 * per_mille + (n % 1000 * per_mille + 999) / 1000;
    int64_t seen = 0;
    for (uint32_t i = 0; i + 1 < HISTOGRAM_CELLS; i++) {
        seen += (int64_t)h->cells[i];
        if (seen >= rank && seen > 0) {
            int64_t top = cell_top(i);
            return top < h->all.max ? top : h->all.max;
        }
    }
    return h->all.max;
}
