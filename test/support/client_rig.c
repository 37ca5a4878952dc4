// SPDX-License-Identifier: Apache-2.0
#include "test/support/client_rig.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/endian.h"
#include "client/engine.h"
#include "tree/node.h"

enum { STEP_MS = 100, WAIT_MS_MAX = 600000 };

enum wire_state { WIRE_NONE, WIRE_DIALING, WIRE_UP };

struct wire { // one link of a client
    enum wire_state state;
    uint32_t conn;
    struct buf to_server, to_client; // on their way
};

struct cut {
    bool armed;
    enum crig_way way;
    size_t messages, bytes; // still to be delivered; SIZE_MAX: does not count
};

struct side { // one client, in the rig's eyes
    struct crig *world;
    struct reeve *zk;
    uint8_t ip;
    struct wire wires[ENGINE_LINKS_MAX];
    struct cut cut;
    size_t messages[2];
    bool refuse, silent, hold, stopped;
    bool wants_run;
};

struct crig {
    struct rig *server;
    struct side *sides[CRIG_CLIENTS];
    uint64_t seed;
    size_t pieces;
    bool gulp;
    size_t allocs, alive, fail_in, fail_n;
    bool failed;
};

// ---- memory -------------------------------------------------------------------------------------

static void *allocate(void *ctx, void *p, size_t n)
{
    struct crig *w = ctx;
    if (n == 0) {
        must(w->alive > 0);
        w->alive--;
        free(p);
        return NULL;
    }
    w->allocs++;
    if (w->fail_in && --w->fail_in == 0) {
        w->failed = true;
        w->fail_in = --w->fail_n ? 1 : 0;
        return NULL;
    }
    // Always moved: who keeps an old pointer is found out.
    void *to = malloc(n);
    must(to);
    if (p) {
        size_t had = malloc_usable_size(p);
        memcpy(to, p, had < n ? had : n);
        free(p);
    } else {
        w->alive++;
    }
    return to;
}

size_t crig_allocs(const struct crig *w)
{
    return w->allocs;
}

size_t crig_alive(const struct crig *w)
{
    return w->alive;
}

void crig_fail_alloc(struct crig *w, size_t n, size_t in_a_row)
{
    w->fail_in = n;
    w->fail_n = in_a_row;
    w->failed = false;
}

bool crig_alloc_failed(const struct crig *w)
{
    return w->failed;
}

// ---- the driver ---------------------------------------------------------------------------------

static struct side *side_of(const struct crig *w, const struct reeve *zk)
{
    for (size_t i = 0; i < CRIG_CLIENTS; i++) {
        if (w->sides[i] && w->sides[i]->zk == zk) {
            return w->sides[i];
        }
    }
    bool is_of_this_rig = false;
    must(is_of_this_rig);
    return NULL;
}

static void drop_wire(struct side *s, struct wire *v)
{
    if (v->state == WIRE_UP) {
        rig_hang_up(s->world->server, v->conn);
    }
    v->state = WIRE_NONE;
    buf_fini(&v->to_server);
    buf_fini(&v->to_client);
}

static void wake(struct reeve *zk, void *ctx)
{
    (void)zk;
    ((struct side *)ctx)->wants_run = true;
}

static void dial(struct reeve *zk, void *ctx, uint32_t link, const char *host, uint16_t port)
{
    (void)zk;
    struct side *s = ctx;
    must(link < ENGINE_LINKS_MAX);
    must(s->wires[link].state == WIRE_NONE);
    must(host[0]);
    must(port);
    s->wires[link].state = WIRE_DIALING;
}

static void cut(struct reeve *zk, void *ctx, uint32_t link)
{
    (void)zk;
    struct side *s = ctx;
    must(link < ENGINE_LINKS_MAX);
    must(s->wires[link].state != WIRE_NONE);
    drop_wire(s, &s->wires[link]);
}

// Time passes only when nothing moves. A wait that never ends is a mistake of the test.
static void wait_at(struct reeve *zk, void *ctx, struct reeve_gate *g)
{
    (void)zk;
    struct crig *w = ((struct side *)ctx)->world;
    int64_t until = crig_now_ms(w) + WAIT_MS_MAX;
    while (!gate_is_open(g)) {
        if (!crig_step(w)) {
            crig_advance(w, 1);
        }
        must(crig_now_ms(w) < until);
    }
}

