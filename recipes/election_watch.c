// SPDX-License-Identifier: Apache-2.0
//
// struct reeve_observer: who leads, as a loop of two requests: the names (look), and the data of
// the first with a watch on it (read). What changes meanwhile is seen by the next round.
//
//     look --children--> nobody: watch the path, or that it comes; tell NULL
//                   \--> read --> tell --its node changes--> read
//                                      --its node goes--> look
//
// Watches end with the session; their end is one more reason to look.
#include <string.h>

#include "recipes/election.h"
#include "recipes/kit.h"

struct reeve_observer {
    struct kit_object o;
    char *path;
    enum reeve_election_layout layout;
    reeve_observer_fn *fn;
    void *ctx;
    char *first;     // whose node is read and watched
    int64_t told;    // the mzxid of what was told last, 0: that nobody leads, -1: nothing yet
    bool asking;     // a request is under way
    bool dirty;      // look again when it is answered
    bool watch_path; // the next look sets a watch: there was nobody
    bool over;       // the last word was said
    struct kit_timer again;
};

static void look(struct reeve_observer *ob);
static void on_event(struct reeve_observer *ob);
static void on_path(void *ctx, const struct reeve_event *ev);
static void on_first(void *ctx, const struct reeve_event *ev);

// ---- telling ------------------------------------------------------------------------------------

static void end(struct reeve_observer *ob, enum reeve_error e)
{
    if (!ob->over && !kit_is_closing(&ob->o)) {
        ob->over = true;
        ob->fn(ob->ctx, e, NULL);
    }
}

static void tell(struct reeve_observer *ob, const struct reeve_result *r)
{
    int64_t version = r ? r->stat.mzxid : 0;
    if (ob->over || version == ob->told || kit_is_closing(&ob->o)) {
        return;
    }
    ob->told = version;
    if (!r) {
        ob->fn(ob->ctx, REEVE_OK, NULL);
        return;
    }
    struct reeve_contender leader = {.name = kit_name(ob->first),
                                     .data = r->data ? r->data : "",
                                     .data_len = r->data_len,
                                     .token = r->stat.czxid,
                                     .session = r->stat.ephemeral_owner};
    ob->fn(ob->ctx, REEVE_OK, &leader);
}

// ---- asking -------------------------------------------------------------------------------------

static void on_again(struct kit_object *o, void *arg)
{
    (void)arg;
    on_event((struct reeve_observer *)o);
}

static void on_error(struct reeve_observer *ob, enum reeve_error e)
{
    if (ob->o.closed) {
        return;
    }
    if (kit_is_for_now(e)) {
        e = kit_start(&ob->o, &ob->again, KIT_AGAIN_MS, on_again, NULL);
    }
    if (e) {
        end(ob, e);
    }
}

static void ask(struct reeve_observer *ob, enum reeve_op op, const char *path,
                reeve_watch_fn *watch, kit_result_fn *fn)
{
    struct reeve_request q = {.op = op, .path = path, .watch = {.fn = watch, .ctx = ob}};
    enum reeve_error e = kit_submit(&ob->o, &q, fn, NULL);
    ob->asking = !e;
    if (e) {
        on_error(ob, e);
    }
}

// True: the answer is of use. A session that has ended is followed by another, in which to look.
static bool answered(struct reeve_observer *ob, const struct reeve_result *r)
{
    ob->asking = false;
    if (ob->over || ob->o.closed) {
        return false;
    }
    bool again = kit_is_transient(r->error) || r->error == REEVE_SESSION_EXPIRED;
    if (ob->dirty || again) {
        ob->dirty = false;
        look(ob);
        return false;
    }
    return true;
}

static void on_event(struct reeve_observer *ob)
{
    if (ob->asking) {
        ob->dirty = true;
    } else if (!ob->over && !ob->o.closed) {
        look(ob);
    }
}

// ---- the leader's node --------------------------------------------------------------------------

static void on_read(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)arg;
    struct reeve_observer *ob = (struct reeve_observer *)o;
    if (!answered(ob, r)) {
        return;
    }
    if (r->error == REEVE_OK) {
        tell(ob, r);
    } else if (r->error == REEVE_NO_NODE) {
        look(ob);
    } else {
        on_error(ob, r->error);
    }
}

static void on_first(void *ctx, const struct reeve_event *ev)
{
    struct reeve_observer *ob = ctx;
    bool changed = ev->type == REEVE_EVENT_CHANGED && !ob->asking && !ob->over && !ob->o.closed;
    if (changed) {
        ask(ob, REEVE_OP_GET, ob->first, on_first, on_read);
    } else {
        on_event(ob);
    }
}

static void forget_first(struct reeve_observer *ob)
{
    if (ob->first) {
        reeve_unwatch(ob->o.zk, ob->first, on_first, ob);
        kit_free(ob->o.zk, ob->first);
        ob->first = NULL;
    }
}

