// SPDX-License-Identifier: Apache-2.0
//
// cli/out: text and JSON of data, stats and lists, colours, and nothing of a stranger's on a
// terminal but text.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/out.h"

struct pages {
    struct out out;
    FILE *to, *err;
    char to_text[4096], err_text[1024];
};

static void begin(struct pages *p, bool json)
{
    p->to = tmpfile();
    p->err = tmpfile();
    assert_true(p->to && p->err);
    out_init(&p->out, p->to, p->err, json, OUT_COLOR_AUTO);
}

static void take(FILE *f, char *text, size_t size)
{
    fflush(f);
    rewind(f);
    size_t n = fread(text, 1, size - 1, f);
    text[n] = '\0';
    fclose(f);
}

static void end(struct pages *p)
{
    out_flush(&p->out);
    take(p->to, p->to_text, sizeof(p->to_text));
    take(p->err, p->err_text, sizeof(p->err_text));
}

static void expect_data(bool terminal, const void *data, size_t n, enum out_encoding e,
                        const char *text)
{
    struct pages p;
    begin(&p, false);
    p.out.terminal = terminal;
    out_data(&p.out, data, n, e);
    end(&p);
    assert_string_equal(p.to_text, text);
}

static void data_as_text(void **state)
{
    (void)state;
    expect_data(false, "abc", 3, OUT_TEXT, "abc\n");
    expect_data(false, "", 0, OUT_TEXT, "\n");
    expect_data(false, NULL, 0, OUT_TEXT, "null\n");
    expect_data(false, "\xff\\", 2, OUT_TEXT, "\\xff\\\\\n");
    // Valid text goes to files as it is, with a terminal's commands in it; to a terminal without.
    expect_data(false, "\033[2J", 4, OUT_TEXT, "\033[2J\n");
    expect_data(true, "\033[2J", 4, OUT_TEXT, "\\x1b[2J\n");
    expect_data(true, "a\nb", 3, OUT_TEXT, "a\nb\n");
    expect_data(false, "\xff\xfe", 2, OUT_BASE64, "//4=\n");
    expect_data(false, "x\xff", 2, OUT_RAW, "x\xff");
    expect_data(false, NULL, 0, OUT_RAW, "");
}

static void expect_json(const void *data, size_t n, enum out_encoding e, const char *text)
{
    struct pages p;
    begin(&p, true);
    json_t *v = json_object();
    out_json_data(v, data, n, e);
    out_json(&p.out, v);
    end(&p);
    assert_string_equal(p.to_text, text);
}

static void data_as_json(void **state)
{
    (void)state;
    expect_json("a\"\n\0", 4, OUT_TEXT, "{\"data\":\"a\\\"\\n\\u0000\",\"encoding\":\"utf-8\"}\n");
    expect_json("\xff\xfe", 2, OUT_TEXT, "{\"data\":\"//4=\",\"encoding\":\"base64\"}\n");
    expect_json("\xff\xfe", 2, OUT_RAW, "{\"data\":\"//4=\",\"encoding\":\"base64\"}\n");
    expect_json("a", 1, OUT_BASE64, "{\"data\":\"YQ==\",\"encoding\":\"base64\"}\n");
    expect_json("\xff", 1, OUT_HEX, "{\"data\":\"ff\",\"encoding\":\"hex\"}\n");
    expect_json("", 0, OUT_TEXT, "{\"data\":\"\",\"encoding\":\"utf-8\"}\n");
    expect_json(NULL, 0, OUT_TEXT, "{\"data\":null,\"encoding\":\"null\"}\n");
}

static const struct reeve_stat some_stat = {
    .czxid = 0x100000002,
    .mzxid = -1,
    .ctime_ms = 1000,
    .mtime_ms = 1700000000123,
    .version = 3,
    .cversion = 4,
    .aversion = 5,
    .ephemeral_owner = 0x1000012345670001,
    .data_length = 6,
    .num_children = 7,
    .pzxid = 0x1f,
};

