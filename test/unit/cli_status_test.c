// SPDX-License-Identifier: Apache-2.0
//
// What servers say by four letter words, in the forms of Reeve and of Apache 3.5 to 3.9; rates from
// two looks; latencies in cells; lists of servers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "cli/cmd_bench_latency.h"
#include "cli/cmd_status_facts.h"
#include "cli/cmd_top_rates.h"
#include "cli/words4.h"

static bool is(double a, double b)
{
    return a - b < 1e-9 && b - a < 1e-9;
}

// ---- srvr, mntr, conf ---------------------------------------------------------------------------

static void srvr_of_each_version(void **state)
{
    (void)state;
    struct facts f;
    facts_init(&f);
    assert_int_equal(f.zxid, -1);
    facts_of_srvr(&f, "Zookeeper version: 3.9.5-0, built on 2026-01-01 00:00 UTC\n"
                      "Latency min/avg/max: 0/1.375/3\nReceived: 28\nSent: 26\nConnections: 4\n"
                      "Outstanding: 2\nZxid: 0x200000004\nMode: leader\nNode count: 5\n"
                      "Proposal sizes last/min/max: 48/48/48\n");
    assert_true(f.serving);
    assert_string_equal(f.mode, "leader");
    assert_string_equal(f.version, "3.9.5");
    assert_int_equal(f.zxid, 0x200000004);
    assert_int_equal(f.received, 28);
    assert_int_equal(f.sent, 26);
    assert_int_equal(f.connections, 4);
    assert_int_equal(f.outstanding, 2);
    assert_int_equal(f.nodes, 5);
    assert_true(is(f.latency_avg, 1.375) && is(f.latency_max, 3));
    assert_int_equal(f.watches, -1); // srvr does not tell

    facts_init(&f);
    facts_of_srvr(&f, "Zookeeper version: 3.5.10, built on x\r\nLatency min/avg/max: 0/2/9\r\n"
                      "Mode: standalone\r\n");
    assert_string_equal(f.version, "3.5.10");
    assert_string_equal(f.mode, "standalone");
    assert_true(is(f.latency_avg, 2));
}

static void srvr_of_one_that_does_not_serve(void **state)
{
    (void)state;
    struct facts f;
    facts_init(&f);
    facts_of_srvr(&f, "This ZooKeeper instance is not currently serving requests\n");
    assert_false(f.serving);
    assert_string_equal(f.said, "This ZooKeeper instance is not currently serving requests");
    facts_init(&f);
    facts_of_srvr(&f, "");
    assert_false(f.serving);
    assert_string_equal(f.said, "");
}

static void mntr_of_each_version(void **state)
{
    (void)state;
    struct facts f;
    facts_init(&f);
    facts_of_mntr(&f, "zk_version\t3.8.0-${mvngit.commit.id}, built on 2024\n"
                      "zk_server_state\tleader\nzk_watch_count\t7\nzk_ephemerals_count\t3\n"
                      "zk_approximate_data_size\t44\nzk_uptime\t1234\nzk_synced_followers\t2\n"
                      "zk_cnt_readlatency\t10\nzk_sum_readlatency\t25\n"
                      "zk_cnt_updatelatency\t4.0\nzk_sum_updatelatency\t8\n"
                      "zk_auth_failed_count\t2\nzk_digest_mismatches_count\t1\n"
                      "zk_unrecoverable_error_count\t0\nzk_other\tNaN\nnonsense\n\tzk_\n");
    assert_string_equal(f.version, "3.8.0");
    assert_int_equal(f.watches, 7);
    assert_int_equal(f.ephemerals, 3);
    assert_int_equal(f.data_bytes, 44);
    assert_int_equal(f.uptime_ms, 1234);
    assert_int_equal(f.synced_followers, 2);
    assert_int_equal(f.reads, 10);
    assert_int_equal(f.updates, 4);
    assert_true(is(f.reads_ms, 25) && is(f.updates_ms, 8));
    assert_int_equal(f.errors, 3);
    assert_int_equal(f.learners, -1);
}

static void conf_names_members(void **state)
{
    (void)state;
    static const char conf[] = "clientPort=2181\ndataDir=/d/version-2\nserverId=3\nmembership: \n"
                               "server.1=10.0.0.1:2888:3888:participant;0.0.0.0:2181\n"
                               "server.2=[2001:db8::2]:2888:3888:participant;[2001:db8::9]:2182\n"
                               "server.3=b:2888:3888|c:2888:3888:observer;2183\n"
                               "server.10=old.host:2888:3888\nversion=100000000\n";
    struct facts f;
    facts_init(&f);
    facts_of_conf(&f, conf);
    assert_int_equal(f.sid, 3);
    struct facts_member m[FACTS_MEMBERS_MAX];
    assert_int_equal(facts_members(conf, m), 4);
    assert_int_equal(m[0].sid, 1);
    assert_string_equal(m[0].host, "10.0.0.1");
    assert_string_equal(m[0].client, ""); // any address
    assert_int_equal(m[0].port, 2181);
    assert_string_equal(m[1].host, "2001:db8::2");
    assert_string_equal(m[1].client, "2001:db8::9");
    assert_int_equal(m[1].port, 2182);
    assert_string_equal(m[2].host, "b");
    assert_true(m[2].observer);
    assert_int_equal(m[2].port, 2183);
    assert_int_equal(m[3].sid, 10);
    assert_string_equal(m[3].host, "old.host");
    assert_int_equal(m[3].port, 0);
    assert_false(m[0].observer || m[1].observer || m[3].observer);
    assert_int_equal(facts_members("clientPort=2181\nserver\nserver.x\n", m), 0);
}

