// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "disk/pack.h"
#include "disk/snapfile.h"

static void put_node(struct buf *b, const char *path, struct slice data)
{
    struct data_node n = {data, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    jute_put_bytes(b, slice_str(path));
    jute_put_record(b, &record_data_node, &n);
}

static void seal(struct buf *b)
{
    snapfile_put_seal(b, hash_adler32(HASH_ADLER_INIT, buf_slice(b)));
}

// Two sessions, one ACL list, three nodes.
static void put_body(struct buf *b)
{
    snapfile_put_header(b);
    buf_put_i32(b, 2);
    buf_put_i64(b, 0x77);
    buf_put_i32(b, 4000);
    buf_put_i64(b, 0x78);
    buf_put_i32(b, 5000);
    buf_put_i32(b, 1);
    buf_put_i64(b, 1);
    buf_put_i32(b, 1);
    buf_put_i32(b, 31);
    jute_put_bytes(b, SLICE_LIT("world"));
    jute_put_bytes(b, SLICE_LIT("anyone"));
    put_node(b, "", SLICE_LIT(""));
    put_node(b, "/a", SLICE_NULL);
    put_node(b, "/a/b", SLICE_LIT("data"));
    jute_put_bytes(b, SLICE_LIT("/"));
    seal(b);
}

enum { NO_TAIL = 0, DIGEST = 1, LAST_ZXID = 2 };

static void put_file(struct buf *b, int tail)
{
    put_body(b);
    if (tail & DIGEST) {
        snapfile_put_digest(b, 0x123, 0x456);
        seal(b);
    }
    if (tail & LAST_ZXID) {
        snapfile_put_last_zxid(b, 0x124);
        seal(b);
    }
}

struct seen {
    int sessions, acls, nodes;
    struct snapfile_info info;
    const char *why;
};

// Feeds at most `step` more bytes at a time.
static enum err parse(struct slice file, size_t step, struct seen *seen)
{
    struct snapfile_parser p;
    struct snapfile_value v;
    *seen = (struct seen){0};
    snapfile_init(&p, 1000);
    size_t from = 0, to = 0;
    enum err e = ERR_CORRUPT;
    for (;;) {
        to = file.n - to > step ? to + step : file.n;
        snapfile_feed(&p, slice_of(file.p + from, to - from));
        enum snapfile_item it;
        while ((it = snapfile_next(&p, &v)) != SNAPFILE_MORE && it != SNAPFILE_BAD) {
            seen->sessions += it == SNAPFILE_SESSION;
            seen->acls += it == SNAPFILE_ACL;
            seen->nodes += it == SNAPFILE_NODE;
        }
        from += snapfile_used(&p);
        if (it == SNAPFILE_BAD) {
            break;
        }
        if (to == file.n) {
            e = snapfile_finish(&p, &seen->info);
            break;
        }
    }
    seen->why = p.why;
    snapfile_fini(&p);
    return e;
}

static void all_tails_in_all_steps(void **state)
{
    (void)state;
    for (int tail = 0; tail < 4; tail++) {
        struct buf b = {0};
        put_file(&b, tail);
        for (size_t step = 1; step <= b.n; step++) {
            struct seen s;
            assert_int_equal(parse(buf_slice(&b), step, &s), ERR_OK);
            assert_int_equal(s.sessions, 2);
            assert_int_equal(s.acls, 1);
            assert_int_equal(s.nodes, 3);
            assert_int_equal(s.info.has_digest, (tail & DIGEST) != 0);
            assert_int_equal(s.info.has_last_zxid, (tail & LAST_ZXID) != 0);
            assert_int_equal(s.info.digest_zxid, tail & DIGEST ? 0x123 : 0);
            assert_int_equal(s.info.digest, tail & DIGEST ? 0x456 : 0);
            assert_int_equal(s.info.last_zxid, tail & LAST_ZXID ? 0x124 : 0);
        }
        assert_true(snapfile_ends_well(slice_of(b.p + b.n - 5, 5)));
        buf_fini(&b);
    }
}

static void values_come_back(void **state)
{
    (void)state;
    struct buf b = {0};
    put_file(&b, NO_TAIL);
    struct snapfile_parser p;
    struct snapfile_value v;
    snapfile_init(&p, 1000);
    snapfile_feed(&p, buf_slice(&b));
    assert_int_equal(snapfile_next(&p, &v), SNAPFILE_SESSION);
    assert_int_equal(v.id, 0x77);
    assert_int_equal(v.timeout_ms, 4000);
    assert_int_equal(snapfile_next(&p, &v), SNAPFILE_SESSION);
    assert_int_equal(snapfile_next(&p, &v), SNAPFILE_ACL);
    assert_int_equal(v.id, 1);
    assert_int_equal(v.acl.n, 1);
    assert_true(slice_eq_str(v.acl.v[0].id.id, "anyone"));
    assert_int_equal(snapfile_next(&p, &v), SNAPFILE_NODE);
    assert_int_equal(v.path.n, 0);
    assert_false(slice_is_null(v.node.data));
    assert_int_equal(snapfile_next(&p, &v), SNAPFILE_NODE);
    assert_true(slice_eq_str(v.path, "/a"));
    assert_true(slice_is_null(v.node.data));
    assert_int_equal(snapfile_next(&p, &v), SNAPFILE_NODE);
    assert_true(slice_eq_str(v.node.data, "data"));
    struct data_node want = {v.node.data, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct buf x = {0}, y = {0};
    jute_put_record(&x, &record_data_node, &want);
    jute_put_record(&y, &record_data_node, &v.node);
    assert_true(slice_eq(buf_slice(&x), buf_slice(&y)));
    assert_int_equal(snapfile_next(&p, &v), SNAPFILE_MORE);
    snapfile_fini(&p);
    buf_fini(&b);
    buf_fini(&x);
    buf_fini(&y);
}

static void every_cut_is_seen(void **state)
{
    (void)state;
    struct buf b = {0};
    struct seen s;
    put_file(&b, DIGEST | LAST_ZXID);
    size_t whole[] = {b.n - 54, b.n - 21, b.n}; // files with fewer sections are whole, too
    for (size_t n = 0; n <= b.n; n++) {
        bool ok = n == whole[0] || n == whole[1] || n == whole[2];
        assert_int_equal(parse(slice_of(b.p, n), 64, &s) == ERR_OK, ok);
        assert_true(ok || s.why != NULL);
    }
    buf_fini(&b);
}

static void every_changed_byte_is_seen(void **state)
{
    (void)state;
    struct buf b = {0};
    struct seen s;
    put_file(&b, DIGEST | LAST_ZXID);
    for (size_t i = 0; i < b.n; i++) {
        b.p[i] ^= 0x11;
        assert_int_not_equal(parse(buf_slice(&b), b.n, &s), ERR_OK);
        b.p[i] ^= 0x11;
    }
    buf_put_u8(&b, 0);
    assert_int_not_equal(parse(buf_slice(&b), b.n, &s), ERR_OK);
    buf_fini(&b);
}

static void a_text_digest_of_old_is_skipped(void **state)
{
    (void)state;
    struct buf b = {0};
    struct seen s;
    put_body(&b);
    buf_put_i64(&b, 0x123);
    buf_put_i32(&b, 1);
    jute_put_bytes(&b, SLICE_LIT("12ab"));
    seal(&b);
    assert_int_equal(parse(buf_slice(&b), 50, &s), ERR_OK);
    assert_false(s.info.has_digest);
    buf_fini(&b);
}

static void lengths_out_of_range(void **state)
{
    (void)state;
    struct buf b = {0};
    struct seen s;
    snapfile_put_header(&b);
    buf_put_i32(&b, -1);
    assert_int_equal(parse(buf_slice(&b), 100, &s), ERR_CORRUPT);
    b.n -= 4;
    buf_put_i32(&b, 0);
    buf_put_i32(&b, 0);
    buf_put_i32(&b, 1001); // a path longer than the parser takes
    assert_int_equal(parse(buf_slice(&b), 100, &s), ERR_CORRUPT);
    b.n -= 4;
    buf_put_i32(&b, -2);
    assert_int_equal(parse(buf_slice(&b), 100, &s), ERR_CORRUPT);
    buf_fini(&b);
}

// ---- compression
// ---------------------------------------------------------------------------------

static void pack_all(enum disk_compression kind, struct slice in, size_t step, struct buf *out)
{
    struct pack *p = pack_new(kind);
    for (size_t at = 0; at < in.n; at += step) {
        size_t n = in.n - at < step ? in.n - at : step;
        assert_int_equal(pack_put(p, slice_of(in.p + at, n), at + n == in.n, out), ERR_OK);
    }
    pack_free(&p);
}

// Returns whether the stream was complete.
static enum err unpack_all(enum disk_compression kind, struct slice in, size_t step,
                           struct buf *out, bool *complete)
{
    struct unpack *u = unpack_new(kind);
    size_t from = 0, to = 0, used = 0;
    enum err e = ERR_OK;
    while (!e && (to < in.n || used > 0)) {
        if (used == 0) {
            to = in.n - to < step ? in.n : to + step;
        }
        e = unpack_put(u, slice_of(in.p + from, to - from), &used, out);
        from += used;
    }
    *complete = unpack_complete(u) && from == in.n;
    unpack_free(&u);
    return e;
}

static void packed_bytes_come_back(void **state)
{
    (void)state;
    struct buf plain = {0};
    for (uint32_t i = 0; i < 50000; i++) {
        buf_put_i32(&plain, (int32_t)(i % 7 ? i / 16 : i * 2654435761u));
    }
    for (int kind = DISK_PLAIN; kind <= DISK_SNAPPY; kind++) {
        for (size_t step = 777; step < plain.n * 2; step *= 7) {
            struct buf packed = {0}, again = {0};
            bool complete;
            pack_all((enum disk_compression)kind, buf_slice(&plain), step, &packed);
            assert_int_equal(unpack_all((enum disk_compression)kind, buf_slice(&packed), step,
                                        &again, &complete),
                             ERR_OK);
            assert_true(complete);
            assert_true(slice_eq(buf_slice(&plain), buf_slice(&again)));
            assert_true(kind == DISK_PLAIN || packed.n < plain.n / 2);
            buf_fini(&packed);
            buf_fini(&again);
        }
    }
    buf_fini(&plain);
}

static void a_cut_stream_is_not_complete(void **state)
{
    (void)state;
    struct buf plain = {0};
    memset(buf_reserve(&plain, 100000), 'x', 100000);
    for (int kind = DISK_GZIP; kind <= DISK_SNAPPY; kind++) {
        struct buf packed = {0}, again = {0};
        bool complete = true;
        pack_all((enum disk_compression)kind, buf_slice(&plain), 1000, &packed);
        enum err e = unpack_all((enum disk_compression)kind, slice_of(packed.p, packed.n - 3), 4096,
                                &again, &complete);
        assert_true(e || !complete);
        buf_fini(&packed);
        buf_fini(&again);
    }
    buf_fini(&plain);
}

static void rubbish_is_no_stream(void **state)
{
    (void)state;
    struct buf out = {0};
    bool complete;
    uint8_t p[64];
    memset(p, 0x5a, sizeof(p));
    assert_int_equal(unpack_all(DISK_GZIP, slice_of(p, 64), 64, &out, &complete), ERR_CORRUPT);
    assert_int_equal(unpack_all(DISK_SNAPPY, slice_of(p, 64), 64, &out, &complete), ERR_CORRUPT);
    static const uint8_t head[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0,    0,    0,    1,
                                   0,    0,   0,   1,   0,   0,   0,   4, 0xff, 0xff, 0xff, 0xff};
    assert_int_equal(unpack_all(DISK_SNAPPY, slice_of(head, sizeof(head)), 64, &out, &complete),
                     ERR_CORRUPT);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_tails_in_all_steps),
        cmocka_unit_test(values_come_back),
        cmocka_unit_test(every_cut_is_seen),
        cmocka_unit_test(every_changed_byte_is_seen),
        cmocka_unit_test(a_text_digest_of_old_is_skipped),
        cmocka_unit_test(lengths_out_of_range),
        cmocka_unit_test(packed_bytes_come_back),
        cmocka_unit_test(a_cut_stream_is_not_complete),
        cmocka_unit_test(rubbish_is_no_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