static void a_stat_as_apache_prints_it(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    struct pages p;
    begin(&p, false);
    out_stat(&p.out, &some_stat);
    end(&p);
    assert_string_equal(p.to_text, "cZxid = 0x100000002\n"
                                   "ctime = Thu Jan 01 00:00:01 UTC 1970\n"
                                   "mZxid = 0xffffffffffffffff\n"
                                   "mtime = Tue Nov 14 22:13:20 UTC 2023\n"
                                   "pZxid = 0x1f\n"
                                   "cversion = 4\n"
                                   "dataVersion = 3\n"
                                   "aclVersion = 5\n"
                                   "ephemeralOwner = 0x1000012345670001\n"
                                   "dataLength = 6\n"
                                   "numChildren = 7\n");
}

static void a_stat_as_json(void **state)
{
    (void)state;
    json_t *v = out_json_stat(&some_stat);
    assert_non_null(v);
    assert_int_equal(json_object_size(v), 11);
    assert_string_equal(json_string_value(json_object_get(v, "cZxid")), "0x100000002");
    assert_string_equal(json_string_value(json_object_get(v, "ephemeralOwner")),
                        "0x1000012345670001");
    assert_int_equal(json_integer_value(json_object_get(v, "mtime")), 1700000000123);
    assert_int_equal(json_integer_value(json_object_get(v, "dataVersion")), 3);
    assert_int_equal(json_integer_value(json_object_get(v, "numChildren")), 7);
    json_decref(v);
}

static void permissions_in_apaches_order(void **state)
{
    (void)state;
    char text[8];
    assert_string_equal(out_perms(REEVE_PERM_ALL, text), "cdrwa");
    assert_string_equal(out_perms(REEVE_PERM_READ | REEVE_PERM_ADMIN, text), "ra");
    assert_string_equal(out_perms(0, text), "");
}

static void names_of_strangers(void **state)
{
    (void)state;
    struct pages p;
    begin(&p, false);
    struct string room = {0};
    assert_string_equal(out_safe(&p.out, "\033]0;x\a", &room), "\033]0;x\a");
    p.out.terminal = true;
    assert_string_equal(out_safe(&p.out, "\033]0;x\a", &room), "\\x1b]0;x\\x07");
    assert_string_equal(out_safe(&p.out, "caf\xc3\xa9", &room), "caf\xc3\xa9");
    assert_string_equal(out_line(&p.out, "a\nb\033", &room), "a\\x0ab\\x1b");
    p.out.terminal = false;
    assert_string_equal(out_line(&p.out, "a\r\nb\033", &room), "a\\x0d\\x0ab\033");
    assert_string_equal(out_line(&p.out, "plain", &room), "plain");
    string_fini(&room);
    out_error(&p.out, "get: %s", "\033[2J");
    out_note(&p.out, "a note");
    end(&p);
    assert_string_equal(p.err_text, "reeve: get: \\x1b[2J\na note\n");
    json_t *name = json_string("\xc2\x9b[m");
    char *text = out_json_text(true, name), *plain = out_json_text(false, name);
    assert_string_equal(text, "\"\\u009b[m\"");
    assert_string_equal(plain, "\"\xc2\x9b[m\"");
    free(text);
    free(plain);
    json_decref(name);
    json_t *s = out_json_string("\xff");
    assert_string_equal(json_string_value(s), "\\xff");
    json_decref(s);
}

static void colours_only_when_wanted(void **state)
{
    (void)state;
    struct out o;
    FILE *f = tmpfile();
    assert_non_null(f);
    out_init(&o, f, f, false, OUT_COLOR_AUTO);
    assert_string_equal(out_color(&o, OUT_RED), "");
    out_init(&o, f, f, false, OUT_COLOR_ALWAYS);
    assert_string_equal(out_color(&o, OUT_RED), "\033[31m");
    assert_string_equal(out_color_end(&o), "\033[0m");
    out_init(&o, f, f, true, OUT_COLOR_ALWAYS);
    assert_string_equal(out_color(&o, OUT_RED), "");
    out_init(&o, f, f, false, OUT_COLOR_NEVER);
    assert_string_equal(out_color_end(&o), "");
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_as_text),
        cmocka_unit_test(data_as_json),
        cmocka_unit_test(a_stat_as_apache_prints_it),
        cmocka_unit_test(a_stat_as_json),
        cmocka_unit_test(permissions_in_apaches_order),
        cmocka_unit_test(names_of_strangers),
        cmocka_unit_test(colours_only_when_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
