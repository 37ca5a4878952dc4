// SPDX-License-Identifier: Apache-2.0
//
// Starts: on an empty directory, on what crashes leave, on damage.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/endian.h"
#include "disk/logfile.h"
#include "test/support/disk_kit.h"

static int setup(void **state)
{
    struct dkit *k = calloc(1, sizeof(*k));
    dkit_init(k, 3);
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    dkit_fini(*state);
    free(*state);
    return 0;
}

static void plant(struct dkit *k, const char *name, struct slice content)
{
    char path[128];
    snprintf(path, sizeof(path), DKIT_V2 "/%s", name);
    fake_env_plant(k->f, path, content);
}

// A log file with the kit's entries.
static void put_log(struct buf *b, int64_t first, int64_t last)
{
    logfile_put_header(b);
    for (int64_t z = first; z <= last; z++) {
        struct buf e = {0};
        dkit_entry(&e, z);
        logfile_put_record(b, buf_slice(&e));
        buf_fini(&e);
    }
    logfile_seal(b->p + LOGFILE_HEADER_LEN, b->n - LOGFILE_HEADER_LEN);
}

static void plant_log(struct dkit *k, const char *name, int64_t first, int64_t last)
{
    struct buf b = {0};
    put_log(&b, first, last);
    plant(k, name, buf_slice(&b));
    buf_fini(&b);
}

// snapshot.0 and nothing else, closed.
static void make_fresh(struct dkit *k)
{
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_close(k);
    fake_env_reboot(k->f, true);
}

// The tree must be what entries 1..zxid make, and the disk must go on from there.
static void expect_state(struct dkit *k, int64_t zxid)
{
    assert_int_equal(tree_zxid(k->tree), zxid);
    struct dkit model;
    dkit_init(&model, 9);
    assert_int_equal(dkit_open(&model), ERR_OK);
    dkit_append_n(&model, (int)zxid);
    struct buf got = {0}, want = {0};
    dkit_dump(k->tree, &got);
    dkit_dump(model.tree, &want);
    assert_string_equal((const char *)got.p, (const char *)want.p);
    buf_fini(&got);
    buf_fini(&want);
    dkit_fini(&model);
}

static void expect_start(struct dkit *k, int64_t zxid)
{
    if (dkit_open(k)) {
        fail_msg("%.*s", (int)k->f->log.n, (const char *)k->f->log.p);
    }
    expect_state(k, zxid);
    dkit_append_n(k, 2); // and again, after what the first start has changed
    dkit_close(k);
    fake_env_reboot(k->f, true);
    assert_int_equal(dkit_open(k), ERR_OK);
    expect_state(k, zxid + 2);
    dkit_close(k);
    fake_env_reboot(k->f, true);
}

static void expect_refusal(struct dkit *k, enum err e, const char *text)
{
    assert_int_equal(dkit_open(k), e);
    if (!fake_env_logged(k->f, text)) {
        fail_msg("no \"%s\" in: %.*s", text, (int)k->f->log.n, (const char *)k->f->log.p);
    }
}

// ---- plain starts
// --------------------------------------------------------------------------------

static void an_empty_directory_gets_snapshot_0(void **state)
{
    struct dkit *k = *state;
    expect_start(k, 0);
    assert_true(dkit_exists(k, "snapshot.0"));
}

static void a_second_server_is_refused(void **state)
{
    struct dkit *k = *state;
    assert_int_equal(dkit_open(k), ERR_OK);
    struct disk *other;
    struct tree *t = dkit_tree(&k->f->env.log);
    assert_int_equal(disk_open(&k->f->env, &k->cfg, t, &other), ERR_BUSY);
    assert_null(other);
    assert_true(fake_env_logged(k->f, "another server is running"));
    tree_free(&t);
}

static void logs_in_several_files(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    plant_log(k, "log.1", 1, 10);
    plant_log(k, "log.b", 11, 11);
    plant_log(k, "log.c", 12, 30);
    expect_start(k, 30);
}

