// SPDX-License-Identifier: Apache-2.0
//
// The log writer: what is in the file after each step, who fills the zeros, what a full disk and a
// failing one do.
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
    assert_int_equal(dkit_open(k), ERR_OK);
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    dkit_fini(*state);
    free(*state);
    return 0;
}

// zxids of the records of a log file; checks that only zeros follow. Returns their number.
static int records(struct dkit *k, const char *name, int64_t *first)
{
    char path[128];
    snprintf(path, sizeof(path), DKIT_V2 "/%s", name);
    struct slice s = fake_env_peek(k->f, path), entry;
    assert_false(slice_is_null(s));
    assert_int_equal(logfile_check_header(s), ERR_OK);
    s = slice_skip(s, LOGFILE_HEADER_LEN);
    size_t used;
    int n = 0;
    for (; logfile_next(s, 1 << 20, &entry, &used) == LOGFILE_RECORD; n++) {
        if (n == 0) {
            *first = (int64_t)be64_get(entry.p + 12);
        }
        assert_int_equal(be64_get(entry.p + 12), *first + n);
        s = slice_skip(s, used);
    }
    for (size_t i = 0; i < s.n; i++) {
        assert_int_equal(s.p[i], 0);
    }
    return n;
}

static void expect_records(struct dkit *k, const char *name, int64_t first, int n)
{
    int64_t got_first = 0;
    assert_int_equal(records(k, name, &got_first), n);
    assert_int_equal(got_first, first);
}

static size_t size_of(struct dkit *k, const char *path)
{
    return fake_env_peek(k->f, path).n;
}

static void a_start_writes_no_log(void **state)
{
    struct dkit *k = *state;
    assert_true(slice_is_null(fake_env_peek(k->f, DKIT_V2 "/tmp.log")));
    assert_true(slice_is_null(fake_env_peek(k->f, DKIT_V2 "/log.1")));
    assert_true(disk_idle(k->disk));
}

static void the_first_batch_makes_the_file(void **state)
{
    struct dkit *k = *state;
    dkit_append(k);
    assert_true(slice_is_null(fake_env_peek(k->f, DKIT_V2 "/log.1")));
    assert_true(disk_backlog(k->disk) > 0);
    dkit_settle(k);
    assert_int_equal(k->logged, 1);
    assert_int_equal(disk_backlog(k->disk), 0);
    assert_true(disk_idle(k->disk));
    expect_records(k, "log.1", 1, 1);
    assert_true(slice_is_null(fake_env_peek(k->f, DKIT_V2 "/tmp.log")));
}

static void what_comes_while_a_batch_syncs_is_the_next_batch(void **state)
{
    struct dkit *k = *state;
    dkit_append(k);
    disk_flush(k->disk);
    dkit_append(k);
    dkit_append(k);
    disk_flush(k->disk);
    assert_true(dkit_job(k, ENV_LANE_LOG));
    assert_int_equal(k->logged, 1);
    assert_true(dkit_job(k, ENV_LANE_LOG)); // begun by the end of the first
    assert_int_equal(k->logged, 3);
    expect_records(k, "log.1", 1, 3);
}

// After the first batch, an append must neither change the size nor touch anything but its bytes.
static void appends_go_into_zeros(void **state)
{
    struct dkit *k = *state;
    dkit_append_n(k, 1);
    size_t size = size_of(k, DKIT_V2 "/log.1");
    assert_true(size >= 4096);
    assert_int_equal(size % 4096, 0);
    int grown = 0;
    for (int i = 0; i < 200; i++) {
        dkit_append(k);
        disk_flush(k->disk);
        uint64_t calls = k->f->calls;
        assert_true(dkit_job(k, ENV_LANE_LOG));
        assert_int_equal(k->f->calls - calls, 2); // one write, one sync
        assert_int_equal(size_of(k, DKIT_V2 "/log.1"), size);
        while (dkit_job(k, ENV_LANE_BACKGROUND)) {
        }
        assert_false(dkit_job(k, ENV_LANE_LOG));
        grown += size_of(k, DKIT_V2 "/log.1") > size;
        size = size_of(k, DKIT_V2 "/log.1");
    }
    assert_true(grown > 2);
    expect_records(k, "log.1", 1, 201);
}

