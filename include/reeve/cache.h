// SPDX-License-Identifier: Apache-2.0
//
// Configuration: a copy of one node or of a whole subtree in this program's memory that follows
// the server, with a callback per change. Publishing is a plain reeve_set() by anybody.
//
//     static void changed(void *ctx, const struct reeve_cache_event *ev) { ... ev->path ... }
//
//     struct reeve_cache *c;
//     struct reeve_cache_options o = {.event = changed};
//     if (reeve_cache_new(&c, zk, "/config", &o) || reeve_cache_wait_ready(c, 10000)) { ... }
//     struct reeve_result r;
//     if (!reeve_cache_get(c, "/config/colour", &r)) { ... r.data, r.stat ... }
//     reeve_result_fini(&r);
//
// What it promises
// - Publish and subscribe without lost states: whatever a node's last state is, the callback is
//   told it, also when the connection or the session was lost meanwhile. States in between may be
//   skipped, as one read can only see the latest.
// - What is told about one path is a history: CREATED, any number of CHANGED, DELETED, and so on.
//   A node that was deleted and created again unseen is told as DELETED and CREATED: its czxid is
//   another one. Children are told CREATED after and DELETED before their parent.
// - What reeve_cache_get() and its kind return is never older than what was told.
// - Beyond one path it is no snapshot: while changes arrive, the copy may have a later state of one
//   node and an earlier one of another. What must be read together belongs into one node.
// - From a lost connection until it has read everything again the copy may be behind: GAP and
//   RESYNCED frame that time. reeve_cache_in_sync() tells.
// - It never falls behind silently: if it cannot go on, FAILED says why, and the copy stays as it
//   was then.
//
// How it follows: one persistent recursive watch where the server knows these (3.6 and later), or
// one-shot watches on each node. Nothing is read twice without cause: one request per changed
// node; after a gap one per node and one per changed list of children, some at a time.
//
// Nodes that may not be read (NO_AUTH) are taken as not being there; if it is the cache's own, it
// may fail with NO_AUTH. Changes of ACLs are not seen: servers tell nobody.
//
// Foreign programs see nothing of it but its reads and watches, so there is no layout: it is what
// Curator's CuratorCache and kazoo's TreeCache are to their programs.
//
// Threads: any function from any thread, unless it says otherwise. Callbacks are made one at a time
// on the loop's thread and may call everything here except what waits.
#pragma once

#include "reeve/reeve.h"

#ifdef __cplusplus
extern "C" {
#endif

struct reeve_cache;

enum reeve_cache_event_type {
    REEVE_CACHE_CREATED,  // now
    REEVE_CACHE_CHANGED,  // before, now
    REEVE_CACHE_DELETED,  // before
    REEVE_CACHE_READY,    // the first time that everything is there; perhaps nothing at all
    REEVE_CACHE_GAP,      // from here on changes may be missing ...
    REEVE_CACHE_RESYNCED, // ... and from here on no more: all that changed has been told
    REEVE_CACHE_FAILED    // error: it follows no more. See reeve_cache_resync()
};

struct reeve_cache_node {
    const void *data; // followed by a NUL that does not count; NULL: null
    size_t data_len;
    struct reeve_stat stat;
};

struct reeve_cache_event {
    enum reeve_cache_event_type type;
    const char *path;                    // whole; the cache's own where it is about all of it
    const struct reeve_cache_node *old;  // CHANGED, DELETED; else NULL
    const struct reeve_cache_node *node; // CREATED, CHANGED; else NULL
    enum reeve_error error;              // FAILED
};

// Valid during the callback.
typedef void reeve_cache_event_fn(void *ctx, const struct reeve_cache_event *ev);
typedef void reeve_cache_done_fn(void *ctx, enum reeve_error e);

// Zero means the default.
struct reeve_cache_options {
    reeve_cache_event_fn *event; // NULL: nobody wants to know
    void *ctx;
    bool one_node;      // the node alone, without what is below it
    bool one_shot;      // one-shot watches even where the server has better ones
    uint32_t nodes_max; // 100,000; with more it fails: TOO_BIG
    uint64_t bytes_max; // 268,435,456 of data, paths and bookkeeping; the same
    uint32_t reads_max; // 64 requests under way at a time
    int32_t retry_ms;   // 100: after a read that failed, or when there was no memory
};

// Begins to follow path, whether there is such a node or not. BAD_ARGUMENTS, NO_MEMORY, CLOSED.
REEVE_API enum reeve_error reeve_cache_new(struct reeve_cache **c, struct reeve *zk,
                                           const char *path, const struct reeve_cache_options *o);

// Nobody is told anything any more, except who waits: CANCELLED. From any thread, also from the
// callback; *c becomes NULL, memory goes when nothing is under way any more. Not after
// reeve_close().
REEVE_API void reeve_cache_free(struct reeve_cache **c);

// Until READY was told, or FAILED (its error), or for timeout_ms (-1: no limit; OPERATION_TIMEOUT).
REEVE_API enum reeve_error reeve_cache_wait_ready_async(struct reeve_cache *c, int64_t timeout_ms,
                                                        reeve_cache_done_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_cache_wait_ready(struct reeve_cache *c, int64_t timeout_ms);

// READY was told, and no gap is open.
REEVE_API bool reeve_cache_in_sync(struct reeve_cache *c);

// A copy of one node, for reeve_result_fini() whatever came out: data and stat. NO_NODE: there is
// none, or it is outside of what is cached, or not read yet. NO_MEMORY.
REEVE_API enum reeve_error reeve_cache_get(struct reeve_cache *c, const char *path,
                                           struct reeve_result *r);
// The names of a node's children, in no order: r->children.
REEVE_API enum reeve_error reeve_cache_children(struct reeve_cache *c, const char *path,
                                                struct reeve_result *r);
// How many nodes there are.
REEVE_API uint32_t reeve_cache_count(struct reeve_cache *c);

// Reads everything again, telling what changed; GAP before and RESYNCED after. Also the way on
// after FAILED, when the cause is gone (memory, for one). NO_MEMORY, CLOSED: it was not begun.
REEVE_API enum reeve_error reeve_cache_resync(struct reeve_cache *c);

#ifdef __cplusplus
}
#endif
