// SPDX-License-Identifier: Apache-2.0
//
// A snapshot file in memory, for the offline commands: the server's own reader (disk/plain.h,
// disk/snapfile.h) into the server's own tree (tree/load.h), which is the smallest form there is.
//
// What a damaged file still holds is there, too: everything in front of the damage. Its checksum
// cannot be verified then, so each value may be wrong, and snap_file says so.
#pragma once

#include "cli/offline.h"
#include "disk/snapfile.h"
#include "tree/tree.h"

enum { SNAP_WHY_MAX = 256 };

struct snap_file {
    struct tree *tree; // NULL: nothing could be read
    bool whole;        // to the end, and the checksums are right
    char why[SNAP_WHY_MAX];
    uint64_t off; // of the damage, in the unpacked bytes
    uint64_t nodes, sessions, acls, bytes;
    int64_t zxid; // by its name, or by its last section; -1: not known
    struct snapfile_info info;
    enum disk_compression packed;
    bool refused;     // the damage is a node that the tree did not take
    bool hide_config; // the tree has /zookeeper/config, which the file does not
};

// Reads the file. ERR_OK also for one that is damaged; others are the disk's, or ERR_INVALID: this
// is no snapshot at all.
must_check enum err snap_file_load(struct snap_file *f, struct offline *o,
                                   const struct offline_file *file);
// Applies the transactions behind it from the logs of its directory, as a start does. ERR_CORRUPT:
// a log is damaged, o->said has the server's words; all in front of the damage is applied.
must_check enum err snap_file_replay(struct snap_file *f, struct offline *o, const char *dir);
void snap_file_fini(struct snap_file *f); // fine on a zeroed struct

// ---- walking ------------------------------------------------------------------------------------

// All nodes: parents first, brothers by name.
struct snap_walk {
    const struct snap_file *file;
    struct snap_walk_entry {
        uint32_t node, depth;
    } * stack;
    size_t n, cap;
    uint32_t node, depth; // the one in hand; the root has depth 0
    struct buf path;      // of it
};

void snap_walk_init(struct snap_walk *w, const struct snap_file *f);
bool snap_walk_next(struct snap_walk *w); // false: that was the last
void snap_walk_fini(struct snap_walk *w);
