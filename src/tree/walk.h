// SPDX-License-Identifier: Apache-2.0
//
// walk: the tree as it is at one zxid, as snapshot bytes, while the tree goes on changing.
//
// begin notes the zxid and writes sessions and ACL lists; slices then write nodes in slab order, a
// parent always before its children. apply tells the walk of each node that is about to change or
// go; if it was not written yet, it is written first (its unwritten ancestors before it). Nodes
// created after begin are not part of the walk. So the bytes are exactly the tree at the begin.
//
// The bytes are the sections of disk-format.md 6.2-6.4, in order, without file header and seals
// (disk/snapfile.h adds them).
#pragma once

#include "base/buf.h"
#include "tree/tree.h"

struct walk_info {
    int64_t zxid;
    uint64_t digest;
    size_t nodes;
};

bool tree_walk_active(const struct tree *t);
void tree_walk_begin(struct tree *t, struct walk_info *info);
// Writes up to max nodes more. Returns true when the walk is complete (and no longer active after
// the bytes are taken).
bool tree_walk_slice(struct tree *t, size_t nodes_max);
// Bytes written since the last take, by slices and by apply. Swaps them into *b, which must be
// empty.
void tree_walk_take(struct tree *t, struct buf *b);
size_t tree_walk_waiting(const struct tree *t); // bytes not yet taken
void tree_walk_cancel(struct tree *t);
