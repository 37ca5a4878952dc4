// SPDX-License-Identifier: Apache-2.0
//
// The client on real sockets and threads, against a server of the test's own: a thread that accepts
// connections and speaks just enough of the protocol (handshake, ping, getData, close), badly when
// told to. What requests do is client_test.c's affair; here it is who drives, who waits, and what
// the network does.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/endian.h"
#include "base/must.h"
#include "reeve/reeve.h"
#include "wire/ops.h"

// ---- the server ---------------------------------------------------------------------------------

enum { FRAME_MAX_BYTES = 4096, CONNS_MAX = 16 };

struct server {
    int listener, stop_pipe[2];
    uint16_t port;
    pthread_t thread;
    _Atomic int accepted, asked; // connections; requests other than pings
    _Atomic bool silent;         // answers no request any more
    _Atomic bool drop;           // ends each connection at its next request
    int conns[CONNS_MAX];
};

static bool read_all(int fd, void *p, size_t n)
{
    for (uint8_t *at = p; n;) {
        ssize_t got = recv(fd, at, n, 0);
        if (got <= 0) {
            return false;
        }
        at += got;
        n -= (size_t)got;
    }
    return true;
}

static void reply(int fd, int32_t xid, int32_t err, const uint8_t *body, size_t n)
{
    uint8_t frame[4 + 16 + 200];
    must(n <= 200);
    be32_put(frame, (uint32_t)(16 + n));
    be32_put(frame + 4, (uint32_t)xid);
    be64_put(frame + 8, 7);
    be32_put(frame + 16, (uint32_t)err);
    if (n) {
        memcpy(frame + 20, body, n);
    }
    (void)send(fd, frame, 20 + n, MSG_NOSIGNAL);
}

static void shake_hands(int fd, int32_t timeout_ms)
{
    uint8_t frame[4 + 37] = {0};
    be32_put(frame, 37);
    be32_put(frame + 8, (uint32_t)timeout_ms);
    be64_put(frame + 12, 0x1234);
    be32_put(frame + 20, 16);
    (void)send(fd, frame, sizeof(frame), MSG_NOSIGNAL);
}

// Data "ok" and a stat of zeros.
static void answer(struct server *s, int fd, const uint8_t *request)
{
    uint8_t body[4 + 2 + 68] = {0, 0, 0, 2, 'o', 'k'};
    int32_t xid = (int32_t)be32_get(request), op = (int32_t)be32_get(request + 4);
    if (op == OP_PING) {
        reply(fd, xid, 0, NULL, 0);
    } else if (op == OP_CLOSE_SESSION) {
        reply(fd, xid, 0, NULL, 0);
    } else {
        s->asked++;
        if (!s->silent) {
            reply(fd, xid, 0, body, sizeof(body));
        }
    }
}

// One message of a connection; false: it is over.
static bool serve_one(struct server *s, int fd, bool *greeted)
{
    uint8_t head[4], frame[FRAME_MAX_BYTES];
    if (!read_all(fd, head, sizeof(head))) {
        return false;
    }
    uint32_t n = be32_get(head);
    if (n < 8 || n > sizeof(frame) || !read_all(fd, frame, n)) {
        return false;
    }
    if (!*greeted) {
        *greeted = true;
        shake_hands(fd, (int32_t)be32_get(frame + 12));
        return true;
    }
    if (s->drop) {
        return false;
    }
    answer(s, fd, frame);
    return true;
}

static void *serve(void *ctx)
{
    struct server *s = ctx;
    bool greeted[CONNS_MAX] = {false};
    for (;;) {
        struct pollfd p[2 + CONNS_MAX] = {{s->stop_pipe[0], POLLIN, 0}, {s->listener, POLLIN, 0}};
        for (size_t i = 0; i < CONNS_MAX; i++) {
            p[2 + i] = (struct pollfd){s->conns[i], POLLIN, 0};
        }
        must(poll(p, 2 + CONNS_MAX, -1) > 0);
        if (p[0].revents) {
            return NULL;
        }
        for (size_t i = 0; i < CONNS_MAX; i++) {
            if (p[2 + i].revents && !serve_one(s, s->conns[i], &greeted[i])) {
                close(s->conns[i]);
                s->conns[i] = -1;
            }
        }
        for (size_t i = 0; p[1].revents && i < CONNS_MAX; i++) {
            if (s->conns[i] < 0) {
                s->conns[i] = accept(s->listener, NULL, NULL);
                greeted[i] = false;
                s->accepted++;
                break;
            }
        }
    }
}

