// SPDX-License-Identifier: Apache-2.0
//
// struct reeve against the real server core (test/support/client_rig.h): every callback exactly
// once, whatever is cut, expires, closes or has no memory. Listeners, tasks and watches:
// client_tasks_test.c; callbacks that block: client_block_test.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/support/client_seen.h"

static int setup(void **state)
{
    *state = crig_new();
    return 0;
}

// At the end of each test, while what callbacks write to is still there.
static void end(void **state)
{
    crig_free((struct crig **)state);
}

static void expect(struct crig *w, const struct seen *s, enum reeve_error error)
{
    crig_run(w);
    assert_int_equal(s->n, 1);
    assert_int_equal(s->error, error);
}

// ---- requests -----------------------------------------------------------------------------------

static void a_call_waits_for_its_answer(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_result r;
    char text[100];
    assert_int_equal(reeve_create(zk, "/a", "data", 4, 0, &r), REEVE_OK);
    assert_string_equal(r.created, "/a");
    reeve_result_fini(&r);
    assert_int_equal(reeve_get(zk, "/a", NULL, &r), REEVE_OK);
    assert_string_equal(r.data, "data");
    assert_int_equal(r.stat.data_length, 4);
    reeve_result_fini(&r);
    assert_int_equal(reeve_get(zk, "/none", NULL, &r), REEVE_NO_NODE);
    assert_string_equal(reeve_result_text(&r, text, sizeof(text)),
                        "get /none: no such node (NONODE)");
    reeve_result_fini(&r);
    assert_int_equal(reeve_delete(zk, "/a", REEVE_ANY_VERSION, NULL), REEVE_OK);
    end(state);
}

static void what_cannot_be_submitted_fills_the_result_too(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_result r;
    struct seen s = {0};
    assert_int_equal(reeve_get_async(zk, "no/path", NULL, on_done, &s), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_get(zk, "no/path", NULL, &r), REEVE_BAD_ARGUMENTS);
    assert_int_equal(r.error, REEVE_BAD_ARGUMENTS);
    assert_string_equal(r.path, "no/path");
    reeve_result_fini(&r);
    static char big[1100000];
    assert_int_equal(reeve_set(zk, "/a", big, sizeof(big), -1, &r), REEVE_TOO_BIG);
    assert_string_equal(r.path, "/a");
    assert_string_equal(r.why, "a request of 1100022 bytes, request_max is 1048575");
    reeve_result_fini(&r);
    struct reeve_multi *m = reeve_multi_new(zk);
    reeve_multi_set(m, "/a", big, sizeof(big) / 2, -1);
    reeve_multi_set(m, "/b", big, sizeof(big) / 2, -1);
    assert_int_equal(reeve_multi_commit(m, &r), REEVE_TOO_BIG);
    reeve_multi_free(&m);
    assert_string_equal(r.why, "a request of 1100063 bytes, request_max is 1048575");
    reeve_result_fini(&r);
    crig_advance(w, 20000);
    assert_int_equal(s.n, 0);
    end(state);
}

static void requests_keep_the_order_of_their_submits(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    enum { N = 50 };
    struct seen s[N] = {0};
    size_t counter = 0;
    for (size_t i = 0; i < N; i++) {
        s[i].counter = &counter;
        assert_int_equal(i % 2 ? reeve_exists_async(zk, "/a", NULL, on_done, &s[i])
                               : reeve_create_async(zk, "/a", NULL, 0, 0, on_done, &s[i]),
                         REEVE_OK);
        assert_int_equal(s[i].n, 0); // never from inside
    }
    crig_run(w);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(s[i].order, i + 1);
        assert_int_equal(s[i].error, i % 2 || !i ? REEVE_OK : REEVE_NODE_EXISTS);
    }
    end(state);
}

struct chain {
    struct reeve *zk;
    size_t left, calls;
};

static void next_of_chain(void *ctx, const struct reeve_result *r)
{
    struct chain *c = ctx;
    assert_int_equal(r->error, REEVE_NO_NODE);
    assert_true(reeve_on_loop(c->zk));
    struct reeve_result none;
    assert_int_equal(reeve_get(c->zk, "/x", NULL, &none), REEVE_WRONG_THREAD);
    reeve_result_fini(&none);
    assert_int_equal(reeve_wait_connected(c->zk, 0), REEVE_WRONG_THREAD);
    c->calls++;
    if (--c->left) {
        assert_int_equal(reeve_get_async(c->zk, "/none", NULL, next_of_chain, c), REEVE_OK);
    }
}

