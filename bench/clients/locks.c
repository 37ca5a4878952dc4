// SPDX-License-Identifier: Apache-2.0
//
// What a release of a lock costs when many wait for it.
//   PROGRAM HOST:PORT WAITERS CLIENTS RELEASES
// CLIENTS clients have WAITERS + RELEASES handles of one lock between them, so that WAITERS are
// left at the end. When all have asked, a line "asked" says so; who reads it finds out from the
// server when all stand in line, and answers with a line. Then RELEASES times: the holder releases,
// and the next one is granted; "released" says that this is over, and waits for a line, too. Then,
// on the same clients and as often: a notification (from a set to the event at another client) and
// requests that are asked one behind the other, a write and a read, a write and the list of the
// lock's nodes. A line of JSON has the medians; the program ends when it is answered with another
// line.
//
// Each time is taken from the main thread's call to a callback on a client's own thread, so all of
// them have the same hand-over in them.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <reeve/lock.h>

#define TOP       "/bench"
#define SEEN_PATH "/bench/seen"

enum { CLIENTS_MAX = 100 };

static char lock_path[] = "/bench/lock";
static long handles, clients, releases;
static struct reeve *zks[CLIENTS_MAX];
static struct reeve_lock **locks;

// Of the step under way: what has to come before it is over, and when the measured one came.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int awaited;
static double done_us;
static long holder = -1;

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void fail(const char *what, enum reeve_error e)
{
    fprintf(stderr, "%s: %s\n", what, reeve_error_text(e));
    exit(1);
}

static void check(const char *what, enum reeve_error e)
{
    if (e) {
        fail(what, e);
    }
}

static void came(bool measured, double at)
{
    pthread_mutex_lock(&mutex);
    if (measured) {
        done_us = at;
    }
    awaited--;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&mutex);
}

static void expect(int n)
{
    pthread_mutex_lock(&mutex);
    awaited = n;
    pthread_mutex_unlock(&mutex);
}

static double wait_until_done(void)
{
    pthread_mutex_lock(&mutex);
    while (awaited > 0) {
        pthread_cond_wait(&changed, &mutex);
    }
    double at = done_us;
    pthread_mutex_unlock(&mutex);
    return at;
}

// ---- a release ----------------------------------------------------------------------------------

static void on_granted(void *ctx, enum reeve_error e, int64_t token)
{
    double at = now_us();
    (void)token;
    if (e == REEVE_CANCELLED || e == REEVE_CLOSED) {
        return; // the end
    }
    check("acquire", e);
    holder = (long)((struct reeve_lock **)ctx - locks); // the mutex in came() hands it over
    came(true, at);
}

static void on_released(void *ctx, enum reeve_error e)
{
    (void)ctx;
    check("release", e);
    came(false, 0);
}

static double release_us(void)
{
    expect(2);
    double begun = now_us();
    check("release", reeve_lock_release_async(locks[holder], on_released, NULL));
    return wait_until_done() - begun;
}

// ---- what it is compared with -------------------------------------------------------------------

static void on_seen(void *ctx, const struct reeve_event *ev)
{
    double at = now_us();
    (void)ctx;
    if (!ev->why) {
        came(true, at);
    }
}

static void on_set(void *ctx, const struct reeve_result *r)
{
    (void)ctx;
    check("set", r->error);
    came(false, 0);
}

static double notice_us(void)
{
    struct reeve_watch watch = {on_seen, NULL};
    check("get", reeve_get(zks[1], SEEN_PATH, &watch, NULL));
    expect(2);
    double begun = now_us();
    check("set", reeve_set_async(zks[0], SEEN_PATH, "x", 1, -1, on_set, NULL));
    return wait_until_done() - begun;
}

static void on_second(void *ctx, const struct reeve_result *r)
{
    double at = now_us();
    (void)ctx;
    check("second request", r->error);
    came(true, at);
}

static void on_first(void *ctx, const struct reeve_result *r)
{
    const char *list = ctx;
    check("first request", r->error);
    check("second request", list ? reeve_children_async(zks[0], list, NULL, on_second, NULL)
                                 : reeve_get_async(zks[0], SEEN_PATH, NULL, on_second, NULL));
}

