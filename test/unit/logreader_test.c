// SPDX-License-Identifier: Apache-2.0
//
// The log as a learner is given it: excerpt.c over logreader.c, on files made by hand; then on the
// log of a running disk, through disk/sync.h.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "disk/excerpt.h"
#include "disk/logfile.h"
#include "test/support/disk_kit.h"
#include "test/support/log_kit.h"

#define DIR "/data/version-2"

static int setup(void **state)
{
    *state = fake_env_new(11);
    return 0;
}

static int teardown(void **state)
{
    fake_env_free((struct fake_env **)state);
    return 0;
}

static const struct log_bound everything = {.file = -1, .durable = INT64_MAX};

static void expect_entry(const struct disk_entry *e)
{
    struct buf want = {0};
    dkit_entry(&want, e->zxid);
    assert_true(slice_eq(blob_slice(e->txn), buf_slice(&want)));
    buf_fini(&want);
}

// Ranges of zxids as "1.1-1.5 2.1-2.3", entries compared with what was planted.
struct shown {
    struct buf text;
    int64_t first, last;
};

static void show_end(struct shown *s)
{
    if (s->last) {
        buf_fmt(&s->text, "%d.%d-%d.%d ", (int)(s->first >> 32), (int)(s->first & UINT32_MAX),
                (int)(s->last >> 32), (int)(s->last & UINT32_MAX));
    }
}

static void show(struct shown *s, int64_t zxid)
{
    if (s->last == 0 || zxid != s->last + 1) {
        show_end(s);
        s->first = zxid;
    }
    s->last = zxid;
}

static void expect_shown(struct shown *s, const char *want)
{
    show_end(s);
    buf_put_u8(&s->text, 0);
    assert_string_equal((const char *)s->text.p, want);
    buf_fini(&s->text);
}

// One job. False: that was all.
static bool read_part(struct excerpt *x, const struct log_bound *bound, struct shown *s)
{
    size_t bytes = 0;
    do {
        excerpt_read(x, bound);
    } while (x->again);
    size_t n = x->n;
    for (size_t i = 0; i < n; i++) {
        expect_entry(&x->entries[i]);
        bytes += x->entries[i].txn->n;
        show(s, x->entries[i].zxid);
    }
    assert_true(bytes <= DISK_PART || n == 1);
    excerpt_give_back(x);
    return n > 0;
}

static void expect_history(struct fake_env *f, const struct log_bound *bound, int64_t after,
                           int64_t until, const char *want)
{
    struct excerpt x;
    struct shown s = {0};
    excerpt_init(&x, &f->env, DIR, after, until, false);
    while (read_part(&x, bound, &s)) {
    }
    assert_false(x.r.open);
    excerpt_fini(&x);
    expect_shown(&s, want);
}

static void entries_behind_a_zxid_over_several_files(void **state)
{
    struct fake_env *f = *state;
    LOG_KIT_PLANT(f, DIR "/log.100000001", ZX(1, 1), ZX(1, 9));
    LOG_KIT_PLANT(f, DIR "/log.10000000a", ZX(1, 10), ZX(1, 14));
    LOG_KIT_PLANT(f, DIR "/log.200000001", ZX(2, 1), ZX(2, 3));
    expect_history(f, &everything, ZX(1, 4), INT64_MAX, "1.5-1.14 2.1-2.3 ");
    expect_history(f, &everything, ZX(1, 9), ZX(1, 12), "1.10-1.12 ");
    expect_history(f, &everything, ZX(1, 14), INT64_MAX, "2.1-2.3 ");
    expect_history(f, &everything, ZX(2, 0), INT64_MAX, "2.1-2.3 ");
    expect_history(f, &everything, ZX(1, 0), ZX(1, 1), "1.1-1.1 ");
    expect_history(f, &everything, ZX(2, 3), INT64_MAX, "");
    expect_history(f, &everything, ZX(2, 1), ZX(2, 1), "");
}

static void what_is_not_durable_is_not_read(void **state)
{
    struct fake_env *f = *state;
    LOG_KIT_PLANT(f, DIR "/log.1", 1, 9);
    LOG_KIT_PLANT(f, DIR "/log.a", 10, 12);
    struct log_bound bound = {.file = -1, .durable = 7};
    expect_history(f, &bound, 3, INT64_MAX, "0.4-0.7 ");
    // log.a was begun after the bound was taken.
    bound.durable = 9;
    expect_history(f, &bound, 3, INT64_MAX, "0.4-0.9 ");
}

