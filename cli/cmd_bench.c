// SPDX-License-Identifier: Apache-2.0
//
// bench: a simple load from the shell, to see what a service can do from here. The nodes it works
// on are its own and go at its end. (reeve-bench is for measuring servers against each other.)
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cmd_bench_load.h"

enum { PART_MAX = 200, WARMUP_MS = 300, CLIENTS_MAX = 1000, DEPTH_MAX = 10000, KEYS_MAX = 100000 };

struct bench {
    struct cli *c;
    struct bench_load load;
    int64_t seconds;
    double measured_s;
};

// ---- the command's words ------------------------------------------------------------------------

static bool number(struct cli *c, const struct args *a, const char *name, int64_t min, int64_t max,
                   int64_t *v)
{
    const char *s = args_value(a, name);
    if (s && !parse_i64(s, min, max, v)) {
        cli_usage(c, "-%s wants a number from %" PRId64 " to %" PRId64, name, min, max);
        return false;
    }
    return true;
}

// "get=80,set=20", or one name alone.
static bool parse_mix(const char *s, uint32_t share[BENCH_OPS])
{
    while (*s) {
        size_t n = strcspn(s, ",");
        size_t name_n = strcspn(s, "=,");
        int64_t v = 1;
        if (name_n < n) {
            char digits[16] = "";
            if (n - name_n - 1 >= sizeof(digits)) {
                return false;
            }
            memcpy(digits, s + name_n + 1, n - name_n - 1);
            if (!parse_i64(digits, 0, 1000000, &v)) {
                return false;
            }
        }
        int op = 0;
        while (op < BENCH_OPS && (strlen(bench_op_names[op]) != name_n ||
                                  memcmp(bench_op_names[op], s, name_n) != 0)) {
            op++;
        }
        if (op == BENCH_OPS) {
            return false;
        }
        share[op] += (uint32_t)v;
        s += n + (s[n] == ',');
    }
    uint64_t sum = 0;
    for (int op = 0; op < BENCH_OPS; op++) {
        sum += share[op];
    }
    return sum > 0;
}

static bool parse(struct bench *b, const struct args *a)
{
    struct cli *c = b->c;
    int64_t clients = 4, depth = 16, size = 100, keys = 100;
    const char *mix = args_value(a, "mix"), *path = args_value(a, "path");
    b->seconds = 5;
    if (!number(c, a, "t", 1, 86400, &b->seconds) || !number(c, a, "c", 1, CLIENTS_MAX, &clients) ||
        !number(c, a, "d", 1, DEPTH_MAX, &depth) || !number(c, a, "s", 0, 1000000, &size) ||
        !number(c, a, "n", 1, KEYS_MAX, &keys)) {
        return false;
    }
    if (!parse_mix(mix ? mix : "get=80,set=20", b->load.share)) {
        cli_usage(c, "-mix wants shares of get, set, exists, children and create: get=80,set=20");
        return false;
    }
    char *parent = cli_path(c, path ? path : "/", false), guid[33];
    reeve_guid(c->zk, guid);
    int n = snprintf(b->load.base, sizeof(b->load.base), "%s/reeve-bench-%.16s",
                     strcmp(parent, "/") == 0 ? "" : parent, guid);
    free(parent);
    if (n >= (int)sizeof(b->load.base)) {
        cli_usage(c, "-path is too long");
        return false;
    }
    b->load.clients = (uint32_t)clients;
    b->load.depth = (uint32_t)depth;
    b->load.data_len = (uint32_t)size;
    b->load.keys = (uint32_t)keys;
    b->load.servers = c->opt.servers;
    b->load.session_timeout_ms = c->opt.session_timeout_ms;
    b->load.connect_timeout_ms = c->opt.connect_timeout_ms;
    return true;
}

// ---- its nodes ----------------------------------------------------------------------------------

static int call(struct cli *c, const struct reeve_request *q)
{
    struct reeve_result r;
    struct reeve_request limited = *q;
    limited.timeout_ms = c->opt.connect_timeout_ms;
    int code = cli_call(c, &limited, &r) ? cli_fail(c, &r) : CLI_OK;
    reeve_result_fini(&r);
    return code;
}

