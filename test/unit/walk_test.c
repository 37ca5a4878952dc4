// SPDX-License-Identifier: Apache-2.0
//
// A walk gives exactly the tree at its begin, whatever changes meanwhile; and what a load accepts,
// rebuilds and refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "test/support/tree_kit.h"
#include "tree/walk.h"

static void random_change(struct kit *k, struct rng *r)
{
    char path[64];
    int n = snprintf(path, sizeof(path), "/%c", (char)('a' + rng_below(r, 6)));
    for (uint64_t depth = rng_below(r, 4); depth > 0; depth--) {
        n += snprintf(path + n, sizeof(path) - (size_t)n, "/%c", (char)('a' + rng_below(r, 6)));
    }
    switch (rng_below(r, 8)) {
    case 0:
    case 1:
    case 2:
    case 3:
        kit_create(k, path, rng_chance(r, 1, 5) ? NULL : "some data", (int32_t)rng_below(r, 2));
        break;
    case 4:
        kit_set_data(k, path, "more data than before", -1);
        break;
    case 5: {
        struct acl x = {(int32_t)rng_below(r, 32) | PERM_ALL,
                        {SLICE_LIT("ip"), SLICE_LIT("127.0.0.1")}};
        struct acl_vec v = {&x, 1};
        kit_set_acl_body(k, path, &v, -1);
        kit_do(k, 1, OP_SET_ACL);
        break;
    }
    case 6:
        kit_delete(k, path, -1);
        break;
    default:
        if (rng_chance(r, 1, 10)) {
            kit_close_session(k, 1);
            kit_open_session(k, 1);
        }
        break;
    }
}

// A quota over /a makes the server change its stats node by itself.
static void add_quota(struct kit *k)
{
    assert_int_equal(kit_create(k, "/zookeeper/quota/a", NULL, 0), ZK_OK);
    assert_int_equal(kit_create(k, "/zookeeper/quota/a/zookeeper_limits", "count=5,bytes=-1", 0),
                     ZK_OK);
    assert_int_equal(kit_create(k, "/zookeeper/quota/a/zookeeper_stats", "", 0), ZK_OK);
}

static void walk_once(struct kit *k, struct rng *r)
{
    struct walk_info info;
    struct buf all = {0}, piece = {0};
    char *before = kit_picture(k->t);
    tree_walk_begin(k->t, &info);
    assert_int_equal(info.zxid, tree_zxid(k->t));
    assert_true(info.digest == tree_digest(k->t));
    assert_int_equal(info.nodes + 1, tree_node_count(k->t));
    bool done = false;
    while (!done) {
        assert_true(tree_walk_active(k->t));
        for (uint64_t n = rng_below(r, 8); n > 0; n--) {
            random_change(k, r);
        }
        done = tree_walk_slice(k->t, 1 + rng_below(r, 30));
        if (done || rng_chance(r, 1, 3)) {
            tree_walk_take(k->t, &piece);
            buf_put_slice(&all, buf_slice(&piece));
            buf_clear(&piece);
        }
        tree_check(k->t);
    }
    assert_false(tree_walk_active(k->t));
    assert_int_equal(tree_walk_waiting(k->t), 0);
    struct tree *copy = kit_reload(k, buf_slice(&all), info.zxid);
    char *after = kit_picture(copy);
    assert_string_equal(before, after);
    assert_true(tree_digest(copy) == info.digest);
    assert_int_equal(tree_zxid(copy), info.zxid);
    tree_check(copy);
    tree_free(&copy);
    free(before);
    free(after);
    buf_fini(&all);
    buf_fini(&piece);
}

static void a_walk_is_the_tree_at_its_begin(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct rng r = {seed};
        struct kit k;
        kit_init(&k);
        kit_ready(&k);
        add_quota(&k);
        for (int round = 0; round < 10; round++) {
            for (int i = 0; i < 60; i++) {
                random_change(&k, &r);
            }
            walk_once(&k, &r);
            if (rng_chance(&r, 1, 3)) {
                struct walk_info info;
                tree_walk_begin(k.t, &info);
                tree_walk_slice(k.t, rng_below(&r, 40));
                random_change(&k, &r);
                tree_walk_cancel(k.t);
                assert_false(tree_walk_active(k.t));
                tree_check(k.t);
            }
        }
        assert_int_equal(tree_digest_mismatches(k.t), 0);
        kit_fini(&k);
    }
}

