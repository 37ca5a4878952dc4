// SPDX-License-Identifier: Apache-2.0
//
// A cache beside the tree it follows: whatever happens to connections, sessions and memory, in the
// end it is the tree, the callbacks have told one history per path, and the last of them its state.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reeve/cache.h"
#include "test/support/client_rig.h"

enum { PATHS_MAX = 64 };

// What the callbacks told, kept as a tree of their own.
struct mirror {
    struct {
        char path[32], data[32];
        int64_t czxid;
        bool there;
    } nodes[PATHS_MAX];
    size_t n, events, ready, gaps, resynced, failed;
    bool is_ready, in_gap;
    enum reeve_error error;
    char log[512];
};

static size_t find(struct mirror *m, const char *path)
{
    size_t i = 0;
    while (i < m->n && strcmp(m->nodes[i].path, path) != 0) {
        i++;
    }
    assert_true(i < PATHS_MAX);
    if (i == m->n) {
        m->n++;
        snprintf(m->nodes[i].path, sizeof(m->nodes[i].path), "%s", path);
    }
    return i;
}

// Of the nodes that are there: the parent of this one, or any child.
static bool has_parent(struct mirror *m, const char *path)
{
    char parent[32];
    snprintf(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = '\0';
    return !parent[0] || m->nodes[find(m, parent)].there;
}

static bool has_child(const struct mirror *m, const char *path)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < m->n; i++) {
        if (m->nodes[i].there && !strncmp(m->nodes[i].path, path, n) &&
            m->nodes[i].path[n] == '/') {
            return true;
        }
    }
    return false;
}

static void keep(struct mirror *m, size_t i, const struct reeve_cache_node *node)
{
    snprintf(m->nodes[i].data, sizeof(m->nodes[i].data), "%.*s", (int)node->data_len,
             node->data ? (const char *)node->data : "");
    m->nodes[i].czxid = node->stat.czxid;
    m->nodes[i].there = true;
}

static void expect_old(const struct mirror *m, size_t i, const struct reeve_cache_node *old)
{
    assert_true(m->nodes[i].there);
    assert_int_equal(m->nodes[i].czxid, old->stat.czxid);
    assert_int_equal(strlen(m->nodes[i].data), old->data_len);
    assert_memory_equal(m->nodes[i].data, old->data_len ? old->data : "", old->data_len);
}

static void note(struct mirror *m, const struct reeve_cache_event *ev)
{
    static const char letters[] = {'+', '=', '-', 'R', 'G', 'S', 'F'};
    size_t n = strlen(m->log);
    snprintf(m->log + n, sizeof(m->log) - n, "%c%s ", letters[ev->type],
             ev->type <= REEVE_CACHE_DELETED ? ev->path : "");
}

static void on_event(void *ctx, const struct reeve_cache_event *ev)
{
    struct mirror *m = ctx;
    m->events++;
    note(m, ev);
    size_t i = ev->type <= REEVE_CACHE_DELETED ? find(m, ev->path) : 0;
    switch (ev->type) {
    case REEVE_CACHE_CREATED:
        assert_false(m->nodes[i].there);
        assert_null(ev->old);
        assert_true(has_parent(m, ev->path));
        assert_true(ev->node->stat.czxid > m->nodes[i].czxid); // no node is created twice
        keep(m, i, ev->node);
        break;
    case REEVE_CACHE_CHANGED:
        expect_old(m, i, ev->old);
        assert_int_equal(ev->old->stat.czxid, ev->node->stat.czxid);
        assert_true(ev->old->stat.mzxid < ev->node->stat.mzxid);
        keep(m, i, ev->node);
        break;
    case REEVE_CACHE_DELETED:
        assert_null(ev->node);
        expect_old(m, i, ev->old);
        assert_false(has_child(m, ev->path));
        m->nodes[i].there = false;
        break;
    case REEVE_CACHE_READY:
        m->ready++;
        m->is_ready = true;
        break;
    case REEVE_CACHE_GAP:
        assert_false(m->in_gap);
        m->in_gap = true;
        m->gaps++;
        break;
    case REEVE_CACHE_RESYNCED:
        assert_true(m->in_gap);
        m->in_gap = false;
        m->resynced++;
        break;
    case REEVE_CACHE_FAILED:
        m->failed++;
        m->error = ev->error;
        break;
    }
}

