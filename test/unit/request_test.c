// SPDX-License-Identifier: Apache-2.0
//
// What clients and learners ask, on a leader and on a follower.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/endian.h"
#include "test/support/node_rig.h"
#include "test/support/serve_rig.h"

enum { SESSION = 0x2001 };

// A learner passes on what a client of it asks.
static void put_request(struct nrig *r, uint32_t conn, int64_t session, int32_t cxid, int32_t op,
                        struct slice body)
{
    struct buf b = {0};
    struct id_vec ids = {NULL, -1};
    qpacket_put_request(&b, &(struct learner_request){session, cxid, op}, body, &ids);
    nrig_put(r, conn, buf_slice(&b));
    buf_fini(&b);
}

static struct txn expect_proposal(struct nrig *r, uint32_t conn)
{
    struct qpacket k;
    struct txn t;
    nrig_expect(r, conn, QPACKET_PROPOSAL, &k);
    assert_int_equal(txn_decode(k.data, 1 << 20, &r->arena, &t), ERR_OK);
    nrig_send(r, conn, QPACKET_ACK, k.zxid, SLICE_NULL);
    nrig_expect(r, conn, QPACKET_COMMIT, NULL);
    return t;
}

static void make_session(struct nrig *r, uint32_t conn)
{
    static const uint8_t ten_seconds[] = {0, 0, 0x27, 0x10};
    put_request(r, conn, SESSION, 0, OP_CREATE_SESSION, slice_of(ten_seconds, 4));
    struct txn t = expect_proposal(r, conn);
    assert_int_equal(t.hdr.type, OP_CREATE_SESSION);
    assert_int_equal(t.hdr.client_id, SESSION);
}

static void put_delete(struct nrig *r, uint32_t conn, int32_t cxid)
{
    struct buf b = {0};
    rig_put_delete(&b, cxid, "/nothing");
    put_request(r, conn, SESSION, cxid, OP_DELETE, slice_skip(buf_slice(&b), 12));
    buf_fini(&b);
}

static struct revalidate_answer revalidate(struct nrig *r, uint32_t conn, int64_t session)
{
    struct session_touch ask = {session, 10000};
    struct revalidate_answer a;
    struct qpacket k;
    nrig_send_record(r, conn, QPACKET_REVALIDATE, -1, &record_session_touch, &ask, SLICE_NULL);
    nrig_expect(r, conn, QPACKET_REVALIDATE, &k);
    assert_int_equal(qpacket_get(k.data, &record_revalidate_answer, &a, NULL), ERR_OK);
    assert_int_equal(a.session_id, session);
    return a;
}

static void only_where_a_session_is_may_speak_for_it(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    uint32_t two = nrig_lead(r, 2);
    uint32_t three = nrig_learner(r, 3, false, 0);
    make_session(r, two);
    put_delete(r, two, 1); // belongs to 2 from here on
    assert_int_equal(expect_proposal(r, two).body.error.err, ZK_NONODE);
    assert_true(revalidate(r, two, SESSION).valid);
    nrig_expect(r, three, QPACKET_PROPOSAL, NULL);
    nrig_expect(r, three, QPACKET_COMMIT, NULL);
    nrig_expect(r, three, QPACKET_PROPOSAL, NULL);
    nrig_expect(r, three, QPACKET_COMMIT, NULL);
    assert_true(revalidate(r, three, SESSION).valid); // it moves
    put_delete(r, two, 2);
    assert_int_equal(expect_proposal(r, two).body.error.err, ZK_SESSIONMOVED);
    nrig_expect(r, three, QPACKET_PROPOSAL, NULL);
    nrig_expect(r, three, QPACKET_COMMIT, NULL);
    put_delete(r, three, 3);
    assert_int_equal(expect_proposal(r, three).body.error.err, ZK_NONODE);
    nrig_free(&r);
}

static void nobody_knows_this_session(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    uint32_t two = nrig_lead(r, 2);
    assert_false(revalidate(r, two, 77).valid);
    nrig_free(&r);
}

static void sessions_that_are_touched_live_on(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, "minSessionTimeout=1000\n");
    struct buf touches = {0};
    uint32_t two = nrig_lead(r, 2);
    make_session(r, two);
    qpacket_put_touch(&touches, SESSION, 10000);
    for (int i = 0; i < 150; i++) { // 15 s
        nrig_send(r, two, QPACKET_PING, 0, buf_slice(&touches));
        nrig_pass(r, 100);
    }
    assert_true(expiry_has(r->n->expiry, SESSION, NULL));
    for (int i = 0; i < 150 && !pending_session_is_closing(r->n->pending, SESSION); i++) {
        nrig_send(r, two, QPACKET_PING, 0, SLICE_LIT(""));
        nrig_pass(r, 100);
    }
    assert_int_equal(expect_proposal(r, two).hdr.type, OP_CLOSE_SESSION);
    assert_false(expiry_has(r->n->expiry, SESSION, NULL));
    buf_fini(&touches);
    nrig_free(&r);
}

// ---- a follower ---------------------------------------------------------------------------------

static void expect_behind_acks(struct nrig *r, uint32_t conn, enum qpacket_type type,
                               struct qpacket *k)
{
    while (nrig_next(r, conn, k) && k->type == QPACKET_ACK) {
    }
    assert_int_equal(k->type, type);
}

static struct learner_request expect_request(struct nrig *r, uint32_t conn, struct slice *body)
{
    struct qpacket k;
    struct learner_request q;
    expect_behind_acks(r, conn, QPACKET_REQUEST, &k);
    assert_int_equal(qpacket_get(k.data, &record_learner_request, &q, body), ERR_OK);
    return q;
}

