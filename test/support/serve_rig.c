// SPDX-License-Identifier: Apache-2.0
#include "test/support/serve_rig.h"

#include "serve/session_id.h"
#include "wire/jute.h"
#include "wire/ops.h"

static void count_line(void *ctx, enum log_level level, const char *line)
{
    (void)level;
    must(line[0] != 0);
    ((struct rig *)ctx)->logged++;
}

static struct serve_facts *facts(void *ctx)
{
    return &((struct rig *)ctx)->facts;
}

void rig_defaults(struct serve_config *cfg)
{
    *cfg = (struct serve_config){.tick_ms = 2000,
                                 .session_min_ms = 4000,
                                 .session_max_ms = 40000,
                                 .frame_max = 1048575,
                                 .bytes_max = 2 * 1048575,
                                 .client_cnxns_max = 60,
                                 .outstanding_max = 1000,
                                 .large_request_threshold = -1,
                                 .large_request_max_bytes = 100 << 20,
                                 .sessionless_timeout_ms = 10000,
                                 .fourletter_whitelist = "*",
                                 .digest_alg = "SHA1",
                                 .enforce_auth_schemes = "",
                                 .seed = 7,
                                 .version = "3.9.5-rig, built on a bench"};
}

struct rig *rig_new(const struct serve_config *cfg)
{
    struct rig *r = mem_zalloc(sizeof(*r));
    rig_defaults(&r->cfg);
    if (cfg) {
        r->cfg = *cfg;
    }
    r->logger = (struct logger){count_line, r, LOG_DEBUG};
    struct tree_config tc = {.acl = {.digest_enabled = true},
                             .extended_types = true,
                             .digest_enabled = true,
                             .close_session_txn = true,
                             .seed = 11,
                             .bytes_max = r->cfg.bytes_max};
    r->tree = tree_new(&tc, &r->logger);
    r->pending = pending_new(r->tree);
    r->now.ns = 1000000000;
    r->wall.ms = 1795213674310;
    r->facts.mode = "standalone";
    r->facts.serving = true;
    r->facts.conf_text = "clientPort=2181\n";
    r->serve = serve_new(&r->cfg, r->tree, &r->logger, r->wall, facts, r);
    r->clients = mem_zalloc(RIG_CONNS * sizeof(*r->clients));
    r->auto_commit = true;
    return r;
}

void rig_free(struct rig **rp)
{
    struct rig *r = *rp;
    serve_check(r->serve);
    serve_free(&r->serve);
    expiry_free(&r->expiry);
    pending_free(&r->pending);
    tree_free(&r->tree);
    for (size_t i = 0; i < RIG_CONNS; i++) {
        buf_fini(&r->clients[i].got);
        buf_fini(&r->clients[i].unsent);
        buf_fini(&r->clients[i].held);
    }
    for (size_t i = r->log_at; i < r->log_n; i++) {
        buf_fini(&r->log[i]);
    }
    mem_free(r->log);
    mem_free(r->asks);
    mem_free(r->clients);
    buf_fini(&r->rest_hex);
    mem_free(r);
    *rp = NULL;
}

// ---- node's part --------------------------------------------------------------------------------

// The session is global, or will be before what is proposed next.
static bool is_known(const struct rig *r, int64_t session)
{
    bool known = session_get(tree_sessions_const(r->tree), session, NULL);
    for (size_t i = r->log_at; i < r->log_n && !known; i++) {
        struct txn_header h;
        must(txn_decode_header(buf_slice(&r->log[i]), &h) == ERR_OK);
        known = h.type == OP_CREATE_SESSION && h.client_id == session;
    }
    return known;
}