static void a_snapshot_in_the_middle_of_a_log(void **state)
{
    struct dkit *k = *state;
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_append_n(k, 10);
    disk_snapshot_soon(k->disk);
    dkit_turn(k);
    dkit_append_n(k, 10);
    dkit_settle(k);
    assert_int_equal(k->snapped, 1);
    dkit_close(k);
    fake_env_reboot(k->f, true);
    assert_int_equal(dkit_open(k), ERR_OK);
    struct disk_stats s;
    disk_get_stats(k->disk, &s);
    assert_int_equal(s.recovered_txns, 10);
    dkit_close(k);
    fake_env_reboot(k->f, true);
    expect_start(k, 20);
}

static void leftovers_go_and_other_files_stay(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    plant(k, "tmp.log", SLICE_LIT("x"));
    plant(k, "tmp.snapshot.5", SLICE_LIT("x"));
    plant(k, "snapshot.5.tmp", SLICE_LIT("x"));
    plant(k, "currentEpoch.tmp", SLICE_LIT("1"));
    plant(k, "log.1.bak", SLICE_LIT("x"));
    expect_start(k, 0);
    assert_false(dkit_exists(k, "tmp.log"));
    assert_false(dkit_exists(k, "tmp.snapshot.5"));
    assert_false(dkit_exists(k, "snapshot.5.tmp"));
    assert_true(dkit_exists(k, "currentEpoch.tmp"));
    assert_true(dkit_exists(k, "log.1.bak"));
}

static void two_directories(void **state)
{
    struct dkit *k = *state;
    k->cfg.data_log_dir = "/logs";
    expect_start(k, 0);
    assert_false(slice_is_null(fake_env_peek(k->f, "/logs/version-2/log.1")));
    assert_false(slice_is_null(fake_env_peek(k->f, DKIT_V2 "/snapshot.0")));
    plant_log(k, "log.1", 1, 3);
    expect_refusal(k, ERR_INVALID, "log.1 is a log in the directory of snapshots");
    fake_env_reboot(k->f, false);
}

static void a_snapshot_among_the_logs_is_refused(void **state)
{
    struct dkit *k = *state;
    k->cfg.data_log_dir = "/logs";
    fake_env_plant(k->f, "/logs/version-2/snapshot.3", SLICE_LIT("x"));
    expect_refusal(k, ERR_INVALID, "snapshot.3 is a snapshot in the directory of logs");
    fake_env_reboot(k->f, false);
}

// ---- snapshots that are not good
// -----------------------------------------------------------------

static void make_two_snapshots(struct dkit *k) // at 5 and 10, log to 12
{
    assert_int_equal(dkit_open(k), ERR_OK);
    for (int i = 0; i < 2; i++) {
        dkit_append_n(k, 5);
        disk_snapshot_soon(k->disk);
        dkit_settle(k);
    }
    dkit_append_n(k, 2);
    dkit_close(k);
    fake_env_reboot(k->f, true);
}

static void every_kind_of_damage_falls_back(void **state)
{
    struct dkit *k = *state;
    make_two_snapshots(k);
    struct buf good = {0};
    buf_put_slice(&good, fake_env_peek(k->f, DKIT_V2 "/snapshot.a"));
    int64_t zxid = 12;
    for (size_t at = 1; at < good.n; at += 97) {
        good.p[at] ^= 0x40;
        plant(k, "snapshot.a", at % 2 ? buf_slice(&good) : slice_of(good.p, at));
        good.p[at] ^= 0x40;
        expect_start(k, zxid);
        zxid += 2;
    }
    assert_true(fake_env_logged(k->f, "snapshot.a is not usable"));
    buf_fini(&good);
}

static void a_fallback_without_its_log_is_refused(void **state)
{
    struct dkit *k = *state;
    make_two_snapshots(k);
    plant(k, "snapshot.a", SLICE_LIT("rubbish"));
    assert_int_equal(crashdisk_unlink(k->f->disk, DKIT_V2 "/log.6"), ERR_OK);
    expect_refusal(k, ERR_CORRUPT, "transactions would be lost");
    fake_env_reboot(k->f, false);
}

