// SPDX-License-Identifier: Apache-2.0
//
// struct serve as a whole: replies of every kind, order of reads and writes, refused writes,
// identities, sessions that end; and random clients whose replies must come in request order.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "serve/core.h"
#include "test/support/serve_rig.h"
#include "wire/jute.h"
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

static void send(struct rig *r, uint32_t conn, struct buf *b)
{
    rig_send(r, conn, buf_slice(b));
    buf_fini(b);
    serve_check(r->serve);
}

static struct rig_reply next(struct rig *r, uint32_t conn)
{
    struct rig_reply reply;
    assert_true(rig_next(r, conn, &reply));
    return reply;
}

static void expect(struct rig *r, uint32_t conn, int32_t xid, int32_t err)
{
    struct rig_reply reply = next(r, conn);
    assert_int_equal(reply.xid, xid);
    assert_int_equal(reply.err, err);
}

static void replies_of_every_write(void **state)
{
    struct rig *r = *state;
    uint32_t c = rig_client(r);
    struct buf b = {0};
    rig_put_create(&b, 1, OP_CREATE, "/a", SLICE_LIT("x"), 0);
    rig_put_create(&b, 2, OP_CREATE2, "/b", SLICE_LIT("x"), 0);
    rig_put_create(&b, 3, OP_CREATE_CONTAINER, "/c", SLICE_LIT("x"), 4);
    rig_put_create(&b, 4, OP_CREATE, "/s-", SLICE_LIT("x"), 2);
    rig_put_set(&b, 5, "/a", SLICE_LIT("yy"));
    rig_put_delete(&b, 6, "/b");
    rig_put_delete(&b, 7, "/b");
    rig_put_path(&b, 8, OP_GET_ACL, "/a");
    rig_put_path(&b, 9, OP_GET_ALL_CHILDREN_NUMBER, "/");
    rig_put_path(&b, 10, OP_GET_EPHEMERALS, "/");
    rig_put_head(&b, 11, OP_WHO_AM_I);
    rig_put_read(&b, 12, OP_GET_CHILDREN2, "/c", false);
    send(r, c, &b);
    static const size_t body[] = {6, 6 + 68, 6 + 68, 4 + 13, 68, 0};
    for (int32_t i = 0; i < 6; i++) {
        struct rig_reply reply = next(r, c);
        assert_int_equal(reply.xid, i + 1);
        assert_int_equal(reply.zxid, i + 2);
        assert_int_equal(reply.err, 0);
        assert_int_equal(reply.body.n, body[i]);
    }
    expect(r, c, 7, ZK_NONODE);
    struct rig_reply acl = next(r, c);
    assert_int_equal(acl.zxid, 8); // what the server has applied
    assert_int_equal(acl.body.n, 4 + 4 + 9 + 10 + 68);
    assert_int_equal(be32_get(next(r, c).body.p), 3 + 3);
    assert_int_equal(be32_get(next(r, c).body.p), 0);
    assert_true(slice_eq(next(r, c).body, SLICE_LIT("\0\0\0\1\0\0\0\2ip\0\0\0\011127.0.0.1")));
    assert_int_equal(next(r, c).body.n, 4 + 68);
}

static void put_multi_part(struct buf *b, int32_t type, const struct record_type *rec,
                           const void *body)
{
    jute_put_record(b, &record_multi_header, &(struct multi_header){type, false, -1});
    jute_put_record(b, rec, body);
}

static void put_multi(struct buf *b, int32_t xid, const char *checked)
{
    size_t at = b->n;
    struct acl open = {PERM_ALL, {SLICE_LIT("world"), SLICE_LIT("anyone")}};
    struct create_request cr = {SLICE_LIT("/m"), SLICE_LIT(""), {&open, 1}, 0};
    rig_put_head(b, xid, OP_MULTI);
    put_multi_part(b, OP_CREATE, &record_create_request, &cr);
    put_multi_part(b, OP_CHECK, &record_check_version_request,
                   &(struct check_version_request){slice_str(checked), -1});
    put_multi_part(b, OP_SET_DATA, &record_set_data_request,
                   &(struct set_data_request){SLICE_LIT("/m"), SLICE_LIT("1"), -1});
    put_multi_part(b, OP_DELETE, &record_delete_request,
                   &(struct delete_request){SLICE_LIT("/m"), -1});
    cr.path = SLICE_LIT("/m2");
    put_multi_part(b, OP_CREATE2, &record_create_request, &cr);
    jute_put_record(b, &record_multi_header, &(struct multi_header){-1, true, -1});
    be32_put(b->p + at, (uint32_t)(b->n - at - 4));
}

