// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes struct serve over the real tree: connections come and go, send any bytes in any pieces,
// read slowly or not at all, writes commit late or are refused, time passes. After every event the
// invariants of serve must hold, at the end those of the tree, too.
//
// Input: a list of events, each one byte of kind and number of connection, then what it needs.
#include <stddef.h>

#include "test/support/serve_rig.h"

enum { CONNS = 8, EVENTS_MAX = 400, COMMITS_MAX = 8 };

enum kind {
    DATA,      // u8 length, bytes
    LONG_DATA, // u16 length, bytes
    REQUEST,   // u8 xid, u8 opcode (signed), u8 length, body: a whole frame
    HANDSHAKE, // u8 timeout in 256 ms, bit 0: with the read-only byte
    WORD,      // 4 bytes
    HANG_UP,
    SLOW, // toggles
    ACCEPT,
    ADVANCE, // u8, 64 ms
    COMMIT,  // u8: how many
    AUTO,    // toggles: commits at once
    REFUSE,  // toggles: the disk is full
    RENEW,   // u8: whose session, with its password
    KINDS
};

struct input {
    const uint8_t *p, *end;
    uint32_t conns[CONNS];
    int64_t sessions[CONNS];
};

static unsigned take(struct input *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

static struct slice take_bytes(struct input *in, size_t n)
{
    size_t left = (size_t)(in->end - in->p);
    n = n < left ? n : left;
    struct slice s = slice_of(in->p, n);
    in->p += n;
    return s;
}

static void send_request(struct rig *r, struct input *in, uint32_t conn)
{
    int32_t xid = (int8_t)take(in);
    int32_t op = (int8_t)take(in);
    struct slice body = take_bytes(in, take(in));
    struct buf b = {0};
    buf_put_i32(&b, (int32_t)(8 + body.n));
    buf_put_i32(&b, xid);
    buf_put_i32(&b, op);
    buf_put_slice(&b, body);
    rig_send(r, conn, buf_slice(&b));
    buf_fini(&b);
}

static void send_connect(struct rig *r, struct input *in, size_t i)
{
    unsigned how = take(in);
    struct buf b = {0};
    rig_put_connect(&b, (int32_t)(how << 8), 0, SLICE_NULL, how & 1);
    rig_send(r, in->conns[i], buf_slice(&b));
    buf_fini(&b);
    const struct rig_client *c = &r->clients[in->conns[i]];
    if (c->got.n >= 20) {
        in->sessions[i] = (int64_t)be64_get(c->got.p + 12);
    }
}

static void send_renewal(struct rig *r, struct input *in, uint32_t conn)
{
    int64_t session = in->sessions[take(in) % CONNS];
    struct buf b = {0};
    rig_put_renew(&b, session, false);
    rig_send(r, conn, buf_slice(&b));
    buf_fini(&b);
}

static void step(struct rig *r, struct input *in)
{
    unsigned first = take(in);
    size_t i = first / KINDS % CONNS;
    uint32_t conn = in->conns[i];
    switch ((enum kind)(first % KINDS)) {
    case DATA:
        rig_send(r, conn, take_bytes(in, take(in)));
        break;
    case LONG_DATA: {
        size_t high = take(in);
        rig_send(r, conn, take_bytes(in, high << 8 | take(in)));
        break;
    }
    case REQUEST:
        send_request(r, in, conn);
        break;
    case HANDSHAKE:
        send_connect(r, in, i);
        break;
    case WORD:
        rig_send(r, conn, take_bytes(in, 4));
        break;
    case HANG_UP:
        rig_hang_up(r, conn);
        break;
    case SLOW:
        rig_slow(r, conn, !r->clients[conn].slow);
        break;
    case ACCEPT:
        in->conns[i] = rig_accept(r, (uint8_t)(i / 4));
        break;
    case ADVANCE:
        rig_advance(r, take(in) * 64);
        break;
    case COMMIT:
        for (unsigned n = take(in) % COMMITS_MAX; n > 0; n--) {
            rig_commit(r);
        }
        break;
    case AUTO:
        r->auto_commit = !r->auto_commit;
        break;
    case REFUSE:
        r->refuse = !r->refuse;
        break;
    case RENEW:
        send_renewal(r, in, conn);
        break;
    case KINDS:
        break;
    }
    serve_check(r->serve);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct serve_config cfg;
    rig_defaults(&cfg);
    cfg.client_cnxns_max = 20;
    cfg.frame_max = 8192;
    cfg.bytes_max = 16384;
    cfg.outstanding_max = 20;
    struct rig *r = rig_new(&cfg);
    struct input in = {.p = data, .end = data + n};
    for (size_t i = 0; i < CONNS; i++) {
        in.conns[i] = rig_accept(r, (uint8_t)(i / 4));
    }
    for (int k = 0; k < EVENTS_MAX && in.p < in.end; k++) {
        step(r, &in);
    }
    r->refuse = false;
    rig_settle(r);
    serve_check(r->serve);
    tree_check(r->tree);
    rig_free(&r);
    return 0;
}
