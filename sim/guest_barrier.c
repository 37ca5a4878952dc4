// SPDX-License-Identifier: Apache-2.0
//
// A double barrier, round after round. In each round some guests, all of whom the barrier needs,
// enter, stay a moment and leave. The board, which all guests see at once, says what they must see:
// - nobody passes before all of them were, at one moment, on their way in;
// - nobody is told that all have left while another one, awake, is inside;
// - whoever waits comes through when the others are there, or gone.
//
//     AWAY --enter--> ENTERING --> INSIDE --leave--> LEAVING --> DONE
//            ^--timeout, session--/   \--session lost--> DONE
//
// Who enters a second time, because it was thrown out, may find the barrier open, or deserted: then
// it gives up. When a guest gives up before the barrier was passed, the round is spoilt, and all
// do.
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "reeve/barrier.h"
#include "sim/guest_work.h"
#include "sim/world.h"

enum {
    STAYS_MAX = 32,
    STAY_MS = 400,
    PATIENCE_S = 12,
    LINGER_S = 15 // longer than a session lives that its client has lost
};

enum member_state { AWAY, ENTERING, INSIDE, LEAVING, DONE };

// A time during which its node may have been there.
struct stay {
    int64_t from_ns, until_ns;
};

struct member {
    bool takes_part;
    enum member_state state;
    int64_t since_ns;
    uint32_t tries;
    struct stay stays[STAYS_MAX];
    size_t stays_n;
};

struct barriers {
    struct rng rng;
    uint32_t round, node; // the node's number: it is used again when all have left as they should
    uint32_t members_n;
    struct member members[CLIENTS_MAX];
    bool passed, spoilt, emptied;
};

struct barrier {
    struct guest *g;
    struct barriers *all;
    struct rng rng;
    struct reeve_double_barrier *zk;
    struct member *me;
    uint32_t node, members_n; // zk's
    int64_t until_ns;
    bool calling;
};

// ---- rounds -------------------------------------------------------------------------------------

static void next_round(struct barriers *all, struct world *w)
{
    uint32_t guests = (uint32_t)w->opt.guests, first = w->clients_n - guests;
    all->round++;
    all->node += !all->emptied || all->spoilt || rng_chance(&all->rng, 1, 3);
    all->passed = all->spoilt = all->emptied = false;
    all->members_n = 1 + (uint32_t)rng_below(&all->rng, guests);
    for (uint32_t i = 0, left = all->members_n; i < guests; i++) {
        bool in = rng_chance(&all->rng, left, guests - i);
        all->members[first + i] =
            (struct member){.takes_part = in, .state = in ? AWAY : DONE, .since_ns = w->now_ns};
        left -= in;
    }
    report_line(&w->report, "barrier: round %u at node %u of %u members", all->round, all->node,
                all->members_n);
}

static void *board_new(struct world *w, uint64_t seed)
{
    struct barriers *all = mem_zalloc(sizeof(*all));
    all->rng.state = seed;
    (void)w;
    return all;
}

static void board_free(void *board)
{
    mem_free(board);
}

static bool round_over(const struct barriers *all)
{
    bool over = true;
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        over &= !all->members[i].takes_part || all->members[i].state == DONE;
    }
    return over;
}

static void set_state(struct barrier *b, enum member_state state)
{
    struct world *w = guest_world(b->g);
    static const char *const names[] = {"away", "entering", "inside", "leaving", "done"};
    report_line(&w->report, "guest %u: barrier: %s", b->g->c->index, names[state]);
    b->me->state = state;
    b->me->since_ns = w->now_ns;
}

static bool was_in(const struct member *m, int64_t at_ns)
{
    bool in = false;
    for (size_t i = 0; i < m->stays_n; i++) {
        in |= m->stays[i].from_ns <= at_ns && at_ns <= m->stays[i].until_ns;
    }
    return in;
}

static bool all_were_in(const struct barriers *all, int64_t at_ns)
{
    bool in = true;
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        in &= !all->members[i].takes_part || was_in(&all->members[i], at_ns);
    }
    return in;
}

