// SPDX-License-Identifier: Apache-2.0
//
// What a member of an ensemble asks of its disk, beside appending: epochs, cutting the log, taking
// a snapshot from a peer, and giving its own history to one. Every call only enqueues a job; the
// answer is an event of disk_on_job().
//
//   save_epoch                                   -> DISK_EPOCH_SAVED | DISK_SYNC_FAILED
//   truncate                                     -> DISK_TRUNCATED | DISK_SYNC_FAILED
//   take_begin, take_put..., take_commit         -> DISK_INSTALLED | DISK_SYNC_FAILED
//   offer                                        -> DISK_OFFER
//   history_begin, history_more..., history_end  -> DISK_HISTORY, one for each begin and more
//   stream_begin, stream_more..., stream_end     -> DISK_STREAM, the same
//
// DISK_SYNC_FAILED: it could not be done (no space, nothing good to read) and nothing is lost: the
// disk is as if it had not been asked. At most one of the three that can end so is under way, so
// it is clear whose end it is. A failure that leaves it unknown what is on the disk (a failed sync
// of a change) is DISK_LOG_BROKEN instead, as in disk.h: the process stops, the next start reads
// what is there.
//
// Only with disk_config.member: a standalone server has no epochs and keeps no tail.
#pragma once

#include "base/blob.h"
#include "disk/disk.h"

enum disk_epoch { DISK_EPOCH_ACCEPTED, DISK_EPOCH_CURRENT };

struct disk_epochs {
    int64_t accepted, current;
};

struct disk_entry {
    int64_t zxid;
    struct blob *txn;
};

// A range of the log on disk without a hole: zxids of one epoch are consecutive in it.
struct disk_run {
    int64_t first, last;
    bool joined;    // the first entry is known to follow the last of the run before it: offer.h
    uint64_t bytes; // of its records
};

// What comes with an event of this header. The memory belongs to the disk.
struct disk_answer {
    uint64_t tag;      // OFFER, HISTORY, STREAM: as asked
    struct tree *tree; // TRUNCATED, INSTALLED: what the disk holds now; the caller's from here on
    // TRUNCATED: the last entries of the log; HISTORY: the next ones, n == 0: that was all, or it
    // could not be read on
    const struct disk_entry *entries;
    size_t entries_n;
    // OFFER
    const struct disk_run *runs; // ascending
    size_t runs_n;
    // Newest good snapshot that the log follows without a hole, and itself in the log (or at its
    // end, or at the start of an epoch behind an entry): what sync_plan can use. -1: none
    int64_t snapshot_zxid;
    uint64_t snapshot_bytes; // file of the newest good one, followed or not; 0: there is none
    // STREAM: the next bytes of the snapshot's body (sessions, ACLs, nodes, the final "/"), as it
    // goes on the wire
    struct slice bytes;
    bool end;    // those were the last
    bool failed; // it could not be read on
};

// As they stand on disk; after disk_open they fit each other and the log: epoch of the last zxid <=
// current <= accepted, mended by rule if they did not (disk/epochs.h).
void disk_get_epochs(const struct disk *d, struct disk_epochs *e);
// One at a time. Written to a temporary file, synced, renamed, directory synced. The event's zxid
// is the epoch. SYNC_FAILED: no space; the old file stands.
void disk_save_epoch(struct disk *d, enum disk_epoch which, int64_t epoch);

// The last entries replayed when the directory was opened, without a hole, for whoever keeps a
// history in memory: at most 500 and 16 MB. Gone with disk_forget_tail().
const struct disk_entry *disk_tail(const struct disk *d, size_t *n);
void disk_forget_tail(struct disk *d);

// Nothing of the log is gathered or in flight, no truncation and no install is under way.
bool disk_settled(const struct disk *d);
// While false (it starts as true) no snapshot is begun: of entries that may yet be cut nothing may
// get into one (ZOOKEEPER-1549).
void disk_allow_snapshots(struct disk *d, bool allow);

// Cuts the log before the first entry above zxid, removes snapshots above it, and reads the rest
// into a new tree (on the lane; the old tree stays as it is). A running snapshot of `tree` is given
// up. SYNC_FAILED: what is left would not reach zxid, so nothing was changed. Only while settled;
// nothing may be appended before the answer. To the end of the log: the tree is read anew.
void disk_truncate(struct disk *d, struct tree *tree, int64_t zxid);

// A snapshot from a peer. put takes what belongs to the body (*used of the bytes) and says whether
// more is to come; it copies. commit, while settled: the peer's signature was right: the snapshot
// becomes the whole of the data directory in one step that survives a crash: logs and snapshots
// that were there before are set aside (<dir>/version-2/replaced, one generation), never replayed
// behind it. abandon: as if it had never begun; right at any time before commit, harmless at
// others. SYNC_FAILED may come before commit: the take is over then, put says BAD and commit does
// nothing.
enum disk_take { DISK_TAKE_MORE, DISK_TAKE_DONE, DISK_TAKE_BAD };
void disk_take_begin(struct disk *d, int64_t zxid);
enum disk_take disk_take_put(struct disk *d, struct slice bytes, size_t *used);
size_t disk_take_backlog(const struct disk *d); // bytes put and not yet written: pause the peer
void disk_take_commit(struct disk *d, struct tree *tree); // as truncate: `tree` is being replaced
void disk_take_abandon(struct disk *d);

// What could be sent to a learner whose last zxid is `after`: the runs of the log that matter for
// it (all from the file that can hold `after` on; none above `until`), and the newest snapshot. If
// there is no snapshot that the log follows, one is taken first (the answer waits for it), provided
// snapshots are allowed, the log is not full and the last attempt did not fail. Offers are made one
// after the other. The first of a process reads the log from the newest snapshot on.
void disk_offer(struct disk *d, uint64_t tag, int64_t after, int64_t until);

// The log's entries behind `after`, up to and with `until`, in order, a part at a time: at most
// DISK_PART bytes (or one entry). They may be in the file that is being written: what is durable.
// It goes on only to what follows: the next zxid, or the first of a later epoch. If `after` itself
// is an entry, it must be in the log, or the next one in its epoch be the first that is there.
// more: after the event of the begin or more before it, not twice.
enum { DISK_PART = 256 * 1024 };
void disk_history_begin(struct disk *d, uint64_t tag, int64_t after, int64_t until);
void disk_history_more(struct disk *d, uint64_t tag);
void disk_history_end(struct disk *d, uint64_t tag); // unknown: ignored; no event of it follows

// The snapshot file of that zxid, plain or packed, as its body goes on the wire; a part at a time:
// about a megabyte, and never empty unless it failed. The end is told only when the file's
// checksums were right.
void disk_stream_begin(struct disk *d, uint64_t tag, int64_t zxid);
void disk_stream_more(struct disk *d, uint64_t tag);
void disk_stream_end(struct disk *d, uint64_t tag);
