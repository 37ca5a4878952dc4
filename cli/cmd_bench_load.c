// SPDX-License-Identifier: Apache-2.0
#include "cli/cmd_bench_load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/mem.h"

const char *const bench_op_names[BENCH_OPS] = {"get", "set", "exists", "children", "create"};

// One request under way.
struct slot {
    struct bench_client *client;
    enum bench_op op;
    uint64_t begun_ns;
    bool counted;
};

struct bench_client {
    struct bench_load *load;
    struct reeve *zk;
    uint32_t id, under_way;
    uint64_t shares; // sum
    struct slot *slots;
    uint64_t created, deleted;
    bool cleaning;
    struct bench_sum sum;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// ---- one request after the other, on the client's thread ----------------------------------------

static void next(struct slot *s);

static void note_error(struct bench_client *c, enum bench_op op, const struct reeve_result *r)
{
    c->sum.errors[op]++;
    if (c->sum.why[0] == '\0') {
        reeve_result_text(r, c->sum.why, sizeof(c->sum.why));
    }
}

static void on_done(void *ctx, const struct reeve_result *r)
{
    struct slot *s = ctx;
    struct bench_client *c = s->client;
    c->under_way--;
    if (!c->cleaning && s->counted) {
        latency_put(&c->sum.latency[s->op], now_ns() - s->begun_ns);
        if (r->error) {
            note_error(c, s->op, r);
        }
    }
    if (c->cleaning && r->error && r->error != REEVE_NO_NODE) {
        c->deleted = c->created; // nobody is there to delete the others
    }
    next(s);
}

static enum bench_op draw_op(struct bench_client *c)
{
    uint64_t at = reeve_random(c->zk) % c->shares;
    for (int op = 0; op < BENCH_OPS; op++) {
        if (at < c->load->share[op]) {
            return (enum bench_op)op;
        }
        at -= c->load->share[op];
    }
    return BENCH_GET;
}

static void make_request(struct bench_client *c, struct slot *s, char *path,
                         struct reeve_request *q)
{
    static const enum reeve_op ops[BENCH_OPS] = {REEVE_OP_GET, REEVE_OP_SET, REEVE_OP_EXISTS,
                                                 REEVE_OP_CHILDREN, REEVE_OP_CREATE};
    const struct bench_load *l = c->load;
    s->op = draw_op(c);
    *q = (struct reeve_request){.op = ops[s->op], .path = path, .version = REEVE_ANY_VERSION};
    if (s->op == BENCH_CREATE) {
        snprintf(path, BENCH_PATH_MAX + 64, "%s/c%" PRIu32 "-%" PRIu64, l->base, c->id,
                 c->created++);
    } else {
        snprintf(path, BENCH_PATH_MAX + 64, "%s/n%" PRIu64, l->base, reeve_random(c->zk) % l->keys);
    }
    if (s->op == BENCH_CREATE || s->op == BENCH_SET) {
        q->data = l->data;
        q->data_len = l->data_len;
    }
}

// False: there is nothing more to do.
static bool submit(struct bench_client *c, struct slot *s)
{
    char path[BENCH_PATH_MAX + 64];
    struct reeve_request q;
    if (atomic_load(&c->load->stop)) {
        return false;
    }
    if (!c->cleaning) {
        make_request(c, s, path, &q);
    } else if (c->deleted == c->created) {
        return false;
    } else {
        snprintf(path, sizeof(path), "%s/c%" PRIu32 "-%" PRIu64, c->load->base, c->id,
                 c->deleted++);
        q = (struct reeve_request){.op = REEVE_OP_DELETE, .path = path, .version = -1};
    }
    q.timeout_ms = c->load->connect_timeout_ms; // without a server it would wait for one for ever
    s->counted = atomic_load(&c->load->counting);
    s->begun_ns = now_ns();
    enum reeve_error e = reeve_submit(c->zk, &q, on_done, s);
    if (e) {
        struct reeve_result r = {.error = e, .op = q.op, .path = path, .why = ""};
        note_error(c, s->op, &r);
        return false;
    }
    c->under_way++;
    return true;
}

static void client_done(struct bench_load *l)
{
    uint64_t one = 1;
    if (atomic_fetch_sub(&l->working, 1) == 1 && write(l->event, &one, sizeof(one)) < 0) {
        abort(); // an eventfd that is open takes a one
    }
}

static void next(struct slot *s)
{
    struct bench_client *c = s->client;
    if (!submit(c, s) && c->under_way == 0) {
        client_done(c->load);
    }
}

static void begin_client(void *ctx)
{
    struct bench_client *c = ctx;
    uint32_t begun = 0;
    for (uint32_t i = 0; i < c->load->depth; i++) {
        begun += submit(c, &c->slots[i]);
    }
    if (begun == 0) {
        client_done(c->load);
    }
}

// ---- all clients --------------------------------------------------------------------------------

static void begin_phase(struct bench_load *l, bool cleaning)
{
    uint64_t old;
    while (read(l->event, &old, sizeof(old)) > 0) {
    }
    atomic_store(&l->working, l->clients);
    for (uint32_t i = 0; i < l->clients; i++) {
        l->v[i].cleaning = cleaning;
        if (reeve_post(l->v[i].zk, begin_client, &l->v[i])) {
            client_done(l);
        }
    }
}

void bench_load_begin(struct bench_load *l)
{
    begin_phase(l, false);
}

void bench_load_clean(struct bench_load *l)
{
    atomic_store(&l->stop, false);
    begin_phase(l, true);
}

bool bench_load_done(const struct bench_load *l)
{
    return atomic_load(&l->working) == 0;
}

static enum reeve_error connect_client(struct bench_load *l, struct bench_client *c)
{
    struct reeve_options o = {.servers = l->servers, .session_timeout_ms = l->session_timeout_ms};
    enum reeve_error e = reeve_new(&c->zk, &o);
    return e ? e : reeve_start(c->zk);
}

enum reeve_error bench_load_init(struct bench_load *l, char *why)
{
    l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->v = cli_alloc(l->clients * sizeof(*l->v));
    l->data = cli_alloc(l->data_len + 1);
    memset(l->data, 'x', l->data_len);
    enum reeve_error e = l->event < 0 ? REEVE_SYSTEM : REEVE_OK;
    for (uint32_t i = 0; i < l->clients && !e; i++) {
        struct bench_client *c = &l->v[i];
        *c = (struct bench_client){.load = l, .id = i};
        c->slots = cli_alloc(l->depth * sizeof(*c->slots));
        for (uint32_t k = 0; k < l->depth; k++) {
            c->slots[k].client = c;
        }
        for (int op = 0; op < BENCH_OPS; op++) {
            c->shares += l->share[op];
        }
        e = connect_client(l, c);
    }
    for (uint32_t i = 0; i < l->clients && !e; i++) {
        e = reeve_wait_connected(l->v[i].zk, l->connect_timeout_ms);
    }
    snprintf(why, BENCH_WHY_MAX, "%s (%s)", reeve_error_text(e), reeve_error_name(e));
    return e;
}

void bench_load_sum(const struct bench_load *l, struct bench_sum *sum)
{
    *sum = (struct bench_sum){0};
    for (uint32_t i = 0; i < l->clients; i++) {
        const struct bench_sum *one = &l->v[i].sum;
        for (int op = 0; op < BENCH_OPS; op++) {
            latency_add(&sum->latency[op], &one->latency[op]);
            sum->errors[op] += one->errors[op];
        }
        if (sum->why[0] == '\0') {
            memcpy(sum->why, one->why, sizeof(sum->why));
        }
    }
}

void bench_load_fini(struct bench_load *l)
{
    for (uint32_t i = 0; l->v && i < l->clients; i++) {
        if (l->v[i].zk) {
            reeve_close(&l->v[i].zk);
        }
        free(l->v[i].slots);
    }
    free(l->v);
    free(l->data);
    if (l->event >= 0) {
        close(l->event);
    }
}
