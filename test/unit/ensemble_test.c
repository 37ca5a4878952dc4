// SPDX-License-Identifier: Apache-2.0
//
// From an election to a role and back, on a whole server whose peers the test plays.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/disk_kit.h"
#include "test/support/node_rig.h"

// What a role had is gone: no connection, port, dial or feed of it.
static void expect_nothing_left(struct nrig *r)
{
    uint32_t listener;
    assert_null(r->n->ens->peers.first);
    assert_false(r->n->ens->listening);
    assert_false(
        fake_net_listener(&r->f->net, (uint16_t)(NRIG_QUORUM + r->n->ens->sid), &listener));
    for (int i = 1; i <= 5; i++) {
        assert_null(fake_net_dial(&r->f->net, (uint16_t)(NRIG_QUORUM + i)));
    }
    assert_int_equal(r->n->ens->dial, 0);
    assert_int_equal(r->n->ens->dial_again.ns, 0);
    assert_null(r->n->leader);
    assert_null(r->n->learner);
    assert_int_equal(r->n->open_n, 0);
}

static void it_leads_and_leaves_nothing(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    assert_int_equal(r->n->run, RUN_LOOKING);
    uint32_t conn = nrig_lead(r, 2);
    assert_true(nrig_open(r, conn));
    nrig_hang_up(r, conn); // no quorum
    nrig_pass(r, 2 * NRIG_TICK_MS);
    assert_int_equal(r->n->run, RUN_LOOKING);
    expect_nothing_left(r);
    nrig_free(&r);
}

static void it_follows_and_leaves_nothing(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    uint32_t conn = nrig_follow(r, 3);
    assert_int_equal(r->n->run, RUN_FOLLOWING);
    nrig_hang_up(r, conn);
    assert_int_equal(r->n->run, RUN_LOOKING);
    expect_nothing_left(r);
    nrig_free(&r);
}

// ---- a leader that cannot be reached ------------------------------------------------------------

// Refuses every dial until the role ends; how long that took.
static int64_t refuse(struct nrig *r, int64_t leader, int *dials)
{
    struct mono begun = r->f->env.now;
    *dials = 0;
    nrig_elect(r, leader);
    assert_int_equal(r->n->run, RUN_FOLLOWING);
    while (r->n->run == RUN_FOLLOWING) {
        if (fake_net_dial(&r->f->net, (uint16_t)(NRIG_QUORUM + leader))) {
            nrig_refuse(r, (uint16_t)(NRIG_QUORUM + leader));
            ++*dials;
        }
        nrig_pass(r, 5);
    }
    return mono_diff_ms(r->f->env.now, begun) - 250; // of the election
}

static void who_is_refused_gives_up_within_a_second(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, "initLimit=100\n");
    int dials;
    int64_t ms = refuse(r, 3, &dials);
    assert_in_range(ms, 900, 1200);
    assert_in_range(dials, 8, 30); // with pauses that grow
    expect_nothing_left(r);
    nrig_free(&r);
}

static void roles_that_never_serve_come_less_often(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    int dials;
    refuse(r, 3, &dials);
    assert_int_equal(r->n->run, RUN_LOOKING); // the first time at once
    refuse(r, 3, &dials);
    assert_int_equal(r->n->ens->failures, 2);
    assert_int_equal(r->n->run, RUN_SETTLING);
    nrig_pass(r, 50);
    assert_int_equal(r->n->run, RUN_LOOKING);
    nrig_follow(r, 3);
    nrig_hang_up(r, r->n->ens->peers.first->conn);
    assert_int_equal(r->n->ens->failures, 0);
    nrig_free(&r);
}

static void a_dial_is_forgotten_with_its_role(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    nrig_elect(r, 3);
    assert_non_null(fake_net_dial(&r->f->net, NRIG_QUORUM + 3));
    ensemble_leave(r->n);
    expect_nothing_left(r);
    assert_int_equal(r->n->run, RUN_GONE);
    assert_int_equal(fake_net_dials(&r->f->net), 0);
    nrig_free(&r);
}

// ---- who may connect ----------------------------------------------------------------------------

static void strangers_are_cut_off(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    uint32_t good = nrig_lead(r, 2);
    uint32_t a = nrig_accept(r, NRIG_QUORUM + 1);
    nrig_send(r, a, QPACKET_ACK, 1, SLICE_NULL); // says nothing of itself
    assert_false(nrig_open(r, a));
    uint32_t b = nrig_accept(r, NRIG_QUORUM + 1);
    nrig_info(r, b, QPACKET_FOLLOWERINFO, 1); // says that it is this server
    assert_false(nrig_open(r, b));
    uint32_t c = nrig_accept(r, NRIG_QUORUM + 1);
    nrig_put(r, c, SLICE_LIT("GET / HTTP/1.1\r\nHost: reeve\r\n\r\n"));
    assert_false(nrig_open(r, c));
    uint32_t d = nrig_accept(r, NRIG_QUORUM + 1); // says nothing at all
    for (int i = 0; i < 30; i++) {
        nrig_send(r, good, QPACKET_PING, 0, SLICE_LIT(""));
        nrig_pass(r, NRIG_TICK_MS / 2);
    }
    assert_false(nrig_open(r, d));
    assert_true(nrig_open(r, good));
    assert_true(role_leads(r->n));
    nrig_free(&r);
}

static void the_newer_connection_of_a_server_counts(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    uint32_t old = nrig_lead(r, 2);
    uint32_t newer = nrig_learner(r, 2, false, 0);
    assert_false(nrig_open(r, old));
    assert_true(nrig_open(r, newer));
    nrig_pass(r, NRIG_TICK_MS / 2);
    assert_true(role_leads(r->n));
    nrig_free(&r);
}