static void propose(struct rig *r, const struct submit *m)
{
    mem_grow((void **)&r->log, &r->log_cap, r->log_n + 1, sizeof(*r->log));
    struct prep_request req = {
        .session = m->session, .cxid = m->cxid, .op = m->op, .body = m->body, .auth = m->auth};
    struct buf txn = {0};
    bool local = r->takes_locals && m->local;
    must(!m->local || !is_known(r, m->session));
    if (local) {
        req.session = 0;
    }
    (void)prep_txn(r->pending, &req, ++r->zxid, r->wall, &txn);
    if (local) {
        be64_put(txn.p, (uint64_t)m->session); // TxnHeader's clientId
    }
    r->log[r->log_n++] = txn;
}

struct refused {
    int64_t session;
    int32_t cxid, op;
};

static void take_submits(struct rig *r)
{
    struct serve_out *out = serve_out(r->serve);
    struct refused *refused = mem_alloc(out->submits_n * sizeof(*refused));
    size_t refused_n = 0;
    for (size_t i = 0; i < out->submits_n; i++) {
        const struct submit *m = &out->submits[i];
        switch (m->kind) {
        case SUBMIT_TOUCH:
            r->touches++;
            if (r->expiry) {
                expiry_touch(r->expiry, m->session, m->heard);
            }
            break;
        case SUBMIT_SYNC:
        case SUBMIT_RENEW:
            mem_grow((void **)&r->asks, &r->asks_cap, r->asks_n + 1, sizeof(*r->asks));
            r->asks[r->asks_n++] =
                (struct rig_ask){m->tag, m->kind == SUBMIT_RENEW ? m->session : 0, r->log_n};
            break;
        case SUBMIT_WRITE:
        case SUBMIT_SESSION:
            if (r->refuse) {
                refused[refused_n++] = (struct refused){m->session, m->cxid, m->op};
            } else {
                propose(r, m);
            }
            break;
        }
    }
    serve_submits_clear(r->serve);
    for (size_t i = 0; i < refused_n; i++) {
        serve_on_refuse(r->serve, refused[i].session, refused[i].cxid, refused[i].op,
                        ZK_SYSTEMERROR, r->now, r->wall);
    }
    mem_free(refused);
}

static void carry_out(struct rig *r, struct conn_order o)
{
    struct rig_client *c = &r->clients[o.conn];
    must(c->open);
    switch (o.kind) {
    case CONN_SEND: {
        struct buf *b = serve_conn_out(r->serve, o.conn);
        must(!c->closed || b->n == 0);
        buf_put_slice(c->slow ? &c->unsent : &c->got, buf_slice(b));
        buf_clear(b);
        serve_conn_unsent(r->serve, o.conn, c->unsent.n);
        break;
    }
    case CONN_CLOSE:
        must(!c->closed);
        c->closed = true;
        break;
    case CONN_PAUSE:
        must(!c->paused);
        c->paused = true;
        break;
    case CONN_RESUME:
        must(c->paused);
        c->paused = false;
        break;
    }
}

// Whatever serve wants, until it wants nothing.
static void turn(struct rig *r)
{
    struct serve_out *out = serve_out(r->serve);
    for (;;) {
        while (out->submits_n) {
            take_submits(r);
        }
        for (size_t i = 0; i < out->orders_n; i++) {
            carry_out(r, out->orders[i]);
        }
        serve_orders_clear(r->serve);
        bool more = out->submits_n > 0;
        for (uint32_t i = 0; i < r->clients_high && !more; i++) {
            struct rig_client *c = &r->clients[i];
            if (c->closed && c->open && c->unsent.n == 0) {
                c->open = false;
                serve_on_closed(r->serve, i);
                more = true;
            } else if (c->open && !c->closed && !c->paused && c->held.n) {
                struct buf held = c->held;
                c->held = (struct buf){0};
                serve_on_data(r->serve, i, buf_slice(&held), r->now, r->wall);
                while (out->submits_n) {
                    take_submits(r);
                }
                buf_fini(&held);
                more = true;
            }
        }
        if (!more && !out->orders_n) {
            if (r->one_round || !serve_wants_turn(r->serve)) {
                return;
            }
            serve_on_turn(r->serve, r->now, r->wall);
        }
    }
}

