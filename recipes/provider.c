// SPDX-License-Identifier: Apache-2.0
//
// One service as its clients see it: kids (discovery_kids.h) follow the instances on the loop's
// thread, and a pick (provider_pick.h) chooses among them on any thread.
//
// This is the one recipe with a lock. Its callers pick an instance for every request they make, and
// a message to the loop and back would cost a hundred times the choice. The lock guards `pick`,
// `read`, `stale` and `why`; it is held for the choice and for putting in a new set, never during a
// callback, a request or the parsing of JSON.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "recipes/discovery_await.h"
#include "recipes/discovery_kids.h"
#include "recipes/instance.h"
#include "recipes/provider_pick.h"

// A node's data as an instance, so that only what has changed is parsed again.
struct parsed {
    uint64_t change;                       // kid.change
    const struct reeve_instance *instance; // NULL: it is none
};

struct waiter {
    struct await await; // first
    struct provider *p;
    struct waiter *next;
    struct kit_timer timer;
    int64_t timeout_ms;
};

struct provider {
    struct kit_object o; // first
    struct kids kids;
    struct parsed *parsed; // by change
    size_t parsed_n;
    struct waiter *waiters;
    struct kit_timer again;
    void (*changed)(void *ctx, struct reeve_provider *p);
    void *ctx;
    pthread_mutex_t lock;
    bool locks;
    struct pick pick;
    bool read, stale;
    enum reeve_error why;
};

static struct provider *provider_of(struct reeve_provider *p)
{
    return (struct provider *)(void *)p;
}

// ---- from nodes to instances --------------------------------------------------------------------

static int by_change(const void *a, const void *b)
{
    uint64_t x = ((const struct parsed *)a)->change;
    uint64_t y = ((const struct parsed *)b)->change;
    return x < y ? -1 : x > y;
}

static void parsed_free(struct provider *p, struct parsed *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        reeve_instance_release(&list[i].instance);
    }
    kit_free(p->o.zk, list);
}

// The instance in this node, from before or parsed now; kept. NULL: it is none.
static enum reeve_error parse(struct provider *p, const struct kid *c,
                              const struct reeve_instance **i)
{
    struct parsed key = {.change = c->change};
    const struct parsed *old =
        p->parsed_n > 0 ? bsearch(&key, p->parsed, p->parsed_n, sizeof(*p->parsed), by_change)
                        : NULL;
    if (old) {
        *i = reeve_instance_keep(old->instance);
        return REEVE_OK;
    }
    enum reeve_error e = reeve_instance_decode(p->o.zk, c->data, c->data_len, i);
    return e == REEVE_MALFORMED ? REEVE_OK : e;
}

// All nodes as a set and as the next `parsed`. An error: both are empty.
static enum reeve_error read_all(struct provider *p, struct reeve_instances *set,
                                 struct parsed **list, size_t *n)
{
    const struct kids *k = &p->kids;
    *n = 0;
    *list = kit_alloc(p->o.zk, (k->n ? k->n : 1) * sizeof(**list));
    enum reeve_error e = instances_init(set, p->o.zk, k->n);
    e = *list ? e : REEVE_NO_MEMORY;
    for (size_t i = 0; i < k->n && !e; i++) {
        const struct kid *c = k->list[i];
        struct parsed *one = &(*list)[*n];
        if (c->change == 0) {
            continue;
        }
        e = parse(p, c, &one->instance);
        if (!e) {
            one->change = c->change;
            ++*n;
        }
        if (!e && one->instance) {
            set->list[set->n++] = reeve_instance_keep(one->instance);
        }
    }
    if (e) {
        reeve_instances_fini(set);
        parsed_free(p, *list, *n);
        *list = NULL;
        *n = 0;
    } else if (*n > 1) {
        qsort(*list, *n, sizeof(**list), by_change);
    }
    return e;
}