static struct mono clock_now(void *ctx)
{
    return ((struct side *)ctx)->world->server->now;
}

// ---- clients come and go ------------------------------------------------------------------------

struct crig *crig_new(void)
{
    struct crig *w = mem_zalloc(sizeof(*w));
    w->server = rig_new(NULL);
    rig_expire_sessions(w->server);
    return w;
}

void crig_free(struct crig **wp)
{
    struct crig *w = *wp;
    w->fail_in = 0;
    for (size_t i = 0; i < CRIG_CLIENTS; i++) {
        if (w->sides[i]) {
            struct reeve *zk = w->sides[i]->zk;
            w->sides[i]->stopped = false;
            crig_close(w, &zk);
        }
    }
    must(w->alive == 0);
    rig_free(&w->server);
    mem_free(w);
    *wp = NULL;
}

enum reeve_error crig_client_try(struct crig *w, const struct reeve_options *o, struct reeve **zk)
{
    size_t i = 0;
    while (w->sides[i]) {
        i++;
        must(i < CRIG_CLIENTS);
    }
    struct side *s = mem_zalloc(sizeof(*s));
    s->world = w;
    s->ip = (uint8_t)(i + 1);
    s->wants_run = true;
    struct reeve_options own = o ? *o : (struct reeve_options){0};
    own.servers = own.servers ? own.servers : "one:2181,two:2181,three:2181";
    own.seed = own.seed ? own.seed : ++w->seed;
    if (!own.allocator.alloc) {
        own.allocator = (struct reeve_allocator){allocate, w};
    }
    struct client_driver d = {wake, dial, cut, wait_at, NULL, clock_now, s};
    enum reeve_error e = client_new(zk, &own, &d);
    if (e) {
        mem_free(s);
        return e;
    }
    s->zk = *zk;
    w->sides[i] = s;
    return REEVE_OK;
}

struct reeve *crig_client(struct crig *w, const struct reeve_options *o)
{
    struct reeve *zk;
    must(crig_client_try(w, o, &zk) == REEVE_OK);
    return zk;
}

void crig_drop(struct crig *w, struct reeve **zk)
{
    struct side *s = side_of(w, *zk);
    for (size_t i = 0; i < ENGINE_LINKS_MAX; i++) {
        drop_wire(s, &s->wires[i]);
    }
    client_free(zk);
    for (size_t i = 0; i < CRIG_CLIENTS; i++) {
        if (w->sides[i] == s) {
            w->sides[i] = NULL;
        }
    }
    mem_free(s);
}

static void end(struct crig *w, struct reeve **zk, bool end_session)
{
    client_begin_close(*zk, end_session);
    int64_t until = crig_now_ms(w) + WAIT_MS_MAX;
    while (!client_is_over(*zk)) {
        if (!crig_step(w)) {
            crig_advance(w, 1);
        }
        must(crig_now_ms(w) < until);
    }
    crig_run(w); // what it said last
    crig_drop(w, zk);
}

void crig_close(struct crig *w, struct reeve **zk)
{
    end(w, zk, true);
}

void crig_abandon(struct crig *w, struct reeve **zk)
{
    end(w, zk, false);
}

// ---- what moves ---------------------------------------------------------------------------------

// The length of the first message in b, or of all there is: a server's answer is never halved.
static size_t message_len(const struct buf *b)
{
    size_t n = b->n < 4 ? b->n : 4 + (size_t)be32_get(b->p);
    return n < b->n ? n : b->n;
}

static void take_head(struct buf *b, size_t n)
{
    b->n -= n;
    memmove(b->p, b->p + n, b->n);
}

static void deliver(struct side *s, uint32_t link, enum crig_way way, struct slice bytes)
{
    struct wire *v = &s->wires[link];
    size_t pieces = s->world->pieces ? s->world->pieces : SIZE_MAX;
    while (bytes.n && v->state == WIRE_UP) {
        size_t n = bytes.n < pieces ? bytes.n : pieces;
        if (way == CRIG_TO_SERVER) {
            rig_send(s->world->server, v->conn, slice_head(bytes, n));
        } else {
            size_t room;
            uint8_t *to = engine_recv_space(client_engine(s->zk), link, &room);
            must(room >= 1);
            n = n < room ? n : room;
            memcpy(to, bytes.p, n);
            engine_received(client_engine(s->zk), link, n);
            s->wants_run = true;
            if (n < bytes.n) { // the engine must have looked before there is room again
                client_run(s->zk, s->world->server->now);
            }
        }
        bytes = slice_skip(bytes, n);
    }
}

