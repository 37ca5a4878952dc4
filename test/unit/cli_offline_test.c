// SPDX-License-Identifier: Apache-2.0
//
// `reeve log` and `reeve snapshot`: what they say of sound files, of every cut and of random
// damage. The judge of a log is the server's own replay on the same bytes: what it takes for torn
// must be torn here, what stops it must be damage.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "cli/log_check.h"
#include "cli/log_recover.h"
#include "cli/log_text.h"
#include "cli/offline_run.h"
#include "cli/offline_text.h"
#include "cli/snap_compare.h"
#include "cli/snap_summary.h"
#include "disk/logfile.h"
#include "disk/replay.h"
#include "limits.h"
#include "test/support/disk_kit.h"
#include "test/support/log_kit.h"
#include "tree/load.h"

#define DIR    "/data/version-2"
#define GOLDEN "test/golden/disk/"

// ---- commands -----------------------------------------------------------------------------------

struct said {
    struct buf out, errors;
    int code;
};

static void keep(void *ctx, const char *sentence)
{
    struct said *s = ctx;
    buf_fmt(&s->errors, "%s\n", sentence);
}

static bool go_on(void *ctx, const char *path, uint64_t at, uint64_t size)
{
    (void)ctx;
    (void)path;
    (void)at;
    (void)size;
    return true;
}

static void read_back(FILE *f, struct said *s)
{
    char part[4096];
    size_t n;
    rewind(f);
    while ((n = fread(part, 1, sizeof(part), f)) > 0) {
        buf_put(&s->out, part, n);
    }
    buf_put_u8(&s->out, 0);
    buf_put_u8(&s->errors, 0);
    fclose(f);
}

static struct said run_log(struct log_request q, const char *word)
{
    struct said s = {0};
    char *words[] = {(char *)(uintptr_t)word};
    FILE *f = tmpfile();
    assert_non_null(f);
    bool json = q.sh.json;
    q.words = words;
    q.words_n = 1;
    q.to = q.to ? q.to : UINT64_MAX;
    q.sh = (struct offline_shell){f, json, keep, go_on, &s};
    s.code = log_run(&q);
    read_back(f, &s);
    return s;
}

static struct said run_snap(struct snap_request q, const char *a, const char *b)
{
    struct said s = {0};
    char *words[] = {(char *)(uintptr_t)a, (char *)(uintptr_t)b};
    FILE *f = tmpfile();
    assert_non_null(f);
    bool json = q.sh.json;
    q.words = words;
    q.words_n = b ? 2 : 1;
    q.sh = (struct offline_shell){f, json, keep, go_on, &s};
    s.code = snap_run(&q);
    read_back(f, &s);
    return s;
}

static bool has(const struct buf *b, const char *text)
{
    return strstr((const char *)b->p, text) != NULL;
}

static void said_fini(struct said *s)
{
    buf_fini(&s->out);
    buf_fini(&s->errors);
}

// ---- golden logs --------------------------------------------------------------------------------

static void golden_logs_are_whole(void **state)
{
    (void)state;
    static const char *const places[] = {GOLDEN,
                                         GOLDEN "log-3.5.10-leader",
                                         GOLDEN "log-3.9.5-follower",
                                         GOLDEN "reconfig",
                                         GOLDEN "trunc/log.400000001.after",
                                         GOLDEN "trunc/log.400000001.before-TRUNC-to-400000002"};
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        struct said s = run_log((struct log_request){.check = true}, places[i]);
        assert_int_equal(s.code, OFFLINE_OK);
        assert_true(has(&s.out, ": whole\n"));
        assert_false(has(&s.out, "offset"));
        said_fini(&s);
    }
}

