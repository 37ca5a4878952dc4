// SPDX-License-Identifier: Apache-2.0
//
// import: nodes of a JSON file (dump.h), written back, below their own path or another one.
//
// Nodes go in batches of one multi each, parents before children, all or nothing per batch. Without
// an option the file's top node must not exist yet, so that nothing of others is touched. --merge
// leaves nodes that exist as they are, -f gives them the file's data and access control list;
// neither deletes anything. --dry-run only says what would be done. Ephemeral nodes are left out
// (their sessions are gone), and what the server keeps for itself below /zookeeper.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/batch.h"
#include "cli/cli.h"
#include "cli/dump.h"
#include "cli/kinds.h"

enum { GROUP_NODES_MAX = 500, GROUP_BYTES_MAX = 400 << 10, ROUNDS = 5 };

struct item {
    struct dump_node node; // path: the one to be made
    struct import *in;
    bool exists, looked;
};

struct import {
    struct cli *c;
    bool merge, force, dry_run, no_acl;
    struct dump_reader reader;
    const char *file;
    char *from, *to; // the file's top node, and what it becomes; from NULL: none was read yet
    struct item group[GROUP_NODES_MAX];
    size_t n, bytes;
    size_t waiting; // answers
    size_t created, set, kept, ephemerals, reserved;
    int code;
    int64_t begun_ms, shown_ms;
};

static void fail_with(struct import *in, const struct reeve_result *r)
{
    int code = cli_fail(in->c, r);
    in->code = in->code == CLI_OK ? code : in->code;
}

// Waits for what was submitted.
static void wait_all(struct import *in)
{
    while (in->waiting > 0 && !in->c->interrupted) {
        cli_turn(in->c, -1, -1);
    }
    if (in->c->interrupted) {
        cli_forget(in->c);
        in->waiting = 0;
        in->code = CLI_INTERRUPTED;
    }
}

static void submit(struct item *item, const struct reeve_request *q, cli_done_fn *fn)
{
    struct import *in = item->in;
    if (in->code != CLI_OK) {
        return;
    }
    if (cli_submit(in->c, q, fn, item) == REEVE_OK) {
        in->waiting++;
        return;
    }
    struct reeve_result r;
    cli_call(in->c, q, &r); // is refused again, and says what is wrong
    fail_with(in, &r);
    reeve_result_fini(&r);
}

// ---- which are there ----------------------------------------------------------------------------

static void on_exists(struct cli *c, void *ctx, struct reeve_result *r)
{
    (void)c;
    struct item *item = ctx;
    item->in->waiting--;
    item->exists = r->error == REEVE_OK;
    if (r->error != REEVE_OK && r->error != REEVE_NO_NODE) {
        fail_with(item->in, r);
    }
}

static void look(struct import *in)
{
    for (size_t i = 0; i < in->n; i++) {
        struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = in->group[i].node.path};
        submit(&in->group[i], &q, on_exists);
    }
    wait_all(in);
}

// ---- writing ------------------------------------------------------------------------------------

static void add_item(struct import *in, struct batch *b, const struct item *item)
{
    const struct dump_node *n = &item->node;
    struct reeve_request q = {.path = n->path, .data = n->data, .data_len = n->data_len};
    if (!item->exists) {
        q.op = REEVE_OP_CREATE;
        q.acl = in->no_acl ? NULL : n->acl;
        q.acl_n = in->no_acl ? 0 : n->acl_n;
        q.flags = n->container ? REEVE_CONTAINER : 0;
        q.ttl_ms = n->ttl_ms;
        batch_add(b, &q);
    } else if (in->force) {
        q.op = REEVE_OP_SET;
        q.version = REEVE_ANY_VERSION;
        batch_add(b, &q);
    }
}

static void on_acl(struct cli *c, void *ctx, struct reeve_result *r)
{
    (void)c;
    struct item *item = ctx;
    item->in->waiting--;
    if (r->error != REEVE_OK) {
        fail_with(item->in, r);
    }
}

// A multi cannot set access control lists.
static void set_acls(struct import *in)
{
    for (size_t i = 0; in->force && !in->no_acl && i < in->n; i++) {
        const struct dump_node *n = &in->group[i].node;
        if (in->group[i].exists && n->acl) {
            struct reeve_request q = {.op = REEVE_OP_SET_ACL,
                                      .path = n->path,
                                      .acl = n->acl,
                                      .acl_n = n->acl_n,
                                      .version = REEVE_ANY_VERSION};
            submit(&in->group[i], &q, on_acl);
        }
    }
    wait_all(in);
}

