// SPDX-License-Identifier: Apache-2.0
//
// A semaphore of one, two or three leases, of which each guest has at most one. check_guest counts.
#include "base/mem.h"
#include "reeve/semaphore.h"
#include "sim/guest_job.h"
#include "sim/world.h"

enum { LEASES_MAX = 3 };

struct semaphore {
    struct rng rng;
    struct job job;
};

static enum reeve_error make(struct job *j, const struct reeve_lock_options *o)
{
    int32_t limit = (int32_t)guest_world(j->g)->things[THING_SEMAPHORE].parts;
    return reeve_semaphore_new(&j->lock, j->g->zk, GUESTS_PATH "/semaphore", limit, o);
}

static void *start(struct guest *g, void *board, uint64_t seed)
{
    struct semaphore *k = mem_zalloc(sizeof(*k));
    struct world *w = guest_world(g);
    (void)board;
    k->rng.state = seed;
    w->things[THING_SEMAPHORE].parts = 1 + (uint32_t)(w->opt.seed % LEASES_MAX);
    k->job = (struct job){.g = g,
                          .rng = &k->rng,
                          .thing = THING_SEMAPHORE,
                          .name = "lease",
                          .make = make,
                          .layout = (enum reeve_layout)(w->opt.seed / LEASES_MAX % 2),
                          .shares = true};
    job_start(&k->job);
    return k;
}

static void tick(void *part)
{
    struct semaphore *k = part;
    job_tick(&k->job);
}

static void leave(void *part)
{
    struct semaphore *k = part;
    job_leave(&k->job);
}

static void check_calm(void *part)
{
    const struct semaphore *k = part;
    job_check_calm(&k->job);
}

static void finish(void *part)
{
    struct semaphore *k = part;
    job_check_over(&k->job);
    mem_free(k);
}

const struct guest_part guest_semaphore = {.name = "semaphore",
                                           .start = start,
                                           .tick = tick,
                                           .leave = leave,
                                           .check_calm = check_calm,
                                           .free = finish};
