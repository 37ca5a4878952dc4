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
#include "disk/logfile.h"

static void put(struct buf *b, const char *text)
{
    size_t at = b->n;
    logfile_put_record(b, slice_str(text));
    logfile_seal(b->p + at, b->n - at);
}

static void header_is_apaches(void **state)
{
    (void)state;
    static const uint8_t want[16] = {'Z', 'K', 'L', 'G', 0, 0, 0, 2};
    struct buf b = {0};
    logfile_put_header(&b);
    assert_int_equal(b.n, LOGFILE_HEADER_LEN);
    assert_memory_equal(b.p, want, 16);
    assert_int_equal(logfile_check_header(buf_slice(&b)), ERR_OK);
    assert_int_equal(logfile_check_header(slice_of(b.p, 15)), ERR_CUT);
    b.p[3] = 'X';
    assert_int_equal(logfile_check_header(buf_slice(&b)), ERR_CORRUPT);
    buf_fini(&b);
}

static void record_is_framed_as_apaches(void **state)
{
    (void)state;
    // Adler-32 of "a" is 0x00620062.
    static const uint8_t want[14] = {0, 0, 0, 0, 0, 0x62, 0, 0x62, 0, 0, 0, 1, 'a', 'B'};
    struct buf b = {0};
    put(&b, "a");
    assert_int_equal(b.n, sizeof(want));
    assert_memory_equal(b.p, want, sizeof(want));
    buf_fini(&b);
}

static void a_batch_is_sealed_record_by_record(void **state)
{
    (void)state;
    struct buf b = {0};
    logfile_put_record(&b, slice_str("one"));
    logfile_put_record(&b, slice_str("two two"));
    logfile_seal(b.p, b.n);
    struct slice at = buf_slice(&b), entry;
    size_t used;
    assert_int_equal(logfile_next(at, 100, &entry, &used), LOGFILE_RECORD);
    assert_true(slice_eq_str(entry, "one"));
    at = slice_skip(at, used);
    assert_int_equal(logfile_next(at, 100, &entry, &used), LOGFILE_RECORD);
    assert_true(slice_eq_str(entry, "two two"));
    assert_int_equal(used, at.n);
    buf_fini(&b);
}

static void every_cut_asks_for_more(void **state)
{
    (void)state;
    struct buf b = {0};
    struct slice entry;
    size_t used;
    put(&b, "some entry");
    for (size_t n = 0; n < b.n; n++) {
        assert_int_equal(logfile_next(slice_of(b.p, n), 100, &entry, &used), LOGFILE_MORE);
    }
    buf_fini(&b);
}

static void every_flipped_bit_is_seen(void **state)
{
    (void)state;
    struct buf b = {0};
    struct slice entry;
    size_t used;
    put(&b, "some entry");
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(logfile_next(buf_slice(&b), 100, &entry, &used), LOGFILE_RECORD);
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_fini(&b);
}

static void kinds_of_ends(void **state)
{
    (void)state;
    struct buf b = {0};
    struct slice entry;
    size_t used;
    static const uint8_t zeros[64];
    assert_int_equal(logfile_next(slice_of(zeros, 64), 100, &entry, &used), LOGFILE_END);
    put(&b, "entry");
    b.p[b.n - 1] = 0;
    assert_int_equal(logfile_next(buf_slice(&b), 100, &entry, &used), LOGFILE_TORN);
    b.p[b.n - 1] = 'B';
    assert_int_equal(logfile_next(buf_slice(&b), 4, &entry, &used), LOGFILE_CORRUPT);
    b.p[8] = 0x80; // a negative length
    assert_int_equal(logfile_next(buf_slice(&b), SIZE_MAX, &entry, &used), LOGFILE_CORRUPT);
    buf_fini(&b);
}

static void a_record_is_found_behind_rubble(void **state)
{
    (void)state;
    struct buf b = {0};
    size_t at;
    memset(buf_reserve(&b, 1000), 0, 1000);
    memset(b.p + 300, 0x42, 100);
    assert_false(logfile_find_record(buf_slice(&b), &at));
    put(&b, "an entry as long as the header of a transaction, at least");
    buf_put_u8(&b, 7);
    assert_true(logfile_find_record(buf_slice(&b), &at));
    assert_int_equal(at, 1000);
    b.p[1020]++;
    assert_false(logfile_find_record(buf_slice(&b), &at));
    buf_fini(&b);
}

static void lost_sectors(void **state)
{
    (void)state;
    uint8_t p[2048];
    memset(p, 1, sizeof(p));
    memset(p + 500, 0, 512 + 11); // 500..1022: sector 0 keeps bytes, sector 1 keeps its last
    assert_false(logfile_has_lost_sector(slice_of(p, sizeof(p)), 0));
    p[1023] = 0;
    assert_true(logfile_has_lost_sector(slice_of(p, sizeof(p)), 0));
    // The share of the first sector that belongs to these bytes counts by itself.
    assert_true(logfile_has_lost_sector(slice_of(p + 500, 12), 500));
    assert_false(logfile_has_lost_sector(slice_of(p + 499, 13), 499));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_apaches),
        cmocka_unit_test(record_is_framed_as_apaches),
        cmocka_unit_test(a_batch_is_sealed_record_by_record),
        cmocka_unit_test(every_cut_asks_for_more),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(kinds_of_ends),
        cmocka_unit_test(a_record_is_found_behind_rubble),
        cmocka_unit_test(lost_sectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
