// SPDX-License-Identifier: Apache-2.0
//
// Picking instances: the strategies and the failing list on paper, and providers that follow a
// service through changes, cuts, lost sessions, hostile data and failing memory.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recipes/instance.h"
#include "recipes/provider_pick.h"
#include "reeve/discovery.h"
#include "test/support/client_rig.h"

#include <cmocka.h>

// ---- picking ------------------------------------------------------------------------------------

static const struct reeve_instance *make(struct reeve *zk, int port, const char *weight,
                                         bool disabled)
{
    char id[16];
    snprintf(id, sizeof(id), "%d", port);
    const struct reeve_pair pair = {"weight", weight};
    const struct reeve_instance i = {.name = "s",
                                     .id = id,
                                     .port = port,
                                     .metadata = weight ? &pair : NULL,
                                     .metadata_n = weight ? 1 : 0,
                                     .registration_time_ms = 1,
                                     .disabled = disabled};
    char *text;
    const struct reeve_instance *made;
    assert_int_equal(reeve_instance_encode(zk, &i, &text), REEVE_OK);
    assert_int_equal(reeve_instance_decode(zk, text, strlen(text), &made), REEVE_OK);
    reeve_realloc(zk, text, 0);
    return made;
}

// Instances 1 to n, with these weights.
static void fill(struct pick *p, struct reeve *zk, int n, const char *const *weights)
{
    struct reeve_instances set;
    assert_int_equal(instances_init(&set, zk, (size_t)n), REEVE_OK);
    for (int i = 0; i < n; i++) {
        set.list[set.n++] = make(zk, i + 1, weights ? weights[i] : NULL, false);
    }
    assert_int_equal(pick_set(p, &set), REEVE_OK);
}

static int next(struct pick *p, int64_t now_ms)
{
    const struct reeve_instance *i = pick_next(p, now_ms);
    int port = i ? i->port : 0;
    reeve_instance_release(&i);
    return port;
}

static struct pick pick_of(struct reeve *zk, enum reeve_balance balance)
{
    return (struct pick){.zk = zk,
                         .balance = balance,
                         .weight_key = "weight",
                         .down_errors = 2,
                         .down_ms = 30000,
                         .rng = 42,
                         .set = {.zk = zk}};
}

static void goes_round(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct pick p = pick_of(zk, REEVE_ROUND_ROBIN);
    assert_int_equal(next(&p, 0), 0);
    fill(&p, zk, 3, NULL);
    int seen[4] = {0};
    for (int i = 0; i < 300; i++) {
        seen[next(&p, 0)]++;
    }
    assert_int_equal(seen[1], 100);
    assert_int_equal(seen[2], 100);
    assert_int_equal(seen[3], 100);
    p.turn = UINT32_MAX; // and around
    assert_int_equal(next(&p, 0), 1);
    assert_int_equal(next(&p, 0), 1);
    assert_int_equal(next(&p, 0), 2);
    pick_fini(&p);
    crig_free(&w);
}

static void draws_by_weight(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    static const char *const weights[] = {"1", "0", "7", "2.9", NULL, "nonsense"};
    struct pick p = pick_of(zk, REEVE_WEIGHTED);
    fill(&p, zk, 6, weights); // 1 0 7 2 1 1
    int seen[7] = {0};
    for (int i = 0; i < 12000; i++) {
        seen[next(&p, 0)]++;
    }
    assert_in_range(seen[1], 850, 1150);
    assert_int_equal(seen[2], 0);
    assert_in_range(seen[3], 6800, 7200);
    assert_in_range(seen[4], 1800, 2200);
    assert_in_range(seen[5], 850, 1150);
    assert_in_range(seen[6], 850, 1150);
    // The same seed, the same picks; a plain random choice does not look at weights.
    p.rng = 7;
    int first[20];
    for (int i = 0; i < 20; i++) {
        first[i] = next(&p, 0);
    }
    p.rng = 7;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(next(&p, 0), first[i]);
    }
    p.balance = REEVE_RANDOM;
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < 12000; i++) {
        seen[next(&p, 0)]++;
    }
    for (int i = 1; i <= 6; i++) {
        assert_in_range(seen[i], 1800, 2200);
    }
    static const char *const none[] = {"0", "0"};
    p.balance = REEVE_WEIGHTED; // without any weight: evenly
    fill(&p, zk, 2, none);
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < 1000; i++) {
        seen[next(&p, 0)]++;
    }
    assert_in_range(seen[1], 400, 600);
    static const char *const odd[] = {"nan", "inf", "-5", "1e9"};
    fill(&p, zk, 4, odd);
    assert_int_equal(p.weights[0], 1);
    assert_int_equal(p.weights[1], WEIGHT_MAX);
    assert_int_equal(p.weights[2], 0);
    assert_int_equal(p.weights[3], WEIGHT_MAX);
    pick_fini(&p);
    crig_free(&w);
}

