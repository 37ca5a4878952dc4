// SPDX-License-Identifier: Apache-2.0
//
// Changes of the membership on a whole server: what a request may be refused for, and what a
// committed one means for roles, files, other servers and the election.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/node_rig.h"

#define RECONFIG "reconfigEnabled=true\nskipACL=yes\n"

static enum zkerr plan(struct nrig *r, const char *joining, const char *leaving, const char *whole,
                       int64_t version, struct members **m)
{
    struct buf b = {0};
    struct members *own = NULL;
    struct reconfig_request q = {joining ? slice_str(joining) : SLICE_NULL,
                                 leaving ? slice_str(leaving) : SLICE_NULL,
                                 whole ? slice_str(whole) : SLICE_NULL, version};
    jute_put_record(&b, &record_reconfig_request, &q);
    enum zkerr e = reconfig_plan(r->n, buf_slice(&b), leader_next_zxid(r->n->leader), &own);
    buf_fini(&b);
    if (m) {
        *m = own;
    } else {
        members_free(&own);
    }
    return e;
}

static void bytes_that_are_no_request(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, RECONFIG);
    struct members *m = NULL;
    nrig_lead(r, 2);
    assert_int_equal(reconfig_plan(r->n, SLICE_LIT("xyz"), 1, &m), ZK_MARSHALLINGERROR);
    assert_null(m);
    nrig_free(&r);
}

static void what_is_wrong_with_an_incremental_one(void **state)
{
    (void)state;
    static const struct {
        const char *joining, *leaving;
        enum zkerr want;
    } rows[] = {
        {"server.4=h4:2004:3004:participant;2181", NULL, ZK_OK},
        {"server.4=h4:2004:3004:participant;2181", "3,77", ZK_OK},
        {"server.4=h4:2004:3004:observer;2181", NULL, ZK_OK},
        {NULL, "3", ZK_OK},
        {NULL, "77", ZK_OK},
        {"server.4=h4:2004:3004", NULL, ZK_BADARGUMENTS},      // nowhere for clients
        {"server.4=h4:2004;2181", NULL, ZK_BADARGUMENTS},      // no election port
        {"server.4", NULL, ZK_BADARGUMENTS},                   // no value
        {"server.4=h3:2003:3004;2182", NULL, ZK_BADARGUMENTS}, // another one's port
        {"server.4=h3:3003:3004;2182", NULL, ZK_BADARGUMENTS}, // for another purpose
        {"server.x=h4:2004:3004;2181", NULL, ZK_BADARGUMENTS}, // no number
        {NULL, "three", ZK_BADARGUMENTS},
        {NULL, "2,3", ZK_BADARGUMENTS}, // standaloneEnabled wants two voters
        {NULL, "1,2,3", ZK_BADARGUMENTS},
        {"server.4=h4:2004:3004;2181,server.5=h5:2005:3005;2181", "3", ZK_NEWCONFIGNOQUORUM},
    };
    struct nrig *r = nrig_new(1, 3, 0, RECONFIG);
    nrig_lead(r, 2);
    nrig_learner(r, 3, false, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum zkerr got = plan(r, rows[i].joining, rows[i].leaving, NULL, -1, NULL);
        if (got != rows[i].want) {
            fprintf(stderr, "row %zu\n", i);
        }
        assert_int_equal(got, rows[i].want);
    }
    nrig_free(&r);
}

static void the_version_is_checked_before_the_text(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, RECONFIG);
    nrig_lead(r, 2);
    int64_t version = r->n->ens->committed->version;
    assert_int_equal(version, zxid_of_epoch(1)); // 8.5: it got its first one
    assert_int_equal(plan(r, "server.4", NULL, NULL, version + 1, NULL), ZK_BADVERSION);
    assert_int_equal(plan(r, "server.4", NULL, NULL, version, NULL), ZK_BADARGUMENTS);
    assert_int_equal(plan(r, NULL, "3", NULL, version, NULL), ZK_OK);
    nrig_free(&r);
}

