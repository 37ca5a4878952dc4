// SPDX-License-Identifier: Apache-2.0
//
// The election port by itself: where it listens, and that its two cores are never entered while the
// actions of a step are being read (elect_check, and the cores' own checks).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/elect.h"
#include "test/support/fake_env.h"

struct kit {
    struct fake_env *f;
    struct elect *e;
    int taken;
};

static void conn_taken(void *ctx, uint32_t conn)
{
    struct kit *k = ctx;
    (void)conn;
    k->taken++;
}

static struct kit *kit_new(void)
{
    struct kit *k = calloc(1, sizeof(*k));
    k->f = fake_env_new(3);
    struct elect_settings s = {
        .fle = {.sid = 1, .wait_min_ms = 200, .wait_max_ms = 1000, .finalize_wait_ms = 200},
        .links = {.sid = 1, .dial_ms = 500, .hello_ms = 1000},
        .conn_ctx = k,
        .conn_taken = conn_taken};
    k->e = elect_new(&k->f->env, &s);
    return k;
}

static void kit_free(struct kit *k)
{
    elect_check(k->e);
    elect_free(&k->e);
    fake_env_free(&k->f);
    free(k);
}

static void set_members(struct kit *k, const char *text, bool restart)
{
    struct members *m;
    assert_int_equal(members_parse(slice_str(text), &m), ERR_OK);
    elect_set_members(k->e, m, NULL, restart);
    elect_check(k->e);
    members_free(&m);
}

static const char three[] = "server.1=h1:2001:3001\nserver.2=h2:2002:3002\nserver.3=h3:2003:3003";
static const char moved[] = "server.1=moved:2001:3101\nserver.2=h2:2002:3002\nversion=7";
static const char without[] = "server.2=h2:2002:3002\nserver.3=h3:2003:3003\nversion=8";

static void the_port_moves_with_the_membership(void **state)
{
    (void)state;
    struct kit *k = kit_new();
    uint32_t at, again;
    set_members(k, three, false);
    assert_true(fake_net_listener(&k->f->net, 3001, &at));
    assert_true(elect_listens(k->e, at));
    set_members(k, three, true);
    assert_true(fake_net_listener(&k->f->net, 3001, &again));
    assert_int_equal(at, again); // it stayed open
    set_members(k, moved, true);
    assert_false(fake_net_listener(&k->f->net, 3001, &at));
    assert_true(fake_net_listener(&k->f->net, 3101, &at));
    assert_int_equal(k->f->net.listeners[at].at.ip[3], 9);
    set_members(k, without, true); // whoever left answers where it was
    assert_true(fake_net_listener(&k->f->net, 3101, &at));
    elect_leave(k->e);
    assert_int_equal(fake_net_listeners(&k->f->net), 0);
    kit_free(k);
}

static void a_taken_port_is_tried_again(void **state)
{
    (void)state;
    struct kit *k = kit_new();
    struct mono at;
    k->f->net.taken_port = 3001;
    set_members(k, three, false);
    assert_int_equal(fake_net_listeners(&k->f->net), 0);
    assert_true(elect_next(k->e, &at));
    assert_int_equal(mono_diff_ms(at, k->f->env.now), 1000);
    fake_env_pass_ms(k->f, 1000);
    elect_on_time(k->e);
    assert_int_equal(fake_net_listeners(&k->f->net), 0);
    k->f->net.taken_port = 0;
    fake_env_pass_ms(k->f, 999);
    elect_on_time(k->e);
    assert_int_equal(fake_net_listeners(&k->f->net), 0); // not before its time
    fake_env_pass_ms(k->f, 1);
    elect_on_time(k->e);
    assert_int_equal(fake_net_listeners(&k->f->net), 1);
    kit_free(k);
}

static void a_name_that_does_not_resolve_is_tried_again(void **state)
{
    (void)state;
    struct kit *k = kit_new();
    set_members(k, "server.1=nowhere:2001:3001\nserver.2=h2:2002:3002", false);
    assert_int_equal(fake_net_listeners(&k->f->net), 0);
    assert_true(fake_env_logged(k->f, "cannot listen for elections"));
    kit_free(k);
}

