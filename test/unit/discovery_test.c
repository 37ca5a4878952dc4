// SPDX-License-Identifier: Apache-2.0
//
// Instances as JSON (Curator's bytes, and everything hostile), and registrations: the plain life,
// two programs with one id, connections cut at each message, lost sessions, failing memory.
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "reeve/discovery.h"
#include "test/support/client_rig.h"

#include <cmocka.h>

// What Curator 5.4's JsonInstanceSerializer wrote.
static const char curator_full[] =
    "{\"name\":\"svc\",\"id\":\"id-1\",\"address\":\"10.0.0.1\",\"port\":80,\"sslPort\":null,"
    "\"payload\":null,\"registrationTimeUTC\":1234567890123,\"serviceType\":\"DYNAMIC\","
    "\"uriSpec\":"
    "{\"parts\":[{\"value\":\"scheme\",\"variable\":true},{\"value\":\"://\",\"variable\":false},"
    "{\"value\":\"address\",\"variable\":true},{\"value\":\":\",\"variable\":false},{\"value\":"
    "\"port\",\"variable\":true},{\"value\":\"/x\",\"variable\":false}]}}";
static const char curator_text[] =
    "{\"name\":\"svc\",\"id\":\"id-1\",\"address\":\"10.0.0.1\",\"port\":80,\"sslPort\":null,"
    "\"payload\":\"h\xc3\xa9\\\"llo / \xe2\x80\xa8 \\u0001 \x7f\","
    "\"registrationTimeUTC\":1234567890123,\"serviceType\":\"PERMANENT\",\"uriSpec\":null}";
static const char curator_map[] =
    "{\"name\":\"svc\",\"id\":\"id-1\",\"address\":\"10.0.0.1\",\"port\":80,\"sslPort\":null,"
    "\"payload\":{\"@class\":\"java.util.LinkedHashMap\",\"weight\":\"5\",\"z\":\"1\"},"
    "\"registrationTimeUTC\":1234567890123,\"serviceType\":\"DYNAMIC\",\"uriSpec\":null}";
static const char curator_disabled[] =
    "{\"name\":\"svc\",\"id\":\"id-1\",\"address\":\"10.0.0.1\",\"port\":80,\"sslPort\":null,"
    "\"payload\":null,\"registrationTimeUTC\":1234567890123,\"serviceType\":\"STATIC\","
    "\"uriSpec\":null,\"enabled\":false}";

static const struct reeve_instance plain = {.name = "svc",
                                            .id = "id-1",
                                            .address = "10.0.0.1",
                                            .port = 80,
                                            .registration_time_ms = 1234567890123};

// ---- JSON ---------------------------------------------------------------------------------------

static void expect_text(struct reeve *zk, const struct reeve_instance *i, const char *want)
{
    char *text;
    assert_int_equal(reeve_instance_encode(zk, i, &text), REEVE_OK);
    assert_string_equal(text, want);
    reeve_realloc(zk, text, 0);
}

static void writes_curators_bytes(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_instance i = plain;
    i.uri_spec = "{scheme}://{address}:{ port }/x";
    expect_text(zk, &i, curator_full);
    i = plain;
    i.payload = "\"h\xc3\xa9\\\"llo / \xe2\x80\xa8 \\u0001 \x7f\"";
    i.type = REEVE_SERVICE_PERMANENT;
    expect_text(zk, &i, curator_text);
    i = plain;
    const struct reeve_pair pairs[] = {{"weight", "5"}, {"z", "1"}};
    i.metadata = pairs;
    i.metadata_n = 2;
    expect_text(zk, &i, curator_map);
    i = plain;
    i.type = REEVE_SERVICE_STATIC;
    i.disabled = true;
    expect_text(zk, &i, curator_disabled);
    crig_free(&w);
}

static const struct reeve_instance *decode(struct reeve *zk, const char *text)
{
    const struct reeve_instance *i;
    assert_int_equal(reeve_instance_decode(zk, text, strlen(text), &i), REEVE_OK);
    return i;
}

