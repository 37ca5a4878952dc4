// SPDX-License-Identifier: Apache-2.0
//
// The client's engine: bytes in pieces of any size, frames of any size, and memory that fails at
// each allocation of a whole life.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/endian.h"
#include "test/support/engine_rig.h"
#include "wire/ops.h"

static const struct reeve_options plain;

// ---- a life -------------------------------------------------------------------------------------

static void submit(struct erig *r, enum reeve_op op, const char *path, bool watch)
{
    struct reeve_request q = {
        .op = op, .path = path, .version = -1, .kind = REEVE_WATCH_PERSISTENT};
    q.scheme = "digest";
    q.data = "u:p";
    q.data_len = 3;
    q.watch = watch ? (struct reeve_watch){erig_watch_fn, r} : (struct reeve_watch){NULL, NULL};
    (void)erig_submit(r, &q);
}

static void lose_connection(struct erig *r)
{
    for (uint32_t i = 0; i < ENGINE_LINKS_MAX; i++) {
        if (r->links[i].open) {
            erig_gone(r, i, "reset");
        }
    }
}

static void watch_event(struct erig *r, int32_t type, const char *path)
{
    for (uint32_t i = 0; i < ENGINE_LINKS_MAX; i++) {
        if (r->links[i].open) {
            erig_event(r, i, type, path);
        }
    }
}

// What memory has failed may delay, a little time brings: everybody gets a session again.
static void settle(struct erig *r)
{
    for (int i = 0; i < 20; i++) {
        erig_play(r, 10);
        erig_wait(r, 100);
    }
}

// Most of what an engine can do, with servers that answer everything.
static void live(struct erig *r)
{
    erig_run(r);
    submit(r, REEVE_OP_GET, "/a", true);
    submit(r, REEVE_OP_ADD_AUTH, NULL, false);
    erig_play(r, 10);
    submit(r, REEVE_OP_EXISTS, "/b", true);
    submit(r, REEVE_OP_CHILDREN, "/c", true);
    submit(r, REEVE_OP_ADD_WATCH, "/p", true);
    submit(r, REEVE_OP_SET, "/a", false);
    erig_play(r, 100000); // a frame with memory of its own
    watch_event(r, 3, "/app/a");
    watch_event(r, 3, "/app/p");
    submit(r, REEVE_OP_GET, "/a", true);
    lose_connection(r);
    submit(r, REEVE_OP_SET, "/late", false);
    settle(r);
    engine_unwatch(r->e, "/c", erig_watch_fn, r);
    submit(r, REEVE_OP_REMOVE_WATCHES, "/p", false);
    settle(r);
    (void)engine_set_servers(r->e, "c,d");
    settle(r);
    submit(r, REEVE_OP_GET, "/a", false);
    erig_jump(r, 10000); // LOST
    settle(r);
    submit(r, REEVE_OP_GET, "/a", true);
    erig_play(r, 200000);
    engine_close(r->e, true);
    erig_run(r);
    erig_play(r, 10);
    erig_wait(r, 2000);
    assert_true(r->over);
}

static struct erig *born(size_t in_max, size_t out_max)
{
    struct erig *r = erig_new((struct reeve_options){.servers = "a,b/app"});
    r->in_max = in_max;
    r->out_max = out_max;
    return r;
}

static void pieces_of_any_size_make_no_difference(void **state)
{
    (void)state;
    struct erig *whole = born(0, 0);
    live(whole);
    static const size_t sizes[][2] = {{1, 1}, {3, 2}, {19, 1000}, {4096, 7}, {65535, 65535}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct erig *r = born(sizes[i][0], sizes[i][1]);
        live(r);
        assert_string_equal(r->text, whole->text);
        erig_free(r);
    }
    assert_true(erig_saw(whole, "LOST"));
    assert_true(erig_saw(whole, "watch 3 /a last\nwatch 3 /p\n"));
    erig_free(whole);
}

// Two answers and an event, cut in two at every place.
static void every_split_of_what_comes(void **state)
{
    (void)state;
    uint8_t bytes[20 + 4 + 68 + 20 + 14 + 20];
    memset(bytes, 0, sizeof(bytes));
    be32_put(bytes, 16 + 72);
    be32_put(bytes + 4, 1);
    uint8_t *event = bytes + 20 + 72;
    be32_put(event, 16 + 14);
    be32_put(event + 4, (uint32_t)-1);
    be32_put(event + 20, 3);
    be32_put(event + 28, 2);
    memcpy(event + 32, "/x", 2);
    be32_put(event + 34, 16);
    be32_put(event + 38, 2);
    be32_put(event + 50, (uint32_t)-102);
    for (size_t at = 0; at <= sizeof(bytes); at++) {
        struct erig *r = erig_connected(plain);
        erig_get_watch(r, "/x");
        erig_get(r, "/y");
        erig_send(r, 0, bytes, at);
        erig_send(r, 0, bytes + at, sizeof(bytes) - at);
        erig_expect(r, "done get /x 0 watching\nwatch 3 /x last\ndone get /y -102\n");
        erig_free(r);
    }
}

