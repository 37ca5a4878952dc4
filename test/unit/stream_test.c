// SPDX-License-Identifier: Apache-2.0
//
// The body of a snapshot as it goes to a learner: of files that real servers wrote, of our own in
// each packing, beside what a real leader sent, and of damaged ones.
#define _GNU_SOURCE // memmem
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "disk/stream.h"
#include "disk/sync.h"
#include "test/support/disk_kit.h"

#define DIR "/data/version-2"

static int setup(void **state)
{
    *state = fake_env_new(12);
    return 0;
}

static int teardown(void **state)
{
    fake_env_free((struct fake_env **)state);
    return 0;
}

// All parts; false: it failed.
static bool read_all(struct fake_env *f, int64_t zxid, struct buf *out)
{
    struct stream s;
    buf_clear(out);
    stream_init(&s, &f->env, DIR, zxid);
    do {
        stream_read(&s);
        buf_put_slice(out, s.bytes);
        assert_true(s.bytes.n > 0 || s.failed);
    } while (!s.end && !s.failed);
    assert_false(s.open);
    bool ok = s.end;
    stream_fini(&s);
    return ok;
}

// All of the file at once.
static struct slice body_of(struct slice file)
{
    struct snapfile_parser p;
    struct snapfile_value v;
    snapfile_init(&p, INT32_MAX);
    snapfile_feed(&p, file);
    uint64_t end = 0;
    for (enum snapfile_item it; (it = snapfile_next(&p, &v)) != SNAPFILE_MORE; end = p.off) {
        assert_int_not_equal(it, SNAPFILE_BAD);
    }
    snapfile_fini(&p);
    end += 5; // "/" behind the last node
    return slice_of(file.p + SNAPFILE_HEADER_LEN, (size_t)end - SNAPFILE_HEADER_LEN);
}

static void load_golden(struct fake_env *f, const char *from, const char *to)
{
    struct buf b = {0};
    dkit_read_file(from, &b);
    assert_true(b.n > 0);
    fake_env_plant(f, to, buf_slice(&b));
    buf_fini(&b);
}

static void files_of_real_servers(void **state)
{
    struct fake_env *f = *state;
    static const struct {
        const char *file;
        int64_t zxid;
    } golden[] = {
        {"test/golden/disk/snapshot.0", 0},
        {"test/golden/disk/snapshot.10000000c", 0x10000000c},
        {"test/golden/disk/snapshot.100000024", 0x100000024},
        {"test/golden/disk/snapshot.100000032", 0x100000032},
        {"test/golden/disk/log-3.5.10-leader/snapshot.0", 0},
    };
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        char name[DISK_NAME_MAX], path[128];
        disk_name_snapshot(name, golden[i].zxid, DISK_PLAIN);
        snprintf(path, sizeof(path), "%s/%s", DIR, name);
        load_golden(f, golden[i].file, path);
        struct buf got = {0};
        assert_true(read_all(f, golden[i].zxid, &got));
        assert_true(slice_eq(buf_slice(&got), body_of(fake_env_peek(f, path))));
        buf_fini(&got);
    }
}

// What a real leader sends: the packet SNAP, the body, and a signature. Between header and seal of
// a file the same bytes stand, so the body taken off the wire must come out of such a file again.
static void what_a_real_leader_sent(void **state)
{
    struct fake_env *f = *state;
    struct buf wire = {0}, file = {0}, got = {0};
    dkit_read_file("test/golden/disk/wire/sync-snap.from-leader.bin", &wire);
    static const char signature[] = "\0\0\0\012BenWasHere";
    uint8_t *end = memmem(wire.p, wire.n, signature, sizeof(signature) - 1);
    assert_non_null(end);
    // type 15 (SNAP), zxid, no data, no auth info: 20 bytes.
    static const uint8_t snap[] = {0, 0, 0, 15};
    uint8_t *packet = memmem(wire.p, wire.n, snap, sizeof(snap));
    assert_non_null(packet);
    assert_memory_equal(packet + 12, "\377\377\377\377\377\377\377\377", 8);
    struct slice body = slice_of(packet + 20, (size_t)(end - packet) - 20);
    snapfile_put_header(&file);
    buf_put_slice(&file, body);
    snapfile_put_seal(&file, hash_adler32(HASH_ADLER_INIT, buf_slice(&file)));
    fake_env_plant(f, DIR "/snapshot.5", buf_slice(&file));
    assert_true(read_all(f, 5, &got));
    assert_true(slice_eq(buf_slice(&got), body));
    buf_fini(&got);
    buf_fini(&file);
    buf_fini(&wire);
}

