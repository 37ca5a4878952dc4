// SPDX-License-Identifier: Apache-2.0
//
// Settings: the sample file of Apache's distribution, Java's properties rules, refusals with their
// exact words, suggestions, what depends on other settings, `conf`, and that the manual page is
// what the table says.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/properties.h"
#include "limits.h"
#include "node/config.h"
#include "wire/members.h"

struct world {
    struct config c;
    struct buf warnings, why;
};

static struct world w;

static int setup(void **state)
{
    (void)state;
    config_init(&w.c);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    config_fini(&w.c);
    buf_fini(&w.warnings);
    buf_fini(&w.why);
    return 0;
}

static enum err parse(const char *text)
{
    return config_parse(&w.c, "zoo.cfg", slice_str(text), &w.warnings, &w.why);
}

static enum err finish(void)
{
    return config_finish(&w.c, &w.warnings, &w.why);
}

static const char *text_of(struct buf *b)
{
    buf_put_u8(b, 0);
    b->n--;
    return (const char *)b->p;
}

static void set_ok(const char *key, const char *value)
{
    assert_int_equal(config_set(&w.c, slice_str(key), slice_str(value), &w.why), ERR_OK);
}

static void refuses(const char *key, const char *value, const char *words)
{
    buf_clear(&w.why);
    assert_int_equal(config_set(&w.c, slice_str(key), slice_str(value), &w.why), ERR_INVALID);
    assert_string_equal(text_of(&w.why), words);
}

static void test_sample_file(void **state)
{
    (void)state;
    assert_int_equal(parse("# The number of milliseconds of each tick\n"
                           "tickTime=2000\n"
                           "initLimit=10\n"
                           "syncLimit=5\n"
                           "dataDir=/var/lib/zookeeper\n"
                           "clientPort=2181\n"
                           "#maxClientCnxns=60\n"
                           "#autopurge.purgeInterval=1\n"
                           "## Metrics Providers\n"
                           "#metricsProvider.httpPort=7000\n"),
                     ERR_OK);
    assert_int_equal(finish(), ERR_OK);
    assert_string_equal(text_of(&w.warnings), "");
    assert_int_equal(w.c.tick_ms, 2000);
    assert_int_equal(w.c.session_min_ms, 4000);
    assert_int_equal(w.c.session_max_ms, 40000);
    assert_string_equal(w.c.data_dir, "/var/lib/zookeeper");
    assert_string_equal(w.c.data_log_dir, "/var/lib/zookeeper");
    assert_int_equal(w.c.client_cnxns_max, 60);
    assert_null(w.c.client_address);
    assert_int_equal(w.c.snap_retain, 3);
    assert_int_equal(w.c.purge_interval_ms, 0);
    assert_int_equal(w.c.frame_max, 1048575);
    assert_int_equal(w.c.frame_extra, 1048575);
}

static void test_properties_rules(void **state)
{
    (void)state;
    static const char text[] = "! a comment\n"
                               "  a = b \t\r\n"
                               "\n"
                               "c:d\r"
                               "e f g\n"
                               "g=one\\\n"
                               "   two\n"
                               "h\\=i=\\u00e9\\t\\q\n"
                               "j\n"
                               "# no \\\n"
                               "k=v\\\\\n"
                               "l=end\\";
    static const char *const want[][2] = {
        {"a", "b"}, {"c", "d"},   {"e", "f g"}, {"g", "onetwo"}, {"h=i", "\xc3\xa9\tq"},
        {"j", ""},  {"k", "v\\"}, {"l", "end"}};
    static const unsigned lines[] = {2, 4, 5, 6, 8, 9, 11, 12};
    struct properties p;
    properties_init(&p, slice_str(text));
    enum err e;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_true(properties_next(&p, &e));
        assert_string_equal(text_of(&p.key), want[i][0]);
        assert_string_equal(text_of(&p.value), want[i][1]);
        assert_int_equal(p.line, lines[i]);
    }
    assert_false(properties_next(&p, &e));
    assert_int_equal(e, ERR_OK);
    properties_fini(&p);
}