static double two_us(char *list)
{
    expect(1);
    double begun = now_us();
    check("set", reeve_set_async(zks[0], SEEN_PATH, "x", 1, -1, on_first, list));
    return wait_until_done() - begun;
}

// ---- all ----------------------------------------------------------------------------------------

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v)
{
    qsort(v, (size_t)releases, sizeof(*v), by_size);
    return v[releases / 2];
}

static void connect_all(const char *servers)
{
    for (long i = 0; i < clients; i++) {
        struct reeve_options o = {.servers = servers, .session_timeout_ms = 30000};
        check("client", reeve_new(&zks[i], &o));
        check("thread", reeve_start(zks[i]));
        check("connect", reeve_wait_connected(zks[i], 10000));
    }
    enum reeve_error e = reeve_create(zks[0], TOP, NULL, 0, 0, NULL);
    check(TOP, e == REEVE_NODE_EXISTS ? REEVE_OK : e);
    e = reeve_create(zks[0], SEEN_PATH, NULL, 0, 0, NULL);
    check(SEEN_PATH, e == REEVE_NODE_EXISTS ? REEVE_OK : e);
}

// So that who is next is never of the same client.
static void wait_in_line(int32_t n)
{
    struct reeve_result r = {.stat.num_children = 0};
    while (r.stat.num_children < n) {
        reeve_result_fini(&r);
        enum reeve_error e = reeve_exists(zks[0], lock_path, NULL, &r);
        check(lock_path, e == REEVE_NO_NODE ? REEVE_OK : e);
    }
    reeve_result_fini(&r);
}

static void ask_all(void)
{
    expect(1); // the first one is granted
    for (long i = 0; i < handles; i++) {
        struct reeve_lock_options o = {.payload = "bench", .payload_len = 5};
        check("lock", reeve_lock_new(&locks[i], zks[i % clients], lock_path, &o));
        check("acquire", reeve_lock_acquire_async(locks[i], -1, on_granted, &locks[i]));
        wait_in_line((int32_t)i + 1);
    }
    wait_until_done();
}

static void wait_for_line(const char *say)
{
    puts(say);
    fflush(stdout);
    while (getchar() != '\n' && !feof(stdin)) {
    }
}

static void measure(char *line, size_t line_max)
{
    double *v[4];
    for (int i = 0; i < 4; i++) {
        v[i] = calloc((size_t)releases, sizeof(double));
        check("memory", v[i] ? REEVE_OK : REEVE_NO_MEMORY);
    }
    for (long i = 0; i < releases; i++) {
        v[0][i] = release_us();
    }
    wait_for_line("released");
    for (long i = 0; i < releases; i++) {
        v[1][i] = notice_us();
        v[2][i] = two_us(NULL);
        v[3][i] = two_us(lock_path);
    }
    snprintf(line, line_max,
             "{\"release_us\": %.1f, \"notice_us\": %.1f, \"two_us\": %.1f, \"list_us\": %.1f}",
             median(v[0]), median(v[1]), median(v[2]), median(v[3]));
    for (int i = 0; i < 4; i++) {
        free(v[i]);
    }
}

int main(int argc, char **argv)
{
    char line[200];
    if (argc != 5) {
        fprintf(stderr, "usage: %s HOST:PORT WAITERS CLIENTS RELEASES\n", argv[0]);
        return 2;
    }
    clients = strtol(argv[3], NULL, 10);
    releases = strtol(argv[4], NULL, 10);
    handles = strtol(argv[2], NULL, 10) + releases;
    locks = calloc((size_t)handles, sizeof(*locks));
    if (clients < 2 || clients > CLIENTS_MAX || releases < 1 || handles <= releases || !locks) {
        fprintf(stderr, "%s: 2 to %d clients, 1 release, 1 waiter\n", argv[0], CLIENTS_MAX);
        return 2;
    }
    connect_all(argv[1]);
    ask_all();
    wait_for_line("asked");
    measure(line, sizeof(line));
    wait_for_line(line);
    for (long i = 0; i < clients; i++) {
        reeve_close(&zks[i]); // frees its locks
    }
    free(locks);
    return 0;
}