// Each record as an independent reader of Apache's files has it.
static void golden_records_are_read(void **state)
{
    (void)state;
    struct buf want = {0};
    dkit_read_file(GOLDEN "log-records.txt", &want);
    buf_put_u8(&want, 0);
    struct said s = run_log((struct log_request){.sh.json = true}, GOLDEN);
    assert_int_equal(s.code, OFFLINE_OK);
    const char *at = (const char *)s.out.p;
    int n = 0;
    for (char *save, *line = strtok_r((char *)want.p, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        unsigned long long off, len, zxid, session, cxid, time;
        char op[32], expected[512];
        if (sscanf(line, " @%llu len %llu zxid 0x%llx session 0x%llx cxid %llu time %llu %31s",
                   &off, &len, &zxid, &session, &cxid, &time, op) != 7) {
            continue;
        }
        snprintf(expected, sizeof(expected),
                 "\"time_ms\":%llu,\"session\":\"0x%llx\",\"cxid\":%llu,\"offset\":%llu,"
                 "\"length\":%llu,\"op\":\"%s\"",
                 time, session, cxid, off, len, op);
        char head[64];
        snprintf(head, sizeof(head), "{\"zxid\":\"0x%llx\",", zxid);
        assert_int_equal(strncmp(at, head, strlen(head)), 0);
        size_t line_n = strcspn(at, "\n");
        char *got = strndup(at, line_n);
        assert_non_null(strstr(got, expected));
        free(got);
        at += line_n + 1;
        n++;
    }
    assert_int_equal(n, 57);
    assert_int_equal(*at, '\0');
    buf_fini(&want);
    said_fini(&s);
}

static void a_range_of_zxids_is_printed(void **state)
{
    (void)state;
    struct log_request q = {.from = 0x10000000d, .to = 0x10000000e};
    struct said s = run_log(q, GOLDEN);
    assert_int_equal(s.code, OFFLINE_OK);
    assert_string_equal((char *)s.out.p,
                        "2026-11-20T22:16:48.046Z session 0x100001e2f880000 cxid 11 zxid "
                        "0x10000000d create2 /app/seq-0000000005 2 bytes\n"
                        "2026-11-20T22:16:48.052Z session 0x100001e2f880000 cxid 12 zxid "
                        "0x10000000e create2 /app/seq-0000000006 2 bytes\n");
    said_fini(&s);
}

static void what_is_no_log_is_said(void **state)
{
    (void)state;
    struct said s = run_log((struct log_request){.check = true}, GOLDEN "snapshot.0");
    assert_int_equal(s.code, OFFLINE_NO);
    assert_true(has(&s.out, "it does not begin as a transaction log"));
    said_fini(&s);
    s = run_log((struct log_request){0}, "test/golden/nothing");
    assert_int_equal(s.code, OFFLINE_NO);
    assert_true(has(&s.errors, "cannot read test/golden/nothing: no such file or directory"));
    said_fini(&s);
    s = run_log((struct log_request){0}, "test/golden");
    assert_int_equal(s.code, OFFLINE_NO);
    assert_true(has(&s.errors, "test/golden has no transaction log"));
    said_fini(&s);
}

// ---- damage, judged by the server's replay ------------------------------------------------------

// Checks a file of a fake disk, alone or as one of several.
static enum log_verdict check_files(struct fake_env *f, const char *const *names, struct buf *text)
{
    struct offline_file files[4] = {0};
    struct log_check c;
    size_t n = 0;
    for (; names[n]; n++) {
        files[n].path = disk_path(DIR, names[n]);
        files[n].dir = mem_strdup(DIR);
        disk_name_parse(names[n], &files[n].name);
        files[n].last = names[n + 1] == NULL;
    }
    log_check_init(&c, &f->env);
    for (size_t i = 0; i < n; i++) {
        struct log_scan s;
        struct log_item item = {0};
        uint64_t at = 0;
        assert_int_equal(log_scan_open(&s, &f->env, files[i].path), ERR_OK);
        log_check_begin(&c, &files[i]);
        while (item.kind != LOG_ITEM_END) {
            assert_int_equal(log_scan_next(&s, &item), ERR_OK);
            assert_true(item.off == at || (at == 0 && item.off == LOGFILE_HEADER_LEN));
            at = item.off + item.len;
            log_check_item(&c, &item);
        }
        assert_int_equal(at, s.w.size);
        log_check_end(&c);
        if (text) {
            log_check_text(&c, text);
        }
        log_scan_close(&s);
    }
    for (size_t i = 0; i < n; i++) {
        mem_free(files[i].path);
        mem_free(files[i].dir);
    }
    enum log_verdict worst = c.worst;
    log_check_fini(&c);
    return worst;
}

static enum log_verdict verdict_of_replay(struct fake_env *f)
{
    struct disk_files files;
    struct tree *tree = dkit_tree(&f->env.log);
    struct replay r;
    struct replay_how how = {.until = INT64_MAX};
    assert_int_equal(disk_files_list(&f->env, DIR, &files), ERR_OK);
    enum err e = replay_logs(&f->env, DIR, &files, tree, &how, &r);
    assert_true(e == ERR_OK || e == ERR_CORRUPT);
    disk_files_fini(&files);
    tree_free(&tree);
    return e ? LOG_DAMAGED : r.cut > 0 ? LOG_TORN : LOG_WHOLE;
}

static enum log_verdict expect_as_replay(struct slice content)
{
    struct fake_env *f = fake_env_new(3);
    fake_env_plant(f, DIR "/log.1", content);
    static const char *const names[] = {"log.1", NULL};
    enum log_verdict mine = check_files(f, names, NULL);
    enum log_verdict theirs = verdict_of_replay(f);
    if (mine != theirs) {
        print_error("%zu bytes: %s here, %s for a start\n", content.n, log_verdict_text(mine),
                    log_verdict_text(theirs));
    }
    assert_int_equal(mine, theirs);
    fake_env_free(&f);
    return mine;
}

static void small_log(struct buf *b, int64_t n, size_t zeros)
{
    log_kit_header(b);
    log_kit_records(b, 1, n);
    memset(buf_reserve(b, zeros), 0, zeros);
}

static void every_cut_is_judged_as_by_a_start(void **state)
{
    (void)state;
    struct buf b = {0};
    small_log(&b, 4, 0);
    int counts[3] = {0};
    for (size_t n = 0; n <= b.n; n++) {
        counts[expect_as_replay(slice_of(b.p, n))]++;
    }
    // Whole only where a record ends, and as an empty file or header; the four zeros that each
    // checksum begins with are no different from the zeros of a file that was made longer.
    enum { WHOLE = 6 + 4 * 4 };
    assert_int_equal(counts[LOG_WHOLE], WHOLE);
    assert_int_equal(counts[LOG_DAMAGED], 0);
    assert_int_equal(counts[LOG_TORN], (int)b.n + 1 - WHOLE);
    buf_fini(&b);
}

static void every_cut_that_zeros_follow_is_judged_as_by_a_start(void **state)
{
    (void)state;
    struct buf b = {0};
    small_log(&b, 3, 700);
    size_t end = b.n - 700;
    for (size_t n = 0; n < end; n++) {
        struct buf cut = {0};
        buf_put(&cut, b.p, b.n);
        memset(cut.p + n, 0, end - n);
        expect_as_replay(buf_slice(&cut));
        buf_fini(&cut);
    }
    buf_fini(&b);
}

static void every_flipped_bit_is_judged_as_by_a_start(void **state)
{
    (void)state;
    struct buf b = {0};
    small_log(&b, 3, 100);
    for (size_t i = 0; i < b.n; i++) {
        // Version and dbid of the header are nobody's concern.
        if (i >= 4 && i < LOGFILE_HEADER_LEN) {
            continue;
        }
        uint8_t bit = (uint8_t)(1u << i % 8);
        b.p[i] ^= bit;
        assert_int_not_equal(expect_as_replay(buf_slice(&b)), LOG_WHOLE);
        b.p[i] ^= bit;
    }
    buf_fini(&b);
}

static void random_damage_is_judged_as_by_a_start(void **state)
{
    (void)state;
    struct rng rng = {20261121};
    struct buf b = {0};
    small_log(&b, 30, 1500);
    int counts[3] = {0};
    for (int round = 0; round < 400; round++) {
        struct buf bad = {0};
        buf_put(&bad, b.p, b.n);
        uint64_t kind = rng_below(&rng, 4);
        size_t at = LOGFILE_HEADER_LEN + (size_t)rng_below(&rng, b.n - LOGFILE_HEADER_LEN);
        size_t n = 1 + (size_t)rng_below(&rng, kind == 0 ? 4 : 1200);
        n = n < b.n - at ? n : b.n - at;
        for (size_t i = 0; i < n; i++) {
            bad.p[at + i] = kind == 1 ? 0 : (uint8_t)rng_next(&rng);
        }
        if (kind == 3) {
            bad.n = at;
        }
        counts[expect_as_replay(buf_slice(&bad))]++;
        buf_fini(&bad);
    }
    assert_true(counts[LOG_TORN] > 20);
    assert_true(counts[LOG_DAMAGED] > 20);
    buf_fini(&b);
}

// A batch that lacks a sector is torn only if nothing right stands more than a batch behind it.
static void a_right_record_far_behind_makes_it_damage(void **state)
{
    (void)state;
    struct buf b = {0};
    small_log(&b, 40, 0);
    memset(b.p + 1024, 0, 512);
    assert_int_equal(expect_as_replay(buf_slice(&b)), LOG_TORN);
    log_kit_records(&b, 41, 41 + LIMIT_LOG_BATCH / 100);
    assert_true(b.n > LIMIT_LOG_BATCH + 4096);
    assert_int_equal(expect_as_replay(buf_slice(&b)), LOG_DAMAGED);
    buf_fini(&b);
}

// Records that cross the ends of windows, and one larger than a window.
static void a_long_log_is_read_in_windows(void **state)
{
    (void)state;
    struct buf b = {0};
    small_log(&b, 20000, 64);
    assert_true(b.n > 2 * WINDOW_BYTES);
    assert_int_equal(expect_as_replay(buf_slice(&b)), LOG_WHOLE);
    b.p[b.n / 2] ^= 1;
    assert_int_equal(expect_as_replay(buf_slice(&b)), LOG_DAMAGED);
    buf_fini(&b);
}

// ---- between files ------------------------------------------------------------------------------

static enum log_verdict check_two(struct fake_env *f, struct buf *text)
{
    static const char *const names[] = {"log.1", "log.8", NULL};
    buf_clear(text);
    enum log_verdict v = check_files(f, names, text);
    buf_put_u8(text, 0);
    return v;
}

static void gaps_between_files_are_seen(void **state)
{
    (void)state;
    struct fake_env *f = fake_env_new(5);
    struct buf text = {0};
    LOG_KIT_PLANT(f, DIR "/log.1", 1, 7);
    LOG_KIT_PLANT(f, DIR "/log.8", 8, 9, ZX(1, 1), ZX(1, 4));
    assert_int_equal(check_two(f, &text), LOG_WHOLE);

    LOG_KIT_PLANT(f, DIR "/log.1", 1, 6);
    assert_int_equal(check_two(f, &text), LOG_DAMAGED);
    assert_true(has(&text, "no transactions between 0x6 and 0x8\n"));
    fake_env_plant(f, DIR "/snapshot.7", SLICE_LIT("whatever"));
    assert_int_equal(check_two(f, &text), LOG_WHOLE);
    assert_true(has(&text, "no transactions between 0x6 and 0x8; a snapshot has them"));

    LOG_KIT_PLANT(f, DIR "/log.1", 1, 9);
    assert_int_equal(check_two(f, &text), LOG_DAMAGED);
    assert_true(has(&text, "zxid 0x8 follows 0x9: it goes back"));

    LOG_KIT_PLANT(f, DIR "/log.1", 1, 6);
    LOG_KIT_PLANT(f, DIR "/log.8", 7, 9);
    assert_int_equal(check_two(f, &text), LOG_DAMAGED);
    assert_true(has(&text, "it begins with zxid 0x7, before that of its name"));
    buf_fini(&text);
    fake_env_free(&f);
}

static void a_torn_end_is_named(void **state)
{
    (void)state;
    struct fake_env *f = fake_env_new(6);
    struct buf b = {0}, text = {0};
    small_log(&b, 3, 0);
    fake_env_plant(f, DIR "/log.1", slice_of(b.p, b.n - 1));
    static const char *const names[] = {"log.1", NULL};
    assert_int_equal(check_files(f, names, &text), LOG_TORN);
    buf_put_u8(&text, 0);
    struct buf two = {0};
    small_log(&two, 2, 0);
    char want[64];
    snprintf(want, sizeof(want), "torn at offset %zu:", two.n);
    assert_true(has(&text, want));
    buf_fini(&two);
    buf_fini(&b);
    buf_fini(&text);
    fake_env_free(&f);
}

// ---- recovery -----------------------------------------------------------------------------------

static uint64_t recover(struct fake_env *f, const char *from, const char *to)
{
    struct log_scan s;
    struct log_recover r;
    struct log_item item = {0};
    assert_int_equal(log_scan_open(&s, &f->env, from), ERR_OK);
    assert_int_equal(log_recover_begin(&r, &f->env, to), ERR_OK);
    while (item.kind != LOG_ITEM_END) {
        assert_int_equal(log_scan_next(&s, &item), ERR_OK);
        assert_int_equal(log_recover_item(&r, &item), ERR_OK);
    }
    assert_int_equal(log_recover_end(&r), ERR_OK);
    uint64_t n = r.written;
    log_recover_fini(&r);
    log_scan_close(&s);
    return n;
}

static void half_a_recovery_leaves_nothing(void **state)
{
    (void)state;
    struct fake_env *f = fake_env_new(8);
    struct log_recover r;
    assert_int_equal(log_recover_begin(&r, &f->env, DIR "/out"), ERR_OK);
    log_recover_fini(&r);
    assert_int_equal(log_recover_begin(&r, &f->env, DIR "/out"), ERR_OK);
    assert_int_equal(log_recover_end(&r), ERR_OK);
    log_recover_fini(&r);
    assert_int_equal(log_recover_begin(&r, &f->env, DIR "/out"), ERR_EXISTS);
    fake_env_free(&f);
}

static void recovery_keeps_every_sound_record(void **state)
{
    (void)state;
    struct rng rng = {7};
    struct buf b = {0}, one = {0};
    small_log(&b, 1, 0);
    size_t first = b.n; // where the second begins
    buf_clear(&b);
    small_log(&b, 20, 300);
    for (int round = 0; round < 100; round++) {
        struct fake_env *f = fake_env_new(8);
        struct buf bad = {0};
        buf_put(&bad, b.p, b.n);
        size_t at = first + (size_t)rng_below(&rng, b.n - 300 - first);
        bad.p[at] ^= (uint8_t)(1 + rng_below(&rng, 255));
        fake_env_plant(f, DIR "/log.1", buf_slice(&bad));
        assert_int_equal(recover(f, DIR "/log.1", DIR "/out"), 19);
        assert_true(slice_eq(fake_env_peek(f, DIR "/log.1"), buf_slice(&bad)));
        struct log_recover again;
        assert_int_equal(log_recover_begin(&again, &f->env, DIR "/out"), ERR_EXISTS);
        // What was written is whole but for the one that is gone, and ends with its last record.
        static const char *const names[] = {"out", NULL};
        struct buf text = {0};
        check_files(f, names, &text);
        buf_put_u8(&text, 0);
        assert_true(has(&text, "19 records, zxid 0x1 to "));
        assert_false(has(&text, "checksum"));
        buf_fini(&text);
        buf_fini(&bad);
        fake_env_free(&f);
    }
    buf_fini(&one);
    buf_fini(&b);
}

static void put_entry(struct buf *b, struct slice entry)
{
    size_t at = b->n;
    logfile_put_record(b, entry);
    logfile_seal(b->p + at, b->n - at);
}

// Right checksums, and yet no transactions: too short, of a type that nobody knows, one that ends
// within a field, one that goes back.
static void what_is_no_transaction_is_left_out(void **state)
{
    (void)state;
    struct fake_env *f = fake_env_new(9);
    struct buf b = {0}, entry = {0}, text = {0};
    struct txn_header hdr = {.client_id = 1, .zxid = 3, .type = 77};
    small_log(&b, 2, 0);
    put_entry(&b, SLICE_LIT("short"));
    txn_encode_header(&entry, &hdr);
    put_entry(&b, buf_slice(&entry));
    buf_clear(&entry);
    hdr.type = OP_SET_DATA;
    txn_encode_header(&entry, &hdr);
    buf_put(&entry, "\0\0\0\x20/a", 6);
    put_entry(&b, buf_slice(&entry));
    log_kit_records(&b, 3, 3);
    log_kit_records(&b, 2, 2);
    log_kit_records(&b, 4, 5);
    fake_env_plant(f, DIR "/log.1", buf_slice(&b));
    static const char *const names[] = {"log.1", NULL};
    assert_int_equal(check_files(f, names, &text), LOG_DAMAGED);
    buf_put_u8(&text, 0);
    assert_true(has(&text, "a record of 5 bytes: it is too short for a transaction\n"));
    assert_true(has(&text, "a record of 32 bytes: its type is not known\n"));
    assert_true(has(&text, "a record of 38 bytes: its content is malformed\n"));
    assert_true(has(&text, "zxid 0x2 follows 0x3: it goes back\n"));
    assert_int_equal(recover(f, DIR "/log.1", DIR "/log.2"), 5);
    static const char *const out[] = {"log.2", NULL};
    buf_clear(&text);
    check_files(f, out, &text);
    buf_put_u8(&text, 0);
    assert_true(has(&text, "5 records, zxid 0x1 to 0x5, "));
    assert_false(has(&text, "record of"));
    buf_fini(&b);
    buf_fini(&entry);
    buf_fini(&text);
    fake_env_free(&f);
}

// ---- snapshots ----------------------------------------------------------------------------------

static void put_file(const char *path, struct slice content)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content.p, 1, content.n, f), content.n);
    assert_int_equal(fclose(f), 0);
}

