// SPDX-License-Identifier: Apache-2.0
//
// Memberships: the text Apache's servers send, what is refused, equality, and who is a quorum.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/quorum.h"

static struct members *parse(const char *text)
{
    struct members *m;
    assert_int_equal(members_parse(slice_str(text), &m), ERR_OK);
    return m;
}

static void check_text(const struct members *m, enum members_form form, const char *want)
{
    struct buf b = {0};
    members_fmt(&b, m, form);
    buf_put_u8(&b, 0);
    assert_string_equal((const char *)b.p, want);
    buf_fini(&b);
}

// As captured from Apache 3.8 (election-observer.txt).
static const char golden[] =
    "server.1=127.0.0.1:21831:21841:participant;127.0.0.1:21821\n"
    "server.2=127.0.0.1:21832:21842:participant;127.0.0.1:21822\n"
    "server.3=127.0.0.1:21833:21843:participant;127.0.0.1:21823\n"
    "server.4=127.0.0.1:21834:21844:observer;127.0.0.1:21824\nversion=100000000";

static void text_of_an_apache_server_comes_back_as_it_was(void **state)
{
    (void)state;
    struct members *m = parse(golden);
    assert_int_equal(m->version, 0x100000000);
    assert_int_equal(m->n, 4);
    assert_int_equal(m->voters_n, 3);
    assert_true(members_is_voter(m, 3));
    assert_false(members_is_voter(m, 4));
    assert_true(members_is_observer(m, 4));
    assert_null(members_find(m, 5));
    const struct member *s = members_find(m, 2);
    assert_true(slice_eq_str(s->addrs[0].host, "127.0.0.1"));
    assert_int_equal(s->addrs[0].quorum_port, 21832);
    assert_int_equal(s->addrs[0].election_port, 21842);
    assert_int_equal(s->client.port, 21822);
    check_text(m, MEMBERS_WIRE, golden);
    struct members *c = members_copy(m);
    members_free(&m);
    check_text(c, MEMBERS_WIRE, golden);
    members_free(&c);
}

static void every_way_to_write_a_server(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"server.1=a:1:2", "server.1=a:1:2:participant\nversion=0"},
        {"server.1 = a:1:2:PARTICIPANT\n", "server.1=a:1:2:participant\nversion=0"},
        {"server.1:a:1:2;2181", "server.1=a:1:2:participant;0.0.0.0:2181\nversion=0"},
        {"server.1=a:1:2;h:2181;2281", "server.1=a:1:2:participant;h:2181;0.0.0.0:2281\nversion=0"},
        {"server.1=[::1]:1:2;[fe80::2]:3", "server.1=[::1]:1:2:participant;[fe80::2]:3\nversion=0"},
        {"server.1=b:1:2|a:3:4", "server.1=a:3:4|b:1:2:participant\nversion=0"},
        {"server.1=b:1:2:participant|a:3:4:participant;5",
         "server.1=a:3:4|b:1:2:participant;0.0.0.0:5\nversion=0"},
        {"#c\n\n!c\nserver.1=a:1\\\n  :2\nversion=A0\n", "server.1=a:1:2:participant\nversion=a0"},
        {"server.7=a:1:2\nserver.3=c:1:2\nserver.7=b:1:2",
         "server.3=c:1:2:participant\nserver.7=b:1:2:participant\nversion=0"},
        {"server.9223372036854775807=a:1:2",
         "server.9223372036854775807=a:1:2:participant\nversion=0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct members *m = parse(cases[i].in);
        check_text(m, MEMBERS_WIRE, cases[i].out);
        struct members *again = parse(cases[i].out);
        assert_true(members_equal(m, again));
        members_free(&again);
        members_free(&m);
    }
}

