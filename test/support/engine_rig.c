// SPDX-License-Identifier: Apache-2.0
//
// An engine and its servers, played by a test. See engine_rig.h.
#include "test/support/engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/endian.h"
#include "base/must.h"
#include "client/engine_parts.h"
#include "wire/ops.h"

// ---- memory -------------------------------------------------------------------------------------

static void *erig_alloc(void *ctx, void *p, size_t n)
{
    struct erig *r = ctx;
    if (n == 0) {
        r->blocks -= p != NULL;
        free(p);
        return NULL;
    }
    r->allocs++;
    if (r->fail_at && (r->allocs == r->fail_at || (r->fail_all_behind && r->allocs > r->fail_at))) {
        return NULL;
    }
    r->blocks += p == NULL;
    return realloc(p, n);
}

struct reeve_allocator erig_allocator(struct erig *r)
{
    return (struct reeve_allocator){erig_alloc, r};
}

enum reeve_error erig_begin(struct erig *r, struct reeve_options o)
{
    o.seed = o.seed ? o.seed : 1;
    o.allocator = erig_allocator(r);
    r->now.ns = r->now.ns ? r->now.ns : 1000000000;
    enum reeve_error e = engine_new(&r->e, &o);
    if (!e) {
        engine_set_now(r->e, r->now);
    }
    return e;
}

void erig_end(struct erig *r)
{
    engine_free(&r->e);
    for (int i = 0; i < ENGINE_LINKS_MAX; i++) {
        free(r->links[i].p);
    }
    assert_int_equal(r->blocks, 0);
}

// ---- text ---------------------------------------------------------------------------------------

static void say(struct erig *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct erig *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(r->text + r->text_n, sizeof(r->text) - r->text_n, fmt, ap);
    va_end(ap);
    r->text_n += (size_t)n;
    if (r->text_n >= sizeof(r->text)) { // long walks look at the end only
        r->text_n = 0;
        r->text[0] = 0;
    }
}

static const char *state_name(enum reeve_state s)
{
    static const char *const names[] = {"CONNECTING", "CONNECTED",   "READ_ONLY", "SUSPENDED",
                                        "LOST",       "AUTH_FAILED", "ENDED"};
    return names[s];
}

static const char *op_name(enum reeve_op op)
{
    switch (op) {
    case REEVE_OP_GET:
        return "get";
    case REEVE_OP_SET:
        return "set";
    case REEVE_OP_EXISTS:
        return "exists";
    case REEVE_OP_CHILDREN:
        return "children";
    case REEVE_OP_ADD_AUTH:
        return "add_auth";
    case REEVE_OP_ADD_WATCH:
        return "add_watch";
    case REEVE_OP_REMOVE_WATCHES:
        return "remove_watches";
    case REEVE_OP_CREATE:
        return "create";
    default:
        return "op";
    }
}

static void say_done(struct erig *r, const struct reeve_result *res)
{
    assert_non_null(res->why);
    assert_non_null(res->path);
    say(r, "done %s%s%s %d%s%s%s%s%s\n", op_name(res->op), res->path[0] ? " " : "", res->path,
        res->error, res->maybe_done ? " maybe_done" : "", res->watching ? " watching" : "",
        res->why[0] ? " (" : "", res->why, res->why[0] ? ")" : "");
}

static void say_state(struct erig *r, const struct reeve_session *s)
{
    say(r, "state %s", state_name(s->state));
    if (s->state == REEVE_STATE_CONNECTED || s->state == REEVE_STATE_READ_ONLY) {
        say(r, " %d %d%s", (int)s->id, s->timeout_ms, s->renewed ? " renewed" : "");
    }
    say(r, "%s%s%s\n", s->why[0] ? " (" : "", s->why, s->why[0] ? ")" : "");
}

static void say_watch(struct erig *r, const struct reeve_event *ev)
{
    say(r, "watch %d %s%s", ev->type, ev->path, ev->last ? " last" : "");
    if (ev->type == REEVE_EVENT_ENDED) {
        say(r, " %d", ev->why);
    }
    say(r, "\n");
}

