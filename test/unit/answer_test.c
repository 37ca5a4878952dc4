// SPDX-License-Identifier: Apache-2.0
//
// client/answer: the recorded answers field by field, cut at every byte, with lies in them; and
// results that are copied out of the frame.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/answer.h"
#include "client/result.h"
#include "test/support/client_kit.h"
#include "wire/jute.h"
#include "wire/ops.h"

enum { MAX = 1048575, HEAD = 20, ERR_AT = 16 };

static struct kit_memory memory = {.left = -1};

static void on_watch(void *ctx, const struct reeve_event *ev)
{
    (void)ctx;
    (void)ev;
}

// A call with its answer: the body in memory of exactly its size and the one byte behind it.
struct fixture {
    struct answer_room room;
    struct call *call;
    uint8_t *body;
    struct reeve_result r;
};

static void open_call(struct fixture *x, const char *chroot, const struct reeve_request *q)
{
    *x = (struct fixture){.room = {.allocator = kit_allocator(&memory)}};
    struct reeve_allocator a = kit_allocator(&memory);
    assert_int_equal(call_new(&a, chroot, MAX, q, &x->call), REEVE_OK);
}

static enum reeve_error answer_cut(struct fixture *x, const char *chroot, int32_t err,
                                   struct slice body)
{
    free(x->body);
    x->body = malloc(body.n + 1);
    assert_non_null(x->body);
    if (body.n) {
        memcpy(x->body, body.p, body.n);
    }
    x->body[body.n] = 0x5a;
    memset(&x->r, 0x5a, sizeof(x->r));
    enum reeve_error e = answer_read(&x->room, x->call, chroot, err, x->body, body.n, &x->r);
    assert_int_equal(e, x->r.error);
    assert_int_equal(x->r.op, x->call->op);
    assert_ptr_equal(x->r.path, x->call->path);
    assert_string_equal(x->r.why, "");
    return e;
}

static void close_call(struct fixture *x)
{
    answer_room_fini(&x->room);
    call_free(&x->call);
    free(x->body);
    assert_int_equal(memory.live, 0);
}

// Everything a result points to is read, and must be zero where there is nothing.
static size_t touch(const struct reeve_result *r)
{
    size_t n = strlen(r->path) + strlen(r->why) + (r->created ? strlen(r->created) : 0);
    n += r->data ? ((const char *)r->data)[r->data_len] == 0 : r->data_len == 0;
    for (size_t i = 0; i < r->children_n; i++) {
        n += strlen(r->children[i]);
    }
    for (size_t i = 0; i < r->acl_n; i++) {
        n += strlen(r->acl[i].scheme) + strlen(r->acl[i].id);
    }
    for (size_t i = 0; i < r->parts_n; i++) {
        n += touch(&r->parts[i]);
    }
    assert_null(r->memory);
    return n;
}

// ---- golden vectors ---------------------------------------------------------------------------

// What answers create and getChildren lack of what answers create2 and getChildren2.
static void complete(const struct golden *g, struct buf *body)
{
    int32_t type = (int32_t)be32_get(g->request.p + 8);
    if (type == OP_CREATE || type == OP_GET_CHILDREN) {
        memset(buf_reserve(body, 68), 0, 68);
    }
}

static bool says_no_more_than_an_error(enum reeve_op op)
{
    return op == REEVE_OP_DELETE || op == REEVE_OP_ADD_WATCH || op == REEVE_OP_REMOVE_WATCHES ||
           op == REEVE_OP_CHECK_WATCHES || op == REEVE_OP_ADD_AUTH;
}

static void cut_everywhere(struct fixture *x, struct slice body)
{
    for (size_t n = 0; n < body.n; n++) {
        enum reeve_error e = answer_cut(x, "", 0, slice_head(body, n));
        if (!says_no_more_than_an_error(x->call->op)) {
            assert_int_equal(e, REEVE_MALFORMED);
            assert_null(x->r.data);
            assert_int_equal(x->r.parts_n + x->r.children_n + x->r.acl_n, 0);
        }
        touch(&x->r);
    }
}

