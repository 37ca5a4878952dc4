// SPDX-License-Identifier: Apache-2.0
//
// A shared value: a cache of one node shows it, a ledger writes it. The only thing of its own is
// that the node is made when there is none: in each session, and when a set finds that it has gone.
// Such sets wait for it, and those behind them, so that all are done in their order.

#include <string.h>

#include "recipes/ledger.h"
#include "reeve/cache.h"
#include "reeve/counter.h"

struct value_set {
    struct ledger_write write;
    struct value_set *next; // of those that wait for the node
    struct reeve_request q;
    int32_t version; // asked for
    bool waited;
    reeve_value_done_fn *done;
    void *ctx;
    unsigned char data[];
};

struct reeve_value {
    struct kit_object o;
    struct reeve_value_options opt;
    char *path, *parent;
    void *seed;
    struct ledger ledger;
    struct reeve_cache *cache;
    bool making;
    struct value_set *waiting; // for the node
    struct kit_timer again;
    bool lost_sight; // the cache has failed
    struct kit_timer look;
};

enum { LOOK_MS = 1000 }; // before a cache that has failed is tried again

static void make_node(struct reeve_value *v);
static void end_set(struct reeve_value *v, struct value_set *set, enum reeve_error e,
                    int32_t version);

// ---- the node -----------------------------------------------------------------------------------

static void on_again(struct kit_object *o, void *arg)
{
    (void)arg;
    make_node((struct reeve_value *)o);
}

// The node is there (again), or cannot be made.
static void go_on(struct reeve_value *v, enum reeve_error e)
{
    struct value_set *next;
    struct value_set *set = v->waiting;
    v->waiting = NULL;
    for (; set; set = next) {
        next = set->next;
        if (e) {
            end_set(v, set, e, -1);
        } else {
            ledger_write(&v->ledger, &set->write);
        }
    }
}

// A new session tries again as well, so a timer without memory is no end.
static void made(struct reeve_value *v, enum reeve_error e)
{
    bool again = kit_is_transient(e) || kit_is_for_now(e) || e == REEVE_NO_NODE;
    v->making = false;
    if (v->o.closed) {
        return;
    }
    if (again) {
        (void)kit_start(&v->o, &v->again, KIT_AGAIN_MS, on_again, NULL);
    }
    if (!kit_is_transient(e)) {
        go_on(v, e == REEVE_NODE_EXISTS ? REEVE_OK : e);
    }
}

static void on_made(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)arg;
    made((struct reeve_value *)o, r->error);
}

static void on_parents(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)arg;
    struct reeve_value *v = (struct reeve_value *)o;
    if (!e && !o->closed) {
        struct reeve_request q = {
            .op = REEVE_OP_CREATE, .path = v->path, .data = v->seed, .data_len = v->opt.seed_len};
        e = kit_submit(o, &q, on_made, NULL);
        if (!e) {
            return;
        }
    }
    made(v, e);
}

static void make_node(struct reeve_value *v)
{
    if (v->making || v->o.closed) {
        return;
    }
    v->making = true;
    enum reeve_error e = kit_ensure(&v->o, v->parent, on_parents, NULL);
    if (e) {
        made(v, e);
    }
}

static void look_again(struct kit_object *o, void *arg)
{
    (void)arg;
    struct reeve_value *v = (struct reeve_value *)o;
    if (v->lost_sight && v->cache && !o->closed && !o->ended) {
        v->lost_sight = false;
        if (reeve_cache_resync(v->cache) == REEVE_NO_MEMORY) {
            v->lost_sight = true;
            (void)kit_start(o, &v->look, LOOK_MS, look_again, NULL); // else the next set
        }
    }
}

static void on_event(void *ctx, const struct reeve_cache_event *ev)
{
    struct reeve_value *v = ctx;
    if (v->o.closed || v->o.ended) {
        return;
    }
    if (ev->type == REEVE_CACHE_FAILED && !kit_is_over(ev->error)) {
        v->lost_sight = true;
        (void)kit_start(&v->o, &v->look, LOOK_MS, look_again, NULL);
    }
    if (!v->opt.changed || kit_is_closing(&v->o)) {
        return;
    }
    if (ev->type == REEVE_CACHE_CREATED || ev->type == REEVE_CACHE_CHANGED) {
        v->opt.changed(v->opt.ctx, ev->node->data, ev->node->data_len, ev->node->stat.version);
    } else if (ev->type == REEVE_CACHE_DELETED) {
        v->opt.changed(v->opt.ctx, NULL, 0, -1);
    }
}

// ---- life ---------------------------------------------------------------------------------------

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    struct reeve_value *v = (struct reeve_value *)o;
    ledger_on_session(&v->ledger, s);
    if (s->state == REEVE_STATE_CONNECTED) {
        make_node(v);
        look_again(o, NULL);
    }
}

static void on_close(struct kit_object *o)
{
    struct reeve_value *v = (struct reeve_value *)o;
    if (!o->ended) { // else the cache has gone by itself
        reeve_cache_free(&v->cache);
    }
    kit_cancel(&v->again);
    kit_cancel(&v->look);
    go_on(v, kit_why_closed(o));
    ledger_close(&v->ledger);
}