static void test_long_line_and_file(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put(&b, "a=1\nb=", 6);
    memset(buf_reserve(&b, LIMIT_CONFIG_LINE), 'x', LIMIT_CONFIG_LINE);
    assert_int_equal(config_parse(&w.c, "f", buf_slice(&b), &w.warnings, &w.why), ERR_LIMIT);
    assert_string_equal(text_of(&w.why), "f:2: the line is longer than 4096 bytes");
    buf_clear(&w.why);
    // One line per continuation, without end.
    buf_clear(&b);
    for (int i = 0; i < 100000; i++) {
        buf_put(&b, "x\\\n", 3);
    }
    assert_int_equal(config_parse(&w.c, "f", buf_slice(&b), &w.warnings, &w.why), ERR_LIMIT);
    memset(buf_reserve(&b, LIMIT_CONFIG_FILE), '\n', LIMIT_CONFIG_FILE);
    assert_int_equal(config_parse(&w.c, "f", buf_slice(&b), &w.warnings, &w.why), ERR_LIMIT);
    buf_fini(&b);
}

static void test_wrong_values(void **state)
{
    (void)state;
    refuses("tickTime", "abc",
            "tickTime=abc: must be a whole number of milliseconds from 1 to 1000000");
    refuses("zookeeper.tickTime", "0",
            "tickTime=0: must be a whole number of milliseconds from 1 to 1000000");
    refuses("clientPort", "65536", "clientPort=65536: must be a whole number from 0 to 65535");
    refuses("clientPort", "", "clientPort=: must be a whole number from 0 to 65535");
    refuses("clientPort", "-", "clientPort=-: must be a whole number from 0 to 65535");
    refuses("clientPort", "99999999999999999999",
            "clientPort=99999999999999999999: must be a whole number from 0 to 65535");
    refuses("skipACL", "maybe", "skipACL=maybe: must be true or false");
    refuses("snapshot.compression.method", "zip",
            "snapshot.compression.method=zip: must be one of (nothing), gz, snappy");
    refuses("autopurge.purgeInterval", "1w",
            "autopurge.purgeInterval=1w: must be a whole number of hours, or one with ms, s, m, h "
            "or d behind it");
    refuses("nio.numWorkerThreads", "x",
            "nio.numWorkerThreads=x: must be a whole number from -1 to 2147483647");
    refuses("electionAlg", "1", "electionAlg=1: must be a whole number from 3 to 3");
    refuses("snapshotSizeFactor", "0x1",
            "snapshotSizeFactor=0x1: must be a number from -1000000 to 1000000, like 0.5");
    refuses("snapshotSizeFactor", "nan",
            "snapshotSizeFactor=nan: must be a number from -1000000 to 1000000, like 0.5");
    refuses("snapshotSizeFactor", "1e999",
            "snapshotSizeFactor=1e999: must be a number from -1000000 to 1000000, like 0.5");
    refuses("snapshotSizeFactor", "",
            "snapshotSizeFactor=: must be a number from -1000000 to 1000000, like 0.5");
    refuses("peerType", "leader", "peerType=leader: must be one of participant, observer");
    buf_clear(&w.why);
    assert_int_equal(parse("\n\ndataDir=/d\nmaxClientCnxns = 1.5\n"), ERR_INVALID);
    assert_string_equal(text_of(&w.why), "zoo.cfg:4: maxClientCnxns=1.5: must be a whole number "
                                         "from 0 to 2147483647");
}

static void test_unknown_keys(void **state)
{
    (void)state;
    assert_int_equal(parse("tickTme=1\nclientport=2\nsnapRetainCount=3\nqwertyuiopasdf=4\n"
                           "zookeeper.maxCnxn=5\n"),
                     ERR_OK);
    assert_string_equal(
        text_of(&w.warnings),
        "zoo.cfg:1: unknown key tickTme; did you mean tickTime? (ignored)\n"
        "zoo.cfg:2: unknown key clientport; did you mean clientPort? (ignored)\n"
        "zoo.cfg:3: unknown key snapRetainCount (ignored)\n"
        "zoo.cfg:4: unknown key qwertyuiopasdf (ignored)\n"
        "zoo.cfg:5: unknown key zookeeper.maxCnxn; did you mean maxCnxns? (ignored)\n");
    struct buf b = {0};
    memset(buf_reserve(&b, 4000), 'k', 4000);
    buf_clear(&w.why);
    assert_int_equal(config_set(&w.c, buf_slice(&b), SLICE_LIT("1"), &w.why), ERR_NOTFOUND);
    buf_fini(&b);
}

