// SPDX-License-Identifier: Apache-2.0
//
// Roles that begin and end: whose connections go, who waits, what late outcomes do; who was heard;
// read-only mode byte for byte (group "readonly" of the golden vectors).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rng.h"
#include "limits.h"
#include "serve/core.h"
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

// ---- roles --------------------------------------------------------------------------------------

static uint32_t ask_session(struct rig *r)
{
    return rig_renew(r, 0, false);
}

static bool has_session(struct rig *r, uint32_t conn)
{
    return r->clients[conn].got.n == 41 && be64_get(r->clients[conn].got.p + 12) != 0;
}

static void the_end_of_a_role_closes_who_asked_for_something(void **state)
{
    struct rig *r = *state;
    uint32_t writer = rig_client(r);
    uint32_t syncer = rig_client(r);
    uint32_t fresh = rig_accept(r, 1);
    r->auto_commit = false;
    uint32_t handshake = ask_session(r);
    struct buf b = {0};
    rig_put_create(&b, 1, OP_CREATE, "/a", SLICE_LIT("x"), 0);
    rig_put_read(&b, 2, OP_GET_DATA, "/a", true);
    rig_send(r, writer, buf_slice(&b));
    buf_clear(&b);
    rig_put_path(&b, 1, OP_SYNC, "/a");
    rig_send(r, syncer, buf_slice(&b));
    rig_mode(r, SERVE_OFF);
    serve_check(r->serve);
    assert_true(rig_eof(r, writer));
    assert_true(rig_eof(r, syncer));
    assert_true(rig_eof(r, handshake));
    assert_false(rig_eof(r, fresh));
    assert_int_equal(r->clients[handshake].got.n, 0);
    rig_settle(r); // outcomes of all that come late
    serve_on_refuse(r->serve, 7, 1, OP_CREATE, ZK_SYSTEMERROR, r->now, r->wall);
    rig_mode(r, SERVE_FULL);
    assert_true(rig_connect(r, fresh, 10000) != 0);
    serve_check(r->serve);
    buf_fini(&b);
}

// What a client of the new role asks under an old xid has its own outcome.
static void outcomes_of_an_old_role_answer_nobody(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    int64_t session = rig_connect(r, conn, 10000);
    r->auto_commit = false;
    struct buf b = {0};
    rig_put_create(&b, 1, OP_CREATE, "/old", SLICE_LIT("x"), 0);
    rig_send(r, conn, buf_slice(&b));
    rig_mode(r, SERVE_OFF);
    assert_true(rig_commit(r)); // the new leader had it
    rig_mode(r, SERVE_FULL);
    conn = rig_accept(r, 1);
    buf_clear(&b);
    rig_put_renew(&b, session, false);
    rig_put_create(&b, 1, OP_CREATE, "/new", SLICE_LIT("y"), 0);
    rig_send(r, conn, buf_slice(&b));
    rig_settle(r);
    r->clients[conn].read += 41;
    struct rig_reply reply;
    assert_true(rig_next(r, conn, &reply));
    assert_true(slice_eq(reply.body, SLICE_LIT("\0\0\0\4/new")));
    buf_fini(&b);
}

static void submits_that_nobody_took_are_dropped(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_client(r);
    struct buf b = {0};
    rig_put_set(&b, 1, "/", SLICE_LIT("x"));
    serve_on_data(r->serve, conn, buf_slice(&b), r->now, r->wall);
    assert_int_equal(serve_out(r->serve)->submits_n, 1);
    serve_set_mode(r->serve, SERVE_OFF, r->now, r->wall);
    assert_int_equal(serve_out(r->serve)->submits_n, 0);
    buf_fini(&b);
    rig_mode(r, SERVE_OFF);
    assert_true(rig_eof(r, conn));
}

static void throttle_places_are_given_back(void **state)
{
    (void)state;
    struct serve_config cfg;
    rig_defaults(&cfg);
    cfg.throttle_max_requests = 2;
    struct rig *r = rig_new(&cfg);
    struct buf b = {0};
    for (int32_t i = 1; i <= 6; i++) {
        rig_put_set(&b, i, "/", SLICE_LIT("x"));
    }
    uint32_t one = rig_client(r);
    uint32_t two = rig_client(r);
    r->auto_commit = false;
    rig_send(r, one, buf_slice(&b));
    rig_send(r, two, buf_slice(&b));
    assert_true(r->clients[two].paused);
    assert_int_equal(r->serve->throttle.in_process, 2);
    rig_mode(r, SERVE_OFF);
    assert_int_equal(r->serve->throttle.in_process, 0);
    serve_check(r->serve);
    buf_fini(&b);
    rig_free(&r);
}

