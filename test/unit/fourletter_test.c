// SPDX-License-Identifier: Apache-2.0
//
// The four letter words: each one's text (as Apache 3.9.5 prints it), the whitelist, and how they
// come over the wire.
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "serve/expiry.h"
#include "serve/stats.h"
#include "test/support/serve_rig.h"
#include "wire/ops.h"

static int setup(void **state)
{
    *state = rig_new(NULL);
    return 0;
}

static int teardown(void **state)
{
    rig_free((struct rig **)state);
    return 0;
}

// Sends a word on a fresh connection; the answer as a C string, freed by the caller.
static char *ask(struct rig *r, const char *word)
{
    uint32_t conn = rig_accept(r, 1);
    rig_send(r, conn, slice_str(word));
    assert_true(rig_eof(r, conn));
    struct slice s = rig_rest(r, conn);
    char *text = malloc(s.n + 1);
    if (s.n) {
        memcpy(text, s.p, s.n);
    }
    text[s.n] = 0;
    return text;
}

static void expect(struct rig *r, const char *word, const char *want)
{
    char *got = ask(r, word);
    assert_string_equal(got, want);
    free(got);
}

static void words_of_a_fresh_server(void **state)
{
    struct rig *r = *state;
    expect(r, "ruok", "imok");
    expect(r, "ruok\n", "imok");
    expect(r, "ruokruok", "imok");
    expect(r, "isro", "rw");
    expect(r, "gtmk", "306");
    expect(r, "crst", "Connection stats reset.\n");
    expect(r, "srst", "Server stats reset.\n");
    expect(r, "wchs", "0 connections watching 0 paths\nTotal watches:0\n");
    expect(r, "wchc", "\n");
    expect(r, "wchp", "\n");
    expect(r, "srvr",
           "Zookeeper version: 3.9.5-rig, built on a bench\nLatency min/avg/max: 0/0.0/0\n"
           "Received: 4\nSent: 4\nConnections: 1\nOutstanding: 0\nZxid: 0x0\nMode: standalone\n"
           "Node count: 5\n");
    expect(r, "stat",
           "Zookeeper version: 3.9.5-rig, built on a bench\nClients:\n"
           " /127.0.0.1:40000[0](queued=0,recved=1,sent=0)\n\n"
           "Latency min/avg/max: 0/0.0/0\nReceived: 5\nSent: 5\nConnections: 1\nOutstanding: 0\n"
           "Zxid: 0x0\nMode: standalone\nNode count: 5\n");
    expect(r, "cons", " /127.0.0.1:40000[0](queued=0,recved=1,sent=0)\n\n");
    expect(r, "conf", "clientPort=2181\n");
    r->facts.data_dir_size = 457;
    r->facts.log_dir_size = 458;
    expect(r, "dirs", "datadir_size: 457\nlogdir_size: 458\n");
    expect(r, "hash", "");
    expect(r, "dump",
           "SessionTracker dump:\nephemeral nodes dump:\nSessions with Ephemerals (0):\n"
           "Connections dump:\nConnections Sets (1)/(1):\n"
           "1 expire at Fri Nov 20 22:28:13 UTC 2026:\n\tip: /127.0.0.1:40000 sessionId: 0x0\n");
    expect(r, "\xff\xf4\xff\xfd", "");
    expect(r, "xyzw", "");
    expect(r, "RUOK", "");
}

static void words_may_come_in_pieces(void **state)
{
    struct rig *r = *state;
    uint32_t conn = rig_accept(r, 1);
    const char *word = "ruok";
    for (int i = 0; i < 4; i++) {
        assert_false(rig_eof(r, conn));
        rig_send(r, conn, slice_of(word + i, 1));
    }
    assert_true(slice_eq_str(rig_rest(r, conn), "imok"));
    conn = rig_accept(r, 1);
    static const char mask[] = "stmk\0\0\0\0\0\0\1\62";
    for (size_t i = 0; i < 12; i++) {
        assert_false(rig_eof(r, conn));
        rig_send(r, conn, slice_of(mask + i, 1));
    }
    assert_true(slice_eq_str(rig_rest(r, conn), "306"));
    static const char other[] = "stmk\0\0\0\0\0\0\0\77";
    conn = rig_accept(r, 1);
    rig_send(r, conn, slice_of(other, 12));
    assert_true(slice_eq_str(rig_rest(r, conn), "63"));
    expect(r, "gtmk", "63");
}

