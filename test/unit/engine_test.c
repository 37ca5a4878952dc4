// SPDX-License-Identifier: Apache-2.0
//
// The client's engine: finding a server, requests and their answers, lost connections, time limits.
// The servers are played by the test.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/endian.h"
#include "test/support/engine_rig.h"
#include "wire/ops.h"

#define LOST_A "the connection to a:2181 is lost: "

static const struct reeve_options plain;

// ---- finding a server ---------------------------------------------------------------------------

static void a_silent_dial_gets_company(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.servers = "a,b,c,d"});
    erig_wait(r, 249);
    erig_expect(r, "dial 0 a:2181\n");
    erig_wait(r, 1);
    erig_expect(r, "dial 1 b:2181\n");
    erig_wait(r, 250);
    erig_expect(r, "dial 2 c:2181\n");
    erig_wait(r, 1500);
    erig_expect(r, ""); // no more than three
    erig_dialed(r, 1);
    erig_expect(r, "cut 0\ncut 2\n");
    assert_int_equal(r->links[1].n, 4 + 45);
    erig_accept(r, 1, 9, 4000, false);
    erig_expect(r, "state CONNECTED 9 4000 renewed\n");
    erig_free(r);
}

static void a_refused_dial_is_followed_at_once(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.servers = "a,b"});
    erig_run(r);
    erig_gone(r, 0, "connection refused");
    erig_expect(r, "dial 0 a:2181\ndial 0 b:2181\n");
    erig_gone(r, 0, "connection refused");
    erig_expect(r, ""); // a round has failed: now it waits
    erig_wait(r, 51);
    erig_expect(r, "dial 0 a:2181\n");
    erig_free(r);
}

static void dials_without_end_are_given_up(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.servers = "a", .session_timeout_ms = 1000});
    erig_wait(r, 999);
    erig_expect(r, "dial 0 a:2181\n");
    erig_wait(r, 1);
    erig_expect(r, "cut 0\n");
    erig_wait(r, 60);
    erig_expect(r, "dial 0 a:2181\n");
    erig_free(r);
}

static void a_dial_that_was_cut_is_tried_again_in_its_round(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.servers = "a,b"});
    assert_true(engine_deadline(r->e).ns == r->now.ns);
    erig_wait(r, 250);
    erig_dialed(r, 1);
    erig_expect(r, "dial 0 a:2181\ndial 1 b:2181\ncut 0\n");
    erig_gone(r, 1, "");
    erig_expect(r, "dial 0 a:2181\n");
    erig_free(r);
}

static void no_answer_to_a_dial_is_a_cause(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.servers = "a,b", .session_timeout_ms = 1000});
    erig_get(r, "/x");
    erig_wait(r, 1000);
    assert_true(erig_saw(r, "done get /x -4 (no server: a:2181: no connection in time; b:2181: no "
                            "connection in time)\n"));
    erig_free(r);
}

static void failed_rounds_are_no_hot_loop(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.servers = "a,b,c"});
    erig_run(r);
    int dials = 0;
    for (int64_t t = 0; t < 60000; t++) {
        for (uint32_t i = 0; i < ENGINE_LINKS_MAX; i++) {
            if (r->links[i].open) {
                dials++;
                if (dials % 2) {
                    erig_gone(r, i, "connection refused");
                } else {
                    erig_dialed(r, i); // accepted, and closed at once
                    erig_gone(r, i, "");
                }
            }
        }
        erig_wait(r, 1);
    }
    // About two rounds in a second, once it has slowed down.
    assert_in_range(dials, 3 * 60, 3 * 60 * 4);
    erig_free(r);
}

