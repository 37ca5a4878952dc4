// SPDX-License-Identifier: Apache-2.0
//
// Connections of the quorum port: packets cut anywhere, and what waits behind a snapshot's stream.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/peers.h"
#include "test/support/fake_env.h"

struct kit {
    struct fake_env *f;
    struct peers p;
    struct arena a;
};

static void kit_init(struct kit *k)
{
    *k = (struct kit){.f = fake_env_new(3)};
    peers_init(&k->p, &k->f->env, 1000);
}

static void kit_fini(struct kit *k)
{
    peers_fini(&k->p);
    arena_fini(&k->a);
    fake_env_free(&k->f);
}

static struct peer_conn *add(struct kit *k, int64_t sid)
{
    return peers_add(&k->p, fake_net_conn(&k->f->net), sid);
}

static void three_packets(struct buf *b)
{
    struct zk_id id = {SLICE_LIT("digest"), SLICE_LIT("me:secret")};
    struct id_vec ids = {&id, 1};
    qpacket_put(b, QPACKET_PING, 7, SLICE_NULL);
    qpacket_put_request(b, &(struct learner_request){1, 2, 3}, SLICE_LIT("body"), &ids);
    qpacket_put(b, QPACKET_NEWLEADER, 9, SLICE_LIT("text"));
}

static size_t read_all(struct kit *k, struct peer_conn *c, int32_t *types)
{
    struct qpacket q;
    size_t n = 0;
    enum err e;
    while ((e = peers_next(c, &k->a, &q)) == ERR_OK) {
        types[n++] = q.type;
        if (q.type == QPACKET_REQUEST) {
            assert_int_equal(q.authinfo.n, 1);
            assert_true(slice_eq_str(q.authinfo.v[0].id, "me:secret"));
        }
    }
    assert_int_equal(e, ERR_CUT);
    return n;
}

static void packets_are_cut_anywhere(void **state)
{
    (void)state;
    struct kit k;
    struct buf b = {0};
    int32_t types[4];
    kit_init(&k);
    three_packets(&b);
    for (size_t cut = 0; cut <= b.n; cut++) {
        struct peer_conn *c = add(&k, 2);
        peers_put(c, slice_of(b.p, cut));
        size_t n = read_all(&k, c, types);
        peers_put(c, slice_of(b.p + cut, b.n - cut));
        n += read_all(&k, c, types + n);
        assert_int_equal(n, 3);
        assert_int_equal(types[0], QPACKET_PING);
        assert_int_equal(types[1], QPACKET_REQUEST);
        assert_int_equal(types[2], QPACKET_NEWLEADER);
        assert_int_equal(peers_unread(c).n, 0);
        fake_net_gone(&k.f->net, c->conn);
        peers_del(&k.p, c);
    }
    buf_fini(&b);
    kit_fini(&k);
}

static void a_length_nobody_may_send(void **state)
{
    (void)state;
    struct kit k;
    struct buf b = {0};
    struct qpacket q;
    kit_init(&k);
    struct peer_conn *c = add(&k, 2);
    qpacket_put_head(&b, QPACKET_PROPOSAL, 1, 1001);
    peers_put(c, buf_slice(&b));
    assert_int_equal(peers_next(c, &k.a, &q), ERR_LIMIT); // before its data has come
    buf_fini(&b);
    kit_fini(&k);
}

static void packets_wait_behind_a_snapshot(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k);
    struct peer_conn *c = add(&k, 2);
    struct fake_conn *wire = &k.f->net.conns[c->conn];
    c->feed.kind = FEED_SNAPSHOT;
    buf_put_slice(&c->out, SLICE_LIT("stream"));
    peers_send(c, &(struct zab_packet){.type = QPACKET_PING, .zxid = 1}, 1, SLICE_NULL);
    assert_int_equal(peers_backlog(c), 6 + QPACKET_LEN_MIN);
    peers_flush(&k.p);
    assert_true(slice_eq_str(buf_slice(&wire->sent), "stream"));
    assert_int_equal(peers_backlog(c), QPACKET_LEN_MIN);
    c->feed.kind = FEED_HISTORY; // packets like any other
    peers_send(c, &(struct zab_packet){.type = QPACKET_PING, .zxid = 2}, 1, SLICE_NULL);
    peers_flush(&k.p);
    assert_int_equal(wire->sent.n, 6 + QPACKET_LEN_MIN);
    kit_fini(&k);
}

static void the_last_packets_leave_before_the_end(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k);
    struct peer_conn *old = add(&k, 2), *c = add(&k, 2);
    assert_ptr_equal(peers_of_sid(&k.p, 2), c);
    peers_send(c, &(struct zab_packet){.type = QPACKET_PING, .zxid = 1}, 1, SLICE_NULL);
    peers_close(&k.p, c);
    assert_int_equal(k.f->net.conns[c->conn].sent.n, QPACKET_LEN_MIN);
    assert_true(k.f->net.conns[c->conn].closing);
    assert_ptr_equal(peers_of_sid(&k.p, 2), old); // who closes is nobody any more
    peers_send(c, &(struct zab_packet){.type = QPACKET_PING, .zxid = 2}, 1, SLICE_NULL);
    peers_flush(&k.p);
    peers_close(&k.p, c); // once is enough
    assert_int_equal(k.f->net.conns[c->conn].sent.n, QPACKET_LEN_MIN);
    assert_ptr_equal(peers_of_conn(&k.p, c->conn), c); // until its ENV_CLOSED
    kit_fini(&k);
}

static void what_is_unsent_counts(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k);
    struct peer_conn *c = add(&k, 2);
    k.f->net.conns[c->conn].slow = true;
    peers_send(c, &(struct zab_packet){.type = QPACKET_PING, .zxid = 1}, 1, SLICE_NULL);
    peers_flush(&k.p);
    assert_int_equal(c->out.n, 0);
    assert_int_equal(peers_backlog(c), QPACKET_LEN_MIN);
    kit_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_cut_anywhere),
        cmocka_unit_test(a_length_nobody_may_send),
        cmocka_unit_test(packets_wait_behind_a_snapshot),
        cmocka_unit_test(the_last_packets_leave_before_the_end),
        cmocka_unit_test(what_is_unsent_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