static const char *const snapshots[] = {
    GOLDEN "snapshot.0",
    GOLDEN "snapshot.10000000c",
    GOLDEN "snapshot.100000024",
    GOLDEN "snapshot.100000032",
    GOLDEN "variants/3.5.10/snapshot.100000039",
    GOLDEN "variants/3.6.4/snapshot.100000039",
    GOLDEN "variants/3.8.0/snapshot.100000039",
    GOLDEN "variants/3.8.0-digest-disabled/snapshot.100000039",
    GOLDEN "variants/3.8.0-gz/snapshot.100000039.gz",
    GOLDEN "variants/3.8.0-snappy/snapshot.100000039.snappy",
    GOLDEN "variants/3.9.5/snapshot.100000039",
    GOLDEN "variants/3.9.5-serializeLastProcessedZxid-disabled/snapshot.100000039",
};

static void golden_snapshots_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(snapshots) / sizeof(*snapshots); i++) {
        struct said s = run_snap((struct snap_request){.data = true}, snapshots[i], NULL);
        assert_int_equal(s.code, OFFLINE_OK);
        assert_string_equal((char *)s.errors.p, "");
        assert_true(has(&s.out, "\n/zookeeper "));
        said_fini(&s);
        s = run_snap((struct snap_request){.summary = true, .depth = 1}, snapshots[i], NULL);
        assert_int_equal(s.code, OFFLINE_OK);
        assert_true(has(&s.out, "  /zookeeper\n"));
        said_fini(&s);
        // Every writer of that zxid wrote the same tree.
        const char *same = i >= 4 ? snapshots[4] : snapshots[i];
        s = run_snap((struct snap_request){.compare = true}, same, snapshots[i]);
        assert_int_equal(s.code, OFFLINE_OK);
        said_fini(&s);
    }
}

