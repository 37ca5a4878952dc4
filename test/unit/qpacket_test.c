// SPDX-License-Identifier: Apache-2.0
//
// QuorumPackets by hand: every type and payload out and in again, streams that come in pieces,
// lengths nobody may send, the forms of older learners. Apache's own bytes are in
// test/golden/quorum_test.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/blob.h"
#include "wire/qpacket.h"

enum { BYTES_MAX = 4096 };

static struct qpacket decode_one(struct slice s, struct arena *a)
{
    struct qpacket_reader r;
    struct qpacket p;
    size_t used;
    qpacket_reader_init(&r, BYTES_MAX);
    assert_int_equal(qpacket_next(&r, s, a, &p, &used), ERR_OK);
    assert_int_equal(used, s.n);
    return p;
}

static void assert_text(const struct qpacket *p, const char *want)
{
    struct buf b = {0};
    qpacket_fmt(&b, p);
    buf_put_u8(&b, 0);
    assert_string_equal((const char *)b.p, want);
    buf_fini(&b);
}

// ---- writing ------------------------------------------------------------------------------------

static void smallest_packets_have_twenty_bytes(void **state)
{
    (void)state;
    struct buf b = {0};
    struct arena a = {0};
    qpacket_put(&b, QPACKET_COMMIT, 0x100000007, SLICE_NULL);
    static const uint8_t want[] = {0, 0, 0,    4,    0,    0,    0,    1,    0,    0,
                                   0, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    assert_int_equal(b.n, sizeof(want));
    assert_memory_equal(b.p, want, sizeof(want));
    struct qpacket p = decode_one(buf_slice(&b), &a);
    assert_int_equal(p.type, QPACKET_COMMIT);
    assert_int_equal(p.zxid, 0x100000007);
    assert_true(slice_is_null(p.data));
    assert_int_equal(p.authinfo.n, -1);
    assert_text(&p, "COMMIT zxid=0x100000007");
    arena_fini(&a);
    buf_fini(&b);
}

// A peer's queue takes thousands of them: what has room does not move, and the pieces are the
// whole.
static void hot_packets_go_into_the_room_there_is(void **state)
{
    (void)state;
    struct blob *txn = blob_new(SLICE_LIT("the bytes of a transaction"));
    struct buf b = {0}, pieces = {0};
    buf_grow(&b, 4096);
    const uint8_t *p = b.p;
    for (int64_t z = 1; z <= 30; z++) {
        qpacket_put(&b, QPACKET_PROPOSAL, z, blob_slice(txn));
        qpacket_put(&b, QPACKET_COMMIT, z, SLICE_NULL);
        qpacket_put(&b, QPACKET_ACK, z, SLICE_NULL);
        qpacket_put_head(&pieces, QPACKET_PROPOSAL, z, txn->n);
        buf_put_slice(&pieces, blob_slice(txn));
        qpacket_put_tail(&pieces);
        qpacket_put(&pieces, QPACKET_COMMIT, z, SLICE_NULL);
        qpacket_put(&pieces, QPACKET_ACK, z, SLICE_NULL);
    }
    assert_ptr_equal(b.p, p);
    assert_true(slice_eq(buf_slice(&b), buf_slice(&pieces)));
    blob_unref(&txn);
    buf_fini(&b);
    buf_fini(&pieces);
}

static void empty_data_is_not_null(void **state)
{
    (void)state;
    struct buf b = {0};
    struct arena a = {0};
    qpacket_put(&b, QPACKET_PING, 9, SLICE_LIT(""));
    assert_int_equal(b.n, 20);
    struct qpacket p = decode_one(buf_slice(&b), &a);
    assert_false(slice_is_null(p.data));
    assert_int_equal(p.data.n, 0);
    assert_text(&p, "PING zxid=0x9 0 sessions");
    arena_fini(&a);
    buf_fini(&b);
}

// ---- payloads -----------------------------------------------------------------------------------

static void records_in_data(void **state)
{
    (void)state;
    struct buf b = {0};
    struct arena a = {0};
    struct slice rest;

    struct leader_info leader = {QPACKET_PROTOCOL}, leader_back;
    qpacket_put_record(&b, QPACKET_LEADERINFO, 0x500000000, &record_leader_info, &leader,
                       SLICE_NULL);
    struct qpacket p = decode_one(buf_slice(&b), &a);
    assert_int_equal(p.data.n, 4);
    assert_int_equal(qpacket_get(p.data, &record_leader_info, &leader_back, NULL), ERR_OK);
    assert_int_equal(leader_back.protocol_version, 0x10000);
    assert_text(&p, "LEADERINFO zxid=0x500000000 leader_info{protocol_version=65536}");

    struct ack_epoch epoch = {-1}, epoch_back;
    buf_clear(&b);
    qpacket_put_record(&b, QPACKET_ACKEPOCH, 6, &record_ack_epoch, &epoch, SLICE_NULL);
    p = decode_one(buf_slice(&b), &a);
    assert_int_equal(qpacket_get(p.data, &record_ack_epoch, &epoch_back, &rest), ERR_OK);
    assert_int_equal(epoch_back.current_epoch, -1);
    assert_int_equal(rest.n, 0);
    assert_text(&p, "ACKEPOCH zxid=0x6 ack_epoch{current_epoch=-1}");

    struct activation act = {3}, act_back;
    buf_clear(&b);
    qpacket_put_record(&b, QPACKET_INFORMANDACTIVATE, 8, &record_activation, &act,
                       SLICE_LIT("not a transaction"));
    p = decode_one(buf_slice(&b), &a);
    assert_int_equal(qpacket_get(p.data, &record_activation, &act_back, &rest), ERR_OK);
    assert_int_equal(act_back.designated_leader, 3);
    assert_true(slice_eq_str(rest, "not a transaction"));
    assert_text(&p, "INFORMANDACTIVATE zxid=0x8 activation{designated_leader=0x3} "
                    "unreadable transaction of 17 bytes");
    arena_fini(&a);
    buf_fini(&b);
}

static void revalidate_both_ways(void **state)
{
    (void)state;
    struct buf b = {0};
    struct arena a = {0};
    struct session_touch ask = {0x100000000000001, 30000}, ask_back;
    qpacket_put_record(&b, QPACKET_REVALIDATE, -1, &record_session_touch, &ask, SLICE_NULL);
    struct qpacket p = decode_one(buf_slice(&b), &a);
    assert_int_equal(p.data.n, 12);
    assert_int_equal(qpacket_get(p.data, &record_session_touch, &ask_back, NULL), ERR_OK);
    assert_int_equal(ask_back.session_id, 0x100000000000001);
    assert_int_equal(ask_back.timeout_ms, 30000);
    assert_text(&p, "REVALIDATE zxid=0xffffffffffffffff "
                    "session_touch{session_id=0x100000000000001 timeout_ms=30000}");
    struct revalidate_answer answer = {0x100000000000001, true}, answer_back;
    buf_clear(&b);
    qpacket_put_record(&b, QPACKET_REVALIDATE, -1, &record_revalidate_answer, &answer, SLICE_NULL);
    p = decode_one(buf_slice(&b), &a);
    assert_int_equal(p.data.n, 9);
    assert_int_equal(qpacket_get(p.data, &record_revalidate_answer, &answer_back, NULL), ERR_OK);
    assert_true(answer_back.valid);
    assert_text(&p, "REVALIDATE zxid=0xffffffffffffffff "
                    "revalidate_answer{session_id=0x100000000000001 valid=true}");
    arena_fini(&a);
    buf_fini(&b);
}

static void requests_carry_identities(void **state)
{
    (void)state;
    struct buf b = {0};
    struct arena a = {0};
    struct zk_id ids[] = {{SLICE_LIT("ip"), SLICE_LIT("127.0.0.1")},
                          {SLICE_LIT("super"), SLICE_LIT("")},
                          {SLICE_LIT("x"), SLICE_NULL}};
    struct id_vec authinfo = {ids, 3};
    struct learner_request req = {0x200000000000005, 7, 5}, back;
    qpacket_put_request(&b, &req, SLICE_LIT("body"), &authinfo);
    struct qpacket p = decode_one(buf_slice(&b), &a);
    struct slice body;
    assert_int_equal(p.type, QPACKET_REQUEST);
    assert_int_equal(p.zxid, -1);
    assert_int_equal(qpacket_get(p.data, &record_learner_request, &back, &body), ERR_OK);
    assert_int_equal(back.session_id, req.session_id);
    assert_int_equal(back.cxid, 7);
    assert_int_equal(back.type, 5);
    assert_true(slice_eq_str(body, "body"));
    assert_int_equal(p.authinfo.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(slice_eq(p.authinfo.v[i].scheme, ids[i].scheme));
        assert_true(slice_eq(p.authinfo.v[i].id, ids[i].id));
    }
    assert_text(&p, "REQUEST zxid=0xffffffffffffffff learner_request{session_id=0x200000000000005 "
                    "cxid=7 type=5} SET_DATA of 4 bytes, 3 ids");
    // createSession has none.
    struct id_vec none = {NULL, -1};
    buf_clear(&b);
    qpacket_put_request(&b, &req, SLICE_NULL, &none);
    p = decode_one(buf_slice(&b), &a);
    assert_int_equal(p.authinfo.n, -1);
    assert_int_equal(p.data.n, 16);
    arena_fini(&a);
    buf_fini(&b);
}

static void touches(void **state)
{
    (void)state;
    struct buf b = {0}, data = {0};
    struct arena a = {0};
    for (int i = 0; i < 10; i++) {
        qpacket_put_touch(&data, 0x100 + i, 1000 * i);
    }
    qpacket_put(&b, QPACKET_PING, 5, buf_slice(&data));
    struct qpacket p = decode_one(buf_slice(&b), &a);
    size_t n;
    assert_int_equal(qpacket_get_touches(p.data, &n), ERR_OK);
    assert_int_equal(n, 10);
    assert_int_equal(qpacket_touch(p.data, 9).session_id, 0x109);
    assert_int_equal(qpacket_touch(p.data, 9).timeout_ms, 9000);
    assert_text(&p, "PING zxid=0x5 10 sessions 0x100/0 0x101/1000 0x102/2000 0x103/3000 0x104/4000 "
                    "0x105/5000 0x106/6000 0x107/7000 ...");
    assert_int_equal(qpacket_get_touches(slice_head(p.data, 13), &n), ERR_MALFORMED);
    assert_int_equal(qpacket_get_touches(SLICE_NULL, &n), ERR_MALFORMED);
    assert_int_equal(n, 0);
    arena_fini(&a);
    buf_fini(&data);
    buf_fini(&b);
}

static void learner_info_of_all_ages(void **state)
{
    (void)state;
    struct buf b = {0};
    struct learner_info in = {3, QPACKET_PROTOCOL, 0x100000004}, out;
    jute_put_record(&b, &record_learner_info, &in);
    struct slice s = buf_slice(&b);
    assert_int_equal(s.n, 20);
    static const struct {
        size_t n;
        enum err err;
        int32_t protocol;
        int64_t config;
    } rows[] = {{0, ERR_CUT, 1, 0},
                {7, ERR_CUT, 1, 0},
                {8, ERR_OK, 1, 0},
                {11, ERR_OK, 1, 0},
                {12, ERR_OK, 0x10000, 0},
                {19, ERR_OK, 0x10000, 0},
                {20, ERR_OK, 0x10000, 0x100000004}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(qpacket_get_learner_info(slice_head(s, rows[i].n), &out), rows[i].err);
        assert_int_equal(out.sid, rows[i].err ? QPACKET_SID_NONE : 3);
        assert_int_equal(out.protocol_version, rows[i].protocol);
        assert_int_equal(out.config_version, rows[i].config);
    }
    buf_put_u8(&b, 9); // Apache does not look behind it
    assert_int_equal(qpacket_get_learner_info(buf_slice(&b), &out), ERR_OK);
    assert_int_equal(qpacket_get_learner_info(SLICE_NULL, &out), ERR_OK);
    assert_int_equal(out.sid, QPACKET_SID_NONE);
    buf_fini(&b);
}

static void short_payloads_are_errors(void **state)
{
    (void)state;
    static const struct {
        const struct record_type *type;
        size_t n;
    } rows[] = {{&record_leader_info, 4},       {&record_ack_epoch, 4},
                {&record_learner_request, 16},  {&record_session_touch, 12},
                {&record_revalidate_answer, 9}, {&record_activation, 8},
                {&record_learner_info, 20}};
    static const uint8_t bytes[32] = {1};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t rec[8];
        struct slice rest;
        assert_int_equal(qpacket_get(SLICE_NULL, rows[i].type, rec, &rest), ERR_CUT);
        for (size_t n = 0; n < sizeof(bytes); n++) {
            bool whole = n >= rows[i].n;
            assert_int_equal(qpacket_get(slice_of(bytes, n), rows[i].type, rec, &rest),
                             whole ? ERR_OK : ERR_CUT);
            assert_int_equal(rest.n, whole ? n - rows[i].n : 0);
        }
    }
}