static int listen_at(uint16_t *port, int backlog)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    must(bind(fd, (struct sockaddr *)&a, n) == 0);
    must(listen(fd, backlog) == 0);
    must(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static int setup(void **state)
{
    struct server *s = calloc(1, sizeof(*s));
    must(s);
    for (size_t i = 0; i < CONNS_MAX; i++) {
        s->conns[i] = -1;
    }
    s->listener = listen_at(&s->port, 64);
    must(pipe(s->stop_pipe) == 0);
    sigset_t all, before; // signals are for the test's thread, and not for the server's
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    must(pthread_create(&s->thread, NULL, serve, s) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct server *s = *state;
    must(write(s->stop_pipe[1], "x", 1) == 1);
    pthread_join(s->thread, NULL);
    for (size_t i = 0; i < CONNS_MAX; i++) {
        if (s->conns[i] >= 0) {
            close(s->conns[i]);
        }
    }
    close(s->listener);
    close(s->stop_pipe[0]);
    close(s->stop_pipe[1]);
    free(s);
    return 0;
}

// ---- helpers ------------------------------------------------------------------------------------

static struct reeve *client_of(const char *host, uint16_t port, bool thread)
{
    char servers[100];
    snprintf(servers, sizeof(servers), "%s:%u", host, port);
    struct reeve_options o = {.servers = servers, .close_timeout_ms = 200};
    struct reeve *zk;
    assert_int_equal(reeve_new(&zk, &o), REEVE_OK);
    if (thread) {
        assert_int_equal(reeve_start(zk), REEVE_OK);
    }
    return zk;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void expect_ok(struct reeve *zk)
{
    struct reeve_result r;
    assert_int_equal(reeve_get(zk, "/a", NULL, &r), REEVE_OK);
    assert_string_equal(r.data, "ok");
    reeve_result_fini(&r);
}

// ---- who drives ---------------------------------------------------------------------------------

static void with_a_thread(void **state)
{
    struct server *s = *state;
    struct reeve *zk = client_of("127.0.0.1", s->port, true);
    assert_int_equal(reeve_start(zk), REEVE_BAD_ARGUMENTS); // there is one
    assert_int_equal(reeve_wait_connected(zk, 5000), REEVE_OK);
    for (int i = 0; i < 100; i++) {
        expect_ok(zk);
    }
    reeve_close(&zk);
    assert_null(zk);
    reeve_close(&zk);
}

static void without_a_thread(void **state)
{
    struct server *s = *state;
    struct reeve *zk = client_of("127.0.0.1", s->port, false);
    expect_ok(zk);
    assert_int_equal(reeve_wait_connected(zk, 5000), REEVE_OK);
    expect_ok(zk);
    assert_int_equal(reeve_start(zk), REEVE_OK); // it is not too late for that
    expect_ok(zk);
    reeve_close(&zk);
}

static void look_at_thread(void *ctx)
{
    *(pthread_t *)ctx = pthread_self();
}

// Also those of the first moment, when that thread has hardly begun.
static void with_a_thread_callbacks_are_made_on_it(void **state)
{
    struct server *s = *state;
    for (int i = 0; i < 20; i++) {
        struct reeve *zk = client_of("127.0.0.1", s->port, true);
        pthread_t thread = pthread_self();
        assert_int_equal(reeve_post(zk, look_at_thread, &thread), REEVE_OK);
        expect_ok(zk);
        assert_false(pthread_equal(thread, pthread_self()));
        reeve_close(&zk);
    }
}

// Between blocking calls nobody drives. The next one finds what has come meanwhile, and does not
// take the pause for a silence of the server: its write goes through.
static void a_pause_between_blocking_calls(void **state)
{
    struct server *s = *state;
    for (int asked = 0; asked < 2; asked++) {
        char servers[100];
        snprintf(servers, sizeof(servers), "127.0.0.1:%u", s->port);
        struct reeve_options o = {.servers = servers, .session_timeout_ms = 1500};
        struct reeve *zk;
        assert_int_equal(reeve_new(&zk, &o), REEVE_OK);
        expect_ok(zk);
        if (asked) { // and the answer is not waited for
            assert_int_equal(reeve_get_async(zk, "/a", NULL, NULL, NULL), REEVE_OK);
            assert_int_equal(reeve_wait_connected(zk, 0), REEVE_OK);
        }
        (void)poll(NULL, 0, 1100);
        assert_int_equal(reeve_set(zk, "/a", "x", 1, -1, NULL), REEVE_OK);
        reeve_close(&zk);
    }
}

static void count_done(void *ctx, const struct reeve_result *r)
{
    *(int *)ctx += r->error == REEVE_OK;
}

static void with_an_event_loop(void **state)
{
    struct server *s = *state;
    struct reeve *zk = client_of("127.0.0.1", s->port, false);
    int done = 0, fd = reeve_fd(zk);
    for (int rounds = 0; done < 50; rounds++) {
        assert_true(rounds < 1000);
        if (rounds < 50) {
            assert_int_equal(reeve_get_async(zk, "/a", NULL, count_done, &done), REEVE_OK);
        }
        struct pollfd p = {fd, POLLIN, 0};
        assert_true(poll(&p, 1, reeve_timeout_ms(zk)) >= 0);
        reeve_process(zk);
        assert_int_equal(reeve_fd(zk), fd);
    }
    // With nothing to do it sleeps, for as long as there is nothing to be said to the server.
    struct pollfd p = {fd, POLLIN, 0};
    while (reeve_timeout_ms(zk) == 0 || poll(&p, 1, 0)) {
        reeve_process(zk);
    }
    assert_in_range(reeve_timeout_ms(zk), 100, 10000);
    reeve_close(&zk);
}

struct other {
    struct reeve *zk;
    int done;
};

static void *ask_once(void *ctx)
{
    struct other *o = ctx;
    (void)poll(NULL, 0, 50); // the event loop is asleep by then, or will not sleep
    return (void *)(intptr_t)reeve_get_async(o->zk, "/a", NULL, count_done, &o->done);
}

static void an_event_loop_is_woken(void **state)
{
    struct server *s = *state;
    struct other o = {.zk = client_of("127.0.0.1", s->port, false)};
    struct pollfd p = {reeve_fd(o.zk), POLLIN, 0};
    expect_ok(o.zk);
    pthread_t thread;
    must(pthread_create(&thread, NULL, ask_once, &o) == 0);
    int64_t begin = now_ms();
    while (!o.done && now_ms() - begin < 3000) {
        (void)poll(&p, 1, reeve_timeout_ms(o.zk));
        reeve_process(o.zk);
    }
    assert_true(now_ms() - begin < 1500); // sooner than it would have to say anything
    void *error;
    pthread_join(thread, &error);
    assert_null(error);
    reeve_close(&o.zk);
}

// A thread that waits may drive the client of a program that watches reeve_fd(). What is to be done
// after it has gone is the program's to do, and it does not know of it.
static void an_event_loop_hears_that_a_waiting_call_drove(void **state)
{
    struct server *s = *state;
    struct reeve *zk = client_of("127.0.0.1", s->port, false);
    struct pollfd p = {reeve_fd(zk), POLLIN, 0};
    for (int i = 0; i < 3; i++) {
        expect_ok(zk);
        assert_int_equal(poll(&p, 1, 0), 1);
        while (poll(&p, 1, 0)) {
            reeve_process(zk);
        }
    }
    reeve_close(&zk);
}

struct busy {
    struct reeve *zk;
    _Atomic bool in, out;
};

static void be_busy(void *ctx)
{
    struct busy *b = ctx;
    b->in = true;
    while (!b->out) {
        sched_yield();
    }
}

static void *wait_connected(void *ctx)
{
    struct busy *b = ctx;
    return (void *)(intptr_t)reeve_wait_connected(b->zk, 5000);
}

static void the_timeout_while_another_thread_drives(void **state)
{
    struct server *s = *state;
    struct busy b = {.zk = client_of("127.0.0.1", s->port, false)};
    assert_int_equal(reeve_post(b.zk, be_busy, &b), REEVE_OK);
    pthread_t thread;
    must(pthread_create(&thread, NULL, wait_connected, &b) == 0);
    while (!b.in) {
        sched_yield();
    }
    assert_int_equal(reeve_timeout_ms(b.zk), -1);
    b.out = true;
    void *error;
    pthread_join(thread, &error);
    assert_null(error);
    assert_true(reeve_timeout_ms(b.zk) >= 0);
    reeve_close(&b.zk);
}

struct caller {
    struct reeve *zk;
    pthread_t thread;
    int calls;
    int64_t wait_ms; // -2: calls; else reeve_wait_connected
    enum reeve_error error;
};

static void *call_often(void *ctx)
{
    struct caller *c = ctx;
    while (c->calls-- > 0 && !c->error) {
        c->error = c->wait_ms == -2 ? reeve_get(c->zk, "/a", NULL, NULL)
                                    : reeve_wait_connected(c->zk, c->wait_ms);
    }
    return NULL;
}

// Many threads; one of them drives, and hands that on when it leaves.
static void share(void **state, bool thread)
{
    struct server *s = *state;
    enum { N = 8, CALLS = 100 };
    struct caller c[N];
    struct reeve *zk = client_of("127.0.0.1", s->port, thread);
    for (int i = 0; i < N; i++) {
        c[i] = (struct caller){.zk = zk, .calls = CALLS, .wait_ms = -2};
        must(pthread_create(&c[i].thread, NULL, call_often, &c[i]) == 0);
    }
    if (!thread) {
        assert_int_equal(reeve_start(zk), REEVE_OK); // while others drive
    }
    for (int i = 0; i < N; i++) {
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].error, REEVE_OK);
    }
    assert_int_equal(s->asked, N * CALLS);
    reeve_close(&zk);
}

static void many_threads_share_a_thread(void **state)
{
    share(state, true);
}

static void many_threads_drive_in_turn(void **state)
{
    struct server *s = *state;
    enum { N = 8, CALLS = 100 };
    struct caller c[N];
    struct reeve *zk = client_of("127.0.0.1", s->port, false);
    for (int i = 0; i < N; i++) {
        c[i] = (struct caller){.zk = zk, .calls = CALLS - 12 * i, .wait_ms = -2};
        must(pthread_create(&c[i].thread, NULL, call_often, &c[i]) == 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].error, REEVE_OK);
    }
    reeve_close(&zk);
}

