// SPDX-License-Identifier: Apache-2.0
//
// See conn.h. Bytes come into one buffer that all connections share; only the tail of a frame that
// is not whole stays with its connection, so ten thousand idle connections cost nothing.
#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 512,
    REPLY_HEADER_LEN = 16,
    STALL_LIMIT_S = 60,
    // Ports of one source address are about 28,000; loopback has more addresses than we need.
    PORTS_PER_SOURCE = 20000,
    SOURCES = 200,
};

static const uint64_t second_ns = 1000000000u;

const char *bench_error_name(int32_t err)
{
    static const struct {
        int32_t err;
        const char *name;
    } names[] = {
        {-1, "SYSTEMERROR"},       {-2, "RUNTIMEINCONSISTENCY"},
        {-3, "DATAINCONSISTENCY"}, {-4, "CONNECTIONLOSS"},
        {-5, "MARSHALLINGERROR"},  {-6, "UNIMPLEMENTED"},
        {-7, "OPERATIONTIMEOUT"},  {-8, "BADARGUMENTS"},
        {-101, "NONODE"},          {-102, "NOAUTH"},
        {-103, "BADVERSION"},      {-108, "NOCHILDRENFOREPHEMERALS"},
        {-110, "NODEEXISTS"},      {-111, "NOTEMPTY"},
        {-112, "SESSIONEXPIRED"},  {-114, "INVALIDACL"},
        {-115, "AUTHFAILED"},      {-118, "SESSIONMOVED"},
        {-119, "NOTREADONLY"},     {-124, "SESSIONCLOSEDREQUIRESASLAUTH"},
        {-125, "QUOTAEXCEEDED"},   {-127, "THROTTLEDOP"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].err == err) {
            return names[i].name;
        }
    }
    return "error";
}

// ---- the loop

void bench_loop_init(struct loop *l, const struct options *opt)
{
    *l =
        (struct loop){.session_timeout_ms = opt->session_timeout_ms, .port_count = opt->port_count};
    must(opt->port_count > 0);
    l->address.sin_family = AF_INET;
    l->address.sin_port = htons(opt->ports[0]);
    if (inet_pton(AF_INET, opt->host, &l->address.sin_addr) != 1) {
        bench_fatal("--host %s: an IPv4 address is needed", opt->host);
    }
    for (uint32_t i = 0; i < opt->port_count; i++) {
        l->ports[i] = htons(opt->ports[i]);
    }
    snprintf(l->host, sizeof l->host, "%s:%u", opt->host, opt->ports[0]);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd < 0) {
        bench_fatal("epoll_create1: %s", strerror(errno));
    }
    l->now = now_ns();
    l->tick_next_ns = l->now + second_ns;
}

void bench_loop_fini(struct loop *l)
{
    must(l->all == NULL);
    bench_bytes_fini(&l->scratch);
    close(l->epoll_fd);
}

static void watch_socket(struct loop *l, struct conn *c, int how, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};
    if (epoll_ctl(l->epoll_fd, how, c->fd, &ev) != 0) {
        bench_fatal("epoll_ctl: %s", strerror(errno));
    }
}

static void mark_dirty(struct loop *l, struct conn *c)
{
    if (!c->dirty) {
        c->dirty = true;
        c->dirty_next = l->dirty;
        l->dirty = c;
    }
}

static const char *label(const struct conn *c)
{
    static char text[32];
    if (c->index == CONN_INDEX_ADMIN) {
        return "the set-up connection";
    }
    snprintf(text, sizeof text, "connection %u", c->index);
    return text;
}

static void drop(struct loop *l, struct conn *c, const char *why)
{
    if (!c->leaving) {
        static const char *const where[] = {"", "while connecting", "instead of the handshake",
                                            "in mid-session"};
        bench_fatal("%s: %s: %s %s (after %llu replies, %u requests in flight)", l->host, label(c),
                    why, where[c->state], (unsigned long long)c->received, c->inflight);
    }
    bench_conn_close(l, c);
    if (l->handler->closed != NULL) {
        l->handler->closed(l->ctx, c);
    }
}