static void a_slice_keeps_to_its_size(void **state)
{
    struct kit k;
    struct walk_info info;
    (void)state;
    kit_init(&k);
    kit_ready(&k);
    for (int i = 0; i < 100; i++) {
        kit_create(&k, "/n", "0123456789", 2);
    }
    tree_walk_begin(k.t, &info);
    size_t start = tree_walk_waiting(k.t);
    assert_false(tree_walk_slice(k.t, 10));
    size_t ten = tree_walk_waiting(k.t) - start;
    assert_true(ten > 0);
    assert_true(ten < 10 * 120);
    assert_false(tree_walk_slice(k.t, 10));
    assert_true(tree_walk_waiting(k.t) - start < 20 * 120);
    kit_fini(&k); // in the middle of a walk
}

static struct data_node plain(void)
{
    return (struct data_node){.data = SLICE_LIT("x"), .acl = -1};
}

static struct tree *loading_root(struct kit *k)
{
    struct data_node d = plain();
    tree_load_begin(k->t);
    assert_int_equal(tree_load_node(k->t, SLICE_LIT(""), &d), ERR_OK);
    assert_int_equal(tree_load_node(k->t, SLICE_LIT("/a"), &d), ERR_OK);
    return k->t;
}

static void a_load_refuses_what_is_no_tree(void **state)
{
    static const char *const bad[] = {NULL, "", "/a/", "a", "/", "//", "/b/c", "/a//b"};
    struct kit k;
    struct data_node d = plain();
    (void)state;
    kit_init(&k);
    kit_ready(&k);
    tree_load_begin(k.t);
    assert_int_equal(tree_load_end(k.t, 5), ERR_CORRUPT); // nothing came
    tree_load_begin(k.t);
    assert_int_equal(tree_load_node(k.t, SLICE_LIT("/a"), &d), ERR_CORRUPT);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tree *t = loading_root(&k);
        assert_int_equal(tree_load_node(t, slice_str(bad[i]), &d), ERR_CORRUPT);
    }
    d.ephemeral_owner = (int64_t)0xff00010000000000; // a feature nobody knows
    assert_int_equal(tree_load_node(loading_root(&k), SLICE_LIT("/f"), &d), ERR_UNSUPPORTED);
    assert_int_equal(tree_load_acl(k.t, 0, &(struct acl_vec){NULL, 0}), ERR_UNSUPPORTED);
    kit_fini(&k);
}

static void a_load_notices_a_node_that_comes_twice(void **state)
{
    struct kit k;
    struct data_node d = plain();
    (void)state;
    kit_init(&k);
    kit_ready(&k);
    for (int between = 0; between < 40; between += 13) {
        struct tree *t = loading_root(&k);
        enum err e = ERR_OK;
        for (int i = 0; i < between; i++) {
            e = tree_load_node(t, slice_str(arena_fmt(&k.arena, "/a/%d", i)), &d);
            assert_int_equal(e, ERR_OK);
        }
        e = tree_load_node(t, SLICE_LIT("/a"), &d);
        for (int i = 0; i < 40 && !e; i++) {
            e = tree_load_node(t, slice_str(arena_fmt(&k.arena, "/b%d", i)), &d);
        }
        assert_int_equal(e, ERR_CORRUPT);
        t = loading_root(&k);
        assert_int_equal(tree_load_node(t, SLICE_LIT("/b"), &d), ERR_OK);
        assert_int_equal(tree_load_node(t, SLICE_LIT("/b"), &d), ERR_OK); // not yet seen
        assert_int_equal(tree_load_end(t, 5), ERR_CORRUPT);
    }
    kit_fini(&k);
}

