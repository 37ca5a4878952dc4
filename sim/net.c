// SPDX-License-Identifier: Apache-2.0
#include "sim/net.h"

#include "sim/client.h"
#include "sim/host.h"
#include "sim/world.h"

enum { CHUNK_MAX = 64 * 1024, LINGER_S = 5, SILENCE_S = 8 };

void net_init(struct world *w)
{
    w->net.delay_ns = (int64_t)(100 + world_below(w, 3000)) * 1000;
}

void net_fini(struct world *w)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        for (int s = 0; s < 2; s++) {
            buf_fini(&w->net.links[i].end[s].out.bytes);
            buf_fini(&w->net.links[i].end[s].rx);
            buf_fini(&w->net.links[i].end[s].held);
        }
    }
}

static struct link *at(struct world *w, uint32_t i)
{
    must(i < LINKS_MAX && w->net.links[i].used);
    return &w->net.links[i];
}

static enum side other(enum side s)
{
    return s == DIALER ? ACCEPTOR : DIALER;
}

static void later(struct world *w, uint32_t i, int64_t in_ns, enum sched_kind kind, enum side s)
{
    world_later(w, in_ns,
                (struct sched_event){.kind = kind, .a = i, .b = s, .gen = w->net.links[i].gen});
}

static bool is_over(const struct end *e)
{
    return !e->open && e->conn == LINK_NONE;
}

static void forget_if_over(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    if (!is_over(&l->end[DIALER]) || !is_over(&l->end[ACCEPTOR])) {
        return;
    }
    l->used = false;
    l->gen++;
    for (int s = 0; s < 2; s++) {
        buf_fini(&l->end[s].out.bytes);
        buf_fini(&l->end[s].rx);
        buf_fini(&l->end[s].held);
    }
}

// The path that bytes of this end take; NULL: between a client and a host all paths are alike.
static const struct path *path_of(const struct world *w, const struct link *l, enum side from)
{
    const struct end *a = &l->end[from], *b = &l->end[other(from)];
    return a->is_host && b->is_host ? &w->net.paths[a->who][b->who] : NULL;
}

static void move_soon(struct world *w, uint32_t i, enum side from)
{
    struct link *l = at(w, i);
    struct stream *s = &l->end[from].out;
    if (!s->moving && (s->bytes.n || s->fin)) {
        const struct path *p = path_of(w, l, from);
        s->moving = true;
        later(w, i, world_delay(w, w->net.delay_ns + (p ? p->delay_ns : 0)), SCHED_MOVE, from);
    }
}

// A chunk as networks make them: mostly all there is, at times a few bytes, at times one.
static size_t chunk(struct world *w, size_t n)
{
    n = n < CHUNK_MAX ? n : CHUNK_MAX;
    uint64_t x = world_below(w, 16);
    if (n <= 1 || x > 5) {
        return n;
    }
    return x == 0 ? 1 : 1 + (size_t)world_below(w, x < 3 && n > 64 ? 64 : n);
}

// ---- beginning -------------------------------------------------------------------------------

static struct end new_end(struct world *w, bool is_host, uint32_t who)
{
    return (struct end){.is_host = is_host,
                        .who = who,
                        .conn = LINK_NONE,
                        .open = true,
                        .rx_max = (size_t)4096 << world_below(w, 6),
                        .out_max = (size_t)16 << world_below(w, 13)};
}

static uint32_t free_link(const struct world *w)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        if (!w->net.links[i].used) {
            return i;
        }
    }
    return LINK_NONE;
}

uint32_t net_connect(struct world *w, uint32_t client, uint32_t host, uint16_t port)
{
    uint32_t i = free_link(w);
    if (i == LINK_NONE) {
        return i;
    }
    struct link *l = &w->net.links[i];
    *l = (struct link){.used = true, .gen = l->gen, .port = port};
    l->end[DIALER] = new_end(w, false, client);
    l->end[ACCEPTOR] = new_end(w, true, host);
    l->end[ACCEPTOR].open = false; // until it arrives there
    later(w, i, world_delay(w, w->net.delay_ns), SCHED_OPEN, DIALER);
    return i;
}

uint32_t net_join(struct world *w, uint32_t dialer, uint32_t acceptor, uint16_t port)
{
    uint32_t i = free_link(w);
    must(i != LINK_NONE);
    struct link *l = &w->net.links[i];
    *l = (struct link){.used = true, .gen = l->gen, .port = port};
    l->end[DIALER] = new_end(w, true, dialer);
    l->end[ACCEPTOR] = new_end(w, true, acceptor);
    return i;
}

// ---- client's end ----------------------------------------------------------------------------

