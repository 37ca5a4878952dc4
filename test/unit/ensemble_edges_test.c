// SPDX-License-Identifier: Apache-2.0
//
// The edges of roles, on a whole server whose peers the test plays: readers that are served while
// there is no leader, a leader that is left before it has an epoch, the zxid that a new epoch
// stands for, and a membership that only the log knows when the server starts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/endian.h"
#include "test/support/node_rig.h"
#include "test/support/serve_rig.h"

enum { ANSWER_LEN = 41, ANSWER_READ_ONLY = 40 };

// ---- reading without a leader -------------------------------------------------------------------

static uint32_t reader(struct nrig *r)
{
    struct buf b = {0};
    uint32_t conn = nrig_accept(r, NRIG_CLIENTS);
    rig_put_renew(&b, 0, true);
    nrig_put(r, conn, buf_slice(&b));
    buf_fini(&b);
    return conn;
}

static bool reads_only(struct nrig *r, uint32_t conn)
{
    struct slice sent = nrig_sent(r, conn);
    return sent.n == ANSWER_LEN && be64_get(sent.p + 12) != 0 && sent.p[ANSWER_READ_ONLY] == 1;
}

static void without_a_leader_readers_are_served(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, "readonlymode.enabled=true\n");
    nrig_pass(r, 1900);
    uint32_t early = reader(r);
    uint32_t writer = nrig_client(r, 10000);
    nrig_pass(r, 50);
    assert_int_equal(nrig_sent(r, early).n, 0); // an election may take that long
    assert_true(nrig_open(r, writer));
    nrig_pass(r, NRIG_TICK_MS);
    assert_true(reads_only(r, early));
    assert_false(nrig_open(r, writer));
    uint32_t late = reader(r);
    assert_true(reads_only(r, late));
    nrig_elect(r, 3);
    assert_int_equal(r->n->run, RUN_FOLLOWING);
    assert_false(r->n->serving);
    assert_false(nrig_open(r, early)); // with the role that begins
    assert_false(nrig_open(r, late));
    nrig_free(&r);
}

static void a_long_tick_delays_readers(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, "readonlymode.enabled=true\ntickTime=3000\n");
    nrig_pass(r, 2500);
    uint32_t conn = reader(r);
    nrig_pass(r, 400);
    assert_int_equal(nrig_sent(r, conn).n, 0);
    nrig_pass(r, 3000); // the next tick
    assert_true(reads_only(r, conn));
    nrig_free(&r);
}

static void who_was_not_told_to_serves_no_readers(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    uint32_t conn = reader(r);
    nrig_pass(r, 10000);
    assert_false(nrig_open(r, conn));
    assert_int_equal(nrig_sent(r, reader(r)).n, 0);
    nrig_free(&r);
}

// A leader or follower that lost its role begins to wait anew.
static void every_election_has_its_time(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, "readonlymode.enabled=true\n");
    nrig_pass(r, 1500);
    nrig_hang_up(r, nrig_follow(r, 3));
    assert_int_equal(r->n->run, RUN_LOOKING);
    nrig_pass(r, 1500);
    uint32_t conn = reader(r);
    assert_int_equal(nrig_sent(r, conn).n, 0);
    nrig_pass(r, 500 + NRIG_TICK_MS);
    assert_true(reads_only(r, conn));
    nrig_free(&r);
}

// ---- a leader without followers -----------------------------------------------------------------

// Elected by all at once; nobody has come to it yet.
static struct nrig *elected(const char *lines)
{
    struct nrig *r = nrig_new(1, 3, 0, lines);
    for (int64_t sid = 2; sid <= 3; sid++) {
        nrig_note(r, sid, (struct note){.leader = 1, .zxid = 0, .peer_epoch = 0});
    }
    for (int i = 0; i < 250 && r->n->run != RUN_LEADING; i++) {
        nrig_pass(r, 1);
    }
    assert_int_equal(r->n->run, RUN_LEADING);
    assert_false(r->n->serving);
    return r;
}

