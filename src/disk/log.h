// SPDX-License-Identifier: Apache-2.0
//
// struct log: the writer of the transaction log. disk-format.md 2 and 5.
//
//   append -> batch (gathers) -> job on the log lane: one write, one sync -> LOGGED
//
// One job of the log lane is in flight at a time; what comes meanwhile gathers into the next batch.
//
// The file is zero-filled ahead of the records: an append then touches only blocks that are written
// and inside the file's size already, and its sync needs no journal commit of the file system. A
// filler job does that off the path of the batches, in steps that grow with use; a batch that comes
// before it fills for itself. Invariants: [pos, filled) of the file is zeros, durably; filler and
// batch never write the same bytes, since a batch that would reach past `filled` waits for a filler
// in flight. The filler has a descriptor of its own: the system tells a failed write-back once per
// descriptor, and a filler's sync must not swallow what the batch's has to hear.
//
// A new file gets its first batch under a temporary name, is synced, then renamed: it never shows
// without header and first record. It is named by its first record.
//
// States: LOG_WRITING -> LOG_FULL (no space; nothing of the failed batch is in the file; everything
// gathered is dropped) -> LOG_WRITING. Any -> LOG_BROKEN (what is on the disk is unknown), the end.
#pragma once

#include "base/buf.h"
#include "disk/disk.h"
#include "disk/names.h"

enum log_state { LOG_WRITING, LOG_FULL, LOG_BROKEN };

// Framed records that go out as one write.
struct log_batch {
    struct log_batch *next;
    struct buf bytes;
    int64_t first_zxid, last_zxid, txns;
};

// The file being written; fd -1: none.
struct log_place {
    int fd;
    int64_t zxid;    // in its name
    uint64_t pos;    // where the next record goes; everything before is durable
    uint64_t filled; // end of the durable zeros
};

// Job of the log lane: write a batch, or (no batch) find out whether there is space again.
struct log_write {
    struct env_job job;
    const char *dir;
    struct log_place place; // in: the file now; out: the file afterwards
    bool roll;              // begin a new file
    bool force_sync;
    uint64_t step; // zeros to keep ahead, at least; 0: preallocation is off
    struct log_batch *batch;
    uint64_t probe_bytes;  // without a batch: that much must fit
    enum err err;          // ERR_OK; ERR_NOSPACE: the file is as it was; else broken
    uint64_t closed_bytes; // size of the file that a roll left behind
    struct mono begun;     // core's
};

// Job of either lane: zeros into [from, to).
struct log_fill {
    struct env_job job;
    const char *dir;
    int64_t zxid; // of the file's name
    uint64_t from, to;
    enum err err;
};

// log_lane.c: what the jobs do.
void log_write_run(struct env_job *job);
void log_fill_run(struct env_job *job);
uint64_t log_round_up(uint64_t n); // to a block

struct log {
    struct env *env;
    const struct disk_config *cfg;
    const char *dir;
    enum log_state state;
    bool roll;
    struct log_place place; // as of the last finished job
    struct log_batch *head, *tail, *spare;
    struct log_write write;
    bool writing;
    struct log_fill fill;
    bool filling;
    bool fill_on_background; // the filler in flight is on that lane
    int64_t last_durable;
    size_t backlog;       // bytes appended and not durable
    uint64_t probe_bytes; // of the batch that did not fit
    int64_t closed_bytes; // all log files but the one being written
    struct mono retry_at; // FULL: when to look for space; WRITING: no filler before
    int64_t fsync_slow;
    struct summary fsync_ns, batch_txns;
};

// `dir` (of the logs) must outlive it. last_zxid: of the recovered log.
void log_init(struct log *l, struct env *env, const struct disk_config *cfg, const char *dir,
              int64_t last_zxid, int64_t closed_bytes);
void log_fini(struct log *l); // no job in flight

bool log_append(struct log *l, struct slice entry, int64_t zxid);
void log_flush(struct log *l);
void log_roll(struct log *l); // the next batch begins a new file
bool log_idle(const struct log *l);
bool log_settled(const struct log *l); // no batch gathered or in flight
// Gives the file being written away (fd -1: there is none), so that a job can change what is in the
// directory. Settled, and no filler in flight. The next batch begins a new file.
struct log_place log_give_file(struct log *l);
// After that: what the directory holds now.
void log_restart(struct log *l, int64_t last_zxid, int64_t closed_bytes);
void log_break(struct log *l); // as if a write had failed: what is on the disk is unknown
// On a lane: closes what log_give_file gave; returns the file's size.
int64_t log_close_given(struct env *env, const struct log_place *place);
int64_t log_bytes(const struct log *l); // of all files

// The filler goes to the background lane unless something long may be there.
void log_fill_ahead(struct log *l, bool background_busy);
bool log_owns(const struct log *l, const struct env_job *job);
// Returns the number of events, at most 1.
int log_on_job(struct log *l, struct env_job *job, struct disk_event *event);
// Looks for space when it is full. In how many ms again; -1: no need.
int64_t log_turn(struct log *l, struct mono now);
