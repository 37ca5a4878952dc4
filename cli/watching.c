// SPDX-License-Identifier: Apache-2.0
#include "cli/watching.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/kinds.h"

// One that waits for its size, or for those before it. Answers come in order, so the first is ready
// first.
struct entry {
    struct entry *next;
    struct watching *w;
    struct watching_event ev;
    char *path;
    bool ready;
};

enum { SIZES_MAX = 256 }; // reads under way; more events than that are told without a size

struct watching {
    struct cli *c;
    char *path;
    bool recursive, one_shot, ended;
    watching_fn *fn;
    void *ctx;
    struct entry *first, **last;
    size_t reads;
    json_t *known;        // one_shot: path -> names of its children, as an object
    struct rearm *rearms; // one_shot: requests under way
    int code;
};

static int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void give(struct watching *w)
{
    while (w->first && w->first->ready) {
        struct entry *e = w->first;
        w->first = e->next;
        if (w->first == NULL) {
            w->last = &w->first;
        }
        e->ev.path = e->path;
        w->fn(w->c, w->ctx, &e->ev);
        free(e->path);
        free(e);
    }
}

static void note_failure(struct watching *w, const struct reeve_result *r)
{
    if (w->code == CLI_OK && !w->ended) {
        w->code = cli_fail(w->c, r);
    }
}

static void on_size(struct cli *c, void *ctx, struct reeve_result *r)
{
    (void)c;
    struct entry *e = ctx;
    struct watching *w = e->w;
    w->reads--;
    e->ready = true;
    if (r->error == REEVE_OK) {
        e->ev.has_size = true;
        e->ev.size = r->stat.data_length;
    }
    give(w);
}

static void add(struct watching *w, enum reeve_event_type type, const char *path)
{
    struct entry *e = cli_alloc(sizeof(*e));
    *e = (struct entry){.w = w, .path = cli_dup(path), .ev = {.type = type, .time_ms = wall_ms()}};
    *w->last = e;
    w->last = &e->next;
    bool wants =
        (type == REEVE_EVENT_CREATED || type == REEVE_EVENT_CHANGED) && w->reads < SIZES_MAX;
    struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = path};
    if (wants && cli_submit(w->c, &q, on_size, e) == REEVE_OK) {
        w->reads++;
    } else {
        e->ready = true;
    }
    give(w);
}

// ---- one-shot watches ---------------------------------------------------------------------------
//
// known has a member for each node that is followed: its children as they were read last. A node
// has a watch for its children, and one for its data by EXISTS. What a new list has and the old one
// has not was created.

struct rearm {
    struct rearm *next, **prev;
    struct watching *w;
    char *path;
    bool told; // new children are events; not so at the beginning
};

static void rearm_free(struct rearm *a)
{
    *a->prev = a->next;
    if (a->next) {
        a->next->prev = a->prev;
    }
    free(a->path);
    free(a);
}

static void follow_node(struct watching *w, const char *path, bool told);

static void on_children(struct cli *c, void *ctx, struct reeve_result *r)
{
    (void)c;
    struct rearm *a = ctx;
    struct watching *w = a->w;
    if (r->error == REEVE_OK) {
        json_t *names = json_object(), *before = json_object_get(w->known, a->path);
        for (size_t i = 0; i < r->children_n; i++) {
            json_object_set_new(names, r->children[i], json_true());
            if (w->recursive && (!before || !json_object_get(before, r->children[i]))) {
                char *child = cli_path_join(a->path, r->children[i]);
                if (a->told) {
                    add(w, REEVE_EVENT_CREATED, child);
                }
                follow_node(w, child, a->told);
                free(child);
            }
        }
        json_object_set_new(w->known, a->path, names);
    } else if (r->error != REEVE_NO_NODE && r->error != REEVE_NO_AUTH) {
        note_failure(w, r);
    }
    rearm_free(a);
}

static void on_exists(struct cli *c, void *ctx, struct reeve_result *r)
{
    (void)c;
    struct rearm *a = ctx;
    if (r->error != REEVE_OK && r->error != REEVE_NO_NODE) {
        note_failure(a->w, r);
    }
    rearm_free(a);
}

