// SPDX-License-Identifier: Apache-2.0
//
// reeved: the server program. Reads the command line and zoo.cfg, makes the world (struct env) and
// the node, runs until a signal stops it. Everything of substance is in src/node and src/os.
//
// Exit: 0 stopped as asked, 1 cannot start or cannot go on (one line says why), 2 wrong usage.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/limits.h>

#include "base/mem.h"
#include "limits.h"
#include "node/config.h"
#include "node/dynconfig.h"
#include "node/node.h"
#include "node/version.h"
#include "os/env_uv.h"

static const char usage[] =
    "usage: reeved [options] [zoo.cfg]\n"
    "\n"
    "Serves ZooKeeper's client protocol in the foreground. Without a file it serves on\n"
    "127.0.0.1:2181 and keeps its data in ./data. With server.N lines in the file, and its own\n"
    "N in dataDir/myid, it is a server of that ensemble.\n"
    "\n"
    "  --client-port N     port for clients\n"
    "  --data-dir DIR      where the data is kept; made if missing\n"
    "  --set KEY=VALUE     any key of zoo.cfg; may be given many times\n"
    "  --check-config      read and check the configuration, say what is wrong, stop\n"
    "  --version\n"
    "  --help              this; --help=keys: every key of zoo.cfg with its default\n"
    "\n"
    "The command line replaces the file. SIGTERM and SIGINT stop cleanly. Log lines go to "
    "stderr.\n";

struct options {
    const char *file;
    bool check;
    char **sets; // "key=value", in the order given
    size_t sets_n, sets_cap;
};

struct server {
    struct env *env;
    struct node *node;
    bool failed;
};

// ---- command line

static void add_set(struct options *o, const char *key, const char *value)
{
    struct buf b = {0};
    buf_fmt(&b, "%s%s%s", key, *key ? "=" : "", value);
    buf_put_u8(&b, 0);
    mem_grow((void **)&o->sets, &o->sets_cap, o->sets_n + 1, sizeof(*o->sets));
    o->sets[o->sets_n++] = (char *)b.p;
}

static void options_fini(struct options *o)
{
    for (size_t i = 0; i < o->sets_n; i++) {
        mem_free(o->sets[i]);
    }
    mem_free(o->sets);
}

static int print_help(const char *topic)
{
    if (!topic) {
        fputs(usage, stdout);
        return 0;
    }
    if (strcmp(topic, "keys") != 0) {
        fprintf(stderr, "reeved: --help=%s: there is only --help=keys\n", topic);
        return 2;
    }
    struct buf b = {0};
    config_fmt_help(&b);
    fwrite(b.p, 1, b.n, stdout);
    buf_fini(&b);
    return 0;
}

// Returns -1 to go on, else the exit code.
static int read_options(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"client-port", required_argument, NULL, 'p'},
        {"data-dir", required_argument, NULL, 'd'},
        {"set", required_argument, NULL, 's'},
        {"check-config", no_argument, NULL, 'c'},
        {"version", no_argument, NULL, 'v'},
        {"help", optional_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
        switch (c) {
        case 'p':
            add_set(o, "clientPort", optarg);
            break;
        case 'd':
            add_set(o, "dataDir", optarg);
            break;
        case 's':
            if (optarg[0] == '=' || !strchr(optarg, '=')) {
                fprintf(stderr, "reeved: --set %s: must be KEY=VALUE\n", optarg);
                return 2;
            }
            add_set(o, "", optarg);
            break;
        case 'c':
            o->check = true;
            break;
        case 'v':
            printf("reeved %s (ZooKeeper %s)\n", REEVE_VERSION, REEVE_ZK_VERSION);
            return 0;
        case 'h':
            return print_help(optarg);
        default:
            fprintf(stderr, "try: reeved --help\n");
            return 2;
        }
    }
    if (argc - optind > 1) {
        fprintf(stderr, "reeved: one configuration file, not %d; try: reeved --help\n",
                argc - optind);
        return 2;
    }
    o->file = argv[optind];
    return -1;
}

// ---- configuration