static void a_thread_takes_over_from_waiting_calls(void **state)
{
    share(state, false);
}

// ---- anything from any thread -------------------------------------------------------------------

struct user {
    struct reeve *zk;
    pthread_t thread;
    _Atomic int begun, ended; // callbacks that are to come, and that came
};

static void on_result(void *ctx, const struct reeve_result *r)
{
    (void)r;
    ((struct user *)ctx)->ended++;
}

static void on_task(void *ctx)
{
    ((struct user *)ctx)->ended++;
}

static void on_session(void *ctx, const struct reeve_session *s)
{
    (void)ctx;
    assert_true(s->state <= REEVE_STATE_ENDED);
}

static void on_event(void *ctx, const struct reeve_event *ev)
{
    (void)ctx;
    assert_int_equal(ev->type, REEVE_EVENT_ENDED);
}

static void *use(void *ctx)
{
    struct user *u = ctx;
    struct reeve_watch w = {on_event, u};
    for (int i = 0; i < 200; i++) {
        struct reeve_session s;
        char guid[33];
        u->begun += reeve_get_async(u->zk, "/a", &w, on_result, u) == REEVE_OK;
        u->begun += reeve_post(u->zk, on_task, u) == REEVE_OK;
        u->begun += reeve_after(u->zk, i % 3, on_task, u) == REEVE_OK;
        (void)reeve_listen(u->zk, on_session, u);
        reeve_get_session(u->zk, &s);
        reeve_guid(u->zk, guid);
        reeve_unwatch(u->zk, "/a", on_event, u);
        reeve_unlisten(u->zk, on_session, u);
        (void)reeve_exists(u->zk, "/a", NULL, NULL);
    }
    return NULL;
}

