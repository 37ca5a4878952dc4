// SPDX-License-Identifier: Apache-2.0
#include "sim/guest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "sim/check_tree.h"
#include "sim/host.h"
#include "sim/world.h"
#include "wire/jute.h"

// A server that starts again gives every session its whole timeout, also one its client has lost.
enum { TICK_MS = 20, CALM_PATIENCE_S = 12, WORK_PATIENCE_S = 20, APART_MS = 2000 };

bool guest_is_paused(const struct guest *g)
{
    return g->paused_until_ns != 0; // until it has woken up
}

static struct mono guest_now(const struct guest *g)
{
    int64_t now_ns = g->c->w->now_ns;
    return (struct mono){g->clock_offset_ns +
                         (g->c->w->opt.plant == PLANT_SLOW_GUEST ? now_ns / 2 : now_ns)};
}

// ---- the driver ------------------------------------------------------------------------------

static void wake(struct reeve *zk, void *ctx)
{
    (void)zk;
    (void)ctx; // whatever happens to a guest ends in guest_run()
}

static void dial(struct reeve *zk, void *ctx, uint32_t link, const char *host, uint16_t port)
{
    struct guest *g = ctx;
    struct world *w = g->c->w;
    (void)zk;
    must(link < ENGINE_LINKS_MAX);
    must(!g->links[link].used);
    uint32_t to = (uint32_t)strtoul(host + 1, NULL, 10);
    must(to < w->hosts_n && port == PORT_CLIENT);
    uint32_t l = net_connect(w, g->c->index, to, PORT_CLIENT);
    if (l == LINK_NONE) {
        engine_on_gone(client_engine(g->zk), link, "no connection is free");
        return;
    }
    struct buf out = g->links[link].out;
    buf_clear(&out);
    g->links[link] = (struct guest_link){.used = true, .link = l, .host = to, .out = out};
}

static void cut(struct reeve *zk, void *ctx, uint32_t link)
{
    struct guest *g = ctx;
    (void)zk;
    must(link < ENGINE_LINKS_MAX);
    must(g->links[link].used);
    g->links[link].used = false;
    if (g->links[link].link == g->c->link) {
        client_hang_up(g->c);
    } else {
        net_client_close(g->c->w, g->links[link].link);
    }
}

static struct mono read_clock(void *ctx)
{
    return guest_now(ctx);
}

static void log_line(void *ctx, enum reeve_log_level level, const char *line)
{
    struct guest *g = ctx;
    (void)level;
    report_line(&g->c->w->report, "guest %u: %s", g->c->index, line);
}

// ---- what the library sends ------------------------------------------------------------------

// A ConnectRequest: from now on this link is the client's connection.
static void tap_hello(struct guest *g, struct guest_link *l, struct slice frame)
{
    struct client *c = g->c;
    struct arena a = {0};
    struct jute_in in = jute_in(frame, SIZE_MAX);
    struct connect_request r;
    jute_get_record(&in, &record_connect_request, &r, &a);
    bool has_read_only = jute_left(&in) == 1;
    if (in.err || !has_read_only || r.passwd.n != 16) {
        report_fail(&c->w->report, "guest %u: a ConnectRequest of %zu bytes", c->index, frame.n);
    } else if (r.session_id && r.session_id != c->session) {
        report_fail(&c->w->report, "guest %u asks for session 0x%" PRIx64 " and has 0x%" PRIx64,
                    c->index, (uint64_t)r.session_id, (uint64_t)c->session);
    } else if (r.last_zxid_seen > c->last_zxid && r.session_id) {
        report_fail(&c->w->report,
                    "guest %u says it has seen 0x%" PRIx64 " and was told 0x%" PRIx64, c->index,
                    (uint64_t)r.last_zxid_seen, (uint64_t)c->last_zxid);
    } else {
        if (r.session_id == 0) {
            client_forget_session(c);
        }
        client_note_hello(c, l->link, l->host, r.last_zxid_seen);
    }
    arena_fini(&a);
}

static void tap_request(struct guest *g, struct slice frame)
{
    struct client *c = g->c;
    struct slice kept = arena_copy(&c->arena, frame);
    struct ask *q = arena_zalloc(&c->arena, sizeof(*q));
    if (!ask_decode(kept, &c->arena, q)) {
        report_fail(&c->w->report, "guest %u sends what no client sends (%zu bytes, type %d)",
                    c->index, frame.n, q->type);
        return;
    }
    if (q->xid > 0 && (size_t)q->xid <= c->by_xid_n && c->by_xid[q->xid - 1]) {
        report_fail(&c->w->report, "guest %u uses xid %d twice", c->index, q->xid);
        return;
    }
    client_note_ask(c, q);
}

