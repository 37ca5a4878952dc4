// SPDX-License-Identifier: Apache-2.0
//
// An observer master and scripted observers: how one is brought up, what it is told then, and what
// it is dropped for. Epoch 3, the history is 0x300000001 to 0x300000004.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "zab/obsmaster.h"

enum { TICK_MS = 100, INIT_LIMIT = 10, SYNC_LIMIT = 5 };

static const int64_t epoch_zxid = 0x300000000;
static struct history history;
static struct obsmaster *master;
static struct role_out out;
static int64_t now_ms;

static void add_to_history(int64_t zxid)
{
    struct blob *txn = blob_new(slice_of(&zxid, sizeof(zxid)));
    history_append(&history, zxid, txn);
    blob_unref(&txn);
}

static int setup(void **state)
{
    (void)state;
    history_init(&history, 500, 10000);
    history_reset(&history, epoch_zxid);
    for (int64_t i = 1; i <= 4; i++) {
        add_to_history(epoch_zxid + i);
    }
    struct obsmaster_settings s = {.tick_ms = TICK_MS,
                                   .init_limit = INIT_LIMIT,
                                   .sync_limit = SYNC_LIMIT,
                                   .epoch = 3,
                                   .committed = epoch_zxid + 4,
                                   .config_version = 0x200000000};
    master = obsmaster_new(&s, &history);
    now_ms = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    obsmaster_free(&master);
    history_fini(&history);
    return 0;
}

static void step(struct role_event ev)
{
    ev.now = (struct mono){now_ms * 1000000};
    obsmaster_step(master, &ev, &out);
    obsmaster_check(master);
}

static void event(enum role_event_type type, int64_t sid)
{
    step((struct role_event){.type = type, .sid = sid});
}

static void packet(int64_t sid, enum qpacket_type type, int64_t zxid)
{
    struct zab_packet k = {.type = type, .zxid = zxid, .current_epoch = 2};
    step((struct role_event){.type = ROLE_IN_PACKET, .sid = sid, .packet = &k});
}

static void tick(int64_t after_ms)
{
    now_ms += after_ms;
    event(ROLE_IN_TICK, 0);
}

// As the learner does it: into the history first.
static void commit(int64_t zxid, bool activates)
{
    add_to_history(zxid);
    struct blob *txn = blob_new(slice_of(&zxid, sizeof(zxid)));
    struct zab_packet k = {.type = activates ? QPACKET_INFORMANDACTIVATE : QPACKET_INFORM,
                           .zxid = zxid,
                           .txn = txn,
                           .designated = activates ? 2 : 0};
    step((struct role_event){.type = ROLE_IN_COMMITTED, .packet = &k});
    blob_unref(&txn);
}

static void expect_sent(size_t i, int64_t sid, enum qpacket_type type, int64_t zxid)
{
    assert_in_range(i, 0, out.n - 1);
    assert_int_equal(out.actions[i].type, ROLE_SEND);
    assert_int_equal(out.actions[i].sid, sid);
    assert_int_equal(out.actions[i].packet.type, type);
    assert_int_equal(out.actions[i].packet.zxid, zxid);
}

// The step's only action.
static void expect_dropped(int64_t sid)
{
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ROLE_DROP);
    assert_int_equal(out.actions[0].sid, sid);
    packet(sid, QPACKET_PING, 0);
    assert_int_equal(out.n, 0); // nothing is known of it any more
}

// It says where it is; what is answered is the caller's to look at.
static void join(int64_t sid, int64_t last_zxid)
{
    event(ROLE_IN_PEER_UP, sid);
    packet(sid, QPACKET_OBSERVERINFO, 0x200000000);
    assert_int_equal(out.n, 1);
    expect_sent(0, sid, QPACKET_LEADERINFO, epoch_zxid);
    packet(sid, QPACKET_ACKEPOCH, last_zxid);
}

static void become_live(int64_t sid, int64_t last_zxid)
{
    join(sid, last_zxid);
    packet(sid, QPACKET_ACK, epoch_zxid);
    assert_int_equal(out.n, 1);
    expect_sent(0, sid, QPACKET_UPTODATE, -1);
}

static void who_is_behind_gets_the_rest_and_then_each_commit(void **state)
{
    (void)state;
    join(7, epoch_zxid + 2);
    assert_int_equal(out.n, 6);
    expect_sent(0, 7, QPACKET_DIFF, epoch_zxid + 4);
    expect_sent(1, 7, QPACKET_PROPOSAL, epoch_zxid + 3);
    expect_sent(2, 7, QPACKET_COMMIT, epoch_zxid + 3);
    expect_sent(3, 7, QPACKET_PROPOSAL, epoch_zxid + 4);
    expect_sent(4, 7, QPACKET_COMMIT, epoch_zxid + 4);
    expect_sent(5, 7, QPACKET_NEWLEADER, epoch_zxid);

    commit(epoch_zxid + 5, false); // it stands in line already
    assert_int_equal(out.n, 1);
    expect_sent(0, 7, QPACKET_INFORM, epoch_zxid + 5);
    assert_int_equal(obsmaster_synced(master), 0);
    packet(7, QPACKET_ACK, epoch_zxid);
    expect_sent(0, 7, QPACKET_UPTODATE, -1);
    assert_int_equal(obsmaster_synced(master), 1);
    packet(7, QPACKET_ACK, epoch_zxid); // that of UPTODATE
    assert_int_equal(out.n, 0);
}

