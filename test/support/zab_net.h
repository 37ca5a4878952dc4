// SPDX-License-Identifier: Apache-2.0
//
// The parts of the little world of zab_net_test.c: servers with a disk that is late, packets on
// their way, what was ever delivered, and the bugs that can be planted.
#pragma once

#include "base/mem.h"
#include "base/rng.h"
#include "fle/fle.h"
#include "zab/leader.h"
#include "zab/learner.h"

enum { SIDS = 7, LOG = 1200, OPS = 256, FLIGHTS = 8192, TICK_MS = 200, READ_PART = 25 };

enum plant {
    PLANT_NONE,
    PLANT_ACK_BEFORE_LOGGED,
    PLANT_EPOCH_BEFORE_HISTORY,
    PLANT_COMMIT_WITHOUT_QUORUM,
    PLANT_FORGOTTEN_TRUNC,
    PLANT_DIFF_OVER_A_GAP,
    PLANT_ACCEPTED_EPOCH_NOT_SAVED,
    PLANT_SNAPSHOT_NOT_DURABLE,
    PLANT_COMMITS_WITHOUT_ENTRIES,
    PLANT_COUNT
};

struct record {
    int64_t zxid, value;
};

struct state { // a snapshot on its way or on disk
    struct record log[LOG];
    size_t n;
};

enum op_type { OP_ACCEPTED, OP_CURRENT, OP_SYNC, OP_TRUNC, OP_SNAP, OP_DISK, OP_READ };

struct op {
    enum op_type type;
    struct mono at;
    int64_t zxid, sid; // zxid: or the epoch
    uint64_t tag;
};

struct server {
    struct fle *fle; // NULL: down
    struct leader *leader;
    struct learner *learner;
    struct history history;
    bool elected;
    enum note_state role;
    int64_t follows;

    struct record log[LOG]; // all of the history, in whatever form it is on disk
    size_t n, synced, applied;
    int64_t accepted, current; // durable
    struct state *snap;        // came with SNAP, or NULL
    struct op ops[OPS];
    size_t ops_n;
    struct mono disk_free, up_at;
    int conn; // as a learner: number of its connection, 0: none
    bool dropped;
    bool snap_volatile; // planted: a snapshot that a crash takes away
};

struct flight {
    bool used, is_note;
    int from, to, conn; // conn 0: none, it is a note
    struct mono at;
    struct note note;
    struct zab_packet packet;
    struct state *snap;
};

struct world {
    struct rng rng;
    struct mono now;
    struct members *members;
    struct buf text;
    int n, voters;
    enum plant plant;
    const char *fault;
    struct server servers[SIDS];
    bool cut[SIDS][SIDS];
    struct flight flights[FLIGHTS];
    size_t flights_n;
    struct mono not_before[SIDS][SIDS];
    int conns;
    int64_t delay_max_ms, disk_max_ms;
    size_t keep;
    uint64_t propose_every; // steps, on average
    struct record truth[LOG];
    size_t truth_n;
    struct record proposed[LOG * 2];
    size_t proposed_n;
    int64_t values;
    int truncs, snaps, diffs, serves;
};
