// SPDX-License-Identifier: Apache-2.0
//
// A client's life on Linux: reeve_new() to reeve_close(), the thread, and the functions for a
// program with its own event loop.
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/must.h"
#include "client/client_internal.h"
#include "client/loop.h"

static struct loop *loop_of(const struct reeve *zk)
{
    return zk->driver.ctx;
}

// ---- new and close ------------------------------------------------------------------------------

static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    ssize_t n;
    do {
        n = getrandom(&seed, sizeof(seed), 0);
    } while (n < 0 && errno == EINTR);
    if (n != sizeof(seed) || seed == 0) {
        seed = (uint64_t)loop_clock(NULL).ns ^ (uint64_t)getpid() << 32 ^ (uintptr_t)&seed;
    }
    return seed;
}

static void loop_free(struct loop *l)
{
    resolver_free(&l->resolver);
    for (uint32_t i = 0; i < ENGINE_LINKS_MAX; i++) {
        loop_cut(NULL, l, i);
    }
    if (l->epoll_fd >= 0) {
        close(l->epoll_fd);
    }
    if (l->wake_fd >= 0) {
        close(l->wake_fd);
    }
    pthread_mutex_destroy(&l->role);
    struct reeve_allocator a = l->allocator;
    alloc_put(&a, l);
}

static enum reeve_error loop_new(struct loop **lp, const struct reeve_options *o)
{
    struct reeve_allocator a = alloc_of(o);
    struct loop *l = alloc_zero(&a, sizeof(*l));
    if (!l) {
        return REEVE_NO_MEMORY;
    }
    *lp = l;
    l->allocator = a;
    l->no_shuffle = o->no_shuffle;
    must(pthread_mutex_init(&l->role, NULL) == 0);
    for (size_t i = 0; i < ENGINE_LINKS_MAX; i++) {
        for (size_t j = 0; j < LOOP_ADDRESSES_MAX; j++) {
            l->links[i].sockets[j].fd = -1;
        }
    }
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    // On edges, so that nobody has to read it.
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
    if (l->epoll_fd < 0 || l->wake_fd < 0 ||
        epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev)) {
        return REEVE_SYSTEM;
    }
    l->resolver = resolver_new(l->wake_fd);
    return l->resolver ? REEVE_OK : REEVE_NO_MEMORY;
}

enum reeve_error reeve_new(struct reeve **zk, const struct reeve_options *options)
{
    *zk = NULL;
    if (!options) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct reeve_options o = *options;
    o.seed = o.seed ? o.seed : random_seed();
    struct loop *l = NULL;
    enum reeve_error e = loop_new(&l, &o);
    if (!e) {
        struct client_driver d = {loop_wake,   loop_dial,  loop_cut, loop_wait,
                                  loop_opened, loop_clock, l};
        e = client_new(&l->zk, &o, &d);
    }
    if (e) {
        if (l) {
            loop_free(l);
        }
        return e;
    }
    gate_init(&l->over, l->zk);
    *zk = l->zk;
    return REEVE_OK;
}

static void end(struct reeve **zk, bool end_session)
{
    if (!*zk) {
        return;
    }
    must(!client_on_loop(*zk));
    struct loop *l = loop_of(*zk);
    client_begin_close(*zk, end_session);
    if (l->threaded) {
        pthread_join(l->thread, NULL);
    } else {
        loop_wait(*zk, l, &l->over);
    }
    gate_fini(&l->over);
    client_free(zk);
    loop_free(l);
}

void reeve_close(struct reeve **zk)
{
    end(zk, true);
}

void reeve_abandon(struct reeve **zk)
{
    end(zk, false);
}

// ---- the thread ---------------------------------------------------------------------------------

static void *run(void *ctx)
{
    loop_keep(ctx);
    return NULL;
}

// The program's signals are for its own threads; but what a fault of a callback raises is for the
// thread it happens on (crash reporters, and runtimes such as Java's, live on that).
bool loop_begin_thread(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                       void *ctx)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t most, before;
    sigfillset(&most);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        sigdelset(&most, faults[i]);
    }
    pthread_sigmask(SIG_SETMASK, &most, &before);
    bool begun = pthread_create(thread, attr, fn, ctx) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return begun;
}

enum reeve_error reeve_start(struct reeve *zk)
{
    struct loop *l = loop_of(zk);
    if (l->threaded) {
        return REEVE_BAD_ARGUMENTS;
    }
    // From here on no other thread makes callbacks, but for one that drives already.
    l->handed = loop_take(l);
    l->threaded = loop_begin_thread(&l->thread, NULL, run, l);
    if (!l->threaded && l->handed) {
        loop_give(l);
    }
    return l->threaded ? REEVE_OK : REEVE_SYSTEM;
}

// ---- an event loop of the program's own ---------------------------------------------------------

int reeve_fd(const struct reeve *zk)
{
    struct loop *l = loop_of(zk);
    atomic_store(&l->watched, true);
    atomic_store(&l->sleeping, true); // at worst it is woken once for nothing
    return l->epoll_fd;
}

// While another thread drives there is nothing to wake up for: it tells when it stops.
int reeve_timeout_ms(const struct reeve *zk)
{
    struct loop *l = loop_of(zk);
    if (client_on_loop(zk)) {
        return loop_timeout_ms(l);
    }
    int ms = -1;
    if (loop_take(l)) {
        ms = loop_timeout_ms(l);
        loop_give(l);
    }
    return ms;
}

void reeve_process(struct reeve *zk)
{
    struct loop *l = loop_of(zk);
    if (!client_on_loop(zk) && loop_take(l)) {
        loop_poll(l, 0);
        loop_run(l);
        loop_give(l);
    }
}
