// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // qsort_r
#include "cli/snap_file.h"

#include <stdio.h>
#include <stdlib.h>

#include "disk/plain.h"
#include "disk/replay.h"
#include "disk/snapload.h"
#include "tree/load.h"

// More nodes than the loader of the tree has in hand at a time.
enum { STEP_BACK = 256 };

// ---- reading ------------------------------------------------------------------------------------

// How a file is packed is told by its first bytes: files are renamed.
static enum err packing_of(struct env *env, const char *path, enum disk_compression *packed)
{
    struct window w;
    enum err e = window_open(&w, env, path);
    bool end = false;
    while (!e && !end && window_slice(&w).n < 8) {
        e = window_more(&w, &end);
    }
    struct slice s = e ? SLICE_NULL : window_slice(&w);
    bool gzip = s.n >= 2 && s.p[0] == 0x1f && s.p[1] == 0x8b;
    bool snappy = s.n >= 7 && s.p[0] == 0x82 && memcmp(s.p + 1, "SNAPPY", 6) == 0;
    *packed = gzip ? DISK_GZIP : snappy ? DISK_SNAPPY : DISK_PLAIN;
    window_close(&w);
    return e;
}

static enum err open_plain(struct plain *in, struct env *env, const char *path,
                           enum disk_compression packed)
{
    *in = (struct plain){0};
    enum err e = window_open(&in->w, env, path);
    if (!e && packed != DISK_PLAIN) {
        in->unpack = unpack_new(packed);
    }
    return e;
}

static struct tree *new_tree(void)
{
    static const struct logger silent = {.level = LOG_ERROR};
    struct tree_config cfg = {.extended_types = true, .seed = 1, .bytes_max = SNAPLOAD_BYTES_MAX};
    struct tree *t = tree_new(&cfg, &silent);
    tree_load_begin(t);
    return t;
}

static enum err bad(struct snap_file *f, const struct snapfile_parser *p, const char *why)
{
    snprintf(f->why, sizeof(f->why), "%s", why ? why : p->why ? p->why : "it cannot be read");
    f->off = p->off;
    return ERR_CORRUPT;
}

// Takes one item; what the tree refuses is damage as well.
static enum err take(struct snap_file *f, enum snapfile_item item, const struct snapfile_value *v)
{
    switch (item) {
    case SNAPFILE_SESSION:
        f->sessions++;
        if (f->tree) {
            tree_load_session(f->tree, v->id, v->timeout_ms);
        }
        return ERR_OK;
    case SNAPFILE_ACL:
        f->acls++;
        return f->tree ? tree_load_acl(f->tree, v->id, &v->acl) : ERR_OK;
    default:
        f->nodes++;
        f->bytes += v->path.n + v->node.data.n;
        f->hide_config = f->hide_config && !slice_eq_str(v->path, "/zookeeper/config");
        return f->tree ? tree_load_node(f->tree, v->path, &v->node) : ERR_OK;
    }
}

// ERR_CORRUPT: why and off say where. max: so many items at most.
static enum err parse(struct snap_file *f, struct plain *in, struct snapfile_parser *p,
                      uint64_t max)
{
    struct snapfile_value v;
    snapfile_feed(p, plain_slice(in));
    for (uint64_t n = 0; n < max;) {
        enum snapfile_item item = snapfile_next(p, &v);
        if (item == SNAPFILE_BAD) {
            return bad(f, p, NULL);
        }
        if (item != SNAPFILE_MORE) {
            enum err e = take(f, item, &v);
            if (e) {
                return bad(f, p,
                           e == ERR_UNSUPPORTED
                               ? "a node or an ACL list is of a kind that nobody writes"
                               : "a node has no parent or stands twice");
            }
            n++;
            continue;
        }
        plain_skip(in, snapfile_used(p));
        bool end;
        enum err e = plain_more(in, &end);
        if (e == ERR_CUT || e == ERR_CORRUPT) {
            return bad(f, p, "its compressed bytes are damaged or end too early");
        }
        if (e || end) {
            return e ? e : snapfile_finish(p, &f->info) ? bad(f, p, NULL) : ERR_OK;
        }
        snapfile_feed(p, plain_slice(in));
    }
    return ERR_OK;
}

static enum err read_file(struct snap_file *f, struct env *env, const struct offline_file *file,
                          uint64_t max)
{
    struct plain in;
    enum err e = open_plain(&in, env, file->path, f->packed);
    f->nodes = f->sessions = f->acls = f->bytes = 0;
    f->hide_config = true;
    if (!e) {
        struct snapfile_parser p;
        snapfile_init(&p, SNAPLOAD_BYTES_MAX);
        e = parse(f, &in, &p, max);
        if (e == ERR_CORRUPT && p.state == SNAPFILE_AT_HEADER && f->packed == DISK_PLAIN) {
            e = ERR_INVALID;
        }
        snapfile_fini(&p);
    }
    plain_close(&in);
    return e;
}

static uint64_t items(const struct snap_file *f)
{
    return f->nodes + f->sessions + f->acls;
}