static enum reeve_error refresh(struct provider *p)
{
    struct reeve_instances set;
    struct parsed *list;
    size_t n;
    enum reeve_error e = read_all(p, &set, &list, &n);
    if (e) {
        return e;
    }
    pthread_mutex_lock(&p->lock);
    e = pick_set(&p->pick, &set);
    pthread_mutex_unlock(&p->lock);
    if (e) {
        reeve_instances_fini(&set);
        parsed_free(p, list, n);
        return e;
    }
    parsed_free(p, p->parsed, p->parsed_n);
    p->parsed = list;
    p->parsed_n = n;
    return REEVE_OK;
}

// ---- who waits ----------------------------------------------------------------------------------

static void stop_waiting(struct waiter *w, enum reeve_error e)
{
    struct waiter **at = &w->p->waiters;
    while (*at != w) {
        at = &(*at)->next;
    }
    *at = w->next;
    kit_cancel(&w->timer);
    await_done(&w->await, e);
}

static void on_timeout(struct kit_object *o, void *arg)
{
    (void)o;
    stop_waiting(arg, REEVE_OPERATION_TIMEOUT);
}

// Tells those who wait, if there is something to tell.
static void wake(struct provider *p)
{
    while (p->waiters && (p->read || p->why)) {
        stop_waiting(p->waiters, p->read ? REEVE_OK : p->why);
    }
}

static void on_wait(struct kit_object *o, void *arg)
{
    struct waiter *w = arg;
    struct provider *p = w->p;
    if (o->closed) {
        await_done(&w->await, kit_why_closed(o));
        return;
    }
    w->next = p->waiters;
    p->waiters = w;
    enum reeve_error e = REEVE_OK;
    if (w->timeout_ms >= 0) {
        e = kit_start(o, &w->timer, w->timeout_ms, on_timeout, w);
    }
    if (e) {
        stop_waiting(w, e);
    } else {
        wake(p);
    }
}

// ---- changes ------------------------------------------------------------------------------------

static void on_again(struct kit_object *o, void *arg);

static void on_changed(struct kit_object *o, void *arg)
{
    (void)arg;
    struct provider *p = (struct provider *)o;
    enum reeve_error why = p->kids.error;
    bool read = !p->kids.stale;
    if (read) {
        why = refresh(p);
        if (why) { // the nodes are known, but not what is in them: once more
            kit_start(o, &p->again, KIT_AGAIN_MS, on_again, NULL);
        }
    }
    pthread_mutex_lock(&p->lock);
    p->read = p->read || (read && !why);
    p->stale = !read || why;
    p->why = why;
    pthread_mutex_unlock(&p->lock);
    if (p->changed && !atomic_load(&o->closing)) {
        p->changed(p->ctx, (struct reeve_provider *)(void *)p);
    }
    wake(p);
}

static void on_again(struct kit_object *o, void *arg)
{
    on_changed(o, arg);
}

// ---- the object ---------------------------------------------------------------------------------

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    kids_on_session(&((struct provider *)o)->kids, s);
}

static void on_close(struct kit_object *o)
{
    struct provider *p = (struct provider *)o;
    kids_stop(&p->kids);
    kit_cancel(&p->again);
    while (p->waiters) {
        stop_waiting(p->waiters, kit_why_closed(o));
    }
}

static void fini(struct kit_object *o)
{
    struct provider *p = (struct provider *)o;
    kids_fini(&p->kids);
    parsed_free(p, p->parsed, p->parsed_n);
    kit_free(o->zk, (void *)(uintptr_t)p->pick.weight_key);
    pick_fini(&p->pick);
    if (p->locks) {
        pthread_mutex_destroy(&p->lock);
    }
}

static const struct kit_class provider_class = {
    .size = sizeof(struct provider), .on_session = on_session, .on_close = on_close, .fini = fini};