static void a_difference_is_told(void **state)
{
    (void)state;
    struct said s = run_snap((struct snap_request){.compare = true}, snapshots[1], snapshots[3]);
    assert_int_equal(s.code, OFFLINE_NO);
    assert_true(has(&s.out, "~ /: data 0 -> 9 bytes, version 0 -> 1\n"));
    assert_true(has(&s.out, "- /app/empty: 0 bytes\n"));
    assert_true(has(&s.out, "+ /zookeeper/quota/app: 3 nodes, 38 bytes\n"));
    assert_true(has(&s.out, "different: 22 created, 1 deleted, 1 changed, +110 bytes"));
    said_fini(&s);
    s = run_snap((struct snap_request){.compare = true, .nodes_min = 3}, snapshots[1],
                 snapshots[3]);
    assert_true(has(&s.out, "+ /app/m: 3 nodes, 4 bytes\n"));
    assert_false(has(&s.out, "~ /"));
    assert_false(has(&s.out, "/app/eph"));
    said_fini(&s);
}

static void a_summary_counts(void **state)
{
    (void)state;
    struct said s = run_snap((struct snap_request){.summary = true, .depth = 2, .sh.json = true},
                             snapshots[3], NULL);
    assert_int_equal(s.code, OFFLINE_OK);
    assert_true(has(&s.out, "{\"nodes\":31,\"data_bytes\":"));
    assert_true(has(&s.out, "\"ephemerals\":7,\"containers\":1,\"ttl_nodes\":2,\"sessions\":3"));
    assert_true(has(&s.out, "{\"path\":\"/app/cont\",\"nodes\":2,\"bytes\":2}"));
    assert_true(has(&s.out, "\"largest\":[{\"path\":\"/app/big\",\"bytes\":2048}"));
    assert_true(has(&s.out, "{\"session\":\"0x100001e2f880000\",\"ephemerals\":4}"));
    said_fini(&s);
}

