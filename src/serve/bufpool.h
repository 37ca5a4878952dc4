// SPDX-License-Identifier: Apache-2.0
//
// struct bufpool: storage of connection buffers kept for reuse, so that a steady state allocates
// nothing and an idle connection owns none. Bounded by LIMIT_BUF_POOL_BYTES.
#pragma once

#include "base/buf.h"

struct bufpool {
    struct buf *v;
    size_t n, cap;
    size_t bytes; // storage held
};

// An empty buf with some room.
struct buf bufpool_take(struct bufpool *p);
// Gives storage back; *b is empty afterwards. No storage is fine.
void bufpool_give(struct bufpool *p, struct buf *b);
void bufpool_fini(struct bufpool *p);