// ---- cons ---------------------------------------------------------------------------------------

static const char cons[] =
    " /127.0.0.1:57890[1](queued=3,recved=1290,sent=1289,sid=0x1a1fd20a1b00006,lop=SETD,est=1,"
    "to=10000,lcxid=0x5,lzxid=0x2000,lresp=1,llat=0,minlat=0,avglat=2,maxlat=11)\n"
    " /[2001:db8:0:0:0:0:0:1]:4711[1](queued=0,recved=5,sent=5,sid=0x2,lop=PING,avglat=0)\n"
    " /[0:0:0:0:0:0:0:1%0]:4712[0](queued=0,recved=1,sent=0)\n"
    "\n";

static void connections_are_told_apart(void **state)
{
    (void)state;
    const char *at = cons;
    struct facts_conn c;
    assert_true(facts_next_conn(&at, &c));
    assert_string_equal(c.peer, "127.0.0.1:57890");
    assert_int_equal(c.session, 0x1a1fd20a1b00006);
    assert_int_equal(c.received, 1290);
    assert_int_equal(c.sent, 1289);
    assert_int_equal(c.queued, 3);
    assert_int_equal(c.latency_avg, 2);
    assert_int_equal(c.latency_max, 11);
    assert_string_equal(c.last_op, "SETD");
    assert_true(facts_next_conn(&at, &c));
    assert_string_equal(c.peer, "[2001:db8:0:0:0:0:0:1]:4711");
    assert_true(facts_next_conn(&at, &c));
    assert_string_equal(c.peer, "[0:0:0:0:0:0:0:1%0]:4712");
    assert_int_equal(c.session, 0);
    assert_false(facts_next_conn(&at, &c));
}

// Whatever a server sends: an answer, and no step out of bounds (the sanitizers look).
static void nonsense_is_read_without_harm(void **state)
{
    (void)state;
    struct rng rng = {5};
    static const char *const seeds[] = {cons, "server.1=h:1:2:participant;0.0.0.0:1\nserverId=1\n",
                                        "zk_version\t3.9\nzk_watch_count\t1\n",
                                        "Zxid: 0x1\nMode: leader\nLatency min/avg/max: 1/2/3"};
    for (int round = 0; round < 4000; round++) {
        const char *seed = seeds[round % 4];
        size_t n = strlen(seed);
        char *text = malloc(n + 1);
        memcpy(text, seed, n + 1);
        for (int i = 0; i < 6; i++) {
            static const char bytes[] = "[](),=;:|/\n\t.%0x9\xff";
            text[rng_below(&rng, n)] = bytes[rng_below(&rng, sizeof(bytes) - 1)];
        }
        text[rng_below(&rng, n + 1)] = '\0';
        struct facts f;
        struct facts_member m[FACTS_MEMBERS_MAX];
        struct facts_conn c;
        facts_init(&f);
        facts_of_srvr(&f, text);
        facts_of_mntr(&f, text);
        facts_of_conf(&f, text);
        assert_true(facts_members(text, m) <= FACTS_MEMBERS_MAX);
        const char *at = text;
        while (facts_next_conn(&at, &c)) {
            assert_true(at > text);
        }
        free(text);
    }
}

// ---- rates --------------------------------------------------------------------------------------

static struct ensemble *one_server(int64_t received, int64_t sent, int64_t zxid, const char *conns)
{
    struct ensemble *e = calloc(1, sizeof(*e));
    struct ensemble_server *s = &e->v[0];
    e->n = 1;
    facts_init(&s->facts);
    s->answered = s->facts.serving = true;
    s->facts.received = received;
    s->facts.sent = sent;
    s->facts.zxid = zxid;
    s->facts.reads = received;
    s->facts.updates = 0;
    s->facts.reads_ms = 2 * (double)received;
    s->cons = strdup(conns);
    return e;
}

static void look_at(struct top_look *l, struct ensemble *e, int64_t now_ms)
{
    top_look_take(l, e, now_ms);
    ensemble_fini(e);
    free(e);
}