static void no_good_snapshot_is_refused(void **state)
{
    struct dkit *k = *state;
    plant(k, "snapshot.a", SLICE_LIT("rubbish"));
    expect_refusal(k, ERR_CORRUPT, "no snapshot in");
    fake_env_reboot(k->f, false);
    plant_log(k, "log.1", 1, 5);
    expect_refusal(k, ERR_CORRUPT, "no snapshot in");
    fake_env_reboot(k->f, false);
}

// Apache's servers write snapshot.0 in place and do not sync it.
static void a_half_snapshot_0_is_as_none(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    struct buf b = {0};
    buf_put_slice(&b, fake_env_peek(k->f, DKIT_V2 "/snapshot.0"));
    plant(k, "snapshot.0", slice_of(b.p, 0));
    expect_start(k, 0);
    plant(k, "snapshot.0", slice_of(b.p, b.n / 2));
    expect_start(k, 2);
    buf_fini(&b);
}

static void logs_without_snapshot(void **state)
{
    struct dkit *k = *state;
    plant_log(k, "log.1", 1, 9);
    expect_refusal(k, ERR_CORRUPT, "snapshot.trust.empty=true");
    fake_env_reboot(k->f, false);
    k->cfg.trust_empty = true;
    assert_int_equal(dkit_open(k), ERR_OK);
    expect_state(k, 9);
    dkit_settle(k);
    assert_int_equal(k->snapped, 1); // the next start needs no trust
    dkit_close(k);
    fake_env_reboot(k->f, true);
    k->cfg.trust_empty = false;
    expect_start(k, 9);
}

// ---- ends of logs
// --------------------------------------------------------------------------------

static void every_cut_of_the_last_file_is_its_end(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    struct buf b = {0}, two = {0};
    put_log(&b, 6, 8);
    put_log(&two, 6, 7);
    plant_log(k, "log.1", 1, 5);
    struct buf one = {0};
    put_log(&one, 6, 6);
    for (size_t n = 0; n <= b.n; n += n > 20 && n < b.n - 20 && n % 64 ? 1 + b.n % 3 : 1) {
        plant(k, "log.6", slice_of(b.p, n));
        assert_int_equal(dkit_open(k), ERR_OK);
        int64_t want = n >= b.n ? 8 : n >= two.n ? 7 : n >= one.n ? 6 : 5;
        assert_int_equal(tree_zxid(k->tree), want);
        // What is left reads as whole for everybody: no half record, no half header.
        assert_int_equal(dkit_exists(k, "log.6"), want > 5);
        struct slice left = fake_env_peek(k->f, DKIT_V2 "/log.6");
        size_t whole = want == 8 ? b.n : want == 7 ? two.n : want == 6 ? one.n : 0;
        assert_int_equal(left.n, whole);
        dkit_close(k);
        fake_env_reboot(k->f, true);
    }
    expect_start(k, 8);
    buf_fini(&b);
    buf_fini(&one);
    buf_fini(&two);
}

static void zeros_behind_the_last_record_are_its_end(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    struct buf b = {0};
    put_log(&b, 1, 4);
    memset(buf_reserve(&b, 3000000), 0, 3000000); // more than a window
    plant(k, "log.1", buf_slice(&b));
    expect_start(k, 4);
    buf_fini(&b);
}

// A batch of three records of which one sector did not arrive.
static void a_lost_sector_of_the_last_batch_is_torn(void **state)
{
    struct dkit *k = *state;
    for (size_t sector = 1; sector < 5; sector++) {
        make_fresh(k);
        struct buf b = {0}, good = {0};
        put_log(&b, 1, 12);
        memset(buf_reserve(&b, 5000), 0, 5000);
        memset(b.p + sector * 512, 0, 512);
        int64_t want = 0;
        do { // the records before the hole
            want++;
            buf_clear(&good);
            put_log(&good, 1, want);
        } while (good.n <= sector * 512);
        plant(k, "log.1", buf_slice(&b));
        expect_start(k, want - 1);
        assert_true(fake_env_logged(k->f, "it was never answered and is cut off"));
        buf_fini(&b);
        buf_fini(&good);
        assert_int_equal(crashdisk_unlink(k->f->disk, DKIT_V2 "/snapshot.0"), ERR_OK);
        char name[64];
        snprintf(name, sizeof(name), DKIT_V2 "/log.%x", (unsigned)want);
        assert_int_equal(crashdisk_unlink(k->f->disk, name), ERR_OK);
        for (int i = 0; i < 2; i++) { // other files of the starts
            snprintf(name, sizeof(name), DKIT_V2 "/log.%x", (unsigned)want + 2u * (unsigned)i);
            enum err e = crashdisk_unlink(k->f->disk, name);
            assert_true(e == ERR_OK || e == ERR_NOTFOUND);
        }
        enum err e = crashdisk_unlink(k->f->disk, DKIT_V2 "/log.1");
        assert_true(e == ERR_OK || e == ERR_NOTFOUND);
    }
}

