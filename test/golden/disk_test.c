// SPDX-License-Identifier: Apache-2.0
//
// Files that Apache's servers wrote, read by ours: test/golden/disk. Every snapshot with the logs
// restores to the tree that was compared with the live server's answers; every record is encoded
// again to the same bytes; our snapshot of the tree holds the same node records.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "disk/logfile.h"
#include "disk/snapfile.h"
#include "test/support/disk_kit.h"
#include "wire/txn.h"

#define GOLDEN "test/golden/disk/"

static const char *const LOGS[] = {"log.100000001", "log.10000000e", "log.100000026",
                                   "log.100000034", NULL};

static void plant(struct dkit *k, const char *dir, const char *name)
{
    char from[256], to[256];
    snprintf(from, sizeof(from), GOLDEN "%s%s", dir, name);
    snprintf(to, sizeof(to), DKIT_V2 "/%s", name);
    struct buf b = {0};
    dkit_read_file(from, &b);
    assert_true(b.n > 0);
    fake_env_plant(k->f, to, buf_slice(&b));
    buf_fini(&b);
}

// Line by line: cmocka cuts long texts.
static void expect_lines(const char *what, const char *got, const char *want)
{
    while (*got || *want) {
        int g = (int)strcspn(got, "\n"), w = (int)strcspn(want, "\n");
        // When a quorum server starts it sets the mtime of its own /zookeeper/config.
        bool config = strncmp(got, "node /zookeeper/config ", 23) == 0;
        if (g != w || (memcmp(got, want, (size_t)g) != 0 && !config)) {
            fail_msg("%s: got  %.*s\nwant %.*s", what, g, got, w, want);
        }
        got += g + (got[g] == '\n');
        want += w + (want[w] == '\n');
    }
}

static void expect_tree(struct dkit *k, const char *dir)
{
    char path[256];
    snprintf(path, sizeof(path), GOLDEN "%stree.txt", dir);
    struct buf want = {0}, got = {0};
    dkit_read_file(path, &want);
    assert_true(want.n > 0);
    buf_put_u8(&want, 0);
    dkit_dump(k->tree, &got);
    expect_lines(dir, (const char *)got.p, (const char *)want.p);
    tree_check(k->tree);
    if (tree_digest_mismatches(k->tree) != 0) {
        fail_msg("%s: digests do not fit: %.*s", dir, (int)k->f->log.n, (char *)k->f->log.p);
    }
    buf_fini(&want);
    buf_fini(&got);
}

// Restores from a directory's files, twice: the second start must find what the first left.
static void restore(const char *dir, const char *snapshot, const char *const *logs)
{
    struct dkit k;
    dkit_init(&k, 1);
    plant(&k, dir, snapshot);
    for (; *logs; logs++) {
        plant(&k, dir, *logs);
    }
    for (int i = 0; i < 2; i++) {
        if (dkit_open(&k)) {
            fail_msg("%s%s: %.*s", dir, snapshot, (int)k.f->log.n, (const char *)k.f->log.p);
        }
        expect_tree(&k, dir);
        dkit_close(&k);
        fake_env_reboot(k.f, true);
    }
    dkit_fini(&k);
}

static void every_snapshot_with_the_logs(void **state)
{
    (void)state;
    restore("", "snapshot.0", LOGS);
    restore("", "snapshot.10000000c", LOGS);
    restore("", "snapshot.100000024", LOGS);
    restore("", "snapshot.100000032", LOGS);
}

static void logs_of_other_versions(void **state)
{
    (void)state;
    static const char *const one[] = {"log.100000001", NULL};
    static const char *const two[] = {"log.100000001", "log.100000005", NULL};
    restore("log-3.5.10-leader/", "snapshot.0", one);
    restore("log-3.9.5-follower/", "snapshot.0", two);
    restore("reconfig/", "snapshot.0", one);
}

