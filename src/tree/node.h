// SPDX-License-Identifier: Apache-2.0
//
// The inside of struct tree, for the files of this folder only.
//
// A node is 96 bytes in the slab plus one malloc'd block with its name and data. Nodes are found by
// (parent, name); the children of a node hang in a ring-less list. Ephemeral, container and TTL
// nodes have an owner item beside them (owner.c). Every change of a node goes through node.c, which
// keeps the tree digest, the data size and the walk's promise right.
//
// Invariant of a live node: block != NULL. The parent of the root is 0.
#pragma once

#include "base/hash.h"
#include "base/mem.h"
#include "tree/index.h"
#include "tree/tree.h"
#include "tree/walk.h"

enum node_kind { NODE_PLAIN, NODE_EPHEMERAL, NODE_CONTAINER, NODE_TTL };

#define OWNER_CONTAINER INT64_MIN
#define OWNER_TTL_MAX   0xffffffffffll
#define OWNER_TTL       ((int64_t)0xff00000000000000ull)

enum { NODE_DATA_NULL = UINT32_MAX };

struct block {
    uint32_t name_len;
    uint32_t data_len; // NODE_DATA_NULL: null, not empty
    uint8_t bytes[];   // name, then data
};

struct node {
    uint32_t parent, first_child, next, prev;
    struct index_link link;
    uint32_t children : 28;
    uint32_t kind : 2;   // enum node_kind
    uint32_t walked : 1; // == walk.mark: written by the walk in progress, or younger than it
    uint32_t hidden : 1; // below /zookeeper: not in the digest
    int32_t acl;
    int32_t version, cversion, aversion;
    uint32_t crc; // CRC-32 of path and data, the start of the node's digest
    int64_t czxid, mzxid, pzxid, ctime, mtime;
    struct block *block;
};
_Static_assert(sizeof(struct node) == 96, "the memory budget of a node");

// Ephemeral, container and TTL nodes: the stored owner, and the list of its kind or session.
struct owner {
    struct index_link link; // by node
    uint32_t node;
    uint32_t list; // handle of struct owner_list
    uint32_t next, prev;
    int64_t value; // ephemeralOwner as stored
};

struct owner_list {
    struct index_link link; // by session; containers and TTL nodes have the keys 0 and -1
    uint32_t first;         // 0 in a freed item only
    uint32_t count;
    int64_t key;
    enum node_kind kind;
};

struct owners {
    uint64_t seed;
    struct slab items, lists;
    struct index by_node, by_key;
    size_t ephemerals;
};

// A registered quota: limits exist for `path` (0: none).
struct quota {
    struct index_link link; // by path
    uint32_t path_len;      // 0 in a freed item: the root cannot have one
    uint8_t *path;
};

struct quotas {
    struct slab slab;
    struct index by_path;
};

enum { DIGEST_LOG_STEP = 128, DIGEST_LOG_MAX = 1024 };

struct walk {
    bool active;
    bool done;         // every node is written
    uint32_t mark : 1; // nodes with this bit are behind us; flips at each begin
    uint32_t cursor;   // next handle of the slab to look at
    uint32_t end;      // first handle that did not exist at begin
    uint32_t parent;   // whose path is in `path`, 0: nobody's
    struct buf path;
    struct buf out;
    uint32_t *stack; // ancestors still to write
    size_t stack_cap;
};

enum { LOAD_QUEUE = 16 };

// A load in progress. New nodes wait a little for their place in the index, so that the memory it
// takes to look there is already on its way.
struct loading {
    uint32_t parent; // the last one, whose path is in parent_path
    struct buf parent_path;
    uint32_t last; // the last node, whose path is in last_path
    struct buf last_path;
    uint32_t queue[LOAD_QUEUE]; // ring of nodes not yet in the index
    uint32_t queued;            // nodes ever put into it
    uint32_t settled;           // nodes ever taken out
    bool repeated;              // a node came twice
};

struct tree {
    struct tree_config cfg;
    struct logger log;
    struct slab nodes;
    struct index names; // (parent, name) -> node
    uint32_t root;      // 0 only between tree_load_begin() and the first node
    struct acl_table *acls;
    struct session_table *sessions;
    struct owners owners;
    struct quotas quotas;
    int64_t zxid;
    int64_t data_size;
    uint64_t digest;
    // Lists whose last node went in the last transaction: kept until the next, for `fired`.
    int32_t *acl_dropped;
    size_t acl_dropped_n, acl_dropped_cap;

    struct digest_point points[DIGEST_LOG_MAX]; // ring
    size_t points_n, points_at;                 // used; place of the next
    int64_t mismatches;
    bool target_set; // a snapshot's own digest is awaited at this zxid
    struct digest_point target;

    struct loading load;

    struct walk walk;
};

