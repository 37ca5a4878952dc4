// SPDX-License-Identifier: Apache-2.0
#include "cli/subtree.h"

#include <stdlib.h>
#include <string.h>

enum { AT_A_TIME = 64 };

// What a request under way is about. Nodes move when the array grows: an index. All of them belong
// to subtree_load(), because requests may be forgotten.
struct asked {
    struct subtree *w;
    struct asked *next_free;
    size_t i;
};

static void give_back(struct asked *a)
{
    a->next_free = a->w->free_slots;
    a->w->free_slots = a;
}

char *subtree_path(const struct subtree *w, size_t i)
{
    size_t len = 0;
    for (size_t at = i; at != 0; at = w->node[at].parent) {
        len += strlen(w->node[at].name) + 1;
    }
    const char *root = w->node[0].name;
    size_t root_len = i != 0 && strcmp(root, "/") == 0 ? 0 : strlen(root);
    char *path = cli_alloc(root_len + len + 1);
    memcpy(path, root, root_len);
    char *end = path + root_len + len;
    for (size_t at = i; at != 0; at = w->node[at].parent) {
        size_t n = strlen(w->node[at].name);
        end -= n;
        memcpy(end, w->node[at].name, n);
        *--end = '/';
    }
    return path;
}

static struct subtree_node *add_node(struct subtree *w, size_t parent, const char *name)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        w->node = cli_grow(w->node, w->cap * sizeof(*w->node));
    }
    struct subtree_node *node = &w->node[w->n++];
    *node = (struct subtree_node){.parent = parent, .name = cli_dup(name)};
    node->depth = w->n > 1 ? w->node[parent].depth + 1 : 0;
    return node;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_children(struct subtree *w, size_t i, const struct reeve_result *r)
{
    const char **names = cli_alloc((r->children_n + 1) * sizeof(*names));
    for (size_t k = 0; k < r->children_n; k++) {
        names[k] = r->children[k];
    }
    qsort(names, r->children_n, sizeof(*names), by_name);
    w->node[i].first = w->n;
    w->node[i].n = r->children_n;
    for (size_t k = 0; k < r->children_n; k++) {
        add_node(w, i, names[k]);
    }
    free(names);
}

// The walk goes on without a node that went or may not be read; anything else ends it. The root
// must be there.
static bool is_fatal(size_t i, enum reeve_error e)
{
    return e != REEVE_OK && (i == 0 || (e != REEVE_NO_NODE && e != REEVE_NO_AUTH));
}

static bool note_error(struct subtree *w, size_t i, const struct reeve_result *r)
{
    if (r->error == REEVE_OK) {
        return false;
    }
    if (is_fatal(i, r->error)) {
        if (!w->failed) {
            w->failed = true;
            w->code = cli_fail(w->c, r);
        }
        return true;
    }
    struct subtree_node *node = &w->node[i];
    if (node->error == REEVE_OK || r->error == REEVE_NO_NODE) {
        w->refused += r->error == REEVE_NO_AUTH;
        w->refused -= node->error == REEVE_NO_AUTH;
        node->error = r->error;
    }
    return true;
}

static void on_children(struct cli *c, void *ctx, struct reeve_result *r)
{
    (void)c;
    struct asked *a = ctx;
    struct subtree *w = a->w;
    size_t i = a->i;
    give_back(a);
    w->reads--;
    w->answered++;
    if (note_error(w, i, r)) {
        return;
    }
    if (r->has_stat && !w->node[i].has_stat) {
        w->node[i].has_stat = true;
        w->node[i].stat = r->stat;
    }
    if (w->n + r->children_n > SUBTREE_NODES_MAX) {
        if (!w->failed) {
            w->failed = true;
            w->code = cli_refuse(w->c, "there are more than %d nodes", SUBTREE_NODES_MAX);
        }
        return;
    }
    add_children(w, i, r);
}

