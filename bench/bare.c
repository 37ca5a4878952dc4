// SPDX-License-Identifier: Apache-2.0
//
// See bare.h. A wake-up: epoll_wait gives the ready connections; each is read once (64 KB at most)
// and its replies are gathered; then the log is written and synced if there was a write; then each
// connection gets its replies with one send. What a full socket does not take waits in `out`, and
// the connection is not read until it is gone.
//
// Sessions are writes, as in a real server (each is a transaction).
#define _GNU_SOURCE // accept4
#include "bare.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base.h"
#include "request.h"

enum {
    EVENTS_MAX = 1024,
    BARE_READ_LEN = 64 << 10,
    BARE_FRAME_MAX = 4 << 20,
    STAT_LEN = 68,
    LOG_HEADER_LEN = 12, // checksum and length, as a log record has
};

struct peer {
    int fd;
    bool greeted;
    bool leaving; // answered closeSession
    bool blocked;
    struct bytes in;  // a frame that came in part
    struct bytes out; // replies
};

struct bare {
    int epoll_fd;
    int listen_fd;
    int log_fd; // -1: no log
    off_t log_at;
    off_t log_size;
    struct bytes log;  // records of this wake-up
    struct bytes page; // what was read
    struct bytes get_reply;
    struct bytes stat_reply;
    struct bytes path_reply;
    struct bytes int_reply;
    struct bytes empty_reply;
    struct bytes multi_reply;
    uint64_t sessions;
};

static volatile sig_atomic_t stop_asked;

static void on_signal(int signal)
{
    (void)signal;
    stop_asked = 1;
}

// ---- fixed replies

static void reply_begin(struct bytes *b)
{
    static const uint8_t zeros[20];
    bench_bytes_put(b, zeros, sizeof zeros);
    put64(b->at + 8, 1); // zxid
}

static void put_zeros(struct bytes *b, size_t n)
{
    memset(bench_bytes_reserve(b, n), 0, n);
    b->len += n;
}

static void replies_build(struct bare *s, uint32_t size)
{
    struct bytes *all[] = {&s->get_reply, &s->stat_reply,  &s->path_reply,
                           &s->int_reply, &s->empty_reply, &s->multi_reply};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        reply_begin(all[i]);
    }
    bench_bytes_put32(&s->get_reply, size);
    memset(bench_bytes_reserve(&s->get_reply, size), 'x', size);
    s->get_reply.len += size;
    put_zeros(&s->get_reply, STAT_LEN);
    put_zeros(&s->stat_reply, STAT_LEN);
    char path[ROOT_LEN + 2 + KEY_DIGITS];
    memset(path, '/', sizeof path);
    bench_bytes_put_string(&s->path_reply, path, sizeof path);
    put_zeros(&s->int_reply, 4);
    bench_bytes_put32(&s->multi_reply, UINT32_MAX);
    bench_bytes_put(&s->multi_reply, (const char[]){1}, 1);
    bench_bytes_put32(&s->multi_reply, UINT32_MAX);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        put32(all[i]->at, (uint32_t)(all[i]->len - 4));
    }
}

static const struct bytes *reply_for(const struct bare *s, int32_t op)
{
    switch (op) {
    case OP_GET_DATA:
        return &s->get_reply;
    case OP_EXISTS:
    case OP_SET_DATA:
        return &s->stat_reply;
    case OP_CREATE:
        return &s->path_reply;
    case OP_GET_CHILDREN: // an empty list
    case OP_ADD_WATCH:
        return &s->int_reply;
    case OP_MULTI:
        return &s->multi_reply;
    default:
        return &s->empty_reply;
    }
}

static bool is_write(int32_t op)
{
    return op == OP_CREATE || op == OP_SET_DATA || op == OP_DELETE || op == OP_MULTI ||
           op == OP_CLOSE_SESSION;
}

// ---- the log

static void log_open(struct bare *s, const char *path, off_t size)
{
    static const uint8_t zeros[1 << 20];
    s->log_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (s->log_fd < 0) {
        bench_fatal("%s: %s", path, strerror(errno));
    }
    s->log_size = size;
    for (off_t at = 0; at < size; at += (off_t)sizeof zeros) {
        if (pwrite(s->log_fd, zeros, sizeof zeros, at) != (ssize_t)sizeof zeros) {
            bench_fatal("%s: cannot write: %s", path, strerror(errno));
        }
    }
    if (fsync(s->log_fd) != 0) {
        bench_fatal("%s: %s", path, strerror(errno));
    }
}

