// SPDX-License-Identifier: Apache-2.0
//
// Listeners and connections.
//
// libuv watches the descriptors (uv_poll_t); reading, writing and accepting are plain calls made
// here, so a request costs exactly one read and one write: one read per connection and wake-up,
// into a page all connections share; a write goes to the socket at once, and only what a full
// socket does not take is kept, in the caller's own storage, and the socket then watched for room.
//
// A connection:
//
//   OPEN ──close()──> FLUSHING ──all sent──> LINGERING ──acked, or peer's end──> GONE ─> ENV_CLOSED
//     └──────── peer's end with nothing unsent, error, deadline ─────────────────^
//
// LINGERING exists because closing a socket that still gets bytes makes the kernel drop what the
// peer has not acknowledged, and a reply before the close would be lost. It is skipped when the
// kernel says that everything is acknowledged. FLUSHING and LINGERING end at a deadline together.
// GONE lasts until libuv has let go of the handle: then ENV_CLOSED is delivered and the number is
// free. Nothing is delivered from inside a call.
#define _GNU_SOURCE // accept4
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "base/mem.h"
#include "limits.h"
#include "os/os.h"

enum {
    REAP_MS = 50,
    // A flood of connections lets others have their turn after this many.
    ACCEPTS_PER_WAKEUP = 256,
    DRAIN_READS = 4,
    ACCEPT_WARN_MS = 10000
};

enum conn_state { CONN_OPEN, CONN_FLUSHING, CONN_LINGERING, CONN_GONE };

// What a full socket did not take: head from `sent` on goes first, tail gathers behind it.
struct unsent {
    struct buf head, tail;
    size_t sent;
};

struct conn {
    uv_poll_t poll; // data: the env_uv
    int fd;
    uint32_t id;
    enum conn_state state;
    bool paused;
    enum err closed; // for ENV_CLOSED
    int events;      // watched for now
    struct unsent *unsent;
    struct mono deadline; // in `leaving`
    TAILQ_ENTRY(conn) leaving;
};

struct listener {
    uv_poll_t poll;
    int fd;
    uint32_t id;
    bool any; // bound to every address: the local one differs per connection
    struct net_addr bound;
};

static void on_ready(uv_poll_t *poll, int status, int events);
static void on_pending(uv_poll_t *poll, int status, int events);

// ---- addresses

static struct net_addr addr_of(const struct sockaddr_storage *sa)
{
    struct net_addr a = {0};
    if (sa->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
        a.family = 4;
        a.port = ntohs(in->sin_port);
        memcpy(a.ip, &in->sin_addr, 4);
    } else if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)sa;
        a.port = ntohs(in->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) {
            a.family = 4;
            memcpy(a.ip, in->sin6_addr.s6_addr + 12, 4);
        } else {
            a.family = 6;
            memcpy(a.ip, &in->sin6_addr, 16);
        }
    }
    return a;
}

static bool is_any(const struct net_addr *a)
{
    static const uint8_t zeros[16];
    return a->family == 0 || memcmp(a->ip, zeros, a->family == 4 ? 4 : 16) == 0;
}

// ---- the table of connections

static struct conn *find(struct env_uv *e, uint32_t id)
{
    must(id > 0);
    must(id <= e->conns_used);
    struct conn *c = e->conns[id];
    must(c);
    return c;
}

static struct conn *conn_new(struct env_uv *e, int fd)
{
    struct conn *c = mem_zalloc(sizeof(*c));
    if (uv_poll_init(&e->loop, &c->poll, fd)) {
        mem_free(c);
        return NULL;
    }
    c->poll.data = e;
    c->fd = fd;
    if (e->free_ids_n) {
        c->id = e->free_ids[--e->free_ids_n];
    } else {
        c->id = ++e->conns_used;
        mem_grow((void **)&e->conns, &e->conns_cap, (size_t)c->id + 1, sizeof(struct conn *));
    }
    e->conns[c->id] = c;
    return c;
}

static void unsent_free(struct conn *c)
{
    if (c->unsent) {
        buf_fini(&c->unsent->head);
        buf_fini(&c->unsent->tail);
        mem_free(c->unsent);
        c->unsent = NULL;
    }
}

