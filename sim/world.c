// SPDX-License-Identifier: Apache-2.0
#include "sim/world.h"

#include <inttypes.h>

#include "base/mem.h"
#include "node/node.h"
#include "sim/check_tree.h"
#include "sim/client.h"
#include "sim/guest.h"
#include "sim/host.h"

enum {
    CALM_S = 25,  // longer than clients' patience, so that who is stuck is noticed
    DRAIN_S = 14, // longer than the longest session timeout and a tick
    STOP_S = 30,
    AGAIN_S = 2,
    AGAIN_ENSEMBLE_S = 8,
    STEPS_MAX = 4000000 // no seed needs as many; more is a loop
};

void options_init(struct options *o, uint64_t seed)
{
    *o = (struct options){.seed = seed,
                          .storm_s = 30,
                          .servers = 0,
                          .observers = -1,
                          .faults = ~0u,
                          .verbose_node = true};
}

void world_later(struct world *w, int64_t in_ns, struct sched_event ev)
{
    ev.at_ns = w->now_ns + (in_ns > 0 ? in_ns : 0);
    sched_add(&w->sched, ev);
}

uint64_t world_below(struct world *w, uint64_t n)
{
    return rng_below(&w->rng, n);
}

bool world_chance(struct world *w, uint64_t num, uint64_t den)
{
    return rng_chance(&w->rng, num, den);
}

int64_t world_delay(struct world *w, int64_t mean_ns)
{
    uint64_t x = world_below(w, 100), m = (uint64_t)mean_ns + 1;
    uint64_t d = x < 80   ? world_below(w, m)
                 : x < 97 ? m + world_below(w, 2 * m)
                          : world_below(w, 10 * m);
    return (int64_t)d;
}

// A third of the worlds has a server that is alone, most others have three.
static void draw_servers(struct world *w)
{
    static const uint32_t voters[] = {1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 4, 5};
    uint32_t n = voters[world_below(w, sizeof(voters) / sizeof(voters[0]))];
    n = w->opt.servers ? (uint32_t)w->opt.servers : n;
    uint32_t o = n > 1 && world_chance(w, 1, 3) ? 1 + (uint32_t)world_below(w, 2) : 0;
    o = w->opt.observers >= 0 ? (uint32_t)w->opt.observers : o;
    hostconf_draw(w, n, o);
    w->hosts_n = n + o;
}

struct world *world_new(const struct options *o)
{
    struct world *w = mem_zalloc(sizeof(*w));
    w->opt = *o;
    w->rng.state = o->seed * 0x9e3779b97f4a7c15u + 1;
    w->report.trace = o->trace;
    w->report.silent = o->silent;
    net_init(w);
    w->check = check_tree_new();
    draw_servers(w);
    faults_init(w);
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        w->hosts[i] = host_new(w, i);
        host_boot_later(w->hosts[i], 0);
    }
    uint32_t plain = o->clients ? (uint32_t)o->clients : 2 + (uint32_t)world_below(w, 6);
    w->clients_n = plain + (uint32_t)o->guests;
    w->guests = guest_common_new(w);
    for (uint32_t i = 0; i < w->clients_n; i++) {
        bool chaos = i > 0 && i + 1 == plain && world_chance(w, 1, 2);
        w->clients[i] = simclient_new(w, i,
                                      i >= plain ? CLIENT_GUEST
                                      : chaos    ? CLIENT_CHAOS
                                                 : CLIENT_PLAIN);
        world_later(w, world_delay(w, 200 * SIM_MS),
                    (struct sched_event){.kind = SCHED_CLIENT, .a = i});
    }
    world_later(w, world_delay(w, w->faults.mean_gap_ns),
                (struct sched_event){.kind = SCHED_FAULT});
    world_later(w, o->storm_s * SIM_S, (struct sched_event){.kind = SCHED_PHASE});
    return w;
}

void world_free(struct world **wp)
{
    struct world *w = *wp;
    *wp = NULL;
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        host_free(&w->hosts[i]);
    }
    for (uint32_t i = 0; i < w->clients_n; i++) {
        simclient_free(&w->clients[i]);
    }
    guest_common_free(&w->guests);
    check_tree_free(&w->check);
    net_fini(w);
    sched_fini(&w->sched);
    mem_free(w);
}

// ---- phases ----------------------------------------------------------------------------------

static void begin_calm(struct world *w)
{
    faults_heal(w);
    world_later(w, CALM_S * SIM_S, (struct sched_event){.kind = SCHED_PHASE});
}

static void begin_drain(struct world *w)
{
    for (uint32_t i = 0; i < w->clients_n; i++) {
        const struct client *c = w->clients[i];
        if (!c->chaos && c->answered == 0) {
            report_fail(&w->report, "client %u was never answered", i);
        }
    }
    world_later(w, DRAIN_S * SIM_S, (struct sched_event){.kind = SCHED_PHASE});
}

