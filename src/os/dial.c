// SPDX-License-Identifier: Apache-2.0
//
// Dials: connections that this server begins.
//
// A dial has targets, a target has addresses, and each address gets an attempt of its own, all at
// the same time: a socket that connects while libuv watches it. The first that is connected wins,
// becomes an ordinary connection (sock.c) and ends the dial; the other attempts are dropped.
//
//   dial() ─> PENDING ─ an attempt connects ─────────────────────────────> ENV_DIALED
//                │  └── the last attempt has failed, or the time is over ─> ENV_DIAL_FAILED
//                └───── undial() ─────────────────────────────────────────> nothing
//
// A failure is always told by the dial's timer, so that none comes from inside a call.
//
// A literal address never waits for a resolver. A name is looked up by a thread of its own, because
// getaddrinfo() cannot be interrupted: in libuv's pool a resolver that hangs would keep other
// lookups waiting, and the end of the loop as well. Dials of the same name share one lookup, so a
// name that hangs holds one thread, however often it is dialed. A lookup and what it works on
// belong to the core thread; at the end of the env, those that still run belong to their threads.
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "limits.h"
#include "os/os.h"

enum {
    HOST_MAX = 256, // a DNS name has at most 253 bytes
    LOOKUP_STACK = 512 * 1024
};

struct target {
    char host[HOST_MAX];
    uint16_t port;
    struct lookup *lookup; // NULL: none, or it is over
    // What its addresses said. One this machine has no route to says neither: a name's IPv6 address
    // on a machine with IPv4 only is no sign of life.
    bool refused, failed;
};

struct attempt {
    uv_poll_t poll; // first; data: the attempt's dial
    int fd;
    struct target *target;
    TAILQ_ENTRY(attempt) all;
};

struct dial {
    uv_timer_t timer; // first; data: the env_uv
    uint64_t id;
    TAILQ_ENTRY(dial) all;
    TAILQ_HEAD(, attempt) attempts;
    size_t lookups_n;  // that it waits for
    size_t attempts_n; // made so far
    size_t targets_n;
    struct target targets[];
};

struct lookup {
    struct resolver *resolver;
    TAILQ_ENTRY(lookup) all;
    char host[HOST_MAX];
    // Guarded by the resolver's mutex.
    bool done, orphan;
    struct addrinfo *found; // when done
};

// Shared with the threads; lives until the env and the last of them have let go of it.
struct resolver {
    pthread_mutex_t mutex;
    unsigned refs;
    uv_async_t *wake; // NULL: the env has gone
    // Core thread only.
    TAILQ_HEAD(, lookup) lookups;
    size_t lookups_n;
};

static void on_timer(uv_timer_t *t);

// ---- the end of attempts and dials

static void free_handle(uv_handle_t *h)
{
    mem_free(h);
}

// Lets go of the attempt without its socket.
static int attempt_release(struct attempt *a)
{
    struct dial *d = a->poll.data;
    int fd = a->fd;
    TAILQ_REMOVE(&d->attempts, a, all);
    uv_close((uv_handle_t *)&a->poll, free_handle);
    return fd;
}

static void dial_free(struct dial *d)
{
    struct env_uv *e = d->timer.data;
    for (struct attempt *a; (a = TAILQ_FIRST(&d->attempts));) {
        close(attempt_release(a));
    }
    TAILQ_REMOVE(&e->dials, d, all);
    uv_close((uv_handle_t *)&d->timer, free_handle);
}

// Fails the dial, by its timer, if nothing is left to wait for.
static void settle(struct dial *d)
{
    if (TAILQ_EMPTY(&d->attempts) && d->lookups_n == 0) {
        uv_timer_start(&d->timer, on_timer, 0, 0);
    }
}

static bool is_refused(const struct dial *d)
{
    bool refused = d->targets_n > 0;
    for (size_t i = 0; i < d->targets_n; i++) {
        refused = refused && d->targets[i].refused && !d->targets[i].failed;
    }
    return refused;
}