static void fini(struct kit_object *o)
{
    struct reeve_value *v = (struct reeve_value *)o;
    ledger_fini(&v->ledger);
    kit_free(o->zk, v->path);
    kit_free(o->zk, v->parent);
    kit_free(o->zk, v->seed);
}

static const struct kit_class value_class = {
    .size = sizeof(struct reeve_value),
    .on_session = on_session,
    .on_close = on_close,
    .fini = fini,
};

// Members that need memory. fini() frees what there is.
static enum reeve_error make(struct reeve_value *v, const char *path)
{
    struct reeve *zk = v->o.zk;
    size_t n = (size_t)(strrchr(path, '/') - path);
    v->path = kit_str(zk, path);
    v->parent = kit_bytes(zk, path, n ? n : 1);
    v->seed = kit_bytes(zk, v->opt.seed, v->opt.seed_len);
    ledger_init(&v->ledger, &v->o, v->path);
    return v->path && v->parent && v->seed ? REEVE_OK : REEVE_NO_MEMORY;
}

enum reeve_error reeve_value_new(struct reeve_value **vp, struct reeve *zk, const char *path,
                                 const struct reeve_value_options *o)
{
    *vp = NULL;
    if (!path || !kit_path_ok(path) || !path[1] || (o && !o->seed && o->seed_len)) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &value_class, &object);
    if (e) {
        return e;
    }
    struct reeve_value *v = (struct reeve_value *)object;
    v->opt = o ? *o : (struct reeve_value_options){0};
    e = make(v, path);
    e = e ? e : kit_set_acl(object, v->opt.acl, v->opt.acl_n);
    e = e ? e : kit_open(object);
    if (e) {
        kit_undo(object);
        return e;
    }
    struct reeve_cache_options options = {.one_node = true, .event = on_event, .ctx = v};
    e = reeve_cache_new(&v->cache, zk, path, &options);
    if (e) {
        kit_close(object);
        return e;
    }
    *vp = v;
    return REEVE_OK;
}

void reeve_value_free(struct reeve_value **vp)
{
    struct reeve_value *v = *vp;
    *vp = NULL;
    if (v) {
        kit_close(&v->o);
    }
}

// ---- calls --------------------------------------------------------------------------------------

enum reeve_error reeve_value_get(struct reeve_value *v, struct reeve_result *r)
{
    return reeve_cache_get(v->cache, v->path, r);
}

static void end_set(struct reeve_value *v, struct value_set *set, enum reeve_error e,
                    int32_t version)
{
    set->done(set->ctx, e, version);
    kit_free(v->o.zk, set);
}

static void wait_for_node(struct reeve_value *v, struct value_set *set)
{
    struct value_set **end = &v->waiting;
    while (*end) {
        end = &(*end)->next;
    }
    *end = set;
    set->next = NULL;
    make_node(v);
}

static void on_set(struct kit_object *o, struct ledger_write *w, enum reeve_error e,
                   const struct reeve_result *parts)
{
    struct reeve_value *v = (struct reeve_value *)o;
    struct value_set *set = (struct value_set *)w;
    int32_t version = -1;
    if (e == REEVE_NO_NODE && !set->waited && !o->closed) {
        set->waited = true;
        wait_for_node(v, set);
        return;
    }
    if (!e && parts) {
        version = parts[0].stat.version;
    } else if (!e && set->version != REEVE_ANY_VERSION) {
        version = set->version + 1;
    }
    end_set(v, set, e, version);
}

static void take_set(struct kit_object *o, void *arg)
{
    struct reeve_value *v = (struct reeve_value *)o;
    struct value_set *set = arg;
    if (o->closed) {
        end_set(v, set, kit_why_closed(o), -1);
    } else if (v->waiting) {
        wait_for_node(v, set);
    } else {
        look_again(o, NULL);
        ledger_write(&v->ledger, &set->write);
    }
}

enum reeve_error reeve_value_set_async(struct reeve_value *v, const void *data, size_t data_len,
                                       int32_t version, reeve_value_done_fn *done, void *ctx)
{
    struct value_set *set = kit_alloc(v->o.zk, sizeof(*set) + data_len);
    if (!set) {
        return REEVE_NO_MEMORY;
    }
    set->version = version;
    set->done = done;
    set->ctx = ctx;
    if (data_len) {
        memcpy(set->data, data, data_len);
    }
    set->q = (struct reeve_request){.op = REEVE_OP_SET,
                                    .path = v->path,
                                    .data = set->data,
                                    .data_len = data_len,
                                    .version = version};
    set->write = (struct ledger_write){.parts = &set->q, .parts_n = 1, .done = on_set};
    enum reeve_error e = kit_send(&v->o, take_set, set);
    if (e) {
        kit_free(v->o.zk, set);
    }
    return e;
}

static void on_set_done(void *ctx, enum reeve_error e, int32_t version)
{
    (void)version;
    kit_wait_done(ctx, e);
}

enum reeve_error reeve_value_set(struct reeve_value *v, const void *data, size_t data_len,
                                 int32_t version)
{
    struct kit_wait w;
    enum reeve_error e = kit_wait_new(v->o.zk, &w);
    return e ? e
             : kit_wait_end(&w, reeve_value_set_async(v, data, data_len, version, on_set_done, &w));
}
