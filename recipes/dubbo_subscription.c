// SPDX-License-Identifier: Apache-2.0
//
// A consumer's view of Dubbo's registry: one kids (discovery_kids.h) per category, whose names are
// the URLs. The list of providers is picked from on any thread, under a lock that guards this list
// and nothing else (as in provider.c, and for the same reason).
#include <pthread.h>
#include <string.h>

#include "recipes/discovery_kids.h"
#include "recipes/dubbo_registry.h"
#include "recipes/dubbo_url.h"
#include "recipes/instance.h"

struct urls {
    const struct reeve_dubbo_url **list;
    size_t n, bad;
};

struct category {
    struct subscription *s;
    const char *name;
    struct kids kids;
    struct urls urls; // as told last
};

struct subscription {
    struct kit_object o; // first
    const struct reeve_dubbo_url *consumer;
    bool keep_last;
    reeve_dubbo_fn *fn;
    void *ctx;
    struct category categories[4];
    size_t n;
    struct kit_timer again;
    pthread_mutex_t lock;
    bool locks;
    struct urls *providers; // its category's
};

static const char *const category_names[] = {"providers", "consumers", "routers", "configurators"};

// ---- from names to URLs -------------------------------------------------------------------------

static void urls_free(const struct reeve *zk, struct urls *u)
{
    for (size_t i = 0; i < u->n; i++) {
        reeve_dubbo_url_release(&u->list[i]);
    }
    if (u->list) {
        kit_free(zk, u->list);
    }
    *u = (struct urls){0};
}

static enum reeve_error read_one(const struct reeve *zk, const char *name,
                                 const struct reeve_dubbo_url **u)
{
    char *text = kit_str(zk, name);
    enum reeve_error e = text ? REEVE_MALFORMED : REEVE_NO_MEMORY;
    if (text && url_decode(text)) {
        e = reeve_dubbo_url_parse(zk, text, u);
    }
    kit_free(zk, text);
    return e;
}

// Those that match the consumer.
static enum reeve_error read_names(const struct category *c, struct urls *u)
{
    const struct reeve *zk = c->s->o.zk;
    enum reeve_error e = REEVE_OK;
    *u = (struct urls){.list = kit_alloc(zk, (c->kids.n + 1) * sizeof(*u->list))};
    if (!u->list) {
        return REEVE_NO_MEMORY;
    }
    for (size_t i = 0; i < c->kids.n && !e; i++) {
        const struct reeve_dubbo_url *one = NULL;
        e = read_one(zk, c->kids.list[i]->name, &one);
        if (e == REEVE_MALFORMED) {
            u->bad++;
            e = REEVE_OK;
        } else if (!e && reeve_dubbo_url_matches(c->s->consumer, one)) {
            u->list[u->n++] = one;
        } else if (!e) {
            reeve_dubbo_url_release(&one);
        }
    }
    if (e) {
        urls_free(zk, u);
    }
    return e;
}

// ---- telling ------------------------------------------------------------------------------------

static void on_again(struct kit_object *o, void *arg);

static void tell(struct category *c, bool empty, enum reeve_error why)
{
    struct subscription *s = c->s;
    const struct reeve_dubbo_notice n = {.category = c->name,
                                         .urls = c->urls.list,
                                         .urls_n = c->urls.n,
                                         .bad = c->urls.bad,
                                         .empty = empty,
                                         .stale = c->kids.stale || why,
                                         .why = why};
    if (s->fn && !atomic_load(&s->o.closing)) {
        s->fn(s->ctx, &n);
    }
}

static void on_names(struct kit_object *o, void *arg)
{
    struct subscription *s = (struct subscription *)o;
    struct category *c = arg;
    if (c->kids.stale) {
        tell(c, false, c->kids.error);
        return;
    }
    struct urls fresh;
    enum reeve_error e = read_names(c, &fresh);
    if (e) {
        kit_start(o, &s->again, KIT_AGAIN_MS, on_again, NULL);
        tell(c, false, e);
        return;
    }
    bool empty = fresh.n == 0;
    if (empty && s->keep_last && c->name == category_names[0] && c->urls.n > 0) {
        c->urls.bad = fresh.bad;
        urls_free(o->zk, &fresh);
    } else {
        struct urls old = c->urls;
        pthread_mutex_lock(&s->lock);
        c->urls = fresh;
        pthread_mutex_unlock(&s->lock);
        urls_free(o->zk, &old);
    }
    tell(c, empty, REEVE_OK);
}

static void on_again(struct kit_object *o, void *arg)
{
    (void)arg;
    struct subscription *s = (struct subscription *)o;
    for (size_t i = 0; i < s->n; i++) {
        on_names(o, &s->categories[i]);
    }
}

