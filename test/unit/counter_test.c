// SPDX-License-Identifier: Apache-2.0
//
// Counters and shared values: every add counted once, whatever is cut, lost or has no memory; the
// layouts' bytes; a value followed and replaced.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reeve/counter.h"
#include "test/support/client_rig.h"
#include "tree/node.h"

struct told {
    size_t n;
    struct reeve_counter_result r; // of the last
    int64_t sum;                   // of what was added, by calls that say OK
    bool done;
};

static void on_counter(void *ctx, const struct reeve_counter_result *r)
{
    struct told *t = ctx;
    t->n++;
    t->r = *r;
    t->sum += r->error ? 0 : r->after - r->before;
    t->done = true;
}

static struct reeve_counter *counter(struct reeve *zk, enum reeve_counter_layout layout)
{
    struct reeve_counter_options o = {.layout = layout};
    struct reeve_counter *c;
    assert_int_equal(reeve_counter_new(&c, zk, "/a/n", &o), REEVE_OK);
    return c;
}

static void expect_data(struct reeve *zk, const char *path, const void *data, size_t len)
{
    struct reeve_result r;
    assert_int_equal(reeve_get(zk, path, NULL, &r), REEVE_OK);
    assert_int_equal(r.data_len, len);
    assert_memory_equal(r.data, data, len);
    reeve_result_fini(&r);
}

static void counts(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_counter *c = counter(zk, REEVE_COUNTER_LONG);
    int64_t n = 7;
    assert_int_equal(reeve_counter_get(c, &n), REEVE_OK);
    assert_int_equal(n, 0);
    assert_int_equal(reeve_counter_add(c, 258, &n), REEVE_OK);
    assert_int_equal(n, 258);
    expect_data(zk, "/a/n", "\0\0\0\0\0\0\1\2", 8);
    assert_int_equal(reeve_counter_swap(c, 1, 5, &n), REEVE_BAD_VERSION);
    assert_int_equal(n, 258);
    assert_int_equal(reeve_counter_swap(c, 258, -2, NULL), REEVE_OK);
    expect_data(zk, "/a/n", "\377\377\377\377\377\377\377\376", 8);
    assert_int_equal(reeve_counter_set(c, INT64_MAX), REEVE_OK);
    assert_int_equal(reeve_counter_add(c, 1, &n), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_counter_get(c, &n), REEVE_OK);
    assert_true(n == INT64_MAX);
    reeve_counter_free(&c);
    crig_free(&w);
}

static void writes_the_layouts(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_counter *c = counter(zk, REEVE_COUNTER_INT);
    assert_int_equal(reeve_counter_add(c, -2, NULL), REEVE_OK);
    expect_data(zk, "/a/n", "\377\377\377\376", 4);
    assert_int_equal(reeve_counter_set(c, INT64_C(1) << 31), REEVE_BAD_ARGUMENTS);
    reeve_counter_free(&c);

    c = counter(zk, REEVE_COUNTER_TEXT);
    int64_t n;
    assert_int_equal(reeve_counter_get(c, &n), REEVE_MALFORMED);
    assert_int_equal(reeve_counter_set(c, INT64_MIN), REEVE_OK);
    expect_data(zk, "/a/n", "-9223372036854775808", 20);
    assert_int_equal(reeve_counter_add(c, 1, &n), REEVE_OK);
    assert_true(n == INT64_MIN + 1);
    const char *bad[] = {"-", "1x", "9223372036854775808", " 1", "1.5"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(reeve_set(zk, "/a/n", bad[i], strlen(bad[i]), -1, NULL), REEVE_OK);
        assert_int_equal(reeve_counter_get(c, &n), REEVE_MALFORMED);
    }
    reeve_counter_free(&c);
    crig_free(&w);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_counter *c;
    struct reeve_counter_options o = {.layout = REEVE_COUNTER_INT, .initial = INT64_C(1) << 40};
    assert_int_equal(reeve_counter_new(&c, zk, "/", NULL), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_counter_new(&c, zk, "n", NULL), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_counter_new(&c, zk, "/n", &o), REEVE_BAD_ARGUMENTS);
    crig_free(&w);
}

