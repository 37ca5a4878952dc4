// SPDX-License-Identifier: Apache-2.0
//
// Life of a tree, finding nodes, and what others may read of them.
#include "tree/node.h"

// zookeeper.DataTree: what a fresh server holds, made by no transaction.
static void plant(struct tree *t)
{
    struct node_init in = {.data = slice_of("", 0), .acl = ACL_ID_OPEN};
    uint32_t root = node_create(t, 0, slice_of("", 0), &in);
    uint32_t zk = node_create(t, root, SLICE_LIT("/zookeeper"), &in);
    node_create(t, zk, SLICE_LIT("/zookeeper/quota"), &in);
    tree_add_config(t);
}

// /zookeeper/config, which everybody may read and only super may write; empty when standalone.
void tree_add_config(struct tree *t)
{
    struct slice path = SLICE_LIT("/zookeeper/config");
    uint32_t zk = tree_find(t, SLICE_LIT("/zookeeper"));
    if (!zk || tree_find(t, path)) {
        return;
    }
    struct acl read = {PERM_READ, {SLICE_LIT("world"), SLICE_LIT("anyone")}};
    struct acl_vec list = {&read, 1};
    struct node_init in = {.data = slice_of("", 0), .aversion = -1};
    in.acl = acl_table_get(t->acls, &list);
    node_create(t, zk, path, &in);
}

// Java: ZKDatabase.initConfigInZKDatabase.
void tree_set_config(struct tree *t, struct slice text, int64_t version, int64_t wall_ms)
{
    struct slice path = SLICE_LIT("/zookeeper/config");
    tree_add_config(t);
    uint32_t h = tree_find(t, path);
    if (!h) {
        return; // a foreign tree without /zookeeper
    }
    struct node *n = node_change_begin(t, h);
    int64_t before = node_data_len(n);
    n->version = -1;
    n->mzxid = version;
    n->mtime = wall_ms;
    node_put_data(t, h, path, text);
    node_change_end(t, h);
    quota_on_set_data(t, path, (int64_t)text.n - before);
}

static void init(struct tree *t)
{
    slab_init(&t->nodes, sizeof(struct node));
    index_init(&t->names, &t->nodes, offsetof(struct node, link));
    t->acls = acl_table_new(t->cfg.seed);
    t->sessions = session_table_new(t->cfg.seed);
    owners_init(&t->owners, t->cfg.seed);
    quotas_init(&t->quotas);
    t->root = 0;
    t->zxid = 0;
    t->digest = 0;
    t->data_size = 1; // Apache's table counts the root again, as "/"
    t->acl_dropped_n = 0;
    t->points_n = t->points_at = 0;
    t->target_set = false;
}

static void fini(struct tree *t)
{
    for (uint32_t h = 1; h < t->nodes.next; h++) {
        mem_free(node_at(t, h)->block);
    }
    index_fini(&t->names);
    slab_fini(&t->nodes);
    acl_table_free(&t->acls);
    session_table_free(&t->sessions);
    owners_fini(&t->owners);
    quotas_fini(&t->quotas);
    walk_fini(&t->walk);
    load_fini(&t->load);
}

struct tree *tree_new(const struct tree_config *cfg, const struct logger *log)
{
    struct tree *t = mem_zalloc(sizeof(*t));
    t->cfg = *cfg;
    t->log = *log;
    init(t);
    plant(t);
    return t;
}

void tree_free(struct tree **t)
{
    if (*t) {
        fini(*t);
        mem_free((*t)->acl_dropped);
        mem_free(*t);
        *t = NULL;
    }
}

// Indexes point to the slabs beside them.
static void point_home(struct tree *t)
{
    t->names.slab = &t->nodes;
    t->owners.by_node.slab = &t->owners.items;
    t->owners.by_key.slab = &t->owners.lists;
    t->quotas.by_path.slab = &t->quotas.slab;
}

void tree_swap(struct tree *a, struct tree *b)
{
    must(!tree_walk_active(a));
    must(!tree_walk_active(b));
    struct tree was = *a;
    *a = *b;
    *b = was;
    point_home(a);
    point_home(b);
}