static void only_what_is_on_the_whitelist(void **state)
{
    (void)state;
    struct serve_config cfg;
    rig_defaults(&cfg);
    cfg.fourletter_whitelist = "srvr, ruok";
    struct rig *r = rig_new(&cfg);
    expect(r, "ruok", "imok");
    expect(r, "stat", "stat is not executed because it is not in the whitelist.\n");
    expect(r, "isro", "isro is not executed because it is not in the whitelist.\n");
    expect(r, "stmk", "stmk is not executed because it is not in the whitelist.\n"); // no mask
    rig_free(&r);
    cfg.fourletter_whitelist = NULL;
    cfg.read_only_enabled = true;
    r = rig_new(&cfg);
    expect(r, "isro", "rw");
    expect(r, "ruok", "ruok is not executed because it is not in the whitelist.\n");
    expect(r, "stmk", "stmk is not executed because it is not in the whitelist.\n");
    char *srvr = ask(r, "srvr");
    assert_non_null(strstr(srvr, "Mode: standalone"));
    free(srvr);
    rig_free(&r);
}

static void a_server_that_does_not_serve(void **state)
{
    struct rig *r = *state;
    r->facts.serving = false;
    const char *no = "This ZooKeeper instance is not currently serving requests";
    expect(r, "hash", no);
    char line[100];
    snprintf(line, sizeof(line), "%s\n", no);
    static const char *const words[] = {"srvr", "stat", "cons", "conf", "dump", "mntr",
                                        "wchs", "wchc", "wchp", "dirs", "crst", "srst"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        expect(r, words[i], line);
    }
    expect(r, "ruok", "imok");
    expect(r, "isro", "null");
    expect(r, "gtmk", "306");
}

static void connections_watches_and_ephemerals(void **state)
{
    struct rig *r = *state;
    uint32_t c = rig_accept(r, 1);
    int64_t session = rig_connect(r, c, 40000);
    r->now = mono_add_ms(r->now, 5000);
    struct buf b = {0};
    rig_put_create(&b, 1, OP_CREATE, "/e", SLICE_LIT("x"), 1);
    rig_put_read(&b, 2, OP_GET_DATA, "/e", true);
    rig_put_int(&b, 3, OP_ADD_WATCH, "/p", 0);
    rig_send(r, c, buf_slice(&b));
    buf_clear(&b);
    r->auto_commit = false;
    rig_put_set(&b, 9, "/", SLICE_LIT("x"));
    rig_send(r, c, buf_slice(&b));
    r->now = mono_add_ms(r->now, 7);
    rig_commit(r);
    char want[1000];
    snprintf(want, sizeof(want),
             " /127.0.0.1:40000[1](queued=0,recved=5,sent=5,sid=0x%llx,lop=SETD,est=1795213674310,"
             "to=40000,lcxid=0x9,lzxid=0x3,lresp=6007,llat=7,minlat=0,avglat=1,maxlat=7)\n"
             " /127.0.0.1:40000[0](queued=0,recved=1,sent=0)\n\n",
             (unsigned long long)session);
    expect(r, "cons", want);
    snprintf(want, sizeof(want), "0x%llx\n\t/e\n\t/p\n\n", (unsigned long long)session);
    char *wchc = ask(r, "wchc");
    assert_int_equal(strlen(wchc), strlen(want)); // paths in no order
    assert_int_equal(strncmp(wchc, want, 19), 0);
    free(wchc);
    expect(r, "wchs", "1 connections watching 2 paths\nTotal watches:2\n");
    char *wchp = ask(r, "wchp");
    snprintf(want, sizeof(want), "/e\n\t0x%llx\n", (unsigned long long)session);
    assert_non_null(strstr(wchp, want));
    free(wchp);
    char *dump = ask(r, "dump");
    snprintf(want, sizeof(want), "Sessions with Ephemerals (1):\n0x%llx:\n\t/e\n",
             (unsigned long long)session);
    assert_non_null(strstr(dump, want));
    snprintf(want, sizeof(want), "\tip: /127.0.0.1:40000 sessionId: 0x%llx\n",
             (unsigned long long)session);
    assert_non_null(strstr(dump, want));
    free(dump);
    char *srvr = ask(r, "srvr");
    assert_non_null(strstr(srvr, "Latency min/avg/max: 0/1.4/7\n"));
    free(srvr);
    buf_fini(&b);
}

