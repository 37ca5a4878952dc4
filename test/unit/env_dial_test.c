// SPDX-License-Identifier: Apache-2.0
//
// Connections that begin here, and names, in the real event loop over loopback. One thread: a test
// makes calls, then runs the loop until so many events of a kind have come. Listeners it must not
// answer by itself are plain sockets of the test's.
//
// getaddrinfo() is this file's own: "hang.test" is stuck until the test lets it go, "two.test" has
// two addresses, of which 127.0.0.2 comes first; other names are what the system says.
#define _GNU_SOURCE // RTLD_NEXT
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/env_uv.h"
#include "os/os.h"

enum { EVENTS_MAX = 4096, KINDS = ENV_STOP + 1, LONG_MS = 10000, CONNS_MAX = 2000 };

struct seen {
    enum env_event_type type;
    uint32_t conn;
    uint64_t dial;
    enum err why;
    struct mono at;
};

static struct world {
    struct env *env;
    struct seen events[EVENTS_MAX];
    size_t n, of_kind[KINDS];
    struct buf data;
    bool open[CONNS_MAX];
    enum env_event_type want;
    size_t want_n;
    bool in_call, timer_ends;
    void (*also)(const struct env_event *ev); // what a test does inside a step
} w;

// ---- the resolver

static pthread_mutex_t hang_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hang_ends = PTHREAD_COND_INITIALIZER;
static bool hanging;
static unsigned hung; // lookups of hang.test so far

static void set_hanging(bool on)
{
    pthread_mutex_lock(&hang_mutex);
    hanging = on;
    pthread_cond_broadcast(&hang_ends);
    pthread_mutex_unlock(&hang_mutex);
}

static unsigned hung_n(void)
{
    pthread_mutex_lock(&hang_mutex);
    unsigned n = hung;
    pthread_mutex_unlock(&hang_mutex);
    return n;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    union {
        void *p;
        int (*f)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    } real = {.p = dlsym(RTLD_NEXT, "getaddrinfo")};
    if (strcmp(host, "hang.test") == 0 && !(hints->ai_flags & AI_NUMERICHOST)) {
        pthread_mutex_lock(&hang_mutex);
        hung++;
        while (hanging) {
            pthread_cond_wait(&hang_ends, &hang_mutex);
        }
        pthread_mutex_unlock(&hang_mutex);
        return real.f("127.0.0.1", service, hints, found);
    }
    if (strcmp(host, "two.test") == 0 && !(hints->ai_flags & AI_NUMERICHOST)) {
        int r = real.f("127.0.0.2", service, hints, found);
        return r ? r : real.f("127.0.0.1", service, hints, &(*found)->ai_next);
    }
    return real.f(host, service, hints, found);
}

// ---- the loop

static void step(void *ctx, const struct env_event *ev)
{
    (void)ctx;
    assert_false(w.in_call);
    assert_true(w.n < EVENTS_MAX);
    struct seen *s = &w.events[w.n++];
    *s = (struct seen){.type = ev->type, .conn = ev->conn, .at = w.env->ops->clock(w.env)};
    w.of_kind[ev->type]++;
    switch (ev->type) {
    case ENV_DIALED:
    case ENV_ACCEPT:
        assert_in_range(ev->conn, 1, CONNS_MAX - 1);
        assert_false(w.open[ev->conn]);
        w.open[ev->conn] = true;
        s->dial = ev->type == ENV_DIALED ? ev->dialed.dial : 0;
        break;
    case ENV_DIAL_FAILED:
        s->dial = ev->dialed.dial;
        s->why = ev->dialed.why;
        break;
    case ENV_DATA:
        assert_true(w.open[ev->conn]);
        buf_put_slice(&w.data, ev->data);
        break;
    case ENV_CLOSED:
        assert_true(w.open[ev->conn]);
        w.open[ev->conn] = false;
        s->why = ev->closed;
        break;
    case ENV_TIMER:
        assert_true(w.timer_ends); // else what was waited for did not come
        break;
    default:
        break;
    }
    if (w.also) {
        w.also(ev);
    }
}

