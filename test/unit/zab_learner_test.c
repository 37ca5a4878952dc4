// SPDX-License-Identifier: Apache-2.0
//
// A learner and a scripted leader: what it says when, what must be durable first, and what it
// refuses. The tests named after issues of Apache ZooKeeper are the flaws it must not have.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "zab/learner.h"

static struct members *members;
static struct history history;
static struct learner *learner;
static struct role_out out;

static void begin(int64_t accepted, int64_t current, int64_t last_zxid, bool observer)
{
    struct slice text = SLICE_LIT("server.1=a:1:2:participant\nserver.2=b:1:2:participant\n"
                                  "server.3=c:1:2:participant");
    assert_int_equal(members_parse(text, &members), ERR_OK);
    history_init(&history, 500, 10000);
    history_reset(&history, last_zxid);
    struct role_settings s = {.sid = 1,
                              .tick_ms = 100,
                              .init_limit = 10,
                              .sync_limit = 5,
                              .observer = observer,
                              .committed = members,
                              .accepted_epoch = accepted,
                              .current_epoch = current,
                              .last_zxid = last_zxid,
                              .leader = 3};
    learner = learner_new(&s, &history);
}

static void end(void)
{
    learner_free(&learner);
    history_fini(&history);
    members_free(&members);
}

static void step(struct role_event ev)
{
    learner_step(learner, &ev, &out);
    learner_check(learner);
}

static void event(enum role_event_type type, int64_t zxid, int64_t epoch)
{
    step((struct role_event){.type = type, .zxid = zxid, .epoch = epoch});
}

static void packet(enum qpacket_type type, int64_t zxid)
{
    struct blob *txn = blob_new(slice_of(&zxid, sizeof(zxid)));
    bool has =
        type == QPACKET_PROPOSAL || type == QPACKET_INFORM || type == QPACKET_INFORMANDACTIVATE;
    struct zab_packet p = {.type = type, .zxid = zxid, .txn = has ? txn : NULL, .designated = 2};
    step((struct role_event){.type = ROLE_IN_PACKET, .sid = 3, .packet = &p});
    blob_unref(&txn);
}

// The step's only action.
static void expect(enum role_action_type type, int64_t zxid)
{
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, type);
    int64_t is = type == ROLE_SEND ? out.actions[0].packet.zxid : out.actions[0].zxid;
    assert_int_equal(is, zxid);
}

static void expect_over(void)
{
    assert_true(out.n >= 1);
    assert_int_equal(out.actions[out.n - 1].type, ROLE_STEP_DOWN);
    assert_true(learner_is_over(learner));
    packet(QPACKET_PING, 0);
    assert_int_equal(out.n, 0); // and nothing ever after
}

static void join(int64_t epoch)
{
    event(ROLE_IN_START, 0, 0);
    event(ROLE_IN_PEER_UP, 0, 0);
    assert_int_equal(out.n, 1);
    packet(QPACKET_LEADERINFO, epoch << 32);
    assert_int_equal(out.actions[0].type, ROLE_SAVE_ACCEPTED);
    assert_int_equal(out.n, 1); // no promise before it is on disk
    event(ROLE_IN_EPOCH_SAVED, 0, epoch);
    assert_int_equal(out.actions[0].packet.type, QPACKET_ACKEPOCH);
}

static void become_live(int64_t epoch)
{
    packet(QPACKET_NEWLEADER, epoch << 32);
    event(ROLE_IN_EPOCH_SAVED, 0, epoch);
    expect(ROLE_SEND, epoch << 32);
    packet(QPACKET_UPTODATE, -1);
    assert_true(learner_is_live(learner));
}

static void a_promise_is_made_once_and_never_for_less(void **state)
{
    (void)state;
    begin(4, 2, 0x200000003, false);
    event(ROLE_IN_PEER_UP, 0, 0);
    assert_int_equal(out.actions[0].packet.type, QPACKET_FOLLOWERINFO);
    assert_int_equal(out.actions[0].packet.zxid, 0x400000000);
    packet(QPACKET_LEADERINFO, 0x400000000);
    expect(ROLE_SEND, 0x200000003);
    assert_int_equal(out.actions[0].packet.current_epoch, -1);
    end();
    begin(4, 2, 0x200000003, true);
    event(ROLE_IN_PEER_UP, 0, 0);
    assert_int_equal(out.actions[0].packet.type, QPACKET_OBSERVERINFO);
    packet(QPACKET_LEADERINFO, 0x300000000);
    expect_over();
    end();
}

