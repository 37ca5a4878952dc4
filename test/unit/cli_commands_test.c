// SPDX-License-Identifier: Apache-2.0
//
// cli/commands.def and who reads it: every row is whole and found by all its names; completion of
// commands and options from it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/complete.h"

static void rows_are_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_commands_n; i++) {
        const struct cli_command *row = &cli_commands[i];
        assert_true(row->help && row->help[0]);
        if (row->name == NULL) {
            continue; // the title of a section
        }
        assert_true(row->fn && row->synopsis && row->options && row->aliases);
        assert_true(row->args_max < 0 || row->args_max >= row->args_min);
        assert_ptr_equal(cli_command_find(row->name), row);
        assert_null(strchr(row->name, ' '));
    }
    assert_null(cli_command_find(""));
    assert_null(cli_command_find("l"));
    assert_non_null(cli_command_find("exit"));
    assert_ptr_equal(cli_command_find("exit"), cli_command_find("quit"));
}

// What an option is called in a row stands in its arguments, so that help names all of them.
static void every_option_is_in_the_synopsis(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_commands_n; i++) {
        const struct cli_command *row = &cli_commands[i];
        const char *p = row->name && !(row->flags & CLI_HIDDEN) ? row->options : "";
        while (*p) {
            size_t n = strcspn(p, " :|");
            char name[40] = "-";
            assert_true(n < sizeof(name) - 2);
            memcpy(name + 1, p, n);
            if (strcmp(name, "-?") != 0 && strstr(row->synopsis, name) == NULL) {
                fail_msg("%s: %s is not in \"%s\"", row->name, name, row->synopsis);
            }
            p += n;
            p += strspn(p, " :|");
        }
    }
}

static void a_mistyped_name_finds_the_nearest(void **state)
{
    (void)state;
    assert_string_equal(cli_command_near("getacl")->name, "getAcl");
    assert_string_equal(cli_command_near("lss")->name, "ls");
    assert_string_equal(cli_command_near("deletall")->name, "deleteall");
    assert_null(cli_command_near("nothinglikeit"));
    assert_null(cli_command_near(""));
    char longest[100];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_null(cli_command_near(longest));
}

// Completing line inserts `insert` instead of its last `cut` bytes, or shows n choices.
static void expect(const char *line, const char *insert, size_t cut, size_t n)
{
    char root[] = "/";
    struct cli c = {.cwd = root, .state = REEVE_STATE_ENDED};
    struct completion o;
    complete(&c, line, strlen(line), &o);
    assert_string_equal(o.insert, insert);
    assert_int_equal(o.cut, cut);
    if (n != (size_t)-1) {
        assert_int_equal(o.n, n);
    }
    for (size_t i = 1; i < o.n; i++) {
        assert_true(strcmp(o.choice[i - 1], o.choice[i]) < 0);
    }
    completion_fini(&o);
}

static void completion_of_commands_and_options(void **state)
{
    (void)state;
    expect("setq", "setquota ", 4, 1);
    expect("  setq", "setquota ", 4, 1);
    expect("delet", "delete", 5, 2);
    expect("delete", "", 0, 2);
    expect("rmr", "", 0, 0); // old spellings are not offered
    expect("xyzzy", "", 0, 0);
    expect("help setq", "setquota ", 4, 1);
    expect("reconfig -mem", "-members ", 4, 1);
    expect("reconfig --mem", "", 0, 0);
    expect("create -", "", 0, (size_t)-1);
    expect("whoami /", "", 0, 0);
    expect("ls /a", "", 0, 0); // no connection: nothing to offer, and no waiting
    expect("nosuch -", "", 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_whole),
        cmocka_unit_test(every_option_is_in_the_synopsis),
        cmocka_unit_test(a_mistyped_name_finds_the_nearest),
        cmocka_unit_test(completion_of_commands_and_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