static void a_flipped_bit_in_the_last_record_is_torn(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    struct buf b = {0};
    put_log(&b, 1, 4);
    b.p[b.n - 30] ^= 4;
    plant(k, "log.1", buf_slice(&b));
    expect_start(k, 3);
    buf_fini(&b);
}

static void a_flipped_bit_before_is_damage(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    struct buf b = {0};
    put_log(&b, 1, 4);
    for (size_t at = 40; at < 60; at++) {
        b.p[at] ^= 4;
        plant(k, "log.1", buf_slice(&b));
        expect_refusal(k, ERR_CORRUPT, "log.1 is damaged at offset 16");
        assert_int_equal(fake_env_peek(k->f, DKIT_V2 "/log.1").n, b.n); // left alone
        fake_env_reboot(k->f, false);
        b.p[at] ^= 4;
    }
    buf_fini(&b);
}

// A damaged length points beyond the end of the file: not an unfinished write, the rest is there.
static void a_damaged_length_is_damage(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    struct buf b = {0};
    put_log(&b, 1, 4);
    b.p[16 + 9] ^= 0x10;
    plant(k, "log.1", buf_slice(&b));
    expect_refusal(k, ERR_CORRUPT, "log.1 is damaged at offset 16");
    fake_env_reboot(k->f, false);
    buf_fini(&b);
}

// Even with a lost sector: more than a batch behind it there are records.
static void a_hole_far_before_the_end_is_damage(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    struct buf b = {0};
    put_log(&b, 1, 30000);
    assert_true(b.n > 5 * 1024 * 1024);
    memset(b.p + 4096, 0, 512);
    plant(k, "log.1", buf_slice(&b));
    expect_refusal(k, ERR_CORRUPT, "log.1 is damaged at offset");
    fake_env_reboot(k->f, false);
    buf_fini(&b);
}

static void damage_in_an_earlier_file_is_damage(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    struct buf b = {0};
    put_log(&b, 1, 4);
    b.p[b.n - 30] ^= 4;
    plant(k, "log.1", buf_slice(&b));
    plant_log(k, "log.5", 5, 6);
    expect_refusal(k, ERR_CORRUPT, "log.1 is damaged at offset");
    fake_env_reboot(k->f, false);
    b.p[0] = 'X';
    plant(k, "log.1", buf_slice(&b));
    expect_refusal(k, ERR_CORRUPT, "does not begin as a log file");
    fake_env_reboot(k->f, false);
    buf_fini(&b);
}

// An Apache server leaves its torn tails and goes on in a new file.
static void a_torn_tail_of_an_earlier_file_is_apaches(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    struct buf b = {0};
    put_log(&b, 1, 4);
    b.n -= 30;
    plant(k, "log.1", buf_slice(&b));
    plant_log(k, "log.4", 4, 6);
    expect_start(k, 6);
    buf_fini(&b);
}

static void a_hole_in_the_zxids_is_named(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    plant_log(k, "log.1", 1, 4);
    plant_log(k, "log.7", 7, 8);
    assert_int_equal(dkit_open(k), ERR_OK);
    assert_int_equal(tree_zxid(k->tree), 8);
    assert_true(fake_env_logged(k->f, "no transactions between 0x4 and 0x7"));
}

