// SPDX-License-Identifier: Apache-2.0
//
// Transactions: what the leader decided, as it stands in a log record and in a PROPOSAL:
//   TxnHeader, the record of hdr.type, optionally a TxnDigest.
// Decoding is lenient where Apache's readers are (closeSession without a body, create without
// parentCVersion); encoding writes the newest form. Decoded slices point into the input, vectors
// and parts into the arena.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "wire/ops.h"
#include "wire/records.h"

// One decided change: a whole transaction's record, or one part of a multi. type is an enum op.
struct txn_body {
    int32_t type;
    union {
        struct create_txn create;                     // CREATE, CREATE2
        struct create_container_txn create_container; // CREATE_CONTAINER
        struct create_ttl_txn create_ttl;             // CREATE_TTL
        struct delete_txn del;                        // DELETE, DELETE_CONTAINER
        struct set_data_txn set_data;                 // SET_DATA, RECONFIG
        struct set_acl_txn set_acl;                   // SET_ACL
        struct check_version_txn check;               // CHECK, only in a multi
        struct create_session_txn create_session;     // CREATE_SESSION
        struct close_session_txn close_session;       // CLOSE_SESSION; paths.n == -1: no body
        struct error_txn error;                       // ERROR
    };
};

struct txn {
    struct txn_header hdr;  // hdr.type == body.type
    struct txn_body body;   // of MULTI: only the type
    struct txn_body *parts; // of MULTI
    int32_t parts_n;
    bool has_digest;
    struct txn_digest digest;
};

enum { TXN_DIGEST_VERSION = 2 };

// The longest string or buffer a record may hold is bytes_max. ERR_UNSUPPORTED: unknown type.
must_check enum err txn_decode(struct slice s, size_t bytes_max, struct arena *a, struct txn *t);
// Only the header (32 bytes).
must_check enum err txn_decode_header(struct slice s, struct txn_header *h);

void txn_encode(struct buf *b, const struct txn *t);
void txn_encode_header(struct buf *b, const struct txn_header *h); // only that

// "setData 0x5 by 0x100.. cxid 3 ..." for logs, traces and the log printer.
void txn_fmt(struct buf *b, const struct txn *t);

// The record of a transaction type, NULL for MULTI and unknown types.
const struct record_type *txn_record(int32_t type);