static void multi_results(void **state)
{
    struct rig *r = *state;
    uint32_t c = rig_client(r);
    struct buf b = {0};
    put_multi(&b, 1, "/zookeeper");
    put_multi(&b, 2, "/none");
    send(r, c, &b);
    struct rig_reply ok = next(r, c);
    assert_int_equal(ok.err, 0);
    assert_int_equal(ok.body.n, (9 + 6) + 9 + (9 + 68) + 9 + (9 + 7 + 68) + 9);
    assert_int_equal(be32_get(ok.body.p), OP_CREATE);
    struct rig_reply bad = next(r, c);
    assert_int_equal(bad.err, 0);
    assert_int_equal(bad.zxid, 3);
    static const uint32_t errs[] = {0, (uint32_t)-101, (uint32_t)-2, (uint32_t)-2, (uint32_t)-2};
    assert_int_equal(bad.body.n, 5 * 13 + 9);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(be32_get(bad.body.p + i * 13), 0xffffffff);
        assert_int_equal(be32_get(bad.body.p + i * 13 + 5), errs[i]);
        assert_int_equal(be32_get(bad.body.p + i * 13 + 9), errs[i]);
    }
    assert_int_equal(bad.body.p[5 * 13 + 4], 1); // the terminator
}

static void reads_wait_for_writes_of_their_connection_only(void **state)
{
    struct rig *r = *state;
    uint32_t a = rig_client(r);
    uint32_t b = rig_client(r);
    r->auto_commit = false;
    struct buf w = {0};
    rig_put_create(&w, 1, OP_CREATE, "/n", SLICE_LIT("x"), 0);
    rig_put_read(&w, 2, OP_EXISTS, "/n", false);
    rig_put_delete(&w, 3, "/n");
    rig_put_read(&w, 4, OP_EXISTS, "/n", false);
    send(r, a, &w);
    rig_put_read(&w, 1, OP_EXISTS, "/n", false);
    send(r, b, &w);
    expect(r, b, 1, ZK_NONODE);
    struct rig_reply reply;
    assert_false(rig_next(r, a, &reply));
    assert_true(rig_commit(r));
    expect(r, a, 1, 0);
    expect(r, a, 2, 0);
    assert_false(rig_next(r, a, &reply));
    assert_true(rig_commit(r));
    expect(r, a, 3, 0);
    expect(r, a, 4, ZK_NONODE);
}

static void refused_writes_are_answered_in_turn(void **state)
{
    struct rig *r = *state;
    uint32_t c = rig_client(r);
    r->auto_commit = false;
    struct buf w = {0};
    rig_put_set(&w, 1, "/", SLICE_LIT("x"));
    send(r, c, &w);
    r->refuse = true; // the disk is full from here on
    rig_put_read(&w, 2, OP_EXISTS, "/", false);
    rig_put_set(&w, 3, "/", SLICE_LIT("y"));
    rig_put_read(&w, 4, OP_EXISTS, "/", false);
    send(r, c, &w);
    struct rig_reply reply;
    assert_false(rig_next(r, c, &reply));
    rig_settle(r);
    expect(r, c, 1, 0);
    expect(r, c, 2, 0);
    expect(r, c, 3, ZK_SYSTEMERROR);
    expect(r, c, 4, 0);
    uint32_t fresh = rig_accept(r, 1);
    assert_int_equal(rig_connect(r, fresh, 4000), 0);
    assert_true(rig_eof(r, fresh));
    r->refuse = false;
    rig_put_set(&w, 5, "/", SLICE_LIT("y"));
    send(r, c, &w);
    rig_settle(r);
    expect(r, c, 5, 0);
}

// A refused transaction may be of another type than what was asked.
static void refusal_by_xid(void **state)
{
    struct rig *r = *state;
    uint32_t c = rig_accept(r, 1);
    int64_t session = rig_connect(r, c, 10000);
    r->auto_commit = false;
    struct buf w = {0};
    rig_put_set(&w, 1, "/none", SLICE_LIT("x"));
    send(r, c, &w);
    serve_on_refuse(r->serve, session, 9, OP_SET_DATA, ZK_SYSTEMERROR, r->now, r->wall);
    serve_on_refuse(r->serve, session, 1, OP_CLOSE_SESSION, ZK_SYSTEMERROR, r->now, r->wall);
    rig_settle(r);
    expect(r, c, 1, ZK_NONODE);
    rig_put_set(&w, 2, "/none", SLICE_LIT("x"));
    send(r, c, &w);
    serve_on_refuse(r->serve, session, 2, OP_ERROR, ZK_SYSTEMERROR, r->now, r->wall);
    rig_advance(r, 1);
    expect(r, c, 2, ZK_SYSTEMERROR);
    rig_settle(r); // the transaction came through nevertheless: nobody waits for it
    struct rig_reply reply;
    assert_false(rig_next(r, c, &reply));
}