static void what_breaks_a_rule_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "version=1",
        "server.1=a:1:2:observer",
        "server.1=a:1",
        "server.1=a:1:1",
        "server.1=",
        "server.1=a:1:2:leader",
        "server.1=a:1:2:participant:5",
        "server.1=a:x:2",
        "server.1=a:1:65536",
        "server.1=a:-1:2",
        "server.1=:1:2",
        "server.1=a b:1:2",
        "server.1=[::1:1:2",
        "server.1=[::1]",
        "server.1=[::1]x1:2",
        "server.1=a:1:2;b:c:3",
        "server.1=a:1:2;x",
        "server.1=a:1:2;1;2;3",
        "server.x=a:1:2",
        "server.-1=a:1:2",
        "server.=a:1:2",
        "server.1.2=a:1:2",
        "server.9223372036854775808=a:1:2",
        "server.1=a:1:2|b:1:2:observer|c:1:2:participant",
        "server.1=a:1:2\nclientPort=2181",
        "server.1=a:1:2\nversion=",
        "server.1=a:1:2\nversion=g",
        "server.1=a:1:2\nversion=8000000000000000",
        "server.1=a:1:2\ngroup.1=2",
        "server.1=a:1:2\ngroup.1=1\ngroup.2=1",
        "server.1=a:1:2\ngroup.1=1:1",
        "server.1=a:1:2\ngroup.1=1:2",
        "server.1=a:1:2\nweight.1=1",
        "server.1=a:1:2\ngroup.1=1\nweight.1=-1",
        "server.1=a:1:2\ngroup.1=",
        "server.1=a:1:2\ngroup=1",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct members *m;
        assert_int_not_equal(members_parse(slice_str(bad[i]), &m), ERR_OK);
        assert_null(m);
    }
}

static void bounds_are_errors(void **state)
{
    (void)state;
    struct buf b = {0};
    struct members *m;
    for (int i = 0; i < MEMBERS_VOTERS_MAX; i++) {
        buf_fmt(&b, "server.%d=h%d:1:2\n", i, i);
    }
    assert_int_equal(members_parse(buf_slice(&b), &m), ERR_OK);
    assert_true(members_is_quorum(m, UINT64_MAX >> 31));
    assert_false(members_is_quorum(m, UINT64_MAX >> 32));
    members_free(&m);
    buf_fmt(&b, "server.100=h:1:2\n");
    assert_int_equal(members_parse(buf_slice(&b), &m), ERR_LIMIT);
    buf_clear(&b);
    buf_fmt(&b, "server.0=h:1:2\n");
    for (int i = 1; i < MEMBERS_MAX; i++) {
        buf_fmt(&b, "server.%d=h%d:1:2:observer\n", i, i);
    }
    assert_int_equal(members_parse(buf_slice(&b), &m), ERR_OK);
    members_free(&m);
    buf_fmt(&b, "server.9999=h:1:2:observer\n");
    assert_int_equal(members_parse(buf_slice(&b), &m), ERR_LIMIT);
    buf_fini(&b);
}

static void files_are_sorted_lines_without_version(void **state)
{
    (void)state;
    struct members *m = parse("server.2=b:1:2\nserver.10=a:1:2:observer;3\nversion=1f");
    check_text(m, MEMBERS_FILE, "server.10=a:1:2:observer;0.0.0.0:3\nserver.2=b:1:2:participant\n");
    check_text(m, MEMBERS_NEXT,
               "server.10=a:1:2:observer;0.0.0.0:3\nserver.2=b:1:2:participant\nversion=1f\n");
    members_free(&m);
}

static void equality_is_of_versions_or_of_all_that_counts(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"server.1=a:1:2\nversion=1", "server.1=a:1:2\nversion=2", true},
        {"server.1=a:1:2\nversion=1", "server.1=b:1:2\nversion=1", true},
        {"server.1=a:1:2\nversion=1", "server.1=b:1:2\nversion=2", false},
        {"server.1=a:1:2\nversion=1", "server.1=a:1:3\nversion=2", false},
        {"server.1=a:1:2\nversion=1", "server.1=a:1:2;3\nversion=2", false},
        {"server.1=a:1:2\nversion=1", "server.1=a:1:2\nserver.2=b:1:2\nversion=2", false},
        {"server.1=a:1:2\nserver.2=b:1:2\nversion=1",
         "server.2=b:1:2\nserver.1=a:1:2:observer\nversion=2", false},
        {"server.1=a:1:2|b:1:2\nversion=1", "server.1=b:1:2|a:1:2\nversion=2", true},
        {"server.1=a:1:2\ngroup.1=1\nversion=1", "server.1=a:1:2\nversion=2", false},
        {"server.1=a:1:2\ngroup.1=1\nversion=1", "server.1=a:1:2\ngroup.1=1\nweight.1=1\nversion=2",
         true},
        {"server.1=a:1:2\ngroup.1=1\nversion=1", "server.1=a:1:2\ngroup.1=1\nweight.1=2\nversion=2",
         false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct members *a = parse(cases[i].a), *b = parse(cases[i].b);
        assert_int_equal(members_equal(a, b), cases[i].equal);
        assert_int_equal(members_equal(b, a), cases[i].equal);
        members_free(&a);
        members_free(&b);
    }
}