// Creates n<from>... in one transaction.
static int create_part(struct bench *b, uint32_t from, uint32_t n)
{
    struct reeve_request parts[PART_MAX] = {0};
    char *paths = cli_alloc((size_t)n * (BENCH_PATH_MAX + 16));
    void *data = cli_alloc(b->load.data_len + 1);
    for (uint32_t i = 0; i < n; i++) {
        char *path = paths + (size_t)i * (BENCH_PATH_MAX + 16);
        snprintf(path, BENCH_PATH_MAX + 16, "%s/n%" PRIu32, b->load.base, from + i);
        parts[i] = (struct reeve_request){
            .op = REEVE_OP_CREATE, .path = path, .data = data, .data_len = b->load.data_len};
    }
    struct reeve_request q = {.op = REEVE_OP_MULTI, .parts = parts, .parts_n = n};
    int code = call(b->c, &q);
    free(paths);
    free(data);
    return code;
}

static int create_nodes(struct bench *b)
{
    int code = CLI_OK;
    // A transaction must stay below the servers' limit of a megabyte.
    uint32_t most = 500000 / (b->load.data_len + 1000);
    most = most < 1 ? 1 : most > PART_MAX ? PART_MAX : most;
    for (uint32_t at = 0; at < b->load.keys && code == CLI_OK; at += most) {
        uint32_t n = b->load.keys - at < most ? b->load.keys - at : most;
        code = create_part(b, at, n);
    }
    return code;
}

// ---- running ------------------------------------------------------------------------------------

// Until `until_ms` (-1: no limit), Ctrl-C or the end of the phase. True: it has ended.
static bool wait_phase(struct bench *b, int64_t until_ms, bool stoppable)
{
    struct cli *c = b->c;
    while (!stoppable || !c->interrupted) {
        int64_t left = until_ms < 0 ? 1000 : until_ms - cli_now_ms();
        if (left <= 0) {
            return false;
        }
        cli_turn(c, b->load.event, (int)(left < 1000 ? left : 1000));
        if (bench_load_done(&b->load)) {
            return true;
        }
        if (until_ms >= 0 && stoppable) {
            out_progress(&c->out, "%" PRId64 " s left", (until_ms - cli_now_ms() + 999) / 1000);
        }
    }
    return false;
}

static void run_load(struct bench *b)
{
    bench_load_begin(&b->load);
    bool ended = wait_phase(b, cli_now_ms() + WARMUP_MS, true);
    int64_t from_ms = cli_now_ms();
    atomic_store(&b->load.counting, true);
    ended = ended || wait_phase(b, from_ms + b->seconds * 1000, true);
    atomic_store(&b->load.counting, false);
    b->measured_s = (double)(cli_now_ms() - from_ms) / 1000;
    atomic_store(&b->load.stop, true);
    if (!ended) {
        wait_phase(b, -1, false); // each request is answered or fails with its session
    }
    out_progress(&b->c->out, NULL);
}

// ---- what came out ------------------------------------------------------------------------------

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

// Nothing was measured if it was stopped at once.
static double rate(const struct bench *b, const struct latency *l)
{
    return b->measured_s > 0 ? (double)l->n / b->measured_s : 0;
}

static void print_row(struct bench *b, const char *name, const struct latency *l, uint64_t errors)
{
    out_printf(&b->c->out,
               "%-9s %10" PRIu64 " %10.0f %9.3f %9.3f %9.3f %9.3f %9.3f %9.3f %8" PRIu64 "\n", name,
               l->n, rate(b, l), l->n ? ms(l->sum_ns / l->n) : 0, ms(latency_quantile(l, 0.5)),
               ms(latency_quantile(l, 0.95)), ms(latency_quantile(l, 0.99)),
               ms(latency_quantile(l, 0.999)), ms(l->max_ns), errors);
}

static json_t *json_row(struct bench *b, const struct latency *l, uint64_t errors)
{
    return json_pack(
        "{s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:I}", "ops", (json_int_t)l->n, "ops_s", rate(b, l),
        "mean_ms", l->n ? ms(l->sum_ns / l->n) : 0.0, "p50_ms", ms(latency_quantile(l, 0.5)),
        "p95_ms", ms(latency_quantile(l, 0.95)), "p99_ms", ms(latency_quantile(l, 0.99)), "p999_ms",
        ms(latency_quantile(l, 0.999)), "max_ms", ms(l->max_ns), "errors", (json_int_t)errors);
}

