// SPDX-License-Identifier: Apache-2.0
//
// Events in. See core.h for who does what.
#include "serve/core.h"

#include <inttypes.h>

#include "serve/reply.h"

static void begin(struct serve *s, struct mono now, struct wall wall)
{
    core_release(s);
    s->now = now;
    s->wall = wall;
}

// ---- connections --------------------------------------------------------------------------------

void serve_on_accept(struct serve *s, uint32_t conn, const struct net_addr *peer,
                     const struct net_addr *local, struct mono now, struct wall wall)
{
    (void)local;
    begin(s, now, wall);
    struct conn *c = conn_add(&s->conns, conn, peer);
    c->auth = auth_new(peer);
    c->auth_enough = !s->cfg.enforce_auth || auth_has_scheme(c->auth, s->cfg.enforce_auth_schemes);
    c->heard = now;
    c->since = wall;
    expiry_add(s->idle, conn, s->cfg.sessionless_timeout_ms, now);
    bool room = throttle_enter(&s->throttle, peer);
    if (!room) {
        s->stats.connections_rejected++;
        struct buf text = {0};
        auth_addr_fmt(peer, &text);
        log_warn(s->log, "too many connections (%zu, last from %.*s): closed; see maxClientCnxns",
                 s->conns.n, SLICE_ARG(buf_slice(&text)));
        buf_fini(&text);
    }
    if (!room || s->stopped) {
        core_close(s, c);
    }
}

void serve_on_data(struct serve *s, uint32_t conn, struct slice bytes, struct mono now,
                   struct wall wall)
{
    begin(s, now, wall);
    struct conn *c = conn_get(&s->conns, conn);
    if (!c) {
        return;
    }
    c->heard = now;
    s->stats.bytes_received += (int64_t)bytes.n;
    mode_touch(s, c);
    if (conn_reads(c)) {
        feed_bytes(s, c, bytes);
    }
    feed_settle(s);
}

void serve_on_drained(struct serve *s, uint32_t conn, struct mono now, struct wall wall)
{
    begin(s, now, wall);
    serve_conn_unsent(s, conn, 0);
    feed_settle(s);
}

void serve_on_closed(struct serve *s, uint32_t conn)
{
    core_release(s);
    struct conn *c = conn_get(&s->conns, conn);
    if (!c) {
        return;
    }
    if (c->state != CONN_CLOSING) {
        s->stats.unsuccessful_handshakes += c->state == CONN_HANDSHAKE;
        core_let_go(s, c);
    }
    core_forget_orders(s, c);
    throttle_leave(&s->throttle, &c->peer);
    bufpool_give(&s->pool, &c->out);
    core_hold(s, c->auth);
    c->auth = NULL;
    conn_del(&s->conns, c);
    feed_settle(s);
}

void serve_on_tick(struct serve *s, struct mono now, struct wall wall)
{
    begin(s, now, wall);
    int64_t id;
    while (expiry_due(s->idle, now, &id)) {
        struct conn *c = conn_get(&s->conns, (uint32_t)id);
        must(c != NULL);
        int32_t timeout_ms = c->session ? c->timeout_ms : s->cfg.sessionless_timeout_ms;
        struct mono heard = core_heard(s, c);
        if (mono_diff_ms(now, heard) < timeout_ms) {
            expiry_touch(s->idle, id, heard);
            continue;
        }
        s->stats.sessionless_expired += c->session == 0;
        s->stats.connections_dropped++;
        log_info(s->log, "connection %u of session 0x%" PRIx64 " silent for %d ms: closed", c->id,
                 (uint64_t)c->session, timeout_ms);
        core_close(s, c);
    }
    mode_tick(s);
    local_tick(s);
    feed_settle(s);
}

void serve_on_turn(struct serve *s, struct mono now, struct wall wall)
{
    begin(s, now, wall);
    feed_turn(s);
}

bool serve_wants_turn(const struct serve *s)
{
    return s->waiting[WAIT_TURN].n > 0;
}

bool serve_last_heard(const struct serve *s, int64_t session, struct mono *at)
{
    const struct conn *c = conn_of_session(&s->conns, session);
    if (c) {
        *at = core_heard(s, c);
    }
    return c != NULL;
}

void serve_shift(struct serve *s, int64_t ms)
{
    expiry_shift(s->idle, ms);
    expiry_shift(s->locals, ms);
    for (size_t i = 0; i < s->conns.by_id_n; i++) {
        struct conn *c = conn_get(&s->conns, (uint32_t)i);
        if (c) {
            c->heard = mono_add_ms(c->heard, ms);
        }
    }
}