// Every byte becomes every value that lengths and counts are afraid of: any result, but sane.
static void lie_everywhere(struct fixture *x, struct slice body)
{
    static const uint8_t lies[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct buf b = {0};
    buf_put_slice(&b, body);
    for (size_t i = 0; i < body.n; i++) {
        for (size_t k = 0; k < sizeof(lies); k++) {
            b.p[i] = lies[k];
            answer_cut(x, "", 0, buf_slice(&b));
            touch(&x->r);
        }
        b.p[i] = body.p[i];
    }
    buf_fini(&b);
}

static void expect_multi_error(const struct fixture *x)
{
    enum reeve_error first = REEVE_OK;
    for (size_t i = 0; i < x->r.parts_n && !first; i++) {
        first = x->r.parts[i].error;
    }
    assert_int_equal(x->r.error, x->r.op == REEVE_OP_MULTI ? first : REEVE_OK);
}

static int check_golden(const struct golden *g, const struct reeve_request *q)
{
    struct fixture x;
    struct buf body = {0};
    buf_put(&body, g->response.p + HEAD, g->response.n - HEAD);
    int32_t err = (int32_t)be32_get(g->response.p + ERR_AT);
    open_call(&x, "", q);
    if (err) {
        assert_int_equal(answer_cut(&x, "", err, buf_slice(&body)), err);
    } else {
        complete(g, &body);
        answer_cut(&x, "", 0, buf_slice(&body));
        if (q->op == REEVE_OP_MULTI || q->op == REEVE_OP_MULTI_READ) {
            expect_multi_error(&x);
        } else {
            assert_int_equal(x.r.error, REEVE_OK);
        }
    }
    int n = golden_expect(g, &x.r);
    touch(&x.r);
    if (!err) {
        cut_everywhere(&x, buf_slice(&body));
        lie_everywhere(&x, buf_slice(&body));
    }
    close_call(&x);
    buf_fini(&body);
    return n;
}

static void answers_have_the_recorded_fields(void **state)
{
    (void)state;
    struct golden_file f = {0};
    struct golden g = {0};
    struct arena a = {0};
    struct buf want = {0};
    int answers = 0;
    int fields = 0;
    while (golden_next(&f, &g)) {
        struct reeve_request q;
        struct reeve_allocator mem = kit_allocator(&memory);
        struct call *c;
        arena_reset(&a);
        if (g.response.n < HEAD || !golden_request(&g, &a, &q, &want) ||
            call_new(&mem, "", MAX, &q, &c) != REEVE_OK) {
            continue;
        }
        call_free(&c);
        fields += check_golden(&g, &q);
        answers++;
    }
    assert_true(answers >= 200);
    assert_true(fields >= 500);
    print_message("%d answers, %d fields\n", answers, fields);
    golden_fini(&g);
    buf_fini(&want);
    arena_fini(&a);
}

// ---- by hand ----------------------------------------------------------------------------------

static void put_stat(struct buf *b, int32_t version)
{
    struct node_stat s = {.version = version, .pzxid = 9};
    jute_put_record(b, &record_node_stat, &s);
}

static void put_head(struct buf *b, int32_t type, bool done, int32_t err)
{
    struct multi_header h = {type, done, err};
    jute_put_record(b, &record_multi_header, &h);
}

static void put_strings(struct buf *b, const char *const *v, int n)
{
    buf_put_i32(b, n);
    for (int i = 0; i < n; i++) {
        jute_put_bytes(b, slice_str(v[i]));
    }
}

static void paths_lose_the_chroot(void **state)
{
    (void)state;
    static const struct {
        const char *chroot, *path, *want;
    } rows[] = {
        {"", "/a", "/a"},      {"/app", "/app/a", "/a"},
        {"/app", "/app", "/"}, {"/app", "/apple", "/apple"},
        {"/app", "/b", "/b"},  {"/app", "", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(answer_below_chroot(rows[i].chroot, rows[i].path), rows[i].want);
        struct reeve_request q = {.op = REEVE_OP_SYNC, .path = "/a"};
        struct fixture x;
        struct buf b = {0};
        open_call(&x, rows[i].chroot, &q);
        jute_put_bytes(&b, slice_str(rows[i].path));
        assert_int_equal(answer_cut(&x, rows[i].chroot, 0, buf_slice(&b)), REEVE_OK);
        assert_string_equal(x.r.created, rows[i].want);
        close_call(&x);
        buf_clear(&b);
        q = (struct reeve_request){.op = REEVE_OP_EPHEMERALS, .path = "/"};
        open_call(&x, rows[i].chroot, &q);
        put_strings(&b, &rows[i].path, 1);
        assert_int_equal(answer_cut(&x, rows[i].chroot, 0, buf_slice(&b)), REEVE_OK);
        assert_string_equal(x.r.children[0], rows[i].want);
        close_call(&x);
        buf_fini(&b);
    }
}

static void names_of_children_keep_what_looks_like_a_chroot(void **state)
{
    (void)state;
    static const char *const names[] = {"/app/x", "/app"};
    struct reeve_request q = {.op = REEVE_OP_CHILDREN, .path = "/a"};
    struct fixture x;
    struct buf b = {0};
    put_strings(&b, names, 2);
    put_stat(&b, 3);
    open_call(&x, "/app", &q);
    assert_int_equal(answer_cut(&x, "/app", 0, buf_slice(&b)), REEVE_OK);
    assert_int_equal(x.r.children_n, 2);
    assert_string_equal(x.r.children[0], "/app/x");
    assert_string_equal(x.r.children[1], "/app");
    assert_int_equal(x.r.stat.version, 3);
    close_call(&x);
    buf_fini(&b);
}

// A create2 within a multi: with a stat, or as servers before 3.7.2 and 3.8.2 say it.
static void old_servers_answer_a_create_in_a_multi_without_stat(void **state)
{
    (void)state;
    static const int32_t types[] = {OP_CREATE, OP_CREATE2, OP_CREATE_CONTAINER, OP_CREATE_TTL};
    struct reeve_request parts[] = {{.op = REEVE_OP_CREATE, .path = "/a"},
                                    {.op = REEVE_OP_SET, .path = "/b"},
                                    {.op = REEVE_OP_DELETE, .path = "/c"}};
    struct reeve_request q = {.op = REEVE_OP_MULTI, .parts = parts, .parts_n = 3};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct fixture x;
        struct buf b = {0};
        put_head(&b, types[i], false, 0);
        jute_put_bytes(&b, SLICE_LIT("/app/a"));
        if (types[i] != OP_CREATE) {
            put_stat(&b, 0);
        }
        put_head(&b, OP_SET_DATA, false, 0);
        put_stat(&b, 8);
        put_head(&b, OP_DELETE, false, 0);
        put_head(&b, -1, true, -1);
        open_call(&x, "/app", &q);
        assert_int_equal(answer_cut(&x, "/app", 0, buf_slice(&b)), REEVE_OK);
        assert_int_equal(x.r.parts_n, 3);
        assert_string_equal(x.r.parts[0].created, "/a");
        assert_int_equal(x.r.parts[0].has_stat, types[i] != OP_CREATE);
        assert_string_equal(x.r.parts[1].path, "/b");
        assert_int_equal(x.r.parts[1].stat.version, 8);
        assert_int_equal(x.r.parts[2].op, REEVE_OP_DELETE);
        assert_false(x.r.parts[2].has_stat);
        close_call(&x);
        buf_fini(&b);
    }
}

static void a_failed_multi_says_which_part_it_was(void **state)
{
    (void)state;
    struct reeve_request parts[] = {{.op = REEVE_OP_CREATE, .path = "/a"},
                                    {.op = REEVE_OP_CHECK, .path = "/b"},
                                    {.op = REEVE_OP_DELETE, .path = "/c"}};
    struct reeve_request q = {.op = REEVE_OP_MULTI, .parts = parts, .parts_n = 3};
    static const int32_t errors[] = {0, REEVE_BAD_VERSION, REEVE_RUNTIME_INCONSISTENCY};
    struct fixture x;
    struct buf b = {0};
    for (int i = 0; i < 3; i++) {
        put_head(&b, -1, false, errors[i]);
        buf_put_i32(&b, errors[i]);
    }
    put_head(&b, -1, true, -1);
    open_call(&x, "", &q);
    assert_int_equal(answer_cut(&x, "", 0, buf_slice(&b)), REEVE_BAD_VERSION);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(x.r.parts[i].error, errors[i]);
    }
    char text[128];
    assert_string_equal(reeve_result_text(&x.r, text, sizeof(text)),
                        "multi, part 2: check /b: the version is another one (BADVERSION)");
    close_call(&x);
    buf_fini(&b);
}

