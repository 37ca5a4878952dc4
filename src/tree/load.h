// SPDX-License-Identifier: Apache-2.0
//
// load: a tree from a snapshot's records, foreign fuzzy ones included. begin empties the tree; then
// sessions, ACL lists, nodes (parents first; the root is path ""); end sets the zxid and builds
// what follows from the nodes (ephemerals, containers, TTL, quota counts, digest).
#pragma once

#include "base/err.h"
#include "tree/tree.h"

void tree_load_begin(struct tree *t);
void tree_load_session(struct tree *t, int64_t id, int32_t timeout_ms);
must_check enum err tree_load_acl(struct tree *t, int64_t id, const struct acl_vec *v);
// ERR_CORRUPT: no parent, a second node of that path (said a few nodes later, or at the end), a
// root that is not first. ERR_UNSUPPORTED: an owner or ACL id that nobody writes. Then only begin
// helps.
must_check enum err tree_load_node(struct tree *t, struct slice path, const struct data_node *n);
must_check enum err tree_load_end(struct tree *t, int64_t zxid);
// What the snapshot says of the digest at a zxid (section 7.1): replay compares from there on.
void tree_load_digest(struct tree *t, int64_t zxid, uint64_t digest);
// After log replay: recount quotas, forget unused ACL lists.
void tree_replay_end(struct tree *t);
