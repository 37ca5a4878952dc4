// SPDX-License-Identifier: Apache-2.0
//
// Queues: order and priority in every layout, one consumer per item, items that come back,
// consumers that wait in line, and all of it with connections cut, sessions lost and memory
// missing.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reeve/queue.h"
#include "test/support/client_rig.h"
#include "tree/node.h"

struct told {
    size_t n;
    enum reeve_error e;
    struct reeve_queue_item *item;
    size_t lost;
};

static void on_done(void *ctx, enum reeve_error e)
{
    struct told *t = ctx;
    t->n++;
    t->e = e;
}

static void on_take(void *ctx, enum reeve_error e, struct reeve_queue_item *item)
{
    struct told *t = ctx;
    t->n++;
    t->e = e;
    t->item = item;
}

static void on_lost(void *ctx, struct reeve_queue_item *item)
{
    struct told *t = ctx;
    assert_true(reeve_queue_item_lost(item));
    t->lost++;
}

static struct reeve_queue *queue(struct reeve *zk, enum reeve_queue_layout layout, struct told *t)
{
    bool curator = layout == REEVE_QUEUE_CURATOR || layout == REEVE_QUEUE_CURATOR_PRIORITY;
    struct reeve_queue_options o = {
        .layout = layout, .lock_path = curator ? "/locks" : NULL, .lost = on_lost, .ctx = t};
    struct reeve_queue *q;
    assert_int_equal(reeve_queue_new(&q, zk, "/q", &o), REEVE_OK);
    return q;
}

static void put(struct reeve_queue *q, const char *text, int32_t priority)
{
    assert_int_equal(reeve_queue_put(q, text, strlen(text), priority), REEVE_OK);
}

static void take_and_finish(struct reeve_queue *q, const char *want)
{
    struct reeve_queue_item *item;
    assert_int_equal(reeve_queue_take(q, 0, &item), REEVE_OK);
    assert_int_equal(reeve_queue_item_len(item), strlen(want));
    assert_memory_equal(reeve_queue_item_data(item), want, strlen(want));
    assert_int_equal(reeve_queue_finish(&item), REEVE_OK);
    assert_null(item);
}

static uint32_t length(struct reeve_queue *q)
{
    uint32_t n;
    assert_int_equal(reeve_queue_length(q, &n), REEVE_OK);
    return n;
}

