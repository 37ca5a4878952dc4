// SPDX-License-Identifier: Apache-2.0
//
// What a transaction does to the tree and which watches it touches; replay over a tree that has it
// already; and the logs of Apache servers, whose digests must come out equal record by record.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/tree_kit.h"

static int setup(void **state)
{
    struct kit *k = malloc(sizeof(*k));
    kit_init(k);
    kit_ready(k);
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    struct kit *k = *state;
    assert_int_equal(tree_digest_mismatches(k->t), 0);
    tree_check(k->t);
    kit_fini(k);
    free(k);
    return 0;
}

static const char *fired_text(const struct kit *k)
{
    static char s[1024];
    int n = 0;
    s[0] = 0;
    for (int32_t i = 0; i < k->out.fired_n; i++) {
        const struct fired *f = &k->out.fired[i];
        n += snprintf(s + n, sizeof(s) - (size_t)n, "%s%d%.*s%s ",
                      f->list == WATCH_LIST_DATA ? "d" : "c", f->type, SLICE_ARG(f->path),
                      f->unless_data ? "?" : "");
    }
    return s;
}

static void watches_fire_in_apaches_order(void **state)
{
    struct kit *k = *state;
    kit_create(k, "/a", "", 0);
    assert_string_equal(fired_text(k), "d1/a c4/ ");
    kit_create(k, "/a/b", "", 0);
    assert_string_equal(fired_text(k), "d1/a/b c4/a ");
    kit_set_data(k, "/a/b", "x", -1);
    assert_string_equal(fired_text(k), "d3/a/b ");
    kit_set_data(k, "/", "x", -1);
    assert_string_equal(fired_text(k), "d3/ ");
    kit_create(k, "/a/b", "", 0); // fails
    assert_string_equal(fired_text(k), "");
    kit_delete(k, "/a/b", -1);
    assert_string_equal(fired_text(k), "d2/a/b c2/a/b? c4/a ");
    kit_create(k, "/a/e", "", 1);
    kit_close_session(k, 1);
    assert_string_equal(fired_text(k), "d2/a/e c2/a/e? c4/a ");
}

static void a_fired_watch_names_the_acl_to_check(void **state)
{
    struct kit *k = *state;
    struct acl secret = {PERM_ALL, {SLICE_LIT("digest"), SLICE_LIT("u:h")}};
    struct acl_vec list = {&secret, 1};
    kit_create_acl_body(k, "/s", &list, 0);
    kit_do(k, 1, OP_CREATE);
    assert_int_equal(k->out.fired[0].acl->v[0].perms, PERM_ALL);
    assert_true(slice_eq_str(k->out.fired[0].acl->v[0].id.scheme, "digest"));
    assert_true(slice_eq_str(k->out.fired[1].acl->v[0].id.scheme, "world"));
    // The last node with the list goes: the list still stands until the next transaction.
    kit_delete(k, "/s", -1);
    assert_true(slice_eq_str(k->out.fired[0].acl->v[0].id.id, "u:h"));
    assert_int_equal(acl_table_count(tree_acls(k->t)), 2);
    kit_create(k, "/t", "", 0);
    assert_int_equal(acl_table_count(tree_acls(k->t)), 2); // config's and the open one
}

