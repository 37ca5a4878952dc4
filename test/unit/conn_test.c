// SPDX-License-Identifier: Apache-2.0
//
// Framing and handshakes: whole frames, single bytes, many frames at once; what is refused; slow
// readers; what an idle connection costs.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "limits.h"
#include "serve/core.h"
#include "serve/session_id.h"
#include "test/support/serve_rig.h"
#include "wire/ops.h"

static int setup(void **state)
{
    *state = rig_new(NULL);
    return 0;
}

static int teardown(void **state)
{
    rig_free((struct rig **)state);
    return 0;
}

// A connection's whole life as bytes: handshake, a write, reads, close.
static void life(struct buf *b)
{
    rig_put_connect(b, 10000, 0, SLICE_NULL, false);
    rig_put_create(b, 1, OP_CREATE, "/a", SLICE_LIT("one"), 0);
    rig_put_read(b, 2, OP_GET_DATA, "/a", true);
    rig_put_set(b, 3, "/a", SLICE_LIT("two"));
    rig_put_read(b, 4, OP_EXISTS, "/b", false);
    rig_put_path(b, 5, OP_SYNC, "/a");
    rig_put_head(b, -2, OP_PING);
    rig_put_head(b, 6, OP_CLOSE_SESSION);
    rig_put_head(b, 7, OP_PING); // dropped
}

static void expect_life(struct rig *r, uint32_t conn)
{
    struct rig_client *c = &r->clients[conn];
    assert_true(c->got.n >= 40);
    assert_int_equal(be32_get(c->got.p), 36); // no read-only byte asked for, none given
    assert_int_equal(be32_get(c->got.p + 8), 10000);
    c->read += 40;
    static const struct {
        int32_t xid;
        int64_t zxid;
        int32_t err;
        size_t body;
    } want[] = {
        {1, 2, 0, 6},    {2, 2, 0, 7 + 68}, {-1, 3, 0, 14}, {3, 3, 0, 68},
        {4, 3, -101, 0}, {5, 3, 0, 6},      {-2, 3, 0, 0},  {6, 4, 0, 0},
    };
    for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
        struct rig_reply reply;
        assert_true(rig_next(r, conn, &reply));
        assert_int_equal(reply.xid, want[i].xid);
        assert_int_equal(reply.zxid, want[i].zxid);
        assert_int_equal(reply.err, want[i].err);
        assert_int_equal(reply.body.n, want[i].body);
    }
    assert_int_equal(rig_rest(r, conn).n, 0);
    assert_true(rig_eof(r, conn));
}

static void everything_in_one_segment(void **state)
{
    struct rig *r = *state;
    struct buf b = {0};
    life(&b);
    uint32_t conn = rig_accept(r, 1);
    rig_send(r, conn, buf_slice(&b));
    expect_life(r, conn);
    buf_fini(&b);
}

static void one_byte_at_a_time(void **state)
{
    struct rig *r = *state;
    struct buf b = {0};
    life(&b);
    uint32_t conn = rig_accept(r, 1);
    for (size_t i = 0; i < b.n; i++) {
        rig_send(r, conn, slice_of(b.p + i, 1));
    }
    expect_life(r, conn);
    buf_fini(&b);
}

static void cut_anywhere(void **state)
{
    (void)state;
    struct buf b = {0};
    life(&b);
    for (size_t cut = 1; cut < b.n; cut += 3) {
        struct rig *r = rig_new(NULL);
        r->auto_commit = cut % 2;
        uint32_t conn = rig_accept(r, 1);
        rig_send(r, conn, slice_head(buf_slice(&b), cut));
        serve_check(r->serve);
        rig_send(r, conn, slice_skip(buf_slice(&b), cut));
        serve_check(r->serve);
        rig_settle(r);
        expect_life(r, conn);
        rig_free(&r);
    }
    buf_fini(&b);
}

static void expect_closed_silently(struct rig *r, uint32_t conn)
{
    assert_true(rig_eof(r, conn));
    assert_int_equal(rig_rest(r, conn).n, 0);
}

