// SPDX-License-Identifier: Apache-2.0
//
// Two trees change places: each pointer then shows the other's whole state, and both live on.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/tree_kit.h"

static void fill(struct kit *k, int nodes, const char *prefix)
{
    kit_create(k, prefix, "top", 0);
    for (int i = 0; i < nodes; i++) {
        char path[64];
        snprintf(path, sizeof(path), "%s/n%d", prefix, i);
        kit_create(k, path, "data", i % 2);
    }
}

static void contents_change_places_and_both_live_on(void **state)
{
    (void)state;
    struct kit a = {0}, b = {0};
    kit_init(&a);
    kit_init(&b);
    kit_ready(&a);
    kit_ready(&b);
    fill(&a, 3000, "/a");
    fill(&b, 10, "/b");
    int64_t za = tree_zxid(a.t), zb = tree_zxid(b.t);
    uint64_t da = tree_digest(a.t), db = tree_digest(b.t);
    tree_swap(a.t, b.t);
    assert_int_equal(tree_zxid(a.t), zb);
    assert_int_equal(tree_zxid(b.t), za);
    assert_true(tree_digest(a.t) == db);
    assert_true(tree_digest(b.t) == da);
    assert_int_equal(tree_find(a.t, SLICE_LIT("/a")), 0);
    assert_int_not_equal(tree_find(b.t, SLICE_LIT("/a/n2999")), 0);
    tree_check(a.t);
    tree_check(b.t);
    tree_free(&b.t); // nothing of the one is left in the other
    fill(&a, 500, "/more");
    assert_int_not_equal(tree_find(a.t, SLICE_LIT("/more/n499")), 0);
    tree_check(a.t);
    kit_fini(&a);
    kit_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_change_places_and_both_live_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
