// SPDX-License-Identifier: Apache-2.0
//
// Epoch files: what a start makes of what it finds, and saves cut at every file call.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/disk_kit.h"

#define ACCEPTED DKIT_V2 "/acceptedEpoch"
#define CURRENT  DKIT_V2 "/currentEpoch"

static void expect_text(struct dkit *k, const char *path, const char *text)
{
    struct slice s = fake_env_peek(k->f, path);
    if (!text) {
        assert_true(slice_is_null(s));
        return;
    }
    assert_int_equal(s.n, strlen(text));
    assert_memory_equal(s.p, text, s.n);
}

static void member_init(struct dkit *k, uint64_t seed)
{
    dkit_init(k, seed);
    k->cfg.member = true;
}

// A log whose last transaction is of this epoch.
static void append_of_epoch(struct dkit *k, int64_t epoch)
{
    k->appended = k->logged = (int64_t)((uint64_t)epoch << 32);
    struct buf b = {0};
    dkit_entry(&b, k->appended + 1);
    assert_true(disk_append(k->disk, buf_slice(&b), k->appended + 1));
    buf_fini(&b);
    disk_flush(k->disk);
    struct disk_event events[4];
    struct env_job *job = fake_env_run(k->f, ENV_LANE_LOG);
    assert_int_equal(disk_on_job(k->disk, job, events), 1);
    k->appended = ++k->logged;
}

struct start {
    const char *accepted, *current; // text found; NULL: no file
    int64_t log;                    // epoch of the log's end
    int64_t accepted_then, current_then;
    const char *told;
};

static const struct start starts[] = {
    {NULL, NULL, 0, 0, 0, "missing"},
    {NULL, NULL, 7, 7, 7, "missing"},
    {"7", "7", 7, 7, 7, NULL},
    {"9", "7", 7, 9, 7, NULL},
    {"9", "8", 7, 9, 8, NULL},
    {"8\n", "8\r\n", 7, 8, 8, NULL},
    // behind the log
    {"7", "5", 7, 7, 7, "currentEpoch was 5, now 7"},
    {"5", "5", 7, 7, 7, "acceptedEpoch was 5, now 7"},
    {"3", "6", 5, 6, 6, "acceptedEpoch was 3, now 6"},
    // one is lost
    {NULL, "6", 5, 7, 6, "acceptedEpoch was missing, now 7"},
    {"9", NULL, 5, 9, 5, "currentEpoch was missing, now 5"},
    {"3", NULL, 5, 5, 5, "currentEpoch was missing, now 5"},
    // no numbers
    {"", "6", 5, 7, 6, "acceptedEpoch was unreadable, now 7"},
    {"6", "", 5, 6, 5, "currentEpoch was unreadable, now 5"},
    {"x", "y", 5, 6, 5, "acceptedEpoch was unreadable, now 6"},
    {"-1", "5", 5, 6, 5, "unreadable"},
    {"7seven", "5", 5, 6, 5, "unreadable"},
    {"99999999999999999999999999999999999999999", "5", 5, 6, 5, "unreadable"},
    {"2147483648", "5", 5, 6, 5, "unreadable"},
    {"2147483647", "5", 5, 2147483647, 5, NULL},
    {"\n5", "5", 5, 6, 5, "unreadable"},
};

static void plant_text(struct dkit *k, const char *path, const char *text)
{
    if (text) {
        fake_env_plant(k->f, path, slice_str(text));
    } else if (!slice_is_null(fake_env_peek(k->f, path))) {
        assert_int_equal(crashdisk_unlink(k->f->disk, path), ERR_OK);
        assert_int_equal(crashdisk_sync_dir(k->f->disk, DKIT_V2), ERR_OK);
    }
}

static void expect_epochs(struct dkit *k, int64_t accepted, int64_t current)
{
    struct disk_epochs e;
    char text[32];
    disk_get_epochs(k->disk, &e);
    assert_int_equal(e.accepted, accepted);
    assert_int_equal(e.current, current);
    snprintf(text, sizeof(text), "%lld", (long long)accepted);
    struct slice s = fake_env_peek(k->f, ACCEPTED);
    assert_int_equal(strtoll((const char *)s.p, NULL, 10), accepted);
    s = fake_env_peek(k->f, CURRENT);
    assert_int_equal(strtoll((const char *)s.p, NULL, 10), current);
}

