// SPDX-License-Identifier: Apache-2.0
//
// Truncation: to every kind of place, with a crash or an error at every file call of it. What the
// next start finds is the old state or the new one, and the new one once TRUNCATED was said.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/disk_models.h"

enum { LAST = 20, ZXIDS_MAX = LAST + 10 };

static int make_models(void **state)
{
    (void)state;
    models_make(ZXIDS_MAX);
    return 0;
}

static int free_models(void **state)
{
    (void)state;
    models_free();
    return 0;
}

// snapshot.0, .4, .8, .c and log.1, .5, .9, .d with the rest; the last file is being written.
static void build(struct dkit *k, uint64_t seed)
{
    dkit_init(k, seed);
    k->cfg.member = true;
    k->cfg.snap_retain = 0;
    if (seed % 3 == 2) {
        k->cfg.data_log_dir = "/logs";
    }
    assert_int_equal(dkit_open(k), ERR_OK);
    for (int i = 0; i < 3; i++) {
        dkit_append_n(k, 4);
        disk_snapshot_soon(k->disk);
        dkit_settle(k);
    }
    dkit_append_n(k, 3);
    for (int i = 0; i < 5; i++) {
        assert_true(dkit_append(k));
    }
    dkit_settle(k);
    assert_int_equal(k->snapped, 3);
    assert_int_equal(tree_zxid(k->tree), LAST);
    disk_allow_snapshots(k->disk, false);
}

static void truncate(struct dkit *k, int64_t zxid)
{
    disk_truncate(k->disk, k->tree, zxid);
    dkit_settle(k);
}

static void a_cut_to_any_zxid_leaves_just_what_is_below(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        for (int64_t zxid = 0; zxid <= LAST; zxid++) {
            struct dkit k;
            build(&k, seed);
            truncate(&k, zxid);
            assert_int_equal(k.replaced, 1);
            assert_true(disk_settled(k.disk));
            models_expect(&k, zxid);
            models_reopen(&k, true); // nothing above may come back
            models_expect(&k, zxid);
            dkit_append_n(&k, 3);
            models_reopen(&k, true);
            models_expect(&k, zxid + 3);
            dkit_fini(&k);
        }
    }
}

static void the_server_goes_on_after_a_cut(void **state)
{
    (void)state;
    struct dkit k;
    build(&k, 1);
    truncate(&k, 6);
    assert_int_equal(k.tail_n, 2); // 5 and 6, behind snapshot 4
    assert_int_equal(k.tail_first, 5);
    dkit_append_n(&k, 3);
    disk_allow_snapshots(k.disk, true);
    disk_snapshot_soon(k.disk);
    dkit_settle(&k);
    assert_int_equal(k.snapped, 4);
    assert_true(dkit_exists(&k, "snapshot.9"));
    assert_false(dkit_exists(&k, "snapshot.8"));
    truncate(&k, 8);
    models_expect(&k, 8);
    truncate(&k, 8); // to where it stands
    assert_int_equal(k.replaced, 3);
    dkit_append_n(&k, 1);
    models_reopen(&k, true);
    models_expect(&k, 9);
    dkit_fini(&k);
}

static void sizes_follow(void **state)
{
    (void)state;
    struct dkit k;
    int64_t snaps, logs, snaps_then, logs_then;
    build(&k, 1);
    truncate(&k, 6);
    disk_sizes(k.disk, &snaps, &logs);
    models_reopen(&k, false);
    disk_sizes(k.disk, &snaps_then, &logs_then);
    assert_int_equal(snaps, snaps_then);
    assert_int_equal(logs, logs_then);
    dkit_fini(&k);
}

// A hole in the log that a snapshot spans, as a server of Apache's leaves it: without that snapshot
// the log behind it leads nowhere.
static void make_hole(struct dkit *k)
{
    char path[128];
    dkit_close(k);
    snprintf(path, sizeof(path), "%s%s/log.9", k->cfg.data_log_dir, "/version-2");
    assert_int_equal(crashdisk_unlink(k->f->disk, path), ERR_OK);
    *strrchr(path, '/') = 0;
    assert_int_equal(crashdisk_sync_dir(k->f->disk, path), ERR_OK);
    fake_env_reboot(k->f, true);
    assert_int_equal(dkit_open(k), ERR_OK);
    models_expect(k, LAST);
}

