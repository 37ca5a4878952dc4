// SPDX-License-Identifier: Apache-2.0
#include "recipes/discovery_keep.h"

#include <string.h>

#include "recipes/discovery_parents.h"

enum { REFUSED_MS = 1000 }; // before what a server with a full disk refused is tried again

static void step(struct keep *k);
static void on_event(void *ctx, const struct reeve_event *ev);

enum reeve_error keep_init(struct keep *k, struct kit_object *o, const char *path, unsigned flags,
                           keep_fn *fn)
{
    *k = (struct keep){.o = o, .fn = fn, .flags = flags, .lost = -1, .path = kit_str(o->zk, path)};
    return k->path ? REEVE_OK : REEVE_NO_MEMORY;
}

void keep_fini(struct keep *k)
{
    if (k->o) {
        kit_free(k->o->zk, k->path);
        kit_free(k->o->zk, k->data);
    }
    *k = (struct keep){0};
}

enum reeve_error keep_set(struct keep *k, const void *data, size_t n)
{
    void *copy = kit_bytes(k->o->zk, data, n);
    if (!copy) {
        return REEVE_NO_MEMORY;
    }
    kit_free(k->o->zk, k->data);
    k->data = copy;
    k->data_len = n;
    k->dirty = true;
    k->told = false;
    if (k->wanted) {
        k->failed = false;
        step(k);
    }
    return REEVE_OK;
}

void keep_start(struct keep *k)
{
    k->wanted = true;
    k->failed = false;
    step(k);
}

static void unwatch(struct keep *k)
{
    if (k->watching) {
        k->watching = false;
        reeve_unwatch(k->o->zk, k->path, on_event, k);
    }
}

// Nothing may be touched after it.
static void gone(struct keep *k, enum reeve_error e)
{
    struct kit_object *o = k->o;
    k->stopping = false;
    kit_cancel(&k->again);
    unwatch(k);
    k->fn(o, k, KEEP_GONE, e);
    kit_drop(o);
}

// Its object lives until it is gone: what waits for the next session is nobody else's.
void keep_stop(struct keep *k)
{
    if (!k->stopping) {
        kit_hold(k->o);
    }
    k->wanted = false;
    k->stopping = true;
    k->failed = false;
    bool replaceable = k->flags & KEEP_REPLACE && k->flags & KEEP_EPHEMERAL;
    if (replaceable && k->know == KEEP_OURS) {
        k->know = KEEP_UNSURE; // somebody may have replaced it by his, which must stay
    }
    step(k);
}

// ---- what goes wrong ----------------------------------------------------------------------------

static void try_again(struct kit_object *o, void *arg)
{
    (void)o;
    struct keep *k = arg;
    k->failed = false;
    step(k);
}

// The client refuses calls from the moment on that it tells of the last session's end; otherwise
// this is one read for nothing with the next one.
enum reeve_error keep_why_final(struct reeve *zk)
{
    struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = "/"};
    enum reeve_error e = reeve_submit(zk, &q, NULL, NULL);
    return kit_is_over(e) ? e : REEVE_OK;
}

// Without another session nothing can be made, or deleted. The last thing that is done with k.
static void end_if_final(struct keep *k)
{
    enum reeve_error before = k->final;
    k->final = before ? before : keep_why_final(k->o->zk);
    if (k->final && !before && k->wanted) {
        k->fn(k->o, k, KEEP_FAILED, k->final);
    } else {
        step(k);
    }
}