static void ask(struct watching *w, enum reeve_op op, const char *path, bool told, cli_done_fn *fn)
{
    struct rearm *a = cli_alloc(sizeof(*a));
    *a = (struct rearm){
        .w = w, .path = cli_dup(path), .told = told, .next = w->rearms, .prev = &w->rearms};
    if (a->next) {
        a->next->prev = &a->next;
    }
    w->rearms = a;
    struct reeve_request q = {.op = op, .path = path};
    cli_watch(w->c, &q);
    enum reeve_error e = cli_submit(w->c, &q, fn, a);
    if (e != REEVE_OK) {
        struct reeve_result r = {.error = e, .op = op, .path = path, .why = ""};
        note_failure(w, &r);
        rearm_free(a);
    }
}

static void follow_node(struct watching *w, const char *path, bool told)
{
    ask(w, REEVE_OP_EXISTS, path, told, on_exists);
    ask(w, REEVE_OP_CHILDREN, path, told, on_children);
}

static void on_one_shot(struct watching *w, const struct cli_event *ev)
{
    bool top = strcmp(ev->path, w->path) == 0;
    switch (ev->type) {
    case REEVE_EVENT_CHILDREN:
        ask(w, REEVE_OP_CHILDREN, ev->path, true, on_children);
        if (!w->recursive) {
            add(w, ev->type, ev->path);
        }
        break;
    case REEVE_EVENT_CHANGED:
        ask(w, REEVE_OP_EXISTS, ev->path, true, on_exists);
        add(w, ev->type, ev->path);
        break;
    case REEVE_EVENT_CREATED: // of the top only: others are followed once they exist
        add(w, ev->type, ev->path);
        follow_node(w, ev->path, true);
        break;
    default:
        // Both watches of a node tell of its end.
        if (json_object_get(w->known, ev->path)) {
            json_object_del(w->known, ev->path);
            add(w, REEVE_EVENT_DELETED, ev->path);
            if (top) {
                ask(w, REEVE_OP_EXISTS, ev->path, true, on_exists);
            }
        }
        break;
    }
}

// ---- life ---------------------------------------------------------------------------------------

static void on_event(struct cli *c, void *ctx, const struct cli_event *ev)
{
    (void)c;
    struct watching *w = ctx;
    bool mine = w->recursive ? path_is_in(ev->path, w->path) : strcmp(ev->path, w->path) == 0;
    if (!mine) {
        return;
    }
    if (ev->type == REEVE_EVENT_ENDED) {
        w->ended = true;
    } else if (w->one_shot) {
        on_one_shot(w, ev);
    } else {
        add(w, ev->type, ev->path);
    }
}

int watching_begin(struct cli *c, const char *path, bool recursive, watching_fn *fn, void *ctx,
                   struct watching **out)
{
    struct watching *w = cli_alloc(sizeof(*w));
    *w = (struct watching){
        .c = c, .path = cli_dup(path), .recursive = recursive, .fn = fn, .ctx = ctx};
    w->last = &w->first;
    w->known = json_object();
    *out = w;
    c->hook = on_event;
    c->hook_ctx = w;
    struct reeve_request q = {.op = REEVE_OP_ADD_WATCH,
                              .path = path,
                              .kind = recursive ? REEVE_WATCH_RECURSIVE : REEVE_WATCH_PERSISTENT};
    cli_watch(c, &q);
    struct reeve_result r;
    enum reeve_error e = cli_call(c, &q, &r);
    int code = CLI_OK;
    if (e == REEVE_UNIMPLEMENTED) {
        w->one_shot = true;
        follow_node(w, path, false);
    } else if (e != REEVE_OK) {
        code = cli_fail(c, &r);
    }
    reeve_result_fini(&r);
    return code;
}

int watching_step(struct watching *w)
{
    return w->code;
}

bool watching_ended(const struct watching *w)
{
    return w->ended;
}

static void unwatch(struct watching *w)
{
    const char *path;
    json_t *names;
    cli_unwatch(w->c, w->path);
    json_object_foreach(w->known, path, names)
    {
        cli_unwatch(w->c, path);
    }
}

void watching_end(struct watching **out)
{
    struct watching *w = *out;
    w->c->hook = NULL;
    cli_forget(w->c);
    if (w->c->zk) {
        unwatch(w);
    }
    while (w->first) {
        struct entry *e = w->first;
        w->first = e->next;
        free(e->path);
        free(e);
    }
    while (w->rearms) {
        rearm_free(w->rearms);
    }
    json_decref(w->known);
    free(w->path);
    free(w);
    *out = NULL;
}
