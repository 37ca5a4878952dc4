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

static void put_histogram(struct buf *b, const char *name, const struct histogram *h)
{
    put_summary(b, name, h->all);
    static const struct {
        const char *name;
        int64_t per_mille;
    } quantiles[] = {{"p50", 500}, {"p95", 950}, {"p99", 990}, {"p999", 999}};
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(*quantiles); i++) {
        buf_fmt(b, "zk_%s_%s\t%" PRId64 "\n", quantiles[i].name, name,
                histogram_quantile(h, quantiles[i].per_mille));
    }
}

// Times are printed in milliseconds; short ones are kept in nanoseconds.
static struct summary ms_of(struct summary ns)
{
    return (struct summary){ns.n, ns.sum / 1000000, ns.min / 1000000, ns.max / 1000000};
}

// Of something that happens once.
static struct summary once(int64_t v)
{
    return (struct summary){1, v, v, v};
}

void mntr_fmt(struct serve *s, const struct serve_facts *f, struct buf *b)
{
    buf_fmt(b, "zk_version\t%s\nzk_server_state\t%s\nzk_avg_latency\t", s->cfg.version, f->mode);
    summary_avg_fmt(&s->stats.latency, b);
    buf_fmt(b, "\n");
#define NUMBER(name, expression) put_number(b, #name, expression);
#define SUMMARY(name, value)     put_summary(b, #name, value);
#define HISTOGRAM(name, value)   put_histogram(b, #name, value);
#include "serve/metrics.def"
#undef NUMBER
#undef SUMMARY
#undef HISTOGRAM
}