static void on_gone(uv_handle_t *h)
{
    struct conn *c = (struct conn *)h;
    struct env_uv *e = h->data;
    e->conns[c->id] = NULL;
    mem_grow((void **)&e->free_ids, &e->free_ids_cap, e->free_ids_n + 1, sizeof(uint32_t));
    struct env_event ev = {.type = ENV_CLOSED, .conn = c->id, .closed = c->closed};
    env_uv_emit(e, &ev);
    e->free_ids[e->free_ids_n++] = c->id;
    mem_free(c);
}

// ---- states

static void watch(struct conn *c)
{
    int want = 0;
    if ((c->state == CONN_OPEN && !c->paused) || c->state == CONN_LINGERING) {
        want |= UV_READABLE;
    }
    if (c->unsent) {
        want |= UV_WRITABLE;
    }
    if (want != c->events) {
        c->events = want;
        if (want) {
            uv_poll_start(&c->poll, want, on_ready);
        } else {
            uv_poll_stop(&c->poll);
        }
    }
}

static void on_reap(uv_timer_t *t);

static void set_state(struct conn *c, enum conn_state to)
{
    struct env_uv *e = c->poll.data;
    must(to > c->state);
    bool was_leaving = c->state != CONN_OPEN;
    c->state = to;
    if (to == CONN_GONE) {
        if (was_leaving) {
            TAILQ_REMOVE(&e->leaving, c, leaving);
        }
        unsent_free(c);
        uv_close((uv_handle_t *)&c->poll, on_gone);
        close(c->fd);
        return;
    }
    if (!was_leaving) {
        c->deadline = mono_add_ms(e->env.now, LIMIT_CLOSE_MS);
        TAILQ_INSERT_TAIL(&e->leaving, c, leaving);
        if (!uv_is_active((uv_handle_t *)&e->reaper)) {
            uv_timer_start(&e->reaper, on_reap, REAP_MS, REAP_MS);
        }
    }
    watch(c);
}

static void drop(struct conn *c, enum err why)
{
    c->closed = why;
    set_state(c, CONN_GONE);
}

static enum err err_of(int e)
{
    switch (e) {
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENOTCONN:
        return ERR_CLOSED;
    default:
        return ERR_IO;
    }
}

static bool again(int e)
{
    return e == EAGAIN || e == EWOULDBLOCK || e == EINTR;
}

static bool is_acked(const struct conn *c)
{
    int unacked = 0;
    return ioctl(c->fd, SIOCOUTQ, &unacked) == 0 && unacked == 0;
}

// Everything is with the kernel. Close now if that loses nothing, else wait for the peer's end.
static void settle(struct conn *c)
{
    const struct env_uv *e = c->poll.data;
    for (int i = 0; i < DRAIN_READS; i++) {
        ssize_t n = read(c->fd, e->page, LIMIT_READ_CHUNK);
        if (n == 0 || (n < 0 && !again(errno))) {
            drop(c, c->closed);
            return;
        }
        if (n < 0) {
            break;
        }
    }
    if (is_acked(c)) {
        drop(c, c->closed);
        return;
    }
    shutdown(c->fd, SHUT_WR);
    set_state(c, CONN_LINGERING);
}

static void leave(struct conn *c)
{
    if (c->unsent) {
        set_state(c, CONN_FLUSHING);
    } else {
        settle(c);
    }
}

static void on_reap(uv_timer_t *t)
{
    struct env_uv *e = t->data;
    env_uv_refresh_clock(e);
    for (struct conn *c = TAILQ_FIRST(&e->leaving), *next; c; c = next) {
        next = TAILQ_NEXT(c, leaving);
        if (c->deadline.ns <= e->env.now.ns || (c->state == CONN_LINGERING && is_acked(c))) {
            drop(c, c->closed);
        }
    }
    if (TAILQ_EMPTY(&e->leaving)) {
        uv_timer_stop(t);
    }
}

// ---- reading and writing

