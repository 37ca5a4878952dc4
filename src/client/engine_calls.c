// SPDX-License-Identifier: Apache-2.0
//
// Requests: the queue, the send buffer, their time limits, what becomes of them when a connection
// or a session ends, and watches taken back. See engine.h and engine_parts.h.
//
// A request is in exactly one place: the queue (not sent), the list of those sent (in the order of
// their xids), at an entry of auths (an ADD_AUTH that was sent), among the failed, or it is the
// answered one. What was sent may have been executed as soon as the last of its bytes is gone.
#include <stdio.h>

#include "base/endian.h"
#include "base/must.h"
#include "client/engine_parts.h"
#include "wire/ops.h"

// ---- lists --------------------------------------------------------------------------------------

void call_list_add(struct call_list *l, struct call *c)
{
    c->next = NULL;
    *(l->last ? &l->last->next : &l->first) = c;
    l->last = c;
    l->n++;
}

struct call *call_list_take(struct call_list *l)
{
    struct call *c = l->first;
    if (c) {
        l->first = c->next;
        l->last = c->next ? l->last : NULL;
        l->n--;
        c->next = NULL;
    }
    return c;
}

// ---- failing ------------------------------------------------------------------------------------

static void fail(struct engine *e, struct call *c, enum reeve_error error)
{
    if (c->watch) {
        watchers_withdraw(e->watches, &c->watch);
    }
    if (c->silent) {
        call_free(&c);
        return;
    }
    c->failed = error;
    call_list_add(&e->failed, c);
}

// A request on its way, as far as sent_end says.
static void fail_sent(struct engine *e, struct call *c, enum reeve_error error)
{
    c->maybe_done = c->write && c->sent_end <= e->out.gone;
    fail(e, c, error);
}

static void set_fail_why(struct engine *e, const char *why)
{
    snprintf(e->fail_why, sizeof(e->fail_why), "%s", why);
}

// Whether a write is among those that are to be told of their failure.
static bool has_failed_write(const struct engine *e)
{
    const struct call *c = e->failed.first;
    while (c && !c->write) {
        c = c->next;
    }
    return c != NULL;
}

void calls_lost(struct engine *e, const char *why)
{
    set_fail_why(e, why);
    struct call_list sent = e->sent, queue = e->queue;
    e->sent = e->queue = (struct call_list){NULL, NULL, 0};
    for (struct call *c = call_list_take(&sent); c; c = call_list_take(&sent)) {
        if (c->write || c->silent || c->sent >= ENGINE_READS_MAX) {
            fail_sent(e, c, REEVE_CONNECTION_LOSS);
        } else {
            call_list_add(&e->queue, c);
        }
    }
    // What was not sent waits for the next connection, unless it is behind a write that is lost.
    bool lost = has_failed_write(e);
    for (struct call *c = call_list_take(&queue); c; c = call_list_take(&queue)) {
        if (c->silent || (c->write && lost)) {
            fail(e, c, REEVE_CONNECTION_LOSS);
        } else {
            call_list_add(&e->queue, c);
        }
    }
    restore_drop(&e->restore);
}

void calls_fail_all(struct engine *e, enum reeve_error error, const char *why)
{
    set_fail_why(e, why);
    for (struct call *c = call_list_take(&e->sent); c; c = call_list_take(&e->sent)) {
        fail_sent(e, c, error);
    }
    for (struct call *c = auths_detach(&e->auths, NULL); c; c = auths_detach(&e->auths, NULL)) {
        fail(e, c, error);
    }
    for (struct call *c = call_list_take(&e->queue); c; c = call_list_take(&e->queue)) {
        if (c->op == REEVE_OP_ADD_AUTH) {
            auths_detach(&e->auths, c);
        }
        fail(e, c, error);
    }
    restore_drop(&e->restore);
}

// ---- time limits --------------------------------------------------------------------------------

static int64_t limit_ms(const struct engine *e, const struct call *c)
{
    return c->timeout_ms > 0 ? c->timeout_ms : e->options.request_timeout_ms;
}

// When a request's time is over; *error: with what it fails then.
static int64_t over_at(const struct engine *e, const struct call *c, bool queued,
                       enum reeve_error *error)
{
    int64_t at = INT64_MAX;
    if (limit_ms(e, c) > 0 && !c->silent) {
        at = mono_add_ms(c->submitted, limit_ms(e, c)).ns;
        *error = REEVE_OPERATION_TIMEOUT;
    }
    if (queued && !e->alive) {
        int64_t none = mono_add_ms(c->submitted, e->options.session_timeout_ms).ns;
        *error = none < at ? REEVE_CONNECTION_LOSS : *error;
        at = none < at ? none : at;
    }
    return at;
}

static void note_limit(struct engine *e, const struct call *c)
{
    enum reeve_error error;
    int64_t at = over_at(e, c, true, &error);
    if (at < e->scan_at.ns) {
        e->scan_at.ns = at;
    }
}

