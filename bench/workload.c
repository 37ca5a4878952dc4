// SPDX-License-Identifier: Apache-2.0
//
// The steady load: reads, writes or a mix, on all connections.
//
// Closed loop: each connection keeps --outstanding requests in flight, and a reply causes the next
// one. Latency counts from the send. What it cannot see: a server that stalls is asked less.
//
// Open loop (--rate): request number i is due at start + i / rate, on connection i mod n, whether
// the server keeps up or not, and latency counts from when it was due. So a stall is felt by all
// requests that fell into it, also by those that waited in the tool because the connection had
// --outstanding in flight already. No queue is kept: the time of each follows from its number.
//
// Stages: WARM -> MEASURE -> DRAIN. Only what falls into MEASURE counts.
#include <stdlib.h>

#include "run.h"

enum stage { WARM, MEASURE, DRAIN };

enum { DRAIN_LIMIT_S = 10 };

static const uint64_t wait_max_ns = 50000000u;

// A connection's part of the open loop: which of its requests are due and which it sends next.
struct lane {
    uint64_t due;
    uint64_t next;
};

struct load {
    struct run *run;
    const struct options *opt;
    struct report *report;
    enum stage stage;
    struct rng rng;
    struct request get;
    struct request set;
    struct request exists;
    struct request children;
    struct request create;
    struct request del;
    uint32_t created;
    uint32_t deleted;
    uint64_t inflight;
    uint64_t start_ns;
    uint64_t measure_ns;
    uint64_t end_ns;
    uint64_t scheduled; // open loop: requests that became due
    double interval_ns; // 0: closed loop
    struct lane *lanes;
};

static bool is_write(int32_t op)
{
    return op == OP_SET_DATA || op == OP_CREATE || op == OP_DELETE;
}

// Nothing left to ask for.
static bool exhausted(const struct load *l)
{
    return (l->opt->op == LOAD_DELETE && l->deleted == l->opt->keys) ||
           (l->opt->op == LOAD_CREATE && l->created == KEYS_MAX);
}

static const struct request *choose(struct load *l, uint32_t *key)
{
    *key = rng_below(&l->rng, l->opt->keys);
    switch (l->opt->op) {
    case LOAD_GET:
        return &l->get;
    case LOAD_SET:
        return &l->set;
    case LOAD_EXISTS:
        return &l->exists;
    case LOAD_CHILDREN:
        return &l->children;
    case LOAD_CREATE:
        *key = l->created++;
        return &l->create;
    case LOAD_DELETE:
        *key = l->deleted++;
        return &l->del;
    case LOAD_MIX:
        break;
    }
    double share = (double)(rng_next(&l->rng) >> 11) * 0x1p-53;
    return share < l->opt->read_ratio ? &l->get : &l->set;
}

static void issue(struct load *l, struct conn *c, uint64_t at_ns)
{
    if (exhausted(l)) {
        return;
    }
    uint32_t key;
    const struct request *request = choose(l, &key);
    bench_request_put(request, &l->run->loop, c, key, at_ns);
    l->inflight++;
}

// ---- open loop

static uint64_t due_at(const struct load *l, uint64_t number)
{
    return l->start_ns + (uint64_t)((double)number * l->interval_ns);
}

static uint64_t lane_due_at(const struct load *l, uint32_t lane, uint64_t next)
{
    return due_at(l, next * l->run->conn_count + lane);
}

static void pump(struct load *l, struct conn *c)
{
    struct lane *lane = &l->lanes[c->index];
    while (lane->due > 0 && c->inflight < l->opt->outstanding) {
        issue(l, c, lane_due_at(l, c->index, lane->next));
        lane->next++;
        lane->due--;
    }
}

// Sends what is due by now; returns when the next one is.
static uint64_t schedule(struct load *l)
{
    uint64_t now = now_ns();
    for (;;) {
        uint64_t at = due_at(l, l->scheduled);
        if (at > now || at >= l->end_ns || exhausted(l)) {
            return at;
        }
        uint32_t lane = (uint32_t)(l->scheduled % l->run->conn_count);
        l->lanes[lane].due++;
        l->scheduled++;
        pump(l, &l->run->conns[lane]);
    }
}

// What had no answer when the run gave up counts with the time it has waited.
static void give_up(struct load *l)
{
    uint64_t now = now_ns();
    for (uint32_t i = 0; i < l->run->conn_count; i++) {
        struct conn *c = &l->run->conns[i];
        struct lane *lane = &l->lanes[i];
        uint64_t unanswered = c->inflight + lane->due;
        uint64_t first = lane->next - c->inflight;
        for (uint64_t n = 0; n < unanswered; n++) {
            uint64_t at = lane_due_at(l, i, first + n);
            if (at >= l->measure_ns) {
                bench_hist_put(&l->report->writes, now - at);
                l->report->unanswered++;
            }
        }
        if (c->inflight > 0) {
            bench_conn_close(&l->run->loop, c);
        }
    }
}

