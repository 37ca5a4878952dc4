// SPDX-License-Identifier: Apache-2.0
//
// Commands that look at nodes: ls, get, stat, getAllChildrenNumber, getEphemerals, sync.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/outcome.h"
#include "cli/subtree.h"

// `get path watch` and the like of 3.4: any second argument asks for a watch.
static bool wants_watch(struct cli *c, const struct args *a, const char *better)
{
    if (a->n > 1) {
        out_note(&c->out, "'%s path [watch]' has been deprecated. Please use '%s' instead.",
                 c->command, better);
    }
    return a->n > 1 || args_has(a, "w");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The names of a result, sorted. To be freed, the names are the result's.
static const char **sorted(const struct reeve_result *r)
{
    const char **names = cli_alloc((r->children_n + 1) * sizeof(*names));
    for (size_t i = 0; i < r->children_n; i++) {
        names[i] = r->children[i];
    }
    qsort(names, r->children_n, sizeof(*names), by_name);
    return names;
}

// "[a, b]", as Java prints a list.
static void print_list(struct out *o, const char *const *names, size_t n)
{
    struct string safe = {0};
    out_printf(o, "[");
    for (size_t i = 0; i < n; i++) {
        out_printf(o, "%s%s%s%s", i ? ", " : "", out_color(o, OUT_BLUE),
                   out_safe(o, names[i], &safe), out_color_end(o));
    }
    out_printf(o, "]\n");
    string_fini(&safe);
}

static json_t *json_list(const char *const *names, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, out_json_string(names[i]));
    }
    return list;
}

static void print_children(struct cli *c, const char *path, const struct reeve_result *r,
                           bool with_stat)
{
    const char **names = sorted(r);
    if (c->out.json) {
        json_t *v = json_object();
        json_object_set_new(v, "path", out_json_string(path));
        json_object_set_new(v, "children", json_list(names, r->children_n));
        if (with_stat) {
            json_object_set_new(v, "stat", out_json_stat(&r->stat));
        }
        out_json(&c->out, v);
    } else {
        print_list(&c->out, names, r->children_n);
        if (with_stat) {
            out_stat(&c->out, &r->stat);
        }
    }
    free(names);
}

static int list(struct cli *c, const char *path, bool watch, bool with_stat)
{
    struct reeve_request q = {.op = REEVE_OP_CHILDREN, .path = path};
    if (watch) {
        cli_watch(c, &q);
    }
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, &q, &r) == REEVE_OK) {
        print_children(c, path, &r, with_stat);
    } else {
        code = cli_fail(c, &r);
    }
    reeve_result_fini(&r);
    return code;
}

static void print_path(struct cli *c, const struct subtree *w, size_t i, json_t *list)
{
    char *path = subtree_path(w, i);
    struct string safe = {0};
    if (list) {
        json_array_append_new(list, out_json_string(path));
    } else {
        out_printf(&c->out, "%s\n", out_safe(&c->out, path, &safe));
    }
    string_fini(&safe);
    free(path);
}

// Apache's order: a node's children stand together, what is below each of them follows. A slow
// terminal is no reason to wait for the end: Ctrl-C is looked for now and then.
static void print_tree(struct cli *c, const struct subtree *w, json_t *list)
{
    enum { NOW_AND_THEN = 256 };
    struct subtree_order order = {0};
    size_t i, printed = 0;
    print_path(c, w, 0, list);
    while (!c->interrupted && subtree_next(w, &order, &i)) {
        for (size_t k = w->node[i].first; k < w->node[i].first + w->node[i].n; k++) {
            if (w->node[k].error != REEVE_NO_NODE) {
                print_path(c, w, k, list);
            }
            if (++printed % NOW_AND_THEN == 0 && list == NULL) {
                cli_turn(c, -1, 0);
            }
            if (c->interrupted) {
                break;
            }
        }
    }
    subtree_order_fini(&order);
}

static int list_tree(struct cli *c, const char *path, bool watch)
{
    struct subtree w;
    int code = subtree_load(c, path, watch ? SUBTREE_WATCH : SUBTREE_NAMES, &w);
    if (code == CLI_OK) {
        json_t *list = c->out.json ? json_array() : NULL;
        print_tree(c, &w, list);
        code = c->interrupted ? CLI_INTERRUPTED : CLI_OK;
        if (list) {
            out_json(&c->out, json_pack("{s:o,s:o}", "path", out_json_string(path), "tree", list));
        }
        if (w.refused > 0 && code == CLI_OK) {
            code = cli_refuse(c, "%s: the children of %zu nodes may not be read (NOAUTH)", path,
                              w.refused);
        }
    }
    subtree_fini(&w);
    return code;
}