static void gives_in_order(void **state)
{
    (void)state;
    for (int layout = REEVE_QUEUE_LOCKING; layout <= REEVE_QUEUE_CURATOR_PRIORITY; layout++) {
        struct crig *w = crig_new();
        struct reeve_queue *q = queue(crig_client(w, NULL), (enum reeve_queue_layout)layout, NULL);
        struct reeve_queue_item *item;
        assert_int_equal(reeve_queue_take(q, 0, &item), REEVE_OPERATION_TIMEOUT);
        assert_int_equal(length(q), 0);
        bool priorities = layout != REEVE_QUEUE_SIMPLE && layout != REEVE_QUEUE_CURATOR;
        struct reeve_queue_data many[] = {{"c", 1}, {"d", 1}};
        put(q, priorities ? "b" : "a", 100);
        put(q, priorities ? "a" : "b", 7);
        assert_int_equal(reeve_queue_put_many(q, many, 2, 101), REEVE_OK);
        struct reeve_result r;
        assert_int_equal(reeve_queue_peek(q, &r), REEVE_OK);
        assert_non_null(memchr(r.data, 'a', r.data_len));
        reeve_result_fini(&r);
        assert_int_equal(length(q), 4);
        take_and_finish(q, "a");
        take_and_finish(q, "b");
        take_and_finish(q, "c");
        take_and_finish(q, "d");
        assert_int_equal(length(q), 0);
        assert_int_equal(reeve_queue_take(q, 0, &item), REEVE_OPERATION_TIMEOUT);
        assert_int_equal(reeve_queue_take(q, 500, &item), REEVE_OPERATION_TIMEOUT);
        assert_int_equal(reeve_queue_peek(q, &r), REEVE_NO_NODE);
        reeve_result_fini(&r);
        reeve_queue_free(&q);
        crig_free(&w);
    }
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_queue *q;
    struct reeve_queue_options curator = {.layout = REEVE_QUEUE_CURATOR};
    struct reeve_queue_options simple = {.layout = REEVE_QUEUE_SIMPLE, .lock_path = "/l"};
    assert_int_equal(reeve_queue_new(&q, zk, "/q", &curator), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_queue_new(&q, zk, "/q", &simple), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_queue_new(&q, zk, "/q/", NULL), REEVE_BAD_ARGUMENTS);
    q = queue(zk, REEVE_QUEUE_LOCKING, NULL);
    assert_int_equal(reeve_queue_put(q, "x", 1, 1000), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_queue_put(q, "x", 1, -1), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_queue_put(q, NULL, 1, 1), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_queue_put_many(q, NULL, 1, 1), REEVE_BAD_ARGUMENTS);
    reeve_queue_free(&q);

    q = queue(zk, REEVE_QUEUE_CURATOR, NULL);
    assert_int_equal(reeve_create(zk, "/q", NULL, 0, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_create(zk, "/q/queue-", "junk!", 5, REEVE_SEQUENTIAL, NULL), REEVE_OK);
    struct reeve_queue_item *item;
    assert_int_equal(reeve_queue_take(q, 0, &item), REEVE_MALFORMED);
    assert_int_equal(reeve_queue_item_len(item), 5);
    assert_int_equal(reeve_queue_finish(&item), REEVE_OK);
    static const char two[] = "\0\1\0\1\1\0\0\0\2hi\1\0\0\0\0\2";
    assert_int_equal(reeve_create(zk, "/q/queue-", two, sizeof(two) - 1, REEVE_SEQUENTIAL, NULL),
                     REEVE_OK);
    assert_int_equal(reeve_queue_take(q, 0, &item), REEVE_OK);
    struct reeve_queue_data part;
    assert_memory_equal(reeve_queue_item_data(item), "hi", 2);
    assert_true(reeve_queue_part(item, 1, &part));
    assert_int_equal(part.len, 0);
    assert_false(reeve_queue_part(item, 2, &part));
    assert_int_equal(reeve_queue_give_back(&item), REEVE_OK);
    assert_int_equal(length(q), 1);
    reeve_queue_free(&q);
    crig_free(&w);
}

// An item that is given back, or whose consumer is lost, comes to the next one.
static void items_come_back(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *a = crig_client(w, NULL), *b = crig_client(w, NULL);
    struct told ta = {0}, tb = {0};
    struct reeve_queue *qa = queue(a, REEVE_QUEUE_LOCKING, &ta);
    struct reeve_queue *qb = queue(b, REEVE_QUEUE_LOCKING, &tb);
    put(qa, "x", 5);
    struct reeve_queue_item *item;
    assert_int_equal(reeve_queue_take(qa, 0, &item), REEVE_OK);
    assert_int_equal(reeve_queue_take_async(qb, -1, on_take, &tb), REEVE_OK);
    crig_advance(w, 3000);
    assert_int_equal(tb.n, 0);
    assert_int_equal(reeve_queue_give_back(&item), REEVE_OK);
    crig_run(w);
    assert_int_equal(tb.n, 1);
    assert_int_equal(reeve_queue_give_back(&tb.item), REEVE_OK);

    assert_int_equal(reeve_queue_take(qa, 0, &item), REEVE_OK);
    assert_int_equal(reeve_queue_take_async(qb, -1, on_take, &tb), REEVE_OK);
    crig_run(w);
    crig_black_hole(w, a, true);
    crig_hold(w, a, true);
    crig_advance(w, 40000);
    assert_int_equal(ta.lost, 1);
    assert_int_equal(tb.n, 2);
    assert_int_equal(tb.e, REEVE_OK);
    crig_black_hole(w, a, false);
    crig_hold(w, a, false);
    assert_int_equal(reeve_queue_finish(&item), REEVE_SESSION_EXPIRED);
    assert_int_equal(reeve_queue_finish(&tb.item), REEVE_OK);
    assert_int_equal(length(qb), 0);
    reeve_queue_free(&qa);
    reeve_queue_free(&qb);
    crig_free(&w);
}

// Many wait: an item costs as many requests as with few, and each gets one.
static void waits_in_line(void **state)
{
    (void)state;
    enum { MANY = 20 };
    struct crig *w = crig_new();
    struct reeve *zk[MANY];
    struct reeve_queue *q[MANY];
    struct told t[MANY] = {{0}};
    for (size_t i = 0; i < MANY; i++) {
        zk[i] = crig_client(w, NULL);
        q[i] = queue(zk[i], REEVE_QUEUE_LOCKING, &t[i]);
        assert_int_equal(reeve_queue_take_async(q[i], -1, on_take, &t[i]), REEVE_OK);
        crig_run(w);
    }
    struct reeve *producer = crig_client(w, NULL);
    struct reeve_queue *p = queue(producer, REEVE_QUEUE_LOCKING, NULL);
    put(p, "first", 1);
    crig_run(w);
    size_t before = 0, after = 0, got = 0;
    for (size_t i = 0; i < MANY; i++) {
        before += crig_messages(w, zk[i], CRIG_TO_SERVER);
        got += t[i].n;
    }
    assert_int_equal(got, 1);
    put(p, "second", 1);
    crig_run(w);
    got = 0;
    for (size_t i = 0; i < MANY; i++) {
        after += crig_messages(w, zk[i], CRIG_TO_SERVER);
        got += t[i].n;
    }
    assert_int_equal(got, 2);
    assert_true(after - before <= 12);
    for (size_t i = 0; i < MANY - 2; i++) {
        put(p, "more", 1);
    }
    crig_advance(w, 1000);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(t[i].n, 1);
        assert_int_equal(reeve_queue_finish(&t[i].item), REEVE_OK);
        reeve_queue_free(&q[i]);
    }
    assert_int_equal(length(p), 0);
    reeve_queue_free(&p);
    crig_free(&w);
}

