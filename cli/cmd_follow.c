// SPDX-License-Identifier: Apache-2.0
//
// Commands that follow nodes, and the one that feeds them: watch, subscribe, publish.
//
// watch tells of events, each with the size that the data has by then. It sets one persistent watch
// (watching.h), or one-shot watches where the server knows none; while the connection is lost
// events are missed, and it says so.
//
// subscribe tells of values: the present one and each one that differs afterwards. It needs no
// events but reads the node again whenever its one-shot watch fires, which the library sets again
// after lost connections with what was seen last; so the last value is never missed, values in
// between may be.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/kinds.h"
#include "cli/watching.h"

// --count and --timeout of a. False: said what is wrong.
struct limits {
    int64_t count;       // 0: none
    int64_t deadline_ms; // -1: none
    int64_t seen;
};

static bool limits_of(struct cli *c, const struct args *a, struct limits *l)
{
    const char *n = args_value(a, "count"), *s = args_value(a, "timeout");
    int64_t ms;
    *l = (struct limits){.deadline_ms = -1};
    if (n && !parse_i64(n, 1, INT64_MAX, &l->count)) {
        cli_usage(c, "--count wants a number, not %s", n);
        return false;
    }
    if (s && !parse_seconds(s, &ms)) {
        cli_usage(c, "--timeout wants seconds, not %s", s);
        return false;
    }
    l->deadline_ms = s ? cli_now_ms() + ms : -1;
    return true;
}

static bool limits_left(const struct limits *l)
{
    return (l->count == 0 || l->seen < l->count) &&
           (l->deadline_ms < 0 || cli_now_ms() < l->deadline_ms);
}

static int limits_ms(const struct limits *l)
{
    int64_t left = l->deadline_ms - cli_now_ms();
    return l->deadline_ms < 0 ? -1 : left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

// The end by limits: not all that --count wanted is a no.
static int limits_code(struct cli *c, const struct limits *l, const char *path)
{
    return l->count > 0 && l->seen < l->count
               ? cli_refuse(c, "%s: %" PRId64 " of %" PRId64 " within the time", path, l->seen,
                            l->count)
               : CLI_OK;
}

static int session_is_over(struct cli *c, const char *path)
{
    out_error(&c->out, "%s: %s: the session is over, and so is the watch (SESSIONEXPIRED)",
              c->command, path);
    return CLI_NO_CONNECTION;
}

static bool is_over(const struct cli *c)
{
    return c->state == REEVE_STATE_LOST || c->state == REEVE_STATE_AUTH_FAILED ||
           c->state == REEVE_STATE_ENDED;
}

static int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// ---- watch --------------------------------------------------------------------------------------

static const char *event_name(enum reeve_event_type type)
{
    return type == REEVE_EVENT_CREATED   ? "NodeCreated"
           : type == REEVE_EVENT_DELETED ? "NodeDeleted"
           : type == REEVE_EVENT_CHANGED ? "NodeDataChanged"
                                         : "NodeChildrenChanged";
}

static void show(struct cli *c, void *ctx, const struct watching_event *ev)
{
    struct limits *l = ctx;
    if (!limits_left(l)) {
        return;
    }
    l->seen++;
    if (c->out.json) {
        json_t *v = json_pack("{s:I,s:s,s:o}", "time", (json_int_t)ev->time_ms, "event",
                              event_name(ev->type), "path", out_json_string(ev->path));
        if (ev->has_size) {
            json_object_set_new(v, "bytes", json_integer(ev->size));
        }
        out_json(&c->out, v);
    } else {
        char when[32], size[32] = "";
        time_t s = (time_t)(ev->time_ms / 1000);
        struct tm tm;
        struct string safe = {0};
        strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&s, &tm));
        if (ev->has_size) {
            snprintf(size, sizeof(size), " %d bytes", ev->size);
        }
        enum out_color color = ev->type == REEVE_EVENT_CREATED   ? OUT_GREEN
                               : ev->type == REEVE_EVENT_DELETED ? OUT_RED
                                                                 : OUT_YELLOW;
        out_printf(&c->out, "%s.%03d %s%s%s %s%s\n", when, (int)(ev->time_ms % 1000),
                   out_color(&c->out, color), event_name(ev->type), out_color_end(&c->out),
                   out_safe(&c->out, ev->path, &safe), size);
        string_fini(&safe);
    }
    out_flush(&c->out);
}

