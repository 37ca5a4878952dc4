// SPDX-License-Identifier: Apache-2.0
//
// A leader and scripted learners: what it says when, what must be durable first, and what it never
// sends. The tests named after issues of Apache ZooKeeper are the flaws it must not have.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "zab/leader.h"

static struct members *members;
static struct history history;
static struct leader *leader;
static struct role_out out;
static int64_t now_ms;

static void begin(void)
{
    struct slice text = SLICE_LIT("server.1=a:1:2:participant\nserver.2=b:1:2:participant\n"
                                  "server.3=c:1:2:participant\nserver.4=d:1:2:observer");
    assert_int_equal(members_parse(text, &members), ERR_OK);
    history_init(&history, 500, 10000);
    history_reset(&history, 0x200000003);
    struct role_settings s = {.sid = 3,
                              .tick_ms = 100,
                              .init_limit = 10,
                              .sync_limit = 5,
                              .committed = members,
                              .accepted_epoch = 2,
                              .current_epoch = 2,
                              .last_zxid = 0x200000003};
    leader = leader_new(&s, &history);
    now_ms = 0;
}

static void end(void)
{
    leader_free(&leader);
    history_fini(&history);
    members_free(&members);
}

static void step(struct role_event ev)
{
    ev.now = (struct mono){now_ms * 1000000};
    leader_step(leader, &ev, &out);
    leader_check(leader);
}

static void event(enum role_event_type type, int64_t sid, int64_t zxid, int64_t epoch)
{
    step((struct role_event){.type = type, .sid = sid, .zxid = zxid, .epoch = epoch});
}

static void packet(int64_t sid, enum qpacket_type type, int64_t zxid, int64_t current_epoch)
{
    struct zab_packet p = {.type = type, .zxid = zxid, .current_epoch = current_epoch};
    step((struct role_event){.type = ROLE_IN_PACKET, .sid = sid, .packet = &p});
}

static void propose(void)
{
    int64_t zxid = leader_next_zxid(leader);
    struct blob *txn = blob_new(slice_of(&zxid, sizeof(zxid)));
    step((struct role_event){.type = ROLE_IN_PROPOSE, .zxid = zxid, .txn = txn});
    blob_unref(&txn);
}

static size_t sent(int64_t sid, enum qpacket_type type)
{
    size_t n = 0;
    for (size_t i = 0; i < out.n; i++) {
        const struct role_action *a = &out.actions[i];
        n += a->type == ROLE_SEND && a->sid == sid && a->packet.type == type;
    }
    return n;
}

static size_t acted(enum role_action_type type)
{
    size_t n = 0;
    for (size_t i = 0; i < out.n; i++) {
        n += out.actions[i].type == type;
    }
    return n;
}

static void hello(int64_t sid)
{
    event(ROLE_IN_PEER_UP, sid, 0, 0);
    packet(sid, sid == 4 ? QPACKET_OBSERVERINFO : QPACKET_FOLLOWERINFO, 0x200000000, 0);
}

// Up to NEWLEADER for server 1.
static void agree_with_1(void)
{
    event(ROLE_IN_START, 0, 0, 0);
    hello(1);
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ROLE_SAVE_ACCEPTED);
    assert_int_equal(out.actions[0].epoch, 3);
    event(ROLE_IN_EPOCH_SAVED, 0, 0, 3);
    assert_int_equal(sent(1, QPACKET_LEADERINFO), 1);
    packet(1, QPACKET_ACKEPOCH, 0x200000003, 2);
    assert_int_equal(out.n, 1); // no NEWLEADER before the own epoch is on disk
    assert_int_equal(out.actions[0].type, ROLE_SAVE_CURRENT);
    event(ROLE_IN_EPOCH_SAVED, 0, 0, 3);
    assert_int_equal(sent(1, QPACKET_DIFF), 1);
    assert_int_equal(sent(1, QPACKET_NEWLEADER), 1);
    assert_false(leader_is_serving(leader));
}

static void serve_with_1(void)
{
    agree_with_1();
    packet(1, QPACKET_ACK, 0x300000000, 0);
    assert_true(leader_is_serving(leader));
    assert_int_equal(acted(ROLE_SERVE), 1);
    assert_int_equal(sent(1, QPACKET_UPTODATE), 1);
    assert_int_equal(leader_next_zxid(leader), 0x300000001);
}

static void join_late(int64_t sid)
{
    hello(sid);
    assert_int_equal(sent(sid, QPACKET_LEADERINFO), 1);
    packet(sid, QPACKET_ACKEPOCH, 0x200000003, 2);
    assert_int_equal(sent(sid, QPACKET_NEWLEADER), 1);
}

static void a_quorum_of_logs_commits_in_order(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    propose();
    assert_int_equal(sent(1, QPACKET_PROPOSAL), 1);
    propose();
    packet(1, QPACKET_ACK, 0x300000002, 0);
    event(ROLE_IN_LOGGED, 0, 0x300000002, 0);
    assert_int_equal(out.n, 0); // the second has its quorum, the first has one log
    packet(1, QPACKET_ACK, 0x300000001, 0);
    assert_int_equal(acted(ROLE_COMMIT), 2);
    assert_int_equal(sent(1, QPACKET_COMMIT), 2);
    assert_int_equal(history_max(&history), 0x300000002);
    end();
}