// Three clients at the same time: nothing is lost, and no two get the same number.
static void contend(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve_counter *c[3];
    struct told t[3] = {{0}};
    for (size_t i = 0; i < 3; i++) {
        c[i] = counter(crig_client(w, NULL), REEVE_COUNTER_LONG);
        for (size_t k = 0; k < 10; k++) {
            assert_int_equal(reeve_counter_add_async(c[i], 1, on_counter, &t[i]), REEVE_OK);
        }
    }
    crig_advance(w, 9000);
    int64_t n;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(t[i].n, 10);
        assert_int_equal(t[i].sum, 10);
    }
    assert_int_equal(reeve_counter_get(c[0], &n), REEVE_OK);
    assert_int_equal(n, 30);
    for (size_t i = 0; i < 3; i++) {
        reeve_counter_free(&c[i]);
    }
    crig_free(&w);
}

// The connection ends after each message of the conversation, either way: the sum is what the calls
// said.
static void survives_cuts(void **state)
{
    (void)state;
    for (size_t way = 0; way < 2; way++) {
        bool cut = true;
        for (size_t at = 1; cut; at++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
            struct reeve_counter *c = counter(zk, REEVE_COUNTER_LONG);
            struct told t = {0};
            crig_cut_after(w, zk, way ? CRIG_TO_CLIENT : CRIG_TO_SERVER, at);
            for (size_t k = 0; k < 3; k++) {
                assert_int_equal(reeve_counter_add_async(c, 1, on_counter, &t), REEVE_OK);
            }
            crig_advance(w, 5000);
            cut = crig_was_cut(w, zk) && at < 60;
            assert_int_equal(t.n, 3);
            assert_int_equal(t.sum, 3);
            expect_data(other, "/a/n", "\0\0\0\0\0\0\0\3", 8);
            reeve_counter_free(&c);
            crig_free(&w);
        }
    }
}

// A lost session may leave one add unknown, and says so; the others are what was said.
static void says_what_a_lost_session_left_open(void **state)
{
    (void)state;
    for (size_t at = 1; at < 14; at++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
        struct reeve_counter *c = counter(zk, REEVE_COUNTER_LONG), *o;
        struct told t = {0};
        crig_cut_after(w, zk, CRIG_TO_CLIENT, at);
        assert_int_equal(reeve_counter_add_async(c, 1, on_counter, &t), REEVE_OK);
        crig_run(w);
        crig_refuse(w, zk, true);
        crig_advance(w, 30000);
        crig_refuse(w, zk, false);
        crig_advance(w, 30000);
        assert_int_equal(t.n, 1);
        o = counter(other, REEVE_COUNTER_LONG);
        int64_t n;
        assert_int_equal(reeve_counter_get(o, &n), REEVE_OK);
        if (t.r.error) {
            assert_true(n == 0 || (n == 1 && t.r.maybe_done));
        } else {
            assert_int_equal(n, 1);
        }
        assert_int_equal(reeve_counter_add(c, 1, NULL), REEVE_OK); // it goes on
        reeve_counter_free(&c);
        reeve_counter_free(&o);
        crig_free(&w);
    }
}

// Somebody deletes the node that would tell what became of an add whose answer was lost.
static void says_when_it_cannot_be_found_out(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
    struct reeve_counter *c = counter(zk, REEVE_COUNTER_LONG);
    struct told t = {0};
    struct reeve_result r;
    int64_t n;
    assert_int_equal(reeve_counter_add(c, 1, NULL), REEVE_OK);
    crig_refuse(w, zk, true);
    crig_cut_after(w, zk, CRIG_TO_CLIENT, 1); // the read's answer comes, the write's does not
    assert_int_equal(reeve_counter_add_async(c, 1, on_counter, &t), REEVE_OK);
    crig_run(w);
    assert_true(crig_was_cut(w, zk));
    assert_int_equal(reeve_children(other, "/a/n", NULL, &r), REEVE_OK);
    assert_int_equal(r.children_n, 1);
    char path[128];
    snprintf(path, sizeof(path), "/a/n/%s", r.children[0]);
    reeve_result_fini(&r);
    assert_int_equal(reeve_delete(other, path, -1, NULL), REEVE_OK);
    crig_refuse(w, zk, false);
    crig_advance(w, 5000);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.r.error, REEVE_CONNECTION_LOSS);
    assert_true(t.r.maybe_done);
    assert_int_equal(reeve_counter_get(c, &n), REEVE_OK);
    assert_int_equal(n, 2); // and not 3
    assert_int_equal(reeve_counter_add(c, 1, &n), REEVE_OK);
    assert_int_equal(n, 3);
    reeve_counter_free(&c);
    crig_free(&w);
}