// ---- outcomes of what was submitted -------------------------------------------------------------

static struct reply_to reply_of(const struct order_item *x)
{
    return (struct reply_to){.xid = x->xid, .op = x->op, .arrived = {x->arrived_ns}};
}

// The outcome of a write lies in `frame` (encoded by the caller): it leaves now if it is its turn.
// as_applied: it has no zxid of its own, and must not go back behind replies before it.
static void answer_write(struct serve *s, struct conn *c, struct order_item *x, struct slice frame,
                         int64_t zxid, bool as_applied)
{
    bool ends = x->op == OP_CLOSE_SESSION;
    if (x != order_head(&c->order, &s->items)) {
        order_answer(x, frame, ends);
        x->as_applied = as_applied;
        return;
    }
    buf_put_slice(core_conn_out(s, c), frame);
    struct reply_to to = reply_of(x);
    reply_account(s, c, &to, zxid, frame.n);
    core_pop(s, c);
    if (ends) {
        core_close(s, c);
        return;
    }
    request_run_ready(s, c);
    feed_resume(s, c);
}

// Java's FinalRequestProcessor looks into a multi for it, too.
static bool has_moved(const struct txn *txn, const struct apply_result *r)
{
    for (int32_t i = 0; txn->hdr.type == OP_MULTI && i < txn->parts_n; i++) {
        const struct txn_body *part = &txn->parts[i];
        if (part->type == OP_ERROR && part->error.err == ZK_SESSIONMOVED) {
            return true;
        }
    }
    return r->err == ZK_SESSIONMOVED;
}

static void answer_txn(struct serve *s, struct conn *c, const struct txn *txn,
                       const struct apply_result *r)
{
    int32_t type = txn->hdr.type;
    struct order_item *x = order_oldest_write(&c->order, &s->items);
    struct apply_result local;
    bool closes = type == OP_CLOSE_SESSION;
    if (!x || x->xid != txn->hdr.cxid || (closes && x->op != OP_CLOSE_SESSION)) {
        return; // the server's own, such as an expiry
    }
    if (has_moved(txn, r)) {
        core_close(s, c); // its client is elsewhere and needs no answer
        return;
    }
    if (x->needs_global && r->err && type != OP_MULTI) {
        local = *r; // as the leader saw it, its session is unknown
        local.err = ZK_EPHEMERALONLOCALSESSION;
        r = &local;
    }
    if (x == order_head(&c->order, &s->items) && !closes) {
        struct buf *out = core_conn_out(s, c); // the common case: straight into the output
        size_t at = out->n;
        reply_txn_encode(out, x->xid, x->op, slice_of(x->bytes, x->bytes_n), txn, r);
        struct reply_to to = reply_of(x);
        reply_account(s, c, &to, txn->hdr.zxid, out->n - at);
        bool ends = x->op == OP_CLOSE_SESSION;
        core_pop(s, c);
        if (ends) {
            core_close(s, c);
            return;
        }
        if (c->order.n) {
            request_run_ready(s, c);
        }
        feed_resume(s, c);
        return;
    }
    struct buf frame = {0};
    reply_txn_encode(&frame, x->xid, x->op, slice_of(x->bytes, x->bytes_n), txn, r);
    answer_write(s, c, x, buf_slice(&frame), txn->hdr.zxid, false);
    buf_fini(&frame);
}

// A local session may have become global, here or where its client went.
static void session_made(struct serve *s, int64_t session)
{
    local_end(s, session);
    struct conn *c = conn_of_session(&s->conns, session);
    if (c && c->state == CONN_HANDSHAKE && !c->renew_tag) {
        handshake_answer(s, c, true);
    } else if (c) {
        mode_touch(s, c);
    }
}

void serve_on_commit(struct serve *s, const struct txn *txn, const struct apply_out *out,
                     struct mono now, struct wall wall)
{
    begin(s, now, wall);
    s->stats.commits++;
    if (wall.ms >= txn->hdr.time) {
        histogram_add(&s->stats.propagation, wall.ms - txn->hdr.time);
    }
    if (out->fired_n) {
        notify_fire(s, txn->hdr.zxid, out);
    }
    int64_t session = txn->hdr.client_id;
    struct conn *c = conn_of_session(&s->conns, session);
    if (txn->hdr.type == OP_CREATE_SESSION) {
        session_made(s, session);
    } else if (orphan_take(&s->orphans, &s->items, session, txn->hdr.cxid)) {
        c = txn->hdr.type == OP_CLOSE_SESSION ? c : NULL;
    } else if (c && c->state != CONN_HANDSHAKE) {
        answer_txn(s, c, txn, &out->result);
    }
    if (txn->hdr.type == OP_CLOSE_SESSION) {
        c = conn_of_session(&s->conns, session);
        if (c && c->state == CONN_HANDSHAKE) {
            handshake_answer(s, c, false);
        } else if (c && !order_ends(&c->order, &s->items)) {
            core_close(s, c); // else its own request, which is answered in its turn
        }
        orphan_forget(&s->orphans, &s->items, session);
    }
    feed_settle(s);
}