static void stat_fields_move_as_documented(void **state)
{
    struct kit *k = *state;
    struct node_stat st = kit_stat(k, "/");
    assert_int_equal(st.cversion, -1);
    assert_int_equal(st.num_children, 1);
    assert_int_equal(kit_stat(k, "/zookeeper").cversion, -2);
    assert_int_equal(kit_stat(k, "/zookeeper/config").aversion, -1);
    assert_int_equal(tree_node_count(k->t), 5);
    assert_int_equal(tree_data_size(k->t), 44);
    kit_create(k, "/p", "", 0);
    int64_t born = k->zxid;
    kit_create(k, "/p/c", "abc", 1);
    st = kit_stat(k, "/p");
    assert_int_equal(st.cversion, 1);
    assert_int_equal(st.num_children, 1);
    assert_int_equal(st.pzxid, k->zxid);
    assert_int_equal(st.mzxid, born);
    assert_int_equal(kit_stat(k, "/p/c").ephemeral_owner, 1);
    assert_int_equal(tree_data_size(k->t), 44 + 2 + 4 + 3);
    kit_delete(k, "/p/c", -1);
    st = kit_stat(k, "/p");
    assert_int_equal(st.cversion, 2);
    assert_int_equal(st.num_children, 0);
    assert_int_equal(st.pzxid, k->zxid);
    assert_int_equal(tree_data_size(k->t), 44 + 2);
}

static struct txn create_txn(struct kit *k, const char *path, int32_t cversion, int64_t zxid)
{
    static struct acl open = {PERM_ALL, {SLICE_LIT("world"), SLICE_LIT("anyone")}};
    struct txn t = {.hdr = {1, 1, zxid, k->ms, OP_CREATE}, .body = {.type = OP_CREATE}};
    t.body.create =
        (struct create_txn){slice_str(path), SLICE_LIT("r"), {&open, 1}, false, cversion};
    return t;
}

static void replay_keeps_what_came_later(void **state)
{
    struct kit *k = *state;
    struct txn t = create_txn(k, "/p", 1, 100);
    apply_txn(k->t, &t, &k->arena, &k->out);
    t = create_txn(k, "/p/b", 2, 102);
    apply_txn(k->t, &t, &k->arena, &k->out);
    // An earlier creation comes again: the parent's counters do not go back.
    t = create_txn(k, "/p/a", 1, 101);
    apply_txn(k->t, &t, &k->arena, &k->out);
    assert_int_equal(kit_stat(k, "/p").pzxid, 102);
    assert_int_equal(kit_stat(k, "/p").cversion, 2 * 2 - 2);
    assert_int_equal(tree_zxid(k->t), 102);
    t = create_txn(k, "/p/a", 1, 101);
    apply_txn(k->t, &t, &k->arena, &k->out);
    assert_int_equal(k->out.result.err, ZK_NODEEXISTS);
    t = create_txn(k, "/none/a", 1, 103);
    apply_txn(k->t, &t, &k->arena, &k->out);
    assert_int_equal(k->out.result.err, ZK_NONODE);
    t = create_txn(k, "/p/old", -1, 104); // no counter in the record
    apply_txn(k->t, &t, &k->arena, &k->out);
    assert_int_equal(kit_stat(k, "/p").cversion, 2 * 3 - 3);

    struct txn d = {.hdr = {1, 1, 105, k->ms, OP_DELETE}, .body = {.type = OP_DELETE}};
    d.body.del.path = SLICE_LIT("/p/gone");
    apply_txn(k->t, &d, &k->arena, &k->out);
    assert_int_equal(k->out.result.err, ZK_NONODE);
    assert_int_equal(kit_stat(k, "/p").pzxid, 105);
    assert_int_equal(k->out.fired_n, 0);
    // A fuzzy snapshot has a node with the children of its later namesake.
    d.hdr.zxid = 106;
    d.body.del.path = SLICE_LIT("/p");
    apply_txn(k->t, &d, &k->arena, &k->out);
    assert_false(kit_has(k, "/p/a"));
    assert_false(kit_has(k, "/p"));
}

static void odd_paths_in_a_log_are_results(void **state)
{
    struct kit *k = *state;
    static const char *const paths[] = {"", "/", "x", "/x/", "//", "/a//b"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct txn t = create_txn(k, paths[i], 1, 10 + (int64_t)i);
        apply_txn(k->t, &t, &k->arena, &k->out);
        assert_int_not_equal(k->out.result.err, ZK_OK);
        struct txn d = {.hdr = {1, 1, 10, k->ms, OP_DELETE}, .body = {.type = OP_DELETE}};
        d.body.del.path = slice_str(paths[i]);
        apply_txn(k->t, &d, &k->arena, &k->out);
        assert_int_equal(k->out.result.err, ZK_NONODE);
    }
    assert_int_equal(tree_node_count(k->t), 5);
}

