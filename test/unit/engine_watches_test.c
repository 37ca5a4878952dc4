// SPDX-License-Identifier: Apache-2.0
//
// Watches over the life of a session in the engine: set again at the next server, taken back.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/endian.h"
#include "test/support/engine_rig.h"
#include "wire/ops.h"

static const struct reeve_options plain;

// ---- watches set again --------------------------------------------------------------------------

// A vector of strings at *p, as "a b ", and *p behind it.
static const char *vector(const uint8_t **p)
{
    static char text[5][256];
    static unsigned at;
    char *t = text[at++ % 5];
    t[0] = 0;
    uint32_t n = be32_get(*p);
    *p += 4;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t len = be32_get(*p);
        strncat(t, (const char *)*p + 4, len);
        strncat(t, " ", 2);
        *p += 4 + len;
    }
    return t;
}

static void add_watch(struct erig *r, const char *path, enum reeve_watch_kind kind)
{
    erig_submit(
        r, &(struct reeve_request){
               .op = REEVE_OP_ADD_WATCH, .path = path, .kind = kind, .watch = {erig_watch_fn, r}});
    assert_true(erig_take(r, 0));
    erig_answer(r, 0, r->frame.xid, 40, 0, "\0\0\0", 4);
}

static void watches_are_set_again(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.servers = "a,b/app"});
    erig_get_watch(r, "/d");
    erig_serve(r, 0, OP_GET_DATA, 40, 0);
    struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = "/e", .watch = {erig_watch_fn, NULL}};
    erig_submit(r, &q);
    erig_serve(r, 0, OP_EXISTS, 41, -101);
    erig_gone(r, 0, "");
    erig_get(r, "/x");
    erig_reconnect(r);
    assert_true(erig_take(r, 0));
    assert_int_equal(r->frame.xid, -8);
    assert_int_equal(r->frame.op, OP_SET_WATCHES);
    const uint8_t *p = r->frame.body + 8;
    assert_int_equal(be64_get(r->frame.body), 41);
    assert_string_equal(vector(&p), "/app/d ");
    assert_string_equal(vector(&p), "/app/e ");
    assert_string_equal(vector(&p), "");
    assert_ptr_equal(p, r->frame.body + r->frame.n);
    erig_forget(r);
    erig_event(r, 0, 1, "/app/e");
    erig_answer(r, 0, -8, 42, 0, NULL, 0);
    erig_serve(r, 0, OP_GET_DATA, 43, 0);
    erig_expect(r, "watch 1 /e last\ndone get /x 0\n");
    add_watch(r, "/p", REEVE_WATCH_PERSISTENT);
    add_watch(r, "/r", REEVE_WATCH_RECURSIVE);
    erig_gone(r, 0, "");
    erig_wait(r, 51);
    erig_reconnect(r);
    assert_true(erig_take(r, 0));
    assert_int_equal(r->frame.op, OP_SET_WATCHES2);
    p = r->frame.body + 8;
    assert_string_equal(vector(&p), "/app/d ");
    assert_string_equal(vector(&p), "");
    assert_string_equal(vector(&p), "");
    assert_string_equal(vector(&p), "/app/p ");
    assert_string_equal(vector(&p), "/app/r ");
    erig_free(r);
}

static void many_watches_go_in_pieces(void **state)
{
    (void)state;
    enum { WATCHES = 2000 };
    struct erig *r = erig_connected(plain);
    char path[300];
    memset(path, 'x', sizeof(path));
    for (int i = 0; i < WATCHES; i++) {
        int n = snprintf(path, 20, "/%d-", i);
        path[n] = 'x';
        path[200 + i % 90] = 0;
        erig_get_watch(r, path);
        path[200 + i % 90] = 'x';
        erig_serve(r, 0, OP_GET_DATA, 5, 0);
    }
    erig_gone(r, 0, "");
    erig_set(r, "/behind");
    r->out_max = 1000;
    erig_reconnect(r);
    size_t watches = 0, pieces = 0;
    while (erig_take(r, 0) && r->frame.op == OP_SET_WATCHES) {
        assert_in_range(r->frame.n, 1, 65536);
        watches += be32_get(r->frame.body + 8);
        pieces++;
    }
    assert_int_equal(r->frame.op, OP_SET_DATA);
    assert_int_equal(watches, WATCHES);
    assert_int_equal(pieces, 8);
    struct reeve_session before, after;
    engine_get_session(r->e, &before);
    for (size_t i = 0; i < pieces; i++) {
        // Until all are set again, a loss must set them from where they were left.
        engine_get_session(r->e, &after);
        assert_int_equal(after.zxid, before.zxid);
        erig_answer(r, 0, -8, 9, 0, NULL, 0);
    }
    engine_get_session(r->e, &after);
    assert_int_equal(after.zxid, 9);
    erig_forget(r);
    erig_answer(r, 0, r->frame.xid, 10, -101, NULL, 0);
    erig_expect(r, "done set /behind -101\n");
    erig_free(r);
}

