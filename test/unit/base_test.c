// SPDX-License-Identifier: Apache-2.0
//
// base: bytes, memory and hashing as the layers above rely on them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/slab.h"

static void slice_tells_null_from_empty(void **state)
{
    (void)state;
    assert_true(slice_is_null(SLICE_NULL));
    assert_false(slice_is_null(SLICE_LIT("")));
    assert_false(slice_eq(SLICE_NULL, SLICE_LIT("")));
    assert_true(slice_eq(SLICE_LIT("ab"), slice_of("abc", 2)));
    assert_true(slice_has_prefix(SLICE_LIT("/a/b"), SLICE_LIT("/a")));
    assert_false(slice_has_prefix(SLICE_LIT("/a"), SLICE_LIT("/a/b")));
}

static void buf_keeps_what_is_put_and_consumes_from_the_front(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_i32(&b, -2);
    buf_put_i64(&b, 0x0102030405060708);
    buf_put_u8(&b, 9);
    const uint8_t want[] = {0xff, 0xff, 0xff, 0xfe, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    assert_int_equal(b.n, sizeof(want));
    assert_memory_equal(b.p, want, sizeof(want));
    buf_consume(&b, 4);
    assert_memory_equal(b.p, want + 4, sizeof(want) - 4);
    buf_clear(&b);
    for (int i = 0; i < 10000; i++) {
        buf_fmt(&b, "%d,", i % 10);
    }
    assert_int_equal(b.n, 20000);
    assert_memory_equal(b.p + 19996, "8,9,", 4);
    buf_fini(&b);
}

static void blob_lives_until_the_last_reference(void **state)
{
    (void)state;
    struct blob *a = blob_new(SLICE_LIT("txn"));
    struct blob *b = blob_ref(a);
    blob_unref(&a);
    assert_null(a);
    assert_true(slice_eq_str(blob_slice(b), "txn"));
    blob_unref(&b);
    blob_unref(&b); // null is fine
}

static void arena_gives_aligned_memory_and_survives_reset(void **state)
{
    (void)state;
    struct arena a = {0};
    for (int round = 0; round < 3; round++) {
        for (size_t n = 1; n < 40000; n = n * 3 + 1) {
            uint8_t *p = arena_alloc(&a, n);
            assert_int_equal((uintptr_t)p % 16, 0);
            memset(p, 0xaa, n); // ASan watches the bounds
        }
        struct slice s = arena_copy(&a, SLICE_LIT("kept"));
        assert_true(slice_eq_str(s, "kept"));
        assert_true(slice_is_null(arena_copy(&a, SLICE_NULL)));
        assert_string_equal(arena_fmt(&a, "%s-%d", "x", 7), "x-7");
        arena_reset(&a);
    }
    arena_fini(&a);
}

static void slab_reuses_handles_and_never_gives_zero(void **state)
{
    (void)state;
    struct slab s;
    slab_init(&s, 24);
    uint32_t h[3000];
    for (uint32_t i = 0; i < 3000; i++) {
        h[i] = slab_alloc(&s);
        assert_int_not_equal(h[i], 0);
        memset(slab_at(&s, h[i]), (int)i & 0xff, 24);
    }
    for (uint32_t i = 0; i < 3000; i++) {
        assert_int_equal(*((uint8_t *)slab_at(&s, h[i]) + 23), i & 0xff);
    }
    assert_int_equal(s.live, 3000);
    slab_free(&s, h[17]);
    slab_free(&s, h[1999]);
    assert_int_equal(slab_alloc(&s), h[1999]);
    uint8_t *again = slab_at(&s, slab_alloc(&s));
    for (int i = 0; i < 24; i++) {
        assert_int_equal(again[i], 0);
    }
    assert_int_equal(s.live, 3000);
    slab_fini(&s);
}

// Check values of the two checksums as their standards give them for "123456789".
static void checksums_have_their_standard_values(void **state)
{
    (void)state;
    struct slice s = SLICE_LIT("123456789");
    assert_int_equal(hash_crc32(HASH_CRC_INIT, s), 0xcbf43926u);
    assert_int_equal(hash_adler32(HASH_ADLER_INIT, s), 0x091e01deu);
    uint32_t crc = hash_crc32(hash_crc32(HASH_CRC_INIT, slice_head(s, 4)), slice_skip(s, 4));
    assert_int_equal(crc, 0xcbf43926u);
    assert_int_equal(hash_crc32(7, slice_head(s, 0)), 7);
}

static void hash_spreads_and_depends_on_the_seed(void **state)
{
    (void)state;
    unsigned buckets[64] = {0};
    for (int i = 0; i < 6400; i++) {
        struct buf b = {0};
        buf_fmt(&b, "node-%010d", i);
        buckets[hash_bytes(1, buf_slice(&b)) & 63]++;
        assert_int_not_equal(hash_bytes(1, buf_slice(&b)), hash_bytes(2, buf_slice(&b)));
        buf_fini(&b);
    }
    for (int i = 0; i < 64; i++) {
        assert_in_range(buckets[i], 50, 160);
    }
}

// Every byte counts at every length: changing any one changes the hash.
static void hash_sees_every_byte(void **state)
{
    (void)state;
    uint8_t bytes[40];
    for (size_t n = 1; n <= sizeof(bytes); n++) {
        memset(bytes, 'a', sizeof(bytes));
        uint64_t plain = hash_bytes(3, slice_of(bytes, n));
        assert_int_not_equal(plain, hash_bytes(3, slice_of(bytes, n - 1)));
        for (size_t i = 0; i < n; i++) {
            bytes[i] = 'b';
            assert_int_not_equal(plain, hash_bytes(3, slice_of(bytes, n)));
            bytes[i] = 'a';
        }
    }
}

static void rng_repeats_with_its_seed(void **state)
{
    (void)state;
    struct rng a = {42}, b = {42};
    for (int i = 0; i < 1000; i++) {
        uint64_t v = rng_below(&a, 10);
        assert_in_range(v, 0, 9);
        assert_int_equal(v, rng_below(&b, 10));
    }
}

static char last_line[4096];
static void keep_line(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    strncpy(last_line, line, sizeof(last_line) - 1);
}

static void log_lines_stay_one_line(void **state)
{
    (void)state;
    struct logger lg = {keep_line, NULL, LOG_INFO};
    log_info(&lg, "path %s", "/a\nERROR forged\x1b[2J");
    assert_string_equal(last_line, "path /a?ERROR forged?[2J");
    log_debug(&lg, "not shown");
    assert_string_equal(last_line, "path /a?ERROR forged?[2J");
}

static void failures_have_texts(void **state)
{
    (void)state;
    for (int e = 0; e < ERR_COUNT; e++) {
        assert_true(strlen(err_text((enum err)e)) > 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slice_tells_null_from_empty),
        cmocka_unit_test(buf_keeps_what_is_put_and_consumes_from_the_front),
        cmocka_unit_test(blob_lives_until_the_last_reference),
        cmocka_unit_test(arena_gives_aligned_memory_and_survives_reset),
        cmocka_unit_test(slab_reuses_handles_and_never_gives_zero),
        cmocka_unit_test(checksums_have_their_standard_values),
        cmocka_unit_test(hash_spreads_and_depends_on_the_seed),
        cmocka_unit_test(hash_sees_every_byte),
        cmocka_unit_test(rng_repeats_with_its_seed),
        cmocka_unit_test(log_lines_stay_one_line),
        cmocka_unit_test(failures_have_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