static void a_whole_membership_replaces_all(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, RECONFIG);
    struct members *m;
    nrig_lead(r, 2);
    assert_int_equal(plan(r, NULL, NULL,
                          "server.1=h1:2001:3001:participant;2181,"
                          "server.2=h2:2002:3002:participant;2181\nversion=5",
                          -1, &m),
                     ZK_OK);
    assert_int_equal(m->n, 2);
    assert_int_equal(m->version, leader_next_zxid(r->n->leader));
    members_free(&m);
    assert_int_equal(plan(r, NULL, NULL, "server.1=h1:2001:3001", -1, NULL), ZK_BADARGUMENTS);
    assert_int_equal(plan(r, NULL, NULL, "hello", -1, NULL), ZK_BADARGUMENTS);
    nrig_free(&r);
}

static void groups_change_as_a_whole_only(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, RECONFIG "group.1=1:2:3\n");
    nrig_lead(r, 2);
    assert_int_equal(plan(r, NULL, "3", NULL, -1, NULL), ZK_BADARGUMENTS);
    nrig_free(&r);
}

static void expect_said(struct nrig *r, int64_t sid, int64_t version)
{
    struct note n, last = {0};
    struct members *m;
    while (nrig_next_note(r, sid, &n)) {
        last = n;
    }
    assert_non_null(last.config.p);
    assert_int_equal(members_parse(last.config, &m), ERR_OK);
    assert_int_equal(m->version, version);
    members_free(&m);
}

// ---- on its way ---------------------------------------------------------------------------------

static const struct auth nobody = {NULL, 0};

static int64_t propose(struct nrig *r, const char *joining, const char *leaving)
{
    struct buf b = {0};
    struct reconfig_request q = {joining ? slice_str(joining) : SLICE_NULL,
                                 leaving ? slice_str(leaving) : SLICE_NULL, SLICE_NULL, -1};
    int64_t zxid = leader_next_zxid(r->n->leader);
    jute_put_record(&b, &record_reconfig_request, &q);
    request_propose(
        r->n, &(struct prep_request){.op = OP_RECONFIG, .body = buf_slice(&b), .auth = &nobody}, 1);
    buf_fini(&b);
    node_turn(r->n);
    nrig_go(r);
    return zxid;
}

static void another_one_in_progress(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, RECONFIG);
    nrig_lead(r, 2);
    propose(r, NULL, "3");
    // Before the version and the text.
    assert_int_equal(plan(r, "server.4", NULL, NULL, 99, NULL), ZK_RECONFIGINPROGRESS);
    nrig_free(&r);
}

static void it_is_proposed_committed_and_written(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, RECONFIG);
    struct qpacket k;
    struct activation a;
    char path[64];
    uint32_t conn = nrig_lead(r, 2);
    int64_t zxid = propose(r, NULL, "3");
    nrig_expect(r, conn, QPACKET_PROPOSAL, &k);
    assert_int_equal(k.zxid, zxid);
    assert_int_equal(ensemble_last_seen(r->n)->version, zxid);
    assert_int_not_equal(r->n->ens->committed->version, zxid);
    assert_non_null(fake_env_peek(r->f, "/conf/zoo.cfg.dynamic.next").p);
    nrig_send(r, conn, QPACKET_ACK, zxid, SLICE_NULL);
    nrig_expect(r, conn, QPACKET_COMMITANDACTIVATE, &k);
    assert_int_equal(qpacket_get(k.data, &record_activation, &a, NULL), ERR_OK);
    assert_int_equal(a.designated_leader, 1);
    assert_int_equal(r->n->ens->committed->version, zxid);
    assert_int_equal(r->n->run, RUN_LEADING);
    assert_true(r->n->serving);
    snprintf(path, sizeof(path), "/conf/zoo.cfg.dynamic.%llx", (unsigned long long)zxid);
    assert_non_null(fake_env_peek(r->f, path).p);
    assert_null(fake_env_peek(r->f, "/conf/zoo.cfg.dynamic.next").p);
    nrig_note(r, 3, (struct note){.leader = 3}); // whoever asks now hears of it
    expect_said(r, 3, zxid);
    nrig_free(&r);
}