static void leaves_out_failing_ones(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct pick p = pick_of(zk, REEVE_ROUND_ROBIN);
    fill(&p, zk, 2, NULL);
    const struct reeve_instance *one = make(zk, 1, NULL, false); // equal, not the same object
    const struct reeve_instance *two = make(zk, 2, NULL, false);
    pick_note_error(&p, one, 1000);
    assert_int_equal(next(&p, 1000) + next(&p, 1000), 3); // one error is not enough
    pick_note_error(&p, one, 2000);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(next(&p, 30999), 2);
    }
    assert_int_equal(next(&p, 31000) + next(&p, 31000), 3); // 30 s after the first
    // All are failing: none, or the one that failed longest ago.
    pick_note_error(&p, one, 40000);
    pick_note_error(&p, two, 40100);
    pick_note_error(&p, two, 40200);
    pick_note_error(&p, one, 40300);
    assert_int_equal(next(&p, 50000), 0);
    p.least_failing = true;
    assert_int_equal(next(&p, 50000), 2);
    assert_int_equal(next(&p, 69999), 2);
    // More than there is room for: the oldest is forgotten.
    for (int i = 0; i < DOWN_MAX + 10; i++) {
        const struct reeve_instance *many = make(zk, 100 + i, NULL, false);
        pick_note_error(&p, many, 50000);
        reeve_instance_release(&many);
    }
    assert_int_equal(p.downs_n, DOWN_MAX);
    reeve_instance_release(&one);
    reeve_instance_release(&two);
    pick_fini(&p);
    crig_free(&w);
}

static void sticks(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct pick p = pick_of(zk, REEVE_ROUND_ROBIN);
    p.sticky = true;
    fill(&p, zk, 3, NULL);
    assert_int_equal(next(&p, 0), 1);
    assert_int_equal(next(&p, 0), 1);
    fill(&p, zk, 2, NULL); // it is still there, in another set
    assert_int_equal(next(&p, 0), 1);
    const struct reeve_instance *one = make(zk, 1, NULL, false);
    pick_note_error(&p, one, 0);
    pick_note_error(&p, one, 0);
    assert_int_equal(next(&p, 0), 2);
    assert_int_equal(next(&p, 40000), 2); // stays, although 1 is well again
    reeve_instance_release(&one);
    pick_fini(&p);
    crig_free(&w);
}

// ---- providers ----------------------------------------------------------------------------------

struct seen {
    int calls;
    bool stale;
    size_t n;
};

static void on_changed(void *ctx, struct reeve_provider *p)
{
    struct seen *s = ctx;
    struct reeve_instances all;
    s->calls++;
    s->stale = reeve_provider_stale(p, NULL);
    if (!reeve_provider_all(p, &all)) {
        s->n = all.n;
        reeve_instances_fini(&all);
    }
}

static void put(struct reeve_discovery *d, const char *id, int port)
{
    const struct reeve_instance i = {.name = "s", .id = id, .port = port};
    assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_OK);
}

