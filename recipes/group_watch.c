// SPDX-License-Identifier: Apache-2.0
#include "recipes/group_watch.h"

static void read_on(struct group_watch *w);
static void on_event(void *ctx, const struct reeve_event *ev);

static void end(struct group_watch *w, enum reeve_error e)
{
    if (!w->over && !kit_is_closing(w->o)) {
        w->over = true;
        w->fn(w->ctx, e, NULL);
    }
}

static void read_again(struct group_watch *w)
{
    if (w->asking) {
        w->dirty = true;
    } else if (!w->over && !w->o->closed) {
        read_on(w);
    }
}

static void on_again(struct kit_object *o, void *arg)
{
    (void)o;
    read_again(arg);
}

// A session that has ended is followed by another, and its first connection by a reading.
static void on_error(struct group_watch *w, enum reeve_error e)
{
    if (w->o->closed) {
        return;
    }
    if (kit_is_for_now(e) || kit_is_transient(e)) {
        (void)kit_start(w->o, &w->again, KIT_AGAIN_MS, on_again, w); // else the next connection
    } else if (e != REEVE_SESSION_EXPIRED) {
        end(w, e);
    }
}

// True: there is nothing to do but what the answer says.
static bool answered(struct group_watch *w)
{
    w->asking = false;
    if (w->over || w->o->closed) {
        return false;
    }
    if (w->dirty) {
        w->dirty = false;
        read_on(w);
        return false;
    }
    return true;
}

// ---- what is known ------------------------------------------------------------------------------

static void forget_late(struct group_watch *w)
{
    for (size_t i = 0; i < w->late_n; i++) {
        kit_free(w->o->zk, w->late[i]);
    }
    kit_free(w->o->zk, w->late);
    w->late = NULL;
    w->late_n = 0;
    w->late_all = false;
}

static void forget_data(struct group_watch *w, struct reeve_contender *c)
{
    if (c) {
        kit_free(w->o->zk, (void *)(uintptr_t)c->data);
        c->data = NULL;
    }
}

// The list itself stays: a reading may be looking into it.
static void forget_all(struct group_watch *w)
{
    for (size_t i = 0; w->known && i < w->known->n; i++) {
        forget_data(w, &w->known->list[i]);
    }
    w->late_all = true;
}

static bool add_late(struct group_watch *w, const char *name)
{
    if (w->late_n == GROUP_LATE_MAX) {
        return false;
    }
    char **late = reeve_realloc(w->o->zk, w->late, (w->late_n + 1) * sizeof(*late));
    char *copy = late ? kit_str(w->o->zk, name) : NULL;
    w->late = late ? late : w->late;
    if (copy) {
        w->late[w->late_n++] = copy;
    }
    return copy;
}

// Something happened to the node at path.
static void forget(struct group_watch *w, const char *path)
{
    const char *name = kit_name(path);
    size_t n = (size_t)(name - path);
    bool root = !w->path[1];
    if (n != (root ? 1 : strlen(w->path) + 1) || (!root && strncmp(path, w->path, n - 1) != 0)) {
        return; // not a member's
    }
    forget_data(w, lock_list_find(w->known, name));
    if (w->asking && !w->late_all) {
        w->late_all = !add_late(w, name);
    }
}

// A list that was read is the one that is known, but for whom the watch has named meanwhile.
static void keep(struct group_watch *w, struct reeve_contenders *list)
{
    reeve_contenders_free(&w->known);
    if (w->plain || w->late_all) {
        reeve_contenders_free(&list);
    }
    w->known = list;
    for (size_t i = 0; i < w->late_n; i++) {
        forget_data(w, lock_list_find(w->known, w->late[i]));
    }
}

// ---- reading ------------------------------------------------------------------------------------

static void on_list(struct kit_object *o, void *arg, enum reeve_error e,
                    struct reeve_contenders *list)
{
    struct group_watch *w = arg;
    if (!e && !w->dirty && !w->over && !o->closed && !kit_is_closing(o)) {
        w->fn(w->ctx, REEVE_OK, list);
    }
    if (!e) {
        keep(w, list);
    }
    if (answered(w) && e) {
        on_error(w, e);
    }
}

static void list(struct group_watch *w)
{
    forget_late(w);
    w->want.known = w->known;
    enum reeve_error e = lock_list_ask(w->o, &w->want, on_list, w);
    w->asking = !e;
    if (e) {
        on_error(w, e);
    }
}

static void on_watched(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct group_watch *w = arg;
    w->set = r->watching;
    w->plain |= r->error == REEVE_UNIMPLEMENTED;
    w->absent = w->plain && r->error == REEVE_NO_NODE; // nobody has joined yet
    if (!answered(w)) {
        return;
    }
    if (w->set) {
        list(w);
    } else if (w->plain && (r->error == REEVE_UNIMPLEMENTED || r->error == REEVE_NO_NODE)) {
        read_on(w);
    } else {
        on_error(w, r->error);
    }
}

// Without recursive watches EXISTS waits for a path that is not there.
static void set_watch(struct group_watch *w)
{
    enum reeve_op plain = w->absent ? REEVE_OP_EXISTS : REEVE_OP_CHILDREN;
    struct reeve_request q = {.op = w->plain ? plain : REEVE_OP_ADD_WATCH,
                              .path = w->path,
                              .kind = REEVE_WATCH_RECURSIVE,
                              .watch = {.fn = on_event, .ctx = w}};
    enum reeve_error e = kit_submit(w->o, &q, on_watched, w);
    w->asking = !e;
    if (e) {
        on_error(w, e);
    }
}

static void read_on(struct group_watch *w)
{
    if (w->set) {
        list(w);
    } else {
        set_watch(w);
    }
}

static void on_event(void *ctx, const struct reeve_event *ev)
{
    struct group_watch *w = ctx;
    if (ev->last) {
        w->set = false;
        forget_all(w);
    } else {
        forget(w, ev->path);
    }
    read_again(w);
}

void group_watch_init(struct group_watch *w, struct kit_object *o,
                      const struct lock_list_want *want, reeve_contenders_fn *fn, void *ctx)
{
    *w = (struct group_watch){.o = o, .path = want->path, .want = *want, .fn = fn, .ctx = ctx};
}

void group_watch_on_session(struct group_watch *w, const struct reeve_session *s)
{
    if (!w->o) {
        return;
    }
    if (s->state == REEVE_STATE_ENDED) {
        end(w, REEVE_CLOSED);
    } else if (s->state == REEVE_STATE_AUTH_FAILED) {
        end(w, REEVE_AUTH_FAILED);
    } else if (s->state == REEVE_STATE_CONNECTED || s->state == REEVE_STATE_READ_ONLY) {
        forget_all(w);
        read_again(w);
    }
}

void group_watch_fini(struct group_watch *w)
{
    if (w->o) {
        reeve_contenders_free(&w->known);
        forget_late(w);
    }
}

void group_watch_close(struct group_watch *w)
{
    if (w->o) {
        w->over = true;
        kit_cancel(&w->again);
        reeve_unwatch(w->o->zk, w->path, on_event, w);
    }
}