static void gone(struct side *s, uint32_t link, const char *why)
{
    drop_wire(s, &s->wires[link]);
    engine_set_now(client_engine(s->zk), s->world->server->now);
    engine_on_gone(client_engine(s->zk), link, why);
    s->wants_run = true;
}

// One message this way; true if there was one.
static bool move_message(struct side *s, uint32_t link, enum crig_way way)
{
    struct wire *v = &s->wires[link];
    struct buf *b = way == CRIG_TO_SERVER ? &v->to_server : &v->to_client;
    if (b->n == 0) {
        return false;
    }
    size_t n = message_len(b);
    struct cut *c = &s->cut;
    bool counts = c->armed && c->way == way;
    if (counts && (c->messages == 0 || c->bytes < n)) {
        size_t part = c->messages == 0 ? 0 : c->bytes;
        c->armed = false;
        struct buf head = {0};
        buf_put(&head, b->p, part);
        deliver(s, link, way, buf_slice(&head));
        buf_fini(&head);
        if (v->state == WIRE_UP) {
            gone(s, link, "cut by the test");
        }
        return true;
    }
    if (counts) {
        c->messages -= c->messages != SIZE_MAX;
        c->bytes -= c->bytes != SIZE_MAX ? n : 0;
    }
    s->messages[way]++;
    struct buf message = {0};
    buf_put(&message, b->p, n);
    take_head(b, n);
    deliver(s, link, way, buf_slice(&message));
    buf_fini(&message);
    return true;
}

static bool answer_dial(struct side *s, uint32_t link)
{
    struct wire *v = &s->wires[link];
    if (s->silent) {
        return false;
    }
    if (s->refuse) {
        gone(s, link, "connection refused");
        return true;
    }
    v->state = WIRE_UP;
    v->conn = rig_accept(s->world->server, s->ip);
    engine_set_now(client_engine(s->zk), s->world->server->now);
    engine_on_dialed(client_engine(s->zk), link);
    s->wants_run = true;
    return true;
}

static void gather(struct side *s, uint32_t link)
{
    struct wire *v = &s->wires[link];
    struct slice out = engine_output(client_engine(s->zk), link);
    if (out.n) {
        buf_put_slice(&v->to_server, out);
        engine_sent(client_engine(s->zk), link, out.n);
    }
    buf_put_slice(&v->to_client, rig_rest(s->world->server, v->conn));
}

static bool gulp(struct side *s, uint32_t link)
{
    bool moved = false;
    while (s->wires[link].state == WIRE_UP && move_message(s, link, CRIG_TO_SERVER)) {
        moved = true;
    }
    gather(s, link);
    while (s->wires[link].state == WIRE_UP && move_message(s, link, CRIG_TO_CLIENT)) {
        moved = true;
    }
    return moved;
}

static bool step_link(struct side *s, uint32_t link)
{
    struct wire *v = &s->wires[link];
    if (v->state == WIRE_DIALING) {
        return answer_dial(s, link);
    }
    if (v->state == WIRE_NONE || s->hold) {
        return false;
    }
    gather(s, link);
    bool moved = s->world->gulp && gulp(s, link);
    if (moved || move_message(s, link, CRIG_TO_SERVER) ||
        (v->state == WIRE_UP && move_message(s, link, CRIG_TO_CLIENT))) {
        return true;
    }
    if (v->state == WIRE_UP && rig_eof(s->world->server, v->conn) && v->to_client.n == 0) {
        gone(s, link, "");
        return true;
    }
    return false;
}

static bool run_client(struct side *s)
{
    struct mono now = s->world->server->now;
    if (!s->wants_run && client_deadline(s->zk).ns > now.ns) {
        return false;
    }
    s->wants_run = false;
    client_run(s->zk, now);
    engine_check(client_engine(s->zk));
    return true;
}

bool crig_step(struct crig *w)
{
    bool moved = false;
    for (size_t i = 0; i < CRIG_CLIENTS; i++) {
        struct side *s = w->sides[i];
        if (!s || s->stopped) {
            continue;
        }
        moved |= run_client(s);
        for (uint32_t l = 0; l < ENGINE_LINKS_MAX; l++) {
            moved |= step_link(s, l);
        }
    }
    return moved;
}