// The life of an item with a cut after each message, either way.
static void survives_cuts(void **state)
{
    (void)state;
    for (size_t way = 0; way < 2; way++) {
        bool cut = true;
        for (size_t at = 1; cut; at++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL);
            struct told t = {0}, puts = {0}, done = {0};
            struct reeve_queue *q = queue(zk, REEVE_QUEUE_LOCKING, &t);
            crig_run(w);
            crig_cut_after(w, zk, way ? CRIG_TO_CLIENT : CRIG_TO_SERVER, at);
            assert_int_equal(reeve_queue_take_async(q, -1, on_take, &t), REEVE_OK);
            crig_advance(w, 1000);
            assert_int_equal(reeve_queue_put_async(q, "x", 1, 1, on_done, &puts), REEVE_OK);
            assert_int_equal(reeve_queue_put_async(q, "y", 1, 1, on_done, &puts), REEVE_OK);
            crig_advance(w, 3000);
            assert_int_equal(puts.n, 2);
            assert_int_equal(puts.e, REEVE_OK);
            assert_int_equal(t.n, 1);
            assert_int_equal(t.e, REEVE_OK);
            assert_memory_equal(reeve_queue_item_data(t.item), "x", 1);
            assert_int_equal(length(q), 2);
            assert_int_equal(reeve_queue_finish_async(t.item, on_done, &done), REEVE_OK);
            crig_advance(w, 3000);
            assert_int_equal(done.n, 1);
            assert_int_equal(done.e, REEVE_OK);
            assert_int_equal(length(q), 1);
            take_and_finish(q, "y");
            cut = crig_was_cut(w, zk);
            reeve_queue_free(&q);
            crig_free(&w);
        }
    }
}

// A server whose disk is full refuses writes until there is space: an item that is finished or
// given back then does not stay locked.
static void waits_for_a_full_disk(void **state)
{
    (void)state;
    for (int finish = 0; finish < 2; finish++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL), *b = crig_client(w, NULL);
        struct told t = {0}, done = {0};
        struct reeve_queue *q = queue(zk, REEVE_QUEUE_LOCKING, &t);
        struct reeve_queue *other = queue(b, REEVE_QUEUE_LOCKING, &t);
        put(q, "x", 1);
        assert_int_equal(reeve_queue_take(q, 0, &t.item), REEVE_OK);
        crig_server(w)->refuse = true;
        assert_int_equal(finish ? reeve_queue_finish_async(t.item, on_done, &done)
                                : reeve_queue_give_back_async(t.item, on_done, &done),
                         REEVE_OK);
        crig_advance(w, 2000);
        assert_int_equal(done.n, 0);
        crig_server(w)->refuse = false;
        crig_advance(w, 500);
        assert_int_equal(done.n, 1);
        assert_int_equal(done.e, REEVE_OK);
        assert_int_equal(length(other), !finish);
        if (!finish) {
            take_and_finish(other, "x");
        }
        reeve_queue_free(&q);
        reeve_queue_free(&other);
        crig_free(&w);
    }
}

