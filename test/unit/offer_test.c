// SPDX-License-Identifier: Apache-2.0
//
// What a server could give to a learner: offer.c on files made by hand, then through disk/sync.h
// with snapshots that are taken, refused or fail.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "disk/logfile.h"
#include "disk/offer.h"
#include "disk/sync.h"
#include "test/support/disk_kit.h"
#include "test/support/log_kit.h"

#define DIR "/data/version-2"

struct kit {
    struct fake_env *f;
    struct offer o;
};

static int setup(void **state)
{
    struct kit *k = calloc(1, sizeof(*k));
    k->f = fake_env_new(13);
    offer_init(&k->o, &k->f->env, DIR, DIR, INT64_MAX);
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    struct kit *k = *state;
    offer_fini(&k->o);
    fake_env_free(&k->f);
    free(k);
    return 0;
}

static void fmt_runs(struct buf *b, const struct disk_run *runs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_fmt(b, "%s%d.%d-%d.%d ", runs[i].joined ? "+" : "", (int)(runs[i].first >> 32),
                (int)(runs[i].first & UINT32_MAX), (int)(runs[i].last >> 32),
                (int)(runs[i].last & UINT32_MAX));
    }
    buf_put_u8(b, 0);
}

static void snapshot_at(struct kit *k, int64_t zxid)
{
    char name[DISK_NAME_MAX], path[128];
    disk_name_snapshot(name, zxid, DISK_PLAIN);
    snprintf(path, sizeof(path), "%s/%s", DIR, name);
    fake_env_plant(k->f, path, SLICE_LIT("0123456789"));
}

static void make(struct kit *k, int64_t after, int64_t until, int64_t durable, int64_t good)
{
    k->o.after = after;
    k->o.until = until;
    if (k->o.bound.file == 0) {
        k->o.bound.file = -1;
    }
    k->o.bound.durable = durable;
    k->o.good[0] = good;
    k->o.good_n = 1;
    do {
        offer_make(&k->o);
    } while (k->o.again);
}

// With the snapshots that are there, none of them good.
static void expect_runs(struct kit *k, int64_t after, int64_t until, const char *want)
{
    struct buf b = {0};
    make(k, after, until, INT64_MAX, -1);
    fmt_runs(&b, k->o.runs, k->o.runs_n);
    assert_string_equal((const char *)b.p, want);
    assert_int_equal(k->o.snapshot_zxid, -1);
    buf_fini(&b);
}

static void expect_snapshot(struct kit *k, int64_t durable, int64_t good, int64_t want)
{
    make(k, 0, INT64_MAX, durable, good);
    assert_int_equal(k->o.snapshot_zxid, want);
    assert_int_equal(k->o.snapshot_bytes, 10);
}

static void runs_end_at_holes(void **state)
{
    struct kit *k = *state;
    expect_runs(k, 0, INT64_MAX, "");
    LOG_KIT_PLANT(k->f, DIR "/log.1", 1, 5);
    LOG_KIT_PLANT(k->f, DIR "/log.6", 6, 9);
    LOG_KIT_PLANT(k->f, DIR "/log.c", 12, 14, 16, 18);
    expect_runs(k, 0, INT64_MAX, "0.1-0.9 0.12-0.14 0.16-0.18 ");
    expect_runs(k, 7, 17, "0.6-0.9 0.12-0.14 0.16-0.17 ");
    expect_runs(k, 30, 11, "");
    // What is in memory already is not read again.
    uint64_t calls = k->f->calls;
    expect_runs(k, 0, 4, "0.1-0.4 ");
    assert_int_equal(k->f->calls - calls, 2); // two listings
}

static void bytes_are_those_of_the_records(void **state)
{
    struct kit *k = *state;
    LOG_KIT_PLANT(k->f, DIR "/log.1", 1, 5);
    LOG_KIT_PLANT(k->f, DIR "/log.6", 6, 9);
    make(k, 0, INT64_MAX, INT64_MAX, -1);
    uint64_t bytes = fake_env_peek(k->f, DIR "/log.1").n + fake_env_peek(k->f, DIR "/log.6").n;
    assert_int_equal(k->o.runs_n, 1);
    assert_int_equal(k->o.runs[0].bytes, bytes - 2 * (uint64_t)LOGFILE_HEADER_LEN);
}

