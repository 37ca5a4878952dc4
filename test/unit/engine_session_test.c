// SPDX-License-Identifier: Apache-2.0
//
// The client's engine: the life of a session. Heartbeats, the deadline, refusals, the end,
// credentials, read-only servers, a new list of servers. Watches: engine_watches_test.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/endian.h"
#include "test/support/engine_rig.h"
#include "wire/ops.h"

#define LOST_A   "the connection to a:2181 is lost: "
#define BY_CLOCK "no request was answered for 6000 ms"

static const struct reeve_options plain;

// ---- heartbeats and the deadline ----------------------------------------------------------------

static void pings_when_it_has_nothing_to_say(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_wait(r, 1999);
    assert_false(erig_take(r, 0));
    erig_wait(r, 1);
    erig_serve(r, 0, OP_PING, 5, 0);
    for (int i = 0; i < 20; i++) {
        erig_wait(r, 2000);
        erig_serve(r, 0, OP_PING, 5, 0);
        assert_int_equal(r->frame.xid, -2);
    }
    erig_wait(r, 1000);
    erig_get(r, "/x"); // a request is as good as a ping
    erig_serve(r, 0, OP_GET_DATA, 5, 0);
    erig_wait(r, 1999);
    assert_false(erig_take(r, 0));
    erig_wait(r, 1);
    assert_true(erig_take(r, 0));
    erig_expect(r, "done get /x 0\n");
    erig_free(r);
}

static void a_silent_server_is_left_and_the_session_moves(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_get(r, "/x");
    erig_set(r, "/y");
    erig_wait(r, 3999);
    erig_expect(r, "");
    erig_wait(r, 1);
    erig_expect(r, "state SUSPENDED (" LOST_A "nothing was heard for 4000 ms)\n"
                   "done set /y -4 maybe_done (" LOST_A "nothing was heard for 4000 ms)\n"
                   "cut 0\ndial 0 b:2181\n");
    erig_reconnect(r);
    erig_serve(r, 0, OP_GET_DATA, 9, 0);
    erig_expect(r, "state CONNECTED 7 6000\ndone get /x 0\n");
    erig_free(r);
}

// It did not run for a while, and so it has asked nothing: that is no silence of the server's.
static void a_pause_is_no_silence(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_jump(r, 5000);
    erig_set(r, "/y");
    erig_expect(r, "");
    erig_serve(r, 0, OP_PING, 1, 0);
    erig_serve(r, 0, OP_SET_DATA, 1, 0);
    erig_expect(r, "done set /y 0\n");
    erig_jump(r, 5000); // and this time it says nothing
    erig_set(r, "/z");
    erig_wait(r, 499);
    erig_expect(r, "");
    erig_wait(r, 1); // half of what is left is for the others
    assert_true(erig_saw(r, "state SUSPENDED (" LOST_A "nothing was heard for 5500 ms)\n"));
    assert_true(erig_saw(r, "dial 0 b:2181\n"));
    erig_free(r);
}

static void lost_by_its_own_clock(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_gone(r, 0, "connection reset");
    erig_expect(r, "state SUSPENDED (" LOST_A "connection reset)\ndial 0 b:2181\n");
    erig_get(r, "/x");
    erig_wait(r, 5999);
    assert_false(erig_saw(r, "LOST"));
    erig_forget(r);
    erig_wait(r, 1);
    assert_true(erig_saw(r, "state LOST (" BY_CLOCK ")\ndone get /x -112 (" BY_CLOCK ")\n"));
    assert_true(erig_saw(r, "state CONNECTING\n"));
    erig_free(r);
}

static void lost_before_an_answer_that_came_in_its_sleep(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_get_watch(r, "/w");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_set(r, "/y");
    erig_forget(r);
    assert_true(erig_take(r, 0));
    size_t room;
    uint8_t *p = engine_recv_space(r->e, 0, &room);
    memset(p, 0, 20);
    p[3] = 16;
    p[7] = (uint8_t)r->frame.xid;
    engine_received(r->e, 0, 20);
    erig_jump(r, 6000);
    erig_expect(r, "state LOST (" BY_CLOCK ")\n"
                   "done set /y -112 maybe_done (" BY_CLOCK ")\n"
                   "watch 5 /w last -112\n"
                   "cut 0\nstate CONNECTING\ndial 0 b:2181\n");
    erig_dialed(r, 0);
    assert_true(erig_take(r, 0));
    assert_int_equal(be64_get(r->frame.body + 8), 0); // a new session
    erig_free(r);
}

