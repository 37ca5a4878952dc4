// SPDX-License-Identifier: Apache-2.0
#include "sim/net.h"

#include "sim/client.h"
#include "sim/host.h"
#include "sim/world.h"

enum { CHUNK_MAX = 64 * 1024, LINGER_S = 5 };

void net_init(struct world *w)
{
    w->net.delay_ns = (int64_t)(100 + world_below(w, 3000)) * 1000;
}

void net_fini(struct world *w)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        buf_fini(&w->net.links[i].dir[LINK_UP].bytes);
        buf_fini(&w->net.links[i].dir[LINK_DOWN].bytes);
        buf_fini(&w->net.links[i].rx);
    }
}

static struct link *at(struct world *w, uint32_t i)
{
    must(i < LINKS_MAX && w->net.links[i].used);
    return &w->net.links[i];
}

static void later(struct world *w, uint32_t i, int64_t in_ns, enum sched_kind kind, uint32_t b)
{
    world_later(w, in_ns,
                (struct sched_event){.kind = kind, .a = i, .b = b, .gen = w->net.links[i].gen});
}

static void forget_if_over(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    if (l->client_open || l->host_open || l->conn != LINK_NONE) {
        return;
    }
    l->used = false;
    l->gen++;
    buf_fini(&l->dir[LINK_UP].bytes);
    buf_fini(&l->dir[LINK_DOWN].bytes);
    buf_fini(&l->rx);
}

static void move_soon(struct world *w, uint32_t i, enum link_dir dir)
{
    struct stream *s = &at(w, i)->dir[dir];
    if (!s->moving && (s->bytes.n || s->fin)) {
        s->moving = true;
        later(w, i, world_delay(w, w->net.delay_ns), SCHED_MOVE, dir);
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

// ---- client's end ----------------------------------------------------------------------------

uint32_t net_connect(struct world *w, uint32_t client, uint32_t host)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        struct link *l = &w->net.links[i];
        if (l->used) {
            continue;
        }
        *l = (struct link){.used = true,
                           .gen = l->gen,
                           .client = client,
                           .host = host,
                           .conn = LINK_NONE,
                           .client_open = true,
                           .rx_max = (size_t)4096 << world_below(w, 6),
                           .down_max = (size_t)16 << world_below(w, 13)};
        later(w, i, world_delay(w, w->net.delay_ns), SCHED_OPEN, 0);
        return i;
    }
    return LINK_NONE;
}

void net_client_send(struct world *w, uint32_t i, struct slice bytes)
{
    struct link *l = at(w, i);
    if (!l->broken && l->client_open) {
        buf_put_slice(&l->dir[LINK_UP].bytes, bytes);
        move_soon(w, i, LINK_UP);
    }
}

void net_client_close(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    l->client_open = false;
    l->stalled = false;
    l->dir[LINK_UP].fin = true;
    move_soon(w, i, LINK_UP);
    move_soon(w, i, LINK_DOWN);
    forget_if_over(w, i);
}

void net_client_stall(struct world *w, uint32_t i, bool stalled)
{
    at(w, i)->stalled = stalled;
    move_soon(w, i, LINK_DOWN);
}

// ---- faults ----------------------------------------------------------------------------------

void net_cut(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    if (l->broken) {
        return;
    }
    l->broken = true;
    buf_clear(&l->dir[LINK_UP].bytes);
    buf_clear(&l->dir[LINK_DOWN].bytes);
    later(w, i, world_delay(w, 50 * SIM_MS), SCHED_GONE, LINK_UP);
    later(w, i, world_delay(w, 50 * SIM_MS), SCHED_GONE, LINK_DOWN);
}

void net_freeze(struct world *w, uint32_t i, int64_t for_ns)
{
    struct link *l = at(w, i);
    l->frozen_until_ns = w->now_ns + for_ns;
    later(w, i, for_ns, SCHED_THAW, 0);
}

// ---- host's end ------------------------------------------------------------------------------

static void tell_host(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    bool readable = (l->rx.n || l->eof) && !l->paused && !l->host_closing;
    if (l->host_open && !l->told && l->conn != LINK_NONE && readable) {
        l->told = true;
        host_post(w->hosts[l->host], (struct inbox_item){.kind = INBOX_READ, .link = i});
    }
}

size_t net_host_send(struct world *w, uint32_t i, struct slice bytes)
{
    struct link *l = at(w, i);
    struct stream *s = &l->dir[LINK_DOWN];
    if (l->broken || !l->host_open || l->host_closing) {
        return 0;
    }
    buf_put_slice(&s->bytes, bytes);
    move_soon(w, i, LINK_DOWN);
    l->want_drained = s->bytes.n > l->down_max;
    return l->want_drained ? s->bytes.n - l->down_max : 0;
}