static void flush(struct loop *l, struct conn *c)
{
    if (c->state < CONN_GREETING || c->blocked || bench_bytes_left(&c->out) == 0) {
        return;
    }
    ssize_t n = send(c->fd, c->out.at + c->out.from, bench_bytes_left(&c->out), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        drop(l, c, strerror(errno));
        return;
    }
    if (n > 0) {
        bench_bytes_consume(&c->out, (size_t)n);
        c->sent_last_ns = l->now;
    }
    if (bench_bytes_left(&c->out) > 0) {
        c->blocked = true;
        watch_socket(l, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
}

void bench_loop_flush(struct loop *l)
{
    while (l->dirty != NULL) {
        struct conn *c = l->dirty;
        l->dirty = c->dirty_next;
        c->dirty_next = NULL;
        c->dirty = false;
        flush(l, c);
    }
}

static void ping(struct loop *l, struct conn *c)
{
    static const uint8_t frame[12] = {0, 0, 0, 8, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 11};
    bench_bytes_put(&c->out, frame, sizeof frame);
    mark_dirty(l, c);
}

static void tick(struct loop *l)
{
    for (struct conn *c = l->all; c != NULL; c = c->all_next) {
        if (c->state == CONN_READY && c->inflight == 0) {
            if (l->now - c->sent_last_ns > c->timeout_ms * (uint64_t)1000000 / 3) {
                ping(l, c);
            }
        } else if (l->now - c->heard_last_ns > STALL_LIMIT_S * second_ns) {
            bench_fatal("%s: %s: no answer for %d s", l->host, label(c), STALL_LIMIT_S);
        }
    }
}

// ---- one connection

void bench_conn_init(struct conn *c, uint32_t index, uint32_t depth)
{
    *c = (struct conn){.fd = -1, .index = index};
    uint32_t size = 1;
    while (size < depth) {
        size *= 2;
    }
    c->ring = calloc(size, sizeof *c->ring);
    if (c->ring == NULL) {
        bench_fatal("out of memory for %u requests in flight", depth);
    }
    c->ring_mask = size - 1;
}

void bench_conn_fini(struct conn *c)
{
    must(c->state == CONN_CLOSED);
    must(!c->dirty);
    free(c->ring);
    bench_bytes_fini(&c->out);
    bench_bytes_fini(&c->in);
}

static void greet(struct loop *l, struct conn *c)
{
    uint8_t frame[49] = {0};
    put32(frame, 45);
    put32(frame + 16, l->session_timeout_ms);
    put32(frame + 28, PASSWORD_LEN);
    bench_bytes_put(&c->out, frame, sizeof frame);
    c->state = CONN_GREETING;
    mark_dirty(l, c);
}

// Many connections from one address run out of ports; 127.0.0.0/8 is all ours.
static void bind_source(struct loop *l, int fd)
{
    uint32_t host = ntohl(l->address.sin_addr.s_addr);
    uint32_t source = l->open_count / PORTS_PER_SOURCE % SOURCES;
    if (host >> 24 != 127 || source == 0) {
        return;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f000001u + source);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0) {
        bench_fatal("cannot bind to loopback address %u: %s", source, strerror(errno));
    }
}

void bench_conn_open(struct loop *l, struct conn *c)
{
    must(c->state == CONN_CLOSED);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        bench_fatal("socket %u: %s%s", l->open_count, strerror(errno),
                    errno == EMFILE ? " (raise ulimit -n)" : "");
    }
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    bind_source(l, c->fd);
    l->open_count++;
    l->opening++;
    c->state = CONN_CONNECTING;
    c->leaving = false;
    c->blocked = false;
    c->inflight = 0;
    c->xid_next = 1;
    c->xid_expected = 1;
    c->heard_last_ns = l->now;
    c->sent_last_ns = l->now;
    c->all_prev = NULL;
    c->all_next = l->all;
    if (l->all != NULL) {
        l->all->all_prev = c;
    }
    l->all = c;
    struct sockaddr_in to = l->address;
    if (c->index != CONN_INDEX_ADMIN) {
        to.sin_port = l->ports[c->index % l->port_count];
    }
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
        bench_fatal("%s: cannot connect: %s", l->host, strerror(errno));
    }
    watch_socket(l, c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

void bench_conn_close(struct loop *l, struct conn *c)
{
    if (c->state == CONN_CLOSED) {
        return;
    }
    if (c->state != CONN_READY) {
        l->opening--;
    }
    close(c->fd);
    c->fd = -1;
    c->state = CONN_CLOSED;
    c->out.from = c->out.len = 0;
    c->in.from = c->in.len = 0;
    if (c->all_prev != NULL) {
        c->all_prev->all_next = c->all_next;
    } else {
        l->all = c->all_next;
    }
    if (c->all_next != NULL) {
        c->all_next->all_prev = c->all_prev;
    }
    c->all_prev = NULL;
    c->all_next = NULL;
}

void bench_conn_hang_up_expect(struct conn *c)
{
    c->leaving = true;
}

uint8_t *bench_conn_put(struct loop *l, struct conn *c, const void *frame, size_t len, int32_t op,
                        uint64_t at_ns)
{
    must(c->inflight <= c->ring_mask);
    must(c->state == CONN_READY);
    uint8_t *at = bench_bytes_reserve(&c->out, len);
    memcpy(at, frame, len);
    c->out.len += len;
    put32(at + 4, (uint32_t)c->xid_next);
    c->ring[(uint32_t)c->xid_next & c->ring_mask] = (struct sent){.at_ns = at_ns, .op = op};
    c->xid_next = c->xid_next == INT32_MAX ? 1 : c->xid_next + 1;
    if (c->inflight == 0) {
        c->heard_last_ns = l->now;
    }
    c->inflight++;
    mark_dirty(l, c);
    return at;
}

// ---- replies

static void take_greeting(struct loop *l, struct conn *c, const uint8_t *p, size_t len)
{
    if (len < 36) {
        bench_fatal("%s: handshake of %zu bytes, at least 36 expected", l->host, len);
    }
    c->timeout_ms = get32(p + 4);
    c->session_id = (int64_t)get64(p + 8);
    if (c->timeout_ms == 0) {
        bench_fatal("%s: the server refused a new session", l->host);
    }
    c->state = CONN_READY;
    l->opening--;
    if (l->handler->ready != NULL) {
        l->handler->ready(l->ctx, c);
    }
}

static void take_reply(struct loop *l, struct conn *c, const uint8_t *p, size_t len)
{
    if (len < REPLY_HEADER_LEN) {
        bench_fatal("%s: reply of %zu bytes, at least 16 expected", l->host, len);
    }
    struct reply r = {
        .xid = (int32_t)get32(p),
        .zxid = (int64_t)get64(p + 4),
        .err = (int32_t)get32(p + 12),
        .now_ns = l->now,
        .body = p + REPLY_HEADER_LEN,
        .len = len - REPLY_HEADER_LEN,
    };
    if (r.xid == XID_PING) {
        return;
    }
    if (r.xid == XID_EVENT) {
        if (l->handler->event != NULL) {
            l->handler->event(l->ctx, c, l->now);
        }
        return;
    }
    if (c->inflight == 0 || r.xid != c->xid_expected) {
        bench_fatal("%s: %s: reply with xid %d where %d was next (%u in flight)", l->host, label(c),
                    r.xid, c->xid_expected, c->inflight);
    }
    const struct sent *sent = &c->ring[(uint32_t)r.xid & c->ring_mask];
    r.sent_ns = sent->at_ns;
    r.op = sent->op;
    c->xid_expected = c->xid_expected == INT32_MAX ? 1 : c->xid_expected + 1;
    c->inflight--;
    l->handler->reply(l->ctx, c, &r);
}

// Hands on all whole frames; returns how many bytes they were. Stops when the connection is closed
// by a handler.
static size_t take_frames(struct loop *l, struct conn *c, const uint8_t *p, size_t len)
{
    size_t at = 0;
    while (len - at >= 4) {
        size_t n = get32(p + at);
        if (n > FRAME_LEN_MAX) {
            bench_fatal("%s: %s: a frame of %zu bytes", l->host, label(c), n);
        }
        if (len - at - 4 < n) {
            break;
        }
        c->received++;
        if (c->state == CONN_GREETING) {
            take_greeting(l, c, p + at + 4, n);
        } else {
            take_reply(l, c, p + at + 4, n);
        }
        at += 4 + n;
        if (c->state == CONN_CLOSED) {
            return len;
        }
    }
    return at;
}

// True when the buffer was filled, so that more may wait.
static bool read_some(struct loop *l, struct conn *c)
{
    struct bytes *b = &l->scratch;
    b->from = b->len = 0;
    bench_bytes_reserve(b, bench_bytes_left(&c->in) + READ_LEN);
    bench_bytes_put(b, c->in.at + c->in.from, bench_bytes_left(&c->in));
    ssize_t n = recv(c->fd, b->at + b->len, READ_LEN, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (n <= 0) {
        drop(l, c, n == 0 ? "closed by the server" : strerror(errno));
        return false;
    }
    b->len += (size_t)n;
    c->heard_last_ns = l->now;
    size_t used = take_frames(l, c, b->at, b->len);
    c->in.from = c->in.len = 0;
    if (c->state != CONN_CLOSED) {
        bench_bytes_put(&c->in, b->at + used, b->len - used);
    }
    return n == READ_LEN && c->state != CONN_CLOSED;
}

static void on_connected(struct loop *l, struct conn *c)
{
    int err = 0;
    socklen_t len = sizeof err;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err != 0) {
        bench_fatal("%s: cannot connect: %s", l->host, strerror(err));
    }
    watch_socket(l, c, EPOLL_CTL_MOD, EPOLLIN);
    greet(l, c);
}

static void on_writable(struct loop *l, struct conn *c)
{
    c->blocked = false;
    watch_socket(l, c, EPOLL_CTL_MOD, EPOLLIN);
    mark_dirty(l, c);
}

void bench_loop_step(struct loop *l, uint64_t wait_ns)
{
    bench_loop_flush(l);
    struct epoll_event events[EVENTS_MAX];
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / second_ns),
                            .tv_nsec = (long)(wait_ns % second_ns)};
    int n = epoll_pwait2(l->epoll_fd, events, EVENTS_MAX, &wait, NULL);
    if (n < 0 && errno != EINTR) {
        bench_fatal("epoll_pwait2: %s", strerror(errno));
    }
    l->now = now_ns();
    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        // A handler of an earlier event of this batch may have closed it (or even opened it anew:
        // then the events are stale, and reading says EAGAIN).
        if (c->state == CONN_CONNECTING && (events[i].events & (EPOLLOUT | EPOLLERR)) != 0) {
            on_connected(l, c);
            continue;
        }
        if ((events[i].events & EPOLLOUT) != 0 && c->blocked) {
            on_writable(l, c);
        }
        if (c->state >= CONN_GREETING && (events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
            if (i > 0) {
                l->now = now_ns();
            }
            while (read_some(l, c)) {
            }
        }
    }
    if (l->now >= l->tick_next_ns) {
        l->tick_next_ns = l->now + second_ns;
        tick(l);
    }
    bench_loop_flush(l);
}