// What was read is written as it was.
static void reads_what_it_writes(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    const char *texts[] = {curator_full, curator_text, curator_map, curator_disabled};
    for (size_t t = 0; t < 4; t++) {
        const struct reeve_instance *i = decode(zk, texts[t]);
        expect_text(zk, i, texts[t]);
        const struct reeve_instance *more = reeve_instance_keep(i);
        reeve_instance_release(&i);
        assert_null(i);
        assert_string_equal(more->name, "svc");
        reeve_instance_release(&more);
    }
    const struct reeve_instance *i = decode(zk, curator_full);
    char uri[64];
    assert_int_equal(reeve_instance_uri(i, uri, sizeof(uri)), 20);
    assert_string_equal(uri, "http://10.0.0.1:80/x");
    assert_int_equal(reeve_instance_uri(i, uri, 8), 20);
    assert_string_equal(uri, "http://");
    reeve_instance_release(&i);
    crig_free(&w);
}

static void fills_in_uris(void **state)
{
    (void)state;
    struct reeve_instance i = plain;
    char uri[200];
    i.ssl_port = 443;
    i.uri_spec =
        "{scheme}|{name}|{id}|{ssl-port}|{registration-time-utc}|{service-type}|{[}{]}|{no}{}";
    reeve_instance_uri(&i, uri, sizeof(uri));
    assert_string_equal(uri, "https|svc|id-1|443|1234567890123|dynamic|{}|");
    i.uri_spec = NULL;
    assert_int_equal(reeve_instance_uri(&i, uri, sizeof(uri)), 0);
    assert_string_equal(uri, "");
}

static void reads_payloads(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    const struct reeve_instance *i =
        decode(zk, "{\"name\":\"s\",\"id\":\"i\",\"port\":\"80\",\"sslPort\":443.7,\"extra\":[],"
                   "\"payload\":{\"@class\":\"x.Y\",\"t\":\"text\",\"n\":-7,\"f\":0.5,\"b\":true,"
                   "\"o\":{\"deep\":1},\"metadata\":{\"m\":\"1\"}}} trailing");
    assert_int_equal(i->port, 80);
    assert_int_equal(i->ssl_port, 443);
    assert_null(i->address);
    assert_string_equal(reeve_instance_get(i, "t"), "text");
    assert_string_equal(reeve_instance_get(i, "n"), "-7");
    assert_string_equal(reeve_instance_get(i, "f"), "0.5");
    assert_string_equal(reeve_instance_get(i, "b"), "true");
    assert_string_equal(reeve_instance_get(i, "m"), "1");
    assert_null(reeve_instance_get(i, "o"));
    assert_null(reeve_instance_get(i, "@class"));
    assert_int_equal(i->metadata_n, 5);
    reeve_instance_release(&i);
    i = decode(zk, "{}"); // as Curator: an instance without a name
    assert_string_equal(i->name, "");
    assert_false(i->disabled);
    reeve_instance_release(&i);
    crig_free(&w);
}

static void refuses_bad_json(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "7",
        "\"x\"",
        "{",
        "{\"name\":",
        "{\"name\":7}",
        "{\"id\":[]}",
        "{\"address\":{}}",
        "{\"port\":\"x\"}",
        "{\"port\":\"80 \"}",
        "{\"port\":2147483648}",
        "{\"port\":1e300}",
        "{\"port\":true}",
        "{\"sslPort\":[1]}",
        "{\"registrationTimeUTC\":\"now\"}",
        "{\"registrationTimeUTC\":99999999999999999999}",
        "{\"serviceType\":\"WHAT\"}",
        "{\"serviceType\":3}",
        "{\"uriSpec\":7}",
        "{\"uriSpec\":{\"parts\":7}}",
        "{\"uriSpec\":{\"parts\":[7]}}",
        "{\"uriSpec\":{\"parts\":[{\"value\":7}]}}",
        "{\"uriSpec\":{\"parts\":[{\"value\":\"x\",\"variable\":\"x\"}]}}",
        "{\"enabled\":\"no\"}",
        "{\"name\":\"\xff\"}",
        "{\"name\":\"a\\u0000b\"}",
        "{\"name\":\"\\ud800\"}"};
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    const struct reeve_instance *i;
    for (size_t t = 0; t < sizeof(bad) / sizeof(*bad); t++) {
        assert_int_equal(reeve_instance_decode(zk, bad[t], strlen(bad[t]), &i), REEVE_MALFORMED);
        assert_null(i);
    }
    assert_int_equal(reeve_instance_decode(zk, NULL, 0, &i), REEVE_MALFORMED);
    // Deeper than any parser's stack, and larger than any instance.
    size_t n = 5 << 20;
    char *big = malloc(n);
    memset(big, '[', n);
    assert_int_equal(reeve_instance_decode(zk, big, 100000, &i), REEVE_MALFORMED);
    memset(big, ' ', n);
    memcpy(big, "{}", 2);
    assert_int_equal(reeve_instance_decode(zk, big, n, &i), REEVE_MALFORMED);
    free(big);
    // Every cut of a good one.
    for (size_t cut = 0; cut + 1 < sizeof(curator_full) - 1; cut++) {
        assert_int_equal(reeve_instance_decode(zk, curator_full, cut, &i), REEVE_MALFORMED);
    }
    crig_free(&w);
}