// In a multi: a part missing, one too many, of another kind; `done` too early.
static void parts_that_do_not_fit_are_malformed(void **state)
{
    (void)state;
    static const int32_t rows[][4] = {
        {OP_CHECK, -1},                      // one is missing
        {OP_CHECK, OP_DELETE, OP_CHECK, -1}, // one too many
        {OP_DELETE, OP_CHECK, -1},           // another order
        {OP_CHECK, OP_GET_DATA, -1},
        {OP_CHECK, 77, -1},
        {OP_CHECK, 0, -1},
        {-1},
    };
    struct reeve_request parts[] = {{.op = REEVE_OP_CHECK, .path = "/a"},
                                    {.op = REEVE_OP_DELETE, .path = "/b"}};
    struct reeve_request q = {.op = REEVE_OP_MULTI, .parts = parts, .parts_n = 2};
    struct fixture x;
    open_call(&x, "", &q);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b = {0};
        for (int k = 0; k < 4; k++) {
            put_head(&b, rows[i][k], rows[i][k] == -1, rows[i][k] == -1 ? -1 : 0);
            if (rows[i][k] == -1) {
                break;
            }
        }
        assert_int_equal(answer_cut(&x, "", 0, buf_slice(&b)), REEVE_MALFORMED);
        assert_int_equal(x.r.parts_n, 0);
        buf_fini(&b);
    }
    close_call(&x);
}