// Loads bytes as a snapshot: never more than there was, and whole only if nothing is wrong.
static bool load_bytes(const char *path, struct slice content, uint64_t nodes_max)
{
    struct offline o;
    struct snap_file f = {0};
    struct offline_files files = {0};
    put_file(path, content);
    assert_int_equal(offline_open(&o), ERR_OK);
    assert_int_equal(offline_add(&o, &files, path, DISK_NAME_SNAPSHOT), ERR_OK);
    enum err e = snap_file_load(&f, &o, &files.v[0]);
    assert_true(e == ERR_OK || e == ERR_INVALID);
    assert_true(f.nodes <= nodes_max);
    assert_true(f.whole || e == ERR_INVALID || f.why[0]);
    if (f.tree) {
        struct snap_walk w;
        uint64_t n = 0;
        snap_walk_init(&w, &f);
        while (snap_walk_next(&w)) {
            n++;
        }
        snap_walk_fini(&w);
        assert_int_equal(n, f.nodes);
    }
    bool whole = f.whole;
    snap_file_fini(&f);
    offline_files_fini(&files);
    offline_close(&o);
    return whole;
}

static void cut_snapshots_are_read_as_far_as_they_go(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/reeve-snap-%d", (int)getpid());
    static const size_t picks[] = {1, 8, 9};
    for (size_t i = 0; i < sizeof(picks) / sizeof(*picks); i++) {
        struct buf b = {0};
        dkit_read_file(snapshots[picks[i]], &b);
        for (size_t n = 0; n<b.n; n += b.n> 1500 ? 13 : 5) {
            // A snapshot of before 3.6 ends at its first seal: no cut there can be told.
            bool whole = load_bytes(path, slice_of(b.p, n), 31);
            if (whole) {
                struct buf text = {0};
                buf_put(&text, b.p + n - 1, 1);
                assert_int_equal(text.p[0], '/');
                buf_fini(&text);
            }
        }
        assert_true(load_bytes(path, buf_slice(&b), 31));
        buf_fini(&b);
    }
    remove(path);
}

