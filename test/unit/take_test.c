// SPDX-License-Identifier: Apache-2.0
//
// A snapshot from a peer: where its body ends, what is refused, and its way to become the whole of
// the directory, with a crash or an error at every file call. What the next start finds is the old
// state or the new one, and the new one once INSTALLED was said.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "disk/snapfile.h"
#include "test/support/disk_models.h"
#include "tree/apply.h"

enum { LAST = 20, ZXIDS_MAX = 40, BIG_NODES = 12, BIG_BYTES = 300 * 1024 };

static struct buf bodies[ZXIDS_MAX + 1]; // a snapshot's body of the tree at each zxid
static struct buf big_body;              // of the tree at 30 with some megabytes more
static char *big_model;
static const char signature[] = "\0\0\0\nBenWasHere";

static void get_body(struct tree *t, struct buf *body)
{
    struct buf file = {0};
    dkit_snapshot(t, &file);
    buf_put(body, file.p + SNAPFILE_HEADER_LEN, file.n - SNAPFILE_HEADER_LEN - SNAPFILE_SEAL_LEN);
    buf_fini(&file);
}

static char *get_model(struct tree *t)
{
    struct buf b = {0};
    dkit_dump(t, &b);
    return (char *)b.p;
}

static void grow(struct tree *t)
{
    char *data = calloc(1, BIG_BYTES);
    struct arena a = {0};
    for (int i = 0; i < BIG_NODES; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/big%d", i);
        struct acl acl = {PERM_ALL, {SLICE_LIT("world"), SLICE_LIT("anyone")}};
        struct txn txn = {.hdr = {1, 1, 31 + i, 1700000000000, OP_CREATE}};
        txn.body.create = (struct create_txn){
            slice_str(path), slice_of((uint8_t *)data, BIG_BYTES), {&acl, 1}, false, -1};
        txn.body.type = OP_CREATE;
        struct apply_out out = {0};
        apply_txn(t, &txn, &a, &out);
        arena_reset(&a);
    }
    arena_fini(&a);
    free(data);
}

static int make_models(void **state)
{
    (void)state;
    struct dkit k;
    models_make(ZXIDS_MAX);
    dkit_init(&k, 1);
    assert_int_equal(dkit_open(&k), ERR_OK);
    for (int i = 0; i <= ZXIDS_MAX; i++) {
        get_body(k.tree, &bodies[i]);
        if (i < ZXIDS_MAX) {
            dkit_append_n(&k, 1);
        }
    }
    grow(k.tree);
    big_model = get_model(k.tree);
    get_body(k.tree, &big_body);
    dkit_fini(&k);
    return 0;
}

static int free_models(void **state)
{
    (void)state;
    models_free();
    for (int i = 0; i <= ZXIDS_MAX; i++) {
        buf_fini(&bodies[i]);
    }
    free(big_model);
    buf_fini(&big_body);
    return 0;
}

static void expect_tree(struct dkit *k, int64_t zxid, const char *model)
{
    assert_int_equal(tree_zxid(k->tree), zxid);
    char *got = get_model(k->tree);
    assert_string_equal(got, model);
    tree_check(k->tree);
    free(got);
}

// snapshot.0, .8 and log.1, .9; the last file is being written.
static void build(struct dkit *k, uint64_t seed)
{
    dkit_init(k, seed);
    k->cfg.member = true;
    if (seed % 3 == 2) {
        k->cfg.data_log_dir = "/logs";
    }
    if (seed % 3 == 0) {
        k->cfg.compression = DISK_SNAPPY;
    }
    assert_int_equal(dkit_open(k), ERR_OK);
    dkit_append_n(k, 8);
    disk_snapshot_soon(k->disk);
    dkit_settle(k);
    for (int i = 0; i < 12; i++) {
        assert_true(dkit_append(k));
    }
    dkit_settle(k);
    assert_int_equal(tree_zxid(k->tree), LAST);
    disk_allow_snapshots(k->disk, false);
}

// Puts it as it comes from a socket, signature and all; returns how much of it was used.
static enum disk_take put_all(struct dkit *k, struct slice body, size_t part, size_t *used)
{
    struct buf wire = {0};
    buf_put_slice(&wire, body);
    buf_put(&wire, signature, sizeof(signature) - 1);
    enum disk_take r = DISK_TAKE_MORE;
    *used = 0;
    while (r == DISK_TAKE_MORE && *used < wire.n) {
        struct slice s = slice_skip(buf_slice(&wire), *used);
        size_t n;
        r = disk_take_put(k->disk, slice_head(s, s.n < part ? s.n : part), &n);
        *used += n;
        if (disk_take_backlog(k->disk) > 2 << 20) {
            dkit_settle(k);
        }
    }
    buf_fini(&wire);
    return r;
}