static void refuses_bad_arguments(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_discovery *d;
    assert_int_equal(reeve_discovery_new(&d, zk, "base", NULL), REEVE_BAD_ARGUMENTS);
    assert_null(d);
    assert_int_equal(reeve_discovery_new(&d, zk, "/base", NULL), REEVE_OK);
    struct reeve_instance i = plain;
    i.name = NULL;
    assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_BAD_ARGUMENTS);
    i.name = "a/b";
    assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_BAD_ARGUMENTS);
    i = plain;
    i.id = "..";
    assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_BAD_ARGUMENTS);
    i = plain;
    i.address = "\xff";
    assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_BAD_ARGUMENTS);
    i = plain;
    i.payload = "1,\"enabled\":false";
    assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_BAD_ARGUMENTS);
    i = plain;
    i.uri_spec = "{open";
    assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_BAD_ARGUMENTS);
    i.uri_spec = "shut}";
    assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_BAD_ARGUMENTS);
    i = plain;
    i.type = REEVE_SERVICE_DYNAMIC_SEQUENTIAL;
    assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_UNIMPLEMENTED);
    assert_int_equal(reeve_discovery_update(d, &plain), REEVE_NO_NODE);
    assert_int_equal(reeve_discovery_unregister(d, "svc", "id-1"), REEVE_NO_NODE);
    reeve_discovery_free(&d);
    crig_free(&w);
}

// ---- registrations ------------------------------------------------------------------------------

struct seen {
    int calls;
    enum reeve_error error;
    int registered, lost, failed;
    enum reeve_error why;
};

static void on_done(void *ctx, enum reeve_error e)
{
    struct seen *s = ctx;
    s->calls++;
    s->error = e;
}

static void on_changed(void *ctx, const struct reeve_instance *i, enum reeve_registration what,
                       enum reeve_error e)
{
    struct seen *s = ctx;
    assert_string_equal(i->name, "svc");
    s->registered += what == REEVE_REGISTERED;
    s->lost += what == REEVE_REGISTRATION_LOST;
    s->failed += what == REEVE_REGISTRATION_FAILED;
    s->why = e;
}

// What the server has at path: its data, or NULL. For free().
static char *node(struct crig *w, const char *path)
{
    struct reeve *eye = crig_client(w, NULL);
    struct reeve_result r;
    enum reeve_error e = reeve_get(eye, path, NULL, &r);
    assert_true(e == REEVE_OK || e == REEVE_NO_NODE);
    char *copy = e ? NULL : strdup(r.data ? r.data : "");
    reeve_result_fini(&r);
    crig_close(w, &eye);
    return copy;
}

static void expect_node(struct crig *w, const char *path, const char *want)
{
    char *text = node(w, path);
    if (want) {
        assert_non_null(text);
        assert_string_equal(text, want);
    } else {
        assert_null(text);
    }
    free(text);
}

static const char plain_text[] =
    "{\"name\":\"svc\",\"id\":\"id-1\",\"address\":\"10.0.0.1\",\"port\":80,\"sslPort\":null,"
    "\"payload\":null,\"registrationTimeUTC\":1234567890123,\"serviceType\":\"DYNAMIC\","
    "\"uriSpec\":null}";

