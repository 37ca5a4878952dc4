// SPDX-License-Identifier: Apache-2.0
//
// The measuring in qpacket_next() goes forward only: data is skipped by its length, each string of
// authinfo by its own, and what was measured is remembered between calls. Decoding comes after it
// and cannot fail.
#include "wire/qpacket.h"

#include <inttypes.h>

#include "base/must.h"
#include "wire/ops.h"
#include "wire/txn.h"

enum { LEARNER_INFO_SID = 8, LEARNER_INFO_PROTOCOL = 12, LEARNER_INFO_LEN = 20 };
enum { FMT_TOUCHES_MAX = 8 };

// ---- reading ------------------------------------------------------------------------------------

static void begin(struct qpacket_reader *r)
{
    r->at = 0;
    r->need = QPACKET_LEN_MIN;
    r->ids_at = 0;
    r->ids_left = 0;
}

void qpacket_reader_init(struct qpacket_reader *r, size_t bytes_max)
{
    *r = (struct qpacket_reader){.bytes_max = bytes_max};
    begin(r);
}

static enum err refuse(struct qpacket_reader *r, const char *why)
{
    r->why = why;
    return ERR_LIMIT;
}

// The length of a string or buffer; null is none.
static bool take_length(const struct qpacket_reader *r, const uint8_t *p, size_t *n)
{
    int32_t length = (int32_t)be32_get(p);
    *n = length < 0 ? 0 : (size_t)length;
    return length >= -1 && *n <= r->bytes_max;
}

static enum err measure_data(struct qpacket_reader *r, struct slice window)
{
    size_t n;
    if (window.n < QPACKET_HEAD_LEN) {
        return ERR_CUT;
    }
    if (!take_length(r, window.p + QPACKET_HEAD_LEN - 4, &n)) {
        return refuse(r, "the length of a packet's data is impossible");
    }
    r->at = QPACKET_HEAD_LEN + n;
    r->need = r->at + QPACKET_TAIL_LEN;
    return ERR_OK;
}

// The count of authinfo. Null has no elements, and neither has a negative one, as Apache reads it.
static enum err measure_count(struct qpacket_reader *r, struct slice window)
{
    if (window.n < r->at + 4) {
        return ERR_CUT;
    }
    int32_t count = (int32_t)be32_get(window.p + r->at);
    if (count > 0 && (size_t)count > r->bytes_max / 8) {
        return refuse(r, "the number of a packet's identities is impossible");
    }
    r->at += 4;
    r->ids_at = r->at;
    r->ids_left = count > 0 ? 2 * (uint32_t)count : 0;
    r->need = r->at + 4 * (size_t)r->ids_left;
    return ERR_OK;
}

static enum err measure_ids(struct qpacket_reader *r, struct slice window)
{
    for (; r->ids_left; r->ids_left--) {
        size_t n;
        if (window.n < r->at + 4) {
            return ERR_CUT;
        }
        if (!take_length(r, window.p + r->at, &n)) {
            return refuse(r, "the length of an identity is impossible");
        }
        r->at += 4 + n;
        r->need = r->at + 4 * (size_t)(r->ids_left - 1);
        if (r->need - r->ids_at > r->bytes_max) {
            return refuse(r, "the identities of a packet are too long");
        }
    }
    return window.n < r->need ? ERR_CUT : ERR_OK;
}

static enum err measure(struct qpacket_reader *r, struct slice window)
{
    enum err e = r->at ? ERR_OK : measure_data(r, window);
    if (!e && !r->ids_at) {
        e = measure_count(r, window);
    }
    return e ? e : measure_ids(r, window);
}

// `s` is one measured packet.
static void decode(struct slice s, size_t bytes_max, struct arena *a, struct qpacket *p)
{
    struct jute_in in = jute_in(s, bytes_max);
    jute_get_record(&in, &record_qpacket, p, a);
    must(!in.err);
    must(jute_left(&in) == 0);
}

enum err qpacket_next(struct qpacket_reader *r, struct slice window, struct arena *a,
                      struct qpacket *p, size_t *used)
{
    *used = 0;
    enum err e = measure(r, window);
    if (e) {
        return e;
    }
    *used = r->at;
    decode(slice_head(window, r->at), r->bytes_max, a, p);
    begin(r);
    return ERR_OK;
}

enum err qpacket_get(struct slice data, const struct record_type *type, void *rec,
                     struct slice *rest)
{
    struct jute_in in = jute_in(data, data.n);
    for (int i = 0; i < type->fields_n; i++) {
        must(type->fields[i].kind <= FIELD_l);
    }
    jute_get_record(&in, type, rec, NULL);
    if (rest) {
        *rest = slice_of(in.p, jute_left(&in));
    }
    return in.err;
}

