// SPDX-License-Identifier: Apache-2.0
//
// The event loop of a server on Linux. One round of libuv's loop is one batch:
//
//   [before_poll: the user's turn, if anything came] -> epoll -> events, each given to user->step
//
// so whatever the steps of a batch gathered (replies, log entries) leaves together, before the loop
// sleeps again. The clock is read at the first event of a batch and then every CLOCK_EVENTS events,
// never more: in a busy server an event costs less than a look at the clock should.
//
// The one timer of env is a libuv timer that is moved lazily: a later time leaves it where it is,
// and when it fires early it is set again. A server that moves its next deadline at every turn then
// pays nothing for it.
#include "os/env_uv.h"

#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/mem.h"
#include "os/os.h"

enum {
    CLOCK_EVENTS = 64,
    // A snapshot can wait and a read cannot: where processors are fewer than threads, the
    // background lane takes what the others leave.
    BACKGROUND_NICE = 15
};

// ---- events out

static struct mono clock_now(struct env *e)
{
    (void)e;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (struct mono){(int64_t)t.tv_sec * 1000000000 + t.tv_nsec};
}

void env_uv_refresh_clock(struct env_uv *e)
{
    e->env.now = clock_now(&e->env);
    struct timespec t;
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    e->env.wall.ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    e->clock_stale = false;
}

void env_uv_emit(struct env_uv *e, struct env_event *ev)
{
    if (!e->user) {
        return; // being freed
    }
    if (e->clock_stale || ++e->events_n % CLOCK_EVENTS == 0) {
        env_uv_refresh_clock(e);
    }
    e->turn_due = true;
    ev->now = e->env.now;
    ev->wall = e->env.wall;
    e->user->step(e->user->ctx, ev);
}

static void on_before_poll(uv_prepare_t *p)
{
    struct env_uv *e = p->data;
    if (e->turn_due) {
        e->turn_due = false;
        e->user->turn(e->user->ctx);
        if (e->user->stopped(e->user->ctx)) {
            uv_stop(&e->loop);
        }
    }
    e->clock_stale = true;
    e->events_n = 0;
}

// ---- timer

static void arm_timer(struct env_uv *e);

static void on_timer(uv_timer_t *t)
{
    struct env_uv *e = t->data;
    e->timer_armed = false;
    env_uv_refresh_clock(e);
    if (!e->timer_set) {
        return;
    }
    if (e->env.now.ns < e->timer_at.ns) {
        arm_timer(e);
        return;
    }
    e->timer_set = false;
    struct env_event ev = {.type = ENV_TIMER};
    env_uv_emit(e, &ev);
}

static void arm_timer(struct env_uv *e)
{
    int64_t ns = e->timer_at.ns - e->env.now.ns;
    uint64_t ms = ns > 0 ? (uint64_t)(ns + 999999) / 1000000 : 0;
    uv_timer_start(&e->timer, on_timer, ms, 0);
    e->timer_armed = true;
    e->timer_armed_at = e->timer_at;
}

static void set_timer(struct env *env, struct mono at)
{
    struct env_uv *e = env_uv_of(env);
    e->timer_set = true;
    e->timer_at = at;
    if (!e->timer_armed || at.ns < e->timer_armed_at.ns) {
        arm_timer(e);
    }
}

// ---- jobs

static void put_job(struct env *env, enum env_lane lane, struct env_job *job)
{
    struct env_uv *e = env_uv_of(env);
    must((unsigned)lane < ENV_LANES);
    job->env = env;
    lane_put(&e->lanes[lane], job);
}

static void on_job_done(uv_async_t *a)
{
    struct env_uv *e = a->data;
    for (int i = 0; i < ENV_LANES; i++) {
        lane_take_done(&e->lanes[i], &e->done, &e->done_n, &e->done_cap);
        for (size_t k = 0; k < e->done_n; k++) {
            struct env_event ev = {.type = ENV_JOB_DONE, .job = e->done[k]};
            env_uv_emit(e, &ev);
        }
        e->done_n = 0;
    }
}

// ---- signals