static void a_server_that_holds_the_handshake_is_left(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.servers = "a,b", .session_timeout_ms = 4000});
    erig_run(r);
    erig_dialed(r, 0);
    erig_forget(r);
    erig_wait(r, 1999);
    erig_expect(r, "");
    erig_wait(r, 1);
    erig_expect(r, "cut 0\ndial 0 b:2181\n");
    erig_dialed(r, 0);
    erig_wait(r, 2000);
    erig_expect(r, "cut 0\n");
    erig_wait(r, 51);
    erig_expect(r, "dial 0 a:2181\n");
    erig_dialed(r, 0);
    erig_wait(r, 3999); // twice as long in the second round
    erig_expect(r, "");
    erig_accept(r, 0, 3, 4000, false);
    erig_expect(r, "state CONNECTED 3 4000 renewed\n");
    erig_free(r);
}

static void a_stopped_server_among_others_costs_little(void **state)
{
    (void)state;
    struct erig *r =
        erig_new((struct reeve_options){.servers = "a,b,c", .session_timeout_ms = 30000});
    erig_run(r);
    erig_dialed(r, 0);
    erig_forget(r);
    erig_wait(r, 1999);
    erig_expect(r, "");
    erig_wait(r, 1); // not the ten seconds that are its share
    erig_expect(r, "cut 0\ndial 0 b:2181\n");
    erig_free(r);
}

// Three of four servers are gone without a word, and the session asked for is to last two hours.
static void a_long_session_makes_nobody_wait_long(void **state)
{
    (void)state;
    struct erig *r =
        erig_new((struct reeve_options){.servers = "a,b,c,d", .session_timeout_ms = 7200000});
    erig_wait(r, 2501);
    assert_true(erig_saw(r, "d:2181\n"));
    erig_free(r);
    r = erig_new((struct reeve_options){.servers = "a", .session_timeout_ms = 7200000});
    for (int64_t ms = 10000; ms <= 40000; ms *= 2) { // takes connections, and forgets them
        erig_run(r);
        erig_dialed(r, 0);
        erig_forget(r);
        erig_wait(r, ms - 1);
        erig_expect(r, "");
        erig_wait(r, 1);
        erig_expect(r, "cut 0\n");
        erig_wait(r, 1001);
    }
    erig_free(r);
}

static void until_dialed(struct erig *r)
{
    while (!r->links[0].open) {
        erig_wait(r, 1);
    }
    erig_dialed(r, 0);
}

static void expect_patience(struct erig *r, int64_t ms)
{
    erig_forget(r);
    erig_wait(r, ms - 1);
    erig_expect(r, "");
    erig_wait(r, 1);
    erig_expect(r, "cut 0\n");
}

// Apache 3.8 forgets a connection that comes while it starts: neither an answer nor its end.
static void a_lone_server_is_asked_again_before_the_session_is_at_risk(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.servers = "a", .session_timeout_ms = 30000});
    erig_run(r);
    erig_dialed(r, 0);
    erig_forget(r);
    erig_wait(r, 5000); // a new session may take a slow server its time
    erig_expect(r, "");
    erig_accept(r, 0, 3, 30000, false);
    erig_gone(r, 0, "");
    for (int refused = 0; refused < 5;) { // it starts: that makes nobody more patient
        if (r->links[0].open) {
            erig_gone(r, 0, "connection refused");
            refused++;
        }
        erig_wait(r, 1);
    }
    until_dialed(r);
    expect_patience(r, 2000);
    until_dialed(r);
    expect_patience(r, 4000);
    until_dialed(r);
    erig_accept(r, 0, 3, 30000, false); // it answers: the next silence is the first again
    erig_gone(r, 0, "");
    until_dialed(r);
    expect_patience(r, 2000);
    erig_free(r);
}

