// SPDX-License-Identifier: Apache-2.0
//
// A leader that is alone: nothing commits before it is logged, commits come in order and once, and
// what the log refused is void.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "zab/leader.h"

static struct members *members;
static struct leader *leader;
static struct role_out out;

static void step(struct role_event ev)
{
    leader_step(leader, &ev, &out);
    leader_check(leader);
}

static void begin(int64_t last_zxid)
{
    members = members_alone(1);
    struct role_settings s = {
        .sid = 1, .alone = true, .committed = members, .last_zxid = last_zxid};
    leader = leader_new(&s, NULL);
    step((struct role_event){.type = ROLE_IN_START});
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ROLE_SERVE);
    assert_int_equal(out.actions[0].epoch, last_zxid >> 32);
    assert_int_equal(leader_epoch(leader), last_zxid >> 32);
    assert_true(leader_is_serving(leader));
}

static void end(void)
{
    leader_free(&leader);
    members_free(&members);
    assert_null(leader);
}

static int64_t propose(void)
{
    int64_t zxid = leader_next_zxid(leader);
    struct blob *txn = blob_new(slice_of(&zxid, sizeof(zxid)));
    step((struct role_event){.type = ROLE_IN_PROPOSE, .zxid = zxid, .txn = txn});
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ROLE_APPEND);
    assert_ptr_equal(out.actions[0].txn, txn);
    blob_unref(&txn);
    return zxid;
}

static void commits_follow_the_log_in_order(void **state)
{
    (void)state;
    begin(100);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(propose(), 101 + i);
    }
    assert_int_equal(leader_committed(leader), 100);
    step((struct role_event){.type = ROLE_IN_LOGGED, .zxid = 125});
    assert_int_equal(out.n, 25);
    for (size_t i = 0; i < out.n; i++) {
        int64_t inside;
        assert_int_equal(out.actions[i].type, ROLE_COMMIT);
        assert_int_equal(out.actions[i].zxid, 101 + i);
        memcpy(&inside, out.actions[i].txn->bytes, sizeof(inside));
        assert_int_equal(inside, 101 + i);
    }
    step((struct role_event){.type = ROLE_IN_LOGGED, .zxid = 125}); // said twice: nothing new
    assert_int_equal(out.n, 0);
    assert_int_equal(leader_in_flight(leader), 15);
    end(); // with proposals in flight: nothing leaks
}

static void what_the_log_refused_is_aborted_and_its_zxids_are_free(void **state)
{
    (void)state;
    begin(0);
    for (int i = 0; i < 10; i++) {
        propose();
    }
    step((struct role_event){.type = ROLE_IN_LOG_FULL, .zxid = 4});
    assert_int_equal(out.n, 10);
    for (size_t i = 0; i < out.n; i++) {
        assert_int_equal(out.actions[i].type, i < 4 ? ROLE_COMMIT : ROLE_ABORT);
        assert_int_equal(out.actions[i].zxid, i + 1);
    }
    assert_int_equal(leader_next_zxid(leader), 5);
    assert_int_equal(propose(), 5);
    step((struct role_event){.type = ROLE_IN_LOGGED, .zxid = 5}); // a zxid that was logged before
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ROLE_COMMIT);
    end();
}

static void a_failed_log_ends_the_role(void **state)
{
    (void)state;
    begin(0);
    propose();
    step((struct role_event){.type = ROLE_IN_LOG_FAILED});
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ROLE_STEP_DOWN);
    end();
}

static void expect_synced(size_t at, uint64_t tag, int64_t zxid)
{
    assert_int_equal(out.actions[at].type, ROLE_SYNCED);
    assert_int_equal(out.actions[at].tag, tag);
    assert_int_equal(out.actions[at].zxid, zxid);
}

static void a_sync_waits_for_what_was_asked_before(void **state)
{
    (void)state;
    begin(7);
    step((struct role_event){.type = ROLE_IN_SYNC, .sid = 1, .tag = 98});
    expect_synced(0, 98, 7);
    propose();
    step((struct role_event){.type = ROLE_IN_SYNC, .sid = 1, .tag = 99});
    assert_int_equal(out.n, 0);
    step((struct role_event){.type = ROLE_IN_LOGGED, .zxid = 8});
    assert_int_equal(out.n, 2);
    assert_int_equal(out.actions[0].type, ROLE_COMMIT);
    expect_synced(1, 99, 8);
    end();
}

static void a_sync_does_not_wait_for_what_a_full_disk_refuses(void **state)
{
    (void)state;
    begin(7);
    propose();
    propose();
    step((struct role_event){.type = ROLE_IN_SYNC, .sid = 1, .tag = 99});
    assert_int_equal(out.n, 0);
    step((struct role_event){.type = ROLE_IN_LOG_FULL, .zxid = 8});
    assert_int_equal(out.n, 3);
    assert_int_equal(out.actions[0].type, ROLE_COMMIT);
    assert_int_equal(out.actions[1].type, ROLE_ABORT);
    expect_synced(2, 99, 8);
    end();
}

// As Apache's: the counter goes over into the epoch. It has no use for either.
static void the_end_of_an_epoch_is_no_event(void **state)
{
    (void)state;
    begin(0x1fffffffd);
    for (int i = 0; i < 4; i++) {
        propose();
    }
    step((struct role_event){.type = ROLE_IN_LOGGED, .zxid = 0x200000001});
    assert_int_equal(out.n, 4);
    assert_int_equal(out.actions[3].type, ROLE_COMMIT);
    assert_int_equal(out.actions[3].zxid, 0x200000001);
    step((struct role_event){.type = ROLE_IN_TICK}); // nobody is missed
    assert_int_equal(out.n, 0);
    end();
}

static void random_histories_commit_each_zxid_once(void **state)
{
    (void)state;
    struct rng r = {1};
    int64_t logged = 0, committed = 0;
    begin(0);
    for (int i = 0; i < 20000; i++) {
        if (rng_chance(&r, 2, 3)) {
            propose();
            continue;
        }
        int64_t last = leader_next_zxid(leader) - 1;
        logged += (int64_t)rng_below(&r, (uint64_t)(last - logged) + 1);
        bool full = rng_chance(&r, 1, 20);
        step((struct role_event){.type = full ? ROLE_IN_LOG_FULL : ROLE_IN_LOGGED, .zxid = logged});
        for (size_t k = 0; k < out.n; k++) {
            if (out.actions[k].type == ROLE_COMMIT) {
                assert_int_equal(out.actions[k].zxid, ++committed);
            }
        }
        assert_int_equal(committed, logged);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_follow_the_log_in_order),
        cmocka_unit_test(what_the_log_refused_is_aborted_and_its_zxids_are_free),
        cmocka_unit_test(a_failed_log_ends_the_role),
        cmocka_unit_test(a_sync_waits_for_what_was_asked_before),
        cmocka_unit_test(a_sync_does_not_wait_for_what_a_full_disk_refuses),
        cmocka_unit_test(the_end_of_an_epoch_is_no_event),
        cmocka_unit_test(random_histories_commit_each_zxid_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