static const struct {
    const char *dir, *name;
} VARIANTS[] = {{"variants/3.5.10/", "snapshot.100000039"},
                {"variants/3.6.4/", "snapshot.100000039"},
                {"variants/3.8.0/", "snapshot.100000039"},
                {"variants/3.8.0-digest-disabled/", "snapshot.100000039"},
                {"variants/3.8.0-gz/", "snapshot.100000039.gz"},
                {"variants/3.8.0-snappy/", "snapshot.100000039.snappy"},
                {"variants/3.9.5/", "snapshot.100000039"},
                {"variants/3.9.5-serializeLastProcessedZxid-disabled/", "snapshot.100000039"}};

static void snapshots_of_every_version(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(VARIANTS) / sizeof(VARIANTS[0]); i++) {
        struct dkit k;
        dkit_init(&k, 1);
        plant(&k, VARIANTS[i].dir, VARIANTS[i].name);
        if (dkit_open(&k)) {
            fail_msg("%s: %.*s", VARIANTS[i].dir, (int)k.f->log.n, (const char *)k.f->log.p);
        }
        expect_tree(&k, "");
        dkit_fini(&k);
    }
}

static void a_directory_with_all_of_it(void **state)
{
    (void)state;
    struct dkit k;
    dkit_init(&k, 1);
    plant(&k, "", "snapshot.0");
    plant(&k, "", "snapshot.10000000c");
    plant(&k, "", "snapshot.100000024");
    plant(&k, "", "snapshot.100000032");
    for (size_t i = 0; LOGS[i]; i++) {
        plant(&k, "", LOGS[i]);
    }
    assert_int_equal(dkit_open(&k), ERR_OK);
    expect_tree(&k, "");
    struct disk_stats s;
    disk_get_stats(k.disk, &s);
    assert_int_equal(s.last_snap_zxid, 0x100000032);
    assert_int_equal(s.recovered_txns, 7);
    dkit_fini(&k);
}

// ---- records -----------------------------------------------------------------------------------

static int reencode(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), GOLDEN "%s", name);
    struct buf file = {0}, again = {0}, framed = {0};
    struct arena a = {0};
    dkit_read_file(path, &file);
    assert_true(file.n > 16);
    assert_int_equal(logfile_check_header(buf_slice(&file)), ERR_OK);
    logfile_put_header(&framed);
    struct slice at = slice_skip(buf_slice(&file), LOGFILE_HEADER_LEN), entry;
    size_t used, records = framed.n;
    int n = 0;
    for (;; n++) {
        enum logfile_next next = logfile_next(at, 1 << 20, &entry, &used);
        if (next != LOGFILE_RECORD) {
            assert_true(next == LOGFILE_END || (next == LOGFILE_MORE && at.n == 0));
            break;
        }
        struct txn t;
        assert_int_equal(txn_decode(entry, 1 << 20, &a, &t), ERR_OK);
        buf_clear(&again);
        txn_encode(&again, &t);
        assert_int_equal(again.n, entry.n);
        assert_memory_equal(again.p, entry.p, entry.n);
        logfile_put_record(&framed, entry);
        at = slice_skip(at, used);
        arena_reset(&a);
    }
    logfile_seal(framed.p + records, framed.n - records);
    assert_memory_equal(framed.p, file.p, framed.n);
    buf_fini(&file);
    buf_fini(&again);
    buf_fini(&framed);
    arena_fini(&a);
    return n;
}

static void records_come_back_byte_for_byte(void **state)
{
    (void)state;
    int n = 0;
    for (size_t i = 0; LOGS[i]; i++) {
        n += reencode(LOGS[i]);
    }
    assert_int_equal(n, 57);
    assert_true(reencode("log-3.9.5-follower/log.100000001") > 0);
    assert_true(reencode("log-3.9.5-follower/log.100000005") > 0);
    assert_true(reencode("log-3.5.10-leader/log.100000001") > 0);
    assert_true(reencode("reconfig/log.100000001") > 0);
    assert_true(reencode("trunc/log.400000001.before-TRUNC-to-400000002") > 0);
    assert_int_equal(reencode("trunc/log.400000001.after"), 2);
}

