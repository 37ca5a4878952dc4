// SPDX-License-Identifier: Apache-2.0
//
// A frame -> a reply (reads), a submit (writes, syncs) or a place in the order. Reads with nothing
// before them are answered at once, from the frame where it lies into the output buffer. Java:
// ZooKeeperServer.processPacket, FinalRequestProcessor.
#include <inttypes.h>

#include "serve/reply.h"
#include "tree/read.h"
#include "wire/jute.h"
#include "wire/multi.h"
#include "wire/ops.h"

struct request {
    int32_t xid, op;
    struct mono arrived;
    struct slice body;
};

// ---- reads --------------------------------------------------------------------------------------

static void watch(struct serve *s, struct conn *c, struct slice path, unsigned mode)
{
    watch_add(s->watches, c->id, path, mode);
    c->has_watches = true;
}

// exists, getData, getChildren, getChildren2: path and whether to watch it.
static enum zkerr read_watching(struct serve *s, struct conn *c, const struct request *r,
                                struct slice *path, struct buf *out)
{
    struct jute_in in = jute_in(r->body, s->cfg.bytes_max);
    *path = jute_get_bytes(&in);
    bool wanted = jute_get_bool(&in);
    if (in.err || slice_is_null(*path)) {
        return ZK_MARSHALLINGERROR;
    }
    enum zkerr e;
    unsigned mode = WATCH_DATA;
    switch (r->op) {
    case OP_GET_DATA:
        e = read_data(s->tree, c->auth, *path, out);
        break;
    case OP_EXISTS:
        e = read_exists(s->tree, c->auth, *path, out);
        wanted = wanted && (!e || e == ZK_NONODE); // it may wait for the node to come
        break;
    default:
        e = read_children(s->tree, c->auth, *path, r->op == OP_GET_CHILDREN2, out);
        mode = WATCH_CHILD;
        break;
    }
    if (wanted && (!e || r->op == OP_EXISTS)) {
        watch(s, c, *path, mode);
    }
    return e;
}

// getACL, getAllChildrenNumber, getEphemerals: only a path.
static enum zkerr read_plain(struct serve *s, struct conn *c, const struct request *r,
                             struct slice *path, struct buf *out)
{
    struct jute_in in = jute_in(r->body, s->cfg.bytes_max);
    *path = jute_get_bytes(&in);
    if (in.err || (slice_is_null(*path) && r->op != OP_GET_EPHEMERALS)) {
        return ZK_MARSHALLINGERROR;
    }
    switch (r->op) {
    case OP_GET_ACL:
        return read_acl(s->tree, c->auth, *path, out);
    case OP_GET_ALL_CHILDREN_NUMBER:
        return read_all_children_number(s->tree, c->auth, *path, out);
    default:
        return read_ephemerals(s->tree, c->session, *path, out);
    }
}

static void put_who(const struct auth *who, struct buf *out)
{
    buf_put_i32(out, who->n);
    for (int32_t i = 0; i < who->n; i++) {
        jute_put_bytes(out, who->ids[i].scheme);
        jute_put_bytes(out, auth_user(&who->ids[i]));
    }
}

static enum zkerr read_any(struct serve *s, struct conn *c, const struct request *r,
                           struct slice *path, struct buf *out)
{
    switch (r->op) {
    case OP_GET_DATA:
    case OP_EXISTS:
    case OP_GET_CHILDREN:
    case OP_GET_CHILDREN2:
        return read_watching(s, c, r, path, out);
    case OP_GET_ACL:
    case OP_GET_ALL_CHILDREN_NUMBER:
    case OP_GET_EPHEMERALS:
        return read_plain(s, c, r, path, out);
    case OP_MULTI_READ:
        return read_multi(s->tree, c->auth, r->body, out);
    case OP_ADD_WATCH:
        return watchop_add(s, c, r->body, out);
    case OP_CHECK_WATCHES:
    case OP_REMOVE_WATCHES:
        return watchop_check(s, c, r->body, r->op == OP_REMOVE_WATCHES);
    case OP_WHO_AM_I:
        put_who(c->auth, out);
        return ZK_OK;
    case OP_PING:
        return ZK_OK;
    case OP_SYNC: // only one that cannot be decoded comes here
        return ZK_MARSHALLINGERROR;
    default:
        return ZK_UNIMPLEMENTED;
    }
}

