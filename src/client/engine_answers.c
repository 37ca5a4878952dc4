// SPDX-License-Identifier: Apache-2.0
//
// What the session's connection says: events, answers to pings, credentials and watches set again,
// and answers to requests, which come in the order of the requests. See engine_parts.h.
//
// A frame is taken whole, in place. One larger than the buffer is looked at by its header first:
// only the oldest request may have such an answer, and if it is over answer_max, or there is no
// memory for it, it passes by unread and the request says so. Everything that breaks the protocol
// ends the connection; back-off sees to it that this is no hot loop.
#include <stdio.h>

#include "base/endian.h"
#include "base/must.h"
#include "client/engine_parts.h"

enum { XID_EVENT = -1, XID_PING = -2, XID_AUTH = -4 };

struct header {
    int32_t xid;
    int64_t zxid;
    int32_t err;
};

static struct header read_header(const uint8_t *p)
{
    return (struct header){(int32_t)be32_get(p), (int64_t)be64_get(p + 4),
                           (int32_t)be32_get(p + 12)};
}

// The zxid that watches are set again with after the next loss: whatever happened before it, this
// client was told. That is not so as long as a part of its watches is not set again on this
// connection.
static void saw(struct engine *e, const struct header *h)
{
    if (h->zxid > e->zxid && !e->restore.first) {
        e->zxid = h->zxid;
    }
}

static void on_event(struct engine *e, uint8_t *body, size_t n)
{
    if (n < 12) {
        links_drop(e, REEVE_LOG_ERROR, "it sent a malformed event");
        return;
    }
    int32_t type = (int32_t)be32_get(body);
    uint32_t path_n = be32_get(body + 8);
    if (path_n > n - 12) {
        links_drop(e, REEVE_LOG_ERROR, "it sent a malformed event");
        return;
    }
    body[12 + path_n] = 0;
    if (type >= REEVE_EVENT_CREATED && type <= REEVE_EVENT_CHILDREN) {
        watchers_fire(e->watches, (enum reeve_event_type)type, slice_of(body + 12, path_n));
        e->watches_due = true;
    }
}

static void on_auth(struct engine *e, const struct header *h)
{
    struct call *c = NULL;
    if (h->err == REEVE_AUTH_FAILED) {
        char why[ENGINE_WHY_MAX];
        snprintf(why, sizeof(why), "%.100s refused the credentials", e->server);
        engine_lose(e, REEVE_STATE_AUTH_FAILED, REEVE_AUTH_FAILED, why);
        return;
    }
    if (h->err || !auths_answered(&e->auths, e->out.gone, &c)) {
        links_drop(e, REEVE_LOG_ERROR, "it answered an auth packet with error %d", (int)h->err);
        return;
    }
    if (c) {
        e->answered = c;
        e->result = (struct reeve_result){.op = c->op, .path = c->path, .why = ""};
    }
}

static void on_restored(struct engine *e, const struct header *h)
{
    struct mono asked;
    if (h->err || !restore_answered(&e->restore, e->out.gone, &asked)) {
        links_drop(e, REEVE_LOG_ERROR, "it did not take the watches again (error %d)", (int)h->err);
        return;
    }
    saw(e, h);
    heartbeat_prove(&e->beat, asked);
}

// The registration and what else an answer means here.
static void apply(struct engine *e, struct call *c)
{
    struct reeve_result *r = &e->result;
    if (r->watching) {
        struct watch *w = c->watch;
        c->watch = NULL;
        watchers_add(e->watches, w);
    } else if (c->watch) {
        watchers_withdraw(e->watches, &c->watch);
    }
    if (c->op == REEVE_OP_REMOVE_WATCHES && !r->error && !c->silent) {
        watchers_removed(e->watches, c->server_path, c->kind);
        e->watches_due = true;
    }
}

static bool is_own(enum reeve_error error)
{
    return error <= REEVE_NO_MEMORY;
}

// The oldest request on its way has its answer; takes it off the list.
static struct call *match(struct engine *e, const struct header *h)
{
    struct call *c = e->sent.first;
    if (!c || c->xid != h->xid || c->sent_end > e->out.gone) {
        return NULL;
    }
    if (h->err != REEVE_THROTTLED) {
        heartbeat_prove(&e->beat, c->sent_at);
    }
    saw(e, h);
    return call_list_take(&e->sent);
}

static void settle(struct engine *e, struct call *c, const struct header *h)
{
    e->result.zxid = h->zxid > 0 ? h->zxid : 0;
    e->result.maybe_done = is_own(e->result.error) && c->write && !h->err;
    apply(e, c);
    if (c->silent) {
        call_free(&c);
        return;
    }
    e->answered = c;
}