static void zookeeper_4394_no_commit_between_newleader_and_uptodate(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    propose();
    join_late(2);
    assert_int_equal(sent(2, QPACKET_PROPOSAL), 1); // outstanding
    propose();
    assert_int_equal(sent(2, QPACKET_PROPOSAL), 1);
    packet(1, QPACKET_ACK, 0x300000001, 0);
    event(ROLE_IN_LOGGED, 0, 0x300000001, 0);
    assert_int_equal(sent(1, QPACKET_COMMIT), 1);
    assert_int_equal(sent(2, QPACKET_COMMIT), 0);
    packet(2, QPACKET_ACK, 0x300000000, 0);
    assert_int_equal(out.n, 2);
    assert_int_equal(out.actions[0].packet.type, QPACKET_UPTODATE);
    assert_int_equal(out.actions[1].packet.type, QPACKET_COMMIT);
    assert_int_equal(out.actions[1].packet.zxid, 0x300000001);
    end();
}

static void zookeeper_4685_an_ack_that_overtook_does_no_harm(void **state)
{
    (void)state;
    begin();
    agree_with_1();
    packet(1, QPACKET_ACK, 0x200000003, 0); // of an entry of the DIFF, before that of NEWLEADER
    assert_int_equal(out.n, 0);
    packet(1, QPACKET_ACK, 0x300000000, 0);
    assert_true(leader_is_serving(leader));
    packet(1, QPACKET_ACK, 0x300000000, 0); // the one of UPTODATE
    assert_int_equal(out.n, 0);
    end();
}

static void who_is_ahead_is_dropped_and_who_was_silent_too(void **state)
{
    (void)state;
    begin();
    event(ROLE_IN_START, 0, 0, 0);
    hello(1);
    hello(2);
    event(ROLE_IN_EPOCH_SAVED, 0, 0, 3);
    packet(1, QPACKET_ACKEPOCH, 0x200000004, 2);
    assert_int_equal(acted(ROLE_DROP), 1);
    packet(2, QPACKET_ACK, 0x300000000, 0); // speaks out of order
    assert_int_equal(acted(ROLE_DROP), 1);
    now_ms = 1000;
    event(ROLE_IN_TICK, 0, 0, 0);
    assert_int_equal(acted(ROLE_STEP_DOWN), 1); // nobody promised in initLimit
    end();
}

static void a_lost_quorum_ends_the_role(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    event(ROLE_IN_PEER_DOWN, 1, 0, 0);
    now_ms = 100;
    event(ROLE_IN_TICK, 0, 0, 0);
    assert_int_equal(acted(ROLE_STEP_DOWN), 1);
    event(ROLE_IN_LOGGED, 0, 0x300000001, 0);
    assert_int_equal(out.n, 0);
    end();
}

static void a_proposal_without_ack_cuts_a_learner_off(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    propose();
    for (now_ms = 50; now_ms < 500; now_ms += 50) {
        packet(1, QPACKET_PING, 0x300000001, 0); // it is alive
        event(ROLE_IN_TICK, 0, 0, 0);
        assert_int_equal(acted(ROLE_DROP), 0);
    }
    event(ROLE_IN_TICK, 0, 0, 0);
    assert_int_equal(acted(ROLE_DROP), 1);
    end();
}

static void observers_are_informed_and_count_nowhere(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    join_late(4);
    packet(4, QPACKET_ACK, 0x300000000, 0);
    assert_int_equal(sent(4, QPACKET_UPTODATE), 1);
    propose();
    assert_int_equal(sent(4, QPACKET_PROPOSAL), 0);
    packet(4, QPACKET_ACK, 0x300000001, 0);
    event(ROLE_IN_LOGGED, 0, 0x300000001, 0);
    assert_int_equal(acted(ROLE_COMMIT), 0);
    packet(1, QPACKET_ACK, 0x300000001, 0);
    assert_int_equal(sent(4, QPACKET_INFORM), 1);
    assert_int_equal(sent(4, QPACKET_COMMIT), 0);
    end();
}

static void a_sync_waits_for_what_is_outstanding(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    event(ROLE_IN_SYNC, 1, 0, 0);
    assert_int_equal(sent(1, QPACKET_SYNC), 1);
    propose();
    event(ROLE_IN_SYNC, 1, 0, 0);
    assert_int_equal(out.n, 0);
    event(ROLE_IN_LOGGED, 0, 0x300000001, 0);
    packet(1, QPACKET_ACK, 0x300000001, 0);
    assert_int_equal(out.actions[out.n - 2].packet.type, QPACKET_COMMIT);
    assert_int_equal(out.actions[out.n - 1].packet.type, QPACKET_SYNC);
    end();
}

static void zookeeper_4837_a_failed_log_ends_the_role(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    propose();
    event(ROLE_IN_LOG_FAILED, 0, 0, 0);
    assert_int_equal(acted(ROLE_STEP_DOWN), 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quorum_of_logs_commits_in_order),
        cmocka_unit_test(zookeeper_4394_no_commit_between_newleader_and_uptodate),
        cmocka_unit_test(zookeeper_4685_an_ack_that_overtook_does_no_harm),
        cmocka_unit_test(who_is_ahead_is_dropped_and_who_was_silent_too),
        cmocka_unit_test(a_lost_quorum_ends_the_role),
        cmocka_unit_test(a_proposal_without_ack_cuts_a_learner_off),
        cmocka_unit_test(observers_are_informed_and_count_nowhere),
        cmocka_unit_test(a_sync_waits_for_what_is_outstanding),
        cmocka_unit_test(zookeeper_4837_a_failed_log_ends_the_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
