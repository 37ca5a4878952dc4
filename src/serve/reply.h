// SPDX-License-Identifier: Apache-2.0
//
// Reply frames. A reply is built in place: reply_begin leaves room for length and header at the end
// of the connection's output, the body is appended, reply_end fills the room in and keeps the
// books.
#pragma once

#include "serve/core.h"

enum { REPLY_HEAD = 20 }; // length, xid, zxid, err

// What a reply answers.
struct reply_to {
    int32_t xid, op;
    struct mono arrived;
    struct slice path; // of a read, for the log
};

size_t reply_begin(struct serve *s, struct conn *c);
// err != 0: the body is dropped (but multiRead's, which ends with a terminator as Apache's does).
void reply_end(struct serve *s, struct conn *c, size_t at, const struct reply_to *to, int64_t zxid,
               enum zkerr err);
void reply_head(struct serve *s, struct conn *c, const struct reply_to *to, int64_t zxid,
                enum zkerr err); // no body
// The whole frame of a committed write, appended to b. op: what was asked. with_stat: of a multi, a
// byte per part that is 1 where create2 was asked (it is logged as create), null where nowhere.
void reply_txn_encode(struct buf *b, int32_t xid, int32_t op, struct slice with_stat,
                      const struct txn *txn, const struct apply_result *r);
void reply_head_encode(struct buf *b, int32_t xid, int64_t zxid, enum zkerr err);
// Books for a finished frame of n bytes that lies in the output.
void reply_account(struct serve *s, struct conn *c, const struct reply_to *to, int64_t zxid,
                   size_t n);
