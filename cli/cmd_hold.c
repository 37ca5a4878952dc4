// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // gethostname
//
// lock and elect: run a program while a lock is held, or while leading.
//
// States: WAITING for the lock, RUNNING the program, ENDING it because the lock is lost (SIGTERM,
// after --grace SIGKILL), DONE. The program finds the fencing token in REEVE_TOKEN. The exit code
// is the program's (128 and the signal if one ended it; 127, 126 if it cannot be run); 3 if the
// lock was lost, whatever the program then said, for it may not have finished under the lock.
//
// The library's thread writes into struct hold under its lock and wakes the main thread by a
// descriptor; the main thread does all else. What is written to is there until a task posted
// behind the end of the recipe has run.
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/job.h"
#include "cli/kinds.h"
#include "reeve/election.h"
#include "reeve/lock.h"
#include "reeve/rwlock.h"

enum { RELEASE_WAIT_MS = 5000 };

struct hold {
    struct cli *c;
    const char *path;
    int wake, signals, poll;
    int64_t deadline_ms; // of the waiting, -1: none
    int64_t grace_ms;
    struct reeve_lock *lock; // one of both
    struct reeve_election *election;
    struct job job;

    pthread_mutex_t mutex; // of what follows
    bool answered;         // we have it, or never will: error
    bool lost, released, over;
    enum reeve_error error, why_lost;
    int64_t token;
};

// ---- the library's thread -----------------------------------------------------------------------

static void wake(struct hold *h)
{
    uint64_t one = 1;
    ssize_t n = write(h->wake, &one, sizeof(one));
    (void)n; // it is full only if it is readable already
}

static void on_answer(void *ctx, enum reeve_error e, int64_t token)
{
    struct hold *h = ctx;
    pthread_mutex_lock(&h->mutex);
    if (!h->answered) {
        h->answered = true;
        h->error = e;
        h->token = token;
    }
    pthread_mutex_unlock(&h->mutex);
    wake(h);
}

static void on_gained(void *ctx, int64_t token)
{
    on_answer(ctx, REEVE_OK, token);
}

static void on_failed(void *ctx, enum reeve_error e)
{
    on_answer(ctx, e, 0);
}

static void on_lost(void *ctx, enum reeve_error why)
{
    struct hold *h = ctx;
    pthread_mutex_lock(&h->mutex);
    h->lost = true;
    h->why_lost = why;
    pthread_mutex_unlock(&h->mutex);
    wake(h);
}

static void on_released(void *ctx, enum reeve_error e)
{
    (void)e;
    struct hold *h = ctx;
    pthread_mutex_lock(&h->mutex);
    h->released = true;
    pthread_mutex_unlock(&h->mutex);
    wake(h);
}

static void on_over(void *ctx)
{
    struct hold *h = ctx;
    pthread_mutex_lock(&h->mutex);
    h->over = true;
    pthread_mutex_unlock(&h->mutex);
    wake(h);
}

static bool get(struct hold *h, const bool *flag)
{
    pthread_mutex_lock(&h->mutex);
    bool v = *flag;
    pthread_mutex_unlock(&h->mutex);
    return v;
}

// ---- the main thread ----------------------------------------------------------------------------

static void add_fd(struct hold *h, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(h->poll, EPOLL_CTL_ADD, fd, &ev);
}

static void turn(struct hold *h, int64_t timeout_ms)
{
    int ms = timeout_ms < 0 ? -1 : timeout_ms > 60000 ? 60000 : (int)timeout_ms;
    if (cli_turn(h->c, h->poll, ms)) {
        uint64_t n;
        ssize_t got = read(h->wake, &n, sizeof(n));
        (void)got;
    }
}

// Until the lock is ours. CLI_OK, or why not. A signal ends the waiting.
static int await(struct hold *h)
{
    bool from_terminal;
    while (!get(h, &h->answered)) {
        int64_t left_ms = h->deadline_ms < 0 ? -1 : h->deadline_ms - cli_now_ms();
        if (h->deadline_ms >= 0 && left_ms <= 0) {
            return cli_refuse(h->c, "%s: others have it; not ours within the time", h->path);
        }
        turn(h, left_ms);
        int number = job_signals_next(&from_terminal);
        if (number != 0) {
            return 128 + number;
        }
    }
    if (h->error == REEVE_OPERATION_TIMEOUT) {
        return cli_refuse(h->c, "%s: others have it; not ours within the time", h->path);
    }
    struct reeve_result r = {.error = h->error, .path = h->path, .why = ""};
    return h->error == REEVE_OK ? CLI_OK : cli_fail(h->c, &r);
}