static void waiting_requests_fail_with_what_every_server_said(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.servers = "a,b", .session_timeout_ms = 2000});
    erig_get(r, "/x");
    erig_gone(r, 0, "connection refused");
    erig_gone(r, 0, "no such name");
    erig_forget(r);
    for (int i = 0; i < 100; i++) { // both go on like this
        for (uint32_t k = 0; k < ENGINE_LINKS_MAX; k++) {
            if (r->links[k].open) {
                bool a = r->links[k].host[0] == 'a';
                erig_gone(r, k, a ? "connection refused" : "no such name");
            }
        }
        erig_wait(r, i < 99 ? 20 : 19);
    }
    assert_false(erig_saw(r, "done"));
    erig_wait(r, 1);
    assert_true(erig_saw(r,
                         "done get /x -4 (no server: a:2181: connection refused; b:2181: no such "
                         "name)\n"));
    erig_free(r);
}

static void a_failed_handshake_is_a_cause_too(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.servers = "a,b", .session_timeout_ms = 1000});
    erig_get(r, "/x");
    for (int t = 0; t < 1000; t++) {
        if (r->links[0].open) {
            erig_dialed(r, 0);
            if (r->links[0].host[0] == 'a') {
                erig_send(r, 0, "HTTP", 4);
            } else {
                erig_gone(r, 0, "");
            }
        }
        erig_wait(r, 1);
    }
    assert_true(erig_saw(r, "done get /x -4 (no server: a:2181: it does not speak ZooKeeper's "
                            "protocol; b:2181: the server closed the connection)\n"));
    erig_free(r);
}

static void what_came_in_is_looked_at_at_once(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    assert_true(engine_deadline(r->e).ns > r->now.ns);
    size_t room;
    (void)engine_recv_space(r->e, 0, &room);
    engine_received(r->e, 0, 1);
    assert_true(engine_deadline(r->e).ns == r->now.ns);
    erig_run(r);
    engine_on_gone(r->e, 0, "");
    assert_true(engine_deadline(r->e).ns == r->now.ns);
    r->links[0].open = false;
    erig_run(r);
    engine_on_dialed(r->e, erig_link(r, NULL));
    assert_true(engine_deadline(r->e).ns == r->now.ns);
    erig_run(r);
    engine_close(r->e, true);
    assert_true(engine_deadline(r->e).ns == r->now.ns);
    erig_free(r);
}

static void what_waits_is_sent_in_order_as_soon_as_there_is_a_session(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){0});
    erig_get(r, "/1");
    erig_set(r, "/2");
    erig_dialed(r, 0);
    assert_int_equal(r->links[0].n, 49);
    erig_accept(r, 0, 7, 6000, false);
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_serve(r, 0, OP_SET_DATA, 2, -110);
    erig_expect(r,
                "dial 0 a:2181\nstate CONNECTED 7 6000 renewed\ndone get /1 0\ndone set /2 -110\n");
    struct reeve_session s;
    engine_get_session(r->e, &s);
    assert_int_equal(s.zxid, 2);
    assert_string_equal(s.server, "a:2181");
    erig_free(r);
}

static void the_handshake_says_what_is_known(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.read_only = true});
    erig_get(r, "/x");
    erig_serve(r, 0, OP_GET_DATA, 77, 0);
    erig_gone(r, 0, "");
    erig_dialed(r, 0);
    assert_true(erig_take(r, 0));
    // Version and the first half of the zxid are what erig_take() reads as a header.
    assert_int_equal(r->frame.n, 37);
    assert_int_equal(be32_get(r->frame.body), 77);
    assert_int_equal(be32_get(r->frame.body + 4), 10000);
    assert_int_equal(be64_get(r->frame.body + 8), 7);
    assert_int_equal(be32_get(r->frame.body + 16), 16);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(r->frame.body[20 + i], 7);
    }
    assert_int_equal(r->frame.body[36], 1);
    erig_free(r);
}

// ---- lost connections ---------------------------------------------------------------------------