static void signature(void **state)
{
    (void)state;
    struct buf b = {0};
    qpacket_put_signature(&b);
    assert_int_equal(b.n, QPACKET_SIGNATURE_LEN);
    for (size_t n = 0; n < b.n; n++) {
        assert_int_equal(qpacket_get_signature(slice_head(buf_slice(&b), n)), ERR_CUT);
    }
    assert_int_equal(qpacket_get_signature(SLICE_NULL), ERR_CUT);
    assert_int_equal(qpacket_get_signature(buf_slice(&b)), ERR_OK);
    qpacket_put(&b, QPACKET_NEWLEADER, 1, SLICE_NULL);
    assert_int_equal(qpacket_get_signature(buf_slice(&b)), ERR_OK);
    for (size_t i = 0; i < QPACKET_SIGNATURE_LEN; i++) {
        b.p[i] ^= 1;
        assert_int_equal(qpacket_get_signature(slice_head(buf_slice(&b), i + 1)), ERR_MALFORMED);
        b.p[i] ^= 1;
    }
    buf_fini(&b);
}

// ---- streams ------------------------------------------------------------------------------------

static void put_stream(struct buf *b)
{
    struct zk_id ids[40];
    for (size_t i = 0; i < 40; i++) {
        ids[i] = (struct zk_id){SLICE_LIT("digest"), i % 3 ? SLICE_LIT("me:xyz=") : SLICE_NULL};
    }
    struct id_vec authinfo = {ids, 40};
    struct learner_request req = {1, 2, 1};
    qpacket_put(b, QPACKET_PROPOSAL, 1, SLICE_LIT("some bytes that are no transaction"));
    qpacket_put(b, QPACKET_COMMIT, 1, SLICE_NULL);
    qpacket_put_request(b, &req, SLICE_LIT("body of it"), &authinfo);
    qpacket_put(b, QPACKET_PING, 1, SLICE_LIT(""));
    authinfo.n = 0;
    qpacket_put_request(b, &req, SLICE_NULL, &authinfo);
    qpacket_put(b, (enum qpacket_type)77, 2, SLICE_LIT("?"));
}

