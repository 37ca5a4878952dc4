// SPDX-License-Identifier: Apache-2.0
//
// A link from its dial to its connection: the name is looked up, its addresses are tried. The next
// one is tried when those before have failed, or have been silent for a quarter of a second (as
// RFC 8305 has it), so a dead address costs no more than that. The first that connects is taken.
// How long all of it may take is the engine's affair: it cuts the link.
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <netinet/tcp.h>

#include "client/loop.h"

enum { NEXT_ADDRESS_MS = 250 };

static size_t under_way(const struct loop_link *k)
{
    size_t n = 0;
    for (size_t i = 0; i < LOOP_ADDRESSES_MAX; i++) {
        n += k->sockets[i].fd >= 0;
    }
    return n;
}

// Connects without waiting. That it is done is always told by epoll, also if it is at once.
static bool try_address(struct loop *l, struct loop_link *k, size_t i)
{
    const struct loop_address *a = &k->addresses.v[i];
    int fd = socket(a->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        loop_link_explain(k, errno);
        return false;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(fd, (const struct sockaddr *)&a->to, a->len) && errno != EINPROGRESS) {
        loop_link_explain(k, errno);
        close(fd);
        return false;
    }
    if (!loop_socket_add(l, &k->sockets[i], fd, EPOLLOUT)) {
        loop_link_explain(k, errno);
        close(fd);
        return false;
    }
    return true;
}

static void try_next(struct loop *l, struct loop_link *k)
{
    while (k->tried < k->addresses.n) {
        if (try_address(l, k, k->tried++)) {
            k->next_at = mono_add_ms(l->now, NEXT_ADDRESS_MS);
            return;
        }
    }
    k->next_at.ns = INT64_MAX;
    if (under_way(k) == 0) {
        loop_link_fail(k, k->why);
    }
}

// A name may stand for all servers; its clients should not all go to the first.
static void shuffle(struct loop *l, struct loop_addresses *a)
{
    for (size_t i = a->n; i > 1 && !l->no_shuffle; i--) {
        size_t j = (size_t)(reeve_random(l->zk) % i);
        struct loop_address x = a->v[i - 1];
        a->v[i - 1] = a->v[j];
        a->v[j] = x;
    }
}

static void begin(struct loop *l, struct loop_link *k)
{
    if (k->addresses.n == 0) {
        loop_link_fail(k, k->addresses.why);
        return;
    }
    shuffle(l, &k->addresses);
    k->state = LINK_CONNECTING;
    k->tried = 0;
    try_next(l, k);
}

void loop_dial(struct reeve *zk, void *ctx, uint32_t link, const char *host, uint16_t port)
{
    (void)zk;
    struct loop *l = ctx;
    struct loop_link *k = &l->links[link];
    k->state = LINK_RESOLVING;
    if (resolver_look_up(l->resolver, host, port, &k->addresses, &k->lookup) || !k->lookup) {
        begin(l, k);
    }
}

void loop_dial_look(struct loop *l, uint32_t link)
{
    struct loop_link *k = &l->links[link];
    if (k->state == LINK_RESOLVING && lookup_is_done(k->lookup, &k->addresses)) {
        lookup_free(&k->lookup);
        begin(l, k);
    } else if (k->state == LINK_CONNECTING && k->next_at.ns <= l->now.ns) {
        try_next(l, k);
    }
}

// Where nobody listens on a local port, the system may connect a socket with itself.
static bool is_to_itself(int fd)
{
    struct sockaddr_storage here = {0}, there = {0};
    socklen_t n = sizeof(here), m = sizeof(there);
    return getsockname(fd, (struct sockaddr *)&here, &n) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &m) == 0 && n == m &&
           memcmp(&here, &there, n) == 0;
}

void loop_dial_event(struct loop *l, uint32_t link, struct loop_socket *s)
{
    struct loop_link *k = &l->links[link];
    int error = 0;
    socklen_t n = sizeof(error);
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n)) {
        error = errno;
    }
    if (error == 0 && is_to_itself(s->fd)) {
        error = ECONNREFUSED;
    }
    if (error) {
        loop_link_explain(k, error);
        loop_socket_close(s);
        try_next(l, k);
        return;
    }
    struct loop_socket up = *s;
    s->fd = -1;
    loop_link_up(l, link, up);
}