static void fails_without_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t at = 1; failed; at++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL);
        crig_run(w);
        crig_fail_alloc(w, at, 1);
        struct reeve_counter *c = NULL;
        struct told t = {0};
        enum reeve_error e = reeve_counter_new(&c, zk, "/a/n", NULL);
        e = e ? e : reeve_counter_add_async(c, 1, on_counter, &t);
        crig_advance(w, 3000);
        failed = crig_alloc_failed(w);
        crig_fail_alloc(w, 0, 0);
        assert_true(e == REEVE_OK || e == REEVE_NO_MEMORY);
        assert_int_equal(t.n, e == REEVE_OK);
        assert_true(t.r.error == REEVE_OK || t.r.error == REEVE_NO_MEMORY);
        if (c) {
            int64_t n;
            assert_int_equal(reeve_counter_get(c, &n), REEVE_OK);
            assert_int_equal(n, t.sum);
        }
        reeve_counter_free(&c);
        crig_free(&w);
    }
}

// Freed after each message: every call is told exactly once, and nothing is left.
static void frees_at_any_time(void **state)
{
    (void)state;
    for (size_t steps = 0; steps < 40; steps++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL);
        struct reeve_counter *c = counter(zk, REEVE_COUNTER_LONG);
        struct told t = {0};
        for (size_t k = 0; k < 3; k++) {
            assert_int_equal(reeve_counter_add_async(c, 1, on_counter, &t), REEVE_OK);
        }
        for (size_t i = 0; i < steps; i++) {
            (void)crig_step(w);
        }
        reeve_counter_free(&c);
        crig_advance(w, 3000);
        assert_int_equal(t.n, 3);
        crig_free(&w);
    }
}

// Freed while it is unknown what became of the add, and the connection lost again while that is
// found out: what is told is true all the same.
static void finds_out_what_became_of_it_when_freed(void **state)
{
    (void)state;
    for (size_t at = 0; at < 3; at++) {
        for (size_t more = 0; more < 8; more++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
            struct reeve_counter *c = counter(zk, REEVE_COUNTER_LONG);
            struct told t = {0};
            int64_t n;
            assert_int_equal(reeve_counter_add(c, 1, NULL), REEVE_OK);
            crig_cut_after(w, zk, CRIG_TO_CLIENT, at);
            assert_int_equal(reeve_counter_add_async(c, 1, on_counter, &t), REEVE_OK);
            while (!crig_was_cut(w, zk) && crig_step(w)) {
            }
            reeve_counter_free(&c);
            for (size_t cuts = 0; cuts < 6; cuts++) { // a read is sent three times
                crig_cut_after(w, zk, CRIG_TO_CLIENT, more);
                for (size_t ms = 0; ms < 500 && !crig_was_cut(w, zk);) {
                    if (!crig_step(w)) {
                        crig_advance(w, 1);
                        ms++;
                    }
                }
            }
            crig_advance(w, 5000);
            assert_int_equal(t.n, 1);
            c = counter(other, REEVE_COUNTER_LONG);
            assert_int_equal(reeve_counter_get(c, &n), REEVE_OK);
            assert_int_equal(t.r.error, n == 2 ? REEVE_OK : REEVE_CANCELLED);
            reeve_counter_free(&c);
            crig_free(&w);
        }
    }
}

// ---- shared value -------------------------------------------------------------------------------

struct heard {
    size_t n;
    char data[32];
    int32_t version;
    enum reeve_error e;
};

static void on_change(void *ctx, const void *data, size_t len, int32_t version)
{
    struct heard *h = ctx;
    h->n++;
    h->version = version;
    snprintf(h->data, sizeof(h->data), "%.*s", (int)len, data ? (const char *)data : "");
}