static void every_failure_of_memory_is_survived(void **state)
{
    (void)state;
    uint64_t n = 0;
    for (int behind = 0; behind < 2; behind++) {
        for (uint64_t k = 1;; k++) {
            struct erig *r = calloc(1, sizeof(*r));
            assert_non_null(r);
            r->fail_at = k;
            // Memory that is gone for good still leaves a way to the end.
            r->fail_all_behind = behind;
            struct reeve_options o = {.servers = "a,b/app", .no_shuffle = true};
            if (erig_begin(r, o) == REEVE_OK) {
                live(r);
            } else {
                assert_null(r->e);
            }
            bool reached = r->allocs >= k;
            erig_free(r);
            n = k;
            if (!reached) {
                break;
            }
        }
        assert_in_range(n, 20, 1000);
    }
}

// ---- sizes --------------------------------------------------------------------------------------

static void too_big_an_answer_fails_its_request_only(void **state)
{
    (void)state;
    static const size_t sizes[] = {929, 50000, 65000, 66000, 300000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct erig *r = erig_connected((struct reeve_options){.answer_max = 1000});
        r->in_max = i % 2 ? 777 : 0;
        erig_get_watch(r, "/big");
        erig_get(r, "/fits");
        erig_get_watch(r, "/big");
        assert_true(erig_take(r, 0));
        uint8_t *body = calloc(1, sizes[i] + 72);
        assert_non_null(body);
        be32_put(body, (uint32_t)sizes[i]);
        char want[200];
        snprintf(want, sizeof(want),
                 "done get /big -202 (an answer of %zu bytes, answer_max is 1000)\n",
                 sizes[i] + 72 + 16);
        erig_answer(r, 0, 1, 5, 0, body, sizes[i] + 72);
        erig_expect(r, want);
        be32_put(body, 1000 - 72 - 16);
        erig_answer(r, 0, 2, 5, 0, body, 1000 - 16);
        erig_expect(r, "done get /fits 0\n");
        be32_put(body, (uint32_t)sizes[i]);
        erig_answer(r, 0, 3, 5, 0, body, sizes[i] + 72);
        erig_expect(r, want);
        erig_wait(r, 1999); // and the connection lives
        erig_expect(r, "");
        free(body);
        erig_free(r);
    }
}

// Around the size of the buffer, cut in two where the header is just there.
static void answers_of_about_the_buffers_size(void **state)
{
    (void)state;
    uint8_t *frame = calloc(1, 70000);
    assert_non_null(frame);
    struct erig *r = erig_connected(plain);
    for (size_t n = 65520; n < 65550; n++) {
        erig_get(r, "/x");
        assert_true(erig_take(r, 0));
        be32_put(frame, (uint32_t)(n - 4));
        be32_put(frame + 4, (uint32_t)r->frame.xid);
        be32_put(frame + 20, (uint32_t)(n - 20 - 72));
        erig_send(r, 0, frame, 24);
        erig_send(r, 0, frame + 24, n - 25);
        erig_expect(r, "");
        erig_send(r, 0, frame + n - 1, 1);
        erig_expect(r, "done get /x 0\n");
    }
    free(frame);
    erig_free(r);
}

static void an_answer_without_memory_fails_its_request_only(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_get(r, "/big");
    erig_set(r, "/next");
    assert_true(erig_take(r, 0));
    r->fail_at = r->allocs + 1;
    uint8_t *body = calloc(1, 200000);
    assert_non_null(body);
    be32_put(body, 200000 - 72);
    erig_answer(r, 0, 1, 5, 0, body, 200000);
    erig_expect(r, "done get /big -200 (no memory for an answer of 200016 bytes)\n");
    erig_serve(r, 0, OP_SET_DATA, 6, 0);
    erig_expect(r, "done set /next 0\n");
    free(body);
    erig_free(r);
}

static void an_event_without_memory_comes_again(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    uint8_t *body = calloc(1, 100000);
    assert_non_null(body);
    be32_put(body + 8, 100000 - 12);
    erig_get_watch(r, "/w");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    r->fail_at = r->allocs + 1;
    erig_answer(r, 0, -1, -1, 0, body, 100000);
    assert_true(erig_saw(r, "there is no memory for an event of 100016 bytes"));
    erig_reconnect(r);
    assert_true(erig_take(r, 0));
    assert_int_equal(r->frame.op, OP_SET_WATCHES);
    free(body);
    erig_free(r);
}

