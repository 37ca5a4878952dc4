// SPDX-License-Identifier: Apache-2.0
//
// What recipes are made of: paths, sequence numbers, parents, seats. That a seat is found again
// after a lost connection at each message is tested here for persistent ones, which no session's
// end takes away; the locks' tests do it for ephemeral ones.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recipes/kit.h"
#include "test/support/client_rig.h"
#include "tree/node.h"

struct thing {
    struct kit_object o;
    struct kit_seat seat;
    struct kit_timer timer;
    int done, taken, left, closed, fired, sessions;
    enum reeve_error e;
};

static int finished;

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    struct thing *t = (struct thing *)o;
    t->sessions++;
    if (s->state == REEVE_STATE_LOST && (t->seat.flags & REEVE_EPHEMERAL)) {
        kit_seat_lost(&t->seat);
    }
    kit_seat_poke(&t->seat);
}

static void on_close(struct kit_object *o)
{
    struct thing *t = (struct thing *)o;
    t->closed++;
    kit_cancel(&t->timer);
    (void)kit_seat_leave(&t->seat, NULL, NULL);
}

static void fini(struct kit_object *o)
{
    kit_seat_fini(&((struct thing *)o)->seat);
    finished++;
}

static const struct kit_class thing_class = {sizeof(struct thing), on_session, on_close, fini};

static void on_done(struct kit_object *o, void *arg, enum reeve_error e)
{
    struct thing *t = (struct thing *)o;
    assert_ptr_equal(arg, &thing_class);
    t->done++;
    t->e = e;
}

static void on_taken(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)arg;
    struct thing *t = (struct thing *)o;
    t->taken++;
    t->e = e;
}

static void on_left(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)arg;
    struct thing *t = (struct thing *)o;
    t->left++;
    t->e = e;
}

static struct thing *make(struct reeve *zk)
{
    struct kit_object *o;
    assert_int_equal(kit_new(zk, &thing_class, &o), REEVE_OK);
    kit_seat_init(&((struct thing *)o)->seat, o);
    assert_int_equal(kit_open(o), REEVE_OK);
    finished = 0;
    return (struct thing *)o;
}

// ---- without a server ---------------------------------------------------------------------------

static void paths_and_names(void **state)
{
    (void)state;
    assert_true(kit_path_ok("/"));
    assert_true(kit_path_ok("/a/b.c/..d"));
    const char *bad[] = {"", "a", "/a/", "//", "/a//b", "/.", "/a/../b", "/a/.."};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(kit_path_ok(bad[i]));
    }
    assert_false(kit_path_ok(NULL));
    assert_true(kit_name_ok("a.b"));
    assert_false(kit_name_ok(""));
    assert_false(kit_name_ok("a/b"));
    assert_false(kit_name_ok(".."));
    assert_string_equal(kit_name("/a/b"), "b");
    assert_string_equal(kit_name("b"), "b");
}

static void numbers_of_sequences(void **state)
{
    (void)state;
    int32_t n;
    assert_true(kit_seq("_c_0-lock-0000000012", "lock-", &n));
    assert_int_equal(n, 12);
    assert_true(kit_seq("lock-lock-2147483647", "lock-", &n));
    assert_int_equal(n, INT32_MAX);
    assert_true(kit_seq("x__lock__-2147483648", "__lock__", &n));
    assert_int_equal(n, INT32_MIN);
    assert_true(kit_seq("x__lock__-000000001", "__lock__", &n));
    assert_int_equal(n, -1);
    const char *bad[] = {"lock-",           "lock-12",          "lock-00000000123",
                         "lock-000000001x", "lock-2147483648",  "other-0000000001",
                         "lock-+000000001", "lock--00000000001"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(kit_seq(bad[i], "lock-", &n));
    }
    assert_true(kit_seq_cmp(1, 2) < 0);
    assert_true(kit_seq_cmp(2, 1) > 0);
    assert_int_equal(kit_seq_cmp(7, 7), 0);
    assert_true(kit_seq_cmp(INT32_MAX, INT32_MIN) < 0); // the next number behind the last
    assert_true(kit_seq_cmp(INT32_MIN, INT32_MIN + 1) < 0);
    assert_true(kit_seq_cmp(-1, 0) < 0);
}

