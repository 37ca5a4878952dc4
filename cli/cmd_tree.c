// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // memmem
//
// Commands that look at whole subtrees: tree, find, du.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/fetch.h"
#include "cli/find_terms.h"
#include "cli/kinds.h"
#include "cli/subtree.h"

// -d of a. False: said what is wrong.
static bool depth_of(struct cli *c, const struct args *a, int64_t none, size_t *depth)
{
    const char *d = args_value(a, "d");
    int64_t v = none;
    if (d && !parse_i64(d, 0, INT32_MAX, &v)) {
        cli_usage(c, "-d wants a depth, not %s", d);
        return false;
    }
    *depth = (size_t)v;
    return true;
}

// What could not be read is said at the end, after what could.
static int say_refused(struct cli *c, const struct subtree *w)
{
    return w->refused == 0 ? CLI_OK
                           : cli_refuse(c, "%s: the children of %zu nodes may not be read (NOAUTH)",
                                        w->node[0].name, w->refused);
}

static int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// ---- tree ---------------------------------------------------------------------------------------

static bool is_last(const struct subtree *w, size_t i)
{
    const struct subtree_node *parent = &w->node[w->node[i].parent];
    size_t end = parent->first + parent->n;
    while (end > i + 1 && w->node[end - 1].error == REEVE_NO_NODE) {
        end--;
    }
    return end == i + 1;
}

// "│   ├── ": what stands before the name. For each node above, the line that goes on there.
static void add_lines(struct string *t, const struct subtree *w, size_t i)
{
    if (i == 0) {
        return;
    }
    size_t depth = w->node[i].depth;
    size_t *above = cli_alloc(depth * sizeof(*above));
    for (size_t at = i, k = depth; k > 0; at = w->node[at].parent) {
        above[--k] = at;
    }
    for (size_t k = 0; k + 1 < depth; k++) {
        string_add(t, is_last(w, above[k]) ? "    " : "│   ");
    }
    string_add(t, is_last(w, i) ? "└── " : "├── ");
    free(above);
}

static void add_facts(struct string *t, const struct reeve_stat *s)
{
    char size[16];
    string_addf(t, "  [%s, version %d", human_size(size, (uint64_t)s->data_length), s->version);
    if (s->ephemeral_owner != 0) {
        string_addf(t, ", ephemeral 0x%" PRIx64, (uint64_t)s->ephemeral_owner);
    }
    string_add_char(t, ']');
}

static void print_line(struct cli *c, const struct subtree *w, size_t i, bool facts)
{
    const struct subtree_node *node = &w->node[i];
    struct string before = {0}, behind = {0}, safe = {0};
    add_lines(&before, w, i);
    if (facts && node->has_stat) {
        add_facts(&behind, &node->stat);
    }
    if (node->error == REEVE_NO_AUTH) {
        string_add(&behind, "  (may not be read)");
    } else if (node->depth >= w->depth_max && node->has_stat && node->stat.num_children > 0) {
        string_addf(&behind, "  (+%d)", node->stat.num_children);
    }
    bool ephemeral = node->has_stat && node->stat.ephemeral_owner != 0;
    out_printf(&c->out, "%s%s%s%s%s\n", string_of(&before),
               out_color(&c->out, ephemeral ? OUT_YELLOW : OUT_BLUE),
               out_safe(&c->out, node->name, &safe), out_color_end(&c->out), string_of(&behind));
    string_fini(&before);
    string_fini(&behind);
    string_fini(&safe);
}

static void print_node_json(struct cli *c, const struct subtree *w, size_t i)
{
    const struct subtree_node *node = &w->node[i];
    char *path = subtree_path(w, i);
    json_t *v =
        json_pack("{s:o,s:I}", "path", out_json_string(path), "depth", (json_int_t)node->depth);
    if (node->has_stat) {
        json_object_set_new(v, "stat", out_json_stat(&node->stat));
    }
    if (node->error == REEVE_NO_AUTH) {
        json_object_set_new(v, "error", json_string(reeve_error_name(node->error)));
    }
    out_json(&c->out, v);
    free(path);
}

int cmd_tree(struct cli *c, const struct args *a)
{
    size_t depth, i, shown = 0;
    if (!depth_of(c, a, INT64_MAX, &depth)) {
        return CLI_USAGE;
    }
    char *path = cli_path(c, a->n > 0 ? a->arg[0] : ".", false);
    struct subtree w;
    int code = subtree_load_depth(c, path, SUBTREE_NAMES, depth, &w);
    struct subtree_order order = {0};
    while (code == CLI_OK && subtree_next(&w, &order, &i)) {
        shown++;
        if (c->out.json) {
            print_node_json(c, &w, i);
        } else {
            print_line(c, &w, i, args_has(a, "s"));
        }
    }
    if (code == CLI_OK) {
        if (!c->out.json) {
            out_printf(&c->out, "\n%zu node%s\n", shown, shown == 1 ? "" : "s");
        }
        code = say_refused(c, &w);
    }
    subtree_order_fini(&order);
    subtree_fini(&w);
    free(path);
    return code;
}

// ---- find ---------------------------------------------------------------------------------------

static void print_found(struct cli *c, const char *path, const struct reeve_stat *st)
{
    if (c->out.json) {
        json_t *v = json_pack("{s:o}", "path", out_json_string(path));
        if (st) {
            json_object_set_new(v, "stat", out_json_stat(st));
        }
        out_json(&c->out, v);
        return;
    }
    struct string safe = {0};
    out_printf(&c->out, "%s\n", out_safe(&c->out, path, &safe));
    string_fini(&safe);
}

