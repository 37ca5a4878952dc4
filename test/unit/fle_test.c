// SPDX-License-Identifier: Apache-2.0
//
// The election of one server, rule by rule. Against captures of Apache's servers:
// fle_golden_test.c; the moments around the end of a role: fle_early_test.c; many servers together:
// fle_net_test.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/support/fle_rig.h"

static const char five[] = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2\n"
                           "server.5=e:1:2\nserver.6=f:1:2:observer\nversion=0";

static void a_server_alone_elects_itself_at_once(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 1, "server.1=a:1:2");
    erig_start(&s, 7, 0);
    erig_check_elected(&s, NOTE_LEADING, 1);
    assert_int_equal(s.sends, 0);
    assert_int_equal(s.vote.election_epoch, 1);
    struct mono at;
    assert_false(fle_next(s.fle, &at));
    erig_close(&s);
}

static void epoch_then_zxid_then_sid_decides(void **state)
{
    (void)state;
    static const struct {
        int64_t leader, zxid, epoch;
        bool better;
    } cases[] = {
        {1, 0x500000001, 5, false}, {3, 0x500000001, 5, true},  {1, 0x500000002, 5, true},
        {3, 0x500000000, 5, false}, {3, 0x500000009, 4, false}, {1, 1, 6, true},
        {1, INT64_MIN, 6, true},    {2, 0x500000001, 5, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct erig s;
        erig_open(&s, 2, five);
        erig_start(&s, 0x500000001, 5);
        assert_int_equal(s.sends, 4);
        erig_check_sent(&s, 5, NOTE_LOOKING, 2, 0x500000001, 1, 5);
        erig_hear(&s, 1, NOTE_LOOKING, cases[i].leader, cases[i].zxid, 1, cases[i].epoch);
        assert_int_equal(s.sends, cases[i].better ? 4 : 0);
        if (cases[i].better) {
            erig_check_sent(&s, 3, NOTE_LOOKING, cases[i].leader, cases[i].zxid, 1, cases[i].epoch);
        }
        erig_close(&s);
    }
}

static void rounds(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 2, five);
    erig_start(&s, 9, 0);
    erig_hear(&s, 1, NOTE_LOOKING, 1, 5, 4, 0); // newer, but a worse vote: own vote in that round
    assert_int_equal(fle_round(s.fle), 4);
    assert_int_equal(s.sends, 4);
    erig_check_sent(&s, 1, NOTE_LOOKING, 2, 9, 4, 0);
    erig_hear(&s, 3, NOTE_LOOKING, 3, 9, 3,
              0); // older: told what this round says, otherwise ignored
    assert_int_equal(s.sends, 1);
    erig_check_sent(&s, 3, NOTE_LOOKING, 2, 9, 4, 0);
    erig_hear(&s, 3, NOTE_LOOKING, 3, 9, 6, 0); // newer and better
    assert_int_equal(s.sends, 4);
    erig_check_sent(&s, 1, NOTE_LOOKING, 3, 9, 6, 0);
    erig_hear(&s, 1, NOTE_LOOKING, 3, 9, 6, 0); // 1, 2 and 3 agree
    erig_pass_ms(&s, 199);
    assert_false(s.elected);
    erig_pass_ms(&s, 1);
    erig_check_elected(&s, NOTE_FOLLOWING, 3);
    assert_int_equal(s.vote.election_epoch, 6);
    erig_start(&s, 9, 0);
    assert_int_equal(fle_round(s.fle), 7);
    erig_close(&s);
}

static void a_better_vote_while_finalizing_reopens_the_election(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 3, five);
    erig_start(&s, 9, 0);
    erig_hear(&s, 1, NOTE_LOOKING, 3, 9, 1, 0);
    erig_hear(&s, 2, NOTE_LOOKING, 3, 9, 1, 0);
    assert_int_equal(erig_wait_ms(&s), 200);
    erig_pass_ms(&s, 150);
    erig_hear(&s, 4, NOTE_LOOKING, 1, 9, 1, 0); // worse
    erig_hear(&s, 4, NOTE_LOOKING, 1, 9, 3, 0); // worse, of a newer round: not now
    assert_int_equal(erig_wait_ms(&s), 50);
    erig_hear(&s, 5, NOTE_LOOKING, 5, 9, 1, 0);
    assert_int_equal(s.sends, 4);
    erig_pass_ms(&s, 200);
    assert_false(s.elected);
    erig_hear(&s, 1, NOTE_LOOKING, 5, 9, 1, 0);
    erig_hear(&s, 1, NOTE_LOOKING, 3, 9, 1, 0); // a stale word does not undo what it said since
    erig_pass_ms(&s, 200);
    erig_check_elected(&s, NOTE_FOLLOWING, 5);
    erig_close(&s);
}