static void reads_are_asked_again_and_writes_fail_together(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_get(r, "/1");
    erig_set(r, "/2");
    r->stuck = true;
    erig_get(r, "/3");
    erig_set(r, "/4");
    erig_gone(r, 0, "reset");
    erig_expect(r, "state SUSPENDED (" LOST_A "reset)\n"
                   "done set /2 -4 maybe_done (" LOST_A "reset)\n"
                   "done set /4 -4 (" LOST_A "reset)\n"
                   "dial 0 b:2181\n");
    r->stuck = false;
    erig_set(r, "/5"); // after the loss: waits
    erig_reconnect(r);
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_serve(r, 0, OP_SET_DATA, 2, 0);
    erig_expect(r, "state CONNECTED 7 6000\ndone get /1 0\ndone get /3 0\ndone set /5 0\n");
    erig_free(r);
}

// A write that was not sent waits for the next connection if no write before it is lost: it may
// have been submitted after the connection had ended, before anybody knew.
static void writes_behind_nothing_that_is_lost_wait(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.request_timeout_ms = 700});
    erig_get(r, "/1");
    r->stuck = true;
    erig_get(r, "/2");
    struct reeve_request q = {.op = REEVE_OP_SET, .path = "/3", .timeout_ms = 5000};
    struct call *c;
    engine_on_gone(r->e, 0, "reset"); // what is submitted now finds the link gone
    struct reeve_allocator a = erig_allocator(r);
    assert_int_equal(call_new(&a, "", 1000, &q, &c), REEVE_OK);
    c->submitted = r->now;
    engine_submit(r->e, c);
    r->submitted++;
    r->links[0].open = false;
    erig_run(r);
    erig_expect(r, "state SUSPENDED (" LOST_A "reset)\ndial 0 b:2181\n");
    r->stuck = false;
    erig_reconnect(r);
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_serve(r, 0, OP_SET_DATA, 2, 0);
    erig_expect(r, "state CONNECTED 7 6000\ndone get /1 0\ndone get /2 0\ndone set /3 0\n");
    erig_free(r);
}

static void maybe_done_needs_the_last_byte(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < 2; cut++) {
        struct erig *r = erig_connected(plain);
        r->stuck = true;
        erig_set(r, "/x");
        struct slice s = engine_output(r->e, 0);
        engine_sent(r->e, 0, s.n - cut);
        erig_gone(r, 0, "reset");
        assert_int_equal(erig_saw(r, "done set /x -4 maybe_done"), cut == 0);
        assert_true(erig_saw(r, "done set /x -4"));
        erig_free(r);
    }
}

static void a_read_is_sent_three_times(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.servers = "a"});
    erig_get(r, "/poison");
    erig_forget(r);
    for (int i = 0; i < 2; i++) {
        erig_wait(r, 1000);
        erig_gone(r, 0, "reset");
        assert_false(erig_saw(r, "done"));
        erig_reconnect(r);
    }
    erig_wait(r, 1000);
    erig_gone(r, 0, "reset");
    assert_true(erig_saw(r, "done get /poison -4 (" LOST_A "reset)\n"));
    erig_free(r);
}

static void a_connection_that_lived_is_replaced_at_once_another_after_a_wait(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.servers = "a"});
    erig_wait(r, 1000);
    erig_gone(r, 0, "reset");
    assert_true(erig_saw(r, "dial 0 a:2181\n"));
    erig_reconnect(r);
    erig_forget(r);
    erig_wait(r, 900);
    erig_gone(r, 0, "reset");
    assert_false(erig_saw(r, "dial"));
    erig_wait(r, 51);
    assert_true(erig_saw(r, "dial 0 a:2181\n"));
    erig_free(r);
}

// ---- time limits --------------------------------------------------------------------------------

static void an_unsent_request_times_out_alone(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.request_timeout_ms = 500});
    erig_set(r, "/x");
    erig_submit(r, &(struct reeve_request){.op = REEVE_OP_GET, .path = "/y", .timeout_ms = 100});
    erig_wait(r, 99);
    assert_false(erig_saw(r, "done"));
    erig_wait(r, 1);
    assert_true(erig_saw(r, "done get /y -7 (it could not be sent within 100 ms)\n"));
    erig_wait(r, 399);
    assert_false(erig_saw(r, "done set"));
    erig_wait(r, 1);
    assert_true(erig_saw(r, "done set /x -7 (it could not be sent within 500 ms)\n"));
    erig_free(r);
}

