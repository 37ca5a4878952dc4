// SPDX-License-Identifier: Apache-2.0
//
// Start: from the files of a data directory to a tree. disk-format.md 7. Blocking, before the loop.
//
//   leftovers removed -> newest good snapshot -> log replayed, torn end cut -> tree
//
// Everything it does to the files leaves them readable for Apache's servers, whenever it dies.
#pragma once

#include "disk/disk.h"

struct recovered {
    int64_t snap_zxid; // of the snapshot loaded or written; -1: none (trust_empty)
    int64_t txns;      // replayed
    int64_t snap_load_ms, replay_ms;
    int64_t snap_bytes, log_bytes;
    bool snapshot_wanted; // the files alone are a weak basis: take one soon
};

// The directories exist and are locked. Errors have been logged.
must_check enum err recover(struct env *env, const struct disk_config *cfg, const char *snap_dir,
                            const char *log_dir, struct tree *tree, struct recovered *r);
