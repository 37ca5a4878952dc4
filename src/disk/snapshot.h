// SPDX-License-Identifier: Apache-2.0
//
// Writing snapshots. disk-format.md 6.5, and the advice there: a temporary name, sync, rename, sync
// of the directory; so a snapshot file is either whole or not there.
//
//   tree/walk -> bytes -> jobs of the background lane: compress, checksum, write -> seals -> in
//   place
//
// The core thread walks the tree in slices and hands the bytes over in pieces, one piece in flight.
// When the lane is slow the walk waits. A member's tree may be ahead of its own log: the last piece
// waits until the log durably has what the snapshot holds. So no file is ever ahead of the log's
// end, and purging, an older snapshot in place of a damaged one, and reading the tree again always
// find a log that leads on. If the log is full it will not get there, and the half file goes.
//
// States: SNAP_IDLE -> SNAP_WALKING -> SNAP_CLOSING (the last piece is out) -> SNAP_IDLE; a failure
// goes back to SNAP_IDLE by way of SNAP_FAILED, until snapshot_settle has cancelled the walk.
// SNAP_WALKING -> SNAP_DROPPED: given up, its tree is about to be replaced; the job that does so
// removes the half file, then SNAP_IDLE.
#pragma once

#include "disk/disk.h"
#include "disk/names.h"
#include "disk/pack.h"
#include "tree/walk.h"

// One snapshot file in the making: belongs to the lane while a job is in flight.
struct snap_writer {
    struct env *env;
    const char *dir;
    enum disk_compression packed;
    bool digest_section, last_zxid_section;
    int64_t zxid;
    uint64_t digest;
    uint64_t room;      // bytes that must be free to begin; 0: any
    const char *prefix; // of the temporary name
    int fd;
    uint64_t off, synced; // file offset; how much of it was synced
    uint32_t adler;       // of the uncompressed bytes
    struct pack *pack;
    struct buf out; // compressed bytes
    char *tmp;      // path; NULL: not begun
};

void snap_writer_init(struct snap_writer *w, struct env *env, const struct disk_config *cfg,
                      const char *dir, const struct walk_info *info);
must_check enum err snap_writer_begin(struct snap_writer *w);
must_check enum err snap_writer_put(struct snap_writer *w, struct slice bytes);
must_check enum err snap_writer_seal(struct snap_writer *w);   // whole and durable, not in place
must_check enum err snap_writer_finish(struct snap_writer *w); // in place and durable
// Sealed: to that path, closed. The directory is not synced.
must_check enum err snap_writer_rename(struct snap_writer *w, const char *path);
void snap_writer_release(struct snap_writer *w); // closed, its half file left
void snap_writer_abort(struct snap_writer *w);   // removes what there is

// The whole thing at once, before the loop. *bytes: the file's size.
must_check enum err snapshot_write_now(struct env *env, const struct disk_config *cfg,
                                       const char *dir, struct tree *tree, uint64_t *bytes);

enum snap_state { SNAP_IDLE, SNAP_WALKING, SNAP_CLOSING, SNAP_FAILED, SNAP_DROPPED };

struct snap_job {
    struct env_job job;
    struct snap_writer writer;
    struct buf bytes;
    bool first, last;
    bool hopeless; // the log will never have it
    enum err err;
};

struct snapshot {
    struct env *env;
    const struct disk_config *cfg;
    const char *dir;
    enum snap_state state;
    bool busy; // the job is in flight
    bool walked;
    struct snap_job job;
    struct walk_info info;
    struct mono retry_at; // after a failure
    int failures;         // in a row
    struct mono begun;
    struct summary ms; // from begin to in place
    int64_t count, errors, last_zxid, last_wall_ms, last_bytes;
};

void snapshot_init(struct snapshot *s, struct env *env, const struct disk_config *cfg,
                   const char *dir, int64_t last_zxid);
void snapshot_fini(struct snapshot *s);
// Cancels the walk of one that failed.
void snapshot_settle(struct snapshot *s, struct tree *tree);
// Its tree is about to be replaced: ends the walk. One that is walked to the end still gets done.
void snapshot_give_up(struct snapshot *s, struct tree *tree);
// In how many ms one may be begun: 0 now, -1 not while one is running.
int64_t snapshot_wait_ms(const struct snapshot *s, struct mono now);
void snapshot_begin(struct snapshot *s, struct tree *tree);
// Walks a slice and hands bytes over. lane_free: no other background job is in flight; logged: end
// of the durable log; full: it will not get further for now. True: call again soon, there is more
// to walk.
bool snapshot_turn(struct snapshot *s, struct tree *tree, bool lane_free, int64_t logged,
                   bool full);
// True: a snapshot is in place, s->last_zxid.
bool snapshot_on_job(struct snapshot *s);