// What is answered counts from when it was sent, not from when the answer came; what was only heard
// does not count.
static void the_deadline_counts_from_the_sending(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_wait(r, 1000);
    erig_get(r, "/x"); // at 1000
    erig_wait(r, 1500);
    erig_get(r, "/y"); // at 2500
    erig_wait(r, 500);
    erig_serve(r, 0, OP_GET_DATA, 1, 0); // at 3000, of 1000: the deadline is 7000
    erig_event(r, 0, 3, "/x");
    erig_wait(r, 1500); // 4500, and a ping was sent
    erig_event(r, 0, 3, "/x");
    erig_wait(r, 2400); // 6900
    erig_event(r, 0, 3, "/x");
    erig_wait(r, 99);
    erig_expect(r, "done get /x 0\n");
    assert_true(engine_deadline(r->e).ns == r->now.ns + 1000000);
    erig_wait(r, 1);
    assert_true(erig_saw(r, "state LOST (" BY_CLOCK ")\ndone get /y -112"));
    erig_free(r);
}

static void throttled_and_auth_answers_prove_nothing(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_submit(r, &(struct reeve_request){
                       .op = REEVE_OP_ADD_AUTH, .scheme = "digest", .data = "a", .data_len = 1});
    erig_wait(r, 1900);
    assert_true(erig_take(r, 0));
    erig_answer(r, 0, -4, 0, 0, NULL, 0);
    erig_get(r, "/x");
    erig_serve(r, 0, OP_GET_DATA, 1, REEVE_THROTTLED);
    erig_expect(r, "done add_auth 0\ndone get /x -127\n");
    erig_wait(r, 3500);
    erig_event(r, 0, 3, "/x");
    erig_wait(r, 599);
    erig_expect(r, "");
    erig_wait(r, 1);
    assert_true(erig_saw(r, "state LOST"));
    erig_free(r);
}

// Pings and watches set again prove as much as requests do, and tell the last zxid.
static void other_answers_count_as_well(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    struct reeve_session s;
    erig_get_watch(r, "/w");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_wait(r, 1000);
    erig_gone(r, 0, "");
    erig_reconnect(r);
    erig_wait(r, 1000);
    r->stuck = true;
    erig_gone(r, 0, "");
    r->stuck = false;
    erig_reconnect(r); // at 2000, and so is what sets the watch
    erig_wait(r, 500);
    while (erig_take(r, 0)) {
    }
    erig_answer(r, 0, -8, 2, 0, NULL, 0);
    engine_get_session(r->e, &s);
    assert_int_equal(s.zxid, 2);
    erig_wait(r, 1500); // a ping, at 4000
    assert_true(erig_take(r, 0));
    erig_answer(r, 0, -2, 3, 0, NULL, 0);
    engine_get_session(r->e, &s);
    assert_int_equal(s.zxid, 3);
    erig_gone(r, 0, "");
    erig_forget(r);
    erig_wait(r, 5999);
    assert_false(erig_saw(r, "LOST"));
    erig_wait(r, 1);
    assert_true(erig_saw(r, "LOST"));
    erig_free(r);
}

static void credentials_are_as_good_as_a_ping(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_wait(r, 1000);
    erig_submit(r, &(struct reeve_request){
                       .op = REEVE_OP_ADD_AUTH, .scheme = "digest", .data = "a", .data_len = 1});
    assert_true(erig_take(r, 0));
    erig_answer(r, 0, -4, 0, 0, NULL, 0);
    erig_wait(r, 1999);
    assert_false(erig_take(r, 0));
    erig_wait(r, 1);
    erig_serve(r, 0, OP_PING, 1, 0);
    erig_free(r);
}

static void a_handshake_under_way_ends_with_the_session(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.servers = "a"});
    erig_wait(r, 1500);
    erig_gone(r, 0, "reset");
    erig_wait(r, 3000);
    erig_dialed(r, erig_link(r, NULL));
    erig_forget(r);
    erig_wait(r, 1500);
    assert_true(erig_saw(r, "state LOST"));
    erig_dialed(r, erig_link(r, NULL));
    erig_forget(r);
    erig_accept(r, erig_link(r, NULL), 8, 6000, false);
    erig_expect(r, "state CONNECTED 8 6000 renewed\n");
    erig_free(r);
}