// The line of consumers may be deleted under those who stand in it; and a place that a lost create
// made late is no consumer.
static void the_line_may_be_disturbed(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct told t[2] = {0};
    struct reeve *zk[2], *admin = crig_client(w, NULL);
    struct reeve_queue *q[2];
    char path[128];
    for (size_t i = 0; i < 2; i++) {
        zk[i] = crig_client(w, NULL);
        q[i] = queue(zk[i], REEVE_QUEUE_LOCKING, &t[i]);
        assert_int_equal(reeve_queue_take_async(q[i], -1, on_take, &t[i]), REEVE_OK);
        crig_run(w);
    }
    struct reeve_result r;
    assert_int_equal(reeve_children(admin, "/q/waiting", NULL, &r), REEVE_OK);
    assert_int_equal(r.children_n, 2);
    struct reeve_request parts[3] = {{0}};
    char paths[2][128];
    for (size_t i = 0; i < 3; i++) {
        parts[i] = (struct reeve_request){
            .op = REEVE_OP_DELETE, .path = "/q/waiting", .version = REEVE_ANY_VERSION};
    }
    for (size_t i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof(paths[i]), "/q/waiting/%s", r.children[i]);
        parts[i].path = paths[i];
    }
    reeve_result_fini(&r);
    struct reeve_request multi = {.op = REEVE_OP_MULTI, .parts = parts, .parts_n = 3};
    assert_int_equal(reeve_call(admin, &multi, NULL), REEVE_OK);
    crig_advance(w, 1000);
    size_t before = crig_messages(w, zk[1], CRIG_TO_SERVER);
    crig_advance(w, 1000);
    assert_true(crig_messages(w, zk[1], CRIG_TO_SERVER) - before <
                3); // it waits, and does not poll
    struct reeve_queue *in = queue(admin, REEVE_QUEUE_LOCKING, NULL);
    put(in, "x", 1);
    put(in, "y", 1);
    crig_advance(w, 1000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(t[i].n, 1);
        assert_int_equal(t[i].e, REEVE_OK);
        assert_int_equal(reeve_queue_finish(&t[i].item), REEVE_OK);
    }
    // Twice in line, and first in both places.
    crig_cut_after(w, zk[0], CRIG_TO_SERVER, 1);
    assert_int_equal(reeve_queue_take_async(q[0], -1, on_take, &t[0]), REEVE_OK);
    crig_advance(w, 1000);
    assert_true(crig_was_cut(w, zk[0]));
    assert_int_equal(reeve_children(admin, "/q/waiting", NULL, &r), REEVE_OK);
    assert_int_equal(r.children_n, 1);
    snprintf(path, sizeof(path), "/q/waiting/%.*s", (int)strlen(r.children[0]) - 10, r.children[0]);
    reeve_result_fini(&r);
    put(in, "x", 1);
    crig_advance(w, 1000);
    assert_int_equal(t[0].n, 2);
    assert_int_equal(reeve_queue_finish(&t[0].item), REEVE_OK);
    assert_int_equal(reeve_create(zk[0], path, NULL, 0, REEVE_EPHEMERAL | REEVE_SEQUENTIAL, NULL),
                     REEVE_OK);
    assert_int_equal(reeve_queue_take_async(q[0], -1, on_take, &t[0]), REEVE_OK);
    crig_run(w);
    put(in, "z", 1);
    crig_advance(w, 1000);
    assert_int_equal(t[0].n, 3);
    assert_int_equal(reeve_queue_finish(&t[0].item), REEVE_OK);
    reeve_queue_free(&in);
    for (size_t i = 0; i < 2; i++) {
        reeve_queue_free(&q[i]);
    }
    crig_free(&w);
}