static void a_value_is_shared(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve_value *v[2];
    struct heard h[2] = {{0}};
    for (size_t i = 0; i < 2; i++) {
        struct reeve_value_options o = {
            .seed = "seed", .seed_len = 4, .changed = on_change, .ctx = &h[i]};
        assert_int_equal(reeve_value_new(&v[i], crig_client(w, NULL), "/deep/v", &o), REEVE_OK);
    }
    crig_advance(w, 100);
    assert_string_equal(h[1].data, "seed");
    assert_int_equal(reeve_value_set(v[0], "one", 3, 0), REEVE_OK);
    assert_int_equal(reeve_value_set(v[1], "two", 3, 0), REEVE_BAD_VERSION);
    crig_run(w);
    for (size_t i = 0; i < 2; i++) {
        struct reeve_result r;
        assert_string_equal(h[i].data, "one");
        assert_int_equal(h[i].version, 1);
        assert_int_equal(reeve_value_get(v[i], &r), REEVE_OK);
        assert_string_equal(r.data, "one");
        assert_int_equal(r.stat.version, 1);
        reeve_result_fini(&r);
        reeve_value_free(&v[i]);
    }
    crig_free(&w);
}

static void on_set(void *ctx, enum reeve_error e, int32_t version)
{
    struct heard *h = ctx;
    h->n++;
    h->e = e;
    h->version = version;
}

static void a_value_is_set_once_whatever_is_cut(void **state)
{
    (void)state;
    bool cut = true;
    for (size_t at = 1; cut; at++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL);
        struct reeve_value *v;
        struct heard h = {0};
        assert_int_equal(reeve_value_new(&v, zk, "/v", NULL), REEVE_OK);
        crig_advance(w, 100);
        crig_cut_after(w, zk, CRIG_TO_CLIENT, at);
        assert_int_equal(reeve_value_set_async(v, "x", 1, 0, on_set, &h), REEVE_OK);
        assert_int_equal(reeve_value_set_async(v, "y", 1, 1, on_set, &h), REEVE_OK);
        crig_advance(w, 3000);
        cut = crig_was_cut(w, zk);
        assert_int_equal(h.n, 2);
        assert_int_equal(h.e, REEVE_OK);
        assert_int_equal(h.version, 2);
        reeve_value_free(&v);
        crig_free(&w);
    }
}

// A set that fails, with one behind it that does not: what each of them is told is true, also when
// both answers are lost.
static void a_failed_set_is_not_taken_for_done(void **state)
{
    (void)state;
    bool cut = true;
    for (size_t at = 1; cut; at++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL);
        struct reeve_value *v;
        struct heard first = {0}, bad = {0}, good = {0};
        assert_int_equal(reeve_value_new(&v, zk, "/v", NULL), REEVE_OK);
        crig_advance(w, 100);
        crig_cut_after(w, zk, CRIG_TO_CLIENT, at);
        assert_int_equal(reeve_value_set_async(v, "x", 1, 0, on_set, &first), REEVE_OK);
        assert_int_equal(reeve_value_set_async(v, "bad", 3, 7, on_set, &bad), REEVE_OK);
        assert_int_equal(reeve_value_set_async(v, "y", 1, -1, on_set, &good), REEVE_OK);
        crig_advance(w, 3000);
        cut = crig_was_cut(w, zk);
        assert_int_equal(first.n + bad.n + good.n, 3);
        assert_int_equal(first.e, REEVE_OK);
        assert_int_equal(bad.e, REEVE_BAD_VERSION);
        assert_int_equal(good.e, REEVE_OK);
        struct reeve_result r;
        assert_int_equal(reeve_get(zk, "/v", NULL, &r), REEVE_OK);
        assert_string_equal(r.data, "y");
        assert_int_equal(r.stat.version, 2);
        reeve_result_fini(&r);
        reeve_value_free(&v);
        crig_free(&w);
    }
}

