// SPDX-License-Identifier: Apache-2.0
//
// struct env on Linux, over loopback. The env runs on the test's own thread; a second thread plays
// the peers with blocking sockets and ends the run with SIGTERM. Dials: env_dial_test.c; files:
// env_file_test.c. The server it runs obeys the first byte of what a connection sends:
//
//   e  echo everything          b  send BIG bytes        B  as b, in three sends
//   c  send BIG bytes, close    q  say "bye", close      p  pause myself   r  resume the paused one
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "limits.h"
#include "os/env_uv.h"
#include "os/os.h"

enum { BIG = 12 * 1024 * 1024, CONNS_MAX = 2000 };

struct peer_state {
    bool open, paused, closing;
    struct buf out;
    bool close_after;
    size_t unsent;
    unsigned drained, data;
};

struct world {
    struct env *env;
    struct net_addr addr;
    uint32_t listener;
    struct peer_state conns[CONNS_MAX];
    unsigned accepts, turns, conn_max;
    // The peers' thread looks at these.
    _Atomic uint32_t paused_conn;
    _Atomic unsigned closes, accept_warnings;
    enum err first_closed;
    struct net_addr last_peer, last_local;
    bool in_step, stop;
    // Timer and jobs.
    struct mono timer_want;
    unsigned timers;
    uint32_t job_next[ENV_LANES];
    unsigned jobs_done;
};

static struct world w;

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

static void put_pattern(struct buf *b, size_t from, size_t n)
{
    uint8_t *p = buf_reserve(b, n);
    for (size_t i = 0; i < n; i++) {
        p[i] = pattern(from + i);
    }
}

static void on_accept(const struct env_event *ev)
{
    assert_in_range(ev->conn, 1, CONNS_MAX - 1);
    struct peer_state *p = &w.conns[ev->conn];
    assert_false(p->open);
    *p = (struct peer_state){.open = true};
    w.accepts++;
    w.conn_max = ev->conn > w.conn_max ? ev->conn : w.conn_max;
    w.last_peer = ev->accept.peer;
    w.last_local = ev->accept.local;
    assert_int_equal(ev->accept.listener, w.listener);
}

static void send_big_in_parts(uint32_t conn)
{
    size_t at = 0;
    struct buf b = {0};
    for (size_t part = BIG / 2; at < BIG; part = (BIG - at) / 2 + 1) {
        size_t n = part < BIG - at ? part : BIG - at;
        put_pattern(&b, at, n);
        at += n;
        w.conns[conn].unsent = w.env->ops->send(w.env, conn, &b);
        assert_int_equal(b.n, 0);
    }
    buf_fini(&b);
}

static void on_data(const struct env_event *ev)
{
    struct peer_state *p = &w.conns[ev->conn];
    assert_true(p->open);
    assert_false(p->paused);
    assert_false(p->closing);
    p->data += (unsigned)ev->data.n;
    switch (ev->data.p[0]) {
    case 'e':
        buf_put_slice(&p->out, ev->data);
        break;
    case 'b':
        put_pattern(&p->out, 0, BIG);
        break;
    case 'B':
        send_big_in_parts(ev->conn);
        break;
    case 'c':
        put_pattern(&p->out, 0, BIG);
        p->close_after = true;
        break;
    case 'q':
        buf_put(&p->out, "bye", 3);
        p->close_after = true;
        break;
    case 'p':
        w.env->ops->pause(w.env, ev->conn, true);
        p->paused = true;
        w.paused_conn = ev->conn;
        break;
    case 'r':
        w.conns[w.paused_conn].paused = false;
        w.env->ops->pause(w.env, w.paused_conn, false);
        break;
    default:
        break;
    }
}

static void on_job_done(const struct env_event *ev);

static void step(void *ctx, const struct env_event *ev)
{
    assert_ptr_equal(ctx, &w);
    assert_false(w.in_step); // never from inside a call
    w.in_step = true;
    assert_true(ev->now.ns > 0 && ev->wall.ms > 1600000000000);
    switch (ev->type) {
    case ENV_ACCEPT:
        on_accept(ev);
        break;
    case ENV_DATA:
        on_data(ev);
        break;
    case ENV_DRAINED:
        assert_true(w.conns[ev->conn].open);
        w.conns[ev->conn].drained++;
        break;
    case ENV_CLOSED:
        assert_true(w.conns[ev->conn].open);
        w.conns[ev->conn].open = false;
        buf_fini(&w.conns[ev->conn].out);
        w.first_closed = w.closes ? w.first_closed : ev->closed;
        w.closes++;
        break;
    case ENV_TIMER:
        assert_true(ev->now.ns >= w.timer_want.ns);
        w.timers++;
        w.stop = true;
        break;
    case ENV_JOB_DONE:
        on_job_done(ev);
        break;
    case ENV_STOP:
        w.stop = true;
        break;
    case ENV_DIALED:
    case ENV_DIAL_FAILED:
        fail(); // nobody dials here: env_dial_test.c
    }
    w.in_step = false;
}