// Errors that are none: nothing failed, and yet nothing was done.
static void parts_without_result_and_error_are_malformed(void **state)
{
    (void)state;
    static const struct {
        int32_t first, second;
        enum reeve_error want;
    } rows[] = {{0, 0, REEVE_MALFORMED},
                {0, 5, REEVE_MALFORMED},
                {0, -5000, REEVE_MALFORMED},
                {0, REEVE_NO_NODE, REEVE_NO_NODE},
                {REEVE_NO_AUTH, REEVE_NO_NODE, REEVE_NO_AUTH}};
    struct reeve_request writes[] = {{.op = REEVE_OP_CHECK, .path = "/a"},
                                     {.op = REEVE_OP_DELETE, .path = "/b"}};
    struct reeve_request reads[] = {{.op = REEVE_OP_GET, .path = "/a"},
                                    {.op = REEVE_OP_CHILDREN, .path = "/b"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reeve_request q = {.op = REEVE_OP_MULTI, .parts = writes, .parts_n = 2};
        struct fixture x;
        struct buf b = {0};
        put_head(&b, -1, false, rows[i].first);
        buf_put_i32(&b, rows[i].first);
        put_head(&b, -1, false, rows[i].second);
        buf_put_i32(&b, rows[i].second);
        put_head(&b, -1, true, -1);
        open_call(&x, "", &q);
        assert_int_equal(answer_cut(&x, "", 0, buf_slice(&b)), rows[i].want);
        assert_int_equal(x.r.parts_n, rows[i].want == REEVE_MALFORMED ? 0 : 2);
        close_call(&x);
        q = (struct reeve_request){.op = REEVE_OP_MULTI_READ, .parts = reads, .parts_n = 2};
        open_call(&x, "", &q);
        assert_int_equal(answer_cut(&x, "", 0, buf_slice(&b)),
                         rows[i].first ? REEVE_OK : REEVE_MALFORMED);
        close_call(&x);
        buf_fini(&b);
    }
}

static void errors_are_the_servers_within_its_range(void **state)
{
    (void)state;
    static const struct {
        int32_t err;
        enum reeve_error want;
    } rows[] = {{-101, REEVE_NO_NODE}, {-4, REEVE_CONNECTION_LOSS}, {-199, -199},
                {1, REEVE_MALFORMED},  {-200, REEVE_MALFORMED},     {INT32_MIN, REEVE_MALFORMED}};
    struct reeve_request q = {.op = REEVE_OP_GET, .path = "/a"};
    struct fixture x;
    open_call(&x, "", &q);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(answer_cut(&x, "", rows[i].err, SLICE_NULL), rows[i].want);
    }
    close_call(&x);
}