static enum reeve_error set_up(struct provider *p, const char *base, const char *service,
                               const struct reeve_provider_options *o)
{
    struct reeve *zk = p->o.zk;
    p->stale = true;
    p->changed = o->changed;
    p->ctx = o->ctx;
    p->pick = (struct pick){.zk = zk,
                            .balance = o->balance,
                            .sticky = o->sticky,
                            .least_failing = o->least_failing,
                            .weight_key = kit_str(zk, o->weight_key ? o->weight_key : "weight"),
                            .down_errors = o->down_errors ? o->down_errors : 2,
                            .down_ms = o->down_ms ? o->down_ms : 30000,
                            .rng = o->seed ? o->seed : reeve_random(zk),
                            .set = {.zk = zk}};
    char *path = kit_join(zk, base, service);
    p->locks = !pthread_mutex_init(&p->lock, NULL);
    enum reeve_error e = REEVE_NO_MEMORY;
    if (path && p->pick.weight_key && p->locks) {
        e = kids_init(&p->kids, &p->o, path, KIDS_DATA, on_changed, NULL);
    }
    kit_free(zk, path);
    return e;
}

enum reeve_error reeve_provider_new(struct reeve_provider **out, struct reeve *zk, const char *base,
                                    const char *service, const struct reeve_provider_options *o)
{
    static const struct reeve_provider_options none = {0};
    *out = NULL;
    o = o ? o : &none;
    if (!base || !kit_path_ok(base) || !service || !kit_name_ok(service) || o->down_ms < 0 ||
        (unsigned)o->balance > REEVE_WEIGHTED) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &provider_class, &object);
    if (e) {
        return e;
    }
    e = set_up((struct provider *)object, base, service, o);
    e = e ? e : kit_open(object);
    if (e) {
        kit_undo(object);
        return e;
    }
    *out = (struct reeve_provider *)(void *)object;
    return REEVE_OK;
}

void reeve_provider_free(struct reeve_provider **p)
{
    if (*p) {
        kit_close(&provider_of(*p)->o);
        *p = NULL;
    }
}

enum reeve_error reeve_provider_wait(struct reeve_provider *handle, int64_t timeout_ms)
{
    struct provider *p = provider_of(handle);
    struct waiter w = {.p = p, .timeout_ms = timeout_ms};
    enum reeve_error e = await_init(&w.await, p->o.zk);
    return e ? e : await_wait(&w.await, kit_send(&p->o, on_wait, &w));
}

enum reeve_error reeve_provider_get(struct reeve_provider *handle, const struct reeve_instance **i)
{
    struct provider *p = provider_of(handle);
    int64_t now_ms = reeve_now_ms(p->o.zk);
    pthread_mutex_lock(&p->lock);
    *i = pick_next(&p->pick, now_ms);
    pthread_mutex_unlock(&p->lock);
    return *i ? REEVE_OK : REEVE_NO_NODE;
}

enum reeve_error reeve_provider_all(struct reeve_provider *handle, struct reeve_instances *all)
{
    struct provider *p = provider_of(handle);
    int64_t now_ms = reeve_now_ms(p->o.zk);
    pthread_mutex_lock(&p->lock);
    enum reeve_error e = instances_init(all, p->o.zk, p->pick.set.n);
    for (size_t i = 0; i < p->pick.set.n && !e; i++) {
        if (pick_is_up(&p->pick, p->pick.set.list[i], now_ms)) {
            all->list[all->n++] = reeve_instance_keep(p->pick.set.list[i]);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return e;
}

void reeve_provider_note_error(struct reeve_provider *handle, const struct reeve_instance *i)
{
    struct provider *p = provider_of(handle);
    int64_t now_ms = reeve_now_ms(p->o.zk);
    pthread_mutex_lock(&p->lock);
    pick_note_error(&p->pick, i, now_ms);
    pthread_mutex_unlock(&p->lock);
}

bool reeve_provider_stale(struct reeve_provider *handle, enum reeve_error *why)
{
    struct provider *p = provider_of(handle);
    pthread_mutex_lock(&p->lock);
    bool stale = p->stale;
    if (why) {
        *why = p->why;
    }
    pthread_mutex_unlock(&p->lock);
    return stale;
}