static void a_record_that_is_no_transaction(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    struct buf b = {0}, e = {0};
    logfile_put_header(&b);
    dkit_entry(&e, 1);
    be32_put(e.p + 28, 99); // its type
    logfile_put_record(&b, buf_slice(&e));
    logfile_seal(b.p + 16, b.n - 16);
    plant(k, "log.1", buf_slice(&b));
    expect_refusal(k, ERR_UNSUPPORTED, "a type this version does not know");
    fake_env_reboot(k->f, false);
    buf_clear(&b);
    logfile_put_header(&b);
    logfile_put_record(&b, SLICE_LIT("short"));
    logfile_seal(b.p + 16, b.n - 16);
    plant(k, "log.1", buf_slice(&b));
    expect_refusal(k, ERR_CORRUPT, "too short for a transaction");
    fake_env_reboot(k->f, false);
    buf_fini(&b);
    buf_fini(&e);
}

// Each file call of a start fails in turn: an error, never a crash, and the next start is good.
static void every_failing_call_of_a_start(void **state)
{
    struct dkit *k = *state;
    make_two_snapshots(k);
    struct buf b = {0};
    put_log(&b, 13, 15);
    b.n -= 5;
    bool done = false;
    for (uint64_t call = 1; !done; call++) {
        plant(k, "log.d", buf_slice(&b));
        plant(k, "tmp.log", SLICE_LIT("x"));
        fake_env_fail(k->f, call, ERR_IO);
        enum err e = dkit_open(k);
        done = e == ERR_OK && k->f->calls < k->f->fail_at;
        assert_true(e == ERR_IO || done);
        dkit_close(k);
        fake_env_reboot(k->f, true);
    }
    expect_start(k, 14);
    buf_fini(&b);
}

// The zeros reach exactly to where a window ends; behind it there are records, far too many for one
// batch.
static void zeros_up_to_the_edge_of_a_window_are_no_end(void **state)
{
    struct dkit *k = *state;
    make_fresh(k);
    static uint8_t big[64 * 1024];
    memset(big, 'b', sizeof(big));
    size_t edge = 1024 * 1024, at = LOGFILE_HEADER_LEN, n = 0;
    struct buf b = {0}, e = {0};
    logfile_put_header(&b);
    for (int64_t z = 1; b.n < edge; z++) {
        at = b.n;
        buf_clear(&e);
        dkit_entry(&e, z);
        logfile_put_record(&b, buf_slice(&e));
        n++;
    }
    buf_fini(&e);
    assert_true(edge - at >= LOGFILE_RECORD_HEAD);
    for (int i = 0; i < 90; i++) {
        logfile_put_record(&b, slice_of(big, sizeof(big)));
    }
    logfile_seal(b.p + LOGFILE_HEADER_LEN, b.n - LOGFILE_HEADER_LEN);
    memset(b.p + at, 0, edge - at);
    plant(k, "log.1", buf_slice(&b));
    expect_refusal(k, ERR_CORRUPT, "records are missing");
    assert_int_equal(fake_env_peek(k->f, DKIT_V2 "/log.1").n, b.n);
    fake_env_reboot(k->f, false);
    buf_fini(&b);
}

// As plant(), but only programs see it yet, as what Apache's servers write and never sync.
static void plant_unsynced(struct dkit *k, const char *name, struct slice content)
{
    char path[128];
    int fd;
    snprintf(path, sizeof(path), DKIT_V2 "/%s", name);
    assert_int_equal(crashdisk_open(k->f->disk, path, ENV_OPEN_WRITE | ENV_OPEN_CREATE, &fd),
                     ERR_OK);
    assert_int_equal(crashdisk_write(k->f->disk, fd, 0, content.p, content.n), ERR_OK);
    crashdisk_close(k->f->disk, fd);
}