void net_client_send(struct world *w, uint32_t i, struct slice bytes)
{
    struct link *l = at(w, i);
    if (!l->broken && l->end[DIALER].open) {
        buf_put_slice(&l->end[DIALER].out.bytes, bytes);
        move_soon(w, i, DIALER);
    }
}

void net_client_close(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    l->end[DIALER].open = false;
    l->end[DIALER].paused = false;
    l->end[DIALER].out.fin = true;
    move_soon(w, i, DIALER);
    move_soon(w, i, ACCEPTOR);
    forget_if_over(w, i);
}

void net_client_stall(struct world *w, uint32_t i, bool stalled)
{
    at(w, i)->end[DIALER].paused = stalled;
    move_soon(w, i, ACCEPTOR);
}

// ---- host's end ------------------------------------------------------------------------------

static void post(struct world *w, uint32_t i, enum side s, struct inbox_item item)
{
    item.link = i;
    item.side = s;
    host_post(w->hosts[at(w, i)->end[s].who], item);
}

static void tell_readable(struct world *w, uint32_t i, enum side s)
{
    struct end *e = &at(w, i)->end[s];
    bool readable = (e->rx.n || e->eof) && !e->paused && !e->closing;
    if (e->open && !e->told && e->conn != LINK_NONE && readable) {
        e->told = true;
        post(w, i, s, (struct inbox_item){.kind = INBOX_READ});
    }
}

size_t net_send(struct world *w, uint32_t i, enum side s, struct slice bytes)
{
    struct link *l = at(w, i);
    struct end *e = &l->end[s];
    if (l->broken || !e->open || e->closing) {
        return 0;
    }
    buf_put_slice(&e->out.bytes, bytes);
    move_soon(w, i, s);
    e->want_drained = e->out.bytes.n > e->out_max;
    return e->want_drained ? e->out.bytes.n - e->out_max : 0;
}

void net_close(struct world *w, uint32_t i, enum side s)
{
    struct end *e = &at(w, i)->end[s];
    if (e->closing) {
        return;
    }
    e->closing = true;
    e->want_drained = false;
    buf_clear(&e->rx);
    e->out.fin = true;
    move_soon(w, i, s);
    later(w, i, LINGER_S * SIM_S, SCHED_LINGER, s);
}

void net_pause(struct world *w, uint32_t i, enum side s, bool paused)
{
    at(w, i)->end[s].paused = paused;
    tell_readable(w, i, s);
}

void net_read(struct world *w, uint32_t i, enum side s, struct buf *into)
{
    struct end *e = &at(w, i)->end[s];
    size_t n = chunk(w, e->rx.n);
    buf_put(into, e->rx.p, n);
    buf_consume(&e->rx, n);
    e->told = false;
    tell_readable(w, i, s);
    move_soon(w, i, other(s));
}

void net_forget(struct world *w, uint32_t i, enum side s)
{
    struct end *e = &at(w, i)->end[s];
    e->conn = LINK_NONE;
    e->open = false;
    e->told = false;
    if (!e->closing) {
        e->out.fin = true; // the peer had closed first, or it is gone
        move_soon(w, i, s);
    }
    forget_if_over(w, i);
}

void net_died(struct world *w, uint32_t i, enum side s, bool silent)
{
    struct link *l = at(w, i);
    struct end *e = &l->end[s];
    e->out.bytes.n = (size_t)world_below(w, e->out.bytes.n + 1); // some of it had left already
    buf_clear(&e->rx);
    e->closing = false;
    if (silent && !l->broken) { // whoever sends gets no answer, and gives up at some time
        l->broken = true;
        later(w, i, (int64_t)world_below(w, SILENCE_S * SIM_S), SCHED_GONE, other(s));
    }
    net_forget(w, i, s);
}

// ---- faults ----------------------------------------------------------------------------------

void net_cut(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    if (l->broken) {
        return;
    }
    l->broken = true;
    buf_clear(&l->end[DIALER].out.bytes);
    buf_clear(&l->end[ACCEPTOR].out.bytes);
    later(w, i, world_delay(w, 50 * SIM_MS), SCHED_GONE, ACCEPTOR);
    later(w, i, world_delay(w, 50 * SIM_MS), SCHED_GONE, DIALER);
}

void net_freeze(struct world *w, uint32_t i, int64_t for_ns)
{
    struct link *l = at(w, i);
    l->frozen_until_ns = w->now_ns + for_ns;
    later(w, i, for_ns, SCHED_THAW, DIALER);
}

void net_block(struct world *w, uint32_t from, uint32_t to, bool blocked)
{
    w->net.bad_ns = blocked || w->net.paths[from][to].blocked ? w->now_ns : w->net.bad_ns;
    w->net.paths[from][to].blocked = blocked;
    for (uint32_t i = 0; i < LINKS_MAX && !blocked; i++) {
        if (w->net.links[i].used) {
            net_on_thaw(w, i);
        }
    }
}

