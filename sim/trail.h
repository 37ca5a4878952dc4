// SPDX-License-Identifier: Apache-2.0
//
// struct trail: one host beside the committed history: what its server has applied while it served,
// and how far its log has been read. Seen from outside: the tree's zxid and digest after each turn,
// and the log files on the simulated disk.
//
// Checked, by the names of Zab.tla:
// - PrefixConsistency, TotalOrder, Agreement: what a serving server has applied is a beginning of
//   the history, its tree has the digest that the history says, and each record of its log that it
//   counts as applied is the history's, byte for byte;
// - GlobalPrimaryOrder, LocalPrimaryOrder: zxids are consecutive within an epoch, and an epoch's
//   first is 1;
// - PrimaryIntegrity: who begins to lead holds everything committed before;
// - one leader for each epoch.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host;
struct world;

struct log_cursor {
    uint64_t file; // by its name; 0: none yet
    size_t off;    // in it
};

struct trail {
    bool serving, leading; // as last seen
    int64_t zxid;          // applied, while it served
    size_t at;             // entries of the history it has
    struct log_cursor log; // records read so far
    int64_t since_ns;      // serving
};

void trail_follow(struct host *h); // it has had a turn, or has recovered
void trail_end(struct host *h);    // its process is gone
// A client got an answer with this zxid from the host: it is in the history, or else.
void trail_claim(struct host *h, int64_t zxid);
// Whether the host's log has all of the history between these.
bool trail_leads(struct host *h, int64_t from, int64_t to);
// The serving leader with the newest epoch, NULL: none.
struct host *trail_leader(const struct world *w);