static void a_load_takes_any_order_with_parents_first(void **state)
{
    struct kit k;
    struct data_node d = plain();
    struct rng r = {5};
    (void)state;
    kit_init(&k);
    kit_ready(&k);
    struct tree *t = loading_root(&k);
    assert_int_equal(tree_load_node(t, SLICE_LIT("/a/b"), &d), ERR_OK);
    assert_int_equal(tree_load_node(t, SLICE_LIT("/a/b/c"), &d), ERR_OK);
    assert_int_equal(tree_load_node(t, SLICE_LIT("/a/d"), &d), ERR_OK);
    for (int i = 0; i < 3000; i++) {
        uint64_t up = rng_below(&r, (uint64_t)i + 1);
        const char *path = i == 0 ? "/n0" : arena_fmt(&k.arena, "/n%d", i);
        assert_int_equal(tree_load_node(t, slice_str(path), &d), ERR_OK);
        if (i > 0) {
            path = arena_fmt(&k.arena, "/n%d/c%d", (int)up, i);
            assert_int_equal(tree_load_node(t, slice_str(path), &d), ERR_OK);
        }
    }
    assert_int_equal(tree_load_end(t, 77), ERR_OK);
    assert_int_equal(tree_zxid(t), 77);
    assert_int_equal(tree_node_count(t), 6 + 3000 + 2999);
    tree_check(t);
    kit_fini(&k);
}

static void a_load_brings_back_what_follows_from_the_nodes(void **state)
{
    struct kit k;
    struct data_node d = plain();
    struct arena a = {0};
    (void)state;
    kit_init(&k);
    kit_ready(&k);
    tree_load_begin(k.t);
    tree_load_session(k.t, 11, 4000);
    assert_int_equal(tree_load_node(k.t, SLICE_LIT(""), &d), ERR_OK);
    assert_int_equal(tree_load_node(k.t, SLICE_LIT("/zookeeper"), &d), ERR_OK);
    assert_int_equal(tree_load_node(k.t, SLICE_LIT("/zookeeper/quota"), &d), ERR_OK);
    assert_int_equal(tree_load_node(k.t, SLICE_LIT("/zookeeper/quota/q"), &d), ERR_OK);
    assert_int_equal(tree_load_node(k.t, SLICE_LIT("/zookeeper/quota/q/zookeeper_limits"), &d),
                     ERR_OK);
    assert_int_equal(tree_load_node(k.t, SLICE_LIT("/zookeeper/quota/q/zookeeper_stats"), &d),
                     ERR_OK);
    assert_int_equal(tree_load_node(k.t, SLICE_LIT("/q"), &d), ERR_OK);
    assert_int_equal(tree_load_node(k.t, SLICE_LIT("/q/z"), &d), ERR_OK);
    d.ephemeral_owner = 11;
    assert_int_equal(tree_load_node(k.t, SLICE_LIT("/q/ours"), &d), ERR_OK);
    d.ephemeral_owner = 12;
    assert_int_equal(tree_load_node(k.t, SLICE_LIT("/q/orphan"), &d), ERR_OK);
    d.ephemeral_owner = (int64_t)0xff000000000003e8;
    d.mtime = 1000;
    assert_int_equal(tree_load_node(k.t, SLICE_LIT("/ttl"), &d), ERR_OK);
    d.ephemeral_owner = INT64_MIN;
    d.cversion = 1;
    assert_int_equal(tree_load_node(k.t, SLICE_LIT("/cont"), &d), ERR_OK);
    assert_int_equal(tree_load_end(k.t, 9), ERR_OK);
    assert_true(kit_has(&k, "/zookeeper/config")); // older than 3.5: made
    assert_string_equal(kit_data(&k, "/zookeeper/quota/q/zookeeper_stats"), "count=4,bytes=4");
    assert_int_equal(tree_ephemeral_count(k.t), 2);
    // Of a session that is not in the table: closing it is how a leader removes them.
    k.zxid = 9;
    assert_int_equal(kit_close_session(&k, 12), ZK_OK);
    assert_false(kit_has(&k, "/q/orphan"));
    assert_true(kit_has(&k, "/q/ours"));
    assert_int_equal(kit_stat(&k, "/q").pzxid, 10);
    assert_string_equal(kit_data(&k, "/zookeeper/quota/q/zookeeper_stats"), "count=3,bytes=3");
    assert_int_equal(tree_reapable(k.t, 2000, 0, 10, &a).n, 1); // the container
    struct slice_vec due = tree_reapable(k.t, 2001, 0, 10, &a);
    assert_int_equal(due.n, 2);
    assert_true(slice_eq_str(due.v[1], "/ttl"));
    assert_int_equal(tree_reapable(k.t, 2001, 0, 1, &a).n, 1);
    tree_check(k.t);
    arena_fini(&a);
    kit_fini(&k);
}