// Counts what is below path on the server, and compares each node with cache and mirror.
static size_t compare(struct reeve *zk, struct reeve_cache *c, struct mirror *m, const char *path)
{
    struct reeve_result real, mine, kids;
    if (reeve_get(zk, path, NULL, &real) == REEVE_NO_NODE) {
        assert_int_equal(reeve_cache_get(c, path, &mine), REEVE_NO_NODE);
        reeve_result_fini(&real);
        reeve_result_fini(&mine);
        return 0;
    }
    assert_int_equal(reeve_cache_get(c, path, &mine), REEVE_OK);
    assert_int_equal(mine.data_len, real.data_len);
    assert_memory_equal(mine.data_len ? mine.data : "", real.data_len ? real.data : "",
                        real.data_len);
    assert_int_equal(mine.stat.mzxid, real.stat.mzxid);
    assert_int_equal(mine.stat.czxid, real.stat.czxid);
    size_t i = find(m, path);
    assert_true(m->nodes[i].there);
    assert_int_equal(m->nodes[i].czxid, real.stat.czxid);
    assert_memory_equal(m->nodes[i].data, real.data_len ? real.data : "", real.data_len);
    reeve_result_fini(&real);
    reeve_result_fini(&mine);
    size_t n = 1;
    assert_int_equal(reeve_children(zk, path, NULL, &kids), REEVE_OK);
    assert_int_equal(reeve_cache_children(c, path, &mine), REEVE_OK);
    assert_int_equal(kids.children_n, mine.children_n);
    for (i = 0; i < kids.children_n; i++) {
        char child[64];
        snprintf(child, sizeof(child), "%s/%s", path, kids.children[i]);
        n += compare(zk, c, m, child);
    }
    reeve_result_fini(&kids);
    reeve_result_fini(&mine);
    return n;
}

static void expect_same(struct reeve *zk, struct reeve_cache *c, struct mirror *m)
{
    size_t n = compare(zk, c, m, "/c");
    assert_int_equal(reeve_cache_count(c), n);
    size_t there = 0;
    for (size_t i = 0; i < m->n; i++) {
        there += m->nodes[i].there;
    }
    assert_int_equal(there, n);
    assert_true(reeve_cache_in_sync(c));
    assert_false(m->in_gap);
}

static struct reeve_cache *cache(struct reeve *zk, bool one_shot, struct mirror *m)
{
    struct reeve_cache_options o = {
        .event = on_event, .ctx = m, .one_shot = one_shot, .reads_max = 3};
    struct reeve_cache *c;
    assert_int_equal(reeve_cache_new(&c, zk, "/c", &o), REEVE_OK);
    return c;
}

static void make(struct reeve *zk, const char *path, const char *data)
{
    assert_int_equal(reeve_create(zk, path, data, strlen(data), 0, NULL), REEVE_OK);
}

static void set(struct reeve *zk, const char *path, const char *data)
{
    assert_int_equal(reeve_set(zk, path, data, strlen(data), REEVE_ANY_VERSION, NULL), REEVE_OK);
}

static void del(struct reeve *zk, const char *path)
{
    assert_int_equal(reeve_delete(zk, path, REEVE_ANY_VERSION, NULL), REEVE_OK);
}

static void make_tree(struct reeve *zk)
{
    make(zk, "/c", "top");
    make(zk, "/c/a", "1");
    make(zk, "/c/a/x", "2");
    make(zk, "/c/a/y", "");
    make(zk, "/c/b", "3");
}