// ---- the object ---------------------------------------------------------------------------------

static void on_session(struct kit_object *o, const struct reeve_session *session)
{
    struct subscription *s = (struct subscription *)o;
    for (size_t i = 0; i < s->n; i++) {
        kids_on_session(&s->categories[i].kids, session);
    }
}

static void on_close(struct kit_object *o)
{
    struct subscription *s = (struct subscription *)o;
    kit_cancel(&s->again);
    for (size_t i = 0; i < s->n; i++) {
        kids_stop(&s->categories[i].kids);
    }
}

static void fini(struct kit_object *o)
{
    struct subscription *s = (struct subscription *)o;
    for (size_t i = 0; i < s->n; i++) {
        kids_fini(&s->categories[i].kids);
        urls_free(o->zk, &s->categories[i].urls);
    }
    reeve_dubbo_url_release(&s->consumer);
    if (s->locks) {
        pthread_mutex_destroy(&s->lock);
    }
}

static const struct kit_class subscription_class = {.size = sizeof(struct subscription),
                                                    .on_session = on_session,
                                                    .on_close = on_close,
                                                    .fini = fini};

// Whether the consumer's list of categories has this one.
static bool wants(const struct reeve_dubbo_url *consumer, const char *name)
{
    const char *list = reeve_dubbo_url_param(consumer, "category");
    if (!list || !*list) {
        return name == category_names[0];
    }
    for (; !!strcmp(list, "*");) {
        size_t n = strcspn(list, ",");
        if (n == strlen(name) && !memcmp(list, name, n)) {
            return true;
        }
        if (!list[n]) {
            return false;
        }
        list += n + 1;
    }
    return true;
}

static enum reeve_error add_category(struct subscription *s, const struct reeve_dubbo *d,
                                     const char *name)
{
    char *path = dubbo_category_path(d, reeve_dubbo_url_service(s->consumer), name);
    struct category *c = &s->categories[s->n];
    enum reeve_error e = REEVE_NO_MEMORY;
    if (path) {
        *c = (struct category){.s = s, .name = name};
        s->n++;
        e = kids_init(&c->kids, &s->o, path, 0, on_names, c);
    }
    if (name == category_names[0]) {
        s->providers = &c->urls;
    }
    kit_free(s->o.zk, path);
    return e;
}

static enum reeve_error set_up(struct subscription *s, const struct reeve_dubbo *d,
                               const struct reeve_dubbo_url *consumer)
{
    char *text;
    enum reeve_error e = reeve_dubbo_url_format(s->o.zk, consumer, &text);
    if (e) {
        return e;
    }
    e = reeve_dubbo_url_parse(s->o.zk, text, &s->consumer); // a copy
    kit_free(s->o.zk, text);
    for (size_t i = 0; i < 4 && !e; i++) {
        if (wants(s->consumer, category_names[i])) {
            e = add_category(s, d, category_names[i]);
        }
    }
    s->locks = !pthread_mutex_init(&s->lock, NULL);
    return e ? e : s->locks ? kit_open(&s->o) : REEVE_SYSTEM;
}

enum reeve_error reeve_dubbo_subscribe(struct reeve_dubbo_subscription **out, struct reeve_dubbo *d,
                                       const struct reeve_dubbo_url *consumer, bool keep_last,
                                       reeve_dubbo_fn *fn, void *ctx)
{
    *out = NULL;
    if (!reeve_dubbo_url_service(consumer)) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(dubbo_zk(d), &subscription_class, &object);
    if (e) {
        return e;
    }
    struct subscription *s = (struct subscription *)object;
    s->keep_last = keep_last;
    s->fn = fn;
    s->ctx = ctx;
    e = set_up(s, d, consumer);
    if (e) {
        kit_undo(object);
        return e;
    }
    *out = (struct reeve_dubbo_subscription *)(void *)s;
    return REEVE_OK;
}

void reeve_dubbo_unsubscribe(struct reeve_dubbo_subscription **s)
{
    if (*s) {
        kit_close(&((struct subscription *)(void *)*s)->o);
        *s = NULL;
    }
}

enum reeve_error reeve_dubbo_pick(struct reeve_dubbo_subscription *handle, const char *method,
                                  const struct reeve_dubbo_url **u)
{
    struct subscription *s = (struct subscription *)(void *)handle;
    uint64_t draw = reeve_random(s->o.zk);
    int64_t now_ms = instance_wall_ms();
    *u = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->providers && s->providers->n > 0) {
        size_t at = dubbo_choose(s->providers->list, s->providers->n, method, now_ms, draw);
        *u = reeve_dubbo_url_keep(s->providers->list[at]);
    }
    pthread_mutex_unlock(&s->lock);
    return *u ? REEVE_OK : REEVE_NO_NODE;
}