static void test_prefix_and_override(void **state)
{
    (void)state;
    set_ok("zookeeper.extendedTypesEnabled", "true");
    assert_true(w.c.extended_types);
    set_ok("extendedTypesEnabled", "No");
    assert_false(w.c.extended_types);
    set_ok("zookeeper.DigestAuthenticationProvider.superDigest", "super:abc=");
    assert_string_equal(w.c.super_digest, "super:abc=");
    set_ok("DigestAuthenticationProvider.superDigest", "");
    assert_null(w.c.super_digest);
    set_ok("4lw.commands.whitelist", "");
    assert_string_equal(w.c.fourletter_whitelist, "");
    set_ok("jute.maxbuffer", "4194304");
    assert_int_equal(w.c.frame_max, 4194304);
    set_ok("snapshot.compression.method", "");
    set_ok("forceSync", "no");
    assert_false(w.c.force_sync);
}

static void purge(const char *interval, int64_t want_ms, int64_t want_retain)
{
    config_fini(&w.c);
    config_init(&w.c);
    set_ok("dataDir", "/d");
    if (interval) {
        set_ok("autopurge.purgeInterval", interval);
    }
    assert_int_equal(finish(), ERR_OK);
    assert_int_equal(w.c.purge_interval_ms, want_ms);
    assert_int_equal(w.c.snap_retain, want_retain);
}

static void test_purge(void **state)
{
    (void)state;
    purge(NULL, 0, 3);
    purge("0", 0, 0);
    purge("24", 86400000, 3);
    purge("2d", 172800000, 3);
    purge("30M", 1800000, 3);
    purge("500ms", 500, 3);
    purge("10s", 10000, 3);
    set_ok("autopurge.snapRetainCount", "1");
    assert_int_equal(finish(), ERR_OK);
    assert_int_equal(w.c.snap_retain, 3);
}

static void finish_says(const char *file, enum err want, const char *why, const char *warnings)
{
    config_fini(&w.c);
    config_init(&w.c);
    buf_clear(&w.why);
    buf_clear(&w.warnings);
    assert_int_equal(parse(file), ERR_OK);
    assert_int_equal(finish(), want);
    assert_string_equal(text_of(&w.why), why);
    assert_string_equal(text_of(&w.warnings), warnings);
}

static void test_across(void **state)
{
    (void)state;
    finish_says("tickTime=2000\n", ERR_INVALID,
                "dataDir is not set: it names the folder the data is kept in", "");
    finish_says("dataDir=/d\nminSessionTimeout=70000\n", ERR_INVALID,
                "minSessionTimeout=70000 is larger than maxSessionTimeout=60000 (20 ticks of "
                "tickTime=3000 if not set); change one of them",
                "");
    finish_says("dataDir=/d\nenforce.auth.enabled=true\nenforce.auth.schemes=ip, digest\n", ERR_OK,
                "", "");
    finish_says("dataDir=/d\nenforce.auth.enabled=true\nenforce.auth.schemes=digest,sasl\n",
                ERR_INVALID,
                "enforce.auth.enabled=true with enforce.auth.schemes=digest,sasl: must be ip, "
                "digest or both",
                "");
    finish_says("dataDir=/d\nenforce.auth.enabled=true\n", ERR_INVALID,
                "enforce.auth.enabled=true with enforce.auth.schemes=: must be ip, digest or both",
                "");
    finish_says("dataDir=/d\nsessionRequireClientSASLAuth=true\n", ERR_UNSUPPORTED,
                "sessionRequireClientSASLAuth needs SASL, which this version does not support yet; "
                "remove it",
                "");
}

#define LIMITS "dataDir=/d\ninitLimit=10\nsyncLimit=5\n"

static void test_ensemble_lines(void **state)
{
    (void)state;
    finish_says(LIMITS "server.3=c:1:2:observer\nserver.1=a:1:2\nserver.2=b:1:2;2181\n"
                       "server.4=d:1:2\n",
                ERR_OK, "", "");
    assert_int_equal(w.c.servers->n, 4);
    assert_int_equal(w.c.servers->voters_n, 3);
    assert_int_equal(w.c.servers->version, 0);
    assert_null(w.c.single);
    assert_int_equal(w.c.init_limit, 10);
    assert_int_equal(w.c.hello_ms, 15000); // syncLimit ticks
    // A line given again counts as given last; a group makes it hierarchical.
    finish_says(LIMITS "server.1=a:1:2\nserver.2=b:1:2\nserver.3=x:1:2\nserver.3=c:1:2\n"
                       "group.1=1:2:3\nweight.3=2\n",
                ERR_OK, "", "");
    assert_true(w.c.servers->hierarchical);
    assert_true(slice_eq_str(members_find(w.c.servers, 3)->addrs[0].host, "c"));
    finish_says("dataDir=/d\nclientPort=2182\nserver.1=a:1:2;2181\n", ERR_OK, "",
                "a single server.N line makes no ensemble; this is a standalone server "
                "(standaloneEnabled=false makes it an ensemble of one)\n");
    assert_null(w.c.servers);
    assert_int_equal(w.c.single->servers[0].client.port, 2181);
    finish_says(LIMITS "standaloneEnabled=false\nserver.1=a:1:2\n", ERR_OK, "",
                "with one server no failure is survived; three are needed\n");
    assert_int_equal(w.c.servers->n, 1);
}

