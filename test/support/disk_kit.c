// SPDX-License-Identifier: Apache-2.0
#include "test/support/disk_kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "disk/snapfile.h"
#include "tree/apply.h"
#include "tree/walk.h"

struct tree *dkit_tree(const struct logger *log)
{
    struct tree_config tc = {.extended_types = true,
                             .digest_enabled = true,
                             .close_session_txn = true,
                             .seed = 7,
                             .bytes_max = 1 << 20};
    return tree_new(&tc, log);
}

void dkit_init(struct dkit *k, uint64_t seed)
{
    *k = (struct dkit){.f = fake_env_new(seed)};
    k->cfg = (struct disk_config){.data_dir = DKIT_DIR,
                                  .data_log_dir = DKIT_DIR,
                                  .prealloc_bytes = 4096,
                                  .snap_count = 1000000,
                                  .snap_retain = 3,
                                  .force_sync = true,
                                  .digest_section = true,
                                  .last_zxid_section = true,
                                  .bytes_max = 1 << 20};
}

static void drop_entries(struct dkit *k, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_fini(&k->entries[i]);
    }
    memmove(k->entries, k->entries + n, (k->entries_n - n) * sizeof(*k->entries));
    k->entries_n -= n;
}

void dkit_fini(struct dkit *k)
{
    dkit_close(k);
    mem_free(k->entries);
    fake_env_free(&k->f);
}

enum err dkit_open(struct dkit *k)
{
    must(!k->disk);
    k->tree = dkit_tree(&k->f->env.log);
    enum err e = disk_open(&k->f->env, &k->cfg, k->tree, &k->disk);
    if (e) {
        tree_free(&k->tree);
        return e;
    }
    k->appended = k->logged = tree_zxid(k->tree);
    return ERR_OK;
}

void dkit_close(struct dkit *k)
{
    if (!k->disk) {
        return;
    }
    while (!disk_idle(k->disk)) {
        disk_flush(k->disk);
        must((int)dkit_job(k, ENV_LANE_LOG) | (int)dkit_job(k, ENV_LANE_BACKGROUND));
    }
    disk_free(&k->disk);
    tree_free(&k->tree);
    if (k->entries_n) {
        drop_entries(k, k->entries_n);
    }
}

static struct acl open_acl[] = {{PERM_ALL, {SLICE_LIT("world"), SLICE_LIT("anyone")}}};
static struct acl read_acl_list[] = {{PERM_READ, {SLICE_LIT("world"), SLICE_LIT("anyone")}}};

void dkit_entry(struct buf *b, int64_t zxid)
{
    char path[64], data[512];
    // Every third zxid sets the node that the one before made.
    bool set = zxid % 3 == 0;
    snprintf(path, sizeof(path), "/n%" PRId64, set ? zxid - 1 : zxid);
    size_t n = (size_t)((uint64_t)zxid * 2654435761u % 400) + 1;
    memset(data, (int)('a' + zxid % 26), n);
    struct txn t = {.hdr = {1, (int32_t)zxid, zxid, 1700000000000 + zxid, OP_CREATE}};
    if (set) {
        t.hdr.type = OP_SET_DATA;
        t.body.set_data = (struct set_data_txn){slice_str(path), slice_of(data, n), 1};
    } else {
        t.body.create = (struct create_txn){slice_str(path),
                                            slice_of(data, n),
                                            {zxid % 2 ? open_acl : read_acl_list, 1},
                                            false,
                                            -1};
    }
    t.body.type = t.hdr.type;
    txn_encode(b, &t);
}

bool dkit_append(struct dkit *k)
{
    struct buf b = {0};
    dkit_entry(&b, k->appended + 1);
    if (!disk_append(k->disk, buf_slice(&b), k->appended + 1)) {
        buf_fini(&b);
        return false;
    }
    k->appended++;
    mem_grow((void **)&k->entries, &k->entries_cap, k->entries_n + 1, sizeof(*k->entries));
    k->entries[k->entries_n++] = b;
    return true;
}