static void on_timer(uv_timer_t *t)
{
    struct dial *d = (struct dial *)t;
    struct env_uv *e = t->data;
    bool over = TAILQ_EMPTY(&d->attempts) && d->lookups_n == 0;
    struct env_event ev = {.type = ENV_DIAL_FAILED};
    ev.dialed.dial = d->id;
    ev.dialed.why = over && is_refused(d) ? ERR_REFUSED : ERR_IO;
    dial_free(d);
    env_uv_emit(e, &ev);
}

// ---- attempts

static void note_failure(struct target *t, int error)
{
    switch (error) {
    case ECONNREFUSED:
        t->refused = true;
        break;
    case EAFNOSUPPORT:
    case EADDRNOTAVAIL:
    case ENETUNREACH:
        break;
    default:
        t->failed = true;
        break;
    }
}

// Where nobody listens on a port that the system gives to those who dial, a socket may be given
// that very port and connect to itself.
static bool is_own_echo(int fd)
{
    struct sockaddr_storage here = {0}, there = {0};
    socklen_t n = sizeof(here), m = sizeof(there);
    return getsockname(fd, (struct sockaddr *)&here, &n) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &m) == 0 && n == m &&
           memcmp(&here, &there, n) == 0;
}

static int result_of(int fd, int status)
{
    int error = 0;
    socklen_t n = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n)) {
        return errno;
    }
    if (error == 0 && status < 0) {
        return ECONNRESET;
    }
    return error == 0 && is_own_echo(fd) ? ECONNREFUSED : error;
}

static void on_connected(uv_poll_t *poll, int status, int events)
{
    struct attempt *a = (struct attempt *)poll;
    struct dial *d = poll->data;
    struct env_uv *e = d->timer.data;
    (void)events;
    int error = result_of(a->fd, status);
    struct target *t = a->target;
    int fd = attempt_release(a);
    struct env_event ev = {.type = ENV_DIALED};
    if (error == 0) {
        ev.conn = sock_adopt(e, fd);
        error = ev.conn ? 0 : ENOMEM;
    } else {
        close(fd);
    }
    if (error) {
        note_failure(t, error);
        settle(d);
        return;
    }
    ev.dialed.dial = d->id;
    dial_free(d);
    env_uv_emit(e, &ev);
}

// A socket on its way to that address, or -1 with errno.
static int connect_to(const struct sockaddr *to, socklen_t n)
{
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int error = 0;
    if (fd >= sock_first_reserved_fd()) {
        error = EMFILE;
    } else if (connect(fd, to, n) && errno != EINPROGRESS && errno != EINTR) {
        error = errno;
    }
    if (error) {
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void try_address(struct dial *d, struct target *t, const struct addrinfo *ai)
{
    struct env_uv *e = d->timer.data;
    struct sockaddr_storage to = {0};
    if (ai->ai_addrlen > sizeof(to) || (ai->ai_family != AF_INET && ai->ai_family != AF_INET6)) {
        return;
    }
    memcpy(&to, ai->ai_addr, ai->ai_addrlen);
    if (ai->ai_family == AF_INET) {
        ((struct sockaddr_in *)&to)->sin_port = htons(t->port);
    } else {
        ((struct sockaddr_in6 *)&to)->sin6_port = htons(t->port);
    }
    if (d->attempts_n >= LIMIT_DIAL_ATTEMPTS) {
        t->failed = true; // unknown, so not refused
        return;
    }
    d->attempts_n++;
    int fd = connect_to((struct sockaddr *)&to, ai->ai_addrlen);
    if (fd < 0) {
        note_failure(t, errno);
        return;
    }
    struct attempt *a = mem_zalloc(sizeof(*a));
    if (uv_poll_init(&e->loop, &a->poll, fd)) {
        mem_free(a);
        close(fd);
        t->failed = true;
        return;
    }
    a->poll.data = d;
    a->fd = fd;
    a->target = t;
    TAILQ_INSERT_TAIL(&d->attempts, a, all);
    uv_poll_start(&a->poll, UV_WRITABLE, on_connected);
}

static void try_addresses(struct dial *d, struct target *t, const struct addrinfo *found)
{
    t->failed |= !found;
    for (const struct addrinfo *ai = found; ai; ai = ai->ai_next) {
        try_address(d, t, ai);
    }
}

// ---- names

static struct addrinfo *look_up(const char *host, int flags)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}, *found = NULL;
    return getaddrinfo(host, NULL, &hints, &found) == 0 ? found : NULL;
}

