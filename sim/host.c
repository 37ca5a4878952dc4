// SPDX-License-Identifier: Apache-2.0
#include "sim/host.h"

#include "node/node.h"
#include "sim/check_tree.h"
#include "sim/client.h"
#include "sim/hostconf.h"
#include "sim/tamper.h"
#include "sim/world.h"

enum { CHECK_EVERY_TURNS = 16, STOP_MAX_S = 25, LONG_PAUSE_MS = 1000 };

static void log_line(void *ctx, enum log_level level, const char *line)
{
    struct host *h = ctx;
    if (h->w->opt.verbose_node && !h->dropping) {
        report_line(&h->w->report, "host %u %s %s", h->index, log_level_name(level), line);
    }
}

struct host *host_new(struct world *w, uint32_t index)
{
    struct host *h = mem_zalloc(sizeof(*h));
    h->w = w;
    h->index = index;
    h->disk = crashdisk_new(&w->rng);
    h->clock.speed = w->opt.plant == PLANT_EARLY_EXPIRY ? 400 : CLOCK_TRUE_SPEED;
    h->job_delay_ns = (int64_t)(50 + world_below(w, 4000)) * 1000;
    crashdisk_set_lying(h->disk,
                        w->opt.plant == PLANT_LYING_SYNC || w->opt.plant == PLANT_ACK_UNSYNCED);
    host_net_reset(h);
    hostconf_make(h);
    return h;
}

void host_free(struct host **hp)
{
    struct host *h = *hp;
    *hp = NULL;
    host_down(h, false);
    crashdisk_free(&h->disk);
    config_fini(&h->cfg);
    mem_free(h->inbox);
    buf_fini(&h->scratch);
    mem_free(h);
}

// ---- inbox -----------------------------------------------------------------------------------

static void turn_soon(struct host *h)
{
    struct world *w = h->w;
    if (!h->turn_due && h->node) {
        h->turn_due = true;
        int64_t in = world_delay(w, 30 * 1000);
        int64_t pause = h->paused_until_ns - w->now_ns;
        world_later(w, in > pause ? in : pause,
                    (struct sched_event){.kind = SCHED_TURN, .a = h->index, .gen = h->boot});
    }
}

void host_post(struct host *h, struct inbox_item item)
{
    if (!h->node) {
        return;
    }
    if (item.kind <= INBOX_CLOSED) {
        item.gen = h->w->net.links[item.link].gen;
    }
    mem_grow((void **)&h->inbox, &h->inbox_cap, h->inbox_n + 1, sizeof(*h->inbox));
    h->inbox[h->inbox_n++] = item;
    turn_soon(h);
}

void host_pause(struct host *h, int64_t for_ns, bool unseen)
{
    int64_t now = h->w->now_ns;
    if (h->node && h->paused_until_ns <= now) { // one at a time
        h->paused_until_ns = now + for_ns;
        h->pause_counts = for_ns > LONG_PAUSE_MS * SIM_MS;
        h->paused_total_ns += h->pause_counts ? for_ns : 0;
        h->clock.mono_offset_ns -= unseen ? for_ns : 0; // nobody looks at it before the end
    }
}

int64_t hosts_awake_ns(const struct world *w)
{
    int64_t awake = w->now_ns;
    if (w->hosts_n > 1) {
        return awake; // one server's pause is no pause of the others
    }
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        awake -= w->hosts[i]->paused_total_ns;
    }
    return awake;
}

struct env_event host_event(const struct host *h, enum env_event_type type)
{
    return (struct env_event){.type = type, .now = h->env.now, .wall = h->env.wall};
}

static void deliver(struct host *h, const struct inbox_item *it)
{
    struct env_event ev;
    switch (it->kind) {
    case INBOX_TIMER:
        ev = host_event(h, ENV_TIMER);
        node_step(h->node, &ev);
        break;
    case INBOX_JOB:
        ev = host_event(h, ENV_JOB_DONE);
        ev.job = it->job;
        node_step(h->node, &ev);
        break;
    case INBOX_STOP:
        ev = host_event(h, ENV_STOP);
        node_step(h->node, &ev);
        break;
    case INBOX_DIAL_FAILED:
        host_deliver_dial_failed(h, it);
        break;
    default:
        host_deliver_link(h, it);
        break;
    }
}

