// SPDX-License-Identifier: Apache-2.0
//
// Two questions about watches. What does a notification cost: --watchers sessions hold a
// persistent watch on one node, one writer sets it, and the next set waits for all of them to be
// told. What does a watch weigh: --watches of them are spread over connections and nodes.
#include "run.h"

static const uint64_t wait_max_ns = 100000000u;

struct fan {
    struct run *run;
    struct report *report;
    uint64_t set_ns;
    uint32_t told;
    bool answered;
};

static void on_event(void *ctx, struct conn *c, uint64_t now)
{
    (void)c;
    struct fan *f = ctx;
    f->told++;
    f->report->count++;
    bench_hist_put(&f->report->reads, now - f->set_ns);
}

static void on_reply(void *ctx, struct conn *c, const struct reply *r)
{
    (void)c;
    struct fan *f = ctx;
    bench_reply_check(&f->run->loop, r);
    f->answered = true;
}

static const struct handler phase_fan = {.reply = on_reply, .event = on_event};

static void set_once(struct fan *f, const struct request *set)
{
    f->told = 0;
    f->answered = false;
    f->set_ns = now_ns();
    uint64_t limit = f->set_ns + (uint64_t)30 * 1000000000;
    bench_request_put(set, &f->run->loop, &f->run->admin, 0, f->set_ns);
    while (!f->answered || f->told < f->run->conn_count) {
        bench_loop_step(&f->run->loop, wait_max_ns);
        if (now_ns() > limit) {
            bench_fatal("%u of %u watchers were told within 30 s", f->told, f->run->conn_count);
        }
    }
}

static void set_for(struct fan *f, const struct request *set, double seconds)
{
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    do {
        set_once(f, set);
    } while (now_ns() < end);
}

// One request on each connection, and its answer.
static void ask_all(struct fan *f, const struct request *request)
{
    for (uint32_t i = 0; i < f->run->conn_count; i++) {
        f->answered = false;
        bench_request_put(request, &f->run->loop, &f->run->conns[i], 0, now_ns());
        while (!f->answered) {
            bench_loop_step(&f->run->loop, wait_max_ns);
        }
    }
}

void bench_workload_watchers(struct run *r, struct report *report)
{
    report->what = "notification";
    struct fan f = {.run = r, .report = report};
    struct request watch;
    struct request set;
    bench_request_node(&watch, &r->names, OP_ADD_WATCH, 'k', 0, true);
    bench_request_node(&set, &r->names, OP_SET_DATA, 'k', r->opt->size, false);
    bench_run_nodes(r, OP_CREATE, 'k', 0, 1, r->opt->size);
    bench_run_open(r, r->opt->count, 1);
    r->loop.handler = &phase_fan;
    r->loop.ctx = &f;
    ask_all(&f, &watch);
    set_for(&f, &set, r->opt->warmup_s);
    bench_report_begin(report, r->opt);
    set_for(&f, &set, r->opt->duration_s);
    bench_report_end(report, r->opt);
    r->loop.handler = NULL;
    // The node's end is an event too: nobody counts it any more.
    bench_run_nodes(r, OP_DELETE, 'k', 0, 1, 0);
    bench_request_fini(&watch);
    bench_request_fini(&set);
}

// ---- the weight of a watch

struct pile {
    struct run *run;
    const struct request *watch;
    uint32_t asked;
    uint32_t answered;
};

// Watch number i is on connection i mod connections, so each gets one after the other, and no
// connection has two on a node.
static void ask_next(struct pile *p, struct conn *c)
{
    uint32_t connections = p->run->conn_count;
    uint32_t number = (uint32_t)c->xid_next - 1;
    if ((uint64_t)number * connections + c->index >= p->run->opt->count) {
        return;
    }
    bench_request_put(p->watch, &p->run->loop, c, number, p->run->loop.now);
    p->asked++;
}

static void on_watched(void *ctx, struct conn *c, const struct reply *r)
{
    struct pile *p = ctx;
    bench_reply_check(&p->run->loop, r);
    p->answered++;
    ask_next(p, c);
}

static const struct handler phase_pile = {.reply = on_watched};

void bench_workload_watches(struct run *r, struct report *report)
{
    report->what = "watch";
    struct request watch;
    bench_request_node(&watch, &r->names, r->opt->persistent ? OP_ADD_WATCH : OP_EXISTS, 'k', 0,
                       true);
    uint32_t keys = (r->opt->count + r->opt->connections - 1) / r->opt->connections;
    bench_run_nodes(r, OP_CREATE, 'k', 0, keys, r->opt->size);
    bench_run_open(r, r->opt->connections, r->opt->outstanding);
    bench_run_rest(r, 0.5);
    struct pile p = {.run = r, .watch = &watch};
    bench_report_begin(report, r->opt);
    r->loop.handler = &phase_pile;
    r->loop.ctx = &p;
    for (uint32_t i = 0; i < r->conn_count * r->opt->outstanding; i++) {
        ask_next(&p, &r->conns[i % r->conn_count]);
    }
    while (p.answered < p.asked) {
        bench_loop_step(&r->loop, wait_max_ns);
    }
    report->count = p.answered;
    bench_report_end(report, r->opt);
    bench_report_print(report, r->opt, stdout);
    bench_run_hold(r);
    // Gone with their sessions: deleting the nodes first would send an event for each.
    for (uint32_t i = 0; i < r->conn_count; i++) {
        bench_conn_close(&r->loop, &r->conns[i]);
    }
    bench_run_nodes(r, OP_DELETE, 'k', 0, keys, 0);
    bench_request_fini(&watch);
}
