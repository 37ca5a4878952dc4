// SPDX-License-Identifier: Apache-2.0
#include "cli/snap_summary.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/offline_text.h"
#include "tree/node.h"

static char *text_of(struct slice s)
{
    char *p = mem_alloc(s.n + 1);
    memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

// Keeps the SNAP_TOP greatest, the greatest first; of equals the one that came first.
static void top_put(struct snap_top *t, uint64_t value, struct slice text)
{
    size_t at = t->n;
    while (at > 0 && t->v[at - 1].value < value) {
        at--;
    }
    if (value == 0 || at == SNAP_TOP) {
        return;
    }
    if (t->n == SNAP_TOP) {
        mem_free(t->v[--t->n].text);
    }
    memmove(&t->v[at + 1], &t->v[at], (t->n - at) * sizeof(*t->v));
    t->v[at] = (struct snap_top_entry){value, text_of(text)};
    t->n++;
}

static void top_fini(struct snap_top *t)
{
    for (size_t i = 0; i < t->n; i++) {
        mem_free(t->v[i].text);
    }
}

// The row of each depth that the walk is below of.
struct open_rows {
    size_t *v;
    size_t cap;
};

static void count_node(struct snap_summary *s, const struct snap_walk *w)
{
    const struct tree *t = w->file->tree;
    struct data_node d;
    struct node_stat st;
    tree_node_stored(t, w->node, &d);
    tree_node_stat(t, w->node, &st);
    s->nodes++;
    s->data_bytes += d.data.n;
    s->path_bytes += w->path.n;
    enum node_kind kind = owner_kind(tree_config(t), d.ephemeral_owner);
    s->ephemerals += kind == NODE_EPHEMERAL;
    s->containers += kind == NODE_CONTAINER;
    s->ttls += kind == NODE_TTL;
    top_put(&s->largest, d.data.n, buf_slice(&w->path));
    top_put(&s->widest, (uint64_t)st.num_children, buf_slice(&w->path));
}

static void count_rows(struct snap_summary *s, const struct snap_walk *w, uint32_t depth,
                       struct open_rows *open)
{
    if (w->depth <= depth) {
        mem_grow((void **)&open->v, &open->cap, w->depth + 1, sizeof(*open->v));
        open->v[w->depth] = s->n;
        mem_grow((void **)&s->rows, &s->cap, s->n + 1, sizeof(*s->rows));
        s->rows[s->n++] = (struct snap_subtree){
            .path = text_of(buf_slice(&w->path)), .path_n = w->path.n, .depth = w->depth};
    }
    uint32_t deepest = w->depth < depth ? w->depth : depth;
    for (uint32_t i = 0; i <= deepest; i++) {
        s->rows[open->v[i]].nodes++;
        s->rows[open->v[i]].bytes += tree_node_data(w->file->tree, w->node).n;
    }
}

void snap_summary_make(struct snap_summary *s, const struct snap_file *f, uint32_t depth)
{
    *s = (struct snap_summary){0};
    struct open_rows open = {0};
    struct snap_walk w;
    snap_walk_init(&w, f);
    while (snap_walk_next(&w)) {
        count_node(s, &w);
        count_rows(s, &w, depth, &open);
    }
    snap_walk_fini(&w);
    mem_free(open.v);
    size_t n;
    struct snap_session *sessions = snap_sessions(f, &n);
    for (size_t i = 0; i < n; i++) {
        char id[32];
        snprintf(id, sizeof(id), "0x%" PRIx64, (uint64_t)sessions[i].id);
        top_put(&s->owners, sessions[i].ephemerals, slice_str(id));
    }
    mem_free(sessions);
}

void snap_summary_fini(struct snap_summary *s)
{
    for (size_t i = 0; i < s->n; i++) {
        mem_free(s->rows[i].path);
    }
    mem_free(s->rows);
    top_fini(&s->largest);
    top_fini(&s->widest);
    top_fini(&s->owners);
}

// ---- text ---------------------------------------------------------------------------------------

static void put_top(struct buf *b, const char *title, const struct snap_top *t, bool bytes)
{
    if (t->n) {
        buf_fmt(b, "\n%s\n", title);
    }
    for (size_t i = 0; i < t->n; i++) {
        size_t at = b->n;
        buf_fmt(b, "  ");
        if (bytes) {
            offline_size(b, t->v[i].value);
        } else {
            buf_fmt(b, "%" PRIu64, t->v[i].value);
        }
        buf_fmt(b, "%*s", b->n - at < 12 ? (int)(12 - (b->n - at)) : 1, "");
        offline_escaped(b, slice_str(t->v[i].text));
        buf_fmt(b, "\n");
    }
}

void snap_summary_text(const struct snap_summary *s, const struct snap_file *f, struct buf *b)
{
    buf_fmt(b, "znodes %" PRIu64 ", data ", s->nodes);
    offline_size(b, s->data_bytes);
    buf_fmt(b, ", paths ");
    offline_size(b, s->path_bytes);
    buf_fmt(b,
            "; ephemeral %" PRIu64 ", containers %" PRIu64 ", with TTL %" PRIu64
            "; sessions %" PRIu64 ", ACL lists %" PRIu64 "\n\n",
            s->ephemerals, s->containers, s->ttls, f->sessions, f->acls);
    buf_fmt(b, "    znodes      data  subtree\n");
    for (size_t i = 0; i < s->n; i++) {
        struct buf size = {0};
        offline_size(&size, s->rows[i].bytes);
        buf_fmt(b, "%10" PRIu64 "%*s%.*s  ", s->rows[i].nodes, size.n < 10 ? (int)(10 - size.n) : 1,
                "", SLICE_ARG(buf_slice(&size)));
        buf_fini(&size);
        offline_escaped(b, slice_of(s->rows[i].path, s->rows[i].path_n));
        buf_fmt(b, "\n");
    }
    put_top(b, "largest nodes", &s->largest, true);
    put_top(b, "nodes with most children", &s->widest, false);
    put_top(b, "sessions with most ephemeral nodes", &s->owners, false);
}

// ---- JSON ---------------------------------------------------------------------------------------

static void json_top(struct buf *b, const char *title, const char *what, const char *value,
                     const struct snap_top *t)
{
    buf_fmt(b, ",\"%s\":[", title);
    for (size_t i = 0; i < t->n; i++) {
        buf_fmt(b, "%s{\"%s\":", i ? "," : "", what);
        offline_json(b, slice_str(t->v[i].text));
        buf_fmt(b, ",\"%s\":%" PRIu64 "}", value, t->v[i].value);
    }
    buf_fmt(b, "]");
}

void snap_summary_json(const struct snap_summary *s, const struct snap_file *f, struct buf *b)
{
    buf_fmt(b,
            "{\"nodes\":%" PRIu64 ",\"data_bytes\":%" PRIu64 ",\"path_bytes\":%" PRIu64
            ",\"ephemerals\":%" PRIu64 ",\"containers\":%" PRIu64 ",\"ttl_nodes\":%" PRIu64,
            s->nodes, s->data_bytes, s->path_bytes, s->ephemerals, s->containers, s->ttls);
    buf_fmt(b, ",\"sessions\":%" PRIu64 ",\"acls\":%" PRIu64 ",\"subtrees\":[", f->sessions,
            f->acls);
    for (size_t i = 0; i < s->n; i++) {
        buf_fmt(b, "%s{\"path\":", i ? "," : "");
        offline_json(b, slice_of(s->rows[i].path, s->rows[i].path_n));
        buf_fmt(b, ",\"nodes\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", s->rows[i].nodes,
                s->rows[i].bytes);
    }
    buf_fmt(b, "]");
    json_top(b, "largest", "path", "bytes", &s->largest);
    json_top(b, "most_children", "path", "children", &s->widest);
    json_top(b, "most_ephemerals", "session", "ephemerals", &s->owners);
    buf_fmt(b, "}\n");
}
