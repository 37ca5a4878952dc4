// SPDX-License-Identifier: Apache-2.0
//
// Watches as clients see them: which events, before which replies, with which zxid, to whom; the
// requests that set, check and remove them.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "limits.h"
#include "serve/core.h"
#include "test/support/serve_rig.h"
#include "wire/jute.h"
#include "wire/ops.h"

struct ctx {
    struct rig *r;
    uint32_t a, b; // a watches, b writes
    struct buf w;
};

static int setup(void **state)
{
    struct ctx *x = calloc(1, sizeof(*x));
    x->r = rig_new(NULL);
    x->a = rig_client(x->r);
    x->b = rig_client(x->r);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct ctx *x = *state;
    buf_fini(&x->w);
    rig_free(&x->r);
    free(x);
    return 0;
}

static void flush(struct ctx *x, uint32_t conn)
{
    rig_send(x->r, conn, buf_slice(&x->w));
    buf_clear(&x->w);
    serve_check(x->r->serve);
}

static void expect_reply(struct ctx *x, uint32_t conn, int32_t xid, int32_t err)
{
    struct rig_reply reply;
    assert_true(rig_next(x->r, conn, &reply));
    assert_int_equal(reply.xid, xid);
    assert_int_equal(reply.err, err);
}

static void expect_event(struct ctx *x, uint32_t conn, int64_t zxid, int32_t type, const char *path)
{
    struct rig_reply reply;
    assert_true(rig_next(x->r, conn, &reply));
    assert_int_equal(reply.xid, -1);
    assert_int_equal(reply.zxid, zxid);
    assert_int_equal(reply.err, 0);
    assert_int_equal(reply.body.n, 12 + strlen(path));
    assert_int_equal(be32_get(reply.body.p), type);
    assert_int_equal(be32_get(reply.body.p + 4), 3);
    assert_memory_equal(reply.body.p + 12, path, strlen(path));
}

static void expect_nothing(struct ctx *x, uint32_t conn)
{
    struct rig_reply reply;
    assert_false(rig_next(x->r, conn, &reply));
}

static void create(struct ctx *x, const char *path)
{
    rig_put_create(&x->w, 100, OP_CREATE, path, SLICE_LIT("d"), 0);
    flush(x, x->b);
    expect_reply(x, x->b, 100, 0);
}

static void one_shot_watches_fire_once(void **state)
{
    struct ctx *x = *state;
    rig_put_read(&x->w, 1, OP_EXISTS, "/n", true);   // missing: waits for it
    rig_put_read(&x->w, 2, OP_GET_DATA, "/n", true); // fails: registers nothing
    rig_put_read(&x->w, 3, OP_GET_CHILDREN, "/", true);
    flush(x, x->a);
    expect_reply(x, x->a, 1, ZK_NONODE);
    expect_reply(x, x->a, 2, ZK_NONODE);
    expect_reply(x, x->a, 3, 0);
    assert_int_equal(tree_zxid(x->r->tree), 2);
    create(x, "/n");
    expect_event(x, x->a, 3, 1, "/n");
    expect_event(x, x->a, 3, 4, "/");
    create(x, "/m");
    rig_put_set(&x->w, 9, "/n", SLICE_LIT("e"));
    flush(x, x->b);
    expect_nothing(x, x->a);
}

// A delete tells a watcher of both lists once.
static void delete_with_both_watches(void **state)
{
    struct ctx *x = *state;
    create(x, "/n");
    rig_put_read(&x->w, 1, OP_GET_DATA, "/n", true);
    rig_put_read(&x->w, 2, OP_GET_CHILDREN2, "/n", true);
    rig_put_read(&x->w, 3, OP_GET_CHILDREN2, "/", true);
    flush(x, x->a);
    for (int32_t i = 1; i <= 3; i++) {
        expect_reply(x, x->a, i, 0);
    }
    rig_put_delete(&x->w, 1, "/n");
    flush(x, x->b);
    expect_event(x, x->a, 4, 2, "/n");
    expect_event(x, x->a, 4, 4, "/");
    expect_nothing(x, x->a);
}

static void events_come_before_the_reply_on_the_same_connection(void **state)
{
    struct ctx *x = *state;
    create(x, "/n");
    rig_put_read(&x->w, 1, OP_GET_DATA, "/n", true);
    rig_put_set(&x->w, 2, "/n", SLICE_LIT("x"));
    rig_put_read(&x->w, 3, OP_GET_DATA, "/n", true);
    rig_put_set(&x->w, 4, "/n", SLICE_LIT("y"));
    flush(x, x->a);
    expect_reply(x, x->a, 1, 0);
    expect_event(x, x->a, 4, 3, "/n");
    expect_reply(x, x->a, 2, 0);
    expect_reply(x, x->a, 3, 0);
    expect_event(x, x->a, 5, 3, "/n");
    expect_reply(x, x->a, 4, 0);
}

