// SPDX-License-Identifier: Apache-2.0
//
// Dubbo's URLs (parsing, writing, encoding, matching, weights) and its registry: registering, and
// subscriptions through changes, cuts, lost sessions and failing memory.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recipes/dubbo_url.h"
#include "recipes/kit.h"
#include "reeve/dubbo.h"
#include "test/support/client_rig.h"

#include <cmocka.h>

static const char provider_url[] =
    "dubbo://10.0.0.7:20880/com.acme.Shop?anyhost=true&application=shop&interface=com.acme.Shop"
    "&methods=buy,sell&side=provider&timestamp=1600000000000&version=1.0.0";
static const char provider_path[] =
    "/dubbo/com.acme.Shop/providers/"
    "dubbo%3A%2F%2F10.0.0.7%3A20880%2Fcom.acme.Shop%3Fanyhost%3Dtrue%26application%3Dshop%26"
    "interface%3Dcom.acme.Shop%26methods%3Dbuy%2Csell%26side%3Dprovider%26timestamp%3D"
    "1600000000000%26version%3D1.0.0";
static const char consumer_url[] = "consumer://10.0.0.9/com.acme.Shop?interface=com.acme.Shop"
                                   "&version=1.0.0&category=providers,configurators";

static const struct reeve_dubbo_url *parse(struct reeve *zk, const char *text)
{
    const struct reeve_dubbo_url *u;
    assert_int_equal(reeve_dubbo_url_parse(zk, text, &u), REEVE_OK);
    return u;
}

// ---- URLs ---------------------------------------------------------------------------------------

