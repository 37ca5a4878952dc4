// SPDX-License-Identifier: Apache-2.0
//
// Local sessions: known to this server alone, made and ended without a transaction.
// quorum-protocol.md 13.5; Java: LocalSessionTracker, UpgradeableSessionTracker,
// QuorumZooKeeperServer.checkUpgradeSession. Either localSessionsEnabled makes them, or the
// read-only mode, in which no other kind can be made.
//
// A session is in `locals` from its handshake until it was silent too long, is closed, or becomes
// global, which its first ephemeral node makes it. That its connection goes does not end it.
#include <inttypes.h>

#include "serve/core.h"
#include "wire/jute.h"
#include "wire/multi.h"
#include "wire/ops.h"

bool local_has(const struct serve *s, int64_t session)
{
    return expiry_has(s->locals, session, NULL);
}

bool local_begin(struct serve *s, struct conn *c)
{
    if (!local_has(s, c->session) && expiry_count(s->locals) >= LIMIT_LOCAL_SESSIONS) {
        return false;
    }
    c->local = true;
    expiry_add(s->locals, c->session, c->timeout_ms, s->now);
    return true;
}

void local_end(struct serve *s, int64_t session)
{
    expiry_remove(s->locals, session);
    struct conn *c = conn_of_session(&s->conns, session);
    if (c) {
        c->local = false;
    }
}

void local_tick(struct serve *s)
{
    int64_t session;
    while (s->mode != SERVE_OFF && expiry_due(s->locals, s->now, &session)) {
        int32_t timeout_ms = 0;
        must(expiry_has(s->locals, session, &timeout_ms));
        struct conn *c = conn_of_session(&s->conns, session);
        if (c && mono_diff_ms(s->now, core_heard(s, c)) < timeout_ms) {
            expiry_touch(s->locals, session, core_heard(s, c));
            continue;
        }
        log_info(s->log, "local session 0x%" PRIx64 " expired after %d ms of silence",
                 (uint64_t)session, timeout_ms);
        expiry_remove(s->locals, session);
        if (c) {
            core_close(s, c);
        }
    }
}

void local_renew_all(struct serve *s)
{
    size_t n = expiry_count(s->locals);
    if (n == 0) {
        return;
    }
    struct expiry_point *v = expiry_points(s->locals);
    for (size_t i = 0; i < n; i++) {
        int32_t timeout_ms = 0;
        must(expiry_has(s->locals, v[i].session, &timeout_ms));
        expiry_add(s->locals, v[i].session, timeout_ms, s->now);
    }
    mem_free(v);
}

void local_end_all(struct serve *s)
{
    expiry_free(&s->locals);
    s->locals = expiry_new(s->cfg.tick_ms, s->cfg.seed ^ 5);
}

// ---- becoming global ----------------------------------------------------------------------------

// A create whose flags ask for an ephemeral node.
static bool is_ephemeral(struct serve *s, struct jute_in *in)
{
    enum { EPHEMERAL = 1, EPHEMERAL_SEQUENTIAL = 3 };
    struct create_request r = {0};
    jute_get_record(in, &record_create_request, &r, &s->arena);
    return !in->err && (r.flags == EPHEMERAL || r.flags == EPHEMERAL_SEQUENTIAL);
}

static bool multi_is_ephemeral(struct serve *s, struct jute_in *in)
{
    for (;;) {
        struct jute_in part = *in;
        int32_t op;
        if (!multi_next(in, &s->arena, &op)) {
            return false;
        }
        struct multi_header h;
        jute_get_record(&part, &record_multi_header, &h, NULL);
        if ((op == OP_CREATE || op == OP_CREATE2) && is_ephemeral(s, &part)) {
            return true;
        }
    }
}

bool local_needs_global(struct serve *s, int32_t op, struct slice body)
{
    struct jute_in in = jute_in(body, s->cfg.bytes_max);
    switch (op) {
    case OP_CREATE:
    case OP_CREATE2:
        return is_ephemeral(s, &in);
    case OP_MULTI:
        return multi_is_ephemeral(s, &in);
    default:
        return false;
    }
}

void local_upgrade(struct serve *s, struct conn *c)
{
    log_info(s->log, "local session 0x%" PRIx64 " becomes global", (uint64_t)c->session);
    local_end(s, c->session);
    core_submit_session(s, c);
    mode_touch(s, c);
}