static void turn(void *ctx)
{
    (void)ctx;
}

static bool stopped(void *ctx)
{
    (void)ctx;
    return w.of_kind[w.want] >= w.want_n;
}

static void run_until(enum env_event_type want, size_t n)
{
    w.want = want;
    w.want_n = n;
    if (!w.timer_ends) {
        w.env->ops->timer(w.env, mono_add_ms(w.env->ops->clock(w.env), LONG_MS));
    }
    env_uv_run(w.env, &(struct env_uv_user){&w, step, turn, stopped});
}

static void run_ms(int64_t ms)
{
    w.timer_ends = true;
    w.env->ops->timer(w.env, mono_add_ms(w.env->ops->clock(w.env), ms));
    run_until(ENV_TIMER, w.of_kind[ENV_TIMER] + 1);
    w.timer_ends = false;
}

static int setup(void **state)
{
    (void)state;
    w = (struct world){0};
    set_hanging(true);
    return env_uv_new(LOG_ERROR, &w.env) != ERR_OK;
}

static int teardown(void **state)
{
    (void)state;
    if (w.env) {
        env_uv_free(&w.env);
    }
    set_hanging(false);
    buf_fini(&w.data);
    return 0;
}

// ---- calls

static struct env_target at(const char *host, uint16_t port)
{
    return (struct env_target){slice_str(host), port};
}

static void dial_n(uint64_t id, const struct env_target *to, size_t n, int32_t ms)
{
    w.in_call = true;
    w.env->ops->dial(w.env, id, to, n, ms);
    w.in_call = false;
}

static void dial(uint64_t id, const char *host, uint16_t port, int32_t ms)
{
    struct env_target to = at(host, port);
    dial_n(id, &to, 1, ms);
}

static void undial(uint64_t id)
{
    w.in_call = true;
    w.env->ops->undial(w.env, id);
    w.in_call = false;
}

static uint16_t listen_here(uint32_t *listener)
{
    struct net_addr here = {.family = 4, .ip = {127, 0, 0, 1}}, bound;
    assert_int_equal(w.env->ops->listen(w.env, &here, -1, listener, &bound), ERR_OK);
    return bound.port;
}

static const struct seen *last(enum env_event_type type)
{
    for (size_t i = w.n; i > 0; i--) {
        if (w.events[i - 1].type == type) {
            return &w.events[i - 1];
        }
    }
    fail();
    return NULL;
}

static void expect_failed(uint64_t id, enum err why)
{
    run_until(ENV_DIAL_FAILED, w.of_kind[ENV_DIAL_FAILED] + 1);
    assert_int_equal(last(ENV_DIAL_FAILED)->dial, id);
    assert_int_equal(last(ENV_DIAL_FAILED)->why, why);
}

static uint32_t expect_dialed(uint64_t id)
{
    run_until(ENV_DIALED, w.of_kind[ENV_DIALED] + 1);
    assert_int_equal(last(ENV_DIALED)->dial, id);
    return last(ENV_DIALED)->conn;
}

static void send_text(uint32_t conn, const char *text)
{
    struct buf b = {0};
    buf_put(&b, text, strlen(text));
    w.env->ops->send(w.env, conn, &b);
    buf_fini(&b);
}

// A socket bound to a free port of 127.0.0.1; backlog < 0: nobody listens.
static int plain(int backlog, uint16_t *port)
{
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(sa);
    assert_int_equal(bind(s, (struct sockaddr *)&sa, n), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *)&sa, &n), 0);
    *port = ntohs(sa.sin_port);
    if (backlog >= 0) {
        assert_int_equal(listen(s, backlog), 0);
    }
    return s;
}

struct hole {
    int s, full[4];
    uint16_t port;
};

// A port that answers nothing: its queue is full.
static struct hole hole_open(void)
{
    struct hole h;
    h.s = plain(0, &h.port);
    for (int i = 0; i < 4; i++) {
        h.full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        struct sockaddr_in sa = {
            .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(h.port)};
        (void)connect(h.full[i], (struct sockaddr *)&sa, sizeof(sa));
    }
    return h;
}