bool net_reaches(const struct world *w, uint32_t from, uint32_t to)
{
    return !w->net.paths[from][to].blocked && !w->net.paths[to][from].blocked;
}

// ---- from the scheduler ----------------------------------------------------------------------

static void tell_closed(struct world *w, uint32_t i, enum side s, enum err why)
{
    struct end *e = &at(w, i)->end[s];
    if (!e->open) {
        forget_if_over(w, i);
        return;
    }
    e->open = false;
    if (e->is_host) {
        post(w, i, s, (struct inbox_item){.kind = INBOX_CLOSED, .err = why});
    } else {
        client_on_closed(w->clients[e->who], i);
        forget_if_over(w, i);
    }
}

void net_on_open(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    l->end[ACCEPTOR].open = true;
    if (!host_accept(w->hosts[l->end[ACCEPTOR].who], i)) {
        l->end[ACCEPTOR].open = false;
        tell_closed(w, i, DIALER, ERR_OK);
    } else if (l->broken) {
        tell_closed(w, i, DIALER, ERR_OK);
    } else {
        client_on_connected(w->clients[l->end[DIALER].who], i);
    }
}

static void move_to_host(struct world *w, uint32_t i, enum side from)
{
    struct link *l = at(w, i);
    struct stream *s = &l->end[from].out;
    struct end *to = &l->end[other(from)];
    if (!to->open || to->closing) {
        buf_clear(&s->bytes); // nobody reads it
    }
    size_t room = to->rx.n < to->rx_max ? to->rx_max - to->rx.n : 0;
    size_t n = chunk(w, s->bytes.n < room ? s->bytes.n : room);
    buf_put(&to->rx, s->bytes.p, n);
    buf_consume(&s->bytes, n);
    if (n) {
        move_soon(w, i, from);
    }
}

// What arrives at a client is handed out after the link is in order again: it may close it.
static void move_to_client(struct world *w, uint32_t i, enum side from, struct buf *got)
{
    struct stream *s = &at(w, i)->end[from].out;
    size_t n = chunk(w, s->bytes.n);
    buf_put(got, s->bytes.p, n);
    buf_consume(&s->bytes, n);
    move_soon(w, i, from);
}

// The stream has come to its end, which the sender was waiting for if it has closed.
static void finish(struct world *w, uint32_t i, enum side from)
{
    struct link *l = at(w, i);
    struct end *to = &l->end[other(from)];
    l->end[from].out.fin = false;
    to->eof = true;
    if (l->end[from].is_host) {
        tell_closed(w, i, from, ERR_OK);
    }
    if (to->is_host && l->used) {
        tell_readable(w, i, other(from));
        if (to->closing) {
            tell_closed(w, i, other(from), ERR_OK);
        }
    }
}

void net_on_move(struct world *w, uint32_t i, enum side from)
{
    struct link *l = at(w, i);
    struct end *e = &l->end[from], *to = &l->end[other(from)];
    const struct path *p = path_of(w, l, from);
    e->out.moving = false;
    if (l->broken || l->frozen_until_ns > w->now_ns || (p && p->blocked) ||
        (!to->is_host && to->paused)) {
        return;
    }
    struct buf got = {0};
    uint64_t gen = l->gen;
    if (to->is_host) {
        move_to_host(w, i, from);
    } else {
        move_to_client(w, i, from, &got);
    }
    if (e->want_drained && e->out.bytes.n <= e->out_max && e->open) {
        e->want_drained = false;
        post(w, i, from, (struct inbox_item){.kind = INBOX_DRAINED});
    }
    bool end = e->out.bytes.n == 0 && e->out.fin;
    if (end) {
        finish(w, i, from);
    } else if (to->is_host) {
        tell_readable(w, i, other(from));
    }
    if (!to->is_host && to->open && got.n) {
        client_on_data(w->clients[to->who], i, buf_slice(&got));
    }
    buf_fini(&got);
    if (end && !to->is_host && l->used && l->gen == gen) {
        tell_closed(w, i, other(from), ERR_OK);
    }
}

void net_on_linger(struct world *w, uint32_t i, enum side s)
{
    if (at(w, i)->end[s].open) {
        tell_closed(w, i, s, ERR_OK);
        if (w->net.links[i].used) {
            net_cut(w, i);
        }
    }
}

void net_on_gone(struct world *w, uint32_t i, enum side s)
{
    tell_closed(w, i, s, ERR_IO);
}

void net_on_thaw(struct world *w, uint32_t i)
{
    move_soon(w, i, DIALER);
    move_soon(w, i, ACCEPTOR);
}
