// SPDX-License-Identifier: Apache-2.0
//
// What a client is answered, in the order Apache checks, and that prep foresees exactly what apply
// does: every transaction's digest is compared, with many requests prepared before the first
// applies.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "limits.h"
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
    kit_apply_all(k);
    assert_int_equal(tree_digest_mismatches(k->t), 0);
    assert_int_equal(pending_count(k->p), 0);
    tree_check(k->t);
    kit_fini(k);
    free(k);
    return 0;
}

static void create_answers_in_apaches_order(void **state)
{
    struct kit *k = *state;
    static const struct {
        const char *path;
        int32_t flags;
        enum zkerr want;
    } cases[] = {
        {"/x", 7, ZK_BADARGUMENTS},
        {"/x", -1, ZK_BADARGUMENTS},
        {"/x", 5, ZK_BADARGUMENTS},
        {NULL, 0, ZK_MARSHALLINGERROR},
        {"x", 0, ZK_BADARGUMENTS},
        {"a/b", 0, ZK_NONODE},
        {"/a//b", 0, ZK_NONODE},
        {"/", 0, ZK_NODEEXISTS},
        {"//", 0, ZK_BADARGUMENTS},
        {"/x", 0, ZK_OK},
        {"/x", 0, ZK_NODEEXISTS},
        {"/x/", 0, ZK_BADARGUMENTS},
        {"/e", 1, ZK_OK},
        {"/e/c", 0, ZK_NOCHILDRENFOREPHEMERALS},
        {"/x/.", 0, ZK_BADARGUMENTS},
        {"/no/c", 0, ZK_NONODE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t before = tree_zxid(k->t);
        assert_int_equal(kit_create(k, cases[i].path, "d", cases[i].flags), cases[i].want);
        assert_int_equal(tree_zxid(k->t), before + 1);
    }
}

static void ttl_needs_extended_types(void **state)
{
    struct kit *k = *state;
    kit_create_ttl_body(k, "/t", 5, 1000);
    assert_int_equal(kit_do(k, 1, OP_CREATE_TTL), ZK_OK);
    assert_int_equal(kit_stat(k, "/t").ephemeral_owner, 0);
    kit_create_ttl_body(k, "/t2", 5, 0);
    assert_int_equal(kit_do(k, 1, OP_CREATE_TTL), ZK_BADARGUMENTS);
    kit_create_ttl_body(k, "/t2", 5, 0x10000000000);
    assert_int_equal(kit_do(k, 1, OP_CREATE_TTL), ZK_BADARGUMENTS);
    kit_create_ttl_body(k, "/t2", 0, 5);
    assert_int_equal(kit_do(k, 1, OP_CREATE_TTL), ZK_BADARGUMENTS);
    kit_create_ttl_body(k, "/t2", 0, -1); // brings Apache's server down
    assert_int_equal(kit_do(k, 1, OP_CREATE_TTL), ZK_BADARGUMENTS);

    struct kit plain;
    kit_init(&plain);
    plain.cfg.extended_types = false;
    kit_ready(&plain);
    kit_create_ttl_body(&plain, "/t", 5, 0);
    assert_int_equal(kit_do(&plain, 1, OP_CREATE_TTL), ZK_UNIMPLEMENTED);
    kit_fini(&plain);
}

static void flag_4_makes_a_container_only_by_its_own_opcode_or_in_a_multi(void **state)
{
    struct kit *k = *state;
    struct data_node d;
    assert_int_equal(kit_create(k, "/plain", "", 4), ZK_OK);
    tree_node_stored(k->t, tree_find(k->t, slice_str("/plain")), &d);
    assert_int_equal(d.ephemeral_owner, 0);
    kit_create_body(k, "/c", "", 4);
    assert_int_equal(kit_do(k, 1, OP_CREATE_CONTAINER), ZK_OK);
    tree_node_stored(k->t, tree_find(k->t, slice_str("/c")), &d);
    assert_true(d.ephemeral_owner == INT64_MIN);
    kit_create_body(k, "/s-", "", 2);
    assert_int_equal(kit_do(k, 1, OP_CREATE_CONTAINER), ZK_OK);
    assert_true(kit_has(k, "/s-0000000002")); // the built-in nodes do not count
    kit_multi_begin(k);
    kit_multi_part(k, OP_CREATE);
    kit_create_body(k, "/m", "", 4);
    kit_multi_end(k);
    assert_int_equal(kit_do(k, 1, OP_MULTI), ZK_OK);
    assert_int_equal(k->out.result.parts[0].type, OP_CREATE_CONTAINER);
}

static void sequence_numbers_follow_the_parents_counter(void **state)
{
    struct kit *k = *state;
    assert_int_equal(kit_create(k, "/p", "", 0), ZK_OK);
    kit_create(k, "/p/a", "", 0);
    kit_delete(k, "/p/a", -1);
    kit_create(k, "/p/n-", "", 2);
    assert_true(slice_eq_str(k->out.result.path, "/p/n-0000000001"));
    kit_create(k, "/p/", "", 3);
    assert_true(slice_eq_str(k->out.result.path, "/p/0000000002"));
    assert_int_equal(kit_stat(k, "/p").cversion, 4); // created 3, deleted 1
    // Five in flight before the first is applied.
    for (int i = 0; i < 5; i++) {
        kit_create_body(k, "/p/q-", "", 2);
        assert_int_equal(kit_prep(k, 1, OP_CREATE), ZK_OK);
    }
    kit_apply_all(k);
    assert_true(kit_has(k, "/p/q-0000000003"));
    assert_true(kit_has(k, "/p/q-0000000007"));
}

static void sequence_numbers_stop_at_the_end_of_int32(void **state)
{
    struct kit *k = *state;
    kit_create(k, "/p", "", 0);
    // The counter as an old tree would have it.
    struct txn t = {.hdr = {1, 1, ++k->zxid, k->ms, OP_CREATE}, .body = {.type = OP_CREATE}};
    struct acl open = {PERM_ALL, {SLICE_LIT("world"), SLICE_LIT("anyone")}};
    t.body.create =
        (struct create_txn){SLICE_LIT("/p/last"), SLICE_NULL, {&open, 1}, false, INT32_MAX};
    apply_txn(k->t, &t, &k->arena, &k->out);
    kit_create_body(k, "/p/s", "", 2);
    assert_int_equal(kit_prep(k, 1, OP_CREATE), ZK_OK);
    kit_create_body(k, "/p/s", "", 2);
    assert_int_equal(kit_prep(k, 1, OP_CREATE), ZK_OK);
    kit_apply_all(k);
    assert_true(kit_has(k, "/p/s2147483647"));
    assert_true(kit_has(k, "/p/s-2147483648"));
    // Applied, the stored counter has stayed: the next number exists already.
    assert_int_equal(kit_create(k, "/p/s", "", 2), ZK_NODEEXISTS);
}

static void set_data_and_delete_check_versions(void **state)
{
    struct kit *k = *state;
    kit_create(k, "/v", "a", 0);
    k->ms += 5;
    assert_int_equal(kit_set_data(k, "/v", "bb", 1), ZK_BADVERSION);
    assert_int_equal(kit_set_data(k, "/v", "bb", -2), ZK_BADVERSION);
    assert_int_equal(kit_set_data(k, "/v", "bb", 0), ZK_OK);
    assert_int_equal(k->out.result.stat.version, 1);
    assert_int_equal(k->out.result.stat.data_length, 2);
    assert_int_equal(k->out.result.stat.mtime, k->ms);
    assert_int_equal(k->out.result.stat.mzxid, k->zxid);
    assert_int_equal(kit_set_data(k, "/v", NULL, -1), ZK_OK);
    assert_string_equal(kit_data(k, "/v"), "(null)");
    assert_int_equal(kit_set_data(k, NULL, "", -1), ZK_BADARGUMENTS);
    assert_int_equal(kit_set_data(k, "", "", -1), ZK_BADARGUMENTS);
    assert_int_equal(kit_set_data(k, "/nope", "", -1), ZK_NONODE);
    assert_int_equal(kit_set_data(k, "/", "r", -1), ZK_OK);
    assert_int_equal(kit_delete(k, "/v", 1), ZK_BADVERSION);
    kit_create(k, "/v/c", "", 0);
    assert_int_equal(kit_delete(k, "/v", -1), ZK_NOTEMPTY);
    assert_int_equal(kit_delete(k, "/v/c/", -1), ZK_NONODE);
    assert_int_equal(kit_delete(k, "v", -1), ZK_BADARGUMENTS);
    assert_int_equal(kit_delete(k, NULL, -1), ZK_MARSHALLINGERROR);
    assert_int_equal(kit_delete(k, "/zookeeper/quota", -1), ZK_BADARGUMENTS);
    assert_int_equal(kit_delete(k, "/v/c", -1), ZK_OK);
    assert_int_equal(kit_delete(k, "/v", -1), ZK_OK);
    assert_int_equal(kit_delete(k, "/v", -1), ZK_NONODE);
}

static void permissions_follow_the_lists_in_flight(void **state)
{
    struct kit *k = *state;
    struct acl read = {PERM_READ, {SLICE_LIT("world"), SLICE_LIT("anyone")}};
    struct acl_vec list = {&read, 1};
    kit_create(k, "/a", "", 0);
    kit_set_acl_body(k, "/a", &list, 0);
    assert_int_equal(kit_prep(k, 1, OP_SET_ACL), ZK_OK); // not yet applied
    kit_set_data_body(k, "/a", "x", -1);
    assert_int_equal(kit_prep(k, 1, OP_SET_DATA), ZK_NOAUTH);
    kit_create_body(k, "/a/b", "x", 0);
    assert_int_equal(kit_prep(k, 1, OP_CREATE), ZK_NOAUTH);
    kit_set_acl_body(k, "/a", &list, -1);
    assert_int_equal(kit_prep(k, 1, OP_SET_ACL), ZK_NOAUTH);
    kit_apply_all(k);
    assert_int_equal(kit_stat(k, "/a").aversion, 1);
    assert_int_equal(kit_set_data(k, "/a", "x", -1), ZK_NOAUTH);
    assert_int_equal(kit_set_data(k, "/zookeeper/config", "x", -1), ZK_NOAUTH);
    k->ids[1] = (struct zk_id){SLICE_LIT("super"), SLICE_LIT("")};
    k->who.n = 2;
    assert_int_equal(kit_set_data(k, "/a", "x", -1), ZK_OK);
    struct acl_vec none = {NULL, 0};
    kit_set_acl_body(k, "/a", &none, -1);
    assert_int_equal(kit_do(k, 1, OP_SET_ACL), ZK_INVALIDACL);
}

static void sessions_must_be_open(void **state)
{
    struct kit *k = *state;
    kit_create_body(k, "/s", "", 0);
    assert_int_equal(kit_do(k, 99, OP_CREATE), ZK_SESSIONEXPIRED);
    // Opened, used, closed and used again, all before anything is applied.
    buf_put_i32(&k->body, 1000);
    assert_int_equal(kit_prep(k, 2, OP_CREATE_SESSION), ZK_OK);
    kit_create_body(k, "/s", "", 1);
    assert_int_equal(kit_prep(k, 2, OP_CREATE), ZK_OK);
    assert_false(pending_session_is_closing(k->p, 2));
    assert_int_equal(kit_prep(k, 2, OP_CLOSE_SESSION), ZK_OK);
    assert_true(pending_session_is_closing(k->p, 2));
    kit_create_body(k, "/s2", "", 0);
    assert_int_equal(kit_prep(k, 2, OP_CREATE), ZK_SESSIONEXPIRED);
    kit_apply_all(k);
    assert_false(kit_has(k, "/s"));
    assert_false(pending_session_is_closing(k->p, 2));
    assert_false(session_get(tree_sessions(k->t), 2, NULL));
}

static void close_takes_exactly_what_the_session_will_own(void **state)
{
    struct kit *k = *state;
    kit_open_session(k, 5);
    kit_create(k, "/d", "", 0);
    kit_create_body(k, "/d/applied", "", 1);
    kit_do(k, 5, OP_CREATE);
    kit_create_body(k, "/d/going", "", 1);
    kit_do(k, 5, OP_CREATE);
    kit_create_body(k, "/d/touched", "", 1);
    kit_do(k, 5, OP_CREATE);
    kit_create_body(k, "/d/other", "", 1);
    kit_do(k, 1, OP_CREATE);
    kit_delete_body(k, "/d/going", -1);
    kit_prep(k, 1, OP_DELETE);
    kit_set_data_body(k, "/d/touched", "y", -1);
    kit_prep(k, 1, OP_SET_DATA);
    kit_create_body(k, "/d/pending", "", 1);
    kit_prep(k, 5, OP_CREATE);
    // Made again by another session, it is not ours any more.
    kit_create_body(k, "/d/going", "", 1);
    kit_prep(k, 1, OP_CREATE);
    kit_prep(k, 5, OP_CLOSE_SESSION);
    // The parent sees its children gone at once.
    kit_delete_body(k, "/d/pending", -1);
    assert_int_equal(kit_prep(k, 1, OP_DELETE), ZK_NONODE);
    kit_apply_all(k);
    assert_false(kit_has(k, "/d/applied"));
    assert_false(kit_has(k, "/d/touched"));
    assert_false(kit_has(k, "/d/pending"));
    assert_true(kit_has(k, "/d/other"));
    assert_true(kit_has(k, "/d/going"));
    assert_int_equal(tree_ephemeral_count(k->t), 2);
}

static void undecodable_and_foreign_requests_take_a_zxid(void **state)
{
    struct kit *k = *state;
    int64_t before = tree_zxid(k->t);
    buf_put_i32(&k->body, 100);
    assert_int_equal(kit_do(k, 1, OP_CREATE), ZK_MARSHALLINGERROR);
    assert_int_equal(kit_do(k, 1, OP_MULTI), ZK_MARSHALLINGERROR);
    assert_int_equal(kit_do(k, 1, OP_SET_ACL), ZK_MARSHALLINGERROR);
    for (int i = 0; i < 3; i++) {
        buf_put_i32(&k->body, -1);
    }
    buf_put_i64(&k->body, -1);
    k->refuse = ZK_UNIMPLEMENTED;
    assert_int_equal(kit_do(k, 1, OP_RECONFIG), ZK_RECONFIGDISABLED);
    assert_int_equal(tree_zxid(k->t), before + 4);

    struct kit on;
    kit_init(&on);
    on.cfg.reconfig_enabled = true;
    kit_ready(&on);
    for (int i = 0; i < 3; i++) {
        buf_put_i32(&on.body, -1);
    }
    buf_put_i64(&on.body, -1);
    on.refuse = ZK_UNIMPLEMENTED;
    assert_int_equal(kit_do(&on, 1, OP_RECONFIG), ZK_UNIMPLEMENTED);
    kit_fini(&on);
}

static void multi_is_all_or_nothing(void **state)
{
    struct kit *k = *state;
    kit_create(k, "/m", "", 0);
    char *before = kit_picture(k->t);
    kit_multi_begin(k);
    kit_multi_part(k, OP_CREATE);
    kit_create_body(k, "/m/s-", "", 2);
    kit_multi_part(k, OP_SET_DATA);
    kit_set_data_body(k, "/m", "x", -1);
    kit_multi_part(k, OP_CHECK);
    kit_check_body(k, "/m", 0);
    kit_multi_part(k, OP_DELETE);
    kit_delete_body(k, "/m/s-0000000000", -1);
    kit_multi_end(k);
    assert_int_equal(kit_do(k, 1, OP_MULTI), ZK_OK);
    assert_int_equal(k->out.result.parts_n, 4);
    assert_int_equal(k->out.result.parts[0].err, 0);
    assert_int_equal(k->out.result.parts[0].type, OP_ERROR);
    assert_int_equal(k->out.result.parts[2].err, ZK_BADVERSION);
    assert_int_equal(k->out.result.parts[3].err, ZK_RUNTIMEINCONSISTENCY);
    assert_int_equal(k->out.fired_n, 0);
    char *after = kit_picture(k->t);
    assert_string_equal(before, after);
    free(before);
    free(after);

    kit_multi_part(k, OP_CREATE2);
    kit_create_body(k, "/m/s-", "", 2);
    kit_multi_part(k, OP_CREATE);
    kit_create_body(k, "/m/s-", "", 2);
    kit_multi_part(k, OP_DELETE);
    kit_delete_body(k, "/m/s-0000000000", -1);
    kit_multi_part(k, OP_SET_DATA);
    kit_set_data_body(k, "/m", "1", 0);
    kit_multi_part(k, OP_SET_DATA);
    kit_set_data_body(k, "/m", "22", 1);
    kit_multi_part(k, OP_CHECK);
    kit_check_body(k, "/m", 2);
    kit_multi_end(k);
    assert_int_equal(kit_do(k, 1, OP_MULTI), ZK_OK);
    assert_int_equal(k->out.result.parts[0].stat.czxid, k->zxid);
    assert_true(slice_eq_str(k->out.result.parts[1].path, "/m/s-0000000001"));
    assert_int_equal(k->out.result.parts[3].stat.version, 1);
    assert_int_equal(k->out.result.parts[3].stat.data_length, 1);
    assert_int_equal(k->out.result.parts[4].stat.version, 2);
    assert_false(kit_has(k, "/m/s-0000000000"));

    kit_multi_end(k); // the empty one
    assert_int_equal(kit_do(k, 1, OP_MULTI), ZK_OK);
    assert_int_equal(k->out.result.parts_n, 0);
}

static void malformed_multis_are_refused_whole(void **state)
{
    struct kit *k = *state;
    struct acl read = {PERM_READ, {SLICE_LIT("world"), SLICE_LIT("anyone")}};
    struct acl_vec list = {&read, 1};
    kit_multi_part(k, OP_SET_ACL);
    kit_set_acl_body(k, "/", &list, -1);
    kit_multi_end(k);
    assert_int_equal(kit_do(k, 1, OP_MULTI), ZK_MARSHALLINGERROR);
    kit_multi_part(k, OP_CREATE);
    kit_create_body(k, "/x", "", 0);
    assert_int_equal(kit_do(k, 1, OP_MULTI), ZK_MARSHALLINGERROR); // no terminator
    kit_multi_part(k, OP_CREATE);
    kit_create_body(k, "/x", "", 5);
    kit_multi_end(k);
    assert_int_equal(kit_do(k, 1, OP_MULTI), ZK_MARSHALLINGERROR);
    kit_multi_part(k, OP_CREATE);
    kit_create_body(k, "/x", "", 99);
    kit_multi_end(k);
    assert_int_equal(kit_do(k, 1, OP_MULTI), ZK_MARSHALLINGERROR);
    assert_false(kit_has(k, "/x"));
}

// What "auth" stands for is written out per list, so a short request can make a long entry. One
// that no start could read again may not get into the log.
static void an_entry_never_grows_beyond_what_a_start_reads(void **state)
{
    struct kit *k = *state;
    enum { IDS = 100, PARTS = 10000 };
    static char text[300];
    static struct zk_id ids[IDS];
    memset(text, 'u', sizeof(text));
    for (int i = 0; i < IDS; i++) {
        ids[i] = (struct zk_id){SLICE_LIT("digest"), slice_of(text, sizeof(text) - (size_t)i)};
    }
    k->who = (struct auth){ids, IDS};
    struct acl auth = {PERM_ALL, {SLICE_LIT("auth"), SLICE_LIT("")}};
    struct acl_vec list = {&auth, 1};
    kit_create_acl_body(k, "/one", &list, 0);
    assert_int_equal(kit_do(k, 1, OP_CREATE), ZK_OK);
    kit_multi_begin(k);
    for (int i = 0; i < PARTS; i++) {
        kit_multi_part(k, OP_CREATE);
        char path[16];
        snprintf(path, sizeof(path), "/m%d", i);
        kit_create_acl_body(k, path, &list, 0);
    }
    kit_multi_end(k);
    kit_prep(k, 1, OP_MULTI);
    assert_true(k->pipe[0].n <= k->cfg.bytes_max);
    kit_apply_all(k);
    assert_false(kit_has(k, "/m0"));
    assert_int_equal(kit_create(k, "/after", "", 0), ZK_OK);
}

// A request as long as they may be, and what the server adds to it.
static void an_entry_too_long_by_its_frame_is_an_error(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k);
    k.cfg.bytes_max = 2000;
    kit_ready(&k);
    int refused = 0;
    for (size_t n = 1850; n < 2000; n++) {
        char data[2000] = {0}, path[32];
        memset(data, 'd', n);
        snprintf(path, sizeof(path), "/n%d", (int)n);
        kit_create_body(&k, path, data, 0);
        enum zkerr e = kit_prep(&k, 1, OP_CREATE);
        assert_true(e == ZK_OK || e == ZK_MARSHALLINGERROR);
        assert_true(k.pipe[0].n <= k.cfg.bytes_max);
        refused += e != ZK_OK;
        kit_apply_all(&k);
        assert_int_equal(kit_has(&k, path), e == ZK_OK);
    }
    assert_in_range(refused, 1, 149);
    assert_int_equal(tree_digest_mismatches(k.t), 0);
    tree_check(k.t);
    kit_fini(&k);
}