static void majority_is_more_than_half(void **state)
{
    (void)state;
    struct buf text = {0};
    for (int n = 1; n <= 5; n++) {
        buf_fmt(&text, "server.%d=h:1:2\n", n);
        struct members *m;
        assert_int_equal(members_parse(buf_slice(&text), &m), ERR_OK);
        struct quorum q;
        struct quorum_acks a = {0};
        quorum_init(&q, m, NULL);
        for (int i = 0; i < n; i++) {
            assert_int_equal(quorum_reached(&q, &a), i > n / 2);
            quorum_ack(&q, &a, 77); // not a voter
            quorum_ack(&q, &a, i + 1);
            quorum_ack(&q, &a, i + 1); // twice counts once
        }
        assert_true(quorum_reached(&q, &a));
        members_free(&m);
    }
    buf_fini(&text);
}

static bool is_quorum(const struct members *m, const char *sids)
{
    struct quorum q;
    struct quorum_acks a = {0};
    quorum_init(&q, m, NULL);
    for (; *sids; sids++) {
        quorum_ack(&q, &a, *sids - '0');
    }
    return quorum_reached(&q, &a);
}

static void groups_and_weights(void **state)
{
    (void)state;
    static const char text[] = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2\n"
                               "server.5=e:1:2\nserver.6=f:1:2\nserver.7=g:1:2:observer\n"
                               "group.9=7\ngroup.1=1:2:3\ngroup.2=4:5\ngroup.3=6\n"
                               "weight.2=3\nweight.6=0\nweight.7=0\nversion=0";
    struct members *m = parse(text);
    assert_int_equal(m->groups_n, 2); // 3 and 9 have no weight
    assert_int_equal(members_weight(m, 2), 3);
    assert_int_equal(members_weight(m, 1), 1);
    assert_int_equal(members_weight(m, 6), 0);
    assert_int_equal(members_weight(m, 8), 0);
    assert_false(is_quorum(m, ""));
    assert_true(is_quorum(m, "245")); // 3 of 5 and 2 of 2, in both of two groups
    assert_false(is_quorum(m, "2456") != is_quorum(m, "245"));
    assert_false(is_quorum(m, "1345")); // 2 of 5 is not more than half
    assert_false(is_quorum(m, "24"));   // 1 of 2 neither
    assert_false(is_quorum(m, "123"));  // one of two groups
    assert_false(is_quorum(m, "7"));
    struct buf b = {0};
    members_fmt(&b, m, MEMBERS_WIRE);
    struct members *again;
    assert_int_equal(members_parse(buf_slice(&b), &again), ERR_OK);
    again->version = 1;
    assert_true(members_equal(m, again));
    buf_fini(&b);
    members_free(&again);
    members_free(&m);
}

static void two_memberships_must_both_agree(void **state)
{
    (void)state;
    struct members *old = parse("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=1");
    struct members *new = parse("server.3=c:1:2\nserver.4=d:1:2\nserver.5=e:1:2\nversion=2");
    struct quorum q;
    struct quorum_acks a = {0};
    quorum_init(&q, old, new);
    assert_true(quorum_has_voter(&q, 1));
    assert_true(quorum_has_voter(&q, 5));
    assert_false(quorum_has_voter(&q, 6));
    quorum_ack(&q, &a, 1);
    quorum_ack(&q, &a, 3);
    assert_false(quorum_reached(&q, &a));
    quorum_ack(&q, &a, 4);
    assert_true(quorum_reached(&q, &a));
    quorum_init(&q, new, old); // what was seen last is not newer: it does not count
    assert_int_equal(q.n, 1);
    members_free(&old);
    members_free(&new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_an_apache_server_comes_back_as_it_was),
        cmocka_unit_test(every_way_to_write_a_server),
        cmocka_unit_test(what_breaks_a_rule_is_refused),
        cmocka_unit_test(bounds_are_errors),
        cmocka_unit_test(files_are_sorted_lines_without_version),
        cmocka_unit_test(equality_is_of_versions_or_of_all_that_counts),
        cmocka_unit_test(majority_is_more_than_half),
        cmocka_unit_test(groups_and_weights),
        cmocka_unit_test(two_memberships_must_both_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