// What a client has seen may be the begin of an epoch in which nothing was written yet.
static void clients_may_be_ahead_of_the_tree_and_not_of_the_epoch(void **state)
{
    struct rig *r = *state;
    struct buf b = {0};
    rig_put_renew(&b, 0, false);
    serve_set_complete_to(r->serve, 1ll << 32);
    for (int64_t ahead = 0; ahead <= 1; ahead++) {
        uint32_t conn = rig_accept(r, 1);
        be64_put(b.p + 8, (uint64_t)((1ll << 32) + ahead)); // lastZxidSeen
        rig_send(r, conn, buf_slice(&b));
        assert_int_equal(rig_eof(r, conn), ahead);
        assert_int_equal(has_session(r, conn), !ahead);
    }
    buf_fini(&b);
}

// ---- waiting for a role -------------------------------------------------------------------------

static void handshakes_wait_for_the_next_role(void **state)
{
    struct rig *r = *state;
    rig_mode(r, SERVE_OFF);
    uint32_t conn = rig_accept(r, 1);
    struct buf b = {0};
    rig_put_connect(&b, 10000, 0, SLICE_NULL, true);
    rig_put_create(&b, 1, OP_CREATE, "/a", SLICE_LIT("x"), 0); // sent without waiting
    rig_send(r, conn, slice_head(buf_slice(&b), 20));
    rig_send(r, conn, slice_skip(buf_slice(&b), 20));
    rig_advance(r, LIMIT_HELD_CONNECT_MS - 1);
    assert_false(rig_eof(r, conn));
    assert_int_equal(r->clients[conn].got.n, 0);
    rig_mode(r, SERVE_FULL);
    rig_settle(r);
    assert_int_equal(be32_get(r->clients[conn].got.p), 37);
    r->clients[conn].read += 41;
    struct rig_reply reply;
    assert_true(rig_next(r, conn, &reply));
    assert_int_equal(reply.err, ZK_OK);
    buf_fini(&b);
}

static void handshakes_do_not_wait_for_ever(void **state)
{
    struct rig *r = *state;
    rig_mode(r, SERVE_OFF);
    uint32_t early = ask_session(r);
    rig_advance(r, LIMIT_HELD_CONNECT_MS / 2);
    uint32_t late = ask_session(r);
    rig_advance(r, LIMIT_HELD_CONNECT_MS / 2);
    assert_true(rig_eof(r, early));
    assert_false(rig_eof(r, late));
    rig_advance(r, LIMIT_HELD_CONNECT_MS / 2);
    assert_true(rig_eof(r, late));
    assert_int_equal(r->clients[late].got.n, 0);
    rig_advance(r, LIMIT_HOLD_WINDOW_MS);
    assert_true(rig_eof(r, ask_session(r))); // this is no election any more
    rig_mode(r, SERVE_FULL);
    assert_true(has_session(r, ask_session(r)));
    rig_mode(r, SERVE_OFF);
    assert_false(rig_eof(r, ask_session(r))); // the next one is
}

static void a_bounded_number_waits(void **state)
{
    struct rig *r = *state;
    rig_mode(r, SERVE_OFF);
    struct net_addr peer = {.family = 4};
    struct buf b = {0};
    rig_put_connect(&b, 10000, 0, SLICE_NULL, true);
    for (uint32_t i = 0; i <= LIMIT_HELD_CONNECTS; i++) {
        peer.ip[1] = (uint8_t)(i >> 8);
        peer.ip[2] = (uint8_t)i;
        serve_on_accept(r->serve, i, &peer, &peer, r->now, r->wall);
        assert_int_equal(serve_out(r->serve)->orders_n, 0);
        serve_on_data(r->serve, i, buf_slice(&b), r->now, r->wall);
        bool last = i == LIMIT_HELD_CONNECTS;
        assert_int_equal(serve_out(r->serve)->orders_n, 1);
        assert_int_equal(serve_out(r->serve)->orders[0].kind, last ? CONN_CLOSE : CONN_PAUSE);
        serve_orders_clear(r->serve);
    }
    for (uint32_t i = 0; i <= LIMIT_HELD_CONNECTS; i++) {
        serve_on_closed(r->serve, i);
    }
    buf_fini(&b);
}

static void who_waits_may_go(void **state)
{
    struct rig *r = *state;
    rig_mode(r, SERVE_OFF);
    uint32_t first = ask_session(r);
    uint32_t second = ask_session(r);
    rig_hang_up(r, first);
    serve_check(r->serve);
    rig_mode(r, SERVE_FULL);
    assert_true(has_session(r, second));
}