enum err qpacket_get_learner_info(struct slice data, struct learner_info *info)
{
    *info = (struct learner_info){QPACKET_SID_NONE, QPACKET_PROTOCOL_OLD, 0};
    if (slice_is_null(data)) {
        return ERR_OK;
    }
    if (data.n < LEARNER_INFO_SID) {
        return ERR_CUT;
    }
    info->sid = (int64_t)be64_get(data.p);
    if (data.n >= LEARNER_INFO_PROTOCOL) {
        info->protocol_version = (int32_t)be32_get(data.p + LEARNER_INFO_SID);
    }
    if (data.n >= LEARNER_INFO_LEN) {
        info->config_version = (int64_t)be64_get(data.p + LEARNER_INFO_PROTOCOL);
    }
    return ERR_OK;
}

enum err qpacket_get_touches(struct slice data, size_t *n)
{
    bool whole = !slice_is_null(data) && data.n % QPACKET_TOUCH_LEN == 0;
    *n = whole ? data.n / QPACKET_TOUCH_LEN : 0;
    return whole ? ERR_OK : ERR_MALFORMED;
}

struct session_touch qpacket_touch(struct slice data, size_t i)
{
    must(i < data.n / QPACKET_TOUCH_LEN);
    const uint8_t *p = data.p + i * QPACKET_TOUCH_LEN;
    return (struct session_touch){(int64_t)be64_get(p), (int32_t)be32_get(p + 8)};
}

// ---- writing ------------------------------------------------------------------------------------

static uint8_t *write_head(uint8_t *p, enum qpacket_type type, int64_t zxid, int32_t data_n)
{
    be32_put(p, (uint32_t)type);
    be64_put(p + 4, (uint64_t)zxid);
    be32_put(p + 12, (uint32_t)data_n);
    return p + QPACKET_HEAD_LEN;
}

void qpacket_put(struct buf *b, enum qpacket_type type, int64_t zxid, struct slice data)
{
    must(data.n <= INT32_MAX);
    uint8_t *p = write_head(buf_reserve(b, QPACKET_LEN_MIN + data.n), type, zxid,
                            slice_is_null(data) ? -1 : (int32_t)data.n);
    if (data.n) {
        memcpy(p, data.p, data.n);
    }
    be32_put(p + data.n, UINT32_MAX);
}

void qpacket_put_head(struct buf *b, enum qpacket_type type, int64_t zxid, size_t data_n)
{
    must(data_n <= INT32_MAX);
    write_head(buf_reserve(b, QPACKET_HEAD_LEN), type, zxid, (int32_t)data_n);
}

void qpacket_put_tail(struct buf *b)
{
    buf_put_i32(b, -1);
}

// Head and data; the length is filled in behind.
static void put_open(struct buf *b, enum qpacket_type type, int64_t zxid,
                     const struct record_type *record, const void *rec, struct slice rest)
{
    qpacket_put_head(b, type, zxid, 0);
    size_t data_at = b->n;
    jute_put_record(b, record, rec);
    buf_put_slice(b, rest);
    must(b->n - data_at <= INT32_MAX);
    be32_put(b->p + data_at - 4, (uint32_t)(b->n - data_at));
}

void qpacket_put_record(struct buf *b, enum qpacket_type type, int64_t zxid,
                        const struct record_type *record, const void *rec, struct slice rest)
{
    put_open(b, type, zxid, record, rec, rest);
    qpacket_put_tail(b);
}

void qpacket_put_request(struct buf *b, const struct learner_request *req, struct slice body,
                         const struct id_vec *authinfo)
{
    put_open(b, QPACKET_REQUEST, -1, &record_learner_request, req, body);
    buf_put_i32(b, authinfo->n);
    for (int32_t i = 0; i < authinfo->n; i++) {
        jute_put_bytes(b, authinfo->v[i].scheme);
        jute_put_bytes(b, authinfo->v[i].id);
    }
}

void qpacket_put_touch(struct buf *data, int64_t session_id, int32_t timeout_ms)
{
    uint8_t *p = buf_reserve(data, QPACKET_TOUCH_LEN);
    be64_put(p, (uint64_t)session_id);
    be32_put(p + 8, (uint32_t)timeout_ms);
}

// ---- the end of a snapshot on the stream --------------------------------------------------------

void qpacket_put_signature(struct buf *b)
{
    jute_put_bytes(b, SLICE_LIT(QPACKET_SIGNATURE));
}

// Java's Learner.syncWithLeader, after SNAP.
enum err qpacket_get_signature(struct slice s)
{
    uint8_t want[QPACKET_SIGNATURE_LEN];
    be32_put(want, sizeof(QPACKET_SIGNATURE) - 1);
    memcpy(want + 4, QPACKET_SIGNATURE, sizeof(want) - 4);
    size_t n = s.n < sizeof(want) ? s.n : sizeof(want);
    if (n && memcmp(s.p, want, n) != 0) {
        return ERR_MALFORMED;
    }
    return n < sizeof(want) ? ERR_CUT : ERR_OK;
}

// ---- text ---------------------------------------------------------------------------------------