static void sorting_by_number(void **state)
{
    (void)state;
    const char *names[] = {"b-w-0000000003", "zzz",           "a-r-0000000005", "c-w--2147483648",
                           "d-w-2147483647", "e-r-2147483646"};
    const char *markers[] = {"-r-", "-w-"};
    struct kit_entry out[6];
    assert_int_equal(kit_sort(names + 3, 3, markers, 2, out), 3);
    assert_string_equal(out[0].name, names[5]);
    assert_string_equal(out[1].name, names[4]);
    assert_string_equal(out[2].name, names[3]);
    assert_int_equal(kit_sort(names, 3, markers, 2, out), 2);
    assert_string_equal(out[0].name, names[0]);
    assert_int_equal(out[0].marker, 1);
    assert_int_equal(out[1].marker, 0);
}

// ---- objects ------------------------------------------------------------------------------------

static void on_message(struct kit_object *o, void *arg)
{
    (void)o;
    ++*(int *)arg;
}

static void on_timer(struct kit_object *o, void *arg)
{
    assert_ptr_equal(arg, &thing_class);
    ((struct thing *)o)->fired++;
}

// On the loop's thread, as recipes do it.
static void start(struct kit_object *o, void *arg)
{
    struct thing *t = (struct thing *)o;
    void *mine = (void *)(uintptr_t)&thing_class;
    assert_int_equal(kit_start(o, &t->timer, *(int64_t *)arg, on_timer, mine), REEVE_OK);
}

static void start_in_loop(struct crig *c, struct thing *t, int64_t ms)
{
    assert_int_equal(kit_send(&t->o, start, &ms), REEVE_OK);
    crig_run(c);
}

static void messages_and_timers(void **state)
{
    (void)state;
    struct crig *c = crig_new();
    struct reeve *zk = crig_client(c, NULL);
    struct thing *t = make(zk);
    int got = 0;
    assert_int_equal(kit_send(&t->o, on_message, &got), REEVE_OK);
    assert_int_equal(got, 0); // never from inside
    crig_run(c);
    assert_int_equal(got, 1);
    start_in_loop(c, t, 100);
    start_in_loop(c, t, 500);
    crig_advance(c, 400);
    assert_int_equal(t->fired, 0);
    crig_advance(c, 200);
    assert_int_equal(t->fired, 1);
    start_in_loop(c, t, INT64_MAX);
    assert_int_equal(kit_send(&t->o, on_message, &got), REEVE_OK);
    kit_close(&t->o);
    kit_close(&t->o);
    crig_run(c);
    assert_int_equal(finished, 1); // the timer was taken back
    assert_int_equal(got, 2);
    crig_close(c, &zk);
    crig_free(&c);
}

static void an_object_goes_with_its_client(void **state)
{
    (void)state;
    for (int with_memory = 0; with_memory < 2; with_memory++) {
        struct crig *c = crig_new();
        struct reeve *zk = crig_client(c, NULL);
        struct thing *t = make(zk);
        int got = 0;
        assert_int_equal(kit_send(&t->o, on_message, &got), REEVE_OK);
        start_in_loop(c, t, 50);
        assert_int_equal(kit_send(&t->o, on_message, &got), REEVE_OK);
        crig_fail_alloc(c, with_memory ? 0 : 1, 1);
        if (!with_memory) {
            kit_close(&t->o); // finds none, so the end of the client does it
        }
        crig_fail_alloc(c, 0, 0);
        crig_close(c, &zk);
        assert_int_equal(got, 2);
        assert_int_equal(finished, 1);
        crig_free(&c);
    }
}

// ---- parents ------------------------------------------------------------------------------------