static enum err read_file(const char *path, struct buf *text, struct buf *why)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        buf_fmt(why, "%s: %s", path, strerror(errno));
        return ERR_NOTFOUND;
    }
    size_t n;
    do {
        buf_grow(text, 4096);
        n = fread(text->p + text->n, 1, 4096, f);
        text->n += n;
    } while (n && text->n <= LIMIT_CONFIG_FILE);
    enum err e = ferror(f) ? ERR_IO : ERR_OK;
    if (e) {
        buf_fmt(why, "%s: %s", path, strerror(errno));
    }
    fclose(f);
    return e;
}

static enum err apply_sets(const struct options *o, struct config *c, struct buf *warnings,
                           struct buf *why)
{
    for (size_t i = 0; i < o->sets_n; i++) {
        const char *equals = strchr(o->sets[i], '=');
        struct slice key = slice_of(o->sets[i], (size_t)(equals - o->sets[i]));
        struct buf what = {0};
        enum err e = config_set(c, key, slice_str(equals + 1), &what);
        if (e == ERR_NOTFOUND) {
            buf_fmt(warnings, "command line: %.*s (ignored)\n", (int)what.n, (const char *)what.p);
        } else if (e) {
            buf_fmt(why, "command line: %.*s", (int)what.n, (const char *)what.p);
        }
        buf_fini(&what);
        if (e && e != ERR_NOTFOUND) {
            return e;
        }
    }
    return ERR_OK;
}

// A host name becomes its first address here, because the node below knows only addresses.
static enum err resolve(struct config *c, struct buf *why)
{
    if (!c->client_address) {
        return ERR_OK;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    int r = getaddrinfo(c->client_address, NULL, &hints, &found);
    char text[NI_MAXHOST];
    if (r == 0) {
        r = getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), NULL, 0,
                        NI_NUMERICHOST);
        freeaddrinfo(found);
    }
    if (r) {
        buf_fmt(why, "clientPortAddress=%s: %s; it must be an address of this machine",
                c->client_address, gai_strerror(r));
        return ERR_INVALID;
    }
    return config_set(c, SLICE_LIT("clientPortAddress"), slice_str(text), why);
}

static enum err load(const struct options *o, struct config *c, struct buf *warnings,
                     struct buf *why)
{
    enum err e = ERR_OK;
    if (o->file) {
        struct buf text = {0};
        e = read_file(o->file, &text, why);
        if (e == ERR_OK) {
            e = config_parse(c, o->file, buf_slice(&text), warnings, why);
        }
        buf_fini(&text);
        // What it points to: beside that file a reconfiguration writes its own.
        char *path = realpath(o->file, NULL);
        c->config_path = path ? mem_strdup(path) : NULL;
        free(path);
    }
    if (e == ERR_OK) {
        e = apply_sets(o, c, warnings, why);
    }
    if (e == ERR_OK && !o->file && !c->data_dir) {
        e = config_set(c, SLICE_LIT("dataDir"), SLICE_LIT("./data"), why);
    }
    if (e == ERR_OK) {
        e = resolve(c, why);
    }
    return e ? e : config_finish(c, warnings, why);
}

static enum log_level level_of(const char *name)
{
    static const char letters[] = "ewid"; // of error, warn, info, debug, as enum log_level
    const char *at = strchr(letters, name[0] | 0x20);
    must(at);
    return (enum log_level)(at - letters);
}

// ---- the process

// Started without one of them, the next file opened would take its number, and what is meant for
// stderr would be written into the data.
static void hold_standard_fds(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

static void prepare_process(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    // One heap: the other threads allocate little, and each heap would keep its own free memory.
    mallopt(M_ARENA_MAX, 1);
    // Fixed, or glibc raises both with the largest block it ever frees, and a burst of large
    // requests would stay in memory for good.
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
}

static void step(void *ctx, const struct env_event *ev)
{
    node_step(((struct server *)ctx)->node, ev);
}

static void turn(void *ctx)
{
    node_turn(((struct server *)ctx)->node);
}

static bool stopped(void *ctx)
{
    struct server *s = ctx;
    return node_stopped(s->node, &s->failed);
}

static void log_lines(const struct logger *log, const struct buf *lines)
{
    struct slice rest = buf_slice(lines);
    while (rest.n) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        size_t n = end ? (size_t)(end - rest.p) : rest.n;
        log_warn(log, "%.*s", (int)n, (const char *)rest.p);
        rest = slice_skip(rest, n + (end != NULL));
    }
}