// jute.maxbuffer may be set to anything; what a start accepts may not.
static void an_entry_is_bounded_whatever_the_setting(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k);
    k.cfg.bytes_max = 1u << 30;
    kit_ready(&k);
    size_t n = LIMIT_ENTRY;
    char *data = malloc(n + 1);
    memset(data, 'd', n);
    data[n] = 0;
    kit_create_body(&k, "/big", data, 0);
    free(data);
    assert_int_equal(kit_do(&k, 1, OP_CREATE), ZK_MARSHALLINGERROR);
    assert_false(kit_has(&k, "/big"));
    assert_int_equal(kit_create(&k, "/small", "", 0), ZK_OK);
    assert_int_equal(tree_digest_mismatches(k.t), 0);
    kit_fini(&k);
}

// A session with more ephemerals than an entry can list: those that are not listed go, too.
static void a_close_lists_only_what_fits(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k);
    k.cfg.bytes_max = 1000;
    kit_ready(&k);
    kit_open_session(&k, 5);
    for (int i = 0; i < 200; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/ephemeral-%d", i);
        kit_create_body(&k, path, "", 1);
        assert_int_equal(kit_do(&k, 5, OP_CREATE), ZK_OK);
    }
    kit_create_body(&k, "/in-flight", "", 1);
    assert_int_equal(kit_prep(&k, 5, OP_CREATE), ZK_OK);
    assert_int_equal(kit_prep(&k, 5, OP_CLOSE_SESSION), ZK_OK);
    assert_true(k.pipe[1].n <= k.cfg.bytes_max);
    assert_true(k.pipe[1].n > k.cfg.bytes_max / 2);
    kit_apply_all(&k);
    assert_int_equal(tree_ephemeral_count(k.t), 0);
    assert_int_equal(tree_digest_mismatches(k.t), 0);
    tree_check(k.t);
    kit_fini(&k);
}

