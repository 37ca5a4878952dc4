// SPDX-License-Identifier: Apache-2.0
//
// Quotas: usage that follows the subtree, limits that warn or refuse, and the bytes that bring
// Apache's server down.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/tree_kit.h"

#define STATS  "/zookeeper/quota/q/zookeeper_stats"
#define LIMITS "/zookeeper/quota/q/zookeeper_limits"

static int setup(void **state)
{
    struct kit *k = malloc(sizeof(*k));
    kit_init(k);
    k->cfg.enforce_quota = true;
    kit_ready(k);
    kit_create(k, "/q", "12345", 0);
    kit_create(k, "/q/a", "1234", 0);
    kit_create(k, "/zookeeper/quota/q", NULL, 0);
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

static void usage_follows_the_subtree(void **state)
{
    struct kit *k = *state;
    assert_int_equal(kit_create(k, LIMITS, "count=100,bytes=-1", 0), ZK_OK);
    assert_int_equal(kit_create(k, STATS, "count=0,bytes=0", 0), ZK_OK);
    assert_string_equal(kit_data(k, STATS), "count=2,bytes=9");
    int64_t born = kit_stat(k, STATS).mzxid;
    kit_create(k, "/q/b", "xx", 0);
    assert_string_equal(kit_data(k, STATS), "count=3,bytes=11");
    assert_int_equal(k->out.fired_n, 2); // nobody hears of the stats node
    kit_set_data(k, "/q", "1", -1);
    assert_string_equal(kit_data(k, STATS), "count=3,bytes=7");
    kit_delete(k, "/q/b", -1);
    assert_string_equal(kit_data(k, STATS), "count=2,bytes=5");
    kit_create(k, "/qq", "not below", 0);
    assert_string_equal(kit_data(k, STATS), "count=2,bytes=5");
    assert_int_equal(kit_stat(k, STATS).mzxid, born);
    assert_int_equal(kit_stat(k, STATS).version, 0);
    // The deepest registered prefix counts alone.
    kit_create(k, "/zookeeper/quota/q/a", NULL, 0);
    kit_create(k, "/zookeeper/quota/q/a/zookeeper_limits", "count=9,bytes=9", 0);
    kit_create(k, "/zookeeper/quota/q/a/zookeeper_stats", "", 0);
    kit_create(k, "/q/a/x", "123", 0);
    assert_string_equal(kit_data(k, "/zookeeper/quota/q/a/zookeeper_stats"), "count=2,bytes=7");
    assert_string_equal(kit_data(k, STATS), "count=2,bytes=5");
    // Without limits the usage stands still.
    kit_delete(k, LIMITS, -1);
    kit_create(k, "/q/c", "xx", 0);
    assert_string_equal(kit_data(k, STATS), "count=2,bytes=5");
}

static void hard_limits_refuse_soft_ones_warn(void **state)
{
    struct kit *k = *state;
    kit_create(k, LIMITS, "count=5,bytes=-1=;byteHardLimit=20;countHardLimit=4", 0);
    kit_create(k, STATS, "count=0,bytes=0", 0);
    assert_int_equal(kit_create(k, "/q/b", "", 0), ZK_OK);
    assert_int_equal(kit_create(k, "/q/c", "", 0), ZK_OK);
    assert_int_equal(k->warnings, 0);
    assert_int_equal(kit_create(k, "/q/d", "", 0), ZK_QUOTAEXCEEDED);
    assert_int_equal(k->warnings, 1);
    assert_non_null(strstr(k->last_line, "/q"));
    assert_int_equal(kit_set_data(k, "/q", "1234567890123456", -1), ZK_OK);
    assert_int_equal(kit_set_data(k, "/q", "12345678901234567", -1), ZK_QUOTAEXCEEDED);
    assert_int_equal(kit_set_data(k, "/q", "6543210987654321", -1), ZK_OK); // no difference
    kit_set_data(k, LIMITS, "count=4,bytes=20", -1);
    k->warnings = 0;
    assert_int_equal(kit_create(k, "/q/d", "", 0), ZK_OK);
    assert_int_equal(k->warnings, 1);
    assert_int_equal(kit_set_data(k, "/q", "12345678901234567", -1), ZK_OK);
    assert_int_equal(k->warnings, 2);
}

static void without_enforcement_hard_limits_only_warn(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k);
    kit_ready(&k);
    kit_create(&k, "/q", "", 0);
    kit_create(&k, "/zookeeper/quota/q", NULL, 0);
    kit_create(&k, LIMITS, "countHardLimit=1", 0);
    kit_create(&k, STATS, "", 0);
    assert_int_equal(kit_create(&k, "/q/a", "", 0), ZK_OK);
    assert_int_equal(k.warnings, 1);
    kit_fini(&k);
}

