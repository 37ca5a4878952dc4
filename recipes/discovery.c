// SPDX-License-Identifier: Apache-2.0
//
// Registering instances, and asking for them. A registration is a keep
// (discovery_keep.h) and who waits for it; what is asked for is read by a kids
// without watches (discovery_kids.h).
//
// Messages come in the order of the calls. One about a registration that is on
// its way out waits until that is gone, so that unregister and register of one
// id do not overtake each other.
//
//     (none) --register--> NEW --there--> THERE --unregister--> LEAVING
//     --gone--> (none)
//                           \--failed: told, and LEAVING--/
#include "reeve/discovery.h"

#include <stdio.h>
#include <string.h>

#include "recipes/discovery_await.h"
#include "recipes/discovery_find.h"
#include "recipes/discovery_keep.h"
#include "recipes/instance.h"

enum op_kind { OP_REGISTER, OP_UPDATE, OP_UNREGISTER };

// A message, and afterwards one who waits.
struct op {
  struct op *next;
  struct discovery *d;
  enum op_kind kind;
  char *name, *id; // UNREGISTER; otherwise the instance's
  char *text;      // what is to be written
  const struct reeve_instance *instance;
  reeve_discovery_fn *done;
  void *ctx;
};

struct registration {
  struct keep keep; // first
  struct discovery *d;
  struct registration *next;
  const struct reeve_instance *instance;
  bool known;            // was there once
  bool leaving;          // or has failed
  struct op *waiting;    // for it to be there
  struct op *unregister; // for it to be gone
  struct op *after;      // what is to be done then, in order
};

struct discovery {
  struct kit_object o; // first
  char *base;
  struct reeve_discovery_options options;
  struct registration *list;
};

static struct discovery *discovery_of(struct reeve_discovery *d) {
  return (struct discovery *)(void *)d;
}

static void dispatch(struct discovery *d, struct op *op);

struct reeve *discovery_zk(const struct reeve_discovery *d) {
  return ((const struct discovery *)(const void *)d)->o.zk;
}

const char *discovery_base(const struct reeve_discovery *d) {
  return ((const struct discovery *)(const void *)d)->base;
}

// ---- messages
// -----------------------------------------------------------------------------------

static void op_free(struct op *op, const struct reeve *zk) {
  kit_free(zk, op->name);
  kit_free(zk, op->id);
  kit_free(zk, op->text);
  reeve_instance_release(&op->instance);
  kit_free(zk, op);
}

// Nobody waits for it any more after it.
static void op_done(struct discovery *d, struct op *op, enum reeve_error e) {
  if (op->done) {
    op->done(op->ctx, e);
  }
  op_free(op, d->o.zk);
}

static void ops_done(struct discovery *d, struct op **list,
                     enum reeve_error e) {
  while (*list) {
    struct op *op = *list;
    *list = op->next;
    op_done(d, op, e);
  }
}

static void append(struct op **list, struct op *op) {
  op->next = NULL;
  while (*list) {
    list = &(*list)->next;
  }
  *list = op;
}

static const char *op_name(const struct op *op) {
  return op->instance ? op->instance->name : op->name;
}

static const char *op_id(const struct op *op) {
  return op->instance ? op->instance->id : op->id;
}

// ---- registrations
// ------------------------------------------------------------------------------

static struct registration *find(struct discovery *d, const char *name,
                                 const char *id) {
  struct registration *r = d->list;
  while (r && (strcmp(r->instance->name, name) != 0 ||
               strcmp(r->instance->id, id) != 0)) {
    r = r->next;
  }
  return r;
}

static void tell(struct registration *r, enum reeve_registration what,
                 enum reeve_error e) {
  const struct reeve_discovery_options *o = &r->d->options;
  if (o->changed && r->known && !r->leaving && !r->d->o.closed) {
    o->changed(o->ctx, r->instance, what, e);
  }
}

static void leave(struct registration *r, enum reeve_error why) {
  struct discovery *d = r->d;
  r->leaving = true;
  struct op *waiting = r->waiting;
  r->waiting = NULL;
  keep_stop(&r->keep); // r may be gone after it
  ops_done(d, &waiting, why);
}

