// SPDX-License-Identifier: Apache-2.0
//
// Moments around the end of a role: what is heard just before START, and what is not said before
// it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/support/fle_rig.h"

// Server 1 of three follows server 3.
static void follow(struct erig *s)
{
    erig_open(s, 1, erig_three);
    erig_start(s, 0x100000005, 1);
    erig_hear(s, 3, NOTE_LEADING, 3, 0x100000005, 1, 1);
    erig_hear(s, 2, NOTE_FOLLOWING, 3, 0x100000005, 1, 1);
    erig_check_elected(s, NOTE_FOLLOWING, 3);
}

// Who says that it looks for a leader, in the next round.
static void hear_looking(struct erig *s, int64_t sid)
{
    erig_hear(s, sid, NOTE_LOOKING, 2, 0x100000005, 2, 1);
}

static void a_word_heard_early_counts(void **state)
{
    (void)state;
    struct erig s;
    follow(&s);
    hear_looking(&s, 2); // it has lost the leader a moment before this server has
    assert_int_equal(s.actions, 1);
    erig_check_sent(&s, 2, NOTE_FOLLOWING, 3, 0x100000005, 1, 1);
    erig_start(&s, 0x100000005, 1);
    assert_int_equal(fle_proposal(s.fle)->leader, 2);
    erig_down(&s, 3); // and nothing better can come
    erig_check_elected(&s, NOTE_FOLLOWING, 2);
    assert_int_equal(fle_current(s.fle)->leader, 2);
    erig_close(&s);
}

static void a_word_heard_long_ago_does_not(void **state)
{
    (void)state;
    struct erig s;
    follow(&s);
    hear_looking(&s, 2);
    s.now = mono_add_ms(s.now, 501);
    erig_start(&s, 0x100000005, 1);
    assert_int_equal(fle_proposal(s.fle)->leader, 1);
    erig_close(&s);
}

static void between_role_and_start_nothing_is_said(void **state)
{
    (void)state;
    struct erig s;
    follow(&s);
    erig_step(&s, (struct fle_event){.type = FLE_QUIET});
    hear_looking(&s, 2); // an answer would say that server 3 still leads
    assert_int_equal(s.actions, 0);
    hear_looking(&s, 9);
    assert_int_equal(s.actions, 0);
    erig_start(&s, 0x100000005, 1);
    assert_int_equal(fle_proposal(s.fle)->leader, 2);
    erig_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_heard_early_counts),
        cmocka_unit_test(a_word_heard_long_ago_does_not),
        cmocka_unit_test(between_role_and_start_nothing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