static void registers_and_is_found(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_discovery *d;
    assert_int_equal(reeve_discovery_new(&d, zk, "/a/b", NULL), REEVE_OK);
    struct reeve_instances all;
    assert_int_equal(reeve_discovery_find(d, "svc", &all), REEVE_OK);
    assert_int_equal(all.n, 0);
    reeve_instances_fini(&all);
    assert_int_equal(reeve_discovery_register(d, &plain, NULL), REEVE_OK);
    expect_node(w, "/a/b/svc/id-1", plain_text);
    struct reeve_instance other = plain;
    other.id = NULL;
    char id[64];
    assert_int_equal(reeve_discovery_register(d, &other, id), REEVE_OK);
    assert_int_equal(strlen(id), 36);
    assert_int_equal(reeve_set(zk, "/a/b/svc/id-1", "{", 1, REEVE_ANY_VERSION, NULL), REEVE_OK);
    assert_int_equal(reeve_discovery_find(d, "svc", &all), REEVE_OK);
    assert_int_equal(all.n, 1);
    assert_int_equal(all.bad, 1);
    assert_string_equal(all.list[0]->id, id);
    reeve_instances_fini(&all);
    struct reeve_instance changed = plain;
    changed.port = 81;
    assert_int_equal(reeve_discovery_update(d, &changed), REEVE_OK);
    const struct reeve_instance *one;
    assert_int_equal(reeve_discovery_find_one(d, "svc", "id-1", &one), REEVE_OK);
    assert_int_equal(one->port, 81);
    reeve_instance_release(&one);
    assert_int_equal(reeve_discovery_find_one(d, "svc", "no", &one), REEVE_NO_NODE);
    struct reeve_result names;
    assert_int_equal(reeve_discovery_names(d, &names), REEVE_OK);
    assert_int_equal(names.children_n, 1);
    assert_string_equal(names.children[0], "svc");
    reeve_result_fini(&names);
    assert_int_equal(reeve_discovery_unregister(d, "svc", id), REEVE_OK);
    assert_int_equal(reeve_discovery_unregister(d, "svc", id), REEVE_NO_NODE);
    assert_int_equal(reeve_discovery_unregister(d, "svc", "id-1"), REEVE_OK);
    assert_int_equal(reeve_discovery_register(d, &plain, NULL), REEVE_OK);
    reeve_discovery_free(&d);
    crig_run(w);
    expect_node(w, "/a/b/svc/id-1", NULL);
    crig_free(&w);
}

static void static_ones_stay(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_discovery *d;
    struct reeve_instance i = plain;
    i.type = REEVE_SERVICE_STATIC;
    assert_int_equal(reeve_discovery_new(&d, zk, "/b", NULL), REEVE_OK);
    assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_OK);
    crig_drop(w, &zk);
    crig_advance(w, 30000);
    // Another program finds it, and takes it over with other data.
    zk = crig_client(w, NULL);
    assert_int_equal(reeve_discovery_new(&d, zk, "/b", NULL), REEVE_OK);
    const struct reeve_instance *one;
    assert_int_equal(reeve_discovery_find_one(d, "svc", "id-1", &one), REEVE_OK);
    assert_int_equal(one->type, REEVE_SERVICE_STATIC);
    reeve_instance_release(&one);
    i.port = 99;
    assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_OK);
    assert_int_equal(reeve_discovery_find_one(d, "svc", "id-1", &one), REEVE_OK);
    assert_int_equal(one->port, 99);
    reeve_instance_release(&one);
    assert_int_equal(reeve_discovery_register(d, &plain, NULL), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_discovery_unregister(d, "svc", "id-1"), REEVE_OK);
    expect_node(w, "/b/svc/id-1", NULL);
    reeve_discovery_free(&d);
    crig_free(&w);
}

