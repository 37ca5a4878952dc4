// SPDX-License-Identifier: Apache-2.0
//
// client/watches: which event concerns which list (Java's ZKWatchManager.materialize), how often,
// and what taking back does between two pulls; against a model on random steps, with and without
// memory for larger tables.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "client/watchers.h"
#include "test/support/client_kit.h"
#include "wire/path.h"

static struct kit_memory memory = {.left = -1};

static void on_watch(void *ctx, const struct reeve_event *ev)
{
    (void)ctx;
    (void)ev;
}

static void on_other(void *ctx, const struct reeve_event *ev)
{
    (void)ctx;
    (void)ev;
}

static struct watchers *open_watches(void)
{
    struct reeve_allocator a = kit_allocator(&memory);
    struct watchers *w;
    assert_int_equal(watchers_new(&a, 7, &w), REEVE_OK);
    return w;
}

static void close_watches(struct watchers **w)
{
    watchers_free(w);
    watchers_free(w); // nothing
    assert_int_equal(memory.live, 0);
}

static void add(struct watchers *w, enum watch_list list, const char *path, void *ctx)
{
    struct reeve_allocator a = kit_allocator(&memory);
    struct reeve_watch how = {on_watch, ctx};
    struct watch *r = watch_new(&a, list, slice_str(path), &how);
    assert_non_null(r);
    watchers_add(w, r);
}

// What is due, in order: "ctx type path[ last][ why]" each, with ", " between.
static const char *pull(struct watchers *w)
{
    static char text[1000];
    size_t n = 0;
    struct reeve_watch how;
    struct reeve_event ev;
    text[0] = 0;
    while (watchers_next(w, &how, &ev)) {
        assert_true(how.fn == on_watch);
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %d %s%s", n ? ", " : "",
                              (const char *)how.ctx, (int)ev.type, ev.path, ev.last ? " last" : "");
        if (ev.why) {
            n += (size_t)snprintf(text + n, sizeof(text) - n, " %s", reeve_error_name(ev.why));
        }
        assert_true(n < sizeof(text));
    }
    return text;
}

static const char *fire(struct watchers *w, enum reeve_event_type type, const char *path)
{
    watchers_fire(w, type, slice_str(path));
    return pull(w);
}

static const char *const list_names[WATCH_LISTS] = {"data", "exist", "child", "pers", "rec"};

static void every_event_concerns_its_lists(void **state)
{
    (void)state;
    static const struct {
        enum reeve_event_type type;
        const char *due;
        size_t left;
    } rows[] = {
        {REEVE_EVENT_CREATED, "data 1 /p last, exist 1 /p last, pers 1 /p, rec 1 /p", 3},
        {REEVE_EVENT_DELETED,
         "data 2 /p last, exist 2 /p last, child 2 /p last, pers 2 /p, "
         "rec 2 /p",
         2},
        {REEVE_EVENT_CHANGED, "data 3 /p last, exist 3 /p last, pers 3 /p, rec 3 /p", 3},
        {REEVE_EVENT_CHILDREN, "child 4 /p last, pers 4 /p", 4},
        {REEVE_EVENT_ENDED, "", 5}, // not an event of a server
        {(enum reeve_event_type)0, "", 5},
        {(enum reeve_event_type)99, "", 5},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct watchers *w = open_watches();
        for (int list = 0; list < WATCH_LISTS; list++) {
            add(w, (enum watch_list)list, "/p", (void *)(uintptr_t)list_names[list]);
        }
        assert_string_equal(fire(w, rows[i].type, "/q"), "");
        assert_string_equal(fire(w, rows[i].type, "/p"), rows[i].due);
        assert_int_equal(watchers_count(w), rows[i].left);
        close_watches(&w);
    }
}