// Byte by byte, the way a slow network brings it: nothing is said too early, what was measured is
// never measured again, and `need` is never more than it takes.
static void packets_in_pieces(void **state)
{
    (void)state;
    static const int32_t types[] = {2, 4, 1, 5, 1, 77};
    struct buf b = {0}, back = {0};
    struct arena a = {0};
    put_stream(&b);
    struct slice s = buf_slice(&b);
    struct qpacket_reader r;
    qpacket_reader_init(&r, BYTES_MAX);
    size_t start = 0, packets = 0, need = r.need, at = 0;
    for (size_t n = 1; n <= s.n; n++) {
        struct qpacket p;
        size_t used;
        enum err e = qpacket_next(&r, slice_of(s.p + start, n - start), &a, &p, &used);
        if (e == ERR_OK) {
            assert_int_equal(used, n - start);
            assert_true(need <= used);
            assert_int_equal(p.type, types[packets++]);
            jute_put_record(&back, &record_qpacket, &p);
            start = n;
            at = 0;
        } else {
            assert_int_equal(e, ERR_CUT);
            assert_int_equal(used, 0);
            assert_true(r.at >= at);
            at = r.at;
        }
        need = r.need;
        assert_true(e == ERR_OK || need > n - start);
    }
    assert_int_equal(packets, 6);
    assert_true(slice_eq(buf_slice(&back), s));
    arena_fini(&a);
    buf_fini(&b);
    buf_fini(&back);
}