// Bytes behind the bound are not even looked at, and not kept either: they change.
static void the_file_being_written_is_read_on_later(void **state)
{
    struct fake_env *f = *state;
    struct buf b = {0};
    log_kit_header(&b);
    log_kit_records(&b, 1, 5);
    struct log_bound bound = {.file = 1, .pos = b.n, .durable = 5};
    size_t zeros = 4096;
    memset(buf_reserve(&b, zeros), 0x55, zeros); // half a batch, say
    fake_env_plant(f, DIR "/log.1", buf_slice(&b));
    struct excerpt x;
    struct shown s = {0};
    excerpt_init(&x, &f->env, DIR, 2, 8, false);
    assert_true(read_part(&x, &bound, &s));
    assert_true(x.done); // the durable end is the end
    excerpt_fini(&x);
    expect_shown(&s, "0.3-0.5 ");
    // A part that is full in the middle of the file, and the bound further on.
    buf_fini(&b);
    log_kit_header(&b);
    log_kit_records(&b, 1, 3000);
    uint64_t pos = b.n;
    memset(buf_reserve(&b, zeros), 0x55, zeros);
    fake_env_plant(f, DIR "/log.1", buf_slice(&b));
    bound = (struct log_bound){.file = 1, .pos = pos, .durable = 3000};
    s = (struct shown){0};
    excerpt_init(&x, &f->env, DIR, 2, 5000, false);
    assert_true(read_part(&x, &bound, &s));
    assert_false(x.done);
    b.n = pos;
    log_kit_records(&b, 3001, 5000);
    fake_env_plant(f, DIR "/log.1", buf_slice(&b));
    bound = (struct log_bound){.file = 1, .pos = b.n, .durable = 5000};
    while (read_part(&x, &bound, &s)) {
    }
    excerpt_fini(&x);
    expect_shown(&s, "0.3-0.5000 ");
    buf_fini(&b);
}

static void holes_and_steps_back_end_it(void **state)
{
    struct fake_env *f = *state;
    LOG_KIT_PLANT(f, DIR "/log.1", 1, 5, 7, 9);
    expect_history(f, &everything, 2, INT64_MAX, "0.3-0.5 ");
    expect_history(f, &everything, 5, INT64_MAX, "");
    expect_history(f, &everything, 6, INT64_MAX, "0.7-0.9 ");
    LOG_KIT_PLANT(f, DIR "/log.1", 1, 9, 6, 12);
    expect_history(f, &everything, 2, INT64_MAX, "0.3-0.9 ");
    expect_history(f, &everything, 10, INT64_MAX, "0.11-0.12 ");
    // An epoch that does not begin with its first.
    LOG_KIT_PLANT(f, DIR "/log.1", 1, 9, ZX(1, 2), ZX(1, 4));
    expect_history(f, &everything, 2, INT64_MAX, "0.3-0.9 ");
    // The first of an epoch, and the learner's zxid is not of this log.
    LOG_KIT_PLANT(f, DIR "/log.1", 1, 9, ZX(1, 1), ZX(1, 4));
    expect_history(f, &everything, 12, INT64_MAX, "");
}

static void a_log_that_begins_too_late_is_no_history(void **state)
{
    struct fake_env *f = *state;
    expect_history(f, &everything, 0, INT64_MAX, "");
    LOG_KIT_PLANT(f, DIR "/log.5", 5, 9, ZX(1, 1), ZX(1, 2));
    expect_history(f, &everything, 3, INT64_MAX, "");
    expect_history(f, &everything, 4, INT64_MAX, "0.5-0.9 1.1-1.2 ");
    LOG_KIT_PLANT(f, DIR "/log.5", ZX(1, 1), ZX(1, 2));
    expect_history(f, &everything, 3, INT64_MAX, "");
}

// In the middle a damaged end may hide entries: what follows counts only if it is the next.
static void torn_ends(void **state)
{
    struct fake_env *f = *state;
    struct buf b = {0};
    log_kit_header(&b);
    log_kit_records(&b, 1, 5);
    size_t five = b.n;
    log_kit_records(&b, 6, 6);
    b.n -= 9;
    fake_env_plant(f, DIR "/log.1", buf_slice(&b));
    expect_history(f, &everything, 2, INT64_MAX, "0.3-0.5 ");
    LOG_KIT_PLANT(f, DIR "/log.6", 6, 8);
    expect_history(f, &everything, 2, INT64_MAX, "0.3-0.8 ");
    LOG_KIT_PLANT(f, DIR "/log.6", ZX(1, 1), ZX(1, 2));
    expect_history(f, &everything, 2, INT64_MAX, "0.3-0.5 ");
    // A wrong checksum.
    b.n = five;
    log_kit_records(&b, 6, 7);
    b.p[five + LOGFILE_RECORD_HEAD + 40] ^= 1;
    fake_env_plant(f, DIR "/log.1", buf_slice(&b));
    expect_history(f, &everything, 2, INT64_MAX, "0.3-0.5 ");
    // Not a log at all.
    b.p[0] = 0;
    fake_env_plant(f, DIR "/log.1", buf_slice(&b));
    expect_history(f, &everything, 2, INT64_MAX, "");
    buf_fini(&b);
}

