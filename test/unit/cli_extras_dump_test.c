// SPDX-License-Identifier: Apache-2.0
//
// cli/dump: nodes as JSON and back, and files with and without faults. cli/batch: what goes into
// one multi.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/batch.h"
#include "cli/dump.h"

static char why[200];

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const struct {
        const void *data;
        size_t len;
        const char *encoding;
    } cases[] = {{"text", 4, "utf-8"},
                 {"", 0, "utf-8"},
                 {NULL, 0, "null"},
                 {"a\0b", 3, "utf-8"},
                 {"\xff\xfe\x00", 3, "base64"},
                 {"\"\\\n", 3, "utf-8"},
                 {"\xc5\xbc", 2, "utf-8"}};
    struct reeve_acl acl[] = {{REEVE_PERM_READ, "world", "anyone"}, {31, "digest", "u:h="}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reeve_result data = {.data = cases[i].data, .data_len = cases[i].len};
        struct reeve_result list = {.acl = acl, .acl_n = 2};
        data.stat.ephemeral_owner = i == 1 ? 77 : 0;
        json_t *v = dump_encode("/a/b", &data, &list);
        assert_string_equal(json_string_value(json_object_get(v, "encoding")), cases[i].encoding);
        char *text = json_dumps(v, JSON_COMPACT);
        json_decref(v);
        v = json_loads(text, JSON_ALLOW_NUL, NULL);
        struct dump_node n;
        assert_true(dump_decode(v, &n, why, sizeof(why)));
        assert_string_equal(n.path, "/a/b");
        assert_int_equal(n.data == NULL, cases[i].data == NULL);
        assert_int_equal(n.data_len, cases[i].len);
        if (n.data_len > 0) {
            assert_memory_equal(n.data, cases[i].data, n.data_len);
        }
        assert_int_equal(n.acl_n, 2);
        assert_int_equal(n.acl[0].perms, REEVE_PERM_READ);
        assert_string_equal(n.acl[1].id, "u:h=");
        assert_int_equal(n.acl[1].perms, 31);
        assert_int_equal(n.ephemeral, i == 1);
        dump_node_fini(&n);
        json_decref(v);
        free(text);
    }
}

static bool decodes(const char *text, struct dump_node *n)
{
    json_t *v = json_loads(text, JSON_ALLOW_NUL, NULL);
    assert_non_null(v);
    why[0] = '\0';
    bool good = dump_decode(v, n, why, sizeof(why));
    json_decref(v);
    return good;
}

static void snapshots_know_more_than_clients(void **state)
{
    (void)state;
    struct dump_node n;
    assert_true(
        decodes("{\"path\":\"/t\",\"data\":\"00fF\",\"encoding\":\"hex\",\"ttl_ms\":500}", &n));
    assert_int_equal(n.ttl_ms, 500);
    assert_int_equal(n.data_len, 2);
    assert_memory_equal(n.data, "\x00\xff", 2);
    assert_null(n.acl);
    dump_node_fini(&n);
    assert_true(decodes("{\"path\":\"/\",\"container\":true,\"more\":[1]}", &n));
    assert_true(n.container);
    assert_null(n.data);
    dump_node_fini(&n);
}

static void what_is_no_node_is_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"{}", "no path"},
        {"{\"path\":7}", "no path"},
        {"{\"path\":\"a\"}", "no path"},
        {"{\"path\":\"\"}", "no path"},
        {"{\"path\":\"/a\\u0000b\"}", "NUL"},
        {"{\"path\":\"/a\",\"data\":7}", "their encoding"},
        {"{\"path\":\"/a\",\"data\":\"x\",\"encoding\":\"?\"}", "their encoding"},
        {"{\"path\":\"/a\",\"data\":\"abc\",\"encoding\":\"hex\"}", "their encoding"},
        {"{\"path\":\"/a\",\"data\":\"zz\",\"encoding\":\"hex\"}", "their encoding"},
        {"{\"path\":\"/a\",\"data\":\"a\",\"encoding\":\"base64\"}", "their encoding"},
        {"{\"path\":\"/a\",\"data\":\"YQ==\\u0000\",\"encoding\":\"base64\"}", "their encoding"},
        {"{\"path\":\"/a\",\"acl\":{}}", "access control"},
        {"{\"path\":\"/a\",\"acl\":[]}", "access control"},
        {"{\"path\":\"/a\",\"acl\":[{\"scheme\":\"world\",\"id\":\"anyone\"}]}", "access control"},
        {"{\"path\":\"/a\",\"acl\":[{\"scheme\":\"world\",\"id\":\"anyone\",\"perms\":\"x\"}]}",
         "access control"},
        {"{\"path\":\"/a\",\"ttl_ms\":-1}", "TTL"},
        {"{\"path\":\"/a\",\"ttl_ms\":1099511627776}", "TTL"},
        {"{\"path\":\"/a\",\"ttl_ms\":1,\"container\":true}", "TTL"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dump_node n;
        if (decodes(bad[i][0], &n) || strstr(why, bad[i][1]) == NULL) {
            fail_msg("%s: \"%s\"", bad[i][0], why);
        }
        dump_node_fini(&n);
    }
}