static void callbacks_may_submit_and_not_wait(void **state)
{
    struct crig *w = *state;
    struct chain c = {.zk = crig_client(w, NULL), .left = 20};
    assert_int_equal(reeve_get_async(c.zk, "/none", NULL, next_of_chain, &c), REEVE_OK);
    assert_false(reeve_on_loop(c.zk));
    crig_run(w);
    assert_int_equal(c.calls, 20);
    end(state);
}

static void nobody_needs_to_be_told(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    struct seen s = {0};
    assert_int_equal(reeve_create_async(zk, "/a", NULL, 0, 0, NULL, NULL), REEVE_OK);
    assert_int_equal(reeve_exists_async(zk, "/a", NULL, on_done, &s), REEVE_OK);
    expect(w, &s, REEVE_OK);
    end(state);
}

// ---- connections --------------------------------------------------------------------------------

// A conversation of every kind of request; returns how many messages it took this way.
static size_t talk(struct crig *w, enum crig_way way, size_t cut, bool in_bytes, size_t pieces)
{
    struct reeve *zk = crig_client(w, NULL);
    struct states states = {.zk = zk};
    struct watched watch = {.zk = zk};
    struct seen s[7] = {0};
    struct reeve_watch fn = {on_event, &watch};
    crig_pieces(w, pieces);
    (in_bytes ? crig_cut_after_bytes : crig_cut_after)(w, zk, way, cut);
    assert_int_equal(reeve_listen(zk, on_state, &states), REEVE_OK);
    (void)reeve_create_async(zk, "/w", "1", 1, 0, on_done, &s[0]);
    (void)reeve_get_async(zk, "/w", &fn, on_done, &s[1]);
    (void)reeve_sync_async(zk, "/w", on_done, &s[2]);
    crig_run(w);
    (void)reeve_set_async(zk, "/w", "2", 1, -1, on_done, &s[3]);
    (void)reeve_children_async(zk, "/", NULL, on_done, &s[4]);
    (void)reeve_delete_async(zk, "/w", -1, on_done, &s[5]);
    (void)reeve_exists_async(zk, "/w", NULL, on_done, &s[6]);
    crig_advance(w, 30000);
    for (size_t i = 0; i < 7; i++) {
        bool write = i == 0 || i == 2 || i == 3 || i == 5;
        assert_int_equal(s[i].n, 1);
        assert_true(s[i].error == REEVE_OK || s[i].error == REEVE_NO_NODE ||
                    (write && s[i].error == REEVE_CONNECTION_LOSS));
    }
    size_t messages = crig_messages(w, zk, way);
    assert_true(strncmp(states.text, "cC", 2) == 0);
    crig_close(w, &zk);
    assert_true(watch.n <= 1);
    assert_int_equal(watch.n, watch.last);
    assert_true(s[1].error || watch.n == 1);
    struct reeve *other = crig_client(w, NULL);
    (void)reeve_delete(other, "/w", -1, NULL);
    crig_close(w, &other);
    return messages;
}

static void every_message_may_be_the_last(void **state)
{
    struct crig *w = *state;
    for (enum crig_way way = CRIG_TO_SERVER; way <= CRIG_TO_CLIENT; way++) {
        size_t n = talk(w, way, SIZE_MAX, false, 0);
        assert_true(n > 8);
        for (size_t cut = 0; cut <= n; cut++) {
            (void)talk(w, way, cut, false, 0);
        }
    }
    end(state);
}

static void every_byte_may_be_the_last(void **state)
{
    struct crig *w = *state;
    for (size_t cut = 0; cut < 400; cut += 3) {
        (void)talk(w, CRIG_TO_SERVER, cut, true, 0);
        (void)talk(w, CRIG_TO_CLIENT, cut, true, 1 + cut % 5);
    }
    end(state);
}

static void a_lost_session_is_told_before_what_failed(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    struct states states = {.zk = zk};
    struct seen s = {0};
    struct watched watch = {.zk = zk};
    struct reeve_watch fn = {on_event, &watch};
    assert_int_equal(reeve_listen(zk, on_state, &states), REEVE_OK);
    assert_int_equal(reeve_exists(zk, "/w", &fn, NULL), REEVE_NO_NODE);
    crig_hold(w, zk, true);
    assert_int_equal(reeve_get_async(zk, "/w", NULL, on_done, &s), REEVE_OK);
    crig_refuse(w, zk, true);
    crig_advance(w, 15000);
    assert_string_equal(states.text, "cCSLc");
    expect(w, &s, REEVE_SESSION_EXPIRED);
    assert_int_equal(watch.n, 1);
    assert_int_equal(watch.why, REEVE_SESSION_EXPIRED);
    crig_hold(w, zk, false);
    crig_refuse(w, zk, false);
    crig_advance(w, 5000);
    assert_string_equal(states.text, "cCSLcC");
    end(state);
}