// If all were in at some moment, they were when the last one of them came.
static bool may_pass(const struct barriers *all)
{
    bool may = false;
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        const struct member *m = &all->members[i];
        for (size_t k = 0; k < m->stays_n; k++) {
            may |= all_were_in(all, m->stays[k].from_ns);
        }
    }
    return may;
}

// ---- what it is told ----------------------------------------------------------------------------

static void give_up(struct barrier *b)
{
    b->all->spoilt |= !b->all->passed;
    set_state(b, DONE);
}

static void thrown_out(struct barrier *b, enum reeve_error e)
{
    struct world *w = guest_world(b->g);
    if (!guest_may_fail(w, e)) {
        report_fail(&w->report, "guest %u: an enter fails: %s", b->g->c->index,
                    reeve_error_name(e));
    }
    bool gone = e == REEVE_OPERATION_TIMEOUT;
    b->me->stays[b->me->stays_n - 1].until_ns = w->now_ns + (gone ? 0 : LINGER_S * SIM_S);
    if (b->all->passed || b->all->spoilt || b->me->stays_n == STAYS_MAX) {
        give_up(b);
    } else {
        set_state(b, AWAY);
    }
}

static void on_entered(void *ctx, enum reeve_error e)
{
    struct barrier *b = ctx;
    struct world *w = guest_world(b->g);
    b->calling = false;
    if (b->me->state != ENTERING) {
        return; // it was freed
    }
    if (e) {
        thrown_out(b, e);
        return;
    }
    set_state(b, INSIDE);
    b->until_ns = w->now_ns + (int64_t)rng_below(&b->rng, STAY_MS) * SIM_MS;
    w->fig.grants++;
    if (!b->all->passed && !may_pass(b->all)) {
        report_fail(&w->report, "guest %u has passed the barrier, and not all %u were there",
                    b->g->c->index, b->all->members_n);
    }
    b->all->passed = true;
}

static void on_lost(void *ctx)
{
    struct barrier *b = ctx;
    if (b->me->state != INSIDE) {
        report_fail(&guest_world(b->g)->report, "guest %u is thrown out of the barrier in state %d",
                    b->g->c->index, (int)b->me->state);
    }
    set_state(b, DONE);
}

// Whether this one must have been waited for.
static bool is_inside(const struct world *w, const struct barriers *all, uint32_t i)
{
    const struct member *m = &all->members[i];
    return m->takes_part && m->state == INSIDE && m->tries == 1 &&
           !guest_is_paused(w->clients[i]->guest) && !check_guest_cut_off(w);
}

static void on_left(void *ctx, enum reeve_error e)
{
    struct barrier *b = ctx;
    struct world *w = guest_world(b->g);
    b->calling = false;
    if (b->me->state != LEAVING) {
        return; // it was freed
    }
    if (e && !guest_may_fail(w, e)) {
        report_fail(&w->report, "guest %u: a leave fails: %s", b->g->c->index, reeve_error_name(e));
    }
    for (uint32_t i = 0; !e && i < w->clients_n; i++) {
        if (i != b->g->c->index && is_inside(w, b->all, i)) {
            report_fail(&w->report, "guest %u has left, all of them it is told; guest %u is inside",
                        b->g->c->index, i);
        }
    }
    b->all->emptied |= !e;
    set_state(b, DONE);
}

// ---- what it does -------------------------------------------------------------------------------

static void open_barrier(struct barrier *b)
{
    char path[48];
    struct reeve_double_barrier_options o = {.lost = on_lost, .ctx = b};
    b->node = b->all->node;
    b->members_n = b->all->members_n;
    snprintf(path, sizeof(path), "%s/barrier-%u", GUESTS_PATH, b->node);
    must(!reeve_double_barrier_new(&b->zk, b->g->zk, path, b->all->members_n, &o));
}

static int64_t draw_timeout(struct barrier *b, bool may_wait)
{
    static const int64_t timeouts_ms[] = {300, 2000, 20000, 20000, -1, -1, -1};
    bool calm = guest_world(b->g)->phase != PHASE_STORM;
    return timeouts_ms[calm ? (may_wait ? 4 : 3) : rng_below(&b->rng, may_wait ? 7 : 3)];
}

