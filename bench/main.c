// SPDX-License-Identifier: Apache-2.0
//
// reeve-bench: measures a coordination server that speaks ZooKeeper's client protocol. This file
// reads the command line, checks it and starts the workload.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bare.h"
#include "run.h"

enum {
    CONNECTIONS_MAX = 1000000,
    OUTSTANDING_MAX = 100000,
    SIZE_MAX_BYTES = 1000000,
    SIZE_DEFAULT = 1024,
    SIZE_FILL_DEFAULT = 100,
};

static const char usage[] =
    "usage: reeve-bench [options]            load, or one of the measurements below\n"
    "       reeve-bench bare [--port N] [--log FILE [--log-size MB]] [--size BYTES]\n"
    "                                        the bare server to compare with\n"
    "\n"
    "where\n"
    "  --host ADDRESS       IPv4 address of the server (127.0.0.1)\n"
    "  --port N[,N...]      its client port (2181); connections are spread over several\n"
    "  --pid PID[,PID...]   the servers' processes here: CPU per operation and memory, summed\n"
    "load\n"
    "  --op OP              get set exists children create delete mix (get)\n"
    "  --read-ratio R       share of getData in a mix, 0 to 1 (0.9); the rest is setData\n"
    "  --connections N      sessions (10)\n"
    "  --outstanding N      requests in flight on each (1)\n"
    "  --size BYTES         data of each node (1024; 100 for --fill)\n"
    "  --keys N             nodes that are used (1000)\n"
    "  --duration S         seconds to measure (10)\n"
    "  --ops N              or: operations to measure\n"
    "  --warmup S           seconds before that (1)\n"
    "  --rate R             open loop: R requests per second in all, latency from when each was\n"
    "                       due; without it a closed loop, as fast as the server answers\n"
    "  --seed N             of the choice of nodes (1)\n"
    "instead of load\n"
    "  --watchers N         N sessions with a persistent watch on one node that one writer sets:\n"
    "                       time and CPU per notification\n"
    "  --session-churn      opens and closes sessions, --connections at a time\n"
    "  --idle-sessions N    memory per session\n"
    "  --fill N             memory per znode of --size bytes\n"
    "  --watches N          memory per watch, spread over --connections\n"
    "  --watch-kind KIND    one-shot or persistent, for --watches (one-shot)\n"
    "  --hold               keeps what was made until stdin ends\n"
    "and\n"
    "  --keep               leaves the nodes\n"
    "  --session-timeout MS asked from the server (30000)\n"
    "  --json               prints one JSON object\n"
    "  --help\n"
    "\n"
    "All nodes lie under /reeve-bench-<16 hex>, which is removed at the end.\n";

static double real(const char *name, const char *text, double min, double max)
{
    char *rest;
    errno = 0;
    double v = strtod(text, &rest);
    if (errno != 0 || rest == text || *rest != '\0' || !(v >= min && v <= max)) {
        bench_fatal("--%s %s: a number from %g to %g is needed", name, text, min, max);
    }
    return v;
}

static uint64_t whole(const char *name, const char *text, uint64_t min, uint64_t max)
{
    char *rest;
    errno = 0;
    unsigned long long v = strtoull(text, &rest, 10);
    if (errno != 0 || rest == text || *rest != '\0' || text[0] == '-' || v < min || v > max) {
        bench_fatal("--%s %s: a whole number from %llu to %llu is needed", name, text,
                    (unsigned long long)min, (unsigned long long)max);
    }
    return v;
}

// The number at *at, which moves behind its comma, or becomes NULL behind the last.
static uint64_t whole_of_list(const char *name, const char **at, uint64_t max)
{
    char text[24] = "";
    const char *comma = strchr(*at, ',');
    size_t n = comma ? (size_t)(comma - *at) : strlen(*at);
    snprintf(text, sizeof text, "%.*s", (int)n, *at);
    *at = comma ? comma + 1 : NULL;
    return whole(name, text, 1, max);
}

static void place_has_room(const char *name, const char *text, uint32_t count)
{
    if (count == SERVERS_MAX) {
        bench_fatal("--%s %s: %d servers at most", name, text, SERVERS_MAX);
    }
}

static enum load_op load_op_of(const char *text)
{
    static const char *const names[] = {"get",    "set",    "exists", "children",
                                        "create", "delete", "mix"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            return (enum load_op)i;
        }
    }
    bench_fatal("--op %s: get, set, exists, children, create, delete or mix is needed", text);
}

