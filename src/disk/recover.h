// SPDX-License-Identifier: Apache-2.0
//
// Start: from the files of a data directory to a tree. disk-format.md 7. Blocking, before the loop.
//
//   leftovers removed -> a truncation or an install that was decided, finished -> newest good
//   snapshot -> log replayed, torn end cut -> tree -> epochs mended (members only)
//
// Everything it does to the files leaves them readable for Apache's servers, whenever it dies.
#pragma once

#include "disk/disk.h"
#include "disk/tail.h"

struct recovered {
    int64_t snap_zxid; // of the snapshot loaded or written; -1: none (trust_empty)
    int64_t txns;      // replayed
    int64_t snap_load_ms, replay_ms;
    int64_t snap_bytes, log_bytes;
    struct disk_epochs epochs;
    bool snapshot_wanted; // the files alone are a weak basis: take one soon
};

// The directories exist and are locked. Errors have been logged. Of a member the last entries go
// into `tail`.
must_check enum err recover(struct env *env, const struct disk_config *cfg, const char *snap_dir,
                            const char *log_dir, struct tree *tree, struct tail *tail,
                            struct recovered *r);