static void on_readable(struct env_uv *e, struct conn *c)
{
    ssize_t n = read(c->fd, e->page, LIMIT_READ_CHUNK);
    if (n > 0) {
        if (c->state == CONN_OPEN) {
            struct env_event ev = {
                .type = ENV_DATA, .conn = c->id, .data = slice_of(e->page, (size_t)n)};
            env_uv_emit(e, &ev);
        }
        return;
    }
    if (n < 0 && again(errno)) {
        return;
    }
    if (n == 0 && c->state == CONN_OPEN && c->unsent) {
        leave(c); // it has said all, and may still be reading
    } else {
        drop(c, n == 0 ? c->closed : err_of(errno));
    }
}

// Nothing can be sent any more. What the peer sent before it went is read first, the end follows.
static void on_send_failed(struct conn *c)
{
    enum err why = err_of(errno);
    if (why != ERR_CLOSED || c->state != CONN_OPEN || c->paused) {
        drop(c, why);
        return;
    }
    c->closed = why;
    unsent_free(c);
    watch(c);
}

// Writes what waits; returns false if nothing can be sent any more.
static bool write_unsent(struct conn *c)
{
    struct unsent *u = c->unsent;
    while (u->sent < u->head.n) {
        ssize_t n = send(c->fd, u->head.p + u->sent, u->head.n - u->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (again(errno)) {
                return true;
            }
            on_send_failed(c);
            return false;
        }
        u->sent += (size_t)n;
        if (u->sent == u->head.n && u->tail.n) {
            buf_fini(&u->head);
            u->head = u->tail;
            u->tail = (struct buf){0};
            u->sent = 0;
        }
    }
    unsent_free(c);
    return true;
}

static void on_writable(struct env_uv *e, struct conn *c)
{
    if (!write_unsent(c) || c->unsent) {
        return;
    }
    if (c->state == CONN_FLUSHING) {
        settle(c);
        return;
    }
    watch(c);
    struct env_event ev = {.type = ENV_DRAINED, .conn = c->id};
    env_uv_emit(e, &ev);
}

// The peer has cut the connection off. What it sent before is still there to be read: a client that
// says closeSession and goes, with bytes of ours unread, ends like this. libuv watches it no more.
static void on_broken(struct env_uv *e, struct conn *c)
{
    while (c->state == CONN_OPEN && !c->paused) {
        ssize_t n = read(c->fd, e->page, LIMIT_READ_CHUNK);
        if (n <= 0) {
            break;
        }
        struct env_event ev = {
            .type = ENV_DATA, .conn = c->id, .data = slice_of(e->page, (size_t)n)};
        env_uv_emit(e, &ev);
    }
    int broken = 0;
    socklen_t n = sizeof(broken);
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &broken, &n);
    drop(c, broken ? err_of(broken) : ERR_CLOSED);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct conn *c = (struct conn *)poll;
    struct env_uv *e = poll->data;
    if (status < 0) {
        on_broken(e, c);
        return;
    }
    if ((events & UV_WRITABLE) && c->unsent) {
        on_writable(e, c);
    }
    // The step may have closed or paused it.
    if ((events & UV_READABLE) && (c->events & UV_READABLE) && c->state != CONN_GONE) {
        on_readable(e, c);
    }
}

static size_t keep_unsent(struct conn *c, struct buf *b, size_t sent)
{
    if (!c->unsent) {
        c->unsent = mem_zalloc(sizeof(*c->unsent));
        c->unsent->head = *b;
        c->unsent->sent = sent;
        *b = (struct buf){0};
        watch(c);
    } else if (c->unsent->tail.n == 0) {
        buf_fini(&c->unsent->tail);
        c->unsent->tail = *b;
        *b = (struct buf){0};
    } else {
        buf_put_slice(&c->unsent->tail, buf_slice(b));
        buf_clear(b);
    }
    return c->unsent->head.n - c->unsent->sent + c->unsent->tail.n;
}

size_t sock_send(struct env *env, uint32_t id, struct buf *b)
{
    struct conn *c = find(env_uv_of(env), id);
    if (c->state != CONN_OPEN || b->n == 0) {
        buf_clear(b);
        return c->state == CONN_OPEN && c->unsent
                   ? c->unsent->head.n - c->unsent->sent + c->unsent->tail.n
                   : 0;
    }
    if (c->unsent) {
        return keep_unsent(c, b, 0);
    }
    ssize_t n = send(c->fd, b->p, b->n, MSG_NOSIGNAL);
    if (n == (ssize_t)b->n) {
        buf_clear(b);
        return 0;
    }
    if (n < 0 && !again(errno)) {
        on_send_failed(c);
        buf_clear(b);
        return 0;
    }
    return keep_unsent(c, b, n < 0 ? 0 : (size_t)n);
}

