// SPDX-License-Identifier: Apache-2.0
//
// See request.h.
#include "request.h"

#include <stdio.h>
#include <unistd.h>

const char *bench_opcode_name(int32_t op)
{
    switch (op) {
    case OP_CREATE:
        return "create";
    case OP_DELETE:
        return "delete";
    case OP_EXISTS:
        return "exists";
    case OP_GET_DATA:
        return "getData";
    case OP_SET_DATA:
        return "setData";
    case OP_GET_CHILDREN:
        return "getChildren";
    case OP_MULTI:
        return "multi";
    case OP_ADD_WATCH:
        return "addWatch";
    case OP_CLOSE_SESSION:
        return "closeSession";
    default:
        return "request";
    }
}

void bench_names_init(struct names *n)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    uint64_t id = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    id ^= (uint64_t)getpid() << 48;
    snprintf(n->root, sizeof n->root, "/reeve-bench-%016llx", (unsigned long long)id);
    must(strlen(n->root) == ROOT_LEN);
}

void bench_request_fini(struct request *r)
{
    bench_bytes_fini(&r->frame);
}

static void begin(struct request *r, int32_t op)
{
    *r = (struct request){.op = op};
    bench_bytes_put32(&r->frame, 0);
    bench_bytes_put32(&r->frame, 0);
    bench_bytes_put32(&r->frame, (uint32_t)op);
}

static void end(struct request *r)
{
    put32(r->frame.at, (uint32_t)(r->frame.len - 4));
}

static void put_acl_open(struct bytes *b)
{
    bench_bytes_put32(b, 1);
    bench_bytes_put32(b, 31);
    bench_bytes_put_string(b, "world", 5);
    bench_bytes_put_string(b, "anyone", 6);
}

// Text that neither compresses to nothing nor looks like zeros to a disk.
static void put_data(struct bytes *b, uint32_t size)
{
    struct rng rng = {.state = 0x9e3779b97f4a7c15u};
    bench_bytes_put32(b, size);
    uint8_t *at = bench_bytes_reserve(b, size);
    for (uint32_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(' ' + rng_below(&rng, 95));
    }
    b->len += size;
}

static void put_key(uint8_t *at, uint32_t key)
{
    for (uint32_t i = KEY_DIGITS; i-- > 0;) {
        at[i] = (uint8_t)('0' + key % 10);
        key /= 10;
    }
}

static uint32_t put_path(struct bytes *b, const struct names *n, char letter, uint32_t key)
{
    bench_bytes_put32(b, ROOT_LEN + 2 + KEY_DIGITS);
    bench_bytes_put(b, n->root, ROOT_LEN);
    bench_bytes_put(b, (const char[]){'/', letter}, 2);
    uint32_t at = (uint32_t)b->len;
    put_key(bench_bytes_reserve(b, KEY_DIGITS), key);
    b->len += KEY_DIGITS;
    return at;
}

// What follows the path in the record of each operation.
static void put_rest(struct bytes *b, int32_t op, uint32_t size, bool watch)
{
    switch (op) {
    case OP_CREATE:
        put_data(b, size);
        put_acl_open(b);
        bench_bytes_put32(b, 0);
        break;
    case OP_SET_DATA:
        put_data(b, size);
        bench_bytes_put32(b, UINT32_MAX);
        break;
    case OP_DELETE:
        bench_bytes_put32(b, UINT32_MAX);
        break;
    case OP_ADD_WATCH:
        bench_bytes_put32(b, 0);
        break;
    default:
        bench_bytes_put(b, (const char[]){watch}, 1);
        break;
    }
}

void bench_request_root(struct request *r, const struct names *n, int32_t op)
{
    begin(r, op);
    bench_bytes_put_string(&r->frame, n->root, ROOT_LEN);
    put_rest(&r->frame, op, 0, false);
    end(r);
}

void bench_request_node(struct request *r, const struct names *n, int32_t op, char letter,
                        uint32_t size, bool watch)
{
    begin(r, op);
    r->key_at = put_path(&r->frame, n, letter, 0);
    put_rest(&r->frame, op, size, watch);
    end(r);
}

void bench_request_close(struct request *r)
{
    begin(r, OP_CLOSE_SESSION);
    end(r);
}

static void put_multi_header(struct bytes *b, int32_t type, bool done)
{
    bench_bytes_put32(b, (uint32_t)type);
    bench_bytes_put(b, (const char[]){done}, 1);
    bench_bytes_put32(b, UINT32_MAX);
}

void bench_request_multi(struct request *r, const struct names *n, int32_t op, char letter,
                         uint32_t first, uint32_t count, uint32_t size)
{
    begin(r, OP_MULTI);
    for (uint32_t i = 0; i < count; i++) {
        put_multi_header(&r->frame, op, false);
        put_path(&r->frame, n, letter, first + i);
        put_rest(&r->frame, op, size, false);
    }
    put_multi_header(&r->frame, -1, true);
    end(r);
}

void bench_request_put(const struct request *r, struct loop *l, struct conn *c, uint32_t key,
                       uint64_t at_ns)
{
    uint8_t *frame = bench_conn_put(l, c, r->frame.at, r->frame.len, r->op, at_ns);
    if (r->key_at != 0) {
        put_key(frame + r->key_at, key);
    }
}
