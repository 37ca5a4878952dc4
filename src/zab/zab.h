// SPDX-License-Identifier: Apache-2.0
//
// struct zab: agreement as a function: event in, actions out. It owns the proposals in flight and
// who acknowledged them; it has no clock, socket or file in it.
//
//   PROPOSE(zxid, txn) -> APPEND to the own log (and, with peers, to theirs)
//   LOGGED(zxid)       -> own acknowledgement; a quorum of them -> COMMIT, in zxid order
//   LOG_FULL(zxid)     -> ABORT of the proposals above zxid
//
// A standalone server is an ensemble of one voter: it leads, and its own log is the quorum. TLA+:
// LeaderProcessRequest, LeaderProcessACK, FilterCommit (Zab.tla); Java: Leader.propose,
// Leader.processAck, Leader.tryToCommit.
#pragma once

#include "base/blob.h"
#include "base/err.h"
#include "base/must.h"

enum zab_event_type { ZAB_PROPOSE, ZAB_LOGGED, ZAB_LOG_FULL, ZAB_SYNC };

struct zab_event {
    enum zab_event_type type;
    int64_t zxid;     // PROPOSE: zab_next_zxid(); LOGGED, LOG_FULL: the last durable one
    struct blob *txn; // PROPOSE: the entry; zab takes its own reference
    uint64_t tag;     // SYNC: comes back in SYNCED
};

enum zab_action_type {
    ZAB_APPEND, // write txn to the log; LOGGED or LOG_FULL follows
    ZAB_COMMIT, // apply txn
    ZAB_ABORT,  // txn will never commit: it is in no log
    ZAB_SYNCED  // everything committed before the SYNC event has been handed out as COMMIT
};

struct zab_action {
    enum zab_action_type type;
    int64_t zxid;
    struct blob *txn; // valid until the next zab_step; keep it by taking a reference
    uint64_t tag;
};

// Actions of one step, in order. The array belongs to zab and is good until the next step.
struct zab_out {
    const struct zab_action *actions;
    size_t n;
};

struct zab;

// Leads at once with itself as the only voter. last_zxid: of the recovered log.
struct zab *zab_new(int64_t sid, int64_t last_zxid);
void zab_free(struct zab **z);
void zab_step(struct zab *z, const struct zab_event *ev, struct zab_out *out);

int64_t zab_next_zxid(const struct zab *z); // what the next PROPOSE must carry
int64_t zab_committed(const struct zab *z); // last zxid handed out as COMMIT
size_t zab_in_flight(const struct zab *z);  // proposed and neither committed nor aborted
void zab_check(const struct zab *z);        // invariants, after every step in tests
