// SPDX-License-Identifier: Apache-2.0
//
// The `mntr` word, from the table metrics.def. What a member of an ensemble tells besides is here:
// Java's LeaderZooKeeperServer, QuorumZooKeeperServer and ObserverZooKeeperServer under their
// names, and at the end, under names of our own, who follows, and when and why there was an
// election.
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

static void put_role(const struct serve_facts *f, const struct serve_ensemble *e, struct buf *b)
{
    buf_fmt(b, "zk_peer_state\t%s\n", e->peer_state);
    put_number(b, "quorum_size", e->quorum_size);
    if (strcmp(f->mode, "leader") == 0) {
        put_number(b, "learners", e->learners);
        put_number(b, "synced_followers", e->synced_followers);
        put_number(b, "synced_non_voting_followers", e->synced_non_voting_followers);
        put_number(b, "pending_syncs", e->pending_syncs);
        put_number(b, "leader_uptime", e->role_ms);
        put_number(b, "last_proposal_size", e->proposal_last);
        put_number(b, "max_proposal_size", e->proposal_max);
        put_number(b, "min_proposal_size", e->proposal_min);
    }
    if (e->synced_observers >= 0) {
        put_number(b, "synced_observers", e->synced_observers);
    }
    if (e->observer_master) {
        buf_fmt(b, "zk_observer_master_id\t%s\n", e->observer_master);
    }
}

static void put_own(const struct serve_ensemble *e, struct buf *b)
{
    put_number(b, "server_id", e->server_id);
    put_number(b, "epoch", e->epoch);
    put_number(b, "role_uptime", e->role_ms);
    if (e->election_reason) {
        buf_fmt(b, "zk_last_election_reason\t%s\n", e->election_reason);
    }
    for (size_t i = 0; i < e->list_n; i++) {
        const struct serve_learner *l = &e->list[i];
        buf_fmt(b, "zk_learner_%" PRId64 "\t%s %s %s 0x%" PRIx64 "\n", l->sid, l->address, l->role,
                l->synced ? "synced" : "syncing", (uint64_t)l->zxid);
    }
}

void mntr_fmt(struct serve *s, const struct serve_facts *f, struct buf *b)
{
    static const struct serve_ensemble alone;
    const struct serve_ensemble *e = f->ensemble ? f->ensemble : &alone;
    buf_fmt(b, "zk_version\t%s\nzk_server_state\t%s\n", s->cfg.version, f->mode);
    if (f->ensemble && s->mode == SERVE_FULL) {
        put_role(f, e, b);
    }
    buf_fmt(b, "zk_avg_latency\t");
    summary_avg_fmt(&s->stats.latency, b);
    buf_fmt(b, "\n");
#define NUMBER(name, expression) put_number(b, #name, expression);
#define SUMMARY(name, value)     put_summary(b, #name, value);
#define HISTOGRAM(name, value)   put_histogram(b, #name, value);
#include "serve/metrics.def"
#undef NUMBER
#undef SUMMARY
#undef HISTOGRAM
    if (f->ensemble) {
        put_own(e, b);
    }
}