void net_host_close(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    if (l->host_closing) {
        return;
    }
    l->host_closing = true;
    l->want_drained = false;
    buf_clear(&l->rx);
    l->dir[LINK_DOWN].fin = true;
    move_soon(w, i, LINK_DOWN);
    later(w, i, LINGER_S * SIM_S, SCHED_LINGER, 0);
}

void net_host_pause(struct world *w, uint32_t i, bool paused)
{
    at(w, i)->paused = paused;
    tell_host(w, i);
}

void net_host_read(struct world *w, uint32_t i, struct buf *into)
{
    struct link *l = at(w, i);
    size_t n = chunk(w, l->rx.n);
    buf_put(into, l->rx.p, n);
    buf_consume(&l->rx, n);
    l->told = false;
    tell_host(w, i);
    move_soon(w, i, LINK_UP);
}

void net_host_forget(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    l->conn = LINK_NONE;
    l->host_open = false;
    l->told = false;
    if (!l->host_closing) {
        l->dir[LINK_DOWN].fin = true; // the peer had closed first, or it is gone
        move_soon(w, i, LINK_DOWN);
    }
    forget_if_over(w, i);
}

void net_host_died(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    struct stream *s = &l->dir[LINK_DOWN];
    s->bytes.n = (size_t)world_below(w, s->bytes.n + 1); // some of it had left already
    buf_clear(&l->rx);
    l->host_closing = false;
    net_host_forget(w, i);
}

// ---- from the scheduler ----------------------------------------------------------------------

static void tell_client_closed(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    if (l->client_open) {
        l->client_open = false;
        client_on_closed(w->clients[l->client], i);
    }
    forget_if_over(w, i);
}

static void tell_host_closed(struct world *w, uint32_t i, enum err why)
{
    struct link *l = at(w, i);
    if (l->host_open) {
        l->host_open = false;
        host_post(w->hosts[l->host],
                  (struct inbox_item){.kind = INBOX_CLOSED, .link = i, .err = why});
    }
}

void net_on_open(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    l->refused = !host_accept(w->hosts[l->host], i);
    l->host_open = !l->refused;
    if (l->refused || l->broken) {
        tell_client_closed(w, i);
        return;
    }
    client_on_connected(w->clients[l->client], i);
}

static void move_up(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    struct stream *s = &l->dir[LINK_UP];
    if (!l->host_open || l->host_closing) {
        buf_clear(&s->bytes); // nobody reads it
    }
    size_t room = l->rx.n < l->rx_max ? l->rx_max - l->rx.n : 0;
    size_t n = chunk(w, s->bytes.n < room ? s->bytes.n : room);
    buf_put(&l->rx, s->bytes.p, n);
    buf_consume(&s->bytes, n);
    if (s->bytes.n == 0 && s->fin) {
        s->fin = false;
        l->eof = true;
    } else if (n) {
        move_soon(w, i, LINK_UP);
    }
    tell_host(w, i);
    if (l->eof && l->host_closing) {
        tell_host_closed(w, i, ERR_OK);
    }
}

static void move_down(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    struct stream *s = &l->dir[LINK_DOWN];
    size_t n = chunk(w, s->bytes.n);
    struct buf got = {0};
    buf_put(&got, s->bytes.p, n);
    buf_consume(&s->bytes, n);
    bool end = s->bytes.n == 0 && s->fin;
    uint64_t gen = l->gen;
    if (l->want_drained && s->bytes.n <= l->down_max && l->host_open) {
        l->want_drained = false;
        host_post(w->hosts[l->host], (struct inbox_item){.kind = INBOX_DRAINED, .link = i});
    }
    move_soon(w, i, LINK_DOWN);
    if (end) {
        s->fin = false;
        tell_host_closed(w, i, ERR_OK);
    }
    if (l->client_open && got.n) {
        client_on_data(w->clients[l->client], i, buf_slice(&got));
    }
    buf_fini(&got);
    if (end && l->used && l->gen == gen) {
        tell_client_closed(w, i);
    }
}

void net_on_move(struct world *w, uint32_t i, enum link_dir dir)
{
    struct link *l = at(w, i);
    l->dir[dir].moving = false;
    if (l->broken || l->frozen_until_ns > w->now_ns || (dir == LINK_DOWN && l->stalled)) {
        return;
    }
    if (dir == LINK_UP) {
        move_up(w, i);
    } else {
        move_down(w, i);
    }
}

void net_on_linger(struct world *w, uint32_t i)
{
    struct link *l = at(w, i);
    if (l->host_open) {
        tell_host_closed(w, i, ERR_OK);
        net_cut(w, i);
    }
}

void net_on_gone(struct world *w, uint32_t i, enum link_dir end)
{
    if (end == LINK_UP) {
        tell_host_closed(w, i, ERR_IO);
    } else {
        tell_client_closed(w, i);
    }
}

void net_on_thaw(struct world *w, uint32_t i)
{
    move_soon(w, i, LINK_UP);
    move_soon(w, i, LINK_DOWN);
}