void crig_run(struct crig *w)
{
    for (size_t steps = 0; crig_step(w); steps++) {
        must(steps < 1000000);
    }
}

size_t crig_children(struct crig *w, const char *path)
{
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_result r;
    enum reeve_error e = reeve_children(zk, path, NULL, &r);
    must(e == REEVE_OK || e == REEVE_NO_NODE);
    size_t n = r.children_n;
    reeve_result_fini(&r);
    crig_close(w, &zk);
    return n;
}

unsigned crig_kind(struct crig *w, const char *path)
{
    const struct tree *t = crig_server(w)->tree;
    uint32_t h = tree_find(t, slice_str(path));
    must(h != 0);
    return node_at(t, h)->kind;
}

int64_t crig_now_ms(const struct crig *w)
{
    return w->server->now.ns / 1000000;
}

struct rig *crig_server(struct crig *w)
{
    return w->server;
}

// The next moment at which somebody has something to do, `until` at the latest.
static int64_t next_ms(const struct crig *w, int64_t until)
{
    int64_t now = crig_now_ms(w);
    int64_t next = now + STEP_MS < until ? now + STEP_MS : until;
    for (size_t i = 0; i < CRIG_CLIENTS; i++) {
        if (w->sides[i] && !w->sides[i]->stopped) {
            int64_t ns = client_deadline(w->sides[i]->zk).ns;
            int64_t at = ns / 1000000 + (ns % 1000000 > 0);
            next = at < next ? at : next;
        }
    }
    return next > now ? next : now + 1;
}

void crig_advance(struct crig *w, int64_t ms)
{
    int64_t until = crig_now_ms(w) + ms;
    crig_run(w);
    while (crig_now_ms(w) < until) {
        rig_advance(w->server, next_ms(w, until) - crig_now_ms(w));
        crig_run(w);
    }
}

bool crig_until(struct crig *w, const bool *done, int64_t ms)
{
    int64_t until = crig_now_ms(w) + ms;
    while (!*done && crig_now_ms(w) < until) {
        if (!crig_step(w)) {
            crig_advance(w, 1);
        }
    }
    return *done;
}

// ---- faults -------------------------------------------------------------------------------------

void crig_cut(struct crig *w, struct reeve *zk)
{
    struct side *s = side_of(w, zk);
    for (uint32_t l = 0; l < ENGINE_LINKS_MAX; l++) {
        if (s->wires[l].state == WIRE_UP) {
            gone(s, l, "cut by the test");
        }
    }
}

void crig_cut_after(struct crig *w, struct reeve *zk, enum crig_way way, size_t n)
{
    side_of(w, zk)->cut = (struct cut){true, way, n, SIZE_MAX};
}

void crig_cut_after_bytes(struct crig *w, struct reeve *zk, enum crig_way way, size_t n)
{
    side_of(w, zk)->cut = (struct cut){true, way, SIZE_MAX, n};
}

bool crig_was_cut(const struct crig *w, const struct reeve *zk)
{
    return !side_of(w, zk)->cut.armed;
}

size_t crig_messages(const struct crig *w, const struct reeve *zk, enum crig_way way)
{
    return side_of(w, zk)->messages[way];
}

void crig_refuse(struct crig *w, struct reeve *zk, bool refuse)
{
    side_of(w, zk)->refuse = refuse;
}

void crig_black_hole(struct crig *w, struct reeve *zk, bool silent)
{
    side_of(w, zk)->silent = silent;
}

void crig_hold(struct crig *w, struct reeve *zk, bool hold)
{
    side_of(w, zk)->hold = hold;
}

void crig_stop(struct crig *w, struct reeve *zk, bool stop)
{
    side_of(w, zk)->stopped = stop;
}

void crig_expire(struct crig *w, struct reeve *zk)
{
    struct reeve_session s;
    reeve_get_session(zk, &s);
    must(s.id);
    rig_end_session(w->server, s.id);
}

void crig_pieces(struct crig *w, size_t n)
{
    w->pieces = n;
}

void crig_gulp(struct crig *w, bool gulp)
{
    w->gulp = gulp;
}

void crig_block(struct crig *w, int64_t ms)
{
    w->server->now = mono_add_ms(w->server->now, ms);
}