static void a_sent_one_takes_the_connection_with_it(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.request_timeout_ms = 700});
    erig_get(r, "/1");
    erig_set(r, "/2");
    erig_submit(r, &(struct reeve_request){.op = REEVE_OP_GET, .path = "/3", .timeout_ms = 5000});
    erig_wait(r, 699);
    erig_expect(r, "");
    erig_wait(r, 1);
    erig_expect(r, "state SUSPENDED (" LOST_A "a request was not answered in time)\n"
                   "done get /1 -7 (no answer within 700 ms)\n"
                   "done set /2 -7 maybe_done (no answer within 700 ms)\n"
                   "cut 0\ndial 0 b:2181\n");
    erig_reconnect(r);
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_expect(r, "state CONNECTED 7 6000\ndone get /3 0\n");
    erig_free(r);
}

static void many_time_limits_cost_few_looks(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.session_timeout_ms = 60000});
    for (int i = 0; i < 300; i++) {
        erig_submit(
            r, &(struct reeve_request){.op = REEVE_OP_GET, .path = "/x", .timeout_ms = 1000 + i});
    }
    int wakes = 0;
    struct mono end = mono_add_ms(r->now, 1500);
    while (engine_deadline(r->e).ns < end.ns) {
        struct mono at = engine_deadline(r->e);
        assert_true(at.ns >= r->now.ns);
        r->now = at;
        engine_set_now(r->e, r->now);
        erig_run(r);
        wakes++;
    }
    assert_int_equal(r->done, 300);
    assert_in_range(wakes, 1, 60);
    erig_free(r);
}

// ---- answers ------------------------------------------------------------------------------------

static void watches_fire_before_the_answers_behind_them(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.servers = "a,b/app"});
    erig_get_watch(r, "/x");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_submit(r, &(struct reeve_request){.op = REEVE_OP_ADD_WATCH,
                                           .path = "/",
                                           .kind = REEVE_WATCH_RECURSIVE,
                                           .watch = {erig_watch_fn, NULL}});
    assert_true(erig_take(r, 0));
    erig_answer(r, 0, r->frame.xid, 1, 0, "\0\0\0", 4);
    erig_get(r, "/x");
    erig_event(r, 0, 3, "/app/x");
    erig_serve(r, 0, OP_GET_DATA, 2, 0);
    erig_event(r, 0, 1, "/app");
    erig_event(r, 0, 3, "/elsewhere");
    erig_expect(r, "done get /x 0 watching\ndone add_watch / 0 watching\n"
                   "watch 3 /x last\nwatch 3 /x\n"
                   "done get /x 0\nwatch 1 /\n");
    engine_close(r->e, false);
    erig_run(r);
    erig_expect(r, "state ENDED\nwatch 5 / last -201\ncut 0\nover\n");
    erig_free(r);
}

static void exists_watches_what_is_not_there(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = "/x", .watch = {erig_watch_fn, NULL}};
    erig_submit(r, &q);
    erig_serve(r, 0, OP_EXISTS, 1, -101);
    erig_submit(r, &q);
    erig_serve(r, 0, OP_EXISTS, 1, -102);
    erig_event(r, 0, 1, "/x");
    erig_expect(r, "done exists /x -101 watching\ndone exists /x -102\nwatch 1 /x last\n");
    erig_free(r);
}

static void xids_wrap(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_get(r, "/0");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    assert_int_equal(r->frame.xid, 1);
    erig_set_xid(r, INT32_MAX - 1);
    for (int i = 0; i < 3; i++) {
        erig_get(r, "/x");
    }
    static const int32_t want[] = {INT32_MAX, 1, 2};
    for (int i = 0; i < 3; i++) {
        erig_serve(r, 0, OP_GET_DATA, 1, 0);
        assert_int_equal(r->frame.xid, want[i]);
    }
    erig_free(r);
}

