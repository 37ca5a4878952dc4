// SPDX-License-Identifier: Apache-2.0
//
// Who gets which partition: Kafka's divisions, filters and topics on paper, without members.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recipes/kit.h"
#include "recipes/partition_assign.h"
#include "reeve/partition.h"
#include "test/support/client_rig.h"

#include <cmocka.h>

// What `self` gets, as "topic-partition/stream ...".
static void divide_as(struct reeve *zk, const char *self, const struct reeve_topic *topics,
                      size_t topics_n, const char *const *members, bool round_robin,
                      enum reeve_error want, char out[512])
{
    struct assign a;
    out[0] = '\0';
    assert_int_equal(assign_init(&a, zk, self, topics, topics_n), REEVE_OK);
    for (size_t i = 0; i < topics_n; i++) {
        assert_int_equal(assign_count(&a, i, topics[i].partitions), REEVE_OK);
    }
    for (size_t i = 0; members[i]; i += 2) {
        (void)assign_member(&a, members[i], members[i + 1], strlen(members[i + 1]));
    }
    struct assign_one *list;
    size_t n;
    assert_int_equal(assign_divide(&a, round_robin, &list, &n), want);
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(out);
        snprintf(out + at, 512 - at, "%s-%d/%d ", topics[list[i].topic].name, list[i].partition,
                 list[i].stream);
    }
    kit_free(zk, list);
    assign_fini(&a);
}

#define STATIC(sub) "{\"version\":1,\"subscription\":{" sub "},\"pattern\":\"static\"}"
#define WHITE(re)   "{\"version\":1,\"subscription\":{\"" re "\":1},\"pattern\":\"white_list\"}"

// The example of Kafka's own documentation: five partitions, two consumers of two streams.
static void divides_ranges_as_kafka(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    const struct reeve_topic t[] = {{"t", 2, 5}};
    const char *const members[] = {"C2", STATIC("\"t\":2"), "C1", STATIC("\"t\":2"), NULL};
    char got[512];
    divide_as(zk, "C1", t, 1, members, false, REEVE_OK, got);
    assert_string_equal(got, "t-0/0 t-1/0 t-2/1 ");
    divide_as(zk, "C2", t, 1, members, false, REEVE_OK, got);
    assert_string_equal(got, "t-3/0 t-4/1 ");
    divide_as(zk, "C3", t, 1, members, false, REEVE_OK, got);
    assert_string_equal(got, "");
    // More streams than partitions; the order is the text's: C1-10 before C1-2.
    const struct reeve_topic few[] = {{"t", 12, 3}};
    const char *const many[] = {"C1", STATIC("\"t\":12"), NULL};
    divide_as(zk, "C1", few, 1, many, false, REEVE_OK, got);
    assert_string_equal(got, "t-0/0 t-1/1 t-2/10 ");
    crig_free(&w);
}

static void understands_filters(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    const struct reeve_topic t[] = {{"orders", 1, 2}};
    static const struct {
        const char *registration;
        bool takes_part;
    } cases[] = {
        {WHITE("orders"), true},
        {WHITE("a,orders"), true},
        {WHITE("ord.*"), true},
        {WHITE("order"), false},
        {WHITE("(orders"), false},
        {WHITE("orders{1,32000}{1,32000}"), false},
        {WHITE("(o)rders\\\\1"), false},
        {"{\"subscription\":{\"x\":1},\"pattern\":\"black_list\"}", true},
        {"{\"subscription\":{\"orders\":1},\"pattern\":\"black_list\"}", false},
        {STATIC("\"orders\":0"), false},
        {STATIC("\"orders\":-1"), false},
        {STATIC("\"orders\":2000000000"), false},
        {STATIC("\"orders\":\"1\""), false},
        {STATIC(""), false},
        {"{\"subscription\":{\"orders\":1}}", false},
        {"{\"subscription\":7,\"pattern\":\"static\"}", false},
        {"{\"pattern\":\"static\"}", false},
        {"[]", false},
        {"", false},
        {"{", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *const members[] = {"a", cases[i].registration, "b", STATIC("\"orders\":1"),
                                       NULL};
        char got[512];
        divide_as(zk, "b", t, 1, members, false, REEVE_OK, got);
        assert_string_equal(got, cases[i].takes_part ? "orders-1/0 " : "orders-0/0 orders-1/0 ");
    }
    crig_free(&w);
}

static void deals_out_in_the_order_of_javas_hashes(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    const struct reeve_topic t[] = {{"x", 1, 3}, {"y", 1, 2}};
    const char *const members[] = {"a", STATIC("\"x\":1,\"y\":1"), "b", STATIC("\"x\":1,\"y\":1"),
                                   NULL};
    char got[512];
    // Java: "[x,0]".hashCode() is 87659196, [x,1] 87659227, [x,2] 87659258, [y,0] 87688987, [y,1]
    // 87689018.
    divide_as(zk, "a", t, 2, members, true, REEVE_OK, got);
    assert_string_equal(got, "x-0/0 x-2/0 y-1/0 ");
    divide_as(zk, "b", t, 2, members, true, REEVE_OK, got);
    assert_string_equal(got, "x-1/0 y-0/0 ");
    const char *const odd[] = {"a", STATIC("\"x\":1,\"y\":1"), "b", STATIC("\"x\":1"), NULL};
    divide_as(zk, "a", t, 2, odd, true, REEVE_BAD_ARGUMENTS, got);
    const char *const more[] = {"a", STATIC("\"x\":1,\"y\":1"), "b",
                                STATIC("\"x\":1,\"y\":1,\"z\":1"), NULL};
    divide_as(zk, "a", t, 2, more, true, REEVE_BAD_ARGUMENTS, got);
    crig_free(&w);
}

static void reads_topics(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    const struct reeve_topic t[] = {{"x", 1, 0}};
    static const struct {
        const char *json;
        enum reeve_error want;
        size_t n;
    } cases[] = {
        {"{\"version\":1,\"partitions\":{\"10\":[1],\"9\":[1,2],\"0\":[]}}", REEVE_OK, 3},
        {"{\"partitions\":{}}", REEVE_OK, 0},
        {"{\"partitions\":[]}", REEVE_MALFORMED, 0},
        {"{\"partitions\":{\"x\":[]}}", REEVE_MALFORMED, 0},
        {"{\"partitions\":{\"-1\":[]}}", REEVE_MALFORMED, 0},
        {"{\"partitions\":{\"9999999999\":[]}}", REEVE_MALFORMED, 0},
        {"{}", REEVE_MALFORMED, 0},
        {"7", REEVE_MALFORMED, 0},
        {"", REEVE_MALFORMED, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct assign a;
        assert_int_equal(assign_init(&a, zk, "m", t, 1), REEVE_OK);
        assert_int_equal(assign_brokers(&a, 0, cases[i].json, strlen(cases[i].json)),
                         cases[i].want);
        if (!cases[i].want) {
            assert_int_equal(a.topics[0].partitions_n, cases[i].n);
        }
        if (cases[i].n == 3) {
            assert_int_equal(a.topics[0].partitions[2], 10);
        }
        assign_fini(&a);
    }
    crig_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(divides_ranges_as_kafka),
        cmocka_unit_test(understands_filters),
        cmocka_unit_test(deals_out_in_the_order_of_javas_hashes),
        cmocka_unit_test(reads_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