static void epochs_are_joined_on_evidence_only(void **state)
{
    struct kit *k = *state;
    LOG_KIT_PLANT(k->f, DIR "/log.100000001", ZX(1, 1), ZX(1, 5), ZX(2, 1), ZX(2, 2));
    LOG_KIT_PLANT(k->f, DIR "/log.300000001", ZX(3, 1), ZX(3, 2), ZX(5, 2), ZX(5, 3));
    // Nobody knows what a purge took.
    expect_runs(k, 0, INT64_MAX, "1.1-1.5 2.1-2.2 3.1-3.2 5.2-5.3 ");
    snapshot_at(k, ZX(1, 5));
    expect_runs(k, 0, INT64_MAX, "1.1-1.5 +2.1-2.2 +3.1-3.2 5.2-5.3 ");
    // A snapshot that was sent stands in a hole.
    snapshot_at(k, ZX(1, 6));
    expect_runs(k, 0, INT64_MAX, "1.1-1.5 2.1-2.2 +3.1-3.2 5.2-5.3 ");
    snapshot_at(k, ZX(3, 0));
    expect_runs(k, 0, INT64_MAX, "1.1-1.5 2.1-2.2 3.1-3.2 5.2-5.3 ");
    // But what this process appended itself, it knows.
    k->o.own_from = ZX(2, 2);
    expect_runs(k, 0, INT64_MAX, "1.1-1.5 2.1-2.2 +3.1-3.2 5.2-5.3 ");
}

static void nothing_is_joined_across_damage(void **state)
{
    struct kit *k = *state;
    struct buf b = {0};
    k->o.own_from = 0;
    log_kit_header(&b);
    log_kit_records(&b, 1, 5);
    size_t five = b.n;
    log_kit_records(&b, 6, 7);
    b.p[five + LOGFILE_RECORD_HEAD + 40] ^= 1;
    fake_env_plant(k->f, DIR "/log.1", buf_slice(&b));
    LOG_KIT_PLANT(k->f, DIR "/log.100000001", ZX(1, 1), ZX(1, 2));
    expect_runs(k, 0, INT64_MAX, "0.1-0.5 1.1-1.2 ");
    offer_forget(&k->o);
    fake_env_plant(k->f, DIR "/log.1", slice_of(b.p, five - 1));
    expect_runs(k, 0, INT64_MAX, "0.1-0.4 1.1-1.2 ");
    offer_forget(&k->o);
    fake_env_plant(k->f, DIR "/log.1", slice_of(b.p, five));
    expect_runs(k, 0, INT64_MAX, "0.1-0.5 +1.1-1.2 ");
    // A file that is no log.
    fake_env_plant(k->f, DIR "/log.6", SLICE_LIT("something else altogether"));
    expect_runs(k, 0, INT64_MAX, "0.1-0.5 1.1-1.2 ");
    buf_fini(&b);
}

static void a_step_back_takes_what_was_before(void **state)
{
    struct kit *k = *state;
    LOG_KIT_PLANT(k->f, DIR "/log.1", 1, 9, 6, 8, 9, 12);
    expect_runs(k, 0, INT64_MAX, "0.10-0.12 ");
    LOG_KIT_PLANT(k->f, DIR "/log.b", 11, 14);
    expect_runs(k, 0, INT64_MAX, "0.13-0.14 ");
    LOG_KIT_PLANT(k->f, DIR "/log.c", 2, 3);
    expect_runs(k, 0, INT64_MAX, "");
}

static void a_file_that_grows_is_read_on(void **state)
{
    struct kit *k = *state;
    struct buf b = {0};
    log_kit_header(&b);
    log_kit_records(&b, 1, 5);
    k->o.bound = (struct log_bound){.file = 1, .pos = b.n};
    size_t pos = b.n;
    memset(buf_reserve(&b, 100), 0x55, 100); // half a batch
    fake_env_plant(k->f, DIR "/log.1", buf_slice(&b));
    make(k, 0, INT64_MAX, 5, -1);
    assert_int_equal(k->o.runs_n, 1);
    assert_int_equal(k->o.runs[0].last, 5);
    b.n = pos;
    log_kit_records(&b, 6, 9);
    k->o.bound.pos = b.n;
    fake_env_plant(k->f, DIR "/log.1", buf_slice(&b));
    make(k, 0, INT64_MAX, 9, -1);
    assert_int_equal(k->o.runs_n, 1);
    assert_int_equal(k->o.runs[0].last, 9);
    // Its last bytes came before the next file was begun; that one's are not durable yet.
    log_kit_records(&b, 10, 11);
    fake_env_plant(k->f, DIR "/log.1", buf_slice(&b));
    LOG_KIT_PLANT(k->f, DIR "/log.c", 12, 14);
    k->o.bound = (struct log_bound){.file = -1};
    make(k, 0, INT64_MAX, 11, -1);
    assert_int_equal(k->o.runs_n, 1);
    assert_int_equal(k->o.runs[0].first, 1);
    assert_int_equal(k->o.runs[0].last, 11);
    buf_fini(&b);
}

