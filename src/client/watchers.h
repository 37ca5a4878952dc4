// SPDX-License-Identifier: Apache-2.0
//
// struct watchers: what this client watches, by path. Paths are the server's (with the chroot).
//
// A registration (struct watch) is allocated with the request that asks for it; asking, adding,
// firing and removing allocate nothing, but for a larger table, which is tried and can do without.
// What an event concerns is listed as due, and pulled with watchers_next() one by one; the table
// may change between two pulls. Which event concerns which list is Java's rule
// (ZKWatchManager.materialize), but that a callback registered in two lists has two watches here
// and is called for each, as each of them ends by itself.
//
// NEW -> ASKED, a request for it is under way -> SET, the server has it -> OVER, it has ended and
// its last event waits to be pulled. All but NEW are in the table, so that taking back finds them
// wherever they are, without a look at everything that is under way or due.
#pragma once

#include "base/slice.h"
#include "client/alloc.h"

enum watch_list { // where the server keeps it; also the vectors of setWatches2, in its order
    WATCH_DATA,
    WATCH_EXIST,
    WATCH_CHILD,
    WATCH_PERSISTENT,
    WATCH_RECURSIVE,
    WATCH_LISTS
};

enum watch_state { WATCH_NEW, WATCH_ASKED, WATCH_SET, WATCH_OVER };

struct watch {
    struct watch *next, *next_due, *prev_due;
    struct watch **owner; // ASKED: where the request has it
    enum watch_list list;
    enum watch_state state;
    bool due;
    enum reeve_event_type due_type;
    enum reeve_error due_why;
    const char *due_path; // recursive: of the event; else NULL and it is path
    reeve_watch_fn *fn;
    void *ctx;
    struct reeve_allocator allocator;
    uint64_t hash; // of path
    uint32_t path_n;
    char path[]; // NUL behind it
};

// path: the server's. list may be changed until it is SET. NULL: no memory.
struct watch *watch_new(const struct reeve_allocator *a, enum watch_list list, struct slice path,
                        const struct reeve_watch *w);
void watch_free(struct watch **r); // of no table

struct watchers;

enum reeve_error watchers_new(const struct reeve_allocator *a, uint64_t seed, struct watchers **w);
void watchers_free(struct watchers **w); // unheard

// A request for *owner, which is NEW, is under way. *owner becomes NULL if it is taken back.
void watchers_ask(struct watchers *w, struct watch **owner);
// The request has failed: *owner, NEW or ASKED, is freed and NULL.
void watchers_withdraw(struct watchers *w, struct watch **owner);
// Takes the registration, NEW or ASKED, as SET; if it is there already (list, path, fn, ctx) it is
// freed.
void watchers_add(struct watchers *w, struct watch *r);
// An event of the server at path: what it concerns becomes due. The path ends in a NUL and must
// live until the last of them is pulled, which must be before the next event is fired.
void watchers_fire(struct watchers *w, enum reeve_event_type type, struct slice path);
// Everything becomes due with ENDED and `why`.
void watchers_end(struct watchers *w, enum reeve_error why);
// The answer to a REMOVE_WATCHES was OK: those of this kind at path become due with ENDED, OK.
void watchers_removed(struct watchers *w, struct slice path, enum reeve_watch_kind kind);
// reeve_unwatch: gone at once, asked for, set or due. True: the server has it, or may get it, and
// no other watch is set or asked for at this path.
bool watchers_forget(struct watchers *w, struct slice path, reeve_watch_fn *fn, void *ctx);
// The next that is due: true and *watch, *ev (path within the registration or the event's, valid
// until the next call of this function).
bool watchers_next(struct watchers *w, struct reeve_watch *watch, struct reeve_event *ev);
size_t watchers_count(const struct watchers *w); // that are SET

// For setWatches: every (list, path) once, in the table's order; *at starts at 0 and is the cursor.
// The table must not change meanwhile. False at the end.
bool watchers_each(const struct watchers *w, size_t *at, enum watch_list *list, struct slice *path);
