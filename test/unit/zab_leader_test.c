// SPDX-License-Identifier: Apache-2.0
//
// A leader and scripted learners: what it says when, what must be durable first, and what it never
// sends. The tests named after issues of Apache ZooKeeper are the flaws it must not have.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "zab/leader_internal.h"

static struct members *members;
static struct members *last_seen; // of the next begin()
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
                              .last_seen = last_seen,
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
    members_free(&last_seen);
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

// What 1 says shows that it follows still; what the observer 4 says, nothing of that.
static void a_sync_waits_for_a_quorum_that_still_follows(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    join_late(4);
    packet(4, QPACKET_ACK, 0x300000000, 0);
    event(ROLE_IN_SYNC, 4, 0, 0);
    assert_int_equal(sent(1, QPACKET_PING), 1);
    assert_int_equal(sent(4, QPACKET_SYNC), 0);
    event(ROLE_IN_SYNC, 4, 0, 0);
    assert_int_equal(out.n, 0); // one PING at a time: the next is for this one
    packet(1, QPACKET_PING, 0, 0);
    assert_int_equal(sent(4, QPACKET_SYNC), 1);
    assert_int_equal(sent(1, QPACKET_PING), 1);
    packet(4, QPACKET_PING, 0, 0);
    assert_int_equal(sent(4, QPACKET_SYNC), 0);
    packet(1, QPACKET_PING, 0, 0);
    assert_int_equal(sent(4, QPACKET_SYNC), 1);
    end();
}

// ---- who has accepted a later epoch ------------------------------------------------------------

static void a_voter_that_can_never_follow_ends_the_role(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    for (int i = 0; i < 3; i++) {
        assert_false(leader_is_over(leader));
        event(ROLE_IN_PEER_UP, 2, 0, 0);
        packet(2, QPACKET_FOLLOWERINFO, 0x700000000, 0);
        assert_int_equal(sent(2, QPACKET_LEADERINFO), 1); // as Java; it refuses
        event(ROLE_IN_PEER_DOWN, 2, 0, 0);
    }
    assert_int_equal(out.n, 2);
    assert_int_equal(out.actions[0].type, ROLE_SAVE_ACCEPTED); // the next epoch is later
    assert_int_equal(out.actions[0].epoch, 7);
    assert_int_equal(out.actions[1].type, ROLE_STEP_DOWN);
    end();
}

static void an_observer_does_not(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    for (int i = 0; i < 9; i++) {
        event(ROLE_IN_PEER_UP, 4, 0, 0);
        packet(4, QPACKET_OBSERVERINFO, 0x700000000, 0);
        event(ROLE_IN_PEER_DOWN, 4, 0, 0);
    }
    assert_false(leader_is_over(leader));
    end();
}

// ---- who comes without a history --------------------------------------------------------------

static void who_reports_zxid_0_gets_a_snapshot(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    hello(2);
    packet(2, QPACKET_ACKEPOCH, 0, 2);
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ROLE_ASK_DISK);
    struct sync_run all = {.first = 1, .last = 0x200000003}; // the log reaches back to the first
    step((struct role_event){.type = ROLE_IN_DISK,
                             .sid = 2,
                             .tag = out.actions[0].tag,
                             .disk = {.disk = &all, .disk_n = 1, .snapshot_zxid = -1}});
    assert_int_equal(out.actions[0].type, ROLE_ASK_DISK); // there is none: one is to be written
    assert_true(out.actions[0].fresh);
    step((struct role_event){.type = ROLE_IN_DISK,
                             .sid = 2,
                             .tag = out.actions[0].tag,
                             .disk = {.disk = &all, .disk_n = 1, .snapshot_zxid = 0x200000003}});
    assert_int_equal(out.actions[0].type, ROLE_SEND_SNAPSHOT);
    assert_int_equal(out.actions[0].file, 0x200000003);
    assert_int_equal(out.actions[0].zxid, 0x300000000); // it is the state of the new epoch
    assert_int_equal(sent(2, QPACKET_NEWLEADER), 1);
    end();
}

// ---- reconfiguration --------------------------------------------------------------------------

static void reconfigure(const char *text)
{
    int64_t zxid = leader_next_zxid(leader);
    struct members *next;
    struct blob *txn = blob_new(slice_of(&zxid, sizeof(zxid)));
    assert_int_equal(members_parse(slice_str(text), &next), ERR_OK);
    next->version = zxid;
    step((struct role_event){.type = ROLE_IN_PROPOSE, .zxid = zxid, .txn = txn, .members = next});
    members_free(&next); // it has its own copy
    blob_unref(&txn);
}