static void delete_container_looks_again(void **state)
{
    struct kit *k = *state;
    kit_create_body(k, "/c", "", 4);
    kit_do(k, 1, OP_CREATE_CONTAINER);
    kit_create_body(k, "/c/x", "", 0);
    kit_prep(k, 1, OP_CREATE);
    kit_path_body(k, "/c");
    assert_int_equal(kit_prep(k, 0, OP_DELETE_CONTAINER), ZK_NOTEMPTY);
    kit_delete_body(k, "/c/x", -1);
    kit_prep(k, 1, OP_DELETE);
    kit_path_body(k, "/c");
    assert_int_equal(kit_prep(k, 0, OP_DELETE_CONTAINER), ZK_OK);
    kit_path_body(k, "/c");
    assert_int_equal(kit_prep(k, 0, OP_DELETE_CONTAINER), ZK_NONODE);
    kit_create_body(k, "/c", "", 0);
    kit_prep(k, 1, OP_CREATE);
    kit_path_body(k, "/c"); // made anew as a plain node
    assert_int_equal(kit_prep(k, 0, OP_DELETE_CONTAINER), ZK_BADVERSION);
    kit_apply_all(k);
    kit_create_ttl_body(k, "/t", 5, 1000);
    kit_do(k, 1, OP_CREATE_TTL);
    k->ms += 1001;
    kit_set_data_body(k, "/t", "fresh", -1);
    kit_prep(k, 1, OP_SET_DATA);
    kit_path_body(k, "/t");
    assert_int_equal(kit_prep(k, 0, OP_DELETE_CONTAINER), ZK_BADVERSION);
    k->ms += 1001;
    kit_path_body(k, "/t");
    assert_int_equal(kit_prep(k, 0, OP_DELETE_CONTAINER), ZK_OK);
    kit_apply_all(k);
    assert_false(kit_has(k, "/t"));
}