static uint32_t work_of(int32_t op, enum zkerr e, const uint8_t *reply, size_t n)
{
    size_t work = 1 + n / CORE_WORK_BYTES;
    if (op == OP_GET_ALL_CHILDREN_NUMBER && !e) {
        work += be32_get(reply + REPLY_HEAD) / CORE_WORK_NODES; // it has counted them
    }
    return work < CORE_TURN_WORK_MAX ? (uint32_t)work : CORE_TURN_WORK_MAX;
}

// Answers everything that is answered from the state of this server.
static void answer_read(struct serve *s, struct conn *c, const struct request *r)
{
    struct reply_to to = {.xid = r->xid, .op = r->op, .arrived = r->arrived};
    int64_t zxid = tree_zxid(s->tree);
    if (r->op == OP_SET_WATCHES || r->op == OP_SET_WATCHES2) {
        enum zkerr e = watchop_set(s, c, r->op, r->body); // its events go out first
        if (c->state != CONN_CLOSING) {
            reply_head(s, c, &to, zxid, e);
        }
        return;
    }
    size_t at = reply_begin(s, c);
    enum zkerr e = read_any(s, c, r, &to.path, &c->out);
    if (r->op == OP_PING) {
        to.xid = -2;
    }
    c->work += work_of(r->op, e, c->out.p + at, c->out.n - at);
    reply_end(s, c, at, &to, e == ZK_UNIMPLEMENTED ? -1 : zxid, e);
    if (e == ZK_UNIMPLEMENTED) {
        log_info(s->log, "session 0x%" PRIx64 " sent opcode %d, which no client may: closed",
                 (uint64_t)c->session, r->op);
        core_close(s, c);
    }
}

// ---- order --------------------------------------------------------------------------------------

static struct order_item *queue(struct serve *s, struct conn *c, const struct request *r,
                                enum order_kind kind, struct slice bytes)
{
    struct order_item item = {
        .xid = r->xid, .op = r->op, .kind = (uint8_t)kind, .arrived_ns = r->arrived.ns};
    item.large = throttle_large_of(&s->throttle, r->body.n + 8);
    item.cost = (uint32_t)(r->body.n + sizeof(item));
    s->throttle.large_bytes += item.large;
    s->throttle.in_process_bytes += item.cost;
    s->throttle.in_process++;
    return order_push(&c->order, &s->items, &item, bytes);
}

static void take_read(struct serve *s, struct conn *c, const struct request *r)
{
    if (c->order.n == 0) {
        answer_read(s, c, r);
    } else {
        queue(s, c, r, ORDER_READ, r->body);
    }
}

// Which parts of a multi ask for create2: a byte each, null if none does. Their transactions say
// create, so the answer must know from the request.
static struct slice with_stat(struct serve *s, struct slice body)
{
    struct jute_in in = jute_in(body, s->cfg.bytes_max);
    struct buf parts = {0};
    bool any = false;
    int32_t op;
    while (multi_next(&in, &s->arena, &op)) {
        any = any || op == OP_CREATE2;
        buf_put_u8(&parts, op == OP_CREATE2);
    }
    struct slice kept = any ? arena_copy(&s->arena, buf_slice(&parts)) : SLICE_NULL;
    buf_fini(&parts);
    return kept;
}

// The end of a local session is nobody else's business.
static void take_local_close(struct serve *s, struct conn *c, const struct request *r)
{
    int64_t zxid = tree_zxid(s->tree);
    local_end(s, c->session);
    c->local = true; // until the connection ends, so that nobody is told of its session
    conn_set_state(c, CONN_LEAVING);
    if (c->order.n == 0) {
        struct reply_to to = {.xid = r->xid, .op = r->op, .arrived = r->arrived};
        reply_head(s, c, &to, zxid, ZK_OK);
        core_close(s, c);
        return;
    }
    struct buf frame = {0};
    reply_head_encode(&frame, r->xid, zxid, ZK_OK);
    struct order_item *x = queue(s, c, r, ORDER_WRITE, SLICE_NULL);
    order_answer(x, buf_slice(&frame), true);
    x->as_applied = true;
    buf_fini(&frame);
}