// ---- who was heard ------------------------------------------------------------------------------

struct heard {
    int64_t session[8];
    size_t n;
};

static void hear(void *ctx, int64_t session, int32_t timeout_ms)
{
    struct heard *h = ctx;
    assert_true(h->n < 8);
    assert_int_equal(timeout_ms, 10000);
    h->session[h->n++] = session;
}

static struct heard touched(struct rig *r)
{
    struct heard h = {.n = 0};
    serve_touched(r->serve, hear, &h);
    serve_check(r->serve);
    return h;
}

static void a_learner_knows_who_was_heard(void **state)
{
    struct rig *r = *state;
    uint32_t a = rig_accept(r, 1);
    uint32_t b = rig_accept(r, 1);
    int64_t sa = rig_connect(r, a, 10000);
    int64_t sb = rig_connect(r, b, 10000);
    struct heard h = touched(r);
    assert_int_equal(h.n, 2);
    assert_int_equal(touched(r).n, 0);
    struct buf ping = {0};
    rig_put_head(&ping, -2, OP_PING);
    rig_send(r, b, buf_slice(&ping));
    rig_send(r, b, buf_slice(&ping));
    h = touched(r);
    assert_int_equal(h.n, 1);
    assert_int_equal(h.session[0], sb);
    rig_send(r, a, buf_slice(&ping));
    rig_hang_up(r, a); // what it said counts
    h = touched(r);
    assert_int_equal(h.n, 1);
    assert_int_equal(h.session[0], sa);
    uint32_t c = rig_accept(r, 1);
    int64_t sc = rig_connect(r, c, 10000); // a session made is one heard
    h = touched(r);
    assert_int_equal(h.n, 1);
    assert_int_equal(h.session[0], sc);
    rig_send(r, c, buf_slice(&ping));
    rig_mode(r, SERVE_OFF);
    rig_mode(r, SERVE_FULL);
    assert_int_equal(touched(r).n, 0);
    buf_fini(&ping);
}

static void who_may_not_speak_is_not_silent(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_client(r);
    assert_int_equal(touched(r).n, 1);
    struct buf b = {0};
    rig_put_set(&b, 1, "/", SLICE_LIT("x"));
    serve_hold_writes(r->serve, true);
    rig_send(r, conn, buf_slice(&b));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(touched(r).n, 1);
    }
    serve_hold_writes(r->serve, false);
    rig_settle(r);
    assert_int_equal(touched(r).n, 1);
    assert_int_equal(touched(r).n, 0);
    buf_fini(&b);
}

// ---- renewals that take their time --------------------------------------------------------------

static void a_renewal_may_take_seconds(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    int64_t session = rig_connect(r, conn, 10000);
    rig_hang_up(r, conn);
    r->auto_commit = false;
    conn = rig_renew(r, session, false);
    rig_advance(r, 5000);
    rig_advance(r, 4000);
    assert_false(rig_eof(r, conn));
    rig_settle(r);
    assert_true(has_session(r, conn));
    // Without an answer the client has given up long before this server does.
    uint32_t silent = rig_renew(r, session, false);
    assert_true(rig_eof(r, conn));
    rig_advance(r, 10000);
    rig_advance(r, 10000);
    assert_true(rig_eof(r, silent));
    uint32_t next = rig_accept(r, 1); // under the same number
    assert_int_equal(next, conn < silent ? conn : silent);
    rig_settle(r); // the late answer finds nobody
    assert_int_equal(r->clients[next].got.n, 0);
    serve_check(r->serve);
}

// ---- read-only ----------------------------------------------------------------------------------