// ---- our snapshot of their tree ----------------------------------------------------------------

struct records {
    struct buf v[64]; // path and stored node, the ACL as its list
    size_t n;
};

static int by_bytes(const void *a, const void *b)
{
    const struct buf *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int c = memcmp(x->p, y->p, n);
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

// The node records of a snapshot file, sorted. ACL ids are each server's own: replaced by the list.
static void take_records(struct slice file, struct records *r)
{
    struct snapfile_parser p;
    struct snapfile_value v;
    struct buf lists[32] = {{0}};
    *r = (struct records){.n = 0};
    snapfile_init(&p, 1 << 20);
    snapfile_feed(&p, file);
    for (enum snapfile_item it; (it = snapfile_next(&p, &v)) != SNAPFILE_MORE;) {
        assert_int_not_equal(it, SNAPFILE_BAD);
        if (it == SNAPFILE_ACL) {
            assert_true(v.id > 0 && v.id < 32);
            for (int32_t i = 0; i < v.acl.n; i++) {
                buf_put_i32(&lists[v.id], v.acl.v[i].perms);
                jute_put_bytes(&lists[v.id], v.acl.v[i].id.scheme);
                jute_put_bytes(&lists[v.id], v.acl.v[i].id.id);
            }
        } else if (it == SNAPFILE_NODE) {
            assert_true(r->n < 64);
            struct buf *b = &r->v[r->n++];
            jute_put_bytes(b, v.path);
            if (v.node.acl > 0) {
                buf_put_slice(b, buf_slice(&lists[v.node.acl]));
            }
            v.node.acl = v.node.acl < 0 ? v.node.acl : 0;
            jute_put_record(b, &record_data_node, &v.node);
        }
    }
    struct snapfile_info info;
    assert_int_equal(snapfile_finish(&p, &info), ERR_OK);
    qsort(r->v, r->n, sizeof(r->v[0]), by_bytes);
    snapfile_fini(&p);
    for (size_t i = 0; i < 32; i++) {
        buf_fini(&lists[i]);
    }
}

static void our_snapshot_has_their_records(void **state)
{
    (void)state;
    struct dkit k;
    dkit_init(&k, 1);
    plant(&k, "variants/3.9.5/", "snapshot.100000039");
    struct buf theirs = {0};
    dkit_read_file(GOLDEN "variants/3.9.5/snapshot.100000039", &theirs);
    assert_int_equal(dkit_open(&k), ERR_OK);
    disk_snapshot_soon(k.disk);
    dkit_settle(&k);
    assert_int_equal(k.snapped, 1);
    struct slice ours = fake_env_peek(k.f, DKIT_V2 "/snapshot.100000039");
    assert_int_equal(ours.n, theirs.n);
    struct records a, b;
    take_records(ours, &a);
    take_records(buf_slice(&theirs), &b);
    assert_int_equal(a.n, 27);
    assert_int_equal(a.n, b.n);
    for (size_t i = 0; i < a.n; i++) {
        assert_int_equal(a.v[i].n, b.v[i].n);
        assert_memory_equal(a.v[i].p, b.v[i].p, a.v[i].n);
        buf_fini(&a.v[i]);
        buf_fini(&b.v[i]);
    }
    // The sections behind the nodes say the same; only the checksums follow the order of nodes.
    assert_memory_equal(ours.p + ours.n - 54, theirs.p + theirs.n - 54, 20);
    assert_memory_equal(ours.p + ours.n - 21, theirs.p + theirs.n - 21, 8);
    buf_fini(&theirs);
    dkit_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_snapshot_with_the_logs),
        cmocka_unit_test(logs_of_other_versions),
        cmocka_unit_test(snapshots_of_every_version),
        cmocka_unit_test(a_directory_with_all_of_it),
        cmocka_unit_test(records_come_back_byte_for_byte),
        cmocka_unit_test(our_snapshot_has_their_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