// The session ends at the server: the client loses it and registers again with the next one.
static void comes_back_with_a_new_session(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_discovery *d;
    struct seen seen = {0};
    const struct reeve_discovery_options o = {.changed = on_changed, .ctx = &seen};
    assert_int_equal(reeve_discovery_new(&d, zk, "/b", &o), REEVE_OK);
    assert_int_equal(reeve_discovery_register(d, &plain, NULL), REEVE_OK);
    for (int round = 1; round <= 3; round++) {
        crig_expire(w, zk);
        crig_advance(w, 20000);
        assert_int_equal(seen.lost, round);
        assert_int_equal(seen.registered, round);
        expect_node(w, "/b/svc/id-1", plain_text);
    }
    assert_int_equal(seen.failed, 0);
    reeve_discovery_free(&d);
    crig_free(&w);
}

// Its data changes while there is no session: it is told as lost, and as there again, whoever else
// waits for it.
static void comes_back_with_other_data(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_discovery *d;
    struct seen seen = {0}, update = {0};
    const struct reeve_discovery_options o = {.changed = on_changed, .ctx = &seen};
    assert_int_equal(reeve_discovery_new(&d, zk, "/b", &o), REEVE_OK);
    assert_int_equal(reeve_discovery_register(d, &plain, NULL), REEVE_OK);
    crig_refuse(w, zk, true);
    crig_cut(w, zk);
    crig_advance(w, 20000);
    assert_int_equal(seen.lost, 1);
    assert_int_equal(reeve_discovery_update_async(d, &plain, on_done, &update), REEVE_OK);
    crig_refuse(w, zk, false);
    crig_advance(w, 5000);
    assert_int_equal(update.calls, 1);
    assert_int_equal(update.error, REEVE_OK);
    assert_int_equal(seen.registered, 1);
    expect_node(w, "/b/svc/id-1", plain_text);
    reeve_discovery_free(&d);
    crig_free(&w);
}

// A write is lost with its session, and may be executed late. What it was for must be over when
// the registration is said to be there again, even if that needs no other data.
static void outlives_a_late_write(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
    struct reeve_discovery *d;
    struct reeve_instance i = plain, changed = plain;
    struct seen update = {0}, back = {0};
    i.type = changed.type = REEVE_SERVICE_STATIC;
    changed.port = 99;
    assert_int_equal(reeve_discovery_new(&d, zk, "/b", NULL), REEVE_OK);
    assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_OK);
    crig_cut_after(w, zk, CRIG_TO_SERVER, 0);
    assert_int_equal(reeve_discovery_update_async(d, &changed, on_done, &update), REEVE_OK);
    crig_refuse(w, zk, true);
    crig_advance(w, 20000);
    assert_int_equal(reeve_discovery_update_async(d, &i, on_done, &back), REEVE_OK);
    crig_refuse(w, zk, false);
    crig_advance(w, 5000);
    assert_int_equal(update.calls, 1);
    assert_int_equal(back.calls, 1);
    assert_int_equal(reeve_set(other, "/b/svc/id-1", "late", 4, 0, NULL), REEVE_BAD_VERSION);
    reeve_discovery_free(&d);
    crig_free(&w);
}

// One object is freed and another registers the same, wherever the connection is lost: what the
// first takes off is its own, never the second's.
static void is_registered_anew_by_another(void **state)
{
    (void)state;
    for (size_t run = 0; run < 2 * 16; run++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL);
        struct reeve_discovery *d, *next;
        struct reeve_instance i = plain, other = plain;
        struct seen first = {0}, second = {0};
        other.port = 99;
        assert_int_equal(reeve_discovery_new(&d, zk, "/b", NULL), REEVE_OK);
        assert_int_equal(reeve_discovery_new(&next, zk, "/b", NULL), REEVE_OK);
        assert_int_equal(reeve_discovery_register(d, &plain, NULL), REEVE_OK); // makes the parents
        assert_int_equal(reeve_discovery_unregister(d, "svc", "id-1"), REEVE_OK);
        crig_cut_after(w, zk, run & 1 ? CRIG_TO_CLIENT : CRIG_TO_SERVER, run / 2);
        assert_int_equal(reeve_discovery_register_async(d, &i, NULL, on_done, &first), REEVE_OK);
        crig_run(w);
        reeve_discovery_free(&d);
        assert_int_equal(reeve_discovery_register_async(next, &other, NULL, on_done, &second),
                         REEVE_OK);
        crig_advance(w, 5000);
        assert_int_equal(first.calls + second.calls, 2);
        assert_int_equal(second.error, REEVE_OK);
        char *text = node(w, "/b/svc/id-1");
        assert_non_null(text);
        assert_non_null(strstr(text, "\"port\":99"));
        free(text);
        reeve_discovery_free(&next);
        crig_advance(w, 5000);
        expect_node(w, "/b/svc/id-1", NULL);
        crig_free(&w);
    }
}