static void turn(void *ctx)
{
    assert_ptr_equal(ctx, &w);
    w.in_step = true;
    w.turns++;
    for (uint32_t i = 1; i <= w.conn_max; i++) {
        struct peer_state *p = &w.conns[i];
        if (p->open && p->out.n) {
            p->unsent = w.env->ops->send(w.env, i, &p->out);
            assert_int_equal(p->out.n, 0);
        }
        if (p->open && p->close_after && !p->closing) {
            p->closing = true;
            w.env->ops->close(w.env, i);
            w.env->ops->close(w.env, i); // the second changes nothing
        }
    }
    w.in_step = false;
}

static bool stopped(void *ctx)
{
    (void)ctx;
    return w.stop;
}

static void count_line(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    w.accept_warnings += strstr(line, "cannot accept a connection") != NULL;
}

static void listen_at(uint8_t family, uint8_t last)
{
    struct net_addr at = {.family = family, .ip = {127, 0, 0, 1}};
    if (family != 4) {
        memset(at.ip, 0, sizeof(at.ip));
        at.ip[15] = last;
    }
    assert_int_equal(w.env->ops->listen(w.env, &at, -1, &w.listener, &w.addr), ERR_OK);
    assert_true(w.addr.port);
}

static int setup(void **state)
{
    (void)state;
    w = (struct world){0};
    assert_int_equal(env_uv_new(LOG_WARN, &w.env), ERR_OK);
    w.env->log.write = count_line;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    env_uv_free(&w.env);
    for (uint32_t i = 0; i < CONNS_MAX; i++) {
        buf_fini(&w.conns[i].out);
    }
    return 0;
}

// ---- the peers' side

// A peer cannot use cmocka's asserts: they jump, and only the test's thread may.
#define PEER(x)                                                   \
    do {                                                          \
        if (!(x)) {                                               \
            fprintf(stderr, "peer: line %d: %s\n", __LINE__, #x); \
            abort();                                              \
        }                                                         \
    } while (0)

static int dial_to(int family, const void *ip)
{
    int s = socket(family, SOCK_STREAM, 0);
    PEER(s >= 0);
    if (family == AF_INET) {
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(w.addr.port)};
        memcpy(&sa.sin_addr, ip, 4);
        PEER(connect(s, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    } else {
        struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons(w.addr.port)};
        memcpy(&sa.sin6_addr, ip, 16);
        PEER(connect(s, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    }
    return s;
}

static int dial(void)
{
    return dial_to(AF_INET, "\x7f\0\0\1");
}

static void put(int s, const void *p, size_t n)
{
    PEER(send(s, p, n, MSG_NOSIGNAL) == (ssize_t)n);
}

static void get(int s, void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t r = recv(s, (char *)p + at, n - at, 0);
        PEER(r > 0);
        at += (size_t)r;
    }
}

static void get_big(int s)
{
    uint8_t page[10000];
    for (size_t at = 0; at < BIG;) {
        size_t n = BIG - at < sizeof(page) ? BIG - at : sizeof(page);
        get(s, page, n);
        for (size_t i = 0; i < n; i++) {
            PEER(page[i] == pattern(at + i));
        }
        at += n;
    }
}

static void get_end(int s)
{
    char c;
    PEER(recv(s, &c, 1, 0) == 0);
    close(s);
}

// Has the server taken and answered everything sent on another connection before?
static void sync_with(int s)
{
    char c;
    put(s, "e", 1);
    get(s, &c, 1);
    PEER(c == 'e');
}

static void run_with(void *(*peers)(void *))
{
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, peers, NULL), 0);
    env_uv_run(w.env, &(struct env_uv_user){&w, step, turn, stopped});
    pthread_join(t, NULL);
}

static void end_run(void)
{
    kill(getpid(), SIGTERM);
}

// ---- connections

