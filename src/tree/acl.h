// SPDX-License-Identifier: Apache-2.0
//
// ACLs: the table of distinct lists (nodes hold a small id), who may do what, and the rules that
// turn a client's list into a stored one. client-protocol.md 4.3-4.5, Apache's PrepRequestProcessor
// fixupACL and ZooKeeperServer.checkACL.
#pragma once

#include "base/arena.h"
#include "base/hash.h"
#include "wire/records.h"
#include "wire/zkerr.h"

// Who a connection is. ids are in the order they were added; the first is always ip:<address>.
struct auth {
    struct zk_id *ids;
    int32_t n;
};

// What ACLs may name and who bypasses them; from the configuration.
struct acl_rules {
    bool skip_acl;       // skipACL=yes
    bool digest_enabled; // DigestAuthenticationProvider.enabled
    bool sasl_enabled, x509_enabled;
};

// World, anyone, everything: what the server's own nodes have. Never in a snapshot's ACL map.
enum { ACL_ID_OPEN = -1 };

struct acl_table; // id -> list, list -> id, reference counts

struct acl_table *acl_table_new(uint64_t seed);
void acl_table_free(struct acl_table **t);
// Id of a list, given out from 1 upward; takes one reference for a node. Copies the list if new.
int32_t acl_table_get(struct acl_table *t, const struct acl_vec *v);
void acl_table_ref(struct acl_table *t, int32_t id);
void acl_table_unref(struct acl_table *t, int32_t id); // the last one forgets the list
// The list of an id; NULL if unknown (a fuzzy snapshot before its log is replayed).
const struct acl_vec *acl_table_list(const struct acl_table *t, int32_t id);
// Loading: defines an id as a snapshot names it, with no references.
void acl_table_define(struct acl_table *t, int32_t id, const struct acl_vec *v);
void acl_table_purge(struct acl_table *t); // forgets lists without references
int32_t acl_table_count(const struct acl_table *t);
// Iteration in id order: next id above `after`, 0 at the end.
int32_t acl_table_next(const struct acl_table *t, int32_t after);

// Any of the bits of perms granted?
bool acl_allows(const struct acl_vec *list, int32_t perms, const struct auth *who,
                const struct acl_rules *rules);
bool auth_is_super(const struct auth *who);

// A client's list made storable, in the arena. ZK_OK, ZK_INVALIDACL or ZK_MARSHALLINGERROR.
enum zkerr acl_fixup(const struct acl_vec *in, const struct auth *who,
                     const struct acl_rules *rules, struct arena *a, struct acl_vec *out);