static void bad_lengths_close(void **state)
{
    struct rig *r = *state;
    static const uint32_t bad[] = {
        1048576, 0xffffffff, 0x80000000, 0x52554f4b /* RUOK */, 0x6b696c6c /* kill */, 0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        uint8_t p[4];
        be32_put(p, bad[i]);
        uint32_t fresh = rig_accept(r, 1);
        rig_send(r, fresh, slice_of(p, 4));
        expect_closed_silently(r, fresh);
        uint32_t live = rig_client(r);
        rig_send(r, live, slice_of(p, 4));
        expect_closed_silently(r, live);
    }
    uint8_t ok[4];
    be32_put(ok, 1048575);
    uint32_t live = rig_client(r);
    rig_send(r, live, slice_of(ok, 4));
    assert_false(rig_eof(r, live));
}

static void short_and_cut_requests(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_client(r);
    static const uint8_t cut_body[] = {0, 0, 0, 13, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 1, '/'};
    rig_send(r, conn, slice_of(cut_body, sizeof(cut_body))); // the watch byte is missing
    struct rig_reply reply;
    assert_true(rig_next(r, conn, &reply));
    assert_int_equal(reply.xid, 3);
    assert_int_equal(reply.err, ZK_MARSHALLINGERROR);
    static const uint8_t no_sync[] = {0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0, 9};
    rig_send(r, conn, slice_of(no_sync, sizeof(no_sync)));
    assert_true(rig_next(r, conn, &reply));
    assert_int_equal(reply.err, ZK_MARSHALLINGERROR);
    static const uint8_t no_header[] = {0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 0};
    rig_send(r, conn, slice_of(no_header, sizeof(no_header)));
    expect_closed_silently(r, conn);
}

static void unknown_opcodes_close_in_turn(void **state)
{
    struct rig *r = *state;
    static const int32_t ops[] = {0, -1, 10, 13, 20, -10, 23, 99, 999};
    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        uint32_t conn = rig_client(r);
        struct buf b = {0};
        rig_put_set(&b, 1, "/", SLICE_LIT("x"));
        rig_put_head(&b, 2, ops[i]);
        rig_put_set(&b, 3, "/", SLICE_LIT("y"));
        rig_send(r, conn, buf_slice(&b));
        struct rig_reply reply;
        assert_true(rig_next(r, conn, &reply));
        assert_int_equal(reply.xid, 1);
        assert_true(rig_next(r, conn, &reply));
        assert_int_equal(reply.xid, 2);
        assert_int_equal(reply.zxid, -1);
        assert_int_equal(reply.err, ZK_UNIMPLEMENTED);
        assert_false(rig_next(r, conn, &reply));
        assert_true(rig_eof(r, conn));
        buf_fini(&b);
    }
}

static void connect(struct rig *r, uint32_t conn, int32_t timeout_ms, int64_t session,
                    struct slice passwd)
{
    struct buf b = {0};
    rig_put_connect(&b, timeout_ms, session, passwd, true);
    rig_send(r, conn, buf_slice(&b));
    buf_fini(&b);
}

static void timeouts_are_negotiated(void **state)
{
    struct rig *r = *state;
    static const int32_t asked[] = {0, -5, 1, 4000, 12345, 40000, 1000000};
    static const int32_t got[] = {4000, 4000, 4000, 4000, 12345, 40000, 40000};
    for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
        uint32_t conn = rig_accept(r, 1);
        connect(r, conn, asked[i], 0, SLICE_NULL);
        struct slice answer = rig_rest(r, conn);
        assert_int_equal(answer.n, 41);
        assert_int_equal(be32_get(answer.p + 8), got[i]);
    }
}