static void what_a_start_read_survives_a_power_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct dkit k;
        dkit_init(&k, seed);
        make_two_snapshots(&k);
        struct buf snap = {0}, log = {0};
        buf_put_slice(&snap, fake_env_peek(k.f, DKIT_V2 "/snapshot.a"));
        put_log(&log, 6, 12);
        assert_int_equal(crashdisk_unlink(k.f->disk, DKIT_V2 "/snapshot.a"), ERR_OK);
        assert_int_equal(crashdisk_unlink(k.f->disk, DKIT_V2 "/log.6"), ERR_OK);
        assert_int_equal(crashdisk_sync_dir(k.f->disk, DKIT_V2), ERR_OK);
        plant_unsynced(&k, "snapshot.a", buf_slice(&snap));
        plant_unsynced(&k, "log.6", buf_slice(&log));
        assert_int_equal(dkit_open(&k), ERR_OK);
        expect_state(&k, 12);
        dkit_close(&k);
        fake_env_reboot(k.f, true);
        struct slice got = fake_env_peek(k.f, DKIT_V2 "/snapshot.a");
        assert_int_equal(got.n, snap.n);
        assert_memory_equal(got.p, snap.p, snap.n);
        assert_int_equal(dkit_open(&k), ERR_OK);
        expect_state(&k, 12);
        dkit_fini(&k);
        buf_fini(&snap);
        buf_fini(&log);
    }
}

static void a_snapshot_without_any_log_is_warned_about(void **state)
{
    struct dkit *k = *state;
    make_two_snapshots(k);
    k->cfg.data_log_dir = "/logs"; // and the logs stayed where they were, out of sight
    assert_int_equal(crashdisk_unlink(k->f->disk, DKIT_V2 "/log.1"), ERR_OK);
    assert_int_equal(crashdisk_unlink(k->f->disk, DKIT_V2 "/log.6"), ERR_OK);
    assert_int_equal(crashdisk_unlink(k->f->disk, DKIT_V2 "/log.b"), ERR_OK);
    assert_int_equal(dkit_open(k), ERR_OK);
    assert_true(fake_env_logged(k->f, "/logs/version-2 has no transaction logs"));
    assert_int_equal(tree_zxid(k->tree), 10);
}

static void count_file(void *ctx, const char *name, uint64_t size)
{
    (void)name;
    (void)size;
    ++*(int *)ctx;
}

static void restarts_do_not_pile_up_files(void **state)
{
    struct dkit *k = *state;
    for (int i = 0; i < 250; i++) {
        assert_int_equal(dkit_open(k), ERR_OK);
        assert_int_equal(tree_zxid(k->tree), i);
        dkit_append_n(k, 1);
        dkit_settle(k);
        dkit_close(k);
        fake_env_reboot(k->f, false);
        int files = 0;
        crashdisk_each(k->f->disk, DKIT_V2, count_file, &files);
        assert_true(files < 80);
    }
    expect_start(k, 250);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_empty_directory_gets_snapshot_0),
        T(a_second_server_is_refused),
        T(logs_in_several_files),
        T(a_snapshot_in_the_middle_of_a_log),
        T(leftovers_go_and_other_files_stay),
        T(two_directories),
        T(a_snapshot_among_the_logs_is_refused),
        T(every_kind_of_damage_falls_back),
        T(a_fallback_without_its_log_is_refused),
        T(no_good_snapshot_is_refused),
        T(a_half_snapshot_0_is_as_none),
        T(logs_without_snapshot),
        T(every_cut_of_the_last_file_is_its_end),
        T(zeros_behind_the_last_record_are_its_end),
        T(a_lost_sector_of_the_last_batch_is_torn),
        T(a_flipped_bit_in_the_last_record_is_torn),
        T(a_flipped_bit_before_is_damage),
        T(a_damaged_length_is_damage),
        T(a_hole_far_before_the_end_is_damage),
        T(damage_in_an_earlier_file_is_damage),
        T(a_torn_tail_of_an_earlier_file_is_apaches),
        T(a_hole_in_the_zxids_is_named),
        T(a_record_that_is_no_transaction),
        T(every_failing_call_of_a_start),
        T(zeros_up_to_the_edge_of_a_window_are_no_end),
        T(what_a_start_read_survives_a_power_cut),
        T(a_snapshot_without_any_log_is_warned_about),
        T(restarts_do_not_pile_up_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
