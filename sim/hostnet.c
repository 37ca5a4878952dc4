// SPDX-License-Identifier: Apache-2.0
//
// The network as one host's server has it: listeners, connection numbers, dials, and what happens
// to them, from the inbox to node_step.
//
// A dial tries its targets in any order. A machine that is up and has no listener refuses; one that
// is off, or behind a blocked path, says nothing, and is tried until the time is over.
#include <stdio.h>

#include "node/node.h"
#include "sim/check_tree.h"
#include "sim/client.h"
#include "sim/host.h"
#include "sim/world.h"

enum { DIAL_AGAIN_MS = 100, DYNAMIC_PORT = 40000 };

void host_net_reset(struct host *h)
{
    for (uint32_t c = 0; c < CONNS_MAX; c++) {
        h->conns[c] = (struct host_conn){.link = LINK_NONE};
    }
    memset(h->listeners, 0, sizeof(h->listeners));
    memset(h->dials, 0, sizeof(h->dials));
}

void host_net_down(struct host *h, bool power)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        for (int s = 0; s < 2; s++) {
            const struct link *l = &h->w->net.links[i];
            const struct end *e = &l->end[s];
            if (l->used && e->is_host && e->who == h->index && (e->open || e->conn != LINK_NONE)) {
                net_died(h->w, i, (enum side)s, power && world_chance(h->w, 1, 2));
            }
        }
    }
    host_net_reset(h);
}

// ---- names and addresses ---------------------------------------------------------------------

struct net_addr host_addr(uint32_t index, uint16_t port)
{
    return (struct net_addr){.family = 4, .ip = {10, 0, 1, (uint8_t)(index + 1)}, .port = port};
}

bool host_resolve(const struct world *w, struct slice name, uint32_t *index)
{
    char text[32];
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        snprintf(text, sizeof(text), "h%u", i);
        bool hit = slice_eq_str(name, text);
        snprintf(text, sizeof(text), "10.0.1.%u", i + 1);
        if (hit || slice_eq_str(name, text)) {
            *index = i;
            return true;
        }
    }
    return false;
}

static uint32_t listener_on(const struct host *h, uint16_t port)
{
    for (uint32_t i = 0; i < LISTENERS_MAX && h->node && !h->dropping; i++) {
        if (h->listeners[i].open && h->listeners[i].port == port) {
            return i;
        }
    }
    return LISTENERS_MAX;
}

// ---- dialing ---------------------------------------------------------------------------------

static struct dial *find_dial(struct host *h, uint64_t gen)
{
    for (int i = 0; i < DIALS_MAX; i++) {
        if (gen && h->dials[i].gen == gen) {
            return &h->dials[i];
        }
    }
    return NULL;
}

static struct dial *find_name(struct host *h, uint64_t name)
{
    for (int i = 0; i < DIALS_MAX; i++) {
        if (h->dials[i].gen && h->dials[i].name == name) {
            return &h->dials[i];
        }
    }
    return NULL;
}

static struct dial *free_dial(struct host *h)
{
    for (int i = 0; i < DIALS_MAX; i++) {
        if (!h->dials[i].gen) {
            return &h->dials[i];
        }
    }
    must(false); // more dials than a server should have
    return NULL;
}

static void dial_later(struct host *h, const struct dial *d, int64_t in_ns)
{
    world_later(h->w, in_ns,
                (struct sched_event){.kind = SCHED_DIAL, .a = h->index, .gen = d->gen});
}

void host_dial(struct host *h, uint64_t name, const struct env_target *to, size_t n,
               int32_t timeout_ms)
{
    must(n <= ENV_TARGETS_MAX);
    must(!find_name(h, name));
    if (h->dropping) {
        return;
    }
    struct dial *d = free_dial(h);
    *d = (struct dial){
        .gen = ++h->dials_begun, .name = name, .until_ns = h->w->now_ns + timeout_ms * SIM_MS};
    for (size_t i = 0; i < n && d->to_n < DIAL_TO_MAX; i++) {
        if (host_resolve(h->w, to[i].host, &d->to[d->to_n].host)) {
            d->to[d->to_n++].port = to[i].port;
        }
    }
    dial_later(h, d, world_delay(h->w, h->w->net.delay_ns));
}

void host_undial(struct host *h, uint64_t name)
{
    struct dial *d = find_name(h, name);
    if (d) {
        d->gen = 0;
    }
}

static void join(struct host *h, const struct dial *d, uint32_t to, uint16_t port)
{
    uint32_t link = net_join(h->w, h->index, to, port);
    host_post(h->w->hosts[to],
              (struct inbox_item){.kind = INBOX_ACCEPT, .link = link, .side = ACCEPTOR});
    host_post(
        h, (struct inbox_item){.kind = INBOX_DIALED, .link = link, .side = DIALER, .dial = d->gen});
}

void host_on_dial(struct host *h, uint64_t gen)
{
    struct world *w = h->w;
    struct dial *d = find_dial(h, gen);
    if (!d) {
        return;
    }
    size_t refused = 0, from = d->to_n ? (size_t)world_below(w, d->to_n) : 0;
    for (size_t i = 0; i < d->to_n; i++) {
        size_t k = (from + i) % d->to_n;
        const struct host *t = w->hosts[d->to[k].host];
        if (!net_reaches(w, h->index, t->index)) {
            continue;
        }
        if (listener_on(t, d->to[k].port) < LISTENERS_MAX) {
            join(h, d, t->index, d->to[k].port);
            return;
        }
        refused += !crashdisk_is_down(t->disk);
    }
    int64_t left = d->until_ns - w->now_ns;
    if (refused == d->to_n || left <= 0) {
        enum err why = refused && refused == d->to_n ? ERR_REFUSED : ERR_IO;
        host_post(h, (struct inbox_item){.kind = INBOX_DIAL_FAILED, .dial = gen, .err = why});
        return;
    }
    dial_later(h, d, left < DIAL_AGAIN_MS * SIM_MS ? left : DIAL_AGAIN_MS * SIM_MS);
}