static void persistent_watches_stay(void **state)
{
    struct ctx *x = *state;
    rig_put_int(&x->w, 1, OP_ADD_WATCH, "/p", 0);
    rig_put_int(&x->w, 2, OP_ADD_WATCH, "/p", 2);
    flush(x, x->a);
    struct rig_reply reply;
    assert_true(rig_next(x->r, x->a, &reply));
    assert_true(slice_eq(reply.body, SLICE_LIT("\0\0\0\0")));
    expect_reply(x, x->a, 2, ZK_MARSHALLINGERROR);
    create(x, "/p");
    create(x, "/p/c");
    create(x, "/p/c/d");
    expect_event(x, x->a, 3, 1, "/p");
    expect_event(x, x->a, 4, 4, "/p");
    expect_nothing(x, x->a);
    rig_put_int(&x->w, 3, OP_ADD_WATCH, "/p", 1); // recursive as well
    flush(x, x->a);
    expect_reply(x, x->a, 3, 0);
    rig_put_set(&x->w, 9, "/p/c/d", SLICE_LIT("x"));
    flush(x, x->b);
    expect_event(x, x->a, 6, 3, "/p/c/d");
    rig_put_set(&x->w, 9, "/p", SLICE_LIT("x"));
    flush(x, x->b);
    expect_event(x, x->a, 7, 3, "/p"); // one frame for both modes
    expect_nothing(x, x->a);
}

static void checking_and_removing(void **state)
{
    struct ctx *x = *state;
    create(x, "/n");
    rig_put_read(&x->w, 1, OP_GET_DATA, "/n", true);
    rig_put_int(&x->w, 2, OP_ADD_WATCH, "/n", 0);
    static const int32_t checks[][2] = {{1, ZK_NOWATCHER},
                                        {2, 0},
                                        {3, 0},
                                        {4, 0},
                                        {5, ZK_NOWATCHER},
                                        {0, ZK_MARSHALLINGERROR},
                                        {6, ZK_MARSHALLINGERROR}};
    for (size_t i = 0; i < 7; i++) {
        rig_put_int(&x->w, 3, OP_CHECK_WATCHES, "/n", checks[i][0]);
    }
    rig_put_int(&x->w, 4, OP_REMOVE_WATCHES, "/n", 2);
    rig_put_int(&x->w, 5, OP_REMOVE_WATCHES, "/n", 2);
    rig_put_int(&x->w, 6, OP_REMOVE_WATCHES, "/other", 3);
    flush(x, x->a);
    expect_reply(x, x->a, 1, 0);
    expect_reply(x, x->a, 2, 0);
    for (size_t i = 0; i < 7; i++) {
        expect_reply(x, x->a, 3, checks[i][1]);
    }
    expect_reply(x, x->a, 4, 0);
    expect_reply(x, x->a, 5, ZK_NOWATCHER);
    expect_reply(x, x->a, 6, ZK_NOWATCHER);
    rig_put_set(&x->w, 1, "/n", SLICE_LIT("x"));
    flush(x, x->b);
    expect_event(x, x->a, 4, 3, "/n"); // persistent is left
    rig_put_int(&x->w, 7, OP_REMOVE_WATCHES, "/n", 3);
    flush(x, x->a);
    expect_reply(x, x->a, 7, 0);
    rig_put_set(&x->w, 1, "/n", SLICE_LIT("y"));
    flush(x, x->b);
    expect_nothing(x, x->a);
}

static void put_paths(struct buf *b, int n, ...)
{
    va_list ap;
    va_start(ap, n);
    buf_put_i32(b, n);
    for (int i = 0; i < n; i++) {
        jute_put_bytes(b, slice_str(va_arg(ap, const char *)));
    }
    va_end(ap);
}

static void set_watches_tells_what_was_missed(void **state)
{
    struct ctx *x = *state;
    create(x, "/old");                                                 // 3
    create(x, "/changed");                                             // 4
    create(x, "/there");                                               // 5
    rig_put_set(&x->w, 1, "/changed", SLICE_LIT("x"));                 // 6
    rig_put_create(&x->w, 1, OP_CREATE, "/there/c", SLICE_LIT(""), 0); // 7
    flush(x, x->b);
    expect_reply(x, x->b, 1, 0);
    expect_reply(x, x->b, 1, 0);
    size_t at = x->w.n;
    rig_put_head(&x->w, -8, OP_SET_WATCHES2);
    buf_put_i64(&x->w, 5);
    put_paths(&x->w, 3, "/old", "/changed", "/gone");
    put_paths(&x->w, 2, "/there", "/none");
    put_paths(&x->w, 3, "/there", "/old", "/gone");
    put_paths(&x->w, 1, "/p");
    put_paths(&x->w, 1, "/r");
    be32_put(x->w.p + at, (uint32_t)(x->w.n - at - 4));
    flush(x, x->a);
    expect_event(x, x->a, -1, 3, "/changed");
    expect_event(x, x->a, -1, 2, "/gone");
    expect_event(x, x->a, -1, 1, "/there");
    expect_event(x, x->a, -1, 4, "/there");
    expect_event(x, x->a, -1, 2, "/gone");
    expect_reply(x, x->a, -8, 0);
    create(x, "/none");
    create(x, "/old/c");
    create(x, "/p");
    create(x, "/r");
    create(x, "/r/x");
    rig_put_set(&x->w, 1, "/old", SLICE_LIT("z"));
    flush(x, x->b);
    expect_event(x, x->a, 8, 1, "/none");
    expect_event(x, x->a, 9, 4, "/old");
    expect_event(x, x->a, 10, 1, "/p");
    expect_event(x, x->a, 11, 1, "/r");
    expect_event(x, x->a, 12, 1, "/r/x");
    expect_event(x, x->a, 13, 3, "/old");
    expect_nothing(x, x->a);
}