static void apply_to(struct dkit *k, int64_t zxid)
{
    struct arena a = {0};
    must((size_t)(zxid - k->logged) <= k->entries_n);
    for (int64_t z = tree_zxid(k->tree) + 1; z <= zxid; z++) {
        struct txn t;
        struct apply_out out = {0};
        struct slice entry = buf_slice(&k->entries[z - k->logged - 1]);
        must(txn_decode(entry, 1 << 20, &a, &t) == ERR_OK);
        apply_txn(k->tree, &t, &a, &out);
    }
    arena_fini(&a);
    must(tree_zxid(k->tree) >= zxid);
}

void dkit_apply(struct dkit *k)
{
    apply_to(k, k->appended);
}

static void on_logged(struct dkit *k, int64_t zxid)
{
    apply_to(k, zxid);
    drop_entries(k, (size_t)(zxid - k->logged));
    k->logged = zxid;
}

// As a server would: the disk's new tree is the tree from here on.
static void take_tree(struct dkit *k, const struct disk_event *ev)
{
    must(tree_zxid(ev->answer->tree) == ev->zxid);
    struct tree *made = ev->answer->tree;
    tree_swap(k->tree, made);
    tree_free(&made);
    drop_entries(k, k->entries_n);
    k->appended = k->logged = ev->zxid;
    k->replaced++;
    k->tail_n = ev->answer->entries_n;
    k->tail_first = k->tail_n ? ev->answer->entries[0].zxid : -1;
}

static void on_event(struct dkit *k, const struct disk_event *ev)
{
    switch (ev->type) {
    case DISK_LOGGED:
        on_logged(k, ev->zxid);
        break;
    case DISK_LOG_FULL:
        must(ev->zxid == k->logged);
        drop_entries(k, k->entries_n);
        k->appended = k->logged;
        k->full++;
        break;
    case DISK_LOG_SPACE:
        k->space++;
        break;
    case DISK_LOG_BROKEN:
        k->broken++;
        break;
    case DISK_SNAPPED:
        k->snapped++;
        break;
    case DISK_EPOCH_SAVED:
        k->saved = ev->zxid;
        break;
    case DISK_TRUNCATED:
    case DISK_INSTALLED:
        take_tree(k, ev);
        break;
    case DISK_SYNC_FAILED:
        k->sync_failed++;
        break;
    case DISK_OFFER:
    case DISK_HISTORY:
    case DISK_STREAM:
        if (k->on_answer) {
            k->on_answer(k->answer_ctx, ev);
        }
        break;
    }
}

bool dkit_job(struct dkit *k, enum env_lane lane)
{
    struct env_job *job = fake_env_run(k->f, lane);
    if (!job) {
        return false;
    }
    struct disk_event events[4];
    int n = disk_on_job(k->disk, job, events);
    for (int i = 0; i < n; i++) {
        on_event(k, &events[i]);
    }
    return true;
}

void dkit_turn(struct dkit *k)
{
    disk_flush(k->disk);
    k->wait_ms = disk_turn(k->disk, k->tree, k->f->env.now);
}

void dkit_settle(struct dkit *k)
{
    do {
        dkit_turn(k);
    } while ((int)dkit_job(k, ENV_LANE_LOG) | (int)dkit_job(k, ENV_LANE_BACKGROUND) ||
             k->wait_ms == 0);
}

void dkit_append_n(struct dkit *k, int n)
{
    for (int i = 0; i < n; i++) {
        must(dkit_append(k));
        dkit_settle(k);
    }
}

// ---- a tree as text --------------------------------------------------------------------------

void dkit_snapshot(struct tree *t, struct buf *out)
{
    struct walk_info info;
    struct buf b = {0};
    snapfile_put_header(out);
    tree_walk_begin(t, &info);
    for (bool done = false; !done;) {
        done = tree_walk_slice(t, 5);
        buf_clear(&b);
        tree_walk_take(t, &b);
        buf_put_slice(out, buf_slice(&b));
    }
    buf_fini(&b);
    snapfile_put_seal(out, hash_adler32(HASH_ADLER_INIT, buf_slice(out)));
}

