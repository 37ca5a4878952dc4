// SPDX-License-Identifier: Apache-2.0
//
// Rates from two looks at an ensemble: what each server and each connection did in between. Pure.
#pragma once

#include "cli/cmd_status_ensemble.h"

// One connection at one moment, and what it did since the moment before.
struct top_conn {
    struct facts_conn now;
    size_t server;             // index in the ensemble
    double received_s, sent_s; // per second; of a new connection: since it began, at most the
                               // interval
};

// What is kept of a moment.
struct top_look {
    int64_t at_ms; // monotonic
    struct facts facts[ENSEMBLE_MAX];
    bool answered[ENSEMBLE_MAX];
    struct top_conn *conns; // by server and address
    size_t conns_n;
};

struct top_rates {
    bool known; // both moments have an answer, and nothing was reset in between
    double received_s, sent_s, txns_s;
    double latency_ms; // mean of what was answered in between; -1: not known
};

void top_look_take(struct top_look *l, const struct ensemble *e, int64_t now_ms);
void top_look_fini(struct top_look *l);
struct top_rates top_server_rates(const struct top_look *before, const struct top_look *now,
                                  size_t server);
// Fills in the rates of now->conns. Connections without a session are not counted.
void top_conn_rates(const struct top_look *before, struct top_look *now);
// The n busiest, the busiest first. Returns how many there are.
size_t top_busiest(const struct top_look *now, const struct top_conn **v, size_t n);
