// SPDX-License-Identifier: Apache-2.0
//
// Two locks and an election that all guests contend for, each guest in the layout it likes. What a
// recipe says is told to check_guest at once; what the guest gives back, before it gives it back.
#include "sim/guest_work.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "reeve/election.h"
#include "reeve/lock.h"
#include "sim/world.h"

enum { LOCKS = 2, HOLD_MS = 1500, PATIENCE_S = 10 };

struct lock_job {
    struct locks *work;
    uint32_t thing;
    struct reeve_lock *lock;
    enum job_state { JOB_IDLE, JOB_ASKED, JOB_HELD } state;
    int64_t since_ns, until_ns;
};

struct locks {
    struct guest *g;
    struct lock_job jobs[LOCKS];
    struct reeve_election *election;
    bool joined, leads, leaving;
    int64_t joined_ns;
};

static struct world *world_of(const struct locks *k)
{
    return guest_world(k->g);
}

// ---- locks -----------------------------------------------------------------------------------

static void set_job(struct lock_job *j, enum job_state state)
{
    j->state = state;
    j->since_ns = world_of(j->work)->now_ns;
}

static void on_acquired(void *ctx, enum reeve_error e, int64_t token)
{
    struct lock_job *j = ctx;
    struct world *w = world_of(j->work);
    if (j->state != JOB_ASKED) {
        report_fail(&w->report, "guest %u: an acquire of lock %u is answered twice",
                    j->work->g->c->index, j->thing);
    } else if (e) {
        report_line(&w->report, "guest %u does not get lock %u: %s", j->work->g->c->index, j->thing,
                    reeve_error_name(e));
        set_job(j, JOB_IDLE);
    } else {
        set_job(j, JOB_HELD);
        j->until_ns = w->now_ns + (int64_t)world_below(w, HOLD_MS) * SIM_MS;
        check_guest_gain(w, j->work->g->c->index, j->thing, token);
    }
}

static void on_lock_lost(void *ctx, enum reeve_error why)
{
    struct lock_job *j = ctx;
    struct world *w = world_of(j->work);
    if (j->state != JOB_HELD || !guest_may_lose(w, why)) {
        report_fail(&w->report, "guest %u loses lock %u in state %d: %s", j->work->g->c->index,
                    j->thing, (int)j->state, reeve_error_name(why));
    }
    set_job(j, JOB_IDLE);
    if (w->opt.plant != PLANT_NO_LOST) {
        check_guest_lose(w, j->work->g->c->index, j->thing);
    }
}

static void give_back(struct lock_job *j)
{
    if (j->state == JOB_HELD) {
        check_guest_lose(world_of(j->work), j->work->g->c->index, j->thing);
        set_job(j, JOB_IDLE);
    }
}

static void new_lock(struct lock_job *j)
{
    struct world *w = world_of(j->work);
    char path[32];
    snprintf(path, sizeof(path), "%s/lock-%u", GUESTS_PATH, j->thing);
    struct reeve_lock_options o = {
        .layout = (enum reeve_layout)world_below(w, 2), .on_lost = on_lock_lost, .ctx = j};
    must(!reeve_lock_new(&j->lock, j->work->g->zk, path, &o));
}

static void acquire(struct lock_job *j)
{
    static const int64_t timeouts_ms[] = {-1, -1, 0, 300, 2000, 20000};
    struct world *w = world_of(j->work);
    int64_t timeout_ms = timeouts_ms[world_below(w, 6)];
    set_job(j, JOB_ASKED);
    if (reeve_lock_acquire_async(j->lock, timeout_ms, on_acquired, j)) {
        set_job(j, JOB_IDLE);
    }
}

static void tick_job(struct lock_job *j)
{
    struct world *w = world_of(j->work);
    if (j->state == JOB_IDLE && world_chance(w, 1, 20)) {
        acquire(j);
    } else if (j->state == JOB_ASKED && world_chance(w, 1, 400)) {
        reeve_lock_cancel(j->lock);
    } else if (j->state == JOB_HELD && w->now_ns >= j->until_ns) {
        give_back(j);
        reeve_lock_release_async(j->lock, NULL, NULL);
    } else if (world_chance(w, 1, 400)) {
        give_back(j);
        reeve_lock_free(&j->lock); // whatever state it is in
        new_lock(j);
    }
}

// ---- the election ----------------------------------------------------------------------------

static void on_gained(void *ctx, int64_t token)
{
    struct locks *k = ctx;
    k->leads = true;
    check_guest_gain(world_of(k), k->g->c->index, THING_LEADER, token);
}

