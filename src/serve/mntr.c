// SPDX-License-Identifier: Apache-2.0
//
// The `mntr` word, from the table metrics.def.
#include <inttypes.h>

#include "serve/core.h"

static void put_number(struct buf *b, const char *name, int64_t v)
{
    buf_fmt(b, "zk_%s\t%" PRId64 "\n", name, v);
}

static void put_summary(struct buf *b, const char *name, struct summary v)
{
    buf_fmt(b, "zk_avg_%s\t", name);
    summary_avg_fmt(&v, b);
    buf_fmt(b, "\nzk_min_%s\t%" PRId64 "\nzk_max_%s\t%" PRId64 "\n", name, v.min, name, v.max);
    buf_fmt(b, "zk_cnt_%s\t%" PRId64 "\nzk_sum_%s\t%" PRId64 "\n", name, v.n, name, v.sum);
}

// In milliseconds, as everything in mntr.
static struct summary fsync_of(const struct serve_facts *f)
{
    return (struct summary){
        .n = f->fsync_count, .sum = f->fsync_ns_sum / 1000000, .max = f->fsync_ns_max / 1000000};
}

void mntr_fmt(struct serve *s, const struct serve_facts *f, struct buf *b)
{
    buf_fmt(b, "zk_version\t%s\nzk_server_state\t%s\nzk_avg_latency\t", s->cfg.version, f->mode);
    summary_avg_fmt(&s->stats.latency, b);
    buf_fmt(b, "\n");
#define NUMBER(name, expression) put_number(b, #name, expression);
#define SUMMARY(name, value)     put_summary(b, #name, value);
#include "serve/metrics.def"
#undef NUMBER
#undef SUMMARY
}