static void on_signal(uv_signal_t *s, int number)
{
    struct env_uv *e = s->data;
    log_info(&e->env.log, "stopping, asked by SIG%s", number == SIGINT ? "INT" : "TERM");
    struct env_event ev = {.type = ENV_STOP};
    env_uv_emit(e, &ev);
}

// ---- life

static const struct env_ops ops = {
    .listen = sock_listen,
    .unlisten = sock_unlisten,
    .dial = dial_begin,
    .undial = dial_forget,
    .resolve = dial_resolve,
    .send = sock_send,
    .close = sock_close,
    .pause = sock_pause,
    .timer = set_timer,
    .job = put_job,
    .file_open = file_open,
    .file_close = file_close,
    .file_size = file_size,
    .file_read = file_read,
    .file_write = file_write,
    .file_sync = file_sync,
    .file_truncate = file_truncate,
    .rename = file_rename,
    .unlink = file_unlink,
    .make_dir = file_make_dir,
    .sync_dir = file_sync_dir,
    .list = file_list,
    .lock = file_lock,
    .free_space = file_free_space,
    .clock = clock_now,
    .sysinfo = sysinfo_get,
};

static void init_handles(struct env_uv *e)
{
    uv_prepare_init(&e->loop, &e->before_poll);
    uv_timer_init(&e->loop, &e->timer);
    uv_signal_init(&e->loop, &e->signals[0]);
    uv_signal_init(&e->loop, &e->signals[1]);
    e->before_poll.data = e;
    e->timer.data = e;
    e->signals[0].data = e;
    e->signals[1].data = e;
    e->job_done.data = e;
    sock_init(e);
    dial_init(e);
}

enum err env_uv_new(enum log_level level, struct env **env)
{
    struct env_uv *e = mem_zalloc(sizeof(*e));
    e->env.ops = &ops;
    e->env.log = (struct logger){.write = stderr_write_line, .level = level};
    signal(SIGPIPE, SIG_IGN);
    if (getrandom(&e->env.seed, sizeof(e->env.seed), 0) != sizeof(e->env.seed)) {
        e->env.seed = uv_hrtime();
    }
    env_uv_refresh_clock(e);
    int r = uv_loop_init(&e->loop);
    if (r == 0) {
        r = uv_async_init(&e->loop, &e->job_done, on_job_done);
    }
    if (r) {
        log_error(&e->env.log, "cannot make an event loop: %s; raise the limit of open files",
                  uv_strerror(r));
        mem_free(e);
        return ERR_IO;
    }
    init_handles(e);
    *env = &e->env;
    for (int i = 0; i < ENV_LANES; i++) {
        enum err err = lane_start(&e->lanes[i], e, i == ENV_LANE_BACKGROUND ? BACKGROUND_NICE : 0);
        if (err) {
            env_uv_free(env);
            return err;
        }
    }
    return ERR_OK;
}

void env_uv_run(struct env *env, const struct env_uv_user *user)
{
    struct env_uv *e = env_uv_of(env);
    e->user = user;
    e->turn_due = true; // for what was gathered before the loop
    env_uv_refresh_clock(e);
    uv_signal_start(&e->signals[0], on_signal, SIGTERM);
    uv_signal_start(&e->signals[1], on_signal, SIGINT);
    uv_prepare_start(&e->before_poll, on_before_poll);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    uv_prepare_stop(&e->before_poll);
    uv_signal_stop(&e->signals[0]);
    uv_signal_stop(&e->signals[1]);
    e->user = NULL;
}

void env_uv_free(struct env **env)
{
    struct env_uv *e = env_uv_of(*env);
    *env = NULL;
    for (int i = 0; i < ENV_LANES; i++) {
        lane_stop(&e->lanes[i]);
    }
    dial_fini(e);
    sock_fini(e);
    uv_close((uv_handle_t *)&e->before_poll, NULL);
    uv_close((uv_handle_t *)&e->timer, NULL);
    uv_close((uv_handle_t *)&e->signals[0], NULL);
    uv_close((uv_handle_t *)&e->signals[1], NULL);
    uv_close((uv_handle_t *)&e->job_done, NULL);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    int r = uv_loop_close(&e->loop);
    must(r == 0);
    sock_free(e);
    file_fini(e);
    mem_free(e->done);
    mem_free(e);
}
