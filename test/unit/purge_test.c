// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "disk/names.h"
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

// "log.1 log.6 snapshot.0 ..." of the directory, by kind and zxid.
static void expect_files(struct dkit *k, const char *want)
{
    struct disk_files files;
    struct buf b = {0};
    assert_int_equal(disk_files_list(&k->f->env, DKIT_V2, &files), ERR_OK);
    for (int kind = DISK_NAME_LOG; kind <= DISK_NAME_LEFTOVER; kind++) {
        for (size_t i = 0; i < files.n; i++) {
            if ((int)files.v[i].kind == kind) {
                buf_fmt(&b, "%s ", files.v[i].name);
            }
        }
    }
    buf_put_u8(&b, 0);
    assert_string_equal((const char *)b.p, want);
    buf_fini(&b);
    disk_files_fini(&files);
}

// n times five transactions and a snapshot.
static void snapshots(struct dkit *k, int n)
{
    for (int i = 0; i < n; i++) {
        dkit_append_n(k, 5);
        disk_snapshot_soon(k->disk);
        dkit_settle(k);
    }
}

static void the_newest_stay_with_their_logs(void **state)
{
    struct dkit *k = *state;
    assert_int_equal(dkit_open(k), ERR_OK);
    snapshots(k, 2);
    expect_files(k, "log.1 log.6 snapshot.0 snapshot.5 snapshot.a ");
    snapshots(k, 1);
    // log.1 is the last that starts at or below 5: it may hold a record above.
    expect_files(k, "log.1 log.6 log.b snapshot.5 snapshot.a snapshot.f ");
    snapshots(k, 1);
    expect_files(k, "log.6 log.b log.10 snapshot.a snapshot.f snapshot.14 ");
    int64_t snaps, logs;
    disk_sizes(k->disk, &snaps, &logs);
    assert_int_equal(snaps, fake_env_peek(k->f, DKIT_V2 "/snapshot.a").n +
                                fake_env_peek(k->f, DKIT_V2 "/snapshot.f").n +
                                fake_env_peek(k->f, DKIT_V2 "/snapshot.14").n);
    assert_int_equal(logs, fake_env_peek(k->f, DKIT_V2 "/log.6").n +
                               fake_env_peek(k->f, DKIT_V2 "/log.b").n +
                               fake_env_peek(k->f, DKIT_V2 "/log.10").n);
}

static void count_file(void *ctx, const char *name, uint64_t size)
{
    (void)name;
    (void)size;
    ++*(int *)ctx;
}

// Transactions that never pause, and a snapshot due at every turn: the purge gets its time between
// two of them, or the files would be without bound.
static void it_is_not_starved_by_snapshots(void **state)
{
    struct dkit *k = *state;
    k->cfg.snap_count = 2;
    assert_int_equal(dkit_open(k), ERR_OK);
    for (int i = 0; i < 400; i++) {
        dkit_append(k);
        dkit_append(k);
        dkit_append(k);
        dkit_turn(k);
        (void)!dkit_job(k, ENV_LANE_LOG);
        dkit_turn(k);
        (void)!dkit_job(k, ENV_LANE_BACKGROUND);
        int files = 0;
        crashdisk_each(k->f->disk, DKIT_V2, count_file, &files);
        assert_true(files < 60);
    }
}

static void off_is_off(void **state)
{
    struct dkit *k = *state;
    k->cfg.snap_retain = 0;
    assert_int_equal(dkit_open(k), ERR_OK);
    snapshots(k, 4);
    expect_files(k, "log.1 log.6 log.b log.10 snapshot.0 snapshot.5 snapshot.a snapshot.f "
                    "snapshot.14 ");
}

