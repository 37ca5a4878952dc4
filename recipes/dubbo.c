// SPDX-License-Identifier: Apache-2.0
//
// Registering in Dubbo's registry. The nodes are kept by discovery_regs.c; who follows them is
// dubbo_subscription.c.
#include <string.h>

#include "recipes/discovery_await.h"
#include "recipes/discovery_regs.h"
#include "recipes/dubbo_registry.h"
#include "recipes/dubbo_url.h"

struct dubbo {
    struct kit_object o; // first
    char *root;
    struct regs regs;
};

static struct dubbo *dubbo_of(struct reeve_dubbo *d)
{
    return (struct dubbo *)(void *)d;
}

struct reeve *dubbo_zk(const struct reeve_dubbo *d)
{
    return ((const struct dubbo *)(const void *)d)->o.zk;
}

// ZookeeperRegistry.toCategoryPath.
char *dubbo_category_path(const struct reeve_dubbo *d, const char *service, const char *category)
{
    const struct dubbo *u = (const struct dubbo *)(const void *)d;
    struct text t;
    text_init(&t, u->o.zk);
    text_str(&t, strcmp(u->root, "/") != 0 ? u->root : "");
    text_str(&t, "/");
    url_encode(&t, service);
    text_str(&t, "/");
    text_str(&t, category);
    return text_take(&t);
}

// ---- the object ---------------------------------------------------------------------------------

static void on_changed(struct kit_object *o, const void *subject, enum reeve_registration what,
                       enum reeve_error e)
{
    (void)o;
    (void)subject;
    (void)what;
    (void)e; // Dubbo tells nobody either; it is simply there again
}

static void release(const void *subject)
{
    (void)subject;
}

static const struct regs_class urls_class = {.changed = on_changed, .release = release};

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    regs_on_session(&((struct dubbo *)o)->regs, s);
}

static void on_close(struct kit_object *o)
{
    regs_on_close(&((struct dubbo *)o)->regs);
}

static void fini(struct kit_object *o)
{
    struct dubbo *d = (struct dubbo *)o;
    kit_free(o->zk, d->root);
}

static const struct kit_class dubbo_class = {
    .size = sizeof(struct dubbo), .on_session = on_session, .on_close = on_close, .fini = fini};

enum reeve_error reeve_dubbo_new(struct reeve_dubbo **out, struct reeve *zk,
                                 const struct reeve_dubbo_options *o)
{
    static const struct reeve_dubbo_options none = {0};
    *out = NULL;
    o = o ? o : &none;
    const char *root = o->root ? o->root : "/dubbo";
    if (!kit_path_ok(root)) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &dubbo_class, &object);
    if (e) {
        return e;
    }
    struct dubbo *d = (struct dubbo *)object;
    d->root = kit_str(zk, root);
    regs_init(&d->regs, object, &urls_class);
    e = kit_set_acl(object, o->acl, o->acl_n);
    e = e ? e : d->root ? kit_open(object) : REEVE_NO_MEMORY;
    if (e) {
        kit_undo(object);
        return e;
    }
    *out = (struct reeve_dubbo *)(void *)d;
    return REEVE_OK;
}

void reeve_dubbo_free(struct reeve_dubbo **d)
{
    if (*d) {
        kit_close(&dubbo_of(*d)->o);
        *d = NULL;
    }
}

// ---- registering --------------------------------------------------------------------------------

// The URL's node, or NULL: no memory.
static char *node_of(struct reeve_dubbo *d, const struct reeve_dubbo_url *u, const char *category)
{
    const struct reeve *zk = dubbo_zk(d);
    char *parent = dubbo_category_path(d, reeve_dubbo_url_service(u), category);
    char *full = NULL;
    struct text t;
    text_init(&t, zk);
    if (parent && !reeve_dubbo_url_format(zk, u, &full)) {
        text_str(&t, parent);
        text_str(&t, "/");
        url_encode(&t, full);
    } else {
        t.failed = true;
    }
    kit_free(zk, parent);
    kit_free(zk, full);
    return text_take(&t);
}

static enum reeve_error order(struct reeve_dubbo *d, enum regs_kind kind,
                              const struct reeve_dubbo_url *u, reeve_discovery_fn *done, void *ctx)
{
    const char *category = reeve_dubbo_url_param(u, "category");
    const char *dynamic = reeve_dubbo_url_param(u, "dynamic");
    category = category && *category ? category : "providers";
    if (!u->protocol || !*u->protocol || !u->host || !*u->host || !reeve_dubbo_url_service(u) ||
        !kit_name_ok(category)) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct regs_order o = {.kind = kind,
                           .flags = KEEP_REPLACE | KEEP_PLAIN_PARENTS,
                           .path = node_of(d, u, category),
                           .done = done,
                           .ctx = ctx};
    // What Curator writes by default is the writer's address.
    o.data = kind == REGS_PUT ? kit_str(dubbo_zk(d), u->host) : NULL;
    if (!dynamic || strcmp(dynamic, "false") != 0) {
        o.flags |= KEEP_EPHEMERAL;
    }
    return regs_send(&dubbo_of(d)->regs, &o);
}

enum reeve_error reeve_dubbo_register_async(struct reeve_dubbo *d, const struct reeve_dubbo_url *u,
                                            reeve_discovery_fn *done, void *ctx)
{
    return order(d, REGS_PUT, u, done, ctx);
}

enum reeve_error reeve_dubbo_unregister_async(struct reeve_dubbo *d,
                                              const struct reeve_dubbo_url *u,
                                              reeve_discovery_fn *done, void *ctx)
{
    return order(d, REGS_TAKE_OFF, u, done, ctx);
}

enum reeve_error reeve_dubbo_register(struct reeve_dubbo *d, const struct reeve_dubbo_url *u)
{
    struct await a;
    enum reeve_error e = await_init(&a, dubbo_zk(d));
    return e ? e : await_wait(&a, reeve_dubbo_register_async(d, u, await_done, &a));
}

enum reeve_error reeve_dubbo_unregister(struct reeve_dubbo *d, const struct reeve_dubbo_url *u)
{
    struct await a;
    enum reeve_error e = await_init(&a, dubbo_zk(d));
    return e ? e : await_wait(&a, reeve_dubbo_unregister_async(d, u, await_done, &a));
}