static void a_recursive_watch_hears_of_everything_below_but_children(void **state)
{
    (void)state;
    struct watchers *w = open_watches();
    add(w, WATCH_RECURSIVE, "/", "root");
    add(w, WATCH_RECURSIVE, "/a", "a");
    add(w, WATCH_RECURSIVE, "/a/b/c", "c");
    assert_string_equal(fire(w, REEVE_EVENT_CHANGED, "/a/b"), "a 3 /a/b, root 3 /a/b");
    assert_string_equal(fire(w, REEVE_EVENT_CREATED, "/a/b/c"),
                        "c 1 /a/b/c, a 1 /a/b/c, root 1 /a/b/c");
    assert_string_equal(fire(w, REEVE_EVENT_DELETED, "/ab"), "root 2 /ab");
    assert_string_equal(fire(w, REEVE_EVENT_CHANGED, "/"), "root 3 /");
    assert_string_equal(fire(w, REEVE_EVENT_CHILDREN, "/a/b"), "");
    assert_string_equal(fire(w, REEVE_EVENT_CHANGED, "a"), ""); // not a path
    assert_string_equal(fire(w, REEVE_EVENT_CHANGED, ""), "");
    close_watches(&w);
}

static void the_same_watch_is_one(void **state)
{
    (void)state;
    struct watchers *w = open_watches();
    add(w, WATCH_DATA, "/p", "one");
    add(w, WATCH_DATA, "/p", "two");
    add(w, WATCH_DATA, "/p", "one");
    add(w, WATCH_CHILD, "/p", "one");
    add(w, WATCH_DATA, "/p/q", "one");
    assert_int_equal(watchers_count(w), 4);
    assert_string_equal(fire(w, REEVE_EVENT_DELETED, "/p"),
                        "one 2 /p last, two 2 /p last, one 2 /p last");
    close_watches(&w);
}

