// SPDX-License-Identifier: Apache-2.0
//
// Local sessions: made, renewed, expired and closed without a transaction; how one becomes global;
// the golden group "local-session" byte for byte.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "serve/core.h"
#include "test/support/serve_rig.h"
#include "tree/session.h"
#include "wire/jute.h"
#include "wire/ops.h"

enum { EPHEMERAL = 1, EPHEMERAL_SEQUENTIAL = 3 };

static struct rig *rig_local(bool upgrade)
{
    struct serve_config cfg;
    rig_defaults(&cfg);
    cfg.local_sessions = true;
    cfg.local_upgrade = upgrade;
    struct rig *r = rig_new(&cfg);
    r->takes_locals = true;
    return r;
}

static int setup(void **state)
{
    *state = rig_local(true);
    return 0;
}

static int teardown(void **state)
{
    rig_free((struct rig **)state);
    return 0;
}

static int64_t session_of(struct rig *r, uint32_t conn)
{
    assert_int_equal(r->clients[conn].got.n, 41);
    r->clients[conn].read = 41;
    return (int64_t)be64_get(r->clients[conn].got.p + 12);
}

static bool is_global(const struct rig *r, int64_t session)
{
    return session_get(tree_sessions_const(r->tree), session, NULL);
}

static struct rig_reply ask(struct rig *r, uint32_t conn, struct buf *b)
{
    struct rig_reply reply;
    rig_send(r, conn, buf_slice(b));
    buf_fini(b);
    assert_true(rig_next(r, conn, &reply));
    return reply;
}

static struct rig_reply create(struct rig *r, uint32_t conn, int32_t xid, const char *path,
                               int32_t flags)
{
    struct buf b = {0};
    rig_put_create(&b, xid, OP_CREATE, path, SLICE_LIT("x"), flags);
    return ask(r, conn, &b);
}

// ---- their life ---------------------------------------------------------------------------------

static void a_life_without_transactions(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    int64_t session = rig_connect(r, conn, 10000);
    assert_true(session != 0);
    assert_int_equal(r->log_n, 0);
    struct buf b = {0};
    rig_put_read(&b, 1, OP_GET_DATA, "/", false);
    struct rig_reply reply = ask(r, conn, &b);
    assert_int_equal(reply.err, ZK_OK);
    rig_hang_up(r, conn); // it lives on
    rig_advance(r, 9000);
    conn = rig_renew(r, session, false);
    assert_int_equal(session_of(r, conn), session);
    uint32_t thief = rig_renew(r, session, false); // takes it over
    assert_true(rig_eof(r, conn));
    assert_int_equal(session_of(r, thief), session);
    assert_int_equal(r->asks_n, 0);
    rig_put_head(&b, 2, OP_CLOSE_SESSION);
    reply = ask(r, thief, &b);
    assert_int_equal(reply.err, ZK_OK);
    assert_int_equal(reply.zxid, 0);
    assert_true(rig_eof(r, thief));
    assert_int_equal(r->log_n, 0);
    assert_int_equal(r->touches, 0); // the leader has nothing to expire
    conn = rig_renew(r, session, false);
    assert_int_equal(session_of(r, conn), 0); // nobody knows it
}

static void silence_ends_them(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    int64_t session = rig_connect(r, conn, 10000);
    uint32_t pings = rig_client(r);
    struct buf ping = {0};
    rig_put_head(&ping, -2, OP_PING);
    for (int i = 0; i < 4; i++) {
        rig_advance(r, 4000);
        rig_send(r, pings, buf_slice(&ping));
    }
    assert_true(rig_eof(r, conn));
    assert_false(rig_eof(r, pings));
    assert_int_equal(session_of(r, rig_renew(r, session, false)), 0);
    assert_int_equal(expiry_count(r->serve->locals), 1);
    rig_advance(r, 4000);
    rig_advance(r, 8000);
    assert_true(rig_eof(r, pings));
    assert_int_equal(expiry_count(r->serve->locals), 0);
    buf_fini(&ping);
}

static void the_end_comes_in_its_turn(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_client(r);
    r->auto_commit = false;
    struct buf b = {0};
    rig_put_create(&b, 1, OP_CREATE, "/a", SLICE_LIT("x"), 0);
    rig_put_head(&b, 2, OP_CLOSE_SESSION);
    rig_put_head(&b, 3, OP_PING);
    rig_send(r, conn, buf_slice(&b));
    assert_false(rig_eof(r, conn));
    serve_check(r->serve);
    rig_settle(r);
    struct rig_reply reply;
    assert_true(rig_next(r, conn, &reply));
    assert_int_equal(reply.xid, 1);
    assert_int_equal(reply.zxid, 1);
    assert_true(rig_next(r, conn, &reply));
    assert_int_equal(reply.xid, 2);
    assert_int_equal(reply.zxid, 1);
    assert_int_equal(reply.err, ZK_OK);
    assert_true(rig_eof(r, conn));
    assert_int_equal(r->log_n, 1);
    buf_fini(&b);
}