static void print_sum(struct bench *b, const struct bench_sum *sum, const struct latency *all,
                      uint64_t errors)
{
    struct out *o = &b->c->out;
    out_printf(o, "%u clients, %u requests under way on each, %u nodes of %u bytes, %.1f s\n",
               b->load.clients, b->load.depth, b->load.keys, b->load.data_len, b->measured_s);
    out_printf(o, "%s%-9s %10s %10s %9s %9s %9s %9s %9s %9s %8s%s\n", out_color(o, OUT_BOLD), "ms",
               "OPS", "OPS/s", "MEAN", "P50", "P95", "P99", "P99.9", "MAX", "ERRORS",
               out_color_end(o));
    for (int op = 0; op < BENCH_OPS; op++) {
        if (b->load.share[op]) {
            print_row(b, bench_op_names[op], &sum->latency[op], sum->errors[op]);
        }
    }
    print_row(b, "all", all, errors);
}

static int report(struct bench *b)
{
    struct bench_sum *sum = cli_alloc(sizeof(*sum));
    struct latency *all = cli_alloc(sizeof(*all));
    uint64_t errors = 0;
    bench_load_sum(&b->load, sum);
    json_t *ops = json_object();
    for (int op = 0; op < BENCH_OPS; op++) {
        latency_add(all, &sum->latency[op]);
        errors += sum->errors[op];
        if (b->load.share[op]) {
            json_object_set_new(ops, bench_op_names[op],
                                json_row(b, &sum->latency[op], sum->errors[op]));
        }
    }
    if (b->c->out.json) {
        out_json(&b->c->out,
                 json_pack("{s:f,s:I,s:I,s:O,s:o}", "seconds", b->measured_s, "clients",
                           (json_int_t)b->load.clients, "depth", (json_int_t)b->load.depth, "ops",
                           ops, "all", json_row(b, all, errors)));
    } else {
        print_sum(b, sum, all, errors);
    }
    json_decref(ops);
    int code = CLI_OK;
    if (errors) {
        code = cli_refuse(b->c, "%" PRIu64 " requests failed; the first: %s", errors, sum->why);
    }
    free(sum);
    free(all);
    return code;
}

// Takes everything away that was made, also if that was interrupted. Returns what that came to.
static int clean(struct bench *b, bool loaded)
{
    struct cli *c = b->c;
    bool interrupted = c->interrupted, json = c->out.json;
    c->interrupted = false; // its nodes go in any case
    int code = cli_need_connection(c, -1);
    if (code == CLI_OK) {
        if (loaded) {
            bench_load_clean(&b->load);
            wait_phase(b, -1, false);
        }
        char *words[] = {b->load.base, NULL};
        struct args all = {.n = 1, .arg = words, .dashes = -1};
        c->out.json = false;
        code = cmd_deleteall(c, &all);
        c->out.json = json;
    }
    c->interrupted = interrupted || c->interrupted;
    if (code != CLI_OK) {
        out_note(&b->c->out, "its nodes stay, at %s", b->load.base);
    }
    return code;
}

static int run(struct bench *b)
{
    struct reeve_request base = {.op = REEVE_OP_CREATE, .path = b->load.base};
    int code = call(b->c, &base);
    if (code) {
        return code;
    }
    bool loaded = false;
    code = create_nodes(b);
    char why[BENCH_WHY_MAX];
    if (code == CLI_OK && bench_load_init(&b->load, why)) {
        code = cli_refuse(b->c, "cannot connect its clients: %s", why);
    } else if (code == CLI_OK) {
        loaded = true;
        run_load(b);
        code = report(b);
    }
    int cleaned = clean(b, loaded);
    bench_load_fini(&b->load);
    return b->c->interrupted ? CLI_INTERRUPTED : code ? code : cleaned;
}

int cmd_bench(struct cli *c, const struct args *a)
{
    struct bench b = {.c = c, .load.event = -1};
    bool json = c->out.json;
    c->out.json = json || args_has(a, "json");
    int code = parse(&b, a) ? run(&b) : CLI_USAGE;
    c->out.json = json;
    return code;
}
