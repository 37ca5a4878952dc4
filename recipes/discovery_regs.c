// SPDX-License-Identifier: Apache-2.0
#include "recipes/discovery_regs.h"

#include <string.h>

struct registration {
    struct keep keep; // first
    struct regs *regs;
    struct registration *next;
    const void *subject;
    bool known;                    // was there once
    bool missed;                   // told as lost or failed, and not as there since
    bool leaving;                  // or has failed
    struct regs_order *waiting;    // for it to be there
    struct regs_order *taking_off; // for it to be gone
    struct regs_order *after;      // what is to be done then, in order
};

static void dispatch(struct regs *s, struct regs_order *order);

// ---- orders -------------------------------------------------------------------------------------

static void order_free(struct regs_order *order)
{
    const struct reeve *zk = order->regs->o->zk;
    kit_free(zk, order->path);
    kit_free(zk, order->data);
    if (order->subject) {
        order->regs->class->release(order->subject);
    }
    kit_free(zk, order);
}

static void order_done(struct regs_order *order, enum reeve_error e)
{
    if (order->done) {
        order->done(order->ctx, e);
    }
    order_free(order);
}

static void orders_done(struct regs_order **list, enum reeve_error e)
{
    while (*list) {
        struct regs_order *order = *list;
        *list = order->next;
        order_done(order, e);
    }
}

static void append(struct regs_order **list, struct regs_order *order)
{
    order->next = NULL;
    while (*list) {
        list = &(*list)->next;
    }
    *list = order;
}

// ---- registrations ------------------------------------------------------------------------------

static struct registration *find(struct regs *s, const char *path)
{
    struct registration *r = s->list;
    while (r && strcmp(r->keep.path, path) != 0) {
        r = r->next;
    }
    return r;
}

static void tell(struct registration *r, enum reeve_registration what, enum reeve_error e)
{
    r->missed = what != REEVE_REGISTERED;
    if (r->known && !r->leaving && !r->regs->o->closed) {
        r->regs->class->changed(r->regs->o, r->subject, what, e);
    }
}

static void leave(struct registration *r, enum reeve_error why)
{
    r->leaving = true;
    struct regs_order *waiting = r->waiting;
    r->waiting = NULL;
    keep_stop(&r->keep); // r may be gone after it
    orders_done(&waiting, why);
}

static void on_gone(struct registration *r, enum reeve_error e)
{
    struct regs *s = r->regs;
    struct registration **at = &s->list;
    while (*at != r) {
        at = &(*at)->next;
    }
    *at = r->next;
    struct regs_order *after = r->after;
    struct regs_order *taking_off = r->taking_off;
    keep_fini(&r->keep);
    if (r->subject) {
        s->class->release(r->subject);
    }
    kit_free(s->o->zk, r);
    orders_done(&taking_off, e);
    while (after) {
        struct regs_order *order = after;
        after = order->next;
        dispatch(s, order);
    }
}

static void on_keep(struct kit_object *o, struct keep *k, enum keep_news news, enum reeve_error e)
{
    (void)o;
    struct registration *r = (struct registration *)k;
    switch (news) {
    case KEEP_THERE: {
        bool again = r->known && (!r->waiting || r->missed);
        r->known = true;
        if (again) {
            tell(r, REEVE_REGISTERED, REEVE_OK);
        }
        orders_done(&r->waiting, REEVE_OK);
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
        orders_done(&r->waiting, e);
        break;
    case KEEP_GONE:
        on_gone(r, e);
        break;
    case KEEP_OTHERS:
        break; // does not come with KEEP_REPLACE
    }
}

static void swap_subjects(struct registration *r, struct regs_order *order)
{
    const void *subject = r->subject;
    r->subject = order->subject;
    order->subject = subject;
}

static void update(struct registration *r, struct regs_order *order)
{
    if (r->keep.flags != order->flags) {
        order_done(order, REEVE_BAD_ARGUMENTS);
        return;
    }
    swap_subjects(r, order);
    append(&r->waiting, order);
    enum reeve_error e = keep_set(&r->keep, order->data, strlen(order->data));
    if (e) { // nothing has changed, and the order is the last that waits
        swap_subjects(r, order);
        struct regs_order **last = &r->waiting;
        while (*last != order) {
            last = &(*last)->next;
        }
        *last = NULL;
        order_done(order, e);
    }
}

static enum reeve_error add(struct regs *s, struct regs_order *order)
{
    const struct reeve *zk = s->o->zk;
    struct registration *r = kit_alloc(zk, sizeof(*r));
    if (!r) {
        return REEVE_NO_MEMORY;
    }
    enum reeve_error e = keep_init(&r->keep, s->o, order->path, order->flags, on_keep);
    e = e ? e : keep_set(&r->keep, order->data, strlen(order->data));
    if (e) {
        keep_fini(&r->keep);
        kit_free(zk, r);
        return e;
    }
    r->regs = s;
    r->subject = order->subject;
    order->subject = NULL;
    r->next = s->list;
    s->list = r;
    append(&r->waiting, order);
    keep_start(&r->keep);
    return REEVE_OK;
}

static void dispatch(struct regs *s, struct regs_order *order)
{
    if (s->o->closed) {
        order_done(order, kit_why_closed(s->o));
        return;
    }
    struct registration *r = find(s, order->path);
    if (r && r->leaving) {
        append(&r->after, order);
    } else if (order->kind == REGS_TAKE_OFF && r) {
        append(&r->taking_off, order);
        leave(r, REEVE_CANCELLED);
    } else if (order->kind == REGS_PUT && !r) {
        enum reeve_error e = add(s, order);
        if (e) {
            order_done(order, e);
        }
    } else if (r) {
        update(r, order);
    } else {
        order_done(order, REEVE_NO_NODE);
    }
}

static void on_order(struct kit_object *o, void *arg)
{
    (void)o;
    struct regs_order *order = arg;
    dispatch(order->regs, order);
}

enum reeve_error regs_send(struct regs *s, const struct regs_order *given)
{
    const struct reeve *zk = s->o->zk;
    struct regs_order *order = kit_alloc(zk, sizeof(*order));
    enum reeve_error e = REEVE_NO_MEMORY;
    if (order) {
        *order = *given;
        order->regs = s;
        if (order->path && (order->data || order->kind == REGS_TAKE_OFF)) {
            e = kit_send(s->o, on_order, order);
        }
        if (e) {
            order_free(order);
        }
        return e;
    }
    kit_free(zk, given->path);
    kit_free(zk, given->data);
    if (given->subject) {
        s->class->release(given->subject);
    }
    return e;
}

// ---- the object's -------------------------------------------------------------------------------

void regs_init(struct regs *s, struct kit_object *o, const struct regs_class *class)
{
    *s = (struct regs){.o = o, .class = class};
}

void regs_on_session(struct regs *s, const struct reeve_session *session)
{
    struct registration *r = s->list;
    while (r) {
        struct registration *next = r->next;
        keep_on_session(&r->keep, session);
        r = next;
    }
}

void regs_on_close(struct regs *s)
{
    enum reeve_error why = kit_why_closed(s->o);
    struct registration *r = s->list;
    while (r) {
        struct registration *next = r->next;
        orders_done(&r->after, why);
        if (!r->leaving || s->o->ended) {
            leave(r, why);
        }
        r = next;
    }
}