enum data_form {
    FMT_NONE,
    FMT_TEXT,       // how long it is
    FMT_TXN,        // the transaction
    FMT_REQUEST,    // learner_request and the length of the rest
    FMT_TOUCHES,    // the sessions
    FMT_REVALIDATE, // session_touch or revalidate_answer, by the length
    FMT_LEARNER,    // learner_info
    FMT_LEADER,     // leader_info
    FMT_EPOCH,      // ack_epoch
    FMT_ACTIVATION  // activation and the transaction, if there is one
};

const char *qpacket_name(int32_t type)
{
    switch (type) {
#define QPACKET(name, code, body) \
    case code:                    \
        return #name;
#include "wire/qpacket.def"
#undef QPACKET
    default:
        return "UNKNOWN";
    }
}

static enum data_form form_of(int32_t type)
{
    switch (type) {
#define QPACKET(name, code, body) \
    case code:                    \
        return FMT_##body;
#include "wire/qpacket.def"
#undef QPACKET
    default:
        return FMT_TEXT;
    }
}

static void fmt_txn(struct buf *b, struct slice data)
{
    struct arena a = {0};
    struct txn t;
    buf_fmt(b, " ");
    if (txn_decode(data, data.n, &a, &t)) {
        buf_fmt(b, "unreadable transaction of %zu bytes", data.n);
    } else {
        txn_fmt(b, &t);
    }
    arena_fini(&a);
}

static bool fmt_record(struct buf *b, struct slice data, const struct record_type *type, void *rec,
                       struct slice *rest)
{
    if (qpacket_get(data, type, rec, rest)) {
        buf_fmt(b, " unreadable %s of %zu bytes", type->name, data.n);
        return false;
    }
    buf_fmt(b, " ");
    jute_fmt_record(b, type, rec);
    return true;
}

static void fmt_request(struct buf *b, const struct qpacket *p)
{
    struct learner_request req;
    struct slice body;
    if (!fmt_record(b, p->data, &record_learner_request, &req, &body)) {
        return;
    }
    const struct op_info *op = op_find(req.type);
    buf_fmt(b, " %s of %zu bytes, %" PRId32 " ids", op ? op->name : "UNKNOWN", body.n,
            p->authinfo.n);
}

static void fmt_touches(struct buf *b, struct slice data)
{
    size_t n;
    if (qpacket_get_touches(data, &n)) {
        buf_fmt(b, " unreadable sessions of %zu bytes", data.n);
        return;
    }
    buf_fmt(b, " %zu sessions", n);
    for (size_t i = 0; i < n && i < FMT_TOUCHES_MAX; i++) {
        struct session_touch t = qpacket_touch(data, i);
        buf_fmt(b, " 0x%" PRIx64 "/%" PRId32, (uint64_t)t.session_id, t.timeout_ms);
    }
    buf_fmt(b, n > FMT_TOUCHES_MAX ? " ..." : "");
}

static void fmt_fixed(struct buf *b, struct slice data, enum data_form form)
{
    union {
        struct session_touch touch;
        struct revalidate_answer answer;
        struct leader_info leader;
        struct ack_epoch epoch;
        struct activation activation;
    } u;
    bool ask = form == FMT_REVALIDATE && data.n >= QPACKET_TOUCH_LEN;
    const struct record_type *type = form == FMT_LEADER       ? &record_leader_info
                                     : form == FMT_EPOCH      ? &record_ack_epoch
                                     : form == FMT_ACTIVATION ? &record_activation
                                     : ask                    ? &record_session_touch
                                                              : &record_revalidate_answer;
    struct slice rest;
    if (fmt_record(b, data, type, &u, &rest) && form == FMT_ACTIVATION && rest.n) {
        fmt_txn(b, rest);
    }
}

static void fmt_learner(struct buf *b, struct slice data)
{
    struct learner_info info;
    buf_fmt(b, " ");
    if (qpacket_get_learner_info(data, &info)) {
        buf_fmt(b, "unreadable learner_info of %zu bytes", data.n);
    } else {
        jute_fmt_record(b, &record_learner_info, &info);
    }
}

void qpacket_fmt(struct buf *b, const struct qpacket *p)
{
    enum data_form form = form_of(p->type);
    buf_fmt(b, "%s", qpacket_name(p->type));
    if (strcmp(qpacket_name(p->type), "UNKNOWN") == 0) {
        buf_fmt(b, "(%" PRId32 ")", p->type);
    }
    buf_fmt(b, " zxid=0x%" PRIx64, (uint64_t)p->zxid);
    if (form == FMT_LEARNER) {
        fmt_learner(b, p->data);
    } else if (slice_is_null(p->data)) {
        buf_fmt(b, form == FMT_NONE || form == FMT_TOUCHES ? "" : " no data");
    } else if (form == FMT_NONE || form == FMT_TEXT) {
        buf_fmt(b, " %zu bytes", p->data.n);
    } else if (form == FMT_TXN) {
        fmt_txn(b, p->data);
    } else if (form == FMT_REQUEST) {
        fmt_request(b, p);
    } else if (form == FMT_TOUCHES) {
        fmt_touches(b, p->data);
    } else {
        fmt_fixed(b, p->data, form);
    }
}
