// SPDX-License-Identifier: Apache-2.0
//
// cli/words: lines into words, the word being written, and quoting as the inverse of splitting.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "cli/words.h"

// The words of line, joined by | with each in <>.
static void expect(const char *line, const char *joined)
{
    struct words w;
    assert_int_equal(words_split(line, &w), WORDS_OK);
    char got[512];
    size_t n = 0;
    got[0] = '\0';
    for (int i = 0; i < w.n; i++) {
        n += (size_t)snprintf(got + n, sizeof(got) - n, "<%s>", w.word[i]);
    }
    assert_string_equal(got, joined);
    assert_true(w.word == NULL || w.word[w.n] == NULL);
    words_fini(&w);
}

static void words_are_parted_by_spaces(void **state)
{
    (void)state;
    expect("", "");
    expect(" \t ", "");
    expect("ls", "<ls>");
    expect("  ls \t -s   /a\r\n", "<ls><-s></a>");
}

static void quotes_count_where_a_word_begins(void **state)
{
    (void)state;
    expect("set /a \"two words\"", "<set></a><two words>");
    expect("set /a 'two words'", "<set></a><two words>");
    expect("set /a \"it's\" '\"'", "<set></a><it's><\">");
    expect("set /a \"\" ''", "<set></a><><>");
    // Apache's shell takes these as they are, and so do people.
    expect("create /a {\"port\":80,\"host\":'x'}", "<create></a><{\"port\":80,\"host\":'x'}>");
    expect("set /a don't", "<set></a><don't>");
    // Behind a closing quote another may begin, or the word goes on.
    expect("set /a 'it'\"'\"'s'", "<set></a><it's>");
    expect("set /a \"a\"b", "<set></a><ab>");
    expect("set /a \"a\"b\"c", "<set></a><ab\"c>");
}

static void a_backslash_protects_what_would_count(void **state)
{
    (void)state;
    expect("set /a\\ b x", "<set></a b><x>");
    expect("set /a \\\"x\\'", "<set></a><\"x'>");
    expect("set /a \"x\\\"y\\\\\"", "<set></a><x\"y\\>");
    expect("set /a '\\\"'", "<set></a><\\\">");
    // Before anything else it is a character.
    expect("set /a C:\\dir\\new", "<set></a><C:\\dir\\new>");
    expect("set /a x\\", "<set></a><x\\>");
    expect("\\#ls", "<#ls>");
}

static void a_line_that_begins_with_a_hash_is_a_comment(void **state)
{
    (void)state;
    expect("# ls /", "");
    expect("   #", "");
    expect("# an open \" quote", "");
    expect("set /a #1", "<set></a><#1>");
}

static void an_open_quote_is_an_error(void **state)
{
    (void)state;
    static const char *const lines[] = {"\"", "ls 'x", "set /a \"x\\\"", "set /a 'it'\"", "ls ' "};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct words w;
        assert_int_equal(words_split(lines[i], &w), WORDS_OPEN_QUOTE);
        assert_int_equal(w.n, 0);
        assert_null(w.word);
    }
}

static void expect_tail(const char *line, int index, const char *word, char quote, size_t start)
{
    struct words_tail t;
    words_tail(line, strlen(line), &t);
    assert_int_equal(t.index, index);
    assert_string_equal(t.word, word);
    assert_int_equal(t.quote, quote);
    assert_int_equal(t.start, start);
    assert_true((t.first != NULL) == (index > 0));
    words_tail_fini(&t);
}

static void the_last_word_may_be_empty_or_open(void **state)
{
    (void)state;
    expect_tail("", 0, "", 0, 0);
    expect_tail("l", 0, "l", 0, 0);
    expect_tail(" ls", 0, "ls", 0, 1);
    expect_tail("ls ", 1, "", 0, 3);
    expect_tail("ls -s /a/b", 2, "/a/b", 0, 6);
    expect_tail("ls \"/a b", 1, "/a b", '"', 3);
    expect_tail("ls '/a\\ b", 1, "/a\\ b", '\'', 3);
    expect_tail("ls /a\\ b", 1, "/a b", 0, 3);
    expect_tail("get \"/a\" x", 2, "x", 0, 9);
}

static void quoting_is_the_inverse_of_splitting(void **state)
{
    (void)state;
    static const char letters[] = "ab/ \"'\\#\t{\xc3\xa9";
    struct rng rng = {4};
    for (int round = 0; round < 20000; round++) {
        char word[12], line[64];
        size_t n = rng_below(&rng, sizeof(word) - 1);
        for (size_t i = 0; i < n; i++) {
            word[i] = letters[rng_below(&rng, sizeof(letters) - 1)];
        }
        word[n] = '\0';
        static const char quotes[] = {0, '"'};
        char quote = quotes[rng_below(&rng, 2)];
        char *quoted = words_quote(word, quote);
        char open[2] = {quote, '\0'};
        snprintf(line, sizeof(line), "x %s%s%s", open, quoted, open);
        struct words w;
        assert_int_equal(words_split(line, &w), WORDS_OK);
        assert_int_equal(w.n, 2);
        assert_string_equal(w.word[1], word);
        words_fini(&w);
        free(quoted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_parted_by_spaces),
        cmocka_unit_test(quotes_count_where_a_word_begins),
        cmocka_unit_test(a_backslash_protects_what_would_count),
        cmocka_unit_test(a_line_that_begins_with_a_hash_is_a_comment),
        cmocka_unit_test(an_open_quote_is_an_error),
        cmocka_unit_test(the_last_word_may_be_empty_or_open),
        cmocka_unit_test(quoting_is_the_inverse_of_splitting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