static void they_outlive_an_election(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    int64_t session = rig_connect(r, conn, 10000);
    rig_mode(r, SERVE_OFF);
    assert_true(rig_eof(r, conn));
    rig_advance(r, 20000); // nobody could come back
    rig_mode(r, SERVE_FULL);
    rig_advance(r, 9000);
    assert_int_equal(session_of(r, rig_renew(r, session, false)), session);
}

// ---- becoming global ----------------------------------------------------------------------------

static void the_first_ephemeral_makes_it_global(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    int64_t session = rig_connect(r, conn, 10000);
    assert_int_equal(create(r, conn, 1, "/a", 0).err, ZK_OK);
    assert_false(is_global(r, session));
    struct rig_reply reply = create(r, conn, 0, "/a/e", EPHEMERAL); // xid 0, as the session's own
    assert_int_equal(reply.err, ZK_OK);
    assert_int_equal(reply.zxid, 3);
    assert_true(slice_eq(reply.body, SLICE_LIT("\0\0\0\4/a/e")));
    assert_true(is_global(r, session));
    assert_int_equal(expiry_count(r->serve->locals), 0);
    assert_int_equal(create(r, conn, 3, "/a/f", EPHEMERAL_SEQUENTIAL).err, ZK_OK);
    assert_int_equal(r->log_n, 4);
    struct buf b = {0};
    rig_put_head(&b, 4, OP_CLOSE_SESSION);
    assert_int_equal(ask(r, conn, &b).zxid, 5);
    assert_false(is_global(r, session));
}

// What follows before that is agreed on is asked by a global session.
static void it_becomes_global_once(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    int64_t session = rig_connect(r, conn, 10000);
    r->auto_commit = false;
    struct buf b = {0};
    rig_put_create(&b, 1, OP_CREATE, "/e", SLICE_LIT("x"), EPHEMERAL);
    rig_put_create(&b, 2, OP_CREATE2, "/f", SLICE_LIT("x"), EPHEMERAL);
    rig_put_head(&b, 3, OP_CLOSE_SESSION);
    rig_send(r, conn, buf_slice(&b));
    assert_int_equal(r->log_n, 4); // session, two nodes, its end
    rig_settle(r);
    struct rig_reply reply;
    for (int32_t xid = 1; xid <= 3; xid++) {
        assert_true(rig_next(r, conn, &reply));
        assert_int_equal(reply.xid, xid);
        assert_int_equal(reply.err, ZK_OK);
        assert_int_equal(reply.zxid, xid + 1);
    }
    assert_true(rig_eof(r, conn));
    assert_false(is_global(r, session));
    assert_int_equal(tree_ephemeral_count(r->tree), 0);
    buf_fini(&b);
}

static void put_multi_create(struct buf *b, int32_t xid, const char *path, int32_t flags)
{
    size_t at = b->n;
    struct acl open = {PERM_ALL, {SLICE_LIT("world"), SLICE_LIT("anyone")}};
    rig_put_head(b, xid, OP_MULTI);
    jute_put_record(b, &record_multi_header, &(struct multi_header){OP_DELETE, false, -1});
    jute_put_record(b, &record_delete_request, &(struct delete_request){SLICE_LIT("/gone"), -1});
    jute_put_record(b, &record_multi_header, &(struct multi_header){OP_CREATE2, false, -1});
    jute_put_record(b, &record_create_request,
                    &(struct create_request){slice_str(path), SLICE_LIT(""), {&open, 1}, flags});
    jute_put_record(b, &record_multi_header, &(struct multi_header){-1, true, -1});
    be32_put(b->p + at, (uint32_t)(b->n - at - 4));
}

static void so_does_one_inside_a_multi(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    int64_t session = rig_connect(r, conn, 10000);
    assert_int_equal(create(r, conn, 1, "/gone", 0).err, ZK_OK);
    struct buf b = {0};
    put_multi_create(&b, 2, "/e", 0);
    assert_int_equal(ask(r, conn, &b).err, ZK_OK);
    assert_false(is_global(r, session));
    assert_int_equal(create(r, conn, 3, "/gone", 0).err, ZK_OK);
    put_multi_create(&b, 4, "/f", EPHEMERAL);
    assert_int_equal(ask(r, conn, &b).err, ZK_OK);
    assert_true(is_global(r, session));
    size_t owners = 0;
    size_t cursor = 0;
    int64_t owner;
    while (tree_ephemeral_owner_next(r->tree, &cursor, &owner)) {
        assert_int_equal(owner, session);
        owners++;
    }
    assert_int_equal(owners, 1);
    conn = rig_renew(r, session, false); // the leader's business now
    assert_int_equal(session_of(r, conn), session);
    assert_int_equal(expiry_count(r->serve->locals), 0);
}