// The write of a lost connection may be executed after the ledger was read, if its bytes were still
// unread at a server that was stopped. The second try then finds it done.
static void a_late_put_is_not_made_twice(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct told puts = {0};
    struct reeve_queue *q = queue(zk, REEVE_QUEUE_LOCKING, NULL);
    put(q, "a", 1);
    struct reeve_result r;
    char ledger[128];
    assert_int_equal(reeve_children(zk, "/q/producers", NULL, &r), REEVE_OK);
    assert_int_equal(r.children_n, 1);
    snprintf(ledger, sizeof(ledger), "/q/producers/%s", r.children[0]);
    reeve_result_fini(&r);
    struct reeve_request late[2] = {{.op = REEVE_OP_SET, .path = ledger, .version = 1},
                                    {.op = REEVE_OP_CREATE,
                                     .path = "/q/entries/entry-001-",
                                     .data = "b",
                                     .data_len = 1,
                                     .flags = REEVE_SEQUENTIAL}};
    struct reeve_request multi = {.op = REEVE_OP_MULTI, .parts = late, .parts_n = 2};
    assert_int_equal(reeve_call(zk, &multi, NULL), REEVE_OK);
    assert_int_equal(reeve_queue_put_async(q, "b", 1, 1, on_done, &puts), REEVE_OK);
    assert_int_equal(reeve_queue_put_async(q, "c", 1, 1, on_done, &puts), REEVE_OK);
    for (int i = 0; i < 200; i++) {
        (void)crig_step(w);
    }
    assert_int_equal(puts.n, 2);
    assert_int_equal(puts.e, REEVE_OK);
    take_and_finish(q, "a");
    take_and_finish(q, "b");
    take_and_finish(q, "c");
    assert_int_equal(length(q), 0);
    reeve_queue_free(&q);
    crig_free(&w);
}

// Without locks a cut may leave it open who took an item; nothing is given twice.
static void without_locks_nothing_is_given_twice(void **state)
{
    (void)state;
    bool cut = true;
    for (size_t at = 1; cut; at++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL);
        struct told t = {0};
        struct reeve_queue *q = queue(zk, REEVE_QUEUE_SIMPLE, &t);
        put(q, "x", 0);
        crig_cut_after(w, zk, CRIG_TO_CLIENT, at);
        assert_int_equal(reeve_queue_take_async(q, 3000, on_take, &t), REEVE_OK);
        crig_advance(w, 3000);
        cut = crig_was_cut(w, zk);
        assert_int_equal(t.n, 1);
        assert_true(t.e == REEVE_OK || (t.e == REEVE_CONNECTION_LOSS && cut));
        assert_int_equal(length(q), 0);
        assert_int_equal(reeve_queue_finish(&t.item), REEVE_OK);
        reeve_queue_free(&q);
        crig_free(&w);
    }
}

// The queue is freed after each message; then another consumer gets what was there.
static void frees_at_any_time(void **state)
{
    (void)state;
    for (size_t steps = 0; steps < 60; steps++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL), *b = crig_client(w, NULL);
        struct told t = {0};
        struct reeve_queue *q = queue(zk, REEVE_QUEUE_LOCKING, &t);
        struct reeve_queue *other = queue(b, REEVE_QUEUE_LOCKING, &t);
        put(other, "x", 1);
        assert_int_equal(reeve_queue_take_async(q, -1, on_take, &t), REEVE_OK);
        for (size_t i = 0; i < steps; i++) {
            (void)crig_step(w);
        }
        reeve_queue_free(&q);
        crig_advance(w, 500);
        assert_int_equal(t.n, 1);
        if (t.e) {
            assert_int_equal(t.e, REEVE_CANCELLED);
            take_and_finish(other, "x");
        } else {
            assert_int_equal(reeve_queue_finish(&t.item), REEVE_OK);
        }
        assert_int_equal(length(other), 0);
        reeve_queue_free(&other);
        crig_free(&w);
    }
}

// A first put, freed after each message of it: it is in the queue, or cancelled.
static void a_put_is_freed_at_any_time(void **state)
{
    (void)state;
    for (int layout = REEVE_QUEUE_LOCKING; layout <= REEVE_QUEUE_SIMPLE; layout++) {
        for (size_t steps = 0; steps < 30; steps++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL), *b = crig_client(w, NULL);
            struct told t = {0};
            struct reeve_queue *q = queue(zk, (enum reeve_queue_layout)layout, &t);
            struct reeve_queue *other = queue(b, (enum reeve_queue_layout)layout, &t);
            assert_int_equal(reeve_queue_put_async(q, "x", 1, 1, on_done, &t), REEVE_OK);
            for (size_t i = 0; i < steps; i++) {
                (void)crig_step(w);
            }
            reeve_queue_free(&q);
            crig_advance(w, 500);
            assert_int_equal(t.n, 1);
            assert_int_equal(t.e, length(other) ? REEVE_OK : REEVE_CANCELLED);
            reeve_queue_free(&other);
            crig_free(&w);
        }
    }
}