static void count(struct import *in)
{
    for (size_t i = 0; i < in->n; i++) {
        bool exists = in->group[i].exists;
        in->created += !exists;
        in->set += exists && in->force;
        in->kept += exists && !in->force;
    }
}

// True: others were faster, another look may help.
static bool write_group(struct import *in)
{
    struct batch b = {0};
    for (size_t i = 0; i < in->n; i++) {
        add_item(in, &b, &in->group[i]);
    }
    struct reeve_result r;
    bool again = false;
    if (batch_commit(in->c, &b, &r) == REEVE_OK) {
        count(in);
    } else {
        const struct reeve_result *cause = batch_cause(&r);
        again = (in->merge || in->force) &&
                (cause->error == REEVE_NODE_EXISTS || cause->error == REEVE_NO_NODE);
        if (!again) {
            fail_with(in, cause);
        }
    }
    reeve_result_fini(&r);
    batch_fini(&b);
    return again;
}

static void show_plan(struct import *in)
{
    for (size_t i = 0; i < in->n; i++) {
        const char *path = in->group[i].node.path;
        const char *what = !in->group[i].exists ? "create" : in->force ? "set" : "keep";
        if (in->c->out.json) {
            out_json(&in->c->out,
                     json_pack("{s:o,s:s}", "path", out_json_string(path), "action", what));
        } else {
            struct string safe = {0};
            out_printf(&in->c->out, "%s %s\n", what, out_safe(&in->c->out, path, &safe));
            string_fini(&safe);
        }
    }
    count(in);
}

static void finish_group(struct import *in)
{
    bool again = in->n > 0;
    for (int round = 0; again && in->code == CLI_OK; round++) {
        if (in->merge || in->force || in->dry_run) {
            look(in);
        }
        if (in->code != CLI_OK) {
            break;
        }
        if (in->dry_run) {
            show_plan(in);
            break;
        }
        again = write_group(in);
        if (again && round == ROUNDS) {
            in->code = cli_refuse(in->c,
                                  "%s and below: others create and delete there all the "
                                  "time, or its parent is missing",
                                  in->group[0].node.path);
        }
    }
    if (!in->dry_run && in->code == CLI_OK) {
        set_acls(in);
    }
    for (size_t i = 0; i < in->n; i++) {
        dump_node_fini(&in->group[i].node);
    }
    in->n = in->bytes = 0;
    int64_t now_ms = cli_now_ms();
    if (now_ms - in->begun_ms > 500 && now_ms - in->shown_ms > 200) {
        in->shown_ms = now_ms;
        out_progress(&in->c->out, "%s: %zu nodes", in->c->command,
                     in->created + in->set + in->kept);
    }
}

// ---- reading ------------------------------------------------------------------------------------

static int refuse_file(struct import *in, const char *why)
{
    return in->code = cli_refuse(in->c, "%s: %s", in->file, why);
}

// The file's first node: it says what is moved where.
static void take_top(struct import *in, const char *path)
{
    in->from = cli_dup(path);
    in->to = in->to ? in->to : cli_dup(path);
    if (in->merge || in->force) {
        return;
    }
    struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = in->to};
    struct reeve_result r;
    enum reeve_error e = cli_call(in->c, &q, &r);
    if (e == REEVE_OK) {
        in->code = cli_refuse(in->c,
                              "%s exists already; --merge keeps what exists, -f writes over it "
                              "(NODEEXISTS)",
                              in->to);
    } else if (e != REEVE_NO_NODE) {
        fail_with(in, &r);
    }
    reeve_result_fini(&r);
}

static bool is_masked(const struct dump_node *n)
{
    for (size_t i = 0; i < n->acl_n; i++) {
        size_t len = strlen(n->acl[i].id);
        if (strcmp(n->acl[i].scheme, "digest") == 0 && len > 1 &&
            strcmp(n->acl[i].id + len - 2, ":x") == 0) {
            return true;
        }
    }
    return false;
}