static void one_session_is_the_only_one(void **state)
{
    struct crig *w = *state;
    struct reeve_options o = {.one_session = true};
    struct reeve *zk = crig_client(w, &o);
    struct seen s = {0};
    assert_int_equal(reeve_wait_connected(zk, 1000), REEVE_OK);
    crig_expire(w, zk);
    crig_advance(w, 5000);
    assert_int_equal(reeve_get_async(zk, "/a", NULL, on_done, &s), REEVE_SESSION_EXPIRED);
    assert_int_equal(reeve_wait_connected(zk, -1), REEVE_SESSION_EXPIRED);
    assert_int_equal(s.n, 0);
    end(state);
}

static void refused_auth_ends_the_client(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    struct states states = {.zk = zk};
    struct seen s = {0};
    assert_int_equal(reeve_listen(zk, on_state, &states), REEVE_OK);
    assert_int_equal(reeve_add_auth(zk, "nonsense", "x", 1, NULL), REEVE_AUTH_FAILED);
    crig_run(w);
    assert_int_equal(states.text[states.n - 1], 'A');
    assert_int_equal(reeve_get_async(zk, "/a", NULL, on_done, &s), REEVE_AUTH_FAILED);
    assert_int_equal(reeve_wait_connected(zk, -1), REEVE_AUTH_FAILED);
    assert_int_equal(s.n, 0);
    end(state);
}

static void waiting_for_a_connection_has_an_end(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    crig_refuse(w, zk, true);
    int64_t before = crig_now_ms(w);
    assert_int_equal(reeve_wait_connected(zk, 700), REEVE_OPERATION_TIMEOUT);
    assert_in_range(crig_now_ms(w) - before, 700, 800);
    crig_refuse(w, zk, false);
    assert_int_equal(reeve_wait_connected(zk, -1), REEVE_OK);
    assert_int_equal(reeve_wait_connected(zk, 0), REEVE_OK);
    end(state);
}

static void another_list_of_servers(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, &(struct reeve_options){.servers = "one:1"});
    struct reeve_session s;
    assert_int_equal(reeve_wait_connected(zk, 1000), REEVE_OK);
    assert_int_equal(reeve_set_servers(zk, "a:1,,b:x"), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_set_servers(zk, NULL), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_set_servers(zk, "two:2/app"), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_set_servers(zk, "two:2/"), REEVE_BAD_ARGUMENTS);
    reeve_get_session(zk, &s);
    int64_t id = s.id;
    assert_int_equal(reeve_set_servers(zk, "two:2"), REEVE_OK);
    crig_advance(w, 3000);
    reeve_get_session(zk, &s);
    assert_int_equal(s.state, REEVE_STATE_CONNECTED);
    assert_string_equal(s.server, "two:2");
    assert_int_equal(s.id, id);
    end(state);
}

struct ending {
    struct reeve *zk;
    enum reeve_error error;
};

static void set_servers_at_the_end(void *ctx, const struct reeve_session *s)
{
    struct ending *e = ctx;
    if (s->state == REEVE_STATE_ENDED) {
        e->error = reeve_set_servers(e->zk, "two:2");
    }
}

static void a_list_for_a_closed_client(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    struct ending e = {.zk = zk};
    assert_int_equal(reeve_listen(zk, set_servers_at_the_end, &e), REEVE_OK);
    assert_int_equal(reeve_wait_connected(zk, -1), REEVE_OK);
    crig_close(w, &zk);
    assert_int_equal(e.error, REEVE_CLOSED);
    end(state);
}