static void begin_stop(struct world *w)
{
    check_tree_equal(w->check, w);
    check_tree_end(w->check, w);
    guest_common_end(w->guests, w);
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        if (!w->hosts[i]->node) {
            report_fail(&w->report, "host %u is down, and nothing is wrong any more", i);
            return;
        }
        host_stop(w->hosts[i]);
    }
    world_later(w, STOP_S * SIM_S, (struct sched_event){.kind = SCHED_PHASE});
}

// What a clean stop leaves behind survives even the loss of power. A server that is alone compares
// its tree at each of these starts; an ensemble has first to find its leader.
static void begin_again(struct world *w)
{
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        if (w->hosts[i]->node) {
            report_fail(&w->report, "host %u has not stopped", i);
            return;
        }
        host_boot(w->hosts[i]);
        if (w->report.failed) {
            return;
        }
        host_down(w->hosts[i], true);
        host_boot(w->hosts[i]);
    }
    world_later(w, (w->hosts_n > 1 ? AGAIN_ENSEMBLE_S : AGAIN_S) * SIM_S,
                (struct sched_event){.kind = SCHED_PHASE});
}

static void begin_over(struct world *w)
{
    if (w->hosts_n > 1) {
        check_tree_equal(w->check, w);
    }
}

static void next_phase(struct world *w)
{
    static const char *const names[] = {"storm", "calm", "drain", "stop", "again", "over"};
    w->phase++;
    report_line(&w->report, "phase: %s", names[w->phase]);
    switch (w->phase) {
    case PHASE_CALM:
        begin_calm(w);
        break;
    case PHASE_DRAIN:
        begin_drain(w);
        break;
    case PHASE_STOP:
        begin_stop(w);
        break;
    case PHASE_AGAIN:
        begin_again(w);
        break;
    case PHASE_OVER:
        begin_over(w);
        break;
    default:
        break;
    }
}

// ---- steps -----------------------------------------------------------------------------------

static void step_host(struct world *w, const struct sched_event *ev)
{
    struct host *h = w->hosts[ev->a];
    if (ev->gen != (ev->kind == SCHED_TIMER ? h->timer_gen : h->boot)) {
        return;
    }
    switch (ev->kind) {
    case SCHED_TURN:
        host_on_turn(h);
        break;
    case SCHED_TIMER:
        host_on_timer(h);
        break;
    case SCHED_JOB_RUN:
        host_on_job_run(h, (enum env_lane)ev->b);
        break;
    case SCHED_JOB_DONE:
        host_on_job_done(h, (enum env_lane)ev->b);
        break;
    default:
        host_boot(h);
        break;
    }
}

static void step_link(struct world *w, const struct sched_event *ev)
{
    const struct link *l = &w->net.links[ev->a];
    if (!l->used || l->gen != ev->gen) {
        return;
    }
    switch (ev->kind) {
    case SCHED_OPEN:
        net_on_open(w, ev->a);
        break;
    case SCHED_MOVE:
        net_on_move(w, ev->a, (enum side)ev->b);
        break;
    case SCHED_LINGER:
        net_on_linger(w, ev->a, (enum side)ev->b);
        break;
    case SCHED_GONE:
        net_on_gone(w, ev->a, (enum side)ev->b);
        break;
    default:
        net_on_thaw(w, ev->a);
        break;
    }
}

static void step(struct world *w, const struct sched_event *ev)
{
    switch (ev->kind) {
    case SCHED_TURN:
    case SCHED_TIMER:
    case SCHED_JOB_RUN:
    case SCHED_JOB_DONE:
    case SCHED_BOOT:
        step_host(w, ev);
        break;
    case SCHED_DIAL:
        host_on_dial(w->hosts[ev->a], ev->gen);
        break;
    case SCHED_OPEN:
    case SCHED_MOVE:
    case SCHED_LINGER:
    case SCHED_GONE:
    case SCHED_THAW:
        step_link(w, ev);
        break;
    case SCHED_CLIENT:
        client_tick(w->clients[ev->a]);
        break;
    case SCHED_FAULT:
        faults_strike(w);
        break;
    case SCHED_UNFAULT:
        faults_end(w, (enum fault_kind)ev->a, ev->b);
        break;
    case SCHED_PHASE:
        next_phase(w);
        break;
    }
}

bool world_run(struct world *w)
{
    struct sched_event ev;
    while (w->phase != PHASE_OVER && !w->report.failed && sched_next(&w->sched, &ev)) {
        must(ev.at_ns >= w->now_ns);
        w->now_ns = w->report.now_ns = w->fig.sim_ns = ev.at_ns;
        if (++w->fig.steps > STEPS_MAX) {
            report_fail(&w->report, "more than %d steps", STEPS_MAX);
        }
        step(w, &ev);
    }
    return !w->report.failed;
}
