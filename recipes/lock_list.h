// SPDX-License-Identifier: Apache-2.0
//
// The children of a path with their data, as struct reeve_contenders: who waits for a lock, who
// takes part in an election, who is in a group. Read one by one behind the list of names, so it is
// no picture of one moment; who went meanwhile is left out. One that may not be read must not hide
// the others: in a line there is its name, elsewhere it is left out (servers do not tell of its
// end, either).
#pragma once

#include "recipes/kit.h"
#include "reeve/lock.h"

enum { LOCK_LIST_MARKERS_MAX = 4, LOCK_LIST_AHEAD = 32 }; // AHEAD: reads under way at a time

struct lock_list_want {
    const char *path;   // copied
    const char *ending; // without markers: only names that end so; NULL: all
    // Only names with one of these and a number, oldest first. None: all names, in their order.
    const char *const *markers; // lives longer than the request
    size_t markers_n;
    int shared; // index of the marker of readers, -1: none
    // Without markers: an earlier list, whose members with data need not be read again. Must live
    // until fn is called.
    const struct reeve_contenders *known;
};

// The one of this name in a list without markers, or NULL.
struct reeve_contender *lock_list_find(const struct reeve_contenders *l, const char *name);

// The list is fn's (reeve_contenders_free), NULL with errors. Never from inside; if this is not OK,
// not at all. A path that is not there has no children.
typedef void lock_list_fn(struct kit_object *o, void *arg, enum reeve_error e,
                          struct reeve_contenders *list);
enum reeve_error lock_list_ask(struct kit_object *o, const struct lock_list_want *want,
                               lock_list_fn *fn, void *arg);

// What the recipes' public functions do with it: any thread, then done(ctx, ...) on the loop's.
enum reeve_error lock_list_async(struct kit_object *o, const struct lock_list_want *want,
                                 reeve_contenders_fn *done, void *ctx);
enum reeve_error lock_list_wait(struct kit_object *o, const struct lock_list_want *want,
                                struct reeve_contenders **list);