static void fails_without_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t at = 1; failed; at++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL), *b = crig_client(w, NULL);
        struct told t = {0}, puts = {0}, done = {0};
        struct reeve_queue *q = NULL, *other = queue(b, REEVE_QUEUE_LOCKING, &t);
        crig_run(w);
        crig_fail_alloc(w, at, 1);
        enum reeve_error e = reeve_queue_new(&q, zk, "/q", NULL);
        enum reeve_error pe = e ? e : reeve_queue_put_async(q, "x", 1, 1, on_done, &puts);
        enum reeve_error te = e ? e : reeve_queue_take_async(q, 5000, on_take, &t);
        crig_advance(w, 8000);
        if (t.item && reeve_queue_finish_async(t.item, on_done, &done)) {
            assert_int_equal(reeve_queue_finish_async(t.item, on_done, &done), REEVE_OK);
        }
        crig_advance(w, 3000);
        failed = crig_alloc_failed(w);
        crig_fail_alloc(w, 0, 0);
        assert_int_equal(puts.n, pe == REEVE_OK);
        assert_int_equal(t.n, te == REEVE_OK);
        assert_true(!puts.e || puts.e == REEVE_NO_MEMORY);
        assert_true(!t.e || t.e == REEVE_NO_MEMORY || t.e == REEVE_OPERATION_TIMEOUT);
        bool there = puts.n && !puts.e && !(t.item && !done.e);
        assert_int_equal(length(other), there);
        reeve_queue_free(&q);
        crig_advance(w, 1000);
        if (there) {
            take_and_finish(other, "x");
        }
        reeve_queue_free(&other);
        crig_free(&w);
    }
}

// An item that comes at any moment of a consumer's looking is seen.
static void sees_what_comes_while_it_looks(void **state)
{
    (void)state;
    for (size_t steps = 0; steps < 50; steps++) {
        struct crig *w = crig_new();
        struct told t = {0}, puts = {0};
        struct reeve_queue *p = queue(crig_client(w, NULL), REEVE_QUEUE_LOCKING, NULL);
        struct reeve_queue *q = queue(crig_client(w, NULL), REEVE_QUEUE_LOCKING, &t);
        struct reeve_queue_item *held;
        put(p, "held", 1);
        assert_int_equal(reeve_queue_take(p, 0, &held), REEVE_OK);
        assert_int_equal(reeve_queue_take_async(q, -1, on_take, &t), REEVE_OK);
        for (size_t i = 0; i < steps; i++) {
            (void)crig_step(w);
        }
        assert_int_equal(reeve_queue_put_async(p, "x", 1, 1, on_done, &puts), REEVE_OK);
        crig_run(w);
        assert_int_equal(t.n, 1);
        assert_memory_equal(reeve_queue_item_data(t.item), "x", 1);
        assert_int_equal(reeve_queue_finish(&t.item), REEVE_OK);
        assert_int_equal(reeve_queue_finish(&held), REEVE_OK);
        reeve_queue_free(&p);
        reeve_queue_free(&q);
        crig_free(&w);
    }
}

// Those who wait go on in the next session.
static void waits_through_a_lost_session(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk[2] = {crig_client(w, NULL), crig_client(w, NULL)};
    struct told t[2] = {{0}};
    struct reeve_queue *q[2];
    for (size_t i = 0; i < 2; i++) {
        q[i] = queue(zk[i], REEVE_QUEUE_LOCKING, &t[i]);
        assert_int_equal(reeve_queue_take_async(q[i], -1, on_take, &t[i]), REEVE_OK);
        crig_run(w);
    }
    crig_expire(w, zk[0]);
    crig_cut(w, zk[0]);
    crig_advance(w, 5000);
    crig_expire(w, zk[1]);
    crig_cut(w, zk[1]);
    crig_advance(w, 5000);
    assert_int_equal(t[0].n + t[1].n, 0);
    struct reeve_queue *p = queue(crig_client(w, NULL), REEVE_QUEUE_LOCKING, NULL);
    put(p, "x", 1);
    put(p, "y", 1);
    crig_advance(w, 1000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(t[i].n, 1);
        assert_int_equal(reeve_queue_finish(&t[i].item), REEVE_OK);
        reeve_queue_free(&q[i]);
    }
    reeve_queue_free(&p);
    crig_free(&w);
}