static void set_watches_wants_its_vectors(void **state)
{
    struct ctx *x = *state;
    size_t at = x->w.n;
    rig_put_head(&x->w, -8, OP_SET_WATCHES);
    buf_put_i64(&x->w, 5);
    put_paths(&x->w, 1, "/x");
    buf_put_i32(&x->w, -1);
    put_paths(&x->w, 0);
    be32_put(x->w.p + at, (uint32_t)(x->w.n - at - 4));
    flush(x, x->a);
    expect_reply(x, x->a, -8, ZK_MARSHALLINGERROR);
    expect_nothing(x, x->a);
}

static void create_for_digest(struct ctx *x, const char *path)
{
    struct acl only = {PERM_ALL, {SLICE_LIT("auth"), SLICE_LIT("")}};
    size_t at = x->w.n;
    rig_put_head(&x->w, 7, OP_CREATE);
    jute_put_record(&x->w, &record_create_request,
                    &(struct create_request){slice_str(path), SLICE_LIT(""), {&only, 1}, 0});
    be32_put(x->w.p + at, (uint32_t)(x->w.n - at - 4));
}

// Who may not read a node hears nothing of it, and its one-shot watch is used up.
static void events_respect_acls(void **state)
{
    struct ctx *x = *state;
    uint32_t c = rig_client(x->r);
    rig_put_auth(&x->w, -4, "digest", SLICE_LIT("user:pass"));
    rig_send(x->r, c, buf_slice(&x->w));
    flush(x, x->b);
    expect_reply(x, x->b, -4, 0);
    expect_reply(x, c, -4, 0);
    rig_put_read(&x->w, 1, OP_EXISTS, "/s", true);
    rig_send(x->r, c, buf_slice(&x->w));
    flush(x, x->a);
    expect_reply(x, x->a, 1, ZK_NONODE);
    expect_reply(x, c, 1, ZK_NONODE);
    create_for_digest(x, "/s");
    flush(x, x->b);
    expect_reply(x, x->b, 7, 0);
    expect_event(x, c, 4, 1, "/s");
    expect_nothing(x, x->a);
    assert_int_equal(watch_count(x->r->serve->watches), 0);
}

static void watches_end_with_their_connection(void **state)
{
    struct ctx *x = *state;
    rig_put_read(&x->w, 1, OP_EXISTS, "/n", true);
    rig_put_int(&x->w, 2, OP_ADD_WATCH, "/n", 1);
    flush(x, x->a);
    rig_hang_up(x->r, x->a);
    assert_int_equal(watch_count(x->r->serve->watches), 0);
    uint32_t again = rig_client(x->r); // the same number
    assert_int_equal(again, x->a);
    create(x, "/n");
    expect_nothing(x, again);
}

static void a_peer_that_never_reads_is_cut_off(void **state)
{
    struct ctx *x = *state;
    char path[4001];
    memset(path, 'p', sizeof(path) - 1);
    path[0] = '/';
    path[4000] = 0;
    create(x, path);
    rig_put_int(&x->w, 1, OP_ADD_WATCH, path, 0);
    flush(x, x->a);
    expect_reply(x, x->a, 1, 0);
    rig_slow(x->r, x->a, true);
    rig_put_set(&x->w, 1, path, SLICE_LIT("x"));
    size_t most = 0;
    for (int i = 0; i < 20000 && !rig_eof(x->r, x->a); i++) {
        rig_send(x->r, x->b, buf_slice(&x->w));
        buf_clear(&x->r->clients[x->b].got);
        x->r->clients[x->b].read = 0;
        most = x->r->clients[x->a].unsent.n;
    }
    assert_true(rig_eof(x->r, x->a));
    assert_true(most < LIMIT_CONN_UNSENT_CLOSE + 10000);
    assert_true(most > LIMIT_CONN_UNSENT_CLOSE / 2);
    serve_check(x->r->serve);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_shot_watches_fire_once, setup, teardown),
        cmocka_unit_test_setup_teardown(delete_with_both_watches, setup, teardown),
        cmocka_unit_test_setup_teardown(events_come_before_the_reply_on_the_same_connection, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(persistent_watches_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(checking_and_removing, setup, teardown),
        cmocka_unit_test_setup_teardown(set_watches_tells_what_was_missed, setup, teardown),
        cmocka_unit_test_setup_teardown(set_watches_wants_its_vectors, setup, teardown),
        cmocka_unit_test_setup_teardown(events_respect_acls, setup, teardown),
        cmocka_unit_test_setup_teardown(watches_end_with_their_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(a_peer_that_never_reads_is_cut_off, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