static void on_lost(void *ctx, enum reeve_error why)
{
    struct locks *k = ctx;
    if (!k->leads || !guest_may_lose(world_of(k), why)) {
        report_fail(&world_of(k)->report, "guest %u loses the lead (it had it: %d): %s",
                    k->g->c->index, (int)k->leads, reeve_error_name(why));
    }
    k->leads = false;
    check_guest_lose(world_of(k), k->g->c->index, THING_LEADER);
}

static void on_failed(void *ctx, enum reeve_error why)
{
    struct locks *k = ctx;
    // A full disk refuses its node, and for a tick an observer master whom it does not expect
    // there.
    bool refused = why == REEVE_SYSTEM_ERROR ||
                   (why == REEVE_BAD_ARGUMENTS && world_of(k)->conf.observer_masters);
    k->joined = false;
    if (!k->leaving && !refused) {
        report_fail(&world_of(k)->report, "guest %u can take part no longer: %s", k->g->c->index,
                    reeve_error_name(why));
    }
}

static void step_down(struct locks *k)
{
    if (k->leads) {
        k->leads = false;
        check_guest_lose(world_of(k), k->g->c->index, THING_LEADER);
    }
}

static void tick_election(struct locks *k)
{
    struct world *w = world_of(k);
    if (!k->joined && world_chance(w, 1, 20)) {
        k->joined = !reeve_election_join(k->election);
        k->joined_ns = w->now_ns;
    } else if (k->leads && world_chance(w, 1, 150)) {
        step_down(k);
        must(!reeve_election_resign(k->election));
    } else if (k->joined && w->phase == PHASE_STORM && world_chance(w, 1, 500)) {
        step_down(k);
        k->joined = false;
        reeve_election_leave_async(k->election, NULL, NULL);
    }
}

// ---- together --------------------------------------------------------------------------------

static void *start(struct guest *g, void *board, uint64_t seed)
{
    struct locks *k = mem_zalloc(sizeof(*k));
    (void)board;
    (void)seed;
    k->g = g;
    for (uint32_t i = 0; i < LOCKS; i++) {
        k->jobs[i] = (struct lock_job){.work = k, .thing = THING_LOCK + i};
        new_lock(&k->jobs[i]);
    }
    struct reeve_election_options o = {.layout = REEVE_ELECTION_LATCH,
                                       .id = "guest",
                                       .gained = on_gained,
                                       .lost = on_lost,
                                       .failed = on_failed,
                                       .ctx = k};
    must(!reeve_election_new(&k->election, g->zk, GUESTS_PATH "/leader", &o));
    return k;
}

static void tick(void *part)
{
    struct locks *k = part;
    for (uint32_t i = 0; i < LOCKS; i++) {
        tick_job(&k->jobs[i]);
    }
    tick_election(k);
}

static void leave(void *part)
{
    struct locks *k = part;
    k->leaving = true;
    for (uint32_t i = 0; i < LOCKS; i++) {
        give_back(&k->jobs[i]);
        reeve_lock_free(&k->jobs[i].lock);
    }
    step_down(k);
    reeve_election_free(&k->election);
}

static void check_calm(void *part)
{
    struct locks *k = part;
    struct world *w = world_of(k);
    for (uint32_t i = 0; i < LOCKS; i++) {
        const struct lock_job *j = &k->jobs[i];
        if (j->state == JOB_ASKED && w->now_ns - j->since_ns > PATIENCE_S * SIM_S) {
            report_fail(&w->report, "guest %u has waited %" PRId64 " ms for lock %u",
                        k->g->c->index, (w->now_ns - j->since_ns) / SIM_MS, i);
        }
    }
    const struct thing *t = &w->things[THING_LEADER];
    int64_t from = t->since_ns > k->joined_ns ? t->since_ns : k->joined_ns;
    if (k->joined && !t->believers && w->now_ns - from > PATIENCE_S * SIM_S) {
        report_fail(&w->report, "guest %u takes part, and nobody leads for %" PRId64 " ms",
                    k->g->c->index, (w->now_ns - from) / SIM_MS);
    }
}

static void finish(void *part)
{
    struct locks *k = part;
    for (uint32_t i = 0; i < LOCKS; i++) {
        if (k->jobs[i].state == JOB_ASKED) {
            report_fail(&world_of(k)->report, "guest %u: an acquire of lock %u is never answered",
                        k->g->c->index, i);
        }
    }
    mem_free(k);
}

const struct guest_part guest_locks = {.name = "locks",
                                       .start = start,
                                       .tick = tick,
                                       .leave = leave,
                                       .check_calm = check_calm,
                                       .free = finish};