// A finish that could not be begun has told so; its callback, perhaps on a stack that is gone, must
// not be called at the client's end.
static void a_finish_that_fails_is_told_once(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct told done = {0};
    struct reeve_queue *q = queue(zk, REEVE_QUEUE_LOCKING, &done);
    struct reeve_queue_item *item;
    put(q, "x", 1);
    assert_int_equal(reeve_queue_take(q, 0, &item), REEVE_OK);
    crig_fail_alloc(w, 1, 1);
    assert_int_equal(reeve_queue_finish_async(item, on_done, &done), REEVE_NO_MEMORY);
    crig_fail_alloc(w, 1, 1);
    assert_int_equal(reeve_queue_finish(&item), REEVE_NO_MEMORY);
    assert_non_null(item); // still ours
    reeve_queue_free(&q);
    crig_close(w, &zk);
    assert_int_equal(done.n, 0);
    crig_free(&w);
}

// The session, or the client, ends while a finish is on its way to the loop, or waits for a server
// whose disk is full: it is told once, and the item is nobody's to be told lost.
static void a_finish_ends_with_the_client(void **state)
{
    (void)state;
    for (int waits = 0; waits < 2; waits++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL);
        struct told t = {0}, done = {0};
        struct reeve_queue *q = queue(zk, REEVE_QUEUE_LOCKING, &t);
        put(q, "x", 1);
        assert_int_equal(reeve_queue_take(q, 0, &t.item), REEVE_OK);
        if (waits) {
            crig_server(w)->refuse = true;
            assert_int_equal(reeve_queue_finish_async(t.item, on_done, &done), REEVE_OK);
            crig_advance(w, 1030);
        } else {
            crig_refuse(w, zk, true);
            crig_cut(w, zk);
            crig_advance(w, 100);
            assert_int_equal(reeve_queue_finish_async(t.item, on_done, &done), REEVE_OK);
        }
        assert_int_equal(done.n, 0);
        reeve_queue_free(&q);
        crig_close(w, &zk);
        assert_int_equal(done.n, 1);
        assert_int_equal(done.e, REEVE_CLOSED);
        crig_free(&w);
    }
}

// The answer is lost, and before the client is back somebody else has taken what was given back
// (perhaps it does so itself): nobody takes it away again.
static void a_give_back_is_not_made_twice(void **state)
{
    (void)state;
    for (int itself = 0; itself < 2; itself++) {
        struct crig *w = crig_new();
        struct reeve *a = crig_client(w, NULL), *b = crig_client(w, NULL),
                     *c = crig_client(w, NULL);
        struct told t = {0}, other = {0}, done = {0};
        struct reeve_queue *qa = queue(a, REEVE_QUEUE_LOCKING, &t);
        struct reeve_queue *qb = queue(b, REEVE_QUEUE_LOCKING, &other);
        struct reeve_queue *qc = queue(c, REEVE_QUEUE_LOCKING, &t);
        struct reeve_queue_item *none;
        put(qa, "x", 1);
        assert_int_equal(reeve_queue_take(qa, 0, &t.item), REEVE_OK);
        crig_cut_after(w, a, CRIG_TO_CLIENT, 0);
        assert_int_equal(reeve_queue_give_back_async(t.item, on_done, &done), REEVE_OK);
        while (!crig_was_cut(w, a) && crig_step(w)) {
        }
        if (itself) {
            assert_int_equal(reeve_queue_take_async(qa, 5000, on_take, &other), REEVE_OK);
        } else {
            crig_refuse(w, a, true);
            assert_int_equal(reeve_queue_take(qb, 0, &other.item), REEVE_OK);
            crig_refuse(w, a, false);
        }
        crig_advance(w, 3000);
        assert_int_equal(done.n, 1);
        assert_int_equal(done.e, REEVE_OK);
        assert_non_null(other.item);
        assert_int_equal(reeve_queue_take(qc, 0, &none), REEVE_OPERATION_TIMEOUT);
        assert_int_equal(reeve_queue_finish(&other.item), REEVE_OK);
        assert_int_equal(length(qc), 0);
        reeve_queue_free(&qa);
        reeve_queue_free(&qb);
        reeve_queue_free(&qc);
        crig_free(&w);
    }
}

