// SPDX-License-Identifier: Apache-2.0
//
// apply: a committed transaction changes the tree. It decides nothing and checks nothing again;
// what does not fit (replay over a fuzzy snapshot) is a result, not a failure. disk-format.md 8,
// Apache's DataTree.processTxn. Out: what the client is told, and which watches the change touches.
#pragma once

#include "base/arena.h"
#include "tree/tree.h"
#include "tree/watch.h"
#include "wire/txn.h"
#include "wire/zkerr.h"

struct apply_result {
    int32_t type;      // enum op of the reply: CREATE, CREATE2, DELETE ..., ERROR for a failed part
    int32_t err;       // enum zkerr
    struct slice path; // created path
    struct node_stat stat;      // after this change
    struct apply_result *parts; // MULTI
    int32_t parts_n;
};

// One change as watches see it. serve looks up who watches.
struct fired {
    enum watch_list list;
    int32_t type; // 1 created, 2 deleted, 3 data changed, 4 children changed
    struct slice path;
    const struct acl_vec *acl; // who may read it; valid until the next apply_txn
    bool unless_data;          // child list of a deleted node: skip whom the data list just served
};

struct apply_out {
    struct apply_result result;
    struct fired *fired; // in the order they go out
    int32_t fired_n, fired_cap;
};

// Everything in *out lives in `a` or in the txn's own bytes.
void apply_txn(struct tree *t, const struct txn *txn, struct arena *a, struct apply_out *out);
