// SPDX-License-Identifier: Apache-2.0
//
// cli/find_terms and cli/kinds: what find looks for, names, sizes, times.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/find_terms.h"
#include "cli/kinds.h"

static const char known[] = "name: data: ephemeral size: mtime: owner:";
static char why[160];

// Reads the options of up to two words each.
static bool read_terms(struct find_terms *t, const char *option, const char *value)
{
    static char option_copy[32], value_copy[64];
    snprintf(option_copy, sizeof(option_copy), "%s", option);
    snprintf(value_copy, sizeof(value_copy), "%s", value ? value : "");
    char *words[] = {option_copy, value_copy, NULL};
    struct args a;
    assert_true(args_parse(&a, known, value ? 2 : 1, words, why, sizeof(why)));
    bool good = find_terms_read(t, &a, why, sizeof(why));
    args_fini(&a);
    return good;
}

static bool matches(const char *option, const char *value, const char *path,
                    const struct reeve_stat *st)
{
    struct find_terms t;
    assert_true(read_terms(&t, option, value));
    return find_terms_match(&t, path, st, 1000000000);
}

static void globs_are_of_the_last_name(void **state)
{
    (void)state;
    const struct {
        const char *glob, *path;
        bool match;
    } cases[] = {
        {"b", "/a/b", true},    {"a", "/a/b", false},      {"*", "/a/b", true},
        {"?", "/a/bb", false},  {"[a-c]*", "/x/bb", true}, {"[!a-c]*", "/x/bb", false},
        {"/", "/", true},       {"*", "/", true},          {"\\*", "/a/*", true},
        {"\\*", "/a/b", false}, {"a*b", "/x/a.b", true},   {"", "/a", false},
        {"[", "/[", true},      {".*", "/.hidden", true},  {"*", "/.hidden", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (matches("-name", cases[i].glob, cases[i].path, NULL) != cases[i].match) {
            fail_msg("-name %s and %s", cases[i].glob, cases[i].path);
        }
    }
}

static void sizes_are_more_less_or_as_many_units(void **state)
{
    (void)state;
    const struct {
        const char *size;
        int32_t bytes;
        bool match;
    } cases[] = {
        {"0", 0, true},           {"0", 1, false},         {"+0", 1, true},
        {"+0", 0, false},         {"-1", 0, true},         {"-1", 1, false},
        {"1k", 1, true},          {"1k", 1024, true},      {"1k", 1025, false},
        {"+1k", 1024, false},     {"+1k", 1025, true},     {"-1k", 1023, true},
        {"1M", 1 << 20, true},    {"+1M", 1 << 20, false}, {"5c", 5, true},
        {"+1G", INT32_MAX, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reeve_stat st = {.data_length = cases[i].bytes};
        if (matches("-size", cases[i].size, "/a", &st) != cases[i].match) {
            fail_msg("-size %s and %d", cases[i].size, cases[i].bytes);
        }
    }
    assert_false(matches("-size", "0", "/a", NULL)); // not known is no match
}

static void ages_are_rounded_down(void **state)
{
    (void)state;
    const int64_t now = 1000000000, minute = 60000, day = 86400000;
    const struct {
        const char *age;
        int64_t age_ms;
        bool match;
    } cases[] = {
        {"1m", minute, true},      {"1m", 2 * minute - 1, true},
        {"1m", 2 * minute, false}, {"+1m", minute, false},
        {"+1m", minute + 1, true}, {"-1m", minute - 1, true},
        {"-1m", minute, false},    {"1", day, true},
        {"0", day - 1, true},      {"+2h", 3 * 3600000, true},
        {"-10s", 9999, true},      {"-10s", -5000, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reeve_stat st = {.mtime_ms = now - cases[i].age_ms};
        if (matches("-mtime", cases[i].age, "/a", &st) != cases[i].match) {
            fail_msg("-mtime %s and %lld", cases[i].age, (long long)cases[i].age_ms);
        }
    }
}

static void owners(void **state)
{
    (void)state;
    struct reeve_stat st = {.ephemeral_owner = (int64_t)0x8100000000000abcu}, none = {0};
    assert_true(matches("-owner", "0x8100000000000abc", "/a", &st));
    assert_true(matches("-owner", "8100000000000ABC", "/a", &st));
    assert_false(matches("-owner", "0xabc", "/a", &st));
    assert_true(matches("-ephemeral", NULL, "/a", &st));
    assert_false(matches("-ephemeral", NULL, "/a", &none));
    assert_false(matches("-ephemeral", NULL, "/a", NULL));
}

static void what_is_no_term_is_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"-size", ""},
        {"-size", "k"},
        {"-size", "+"},
        {"-size", "1kk"},
        {"-size", "--1"},
        {"-size", "1.5k"},
        {"-size", "9999999999999"},
        {"-size", "999999999999G"},
        {"-mtime", "1w"},
        {"-mtime", "x"},
        {"-mtime", "+-1"},
        {"-owner", ""},
        {"-owner", "0x"},
        {"-owner", "me"},
        {"-owner", "0x11112222333344445"},
    };
    struct find_terms t;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        why[0] = '\0';
        if (read_terms(&t, bad[i][0], bad[i][1])) {
            fail_msg("%s %s is accepted", bad[i][0], bad[i][1]);
        }
        assert_non_null(strstr(why, bad[i][0]));
    }
}

static void names_and_paths(void **state)
{
    (void)state;
    assert_true(name_is_sequential("n-0000000012"));
    assert_true(name_is_sequential("0000000012"));
    assert_true(name_is_sequential("n-12345678901"));
    assert_false(name_is_sequential("n-000000001"));
    assert_false(name_is_sequential("0000000012x"));
    assert_false(name_is_sequential(""));
    assert_string_equal(path_name("/a/b"), "b");
    assert_string_equal(path_name("/"), "/");
    assert_true(path_is_in("/a", "/a"));
    assert_true(path_is_in("/a/b", "/a"));
    assert_true(path_is_in("/a", "/"));
    assert_false(path_is_in("/ab", "/a"));
    assert_false(path_is_in("/a", "/a/b"));
}

static void sizes_and_seconds_for_people(void **state)
{
    (void)state;
    char t[16];
    assert_string_equal(human_size(t, 0), "0");
    assert_string_equal(human_size(t, 1023), "1023");
    assert_string_equal(human_size(t, 1024), "1.0K");
    assert_string_equal(human_size(t, (1 << 20) - 1), "1.0M");
    assert_string_equal(human_size(t, UINT64_MAX), "16.0E");
    int64_t ms;
    assert_true(parse_seconds("1.5", &ms));
    assert_int_equal(ms, 1500);
    assert_true(parse_seconds("0", &ms));
    assert_int_equal(ms, 0);
    assert_false(parse_seconds("", &ms));
    assert_false(parse_seconds("-1", &ms));
    assert_false(parse_seconds("1.2.3", &ms));
    assert_false(parse_seconds(".", &ms));
    assert_false(parse_seconds("1e9", &ms));
    assert_false(parse_seconds("99999999999", &ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs_are_of_the_last_name),
        cmocka_unit_test(sizes_are_more_less_or_as_many_units),
        cmocka_unit_test(ages_are_rounded_down),
        cmocka_unit_test(owners),
        cmocka_unit_test(what_is_no_term_is_refused),
        cmocka_unit_test(names_and_paths),
        cmocka_unit_test(sizes_and_seconds_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