// A caller that comes back only when there are `need` bytes makes progress each time.
static void need_is_enough_to_wait_for(void **state)
{
    (void)state;
    struct buf b = {0};
    struct arena a = {0};
    put_stream(&b);
    struct qpacket_reader r;
    qpacket_reader_init(&r, BYTES_MAX);
    size_t start = 0, packets = 0, calls = 0;
    while (start < b.n) {
        struct qpacket p;
        size_t used;
        assert_true(r.need <= b.n - start);
        struct slice window = slice_of(b.p + start, r.need);
        enum err e = qpacket_next(&r, window, &a, &p, &used);
        assert_true(e == ERR_OK || e == ERR_CUT);
        assert_true(e == ERR_OK || r.need > window.n);
        start += used;
        packets += e == ERR_OK;
        calls++;
    }
    assert_int_equal(packets, 6);
    assert_true(calls < 30);
    arena_fini(&a);
    buf_fini(&b);
}

// ---- what nobody may send -----------------------------------------------------------------------

static enum err try_bytes(const uint8_t *p, size_t n, const char **why)
{
    struct qpacket_reader r;
    struct qpacket q;
    struct arena a = {0};
    size_t used;
    qpacket_reader_init(&r, BYTES_MAX);
    enum err e = qpacket_next(&r, slice_of(p, n), &a, &q, &used);
    *why = r.why;
    arena_fini(&a);
    return e;
}