static void nobody_waits_for_a_better_vote_that_cannot_come(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 2, erig_three);
    erig_start(&s, 9, 0);
    erig_down(&s, 3); // not there yet
    erig_hear(&s, 1, NOTE_LOOKING, 3, 9, 1, 0);
    assert_false(s.elected);
    erig_hear(&s, 3, NOTE_LOOKING, 3, 9, 1, 0);
    erig_check_elected(&s, NOTE_FOLLOWING, 3); // all agree
    erig_start(&s, 9, 0);
    erig_hear(&s, 1, NOTE_LOOKING, 2, 9, 2, 0);
    assert_false(s.elected);
    erig_down(&s, 1); // has spoken in this round: its word stands
    assert_false(s.elected);
    erig_down(&s, 3); // the leader that was lost
    erig_check_elected(&s, NOTE_LEADING, 2);
    erig_start(&s, 9, 0);
    erig_hear(&s, 1, NOTE_LOOKING, 2, 9, 3, 0);
    erig_down(&s, 3); // it was not followed before this election
    assert_false(s.elected);
    erig_pass_ms(&s, 200);
    erig_check_elected(&s, NOTE_LEADING, 2);
    erig_close(&s);
    erig_open(&s, 2, erig_three);
    erig_start(&s, 9, 0);
    erig_hear(&s, 1, NOTE_LOOKING, 3, 9, 1, 0);
    erig_hear(&s, 3, NOTE_LOOKING, 3, 9, 1, 0);
    erig_start(&s, 9, 0);
    erig_down(&s, 3);
    assert_false(s.elected); // alone is no quorum
    erig_hear(&s, 3, NOTE_LOOKING, 3, 8, 2, 0);
    erig_hear(&s, 1, NOTE_LOOKING, 2, 9, 2, 0);
    assert_false(s.elected); // it is back, and has not agreed
    erig_hear(&s, 3, NOTE_LOOKING, 2, 9, 2, 0);
    erig_check_elected(&s, NOTE_LEADING, 2);
    erig_close(&s);
}

static void it_asks_again_less_and_less_often(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 1, erig_three);
    erig_start(&s, 0, 0);
    for (int64_t want = 200; want < 60000; want *= 2) {
        assert_int_equal(erig_wait_ms(&s), want);
        erig_pass_ms(&s, want - 1);
        assert_int_equal(s.sends, 0);
        erig_pass_ms(&s, 1);
        assert_int_equal(s.sends, 2);
    }
    assert_int_equal(erig_wait_ms(&s), 60000);
    erig_pass_ms(&s, 60000);
    assert_int_equal(erig_wait_ms(&s), 60000);
    erig_hear(&s, 2, NOTE_LOOKING, 2, 0, 9, 0); // it gets on: the next lost message costs little
    erig_hear(&s, 3, NOTE_LOOKING, 3, 0, 9, 0);
    assert_int_equal(erig_wait_ms(&s), 200);
    erig_close(&s);
}

static void a_joiner_needs_the_leaders_own_word(void **state)
{
    (void)state;
    struct erig s;
    for (int64_t round = 1; round <= 7; round += 6) { // that of its own, and another
        erig_open(&s, 5, five);
        erig_start(&s, 0x900000000, 9);
        erig_hear(&s, 1, NOTE_FOLLOWING, 2, 0, round, 7);
        erig_hear(&s, 3, NOTE_FOLLOWING, 2, 1, round, 7);
        erig_hear(&s, 4, NOTE_FOLLOWING, 2, 2, round, 7);
        assert_false(s.elected);
        erig_hear(&s, 2, NOTE_LOOKING, 2, 0, round, 6);
        assert_false(s.elected);
        erig_hear(&s, 2, NOTE_LEADING, 2, 0, round, 7);
        erig_check_elected(&s, NOTE_FOLLOWING, 2);
        assert_int_equal(fle_round(s.fle), round);
        erig_close(&s);
    }
    erig_open(&s, 5, five);
    erig_start(&s, 0, 0);
    erig_hear(&s, 2, NOTE_LEADING, 2, 0, 7, 7); // and a quorum
    erig_hear(&s, 1, NOTE_FOLLOWING, 2, 0, 7, 7);
    assert_false(s.elected);
    erig_hear(&s, 3, NOTE_FOLLOWING, 2, 0, 7, 6); // of one epoch
    assert_false(s.elected);
    erig_hear(&s, 3, NOTE_OBSERVING, 2, 0, 7, 7);
    erig_hear(&s, 3, NOTE_STATE_UNKNOWN, 2, 0, 7, 7);
    assert_false(s.elected);
    erig_hear(&s, 4, NOTE_FOLLOWING, 2, 0, 7, 7);
    erig_check_elected(&s, NOTE_FOLLOWING, 2);
    assert_int_equal(fle_round(s.fle), 7); // that of the ensemble from now on
    erig_close(&s);
}