static int64_t number(const char *mntr, const char *key)
{
    char line[100];
    snprintf(line, sizeof(line), "\nzk_%s\t", key);
    const char *at = strstr(mntr, line);
    assert_non_null(at);
    return strtoll(at + strlen(line), NULL, 10);
}

static void mntr(void **state)
{
    struct rig *r = *state;
    uint32_t c = rig_client(r);
    struct buf b = {0};
    rig_put_create(&b, 1, OP_CREATE, "/e", SLICE_LIT("xyz"), 1);
    rig_put_int(&b, 2, OP_ADD_WATCH, "/e", 0);
    rig_put_set(&b, 3, "/e", SLICE_LIT("x"));
    rig_send(r, c, buf_slice(&b));
    buf_fini(&b);
    r->facts.uptime_ms = 77;
    r->facts.sys.open_fds = 12;
    r->facts.fsync_ns = (struct summary){4, 10000000, 1000000, 6000000};
    r->facts.snap_load_ms = 9;
    r->facts.proposals = 3;
    char *text = ask(r, "mntr");
    assert_int_equal(strncmp(text,
                             "zk_version\t3.9.5-rig, built on a bench\n"
                             "zk_server_state\tstandalone\nzk_avg_latency\t0.0\n",
                             80),
                     0);
    assert_int_equal(number(text, "packets_received"), 5);
    assert_int_equal(number(text, "packets_sent"), 5);
    assert_int_equal(number(text, "num_alive_connections"), 2);
    assert_int_equal(number(text, "znode_count"), 6);
    assert_int_equal(number(text, "watch_count"), 2);
    assert_int_equal(number(text, "ephemerals_count"), 1);
    assert_int_equal(number(text, "global_sessions"), 1);
    assert_int_equal(number(text, "uptime"), 77);
    assert_int_equal(number(text, "open_file_descriptor_count"), 12);
    assert_int_equal(number(text, "cnt_node_changed_watch_count"), 1);
    assert_int_equal(number(text, "sum_fsynctime"), 10);
    assert_int_equal(number(text, "max_fsynctime"), 6);
    assert_int_equal(number(text, "cnt_startup_snap_load_time"), 1);
    assert_int_equal(number(text, "avg_startup_snap_load_time"), 9);
    assert_int_equal(number(text, "commit_count"), 3); // a session and two writes
    assert_int_equal(number(text, "proposal_count"), 3);
    assert_int_equal(number(text, "cnt_updatelatency"), 3);
    assert_int_equal(number(text, "p999_updatelatency"), 0);
    assert_int_equal(number(text, "cnt_readlatency"), 1);
    assert_int_equal(number(text, "cnt_propagation_latency"), 3);
    assert_int_equal(number(text, "min_client_response_size"), 16 + 4);
    assert_int_equal(number(text, "digest_mismatches_count"), 0);
    for (const char *at = text; *at; at = strchr(at, '\n') + 1) {
        assert_int_equal(strncmp(at, "zk_", 3), 0);
        assert_non_null(strchr(at, '\n'));
    }
    free(text);
}

// ---- members of an ensemble: texts of Apache 3.8 ------------------------------------------------

static struct serve_ensemble leader_facts(struct rig *r)
{
    r->facts.mode = "leader";
    return (struct serve_ensemble){.server_id = 3,
                                   .epoch = 1,
                                   .peer_state = "leading - broadcast",
                                   .quorum_size = 3,
                                   .learners = 3,
                                   .synced_followers = 2,
                                   .synced_observers = 1,
                                   .proposal_last = 79,
                                   .proposal_min = 60,
                                   .proposal_max = 88,
                                   .role_ms = 705,
                                   .elections = 1,
                                   .election_reason = "the leader was lost",
                                   .election_ms = {1, 379, 379, 379}};
}