static void a_packet_without_form_costs_the_connection(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    uint32_t conn = nrig_follow(r, 3);
    nrig_send(r, conn, QPACKET_PROPOSAL, zxid_of_epoch(1) + 1, SLICE_LIT("no transaction"));
    assert_false(nrig_open(r, conn));
    assert_int_equal(r->n->run, RUN_LOOKING);
    expect_nothing_left(r);
    nrig_free(&r);
}

// ---- a role ends while the disk works for it ----------------------------------------------------

static void put_txn(struct nrig *r, uint32_t conn, int64_t zxid)
{
    struct buf b = {0};
    dkit_entry(&b, zxid);
    nrig_send(r, conn, QPACKET_PROPOSAL, zxid, buf_slice(&b));
    nrig_send(r, conn, QPACKET_COMMIT, zxid, SLICE_NULL);
    buf_fini(&b);
}

// Follows server 3 with transactions up to 0x100000000 + n, and leaves.
static void fill(struct nrig *r, int n)
{
    uint32_t conn = nrig_follow(r, 3);
    for (int i = 1; i <= n; i++) {
        put_txn(r, conn, zxid_of_epoch(1) + i);
    }
    assert_int_equal(tree_zxid(r->n->tree), zxid_of_epoch(1) + n);
    nrig_hang_up(r, conn);
    assert_int_equal(r->n->run, RUN_LOOKING);
}

// As far as LEADERINFO and its answer.
static uint32_t begin_sync(struct nrig *r)
{
    struct leader_info info = {QPACKET_PROTOCOL};
    nrig_elect(r, 3);
    uint32_t conn = nrig_dialed(r, NRIG_QUORUM + 3);
    nrig_send_record(r, conn, QPACKET_LEADERINFO, zxid_of_epoch(2), &record_leader_info, &info,
                     SLICE_NULL);
    nrig_expect(r, conn, QPACKET_FOLLOWERINFO, NULL);
    nrig_expect(r, conn, QPACKET_ACKEPOCH, NULL);
    return conn;
}

static void a_cut_of_the_log_is_finished_before_the_next_election(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    fill(r, 4);
    uint32_t conn = begin_sync(r);
    r->hold_jobs = true;
    nrig_send(r, conn, QPACKET_TRUNC, zxid_of_epoch(1) + 2, SLICE_NULL);
    nrig_hang_up(r, conn);
    nrig_pass(r, 300);
    assert_int_equal(r->n->run, RUN_SETTLING);
    r->hold_jobs = false;
    nrig_go(r);
    nrig_pass(r, 50);
    assert_int_equal(r->n->run, RUN_LOOKING);
    assert_int_equal(tree_zxid(r->n->tree), zxid_of_epoch(1) + 2);
    expect_nothing_left(r);
    nrig_free(&r);
}

static void a_snapshot_is_in_or_out_before_the_next_election(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    struct buf body = {0}, file = {0};
    struct tree *other = dkit_tree(&r->f->env.log);
    fill(r, 2);
    dkit_snapshot(other, &file); // on the wire it is without the file's header and seal
    buf_put_slice(&body, slice_of(file.p + 16, file.n - 16 - 13));
    qpacket_put_signature(&body);
    buf_fini(&file);
    tree_free(&other);
    for (int whole = 0; whole < 2; whole++) {
        uint32_t conn = begin_sync(r);
        r->hold_jobs = true;
        nrig_send(r, conn, QPACKET_SNAP, zxid_of_epoch(1) + 9, SLICE_NULL);
        nrig_put(r, conn, slice_of(body.p, whole ? body.n : body.n / 2));
        nrig_hang_up(r, conn);
        nrig_pass(r, 300);
        r->hold_jobs = false;
        nrig_go(r);
        nrig_pass(r, 50);
        assert_int_equal(r->n->run, RUN_LOOKING);
        assert_int_equal(tree_zxid(r->n->tree), zxid_of_epoch(1) + (whole ? 9 : 2));
        expect_nothing_left(r);
    }
    buf_fini(&body);
    nrig_free(&r);
}

// Every move between roles goes through SETTLING.
static void the_moves_of_a_life(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    nrig_hang_up(r, nrig_follow(r, 3));
    nrig_hang_up(r, nrig_lead(r, 2));
    nrig_pass(r, 500);
    ensemble_leave(r->n);
    static const char *const moves[] = {"settling -> looking",   "looking -> following",
                                        "following -> settling", "looking -> leading",
                                        "leading -> settling",   "looking -> gone"};
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        assert_true(fake_env_logged(r->f, moves[i]));
    }
    assert_false(fake_env_logged(r->f, "following -> looking"));
    assert_false(fake_env_logged(r->f, "leading -> looking"));
    nrig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_leads_and_leaves_nothing),
        cmocka_unit_test(it_follows_and_leaves_nothing),
        cmocka_unit_test(who_is_refused_gives_up_within_a_second),
        cmocka_unit_test(roles_that_never_serve_come_less_often),
        cmocka_unit_test(a_dial_is_forgotten_with_its_role),
        cmocka_unit_test(strangers_are_cut_off),
        cmocka_unit_test(the_newer_connection_of_a_server_counts),
        cmocka_unit_test(a_packet_without_form_costs_the_connection),
        cmocka_unit_test(a_cut_of_the_log_is_finished_before_the_next_election),
        cmocka_unit_test(a_snapshot_is_in_or_out_before_the_next_election),
        cmocka_unit_test(the_moves_of_a_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