static void sync_echoes_its_path(void **state)
{
    struct rig *r = *state;
    uint32_t c = rig_client(r);
    struct buf w = {0};
    rig_put_path(&w, 1, OP_SYNC, "/x");
    rig_put_path(&w, 2, OP_SYNC, NULL);
    rig_put_read(&w, 3, OP_EXISTS, "/", false);
    send(r, c, &w);
    assert_true(slice_eq(next(r, c).body, SLICE_LIT("\0\0\0\2/x")));
    assert_true(slice_eq(next(r, c).body, SLICE_LIT("\377\377\377\377")));
    expect(r, c, 3, 0);
}

static void auth_packets(void **state)
{
    struct rig *r = *state;
    uint32_t c = rig_client(r);
    struct buf w = {0};
    rig_put_auth(&w, -4, "digest", SLICE_LIT("user:pass"));
    rig_put_head(&w, 1, OP_WHO_AM_I);
    rig_put_auth(&w, 77, "ip", SLICE_NULL);
    rig_put_path(&w, 5, OP_SASL, "");
    rig_put_auth(&w, -4, "bogus", SLICE_LIT("x"));
    rig_put_head(&w, 2, OP_WHO_AM_I);
    send(r, c, &w);
    struct rig_reply reply = next(r, c);
    assert_int_equal(reply.xid, -4);
    assert_int_equal(reply.zxid, 0);
    assert_int_equal(be32_get(next(r, c).body.p), 2);
    expect(r, c, 77, 0);
    reply = next(r, c);
    assert_int_equal(reply.xid, 5);
    assert_int_equal(reply.zxid, 0);
    assert_true(slice_eq(reply.body, SLICE_LIT("\377\377\377\377")));
    expect(r, c, -4, ZK_AUTHFAILED);
    assert_false(rig_next(r, c, &reply));
    assert_true(rig_eof(r, c));
}

// A write in the same segment before the auth packet goes by what the connection was then.
static void identities_are_those_at_arrival(void **state)
{
    struct rig *r = *state;
    uint32_t c = rig_client(r);
    struct acl only = {PERM_ALL, {SLICE_LIT("auth"), SLICE_LIT("")}};
    struct create_request cr = {SLICE_LIT("/s"), SLICE_LIT(""), {&only, 1}, 0};
    struct buf w = {0};
    for (int32_t xid = 1; xid <= 2; xid++) {
        size_t at = w.n;
        rig_put_head(&w, xid, OP_CREATE);
        jute_put_record(&w, &record_create_request, &cr);
        be32_put(w.p + at, (uint32_t)(w.n - at - 4));
        rig_put_auth(&w, -4, "digest", SLICE_LIT("user:pass"));
    }
    send(r, c, &w);
    expect(r, c, -4, 0); // at once, as Apache
    expect(r, c, -4, 0);
    expect(r, c, 1, ZK_INVALIDACL);
    expect(r, c, 2, 0);
}

static void enforced_auth(void **state)
{
    (void)state;
    struct serve_config cfg;
    rig_defaults(&cfg);
    cfg.enforce_auth = true;
    cfg.enforce_auth_schemes = "sasl,digest";
    struct rig *r = rig_new(&cfg);
    uint32_t a = rig_client(r);
    struct buf w = {0};
    rig_put_head(&w, -2, OP_PING);
    send(r, a, &w);
    struct rig_reply reply = next(r, a);
    assert_int_equal(reply.xid, -2);
    assert_int_equal(reply.err, ZK_SESSIONCLOSEDREQUIRESASLAUTH);
    assert_int_equal(reply.zxid, 0);
    assert_true(rig_eof(r, a));
    uint32_t b = rig_client(r);
    rig_put_auth(&w, -4, "digest", SLICE_LIT("user:pass"));
    rig_put_head(&w, -2, OP_PING);
    send(r, b, &w);
    expect(r, b, -4, 0);
    expect(r, b, -2, 0);
    rig_free(&r);
}