static void behind_a_snapshot_it_begins_with_another_epoch(void **state)
{
    struct fake_env *f = *state;
    for (int from_snapshot = 0; from_snapshot < 2; from_snapshot++) {
        struct excerpt x;
        LOG_KIT_PLANT(f, DIR "/log.300000001", 0x300000001, 0x300000002);
        excerpt_init(&x, &f->env, DIR, 0x100000005, 0x300000002, from_snapshot);
        excerpt_read(&x, &everything);
        assert_int_equal(x.n, from_snapshot ? 2 : 0);
        excerpt_give_back(&x);
        excerpt_close(&x);
        excerpt_fini(&x);
    }
}

static void an_entry_longer_than_a_part_is_one(void **state)
{
    struct fake_env *f = *state;
    struct buf b = {0}, entry = {0};
    log_kit_header(&b);
    log_kit_records(&b, 1, 2);
    size_t at = b.n;
    dkit_entry(&entry, 3);
    memset(buf_reserve(&entry, 3 * 1024 * 1024), 'x', 3 * 1024 * 1024);
    logfile_put_record(&b, buf_slice(&entry));
    logfile_seal(b.p + at, b.n - at);
    log_kit_records(&b, 4, 4);
    fake_env_plant(f, DIR "/log.1", buf_slice(&b));
    struct excerpt x;
    excerpt_init(&x, &f->env, DIR, 1, 4, false);
    const int64_t want[] = {2, 3, 4};
    for (size_t i = 0; i < 3; i++) {
        excerpt_read(&x, &everything);
        assert_int_equal(x.n, 1);
        assert_int_equal(x.entries[0].zxid, want[i]);
        if (i == 1) {
            assert_true(slice_eq(blob_slice(x.entries[0].txn), buf_slice(&entry)));
        }
        excerpt_give_back(&x);
    }
    excerpt_read(&x, &everything);
    assert_int_equal(x.n, 0);
    excerpt_fini(&x);
    buf_fini(&entry);
    buf_fini(&b);
}

static void a_failing_disk_ends_it(void **state)
{
    struct fake_env *f = *state;
    LOG_KIT_PLANT(f, DIR "/log.1", 1, 5);
    LOG_KIT_PLANT(f, DIR "/log.6", 6, 9);
    bool whole = false;
    for (uint64_t call = 1; !whole; call++) {
        struct excerpt x;
        struct shown s = {0};
        fake_env_fail(f, call, ERR_IO);
        uint64_t end = f->fail_at;
        excerpt_init(&x, &f->env, DIR, 2, 20, false);
        while (read_part(&x, &everything, &s)) {
        }
        whole = f->calls < end;
        assert_false(x.r.open);
        excerpt_fini(&x);
        if (whole) {
            expect_shown(&s, "0.3-0.9 ");
        } else {
            show_end(&s);
            assert_true(s.last == 0 || s.first == 3);
            buf_fini(&s.text);
        }
        assert_true(call < 100);
    }
}

// ---- of a running disk
// --------------------------------------------------------------------------

struct asker {
    struct dkit k;
    struct shown shown[4]; // by tag
    bool ended[4];
    int events;
};

static void on_answer(void *ctx, const struct disk_event *ev)
{
    struct asker *a = ctx;
    assert_int_equal(ev->type, DISK_HISTORY);
    const struct disk_answer *an = ev->answer;
    a->events++;
    assert_false(a->ended[an->tag]);
    for (size_t i = 0; i < an->entries_n; i++) {
        expect_entry(&an->entries[i]);
        show(&a->shown[an->tag], an->entries[i].zxid);
    }
    if (an->entries_n > 0) {
        disk_history_more(a->k.disk, an->tag);
    } else {
        disk_history_end(a->k.disk, an->tag);
        a->ended[an->tag] = true;
    }
}

static void start(struct asker *a)
{
    *a = (struct asker){0};
    dkit_init(&a->k, 5);
    a->k.on_answer = on_answer;
    a->k.answer_ctx = a;
    assert_int_equal(dkit_open(&a->k), ERR_OK);
}