static void watches_are_set_by_the_answers_that_set_them(void **state)
{
    (void)state;
    enum { EXIST = WATCH_EXIST, NO = -1 };
    static const struct {
        enum reeve_op op;
        int on_ok, on_no_node, on_no_auth;
    } rows[] = {{REEVE_OP_GET, WATCH_DATA, NO, NO},
                {REEVE_OP_GET_CONFIG, WATCH_DATA, NO, NO},
                {REEVE_OP_EXISTS, WATCH_DATA, EXIST, NO},
                {REEVE_OP_CHILDREN, WATCH_CHILD, NO, NO},
                {REEVE_OP_ADD_WATCH, WATCH_PERSISTENT, NO, NO}};
    struct buf b = {0};
    buf_put_i32(&b, 0); // null nothing: empty data, empty list, and the int of addWatch
    put_stat(&b, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reeve_request q = {.op = rows[i].op,
                                  .path = "/a",
                                  .kind = REEVE_WATCH_PERSISTENT,
                                  .watch = {on_watch, NULL}};
        struct fixture x;
        open_call(&x, "", &q);
        assert_int_equal(answer_cut(&x, "", 0, buf_slice(&b)), REEVE_OK);
        assert_true(x.r.watching);
        assert_int_equal(x.call->watch->list, rows[i].on_ok);
        answer_cut(&x, "", REEVE_NO_NODE, SLICE_NULL);
        assert_int_equal(x.r.watching, rows[i].on_no_node != NO);
        assert_true(!x.r.watching || (int)x.call->watch->list == rows[i].on_no_node);
        answer_cut(&x, "", REEVE_NO_AUTH, SLICE_NULL);
        assert_false(x.r.watching);
        if (rows[i].op != REEVE_OP_ADD_WATCH) {
            answer_cut(&x, "", 0, SLICE_NULL);
            assert_int_equal(x.r.error, REEVE_MALFORMED);
            assert_false(x.r.watching);
        }
        close_call(&x);
    }
    buf_fini(&b);
}

static void an_exists_without_a_watch_sets_none(void **state)
{
    (void)state;
    struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = "/a"};
    struct fixture x;
    open_call(&x, "", &q);
    answer_cut(&x, "", REEVE_NO_NODE, SLICE_NULL);
    assert_false(x.r.watching);
    close_call(&x);
}

// ---- memory -----------------------------------------------------------------------------------

static void a_multi_read(struct buf *b)
{
    static const char *const names[] = {"n1", "n22", ""};
    put_head(b, OP_GET_DATA, false, 0);
    jute_put_bytes(b, SLICE_LIT("data"));
    put_stat(b, 1);
    put_head(b, OP_GET_CHILDREN, false, 0);
    put_strings(b, names, 3);
    put_head(b, -1, false, REEVE_NO_NODE);
    buf_put_i32(b, REEVE_NO_NODE);
    put_head(b, OP_GET_CHILDREN, false, 0);
    put_strings(b, names, 2);
    put_head(b, OP_GET_DATA, false, 0);
    jute_put_bytes(b, SLICE_NULL);
    put_stat(b, 2);
    put_head(b, -1, true, -1);
}

static void expect_multi_read(const struct reeve_result *r)
{
    assert_int_equal(r->parts_n, 5);
    assert_string_equal(r->parts[0].data, "data");
    assert_int_equal(r->parts[0].data_len, 4);
    assert_string_equal(r->parts[0].path, "/a");
    assert_int_equal(r->parts[1].children_n, 3);
    assert_string_equal(r->parts[1].children[1], "n22");
    assert_string_equal(r->parts[1].children[2], "");
    assert_int_equal(r->parts[2].error, REEVE_NO_NODE);
    assert_int_equal(r->parts[3].children_n, 2);
    assert_string_equal(r->parts[3].children[0], "n1");
    assert_null(r->parts[4].data);
    assert_int_equal(r->parts[4].stat.version, 2);
}

