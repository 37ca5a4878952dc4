// SPDX-License-Identifier: Apache-2.0
//
// Java: FinalRequestProcessor's second half, ServerCnxn.serialize, ReplyHeader.
#include "serve/reply.h"

#include <inttypes.h>

#include "base/hash.h"
#include "wire/jute.h"

enum { LARGE_LOG_INTERVAL_MS = 60000 };

static void put_head(uint8_t *p, size_t frame_n, int32_t xid, int64_t zxid, enum zkerr err)
{
    be32_put(p, (uint32_t)(frame_n - 4));
    be32_put(p + 4, (uint32_t)xid);
    be64_put(p + 8, (uint64_t)zxid);
    be32_put(p + 16, (uint32_t)err);
}

size_t reply_begin(struct serve *s, struct conn *c)
{
    struct buf *out = core_conn_out(s, c);
    size_t at = out->n;
    buf_reserve(out, REPLY_HEAD);
    return at;
}

// Clients refuse frames above their own jute.maxbuffer, so whoever runs the server should hear of
// it before they do; once per path and minute.
static void log_large(struct serve *s, const struct conn *c, struct slice path, size_t n)
{
    uint64_t h = hash_bytes(s->cfg.seed, path);
    struct large_logged *slot = &s->large_logged[h % CORE_LARGE_LOGGED];
    if (slot->path_hash == h && mono_diff_ms(s->now, slot->at) < LARGE_LOG_INTERVAL_MS) {
        return;
    }
    *slot = (struct large_logged){h, s->now};
    log_warn(s->log,
             "reply of %zu bytes for %.*s to session 0x%" PRIx64
             " is larger than jute.maxbuffer (%zu); clients with that limit drop the connection: "
             "give them a larger jute.maxbuffer or split the node",
             n, (int)(path.n < 512 ? path.n : 512), path.p ? (const char *)path.p : "",
             (uint64_t)c->session, s->cfg.frame_max);
}

void reply_account(struct serve *s, struct conn *c, const struct reply_to *to, int64_t zxid,
                   size_t n)
{
    s->stats.sent++;
    c->stats.sent++;
    stats_response(&s->stats, n - 4);
    const struct op_info *op = op_find(to->op);
    stats_latency(&s->stats, op && op->kind == OP_KIND_WRITE, mono_diff_ms(s->now, to->arrived));
    conn_stats_reply(&c->stats, to->xid, to->op, zxid, to->arrived, s->now);
    if (n - 4 > s->cfg.frame_max) {
        log_large(s, c, to->path, n - 4);
    }
    core_order_send(s, c);
}

void reply_end(struct serve *s, struct conn *c, size_t at, const struct reply_to *to, int64_t zxid,
               enum zkerr err)
{
    if (c->out.n - at - 4 > INT32_MAX) { // a child list that no frame can hold
        log_large(s, c, to->path, c->out.n - at);
        err = ZK_SYSTEMERROR;
        c->out.n = at + REPLY_HEAD;
    }
    if (err && to->op != OP_MULTI_READ) {
        c->out.n = at + REPLY_HEAD;
    }
    size_t n = c->out.n - at;
    put_head(c->out.p + at, n, to->xid, zxid, err);
    reply_account(s, c, to, zxid, n);
}

void reply_head(struct serve *s, struct conn *c, const struct reply_to *to, int64_t zxid,
                enum zkerr err)
{
    size_t at = reply_begin(s, c);
    put_head(c->out.p + at, REPLY_HEAD, to->xid, zxid, err);
    reply_account(s, c, to, zxid, REPLY_HEAD);
}

void reply_head_encode(struct buf *b, int32_t xid, int64_t zxid, enum zkerr err)
{
    put_head(buf_reserve(b, REPLY_HEAD), REPLY_HEAD, xid, zxid, err);
}

static void put_multi_header(struct buf *b, int32_t type, bool done, int32_t err)
{
    jute_put_record(b, &record_multi_header, &(struct multi_header){type, done, err});
}

// One result of a multi. client-protocol.md 3.9.
static void put_part(struct buf *b, const struct apply_result *r, bool with_stat)
{
    switch (r->type == OP_CREATE && with_stat ? OP_CREATE2 : r->type) {
    case OP_CREATE:
        put_multi_header(b, OP_CREATE, false, 0);
        jute_put_bytes(b, r->path);
        break;
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL:
        put_multi_header(b, OP_CREATE2, false, 0);
        jute_put_bytes(b, r->path);
        jute_put_record(b, &record_node_stat, &r->stat);
        break;
    case OP_SET_DATA:
        put_multi_header(b, OP_SET_DATA, false, 0);
        jute_put_record(b, &record_node_stat, &r->stat);
        break;
    case OP_ERROR:
        put_multi_header(b, OP_ERROR, false, r->err);
        buf_put_i32(b, r->err);
        break;
    default: // delete, check
        put_multi_header(b, r->type, false, 0);
        break;
    }
}

static void put_body(struct buf *b, int32_t op, struct slice with_stat, const struct txn *txn,
                     const struct apply_result *r)
{
    switch (op) {
    case OP_CREATE:
        jute_put_bytes(b, r->path);
        break;
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL:
        jute_put_bytes(b, r->path);
        jute_put_record(b, &record_node_stat, &r->stat);
        break;
    case OP_RECONFIG:
        jute_put_bytes(b, txn->body.type == OP_RECONFIG ? txn->body.set_data.data : SLICE_NULL);
        jute_put_record(b, &record_node_stat, &r->stat);
        break;
    case OP_SET_DATA:
    case OP_SET_ACL:
        jute_put_record(b, &record_node_stat, &r->stat);
        break;
    case OP_MULTI:
        for (int32_t i = 0; i < r->parts_n; i++) {
            put_part(b, &r->parts[i], (size_t)i < with_stat.n && with_stat.p[i]);
        }
        put_multi_header(b, -1, true, -1);
        break;
    default: // delete, closeSession
        break;
    }
}

void reply_txn_encode(struct buf *b, int32_t xid, int32_t op, struct slice with_stat,
                      const struct txn *txn, const struct apply_result *r)
{
    size_t at = b->n;
    buf_reserve(b, REPLY_HEAD);
    // The outcome of a multi stands in its results, whatever it is.
    enum zkerr err = txn->hdr.type == OP_MULTI ? ZK_OK : (enum zkerr)r->err;
    if (!err) {
        put_body(b, op, with_stat, txn, r);
    }
    put_head(b->p + at, b->n - at, xid, txn->hdr.zxid, err);
}
