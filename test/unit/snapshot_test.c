// SPDX-License-Identifier: Apache-2.0
//
// Snapshots while the tree goes on changing: what is in the file, when it shows, what failures
// leave.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "disk/snapload.h"
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

static void expect_snapshot(struct dkit *k, const char *name, const struct buf *want)
{
    struct disk_file f;
    struct snapload load;
    disk_name_parse(name, &f);
    struct tree *t = dkit_tree(&k->f->env.log);
    assert_int_equal(snapshot_load(&k->f->env, DKIT_V2, &f, t, &load), ERR_OK);
    struct buf got = {0};
    dkit_dump(t, &got);
    assert_string_equal((const char *)got.p, (const char *)want->p);
    buf_fini(&got);
    tree_free(&t);
}

static void it_is_the_tree_of_its_zxid(void **state)
{
    struct dkit *k = *state;
    for (int kind = DISK_PLAIN; kind <= DISK_SNAPPY; kind++) {
        k->cfg.compression = kind;
        assert_int_equal(dkit_open(k), ERR_OK);
        dkit_append_n(k, 700); // more nodes than one slice takes
        struct buf want = {0};
        dkit_dump(k->tree, &want);
        char name[DISK_NAME_MAX];
        disk_name_snapshot(name, tree_zxid(k->tree), (enum disk_compression)kind);
        disk_snapshot_soon(k->disk);
        dkit_turn(k);
        assert_true(disk_snapshot_running(k->disk));
        for (int i = 0; i < 10; i++) { // the tree changes under the walk
            dkit_append(k);
            disk_flush(k->disk);
            while (dkit_job(k, ENV_LANE_LOG)) {
            }
        }
        dkit_settle(k);
        assert_int_equal(k->snapped, kind + 1);
        assert_false(disk_snapshot_running(k->disk));
        expect_snapshot(k, name, &want);
        buf_fini(&want);
        dkit_close(k);
        fake_env_reboot(k->f, true);
    }
}

static size_t size_after(struct dkit *k, bool digest, bool last_zxid)
{
    k->cfg.digest_section = digest;
    k->cfg.last_zxid_section = last_zxid;
    assert_int_equal(dkit_open(k), ERR_OK);
    disk_snapshot_soon(k->disk);
    dkit_settle(k);
    size_t n = fake_env_peek(k->f, DKIT_V2 "/snapshot.0").n;
    dkit_close(k);
    fake_env_reboot(k->f, false);
    return n;
}

// A lone last zxid is what most Apache versions cannot read.
static void sections_follow_the_settings(void **state)
{
    struct dkit *k = *state;
    size_t none = size_after(k, false, false);
    assert_int_equal(size_after(k, false, true), none);
    assert_int_equal(size_after(k, true, false), none + 33);
    assert_int_equal(size_after(k, true, true), none + 54);
}

static void it_shows_only_when_it_is_whole(void **state)
{
    struct dkit *k = *state;
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_append_n(k, 9);
    disk_snapshot_soon(k->disk);
    dkit_turn(k);
    dkit_turn(k);
    uint64_t calls = k->f->calls;
    while (k->snapped == 0) {
        assert_true(slice_is_null(fake_env_peek(k->f, DKIT_V2 "/snapshot.9")));
        if (!dkit_job(k, ENV_LANE_BACKGROUND)) {
            dkit_turn(k);
        }
    }
    assert_true(k->f->calls > calls);
    assert_false(slice_is_null(fake_env_peek(k->f, DKIT_V2 "/snapshot.9")));
    assert_true(slice_is_null(fake_env_peek(k->f, DKIT_V2 "/tmp.snapshot.9")));
}

static void the_counters_call_for_it_and_roll_the_log(void **state)
{
    struct dkit *k = *state;
    k->cfg.snap_count = 20;
    assert_int_equal(dkit_open(k), ERR_OK);
    int before = 0;
    while (k->snapped == 0) {
        dkit_append_n(k, 1);
        before++;
        assert_true(before <= 20);
    }
    assert_in_range(before, 11, 20);
    dkit_append_n(k, 1);
    char path[64];
    snprintf(path, sizeof(path), DKIT_V2 "/log.%x", before + 1);
    assert_false(slice_is_null(fake_env_peek(k->f, path)));
    dkit_append_n(k, 100);
    assert_in_range(k->snapped, 5, 10);
}

static void bytes_call_for_it_too(void **state)
{
    struct dkit *k = *state;
    k->cfg.snap_size_bytes = 4000;
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_append_n(k, 40);
    assert_true(k->snapped >= 1);
}

static void many_restarts_do_not_make_the_log_endless(void **state)
{
    struct dkit *k = *state;
    k->cfg.snap_count = 20;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(dkit_open(k), ERR_OK);
        dkit_append_n(k, 5);
        dkit_close(k);
        fake_env_reboot(k->f, true);
    }
    assert_in_range(k->snapped, 1, 3);
}

