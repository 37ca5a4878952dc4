// SPDX-License-Identifier: Apache-2.0
#include "recipes/discovery_parents.h"

#include <string.h>

struct parents {
    kit_done_fn *done;
    void *arg;
    size_t at; // how much of path is being made
    char path[];
};

static void on_made(struct kit_object *o, void *arg, const struct reeve_result *r);

static enum reeve_error make(struct kit_object *o, struct parents *p)
{
    p->path[p->at] = '\0';
    struct reeve_request q = {.op = REEVE_OP_CREATE, .path = p->path, .data = ""};
    enum reeve_error e = kit_submit(o, &q, on_made, p);
    p->path[p->at] = '/';
    return e;
}

static void finish(struct kit_object *o, struct parents *p, enum reeve_error e)
{
    p->done(o, p->arg, e);
    kit_free(o->zk, p);
}

static void on_made(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct parents *p = arg;
    if (r->error && r->error != REEVE_NODE_EXISTS && !kit_is_transient(r->error)) {
        finish(o, p, r->error);
        return;
    }
    if (!kit_is_transient(r->error)) {
        p->at += 1 + strcspn(p->path + p->at + 1, "/");
    }
    enum reeve_error e = p->path[p->at] ? make(o, p) : REEVE_OK;
    if (e || !p->path[p->at]) {
        finish(o, p, e);
    }
}

enum reeve_error parents_make(struct kit_object *o, const char *path, kit_done_fn *done, void *arg)
{
    size_t n = strlen(path);
    struct parents *p = kit_alloc(o->zk, sizeof(*p) + n + 1);
    if (!p) {
        return REEVE_NO_MEMORY;
    }
    *p = (struct parents){.done = done, .arg = arg};
    memcpy(p->path, path, n);
    p->at = 1 + strcspn(path + 1, "/");
    enum reeve_error e = p->path[p->at] ? make(o, p) : REEVE_NO_NODE; // the root is always there
    if (e) {
        kit_free(o->zk, p);
    }
    return e;
}
