// SPDX-License-Identifier: Apache-2.0
//
// Names to addresses. getaddrinfo() may wait for half a minute for a name server and cannot be
// called off, so each name has a short thread of its own. The thread shares one lookup with the
// loop, and the resolver with all the others; each is freed by whoever lets it go last. A client is
// closed without waiting for any of them.
//
// This memory may outlive the client, so it is malloc's and not of the user's allocator.
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/must.h"
#include "client/loop.h"

enum { THREADS_MAX = 16 }; // that wait for a name server at one time

struct resolver {
    pthread_mutex_t lock;
    int wake_fd; // -1: the loop is gone
    size_t threads;
    size_t refs; // the loop's, and one for each lookup
};

struct lookup {
    struct resolver *resolver;
    char host[256], port[8];
    // Under the resolver's lock:
    size_t refs; // the loop's and the thread's
    bool done;
    struct loop_addresses found;
};

struct resolver *resolver_new(int wake_fd)
{
    struct resolver *r = calloc(1, sizeof(*r));
    if (r) {
        must(pthread_mutex_init(&r->lock, NULL) == 0);
        r->wake_fd = wake_fd;
        r->refs = 1;
    }
    return r;
}

// Under the lock, which it gives up.
static void let_go(struct resolver *r)
{
    bool last = --r->refs == 0;
    pthread_mutex_unlock(&r->lock);
    if (last) {
        pthread_mutex_destroy(&r->lock);
        free(r);
    }
}

void resolver_free(struct resolver **rp)
{
    struct resolver *r = *rp;
    *rp = NULL;
    if (r) {
        pthread_mutex_lock(&r->lock);
        r->wake_fd = -1;
        let_go(r);
    }
}

void lookup_free(struct lookup **kp)
{
    struct lookup *k = *kp;
    *kp = NULL;
    if (!k) {
        return;
    }
    struct resolver *r = k->resolver;
    pthread_mutex_lock(&r->lock);
    if (--k->refs) {
        pthread_mutex_unlock(&r->lock);
        return;
    }
    free(k);
    let_go(r);
}

bool lookup_is_done(struct lookup *k, struct loop_addresses *a)
{
    pthread_mutex_lock(&k->resolver->lock);
    bool done = k->done;
    if (done) {
        *a = k->found;
    }
    pthread_mutex_unlock(&k->resolver->lock);
    return done;
}

static void ask(const char *host, const char *port, int flags, struct loop_addresses *a)
{
    struct addrinfo want = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    struct addrinfo *list = NULL;
    int e = getaddrinfo(host, port, &want, &list);
    a->n = 0;
    if (e) {
        int error = errno;
        if (e != EAI_SYSTEM || strerror_r(error, a->why, sizeof(a->why))) {
            snprintf(a->why, sizeof(a->why), "%s", gai_strerror(e));
        }
        return;
    }
    snprintf(a->why, sizeof(a->why), "the name has no address");
    for (struct addrinfo *i = list; i && a->n < LOOP_ADDRESSES_MAX; i = i->ai_next) {
        if (i->ai_addrlen <= sizeof(a->v[0].to)) {
            memcpy(&a->v[a->n].to, i->ai_addr, i->ai_addrlen);
            a->v[a->n++].len = i->ai_addrlen;
        }
    }
    freeaddrinfo(list);
}

static void *run(void *ctx)
{
    struct lookup *k = ctx;
    struct resolver *r = k->resolver;
    struct loop_addresses found;
    ask(k->host, k->port, 0, &found);
    pthread_mutex_lock(&r->lock);
    k->found = found;
    k->done = true;
    r->threads--;
    if (r->wake_fd >= 0) {
        (void)!write(r->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    }
    pthread_mutex_unlock(&r->lock);
    lookup_free(&k);
    return NULL;
}

static bool start(struct lookup *k)
{
    pthread_attr_t attr;
    must(pthread_attr_init(&attr) == 0);
    must(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0);
    pthread_t thread;
    bool ok = loop_begin_thread(&thread, &attr, run, k);
    pthread_attr_destroy(&attr);
    return ok;
}

static struct lookup *look_up(struct resolver *r, const char *host, const char *port)
{
    struct lookup *k = calloc(1, sizeof(*k));
    if (!k) {
        return NULL;
    }
    k->resolver = r;
    k->refs = 2;
    snprintf(k->host, sizeof(k->host), "%s", host);
    snprintf(k->port, sizeof(k->port), "%s", port);
    pthread_mutex_lock(&r->lock);
    r->refs++;
    bool room = r->threads < THREADS_MAX;
    r->threads += room;
    pthread_mutex_unlock(&r->lock);
    if (room && start(k)) {
        return k;
    }
    pthread_mutex_lock(&r->lock);
    r->threads -= room;
    free(k);
    let_go(r);
    return NULL;
}

bool resolver_look_up(struct resolver *r, const char *host, uint16_t port, struct loop_addresses *a,
                      struct lookup **k)
{
    char text[8];
    snprintf(text, sizeof(text), "%u", port);
    *k = NULL;
    ask(host, text, AI_NUMERICHOST, a);
    if (a->n) {
        return true;
    }
    *k = look_up(r, host, text);
    if (!*k) {
        snprintf(a->why, sizeof(a->why), "no thread to look up the name");
    }
    return false;
}