// ---- replies

static void on_reply(void *ctx, struct conn *c, const struct reply *r)
{
    struct load *l = ctx;
    bench_reply_check(&l->run->loop, r);
    l->inflight--;
    bool open = l->interval_ns > 0;
    if (l->stage == MEASURE) {
        l->report->count++;
    }
    if (open ? r->sent_ns >= l->measure_ns : l->stage == MEASURE) {
        struct hist *h = is_write(r->op) ? &l->report->writes : &l->report->reads;
        bench_hist_put(h, r->now_ns > r->sent_ns ? r->now_ns - r->sent_ns : 0);
    }
    if (open) {
        pump(l, c);
    } else if (l->stage != DRAIN) {
        issue(l, c, r->now_ns);
    }
}

static const struct handler phase_load = {.reply = on_reply};

// ---- the run

static void step(struct load *l, uint64_t until_ns)
{
    uint64_t now = now_ns();
    uint64_t wake = until_ns < now + wait_max_ns ? until_ns : now + wait_max_ns;
    if (l->interval_ns > 0 && l->stage != DRAIN) {
        uint64_t next = schedule(l);
        wake = next < wake ? next : wake;
    }
    now = now_ns();
    bench_loop_step(&l->run->loop, wake > now ? wake - now : 0);
}

static bool measured_enough(const struct load *l)
{
    if (l->opt->ops > 0 && l->report->count >= l->opt->ops) {
        return true;
    }
    return exhausted(l) && l->inflight == 0;
}

static void drain(struct load *l)
{
    l->stage = DRAIN;
    uint64_t limit = now_ns() + DRAIN_LIMIT_S * (uint64_t)1000000000;
    while (l->inflight > 0 && (now_ns() < limit || l->interval_ns <= 0)) {
        step(l, limit);
    }
    if (l->inflight > 0) {
        give_up(l);
    }
}

static void drive(struct load *l)
{
    l->run->loop.handler = &phase_load;
    l->run->loop.ctx = l;
    l->start_ns = now_ns();
    l->measure_ns = l->start_ns + (uint64_t)(l->opt->warmup_s * 1e9);
    l->end_ns = l->opt->ops > 0 ? UINT64_MAX : l->measure_ns + (uint64_t)(l->opt->duration_s * 1e9);
    if (l->interval_ns <= 0) {
        l->run->loop.now = l->start_ns;
        for (uint32_t i = 0; i < l->run->conn_count * l->opt->outstanding; i++) {
            issue(l, &l->run->conns[i % l->run->conn_count], l->start_ns);
        }
    }
    while (now_ns() < l->measure_ns) {
        step(l, l->measure_ns);
    }
    l->stage = MEASURE;
    bench_report_begin(l->report, l->opt);
    while (now_ns() < l->end_ns && !measured_enough(l)) {
        step(l, l->end_ns);
    }
    bench_report_end(l->report, l->opt);
    drain(l);
}

static void prepare(struct load *l)
{
    struct run *run = l->run;
    uint32_t size = l->opt->size;
    bench_request_node(&l->get, &run->names, OP_GET_DATA, 'k', 0, false);
    bench_request_node(&l->set, &run->names, OP_SET_DATA, 'k', size, false);
    bench_request_node(&l->exists, &run->names, OP_EXISTS, 'k', 0, false);
    bench_request_root(&l->children, &run->names, OP_GET_CHILDREN);
    bench_request_node(&l->create, &run->names, OP_CREATE, 'n', size, false);
    bench_request_node(&l->del, &run->names, OP_DELETE, 'k', 0, false);
    if (l->opt->op != LOAD_CREATE) {
        bench_run_nodes(run, OP_CREATE, 'k', 0, l->opt->keys, size);
    }
}

static void clean(struct load *l)
{
    if (!l->opt->keep) {
        bench_run_nodes(l->run, OP_DELETE, 'n', 0, l->created, 0);
        if (l->opt->op != LOAD_CREATE) {
            bench_run_nodes(l->run, OP_DELETE, 'k', l->deleted, l->opt->keys - l->deleted, 0);
        }
    }
    struct request *all[] = {&l->get, &l->set, &l->exists, &l->children, &l->create, &l->del};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        bench_request_fini(all[i]);
    }
    free(l->lanes);
}

void bench_workload_load(struct run *r, struct report *report)
{
    struct load l = {.run = r, .opt = r->opt, .report = report, .rng.state = r->opt->seed};
    report->what = "operation";
    if (r->opt->rate > 0) {
        l.interval_ns = 1e9 / r->opt->rate;
    }
    prepare(&l);
    bench_run_open(r, r->opt->connections, r->opt->outstanding);
    l.lanes = calloc(r->conn_count, sizeof *l.lanes);
    if (l.lanes == NULL) {
        bench_fatal("out of memory");
    }
    drive(&l);
    clean(&l);
}
