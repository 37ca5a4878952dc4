// SPDX-License-Identifier: Apache-2.0
//
// cli/paths: relative paths and access control lists; cli/sentences: causes in Apache's words.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"

static void expect_path(const char *cwd, const char *arg, const char *path)
{
    char *at = cli_dup(cwd);
    struct cli c = {.cwd = at};
    char *got = cli_path(&c, arg, false);
    assert_string_equal(got, path);
    free(got);
    free(at);
}

static void paths_begin_where_cd_went(void **state)
{
    (void)state;
    expect_path("/", "/", "/");
    expect_path("/", "", "/");
    expect_path("/", ".", "/");
    expect_path("/", "..", "/");
    expect_path("/", "a", "/a");
    expect_path("/a/b", "", "/a/b");
    expect_path("/a/b", ".", "/a/b");
    expect_path("/a/b", "..", "/a");
    expect_path("/a/b", "../..", "/");
    expect_path("/a/b", "../../../..", "/");
    expect_path("/a/b", "../c/./d", "/a/c/d");
    expect_path("/a/b", "/c", "/c");
    expect_path("/a/b", "//c///d//", "/c/d");
    expect_path("/a/b", "c/", "/a/b/c");
    expect_path("/a", "...", "/a/...");
    expect_path("/a", ".hidden", "/a/.hidden");
    expect_path("/a", "..x/y", "/a/..x/y");
}

static void a_sequential_name_may_be_empty(void **state)
{
    (void)state;
    char cwd[] = "/a";
    struct cli c = {.cwd = cwd};
    static const char *const pairs[][2] = {
        {"/q/", "/q/"}, {"q/", "/a/q/"}, {"q", "/a/q"}, {"/", "/"}, {"", "/a"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char *got = cli_path(&c, pairs[i][0], true);
        assert_string_equal(got, pairs[i][1]);
        free(got);
    }
}

static void joined(void **state)
{
    (void)state;
    char *p = cli_path_join("/", "a"), *q = cli_path_join(p, "b");
    assert_string_equal(p, "/a");
    assert_string_equal(q, "/a/b");
    free(p);
    free(q);
}

static void lists_of_permissions(void **state)
{
    (void)state;
    FILE *page = tmpfile();
    assert_non_null(page);
    struct cli c = {.command = "setAcl"};
    out_init(&c.out, page, page, false, OUT_COLOR_NEVER);
    struct reeve_acl *list;
    size_t n;
    assert_true(
        cli_parse_acl(&c, "world:anyone:r,digest:u:hash=:cdrwa,auth::w,ip:::1:a,x:y:", &list, &n));
    static const struct reeve_acl expected[] = {{1, "world", "anyone"},
                                                {31, "digest", "u:hash="},
                                                {2, "auth", ""},
                                                {16, "ip", "::1"},
                                                {0, "x", "y"}};
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(list[i].perms, expected[i].perms);
        assert_string_equal(list[i].scheme, expected[i].scheme);
        assert_string_equal(list[i].id, expected[i].id);
    }
    free(list);
    assert_int_equal(ftell(page), 0);
    static const char *const bad[] = {"",        "x",      "world:anyone", "world:anyone:rx",
                                      "a:b:r,c", ",a:b:r", "a:b:r,,c:d:r"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        long before = ftell(page);
        assert_false(cli_parse_acl(&c, bad[i], &list, &n));
        assert_null(list);
        assert_true(ftell(page) > before);
    }
    fclose(page);
}

static void expect_cause(struct reeve_result r, const char *sentence)
{
    struct string t = {0};
    r.why = r.why ? r.why : "";
    cli_cause(&t, &r);
    assert_string_equal(string_of(&t), sentence);
    string_fini(&t);
}

static void causes_in_apaches_words(void **state)
{
    (void)state;
    expect_cause((struct reeve_result){.error = REEVE_NO_NODE, .path = "/a"},
                 "Node does not exist: /a (NONODE)");
    expect_cause((struct reeve_result){.error = REEVE_BAD_VERSION, .path = "/a"},
                 "version No is not valid : /a (BADVERSION)");
    expect_cause((struct reeve_result){.error = REEVE_RECONFIG_DISABLED, .path = ""},
                 "Reconfig is disabled (RECONFIGDISABLED)");
    struct string t = {0};
    struct reeve_result r = {.error = REEVE_CONNECTION_LOSS,
                             .path = "/a",
                             .why = "host:1 closed the connection",
                             .maybe_done = true};
    cli_cause(&t, &r);
    const char *s = string_of(&t);
    assert_memory_equal(s, "/a: ", 4);
    assert_non_null(strstr(s, "(CONNECTIONLOSS): host:1 closed the connection; the server may have "
                              "executed it"));
    string_fini(&t);
}

static void exit_codes_of_errors(void **state)
{
    (void)state;
    FILE *page = tmpfile();
    assert_non_null(page);
    struct cli c = {.command = "get"};
    out_init(&c.out, page, page, false, OUT_COLOR_NEVER);
    static const struct {
        enum reeve_error error;
        int code;
    } expected[] = {
        {REEVE_NO_NODE, CLI_NO},           {REEVE_NO_AUTH, CLI_NO},
        {REEVE_TOO_BIG, CLI_NO},           {REEVE_BAD_ARGUMENTS, CLI_USAGE},
        {REEVE_AUTH_FAILED, CLI_NO},       {REEVE_CONNECTION_LOSS, CLI_NO_CONNECTION},
        {REEVE_CLOSED, CLI_NO_CONNECTION}, {REEVE_SESSION_EXPIRED, CLI_NO_CONNECTION},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct reeve_result r = {.error = expected[i].error, .path = "/a", .why = ""};
        assert_int_equal(cli_fail(&c, &r), expected[i].code);
    }
    long before = ftell(page);
    struct reeve_result r = {.error = REEVE_CANCELLED, .path = "/a", .why = ""};
    assert_int_equal(cli_fail(&c, &r), CLI_INTERRUPTED);
    assert_int_equal(ftell(page), before);
    fclose(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_begin_where_cd_went),
        cmocka_unit_test(a_sequential_name_may_be_empty),
        cmocka_unit_test(joined),
        cmocka_unit_test(lists_of_permissions),
        cmocka_unit_test(causes_in_apaches_words),
        cmocka_unit_test(exit_codes_of_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
