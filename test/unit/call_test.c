// SPDX-License-Identifier: Apache-2.0
//
// client/call: the recorded requests come out byte for byte; paths with and without a chroot; what
// is refused; no allocation that fails leaves anything behind.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/call.h"
#include "test/support/client_kit.h"
#include "wire/jute.h"
#include "wire/ops.h"

enum { MAX = 1048575 };

static void on_watch(void *ctx, const struct reeve_event *ev)
{
    (void)ctx;
    (void)ev;
}

static struct kit_memory memory = {.left = -1};

static enum reeve_error new_call(const char *chroot, const struct reeve_request *q, struct call **c)
{
    struct reeve_allocator a = kit_allocator(&memory);
    return call_new(&a, chroot, MAX, q, c);
}

static void expect_refused(const struct reeve_request *q)
{
    struct call *c;
    assert_int_equal(new_call("", q, &c), REEVE_BAD_ARGUMENTS);
    assert_null(c);
}

// ---- golden vectors ---------------------------------------------------------------------------

// What the library refuses itself was an error at the server, too, or a read, which does not look
// at the form of a path.
static void expect_refused_there(const struct golden *g, const struct reeve_request *q)
{
    int32_t err = g->response.n >= 20 ? (int32_t)be32_get(g->response.p + 16) : -1;
    bool part_failed = q->op == REEVE_OP_MULTI || q->op == REEVE_OP_MULTI_READ;
    if (err == 0 && !part_failed && q->op != REEVE_OP_SYNC && q->op != REEVE_OP_EPHEMERALS &&
        q->op != REEVE_OP_EXISTS && q->op != REEVE_OP_GET && q->op != REEVE_OP_CHILDREN) {
        fail_msg("%s: refused by the library, accepted by the server", g->name);
    }
}

static void requests_have_the_recorded_bytes(void **state)
{
    (void)state;
    struct golden_file f = {0};
    struct golden g = {0};
    struct arena a = {0};
    struct buf want = {0};
    int same = 0;
    int refused = 0;
    while (golden_next(&f, &g)) {
        struct reeve_request q;
        struct call *c;
        arena_reset(&a);
        if (!golden_request(&g, &a, &q, &want)) {
            continue;
        }
        enum reeve_error e = new_call("", &q, &c);
        if (e) {
            expect_refused_there(&g, &q);
            refused++;
            continue;
        }
        call_set_xid(c, (int32_t)be32_get(want.p + 4));
        if (c->frame_n != want.n || memcmp(c->frame, want.p, want.n) != 0) {
            fail_msg("%s: other bytes", g.name);
        }
        assert_int_equal(c->opcode, (int32_t)be32_get(want.p + 8));
        same++;
        call_free(&c);
    }
    assert_int_equal(memory.live, 0);
    assert_true(same >= 200);
    assert_true(refused >= 10);
    print_message("%d requests the same, %d refused\n", same, refused);
    golden_fini(&g);
    buf_fini(&want);
    arena_fini(&a);
}

// ---- paths ------------------------------------------------------------------------------------

static void expect_path(const char *chroot, const struct reeve_request *q, const char *server_path)
{
    struct call *c;
    assert_int_equal(new_call(chroot, q, &c), REEVE_OK);
    assert_string_equal(c->path, q->op == REEVE_OP_GET_CONFIG ? "/zookeeper/config" : q->path);
    assert_true(slice_eq_str(c->server_path, server_path));
    struct jute_in in = jute_in(slice_of(c->frame + 12, c->frame_n - 12), MAX);
    assert_true(slice_eq_str(jute_get_bytes(&in), server_path));
    call_free(&c);
}