static void test_ensemble_warnings(void **state)
{
    (void)state;
    finish_says(LIMITS "server.1=a:1:2\nserver.2=b:1:2\n", ERR_OK, "",
                "with two servers the loss of either stops the ensemble; three are needed to "
                "survive one\n");
    finish_says(LIMITS "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2|e:1:2\n",
                ERR_OK, "",
                "4 participants survive no more failures than 3; an odd number is better\n"
                "server.4 has several addresses; Apache's servers take that only with "
                "multiAddress.enabled=true\n");
    finish_says("dataDir=/d\ncommitLogCount=20\nsnapshotSizeFactor=1.5\n", ERR_OK, "",
                "commitLogCount=20: taken as 500, the least\n"
                "snapshotSizeFactor=1.5: taken as 0.33, as it is larger than 1\n");
    assert_int_equal(w.c.commit_log_count, 500);
    assert_true(w.c.snapshot_size_factor > 0.32 && w.c.snapshot_size_factor < 0.34);
    finish_says("dataDir=/d\nsnapshotSizeFactor=-1\n", ERR_OK, "", "");
    assert_true(w.c.snapshot_size_factor < -0.99);
}

static void line_refused(const char *line, const char *why)
{
    config_fini(&w.c);
    config_init(&w.c);
    buf_clear(&w.why);
    assert_int_equal(parse(line), ERR_INVALID);
    assert_string_equal(text_of(&w.why), why);
}

static void test_ensemble_refused(void **state)
{
    (void)state;
    line_refused("a=b\nserver.1=host\n",
                 "zoo.cfg:2: server.1=host: must be server.N=host:quorumPort:electionPort, then "
                 ":participant or :observer, then ;clientPort or ;host:clientPort");
    line_refused("server.x=a:1:2\n",
                 "zoo.cfg:1: server.x=a:1:2: must be server.N=host:quorumPort:electionPort, then "
                 ":participant or :observer, then ;clientPort or ;host:clientPort");
    line_refused("group.1=1:1\n", "zoo.cfg:1: group.1=1:1: must be group.N= server numbers with "
                                  ": between, each in one group only");
    line_refused("weight.1=-1\n", "zoo.cfg:1: weight.1=-1: must be weight.N= a whole number that "
                                  "is not negative");
    finish_says("dataDir=/d\nsyncLimit=5\nserver.1=a:1:2\nserver.2=b:1:2\n", ERR_INVALID,
                "initLimit is not set: an ensemble needs it (a number of ticks)", "");
    finish_says("dataDir=/d\ninitLimit=5\nserver.1=a:1:2\nserver.2=b:1:2\n", ERR_INVALID,
                "syncLimit is not set: an ensemble needs it (a number of ticks)", "");
    finish_says("dataDir=/d\ninitLimit=5000000\nserver.1=a:1:2\nserver.2=b:1:2\n", ERR_INVALID,
                "initLimit=5000000: too long, with tickTime=3000 at most 715827", "");
    finish_says(LIMITS "server.1=a:1:2:observer\n", ERR_INVALID,
                "the server.N lines name no participant: observers alone are no ensemble", "");
    finish_says(LIMITS "server.1=a:1:2\nserver.2=b:1:2:observer\n", ERR_INVALID,
                "one participant with observers needs standaloneEnabled=false", "");
    finish_says(LIMITS "server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1\n", ERR_INVALID,
                "group.N and weight.N lines: each participant must be in a group, each server of "
                "a group must be a participant or have a weight",
                "");
    finish_says(LIMITS "standaloneEnabled=false\n", ERR_INVALID,
                "standaloneEnabled=false without server.N lines: at least one must say who this "
                "server is",
                "");
    finish_says(LIMITS "server.1=a:1:2\ndynamicConfigFile=/z.dynamic\n", ERR_INVALID,
                "server.N, group.N and weight.N lines and dynamicConfigFile=/z.dynamic: they must "
                "all be in that file",
                "");
    finish_says("dataDir=/d\nsslQuorum=true\n", ERR_UNSUPPORTED,
                "sslQuorum needs TLS, which this version does not support yet; remove it", "");
    finish_says("dataDir=/d\nquorum.auth.enableSasl=true\n", ERR_UNSUPPORTED,
                "quorum.auth.enableSasl needs SASL, which this version does not support yet; "
                "remove it",
                "");
}