static void any_thread_may_do_anything(void **state)
{
    struct server *s = *state;
    enum { N = 4 };
    for (int thread = 0; thread < 2; thread++) {
        struct user u[N] = {{0}};
        struct reeve *zk = client_of("127.0.0.1", s->port, thread);
        for (int i = 0; i < N; i++) {
            u[i].zk = zk;
            must(pthread_create(&u[i].thread, NULL, use, &u[i]) == 0);
        }
        for (int i = 0; i < N; i++) {
            pthread_join(u[i].thread, NULL);
        }
        reeve_close(&zk);
        for (int i = 0; i < N; i++) {
            assert_int_equal(u[i].begun, 600);
            assert_int_equal(u[i].ended, 600);
        }
    }
}

// ---- the end while others wait ------------------------------------------------------------------

static void close_while_calls_wait(void **state)
{
    struct server *s = *state;
    enum { N = 4 };
    s->silent = true;
    for (int thread = 0; thread < 2; thread++) {
        struct caller c[N];
        struct reeve *zk = client_of("127.0.0.1", s->port, thread);
        int before = s->asked;
        for (int i = 0; i < N; i++) {
            c[i] = (struct caller){.zk = zk, .calls = 1, .wait_ms = -2};
            must(pthread_create(&c[i].thread, NULL, call_often, &c[i]) == 0);
        }
        while (s->asked < before + N) {
            sched_yield();
        }
        int64_t begin = now_ms();
        reeve_close(&zk);
        assert_true(now_ms() - begin < 5000);
        for (int i = 0; i < N; i++) {
            pthread_join(c[i].thread, NULL);
            assert_int_equal(c[i].error, REEVE_CLOSED);
        }
    }
}

