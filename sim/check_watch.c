// SPDX-License-Identifier: Apache-2.0
#include "sim/check_watch.h"

#include <inttypes.h>

#include "base/mem.h"
#include "sim/report.h"
#include "wire/path.h"

void watcher_reset(struct watcher *w)
{
    w->n = w->due_n = w->made_n = 0;
}

void watcher_fini(struct watcher *w)
{
    mem_free(w->v);
    mem_free(w->due);
    mem_free(w->made);
}

// ---- registrations ---------------------------------------------------------------------------

static struct watcher_entry *find(struct watcher *w, struct slice path, bool child_list)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->v[i].child_list == child_list && slice_eq(w->v[i].path, path)) {
            return &w->v[i];
        }
    }
    return NULL;
}

static void add(struct watcher *w, struct slice path, bool child_list, unsigned mode)
{
    struct watcher_entry *e = find(w, path, child_list);
    if (!e) {
        mem_grow((void **)&w->v, &w->cap, w->n + 1, sizeof(*w->v));
        e = &w->v[w->n++];
        *e = (struct watcher_entry){path, child_list, 0};
    }
    e->modes |= mode;
}

static bool drop(struct watcher *w, struct slice path, bool child_list, unsigned modes, bool really)
{
    struct watcher_entry *e = find(w, path, child_list);
    if (!e || !(e->modes & modes)) {
        return false;
    }
    if (really) {
        e->modes &= ~modes;
        if (!e->modes) {
            *e = w->v[--w->n];
        }
    }
    return true;
}

// ---- what changes fire -----------------------------------------------------------------------

static bool is_due(struct watcher *w, const struct model_fired *f)
{
    bool hit = false;
    for (size_t i = 0; i < w->n && !f->child_list; i++) {
        hit |= (w->v[i].modes & WATCHER_RECURSIVE) && !w->v[i].child_list &&
               path_is_under(f->path, w->v[i].path);
    }
    struct watcher_entry *e = find(w, f->path, f->child_list);
    if (e) {
        hit |= (e->modes & (WATCHER_STANDARD | WATCHER_PERSISTENT)) != 0;
        drop(w, f->path, f->child_list, WATCHER_STANDARD, true);
    }
    return hit;
}

static void expect(struct watcher *w, struct watcher_note e)
{
    mem_grow((void **)&w->due, &w->due_cap, w->due_n + 1, sizeof(*w->due));
    w->due[w->due_n++] = e;
}

static void run_changes(struct watcher *w, const struct model *m, int64_t to)
{
    if (to <= w->pos) {
        return;
    }
    size_t lo = 0, hi = m->fired_n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (m->fired[mid].zxid <= w->pos) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    bool before = false; // whether the change before this one was for us
    for (size_t i = lo; i < m->fired_n && m->fired[i].zxid <= to && w->n; i++) {
        const struct model_fired *f = &m->fired[i];
        bool hit = is_due(w, f);
        if (hit && !(f->unless_data && before) && acls_allow(f->acl, PERM_READ, w->who)) {
            expect(w, (struct watcher_note){f->zxid, f->type, f->path, f->any_order});
        }
        before = hit;
    }
    w->pos = to;
}

// ---- what comes ------------------------------------------------------------------------------

static bool same(const struct watcher_note *e, int64_t zxid, int32_t type, struct slice path)
{
    return e->zxid == zxid && e->type == type && slice_eq(e->path, path);
}

void watcher_on_event(struct watcher *w, const struct model *m, int64_t zxid, int32_t type,
                      struct slice path, struct report *r)
{
    if (zxid == -1) {
        mem_grow((void **)&w->made, &w->made_cap, w->made_n + 1, sizeof(*w->made));
        w->made[w->made_n++] = (struct watcher_note){zxid, type, arena_copy(w->arena, path), false};
        return;
    }
    run_changes(w, m, zxid);
    for (size_t i = 0; i < w->due_n && (i == 0 || w->due[i].any_order); i++) {
        if (same(&w->due[i], zxid, type, path)) {
            memmove(w->due + i, w->due + i + 1, (--w->due_n - i) * sizeof(*w->due));
            return;
        }
    }
    const struct watcher_note *d = w->due_n ? &w->due[0] : NULL;
    report_fail(r,
                "client %u gets a notification of type %d for %.*s at 0x%" PRIx64
                ", expected %s: type %d for %.*s at 0x%" PRIx64,
                w->who.client, type, SLICE_ARG(path), (uint64_t)zxid, d ? "another" : "none",
                d ? d->type : 0, SLICE_ARG((d ? d->path : SLICE_NULL)),
                (uint64_t)(d ? d->zxid : 0));
}

static void set_watch_event(struct watcher *w, size_t *at, int32_t type, struct slice path,
                            struct report *r)
{
    if (*at < w->made_n && same(&w->made[*at], -1, type, path)) {
        ++*at;
        return;
    }
    report_fail(r, "client %u: setWatches owes a notification of type %d for %.*s", w->who.client,
                type, SLICE_ARG(path));
}