void host_deliver_dial_failed(struct host *h, const struct inbox_item *it)
{
    struct dial *d = find_dial(h, it->dial);
    if (d) {
        struct env_event ev = host_event(h, ENV_DIAL_FAILED);
        ev.dialed.dial = d->name;
        ev.dialed.why = it->err;
        d->gen = 0;
        node_step(h->node, &ev);
    }
}

// ---- connections -----------------------------------------------------------------------------

bool host_accept(struct host *h, uint32_t link)
{
    if (listener_on(h, h->w->net.links[link].port) == LISTENERS_MAX) {
        return false;
    }
    host_post(h, (struct inbox_item){.kind = INBOX_ACCEPT, .link = link, .side = ACCEPTOR});
    return true;
}

// A number for the new connection; false: there is none, or nobody wants it any more.
static bool take_number(struct host *h, const struct inbox_item *it, uint32_t *conn)
{
    uint32_t c = 0;
    while (c < CONNS_MAX && h->conns[c].link != LINK_NONE) {
        c++;
    }
    if (c == CONNS_MAX) {
        net_died(h->w, it->link, it->side, false);
        return false;
    }
    h->conns[c] = (struct host_conn){it->link, it->side};
    h->w->net.links[it->link].end[it->side].conn = c;
    *conn = c;
    return true;
}

static struct net_addr peer_of(const struct link *l, uint32_t link)
{
    const struct end *e = &l->end[DIALER];
    uint16_t port = (uint16_t)(DYNAMIC_PORT + link);
    if (e->is_host) {
        return host_addr(e->who, port);
    }
    return (struct net_addr){.family = 4, .ip = {10, 0, 0, (uint8_t)(e->who + 1)}, .port = port};
}

static void accept_link(struct host *h, const struct inbox_item *it)
{
    const struct link *l = &h->w->net.links[it->link];
    struct env_event ev = host_event(h, ENV_ACCEPT);
    uint32_t listener = listener_on(h, l->port);
    if (listener == LISTENERS_MAX) {
        net_died(h->w, it->link, it->side, false);
        return;
    }
    if (!take_number(h, it, &ev.conn)) {
        return;
    }
    ev.accept.listener = listener;
    ev.accept.peer = peer_of(l, it->link);
    ev.accept.local = host_addr(h->index, l->port);
    node_step(h->node, &ev);
    net_pause(h->w, it->link, it->side, false); // what has arrived meanwhile can be read now
}

static void dialed(struct host *h, const struct inbox_item *it)
{
    struct dial *d = find_dial(h, it->dial);
    struct env_event ev = host_event(h, ENV_DIALED);
    if (!d) { // forgotten meanwhile
        net_died(h->w, it->link, it->side, false);
        return;
    }
    ev.dialed.dial = d->name;
    d->gen = 0;
    if (take_number(h, it, &ev.conn)) {
        node_step(h->node, &ev);
        net_pause(h->w, it->link, it->side, false);
    }
}

static void close_link(struct host *h, const struct inbox_item *it, uint32_t conn, enum err why)
{
    struct env_event ev = host_event(h, ENV_CLOSED);
    ev.conn = conn;
    ev.closed = why;
    h->conns[conn].link = LINK_NONE;
    net_forget(h->w, it->link, it->side);
    node_step(h->node, &ev);
}

static void read_link(struct host *h, const struct inbox_item *it)
{
    struct link *l = &h->w->net.links[it->link];
    struct end *e = &l->end[it->side];
    const struct end *peer = &l->end[!it->side];
    if (!e->open || e->closing || e->paused) {
        e->told = false;
    } else if (e->rx.n) {
        struct env_event ev = host_event(h, ENV_DATA);
        ev.conn = e->conn;
        buf_clear(&h->scratch);
        net_read(h->w, it->link, it->side, &h->scratch);
        ev.data = buf_slice(&h->scratch);
        if (!peer->is_host) {
            check_tree_heard(h->w->check, h, client_session(h->w->clients[peer->who], it->link));
        }
        node_step(h->node, &ev);
    } else if (e->eof) {
        close_link(h, it, e->conn, ERR_OK);
    } else {
        e->told = false;
    }
}

void host_deliver_link(struct host *h, const struct inbox_item *it)
{
    struct link *l = &h->w->net.links[it->link];
    struct end *e = &l->end[it->side];
    if (!l->used || l->gen != it->gen) {
        return;
    }
    if (it->kind == INBOX_ACCEPT) {
        accept_link(h, it);
    } else if (it->kind == INBOX_DIALED) {
        dialed(h, it);
    } else if (e->conn == LINK_NONE) {
        return; // it never was more than a request
    } else if (it->kind == INBOX_READ) {
        read_link(h, it);
    } else if (it->kind == INBOX_CLOSED) {
        close_link(h, it, e->conn, it->err);
    } else if (e->open && !e->want_drained) {
        struct env_event ev = host_event(h, ENV_DRAINED);
        ev.conn = e->conn;
        node_step(h->node, &ev);
    }
}
