// SPDX-License-Identifier: Apache-2.0
#include "serve/stats.h"

#include <inttypes.h>

void summary_avg_fmt(const struct summary *s, struct buf *b)
{
    if (s->n == 0 || s->sum < 0) {
        buf_fmt(b, "0.0");
        return;
    }
    // Rounded half up to four places; n stays far below INT64_MAX / 20000.
    int64_t part = (s->sum % s->n * 20000 / s->n + 1) / 2;
    int64_t whole = s->sum / s->n + part / 10000;
    part %= 10000;
    int width = 4;
    while (width > 1 && part % 10 == 0) {
        part /= 10;
        width--;
    }
    buf_fmt(b, "%" PRId64 ".%0*" PRId64, whole, width, part);
}

void stats_init(struct stats *s)
{
    *s = (struct stats){.response_last = -1, .response_min = -1, .response_max = -1};
}

void stats_response(struct stats *s, size_t n)
{
    int64_t size = (int64_t)n;
    s->response_last = size;
    s->response_bytes += size;
    if (s->response_min < 0 || size < s->response_min) {
        s->response_min = size;
    }
    if (size > s->response_max) {
        s->response_max = size;
    }
}

void conn_stats_init(struct conn_stats *s)
{
    *s = (struct conn_stats){.last_cxid = -1, .last_zxid = -1, .latency_min = INT32_MAX};
}