static void read_only_clients_read(void **state)
{
    struct rig *r = *state;
    rig_mode(r, SERVE_READ_ONLY);
    assert_true(rig_eof(r, ask_session(r)));
    uint32_t old = rig_accept(r, 1);
    rig_send_hex(r, old,
                 "0000002c000000000000000000000000000027100000000000000000000000100000000000000000"
                 "0000000000000000");
    assert_string_equal(rig_rest_hex(r, old), "");
    assert_true(rig_eof(r, old));
    uint32_t conn = rig_renew(r, 0, true);
    assert_true(has_session(r, conn));
    assert_int_equal(r->clients[conn].got.p[40], 1);
    r->clients[conn].read += 41;
    // Each request and its reply of the group.
    static const char *const say[][2] = {
        {"0000000e0000000100000004000000012f00",
         "00000058000000010000000000000000000000000000000000000000000000000000000000000000"
         "0000000000000000000000000000000000000000ffffffff00000000000000000000000000000000"
         "000000010000000000000000"},
        {"000000310000000200000001000000022f7800000000000000010000001f00000005776f726c6400"
         "000006616e796f6e6500000000",
         "00000010000000020000000000000000ffffff89"},
        {"0000000d0000000300000009000000012f", "00000010000000030000000000000000ffffff89"},
        {"00000011000000040000000effffffff01ffffffff", "00000010000000040000000000000000ffffff89"},
        {"0000002000000005000000160000000400ffffffff000000012f00ffffffff01ffffffff",
         "0000006a000000050000000000000000000000000000000400000000000000000000000000000000"
         "0000000000000000000000000000000000000000000000000000000000ffffffff00000000000000"
         "000000000000000000000000010000000000000000ffffffff01ffffffff"},
        {"00000008fffffffe0000000b", "00000010fffffffe000000000000000000000000"},
        // check and deleteContainer, which clients do not send
        {"00000013000000070000000d000000032f6c73ffffffff",
         "00000010000000070000000000000000ffffff89"},
        {"0000000d0000000800000014000000012f", "00000010000000080000000000000000ffffff89"},
        {"0000000800000006fffffff5", "0000001000000006000000000000000000000000"},
    };
    for (size_t i = 0; i < sizeof(say) / sizeof(*say); i++) {
        assert_false(rig_eof(r, conn));
        rig_send_hex(r, conn, say[i][0]);
        assert_string_equal(rig_rest_hex(r, conn), say[i][1]);
    }
    assert_true(rig_eof(r, conn));
    assert_int_equal(r->log_n, 0);
    assert_int_equal(r->asks_n, 0);
}

static int64_t session_of(struct rig *r, uint32_t conn)
{
    return (int64_t)be64_get(r->clients[conn].got.p + 12);
}

static void sessions_of_read_only_mode_end_with_it(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    int64_t global = rig_connect(r, conn, 10000);
    rig_mode(r, SERVE_READ_ONLY);
    assert_true(rig_eof(r, conn));
    conn = rig_renew(r, global, true); // is it alive? Only the others know
    assert_true(rig_eof(r, conn));
    assert_int_equal(r->clients[conn].got.n, 0);
    conn = rig_renew(r, 0, true);
    int64_t local = session_of(r, conn);
    rig_hang_up(r, conn);
    conn = rig_renew(r, local, true);
    assert_true(has_session(r, conn));
    assert_int_equal(touched(r).n, 0);
    rig_mode(r, SERVE_FULL);
    assert_true(rig_eof(r, conn));
    conn = rig_renew(r, local, true);
    assert_int_equal(r->clients[conn].got.n, 41);
    assert_int_equal(session_of(r, conn), 0); // expired
    conn = rig_renew(r, global, true);
    assert_int_equal(session_of(r, conn), global);
    assert_int_equal(r->clients[conn].got.p[40], 0); // this server writes
    rig_mode(r, SERVE_READ_ONLY);
    conn = rig_renew(r, 77, true);
    assert_int_equal(r->clients[conn].got.n, 41);
    assert_int_equal(session_of(r, conn), 0);
}

static void held_handshakes_find_a_read_only_server(void **state)
{
    struct rig *r = *state;
    rig_mode(r, SERVE_OFF);
    uint32_t reader = rig_renew(r, 0, true);
    uint32_t writer = ask_session(r);
    assert_false(rig_eof(r, writer));
    rig_mode(r, SERVE_READ_ONLY);
    assert_true(has_session(r, reader));
    assert_true(rig_eof(r, writer));
}

// ---- everything at once -------------------------------------------------------------------------

enum { RANDOM_CONNS = 12, RANDOM_SESSIONS = 32 };

struct lot {
    uint32_t conn[RANDOM_CONNS];
    int64_t session[RANDOM_SESSIONS];
    size_t sessions;
    int32_t xid;
};

static void random_connect(struct rig *r, struct lot *l, struct rng *g)
{
    uint32_t *conn = &l->conn[rng_below(g, RANDOM_CONNS)];
    rig_hang_up(r, *conn);
    *conn = rig_accept(r, 1);
    int64_t session = 0;
    if (l->sessions && rng_below(g, 2)) {
        session = l->session[rng_below(g, l->sessions)];
    }
    struct buf b = {0};
    rig_put_renew(&b, session, rng_below(g, 2));
    rig_send(r, *conn, buf_slice(&b));
    buf_fini(&b);
}