static int start(struct hold *h, char *const *argv)
{
    char token[24];
    snprintf(token, sizeof(token), "%" PRId64, h->token);
    out_flush(&h->c->out);
    int e = job_start(&h->job, argv, "REEVE_TOKEN", token);
    if (e != 0) {
        cli_refuse(h->c, "%s cannot be run: %s", argv[0], strerror(e));
        return e == ENOENT ? 127 : 126;
    }
    add_fd(h, h->job.fd);
    return CLI_OK;
}

static void pass_signals(struct hold *h)
{
    bool from_terminal;
    int number;
    while ((number = job_signals_next(&from_terminal)) != 0) {
        if (!from_terminal || h->job.group) {
            job_signal(&h->job, number);
        }
    }
}

static int run_job(struct hold *h, char *const *argv)
{
    int code = start(h, argv);
    int64_t kill_ms = -1; // when SIGKILL follows
    bool lost = false;
    while (code == CLI_OK && !job_reap(&h->job)) {
        turn(h, kill_ms < 0 ? -1 : kill_ms > cli_now_ms() ? kill_ms - cli_now_ms() : 0);
        pass_signals(h);
        if (!lost && get(h, &h->lost)) {
            lost = true;
            kill_ms = cli_now_ms() + h->grace_ms;
            cli_refuse(h->c, "%s: lost while %s was running, which is ended: %s (%s)", h->path,
                       argv[0], reeve_error_text(h->why_lost), reeve_error_name(h->why_lost));
            job_signal(&h->job, h->grace_ms > 0 ? SIGTERM : SIGKILL);
        } else if (kill_ms >= 0 && cli_now_ms() >= kill_ms) {
            job_signal(&h->job, SIGKILL);
            kill_ms = -1;
        }
    }
    if (code == CLI_OK) {
        code = lost ? CLI_NO_CONNECTION : job_code(&h->job);
        epoll_ctl(h->poll, EPOLL_CTL_DEL, h->job.fd, NULL);
    }
    job_fini(&h->job);
    return code;
}

// Gives the lock back and waits until nothing of the library looks at h any more.
static void give_back(struct hold *h)
{
    // What was lost is gone already; whatever the election tries anew ends in the background.
    int64_t until_ms = cli_now_ms() + (get(h, &h->lost) ? 0 : RELEASE_WAIT_MS);
    enum reeve_error e = h->lock ? reeve_lock_release_async(h->lock, on_released, h)
                                 : reeve_election_leave_async(h->election, on_released, h);
    while (e == REEVE_OK && !get(h, &h->released) && cli_now_ms() < until_ms) {
        turn(h, until_ms - cli_now_ms());
    }
    reeve_lock_free(&h->lock);
    reeve_election_free(&h->election);
    if (reeve_post(h->c->zk, on_over, h) == REEVE_OK) {
        while (!get(h, &h->over)) {
            turn(h, -1);
        }
    }
}

static int hold_and_run(struct hold *h, char *const *argv)
{
    int code = await(h);
    if (code == CLI_OK) {
        code = run_job(h, argv);
    }
    give_back(h);
    return code;
}

static bool hold_init(struct hold *h, struct cli *c, const char *path)
{
    *h = (struct hold){.c = c, .path = path, .deadline_ms = -1, .job = {.fd = -1}};
    pthread_mutex_init(&h->mutex, NULL);
    h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    h->poll = epoll_create1(EPOLL_CLOEXEC);
    h->signals = job_signals_begin();
    if (h->wake < 0 || h->poll < 0 || h->signals < 0) {
        return false;
    }
    add_fd(h, h->wake);
    add_fd(h, h->signals);
    return true;
}

static void hold_fini(struct hold *h)
{
    if (h->signals >= 0) {
        job_signals_end();
    }
    if (h->wake >= 0) {
        close(h->wake);
    }
    if (h->poll >= 0) {
        close(h->poll);
    }
    pthread_mutex_destroy(&h->mutex);
}

// ---- the commands -------------------------------------------------------------------------------

// Who we are, for others who look: "host pid 123".
static void name_us(char *text, size_t n)
{
    char host[128] = "";
    gethostname(host, sizeof(host) - 1);
    snprintf(text, n, "%s pid %ld", host, (long)getpid());
}