static void expiry_closes_the_connection(void **state)
{
    struct rig *r = *state;
    uint32_t c = rig_accept(r, 1);
    int64_t session = rig_connect(r, c, 10000);
    struct buf w = {0};
    rig_put_create(&w, 0, OP_CREATE, "/e", SLICE_LIT(""), 1);
    send(r, c, &w);
    expect(r, c, 0, 0);
    r->auto_commit = false;
    rig_put_set(&w, 0, "/e", SLICE_LIT("x")); // xid 0, as the server's own transactions have
    send(r, c, &w);
    struct mono heard;
    assert_true(serve_last_heard(r->serve, session, &heard));
    assert_int_equal(heard.ns, r->now.ns);
    struct txn txn = {.hdr = {session, 0, tree_zxid(r->tree) + 1, 0, OP_CLOSE_SESSION},
                      .body = {.type = OP_CLOSE_SESSION, .close_session = {{NULL, 0}}}};
    struct apply_out out = {0};
    serve_on_commit(r->serve, &txn, &out, r->now, r->wall);
    rig_advance(r, 1);
    assert_true(rig_eof(r, c));
    assert_int_equal(rig_rest(r, c).n, 0);
    assert_false(serve_last_heard(r->serve, session, &heard));
}

// A connection whose requests are a lot of work each is served in rounds, others in between.
static void long_work_is_done_in_turns(void **state)
{
    enum { REQUESTS = 100, CHILDREN = 6000 };
    struct rig *r = *state;
    uint32_t busy = rig_client(r);
    uint32_t other = rig_client(r);
    struct buf w = {0};
    rig_put_create(&w, 1, OP_CREATE, "/n", SLICE_LIT(""), 0);
    send(r, busy, &w);
    expect(r, busy, 1, 0);
    for (int i = 0; i < CHILDREN; i++) {
        rig_put_create(&w, 1, OP_CREATE, "/n/c-", SLICE_LIT(""), 2);
        send(r, busy, &w);
        expect(r, busy, 1, 0);
    }
    r->one_round = true;
    for (int32_t i = 1; i <= REQUESTS; i++) {
        rig_put_path(&w, i, OP_GET_ALL_CHILDREN_NUMBER, "/n");
    }
    send(r, busy, &w);
    assert_true(serve_wants_turn(r->serve));
    rig_put_read(&w, 1, OP_EXISTS, "/n", false);
    send(r, other, &w);
    expect(r, other, 1, 0);
    int32_t answered = 0;
    int rounds = 0;
    for (; answered < REQUESTS && rounds < 100; rounds++) {
        struct rig_reply reply;
        while (rig_next(r, busy, &reply)) {
            assert_int_equal(reply.xid, ++answered);
            assert_int_equal(be32_get(reply.body.p), CHILDREN);
        }
        serve_on_turn(r->serve, r->now, r->wall);
        rig_advance(r, 1);
        serve_check(r->serve);
    }
    assert_int_equal(answered, REQUESTS);
    assert_in_range(rounds, 2, 10);
    assert_false(serve_wants_turn(r->serve));
    assert_false(r->clients[busy].paused);
}

static void large_replies_are_named_in_the_log(void **state)
{
    struct rig *r = *state;
    uint32_t c = rig_client(r);
    uint8_t *data = calloc(1, 1048000);
    struct buf w = {0};
    rig_put_create(&w, 1, OP_CREATE, "/n", slice_of(data, 1048000), 0);
    send(r, c, &w);
    free(data);
    expect(r, c, 1, 0);
    size_t lines = r->logged;
    for (int i = 0; i < 3; i++) {
        rig_put_read(&w, 2, OP_GET_DATA, "/n", false);
        send(r, c, &w);
        expect(r, c, 2, 0); // 1048072 bytes: allowed
    }
    assert_int_equal(r->logged, lines);
    for (int32_t i = 0; i < 300; i++) {
        char path[4100];
        memset(path, 'x', sizeof(path));
        snprintf(path, sizeof(path), "/zookeeper/%04d", i);
        path[15] = 'x';
        path[4000] = 0;
        rig_put_create(&w, 1, OP_CREATE, path, SLICE_LIT(""), 0);
        send(r, c, &w);
        expect(r, c, 1, 0);
    }
    lines = r->logged;
    for (int i = 0; i < 3; i++) {
        rig_put_read(&w, 2, OP_GET_CHILDREN, "/zookeeper", false);
        send(r, c, &w);
        assert_true(next(r, c).body.n > 1048575);
    }
    assert_int_equal(r->logged, lines + 1);
    rig_advance(r, 3000);
    rig_advance(r, 3000);
    assert_false(rig_eof(r, c));
}

