// SPDX-License-Identifier: Apache-2.0
//
// `reeve snapshot`: loads one snapshot, or two, and prints what is wanted of them.
#include <inttypes.h>

#include "cli/offline_print.h"
#include "cli/offline_text.h"
#include "cli/snap_compare.h"
#include "cli/snap_summary.h"

enum { TICK_NODES = 4096 };

struct run {
    const struct snap_request *q;
    struct offline_print p;
    bool damaged;
};

// ---- finding and loading ------------------------------------------------------------------------

static void say_damage(struct run *r, const struct snap_file *f, const char *path)
{
    offline_print_say(&r->p, "%s is damaged at offset %" PRIu64 "%s: %s", path, f->off,
                      f->packed == DISK_PLAIN ? "" : " of its unpacked bytes", f->why);
}

static bool load(struct run *r, struct snap_file *f, const struct offline_file *file)
{
    r->p.stop = !r->q->sh.tick(r->q->sh.ctx, file->path, 0, file->name.size);
    enum err e = r->p.stop ? ERR_OK : snap_file_load(f, &r->p.o, file);
    if (e == ERR_INVALID) {
        offline_print_say(&r->p, "%s is no snapshot: it does not begin as one", file->path);
        r->p.failed = true;
        return false;
    }
    if (e) {
        offline_print_fail(&r->p, file->path, e);
        return false;
    }
    return !r->p.stop;
}

// What is still there of a file whose damage was told.
static bool take_damaged(struct run *r, struct snap_file *f, const char *path)
{
    r->damaged = true;
    if (!f->tree) {
        offline_print_say(&r->p, "nothing of %s can be read", path);
        r->p.failed = true;
        return false;
    }
    offline_print_say(&r->p,
                      "%" PRIu64 " nodes and %" PRIu64
                      " sessions stand before that; their checksum cannot be verified",
                      f->nodes, f->sessions);
    return true;
}

// The newest that is whole; if none is, what the newest with anything in it still holds. *used:
// which it was.
static bool load_newest(struct run *r, const struct offline_files *files, struct snap_file *f,
                        size_t *used)
{
    bool found = false;
    for (size_t i = files->n; i > 0; i--) {
        if (!load(r, f, &files->v[i - 1])) {
            continue;
        }
        if (f->whole) {
            *used = i - 1;
            r->p.failed = false; // a newer one that is none is passed over, as a start does
            return true;
        }
        say_damage(r, f, files->v[i - 1].path);
        *used = found ? *used : i - 1;
        found = true;
        snap_file_fini(f);
    }
    if (r->p.stop || !found) {
        return false;
    }
    r->p.failed = false;
    return load(r, f, &files->v[*used]) && take_damaged(r, f, files->v[*used].path);
}

static bool replay(struct run *r, struct snap_file *f, const char *dir)
{
    enum err e = snap_file_replay(f, &r->p.o, dir);
    if (e == ERR_CORRUPT || e == ERR_UNSUPPORTED) {
        offline_print_say(&r->p, "%s", r->p.o.said);
        offline_print_say(&r->p, "shown is what stands in front of that, up to zxid 0x%" PRIx64,
                          (uint64_t)f->zxid);
        r->damaged = true;
        return true;
    }
    if (e) {
        offline_print_fail(&r->p, dir, e);
    }
    return !e;
}

// Loads what a word stands for. False: said why. *path is to be freed.
static bool load_word(struct run *r, const char *word, struct snap_file *f, char **path)
{
    struct offline_files files = {0};
    enum err e = offline_add(&r->p.o, &files, word, DISK_NAME_SNAPSHOT);
    size_t used = 0;
    bool loaded = false;
    *path = NULL;
    if (e == ERR_INVALID) {
        offline_print_say(&r->p, "%s has no snapshot (files snapshot.ZXID)", word);
        r->p.failed = true;
    } else if (e) {
        offline_print_fail(&r->p, word, e);
    } else {
        offline_files_settle(&files);
        loaded =
            load_newest(r, &files, f, &used) && (!r->q->replay || replay(r, f, files.v[used].dir));
        *path = mem_strdup(files.v[used].path);
    }
    offline_files_fini(&files);
    return loaded;
}

// ---- the tree -----------------------------------------------------------------------------------

static void print_head_json(struct run *r, const struct snap_file *f, const char *path)
{
    buf_fmt(&r->p.out, "{\"file\":");
    offline_json(&r->p.out, slice_str(path));
    buf_fmt(&r->p.out, ",\"whole\":%s,", f->whole ? "true" : "false");
    if (f->zxid >= 0) {
        buf_fmt(&r->p.out, "\"zxid\":\"0x%" PRIx64 "\",", (uint64_t)f->zxid);
    }
    buf_fmt(&r->p.out, "\"sessions\":");
    snap_text_sessions_json(&r->p.out, f);
    buf_fmt(&r->p.out, ",\"nodes\":[\n");
}