// ZOOKEEPER-3911, 4643, 4646, 4785.
static void zookeeper_4643_history_then_epoch_then_ack(void **state)
{
    (void)state;
    begin(2, 2, 0x200000003, false);
    join(3);
    packet(QPACKET_DIFF, 0x200000005);
    packet(QPACKET_PROPOSAL, 0x200000004);
    assert_int_equal(out.n, 0);
    packet(QPACKET_COMMIT, 0x200000004);
    assert_int_equal(out.n, 2);
    assert_int_equal(out.actions[0].type, ROLE_APPEND);
    assert_int_equal(out.actions[1].type, ROLE_COMMIT);
    packet(QPACKET_PROPOSAL, 0x200000005);
    packet(QPACKET_COMMIT, 0x200000005);
    packet(QPACKET_NEWLEADER, 0x300000000);
    expect(ROLE_LAST_SEEN, 0);
    event(ROLE_IN_LOGGED, 0x200000004, 0);
    assert_int_equal(out.n, 0);
    event(ROLE_IN_LOGGED, 0x200000005, 0);
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ROLE_SAVE_CURRENT);
    event(ROLE_IN_EPOCH_SAVED, 0, 3);
    expect(ROLE_SEND, 0x300000000);
    end();
}

static void zookeeper_4685_the_ack_of_newleader_comes_first(void **state)
{
    (void)state;
    begin(2, 2, 0x200000003, false);
    join(3);
    packet(QPACKET_DIFF, 0x200000003);
    packet(QPACKET_PROPOSAL, 0x300000001); // outstanding, the leader serves already
    packet(QPACKET_NEWLEADER, 0x300000000);
    packet(QPACKET_PING, 0x300000001);
    assert_int_equal(out.n, 0); // not answered before UPTODATE
    packet(QPACKET_PROPOSAL, 0x300000002);
    assert_int_equal(out.n, 0);
    event(ROLE_IN_EPOCH_SAVED, 0, 3);
    expect(ROLE_SEND, 0x300000000);
    packet(QPACKET_COMMIT, 0x300000001); // 4394: from a leader that does not hold it back
    assert_int_equal(out.n, 0);
    packet(QPACKET_UPTODATE, -1);
    assert_int_equal(out.n, 5);
    assert_int_equal(out.actions[0].packet.type, QPACKET_ACK);
    assert_int_equal(out.actions[1].type, ROLE_SERVE);
    assert_int_equal(out.actions[2].type, ROLE_APPEND);
    assert_int_equal(out.actions[3].type, ROLE_COMMIT);
    assert_int_equal(out.actions[4].type, ROLE_APPEND);
    event(ROLE_IN_LOGGED, 0x300000002, 0);
    assert_int_equal(out.n, 2); // one ACK each, in order
    assert_int_equal(out.actions[0].packet.zxid, 0x300000001);
    assert_int_equal(out.actions[1].packet.zxid, 0x300000002);
    end();
}

static void truncation_and_snapshots_are_durable_first(void **state)
{
    (void)state;
    begin(2, 2, 0x200000003, false);
    join(3);
    packet(QPACKET_TRUNC, 0x200000001);
    expect(ROLE_TRUNCATE, 0x200000001);
    packet(QPACKET_PROPOSAL, 0x200000002);
    packet(QPACKET_COMMIT, 0x200000002);
    assert_int_equal(out.n, 0); // not into the log before it is cut
    packet(QPACKET_NEWLEADER, 0x300000000);
    event(ROLE_IN_TRUNCATED, 0x200000001, 0);
    assert_int_equal(out.n, 2);
    assert_int_equal(out.actions[0].type, ROLE_APPEND);
    end();
    begin(2, 2, 0x200000003, false);
    join(3);
    packet(QPACKET_SNAP, 0x300000004);
    expect(ROLE_LOAD_SNAPSHOT, 0x300000004);
    packet(QPACKET_NEWLEADER, 0x300000000);
    expect(ROLE_LAST_SEEN, 0);
    event(ROLE_IN_SNAPSHOT_LOADED, 0x300000004, 0);
    assert_int_equal(out.actions[0].type, ROLE_SAVE_CURRENT);
    end();
}

static void refuse_after_diff(int64_t zxid)
{
    begin(2, 2, 0x200000003, false);
    join(3);
    packet(QPACKET_DIFF, zxid);
    packet(QPACKET_PROPOSAL, zxid);
    expect_over();
    end();
}

// ZOOKEEPER-2846, 2355, 4925.
static void zookeeper_4925_nothing_is_taken_over_a_gap(void **state)
{
    (void)state;
    refuse_after_diff(0x200000005); // the first one, held against the own log
    refuse_after_diff(0x200000003); // it has that
    refuse_after_diff(0x300000002); // an epoch begins with 1
    begin(2, 2, 0x200000003, false);
    join(3);
    packet(QPACKET_DIFF, 0x200000003);
    become_live(3);
    packet(QPACKET_PROPOSAL, 0x300000001);
    expect(ROLE_APPEND, 0x300000001);
    packet(QPACKET_PROPOSAL, 0x300000003);
    expect_over();
    end();
}