struct text_search {
    const char *text;
    size_t unread;
};

static bool on_candidate(struct cli *c, void *ctx, const struct fetched *n)
{
    struct text_search *s = ctx;
    const struct reeve_result *r = n->data;
    s->unread += r->error == REEVE_NO_AUTH;
    if (r->error == REEVE_OK && r->data &&
        memmem(r->data, r->data_len, s->text, strlen(s->text)) != NULL) {
        print_found(c, n->path, &r->stat);
    }
    return true;
}

// Those that match so far, in order of their paths; without a text they are printed at once.
static size_t matches(struct cli *c, const struct subtree *w, const struct find_terms *t,
                      size_t *which)
{
    struct subtree_order order = {0};
    size_t n = 0, i;
    int64_t now_ms = wall_ms();
    while (subtree_next(w, &order, &i)) {
        const struct subtree_node *node = &w->node[i];
        const struct reeve_stat *st = node->has_stat ? &node->stat : NULL;
        if (!find_terms_match(t, node->name, st, now_ms)) {
            continue;
        }
        which[n++] = i;
        if (t->data == NULL) {
            char *path = subtree_path(w, i);
            print_found(c, path, st);
            free(path);
        }
    }
    subtree_order_fini(&order);
    return n;
}

static int find(struct cli *c, const struct subtree *w, const struct find_terms *t)
{
    size_t *which = cli_alloc((w->n + 1) * sizeof(*which));
    size_t n = matches(c, w, t, which);
    struct text_search s = {.text = t->data};
    int code = t->data ? fetch_nodes(c, w, which, n, false, on_candidate, &s) : CLI_OK;
    free(which);
    if (code == CLI_OK && s.unread > 0) {
        code = cli_refuse(c, "%s: the data of %zu nodes may not be read (NOAUTH)", w->node[0].name,
                          s.unread);
    }
    return code;
}

int cmd_find(struct cli *c, const struct args *a)
{
    struct find_terms terms;
    char why[160];
    if (!find_terms_read(&terms, a, why, sizeof(why))) {
        return cli_usage(c, "%s", why);
    }
    char *path = cli_path(c, a->arg[0], false);
    struct subtree w;
    int code = subtree_load(c, path, SUBTREE_NAMES, &w);
    if (code == CLI_OK) {
        code = find(c, &w, &terms);
        int refused = code == CLI_INTERRUPTED ? CLI_OK : say_refused(c, &w);
        code = code == CLI_OK ? refused : code;
    }
    subtree_fini(&w);
    free(path);
    return code;
}

// ---- du -----------------------------------------------------------------------------------------

struct use {
    size_t i;
    uint64_t bytes, nodes;
};

static int by_bytes(const void *a, const void *b)
{
    const struct use *x = a, *y = b;
    if (x->bytes != y->bytes) {
        return x->bytes < y->bytes ? 1 : -1;
    }
    if (x->nodes != y->nodes) {
        return x->nodes < y->nodes ? 1 : -1;
    }
    return x->i < y->i ? -1 : x->i > y->i;
}

static struct use *add_up(const struct subtree *w)
{
    struct use *use = cli_alloc(w->n * sizeof(*use));
    for (size_t i = w->n; i-- > 0;) {
        const struct subtree_node *node = &w->node[i];
        use[i].i = i;
        if (node->error == REEVE_NO_NODE) {
            continue;
        }
        use[i].nodes++;
        use[i].bytes += node->has_stat ? (uint64_t)node->stat.data_length : 0;
        if (i > 0) {
            use[node->parent].nodes += use[i].nodes;
            use[node->parent].bytes += use[i].bytes;
        }
    }
    return use;
}

static void print_use(struct cli *c, const struct subtree *w, const struct use *u)
{
    char *path = subtree_path(w, u->i), size[16];
    struct string safe = {0};
    if (c->out.json) {
        out_json(&c->out, json_pack("{s:o,s:I,s:I}", "path", out_json_string(path), "bytes",
                                    (json_int_t)u->bytes, "nodes", (json_int_t)u->nodes));
    } else {
        out_printf(&c->out, "%8s %8" PRIu64 "  %s\n", human_size(size, u->bytes), u->nodes,
                   out_safe(&c->out, path, &safe));
    }
    string_fini(&safe);
    free(path);
}

int cmd_du(struct cli *c, const struct args *a)
{
    size_t depth;
    if (!depth_of(c, a, args_has(a, "s") ? 0 : 1, &depth)) {
        return CLI_USAGE;
    }
    char *path = cli_path(c, a->n > 0 ? a->arg[0] : ".", false);
    struct subtree w;
    int code = subtree_load(c, path, SUBTREE_NAMES, &w);
    if (code == CLI_OK) {
        struct use *use = add_up(&w);
        size_t n = 0;
        for (size_t i = 0; i < w.n; i++) {
            if (w.node[i].depth <= depth && w.node[i].error != REEVE_NO_NODE) {
                use[n++] = use[i];
            }
        }
        qsort(use, n, sizeof(*use), by_bytes);
        if (!c->out.json) {
            out_printf(&c->out, "%8s %8s  %s\n", "bytes", "znodes", "path");
        }
        for (size_t i = 0; i < n; i++) {
            print_use(c, &w, &use[i]);
        }
        free(use);
        code = say_refused(c, &w);
    }
    subtree_fini(&w);
    free(path);
    return code;
}