// A batch that needs the zeros a filler is writing waits for it: both would write the same bytes.
static void a_batch_waits_for_the_filler(void **state)
{
    struct dkit *k = *state;
    dkit_append_n(k, 1);
    while (!k->f->jobs_n[ENV_LANE_BACKGROUND]) {
        dkit_append(k);
        disk_flush(k->disk);
        assert_true(dkit_job(k, ENV_LANE_LOG));
    }
    for (int i = 0; i < 60; i++) {
        dkit_append(k);
    }
    disk_flush(k->disk);
    assert_false(dkit_job(k, ENV_LANE_LOG));
    assert_true(dkit_job(k, ENV_LANE_BACKGROUND));
    assert_true(dkit_job(k, ENV_LANE_LOG));
    assert_int_equal(k->logged, k->appended);
    expect_records(k, "log.1", 1, (int)k->logged);
}

static void a_large_batch_fills_for_itself(void **state)
{
    struct dkit *k = *state;
    dkit_append_n(k, 1);
    for (int i = 0; i < 100; i++) {
        dkit_append(k);
    }
    disk_flush(k->disk);
    assert_true(dkit_job(k, ENV_LANE_LOG));
    assert_int_equal(k->logged, 101);
    expect_records(k, "log.1", 1, 101);
}

static void without_preallocation_the_file_is_its_records(void **state)
{
    struct dkit *k = *state;
    dkit_close(k);
    fake_env_reboot(k->f, false);
    k->cfg.prealloc_bytes = 0;
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_append_n(k, 5);
    struct buf b = {0};
    for (int i = 1; i <= 5; i++) {
        dkit_entry(&b, i);
    }
    assert_int_equal(size_of(k, DKIT_V2 "/log.1"), 16 + b.n + 5 * LOGFILE_RECORD_OVERHEAD);
    expect_records(k, "log.1", 1, 5);
    buf_fini(&b);
}

static void a_file_over_its_limit_is_followed_by_the_next(void **state)
{
    struct dkit *k = *state;
    dkit_close(k);
    fake_env_reboot(k->f, false);
    k->cfg.log_size_bytes = 5000;
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_append_n(k, 3);
    int64_t first = 0;
    int n = records(k, "log.1", &first);
    assert_in_range(n, 1, 2);
    size_t size = size_of(k, DKIT_V2 "/log.1");
    assert_true(size < 4096); // its zeros are gone
    char name[32];
    snprintf(name, sizeof(name), "log.%x", n + 1);
    int64_t second = 0;
    assert_true(records(k, name, &second) >= 1);
    assert_int_equal(second, n + 1);
}

static void sizes_are_kept(void **state)
{
    struct dkit *k = *state;
    dkit_append_n(k, 30);
    disk_snapshot_soon(k->disk);
    dkit_settle(k);
    dkit_append_n(k, 30);
    int64_t snaps, logs;
    disk_sizes(k->disk, &snaps, &logs);
    assert_int_equal(logs, size_of(k, DKIT_V2 "/log.1") + size_of(k, DKIT_V2 "/log.1f"));
    assert_int_equal(snaps, size_of(k, DKIT_V2 "/snapshot.0") + size_of(k, DKIT_V2 "/snapshot.1e"));
}

// ---- a full disk
// ---------------------------------------------------------------------------------

static void restart_and_expect(struct dkit *k, int64_t zxid)
{
    dkit_close(k);
    fake_env_reboot(k->f, true);
    crashdisk_set_capacity(k->f->disk, UINT64_MAX);
    assert_int_equal(dkit_open(k), ERR_OK);
    assert_int_equal(tree_zxid(k->tree), zxid);
}

static void a_full_disk_refuses_and_recovers(void **state)
{
    struct dkit *k = *state;
    dkit_append_n(k, 5);
    crashdisk_set_capacity(k->f->disk, crashdisk_used(k->f->disk));
    while (!k->full) {
        assert_true(dkit_append(k));
        disk_flush(k->disk);
        if (dkit_append(k)) { // gathered while the other is in flight: goes down with it
            disk_flush(k->disk);
        }
        while (dkit_job(k, ENV_LANE_LOG) | dkit_job(k, ENV_LANE_BACKGROUND)) {
        }
    }
    assert_int_equal(k->full, 1);
    int64_t durable = k->logged;
    assert_false(dkit_append(k));
    assert_true(disk_idle(k->disk));
    assert_int_equal(disk_backlog(k->disk), 0);
    expect_records(k, "log.1", 1, (int)durable);

    dkit_turn(k); // too early to look again
    assert_in_range(k->wait_ms, 1, 500);
    assert_true(disk_idle(k->disk));
    fake_env_pass_ms(k->f, 500);
    dkit_settle(k); // still full
    assert_int_equal(k->space, 0);
    assert_false(dkit_append(k));

    crashdisk_set_capacity(k->f->disk, UINT64_MAX);
    fake_env_pass_ms(k->f, 500);
    dkit_settle(k);
    assert_int_equal(k->space, 1);
    dkit_append_n(k, 40);
    assert_int_equal(k->logged, durable + 40);
    expect_records(k, "log.1", 1, (int)durable + 40);
    restart_and_expect(k, durable + 40);
}