static const struct reeve_request read_parts[] = {{.op = REEVE_OP_GET, .path = "/a"},
                                                  {.op = REEVE_OP_CHILDREN, .path = "/b"},
                                                  {.op = REEVE_OP_GET, .path = "/c"},
                                                  {.op = REEVE_OP_CHILDREN, .path = "/d"},
                                                  {.op = REEVE_OP_GET, .path = "/e"}};
static const struct reeve_request multi_read = {
    .op = REEVE_OP_MULTI_READ, .parts = read_parts, .parts_n = 5};

static void no_memory_is_an_answer_and_the_room_is_used_again(void **state)
{
    (void)state;
    struct fixture x;
    struct buf b = {0};
    a_multi_read(&b);
    open_call(&x, "", &multi_read);
    memory.left = 0;
    assert_int_equal(answer_cut(&x, "", 0, buf_slice(&b)), REEVE_NO_MEMORY);
    memory.left = -1;
    assert_int_equal(answer_cut(&x, "", 0, buf_slice(&b)), REEVE_OK);
    expect_multi_read(&x.r);
    int asked = memory.asked;
    assert_int_equal(answer_cut(&x, "", 0, buf_slice(&b)), REEVE_OK);
    assert_int_equal(memory.asked, asked);
    close_call(&x);
    buf_fini(&b);
}

static void a_count_that_lies_asks_for_no_more_than_the_body_holds(void **state)
{
    (void)state;
    static const enum reeve_op ops[] = {REEVE_OP_CHILDREN, REEVE_OP_EPHEMERALS, REEVE_OP_GET_ACL,
                                        REEVE_OP_WHO_AM_I};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        struct reeve_request q = {.op = ops[i], .path = "/a"};
        struct fixture x;
        struct buf b = {0};
        buf_put_i32(&b, INT32_MAX);
        memset(buf_reserve(&b, 400), 0, 400);
        open_call(&x, "", &q);
        assert_int_equal(answer_cut(&x, "", 0, buf_slice(&b)), REEVE_MALFORMED);
        assert_true(x.room.cap <= 3 * b.n);
        close_call(&x);
        buf_fini(&b);
    }
}

static void the_room_of_a_large_answer_is_given_back(void **state)
{
    (void)state;
    enum { NAMES = 100000 };
    struct reeve_request q = {.op = REEVE_OP_CHILDREN, .path = "/a"};
    struct fixture x;
    struct buf b = {0};
    buf_put_i32(&b, NAMES);
    for (int i = 0; i < NAMES; i++) {
        jute_put_bytes(&b, SLICE_LIT("n"));
    }
    put_stat(&b, 0);
    open_call(&x, "", &q);
    assert_int_equal(answer_cut(&x, "", 0, buf_slice(&b)), REEVE_OK);
    assert_string_equal(x.r.children[NAMES - 1], "n");
    assert_int_equal(x.room.cap, NAMES * sizeof(char *));
    buf_clear(&b);
    buf_put_i32(&b, 0);
    put_stat(&b, 0);
    assert_int_equal(answer_cut(&x, "", 0, buf_slice(&b)), REEVE_OK);
    assert_int_equal(x.room.cap, 0);
    close_call(&x);
    buf_fini(&b);
}