static void lookup_free(struct lookup *l)
{
    if (l->found) {
        freeaddrinfo(l->found);
    }
    mem_free(l);
}

// With the mutex held, which is let go of.
static void resolver_unref(struct resolver *r)
{
    bool last = --r->refs == 0;
    pthread_mutex_unlock(&r->mutex);
    if (last) {
        pthread_mutex_destroy(&r->mutex);
        mem_free(r);
    }
}

static void *run_lookup(void *arg)
{
    struct lookup *l = arg;
    struct resolver *r = l->resolver;
    struct addrinfo *found = look_up(l->host, 0);
    pthread_mutex_lock(&r->mutex);
    l->found = found;
    l->done = true;
    if (l->orphan) {
        lookup_free(l);
    } else {
        uv_async_send(r->wake);
    }
    resolver_unref(r);
    return NULL;
}

static bool start_thread(struct lookup *l)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all); // signals are the core thread's
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, LOOKUP_STACK);
    pthread_mutex_lock(&l->resolver->mutex);
    l->resolver->refs++;
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, &attr, run_lookup, l) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    l->resolver->refs -= !started; // the env has one, too
    pthread_mutex_unlock(&l->resolver->mutex);
    pthread_attr_destroy(&attr);
    return started;
}

// The lookup of that name which runs, or a new one; NULL: too many run.
static struct lookup *lookup_get(struct resolver *r, const char *host)
{
    struct lookup *l;
    TAILQ_FOREACH (l, &r->lookups, all) {
        if (strcmp(l->host, host) == 0) {
            return l;
        }
    }
    if (r->lookups_n >= LIMIT_LOOKUPS) {
        return NULL;
    }
    l = mem_zalloc(sizeof(*l));
    l->resolver = r;
    memcpy(l->host, host, strlen(host) + 1);
    if (!start_thread(l)) {
        mem_free(l);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&r->lookups, l, all);
    r->lookups_n++;
    return l;
}

static void give_to_dials(struct env_uv *e, const struct lookup *l)
{
    struct dial *d;
    TAILQ_FOREACH (d, &e->dials, all) {
        for (size_t i = 0; i < d->targets_n; i++) {
            if (d->targets[i].lookup == l) {
                d->targets[i].lookup = NULL;
                d->lookups_n--;
                try_addresses(d, &d->targets[i], l->found);
                settle(d);
            }
        }
    }
}

static void on_resolved(uv_async_t *wake)
{
    struct env_uv *e = wake->data;
    struct resolver *r = e->resolver;
    for (struct lookup *l = TAILQ_FIRST(&r->lookups), *next; l; l = next) {
        next = TAILQ_NEXT(l, all);
        pthread_mutex_lock(&r->mutex);
        bool done = l->done;
        pthread_mutex_unlock(&r->mutex);
        if (done) {
            TAILQ_REMOVE(&r->lookups, l, all);
            r->lookups_n--;
            give_to_dials(e, l);
            lookup_free(l);
        }
    }
}

// ---- calls

static bool copy_host(struct slice host, char *to)
{
    if (host.n == 0 || host.n >= HOST_MAX || memchr(host.p, 0, host.n)) {
        return false;
    }
    memcpy(to, host.p, host.n);
    to[host.n] = 0;
    return true;
}

static void begin(struct dial *d, struct target *t)
{
    const struct env_uv *e = d->timer.data;
    struct addrinfo *literal = look_up(t->host, AI_NUMERICHOST);
    if (literal) {
        try_addresses(d, t, literal);
        freeaddrinfo(literal);
        return;
    }
    t->lookup = lookup_get(e->resolver, t->host);
    t->failed |= !t->lookup;
    d->lookups_n += t->lookup != NULL;
}