static void what_a_start_finds_is_mended(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        const struct start *s = &starts[i];
        struct dkit k;
        member_init(&k, 1);
        assert_int_equal(dkit_open(&k), ERR_OK);
        if (s->log) {
            append_of_epoch(&k, s->log);
        }
        dkit_close(&k);
        plant_text(&k, ACCEPTED, s->accepted);
        plant_text(&k, CURRENT, s->current);
        fake_env_reboot(k.f, true);
        buf_clear(&k.f->log);
        assert_int_equal(dkit_open(&k), ERR_OK);
        expect_epochs(&k, s->accepted_then, s->current_then);
        if (s->told && !fake_env_logged(k.f, s->told)) {
            fail_msg("%d: no \"%s\" in %.*s", (int)i, s->told, (int)k.f->log.n, k.f->log.p);
        }
        assert_true(s->told || !fake_env_logged(k.f, "Epoch"));
        dkit_close(&k);
        fake_env_reboot(k.f, true); // and it stays so
        assert_int_equal(dkit_open(&k), ERR_OK);
        expect_epochs(&k, s->accepted_then, s->current_then);
        dkit_fini(&k);
    }
}

static void a_standalone_server_leaves_them_alone(void **state)
{
    (void)state;
    struct dkit k;
    dkit_init(&k, 1);
    assert_int_equal(dkit_open(&k), ERR_OK);
    dkit_append_n(&k, 5);
    dkit_close(&k);
    expect_text(&k, ACCEPTED, NULL);
    expect_text(&k, CURRENT, NULL);
    fake_env_plant(k.f, ACCEPTED, slice_str("nonsense"));
    fake_env_plant(k.f, CURRENT, slice_str("1"));
    fake_env_reboot(k.f, true);
    assert_int_equal(dkit_open(&k), ERR_OK);
    assert_int_equal(tree_zxid(k.tree), 5);
    size_t n;
    assert_null(disk_tail(k.disk, &n));
    assert_int_equal(n, 0);
    dkit_close(&k);
    expect_text(&k, ACCEPTED, "nonsense");
    expect_text(&k, CURRENT, "1");
    dkit_fini(&k);
}

static void save(struct dkit *k, enum disk_epoch which, int64_t epoch)
{
    k->saved = -1;
    disk_save_epoch(k->disk, which, epoch);
    dkit_settle(k);
}

static void a_saved_epoch_is_a_decimal_number_without_more(void **state)
{
    (void)state;
    struct dkit k;
    member_init(&k, 1);
    assert_int_equal(dkit_open(&k), ERR_OK);
    expect_text(&k, ACCEPTED, "0");
    save(&k, DISK_EPOCH_ACCEPTED, 12);
    assert_int_equal(k.saved, 12);
    save(&k, DISK_EPOCH_CURRENT, 12);
    expect_text(&k, ACCEPTED, "12");
    expect_text(&k, CURRENT, "12");
    struct disk_epochs e;
    disk_get_epochs(k.disk, &e);
    assert_int_equal(e.accepted, 12);
    assert_int_equal(e.current, 12);
    dkit_fini(&k);
}

// A crash at every file call: the old number or the new one, and the new one once it was told.
static void a_crash_at_every_call(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        bool over = false;
        for (uint64_t call = 1; !over; call++) {
            struct dkit k;
            member_init(&k, seed);
            assert_int_equal(dkit_open(&k), ERR_OK);
            save(&k, DISK_EPOCH_ACCEPTED, 4);
            crashdisk_crash_after(k.f->disk, call);
            save(&k, DISK_EPOCH_ACCEPTED, 1234567);
            over = !crashdisk_is_down(k.f->disk);
            bool told = k.saved == 1234567;
            assert_int_equal(k.broken, over ? 0 : 1);
            dkit_close(&k);
            fake_env_reboot(k.f, seed > 1);
            assert_int_equal(dkit_open(&k), ERR_OK);
            struct disk_epochs e;
            disk_get_epochs(k.disk, &e);
            assert_true(e.accepted == 1234567 || (!told && e.accepted == 4));
            assert_true(slice_is_null(fake_env_peek(k.f, DKIT_V2 "/tmp.acceptedEpoch")));
            dkit_fini(&k);
        }
    }
}

// The same for the start that mends: it begins again, and comes to the same.
static void a_crash_while_it_mends(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        bool over = false;
        for (uint64_t call = 1; !over; call++) {
            struct dkit k;
            member_init(&k, seed);
            k.cfg.member = false;
            assert_int_equal(dkit_open(&k), ERR_OK);
            append_of_epoch(&k, 3);
            dkit_close(&k);
            fake_env_reboot(k.f, true);
            k.cfg.member = true;
            crashdisk_crash_after(k.f->disk, call);
            over = dkit_open(&k) == ERR_OK;
            over = over && !crashdisk_is_down(k.f->disk);
            dkit_close(&k);
            fake_env_reboot(k.f, true);
            assert_int_equal(dkit_open(&k), ERR_OK);
            expect_epochs(&k, 3, 3);
            dkit_fini(&k);
        }
    }
}

