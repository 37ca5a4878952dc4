// SPDX-License-Identifier: Apache-2.0
#include "test/support/tree_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/jute.h"

enum { BYTES_MAX = 1 << 20 };

static struct acl open_entry = {PERM_ALL, {SLICE_LIT("world"), SLICE_LIT("anyone")}};
static const struct acl_vec open_acl = {&open_entry, 1};

static void take_line(void *ctx, enum log_level level, const char *line)
{
    struct kit *k = ctx;
    k->warnings += level <= LOG_WARN;
    snprintf(k->last_line, sizeof(k->last_line), "%s", line);
}

void kit_init(struct kit *k)
{
    memset(k, 0, sizeof(*k));
    k->cfg = (struct tree_config){
        .acl = {.digest_enabled = true},
        .extended_types = true,
        .digest_enabled = true,
        .close_session_txn = true,
        .seed = 4711,
        .bytes_max = BYTES_MAX,
    };
    k->ms = 1700000000000;
    k->ids[0] = (struct zk_id){SLICE_LIT("ip"), SLICE_LIT("127.0.0.1")};
    k->who = (struct auth){k->ids, 1};
}

void kit_ready(struct kit *k)
{
    k->log = (struct logger){take_line, k, LOG_WARN};
    k->t = tree_new(&k->cfg, &k->log);
    k->p = pending_new(k->t);
    kit_open_session(k, 1);
}

void kit_fini(struct kit *k)
{
    for (int i = 0; i < KIT_PIPE_MAX; i++) {
        buf_fini(&k->pipe[i]);
    }
    buf_fini(&k->body);
    arena_fini(&k->arena);
    pending_free(&k->p);
    tree_free(&k->t);
}

void kit_reset_body(struct kit *k)
{
    buf_clear(&k->body);
}

enum zkerr kit_prep(struct kit *k, int64_t session, int32_t op)
{
    must(k->pipe_n < KIT_PIPE_MAX);
    struct prep_request r = {.session = session,
                             .cxid = 7,
                             .op = op,
                             .body = buf_slice(&k->body),
                             .auth = &k->who,
                             .refuse = k->refuse};
    k->refuse = ZK_OK;
    struct buf *out = &k->pipe[k->pipe_n++];
    buf_clear(out);
    enum zkerr e = prep_txn(k->p, &r, ++k->zxid, (struct wall){k->ms}, out);
    kit_reset_body(k);
    return e;
}

void kit_apply(struct kit *k)
{
    must(k->pipe_n > 0);
    struct txn txn;
    arena_reset(&k->arena);
    struct buf first = k->pipe[0];
    must(txn_decode(buf_slice(&first), BYTES_MAX, &k->arena, &txn) == ERR_OK);
    // The answer points into the bytes of the transaction: they live as long as the arena.
    struct slice kept = arena_copy(&k->arena, buf_slice(&first));
    must(txn_decode(kept, BYTES_MAX, &k->arena, &txn) == ERR_OK);
    apply_txn(k->t, &txn, &k->arena, &k->out);
    pending_applied(k->p, txn.hdr.zxid);
    k->pipe_n--;
    memmove(k->pipe, k->pipe + 1, (size_t)k->pipe_n * sizeof(k->pipe[0]));
    k->pipe[k->pipe_n] = first;
}

void kit_apply_all(struct kit *k)
{
    while (k->pipe_n > 0) {
        kit_apply(k);
    }
}

enum zkerr kit_do(struct kit *k, int64_t session, int32_t op)
{
    enum zkerr e = kit_prep(k, session, op);
    kit_apply_all(k);
    must(op == OP_MULTI || k->out.result.err == (int32_t)e);
    return e;
}

void kit_create_acl_body(struct kit *k, const char *path, const struct acl_vec *acl, int32_t flags)
{
    struct create_request r = {slice_str(path), SLICE_NULL, *acl, flags};
    jute_put_record(&k->body, &record_create_request, &r);
}

void kit_create_body(struct kit *k, const char *path, const char *data, int32_t flags)
{
    struct create_request r = {slice_str(path), slice_str(data), open_acl, flags};
    jute_put_record(&k->body, &record_create_request, &r);
}

void kit_create_ttl_body(struct kit *k, const char *path, int32_t flags, int64_t ttl_ms)
{
    struct create_ttl_request r = {slice_str(path), slice_str("t"), open_acl, flags, ttl_ms};
    jute_put_record(&k->body, &record_create_ttl_request, &r);
}

void kit_delete_body(struct kit *k, const char *path, int32_t version)
{
    struct delete_request r = {slice_str(path), version};
    jute_put_record(&k->body, &record_delete_request, &r);
}

void kit_set_data_body(struct kit *k, const char *path, const char *data, int32_t version)
{
    struct set_data_request r = {slice_str(path), slice_str(data), version};
    jute_put_record(&k->body, &record_set_data_request, &r);
}

void kit_set_acl_body(struct kit *k, const char *path, const struct acl_vec *acl, int32_t version)
{
    struct set_acl_request r = {slice_str(path), *acl, version};
    jute_put_record(&k->body, &record_set_acl_request, &r);
}

void kit_check_body(struct kit *k, const char *path, int32_t version)
{
    struct check_version_request r = {slice_str(path), version};
    jute_put_record(&k->body, &record_check_version_request, &r);
}

void kit_path_body(struct kit *k, const char *path)
{
    struct path_request r = {slice_str(path)};
    jute_put_record(&k->body, &record_path_request, &r);
}

void kit_multi_begin(struct kit *k)
{
    kit_reset_body(k);
}

void kit_multi_part(struct kit *k, int32_t op)
{
    struct multi_header h = {op, false, -1};
    jute_put_record(&k->body, &record_multi_header, &h);
}