static bool expire_queue(struct engine *e)
{
    struct call_list queue = e->queue;
    e->queue = (struct call_list){NULL, NULL, 0};
    for (struct call *c = call_list_take(&queue); c; c = call_list_take(&queue)) {
        enum reeve_error error = REEVE_OK;
        int64_t at = over_at(e, c, true, &error);
        if (at <= e->now.ns) {
            if (c->op == REEVE_OP_ADD_AUTH) {
                auths_detach(&e->auths, c);
            }
            fail(e, c, error);
        } else {
            e->scan_at.ns = at < e->scan_at.ns ? at : e->scan_at.ns;
            call_list_add(&e->queue, c);
        }
    }
    return e->failed.first != NULL;
}

// Requests on their way: of those whose time is over, the connection must go with them, because
// their answers would come some day.
static bool expire_sent(struct engine *e)
{
    struct call_list sent = e->sent;
    e->sent = (struct call_list){NULL, NULL, 0};
    bool any = false;
    for (struct call *c = call_list_take(&sent); c; c = call_list_take(&sent)) {
        enum reeve_error error = REEVE_OK;
        int64_t at = over_at(e, c, false, &error);
        if (at <= e->now.ns) {
            fail_sent(e, c, error);
            any = true;
        } else {
            e->scan_at.ns = at < e->scan_at.ns ? at : e->scan_at.ns;
            call_list_add(&e->sent, c);
        }
    }
    return any;
}

static bool expire_auths(struct engine *e)
{
    bool any = false;
    for (struct auth *x = e->auths.first; x; x = x->next) {
        enum reeve_error error = REEVE_OK;
        if (x->call && x->sent) {
            int64_t at = over_at(e, x->call, false, &error);
            if (at <= e->now.ns) {
                fail(e, auths_detach(&e->auths, x->call), error);
                any = true;
            } else {
                e->scan_at.ns = at < e->scan_at.ns ? at : e->scan_at.ns;
            }
        }
    }
    return any;
}

bool calls_expire(struct engine *e)
{
    if (e->now.ns < e->scan_at.ns) {
        return false;
    }
    e->scan_at.ns = INT64_MAX;
    bool sent = expire_sent(e);
    sent = expire_auths(e) || sent;
    bool any = expire_queue(e) || sent;
    struct mono soonest = mono_add_ms(e->now, ENGINE_SCAN_MS);
    if (e->scan_at.ns < soonest.ns) {
        e->scan_at = soonest;
    }
    if (!e->alive) {
        hosts_why(&e->hosts, e->fail_why, sizeof(e->fail_why));
    }
    if (sent && e->main >= 0 && e->links[e->main].use == LINK_SESSION) {
        links_drop(e, REEVE_LOG_WARN, "a request was not answered in time");
    }
    return any;
}

// ---- in -----------------------------------------------------------------------------------------

static bool grow_scratch(struct engine *e, size_t n)
{
    if (n > e->scratch_n) {
        char *p = alloc_get(&e->allocator, e->scratch, n);
        if (!p) {
            return false;
        }
        e->scratch = p;
        e->scratch_n = n;
    }
    return true;
}

static enum reeve_error refused(struct engine *e)
{
    if (e->close_asked || e->state == REEVE_STATE_ENDED) {
        return REEVE_CLOSED;
    }
    if (e->state == REEVE_STATE_AUTH_FAILED) {
        return REEVE_AUTH_FAILED;
    }
    bool lost = e->state == REEVE_STATE_LOST && e->options.one_session;
    return lost ? REEVE_SESSION_EXPIRED : REEVE_OK;
}

void engine_submit(struct engine *e, struct call *c)
{
    e->dirty = true;
    enum reeve_error error = refused(e);
    if (!error && c->watch && !grow_scratch(e, c->server_path.n + 1)) {
        error = REEVE_NO_MEMORY;
    }
    if (!error && c->op == REEVE_OP_ADD_AUTH && !auths_add(&e->auths, c)) {
        error = REEVE_NO_MEMORY;
    }
    if (error) {
        fail(e, c, error);
        return;
    }
    if (c->watch) {
        watchers_ask(e->watches, &c->watch);
    }
    call_list_add(&e->queue, c);
    note_limit(e, c);
}

// ---- out ----------------------------------------------------------------------------------------

static bool put(struct engine *e, struct slice frame)
{
    if (!port_out_put(&e->out, frame)) {
        return false;
    }
    heartbeat_ask(&e->beat, e->now);
    return true;
}

static bool fill_first(struct engine *e)
{
    for (struct auth *x = auths_to_replay(&e->auths); x; x = auths_to_replay(&e->auths)) {
        if (!put(e, slice_of(x->frame, x->n))) {
            return false;
        }
        auths_replayed(&e->auths, e->out.put);
    }
    for (struct slice s = restore_next(&e->restore); s.n; s = restore_next(&e->restore)) {
        if (!put(e, s)) {
            return false;
        }
        restore_sent(&e->restore, e->now, e->out.put);
    }
    return true;
}

