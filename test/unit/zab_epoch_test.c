// SPDX-License-Identifier: Apache-2.0
//
// Discovery: which epoch a leader proposes, and who may promise it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "zab/epoch.h"

static struct members *ensemble(void)
{
    struct members *m;
    struct slice text = SLICE_LIT("server.1=a:1:2:participant\nserver.2=b:1:2:participant\n"
                                  "server.3=c:1:2:participant\nserver.4=d:1:2:observer");
    assert_int_equal(members_parse(text, &m), ERR_OK);
    return m;
}

static void the_epoch_is_above_all_of_a_quorum_with_the_leader(void **state)
{
    (void)state;
    struct members *m = ensemble();
    struct epoch e;
    epoch_init(&e, m, 1, 3, 0x300000005);
    epoch_join(&e, 2, 5);
    epoch_join(&e, 3, 2);
    assert_int_equal(e.phase, EPOCH_OPEN); // a quorum, but without the leader
    epoch_join(&e, 4, 9);                  // an observer raises it and does not count
    assert_int_equal(e.phase, EPOCH_OPEN);
    epoch_join(&e, 1, 3);
    assert_int_equal(e.phase, EPOCH_CLOSED);
    assert_int_equal(e.epoch, 10);
    epoch_join(&e, 3, 20); // too late to raise it
    assert_int_equal(e.epoch, 10);
    members_free(&m);
}

static void who_is_ahead_of_the_leader_is_refused(void **state)
{
    (void)state;
    struct members *m = ensemble();
    struct epoch e;
    epoch_init(&e, m, 1, 3, 0x300000005);
    epoch_join(&e, 1, 3);
    epoch_join(&e, 2, 3);
    assert_int_equal(e.phase, EPOCH_CLOSED);
    assert_int_equal(epoch_promise(&e, 1, 3, 0x300000005), EPOCH_PROMISED);
    assert_int_equal(epoch_promise(&e, 2, 4, 0), EPOCH_AHEAD);
    assert_int_equal(epoch_promise(&e, 2, 3, 0x300000006), EPOCH_AHEAD);
    assert_int_equal(epoch_promise(&e, 4, 3, 0x300000005), EPOCH_PROMISED); // does not vote
    assert_int_equal(epoch_promise(&e, 2, -1, 0x300000005), EPOCH_NOT_COUNTED);
    assert_int_equal(epoch_promise(&e, 2, 3, -1), EPOCH_NOT_COUNTED);
    assert_int_equal(e.phase, EPOCH_CLOSED);
    assert_int_equal(epoch_promise(&e, 3, 2, 0x400000000), EPOCH_PROMISED); // older epoch
    assert_int_equal(e.phase, EPOCH_AGREED);
    assert_int_equal(epoch_promise(&e, 2, 9, 0x900000000), EPOCH_NOT_COUNTED); // is cut later
    members_free(&m);
}

static void a_learner_never_takes_an_older_epoch(void **state)
{
    (void)state;
    assert_int_equal(epoch_compare(3, 4), EPOCH_NEWER);
    assert_int_equal(epoch_compare(3, 3), EPOCH_SAME);
    assert_int_equal(epoch_compare(3, 2), EPOCH_OLDER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_epoch_is_above_all_of_a_quorum_with_the_leader),
        cmocka_unit_test(who_is_ahead_of_the_leader_is_refused),
        cmocka_unit_test(a_learner_never_takes_an_older_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