// Everything that can happen to a node, also twice.
static void change_tree(struct reeve *zk)
{
    set(zk, "/c/a", "11");
    set(zk, "/c/a", "111");
    del(zk, "/c/a/x");
    make(zk, "/c/a/x", "again"); // another node of the same name
    del(zk, "/c/b");
    make(zk, "/c/d", "4");
    make(zk, "/c/d/e", "5");
    make(zk, "/c/d/e/f", "6");
    set(zk, "/c/d/e/f", "66");
    set(zk, "/c", "top2");
}

static void follows(void **state)
{
    (void)state;
    for (int one_shot = 0; one_shot < 2; one_shot++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
        struct mirror m = {0};
        make_tree(other);
        struct reeve_cache *c = cache(zk, one_shot, &m);
        assert_int_equal(reeve_cache_wait_ready(c, 5000), REEVE_OK);
        assert_int_equal(m.ready, 1);
        expect_same(other, c, &m);
        change_tree(other);
        crig_run(w);
        expect_same(other, c, &m);
        assert_int_equal(m.gaps, 0);
        del(other, "/c/d/e/f");
        del(other, "/c/d/e");
        del(other, "/c/d");
        del(other, "/c/a/x");
        del(other, "/c/a/y");
        del(other, "/c/a");
        del(other, "/c");
        crig_run(w);
        expect_same(other, c, &m);
        assert_int_equal(reeve_cache_count(c), 0);
        make(other, "/c", "new");
        make(other, "/c/z", "z");
        crig_run(w);
        expect_same(other, c, &m);
        reeve_cache_free(&c);
        crig_free(&w);
    }
}

static void tells_what_happened(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
    struct mirror m = {0};
    struct reeve_cache *c = cache(zk, false, &m);
    assert_int_equal(reeve_cache_wait_ready(c, -1), REEVE_OK);
    make(other, "/c", "1");
    crig_run(w);
    make(other, "/c/k", "2");
    crig_run(w);
    set(other, "/c/k", "3");
    crig_run(w);
    crig_cut(w, zk);
    del(other, "/c/k");
    make(other, "/c/k", "3");
    crig_advance(w, 3000);
    del(other, "/c/k");
    crig_run(w);
    assert_string_equal(m.log, "R +/c +/c/k =/c/k G -/c/k +/c/k S -/c/k ");
    reeve_cache_free(&c);
    crig_free(&w);
}

static void follows_one_node(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
    struct mirror m = {0};
    struct reeve_cache_options o = {.event = on_event, .ctx = &m, .one_node = true};
    struct reeve_cache *c;
    assert_int_equal(reeve_cache_new(&c, zk, "/c", &o), REEVE_OK);
    crig_run(w);
    make_tree(other);
    change_tree(other);
    crig_run(w);
    assert_int_equal(reeve_cache_count(c), 1);
    struct reeve_result r;
    assert_int_equal(reeve_cache_get(c, "/c", &r), REEVE_OK);
    assert_string_equal(r.data, "top2");
    reeve_result_fini(&r);
    assert_int_equal(reeve_cache_get(c, NULL, &r), REEVE_NO_NODE);
    reeve_result_fini(&r);
    assert_int_equal(reeve_cache_get(c, "/c/a", &r), REEVE_NO_NODE);
    reeve_result_fini(&r);
    reeve_cache_free(&c);
    crig_free(&w);
}

// A cut after each message, with changes before and behind it: nothing that was last is missed.
static void survives_cuts(void **state)
{
    (void)state;
    for (int one_shot = 0; one_shot < 2; one_shot++) {
        for (size_t way = 0; way < 2; way++) {
            bool cut = true;
            for (size_t at = 1; cut; at++) {
                struct crig *w = crig_new();
                struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
                struct mirror m = {0};
                make_tree(other);
                crig_cut_after(w, zk, way ? CRIG_TO_CLIENT : CRIG_TO_SERVER, at);
                struct reeve_cache *c = cache(zk, one_shot, &m);
                for (size_t i = 0; i < 12; i++) {
                    (void)crig_step(w);
                }
                change_tree(other);
                crig_advance(w, 3000);
                cut = crig_was_cut(w, zk);
                expect_same(other, c, &m);
                reeve_cache_free(&c);
                crig_free(&w);
            }
        }
    }
}