static int32_t next_xid(struct engine *e)
{
    e->xid = e->xid == INT32_MAX ? 1 : e->xid + 1;
    return e->xid;
}

static bool fill_auth(struct engine *e, struct call *c)
{
    struct auth *x = auths_of(&e->auths, c);
    if (!put(e, slice_of(x->frame, x->n))) {
        return false;
    }
    x->sent = x->asked = true;
    x->end = e->out.put;
    call_list_take(&e->queue);
    return true;
}

static bool fill_call(struct engine *e, struct call *c)
{
    if (c->op == REEVE_OP_ADD_AUTH) {
        return fill_auth(e, c);
    }
    if (!port_out_fits(&e->out, c->frame_n)) {
        return false;
    }
    call_set_xid(c, next_xid(e));
    must(port_out_put(&e->out, slice_of(c->frame, c->frame_n)));
    c->sent = (uint8_t)(c->sent < UINT8_MAX ? c->sent + 1 : UINT8_MAX);
    c->sent_at = e->now;
    c->sent_end = e->out.put;
    heartbeat_ask(&e->beat, e->now);
    call_list_take(&e->queue);
    call_list_add(&e->sent, c);
    return true;
}

static void fill_close(struct engine *e)
{
    if (!e->closing || !e->close_end_session || e->close_sent) {
        return;
    }
    uint8_t frame[12];
    be32_put(frame, 8);
    be32_put(frame + 4, (uint32_t)(e->xid == INT32_MAX ? 1 : e->xid + 1));
    be32_put(frame + 8, (uint32_t)OP_CLOSE_SESSION);
    if (put(e, slice_of(frame, sizeof(frame)))) {
        e->close_xid = next_xid(e);
        e->close_end = e->out.put;
        e->close_sent = true;
    }
}

void calls_fill(struct engine *e)
{
    if (e->close_sent || !fill_first(e) || e->leaving) {
        return;
    }
    while (e->queue.first && fill_call(e, e->queue.first)) {
    }
    if (!e->queue.first) {
        fill_close(e);
    }
}

// ---- told ---------------------------------------------------------------------------------------

static const char *why_of(struct engine *e, const struct call *c)
{
    if (c->failed == REEVE_OPERATION_TIMEOUT) {
        snprintf(e->result_why, sizeof(e->result_why), "%s within %d ms",
                 c->sent ? "no answer" : "it could not be sent", (int)limit_ms(e, c));
        return e->result_why;
    }
    return c->failed == REEVE_NO_MEMORY || c->failed == REEVE_CLOSED ? "" : e->fail_why;
}

bool calls_tell(struct engine *e, struct engine_happening *h)
{
    struct call *c = e->answered;
    if (c) {
        e->answered = NULL;
        h->type = ENGINE_DONE;
        h->call = c;
        h->result = e->result;
        return true;
    }
    c = call_list_take(&e->failed);
    if (!c) {
        return false;
    }
    h->type = ENGINE_DONE;
    h->call = c;
    h->result = (struct reeve_result){.error = c->failed,
                                      .op = c->op,
                                      .path = c->path,
                                      .why = why_of(e, c),
                                      .maybe_done = c->maybe_done};
    return true;
}

// ---- taking watches back ------------------------------------------------------------------------

static void forget(struct engine *e, struct slice server_path, reeve_watch_fn *fn, void *ctx)
{
    bool useless = watchers_forget(e->watches, server_path, fn, ctx);
    bool up = e->main >= 0 && e->links[e->main].use == LINK_SESSION && !e->closing;
    if (!useless || !up) {
        return;
    }
    // Of any kind: all servers know that word, and nobody here wants any of them.
    struct reeve_request q = {.op = REEVE_OP_REMOVE_WATCHES,
                              .path = (const char *)server_path.p,
                              .kind = REEVE_WATCH_ANY};
    struct call *c;
    if (call_new(&e->allocator, "", e->options.request_max, &q, &c) == REEVE_OK) {
        c->silent = true;
        c->submitted = e->now;
        call_list_add(&e->queue, c);
    }
}

void engine_unwatch(struct engine *e, const char *path, reeve_watch_fn *fn, void *ctx)
{
    e->dirty = true;
    static const char config[] = "/zookeeper/config";
    size_t root_n = strlen(e->chroot), path_n = strlen(path);
    if (root_n && strcmp(path, config) == 0) {
        forget(e, slice_str(config), fn, ctx);
    }
    if (root_n && path_n == 1) {
        path_n = 0; // the root is the chroot itself
    }
    if (root_n + path_n >= e->scratch_n) {
        return; // no path as long as this was ever watched
    }
    memcpy(e->scratch, e->chroot, root_n);
    memcpy(e->scratch + root_n, path, path_n);
    e->scratch[root_n + path_n] = 0;
    forget(e, slice_of(e->scratch, root_n + path_n), fn, ctx);
}
