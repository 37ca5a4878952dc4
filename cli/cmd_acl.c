// SPDX-License-Identifier: Apache-2.0
//
// Commands about permissions: addauth, getAcl, setAcl, whoami.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/outcome.h"
#include "cli/subtree.h"

int cmd_addauth(struct cli *c, const struct args *a)
{
    const char *auth = a->n > 1 ? a->arg[1] : NULL;
    struct reeve_request q = {.op = REEVE_OP_ADD_AUTH,
                              .scheme = a->arg[0],
                              .data = auth,
                              .data_len = auth ? strlen(auth) : 0};
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, &q, &r) != REEVE_OK) {
        code = cli_fail(c, &r);
    } else if (c->out.json) {
        out_json(&c->out, json_pack("{s:o}", "added", out_json_string(a->arg[0])));
    }
    reeve_result_fini(&r);
    return code;
}

static void print_acl(struct cli *c, const struct reeve_result *r)
{
    struct string scheme = {0}, id = {0};
    for (size_t i = 0; i < r->acl_n; i++) {
        char perms[8];
        // Two lines each, as Apache's records print themselves.
        out_printf(&c->out, "'%s,'%s\n: %s\n", out_line(&c->out, r->acl[i].scheme, &scheme),
                   out_line(&c->out, r->acl[i].id, &id), out_perms(r->acl[i].perms, perms));
    }
    string_fini(&scheme);
    string_fini(&id);
}

int cmd_get_acl(struct cli *c, const struct args *a)
{
    char *path = cli_path(c, a->arg[0], false);
    struct reeve_request q = {.op = REEVE_OP_GET_ACL, .path = path};
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, &q, &r) != REEVE_OK) {
        code = cli_fail(c, &r);
    } else if (c->out.json) {
        json_t *v = json_pack("{s:o,s:o}", "path", out_json_string(path), "acl",
                              out_json_acl(r.acl, r.acl_n));
        if (args_has(a, "s")) {
            json_object_set_new(v, "stat", out_json_stat(&r.stat));
        }
        out_json(&c->out, v);
    } else {
        print_acl(c, &r);
        if (args_has(a, "s")) {
            out_stat(&c->out, &r.stat);
        }
    }
    reeve_result_fini(&r);
    free(path);
    return code;
}

// setAcl -R: each node on its own, many at a time; those that refuse are named, and the others are
// done all the same.
struct spread {
    size_t running, done, failed;
    int code; // what ends it: the connection is gone
};

enum { AT_A_TIME = 64 };

static void on_set(struct cli *c, void *ctx, struct reeve_result *r)
{
    struct spread *s = ctx;
    s->running--;
    if (r->error == REEVE_OK) {
        s->done++;
    } else if (r->error != REEVE_NO_NODE && s->code == CLI_OK) {
        int code = cli_fail(c, r);
        s->failed++;
        s->code = code == CLI_NO ? CLI_OK : code;
    }
}

static void spread_to(struct cli *c, struct spread *s, const struct reeve_request *q,
                      const struct subtree *t)
{
    size_t i = 0;
    while ((i < t->n && s->code == CLI_OK) || s->running > 0) {
        if (i < t->n && s->running < AT_A_TIME && s->code == CLI_OK) {
            struct reeve_request one = *q;
            char *path = subtree_path(t, i++);
            one.path = path;
            enum reeve_error e = cli_submit(c, &one, on_set, s);
            if (e == REEVE_OK) {
                s->running++;
            } else {
                struct reeve_result r = {.error = e, .path = path, .why = ""};
                s->code = cli_fail(c, &r);
            }
            free(path);
            continue;
        }
        cli_turn(c, -1, -1);
        if (c->interrupted) {
            s->code = CLI_INTERRUPTED;
            cli_forget(c);
            return;
        }
    }
}

static int set_tree(struct cli *c, const struct reeve_request *q)
{
    struct subtree t;
    struct spread s = {.code = subtree_load(c, q->path, SUBTREE_NAMES, &t)};
    if (s.code == CLI_OK) {
        spread_to(c, &s, q, &t);
    }
    if (s.code == CLI_OK && c->out.json) {
        out_json(&c->out, json_pack("{s:o,s:I,s:I}", "path", out_json_string(q->path), "changed",
                                    (json_int_t)s.done, "failed", (json_int_t)s.failed));
    }
    subtree_fini(&t);
    return s.code == CLI_OK && s.failed > 0 ? CLI_NO : s.code;
}

int cmd_set_acl(struct cli *c, const struct args *a)
{
    const char *v = args_value(a, "v");
    int64_t version = REEVE_ANY_VERSION;
    if (v && !parse_i64(v, -1, INT32_MAX, &version)) {
        return cli_usage(c, "the version must be a number, not %s", v);
    }
    struct reeve_acl *acl;
    struct reeve_request q = {.op = REEVE_OP_SET_ACL, .version = (int32_t)version};
    if (!cli_parse_acl(c, a->arg[1], &acl, &q.acl_n)) {
        return CLI_USAGE;
    }
    char *path = cli_path(c, a->arg[0], false);
    q.path = path;
    q.acl = acl;
    int code = args_has(a, "R") ? set_tree(c, &q) : outcome_stat(c, &q, args_has(a, "s"));
    free(acl);
    free(path);
    return code;
}

int cmd_whoami(struct cli *c, const struct args *a)
{
    (void)a;
    struct reeve_request q = {.op = REEVE_OP_WHO_AM_I};
    struct reeve_result r;
    int code = CLI_OK;
    struct string scheme = {0}, id = {0};
    if (cli_call(c, &q, &r) != REEVE_OK) {
        code = cli_fail(c, &r);
    } else if (c->out.json) {
        json_t *list = json_array();
        for (size_t i = 0; i < r.acl_n; i++) {
            json_array_append_new(list,
                                  json_pack("{s:o,s:o}", "scheme", out_json_string(r.acl[i].scheme),
                                            "user", out_json_string(r.acl[i].id)));
        }
        out_json(&c->out, json_pack("{s:o}", "identities", list));
    } else {
        out_printf(&c->out, "Auth scheme: User\n");
        for (size_t i = 0; i < r.acl_n; i++) {
            out_printf(&c->out, "%s: %s\n", out_line(&c->out, r.acl[i].scheme, &scheme),
                       out_line(&c->out, r.acl[i].id, &id));
        }
    }
    string_fini(&scheme);
    string_fini(&id);
    reeve_result_fini(&r);
    return code;
}
