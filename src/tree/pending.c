// SPDX-License-Identifier: Apache-2.0
//
// ZooKeeperServer.outstandingChanges, as a hash by path.
#include "tree/pending.h"

#include "wire/path.h"

struct pending *pending_new(const struct tree *t)
{
    struct pending *p = mem_zalloc(sizeof(*p));
    p->t = t;
    slab_init(&p->recs, sizeof(struct rec));
    slab_init(&p->sessions, sizeof(struct psession));
    index_init(&p->by_path, &p->recs, offsetof(struct rec, link));
    index_init(&p->by_id, &p->sessions, offsetof(struct psession, link));
    p->acls = acl_table_new(t->cfg.seed);
    return p;
}

void pending_free(struct pending **pp)
{
    struct pending *p = *pp;
    if (!p) {
        return;
    }
    pending_reset(p);
    index_fini(&p->by_path);
    index_fini(&p->by_id);
    slab_fini(&p->recs);
    slab_fini(&p->sessions);
    acl_table_free(&p->acls);
    mem_free(p->queue);
    mem_free(p->undo);
    arena_fini(&p->arena);
    buf_fini(&p->scratch);
    mem_free(p);
    *pp = NULL;
}

size_t pending_count(const struct pending *p)
{
    return p->recs.live + p->sessions.live;
}

// ---- records ----

static uint32_t hash_path(const struct pending *p, struct slice stored)
{
    return (uint32_t)hash_bytes(p->t->cfg.seed, stored);
}

static uint32_t find_hashed(const struct pending *p, struct slice stored, uint32_t hash)
{
    uint32_t h = index_first(&p->by_path, hash);
    while (h) {
        const struct rec *r = rec_at(p, h);
        if (r->path_len == stored.n && memcmp(r->path, stored.p, stored.n) == 0) {
            break;
        }
        h = index_next(&p->by_path, h);
    }
    return h;
}

static uint32_t find(const struct pending *p, struct slice stored)
{
    return p->recs.live ? find_hashed(p, stored, hash_path(p, stored)) : 0;
}

static void from_tree(const struct tree *t, uint32_t h, struct pnode *x)
{
    const struct node *n = node_at(t, h);
    *x = (struct pnode){
        .owner = node_owner(t, h),
        .czxid = n->czxid,
        .mzxid = n->mzxid,
        .pzxid = n->pzxid,
        .ctime = n->ctime,
        .mtime = n->mtime,
        .version = n->version,
        .aversion = n->aversion,
        .cversion = n->cversion,
        .cversion_seq = n->cversion,
        .acl = n->acl,
        .children = n->children,
        .crc = n->crc,
        .data_len = node_data_len(n),
    };
}

bool pending_get(const struct pending *p, struct slice path, struct pnode *n)
{
    uint32_t h = find(p, path_stored(path));
    if (h) {
        *n = rec_at(p, h)->n;
        return !n->deleted;
    }
    h = tree_find(p->t, path);
    if (h) {
        from_tree(p->t, h, n);
    }
    return h != 0;
}

const struct acl_vec *pending_acl(const struct pending *p, const struct pnode *n)
{
    return acl_table_list(n->acl_is_ours ? p->acls : p->t->acls, n->acl);
}

static uint64_t digest_of(const struct pending *p, const struct rec *r)
{
    if (r->hidden || r->n.deleted || !p->t->cfg.digest_enabled) {
        return 0;
    }
    const struct pnode *n = &r->n;
    struct digest_stat s = {n->czxid,   n->mzxid,    n->pzxid,    n->ctime, n->mtime,
                            n->version, n->cversion, n->aversion, n->owner};
    return digest_node(n->crc, &s);
}

static void note_undo(struct pending *p, uint32_t h, bool fresh)
{
    struct rec *r = rec_at(p, h);
    if (r->undo) {
        return;
    }
    mem_grow((void **)&p->undo, &p->undo_cap, p->undo_n + 1, sizeof(*p->undo));
    p->undo[p->undo_n++] = (struct undo){h, fresh, r->n};
    r->undo = (uint32_t)p->undo_n;
    r->acl_changed = false;
}

static uint32_t make_rec(struct pending *p, struct slice stored, uint32_t hash)
{
    uint32_t h = slab_alloc(&p->recs);
    struct rec *r = rec_at(p, h);
    r->path = mem_alloc(stored.n);
    memcpy(r->path, stored.p, stored.n);
    r->path_len = (uint32_t)stored.n;
    r->hidden = slice_has_prefix(stored, SLICE_LIT("/zookeeper/"));
    index_put(&p->by_path, h, hash);
    note_undo(p, h, true);
    return h;
}

uint32_t pending_touch(struct pending *p, struct slice path)
{
    struct slice stored = path_stored(path);
    uint32_t hash = hash_path(p, stored);
    uint32_t h = find_hashed(p, stored, hash);
    if (h) {
        note_undo(p, h, false);
    } else {
        uint32_t node = tree_find(p->t, path);
        must(node != 0);
        h = make_rec(p, stored, hash);
        from_tree(p->t, node, &rec_at(p, h)->n);
    }
    must(!rec_at(p, h)->n.deleted);
    p->digest -= digest_of(p, rec_at(p, h));
    return h;
}