static void a_large_frame_that_nobody_asked_for_is_not_read(void **state)
{
    (void)state;
    static const int32_t lengths[] = {INT32_MAX, 70000, 15, 0, -1, INT32_MIN};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct erig *r = erig_connected(plain);
        erig_get(r, "/x");
        uint64_t before = r->allocs;
        uint8_t head[20] = {0};
        be32_put(head, (uint32_t)lengths[i]);
        be32_put(head + 4, i % 2 ? 2 : (uint32_t)-2);
        erig_send(r, 0, head, sizeof(head));
        assert_true(erig_saw(r, "state SUSPENDED"));
        assert_true(r->allocs == before);
        erig_reconnect(r);
        erig_serve(r, 0, OP_GET_DATA, 1, 0);
        erig_free(r);
    }
}

static void a_frame_behind_a_large_one_is_not_a_part_of_it(void **state)
{
    (void)state;
    enum { LARGE = 100000, SMALL = 20 };
    struct erig *r = erig_connected(plain);
    erig_get(r, "/large");
    erig_set(r, "/small");
    uint8_t *frames = calloc(1, LARGE + SMALL);
    assert_non_null(frames);
    be32_put(frames, LARGE - 4);
    be32_put(frames + 4, 1);
    be32_put(frames + 20, LARGE - 20 - 72);
    be32_put(frames + LARGE, SMALL - 4);
    be32_put(frames + LARGE + 4, 2);
    be32_put(frames + LARGE + 16, (uint32_t)-101);
    erig_send(r, 0, frames, 1000);
    size_t room;
    (void)engine_recv_space(r->e, 0, &room);
    assert_int_equal(room, LARGE - 1000);
    erig_send(r, 0, frames + 1000, LARGE + SMALL - 1000);
    erig_expect(r, "done get /large 0\ndone set /small -101\n");
    free(frames);
    erig_free(r);
}

static void the_buffer_is_small_again(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    erig_get(r, "/big");
    int64_t before = r->blocks; // of them one is the request
    erig_play(r, 1000000);
    assert_true(r->blocks == before - 1);
    erig_expect(r, "done get /big 0\n");
    erig_free(r);
}

// The driver may read on before it asks what has happened.
static void a_full_buffer_gives_no_room(void **state)
{
    (void)state;
    struct erig *r = erig_connected(plain);
    enum { GETS = 1000 };
    for (int i = 0; i < GETS; i++) {
        erig_get(r, "/x");
    }
    uint8_t frame[20 + 72] = {[3] = 88};
    size_t room, at = 0;
    uint32_t xid = 1;
    for (;;) {
        uint8_t *p = engine_recv_space(r->e, 0, &room);
        if (room == 0) {
            break;
        }
        be32_put(frame + 4, xid);
        size_t k = sizeof(frame) - at < room ? sizeof(frame) - at : room;
        memcpy(p, frame + at, k);
        engine_received(r->e, 0, k);
        at += k;
        if (at == sizeof(frame)) {
            at = 0;
            xid++;
        }
    }
    assert_true(xid > 700);
    erig_run(r);
    assert_int_equal(r->done, xid - 1);
    (void)engine_recv_space(r->e, 0, &room);
    assert_true(room > 0);
    erig_send(r, 0, frame + at, sizeof(frame) - at);
    for (uint32_t i = xid + 1; i <= GETS; i++) {
        erig_answer(r, 0, (int32_t)i, 1, 0, frame + 20, 72);
    }
    erig_free(r);
}

static void large_requests_go_in_order(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.request_max = 1 << 20});
    char *data = malloc(500000);
    assert_non_null(data);
    memset(data, 'x', 500000);
    static const size_t sizes[] = {10, 65450, 500000, 70000, 1, 65536, 65499};
    r->out_max = 30001;
    r->stuck = true;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        erig_submit(r, &(struct reeve_request){
                           .op = REEVE_OP_SET, .path = "/x", .data = data, .data_len = sizes[i]});
    }
    r->stuck = false;
    erig_run(r);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_true(erig_take(r, 0));
        assert_int_equal(r->frame.xid, i + 1);
        assert_int_equal(be32_get(r->frame.body + 6), sizes[i]);
        erig_answer(r, 0, r->frame.xid, 1, -101, NULL, 0);
    }
    free(data);
    erig_free(r);
}