// ---- refusals -----------------------------------------------------------------------------------

static void a_refused_session_is_lost(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_get_watch(r, "/w");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_gone(r, 0, "");
    erig_set(r, "/x");
    erig_forget(r);
    erig_dialed(r, 0);
    erig_accept(r, 0, 0, 0, false);
    assert_true(erig_saw(r, "state LOST (b:2181 does not know the session any more)\n"
                            "done set /x -112 (b:2181 does not know the session any more)\n"
                            "watch 5 /w last -112\ncut 0\nstate CONNECTING\n"));
    erig_wait(r, 51);
    erig_reconnect(r);
    assert_true(erig_saw(r, "state CONNECTED 7 6000 renewed\n"));
    erig_free(r);
}

static void one_session_stays_lost(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.one_session = true});
    erig_gone(r, 0, "");
    erig_dialed(r, 0);
    erig_forget(r);
    erig_accept(r, 0, 0, 0, false);
    erig_expect(r, "state LOST (b:2181 does not know the session any more)\ncut 0\n");
    erig_get(r, "/x");
    erig_expect(r, "done get /x -112 (b:2181 does not know the session any more)\n");
    assert_true(engine_deadline(r->e).ns == INT64_MAX);
    engine_close(r->e, true);
    erig_run(r);
    erig_expect(r, "state ENDED\nover\n");
    erig_get(r, "/x");
    erig_expect(r, "done get /x -201\n");
    erig_free(r);
}

static void a_given_session_is_taken_up(void **state)
{
    (void)state;
    for (int refused = 0; refused < 2; refused++) {
        struct erig *r =
            erig_new((struct reeve_options){.session_id = 7, .session_passwd = {7, 7, 7, 7, 7, 7}});
        erig_run(r);
        erig_dialed(r, 0);
        erig_forget(r);
        erig_accept(r, 0, refused ? 0 : 7, refused ? 0 : 6000, false);
        erig_expect(r, refused ? "state LOST (a:2181 does not know the session any more)\ncut 0\n"
                                 "state CONNECTING\ndial 0 b:2181\n"
                               : "state CONNECTED 7 6000\n");
        erig_free(r);
    }
}

static void odd_handshakes_are_no_session(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[44];
        size_t n;
    } rows[] = {
        {"HTTP/1.1 400 Bad Request", 24},
        {{0, 0, 0, 15}, 19},
        {{0xff, 0xff, 0xff, 0xff}, 4},
        {{0, 0, 0, 16, [19] = 0x89}, 20},                   // NOTREADONLY in a reply header
        {{0, 0, 0, 36, [11] = 9, [19] = 1, [23] = 17}, 40}, // a password that is cut off
        {{0, 0, 0, 37, [11] = 9, [19] = 1, [23] = 16, [40] = 1}, 41}, // read-only, not asked for
        {{0, 0, 0, 36, [23] = 16}, 40},                               // refused
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct erig *r = erig_new(plain);
        erig_run(r);
        erig_dialed(r, 0);
        erig_forget(r);
        erig_send(r, 0, rows[i].bytes, rows[i].n);
        erig_expect(r, "cut 0\ndial 0 b:2181\n");
        erig_free(r);
    }
}

static void another_session_than_asked_for_is_none(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_gone(r, 0, "");
    erig_dialed(r, 0);
    erig_forget(r);
    erig_accept(r, 0, 8, 6000, false);
    erig_expect(r, "cut 0\n");
    erig_free(r);
}

// ---- the end ------------------------------------------------------------------------------------

static void close_ends_the_session_behind_what_was_asked(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_get_watch(r, "/w");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_forget(r);
    erig_set(r, "/1");
    engine_close(r->e, true);
    erig_run(r);
    erig_get(r, "/late");
    erig_expect(r, "done get /late -201\n");
    erig_serve(r, 0, OP_SET_DATA, 2, -101);
    erig_serve(r, 0, OP_CLOSE_SESSION, 3, 0);
    erig_expect(r, "done set /1 -101\nstate ENDED\nwatch 5 /w last -201\ncut 0\nover\n");
    assert_true(engine_deadline(r->e).ns == INT64_MAX);
    erig_free(r);
}