// ---- random clients -----------------------------------------------------------------------------

enum { CLIENTS = 8, ASKED_MAX = 20000 };

struct asked {
    int32_t xids[ASKED_MAX];
    size_t n, answered;
    int64_t zxid;
    struct buf bytes; // not sent yet
    uint32_t conn;
    bool slow;
};

static void ask(struct asked *a, struct rng *g)
{
    static const char *const paths[] = {"/", "/a", "/b", "/a/c", "/none", ""};
    const char *path = paths[rng_below(g, 6)];
    int32_t xid = (int32_t)a->n + 1;
    struct buf *b = &a->bytes;
    switch (rng_below(g, 12)) {
    case 0:
        rig_put_create(b, xid, OP_CREATE2, path, SLICE_LIT("data"), (int32_t)rng_below(g, 4));
        break;
    case 1:
        rig_put_delete(b, xid, path);
        break;
    case 2:
    case 3:
        rig_put_set(b, xid, path, SLICE_LIT("more data"));
        break;
    case 4:
        put_multi(b, xid, path);
        break;
    case 5:
        rig_put_path(b, xid, OP_SYNC, path);
        break;
    case 6:
        rig_put_int(b, xid, OP_ADD_WATCH, path, (int32_t)rng_below(g, 3));
        break;
    case 7:
        xid = -2;
        rig_put_head(b, xid, OP_PING);
        break;
    case 8:
        rig_put_head(b, xid, OP_WHO_AM_I);
        break;
    default:
        rig_put_read(b, xid, rng_chance(g, 1, 2) ? OP_GET_DATA : OP_GET_CHILDREN, path,
                     rng_chance(g, 1, 3));
        break;
    }
    a->xids[a->n++] = xid;
}

static void take_answers(struct rig *r, struct asked *a)
{
    struct rig_reply reply;
    while (rig_next(r, a->conn, &reply)) {
        if (reply.xid == -1) {
            continue;
        }
        assert_true(a->answered < a->n);
        assert_int_equal(reply.xid, a->xids[a->answered]);
        a->answered++;
        assert_true(reply.zxid >= a->zxid);
        a->zxid = reply.zxid;
    }
}

// ---- reconfig: golden group "reconfig", its last answer ----------------------------------------

static const char members_5[] = "server.1=127.0.0.1:21813:21816:participant;127.0.0.1:21810\n"
                                "server.2=127.0.0.1:21814:21817:participant;127.0.0.1:21811\n"
                                "server.3=127.0.0.1:21815:21818:participant;127.0.0.1:21812\n"
                                "version=100000005";

// Type 16, which only the leader of an ensemble makes.
static void commit_reconfig(struct rig *r, int64_t session, int32_t cxid)
{
    buf_fini(&r->log[r->log_at++]); // a standalone server would not
    struct txn txn = {.hdr = {.client_id = session,
                              .cxid = cxid,
                              .zxid = 0x100000005,
                              .time = 0x1a1fb1580ea,
                              .type = OP_RECONFIG}};
    txn.body.type = OP_RECONFIG;
    txn.body.set_data = (struct set_data_txn){SLICE_LIT("/zookeeper/config"),
                                              slice_of(members_5, sizeof(members_5) - 1), -1};
    struct arena a = {0};
    struct apply_out out = {0};
    apply_txn(r->tree, &txn, &a, &out);
    serve_on_commit(r->serve, &txn, &out, r->now, r->wall);
    arena_fini(&a);
    rig_settle(r);
}