static void a_wrong_digest_is_counted_and_named(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k);
    kit_ready(&k);
    struct txn t = create_txn(&k, "/p", 1, 100);
    t.has_digest = true;
    t.digest = (struct txn_digest){2, 12345};
    apply_txn(k.t, &t, &k.arena, &k.out);
    assert_int_equal(k.out.result.err, ZK_OK);
    assert_int_equal(tree_digest_mismatches(k.t), 1);
    assert_int_equal(k.warnings, 1);
    assert_non_null(strstr(k.last_line, "0x64"));
    kit_fini(&k);
}

static void every_128th_zxid_is_kept(void **state)
{
    struct kit *k = *state;
    struct digest_point v[1024];
    for (int i = 0; i < 300; i++) {
        kit_set_data(k, "/", "x", -1);
    }
    assert_int_equal(tree_digest_log(k->t, v, 1024), 2);
    assert_int_equal(v[0].zxid, 128);
    assert_int_equal(v[1].zxid, 256);
    assert_int_equal(tree_digest_log(k->t, v, 1), 1);
    assert_int_equal(v[0].zxid, 256);
}

static size_t read_file(const char *name, uint8_t *p, size_t max)
{
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    size_t n = fread(p, 1, max, f);
    fclose(f);
    return n;
}

// Applies every record of a log file; how many.
static int replay(struct kit *k, const char *name)
{
    static uint8_t file[1 << 20];
    size_t n = read_file(name, file, sizeof(file));
    int records = 0;
    for (size_t at = 16; at + 12 < n;) {
        uint32_t len = be32_get(file + at + 8);
        if (len == 0) {
            break;
        }
        struct txn t;
        arena_reset(&k->arena);
        assert_int_equal(txn_decode(slice_of(file + at + 12, len), 1 << 20, &k->arena, &t), ERR_OK);
        apply_txn(k->t, &t, &k->arena, &k->out);
        at += 12 + len + 1;
        records++;
    }
    return records;
}

static void apaches_logs_give_apaches_digests(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k);
    kit_ready(&k);
    assert_int_equal(tree_digest(k.t), 1371985504);
    int n = replay(&k, "test/golden/disk/log.100000001");
    n += replay(&k, "test/golden/disk/log.10000000e");
    n += replay(&k, "test/golden/disk/log.100000026");
    n += replay(&k, "test/golden/disk/log.100000034");
    assert_int_equal(n, 57);
    assert_int_equal(tree_digest_mismatches(k.t), 0);
    assert_int_equal(tree_digest(k.t), 51699265667);
    assert_string_equal(kit_data(&k, "/"), "root data");
    assert_true(kit_has(&k, "/app/\xc3\xbcn\xc3\xaf"
                            "code-\xe4\xb8\xad"));
    // The newest file again, as after a start from a fuzzy snapshot: on the way the digests differ,
    // in the end everything is as before.
    char *before = kit_picture(k.t);
    replay(&k, "test/golden/disk/log.100000034");
    char *after = kit_picture(k.t);
    assert_string_equal(before, after);
    assert_int_equal(tree_digest(k.t), 51699265667);
    tree_check(k.t);
    free(before);
    free(after);
    kit_fini(&k);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(watches_fire_in_apaches_order),  T(a_fired_watch_names_the_acl_to_check),
        T(stat_fields_move_as_documented), T(replay_keeps_what_came_later),
        T(odd_paths_in_a_log_are_results), cmocka_unit_test(a_wrong_digest_is_counted_and_named),
        T(every_128th_zxid_is_kept),       cmocka_unit_test(apaches_logs_give_apaches_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