static void a_word_without_version_needs_no_epoch(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 3, erig_three);
    erig_start(&s, 0, 0);
    erig_hear_note(&s, 1, (struct note){NOTE_FOLLOWING, 2, 0, 7, 0, 0, SLICE_NULL});
    erig_hear(&s, 2, NOTE_LEADING, 2, 0, 8, 5);
    erig_check_elected(&s, NOTE_FOLLOWING, 2);
    erig_close(&s);
    erig_open(&s, 3, erig_three);
    erig_start(&s, 0, 0);
    erig_hear_note(&s, 1, (struct note){NOTE_FOLLOWING, 2, 0, 7, 0, 0, SLICE_NULL});
    erig_hear_note(&s, 2, (struct note){NOTE_LEADING, 2, 0, 7, 5, 0, SLICE_NULL});
    assert_false(s.elected);
    erig_close(&s);
}

static void its_own_old_followers_take_it_back_only_in_its_round(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 3, erig_three);
    erig_start(&s, 0, 0);
    erig_hear(&s, 1, NOTE_FOLLOWING, 3, 0, 2, 1);
    erig_hear(&s, 2, NOTE_FOLLOWING, 3, 0, 2, 1);
    assert_false(s.elected);
    erig_hear(&s, 1, NOTE_FOLLOWING, 3, 0, 1, 1);
    erig_check_elected(&s, NOTE_LEADING, 3);
    erig_close(&s);
}

static void who_lost_data_neither_votes_nor_is_voted_for(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 1, erig_three);
    erig_start(&s, -1, 0);
    erig_hear(&s, 2, NOTE_LOOKING, 2, 5, 1, 0);
    erig_hear(&s, 3, NOTE_LOOKING, 2, 5, 1, 0);
    erig_pass_ms(&s, 150);
    assert_false(s.elected);
    assert_int_equal(s.sends, 0);
    erig_hear(&s, 2, NOTE_LEADING, 2, 5, 1, 1);
    erig_hear(&s, 3, NOTE_FOLLOWING, 2, 5, 1, 1);
    erig_check_elected(&s, NOTE_FOLLOWING, 2);
    erig_close(&s);
    erig_open(&s, 1, erig_three);
    erig_start(&s, 3, 0);
    erig_hear(&s, 2, NOTE_LOOKING, 2, -1, 5, 9);
    assert_int_equal(s.sends, 0);
    assert_int_equal(fle_round(s.fle), 1);
    erig_close(&s);
}

static void observers_and_strangers_are_answered_and_not_counted(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 2, five);
    erig_hear(&s, 6, NOTE_LOOKING, 6, 99, 9, 9);
    assert_int_equal(s.sends, 0); // not before it knows anything
    erig_start(&s, 9, 4);
    for (int64_t sid = 6; sid < ERIG_PEERS; sid++) {
        erig_hear(&s, sid, (enum note_state)(sid - 6), 6, 99, 9, 9);
        assert_int_equal(s.sends, 1);
        erig_check_sent(&s, sid, NOTE_LOOKING, 2, 9, 1, 4);
    }
    erig_hear(&s, 8, NOTE_STATE_UNKNOWN, 6, 99, 9, 9);
    assert_int_equal(s.sends, 1);
    erig_hear(&s, 1, NOTE_LOOKING, 6, 99, 9, 9); // a voter for one that is not: ignored
    assert_int_equal(s.sends, 0);
    assert_int_equal(fle_round(s.fle), 1);
    erig_hear(&s, 5, NOTE_LOOKING, 5, 9, 3, 4);
    erig_hear(&s, 6, NOTE_LOOKING, 6, 99, 9, 9);
    erig_check_sent(&s, 6, NOTE_LOOKING, 5, 9, 3, 4); // what it would vote for now
    erig_close(&s);
}

