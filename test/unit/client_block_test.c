// SPDX-License-Identifier: Apache-2.0
//
// Callbacks that block: what is told behind one that outlasts the session, and what it must not
// cost. The rest of struct reeve is client_test.c's affair.
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

struct blocking {
    struct crig *w;
    struct states states;
    int64_t ms; // the first callback takes so long
    size_t n;
    char seen[8][16]; // the states that each had heard of
    enum reeve_error error[8];
};

static void block(struct blocking *b, enum reeve_error e)
{
    assert_true(b->n < 8);
    memcpy(b->seen[b->n], b->states.text, sizeof(b->seen[0]));
    b->error[b->n++] = e;
    crig_block(b->w, b->ms);
    b->ms = 0;
}

static void block_done(void *ctx, const struct reeve_result *r)
{
    block(ctx, r->error);
}

static void block_task(void *ctx)
{
    block(ctx, REEVE_OK);
}

static struct reeve *blocking_client(struct crig *w, struct blocking *b)
{
    struct reeve *zk = crig_client(w, NULL);
    b->w = w;
    b->states.zk = zk;
    assert_int_equal(reeve_listen(zk, on_state, &b->states), REEVE_OK);
    assert_int_equal(reeve_wait_connected(zk, -1), REEVE_OK);
    crig_run(w);
    crig_gulp(w, true);
    return zk;
}

// Answers that lay there already while the session ran out in a callback come behind the loss.
static void a_callback_that_outlasts_the_session(void **state)
{
    struct crig *w = *state;
    struct blocking b = {.ms = 11000};
    struct reeve *zk = blocking_client(w, &b);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(reeve_exists_async(zk, "/", NULL, block_done, &b), REEVE_OK);
    }
    crig_run(w);
    assert_int_equal(b.n, 3);
    assert_string_equal(b.seen[0], "cC");
    assert_int_equal(b.error[0], REEVE_OK);
    for (int i = 1; i < 3; i++) {
        assert_true(strncmp(b.seen[i], "cCL", 3) == 0);
        assert_int_equal(b.error[i], REEVE_SESSION_EXPIRED);
    }
    end(state);
}

static void a_task_that_outlasts_the_session(void **state)
{
    struct crig *w = *state;
    struct blocking b = {.ms = 11000};
    struct reeve *zk = blocking_client(w, &b);
    assert_int_equal(reeve_post(zk, block_task, &b), REEVE_OK);
    assert_int_equal(reeve_post(zk, block_task, &b), REEVE_OK);
    crig_run(w);
    assert_int_equal(b.n, 2);
    assert_true(strncmp(b.seen[1], "cCL", 3) == 0);
    end(state);
}

// One that blocks for less costs nothing: the connection was silent only because nobody listened.
static void a_callback_that_blocks_for_a_while(void **state)
{
    struct crig *w = *state;
    struct blocking b = {.ms = 9000};
    struct reeve *zk = blocking_client(w, &b);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(reeve_exists_async(zk, "/", NULL, block_done, &b), REEVE_OK);
    }
    crig_run(w);
    assert_int_equal(b.n, 3);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(b.seen[i], "cC");
        assert_int_equal(b.error[i], REEVE_OK);
    }
    end(state);
}

// Its request has all of its time, although the run began long ago.
static void ask_late(void *ctx)
{
    struct blocking *b = ctx;
    struct reeve_request q = reeve_request_of(REEVE_OP_EXISTS, "/");
    q.timeout_ms = 1000;
    block(b, REEVE_OK);
    assert_int_equal(reeve_submit(b->states.zk, &q, block_done, b), REEVE_OK);
}

static void a_request_behind_a_callback_that_blocks(void **state)
{
    struct crig *w = *state;
    struct blocking b = {.ms = 2000};
    struct reeve *zk = blocking_client(w, &b);
    crig_gulp(w, false);
    assert_int_equal(reeve_post(zk, ask_late, &b), REEVE_OK);
    crig_run(w);
    assert_int_equal(b.n, 2);
    assert_int_equal(b.error[1], REEVE_OK);
    end(state);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_callback_that_outlasts_the_session),
        TEST(a_task_that_outlasts_the_session),
        TEST(a_callback_that_blocks_for_a_while),
        TEST(a_request_behind_a_callback_that_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