static void parses_and_writes(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    static const struct {
        const char *in, *out;
    } cases[] = {
        {provider_url, provider_url},
        {"dubbo://h/p?b=2&a=1&&;c= x &=d=4&e&a=9", "dubbo://h/p?a=9&b=2&c=x&d=4&e="},
        {"dubbo://u:p@h:1/p", "dubbo://u:p@h:1/p"},
        {"dubbo://u@h:1/p#frag", "dubbo://u@h:1/p"},
        {"h:20/p", "h:20/p"},
        {"dubbo://h?x=a=b", "dubbo://h?x=a=b"},
        {"file:/etc/x", "file:///etc/x"}, // as Dubbo has it: no host, and the path
        {"dubbo://fe80:0:0:0:894:aeec:f37d:23e1%en0/p",
         "dubbo://fe80:0:0:0:894:aeec:f37d:23e1%en0/p"},
        {"p://h/x?default.timeout=5", "p://h/x?default.timeout=5&timeout=5"},
        {"p://h/x?timeout=1&default.timeout=5", "p://h/x?default.timeout=5&timeout=1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct reeve_dubbo_url *u = parse(zk, cases[i].in);
        char *text;
        assert_int_equal(reeve_dubbo_url_format(zk, u, &text), REEVE_OK);
        if (strncmp(cases[i].in, "file:", 5) != 0) {
            assert_string_equal(text, cases[i].out);
        } else {
            assert_string_equal(u->path, "etc/x");
        }
        kit_free(zk, text);
        reeve_dubbo_url_release(&u);
    }
    static const char *const bad[] = {
        "", "://h/p", ":/p", "dubbo://h:99999/p", "dubbo://h:x/p", "dubbo://h:-1/p"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const struct reeve_dubbo_url *u;
        assert_int_equal(reeve_dubbo_url_parse(zk, bad[i], &u), REEVE_MALFORMED);
        assert_null(u);
    }
    char *huge = malloc(DUBBO_URL_MAX + 2);
    memset(huge, '&', DUBBO_URL_MAX + 1);
    huge[DUBBO_URL_MAX + 1] = '\0';
    const struct reeve_dubbo_url *u;
    assert_int_equal(reeve_dubbo_url_parse(zk, huge, &u), REEVE_MALFORMED);
    free(huge);
    crig_free(&w);
}

static void encodes_as_java(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct text t;
    text_init(&t, zk);
    url_encode(&t, "aZ09.-*_ ~!'()/\xc3\xa9+%");
    char *s = text_take(&t);
    assert_string_equal(s, "aZ09.-*_+%7E%21%27%28%29%2F%C3%A9%2B%25");
    assert_true(url_decode(s));
    assert_string_equal(s, "aZ09.-*_ ~!'()/\xc3\xa9+%");
    kit_free(zk, s);
    static const char *const bad[] = {"%", "%4", "%4x", "%zz", "a%00b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char text[8];
        snprintf(text, sizeof(text), "%s", bad[i]);
        assert_false(url_decode(text));
    }
    crig_free(&w);
}

static void matches_as_dubbo(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    static const struct {
        const char *consumer, *provider;
        bool want;
    } cases[] = {
        {"c://h/s", "d://h/s", true},
        {"c://h/s", "d://h/other", false},
        {"c://h/*", "d://h/other", true},
        {"c://h/s", "d://h/s?enabled=false", false},
        {"c://h/s?enabled=*", "d://h/s?enabled=false", true},
        {"c://h/s", "d://h/s?group=g", false},
        {"c://h/s?group=*", "d://h/s?group=g", true},
        {"c://h/s?group=a,g", "d://h/s?group=g", true},
        {"c://h/s?group=a,gg", "d://h/s?group=g", false},
        {"c://h/s?version=1", "d://h/s?version=2", false},
        {"c://h/s?version=*", "d://h/s?version=2", true},
        {"c://h/s", "d://h/s?version=2", false},
        {"c://h/s", "d://h/s?category=routers", false},
        {"c://h/s?category=providers,routers", "d://h/s?category=routers", true},
        {"c://h/s?category=-routers", "d://h/s?category=routers", false},
        {"c://h/s?category=-routers", "d://h/s", true},
        {"c://h/s?classifier=x", "d://h/s", false},
        {"c://h/s?classifier=x", "d://h/s?classifier=x", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct reeve_dubbo_url *c = parse(zk, cases[i].consumer);
        const struct reeve_dubbo_url *p = parse(zk, cases[i].provider);
        assert_int_equal(reeve_dubbo_url_matches(c, p), cases[i].want);
        reeve_dubbo_url_release(&c);
        reeve_dubbo_url_release(&p);
    }
    crig_free(&w);
}

static void weighs_and_warms_up(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    static const struct {
        const char *url;
        int64_t now_ms;
        int want;
    } cases[] = {
        {"d://h/s", 0, 100},
        {"d://h/s?weight=7", 0, 7},
        {"d://h/s?weight=-7", 0, 0},
        {"d://h/s?weight=x", 0, 100},
        {"d://h/s?weight=7&buy.weight=9", 0, 9},
        {"d://h/s?timestamp=1000000", 1000000, 100}, // Dubbo: an uptime of 0 counts as warm
        {"d://h/s?timestamp=1000000", 1000001, 1},
        {"d://h/s?timestamp=1000000", 1060000, 10},
        {"d://h/s?timestamp=1000000", 1300000, 50},
        {"d://h/s?timestamp=1000000", 1600000, 100},
        {"d://h/s?timestamp=1000000", 999999, 1},
        {"d://h/s?timestamp=1000000&warmup=1000&weight=10", 1000500, 5},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct reeve_dubbo_url *u = parse(zk, cases[i].url);
        assert_int_equal(reeve_dubbo_url_weight(u, "buy", cases[i].now_ms), cases[i].want);
        reeve_dubbo_url_release(&u);
    }
    const struct reeve_dubbo_url *urls[3] = {parse(zk, "d://a/s?weight=10"),
                                             parse(zk, "d://b/s?weight=0"),
                                             parse(zk, "d://c/s?weight=30")};
    int seen[3] = {0};
    uint64_t rng = 1;
    for (int i = 0; i < 4000; i++) {
        rng = rng * 6364136223846793005U + 1442695040888963407U;
        seen[dubbo_choose(urls, 3, NULL, 0, rng)]++;
    }
    assert_in_range(seen[0], 900, 1100);
    assert_int_equal(seen[1], 0);
    assert_int_equal(dubbo_choose(urls, 3, NULL, 0, UINT64_MAX), 2);
    for (int i = 0; i < 3; i++) {
        reeve_dubbo_url_release(&urls[i]);
    }
    crig_free(&w);
}

// ---- the registry -------------------------------------------------------------------------------

struct seen {
    int calls, configs;
    size_t n, bad;
    bool empty, stale;
    char host[32];
};

static void on_notice(void *ctx, const struct reeve_dubbo_notice *n)
{
    struct seen *s = ctx;
    if (strcmp(n->category, "providers") != 0) {
        s->configs++;
        return;
    }
    s->calls++;
    s->n = n->urls_n;
    s->bad = n->bad;
    s->empty = n->empty;
    s->stale = n->stale;
    snprintf(s->host, sizeof(s->host), "%s", n->urls_n ? n->urls[0]->host : "");
}

static bool is_there(struct crig *w, const char *path, int64_t *owner)
{
    struct reeve *eye = crig_client(w, NULL);
    struct reeve_result r;
    enum reeve_error e = reeve_exists(eye, path, NULL, &r);
    assert_true(e == REEVE_OK || e == REEVE_NO_NODE);
    *owner = r.stat.ephemeral_owner;
    reeve_result_fini(&r);
    crig_close(w, &eye);
    return !e;
}

static void registers_where_dubbo_looks(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_dubbo *d;
    int64_t owner;
    assert_int_equal(reeve_dubbo_new(&d, zk, NULL), REEVE_OK);
    const struct reeve_dubbo_url *u = parse(zk, provider_url);
    assert_int_equal(reeve_dubbo_unregister(d, u), REEVE_NO_NODE);
    assert_int_equal(reeve_dubbo_register(d, u), REEVE_OK);
    assert_true(is_there(w, provider_path, &owner));
    assert_true(owner != 0);
    assert_true(is_there(w, "/dubbo/com.acme.Shop/providers", &owner));
    assert_int_equal(owner, 0); // persistent, and no container
    crig_expire(w, zk);
    crig_advance(w, 20000);
    assert_true(is_there(w, provider_path, &owner));
    assert_int_equal(reeve_dubbo_unregister(d, u), REEVE_OK);
    assert_false(is_there(w, provider_path, &owner));
    reeve_dubbo_url_release(&u);
    u = parse(zk, "override://0.0.0.0/s?category=configurators&dynamic=false&weight=5");
    assert_int_equal(reeve_dubbo_register(d, u), REEVE_OK);
    assert_true(is_there(w,
                         "/dubbo/s/configurators/override%3A%2F%2F0.0.0.0%2Fs%3Fcategory%3D"
                         "configurators%26dynamic%3Dfalse%26weight%3D5",
                         &owner));
    assert_int_equal(owner, 0);
    reeve_dubbo_url_release(&u);
    u = parse(zk, "dubbo://h?x=1");
    assert_int_equal(reeve_dubbo_register(d, u), REEVE_BAD_ARGUMENTS);
    reeve_dubbo_url_release(&u);
    reeve_dubbo_free(&d);
    crig_free(&w);
}

static void subscribes(void **state)
{
    (void)state;
    for (int keep_last = 0; keep_last < 2; keep_last++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL);
        struct reeve *other = crig_client(w, NULL);
        struct reeve_dubbo *d, *there;
        struct reeve_dubbo_subscription *s;
        struct seen seen = {0};
        assert_int_equal(reeve_dubbo_new(&d, zk, NULL), REEVE_OK);
        assert_int_equal(reeve_dubbo_new(&there, other, NULL), REEVE_OK);
        const struct reeve_dubbo_url *c = parse(zk, consumer_url);
        const struct reeve_dubbo_url *u = parse(other, provider_url);
        assert_int_equal(reeve_dubbo_subscribe(&s, d, c, keep_last, on_notice, &seen), REEVE_OK);
        crig_advance(w, 10);
        assert_int_equal(seen.calls, 1);
        assert_int_equal(seen.configs, 1);
        assert_true(seen.empty);
        const struct reeve_dubbo_url *picked;
        assert_int_equal(reeve_dubbo_pick(s, NULL, &picked), REEVE_NO_NODE);
        assert_int_equal(reeve_dubbo_register(there, u), REEVE_OK);
        crig_advance(w, 10);
        assert_int_equal(seen.n, 1);
        assert_string_equal(seen.host, "10.0.0.7");
        assert_int_equal(reeve_dubbo_pick(s, "buy", &picked), REEVE_OK);
        assert_int_equal(picked->port, 20880);
        reeve_dubbo_url_release(&picked);
        // Names that are no URLs, or of another version, are left out.
        reeve_create(other, "/dubbo/com.acme.Shop/providers/%zz", "", 0, 0, NULL);
        reeve_create(other, "/dubbo/com.acme.Shop/providers/dubbo%3A%2F%2Fh%2Fcom.acme.Shop", "", 0,
                     0, NULL);
        crig_advance(w, 10);
        assert_int_equal(seen.n, 1);
        assert_int_equal(seen.bad, 1);
        // Cut off: the last list stays, and says so.
        crig_refuse(w, zk, true);
        crig_cut(w, zk);
        crig_advance(w, 60000);
        assert_true(seen.stale);
        assert_int_equal(seen.n, 1);
        crig_refuse(w, zk, false);
        crig_advance(w, 60000);
        assert_false(seen.stale);
        assert_int_equal(reeve_dubbo_unregister(there, u), REEVE_OK);
        crig_advance(w, 10);
        assert_true(seen.empty);
        assert_int_equal(seen.n, keep_last);
        reeve_dubbo_url_release(&c);
        reeve_dubbo_url_release(&u);
        reeve_dubbo_unsubscribe(&s);
        reeve_dubbo_free(&d);
        reeve_dubbo_free(&there);
        crig_free(&w);
    }
}

static void goes_through_cuts(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        for (size_t cut = 0; cut < 24; cut++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL);
            struct reeve_dubbo *d;
            struct reeve_dubbo_subscription *s;
            struct seen seen = {0};
            assert_int_equal(reeve_dubbo_new(&d, zk, NULL), REEVE_OK);
            const struct reeve_dubbo_url *c = parse(zk, consumer_url);
            const struct reeve_dubbo_url *u = parse(zk, provider_url);
            crig_cut_after(w, zk, (enum crig_way)way, cut);
            assert_int_equal(reeve_dubbo_subscribe(&s, d, c, false, on_notice, &seen), REEVE_OK);
            assert_int_equal(reeve_dubbo_register(d, u), REEVE_OK);
            crig_advance(w, 5000);
            assert_int_equal(seen.n, 1);
            assert_int_equal(reeve_dubbo_unregister(d, u), REEVE_OK);
            crig_advance(w, 5000);
            assert_int_equal(seen.n, 0);
            assert_true(seen.empty);
            assert_false(seen.stale);
            reeve_dubbo_url_release(&c);
            reeve_dubbo_url_release(&u);
            reeve_dubbo_unsubscribe(&s);
            reeve_dubbo_free(&d);
            crig_free(&w);
        }
    }
}