static void reset_forgets_what_never_came(void **state)
{
    struct kit *k = *state;
    kit_create(k, "/r", "", 0);
    kit_create_body(k, "/r/x", "", 1);
    kit_prep(k, 1, OP_CREATE);
    kit_prep(k, 1, OP_CLOSE_SESSION);
    k->pipe_n = 0;
    pending_reset(k->p);
    assert_int_equal(pending_count(k->p), 0);
    assert_false(pending_session_is_closing(k->p, 1));
    assert_int_equal(kit_create(k, "/r/x", "", 0), ZK_OK);
    assert_int_equal(kit_stat(k, "/r").cversion, 1);
}

// ---- random histories ----

static void random_path(struct rng *r, char *s, size_t n)
{
    static const char *const top[] = {"/a", "/b", "/zookeeper/quota", "/zookeeper", ""};
    size_t at = (size_t)snprintf(s, n, "%s",
                                 top[rng_chance(r, 1, 20) ? 2 + rng_below(r, 3) : rng_below(r, 2)]);
    for (uint64_t depth = rng_below(r, 3); depth > 0; depth--) {
        at += (size_t)snprintf(s + at, n - at, "/%c", (char)('a' + rng_below(r, 4)));
    }
    if (at == 0) {
        snprintf(s, n, "/");
    }
}

