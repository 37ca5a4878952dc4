// SPDX-License-Identifier: Apache-2.0
//
// struct excerpt: a learner's share of the log, part by part: the entries behind `last` up to
// `until`, over as many files as it takes. disk/sync.h, disk_history_begin.
//
// It goes on only to an entry that follows the one before: the next of its epoch or the first of a
// later one. The latter shows nothing about what was behind the one before, so it counts only in a
// log that was whole on the way there: no damage, and `last` itself was seen. (What is handed to an
// excerpt is one joined run of an offer; but files go while it is read.) Or `last` is that of a
// snapshot, of which an offer has said that the log follows it.
//
// On a lane, except for init, give_back and what is said otherwise.
#pragma once

#include "disk/logreader.h"
#include "disk/sync.h"

struct excerpt {
    struct env *env;
    const char *dir;
    int64_t last, until; // delivered so far
    bool from_snapshot;  // the first `last` is that of a good snapshot
    struct logreader r;
    bool begun;  // the first file was looked for
    bool any;    // something was delivered
    bool strict; // only last + 1 follows: `last` was not seen, or there was damage
    bool done;   // nothing more will come; no file is open
    bool again;  // the part is empty because the job was long enough: run another
    struct disk_entry *entries;
    size_t n, cap;
};

void excerpt_init(struct excerpt *x, struct env *env, const char *dir, int64_t after, int64_t until,
                  bool from_snapshot);
// Fills entries[0..n). n == 0 and not `again`: that was all.
void excerpt_read(struct excerpt *x, const struct log_bound *bound);
void excerpt_close(struct excerpt *x);
void excerpt_give_back(struct excerpt *x); // core thread: drops the entries
void excerpt_fini(struct excerpt *x);      // closed, given back
