// SPDX-License-Identifier: Apache-2.0
//
// Requests as bytes, encoded once and then only patched: the number of the node at a fixed place,
// the xid by bench_conn_put(). All nodes of a run lie in one directory that only this run has:
// /reeve-bench-<16 hex>/<letter><8 digits>.
#pragma once

#include <stdint.h>

#include "base.h"
#include "conn.h"

enum {
    ROOT_LEN = 29,
    KEY_DIGITS = 8,
    KEYS_MAX = 100000000,
    FRAME_HEADER_LEN = 12, // length, xid, opcode
};

enum opcode {
    OP_CREATE = 1,
    OP_DELETE = 2,
    OP_EXISTS = 3,
    OP_GET_DATA = 4,
    OP_SET_DATA = 5,
    OP_GET_CHILDREN = 8,
    OP_PING = 11,
    OP_MULTI = 14,
    OP_ADD_WATCH = 106,
    OP_CREATE_SESSION = -10,
    OP_CLOSE_SESSION = -11,
};

struct names {
    char root[ROOT_LEN + 1];
};

// key_at 0: the request names no node by number.
struct request {
    struct bytes frame;
    uint32_t key_at;
    int32_t op;
};

// A directory name that no other run has: from the clock and the process id.
void bench_names_init(struct names *n);

void bench_request_fini(struct request *r);
// Requests about the root of the run: op is OP_CREATE, OP_DELETE or OP_GET_CHILDREN.
void bench_request_root(struct request *r, const struct names *n, int32_t op);
// Requests about the node <letter><number>: OP_CREATE and OP_SET_DATA with `size` bytes of data,
// OP_DELETE, OP_EXISTS and OP_GET_DATA with or without a watch, OP_ADD_WATCH (persistent).
void bench_request_node(struct request *r, const struct names *n, int32_t op, char letter,
                        uint32_t size, bool watch);
void bench_request_close(struct request *r);
// A multi of creates or deletes (op) of the nodes first .. first + count - 1.
void bench_request_multi(struct request *r, const struct names *n, int32_t op, char letter,
                         uint32_t first, uint32_t count, uint32_t size);

// Queues the request for node `key`; latency counts from at_ns.
void bench_request_put(const struct request *r, struct loop *l, struct conn *c, uint32_t key,
                       uint64_t at_ns);

const char *bench_opcode_name(int32_t op);
