// SPDX-License-Identifier: Apache-2.0
//
// Bytes -> frames. A frame is served where it lies, in the bytes of the event; only a cut one at
// the end is copied. When a connection may not go on (its session is being made, its output is
// full, too much is in process, it has had its turn), the rest of the bytes waits in conn.in and
// env is told to read no more. Whatever makes room calls feed_resume or feed_settle.
#include "serve/core.h"

#include <inttypes.h>

#include "wire/ops.h"

// Room in the throttle and in the log, and the time of the one thread, are shared by all, so who
// waits for them stands in a list, first come first served.
static void link_to(struct serve *s, struct conn *c, enum conn_wait list)
{
    if (c->waits == list) {
        return;
    }
    feed_unlink(s, c);
    c->waits = (uint8_t)list;
    c->wait_prev = s->waiting[list].last;
    c->wait_next = 0;
    *(c->wait_prev ? &conn_at(&s->conns, c->wait_prev)->wait_next : &s->waiting[list].first) =
        c->slot;
    s->waiting[list].last = c->slot;
    s->waiting[list].n++;
}

void feed_unlink(struct serve *s, struct conn *c)
{
    enum conn_wait list = c->waits;
    if (list == WAIT_NONE) {
        return;
    }
    c->waits = WAIT_NONE;
    *(c->wait_prev ? &conn_at(&s->conns, c->wait_prev)->wait_next : &s->waiting[list].first) =
        c->wait_next;
    *(c->wait_next ? &conn_at(&s->conns, c->wait_next)->wait_prev : &s->waiting[list].last) =
        c->wait_prev;
    s->waiting[list].n--;
}

enum block { BLOCK_NOT, BLOCK_OWN, BLOCK_TURN, BLOCK_MODE, BLOCK_LIMIT, BLOCK_THROTTLE };

// Would this frame become a write? A ConnectRequest without a session makes one.
static bool is_write(const struct conn *c, struct slice frame)
{
    enum { SESSION_AT = 16, SESSION_END = 24 };
    if (c->state == CONN_NEW) {
        return frame.n >= SESSION_END && be64_get(frame.p + SESSION_AT) == 0;
    }
    const struct op_info *op = frame.n < 8 ? NULL : op_find((int32_t)be32_get(frame.p + 4));
    return op && op->kind == OP_KIND_WRITE;
}

// Must the connection's next request wait? OWN: for something of this connection.
static enum block blocked(const struct serve *s, const struct conn *c)
{
    if (mode_holds(s, c)) {
        return BLOCK_MODE;
    }
    if (c->state == CONN_HANDSHAKE || c->out.n + c->unsent > LIMIT_CONN_UNSENT_PAUSE ||
        c->order.reads >= CORE_QUEUED_READS_MAX) {
        return BLOCK_OWN;
    }
    if (c->work >= CORE_TURN_WORK_MAX) {
        return BLOCK_TURN;
    }
    bool has_some = throttle_is_crammed(&s->throttle) ? c->order.n > 0 : c->order.counted > 0;
    if (throttle_is_full(&s->throttle) && has_some) {
        return BLOCK_LIMIT;
    }
    return throttle_queues(&s->throttle) ? BLOCK_THROTTLE : BLOCK_NOT;
}

static void stall(struct serve *s, struct conn *c, enum block why)
{
    if (!c->stalled && c->state != CONN_HANDSHAKE) {
        c->stalled_at = s->now;
    }
    c->stalled = true;
    c->throttled = why == BLOCK_THROTTLE;
    s->stats.throttle_waits += c->throttled;
    if (why != BLOCK_OWN) {
        link_to(s, c, why == BLOCK_TURN ? WAIT_TURN : why == BLOCK_MODE ? WAIT_MODE : WAIT_ROOM);
    }
}

// A frame whose length is known and whose body may still be under way. False: closed.
static bool length_ok(struct serve *s, struct conn *c, uint32_t n)
{
    if (n > s->cfg.frame_max) { // negative ones too
        log_info(s->log, "session 0x%" PRIx64 " sent a frame of %d bytes, the limit is %zu: closed",
                 (uint64_t)c->session, (int)n, s->cfg.frame_max);
        core_close(s, c);
        return false;
    }
    if (!throttle_large_fits(&s->throttle, n)) {
        s->stats.large_rejected++;
        log_warn(s->log,
                 "session 0x%" PRIx64 " sent a request of %u bytes while %" PRId64
                 " bytes of large ones are in process: closed; see largeRequestMaxBytes",
                 (uint64_t)c->session, n, s->throttle.large_bytes);
        core_close(s, c);
        return false;
    }
    return true;
}