// The answer to a request was an error that says nothing about the node.
static void fail(struct keep *k, enum reeve_error e)
{
    if (kit_is_over(e)) {
        // Perhaps there is a new session already: then it is simply asked again.
        struct reeve_session s;
        reeve_get_session(k->o->zk, &s);
        k->over = e == REEVE_CLOSED || s.state != REEVE_STATE_CONNECTED;
        k->know = k->flags & KEEP_EPHEMERAL ? KEEP_NOTHING : KEEP_UNSURE;
    } else {
        k->failed = true;
    }
    if (k->o->ended || e == REEVE_CLOSED) {
        if (k->stopping) {
            gone(k, REEVE_CLOSED);
        }
        return;
    }
    if (k->over) {
        end_if_final(k);
        return;
    }
    if (!k->failed) {
        step(k);
        return;
    }
    // Without memory, or on a server with a full disk, it is tried again; no more is lost than
    // time.
    if (kit_is_for_now(e)) {
        int64_t ms = e == REEVE_NO_MEMORY ? KIT_AGAIN_MS : REFUSED_MS;
        (void)kit_start(k->o, &k->again, ms, try_again, k);
    }
    if (k->wanted) {
        k->fn(k->o, k, KEEP_FAILED, e);
    } else if (k->stopping && !kit_is_for_now(e)) {
        gone(k, e);
    }
}

static void submit(struct keep *k, const struct reeve_request *q, kit_result_fn *fn)
{
    k->busy = true;
    enum reeve_error e = kit_submit(k->o, q, fn, k);
    if (e) {
        k->busy = false;
        fail(k, e);
    }
}

// ---- making -------------------------------------------------------------------------------------

static void on_parents(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    struct keep *k = arg;
    k->busy = false;
    if (e) {
        fail(k, e);
    } else {
        step(k);
    }
}

static enum reeve_error ask_for_parents(struct keep *k)
{
    if (k->flags & KEEP_PLAIN_PARENTS) {
        return parents_make(k->o, k->path, on_parents, k);
    }
    size_t n = (size_t)(kit_name(k->path) - k->path) - 1;
    k->path[n] = '\0';
    enum reeve_error e = kit_ensure(k->o, k->path, on_parents, k);
    k->path[n] = '/';
    return e;
}

static void make_parents(struct keep *k)
{
    k->busy = true;
    enum reeve_error e = ask_for_parents(k);
    if (e) {
        k->busy = false;
        fail(k, e);
    }
}

static void note_version(struct keep *k, int32_t version)
{
    k->version = version;
    k->dirty = k->dirty || version == k->lost;
}

static void on_created(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct keep *k = arg;
    k->busy = false;
    if ((!kit_is_over(r->error) || !(k->flags & KEEP_EPHEMERAL)) &&
        (r->error ? r->maybe_done || r->error == REEVE_NO_MEMORY : !r->has_stat)) {
        k->maybe_after = k->maybe ? k->maybe_after : k->before;
        k->maybe = true;
    }
    if (r->error == REEVE_OK) {
        k->czxid = r->has_stat ? r->stat.czxid : 0;
        k->know = k->czxid ? KEEP_OURS : KEEP_UNSURE; // a server that does not tell is asked
        note_version(k, r->stat.version);
    } else if (r->error == REEVE_NO_NODE && kit_name(k->path) > k->path + 1) {
        make_parents(k);
        return;
    } else if (r->error == REEVE_NODE_EXISTS || kit_is_transient(r->error)) {
        k->know = KEEP_UNSURE;
    } else {
        fail(k, r->error);
        return;
    }
    step(k);
}

static uint32_t sum_of(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint32_t sum = 2166136261u; // FNV-1a
    for (size_t i = 0; i < n; i++) {
        sum = (sum ^ p[i]) * 16777619u;
    }
    return sum;
}

static void create(struct keep *k)
{
    struct reeve_session s;
    reeve_get_session(k->o->zk, &s);
    k->before = s.zxid;
    k->sum = sum_of(k->data, k->data_len);
    struct reeve_request q = {.op = REEVE_OP_CREATE,
                              .path = k->path,
                              .data = k->data,
                              .data_len = k->data_len,
                              .flags = k->flags & KEEP_EPHEMERAL ? REEVE_EPHEMERAL : 0};
    k->dirty = false;
    submit(k, &q, on_created);
}

