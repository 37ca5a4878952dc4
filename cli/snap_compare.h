// SPDX-License-Identifier: Apache-2.0
//
// What became of one snapshot's tree until another: nodes created, deleted and changed. A subtree
// that came or went as a whole is one change. Stat fields that only follow from changes of children
// do not make a change.
#pragma once

#include "cli/snap_file.h"

enum snap_change_kind { SNAP_CREATED, SNAP_DELETED, SNAP_CHANGED };

struct snap_change {
    enum snap_change_kind kind;
    struct buf path;
    uint64_t nodes; // of the subtree; CHANGED: 1
    int64_t bytes;  // of data, more or less
    struct buf why; // CHANGED: "data 2 -> 4 bytes, version 1 -> 2"
};

struct snap_compare {
    const struct snap_file *a, *b;
    uint64_t nodes_min, bytes_min; // a change that reaches neither is not told; both 0: all are
    void (*each)(void *ctx, const struct snap_change *c);
    void *ctx;
    uint64_t created, deleted, changed; // nodes
    int64_t bytes;
    uint64_t sessions_new, sessions_gone;
};

// Fill in a, b, the thresholds and each. True: the trees are the same.
bool snap_compare_run(struct snap_compare *c);
