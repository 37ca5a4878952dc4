// SPDX-License-Identifier: Apache-2.0
//
// The inside of struct disk, for disk.c and sync.c only.
//
// The log, snapshots and purge are disk.c's; what only a member of an ensemble does is sync.c's.
// While a cut or an install is under way (disk_is_replacing) nothing else may begin that writes in
// the directories: no snapshot, no purge, no filler. It waits for those in flight.
#pragma once

#include "base/rng.h"
#include "disk/cut.h"
#include "disk/epochs.h"
#include "disk/log.h"
#include "disk/purge.h"
#include "disk/snapshot.h"
#include "disk/supply.h"
#include "disk/sync.h"
#include "disk/take.h"

struct disk {
    struct env *env;
    struct disk_config cfg;
    char *snap_dir, *log_dir; // with version-2
    struct log log;
    struct snapshot snapshot;
    bool snapshot_wanted;
    struct purge purge;
    bool purging, purge_wanted;
    struct supply supply;
    struct mono purge_at; // of the next by interval
    struct rng rng;
    int64_t txns, bytes;         // appended since the counters started anew
    int64_t txns_max, bytes_max; // where they call for a snapshot; bytes_max 0: never
    int64_t snap_bytes;          // of all snapshots
    int64_t recovered_txns, snap_load_ms, replay_ms;

    // Of a member of an ensemble.
    bool snapshots_allowed;
    struct disk_epochs epochs;
    struct tail tail; // of the log as it was opened
    struct epoch_save epoch_save;
    bool saving_epoch;
    struct cut cut;
    enum { CUT_NONE, CUT_WAITING, CUT_RUNNING } cutting; // WAITING: for a job in flight to end
    struct take take;
    struct tree_config tree_config; // of the tree given at open
    struct disk_answer answer;
};

// disk.c: may a long job go to the background lane?
bool disk_background_busy(const struct disk *d);

// ---- sync.c ----

void sync_init(struct disk *d, const struct tree *tree);
void sync_fini(struct disk *d);
bool sync_idle(const struct disk *d); // no job in flight or about to be
bool sync_owns(const struct disk *d, const struct env_job *job);
// Returns the number of events, at most 1.
int sync_on_job(struct disk *d, struct env_job *job, struct disk_event *event);
// Begins what can begin now.
void sync_turn(struct disk *d);
bool disk_is_replacing(const struct disk *d);