static void random_damage_of_snapshots_is_seen(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/reeve-snap-%d", (int)getpid());
    struct rng rng = {99};
    struct buf b = {0};
    dkit_read_file(snapshots[3], &b);
    for (int round = 0; round < 300; round++) {
        struct buf bad = {0};
        buf_put(&bad, b.p, b.n);
        size_t at = (size_t)rng_below(&rng, b.n), n = 1 + (size_t)rng_below(&rng, 8);
        bool changed = false;
        for (size_t i = at; i < at + n && i < b.n; i++) {
            bad.p[i] = (uint8_t)rng_next(&rng);
            changed = changed || bad.p[i] != b.p[i];
        }
        assert_true(!changed || !load_bytes(path, buf_slice(&bad), UINT64_MAX));
        buf_fini(&bad);
    }
    remove(path);
    buf_fini(&b);
}

static void damage_says_what_was_read(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/reeve-snap-%d", (int)getpid());
    struct buf b = {0};
    dkit_read_file(snapshots[3], &b);
    put_file(path, slice_of(b.p, b.n / 2));
    struct said s = run_snap((struct snap_request){0}, path, NULL);
    assert_int_equal(s.code, OFFLINE_NO);
    assert_true(has(&s.errors, "is damaged at offset "));
    assert_true(has(&s.errors, ": it ends too early\n"));
    assert_true(has(&s.errors, " nodes and 3 sessions stand before that"));
    assert_true(has(&s.out, "\n/ bytes=9 "));
    said_fini(&s);
    remove(path);
    buf_fini(&b);
}

