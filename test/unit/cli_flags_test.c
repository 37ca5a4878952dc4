// SPDX-License-Identifier: Apache-2.0
//
// cli/flags: options as Apache's shell spells them, anywhere in the line.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/flags.h"

enum { WORDS_MAX = 24 };

static char *words[WORDS_MAX];
static char line_copy[256], why[160];

// Sorts the words of a line (parted by single spaces).
static bool parse(struct args *a, const char *known, const char *line)
{
    snprintf(line_copy, sizeof(line_copy), "%s", line);
    int n = 0;
    for (char *p = line_copy; p && *p; n++) {
        assert_true(n < WORDS_MAX);
        words[n] = p;
        p = strchr(p, ' ');
        if (p) {
            *p++ = '\0';
        }
    }
    why[0] = '\0';
    return args_parse(a, known, n, words, why, sizeof(why));
}

static void refused(const char *known, const char *line, const char *because)
{
    struct args a;
    assert_false(parse(&a, known, line));
    assert_string_equal(why, because);
    args_fini(&a);
}

static void options_stand_anywhere(void **state)
{
    (void)state;
    static const char *const lines[] = {"-s -v 3 /a x",   "/a -s x -v 3", "/a x -v 3 -s",
                                        "-v3 -s /a x",    "-sv3 /a x",    "-sv 3 /a x",
                                        "--s --v 3 /a x", "-v=3 -s /a x"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct args a;
        assert_true(parse(&a, "s v: R", lines[i]));
        assert_int_equal(a.n, 2);
        assert_string_equal(a.arg[0], "/a");
        assert_string_equal(a.arg[1], "x");
        assert_null(a.arg[2]);
        assert_true(args_has(&a, "s"));
        assert_true(args_has(&a, "v"));
        assert_false(args_has(&a, "R"));
        assert_string_equal(args_value(&a, "v"), "3");
        assert_null(args_value(&a, "s"));
        assert_int_equal(a.dashes, -1);
        args_fini(&a);
    }
}

static void long_names(void **state)
{
    (void)state;
    struct args a;
    assert_true(parse(&a, "s add: remove:", "-add server.1=h:1:2;3 --remove 4"));
    assert_string_equal(args_value(&a, "add"), "server.1=h:1:2;3");
    assert_string_equal(args_value(&a, "remove"), "4");
    assert_int_equal(a.n, 0);
    args_fini(&a);
}

static void negative_numbers_and_a_dash_are_arguments(void **state)
{
    (void)state;
    struct args a;
    assert_true(parse(&a, "v:", "/a -5 - -1.5 -v -1"));
    assert_int_equal(a.n, 4);
    assert_string_equal(a.arg[1], "-5");
    assert_string_equal(a.arg[2], "-");
    assert_string_equal(a.arg[3], "-1.5");
    assert_string_equal(args_value(&a, "v"), "-1");
    args_fini(&a);
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    struct args a;
    assert_true(parse(&a, "s", "-s /a -- -s --"));
    assert_int_equal(a.n, 3);
    assert_string_equal(a.arg[1], "-s");
    assert_string_equal(a.arg[2], "--");
    assert_int_equal(a.dashes, 1);
    assert_int_equal(a.flags_n, 1);
    args_fini(&a);
}

static void what_is_refused(void **state)
{
    (void)state;
    refused("s w", "-z /a", "there is no option -z");
    refused("s w", "-sz /a", "there is no option -sz");
    refused("s w", "--sw /a", "there is no option --sw");
    refused("", "-s", "there is no option -s");
    refused("v:", "/a -v", "option -v wants a value");
    refused("s v:", "/a -sv", "option -v wants a value");
    refused("v:", "-v 1 -v 2", "option -v is given twice");
    refused("n:|b: s", "-n 1 -b 2 /a", "options -n and -b exclude each other");
    refused("c|d|a l", "-c -a", "options -c and -a exclude each other");
}

static void the_same_switch_twice_is_one(void **state)
{
    (void)state;
    struct args a;
    assert_true(parse(&a, "s w", "-s -s -ws"));
    assert_int_equal(a.flags_n, 2);
    args_fini(&a);
}

static void numbers(void **state)
{
    (void)state;
    int64_t v = 7;
    assert_true(parse_i64("0", 0, 0, &v) && v == 0);
    assert_true(parse_i64("-1", -1, 5, &v) && v == -1);
    assert_true(parse_i64("9223372036854775807", 0, INT64_MAX, &v) && v == INT64_MAX);
    static const char *const bad[] = {
        "", "x", "1x", " 1", "1 ", "0x1", "-", "+", "--1", "1-", "9223372036854775808"};
    v = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(parse_i64(bad[i], INT64_MIN, INT64_MAX, &v));
    }
    assert_false(parse_i64("6", -1, 5, &v));
    assert_false(parse_i64("-2", -1, 5, &v));
    assert_int_equal(v, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(long_names),
        cmocka_unit_test(negative_numbers_and_a_dash_are_arguments),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(the_same_switch_twice_is_one),
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