static void take(struct dkit *k, int64_t zxid, struct slice body)
{
    size_t used;
    disk_take_begin(k->disk, zxid);
    if (put_all(k, body, 10000, &used) == DISK_TAKE_DONE) {
        disk_take_commit(k->disk, k->tree);
    }
    dkit_settle(k);
}

static void its_end_is_found_however_it_comes(void **state)
{
    (void)state;
    static const size_t parts[] = {1, 2, 7, 100, 1000, 1 << 20};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct dkit k;
        size_t used;
        build(&k, 1 + i);
        disk_take_begin(k.disk, 30);
        struct slice body = buf_slice(&bodies[30]);
        assert_int_equal(put_all(&k, body, parts[i], &used), DISK_TAKE_DONE);
        assert_int_equal(used, body.n);
        assert_int_equal(disk_take_put(k.disk, body, &used), DISK_TAKE_DONE);
        assert_int_equal(used, 0);
        disk_take_commit(k.disk, k.tree);
        dkit_settle(&k);
        assert_int_equal(k.replaced, 1);
        assert_int_equal(k.tail_n, 0);
        assert_true(disk_settled(k.disk));
        models_expect(&k, 30);
        models_reopen(&k, true);
        models_expect(&k, 30);
        dkit_append_n(&k, 3);
        models_reopen(&k, true);
        models_expect(&k, 33);
        dkit_fini(&k);
    }
}

static void what_was_there_is_set_aside_for_one_generation(void **state)
{
    (void)state;
    struct dkit k;
    build(&k, 1);
    take(&k, 10, buf_slice(&bodies[10])); // below what was logged here
    models_expect(&k, 10);
    assert_true(dkit_exists(&k, "snapshot.a"));
    assert_true(dkit_exists(&k, "replaced/snapshot.8"));
    assert_true(dkit_exists(&k, "replaced/log.9"));
    assert_false(dkit_exists(&k, "snapshot.8"));
    assert_false(dkit_exists(&k, "log.9"));
    dkit_append_n(&k, 2);
    models_reopen(&k, true);
    models_expect(&k, 12);
    take(&k, 12, buf_slice(&bodies[12])); // where it stands
    take(&k, 12, buf_slice(&bodies[12])); // and a file of that name is there
    assert_int_equal(k.replaced, 3);
    assert_true(dkit_exists(&k, "replaced/snapshot.c"));
    assert_false(dkit_exists(&k, "replaced/snapshot.a"));
    assert_false(dkit_exists(&k, "replaced/log.b"));
    int64_t snaps, logs, snaps_then, logs_then;
    disk_sizes(k.disk, &snaps, &logs);
    models_reopen(&k, true);
    disk_sizes(k.disk, &snaps_then, &logs_then);
    assert_int_equal(snaps, snaps_then);
    assert_int_equal(logs, logs_then);
    models_expect(&k, 12);
    dkit_fini(&k);
}

static void a_large_one_goes_to_the_disk_while_it_comes(void **state)
{
    (void)state;
    struct dkit k;
    size_t used;
    build(&k, 1);
    disk_take_begin(k.disk, 60);
    assert_int_equal(put_all(&k, buf_slice(&big_body), 64 * 1024, &used), DISK_TAKE_DONE);
    assert_in_range(disk_take_backlog(k.disk), 1, 3 << 20);
    assert_true(dkit_exists(&k, "tmp.taken.snapshot.3c"));
    disk_take_commit(k.disk, k.tree);
    dkit_settle(&k);
    assert_int_equal(k.replaced, 1);
    assert_int_equal(disk_take_backlog(k.disk), 0);
    assert_int_equal(tree_zxid(k.tree), 60);
    assert_int_equal(tree_node_count(k.tree), 4 + 27 + BIG_NODES + 1);
    models_reopen(&k, true);
    assert_int_equal(tree_zxid(k.tree), 60);
    dkit_fini(&k);
}

// ---- crashes and errors
// --------------------------------------------------------------------------

