// SPDX-License-Identifier: Apache-2.0
//
// struct offer: what the log and the snapshots of this server could give to a learner; the answer
// to disk_offer. disk/sync.h.
//
//   files --scan--> runs of each file (kept) --merge--> runs of the log, joined or not
//
// Where a file ends is known only by reading it. What was read is kept, and a file that has grown
// is read on from there: an offer costs one reading of the log per life of the process.
//
// Joined, between the last entry of an epoch and the first of a later one, is a claim about what
// was never in this log. Three grounds for it, else it is not made:
// - What this process appended behind what its own log held at the start is joined: whenever
//   entries come from elsewhere than the log, the old files are set aside (disk_take_commit).
// - A server that once was sent a snapshot left a snapshot file inside the hole (ZOOKEEPER-2846).
//   If there is none between the two entries, and there is one at or below the first of them (so
//   none can have been purged from between), they are joined.
// - And never across damage.
//
// A zxid that goes back (an Apache server cut its log badly) takes all runs before it with it.
//
// On a lane, one job at a time; the core thread looks in between.
#pragma once

#include "disk/logreader.h"
#include "disk/sync.h"

enum { OFFER_GOOD_MAX = 8 };

// What one file was found to hold, as far as it was read.
struct offer_file {
    int64_t zxid;          // of its name
    uint64_t at;           // read up to here
    bool done;             // to the end, and it will not grow
    bool damaged;          // behind `at`
    struct disk_run *runs; // not yet merged: consecutive entries; may go back
    size_t runs_n, runs_cap;
};

struct offer {
    struct env *env;
    const char *snap_dir, *log_dir;
    int64_t own_from; // entries behind this one were appended by this process
    struct offer_file *files;
    size_t files_n, files_cap;
    // The question. good: zxids of snapshots known to be whole.
    int64_t after, until;
    int64_t good[OFFER_GOOD_MAX];
    size_t good_n;
    struct log_bound bound;
    // The answer.
    bool again; // not ready: the job was long enough, run another
    struct disk_run *runs;
    size_t runs_n, runs_cap;
    int64_t snapshot_zxid;   // newest good one that the log follows; -1: none
    uint64_t snapshot_bytes; // of the newest good one; 0: there is none
};

void offer_init(struct offer *o, struct env *env, const char *snap_dir, const char *log_dir,
                int64_t own_from);
void offer_fini(struct offer *o);
void offer_forget(struct offer *o); // the log was cut or set aside
void offer_make(struct offer *o);