static void abandon_while_waiting_for_a_connection(void **state)
{
    (void)state;
    uint16_t port;
    int fd = listen_at(&port, 1); // accepts nobody, says nothing
    struct reeve *zk = client_of("127.0.0.1", port, true);
    struct caller c = {.zk = zk, .calls = 1, .wait_ms = -1};
    must(pthread_create(&c.thread, NULL, call_often, &c) == 0);
    assert_int_equal(reeve_wait_connected(zk, 50), REEVE_OPERATION_TIMEOUT);
    reeve_abandon(&zk);
    pthread_join(c.thread, NULL);
    assert_int_equal(c.error, REEVE_CLOSED);
    close(fd);
}

struct opener {
    struct reeve *zk;
    struct reeve_gate *gate;
    enum reeve_error call, wait;
};

static void try_to_wait(void *ctx)
{
    struct opener *o = ctx;
    o->call = reeve_get(o->zk, "/a", NULL, NULL);
    o->wait = reeve_gate_wait(o->gate);
    reeve_process(o->zk); // is no harm
    reeve_gate_open(o->gate);
}

static void callbacks_must_not_wait(void **state)
{
    struct server *s = *state;
    for (int thread = 0; thread < 2; thread++) {
        struct opener o = {.zk = client_of("127.0.0.1", s->port, thread)};
        assert_int_equal(reeve_gate_new(o.zk, &o.gate), REEVE_OK);
        assert_int_equal(reeve_post(o.zk, try_to_wait, &o), REEVE_OK);
        assert_int_equal(reeve_gate_wait(o.gate), REEVE_OK);
        assert_int_equal(reeve_gate_wait(o.gate), REEVE_OK); // it stays open
        reeve_gate_free(&o.gate);
        assert_int_equal(o.call, REEVE_WRONG_THREAD);
        assert_int_equal(o.wait, REEVE_WRONG_THREAD);
        reeve_close(&o.zk);
    }
}

// ---- the network --------------------------------------------------------------------------------

static void names_are_looked_up(void **state)
{
    struct server *s = *state;
    struct reeve *zk = client_of("localhost", s->port, true);
    expect_ok(zk);
    reeve_close(&zk);
}