// Answers the asks whose time has come, oldest first.
static bool answer_asks(struct rig *r)
{
    if (r->asks_n == 0 || r->asks[0].after > r->log_at) {
        return false;
    }
    struct rig_ask ask = r->asks[0];
    r->asks_n--;
    memmove(r->asks, r->asks + 1, r->asks_n * sizeof(*r->asks));
    if (ask.session) {
        bool alive = session_get(tree_sessions_const(r->tree), ask.session, NULL) &&
                     !pending_session_is_closing(r->pending, ask.session);
        if (r->expiry) {
            expiry_touch(r->expiry, ask.session, r->now);
        }
        serve_on_renewed(r->serve, ask.tag, alive, r->now, r->wall);
    } else {
        serve_on_synced(r->serve, ask.tag, r->now, r->wall);
    }
    turn(r);
    return true;
}

static void track_session(struct rig *r, const struct txn *txn)
{
    if (!r->expiry) {
        return;
    }
    if (txn->hdr.type == OP_CREATE_SESSION) {
        expiry_add(r->expiry, txn->hdr.client_id, txn->body.create_session.timeout_ms, r->now);
    } else if (txn->hdr.type == OP_CLOSE_SESSION) {
        expiry_remove(r->expiry, txn->hdr.client_id);
    }
}

bool rig_commit(struct rig *r)
{
    while (answer_asks(r)) {
    }
    if (r->log_at == r->log_n) {
        return false;
    }
    struct buf b = r->log[r->log_at++];
    struct arena a = {0};
    struct txn txn;
    struct apply_out out = {0};
    must(txn_decode(buf_slice(&b), SIZE_MAX, &a, &txn) == ERR_OK);
    apply_txn(r->tree, &txn, &a, &out);
    pending_applied(r->pending, txn.hdr.zxid);
    track_session(r, &txn);
    serve_on_commit(r->serve, &txn, &out, r->now, r->wall);
    arena_fini(&a);
    buf_fini(&b);
    turn(r);
    return true;
}

void rig_settle(struct rig *r)
{
    turn(r);
    while (answer_asks(r) || rig_commit(r)) {
    }
}

static void after_event(struct rig *r)
{
    turn(r);
    if (r->auto_commit) {
        rig_settle(r);
    }
}

// ---- env's part ---------------------------------------------------------------------------------

uint32_t rig_accept(struct rig *r, uint8_t last_ip_byte)
{
    uint32_t id = 0;
    while (r->clients[id].open) {
        id++;
        must(id < RIG_CONNS);
    }
    r->clients_high = id < r->clients_high ? r->clients_high : id + 1;
    struct rig_client *c = &r->clients[id];
    buf_clear(&c->got);
    buf_clear(&c->unsent);
    buf_clear(&c->held);
    c->open = true;
    c->closed = false;
    c->paused = false;
    c->slow = false;
    c->read = 0;
    struct net_addr peer = {.family = 4, .ip = {127, 0, 0, last_ip_byte}, .port = 40000};
    serve_on_accept(r->serve, id, &peer, &peer, r->now, r->wall);
    after_event(r);
    return id;
}

void rig_send(struct rig *r, uint32_t conn, struct slice bytes)
{
    struct rig_client *c = &r->clients[conn];
    if (!c->open || c->closed) {
        return;
    }
    if (c->paused || c->held.n) {
        buf_put_slice(&c->held, bytes);
        return;
    }
    serve_on_data(r->serve, conn, bytes, r->now, r->wall);
    struct serve_out *out = serve_out(r->serve);
    while (out->submits_n) {
        take_submits(r);
    }
    after_event(r);
}