static void removing_ends_the_lists_of_the_kind(void **state)
{
    (void)state;
    static const struct {
        enum reeve_watch_kind kind;
        const char *due;
    } rows[] = {
        {REEVE_WATCH_CHILDREN, "child 5 /p last"},
        {REEVE_WATCH_DATA, "data 5 /p last, exist 5 /p last"},
        {REEVE_WATCH_ANY, "data 5 /p last, exist 5 /p last, child 5 /p last, pers 5 /p last, "
                          "rec 5 /p last"},
        {REEVE_WATCH_PERSISTENT, "pers 5 /p last"},
        {REEVE_WATCH_RECURSIVE, "rec 5 /p last"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct watchers *w = open_watches();
        for (int list = 0; list < WATCH_LISTS; list++) {
            add(w, (enum watch_list)list, "/p", (void *)(uintptr_t)list_names[list]);
        }
        watchers_removed(w, SLICE_LIT("/"), rows[i].kind);
        assert_string_equal(pull(w), "");
        watchers_removed(w, SLICE_LIT("/p"), rows[i].kind);
        assert_string_equal(pull(w), rows[i].due);
        close_watches(&w);
    }
}

static void the_end_reaches_everything_once(void **state)
{
    (void)state;
    struct watchers *w = open_watches();
    struct reeve_watch how;
    struct reeve_event ev;
    add(w, WATCH_DATA, "/p", "data");
    add(w, WATCH_PERSISTENT, "/p", "pers");
    add(w, WATCH_RECURSIVE, "/p", "rec");
    watchers_fire(w, REEVE_EVENT_CHANGED, SLICE_LIT("/p"));
    assert_true(watchers_next(w, &how, &ev)); // "data"; the others end before they hear of it
    watchers_end(w, REEVE_SESSION_EXPIRED);
    assert_int_equal(watchers_count(w), 0);
    assert_string_equal(pull(w), "pers 5 /p last SESSIONEXPIRED, rec 5 /p last SESSIONEXPIRED");
    watchers_end(w, REEVE_CLOSED);
    assert_string_equal(pull(w), "");
    close_watches(&w);
}

// What was due before the end keeps its event if it was its last word anyway.
static void a_one_shot_that_is_due_keeps_its_event(void **state)
{
    (void)state;
    struct watchers *w = open_watches();
    add(w, WATCH_CHILD, "/p", "child");
    add(w, WATCH_DATA, "/q", "data");
    watchers_fire(w, REEVE_EVENT_CHILDREN, SLICE_LIT("/p"));
    watchers_end(w, REEVE_CLOSED);
    assert_string_equal(pull(w), "child 4 /p last, data 5 /q last CLOSED");
    close_watches(&w);
}

static bool forget(struct watchers *w, const char *path, void *ctx)
{
    return watchers_forget(w, slice_str(path), on_watch, ctx);
}

static void what_is_taken_back_is_not_called(void **state)
{
    (void)state;
    struct watchers *w = open_watches();
    static char one[] = "one", two[] = "two";
    add(w, WATCH_DATA, "/p", one);
    add(w, WATCH_CHILD, "/p", one);
    add(w, WATCH_CHILD, "/p", two);
    add(w, WATCH_PERSISTENT, "/p", one);
    assert_false(forget(w, "/q", one));
    assert_false(watchers_forget(w, SLICE_LIT("/p"), on_other, one));
    assert_false(forget(w, "/p", one)); // another one stays
    assert_int_equal(watchers_count(w), 1);
    assert_true(forget(w, "/p", two));
    assert_false(forget(w, "/p", two));
    add(w, WATCH_DATA, "/p", one);
    watchers_fire(w, REEVE_EVENT_CHANGED, SLICE_LIT("/p"));
    assert_false(forget(w, "/p", one)); // the server has dropped it by itself
    add(w, WATCH_DATA, "/p", one);
    add(w, WATCH_PERSISTENT, "/p", two);
    watchers_fire(w, REEVE_EVENT_CHANGED, SLICE_LIT("/p"));
    assert_false(forget(w, "/p", one));
    assert_true(forget(w, "/p", two));
    assert_string_equal(pull(w), "");
    close_watches(&w);
}

// From the moment it is asked for, a watch can be taken back and keeps others from being the last;
// but no event concerns it before it is set.
static void what_is_asked_for_is_taken_back_too(void **state)
{
    (void)state;
    struct reeve_allocator a = kit_allocator(&memory);
    struct watchers *w = open_watches();
    static char one[] = "one", two[] = "two";
    struct watch *asked[3];
    for (int i = 0; i < 3; i++) {
        struct reeve_watch how = {on_watch, i == 1 ? two : one};
        asked[i] = watch_new(&a, WATCH_DATA, SLICE_LIT("/p"), &how);
        watchers_ask(w, &asked[i]);
    }
    assert_int_equal(watchers_count(w), 0);
    assert_string_equal(fire(w, REEVE_EVENT_CHANGED, "/p"), "");
    watchers_removed(w, SLICE_LIT("/p"), REEVE_WATCH_ANY);
    watchers_end(w, REEVE_CLOSED);
    assert_string_equal(pull(w), "");
    size_t at = 0;
    enum watch_list list;
    struct slice path;
    assert_false(watchers_each(w, &at, &list, &path));
    assert_false(forget(w, "/p", one)); // both of them
    assert_null(asked[0]);
    assert_null(asked[2]);
    add(w, WATCH_DATA, "/p", one);
    assert_false(forget(w, "/p", one));
    watchers_add(w, asked[1]);
    assert_string_equal(fire(w, REEVE_EVENT_CHANGED, "/p"), "two 3 /p last");
    struct reeve_watch how = {on_watch, one};
    asked[0] = watch_new(&a, WATCH_DATA, SLICE_LIT("/p"), &how);
    asked[1] = watch_new(&a, WATCH_DATA, SLICE_LIT("/p"), &how);
    asked[2] = watch_new(&a, WATCH_DATA, SLICE_LIT("/p"), &how);
    watchers_ask(w, &asked[0]);
    watchers_ask(w, &asked[1]);
    watchers_withdraw(w, &asked[0]);
    watchers_withdraw(w, &asked[2]);
    assert_null(asked[0]);
    assert_null(asked[2]);
    add(w, WATCH_DATA, "/p", one);
    assert_int_equal(watchers_count(w), 1);
    watchers_add(w, asked[1]); // the same
    assert_int_equal(watchers_count(w), 1);
    asked[0] = watch_new(&a, WATCH_DATA, SLICE_LIT("/q"), &how);
    watchers_ask(w, &asked[0]);
    close_watches(&w);
    assert_null(asked[0]);
}

// In its own callback: the path of the event stays readable until the next pull.
static void a_watch_takes_itself_back(void **state)
{
    (void)state;
    for (int list = 0; list < WATCH_LISTS; list++) {
        struct watchers *w = open_watches();
        struct reeve_watch how;
        struct reeve_event ev;
        static char ctx[] = "x";
        add(w, (enum watch_list)list, "/p", ctx);
        watchers_fire(w, list == WATCH_CHILD ? REEVE_EVENT_CHILDREN : REEVE_EVENT_CREATED,
                      SLICE_LIT("/p"));
        assert_true(watchers_next(w, &how, &ev));
        forget(w, "/p", ctx);
        assert_int_equal(watchers_count(w), 0);
        assert_string_equal(ev.path, "/p");
        assert_false(watchers_next(w, &how, &ev));
        close_watches(&w);
    }
    struct watchers *w = open_watches(); // and the end comes during the callback
    struct reeve_watch how;
    struct reeve_event ev;
    add(w, WATCH_PERSISTENT, "/p", "x");
    watchers_fire(w, REEVE_EVENT_CREATED, SLICE_LIT("/p"));
    assert_true(watchers_next(w, &how, &ev));
    watchers_end(w, REEVE_CLOSED);
    assert_string_equal(ev.path, "/p");
    assert_string_equal(pull(w), "x 5 /p last CLOSED");
    close_watches(&w);
}

static void freeing_what_is_due_or_pulled_leaves_nothing(void **state)
{
    (void)state;
    for (int pulls = 0; pulls < 4; pulls++) {
        struct watchers *w = open_watches();
        struct reeve_watch how;
        struct reeve_event ev;
        add(w, WATCH_DATA, "/p", "a");
        add(w, WATCH_PERSISTENT, "/p", "b");
        add(w, WATCH_DATA, "/q", "c");
        watchers_fire(w, REEVE_EVENT_CHANGED, SLICE_LIT("/p"));
        for (int i = 0; i < pulls; i++) {
            watchers_next(w, &how, &ev);
        }
        close_watches(&w);
    }
}

// ---- a model on random steps ------------------------------------------------------------------

enum { PATHS = 40, CTXS = 3, STEPS = 3000 };

static char paths[PATHS][24];
static char ctxs[CTXS];
static bool model[PATHS][WATCH_LISTS][CTXS];

static void name_paths(void)
{
    snprintf(paths[0], sizeof(paths[0]), "/");
    for (int i = 1; i < PATHS; i++) { // each below an earlier one
        const char *above = paths[(i - 1) / 3];
        snprintf(paths[i], sizeof(paths[i]), "%.16s/%d", above[1] ? above : "", i);
    }
}

static bool is_concerned(int p, int list, enum reeve_event_type type, int at)
{
    bool exact = p == at;
    switch (list) {
    case WATCH_DATA:
    case WATCH_EXIST:
        return exact && type != REEVE_EVENT_CHILDREN;
    case WATCH_CHILD:
        return exact && (type == REEVE_EVENT_CHILDREN || type == REEVE_EVENT_DELETED);
    case WATCH_PERSISTENT:
        return exact;
    default:
        return type != REEVE_EVENT_CHILDREN &&
               path_is_under(slice_str(paths[at]), slice_str(paths[p]));
    }
}

// Takes every pulled event off the list of those that the model wants; none may be left.
static void step_fire(struct watchers *w, enum reeve_event_type type, int at)
{
    int wanted = 0;
    int once = 0;
    for (int i = 0; i < PATHS * WATCH_LISTS * CTXS; i++) {
        int p = i / (WATCH_LISTS * CTXS), list = i / CTXS % WATCH_LISTS, c = i % CTXS;
        if (model[p][list][c] && is_concerned(p, list, type, at)) {
            wanted++;
            once += list < WATCH_PERSISTENT;
            model[p][list][c] = list >= WATCH_PERSISTENT;
        }
    }
    struct reeve_watch how;
    struct reeve_event ev;
    watchers_fire(w, type, slice_str(paths[at]));
    for (; watchers_next(w, &how, &ev); wanted--) {
        assert_string_equal(ev.path, paths[at]);
        assert_int_equal(ev.type, type);
        once -= ev.last;
    }
    assert_int_equal(wanted, 0);
    assert_int_equal(once, 0);
}

static void step_forget(struct watchers *w, int p, int c)
{
    bool mine = false;
    bool others = false;
    for (int list = 0; list < WATCH_LISTS; list++) {
        bool *at = model[p][list];
        mine = mine || at[c];
        others = others || at[(c + 1) % CTXS] || at[(c + 2) % CTXS];
        at[c] = false;
    }
    assert_int_equal(forget(w, paths[p], &ctxs[c]), mine && !others);
}

// watchers_each() tells every (list, path) once, and nothing else.
static void compare(struct watchers *w)
{
    size_t n = 0;
    size_t pairs = 0;
    for (int i = 0; i < PATHS * WATCH_LISTS; i++) {
        bool *at = model[i / WATCH_LISTS][i % WATCH_LISTS];
        n += (size_t)at[0] + at[1] + at[2];
        pairs += at[0] || at[1] || at[2];
    }
    assert_int_equal(watchers_count(w), n);
    bool seen[PATHS][WATCH_LISTS] = {{false}};
    size_t at = 0;
    enum watch_list list;
    struct slice path;
    for (; watchers_each(w, &at, &list, &path); pairs--) {
        int p = 0;
        while (!slice_eq_str(path, paths[p])) {
            p++;
            assert_true(p < PATHS);
        }
        assert_false(seen[p][list]);
        seen[p][list] = true;
        assert_true(model[p][list][0] || model[p][list][1] || model[p][list][2]);
    }
    assert_int_equal(pairs, 0);
}

static void run_model(uint64_t seed, int memory_left)
{
    struct rng rng = {seed};
    struct watchers *w = open_watches();
    memset(model, 0, sizeof(model));
    name_paths();
    for (int i = 0; i < STEPS; i++) {
        int p = (int)(rng_next(&rng) % PATHS), c = (int)(rng_next(&rng) % CTXS);
        int what = (int)(rng_next(&rng) % 16);
        if (what < 11) {
            int list = (int)(rng_next(&rng) % WATCH_LISTS);
            struct reeve_allocator a = kit_allocator(&memory);
            struct reeve_watch how = {on_watch, &ctxs[c]};
            struct watch *r = watch_new(&a, (enum watch_list)list, slice_str(paths[p]), &how);
            memory.left = memory_left; // none for a larger table
            watchers_add(w, r);
            memory.left = -1;
            model[p][list][c] = true;
        } else if (what < 14) {
            step_fire(w, (enum reeve_event_type)(1 + rng_next(&rng) % 4), p);
        } else {
            step_forget(w, p, c);
        }
        if (i % 50 == 0) {
            compare(w);
        }
    }
    compare(w);
    close_watches(&w);
}

static void random_steps_agree_with_a_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        run_model(seed, -1);
        run_model(seed, 0);
    }
}

