// SPDX-License-Identifier: Apache-2.0
//
// wire: records in their exact bytes, transactions in every form a log may hold, paths by Apache's
// rule, and input that is wrong or cut short anywhere.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/jute.h"
#include "wire/ops.h"
#include "wire/path.h"
#include "wire/txn.h"
#include "wire/zkerr.h"

static const struct record_type *const all_records[] = {
#define RECORD(name, ...) &record_##name,
#include "wire/records.def"
#undef RECORD
};
enum { RECORDS = sizeof(all_records) / sizeof(all_records[0]) };

static void create_request_has_the_bytes_of_the_protocol(void **state)
{
    (void)state;
    struct acl acl = {PERM_ALL, {SLICE_LIT("world"), SLICE_LIT("anyone")}};
    struct create_request r = {SLICE_LIT("/a"), SLICE_NULL, {&acl, 1}, 3};
    struct buf b = {0};
    jute_put_record(&b, &record_create_request, &r);
    const char want[] = "\0\0\0\2/a\xff\xff\xff\xff\0\0\0\1\0\0\0\x1f\0\0\0\5world\0\0\0\6anyone"
                        "\0\0\0\3";
    assert_int_equal(b.n, sizeof(want) - 1);
    assert_memory_equal(b.p, want, b.n);

    struct arena a = {0};
    struct create_request got;
    struct jute_in in = jute_in(buf_slice(&b), 100);
    jute_get_record(&in, &record_create_request, &got, &a);
    assert_int_equal(in.err, ERR_OK);
    assert_int_equal(jute_left(&in), 0);
    assert_true(slice_eq_str(got.path, "/a"));
    assert_true(slice_is_null(got.data));
    assert_int_equal(got.acl.n, 1);
    assert_true(slice_eq_str(got.acl.v[0].id.id, "anyone"));
    assert_int_equal(got.flags, 3);
    arena_fini(&a);
    buf_fini(&b);
}

// A record of every type, filled with some value per field by writing bytes, survives the round
// trip; each shorter prefix is an error and never a read beyond it (ASan watches).
static void put_some_value(struct buf *b, enum field_kind kind)
{
    switch (kind) {
    case FIELD_b:
        jute_put_bool(b, true);
        break;
    case FIELD_i:
        buf_put_i32(b, -77);
        break;
    case FIELD_l:
        buf_put_i64(b, INT64_MIN + 5);
        break;
    case FIELD_s:
        jute_put_bytes(b, SLICE_LIT("some bytes"));
        break;
    case FIELD_sv:
        buf_put_i32(b, 2);
        jute_put_bytes(b, SLICE_LIT("/x"));
        jute_put_bytes(b, SLICE_NULL);
        break;
    case FIELD_av:
        buf_put_i32(b, 1);
        buf_put_i32(b, 31);
        jute_put_bytes(b, SLICE_LIT("digest"));
        jute_put_bytes(b, SLICE_LIT("u:h"));
        break;
    case FIELD_iv:
        buf_put_i32(b, 1);
        jute_put_bytes(b, SLICE_LIT("ip"));
        jute_put_bytes(b, SLICE_LIT("127.0.0.1"));
        break;
    }
}

static void every_record_survives_a_round_trip_and_every_cut(void **state)
{
    (void)state;
    struct arena a = {0};
    for (int i = 0; i < RECORDS; i++) {
        const struct record_type *type = all_records[i];
        struct buf b = {0}, again = {0}, text = {0};
        for (int f = 0; f < type->fields_n; f++) {
            put_some_value(&b, type->fields[f].kind);
        }
        void *rec = arena_zalloc(&a, type->size);
        struct jute_in in = jute_in(buf_slice(&b), 100);
        jute_get_record(&in, type, rec, &a);
        assert_int_equal(in.err, ERR_OK);
        jute_put_record(&again, type, rec);
        assert_true(slice_eq(buf_slice(&b), buf_slice(&again)));
        jute_fmt_record(&text, type, rec);
        assert_true(slice_has_prefix(buf_slice(&text), slice_str(type->name)));
        for (size_t cut = 0; cut < b.n; cut++) {
            uint8_t *exact = mem_alloc(cut);
            memcpy(exact, b.p, cut);
            in = jute_in(slice_of(exact, cut), 100);
            jute_get_record(&in, type, rec, &a);
            assert_int_not_equal(in.err, ERR_OK);
            mem_free(exact);
        }
        buf_fini(&b);
        buf_fini(&again);
        buf_fini(&text);
        arena_reset(&a);
    }
    arena_fini(&a);
}