// Cut off for long, with the session kept or lost, while everything changes.
static void resyncs_after_a_gap(void **state)
{
    (void)state;
    for (int one_shot = 0; one_shot < 2; one_shot++) {
        for (int lost = 0; lost < 2; lost++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
            struct mirror m = {0};
            make_tree(other);
            struct reeve_cache *c = cache(zk, one_shot, &m);
            crig_run(w);
            crig_refuse(w, zk, true);
            crig_cut(w, zk);
            crig_advance(w, lost ? 30000 : 1000);
            assert_false(reeve_cache_in_sync(c));
            change_tree(other);
            crig_refuse(w, zk, false);
            crig_advance(w, 5000);
            expect_same(other, c, &m);
            assert_int_equal(m.gaps, 1);
            assert_int_equal(m.resynced, 1);
            set(other, "/c/a", "after");
            crig_run(w);
            expect_same(other, c, &m);
            size_t events = m.events;
            assert_int_equal(reeve_cache_resync(c), REEVE_OK);
            crig_run(w);
            assert_int_equal(m.events, events + 2); // a gap and its end, and nothing in between
            reeve_cache_free(&c);
            crig_free(&w);
        }
    }
}

static void make_anew(struct reeve *zk)
{
    del(zk, "/c/a/x");
    del(zk, "/c/a/y");
    del(zk, "/c/a");
    make(zk, "/c/a", "1");
    make(zk, "/c/a/x", "2");
    make(zk, "/c/a/x/new", "");
}

// A node and its parents that were made anew together: what is new belongs below what is new, and
// is told once, after it.
static void tells_a_new_subtree_from_its_top(void **state)
{
    (void)state;
    for (size_t run = 0; run < 8; run++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
        struct mirror m = {0};
        struct reeve_cache_options o = {
            .event = on_event, .ctx = &m, .one_shot = run & 1, .reads_max = run & 2 ? 1 : 64};
        struct reeve_cache *c;
        make_tree(other);
        assert_int_equal(reeve_cache_new(&c, zk, "/c", &o), REEVE_OK);
        crig_run(w);
        crig_stop(w, zk, true);
        if (run & 4) {                 // one-shot watches tell of these, and of nothing behind them
            set(other, "/c/b", "old"); // is read while the others wait
            make(other, "/c/a/z", "");
            set(other, "/c/a/x", "old");
            set(other, "/c/a", "old");
            set(other, "/c", "old");
            del(other, "/c/a/z");
        }
        make_anew(other);
        crig_stop(w, zk, false);
        crig_run(w);
        expect_same(other, c, &m);
        reeve_cache_free(&c);
        crig_free(&w);
    }
}

// The same unseen, and then, while everything is being read again, once more.
static void tells_a_new_subtree_after_a_gap(void **state)
{
    (void)state;
    for (size_t run = 0; run < 4 * 30; run++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
        struct mirror m = {0};
        make_tree(other);
        struct reeve_cache *c = cache(zk, run & 1, &m);
        crig_run(w);
        crig_refuse(w, zk, true);
        crig_cut(w, zk);
        crig_advance(w, run & 2 ? 30000 : 1000);
        make_anew(other);
        crig_refuse(w, zk, false);
        for (size_t i = 0; i < run / 4; i++) {
            crig_step(w);
            crig_advance(w, i < 4 ? 100 : 0);
        }
        set(other, "/c/a/x/new", "1");
        make(other, "/c/a/x/new/too", "");
        crig_advance(w, 5000);
        expect_same(other, c, &m);
        reeve_cache_free(&c);
        crig_free(&w);
    }
}

