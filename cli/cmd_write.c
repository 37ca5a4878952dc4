// SPDX-License-Identifier: Apache-2.0
//
// Commands that change nodes: create, set, delete, deleteall.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bytes.h"
#include "cli/outcome.h"
#include "cli/subtree.h"

// TTLs up to here fit into a node's owner: EphemeralType.TTL.maxValue().
static const int64_t ttl_ms_max = 0xffffffffff; // 40 bits of the owner

// -v of a; -1 if it is not given. False: said what is wrong.
static bool version_of(struct cli *c, const char *s, int32_t *version)
{
    int64_t v = REEVE_ANY_VERSION;
    if (s && !parse_i64(s, -1, INT32_MAX, &v)) {
        cli_usage(c, "the version must be a number, not %s", s);
        return false;
    }
    *version = (int32_t)v;
    return true;
}

// An argument as bytes, from base64 if -b is given. False: said what is wrong.
static bool data_of(struct cli *c, const struct args *a, const char *arg, struct string *data)
{
    if (!args_has(a, "b")) {
        string_add(data, arg);
        string_add_n(data, "", 0);
    } else if (!bytes_from_base64(data, arg)) {
        cli_usage(c, "the data is not base64");
        return false;
    }
    return true;
}

// Which kinds of nodes exclude each other, in Apache's words. NULL: all is well.
static const char *kinds_clash(const struct args *a)
{
    bool e = args_has(a, "e"), s = args_has(a, "s"), con = args_has(a, "c"), t = args_has(a, "t");
    return con && (e || s) ? "-c cannot be combined with -s or -e. Containers cannot be ephemeral "
                             "or sequential."
           : t && e        ? "TTLs cannot be used with Ephemeral znodes"
           : t && con      ? "TTLs cannot be used with Container znodes"
                           : NULL;
}

static int create(struct cli *c, const struct reeve_request *q)
{
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, q, &r) != REEVE_OK) {
        if (r.error == REEVE_EPHEMERAL_ON_LOCAL_SESSION) {
            out_note(&c->out, "Unable to create ephemeral node on a local session");
        }
        code = cli_fail(c, &r);
    } else if (c->out.json) {
        json_t *v = json_object();
        json_object_set_new(v, "created", out_json_string(r.created));
        if (r.has_stat) {
            json_object_set_new(v, "stat", out_json_stat(&r.stat));
        }
        out_json(&c->out, v);
    } else {
        struct string safe = {0};
        out_printf(&c->out, "Created %s\n", out_safe(&c->out, r.created, &safe));
        string_fini(&safe);
    }
    reeve_result_fini(&r);
    return code;
}

int cmd_create(struct cli *c, const struct args *a)
{
    const char *clash = kinds_clash(a), *ttl = args_value(a, "t");
    if (clash) {
        return cli_usage(c, "%s", clash);
    }
    struct reeve_request q = {.op = REEVE_OP_CREATE};
    if (ttl && !parse_i64(ttl, 1, ttl_ms_max, &q.ttl_ms)) {
        return cli_usage(c, "-t argument must be a long value: milliseconds from 1 to %" PRId64,
                         ttl_ms_max);
    }
    q.flags = (args_has(a, "e") ? REEVE_EPHEMERAL : 0u) |
              (args_has(a, "s") ? REEVE_SEQUENTIAL : 0u) |
              (args_has(a, "c") ? REEVE_CONTAINER : 0u);
    struct reeve_acl *acl = NULL;
    struct string data = {0};
    char *path = cli_path(c, a->arg[0], args_has(a, "s"));
    int code = CLI_USAGE;
    if ((a->n < 2 || data_of(c, a, a->arg[1], &data)) &&
        (a->n < 3 || cli_parse_acl(c, a->arg[2], &acl, &q.acl_n))) {
        q.path = path;
        q.data = data.s;
        q.data_len = data.len;
        q.acl = acl;
        code = create(c, &q);
    }
    string_fini(&data);
    free(acl);
    free(path);
    return code;
}

int cmd_set(struct cli *c, const struct args *a)
{
    const char *version = args_value(a, "v");
    if (a->n > 2) {
        out_note(&c->out, "'set path data [version]' has been deprecated. Please use "
                          "'set [-s] [-v version] path data' instead.");
        version = version ? version : a->arg[2];
    }
    struct reeve_request q = {.op = REEVE_OP_SET};
    struct string data = {0};
    if (!version_of(c, version, &q.version) || !data_of(c, a, a->arg[1], &data)) {
        string_fini(&data);
        return CLI_USAGE;
    }
    char *path = cli_path(c, a->arg[0], false);
    q.path = path;
    q.data = data.s;
    q.data_len = data.len;
    int code = outcome_stat(c, &q, args_has(a, "s"));
    string_fini(&data);
    free(path);
    return code;
}

int cmd_delete(struct cli *c, const struct args *a)
{
    const char *version = args_value(a, "v");
    if (a->n > 1) {
        out_note(&c->out, "'delete path [version]' has been deprecated. Please use "
                          "'delete [-v version] path' instead.");
        version = version ? version : a->arg[1];
    }
    struct reeve_request q = {.op = REEVE_OP_DELETE};
    if (!version_of(c, version, &q.version)) {
        return CLI_USAGE;
    }
    char *path = cli_path(c, a->arg[0], false);
    q.path = path;
    int code = outcome_done(c, &q, "deleted", NULL);
    free(path);
    return code;
}

// ---- deleteall ----------------------------------------------------------------------------------

enum { BATCHES_AT_A_TIME = 10, BATCH_BYTES_MAX = 512 << 10, ROUNDS_MAX = 10 };