// What both have. False: said what is wrong.
static bool read_options(struct hold *h, const struct args *a)
{
    const char *timeout = args_value(a, "timeout"), *grace = args_value(a, "grace");
    int64_t ms;
    h->grace_ms = 5000;
    if ((timeout && !parse_seconds(timeout, &ms)) ||
        (grace && !parse_seconds(grace, &h->grace_ms))) {
        cli_usage(h->c, "--timeout and --grace want seconds");
        return false;
    }
    h->deadline_ms = timeout ? cli_now_ms() + ms : -1;
    return true;
}

static enum reeve_error begin_lock(struct hold *h, const struct args *a, bool kazoo)
{
    char who[192];
    name_us(who, sizeof(who));
    struct reeve_lock_options o = {.layout = kazoo ? REEVE_LAYOUT_KAZOO : REEVE_LAYOUT_CURATOR,
                                   .payload = who,
                                   .payload_len = strlen(who),
                                   .on_lost = on_lost,
                                   .ctx = h};
    struct reeve *zk = h->c->zk;
    enum reeve_error e = args_has(a, "shared") ? reeve_rwlock_reader_new(&h->lock, zk, h->path, &o)
                         : args_has(a, "exclusive")
                             ? reeve_rwlock_writer_new(&h->lock, zk, h->path, &o)
                             : reeve_lock_new(&h->lock, zk, h->path, &o);
    int64_t left_ms = h->deadline_ms < 0 ? -1 : h->deadline_ms - cli_now_ms();
    if (h->deadline_ms >= 0 && left_ms < 0) {
        left_ms = 0;
    }
    h->deadline_ms = -1; // the library's: it also knows an attempt that does not wait (0)
    return e ? e : reeve_lock_acquire_async(h->lock, left_ms, on_answer, h);
}

static enum reeve_error begin_election(struct hold *h, const struct args *a,
                                       enum reeve_election_layout layout)
{
    char who[192];
    const char *id = args_value(a, "id");
    name_us(who, sizeof(who));
    struct reeve_election_options o = {.layout = layout,
                                       .id = id ? id : who,
                                       .gained = on_gained,
                                       .lost = on_lost,
                                       .failed = on_failed,
                                       .ctx = h};
    enum reeve_error e = reeve_election_new(&h->election, h->c->zk, h->path, &o);
    return e ? e : reeve_election_join(h->election);
}

static int run_held(struct cli *c, const struct args *a, int layout)
{
    char *path = cli_path(c, a->arg[0], false);
    bool lock = strcmp(c->command, "lock") == 0;
    struct hold h;
    int code = CLI_USAGE;
    if (!hold_init(&h, c, path)) {
        code = cli_refuse(c, "the system gives no descriptors: %s", strerror(errno));
    } else if (read_options(&h, a)) {
        enum reeve_error e = lock ? begin_lock(&h, a, layout != 0)
                                  : begin_election(&h, a, (enum reeve_election_layout)layout);
        struct reeve_result r = {.error = e, .path = path, .why = ""};
        if (e == REEVE_OK) {
            code = hold_and_run(&h, a->arg + a->dashes);
        } else {
            code = cli_fail(c, &r);
            reeve_lock_free(&h.lock);
            reeve_election_free(&h.election);
        }
    }
    hold_fini(&h);
    free(path);
    return code;
}

// PATH -- COMMAND...; which of the layouts is meant. False: said what is wrong.
static bool check_usage(struct cli *c, const struct args *a, const char *const *layouts,
                        int *layout)
{
    const char *name = args_value(a, "layout");
    *layout = 0;
    if (a->dashes != 1 || a->n < 2) {
        cli_usage(c, "it wants one path, --, and a command to run");
        return false;
    }
    while (name && layouts[*layout] && strcmp(layouts[*layout], name) != 0) {
        ++*layout;
    }
    if (layouts[*layout] == NULL) {
        cli_usage(c, "there is no layout %s", name);
        return false;
    }
    return true;
}

int cmd_lock(struct cli *c, const struct args *a)
{
    static const char *const layouts[] = {"curator", "kazoo", NULL};
    int layout;
    return check_usage(c, a, layouts, &layout) ? run_held(c, a, layout) : CLI_USAGE;
}

int cmd_elect(struct cli *c, const struct args *a)
{
    // In the order of enum reeve_election_layout.
    static const char *const layouts[] = {"latch", "selector", "kazoo", NULL};
    int layout;
    return check_usage(c, a, layouts, &layout) ? run_held(c, a, layout) : CLI_USAGE;
}