static void lengths_that_lie_are_refused_without_allocating(void **state)
{
    (void)state;
    struct {
        const char *bytes;
        size_t n;
        enum err err;
    } rows[] = {
        {"\xff\xff\xff\xfe", 4, ERR_LIMIT}, // string length -2
        {"\x7f\xff\xff\xff", 4, ERR_LIMIT}, // 2 GB string
        {"\0\0\0\x65", 4, ERR_LIMIT},       // over bytes_max 100
        {"\0\0\0\x0a/abc", 8, ERR_CUT},     // longer than what is there
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct jute_in in = jute_in(slice_of(rows[i].bytes, rows[i].n), 100);
        assert_true(slice_is_null(jute_get_bytes(&in)));
        assert_int_equal(in.err, rows[i].err);
    }
    struct arena a = {0};
    struct close_session_txn v;
    struct jute_in in = jute_in(slice_of("\x7f\xff\xff\xff\0\0\0\0", 8), 100);
    jute_get_record(&in, &record_close_session_txn, &v, &a);
    assert_int_equal(in.err, ERR_CUT);
    assert_null(a.head);
    in = jute_in(slice_of("\xff\xff\xff\xfe", 4), 100); // Apache reads a negative count as empty
    jute_get_record(&in, &record_close_session_txn, &v, &a);
    assert_int_equal(in.err, ERR_OK);
    assert_int_equal(v.paths.n, 0);
    in = jute_in(slice_of("\xff\xff\xff\xff", 4), 100);
    jute_get_record(&in, &record_close_session_txn, &v, &a);
    assert_int_equal(v.paths.n, -1);
    arena_fini(&a);
}

static void round_trip(const struct txn *t)
{
    struct arena a = {0};
    struct buf b = {0}, again = {0}, text = {0};
    struct txn got;
    txn_encode(&b, t);
    assert_int_equal(txn_decode(buf_slice(&b), 1000, &a, &got), ERR_OK);
    txn_encode(&again, &got);
    assert_true(slice_eq(buf_slice(&b), buf_slice(&again)));
    txn_fmt(&text, &got);
    assert_true(text.n > 20);
    struct txn_header h;
    assert_int_equal(txn_decode_header(buf_slice(&b), &h), ERR_OK);
    assert_int_equal(h.zxid, t->hdr.zxid);
    arena_fini(&a);
    buf_fini(&b);
    buf_fini(&again);
    buf_fini(&text);
}

static void transactions_of_every_type_round_trip(void **state)
{
    (void)state;
    struct acl acl = {PERM_ALL, {SLICE_LIT("world"), SLICE_LIT("anyone")}};
    struct slice paths[] = {SLICE_LIT("/e1"), SLICE_LIT("/e2")};
    struct txn_body bodies[] = {
        {.type = OP_CREATE, .create = {SLICE_LIT("/a"), SLICE_NULL, {&acl, 1}, true, 4}},
        {.type = OP_CREATE2, .create = {SLICE_LIT("/a"), SLICE_LIT(""), {&acl, 1}, false, 4}},
        {.type = OP_CREATE_CONTAINER,
         .create_container = {SLICE_LIT("/c"), SLICE_NULL, {&acl, 1}, 1}},
        {.type = OP_CREATE_TTL, .create_ttl = {SLICE_LIT("/t"), SLICE_NULL, {&acl, 1}, 1, 999}},
        {.type = OP_DELETE, .del = {SLICE_LIT("/a")}},
        {.type = OP_DELETE_CONTAINER, .del = {SLICE_LIT("/c")}},
        {.type = OP_SET_DATA, .set_data = {SLICE_LIT("/a"), SLICE_LIT("d"), 7}},
        {.type = OP_SET_ACL, .set_acl = {SLICE_LIT("/a"), {&acl, 1}, 2}},
        {.type = OP_CREATE_SESSION, .create_session = {30000}},
        {.type = OP_CLOSE_SESSION, .close_session = {{paths, 2}}},
        {.type = OP_CLOSE_SESSION, .close_session = {{NULL, -1}}},
        {.type = OP_ERROR, .error = {ZK_NONODE}},
    };
    enum { N = sizeof(bodies) / sizeof(bodies[0]) };
    for (int i = 0; i < N; i++) {
        struct txn t = {.hdr = {5, 6, 7, 8, bodies[i].type}, .body = bodies[i]};
        round_trip(&t);
        t.has_digest = true;
        t.digest = (struct txn_digest){TXN_DIGEST_VERSION, -3};
        if (bodies[i].type != OP_CLOSE_SESSION || bodies[i].close_session.paths.n >= 0) {
            round_trip(&t);
        }
    }
    struct txn multi = {.hdr = {5, 6, 7, 8, OP_MULTI},
                        .body = {.type = OP_MULTI},
                        .parts = bodies,
                        .parts_n = 8,
                        .has_digest = true,
                        .digest = {TXN_DIGEST_VERSION, 1}};
    round_trip(&multi);
    multi.parts_n = 0;
    round_trip(&multi);
}