static void a_leader(void **state)
{
    struct rig *r = *state;
    struct serve_ensemble e = leader_facts(r);
    static const struct serve_learner list[] = {
        {1, "127.0.0.1:40312", "participant", true, 0x100000016},
        {4, "[::1]:40313", "observer", false, 0}};
    e.list = list;
    e.list_n = 2;
    r->facts.ensemble = &e;
    expect(r, "srvr",
           "Zookeeper version: 3.9.5-rig, built on a bench\n"
           "Latency min/avg/max: 0/0.0/0\nReceived: 1\nSent: 0\nConnections: 1\nOutstanding: 0\n"
           "Zxid: 0x0\nMode: leader\nNode count: 5\nProposal sizes last/min/max: 79/60/88\n");
    expect(r, "isro", "rw");
    char *text = ask(r, "mntr");
    static const char begin[] =
        "zk_version\t3.9.5-rig, built on a bench\nzk_server_state\tleader\n"
        "zk_peer_state\tleading - broadcast\nzk_quorum_size\t3\nzk_learners\t3\n"
        "zk_synced_followers\t2\nzk_synced_non_voting_followers\t0\nzk_pending_syncs\t0\n"
        "zk_leader_uptime\t705\nzk_last_proposal_size\t79\nzk_max_proposal_size\t88\n"
        "zk_min_proposal_size\t60\nzk_synced_observers\t1\nzk_avg_latency\t";
    assert_int_equal(strncmp(text, begin, sizeof(begin) - 1), 0);
    assert_int_equal(number(text, "looking_count"), 1);
    assert_int_equal(number(text, "max_election_time"), 379);
    assert_int_equal(number(text, "cnt_unavailable_time"), 0);
    assert_int_equal(number(text, "server_id"), 3);
    assert_int_equal(number(text, "epoch"), 1);
    assert_non_null(strstr(text, "\nzk_last_election_reason\tthe leader was lost\n"));
    assert_non_null(
        strstr(text, "\nzk_learner_1\t127.0.0.1:40312 participant synced 0x100000016\n"));
    assert_non_null(strstr(text, "\nzk_learner_4\t[::1]:40313 observer syncing 0x0\n"));
    free(text);
}

static void learners(void **state)
{
    struct rig *r = *state;
    struct serve_ensemble e = {.peer_state = "following - broadcast",
                               .quorum_size = 3,
                               .synced_observers = -1,
                               .learner_commits = 22,
                               .learner_proposals = 22};
    r->facts.ensemble = &e;
    r->facts.mode = "follower";
    char *text = ask(r, "mntr");
    assert_non_null(strstr(text, "\nzk_server_state\tfollower\n"
                                 "zk_peer_state\tfollowing - broadcast\nzk_quorum_size\t3\n"
                                 "zk_avg_latency\t"));
    assert_int_equal(number(text, "learner_commit_received_count"), 22);
    assert_int_equal(number(text, "learner_proposal_received_count"), 22);
    assert_null(strstr(text, "observer_master_id"));
    free(text);
    e.peer_state = "observing - broadcast";
    e.observer_master = "3";
    r->facts.mode = "observer";
    text = ask(r, "mntr");
    assert_non_null(strstr(text, "\nzk_peer_state\tobserving - broadcast\nzk_quorum_size\t3\n"
                                 "zk_observer_master_id\t3\n"));
    free(text);
    text = ask(r, "srvr");
    assert_non_null(strstr(text, "\nMode: observer\nNode count: 5\n"));
    assert_null(strstr(text, "Proposal sizes"));
    free(text);
}

static void sessions_of_a_learner(void **state)
{
    struct rig *r = *state;
    struct serve_ensemble e = {.peer_state = "following - broadcast", .synced_observers = -1};
    r->facts.ensemble = &e;
    r->facts.mode = "follower";
    uint32_t conn = rig_accept(r, 1);
    int64_t session = rig_connect(r, conn, 10000);
    session_put(tree_sessions(r->tree), INT64_MIN + 5, 4000); // of server 128
    char want[300];
    snprintf(want, sizeof(want),
             "SessionTracker dump:\nGlobal Sessions(2):\n0x8000000000000005\t4000ms\n"
             "0x%" PRIx64 "\t10000ms\nephemeral nodes dump:\n",
             (uint64_t)session);
    char *text = ask(r, "dump");
    assert_int_equal(strncmp(text, want, strlen(want)), 0);
    free(text);
}