void erig_expect(struct erig *r, const char *text)
{
    assert_string_equal(r->text, text);
    erig_forget(r);
}

bool erig_saw(const struct erig *r, const char *part)
{
    return strstr(r->text, part) != NULL;
}

void erig_forget(struct erig *r)
{
    r->text_n = 0;
    r->text[0] = 0;
}

// ---- driving ------------------------------------------------------------------------------------

static void on_dial(struct erig *r, const struct engine_happening *h)
{
    struct erig_link *l = &r->links[h->link];
    must(!l->open);
    l->open = true;
    l->up = r->auto_dial;
    l->n = l->all = 0;
    snprintf(l->host, sizeof(l->host), "%s:%u", h->host, (unsigned)h->port);
    say(r, "dial %u %s\n", (unsigned)h->link, l->host);
    if (r->auto_dial) {
        engine_on_dialed(r->e, h->link);
    }
}

static void on_happening(struct erig *r, struct engine_happening *h)
{
    switch (h->type) {
    case ENGINE_DIAL:
        on_dial(r, h);
        break;
    case ENGINE_CUT:
        must(r->links[h->link].open);
        r->links[h->link].open = false;
        say(r, "cut %u\n", (unsigned)h->link);
        break;
    case ENGINE_STATE:
        say_state(r, &h->session);
        break;
    case ENGINE_DONE:
        must(!h->call->silent);
        r->done++;
        say_done(r, &h->result);
        call_free(&h->call);
        break;
    case ENGINE_WATCH:
        say_watch(r, &h->event);
        break;
    case ENGINE_OVER:
        must(!r->over);
        r->over = true;
        say(r, "over\n");
        break;
    case ENGINE_NOTHING:
        break;
    }
}

static void keep(struct erig_link *l, struct slice s)
{
    if (l->cap - l->n < s.n) {
        l->cap = (l->n + s.n) * 2;
        l->p = realloc(l->p, l->cap);
    }
    memcpy(l->p + l->n, s.p, s.n);
    l->n += s.n;
    l->all += s.n;
}

static bool send_some(struct erig *r)
{
    bool any = false;
    for (uint32_t i = 0; i < ENGINE_LINKS_MAX && !r->stuck; i++) {
        for (;;) {
            struct slice s = r->links[i].open ? engine_output(r->e, i) : SLICE_NULL;
            if (!s.n) {
                break;
            }
            s.n = r->out_max && s.n > r->out_max ? r->out_max : s.n;
            keep(&r->links[i], s);
            engine_sent(r->e, i, s.n);
            engine_check(r->e);
            any = true;
        }
    }
    return any;
}

void erig_run(struct erig *r)
{
    struct engine_happening h;
    do {
        while (engine_next(r->e, &h)) {
            on_happening(r, &h);
            engine_check(r->e);
        }
        must(h.type == ENGINE_NOTHING);
    } while (send_some(r) && engine_deadline(r->e).ns <= r->now.ns);
    must(engine_deadline(r->e).ns > r->now.ns); // else it is a hot loop
}

void erig_jump(struct erig *r, int64_t ms)
{
    r->now = mono_add_ms(r->now, ms);
    engine_set_now(r->e, r->now);
    erig_run(r);
}

void erig_wait(struct erig *r, int64_t ms)
{
    struct mono end = mono_add_ms(r->now, ms);
    int at_once = 0;
    for (;;) {
        struct mono at = engine_deadline(r->e);
        if (at.ns > end.ns) {
            break;
        }
        at_once = at.ns <= r->now.ns ? at_once + 1 : 0;
        assert_true(at_once < 3); // a deadline that does not move is a hot loop
        r->now = at.ns > r->now.ns ? at : r->now;
        engine_set_now(r->e, r->now);
        erig_run(r);
    }
    r->now = end;
    engine_set_now(r->e, r->now);
    erig_run(r);
}

// ---- the servers' side --------------------------------------------------------------------------