static void a_name_that_nobody_knows(void **state)
{
    struct server *s = *state;
    char servers[100];
    snprintf(servers, sizeof(servers), "no-such-host.invalid:1,127.0.0.1:%u", s->port);
    struct reeve_options o = {.servers = servers, .no_shuffle = true};
    struct reeve *zk;
    assert_int_equal(reeve_new(&zk, &o), REEVE_OK);
    expect_ok(zk); // at the other server, and not only when the name server has given up
    reeve_close(&zk);
}

static void close_does_not_wait_for_names(void **state)
{
    (void)state;
    struct reeve_options o = {.servers = "no-such-host.invalid:1", .close_timeout_ms = 100};
    struct reeve *zk;
    assert_int_equal(reeve_new(&zk, &o), REEVE_OK);
    assert_int_equal(reeve_start(zk), REEVE_OK);
    (void)reeve_wait_connected(zk, 1);
    int64_t begin = now_ms();
    reeve_close(&zk);
    assert_true(now_ms() - begin < 2000);
}

// A full line of connections that nobody accepts: the next dial hears nothing.
static void a_dial_into_a_black_hole(void **state)
{
    struct server *s = *state;
    uint16_t hole;
    int fd = listen_at(&hole, 0), fill[4];
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(hole)};
    for (int i = 0; i < 4; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], (struct sockaddr *)&a, sizeof(a));
    }
    char servers[100];
    snprintf(servers, sizeof(servers), "127.0.0.1:%u,127.0.0.1:%u", hole, s->port);
    struct reeve_options o = {.servers = servers, .no_shuffle = true};
    struct reeve *zk;
    assert_int_equal(reeve_new(&zk, &o), REEVE_OK);
    int64_t begin = now_ms();
    assert_int_equal(reeve_wait_connected(zk, 9000), REEVE_OK);
    assert_true(now_ms() - begin < 5000);
    reeve_close(&zk);
    for (int i = 0; i < 4; i++) {
        close(fill[i]);
    }
    close(fd);
}

static void a_lost_connection_is_made_again(void **state)
{
    struct server *s = *state;
    struct reeve *zk = client_of("127.0.0.1", s->port, true);
    expect_ok(zk);
    int before = s->accepted;
    s->drop = true;
    struct reeve_gate *g;
    assert_int_equal(reeve_gate_new(zk, &g), REEVE_OK);
    reeve_gate_open(g); // by hand, before anybody waits
    assert_int_equal(reeve_gate_wait(g), REEVE_OK);
    reeve_gate_free(&g);
    assert_int_equal(reeve_set(zk, "/a", "x", 1, -1, NULL), REEVE_CONNECTION_LOSS);
    s->drop = false;
    expect_ok(zk);
    assert_true(s->accepted > before);
    reeve_close(&zk);
}

// Nobody listens at a local port: the system must not connect the client with itself, and the
// error says what was the matter.
struct cause {
    char why[200];
};

static void keep_line(void *ctx, enum reeve_log_level level, const char *line)
{
    struct cause *c = ctx;
    if (level <= REEVE_LOG_INFO && strstr(line, "refused")) {
        snprintf(c->why, sizeof(c->why), "%s", line);
    }
}

static void nobody_listens(void **state)
{
    (void)state;
    uint16_t port;
    close(listen_at(&port, 1));
    char servers[100];
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", port);
    struct cause cause = {""};
    struct reeve_options o = {.servers = servers, .log = keep_line, .log_ctx = &cause};
    struct reeve *zk;
    assert_int_equal(reeve_new(&zk, &o), REEVE_OK);
    assert_int_equal(reeve_wait_connected(zk, 300), REEVE_OPERATION_TIMEOUT);
    reeve_close(&zk);
    assert_non_null(strstr(cause.why, "Connection refused"));
}

