// SPDX-License-Identifier: Apache-2.0
//
// client/text: every error has a name and words, ZooKeeper's errors its names; results as
// sentences, cut anywhere.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reeve/reeve.h"
#include "wire/zkerr.h"

static const enum reeve_error errors[] = {
    REEVE_OK,
    REEVE_SYSTEM_ERROR,
    REEVE_RUNTIME_INCONSISTENCY,
    REEVE_DATA_INCONSISTENCY,
    REEVE_MARSHALLING_ERROR,
    REEVE_UNIMPLEMENTED,
    REEVE_NEW_CONFIG_NO_QUORUM,
    REEVE_RECONFIG_IN_PROGRESS,
    REEVE_API_ERROR,
    REEVE_NO_NODE,
    REEVE_NO_AUTH,
    REEVE_BAD_VERSION,
    REEVE_NO_CHILDREN_FOR_EPHEMERALS,
    REEVE_NODE_EXISTS,
    REEVE_NOT_EMPTY,
    REEVE_INVALID_ACL,
    REEVE_SESSION_MOVED,
    REEVE_NOT_READ_ONLY,
    REEVE_EPHEMERAL_ON_LOCAL_SESSION,
    REEVE_NO_WATCHER,
    REEVE_RECONFIG_DISABLED,
    REEVE_SASL_REQUIRED,
    REEVE_QUOTA_EXCEEDED,
    REEVE_THROTTLED,
    REEVE_CONNECTION_LOSS,
    REEVE_OPERATION_TIMEOUT,
    REEVE_BAD_ARGUMENTS,
    REEVE_SESSION_EXPIRED,
    REEVE_AUTH_FAILED,
    REEVE_NO_MEMORY,
    REEVE_CLOSED,
    REEVE_TOO_BIG,
    REEVE_WRONG_THREAD,
    REEVE_MALFORMED,
    REEVE_CANCELLED,
    REEVE_SYSTEM,
};
enum { ERRORS = sizeof(errors) / sizeof(errors[0]) };

static void every_error_has_a_name_and_words_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < ERRORS; i++) {
        const char *name = reeve_error_name(errors[i]);
        assert_string_not_equal(name, "UNKNOWN");
        assert_true(strlen(reeve_error_text(errors[i])) > 3);
        if (errors[i] > REEVE_NO_MEMORY) {
            assert_string_equal(name, zkerr_name(errors[i]));
        }
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(name, reeve_error_name(errors[k]));
            assert_string_not_equal(reeve_error_text(errors[i]), reeve_error_text(errors[k]));
        }
    }
    assert_string_equal(reeve_error_name((enum reeve_error) - 99), "UNKNOWN");
    assert_non_null(reeve_error_text((enum reeve_error)5));
    assert_string_equal(reeve_version(), REEVE_VERSION);
}

static void results_are_sentences(void **state)
{
    (void)state;
    static const struct {
        struct reeve_result r;
        const char *want;
    } rows[] = {
        {{.error = REEVE_NO_NODE, .op = REEVE_OP_CREATE, .path = "/a/b", .why = ""},
         "create /a/b: no such node (NONODE)"},
        {{.error = REEVE_CONNECTION_LOSS, .op = REEVE_OP_SET, .path = "/a", .why = "reset by peer"},
         "set /a: the connection was lost (CONNECTIONLOSS): reset by peer"},
        {{.error = REEVE_OK, .op = REEVE_OP_WHO_AM_I, .path = "", .why = ""},
         "who am I: success (OK)"},
        {{.error = REEVE_CLOSED}, "request: the client is closed (CLOSED)"},
        {{.error = REEVE_CLOSED, .op = (enum reeve_op)999},
         "request: the client is closed (CLOSED)"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[200];
        assert_ptr_equal(reeve_result_text(&rows[i].r, text, sizeof(text)), text);
        assert_string_equal(text, rows[i].want);
        for (size_t n = 0; n <= strlen(rows[i].want); n++) {
            memset(text, 'x', sizeof(text));
            assert_ptr_equal(reeve_result_text(&rows[i].r, text, n), text);
            assert_int_equal(text[n], 'x');
            if (n) {
                assert_int_equal(strlen(text), n - 1);
                assert_memory_equal(text, rows[i].want, n - 1);
            }
        }
    }
}

static void every_operation_is_named(void **state)
{
    (void)state;
    char seen[REEVE_OP_COUNT][64];
    for (enum reeve_op op = REEVE_OP_NONE; op < REEVE_OP_COUNT; op++) {
        struct reeve_result r = {.error = REEVE_OK, .op = op};
        reeve_result_text(&r, seen[op], sizeof(seen[op]));
        assert_null(strstr(seen[op], "null"));
        for (enum reeve_op k = REEVE_OP_NONE; k < op; k++) {
            assert_string_not_equal(seen[op], seen[k]);
        }
    }
}

// The part that failed is told, not the first one and not those behind it.
static void a_multi_names_the_part_that_failed(void **state)
{
    (void)state;
    struct reeve_result parts[] = {
        {.op = REEVE_OP_CREATE, .path = "/a"},
        {.op = REEVE_OP_DELETE, .path = "/b", .error = REEVE_NOT_EMPTY},
        {.op = REEVE_OP_SET, .path = "/c", .error = REEVE_RUNTIME_INCONSISTENCY},
    };
    struct reeve_result r = {.op = REEVE_OP_MULTI,
                             .error = REEVE_NOT_EMPTY,
                             .path = "",
                             .why = "",
                             .parts = parts,
                             .parts_n = 3};
    char text[200];
    assert_string_equal(reeve_result_text(&r, text, sizeof(text)),
                        "multi, part 2: delete /b: the node has children (NOTEMPTY)");
    r.error = REEVE_CONNECTION_LOSS; // of the whole
    assert_string_equal(reeve_result_text(&r, text, sizeof(text)),
                        "multi: the connection was lost (CONNECTIONLOSS)");
    r.error = REEVE_OK;
    assert_string_equal(reeve_result_text(&r, text, sizeof(text)), "multi: success (OK)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_name_and_words_of_its_own),
        cmocka_unit_test(results_are_sentences),
        cmocka_unit_test(every_operation_is_named),
        cmocka_unit_test(a_multi_names_the_part_that_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
