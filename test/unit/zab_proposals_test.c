// SPDX-License-Identifier: Apache-2.0
//
// The window of proposals: commits in zxid order by a quorum, whoever acknowledges when.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "zab/proposals.h"

static struct members *members;
static struct quorum quorum;

static int setup(void **state)
{
    (void)state;
    struct slice text = SLICE_LIT("server.1=a:1:2:participant\nserver.2=b:1:2:participant\n"
                                  "server.3=c:1:2:participant\nserver.4=d:1:2:observer");
    assert_int_equal(members_parse(text, &members), ERR_OK);
    quorum_init(&quorum, members, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    members_free(&members);
    return 0;
}

static void put(struct proposals *p, int64_t zxid)
{
    struct blob *txn = blob_new(slice_of(&zxid, sizeof(zxid)));
    proposals_put(p, zxid, txn, &quorum);
    blob_unref(&txn);
    proposals_check(p);
}

static int64_t commit(struct proposals *p)
{
    struct proposal done;
    if (!proposals_commit(p, &done)) {
        return 0;
    }
    blob_unref(&done.txn);
    proposals_check(p);
    return done.zxid;
}

static void nothing_commits_before_what_is_before_it(void **state)
{
    (void)state;
    struct proposals p;
    proposals_init(&p, 0x100000000);
    for (int64_t z = 0x100000001; z <= 0x100000028; z++) {
        put(&p, z);
    }
    proposals_ack(&p, 2, 0x100000002);
    proposals_ack(&p, 3, 0x100000002);
    assert_int_equal(commit(&p), 0); // the second has its quorum, the first has none
    proposals_ack_up_to(&p, 1, 0x100000003);
    assert_int_equal(commit(&p), 0);
    proposals_ack(&p, 2, 0x100000001);
    assert_int_equal(commit(&p), 0x100000001);
    assert_int_equal(commit(&p), 0x100000002);
    assert_int_equal(commit(&p), 0);
    proposals_fini(&p); // nothing leaks
}

static void strange_acks_do_no_harm(void **state)
{
    (void)state;
    struct proposals p;
    proposals_init(&p, 0x100000000);
    proposals_ack(&p, 2, 0x100000001); // nothing there
    put(&p, 0x100000001);
    proposals_ack(&p, 2, 0x100000002); // not proposed yet
    proposals_ack(&p, 2, 0xff);        // long ago
    proposals_ack(&p, 4, 0x100000001); // does not vote
    proposals_ack(&p, 9, 0x100000001); // is no member
    proposals_ack(&p, 1, 0x100000001);
    proposals_ack(&p, 1, 0x100000001); // twice
    assert_int_equal(commit(&p), 0);
    proposals_ack(&p, 3, 0x100000001);
    assert_int_equal(commit(&p), 0x100000001);
    proposals_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_commits_before_what_is_before_it),
        cmocka_unit_test(strange_acks_do_no_harm),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