static inline struct node *node_at(const struct tree *t, uint32_t h)
{
    return slab_at(&t->nodes, h);
}

static inline struct slice node_name(const struct node *n)
{
    return slice_of(n->block->bytes, n->block->name_len);
}

static inline uint32_t node_data_len(const struct node *n)
{
    return n->block->data_len == NODE_DATA_NULL ? 0 : n->block->data_len;
}

static inline struct slice node_data(const struct node *n)
{
    return n->block->data_len == NODE_DATA_NULL
               ? SLICE_NULL
               : slice_of(n->block->bytes + n->block->name_len, n->block->data_len);
}

static inline int32_t wrap_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

// The name under which a path counts in digests: the root's is empty.
static inline struct slice path_stored(struct slice path)
{
    return path.n == 1 && path.p[0] == '/' ? slice_head(path, 0) : path;
}

// ---- node.c ----

// A node's fields as stored.
struct node_init {
    struct slice data;
    int32_t acl; // a reference, which the node takes over
    int64_t owner;
    int64_t czxid, mzxid, pzxid, ctime, mtime;
    int32_t version, cversion, aversion;
    bool unindexed; // the caller puts it into the index: node_index()
};

uint32_t node_child(const struct tree *t, uint32_t parent, struct slice name);
// Makes a node that does not exist yet; parent 0 makes the root. `path` is its whole path.
uint32_t node_create(struct tree *t, uint32_t parent, struct slice path,
                     const struct node_init *in);
// False: there is a node of that name already (and this one stays out of the index).
bool node_index(struct tree *t, uint32_t h);
// Takes a node and all below it away.
void node_remove(struct tree *t, uint32_t h);
// A change of stat fields stands between these two.
struct node *node_change_begin(struct tree *t, uint32_t h);
void node_change_end(struct tree *t, uint32_t h);
// Also between them: replaces the data.
void node_put_data(struct tree *t, uint32_t h, struct slice path, struct slice data);
void node_put_acl(struct tree *t, uint32_t h, const struct acl_vec *v);
int64_t node_owner(const struct tree *t, uint32_t h);   // as stored
size_t node_path_len(const struct tree *t, uint32_t h); // of the stored path; 0 for the root
// The node behind h in a walk of the subtree of top, parents first; 0 at the end.
uint32_t node_next_below(const struct tree *t, uint32_t top, uint32_t h);

// ---- tree.c ----

void tree_empty(struct tree *t);      // no node, no session, zxid 0
void tree_add_config(struct tree *t); // /zookeeper/config, if it is missing

// ---- digest.c ----

uint32_t digest_crc(struct slice path_stored, struct slice data);
// The 32 bits of one node from the CRC of path and data and the fields as stored.
struct digest_stat {
    int64_t czxid, mzxid, pzxid, ctime, mtime;
    int32_t version, cversion, aversion;
    int64_t owner;
};
uint32_t digest_node(uint32_t crc, const struct digest_stat *s);
// A transaction was applied: compares (has: the txn carries a digest) and notes every 128th zxid.
void digest_applied(struct tree *t, int64_t zxid, bool has, int32_t version, uint64_t digest);

// ---- owner.c ----

enum node_kind owner_kind(const struct tree_config *cfg, int64_t owner);
bool owner_is_known(const struct tree_config *cfg, int64_t owner); // no feature we do not know
int64_t owner_ttl_ms(int64_t owner);
void owners_init(struct owners *o, uint64_t seed);
void owners_fini(struct owners *o);
void owners_put(struct owners *o, uint32_t node, enum node_kind kind, int64_t value);
void owners_del(struct owners *o, uint32_t node);
int64_t owners_value(const struct owners *o, uint32_t node);
void owners_check(const struct tree *t);

// ---- quota.c ----

void quotas_init(struct quotas *q);
void quotas_fini(struct quotas *q);
// What a create, delete or setData of `path` means for quotas. bytes and count: the difference.
void quota_on_create(struct tree *t, struct slice path, uint32_t data_len);
void quota_on_delete(struct tree *t, struct slice path, uint32_t data_len);
void quota_on_set_data(struct tree *t, struct slice path, int64_t bytes);
void quota_load_end(struct tree *t); // registers all quotas and recounts
void quota_recount(struct tree *t);
// Would the difference exceed a hard limit? Logs when a limit is passed.
bool quota_allows(const struct tree *t, struct slice path, int64_t bytes, int64_t count);
void quota_check(const struct tree *t);

// ---- load.c ----

void load_fini(struct loading *l);

// ---- walk.c ----

void walk_write(struct tree *t, uint32_t h);
void walk_fini(struct walk *w);

// The node is about to change or go.
static inline void walk_touch(struct tree *t, uint32_t h)
{
    if (t->walk.active && node_at(t, h)->walked != t->walk.mark) {
        walk_write(t, h);
    }
}