// Freed while there is no session, with and without an order to unregister before it: what outlives
// sessions is unregistered in the next one.
static void is_freed_between_sessions(void **state)
{
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL);
        struct reeve_discovery *d;
        struct reeve_instance i = plain;
        struct seen off = {0};
        i.type = REEVE_SERVICE_STATIC;
        assert_int_equal(reeve_discovery_new(&d, zk, "/b", NULL), REEVE_OK);
        assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_OK);
        crig_refuse(w, zk, true);
        crig_cut(w, zk);
        crig_advance(w, 20000);
        if (ordered) {
            assert_int_equal(reeve_discovery_unregister_async(d, "svc", "id-1", on_done, &off),
                             REEVE_OK);
            crig_run(w);
        }
        reeve_discovery_free(&d);
        crig_advance(w, 1000);
        crig_refuse(w, zk, false);
        crig_advance(w, 5000);
        expect_node(w, "/b/svc/id-1", NULL);
        assert_int_equal(off.calls, ordered);
        assert_int_equal(off.error, REEVE_OK);
        crig_free(&w);
    }
}

// A server whose disk is full refuses writes until there is space.
static void waits_for_a_full_disk(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_discovery *d;
    struct seen seen = {0}, off = {0};
    const struct reeve_discovery_options o = {.changed = on_changed, .ctx = &seen};
    assert_int_equal(reeve_discovery_new(&d, zk, "/b", &o), REEVE_OK);
    assert_int_equal(reeve_discovery_register(d, &plain, NULL), REEVE_OK);
    crig_server(w)->refuse = true;
    assert_int_equal(reeve_discovery_unregister_async(d, "svc", "id-1", on_done, &off), REEVE_OK);
    crig_advance(w, 2000);
    assert_int_equal(off.calls, 0);
    crig_server(w)->refuse = false;
    crig_advance(w, 2000);
    assert_int_equal(off.calls, 1);
    assert_int_equal(off.error, REEVE_OK);
    expect_node(w, "/b/svc/id-1", NULL);
    reeve_discovery_free(&d);
    crig_free(&w);
}

// Cut off for longer than the session lives, while the old node is still there when it is back.
static void replaces_its_own_old_node(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *first = crig_client(w, NULL);
    struct reeve *second = crig_client(w, NULL);
    struct reeve_discovery *a, *b;
    assert_int_equal(reeve_discovery_new(&a, first, "/b", NULL), REEVE_OK);
    assert_int_equal(reeve_discovery_register(a, &plain, NULL), REEVE_OK);
    crig_drop(w, &first); // the program dies; its node stays for a while
    assert_int_equal(reeve_discovery_new(&b, second, "/b", NULL), REEVE_OK);
    struct reeve_instance i = plain;
    i.port = 81;
    assert_int_equal(reeve_discovery_register(b, &i, NULL), REEVE_OK);
    crig_advance(w, 60000);
    const struct reeve_instance *one;
    assert_int_equal(reeve_discovery_find_one(b, "svc", "id-1", &one), REEVE_OK);
    assert_int_equal(one->port, 81);
    reeve_instance_release(&one);
    reeve_discovery_free(&b);
    crig_free(&w);
}