static void impossible_data_is_refused_at_its_length(void **state)
{
    (void)state;
    static const int32_t lengths[] = {-2, INT32_MIN, BYTES_MAX + 1, INT32_MAX};
    uint8_t head[QPACKET_HEAD_LEN] = {0, 0, 0, 2};
    const char *why;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        be32_put(head + 12, (uint32_t)lengths[i]);
        assert_int_equal(try_bytes(head, sizeof(head), &why), ERR_LIMIT);
        assert_non_null(why);
    }
    be32_put(head + 12, BYTES_MAX);
    assert_int_equal(try_bytes(head, sizeof(head), &why), ERR_CUT);
    assert_null(why);
}

static void impossible_identities_are_refused(void **state)
{
    (void)state;
    const char *why;
    uint8_t p[64] = {0, 0, 0, 1};
    be32_put(p + 12, UINT32_MAX);
    // The count: null, negative as none, one too many for the limit.
    be32_put(p + 16, UINT32_MAX);
    assert_int_equal(try_bytes(p, 20, &why), ERR_OK);
    be32_put(p + 16, 0x80000000);
    assert_int_equal(try_bytes(p, 20, &why), ERR_OK);
    be32_put(p + 16, BYTES_MAX / 8 + 1);
    assert_int_equal(try_bytes(p, 20, &why), ERR_LIMIT);
    be32_put(p + 16, INT32_MAX);
    assert_int_equal(try_bytes(p, 20, &why), ERR_LIMIT);
    // A string: the scheme of the only one.
    be32_put(p + 16, 1);
    static const int32_t lengths[] = {-2, BYTES_MAX + 1, INT32_MAX, BYTES_MAX};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        be32_put(p + 20, (uint32_t)lengths[i]);
        assert_int_equal(try_bytes(p, 28, &why), ERR_LIMIT);
    }
    be32_put(p + 20, 4);
    assert_int_equal(try_bytes(p, 28, &why), ERR_CUT);
}

// Each string fits, all of them do not.
static void identities_are_bounded_together(void **state)
{
    (void)state;
    uint8_t text[1000];
    memset(text, 'x', sizeof(text));
    struct zk_id ids[5];
    for (size_t i = 0; i < 5; i++) {
        ids[i] = (struct zk_id){SLICE_LIT("sasl"), slice_of(text, sizeof(text))};
    }
    for (int32_t n = 1; n <= 5; n++) {
        struct buf b = {0};
        struct id_vec authinfo = {ids, n};
        struct learner_request req = {1, 2, 1};
        const char *why;
        qpacket_put_request(&b, &req, SLICE_NULL, &authinfo);
        assert_int_equal(try_bytes(b.p, b.n, &why), n <= 4 ? ERR_OK : ERR_LIMIT);
        buf_fini(&b);
    }
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(qpacket_name(1), "REQUEST");
    assert_string_equal(qpacket_name(19), "INFORMANDACTIVATE");
    assert_string_equal(qpacket_name(0), "UNKNOWN");
    struct qpacket p = {77, 1, SLICE_LIT("?"), {NULL, -1}};
    assert_text(&p, "UNKNOWN(77) zxid=0x1 1 bytes");
    p = (struct qpacket){QPACKET_LEADERINFO, 1, SLICE_NULL, {NULL, -1}};
    assert_text(&p, "LEADERINFO zxid=0x1 no data");
    p = (struct qpacket){QPACKET_REQUEST, 1, SLICE_LIT("cut"), {NULL, -1}};
    assert_text(&p, "REQUEST zxid=0x1 unreadable learner_request of 3 bytes");
    p = (struct qpacket){QPACKET_FOLLOWERINFO, 1, SLICE_LIT("cut"), {NULL, -1}};
    assert_text(&p, "FOLLOWERINFO zxid=0x1 unreadable learner_info of 3 bytes");
    p = (struct qpacket){QPACKET_PING, 1, SLICE_LIT("cut"), {NULL, -1}};
    assert_text(&p, "PING zxid=0x1 unreadable sessions of 3 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smallest_packets_have_twenty_bytes),
        cmocka_unit_test(hot_packets_go_into_the_room_there_is),
        cmocka_unit_test(empty_data_is_not_null),
        cmocka_unit_test(records_in_data),
        cmocka_unit_test(revalidate_both_ways),
        cmocka_unit_test(requests_carry_identities),
        cmocka_unit_test(touches),
        cmocka_unit_test(learner_info_of_all_ages),
        cmocka_unit_test(short_payloads_are_errors),
        cmocka_unit_test(signature),
        cmocka_unit_test(packets_in_pieces),
        cmocka_unit_test(need_is_enough_to_wait_for),
        cmocka_unit_test(impossible_data_is_refused_at_its_length),
        cmocka_unit_test(impossible_identities_are_refused),
        cmocka_unit_test(identities_are_bounded_together),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