// Whatever the machine does while it cuts.
static bool crash_at(uint64_t call, uint64_t seed, int64_t zxid, bool hole)
{
    struct dkit k;
    build(&k, seed);
    if (hole) {
        make_hole(&k);
    }
    crashdisk_crash_after(k.f->disk, call);
    truncate(&k, zxid);
    bool over = !crashdisk_is_down(k.f->disk);
    assert_int_equal(k.replaced + k.broken + k.sync_failed, 1);
    bool told = k.replaced > 0;
    assert_true(told || !over);
    models_reopen(&k, seed > 1);
    int64_t found = tree_zxid(k.tree);
    if (found != zxid && (told || found != LAST)) {
        fail_msg("crash at call %d, seed %d: zxid %d after a cut to %d", (int)call, (int)seed,
                 (int)found, (int)zxid);
    }
    models_expect(&k, found);
    dkit_append_n(&k, 2);
    models_reopen(&k, true);
    models_expect(&k, found + 2);
    dkit_fini(&k);
    return over;
}

static const int64_t places[] = {0, 3, 4, 6, 12, 14, LAST};

static void a_crash_at_every_call(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            uint64_t call = 1;
            bool hole = seed % 2 == 0 && places[i] < 9;
            while (!crash_at(call, seed, places[i], hole)) {
                call++;
            }
            assert_in_range(call, 15, 200);
        }
    }
}

// It dies while it cuts, and again at every call of the start that finishes the cut.
static void a_crash_of_the_start_that_finishes_it(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        bool over = false;
        for (uint64_t call = 1; !over; call++) {
            struct dkit k;
            build(&k, seed);
            bool decided = false;
            for (uint64_t n = 20; !decided && n < 60; n++) { // the call behind the decision
                dkit_fini(&k);
                build(&k, seed);
                crashdisk_crash_after(k.f->disk, n);
                truncate(&k, 6);
                dkit_close(&k);
                fake_env_reboot(k.f, false);
                decided = dkit_exists(&k, "cut.6.4");
            }
            assert_true(decided);
            crashdisk_crash_after(k.f->disk, call);
            over = dkit_open(&k) == ERR_OK && !crashdisk_is_down(k.f->disk);
            dkit_close(&k);
            fake_env_reboot(k.f, true);
            assert_int_equal(dkit_open(&k), ERR_OK);
            int64_t found = tree_zxid(k.tree);
            assert_true(found == 6 || (!over && found == LAST)); // the name was not durable yet
            models_expect(&k, found);
            assert_true(found == LAST || !dkit_exists(&k, "snapshot.8"));
            assert_false(dkit_exists(&k, "cut.6.4"));
            dkit_fini(&k);
        }
    }
}

static void an_error_at_every_call(void **state)
{
    (void)state;
    static const enum err errors[] = {ERR_IO, ERR_NOSPACE};
    for (size_t i = 0; i < 4; i++) {
        bool over = false;
        for (uint64_t call = 1; !over; call++) {
            struct dkit k;
            build(&k, 1 + i / 2);
            fake_env_fail(k.f, call, errors[i % 2]);
            truncate(&k, 6);
            over = k.f->calls < k.f->fail_at;
            k.f->fail_at = 0;
            assert_int_equal(k.replaced + k.broken + k.sync_failed, 1);
            int64_t want = k.replaced ? 6 : LAST;
            if (k.broken) {
                models_reopen(&k, true);
                assert_true(tree_zxid(k.tree) == 6 || tree_zxid(k.tree) == LAST);
                want = tree_zxid(k.tree);
            }
            models_expect(&k, want); // nothing changed, or it is done
            dkit_append_n(&k, 2);
            models_reopen(&k, true);
            models_expect(&k, want + 2);
            dkit_fini(&k);
        }
    }
}

// ---- what cannot be done
// -------------------------------------------------------------------------

static void expect_refused(struct dkit *k, int64_t zxid)
{
    int before = k->sync_failed;
    truncate(k, zxid);
    assert_int_equal(k->sync_failed, before + 1);
    assert_int_equal(k->replaced, 0);
    models_expect(k, LAST);
    assert_true(dkit_exists(k, "snapshot.c"));
}

