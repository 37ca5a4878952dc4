// SPDX-License-Identifier: Apache-2.0
//
// Neighbours in a snapshot mostly share their parent, or the one is the other's parent: both cases
// need no look-up of the parent.
#include "tree/load.h"

#include "tree/node.h"
#include "wire/path.h"

void tree_load_begin(struct tree *t)
{
    tree_empty(t);
}

void tree_load_session(struct tree *t, int64_t id, int32_t timeout_ms)
{
    session_put(t->sessions, id, timeout_ms);
}

enum err tree_load_acl(struct tree *t, int64_t id, const struct acl_vec *v)
{
    if (id <= 0 || id > INT32_MAX) {
        return ERR_UNSUPPORTED;
    }
    acl_table_define(t->acls, (int32_t)id, v);
    return ERR_OK;
}

void load_fini(struct loading *l)
{
    buf_fini(&l->parent_path);
    buf_fini(&l->last_path);
    *l = (struct loading){0};
}

static void settle_one(struct tree *t)
{
    struct loading *l = &t->load;
    if (t->names.count >= t->names.buckets) {
        index_double(&t->names);
    }
    l->repeated = !node_index(t, l->queue[l->settled++ % LOAD_QUEUE]) || l->repeated;
}

static void settle_all(struct tree *t)
{
    while (t->load.settled != t->load.queued) {
        settle_one(t);
    }
}

static void enqueue(struct tree *t, uint32_t h)
{
    struct loading *l = &t->load;
    if (l->queued - l->settled == LOAD_QUEUE) {
        settle_one(t);
    }
    l->queue[l->queued++ % LOAD_QUEUE] = h;
    index_prefetch(&t->names, node_at(t, h)->link.hash);
    if (l->queued - l->settled > LOAD_QUEUE / 2) {
        uint32_t earlier = l->queue[(l->queued - LOAD_QUEUE / 2) % LOAD_QUEUE];
        index_prefetch_item(&t->names, node_at(t, earlier)->link.hash);
    }
}

static bool is_path(const struct buf *b, struct slice path)
{
    return b->n == path.n && (path.n == 0 || memcmp(b->p, path.p, path.n) == 0);
}

static uint32_t find_parent(struct tree *t, struct slice path)
{
    struct loading *l = &t->load;
    struct slice up = path_parent(path);
    if (!up.p || up.n == 1) { // "//x" is no path, though "/" is a name of the root
        return 0;
    }
    if (l->parent && is_path(&l->parent_path, up)) {
        return l->parent;
    }
    if (l->last && is_path(&l->last_path, up)) {
        l->parent = l->last;
    } else {
        l->parent = tree_find(t, up);
        if (!l->parent) {
            settle_all(t);
            l->parent = tree_find(t, up);
        }
    }
    buf_clear(&l->parent_path);
    buf_put_slice(&l->parent_path, up);
    return l->parent;
}

enum err tree_load_node(struct tree *t, struct slice path, const struct data_node *d)
{
    uint32_t parent = 0;
    if (path.n > 0) {
        parent = find_parent(t, path);
        if (!parent || path.p[path.n - 1] == '/') {
            return ERR_CORRUPT;
        }
    } else if (t->root || !path.p) {
        return ERR_CORRUPT;
    }
    if (d->acl < INT32_MIN || d->acl > INT32_MAX || !owner_is_known(&t->cfg, d->ephemeral_owner)) {
        return ERR_UNSUPPORTED;
    }
    struct node_init in = {
        .data = d->data,
        .acl = (int32_t)d->acl,
        .owner = d->ephemeral_owner,
        .czxid = d->czxid,
        .mzxid = d->mzxid,
        .pzxid = d->pzxid,
        .ctime = d->ctime,
        .mtime = d->mtime,
        .version = d->version,
        .cversion = d->cversion,
        .aversion = d->aversion,
        .unindexed = true,
    };
    acl_table_ref(t->acls, in.acl);
    t->load.last = node_create(t, parent, path, &in);
    buf_clear(&t->load.last_path);
    buf_put_slice(&t->load.last_path, path);
    enqueue(t, t->load.last);
    return t->load.repeated ? ERR_CORRUPT : ERR_OK;
}

enum err tree_load_end(struct tree *t, int64_t zxid)
{
    settle_all(t);
    bool repeated = t->load.repeated;
    load_fini(&t->load);
    if (!t->root || repeated) {
        return ERR_CORRUPT;
    }
    t->zxid = zxid;
    tree_add_config(t);
    quota_load_end(t);
    return ERR_OK;
}

void tree_load_digest(struct tree *t, int64_t zxid, uint64_t digest)
{
    if (zxid < t->zxid) {
        return;
    }
    t->target = (struct digest_point){zxid, digest};
    t->target_set = true;
    if (zxid == t->zxid) {
        digest_applied(t, zxid, false, 0, 0);
    }
}

void tree_replay_end(struct tree *t)
{
    quotas_fini(&t->quotas);
    quotas_init(&t->quotas);
    quota_load_end(t);
    acl_table_purge(t->acls);
}