void serve_on_refuse(struct serve *s, int64_t session, int32_t cxid, int32_t op, enum zkerr err,
                     struct mono now, struct wall wall)
{
    begin(s, now, wall);
    struct conn *c = conn_of_session(&s->conns, session);
    if (op != OP_CREATE_SESSION && orphan_take(&s->orphans, &s->items, session, cxid)) {
        c = NULL;
    }
    if (c && c->state == CONN_HANDSHAKE && op == OP_CREATE_SESSION && !c->renew_tag) {
        s->stats.unsuccessful_handshakes++;
        core_close(s, c); // another server, or this one later, can make the session
    } else if (c && op == OP_CREATE_SESSION) {
        if (c->state != CONN_HANDSHAKE && s->cfg.local_sessions) {
            (void)local_begin(s, c); // it stays what it was
        }
    } else if (c) {
        struct order_item *x = order_find_write(&c->order, &s->items, cxid, op);
        if (!x && op != OP_CLOSE_SESSION) {
            // The refused transaction's type may differ from what was asked: an error, a container.
            x = order_oldest_write(&c->order, &s->items);
            x = x && x->xid == cxid ? x : NULL;
        }
        if (x && err == ZK_SESSIONMOVED) {
            core_close(s, c); // as answer_txn() does
        } else if (x) {
            int64_t zxid = tree_zxid(s->tree);
            struct buf frame = {0};
            reply_head_encode(&frame, cxid, zxid, err);
            answer_write(s, c, x, buf_slice(&frame), zxid, true);
            buf_fini(&frame);
        }
    }
    feed_settle(s);
}

void serve_on_synced(struct serve *s, uint64_t tag, struct mono now, struct wall wall)
{
    begin(s, now, wall);
    struct conn *c = conn_get(&s->conns, (uint32_t)(tag >> 32));
    struct order_item *x = c ? order_find_sync(&c->order, &s->items, (uint32_t)tag) : NULL;
    if (x) {
        struct buf frame = {0};
        int64_t zxid = tree_zxid(s->tree);
        reply_head_encode(&frame, x->xid, zxid, ZK_OK);
        buf_put(&frame, x->bytes, x->bytes_n); // the path as it came
        be32_put(frame.p, (uint32_t)(frame.n - 4));
        answer_write(s, c, x, buf_slice(&frame), zxid, true);
        buf_fini(&frame);
    }
    feed_settle(s);
}

void serve_on_renewed(struct serve *s, uint64_t tag, bool alive, struct mono now, struct wall wall)
{
    begin(s, now, wall);
    struct conn *c = conn_get(&s->conns, (uint32_t)(tag >> 32));
    if (c && c->state == CONN_HANDSHAKE && c->renew_tag == (uint32_t)tag) {
        handshake_answer(s, c, alive);
    }
    feed_settle(s);
}

// ---- life ---------------------------------------------------------------------------------------

static void init_auth(struct serve *s)
{
    const struct tree_config *t = tree_config(s->tree);
    s->auth_cfg = (struct auth_config){.digest_enabled = t->acl.digest_enabled,
                                       .digest_alg = s->cfg.digest_alg,
                                       .super_digest = s->cfg.super_digest,
                                       .ensemble_name = s->cfg.ensemble_auth_name,
                                       .bytes_max = LIMIT_AUTH_BYTES};
}