static void on_set(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct keep *k = arg;
    k->busy = false;
    if (r->error && (r->maybe_done || r->error == REEVE_NO_MEMORY)) {
        k->lost = k->version;
    }
    if (r->error == REEVE_OK) {
        note_version(k, r->stat.version);
    } else if (r->error == REEVE_NO_NODE || r->error == REEVE_BAD_VERSION ||
               kit_is_transient(r->error)) {
        k->know = KEEP_UNSURE;
    } else {
        k->dirty = true;
        fail(k, r->error);
        return;
    }
    step(k);
}

static void write_data(struct keep *k)
{
    struct reeve_request q = {.op = REEVE_OP_SET,
                              .path = k->path,
                              .data = k->data,
                              .data_len = k->data_len,
                              .version = k->version};
    k->dirty = false;
    submit(k, &q, on_set);
}

static void on_deleted(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct keep *k = arg;
    k->busy = false;
    if (r->error == REEVE_OK || r->error == REEVE_NO_NODE) {
        k->know = KEEP_NOTHING;
    } else if (kit_is_transient(r->error) || r->error == REEVE_BAD_VERSION) {
        k->know = KEEP_UNSURE;
    } else {
        fail(k, r->error);
        return;
    }
    step(k);
}

static void delete_node(struct keep *k)
{
    struct reeve_request q = {.op = REEVE_OP_DELETE, .path = k->path, .version = k->version};
    submit(k, &q, on_deleted);
}

// ---- looking ------------------------------------------------------------------------------------

// Whether it is the very node that a create of ours was answered with, or one that a create without
// an answer may have made, and nobody else here who keeps a node at this path.
static bool made_it(const struct keep *k, const struct reeve_result *r)
{
    return r->stat.czxid == k->czxid ||
           (k->maybe && r->stat.czxid > k->maybe_after && sum_of(r->data, r->data_len) == k->sum);
}

static void judge(struct keep *k, const struct reeve_result *r)
{
    struct reeve_session s;
    reeve_get_session(k->o->zk, &s);
    int64_t owner = r->stat.ephemeral_owner;
    bool same = r->data_len == k->data_len &&
                (r->data_len == 0 || memcmp(r->data, k->data, r->data_len) == 0);
    bool ours = k->flags & KEEP_EPHEMERAL ? owner == s.id && owner != 0 : owner == 0;
    bool replaces = k->flags & KEEP_EPHEMERAL && k->flags & KEEP_REPLACE;
    if (k->flags & KEEP_MINE || replaces || !k->wanted) {
        ours = ours && made_it(k, r);
    }
    k->know = ours ? KEEP_OURS : KEEP_OTHERS_NODE;
    k->version = r->stat.version;
    if (ours) {
        k->czxid = r->stat.czxid;
        k->dirty = !same;
        note_version(k, r->stat.version);
    }
}

static void lose(struct keep *k);

static void on_seen(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct keep *k = arg;
    int64_t before = k->czxid;
    k->busy = false;
    k->watching = k->watching || r->watching;
    if (r->error == REEVE_OK) {
        judge(k, r);
    } else if (r->error == REEVE_NO_NODE) {
        k->know = KEEP_NOTHING;
    } else if (!kit_is_transient(r->error)) {
        fail(k, r->error);
        return;
    }
    bool unseen = k->know == KEEP_NOTHING || k->know == KEEP_OTHERS_NODE || k->czxid != before;
    if (unseen && k->wanted && k->told && k->flags & KEEP_GUARD) { // hidden by a change before it
        lose(k);
        return;
    }
    if (k->know == KEEP_OTHERS_NODE && k->wanted && !(k->flags & KEEP_REPLACE)) {
        k->fn(k->o, k, KEEP_OTHERS, REEVE_OK);
        return;
    }
    step(k);
}

static void on_synced(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct keep *k = arg;
    k->busy = false;
    if (kit_is_transient(r->error)) {
        step(k);
        return;
    }
    if (r->error) {
        fail(k, r->error);
        return;
    }
    struct reeve_request q = {.op = REEVE_OP_GET, .path = k->path};
    bool wait = !(k->flags & KEEP_REPLACE) || k->flags & KEEP_GUARD;
    if (k->wanted && wait) {
        q.watch = (struct reeve_watch){on_event, k};
    }
    submit(k, &q, on_seen);
}

