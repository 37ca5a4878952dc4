// SPDX-License-Identifier: Apache-2.0
//
// A read/write lock: each guest has a handle that reads and a handle that writes, of which it uses
// one at a time. check_guest sees to it that there are readers, or one writer.
#include "base/mem.h"
#include "reeve/rwlock.h"
#include "sim/guest_job.h"
#include "sim/world.h"

struct rwlock {
    struct rng rng;
    struct job jobs[2]; // reader, writer
};

static const char path[] = GUESTS_PATH "/rwlock";

static enum reeve_error make_reader(struct job *j, const struct reeve_lock_options *o)
{
    return reeve_rwlock_reader_new(&j->lock, j->g->zk, path, o);
}

static enum reeve_error make_writer(struct job *j, const struct reeve_lock_options *o)
{
    return reeve_rwlock_writer_new(&j->lock, j->g->zk, path, o);
}

static void *start(struct guest *g, void *board, uint64_t seed)
{
    struct rwlock *k = mem_zalloc(sizeof(*k));
    struct world *w = guest_world(g);
    (void)board;
    k->rng.state = seed;
    w->things[THING_RWLOCK].parts = GUESTS_MAX;
    for (int i = 0; i < 2; i++) {
        k->jobs[i] = (struct job){.g = g,
                                  .rng = &k->rng,
                                  .thing = THING_RWLOCK,
                                  .name = i ? "write lock" : "read lock",
                                  .make = i ? make_writer : make_reader,
                                  .layout = (enum reeve_layout)(w->opt.seed % 2),
                                  .shares = i == 0};
        job_start(&k->jobs[i]);
    }
    return k;
}

// One at a time: who has one of the two and waits for the other waits for itself.
static void tick(void *part)
{
    struct rwlock *k = part;
    struct job *busy = k->jobs[0].state ? &k->jobs[0] : k->jobs[1].state ? &k->jobs[1] : NULL;
    job_tick(busy ? busy : &k->jobs[rng_chance(&k->rng, 1, 3)]);
}

static void leave(void *part)
{
    struct rwlock *k = part;
    job_leave(&k->jobs[0]);
    job_leave(&k->jobs[1]);
}

static void check_calm(void *part)
{
    struct rwlock *k = part;
    job_check_calm(&k->jobs[0]);
    job_check_calm(&k->jobs[1]);
}

static void finish(void *part)
{
    struct rwlock *k = part;
    job_check_over(&k->jobs[0]);
    job_check_over(&k->jobs[1]);
    mem_free(k);
}

const struct guest_part guest_rwlock = {.name = "rwlock",
                                        .start = start,
                                        .tick = tick,
                                        .leave = leave,
                                        .check_calm = check_calm,
                                        .free = finish};