static void old_forms_of_records_are_read(void **state)
{
    (void)state;
    struct arena a = {0};
    struct txn t;
    struct buf b = {0};
    struct txn_header h = {1, 2, 3, 4, OP_CREATE};
    struct create_txn c = {SLICE_LIT("/old"), SLICE_LIT("x"), {NULL, 0}, true, 0};
    txn_encode_header(&b, &h);
    jute_put_record(&b, &record_create_txn, &c);
    b.n -= 4; // before 3.3: no parentCVersion
    assert_int_equal(txn_decode(buf_slice(&b), 1000, &a, &t), ERR_OK);
    assert_int_equal(t.body.create.parent_cversion, -1);
    assert_true(t.body.create.ephemeral);
    assert_true(slice_eq_str(t.body.create.path, "/old"));
    b.n -= 1; // one byte less is a broken record
    assert_int_equal(txn_decode(buf_slice(&b), 1000, &a, &t), ERR_CUT);

    buf_clear(&b);
    h.type = OP_CLOSE_SESSION; // before 3.6: no body
    txn_encode_header(&b, &h);
    assert_int_equal(txn_decode(buf_slice(&b), 1000, &a, &t), ERR_OK);
    assert_int_equal(t.body.close_session.paths.n, -1);

    buf_clear(&b);
    h.type = 99;
    txn_encode_header(&b, &h);
    assert_int_equal(txn_decode(buf_slice(&b), 1000, &a, &t), ERR_UNSUPPORTED);
    buf_fini(&b);
    arena_fini(&a);
}

static void paths_are_judged_as_apache_does(void **state)
{
    (void)state;
    static const char *const good[] = {
        "/",
        "/a",
        "/a/b",
        "/.b",
        "/..b",
        "/b.",
        "/...",
        "/a b",
        "/\xc2\xa0",
        "/\xed\x9f\xbf" /* U+D7FF */,
        "/\xef\xa4\x80" /* U+F900 */,
        "/\xef\xbf\xaf" /* U+FFEF */,
    };
    static const char *const bad[] = {
        "",
        "a",
        "a/b",
        "//",
        "/a/",
        "/a//b",
        "/.",
        "/..",
        "/a/./b",
        "/a/../b",
        "/a/..",
        "/\x01",
        "/\x1f",
        "/\x7f",
        "/\xc2\x80",
        "/\xc2\x9f",
        "/\xed\xa0\x80" /* U+D800 */,
        "/\xee\x80\x80" /* U+E000 */,
        "/\xef\xa3\xbf" /* U+F8FF */,
        "/\xef\xbf\xb0" /* U+FFF0 */,
        "/\xf0\x9f\x98\x80" /* non-BMP */,
        "/\x80",
        "/\xc2",
        "/\xe2\x82",
        "/\xc0\xaf",
        "/\xe0\x80\xaf",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(path_is_valid(slice_str(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(path_is_valid(slice_str(bad[i])));
    }
    assert_false(path_is_valid(SLICE_NULL));
    assert_false(path_is_valid(slice_of("/a\0b", 4)));
    assert_true(path_has_nul(slice_of("/a\0b", 4)));
}

static void paths_are_cut_as_expected(void **state)
{
    (void)state;
    assert_true(slice_eq_str(path_parent(SLICE_LIT("/a/b")), "/a"));
    assert_true(slice_eq_str(path_parent(SLICE_LIT("/a")), ""));
    assert_true(slice_is_null(path_parent(SLICE_LIT("a"))));
    assert_true(slice_eq_str(path_base(SLICE_LIT("/a/bc")), "bc"));
    assert_true(path_is_under(SLICE_LIT("/a/b"), SLICE_LIT("/a")));
    assert_true(path_is_under(SLICE_LIT("/a"), SLICE_LIT("/a")));
    assert_false(path_is_under(SLICE_LIT("/ab"), SLICE_LIT("/a")));
    assert_true(path_is_under(SLICE_LIT("/ab"), SLICE_LIT("/")));
}

static void opcodes_and_errors_are_found_by_number(void **state)
{
    (void)state;
    assert_string_equal(op_find(4)->name, "GET_DATA");
    assert_int_equal(op_find(4)->kind, OP_KIND_READ);
    assert_ptr_equal(op_find(5)->request, &record_set_data_request);
    assert_string_equal(op_find(-11)->lop, "CLOS");
    assert_null(op_find(10));
    assert_null(op_find(1 << 30));
    assert_string_equal(zkerr_name(-101), "NONODE");
    assert_string_equal(zkerr_name(-9999), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_request_has_the_bytes_of_the_protocol),
        cmocka_unit_test(every_record_survives_a_round_trip_and_every_cut),
        cmocka_unit_test(lengths_that_lie_are_refused_without_allocating),
        cmocka_unit_test(transactions_of_every_type_round_trip),
        cmocka_unit_test(old_forms_of_records_are_read),
        cmocka_unit_test(paths_are_judged_as_apache_does),
        cmocka_unit_test(paths_are_cut_as_expected),
        cmocka_unit_test(opcodes_and_errors_are_found_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