// A voter looks for another leader, in a round of its own, when the role is so old.
static void look_again(struct nrig *r, int64_t sid, int64_t role_ms)
{
    int64_t since = mono_diff_ms(r->f->env.now, r->n->ens->role_since);
    assert_in_range(since, 0, role_ms);
    nrig_pass(r, role_ms - since);
    nrig_note(r, sid,
              (struct note){.leader = sid, .election_epoch = 2, .zxid = 0, .peer_epoch = 0});
}

static bool was_left(const struct nrig *r)
{
    return fake_env_logged(r->f, "its voters look for another leader");
}

static void a_leader_whose_voters_look_again_gives_up(void **state)
{
    (void)state;
    struct nrig *r = elected(NULL);
    look_again(r, 2, NRIG_TICK_MS / 2);
    assert_int_equal(r->n->run, RUN_LEADING); // it may be a word from before
    look_again(r, 2, NRIG_TICK_MS);
    assert_int_equal(r->n->run, RUN_LEADING);
    look_again(r, 2, NRIG_TICK_MS + 1);
    assert_int_not_equal(r->n->run, RUN_LEADING);
    assert_true(was_left(r));
    nrig_free(&r);
}

static void the_patience_may_be_set(void **state)
{
    (void)state;
    struct nrig *r = elected("leader.maxTimeToWaitForEpoch=1000\n");
    look_again(r, 2, 900);
    assert_int_equal(r->n->run, RUN_LEADING);
    look_again(r, 2, 1001);
    assert_int_not_equal(r->n->run, RUN_LEADING);
    assert_true(was_left(r));
    nrig_free(&r);
}

// Whoever else looks, with a quorum there this role may still come to something.
static void a_leader_with_a_quorum_stays(void **state)
{
    (void)state;
    struct nrig *r = elected(NULL);
    nrig_accept(r, NRIG_QUORUM + 1);
    look_again(r, 3, NRIG_TICK_MS + 1); // who has not said its name does not count
    assert_int_not_equal(r->n->run, RUN_LEADING);
    assert_true(was_left(r));
    nrig_free(&r);

    r = elected(NULL);
    uint32_t conn = nrig_accept(r, NRIG_QUORUM + 1);
    nrig_info(r, conn, QPACKET_FOLLOWERINFO, 2);
    look_again(r, 3, NRIG_TICK_MS + 1);
    assert_int_equal(r->n->run, RUN_LEADING);
    assert_false(was_left(r));
    nrig_free(&r);
}

// ---- the zxid of an epoch -----------------------------------------------------------------------

// Is a client taken that has seen this zxid?
static bool takes(struct nrig *r, int64_t last_zxid_seen)
{
    struct buf b = {0};
    uint32_t conn = nrig_accept(r, NRIG_CLIENTS);
    rig_put_connect(&b, 10000, 0, SLICE_NULL, true);
    be64_put(b.p + 8, (uint64_t)last_zxid_seen);
    nrig_put(r, conn, buf_slice(&b));
    buf_fini(&b);
    return nrig_open(r, conn);
}

// Apache's leaders tell their clients (e,0) before there is a first transaction.
static void clients_may_have_seen_the_begin_of_the_epoch(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    nrig_lead(r, 2);
    assert_int_equal(tree_zxid(r->n->tree), 0);
    assert_false(takes(r, zxid_of_epoch(1) + 1));
    assert_true(takes(r, zxid_of_epoch(1)));
    nrig_free(&r);

    r = nrig_new(1, 3, 0, NULL);
    uint32_t conn = nrig_follow(r, 3);
    assert_int_equal(tree_zxid(r->n->tree), 0);
    assert_false(takes(r, zxid_of_epoch(1) + 1));
    assert_true(takes(r, zxid_of_epoch(1)));
    nrig_hang_up(r, conn);
    nrig_follow(r, 3); // in the next one
    assert_false(takes(r, zxid_of_epoch(2) + 1));
    assert_true(takes(r, zxid_of_epoch(2)));
    nrig_free(&r);
}

// ---- a start ------------------------------------------------------------------------------------

