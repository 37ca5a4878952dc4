// SPDX-License-Identifier: Apache-2.0
//
// struct proposals: what a leader has proposed and not committed, oldest first, and who has
// acknowledged it. Entries leave from the front only: commits are in zxid order and none is
// skipped. Each is counted by the memberships that stood when it was proposed, whatever is
// activated meanwhile. Java: Leader.outstandingProposals, processAck, tryToCommit.
#pragma once

#include "base/blob.h"
#include "wire/quorum.h"

struct proposal {
    int64_t zxid;
    struct blob *txn;     // one reference
    struct quorum quorum; // which must acknowledge it
    struct quorum_acks acks;
};

struct proposals {
    int64_t last_proposed;
    int64_t committed;     // the last that left as committed
    int64_t logged;        // all up to it have the own acknowledgement
    struct proposal *ring; // of cap (a power of two), n used from `first`
    size_t first, n, cap;
};

void proposals_init(struct proposals *p, int64_t last_zxid);
void proposals_fini(struct proposals *p);
// Takes a reference of txn; the quorum's memberships outlive the proposal.
void proposals_put(struct proposals *p, int64_t zxid, struct blob *txn, const struct quorum *q);
// A learner's ACK is of one proposal. What is unknown, too early or too late is no harm.
void proposals_ack(struct proposals *p, int64_t sid, int64_t zxid);
// The own log is durable up to zxid.
void proposals_ack_up_to(struct proposals *p, int64_t sid, int64_t zxid);
// The oldest proposal, out of the window, if its quorums are there. The caller owns its reference.
bool proposals_commit(struct proposals *p, struct proposal *out);
// The oldest, void: its zxid is free again once all are gone. The caller owns its reference.
bool proposals_abort_oldest(struct proposals *p, struct proposal *out);
const struct proposal *proposals_at(const struct proposals *p, size_t i); // 0: the oldest
void proposals_check(const struct proposals *p);