static void append_batch(struct dkit *k, int n)
{
    for (int i = 0; i < n; i++) {
        must(dkit_append(k));
    }
    dkit_settle(k);
}

static void the_log_being_written(void **state)
{
    (void)state;
    struct asker a;
    start(&a);
    append_batch(&a.k, 2000);
    disk_snapshot_soon(a.k.disk);
    append_batch(&a.k, 2000);
    // Two at a time, of different places; what is not durable when they get there is not theirs.
    assert_true(dkit_append(&a.k));
    disk_history_begin(a.k.disk, 1, 10, INT64_MAX);
    disk_history_begin(a.k.disk, 2, 3990, 3995);
    while (!a.ended[1] || !a.ended[2]) {
        assert_true(dkit_job(&a.k, ENV_LANE_BACKGROUND));
    }
    expect_shown(&a.shown[1], "0.11-0.4000 ");
    expect_shown(&a.shown[2], "0.3991-0.3995 ");
    dkit_settle(&a.k);
    disk_history_begin(a.k.disk, 3, 4000, INT64_MAX);
    dkit_settle(&a.k);
    expect_shown(&a.shown[3], "0.4001-0.4001 ");
    disk_history_end(a.k.disk, 3);
    dkit_fini(&a.k);
}

// The file that is open may be read to its end; the next one is gone.
static void purged_meanwhile(void **state)
{
    (void)state;
    struct asker a;
    start(&a);
    for (int i = 0; i < 3; i++) {
        append_batch(&a.k, 2000);
        disk_snapshot_soon(a.k.disk);
        dkit_settle(&a.k);
    }
    disk_history_begin(a.k.disk, 1, 10, INT64_MAX);
    assert_true(dkit_job(&a.k, ENV_LANE_BACKGROUND));
    struct env *env = &a.k.f->env;
    assert_int_equal(env->ops->unlink(env, DKIT_V2 "/log.1"), ERR_OK);
    assert_int_equal(env->ops->unlink(env, DKIT_V2 "/log.7d1"), ERR_OK);
    dkit_settle(&a.k);
    assert_true(a.ended[1]);
    expect_shown(&a.shown[1], "0.11-0.2000 ");
    dkit_fini(&a.k);
}

static void an_end_at_any_time(void **state)
{
    (void)state;
    struct asker a;
    start(&a);
    append_batch(&a.k, 2000);
    size_t fds = fake_env_open_fds(a.k.f);
    // Before the first job has run, between two, with one in flight, and of one that never was.
    disk_history_begin(a.k.disk, 1, 10, INT64_MAX);
    disk_history_end(a.k.disk, 1);
    disk_history_end(a.k.disk, 1);
    disk_history_end(a.k.disk, 77);
    assert_false(disk_idle(a.k.disk));
    dkit_settle(&a.k);
    assert_int_equal(a.events, 0);
    assert_int_equal(fake_env_open_fds(a.k.f), fds);
    disk_history_begin(a.k.disk, 2, 10, INT64_MAX);
    assert_true(dkit_job(&a.k, ENV_LANE_BACKGROUND)); // its event asks for more
    assert_int_equal(a.events, 1);
    assert_int_equal(fake_env_open_fds(a.k.f), fds + 1);
    disk_history_end(a.k.disk, 2);
    disk_history_begin(a.k.disk, 2, 1990, INT64_MAX); // the same tag anew
    buf_fini(&a.shown[2].text);
    a.shown[2] = (struct shown){0};
    dkit_settle(&a.k);
    assert_true(a.ended[2]);
    expect_shown(&a.shown[2], "0.1991-0.2000 ");
    assert_int_equal(fake_env_open_fds(a.k.f), fds);
    // Left open at the end of the disk.
    a.k.on_answer = NULL;
    disk_history_begin(a.k.disk, 3, 10, INT64_MAX);
    dkit_settle(&a.k);
    assert_int_equal(fake_env_open_fds(a.k.f), fds + 1);
    dkit_close(&a.k);
    assert_int_equal(fake_env_open_fds(a.k.f), 0);
    dkit_fini(&a.k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_behind_a_zxid_over_several_files, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_durable_is_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(the_file_being_written_is_read_on_later, setup, teardown),
        cmocka_unit_test_setup_teardown(holes_and_steps_back_end_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_begins_too_late_is_no_history, setup, teardown),
        cmocka_unit_test_setup_teardown(torn_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(behind_a_snapshot_it_begins_with_another_epoch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_entry_longer_than_a_part_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_disk_ends_it, setup, teardown),
        cmocka_unit_test(the_log_being_written),
        cmocka_unit_test(purged_meanwhile),
        cmocka_unit_test(an_end_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