static void read_first(struct reeve_observer *ob, const char *name)
{
    if (!ob->first || strcmp(kit_name(ob->first), name) != 0) {
        forget_first(ob);
        ob->first = kit_join(ob->o.zk, ob->path, name);
    }
    if (ob->first) {
        ask(ob, REEVE_OP_GET, ob->first, on_first, on_read);
    } else {
        on_error(ob, REEVE_NO_MEMORY);
    }
}

// ---- the names ----------------------------------------------------------------------------------

static const char *oldest(const struct reeve_observer *ob, const struct reeve_result *r)
{
    const char *first = NULL;
    int32_t first_seq = 0;
    for (size_t i = 0; i < r->children_n; i++) {
        int32_t seq;
        if (kit_seq(r->children[i], election_markers[ob->layout], &seq) &&
            (!first || kit_seq_cmp(seq, first_seq) < 0)) {
            first = r->children[i];
            first_seq = seq;
        }
    }
    return first;
}

// The path was not there, and a watch waits for it now; unless it has come meanwhile.
static void on_exists(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)arg;
    struct reeve_observer *ob = (struct reeve_observer *)o;
    if (!answered(ob, r)) {
        return;
    }
    if (r->error == REEVE_OK) {
        look(ob);
    } else if (r->error == REEVE_NO_NODE) {
        tell(ob, NULL);
    } else {
        on_error(ob, r->error);
    }
}

static void on_children(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)arg;
    struct reeve_observer *ob = (struct reeve_observer *)o;
    if (!answered(ob, r)) {
        return;
    }
    const char *first = r->error ? NULL : oldest(ob, r);
    bool watched = ob->watch_path;
    ob->watch_path = false;
    if (first) {
        read_first(ob, first);
    } else if (r->error == REEVE_NO_NODE) {
        forget_first(ob);
        ask(ob, REEVE_OP_EXISTS, ob->path, on_path, on_exists);
    } else if (r->error) {
        on_error(ob, r->error);
    } else if (watched) {
        forget_first(ob);
        tell(ob, NULL);
    } else {
        ob->watch_path = true;
        look(ob);
    }
}

static void look(struct reeve_observer *ob)
{
    ask(ob, REEVE_OP_CHILDREN, ob->path, ob->watch_path ? on_path : NULL, on_children);
}

static void on_path(void *ctx, const struct reeve_event *ev)
{
    (void)ev;
    on_event(ctx);
}

// ---- life ---------------------------------------------------------------------------------------

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    struct reeve_observer *ob = (struct reeve_observer *)o;
    if (s->state == REEVE_STATE_ENDED) {
        end(ob, REEVE_CLOSED);
    } else if (s->state == REEVE_STATE_AUTH_FAILED) {
        end(ob, REEVE_AUTH_FAILED);
    }
}

static void on_close(struct kit_object *o)
{
    struct reeve_observer *ob = (struct reeve_observer *)o;
    ob->over = true;
    kit_cancel(&ob->again);
    forget_first(ob);
    reeve_unwatch(o->zk, ob->path, on_path, ob);
}

static void fini(struct kit_object *o)
{
    struct reeve_observer *ob = (struct reeve_observer *)o;
    kit_free(o->zk, ob->first);
    kit_free(o->zk, ob->path);
}

static const struct kit_class class = {sizeof(struct reeve_observer), on_session, on_close, fini};

static void on_begin(struct kit_object *o, void *arg)
{
    (void)arg;
    if (!o->closed) {
        look((struct reeve_observer *)o);
    }
}

enum reeve_error reeve_election_observe(struct reeve_observer **out, struct reeve *zk,
                                        const char *path, enum reeve_election_layout layout,
                                        reeve_observer_fn *fn, void *ctx)
{
    *out = NULL;
    if (!kit_path_ok(path) || layout > REEVE_ELECTION_KAZOO || !fn) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &class, &object);
    if (e) {
        return e;
    }
    struct reeve_observer *ob = (struct reeve_observer *)object;
    ob->path = kit_str(zk, path);
    ob->layout = layout;
    ob->fn = fn;
    ob->ctx = ctx;
    ob->told = -1;
    e = ob->path ? kit_open(object) : REEVE_NO_MEMORY;
    if (e) {
        kit_undo(object);
        return e;
    }
    e = kit_send(object, on_begin, NULL);
    if (e) {
        kit_close(object);
        return e;
    }
    *out = ob;
    return REEVE_OK;
}

void reeve_observer_free(struct reeve_observer **obp)
{
    struct reeve_observer *ob = *obp;
    *obp = NULL;
    if (ob) {
        kit_close(&ob->o);
    }
}
