// SPDX-License-Identifier: Apache-2.0
#include "wire/txn.h"

#include "wire/jute.h"

enum { HEADER_LEN = 32, DIGEST_LEN = 12, PART_MIN = 8 };

const struct record_type *txn_record(int32_t type)
{
    switch (type) {
    case OP_CREATE:
    case OP_CREATE2:
        return &record_create_txn;
    case OP_CREATE_CONTAINER:
        return &record_create_container_txn;
    case OP_CREATE_TTL:
        return &record_create_ttl_txn;
    case OP_DELETE:
    case OP_DELETE_CONTAINER:
        return &record_delete_txn;
    case OP_SET_DATA:
    case OP_RECONFIG:
        return &record_set_data_txn;
    case OP_SET_ACL:
        return &record_set_acl_txn;
    case OP_CHECK:
        return &record_check_version_txn;
    case OP_CREATE_SESSION:
        return &record_create_session_txn;
    case OP_CLOSE_SESSION:
        return &record_close_session_txn;
    case OP_ERROR:
        return &record_error_txn;
    default:
        return NULL;
    }
}

// Apache's rule for records that grew: the end of the input inside an optional tail means "absent".
static void get_body(struct jute_in *in, struct txn_body *body, struct arena *a)
{
    const struct record_type *rec = txn_record(body->type);
    if (!rec) {
        jute_fail(in, ERR_UNSUPPORTED);
        return;
    }
    if (body->type == OP_CLOSE_SESSION) {
        struct jute_in probe = *in;
        jute_get_record(&probe, rec, &body->close_session, a);
        if (probe.err == ERR_CUT) {
            body->close_session.paths = (struct slice_vec){NULL, -1};
            return; // what is left, if anything, may be a digest
        }
        *in = probe;
        return;
    }
    jute_get_record(in, rec, &body->create, a);
}

// A create of before 3.3 ends in front of parentCVersion, which then counts as "the parent's + 1".
static void get_create(struct jute_in *in, struct txn_body *body, struct arena *a)
{
    struct jute_in probe = *in;
    get_body(&probe, body, a);
    if (probe.err == ERR_CUT) {
        size_t left = jute_left(in);
        uint8_t *longer = arena_alloc(a, left + 4);
        memcpy(longer, in->p, left);
        be32_put(longer + left, UINT32_MAX);
        probe = jute_in(slice_of(longer, left + 4), in->bytes_max);
        get_body(&probe, body, a);
        if (!probe.err && jute_left(&probe) == 0) {
            in->p = in->end;
            return;
        }
        jute_fail(in, ERR_CUT);
        return;
    }
    *in = probe;
}

static void get_any(struct jute_in *in, struct txn_body *body, struct arena *a)
{
    if (body->type == OP_CREATE) {
        get_create(in, body, a);
    } else {
        get_body(in, body, a);
    }
}

static void get_parts(struct jute_in *in, struct txn *t, struct arena *a)
{
    int32_t n = jute_get_count(in, PART_MIN);
    t->parts_n = n > 0 ? n : 0;
    t->parts = arena_zalloc(a, (size_t)t->parts_n * sizeof(*t->parts));
    for (int32_t i = 0; i < t->parts_n; i++) {
        t->parts[i].type = jute_get_int(in);
        struct slice s = jute_get_bytes(in);
        if (in->err) {
            return;
        }
        struct jute_in part = jute_in(s, in->bytes_max);
        get_any(&part, &t->parts[i], a);
        if (part.err) {
            jute_fail(in, part.err == ERR_CUT ? ERR_MALFORMED : part.err);
        }
    }
}

enum err txn_decode_header(struct slice s, struct txn_header *h)
{
    struct jute_in in = jute_in(s, 0);
    jute_get_record(&in, &record_txn_header, h, NULL);
    return in.err;
}

enum err txn_decode(struct slice s, size_t bytes_max, struct arena *a, struct txn *t)
{
    memset(t, 0, sizeof(*t));
    struct jute_in in = jute_in(s, bytes_max);
    jute_get_record(&in, &record_txn_header, &t->hdr, NULL);
    if (in.err) {
        return in.err;
    }
    t->body.type = t->hdr.type;
    if (t->hdr.type == OP_MULTI) {
        get_parts(&in, t, a);
    } else {
        get_any(&in, &t->body, a);
    }
    if (!in.err && jute_left(&in) >= DIGEST_LEN) {
        jute_get_record(&in, &record_txn_digest, &t->digest, NULL);
        t->has_digest = true;
    }
    return in.err;
}

void txn_encode_header(struct buf *b, const struct txn_header *h)
{
    jute_put_record(b, &record_txn_header, h);
}

static void encode_body(struct buf *b, const struct txn_body *body)
{
    const struct record_type *rec = txn_record(body->type);
    must(rec != NULL);
    if (body->type == OP_CLOSE_SESSION && body->close_session.paths.n < 0) {
        return;
    }
    jute_put_record(b, rec, &body->create);
}

void txn_encode(struct buf *b, const struct txn *t)
{
    must(t->hdr.type == t->body.type);
    txn_encode_header(b, &t->hdr);
    if (t->hdr.type != OP_MULTI) {
        encode_body(b, &t->body);
    } else {
        buf_put_i32(b, t->parts_n);
        for (int32_t i = 0; i < t->parts_n; i++) {
            buf_put_i32(b, t->parts[i].type);
            size_t at = b->n;
            buf_put_i32(b, 0);
            encode_body(b, &t->parts[i]);
            be32_put(b->p + at, (uint32_t)(b->n - at - 4));
        }
    }
    if (t->has_digest) {
        jute_put_record(b, &record_txn_digest, &t->digest);
    }
}

static void fmt_body(struct buf *b, const struct txn_body *body)
{
    const struct op_info *op = op_find(body->type);
    buf_fmt(b, " %s ", op ? op->name : "?");
    const struct record_type *rec = txn_record(body->type);
    if (rec) {
        jute_fmt_record(b, rec, &body->create);
    }
}

void txn_fmt(struct buf *b, const struct txn *t)
{
    buf_fmt(b, "zxid=0x%llx session=0x%llx cxid=0x%x time=%lld", (unsigned long long)t->hdr.zxid,
            (unsigned long long)t->hdr.client_id, (unsigned)t->hdr.cxid, (long long)t->hdr.time);
    fmt_body(b, &t->body);
    for (int32_t i = 0; i < t->parts_n; i++) {
        fmt_body(b, &t->parts[i]);
    }
    if (t->has_digest) {
        buf_fmt(b, " digest=%lld", (long long)t->digest.digest);
    }
}