// How many nodes a text gives; -1: it failed.
static int nodes_of(const char *text)
{
    struct dump_reader r = {.from = fmemopen((char *)text, strlen(text), "r")};
    assert_non_null(r.from);
    int n = 0;
    json_t *v;
    while ((v = dump_next(&r)) != NULL) {
        n++;
        json_decref(v);
    }
    assert_null(dump_next(&r)); // it stays at its end
    fclose(r.from);
    return r.failed ? -1 : n;
}

static void files_in_every_shape(void **state)
{
    (void)state;
    assert_int_equal(nodes_of("{\"nodes\":[]}"), 0);
    assert_int_equal(nodes_of("[]"), 0);
    assert_int_equal(nodes_of(" [ {\"a\":1} ,\n{\"b\":{\"c\":[]}} ] "), 2);
    assert_int_equal(
        nodes_of("{\"file\":\"x\",\"sessions\":[{\"id\":\"]}\"}],\n \"zxid\" : \"\\\"\","
                 "\"n\":-1.5e3,\"t\":true,\"nodes\" : [\n{\"a\":1},{\"b\":2},{}]}"),
        3);
    static const char *const bad[] = {
        " ",        "x",          "{",        "{}",         "{\"nodes\"}",        "{\"nodes\":{}}",
        "{\"a\"",   "{\"a\":\"b", "{\"a\":[", "{\"a\":1}",  "{\"nodes\":[",       "{\"nodes\":[{}",
        "[{}",      "[{},",       "[7]",      "[{\"a\":}]", "{\"nodes\":[{},x]}", "[[]]",
        "{\"nodes",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (nodes_of(bad[i]) != -1) {
            fail_msg("%s is accepted", bad[i]);
        }
    }
}

static void a_batch_is_bounded(void **state)
{
    (void)state;
    struct batch b = {0};
    char *big = calloc(1, BATCH_BYTES_MAX);
    struct reeve_acl acl = {31, "world", "anyone"};
    struct reeve_request q = {
        .op = REEVE_OP_CREATE, .path = "/a", .data = "x", .data_len = 1, .acl = &acl, .acl_n = 1};
    for (size_t i = 0; i < BATCH_PARTS_MAX; i++) {
        assert_true(batch_has_room(&b, &q));
        batch_add(&b, &q);
    }
    assert_false(batch_has_room(&b, &q));
    assert_string_equal(b.part[7].path, "/a");
    assert_ptr_not_equal(b.part[7].path, q.path);
    assert_string_equal(b.part[7].acl->scheme, "world");
    batch_clear(&b);
    q.data = big;
    q.data_len = BATCH_BYTES_MAX;
    assert_true(batch_has_room(&b, &q)); // alone it goes
    batch_add(&b, &q);
    q.data = NULL;
    q.data_len = 0;
    assert_false(batch_has_room(&b, &q));
    batch_fini(&b);
    free(big);
}

static void a_failed_multi_has_a_cause(void **state)
{
    (void)state;
    struct reeve_result parts[] = {{.error = REEVE_OK},
                                   {.error = REEVE_RUNTIME_INCONSISTENCY},
                                   {.error = REEVE_NO_NODE, .path = "/b"},
                                   {.error = REEVE_RUNTIME_INCONSISTENCY}};
    struct reeve_result r = {.error = REEVE_NO_NODE, .parts = parts, .parts_n = 4};
    assert_ptr_equal(batch_cause(&r), &parts[2]);
    struct reeve_result lost = {.error = REEVE_CONNECTION_LOSS};
    assert_ptr_equal(batch_cause(&lost), &lost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(snapshots_know_more_than_clients),
        cmocka_unit_test(what_is_no_node_is_refused),
        cmocka_unit_test(files_in_every_shape),
        cmocka_unit_test(a_batch_is_bounded),
        cmocka_unit_test(a_failed_multi_has_a_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