static void test_later(void **state)
{
    (void)state;
    finish_says("dataDir=/d\nadmin.enableServer=false\nadmin.serverPort=8080\nssl.keyStore.type=\n"
                "reconfigEnabled=false\ndatadir.autocreate=true\n"
                "metricsProvider.className=org.apache.zookeeper.metrics.impl."
                "DefaultMetricsProvider\nlocalSessionsEnabled=no\n",
                ERR_OK, "", "");
    finish_says("dataDir=/d\nadmin.enableServer=true\nsecureClientPort=2281\n"
                "ssl.keyStore.location=/k\nssl.keyStore.location=/l\naudit.enable=true\n"
                "authProvider.1=x\n",
                ERR_OK, "",
                "not supported yet, ignored: admin.enableServer (admin server), secureClientPort "
                "(TLS), ssl.keyStore.location (TLS), audit.enable (audit log), "
                "authProvider.1 (further authentication providers)\n");
}

static void test_conf(void **state)
{
    (void)state;
    assert_int_equal(parse("dataDir=/d\ndataLogDir=/l\ntickTime=2000\n"), ERR_OK);
    assert_int_equal(finish(), ERR_OK);
    struct buf b = {0};
    struct config_now now = {
        .client_port = w.c.client_port, .data_bytes = 458, .log_bytes = 67108880};
    config_fmt_conf(&w.c, &now, &b);
    assert_string_equal(text_of(&b), "clientPort=2181\nsecureClientPort=-1\ndataDir=/d/version-2\n"
                                     "dataDirSize=458\ndataLogDir=/l/version-2\n"
                                     "dataLogSize=67108880\ntickTime=2000\nmaxClientCnxns=60\n"
                                     "minSessionTimeout=4000\nmaxSessionTimeout=40000\n"
                                     "clientPortListenBacklog=-1\nserverId=0\n");
    buf_fini(&b);
}

// Every key of the table is one the table finds again, whatever its default.
static void test_every_key(void **state)
{
    (void)state;
    static const char *const keys[] = {
#define CONFIG(type, field, key, alias, def, min, max, help) key,
#define CONFIG_IDLE(type, key, why)                          key,
#define CONFIG_LATER(type, key, off, what)                   key,
#define CONFIG_REFUSE(type, key, off, what)                  key,
#include "node/config.def"
    };
    enum { KEYS = sizeof(keys) / sizeof(keys[0]) };
    for (size_t i = 0; i < KEYS; i++) {
        assert_in_range(strlen(keys[i]), 3, 64);
        for (size_t k = i + 1; k < KEYS; k++) {
            assert_string_not_equal(keys[i], keys[k]);
        }
        enum err e = config_set(&w.c, slice_str(keys[i]), SLICE_LIT("1"), &w.why);
        assert_true(e == ERR_OK || e == ERR_INVALID);
    }
}

// docs/ops/configuration.md ends with the output of `reeved --help=keys` in a block.
static void test_manual(void **state)
{
    (void)state;
    FILE *f = fopen("docs/ops/configuration.md", "r");
    assert_non_null(f);
    struct buf page = {0}, want = {0};
    size_t n;
    do {
        buf_grow(&page, 65536);
        n = fread(page.p + page.n, 1, 65536, f);
        page.n += n;
    } while (n);
    fclose(f);
    buf_fmt(&want, "```text\n");
    config_fmt_help(&want);
    buf_fmt(&want, "```\n");
    assert_true(page.n > want.n);
    assert_string_equal(text_of(&page) + page.n - want.n, text_of(&want));
    buf_fini(&page);
    buf_fini(&want);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_sample_file),
        CASE(test_properties_rules),
        CASE(test_long_line_and_file),
        CASE(test_wrong_values),
        CASE(test_unknown_keys),
        CASE(test_prefix_and_override),
        CASE(test_purge),
        CASE(test_across),
        CASE(test_later),
        CASE(test_conf),
        CASE(test_every_key),
        CASE(test_manual),
        CASE(test_ensemble_lines),
        CASE(test_ensemble_warnings),
        CASE(test_ensemble_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
