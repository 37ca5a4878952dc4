// SPDX-License-Identifier: Apache-2.0
//
// Between prep.c (requests), prep_ops.c (one change each) and prep_multi.c. Each prep_* checks in
// Apache's order, and only when all holds changes the overlay and fills the transaction's body.
#pragma once

#include "limits.h"
#include "tree/pending.h"

struct prep {
    struct pending *p;
    const struct prep_request *req;
    int64_t zxid;
    struct wall now;
    size_t acl_bytes; // of the ACL lists written out so far
};

// Of a closeSession's entry, what is not its paths: header, count, digest.
enum { PREP_ENTRY_FIXED = 32 + 4 + 12 };

static inline size_t prep_entry_max(const struct pending *p)
{
    size_t n = p->t->cfg.bytes_max;
    return n < LIMIT_ENTRY ? n : LIMIT_ENTRY;
}

// A create with its opcode's meaning spelled out.
struct create_order {
    int32_t type; // OP_CREATE, CREATE2, CREATE_CONTAINER or CREATE_TTL: the txn's and the reply's
    struct slice path, data;
    struct acl_vec acl;
    int32_t flags;
    int64_t ttl_ms; // -1: the request has none
};

enum {
    CREATE_PERSISTENT,
    CREATE_EPHEMERAL,
    CREATE_SEQUENTIAL,
    CREATE_EPHEMERAL_SEQUENTIAL,
    CREATE_CONTAINER,
    CREATE_TTL,
    CREATE_TTL_SEQUENTIAL
};

static inline bool create_is_ttl(int32_t flags)
{
    return flags == CREATE_TTL || flags == CREATE_TTL_SEQUENTIAL;
}

enum zkerr prep_create(struct prep *x, const struct create_order *o, struct txn_body *out);
enum zkerr prep_delete(struct prep *x, const struct delete_request *r, struct txn_body *out);
enum zkerr prep_set_data(struct prep *x, const struct set_data_request *r, struct txn_body *out);
enum zkerr prep_set_acl(struct prep *x, const struct set_acl_request *r, struct txn_body *out);
enum zkerr prep_reconfig(struct prep *x, struct txn_body *out);
enum zkerr prep_check(struct prep *x, const struct check_version_request *r, struct txn_body *out);
enum zkerr prep_delete_container(struct prep *x, struct slice path, struct txn_body *out);
void prep_close_session(struct prep *x, struct txn_body *out);

// ZK_MARSHALLINGERROR: the request is no multi at all. Otherwise *t has its parts, some of them
// errors when it failed; the overlay is committed or rolled back by the caller, by *failed.
enum zkerr prep_multi(struct prep *x, struct txn *t, bool *failed);