static void look(struct keep *k)
{
    struct reeve_request q = {.op = REEVE_OP_SYNC, .path = k->path};
    submit(k, &q, on_synced);
}

// False: it may be gone by now.
static bool tell_lost(struct keep *k)
{
    bool told = k->told;
    bool once = k->flags & KEEP_ONCE;
    k->told = false;
    if (once && k->wanted) {
        k->wanted = false;
    }
    if (told) {
        k->fn(k->o, k, KEEP_LOST, REEVE_OK);
    }
    return !once;
}

static void lose(struct keep *k)
{
    if (tell_lost(k)) {
        step(k);
    }
}

static void on_event(void *ctx, const struct reeve_event *ev)
{
    struct keep *k = ctx;
    k->watching = !ev->last;
    if (ev->type == REEVE_EVENT_ENDED && ev->why) {
        return; // the session's end, which is told in its own way
    }
    k->know = KEEP_UNSURE;
    if (ev->type == REEVE_EVENT_DELETED && k->wanted) {
        k->know = KEEP_NOTHING;
        if (k->told) {
            lose(k);
            return;
        }
    }
    step(k);
}

// ---- bringing together --------------------------------------------------------------------------

static void step_wanted(struct keep *k)
{
    switch (k->know) {
    case KEEP_NOTHING:
        create(k);
        break;
    case KEEP_UNSURE:
        look(k);
        break;
    case KEEP_OTHERS_NODE:
        if (k->flags & KEEP_REPLACE) {
            delete_node(k);
        } else if (!k->watching) {
            look(k);
        }
        break;
    case KEEP_OURS:
        if (k->dirty) {
            write_data(k);
        } else if (k->flags & KEEP_GUARD && !k->watching) {
            look(k);
        } else if (!k->told) {
            k->told = true;
            k->fn(k->o, k, KEEP_THERE, REEVE_OK);
        }
        break;
    }
}

static void step(struct keep *k)
{
    if (k->busy || k->failed) {
        return;
    }
    if (k->wanted) {
        if (!k->over) {
            step_wanted(k);
        }
    } else if (k->stopping) {
        if (k->o->ended) {
            gone(k, REEVE_CLOSED);
        } else if (k->know == KEEP_NOTHING || k->know == KEEP_OTHERS_NODE) {
            gone(k, REEVE_OK);
        } else if (k->over) {
            if (k->flags & KEEP_EPHEMERAL) {
                gone(k, REEVE_OK); // it went with its session
            } else if (k->final) {
                gone(k, k->final);
            }
        } else if (k->know == KEEP_UNSURE) {
            look(k);
        } else {
            delete_node(k);
        }
    }
}

static void on_lost(struct keep *k)
{
    bool there = true;
    k->over = true;
    k->maybe = k->maybe && !(k->flags & KEEP_EPHEMERAL); // such a node has gone with its session
    if (k->flags & KEEP_EPHEMERAL) {
        k->know = KEEP_NOTHING;
        there = tell_lost(k);
    } else if (k->know != KEEP_NOTHING) {
        k->know = KEEP_UNSURE;
    }
    if (there) {
        end_if_final(k);
    }
}

void keep_on_session(struct keep *k, const struct reeve_session *s)
{
    switch (s->state) {
    case REEVE_STATE_CONNECTED:
        k->over = false;
        k->failed = false;
        step(k);
        break;
    case REEVE_STATE_LOST:
    case REEVE_STATE_AUTH_FAILED:
        on_lost(k);
        break;
    case REEVE_STATE_ENDED:
        k->over = true;
        if (k->stopping && !k->busy) {
            gone(k, REEVE_CLOSED);
        }
        break;
    case REEVE_STATE_CONNECTING:
    case REEVE_STATE_READ_ONLY:
    case REEVE_STATE_SUSPENDED:
        break;
    }
}