void pending_done(struct pending *p, uint32_t h)
{
    p->digest += digest_of(p, rec_at(p, h));
}

static void drop_own_acl(struct pending *p, struct rec *r)
{
    if (r->n.acl_is_ours && r->acl_changed) {
        acl_table_unref(p->acls, r->n.acl);
    }
    r->n.acl_is_ours = false;
    r->n.acl = 0;
    r->acl_changed = true;
}

uint32_t pending_make(struct pending *p, struct slice path, struct slice data)
{
    struct slice stored = path_stored(path);
    uint32_t hash = hash_path(p, stored);
    uint32_t h = find_hashed(p, stored, hash);
    if (h) {
        note_undo(p, h, false);
        must(rec_at(p, h)->n.deleted);
        drop_own_acl(p, rec_at(p, h));
        rec_at(p, h)->n = (struct pnode){0};
    } else {
        h = make_rec(p, stored, hash);
    }
    pending_set_data(p, h, data);
    return h;
}

void pending_set_data(struct pending *p, uint32_t h, struct slice data)
{
    struct rec *r = rec_at(p, h);
    r->n.data_len = (uint32_t)data.n;
    if (p->t->cfg.digest_enabled && !r->hidden) {
        r->n.crc = digest_crc(slice_of(r->path, r->path_len), data);
    }
}

void pending_set_acl(struct pending *p, uint32_t h, const struct acl_vec *v)
{
    struct rec *r = rec_at(p, h);
    int32_t id = acl_table_get(p->acls, v);
    drop_own_acl(p, r);
    r->n.acl = id;
    r->n.acl_is_ours = true;
}

void pending_delete(struct pending *p, struct slice path, int64_t zxid)
{
    uint32_t up = pending_touch(p, path_parent(path));
    struct pnode *parent = &rec_at(p, up)->n;
    must(parent->children > 0);
    parent->children--;
    if (zxid > parent->pzxid) {
        parent->pzxid = zxid;
    }
    pending_done(p, up);
    uint32_t h = pending_touch(p, path);
    rec_at(p, h)->n.deleted = true;
    pending_done(p, h);
}

// ---- sessions ----

static struct psession *session_at(const struct pending *p, uint32_t h)
{
    return slab_at(&p->sessions, h);
}

static uint32_t hash_id(const struct pending *p, int64_t id)
{
    return (uint32_t)hash_bytes(p->t->cfg.seed, slice_of(&id, sizeof(id)));
}

static uint32_t find_session(const struct pending *p, int64_t id)
{
    if (!p->sessions.live) {
        return 0;
    }
    uint32_t h = index_first(&p->by_id, hash_id(p, id));
    while (h && session_at(p, h)->id != id) {
        h = index_next(&p->by_id, h);
    }
    return h;
}

static uint32_t get_session(struct pending *p, int64_t id)
{
    uint32_t h = find_session(p, id);
    if (!h) {
        h = slab_alloc(&p->sessions);
        session_at(p, h)->id = id;
        index_put(&p->by_id, h, hash_id(p, id));
    }
    return h;
}

static void drop_idle_session(struct pending *p, uint32_t h)
{
    if (!session_at(p, h)->first && !session_at(p, h)->zxid) {
        index_del(&p->by_id, h);
        slab_free(&p->sessions, h);
    }
}

static void unlink_session(struct pending *p, uint32_t h)
{
    struct rec *r = rec_at(p, h);
    uint32_t session = r->session;
    if (!session) {
        return;
    }
    if (r->session_prev) {
        rec_at(p, r->session_prev)->session_next = r->session_next;
    } else {
        session_at(p, session)->first = r->session_next;
    }
    if (r->session_next) {
        rec_at(p, r->session_next)->session_prev = r->session_prev;
    }
    r->session = r->session_next = r->session_prev = 0;
    drop_idle_session(p, session);
}

// A live ephemeral hangs in the list of its session, nothing else does.
static void relink_session(struct pending *p, uint32_t h)
{
    struct rec *r = rec_at(p, h);
    bool want = !r->n.deleted && owner_kind(&p->t->cfg, r->n.owner) == NODE_EPHEMERAL;
    if (r->session && (!want || session_at(p, r->session)->id != r->n.owner)) {
        unlink_session(p, h);
    }
    if (want && !r->session) {
        r->session = get_session(p, r->n.owner);
        struct psession *s = session_at(p, r->session);
        r->session_next = s->first;
        if (s->first) {
            rec_at(p, s->first)->session_prev = h;
        }
        s->first = h;
    }
}

bool pending_session_is_open(const struct pending *p, int64_t session)
{
    uint32_t h = find_session(p, session);
    if (h && session_at(p, h)->zxid) {
        return session_at(p, h)->open;
    }
    return session_get(p->t->sessions, session, NULL);
}

bool pending_session_is_closing(const struct pending *p, int64_t session)
{
    uint32_t h = find_session(p, session);
    return h && session_at(p, h)->closing;
}