static const struct role_action *activation(void)
{
    for (size_t i = 1; i < out.n; i++) {
        if (out.actions[i].type == ROLE_ACTIVATE) {
            assert_int_equal(out.actions[i - 1].type, ROLE_COMMIT);
            assert_int_equal(out.actions[i - 1].zxid, out.actions[i].zxid);
            return &out.actions[i];
        }
    }
    return NULL;
}

static void serve_with_all(void)
{
    serve_with_1();
    for (int64_t sid = 2; sid <= 4; sid += 2) {
        join_late(sid);
        packet(sid, QPACKET_ACK, 0x300000000, 0);
    }
}

#define OLD  "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant"
#define JOIN OLD "\nserver.5=e:1:2:participant\nserver.6=f:1:2:participant"

static void a_reconfiguration_needs_the_old_and_the_new(void **state)
{
    (void)state;
    begin();
    serve_with_all();
    hello(5); // no member yet: a follower that does not vote
    packet(5, QPACKET_ACKEPOCH, 0x200000003, 2);
    packet(5, QPACKET_ACK, 0x300000000, 0);
    propose(); // of the old alone
    reconfigure(JOIN);
    propose(); // of both
    event(ROLE_IN_LOGGED, 0, 0x300000003, 0);
    packet(1, QPACKET_ACK, 0x300000001, 0);
    assert_int_equal(acted(ROLE_COMMIT), 1);
    packet(1, QPACKET_ACK, 0x300000002, 0);
    assert_int_equal(out.n, 0); // two of the old three, two of the new five
    packet(1, QPACKET_ACK, 0x300000003, 0);
    assert_int_equal(out.n, 0);
    packet(5, QPACKET_ACK, 0x300000002, 0);
    assert_int_equal(activation()->zxid, 0x300000002);
    assert_int_equal(activation()->sid, 3); // it goes on
    assert_int_equal(sent(1, QPACKET_COMMITANDACTIVATE), 1);
    assert_int_equal(sent(2, QPACKET_COMMITANDACTIVATE), 1);
    assert_int_equal(sent(5, QPACKET_COMMITANDACTIVATE), 1);
    assert_int_equal(sent(1, QPACKET_COMMIT), 0);
    assert_int_equal(sent(4, QPACKET_INFORMANDACTIVATE), 1);
    assert_int_equal(acted(ROLE_COMMIT), 1);
    packet(5, QPACKET_ACK, 0x300000003, 0);
    assert_int_equal(acted(ROLE_COMMIT), 1);
    assert_int_equal(leader_members(leader)->version, 0x300000002);
    assert_int_equal(leader_designated(leader), 3);
    end();
}

// What was proposed for both is held by both, though the old ones are gone meanwhile.
static void what_stands_behind_it_waits_for_both_too(void **state)
{
    (void)state;
    begin();
    serve_with_all();
    reconfigure("server.3=c:1:2:participant");
    propose();
    event(ROLE_IN_LOGGED, 0, 0x300000002, 0);
    assert_int_equal(out.n, 0);
    packet(2, QPACKET_ACK, 0x300000001, 0);
    assert_non_null(activation());
    assert_int_equal(acted(ROLE_COMMIT), 1);
    packet(2, QPACKET_ACK, 0x300000002, 0);
    assert_int_equal(acted(ROLE_COMMIT), 1);
    event(ROLE_IN_PEER_DOWN, 1, 0, 0);
    event(ROLE_IN_PEER_DOWN, 2, 0, 0);
    now_ms = 200;
    event(ROLE_IN_TICK, 0, 0, 0);
    assert_int_equal(acted(ROLE_STEP_DOWN), 0); // it is enough by itself now
    propose();
    event(ROLE_IN_LOGGED, 0, 0x300000003, 0);
    assert_int_equal(acted(ROLE_COMMIT), 1);
    for (int i = 0; i < 9; i++) { // copies of memberships are used again, none too early
        reconfigure(i % 2 ? "server.3=c:1:2:participant" : "server.3=c:1:3:participant");
        propose();
        event(ROLE_IN_LOGGED, 0, leader_next_zxid(leader) - 1, 0);
        assert_int_equal(acted(ROLE_COMMIT), 2);
    }
    end();
}

