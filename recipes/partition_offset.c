// SPDX-License-Identifier: Apache-2.0
//
// Offsets of a group. A commit goes as one multi with a check that the owner's node is there: what
// this member writes is written while its claim holds, or not at all. It is asked again when its
// answer was lost, as long as the very same claim holds; writing a number twice does no harm.
//
//     set --NO_NODE--> create --NO_NODE--> parents --> create
#include "recipes/partition_member.h"

#include <stdlib.h>
#include <string.h>

#include "recipes/discovery_await.h"
#include "recipes/discovery_parents.h"
#include "recipes/discovery_text.h"

struct commit {
    struct member *m;
    char *topic, *path, *text;
    int32_t partition;
    int64_t offset;
    int64_t czxid; // of the claim it began with
    bool create;
    reeve_offset_fn *done;
    void *ctx;
};

static void commit_free(struct commit *c)
{
    const struct reeve *zk = c->m->o.zk;
    kit_free(zk, c->topic);
    kit_free(zk, c->path);
    kit_free(zk, c->text);
    kit_free(zk, c);
}

static void commit_done(struct commit *c, enum reeve_error e)
{
    if (c->done) {
        c->done(c->ctx, e, c->offset);
    }
    commit_free(c);
}

static void commit_ask(struct commit *c);

static void on_parents(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    if (e) {
        commit_done(arg, e);
    } else {
        commit_ask(arg);
    }
}

static void on_committed(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct commit *c = arg;
    bool owned = r->parts_n != 2 || r->parts[0].error != REEVE_NO_NODE;
    enum reeve_error e = r->error;
    if (kit_is_transient(e)) {
        commit_ask(c);
    } else if (e == REEVE_NO_NODE && owned && !c->create) {
        c->create = true;
        commit_ask(c);
    } else if (e == REEVE_NO_NODE && owned) {
        e = parents_make(o, c->path, on_parents, c);
        if (e) {
            commit_done(c, e);
        }
    } else if (e == REEVE_NODE_EXISTS) {
        c->create = false;
        commit_ask(c);
    } else {
        commit_done(c, e);
    }
}

static void commit_ask(struct commit *c)
{
    struct claim *claim = member_owned(c->m, c->topic, c->partition);
    if (!claim || (c->czxid && c->czxid != claim->keep.czxid)) {
        commit_done(c, c->m->o.closed ? kit_why_closed(&c->m->o) : REEVE_NO_NODE);
        return;
    }
    c->czxid = claim->keep.czxid;
    struct reeve_request parts[2] = {
        {.op = REEVE_OP_CHECK, .path = claim->keep.path, .version = REEVE_ANY_VERSION},
        {.op = c->create ? REEVE_OP_CREATE : REEVE_OP_SET,
         .path = c->path,
         .data = c->text,
         .data_len = strlen(c->text),
         .version = REEVE_ANY_VERSION}};
    if (c->create) {
        parts[1].version = 0;
    }
    struct reeve_request q = {.op = REEVE_OP_MULTI, .parts = parts, .parts_n = 2};
    enum reeve_error e = kit_submit(&c->m->o, &q, on_committed, c);
    if (e) {
        commit_done(c, e);
    }
}

static void on_commit(struct kit_object *o, void *arg)
{
    (void)o;
    commit_ask(arg);
}

enum reeve_error reeve_partition_commit_async(struct reeve_partitions *handle, const char *topic,
                                              int32_t partition, int64_t offset,
                                              reeve_offset_fn *done, void *ctx)
{
    struct member *m = (struct member *)(void *)handle;
    if (!kit_name_ok(topic) || partition < 0) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct commit *c = kit_alloc(m->o.zk, sizeof(*c));
    if (!c) {
        return REEVE_NO_MEMORY;
    }
    *c =
        (struct commit){.m = m, .partition = partition, .offset = offset, .done = done, .ctx = ctx};
    struct text t;
    text_init(&t, m->o.zk);
    text_int(&t, offset);
    c->text = text_take(&t);
    c->topic = kit_str(m->o.zk, topic);
    c->path = member_path(m, m->offsets_path, topic, partition);
    enum reeve_error e = REEVE_NO_MEMORY;
    if (c->text && c->topic && c->path) {
        e = kit_send(&m->o, on_commit, c);
    }
    if (e) {
        commit_free(c);
    }
    return e;
}

// ---- fetching -----------------------------------------------------------------------------------

struct fetch {
    reeve_offset_fn *done;
    void *ctx;
};

static bool to_offset(const struct reeve_result *r, int64_t *offset)
{
    const char *s = r->data;
    size_t digits = s ? strspn(s + (*s == '-'), "0123456789") : 0;
    if (digits == 0 || digits > 18 || digits + (*s == '-') != r->data_len) {
        return false;
    }
    *offset = strtoll(s, NULL, 10);
    return true;
}

static void on_fetched(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct fetch f = *(struct fetch *)arg;
    kit_free(o->zk, arg);
    int64_t offset = -1;
    enum reeve_error e = r->error == REEVE_NO_NODE ? REEVE_OK : r->error;
    if (r->error == REEVE_OK && !to_offset(r, &offset)) {
        e = REEVE_MALFORMED;
    }
    f.done(f.ctx, e, offset);
}

enum reeve_error reeve_partition_fetch_async(struct reeve_partitions *handle, const char *topic,
                                             int32_t partition, reeve_offset_fn *done, void *ctx)
{
    struct member *m = (struct member *)(void *)handle;
    if (!kit_name_ok(topic) || partition < 0) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct fetch *f = kit_alloc(m->o.zk, sizeof(*f));
    char *path = member_path(m, m->offsets_path, topic, partition);
    enum reeve_error e = REEVE_NO_MEMORY;
    if (f && path) {
        *f = (struct fetch){done, ctx};
        struct reeve_request q = {.op = REEVE_OP_GET, .path = path};
        e = kit_submit(&m->o, &q, on_fetched, f);
    }
    kit_free(m->o.zk, path);
    if (e) {
        kit_free(m->o.zk, f);
    }
    return e;
}

// ---- waiting ------------------------------------------------------------------------------------

struct waiting {
    struct await await; // first
    int64_t offset;
};

static void on_offset(void *ctx, enum reeve_error e, int64_t offset)
{
    struct waiting *w = ctx;
    w->offset = offset;
    await_done(&w->await, e);
}

enum reeve_error reeve_partition_commit(struct reeve_partitions *m, const char *topic,
                                        int32_t partition, int64_t offset)
{
    struct waiting w;
    enum reeve_error e = await_init(&w.await, ((struct member *)(void *)m)->o.zk);
    return e ? e
             : await_wait(&w.await,
                          reeve_partition_commit_async(m, topic, partition, offset, on_offset, &w));
}

enum reeve_error reeve_partition_fetch(struct reeve_partitions *m, const char *topic,
                                       int32_t partition, int64_t *offset)
{
    struct waiting w = {.offset = -1};
    enum reeve_error e = await_init(&w.await, ((struct member *)(void *)m)->o.zk);
    e = e ? e
          : await_wait(&w.await, reeve_partition_fetch_async(m, topic, partition, on_offset, &w));
    *offset = w.offset;
    return e;
}
