// SPDX-License-Identifier: Apache-2.0
#include "test/support/fake_net.h"

#include <stdio.h>
#include <string.h>

#include "test/support/fake_env.h"

static struct fake_net *of(struct env *e)
{
    return &((struct fake_env *)e)->net;
}

static const struct {
    const char *name;
    uint8_t last; // of 127.0.0.x
} names[] = {{"127.0.0.1", 1}, {"localhost", 1}, {"h1", 1}, {"h2", 2},
             {"h3", 3},        {"h4", 4},        {"h5", 5}, {"moved", 9}};

static enum err resolve(struct env *e, struct slice host, struct net_addr *addr)
{
    (void)e;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (slice_eq_str(host, names[i].name)) {
            addr->family = 4;
            memcpy(addr->ip, (const uint8_t[4]){127, 0, 0, names[i].last}, 4);
            return ERR_OK;
        }
    }
    return ERR_NOTFOUND;
}

static enum err listen_at(struct env *e, const struct net_addr *at, int backlog, uint32_t *listener,
                          struct net_addr *bound)
{
    struct fake_net *n = of(e);
    (void)backlog;
    uint32_t i, other;
    *bound = *at;
    if (at->port == 0) {
        bound->port = n->next_port++;
    }
    if (bound->port == n->taken_port || fake_net_listener(n, bound->port, &other)) {
        return ERR_BUSY;
    }
    for (i = 0; n->listeners[i].open; i++) {
        must(i + 1 < FAKE_LISTENERS);
    }
    n->listeners[i] = (struct fake_listener){true, *bound};
    *listener = i;
    return ERR_OK;
}

static void unlisten(struct env *e, uint32_t listener)
{
    must(of(e)->listeners[listener].open);
    of(e)->listeners[listener].open = false;
}

static void dial(struct env *e, uint64_t id, const struct env_target *to, size_t targets,
                 int32_t timeout_ms)
{
    struct fake_net *n = of(e);
    size_t i;
    must(targets > 0);
    must(timeout_ms > 0);
    for (i = 0; n->dials[i].open; i++) {
        must(n->dials[i].dial != id);
        must(i + 1 < FAKE_DIALS);
    }
    n->dials[i] =
        (struct fake_dial){.open = true, .dial = id, .port = to[0].port, .targets = targets};
    snprintf(n->dials[i].host, sizeof(n->dials[i].host), "%.*s", SLICE_ARG(to[0].host));
    n->dialed++;
}

static void undial(struct env *e, uint64_t id)
{
    for (size_t i = 0; i < FAKE_DIALS; i++) {
        of(e)->dials[i].open &= of(e)->dials[i].dial != id;
    }
}

static size_t send_bytes(struct env *e, uint32_t conn, struct buf *b)
{
    struct fake_conn *c = &of(e)->conns[conn];
    must(c->used);
    must(!c->closing);
    buf_put_slice(&c->sent, buf_slice(b));
    c->unsent += c->slow ? b->n : 0;
    buf_clear(b);
    return c->unsent;
}

static void close_conn(struct env *e, uint32_t conn)
{
    must(of(e)->conns[conn].used);
    of(e)->conns[conn].closing = true;
}

static void pause_conn(struct env *e, uint32_t conn, bool paused)
{
    must(of(e)->conns[conn].used);
    of(e)->conns[conn].paused = paused;
}

static void set_timer(struct env *e, struct mono at)
{
    of(e)->timer_at = at;
}

static void sysinfo(struct env *e, struct env_sysinfo *info)
{
    (void)e;
    *info = (struct env_sysinfo){.pid = 1};
}

void fake_net_init(struct fake_net *n, struct env_ops *ops)
{
    n->timer_at = (struct mono){INT64_MAX};
    n->next_port = 40000;
    ops->listen = listen_at;
    ops->unlisten = unlisten;
    ops->dial = dial;
    ops->undial = undial;
    ops->resolve = resolve;
    ops->send = send_bytes;
    ops->close = close_conn;
    ops->pause = pause_conn;
    ops->timer = set_timer;
    ops->sysinfo = sysinfo;
}

void fake_net_fini(struct fake_net *n)
{
    for (size_t i = 0; i < FAKE_CONNS; i++) {
        buf_fini(&n->conns[i].sent);
    }
}

uint32_t fake_net_conn(struct fake_net *n)
{
    uint32_t i = 1;
    while (n->conns[i].used) {
        i++;
        must(i < FAKE_CONNS);
    }
    buf_fini(&n->conns[i].sent);
    n->conns[i] = (struct fake_conn){.used = true};
    return i;
}

void fake_net_gone(struct fake_net *n, uint32_t conn)
{
    must(n->conns[conn].used);
    n->conns[conn].used = n->conns[conn].closing = false;
}

bool fake_net_listener(const struct fake_net *n, uint16_t port, uint32_t *listener)
{
    for (uint32_t i = 0; i < FAKE_LISTENERS; i++) {
        if (n->listeners[i].open && n->listeners[i].at.port == port) {
            *listener = i;
            return true;
        }
    }
    return false;
}

struct fake_dial *fake_net_dial(struct fake_net *n, uint16_t port)
{
    for (size_t i = 0; i < FAKE_DIALS; i++) {
        if (n->dials[i].open && n->dials[i].port == port) {
            return &n->dials[i];
        }
    }
    return NULL;
}

size_t fake_net_conns(const struct fake_net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < FAKE_CONNS; i++) {
        count += n->conns[i].used;
    }
    return count;
}

size_t fake_net_listeners(const struct fake_net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < FAKE_LISTENERS; i++) {
        count += n->listeners[i].open;
    }
    return count;
}

size_t fake_net_dials(const struct fake_net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < FAKE_DIALS; i++) {
        count += n->dials[i].open;
    }
    return count;
}