static void close_waits_no_longer_than_told(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.close_timeout_ms = 300});
    erig_set(r, "/1");
    r->stuck = true;
    erig_set(r, "/2");
    engine_close(r->e, true);
    erig_wait(r, 299);
    erig_expect(r, "");
    erig_wait(r, 1);
    erig_expect(r, "state ENDED\ndone set /1 -201 maybe_done\ndone set /2 -201\ncut 0\nover\n");
    erig_free(r);
}

static void close_without_a_connection_is_at_once(void **state)
{
    (void)state;
    struct erig *r = erig_new(plain);
    erig_get(r, "/x");
    erig_forget(r);
    engine_close(r->e, true);
    erig_run(r);
    erig_expect(r, "state ENDED\ndone get /x -201\ncut 0\nover\n");
    erig_free(r);
    r = erig_connected(plain);
    erig_set(r, "/x");
    engine_close(r->e, true);
    erig_run(r);
    erig_gone(r, 0, "reset");
    erig_expect(r, "state ENDED\ndone set /x -201 maybe_done\nover\n");
    erig_free(r);
}

// A connection that is lost just then does not leave the ephemeral nodes behind.
static void close_ends_the_session_at_the_next_server(void **state)
{
    (void)state;
    for (int before = 0; before < 2; before++) {
        struct erig *r = erig_connected(plain);
        erig_get(r, "/x");
        if (before) {
            erig_gone(r, 0, "reset");
            engine_close(r->e, true);
            erig_run(r);
        } else {
            r->stuck = true;
            engine_close(r->e, true);
            erig_run(r);
            erig_gone(r, 0, "reset");
            r->stuck = false;
        }
        erig_expect(r, "state SUSPENDED (" LOST_A "reset)\ndial 0 b:2181\n");
        erig_reconnect(r);
        erig_serve(r, 0, OP_GET_DATA, 2, 0);
        erig_serve(r, 0, OP_CLOSE_SESSION, 3, 0);
        erig_expect(r, "state CONNECTED 7 6000\ndone get /x 0\nstate ENDED\ncut 0\nover\n");
        erig_free(r);
    }
}

static void close_gives_up_when_no_server_takes_it(void **state)
{
    (void)state;
    for (int silent = 0; silent < 2; silent++) {
        struct erig *r = erig_connected((struct reeve_options){.close_timeout_ms = 300});
        erig_wait(r, 1000);
        erig_gone(r, 0, "reset");
        erig_forget(r);
        engine_close(r->e, true);
        erig_run(r);
        if (silent) {
            erig_wait(r, 299);
            assert_false(erig_saw(r, "over"));
            erig_wait(r, 1);
        } else {
            erig_gone(r, 0, "refused");
            assert_false(erig_saw(r, "over"));
            erig_gone(r, 0, "refused");
        }
        assert_true(erig_saw(r, "state ENDED\n"));
        assert_true(erig_saw(r, "over\n"));
        erig_free(r);
    }
}

static void abandon_leaves_the_session(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_set(r, "/1");
    engine_close(r->e, false);
    erig_run(r);
    erig_expect(r, "");
    erig_serve(r, 0, OP_SET_DATA, 2, 0);
    erig_expect(r, "done set /1 0\nstate ENDED\ncut 0\nover\n");
    assert_int_equal(r->links[0].n, 0);
    erig_free(r);
}

// ---- credentials --------------------------------------------------------------------------------

static void add_auth(struct erig *r, const char *data)
{
    erig_submit(r, &(struct reeve_request){.op = REEVE_OP_ADD_AUTH,
                                           .scheme = "digest",
                                           .data = data,
                                           .data_len = strlen(data)});
}

static void expect_auth(struct erig *r, char data)
{
    assert_true(erig_take(r, 0));
    assert_int_equal(r->frame.xid, -4);
    assert_int_equal(r->frame.op, 100);
    assert_int_equal(r->frame.body[r->frame.n - 1], data);
}

