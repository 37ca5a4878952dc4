// SPDX-License-Identifier: Apache-2.0
//
// Session ids and passwords, against values of real servers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "serve/session_id.h"

static void password_of_apache(void **state)
{
    (void)state;
    static const uint8_t want[] = {0xb2, 0x4b, 0x4f, 0xc7, 0x57, 0x58, 0x72, 0x0b,
                                   0xe0, 0x92, 0x42, 0x25, 0xf8, 0x11, 0x70, 0xe9};
    uint8_t got[SESSION_PASSWORD_LEN];
    session_password(0x0100000ff4c00000, got);
    assert_memory_equal(got, want, sizeof(want));
    assert_true(session_password_is(0x0100000ff4c00000, slice_of(want, 16)));
    assert_false(session_password_is(0x0100000ff4c00001, slice_of(want, 16)));
    assert_false(session_password_is(0x0100000ff4c00000, slice_of(want, 15)));
    assert_false(session_password_is(0x0100000ff4c00000, SLICE_NULL));
    session_password(0, got);
    assert_false(session_password_is(0, slice_of(got, 16))); // 0 is no session
}

static void ids_follow_clock_and_server(void **state)
{
    (void)state;
    struct session_ids s;
    session_ids_init(&s, 0, (struct wall){1795213674310});
    int64_t first = session_ids_next(&s);
    assert_int_equal((uint64_t)first >> 56, 1);
    assert_int_equal(first & 0xffff, 0);
    assert_int_equal((first >> 16) & 0xffffffffff, 1795213674310 & 0xffffffffff);
    assert_int_equal(session_ids_next(&s), first + 1);
    session_ids_init(&s, 200, (struct wall){1795213674310});
    assert_true(session_ids_next(&s) < 0);
}

static void no_session_is_called_like_a_container(void **state)
{
    (void)state;
    struct session_ids s = {INT64_MAX};
    assert_true(session_ids_next(&s) == INT64_MAX);
    assert_true(session_ids_next(&s) == INT64_MIN + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(password_of_apache),
        cmocka_unit_test(ids_follow_clock_and_server),
        cmocka_unit_test(no_session_is_called_like_a_container),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