static void *play_echo(void *arg)
{
    (void)arg;
    enum { N = 50 };
    int s[N];
    for (int i = 0; i < N; i++) {
        s[i] = dial();
    }
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < N; i++) {
            char text[32];
            snprintf(text, sizeof(text), "e%03d.%03d", i, round);
            put(s[i], text, 8);
        }
        for (int i = 0; i < N; i++) {
            char want[32], text[32];
            snprintf(want, sizeof(want), "e%03d.%03d", i, round);
            get(s[i], text, 8);
            PEER(memcmp(text, want, 8) == 0);
        }
    }
    for (int i = 0; i < N; i++) {
        close(s[i]);
    }
    end_run();
    return NULL;
}

static void test_echo(void **state)
{
    (void)state;
    listen_at(4, 0);
    run_with(play_echo);
    assert_int_equal(w.accepts, 50);
    assert_int_equal(w.last_peer.family, 4);
    assert_memory_equal(w.last_peer.ip, "\x7f\0\0\1", 4);
    assert_int_equal(w.last_local.port, w.addr.port);
    assert_true(w.turns > 20);
    for (uint32_t i = 1; i <= 50; i++) {
        assert_int_equal(w.conns[i].data, 160);
        assert_int_equal(w.conns[i].drained, 0);
    }
}

static void *play_slow_reader(void *arg)
{
    int one = dial(), other = dial();
    put(one, arg ? "B" : "b", 1);
    sync_with(other); // a full socket holds up nobody
    get_big(one);
    sync_with(one);
    close(one);
    close(other);
    end_run();
    return NULL;
}

static void *play_slow_reader_parts(void *arg)
{
    (void)arg;
    return play_slow_reader(&w);
}

static void test_slow_reader(void **state)
{
    (void)state;
    listen_at(4, 0);
    run_with(play_slow_reader);
    assert_int_equal(w.conns[1].drained + w.conns[2].drained, 1);
    assert_in_range(w.conns[1].unsent + w.conns[2].unsent, 0, BIG - 1);
}

static void test_sends_behind_unsent(void **state)
{
    (void)state;
    listen_at(4, 0);
    run_with(play_slow_reader_parts);
    assert_int_equal(w.conns[1].drained + w.conns[2].drained, 1);
}

static void *play_pause(void *arg)
{
    (void)arg;
    int one = dial(), other = dial();
    put(one, "p", 1);
    while (w.paused_conn == 0) {
        sync_with(other);
    }
    put(one, "exx", 3);
    for (int i = 0; i < 10; i++) {
        sync_with(other); // on_data checks that nothing comes from `one`
    }
    put(other, "r", 1);
    char text[3];
    get(one, text, 3);
    PEER(memcmp(text, "exx", 3) == 0);
    end_run();
    close(one);
    close(other);
    return NULL;
}

static void test_pause(void **state)
{
    (void)state;
    listen_at(4, 0);
    run_with(play_pause);
    assert_int_equal(w.conns[w.paused_conn].data, 4);
}

static void *play_close_with_unsent(void *arg)
{
    (void)arg;
    int s = dial();
    put(s, "c", 1);
    get_big(s);
    get_end(s);
    end_run();
    return NULL;
}

static void test_close_with_unsent(void **state)
{
    (void)state;
    listen_at(4, 0);
    run_with(play_close_with_unsent);
    assert_int_equal(w.first_closed, ERR_OK);
}

// What the server did not read must not cost the peer the reply before the close.
static void *play_close_with_unread(void *arg)
{
    (void)arg;
    enum { MORE = 200000 };
    uint8_t *more = calloc(1, MORE);
    more[0] = 'q';
    int s = dial();
    put(s, more, MORE);
    char text[3];
    get(s, text, 3);
    PEER(memcmp(text, "bye", 3) == 0);
    get_end(s);
    free(more);
    end_run();
    return NULL;
}

static void test_close_with_unread(void **state)
{
    (void)state;
    listen_at(4, 0);
    run_with(play_close_with_unread);
}