static void commits_are_of_the_oldest_proposal(void **state)
{
    (void)state;
    begin(2, 2, 0x200000003, false);
    join(3);
    packet(QPACKET_DIFF, 0x200000003);
    become_live(3);
    packet(QPACKET_COMMIT, 0x300000001); // nothing waits for it: ignored, as Apache does
    assert_int_equal(out.n, 0);
    packet(QPACKET_PROPOSAL, 0x300000001);
    packet(QPACKET_PROPOSAL, 0x300000002);
    packet(QPACKET_COMMIT, 0x300000001); // before its own log has it
    expect(ROLE_COMMIT, 0x300000001);
    event(ROLE_IN_LOGGED, 0x300000001, 0);
    expect(ROLE_SEND, 0x300000001);
    packet(QPACKET_PROPOSAL, 0x300000003);
    packet(QPACKET_COMMIT, 0x300000003);
    expect_over();
    end();
}

static void observers_take_what_is_committed_and_acknowledge_nothing(void **state)
{
    (void)state;
    begin(2, 2, 0x200000003, true);
    join(3);
    packet(QPACKET_DIFF, 0x200000003);
    become_live(3);
    packet(QPACKET_INFORM, 0x300000001);
    assert_int_equal(out.n, 2);
    packet(QPACKET_PROPOSAL, 0x300000002); // not for observers
    packet(QPACKET_COMMIT, 0x300000002);
    assert_int_equal(out.n, 0);
    event(ROLE_IN_LOGGED, 0x300000001, 0);
    assert_int_equal(out.n, 0);
    end();
}

// The step's last actions: COMMIT of zxid, and it activates under server 2.
static void expect_activation(int64_t zxid)
{
    assert_true(out.n >= 2);
    assert_int_equal(out.actions[out.n - 2].type, ROLE_COMMIT);
    assert_int_equal(out.actions[out.n - 2].zxid, zxid);
    assert_int_equal(out.actions[out.n - 1].type, ROLE_ACTIVATE);
    assert_int_equal(out.actions[out.n - 1].zxid, zxid);
    assert_int_equal(out.actions[out.n - 1].sid, 2);
}

static void a_commit_that_activates_says_so_whenever_it_comes(void **state)
{
    (void)state;
    begin(2, 2, 0x200000003, false);
    join(3);
    packet(QPACKET_DIFF, 0x200000003);
    packet(QPACKET_PROPOSAL, 0x300000001); // before NEWLEADER
    packet(QPACKET_COMMITANDACTIVATE, 0x300000001);
    assert_int_equal(out.actions[0].type, ROLE_APPEND);
    expect_activation(0x300000001);
    packet(QPACKET_PROPOSAL, 0x300000002);
    packet(QPACKET_NEWLEADER, 0x300000000);
    packet(QPACKET_COMMITANDACTIVATE, 0x300000002); // before UPTODATE
    assert_int_equal(out.n, 0);
    event(ROLE_IN_LOGGED, 0x300000001, 0);
    event(ROLE_IN_EPOCH_SAVED, 0, 3);
    packet(QPACKET_UPTODATE, -1);
    assert_int_equal(out.actions[1].type, ROLE_SERVE);
    expect_activation(0x300000002);
    packet(QPACKET_COMMITANDACTIVATE, 0x300000003); // nothing waits for it
    assert_int_equal(out.n, 0);
    packet(QPACKET_PROPOSAL, 0x300000003); // live
    packet(QPACKET_COMMITANDACTIVATE, 0x300000003);
    expect_activation(0x300000003);
    packet(QPACKET_PROPOSAL, 0x300000004);
    packet(QPACKET_COMMITANDACTIVATE, 0x300000005);
    expect_over();
    end();
}

static void an_observer_is_told_with_the_transaction(void **state)
{
    (void)state;
    begin(2, 2, 0x200000003, true);
    join(3);
    packet(QPACKET_DIFF, 0x200000003);
    become_live(3);
    packet(QPACKET_INFORMANDACTIVATE, 0x300000001);
    assert_int_equal(out.n, 3);
    assert_int_equal(out.actions[0].type, ROLE_APPEND);
    expect_activation(0x300000001);
    packet(QPACKET_COMMITANDACTIVATE, 0x300000002); // not for observers
    assert_int_equal(out.n, 0);
    packet(QPACKET_INFORM, 0x300000002);
    assert_int_equal(out.n, 2);
    packet(QPACKET_INFORMANDACTIVATE, 0x300000004);
    expect_over();
    end();
}