static void parents_are_made(void **state)
{
    (void)state;
    bool cut = true;
    for (size_t n = 0; cut; n++) {
        struct crig *c = crig_new();
        struct reeve *zk = crig_client(c, NULL);
        crig_run(c);
        struct thing *t = make(zk);
        void *arg = (void *)(uintptr_t)&thing_class;
        crig_cut_after(c, zk, n % 2 ? CRIG_TO_CLIENT : CRIG_TO_SERVER, n / 2);
        assert_int_equal(kit_ensure(&t->o, "/a/b/c", on_done, arg), REEVE_OK);
        crig_advance(c, 3000);
        assert_int_equal(t->done, 1);
        assert_int_equal(t->e, REEVE_OK);
        cut = crig_was_cut(c, zk);
        assert_int_equal(kit_ensure(&t->o, "/a/b", on_done, arg), REEVE_OK);
        assert_int_equal(kit_ensure_plain(&t->o, "/a/p", on_done, arg), REEVE_OK);
        assert_int_equal(kit_ensure(&t->o, "/", on_done, arg), REEVE_OK);
        crig_run(c);
        assert_int_equal(t->done, 4);
        assert_int_equal(t->e, REEVE_OK);
        assert_int_equal(crig_kind(c, "/a"), NODE_CONTAINER);
        assert_int_equal(crig_kind(c, "/a/b/c"), NODE_CONTAINER);
        assert_int_equal(crig_kind(c, "/a/p"), NODE_PLAIN);
        kit_close(&t->o);
        crig_close(c, &zk);
        crig_free(&c);
    }
}

static void parents_below_an_ephemeral_node_are_refused(void **state)
{
    (void)state;
    struct crig *c = crig_new();
    struct reeve *zk = crig_client(c, NULL);
    struct thing *t = make(zk);
    assert_int_equal(reeve_create(zk, "/e", NULL, 0, REEVE_EPHEMERAL, NULL), REEVE_OK);
    void *arg = (void *)(uintptr_t)&thing_class;
    assert_int_equal(kit_ensure(&t->o, "/e/x", on_done, arg), REEVE_OK);
    crig_run(c);
    assert_int_equal(t->e, REEVE_NO_CHILDREN_FOR_EPHEMERALS);
    kit_close(&t->o);
    crig_close(c, &zk);
    crig_free(&c);
}

// ---- seats --------------------------------------------------------------------------------------

static size_t count(struct reeve *zk)
{
    struct reeve_result r;
    size_t n = reeve_children(zk, "/q", NULL, &r) ? 0 : r.children_n;
    reeve_result_fini(&r);
    return n;
}

// Taken and left through a cut at each message, alone or with the session.
static void a_seat_is_taken_once(void **state)
{
    (void)state;
    for (int expire = 0; expire < 2; expire++) {
        bool cut = true;
        for (size_t n = 0; cut; n++) {
            struct crig *c = crig_new();
            struct reeve *zk = crig_client(c, NULL);
            struct reeve *other = crig_client(c, NULL);
            crig_run(c);
            struct thing *t = make(zk);
            crig_cut_after(c, zk, n % 2 ? CRIG_TO_CLIENT : CRIG_TO_SERVER, n / 2);
            assert_int_equal(kit_seat_take(&t->seat, "/q", kit_name_curator(zk, "item-"),
                                           REEVE_SEQUENTIAL, "x", 1, on_taken, NULL),
                             REEVE_OK);
            crig_run(c);
            cut = crig_was_cut(c, zk);
            if (expire) {
                crig_expire(c, zk);
            }
            crig_advance(c, 5000);
            assert_int_equal(t->taken, 1);
            if (t->e == REEVE_OK) {
                assert_int_equal(t->seat.state, KIT_SEAT_TAKEN);
                assert_true(t->seat.czxid > 0);
                assert_int_equal(count(other), 1);
                struct reeve_result r;
                assert_int_equal(reeve_exists(other, t->seat.path, NULL, &r), REEVE_OK);
                assert_int_equal(r.stat.czxid, t->seat.czxid);
                reeve_result_fini(&r);
            } else {
                assert_int_equal(t->e, REEVE_SESSION_EXPIRED);
                assert_true(expire);
                assert_int_equal(count(other), 0);
            }
            if (kit_seat_leave(&t->seat, on_left, NULL)) {
                crig_advance(c, 5000);
                assert_int_equal(t->left, 1);
                assert_int_equal(t->e, REEVE_OK);
            }
            assert_int_equal(count(other), 0);
            kit_close(&t->o);
            crig_close(c, &zk);
            crig_close(c, &other);
            crig_free(&c);
        }
    }
}

