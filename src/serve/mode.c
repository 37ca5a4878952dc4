// SPDX-License-Identifier: Apache-2.0
//
// Roles begin and end; who was heard meanwhile. Java: QuorumPeer.run's server objects,
// Learner.shutdown, LearnerSessionTracker.snapshot.
#include <inttypes.h>

#include "serve/core.h"

// ---- who was heard ------------------------------------------------------------------------------

static void forget_touched(struct serve *s)
{
    for (size_t i = 0; i < s->touched_n; i++) {
        struct conn *c = conn_of_session(&s->conns, s->touched[i].session);
        if (c) {
            c->touched = false;
        }
    }
    s->touched_n = 0;
    s->touching = false;
}

void mode_touch(struct serve *s, struct conn *c)
{
    if (!s->touching || c->touched || c->session == 0 || c->local) {
        return;
    }
    if (s->touched_n == LIMIT_TOUCHED) {
        forget_touched(s); // the next call tells all that are connected
        return;
    }
    mem_grow((void **)&s->touched, &s->touched_cap, s->touched_n + 1, sizeof(*s->touched));
    s->touched[s->touched_n++] = (struct touched){c->session, c->id, c->timeout_ms};
    c->touched = true;
}

static void touch_all(struct serve *s)
{
    s->touching = true;
    for (size_t i = 0; i < s->conns.by_id_n && s->touching; i++) {
        struct conn *c = conn_get(&s->conns, (uint32_t)i);
        if (c) {
            mode_touch(s, c);
        }
    }
}

void serve_touched(struct serve *s, void (*each)(void *ctx, int64_t session, int32_t timeout_ms),
                   void *ctx)
{
    if (!s->touching) {
        touch_all(s);
    }
    size_t kept = 0;
    for (size_t i = 0; i < s->touched_n; i++) {
        struct touched t = s->touched[i];
        each(ctx, t.session, t.timeout_ms);
        struct conn *c = conn_of_session(&s->conns, t.session);
        if (!c || c->id != t.conn) {
            continue;
        }
        // Who may not speak now is told again next time.
        c->touched = core_held_back(c);
        if (c->touched) {
            s->touched[kept++] = t;
        }
    }
    s->touched_n = kept;
}

// ---- roles --------------------------------------------------------------------------------------

// Is a ConnectRequest on this connection to wait for the next role?
bool mode_holds(const struct serve *s, const struct conn *c)
{
    return s->mode == SERVE_OFF && c->state == CONN_NEW && !s->stopped &&
           mono_diff_ms(s->now, s->off_since) < LIMIT_HOLD_WINDOW_MS &&
           (c->waits == WAIT_MODE || s->waiting[WAIT_MODE].n < LIMIT_HELD_CONNECTS);
}

// Those that wait stand in the order in which they came.
void mode_tick(struct serve *s)
{
    while (s->waiting[WAIT_MODE].n) {
        struct conn *c = conn_at(&s->conns, s->waiting[WAIT_MODE].first);
        if (mono_diff_ms(s->now, c->stalled_at) < LIMIT_HELD_CONNECT_MS) {
            return;
        }
        s->stats.closed_not_serving++;
        s->stats.connections_dropped++;
        core_close(s, c);
    }
}

// Nobody will hear the outcome of anything that was asked in the role that ends.
static void end_role(struct serve *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->conns.by_id_n; i++) {
        struct conn *c = conn_get(&s->conns, (uint32_t)i);
        if (c && c->state != CONN_NEW && c->state != CONN_CLOSING) {
            core_close(s, c);
            n++;
        }
    }
    s->out.submits_n = 0;
    orphan_forget_all(&s->orphans, &s->items);
    forget_touched(s);
    if (s->mode == SERVE_READ_ONLY && !s->cfg.local_sessions) {
        local_end_all(s);
    }
    s->stats.connections_dropped += (int64_t)n;
    if (n) { // a server that starts has none, and it is no news
        log_info(s->log, "clients are not served any more: %zu connections closed", n);
    }
}

void serve_set_mode(struct serve *s, enum serve_mode mode, struct mono now, struct wall wall)
{
    if (mode == s->mode) {
        return;
    }
    core_release(s);
    s->now = now;
    s->wall = wall;
    if (s->mode != SERVE_OFF) {
        end_role(s);
    }
    s->mode = mode;
    if (mode == SERVE_OFF) {
        s->off_since = now;
        return;
    }
    local_renew_all(s);
    log_info(s->log, "clients are served%s, %u waited for it",
             mode == SERVE_READ_ONLY ? ", those that only read" : "", s->waiting[WAIT_MODE].n);
    feed_held(s);
}

void mode_check(const struct serve *s)
{
    expiry_check(s->locals);
    must(s->mode == SERVE_OFF || s->waiting[WAIT_MODE].n == 0);
    must(s->mode != SERVE_OFF || s->orphans.first == 0);
    must(s->mode == SERVE_FULL || s->throttle.in_process == 0);
    size_t touched = 0;
    for (size_t i = 0; i < s->touched_n; i++) {
        const struct conn *c = conn_of_session(&s->conns, s->touched[i].session);
        touched += c && c->touched && c->id == s->touched[i].conn;
    }
    must(s->touching || s->touched_n == 0);
    must(touched <= s->touched_n);
}

void serve_set_complete_to(struct serve *s, int64_t zxid)
{
    s->complete_to = zxid;
}