static void a_full_disk_at_the_first_write(void **state)
{
    struct dkit *k = *state;
    crashdisk_set_capacity(k->f->disk, crashdisk_used(k->f->disk) + 100);
    dkit_append(k);
    dkit_settle(k);
    assert_int_equal(k->full, 1);
    assert_true(slice_is_null(fake_env_peek(k->f, DKIT_V2 "/log.1")));
    assert_true(slice_is_null(fake_env_peek(k->f, DKIT_V2 "/tmp.log")));
    crashdisk_set_capacity(k->f->disk, UINT64_MAX);
    fake_env_pass_ms(k->f, 500);
    dkit_settle(k);
    assert_int_equal(k->space, 1);
    assert_true(slice_is_null(fake_env_peek(k->f, DKIT_V2 "/tmp.log")));
    dkit_append_n(k, 2);
    expect_records(k, "log.1", 1, 2);
}

// The write itself may find no space on file systems that copy on write.
static void a_half_written_batch_is_taken_back(void **state)
{
    struct dkit *k = *state;
    dkit_append_n(k, 5);
    dkit_append(k);
    dkit_append(k);
    disk_flush(k->disk);
    k->f->next_write = ERR_NOSPACE;
    dkit_settle(k);
    assert_int_equal(k->full, 1);
    expect_records(k, "log.1", 1, 5);
    fake_env_pass_ms(k->f, 500);
    dkit_settle(k);
    assert_int_equal(k->space, 1);
    dkit_append_n(k, 3);
    restart_and_expect(k, 8);
}

static void a_sync_without_space_is_taken_back(void **state)
{
    struct dkit *k = *state;
    dkit_append_n(k, 5);
    dkit_append(k);
    disk_flush(k->disk);
    fake_env_fail(k->f, 2, ERR_NOSPACE);
    dkit_settle(k);
    assert_int_equal(k->full, 1);
    restart_and_expect(k, 5);
}

// ---- a failing disk
// ------------------------------------------------------------------------------

static void every_failing_call_of_a_batch_breaks_the_log(void **state)
{
    struct dkit *k = *state;
    dkit_append_n(k, 5);
    for (uint64_t call = 1; call <= 2; call++) { // write, sync
        int64_t durable = k->logged;
        dkit_append(k);
        disk_flush(k->disk);
        fake_env_fail(k->f, call, ERR_IO);
        dkit_settle(k);
        assert_int_equal(k->broken, (int)call);
        assert_int_equal(k->full, 0);
        dkit_append(k); // nobody answers it
        dkit_settle(k);
        assert_int_equal(k->logged, durable);
        dkit_close(k);
        fake_env_reboot(k->f, true);
        assert_int_equal(dkit_open(k), ERR_OK);
        assert_in_range(tree_zxid(k->tree), durable, durable + 1);
    }
}

static void a_failing_call_while_a_file_is_made(void **state)
{
    struct dkit *k = *state;
    for (uint64_t call = 1; call <= 7; call++) {
        dkit_append(k);
        disk_flush(k->disk);
        fake_env_fail(k->f, call, ERR_IO);
        dkit_settle(k);
        if (call <= 6) { // open, write, zeros, sync, rename, sync of the directory
            assert_int_equal(k->broken, (int)call);
            assert_int_equal(k->logged, 0);
        }
        int64_t zxid = call < 6 ? 0 : 1;
        dkit_close(k);
        fake_env_reboot(k->f, false);
        assert_int_equal(dkit_open(k), ERR_OK);
        assert_int_equal(tree_zxid(k->tree), zxid);
        if (zxid) {
            break;
        }
    }
}