static bool persistent_of(const char *text)
{
    if (strcmp(text, "persistent") != 0 && strcmp(text, "one-shot") != 0) {
        bench_fatal("--watch-kind %s: one-shot or persistent is needed", text);
    }
    return text[0] == 'p';
}

enum letter {
    O_HOST = 1,
    O_PORT,
    O_PID,
    O_OP,
    O_READ_RATIO,
    O_CONNECTIONS,
    O_OUTSTANDING,
    O_SIZE,
    O_KEYS,
    O_DURATION,
    O_OPS,
    O_WARMUP,
    O_RATE,
    O_SEED,
    O_WATCHERS,
    O_CHURN,
    O_IDLE,
    O_FILL,
    O_WATCHES,
    O_WATCH_KIND,
    O_HOLD,
    O_KEEP,
    O_TIMEOUT,
    O_JSON,
    O_HELP,
};

static const struct option long_options[] = {
    {"host", required_argument, NULL, O_HOST},
    {"port", required_argument, NULL, O_PORT},
    {"pid", required_argument, NULL, O_PID},
    {"op", required_argument, NULL, O_OP},
    {"read-ratio", required_argument, NULL, O_READ_RATIO},
    {"connections", required_argument, NULL, O_CONNECTIONS},
    {"outstanding", required_argument, NULL, O_OUTSTANDING},
    {"size", required_argument, NULL, O_SIZE},
    {"keys", required_argument, NULL, O_KEYS},
    {"duration", required_argument, NULL, O_DURATION},
    {"ops", required_argument, NULL, O_OPS},
    {"warmup", required_argument, NULL, O_WARMUP},
    {"rate", required_argument, NULL, O_RATE},
    {"seed", required_argument, NULL, O_SEED},
    {"watchers", required_argument, NULL, O_WATCHERS},
    {"session-churn", no_argument, NULL, O_CHURN},
    {"idle-sessions", required_argument, NULL, O_IDLE},
    {"fill", required_argument, NULL, O_FILL},
    {"watches", required_argument, NULL, O_WATCHES},
    {"watch-kind", required_argument, NULL, O_WATCH_KIND},
    {"hold", no_argument, NULL, O_HOLD},
    {"keep", no_argument, NULL, O_KEEP},
    {"session-timeout", required_argument, NULL, O_TIMEOUT},
    {"json", no_argument, NULL, O_JSON},
    {"help", no_argument, NULL, O_HELP},
    {NULL, 0, NULL, 0},
};

static void mode_set(struct options *o, enum mode mode, const char *name, const char *count,
                     uint64_t max)
{
    if (o->mode != MODE_LOAD) {
        bench_fatal("--%s: only one measurement at a time", name);
    }
    o->mode = mode;
    if (count != NULL) {
        o->count = (uint32_t)whole(name, count, 1, max);
    }
}

// What is asked for instead of load, and how. False: not one of these.
static bool take_measurement(struct options *o, int letter, const char *arg)
{
    switch (letter) {
    case O_WATCHERS:
        mode_set(o, MODE_WATCHERS, "watchers", arg, CONNECTIONS_MAX);
        return true;
    case O_CHURN:
        mode_set(o, MODE_CHURN, "session-churn", NULL, 0);
        return true;
    case O_IDLE:
        mode_set(o, MODE_IDLE, "idle-sessions", arg, CONNECTIONS_MAX);
        return true;
    case O_FILL:
        mode_set(o, MODE_FILL, "fill", arg, KEYS_MAX);
        return true;
    case O_WATCHES:
        mode_set(o, MODE_WATCHES, "watches", arg, KEYS_MAX);
        return true;
    case O_WATCH_KIND:
        o->persistent = persistent_of(arg);
        return true;
    case O_HOLD:
        o->hold = true;
        return true;
    default:
        return false;
    }
}

static bool take_place(struct options *o, int letter, const char *arg)
{
    switch (letter) {
    case O_HOST:
        o->host = arg;
        return true;
    case O_PORT:
        o->port_count = 0;
        for (const char *at = arg; at; o->port_count++) {
            place_has_room("port", arg, o->port_count);
            o->ports[o->port_count] = (uint16_t)whole_of_list("port", &at, 65535);
        }
        return true;
    case O_PID:
        o->pid_count = 0;
        for (const char *at = arg; at; o->pid_count++) {
            place_has_room("pid", arg, o->pid_count);
            o->pids[o->pid_count] = (pid_t)whole_of_list("pid", &at, INT32_MAX);
        }
        return true;
    case O_KEEP:
        o->keep = true;
        return true;
    case O_TIMEOUT:
        o->session_timeout_ms = (uint32_t)whole("session-timeout", arg, 1, INT32_MAX);
        return true;
    case O_JSON:
        o->json = true;
        return true;
    default:
        return false;
    }
}

