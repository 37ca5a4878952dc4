// SPDX-License-Identifier: Apache-2.0
//
// check_tree: the server against the model. The log on the simulated disk gives the order; the
// clients know what was asked; the model decides again. So it holds, at every moment:
// - each record of the log is a request somebody made, once, in the order of its session, or an
//   event the server may cause (expiry after enough silence, reaping of what is due);
// - what has been applied is in the log, and stays in it across every crash;
// - after a start, at times, and at the end, the tree equals the model node by node: data, stat,
//   ACL, sessions, digest.
// Requests without an answer are settled here too: they are in the log, whole, or they never were.
#pragma once

#include "sim/model.h"

struct world;
struct host;

struct check_tree {
    struct model *model;
    struct arena arena; // of one record
    uint64_t file;      // name of the log file being followed, 0: look for it
    size_t off;
    uint32_t *sums; // checksum of each record's bytes, by zxid
    size_t sums_cap;
    uint64_t follows;
};

struct check_tree *check_tree_new(void);
void check_tree_free(struct check_tree **c);

void check_tree_boot(struct check_tree *c, struct host *h);   // a server has recovered
void check_tree_follow(struct check_tree *c, struct host *h); // it has had a turn
void check_tree_heard(struct check_tree *c, struct world *w, int64_t session);
void check_tree_compare(struct check_tree *c, struct host *h);
void check_tree_end(struct check_tree *c, struct world *w); // every client has left: what remains?
