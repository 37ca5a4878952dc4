// SPDX-License-Identifier: Apache-2.0
#include "sim/guest_job.h"

#include <inttypes.h>

#include "sim/world.h"

enum { HOLD_MS = 1500, PATIENCE_S = 10 };

static void set_state(struct job *j, enum job_state state)
{
    j->state = state;
    j->since_ns = guest_world(j->g)->now_ns;
}

static void on_acquired(void *ctx, enum reeve_error e, int64_t token)
{
    struct job *j = ctx;
    struct world *w = guest_world(j->g);
    uint32_t guest = j->g->c->index;
    if (j->state != JOB_ASKED) {
        report_fail(&w->report, "guest %u: an acquire of %s %u is answered twice", guest, j->name,
                    j->thing);
    } else if (e) {
        report_line(&w->report, "guest %u does not get %s %u: %s", guest, j->name, j->thing,
                    reeve_error_name(e));
        set_state(j, JOB_IDLE);
    } else {
        set_state(j, JOB_HELD);
        j->until_ns = w->now_ns + (int64_t)rng_below(j->rng, HOLD_MS) * SIM_MS;
        (j->shares ? check_guest_gain_part : check_guest_gain)(w, guest, j->thing, token);
    }
}

static void on_lost(void *ctx, enum reeve_error why)
{
    struct job *j = ctx;
    struct world *w = guest_world(j->g);
    if (j->state != JOB_HELD || !guest_may_lose(w, why)) {
        report_fail(&w->report, "guest %u loses %s %u in state %d: %s", j->g->c->index, j->name,
                    j->thing, (int)j->state, reeve_error_name(why));
    }
    set_state(j, JOB_IDLE);
    if (w->opt.plant != PLANT_NO_LOST) {
        check_guest_lose(w, j->g->c->index, j->thing);
    }
}

static void give_back(struct job *j)
{
    if (j->state == JOB_HELD) {
        check_guest_lose(guest_world(j->g), j->g->c->index, j->thing);
        set_state(j, JOB_IDLE);
    }
}

void job_start(struct job *j)
{
    enum reeve_layout layout = j->any_layout ? (enum reeve_layout)rng_below(j->rng, 2) : j->layout;
    struct reeve_lock_options o = {.layout = layout, .on_lost = on_lost, .ctx = j};
    must(!j->make(j, &o));
}

static void acquire(struct job *j)
{
    static const int64_t timeouts_ms[] = {-1, -1, 0, 300, 2000, 20000};
    int64_t timeout_ms = timeouts_ms[rng_below(j->rng, 6)];
    set_state(j, JOB_ASKED);
    if (reeve_lock_acquire_async(j->lock, timeout_ms, on_acquired, j)) {
        set_state(j, JOB_IDLE);
    }
}

void job_tick(struct job *j)
{
    struct world *w = guest_world(j->g);
    if (j->state == JOB_IDLE && rng_chance(j->rng, 1, 20)) {
        acquire(j);
    } else if (j->state == JOB_ASKED && rng_chance(j->rng, 1, 400)) {
        reeve_lock_cancel(j->lock);
    } else if (j->state == JOB_HELD && w->now_ns >= j->until_ns) {
        give_back(j);
        reeve_lock_release_async(j->lock, NULL, NULL);
    } else if (rng_chance(j->rng, 1, 400)) {
        give_back(j);
        reeve_lock_free(&j->lock); // whatever state it is in
        job_start(j);
    }
}

void job_leave(struct job *j)
{
    give_back(j);
    reeve_lock_free(&j->lock);
}

void job_check_calm(const struct job *j)
{
    struct world *w = guest_world(j->g);
    if (j->state == JOB_ASKED && w->now_ns - j->since_ns > PATIENCE_S * SIM_S) {
        report_fail(&w->report, "guest %u has waited %" PRId64 " ms for %s %u", j->g->c->index,
                    (w->now_ns - j->since_ns) / SIM_MS, j->name, j->thing);
    }
}

void job_check_over(const struct job *j)
{
    if (j->state == JOB_ASKED) {
        report_fail(&guest_world(j->g)->report, "guest %u: an acquire of %s %u is never answered",
                    j->g->c->index, j->name, j->thing);
    }
}