static void hole_close(struct hole *h)
{
    for (int i = 0; i < 4; i++) {
        close(h->full[i]);
    }
    close(h->s);
}

// ---- what comes of a dial

static void test_refused(void **state)
{
    (void)state;
    uint16_t one, other;
    int a = plain(-1, &one), b = plain(-1, &other);
    dial(7, "127.0.0.1", one, LONG_MS);
    expect_failed(7, ERR_REFUSED);
    struct env_target both[] = {at("127.0.0.1", one), at("two.test", other)};
    dial_n(7, both, 2, LONG_MS); // its name is free again
    expect_failed(7, ERR_REFUSED);
    close(a);
    close(b);
}

static void test_black_hole(void **state)
{
    (void)state;
    struct hole h = hole_open();
    struct mono begun = w.env->ops->clock(w.env);
    dial(1, "127.0.0.1", h.port, 60);
    expect_failed(1, ERR_IO);
    assert_in_range(mono_diff_ms(w.env->ops->clock(w.env), begun), 59, 5000);
    uint16_t closed;
    int s = plain(-1, &closed);
    struct env_target both[] = {at("127.0.0.1", closed), at("127.0.0.1", h.port)};
    dial_n(2, both, 2, 60);
    expect_failed(2, ERR_IO); // one of them may be alive
    close(s);
    hole_close(&h);
}

static void test_one_good_target(void **state)
{
    (void)state;
    uint32_t listener;
    uint16_t port = listen_here(&listener), closed;
    struct hole h = hole_open();
    int s = plain(-1, &closed);
    struct env_target to[] = {at("hang.test", port), at("127.0.0.1", h.port), at("", 1),
                              at("127.0.0.1", closed), at("127.0.0.1", port)};
    dial_n(3, to, 5, LONG_MS);
    uint32_t conn = expect_dialed(3);
    run_until(ENV_ACCEPT, 1);
    uint32_t there = last(ENV_ACCEPT)->conn;
    send_text(conn, "ping");
    run_until(ENV_DATA, 1);
    assert_int_equal(last(ENV_DATA)->conn, there);
    send_text(there, "pong");
    run_until(ENV_DATA, 2);
    assert_int_equal(last(ENV_DATA)->conn, conn);
    assert_memory_equal(w.data.p, "pingpong", 8);
    w.env->ops->close(w.env, there);
    run_until(ENV_CLOSED, 2);
    set_hanging(false);
    run_ms(30); // the lookup's end is nobody's
    assert_int_equal(w.of_kind[ENV_DIALED], 1);
    assert_int_equal(w.of_kind[ENV_ACCEPT], 1);
    assert_int_equal(w.of_kind[ENV_DIAL_FAILED], 0);
    close(s);
    hole_close(&h);
}

static void test_names(void **state)
{
    (void)state;
    uint32_t listener;
    uint16_t port = listen_here(&listener);
    dial(1, "localhost", port, LONG_MS);
    expect_dialed(1);
    dial(2, "two.test", port, LONG_MS); // the second address is the one
    expect_dialed(2);
    dial(3, "nosuch.invalid", port, 2000);
    expect_failed(3, ERR_IO);
    dial_n(4, NULL, 0, LONG_MS);
    expect_failed(4, ERR_IO);
}

static void test_hanging_resolver(void **state)
{
    (void)state;
    uint32_t listener;
    uint16_t port = listen_here(&listener);
    unsigned before = hung_n();
    for (uint64_t id = 1; id <= 40; id++) {
        dial(id, "hang.test", port, id <= 20 ? 40 : LONG_MS);
    }
    dial(41, "localhost", port, LONG_MS);
    expect_dialed(41);
    dial(42, "127.0.0.1", port, LONG_MS);
    expect_dialed(42);
    run_until(ENV_DIAL_FAILED, 20);
    assert_int_equal(last(ENV_DIAL_FAILED)->why, ERR_IO);
    assert_int_equal(hung_n() - before, 1); // one lookup serves all
    set_hanging(false);
    run_until(ENV_DIALED, 22);
    assert_int_equal(w.of_kind[ENV_DIAL_FAILED], 20);
}