// Each of the calls of the background lane fails in turn.
static void a_failure_leaves_nothing_and_is_tried_again(void **state)
{
    struct dkit *k = *state;
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_append_n(k, 9);
    int failures = 0;
    for (uint64_t call = 1; k->snapped == 0; call++) {
        disk_snapshot_soon(k->disk);
        fake_env_fail(k->f, call, call % 2 ? ERR_NOSPACE : ERR_IO);
        dkit_settle(k);
        struct disk_stats s;
        disk_get_stats(k->disk, &s);
        assert_in_range(s.snap_errors, failures, failures + 1);
        if (s.snap_errors > failures) {
            failures++;
            assert_true(slice_is_null(fake_env_peek(k->f, DKIT_V2 "/tmp.snapshot.9")));
            assert_true(fake_env_logged(k->f, "could not be written"));
            assert_in_range(k->wait_ms, 1, 300000);
            assert_true(disk_snapshot_running(k->disk)); // still wanted
            fake_env_pass_ms(k->f, k->wait_ms);
        }
    }
    assert_true(failures >= 6);
    assert_int_equal(k->broken + k->full, 0);
    dkit_append_n(k, 3);
}

static void while_the_log_is_full_none_is_begun(void **state)
{
    struct dkit *k = *state;
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_append_n(k, 2);
    crashdisk_set_capacity(k->f->disk, crashdisk_used(k->f->disk));
    while (!k->full) {
        dkit_append_n(k, 1);
    }
    disk_snapshot_soon(k->disk);
    dkit_settle(k);
    assert_int_equal(k->snapped, 0);
    crashdisk_set_capacity(k->f->disk, UINT64_MAX);
    fake_env_pass_ms(k->f, 1000);
    dkit_settle(k);
    dkit_settle(k);
    assert_int_equal(k->space, 1);
    assert_int_equal(k->snapped, 1);
}

// A member applies what others have logged, and its own log may be far behind that.
static void run_snapshot_only(struct dkit *k)
{
    do {
        dkit_turn(k);
    } while (dkit_job(k, ENV_LANE_BACKGROUND) || k->wait_ms == 0);
}

static void none_is_ahead_of_the_log(void **state)
{
    struct dkit *k = *state;
    k->cfg.member = true;
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_append_n(k, 4);
    for (int i = 0; i < 3; i++) {
        assert_true(dkit_append(k));
    }
    dkit_apply(k);
    struct buf want = {0};
    dkit_dump(k->tree, &want);
    disk_snapshot_soon(k->disk);
    run_snapshot_only(k);
    assert_false(dkit_exists(k, "snapshot.7"));
    assert_true(disk_snapshot_running(k->disk));
    assert_true(dkit_append(k));
    dkit_apply(k); // in the log behind the others, and not in the snapshot
    dkit_settle(k);
    assert_int_equal(k->snapped, 1);
    expect_snapshot(k, "snapshot.7", &want);
    buf_fini(&want);
}

// What it holds will not come into the log: half of it must not lie in the space that is missing.
static void one_ahead_of_a_full_log_goes(void **state)
{
    struct dkit *k = *state;
    k->cfg.member = true;
    assert_int_equal(dkit_open(k), ERR_OK);
    for (int i = 0; i < 8000; i++) { // some megabytes
        assert_true(dkit_append(k));
    }
    dkit_settle(k);
    for (int i = 0; i < 1000; i++) {
        assert_true(dkit_append(k));
    }
    dkit_apply(k);
    disk_snapshot_soon(k->disk);
    run_snapshot_only(k);
    assert_true(dkit_exists(k, "tmp.snapshot.2328"));
    crashdisk_set_capacity(k->f->disk, crashdisk_used(k->f->disk));
    dkit_settle(k);
    assert_int_equal(k->full, 1);
    assert_false(dkit_exists(k, "tmp.snapshot.2328"));
    crashdisk_set_capacity(k->f->disk, UINT64_MAX);
    fake_env_pass_ms(k->f, 1000);
    disk_allow_snapshots(k->disk, false); // the role has ended
    dkit_settle(k);
    assert_int_equal(k->space, 1);
    disk_truncate(k->disk, k->tree, k->logged);
    dkit_settle(k);
    assert_int_equal(k->replaced, 1);
    assert_int_equal(k->snapped, 0);
}

// A failed attempt would take space that the log needs: there is none when it cannot fit.
static void one_that_cannot_fit_takes_no_space(void **state)
{
    struct dkit *k = *state;
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_append_n(k, 9);
    uint64_t used = crashdisk_used(k->f->disk);
    crashdisk_set_capacity(k->f->disk, used + 1000 * 1000);
    disk_snapshot_soon(k->disk);
    dkit_settle(k);
    struct disk_stats s;
    disk_get_stats(k->disk, &s);
    assert_int_equal(s.snap_errors, 1);
    assert_true(slice_is_null(fake_env_peek(k->f, DKIT_V2 "/tmp.snapshot.9")));
    dkit_append_n(k, 100);
    assert_int_equal(k->full, 0);
    crashdisk_set_capacity(k->f->disk, used + 2 * 1000 * 1000);
    fake_env_pass_ms(k->f, k->wait_ms);
    dkit_settle(k);
    assert_int_equal(k->snapped, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_is_the_tree_of_its_zxid),
        T(sections_follow_the_settings),
        T(it_shows_only_when_it_is_whole),
        T(the_counters_call_for_it_and_roll_the_log),
        T(bytes_call_for_it_too),
        T(many_restarts_do_not_make_the_log_endless),
        T(a_failure_leaves_nothing_and_is_tried_again),
        T(while_the_log_is_full_none_is_begun),
        T(none_is_ahead_of_the_log),
        T(one_ahead_of_a_full_log_goes),
        T(one_that_cannot_fit_takes_no_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