// To leave while it is being taken: it is found out whether there is something to leave.
static void a_seat_can_be_left_at_each_point(void **state)
{
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        for (int steps = 0; steps < 16; steps++) {
            struct crig *c = crig_new();
            struct reeve *zk = crig_client(c, NULL);
            struct reeve *other = crig_client(c, NULL);
            crig_run(c);
            struct thing *t = make(zk);
            assert_int_equal(kit_seat_take(&t->seat, "/q", kit_name_kazoo(zk, "x"), REEVE_EPHEMERAL,
                                           "x", 1, on_taken, NULL),
                             REEVE_OK);
            for (int i = 0; i < steps; i++) {
                (void)crig_step(c);
            }
            if (cut) {
                crig_cut(c, zk);
            }
            bool had = t->taken;
            assert_true(kit_seat_leave(&t->seat, on_left, NULL));
            crig_advance(c, 5000);
            assert_int_equal(t->taken, 1);
            assert_int_equal(t->left, 1);
            assert_int_equal(t->e, REEVE_OK);
            assert_true(had || t->seat.state == KIT_SEAT_EMPTY);
            assert_int_equal(count(other), 0);
            assert_false(kit_seat_leave(&t->seat, on_left, NULL));
            kit_close(&t->o);
            crig_close(c, &zk);
            crig_close(c, &other);
            crig_free(&c);
        }
    }
}

// A seat whose first create was lost, so that it may still be executed.
static struct thing *take_in_doubt(struct crig *c, struct reeve *zk, unsigned flags)
{
    struct thing *t = make(zk);
    crig_cut_after(c, zk, CRIG_TO_SERVER, 0);
    assert_int_equal(
        kit_seat_take(&t->seat, "/q", kit_name_curator(zk, "item-"), flags, "x", 1, on_taken, NULL),
        REEVE_OK);
    crig_advance(c, 3000);
    assert_true(crig_was_cut(c, zk));
    assert_int_equal(t->taken, 1);
    assert_int_equal(t->e, REEVE_OK);
    return t;
}

static void make_late(struct reeve *zk, const struct kit_seat *s)
{
    char *path = kit_join(zk, s->parent, s->name);
    assert_int_equal(reeve_create(zk, path, "x", 1, s->flags, NULL), REEVE_OK);
    kit_free(zk, path);
}

static void a_seat_that_is_made_late_goes_as_well(void **state)
{
    (void)state;
    bool cut = true;
    for (size_t n = 0; cut; n++) {
        struct crig *c = crig_new();
        struct reeve *zk = crig_client(c, NULL);
        assert_int_equal(reeve_create(zk, "/q", NULL, 0, 0, NULL), REEVE_OK);
        struct thing *t = take_in_doubt(c, zk, REEVE_EPHEMERAL | REEVE_SEQUENTIAL);
        struct reeve_result r;
        assert_int_equal(reeve_children(zk, "/q", NULL, &r), REEVE_OK);
        assert_null(kit_seat_twin(&t->seat, &r));
        reeve_result_fini(&r);
        make_late(zk, &t->seat);
        make_late(zk, &t->seat);
        assert_int_equal(reeve_children(zk, "/q", NULL, &r), REEVE_OK);
        const char *twin = kit_seat_twin(&t->seat, &r);
        assert_non_null(twin);
        assert_string_not_equal(twin, kit_name(t->seat.path));
        reeve_result_fini(&r);
        char *path = kit_str(zk, t->seat.path);
        crig_cut_after(c, zk, n % 2 ? CRIG_TO_CLIENT : CRIG_TO_SERVER, n / 2);
        assert_true(kit_seat_leave(&t->seat, on_left, NULL));
        crig_advance(c, 5000);
        cut = crig_was_cut(c, zk);
        assert_int_equal(t->left, 1);
        assert_int_equal(t->e, REEVE_OK);
        assert_int_equal(count(zk), 0);
        assert_string_equal(t->seat.path, path); // whoever watched it can take that back
        kit_free(zk, path);
        kit_close(&t->o);
        crig_close(c, &zk);
        crig_free(&c);
    }
}