// client-protocol.md 6.5.
static void set_watches(struct watcher *w, const struct model *m, const struct ask *q, int64_t zxid,
                        struct report *r)
{
    size_t at = 0;
    for (int32_t i = 0; i < q->set.data.n; i++) {
        const struct model_version *v = model_at(m, q->set.data.v[i], zxid);
        if (!v || v->mzxid > q->set.relative_zxid) {
            set_watch_event(w, &at, v ? 3 : 2, q->set.data.v[i], r);
        } else {
            add(w, q->set.data.v[i], false, WATCHER_STANDARD);
        }
    }
    for (int32_t i = 0; i < q->set.exist.n; i++) {
        if (model_at(m, q->set.exist.v[i], zxid)) {
            set_watch_event(w, &at, 1, q->set.exist.v[i], r);
        } else {
            add(w, q->set.exist.v[i], false, WATCHER_STANDARD);
        }
    }
    for (int32_t i = 0; i < q->set.child.n; i++) {
        const struct model_version *v = model_at(m, q->set.child.v[i], zxid);
        if (!v || v->pzxid > q->set.relative_zxid) {
            set_watch_event(w, &at, v ? 4 : 2, q->set.child.v[i], r);
        } else {
            add(w, q->set.child.v[i], true, WATCHER_STANDARD);
        }
    }
    for (int32_t i = 0; i < q->set.persistent.n && q->type == OP_SET_WATCHES2; i++) {
        add(w, q->set.persistent.v[i], false, WATCHER_PERSISTENT);
        add(w, q->set.persistent.v[i], true, WATCHER_PERSISTENT);
    }
    for (int32_t i = 0; i < q->set.persistent_recursive.n && q->type == OP_SET_WATCHES2; i++) {
        add(w, q->set.persistent_recursive.v[i], false, WATCHER_RECURSIVE);
    }
    if (at != w->made_n) {
        report_fail(r, "client %u: setWatches made %zu notifications, expected %zu", w->who.client,
                    w->made_n, at);
    }
    w->made_n = 0;
}

// client-protocol.md 6.6.
static int32_t remove_watches(struct watcher *w, const struct ask *q)
{
    bool really = q->type == OP_REMOVE_WATCHES, any = false;
    unsigned all = WATCHER_STANDARD | WATCHER_PERSISTENT | WATCHER_RECURSIVE;
    switch (q->mode) {
    case 1:
        any = drop(w, q->path, true, WATCHER_STANDARD, really);
        break;
    case 2:
        any = drop(w, q->path, false, WATCHER_STANDARD, really);
        break;
    case 3:
        any = drop(w, q->path, true, all, really);
        any |= drop(w, q->path, false, all, really);
        break;
    case 4:
        any = drop(w, q->path, false, WATCHER_PERSISTENT, really);
        if (any) {
            drop(w, q->path, true, WATCHER_PERSISTENT, really);
        }
        break;
    case 5:
        any = drop(w, q->path, false, WATCHER_RECURSIVE, really);
        break;
    default:
        return ZK_MARSHALLINGERROR;
    }
    return any ? ZK_OK : ZK_NOWATCHER;
}

int32_t watcher_on_reply(struct watcher *w, const struct model *m, const struct ask *q,
                         int64_t zxid, int32_t err, struct report *r)
{
    run_changes(w, m, zxid);
    if (w->due_n) {
        const struct watcher_note *d = &w->due[0];
        report_fail(r,
                    "client %u gets a reply at 0x%" PRIx64 " and still lacks the notification of "
                    "type %d for %.*s at 0x%" PRIx64,
                    w->who.client, (uint64_t)zxid, d->type, SLICE_ARG(d->path), (uint64_t)d->zxid);
        return ZK_OK;
    }
    switch (q->type) {
    case OP_EXISTS:
        if (q->watch && (err == ZK_OK || err == ZK_NONODE)) {
            add(w, q->path, false, WATCHER_STANDARD);
        }
        break;
    case OP_GET_DATA:
    case OP_GET_CHILDREN:
    case OP_GET_CHILDREN2:
        if (q->watch && err == ZK_OK) {
            add(w, q->path, q->type != OP_GET_DATA, WATCHER_STANDARD);
        }
        break;
    case OP_ADD_WATCH:
        add(w, q->path, false, q->mode ? WATCHER_RECURSIVE : WATCHER_PERSISTENT);
        if (!q->mode) {
            add(w, q->path, true, WATCHER_PERSISTENT);
        }
        break;
    case OP_SET_WATCHES:
    case OP_SET_WATCHES2:
        set_watches(w, m, q, zxid, r);
        break;
    case OP_CHECK_WATCHES:
    case OP_REMOVE_WATCHES:
        return remove_watches(w, q);
    default:
        break;
    }
    return ZK_OK;
}