void sock_close(struct env *env, uint32_t id)
{
    struct conn *c = find(env_uv_of(env), id);
    if (c->state == CONN_OPEN) {
        leave(c);
    }
}

void sock_pause(struct env *env, uint32_t id, bool paused)
{
    struct conn *c = find(env_uv_of(env), id);
    c->paused = paused;
    if (c->state == CONN_OPEN) {
        watch(c);
    }
}

// ---- listeners

static void accept_again(uv_timer_t *t)
{
    const struct env_uv *e = t->data;
    for (size_t i = 0; i < e->listeners_n; i++) {
        if (e->listeners[i]) {
            uv_poll_start(&e->listeners[i]->poll, UV_READABLE, on_pending);
        }
    }
}

// No descriptors or memory for one more connection: it waits in the kernel's queue, and so do the
// others, for a moment; a listener that stays readable would spin.
static void on_accept_failed(struct env_uv *e, int error)
{
    if (mono_diff_ms(e->env.now, e->accept_warned) >= ACCEPT_WARN_MS || !e->accept_warned.ns) {
        e->accept_warned = e->env.now;
        log_warn(&e->env.log,
                 "cannot accept a connection: %s; raise the limit of open files (ulimit -n) or set "
                 "maxCnxns; trying every %d ms",
                 strerror(error), LIMIT_ACCEPT_PAUSE_MS);
    }
    for (size_t i = 0; i < e->listeners_n; i++) {
        if (e->listeners[i]) {
            uv_poll_stop(&e->listeners[i]->poll);
        }
    }
    uv_timer_start(&e->accept_again, accept_again, LIMIT_ACCEPT_PAUSE_MS, 0);
}

uint32_t sock_adopt(struct env_uv *e, int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct conn *c = conn_new(e, fd);
    if (!c) {
        close(fd);
        return 0;
    }
    watch(c);
    return c->id;
}

static void take(struct env_uv *e, const struct listener *l, int fd,
                 const struct sockaddr_storage *peer)
{
    struct env_event ev = {.type = ENV_ACCEPT};
    ev.accept.listener = l->id;
    ev.accept.peer = addr_of(peer);
    ev.accept.local = l->bound;
    if (l->any) {
        struct sockaddr_storage sa;
        socklen_t n = sizeof(sa);
        if (getsockname(fd, (struct sockaddr *)&sa, &n) == 0) {
            ev.accept.local = addr_of(&sa);
        }
    }
    ev.conn = sock_adopt(e, fd);
    if (ev.conn) {
        env_uv_emit(e, &ev);
    }
}

// Descriptors at or above this are not for connections, so that the log can go on to its next file
// however many clients come.
int sock_first_reserved_fd(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > INT32_MAX) {
        return INT32_MAX;
    }
    int n = (int)limit.rlim_cur;
    return n - (n / 4 < LIMIT_FDS_RESERVED ? n / 4 : LIMIT_FDS_RESERVED);
}

// Would the next connection leave the files their descriptors? It gets the lowest free one, as the
// copy made here does.
static bool have_fd(const struct listener *l, int reserved)
{
    int fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0 && fd < reserved;
}