static void a_snapshot_counts_if_the_log_follows(void **state)
{
    struct kit *k = *state;
    snapshot_at(k, 4);
    expect_snapshot(k, 4, 4, 4); // nothing to follow
    expect_snapshot(k, 3, 4, 4);
    expect_snapshot(k, 9, 4, -1);
    LOG_KIT_PLANT(k->f, DIR "/log.5", 5, 9);
    expect_snapshot(k, 9, 4, 4);
    LOG_KIT_PLANT(k->f, DIR "/log.3", 3, 4);
    expect_snapshot(k, 9, 4, 4);
    expect_snapshot(k, 10, 4, -1); // the log ends before what it should hold
    LOG_KIT_PLANT(k->f, DIR "/log.b", 11, 12);
    expect_snapshot(k, 12, 4, -1);
    snapshot_at(k, 10);
    expect_snapshot(k, 12, 10, 10);
    expect_snapshot(k, 12, 4, -1); // what nobody has read whole does not count
    snapshot_at(k, 11);
    expect_snapshot(k, 12, 11, 11);
    // (1,0) is before all of its epoch.
    LOG_KIT_PLANT(k->f, DIR "/log.100000001", ZX(1, 1), ZX(1, 2));
    expect_snapshot(k, ZX(1, 2), 11, 11); // joined: snapshots at 4 to 11 and none between
    snapshot_at(k, ZX(1, 0));
    expect_snapshot(k, ZX(1, 2), 11, -1);
    expect_snapshot(k, ZX(1, 2), ZX(1, 0), ZX(1, 0));
    // A snapshot at the very end of an epoch, and no log before it.
    assert_int_equal(k->f->ops.unlink(&k->f->env, DIR "/log.b"), ERR_OK);
    expect_snapshot(k, ZX(1, 2), ZX(1, 0), ZX(1, 0));
    assert_int_equal(k->f->ops.unlink(&k->f->env, DIR "/log.5"), ERR_OK);
    assert_int_equal(k->f->ops.unlink(&k->f->env, DIR "/log.3"), ERR_OK);
    expect_snapshot(k, ZX(1, 2), ZX(1, 0), ZX(1, 0));
    assert_int_equal(k->f->ops.unlink(&k->f->env, DIR "/snapshot.100000000"), ERR_OK);
    expect_snapshot(k, ZX(1, 2), 11, 11);
}

static void a_failing_disk_has_nothing_to_offer(void **state)
{
    struct kit *k = *state;
    LOG_KIT_PLANT(k->f, DIR "/log.1", 1, 5);
    LOG_KIT_PLANT(k->f, DIR "/log.6", 6, 9);
    for (uint64_t call = 1;; call++) {
        assert_true(call < 50);
        offer_forget(&k->o);
        fake_env_fail(k->f, call, ERR_IO);
        uint64_t end = k->f->fail_at;
        make(k, 0, INT64_MAX, INT64_MAX, -1);
        if (k->f->calls < end) {
            break;
        }
        assert_int_equal(k->o.runs_n, 0);
    }
    assert_int_equal(k->o.runs_n, 1);
}

// ---- of a running disk
// --------------------------------------------------------------------------

struct asker {
    struct dkit k;
    struct buf text; // answers as "tag: runs snapshot;"
};

static void on_answer(void *ctx, const struct disk_event *ev)
{
    struct asker *a = ctx;
    assert_int_equal(ev->type, DISK_OFFER);
    const struct disk_answer *an = ev->answer;
    buf_fmt(&a->text, "%d: ", (int)an->tag);
    fmt_runs(&a->text, an->runs, an->runs_n);
    a->text.n--;
    buf_fmt(&a->text, "s%d; ", (int)an->snapshot_zxid);
}

static void start(struct asker *a)
{
    *a = (struct asker){0};
    dkit_init(&a->k, 5);
    a->k.on_answer = on_answer;
    a->k.answer_ctx = a;
    assert_int_equal(dkit_open(&a->k), ERR_OK);
}

static void expect_answers(struct asker *a, const char *want)
{
    buf_put_u8(&a->text, 0);
    assert_string_equal((const char *)a->text.p, want);
    buf_clear(&a->text);
}

static void stop(struct asker *a)
{
    dkit_fini(&a->k);
    buf_fini(&a->text);
}

static void several_learners_ask(void **state)
{
    (void)state;
    struct asker a;
    start(&a);
    dkit_append_n(&a.k, 5);
    disk_offer(a.k.disk, 1, 0, INT64_MAX);
    disk_offer(a.k.disk, 2, 3, 4);
    dkit_settle(&a.k);
    expect_answers(&a, "1: 0.1-0.5 s0; 2: 0.1-0.4 s0; ");
    dkit_append_n(&a.k, 5);
    disk_offer(a.k.disk, 3, 0, INT64_MAX);
    assert_true(dkit_append(&a.k)); // not durable yet
    dkit_settle(&a.k);
    disk_offer(a.k.disk, 4, 7, INT64_MAX);
    dkit_settle(&a.k);
    assert_int_equal(a.k.snapped, 0); // snapshot.0 will do
    expect_answers(&a, "3: 0.1-0.10 s0; 4: 0.1-0.11 s0; ");
    // Asked, not answered, and the disk goes.
    disk_offer(a.k.disk, 5, 7, INT64_MAX);
    stop(&a);
}

