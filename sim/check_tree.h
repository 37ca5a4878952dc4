// SPDX-License-Identifier: Apache-2.0
//
// check_tree: the servers against the model. The committed history gives the order (history.h,
// trail.h); the clients know what was asked; the model decides again. So it holds, at every moment:
// - each record of the history is a request somebody made, once, in the order of its session, or an
//   event the server may cause (expiry after enough silence, reaping of what is due);
// - a write that was answered before another was sent has the smaller zxid: writes are
// linearizable;
// - after a start, at times, and at the end, each tree equals the model at its zxid, node by node:
//   data, stat, ACL, sessions, digest.
// Requests without an answer are settled here too: they are in the history, whole, or they never
// were.
#pragma once

#include "sim/committed.h"
#include "sim/model.h"

struct world;
struct host;

struct check_tree {
    struct model *model;
    struct committed committed;
    struct arena arena; // of one record
    uint64_t follows;
    int64_t answered; // highest zxid of a write that was answered
    int64_t epoch;    // newest that has been led
    uint32_t epoch_leader;
};

struct check_tree *check_tree_new(void);
void check_tree_free(struct check_tree **c);

void check_tree_record(struct check_tree *c, struct world *w, struct slice record); // the next one
void check_tree_boot(struct check_tree *c, struct host *h);   // a server has recovered
void check_tree_follow(struct check_tree *c, struct host *h); // it has had a turn
void check_tree_lead(struct check_tree *c, struct host *h);   // it begins to lead
// A host has read something that this session sent.
void check_tree_heard(struct check_tree *c, struct host *h, int64_t session);
// A client was told of this zxid by the host.
void check_tree_told(struct check_tree *c, struct host *h, int64_t zxid);
void check_tree_compare(struct check_tree *c, struct host *h);
// What is left to do has been done long ago: everybody serves, and has everything.
void check_tree_equal(struct check_tree *c, struct world *w);
void check_tree_end(struct check_tree *c, struct world *w); // every client has left: what remains?
