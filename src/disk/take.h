// SPDX-License-Identifier: Apache-2.0
//
// struct take: a snapshot that comes from a peer, until it is the whole of the data directory.
//
//   put:     bytes of the wire -> scanned (where does the body end, is it one at all) -> pieces ->
//            background lane: tmp.taken.snapshot.<zxid>, with our header
//   commit:  one job of the log lane: the rest and the seal, synced -> read back into a tree (so
//            nothing is given up for a snapshot that cannot be loaded) -> the former replaced/
//            emptied -> renamed to taken.snapshot.<zxid>: decided -> finish
//   finish:  all snapshots and logs moved to replaced/, then taken.snapshot.<zxid> becomes
//            snapshot.<zxid>
//
// A crash before the decision is durable leaves the old state (and a leftover, removed by the next
// start), one after it the new: the next start finishes, however often it is interrupted.
//
// States: TAKE_NONE -> TAKE_OPEN -> TAKE_COMMITTING -> TAKE_NONE; TAKE_OPEN -> TAKE_NONE when
// abandoned or when a piece could not be written. A half file of an abandoned one is removed by the
// next job. One job is in flight at a time (busy); that of one abandoned ends unheard (orphan).
#pragma once

#include "disk/log.h"
#include "disk/snapfile.h"
#include "disk/snapshot.h"
#include "disk/sync.h"

enum take_state { TAKE_NONE, TAKE_OPEN, TAKE_COMMITTING };

struct take_job {
    struct env_job job;
    const char *snap_dir, *log_dir;
    const struct disk_config *cfg;
    struct snap_writer writer; // the lane's while the job is in flight
    struct buf bytes;
    int64_t zxid;
    bool drop;                  // remove what the writer has
    bool first;                 // begin a file
    bool commit;                // and make it the directory
    enum err failed;            // commit: an earlier piece did; only tidy up
    struct log_place file;      // commit: the log that was being written, to be closed
    struct snap_writer *broken; // commit: a snapshot given up, whose half file is to go
    // Out. err ERR_OK: done. Not decided: all is as it was. Else what is there is unknown.
    enum err err;
    bool decided;
    const char *why;   // it could not be loaded, in words; NULL: it is the disk
    struct tree *tree; // commit: in: a fresh one; out: the snapshot's
    int64_t file_bytes, snap_bytes;
};

struct take {
    struct env *env;
    enum take_state state;
    int64_t zxid;
    struct snapfile_parser parser;
    struct buf window; // not scanned yet: a part of one item
    struct buf body;   // scanned and not handed over
    bool ended;        // the body's end has been seen
    bool bad;
    bool begun;      // a file has been begun for this one
    enum err failed; // of a piece, found when the commit was waiting already
    bool busy, orphan;
    struct take_job job;
};

void take_init(struct take *t, struct env *env, const struct disk_config *cfg, const char *snap_dir,
               const char *log_dir);
void take_fini(struct take *t);

void take_begin(struct take *t, int64_t zxid);
enum disk_take take_put(struct take *t, struct slice bytes, size_t *used);
size_t take_backlog(const struct take *t);
void take_abandon(struct take *t);
// Hands a piece to the background lane, or removes a half file; only if that lane is free.
void take_turn(struct take *t, bool lane_free);
// Nothing else writes in the directories until it is done. The job's file, broken and tree are set.
void take_commit(struct take *t);
// False: nobody waits for it. True: see t->job.
bool take_on_job(struct take *t);

// Does what is decided; right again and again. Blocking, before the loop or in a job.
must_check enum err take_finish(struct env *env, const char *snap_dir, const char *log_dir,
                                int64_t zxid);