static void a_chroot_is_not_seen(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    assert_int_equal(reeve_create(zk, "/app", NULL, 0, 0, NULL), REEVE_OK);
    struct reeve *in = crig_client(w, &(struct reeve_options){.servers = "one:1/app"});
    struct watched watch = {.zk = in};
    struct reeve_watch fn = {on_event, &watch};
    struct reeve_result r;
    assert_int_equal(reeve_create(in, "/w", NULL, 0, 0, &r), REEVE_OK);
    assert_string_equal(r.created, "/w");
    reeve_result_fini(&r);
    assert_int_equal(reeve_exists(in, "/w", &fn, NULL), REEVE_OK);
    assert_int_equal(reeve_delete(zk, "/app/w", -1, NULL), REEVE_OK);
    crig_run(w);
    assert_int_equal(watch.type, REEVE_EVENT_DELETED);
    assert_string_equal(watch.path, "/w");
    end(state);
}

// A list that was read from a file has a newline at its end.
static void spaces_are_no_part_of_a_chroot(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    assert_int_equal(reeve_create(zk, "/app", NULL, 0, 0, NULL), REEVE_OK);
    struct reeve *in = crig_client(w, &(struct reeve_options){.servers = " one:1/app \n"});
    struct reeve *top = crig_client(w, &(struct reeve_options){.servers = "one:1/\n"});
    assert_int_equal(reeve_create(in, "/x", NULL, 0, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_exists(top, "/app/x", NULL, NULL), REEVE_OK);
    end(state);
}

// ---- the end ------------------------------------------------------------------------------------

static bool exists(struct crig *w, const char *path)
{
    struct reeve *zk = crig_client(w, NULL);
    enum reeve_error e = reeve_exists(zk, path, NULL, NULL);
    crig_close(w, &zk);
    return e == REEVE_OK;
}

static void close_ends_the_session_and_abandon_does_not(void **state)
{
    struct crig *w = *state;
    for (int abandon = 0; abandon < 2; abandon++) {
        struct reeve *zk = crig_client(w, NULL);
        struct states states = {.zk = zk};
        struct seen s[3] = {0};
        assert_int_equal(reeve_listen(zk, on_state, &states), REEVE_OK);
        assert_int_equal(reeve_wait_connected(zk, -1), REEVE_OK);
        assert_int_equal(reeve_create_async(zk, "/e", NULL, 0, REEVE_EPHEMERAL, on_done, &s[0]),
                         REEVE_OK);
        crig_run(w);
        assert_int_equal(reeve_get_async(zk, "/e", NULL, on_done, &s[1]), REEVE_OK);
        (abandon ? crig_abandon : crig_close)(w, &zk);
        assert_null(zk);
        assert_int_equal(s[0].error, REEVE_OK);
        assert_int_equal(s[1].n, 1);
        assert_string_equal(states.text, "cCE");
        assert_int_equal(exists(w, "/e"), abandon);
    }
    crig_advance(w, 20000);
    assert_false(exists(w, "/e"));
    end(state);
}

static void an_abandoned_session_is_taken_up(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    assert_int_equal(reeve_create(zk, "/e", NULL, 0, REEVE_EPHEMERAL, NULL), REEVE_OK);
    struct reeve_session s;
    reeve_get_session(zk, &s);
    struct reeve_options o = {.session_id = s.id};
    memcpy(o.session_passwd, s.passwd, sizeof(s.passwd));
    crig_abandon(w, &zk);
    zk = crig_client(w, &o);
    assert_int_equal(reeve_wait_connected(zk, -1), REEVE_OK);
    reeve_get_session(zk, &s);
    assert_int_equal(s.id, o.session_id);
    assert_false(s.renewed);
    assert_true(exists(w, "/e"));
    end(state);
}

struct last_words {
    struct reeve *zk;
    struct seen refused;
    struct task task;
    enum reeve_error submit, post, after, listen;
    size_t n;
};

static void on_last_task(void *ctx)
{
    struct last_words *l = ctx;
    l->n++;
    l->submit = reeve_get_async(l->zk, "/a", NULL, on_done, &l->refused);
    l->post = reeve_post(l->zk, on_task, &l->task);
    l->after = reeve_after(l->zk, 1, on_task, &l->task);
    l->listen = reeve_listen(l->zk, on_state, NULL);
}

static void everything_hears_of_the_end_once(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    struct seen s = {0};
    struct watched watch = {.zk = zk};
    struct reeve_watch fn = {on_event, &watch};
    struct task timer = {.zk = zk};
    struct last_words last = {.zk = zk, .task.zk = zk};
    assert_int_equal(reeve_exists(zk, "/w", &fn, NULL), REEVE_NO_NODE);
    crig_hold(w, zk, true); // the server does not answer any more
    assert_int_equal(reeve_get_async(zk, "/w", NULL, on_done, &s), REEVE_OK);
    assert_int_equal(reeve_after(zk, 1000000, on_task, &timer), REEVE_OK);
    assert_int_equal(reeve_after(zk, 1000000, on_last_task, &last), REEVE_OK);
    crig_run(w);
    int64_t before = crig_now_ms(w);
    crig_close(w, &zk);
    assert_in_range(crig_now_ms(w) - before, 0, 2100); // close_timeout_ms
    assert_int_equal(s.n, 1);
    assert_int_equal(s.error, REEVE_CLOSED);
    assert_int_equal(watch.last, 1);
    assert_int_equal(watch.why, REEVE_CLOSED);
    assert_int_equal(timer.n, 1);
    assert_int_equal(last.n, 1);
    assert_int_equal(last.submit, REEVE_CLOSED);
    assert_int_equal(last.post, REEVE_CLOSED);
    assert_int_equal(last.after, REEVE_CLOSED);
    assert_int_equal(last.listen, REEVE_CLOSED);
    assert_int_equal(last.refused.n + last.task.n, 0);
    end(state);
}

static void a_client_that_never_ran_ends_too(void **state)
{
    struct crig *w = *state;
    for (int how = 0; how < 3; how++) {
        struct reeve *zk = crig_client(w, NULL);
        struct seen s = {0};
        struct task t = {.zk = zk};
        crig_black_hole(w, zk, true);
        assert_int_equal(reeve_create_async(zk, "/a", NULL, 0, 0, on_done, &s), REEVE_OK);
        assert_int_equal(reeve_after(zk, 50, on_task, &t), REEVE_OK);
        (how == 0 ? crig_close : how == 1 ? crig_abandon : crig_drop)(w, &zk);
        assert_int_equal(s.n, 1);
        assert_int_equal(s.error, REEVE_CLOSED);
        assert_int_equal(t.n, 1);
    }
    end(state);
}

// ---- memory -------------------------------------------------------------------------------------

// Whatever begins ends exactly once, and what cannot begin says so.
static void starve(struct crig *w, size_t fail_at, size_t in_a_row)
{
    struct reeve *zk;
    crig_fail_alloc(w, fail_at, in_a_row);
    enum reeve_error e = crig_client_try(w, NULL, &zk);
    if (e) {
        assert_int_equal(e, REEVE_NO_MEMORY);
        assert_null(zk);
        crig_fail_alloc(w, 0, 0);
        return;
    }
    struct states states = {.zk = zk};
    struct watched watch = {.zk = zk};
    struct reeve_watch fn = {on_event, &watch};
    struct task t[2] = {{.zk = zk}, {.zk = zk}};
    struct seen s[4] = {0};
    struct reeve_result r;
    enum reeve_error begun[4], tasks[2];
    enum reeve_error listens = reeve_listen(zk, on_state, &states);
    begun[0] = reeve_create_async(zk, "/w", "1", 1, 0, on_done, &s[0]);
    tasks[0] = reeve_post(zk, on_task, &t[0]);
    tasks[1] = reeve_after(zk, 100, on_task, &t[1]);
    crig_advance(w, 200);
    begun[1] = reeve_get_async(zk, "/w", &fn, on_done, &s[1]);
    crig_cut(w, zk);
    crig_advance(w, 3000);
    begun[2] = reeve_set_async(zk, "/w", "2", 1, -1, on_done, &s[2]);
    begun[3] = reeve_children_async(zk, "/", NULL, on_done, &s[3]);
    (void)reeve_set_servers(zk, "four:4,five:5");
    crig_advance(w, 3000);
    e = reeve_get(zk, "/w", NULL, &r);
    assert_true(e == REEVE_OK || e == REEVE_NO_NODE || e == REEVE_NO_MEMORY);
    assert_int_equal(e, r.error);
    reeve_result_fini(&r);
    reeve_unwatch(zk, "/w", on_event, &watch);
    crig_advance(w, 20000);
    crig_fail_alloc(w, 0, 0);
    assert_int_equal(reeve_wait_connected(zk, -1), REEVE_OK); // it goes on
    assert_int_equal(reeve_exists(zk, "/", NULL, NULL), REEVE_OK);
    (void)reeve_delete(zk, "/w", -1, NULL);
    crig_close(w, &zk);
    for (size_t i = 0; i < 4; i++) {
        assert_true(begun[i] == REEVE_OK || begun[i] == REEVE_NO_MEMORY);
        assert_int_equal(s[i].n, begun[i] == REEVE_OK);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(t[i].n, tasks[i] == REEVE_OK);
    }
    assert_int_equal(states.n > 0, listens == REEVE_OK);
    assert_int_equal(crig_alive(w), 0);
}

static void every_allocation_may_fail(void **state)
{
    struct crig *w = *state;
    size_t before = crig_allocs(w);
    starve(w, 0, 0);
    size_t n = crig_allocs(w) - before;
    assert_true(n > 20);
    for (size_t in_a_row = 1; in_a_row < 200; in_a_row *= 7) {
        for (size_t at = 1; at <= n; at++) {
            starve(w, at, in_a_row);
        }
    }
    end(state);
}

// ---- the rest -----------------------------------------------------------------------------------

static void guids_are_of_one_kind_and_differ(void **state)
{
    struct crig *w = *state;
    struct reeve *a = crig_client(w, NULL), *b = crig_client(w, NULL);
    char guid[4][33];
    reeve_guid(a, guid[0]);
    reeve_guid(a, guid[1]);
    reeve_guid(b, guid[2]);
    reeve_guid(b, guid[3]);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(strspn(guid[i], "0123456789abcdef"), 32);
        assert_int_equal(guid[i][32], 0);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(guid[i], guid[j]);
        }
    }
    assert_true(reeve_random(a) != reeve_random(a));
    end(state);
}