static void a_failing_filler_is_no_harm(void **state)
{
    struct dkit *k = *state;
    dkit_append_n(k, 1);
    int fillers = 0;
    for (int i = 0; i < 100; i++) {
        dkit_append(k);
        disk_flush(k->disk);
        while (dkit_job(k, ENV_LANE_LOG)) {
        }
        if (k->f->jobs_n[ENV_LANE_BACKGROUND]) {
            fillers++;
            fake_env_fail(k->f, 1 + (uint64_t)fillers % 3, fillers % 2 ? ERR_IO : ERR_NOSPACE);
            assert_true(dkit_job(k, ENV_LANE_BACKGROUND));
        }
        fake_env_pass_ms(k->f, 200);
    }
    assert_true(fillers > 2);
    assert_int_equal(k->broken + k->full, 0);
    assert_int_equal(k->logged, 101);
    expect_records(k, "log.1", 1, 101);
}

// Appends until a filler waits on its lane.
static void append_until_filler(struct dkit *k)
{
    while (!k->f->jobs_n[ENV_LANE_BACKGROUND]) {
        dkit_append(k);
        disk_flush(k->disk);
        assert_true(dkit_job(k, ENV_LANE_LOG));
    }
}

// The system says only once per descriptor that it lost written bytes, and they may be the batch's,
// written while the filler syncs: the batch's sync must hear of it whoever else did.
static void what_the_fillers_sync_hears_the_batchs_does_too(void **state)
{
    struct dkit *k = *state;
    append_until_filler(k);
    int64_t logged = k->logged;
    dkit_append(k);
    disk_flush(k->disk);
    k->f->lose_next_sync = true;
    assert_true(dkit_job(k, ENV_LANE_BACKGROUND));
    assert_false(k->f->lose_next_sync);
    assert_true(dkit_job(k, ENV_LANE_LOG));
    assert_int_equal(k->broken, 1);
    assert_int_equal(k->logged, logged);
}

// Or the batches would pay for the zeros after all.
static void what_the_filler_wrote_is_durable(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct dkit k;
        dkit_init(&k, seed);
        assert_int_equal(dkit_open(&k), ERR_OK);
        append_until_filler(&k);
        size_t before = size_of(&k, DKIT_V2 "/log.1");
        assert_true(dkit_job(&k, ENV_LANE_BACKGROUND));
        size_t size = size_of(&k, DKIT_V2 "/log.1");
        assert_true(size > before);
        assert_true(disk_idle(k.disk));
        dkit_close(&k);
        fake_env_reboot(k.f, true);
        assert_int_equal(size_of(&k, DKIT_V2 "/log.1"), size);
        dkit_fini(&k);
    }
}

static void slow_syncs_are_counted_and_named(void **state)
{
    struct dkit *k = *state;
    dkit_close(k);
    fake_env_reboot(k->f, false);
    k->cfg.fsync_warn_ms = 1000;
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_append_n(k, 2);
    dkit_append(k);
    disk_flush(k->disk);
    fake_env_pass_ms(k->f, 1500);
    dkit_settle(k);
    struct disk_stats s;
    disk_get_stats(k->disk, &s);
    assert_int_equal(s.fsync_ns.n, 3);
    assert_int_equal(s.batch_txns.n, 3);
    assert_int_equal(s.batch_txns.sum, 3);
    assert_int_equal(s.fsync_slow, 1);
    assert_int_equal(s.fsync_ns.max, 1500 * 1000000ll);
    assert_true(fake_env_logged(k->f, "took 1500 ms"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_start_writes_no_log),
        T(the_first_batch_makes_the_file),
        T(what_comes_while_a_batch_syncs_is_the_next_batch),
        T(appends_go_into_zeros),
        T(a_batch_waits_for_the_filler),
        T(a_large_batch_fills_for_itself),
        T(without_preallocation_the_file_is_its_records),
        T(a_file_over_its_limit_is_followed_by_the_next),
        T(sizes_are_kept),
        T(a_full_disk_refuses_and_recovers),
        T(a_full_disk_at_the_first_write),
        T(a_half_written_batch_is_taken_back),
        T(a_sync_without_space_is_taken_back),
        T(every_failing_call_of_a_batch_breaks_the_log),
        T(a_failing_call_while_a_file_is_made),
        T(a_failing_filler_is_no_harm),
        T(what_the_fillers_sync_hears_the_batchs_does_too),
        T(what_the_filler_wrote_is_durable),
        T(slow_syncs_are_counted_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