// A peer that has got everything and does not hang up keeps no connection for the whole deadline.
static void *play_peer_that_stays(void *arg)
{
    (void)arg;
    enum { PEERS = 20 };
    int s[PEERS];
    for (int i = 0; i < PEERS; i++) {
        s[i] = dial();
        put(s[i], "q", 1);
    }
    struct timespec begun, now;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (int i = 0; i < PEERS; i++) {
        char text[3];
        get(s[i], text, 3);
        PEER(recv(s[i], text, 1, 0) == 0);
    }
    struct timespec ms = {.tv_nsec = 1000000};
    while (w.closes < PEERS) {
        nanosleep(&ms, NULL);
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    PEER((now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000 <
         LIMIT_CLOSE_MS / 2);
    for (int i = 0; i < PEERS; i++) {
        close(s[i]);
    }
    end_run();
    return NULL;
}

static void test_peer_that_stays(void **state)
{
    (void)state;
    listen_at(4, 0);
    run_with(play_peer_that_stays);
}

static void *play_half_close(void *arg)
{
    (void)arg;
    int s = dial();
    put(s, "b", 1);
    shutdown(s, SHUT_WR);
    get_big(s);
    get_end(s);
    end_run();
    return NULL;
}

static void test_half_close(void **state)
{
    (void)state;
    listen_at(4, 0);
    run_with(play_half_close);
}

static void *play_reset(void *arg)
{
    (void)arg;
    int one = dial(), other = dial();
    sync_with(one);
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(one, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(one);
    while (w.closes == 0) {
        sync_with(other);
    }
    end_run();
    close(other);
    return NULL;
}

static void test_reset(void **state)
{
    (void)state;
    listen_at(4, 0);
    run_with(play_reset);
    assert_int_equal(w.first_closed, ERR_CLOSED);
}

static void *play_reset_behind_data(void *arg)
{
    (void)arg;
    int one = dial(), other = dial();
    sync_with(other);
    put(one, "p", 1);
    while (w.paused_conn == 0) {
        sync_with(other);
    }
    put(one, "xlast", 5);
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(one, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(one);
    put(other, "r", 1);
    while (w.closes == 0) {
        sync_with(other);
    }
    end_run();
    close(other);
    return NULL;
}

// A client says goodbye and cuts the connection off: what it said counts.
static void test_reset_behind_data(void **state)
{
    (void)state;
    listen_at(4, 0);
    run_with(play_reset_behind_data);
    assert_int_equal(w.conns[w.paused_conn].data, 6);
    assert_int_equal(w.first_closed, ERR_CLOSED);
}

// Nobody reads stderr any more: the server goes on, and says later what is missing.
static void test_full_stderr(void **state)
{
    (void)state;
    int ends[2], before = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    for (int i = 0; i < 5000; i++) {
        stderr_write_line(NULL, LOG_INFO, "a line of which a pipe takes less than five thousand");
    }
    static char text[1024 * 1024];
    ssize_t n = read(ends[0], text, sizeof(text));
    stderr_write_line(NULL, LOG_INFO, "the next");
    ssize_t more = read(ends[0], text + n, sizeof(text) - (size_t)n - 1);
    assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
    close(before);
    close(ends[0]);
    close(ends[1]);
    assert_true(n > 4096 && more > 0);
    text[n + more] = '\0';
    assert_non_null(strstr(text + n, " log lines were lost"));
    assert_non_null(strstr(text + n, "the next\n"));
}

static void *play_flood(void *arg)
{
    (void)arg;
    enum { N = 400 };
    int s[N];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            s[i] = dial();
        }
        for (int i = 0; i < N; i++) {
            sync_with(s[i]);
        }
        for (int i = 0; i < N; i++) {
            put(s[i], "q", 1);
        }
        for (int i = 0; i < N; i++) {
            char text[3];
            get(s[i], text, 3);
            get_end(s[i]);
        }
    }
    end_run();
    return NULL;
}

static void test_accept_flood(void **state)
{
    (void)state;
    listen_at(4, 0);
    run_with(play_flood);
    assert_int_equal(w.accepts, 1200);
    // A number is used again as soon as it is free: at most one round was open at a time, plus
    // those whose peer had gone and the server not yet seen it.
    assert_in_range(w.conn_max, 400, 800);
}

static struct rlimit files_before;

static void *play_no_descriptors(void *arg)
{
    (void)arg;
    enum { N = 8 };
    int s[N];
    for (int i = 0; i < N; i++) {
        s[i] = socket(AF_INET, SOCK_STREAM, 0);
        PEER(s[i] >= 0);
    }
    int top = dup(s[0]); // the lowest free one: everything below is taken
    PEER(top >= 0);
    close(top);
    // A quarter of so few is reserved for files: two connections fit.
    struct rlimit low = {.rlim_cur = (rlim_t)(top + 2) * 4 / 3, .rlim_max = files_before.rlim_max};
    PEER(low.rlim_cur < 128);
    PEER(setrlimit(RLIMIT_NOFILE, &low) == 0);
    for (int i = 0; i < N; i++) {
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(w.addr.port)};
        memcpy(&sa.sin_addr, "\x7f\0\0\1", 4);
        PEER(connect(s[i], (struct sockaddr *)&sa, sizeof(sa)) == 0);
    }
    while (w.accept_warnings < 1) {
        sync_with(s[0]); // those that were accepted are served
    }
    int file = dup(s[0]);
    PEER(file >= 0); // files still find descriptors
    close(file);
    PEER(setrlimit(RLIMIT_NOFILE, &files_before) == 0);
    for (int i = 0; i < N; i++) {
        sync_with(s[i]);
        close(s[i]);
    }
    end_run();
    return NULL;
}

static void test_no_descriptors(void **state)
{
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files_before), 0);
    listen_at(4, 0);
    run_with(play_no_descriptors);
    assert_int_equal(w.accepts, 8);
    assert_int_equal(w.accept_warnings, 1); // not one per wake-up or try
}