static void enter(struct barrier *b)
{
    struct member *m = b->me;
    int64_t timeout_ms = draw_timeout(b, m->tries == 0);
    m->stays[m->stays_n++] = (struct stay){guest_world(b->g)->now_ns, INT64_MAX};
    m->tries++;
    set_state(b, ENTERING);
    b->calling = true;
    enum reeve_error e = reeve_double_barrier_enter_async(b->zk, timeout_ms, on_entered, b);
    if (e) {
        on_entered(b, e);
    }
}

static void begin_leave(struct barrier *b)
{
    set_state(b, LEAVING);
    b->calling = true;
    enum reeve_error e = reeve_double_barrier_leave_async(b->zk, draw_timeout(b, true), on_left, b);
    if (e) {
        on_left(b, e);
    }
}

// It goes without leaving.
static void walk_out(struct barrier *b)
{
    if (b->me->state != DONE) {
        give_up(b);
    }
    if (b->zk) {
        reeve_double_barrier_free(&b->zk);
    }
}

static void tick_inside(struct barrier *b)
{
    if (guest_world(b->g)->now_ns >= b->until_ns) {
        begin_leave(b);
    }
}

static void tick_away(struct barrier *b)
{
    if (b->calling || !rng_chance(&b->rng, 1, 30)) {
        return;
    }
    if (b->zk && (b->node != b->all->node || b->members_n != b->all->members_n)) {
        reeve_double_barrier_free(&b->zk);
    }
    if (!b->zk) {
        open_barrier(b);
    }
    enter(b);
}

static void tick(void *part)
{
    struct barrier *b = part;
    struct barriers *all = b->all;
    bool storm = guest_world(b->g)->phase == PHASE_STORM;
    if (round_over(all)) {
        next_round(all, guest_world(b->g));
    }
    if (b->me->state == DONE) {
        return;
    }
    if ((all->spoilt && b->me->state != LEAVING) || (storm && rng_chance(&b->rng, 1, 1500))) {
        walk_out(b);
    } else if (b->me->state == AWAY) {
        tick_away(b);
    } else if (b->me->state == INSIDE) {
        tick_inside(b);
    }
}

// ---- as a part ----------------------------------------------------------------------------------

static void *start(struct guest *g, void *board, uint64_t seed)
{
    struct barrier *b = mem_zalloc(sizeof(*b));
    *b = (struct barrier){.g = g, .all = board, .rng = {seed}};
    b->me = &b->all->members[g->c->index];
    return b;
}

static void leave(void *part)
{
    walk_out(part);
}

// The last time anything happened to the others that this one may have to wait for.
static int64_t others_since_ns(const struct barriers *all, const struct member *me, bool *wait)
{
    int64_t since_ns = 0;
    *wait = false;
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        const struct member *m = &all->members[i];
        if (m->takes_part && m != me) {
            since_ns = m->since_ns > since_ns ? m->since_ns : since_ns;
            *wait |= me->state == ENTERING ? m->state == AWAY : m->state < LEAVING;
        }
    }
    return since_ns;
}

static void check_calm(void *part)
{
    const struct barrier *b = part;
    struct world *w = guest_world(b->g);
    bool wait, comes = b->me->state == ENTERING, goes = b->me->state == LEAVING;
    int64_t since_ns = others_since_ns(b->all, b->me, &wait);
    since_ns = b->me->since_ns > since_ns ? b->me->since_ns : since_ns;
    bool may_be_late = comes && b->me->tries > 1; // the barrier may be deserted
    if ((comes || goes) && !wait && !may_be_late && w->now_ns - since_ns > PATIENCE_S * SIM_S) {
        report_fail(&w->report, "guest %u waits in state %d of the barrier for %" PRId64 " ms",
                    b->g->c->index, (int)b->me->state, (w->now_ns - since_ns) / SIM_MS);
    }
}

static void finish(void *part)
{
    struct barrier *b = part;
    if (b->calling) {
        report_fail(&guest_world(b->g)->report, "guest %u: a call of the barrier is never answered",
                    b->g->c->index);
    }
    mem_free(b);
}

const struct guest_part guest_barrier = {.name = "barrier",
                                         .board_new = board_new,
                                         .board_free = board_free,
                                         .start = start,
                                         .tick = tick,
                                         .leave = leave,
                                         .check_calm = check_calm,
                                         .free = finish};