static void tap(struct guest *g, struct guest_link *l, struct slice bytes)
{
    buf_put_slice(&l->out, bytes);
    while (l->out.n >= 4 && !g->c->w->report.failed) {
        uint32_t n = be32_get(l->out.p);
        if (l->out.n - 4 < n) {
            return;
        }
        struct slice frame = slice_of(l->out.p + 4, n);
        if (g->c->link != l->link) {
            tap_hello(g, l, frame);
        } else {
            tap_request(g, frame);
        }
        buf_consume(&l->out, 4 + n);
    }
}

// At times the network takes only a part.
static bool send_some(struct guest *g, uint32_t link)
{
    struct guest_link *l = &g->links[link];
    struct engine *e = client_engine(g->zk);
    struct world *w = g->c->w;
    struct slice s = l->used && l->open ? engine_output(e, link) : SLICE_NULL;
    if (s.n == 0) {
        return false;
    }
    size_t n = world_chance(w, 1, 8) ? 1 + (size_t)world_below(w, s.n) : s.n;
    tap(g, l, slice_head(s, n));
    if (l->used) {
        net_client_send(w, l->link, slice_head(s, n));
        engine_sent(e, link, n);
    }
    return true;
}

static void guest_run(struct guest *g)
{
    if (!g->zk || g->running || guest_is_paused(g)) {
        return;
    }
    bool more = true;
    g->running = true;
    while (more && !g->c->w->report.failed) {
        client_run(g->zk, guest_now(g));
        more = false;
        for (uint32_t i = 0; i < ENGINE_LINKS_MAX; i++) {
            more |= send_some(g, i);
        }
        engine_check(client_engine(g->zk));
    }
    g->running = false;
    if (g->leaving && client_is_over(g->zk)) {
        client_free(&g->zk);
        for (uint32_t i = 0; i < ENGINE_LINKS_MAX; i++) {
            if (g->links[i].used) {
                cut(NULL, g, i);
            }
        }
        guest_work_free(&g->work);
    }
}

// ---- what arrives ----------------------------------------------------------------------------

static int find_link(const struct guest *g, uint32_t link)
{
    for (int i = 0; i < ENGINE_LINKS_MAX; i++) {
        if (g->links[i].used && g->links[i].link == link) {
            return i;
        }
    }
    return -1;
}

void guest_on_connected(struct client *c, uint32_t link)
{
    struct guest *g = c->guest;
    int i = find_link(g, link);
    if (i >= 0 && g->zk) {
        g->links[i].open = true;
        if (guest_is_paused(g)) {
            net_client_stall(c->w, link, true);
        }
        engine_set_now(client_engine(g->zk), guest_now(g));
        engine_on_dialed(client_engine(g->zk), (uint32_t)i);
        guest_run(g);
    }
}

void guest_on_closed(struct client *c, uint32_t link)
{
    struct guest *g = c->guest;
    int i = find_link(g, link);
    if (i >= 0 && g->zk) {
        g->links[i].used = false;
        engine_set_now(client_engine(g->zk), guest_now(g));
        engine_on_gone(client_engine(g->zk), (uint32_t)i, "the network says so");
        guest_run(g);
    }
}

void guest_on_data(struct client *c, uint32_t link, struct slice bytes)
{
    struct guest *g = c->guest;
    int i = find_link(g, link);
    if (g->zk) {
        engine_set_now(client_engine(g->zk), guest_now(g));
    }
    while (i >= 0 && bytes.n && g->zk && g->links[i].used && g->links[i].link == link &&
           !c->w->report.failed) {
        size_t room;
        uint8_t *p = engine_recv_space(client_engine(g->zk), (uint32_t)i, &room);
        size_t n = room < bytes.n ? room : bytes.n;
        memcpy(p, bytes.p, n);
        bytes = slice_skip(bytes, n);
        engine_received(client_engine(g->zk), (uint32_t)i, n);
        guest_run(g);
    }
}

// ---- its life --------------------------------------------------------------------------------

