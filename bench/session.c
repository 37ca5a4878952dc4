// SPDX-License-Identifier: Apache-2.0
//
// Sessions: what it costs to open and to close one (--session-churn: connect, handshake,
// closeSession, its reply; --connections of them at a time), and what an idle one weighs.
#include <stdlib.h>

#include "run.h"

static const uint64_t wait_max_ns = 100000000u;

struct churn {
    struct run *run;
    struct report *report;
    struct request bye;
    uint64_t *born_ns; // of each connection's present session
    uint32_t alive;
    bool stopping;
};

static void be_born(struct churn *ch, struct conn *c)
{
    ch->born_ns[c->index] = now_ns();
    bench_conn_open(&ch->run->loop, c);
}

static void on_ready(void *ctx, struct conn *c)
{
    struct churn *ch = ctx;
    bench_conn_hang_up_expect(c);
    bench_request_put(&ch->bye, &ch->run->loop, c, 0, ch->run->loop.now);
}

// The end of a session, whether the reply or the server's close is seen first.
static void end(struct churn *ch, struct conn *c)
{
    ch->report->count++;
    bench_hist_put(&ch->report->writes, ch->run->loop.now - ch->born_ns[c->index]);
    if (ch->stopping) {
        ch->alive--;
    } else {
        be_born(ch, c);
    }
}

static void on_reply(void *ctx, struct conn *c, const struct reply *r)
{
    struct churn *ch = ctx;
    bench_reply_check(&ch->run->loop, r);
    bench_conn_close(&ch->run->loop, c);
    end(ch, c);
}

static void on_closed(void *ctx, struct conn *c)
{
    struct churn *ch = ctx;
    if (c->inflight > 0) {
        bench_fatal("%s closed a connection before it answered closeSession", ch->run->loop.host);
    }
    end(ch, c);
}

static const struct handler phase_churn = {
    .ready = on_ready, .reply = on_reply, .closed = on_closed};

static void churn_for(struct churn *ch, double seconds)
{
    uint64_t end_ns = now_ns() + (uint64_t)(seconds * 1e9);
    while (now_ns() < end_ns) {
        bench_loop_step(&ch->run->loop, wait_max_ns / 100);
    }
}

void bench_workload_churn(struct run *r, struct report *report)
{
    report->what = "session";
    struct churn ch = {.run = r, .report = report, .alive = r->opt->connections};
    bench_request_close(&ch.bye);
    r->conn_count = r->opt->connections;
    r->conns = calloc(r->conn_count, sizeof *r->conns);
    ch.born_ns = calloc(r->conn_count, sizeof *ch.born_ns);
    if (r->conns == NULL || ch.born_ns == NULL) {
        bench_fatal("out of memory for %u connections", r->conn_count);
    }
    r->loop.handler = &phase_churn;
    r->loop.ctx = &ch;
    for (uint32_t i = 0; i < r->conn_count; i++) {
        bench_conn_init(&r->conns[i], i, 1);
        be_born(&ch, &r->conns[i]);
    }
    churn_for(&ch, r->opt->warmup_s);
    bench_report_begin(report, r->opt);
    churn_for(&ch, r->opt->duration_s);
    bench_report_end(report, r->opt);
    struct report measured = *report;
    ch.stopping = true;
    while (ch.alive > 0) {
        bench_loop_step(&r->loop, wait_max_ns);
    }
    *report = measured;
    bench_request_fini(&ch.bye);
    free(ch.born_ns);
}

void bench_workload_idle(struct run *r, struct report *report)
{
    report->what = "session";
    bench_run_rest(r, 0.5);
    bench_report_begin(report, r->opt);
    bench_run_open(r, r->opt->count, 1);
    bench_run_rest(r, 0.5);
    report->count = r->conn_count;
    bench_report_end(report, r->opt);
    bench_report_print(report, r->opt, stdout);
    bench_run_hold(r);
}