static void wrong_answers_end_the_connection(void **state)
{
    (void)state;
    static const struct {
        int32_t xid, err;
        const char *why;
    } rows[] = {{2, 0, "it answered what was not asked (xid 2)"},
                {0, 0, "it answered what was not asked (xid 0)"},
                {-3, 0, "it answered what was not asked (xid -3)"},
                {-2, 0, "it answered a ping that was not sent"},
                {-4, 0, "it answered an auth packet with error 0"},
                {-8, 0, "it did not take the watches again (error 0)"},
                {-1, 0, "it sent a malformed event"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct erig *r = erig_connected(plain);
        erig_get(r, "/x");
        erig_answer(r, 0, rows[i].xid, 1, rows[i].err, NULL, 0);
        assert_true(erig_saw(r, rows[i].why));
        assert_true(erig_saw(r, "state SUSPENDED"));
        assert_true(erig_saw(r, "cut 0"));
        erig_reconnect(r);
        erig_serve(r, 0, OP_GET_DATA, 1, 0);
        assert_true(erig_saw(r, "done get /x 0\n"));
        erig_free(r);
    }
}

static void an_answer_before_the_request_is_out_is_wrong(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    r->out_max = 5;
    r->stuck = true;
    erig_get(r, "/x");
    struct slice s = engine_output(r->e, 0);
    engine_sent(r->e, 0, s.n - 1);
    erig_answer(r, 0, 1, 1, 0, NULL, 0);
    assert_true(erig_saw(r, "it answered what was not asked (xid 1)"));
    r->stuck = false;
    erig_reconnect(r);
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_free(r);
}

static void a_malformed_body_fails_its_request_only(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_get_watch(r, "/x");
    erig_set(r, "/y");
    erig_get(r, "/z");
    for (int i = 0; i < 2; i++) {
        assert_true(erig_take(r, 0));
        erig_answer(r, 0, r->frame.xid, 3, 0, "\0\0\1", 3);
    }
    erig_serve(r, 0, OP_GET_DATA, 4, 0);
    erig_expect(r, "done get /x -204\ndone set /y -204 maybe_done\ndone get /z 0\n");
    erig_free(r);
}

// ---- options ------------------------------------------------------------------------------------

static void on_log(void *ctx, enum reeve_log_level level, const char *line)
{
    struct erig *r = ctx;
    size_t n =
        (size_t)snprintf(r->log + r->log_n, sizeof(r->log) - r->log_n, "%d %s\n", (int)level, line);
    r->log_n += n;
    assert_in_range(r->log_n, 1, sizeof(r->log) - 1);
}

static void what_happens_is_logged(void **state)
{
    (void)state;
    struct erig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    struct reeve_options o = {.servers = "a,b", .no_shuffle = true, .log = on_log, .log_ctx = r};
    assert_int_equal(erig_begin(r, o), REEVE_OK);
    erig_run(r);
    erig_gone(r, 0, "connection refused");
    erig_dialed(r, 0);
    erig_accept(r, 0, 255, 6000, false);
    erig_gone(r, 0, "");
    assert_int_equal(engine_set_servers(r->e, "a:b"), REEVE_BAD_ARGUMENTS);
    assert_string_equal(r->log, "2 a:2181: connection refused\n"
                                "2 new session 0xff at b:2181, timeout 6000 ms\n"
                                "1 the connection to b:2181 is lost: the server closed the "
                                "connection\n"
                                "0 servers: this is no port: \"a:b\"\n");
    erig_free(r);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    static const struct reeve_options bad[] = {{.servers = NULL},
                                               {.servers = "a", .session_timeout_ms = -1},
                                               {.servers = "a", .request_timeout_ms = -1},
                                               {.servers = "a", .close_timeout_ms = -1}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct erig *r = calloc(1, sizeof(*r));
        assert_non_null(r);
        struct reeve_options o = bad[i];
        o.log = on_log;
        o.log_ctx = r;
        assert_int_equal(erig_begin(r, o), REEVE_BAD_ARGUMENTS);
        assert_true(r->log_n > 0);
        assert_null(r->e);
        erig_free(r);
    }
}

// Two lists with a chroot each are one list and an odd chroot, as everywhere in ZooKeeper's world.
static void a_chroot_that_looks_like_servers_is_said(void **state)
{
    (void)state;
    struct erig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    struct reeve_options o = {.servers = "a:1/x,b:2/x", .log = on_log, .log_ctx = r};
    assert_int_equal(erig_begin(r, o), REEVE_OK);
    assert_string_equal(engine_chroot(r->e), "/x,b:2/x");
    assert_string_equal(r->log, "1 the chroot is \"/x,b:2/x\": it stands behind the last server\n");
    erig_free(r);
}

// Requests in every place one can be in are freed unheard.
static void an_engine_is_freed_in_the_middle(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_get_watch(r, "/sent");
    erig_submit(r, &(struct reeve_request){
                       .op = REEVE_OP_ADD_AUTH, .scheme = "digest", .data = "a", .data_len = 1});
    r->stuck = true;
    erig_get(r, "/queued");
    erig_submit(r, &(struct reeve_request){
                       .op = REEVE_OP_ADD_AUTH, .scheme = "digest", .data = "b", .data_len = 1});
    uint8_t head[20] = {0, 1, [7] = 1}; // of a large answer
    erig_send(r, 0, head, sizeof(head));
    r->done = r->submitted;
    erig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_dial_gets_company),
        cmocka_unit_test(a_refused_dial_is_followed_at_once),
        cmocka_unit_test(dials_without_end_are_given_up),
        cmocka_unit_test(a_dial_that_was_cut_is_tried_again_in_its_round),
        cmocka_unit_test(no_answer_to_a_dial_is_a_cause),
        cmocka_unit_test(failed_rounds_are_no_hot_loop),
        cmocka_unit_test(a_server_that_holds_the_handshake_is_left),
        cmocka_unit_test(a_stopped_server_among_others_costs_little),
        cmocka_unit_test(a_long_session_makes_nobody_wait_long),
        cmocka_unit_test(a_lone_server_is_asked_again_before_the_session_is_at_risk),
        cmocka_unit_test(waiting_requests_fail_with_what_every_server_said),
        cmocka_unit_test(a_failed_handshake_is_a_cause_too),
        cmocka_unit_test(what_came_in_is_looked_at_at_once),
        cmocka_unit_test(what_waits_is_sent_in_order_as_soon_as_there_is_a_session),
        cmocka_unit_test(the_handshake_says_what_is_known),
        cmocka_unit_test(reads_are_asked_again_and_writes_fail_together),
        cmocka_unit_test(writes_behind_nothing_that_is_lost_wait),
        cmocka_unit_test(maybe_done_needs_the_last_byte),
        cmocka_unit_test(a_read_is_sent_three_times),
        cmocka_unit_test(a_connection_that_lived_is_replaced_at_once_another_after_a_wait),
        cmocka_unit_test(an_unsent_request_times_out_alone),
        cmocka_unit_test(a_sent_one_takes_the_connection_with_it),
        cmocka_unit_test(many_time_limits_cost_few_looks),
        cmocka_unit_test(watches_fire_before_the_answers_behind_them),
        cmocka_unit_test(exists_watches_what_is_not_there),
        cmocka_unit_test(xids_wrap),
        cmocka_unit_test(wrong_answers_end_the_connection),
        cmocka_unit_test(an_answer_before_the_request_is_out_is_wrong),
        cmocka_unit_test(a_malformed_body_fails_its_request_only),
        cmocka_unit_test(what_happens_is_logged),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(a_chroot_that_looks_like_servers_is_said),
        cmocka_unit_test(an_engine_is_freed_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
