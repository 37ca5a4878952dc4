// SPDX-License-Identifier: Apache-2.0
//
// struct world: one simulated run. Hosts (machines with a disk, each running one server), clients,
// the links between them, the faults, the checkers, and the one generator of chance.
//
//   sched -> world_step -> host | net | client | fault -> sched ...
//                            '-> after each turn of a host: check_tree follows its log
//
// Phases: STORM (faults) -> CALM (none; everybody must be served in bounded time) -> DRAIN (clients
// leave, sessions expire) -> STOP (clean stop) -> AGAIN (recovery of what the stop left) -> OVER.
#pragma once

#include "base/rng.h"
#include "sim/check_guest.h"
#include "sim/fault.h"
#include "sim/hostconf.h"
#include "sim/net.h"
#include "sim/plant.h"
#include "sim/report.h"
#include "sim/sched.h"

enum { HOSTS_MAX = 8, CLIENTS_MAX = 16, GUESTS_MAX = 4 };
_Static_assert((int)THING_GUESTS_MAX == (int)CLIENTS_MAX, "a token each");

#define SIM_MS ((int64_t)1000000)
#define SIM_S  ((int64_t)1000000000)

enum phase { PHASE_STORM, PHASE_CALM, PHASE_DRAIN, PHASE_STOP, PHASE_AGAIN, PHASE_OVER };

struct options {
    uint64_t seed;
    bool trace;
    bool silent; // no history at all; several times faster
    enum plant plant;
    int storm_s;       // length of the first phase
    int clients;       // 0: by chance
    int guests;        // more clients, that use the library
    unsigned parts;    // bits: what these do; 0: by chance
    int servers;       // voters; 0: by chance
    int observers;     // -1: by chance
    unsigned faults;   // bits 1 << enum fault_kind: which kinds may happen
    bool verbose_node; // the servers' own log lines are part of the history
};

struct figures {
    uint64_t steps, turns, requests, replies, notifications, sessions, boots, commits, leaders,
        grants, calls;
    uint64_t faults[FAULTS];
    int64_t sim_ns;
};

struct host;
struct client;
struct guest_common;
struct check_tree;

struct world {
    struct options opt;
    struct rng rng;
    int64_t now_ns;
    struct sched sched;
    struct report report;
    struct net net;
    struct ensemble_conf conf;
    struct host *hosts[HOSTS_MAX];
    uint32_t hosts_n;
    struct client *clients[CLIENTS_MAX];
    uint32_t clients_n;
    struct check_tree *check;
    struct guest_common *guests;
    struct thing things[THINGS];
    struct faults faults;
    enum phase phase;
    struct figures fig;
};

void options_init(struct options *o, uint64_t seed);
struct world *world_new(const struct options *o);
void world_free(struct world **w);
// Runs to the end. True: nothing was found wrong.
bool world_run(struct world *w);

void world_later(struct world *w, int64_t in_ns, struct sched_event ev);
uint64_t world_below(struct world *w, uint64_t n);
bool world_chance(struct world *w, uint64_t num, uint64_t den);
// Around the mean, mostly below it, at times far above.
int64_t world_delay(struct world *w, int64_t mean_ns);
