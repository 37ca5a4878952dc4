// SPDX-License-Identifier: Apache-2.0
//
// Reads: a request against a const tree becomes a reply body. client-protocol.md 3.6, 3.10. Each
// appends its body to `out` only when it returns ZK_OK. Registering watches is the caller's matter.
#pragma once

#include "base/buf.h"
#include "tree/tree.h"
#include "wire/zkerr.h"

enum zkerr read_exists(const struct tree *t, const struct auth *who, struct slice path,
                       struct buf *out);
enum zkerr read_data(const struct tree *t, const struct auth *who, struct slice path,
                     struct buf *out);
enum zkerr read_acl(const struct tree *t, const struct auth *who, struct slice path,
                    struct buf *out);
// with_stat: getChildren2.
enum zkerr read_children(const struct tree *t, const struct auth *who, struct slice path,
                         bool with_stat, struct buf *out);
enum zkerr read_all_children_number(const struct tree *t, const struct auth *who, struct slice path,
                                    struct buf *out);
enum zkerr read_ephemerals(const struct tree *t, int64_t session, struct slice prefix,
                           struct buf *out);
// The whole body of a multiRead request. With ZK_MARSHALLINGERROR `out` may hold a terminator:
// Apache sends it when the request begins with a write.
enum zkerr read_multi(const struct tree *t, const struct auth *who, struct slice body,
                      struct buf *out);