static void paths_get_the_chroot_before_them(void **state)
{
    (void)state;
    static const struct {
        const char *chroot, *path, *want, *sequential, *ephemerals;
    } rows[] = {
        {"", "/", "/", "/", "/"},
        {"", "/a/b", "/a/b", "/a/b", "/a/b"},
        {"/app", "/", "/app", "/app/", "/app/"},
        {"/app", "/a", "/app/a", "/app/a", "/app/a"},
        {"/x/y", "/a/b", "/x/y/a/b", "/x/y/a/b", "/x/y/a/b"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reeve_request q = {.op = REEVE_OP_GET, .path = rows[i].path};
        expect_path(rows[i].chroot, &q, rows[i].want);
        q.op = REEVE_OP_CREATE;
        expect_path(rows[i].chroot, &q, rows[i].want);
        q.flags = REEVE_SEQUENTIAL;
        expect_path(rows[i].chroot, &q, rows[i].sequential);
        q = (struct reeve_request){.op = REEVE_OP_EPHEMERALS, .path = rows[i].path};
        expect_path(rows[i].chroot, &q, rows[i].ephemerals);
        q = (struct reeve_request){.op = REEVE_OP_GET_CONFIG};
        expect_path(rows[i].chroot, &q, "/zookeeper/config");
    }
}

static void only_sequential_names_may_be_open_at_their_end(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool plain, sequential;
    } rows[] = {
        {"/", true, true},       {"/a", true, true},       {"/a/", false, true},
        {"/a/.", false, true},   {"/a/..", false, true},   {"/.", false, true},
        {"/a/...", true, true},  {"/a.", true, true},      {"//", false, false},
        {"/a//", false, false},  {"", false, false},       {"a", false, false},
        {"a/", false, false},    {".", false, false},      {"/./", false, false},
        {"/../b", false, false}, {"/a\x01", false, false}, {"/\xff/", false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct call *c;
        struct reeve_request q = {.op = REEVE_OP_CREATE, .path = rows[i].path};
        assert_int_equal(new_call("", &q, &c) == REEVE_OK, rows[i].plain);
        call_free(&c);
        q.flags = REEVE_SEQUENTIAL | REEVE_EPHEMERAL;
        assert_int_equal(new_call("/app", &q, &c) == REEVE_OK, rows[i].sequential);
        call_free(&c);
        for (enum reeve_op op = REEVE_OP_DELETE; op < REEVE_OP_COUNT; op++) {
            bool has_path = op <= REEVE_OP_SYNC && op != REEVE_OP_SET_ACL;
            q = (struct reeve_request){.op = op, .path = rows[i].path};
            if (has_path) {
                assert_int_equal(new_call("", &q, &c) == REEVE_OK, rows[i].plain);
                call_free(&c);
            }
        }
    }
}

// ---- refusals ---------------------------------------------------------------------------------

static void a_null_path_is_refused(void **state)
{
    (void)state;
    for (enum reeve_op op = REEVE_OP_NONE; op <= REEVE_OP_COUNT; op++) {
        struct reeve_request q = {.op = op, .kind = REEVE_WATCH_PERSISTENT};
        q.watch.fn = op == REEVE_OP_ADD_WATCH ? on_watch : NULL;
        if (op != REEVE_OP_WHO_AM_I && op != REEVE_OP_GET_CONFIG) {
            expect_refused(&q);
        }
    }
}

static void fields_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct reeve_acl no_scheme[] = {{1, NULL, "x"}}, no_id[] = {{1, "ip", NULL}};
    const struct reeve_request rows[] = {
        {.op = REEVE_OP_SET, .path = "/a", .data_len = 1},
        {.op = REEVE_OP_CREATE, .path = "/a", .acl_n = 1},
        {.op = REEVE_OP_CREATE, .path = "/a", .acl = no_scheme, .acl_n = 1},
        {.op = REEVE_OP_CREATE, .path = "/a", .acl = no_id, .acl_n = 1},
        {.op = REEVE_OP_SET_ACL, .path = "/a"},
        {.op = REEVE_OP_CREATE, .path = "/a", .flags = 5},
        {.op = REEVE_OP_CREATE, .path = "/a", .flags = 8},
        {.op = REEVE_OP_CREATE, .path = "/a", .flags = REEVE_EPHEMERAL, .ttl_ms = 5},
        {.op = REEVE_OP_CREATE, .path = "/a", .flags = REEVE_CONTAINER, .ttl_ms = 5},
        {.op = REEVE_OP_CREATE, .path = "/a", .ttl_ms = -1},
        {.op = REEVE_OP_CREATE, .path = "/a", .ttl_ms = 0x10000000000},
        {.op = REEVE_OP_ADD_WATCH, .path = "/a", .kind = REEVE_WATCH_PERSISTENT},
        {.op = REEVE_OP_ADD_WATCH, .path = "/a", .kind = REEVE_WATCH_DATA, .watch = {on_watch, 0}},
        {.op = REEVE_OP_REMOVE_WATCHES, .path = "/a"},
        {.op = REEVE_OP_CHECK_WATCHES, .path = "/a", .kind = (enum reeve_watch_kind)6},
        {.op = REEVE_OP_DELETE, .path = "/a", .watch = {on_watch, 0}},
        {.op = REEVE_OP_CHECK, .path = "/a"},
        {.op = REEVE_OP_ADD_AUTH},
        {.op = REEVE_OP_RECONFIG},
        {.op = REEVE_OP_RECONFIG, .members = "", .joining = ""},
        {.op = (enum reeve_op) - 1, .path = "/a"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_refused(&rows[i]);
    }
}

static void a_multi_is_of_writes_or_of_reads(void **state)
{
    (void)state;
    for (enum reeve_op op = REEVE_OP_NONE; op <= REEVE_OP_COUNT; op++) {
        struct reeve_request part = {.op = op, .path = "/a"};
        struct reeve_request q = {.op = REEVE_OP_MULTI, .parts = &part, .parts_n = 1};
        struct call *c;
        bool write = op == REEVE_OP_CREATE || op == REEVE_OP_DELETE || op == REEVE_OP_SET ||
                     op == REEVE_OP_CHECK;
        assert_int_equal(new_call("", &q, &c) == REEVE_OK, write);
        call_free(&c);
        q.op = REEVE_OP_MULTI_READ;
        bool read = op == REEVE_OP_GET || op == REEVE_OP_CHILDREN;
        assert_int_equal(new_call("", &q, &c) == REEVE_OK, read);
        call_free(&c);
        part.watch.fn = on_watch;
        expect_refused(&q);
    }
    struct reeve_request none = {.op = REEVE_OP_MULTI};
    expect_refused(&none);
    struct reeve_request part = {.op = REEVE_OP_DELETE, .path = "/a/"};
    struct reeve_request bad = {.op = REEVE_OP_MULTI, .parts = &part, .parts_n = 1};
    expect_refused(&bad);
    bad.parts_n = 0;
    expect_refused(&bad);
}

static void what_is_over_the_limit_is_too_big(void **state)
{
    (void)state;
    struct reeve_allocator a = kit_allocator(&memory);
    static char data[100];
    struct reeve_acl acl[9];
    for (int i = 0; i < 9; i++) {
        acl[i] = (struct reeve_acl){1, "ip", "10.0.0.1"};
    }
    struct reeve_request part = {.op = REEVE_OP_SET, .path = "/a", .data = data, .data_len = 100};
    struct reeve_request rows[] = {
        part,
        {.op = REEVE_OP_CREATE, .path = "/a", .acl = acl, .acl_n = 9},
        {.op = REEVE_OP_MULTI, .parts = &part, .parts_n = 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct call *c;
        assert_int_equal(call_new(&a, "", MAX, &rows[i], &c), REEVE_OK);
        uint32_t n = (uint32_t)c->frame_n - 4;
        assert_int_equal(be32_get(c->frame), n);
        call_free(&c);
        assert_int_equal(call_new(&a, "", n, &rows[i], &c), REEVE_OK);
        call_free(&c);
        for (uint32_t max = 0; max < n; max++) {
            assert_int_equal(call_new(&a, "", max, &rows[i], &c), REEVE_TOO_BIG);
            assert_null(c);
        }
    }
    rows[0].data_len = SIZE_MAX;
    struct call *c;
    assert_int_equal(call_new(&a, "", UINT32_MAX, &rows[0], &c), REEVE_TOO_BIG);
    rows[1].acl_n = SIZE_MAX / 8;
    rows[1].op = REEVE_OP_DELETE; // looks at no list
    assert_int_equal(call_new(&a, "", UINT32_MAX, &rows[1], &c), REEVE_OK);
    call_free(&c);
}

// ---- the rest of a call -----------------------------------------------------------------------

static void a_call_knows_what_its_answer_needs(void **state)
{
    (void)state;
    struct reeve_request parts[] = {{.op = REEVE_OP_CREATE, .path = "/"},
                                    {.op = REEVE_OP_CHECK, .path = "/b/c"}};
    struct reeve_request q = {.op = REEVE_OP_MULTI, .parts = parts, .parts_n = 2, .timeout_ms = 77};
    struct call *c;
    assert_int_equal(new_call("/app", &q, &c), REEVE_OK);
    assert_true(c->write);
    assert_int_equal(c->timeout_ms, 77);
    assert_string_equal(c->path, "");
    assert_true(slice_is_null(c->server_path));
    assert_int_equal(c->parts_n, 2);
    assert_int_equal(c->parts[0].op, REEVE_OP_CREATE);
    assert_string_equal(c->parts[0].path, "/");
    assert_int_equal(c->parts[1].op, REEVE_OP_CHECK);
    assert_string_equal(c->parts[1].path, "/b/c");
    call_free(&c);
    call_free(&c); // nothing

    static const struct {
        enum reeve_op op;
        enum reeve_watch_kind kind;
        enum watch_list list;
    } rows[] = {{REEVE_OP_GET, 0, WATCH_DATA},
                {REEVE_OP_EXISTS, 0, WATCH_DATA},
                {REEVE_OP_CHILDREN, 0, WATCH_CHILD},
                {REEVE_OP_ADD_WATCH, REEVE_WATCH_PERSISTENT, WATCH_PERSISTENT},
                {REEVE_OP_ADD_WATCH, REEVE_WATCH_RECURSIVE, WATCH_RECURSIVE}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        q = (struct reeve_request){
            .op = rows[i].op, .path = "/a", .kind = rows[i].kind, .watch = {on_watch, &q}};
        assert_int_equal(new_call("/app", &q, &c), REEVE_OK);
        assert_false(c->write);
        assert_int_equal(c->watch->list, rows[i].list);
        assert_string_equal(c->watch->path, "/app/a");
        assert_ptr_equal(c->watch->ctx, &q);
        call_free(&c);
    }
    assert_int_equal(memory.live, 0);
}

// What is not asked again when a connection is lost.
static void writes_are_known(void **state)
{
    (void)state;
    static const struct reeve_acl acl[] = {{31, "world", "anyone"}};
    struct reeve_request part = {.op = REEVE_OP_CHECK, .path = "/a"};
    int writes = 0;
    for (enum reeve_op op = REEVE_OP_CREATE; op < REEVE_OP_COUNT; op++) {
        struct reeve_request get = {.op = REEVE_OP_GET, .path = "/a"};
        bool reads = op == REEVE_OP_MULTI_READ;
        struct reeve_request q = {.op = op,
                                  .path = "/a",
                                  .acl = acl,
                                  .acl_n = 1,
                                  .kind = REEVE_WATCH_PERSISTENT,
                                  .watch = {op == REEVE_OP_ADD_WATCH ? on_watch : NULL, NULL},
                                  .parts = reads ? &get : &part,
                                  .parts_n = 1,
                                  .scheme = "digest",
                                  .leaving = "1"};
        struct call *c;
        if (op == REEVE_OP_CHECK) {
            continue; // no request of its own
        }
        assert_int_equal(new_call("", &q, &c), REEVE_OK);
        bool want = op == REEVE_OP_CREATE || op == REEVE_OP_DELETE || op == REEVE_OP_SET ||
                    op == REEVE_OP_SET_ACL || op == REEVE_OP_MULTI || op == REEVE_OP_RECONFIG;
        assert_int_equal(c->write, want);
        writes += want;
        call_free(&c);
    }
    assert_int_equal(writes, 6);
}

static void no_memory_is_an_answer(void **state)
{
    (void)state;
    struct reeve_acl acl[] = {{31, "world", "anyone"}, {1, "ip", "127.0.0.1"}};
    struct reeve_request parts[] = {{.op = REEVE_OP_CREATE, .path = "/a", .acl = acl, .acl_n = 2}};
    struct reeve_request rows[] = {
        {.op = REEVE_OP_GET, .path = "/a", .watch = {on_watch, 0}},
        {.op = REEVE_OP_SET_ACL, .path = "/a", .acl = acl, .acl_n = 2},
        {.op = REEVE_OP_MULTI, .parts = parts, .parts_n = 1},
    };
    static const int allocations[] = {2, 1, 1};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int left = 0; left <= allocations[i]; left++) {
            struct call *c;
            memory.left = left;
            enum reeve_error e = new_call("/app", &rows[i], &c);
            assert_int_equal(e, left < allocations[i] ? REEVE_NO_MEMORY : REEVE_OK);
            call_free(&c);
            assert_int_equal(memory.live, 0);
        }
    }
    memory.left = -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_have_the_recorded_bytes),
        cmocka_unit_test(paths_get_the_chroot_before_them),
        cmocka_unit_test(only_sequential_names_may_be_open_at_their_end),
        cmocka_unit_test(a_null_path_is_refused),
        cmocka_unit_test(fields_that_do_not_fit_are_refused),
        cmocka_unit_test(a_multi_is_of_writes_or_of_reads),
        cmocka_unit_test(what_is_over_the_limit_is_too_big),
        cmocka_unit_test(a_call_knows_what_its_answer_needs),
        cmocka_unit_test(writes_are_known),
        cmocka_unit_test(no_memory_is_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