// ---- comparing, node by node --------------------------------------------------------------------

struct given {
    const char *path, *data;
    int64_t acl, czxid, owner;
    int32_t version;
};

static void make_tree(struct snap_file *f, const struct given *v, size_t n)
{
    static struct acl lists[2] = {
        {PERM_ALL, {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}},
        {PERM_READ, {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}}};
    static const struct logger silent = {.level = LOG_ERROR};
    *f = (struct snap_file){.tree = dkit_tree(&silent), .whole = true, .hide_config = true};
    tree_load_begin(f->tree);
    for (int64_t id = 1; id <= 2; id++) {
        struct acl_vec list = {&lists[id - 1], 1};
        assert_int_equal(tree_load_acl(f->tree, id, &list), ERR_OK);
    }
    for (size_t i = 0; i < n; i++) {
        struct data_node d = {.data = v[i].data ? slice_str(v[i].data) : SLICE_NULL,
                              .acl = v[i].acl ? v[i].acl : 1,
                              .czxid = v[i].czxid,
                              .mzxid = (int64_t)i,
                              .version = v[i].version,
                              .ephemeral_owner = v[i].owner};
        assert_int_equal(tree_load_node(f->tree, slice_str(v[i].path), &d), ERR_OK);
    }
    assert_int_equal(tree_load_end(f->tree, 100), ERR_OK);
}

static void tell_change(void *ctx, const struct snap_change *c)
{
    buf_fmt(ctx, "%c%.*s %d/%d %.*s\n", "+-~"[c->kind], SLICE_ARG(buf_slice(&c->path)),
            (int)c -> nodes, (int)c -> bytes, SLICE_ARG(buf_slice(&c->why)));
}

static void each_kind_of_change_is_told(void **state)
{
    (void)state;
    // "/a-b" and "/a/b" sort differently as text and as paths.
    static const struct given before[] = {
        {"", "", 0, 0, 0, 0},          {"/a", "1", 0, 1, 0, 0},      {"/a/b", "", 0, 2, 0, 0},
        {"/a/b/c", "xyz", 0, 3, 0, 0}, {"/a-b", "same", 0, 4, 0, 0}, {"/null", NULL, 0, 5, 0, 0},
        {"/acl", "", 1, 6, 0, 0},      {"/owner", "", 0, 7, 77, 0},  {"/again", "", 0, 8, 0, 0},
        {"/set", "s", 0, 9, 0, 4}};
    static const struct given after[] = {
        {"", "", 0, 0, 0, 0},         {"/a", "22", 0, 1, 0, 1},    {"/a/d", "d", 0, 12, 0, 0},
        {"/a-b", "same", 0, 4, 0, 0}, {"/null", "", 0, 5, 0, 0},   {"/acl", "", 2, 6, 0, 0},
        {"/owner", "", 0, 7, 78, 0},  {"/again", "", 0, 18, 0, 0}, {"/set", "s", 0, 9, 0, 5},
        {"/z", "z", 0, 19, 0, 0},     {"/z/z", "zz", 0, 20, 0, 0}};
    struct snap_file a, b;
    struct buf text = {0};
    make_tree(&a, before, sizeof(before) / sizeof(*before));
    make_tree(&b, after, sizeof(after) / sizeof(*after));
    struct snap_compare c = {.a = &a, .b = &b, .each = tell_change, .ctx = &text};
    assert_false(snap_compare_run(&c));
    buf_put_u8(&text, 0);
    assert_string_equal((char *)text.p, "~/a 1/1 data 1 -> 2 bytes, version 0 -> 1\n"
                                        "-/a/b 2/-3 \n"
                                        "+/a/d 1/1 \n"
                                        "~/acl 1/0 ACL\n"
                                        "~/again 1/0 deleted and created again\n"
                                        "~/null 1/0 data is not null any more\n"
                                        "~/owner 1/0 owner\n"
                                        "~/set 1/0 version 4 -> 5\n"
                                        "+/z 2/3 \n");
    assert_int_equal(c.created, 3);
    assert_int_equal(c.deleted, 2);
    assert_int_equal(c.changed, 6);
    assert_int_equal(c.bytes, 1 - 3 + 1 + 3);
    snap_file_fini(&a);
    snap_file_fini(&b);
    buf_fini(&text);
}