static void without_space_the_old_number_stands(void **state)
{
    (void)state;
    for (uint64_t call = 1; call <= 4; call++) { // open, write, sync, rename
        struct dkit k;
        member_init(&k, 1);
        assert_int_equal(dkit_open(&k), ERR_OK);
        save(&k, DISK_EPOCH_CURRENT, 4);
        fake_env_fail(k.f, call, ERR_NOSPACE);
        save(&k, DISK_EPOCH_CURRENT, 5);
        assert_int_equal(k.sync_failed, 1);
        assert_int_equal(k.broken, 0);
        assert_int_equal(k.saved, -1);
        expect_text(&k, CURRENT, "4");
        struct disk_epochs e;
        disk_get_epochs(k.disk, &e);
        assert_int_equal(e.current, 4);
        save(&k, DISK_EPOCH_CURRENT, 5);
        expect_text(&k, CURRENT, "5");
        dkit_fini(&k);
    }
}

static void any_other_failure_stops_the_server(void **state)
{
    (void)state;
    for (uint64_t call = 1; call <= 5; call++) {
        struct dkit k;
        member_init(&k, 1);
        assert_int_equal(dkit_open(&k), ERR_OK);
        fake_env_fail(k.f, call, call == 5 ? ERR_NOSPACE : ERR_IO); // 5: the directory's sync
        save(&k, DISK_EPOCH_CURRENT, 5);
        assert_int_equal(k.broken, 1);
        assert_int_equal(k.sync_failed, 0);
        dkit_fini(&k);
    }
}

static void a_full_disk_does_not_stop_a_start(void **state)
{
    (void)state;
    struct dkit k;
    member_init(&k, 1);
    assert_int_equal(dkit_open(&k), ERR_OK);
    dkit_close(&k);
    plant_text(&k, CURRENT, "x");
    fake_env_reboot(k.f, true);
    crashdisk_set_capacity(k.f->disk, crashdisk_used(k.f->disk));
    assert_int_equal(dkit_open(&k), ERR_OK);
    struct disk_epochs e;
    disk_get_epochs(k.disk, &e);
    assert_int_equal(e.current, 0);
    expect_text(&k, CURRENT, "x");
    dkit_fini(&k);
}

// ---- the tail
// ------------------------------------------------------------------------------------

static void the_tail_is_what_was_replayed_last(void **state)
{
    (void)state;
    struct dkit k;
    member_init(&k, 1);
    assert_int_equal(dkit_open(&k), ERR_OK);
    size_t n;
    disk_tail(k.disk, &n);
    assert_int_equal(n, 0);
    for (int i = 0; i < 1203; i++) {
        assert_true(dkit_append(&k));
    }
    dkit_settle(&k);
    dkit_close(&k);
    fake_env_reboot(k.f, true);
    assert_int_equal(dkit_open(&k), ERR_OK);
    const struct disk_entry *v = disk_tail(k.disk, &n);
    assert_int_equal(n, 500);
    for (size_t i = 0; i < n; i++) {
        struct buf b = {0};
        assert_int_equal(v[i].zxid, 704 + (int64_t)i);
        dkit_entry(&b, v[i].zxid);
        assert_int_equal(v[i].txn->n, b.n);
        assert_memory_equal(v[i].txn->bytes, b.p, b.n);
        buf_fini(&b);
    }
    disk_forget_tail(k.disk);
    disk_tail(k.disk, &n);
    assert_int_equal(n, 0);
    dkit_fini(&k);
}

static void no_snapshot_is_begun_while_it_is_not_allowed(void **state)
{
    (void)state;
    struct dkit k;
    member_init(&k, 1);
    assert_int_equal(dkit_open(&k), ERR_OK);
    dkit_append_n(&k, 3);
    disk_allow_snapshots(k.disk, false);
    disk_snapshot_soon(k.disk);
    dkit_settle(&k);
    assert_int_equal(k.snapped, 0);
    assert_false(disk_snapshot_running(k.disk));
    disk_allow_snapshots(k.disk, true);
    dkit_settle(&k);
    assert_int_equal(k.snapped, 1);
    dkit_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_start_finds_is_mended),
        cmocka_unit_test(a_standalone_server_leaves_them_alone),
        cmocka_unit_test(a_saved_epoch_is_a_decimal_number_without_more),
        cmocka_unit_test(a_crash_at_every_call),
        cmocka_unit_test(a_crash_while_it_mends),
        cmocka_unit_test(without_space_the_old_number_stands),
        cmocka_unit_test(any_other_failure_stops_the_server),
        cmocka_unit_test(a_full_disk_does_not_stop_a_start),
        cmocka_unit_test(the_tail_is_what_was_replayed_last),
        cmocka_unit_test(no_snapshot_is_begun_while_it_is_not_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
