// SPDX-License-Identifier: Apache-2.0
//
// The copy that a cache keeps: nodes by path, each with its parent and children, within bounds.
//
// A node is in the tree as soon as somebody has heard of it; `seen` tells that it has been read and
// told, and only then is it there for users. Every node but the top one has its parent in the tree.
//
// Written by the loop's thread only, and only under the cache's lock; read by any thread under it.
#pragma once

#include <sys/queue.h>

#include "recipes/kit.h"

enum cache_todo {
    CACHE_TODO_GET = 1,   // its data is to be read
    CACHE_TODO_LIST = 2,  // the list of its children is to be read
    CACHE_TODO_EXISTS = 4 // a watch is to be set that sees it created
};

struct cache_data {
    void *bytes; // one more than len, a NUL; NULL: null
    size_t len;
};

struct cache_node {
    struct cache_node *bucket_next; // of the hash table
    struct cache_node *parent;
    LIST_HEAD(, cache_node) children;
    LIST_ENTRY(cache_node) sibling;
    TAILQ_ENTRY(cache_node) waiting; // while todo is not 0
    struct cache_data data;
    struct reeve_stat stat;
    uint64_t got_round;    // the last round in which it was read
    uint64_t listed_round; // the last round in which its children were known to be complete
    int64_t listed_pzxid;  // the node's pzxid then
    uint32_t hash;
    unsigned todo;      // enum cache_todo, waits for a free read
    uint32_t under_way; // reads that have not been answered
    bool seen;
    bool unread;  // one-shot watches: it was changed, deleted or made anew since it was read
    bool in_list; // scratch of a comparison with a list of children
    char path[];
};

struct cache_tree {
    struct reeve *zk;
    struct cache_node *top; // NULL: nobody has heard of it
    struct cache_node **buckets;
    size_t buckets_n; // a power of two
    uint32_t nodes, nodes_max;
    uint32_t seen;
    uint64_t bytes, bytes_max;
};

// NO_MEMORY.
enum reeve_error cache_tree_init(struct cache_tree *t, struct reeve *zk, uint32_t nodes_max,
                                 uint64_t bytes_max);
void cache_tree_fini(struct cache_tree *t);

struct cache_node *cache_tree_find(const struct cache_tree *t, const char *path);
struct cache_node *cache_tree_find_parent(const struct cache_tree *t, const char *path);
// A new node that has not been seen yet; parent NULL makes it the top. TOO_BIG, NO_MEMORY.
enum reeve_error cache_tree_add(struct cache_tree *t, struct cache_node *parent, const char *path,
                                struct cache_node **n);
// It must have no children, nothing to do and nothing under way. Its data goes with it.
void cache_tree_remove(struct cache_tree *t, struct cache_node *n);

// Gives the node new data and a new stat, and the old data to the caller. TOO_BIG, NO_MEMORY: all
// is as before.
enum reeve_error cache_tree_set(struct cache_tree *t, struct cache_node *n, const void *bytes,
                                size_t len, const struct reeve_stat *stat, struct cache_data *old);
// Takes the data away and makes the node one that was never seen.
void cache_tree_unsee(struct cache_tree *t, struct cache_node *n, struct cache_data *old);
