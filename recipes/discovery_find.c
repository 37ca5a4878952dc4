// SPDX-License-Identifier: Apache-2.0
//
// Asking the server for a service's instances, once. Each question is an object of its own, which
// goes when it is answered: it needs nothing of the reeve_discovery but its base.
#include "recipes/discovery_find.h"

#include <string.h>

#include "recipes/discovery_await.h"
#include "recipes/discovery_kids.h"
#include "recipes/instance.h"

struct find {
    struct kit_object o; // first
    struct kids kids;
    reeve_instances_fn *done;
    void *ctx;
};

static enum reeve_error collect(const struct kids *k, struct reeve_instances *all)
{
    enum reeve_error e = instances_init(all, k->o->zk, k->n);
    for (size_t i = 0; i < k->n && !e; i++) {
        const struct kid *c = k->list[i];
        if (c->change == 0) {
            continue; // went away between the two reads
        }
        enum reeve_error bad =
            reeve_instance_decode(k->o->zk, c->data, c->data_len, &all->list[all->n]);
        if (!bad) {
            all->n++;
        } else if (bad == REEVE_MALFORMED) {
            all->bad++;
        } else {
            e = bad;
        }
    }
    return e;
}

// Once, whatever happens first: the answer, a failure, or the end.
static void finish(struct find *f, enum reeve_error e)
{
    reeve_instances_fn *done = f->done;
    if (!done) {
        return;
    }
    f->done = NULL;
    struct reeve_instances all = {.zk = f->o.zk};
    if (!e) {
        e = collect(&f->kids, &all);
    }
    if (e) {
        reeve_instances_fini(&all);
    }
    done(f->ctx, e, &all);
    reeve_instances_fini(&all);
    kit_close(&f->o);
}

static void on_read(struct kit_object *o, void *arg)
{
    (void)arg;
    struct find *f = (struct find *)o;
    if (!f->kids.stale) {
        finish(f, REEVE_OK);
    } else if (f->kids.error) {
        finish(f, f->kids.error);
    }
}

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    kids_on_session(&((struct find *)o)->kids, s);
}

static void on_close(struct kit_object *o)
{
    struct find *f = (struct find *)o;
    kids_stop(&f->kids);
    finish(f, kit_why_closed(o));
}

static void fini(struct kit_object *o)
{
    kids_fini(&((struct find *)o)->kids);
}

static const struct kit_class find_class = {
    .size = sizeof(struct find), .on_session = on_session, .on_close = on_close, .fini = fini};

// done comes exactly once if this is OK.
static enum reeve_error start(struct reeve *zk, const char *path, reeve_instances_fn *done,
                              void *ctx)
{
    struct kit_object *o;
    enum reeve_error e = kit_new(zk, &find_class, &o);
    if (e) {
        return e;
    }
    struct find *f = (struct find *)o;
    f->done = done;
    f->ctx = ctx;
    e = kids_init(&f->kids, o, path, KIDS_DATA | KIDS_ONCE, on_read, NULL);
    e = e ? e : kit_open(o);
    if (e) {
        kit_undo(o);
    }
    return e;
}

// ---- public -------------------------------------------------------------------------------------

enum reeve_error reeve_discovery_find_async(struct reeve_discovery *d, const char *name,
                                            reeve_instances_fn *done, void *ctx)
{
    struct reeve *zk = discovery_zk(d);
    if (!name || !kit_name_ok(name)) {
        return REEVE_BAD_ARGUMENTS;
    }
    char *path = kit_join(zk, discovery_base(d), name);
    if (!path) {
        return REEVE_NO_MEMORY;
    }
    enum reeve_error e = start(zk, path, done, ctx);
    kit_free(zk, path);
    return e;
}

struct found {
    struct await await; // first
    struct reeve_instances *all;
};

static void on_found(void *ctx, enum reeve_error e, const struct reeve_instances *all)
{
    struct found *f = ctx;
    if (!e) {
        e = instances_init(f->all, all->zk, all->n);
    }
    for (size_t i = 0; !e && i < all->n; i++) {
        f->all->list[f->all->n++] = reeve_instance_keep(all->list[i]);
    }
    if (!e) {
        f->all->bad = all->bad;
    }
    await_done(&f->await, e);
}

enum reeve_error reeve_discovery_find(struct reeve_discovery *d, const char *name,
                                      struct reeve_instances *all)
{
    struct found f = {.all = all};
    *all = (struct reeve_instances){.zk = discovery_zk(d)};
    enum reeve_error e = await_init(&f.await, discovery_zk(d));
    return e ? e : await_wait(&f.await, reeve_discovery_find_async(d, name, on_found, &f));
}

enum reeve_error reeve_discovery_find_one(struct reeve_discovery *d, const char *name,
                                          const char *id, const struct reeve_instance **i)
{
    struct reeve *zk = discovery_zk(d);
    *i = NULL;
    if (!name || !kit_name_ok(name) || !id || !kit_name_ok(id)) {
        return REEVE_BAD_ARGUMENTS;
    }
    char *parent = kit_join(zk, discovery_base(d), name);
    char *path = parent ? kit_join(zk, parent, id) : NULL;
    kit_free(zk, parent);
    if (!path) {
        return REEVE_NO_MEMORY;
    }
    struct reeve_result r;
    enum reeve_error e = reeve_get(zk, path, NULL, &r);
    if (!e) {
        e = reeve_instance_decode(zk, r.data, r.data_len, i);
    }
    reeve_result_fini(&r);
    kit_free(zk, path);
    return e;
}

enum reeve_error reeve_discovery_names_async(struct reeve_discovery *d, reeve_done_fn *done,
                                             void *ctx)
{
    return reeve_children_async(discovery_zk(d), discovery_base(d), NULL, done, ctx);
}

enum reeve_error reeve_discovery_names(struct reeve_discovery *d, struct reeve_result *r)
{
    return reeve_children(discovery_zk(d), discovery_base(d), NULL, r);
}