static int32_t random_op(struct kit *k, struct rng *r, bool in_multi)
{
    char path[64];
    struct acl two[2] = {
        {(int32_t)rng_below(r, 32) | PERM_ALL, {SLICE_LIT("world"), SLICE_LIT("anyone")}},
        {(int32_t)rng_below(r, 4), {SLICE_LIT("digest"), SLICE_LIT("u:h")}}};
    struct acl_vec list = {two, 2};
    char data[40] = {0};
    memset(data, 'x', rng_below(r, 39));
    random_path(r, path, sizeof(path));
    int32_t version = rng_chance(r, 1, 6) ? (int32_t)rng_below(r, 3) : -1;
    static const int32_t ops[] = {OP_CREATE,     OP_CREATE, OP_CREATE2, OP_CREATE_CONTAINER,
                                  OP_CREATE_TTL, OP_DELETE, OP_DELETE,  OP_SET_DATA,
                                  OP_CHECK,      OP_SET_ACL};
    int32_t op = ops[rng_below(r, in_multi ? 9 : 10)];
    op = op == OP_CHECK && !in_multi ? OP_SET_DATA : op;
    if (in_multi) {
        kit_multi_part(k, op);
    }
    switch (op) {
    case OP_CREATE_TTL:
        kit_create_ttl_body(k, path, 5 + (int32_t)rng_below(r, 2), 1 + (int64_t)rng_below(r, 5000));
        break;
    case OP_DELETE:
        kit_delete_body(k, path, version);
        break;
    case OP_SET_DATA:
        kit_set_data_body(k, path, rng_chance(r, 1, 9) ? NULL : data, version);
        break;
    case OP_CHECK:
        kit_check_body(k, path, version);
        break;
    case OP_SET_ACL:
        kit_set_acl_body(k, path, &list, version);
        break;
    default:
        if (rng_chance(r, 1, 3)) {
            kit_create_acl_body(k, path, &list, (int32_t)rng_below(r, 4));
        } else {
            kit_create_body(k, path, data, (int32_t)rng_below(r, 4));
        }
        break;
    }
    return op;
}