static void take_write(struct serve *s, struct conn *c, const struct request *r)
{
    if (c->local && r->op == OP_CLOSE_SESSION) {
        take_local_close(s, c, r);
        return;
    }
    bool needs_global = c->local && local_needs_global(s, r->op, r->body);
    if (needs_global && s->cfg.local_upgrade) {
        local_upgrade(s, c);
        needs_global = false;
    }
    queue(s, c, r, ORDER_WRITE, r->op == OP_MULTI ? with_stat(s, r->body) : SLICE_NULL)
        ->needs_global = needs_global; // which the leader finds out
    struct submit *m = core_submit(s, SUBMIT_WRITE, c);
    m->cxid = r->xid;
    m->op = r->op;
    m->body = r->body;
    if (r->op == OP_CLOSE_SESSION) {
        conn_set_state(c, CONN_LEAVING);
    }
}

static void take_sync(struct serve *s, struct conn *c, const struct request *r)
{
    struct jute_in in = jute_in(r->body, s->cfg.bytes_max);
    jute_get_bytes(&in);
    if (in.err) {
        take_read(s, c, r);
        return;
    }
    struct slice path = slice_head(r->body, (size_t)(in.p - r->body.p)); // with its length
    struct order_item *x = queue(s, c, r, ORDER_SYNC, path);
    x->tag = ++s->next_tag;
    struct submit *m = core_submit(s, SUBMIT_SYNC, c);
    m->cxid = r->xid;
    m->op = r->op;
    m->body = path; // a learner sends the request on as it came
    m->tag = (uint64_t)c->id << 32 | x->tag;
}

// A request that is answered with an error in its turn, whatever it was.
static void take_refused(struct serve *s, struct conn *c, const struct request *r, enum zkerr err)
{
    int64_t zxid = tree_zxid(s->tree);
    if (c->order.n == 0) {
        struct reply_to to = {.xid = r->xid, .op = r->op, .arrived = r->arrived};
        reply_head(s, c, &to, zxid, err);
        return;
    }
    struct buf frame = {0};
    reply_head_encode(&frame, r->xid, zxid, err);
    struct order_item *x = queue(s, c, r, ORDER_WRITE, SLICE_NULL);
    order_answer(x, buf_slice(&frame), false);
    x->as_applied = true;
    buf_fini(&frame);
}

void request_run_ready(struct serve *s, struct conn *c)
{
    bool first = true;
    while (order_is_ready(&c->order, &s->items)) {
        // With a write behind it a read must not wait for the peer: it would see that write.
        if (c->out.n + c->unsent > LIMIT_CONN_UNSENT_PAUSE &&
            !order_oldest_write(&c->order, &s->items)) {
            return;
        }
        struct order_item *x = order_head(&c->order, &s->items);
        const void *bytes = x->bytes_n ? x->bytes : (const void *)"";
        struct request r = {x->xid, x->op, {x->arrived_ns}, slice_of(bytes, x->bytes_n)};
        bool ends = x->close_after;
        if (x->answered) {
            struct reply_to to = {.xid = r.xid, .op = r.op, .arrived = r.arrived};
            if (x->as_applied) {
                be64_put(x->bytes + 8, (uint64_t)tree_zxid(s->tree));
            }
            buf_put_slice(core_conn_out(s, c), r.body);
            reply_account(s, c, &to, (int64_t)be64_get(r.body.p + 8), r.body.n);
        } else {
            if (first) {
                summary_add(&s->stats.reads_behind_write, c->order.reads);
            }
            first = false;
            answer_read(s, c, &r);
        }
        if (c->state == CONN_CLOSING) {
            return; // which has let go of the order
        }
        core_pop(s, c);
        if (ends) {
            core_close(s, c);
            return;
        }
    }
}

// ---- identities ---------------------------------------------------------------------------------

// Answers of the I/O layer: at once, zxid 0.
static void answer_io(struct serve *s, struct conn *c, int32_t xid, enum zkerr err, bool token)
{
    struct buf *out = core_conn_out(s, c);
    size_t at = out->n;
    reply_head_encode(out, xid, 0, err);
    if (token) {
        buf_put_i32(out, -1);
        be32_put(out->p + at, (uint32_t)(out->n - at - 4));
    }
    s->stats.sent++;
    c->stats.sent++;
    core_order_send(s, c);
}