static void on_data(struct cli *c, void *ctx, struct reeve_result *r)
{
    (void)c;
    struct asked *a = ctx;
    struct subtree *w = a->w;
    struct subtree_node *node = &w->node[a->i];
    w->reads--;
    if (!note_error(w, a->i, r)) {
        node->has_stat = node->has_data = true;
        node->stat = r->stat;
        node->data_len = r->data_len;
        node->data = r->data ? cli_dup_n(r->data, r->data_len) : NULL;
    }
    give_back(a);
}

static bool ask(struct subtree *w, size_t i, enum reeve_op op, cli_done_fn *fn)
{
    struct asked *a = w->free_slots;
    w->free_slots = a->next_free;
    a->i = i;
    char *path = subtree_path(w, i);
    struct reeve_request q = {.op = op, .path = path};
    if (w->what & SUBTREE_WATCH && (op == REEVE_OP_CHILDREN || i == 0)) {
        cli_watch(w->c, &q);
    }
    enum reeve_error e = cli_submit(w->c, &q, fn, a);
    if (e == REEVE_OK) {
        w->reads++;
    } else {
        give_back(a);
        struct reeve_result r;
        cli_call(w->c, &q, &r); // is refused again, and says what is wrong
        w->failed = true;
        w->code = cli_fail(w->c, &r);
        reeve_result_fini(&r);
    }
    free(path);
    return e == REEVE_OK;
}

static void ask_next(struct subtree *w)
{
    size_t i = w->asked++;
    bool deepest = w->node[i].depth >= w->depth_max;
    if (!ask(w, i, deepest ? REEVE_OP_EXISTS : REEVE_OP_CHILDREN, on_children)) {
        return;
    }
    if (w->what & SUBTREE_DATA || (w->what & SUBTREE_WATCH && i == 0)) {
        ask(w, i, REEVE_OP_GET, on_data);
    }
}

int subtree_load(struct cli *c, const char *root, unsigned what, struct subtree *w)
{
    return subtree_load_depth(c, root, what, SIZE_MAX, w);
}

int subtree_load_depth(struct cli *c, const char *root, unsigned what, size_t depth_max,
                       struct subtree *w)
{
    *w = (struct subtree){.c = c, .what = what, .depth_max = depth_max};
    struct asked slots[AT_A_TIME + 2]; // a node may need two
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        slots[i].w = w;
        give_back(&slots[i]);
    }
    add_node(w, 0, root);
    int64_t begun_ms = cli_now_ms();
    for (;;) {
        while (!w->failed && w->asked < w->n && w->reads < AT_A_TIME) {
            ask_next(w);
        }
        if (w->reads == 0 || w->failed || c->interrupted) {
            break;
        }
        cli_turn(c, -1, -1);
        if (cli_now_ms() - begun_ms > 500) {
            out_progress(&c->out, "%s: %zu of %zu nodes read", c->command, w->answered, w->n);
        }
    }
    out_progress(&c->out, NULL);
    // What is still under way would write into w and slots.
    cli_forget(c);
    w->free_slots = NULL;
    return c->interrupted ? CLI_INTERRUPTED : w->code;
}

void subtree_fini(struct subtree *w)
{
    for (size_t i = 0; i < w->n; i++) {
        free(w->node[i].name);
        free(w->node[i].data);
    }
    free(w->node);
    *w = (struct subtree){0};
}

static void push(struct subtree_order *o, size_t i)
{
    if (o->n == o->cap) {
        o->cap = o->cap ? o->cap * 2 : 64;
        o->stack = cli_grow(o->stack, o->cap * sizeof(*o->stack));
    }
    o->stack[o->n++] = i;
}

bool subtree_next(const struct subtree *w, struct subtree_order *o, size_t *i)
{
    if (!o->begun) {
        o->begun = true;
        push(o, 0);
    }
    while (o->n > 0) {
        *i = o->stack[--o->n];
        const struct subtree_node *node = &w->node[*i];
        if (node->error == REEVE_NO_NODE) {
            continue;
        }
        for (size_t k = node->n; k > 0; k--) {
            push(o, node->first + k - 1);
        }
        return true;
    }
    return false;
}

void subtree_order_fini(struct subtree_order *o)
{
    free(o->stack);
    *o = (struct subtree_order){0};
}
