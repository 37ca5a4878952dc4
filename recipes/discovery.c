// SPDX-License-Identifier: Apache-2.0
//
// Registering instances: what Curator's ServiceDiscoveryImpl does. The nodes themselves are kept by
// discovery_regs.c, asking for them is discovery_find.c.
#include "reeve/discovery.h"

#include <stdio.h>
#include <string.h>

#include "recipes/discovery_await.h"
#include "recipes/discovery_find.h"
#include "recipes/discovery_regs.h"
#include "recipes/instance.h"

struct discovery {
    struct kit_object o; // first
    char *base;
    struct regs regs;
    void (*changed)(void *ctx, const struct reeve_instance *i, enum reeve_registration what,
                    enum reeve_error error);
    void *ctx;
};

static struct discovery *discovery_of(struct reeve_discovery *d)
{
    return (struct discovery *)(void *)d;
}

struct reeve *discovery_zk(const struct reeve_discovery *d)
{
    return ((const struct discovery *)(const void *)d)->o.zk;
}

const char *discovery_base(const struct reeve_discovery *d)
{
    return ((const struct discovery *)(const void *)d)->base;
}

static void on_changed(struct kit_object *o, const void *subject, enum reeve_registration what,
                       enum reeve_error e)
{
    struct discovery *d = (struct discovery *)o;
    if (d->changed) {
        d->changed(d->ctx, subject, what, e);
    }
}

static void release(const void *subject)
{
    const struct reeve_instance *i = subject;
    reeve_instance_release(&i);
}

static const struct regs_class instances_class = {.changed = on_changed, .release = release};

// ---- the object ---------------------------------------------------------------------------------

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    regs_on_session(&((struct discovery *)o)->regs, s);
}

static void on_close(struct kit_object *o)
{
    regs_on_close(&((struct discovery *)o)->regs);
}

static void fini(struct kit_object *o)
{
    struct discovery *d = (struct discovery *)o;
    kit_free(o->zk, d->base);
}

static const struct kit_class discovery_class = {
    .size = sizeof(struct discovery), .on_session = on_session, .on_close = on_close, .fini = fini};

enum reeve_error reeve_discovery_new(struct reeve_discovery **out, struct reeve *zk,
                                     const char *base, const struct reeve_discovery_options *o)
{
    static const struct reeve_discovery_options none = {0};
    *out = NULL;
    if (!base || !kit_path_ok(base)) {
        return REEVE_BAD_ARGUMENTS;
    }
    o = o ? o : &none;
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &discovery_class, &object);
    if (e) {
        return e;
    }
    struct discovery *d = (struct discovery *)object;
    d->changed = o->changed;
    d->ctx = o->ctx;
    d->base = kit_str(zk, base);
    regs_init(&d->regs, object, &instances_class);
    e = kit_set_acl(object, o->acl, o->acl_n);
    e = e ? e : d->base ? kit_open(object) : REEVE_NO_MEMORY;
    if (e) {
        kit_undo(object);
        return e;
    }
    *out = (struct reeve_discovery *)(void *)d;
    return REEVE_OK;
}

void reeve_discovery_free(struct reeve_discovery **d)
{
    if (*d) {
        kit_close(&discovery_of(*d)->o);
        *d = NULL;
    }
}

// ---- registering --------------------------------------------------------------------------------

// As Java's UUID.randomUUID() writes it.
static void draw_id(struct reeve *zk, char id[64])
{
    char g[33];
    reeve_guid(zk, g);
    snprintf(id, 64, "%.8s-%.4s-4%.3s-a%.3s-%.12s", g, g + 8, g + 13, g + 17, g + 20);
}

static char *path_of(const struct discovery *d, const char *name, const char *id)
{
    char *parent = kit_join(d->o.zk, d->base, name);
    char *path = parent ? kit_join(d->o.zk, parent, id) : NULL;
    kit_free(d->o.zk, parent);
    return path;
}

static enum reeve_error put(struct discovery *d, enum regs_kind kind,
                            const struct reeve_instance *i, reeve_discovery_fn *done, void *ctx)
{
    if (!kit_name_ok(i->name) || !kit_name_ok(i->id)) {
        return REEVE_BAD_ARGUMENTS;
    }
    if (i->type == REEVE_SERVICE_DYNAMIC_SEQUENTIAL) {
        return REEVE_UNIMPLEMENTED;
    }
    struct regs_order order = {.kind = kind, .flags = KEEP_REPLACE, .done = done, .ctx = ctx};
    enum reeve_error e = reeve_instance_encode(d->o.zk, i, &order.data);
    if (e) {
        return e;
    }
    const struct reeve_instance *copy;
    e = reeve_instance_decode(d->o.zk, order.data, strlen(order.data), &copy);
    if (e) {
        kit_free(d->o.zk, order.data);
        return e;
    }
    order.subject = copy;
    order.path = path_of(d, i->name, i->id);
    if (i->type == REEVE_SERVICE_DYNAMIC) {
        order.flags |= KEEP_EPHEMERAL;
    }
    return regs_send(&d->regs, &order);
}

enum reeve_error reeve_discovery_register_async(struct reeve_discovery *handle,
                                                const struct reeve_instance *i, char id[64],
                                                reeve_discovery_fn *done, void *ctx)
{
    struct discovery *d = discovery_of(handle);
    char drawn[64];
    struct reeve_instance with_id = *i;
    if (!i->id) {
        draw_id(d->o.zk, drawn);
        with_id.id = drawn;
    }
    if (id) {
        snprintf(id, 64, "%s", with_id.id);
    }
    return put(d, REGS_PUT, &with_id, done, ctx);
}

enum reeve_error reeve_discovery_update_async(struct reeve_discovery *d,
                                              const struct reeve_instance *i,
                                              reeve_discovery_fn *done, void *ctx)
{
    return put(discovery_of(d), REGS_UPDATE, i, done, ctx);
}

enum reeve_error reeve_discovery_unregister_async(struct reeve_discovery *handle, const char *name,
                                                  const char *id, reeve_discovery_fn *done,
                                                  void *ctx)
{
    struct discovery *d = discovery_of(handle);
    if (!kit_name_ok(name) || !kit_name_ok(id)) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct regs_order order = {.kind = REGS_TAKE_OFF, .done = done, .ctx = ctx};
    order.path = path_of(d, name, id);
    return regs_send(&d->regs, &order);
}

enum reeve_error reeve_discovery_register(struct reeve_discovery *d, const struct reeve_instance *i,
                                          char id[64])
{
    struct await a;
    enum reeve_error e = await_init(&a, discovery_of(d)->o.zk);
    return e ? e : await_wait(&a, reeve_discovery_register_async(d, i, id, await_done, &a));
}

enum reeve_error reeve_discovery_update(struct reeve_discovery *d, const struct reeve_instance *i)
{
    struct await a;
    enum reeve_error e = await_init(&a, discovery_of(d)->o.zk);
    return e ? e : await_wait(&a, reeve_discovery_update_async(d, i, await_done, &a));
}

enum reeve_error reeve_discovery_unregister(struct reeve_discovery *d, const char *name,
                                            const char *id)
{
    struct await a;
    enum reeve_error e = await_init(&a, discovery_of(d)->o.zk);
    return e ? e : await_wait(&a, reeve_discovery_unregister_async(d, name, id, await_done, &a));
}