static void fails_when_it_is_too_big(void **state)
{
    (void)state;
    for (int by_bytes = 0; by_bytes < 2; by_bytes++) {
        struct crig *w = crig_new();
        struct reeve *zk = crig_client(w, NULL);
        struct mirror m = {0};
        make_tree(zk);
        struct reeve_cache_options o = {.event = on_event, .ctx = &m};
        o.nodes_max = by_bytes ? 0 : 6;
        o.bytes_max = by_bytes ? 6000 : 0;
        struct reeve_cache *c;
        assert_int_equal(reeve_cache_new(&c, zk, "/c", &o), REEVE_OK);
        assert_int_equal(reeve_cache_wait_ready(c, -1), REEVE_OK);
        char big[6000] = {0};
        make(zk, "/c/n1", "");
        crig_run(w);
        assert_int_equal(m.failed, 0);
        if (by_bytes) {
            assert_int_equal(reeve_set(zk, "/c/n1", big, sizeof(big), -1, NULL), REEVE_OK);
        } else {
            make(zk, "/c/n2", "");
        }
        crig_run(w);
        assert_int_equal(m.failed, 1);
        assert_int_equal(m.error, REEVE_TOO_BIG);
        assert_int_equal(reeve_cache_wait_ready(c, -1), REEVE_TOO_BIG);
        size_t events = m.events;
        set(zk, "/c/a", "unseen");
        crig_run(w);
        assert_int_equal(m.events, events);
        if (by_bytes) {
            set(zk, "/c/n1", "small");
        } else {
            del(zk, "/c/n2");
        }
        assert_int_equal(reeve_cache_resync(c), REEVE_OK);
        crig_run(w);
        expect_same(zk, c, &m);
        reeve_cache_free(&c);
        crig_free(&w);
    }
}

