// SPDX-License-Identifier: Apache-2.0
//
// Truncation: what is on the disk above a zxid goes, disk-format.md 10 and the advice there: the
// cut is before the first entry above zxid, and snapshots above it go as well (ZOOKEEPER-1549).
//
//   look:    newest good snapshot that holds nothing above zxid -> log behind it -> tree at zxid
//   decide:  the empty file cut.<zxid>.<base> (base: that snapshot's zxid), directory synced
//   finish:  snapshots above base unlinked, logs above zxid unlinked, the one that holds the place
//            shortened, each synced; then cut.* unlinked
//
// The look changes nothing; whatever it finds wrong is ERR_CORRUPT and the old state. A crash
// before the decision is durable leaves the old state, one after it the new: the next start
// finishes, however often it is interrupted. (Without the decision's file a crash in the middle
// could leave a snapshot above the end of the log, and so a hole, or a state that never was.) A
// snapshot of Apache's that holds more than its name says (its digest section is of a later zxid)
// counts as above.
#pragma once

#include "disk/log.h"
#include "disk/snapshot.h"
#include "disk/tail.h"

// A job of the log lane; nothing else writes in the directories meanwhile.
struct cut {
    struct env_job job;
    const char *snap_dir, *log_dir;
    int64_t zxid;
    struct log_place file;      // the log that was being written; fd -1: none. To be closed
    struct snap_writer *broken; // a snapshot given up, whose half file is to go; NULL: none
    // Out. err ERR_OK: done. Not decided: nothing is changed. Else what is there is unknown.
    enum err err;
    bool decided;
    struct tree *tree; // in: a fresh one; out: the state at zxid
    struct tail tail;
    int64_t base;
    int64_t file_bytes;            // of the file that was closed
    int64_t snap_bytes, log_bytes; // of all files, when done
};

void cut_run(struct env_job *job);

// Does what is decided; right again and again. Blocking, before the loop or in a job.
must_check enum err cut_finish(struct env *env, const char *snap_dir, const char *log_dir,
                               int64_t zxid, int64_t base);

// Bytes of all files of one kind.
int64_t cut_sum(const struct disk_files *files, enum disk_name_kind kind);
