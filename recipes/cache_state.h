// SPDX-License-Identifier: Apache-2.0
//
// struct reeve_cache, shared by cache.c (the user's side, the session, events) and cache_read.c
// (what is read, and what the answers change).
//
//     IDLE --a session--> WATCHING --the watch is set, or not known--> READING --all read--> LIVE
//       ^------------------- the connection or the session is lost ---------------------------/
//     any --cannot go on--> FAILED --resync--> WATCHING
//
// A round begins whenever changes may have been missed: everything is looked at again. It ends when
// nothing is left to read; an answer counts for the round in which it arrives. Invariants: at most
// reads_max reads are under way; a node's todo is not 0 exactly while it is in the list `todo`;
// who writes the tree holds `lock`, and no callback is made under it.
#pragma once

#include <pthread.h>

#include "recipes/cache_tree.h"
#include "recipes/kit.h"
#include "reeve/cache.h"

struct cache_read {
    struct reeve_cache *c;
    struct cache_node *n; // NULL: it has gone meanwhile
    unsigned what;        // one of enum cache_todo
    struct cache_read *next_free;
};

struct cache_waiter {
    struct reeve_cache *c;
    struct cache_waiter *next;
    reeve_cache_done_fn *done;
    void *ctx;
    int64_t timeout_ms;
    struct kit_timer timer;
};

struct reeve_cache {
    struct kit_object o;
    struct reeve_cache_options opt;
    char *path;
    enum { CACHE_IDLE, CACHE_WATCHING, CACHE_READING, CACHE_LIVE, CACHE_FAILED } state;
    enum reeve_error error; // FAILED: why
    bool one_shot;          // no recursive watch: each node has its own
    bool watched;           // the recursive watch is set in this session
    bool ready;             // READY was told
    bool gap;               // GAP was told and not RESYNCED
    atomic_bool in_sync;
    uint64_t round;
    TAILQ_HEAD(cache_todo_list, cache_node) todo;
    struct cache_read *reads, *free_reads;
    uint32_t under_way;
    struct kit_timer again;
    bool again_all; // what waits for `again`: a round, or only the list todo
    struct cache_waiter *waiters;
    pthread_mutex_t lock;
    struct cache_tree tree;
};

// ---- cache.c ----
void cache_tell(struct reeve_cache *c, const struct reeve_cache_event *ev);
void cache_fail(struct reeve_cache *c, enum reeve_error e);
// Everything is read: READY or RESYNCED.
void cache_complete(struct reeve_cache *c);
// A little later: a whole round, or only what is in `todo`.
void cache_again(struct reeve_cache *c, bool all);
void cache_on_event(void *ctx, const struct reeve_event *ev);

// ---- cache_read.c ----
// Bits of enum cache_todo for this node, soon.
void cache_want(struct reeve_cache *c, struct cache_node *n, unsigned what);
// The node and what is below it are not there any more.
void cache_vanish(struct reeve_cache *c, struct cache_node *n);
// A node that somebody heard of, its parent known: to be read. Trouble is dealt with.
void cache_hear(struct reeve_cache *c, struct cache_node *parent, const char *path);
// Submits what is to be read while there is room, and completes the round if nothing is left.
void cache_pump(struct reeve_cache *c);
// Nothing is to be read any more.
void cache_forget_todo(struct reeve_cache *c);