static void plain_and_packed_are_the_same(void **state)
{
    (void)state;
    struct buf bodies[3] = {{0}};
    for (int kind = DISK_PLAIN; kind <= DISK_SNAPPY; kind++) {
        struct dkit k;
        dkit_init(&k, 5);
        k.cfg.compression = kind;
        k.cfg.snap_count = 100000;
        assert_int_equal(dkit_open(&k), ERR_OK);
        for (int i = 0; i < 12000; i++) { // several windows
            must(dkit_append(&k));
        }
        dkit_settle(&k);
        disk_snapshot_soon(k.disk);
        dkit_settle(&k);
        assert_true(read_all(k.f, 12000, &bodies[kind]));
        struct buf want = {0};
        dkit_snapshot(k.tree, &want);
        assert_true(want.n > 2 * 1024 * 1024);
        struct slice body = slice_of(want.p + SNAPFILE_HEADER_LEN,
                                     want.n - SNAPFILE_HEADER_LEN - SNAPFILE_SEAL_LEN);
        assert_true(slice_eq(buf_slice(&bodies[kind]), body));
        buf_fini(&want);
        buf_fini(&bodies[kind]);
        dkit_fini(&k);
    }
}

// Every byte of it counts, also those behind the body; and every length.
static void damage_never_looks_complete(void **state)
{
    struct fake_env *f = *state;
    struct buf b = {0}, got = {0};
    dkit_read_file("test/golden/disk/snapshot.100000024", &b);
    fake_env_plant(f, DIR "/snapshot.1", buf_slice(&b));
    assert_true(read_all(f, 1, &got));
    size_t whole = got.n;
    for (size_t i = 0; i < b.n; i++) {
        if (i >= 4 && i < SNAPFILE_HEADER_LEN) {
            continue; // version and database id: the sum has them, nobody else
        }
        b.p[i] ^= 0x10;
        fake_env_plant(f, DIR "/snapshot.1", buf_slice(&b));
        assert_false(read_all(f, 1, &got));
        b.p[i] ^= 0x10;
    }
    for (size_t n = 0; n < whole + SNAPFILE_HEADER_LEN + SNAPFILE_SEAL_LEN; n++) {
        fake_env_plant(f, DIR "/snapshot.1", slice_of(b.p, n));
        assert_false(read_all(f, 1, &got));
        assert_true(got.n < whole);
    }
    assert_false(read_all(f, 2, &got)); // no such file
    buf_fini(&got);
    buf_fini(&b);
}

// ---- of a running disk
// --------------------------------------------------------------------------

struct asker {
    struct dkit k;
    struct buf got[4]; // by tag
    int parts[4];
    bool ended[4], failed[4];
};

static void on_answer(void *ctx, const struct disk_event *ev)
{
    struct asker *a = ctx;
    assert_int_equal(ev->type, DISK_STREAM);
    const struct disk_answer *an = ev->answer;
    assert_false(a->ended[an->tag]);
    buf_put_slice(&a->got[an->tag], an->bytes);
    a->parts[an->tag]++;
    a->failed[an->tag] = an->failed;
    a->ended[an->tag] = an->end || an->failed;
    if (a->ended[an->tag]) {
        disk_stream_end(a->k.disk, an->tag);
    } else {
        disk_stream_more(a->k.disk, an->tag);
    }
}

static void start(struct asker *a)
{
    *a = (struct asker){0};
    dkit_init(&a->k, 5);
    a->k.on_answer = on_answer;
    a->k.answer_ctx = a;
    assert_int_equal(dkit_open(&a->k), ERR_OK);
    for (int i = 0; i < 12000; i++) {
        must(dkit_append(&a->k));
    }
    dkit_settle(&a->k);
    disk_snapshot_soon(a->k.disk);
    dkit_settle(&a->k);
}

static void stop(struct asker *a)
{
    for (size_t i = 0; i < 4; i++) {
        buf_fini(&a->got[i]);
    }
    dkit_fini(&a->k);
}