// Gives it its new path, and a place in the group. It is taken over or freed.
static void take_node(struct import *in, struct dump_node *n)
{
    if (in->from == NULL) {
        take_top(in, n->path);
    }
    bool reserved = path_is_in(n->path, "/zookeeper"), inside = path_is_in(n->path, in->from);
    if (!inside) {
        in->code = cli_refuse(in->c, "%s: %s is not below %s, the first node", in->file, n->path,
                              in->from);
    } else if (is_masked(n) && !in->no_acl) {
        in->code = cli_refuse(in->c,
                              "%s: the digest of %s was not visible to who exported it; --no-acl "
                              "makes nodes that are open to everybody",
                              in->file, n->path);
    }
    if (in->code != CLI_OK || reserved || n->ephemeral) {
        in->reserved += reserved;
        in->ephemerals += n->ephemeral && !reserved;
        dump_node_fini(n);
        return;
    }
    const char *rest = n->path + (strcmp(in->from, "/") == 0 ? 0 : strlen(in->from));
    bool top = strcmp(n->path, in->from) == 0;
    struct string path = {0};
    string_addf(&path, "%s%s", top || strcmp(in->to, "/") != 0 ? in->to : "", top ? "" : rest);
    free(n->path);
    n->path = path.s;
    in->bytes += n->data_len + path.len;
    in->group[in->n++] = (struct item){.node = *n, .in = in};
}

static void read_all(struct import *in)
{
    json_t *v;
    while (in->code == CLI_OK && (v = dump_next(&in->reader)) != NULL) {
        struct dump_node n;
        char why[200];
        bool good = dump_decode(v, &n, why, sizeof(why));
        json_decref(v);
        if (!good) {
            refuse_file(in, why);
            dump_node_fini(&n);
            return;
        }
        // A node that is big is alone in its batch.
        if (in->n == GROUP_NODES_MAX ||
            (in->n > 0 && in->bytes + n.data_len + strlen(n.path) > GROUP_BYTES_MAX)) {
            finish_group(in);
        }
        if (in->code == CLI_OK) {
            take_node(in, &n);
        } else {
            dump_node_fini(&n);
        }
    }
    if (in->code == CLI_OK && in->reader.failed) {
        refuse_file(in, in->reader.why);
    }
}

static void say_end(struct import *in)
{
    struct cli *c = in->c;
    out_progress(&c->out, NULL);
    size_t done = in->created + in->set;
    if (in->code != CLI_OK && done > 0 && !in->dry_run) {
        out_note(&c->out, "%zu nodes were written before that", done);
    }
    if (in->code != CLI_OK) {
        return;
    }
    if (c->out.json && !in->dry_run) {
        out_json(&c->out, json_pack("{s:I,s:I,s:I,s:I}", "created", (json_int_t)in->created, "set",
                                    (json_int_t)in->set, "kept", (json_int_t)in->kept, "ephemerals",
                                    (json_int_t)in->ephemerals));
    } else if (!c->out.json) {
        out_printf(&c->out, "%s%zu created, %zu set, %zu kept\n", in->dry_run ? "would be: " : "",
                   in->created, in->set, in->kept);
    }
    if (in->ephemerals > 0) {
        out_note(&c->out, "%zu ephemeral nodes were left out: their sessions are gone",
                 in->ephemerals);
    }
    if (in->reserved > 0) {
        out_note(&c->out, "%zu nodes below /zookeeper were left out: they are the server's own",
                 in->reserved);
    }
}

int cmd_import(struct cli *c, const struct args *a)
{
    const char *file = a->arg[0];
    bool standard = strcmp(file, "-") == 0;
    FILE *from = standard ? stdin : fopen(file, "r");
    if (from == NULL) {
        return cli_refuse(c, "%s cannot be read: %s", file, strerror(errno));
    }
    struct import *in = cli_alloc(sizeof(*in));
    *in = (struct import){.c = c,
                          .merge = args_has(a, "merge"),
                          .force = args_has(a, "f"),
                          .dry_run = args_has(a, "dry-run"),
                          .no_acl = args_has(a, "no-acl"),
                          .reader = {.from = from},
                          .file = standard ? "standard input" : file,
                          .to = a->n > 1 ? cli_path(c, a->arg[1], false) : NULL,
                          .begun_ms = cli_now_ms()};
    read_all(in);
    if (in->code == CLI_OK) {
        finish_group(in);
    }
    say_end(in);
    for (size_t i = 0; i < in->n; i++) {
        dump_node_fini(&in->group[i].node);
    }
    if (!standard) {
        fclose(from);
    }
    int code = in->code;
    free(in->from);
    free(in->to);
    free(in);
    return code;
}
