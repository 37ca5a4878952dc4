// SPDX-License-Identifier: Apache-2.0
//
// One run of the tool: its connections and nodes, and what all workloads share: opening sessions,
// asking one question and waiting for the answer, making and removing many nodes, closing.
// The order is: bench_run_init, one workload, bench_run_fini, which leaves the server as it was.
#pragma once

#include "conn.h"
#include "options.h"
#include "report.h"
#include "request.h"

struct run {
    const struct options *opt;
    struct loop loop;
    struct names names;
    struct conn admin;  // for set-up and for what is not measured
    struct conn *conns; // opt->connections (or --watchers, --idle-sessions) of them
    uint32_t conn_count;
    uint32_t done; // of the phase that runs
    int32_t answer;
};

// Connects `admin` and makes the run's directory.
void bench_run_init(struct run *r, const struct options *opt);
// Removes the directory (not with --keep) and closes all sessions.
void bench_run_fini(struct run *r);

// Opens `count` connections with room for `depth` requests in flight each, and waits.
void bench_run_open(struct run *r, uint32_t count, uint32_t depth);
// Sends one request on `admin` and waits for the answer; fatal when it is an error.
void bench_run_call(struct run *r, struct request *request);
// Makes (OP_CREATE) or removes (OP_DELETE) the nodes <letter><first> .. <first+count-1>.
void bench_run_nodes(struct run *r, int32_t op, char letter, uint32_t first, uint32_t count,
                     uint32_t size);
// Keeps the sessions alive for that long.
void bench_run_rest(struct run *r, double seconds);
// With --hold: keeps all as it is until stdin ends.
void bench_run_hold(struct run *r);

// Fatal when the reply is an error.
void bench_reply_check(const struct loop *l, const struct reply *r);

// The workloads: workload.c, watch.c, session.c, fill.c. Each fills the report.
void bench_workload_load(struct run *r, struct report *report);
void bench_workload_watchers(struct run *r, struct report *report);
void bench_workload_watches(struct run *r, struct report *report);
void bench_workload_churn(struct run *r, struct report *report);
void bench_workload_idle(struct run *r, struct report *report);
void bench_workload_fill(struct run *r, struct report *report);