// A newer program has replaced it under the same id; what the older one does at its end must not
// take that away.
static void leaves_alone_what_replaced_it(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct crig *w = crig_new();
        struct reeve_discovery *a, *b;
        struct reeve_instance i = plain;
        assert_int_equal(reeve_discovery_new(&a, crig_client(w, NULL), "/b", NULL), REEVE_OK);
        assert_int_equal(reeve_discovery_new(&b, crig_client(w, NULL), "/b", NULL), REEVE_OK);
        i.port = 81;
        assert_int_equal(reeve_discovery_register(a, &i, NULL), REEVE_OK);
        assert_int_equal(reeve_discovery_register(b, &plain, NULL), REEVE_OK);
        if (how) {
            assert_int_equal(reeve_discovery_unregister(a, "svc", "id-1"), REEVE_OK);
        }
        reeve_discovery_free(&a);
        crig_advance(w, 1000);
        expect_node(w, "/b/svc/id-1", plain_text);
        reeve_discovery_free(&b);
        crig_run(w);
        expect_node(w, "/b/svc/id-1", NULL);
        crig_free(&w);
    }
}

// Register, update, unregister, with the connection cut at each message in either direction.
static void goes_through_cuts(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        for (size_t cut = 0; cut < 24; cut++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL);
            struct reeve_discovery *d;
            assert_int_equal(reeve_discovery_new(&d, zk, "/a/b/c", NULL), REEVE_OK);
            crig_cut_after(w, zk, (enum crig_way)way, cut);
            assert_int_equal(reeve_discovery_register(d, &plain, NULL), REEVE_OK);
            expect_node(w, "/a/b/c/svc/id-1", plain_text);
            struct reeve_instance i = plain;
            i.port = 81;
            assert_int_equal(reeve_discovery_update(d, &i), REEVE_OK);
            const struct reeve_instance *one;
            assert_int_equal(reeve_discovery_find_one(d, "svc", "id-1", &one), REEVE_OK);
            assert_int_equal(one->port, 81);
            reeve_instance_release(&one);
            assert_int_equal(reeve_discovery_unregister(d, "svc", "id-1"), REEVE_OK);
            expect_node(w, "/a/b/c/svc/id-1", NULL);
            reeve_discovery_free(&d);
            crig_free(&w);
        }
    }
}

// Freed or closed at every message of a registration: every callback once, nothing left behind.
static void ends_at_any_point(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        for (int steps = 0; steps < 30; steps++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL);
            struct reeve_discovery *d;
            struct seen put = {0};
            struct seen off = {0};
            assert_int_equal(reeve_discovery_new(&d, zk, "/a/b", NULL), REEVE_OK);
            assert_int_equal(reeve_discovery_register_async(d, &plain, NULL, on_done, &put), 0);
            assert_int_equal(reeve_discovery_unregister_async(d, "svc", "id-1", on_done, &off), 0);
            assert_int_equal(reeve_discovery_register_async(d, &plain, NULL, on_done, &put), 0);
            for (int s = 0; s < steps; s++) {
                (void)crig_step(w);
            }
            if (how == 0) {
                reeve_discovery_free(&d);
                crig_advance(w, 1000);
                assert_int_equal(put.calls, 2);
                assert_int_equal(off.calls, 1);
                expect_node(w, "/a/b/svc/id-1", NULL);
                crig_close(w, &zk);
            } else if (how == 1) {
                crig_close(w, &zk);
            } else {
                crig_drop(w, &zk);
            }
            assert_int_equal(put.calls, 2);
            assert_int_equal(off.calls, 1);
            crig_free(&w);
        }
    }
}

// Each allocation fails in turn, alone and with those behind it: told, and right afterwards.
static void goes_through_lack_of_memory(void **state)
{
    (void)state;
    for (size_t row = 1; row <= 4; row += 3) {
        for (size_t n = 1;; n++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL);
            assert_int_equal(reeve_wait_connected(zk, 1000), REEVE_OK);
            crig_fail_alloc(w, n, row);
            struct reeve_discovery *d = NULL;
            enum reeve_error e = reeve_discovery_new(&d, zk, "/a/b", NULL);
            assert_true(e == REEVE_OK || e == REEVE_NO_MEMORY);
            if (!e) {
                e = reeve_discovery_register(d, &plain, NULL);
                assert_true(e == REEVE_OK || e == REEVE_NO_MEMORY);
                if (e) {
                    crig_fail_alloc(w, 0, 0);
                    assert_int_equal(reeve_discovery_register(d, &plain, NULL), REEVE_OK);
                }
            }
            bool failed = crig_alloc_failed(w);
            crig_fail_alloc(w, 0, 0);
            if (d) {
                expect_node(w, "/a/b/svc/id-1", plain_text);
                reeve_discovery_free(&d);
                crig_advance(w, 1000);
                expect_node(w, "/a/b/svc/id-1", NULL);
            }
            crig_free(&w);
            if (!failed && !e) {
                break;
            }
        }
    }
}