static bool crash_at(uint64_t call, uint64_t seed, int64_t zxid)
{
    struct dkit k;
    build(&k, seed);
    crashdisk_crash_after(k.f->disk, call);
    take(&k, zxid, buf_slice(&bodies[zxid]));
    bool over = !crashdisk_is_down(k.f->disk);
    assert_int_equal(k.replaced + k.broken + k.sync_failed, 1);
    bool told = k.replaced > 0;
    assert_true(told || !over);
    models_reopen(&k, seed > 1);
    int64_t found = tree_zxid(k.tree);
    if (found != zxid && (told || found != LAST)) {
        fail_msg("crash at call %d, seed %d: zxid %d", (int)call, (int)seed, (int)found);
    }
    models_expect(&k, found);
    dkit_append_n(&k, 2);
    models_reopen(&k, true);
    models_expect(&k, found + 2);
    assert_false(dkit_exists(&k, "tmp.taken.snapshot.1e"));
    dkit_fini(&k);
    return over;
}

static void a_crash_at_every_call(void **state)
{
    (void)state;
    static const int64_t zxids[] = {30, 10, LAST};
    for (uint64_t seed = 1; seed <= 9; seed++) {
        for (size_t i = 0; i < 3; i++) {
            uint64_t call = 1;
            while (!crash_at(call, seed, zxids[i])) {
                call++;
            }
            assert_in_range(call, 15, 200);
        }
    }
}

// It dies behind the decision, and again at every call of the start that finishes.
static void a_crash_of_the_start_that_finishes_it(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        bool over = false;
        for (uint64_t call = 1; !over; call++) {
            struct dkit k;
            bool decided = false;
            build(&k, seed);
            for (uint64_t n = 5; !decided && n < 60; n++) {
                dkit_fini(&k);
                build(&k, seed);
                crashdisk_crash_after(k.f->disk, n);
                take(&k, 30, buf_slice(&bodies[30]));
                dkit_close(&k);
                fake_env_reboot(k.f, false);
                decided = dkit_exists(&k, "taken.snapshot.1e");
            }
            assert_true(decided);
            crashdisk_crash_after(k.f->disk, call);
            over = dkit_open(&k) == ERR_OK && !crashdisk_is_down(k.f->disk);
            dkit_close(&k);
            fake_env_reboot(k.f, true);
            assert_int_equal(dkit_open(&k), ERR_OK);
            int64_t found = tree_zxid(k.tree);
            assert_true(found == 30 || (!over && found == LAST)); // the name was not durable yet
            models_expect(&k, found);
            assert_false(dkit_exists(&k, "taken.snapshot.1e"));
            dkit_fini(&k);
        }
    }
}

static void an_error_at_every_call(void **state)
{
    (void)state;
    static const enum err errors[] = {ERR_IO, ERR_NOSPACE};
    for (size_t i = 0; i < 6; i++) {
        bool over = false;
        for (uint64_t call = 1; !over; call++) {
            struct dkit k;
            build(&k, 1 + i / 2);
            fake_env_fail(k.f, call, errors[i % 2]);
            take(&k, 30, buf_slice(&bodies[30]));
            over = k.f->calls < k.f->fail_at;
            k.f->fail_at = 0;
            assert_int_equal(k.replaced + k.broken + k.sync_failed, 1);
            int64_t want = k.replaced ? 30 : LAST;
            if (k.broken) {
                models_reopen(&k, true);
                assert_true(tree_zxid(k.tree) == 30 || tree_zxid(k.tree) == LAST);
                want = tree_zxid(k.tree);
            }
            models_expect(&k, want);
            dkit_append_n(&k, 2);
            models_reopen(&k, true);
            models_expect(&k, want + 2);
            dkit_fini(&k);
        }
    }
}

static void a_full_disk_loses_nothing(void **state)
{
    (void)state;
    struct dkit k;
    size_t used;
    build(&k, 1);
    crashdisk_set_capacity(k.f->disk, crashdisk_used(k.f->disk) + (5 << 19));
    disk_take_begin(k.disk, 60);
    assert_int_equal(put_all(&k, buf_slice(&big_body), 64 * 1024, &used), DISK_TAKE_BAD);
    assert_int_equal(k.sync_failed, 1);
    assert_int_equal(disk_take_backlog(k.disk), 0);
    disk_take_commit(k.disk, k.tree); // it has been said
    disk_take_abandon(k.disk);
    dkit_settle(&k);
    assert_int_equal(k.sync_failed, 1);
    assert_false(dkit_exists(&k, "tmp.taken.snapshot.3c"));
    dkit_append_n(&k, 3);
    models_reopen(&k, true);
    models_expect(&k, LAST + 3);
    dkit_fini(&k);
}