static void threads_of_the_library_take_no_signals(void **state)
{
    struct server *s = *state;
    struct reeve *zk = client_of("127.0.0.1", s->port, true);
    expect_ok(zk);
    sigset_t usr1, before;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    // Every thread but the library's blocks it, so it stays pending unless that one takes it (and
    // the program ends).
    pthread_sigmask(SIG_BLOCK, &usr1, &before);
    int sent = kill(getpid(), SIGUSR1);
    expect_ok(zk);
    int taken = sigtimedwait(&usr1, NULL, &(struct timespec){5, 0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(sent, 0);
    assert_int_equal(taken, SIGUSR1);
    reeve_close(&zk);
}

static void look_at_signals(void *ctx)
{
    pthread_sigmask(SIG_SETMASK, NULL, ctx);
}

// What a bug in a callback raises reaches the program's handler.
static void faults_are_no_signals_of_the_program(void **state)
{
    struct server *s = *state;
    struct reeve *zk = client_of("127.0.0.1", s->port, true);
    sigset_t blocked;
    assert_int_equal(reeve_post(zk, look_at_signals, &blocked), REEVE_OK);
    expect_ok(zk);
    reeve_close(&zk);
    assert_true(sigismember(&blocked, SIGTERM));
    assert_false(sigismember(&blocked, SIGSEGV));
    assert_false(sigismember(&blocked, SIGBUS));
    assert_false(sigismember(&blocked, SIGFPE));
}

// ---- what the system and the allocator refuse ---------------------------------------------------

static size_t open_files(void)
{
    size_t n = 0;
    for (int fd = 0; fd < 1024; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

static void no_descriptors(void **state)
{
    struct server *s = *state;
    struct rlimit before;
    must(getrlimit(RLIMIT_NOFILE, &before) == 0);
    size_t files = open_files();
    struct reeve_options o = {.servers = "127.0.0.1:1"};
    struct reeve *zk = client_of("127.0.0.1", s->port, true);
    struct rlimit none = {0, before.rlim_max};
    must(setrlimit(RLIMIT_NOFILE, &none) == 0);
    struct reeve *other;
    assert_int_equal(reeve_new(&other, &o), REEVE_SYSTEM);
    assert_null(other);
    must(setrlimit(RLIMIT_NOFILE, &before) == 0);
    expect_ok(zk); // also if its dials had no socket meanwhile
    reeve_close(&zk);
    while (open_files() > files) { // the server closes its side, too
        sched_yield();
    }
}

struct purse {
    size_t left; // allocations that succeed
    _Atomic long alive;
};

static void *spend(void *ctx, void *p, size_t n)
{
    struct purse *b = ctx;
    if (n == 0) {
        b->alive--;
        free(p);
        return NULL;
    }
    if (b->left == 0) {
        return NULL;
    }
    b->left--;
    b->alive += p == NULL;
    return realloc(p, n);
}

static void no_memory(void **state)
{
    (void)state;
    size_t files = open_files(), n = 0;
    enum reeve_error e = REEVE_NO_MEMORY;
    while (e == REEVE_NO_MEMORY) {
        struct purse b = {.left = n++};
        struct reeve_options o = {.servers = "127.0.0.1:1", .allocator = {spend, &b}};
        struct reeve *zk;
        e = reeve_new(&zk, &o);
        assert_int_equal(zk == NULL, e != REEVE_OK);
        reeve_close(&zk);
        assert_int_equal(b.alive, 0);
        assert_int_equal(open_files(), files);
    }
    assert_int_equal(e, REEVE_OK);
    assert_true(n > 5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(with_a_thread),
        TEST(with_a_thread_callbacks_are_made_on_it),
        TEST(without_a_thread),
        TEST(a_pause_between_blocking_calls),
        TEST(with_an_event_loop),
        TEST(an_event_loop_is_woken),
        TEST(an_event_loop_hears_that_a_waiting_call_drove),
        TEST(the_timeout_while_another_thread_drives),
        TEST(many_threads_share_a_thread),
        TEST(many_threads_drive_in_turn),
        TEST(a_thread_takes_over_from_waiting_calls),
        TEST(any_thread_may_do_anything),
        TEST(close_while_calls_wait),
        TEST(abandon_while_waiting_for_a_connection),
        TEST(callbacks_must_not_wait),
        TEST(names_are_looked_up),
        TEST(a_name_that_nobody_knows),
        TEST(close_does_not_wait_for_names),
        TEST(a_dial_into_a_black_hole),
        TEST(a_lost_connection_is_made_again),
        TEST(nobody_listens),
        TEST(threads_of_the_library_take_no_signals),
        TEST(faults_are_no_signals_of_the_program),
        TEST(no_descriptors),
        TEST(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