static void random_requests(struct rig *r, struct lot *l, struct rng *g)
{
    static const char *const paths[] = {"/a", "/b", "/a/c"};
    struct buf b = {0};
    for (uint64_t i = rng_below(g, 6); i > 0; i--) {
        const char *path = paths[rng_below(g, 3)];
        switch (rng_below(g, 8)) {
        case 0:
            rig_put_create(&b, l->xid++, OP_CREATE, path, SLICE_LIT("x"), (int32_t)rng_below(g, 4));
            break;
        case 1:
            rig_put_set(&b, l->xid++, path, SLICE_LIT("y"));
            break;
        case 2:
            rig_put_delete(&b, l->xid++, path);
            break;
        case 3:
            rig_put_path(&b, l->xid++, OP_SYNC, path);
            break;
        case 4:
            rig_put_head(&b, l->xid++, rng_below(g, 4) ? OP_PING : OP_CLOSE_SESSION);
            break;
        default:
            rig_put_read(&b, l->xid++, OP_GET_DATA, path, rng_below(g, 2));
            break;
        }
    }
    rig_send(r, l->conn[rng_below(g, RANDOM_CONNS)], buf_slice(&b));
    buf_fini(&b);
}

static void keep_session(void *ctx, int64_t session, int32_t timeout_ms)
{
    (void)timeout_ms;
    struct lot *l = ctx;
    l->session[l->sessions++ % RANDOM_SESSIONS] = session;
    l->sessions = l->sessions < RANDOM_SESSIONS ? l->sessions : RANDOM_SESSIONS - 1;
}

static void random_step(struct rig *r, struct lot *l, struct rng *g)
{
    switch (rng_below(g, 10)) {
    case 0:
        rig_mode(r, (enum serve_mode)rng_below(g, 3));
        break;
    case 1:
    case 2:
        random_connect(r, l, g);
        break;
    case 3:
        rig_advance(r, (int64_t)rng_below(g, 3000));
        break;
    case 4:
        serve_touched(r->serve, keep_session, l);
        break;
    case 5:
        r->refuse = rng_below(g, 4) == 0;
        serve_hold_writes(r->serve, rng_below(g, 4) == 0);
        rig_settle(r);
        break;
    case 6:
        rig_commit(r);
        break;
    default:
        random_requests(r, l, g);
        break;
    }
    serve_check(r->serve);
}

static void random_roles(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        struct rng g = {seed};
        struct serve_config cfg;
        rig_defaults(&cfg);
        cfg.local_sessions = seed % 3 != 0;
        cfg.local_upgrade = seed % 2;
        cfg.throttle_max_requests = seed % 4 == 0 ? 5 : 0;
        struct rig *r = rig_new(&cfg);
        r->takes_locals = cfg.local_upgrade;
        struct lot l = {.xid = 0};
        for (int i = 0; i < RANDOM_CONNS; i++) {
            l.conn[i] = rig_accept(r, 1);
        }
        for (int step = 0; step < 1500; step++) {
            r->auto_commit = step / 100 % 2;
            random_step(r, &l, &g);
        }
        serve_hold_writes(r->serve, false);
        r->refuse = false;
        r->auto_commit = true;
        rig_mode(r, SERVE_FULL);
        rig_settle(r);
        assert_true(has_session(r, ask_session(r))); // it serves as if nothing had been
        tree_check(r->tree);
        rig_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_end_of_a_role_closes_who_asked_for_something, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(outcomes_of_an_old_role_answer_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(submits_that_nobody_took_are_dropped, setup, teardown),
        cmocka_unit_test(throttle_places_are_given_back),
        cmocka_unit_test_setup_teardown(clients_may_be_ahead_of_the_tree_and_not_of_the_epoch,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(handshakes_wait_for_the_next_role, setup, teardown),
        cmocka_unit_test_setup_teardown(handshakes_do_not_wait_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bounded_number_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(who_waits_may_go, setup, teardown),
        cmocka_unit_test_setup_teardown(a_learner_knows_who_was_heard, setup, teardown),
        cmocka_unit_test_setup_teardown(who_may_not_speak_is_not_silent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_renewal_may_take_seconds, setup, teardown),
        cmocka_unit_test_setup_teardown(read_only_clients_read, setup, teardown),
        cmocka_unit_test_setup_teardown(sessions_of_read_only_mode_end_with_it, setup, teardown),
        cmocka_unit_test_setup_teardown(held_handshakes_find_a_read_only_server, setup, teardown),
        cmocka_unit_test(random_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