// An address as clients write it: "any" is this machine, IPv6 in brackets.
static void fmt_host(const struct net_addr *at, bool any_as_local, struct buf *b)
{
    static const uint8_t zeros[16];
    char text[INET6_ADDRSTRLEN] = "0.0.0.0";
    bool any = at->family == 0 || memcmp(at->ip, zeros, at->family == 4 ? 4 : 16) == 0;
    if (any && any_as_local) {
        memcpy(text, "127.0.0.1", sizeof("127.0.0.1"));
    } else if (at->family) {
        inet_ntop(at->family == 4 ? AF_INET : AF_INET6, at->ip, text, sizeof(text));
    }
    buf_fmt(b, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, at->port);
}

static void say_hello(const struct config *c, const struct net_addr *at)
{
    char dir[PATH_MAX];
    bool ensemble = c->servers || c->dynamic_file;
    struct buf where = {0}, next = {0};
    fmt_host(at, false, &where);
    fmt_host(at, true, &next);
    bool only_here = !ensemble && !c->client_address && at->family == 4 && at->ip[0] == 127;
    printf("Reeve %s serves ZooKeeper clients on %.*s%s%s, data in %s. "
           "Next: zkCli.sh -server %.*s\n",
           REEVE_VERSION, SLICE_ARG(buf_slice(&where)),
           only_here ? " (this machine only; clientPortAddress=0.0.0.0 opens it)" : "",
           ensemble ? " as soon as its ensemble has a leader" : "",
           realpath(c->data_dir, dir) ? dir : c->data_dir, SLICE_ARG(buf_slice(&next)));
    fflush(stdout);
    buf_fini(&where);
    buf_fini(&next);
}

static int serve(const struct config *c, const struct buf *warnings)
{
    prepare_process();
    struct server s = {0};
    if (env_uv_new(level_of(c->log_level), &s.env)) {
        return 1;
    }
    log_lines(&s.env->log, warnings);
    if (node_new(s.env, c, &s.node)) {
        env_uv_free(&s.env);
        return 1;
    }
    say_hello(c, node_client_addr(s.node));
    env_uv_run(s.env, &(struct env_uv_user){&s, step, turn, stopped});
    if (s.failed) {
        _exit(1); // a job may hang on the broken disk, with memory of the parts that would be freed
    }
    node_free(&s.node);
    env_uv_free(&s.env);
    return 0;
}

// The files beside the configuration are part of it: myid, the dynamic file.
static int check(const struct options *o, const struct config *c, const struct buf *warnings)
{
    struct env *env;
    if (env_uv_new(LOG_WARN, &env)) {
        return 1;
    }
    struct dynconfig_start start;
    struct buf why = {0};
    const char *name = o->file ? o->file : "configuration";
    fwrite(warnings->p, 1, warnings->n, stdout);
    enum err e = dynconfig_load(env, c, &start, &why);
    if (e) {
        fprintf(stderr, "reeved: %.*s\n", SLICE_ARG(buf_slice(&why)));
    } else if (start.committed) {
        printf("%s: can be served, by server %lld of an ensemble of %zu\n", name,
               (long long)start.sid, start.committed->n);
    } else {
        printf("%s: can be served\n", name);
    }
    dynconfig_start_fini(&start);
    buf_fini(&why);
    env_uv_free(&env);
    return e ? 1 : 0;
}

int main(int argc, char **argv)
{
    hold_standard_fds();
    struct options o = {0};
    int code = read_options(argc, argv, &o);
    if (code < 0) {
        struct config c;
        struct buf warnings = {0}, why = {0};
        config_init(&c);
        if (load(&o, &c, &warnings, &why)) {
            fwrite(warnings.p, 1, warnings.n, stderr);
            fprintf(stderr, "reeved: %.*s\n", (int)why.n, (const char *)why.p);
            code = 1;
        } else {
            code = o.check ? check(&o, &c, &warnings) : serve(&c, &warnings);
        }
        config_fini(&c);
        buf_fini(&warnings);
        buf_fini(&why);
    }
    options_fini(&o);
    return code;
}