// The copy lives when the frame, the room and the call are gone.
static void a_copy_stands_alone(void **state)
{
    (void)state;
    struct reeve_allocator a = kit_allocator(&memory);
    struct fixture x;
    struct buf b = {0};
    struct reeve_result copy;
    a_multi_read(&b);
    open_call(&x, "", &multi_read);
    answer_cut(&x, "", 0, buf_slice(&b));
    x.r.zxid = 77;
    int live = memory.live;
    assert_int_equal(result_copy(&a, &copy, &x.r), REEVE_OK);
    assert_int_equal(memory.live, live + 1);
    memory.left = 0;
    struct reeve_result none;
    assert_int_equal(result_copy(&a, &none, &x.r), REEVE_NO_MEMORY);
    memory.left = -1;
    assert_int_equal(none.error, REEVE_NO_MEMORY);
    reeve_result_fini(&none);
    memset(x.body, 0xee, b.n + 1);
    memset(x.room.p, 0xee, x.room.cap);
    answer_room_fini(&x.room);
    call_free(&x.call);
    expect_multi_read(&copy);
    assert_int_equal(copy.zxid, 77);
    assert_int_equal(copy.op, REEVE_OP_MULTI_READ);
    assert_string_equal(copy.path, "");
    reeve_result_fini(&copy);
    assert_null(copy.parts);
    reeve_result_fini(&copy); // nothing
    close_call(&x);
    buf_fini(&b);
}

static void a_copy_has_the_lists_too(void **state)
{
    (void)state;
    struct reeve_allocator a = kit_allocator(&memory);
    static const char *const children[] = {"one", "two"};
    static const struct reeve_acl acl[] = {{31, "digest", "u:h"}, {1, "ip", ""}};
    struct reeve_result r = {.error = REEVE_NO_AUTH,
                             .op = REEVE_OP_GET_ACL,
                             .path = "/p",
                             .why = "because",
                             .maybe_done = true,
                             .data = "a\0b",
                             .data_len = 3,
                             .created = "/c",
                             .children = children,
                             .children_n = 2,
                             .acl = acl,
                             .acl_n = 2};
    struct reeve_result copy;
    assert_int_equal(result_copy(&a, &copy, &r), REEVE_OK);
    assert_string_equal(copy.why, "because");
    assert_ptr_not_equal(copy.why, r.why);
    assert_string_equal(copy.path, "/p");
    assert_ptr_not_equal(copy.path, r.path);
    assert_ptr_not_equal(copy.created, r.created);
    assert_ptr_not_equal(copy.acl[0].scheme, acl[0].scheme);
    assert_ptr_not_equal(copy.acl[0].id, acl[0].id);
    assert_memory_equal(copy.data, "a\0b", 4);
    assert_ptr_not_equal(copy.data, r.data);
    assert_string_equal(copy.created, "/c");
    assert_string_equal(copy.children[1], "two");
    assert_ptr_not_equal(copy.children[1], children[1]);
    assert_string_equal(copy.acl[0].id, "u:h");
    assert_int_equal(copy.acl[0].perms, 31);
    assert_string_equal(copy.acl[1].scheme, "ip");
    assert_true(copy.maybe_done);
    struct reeve_result again; // also of a copy, which must not share its memory
    assert_int_equal(result_copy(&a, &again, &copy), REEVE_OK);
    reeve_result_fini(&copy);
    assert_string_equal(again.children[0], "one");
    reeve_result_fini(&again);
    struct reeve_result empty = {0};
    assert_int_equal(result_copy(&a, &copy, &empty), REEVE_OK);
    assert_null(copy.path);
    reeve_result_fini(&copy);
    reeve_result_fini(&empty);
    assert_int_equal(memory.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_have_the_recorded_fields),
        cmocka_unit_test(paths_lose_the_chroot),
        cmocka_unit_test(names_of_children_keep_what_looks_like_a_chroot),
        cmocka_unit_test(old_servers_answer_a_create_in_a_multi_without_stat),
        cmocka_unit_test(a_failed_multi_says_which_part_it_was),
        cmocka_unit_test(parts_that_do_not_fit_are_malformed),
        cmocka_unit_test(parts_without_result_and_error_are_malformed),
        cmocka_unit_test(errors_are_the_servers_within_its_range),
        cmocka_unit_test(watches_are_set_by_the_answers_that_set_them),
        cmocka_unit_test(an_exists_without_a_watch_sets_none),
        cmocka_unit_test(no_memory_is_an_answer_and_the_room_is_used_again),
        cmocka_unit_test(a_count_that_lies_asks_for_no_more_than_the_body_holds),
        cmocka_unit_test(the_room_of_a_large_answer_is_given_back),
        cmocka_unit_test(a_copy_stands_alone),
        cmocka_unit_test(a_copy_has_the_lists_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