int cmd_ls(struct cli *c, const struct args *a)
{
    if (args_has(a, "?")) {
        out_printf(&c->out, "usage: ls [options] path\n -?   help\n -R   recurse\n -s   stat\n"
                            " -w   watch\n");
        return CLI_OK;
    }
    bool watch = wants_watch(c, a, "ls [-w] path");
    char *path = cli_path(c, a->n > 0 ? a->arg[0] : ".", false);
    int code =
        args_has(a, "R") ? list_tree(c, path, watch) : list(c, path, watch, args_has(a, "s"));
    free(path);
    return code;
}

int cmd_ls2(struct cli *c, const struct args *a)
{
    out_note(&c->out, "'ls2' has been deprecated. Please use 'ls [-s] path' instead.");
    char *path = cli_path(c, a->arg[0], false);
    int code = list(c, path, a->n > 1, true);
    free(path);
    return code;
}

static enum out_encoding encoding_of(const struct args *a)
{
    return args_has(a, "raw") ? OUT_RAW
           : args_has(a, "x") ? OUT_HEX
           : args_has(a, "b") ? OUT_BASE64
                              : OUT_TEXT;
}

int cmd_get(struct cli *c, const struct args *a)
{
    char *path = cli_path(c, a->arg[0], false);
    struct reeve_request q = {.op = REEVE_OP_GET, .path = path};
    if (wants_watch(c, a, "get [-s] [-w] path")) {
        cli_watch(c, &q);
    }
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, &q, &r) != REEVE_OK) {
        code = cli_fail(c, &r);
    } else if (c->out.json) {
        json_t *v = json_object();
        json_object_set_new(v, "path", out_json_string(path));
        out_json_data(v, r.data, r.data_len, encoding_of(a));
        if (args_has(a, "s")) {
            json_object_set_new(v, "stat", out_json_stat(&r.stat));
        }
        out_json(&c->out, v);
    } else {
        out_data(&c->out, r.data, r.data_len, encoding_of(a));
        if (args_has(a, "s")) {
            out_stat(&c->out, &r.stat);
        }
    }
    reeve_result_fini(&r);
    free(path);
    return code;
}

int cmd_stat(struct cli *c, const struct args *a)
{
    char *path = cli_path(c, a->arg[0], false);
    struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = path};
    if (wants_watch(c, a, "stat [-w] path")) {
        cli_watch(c, &q);
    }
    int code = outcome_stat(c, &q, true);
    free(path);
    return code;
}

int cmd_all_children(struct cli *c, const struct args *a)
{
    char *path = cli_path(c, a->arg[0], false);
    struct reeve_request q = {.op = REEVE_OP_ALL_CHILDREN, .path = path};
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, &q, &r) != REEVE_OK) {
        code = cli_fail(c, &r);
    } else if (c->out.json) {
        out_json(&c->out, json_pack("{s:o,s:I}", "path", out_json_string(path), "number",
                                    (json_int_t)r.number));
    } else {
        out_printf(&c->out, "%" PRId64 "\n", r.number);
    }
    reeve_result_fini(&r);
    free(path);
    return code;
}

int cmd_ephemerals(struct cli *c, const struct args *a)
{
    char *path = cli_path(c, a->n > 0 ? a->arg[0] : "/", false);
    struct reeve_request q = {.op = REEVE_OP_EPHEMERALS, .path = path};
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, &q, &r) != REEVE_OK) {
        code = cli_fail(c, &r);
    } else {
        const char **names = sorted(&r);
        if (c->out.json) {
            out_json(&c->out, json_pack("{s:o,s:o}", "path", out_json_string(path), "ephemerals",
                                        json_list(names, r.children_n)));
        } else {
            print_list(&c->out, names, r.children_n);
        }
        free(names);
    }
    reeve_result_fini(&r);
    free(path);
    return code;
}

int cmd_sync(struct cli *c, const struct args *a)
{
    char *path = cli_path(c, a->arg[0], false);
    struct reeve_request q = {.op = REEVE_OP_SYNC, .path = path};
    int code = outcome_done(c, &q, "synced", "Sync is OK");
    free(path);
    return code;
}
