// SPDX-License-Identifier: Apache-2.0
//
// How a leader brings a learner to its own history: the opening packet of a synchronisation and the
// proposals behind it, as a function of two numbers of zxids. Java: LearnerHandler.syncFollower and
// queueCommittedProposals.
//
//   DIFF z    the learner's history is a beginning of ours: the rest follows
//   TRUNC z   cut what is above z, which is our end
//   SNAP z    everything anew; z is the snapshot's
//
// The answers are Java's, except where Java's would leave the learner with another history:
//
// - Nothing is served across a gap. A server that once was sent a snapshot has a hole in its log
//   (ZOOKEEPER-2846); so the history comes as runs, and a run says whether it is known to follow
//   the one before it. A zxid that falls into a hole gets SNAP, where Java cuts and goes on.
// - No SNAP below what the learner has logged and we do not have: its log would keep that tail
//   behind the snapshot. Such a learner gets TRUNC, even if a snapshot was asked for.
// - Where no snapshot file can be sent the log is, however long it is, behind a TRUNC if the
// learner
//   has a tail of its own.
// - TRUNC to a zxid that is not a record of its log makes a Java learner keep one record too many.
//   A leader that serves can avoid it: its snapshot is of the new epoch, above that tail.
//
// That a learner that has zxid z of ours has everything before it, too, is Zab's promise and is
// relied upon. It needs no more than that: a tail we do not have is not compared, but cut.
//
// The caller keeps the history still from the question until the learner stands in line for what
// comes next, and takes its references to the proposals in memory meanwhile.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Transactions first..last of one epoch, every one of them. Of a history: ascending, disjoint.
struct sync_run {
    int64_t first, last;
    bool joined;    // nothing is between it and the run before it
    uint64_t bytes; // on disk, counted when it is served from there
};

struct sync_ask {
    int64_t learner;        // its last zxid, of ACKEPOCH
    int64_t last_processed; // of the tree; at least (e,0) once this leader serves epoch e
    int64_t committed;      // the last transaction there is; nothing is behind a file of that zxid
    bool serving;
    bool force_snapshot; // forceSnapshotSync
    bool final;          // what is on disk was asked for: nothing better will come

    // Committed transactions in memory, up to the last one there is: the end of our history.
    // Without any, last_processed counts as the end; once it is (e,0), who is behind it gets SNAP.
    // So keep one at least.
    const struct sync_run *memory;
    size_t memory_n;
    // The log on disk. It may reach as far as it likes, or not at all.
    const struct sync_run *disk;
    size_t disk_n;
    // snapshotSizeFactor: serve from disk while that is at most this part of a snapshot's bytes.
    // 0: always; negative: never.
    double size_factor;
    uint64_t snapshot_bytes; // of the newest valid snapshot; 0: there is none, no limit
    // Of a snapshot file that can be sent as it is, and that the log follows without a hole, be it
    // with its first entry; -1: none.
    int64_t snapshot_zxid;
};

enum sync_open { SYNC_DIFF, SYNC_TRUNC, SYNC_SNAP };

// Why it is that packet, for the log.
enum sync_why {
    SYNC_WHY_EQUAL,      // DIFF: the learner has it all
    SYNC_WHY_BEHIND,     // DIFF: the learner's zxid is ours
    SYNC_WHY_AHEAD,      // TRUNC: it is above our last
    SYNC_WHY_FORCED,     // SNAP: wished
    SYNC_WHY_TAIL,       // SNAP: it has transactions of an epoch that went on without them
    SYNC_WHY_GAP,        // SNAP: it, or something behind it, falls into a hole of our log
    SYNC_WHY_TOO_OLD,    // SNAP: it is before our log
    SYNC_WHY_TOO_MUCH,   // SNAP: a snapshot is smaller
    SYNC_WHY_AHEAD_EPOCH // SNAP: above our last, and not a transaction
};

struct sync_plan {
    enum sync_open open;
    enum sync_why why;
    int64_t zxid; // of the opening packet
    // Behind it PROPOSAL and COMMIT of every z with after < z: those below disk_end from the log on
    // disk, the others from memory. disk_end == 0: nothing from disk.
    int64_t after;
    int64_t disk_end;
    // The last one of them, or where the learner then stands: new proposals follow behind it.
    int64_t last;
    // SNAP: the file of snapshot_zxid; otherwise the tree as it is, which must become a file first.
    bool from_file;
    int64_t file; // its zxid; the packet's is higher if the file is the state of the new epoch
};

struct sync_plan sync_plan_make(const struct sync_ask *ask);

// Adds the next transaction of a history to its last run. False: a new run begins with it.
bool sync_run_extend(struct sync_run *run, int64_t zxid);

const char *sync_open_name(enum sync_open open); // "DIFF"
const char *sync_why_text(enum sync_why why);
