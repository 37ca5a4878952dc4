// SPDX-License-Identifier: Apache-2.0
//
// Who is told of what, against a slow model that keeps a plain list.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tree/watch.h"

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

// The receivers of a trigger, ascending: "1 2 ".
static const char *told(struct watches *w, enum watch_list list, const char *path)
{
    static char s[256];
    uint32_t *hits = NULL;
    size_t cap = 0;
    size_t n = watch_trigger(w, list, slice_str(path), &hits, &cap);
    if (n) {
        qsort(hits, n, sizeof(*hits), by_number);
    }
    int at = 0;
    s[0] = 0;
    for (size_t i = 0; i < n; i++) {
        at += snprintf(s + at, sizeof(s) - (size_t)at, "%u ", hits[i]);
    }
    free(hits);
    watches_check(w);
    return s;
}

static void add(struct watches *w, uint32_t watcher, const char *path, unsigned modes)
{
    watch_add(w, watcher, slice_str(path), modes);
}

static void one_shots_fire_once(void **state)
{
    (void)state;
    struct watches *w = watches_new(1);
    add(w, 1, "/a", WATCH_DATA);
    add(w, 1, "/a", WATCH_DATA);
    add(w, 2, "/a", WATCH_CHILD);
    assert_int_equal(watch_count(w), 2);
    assert_string_equal(told(w, WATCH_LIST_DATA, "/a"), "1 ");
    assert_string_equal(told(w, WATCH_LIST_DATA, "/a"), "");
    assert_string_equal(told(w, WATCH_LIST_CHILD, "/a"), "2 ");
    assert_string_equal(told(w, WATCH_LIST_CHILD, "/a"), "");
    assert_int_equal(watch_count(w), 0);
    watches_free(&w);
}

static void persistent_watches_stay(void **state)
{
    (void)state;
    struct watches *w = watches_new(1);
    add(w, 1, "/a", WATCH_PERSISTENT);
    add(w, 2, "/a", WATCH_PERSISTENT_RECURSIVE);
    add(w, 2, "/a/b", WATCH_DATA | WATCH_CHILD);
    add(w, 3, "/", WATCH_PERSISTENT_RECURSIVE);
    assert_string_equal(told(w, WATCH_LIST_DATA, "/a"), "1 2 3 ");
    assert_string_equal(told(w, WATCH_LIST_CHILD, "/a"), "1 ");
    assert_string_equal(told(w, WATCH_LIST_DATA, "/a/b"), "2 3 ");
    assert_string_equal(told(w, WATCH_LIST_CHILD, "/a/b"), "2 ");
    assert_string_equal(told(w, WATCH_LIST_DATA, "/a/b/c"), "2 3 ");
    assert_string_equal(told(w, WATCH_LIST_DATA, "/ab"), "3 ");
    assert_string_equal(told(w, WATCH_LIST_DATA, "/"), "3 ");
    assert_int_equal(watch_count(w), 4); // persistent counts in both lists
    assert_int_equal(watch_data_paths(w), 2);
    assert_int_equal(watch_data_watchers(w), 3);
    assert_int_equal(watch_data_count(w), 3);
    watch_drop(w, 2);
    assert_string_equal(told(w, WATCH_LIST_DATA, "/a/b"), "3 ");
    watch_drop(w, 77);
    watches_free(&w);
}

static void modes_are_added_and_taken_away_one_by_one(void **state)
{
    (void)state;
    struct watches *w = watches_new(1);
    add(w, 9, "/x", WATCH_DATA);
    add(w, 9, "/x", WATCH_PERSISTENT);
    assert_int_equal(watch_modes(w, 9, SLICE_LIT("/x")), WATCH_DATA | WATCH_PERSISTENT);
    assert_int_equal(watch_modes(w, 8, SLICE_LIT("/x")), 0);
    assert_int_equal(watch_modes(w, 9, SLICE_LIT("/y")), 0);
    watch_remove(w, 9, SLICE_LIT("/x"), WATCH_PERSISTENT);
    assert_int_equal(watch_modes(w, 9, SLICE_LIT("/x")), WATCH_DATA);
    watch_remove(w, 9, SLICE_LIT("/x"), WATCH_CHILD);
    assert_int_equal(watch_count(w), 1);
    watch_remove(w, 9, SLICE_LIT("/x"), WATCH_DATA);
    assert_int_equal(watch_count(w), 0);
    watches_check(w);
    watches_free(&w);
}