static void who_has_it_all_gets_an_empty_diff(void **state)
{
    (void)state;
    join(7, epoch_zxid + 4);
    assert_int_equal(out.n, 2);
    expect_sent(0, 7, QPACKET_DIFF, epoch_zxid + 4);
    expect_sent(1, 7, QPACKET_NEWLEADER, epoch_zxid);
}

static void a_reconfiguration_is_told_with_its_activation(void **state)
{
    (void)state;
    become_live(7, epoch_zxid + 4);
    commit(epoch_zxid + 5, true);
    assert_int_equal(out.n, 1);
    expect_sent(0, 7, QPACKET_INFORMANDACTIVATE, epoch_zxid + 5);
    assert_int_equal(out.actions[0].packet.designated, 2);

    // From now on that is the membership which nobody may know a newer one of.
    event(ROLE_IN_PEER_UP, 8);
    struct zab_packet k = {.type = QPACKET_OBSERVERINFO, .config_version = epoch_zxid + 5};
    step((struct role_event){.type = ROLE_IN_PACKET, .sid = 8, .packet = &k});
    expect_sent(0, 8, QPACKET_LEADERINFO, epoch_zxid);
    event(ROLE_IN_PEER_UP, 9);
    k.config_version = epoch_zxid + 6;
    step((struct role_event){.type = ROLE_IN_PACKET, .sid = 9, .packet = &k});
    expect_dropped(9);
}

static void what_memory_does_not_reach_comes_from_the_disk(void **state)
{
    (void)state;
    history_reset(&history, epoch_zxid + 4);
    join(7, epoch_zxid + 2);
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ROLE_ASK_DISK);
    uint64_t tag = out.actions[0].tag;
    struct sync_run run = {.first = epoch_zxid + 1, .last = epoch_zxid + 4};
    struct role_event disk = {.type = ROLE_IN_DISK, .sid = 7, .tag = tag};
    disk.disk = (struct sync_ask){.disk = &run, .disk_n = 1, .snapshot_zxid = -1};
    step(disk);
    expect_sent(0, 7, QPACKET_DIFF, epoch_zxid + 4);
    assert_int_equal(out.actions[1].type, ROLE_READ_HISTORY);
    assert_int_equal(out.actions[1].zxid, epoch_zxid + 2);
    tag = out.actions[1].tag;

    commit(epoch_zxid + 5, false); // while the log is being read
    assert_int_equal(out.n, 0);
    int64_t zxid = epoch_zxid + 3;
    struct blob *txn = blob_new(slice_of(&zxid, sizeof(zxid)));
    struct zab_entry part[] = {{zxid, txn}, {zxid + 1, txn}};
    struct role_event history_part = {.type = ROLE_IN_HISTORY, .sid = 7, .tag = tag};
    history_part.history.entries = part;
    history_part.history.n = 2;
    step(history_part);
    assert_int_equal(out.n, 4);
    history_part.history.n = 0;
    step(history_part);
    assert_int_equal(out.n, 3);
    expect_sent(0, 7, QPACKET_PROPOSAL, epoch_zxid + 5);
    expect_sent(1, 7, QPACKET_COMMIT, epoch_zxid + 5);
    expect_sent(2, 7, QPACKET_NEWLEADER, epoch_zxid);
    blob_unref(&txn);
}

static void an_empty_one_gets_a_snapshot(void **state)
{
    (void)state;
    join(7, 0);
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ROLE_ASK_DISK);
    assert_false(out.actions[0].fresh);
    struct role_event disk = {.type = ROLE_IN_DISK, .sid = 7, .tag = out.actions[0].tag};
    disk.disk = (struct sync_ask){.snapshot_zxid = -1, .size_factor = -1};
    step(disk);
    assert_int_equal(out.actions[0].type, ROLE_ASK_DISK); // it would do better with a new one
    assert_true(out.actions[0].fresh);
    disk.tag = out.actions[0].tag;
    disk.disk = (struct sync_ask){.snapshot_zxid = epoch_zxid + 3, .size_factor = -1};
    step(disk);
    assert_int_equal(out.n, 4);
    assert_int_equal(out.actions[0].type, ROLE_SEND_SNAPSHOT);
    assert_int_equal(out.actions[0].file, epoch_zxid + 3);
    expect_sent(1, 7, QPACKET_PROPOSAL, epoch_zxid + 4);
    expect_sent(3, 7, QPACKET_NEWLEADER, epoch_zxid);
}