// 17: what is not committed is not said to be established.
static void newleader_tells_what_is_committed(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, RECONFIG);
    struct qpacket k;
    struct members *m;
    struct ack_epoch ack = {0};
    nrig_lead(r, 2);
    int64_t committed = r->n->ens->committed->version;
    int64_t zxid = propose(r, "server.4=h4:2004:3004:observer;2181", NULL);
    assert_int_equal(ensemble_last_seen(r->n)->version, zxid);
    uint32_t conn = nrig_accept(r, NRIG_QUORUM + 1);
    nrig_info(r, conn, QPACKET_FOLLOWERINFO, 3);
    nrig_expect(r, conn, QPACKET_LEADERINFO, NULL);
    nrig_send_record(r, conn, QPACKET_ACKEPOCH, zxid_of_epoch(1), &record_ack_epoch, &ack,
                     SLICE_NULL);
    bool proposed = false;
    while (nrig_next(r, conn, &k) && k.type != QPACKET_NEWLEADER) {
        proposed |= k.type == QPACKET_PROPOSAL && k.zxid == zxid;
    }
    assert_true(proposed);
    assert_int_equal(k.type, QPACKET_NEWLEADER);
    assert_int_equal(members_parse(k.data, &m), ERR_OK);
    assert_int_equal(m->version, committed);
    members_free(&m);
    nrig_free(&r);
}

static void the_leader_that_leaves_hands_over_first(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, RECONFIG);
    struct qpacket k;
    struct activation a;
    uint32_t two = nrig_lead(r, 2);
    uint32_t three = nrig_learner(r, 3, false, 0);
    int64_t zxid = propose(r, NULL, "1");
    nrig_send(r, two, QPACKET_ACK, zxid, SLICE_NULL);
    nrig_send(r, three, QPACKET_ACK, zxid, SLICE_NULL);
    uint32_t conns[] = {two, three};
    int64_t named = 0;
    for (int i = 0; i < 2; i++) { // it left before the connection ended
        nrig_expect(r, conns[i], QPACKET_PROPOSAL, NULL);
        nrig_expect(r, conns[i], QPACKET_COMMITANDACTIVATE, &k);
        assert_int_equal(qpacket_get(k.data, &record_activation, &a, NULL), ERR_OK);
        assert_true(a.designated_leader == 2 || a.designated_leader == 3);
        assert_false(nrig_open(r, conns[i]));
        named = a.designated_leader;
    }
    assert_int_equal(r->n->run, RUN_FOLLOWING); // of the new one, without an election
    assert_int_equal(r->n->ens->leader, named);
    assert_non_null(fake_net_dial(&r->f->net, (uint16_t)(NRIG_QUORUM + named)));
    nrig_free(&r);
}

// ---- from other servers -------------------------------------------------------------------------

#define THREE                                                                \
    "server.1=h1:2001:3001:participant\nserver.2=h2:2002:3002:participant\n" \
    "server.3=h3:2003:3003:participant\n"

static void a_newer_membership_is_adopted_while_looking(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, RECONFIG);
    struct note n = {.leader = 3};
    n.config = SLICE_LIT(THREE "server.4=h4:2004:3004:participant\nversion=100000007");
    nrig_note(r, 2, n);
    nrig_pass(r, 10);
    assert_int_equal(r->n->ens->committed->version, 0x100000007);
    assert_int_equal(r->n->ens->committed->voters_n, 4);
    assert_int_equal(r->n->run, RUN_LOOKING);
    assert_int_equal(r->n->ens->elections, 2); // the votes of the other ensemble do not count
    assert_true(fake_env_logged(r->f, "the membership changed"));
    assert_non_null(fake_env_peek(r->f, "/conf/zoo.cfg.dynamic.100000007").p);
    nrig_free(&r);
}

