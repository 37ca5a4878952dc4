// SPDX-License-Identifier: Apache-2.0
//
// See run.h. Each phase sets the loop's handler to its own and drives the loop until its count is
// reached; the loop itself bounds the wait (a request without an answer is fatal after a minute).
#include "run.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    OPENING_MAX = 32, // below the listen backlog of any server
    MULTI_BYTES = 128 << 10,
    // A server may keep its last some hundred transactions: small ones, lest they weigh in --fill.
    MULTI_NODES_MAX = 50,
    ADMIN_DEPTH = 16,
    CLOSING_MAX = 256,
};

static const uint64_t wait_max_ns = 100000000u;

void bench_reply_check(const struct loop *l, const struct reply *r)
{
    if (r->err != 0) {
        bench_fatal("%s answered %s with %s (%d)", l->host, bench_opcode_name(r->op),
                    bench_error_name(r->err), r->err);
    }
    // A multi that failed has err 0, and results of type -1 before its end.
    if (r->op == OP_MULTI && r->len >= 9 && get32(r->body) == UINT32_MAX && r->body[4] == 0) {
        int32_t err = 0;
        for (size_t at = 0; at + 13 <= r->len && err == 0 && r->body[at + 4] == 0; at += 13) {
            err = (int32_t)get32(r->body + at + 9);
        }
        bench_fatal("%s answered multi with %s (%d)", l->host, bench_error_name(err), err);
    }
}

static void on_done(void *ctx, struct conn *c)
{
    (void)c;
    struct run *r = ctx;
    r->done++;
}

static void on_reply(void *ctx, struct conn *c, const struct reply *reply)
{
    (void)c;
    struct run *r = ctx;
    bench_reply_check(&r->loop, reply);
    r->done++;
}

static const struct handler phase_open = {.ready = on_done, .reply = on_reply};
static const struct handler phase_call = {.reply = on_reply};

static void on_bye(void *ctx, struct conn *c, const struct reply *reply)
{
    struct run *r = ctx;
    bench_reply_check(&r->loop, reply);
    bench_conn_close(&r->loop, c);
    r->done++;
}

static const struct handler phase_close = {.reply = on_bye, .closed = on_done};

static void phase(struct run *r, const struct handler *handler)
{
    r->loop.handler = handler;
    r->loop.ctx = r;
    r->done = 0;
}

static void wait_for(struct run *r, uint32_t done)
{
    while (r->done < done) {
        bench_loop_step(&r->loop, wait_max_ns);
    }
}

void bench_run_call(struct run *r, struct request *request)
{
    phase(r, &phase_call);
    bench_request_put(request, &r->loop, &r->admin, 0, now_ns());
    wait_for(r, 1);
    bench_request_fini(request);
}

void bench_run_init(struct run *r, const struct options *opt)
{
    *r = (struct run){.opt = opt};
    bench_loop_init(&r->loop, opt);
    bench_names_init(&r->names);
    bench_conn_init(&r->admin, CONN_INDEX_ADMIN, ADMIN_DEPTH);
    phase(r, &phase_open);
    bench_conn_open(&r->loop, &r->admin);
    wait_for(r, 1);
    struct request root;
    bench_request_root(&root, &r->names, OP_CREATE);
    bench_run_call(r, &root);
}

void bench_run_open(struct run *r, uint32_t count, uint32_t depth)
{
    must(r->conns == NULL);
    r->conns = calloc(count, sizeof *r->conns);
    if (r->conns == NULL) {
        bench_fatal("out of memory for %u connections", count);
    }
    phase(r, &phase_open);
    for (r->conn_count = 0; r->conn_count < count; r->conn_count++) {
        struct conn *c = &r->conns[r->conn_count];
        bench_conn_init(c, r->conn_count, depth);
        bench_conn_open(&r->loop, c);
        while (r->loop.opening >= OPENING_MAX) {
            bench_loop_step(&r->loop, wait_max_ns);
        }
    }
    wait_for(r, count);
}

void bench_run_nodes(struct run *r, int32_t op, char letter, uint32_t first, uint32_t count,
                     uint32_t size)
{
    uint32_t per_node = ROOT_LEN + 80 + (op == OP_CREATE ? size : 0);
    uint32_t batch = MULTI_BYTES / per_node;
    if (batch > MULTI_NODES_MAX) {
        batch = MULTI_NODES_MAX;
    }
    if (batch == 0) {
        batch = 1;
    }
    phase(r, &phase_call);
    uint32_t sent = 0;
    for (uint32_t at = 0; at < count; at += batch) {
        while (r->admin.inflight == ADMIN_DEPTH) {
            bench_loop_step(&r->loop, wait_max_ns);
        }
        uint32_t n = count - at < batch ? count - at : batch;
        struct request multi;
        bench_request_multi(&multi, &r->names, op, letter, first + at, n, size);
        bench_request_put(&multi, &r->loop, &r->admin, 0, r->loop.now);
        bench_loop_flush(&r->loop);
        bench_request_fini(&multi);
        sent++;
    }
    wait_for(r, sent);
}

void bench_run_rest(struct run *r, double seconds)
{
    phase(r, &phase_call);
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    while (now_ns() < end) {
        bench_loop_step(&r->loop, wait_max_ns / 10);
    }
}

void bench_run_hold(struct run *r)
{
    if (!r->opt->hold) {
        return;
    }
    phase(r, &phase_call);
    for (;;) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        char text[256];
        if (poll(&in, 1, 0) > 0 && read(STDIN_FILENO, text, sizeof text) <= 0) {
            return;
        }
        bench_loop_step(&r->loop, wait_max_ns);
    }
}

static void close_sessions(struct run *r)
{
    struct request bye;
    bench_request_close(&bye);
    phase(r, &phase_close);
    uint32_t sent = 0;
    for (uint32_t i = 0; i <= r->conn_count; i++) {
        struct conn *c = i < r->conn_count ? &r->conns[i] : &r->admin;
        if (c->state != CONN_READY) {
            continue;
        }
        while (sent - r->done >= CLOSING_MAX) {
            bench_loop_step(&r->loop, wait_max_ns);
        }
        bench_conn_hang_up_expect(c);
        bench_request_put(&bye, &r->loop, c, 0, r->loop.now);
        sent++;
    }
    wait_for(r, sent);
    bench_request_fini(&bye);
}

void bench_run_fini(struct run *r)
{
    if (!r->opt->keep) {
        struct request root;
        bench_request_root(&root, &r->names, OP_DELETE);
        bench_run_call(r, &root);
    }
    close_sessions(r);
    for (uint32_t i = 0; i < r->conn_count; i++) {
        bench_conn_close(&r->loop, &r->conns[i]);
        bench_conn_fini(&r->conns[i]);
    }
    free(r->conns);
    bench_conn_close(&r->loop, &r->admin);
    bench_conn_fini(&r->admin);
    bench_loop_fini(&r->loop);
}
