// SPDX-License-Identifier: Apache-2.0
//
// Connections per address, tokens, large requests as figures; and what a client sees of them and of
// globalOutstandingLimit and RequestThrottler.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "serve/throttle.h"
#include "test/support/serve_rig.h"
#include "wire/ops.h"

static void counts_connections_by_address(void **state)
{
    (void)state;
    struct throttle t;
    throttle_init(&t, &(struct throttle_config){.per_addr_max = 2, .conns_max = 50}, 3);
    struct net_addr a = {.family = 4, .ip = {1}};
    assert_true(throttle_enter(&t, &a));
    assert_true(throttle_enter(&t, &a));
    assert_false(throttle_enter(&t, &a));
    for (uint8_t i = 2; i < 40; i++) {
        assert_true(throttle_enter(&t, &(struct net_addr){.family = 6, .ip = {i}}));
    }
    throttle_leave(&t, &a);
    throttle_leave(&t, &a);
    assert_true(throttle_enter(&t, &a));
    throttle_check(&t);
    while (t.conns < 50) {
        assert_true(
            throttle_enter(&t, &(struct net_addr){.family = 4, .ip = {9, (uint8_t)t.conns}}));
    }
    assert_false(throttle_enter(&t, &(struct net_addr){.family = 4, .ip = {8}}));
    throttle_check(&t);
    throttle_fini(&t);
}

static void tokens_come_back_with_time(void **state)
{
    (void)state;
    struct throttle t;
    throttle_init(
        &t, &(struct throttle_config){.tokens_max = 3, .token_fill_ms = 100, .token_fill_count = 2},
        3);
    struct mono now = {5000000000};
    for (int i = 0; i < 3; i++) {
        assert_true(throttle_token(&t, now));
    }
    assert_false(throttle_token(&t, now));
    now = mono_add_ms(now, 100);
    assert_true(throttle_token(&t, now));
    assert_true(throttle_token(&t, now));
    assert_false(throttle_token(&t, now));
    now = mono_add_ms(now, 1000000);
    for (int i = 0; i < 3; i++) {
        assert_true(throttle_token(&t, now));
    }
    assert_false(throttle_token(&t, now));
    throttle_fini(&t);
}

static void too_many_connections_are_closed_at_once(void **state)
{
    (void)state;
    struct serve_config cfg;
    rig_defaults(&cfg);
    cfg.client_cnxns_max = 2;
    struct rig *r = rig_new(&cfg);
    uint32_t a = rig_client(r);
    rig_client(r);
    uint32_t c = rig_accept(r, 1);
    assert_true(rig_eof(r, c));
    assert_int_equal(rig_rest(r, c).n, 0);
    assert_false(rig_eof(r, rig_accept(r, 2)));
    rig_hang_up(r, a);
    assert_false(rig_eof(r, rig_accept(r, 1)));
    rig_free(&r);
}

static void tokens_refuse_handshakes(void **state)
{
    (void)state;
    struct serve_config cfg;
    rig_defaults(&cfg);
    cfg.connection_tokens = 1;
    cfg.connection_token_fill_ms = 1000;
    cfg.connection_token_fill_count = 1;
    struct rig *r = rig_new(&cfg);
    rig_client(r);
    uint32_t b = rig_accept(r, 1);
    assert_int_equal(rig_connect(r, b, 4000), 0);
    assert_true(rig_eof(r, b));
    rig_advance(r, 1000);
    rig_client(r);
    rig_free(&r);
}

// 300 writes in one segment while 100 may be in process: reading stops, and all are answered in
// order in the end.
static void reading_stops_at_the_outstanding_limit(void **state)
{
    (void)state;
    struct serve_config cfg;
    rig_defaults(&cfg);
    cfg.outstanding_max = 100;
    struct rig *r = rig_new(&cfg);
    uint32_t a = rig_client(r);
    uint32_t b = rig_client(r);
    r->auto_commit = false;
    struct buf w = {0};
    for (int32_t i = 1; i <= 300; i++) {
        rig_put_set(&w, i, "/", SLICE_LIT("x"));
    }
    rig_send(r, a, buf_slice(&w));
    assert_true(r->clients[a].paused);
    assert_int_equal(r->log_n - r->log_at, 101);
    // Another connection without any in process of its own may still have one.
    rig_send(r, b, buf_slice(&w));
    assert_true(r->clients[b].paused);
    assert_int_equal(r->log_n - r->log_at, 102);
    serve_check(r->serve);
    for (int i = 0; i < 10; i++) {
        rig_advance(r, 20000); // a stuck disk: that they are not heard is not their silence
    }
    assert_false(rig_eof(r, a));
    rig_settle(r);
    struct rig_reply reply;
    for (int32_t i = 1; i <= 300; i++) {
        assert_true(rig_next(r, a, &reply));
        assert_int_equal(reply.xid, i);
        assert_true(rig_next(r, b, &reply));
        assert_int_equal(reply.xid, i);
    }
    assert_false(r->clients[a].paused);
    assert_false(r->clients[b].paused);
    buf_fini(&w);
    rig_free(&r);
}

