// SPDX-License-Identifier: Apache-2.0
#include "disk/snapload.h"

#include "base/mem.h"
#include "disk/pack.h"
#include "disk/window.h"
#include "tree/load.h"

// Plain bytes of a file, whatever it is packed with.
struct input {
    struct window w;
    struct unpack *unpack; // NULL: the window's bytes are plain
    struct buf plain;
    size_t from; // unused bytes of plain
    bool file_end;
};

static struct slice input_slice(const struct input *in)
{
    if (!in->unpack) {
        return window_slice(&in->w);
    }
    return slice_skip(buf_slice(&in->plain), in->from);
}

static void input_skip(struct input *in, size_t n)
{
    if (!in->unpack) {
        window_skip(&in->w, n);
    } else {
        in->from += n;
    }
}

// Unpacks until there are more plain bytes. *end: none will come.
static enum err unpack_more(struct input *in, bool *end)
{
    buf_consume(&in->plain, in->from);
    in->from = 0;
    size_t had = in->plain.n;
    for (;;) {
        size_t used;
        enum err e = unpack_put(in->unpack, window_slice(&in->w), &used, &in->plain);
        if (e) {
            return e;
        }
        window_skip(&in->w, used);
        if (in->plain.n > had) {
            return ERR_OK;
        }
        if (used > 0) {
            continue;
        }
        if (in->file_end) {
            *end = true;
            return unpack_complete(in->unpack) && window_slice(&in->w).n == 0 ? ERR_OK : ERR_CUT;
        }
        e = window_more(&in->w, &in->file_end);
        if (e) {
            return e;
        }
    }
}

static enum err input_more(struct input *in, bool *end)
{
    *end = false;
    return in->unpack ? unpack_more(in, end) : window_more(&in->w, end);
}

static enum err take_item(struct tree *tree, enum snapfile_item item,
                          const struct snapfile_value *v, struct snapload *load)
{
    switch (item) {
    case SNAPFILE_SESSION:
        load->sessions++;
        if (tree) {
            tree_load_session(tree, v->id, v->timeout_ms);
        }
        return ERR_OK;
    case SNAPFILE_ACL:
        return tree ? tree_load_acl(tree, v->id, &v->acl) : ERR_OK;
    default:
        load->nodes++;
        return tree ? tree_load_node(tree, v->path, &v->node) : ERR_OK;
    }
}

static const char *refusal(enum snapfile_item item, enum err e)
{
    if (e != ERR_UNSUPPORTED) {
        return "a node has no parent or stands twice";
    }
    return item == SNAPFILE_ACL ? "an ACL list has a number out of range"
                                : "a node is of a kind that is switched off; TTL nodes need "
                                  "extendedTypesEnabled=true";
}

static enum err parse_all(struct input *in, struct snapfile_parser *p, struct tree *tree,
                          struct snapload *load)
{
    struct snapfile_value v;
    snapfile_feed(p, input_slice(in));
    for (;;) {
        enum snapfile_item item = snapfile_next(p, &v);
        if (item == SNAPFILE_BAD) {
            return ERR_CORRUPT;
        }
        if (item != SNAPFILE_MORE) {
            enum err e = take_item(tree, item, &v, load);
            if (e) {
                p->why = refusal(item, e);
                return e;
            }
            continue;
        }
        input_skip(in, snapfile_used(p));
        bool end;
        enum err e = input_more(in, &end);
        if (e || end) {
            if (e == ERR_CUT || e == ERR_CORRUPT) {
                p->why = "its compressed bytes are damaged or end too early";
            }
            return e ? e : snapfile_finish(p, &load->info);
        }
        snapfile_feed(p, input_slice(in));
    }
}

enum err snapshot_load(struct env *env, const char *dir, const struct disk_file *file,
                       struct tree *tree, struct snapload *load)
{
    *load = (struct snapload){.why = "it cannot be read"};
    struct input in = {0};
    char *path = disk_path(dir, file->name);
    enum err e = window_open(&in.w, env, path);
    mem_free(path);
    if (e) {
        return e;
    }
    in.unpack = file->packed != DISK_PLAIN ? unpack_new(file->packed) : NULL;
    struct snapfile_parser p;
    snapfile_init(&p, SNAPLOAD_BYTES_MAX);
    if (tree) {
        tree_load_begin(tree);
    }
    e = parse_all(&in, &p, tree, load);
    load->off = p.off;
    load->why = p.why ? p.why : load->why;
    snapfile_fini(&p);
    if (!e && tree) {
        e = tree_load_end(tree, file->zxid);
        load->why = "its nodes do not make a tree";
    }
    // A digest at zxid 0 is Apache's "none": no transaction had been applied.
    const struct snapfile_info *info = &load->info;
    if (!e && tree && info->has_digest && info->digest_zxid > 0 &&
        info->digest_zxid >= file->zxid) {
        tree_load_digest(tree, load->info.digest_zxid, load->info.digest);
    }
    unpack_free(&in.unpack);
    buf_fini(&in.plain);
    window_close(&in.w);
    return e;
}
