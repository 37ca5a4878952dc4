// SPDX-License-Identifier: Apache-2.0
//
// Faults: what goes wrong in the storm, when, and when it ends.
//   FAULT(id, name)
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FAULTS_LIST                    \
    FAULT(POWER, "power-cut")          \
    FAULT(POWER_IN_JOB, "cut-in-job")  \
    FAULT(KILL, "kill")                \
    FAULT(RESTART, "restart")          \
    FAULT(FULL, "disk-full")           \
    FAULT(SLOW, "slow-disk")           \
    FAULT(STUCK, "stuck-disk")         \
    FAULT(ROT, "snapshot-rot")         \
    FAULT(ERRORS, "disk-errors")       \
    FAULT(PAUSE, "process-pause")      \
    FAULT(CLOCK, "clock-step")         \
    FAULT(CUT, "connection-cut")       \
    FAULT(FREEZE, "network-freeze")    \
    FAULT(STALL, "slow-reader")        \
    /* of ensembles: */                \
    FAULT(SPLIT, "partition")          \
    FAULT(ONE_WAY, "one-way-path")     \
    FAULT(PARTIAL, "partial-network")  \
    FAULT(LONG_WAY, "slow-path")       \
    FAULT(PEER_CUT, "peer-cut")        \
    FAULT(MANY_DOWN, "majority-down")  \
    FAULT(MANY_IN_JOB, "majority-job") \
    FAULT(ALL_RESTART, "all-restart")

enum fault_kind {
#define FAULT(id, name) FAULT_##id,
    FAULTS_LIST
#undef FAULT
        FAULTS
};

struct world;

struct faults {
    int64_t mean_gap_ns;
    int64_t healed_ns;       // when the storm ended
    uint32_t paths_gen;      // of the last change of paths
    unsigned weight[FAULTS]; // drawn per seed, so that seeds differ in character
};

const char *fault_name(enum fault_kind k);
void faults_init(struct world *w);
void faults_strike(struct world *w);                                // SCHED_FAULT
void faults_end(struct world *w, enum fault_kind k, uint32_t host); // SCHED_UNFAULT
// fault_net.c
bool fault_is_of_net(enum fault_kind k);
void fault_net_strike(struct world *w, enum fault_kind k);
void fault_net_end(struct world *w, enum fault_kind k, uint32_t at);
void fault_net_heal(struct world *w);

void faults_end_later(struct world *w, enum fault_kind k, uint32_t at, int64_t in_ns);
int64_t faults_up_to(struct world *w, int64_t ms);
void faults_heal(struct world *w); // the storm is over