static void options_are_looked_at(void **state)
{
    struct crig *w = *state;
    struct reeve *zk;
    static const char *const bad[] = {"", ":1", "a:0", "a:70000", "a:1/x/", "a:1/x//y", "[::1:2"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct reeve_options o = {.servers = bad[i]};
        assert_int_equal(crig_client_try(w, &o, &zk), REEVE_BAD_ARGUMENTS);
        assert_null(zk);
    }
    end(state);
}

// What would be called or read later, far from who gave it, is refused.
static void null_is_refused(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    struct seen s = {0};
    assert_int_equal(reeve_listen(zk, NULL, NULL), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_post(zk, NULL, NULL), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_after(zk, 1, NULL, NULL), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_submit(zk, NULL, on_done, &s), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_call(zk, NULL, NULL), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_new(&zk, NULL), REEVE_BAD_ARGUMENTS);
    assert_null(zk);
    zk = crig_client(w, NULL);
    struct reeve_multi *m = reeve_multi_new(zk);
    reeve_multi_add(m, NULL);
    assert_int_equal(reeve_multi_commit(m, NULL), REEVE_BAD_ARGUMENTS);
    reeve_multi_free(&m);
    reeve_unwatch(zk, NULL, on_event, NULL);
    assert_false(reeve_cancel(zk, on_task, NULL)); // on a thread that is not the loop's
    crig_run(w);
    assert_int_equal(s.n, 0);
    end(state);
}