static void on_answer(struct engine *e, const struct header *h, uint8_t *body, size_t n)
{
    if (e->close_sent && h->xid == e->close_xid && !e->sent.first && e->close_end <= e->out.gone) {
        engine_lose(e, REEVE_STATE_ENDED, REEVE_CLOSED, "");
        return;
    }
    struct call *c = match(e, h);
    if (!c) {
        links_drop(e, REEVE_LOG_ERROR, "it answered what was not asked (xid %d)", (int)h->xid);
        return;
    }
    e->result = (struct reeve_result){.why = ""};
    answer_read(&e->room, c, e->chroot, h->err, body, n, &e->result);
    if (e->result.error == REEVE_NO_MEMORY) {
        e->result.why = "there is no memory for the answer's arrays";
    }
    settle(e, c, h);
}

// An answer that is not read: too large, or no memory for it. Only answers of requests are.
static void on_unread(struct engine *e, const struct header *h, size_t n, enum reeve_error error)
{
    struct call *c = match(e, h);
    if (!c) {
        links_drop(e, REEVE_LOG_ERROR, "it sent %zu bytes that were not asked for (xid %d)", n,
                   (int)h->xid);
        return;
    }
    port_in_skip(&e->in, n + PORT_LENGTH_BYTES);
    if (error == REEVE_TOO_BIG) {
        snprintf(e->result_why, sizeof(e->result_why), "an answer of %zu bytes, answer_max is %u",
                 n, (unsigned)e->options.answer_max);
    } else {
        snprintf(e->result_why, sizeof(e->result_why), "no memory for an answer of %zu bytes", n);
    }
    e->result =
        (struct reeve_result){.error = error, .op = c->op, .path = c->path, .why = e->result_why};
    settle(e, c, h);
}

static void on_frame(struct engine *e, const struct header *h, size_t n)
{
    uint8_t *body =
        port_in_hold(&e->in, n + PORT_LENGTH_BYTES) + PORT_LENGTH_BYTES + ENGINE_HEADER_BYTES;
    size_t body_n = n - ENGINE_HEADER_BYTES;
    switch (h->xid) {
    case XID_EVENT:
        on_event(e, body, body_n);
        break;
    case XID_PING:
        saw(e, h);
        if (!heartbeat_pong(&e->beat)) {
            links_drop(e, REEVE_LOG_ERROR, "it answered a ping that was not sent");
        }
        break;
    case XID_AUTH:
        on_auth(e, h);
        break;
    case RESTORE_XID:
        on_restored(e, h);
        break;
    default:
        on_answer(e, h, body, body_n);
    }
}

// Only the oldest request may have an answer that needs memory of its own or none at all.
static bool is_expected(const struct engine *e, int32_t xid)
{
    return e->sent.first && e->sent.first->xid == xid;
}

// A frame larger than the buffer, of which only the first part is here: true if something was done
// about it, false: wait for the rest.
static bool on_large(struct engine *e, const struct header *h, size_t n)
{
    bool answer = is_expected(e, h->xid);
    if (n + PORT_LENGTH_BYTES <= PORT_IN_BYTES) {
        return false;
    }
    if (!answer && (h->xid != XID_EVENT || n > ENGINE_EVENT_BYTES_MAX)) {
        links_drop(e, REEVE_LOG_ERROR,
                   "it sent a frame of %zu bytes that was not asked for (xid %d)", n, (int)h->xid);
        return true;
    }
    if (port_in_expect(&e->in, n + PORT_LENGTH_BYTES)) {
        return false;
    }
    if (answer) {
        on_unread(e, h, n, REEVE_NO_MEMORY);
    } else {
        // An event that is not heard would be lost; a new connection brings it again.
        links_drop(e, REEVE_LOG_ERROR, "there is no memory for an event of %zu bytes", n);
    }
    return true;
}

bool answers_read(struct engine *e)
{
    struct slice have = port_in_bytes(&e->in);
    if (have.n < PORT_LENGTH_BYTES) {
        return false;
    }
    uint32_t n = be32_get(have.p);
    if (n < ENGINE_HEADER_BYTES || n > INT32_MAX) {
        links_drop(e, REEVE_LOG_ERROR, "it sent a frame of impossible length (%d)", (int)n);
        return true;
    }
    if (have.n < PORT_LENGTH_BYTES + ENGINE_HEADER_BYTES) {
        return false;
    }
    struct header h = read_header(have.p + PORT_LENGTH_BYTES);
    if (n > e->options.answer_max && is_expected(e, h.xid)) {
        on_unread(e, &h, n, REEVE_TOO_BIG);
        return true;
    }
    if (have.n >= (size_t)n + PORT_LENGTH_BYTES) {
        on_frame(e, &h, n);
        return true;
    }
    return !e->in.large && on_large(e, &h, n);
}