static void only_applied_usage_counts(void **state)
{
    struct kit *k = *state;
    kit_create(k, LIMITS, "countHardLimit=3", 0);
    kit_create(k, STATS, "", 0);
    kit_create_body(k, "/q/x", "", 0);
    assert_int_equal(kit_prep(k, 1, OP_CREATE), ZK_OK);
    kit_create_body(k, "/q/y", "", 0);
    assert_int_equal(kit_prep(k, 1, OP_CREATE), ZK_OK);
    kit_apply_all(k);
    assert_int_equal(kit_create(k, "/q/z", "", 0), ZK_QUOTAEXCEEDED);
}

static void any_bytes_in_quota_nodes_are_survived(void **state)
{
    struct kit *k = *state;
    assert_int_equal(kit_create(k, "/zookeeper/quota/zookeeper_limits", "count=1", 0), ZK_OK);
    assert_int_equal(kit_create(k, "/zookeeper/quota/zookeeper_stats", "x", 0), ZK_OK);
    assert_int_equal(kit_create(k, "/anywhere", "", 0), ZK_OK);
    assert_string_equal(kit_data(k, "/zookeeper/quota/zookeeper_stats"), "x");
    assert_int_equal(kit_create(k, LIMITS, NULL, 0), ZK_OK);
    assert_int_equal(kit_create(k, STATS, "", 0), ZK_OK);
    static const char *const texts[] = {
        NULL,
        "",
        "=",
        ",",
        ";;,,",
        "count",
        "count=",
        "count=x",
        "count= 5",
        "count=1=2=3",
        "bytes=99999999999999999999",
        "count=-9223372036854775808,bytes=9223372036854775807",
        "\xff\xfe",
        "a=1;b=2",
        "count=1\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        kit_set_data(k, LIMITS, texts[i], -1);
        kit_set_data(k, STATS, texts[i], -1);
        enum zkerr e = kit_create(k, "/q/n", "1", 0);
        assert_true(e == ZK_OK || e == ZK_QUOTAEXCEEDED);
        assert_int_equal(kit_set_data(k, STATS, texts[i], -1), ZK_OK);
        assert_int_equal(kit_set_data(k, LIMITS, "garbage", -1), ZK_OK);
        e = kit_create(k, "/q/m", "1", 0);
        assert_int_equal(e, ZK_OK); // garbage is no limit
        kit_delete(k, "/q/n", -1);
        kit_delete(k, "/q/m", -1);
    }
    kit_set_data(k, STATS, "garbage", -1);
    kit_create(k, "/q/n", "123", 0);
    assert_string_equal(kit_data(k, STATS), "count=1,bytes=3");
    char *big = malloc(100001);
    memset(big, '7', 100000);
    big[100000] = 0;
    kit_set_data(k, STATS, big, -1);
    assert_int_equal(kit_create(k, "/q/o", "1", 0), ZK_OK);
    assert_string_equal(kit_data(k, STATS), "count=1,bytes=1");
    free(big);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(usage_follows_the_subtree),
        T(hard_limits_refuse_soft_ones_warn),
        cmocka_unit_test(without_enforcement_hard_limits_only_warn),
        T(only_applied_usage_counts),
        T(any_bytes_in_quota_nodes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