// Cuts transaction 3 out of the log: what is on disk does not follow snapshot.0 any more.
static void make_hole(struct asker *a)
{
    dkit_append_n(&a->k, 5);
    dkit_close(&a->k);
    fake_env_reboot(a->k.f, false);
    LOG_KIT_PLANT(a->k.f, DKIT_V2 "/log.1", 1, 2, 4, 5);
    assert_int_equal(dkit_open(&a->k), ERR_OK);
}

static void without_a_snapshot_one_is_taken(void **state)
{
    (void)state;
    struct asker a;
    start(&a);
    make_hole(&a);
    dkit_append_n(&a.k, 2);
    disk_offer(a.k.disk, 1, 0, INT64_MAX);
    disk_offer(a.k.disk, 2, 4, INT64_MAX);
    dkit_settle(&a.k);
    assert_int_equal(a.k.snapped, 1);
    expect_answers(&a, "1: 0.1-0.2 0.4-0.7 s7; 2: 0.1-0.2 0.4-0.7 s7; ");
    stop(&a);
}

static void or_it_fails(void **state)
{
    (void)state;
    struct asker a;
    start(&a);
    make_hole(&a);
    crashdisk_set_capacity(a.k.f->disk, crashdisk_used(a.k.f->disk) + 10);
    disk_offer(a.k.disk, 1, 0, INT64_MAX);
    dkit_settle(&a.k);
    assert_int_equal(a.k.snapped, 0);
    expect_answers(&a, "1: 0.1-0.2 0.4-0.5 s-1; ");
    // Until the next attempt nobody waits for it.
    disk_offer(a.k.disk, 2, 0, INT64_MAX);
    dkit_settle(&a.k);
    expect_answers(&a, "2: 0.1-0.2 0.4-0.5 s-1; ");
    stop(&a);
}

// Not one is begun of what may yet be cut, and none is waited for.
static void or_it_is_not_allowed(void **state)
{
    (void)state;
    struct asker a;
    start(&a);
    make_hole(&a);
    disk_allow_snapshots(a.k.disk, false);
    disk_offer(a.k.disk, 1, 0, INT64_MAX);
    dkit_settle(&a.k);
    assert_int_equal(a.k.snapped, 0);
    expect_answers(&a, "1: 0.1-0.2 0.4-0.5 s-1; ");
    disk_allow_snapshots(a.k.disk, true);
    disk_offer(a.k.disk, 2, 0, INT64_MAX);
    dkit_settle(&a.k);
    assert_int_equal(a.k.snapped, 1);
    expect_answers(&a, "2: 0.1-0.2 0.4-0.5 s5; ");
    stop(&a);
}

// What was read of the log before it was cut is not offered any more.
static void after_a_truncation(void **state)
{
    (void)state;
    struct asker a;
    start(&a);
    dkit_close(&a.k);
    fake_env_reboot(a.k.f, false);
    a.k.cfg.member = true;
    assert_int_equal(dkit_open(&a.k), ERR_OK);
    dkit_append_n(&a.k, 9);
    disk_offer(a.k.disk, 1, 0, INT64_MAX);
    dkit_settle(&a.k);
    disk_truncate(a.k.disk, a.k.tree, 6);
    disk_offer(a.k.disk, 2, 0, INT64_MAX); // its job and the cut are under way together
    dkit_settle(&a.k);
    assert_int_equal(a.k.replaced, 1);
    dkit_append_n(&a.k, 1);
    disk_offer(a.k.disk, 3, 0, INT64_MAX);
    disk_history_begin(a.k.disk, 4, 6, INT64_MAX);
    disk_history_end(a.k.disk, 4);
    dkit_settle(&a.k);
    expect_answers(&a, "1: 0.1-0.9 s0; 2: 0.1-0.6 s0; 3: 0.1-0.7 s0; ");
    stop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(runs_end_at_holes, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_are_those_of_the_records, setup, teardown),
        cmocka_unit_test_setup_teardown(epochs_are_joined_on_evidence_only, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_joined_across_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(a_step_back_takes_what_was_before, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_grows_is_read_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_snapshot_counts_if_the_log_follows, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_disk_has_nothing_to_offer, setup, teardown),
        cmocka_unit_test(several_learners_ask),
        cmocka_unit_test(without_a_snapshot_one_is_taken),
        cmocka_unit_test(or_it_fails),
        cmocka_unit_test(or_it_is_not_allowed),
        cmocka_unit_test(after_a_truncation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