static void an_observer_follows_what_the_voters_agree_on(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 6, five);
    erig_start(&s, 9, 4);
    assert_int_equal(s.sends, 5);
    erig_check_sent(&s, 1, NOTE_LOOKING, MEMBERS_NOBODY, MEMBERS_NOBODY, 1, MEMBERS_NOBODY);
    erig_hear(&s, 1, NOTE_LOOKING, 5, 3, 1, 0);
    erig_hear(&s, 2, NOTE_LOOKING, 5, 3, 1, 0);
    erig_pass_ms(&s, 150);
    assert_int_equal(s.sends, 0);
    erig_hear(&s, 5, NOTE_LOOKING, 5, 3, 1, 0);
    erig_pass_ms(&s, 200);
    erig_check_elected(&s, NOTE_OBSERVING, 5);
    erig_start(&s, 9, 4);
    erig_hear(&s, 1, NOTE_FOLLOWING, 5, 3, 1, 1);
    erig_hear(&s, 2, NOTE_FOLLOWING, 5, 3, 1, 1);
    erig_hear(&s, 5, NOTE_LEADING, 5, 3, 1, 1);
    erig_check_elected(&s, NOTE_OBSERVING, 5);
    erig_close(&s);
}

static void groups_and_weights_decide(void **state)
{
    (void)state;
    static const char text[] = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2\n"
                               "server.5=e:1:2\ngroup.1=1:2:3\ngroup.2=4:5\nweight.5=0\nversion=0";
    struct erig s;
    erig_open(&s, 1, text);
    erig_start(&s, 5, 0);
    erig_hear(&s, 5, NOTE_LOOKING, 5, 99, 1, 0); // has no weight: never better
    assert_int_equal(s.sends, 0);
    erig_hear(&s, 2, NOTE_LOOKING, 3, 5, 1, 0);
    erig_hear(&s, 3, NOTE_LOOKING, 3, 5, 1, 0);
    erig_pass_ms(&s, 150);
    assert_false(s.elected); // only one of two groups
    erig_hear(&s, 4, NOTE_LOOKING, 3, 5, 1, 0);
    erig_pass_ms(&s, 200);
    erig_check_elected(&s, NOTE_FOLLOWING, 3);
    erig_close(&s);
}

static void both_memberships_must_agree(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 3, erig_three);
    erig_members(&s, erig_three, "server.3=c:1:2\nserver.4=d:1:2\nserver.5=e:1:2\nversion=7",
                 false);
    erig_start(&s, 9, 0);
    assert_int_equal(s.sends, 4);
    erig_hear(&s, 1, NOTE_LOOKING, 3, 9, 1, 0);
    erig_pass_ms(&s, 150);
    erig_hear(&s, 4, NOTE_LOOKING, 3, 9, 1, 0);
    assert_false(s.elected);
    erig_pass_ms(&s, 200);
    erig_check_elected(&s, NOTE_LEADING, 3);
    erig_close(&s);
}

static const char newer[] = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=9";
static const char other[] = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:9\nversion=a";

static struct note with_members(const char *text)
{
    return (struct note){NOTE_LOOKING, 2, 9, 5, 0, 2, slice_str(text)};
}

static void a_newer_membership_is_news_only_while_looking(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 1, erig_three);
    erig_start(&s, 0, 0);
    erig_hear_note(&s, 2, with_members("server.1=nonsense\nversion=9"));
    assert_null(s.heard);
    assert_int_equal(fle_round(s.fle), 5); // the rest of the message counts
    erig_hear_note(&s, 2, with_members(newer));
    assert_int_equal(s.heard->version, 9);
    erig_members(&s, newer, NULL, false); // the same servers: it goes on
    assert_int_equal(fle_round(s.fle), 5);
    erig_hear_note(&s, 2, with_members(erig_three)); // older
    assert_null(s.heard);
    erig_hear_note(&s, 2, with_members(other));
    assert_int_equal(s.heard->version, 10);
    erig_hear(&s, 2, NOTE_LOOKING, 2, 9, 5, 0);
    assert_int_equal(s.sends, 0); // it stands still
    struct mono at;
    assert_false(fle_next(s.fle, &at));
    erig_members(&s, other, NULL, true);
    erig_start(&s, 0, 0);
    assert_int_equal(fle_round(s.fle), 1);
    erig_hear(&s, 2, NOTE_LOOKING, 2, 9, 1, 0);
    erig_hear(&s, 3, NOTE_LOOKING, 2, 9, 1, 0);
    erig_check_elected(&s, NOTE_FOLLOWING, 2);
    erig_hear_note(&s, 2, with_members("server.1=z:1:2\nversion=ff"));
    assert_null(s.heard);
    erig_close(&s);
    struct fle_settings deaf = {1, 200, 60000, 200, false};
    erig_open_with(&s, &deaf, erig_three);
    erig_start(&s, 0, 0);
    erig_hear_note(&s, 2, with_members(other));
    assert_null(s.heard);
    assert_int_equal(fle_round(s.fle), 5);
    erig_close(&s);
}