static void a_result_can_be_kept(void **state)
{
    struct crig *w = *state;
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_result r, copy;
    assert_int_equal(reeve_create(zk, "/a", "x", 1, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_children(zk, "/", NULL, &r), REEVE_OK);
    assert_int_equal(reeve_result_copy(zk, &copy, &r), REEVE_OK);
    reeve_result_fini(&r);
    crig_close(w, &zk);
    assert_int_equal(copy.children_n, 2); // and /zookeeper
    reeve_result_fini(&copy);             // outlives the client
    end(state);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_waits_for_its_answer),
        TEST(what_cannot_be_submitted_fills_the_result_too),
        TEST(requests_keep_the_order_of_their_submits),
        TEST(callbacks_may_submit_and_not_wait),
        TEST(nobody_needs_to_be_told),
        TEST(every_message_may_be_the_last),
        TEST(every_byte_may_be_the_last),
        TEST(a_lost_session_is_told_before_what_failed),
        TEST(one_session_is_the_only_one),
        TEST(refused_auth_ends_the_client),
        TEST(waiting_for_a_connection_has_an_end),
        TEST(another_list_of_servers),
        TEST(a_list_for_a_closed_client),
        TEST(a_chroot_is_not_seen),
        TEST(spaces_are_no_part_of_a_chroot),
        TEST(close_ends_the_session_and_abandon_does_not),
        TEST(an_abandoned_session_is_taken_up),
        TEST(everything_hears_of_the_end_once),
        TEST(a_client_that_never_ran_ends_too),
        TEST(every_allocation_may_fail),
        TEST(guids_are_of_one_kind_and_differ),
        TEST(options_are_looked_at),
        TEST(null_is_refused),
        TEST(a_result_can_be_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
