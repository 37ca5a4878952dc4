// SPDX-License-Identifier: Apache-2.0
//
// client/multi: built part by part, committed to a real server core; what was not built is told by
// the commit; NULL is taken by everything.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/client_rig.h"

static void on_done(void *ctx, const struct reeve_result *r)
{
    *(enum reeve_error *)ctx = r->error;
}

static void writes_are_done_together_or_not_at_all(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_multi *m = reeve_multi_new(zk);
    struct reeve_result r;
    reeve_multi_create(m, "/a", "1", 1, REEVE_PERSISTENT);
    reeve_multi_create(m, "/a/s-", NULL, 0, REEVE_SEQUENTIAL);
    reeve_multi_set(m, "/a", "22", 2, 0);
    reeve_multi_check(m, "/a", 1);
    assert_int_equal(reeve_multi_commit(m, &r), REEVE_OK);
    assert_int_equal(r.op, REEVE_OP_MULTI);
    assert_int_equal(r.parts_n, 4);
    assert_string_equal(r.parts[0].created, "/a");
    assert_string_equal(r.parts[1].created, "/a/s-0000000000");
    assert_string_equal(r.parts[1].path, "/a/s-");
    assert_int_equal(r.parts[2].stat.version, 1);
    assert_int_equal(r.parts[2].stat.data_length, 2);
    reeve_result_fini(&r);
    reeve_multi_free(&m);
    assert_null(m);

    m = reeve_multi_new(zk);
    reeve_multi_delete(m, "/a/s-0000000000", REEVE_ANY_VERSION);
    reeve_multi_delete(m, "/a", 7);
    reeve_multi_create(m, "/b", NULL, 0, 0);
    enum reeve_error heard = REEVE_OK;
    assert_int_equal(reeve_multi_commit_async(m, on_done, &heard), REEVE_OK);
    assert_int_equal(reeve_multi_commit(m, &r), REEVE_BAD_VERSION);
    assert_int_equal(heard, REEVE_BAD_VERSION);
    assert_int_equal(r.parts[0].error, REEVE_OK);
    assert_int_equal(r.parts[1].error, REEVE_BAD_VERSION);
    assert_int_equal(r.parts[2].error, REEVE_RUNTIME_INCONSISTENCY);
    reeve_result_fini(&r);
    reeve_multi_free(&m);
    assert_int_equal(reeve_exists(zk, "/a/s-0000000000", NULL, NULL), REEVE_OK);
    crig_free(&w);
}

static void reads_have_an_error_each(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_result r;
    assert_int_equal(reeve_create(zk, "/a", "data", 4, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_create(zk, "/a/k", NULL, 0, 0, NULL), REEVE_OK);
    struct reeve_multi *m = reeve_multi_new(zk);
    reeve_multi_get(m, "/a");
    reeve_multi_get(m, "/none");
    reeve_multi_children(m, "/a");
    assert_int_equal(reeve_multi_commit(m, &r), REEVE_OK);
    assert_int_equal(r.op, REEVE_OP_MULTI_READ);
    assert_string_equal(r.parts[0].data, "data");
    assert_int_equal(r.parts[1].error, REEVE_NO_NODE);
    assert_int_equal(r.parts[2].children_n, 1);
    assert_string_equal(r.parts[2].children[0], "k");
    assert_false(r.parts[2].has_stat);
    reeve_result_fini(&r);
    reeve_multi_set(m, "/a", NULL, 0, REEVE_ANY_VERSION); // reads and writes do not mix
    assert_int_equal(reeve_multi_commit(m, &r), REEVE_BAD_ARGUMENTS);
    reeve_result_fini(&r);
    reeve_multi_free(&m);
    crig_free(&w);
}

static void an_empty_one_is_refused(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_multi *m = reeve_multi_new(zk);
    struct reeve_result r;
    assert_int_equal(reeve_multi_commit(m, &r), REEVE_BAD_ARGUMENTS);
    reeve_result_fini(&r);
    assert_int_equal(reeve_multi_commit_async(m, NULL, NULL), REEVE_BAD_ARGUMENTS);
    reeve_multi_free(&m);
    crig_free(&w);
}

static void null_says_that_there_was_no_memory(void **state)
{
    (void)state;
    struct reeve_multi *m = NULL;
    struct reeve_result r;
    char text[64];
    reeve_multi_delete(m, "/a", 0);
    assert_int_equal(reeve_multi_commit(m, &r), REEVE_NO_MEMORY);
    assert_string_equal(reeve_result_text(&r, text, sizeof(text)),
                        "multi: out of memory (NOMEMORY)");
    reeve_result_fini(&r);
    assert_int_equal(reeve_multi_commit(m, NULL), REEVE_NO_MEMORY);
    assert_int_equal(reeve_multi_commit_async(m, NULL, NULL), REEVE_NO_MEMORY);
    reeve_multi_free(&m);
}

// Twenty parts: the list grows twice. Each allocation fails once, and then the commit says so.
static enum reeve_error build(struct crig *w, struct reeve *zk, size_t fails, bool *failed)
{
    crig_fail_alloc(w, fails, 1);
    struct reeve_multi *m = reeve_multi_new(zk);
    struct reeve_request part = {.op = REEVE_OP_CHECK, .path = "/", .version = REEVE_ANY_VERSION};
    for (int i = 0; i < 20; i++) {
        reeve_multi_add(m, &part);
    }
    *failed = crig_alloc_failed(w);
    crig_fail_alloc(w, 0, 0);
    struct reeve_result r;
    enum reeve_error e = reeve_multi_commit(m, &r);
    assert_int_equal(r.error, e);
    assert_int_equal(r.parts_n, e ? 0 : 20);
    reeve_result_fini(&r);
    reeve_multi_free(&m);
    return e;
}

static void no_memory_is_told_by_the_commit(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    bool failed = true;
    size_t n = 1;
    for (; failed; n++) {
        enum reeve_error e = build(w, zk, n, &failed);
        assert_int_equal(e, failed ? REEVE_NO_MEMORY : REEVE_OK);
    }
    assert_int_equal(n - 2, 4); // the multi, and room for 8, 16 and 32 parts
    crig_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_are_done_together_or_not_at_all),
        cmocka_unit_test(reads_have_an_error_each),
        cmocka_unit_test(an_empty_one_is_refused),
        cmocka_unit_test(null_says_that_there_was_no_memory),
        cmocka_unit_test(no_memory_is_told_by_the_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