int cmd_watch(struct cli *c, const struct args *a)
{
    struct limits l;
    if (!limits_of(c, a, &l)) {
        return CLI_USAGE;
    }
    char *path = cli_path(c, a->arg[0], false);
    struct watching *w;
    int code = watching_begin(c, path, args_has(a, "R"), show, &l, &w);
    bool gap = false;
    if (code == CLI_OK && c->out.err_terminal) {
        out_note(&c->out, "watching %s; Ctrl-C ends", path);
    }
    while (code == CLI_OK && !c->interrupted && limits_left(&l)) {
        cli_turn(c, -1, limits_ms(&l));
        code = is_over(c) || watching_ended(w) ? session_is_over(c, path) : watching_step(w);
        if (gap && cli_connected(c)) {
            out_note(&c->out, "connected to %s again; what changed meanwhile was not seen",
                     c->server);
        } else if (!gap && c->state == REEVE_STATE_SUSPENDED) {
            out_note(&c->out, "lost the connection to %s", c->server);
        }
        gap = c->state == REEVE_STATE_SUSPENDED;
    }
    if (code == CLI_OK) {
        code = c->interrupted ? CLI_INTERRUPTED : limits_code(c, &l, path);
    }
    watching_end(&w);
    free(path);
    return code;
}

// ---- subscribe ----------------------------------------------------------------------------------

struct follow {
    const char *path;
    bool fired; // the watch
    bool shown, there;
    int64_t mzxid, czxid; // of what was shown
};

static void on_fired(struct cli *c, void *ctx, const struct cli_event *ev)
{
    (void)c;
    struct follow *f = ctx;
    f->fired |= strcmp(ev->path, f->path) == 0;
}

static void show_value(struct cli *c, struct follow *f, struct limits *l,
                       const struct reeve_result *r)
{
    bool there = r->error == REEVE_OK;
    if (f->shown && f->there == there &&
        (!there || (f->mzxid == r->stat.mzxid && f->czxid == r->stat.czxid))) {
        return;
    }
    f->shown = true;
    f->there = there;
    f->mzxid = r->stat.mzxid;
    f->czxid = r->stat.czxid;
    l->seen += there;
    if (c->out.json) {
        json_t *v =
            json_pack("{s:I,s:o}", "time", (json_int_t)wall_ms(), "path", out_json_string(f->path));
        if (there) {
            out_json_data(v, r->data, r->data_len, OUT_TEXT);
            json_object_set_new(v, "stat", out_json_stat(&r->stat));
        } else {
            json_object_set_new(v, "exists", json_false());
        }
        out_json(&c->out, v);
    } else if (there) {
        out_data(&c->out, r->data, r->data_len, OUT_TEXT);
    } else {
        out_note(&c->out, "%s does not exist", f->path);
    }
    out_flush(&c->out);
}

// Reads the node, with a watch. If there is none, a watch for its creation is set instead; should
// it have been created in between, it is read again.
static int read_value(struct cli *c, struct follow *f, struct limits *l)
{
    int code = CLI_OK;
    bool again = true;
    while (again && code == CLI_OK) {
        struct reeve_request q = {.op = REEVE_OP_GET, .path = f->path};
        cli_watch(c, &q);
        struct reeve_result r;
        enum reeve_error e = cli_call(c, &q, &r);
        again = false;
        if (e == REEVE_NO_NODE) {
            struct reeve_result there;
            q.op = REEVE_OP_EXISTS;
            e = cli_call(c, &q, &there);
            again = e == REEVE_OK;
            if (e != REEVE_OK && e != REEVE_NO_NODE) {
                code = cli_fail(c, &there);
            }
            reeve_result_fini(&there);
        } else if (e != REEVE_OK) {
            code = cli_fail(c, &r);
        }
        if (code == CLI_OK && !again) {
            show_value(c, f, l, &r);
        }
        reeve_result_fini(&r);
    }
    return code;
}