void tree_empty(struct tree *t)
{
    fini(t);
    init(t);
}

const struct tree_config *tree_config(const struct tree *t)
{
    return &t->cfg;
}

int64_t tree_zxid(const struct tree *t)
{
    return t->zxid;
}

struct session_table *tree_sessions(struct tree *t)
{
    return t->sessions;
}

const struct session_table *tree_sessions_const(const struct tree *t)
{
    return t->sessions;
}

const struct acl_table *tree_acls(const struct tree *t)
{
    return t->acls;
}

uint32_t tree_find(const struct tree *t, struct slice path)
{
    if (path.n == 0 || path.p[0] != '/') {
        return path.p && path.n == 0 ? t->root : 0;
    }
    uint32_t h = t->root;
    if (path.n == 1) {
        return h;
    }
    size_t at = 1;
    while (h) {
        const uint8_t *slash = memchr(path.p + at, '/', path.n - at);
        size_t end = slash ? (size_t)(slash - path.p) : path.n;
        h = end > at ? node_child(t, h, slice_of(path.p + at, end - at)) : 0;
        if (!slash || !h) {
            return h;
        }
        at = end + 1;
        if (at == path.n) {
            return 0;
        }
    }
    return 0;
}

// DataNode.copyStat: what clients see.
void tree_node_stat(const struct tree *t, uint32_t node, struct node_stat *st)
{
    const struct node *n = node_at(t, node);
    st->czxid = n->czxid;
    st->mzxid = n->mzxid;
    st->ctime = n->ctime;
    st->mtime = n->mtime;
    st->version = n->version;
    st->cversion = (int32_t)((uint32_t)n->cversion * 2 - n->children);
    st->aversion = n->aversion;
    st->ephemeral_owner = n->kind == NODE_EPHEMERAL ? node_owner(t, node) : 0;
    st->data_length = (int32_t)node_data_len(n);
    st->num_children = (int32_t)n->children;
    st->pzxid = n->pzxid;
}

void tree_node_stored(const struct tree *t, uint32_t node, struct data_node *d)
{
    const struct node *n = node_at(t, node);
    *d = (struct data_node){
        .data = node_data(n),
        .acl = n->acl,
        .czxid = n->czxid,
        .mzxid = n->mzxid,
        .ctime = n->ctime,
        .mtime = n->mtime,
        .version = n->version,
        .cversion = n->cversion,
        .aversion = n->aversion,
        .ephemeral_owner = node_owner(t, node),
        .pzxid = n->pzxid,
    };
}

struct slice tree_node_data(const struct tree *t, uint32_t node)
{
    return node_data(node_at(t, node));
}

int32_t tree_node_acl(const struct tree *t, uint32_t node)
{
    return node_at(t, node)->acl;
}

uint32_t tree_parent(const struct tree *t, uint32_t node)
{
    return node_at(t, node)->parent;
}

uint32_t tree_first_child(const struct tree *t, uint32_t node)
{
    return node_at(t, node)->first_child;
}

uint32_t tree_next_sibling(const struct tree *t, uint32_t node)
{
    return node_at(t, node)->next;
}

struct slice tree_node_name(const struct tree *t, uint32_t node)
{
    return node_name(node_at(t, node));
}

void tree_path(const struct tree *t, uint32_t node, struct buf *b)
{
    size_t len = node_path_len(t, node);
    if (len == 0) {
        buf_put_u8(b, '/');
        return;
    }
    uint8_t *end = buf_reserve(b, len) + len;
    for (uint32_t h = node; h != t->root; h = node_at(t, h)->parent) {
        struct slice name = node_name(node_at(t, h));
        end -= name.n;
        memcpy(end, name.p, name.n);
        *--end = '/';
    }
}

size_t tree_node_count(const struct tree *t)
{
    return t->nodes.live + 1u;
}

size_t tree_descendants(const struct tree *t, uint32_t node)
{
    if (node == t->root) {
        return t->nodes.live - 1;
    }
    size_t n = 0;
    for (uint32_t h = node; (h = node_next_below(t, node, h)) != 0;) {
        n++;
    }
    return n;
}

int64_t tree_data_size(const struct tree *t)
{
    return t->data_size;
}