// A piece in flight fails when the commit is waiting for it already.
static void a_last_piece_that_fails_is_told_by_the_commit(void **state)
{
    (void)state;
    struct dkit k;
    size_t used;
    build(&k, 1);
    disk_take_begin(k.disk, 60);
    assert_int_equal(disk_take_put(k.disk, buf_slice(&big_body), &used), DISK_TAKE_DONE);
    disk_allow_snapshots(k.disk, true);
    disk_snapshot_soon(k.disk);
    dkit_turn(&k);
    disk_take_commit(k.disk, k.tree); // also gives the snapshot up
    assert_false(disk_settled(k.disk));
    fake_env_fail(k.f, 2, ERR_IO);
    dkit_settle(&k);
    assert_int_equal(k.sync_failed, 1);
    assert_int_equal(k.replaced, 0);
    models_expect(&k, LAST);
    dkit_settle(&k);
    assert_int_equal(k.snapped, 2); // the one given up, begun again
    dkit_append_n(&k, 1);
    models_reopen(&k, true);
    models_expect(&k, LAST + 1);
    dkit_fini(&k);
}

// ---- refused
// -------------------------------------------------------------------------------------

static void garbage_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
        {"\xff\xff\xff\xff", 4},                          // sessions below zero
        {"\0\0\0\0\xff\xff\xff\xff", 8},                  // ACL lists below zero
        {"\0\0\0\0\0\0\0\0\x7f\xff\xff\xff", 12},         // a path of two gigabytes
        {"\0\0\0\0\0\0\0\0\0\0\0\0\x7f\xff\xff\xff", 16}, // data of two gigabytes
        {"\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xfe", 16}, // data below null
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dkit k;
        size_t used;
        build(&k, 1);
        disk_take_begin(k.disk, 30);
        struct slice s = slice_of((const uint8_t *)rows[i].bytes, rows[i].n);
        enum disk_take r = disk_take_put(k.disk, s, &used);
        if (r != DISK_TAKE_BAD) {
            fail_msg("row %d: %d", (int)i, (int)r);
        }
        assert_int_equal(disk_take_put(k.disk, s, &used), DISK_TAKE_BAD);
        disk_take_abandon(k.disk);
        take(&k, 30, buf_slice(&bodies[30])); // another is not hurt by it
        models_expect(&k, 30);
        dkit_fini(&k);
    }
}

static void put_node(struct buf *b, const char *path)
{
    struct slice s = slice_str(path);
    buf_put_i32(b, (int32_t)s.n);
    buf_put_slice(b, s);
    buf_put_i32(b, -1);
    memset(buf_reserve(b, 68), 0, 68);
}

// It has the shape of a snapshot, and is no tree: found before anything is given up for it.
static void what_cannot_be_loaded_is_not_installed(void **state)
{
    (void)state;
    static const char *const paths[] = {"/a/b", "/a", "//", "/x/"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct dkit k;
        struct buf b = {0};
        build(&k, 1);
        buf_put_i64(&b, 0); // no sessions, no lists
        if (i != 1) {
            put_node(&b, "");
        }
        put_node(&b, paths[i]);
        buf_put(&b, "\0\0\0\1/", 5);
        take(&k, 30, buf_slice(&b));
        assert_int_equal(k.sync_failed, 1);
        assert_true(fake_env_logged(k.f, "no parent"));
        models_expect(&k, LAST);
        assert_true(dkit_exists(&k, "snapshot.8"));
        dkit_append_n(&k, 1);
        models_reopen(&k, true);
        models_expect(&k, LAST + 1);
        buf_fini(&b);
        dkit_fini(&k);
    }
}

// ---- abandoned
// -----------------------------------------------------------------------------------

static void it_can_be_abandoned_at_any_time(void **state)
{
    (void)state;
    for (int jobs = -1; jobs < 4; jobs++) {
        struct dkit k;
        size_t used;
        build(&k, 1);
        disk_take_begin(k.disk, 60);
        if (jobs >= 0) {
            assert_int_equal(
                disk_take_put(k.disk, slice_head(buf_slice(&big_body), 3 << 20), &used),
                DISK_TAKE_MORE);
        }
        for (int i = 0; i < jobs; i++) {
            dkit_job(&k, ENV_LANE_BACKGROUND);
        }
        disk_take_abandon(k.disk);
        disk_take_abandon(k.disk);
        assert_int_equal(disk_take_backlog(k.disk), 0);
        assert_int_equal(disk_take_put(k.disk, buf_slice(&bodies[30]), &used), DISK_TAKE_BAD);
        if (jobs % 2 == 0) {
            dkit_settle(&k);
            assert_false(dkit_exists(&k, "tmp.taken.snapshot.3c"));
        }
        take(&k, 30, buf_slice(&bodies[30]));
        assert_int_equal(k.replaced, 1);
        assert_int_equal(k.sync_failed, 0);
        assert_false(dkit_exists(&k, "tmp.taken.snapshot.3c"));
        models_expect(&k, 30);
        dkit_fini(&k);
    }
}