static void requests_that_do_not_decode_change_nothing(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    int64_t session = rig_connect(r, conn, 10000);
    struct buf b = {0};
    put_multi_create(&b, 2, "/e", EPHEMERAL);
    for (size_t n = 8; n < b.n - 4; n++) {
        be32_put(b.p, (uint32_t)n);
        rig_send(r, conn, slice_head(buf_slice(&b), 4 + n));
        (void)rig_rest(r, conn);
        if (is_global(r, session)) {
            break; // the create was whole, what comes behind it does not matter
        }
    }
    assert_true(is_global(r, session));
    buf_fini(&b);
}

static void a_refused_one_stays_local(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    int64_t session = rig_connect(r, conn, 10000);
    r->refuse = true;
    assert_int_equal(create(r, conn, 1, "/e", EPHEMERAL).err, ZK_SYSTEMERROR);
    r->refuse = false;
    assert_false(is_global(r, session));
    assert_int_equal(session_of(r, rig_renew(r, session, false)), session);
    assert_int_equal(r->asks_n, 0);
    assert_int_equal(expiry_count(r->serve->locals), 1);
}

// Its client went elsewhere and made it global there.
static void another_server_may_make_it_global(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    int64_t session = rig_connect(r, conn, 10000);
    struct txn txn = {.hdr = {.client_id = session, .zxid = 9, .type = OP_CREATE_SESSION}};
    txn.body.type = OP_CREATE_SESSION;
    txn.body.create_session.timeout_ms = 10000;
    struct apply_out out = {0};
    serve_on_commit(r->serve, &txn, &out, r->now, r->wall);
    serve_check(r->serve);
    assert_int_equal(expiry_count(r->serve->locals), 0);
    assert_false(rig_eof(r, conn));
    struct buf b = {0};
    rig_put_head(&b, 2, OP_CLOSE_SESSION); // so its end is everybody's
    rig_send(r, conn, buf_slice(&b));
    assert_int_equal(r->log_n, 1);
    buf_fini(&b);
}

// ---- without upgrading --------------------------------------------------------------------------

static void ephemerals_need_a_global_session(void **state)
{
    (void)state;
    struct rig *r = rig_local(false);
    r->zxid = 1ll << 32;
    uint32_t conn = rig_accept(r, 1);
    assert_true(rig_connect(r, conn, 10000) != 0);
    rig_send_hex(r, conn,
                 "000000320000000100000001000000032f6c7300000000000000010000001f00000005776f726c64"
                 "00000006616e796f6e6500000000");
    assert_string_equal(rig_rest_hex(r, conn),
                        "0000001700000001000000010000000100000000000000032f6c73");
    r->takes_locals = false; // for what it needs to know the session of
    rig_send_hex(r, conn,
                 "00000034000000020000000f000000052f6c732f6500000000000000010000001f00000005776f72"
                 "6c6400000006616e796f6e6500000001");
    assert_string_equal(rig_rest_hex(r, conn), "00000010000000020000000100000002ffffff88");
    rig_send_hex(r, conn,
                 "00000047000000030000000e0000000100ffffffff000000062f6c732f6532000000000000000100"
                 "00001f00000005776f726c6400000006616e796f6e6500000001ffffffff01ffffffff");
    assert_string_equal(
        rig_rest_hex(r, conn),
        "0000002600000003000000010000000300000000ffffffff00ffffff90ffffff90ffffffff01ffff"
        "ffff");
    assert_false(rig_eof(r, conn));
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_life_without_transactions, setup, teardown),
        cmocka_unit_test_setup_teardown(silence_ends_them, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_comes_in_its_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(they_outlive_an_election, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_ephemeral_makes_it_global, setup, teardown),
        cmocka_unit_test_setup_teardown(it_becomes_global_once, setup, teardown),
        cmocka_unit_test_setup_teardown(so_does_one_inside_a_multi, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_that_do_not_decode_change_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_refused_one_stays_local, setup, teardown),
        cmocka_unit_test_setup_teardown(another_server_may_make_it_global, setup, teardown),
        cmocka_unit_test(ephemerals_need_a_global_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