// A client that will have no other session says so, and nobody waits for ever.
static void one_session_only(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct crig *w = crig_new();
        const struct reeve_options options = {.one_session = true};
        struct reeve *zk = crig_client(w, &options);
        struct reeve_discovery *d;
        struct reeve_provider *p;
        struct seen seen = {0};
        struct seen off = {0};
        struct seen put = {0};
        const struct reeve_discovery_options o = {.changed = on_changed, .ctx = &seen};
        struct reeve_instance i = plain;
        i.type = (enum reeve_service_type)type;
        assert_int_equal(reeve_discovery_new(&d, zk, "/b", &o), REEVE_OK);
        assert_int_equal(reeve_provider_new(&p, zk, "/b", "svc", NULL), REEVE_OK);
        assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_OK);
        crig_expire(w, zk);
        i.id = "other";
        assert_int_equal(reeve_discovery_register_async(d, &i, NULL, on_done, &put), REEVE_OK);
        crig_advance(w, 20000);
        assert_int_equal(put.calls, 1);
        assert_int_equal(put.error, REEVE_SESSION_EXPIRED);
        assert_int_equal(seen.why, REEVE_SESSION_EXPIRED);
        assert_int_equal(seen.failed, 1);
        assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_SESSION_EXPIRED);
        assert_int_equal(reeve_discovery_unregister_async(d, "svc", "id-1", on_done, &off), 0);
        crig_advance(w, 20000);
        assert_int_equal(off.calls, 1);
        struct reeve_instances all;
        assert_int_equal(reeve_discovery_find(d, "svc", &all), REEVE_SESSION_EXPIRED);
        enum reeve_error why;
        assert_true(reeve_provider_stale(p, &why));
        assert_int_equal(why, REEVE_SESSION_EXPIRED);
        reeve_provider_free(&p);
        reeve_discovery_free(&d);
        crig_free(&w);
    }
}

// The JSON library's own memory.
static size_t json_left;

static void *json_alloc(size_t n)
{
    if (json_left == 0) {
        return NULL;
    }
    json_left--;
    return malloc(n);
}

static void jansson_may_lack_memory(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    const struct reeve_instance *i = NULL;
    json_set_alloc_funcs(json_alloc, free);
    size_t n = 0;
    for (;; n++) {
        json_left = n;
        enum reeve_error e = reeve_instance_decode(zk, curator_map, sizeof(curator_map) - 1, &i);
        if (!e) {
            break;
        }
        assert_true(e == REEVE_NO_MEMORY || e == REEVE_MALFORMED);
        assert_null(i);
    }
    assert_true(n > 5);
    reeve_instance_release(&i);
    json_set_alloc_funcs(malloc, free);
    crig_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_curators_bytes),
        cmocka_unit_test(reads_what_it_writes),
        cmocka_unit_test(fills_in_uris),
        cmocka_unit_test(reads_payloads),
        cmocka_unit_test(refuses_bad_json),
        cmocka_unit_test(refuses_bad_arguments),
        cmocka_unit_test(registers_and_is_found),
        cmocka_unit_test(static_ones_stay),
        cmocka_unit_test(comes_back_with_other_data),
        cmocka_unit_test(outlives_a_late_write),
        cmocka_unit_test(is_registered_anew_by_another),
        cmocka_unit_test(is_freed_between_sessions),
        cmocka_unit_test(waits_for_a_full_disk),
        cmocka_unit_test(comes_back_with_a_new_session),
        cmocka_unit_test(replaces_its_own_old_node),
        cmocka_unit_test(leaves_alone_what_replaced_it),
        cmocka_unit_test(goes_through_cuts),
        cmocka_unit_test(ends_at_any_point),
        cmocka_unit_test(goes_through_lack_of_memory),
        cmocka_unit_test(one_session_only),
        cmocka_unit_test(jansson_may_lack_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