// ---- text ---------------------------------------------------------------------------------------

static void expect_text(struct buf *b, const char *want)
{
    buf_put_u8(b, 0);
    assert_string_equal((char *)b->p, want);
    buf_clear(b);
}

static void bytes_become_text(void **state)
{
    (void)state;
    struct buf b = {0};
    offline_escaped(&b, SLICE_LIT("a\n\t\\\x01\xff\xc3\xbc\xc2\x9b"));
    expect_text(&b, "a\\n\\t\\\\\\x01\\xff\xc3\xbc\\xc2\\x9b");
    offline_json(&b, SLICE_LIT("q\"\\\n\xc3\xbc"));
    expect_text(&b, "\"q\\\"\\\\\\u000a\xc3\xbc\"");
    offline_json(&b, SLICE_LIT("\xed\xa0\x80"));
    expect_text(&b, "\"\\\\xed\\\\xa0\\\\x80\"");
    offline_json_data(&b, SLICE_NULL);
    expect_text(&b, "\"data\":null,\"encoding\":\"null\"");
    offline_json_data(&b, SLICE_LIT("\xff\xfe"));
    expect_text(&b, "\"data\":\"//4=\",\"encoding\":\"base64\"");
    uint8_t many[10000];
    memset(many, 0, sizeof(many));
    offline_base64(&b, slice_of(many, sizeof(many)));
    assert_int_equal(b.n, (sizeof(many) + 2) / 3 * 4);
    buf_clear(&b);
    offline_time(&b, -1);
    expect_text(&b, "1969-12-31T23:59:59.999Z");
    offline_time(&b, INT64_MAX);
    expect_text(&b, "292278994-08-17T07:12:55.807Z");
    offline_size(&b, 1023);
    expect_text(&b, "1023");
    offline_size(&b, 1536);
    expect_text(&b, "1.5K");
    log_text_op(&b, OP_SET_ACL);
    expect_text(&b, "setACL");
    log_text_op(&b, 77);
    expect_text(&b, "type 77");
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_logs_are_whole),
        cmocka_unit_test(golden_records_are_read),
        cmocka_unit_test(a_range_of_zxids_is_printed),
        cmocka_unit_test(what_is_no_log_is_said),
        cmocka_unit_test(every_cut_is_judged_as_by_a_start),
        cmocka_unit_test(every_cut_that_zeros_follow_is_judged_as_by_a_start),
        cmocka_unit_test(every_flipped_bit_is_judged_as_by_a_start),
        cmocka_unit_test(random_damage_is_judged_as_by_a_start),
        cmocka_unit_test(a_right_record_far_behind_makes_it_damage),
        cmocka_unit_test(a_long_log_is_read_in_windows),
        cmocka_unit_test(gaps_between_files_are_seen),
        cmocka_unit_test(a_torn_end_is_named),
        cmocka_unit_test(half_a_recovery_leaves_nothing),
        cmocka_unit_test(recovery_keeps_every_sound_record),
        cmocka_unit_test(what_is_no_transaction_is_left_out),
        cmocka_unit_test(golden_snapshots_are_read),
        cmocka_unit_test(a_difference_is_told),
        cmocka_unit_test(a_summary_counts),
        cmocka_unit_test(cut_snapshots_are_read_as_far_as_they_go),
        cmocka_unit_test(random_damage_of_snapshots_is_seen),
        cmocka_unit_test(damage_says_what_was_read),
        cmocka_unit_test(each_kind_of_change_is_told),
        cmocka_unit_test(bytes_become_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
