// SPDX-License-Identifier: Apache-2.0
//
// The crash tests: a scripted run is cut at every single file call, with and without power, with
// every kind of torn write the crash disk knows. After the next start everything that was answered
// is there, the tree is exactly that of some zxid between the last answered and the last appended,
// and the server goes on from it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/disk_models.h"

enum { ZXIDS_MAX = 260 };

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

static bool alive(const struct dkit *k)
{
    return !crashdisk_is_down(k->f->disk);
}

static void append_some(struct dkit *k, int n)
{
    for (int i = 0; i < n && alive(k); i++) {
        dkit_append(k);
    }
    dkit_turn(k);
    if (alive(k)) {
        dkit_settle(k);
    }
}

// Single writes, batches, a batch that gathers behind another, rolls, snapshots under writes,
// purges.
static void script(struct dkit *k)
{
    append_some(k, 1);
    append_some(k, 7);
    for (int round = 0; round < 4 && alive(k); round++) {
        disk_snapshot_soon(k->disk);
        dkit_turn(k);
        append_some(k, 3);
        dkit_append(k);
        disk_flush(k->disk);
        append_some(k, 9);
        append_some(k, 1);
        append_some(k, 2);
    }
}

// A dead machine answers every job with an error; they must end all the same.
static void bury(struct dkit *k, bool power)
{
    dkit_close(k);
    fake_env_reboot(k->f, power);
}

static void expect_model(struct dkit *k, int64_t least, int64_t most, uint64_t call)
{
    int64_t zxid = tree_zxid(k->tree);
    if (zxid < least || zxid > most) {
        fail_msg("crash at call %d: zxid %d, %d was answered, %d appended", (int)call, (int)zxid,
                 (int)least, (int)most);
    }
    struct buf b = {0};
    dkit_dump(k->tree, &b);
    if (strcmp((char *)b.p, models[zxid]) != 0) {
        fail_msg("crash at call %d: not the tree of zxid %d: %s", (int)call, (int)zxid, b.p);
    }
    tree_check(k->tree);
    buf_fini(&b);
}

// Returns whether the run was over before that call.
static bool crash_at(uint64_t call, uint64_t seed, bool power, int kind)
{
    struct dkit k;
    dkit_init(&k, seed);
    k.cfg.compression = kind;
    crashdisk_crash_after(k.f->disk, call);
    enum err e = dkit_open(&k);
    int64_t answered = 0, appended = 0;
    if (!e) {
        script(&k);
        answered = k.logged;
        appended = k.appended;
    }
    bool over = alive(&k);
    assert_true(over || e == ERR_CRASHED || e == ERR_OK);
    bury(&k, power);
    for (int start = 0; start < 2; start++) {
        if (dkit_open(&k)) {
            fail_msg("crash at call %d, seed %d: %.*s", (int)call, (int)seed, (int)k.f->log.n,
                     (const char *)k.f->log.p);
        }
        expect_model(&k, answered, appended, call);
        dkit_append_n(&k, 3);
        answered = appended = k.logged;
        bury(&k, power);
    }
    dkit_fini(&k);
    return over;
}

static void a_crash_at_every_call(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t call = 1;
        while (!crash_at(call, seed, seed > 1, seed == 3 ? DISK_SNAPPY : DISK_PLAIN)) {
            call++;
        }
        assert_in_range(call, 100, 2000);
    }
}

// The machine dies again while it starts after a crash: at every call of that start.
static void a_crash_at_every_call_of_the_recovery(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        bool over = false;
        for (uint64_t call = 1; !over; call++) {
            struct dkit k;
            dkit_init(&k, seed);
            crashdisk_crash_after(k.f->disk, 20 + seed * 12);
            enum err e = dkit_open(&k);
            assert_int_equal(e, ERR_OK);
            script(&k);
            assert_false(alive(&k));
            int64_t answered = k.logged, appended = k.appended;
            bury(&k, true);
            crashdisk_crash_after(k.f->disk, call);
            e = dkit_open(&k);
            over = alive(&k);
            assert_int_equal(e, over ? ERR_OK : ERR_CRASHED);
            bury(&k, true);
            assert_int_equal(dkit_open(&k), ERR_OK);
            expect_model(&k, answered, appended, call);
            dkit_fini(&k);
        }
    }
}

// What is cut off may not come back: the records of a torn batch lie behind where the next start
// goes on, and its records could end just where one of those begins.
static void torn_records_never_come_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct dkit k;
        dkit_init(&k, seed);
        assert_int_equal(dkit_open(&k), ERR_OK);
        int64_t answered = 0;
        for (int round = 0; round < 6 && k.appended + 14 < ZXIDS_MAX; round++) {
            append_some(&k, 2);
            answered = k.logged;
            crashdisk_crash_after(k.f->disk, 1 + seed % 3);
            append_some(&k, 9);
            int64_t appended = k.appended;
            bury(&k, true);
            assert_int_equal(dkit_open(&k), ERR_OK);
            expect_model(&k, answered, appended, seed);
        }
        dkit_fini(&k);
    }
}

// Every call fails once, without a crash: the server stops, or goes on; what it answered stays.
static void an_error_at_every_call(void **state)
{
    (void)state;
    static const enum err errors[] = {ERR_IO, ERR_NOSPACE};
    for (size_t i = 0; i < 2; i++) {
        bool over = false;
        for (uint64_t call = 1; !over; call++) {
            struct dkit k;
            dkit_init(&k, 5);
            fake_env_fail(k.f, call, errors[i]);
            if (dkit_open(&k) == ERR_OK) {
                for (int round = 0; round < 2; round++) {
                    script(&k);
                    fake_env_pass_ms(k.f, 1000);
                    dkit_settle(&k);
                    if (k.full > k.space || k.appended + 80 > ZXIDS_MAX) {
                        break;
                    }
                }
                over = k.f->calls < k.f->fail_at;
            }
            int64_t answered = k.logged;
            int64_t appended = k.appended;
            bury(&k, true);
            assert_int_equal(dkit_open(&k), ERR_OK);
            expect_model(&k, answered, appended, call);
            dkit_fini(&k);
        }
    }
}

static void the_handle_knows_its_jobs(void **state)
{
    (void)state;
    struct dkit k;
    dkit_init(&k, 1);
    assert_int_equal(dkit_open(&k), ERR_OK);
    struct env_job other = {0};
    assert_false(disk_owns(k.disk, &other));
    dkit_append(&k);
    disk_flush(k.disk);
    assert_true(disk_owns(k.disk, k.f->jobs[ENV_LANE_LOG][0]));
    assert_false(disk_idle(k.disk));
    dkit_settle(&k);
    assert_true(disk_idle(k.disk));
    dkit_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_handle_knows_its_jobs),
        cmocka_unit_test(a_crash_at_every_call),
        cmocka_unit_test(a_crash_at_every_call_of_the_recovery),
        cmocka_unit_test(torn_records_never_come_back),
        cmocka_unit_test(an_error_at_every_call),
    };
    return cmocka_run_group_tests(tests, make_models, free_models);
}