static void a_new_registry_without_memory_is_an_answer(void **state)
{
    (void)state;
    struct reeve_allocator a = kit_allocator(&memory);
    struct reeve_watch how = {on_watch, NULL};
    for (int left = 0; left < 2; left++) {
        struct watchers *w;
        memory.left = left;
        assert_int_equal(watchers_new(&a, 1, &w), REEVE_NO_MEMORY);
        assert_null(w);
        assert_int_equal(memory.live, 0);
    }
    memory.left = 0;
    assert_null(watch_new(&a, WATCH_DATA, SLICE_LIT("/p"), &how));
    memory.left = -1;
}

static void many_watches_keep_their_order(void **state)
{
    (void)state;
    enum { N = 1000 };
    static char many[N];
    struct watchers *w = open_watches();
    int asked = memory.asked;
    for (int i = 0; i < N; i++) {
        char path[16];
        snprintf(path, sizeof(path), "/%d", i);
        add(w, WATCH_DATA, path, NULL);
        add(w, WATCH_DATA, "/p", &many[i]);
    }
    assert_int_equal(memory.asked - asked, 2 * N + 7); // the table went from 16 to 2048 buckets
    struct reeve_watch how;
    struct reeve_event ev;
    watchers_fire(w, REEVE_EVENT_CHANGED, SLICE_LIT("/p"));
    for (int i = 0; i < N; i++) {
        assert_true(watchers_next(w, &how, &ev));
        assert_ptr_equal(how.ctx, &many[i]);
    }
    assert_false(watchers_next(w, &how, &ev));
    close_watches(&w);
}