void kit_multi_end(struct kit *k)
{
    struct multi_header h = {-1, true, -1};
    jute_put_record(&k->body, &record_multi_header, &h);
}

enum zkerr kit_create(struct kit *k, const char *path, const char *data, int32_t flags)
{
    kit_create_body(k, path, data, flags);
    return kit_do(k, 1, OP_CREATE2);
}

enum zkerr kit_delete(struct kit *k, const char *path, int32_t version)
{
    kit_delete_body(k, path, version);
    return kit_do(k, 1, OP_DELETE);
}

enum zkerr kit_set_data(struct kit *k, const char *path, const char *data, int32_t version)
{
    kit_set_data_body(k, path, data, version);
    return kit_do(k, 1, OP_SET_DATA);
}

void kit_open_session(struct kit *k, int64_t session)
{
    buf_put_i32(&k->body, 30000);
    must(kit_do(k, session, OP_CREATE_SESSION) == ZK_OK);
}

enum zkerr kit_close_session(struct kit *k, int64_t session)
{
    return kit_do(k, session, OP_CLOSE_SESSION);
}

// ---- looking ----

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *line_of(const struct tree *t, uint32_t h)
{
    struct data_node d;
    struct buf b = {0};
    tree_path(t, h, &b);
    tree_node_stored(t, h, &d);
    d.acl = 0; // an id of this tree only
    buf_fmt(&b, " children=%d ", (int)tree_descendants(t, h));
    jute_fmt_record(&b, &record_data_node, &d);
    buf_fmt(&b, " crc=%x acl=", hash_crc32(HASH_CRC_INIT, d.data));
    const struct acl_vec *v = acl_table_list(tree_acls(t), tree_node_acl(t, h));
    for (int32_t i = 0; v && i < v->n; i++) {
        buf_fmt(&b, "%d:%.*s:%.*s,", v->v[i].perms, SLICE_ARG(v->v[i].id.scheme),
                SLICE_ARG(v->v[i].id.id));
    }
    buf_put_u8(&b, '\n');
    buf_put_u8(&b, 0);
    return (char *)b.p;
}

static uint32_t next_node(const struct tree *t, uint32_t h)
{
    if (tree_first_child(t, h)) {
        return tree_first_child(t, h);
    }
    while (h && !tree_next_sibling(t, h)) {
        h = tree_parent(t, h);
    }
    return h ? tree_next_sibling(t, h) : 0;
}

char *kit_picture(const struct tree *t)
{
    char **lines = NULL;
    size_t n = 0, cap = 0, cursor = 0;
    struct buf all = {0};
    int64_t id;
    int32_t timeout_ms;
    for (uint32_t h = tree_find(t, SLICE_LIT("/")); h; h = next_node(t, h)) {
        mem_grow((void **)&lines, &cap, n + 1, sizeof(*lines));
        lines[n++] = line_of(t, h);
    }
    while (session_next(tree_sessions_const(t), &cursor, &id, &timeout_ms)) {
        struct buf b = {0};
        buf_fmt(&b, "session %llx %d\n", (unsigned long long)id, timeout_ms);
        buf_put_u8(&b, 0);
        mem_grow((void **)&lines, &cap, n + 1, sizeof(*lines));
        lines[n++] = (char *)b.p;
    }
    qsort(lines, n, sizeof(*lines), by_text);
    for (size_t i = 0; i < n; i++) {
        buf_put(&all, lines[i], strlen(lines[i]));
        free(lines[i]);
    }
    free(lines);
    buf_put_u8(&all, 0);
    return (char *)all.p;
}

struct node_stat kit_stat(const struct kit *k, const char *path)
{
    struct node_stat st;
    uint32_t h = tree_find(k->t, slice_str(path));
    must(h != 0);
    tree_node_stat(k->t, h, &st);
    return st;
}

bool kit_has(const struct kit *k, const char *path)
{
    return tree_find(k->t, slice_str(path)) != 0;
}

const char *kit_data(const struct kit *k, const char *path)
{
    uint32_t h = tree_find(k->t, slice_str(path));
    must(h != 0);
    struct slice s = tree_node_data(k->t, h);
    return s.p ? (const char *)arena_copy((struct arena *)&k->arena, s).p : "(null)";
}

struct tree *kit_reload(const struct kit *k, struct slice snapshot, int64_t zxid)
{
    static const struct logger quiet = {NULL, NULL, LOG_ERROR};
    struct tree *t = tree_new(&k->cfg, &quiet);
    struct arena a = {0};
    struct jute_in in = jute_in(snapshot, BYTES_MAX);
    tree_load_begin(t);
    for (int32_t n = jute_get_int(&in); n > 0; n--) {
        int64_t id = jute_get_long(&in);
        tree_load_session(t, id, jute_get_int(&in));
    }
    static const struct record_field acl_field[] = {{FIELD_av, "acl"}};
    static const struct record_type acl_record = {"acl", acl_field, 1, sizeof(struct acl_vec)};
    for (int32_t n = jute_get_int(&in); n > 0; n--) {
        int64_t id = jute_get_long(&in);
        struct acl_vec v;
        jute_get_record(&in, &acl_record, &v, &a);
        must(tree_load_acl(t, id, &v) == ERR_OK);
    }
    for (;;) {
        struct slice path = jute_get_bytes(&in);
        must(in.err == ERR_OK);
        if (slice_eq_str(path, "/")) {
            break;
        }
        struct data_node d;
        jute_get_record(&in, &record_data_node, &d, &a);
        must(in.err == ERR_OK);
        must(tree_load_node(t, path, &d) == ERR_OK);
    }
    must(jute_left(&in) == 0);
    must(tree_load_end(t, zxid) == ERR_OK);
    arena_fini(&a);
    return t;
}