// The log does not keep up: writers wait and are served in order afterwards, readers do not notice.
static void held_writes_stop_no_reads(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    uint32_t writer = rig_client(r);
    uint32_t reader = rig_client(r);
    uint32_t new_one = rig_accept(r, 1);
    struct buf w = {0};
    serve_hold_writes(r->serve, true);
    rig_put_read(&w, 1, OP_EXISTS, "/", false);
    rig_put_set(&w, 2, "/", SLICE_LIT("x"));
    rig_put_read(&w, 3, OP_GET_DATA, "/", false);
    rig_send(r, writer, buf_slice(&w));
    buf_clear(&w);
    rig_put_read(&w, 1, OP_GET_DATA, "/", false);
    rig_send(r, reader, buf_slice(&w));
    buf_clear(&w);
    rig_put_connect(&w, 10000, 0, SLICE_NULL, true);
    rig_send(r, new_one, buf_slice(&w));
    struct rig_reply reply;
    assert_true(rig_next(r, writer, &reply));
    assert_int_equal(reply.xid, 1);
    assert_false(rig_next(r, writer, &reply));
    assert_true(rig_next(r, reader, &reply));
    assert_int_equal(rig_rest(r, new_one).n, 0);
    serve_check(r->serve);
    for (int i = 0; i < 10; i++) {
        rig_advance(r, 20000);
    }
    assert_false(rig_eof(r, writer));
    assert_false(rig_eof(r, new_one));
    serve_hold_writes(r->serve, false);
    rig_settle(r);
    assert_true(rig_next(r, writer, &reply));
    assert_int_equal(reply.xid, 2);
    assert_true(rig_next(r, writer, &reply));
    assert_int_equal(reply.xid, 3);
    assert_int_equal(reply.body.n, 4 + 1 + 68); // what it wrote
    assert_int_equal(rig_rest(r, new_one).n, 41);
    assert_false(r->clients[writer].paused);
    serve_check(r->serve);
    buf_fini(&w);
    rig_free(&r);
}

// An xid that the outstanding limit does not count is no way past every bound.
static void bytes_in_process_are_bounded(void **state)
{
    (void)state;
    enum { DATA = 1000 * 1000, SENT = 100 };
    struct rig *r = rig_new(NULL);
    uint32_t a = rig_client(r);
    r->auto_commit = false;
    uint8_t *data = calloc(1, DATA);
    struct buf w = {0};
    rig_put_set(&w, 0, "/", slice_of(data, DATA));
    for (int i = 0; i < SENT; i++) {
        rig_send(r, a, buf_slice(&w));
    }
    assert_true(r->clients[a].paused);
    assert_true(r->log_n - r->log_at <= LIMIT_IN_PROCESS_BYTES / DATA + 1);
    serve_check(r->serve);
    rig_settle(r);
    struct rig_reply reply;
    for (int i = 0; i < SENT; i++) {
        assert_true(rig_next(r, a, &reply));
        assert_int_equal(reply.err, ZK_OK);
    }
    assert_false(r->clients[a].paused);
    free(data);
    buf_fini(&w);
    rig_free(&r);
}

static void late_requests_are_answered_throttled(void **state)
{
    (void)state;
    struct serve_config cfg;
    rig_defaults(&cfg);
    cfg.throttle_max_requests = 1;
    cfg.throttled_op_wait_ms = 50;
    struct rig *r = rig_new(&cfg);
    uint32_t a = rig_client(r);
    r->auto_commit = false;
    struct buf w = {0};
    rig_put_set(&w, 1, "/", SLICE_LIT("x"));
    rig_put_set(&w, 2, "/", SLICE_LIT("y"));
    rig_put_read(&w, 3, OP_GET_DATA, "/", false);
    rig_put_head(&w, -2, OP_PING);
    rig_send(r, a, buf_slice(&w));
    assert_int_equal(r->log_n - r->log_at, 1);
    rig_advance(r, 60);
    rig_settle(r);
    struct rig_reply reply;
    static const struct {
        int32_t xid, err;
    } want[] = {{1, ZK_OK}, {2, ZK_THROTTLEDOP}, {3, ZK_THROTTLEDOP}, {-2, ZK_OK}};
    for (size_t i = 0; i < 4; i++) {
        assert_true(rig_next(r, a, &reply));
        assert_int_equal(reply.xid, want[i].xid);
        assert_int_equal(reply.err, want[i].err);
    }
    rig_send(r, a, buf_slice(&w)); // in time now
    rig_settle(r);
    for (size_t i = 0; i < 4; i++) {
        assert_true(rig_next(r, a, &reply));
        assert_int_equal(reply.err, ZK_OK);
    }
    buf_fini(&w);
    rig_free(&r);
}

static void large_requests_share_a_budget(void **state)
{
    (void)state;
    struct serve_config cfg;
    rig_defaults(&cfg);
    cfg.large_request_threshold = 1000;
    cfg.large_request_max_bytes = 5000;
    struct rig *r = rig_new(&cfg);
    uint32_t a = rig_client(r);
    uint32_t b = rig_client(r);
    r->auto_commit = false;
    uint8_t *data = calloc(1, 3000);
    struct buf w = {0};
    rig_put_set(&w, 1, "/", slice_of(data, 3000));
    rig_send(r, a, buf_slice(&w));
    rig_send(r, b, slice_head(buf_slice(&w), 4)); // only its length
    assert_true(rig_eof(r, b));
    rig_settle(r);
    uint32_t c = rig_client(r);
    rig_send(r, c, buf_slice(&w));
    rig_settle(r);
    struct rig_reply reply;
    assert_true(rig_next(r, a, &reply));
    assert_true(rig_next(r, c, &reply));
    buf_fini(&w);
    free(data);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_connections_by_address),
        cmocka_unit_test(tokens_come_back_with_time),
        cmocka_unit_test(too_many_connections_are_closed_at_once),
        cmocka_unit_test(tokens_refuse_handshakes),
        cmocka_unit_test(reading_stops_at_the_outstanding_limit),
        cmocka_unit_test(held_writes_stop_no_reads),
        cmocka_unit_test(bytes_in_process_are_bounded),
        cmocka_unit_test(late_requests_are_answered_throttled),
        cmocka_unit_test(large_requests_share_a_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