// A snapshot whose end looks right and whose middle is not does not count as one.
static void damaged_ones_do_not_count(void **state)
{
    struct dkit *k = *state;
    k->cfg.snap_retain = 0;
    assert_int_equal(dkit_open(k), ERR_OK);
    snapshots(k, 4);
    dkit_close(k);
    fake_env_reboot(k->f, true);
    crashdisk_poke(k->f->disk, DKIT_V2 "/snapshot.f", 100, 0xee, 1);
    k->cfg.snap_retain = 3;
    assert_int_equal(dkit_open(k), ERR_OK);
    snapshots(k, 1);
    expect_files(k, "log.6 log.b log.10 log.15 snapshot.a snapshot.f snapshot.14 snapshot.19 ");
}

static void too_few_good_ones_keep_everything(void **state)
{
    struct dkit *k = *state;
    assert_int_equal(dkit_open(k), ERR_OK);
    snapshots(k, 1);
    assert_int_equal(crashdisk_unlink(k->f->disk, DKIT_V2 "/snapshot.0"), ERR_OK);
    fake_env_plant(k->f, DKIT_V2 "/snapshot.1", SLICE_LIT("rubbish"));
    fake_env_plant(k->f, DKIT_V2 "/snapshot.6", SLICE_LIT("rubbish"));
    snapshots(k, 1);
    expect_files(k, "log.1 log.6 snapshot.1 snapshot.5 snapshot.6 snapshot.a ");
    snapshots(k, 1);
    expect_files(k, "log.1 log.6 log.b snapshot.5 snapshot.6 snapshot.a snapshot.f ");
}

static void by_interval(void **state)
{
    struct dkit *k = *state;
    k->cfg.purge_interval_ms = 3600000;
    assert_int_equal(dkit_open(k), ERR_OK);
    snapshots(k, 5);
    expect_files(k, "log.1 log.6 log.b log.10 log.15 snapshot.0 snapshot.5 snapshot.a snapshot.f "
                    "snapshot.14 snapshot.19 ");
    assert_int_equal(k->wait_ms, 3600000);
    fake_env_pass_ms(k->f, 3600000);
    dkit_settle(k);
    expect_files(k, "log.b log.10 log.15 snapshot.f snapshot.14 snapshot.19 ");
    snapshots(k, 1);
    dkit_close(k);
    fake_env_reboot(k->f, true);
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_settle(k); // at start, too
    expect_files(k, "log.10 log.15 log.1a snapshot.14 snapshot.19 snapshot.1e ");
}

static void a_failing_call_is_named_and_tried_again(void **state)
{
    struct dkit *k = *state;
    k->cfg.purge_interval_ms = 1000;
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_settle(k);
    snapshots(k, 4);
    fake_env_pass_ms(k->f, 1000);
    dkit_turn(k);
    fake_env_fail(k->f, 1, ERR_IO);
    assert_true(dkit_job(k, ENV_LANE_BACKGROUND));
    assert_true(fake_env_logged(k->f, "could not be removed"));
    fake_env_pass_ms(k->f, 1000);
    dkit_settle(k);
    expect_files(k, "log.6 log.b log.10 snapshot.a snapshot.f snapshot.14 ");
}