static void event(struct kit *k, struct env_event ev)
{
    ev.now = k->f->env.now;
    elect_on_env(k->e, &ev);
    elect_check(k->e);
}

static uint32_t accept_from(struct kit *k, int64_t sid)
{
    struct buf b = {0};
    uint32_t listener, conn = fake_net_conn(&k->f->net);
    assert_true(fake_net_listener(&k->f->net, 3001, &listener));
    event(k, (struct env_event){.type = ENV_ACCEPT, .conn = conn, .accept.listener = listener});
    note_hello_encode(&b, sid, false, SLICE_LIT("h9:3009"));
    event(k, (struct env_event){.type = ENV_DATA, .conn = conn, .data = buf_slice(&b)});
    buf_fini(&b);
    return conn;
}

static void put_note(struct kit *k, uint32_t conn, const struct note *n)
{
    struct buf b = {0}, frame = {0};
    note_encode(&b, n);
    buf_put_i32(&frame, (int32_t)b.n);
    buf_put_slice(&frame, buf_slice(&b));
    event(k, (struct env_event){.type = ENV_DATA, .conn = conn, .data = buf_slice(&frame)});
    buf_fini(&b);
    buf_fini(&frame);
}

// The vote, its echo and what the echo brings go through both cores in one event.
static void votes_make_an_outcome(void **state)
{
    (void)state;
    struct kit *k = kit_new();
    struct elect_outcome o;
    set_members(k, three, false);
    elect_start(k->e, 5, 0);
    assert_int_equal(k->f->net.dialed, 2); // to both others
    uint32_t conn = accept_from(k, 2);
    assert_int_equal(k->taken, 1);
    put_note(k, conn,
             &(struct note){.state = NOTE_LOOKING,
                            .leader = 2,
                            .zxid = 6,
                            .election_epoch = 1,
                            .config = slice_str(three)});
    assert_true(k->f->net.conns[conn].sent.n > 0);
    assert_false(elect_take(k->e, &o)); // better ones may come
    fake_env_pass_ms(k->f, 250);
    elect_on_time(k->e);
    assert_true(elect_take(k->e, &o));
    assert_true(o.elected);
    assert_int_equal(o.vote.leader, 2);
    assert_int_equal(o.state, NOTE_FOLLOWING);
    assert_false(elect_take(k->e, &o));
    kit_free(k);
}

static void a_broken_notification_costs_no_connection(void **state)
{
    (void)state;
    struct kit *k = kit_new();
    set_members(k, three, false);
    elect_start(k->e, 5, 0);
    uint32_t conn = accept_from(k, 2);
    static const uint8_t bad[] = {0, 0, 0, 3, 1, 2, 3};
    event(k,
          (struct env_event){.type = ENV_DATA, .conn = conn, .data = slice_of(bad, sizeof(bad))});
    assert_true(fake_env_logged(k->f, "a notification of server 2 is broken"));
    assert_false(k->f->net.conns[conn].closing);
    kit_free(k);
}

static void who_leaves_lets_go_of_all(void **state)
{
    (void)state;
    struct kit *k = kit_new();
    set_members(k, three, false);
    elect_start(k->e, 5, 0);
    uint32_t conn = accept_from(k, 2);
    elect_leave(k->e);
    assert_true(k->f->net.conns[conn].closing);
    assert_int_equal(fake_net_dials(&k->f->net), 0);
    kit_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_port_moves_with_the_membership),
        cmocka_unit_test(a_taken_port_is_tried_again),
        cmocka_unit_test(a_name_that_does_not_resolve_is_tried_again),
        cmocka_unit_test(votes_make_an_outcome),
        cmocka_unit_test(a_broken_notification_costs_no_connection),
        cmocka_unit_test(who_leaves_lets_go_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
