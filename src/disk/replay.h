// SPDX-License-Identifier: Apache-2.0
//
// Replaying the log at start. disk-format.md 7.3 and 2. All files from the one that can hold zxid +
// 1 on, every record above the tree's zxid, committed or not.
//
// A damaged record in the last file is what a crash leaves of a batch that was never answered, or
// it is damage to answered records, and these must not be mistaken for each other: the first is cut
// off, the second stops the start. Rule: nothing right behind it: torn. A right record more than a
// batch behind it: damage. A right record closer: torn only if the bad one lacks whole sectors, as
// a power cut leaves it.
#pragma once

#include "disk/disk.h"
#include "disk/names.h"
#include "disk/tail.h"

// Longest entry accepted: far above what jute.maxbuffer lets through, since a closeSession lists
// all paths of its session whatever that is. A damaged length beyond it is found at once.
enum { REPLAY_ENTRY_MAX = 256 * 1024 * 1024 };

struct replay_how {
    int64_t until;     // nothing above it is applied
    bool look_only;    // the files are settled: damage is an error wherever it is, nothing is cut
    struct tail *tail; // gets the last entries; NULL: nowhere
};

struct replay {
    int64_t txns;     // applied
    int64_t holes;    // places where zxids are missing
    uint64_t cut;     // bytes taken off the last file's end
    bool changed_dir; // files were removed
};

// Files of the log directory in `files`. ERR_CORRUPT and others have been logged, with file, offset
// and what to do.
must_check enum err replay_logs(struct env *env, const char *dir, struct disk_files *files,
                                struct tree *tree, const struct replay_how *how, struct replay *r);