struct lines {
    char **v;
    size_t n, cap;
};

static void add_line(struct lines *ls, struct buf *b)
{
    buf_put_u8(b, 0);
    mem_grow((void **)&ls->v, &ls->cap, ls->n + 1, sizeof(*ls->v));
    ls->v[ls->n++] = mem_strdup((const char *)b->p);
    buf_clear(b);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void fmt_node(struct buf *b, const struct tree *t, const struct snapfile_value *v)
{
    const struct data_node *n = &v->node;
    buf_fmt(b, "node %.*s ", SLICE_ARG(v->path.n ? v->path : SLICE_LIT("/")));
    for (size_t i = 0; i < n->data.n; i++) {
        static const char digits[] = "0123456789abcdef";
        buf_put_u8(b, (uint8_t)digits[n->data.p[i] >> 4]);
        buf_put_u8(b, (uint8_t)digits[n->data.p[i] & 15]);
    }
    buf_fmt(b, "%s ", !n->data.p ? "null" : n->data.n ? "" : "empty");
    static const struct acl_vec open = {open_acl, 1};
    const struct acl_vec *acl =
        n->acl == ACL_ID_OPEN ? &open : acl_table_list(tree_acls(t), (int32_t)n->acl);
    for (int32_t i = 0; acl && i < acl->n; i++) {
        buf_fmt(b, "%s%" PRId32 ":%.*s:%.*s", i ? "," : "", acl->v[i].perms,
                SLICE_ARG(acl->v[i].id.scheme), SLICE_ARG(acl->v[i].id.id));
    }
    buf_fmt(b,
            " %" PRIx64 " %" PRIx64 " %" PRId64 " %" PRId64 " %" PRId32 " %" PRId32 " %" PRId32
            " %" PRIx64 " %" PRIx64,
            (uint64_t)n->czxid, (uint64_t)n->mzxid, n->ctime, n->mtime, n->version, n->cversion,
            n->aversion, (uint64_t)n->ephemeral_owner, (uint64_t)n->pzxid);
}

void dkit_dump(struct tree *t, struct buf *out)
{
    struct buf snap = {0}, line = {0};
    struct lines ls = {0};
    dkit_snapshot(t, &snap);
    struct snapfile_parser p;
    struct snapfile_value v;
    snapfile_init(&p, INT32_MAX);
    snapfile_feed(&p, buf_slice(&snap));
    for (enum snapfile_item it; (it = snapfile_next(&p, &v)) != SNAPFILE_MORE;) {
        must(it != SNAPFILE_BAD);
        if (it == SNAPFILE_SESSION) {
            buf_fmt(&line, "session %" PRIx64 " %" PRId32, (uint64_t)v.id, v.timeout_ms);
        } else if (it == SNAPFILE_NODE) {
            fmt_node(&line, t, &v);
        } else {
            continue;
        }
        add_line(&ls, &line);
    }
    struct snapfile_info info;
    must(snapfile_finish(&p, &info) == ERR_OK);
    qsort(ls.v, ls.n, sizeof(*ls.v), by_text);
    buf_fmt(out, "zxid %" PRIx64 " digest %" PRIu64 "\n", (uint64_t)tree_zxid(t), tree_digest(t));
    for (size_t i = 0; i < ls.n; i++) {
        buf_fmt(out, "%s\n", ls.v[i]);
        mem_free(ls.v[i]);
    }
    buf_put_u8(out, 0);
    mem_free(ls.v);
    snapfile_fini(&p);
    buf_fini(&snap);
    buf_fini(&line);
}

void dkit_read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        return;
    }
    char part[4096];
    size_t n;
    buf_grow(out, 1);
    while ((n = fread(part, 1, sizeof(part), file)) > 0) {
        buf_put(out, part, n);
    }
    fclose(file);
}

bool dkit_exists(struct dkit *k, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), DKIT_V2 "/%s", name);
    return !slice_is_null(fake_env_peek(k->f, path));
}