// It follows again when there is memory again, or a right to read.
static void a_value_follows_again(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t at = 1; failed; at++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
        struct reeve_value *v;
        struct heard h = {0};
        struct reeve_value_options o = {.changed = on_change, .ctx = &h};
        assert_int_equal(reeve_value_new(&v, zk, "/v", &o), REEVE_OK);
        crig_advance(w, 100);
        assert_int_equal(reeve_set_async(other, "/v", "new", 3, -1, NULL, NULL), REEVE_OK);
        crig_fail_alloc(w, at, 2);
        crig_run(w);
        failed = crig_alloc_failed(w);
        crig_fail_alloc(w, 0, 0);
        crig_advance(w, 20000);
        (void)reeve_set(other, "/v", "new", 3, -1, NULL);
        crig_advance(w, 5000);
        assert_string_equal(h.data, "new");
        reeve_value_free(&v);
        crig_free(&w);
    }
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
    struct reeve_value *v;
    struct heard h = {0};
    static const struct reeve_acl none[] = {{REEVE_PERM_ADMIN, "world", "anyone"}};
    static const struct reeve_acl all[] = {{REEVE_PERM_ALL, "world", "anyone"}};
    struct reeve_value_options o = {.seed = "old", .seed_len = 3, .changed = on_change, .ctx = &h};
    assert_int_equal(reeve_create_acl(other, "/v", "hidden", 6, 0, none, 1, NULL), REEVE_OK);
    assert_int_equal(reeve_value_new(&v, zk, "/v", &o), REEVE_OK);
    crig_advance(w, 3000);
    assert_int_equal(h.n, 0);
    assert_int_equal(reeve_set_acl(other, "/v", all, 1, -1, NULL), REEVE_OK);
    crig_advance(w, 3000);
    assert_string_equal(h.data, "hidden");
    reeve_value_free(&v);
    crig_free(&w);
}

// Its node must be one that stays when the last ledger has gone from it.
static void a_value_that_was_deleted_is_made_again(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
    struct reeve_value *v;
    struct heard h[3] = {{0}};
    struct reeve_value_options o = {.seed = "seed", .seed_len = 4};
    assert_int_equal(reeve_value_new(&v, zk, "/deep/v", &o), REEVE_OK);
    crig_advance(w, 100);
    assert_int_equal(reeve_delete(other, "/deep/v", -1, NULL), REEVE_OK);
    assert_int_equal(reeve_value_set(v, "bad", 3, 7), REEVE_BAD_VERSION);
    crig_run(w);
    assert_int_equal(crig_kind(w, "/deep/v"), NODE_PLAIN);
    expect_data(other, "/deep/v", "seed", 4);
    reeve_value_free(&v);
    crig_run(w);
    assert_int_equal(reeve_value_new(&v, zk, "/deep/v", &o), REEVE_OK);
    crig_advance(w, 100);
    assert_int_equal(reeve_delete(other, "/deep/v", -1, NULL), REEVE_OK);
    assert_int_equal(reeve_value_set_async(v, "one", 3, 0, on_set, &h[0]), REEVE_OK);
    assert_int_equal(reeve_value_set_async(v, "two", 3, 1, on_set, &h[1]), REEVE_OK);
    crig_run(w);
    assert_int_equal(reeve_value_set_async(v, "three", 5, 2, on_set, &h[2]), REEVE_OK);
    crig_run(w);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(h[i].n, 1);
        assert_int_equal(h[i].e, REEVE_OK);
        assert_int_equal(h[i].version, (int)i + 1);
    }
    assert_int_equal(crig_kind(w, "/deep/v"), NODE_PLAIN);
    reeve_value_free(&v);
    crig_run(w);
    expect_data(other, "/deep/v", "three", 5);
    // A free while one waits for the node.
    assert_int_equal(reeve_value_new(&v, zk, "/deep/u", &o), REEVE_OK);
    crig_advance(w, 100);
    assert_int_equal(reeve_delete(other, "/deep/u", -1, NULL), REEVE_OK);
    h[0].n = 0;
    assert_int_equal(reeve_value_set_async(v, "one", 3, 0, on_set, &h[0]), REEVE_OK);
    for (int i = 0; i < 3; i++) {
        assert_true(crig_step(w));
    }
    reeve_value_free(&v);
    crig_run(w);
    assert_int_equal(h[0].n, 1);
    crig_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),
        cmocka_unit_test(writes_the_layouts),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(contend),
        cmocka_unit_test(survives_cuts),
        cmocka_unit_test(says_what_a_lost_session_left_open),
        cmocka_unit_test(says_when_it_cannot_be_found_out),
        cmocka_unit_test(fails_without_memory),
        cmocka_unit_test(frees_at_any_time),
        cmocka_unit_test(finds_out_what_became_of_it_when_freed),
        cmocka_unit_test(a_value_is_shared),
        cmocka_unit_test(a_value_is_set_once_whatever_is_cut),
        cmocka_unit_test(a_value_that_was_deleted_is_made_again),
        cmocka_unit_test(a_value_follows_again),
        cmocka_unit_test(a_failed_set_is_not_taken_for_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