static uint8_t hex_digit(char c)
{
    must((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

void rig_send_hex(struct rig *r, uint32_t conn, const char *hex)
{
    struct buf b = {0};
    for (; *hex; hex += 2) {
        buf_put_u8(&b, (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1])));
    }
    rig_send(r, conn, buf_slice(&b));
    buf_fini(&b);
}

void rig_hang_up(struct rig *r, uint32_t conn)
{
    if (r->clients[conn].open) {
        r->clients[conn].open = false;
        serve_on_closed(r->serve, conn);
        after_event(r);
    }
}

void rig_slow(struct rig *r, uint32_t conn, bool slow)
{
    struct rig_client *c = &r->clients[conn];
    c->slow = slow;
    if (!slow && c->unsent.n) {
        buf_put_slice(&c->got, buf_slice(&c->unsent));
        buf_clear(&c->unsent);
        if (c->open && !c->closed) {
            serve_on_drained(r->serve, conn, r->now, r->wall);
        }
        after_event(r);
    }
}

void rig_mode(struct rig *r, enum serve_mode mode)
{
    serve_set_mode(r->serve, mode, r->now, r->wall);
    after_event(r);
}

void rig_end_session(struct rig *r, int64_t session)
{
    static const struct auth server_itself;
    if (!pending_session_is_closing(r->pending, session)) {
        propose(r, &(struct submit){.kind = SUBMIT_WRITE,
                                    .session = session,
                                    .op = OP_CLOSE_SESSION,
                                    .auth = &server_itself});
    }
    after_event(r);
}

void rig_expire_sessions(struct rig *r)
{
    r->expiry = expiry_new(r->cfg.tick_ms, r->cfg.seed);
}

// As request_expire_sessions() of the node.
static void expire(struct rig *r)
{
    int64_t session;
    while (r->expiry && expiry_due(r->expiry, r->now, &session)) {
        struct mono heard;
        int32_t timeout_ms = 0;
        must(expiry_has(r->expiry, session, &timeout_ms));
        if (serve_last_heard(r->serve, session, &heard) &&
            mono_diff_ms(r->now, heard) < timeout_ms) {
            expiry_touch(r->expiry, session, heard);
            continue;
        }
        expiry_touch(r->expiry, session, r->now);
        rig_end_session(r, session);
    }
}

void rig_advance(struct rig *r, int64_t ms)
{
    r->now = mono_add_ms(r->now, ms);
    r->wall.ms += ms;
    serve_on_tick(r->serve, r->now, r->wall);
    expire(r);
    after_event(r);
}

// ---- the client's part --------------------------------------------------------------------------

int64_t rig_connect(struct rig *r, uint32_t conn, int32_t timeout_ms)
{
    struct buf b = {0};
    rig_put_connect(&b, timeout_ms, 0, SLICE_NULL, true);
    rig_send(r, conn, buf_slice(&b));
    buf_fini(&b);
    rig_settle(r);
    struct rig_client *c = &r->clients[conn];
    if (c->got.n - c->read < 41) {
        return 0;
    }
    int64_t session = (int64_t)be64_get(c->got.p + c->read + 12);
    c->read += 41;
    return session;
}

uint32_t rig_client(struct rig *r)
{
    uint32_t conn = rig_accept(r, 1);
    must(rig_connect(r, conn, 10000) != 0);
    return conn;
}

uint32_t rig_renew(struct rig *r, int64_t session, bool read_only)
{
    uint32_t conn = rig_accept(r, 1);
    struct buf b = {0};
    rig_put_renew(&b, session, read_only);
    rig_send(r, conn, buf_slice(&b));
    buf_fini(&b);
    return conn;
}

bool rig_next(struct rig *r, uint32_t conn, struct rig_reply *reply)
{
    struct rig_client *c = &r->clients[conn];
    if (c->got.n - c->read < 20) {
        must(c->got.n == c->read);
        return false;
    }
    const uint8_t *p = c->got.p + c->read;
    uint32_t n = be32_get(p);
    must(n >= 16);
    must(c->got.n - c->read >= 4 + (size_t)n);
    reply->xid = (int32_t)be32_get(p + 4);
    reply->zxid = (int64_t)be64_get(p + 8);
    reply->err = (int32_t)be32_get(p + 16);
    reply->body = slice_of(p + 20, n - 16);
    c->read += 4 + (size_t)n;
    return true;
}

struct slice rig_rest(struct rig *r, uint32_t conn)
{
    struct rig_client *c = &r->clients[conn];
    struct slice rest = slice_skip(buf_slice(&c->got), c->read);
    c->read = c->got.n;
    return rest;
}

const char *rig_rest_hex(struct rig *r, uint32_t conn)
{
    struct slice rest = rig_rest(r, conn);
    buf_clear(&r->rest_hex);
    for (size_t i = 0; i < rest.n; i++) {
        buf_fmt(&r->rest_hex, "%02x", rest.p[i]);
    }
    buf_put_u8(&r->rest_hex, 0);
    return (const char *)r->rest_hex.p;
}

bool rig_eof(const struct rig *r, uint32_t conn)
{
    return r->clients[conn].closed;
}

// ---- frames -------------------------------------------------------------------------------------

static void put_record(struct buf *b, int32_t xid, int32_t op, const struct record_type *type,
                       const void *rec)
{
    size_t at = b->n;
    buf_put_i32(b, 0);
    buf_put_i32(b, xid);
    buf_put_i32(b, op);
    jute_put_record(b, type, rec);
    be32_put(b->p + at, (uint32_t)(b->n - at - 4));
}

void rig_put_connect(struct buf *b, int32_t timeout_ms, int64_t session, struct slice passwd,
                     bool read_only_byte)
{
    static const uint8_t zeros[16];
    size_t at = b->n;
    buf_put_i32(b, 0);
    struct connect_request req = {.timeout_ms = timeout_ms,
                                  .session_id = session,
                                  .passwd = passwd.p ? passwd : slice_of(zeros, sizeof(zeros))};
    jute_put_record(b, &record_connect_request, &req);
    if (read_only_byte) {
        buf_put_u8(b, 0);
    }
    be32_put(b->p + at, (uint32_t)(b->n - at - 4));
}

void rig_put_renew(struct buf *b, int64_t session, bool read_only)
{
    uint8_t passwd[SESSION_PASSWORD_LEN] = {0};
    if (session) {
        session_password(session, passwd);
    }
    rig_put_connect(b, 10000, session, slice_of(passwd, sizeof(passwd)), true);
    b->p[b->n - 1] = read_only;
}

void rig_put_head(struct buf *b, int32_t xid, int32_t op)
{
    put_record(b, xid, op, &record_none, NULL);
}

void rig_put_path(struct buf *b, int32_t xid, int32_t op, const char *path)
{
    put_record(b, xid, op, &record_path_request, &(struct path_request){slice_str(path)});
}

void rig_put_read(struct buf *b, int32_t xid, int32_t op, const char *path, bool watch)
{
    put_record(b, xid, op, &record_path_watch_request,
               &(struct path_watch_request){slice_str(path), watch});
}

void rig_put_create(struct buf *b, int32_t xid, int32_t op, const char *path, struct slice data,
                    int32_t flags)
{
    struct acl open = {PERM_ALL, {SLICE_LIT("world"), SLICE_LIT("anyone")}};
    put_record(b, xid, op, &record_create_request,
               &(struct create_request){slice_str(path), data, {&open, 1}, flags});
}

void rig_put_set(struct buf *b, int32_t xid, const char *path, struct slice data)
{
    put_record(b, xid, OP_SET_DATA, &record_set_data_request,
               &(struct set_data_request){slice_str(path), data, -1});
}

void rig_put_delete(struct buf *b, int32_t xid, const char *path)
{
    put_record(b, xid, OP_DELETE, &record_delete_request,
               &(struct delete_request){slice_str(path), -1});
}

void rig_put_auth(struct buf *b, int32_t xid, const char *scheme, struct slice data)
{
    put_record(b, xid, OP_AUTH, &record_auth_packet,
               &(struct auth_packet){0, slice_str(scheme), data});
}

void rig_put_int(struct buf *b, int32_t xid, int32_t op, const char *path, int32_t v)
{
    put_record(b, xid, op, &record_watches_request, &(struct watches_request){slice_str(path), v});
}
