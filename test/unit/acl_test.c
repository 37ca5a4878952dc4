// SPDX-License-Identifier: Apache-2.0
//
// ACL lists: which are stored and how, who they let in, and the table that shares them.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "limits.h"
#include "tree/acl.h"

static struct acl_rules rules = {.digest_enabled = true};
static struct arena arena;

static struct acl entry(int32_t perms, const char *scheme, const char *id)
{
    return (struct acl){perms, {slice_str(scheme), slice_str(id)}};
}

static enum zkerr fixup_one(const char *scheme, const char *id, const struct auth *who)
{
    struct acl x = entry(PERM_ALL, scheme, id);
    struct acl_vec in = {&x, 1}, out;
    return acl_fixup(&in, who, &rules, &arena, &out);
}

static void ids_are_valid_by_their_scheme(void **state)
{
    (void)state;
    static const struct {
        const char *scheme, *id;
        enum zkerr want;
    } cases[] = {
        {"world", "anyone", ZK_OK},
        {"world", "me", ZK_INVALIDACL},
        {"world", NULL, ZK_MARSHALLINGERROR},
        {NULL, "x", ZK_INVALIDACL},
        {"super", "", ZK_INVALIDACL},
        {"nonsense", "x", ZK_INVALIDACL},
        {"sasl", "u", ZK_INVALIDACL}, // not switched on
        {"digest", "u:h", ZK_OK},
        {"digest", ":h", ZK_OK},
        {"digest", "u:h:", ZK_OK},
        {"digest", "u", ZK_INVALIDACL},
        {"digest", "u:", ZK_INVALIDACL},
        {"digest", ":", ZK_INVALIDACL},
        {"digest", "", ZK_INVALIDACL},
        {"digest", "u:h:k", ZK_INVALIDACL},
        {"ip", "1.2.3.4", ZK_OK},
        {"ip", "1.2.3.4/0", ZK_OK},
        {"ip", "1.2.3.4/32", ZK_OK},
        {"ip", "1.2.3.4/33", ZK_INVALIDACL},
        {"ip", "1.2.3.4/", ZK_INVALIDACL},
        {"ip", "1.2.3.4/-1", ZK_INVALIDACL},
        {"ip", "1.2.3", ZK_INVALIDACL},
        {"ip", "1.2.3.4.5", ZK_INVALIDACL},
        {"ip", "1.2.3.", ZK_INVALIDACL},
        {"ip", "1.2.3.256", ZK_INVALIDACL},
        {"ip", "", ZK_INVALIDACL},
        {"ip", "/8", ZK_INVALIDACL},
        {"ip", "::", ZK_OK},
        {"ip", "::1", ZK_OK},
        {"ip", "2001:db8::/32", ZK_OK},
        {"ip", "2001:db8::/129", ZK_INVALIDACL},
        {"ip", "1:2:3:4:5:6:7:8", ZK_OK},
        {"ip", "1:2:3:4:5:6:7::", ZK_OK},
        {"ip", "1:2:3:4:5:6:7", ZK_INVALIDACL},
        {"ip", "1:2:3:4:5:6:7:8:9", ZK_INVALIDACL},
        {"ip", "1:2:3:4:5:6:7:8::", ZK_INVALIDACL},
        {"ip", "1::2::3", ZK_INVALIDACL},
        {"ip", ":::", ZK_INVALIDACL},
        {"ip", ":1", ZK_INVALIDACL},
        {"ip", "1:", ZK_INVALIDACL},
        {"ip", "12345::", ZK_INVALIDACL},
        {"ip", "g::", ZK_INVALIDACL},
        {"ip", "::1.2.3.4", ZK_INVALIDACL},
        {"ip", "fe80::1%eth0", ZK_INVALIDACL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum zkerr got = fixup_one(cases[i].scheme, cases[i].id, NULL);
        if (got != cases[i].want) {
            fail_msg("%s:%s gave %s", cases[i].scheme, cases[i].id, zkerr_name(got));
        }
    }
}

static void lists_are_made_storable(void **state)
{
    (void)state;
    struct acl v[] = {entry(1, "world", "anyone"), entry(255, "auth", "whatever"),
                      entry(1, "world", "anyone"), entry(2, "world", "anyone"),
                      entry(0, "auth", NULL)};
    struct acl_vec in = {v, 5}, out;
    struct zk_id ids[] = {{SLICE_LIT("ip"), SLICE_LIT("127.0.0.1")},
                          {SLICE_LIT("digest"), SLICE_LIT("u:h")},
                          {SLICE_LIT("super"), SLICE_LIT("")},
                          {SLICE_LIT("digest"), SLICE_LIT("w:h")}};
    struct auth who = {ids, 4};
    assert_int_equal(acl_fixup(&in, &who, &rules, &arena, &out), ZK_OK);
    assert_int_equal(out.n, 6);
    assert_int_equal(out.v[0].perms, 1);
    assert_int_equal(out.v[1].perms, 255);
    assert_true(slice_eq_str(out.v[1].id.scheme, "digest"));
    assert_true(slice_eq_str(out.v[1].id.id, "u:h"));
    assert_true(slice_eq_str(out.v[2].id.id, "w:h"));
    assert_int_equal(out.v[3].perms, 2);
    assert_int_equal(out.v[4].perms, 0);
    who.n = 1; // ip alone is no authenticated identity
    assert_int_equal(acl_fixup(&in, &who, &rules, &arena, &out), ZK_INVALIDACL);
    in.n = 0;
    assert_int_equal(acl_fixup(&in, &who, &rules, &arena, &out), ZK_INVALIDACL);
    in.n = -1;
    assert_int_equal(acl_fixup(&in, &who, &rules, &arena, &out), ZK_INVALIDACL);
}

static void lists_without_end_are_refused(void **state)
{
    (void)state;
    static struct acl v[LIMIT_ACL_ENTRIES + 1];
    for (int i = 0; i <= LIMIT_ACL_ENTRIES; i++) {
        v[i] = entry(i, "world", "anyone");
    }
    struct acl_vec in = {v, LIMIT_ACL_ENTRIES}, out;
    assert_int_equal(acl_fixup(&in, NULL, &rules, &arena, &out), ZK_OK);
    assert_int_equal(out.n, LIMIT_ACL_ENTRIES);
    in.n++;
    assert_int_equal(acl_fixup(&in, NULL, &rules, &arena, &out), ZK_INVALIDACL);
}

static bool lets_in(struct acl x, int32_t perms, const char *scheme, const char *id)
{
    struct acl_vec list = {&x, 1};
    struct zk_id who_id = {slice_str(scheme), slice_str(id)};
    struct auth who = {&who_id, 1};
    return acl_allows(&list, perms, &who, &rules);
}

static void lists_let_in_whom_they_name(void **state)
{
    (void)state;
    assert_true(lets_in(entry(PERM_READ, "world", "anyone"), PERM_READ, "ip", "1.2.3.4"));
    assert_false(lets_in(entry(PERM_READ, "world", "anyone"), PERM_WRITE, "ip", "1.2.3.4"));
    assert_true(
        lets_in(entry(PERM_READ, "world", "anyone"), PERM_READ | PERM_ADMIN, "ip", "1.2.3.4"));
    assert_true(lets_in(entry(31, "digest", "u:h"), PERM_READ, "digest", "u:h"));
    assert_false(lets_in(entry(31, "digest", "u:h"), PERM_READ, "digest", "u:H"));
    assert_false(lets_in(entry(31, "digest", "u:h"), PERM_READ, "ip", "u:h"));
    assert_true(lets_in(entry(0, "digest", "u:h"), PERM_WRITE, "super", ""));
    assert_true(lets_in(entry(31, "ip", "10.1.0.0/16"), 1, "ip", "10.1.200.3"));
    assert_false(lets_in(entry(31, "ip", "10.1.0.0/16"), 1, "ip", "10.2.0.1"));
    assert_true(lets_in(entry(31, "ip", "10.1.0.128/25"), 1, "ip", "10.1.0.129"));
    assert_false(lets_in(entry(31, "ip", "10.1.0.128/25"), 1, "ip", "10.1.0.127"));
    assert_true(lets_in(entry(31, "ip", "9.9.9.9/0"), 1, "ip", "10.1.0.127"));
    assert_false(lets_in(entry(31, "ip", "0.0.0.0/0"), 1, "ip", "0:0:0:0:0:0:0:1"));
    assert_true(lets_in(entry(31, "ip", "::1"), 1, "ip", "0:0:0:0:0:0:0:1"));
    assert_true(lets_in(entry(31, "ip", "fe80::/10"), 1, "ip", "fe80:0:0:0:1:2:3:4%eth0"));
    assert_false(lets_in(entry(31, "ip", "2001:db8::/32"), 1, "ip", "2001:db9:0:0:0:0:0:1"));
    struct acl_vec empty = {NULL, 0};
    assert_true(acl_allows(&empty, 1, NULL, &rules));
    assert_false(acl_allows(NULL, 1, NULL, &rules));
    struct acl_rules open = {.skip_acl = true};
    assert_true(acl_allows(NULL, 1, NULL, &open));
}

static void equal_lists_share_an_id(void **state)
{
    (void)state;
    struct acl_table *t = acl_table_new(3);
    struct acl a = entry(1, "world", "anyone"), b = entry(1, "ip", "1.2.3.4");
    struct acl_vec va = {&a, 1}, vb = {&b, 1};
    int32_t ia = acl_table_get(t, &va);
    int32_t ib = acl_table_get(t, &vb);
    assert_int_equal(ia, 1);
    assert_int_equal(ib, 2);
    assert_int_equal(acl_table_get(t, &va), ia);
    assert_int_equal(acl_table_count(t), 2);
    acl_table_unref(t, ia);
    assert_non_null(acl_table_list(t, ia));
    acl_table_unref(t, ia);
    assert_null(acl_table_list(t, ia));
    assert_int_equal(acl_table_get(t, &va), 3); // ids are not used again
    acl_table_define(t, 900, &va);
    assert_int_equal(acl_table_next(t, 0), 2);
    assert_int_equal(acl_table_next(t, 2), 3);
    assert_int_equal(acl_table_next(t, 3), 900); // a gap
    assert_int_equal(acl_table_next(t, 900), 0);
    acl_table_purge(t);
    assert_null(acl_table_list(t, 900));
    assert_int_equal(acl_table_list(t, ACL_ID_OPEN)->v[0].perms, PERM_ALL);
    acl_table_define(t, INT32_MAX, &va);
    b.perms = 2;
    int32_t id = acl_table_get(t, &vb);
    assert_int_equal(id, 1); // the first free one
    acl_table_free(&t);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_valid_by_their_scheme),
        cmocka_unit_test(lists_are_made_storable),
        cmocka_unit_test(lists_without_end_are_refused),
        cmocka_unit_test(lists_let_in_whom_they_name),
        cmocka_unit_test(equal_lists_share_an_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