static void credentials_come_first_on_every_connection(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_get_watch(r, "/w");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_get(r, "/1");
    add_auth(r, "a");
    erig_get(r, "/2");
    erig_forget(r);
    assert_true(erig_take(r, 0));
    assert_int_equal(r->frame.op, OP_GET_DATA);
    expect_auth(r, 'a');
    erig_answer(r, 0, -4, 0, 0, NULL, 0); // overtakes
    erig_expect(r, "done add_auth 0\n");
    erig_gone(r, 0, "");
    add_auth(r, "b");
    erig_reconnect(r);
    expect_auth(r, 'a');
    assert_true(erig_take(r, 0));
    assert_int_equal(r->frame.op, OP_SET_WATCHES);
    assert_true(erig_take(r, 0));
    assert_true(erig_take(r, 0));
    assert_int_equal(r->frame.op, OP_GET_DATA);
    expect_auth(r, 'b');
    erig_forget(r);
    erig_answer(r, 0, -4, 0, 0, NULL, 0);
    erig_expect(r, "");  // the first answer is that of the first credentials
    erig_gone(r, 0, ""); // the second are still without one
    erig_wait(r, 51);
    erig_reconnect(r);
    expect_auth(r, 'a');
    expect_auth(r, 'b');
    erig_forget(r);
    erig_answer(r, 0, -4, 0, 0, NULL, 0);
    erig_answer(r, 0, -4, 0, 0, NULL, 0);
    erig_expect(r, "done add_auth 0\n");
    add_auth(r, "a"); // again: once is enough from then on
    while (erig_take(r, 0)) {
    }
    erig_answer(r, 0, -4, 0, 0, NULL, 0);
    erig_wait(r, 1000);
    erig_gone(r, 0, "");
    erig_reconnect(r);
    expect_auth(r, 'a');
    expect_auth(r, 'b');
    assert_true(erig_take(r, 0));
    assert_int_not_equal(r->frame.op, 100);
    engine_close(r->e, true);
    erig_run(r);
    erig_wait(r, 3000);
    erig_free(r);
}

static void refused_credentials_are_the_end(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_get_watch(r, "/w");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_forget(r);
    add_auth(r, "a");
    erig_set(r, "/x");
    erig_answer(r, 0, -4, 0, -115, NULL, 0);
    erig_expect(r, "state AUTH_FAILED (a:2181 refused the credentials)\n"
                   "done set /x -115 maybe_done (a:2181 refused the credentials)\n"
                   "done add_auth -115 (a:2181 refused the credentials)\n"
                   "watch 5 /w last -115\ncut 0\n");
    erig_get(r, "/y");
    erig_expect(r, "done get /y -115 (a:2181 refused the credentials)\n");
    erig_wait(r, 100000);
    erig_expect(r, "");
    erig_free(r);
}

static void unsent_credentials_that_fail_are_kept(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.request_timeout_ms = 100});
    add_auth(r, "a");
    erig_wait(r, 100);
    assert_true(erig_saw(r, "done add_auth -7"));
    erig_dialed(r, 0);
    erig_accept(r, 0, 7, 6000, false);
    expect_auth(r, 'a');
    erig_answer(r, 0, -4, 0, 0, NULL, 0);
    erig_free(r);
}

// ---- read-only servers --------------------------------------------------------------------------

static void a_read_only_client_looks_for_better(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.read_only = true});
    erig_run(r);
    erig_dialed(r, 0);
    erig_accept(r, 0, 5, 6000, true);
    erig_expect(r, "dial 0 a:2181\nstate READ_ONLY 5 6000\n");
    erig_get_watch(r, "/w");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_forget(r);
    erig_wait(r, 100);
    erig_expect(r, "dial 1 b:2181\n");
    erig_dialed(r, 1);
    assert_int_equal(r->links[1].n, 4);
    assert_memory_equal(r->links[1].p, "isro", 4);
    erig_send(r, 1, "ro", 2);
    erig_expect(r, "cut 1\n");
    erig_wait(r, 200);
    erig_expect(r, "dial 1 b:2181\n");
    erig_dialed(r, 1);
    erig_send(r, 1, "r", 1);
    erig_set(r, "/pending"); // moves only when this is answered
    erig_send(r, 1, "w", 1);
    erig_expect(r, "cut 1\n");
    erig_set(r, "/held");
    erig_serve(r, 0, OP_SET_DATA, 1, -119);
    erig_expect(r, "done set /pending -119\n"
                   "state SUSPENDED (moving to b:2181, which is not read-only)\ncut 0\n"
                   "dial 0 b:2181\n");
    erig_dialed(r, 0);
    assert_int_equal(be64_get(r->links[0].p + 20), 0); // a session of its own
    erig_accept(r, 0, 9, 6000, false);
    assert_true(erig_take(r, 0));
    assert_int_equal(r->frame.op, OP_SET_WATCHES);
    erig_answer(r, 0, -8, 1, 0, NULL, 0);
    erig_serve(r, 0, OP_SET_DATA, 2, 0);
    erig_expect(r, "state CONNECTED 9 6000 renewed\ndone set /held 0\n");
    erig_wait(r, 1900);
    assert_false(erig_saw(r, "dial"));
    erig_free(r);
}

