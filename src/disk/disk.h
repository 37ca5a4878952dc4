// SPDX-License-Identifier: Apache-2.0
//
// struct disk: a server's data directory: transaction log, snapshots, recovery, purge. It is the
// core thread's handle; the work itself is jobs on env's lanes.
//
//   open:      files ---recover---> tree
//   append:    entry bytes -> batch -> (flush) job: write + fdatasync -> DISK_LOGGED(zxid)
//   snapshot:  tree walk -> bytes -> jobs: write, fsync, rename, purge -> DISK_SNAPPED
//
// One log job is in flight at a time; while it syncs, the next batch gathers (group commit).
// Formats and rules: disk-format.md; docs/ARCHITECTURE.md says where ours is stricter.
#pragma once

#include "base/summary.h"
#include "env.h"
#include "tree/tree.h"

struct disk_config {
    const char *data_dir;      // snapshots; "version-2" below it is made
    const char *data_log_dir;  // logs; may be equal
    int64_t prealloc_bytes;    // preAllocSize
    int64_t snap_count;        // snapCount
    int64_t snap_size_bytes;   // snapSizeLimitInKb; <= 0: off
    int64_t log_size_bytes;    // txnLogSizeLimitInKb; <= 0: off
    int32_t snap_retain;       // autopurge.snapRetainCount, at least 3; purging off: 0
    int64_t purge_interval_ms; // autopurge.purgeInterval; 0: purge after each snapshot
    bool force_sync;           // forceSync
    bool trust_empty;          // snapshot.trust.empty
    bool last_zxid_section;    // serializeLastProcessedZxid.enabled
    bool digest_section;       // digest.enabled: what Apache servers with the same setting can read
    int compression;           // enum disk_compression of snapshots written
    int64_t fsync_warn_ms;     // fsync.warningthresholdms
    size_t bytes_max;          // longest string or buffer
    bool member;               // of an ensemble: epoch files, and the tail of disk/sync.h
};

enum disk_compression { DISK_PLAIN, DISK_GZIP, DISK_SNAPPY };

enum disk_event_type {
    DISK_LOGGED,   // every entry up to zxid is durable
    DISK_LOG_FULL, // no space: nothing of the entries above zxid is in the log, none of them may be
                   // answered; appends are refused until DISK_LOG_SPACE
    DISK_LOG_SPACE,  // there is space again
    DISK_LOG_BROKEN, // the disk failed a write or sync: what is durable is unknown; stop and
                     // recover
    DISK_SNAPPED,    // a snapshot is in place
    // Answers to disk/sync.h, which says what they mean.
    DISK_EPOCH_SAVED,
    DISK_TRUNCATED,
    DISK_INSTALLED,
    DISK_SYNC_FAILED,
    DISK_OFFER,
    DISK_HISTORY,
    DISK_STREAM
};

struct disk_event {
    enum disk_event_type type;
    int64_t zxid;                     // or the epoch
    const struct disk_answer *answer; // of those of disk/sync.h; good until the next call into disk
};

struct disk_stats { // for mntr, dirs, srvr
    int64_t snap_count, snap_errors, fsync_slow;
    struct summary fsync_ns, batch_txns, snapshot_ms;
    int64_t last_snap_zxid, last_snap_wall_ms;
    int64_t recovered_txns, snap_load_ms, replay_ms; // at start
};

struct disk;

// Locks the directory, repairs what a crash left (torn tail, half snapshots), loads the newest good
// snapshot and replays the log into `tree`. Blocking; before the loop. Logs what it did in one
// line, and on failure says what to do. ERR_BUSY: another server has the directory.
must_check enum err disk_open(struct env *env, const struct disk_config *cfg, struct tree *tree,
                              struct disk **disk);
void disk_free(struct disk **d); // no job may be in flight (disk_idle)

// Entry = TxnHeader + record + digest. Copies. zxid ascends. False: refused, the log is full.
bool disk_append(struct disk *d, struct slice entry, int64_t zxid);
size_t disk_backlog(const struct disk *d); // bytes appended and not yet durable
void disk_flush(struct disk *d);           // hands the batch to the log lane if that is idle
// Forces everything appended to be durable soon; the clean-stop path waits for disk_idle().
bool disk_idle(const struct disk *d); // no job in flight, nothing gathered

// An ENV_JOB_DONE whose job's owner is this disk. Returns the events that follow, in order, at
// most 4.
int disk_on_job(struct disk *d, struct env_job *job, struct disk_event events[4]);
bool disk_owns(const struct disk *d, const struct env_job *job);

// Call once per loop turn with the tree as applied: begins a snapshot when the counters say so,
// walks a slice of a running one, hands bytes to the background lane, retries a full log from time
// to time. Returns in how many ms it wants to be called again (0: at once), -1: not before the next
// event.
int64_t disk_turn(struct disk *d, struct tree *tree, struct mono now);
void disk_snapshot_soon(struct disk *d); // ask for one (start-up of a leader, clean stop, admin)
bool disk_snapshot_running(const struct disk *d);

void disk_get_stats(const struct disk *d, struct disk_stats *s);
// Sizes of the two directories; blocking directory reads are avoided: kept up to date by the jobs.
void disk_sizes(const struct disk *d, int64_t *snap_bytes, int64_t *log_bytes);