static void a_large_request_times_out_half_sent(void **state)
{
    (void)state;
    struct erig *r = erig_connected((struct reeve_options){.request_timeout_ms = 100});
    char *data = calloc(1, 500000);
    assert_non_null(data);
    r->stuck = true;
    erig_submit(r, &(struct reeve_request){
                       .op = REEVE_OP_SET, .path = "/x", .data = data, .data_len = 500000});
    struct slice s = engine_output(r->e, 0);
    assert_true(s.n > 400000);
    engine_sent(r->e, 0, 1000);
    erig_wait(r, 100);
    assert_true(erig_saw(r, "done set /x -7 (no answer within 100 ms)\n")); // surely not done
    r->stuck = false;
    erig_reconnect(r);
    assert_false(erig_take(r, 0));
    free(data);
    erig_free(r);
}

static void credentials_answered_before_they_are_out(void **state)
{
    (void)state;
    char *data = calloc(1, 100000);
    assert_non_null(data);
    for (int again = 0; again < 2; again++) {
        struct erig *r = erig_connected((struct reeve_options){.servers = "a"});
        struct reeve_request q = {
            .op = REEVE_OP_ADD_AUTH, .scheme = "digest", .data = data, .data_len = 100000};
        if (again) {
            erig_submit(r, &q);
            erig_answer(r, 0, -4, 0, 0, NULL, 0);
        }
        r->stuck = true;
        erig_submit(r, &q);
        struct slice s = engine_output(r->e, 0);
        engine_sent(r->e, 0, s.n - 1);
        erig_forget(r);
        erig_answer(r, 0, -4, 0, 0, NULL, 0);
        assert_true(erig_saw(r, "state SUSPENDED"));
        r->stuck = false;
        erig_wait(r, 51);
        erig_reconnect(r);
        erig_answer(r, 0, -4, 0, 0, NULL, 0);
        if (again) {
            erig_answer(r, 0, -4, 0, 0, NULL, 0);
        }
        assert_true(erig_saw(r, "done add_auth 0\n"));
        erig_free(r);
    }
    free(data);
}

static void a_long_path_is_watched_again(void **state)
{
    (void)state;
    enum { PATH = 100000 };
    struct erig *r = erig_connected(plain);
    char *path = malloc(PATH + 1);
    assert_non_null(path);
    memset(path, 'x', PATH);
    path[0] = '/';
    path[PATH] = 0;
    erig_get_watch(r, path);
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_get_watch(r, "/short");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_gone(r, 0, "");
    erig_dialed(r, 0);
    r->stuck = true; // a part of the first piece is sent, and answered
    erig_accept(r, 0, 7, 6000, false);
    engine_sent(r->e, 0, engine_output(r->e, 0).n - 1);
    erig_answer(r, 0, -8, 1, 0, NULL, 0);
    assert_true(erig_saw(r, "it did not take the watches again"));
    r->stuck = false;
    r->out_max = 999;
    erig_wait(r, 101);
    erig_reconnect(r);
    size_t bytes = 0;
    for (int i = 0; i < 2; i++) {
        assert_true(erig_take(r, 0));
        assert_int_equal(r->frame.op, OP_SET_WATCHES);
        bytes += r->frame.n;
        erig_answer(r, 0, -8, 1, 0, NULL, 0);
    }
    assert_int_equal(bytes, PATH + 6 + 2 * (8 + 3 * 4 + 4));
    erig_forget(r);
    erig_get(r, "/x");
    erig_serve(r, 0, OP_GET_DATA, 1, 0);
    erig_expect(r, "done get /x 0\n");
    free(path);
    erig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_any_size_make_no_difference),
        cmocka_unit_test(every_split_of_what_comes),
        cmocka_unit_test(every_failure_of_memory_is_survived),
        cmocka_unit_test(too_big_an_answer_fails_its_request_only),
        cmocka_unit_test(answers_of_about_the_buffers_size),
        cmocka_unit_test(an_answer_without_memory_fails_its_request_only),
        cmocka_unit_test(an_event_without_memory_comes_again),
        cmocka_unit_test(a_large_frame_that_nobody_asked_for_is_not_read),
        cmocka_unit_test(a_frame_behind_a_large_one_is_not_a_part_of_it),
        cmocka_unit_test(the_buffer_is_small_again),
        cmocka_unit_test(a_full_buffer_gives_no_room),
        cmocka_unit_test(large_requests_go_in_order),
        cmocka_unit_test(a_large_request_times_out_half_sent),
        cmocka_unit_test(credentials_answered_before_they_are_out),
        cmocka_unit_test(a_long_path_is_watched_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