static void an_inform_over_what_has_no_commit_is_a_gap(void **state)
{
    (void)state;
    begin(2, 2, 0x200000003, true);
    join(3);
    packet(QPACKET_DIFF, 0x200000003);
    packet(QPACKET_PROPOSAL, 0x300000001);
    packet(QPACKET_INFORM, 0x300000002);
    expect_over();
    end();
}

static void begin_with_a_log_that_cannot_be_cut(void)
{
    begin(2, 2, 0x200000003, false);
    learner_free(&learner);
    struct role_settings s = {.sid = 1,
                              .tick_ms = 100,
                              .init_limit = 10,
                              .sync_limit = 5,
                              .wants_snapshot = true,
                              .committed = members,
                              .accepted_epoch = 2,
                              .current_epoch = 2,
                              .last_zxid = 0x200000003,
                              .leader = 3};
    learner = learner_new(&s, &history);
    join(3);
    assert_int_equal(out.actions[0].packet.zxid, 0);
    assert_int_equal(out.actions[0].packet.current_epoch, 2);
}

static void who_needs_a_snapshot_takes_nothing_else(void **state)
{
    (void)state;
    static const enum qpacket_type others[] = {QPACKET_DIFF, QPACKET_TRUNC};
    for (size_t i = 0; i < 2; i++) {
        begin_with_a_log_that_cannot_be_cut();
        packet(others[i], 0x200000001);
        expect_over();
        end();
    }
    begin_with_a_log_that_cannot_be_cut();
    packet(QPACKET_SNAP, 0x200000001);
    expect(ROLE_LOAD_SNAPSHOT, 0x200000001);
    end();
}

static void zookeeper_4837_any_failure_ends_the_role(void **state)
{
    (void)state;
    static const enum role_event_type failures[] = {ROLE_IN_LOG_FAILED, ROLE_IN_SYNC_FAILED,
                                                    ROLE_IN_PEER_DOWN};
    for (size_t i = 0; i < 3; i++) {
        begin(2, 2, 0x200000003, false);
        join(3);
        packet(QPACKET_TRUNC, 0x200000001);
        event(failures[i], 0, 0);
        expect_over();
        end();
    }
}

static void a_silent_leader_is_left(void **state)
{
    (void)state;
    begin(2, 2, 0x200000003, false);
    join(3);
    packet(QPACKET_DIFF, 0x200000003);
    step((struct role_event){.type = ROLE_IN_TICK, .now = {999 * 1000000LL}});
    assert_int_equal(out.n, 0);
    step((struct role_event){.type = ROLE_IN_TICK, .now = {1000 * 1000000LL}});
    expect_over();
    end();
}

static void a_slow_disk_is_not_a_silent_leader(void **state)
{
    (void)state;
    begin(2, 2, 0x200000003, false);
    join(3);
    packet(QPACKET_SNAP, 0x300000004);
    step((struct role_event){.type = ROLE_IN_TICK, .now = {5000 * 1000000LL}});
    assert_int_equal(out.n, 0);
    step((struct role_event){
        .type = ROLE_IN_SNAPSHOT_LOADED, .zxid = 0x300000004, .now = {5900 * 1000000LL}});
    step((struct role_event){.type = ROLE_IN_TICK, .now = {5999 * 1000000LL}});
    assert_int_equal(out.n, 0);
    step((struct role_event){.type = ROLE_IN_TICK, .now = {6000 * 1000000LL}});
    expect_over();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_promise_is_made_once_and_never_for_less),
        cmocka_unit_test(zookeeper_4643_history_then_epoch_then_ack),
        cmocka_unit_test(zookeeper_4685_the_ack_of_newleader_comes_first),
        cmocka_unit_test(truncation_and_snapshots_are_durable_first),
        cmocka_unit_test(zookeeper_4925_nothing_is_taken_over_a_gap),
        cmocka_unit_test(commits_are_of_the_oldest_proposal),
        cmocka_unit_test(observers_take_what_is_committed_and_acknowledge_nothing),
        cmocka_unit_test(a_commit_that_activates_says_so_whenever_it_comes),
        cmocka_unit_test(an_observer_is_told_with_the_transaction),
        cmocka_unit_test(an_inform_over_what_has_no_commit_is_a_gap),
        cmocka_unit_test(who_needs_a_snapshot_takes_nothing_else),
        cmocka_unit_test(zookeeper_4837_any_failure_ends_the_role),
        cmocka_unit_test(a_silent_leader_is_left),
        cmocka_unit_test(a_slow_disk_is_not_a_silent_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