static void on_gone(struct registration *r, enum reeve_error e) {
  struct discovery *d = r->d;
  struct registration **at = &d->list;
  while (*at != r) {
    at = &(*at)->next;
  }
  *at = r->next;
  struct op *after = r->after;
  struct op *unregister = r->unregister;
  keep_fini(&r->keep);
  reeve_instance_release(&r->instance);
  kit_free(d->o.zk, r);
  ops_done(d, &unregister, e);
  while (after) {
    struct op *op = after;
    after = op->next;
    dispatch(d, op);
  }
}

static void on_keep(struct kit_object *o, struct keep *k, enum keep_news news,
                    enum reeve_error e) {
  (void)o;
  struct registration *r = (struct registration *)k;
  switch (news) {
  case KEEP_THERE: {
    bool again = r->known && !r->waiting;
    r->known = true;
    if (again) {
      tell(r, REEVE_REGISTERED, REEVE_OK);
    }
    ops_done(r->d, &r->waiting, REEVE_OK);
    break;
  }
  case KEEP_LOST:
    tell(r, REEVE_REGISTRATION_LOST, REEVE_OK);
    break;
  case KEEP_FAILED:
    if (!r->known) {
      leave(r, e);
      break;
    }
    tell(r, REEVE_REGISTRATION_FAILED, e);
    ops_done(r->d, &r->waiting, e);
    break;
  case KEEP_GONE:
    on_gone(r, e);
    break;
  case KEEP_OTHERS:
    break; // does not come with KEEP_REPLACE
  }
}

static void update(struct discovery *d, struct registration *r, struct op *op) {
  bool was = r->instance->type == REEVE_SERVICE_DYNAMIC;
  if (was != (op->instance->type == REEVE_SERVICE_DYNAMIC)) {
    op_done(d, op, REEVE_BAD_ARGUMENTS);
    return;
  }
  const struct reeve_instance *old = r->instance;
  r->instance = op->instance;
  op->instance = old;
  append(&r->waiting, op);
  enum reeve_error e = keep_set(&r->keep, op->text, strlen(op->text));
  if (e) { // nothing has changed; op is the last who waits
    op->instance = r->instance;
    r->instance = old;
    struct op **last = &r->waiting;
    while (*last != op) {
      last = &(*last)->next;
    }
    *last = NULL;
    op_done(d, op, e);
  }
}

static enum reeve_error add(struct discovery *d, struct op *op) {
  const struct reeve *zk = d->o.zk;
  const struct reeve_instance *i = op->instance;
  struct registration *r = kit_alloc(zk, sizeof(*r));
  char *parent = kit_join(zk, d->base, i->name);
  char *path = parent ? kit_join(zk, parent, i->id) : NULL;
  kit_free(zk, parent);
  unsigned flags =
      KEEP_REPLACE |
      (i->type == REEVE_SERVICE_DYNAMIC ? (unsigned)KEEP_EPHEMERAL : 0);
  enum reeve_error e = r && path
                           ? keep_init(&r->keep, &d->o, path, flags, on_keep)
                           : REEVE_NO_MEMORY;
  kit_free(zk, path);
  if (!e) {
    e = keep_set(&r->keep, op->text, strlen(op->text));
    if (e) {
      keep_fini(&r->keep);
    }
  }
  if (e) {
    kit_free(zk, r);
    return e;
  }
  r->keep.acl = d->options.acl;
  r->keep.acl_n = d->options.acl_n;
  r->d = d;
  r->instance = reeve_instance_keep(i);
  r->next = d->list;
  d->list = r;
  append(&r->waiting, op);
  keep_start(&r->keep);
  return REEVE_OK;
}

static void dispatch(struct discovery *d, struct op *op) {
  if (d->o.closed) {
    op_done(d, op, kit_why_closed(&d->o));
    return;
  }
  struct registration *r = find(d, op_name(op), op_id(op));
  if (r && r->leaving) {
    append(&r->after, op);
  } else if (op->kind == OP_UNREGISTER && r) {
    append(&r->unregister, op);
    leave(r, REEVE_CANCELLED);
  } else if (op->kind == OP_REGISTER && !r) {
    enum reeve_error e = add(d, op);
    if (e) {
      op_done(d, op, e);
    }
  } else if (r) {
    update(d, r, op);
  } else {
    op_done(d, op, REEVE_NO_NODE);
  }
}

