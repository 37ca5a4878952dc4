// SPDX-License-Identifier: Apache-2.0
//
// A hash table of whole paths. It grows when it can; when there is no memory for that it only gets
// slower.

#include "recipes/cache_tree.h"

#include <string.h>

enum { BUCKETS_FIRST = 64 };

static uint32_t hash_of(const char *path, size_t n)
{
    uint32_t h = 2166136261U;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ (uint8_t)path[i]) * 16777619U;
    }
    return h;
}

enum reeve_error cache_tree_init(struct cache_tree *t, struct reeve *zk, uint32_t nodes_max,
                                 uint64_t bytes_max)
{
    *t = (struct cache_tree){.zk = zk, .nodes_max = nodes_max, .bytes_max = bytes_max};
    t->buckets = reeve_realloc(zk, NULL, BUCKETS_FIRST * sizeof(struct cache_node *));
    if (!t->buckets) {
        return REEVE_NO_MEMORY;
    }
    t->buckets_n = BUCKETS_FIRST;
    memset(t->buckets, 0, BUCKETS_FIRST * sizeof(struct cache_node *));
    return REEVE_OK;
}

void cache_tree_fini(struct cache_tree *t)
{
    for (size_t i = 0; i < t->buckets_n; i++) {
        struct cache_node *n = t->buckets[i];
        while (n) {
            struct cache_node *next = n->bucket_next;
            kit_free(t->zk, n->data.bytes);
            kit_free(t->zk, n);
            n = next;
        }
    }
    kit_free(t->zk, t->buckets);
    *t = (struct cache_tree){0};
}

static struct cache_node *find(const struct cache_tree *t, const char *path, size_t len)
{
    uint32_t hash = hash_of(path, len);
    struct cache_node *n = t->buckets[hash & (t->buckets_n - 1)];
    while (n && (n->hash != hash || strncmp(n->path, path, len) != 0 || n->path[len])) {
        n = n->bucket_next;
    }
    return n;
}

struct cache_node *cache_tree_find(const struct cache_tree *t, const char *path)
{
    return path ? find(t, path, strlen(path)) : NULL;
}

struct cache_node *cache_tree_find_parent(const struct cache_tree *t, const char *path)
{
    size_t len = (size_t)(strrchr(path, '/') - path);
    return find(t, path, len ? len : 1);
}

static void grow(struct cache_tree *t)
{
    size_t n = t->buckets_n * 2;
    struct cache_node **buckets = reeve_realloc(t->zk, NULL, n * sizeof(*buckets));
    if (!buckets) {
        return;
    }
    memset(buckets, 0, n * sizeof(*buckets));
    for (size_t i = 0; i < t->buckets_n; i++) {
        while (t->buckets[i]) {
            struct cache_node *node = t->buckets[i];
            t->buckets[i] = node->bucket_next;
            node->bucket_next = buckets[node->hash & (n - 1)];
            buckets[node->hash & (n - 1)] = node;
        }
    }
    kit_free(t->zk, t->buckets);
    t->buckets = buckets;
    t->buckets_n = n;
}

static uint64_t size_of(const char *path)
{
    return sizeof(struct cache_node) + strlen(path) + 1;
}

enum reeve_error cache_tree_add(struct cache_tree *t, struct cache_node *parent, const char *path,
                                struct cache_node **n)
{
    *n = NULL;
    uint64_t size = size_of(path);
    if (t->nodes >= t->nodes_max || t->bytes_max - t->bytes < size) {
        return REEVE_TOO_BIG;
    }
    struct cache_node *node = reeve_realloc(t->zk, NULL, (size_t)size);
    if (!node) {
        return REEVE_NO_MEMORY;
    }
    *node = (struct cache_node){.parent = parent, .hash = hash_of(path, strlen(path))};
    memcpy(node->path, path, strlen(path) + 1);
    LIST_INIT(&node->children);
    if (t->nodes >= t->buckets_n) {
        grow(t);
    }
    struct cache_node **bucket = &t->buckets[node->hash & (t->buckets_n - 1)];
    node->bucket_next = *bucket;
    *bucket = node;
    if (parent) {
        LIST_INSERT_HEAD(&parent->children, node, sibling);
    } else {
        t->top = node;
    }
    t->nodes++;
    t->bytes += size;
    *n = node;
    return REEVE_OK;
}

void cache_tree_remove(struct cache_tree *t, struct cache_node *n)
{
    struct cache_node **at = &t->buckets[n->hash & (t->buckets_n - 1)];
    while (*at != n) {
        at = &(*at)->bucket_next;
    }
    *at = n->bucket_next;
    if (n->parent) {
        LIST_REMOVE(n, sibling);
    } else {
        t->top = NULL;
    }
    t->nodes--;
    t->seen -= n->seen;
    t->bytes -= size_of(n->path) + n->data.len;
    kit_free(t->zk, n->data.bytes);
    kit_free(t->zk, n);
}

enum reeve_error cache_tree_set(struct cache_tree *t, struct cache_node *n, const void *bytes,
                                size_t len, const struct reeve_stat *stat, struct cache_data *old)
{
    uint64_t without = t->bytes - n->data.len;
    if (t->bytes_max - without < len) {
        return REEVE_TOO_BIG;
    }
    struct cache_data data = {NULL, len};
    if (bytes) {
        data.bytes = reeve_realloc(t->zk, NULL, len + 1);
        if (!data.bytes) {
            return REEVE_NO_MEMORY;
        }
        memcpy(data.bytes, bytes, len);
        ((char *)data.bytes)[len] = '\0';
    }
    *old = n->data;
    n->data = data;
    n->stat = *stat;
    t->seen += !n->seen;
    n->seen = true;
    t->bytes = without + len;
    return REEVE_OK;
}

void cache_tree_unsee(struct cache_tree *t, struct cache_node *n, struct cache_data *old)
{
    *old = n->data;
    t->bytes -= n->data.len;
    t->seen -= n->seen;
    n->data = (struct cache_data){NULL, 0};
    n->seen = false;
}