int cmd_subscribe(struct cli *c, const struct args *a)
{
    struct limits l;
    if (!limits_of(c, a, &l)) {
        return CLI_USAGE;
    }
    char *path = cli_path(c, a->arg[0], false);
    struct follow f = {.path = path};
    c->hook = on_fired;
    c->hook_ctx = &f;
    int code = read_value(c, &f, &l);
    while (code == CLI_OK && !c->interrupted && limits_left(&l)) {
        cli_turn(c, -1, limits_ms(&l));
        if (is_over(c)) {
            code = session_is_over(c, path);
        } else if (f.fired) {
            f.fired = false;
            code = read_value(c, &f, &l);
        }
    }
    if (code == CLI_OK) {
        code = c->interrupted ? CLI_INTERRUPTED : limits_code(c, &l, path);
    }
    c->hook = NULL;
    if (c->zk) {
        cli_unwatch(c, path);
    }
    free(path);
    return code;
}

// ---- publish ------------------------------------------------------------------------------------

enum { INPUT_BYTES_MAX = 64 << 20, ROUNDS = 10 };

static int read_input(struct cli *c, struct string *data)
{
    char part[65536];
    ssize_t n = 1;
    string_add_n(data, "", 0);
    while (!c->interrupted && n != 0) {
        n = read(STDIN_FILENO, part, sizeof(part));
        if (n < 0 && errno != EINTR) {
            return cli_refuse(c, "standard input cannot be read: %s", strerror(errno));
        }
        if (n < 0) {
            cli_turn(c, -1, 0); // takes the Ctrl-C
        } else {
            string_add_n(data, part, (size_t)n);
        }
        if (data->len > INPUT_BYTES_MAX) {
            return cli_refuse(c, "standard input has more than %d bytes", INPUT_BYTES_MAX);
        }
    }
    return c->interrupted ? CLI_INTERRUPTED : CLI_OK;
}

// The nodes above path that are missing. NODE_EXISTS is as good.
static int create_parents(struct cli *c, const char *path)
{
    char *part = cli_dup(path);
    int code = CLI_OK;
    for (char *p = strchr(part + 1, '/'); p && code == CLI_OK; p = strchr(p + 1, '/')) {
        *p = '\0';
        struct reeve_request q = {.op = REEVE_OP_CREATE, .path = part};
        struct reeve_result r;
        enum reeve_error e = cli_call(c, &q, &r);
        code = e == REEVE_OK || e == REEVE_NODE_EXISTS ? CLI_OK : cli_fail(c, &r);
        reeve_result_fini(&r);
        *p = '/';
    }
    free(part);
    return code;
}

static int publish(struct cli *c, struct reeve_request *q, bool parents)
{
    struct reeve_result r = {0};
    bool created = false, again = true;
    int code = CLI_OK;
    enum reeve_error e = REEVE_OK;
    for (int round = 0; again && code == CLI_OK; round++) {
        reeve_result_fini(&r);
        q->op = created ? REEVE_OP_CREATE : REEVE_OP_SET;
        e = cli_call(c, q, &r);
        again = e == (created ? REEVE_NODE_EXISTS : REEVE_NO_NODE) && round < ROUNDS;
        if (again) {
            created = !created;
        } else if (created && e == REEVE_NO_NODE && parents) {
            parents = false;
            again = true;
            code = create_parents(c, q->path);
        }
    }
    if (code == CLI_OK && e != REEVE_OK) {
        code = e == REEVE_NO_NODE
                   ? cli_refuse(c, "%s: its parent does not exist; -p creates it (NONODE)", q->path)
                   : cli_fail(c, &r);
    } else if (code == CLI_OK && c->out.json) {
        json_t *v = json_pack("{s:o,s:b}", "path", out_json_string(q->path), "created", created);
        if (r.has_stat) {
            json_object_set_new(v, "stat", out_json_stat(&r.stat));
        }
        out_json(&c->out, v);
    }
    reeve_result_fini(&r);
    return code;
}

int cmd_publish(struct cli *c, const struct args *a)
{
    struct string data = {0};
    int code = CLI_OK;
    string_add_n(&data, "", 0);
    if (a->n > 1 && strcmp(a->arg[1], "-") == 0) {
        code = read_input(c, &data);
    } else if (a->n > 1) {
        string_add(&data, a->arg[1]);
    }
    if (code == CLI_OK) {
        char *path = cli_path(c, a->arg[0], false);
        struct reeve_request q = {
            .path = path, .data = data.s, .data_len = data.len, .version = REEVE_ANY_VERSION};
        code = publish(c, &q, args_has(a, "p"));
        free(path);
    }
    string_fini(&data);
    return code;
}