// ---- undial

static void undial_the_other(const struct env_event *ev)
{
    if (ev->type == ENV_DIALED) {
        undial(ev->dialed.dial); // answered: ignored
        undial(3 - ev->dialed.dial);
    } else if (ev->type == ENV_DIAL_FAILED) {
        undial(ev->dialed.dial == 11 ? 12 : 11);
    }
}

static void test_undial(void **state)
{
    (void)state;
    uint16_t port, closed;
    int s = plain(16, &port), none = plain(-1, &closed);
    undial(99);
    dial(1, "127.0.0.1", port, LONG_MS); // the kernel has connected it when it is forgotten
    undial(1);
    int peer = accept(s, NULL, NULL);
    char c;
    assert_true(recv(peer, &c, 1, 0) <= 0);
    close(peer);
    dial(2, "127.0.0.1", closed, LONG_MS); // has failed already, and was not told yet
    undial(2);
    dial(3, "hang.test", port, 20);
    undial(3);
    run_ms(40);
    set_hanging(false);
    run_ms(40);
    assert_int_equal(w.n, 2); // the two times
    // Both are there in one batch: who comes first forgets the other.
    w.also = undial_the_other;
    dial(1, "127.0.0.1", port, LONG_MS);
    dial(2, "127.0.0.1", port, LONG_MS);
    dial(11, "127.0.0.1", closed, LONG_MS);
    dial(12, "127.0.0.1", closed, LONG_MS);
    run_ms(40);
    assert_int_equal(w.of_kind[ENV_DIALED], 1);
    assert_int_equal(w.of_kind[ENV_DIAL_FAILED], 1);
    close(s);
    close(none);
}

// ---- many

static void test_each_other(void **state)
{
    (void)state;
    enum { N = 200 };
    uint32_t one, other;
    uint16_t ports[] = {listen_here(&one), listen_here(&other)};
    for (uint64_t id = 0; id < N; id++) {
        dial(id, id % 3 ? "127.0.0.1" : "localhost", ports[id % 2], LONG_MS);
    }
    run_until(ENV_DIALED, N);
    run_until(ENV_ACCEPT, N);
    for (uint32_t i = 1; i < CONNS_MAX; i++) {
        if (w.open[i]) {
            send_text(i, "x");
        }
    }
    while (w.data.n < (size_t)2 * N) {
        run_until(ENV_DATA, w.of_kind[ENV_DATA] + 1);
    }
    for (size_t i = 0; i < w.n; i++) {
        if (w.events[i].type == ENV_DIALED) {
            w.env->ops->close(w.env, w.events[i].conn);
        }
    }
    run_until(ENV_CLOSED, (size_t)2 * N);
    assert_int_equal(w.of_kind[ENV_DIALED], N);
    dial(N, "127.0.0.1", ports[0], LONG_MS);
    assert_in_range(expect_dialed(N), 1, 2 * N); // a number that was used before
}

static void test_free_while_dialing(void **state)
{
    (void)state;
    struct hole h = hole_open();
    struct env_target to[] = {at("hang.test", h.port), at("127.0.0.1", h.port),
                              at("localhost", h.port)};
    dial_n(1, to, 3, LONG_MS);
    dial(2, "hang.test", h.port, LONG_MS);
    run_ms(5);
    env_uv_free(&w.env); // does not wait for the resolver
    assert_null(w.env);
    hole_close(&h);
}