static void commit(struct nrig *r, uint32_t leader, struct txn *t)
{
    struct buf b = {0};
    t->body.type = t->hdr.type;
    txn_encode(&b, t);
    nrig_send(r, leader, QPACKET_PROPOSAL, t->hdr.zxid, buf_slice(&b));
    nrig_send(r, leader, QPACKET_COMMIT, t->hdr.zxid, SLICE_NULL);
    buf_fini(&b);
}

// A client of the follower, its session made by the leader.
static uint32_t client_of(struct nrig *r, uint32_t leader, int64_t *session)
{
    struct slice body;
    uint32_t client = nrig_client(r, 10000);
    assert_int_equal(nrig_sent(r, client).n, 0); // not before the leader has said so
    struct learner_request q = expect_request(r, leader, &body);
    assert_int_equal(q.type, OP_CREATE_SESSION);
    struct txn t = {.hdr = {q.session_id, q.cxid, zxid_of_epoch(1) + 1, 1, OP_CREATE_SESSION}};
    t.body.create_session.timeout_ms = 10000;
    commit(r, leader, &t);
    assert_int_equal(nrig_sent(r, client).n, 41);
    r->f->net.conns[client].read += 41;
    *session = q.session_id;
    return client;
}

static int32_t next_xid(struct nrig *r, uint32_t client)
{
    struct slice s = nrig_sent(r, client);
    if (s.n < 20) {
        return 0;
    }
    r->f->net.conns[client].read += be32_get(s.p) + 4;
    return (int32_t)be32_get(s.p + 4);
}

static void writes_go_to_the_leader_and_come_back_committed(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    struct buf b = {0};
    struct slice body;
    int64_t session;
    uint32_t leader = nrig_follow(r, 3), client = client_of(r, leader, &session);
    rig_put_delete(&b, 5, "/nothing");
    nrig_put(r, client, buf_slice(&b));
    struct learner_request q = expect_request(r, leader, &body);
    assert_int_equal(q.type, OP_DELETE);
    assert_int_equal(q.session_id, session);
    assert_int_equal(q.cxid, 5);
    assert_true(slice_eq(body, slice_skip(buf_slice(&b), 12))); // as it came
    assert_int_equal(next_xid(r, client), 0);
    struct txn t = {.hdr = {session, 5, zxid_of_epoch(1) + 2, 1, OP_ERROR}};
    t.body.error.err = ZK_NONODE;
    commit(r, leader, &t);
    assert_int_equal(next_xid(r, client), 5);
    buf_fini(&b);
    nrig_free(&r);
}

static void syncs_are_answered_in_their_order(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    struct buf b = {0};
    int64_t session;
    uint32_t leader = nrig_follow(r, 3), client = client_of(r, leader, &session);
    rig_put_path(&b, 5, OP_SYNC, "/");
    rig_put_path(&b, 6, OP_SYNC, "/");
    nrig_put(r, client, buf_slice(&b));
    assert_int_equal(expect_request(r, leader, NULL).cxid, 5);
    assert_int_equal(expect_request(r, leader, NULL).cxid, 6);
    nrig_send(r, leader, QPACKET_SYNC, 0, SLICE_NULL);
    assert_int_equal(next_xid(r, client), 5);
    assert_int_equal(next_xid(r, client), 0);
    nrig_send(r, leader, QPACKET_SYNC, 0, SLICE_NULL);
    assert_int_equal(next_xid(r, client), 6);
    nrig_send(r, leader, QPACKET_SYNC, 0, SLICE_NULL); // nobody asked
    assert_int_equal(next_xid(r, client), 0);
    assert_true(nrig_open(r, client));
    buf_fini(&b);
    nrig_free(&r);
}

static void pings_carry_who_was_heard_of(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    struct buf b = {0};
    struct qpacket k;
    size_t n;
    int64_t session;
    uint32_t leader = nrig_follow(r, 3), client = client_of(r, leader, &session);
    rig_put_head(&b, -2, OP_PING);
    nrig_put(r, client, buf_slice(&b));
    nrig_send(r, leader, QPACKET_PING, 9, SLICE_NULL);
    expect_behind_acks(r, leader, QPACKET_PING, &k);
    assert_int_equal(k.zxid, 9);
    assert_int_equal(qpacket_get_touches(k.data, &n), ERR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(qpacket_touch(k.data, 0).session_id, session);
    nrig_send(r, leader, QPACKET_PING, 10, SLICE_NULL); // told once
    expect_behind_acks(r, leader, QPACKET_PING, &k);
    assert_int_equal(qpacket_get_touches(k.data, &n), ERR_OK);
    assert_int_equal(n, 0);
    buf_fini(&b);
    nrig_free(&r);
}

static void what_was_asked_is_forgotten_with_the_role(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    struct buf b = {0};
    int64_t session;
    uint32_t leader = nrig_follow(r, 3), client = client_of(r, leader, &session);
    rig_put_path(&b, 5, OP_SYNC, "/");
    nrig_put(r, client, buf_slice(&b));
    assert_int_equal(r->n->ens->syncs_n, 1);
    nrig_hang_up(r, leader);
    assert_int_equal(r->n->ens->syncs_n, 0);
    assert_false(nrig_open(r, client)); // it asks another server
    buf_fini(&b);
    nrig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_where_a_session_is_may_speak_for_it),
        cmocka_unit_test(nobody_knows_this_session),
        cmocka_unit_test(sessions_that_are_touched_live_on),
        cmocka_unit_test(writes_go_to_the_leader_and_come_back_committed),
        cmocka_unit_test(syncs_are_answered_in_their_order),
        cmocka_unit_test(pings_carry_who_was_heard_of),
        cmocka_unit_test(what_was_asked_is_forgotten_with_the_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