// The committed one is only newer, but another one, which had not become it, is dropped by that.
static void adopting_drops_what_never_committed(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, RECONFIG);
    struct members *m;
    struct note n = {.leader = 3, .config = SLICE_LIT(THREE "version=100000007")};
    assert_int_equal(members_parse(SLICE_LIT(THREE "server.4=h4:2004:3004\nversion=100000005"), &m),
                     ERR_OK);
    reconfig_seen(r->n, m);
    assert_ptr_equal(ensemble_last_seen(r->n), m);
    nrig_note(r, 2, n);
    nrig_pass(r, 10);
    assert_null(r->n->ens->last_seen);
    assert_int_equal(r->n->ens->committed->version, 0x100000007);
    assert_int_equal(r->n->ens->elections, 2); // other voters than before decide
    nrig_vote_conn(r, 2);
    nrig_note(r, 2, n);
    expect_said(r, 2, 0x100000007);
    nrig_free(&r);
}

static void without_reconfigurations_nothing_is_adopted(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    struct note n = {.leader = 3, .config = SLICE_LIT(THREE "version=100000007")};
    nrig_note(r, 2, n);
    nrig_pass(r, 10);
    assert_int_equal(r->n->ens->committed->version, 0);
    nrig_free(&r);
}

// What the leader has only proposed is seen, but not established when the follower serves.
static void a_follower_activates_what_newleader_said(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, RECONFIG);
    struct buf b = {0};
    struct txn t = {.hdr = {1, 1, zxid_of_epoch(1) + 1, 1, OP_RECONFIG}};
    struct leader_info info = {QPACKET_PROTOCOL};
    t.body.type = OP_RECONFIG;
    t.body.set_data = (struct set_data_txn){
        SLICE_LIT("/zookeeper/config"),
        SLICE_LIT(THREE "server.4=h4:2004:3004:participant;2181\nversion=100000001"), -1};
    txn_encode(&b, &t);
    nrig_elect(r, 3);
    uint32_t conn = nrig_dialed(r, NRIG_QUORUM + 3);
    nrig_send_record(r, conn, QPACKET_LEADERINFO, zxid_of_epoch(1), &record_leader_info, &info,
                     SLICE_NULL);
    nrig_send(r, conn, QPACKET_DIFF, 0, SLICE_NULL);
    nrig_send(r, conn, QPACKET_PROPOSAL, t.hdr.zxid, buf_slice(&b));
    nrig_send(r, conn, QPACKET_NEWLEADER, zxid_of_epoch(1), SLICE_LIT(THREE "version=100000000"));
    nrig_send(r, conn, QPACKET_UPTODATE, 0, SLICE_NULL);
    assert_true(r->n->serving);
    assert_int_equal(r->n->ens->committed->version, 0x100000000);
    assert_int_equal(ensemble_last_seen(r->n)->version, 0x100000001);
    struct activation a = {3};
    nrig_send_record(r, conn, QPACKET_COMMITANDACTIVATE, t.hdr.zxid, &record_activation, &a,
                     SLICE_NULL);
    assert_int_equal(r->n->ens->committed->version, 0x100000001);
    assert_int_equal(r->n->ens->committed->voters_n, 4);
    assert_int_equal(r->n->run, RUN_FOLLOWING);
    buf_fini(&b);
    nrig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_are_no_request),
        cmocka_unit_test(what_is_wrong_with_an_incremental_one),
        cmocka_unit_test(the_version_is_checked_before_the_text),
        cmocka_unit_test(a_whole_membership_replaces_all),
        cmocka_unit_test(groups_change_as_a_whole_only),
        cmocka_unit_test(another_one_in_progress),
        cmocka_unit_test(it_is_proposed_committed_and_written),
        cmocka_unit_test(newleader_tells_what_is_committed),
        cmocka_unit_test(the_leader_that_leaves_hands_over_first),
        cmocka_unit_test(a_newer_membership_is_adopted_while_looking),
        cmocka_unit_test(adopting_drops_what_never_committed),
        cmocka_unit_test(without_reconfigurations_nothing_is_adopted),
        cmocka_unit_test(a_follower_activates_what_newleader_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