static void take_auth(struct serve *s, struct conn *c, const struct request *r)
{
    struct auth_packet p;
    struct jute_in in = jute_in(r->body, s->cfg.bytes_max);
    jute_get_record(&in, &record_auth_packet, &p, &s->arena);
    if (in.err) {
        core_close(s, c);
        return;
    }
    struct auth *longer;
    enum auth_result result = auth_packet_apply(&s->auth_cfg, c->auth, p.scheme, p.auth, &longer);
    if (slice_eq_str(p.scheme, "ensemble")) {
        s->stats.ensemble_success += result == AUTH_OK && p.auth.n > 0;
        s->stats.ensemble_skip += result == AUTH_OK && p.auth.n == 0;
        s->stats.ensemble_fail += result == AUTH_CLOSE;
    }
    if (result != AUTH_OK) {
        s->stats.auth_failed++;
        log_warn(s->log, "session 0x%" PRIx64 ": authentication with scheme %.*s failed: closed",
                 (uint64_t)c->session, (int)(p.scheme.n < 64 ? p.scheme.n : 64),
                 p.scheme.p ? (const char *)p.scheme.p : "");
        if (result == AUTH_FAILED) {
            answer_io(s, c, r->xid, ZK_AUTHFAILED, false);
        }
        core_close(s, c);
        return;
    }
    if (longer) {
        if (s->out.submits_n) {
            core_hold(s, c->auth); // they may name it
        } else {
            mem_free(c->auth);
        }
        c->auth = longer;
        c->auth_enough = c->auth_enough || auth_has_scheme(longer, s->cfg.enforce_auth_schemes);
    }
    answer_io(s, c, r->xid, ZK_OK, false);
}

// As a server without SASL: any token is answered with null. client-protocol.md 4.6.
static void take_sasl(struct serve *s, struct conn *c, const struct request *r)
{
    struct jute_in in = jute_in(r->body, s->cfg.bytes_max);
    struct slice token = jute_get_bytes(&in);
    if (in.err || slice_is_null(token)) {
        core_close(s, c);
        return;
    }
    answer_io(s, c, r->xid, ZK_OK, true);
}

// ---- dispatch -----------------------------------------------------------------------------------

// Java: ReadOnlyRequestProcessor.
static bool is_change(const struct op_info *info)
{
    return (info->kind == OP_KIND_WRITE && info->code != OP_CLOSE_SESSION) ||
           info->code == OP_SYNC || info->code == OP_CHECK || info->code == OP_DELETE_CONTAINER;
}

static void dispatch(struct serve *s, struct conn *c, const struct request *r)
{
    const struct op_info *info = op_find(r->op);
    if (s->mode == SERVE_READ_ONLY && info && is_change(info)) {
        take_refused(s, c, r, ZK_NOTREADONLY);
        return;
    }
    switch (info ? info->kind : OP_KIND_NONE) {
    case OP_KIND_READ:
        take_read(s, c, r);
        break;
    case OP_KIND_WRITE:
        take_write(s, c, r);
        break;
    case OP_KIND_SESSION:
        take_sync(s, c, r);
        break;
    case OP_KIND_NONE:
    case OP_KIND_INTERNAL:
    default:
        conn_set_state(c, CONN_LEAVING); // its answer ends the connection
        take_read(s, c, r);
        break;
    }
}

void request_take(struct serve *s, struct conn *c, struct slice frame, struct mono arrived,
                  bool late)
{
    s->stats.received++;
    c->stats.received++;
    if (c->state == CONN_NEW) {
        handshake_request(s, c, frame);
        return;
    }
    if (frame.n < 8) {
        log_info(s->log, "session 0x%" PRIx64 " sent a request without a header: closed",
                 (uint64_t)c->session);
        core_close(s, c);
        return;
    }
    struct request r = {(int32_t)be32_get(frame.p), (int32_t)be32_get(frame.p + 4), arrived,
                        slice_skip(frame, 8)};
    if (r.op == OP_AUTH) {
        take_auth(s, c, &r);
    } else if (r.op == OP_SASL) {
        take_sasl(s, c, &r);
    } else if (!c->auth_enough) {
        log_warn(s->log,
                 "session 0x%" PRIx64 " sent a request before it authenticated with %s: "
                 "closed; see enforce.auth.schemes",
                 (uint64_t)c->session, s->cfg.enforce_auth_schemes);
        answer_io(s, c, r.xid, ZK_SESSIONCLOSEDREQUIRESASLAUTH, false);
        core_close(s, c);
    } else if (late && r.op != OP_PING && r.op != OP_CLOSE_SESSION) {
        s->stats.throttled_ops++;
        take_refused(s, c, &r, ZK_THROTTLEDOP);
    } else {
        dispatch(s, c, &r);
    }
}
