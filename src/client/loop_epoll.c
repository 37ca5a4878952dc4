// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "client/loop.h"

enum {
    EVENTS_MAX = 16,
    RECV_ROUNDS_MAX = 16 // reads of one socket before the engine looks at what has come
};

// Time goes on while the machine is suspended: sessions do not stop for that on the servers.
struct mono loop_clock(void *ctx)
{
    (void)ctx;
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (struct mono){(int64_t)t.tv_sec * 1000000000 + t.tv_nsec};
}

// ---- sockets ------------------------------------------------------------------------------------

bool loop_socket_add(struct loop *l, struct loop_socket *s, int fd, uint32_t events)
{
    uint64_t serial = ++l->serial;
    struct epoll_event ev = {.events = events, .data = {.u64 = serial}};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
        return false;
    }
    *s = (struct loop_socket){fd, serial};
    return true;
}

void loop_socket_close(struct loop_socket *s)
{
    if (s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
}

// That what is added can be changed is the one thing epoll promises.
static void want(struct loop *l, const struct loop_socket *s, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data = {.u64 = s->serial}};
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev);
}

static void clear(struct loop_link *k)
{
    lookup_free(&k->lookup);
    for (size_t i = 0; i < LOOP_ADDRESSES_MAX; i++) {
        loop_socket_close(&k->sockets[i]);
    }
    k->full = false;
    k->state = LINK_NONE;
}

void loop_link_fail(struct loop_link *k, const char *why)
{
    if (why != k->why) {
        snprintf(k->why, sizeof(k->why), "%s", why);
    }
    clear(k);
    k->state = LINK_FAILED;
}

void loop_link_explain(struct loop_link *k, int error)
{
    if (strerror_r(error, k->why, sizeof(k->why))) {
        snprintf(k->why, sizeof(k->why), "error %d of the system", error);
    }
}

static void fail_errno(struct loop_link *k, int error)
{
    loop_link_explain(k, error);
    loop_link_fail(k, k->why);
}

void loop_link_up(struct loop *l, uint32_t link, struct loop_socket s)
{
    struct loop_link *k = &l->links[link];
    clear(k);
    k->state = LINK_UP;
    k->sockets[0] = s;
    want(l, &s, EPOLLIN);
    engine_on_dialed(client_engine(l->zk), link);
}

void loop_cut(struct reeve *zk, void *ctx, uint32_t link)
{
    (void)zk;
    clear(&((struct loop *)ctx)->links[link]);
}

// ---- bytes --------------------------------------------------------------------------------------

static void receive(struct loop *l, uint32_t link)
{
    struct engine *e = client_engine(l->zk);
    struct loop_link *k = &l->links[link];
    for (int round = 0; round < RECV_ROUNDS_MAX; round++) {
        size_t room;
        uint8_t *to = engine_recv_space(e, link, &room);
        if (room == 0) {
            return; // it has to look at what is there first; the rest stays readable
        }
        ssize_t n = recv(k->sockets[0].fd, to, room, 0);
        if (n > 0) {
            engine_received(e, link, (size_t)n);
        } else if (n == 0) {
            loop_link_fail(k, "");
            return;
        } else if (errno != EAGAIN && errno != EINTR) {
            fail_errno(k, errno);
            return;
        }
        if (n < (ssize_t)room) {
            return;
        }
    }
}

static void send_link(struct loop *l, uint32_t link)
{
    struct engine *e = client_engine(l->zk);
    struct loop_link *k = &l->links[link];
    while (k->state == LINK_UP && !k->full) {
        struct slice out = engine_output(e, link);
        if (out.n == 0) {
            return;
        }
        ssize_t n = send(k->sockets[0].fd, out.p, out.n, MSG_NOSIGNAL);
        if (n >= 0) {
            engine_sent(e, link, (size_t)n);
        } else if (errno == EAGAIN) {
            k->full = true;
            want(l, &k->sockets[0], EPOLLIN | EPOLLOUT);
        } else if (errno != EINTR) {
            fail_errno(k, errno);
        }
    }
}

// ---- one turn -----------------------------------------------------------------------------------

static bool find(struct loop *l, uint64_t serial, uint32_t *link, struct loop_socket **s)
{
    for (*link = 0; *link < ENGINE_LINKS_MAX; ++*link) {
        struct loop_link *k = &l->links[*link];
        for (size_t i = 0; i < LOOP_ADDRESSES_MAX; i++) {
            if (k->sockets[i].fd >= 0 && k->sockets[i].serial == serial) {
                *s = &k->sockets[i];
                return true;
            }
        }
    }
    return false;
}

static void on_event(struct loop *l, const struct epoll_event *ev)
{
    uint32_t link;
    struct loop_socket *s;
    if (!find(l, ev->data.u64, &link, &s)) {
        return;
    }
    struct loop_link *k = &l->links[link];
    if (k->state == LINK_CONNECTING) {
        loop_dial_event(l, link, s);
        return;
    }
    if (ev->events & EPOLLOUT && k->full) {
        k->full = false;
        want(l, s, EPOLLIN);
    }
    if (ev->events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        receive(l, link);
    }
}

static void set_now(struct loop *l)
{
    l->now = loop_clock(NULL);
    engine_set_now(client_engine(l->zk), l->now);
}

void loop_poll(struct loop *l, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(l->epoll_fd, events, EVENTS_MAX, timeout_ms);
    atomic_store(&l->sleeping, false);
    set_now(l);
    for (int i = 0; i < n; i++) {
        on_event(l, &events[i]);
    }
}

static bool report_failures(struct loop *l)
{
    bool any = false;
    for (uint32_t i = 0; i < ENGINE_LINKS_MAX; i++) {
        if (l->links[i].state == LINK_FAILED) {
            l->links[i].state = LINK_NONE;
            engine_on_gone(client_engine(l->zk), i, l->links[i].why);
            any = true;
        }
    }
    return any;
}

void loop_run(struct loop *l)
{
    set_now(l);
    do {
        for (uint32_t i = 0; i < ENGINE_LINKS_MAX; i++) {
            loop_dial_look(l, i);
        }
        (void)report_failures(l);
        client_run(l->zk, l->now);
        for (uint32_t i = 0; i < ENGINE_LINKS_MAX; i++) {
            send_link(l, i);
        }
    } while (report_failures(l));
}

int loop_timeout_ms(struct loop *l)
{
    struct mono next = client_deadline(l->zk);
    for (size_t i = 0; i < ENGINE_LINKS_MAX; i++) {
        const struct loop_link *k = &l->links[i];
        if (k->state == LINK_CONNECTING && k->next_at.ns < next.ns) {
            next = k->next_at;
        }
    }
    if (next.ns == INT64_MAX) {
        return -1;
    }
    int64_t left = next.ns - loop_clock(NULL).ns;
    int64_t ms = left <= 0 ? 0 : (left + 999999) / 1000000;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

void loop_wake(struct reeve *zk, void *ctx)
{
    (void)zk;
    struct loop *l = ctx;
    if (atomic_exchange(&l->sleeping, false)) {
        (void)!write(l->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    }
}
