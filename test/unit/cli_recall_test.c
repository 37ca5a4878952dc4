// SPDX-License-Identifier: Apache-2.0
//
// cli/recall: the lines that keys bring back, and their file; cli/history: the numbered lines.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/history.h"
#include "cli/recall.h"

static char name[64];

static int make_name(void **state)
{
    (void)state;
    snprintf(name, sizeof(name), "%s", "/tmp/reeve-recall-XXXXXX");
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    close(fd);
    unlink(name);
    return 0;
}

static int drop_name(void **state)
{
    (void)state;
    unlink(name);
    return 0;
}

static void expect_step(struct recall *r, int op, const char *line)
{
    HistEvent ev;
    int code = recall_step(r, &ev, op);
    if (line == NULL) {
        assert_int_equal(code, -1);
    } else {
        assert_int_equal(code, 0);
        assert_string_equal(ev.str, line);
    }
}

// Goes to the newest line, whose number it is.
static int count(struct recall *r)
{
    HistEvent ev;
    return recall_step(r, &ev, H_FIRST) ? 0 : ev.num + 1;
}

static void steps_of_the_editor(void **state)
{
    (void)state;
    struct recall *r = recall_new(NULL);
    expect_step(r, H_FIRST, NULL);
    expect_step(r, H_LAST, NULL);
    expect_step(r, H_NEXT, NULL);
    recall_add(r, "one", 1);
    recall_add(r, "two", 1);
    recall_add(r, "two", 1);
    recall_add(r, "", 1);
    recall_add(r, " hidden", 1);
    recall_add(r, "three", 0);
    assert_int_equal(count(r), 3);
    expect_step(r, H_FIRST, "three");
    expect_step(r, H_NEXT, "two");
    expect_step(r, H_CURR, "two");
    expect_step(r, H_NEXT, "one");
    expect_step(r, H_NEXT, NULL);
    expect_step(r, H_CURR, "one");
    expect_step(r, H_PREV, "two");
    expect_step(r, H_PREV, "three");
    expect_step(r, H_PREV, NULL);
    expect_step(r, H_LAST, "one");
    expect_step(r, H_GETSIZE, NULL);
    recall_free(&r);
    assert_null(r);
}

static size_t lines_in_file(char *first, size_t size)
{
    FILE *f = fopen(name, "r");
    assert_non_null(f);
    char line[256];
    size_t n = 0;
    while (fgets(line, sizeof(line), f)) {
        if (n++ == 0) {
            snprintf(first, size, "%s", line);
        }
    }
    fclose(f);
    return n;
}

static void two_shells_leave_their_lines(void **state)
{
    (void)state;
    struct recall *a = recall_new(name), *b = recall_new(name);
    recall_add(a, "from a", 1);
    recall_add(b, "from b", 1);
    recall_add(b, "a secret", 0);
    recall_add(a, "again a", 1);
    recall_free(&a);
    recall_free(&b);
    struct stat st;
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    struct recall *c = recall_new(name);
    expect_step(c, H_FIRST, "again a");
    expect_step(c, H_NEXT, "from b");
    expect_step(c, H_NEXT, "from a");
    expect_step(c, H_NEXT, NULL);
    recall_free(&c);
}

static void a_long_file_is_cut(void **state)
{
    (void)state;
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    for (int i = 0; i < 2 * RECALL_MAX + 1; i++) {
        fprintf(f, "line %d\n\n", i);
    }
    fputs("no newline", f); // half a line of somebody who crashed: left out
    fclose(f);
    struct recall *r = recall_new(name);
    assert_int_equal(count(r), RECALL_MAX);
    expect_step(r, H_FIRST, "line 2000");
    for (int i = 0; i < RECALL_MAX + 5; i++) {
        char line[32];
        snprintf(line, sizeof(line), "more %d", i);
        recall_add(r, line, 1);
    }
    assert_int_equal(count(r), RECALL_MAX);
    recall_free(&r);
    char first[64];
    assert_int_equal(lines_in_file(first, sizeof(first)), 2 * RECALL_MAX + 5);
    assert_string_equal(first, "line 1001\n");
    r = recall_new(name);
    recall_free(&r);
    assert_int_equal(lines_in_file(first, sizeof(first)), RECALL_MAX);
}

static void what_is_no_file_is_left_alone(void **state)
{
    (void)state;
    struct recall *r = recall_new("/dev/full");
    recall_add(r, "one", 1);
    expect_step(r, H_FIRST, "one");
    recall_free(&r);
    r = recall_new("/no/such/folder/file");
    recall_add(r, "one", 1);
    recall_free(&r);
    r = recall_new("/tmp");
    recall_add(r, "one", 1);
    assert_int_equal(count(r), 1);
    recall_free(&r);
}

static void numbered_lines(void **state)
{
    (void)state;
    struct history *h = history_new();
    assert_null(history_get(h, 0));
    history_replace_last(h, "nothing to replace");
    history_add(h, "zero");
    history_add(h, "redo 0");
    history_replace_last(h, "zero");
    assert_int_equal(history_count(h), 2);
    assert_string_equal(history_get(h, 1), "zero");
    assert_null(history_get(h, 2));
    for (int i = 2; i < HISTORY_MAX + 10; i++) {
        char line[32];
        snprintf(line, sizeof(line), "line %d", i);
        history_add(h, line);
    }
    assert_null(history_get(h, 9));
    assert_string_equal(history_get(h, 10), "line 10");
    assert_string_equal(history_get(h, HISTORY_MAX + 9), "line 1009");
    history_free(&h);
    assert_null(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_of_the_editor),
        cmocka_unit_test_setup_teardown(two_shells_leave_their_lines, make_name, drop_name),
        cmocka_unit_test_setup_teardown(a_long_file_is_cut, make_name, drop_name),
        cmocka_unit_test(what_is_no_file_is_left_alone),
        cmocka_unit_test(numbered_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