static void a_probe_ends_with_the_connection(void **state)
{
    (void)state;
    for (int asked = 0; asked < 2; asked++) {
        struct erig *r = erig_new((struct reeve_options){.read_only = true});
        erig_run(r);
        erig_dialed(r, 0);
        erig_accept(r, 0, 5, 6000, true);
        erig_wait(r, 100);
        if (asked) {
            erig_dialed(r, 1);
        }
        erig_forget(r);
        erig_gone(r, 0, "reset");
        erig_expect(r, "state SUSPENDED (" LOST_A "reset)\ncut 1\ndial 0 b:2181\n");
        erig_free(r);
    }
}

static void a_probe_that_hears_nothing_ends(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.read_only = true});
    erig_run(r);
    erig_dialed(r, 0);
    erig_accept(r, 0, 5, 60000, true);
    erig_wait(r, 100);
    erig_dialed(r, 1);
    erig_forget(r);
    erig_send(r, 1, "r", 1);
    erig_wait(r, 1999);
    erig_expect(r, "");
    erig_wait(r, 1);
    erig_expect(r, "cut 1\ndial 1 b:2181\n"); // the next one is long due
    erig_dialed(r, 1);
    erig_send(r, 1, "null", 4); // it serves nobody
    erig_expect(r, "cut 1\n");
    erig_wait(r, 1000);
    erig_dialed(r, 1);
    erig_gone(r, 1, "");
    assert_false(erig_saw(r, "SUSPENDED"));
    erig_free(r);
}

static void a_probe_backs_off(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.read_only = true, .servers = "a,b,c"});
    erig_run(r);
    erig_dialed(r, 0);
    erig_accept(r, 0, 5, 6000, true);
    int probes = 0;
    for (int i = 0; i < 12000; i++) {
        for (uint32_t k = 1; k < ENGINE_LINKS_MAX; k++) {
            if (r->links[k].open) {
                probes++;
                erig_gone(r, k, "connection refused");
            }
        }
        while (erig_take(r, 0)) {
            erig_answer(r, 0, -2, 1, 0, NULL, 0);
        }
        erig_wait(r, 10);
    }
    assert_in_range(probes, 9, 16); // in two minutes
    erig_free(r);
}

static void a_session_of_a_quorum_is_kept_for_one(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.read_only = true});
    erig_gone(r, 0, "");
    erig_dialed(r, 0);
    assert_int_equal(be64_get(r->links[0].p + 20), 7);
    erig_gone(r, 0, ""); // what a read-only server says to it
    assert_false(erig_saw(r, "LOST"));
    erig_wait(r, 6000);
    assert_true(erig_saw(r, "LOST"));
    erig_dialed(r, erig_link(r, NULL));
    erig_forget(r);
    erig_accept(r, erig_link(r, NULL), 0, 6000, true);
    erig_expect(r, "state READ_ONLY 0 6000\n");
    erig_free(r);
}

// A server that grants sessions of a millisecond makes no storm of new ones.
static void sessions_that_end_at_once_are_no_hot_loop(void **state)
{
    (void)state;
    struct erig *r = erig_new((struct reeve_options){.servers = "a"});
    erig_run(r);
    int sessions = 0;
    for (int64_t t = 0; t < 20000; t++) {
        if (r->links[0].open && !r->links[0].up) {
            erig_dialed(r, 0);
            erig_accept(r, 0, 100 + ++sessions, 1, false);
            erig_forget(r);
        }
        erig_wait(r, 1);
    }
    assert_in_range(sessions, 20, 80);
    erig_free(r);
}

// ---- a new list of servers ----------------------------------------------------------------------

