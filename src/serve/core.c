// SPDX-License-Identifier: Apache-2.0
//
// What the parts of struct serve share: memory that outlives an event's work, the lists of outputs,
// and the end of a connection.
#include "serve/core.h"

#include "wire/ops.h"

// ---- memory of an event -------------------------------------------------------------------------

// Submits of an earlier event that were not taken yet keep it.
void core_release(struct serve *s)
{
    if (s->out.submits_n) {
        return;
    }
    for (size_t i = 0; i < s->held_n; i++) {
        mem_free(s->held[i]);
    }
    s->held_n = 0;
    for (size_t i = 0; i < s->held_bufs_n; i++) {
        bufpool_give(&s->pool, &s->held_bufs[i]);
    }
    s->held_bufs_n = 0;
    arena_reset(&s->arena);
}

void core_hold(struct serve *s, void *p)
{
    mem_grow((void **)&s->held, &s->held_cap, s->held_n + 1, sizeof(*s->held));
    s->held[s->held_n++] = p;
}

void core_hold_buf(struct serve *s, struct buf *b)
{
    if (b->cap) {
        mem_grow((void **)&s->held_bufs, &s->held_bufs_cap, s->held_bufs_n + 1,
                 sizeof(*s->held_bufs));
        s->held_bufs[s->held_bufs_n++] = *b;
    }
    *b = (struct buf){0};
}

// ---- outputs ------------------------------------------------------------------------------------

struct serve_out *serve_out(struct serve *s)
{
    return &s->out;
}

void serve_submits_clear(struct serve *s)
{
    s->out.submits_n = 0;
}

void serve_orders_clear(struct serve *s)
{
    s->out.orders_n = 0;
}

void core_order(struct serve *s, enum conn_order_kind kind, struct conn *c)
{
    struct serve_out *o = &s->out;
    if (o->orders_n == 0) {
        s->turn++; // the list was taken, so CONN_SEND may be said again
    }
    mem_grow((void **)&o->orders, &o->orders_cap, o->orders_n + 1, sizeof(*o->orders));
    o->orders[o->orders_n++] = (struct conn_order){kind, c->id};
    c->any_order_turn = s->turn;
}

void core_order_send(struct serve *s, struct conn *c)
{
    if (s->out.orders_n == 0 || c->orders_turn != s->turn) {
        core_order(s, CONN_SEND, c);
        c->orders_turn = s->turn;
    }
}

struct submit *core_submit(struct serve *s, enum submit_kind kind, struct conn *c)
{
    struct serve_out *o = &s->out;
    mem_grow((void **)&o->submits, &o->submits_cap, o->submits_n + 1, sizeof(*o->submits));
    struct submit *m = &o->submits[o->submits_n++];
    *m = (struct submit){.kind = kind,
                         .conn = c->id,
                         .session = c->session,
                         .auth = c->auth,
                         .local = c->local,
                         .timeout_ms = c->timeout_ms};
    return m;
}

void core_submit_session(struct serve *s, struct conn *c)
{
    struct submit *m = core_submit(s, SUBMIT_SESSION, c);
    m->op = OP_CREATE_SESSION;
    uint8_t *body = arena_alloc(&s->arena, 4);
    be32_put(body, (uint32_t)c->timeout_ms);
    m->body = slice_of(body, 4);
}

struct buf *core_conn_out(struct serve *s, struct conn *c)
{
    if (c->out.cap == 0) {
        c->out = bufpool_take(&s->pool);
    }
    return &c->out;
}

struct buf *serve_conn_out(struct serve *s, uint32_t conn)
{
    struct conn *c = conn_get(&s->conns, conn);
    must(c != NULL);
    c->orders_turn = 0;
    return &c->out;
}

void serve_conn_unsent(struct serve *s, uint32_t conn, size_t unsent)
{
    struct conn *c = conn_get(&s->conns, conn);
    if (!c) {
        return;
    }
    c->unsent = unsent;
    if (c->out.n == 0) {
        bufpool_give(&s->pool, &c->out);
    }
    if (unsent == 0) {
        c->notices = 0;
    }
    // Not only when all is gone: what was held back for a full output may go on below the mark.
    if (c->out.n + unsent <= LIMIT_CONN_UNSENT_PAUSE) {
        request_run_ready(s, c);
        feed_resume(s, c);
        feed_settle(s);
    }
}

// ---- the end of a connection --------------------------------------------------------------------

void core_pop(struct serve *s, struct conn *c)
{
    const struct order_item *x = order_head(&c->order, &s->items);
    s->throttle.in_process--;
    s->throttle.in_process_bytes -= x->cost;
    s->throttle.large_bytes -= x->large;
    order_pop(&c->order, &s->items);
}

// Lets go of all but what is still to be sent.
void core_let_go(struct serve *s, struct conn *c)
{
    if (c->session) {
        if (c->local) {
            expiry_touch(s->locals, c->session, core_heard(s, c));
        } else {
            core_submit(s, SUBMIT_TOUCH, c)->heard =
                core_heard(s, c); // serve_last_heard() forgets it now
        }
        orphan_keep(&s->orphans, &s->items, c->session, &c->order);
        conn_session_del(&s->conns, c);
    }
    while (c->order.n) {
        core_pop(s, c);
    }
    if (c->has_watches) {
        watch_drop(s->watches, c->id);
        c->has_watches = false;
    }
    feed_unlink(s, c);
    c->stalled = false;
    c->touched = false; // what serve_touched() will say of it stays
    c->local = false;
    core_hold_buf(s, &c->in);
    expiry_remove(s->idle, c->id);
    conn_set_state(c, CONN_CLOSING);
}

void core_close(struct serve *s, struct conn *c)
{
    if (c->state == CONN_CLOSING) {
        return;
    }
    core_let_go(s, c);
    if (c->out.n) {
        core_order_send(s, c);
    }
    core_order(s, CONN_CLOSE, c);
}

// Its number may be used again before the orders are carried out.
void core_forget_orders(struct serve *s, struct conn *c)
{
    struct serve_out *o = &s->out;
    if (o->orders_n == 0 || c->any_order_turn != s->turn) {
        return;
    }
    size_t n = 0;
    for (size_t i = 0; i < o->orders_n; i++) {
        if (o->orders[i].conn != c->id) {
            o->orders[n++] = o->orders[i];
        }
    }
    o->orders_n = n;
}