// Of a damaged file, the items in front of the damage once more: a tree that refused one is not to
// be used. That a node stands twice is said some nodes later only, so it may take a step back.
static enum err load_front(struct snap_file *f, struct env *env, const struct offline_file *file)
{
    struct snap_file damage = *f;
    uint64_t max = items(f);
    enum err e = ERR_CORRUPT;
    for (int i = 0; i < 3 && e == ERR_CORRUPT && max > 0; i++) {
        max -= i == 0 ? damage.refused : max < STEP_BACK ? 1 : STEP_BACK;
        tree_free(&f->tree);
        f->tree = new_tree();
        e = read_file(f, env, file, max);
        if (!e) {
            e = tree_load_end(f->tree, f->zxid < 0 ? 0 : f->zxid);
        }
    }
    if (e) {
        tree_free(&f->tree);
        f->nodes = f->sessions = f->acls = f->bytes = 0;
    }
    f->off = damage.off;
    memcpy(f->why, damage.why, sizeof(f->why));
    return e == ERR_CORRUPT ? ERR_OK : e;
}

static enum err read_and_judge(struct snap_file *f, struct offline *o,
                               const struct offline_file *file)
{
    enum err e = packing_of(o->env, file->path, &f->packed);
    if (!e) {
        e = read_file(f, o->env, file, UINT64_MAX);
    }
    f->zxid = file->name.kind == DISK_NAME_SNAPSHOT ? file->name.zxid
              : f->info.has_last_zxid               ? f->info.last_zxid
                                                    : -1;
    f->whole = e == ERR_OK;
    return e;
}

enum err snap_file_load(struct snap_file *f, struct offline *o, const struct offline_file *file)
{
    *f = (struct snap_file){.tree = new_tree()};
    enum err e = read_and_judge(f, o, file);
    if (!e && tree_load_end(f->tree, f->zxid < 0 ? 0 : f->zxid)) {
        snprintf(f->why, sizeof(f->why), "its nodes do not make a tree");
        f->whole = false;
        e = ERR_CORRUPT;
    }
    if (e == ERR_CORRUPT) {
        e = load_front(f, o->env, file);
    }
    if (e) {
        snap_file_fini(f);
    }
    return e;
}

enum err snap_file_replay(struct snap_file *f, struct offline *o, const char *dir)
{
    struct disk_files files;
    struct replay r;
    struct replay_how how = {.until = INT64_MAX, .look_only = true};
    o->said[0] = '\0';
    enum err e = disk_files_list(o->env, dir, &files);
    if (!e) {
        e = replay_logs(o->env, dir, &files, f->tree, &how, &r);
        if (e) {
            tree_replay_end(f->tree);
        }
        f->zxid = tree_zxid(f->tree);
        f->nodes = tree_node_count(f->tree) - 1 - f->hide_config;
        f->sessions = session_count(tree_sessions_const(f->tree));
        f->info = (struct snapfile_info){0};
    }
    disk_files_fini(&files);
    return e;
}

void snap_file_fini(struct snap_file *f)
{
    tree_free(&f->tree);
}

// ---- walking ------------------------------------------------------------------------------------

static void push(struct snap_walk *w, uint32_t node, uint32_t depth)
{
    mem_grow((void **)&w->stack, &w->cap, w->n + 1, sizeof(*w->stack));
    w->stack[w->n++] = (struct snap_walk_entry){node, depth};
}

void snap_walk_init(struct snap_walk *w, const struct snap_file *f)
{
    *w = (struct snap_walk){.file = f};
    uint32_t root = f->tree ? tree_find(f->tree, SLICE_LIT("/")) : 0;
    if (root) {
        push(w, root, 0);
    }
}

static int by_name_down(const void *a, const void *b, void *ctx)
{
    const struct snap_walk_entry *x = a, *y = b;
    struct slice p = tree_node_name(ctx, x->node), q = tree_node_name(ctx, y->node);
    int r = memcmp(p.p, q.p, p.n < q.n ? p.n : q.n);
    return r ? -r : p.n < q.n ? 1 : -1;
}

static bool is_hidden(const struct snap_walk *w)
{
    return w->file->hide_config && slice_eq_str(buf_slice(&w->path), "/zookeeper/config");
}

bool snap_walk_next(struct snap_walk *w)
{
    const struct tree *t = w->file->tree;
    do {
        if (w->n == 0) {
            return false;
        }
        w->n--;
        w->node = w->stack[w->n].node;
        w->depth = w->stack[w->n].depth;
        buf_clear(&w->path);
        tree_path(t, w->node, &w->path);
    } while (is_hidden(w));
    size_t from = w->n;
    for (uint32_t c = tree_first_child(t, w->node); c; c = tree_next_sibling(t, c)) {
        push(w, c, w->depth + 1);
    }
    if (w->n - from > 1) {
        qsort_r(w->stack + from, w->n - from, sizeof(*w->stack), by_name_down,
                (void *)(uintptr_t)t);
    }
    return true;
}

void snap_walk_fini(struct snap_walk *w)
{
    mem_free(w->stack);
    buf_fini(&w->path);
}