static void renewal(void **state)
{
    struct rig *r = *state;
    uint32_t first = rig_accept(r, 1);
    int64_t session = rig_connect(r, first, 10000);
    uint8_t passwd[16];
    session_password(session, passwd);

    uint32_t thief = rig_accept(r, 1);
    connect(r, thief, 5000, session, SLICE_LIT("0123456789abcdef"));
    static const uint8_t invalid[41] = {[3] = 37, [23] = 16};
    assert_true(slice_eq(rig_rest(r, thief), slice_of(invalid, sizeof(invalid))));
    assert_true(rig_eof(r, thief));
    assert_false(rig_eof(r, first)); // unlike Apache, see client-protocol.md 11

    uint32_t second = rig_accept(r, 1);
    connect(r, second, 5000, session, slice_of(passwd, 16));
    assert_true(rig_eof(r, first));
    struct slice answer = rig_rest(r, second);
    assert_int_equal(answer.n, 41);
    assert_int_equal(be32_get(answer.p + 8), 5000);
    assert_int_equal(be64_get(answer.p + 12), session);
    assert_memory_equal(answer.p + 24, passwd, 16);

    struct buf b = {0};
    rig_put_head(&b, 1, OP_CLOSE_SESSION);
    rig_send(r, second, buf_slice(&b));
    buf_fini(&b);
    uint32_t late = rig_accept(r, 1);
    connect(r, late, 5000, session, slice_of(passwd, 16)); // the session is gone
    assert_true(slice_eq(rig_rest(r, late), slice_of(invalid, sizeof(invalid))));
    assert_true(rig_eof(r, late));
}

// The old connection's write commits after the session has moved to a new one that uses the same
// xid: its answer must not be taken for the new one's.
static void answers_of_the_old_connection_are_not_mixed_up(void **state)
{
    struct rig *r = *state;
    uint32_t first = rig_accept(r, 1);
    int64_t session = rig_connect(r, first, 10000);
    uint8_t passwd[16];
    session_password(session, passwd);
    r->auto_commit = false;
    struct buf b = {0};
    rig_put_create(&b, 1, OP_CREATE, "/old", SLICE_LIT(""), 0);
    rig_send(r, first, buf_slice(&b));
    rig_hang_up(r, first);
    uint32_t second = rig_accept(r, 1);
    connect(r, second, 10000, session, slice_of(passwd, 16));
    assert_int_equal(r->asks_n, 1);
    r->asks_n = 0; // the old write is still on its way
    serve_on_renewed(r->serve, r->asks[0].tag, true, r->now, r->wall);
    buf_clear(&b);
    rig_put_create(&b, 1, OP_CREATE, "/new", SLICE_LIT(""), 0);
    rig_send(r, second, buf_slice(&b));
    rig_settle(r);
    r->clients[second].read += 41;
    struct rig_reply reply;
    assert_true(rig_next(r, second, &reply));
    assert_int_equal(reply.zxid, 3);
    assert_true(slice_eq(reply.body, SLICE_LIT("\0\0\0\4/new")));
    assert_false(rig_next(r, second, &reply));
    buf_fini(&b);
}

static void clients_from_the_future_are_closed(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    struct buf b = {0};
    rig_put_connect(&b, 10000, 0, SLICE_NULL, true);
    be64_put(b.p + 8, 1); // lastZxidSeen; nothing was applied yet
    rig_send(r, conn, buf_slice(&b));
    expect_closed_silently(r, conn);
    buf_fini(&b);
}

static void silent_connections_are_closed(void **state)
{
    struct rig *r = *state;
    uint32_t fresh = rig_accept(r, 1);
    uint32_t live = rig_accept(r, 1);
    assert_true(rig_connect(r, live, 30000) != 0);
    rig_advance(r, 9000);
    assert_false(rig_eof(r, fresh));
    rig_advance(r, 11000);
    expect_closed_silently(r, fresh);
    assert_false(rig_eof(r, live));
    struct buf b = {0};
    rig_put_head(&b, -2, OP_PING);
    for (int i = 0; i < 5; i++) {
        rig_send(r, live, buf_slice(&b));
        rig_advance(r, 20000);
        assert_false(rig_eof(r, live));
    }
    rig_rest(r, live);
    rig_advance(r, 30000);
    expect_closed_silently(r, live);
    buf_fini(&b);
}

static void put_big_node(struct rig *r, size_t n)
{
    uint32_t conn = rig_client(r);
    uint8_t *data = calloc(1, n);
    struct buf b = {0};
    rig_put_create(&b, 1, OP_CREATE, "/big", slice_of(data, n), 0);
    rig_send(r, conn, buf_slice(&b));
    buf_fini(&b);
    free(data);
    rig_hang_up(r, conn);
}

