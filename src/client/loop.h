// SPDX-License-Identifier: Apache-2.0
//
// struct loop: what drives a client on Linux, and the only part of the library that calls the
// system. One epoll descriptor holds the sockets and an eventfd; it is what reeve_fd() gives out,
// and stays the same for the client's life.
//
//   loop_epoll.c    links: bytes between sockets and engine; one turn of the loop
//   loop_dial.c     a link that is not up yet: addresses one after the other
//   loop_resolve.c  names to addresses, in threads of their own
//   loop_wait.c     who drives: a thread that waits, the library's thread, an event loop
//   loop_thread.c   reeve_new() to reeve_close(), reeve_start(), reeve_process()
//
// One thread at a time drives (`driven`). It alone touches links, epoll and engine. Other threads
// put something into the client and call wake(), which costs a system call only if the driving
// thread sleeps: `sleeping` is set before it looks at the inbox for the last time, and whoever puts
// something in looks at `sleeping` afterwards. Of a program that watches reeve_fd() it is assumed
// that it sleeps whenever it is not inside reeve_process(); if nobody drives and nobody watches
// there is nobody to be woken.
//
// After fork() the child must not use a client of its parent: the sockets are shared, the thread is
// not.
#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "client/alloc.h"
#include "client/client.h"

enum { LOOP_ADDRESSES_MAX = 8 }; // of one name; more are not tried

struct loop_address {
    struct sockaddr_storage to;
    socklen_t len;
};

struct loop_addresses {
    struct loop_address v[LOOP_ADDRESSES_MAX];
    size_t n;
    char why[128]; // n 0: the cause
};

// ---- loop_resolve.c -----------------------------------------------------------------------------

struct resolver; // outlives the loop while a thread still waits for a name server
struct lookup;   // one name

// wake_fd: an eventfd, written to when a lookup is done. NULL: no memory.
struct resolver *resolver_new(int wake_fd);
void resolver_free(struct resolver **r); // never waits

// True: it was a literal and *a is filled in. False: *k is a lookup, or NULL and a->why says why.
bool resolver_look_up(struct resolver *r, const char *host, uint16_t port, struct loop_addresses *a,
                      struct lookup **k);
bool lookup_is_done(struct lookup *k, struct loop_addresses *a);
void lookup_free(struct lookup **k); // done or not

// ---- links --------------------------------------------------------------------------------------

enum link_state {
    LINK_NONE,
    LINK_RESOLVING,
    LINK_CONNECTING,
    LINK_UP,
    LINK_FAILED // the engine is to be told `why`
};

struct loop_socket {
    int fd;          // -1: none
    uint64_t serial; // what epoll calls it by, so that late events of closed sockets find nobody
};

struct loop_link {
    enum link_state state;
    struct lookup *lookup;           // RESOLVING
    struct loop_addresses addresses; // CONNECTING
    size_t tried;                    // of them
    struct mono next_at;             // when the next is tried although others are under way
    struct loop_socket sockets[LOOP_ADDRESSES_MAX]; // CONNECTING: one per address; UP: the first
    bool full; // UP: the socket takes no more, epoll says when it does
    char why[160];
};

struct waiter { // a thread that sleeps at its gate, and would drive if asked to
    struct waiter *next;
    struct reeve_gate *gate;
};

struct loop {
    struct reeve *zk;
    struct reeve_allocator allocator;
    struct mono now; // of this turn
    int epoll_fd, wake_fd;
    _Atomic bool sleeping;
    _Atomic bool watched; // reeve_fd() was asked for
    bool no_shuffle;
    uint64_t serial;
    struct resolver *resolver;
    struct loop_link links[ENGINE_LINKS_MAX];

    struct reeve_gate over; // opens when the client is over
    pthread_mutex_t role;   // guards the three below
    bool driven;
    struct waiter *waiters;
    bool threaded;     // reeve_start() was called
    bool handed;       // and has taken the role for its thread
    _Atomic bool kept; // the library's thread drives, to the end
    pthread_t thread;
};

// loop_epoll.c: sockets; only for who drives.
bool loop_socket_add(struct loop *l, struct loop_socket *s, int fd, uint32_t events);
void loop_socket_close(struct loop_socket *s);                          // -1 is fine
void loop_link_fail(struct loop_link *k, const char *why);              // closes all of it
void loop_link_explain(struct loop_link *k, int error);                 // why: an errno
void loop_link_up(struct loop *l, uint32_t link, struct loop_socket s); // s is connected
// Everything that can be done without waiting.
void loop_run(struct loop *l);
// Waits for something to do, at most timeout_ms; -1: until something is. Does not run.
void loop_poll(struct loop *l, int timeout_ms);
int loop_timeout_ms(struct loop *l); // until loop_run() has something to do by the clock
struct mono loop_clock(void *ctx);

// The driver's functions; ctx is the loop.
void loop_wake(struct reeve *zk, void *ctx);
void loop_dial(struct reeve *zk, void *ctx, uint32_t link, const char *host, uint16_t port);
void loop_cut(struct reeve *zk, void *ctx, uint32_t link);
void loop_wait(struct reeve *zk, void *ctx, struct reeve_gate *g);
void loop_opened(void *ctx, struct reeve_gate *g);

// loop_dial.c
void loop_dial_event(struct loop *l, uint32_t link, struct loop_socket *s);
void loop_dial_look(struct loop *l, uint32_t link); // is the name known, is it time for the next?

// loop_thread.c: a thread of the library's own. False: the system has none.
bool loop_begin_thread(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                       void *ctx);

// loop_wait.c: the role of the one who drives.
bool loop_take(struct loop *l); // false: somebody else does
void loop_give(struct loop *l);
// As the thread of reeve_start(): drives until the client is over.
void loop_keep(struct loop *l);
