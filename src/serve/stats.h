// SPDX-License-Identifier: Apache-2.0
//
// The figures of a server and of a connection: what srvr, cons and mntr print. Java: ServerStats,
// ServerCnxn. Latencies are whole milliseconds from a request's arrival to its reply.
#pragma once

#include "base/buf.h"
#include "base/mtime.h"
#include "base/summary.h"

// The average as Java prints it: "0.0", "1.5", "0.1529".
void summary_avg_fmt(const struct summary *s, struct buf *b);

struct stats {
    int64_t received, sent;
    struct summary latency;
    int64_t response_last, response_min, response_max; // bytes, -1: none yet
    int64_t bytes_received, response_bytes, watch_bytes;
    int64_t connection_requests, connections_rejected, connections_dropped;
    int64_t closed_not_serving, sessionless_expired, unsuccessful_handshakes, revalidated;
    int64_t auth_failed, ensemble_success, ensemble_fail, ensemble_skip;
    int64_t large_rejected, throttle_waits, throttled_ops;
    int64_t requests_dropped, commits, tokens_missing;
    struct summary watch_created, watch_deleted, watch_changed, watch_children; // hits per trigger
    struct summary reads_behind_write; // reads served when a write was answered
    struct histogram reads, updates;   // ms from arrival to reply; sessions made are updates
    struct histogram propagation;      // ms from a transaction's birth until it is visible here
};

void stats_init(struct stats *s); // also srst
// One answered request.
static inline void stats_latency(struct stats *s, bool update, int64_t ms)
{
    summary_add(&s->latency, ms);
    histogram_add(update ? &s->updates : &s->reads, ms);
}
void stats_response(struct stats *s, size_t n);

struct conn_stats {
    int64_t received, sent;
    int64_t latency_sum, latency_n;
    int64_t last_zxid;
    int64_t last_response_ms;                       // monotonic
    int32_t last_op;                                // 0: none
    int32_t last_cxid;                              // -1: none
    int32_t last_latency, latency_min, latency_max; // ms; min INT32_MAX: none
};

void conn_stats_init(struct conn_stats *s); // also crst
static inline void conn_stats_reply(struct conn_stats *s, int32_t cxid, int32_t op, int64_t zxid,
                                    struct mono arrived, struct mono now)
{
    int64_t ms = mono_diff_ms(now, arrived);
    int32_t latency = ms < 0 ? 0 : ms > INT32_MAX ? INT32_MAX : (int32_t)ms;
    if (cxid >= 0) {
        s->last_cxid = cxid;
    }
    s->last_op = op;
    s->last_zxid = zxid;
    s->last_response_ms = now.ns / 1000000;
    s->last_latency = latency;
    s->latency_n++;
    s->latency_sum += latency;
    if (latency < s->latency_min) {
        s->latency_min = latency;
    }
    if (latency > s->latency_max) {
        s->latency_max = latency;
    }
}
