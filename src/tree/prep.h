// SPDX-License-Identifier: Apache-2.0
//
// prep: a write request becomes a transaction. Runs on the leader only and is the only place that
// decides: it sees the tree plus the overlay of changes proposed and not yet applied, and writes
// down the outcome in absolute terms (final names, new versions, the digest of the tree
// afterwards). Apache: PrepRequestProcessor.pRequest2Txn.
//
//   request + tree (const) + pending  ->  txn entry bytes, pending grows
//   applied(zxid)                     ->  pending shrinks
#pragma once

#include "base/buf.h"
#include "base/mtime.h"
#include "tree/tree.h"
#include "wire/zkerr.h"

struct pending; // the overlay: per path the node as it will be, per session whether it is closing

struct pending *pending_new(const struct tree *t);
void pending_free(struct pending **p);
// Everything proposed up to zxid has been applied to the tree.
void pending_applied(struct pending *p, int64_t zxid);
// Nothing proposed and unapplied will ever be applied (the log refused it, or leadership is lost).
void pending_reset(struct pending *p);
size_t pending_count(const struct pending *p);
bool pending_session_is_closing(const struct pending *p, int64_t session);

struct prep_request {
    int64_t session; // 0: the server itself (container and TTL reaping)
    int32_t cxid;    // xid of the request, 0 for internal ones
    int32_t op;      // enum op; CREATE_SESSION and DELETE_CONTAINER come from the server only
    // What the client sent. RECONFIG with nothing to refuse: the text of the next membership, as it
    // is to stand in /zookeeper/config; working it out and judging it is not prep's.
    struct slice body;
    const struct auth *auth;
    // The session may be a local one: if the table does not hold it, it may do all but own an
    // ephemeral node. Java: LeaderSessionTracker.checkSession, checkGlobalSession.
    bool local;
    // What the caller knows against it, ZK_OK: nothing. It is asked where the session is, behind
    // its being open (a session that has moved); of RECONFIG also what ranks behind that and before
    // the permission.
    enum zkerr refuse;
};

// Appends the entry (TxnHeader, record, digest) to `out`. A request that fails becomes an error
// transaction: every request takes its zxid. Returns the answer it will get (ZK_OK for a multi,
// whose outcome is inside). zxid: the next one, greater than all before.
enum zkerr prep_txn(struct pending *p, const struct prep_request *req, int64_t zxid,
                    struct wall now, struct buf *out);