static void what_is_left_must_reach_the_place(void **state)
{
    (void)state;
    struct dkit k;
    build(&k, 1);
    expect_refused(&k, LAST + 1);
    expect_refused(&k, LAST + ((int64_t)1 << 32));
    dkit_append_n(&k, 1); // it goes on
    dkit_close(&k);
    assert_int_equal(crashdisk_unlink(k.f->disk, DKIT_V2 "/snapshot.0"), ERR_OK);
    assert_int_equal(crashdisk_unlink(k.f->disk, DKIT_V2 "/snapshot.4"), ERR_OK);
    assert_int_equal(crashdisk_unlink(k.f->disk, DKIT_V2 "/log.9"), ERR_OK);
    assert_int_equal(crashdisk_sync_dir(k.f->disk, DKIT_V2), ERR_OK);
    fake_env_reboot(k.f, true);
    assert_int_equal(dkit_open(&k), ERR_OK);
    int failed = k.sync_failed;
    truncate(&k, 7); // no snapshot below
    truncate(&k, 9); // no log behind it
    truncate(&k, 11);
    truncate(&k, 13 - 2);
    assert_int_equal(k.sync_failed, failed + 4);
    models_expect(&k, LAST + 1);
    truncate(&k, 8); // the snapshot's own zxid
    assert_int_equal(k.replaced, 1);
    models_expect(&k, 8);
    dkit_fini(&k);
}

static void damage_below_the_place_is_no_state(void **state)
{
    (void)state;
    struct dkit k;
    build(&k, 1);
    crashdisk_poke(k.f->disk, DKIT_V2 "/log.5", 60, 0x55, 1);
    truncate(&k, 6);
    assert_int_equal(k.sync_failed, 1);
    truncate(&k, 8); // snapshot 8 needs nothing of it
    assert_int_equal(k.replaced, 1);
    models_expect(&k, 8);
    dkit_fini(&k);
}

static void a_damaged_snapshot_is_passed_over(void **state)
{
    (void)state;
    struct dkit k;
    build(&k, 1);
    crashdisk_poke(k.f->disk, DKIT_V2 "/snapshot.8", 60, 0x55, 1);
    truncate(&k, 10);
    assert_int_equal(k.replaced, 1);
    models_expect(&k, 10);
    assert_int_equal(k.tail_n, 6);
    assert_false(dkit_exists(&k, "snapshot.8"));
    models_reopen(&k, true);
    models_expect(&k, 10);
    dkit_fini(&k);
}

// A snapshot whose digest section is of a later zxid than its name: written while transactions were
// applied, by Apache's server. What is cut off may be in it.
static void a_snapshot_that_holds_more_than_its_name_says_goes(void **state)
{
    (void)state;
    struct dkit k;
    build(&k, 1);
    dkit_close(&k);
    assert_int_equal(crashdisk_rename(k.f->disk, DKIT_V2 "/snapshot.c", DKIT_V2 "/snapshot.b"),
                     ERR_OK);
    assert_int_equal(crashdisk_sync_dir(k.f->disk, DKIT_V2), ERR_OK);
    fake_env_reboot(k.f, true);
    assert_int_equal(dkit_open(&k), ERR_OK);
    assert_int_equal(tree_zxid(k.tree), LAST);
    truncate(&k, 11);
    assert_int_equal(k.replaced, 1);
    models_expect(&k, 11);
    assert_false(dkit_exists(&k, "snapshot.b"));
    models_reopen(&k, true);
    models_expect(&k, 11);
    dkit_fini(&k);
}

// A member's log was behind what others had logged and it had applied, and then full: the tree is
// read again, to the log's end. However many snapshots were begun meanwhile, there is one below.
static void a_tree_ahead_of_a_full_log_is_read_again(void **state)
{
    (void)state;
    struct dkit k;
    build(&k, 1);
    k.cfg.snap_retain = 3;
    models_reopen(&k, false);
    for (int i = 0; i < 6; i++) {
        assert_true(dkit_append(&k));
        dkit_apply(&k);
        disk_snapshot_soon(k.disk);
        do {
            dkit_turn(&k);
        } while (dkit_job(&k, ENV_LANE_BACKGROUND) || k.wait_ms == 0);
    }
    assert_int_equal(k.logged, LAST);
    crashdisk_set_capacity(k.f->disk, crashdisk_used(k.f->disk));
    dkit_settle(&k);
    assert_int_equal(k.full, 1);
    crashdisk_set_capacity(k.f->disk, UINT64_MAX);
    fake_env_pass_ms(k.f, 1000);
    disk_allow_snapshots(k.disk, false);
    dkit_settle(&k);
    assert_int_equal(k.space, 1);
    truncate(&k, LAST);
    assert_int_equal(k.replaced, 1);
    models_expect(&k, LAST);
    dkit_append_n(&k, 2);
    models_reopen(&k, true);
    models_expect(&k, LAST + 2);
    dkit_fini(&k);
}

// ---- beside other work
// ---------------------------------------------------------------------------