static void remove_the_leader(const char *next, int64_t first, int64_t second, int64_t designated)
{
    begin();
    serve_with_all();
    reconfigure(next);
    propose();
    propose();
    packet(second, QPACKET_ACK, 0x300000002, 0); // early: it counts for who may lead
    packet(first, QPACKET_ACK, 0x300000001, 0);
    packet(second, QPACKET_ACK, 0x300000001, 0);
    assert_int_equal(activation()->sid, designated);
    assert_int_equal(leader_designated(leader), designated);
    assert_int_equal(acted(ROLE_COMMIT), 1);
    for (size_t i = 0; i < out.n; i++) {
        const struct zab_packet *k = &out.actions[i].packet;
        assert_true(out.actions[i].type != ROLE_SEND || k->designated == designated);
    }
    packet(first, QPACKET_ACK, 0x300000002, 0); // nothing behind it, though a quorum has that
    assert_int_equal(out.n, 0);
    event(ROLE_IN_LOGGED, 0, 0x300000003, 0);
    assert_int_equal(out.n, 0);
    end();
}

static void a_leader_that_leaves_names_who_has_the_most_and_commits_no_more(void **state)
{
    (void)state;
    const char *without = "server.1=a:1:2:participant\nserver.2=b:1:2:participant";
    remove_the_leader(without, 1, 2, 2);
    remove_the_leader(without, 2, 1, 1);
    remove_the_leader("server.1=a:1:2:participant\nserver.2=b:1:2:participant\n"
                      "server.3=c:7:2:participant", // it stays, elsewhere
                      1, 2, 2);
}

static void a_commit_held_back_until_uptodate_still_activates(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    join_late(2);
    reconfigure(JOIN);
    propose();
    hello(5);
    packet(5, QPACKET_ACKEPOCH, 0x200000003, 2);
    assert_int_equal(sent(5, QPACKET_PROPOSAL), 2); // outstanding: it counts for the new ones
    packet(5, QPACKET_ACK, 0x300000000, 0);
    packet(5, QPACKET_ACK, 0x300000001, 0);
    packet(5, QPACKET_ACK, 0x300000002, 0);
    packet(1, QPACKET_ACK, 0x300000001, 0);
    packet(1, QPACKET_ACK, 0x300000002, 0);
    event(ROLE_IN_LOGGED, 0, 0x300000002, 0);
    assert_int_equal(acted(ROLE_COMMIT), 2);
    assert_int_equal(sent(2, QPACKET_COMMITANDACTIVATE), 0);
    packet(2, QPACKET_ACK, 0x300000000, 0);
    assert_int_equal(out.n, 3);
    assert_int_equal(out.actions[0].packet.type, QPACKET_UPTODATE);
    assert_int_equal(out.actions[1].packet.type, QPACKET_COMMITANDACTIVATE);
    assert_int_equal(out.actions[1].packet.zxid, 0x300000001);
    assert_int_equal(out.actions[1].packet.designated, 3);
    assert_int_equal(out.actions[2].packet.type, QPACKET_COMMIT);
    end();
}

static struct members *parse(const char *text, int64_t version)
{
    struct members *m;
    assert_int_equal(members_parse(slice_str(text), &m), ERR_OK);
    m->version = version;
    return m;
}

static void the_last_seen_membership_decides_newleader_and_is_then_the_only_one(void **state)
{
    (void)state;
    last_seen = parse(JOIN, 0x200000002); // of a reconfiguration that nobody knows to be committed
    begin();
    agree_with_1();
    packet(1, QPACKET_ACK, 0x300000000, 0);
    assert_int_equal(out.n, 0); // two of five
    assert_int_equal(leader_members(leader)->version, 0x200000002);
    hello(5);
    packet(5, QPACKET_ACKEPOCH, 0x200000003, 2);
    packet(5, QPACKET_ACK, 0x300000000, 0);
    assert_int_equal(acted(ROLE_SERVE), 1);
    assert_int_equal(leader_designated(leader), 3);
    event(ROLE_IN_PEER_UP, 7, 0, 0); // who knows that membership is welcome now, who knows more not
    struct zab_packet k = {.type = QPACKET_FOLLOWERINFO, .config_version = 0x200000002};
    step((struct role_event){.type = ROLE_IN_PACKET, .sid = 7, .packet = &k});
    assert_int_equal(acted(ROLE_DROP), 0);
    event(ROLE_IN_PEER_UP, 8, 0, 0);
    k.config_version = 0x200000003;
    step((struct role_event){.type = ROLE_IN_PACKET, .sid = 8, .packet = &k});
    assert_int_equal(acted(ROLE_DROP), 1);
    end();
}