static void foreign_names_stay(void **state)
{
    struct dkit *k = *state;
    static const char *const names[] = {
        "acceptedEpoch",         "snapshot.1.bak",    "log.x", "snapshot",
        "log.11111111111111111", "snapshot.1.gz.old", NULL};
    char path[128];
    for (int i = 0; names[i]; i++) {
        snprintf(path, sizeof(path), DKIT_V2 "/%s", names[i]);
        fake_env_plant(k->f, path, SLICE_LIT("x"));
    }
    assert_int_equal(dkit_open(k), ERR_OK);
    snapshots(k, 5);
    for (int i = 0; names[i]; i++) {
        snprintf(path, sizeof(path), DKIT_V2 "/%s", names[i]);
        assert_false(slice_is_null(fake_env_peek(k->f, path)));
    }
}

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum disk_name_kind kind;
        int64_t zxid;
        enum disk_compression packed;
    } rows[] = {
        {"log.0", DISK_NAME_LOG, 0, DISK_PLAIN},
        {"log.1000000AB", DISK_NAME_LOG, 0x1000000ab, DISK_PLAIN},
        {"log.7fffffffffffffff", DISK_NAME_LOG, INT64_MAX, DISK_PLAIN},
        {"log.8000000000000000", DISK_NAME_OTHER, 0, DISK_PLAIN},
        {"log.", DISK_NAME_OTHER, 0, DISK_PLAIN},
        {"log.1.gz", DISK_NAME_OTHER, 0, DISK_PLAIN},
        {"log", DISK_NAME_OTHER, 0, DISK_PLAIN},
        {"snapshot.a", DISK_NAME_SNAPSHOT, 10, DISK_PLAIN},
        {"snapshot.a.gz", DISK_NAME_SNAPSHOT, 10, DISK_GZIP},
        {"snapshot.a.snappy", DISK_NAME_SNAPSHOT, 10, DISK_SNAPPY},
        {"snapshot.a.zip", DISK_NAME_OTHER, 0, DISK_PLAIN},
        {"snapshot.a.tmp", DISK_NAME_LEFTOVER, 10, DISK_PLAIN},
        {"tmp.snapshot.a", DISK_NAME_LEFTOVER, 0, DISK_PLAIN},
        {"tmp.log", DISK_NAME_LEFTOVER, 0, DISK_PLAIN},
        {"tmp.taken.snapshot.a", DISK_NAME_LEFTOVER, 0, DISK_PLAIN},
        {"tmp.acceptedEpoch", DISK_NAME_LEFTOVER, 0, DISK_PLAIN},
        {"tmp.currentEpoch", DISK_NAME_LEFTOVER, 0, DISK_PLAIN},
        {"taken.snapshot.1000000ab", DISK_NAME_TAKEN, 0x1000000ab, DISK_PLAIN},
        {"taken.snapshot.a.gz", DISK_NAME_OTHER, 0, DISK_PLAIN},
        {"taken.snapshot.", DISK_NAME_OTHER, 0, DISK_PLAIN},
        {"cut.a.0", DISK_NAME_CUT, 10, DISK_PLAIN},
        {"cut.a", DISK_NAME_OTHER, 0, DISK_PLAIN},
        {"cut.a.", DISK_NAME_OTHER, 0, DISK_PLAIN},
        {"cut.a.b.c", DISK_NAME_OTHER, 0, DISK_PLAIN},
        {"currentEpoch.tmp", DISK_NAME_OTHER, 0, DISK_PLAIN},
        {".lock", DISK_NAME_OTHER, 0, DISK_PLAIN},
        {"", DISK_NAME_OTHER, 0, DISK_PLAIN},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct disk_file f;
        disk_name_parse(rows[i].name, &f);
        if (f.kind != rows[i].kind ||
            (f.kind != DISK_NAME_OTHER && (f.zxid != rows[i].zxid || f.packed != rows[i].packed))) {
            fail_msg("%s: kind %d zxid %lld", rows[i].name, f.kind, (long long)f.zxid);
        }
    }
    char name[DISK_NAME_MAX];
    disk_name_log(name, INT64_MAX);
    assert_string_equal(name, "log.7fffffffffffffff");
    disk_name_snapshot(name, 0x1f, DISK_SNAPPY);
    assert_string_equal(name, "snapshot.1f.snappy");
    disk_name_cut(name, INT64_MAX, INT64_MAX);
    assert_string_equal(name, "cut.7fffffffffffffff.7fffffffffffffff");
    struct disk_file f;
    disk_name_parse(name, &f);
    assert_int_equal(f.kind, DISK_NAME_CUT);
    assert_int_equal(f.base, INT64_MAX);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_newest_stay_with_their_logs),
        T(it_is_not_starved_by_snapshots),
        T(off_is_off),
        T(damaged_ones_do_not_count),
        T(too_few_good_ones_keep_everything),
        T(by_interval),
        T(a_failing_call_is_named_and_tried_again),
        T(foreign_names_stay),
        T(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