static struct dial *find(struct env_uv *e, uint64_t id)
{
    struct dial *d;
    TAILQ_FOREACH (d, &e->dials, all) {
        if (d->id == id) {
            return d;
        }
    }
    return NULL;
}

void dial_begin(struct env *env, uint64_t id, const struct env_target *to, size_t n,
                int32_t timeout_ms)
{
    struct env_uv *e = env_uv_of(env);
    must(n <= ENV_TARGETS_MAX);
    must(!find(e, id));
    struct dial *d = mem_zalloc(sizeof(*d) + n * sizeof(d->targets[0]));
    d->id = id;
    d->targets_n = n;
    TAILQ_INIT(&d->attempts);
    TAILQ_INSERT_TAIL(&e->dials, d, all);
    uv_timer_init(&e->loop, &d->timer);
    d->timer.data = e;
    uv_update_time(&e->loop); // the loop's idea of now is of the start of this batch
    uv_timer_start(&d->timer, on_timer, timeout_ms > 0 ? (uint64_t)timeout_ms : 0, 0);
    for (size_t i = 0; i < n; i++) {
        d->targets[i].port = to[i].port;
        if (copy_host(to[i].host, d->targets[i].host)) {
            begin(d, &d->targets[i]);
        } else {
            d->targets[i].failed = true;
        }
    }
    settle(d);
}

void dial_forget(struct env *env, uint64_t id)
{
    struct dial *d = find(env_uv_of(env), id);
    if (d) {
        dial_free(d);
    }
}

enum err dial_resolve(struct env *env, struct slice host, struct net_addr *addr)
{
    (void)env;
    char name[HOST_MAX];
    struct addrinfo *found = copy_host(host, name) ? look_up(name, 0) : NULL;
    const struct addrinfo *best = NULL;
    for (const struct addrinfo *ai = found; ai; ai = ai->ai_next) {
        if (ai->ai_family == AF_INET || (ai->ai_family == AF_INET6 && !best)) {
            best = ai;
        }
        if (ai->ai_family == AF_INET) {
            break;
        }
    }
    if (best) {
        memset(addr->ip, 0, sizeof(addr->ip));
        addr->family = best->ai_family == AF_INET ? 4 : 6;
        if (addr->family == 4) {
            memcpy(addr->ip, &((const struct sockaddr_in *)(void *)best->ai_addr)->sin_addr, 4);
        } else {
            memcpy(addr->ip, &((const struct sockaddr_in6 *)(void *)best->ai_addr)->sin6_addr, 16);
        }
    }
    if (found) {
        freeaddrinfo(found);
    }
    return best ? ERR_OK : ERR_NOTFOUND;
}

// ---- life

void dial_init(struct env_uv *e)
{
    TAILQ_INIT(&e->dials);
    struct resolver *r = mem_zalloc(sizeof(*r));
    pthread_mutex_init(&r->mutex, NULL);
    TAILQ_INIT(&r->lookups);
    r->refs = 1;
    r->wake = &e->resolved;
    e->resolver = r;
    int failed = uv_async_init(&e->loop, &e->resolved, on_resolved);
    must(failed == 0); // the loop's first one has made what they share
    e->resolved.data = e;
}

void dial_fini(struct env_uv *e)
{
    for (struct dial *d; (d = TAILQ_FIRST(&e->dials));) {
        dial_free(d);
    }
    struct resolver *r = e->resolver;
    e->resolver = NULL;
    pthread_mutex_lock(&r->mutex);
    r->wake = NULL;
    for (struct lookup *l; (l = TAILQ_FIRST(&r->lookups));) {
        TAILQ_REMOVE(&r->lookups, l, all);
        l->orphan = true;
        if (l->done) {
            lookup_free(l);
        }
    }
    resolver_unref(r);
    uv_close((uv_handle_t *)&e->resolved, NULL);
}