static void rates_are_differences(void **state)
{
    (void)state;
    struct top_look *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
    look_at(a,
            one_server(100, 90, 0x100000005,
                       " /h:1[1](queued=0,recved=50,sent=50,sid=0x1,lop=GETD)\n"
                       " /h:2[1](queued=0,recved=50,sent=50,sid=0x2,lop=GETD)\n"
                       " /h:4[1](queued=0,recved=7,sent=7,sid=0x4,lop=GETD)\n"
                       " /h:9[1](queued=0,recved=1,sent=0)\n"),
            1000);
    assert_int_equal(a->conns_n, 3); // one without a session is no client
    look_at(b,
            one_server(300, 190, 0x100000015,
                       " /h:3[1](queued=0,recved=20,sent=20,sid=0x3,lop=SETD)\n"
                       " /h:2[1](queued=0,recved=150,sent=150,sid=0x2,lop=GETD)\n"
                       " /h:4[1](queued=0,recved=8,sent=8,sid=0x44,lop=GETD)\n"
                       " /h:1[1](queued=0,recved=51,sent=51,sid=0x1,lop=PING)\n"),
            3000);
    struct top_rates r = top_server_rates(a, b, 0);
    assert_true(r.known);
    assert_true(is(r.received_s, 100) && is(r.sent_s, 50) && is(r.txns_s, 8));
    assert_true(is(r.latency_ms, 2));
    top_conn_rates(a, b);
    const struct top_conn *v[4];
    assert_int_equal(top_busiest(b, v, 2), 2);
    assert_int_equal(v[0]->now.session, 2);
    assert_true(is(v[0]->received_s, 50));
    assert_int_equal(v[1]->now.session, 3);
    assert_true(is(v[1]->received_s, 10)); // new: all that it did
    assert_int_equal(top_busiest(b, v, 4), 4);
    assert_int_equal(v[2]->now.session, 0x44); // another client at the same address
    assert_true(is(v[2]->received_s, 4));
    assert_int_equal(v[3]->now.session, 1);

    // Counters that were reset, and a server that was not there.
    r = top_server_rates(b, a, 0);
    assert_false(r.known);
    a->answered[0] = false;
    assert_false(top_server_rates(a, b, 0).known);
    top_look_fini(a);
    top_look_fini(b);
    free(a);
    free(b);
}

// ---- latencies ----------------------------------------------------------------------------------

static void latencies_are_near(void **state)
{
    (void)state;
    struct latency *l = calloc(1, sizeof(*l));
    assert_int_equal(latency_quantile(l, 0.5), 0);
    for (uint64_t i = 1; i <= 1000; i++) {
        latency_put(l, i * 1000);
    }
    static const double shares[] = {0.001, 0.1, 0.5, 0.95, 0.99, 0.999, 1};
    for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
        double want = shares[i] * 1000 * 1000;
        double got = (double)latency_quantile(l, shares[i]);
        assert_true(got >= want * 0.999 && got <= want * 1.017);
    }
    assert_int_equal(latency_quantile(l, 1), l->max_ns);
    assert_int_equal(l->sum_ns, 1000ull * 1001 / 2 * 1000);

    struct latency *other = calloc(1, sizeof(*other));
    latency_put(other, UINT64_MAX);
    latency_put(other, 0);
    latency_add(l, other);
    assert_int_equal(l->n, 1002);
    assert_int_equal(l->max_ns, UINT64_MAX);
    assert_int_equal(latency_quantile(other, 0.1), 0);
    free(l);
    free(other);
}

// ---- lists of servers ---------------------------------------------------------------------------

static void lists_of_servers_are_read(void **state)
{
    (void)state;
    struct words4_server v[4];
    char name[300];
    assert_int_equal(words4_servers("a", v, 4), 1);
    assert_string_equal(words4_name(&v[0], name, sizeof(name)), "a:2181");
    assert_int_equal(words4_servers("a:1, b:2,[::1]:3/chroot/x", v, 4), 3);
    assert_string_equal(words4_name(&v[1], name, sizeof(name)), "b:2");
    assert_string_equal(words4_name(&v[2], name, sizeof(name)), "[::1]:3");
    assert_int_equal(words4_servers("[::1]", v, 4), 1);
    assert_int_equal(v[0].port, 2181);
    assert_int_equal(words4_servers("a,b,c,d,e", v, 4), 4);
    static const char *const wrong[] = {
        "",       "a:",   "a:0",  "a:65536",         ":1", "a,,b", "[::1",
        "[::1]x", "a:1x", "[]:1", "a:99999999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_int_equal(words4_servers(wrong[i], v, 4), -1);
    }
    char longest[400];
    memset(longest, 'h', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(words4_servers(longest, v, 4), -1);
    assert_true(words4_refused("mntr is not executed because it is not in the whitelist.\n"));
    assert_false(words4_refused("imok"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(srvr_of_each_version),
        cmocka_unit_test(srvr_of_one_that_does_not_serve),
        cmocka_unit_test(mntr_of_each_version),
        cmocka_unit_test(conf_names_members),
        cmocka_unit_test(connections_are_told_apart),
        cmocka_unit_test(nonsense_is_read_without_harm),
        cmocka_unit_test(rates_are_differences),
        cmocka_unit_test(latencies_are_near),
        cmocka_unit_test(lists_of_servers_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