// Stops, and starts on what it left; the files that begin like `lost` are gone.
static void restart(struct nrig *r, const char *lost)
{
    bool failed;
    struct env_event stop = {.type = ENV_STOP, .now = r->f->env.now, .wall = r->f->env.wall};
    node_step(r->n, &stop);
    node_turn(r->n);
    nrig_pass(r, 30000);
    assert_true(node_stopped(r->n, &failed));
    assert_false(failed);
    node_free(&r->n);
    memset(r->votes, 0, sizeof(r->votes));
    fake_env_reboot(r->f, false);
    crashdisk_lose(r->f->disk, lost);
    assert_int_equal(node_new(&r->f->env, &r->cfg, &r->n), ERR_OK);
    node_turn(r->n);
    nrig_go(r);
}

#define FOUR                                                                 \
    "server.1=h1:2001:3001:participant\nserver.2=h2:2002:3002:participant\n" \
    "server.3=h3:2003:3003:participant\nserver.4=h4:2004:3004:participant\n" \
    "version=100000001"

// A follower that has logged a change of the membership, and not heard that it has committed.
static struct nrig *proposed(const char *lines)
{
    struct nrig *r = nrig_new(1, 3, 0, lines);
    struct buf b = {0};
    struct txn t = {.hdr = {1, 1, zxid_of_epoch(1) + 1, 1, OP_RECONFIG}};
    t.body.type = OP_RECONFIG;
    t.body.set_data = (struct set_data_txn){SLICE_LIT("/zookeeper/config"), SLICE_LIT(FOUR), -1};
    txn_encode(&b, &t);
    uint32_t conn = nrig_follow(r, 3);
    nrig_send(r, conn, QPACKET_PROPOSAL, t.hdr.zxid, buf_slice(&b));
    nrig_expect(r, conn, QPACKET_ACK, NULL);
    buf_fini(&b);
    return r;
}

// The next file is written beside the log, and may have failed or be lost.
static void a_membership_in_the_log_counts_as_seen(void **state)
{
    (void)state;
    struct nrig *r = proposed("reconfigEnabled=true\n");
    restart(r, "/conf/zoo.cfg.dynamic");
    assert_int_equal(tree_zxid(r->n->tree), zxid_of_epoch(1) + 1);
    assert_int_equal(r->n->ens->committed->version, 0);
    assert_int_equal(r->n->ens->committed->voters_n, 3);
    assert_non_null(r->n->ens->last_seen);
    assert_int_equal(r->n->ens->last_seen->version, zxid_of_epoch(1) + 1);
    assert_int_equal(r->n->ens->last_seen->voters_n, 4);
    assert_non_null(fake_env_peek(r->f, "/conf/zoo.cfg.dynamic.next").p); // written again
    // Two of three are a quorum of the old one, but not of the new one.
    nrig_note(r, 2, (struct note){.leader = 2, .zxid = zxid_of_epoch(1) + 2, .peer_epoch = 1});
    nrig_pass(r, 500);
    assert_int_equal(r->n->run, RUN_LOOKING);
    nrig_note(r, 3, (struct note){.leader = 2, .zxid = zxid_of_epoch(1) + 2, .peer_epoch = 1});
    nrig_pass(r, 500);
    assert_int_equal(r->n->run, RUN_FOLLOWING);
    nrig_free(&r);
}

static void without_reconfigurations_the_log_decides_nothing(void **state)
{
    (void)state;
    struct nrig *r = proposed(NULL);
    restart(r, "/conf/zoo.cfg.dynamic");
    assert_null(r->n->ens->last_seen);
    nrig_note(r, 2, (struct note){.leader = 2, .zxid = zxid_of_epoch(1) + 2, .peer_epoch = 1});
    nrig_pass(r, 500);
    assert_int_equal(r->n->run, RUN_FOLLOWING);
    nrig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_leader_readers_are_served),
        cmocka_unit_test(a_long_tick_delays_readers),
        cmocka_unit_test(who_was_not_told_to_serves_no_readers),
        cmocka_unit_test(every_election_has_its_time),
        cmocka_unit_test(a_leader_whose_voters_look_again_gives_up),
        cmocka_unit_test(the_patience_may_be_set),
        cmocka_unit_test(a_leader_with_a_quorum_stays),
        cmocka_unit_test(clients_may_have_seen_the_begin_of_the_epoch),
        cmocka_unit_test(a_membership_in_the_log_counts_as_seen),
        cmocka_unit_test(without_reconfigurations_the_log_decides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
