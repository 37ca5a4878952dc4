// SPDX-License-Identifier: Apache-2.0
//
// What a leader gives from its disk: a snapshot larger than what may wait for a slow learner.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "limits.h"
#include "test/support/node_rig.h"
#include "test/support/serve_rig.h"

enum { NODES = 16, NODE_BYTES = 800 * 1000 };

static const struct auth nobody = {NULL, 0};

// A leader of several megabytes, its snapshot written, that gives nothing but snapshots.
static struct nrig *big_leader(uint32_t *two)
{
    struct nrig *r = nrig_new(1, 3, 0, "forceSnapshotSync=true\n");
    struct buf b = {0}, data = {0};
    char path[16];
    *two = nrig_lead(r, 2);
    buf_grow(&data, NODE_BYTES);
    memset(data.p, 'x', NODE_BYTES);
    data.n = NODE_BYTES;
    for (int i = 0; i < NODES; i++) {
        snprintf(path, sizeof(path), "/n%d", i);
        buf_clear(&b);
        rig_put_create(&b, i, OP_CREATE, path, buf_slice(&data), 0);
        struct prep_request q = {
            .op = OP_CREATE, .body = slice_skip(buf_slice(&b), 12), .auth = &nobody};
        request_propose(r->n, &q, 1);
        node_turn(r->n);
        nrig_go(r);
        nrig_send(r, *two, QPACKET_ACK, zxid_of_epoch(1) + 1 + i, SLICE_NULL);
    }
    assert_int_equal(tree_zxid(r->n->tree), zxid_of_epoch(1) + NODES);
    disk_snapshot_soon(r->n->disk);
    node_turn(r->n);
    nrig_go(r);
    buf_fini(&b);
    buf_fini(&data);
    return r;
}

// Server 3 has nothing and takes nothing: the snapshot begins.
static uint32_t slow_learner(struct nrig *r)
{
    struct ack_epoch ack = {0};
    uint32_t conn = nrig_accept(r, NRIG_QUORUM + 1);
    nrig_info(r, conn, QPACKET_FOLLOWERINFO, 3);
    nrig_expect(r, conn, QPACKET_LEADERINFO, NULL);
    nrig_slow(r, conn, true);
    nrig_send_record(r, conn, QPACKET_ACKEPOCH, 0, &record_ack_epoch, &ack, SLICE_NULL);
    nrig_expect(r, conn, QPACKET_SNAP, NULL);
    return conn;
}

// Time passes, and server 2 is heard of.
static void pass(struct nrig *r, uint32_t two, int64_t ms)
{
    for (int64_t at = 0; at < ms; at += 100) {
        nrig_send(r, two, QPACKET_PING, 0, SLICE_LIT(""));
        nrig_pass(r, 100);
    }
}

static bool find_signature(struct slice s, size_t *at)
{
    for (*at = 0; *at + QPACKET_SIGNATURE_LEN <= s.n; ++*at) {
        if (s.p[*at + 4] == 'B' && qpacket_get_signature(slice_skip(s, *at)) == ERR_OK) {
            return true;
        }
    }
    return false;
}

static void a_slow_learner_gets_no_more_than_it_takes(void **state)
{
    (void)state;
    uint32_t two;
    size_t at;
    struct nrig *r = big_leader(&two);
    uint32_t conn = slow_learner(r);
    struct fake_conn *c = &r->f->net.conns[conn];
    size_t stuck = c->unsent;
    assert_true(stuck > LIMIT_FEED_UNSENT);
    assert_true(stuck < 2 * LIMIT_FEED_UNSENT); // a part more, not all
    pass(r, two, 500);
    assert_int_equal(c->unsent, stuck);
    // What is proposed meanwhile waits behind the signature.
    request_propose(r->n, &(struct prep_request){.op = OP_DELETE, .auth = &nobody}, 1);
    node_turn(r->n);
    nrig_go(r);
    nrig_expect(r, two, QPACKET_PROPOSAL, NULL);
    assert_int_equal(c->unsent, stuck);
    nrig_slow(r, conn, false);
    assert_true(c->sent.n > (size_t)NODES * NODE_BYTES);
    assert_true(find_signature(nrig_sent(r, conn), &at));
    c->read += at + QPACKET_SIGNATURE_LEN;
    struct qpacket k;
    while (nrig_next(r, conn, &k) && k.type != QPACKET_NEWLEADER) {
    }
    assert_int_equal(k.type, QPACKET_NEWLEADER);
    nrig_free(&r);
}

static void one_that_stands_still_is_cut_off(void **state)
{
    (void)state;
    uint32_t two;
    struct nrig *r = big_leader(&two);
    uint32_t conn = slow_learner(r);
    pass(r, two, 10 * NRIG_TICK_MS - 100);
    assert_true(nrig_open(r, conn));
    pass(r, two, 300);
    assert_false(nrig_open(r, conn));
    assert_true(fake_env_logged(r->f, "its snapshot stands still"));
    assert_true(role_leads(r->n));
    nrig_free(&r);
}

static void the_role_ends_in_the_middle(void **state)
{
    (void)state;
    uint32_t two;
    struct nrig *r = big_leader(&two);
    uint32_t conn = slow_learner(r);
    r->hold_jobs = true;
    r->f->net.conns[conn].slow = false; // its next part is being read
    r->f->net.conns[conn].unsent = 0;
    node_step(r->n, &(struct env_event){.type = ENV_DRAINED, .now = r->f->env.now, .conn = conn});
    r->n->over = "the test says so";
    node_turn(r->n);
    size_t sent = r->f->net.conns[conn].sent.n;
    r->hold_jobs = false;
    nrig_go(r);
    nrig_pass(r, 50);
    assert_int_equal(r->f->net.conns[conn].sent.n, sent); // the part came too late
    assert_int_equal(r->n->run, RUN_LOOKING);
    assert_null(r->n->ens->peers.first);
    nrig_free(&r);
}

static void the_learner_goes_in_the_middle(void **state)
{
    (void)state;
    uint32_t two;
    struct nrig *r = big_leader(&two);
    nrig_hang_up(r, slow_learner(r));
    assert_true(role_leads(r->n));
    uint32_t again = slow_learner(r); // and may have it anew
    assert_true(r->f->net.conns[again].unsent > LIMIT_FEED_UNSENT);
    nrig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_learner_gets_no_more_than_it_takes),
        cmocka_unit_test(one_that_stands_still_is_cut_off),
        cmocka_unit_test(the_role_ends_in_the_middle),
        cmocka_unit_test(the_learner_goes_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