static void on_op(struct kit_object *o, void *arg) {
  dispatch((struct discovery *)o, arg);
}

static enum reeve_error send_op(struct discovery *d, struct op *op) {
  enum reeve_error e = kit_send(&d->o, on_op, op);
  if (e) {
    op_free(op, d->o.zk);
  }
  return e;
}

// ---- the object
// ---------------------------------------------------------------------------------

static void on_session(struct kit_object *o, const struct reeve_session *s) {
  struct registration *r = ((struct discovery *)o)->list;
  while (r) {
    struct registration *next = r->next;
    keep_on_session(&r->keep, s);
    r = next;
  }
}

static void on_close(struct kit_object *o) {
  struct discovery *d = (struct discovery *)o;
  enum reeve_error why = kit_why_closed(o);
  struct registration *r = d->list;
  while (r) {
    struct registration *next = r->next;
    ops_done(d, &r->after, why);
    if (!r->leaving || o->ended) {
      leave(r, why);
    }
    r = next;
  }
}

static void acl_free(struct discovery *d) {
  for (size_t i = 0; d->options.acl && i < d->options.acl_n; i++) {
    kit_free(d->o.zk, (void *)(uintptr_t)d->options.acl[i].scheme);
    kit_free(d->o.zk, (void *)(uintptr_t)d->options.acl[i].id);
  }
  kit_free(d->o.zk, (void *)(uintptr_t)d->options.acl);
}

static void fini(struct kit_object *o) {
  struct discovery *d = (struct discovery *)o;
  kit_free(o->zk, d->base);
  acl_free(d);
}

static const struct kit_class discovery_class = {.size =
                                                     sizeof(struct discovery),
                                                 .on_session = on_session,
                                                 .on_close = on_close,
                                                 .fini = fini};

static enum reeve_error copy_acl(struct discovery *d,
                                 const struct reeve_acl *acl, size_t n) {
  if (!acl || n == 0) {
    return REEVE_OK;
  }
  struct reeve_acl *copy = kit_alloc(d->o.zk, n * sizeof(*copy));
  if (!copy) {
    return REEVE_NO_MEMORY;
  }
  d->options.acl = copy;
  d->options.acl_n = n;
  for (size_t i = 0; i < n; i++) {
    copy[i].perms = acl[i].perms;
    copy[i].scheme = kit_str(d->o.zk, acl[i].scheme);
    copy[i].id = kit_str(d->o.zk, acl[i].id);
    if (!copy[i].scheme || !copy[i].id) {
      return REEVE_NO_MEMORY;
    }
  }
  return REEVE_OK;
}

enum reeve_error reeve_discovery_new(struct reeve_discovery **out,
                                     struct reeve *zk, const char *base,
                                     const struct reeve_discovery_options *o) {
  *out = NULL;
  if (!base || !kit_path_ok(base)) {
    return REEVE_BAD_ARGUMENTS;
  }
  struct kit_object *object;
  enum reeve_error e = kit_new(zk, &discovery_class, &object);
  if (e) {
    return e;
  }
  struct discovery *d = (struct discovery *)object;
  d->base = kit_str(zk, base);
  e = d->base ? REEVE_OK : REEVE_NO_MEMORY;
  if (!e && o) {
    d->options.changed = o->changed;
    d->options.ctx = o->ctx;
    e = copy_acl(d, o->acl, o->acl_n);
  }
  e = e ? e : kit_open(object);
  if (e) {
    kit_undo(object);
    return e;
  }
  *out = (struct reeve_discovery *)(void *)d;
  return REEVE_OK;
}

void reeve_discovery_free(struct reeve_discovery **d) {
  if (*d) {
    kit_close(&discovery_of(*d)->o);
    *d = NULL;
  }
}

