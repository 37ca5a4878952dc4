// SPDX-License-Identifier: Apache-2.0
#include "sim/guest_work.h"

#include <string.h>

#include "base/mem.h"
#include "sim/world.h"

// New ones at the end: a part draws by its place.
// clang-format off
static const struct guest_part *const parts[] = {
    &guest_calls,
    &guest_locks,
    &guest_cache,
    &guest_partition,
    &guest_group,
    &guest_discovery,
    &guest_rwlock,
    &guest_semaphore,
    &guest_counter,
    &guest_barrier,
    &guest_queue,
};
// clang-format on

enum {
    PARTS = sizeof(parts) / sizeof(parts[0]),
    PARTS_MAX = 32,
    AT_ONCE = 3, // beside the plain calls: a run must not take long
    BY_SEED = 0x9a27,
    BOARDS = 1 << 16
};
_Static_assert((int)PARTS <= (int)PARTS_MAX, "a bit each");

struct guest_common {
    unsigned parts; // bits
    void *boards[PARTS];
};

struct guest_work {
    const struct guest_common *common;
    void *parts[PARTS];
};

struct world *guest_world(const struct guest *g)
{
    return g->c->w;
}

bool guest_may_lose(const struct world *w, enum reeve_error why)
{
    return why == REEVE_SESSION_EXPIRED || (why == REEVE_NO_NODE && check_guest_cut_off(w));
}

bool guest_may_fail(const struct world *w, enum reeve_error e)
{
    switch (e) {
    case REEVE_SESSION_EXPIRED:
    case REEVE_CANCELLED:
    case REEVE_CLOSED:
    case REEVE_OPERATION_TIMEOUT:
    case REEVE_SYSTEM_ERROR:
        return true;
    case REEVE_BAD_ARGUMENTS:
        return w->conf.observer_masters;
    default:
        return false;
    }
}

// ---- which -----------------------------------------------------------------------------------

static uint64_t seed_of(const struct world *w, uint64_t what)
{
    struct rng r = {w->opt.seed ^ what << 32 ^ BY_SEED};
    return rng_next(&r);
}

static unsigned draw(const struct world *w)
{
    struct rng r = {seed_of(w, 0)};
    unsigned drawn = 1; // plain calls, always
    for (int n = 0; n < AT_ONCE; n++) {
        drawn |= 1u << (1 + rng_below(&r, PARTS - 1));
    }
    return drawn;
}

bool guest_parts_parse(const char *list, unsigned *bits)
{
    bool more = true;
    while (more) {
        size_t n = strcspn(list, ","), i = 0;
        while (i < PARTS && (strlen(parts[i]->name) != n || strncmp(parts[i]->name, list, n))) {
            i++;
        }
        if (i == PARTS) {
            return false;
        }
        *bits |= 1u << i;
        more = list[n] == ',';
        list += n + 1;
    }
    return true;
}

// ---- all guests ------------------------------------------------------------------------------

struct guest_common *guest_common_new(struct world *w)
{
    struct guest_common *c = mem_zalloc(sizeof(*c));
    if (w->opt.guests) {
        c->parts = w->opt.parts ? w->opt.parts : draw(w);
    }
    for (size_t i = 0; i < PARTS; i++) {
        if ((c->parts & 1u << i) && parts[i]->board_new) {
            c->boards[i] = parts[i]->board_new(w, seed_of(w, BOARDS + i));
        }
    }
    return c;
}

void guest_common_end(struct guest_common *c, struct world *w)
{
    for (size_t i = 0; i < PARTS; i++) {
        if (c->boards[i] && parts[i]->board_end) {
            parts[i]->board_end(c->boards[i], w);
        }
    }
}

void guest_common_free(struct guest_common **cp)
{
    struct guest_common *c = *cp;
    *cp = NULL;
    for (size_t i = 0; i < PARTS; i++) {
        if (c->boards[i]) {
            parts[i]->board_free(c->boards[i]);
        }
    }
    mem_free(c);
}

// ---- one -------------------------------------------------------------------------------------

struct guest_work *guest_work_new(struct guest *g)
{
    struct world *w = guest_world(g);
    struct guest_work *k = mem_zalloc(sizeof(*k));
    k->common = w->guests;
    for (size_t i = 0; i < PARTS; i++) {
        if (k->common->parts & 1u << i) {
            uint64_t seed = seed_of(w, 1 + i + (uint64_t)g->c->index * PARTS_MAX);
            k->parts[i] = parts[i]->start(g, k->common->boards[i], seed);
        }
    }
    return k;
}

void guest_work_tick(struct guest_work *k)
{
    for (size_t i = 0; i < PARTS; i++) {
        if (k->parts[i]) {
            parts[i]->tick(k->parts[i]);
        }
    }
}

void guest_work_woke(struct guest_work *k)
{
    for (size_t i = 0; i < PARTS; i++) {
        if (k->parts[i] && parts[i]->woke) {
            parts[i]->woke(k->parts[i]);
        }
    }
}

void guest_work_leave(struct guest_work *k)
{
    for (size_t i = 0; i < PARTS; i++) {
        if (k->parts[i]) {
            parts[i]->leave(k->parts[i]);
        }
    }
}

void guest_work_check_calm(struct guest_work *k)
{
    for (size_t i = 0; i < PARTS; i++) {
        if (k->parts[i] && parts[i]->check_calm) {
            parts[i]->check_calm(k->parts[i]);
        }
    }
}

void guest_work_free(struct guest_work **kp)
{
    struct guest_work *k = *kp;
    *kp = NULL;
    for (size_t i = PARTS; i > 0; i--) {
        if (k->parts[i - 1]) {
            parts[i - 1]->free(k->parts[i - 1]);
        }
    }
    mem_free(k);
}
