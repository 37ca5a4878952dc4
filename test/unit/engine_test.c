// SPDX-License-Identifier: Apache-2.0
//
// The client's engine: connecting, requests, heartbeats, lost connections and sessions, played
// against a server that the test speaks for.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/support/engine_rig.h"
#include "wire/ops.h"

static struct rig *begin(struct reeve_options o)
{
    struct rig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    o.no_shuffle = true;
    assert_int_equal(rig_begin(r, o), REEVE_OK);
    return r;
}

static void end(struct rig *r)
{
    rig_end(r);
    assert_int_equal(r->submitted, r->done);
    free(r);
}

// Connected to a:2181 on link 0 with session 7, and 6 s timeout.
static struct rig *connected(struct reeve_options o)
{
    o.servers = o.servers ? o.servers : "a,b";
    struct rig *r = begin(o);
    rig_run(r);
    rig_expect(r, "dial 0 a:2181\n");
    rig_dialed(r, 0);
    rig_welcome(r, 0, 7, 6000, false);
    rig_expect(r, "state CONNECTED 7 6000 renewed\n");
    return r;
}

static void a_request_is_answered(void **state)
{
    (void)state;
    struct rig *r = connected((struct reeve_options){0});
    rig_get(r, "/x");
    rig_set(r, "/y");
    rig_serve(r, 0, OP_GET_DATA, 5, 0);
    rig_expect(r, "done get /x 0\n");
    rig_serve(r, 0, OP_SET_DATA, 6, -101);
    rig_expect(r, "done set /y -101\n");
    end(r);
}

static void pings_when_it_has_nothing_to_say(void **state)
{
    (void)state;
    struct rig *r = connected((struct reeve_options){0});
    rig_wait(r, 1999);
    assert_false(rig_take(r, 0));
    rig_wait(r, 1);
    rig_serve(r, 0, OP_PING, 5, 0);
    for (int i = 0; i < 20; i++) {
        rig_wait(r, 2000);
        assert_true(rig_take(r, 0));
        assert_int_equal(r->frame.xid, -2);
        rig_answer(r, 0, -2, 5, 0, NULL, 0);
    }
    rig_expect(r, "");
    end(r);
}

static void a_silent_server_is_left_and_the_session_moves(void **state)
{
    (void)state;
    struct rig *r = connected((struct reeve_options){0});
    rig_get(r, "/x");
    rig_set(r, "/y");
    rig_wait(r, 3999);
    rig_expect(r, "");
    rig_wait(r, 1);
    rig_expect(r,
               "state SUSPENDED (the connection to a:2181 is lost: nothing was heard for 4000 ms)\n"
               "done set /y -4 maybe_done (the connection to a:2181 is lost: nothing was heard "
               "for 4000 ms)\n"
               "cut 0\n"
               "dial 0 b:2181\n");
    rig_dialed(r, 0);
    rig_welcome(r, 0, 7, 6000, false);
    rig_serve(r, 0, OP_GET_DATA, 9, 0);
    rig_expect(r, "state CONNECTED 7 6000\ndone get /x 0\n");
    end(r);
}

static void lost_by_its_own_clock(void **state)
{
    (void)state;
    struct rig *r = connected((struct reeve_options){0});
    rig_gone(r, 0, "connection reset");
    rig_expect(r, "state SUSPENDED (the connection to a:2181 is lost: connection reset)\n"
                  "dial 0 b:2181\n");
    rig_get(r, "/x");
    rig_wait(r, 5999);
    assert_false(rig_saw(r, "LOST"));
    rig_forget(r);
    rig_wait(r, 1);
    assert_true(rig_saw(r, "state LOST (no request was answered for 6000 ms)\ndone get /x -112 "));
    assert_true(rig_saw(r, "state CONNECTING\n"));
    end(r);
}

static void lost_before_an_answer_that_came_in_its_sleep(void **state)
{
    (void)state;
    struct rig *r = connected((struct reeve_options){0});
    rig_get_watch(r, "/w");
    rig_serve(r, 0, OP_GET_DATA, 1, 0);
    rig_set(r, "/y");
    rig_forget(r);
    assert_true(rig_take(r, 0));
    size_t room;
    uint8_t *p = engine_recv_space(r->e, 0, &room);
    memset(p, 0, 20);
    p[3] = 16;
    p[7] = (uint8_t)r->frame.xid;
    engine_received(r->e, 0, 20);
    rig_jump(r, 6000);
    rig_expect(r, "state LOST (no request was answered for 6000 ms)\n"
                  "done set /y -112 maybe_done (no request was answered for 6000 ms)\n"
                  "watch 5 /w last -112\n"
                  "cut 0\n"
                  "state CONNECTING\n"
                  "dial 0 b:2181\n");
    end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered),
        cmocka_unit_test(pings_when_it_has_nothing_to_say),
        cmocka_unit_test(a_silent_server_is_left_and_the_session_moves),
        cmocka_unit_test(lost_by_its_own_clock),
        cmocka_unit_test(lost_before_an_answer_that_came_in_its_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