static void *play_any(void *arg)
{
    (void)arg;
    int four = dial();
    sync_with(four);
    PEER(w.last_peer.family == 4);
    int six = dial_to(AF_INET6, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1");
    sync_with(six);
    PEER(w.last_peer.family == 6);
    PEER(w.last_local.family == 6);
    close(four);
    close(six);
    end_run();
    return NULL;
}

static bool have_ipv6(void)
{
    int s = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool have = s >= 0 && bind(s, (struct sockaddr *)&sa, sizeof(sa)) == 0;
    if (s >= 0) {
        close(s);
    }
    return have;
}

static void test_listen(void **state)
{
    (void)state;
    if (!have_ipv6()) {
        skip();
    }
    listen_at(0, 0);
    struct net_addr at = {.family = 4, .ip = {127, 0, 0, 1}, .port = w.addr.port}, bound;
    uint32_t listener;
    assert_int_equal(w.env->ops->listen(w.env, &at, -1, &listener, &bound), ERR_BUSY);
    at = (struct net_addr){.family = 4, .ip = {192, 0, 2, 1}};
    assert_int_equal(w.env->ops->listen(w.env, &at, -1, &listener, &bound), ERR_INVALID);
    run_with(play_any);
    w.env->ops->unlisten(w.env, w.listener);
}

// ---- timer

static void test_timer(void **state)
{
    (void)state;
    struct mono now = w.env->now;
    w.env->ops->timer(w.env, mono_add_ms(now, 3));
    w.env->ops->timer(w.env, mono_add_ms(now, 60000));
    w.env->ops->timer(w.env, mono_add_ms(now, 20)); // the last one counts
    w.timer_want = mono_add_ms(now, 20);
    env_uv_run(w.env, &(struct env_uv_user){&w, step, turn, stopped});
    assert_int_equal(w.timers, 1);
    assert_in_range(mono_diff_ms(w.env->now, now), 20, 5000);
}

// ---- jobs

struct order_job {
    struct env_job job;
    enum env_lane lane;
    uint32_t number;
    pthread_t ran_on;
};

enum { JOBS = 500 };
static struct order_job jobs[ENV_LANES][JOBS];

static void run_order(struct env_job *job)
{
    struct order_job *j = (struct order_job *)job;
    j->ran_on = pthread_self();
}

static void on_job_done(const struct env_event *ev)
{
    const struct order_job *j = (const struct order_job *)ev->job;
    assert_ptr_equal(ev->job->owner, &w);
    assert_ptr_equal(ev->job->env, w.env);
    assert_int_equal(j->number, w.job_next[j->lane]++);
    assert_false(pthread_equal(j->ran_on, pthread_self()));
    assert_true(pthread_equal(j->ran_on, jobs[j->lane][0].ran_on));
    if (++w.jobs_done == ENV_LANES * JOBS) {
        w.stop = true;
    }
}

static void test_jobs_in_order(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < JOBS; i++) {
        for (int lane = 0; lane < ENV_LANES; lane++) {
            jobs[lane][i] = (struct order_job){
                .job = {.run = run_order, .owner = &w}, .lane = (enum env_lane)lane, .number = i};
            w.env->ops->job(w.env, (enum env_lane)lane, &jobs[lane][i].job);
        }
    }
    env_uv_run(w.env, &(struct env_uv_user){&w, step, turn, stopped});
    assert_int_equal(w.jobs_done, ENV_LANES * JOBS);
    assert_false(pthread_equal(jobs[0][0].ran_on, jobs[1][0].ran_on));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_echo),
        CASE(test_slow_reader),
        CASE(test_sends_behind_unsent),
        CASE(test_pause),
        CASE(test_close_with_unsent),
        CASE(test_close_with_unread),
        CASE(test_peer_that_stays),
        CASE(test_half_close),
        CASE(test_reset),
        CASE(test_reset_behind_data),
        CASE(test_full_stderr),
        CASE(test_accept_flood),
        CASE(test_no_descriptors),
        CASE(test_listen),
        CASE(test_timer),
        CASE(test_jobs_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
