// SPDX-License-Identifier: Apache-2.0
//
// struct line: what a learner was sent and has not finished, oldest first. Each entry is appended
// to the log, named committed by the leader, applied, and acknowledged; each of these goes through
// the line from its front, so four places in it say everything, and a step costs what it moves:
//
//   first <= acked <= appended <= n        applied <= appended, applied <= committed <= n
//
// An entry that was applied and acknowledged leaves. Which of the moves may be made is learner.c's.
#pragma once

#include "zab/zab_role.h"

struct line_entry {
    struct zab_entry e; // one reference
    bool activates;     // its commit activates a membership, with this leader
    int64_t designated;
};

struct line {
    struct line_entry *v; // [first, n)
    size_t first, n, cap;
    size_t appended, committed, applied, acked; // all before it are
};

void line_fini(struct line *l);
void line_put(struct line *l, int64_t zxid, struct blob *txn); // takes a reference
// The oldest finished entry, out of the line, with its reference; NULL: there is none.
struct blob *line_take(struct line *l);
void line_check(const struct line *l);
