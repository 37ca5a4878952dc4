// SPDX-License-Identifier: Apache-2.0
//
// Two locks and an election that all guests contend for, each guest in the layout it likes. What a
// recipe says is told to check_guest at once; what the guest gives back, before it gives it back.
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "reeve/election.h"
#include "sim/guest_job.h"
#include "sim/world.h"

enum { LOCKS = 2, PATIENCE_S = 10 };

struct locks {
    struct guest *g;
    struct job jobs[LOCKS];
    struct reeve_election *election;
    bool joined, leads, leaving;
    int64_t joined_ns;
};

static struct world *world_of(const struct locks *k)
{
    return guest_world(k->g);
}

static enum reeve_error make_lock(struct job *j, const struct reeve_lock_options *o)
{
    char path[32];
    snprintf(path, sizeof(path), "%s/lock-%u", GUESTS_PATH, j->thing);
    return reeve_lock_new(&j->lock, j->g->zk, path, o);
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
    k->joined = false;
    if (!k->leaving && !guest_may_fail(world_of(k), why)) {
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
        k->jobs[i] = (struct job){.g = g,
                                  .rng = &guest_world(g)->rng,
                                  .thing = THING_LOCK + i,
                                  .name = "lock",
                                  .make = make_lock,
                                  .any_layout = true};
        job_start(&k->jobs[i]);
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
        job_tick(&k->jobs[i]);
    }
    tick_election(k);
}

static void leave(void *part)
{
    struct locks *k = part;
    k->leaving = true;
    for (uint32_t i = 0; i < LOCKS; i++) {
        job_leave(&k->jobs[i]);
    }
    step_down(k);
    reeve_election_free(&k->election);
}

static void check_calm(void *part)
{
    struct locks *k = part;
    struct world *w = world_of(k);
    for (uint32_t i = 0; i < LOCKS; i++) {
        job_check_calm(&k->jobs[i]);
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
        job_check_over(&k->jobs[i]);
    }
    mem_free(k);
}

const struct guest_part guest_locks = {.name = "locks",
                                       .start = start,
                                       .tick = tick,
                                       .leave = leave,
                                       .check_calm = check_calm,
                                       .free = finish};