static void set_time(struct host *h)
{
    h->env.now = clock_mono(&h->clock, h->w->now_ns);
    h->env.wall = clock_wall(&h->clock, h->w->now_ns);
}

static void after_turn(struct host *h)
{
    struct world *w = h->w;
    bool failed;
    check_tree_follow(w->check, h);
    if (++h->turns % CHECK_EVERY_TURNS == 0) {
        node_check(h->node);
    }
    if (!node_stopped(h->node, &failed)) {
        if (h->stopping && w->now_ns - h->stop_since_ns > STOP_MAX_S * SIM_S + h->paused_total_ns) {
            report_fail(&w->report, "host %u was asked to stop %d s ago and has not", h->index,
                        STOP_MAX_S);
        }
        return;
    }
    report_line(&w->report, "host %u: the server has stopped%s", h->index,
                failed ? ", failed" : "");
    if (failed ? !h->may_fail : !h->stopping) {
        report_fail(&w->report, "host %u stopped by itself%s", h->index, failed ? ", failed" : "");
    }
    bool again = w->phase < PHASE_STOP;
    host_down(h, false);
    if (again) {
        host_boot_later(h, world_delay(w, 500 * SIM_MS));
    }
}

void host_on_turn(struct host *h)
{
    struct world *w = h->w;
    h->turn_due = false;
    if (!h->node) {
        return;
    }
    if (h->paused_until_ns > w->now_ns) {
        turn_soon(h);
        return;
    }
    set_time(h);
    w->fig.turns++;
    size_t n = h->inbox_n;
    if (n > 1 && world_chance(w, 1, 2)) {
        n = 1 + (size_t)world_below(w, n);
    }
    for (size_t i = 0; i < n; i++) {
        struct inbox_item it = h->inbox[i]; // the inbox may move while the server works
        deliver(h, &it);
    }
    h->inbox_n -= n;
    if (n) {
        memmove(h->inbox, h->inbox + n, h->inbox_n * sizeof(*h->inbox));
    }
    node_turn(h->node);
    if (h->inbox_n) {
        turn_soon(h);
    }
    after_turn(h);
}

void host_on_timer(struct host *h)
{
    host_post(h, (struct inbox_item){.kind = INBOX_TIMER});
}

void host_stop(struct host *h)
{
    if (h->node && !h->stopping) {
        report_line(&h->w->report, "host %u is asked to stop", h->index);
        h->stopping = true;
        h->stop_since_ns = h->w->now_ns;
        host_post(h, (struct inbox_item){.kind = INBOX_STOP});
    }
}

// ---- jobs ------------------------------------------------------------------------------------

static int64_t job_delay(struct host *h)
{
    int64_t d = world_delay(h->w, h->job_delay_ns);
    int64_t stuck = h->stuck_until_ns - h->w->now_ns;
    return stuck > d ? stuck : d;
}

static void start_next(struct host *h, enum env_lane lane)
{
    struct lane *l = &h->lanes[lane];
    l->busy = l->n > 0;
    l->ran = false;
    if (l->busy) {
        world_later(
            h->w, job_delay(h),
            (struct sched_event){.kind = SCHED_JOB_RUN, .a = h->index, .b = lane, .gen = h->boot});
    }
}

void host_on_job_run(struct host *h, enum env_lane lane)
{
    struct lane *l = &h->lanes[lane];
    l->ran = true;
    l->jobs[0]->run(l->jobs[0]);
    if (crashdisk_is_down(h->disk)) {
        report_line(&h->w->report, "host %u dies in a disk job", h->index);
        host_down(h, !h->kill_only);
        host_boot_later(h, world_delay(h->w, 500 * SIM_MS));
        return;
    }
    world_later(
        h->w, job_delay(h),
        (struct sched_event){.kind = SCHED_JOB_DONE, .a = h->index, .b = lane, .gen = h->boot});
}

static struct env_job *take(struct lane *l)
{
    struct env_job *job = l->jobs[0];
    memmove(l->jobs, l->jobs + 1, --l->n * sizeof(l->jobs[0]));
    return job;
}