static void reconfig_answers_with_the_new_members(void **state)
{
    struct rig *r = *state;
    r->zxid = 1ll << 32;
    uint32_t conn = rig_accept(r, 1);
    int64_t session = rig_connect(r, conn, 10000);
    uint32_t watcher = rig_client(r);
    struct buf b = {0};
    rig_put_read(&b, 1, OP_GET_DATA, "/zookeeper/config", true);
    rig_send(r, watcher, buf_slice(&b));
    (void)rig_rest(r, watcher);
    r->auto_commit = false;
    static const uint8_t request[] = {0,   0,   0,   0x1d, 0,   0,   0,   5,   0,   0,   0,
                                      16,  255, 255, 255,  255, 0,   0,   0,   1,   '9', 255,
                                      255, 255, 255, 255,  255, 255, 255, 255, 255, 255, 255};
    rig_send(r, conn, slice_of(request, sizeof(request)));
    assert_int_equal(r->log_n - r->log_at, 1);
    commit_reconfig(r, session, 5);
    struct slice got = rig_rest(r, conn);
    buf_clear(&b);
    for (size_t i = 0; i < got.n; i++) {
        buf_fmt(&b, "%02x", got.p[i]);
    }
    buf_put_u8(&b, 0);
    assert_string_equal(
        (const char *)b.p,
        "0000011a00000005000000010000000500000000000000c27365727665722e313d3132372e302e30"
        "2e313a32313831333a32313831363a7061727469636970616e743b3132372e302e302e313a323138"
        "31300a7365727665722e323d3132372e302e302e313a32313831343a32313831373a706172746963"
        "6970616e743b3132372e302e302e313a32313831310a7365727665722e333d3132372e302e302e31"
        "3a32313831353a32313831383a7061727469636970616e743b3132372e302e302e313a3231383132"
        "0a76657273696f6e3d31303030303030303500000000000000000000000100000005000000000000"
        "0000000001a1fb1580eaffffffff00000000ffffffff0000000000000000000000c2000000000000"
        "000000000000");
    struct rig_reply note;
    assert_true(rig_next(r, watcher, &note));
    assert_int_equal(note.xid, -1);
    assert_int_equal(be32_get(note.body.p), 3);
    assert_true(slice_eq(slice_skip(note.body, 12), SLICE_LIT("/zookeeper/config")));
    buf_fini(&b);
}

static void random_step(struct rig *r, struct asked *a, struct rng *g)
{
    switch (rng_below(g, 8)) {
    case 0:
    case 1:
    case 2:
        for (uint64_t i = rng_below(g, 30); i > 0 && a->n < ASKED_MAX; i--) {
            ask(a, g);
        }
        break;
    case 3:
    case 4: {
        size_t n = rng_below(g, a->bytes.n + 1);
        rig_send(r, a->conn, slice_head(buf_slice(&a->bytes), n));
        buf_consume(&a->bytes, n);
        break;
    }
    case 5:
        for (uint64_t i = rng_below(g, 10); i > 0; i--) {
            rig_commit(r);
        }
        break;
    case 6:
        a->slow = !a->slow;
        rig_slow(r, a->conn, a->slow);
        break;
    case 7:
        rig_advance(r, (int64_t)rng_below(g, 20));
        break;
    }
    take_answers(r, a);
    serve_check(r->serve);
}

static void random_clients(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct rng g = {seed};
        struct serve_config cfg;
        rig_defaults(&cfg);
        cfg.outstanding_max = (int32_t)(10 + rng_below(&g, 100));
        cfg.throttle_max_requests = seed % 3 == 0 ? 40 : 0;
        struct rig *r = rig_new(&cfg);
        struct asked *all = calloc(CLIENTS, sizeof(*all));
        for (int i = 0; i < CLIENTS; i++) {
            all[i].conn = rig_client(r);
        }
        r->auto_commit = false;
        for (int step = 0; step < 800; step++) {
            random_step(r, &all[rng_below(&g, CLIENTS)], &g);
        }
        for (int i = 0; i < CLIENTS; i++) {
            rig_send(r, all[i].conn, buf_slice(&all[i].bytes));
            rig_slow(r, all[i].conn, false);
        }
        rig_settle(r);
        for (int i = 0; i < CLIENTS; i++) {
            take_answers(r, &all[i]);
            assert_int_equal(all[i].answered, all[i].n);
            assert_true(all[i].n > 100);
            assert_false(r->clients[all[i].conn].paused);
            buf_fini(&all[i].bytes);
        }
        tree_check(r->tree);
        free(all);
        rig_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(replies_of_every_write, setup, teardown),
        cmocka_unit_test_setup_teardown(multi_results, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_wait_for_writes_of_their_connection_only, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(refused_writes_are_answered_in_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(refusal_by_xid, setup, teardown),
        cmocka_unit_test_setup_teardown(sync_echoes_its_path, setup, teardown),
        cmocka_unit_test_setup_teardown(auth_packets, setup, teardown),
        cmocka_unit_test_setup_teardown(identities_are_those_at_arrival, setup, teardown),
        cmocka_unit_test(enforced_auth),
        cmocka_unit_test_setup_teardown(expiry_closes_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(long_work_is_done_in_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(large_replies_are_named_in_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(reconfig_answers_with_the_new_members, setup, teardown),
        cmocka_unit_test(random_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