static void a_leader_that_the_last_seen_one_removes_hands_over_at_once(void **state)
{
    (void)state;
    last_seen = parse("server.1=a:1:2:participant\nserver.2=b:1:2:participant", 0x200000002);
    begin();
    agree_with_1();
    packet(1, QPACKET_ACK, 0x300000000, 0);
    assert_int_equal(out.n, 0);
    join_late(2);
    packet(2, QPACKET_ACK, 0x300000000, 0);
    assert_int_equal(acted(ROLE_SERVE), 1);
    assert_int_equal(leader_designated(leader), 1);
    propose();
    packet(1, QPACKET_ACK, 0x300000001, 0);
    packet(2, QPACKET_ACK, 0x300000001, 0);
    assert_int_equal(acted(ROLE_COMMIT), 0);
    end();
}

// quorum-protocol.md 8.5.
static void the_first_version_is_of_the_first_leader(void **state)
{
    (void)state;
    begin();
    event(ROLE_IN_START, 0, 0, 0);
    hello(1);
    struct members *first = parse(OLD, 0x300000000);
    step((struct role_event){.type = ROLE_IN_EPOCH_SAVED, .epoch = 3, .members = first});
    members_free(&first);
    assert_int_equal(leader_members(leader)->version, 0x300000000);
    packet(1, QPACKET_ACKEPOCH, 0x200000003, 2);
    event(ROLE_IN_EPOCH_SAVED, 0, 0, 3);
    packet(1, QPACKET_ACK, 0x300000000, 0);
    assert_true(leader_is_serving(leader));
    reconfigure(JOIN);
    assert_int_equal(leader_members(leader)->version, 0x300000000);
    end();
}

static void figures_and_quorums_of_those_connected(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    join_late(2);
    join_late(4);
    propose();
    packet(1, QPACKET_ACK, 0x300000001, 0);
    event(ROLE_IN_SYNC, 1, 0, 0);
    struct leader_figures f = leader_figures(leader);
    assert_int_equal(f.followers, 2);
    assert_int_equal(f.synced_followers, 1);
    assert_int_equal(f.observers, 1);
    assert_int_equal(f.synced_observers, 0);
    assert_int_equal(f.pending_syncs, 1);
    assert_int_equal(leader_peers(leader), 3);
    struct leader_peer p = leader_peer_at(leader, 0);
    assert_int_equal(p.sid, 1);
    assert_int_equal(p.is, LEARNER_IS_LIVE);
    assert_int_equal(p.acked, 0x300000001);
    assert_int_equal(leader_peer_at(leader, 1).is, LEARNER_SYNCS);
    assert_true(leader_has_quorum(leader, members));
    struct members *others = parse("server.2=b:1:2:participant\nserver.4=d:1:2:participant\n"
                                   "server.3=c:1:2:participant",
                                   0);
    assert_false(leader_has_quorum(leader, others)); // 2 is not there yet, 4 observes
    packet(2, QPACKET_ACK, 0x300000000, 0);
    assert_true(leader_has_quorum(leader, others));
    members_free(&others);
    end();
}

static void an_epoch_without_zxids_left_ends(void **state)
{
    (void)state;
    begin();
    serve_with_1();
    // Four billion proposals ago.
    leader->proposals.last_proposed = leader->proposals.committed = 0x3fffffffd;
    leader->peers[0].commit_sent = 0x3fffffffd;
    history_reset(&history, 0x3fffffffd);
    propose();
    assert_int_equal(acted(ROLE_APPEND), 1);
    propose();
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ROLE_STEP_DOWN);
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
        cmocka_unit_test(a_sync_waits_for_a_quorum_that_still_follows),
        cmocka_unit_test(a_voter_that_can_never_follow_ends_the_role),
        cmocka_unit_test(an_observer_does_not),
        cmocka_unit_test(who_reports_zxid_0_gets_a_snapshot),
        cmocka_unit_test(a_reconfiguration_needs_the_old_and_the_new),
        cmocka_unit_test(what_stands_behind_it_waits_for_both_too),
        cmocka_unit_test(a_leader_that_leaves_names_who_has_the_most_and_commits_no_more),
        cmocka_unit_test(a_commit_held_back_until_uptodate_still_activates),
        cmocka_unit_test(the_last_seen_membership_decides_newleader_and_is_then_the_only_one),
        cmocka_unit_test(a_leader_that_the_last_seen_one_removes_hands_over_at_once),
        cmocka_unit_test(the_first_version_is_of_the_first_leader),
        cmocka_unit_test(figures_and_quorums_of_those_connected),
        cmocka_unit_test(an_epoch_without_zxids_left_ends),
        cmocka_unit_test(zookeeper_4837_a_failed_log_ends_the_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