struct serve *serve_new(const struct serve_config *cfg, const struct tree *tree,
                        const struct logger *log, struct wall now,
                        struct serve_facts *(*facts)(void *ctx), void *facts_ctx)
{
    must(cfg->sessionless_timeout_ms > 0);
    must(cfg->session_min_ms <= cfg->session_max_ms);
    struct serve *s = mem_zalloc(sizeof(*s));
    s->cfg = *cfg;
    s->tree = tree;
    s->log = log;
    s->facts = facts;
    s->facts_ctx = facts_ctx;
    s->mode = SERVE_FULL;
    s->turn = 1;
    s->trigger = 1;
    s->trace_mask = 306; // Apache's default
    init_auth(s);
    s->words_enabled = word_whitelist(cfg->fourletter_whitelist, cfg->read_only_enabled);
    conn_table_init(&s->conns, cfg->seed ^ 1);
    order_slab_init(&s->items);
    orphans_init(&s->orphans);
    s->idle = expiry_new(cfg->sessionless_timeout_ms, cfg->seed ^ 2);
    s->locals = expiry_new(cfg->tick_ms, cfg->seed ^ 5);
    session_ids_init(&s->ids, cfg->server_id, now);
    s->watches = watches_new(cfg->seed ^ 3);
    throttle_init(&s->throttle,
                  &(struct throttle_config){.per_addr_max = cfg->client_cnxns_max,
                                            .conns_max = cfg->cnxns_max,
                                            .in_process_max = cfg->outstanding_max,
                                            .queue_max = cfg->throttle_max_requests,
                                            .large_threshold = cfg->large_request_threshold,
                                            .large_max = cfg->large_request_max_bytes,
                                            .tokens_max = cfg->connection_tokens,
                                            .token_fill_ms = cfg->connection_token_fill_ms,
                                            .token_fill_count = cfg->connection_token_fill_count},
                  cfg->seed ^ 4);
    stats_init(&s->stats);
    return s;
}

void serve_free(struct serve **sp)
{
    struct serve *s = *sp;
    if (!s) {
        return;
    }
    for (size_t i = 0; i < s->conns.by_id_n; i++) {
        serve_on_closed(s, (uint32_t)i);
    }
    must(s->throttle.in_process == 0);
    s->out.submits_n = 0;
    core_release(s);
    orphans_fini(&s->orphans, &s->items);
    conn_table_fini(&s->conns);
    slab_fini(&s->items);
    expiry_free(&s->idle);
    expiry_free(&s->locals);
    watches_free(&s->watches);
    throttle_fini(&s->throttle);
    bufpool_fini(&s->pool);
    buf_fini(&s->notice);
    arena_fini(&s->arena);
    mem_free(s->hits);
    mem_free(s->touched);
    mem_free(s->held);
    mem_free(s->held_bufs);
    mem_free(s->out.submits);
    mem_free(s->out.orders);
    mem_free(s);
    *sp = NULL;
}

void serve_stop(struct serve *s)
{
    s->stopped = true;
    for (size_t i = 0; i < s->conns.by_id_n; i++) {
        struct conn *c = conn_get(&s->conns, (uint32_t)i);
        if (c) {
            core_close(s, c);
        }
    }
}

void serve_hold_writes(struct serve *s, bool hold)
{
    s->hold_writes = hold;
    feed_settle(s);
}

void serve_check(const struct serve *s)
{
    conn_table_check(&s->conns);
    throttle_check(&s->throttle);
    expiry_check(s->idle);
    must(s->throttle.conns == s->conns.n);
    int64_t in_process = 0;
    int64_t in_process_bytes = 0;
    uint32_t waiting = 0;
    for (size_t i = 0; i < s->conns.by_id_n; i++) {
        const struct conn *c = conn_get(&s->conns, (uint32_t)i);
        if (!c) {
            continue;
        }
        order_check(&c->order, &s->items);
        in_process += c->order.n;
        in_process_bytes += (int64_t)c->order.cost;
        must(c->order.reads <= CORE_QUEUED_READS_MAX);
        must(!c->paused || c->stalled || !conn_reads(c));
        must(c->waits == WAIT_NONE || c->stalled);
        waiting += c->waits != WAIT_NONE;
        must((c->state == CONN_CLOSING) != expiry_has(s->idle, c->id, NULL));
        must(!c->local || c->state == CONN_LEAVING || local_has(s, c->session));
        must(s->mode != SERVE_READ_ONLY || !c->session || c->local);
        must(s->mode != SERVE_OFF || c->state == CONN_NEW || c->state == CONN_CLOSING);
        // What can be answered was, unless its output is full.
        must(!order_is_ready(&c->order, &s->items) ||
             c->out.n + c->unsent > LIMIT_CONN_UNSENT_PAUSE);
    }
    must(waiting == s->waiting[WAIT_ROOM].n + s->waiting[WAIT_TURN].n + s->waiting[WAIT_MODE].n);
    mode_check(s);
    must(in_process == s->throttle.in_process);
    must(in_process_bytes == s->throttle.in_process_bytes);
    watches_check(s->watches);
}
