// SPDX-License-Identifier: Apache-2.0
//
// ConnectRequest -> session. client-protocol.md 1.7; Java: ZooKeeperServer.processConnectRequest,
// finishSessionInit. Unlike there, a connection that shows a wrong password cannot close the one
// that holds the session.
#include <inttypes.h>

#include "serve/reply.h"
#include "wire/jute.h"

static bool decode(struct serve *s, struct slice frame, struct connect_request *req,
                   bool *read_only_byte, bool *read_only)
{
    struct jute_in in = jute_in(frame, s->cfg.bytes_max);
    jute_get_record(&in, &record_connect_request, req, &s->arena);
    *read_only_byte = !in.err && jute_left(&in) > 0;
    *read_only = *read_only_byte && jute_get_bool(&in);
    return !in.err;
}

// Why this server does not take the client; NULL: it does.
static const char *refusal(struct serve *s, const struct connect_request *req, bool read_only)
{
    if (s->mode == SERVE_OFF) {
        s->stats.closed_not_serving++;
        return "not serving now";
    }
    if (s->mode == SERVE_READ_ONLY && !read_only) {
        return "this server is read-only, which the client does not take";
    }
    if (!throttle_token(&s->throttle, s->now)) {
        s->stats.connections_rejected++;
        return "connection_throttle_tokens are used up";
    }
    if (req->last_zxid_seen > tree_zxid(s->tree) && req->last_zxid_seen > s->complete_to) {
        return "it has seen a zxid that this server has not";
    }
    if (s->mode == SERVE_READ_ONLY && req->session_id &&
        session_get(tree_sessions_const(s->tree), req->session_id, NULL)) {
        return "its session belongs to the ensemble, which this server does not reach";
    }
    return NULL;
}

static void create_session(struct serve *s, struct conn *c)
{
    int64_t id = session_ids_next(&s->ids);
    while (session_get(tree_sessions_const(s->tree), id, NULL) || conn_of_session(&s->conns, id) ||
           local_has(s, id)) {
        id = session_ids_next(&s->ids); // the clock went back since an earlier run
    }
    conn_session_put(&s->conns, c, id);
    if (!s->cfg.local_sessions && s->mode == SERVE_FULL) {
        core_submit_session(s, c);
    } else if (local_begin(s, c)) {
        handshake_answer(s, c, true);
    } else {
        s->stats.connections_rejected++;
        core_close(s, c); // too many
    }
}

static void renew_session(struct serve *s, struct conn *c, int64_t id)
{
    s->stats.revalidated++;
    struct conn *old = conn_of_session(&s->conns, id);
    if (old) {
        log_debug(s->log, "session 0x%" PRIx64 " comes back: its old connection %u is closed",
                  (uint64_t)id, old->id);
        core_close(s, old);
    }
    conn_session_put(&s->conns, c, id);
    if (++s->next_tag == 0) {
        s->next_tag = 1;
    }
    c->renew_tag = s->next_tag;
    if (local_has(s, id)) {
        must(local_begin(s, c));
        handshake_answer(s, c, true);
        return;
    }
    if (s->mode == SERVE_READ_ONLY) {
        handshake_answer(s, c, false); // it has seen whatever the client has, but not this session
        return;
    }
    core_submit(s, SUBMIT_RENEW, c)->tag = (uint64_t)c->id << 32 | c->renew_tag;
}

void handshake_request(struct serve *s, struct conn *c, struct slice frame)
{
    struct connect_request req;
    s->stats.connection_requests++;
    bool read_only;
    if (!decode(s, frame, &req, &c->read_only_byte, &read_only)) {
        core_close(s, c);
        return;
    }
    const char *why = refusal(s, &req, read_only);
    if (why) {
        log_debug(s->log, "session handshake on connection %u refused: %s", c->id, why);
        s->stats.connections_dropped++;
        core_close(s, c);
        return;
    }
    int32_t t = req.timeout_ms;
    t = t < s->cfg.session_min_ms ? s->cfg.session_min_ms : t;
    t = t > s->cfg.session_max_ms ? s->cfg.session_max_ms : t;
    c->timeout_ms = t;
    c->stalled_at = s->now;
    conn_set_state(c, CONN_HANDSHAKE);
    if (req.session_id == 0) {
        create_session(s, c);
    } else if (session_password_is(req.session_id, req.passwd)) {
        renew_session(s, c, req.session_id);
    } else {
        log_warn(s->log, "connection %u asked for session 0x%" PRIx64 " with a wrong password",
                 c->id, (uint64_t)req.session_id);
        handshake_answer(s, c, false);
    }
}

void handshake_answer(struct serve *s, struct conn *c, bool valid)
{
    must(c->state == CONN_HANDSHAKE);
    uint8_t passwd[SESSION_PASSWORD_LEN] = {0};
    struct connect_response resp = {.passwd = slice_of(passwd, sizeof(passwd))};
    if (valid) {
        resp.timeout_ms = c->timeout_ms;
        resp.session_id = c->session;
        session_password(c->session, passwd);
    }
    struct buf *out = core_conn_out(s, c);
    size_t at = out->n;
    buf_put_i32(out, 0);
    jute_put_record(out, &record_connect_response, &resp);
    if (c->read_only_byte) {
        jute_put_bool(out, s->mode == SERVE_READ_ONLY);
    }
    be32_put(out->p + at, (uint32_t)(out->n - at - 4));
    s->stats.sent++;
    c->stats.sent++;
    if (valid && !c->renew_tag) {
        int64_t zxid = tree_zxid(s->tree);
        stats_latency(&s->stats, true, mono_diff_ms(s->now, c->stalled_at));
        conn_stats_reply(&c->stats, 0, OP_CREATE_SESSION, zxid, c->stalled_at, s->now);
    }
    core_order_send(s, c);
    if (!valid) {
        s->stats.unsuccessful_handshakes++;
        core_close(s, c);
        return;
    }
    conn_set_state(c, CONN_LIVE);
    expiry_add(s->idle, c->id, c->timeout_ms, s->now);
    mode_touch(s, c);
    feed_resume(s, c);
}