// 200 reads of half a megabyte from a peer that takes nothing: about a megabyte waits, no more.
static void a_slow_reader_is_not_fed_with_memory(void **state)
{
    struct rig *r = *state;
    put_big_node(r, 500000);
    uint32_t conn = rig_client(r);
    struct buf b = {0};
    for (int32_t i = 1; i <= 200; i++) {
        rig_put_read(&b, i, OP_GET_DATA, "/big", false);
    }
    rig_slow(r, conn, true);
    rig_send(r, conn, buf_slice(&b));
    assert_true(r->clients[conn].paused);
    assert_true(r->clients[conn].unsent.n < LIMIT_CONN_UNSENT_PAUSE + 600000);
    serve_check(r->serve);
    int32_t seen = 0;
    for (int round = 0; round < 300 && seen < 200; round++) {
        rig_slow(r, conn, false);
        rig_slow(r, conn, true);
        struct rig_reply reply;
        while (rig_next(r, conn, &reply)) {
            assert_int_equal(reply.xid, ++seen);
        }
        buf_clear(&r->clients[conn].got);
        r->clients[conn].read = 0;
    }
    assert_int_equal(seen, 200);
    rig_slow(r, conn, false);
    assert_false(r->clients[conn].paused);
    buf_fini(&b);
}

// The same behind a write, in one segment: the reads wait in the order, and still come in turn.
static void reads_behind_a_write_of_a_slow_reader(void **state)
{
    struct rig *r = *state;
    put_big_node(r, 500000);
    uint32_t conn = rig_client(r);
    r->auto_commit = false;
    struct buf b = {0};
    for (int32_t i = 1; i <= 200; i++) {
        if (i % 90 == 1) {
            rig_put_set(&b, i, "/", SLICE_LIT("x"));
        } else {
            rig_put_read(&b, i, OP_GET_DATA, "/big", false);
        }
    }
    rig_slow(r, conn, true);
    rig_send(r, conn, buf_slice(&b));
    assert_true(r->clients[conn].paused);
    rig_settle(r);
    int32_t seen = 0;
    for (int round = 0; round < 300 && seen < 200; round++) {
        rig_slow(r, conn, false);
        rig_slow(r, conn, true);
        rig_settle(r);
        serve_check(r->serve);
        struct rig_reply reply;
        while (rig_next(r, conn, &reply)) {
            assert_int_equal(reply.xid, ++seen);
        }
        buf_clear(&r->clients[conn].got);
        r->clients[conn].read = 0;
    }
    assert_int_equal(seen, 200);
    buf_fini(&b);
}

// Whatever it owns beside its struct is counted by the bench; here: it owns no buffers.
static void an_idle_connection_is_small(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_client(r);
    struct buf b = {0};
    life(&b);
    struct slice rest = slice_skip(buf_slice(&b), 48); // behind the handshake
    rig_send(r, conn, slice_head(rest, 20));
    const struct conn *c = conn_get(&r->serve->conns, conn);
    assert_true(c->in.cap > 0); // a cut frame
    rig_send(r, conn, slice_head(slice_skip(rest, 20), 4 + be32_get(rest.p) - 20));
    assert_int_equal(c->stats.received, 2);
    assert_int_equal(c->in.cap + c->out.cap, 0);
    assert_true(sizeof(struct conn) + sizeof(struct auth) + sizeof(struct zk_id) + 64 < 600);
    buf_fini(&b);
}

static void stop_closes_all(void **state)
{
    struct rig *r = *state;
    uint32_t a = rig_client(r);
    uint32_t b = rig_accept(r, 1);
    serve_stop(r->serve);
    rig_settle(r);
    assert_true(rig_eof(r, a));
    assert_true(rig_eof(r, b));
    expect_closed_silently(r, rig_accept(r, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_in_one_segment, setup, teardown),
        cmocka_unit_test_setup_teardown(one_byte_at_a_time, setup, teardown),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test_setup_teardown(bad_lengths_close, setup, teardown),
        cmocka_unit_test_setup_teardown(short_and_cut_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_opcodes_close_in_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(timeouts_are_negotiated, setup, teardown),
        cmocka_unit_test_setup_teardown(renewal, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_of_the_old_connection_are_not_mixed_up, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(clients_from_the_future_are_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(silent_connections_are_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_reader_is_not_fed_with_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_behind_a_write_of_a_slow_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(an_idle_connection_is_small, setup, teardown),
        cmocka_unit_test_setup_teardown(stop_closes_all, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