// One allocation fails: in the end it is the tree nevertheless, or it has said that it is not.
// A node whose name fits no request of this client cannot be followed, and that is told.
static void fails_when_it_may_not_ask(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve_options small = {.request_max = 100};
    struct reeve *zk = crig_client(w, &small), *other = crig_client(w, NULL);
    struct mirror m = {.n = 0};
    struct reeve_cache_options o = {.event = on_event, .ctx = &m};
    struct reeve_cache *c;
    char path[200] = "/c/";
    memset(path + 3, 'x', 150);
    assert_int_equal(reeve_create(other, "/c", "", 0, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_cache_new(&c, zk, "/c", &o), REEVE_OK);
    assert_int_equal(reeve_cache_wait_ready(c, 1000), REEVE_OK);
    assert_int_equal(reeve_create(other, path, "", 0, 0, NULL), REEVE_OK);
    crig_run(w);
    assert_int_equal(m.failed, 1);
    assert_int_equal(m.error, REEVE_TOO_BIG);
    assert_false(reeve_cache_in_sync(c));
    assert_int_equal(reeve_delete(other, path, -1, NULL), REEVE_OK);
    assert_int_equal(reeve_cache_resync(c), REEVE_OK);
    crig_run(w);
    assert_true(reeve_cache_in_sync(c));
    reeve_cache_free(&c);
    crig_free(&w);
}

static void goes_on_without_memory(void **state)
{
    (void)state;
    for (int one_shot = 0; one_shot < 2; one_shot++) {
        bool failed = true;
        for (size_t at = 1; failed; at++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
            struct mirror m = {0};
            make_tree(other);
            crig_run(w);
            struct reeve_cache_options o = {
                .event = on_event, .ctx = &m, .one_shot = one_shot, .reads_max = 3};
            struct reeve_cache *c;
            crig_fail_alloc(w, at, 1);
            enum reeve_error e = reeve_cache_new(&c, zk, "/c", &o);
            crig_run(w);
            failed = crig_alloc_failed(w);
            crig_fail_alloc(w, 0, 0);
            if (e) {
                assert_int_equal(e, REEVE_NO_MEMORY);
                crig_free(&w);
                continue;
            }
            change_tree(other);
            crig_advance(w, 3000);
            if (m.failed) {
                assert_int_equal(reeve_cache_resync(c), REEVE_OK);
                crig_advance(w, 1000);
            }
            expect_same(other, c, &m);
            reeve_cache_free(&c);
            crig_free(&w);
        }
    }
}

// The same while it follows: all changes come at once, and one allocation of dealing with them
// fails.
static void follows_without_memory(void **state)
{
    (void)state;
    for (int one_shot = 0; one_shot < 2; one_shot++) {
        bool failed = true;
        for (size_t at = 1; failed; at++) {
            struct crig *w = crig_new();
            struct reeve *zk = crig_client(w, NULL), *other = crig_client(w, NULL);
            struct mirror m = {0};
            make_tree(other);
            struct reeve_cache *c = cache(zk, one_shot, &m);
            assert_int_equal(reeve_cache_wait_ready(c, -1), REEVE_OK);
            crig_hold(w, zk, true);
            change_tree(other);
            crig_hold(w, zk, false);
            crig_fail_alloc(w, at, 1);
            crig_advance(w, 3000);
            failed = crig_alloc_failed(w);
            crig_fail_alloc(w, 0, 0);
            if (m.failed) {
                assert_int_equal(reeve_cache_resync(c), REEVE_OK);
                crig_advance(w, 1000);
            }
            expect_same(other, c, &m);
            reeve_cache_free(&c);
            crig_free(&w);
        }
    }
}

static void on_ready(void *ctx, enum reeve_error e)
{
    struct mirror *m = ctx;
    m->n++;
    m->error = e;
}

static void waits_and_is_freed_at_any_time(void **state)
{
    (void)state;
    struct crig *w = crig_new();
    struct reeve *zk = crig_client(w, NULL);
    struct reeve_cache *c;
    make_tree(zk);
    crig_refuse(w, zk, true);
    crig_cut(w, zk);
    assert_int_equal(reeve_cache_new(&c, zk, "/c", NULL), REEVE_OK);
    assert_int_equal(reeve_cache_wait_ready(c, 1000), REEVE_OPERATION_TIMEOUT);
    reeve_cache_free(&c);
    assert_int_equal(reeve_cache_new(&c, zk, "c", NULL), REEVE_BAD_ARGUMENTS);
    crig_refuse(w, zk, false);
    crig_advance(w, 3000);
    for (size_t steps = 0; steps < 30; steps++) {
        struct mirror m = {0}, waiting = {0};
        c = cache(zk, steps % 2, &m);
        assert_int_equal(reeve_cache_wait_ready_async(c, -1, on_ready, &waiting), REEVE_OK);
        for (size_t i = 0; i < steps; i++) {
            (void)crig_step(w);
        }
        reeve_cache_free(&c);
        size_t events = m.events;
        crig_run(w);
        assert_int_equal(m.events, events);
        assert_int_equal(waiting.n, 1);
        assert_true(waiting.error == REEVE_CANCELLED || waiting.error == REEVE_OK);
    }
    crig_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows),
        cmocka_unit_test(tells_what_happened),
        cmocka_unit_test(follows_one_node),
        cmocka_unit_test(survives_cuts),
        cmocka_unit_test(resyncs_after_a_gap),
        cmocka_unit_test(tells_a_new_subtree_from_its_top),
        cmocka_unit_test(tells_a_new_subtree_after_a_gap),
        cmocka_unit_test(fails_when_it_is_too_big),
        cmocka_unit_test(fails_when_it_may_not_ask),
        cmocka_unit_test(goes_on_without_memory),
        cmocka_unit_test(follows_without_memory),
        cmocka_unit_test(waits_and_is_freed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
