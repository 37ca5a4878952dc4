// SPDX-License-Identifier: Apache-2.0
//
// What a snapshot's tree is made of: nodes and bytes of each subtree down to a depth, the largest
// nodes, those with the most children, the sessions with the most ephemeral nodes.
#pragma once

#include "cli/snap_text.h"

enum { SNAP_TOP = 10 };

struct snap_top {
    struct snap_top_entry {
        uint64_t value;
        char *text;
    } v[SNAP_TOP];
    size_t n;
};

struct snap_subtree {
    char *path;
    size_t path_n;
    uint32_t depth;
    uint64_t nodes, bytes; // the top node counts, too; data only
};

struct snap_summary {
    struct snap_subtree *rows; // parents first
    size_t n, cap;
    uint64_t nodes, data_bytes, path_bytes, ephemerals, containers, ttls;
    struct snap_top largest, widest, owners;
};

void snap_summary_make(struct snap_summary *s, const struct snap_file *f, uint32_t depth);
void snap_summary_fini(struct snap_summary *s);
void snap_summary_text(const struct snap_summary *s, const struct snap_file *f, struct buf *b);
void snap_summary_json(const struct snap_summary *s, const struct snap_file *f, struct buf *b);