static bool take_load(struct options *o, int letter, const char *arg)
{
    switch (letter) {
    case O_OP:
        o->op = load_op_of(arg);
        return true;
    case O_READ_RATIO:
        o->read_ratio = real("read-ratio", arg, 0, 1);
        return true;
    case O_CONNECTIONS:
        o->connections = (uint32_t)whole("connections", arg, 1, CONNECTIONS_MAX);
        return true;
    case O_OUTSTANDING:
        o->outstanding = (uint32_t)whole("outstanding", arg, 1, OUTSTANDING_MAX);
        return true;
    case O_SIZE:
        o->size = (uint32_t)whole("size", arg, 0, SIZE_MAX_BYTES);
        return true;
    case O_KEYS:
        o->keys = (uint32_t)whole("keys", arg, 1, KEYS_MAX);
        return true;
    case O_DURATION:
        o->duration_s = real("duration", arg, 0.01, 86400);
        return true;
    case O_OPS:
        o->ops = whole("ops", arg, 1, UINT64_MAX / 2);
        return true;
    case O_WARMUP:
        o->warmup_s = real("warmup", arg, 0, 3600);
        return true;
    case O_RATE:
        o->rate = real("rate", arg, 0.001, 1e8);
        return true;
    case O_SEED:
        o->seed = whole("seed", arg, 1, UINT64_MAX / 2);
        return true;
    default:
        return false;
    }
}

static void parse(struct options *o, int argc, char **argv)
{
    int letter;
    while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (letter == O_HELP) {
            fputs(usage, stdout);
            exit(0);
        }
        if (!take_place(o, letter, optarg) && !take_load(o, letter, optarg) &&
            !take_measurement(o, letter, optarg)) {
            fputs("reeve-bench --help lists the options\n", stderr);
            exit(2);
        }
    }
    if (optind < argc) {
        bench_fatal("%s: not an option (reeve-bench --help lists them)", argv[optind]);
    }
}

static void finish(struct options *o)
{
    if (o->size == UINT32_MAX) {
        o->size = o->mode == MODE_FILL ? SIZE_FILL_DEFAULT : SIZE_DEFAULT;
    }
    uint64_t inflight = (uint64_t)o->connections * o->outstanding;
    if (inflight > UINT32_MAX / 2) {
        bench_fatal("--connections %u --outstanding %u: too many", o->connections, o->outstanding);
    }
    uint64_t sessions = o->connections;
    if (o->mode == MODE_WATCHERS || o->mode == MODE_IDLE) {
        sessions = o->count;
    }
    uint64_t files = bench_files_limit_raise();
    if (sessions + 16 > files) {
        bench_fatal("%llu connections need more open files than this process may have (%llu): "
                    "raise ulimit -n",
                    (unsigned long long)sessions, (unsigned long long)files);
    }
}

static void start(const struct options *opt)
{
    static struct report report;
    struct run run;
    bench_run_init(&run, opt);
    // Waits are timed to the microsecond; the kernel's default is 50.
    prctl(PR_SET_TIMERSLACK, 1);
    switch (opt->mode) {
    case MODE_LOAD:
        bench_workload_load(&run, &report);
        break;
    case MODE_WATCHERS:
        bench_workload_watchers(&run, &report);
        break;
    case MODE_CHURN:
        bench_workload_churn(&run, &report);
        break;
    case MODE_IDLE:
        bench_workload_idle(&run, &report);
        break;
    case MODE_FILL:
        bench_workload_fill(&run, &report);
        break;
    case MODE_WATCHES:
        bench_workload_watches(&run, &report);
        break;
    }
    // The others have printed while what they made was still there.
    if (opt->mode == MODE_LOAD || opt->mode == MODE_WATCHERS || opt->mode == MODE_CHURN) {
        bench_report_print(&report, opt, stdout);
    }
    bench_run_fini(&run);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "bare") == 0) {
        return bare_main(argc - 1, argv + 1);
    }
    struct options opt = {
        .host = "127.0.0.1",
        .ports = {2181},
        .port_count = 1,
        .connections = 10,
        .outstanding = 1,
        .read_ratio = 0.9,
        .size = UINT32_MAX,
        .keys = 1000,
        .duration_s = 10,
        .warmup_s = 1,
        .session_timeout_ms = 30000,
        .seed = 1,
    };
    parse(&opt, argc, argv);
    finish(&opt);
    start(&opt);
    return 0;
}
