// SPDX-License-Identifier: Apache-2.0
//
// A change of the membership as a transaction: who may, in what order it is refused, the bytes that
// Apache's leader makes of it, and /zookeeper/config afterwards. And requests that are refused for
// what only the caller knows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/support/tree_kit.h"
#include "wire/jute.h"

#define NEXT                                                       \
    "server.1=127.0.0.1:21831:21841:participant;127.0.0.1:21821\n" \
    "server.3=127.0.0.1:21833:21843:participant;127.0.0.1:21823\n" \
    "server.4=127.0.0.1:21834:21844:observer;127.0.0.1:21824\n"    \
    "server.5=127.0.0.1:21835:21845:participant;127.0.0.1:21825\n" \
    "version=100000010"

static const char config[] = "/zookeeper/config";

static struct kit kit;

static void begin(bool super)
{
    kit_init(&kit);
    kit.cfg.reconfig_enabled = true;
    kit_ready(&kit);
    if (super) {
        kit.ids[0] = (struct zk_id){SLICE_LIT("super"), SLICE_LIT("")};
    }
}

static void end(void)
{
    kit_fini(&kit);
}

static enum zkerr reconfig(int64_t session, enum zkerr refuse)
{
    struct reconfig_request r = {.config_id = -1};
    if (refuse) {
        jute_put_record(&kit.body, &record_reconfig_request, &r);
    } else {
        buf_put_slice(&kit.body, slice_str(NEXT));
    }
    kit.refuse = refuse;
    return kit_prep(&kit, session, OP_RECONFIG);
}

// golden: reconfig-remove-leader, the PROPOSAL of server 2, up to the digest.
static void the_entry_is_apaches_byte_for_byte(void **state)
{
    (void)state;
    begin(true);
    kit_open_session(&kit, 0x1000016027f0002);
    struct buf want = {0};
    buf_put_i64(&want, 0x1000016027f0002);
    buf_put_i32(&want, 7); // there: 2; the test's requests all have this one
    buf_put_i64(&want, 0x100000010);
    buf_put_i64(&want, 1795212520733);
    buf_put_i32(&want, 16);
    buf_put_i32(&want, 17);
    buf_put_slice(&want, slice_str(config));
    buf_put_i32(&want, 250);
    buf_put_slice(&want, slice_str(NEXT));
    buf_put_i32(&want, -1);
    buf_put_i32(&want, 2);
    kit.zxid = 0x10000000f;
    kit.ms = 1795212520733;
    assert_int_equal(reconfig(0x1000016027f0002, ZK_OK), ZK_OK);
    assert_int_equal(kit.pipe[0].n, want.n + 8);
    assert_memory_equal(kit.pipe[0].p, want.p, want.n);
    buf_fini(&want);
    end();
}

static void config_node_shows_it_and_the_digest_does_not_change(void **state)
{
    (void)state;
    begin(true);
    uint64_t digest = tree_digest(kit.t);
    assert_int_equal(reconfig(1, ZK_OK), ZK_OK);
    kit_apply_all(&kit);
    struct node_stat st = kit_stat(&kit, config);
    assert_int_equal(kit.out.result.type, OP_RECONFIG);
    assert_int_equal(kit.out.result.stat.mzxid, kit.zxid);
    assert_int_equal(st.version, -1);
    assert_int_equal(st.mzxid, kit.zxid);
    assert_int_equal(st.mtime, kit.ms);
    assert_string_equal(kit_data(&kit, config), NEXT);
    assert_int_equal(kit.out.fired_n, 1);
    assert_int_equal(kit.out.fired[0].type, 3);
    assert_true(slice_eq_str(kit.out.fired[0].path, config));
    assert_true(tree_digest(kit.t) == digest);
    assert_int_equal(tree_digest_mismatches(kit.t), 0);
    tree_check(kit.t);
    end();
}

static void refusals_rank_as_apaches(void **state)
{
    (void)state;
    begin(false);
    assert_int_equal(reconfig(99, ZK_BADVERSION), ZK_SESSIONEXPIRED);
    assert_int_equal(reconfig(1, ZK_NEWCONFIGNOQUORUM), ZK_NEWCONFIGNOQUORUM);
    assert_int_equal(reconfig(1, ZK_OK), ZK_NOAUTH); // world may read
    kit_apply_all(&kit);
    assert_string_equal(kit_data(&kit, config), "");
    kit.refuse = ZK_BADVERSION;
    buf_put_i32(&kit.body, 100); // cut short
    assert_int_equal(kit_do(&kit, 1, OP_RECONFIG), ZK_MARSHALLINGERROR);
    end();

    kit_init(&kit);
    kit_ready(&kit);
    assert_int_equal(reconfig(99, ZK_BADVERSION), ZK_RECONFIGDISABLED);
    end();
}

static void a_session_that_moved_is_refused_behind_one_that_is_closed(void **state)
{
    (void)state;
    begin(false);
    kit.refuse = ZK_SESSIONMOVED;
    kit_create_body(&kit, "/a", "", 0);
    assert_int_equal(kit_do(&kit, 1, OP_CREATE), ZK_SESSIONMOVED);
    kit.refuse = ZK_SESSIONMOVED;
    kit_create_body(&kit, "/a", "", 0);
    assert_int_equal(kit_do(&kit, 99, OP_CREATE), ZK_SESSIONEXPIRED);
    kit.refuse = ZK_SESSIONMOVED;
    kit_multi_part(&kit, OP_CREATE);
    kit_create_body(&kit, "/a", "", 0);
    kit_multi_end(&kit);
    kit_do(&kit, 1, OP_MULTI);
    assert_int_equal(kit.out.result.parts[0].err, ZK_SESSIONMOVED);
    assert_false(kit_has(&kit, "/a"));
    assert_int_equal(kit_create(&kit, "/a", "", 0), ZK_OK); // it is of one request alone
    end();
}

static void a_server_sets_its_config_node_by_itself(void **state)
{
    (void)state;
    begin(false);
    uint64_t digest = tree_digest(kit.t);
    int64_t size = tree_data_size(kit.t), zxid = tree_zxid(kit.t);
    tree_set_config(kit.t, slice_str(NEXT), 0x100000010, 4711);
    struct node_stat st = kit_stat(&kit, config);
    assert_string_equal(kit_data(&kit, config), NEXT);
    assert_int_equal(st.version, -1);
    assert_int_equal(st.mzxid, 0x100000010);
    assert_int_equal(st.mtime, 4711);
    assert_int_equal(st.czxid, 0);
    assert_true(tree_digest(kit.t) == digest);
    assert_int_equal(tree_zxid(kit.t), zxid);
    assert_int_equal(tree_data_size(kit.t), size + 250);
    tree_check(kit.t);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_entry_is_apaches_byte_for_byte),
        cmocka_unit_test(config_node_shows_it_and_the_digest_does_not_change),
        cmocka_unit_test(refusals_rank_as_apaches),
        cmocka_unit_test(a_session_that_moved_is_refused_behind_one_that_is_closed),
        cmocka_unit_test(a_server_sets_its_config_node_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