// ---- watches taken back -------------------------------------------------------------------------

static void unwatch_tells_the_server_when_nobody_watches(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.servers = "a,b/app"});
    erig_get_watch(r, "/x");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    add_watch(r, "/x", REEVE_WATCH_PERSISTENT);
    erig_get_watch(r, "/y");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = "/y", .watch = {erig_watch_fn, NULL}};
    erig_submit(r, &q);
    erig_forget(r);
    assert_true(erig_take(r, 0));
    engine_unwatch(r->e, "/y", erig_watch_fn, r); // another is under way there
    engine_unwatch(r->e, "/x", erig_watch_fn, r);
    engine_unwatch(r->e, "/x", erig_watch_fn, r);
    engine_unwatch(r->e, "/nobody", erig_watch_fn, r);
    erig_run(r);
    int32_t exists_xid = r->frame.xid;
    assert_true(erig_take(r, 0));
    assert_int_equal(r->frame.op, OP_REMOVE_WATCHES);
    assert_int_equal(be32_get(r->frame.body + r->frame.n - 4), 3); // any
    assert_memory_equal(r->frame.body + 4, "/app/x", 6);
    int32_t remove_xid = r->frame.xid;
    assert_false(erig_take(r, 0));
    erig_answer(r, 0, exists_xid, 1, -101, NULL, 0);
    erig_event(r, 0, 3, "/app/x");
    erig_answer(r, 0, remove_xid, 1, -121, NULL, 0);
    erig_expect(r, "done exists /y -101 watching\n");
    erig_get_watch(r, "/y");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    engine_unwatch(r->e, "/y", erig_watch_fn, r);
    erig_run(r);
    assert_false(erig_take(r, 0)); // the other is still there
    engine_unwatch(r->e, "/y", erig_watch_fn, NULL);
    erig_run(r);
    assert_true(erig_take(r, 0));
    assert_int_equal(r->frame.op, OP_REMOVE_WATCHES);
    erig_free(r);
}

static void unwatch_reaches_requests_under_way(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_get_watch(r, "/x");
    r->stuck = true;
    erig_get_watch(r, "/x");
    engine_unwatch(r->e, "/x", erig_watch_fn, r);
    r->stuck = false;
    erig_run(r);
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_event(r, 0, 3, "/x");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_serve(r, 0, OP_REMOVE_WATCHES, 1, 0);
    erig_expect(r, "done get /x 0\ndone get /x 0\n");
    erig_gone(r, 0, "");
    erig_forget(r);
    erig_reconnect(r);
    assert_false(erig_take(r, 0)); // there are no watches to be set again
    engine_unwatch(r->e, "/x", erig_watch_fn, r);
    erig_run(r);
    assert_false(erig_take(r, 0));
    erig_free(r);
}

static void unwatch_knows_the_root_and_the_configuration(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.servers = "a,b/app"});
    erig_get_watch(r, "/");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_submit(r, &(struct reeve_request){.op = REEVE_OP_GET_CONFIG, .watch = {erig_watch_fn, r}});
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_expect(r, "done get / 0 watching\ndone op /zookeeper/config 0 watching\n");
    static const char *const paths[][2] = {{"/", "/app"},
                                           {"/zookeeper/config", "/zookeeper/config"}};
    for (int i = 0; i < 2; i++) {
        engine_unwatch(r->e, paths[i][0], erig_watch_fn, r);
        erig_run(r);
        assert_true(erig_take(r, 0));
        assert_int_equal(r->frame.op, OP_REMOVE_WATCHES);
        assert_int_equal(be32_get(r->frame.body), strlen(paths[i][1]));
        assert_memory_equal(r->frame.body + 4, paths[i][1], strlen(paths[i][1]));
        erig_answer(r, 0, r->frame.xid, 1, 0, NULL, 0);
    }
    erig_event(r, 0, 3, "/app");
    erig_event(r, 0, 3, "/zookeeper/config");
    erig_expect(r, "");
    erig_free(r);
}

static void removed_watches_end(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.servers = "a,b/app"});
    erig_get_watch(r, "/x");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_forget(r);
    struct reeve_request q = {
        .op = REEVE_OP_REMOVE_WATCHES, .path = "/x", .kind = REEVE_WATCH_DATA};
    erig_submit(r, &q);
    erig_serve(r, 0, OP_REMOVE_WATCHES, 1, 0);
    erig_expect(r, "done remove_watches /x 0\nwatch 5 /x last 0\n");
    erig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watches_are_set_again),
        cmocka_unit_test(many_watches_go_in_pieces),
        cmocka_unit_test(unwatch_tells_the_server_when_nobody_watches),
        cmocka_unit_test(unwatch_reaches_requests_under_way),
        cmocka_unit_test(unwatch_knows_the_root_and_the_configuration),
        cmocka_unit_test(removed_watches_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