static void random_step(struct kit *k, struct rng *r)
{
    int64_t session = 1 + (int64_t)rng_below(r, 4);
    k->ms += (int64_t)rng_below(r, 100);
    if (rng_chance(r, 1, 40)) {
        kit_prep(k, session, OP_CLOSE_SESSION);
    } else if (rng_chance(r, 1, 20)) {
        buf_put_i32(&k->body, 1000);
        kit_prep(k, session, OP_CREATE_SESSION);
    } else if (rng_chance(r, 1, 15)) {
        char path[64];
        random_path(r, path, sizeof(path));
        kit_path_body(k, path);
        kit_prep(k, 0, OP_DELETE_CONTAINER);
    } else if (rng_chance(r, 1, 5)) {
        kit_multi_begin(k);
        for (uint64_t n = rng_below(r, 5); n > 0; n--) {
            random_op(k, r, true);
        }
        kit_multi_end(k);
        kit_prep(k, session, OP_MULTI);
    } else {
        int32_t op = random_op(k, r, false);
        kit_prep(k, session, op);
    }
}

static void prep_foresees_apply(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct rng r = {seed};
        struct kit k;
        kit_init(&k);
        kit_ready(&k);
        uint64_t deepest = 1 + seed * 5; // how far prep may run ahead
        for (int i = 0; i < 2000; i++) {
            random_step(&k, &r);
            while ((uint64_t)k.pipe_n >= deepest || (k.pipe_n && rng_chance(&r, 1, 3))) {
                kit_apply(&k);
            }
            if (tree_digest_mismatches(k.t)) {
                fail_msg("seed %d step %d: %s", (int)seed, i, k.last_line);
            }
        }
        kit_apply_all(&k);
        assert_int_equal(pending_count(k.p), 0);
        assert_int_equal(tree_digest_mismatches(k.t), 0);
        assert_true(tree_node_count(k.t) > 10); // the history did something
        tree_check(k.t);
        kit_fini(&k);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(create_answers_in_apaches_order),
        T(ttl_needs_extended_types),
        T(flag_4_makes_a_container_only_by_its_own_opcode_or_in_a_multi),
        T(sequence_numbers_follow_the_parents_counter),
        T(sequence_numbers_stop_at_the_end_of_int32),
        T(set_data_and_delete_check_versions),
        T(permissions_follow_the_lists_in_flight),
        T(sessions_must_be_open),
        T(close_takes_exactly_what_the_session_will_own),
        T(undecodable_and_foreign_requests_take_a_zxid),
        T(multi_is_all_or_nothing),
        T(malformed_multis_are_refused_whole),
        T(an_entry_never_grows_beyond_what_a_start_reads),
        T(an_entry_too_long_by_its_frame_is_an_error),
        T(an_entry_is_bounded_whatever_the_setting),
        T(a_close_lists_only_what_fits),
        T(delete_container_looks_again),
        T(reset_forgets_what_never_came),
        cmocka_unit_test(prep_foresees_apply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