static void log_put(struct bare *s, const uint8_t *frame, size_t len)
{
    if (s->log_fd >= 0) {
        put_zeros(&s->log, LOG_HEADER_LEN);
        bench_bytes_put(&s->log, frame, len);
    }
}

// Begins again at the front when the file is full: its blocks stay the same, so a flush costs no
// change of the file's size or map.
static void log_sync(struct bare *s)
{
    if (s->log.len == 0) {
        return;
    }
    if ((off_t)s->log.len > s->log_size) {
        bench_fatal("%zu bytes in one wake-up, the log has %lld", s->log.len,
                    (long long)s->log_size);
    }
    if (s->log_at + (off_t)s->log.len > s->log_size) {
        s->log_at = 0;
    }
    ssize_t n = pwrite(s->log_fd, s->log.at, s->log.len, s->log_at);
    if (n != (ssize_t)s->log.len || fdatasync(s->log_fd) != 0) {
        bench_fatal("log: %s", n < 0 ? strerror(errno) : "short write");
    }
    s->log_at += n;
    s->log.len = 0;
}

// ---- connections

static void arm(struct bare *s, struct peer *p, int how, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = p};
    if (epoll_ctl(s->epoll_fd, how, p->fd, &ev) != 0) {
        bench_fatal("epoll_ctl: %s", strerror(errno));
    }
}

static void peer_accept(struct bare *s)
{
    for (;;) {
        int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct peer *p = calloc(1, sizeof *p);
        if (p == NULL) {
            bench_fatal("out of memory for a connection");
        }
        p->fd = fd;
        arm(s, p, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void peer_close(struct peer *p)
{
    close(p->fd);
    bench_bytes_fini(&p->in);
    bench_bytes_fini(&p->out);
    free(p);
}

static void greet(struct bare *s, struct peer *p, const uint8_t *frame, size_t len)
{
    uint8_t reply[41] = {0};
    size_t n = len >= 4 + 45 ? 41 : 40;
    put32(reply, (uint32_t)(n - 4));
    put32(reply + 8, len >= 20 ? get32(frame + 16) : 30000);
    put64(reply + 12, ++s->sessions);
    put32(reply + 20, 16);
    bench_bytes_put(&p->out, reply, n);
    p->greeted = true;
    log_put(s, frame, len);
}

static void answer(struct bare *s, struct peer *p, const uint8_t *frame, size_t len)
{
    if (!p->greeted) {
        greet(s, p, frame, len);
        return;
    }
    int32_t op = len >= FRAME_HEADER_LEN ? (int32_t)get32(frame + 8) : 0;
    const struct bytes *reply = reply_for(s, op);
    uint8_t *at = bench_bytes_reserve(&p->out, reply->len);
    memcpy(at, reply->at, reply->len);
    p->out.len += reply->len;
    if (len >= FRAME_HEADER_LEN) {
        memcpy(at + 4, frame + 4, 4);
    }
    if (is_write(op)) {
        log_put(s, frame, len);
        p->leaving = op == OP_CLOSE_SESSION;
    }
}

// False when the connection is over.
static bool peer_read(struct bare *s, struct peer *p)
{
    struct bytes *b = &s->page;
    b->from = b->len = 0;
    bench_bytes_reserve(b, bench_bytes_left(&p->in) + BARE_READ_LEN);
    bench_bytes_put(b, p->in.at + p->in.from, bench_bytes_left(&p->in));
    ssize_t n = recv(p->fd, b->at + b->len, BARE_READ_LEN, 0);
    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    b->len += (size_t)n;
    size_t at = 0;
    while (b->len - at >= 4) {
        size_t len = (size_t)get32(b->at + at) + 4;
        if (len > BARE_FRAME_MAX) {
            return false;
        }
        if (b->len - at < len) {
            break;
        }
        answer(s, p, b->at + at, len);
        at += len;
    }
    p->in.from = p->in.len = 0;
    bench_bytes_put(&p->in, b->at + at, b->len - at);
    return true;
}

// False when the connection is over.
static bool peer_write(struct bare *s, struct peer *p)
{
    if (bench_bytes_left(&p->out) == 0) {
        return true;
    }
    ssize_t n = send(p->fd, p->out.at + p->out.from, bench_bytes_left(&p->out), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        return false;
    }
    if (n > 0) {
        bench_bytes_consume(&p->out, (size_t)n);
    }
    bool blocked = bench_bytes_left(&p->out) > 0;
    if (blocked != p->blocked) {
        p->blocked = blocked;
        arm(s, p, EPOLL_CTL_MOD, blocked ? EPOLLOUT : EPOLLIN);
    }
    return blocked || !p->leaving;
}

static void serve(struct bare *s)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(s->epoll_fd, events, EVENTS_MAX, -1);
    if (n < 0 && errno != EINTR) {
        bench_fatal("epoll_wait: %s", strerror(errno));
    }
    for (int i = 0; i < n; i++) {
        struct peer *p = events[i].data.ptr;
        if (p == NULL) {
            peer_accept(s);
        } else if (!p->blocked && !peer_read(s, p)) {
            peer_close(p);
            events[i].data.ptr = NULL;
        } else if (s->log_fd < 0 && !peer_write(s, p)) {
            peer_close(p);
            events[i].data.ptr = NULL;
        }
    }
    if (s->log_fd < 0) {
        return;
    }
    log_sync(s);
    for (int i = 0; i < n; i++) {
        struct peer *p = events[i].data.ptr;
        if (p != NULL && !peer_write(s, p)) {
            peer_close(p);
        }
    }
}

// ---- start

static void listen_on(struct bare *s, uint16_t port)
{
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->epoll_fd < 0 || s->listen_fd < 0) {
        bench_fatal("socket: %s", strerror(errno));
    }
    int one = 1;
    setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(s->listen_fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(s->listen_fd, 1024) != 0) {
        bench_fatal("127.0.0.1:%u: %s", port, strerror(errno));
    }
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->listen_fd, &ev) != 0) {
        bench_fatal("epoll_ctl: %s", strerror(errno));
    }
}

static uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max)
{
    char *rest;
    errno = 0;
    unsigned long long v = strtoull(text, &rest, 10);
    if (errno != 0 || rest == text || *rest != '\0' || text[0] == '-' || v < min || v > max) {
        bench_fatal("--%s %s: a number from %llu to %llu is needed", name, text,
                    (unsigned long long)min, (unsigned long long)max);
    }
    return v;
}

int bare_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"log", required_argument, NULL, 'l'},
        {"log-size", required_argument, NULL, 'L'},
        {"size", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    struct bare s = {.log_fd = -1};
    uint16_t port = 2181;
    uint32_t size = 1024;
    off_t log_mb = 256;
    const char *log = NULL;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'p':
            port = (uint16_t)number("port", optarg, 1, 65535);
            break;
        case 'l':
            log = optarg;
            break;
        case 'L':
            log_mb = (off_t)number("log-size", optarg, 16, 1 << 20);
            break;
        case 's':
            size = (uint32_t)number("size", optarg, 0, 1 << 20);
            break;
        default:
            fprintf(stderr, "usage: reeve-bench bare [--port N] [--log FILE [--log-size MB]] "
                            "[--size BYTES]\n");
            return 2;
        }
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    bench_files_limit_raise();
    replies_build(&s, size);
    if (log != NULL) {
        log_open(&s, log, log_mb << 20);
    }
    listen_on(&s, port);
    printf("bare server on 127.0.0.1:%u%s%s\n", port, log != NULL ? ", writes go to " : "",
           log != NULL ? log : "");
    fflush(stdout);
    while (!stop_asked) {
        serve(&s);
    }
    // Connections that are still open go with the process.
    struct bytes *all[] = {&s.get_reply,   &s.stat_reply,  &s.path_reply, &s.int_reply,
                           &s.empty_reply, &s.multi_reply, &s.log,        &s.page};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        bench_bytes_fini(all[i]);
    }
    return 0;
}