static void an_answer_for_a_former_connection_is_not_taken(void **state)
{
    (void)state;
    join(7, 0);
    struct role_event disk = {.type = ROLE_IN_DISK, .sid = 7, .tag = out.actions[0].tag};
    disk.disk = (struct sync_ask){.snapshot_zxid = epoch_zxid + 3, .size_factor = -1};
    join(7, 0);
    step(disk);
    assert_int_equal(out.n, 0);
}

// Apache has it cut what was committed.
static void who_is_ahead_waits_for_this_follower(void **state)
{
    (void)state;
    join(7, epoch_zxid + 6);
    assert_int_equal(out.n, 0);
    commit(epoch_zxid + 5, false);
    assert_int_equal(out.n, 0);
    tick(1);
    assert_int_equal(out.n, 0);
    commit(epoch_zxid + 6, false);
    assert_int_equal(out.n, 0);
    tick(1);
    assert_int_equal(out.n, 2);
    expect_sent(0, 7, QPACKET_DIFF, epoch_zxid + 6);
    expect_sent(1, 7, QPACKET_NEWLEADER, epoch_zxid);
    commit(epoch_zxid + 7, false);
    expect_sent(0, 7, QPACKET_INFORM, epoch_zxid + 7);

    join(8, epoch_zxid + 9); // but not for ever
    tick((2 * INIT_LIMIT + SYNC_LIMIT) * TICK_MS - 1);
    tick(1);
    expect_dropped(8);
}

static void a_tail_of_an_older_epoch_is_cut(void **state)
{
    (void)state;
    history_reset(&history, 0x200000003);
    add_to_history(epoch_zxid + 1);
    for (int64_t i = 2; i <= 4; i++) {
        add_to_history(epoch_zxid + i);
    }
    join(7, 0x200000005);
    // The opening is never a DIFF: it must not keep what nobody else has.
    assert_true(out.n > 0);
    assert_false(out.actions[0].type == ROLE_SEND && out.actions[0].packet.type == QPACKET_DIFF);
}

static void what_it_asks_is_passed_on_and_touches_too(void **state)
{
    (void)state;
    become_live(7, epoch_zxid + 4);
    packet(7, QPACKET_REQUEST, -1);
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ROLE_REQUEST);
    assert_int_equal(out.actions[0].sid, 7);
    packet(7, QPACKET_REVALIDATE, -1);
    assert_int_equal(out.actions[0].type, ROLE_REQUEST);
    packet(7, QPACKET_PING, epoch_zxid + 4);
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ROLE_TOUCHED);
}

static void it_is_pinged_and_must_answer(void **state)
{
    (void)state;
    become_live(7, epoch_zxid + 4);
    tick(TICK_MS / 2);
    assert_int_equal(out.n, 1);
    expect_sent(0, 7, QPACKET_PING, epoch_zxid + 4);
    tick(TICK_MS / 2 - 1);
    assert_int_equal(out.n, 0);
    tick(1);
    assert_int_equal(out.n, 1);
    packet(7, QPACKET_PING, 0);
    tick(SYNC_LIMIT * TICK_MS - 1);
    assert_int_equal(out.actions[0].type, ROLE_SEND);
    tick(1);
    expect_dropped(7);
}

static void what_observers_must_not_do(void **state)
{
    (void)state;
    event(ROLE_IN_PEER_UP, 1);
    packet(1, QPACKET_FOLLOWERINFO, 0);
    expect_dropped(1);
    event(ROLE_IN_PEER_UP, 1);
    packet(1, QPACKET_ACKEPOCH, 0);
    expect_dropped(1);
    event(ROLE_IN_PEER_UP, 1);
    packet(1, QPACKET_REQUEST, 0);
    expect_dropped(1);
    join(1, 0x400000001); // of an epoch this follower does not know
    expect_dropped(1);
    become_live(1, epoch_zxid + 4);
    packet(1, QPACKET_OBSERVERINFO, 0);
    expect_dropped(1);
    become_live(1, epoch_zxid + 4);
    packet(1, QPACKET_ACK, epoch_zxid + 4);
    expect_dropped(1);
    assert_int_equal(obsmaster_peers(master), 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(who_is_behind_gets_the_rest_and_then_each_commit),
        CASE(who_has_it_all_gets_an_empty_diff),
        CASE(a_reconfiguration_is_told_with_its_activation),
        CASE(what_memory_does_not_reach_comes_from_the_disk),
        CASE(an_empty_one_gets_a_snapshot),
        CASE(an_answer_for_a_former_connection_is_not_taken),
        CASE(who_is_ahead_waits_for_this_follower),
        CASE(a_tail_of_an_older_epoch_is_cut),
        CASE(what_it_asks_is_passed_on_and_touches_too),
        CASE(it_is_pinged_and_must_answer),
        CASE(what_observers_must_not_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
