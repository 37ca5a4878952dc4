// SPDX-License-Identifier: Apache-2.0
//
// struct watches: who waits for changes of which path, on this server. Not replicated.
// client-protocol.md 6.2, 6.3, 6.6 (the 3.9 rules). Watchers are connection numbers.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum watch_list { WATCH_LIST_DATA, WATCH_LIST_CHILD };

// Bits: what a watcher has on a path.
enum watch_mode {
    WATCH_DATA = 1,                // one-shot, data list (getData, exists)
    WATCH_CHILD = 2,               // one-shot, child list (getChildren)
    WATCH_PERSISTENT = 4,          // both lists
    WATCH_PERSISTENT_RECURSIVE = 8 // data list
};

struct watches;

struct watches *watches_new(uint64_t seed);
void watches_free(struct watches **w);
void watch_add(struct watches *w, uint32_t watcher, struct slice path, unsigned modes);
void watch_drop(struct watches *w, uint32_t watcher); // the connection is gone
unsigned watch_modes(const struct watches *w, uint32_t watcher, struct slice path);
void watch_remove(struct watches *w, uint32_t watcher, struct slice path, unsigned modes);

// Who is told of a change in `list` at `path`: exact watchers of that list, and recursive ones of
// the path or an ancestor when list is DATA. One-shot modes of the exact path are consumed. Fills
// *hits (grown as needed, each watcher once) and returns their number.
size_t watch_trigger(struct watches *w, enum watch_list list, struct slice path, uint32_t **hits,
                     size_t *hits_cap);

size_t watch_count(const struct watches *w); // (list, path, watcher) entries of both lists
// wchs, wchc, wchp report the data list: paths, and per path its watchers.
size_t watch_data_paths(const struct watches *w);
size_t watch_data_watchers(const struct watches *w); // connections with any
size_t watch_data_count(const struct watches *w);
void watch_each_data(const struct watches *w,
                     void (*each)(void *ctx, struct slice path, uint32_t watcher),
                     void *ctx); // grouped by path
void watches_check(const struct watches *w);
