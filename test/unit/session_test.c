// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tree/session.h"

static void sessions_come_and_go(void **state)
{
    (void)state;
    enum { N = 5000 };
    struct session_table *t = session_table_new(1);
    int32_t ms = 0;
    for (int64_t i = 1; i <= N; i++) {
        session_put(t, (i % 100) << 56 | i, (int32_t)i);
    }
    session_put(t, (int64_t)1 << 56 | 1, 77); // again: a new timeout
    for (int64_t i = 2; i <= N; i += 2) {
        session_del(t, (i % 100) << 56 | i);
        session_del(t, (i % 100) << 56 | i); // nothing
    }
    assert_int_equal(session_count(t), N / 2);
    assert_true(session_get(t, (int64_t)1 << 56 | 1, &ms));
    assert_int_equal(ms, 77);
    assert_false(session_get(t, (int64_t)2 << 56 | 2, NULL));
    size_t cursor = 0, n = 0;
    int64_t id, sum = 0;
    while (session_next(t, &cursor, &id, &ms)) {
        assert_int_equal(id & 1, 1);
        sum += id & 0xffffff;
        n++;
    }
    assert_int_equal(n, N / 2);
    assert_int_equal(sum, (int64_t)(N / 2) * (N / 2));
    session_table_free(&t);
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