static void a_snapshot_that_is_being_written_is_given_up(void **state)
{
    (void)state;
    for (int pieces = 0; pieces < 3; pieces++) {
        struct dkit k;
        build(&k, 1);
        disk_allow_snapshots(k.disk, true);
        disk_snapshot_soon(k.disk);
        for (int i = 0; i < pieces; i++) {
            dkit_turn(&k); // begun; walked and handed over
        }
        disk_truncate(k.disk, k.tree, 6);
        disk_allow_snapshots(k.disk, false);
        dkit_settle(&k);
        assert_int_equal(k.replaced, 1);
        models_expect(&k, 6);
        assert_false(dkit_exists(&k, "snapshot.14"));
        assert_false(dkit_exists(&k, "tmp.snapshot.14"));
        disk_allow_snapshots(k.disk, true); // it is still wanted, of the new tree
        disk_snapshot_soon(k.disk);
        dkit_settle(&k);
        assert_true(dkit_exists(&k, "snapshot.6"));
        models_reopen(&k, true);
        models_expect(&k, 6);
        dkit_fini(&k);
    }
}

static void a_half_written_snapshot_goes(void **state)
{
    (void)state;
    struct dkit k;
    build(&k, 1);
    for (int i = 0; i < 8000; i++) { // some megabytes
        assert_true(dkit_append(&k));
    }
    dkit_settle(&k);
    disk_allow_snapshots(k.disk, true);
    disk_snapshot_soon(k.disk);
    while (!dkit_exists(&k, "tmp.snapshot.1f54")) {
        dkit_turn(&k);
        dkit_job(&k, ENV_LANE_BACKGROUND);
    }
    dkit_turn(&k);
    truncate(&k, 6);
    assert_int_equal(k.replaced, 1);
    assert_false(dkit_exists(&k, "tmp.snapshot.1f54"));
    assert_false(dkit_exists(&k, "snapshot.1f54"));
    models_expect(&k, 6);
    dkit_settle(&k);
    assert_true(dkit_exists(&k, "snapshot.6")); // it was wanted
    dkit_fini(&k);
}

static void a_filler_in_flight_is_waited_for(void **state)
{
    (void)state;
    struct dkit k;
    build(&k, 1);
    while (disk_idle(k.disk)) {
        assert_true(dkit_append(&k));
        disk_flush(k.disk);
        while (dkit_job(&k, ENV_LANE_LOG)) {
        }
    }
    assert_true(disk_settled(k.disk)); // only the filler is out
    disk_truncate(k.disk, k.tree, 14);
    assert_false(disk_settled(k.disk));
    assert_false(dkit_job(&k, ENV_LANE_LOG));
    dkit_settle(&k);
    assert_int_equal(k.replaced, 1);
    models_expect(&k, 14);
    dkit_append_n(&k, 2);
    models_reopen(&k, true);
    models_expect(&k, 16);
    dkit_fini(&k);
}

static void a_cut_makes_space_in_a_full_log(void **state)
{
    (void)state;
    struct dkit k;
    build(&k, 1);
    crashdisk_set_capacity(k.f->disk, crashdisk_used(k.f->disk));
    for (int i = 0; i < 40 && !k.full; i++) {
        dkit_append(&k);
        dkit_settle(&k);
    }
    assert_int_equal(k.full, 1);
    truncate(&k, 2);
    assert_int_equal(k.replaced, 1);
    fake_env_pass_ms(k.f, 1000);
    dkit_settle(&k);
    assert_int_equal(k.space, 1);
    dkit_append_n(&k, 2);
    models_reopen(&k, true);
    models_expect(&k, 4);
    dkit_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_to_any_zxid_leaves_just_what_is_below),
        cmocka_unit_test(the_server_goes_on_after_a_cut),
        cmocka_unit_test(sizes_follow),
        cmocka_unit_test(a_crash_at_every_call),
        cmocka_unit_test(a_crash_of_the_start_that_finishes_it),
        cmocka_unit_test(an_error_at_every_call),
        cmocka_unit_test(what_is_left_must_reach_the_place),
        cmocka_unit_test(damage_below_the_place_is_no_state),
        cmocka_unit_test(a_damaged_snapshot_is_passed_over),
        cmocka_unit_test(a_snapshot_that_holds_more_than_its_name_says_goes),
        cmocka_unit_test(a_tree_ahead_of_a_full_log_is_read_again),
        cmocka_unit_test(a_snapshot_that_is_being_written_is_given_up),
        cmocka_unit_test(a_half_written_snapshot_goes),
        cmocka_unit_test(a_filler_in_flight_is_waited_for),
        cmocka_unit_test(a_cut_makes_space_in_a_full_log),
    };
    return cmocka_run_group_tests(tests, make_models, free_models);
}