static void goes_through_lack_of_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL);
        struct reeve_dubbo *d = NULL;
        struct reeve_dubbo_subscription *s = NULL;
        const struct reeve_dubbo_url *c = NULL;
        const struct reeve_dubbo_url *u = NULL;
        struct seen seen = {0};
        assert_int_equal(reeve_wait_connected(zk, 1000), REEVE_OK);
        crig_fail_alloc(w, n, 1);
        enum reeve_error e = reeve_dubbo_url_parse(zk, consumer_url, &c);
        e = e ? e : reeve_dubbo_url_parse(zk, provider_url, &u);
        e = e ? e : reeve_dubbo_new(&d, zk, NULL);
        e = e ? e : reeve_dubbo_subscribe(&s, d, c, false, on_notice, &seen);
        e = e ? e : reeve_dubbo_register(d, u);
        crig_advance(w, 5000);
        failed = crig_alloc_failed(w);
        crig_fail_alloc(w, 0, 0);
        if (!e) {
            assert_int_equal(seen.n, 1);
            assert_false(seen.stale);
        } else {
            assert_int_equal(e, REEVE_NO_MEMORY);
        }
        reeve_dubbo_url_release(&c);
        reeve_dubbo_url_release(&u);
        reeve_dubbo_unsubscribe(&s);
        reeve_dubbo_free(&d);
        crig_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_and_writes),
        cmocka_unit_test(encodes_as_java),
        cmocka_unit_test(matches_as_dubbo),
        cmocka_unit_test(weighs_and_warms_up),
        cmocka_unit_test(registers_where_dubbo_looks),
        cmocka_unit_test(subscribes),
        cmocka_unit_test(goes_through_cuts),
        cmocka_unit_test(goes_through_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