// What happens to a piece of one abandoned is nothing to the next.
static void a_piece_of_one_abandoned_fails_unheard(void **state)
{
    (void)state;
    struct dkit k;
    size_t used;
    build(&k, 1);
    disk_take_begin(k.disk, 60);
    struct slice part = slice_head(buf_slice(&big_body), 2 << 20);
    assert_int_equal(disk_take_put(k.disk, part, &used), DISK_TAKE_MORE);
    disk_take_abandon(k.disk);
    disk_take_begin(k.disk, 30);
    assert_int_equal(disk_take_put(k.disk, buf_slice(&bodies[30]), &used), DISK_TAKE_DONE);
    fake_env_fail(k.f, 1, ERR_NOSPACE);
    dkit_settle(&k);
    assert_int_equal(k.sync_failed, 0);
    disk_take_commit(k.disk, k.tree);
    dkit_settle(&k);
    assert_int_equal(k.replaced, 1);
    models_expect(&k, 30);
    dkit_fini(&k);
}

// Shut down in the middle: nothing leaks, the old state stands.
static void a_server_can_stop_in_the_middle(void **state)
{
    (void)state;
    for (int jobs = 0; jobs < 3; jobs++) {
        struct dkit k;
        size_t used;
        build(&k, 1);
        disk_take_begin(k.disk, 60);
        struct slice part = slice_head(buf_slice(&big_body), 3 << 20);
        assert_int_equal(disk_take_put(k.disk, part, &used), DISK_TAKE_MORE);
        for (int i = 0; i < jobs; i++) {
            dkit_job(&k, ENV_LANE_BACKGROUND);
        }
        models_reopen(&k, false);
        assert_false(dkit_exists(&k, "tmp.taken.snapshot.3c"));
        models_expect(&k, LAST);
        dkit_fini(&k);
    }
}

// ---- Apache's
// ------------------------------------------------------------------------------------

// What a leader of Apache's sent to a learner that needed a snapshot, byte for byte.
static void apaches_stream_is_taken(void **state)
{
    (void)state;
    struct buf wire = {0};
    dkit_read_file("test/golden/disk/wire/sync-snap.from-leader.bin", &wire);
    assert_int_equal(wire.n, 2569);
    size_t end = 0;
    while (memcmp(wire.p + end, signature, sizeof(signature) - 1) != 0) {
        end++;
    }
    size_t begin = 0; // behind the packet SNAP
    while (be32_get(wire.p + begin) != 15) {
        begin++;
    }
    int64_t zxid = (int64_t)be64_get(wire.p + begin + 4);
    begin += 20;
    struct dkit k;
    size_t used;
    build(&k, 1);
    disk_take_begin(k.disk, zxid);
    struct slice rest = slice_skip(buf_slice(&wire), begin);
    assert_int_equal(disk_take_put(k.disk, rest, &used), DISK_TAKE_DONE);
    assert_int_equal(used, end - begin);
    disk_take_commit(k.disk, k.tree);
    dkit_settle(&k);
    assert_int_equal(k.replaced, 1);
    assert_int_equal(tree_zxid(k.tree), zxid);
    assert_int_equal(tree_node_count(k.tree), 5); // of a fresh ensemble
    char *model = get_model(k.tree);
    models_reopen(&k, true);
    expect_tree(&k, zxid, model);
    free(model);
    buf_fini(&wire);
    dkit_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_end_is_found_however_it_comes),
        cmocka_unit_test(what_was_there_is_set_aside_for_one_generation),
        cmocka_unit_test(a_large_one_goes_to_the_disk_while_it_comes),
        cmocka_unit_test(a_crash_at_every_call),
        cmocka_unit_test(a_crash_of_the_start_that_finishes_it),
        cmocka_unit_test(an_error_at_every_call),
        cmocka_unit_test(a_full_disk_loses_nothing),
        cmocka_unit_test(a_last_piece_that_fails_is_told_by_the_commit),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(what_cannot_be_loaded_is_not_installed),
        cmocka_unit_test(it_can_be_abandoned_at_any_time),
        cmocka_unit_test(a_piece_of_one_abandoned_fails_unheard),
        cmocka_unit_test(a_server_can_stop_in_the_middle),
        cmocka_unit_test(apaches_stream_is_taken),
    };
    return cmocka_run_group_tests(tests, make_models, free_models);
}