static void a_designated_leader_needs_no_election(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 1, erig_three);
    erig_start(&s, 0, 0);
    erig_hear(&s, 2, NOTE_LOOKING, 3, 0, 1, 0);
    erig_hear(&s, 3, NOTE_LOOKING, 3, 0, 1, 0);
    erig_check_elected(&s, NOTE_FOLLOWING, 3);
    erig_members(&s, other, NULL, true);
    erig_step(&s, (struct fle_event){.type = FLE_ROLE, .role = {.leader = 1, .zxid = 0x100000005}});
    assert_int_equal(fle_state(s.fle), NOTE_LEADING);
    erig_hear(&s, 2, NOTE_LOOKING, 2, 0, 1, 0);
    erig_check_sent(&s, 2, NOTE_LEADING, 1, 0x100000005, -1, -1);
    erig_step(&s, (struct fle_event){.type = FLE_ESTABLISHED, .epoch = 2});
    erig_hear(&s, 2, NOTE_LOOKING, 2, 0, 1, 0);
    erig_check_sent(&s, 2, NOTE_LEADING, 1, 0x100000005, -1, 2);
    erig_hear(&s, 7, NOTE_LOOKING, MEMBERS_NOBODY, 0, 1, 0);
    erig_check_sent(&s, 7, NOTE_LEADING, 1, 0x100000005, 0, 2); // the round, for who does not vote
    erig_step(&s, (struct fle_event){.type = FLE_ROLE, .role = {.leader = 2, .zxid = 0x100000006}});
    assert_int_equal(fle_state(s.fle), NOTE_FOLLOWING);
    erig_close(&s);
}

static void a_leader_hears_that_its_voter_looks_again(void **state)
{
    (void)state;
    struct erig s;
    erig_open(&s, 3, five);
    erig_start(&s, 9, 0);
    erig_hear(&s, 1, NOTE_LOOKING, 3, 9, 1, 0);
    erig_hear(&s, 2, NOTE_LOOKING, 3, 9, 1, 0);
    erig_pass_ms(&s, 200);
    erig_check_elected(&s, NOTE_LEADING, 3);
    erig_hear(&s, 2, NOTE_LOOKING, 2, 9, 2, 0);
    assert_int_equal(s.voter_looking, 2);
    erig_hear(&s, 5, NOTE_LOOKING, 5, 0, 1, 0);
    assert_int_equal(s.voter_looking, 0);
    assert_int_equal(s.sends, 1);
    erig_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_alone_elects_itself_at_once),
        cmocka_unit_test(epoch_then_zxid_then_sid_decides),
        cmocka_unit_test(rounds),
        cmocka_unit_test(a_better_vote_while_finalizing_reopens_the_election),
        cmocka_unit_test(nobody_waits_for_a_better_vote_that_cannot_come),
        cmocka_unit_test(it_asks_again_less_and_less_often),
        cmocka_unit_test(a_joiner_needs_the_leaders_own_word),
        cmocka_unit_test(a_word_without_version_needs_no_epoch),
        cmocka_unit_test(its_own_old_followers_take_it_back_only_in_its_round),
        cmocka_unit_test(who_lost_data_neither_votes_nor_is_voted_for),
        cmocka_unit_test(observers_and_strangers_are_answered_and_not_counted),
        cmocka_unit_test(an_observer_follows_what_the_voters_agree_on),
        cmocka_unit_test(groups_and_weights_decide),
        cmocka_unit_test(both_memberships_must_agree),
        cmocka_unit_test(a_newer_membership_is_news_only_while_looking),
        cmocka_unit_test(a_designated_leader_needs_no_election),
        cmocka_unit_test(a_leader_hears_that_its_voter_looks_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