void host_on_job_done(struct host *h, enum env_lane lane)
{
    struct lane *l = &h->lanes[lane];
    if (l->busy) {
        host_post(h, (struct inbox_item){.kind = INBOX_JOB, .job = take(l)});
    }
    start_next(h, lane);
}

// ---- life ------------------------------------------------------------------------------------

// Ends what is unfinished, so that nothing is in flight when the node is freed.
static void finish_jobs(struct host *h)
{
    struct inbox_item it = {.kind = INBOX_JOB};
    for (size_t i = 0; i < h->inbox_n; i++) {
        if (h->inbox[i].kind == INBOX_JOB) {
            deliver(h, &h->inbox[i]);
        }
    }
    h->inbox_n = 0;
    for (int rounds = 0; h->lanes[0].n + h->lanes[1].n > 0; rounds++) {
        must(rounds < 1000);
        for (int lane = 0; lane < ENV_LANES; lane++) {
            struct lane *l = &h->lanes[lane];
            if (l->n == 0) {
                continue;
            }
            it.job = take(l);
            if (!l->ran) {
                it.job->run(it.job);
            }
            l->ran = false;
            deliver(h, &it);
        }
    }
}

void host_down(struct host *h, bool power)
{
    if (!h->node) {
        return;
    }
    report_line(&h->w->report, "host %u goes down, %s", h->index,
                power ? "power cut" : "process ends");
    h->dropping = true;
    int64_t left = h->paused_until_ns - h->w->now_ns; // of a pause that ends with the process
    h->paused_total_ns -= h->pause_counts && left > 0 ? left : 0;
    h->paused_until_ns = 0;
    // A process that ended by itself has nothing in flight; for the others nothing works any more.
    crashdisk_crash_after(h->disk, 1);
    finish_jobs(h);
    host_net_down(h, power);
    node_free(&h->node);
    trail_end(h);
    crashdisk_down(h->disk, power);
    for (int lane = 0; lane < ENV_LANES; lane++) {
        h->lanes[lane] = (struct lane){0};
    }
    h->boot++;
    h->timer_gen++;
    h->dropping = h->turn_due = h->stopping = false;
}

void host_boot_later(struct host *h, int64_t in_ns)
{
    world_later(h->w, in_ns,
                (struct sched_event){.kind = SCHED_BOOT, .a = h->index, .gen = h->boot});
}

static bool may_refuse_to_start(const struct host *h, enum err e)
{
    return e == ERR_CRASHED || (e == ERR_NOSPACE && h->full_now) || (e == ERR_IO && h->may_fail);
}

void host_boot(struct host *h)
{
    struct world *w = h->w;
    must(!h->node);
    crashdisk_up(h->disk);
    if (w->faults.weight[FAULT_POWER_IN_JOB] && w->phase == PHASE_STORM && world_chance(w, 1, 6)) {
        crashdisk_crash_after(h->disk, 1 + world_below(w, 60)); // it dies while it recovers
        h->kill_only = world_chance(w, 1, 2);
    }
    h->boots++;
    tamper_boot(h);
    h->clock.mono_offset_ns = (int64_t)world_below(w, 1000) * SIM_S;
    h->paused_until_ns = 0;
    set_time(h);
    h->booted_ns = w->now_ns;
    h->env.ops = &host_env_ops;
    h->env.log = (struct logger){log_line, h, w->report.silent ? LOG_ERROR : LOG_DEBUG};
    h->env.seed = rng_next(&w->rng);
    w->fig.boots++;
    report_line(&w->report, "host %u boots", h->index);
    enum err e = node_new(&h->env, &h->cfg, &h->node);
    if (e) {
        report_line(&w->report, "host %u did not start: %s", h->index, err_text(e));
        if (!may_refuse_to_start(h, e)) {
            report_fail(&w->report, "host %u does not start: %s", h->index, err_text(e));
        }
        must(!h->node);
        h->boot++;
        bool power = crashdisk_is_down(h->disk) && !h->kill_only;
        crashdisk_down(h->disk, power);
        host_boot_later(h, world_delay(w, 500 * SIM_MS));
        return;
    }
    check_tree_boot(w->check, h);
    turn_soon(h); // as the event loop does when it begins
}
