// SPDX-License-Identifier: Apache-2.0
//
// cli/bytes: what is UTF-8, escapes, base64 there and back, the hexadecimal dump; cli/mem's text.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "cli/bytes.h"

static bool utf8(const char *s)
{
    return bytes_are_utf8(s, strlen(s));
}

static void what_is_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "abc",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\x7f"};
    // Alone, cut, longer than needed, surrogates, beyond Unicode, a wrong second byte.
    static const char *const bad[] = {"\x80",
                                      "\xff",
                                      "\xc3",
                                      "a\xe2\x82",
                                      "\xc0\xaf",
                                      "\xe0\x80\xaf",
                                      "\xf0\x80\x80\xaf",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xc3(",
                                      "\xe2(\xa1"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(utf8(good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(utf8(bad[i]));
    }
    assert_true(bytes_are_utf8("a\0b", 3));
}

static void expect_escaped(const char *bytes, size_t n, const char *text)
{
    struct string t = {0};
    bytes_escape(&t, bytes, n);
    assert_string_equal(string_of(&t), text);
    string_fini(&t);
}

static void escapes(void **state)
{
    (void)state;
    expect_escaped("", 0, "");
    expect_escaped("a\xc3\xa9\n\t", 5, "a\xc3\xa9\n\t");
    expect_escaped("\0\x1b[2J\xff\\", 7, "\\x00\\x1b[2J\\xff\\\\");
    expect_escaped("\xc2\x9b", 2, "\\xc2\\x9b");
    assert_true(bytes_have_control("a\x1b", 2));
    assert_true(bytes_have_control("\xc2\x9b", 2));
    assert_true(bytes_have_control("\r", 1));
    assert_false(bytes_have_control("a\n\t\xc3\xa9", 5));
    // What turns the direction of text, and its neighbours, which do not.
    expect_escaped("\xe2\x80\xae", 3, "\\xe2\\x80\\xae");
    assert_true(bytes_have_control("a\xe2\x80\xa8", 4));
    assert_true(bytes_have_control("\xe2\x81\xa9", 3));
    assert_false(bytes_have_control("\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa", 12));
    assert_false(bytes_have_control("\xe2\x80", 2));
}

static void json_for_a_terminal(void **state)
{
    (void)state;
    struct string t = {0};
    bytes_escape_json(&t, "\"\x7f\xc2\x9b[m \xe2\x80\xae \xe2\x81\xa6 \xc3\xa9 \\n\"");
    assert_string_equal(string_of(&t), "\"\\u007f\\u009b[m \\u202e \\u2066 \xc3\xa9 \\n\"");
    string_fini(&t);
}

static void base64(void **state)
{
    (void)state;
    // RFC 4648, 10.
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct string to = {0}, from = {0};
        bytes_base64(&to, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(string_of(&to), pairs[i][1]);
        assert_true(bytes_from_base64(&from, pairs[i][1]));
        assert_string_equal(string_of(&from), pairs[i][0]);
        string_fini(&to);
        string_fini(&from);
    }
    static const char *const bad[] = {
        "Z", "Zg=", "Zg===", "=", "==", "Z===", "Zm9v=", "Zm9 v", "Zm9\n", "Zm9-", "Zg==Zg=="};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct string t = {0};
        string_add(&t, "before");
        assert_false(bytes_from_base64(&t, bad[i]));
        assert_string_equal(string_of(&t), "before");
        string_fini(&t);
    }
}

static void base64_there_and_back(void **state)
{
    (void)state;
    struct rng rng = {9};
    for (int round = 0; round < 2000; round++) {
        unsigned char bytes[40];
        size_t n = rng_below(&rng, sizeof(bytes));
        for (size_t i = 0; i < n; i++) {
            bytes[i] = (unsigned char)rng_below(&rng, 256);
        }
        struct string to = {0}, from = {0};
        bytes_base64(&to, bytes, n);
        assert_true(bytes_from_base64(&from, string_of(&to)));
        assert_int_equal(from.len, n);
        assert_memory_equal(string_of(&from), bytes, n);
        string_fini(&to);
        string_fini(&from);
    }
}

// The layout is Netty's, which Apache's `get -x` prints.
static void dump(void **state)
{
    (void)state;
    struct string t = {0};
    bytes_hexdump(&t, "hello\0world, twenty", 19);
    assert_string_equal(
        string_of(&t),
        "         +-------------------------------------------------+\n"
        "         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |\n"
        "+--------+-------------------------------------------------+----------------+\n"
        "|00000000| 68 65 6c 6c 6f 00 77 6f 72 6c 64 2c 20 74 77 65 |hello.world, twe|\n"
        "|00000010| 6e 74 79                                        |nty             |\n"
        "+--------+-------------------------------------------------+----------------+");
    string_cut(&t, 0);
    bytes_hexdump(&t, "", 0);
    assert_int_equal(t.len, 0);
    bytes_hex(&t, "\0\xff", 2);
    assert_string_equal(string_of(&t), "00ff");
    string_fini(&t);
}

static void text_grows(void **state)
{
    (void)state;
    struct string t = {0};
    assert_string_equal(string_of(&t), "");
    for (int i = 0; i < 1000; i++) {
        string_addf(&t, "%d,", i % 10);
        string_add_char(&t, ' ');
    }
    assert_int_equal(t.len, 3000);
    assert_memory_equal(t.s + 2997, "9, ", 4);
    string_cut(&t, 5);
    assert_string_equal(t.s, "0, 1,");
    string_cut(&t, 50);
    assert_int_equal(t.len, 5);
    string_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_utf8),
        cmocka_unit_test(escapes),
        cmocka_unit_test(base64),
        cmocka_unit_test(base64_there_and_back),
        cmocka_unit_test(json_for_a_terminal),
        cmocka_unit_test(dump),
        cmocka_unit_test(text_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