// One round: the nodes of a walk from the last to the first, so children before their parents, in
// multis. Requests are executed in order, so the next need not wait for those before.
struct sweep {
    struct cli *c;
    const struct subtree *w;
    size_t left;    // nodes still to be put into a batch
    size_t batch;   // at most so many at once
    size_t running; // multis under way
    size_t deleted;
    bool again;  // others changed the tree meanwhile
    bool failed; // said why
    int code;
};

static bool is_change(enum reeve_error e)
{
    return e == REEVE_NO_NODE || e == REEVE_NOT_EMPTY;
}

// What a failed multi failed for.
static const struct reeve_result *cause_of(const struct reeve_result *r)
{
    for (size_t i = 0; i < r->parts_n; i++) {
        enum reeve_error e = r->parts[i].error;
        if (e != REEVE_OK && e != REEVE_RUNTIME_INCONSISTENCY) {
            return &r->parts[i];
        }
    }
    return r;
}

static void on_batch(struct cli *c, void *ctx, struct reeve_result *r)
{
    struct sweep *s = ctx;
    s->running--;
    if (r->error == REEVE_OK) {
        s->deleted += r->parts_n;
        return;
    }
    const struct reeve_result *cause = cause_of(r);
    if (is_change(cause->error)) {
        s->again = true;
    } else if (!s->failed) {
        s->failed = true;
        s->code = cli_fail(c, cause);
    }
}

static void send_batch(struct sweep *s)
{
    struct reeve_request *parts = cli_alloc(s->batch * sizeof(*parts));
    size_t n = 0, bytes = 0;
    while (s->left > 0 && n < s->batch && bytes < BATCH_BYTES_MAX) {
        size_t i = --s->left;
        if (s->w->node[i].error == REEVE_NO_NODE) {
            continue;
        }
        char *path = subtree_path(s->w, i);
        bytes += strlen(path) + 16;
        parts[n++] = (struct reeve_request){
            .op = REEVE_OP_DELETE, .path = path, .version = REEVE_ANY_VERSION};
    }
    struct reeve_request q = {.op = REEVE_OP_MULTI, .parts = parts, .parts_n = n};
    enum reeve_error e = n > 0 ? cli_submit(s->c, &q, on_batch, s) : REEVE_OK;
    if (e != REEVE_OK) {
        struct reeve_result r = {.error = e, .path = s->w->node[0].name, .why = ""};
        s->failed = true;
        s->code = cli_fail(s->c, &r);
    } else if (n > 0) {
        s->running++;
    }
    for (size_t i = 0; i < n; i++) {
        free((char *)parts[i].path);
    }
    free(parts);
}

// One round. True: others interfered, and another may help.
static bool sweep(struct sweep *s)
{
    s->again = false;
    s->left = s->w->n;
    int64_t begun_ms = cli_now_ms();
    while ((s->left > 0 && !s->failed && !s->again) || s->running > 0) {
        if (s->left > 0 && s->running < BATCHES_AT_A_TIME && !s->failed && !s->again) {
            send_batch(s);
            continue;
        }
        cli_turn(s->c, -1, -1);
        if (s->c->interrupted) {
            s->code = CLI_INTERRUPTED;
            cli_forget(s->c);
            return false;
        }
        if (cli_now_ms() - begun_ms > 500) {
            out_progress(&s->c->out, "%s: %zu of %zu nodes deleted", s->c->command, s->deleted,
                         s->w->n);
        }
    }
    out_progress(&s->c->out, NULL);
    return s->again && !s->failed;
}

static int delete_tree(struct cli *c, const char *path, size_t batch)
{
    size_t deleted = 0;
    int code = CLI_OK;
    bool again = true;
    for (int round = 0; again && round < ROUNDS_MAX; round++) {
        struct subtree w;
        code = subtree_load(c, path, SUBTREE_NAMES, &w);
        again = false;
        if (code == CLI_OK) {
            struct sweep s = {.c = c, .w = &w, .batch = batch};
            again = sweep(&s);
            deleted += s.deleted;
            code = s.code;
        }
        if (again && w.refused > 0) {
            again = false; // what is there and hidden is the cause
            code = cli_refuse(c, "%s: the children of %zu nodes may not be read (NOAUTH)", path,
                              w.refused);
        }
        subtree_fini(&w);
    }
    if (again) {
        code = cli_refuse(c,
                          "Failed to delete some node(s) in the subtree! %s: others create "
                          "nodes there all the time",
                          path);
    }
    if (code != CLI_OK && deleted > 0) {
        out_note(&c->out, "%zu nodes were deleted before that", deleted);
    }
    if (code == CLI_OK && c->out.json) {
        out_json(&c->out, json_pack("{s:o,s:I}", "path", out_json_string(path), "deleted",
                                    (json_int_t)deleted));
    }
    return code;
}

int cmd_deleteall(struct cli *c, const struct args *a)
{
    const char *b = args_value(a, "b");
    int64_t batch = 1000;
    if (b && !parse_i64(b, INT32_MIN, INT32_MAX, &batch)) {
        return cli_usage(c, "-b argument must be an int value");
    }
    // Apache: 0 and less is one by one.
    batch = batch < 1 ? 1 : batch > 10000 ? 10000 : batch;
    char *path = cli_path(c, a->arg[0], false);
    int code = strcmp(path, "/") == 0
                   ? cli_refuse(c, "/: the root cannot be deleted; delete its children")
                   : delete_tree(c, path, (size_t)batch);
    free(path);
    return code;
}

int cmd_rmr(struct cli *c, const struct args *a)
{
    out_note(&c->out, "The command 'rmr' has been deprecated. Please use 'deleteall' instead.");
    return cmd_deleteall(c, a);
}