// Without its lock it is not finished, and nobody says so; whatever is cut.
static void a_finish_without_the_lock_is_none(void **state)
{
    (void)state;
    for (size_t at = 0; at < 3; at++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL), *b = crig_client(w, NULL);
        struct told t = {0};
        struct reeve_queue *q = queue(zk, REEVE_QUEUE_LOCKING, &t);
        char lock[64];
        put(q, "x", 1);
        assert_int_equal(reeve_queue_take(q, 0, &t.item), REEVE_OK);
        snprintf(lock, sizeof(lock), "/q/taken/%s", reeve_queue_item_name(t.item));
        assert_int_equal(reeve_delete(b, lock, -1, NULL), REEVE_OK);
        crig_cut_after(w, zk, CRIG_TO_CLIENT, at);
        assert_int_equal(reeve_queue_finish(&t.item), REEVE_NO_NODE);
        assert_int_equal(length(q), 1);
        take_and_finish(q, "x");
        reeve_queue_free(&q);
        crig_free(&w);
    }
}

static void an_item_that_is_finished_is_not_told_lost(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct told t = {0}, done = {0};
    struct reeve_queue *q = queue(zk, REEVE_QUEUE_LOCKING, &t);
    put(q, "x", 1);
    assert_int_equal(reeve_queue_take(q, 0, &t.item), REEVE_OK);
    crig_refuse(w, zk, true);
    crig_cut(w, zk);
    crig_stop(w, zk, true);
    crig_advance(w, 20000);
    assert_int_equal(reeve_queue_finish_async(t.item, on_done, &done), REEVE_OK);
    crig_stop(w, zk, false);
    crig_refuse(w, zk, false);
    crig_advance(w, 5000);
    assert_int_equal(t.lost, 0);
    assert_int_equal(done.n, 1);
    assert_int_equal(done.e, REEVE_SESSION_EXPIRED);
    reeve_queue_free(&q);
    crig_free(&w);
}

// Who comes first makes them; foreign programs make them once, and take a lock that cannot be made
// for somebody else's.
static void what_others_rely_on_stays(void **state)
{
    (void)state;
    for (int taking_first = 0; taking_first < 3; taking_first++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
        struct reeve_queue *q = queue(zk, REEVE_QUEUE_CURATOR, NULL);
        struct told t = {0};
        if (taking_first == 2) { // the queue is there, but not the locks
            assert_int_equal(reeve_create(other, "/q", "", 0, 0, NULL), REEVE_OK);
        }
        if (taking_first) {
            assert_int_equal(reeve_queue_take_async(q, -1, on_take, &t), REEVE_OK);
            crig_run(w);
            assert_int_equal(crig_kind(w, "/locks/waiting"), NODE_CONTAINER);
        }
        put(q, "x", 0);
        crig_run(w);
        assert_int_equal(crig_kind(w, "/q"), NODE_PLAIN);
        assert_int_equal(crig_kind(w, "/locks"), NODE_PLAIN);
        assert_int_equal(crig_kind(w, "/locks/producers"), NODE_CONTAINER);
        if (taking_first) {
            assert_int_equal(t.e, REEVE_OK);
            assert_int_equal(reeve_queue_finish(&t.item), REEVE_OK);
        } else {
            take_and_finish(q, "x");
        }
        // What is ours goes with its use, and comes again.
        crig_expire(w, zk);
        crig_advance(w, 20000);
        (void)reeve_delete(other, "/locks/waiting", -1, NULL);
        assert_int_equal(reeve_delete(other, "/locks/producers", -1, NULL), REEVE_OK);
        put(q, "y", 0);
        take_and_finish(q, "y");
        reeve_queue_free(&q);
        crig_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_in_order),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(items_come_back),
        cmocka_unit_test(waits_in_line),
        cmocka_unit_test(survives_cuts),
        cmocka_unit_test(waits_for_a_full_disk),
        cmocka_unit_test(the_line_may_be_disturbed),
        cmocka_unit_test(a_late_put_is_not_made_twice),
        cmocka_unit_test(without_locks_nothing_is_given_twice),
        cmocka_unit_test(frees_at_any_time),
        cmocka_unit_test(a_put_is_freed_at_any_time),
        cmocka_unit_test(fails_without_memory),
        cmocka_unit_test(a_finish_that_fails_is_told_once),
        cmocka_unit_test(a_finish_ends_with_the_client),
        cmocka_unit_test(a_give_back_is_not_made_twice),
        cmocka_unit_test(a_finish_without_the_lock_is_none),
        cmocka_unit_test(an_item_that_is_finished_is_not_told_lost),
        cmocka_unit_test(sees_what_comes_while_it_looks),
        cmocka_unit_test(what_others_rely_on_stays),
        cmocka_unit_test(waits_through_a_lost_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
