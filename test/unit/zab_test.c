// SPDX-License-Identifier: Apache-2.0
//
// zab with one voter: nothing commits before it is logged, commits come in order and once, and what
// the log refused is void.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "zab/zab.h"

static struct zab_out step(struct zab *z, struct zab_event ev)
{
    struct zab_out out;
    zab_step(z, &ev, &out);
    zab_check(z);
    return out;
}

static int64_t propose(struct zab *z)
{
    int64_t zxid = zab_next_zxid(z);
    struct blob *txn = blob_new(slice_of(&zxid, sizeof(zxid)));
    struct zab_out out = step(z, (struct zab_event){.type = ZAB_PROPOSE, .zxid = zxid, .txn = txn});
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ZAB_APPEND);
    blob_unref(&txn);
    return zxid;
}

static void commits_follow_the_log_in_order(void **state)
{
    (void)state;
    struct zab *z = zab_new(1, 100);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(propose(z), 101 + i);
    }
    assert_int_equal(zab_committed(z), 100);
    struct zab_out out = step(z, (struct zab_event){.type = ZAB_LOGGED, .zxid = 125});
    assert_int_equal(out.n, 25);
    for (size_t i = 0; i < out.n; i++) {
        int64_t inside;
        assert_int_equal(out.actions[i].type, ZAB_COMMIT);
        assert_int_equal(out.actions[i].zxid, 101 + i);
        memcpy(&inside, out.actions[i].txn->bytes, sizeof(inside));
        assert_int_equal(inside, 101 + i);
    }
    out = step(z, (struct zab_event){.type = ZAB_LOGGED, .zxid = 125}); // said twice: nothing new
    assert_int_equal(out.n, 0);
    assert_int_equal(zab_in_flight(z), 15);
    zab_free(&z); // with proposals in flight: nothing leaks
    assert_null(z);
}

static void what_the_log_refused_is_aborted_and_its_zxids_are_free(void **state)
{
    (void)state;
    struct zab *z = zab_new(1, 0);
    for (int i = 0; i < 10; i++) {
        propose(z);
    }
    struct zab_out out = step(z, (struct zab_event){.type = ZAB_LOG_FULL, .zxid = 4});
    assert_int_equal(out.n, 10);
    for (size_t i = 0; i < out.n; i++) {
        assert_int_equal(out.actions[i].type, i < 4 ? ZAB_COMMIT : ZAB_ABORT);
        assert_int_equal(out.actions[i].zxid, i + 1);
    }
    assert_int_equal(zab_next_zxid(z), 5);
    assert_int_equal(propose(z), 5);
    zab_free(&z);
}

static void sync_is_answered_with_what_is_committed(void **state)
{
    (void)state;
    struct zab *z = zab_new(1, 7);
    propose(z);
    struct zab_out out = step(z, (struct zab_event){.type = ZAB_SYNC, .tag = 99});
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].type, ZAB_SYNCED);
    assert_int_equal(out.actions[0].tag, 99);
    assert_int_equal(out.actions[0].zxid, 7);
    zab_free(&z);
}

static void random_histories_commit_each_zxid_once(void **state)
{
    (void)state;
    struct rng r = {1};
    struct zab *z = zab_new(1, 0);
    int64_t logged = 0, committed = 0;
    for (int i = 0; i < 20000; i++) {
        if (rng_chance(&r, 2, 3)) {
            propose(z);
            continue;
        }
        int64_t last = zab_next_zxid(z) - 1;
        logged += (int64_t)rng_below(&r, (uint64_t)(last - logged) + 1);
        bool full = rng_chance(&r, 1, 20);
        struct zab_out out =
            step(z, (struct zab_event){.type = full ? ZAB_LOG_FULL : ZAB_LOGGED, .zxid = logged});
        for (size_t k = 0; k < out.n; k++) {
            if (out.actions[k].type == ZAB_COMMIT) {
                assert_int_equal(out.actions[k].zxid, ++committed);
            }
        }
        assert_int_equal(committed, logged);
    }
    zab_free(&z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_follow_the_log_in_order),
        cmocka_unit_test(what_the_log_refused_is_aborted_and_its_zxids_are_free),
        cmocka_unit_test(sync_is_answered_with_what_is_committed),
        cmocka_unit_test(random_histories_commit_each_zxid_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