static void print_tree(struct run *r, const struct snap_file *f, const char *path)
{
    bool json = r->q->sh.json;
    if (json) {
        print_head_json(r, f, path);
    } else {
        snap_text_head(&r->p.out, f, path);
        snap_text_sessions(&r->p.out, f);
    }
    struct snap_walk w;
    snap_walk_init(&w, f);
    for (uint64_t n = 1; !r->p.stop && snap_walk_next(&w); n++) {
        if (json) {
            buf_fmt(&r->p.out, n > 1 ? ",\n" : "");
            snap_text_node_json(&r->p.out, &w);
        } else {
            snap_text_node(&r->p.out, &w, r->q->data);
        }
        offline_print_flush_much(&r->p);
        if (n % TICK_NODES == 0 && !r->q->sh.tick(r->q->sh.ctx, path, n, f->nodes)) {
            r->p.stop = true;
        }
    }
    snap_walk_fini(&w);
    buf_fmt(&r->p.out, json ? "\n]}\n" : "");
    offline_print_flush(&r->p);
}

static void print_summary(struct run *r, const struct snap_file *f, const char *path)
{
    struct snap_summary s;
    snap_summary_make(&s, f, r->q->depth);
    if (r->q->sh.json) {
        snap_summary_json(&s, f, &r->p.out);
    } else {
        snap_text_head(&r->p.out, f, path);
        snap_summary_text(&s, f, &r->p.out);
    }
    snap_summary_fini(&s);
    offline_print_flush(&r->p);
}

// ---- compare ------------------------------------------------------------------------------------

static void print_change(void *ctx, const struct snap_change *c)
{
    static const char *const names[] = {"created", "deleted", "changed"};
    struct run *r = ctx;
    struct buf *b = &r->p.out;
    if (r->q->sh.json) {
        buf_fmt(b, "{\"change\":\"%s\",\"path\":", names[c->kind]);
        offline_json(b, buf_slice(&c->path));
        buf_fmt(b, ",\"nodes\":%" PRIu64 ",\"bytes\":%" PRId64, c->nodes, c->bytes);
        if (c->kind == SNAP_CHANGED) {
            buf_fmt(b, ",\"what\":");
            offline_json(b, buf_slice(&c->why));
        }
        buf_fmt(b, "}\n");
    } else {
        buf_fmt(b, "%c ", "+-~"[c->kind]);
        offline_escaped(b, buf_slice(&c->path));
        if (c->kind == SNAP_CHANGED) {
            buf_fmt(b, ": %.*s", SLICE_ARG(buf_slice(&c->why)));
        } else if (c->nodes > 1) {
            buf_fmt(b, ": %" PRIu64 " nodes, %" PRId64 " bytes", c->nodes, c->bytes);
        } else {
            buf_fmt(b, ": %" PRId64 " bytes", c->bytes);
        }
        buf_fmt(b, "\n");
    }
    offline_print_flush_much(&r->p);
}

static bool compare(struct run *r, const struct snap_file *a, const struct snap_file *b)
{
    struct snap_compare c = {.a = a,
                             .b = b,
                             .nodes_min = r->q->nodes_min,
                             .bytes_min = r->q->bytes_min,
                             .each = print_change,
                             .ctx = r};
    bool same = snap_compare_run(&c);
    struct buf *out = &r->p.out;
    if (r->q->sh.json) {
        buf_fmt(out, "{\"same\":%s,\"created\":%" PRIu64 ",\"deleted\":%" PRIu64,
                same ? "true" : "false", c.created, c.deleted);
        buf_fmt(out, ",\"changed\":%" PRIu64 ",\"bytes\":%" PRId64, c.changed, c.bytes);
        buf_fmt(out, ",\"sessions_new\":%" PRIu64 ",\"sessions_gone\":%" PRIu64 "}\n",
                c.sessions_new, c.sessions_gone);
    } else {
        buf_fmt(out, "%s: %" PRIu64 " created, %" PRIu64 " deleted, %" PRIu64 " changed",
                same ? "the same" : "different", c.created, c.deleted, c.changed);
        buf_fmt(out, ", %+" PRId64 " bytes; sessions: %" PRIu64 " new, %" PRIu64 " gone\n", c.bytes,
                c.sessions_new, c.sessions_gone);
    }
    offline_print_flush(&r->p);
    return same;
}

// ---- the command --------------------------------------------------------------------------------

static int run_compare(struct run *r)
{
    struct snap_file a = {0}, b = {0};
    char *from = NULL, *to = NULL;
    bool loaded = load_word(r, r->q->words[0], &a, &from) && load_word(r, r->q->words[1], &b, &to);
    bool same = loaded && compare(r, &a, &b);
    snap_file_fini(&a);
    snap_file_fini(&b);
    mem_free(from);
    mem_free(to);
    return !loaded || r->p.failed || r->damaged ? OFFLINE_USAGE : same ? OFFLINE_OK : OFFLINE_NO;
}

static int run_one(struct run *r)
{
    struct snap_file f = {0};
    char *path = NULL;
    if (load_word(r, r->q->words[0], &f, &path)) {
        if (r->q->summary) {
            print_summary(r, &f, path);
        } else {
            print_tree(r, &f, path);
        }
    }
    snap_file_fini(&f);
    mem_free(path);
    return r->p.failed || r->damaged ? OFFLINE_NO : OFFLINE_OK;
}

int snap_run(const struct snap_request *q)
{
    struct run r = {.q = q};
    if (!offline_print_open(&r.p, &q->sh)) {
        return OFFLINE_NO;
    }
    int code = q->compare ? run_compare(&r) : run_one(&r);
    offline_print_close(&r.p);
    return r.p.stop && !r.p.failed ? OFFLINE_STOPPED : code;
}