static void push(struct pending *p, struct queued q)
{
    if (p->queue_n == p->queue_cap) {
        size_t cap = p->queue_cap ? p->queue_cap * 2 : 64;
        struct queued *v = mem_alloc(cap * sizeof(*v));
        for (size_t i = 0; i < p->queue_n; i++) {
            v[i] = p->queue[(p->queue_at + i) & (p->queue_cap - 1)];
        }
        mem_free(p->queue);
        p->queue = v;
        p->queue_cap = cap;
        p->queue_at = 0;
    }
    p->queue[(p->queue_at + p->queue_n++) & (p->queue_cap - 1)] = q;
}

static void set_session(struct pending *p, int64_t session, int64_t zxid, bool open)
{
    uint32_t h = get_session(p, session);
    struct psession *s = session_at(p, h);
    s->open = open;
    s->closing = !open;
    s->zxid = zxid;
    push(p, (struct queued){zxid, h, true});
}

void pending_open_session(struct pending *p, int64_t session, int64_t zxid)
{
    set_session(p, session, zxid, true);
}

void pending_close_session(struct pending *p, int64_t session, int64_t zxid)
{
    set_session(p, session, zxid, false);
}

struct slice_vec pending_ephemerals(struct pending *p, int64_t session)
{
    size_t n = 0, cap = 0;
    struct slice *v = NULL;
    uint32_t cursor = 0, node;
    while (tree_ephemeral_next(p->t, session, &cursor, &node)) {
        buf_clear(&p->scratch);
        tree_path(p->t, node, &p->scratch);
        if (!find(p, buf_slice(&p->scratch))) {
            mem_grow((void **)&v, &cap, n + 1, sizeof(*v));
            v[n++] = arena_copy(&p->arena, buf_slice(&p->scratch));
        }
    }
    uint32_t s = find_session(p, session);
    for (uint32_t h = s ? session_at(p, s)->first : 0; h; h = rec_at(p, h)->session_next) {
        mem_grow((void **)&v, &cap, n + 1, sizeof(*v));
        v[n++] = arena_copy(&p->arena, slice_of(rec_at(p, h)->path, rec_at(p, h)->path_len));
    }
    must(n <= INT32_MAX);
    struct slice_vec out = {arena_alloc(&p->arena, n * sizeof(*v)), (int32_t)n};
    if (n) {
        memcpy(out.v, v, n * sizeof(*v));
    }
    mem_free(v);
    return out;
}

// ---- one request, and its end ----

void pending_begin(struct pending *p)
{
    must(p->undo_n == 0);
    arena_reset(&p->arena);
    if (p->recs.live == 0) {
        p->digest = p->t->digest;
    }
    p->digest_undo = p->digest;
}

static void drop_rec(struct pending *p, uint32_t h)
{
    struct rec *r = rec_at(p, h);
    unlink_session(p, h);
    if (r->n.acl_is_ours) {
        acl_table_unref(p->acls, r->n.acl);
    }
    index_del(&p->by_path, h);
    mem_free(r->path);
    slab_free(&p->recs, h);
}

void pending_commit(struct pending *p, int64_t zxid)
{
    for (size_t i = 0; i < p->undo_n; i++) {
        const struct undo *u = &p->undo[i];
        struct rec *r = rec_at(p, u->rec);
        if (r->acl_changed && u->old.acl_is_ours) {
            acl_table_unref(p->acls, u->old.acl);
        }
        r->undo = 0;
        r->zxid = zxid;
        relink_session(p, u->rec);
        push(p, (struct queued){zxid, u->rec, false});
    }
    p->undo_n = 0;
}

void pending_rollback(struct pending *p)
{
    for (size_t i = 0; i < p->undo_n; i++) {
        const struct undo *u = &p->undo[i];
        struct rec *r = rec_at(p, u->rec);
        r->undo = 0;
        if (r->acl_changed && r->n.acl_is_ours) {
            acl_table_unref(p->acls, r->n.acl);
        }
        r->n = u->old;
        if (u->fresh) {
            r->n.acl_is_ours = false;
            drop_rec(p, u->rec);
        }
    }
    p->undo_n = 0;
    p->digest = p->digest_undo;
}

static void drop_queued(struct pending *p, const struct queued *q)
{
    if (!q->is_session) {
        if (rec_at(p, q->item)->zxid == q->zxid) {
            drop_rec(p, q->item);
        }
        return;
    }
    struct psession *s = session_at(p, q->item);
    if (s->zxid == q->zxid) {
        s->zxid = 0;
        s->open = s->closing = false;
        drop_idle_session(p, q->item);
    }
}

void pending_applied(struct pending *p, int64_t zxid)
{
    while (p->queue_n > 0 && p->queue[p->queue_at].zxid <= zxid) {
        struct queued q = p->queue[p->queue_at];
        p->queue_at = (p->queue_at + 1) & (p->queue_cap - 1);
        p->queue_n--;
        drop_queued(p, &q);
    }
}

void pending_reset(struct pending *p)
{
    must(p->undo_n == 0);
    pending_applied(p, INT64_MAX);
    must(p->recs.live == 0);
    must(p->sessions.live == 0);
}