struct guest *guest_new(struct client *c)
{
    struct guest *g = mem_zalloc(sizeof(*g));
    struct world *w = c->w;
    char servers[128];
    size_t n = 0;
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        n += (size_t)snprintf(servers + n, sizeof(servers) - n, "%sh%u:%d", i ? "," : "", i,
                              PORT_CLIENT);
    }
    g->c = c;
    g->clock_offset_ns = (int64_t)world_below(w, 1000) * SIM_S;
    g->closes = world_chance(w, 1, 2);
    struct reeve_options o = {.servers = servers,
                              .session_timeout_ms = c->timeout_ms,
                              .seed = 1 + world_below(w, UINT32_MAX),
                              .log = log_line,
                              .log_ctx = g};
    struct client_driver d = {
        .wake = wake, .dial = dial, .cut = cut, .clock = read_clock, .ctx = g};
    must(!client_new(&g->zk, &o, &d));
    g->work = guest_work_new(g);
    return g;
}

void guest_free(struct guest **gp)
{
    struct guest *g = *gp;
    *gp = NULL;
    if (g->zk) {
        client_free(&g->zk);
        guest_work_free(&g->work);
    }
    for (int i = 0; i < ENGINE_LINKS_MAX; i++) {
        buf_fini(&g->links[i].out);
    }
    mem_free(g);
}

static void stall(struct guest *g, bool stalled)
{
    for (int i = 0; i < ENGINE_LINKS_MAX; i++) {
        if (g->links[i].used && g->links[i].open) {
            net_client_stall(g->c->w, g->links[i].link, stalled);
        }
    }
}

// Mostly for a moment, at times longer than the session lives.
static void maybe_pause(struct guest *g)
{
    struct world *w = g->c->w;
    if (g->paused_until_ns && (g->paused_until_ns <= w->now_ns || w->phase != PHASE_STORM)) {
        g->paused_until_ns = 0;
        report_line(&w->report, "guest %u goes on", g->c->index);
        guest_run(g); // first of all it learns what time it is
        check_guest_woke(w, g->c->index);
        guest_work_woke(g->work);
        stall(g, false);
    } else if (w->phase == PHASE_STORM && w->opt.faults && !g->paused_until_ns &&
               world_chance(w, 1, 700)) {
        int64_t most = world_chance(w, 1, 2) ? 800 * SIM_MS : 15 * SIM_S;
        g->paused_until_ns = w->now_ns + (int64_t)world_below(w, (uint64_t)most);
        report_line(&w->report, "guest %u stops for %" PRId64 " ms", g->c->index,
                    (g->paused_until_ns - w->now_ns) / SIM_MS);
        stall(g, true);
    }
}

static void mind_calm(struct guest *g)
{
    struct world *w = g->c->w;
    if (w->phase != PHASE_CALM || w->now_ns - w->faults.healed_ns < CALM_PATIENCE_S * SIM_S) {
        return;
    }
    // A session of one second may end its connection while half a megabyte goes to a slow follower.
    struct reeve_session s;
    reeve_get_session(g->zk, &s);
    bool apart = s.state != REEVE_STATE_CONNECTED && !guest_is_paused(g);
    g->apart_ns = !apart ? 0 : g->apart_ns ? g->apart_ns : w->now_ns;
    if (apart && w->now_ns - g->apart_ns > APART_MS * SIM_MS) {
        report_fail(&w->report, "guest %u is in state %d (%s), and nothing is wrong any more",
                    g->c->index, (int)s.state, s.why);
    }
    if (w->now_ns - w->faults.healed_ns >= WORK_PATIENCE_S * SIM_S) {
        guest_work_check_calm(g->work);
    }
}

static void leave(struct guest *g)
{
    if (!g->leaving) {
        g->leaving = true;
        g->c->left = true;
        guest_work_leave(g->work);
        client_begin_close(g->zk, g->closes);
    }
}

// Its timer is as exact as a system's.
static int64_t next_tick_ns(const struct guest *g)
{
    int64_t in = TICK_MS * SIM_MS + world_delay(g->c->w, SIM_MS);
    if (!g->zk || guest_is_paused(g)) {
        return in;
    }
    int64_t until = client_deadline(g->zk).ns - guest_now(g).ns;
    return until > 0 && until < in ? until : in;
}

void guest_tick(struct client *c)
{
    struct guest *g = c->guest;
    struct world *w = c->w;
    if (!g->zk) {
        return;
    }
    maybe_pause(g);
    guest_run(g); // what is due comes before what the program does now
    if (g->zk && !guest_is_paused(g)) {
        if (w->phase >= PHASE_DRAIN) {
            leave(g);
        } else {
            mind_calm(g);
            guest_work_tick(g->work);
        }
        guest_run(g);
    }
    world_later(w, next_tick_ns(g), (struct sched_event){.kind = SCHED_CLIENT, .a = c->index});
}
