// SPDX-License-Identifier: Apache-2.0
#include "disk/snapload.h"

#include "disk/plain.h"
#include "tree/load.h"

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

static enum err parse_all(struct plain *in, struct snapfile_parser *p, struct tree *tree,
                          struct snapload *load)
{
    struct snapfile_value v;
    snapfile_feed(p, plain_slice(in));
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
        plain_skip(in, snapfile_used(p));
        bool end;
        enum err e = plain_more(in, &end);
        if (e || end) {
            if (e == ERR_CUT || e == ERR_CORRUPT) {
                p->why = "its compressed bytes are damaged or end too early";
            }
            return e ? e : snapfile_finish(p, &load->info);
        }
        snapfile_feed(p, plain_slice(in));
    }
}

enum err snapshot_load(struct env *env, const char *dir, const struct disk_file *file,
                       struct tree *tree, struct snapload *load)
{
    *load = (struct snapload){.why = "it cannot be read"};
    struct plain in;
    enum err e = plain_open(&in, env, dir, file);
    if (e) {
        return e;
    }
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
    plain_close(&in);
    return e;
}