static void on_pending(uv_poll_t *poll, int status, int events)
{
    struct listener *l = (struct listener *)poll;
    struct env_uv *e = poll->data;
    (void)status;
    (void)events;
    int reserved = sock_first_reserved_fd();
    for (int i = 0; i < ACCEPTS_PER_WAKEUP && !uv_is_closing((uv_handle_t *)poll); i++) {
        if (!have_fd(l, reserved)) {
            on_accept_failed(e, EMFILE);
            return;
        }
        struct sockaddr_storage peer;
        socklen_t n = sizeof(peer);
        int fd = accept4(l->fd, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take(e, l, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            on_accept_failed(e, errno);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } // else that one connection has failed already
    }
}

// A socket bound as asked; "any" takes IPv6 and IPv4, on a machine without IPv6 IPv4 alone.
static int bind_to(const struct net_addr *at, bool any)
{
    bool six = any || at->family == 6;
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 && any) {
        six = false;
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (fd < 0) {
        return -1;
    }
    int on = 1, off = 0, r;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (six) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, any ? &off : &on, sizeof(on));
        struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons(at->port)};
        if (!any) {
            memcpy(&sa.sin6_addr, at->ip, 16);
        }
        r = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
    } else {
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(at->port)};
        if (!any) {
            memcpy(&sa.sin_addr, at->ip, 4);
        }
        r = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
    }
    if (r) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

static enum err listen_failed(struct env *env, const struct net_addr *at)
{
    int e = errno;
    const char *hint = e == EADDRINUSE
                           ? "; another server runs there: stop it, or take another port with "
                             "clientPort in zoo.cfg or --client-port"
                       : e == EADDRNOTAVAIL ? "; clientPortAddress is no address of this machine"
                       : e == EACCES        ? "; ports below 1024 need privileges"
                                            : "";
    log_error(&env->log, "cannot listen on port %u: %s%s", at->port, strerror(e), hint);
    return e == EADDRINUSE ? ERR_BUSY : e == EACCES ? ERR_DENIED : ERR_INVALID;
}

enum err sock_listen(struct env *env, const struct net_addr *at, int backlog, uint32_t *listener,
                     struct net_addr *bound)
{
    struct env_uv *e = env_uv_of(env);
    bool any = is_any(at);
    int fd = bind_to(at, any);
    if (fd < 0) {
        return listen_failed(env, at);
    }
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);
    if (listen(fd, backlog > 0 ? backlog : SOMAXCONN) ||
        getsockname(fd, (struct sockaddr *)&sa, &n)) {
        enum err err = listen_failed(env, at);
        close(fd);
        return err;
    }
    struct listener *l = mem_zalloc(sizeof(*l));
    *l = (struct listener){.fd = fd, .any = any, .bound = addr_of(&sa)};
    int r = uv_poll_init(&e->loop, &l->poll, fd);
    must(r == 0);
    l->poll.data = e;
    mem_grow((void **)&e->listeners, &e->listeners_cap, e->listeners_n + 1,
             sizeof(struct listener *));
    l->id = (uint32_t)e->listeners_n;
    e->listeners[e->listeners_n++] = l;
    uv_poll_start(&l->poll, UV_READABLE, on_pending);
    *listener = l->id;
    *bound = l->bound;
    return ERR_OK;
}

static void on_unlistened(uv_handle_t *h)
{
    mem_free(h);
}

void sock_unlisten(struct env *env, uint32_t listener)
{
    struct env_uv *e = env_uv_of(env);
    must(listener < e->listeners_n);
    struct listener *l = e->listeners[listener];
    must(l);
    e->listeners[listener] = NULL; // numbers of listeners are not used again
    uv_close((uv_handle_t *)&l->poll, on_unlistened);
    close(l->fd);
}

// ---- life

void sock_init(struct env_uv *e)
{
    TAILQ_INIT(&e->leaving);
    uv_timer_init(&e->loop, &e->reaper);
    uv_timer_init(&e->loop, &e->accept_again);
    e->reaper.data = e;
    e->accept_again.data = e;
    e->page = mem_alloc(LIMIT_READ_CHUNK);
}

void sock_fini(struct env_uv *e)
{
    for (uint32_t i = 0; i < e->listeners_n; i++) {
        if (e->listeners[i]) {
            sock_unlisten(&e->env, i);
        }
    }
    for (uint32_t i = 1; i <= e->conns_used; i++) {
        if (e->conns[i] && e->conns[i]->state != CONN_GONE) {
            drop(e->conns[i], ERR_OK);
        }
    }
    uv_close((uv_handle_t *)&e->reaper, NULL);
    uv_close((uv_handle_t *)&e->accept_again, NULL);
}

void sock_free(struct env_uv *e)
{
    mem_free(e->conns);
    mem_free(e->free_ids);
    mem_free(e->listeners);
    mem_free(e->page);
}