void erig_dialed(struct erig *r, uint32_t link)
{
    must(r->links[link].open);
    r->links[link].up = true;
    engine_on_dialed(r->e, link);
    engine_check(r->e);
    erig_run(r);
}

void erig_gone(struct erig *r, uint32_t link, const char *why)
{
    must(r->links[link].open);
    r->links[link].open = false;
    engine_on_gone(r->e, link, why);
    engine_check(r->e);
    erig_run(r);
}

void erig_send(struct erig *r, uint32_t link, const void *p, size_t n)
{
    const uint8_t *from = p;
    while (n && r->links[link].open) {
        size_t room;
        uint8_t *to = engine_recv_space(r->e, link, &room);
        must(room > 0);
        size_t k = room < n ? room : n;
        k = r->in_max && k > r->in_max ? r->in_max : k;
        memcpy(to, from, k);
        engine_received(r->e, link, k);
        from += k;
        n -= k;
        engine_check(r->e);
        erig_run(r);
    }
}

static void drop_taken(struct erig_link *l, size_t n)
{
    memmove(l->p, l->p + n, l->n - n);
    l->n -= n;
}

bool erig_take(struct erig *r, uint32_t link)
{
    struct erig_link *l = &r->links[link];
    if (r->frame.n) { // the one taken last is dropped now
        r->frame.n = 0;
    }
    if (l->n < 4 || l->n < 4 + (size_t)be32_get(l->p)) {
        return false;
    }
    size_t n = be32_get(l->p);
    static uint8_t taken[ERIG_STREAM_MAX];
    must(n <= sizeof(taken));
    memcpy(taken, l->p + 4, n);
    drop_taken(l, 4 + n);
    r->frame = (struct erig_frame){.xid = (int32_t)be32_get(taken),
                                   .op = n >= 8 ? (int32_t)be32_get(taken + 4) : 0,
                                   .body = taken + 8,
                                   .n = n - 8};
    return true;
}

static void accept_taken(struct erig *r, uint32_t link, int64_t id, int32_t timeout_ms,
                         bool read_only)
{
    uint8_t f[4 + 37] = {0};
    be32_put(f, 37);
    be32_put(f + 8, (uint32_t)timeout_ms);
    be64_put(f + 12, (uint64_t)id);
    be32_put(f + 20, 16);
    memset(f + 24, 7, id ? 16 : 0);
    f[40] = read_only;
    erig_send(r, link, f, sizeof(f));
}

void erig_accept(struct erig *r, uint32_t link, int64_t id, int32_t timeout_ms, bool read_only)
{
    assert_true(erig_take(r, link));
    assert_int_equal(r->frame.n, 45 - 8);
    accept_taken(r, link, id, timeout_ms, read_only);
}

void erig_answer(struct erig *r, uint32_t link, int32_t xid, int64_t zxid, int32_t err,
                 const void *body, size_t n)
{
    uint8_t *f = malloc(20 + n);
    be32_put(f, (uint32_t)(16 + n));
    be32_put(f + 4, (uint32_t)xid);
    be64_put(f + 8, (uint64_t)zxid);
    be32_put(f + 16, (uint32_t)err);
    if (n) {
        memcpy(f + 20, body, n);
    }
    erig_send(r, link, f, 20 + n);
    free(f);
}

void erig_event(struct erig *r, uint32_t link, int32_t type, const char *path)
{
    uint8_t body[512];
    size_t n = strlen(path);
    be32_put(body, (uint32_t)type);
    be32_put(body + 4, 3);
    be32_put(body + 8, (uint32_t)n);
    memcpy(body + 12, path, n);
    erig_answer(r, link, -1, -1, 0, body, 12 + n);
}

void erig_serve(struct erig *r, uint32_t link, int32_t op, int64_t zxid, int32_t err)
{
    static const uint8_t zeros[128];
    assert_true(erig_take(r, link));
    assert_int_equal(r->frame.op, op);
    // Enough for data or a path of no bytes, and a stat.
    erig_answer(r, link, r->frame.xid, zxid, err, zeros, err ? 0 : 4 + 68);
}