// Two learners, a snapshot being written and its purge: all of them come to their end, and the file
// that goes meanwhile is read to its own.
static void beside_a_snapshot_and_a_purge(void **state)
{
    (void)state;
    struct asker a;
    start(&a);
    struct buf want = {0};
    assert_true(read_all(a.k.f, 12000, &want));
    disk_stream_begin(a.k.disk, 1, 12000);
    disk_stream_begin(a.k.disk, 2, 12000);
    disk_stream_begin(a.k.disk, 3, 11999);
    assert_true(dkit_append(&a.k));
    disk_snapshot_soon(a.k.disk);
    dkit_turn(&a.k);
    struct env *env = &a.k.f->env;
    for (int i = 0; i < 4; i++) {
        dkit_turn(&a.k);
        assert_true(dkit_job(&a.k, ENV_LANE_BACKGROUND));
    }
    assert_int_equal(env->ops->unlink(env, DKIT_V2 "/snapshot.2ee0"), ERR_OK);
    dkit_settle(&a.k);
    assert_int_equal(a.k.snapped, 2);
    assert_true(slice_eq(buf_slice(&a.got[1]), buf_slice(&want)));
    assert_true(slice_eq(buf_slice(&a.got[2]), buf_slice(&want)));
    assert_true(a.parts[1] > 2);
    assert_true(a.failed[3]);
    assert_false(a.failed[1]);
    buf_fini(&want);
    stop(&a);
}

static void an_end_at_any_time(void **state)
{
    (void)state;
    struct asker a;
    start(&a);
    size_t fds = fake_env_open_fds(a.k.f);
    disk_stream_begin(a.k.disk, 1, 12000);
    disk_stream_end(a.k.disk, 1);
    disk_stream_end(a.k.disk, 9);
    dkit_settle(&a.k);
    assert_int_equal(a.parts[1], 0);
    disk_stream_begin(a.k.disk, 1, 12000);
    assert_true(dkit_job(&a.k, ENV_LANE_BACKGROUND));
    assert_int_equal(fake_env_open_fds(a.k.f), fds + 1);
    disk_stream_end(a.k.disk, 1);
    dkit_settle(&a.k);
    assert_int_equal(a.parts[1], 1);
    assert_int_equal(fake_env_open_fds(a.k.f), fds);
    // Left open, with nothing in flight, at the end of the disk.
    a.k.on_answer = NULL;
    disk_stream_begin(a.k.disk, 1, 12000);
    dkit_settle(&a.k);
    dkit_close(&a.k);
    assert_int_equal(fake_env_open_fds(a.k.f), 0);
    stop(&a);
}

// A leader and its learner: what streams out of one disk is taken in by another, which then stands
// where the leader's snapshot does and goes on from there.
static void on_offer(void *ctx, const struct disk_event *ev)
{
    assert_int_equal(ev->type, DISK_OFFER);
    *(int64_t *)ctx = ev->answer->snapshot_zxid;
    assert_int_equal(ev->answer->runs_n, 1);
    assert_int_equal(ev->answer->runs[0].first, 12001);
    assert_int_equal(ev->answer->runs[0].last, 12002);
}

static void from_one_disk_to_another(void **state)
{
    (void)state;
    struct asker a;
    struct dkit k;
    struct buf want = {0}, got = {0};
    start(&a);
    disk_stream_begin(a.k.disk, 1, 12000);
    dkit_settle(&a.k);
    dkit_init(&k, 6);
    k.cfg.member = true;
    assert_int_equal(dkit_open(&k), ERR_OK);
    dkit_append_n(&k, 5); // gone afterwards
    disk_take_begin(k.disk, 12000);
    size_t used;
    assert_int_equal(disk_take_put(k.disk, buf_slice(&a.got[1]), &used), DISK_TAKE_DONE);
    assert_int_equal(used, a.got[1].n);
    disk_take_commit(k.disk, k.tree);
    dkit_settle(&k);
    assert_int_equal(k.replaced, 1);
    dkit_snapshot(a.k.tree, &want);
    dkit_snapshot(k.tree, &got);
    assert_int_equal(want.n, got.n);
    dkit_append_n(&k, 2);
    int64_t snapshot = -1;
    k.on_answer = on_offer;
    k.answer_ctx = &snapshot;
    disk_offer(k.disk, 1, 12001, INT64_MAX);
    dkit_settle(&k);
    assert_int_equal(snapshot, 12000); // its log goes on right behind
    buf_fini(&want);
    buf_fini(&got);
    dkit_fini(&k);
    stop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_of_real_servers, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_real_leader_sent, setup, teardown),
        cmocka_unit_test(plain_and_packed_are_the_same),
        cmocka_unit_test_setup_teardown(damage_never_looks_complete, setup, teardown),
        cmocka_unit_test(beside_a_snapshot_and_a_purge),
        cmocka_unit_test(an_end_at_any_time),
        cmocka_unit_test(from_one_disk_to_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
