// SPDX-License-Identifier: Apache-2.0
//
// Reading a snapshot file, plain, gzip or snappy, into a tree; or only to see whether it is whole.
// Blocking: before the loop, or (without a tree) inside a job.
#pragma once

#include "disk/disk.h"
#include "disk/names.h"
#include "disk/snapfile.h"

// Longest path or data accepted: what a file of ours or Apache's can hold, whatever jute.maxbuffer
// is now. Bounds the memory that a damaged length can ask for.
enum { SNAPLOAD_BYTES_MAX = 128 * 1024 * 1024 };

struct snapload {
    uint64_t nodes, sessions;
    struct snapfile_info info;
    const char *why; // after an error: what is wrong, in words
    uint64_t off;    // and where, in the uncompressed bytes
};

// ERR_CORRUPT and ERR_CUT speak of the file, others of the disk. On error the tree is in no state
// to be used: begin anew. tree NULL: only check.
must_check enum err snapshot_load(struct env *env, const char *dir, const struct disk_file *file,
                                  struct tree *tree, struct snapload *load);