// ---- public: registering
// ------------------------------------------------------------------------

// As Java's UUID.randomUUID() writes it.
static void draw_id(struct reeve *zk, char id[64]) {
  char g[33];
  reeve_guid(zk, g);
  snprintf(id, 64, "%.8s-%.4s-4%.3s-a%.3s-%.12s", g, g + 8, g + 13, g + 17,
           g + 20);
}

static enum reeve_error make_op(struct discovery *d, enum op_kind kind,
                                const struct reeve_instance *i,
                                reeve_discovery_fn *done, void *ctx,
                                struct op **out) {
  if (!i->name || !kit_name_ok(i->name) || !i->id || !kit_name_ok(i->id)) {
    return REEVE_BAD_ARGUMENTS;
  }
  if (i->type == REEVE_SERVICE_DYNAMIC_SEQUENTIAL) {
    return REEVE_UNIMPLEMENTED;
  }
  struct op *op = kit_alloc(d->o.zk, sizeof(*op));
  if (!op) {
    return REEVE_NO_MEMORY;
  }
  op->d = d;
  op->kind = kind;
  op->done = done;
  op->ctx = ctx;
  enum reeve_error e = reeve_instance_encode(d->o.zk, i, &op->text);
  if (!e) {
    e = reeve_instance_decode(d->o.zk, op->text, strlen(op->text),
                              &op->instance);
  }
  if (e) {
    op_free(op, d->o.zk);
    return e;
  }
  *out = op;
  return REEVE_OK;
}

enum reeve_error reeve_discovery_register_async(struct reeve_discovery *handle,
                                                const struct reeve_instance *i,
                                                char id[64],
                                                reeve_discovery_fn *done,
                                                void *ctx) {
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
  struct op *op;
  enum reeve_error e = make_op(d, OP_REGISTER, &with_id, done, ctx, &op);
  return e ? e : send_op(d, op);
}

enum reeve_error reeve_discovery_update_async(struct reeve_discovery *handle,
                                              const struct reeve_instance *i,
                                              reeve_discovery_fn *done,
                                              void *ctx) {
  struct discovery *d = discovery_of(handle);
  struct op *op;
  enum reeve_error e = make_op(d, OP_UPDATE, i, done, ctx, &op);
  return e ? e : send_op(d, op);
}

enum reeve_error
reeve_discovery_unregister_async(struct reeve_discovery *handle,
                                 const char *name, const char *id,
                                 reeve_discovery_fn *done, void *ctx) {
  struct discovery *d = discovery_of(handle);
  struct op *op = kit_alloc(d->o.zk, sizeof(*op));
  if (!op) {
    return REEVE_NO_MEMORY;
  }
  *op = (struct op){.d = d, .kind = OP_UNREGISTER, .done = done, .ctx = ctx};
  op->name = kit_str(d->o.zk, name);
  op->id = kit_str(d->o.zk, id);
  if (!op->name || !op->id) {
    op_free(op, d->o.zk);
    return REEVE_NO_MEMORY;
  }
  return send_op(d, op);
}

enum reeve_error reeve_discovery_register(struct reeve_discovery *d,
                                          const struct reeve_instance *i,
                                          char id[64]) {
  struct await a;
  enum reeve_error e = await_init(&a, discovery_of(d)->o.zk);
  return e ? e
           : await_wait(
                 &a, reeve_discovery_register_async(d, i, id, await_done, &a));
}

enum reeve_error reeve_discovery_update(struct reeve_discovery *d,
                                        const struct reeve_instance *i) {
  struct await a;
  enum reeve_error e = await_init(&a, discovery_of(d)->o.zk);
  return e ? e
           : await_wait(&a, reeve_discovery_update_async(d, i, await_done, &a));
}

enum reeve_error reeve_discovery_unregister(struct reeve_discovery *d,
                                            const char *name, const char *id) {
  struct await a;
  enum reeve_error e = await_init(&a, discovery_of(d)->o.zk);
  return e ? e
           : await_wait(&a, reeve_discovery_unregister_async(d, name, id,
                                                             await_done, &a));
}
