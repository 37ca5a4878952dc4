// SPDX-License-Identifier: Apache-2.0
#include "sim/model.h"

#include "base/mem.h"
#include "base/must.h"

static int compare(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}

// The place of a path, or where it would be.
static size_t place(const struct model *m, struct slice path, bool *found)
{
    size_t lo = 0, hi = m->nodes_n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = compare(m->nodes[mid]->path, path);
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    *found = false;
    return lo;
}

const struct model_node *model_history(const struct model *m, struct slice path)
{
    bool found;
    size_t i = place(m, path, &found);
    return found ? m->nodes[i] : NULL;
}

static const struct model_version *version_at(const struct model_node *n, int64_t zxid)
{
    for (size_t i = n->n; i > 0; i--) {
        if (n->v[i - 1].zxid <= zxid) {
            return n->v[i - 1].exists ? &n->v[i - 1] : NULL;
        }
    }
    return NULL;
}

const struct model_version *model_at(const struct model *m, struct slice path, int64_t zxid)
{
    const struct model_node *n = model_history(m, path.n == 0 && path.p ? SLICE_LIT("/") : path);
    return n ? version_at(n, zxid) : NULL;
}

struct slice model_parent(struct slice path)
{
    size_t i = path.n;
    while (i > 0 && path.p[i - 1] != '/') {
        i--;
    }
    return i <= 1 ? SLICE_LIT("/") : slice_head(path, i - 1);
}

int32_t model_children(const struct model *m, struct slice path, int64_t zxid)
{
    int32_t n = 0;
    for (size_t i = 0; i < m->nodes_n; i++) {
        struct slice p = m->nodes[i]->path;
        n += p.n > 1 && slice_eq(model_parent(p), path) && version_at(m->nodes[i], zxid);
    }
    return n;
}

void model_stat(const struct model *m, struct slice path, int64_t zxid, struct node_stat *st)
{
    const struct model_version *v = model_at(m, path, zxid);
    must(v);
    int32_t children = model_children(m, path.n ? path : SLICE_LIT("/"), zxid);
    *st = (struct node_stat){.czxid = v->czxid,
                             .mzxid = v->mzxid,
                             .ctime = v->ctime,
                             .mtime = v->mtime,
                             .version = v->version,
                             .cversion = 2 * v->creations - children,
                             .aversion = v->aversion,
                             .ephemeral_owner = v->session,
                             .data_length = (int32_t)v->data.n,
                             .num_children = children,
                             .pzxid = v->pzxid};
}

struct model_session *model_session(struct model *m, int64_t id)
{
    for (size_t i = 0; i < m->sessions_n; i++) {
        if (m->sessions[i].id == id) {
            return &m->sessions[i];
        }
    }
    return NULL;
}

struct model_version *model_edit(struct model *m, struct slice path, int64_t zxid)
{
    bool found;
    size_t i = place(m, path, &found);
    if (!found) {
        mem_grow((void **)&m->nodes, &m->nodes_cap, m->nodes_n + 1, sizeof(struct model_node *));
        memmove(m->nodes + i + 1, m->nodes + i, (m->nodes_n - i) * sizeof(struct model_node *));
        m->nodes_n++;
        m->nodes[i] = mem_zalloc(sizeof(struct model_node));
        m->nodes[i]->path = arena_copy(&m->arena, path);
    }
    struct model_node *n = m->nodes[i];
    if (n->n && n->v[n->n - 1].zxid == zxid) {
        return &n->v[n->n - 1];
    }
    must(n->n == 0 || n->v[n->n - 1].zxid < zxid);
    mem_grow((void **)&n->v, &n->cap, n->n + 1, sizeof(*n->v));
    n->v[n->n] = n->n ? n->v[n->n - 1] : (struct model_version){0};
    n->v[n->n].zxid = zxid;
    return &n->v[n->n++];
}

void model_fire(struct model *m, struct model_fired f)
{
    mem_grow((void **)&m->fired, &m->fired_cap, m->fired_n + 1, sizeof(*m->fired));
    f.path = arena_copy(&m->arena, f.path);
    m->fired[m->fired_n++] = f;
}

void model_undo(struct model *m, int64_t zxid)
{
    while (m->fired_n && m->fired[m->fired_n - 1].zxid == zxid) {
        m->fired_n--;
    }
    for (size_t i = 0; i < m->nodes_n; i++) {
        struct model_node *n = m->nodes[i];
        n->n -= n->n && n->v[n->n - 1].zxid == zxid;
    }
}

bool model_path_is_valid(struct slice path)
{
    if (path.n == 0 || path.p[0] != '/') {
        return false;
    }
    if (path.n == 1) {
        return true;
    }
    for (size_t i = 1, start = 1; i <= path.n; i++) {
        if (i < path.n && path.p[i] != '/') {
            continue;
        }
        struct slice part = slice_of(path.p + start, i - start);
        if (part.n == 0 || slice_eq_str(part, ".") || slice_eq_str(part, "..")) {
            return false;
        }
        start = i + 1;
    }
    return true;
}

// The fresh tree, client-protocol.md 2.1.
struct model *model_new(void)
{
    static struct acl open = {PERM_ALL,
                              {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}};
    static struct acl read = {PERM_READ,
                              {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}};
    static const char *const paths[] = {"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"};
    struct model *m = mem_zalloc(sizeof(*m));
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct model_version *v = model_edit(m, slice_str(paths[i]), 0);
        v->exists = true;
        v->data = SLICE_LIT("");
        v->acl = (struct acl_vec){i == 3 ? &read : &open, 1};
        v->aversion = i == 3 ? -1 : 0;
    }
    return m;
}

void model_free(struct model **mp)
{
    struct model *m = *mp;
    *mp = NULL;
    for (size_t i = 0; i < m->nodes_n; i++) {
        mem_free(m->nodes[i]->v);
        mem_free(m->nodes[i]);
    }
    mem_free(m->nodes);
    mem_free(m->fired);
    mem_free(m->sessions);
    arena_fini(&m->arena);
    mem_free(m);
}