// What is due elsewhere costs nothing: this took minutes when all of it was looked through.
static void taking_back_looks_at_one_path_only(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct watchers *w = open_watches();
    char path[16];
    for (int i = 0; i < N; i++) {
        snprintf(path, sizeof(path), "/%d", i);
        add(w, WATCH_DATA, path, NULL);
    }
    watchers_end(w, REEVE_SESSION_EXPIRED);
    for (int i = N - 1; i >= 0; i--) { // from the end of those that are due
        snprintf(path, sizeof(path), "/%d", i);
        assert_false(forget(w, path, NULL));
    }
    assert_string_equal(pull(w), "");
    close_watches(&w);
}

// Asked for again and again before the first answer, as by a client that polls.
static void asking_often_at_one_path_is_cheap(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct reeve_allocator a = kit_allocator(&memory);
    struct reeve_watch how = {on_watch, NULL};
    struct watchers *w = open_watches();
    struct watch **asked = calloc(N, sizeof(*asked));
    assert_non_null(asked);
    for (int i = 0; i < N; i++) {
        asked[i] = watch_new(&a, WATCH_DATA, SLICE_LIT("/p"), &how);
        watchers_ask(w, &asked[i]);
    }
    for (int i = 0; i < N; i++) { // answers come in order
        if (i % 2) {
            watchers_withdraw(w, &asked[i]);
        } else {
            watchers_add(w, asked[i]);
        }
    }
    assert_int_equal(watchers_count(w), 1);
    free(asked);
    close_watches(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_concerns_its_lists),
        cmocka_unit_test(a_recursive_watch_hears_of_everything_below_but_children),
        cmocka_unit_test(the_same_watch_is_one),
        cmocka_unit_test(removing_ends_the_lists_of_the_kind),
        cmocka_unit_test(the_end_reaches_everything_once),
        cmocka_unit_test(a_one_shot_that_is_due_keeps_its_event),
        cmocka_unit_test(what_is_taken_back_is_not_called),
        cmocka_unit_test(what_is_asked_for_is_taken_back_too),
        cmocka_unit_test(a_watch_takes_itself_back),
        cmocka_unit_test(freeing_what_is_due_or_pulled_leaves_nothing),
        cmocka_unit_test(random_steps_agree_with_a_model),
        cmocka_unit_test(a_new_registry_without_memory_is_an_answer),
        cmocka_unit_test(many_watches_keep_their_order),
        cmocka_unit_test(taking_back_looks_at_one_path_only),
        cmocka_unit_test(asking_often_at_one_path_is_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