static void a_new_list_moves_in_order(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    assert_int_equal(engine_set_servers(r->e, "x y"), REEVE_BAD_ARGUMENTS);
    assert_int_equal(engine_set_servers(r->e, "a,b"), REEVE_OK);
    erig_run(r);
    erig_expect(r, "");
    erig_set(r, "/1");
    assert_int_equal(engine_set_servers(r->e, "c"), REEVE_OK);
    erig_run(r);
    erig_set(r, "/2");
    erig_expect(r, "");
    erig_serve(r, 0, OP_SET_DATA, 2, 0);
    erig_expect(r, "done set /1 0\nstate SUSPENDED (leaving a:2181 for the new list of servers)\n"
                   "cut 0\ndial 0 c:2181\n");
    erig_reconnect(r);
    erig_serve(r, 0, OP_SET_DATA, 2, 0);
    erig_expect(r, "state CONNECTED 7 6000\ndone set /2 0\n");
    erig_free(r);
}

// The last list counts: what an earlier one has begun, and not done yet, is not done.
static void a_list_may_be_taken_back(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_set(r, "/1");
    assert_int_equal(engine_set_servers(r->e, "c"), REEVE_OK);
    erig_run(r);
    erig_set(r, "/2"); // held back
    assert_int_equal(engine_set_servers(r->e, "a"), REEVE_OK);
    erig_run(r);
    erig_serve(r, 0, OP_SET_DATA, 2, 0);
    erig_serve(r, 0, OP_SET_DATA, 2, 0);
    erig_expect(r, "done set /1 0\ndone set /2 0\n");
    erig_free(r);
}

static void a_new_list_while_dialing_starts_over(void **state)
{
    (void)state;
    for (int handshake = 0; handshake < 2; handshake++) {
        struct erig *r = erig_new(plain);
        erig_run(r);
        if (handshake) {
            erig_dialed(r, 0);
        }
        assert_int_equal(engine_set_servers(r->e, "c:1"), REEVE_OK);
        erig_run(r);
        erig_expect(r, "dial 0 a:2181\ncut 0\ndial 0 c:1\n");
        erig_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pings_when_it_has_nothing_to_say),
        cmocka_unit_test(a_silent_server_is_left_and_the_session_moves),
        cmocka_unit_test(a_pause_is_no_silence),
        cmocka_unit_test(lost_by_its_own_clock),
        cmocka_unit_test(lost_before_an_answer_that_came_in_its_sleep),
        cmocka_unit_test(the_deadline_counts_from_the_sending),
        cmocka_unit_test(throttled_and_auth_answers_prove_nothing),
        cmocka_unit_test(other_answers_count_as_well),
        cmocka_unit_test(credentials_are_as_good_as_a_ping),
        cmocka_unit_test(a_handshake_under_way_ends_with_the_session),
        cmocka_unit_test(a_refused_session_is_lost),
        cmocka_unit_test(one_session_stays_lost),
        cmocka_unit_test(a_given_session_is_taken_up),
        cmocka_unit_test(odd_handshakes_are_no_session),
        cmocka_unit_test(another_session_than_asked_for_is_none),
        cmocka_unit_test(close_ends_the_session_behind_what_was_asked),
        cmocka_unit_test(close_waits_no_longer_than_told),
        cmocka_unit_test(close_without_a_connection_is_at_once),
        cmocka_unit_test(close_ends_the_session_at_the_next_server),
        cmocka_unit_test(close_gives_up_when_no_server_takes_it),
        cmocka_unit_test(abandon_leaves_the_session),
        cmocka_unit_test(credentials_come_first_on_every_connection),
        cmocka_unit_test(refused_credentials_are_the_end),
        cmocka_unit_test(unsent_credentials_that_fail_are_kept),
        cmocka_unit_test(a_read_only_client_looks_for_better),
        cmocka_unit_test(a_probe_ends_with_the_connection),
        cmocka_unit_test(a_probe_that_hears_nothing_ends),
        cmocka_unit_test(a_probe_backs_off),
        cmocka_unit_test(a_session_of_a_quorum_is_kept_for_one),
        cmocka_unit_test(sessions_that_end_at_once_are_no_hot_loop),
        cmocka_unit_test(a_new_list_moves_in_order),
        cmocka_unit_test(a_list_may_be_taken_back),
        cmocka_unit_test(a_new_list_while_dialing_starts_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