uint32_t erig_link(const struct erig *r, const char *host)
{
    for (uint32_t i = 0; i < ENGINE_LINKS_MAX; i++) {
        if (r->links[i].open && (!host || strcmp(r->links[i].host, host) == 0)) {
            return i;
        }
    }
    fail_msg("no link to %s", host ? host : "anybody");
    return 0;
}

// ---- requests -----------------------------------------------------------------------------------

bool erig_submit(struct erig *r, const struct reeve_request *q)
{
    struct reeve_allocator a = erig_allocator(r);
    struct call *c;
    enum reeve_error e = call_new(&a, r->e->chroot, 1 << 20, q, &c);
    if (e) {
        assert_int_equal(e, REEVE_NO_MEMORY);
        return false;
    }
    c->submitted = r->now;
    r->submitted++;
    engine_submit(r->e, c);
    engine_check(r->e);
    erig_run(r);
    return true;
}

void erig_watch_fn(void *ctx, const struct reeve_event *ev)
{
    (void)ctx;
    (void)ev;
}

void erig_get(struct erig *r, const char *path)
{
    erig_submit(r, &(struct reeve_request){.op = REEVE_OP_GET, .path = path});
}

void erig_get_watch(struct erig *r, const char *path)
{
    erig_submit(
        r, &(struct reeve_request){.op = REEVE_OP_GET, .path = path, .watch = {erig_watch_fn, r}});
}

void erig_set(struct erig *r, const char *path)
{
    erig_submit(r,
                &(struct reeve_request){
                    .op = REEVE_OP_SET, .path = path, .data = "x", .data_len = 1, .version = -1});
}

// ---- for most tests -----------------------------------------------------------------------------

struct erig *erig_new(struct reeve_options o)
{
    struct erig *r = calloc(1, sizeof(*r));
    must(r);
    o.no_shuffle = true;
    o.servers = o.servers ? o.servers : "a,b";
    assert_int_equal(erig_begin(r, o), REEVE_OK);
    return r;
}

void erig_free(struct erig *r)
{
    erig_end(r);
    assert_int_equal(r->submitted, r->done);
    free(r);
}

struct erig *erig_connected(struct reeve_options o)
{
    struct erig *r = erig_new(o);
    erig_run(r);
    erig_expect(r, "dial 0 a:2181\n");
    erig_dialed(r, 0);
    erig_accept(r, 0, 7, 6000, false);
    erig_expect(r, "state CONNECTED 7 6000 renewed\n");
    return r;
}

void erig_reconnect(struct erig *r)
{
    uint32_t link = erig_link(r, NULL);
    erig_dialed(r, link);
    erig_accept(r, link, 7, 6000, false);
}

void erig_set_xid(struct erig *r, int32_t last)
{
    r->e->xid = last;
}

static void play_frame(struct erig *r, uint32_t link, size_t data_n)
{
    if (r->links[link].all - r->links[link].n == 4 + 45) { // the first
        int64_t id = (int64_t)be64_get(r->frame.body + 8);
        accept_taken(r, link, id ? id : 7, 6000, false);
        return;
    }
    bool data = r->frame.op == OP_GET_DATA;
    size_t n = data ? 4 + data_n + 68 : 4 + 68;
    uint8_t *body = calloc(1, n);
    must(body);
    if (data) {
        be32_put(body, (uint32_t)data_n);
        memset(body + 4, 'd', data_n);
    }
    bool bare = r->frame.xid < 0 || r->frame.op == OP_CLOSE_SESSION || r->frame.op == OP_DELETE;
    erig_answer(r, link, r->frame.xid, 10, 0, body, bare ? 0 : n);
    free(body);
}

void erig_play(struct erig *r, size_t data_n)
{
    for (bool any = true; any;) {
        any = false;
        for (uint32_t i = 0; i < ENGINE_LINKS_MAX; i++) {
            if (r->links[i].open && !r->links[i].up) {
                erig_dialed(r, i);
                any = true;
            } else if (r->links[i].open && erig_take(r, i)) {
                play_frame(r, i, data_n);
                any = true;
            }
        }
    }
}