static void local_sessions_come_first(void **state)
{
    (void)state;
    struct serve_config cfg;
    rig_defaults(&cfg);
    cfg.local_sessions = true;
    struct rig *r = rig_new(&cfg);
    struct serve_ensemble e = leader_facts(r);
    r->facts.ensemble = &e;
    struct expiry *global = expiry_new(2000, 1);
    r->facts.expiry = global;
    rig_client(r);
    char *text = ask(r, "dump");
    assert_non_null(strstr(text, "SessionTracker dump:\nLocal Session Sets (1)/(1):\n1 expire"));
    assert_non_null(strstr(text, "\nGlobal Session Sets (0)/(0):\nephemeral nodes dump:\n"));
    free(text);
    text = ask(r, "mntr");
    assert_int_equal(number(text, "local_sessions"), 1);
    assert_int_equal(number(text, "global_sessions"), 0);
    free(text);
    expiry_free(&global);
    rig_free(&r);
}

static void a_server_without_a_role(void **state)
{
    struct rig *r = *state;
    struct serve_ensemble e = {.peer_state = "looking"};
    r->facts.ensemble = &e;
    rig_mode(r, SERVE_OFF);
    static const char *const not_now[] = {"srvr", "stat", "mntr", "conf", "cons", "dump", "wchs"};
    for (size_t i = 0; i < sizeof(not_now) / sizeof(*not_now); i++) {
        expect(r, not_now[i], "This ZooKeeper instance is not currently serving requests\n");
    }
    expect(r, "isro", "null");
    expect(r, "ruok", "imok");
    rig_mode(r, SERVE_READ_ONLY);
    r->facts.mode = "read-only";
    expect(r, "isro", "ro");
    expect(r, "srvr",
           "Zookeeper version: 3.9.5-rig, built on a bench\n"
           "READ-ONLY mode; serving only read-only clients\n"
           "Latency min/avg/max: 0/0.0/0\nReceived: 11\nSent: 10\nConnections: 1\n"
           "Outstanding: 0\nZxid: 0x0\nMode: read-only\nNode count: 5\n");
    char *text = ask(r, "mntr");
    assert_non_null(strstr(text, "\nzk_server_state\tread-only\nzk_avg_latency\t"));
    free(text);
    rig_mode(r, SERVE_FULL);
    expect(r, "isro", "rw");
}

static void envi(void **state)
{
    struct rig *r = *state;
    snprintf(r->facts.sys.host_name, sizeof(r->facts.sys.host_name), "here");
    r->facts.sys.mem_free = 7 << 20;
    char *text = ask(r, "envi");
    assert_int_equal(
        strncmp(text, "Environment:\nzookeeper.version=3.9.5-rig, built on a bench\n", 58), 0);
    assert_non_null(strstr(text, "\nhost.name=here\n"));
    assert_non_null(strstr(text, "\njava.version=<NA>\n"));
    assert_non_null(strstr(text, "\nos.memory.free=7MB\n"));
    free(text);
}

static void averages(void **state)
{
    (void)state;
    static const struct {
        int64_t sum, n;
        const char *want;
    } cases[] = {{0, 0, "0.0"},           {0, 5, "0.0"},       {1, 2, "0.5"},
                 {1529, 10000, "0.1529"}, {2, 3, "0.6667"},    {100, 1, "100.0"},
                 {99999, 100000, "1.0"},  {1, 20000, "0.0001"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct summary s = {.n = cases[i].n, .sum = cases[i].sum};
        struct buf b = {0};
        summary_avg_fmt(&s, &b);
        buf_put_u8(&b, 0);
        assert_string_equal((const char *)b.p, cases[i].want);
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(words_of_a_fresh_server, setup, teardown),
        cmocka_unit_test_setup_teardown(words_may_come_in_pieces, setup, teardown),
        cmocka_unit_test(only_what_is_on_the_whitelist),
        cmocka_unit_test_setup_teardown(a_server_that_does_not_serve, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_watches_and_ephemerals, setup, teardown),
        cmocka_unit_test_setup_teardown(mntr, setup, teardown),
        cmocka_unit_test_setup_teardown(a_leader, setup, teardown),
        cmocka_unit_test_setup_teardown(learners, setup, teardown),
        cmocka_unit_test_setup_teardown(sessions_of_a_learner, setup, teardown),
        cmocka_unit_test(local_sessions_come_first),
        cmocka_unit_test_setup_teardown(a_server_without_a_role, setup, teardown),
        cmocka_unit_test_setup_teardown(envi, setup, teardown),
        cmocka_unit_test(averages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