// Serves whole frames from the start of `in`, which came at `arrived`. Returns the bytes done with;
// all of them once nothing more is read. late: see request_take().
static size_t serve_frames(struct serve *s, struct conn *c, struct slice in, struct mono arrived,
                           bool late)
{
    size_t at = 0;
    while (in.n - at >= 4) {
        uint32_t n = be32_get(in.p + at);
        if (c->state == CONN_NEW) {
            int word = word_find(n);
            if (word != WORD_NONE) {
                if (in.n - at < word_length(s, word)) {
                    return at;
                }
                word_serve(s, c, word, slice_skip(in, at));
                return in.n;
            }
        }
        if (!length_ok(s, c, n)) {
            return in.n;
        }
        if (in.n - at - 4 < n) {
            return at;
        }
        struct slice frame = slice_of(in.p + at + 4, n);
        enum block why = blocked(s, c);
        if (why == BLOCK_NOT && s->hold_writes && is_write(c, frame)) {
            why = BLOCK_LIMIT;
        }
        if (why != BLOCK_NOT) {
            stall(s, c, why);
            return at;
        }
        request_take(s, c, frame, arrived, late);
        at += 4 + (size_t)n;
        if (!conn_reads(c)) {
            return in.n;
        }
    }
    return at;
}

// Serves from conn.in. Its storage is kept until the next event: submits may point into it.
static void serve_own(struct serve *s, struct conn *c, struct mono arrived, bool late)
{
    size_t used = serve_frames(s, c, buf_slice(&c->in), arrived, late);
    if (used == 0 || c->in.n == 0) {
        return;
    }
    struct buf old = c->in;
    c->in = (struct buf){0};
    if (used < old.n) {
        c->in = bufpool_take(&s->pool);
        buf_put(&c->in, old.p + used, old.n - used);
    }
    core_hold_buf(s, &old);
}

// Bytes that conn.in lacks to be looked at again; its frame has no more than frame_max.
static size_t missing(const struct serve *s, const struct conn *c)
{
    if (c->in.n < 4) {
        return 4 - c->in.n;
    }
    uint32_t n = be32_get(c->in.p);
    int word = c->state == CONN_NEW ? word_find(n) : WORD_NONE;
    return (word != WORD_NONE ? word_length(s, word) : 4 + (size_t)n) - c->in.n;
}

static void keep(struct serve *s, struct conn *c, struct slice rest)
{
    if (c->in.cap == 0) {
        c->in = bufpool_take(&s->pool);
    }
    buf_put_slice(&c->in, rest);
}

// Handshakes are short: a client that waits for the answer need not be paused.
static void pause_if_stalled(struct serve *s, struct conn *c)
{
    bool soon = c->state == CONN_HANDSHAKE && c->in.n < LIMIT_READ_CHUNK;
    if (c->stalled && !c->paused && !soon) {
        c->paused = true;
        core_order(s, CONN_PAUSE, c);
    }
}

void feed_bytes(struct serve *s, struct conn *c, struct slice in)
{
    if (!c->stalled) {
        c->work = 0;
    }
    while (c->in.n && in.n && !c->stalled && conn_reads(c)) {
        size_t take = missing(s, c);
        take = take < in.n ? take : in.n;
        keep(s, c, slice_head(in, take));
        in = slice_skip(in, take);
        serve_own(s, c, s->now, false);
    }
    if (c->in.n == 0 && conn_reads(c)) {
        in = slice_skip(in, serve_frames(s, c, in, s->now, false));
    }
    if (in.n && conn_reads(c)) {
        keep(s, c, in);
    }
    pause_if_stalled(s, c);
}

void feed_resume(struct serve *s, struct conn *c)
{
    if (!c->stalled) {
        return;
    }
    enum block why = blocked(s, c);
    if (why != BLOCK_NOT) {
        stall(s, c, why);
        return;
    }
    struct mono arrived = c->stalled_at;
    // Requests that waited too long for RequestThrottler's room are not done any more.
    bool late = c->throttled && s->cfg.throttled_op_wait_ms > 0 &&
                mono_diff_ms(s->now, arrived) > s->cfg.throttled_op_wait_ms;
    feed_unlink(s, c);
    c->stalled = false;
    serve_own(s, c, arrived, late);
    if (!c->stalled && c->paused && conn_reads(c)) {
        c->paused = false;
        core_order(s, CONN_RESUME, c);
    }
    pause_if_stalled(s, c);
}

void feed_settle(struct serve *s)
{
    while (s->waiting[WAIT_ROOM].n && !s->hold_writes && !throttle_is_full(&s->throttle) &&
           !throttle_queues(&s->throttle)) {
        struct conn *c = conn_at(&s->conns, s->waiting[WAIT_ROOM].first);
        feed_unlink(s, c);
        feed_resume(s, c);
    }
}

void feed_held(struct serve *s)
{
    while (s->waiting[WAIT_MODE].n) {
        struct conn *c = conn_at(&s->conns, s->waiting[WAIT_MODE].first);
        feed_unlink(s, c);
        feed_resume(s, c);
    }
    feed_settle(s);
}

void feed_turn(struct serve *s)
{
    for (uint32_t n = s->waiting[WAIT_TURN].n; n > 0 && s->waiting[WAIT_TURN].n; n--) {
        struct conn *c = conn_at(&s->conns, s->waiting[WAIT_TURN].first);
        feed_unlink(s, c);
        c->work = 0;
        feed_resume(s, c);
    }
}