static void a_snapshots_digest_is_awaited(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k);
    kit_ready(&k);
    tree_load_digest(k.t, k.zxid, tree_digest(k.t)); // right at once
    assert_int_equal(tree_digest_mismatches(k.t), 0);
    tree_load_digest(k.t, k.zxid - 1, 1); // older than the tree: ignored
    assert_int_equal(tree_digest_mismatches(k.t), 0);
    tree_load_digest(k.t, k.zxid, 1);
    assert_int_equal(tree_digest_mismatches(k.t), 1);
    // Fuzzy: until its zxid comes, the digests of transactions do not count.
    tree_load_digest(k.t, k.zxid + 2, 1);
    kit_set_data(&k, "/", "a", -1);
    assert_int_equal(tree_digest_mismatches(k.t), 1);
    kit_set_data(&k, "/", "b", -1);
    assert_int_equal(tree_digest_mismatches(k.t), 2);
    kit_set_data(&k, "/", "c", -1);
    assert_int_equal(tree_digest_mismatches(k.t), 2);
    kit_fini(&k);
}

static void fuzzy_acl_ids_are_repaired_by_the_log(void **state)
{
    struct kit k;
    struct data_node d = plain();
    struct acl x = {PERM_ALL, {SLICE_LIT("world"), SLICE_LIT("anyone")}};
    struct acl_vec v = {&x, 1};
    struct buf out = {0};
    (void)state;
    kit_init(&k);
    kit_ready(&k);
    tree_load_begin(k.t);
    tree_load_session(k.t, 1, 4000);
    assert_int_equal(tree_load_acl(k.t, 7, &v), ERR_OK);
    assert_int_equal(tree_load_node(k.t, SLICE_LIT(""), &d), ERR_OK);
    d.acl = 8; // came after the ACL lists were written
    assert_int_equal(tree_load_node(k.t, SLICE_LIT("/n"), &d), ERR_OK);
    assert_int_equal(tree_load_end(k.t, 9), ERR_OK);
    k.zxid = 9;
    assert_int_equal(read_data(k.t, &k.who, SLICE_LIT("/n"), &out), ZK_NOAUTH);
    struct txn t = {.hdr = {1, 1, ++k.zxid, 1, OP_SET_ACL}, .body = {.type = OP_SET_ACL}};
    t.body.set_acl = (struct set_acl_txn){SLICE_LIT("/n"), v, 1};
    apply_txn(k.t, &t, &k.arena, &k.out);
    tree_replay_end(k.t);
    assert_int_equal(read_data(k.t, &k.who, SLICE_LIT("/n"), &out), ZK_OK);
    assert_int_equal(acl_table_count(tree_acls(k.t)), 1);
    kit_create(&k, "/m", "", 0);
    assert_int_equal(tree_node_acl(k.t, tree_find(k.t, SLICE_LIT("/m"))), 7);
    buf_fini(&out);
    kit_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_walk_is_the_tree_at_its_begin),
        cmocka_unit_test(a_slice_keeps_to_its_size),
        cmocka_unit_test(a_load_refuses_what_is_no_tree),
        cmocka_unit_test(a_load_notices_a_node_that_comes_twice),
        cmocka_unit_test(a_load_takes_any_order_with_parents_first),
        cmocka_unit_test(a_load_brings_back_what_follows_from_the_nodes),
        cmocka_unit_test(a_snapshots_digest_is_awaited),
        cmocka_unit_test(fuzzy_acl_ids_are_repaired_by_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
