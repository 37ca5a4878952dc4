// SPDX-License-Identifier: Apache-2.0
//
// The inside of struct pending, for prep*.c and pending.c: the overlay of changes proposed and not
// yet applied. A record is a node as it will be; a path without a record is as the tree has it.
//
// While a request is prepared, records are touched: their old state is kept, so that a failed multi
// can be taken back. commit gives the touched records their zxid and queues them; they are dropped
// when the last zxid that touched them is applied. Nothing outside one prep_txn() is uncommitted.
#pragma once

#include "tree/node.h"
#include "tree/prep.h"
#include "wire/txn.h"

// A node as it will be.
struct pnode {
    int64_t owner;
    int64_t czxid, mzxid, pzxid, ctime, mtime;
    int32_t version, aversion;
    int32_t cversion;     // as apply will store it
    int32_t cversion_seq; // as sequence numbers count it: wraps where the stored one stays
    int32_t acl;          // id in the tree's table, or in pending's
    uint32_t children;
    uint32_t crc; // of path and data
    uint32_t data_len;
    bool acl_is_ours; // acl is an id of pending's table, and we hold a reference
    bool deleted;
};

struct rec {
    struct index_link link; // by path
    uint8_t *path;          // stored form: the root's is empty
    uint32_t path_len;
    uint32_t undo;    // 1 + place in pending.undo while a request is prepared, else 0
    uint32_t session; // the psession whose list it is in: a live ephemeral
    uint32_t session_next, session_prev;
    bool hidden;      // below /zookeeper: not in the digest
    bool acl_changed; // since the undo copy was taken
    int64_t zxid;     // the last that touched it
    struct pnode n;
};

// A session with something pending: its own creation or closing, or ephemerals.
struct psession {
    struct index_link link; // by id
    int64_t id;
    int64_t zxid; // of the creation or closing, 0: none pending
    bool open, closing;
    uint32_t first; // its ephemerals among the records
};

struct undo {
    uint32_t rec;
    bool fresh; // the record was made by this request
    struct pnode old;
};

struct queued {
    int64_t zxid;
    uint32_t item;
    bool is_session;
};

struct pending {
    const struct tree *t;
    struct slab recs, sessions;
    struct index by_path, by_id;
    struct acl_table *acls;
    uint64_t digest; // of the tree when all is applied
    // Ring, oldest first; an item's last entry is the one that counts.
    struct queued *queue;
    size_t queue_cap, queue_at, queue_n;
    struct undo *undo;
    size_t undo_n, undo_cap;
    uint64_t digest_undo;
    struct arena arena; // of the request in preparation
    struct buf scratch;
};

static inline struct rec *rec_at(const struct pending *p, uint32_t h)
{
    return slab_at(&p->recs, h);
}

void pending_begin(struct pending *p);
void pending_commit(struct pending *p, int64_t zxid);
void pending_rollback(struct pending *p);

// The node of a path as it will be: from the overlay or the tree. False: there is none.
bool pending_get(const struct pending *p, struct slice path, struct pnode *n);
const struct acl_vec *pending_acl(const struct pending *p, const struct pnode *n);
// The record of an existing node for changing: between touch and done lies the change.
uint32_t pending_touch(struct pending *p, struct slice path);
void pending_done(struct pending *p, uint32_t h);
// A record for a node that does not exist (yet, or any more): all fields zero.
uint32_t pending_make(struct pending *p, struct slice path, struct slice data);
void pending_set_data(struct pending *p, uint32_t h, struct slice data);
void pending_set_acl(struct pending *p, uint32_t h, const struct acl_vec *v);
// The node goes, and its parent knows it.
void pending_delete(struct pending *p, struct slice path, int64_t zxid);

bool pending_session_is_open(const struct pending *p, int64_t session);
void pending_open_session(struct pending *p, int64_t session, int64_t zxid);
void pending_close_session(struct pending *p, int64_t session, int64_t zxid);
// The ephemerals a closing session will leave, in the arena.
struct slice_vec pending_ephemerals(struct pending *p, int64_t session);