static void follows_a_service(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve *other = crig_client(w, NULL);
    struct seen seen = {0};
    const struct reeve_provider_options o = {.changed = on_changed, .ctx = &seen};
    struct reeve_provider *p;
    struct reeve_discovery *d;
    assert_int_equal(reeve_provider_new(&p, zk, "/b", "a/b", &o), REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_provider_new(&p, zk, "/b", "s", &o), REEVE_OK);
    assert_true(reeve_provider_stale(p, NULL));
    assert_int_equal(reeve_provider_wait(p, 1000), REEVE_OK);
    assert_false(reeve_provider_stale(p, NULL));
    const struct reeve_instance *i;
    assert_int_equal(reeve_provider_get(p, &i), REEVE_NO_NODE);
    assert_int_equal(reeve_discovery_new(&d, other, "/b", NULL), REEVE_OK);
    put(d, "x", 1);
    put(d, "y", 2);
    crig_advance(w, 10);
    assert_int_equal(seen.n, 2);
    assert_int_equal(reeve_provider_get(p, &i), REEVE_OK);
    assert_int_equal(i->port, 1);
    reeve_instance_release(&i);
    put(d, "y", 3); // an update
    crig_advance(w, 10);
    assert_int_equal(reeve_provider_get(p, &i), REEVE_OK);
    assert_int_equal(i->port, 3);
    reeve_provider_note_error(p, i);
    reeve_provider_note_error(p, i);
    reeve_instance_release(&i);
    for (int k = 0; k < 4; k++) {
        assert_int_equal(reeve_provider_get(p, &i), REEVE_OK);
        assert_int_equal(i->port, 1);
        reeve_instance_release(&i);
    }
    // Data that is no instance is not picked, and hides no others.
    assert_int_equal(reeve_create(other, "/b/s/bad", "{\"port\":[]}", 11, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_create(other, "/b/s/null", NULL, 0, 0, NULL), REEVE_OK);
    crig_advance(w, 10);
    assert_int_equal(seen.n, 1);
    crig_drop(w, &other);
    crig_advance(w, 30000);
    assert_int_equal(seen.n, 0);
    reeve_provider_free(&p);
    crig_free(&w);
}

static char *encoded(struct reeve *zk, int port)
{
    const struct reeve_instance i = {.name = "s", .id = "x", .port = port};
    char *text;
    assert_int_equal(reeve_instance_encode(zk, &i, &text), REEVE_OK);
    return text;
}

static int only_port(struct reeve_provider *p)
{
    struct reeve_instances all;
    assert_int_equal(reeve_provider_all(p, &all), REEVE_OK);
    int port = all.n == 1 ? all.list[0]->port : -1;
    reeve_instances_fini(&all);
    return port;
}

// A node that goes and comes again while the provider looks, at each moment: its read may find
// none, and the list behind it the new one.
static void sees_who_comes_again_at_once(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve *other = crig_client(w, NULL);
    struct reeve_provider *p;
    char *text[3] = {encoded(zk, 1), encoded(zk, 2), encoded(zk, 3)};
    assert_int_equal(reeve_create(other, "/b", "", 0, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_create(other, "/b/s", "", 0, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_create(other, "/b/s/x", text[0], strlen(text[0]), 0, NULL), REEVE_OK);
    assert_int_equal(reeve_provider_new(&p, zk, "/b", "s", NULL), REEVE_OK);
    assert_int_equal(reeve_provider_wait(p, -1), REEVE_OK);
    for (int steps = 0; steps < 20; steps++) {
        assert_int_equal(reeve_delete_async(other, "/b/s/x", -1, NULL, NULL), REEVE_OK);
        for (int i = 0; i < steps; i++) {
            (void)crig_step(w);
        }
        assert_int_equal(
            reeve_create_async(other, "/b/s/x", text[1], strlen(text[1]), 0, NULL, NULL), REEVE_OK);
        crig_run(w);
        assert_int_equal(only_port(p), 2);
        assert_int_equal(reeve_set(other, "/b/s/x", text[2], strlen(text[2]), -1, NULL), REEVE_OK);
        crig_run(w);
        assert_int_equal(only_port(p), 3);
    }
    for (int i = 0; i < 3; i++) {
        reeve_realloc(zk, text[i], 0);
    }
    reeve_provider_free(&p);
    crig_free(&w);
}

static void keeps_what_it_knew(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve *other = crig_client(w, NULL);
    struct seen seen = {0};
    const struct reeve_provider_options o = {.changed = on_changed, .ctx = &seen};
    struct reeve_provider *p;
    struct reeve_discovery *d;
    assert_int_equal(reeve_discovery_new(&d, other, "/b", NULL), REEVE_OK);
    put(d, "x", 1);
    assert_int_equal(reeve_provider_new(&p, zk, "/b", "s", &o), REEVE_OK);
    assert_int_equal(reeve_provider_wait(p, -1), REEVE_OK);
    crig_refuse(w, zk, true);
    crig_cut(w, zk);
    crig_advance(w, 60000); // beyond its session
    assert_true(seen.stale);
    assert_int_equal(seen.n, 1);
    put(d, "y", 2);
    put(d, "x", 5);
    const struct reeve_instance *i;
    assert_int_equal(reeve_provider_get(p, &i), REEVE_OK);
    assert_int_equal(i->port, 1);
    reeve_instance_release(&i);
    crig_refuse(w, zk, false);
    crig_advance(w, 60000);
    assert_false(seen.stale);
    assert_int_equal(seen.n, 2);
    assert_int_equal(reeve_provider_wait(p, 0), REEVE_OK);
    // What changed meanwhile was read, and what changes now is seen.
    struct reeve_instances all;
    assert_int_equal(reeve_provider_all(p, &all), REEVE_OK);
    assert_int_equal(all.list[0]->port, 5);
    reeve_instances_fini(&all);
    put(d, "x", 6);
    crig_advance(w, 10);
    assert_int_equal(reeve_provider_all(p, &all), REEVE_OK);
    assert_int_equal(all.list[0]->port, 6);
    reeve_instances_fini(&all);
    reeve_discovery_free(&d);
    reeve_provider_free(&p);
    crig_free(&w);
}

static void says_that_it_waits_in_vain(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_provider *p;
    crig_refuse(w, zk, true);
    assert_int_equal(reeve_provider_new(&p, zk, "/b", "s", NULL), REEVE_OK);
    assert_int_equal(reeve_provider_wait(p, 500), REEVE_OPERATION_TIMEOUT);
    crig_refuse(w, zk, false);
    assert_int_equal(reeve_provider_wait(p, -1), REEVE_OK);
    reeve_provider_free(&p);
    crig_free(&w);
}

// A change while the connection is cut at each message: nothing is missed.
static void goes_through_cuts(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        for (size_t cut = 0; cut < 20; cut++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL);
            struct reeve *other = crig_client(w, NULL);
            struct reeve_provider *p;
            struct reeve_discovery *d;
            assert_int_equal(reeve_discovery_new(&d, other, "/b", NULL), REEVE_OK);
            put(d, "x", 1);
            crig_cut_after(w, zk, (enum crig_way)way, cut);
            assert_int_equal(reeve_provider_new(&p, zk, "/b", "s", NULL), REEVE_OK);
            for (int k = 0; k < 4; k++) {
                (void)crig_step(w);
            }
            put(d, "y", 2);
            put(d, "x", 3);
            assert_int_equal(reeve_discovery_unregister(d, "s", "y"), REEVE_OK);
            put(d, "z", 4);
            crig_advance(w, 20000);
            struct reeve_instances all;
            assert_false(reeve_provider_stale(p, NULL));
            assert_int_equal(reeve_provider_all(p, &all), REEVE_OK);
            assert_int_equal(all.n, 2);
            assert_int_equal(all.list[0]->port, 3);
            assert_int_equal(all.list[1]->port, 4);
            reeve_instances_fini(&all);
            reeve_provider_free(&p);
            reeve_discovery_free(&d);
            crig_free(&w);
        }
    }
}

// Changes that come while the one before is being read, at every message in between.
static void sees_the_last_of_many_changes(void **state)
{
    (void)state;
    for (int first = 0; first < 8; first++) {
        for (int second = 0; second < 8; second++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL);
            struct reeve *other = crig_client(w, NULL);
            struct reeve_provider *p;
            struct reeve_discovery *d;
            assert_int_equal(reeve_discovery_new(&d, other, "/b", NULL), REEVE_OK);
            put(d, "x", 1);
            assert_int_equal(reeve_provider_new(&p, zk, "/b", "s", NULL), REEVE_OK);
            assert_int_equal(reeve_provider_wait(p, -1), REEVE_OK);
            for (int k = 2; k < 8; k++) {
                char text[40];
                int n = snprintf(text, sizeof(text), "{\"name\":\"s\",\"port\":%d}", k);
                assert_int_equal(reeve_set_async(other, "/b/s/x", text, (size_t)n,
                                                 REEVE_ANY_VERSION, NULL, NULL),
                                 REEVE_OK);
                for (int s = 0; s < (k % 2 ? first : second); s++) {
                    (void)crig_step(w);
                }
            }
            crig_advance(w, 100);
            struct reeve_instances all;
            assert_int_equal(reeve_provider_all(p, &all), REEVE_OK);
            assert_int_equal(all.n, 1);
            assert_int_equal(all.list[0]->port, 7);
            reeve_instances_fini(&all);
            reeve_provider_free(&p);
            reeve_discovery_free(&d);
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
        struct reeve *other = crig_client(w, NULL);
        struct reeve_provider *p = NULL;
        struct reeve_discovery *d;
        assert_int_equal(reeve_discovery_new(&d, other, "/b", NULL), REEVE_OK);
        put(d, "x", 1);
        put(d, "y", 2);
        assert_int_equal(reeve_wait_connected(zk, 1000), REEVE_OK);
        crig_fail_alloc(w, n, 1);
        enum reeve_error e = reeve_provider_new(&p, zk, "/b", "s", NULL);
        assert_true(e == REEVE_OK || e == REEVE_NO_MEMORY);
        crig_advance(w, 5000);
        failed = crig_alloc_failed(w);
        crig_fail_alloc(w, 0, 0);
        if (!e) {
            struct reeve_instances all;
            assert_false(reeve_provider_stale(p, NULL));
            assert_int_equal(reeve_provider_all(p, &all), REEVE_OK);
            assert_int_equal(all.n, 2);
            reeve_instances_fini(&all);
            reeve_provider_free(&p);
        }
        reeve_discovery_free(&d);
        crig_free(&w);
    }
}

// Freed, or its client closed, at each message.
static void ends_at_any_point(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        for (int steps = 0; steps < 24; steps++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL);
            struct reeve *other = crig_client(w, NULL);
            struct reeve_provider *p;
            struct reeve_discovery *d;
            struct seen seen = {0};
            const struct reeve_provider_options o = {.changed = on_changed, .ctx = &seen};
            assert_int_equal(reeve_discovery_new(&d, other, "/b", NULL), REEVE_OK);
            put(d, "x", 1);
            assert_int_equal(reeve_provider_new(&p, zk, "/b", "s", &o), REEVE_OK);
            for (int k = 0; k < steps; k++) {
                (void)crig_step(w);
            }
            if (how == 0) {
                reeve_provider_free(&p);
                int calls = seen.calls;
                put(d, "y", 1);
                crig_advance(w, 5000);
                assert_int_equal(seen.calls, calls);
            } else {
                crig_drop(w, &zk);
            }
            reeve_discovery_free(&d);
            crig_free(&w);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_round),
        cmocka_unit_test(draws_by_weight),
        cmocka_unit_test(leaves_out_failing_ones),
        cmocka_unit_test(sticks),
        cmocka_unit_test(follows_a_service),
        cmocka_unit_test(sees_who_comes_again_at_once),
        cmocka_unit_test(keeps_what_it_knew),
        cmocka_unit_test(says_that_it_waits_in_vain),
        cmocka_unit_test(goes_through_cuts),
        cmocka_unit_test(sees_the_last_of_many_changes),
        cmocka_unit_test(goes_through_lack_of_memory),
        cmocka_unit_test(ends_at_any_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
