// SPDX-License-Identifier: Apache-2.0
//
// struct tree: the replicated state at one zxid: nodes, ACL lists, sessions, and what follows from
// them (ephemerals by session, containers and TTL nodes, quota roots, tree digest).
//
//   txn ---apply.h---> tree ---read.h---> reply bodies
//                       |  ---walk.h---> snapshot bytes          load.h ---> tree
//
// Owned by the core thread; readers take it const. Only apply and load change it. Nodes are 32-bit
// handles into a slab, found through one hash table keyed by (parent, name); children hang in an
// intrusive list; no path is kept (tree_path builds it).
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "tree/acl.h"
#include "tree/session.h"
#include "wire/records.h"

struct tree_config {
    struct acl_rules acl;
    bool extended_types;    // extendedTypesEnabled: TTL nodes
    bool emulate_353_ttl;   // emulate353TTLNodes
    bool enforce_quota;     // enforceQuota
    bool digest_enabled;    // digest.enabled
    bool close_session_txn; // closeSessionTxn.enabled: CloseSessionTxn lists the paths
    bool reconfig_enabled;
    uint64_t seed;    // of the hash tables
    size_t bytes_max; // longest string or buffer in a record
};

struct tree;

struct tree *tree_new(const struct tree_config *cfg,
                      const struct logger *log); // the fresh tree, zxid 0
void tree_free(struct tree **t);
// The contents change places, the pointers stay good for whoever holds them; handles of nodes, of
// sessions and slices do not. No walk may be in progress in either.
void tree_swap(struct tree *a, struct tree *b);

// /zookeeper/config := text, modified by `version` now. Each server's own doing when a membership
// is activated or known at a start: no transaction, and not in the digest.
void tree_set_config(struct tree *t, struct slice text, int64_t version, int64_t wall_ms);

const struct tree_config *tree_config(const struct tree *t);
int64_t tree_zxid(const struct tree *t); // last applied
uint64_t tree_digest(const struct tree *t);
struct session_table *tree_sessions(struct tree *t);
const struct session_table *tree_sessions_const(const struct tree *t);
const struct acl_table *tree_acls(const struct tree *t);

// Node of a path; 0 if there is none. "" and "/" are the root.
uint32_t tree_find(const struct tree *t, struct slice path);
void tree_node_stat(const struct tree *t, uint32_t node, struct node_stat *st); // wire values
// As a snapshot holds it: stored values. Slices as tree_node_data().
void tree_node_stored(const struct tree *t, uint32_t node, struct data_node *d);
struct slice tree_node_data(const struct tree *t, uint32_t node); // may be null
int32_t tree_node_acl(const struct tree *t, uint32_t node);
uint32_t tree_parent(const struct tree *t, uint32_t node);
uint32_t tree_first_child(const struct tree *t, uint32_t node); // 0: none
uint32_t tree_next_sibling(const struct tree *t, uint32_t node);
struct slice tree_node_name(const struct tree *t, uint32_t node);
// Appends the path ("/" for the root).
void tree_path(const struct tree *t, uint32_t node, struct buf *b);

size_t tree_descendants(const struct tree *t, uint32_t node); // walks them, but for the root

// Figures for srvr, mntr and the digest log.
size_t tree_node_count(const struct tree *t); // as Apache counts: real nodes + 1
size_t tree_ephemeral_count(const struct tree *t);
int64_t tree_data_size(const struct tree *t); // approximate_data_size: path and data lengths
// Ephemerals of a session: *cursor starts at 0; false at the end.
bool tree_ephemeral_next(const struct tree *t, int64_t session, uint32_t *cursor, uint32_t *node);
// Sessions that own ephemerals: *cursor starts at 0.
bool tree_ephemeral_owner_next(const struct tree *t, size_t *cursor, int64_t *session);

// The digest log (`hash` word): every 128th zxid, the last 1024 points, oldest first.
struct digest_point {
    int64_t zxid;
    uint64_t digest;
};
size_t tree_digest_log(const struct tree *t, struct digest_point *v, size_t max);
int64_t tree_digest_mismatches(const struct tree *t);

// Containers and TTL nodes that are due: appends up to `max` paths into the arena.
// client-protocol.md 2.6; never_used_ms 0: containers that never had children stay.
struct slice_vec tree_reapable(const struct tree *t, int64_t wall_ms, int64_t never_used_ms,
                               int32_t max, struct arena *a);

// Invariants: links, counts, digest, indexes. Walks the whole tree; for tests and simulation.
void tree_check(const struct tree *t);