// The next one in the same session has the same name, and those of another session do not count.
static void a_seat_in_doubt_keeps_its_name(void **state)
{
    (void)state;
    struct crig *c = crig_new();
    struct reeve *zk = crig_client(c, NULL);
    assert_int_equal(reeve_create(zk, "/q", NULL, 0, 0, NULL), REEVE_OK);
    struct thing *t = take_in_doubt(c, zk, REEVE_EPHEMERAL | REEVE_SEQUENTIAL);
    char *name = kit_str(zk, t->seat.name);
    for (int round = 0; round < 2; round++) {
        if (round) {
            crig_expire(c, zk);
            crig_advance(c, 15000);
        } else {
            assert_true(kit_seat_leave(&t->seat, on_left, NULL));
            crig_run(c);
            make_late(zk, &t->seat);
        }
        assert_int_equal(t->seat.state, KIT_SEAT_EMPTY);
        assert_int_equal(kit_seat_take(&t->seat, "/q", kit_name_curator(zk, "item-"),
                                       REEVE_EPHEMERAL | REEVE_SEQUENTIAL, "x", 1, on_taken, NULL),
                         REEVE_OK);
        crig_run(c);
        assert_int_equal(t->e, REEVE_OK);
        assert_int_equal(strcmp(t->seat.name, name) == 0, round == 0);
        assert_int_equal(count(zk), round == 0 ? 2 : 1);
    }
    kit_free(zk, name);
    kit_close(&t->o);
    crig_close(c, &zk);
    crig_free(&c);
}

// A name without a number can be there only once: the late node is the seat, if it is ours.
static void a_late_seat_without_a_number_is_taken(void **state)
{
    (void)state;
    for (int ours = 0; ours < 2; ours++) {
        struct crig *c = crig_new();
        struct reeve *zk = crig_client(c, NULL);
        struct reeve *other = crig_client(c, NULL);
        assert_int_equal(reeve_create(zk, "/q", NULL, 0, 0, NULL), REEVE_OK);
        struct thing *t = take_in_doubt(c, zk, REEVE_EPHEMERAL);
        assert_true(kit_seat_leave(&t->seat, on_left, NULL));
        crig_run(c);
        make_late(ours ? zk : other, &t->seat);
        assert_int_equal(kit_seat_take(&t->seat, "/q", kit_str(zk, t->seat.name), REEVE_EPHEMERAL,
                                       "x", 1, on_taken, NULL),
                         REEVE_OK);
        crig_run(c);
        assert_int_equal(t->taken, 2);
        assert_int_equal(t->e, ours ? REEVE_OK : REEVE_NODE_EXISTS);
        kit_close(&t->o);
        crig_run(c);
        assert_int_equal(count(other), !ours);
        crig_close(c, &zk);
        crig_close(c, &other);
        crig_free(&c);
    }
}

static void names_are_drawn_anew(void **state)
{
    (void)state;
    struct crig *c = crig_new();
    struct reeve *zk = crig_client(c, NULL);
    char *a = kit_name_curator(zk, "lock-");
    char *b = kit_name_curator(zk, "lock-");
    assert_int_equal(strlen(a), 3 + 36 + 1 + 5);
    assert_string_not_equal(a, b);
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        assert_true(dash ? a[3 + i] == '-' : strchr("0123456789abcdef", a[3 + i]) != NULL);
    }
    assert_string_equal(a + 39, "-lock-");
    kit_free(zk, a);
    kit_free(zk, b);
    crig_close(c, &zk);
    crig_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_and_names),
        cmocka_unit_test(numbers_of_sequences),
        cmocka_unit_test(sorting_by_number),
        cmocka_unit_test(messages_and_timers),
        cmocka_unit_test(an_object_goes_with_its_client),
        cmocka_unit_test(parents_are_made),
        cmocka_unit_test(parents_below_an_ephemeral_node_are_refused),
        cmocka_unit_test(a_seat_is_taken_once),
        cmocka_unit_test(a_seat_can_be_left_at_each_point),
        cmocka_unit_test(a_seat_that_is_made_late_goes_as_well),
        cmocka_unit_test(a_seat_in_doubt_keeps_its_name),
        cmocka_unit_test(a_late_seat_without_a_number_is_taken),
        cmocka_unit_test(names_are_drawn_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