// ---- against a model ----

enum { WATCHERS = 12, PATHS = 40, MODEL_MAX = WATCHERS * PATHS };

struct model {
    unsigned modes[WATCHERS][PATHS];
};

static void path_of(int i, char *s)
{
    static const char *const names[] = {"", "/a", "/b", "/ab", "/c"};
    sprintf(s, "%s%s%s", names[i % 5], names[i / 5 % 4], i / 20 ? "/z" : "");
    if (!s[0]) {
        strcpy(s, "/");
    }
}

static bool is_above(const char *up, const char *path)
{
    size_t n = strlen(up);
    return strcmp(up, "/") == 0 || (strncmp(up, path, n) == 0 && (path[n] == 0 || path[n] == '/'));
}

static const char *model_told(struct model *m, enum watch_list list, const char *path)
{
    static char s[256];
    int at = 0;
    s[0] = 0;
    for (int w = 0; w < WATCHERS; w++) {
        bool hit = false;
        for (int p = 0; p < PATHS; p++) {
            char at_path[64];
            path_of(p, at_path);
            unsigned *modes = &m->modes[w][p];
            bool exact = strcmp(at_path, path) == 0;
            unsigned plain = list == WATCH_LIST_DATA ? WATCH_DATA : WATCH_CHILD;
            hit = hit || (exact && (*modes & (plain | WATCH_PERSISTENT)));
            hit = hit || (list == WATCH_LIST_DATA && (*modes & WATCH_PERSISTENT_RECURSIVE) &&
                          is_above(at_path, path));
            *modes &= exact ? ~plain : ~0u;
        }
        at += hit ? snprintf(s + at, sizeof(s) - (size_t)at, "%d ", w) : 0;
    }
    return s;
}

static void random_use_agrees_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rng r = {seed};
        struct model m = {0};
        struct watches *w = watches_new(seed);
        for (int i = 0; i < 4000; i++) {
            uint32_t watcher = (uint32_t)rng_below(&r, WATCHERS);
            int p = (int)rng_below(&r, PATHS);
            unsigned modes = 1u << rng_below(&r, 4);
            char path[64];
            path_of(p, path);
            switch (rng_below(&r, 6)) {
            case 0:
            case 1:
            case 2:
                add(w, watcher, path, modes);
                for (int q = 0; q < PATHS; q++) {
                    char other[64];
                    path_of(q, other);
                    m.modes[watcher][q] |= strcmp(other, path) == 0 ? modes : 0;
                }
                break;
            case 3:
                watch_remove(w, watcher, slice_str(path), modes);
                for (int q = 0; q < PATHS; q++) {
                    char other[64];
                    path_of(q, other);
                    m.modes[watcher][q] &= strcmp(other, path) == 0 ? ~modes : ~0u;
                }
                break;
            case 4: {
                enum watch_list list = rng_chance(&r, 1, 2) ? WATCH_LIST_DATA : WATCH_LIST_CHILD;
                char want[256];
                strcpy(want, model_told(&m, list, path));
                assert_string_equal(told(w, list, path), want);
                break;
            }
            default:
                if (rng_chance(&r, 1, 8)) {
                    watch_drop(w, watcher);
                    memset(m.modes[watcher], 0, sizeof(m.modes[watcher]));
                }
                break;
            }
        }
        watches_free(&w);
    }
}

struct seen {
    char text[256];
};

static void see(void *ctx, struct slice path, uint32_t watcher)
{
    struct seen *s = ctx;
    size_t n = strlen(s->text);
    snprintf(s->text + n, sizeof(s->text) - n, "%.*s:%u ", SLICE_ARG(path), watcher);
}

static void the_data_list_can_be_shown(void **state)
{
    (void)state;
    struct watches *w = watches_new(1);
    struct seen s = {""};
    add(w, 4, "/a", WATCH_DATA);
    add(w, 5, "/a", WATCH_CHILD);
    add(w, 5, "/b", WATCH_PERSISTENT);
    add(w, 6, "/a", WATCH_PERSISTENT_RECURSIVE);
    watch_each_data(w, see, &s);
    assert_string_equal(s.text, "/a:6 /a:4 /b:5 ");
    watches_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_shots_fire_once),
        cmocka_unit_test(persistent_watches_stay),
        cmocka_unit_test(modes_are_added_and_taken_away_one_by_one),
        cmocka_unit_test(random_use_agrees_with_the_model),
        cmocka_unit_test(the_data_list_can_be_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