static void test_no_descriptors(void **state)
{
    (void)state;
    uint16_t port;
    int s = plain(16, &port);
    struct rlimit before, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int top = dup(s); // the lowest free one
    close(top);
    low = (struct rlimit){.rlim_cur = (rlim_t)top + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    dial(1, "127.0.0.1", port, LONG_MS); // there is one, reserved for files
    expect_failed(1, ERR_IO);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    dial(1, "127.0.0.1", port, LONG_MS);
    expect_dialed(1);
    close(s);
}

// ---- listeners that come and go

static void test_listen_again(void **state)
{
    (void)state;
    uint32_t listener;
    struct net_addr here = {.family = 4, .ip = {127, 0, 0, 1}}, bound;
    here.port = listen_here(&listener);
    for (uint64_t round = 1; round <= 20; round++) {
        dial(round, "127.0.0.1", here.port, LONG_MS);
        expect_dialed(round);
        run_until(ENV_ACCEPT, round);
        if (round % 2) {
            w.env->ops->close(w.env, last(ENV_ACCEPT)->conn); // leaves a TIME_WAIT on the port
            run_until(ENV_CLOSED, round / 2 * 2 + 2);
        } // else both ends stay open
        w.env->ops->unlisten(w.env, listener);
        dial(0, "127.0.0.1", here.port, LONG_MS);
        expect_failed(0, ERR_REFUSED);
        assert_int_equal(w.env->ops->listen(w.env, &here, -1, &listener, &bound), ERR_OK);
    }
}

// ---- a peer that dies

static void test_killed_peer(void **state)
{
    (void)state;
    for (int unread = 0; unread < 2; unread++) { // its end is orderly, or a reset
        uint16_t port;
        int s = plain(16, &port), ready[2];
        assert_int_equal(pipe(ready), 0);
        pid_t child = fork();
        if (child == 0) {
            int c = accept(s, NULL, NULL);
            char b;
            ssize_t n = recv(c, &b, 1, unread ? MSG_PEEK : 0);
            n = write(ready[1], "x", (size_t)n);
            pause();
            _exit((int)n);
        }
        close(s);
        dial(1, "127.0.0.1", port, LONG_MS);
        uint32_t conn = expect_dialed(1);
        send_text(conn, "x");
        char b;
        assert_int_equal(read(ready[0], &b, 1), 1);
        struct mono killed = w.env->ops->clock(w.env);
        kill(child, SIGKILL);
        run_until(ENV_CLOSED, w.of_kind[ENV_CLOSED] + 1);
        int64_t us = (last(ENV_CLOSED)->at.ns - killed.ns) / 1000;
        print_message("a killed peer is noticed after %lld us\n", (long long)us);
        assert_in_range(us, 0, 1000000);
        assert_int_equal(last(ENV_CLOSED)->why, unread ? ERR_CLOSED : ERR_OK);
        waitpid(child, NULL, 0);
        close(ready[0]);
        close(ready[1]);
    }
}

static void test_resolve(void **state)
{
    (void)state;
    const struct env_ops *o = w.env->ops;
    struct net_addr a = {.port = 5};
    assert_int_equal(o->resolve(w.env, SLICE_LIT("localhost"), &a), ERR_OK);
    assert_int_equal(a.family, 4);
    assert_memory_equal(a.ip, "\x7f\0\0\1", 4);
    assert_int_equal(a.port, 5);
    assert_int_equal(o->resolve(w.env, SLICE_LIT("::1"), &a), ERR_OK);
    assert_int_equal(a.family, 6);
    assert_int_equal(a.ip[15], 1);
    assert_int_equal(o->resolve(w.env, SLICE_LIT("two.test"), &a), ERR_OK);
    assert_memory_equal(a.ip, "\x7f\0\0\2\0\0", 6);
    assert_int_equal(o->resolve(w.env, SLICE_LIT("127.0.0.1\0x"), &a), ERR_NOTFOUND);
    assert_int_equal(o->resolve(w.env, SLICE_LIT(""), &a), ERR_NOTFOUND);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_refused),        CASE(test_black_hole),   CASE(test_one_good_target),
        CASE(test_names),          CASE(test_undial),       CASE(test_hanging_resolver),
        CASE(test_each_other),     CASE(test_listen_again), CASE(test_free_while_dialing),
        CASE(test_no_descriptors), CASE(test_killed_peer),  CASE(test_resolve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
