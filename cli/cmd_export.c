// SPDX-License-Identifier: Apache-2.0
//
// export: a subtree as JSON; see dump.h for its form.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/dump.h"
#include "cli/fetch.h"
#include "cli/subtree.h"

struct export
{
    FILE *to;
    size_t written, unread, masked;
    bool failed; // to write
};

static bool is_masked(const struct reeve_result *acl)
{
    for (size_t i = 0; i < acl->acl_n; i++) {
        size_t len = strlen(acl->acl[i].id);
        if (strcmp(acl->acl[i].scheme, "digest") == 0 && len > 1 &&
            strcmp(acl->acl[i].id + len - 2, ":x") == 0) {
            return true;
        }
    }
    return false;
}

static bool on_node(struct cli *c, void *ctx, const struct fetched *n)
{
    (void)c;
    struct export *x = ctx;
    if (n->data->error == REEVE_NO_NODE || n->acl->error == REEVE_NO_NODE) {
        return true;
    }
    if (n->data->error != REEVE_OK || n->acl->error != REEVE_OK) {
        x->unread++;
        return true;
    }
    x->masked += is_masked(n->acl);
    json_t *v = dump_encode(n->path, n->data, n->acl);
    char *s = json_dumps(v, JSON_COMPACT);
    x->failed = s == NULL || fprintf(x->to, "%s%s", x->written ? ",\n" : "", s) < 0;
    x->written++;
    free(s);
    json_decref(v);
    return !x->failed;
}

static bool write_head(FILE *to, const struct cli *c, const char *path)
{
    json_t *name = out_json_string(path), *server = out_json_string(c->server);
    char *name_text = json_dumps(name, JSON_ENCODE_ANY);
    char *server_text = json_dumps(server, JSON_ENCODE_ANY);
    bool good = name_text && server_text &&
                fprintf(to, "{\"export\":%s,\"server\":%s,\"time\":%lld000,\"nodes\":[\n",
                        name_text, server_text, (long long)time(NULL)) > 0;
    free(name_text);
    free(server_text);
    json_decref(name);
    json_decref(server);
    return good;
}

static int write_nodes(struct cli *c, const struct subtree *w, struct export *x)
{
    size_t *which = cli_alloc((w->n + 1) * sizeof(*which)), n = 0;
    struct subtree_order order = {0};
    while (subtree_next(w, &order, &which[n])) {
        n++;
    }
    subtree_order_fini(&order);
    x->failed = !write_head(x->to, c, w->node[0].name);
    int code = x->failed ? CLI_OK : fetch_nodes(c, w, which, n, true, on_node, x);
    free(which);
    if (code == CLI_OK && !x->failed) {
        x->failed = fprintf(x->to, "\n]}\n") < 0;
    }
    return code;
}

static int say_left_out(struct cli *c, const char *path, const struct subtree *w,
                        const struct export *x)
{
    if (x->masked > 0) {
        out_note(&c->out,
                 "%zu nodes have digests that only those with ADMIN permission see; import wants "
                 "--no-acl then",
                 x->masked);
    }
    if (x->unread > 0 || w->refused > 0) {
        return cli_refuse(c, "%s: %zu nodes may not be read and are left out (NOAUTH)", path,
                          x->unread > w->refused ? x->unread : w->refused);
    }
    return CLI_OK;
}

// file NULL: standard output. Else beside it, and moved there when it is whole.
static int export_to(struct cli *c, const char *path, const char *file)
{
    struct subtree w;
    int code = subtree_load(c, path, SUBTREE_NAMES, &w);
    struct string part = {0};
    string_addf(&part, "%s.part", file ? file : "");
    struct export x = {.to = c->out.to};
    if (code == CLI_OK && file && (x.to = fopen(string_of(&part), "w")) == NULL) {
        code = cli_refuse(c, "%s cannot be written: %s", string_of(&part), strerror(errno));
    }
    if (code == CLI_OK) {
        code = write_nodes(c, &w, &x);
        if (file) {
            x.failed |= fflush(x.to) != 0 || fsync(fileno(x.to)) != 0;
            x.failed |= fclose(x.to) != 0;
            x.failed |= code == CLI_OK && !x.failed && rename(string_of(&part), file) != 0;
        }
        if (x.failed) {
            code = cli_refuse(c, "%s cannot be written: %s", file ? file : "standard output",
                              strerror(errno));
        }
        if (file && code != CLI_OK) {
            unlink(string_of(&part));
        }
    }
    if (code == CLI_OK) {
        if (file && c->out.json) {
            out_json(&c->out, json_pack("{s:o,s:s,s:I}", "path", out_json_string(path), "file",
                                        file, "exported", (json_int_t)x.written));
        } else if (file) {
            out_printf(&c->out, "exported %zu nodes to %s\n", x.written, file);
        }
        code = say_left_out(c, path, &w, &x);
    }
    string_fini(&part);
    subtree_fini(&w);
    return code;
}

int cmd_export(struct cli *c, const struct args *a)
{
    const char *file = a->n > 1 && strcmp(a->arg[1], "-") != 0 ? a->arg[1] : NULL;
    char *path = cli_path(c, a->arg[0], false);
    int code = export_to(c, path, file);
    free(path);
    return code;
}
