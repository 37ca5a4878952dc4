// SPDX-License-Identifier: Apache-2.0
#include "test/support/client_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/jute.h"
#include "wire/ops.h"

#define GOLDEN "test/golden/client-golden.jsonl"

// ---- memory -----------------------------------------------------------------------------------

static void *kit_alloc(void *ctx, void *p, size_t n)
{
    struct kit_memory *m = ctx;
    size_t *head = p ? (size_t *)p - 2 : NULL;
    if (n == 0) {
        m->live -= head != NULL;
        free(head);
        return NULL;
    }
    m->asked++;
    if (m->left == 0) {
        return NULL;
    }
    m->left -= m->left > 0;
    size_t *to = malloc(n + 2 * sizeof(*to));
    assert_non_null(to);
    *to = n;
    memset(to + 2, 0xa5, n);
    if (head) {
        memcpy(to + 2, p, *head < n ? *head : n);
        free(head);
    } else {
        m->live++;
    }
    return to + 2;
}

struct reeve_allocator kit_allocator(struct kit_memory *m)
{
    return (struct reeve_allocator){kit_alloc, m};
}

// ---- reading vectors --------------------------------------------------------------------------

// What stands behind "key": in a line of JSON; NULL if the key is not there.
static const char *find(const char *json, const char *key)
{
    char quoted[80];
    snprintf(quoted, sizeof(quoted), "\"%s\": ", key);
    const char *at = json ? strstr(json, quoted) : NULL;
    return at ? at + strlen(quoted) : NULL;
}

static void get_hex(struct buf *b, const char *json, const char *key)
{
    buf_clear(b);
    const char *p = find(json, key);
    assert_non_null(p);
    for (p++; *p != '"'; p += 2) {
        unsigned byte;
        assert_int_equal(sscanf(p, "%2x", &byte), 1);
        buf_put_u8(b, (uint8_t)byte);
    }
}

bool golden_next(struct golden_file *f, struct golden *g)
{
    if (!f->file) {
        f->file = fopen(GOLDEN, "r");
        assert_non_null(f->file);
    }
    do {
        size_t cap = 0;
        free(g->line);
        g->line = NULL;
        if (getline(&g->line, &cap, f->file) < 0) {
            fclose(f->file);
            f->file = NULL;
            return false;
        }
        get_hex(&g->request, g->line, "request_hex");
    } while (g->request.n == 0);
    get_hex(&g->response, g->line, "response_hex");
    g->decoded = find(g->line, "decoded");
    g->v38 = strstr(g->line, "\"3.8.0\"") != NULL;
    const char *group = find(g->line, "group"), *name = find(g->line, "name");
    snprintf(g->name, sizeof(g->name), "%.*s/%ld %.*s", (int)strcspn(group + 1, "\""), group + 1,
             strtol(find(g->line, "seq"), NULL, 10), (int)strcspn(name + 1, "\""), name + 1);
    return true;
}

void golden_fini(struct golden *g)
{
    free(g->line);
    g->line = NULL;
    buf_fini(&g->request);
    buf_fini(&g->response);
}

// ---- requests ---------------------------------------------------------------------------------

struct reading {
    struct jute_in in;
    struct arena *a;
    struct buf *want;
    size_t head; // where in `want` the opcode of the operation stands
};

static void on_watch(void *ctx, const struct reeve_event *ev)
{
    (void)ctx;
    (void)ev;
}

static bool get_cstr(struct reading *rd, struct slice s, const char **out)
{
    *out = (const char *)arena_copy(rd->a, s).p;
    return !s.n || !memchr(s.p, 0, s.n);
}

static bool get_acl(struct reading *rd, const struct acl_vec *v, struct reeve_request *q)
{
    bool good = v->n >= 0;
    struct reeve_acl *acl = arena_zalloc(rd->a, (size_t)(v->n + 2) * sizeof(*acl));
    for (int32_t i = 0; i < v->n; i++) {
        acl[i].perms = v->v[i].perms;
        good = good && v->v[i].id.id.p && get_cstr(rd, v->v[i].id.scheme, &acl[i].scheme) &&
               get_cstr(rd, v->v[i].id.id, &acl[i].id);
    }
    q->acl = acl;
    q->acl_n = v->n < 0 ? 0 : (size_t)v->n;
    return good;
}

static bool get_create(struct reading *rd, int32_t type, struct reeve_request *q)
{
    struct create_ttl_request r = {.ttl_ms = 0};
    jute_get_record(&rd->in,
                    type == OP_CREATE_TTL ? &record_create_ttl_request : &record_create_request, &r,
                    rd->a);
    *q = (struct reeve_request){.op = REEVE_OP_CREATE, .data = r.data.p, .data_len = r.data.n};
    bool fits = r.flags >= 0 && r.flags <= 3;
    q->flags = (unsigned)r.flags;
    if (type == OP_CREATE_CONTAINER) {
        fits = r.flags == REEVE_CONTAINER;
    } else if (type == OP_CREATE_TTL) {
        fits = (r.flags == 5 || r.flags == 6) && r.ttl_ms > 0;
        q->flags = r.flags == 6 ? REEVE_SEQUENTIAL : 0;
        q->ttl_ms = r.ttl_ms;
    } else {
        be32_put(rd->want->p + rd->head, OP_CREATE2);
    }
    return fits && get_acl(rd, &r.acl, q) && get_cstr(rd, r.path, &q->path);
}

static bool get_path_watch(struct reading *rd, int32_t type, struct reeve_request *q)
{
    struct path_watch_request r;
    jute_get_record(&rd->in, &record_path_watch_request, &r, rd->a);
    q->op = type == OP_EXISTS     ? REEVE_OP_EXISTS
            : type == OP_GET_DATA ? REEVE_OP_GET
                                  : REEVE_OP_CHILDREN;
    q->watch.fn = r.watch ? on_watch : NULL;
    return rd->in.p[-1] <= 1 && get_cstr(rd, r.path, &q->path); // true is 1 when we say it
}

// { path, int version or kind or mode }: the same bytes for four operations.
static bool get_path_int(struct reading *rd, int32_t type, struct reeve_request *q)
{
    struct delete_request r;
    jute_get_record(&rd->in, &record_delete_request, &r, rd->a);
    q->version = r.version;
    q->op = type == OP_DELETE ? REEVE_OP_DELETE : REEVE_OP_CHECK;
    if (type == OP_CHECK_WATCHES || type == OP_REMOVE_WATCHES) {
        q->op = type == OP_CHECK_WATCHES ? REEVE_OP_CHECK_WATCHES : REEVE_OP_REMOVE_WATCHES;
        q->kind = (enum reeve_watch_kind)r.version;
    } else if (type == OP_ADD_WATCH) {
        q->op = REEVE_OP_ADD_WATCH;
        q->kind = r.version == 0 ? REEVE_WATCH_PERSISTENT : REEVE_WATCH_RECURSIVE;
        q->watch.fn = on_watch;
        return (r.version == 0 || r.version == 1) && get_cstr(rd, r.path, &q->path);
    }
    return get_cstr(rd, r.path, &q->path);
}

static bool get_path(struct reading *rd, enum reeve_op op, struct reeve_request *q)
{
    struct path_request r;
    jute_get_record(&rd->in, &record_path_request, &r, rd->a);
    q->op = op;
    return get_cstr(rd, r.path, &q->path);
}

static bool get_auth(struct reading *rd, struct reeve_request *q)
{
    struct auth_packet r;
    jute_get_record(&rd->in, &record_auth_packet, &r, rd->a);
    *q = (struct reeve_request){.op = REEVE_OP_ADD_AUTH, .data = r.auth.p, .data_len = r.auth.n};
    return r.type == 0 && get_cstr(rd, r.scheme, &q->scheme);
}

static bool get_reconfig(struct reading *rd, struct reeve_request *q)
{
    struct reconfig_request r;
    jute_get_record(&rd->in, &record_reconfig_request, &r, rd->a);
    *q = (struct reeve_request){.op = REEVE_OP_RECONFIG, .config_version = r.config_id};
    return get_cstr(rd, r.joining, &q->joining) && get_cstr(rd, r.leaving, &q->leaving) &&
           get_cstr(rd, r.new_members, &q->members);
}

static bool get_set(struct reading *rd, struct reeve_request *q)
{
    struct set_data_request r;
    jute_get_record(&rd->in, &record_set_data_request, &r, rd->a);
    *q = (struct reeve_request){
        .op = REEVE_OP_SET, .data = r.data.p, .data_len = r.data.n, .version = r.version};
    return get_cstr(rd, r.path, &q->path);
}

static bool get_set_acl(struct reading *rd, struct reeve_request *q)
{
    struct set_acl_request r;
    jute_get_record(&rd->in, &record_set_acl_request, &r, rd->a);
    *q = (struct reeve_request){.op = REEVE_OP_SET_ACL, .version = r.version};
    return get_acl(rd, &r.acl, q) && get_cstr(rd, r.path, &q->path);
}

static bool get_operation(struct reading *rd, int32_t type, struct reeve_request *q)
{
    switch (type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL:
        return get_create(rd, type, q);
    case OP_EXISTS:
    case OP_GET_DATA:
    case OP_GET_CHILDREN:
    case OP_GET_CHILDREN2:
        return get_path_watch(rd, type, q);
    case OP_DELETE:
    case OP_CHECK:
    case OP_CHECK_WATCHES:
    case OP_REMOVE_WATCHES:
    case OP_ADD_WATCH:
        return get_path_int(rd, type, q);
    case OP_SET_DATA:
        return get_set(rd, q);
    case OP_SET_ACL:
        return get_set_acl(rd, q);
    case OP_GET_ACL:
        return get_path(rd, REEVE_OP_GET_ACL, q);
    case OP_SYNC:
        return get_path(rd, REEVE_OP_SYNC, q);
    case OP_GET_EPHEMERALS:
        return get_path(rd, REEVE_OP_EPHEMERALS, q);
    case OP_GET_ALL_CHILDREN_NUMBER:
        return get_path(rd, REEVE_OP_ALL_CHILDREN, q);
    case OP_AUTH:
        return get_auth(rd, q);
    case OP_RECONFIG:
        return get_reconfig(rd, q);
    case OP_WHO_AM_I:
        q->op = REEVE_OP_WHO_AM_I;
        return true;
    default:
        return false;
    }
}

static size_t place(const struct reading *rd)
{
    return rd->want->n - jute_left(&rd->in);
}

static bool get_parts(struct reading *rd, struct reeve_request *q)
{
    enum { PARTS_MAX = 32 };
    struct reeve_request *parts = arena_zalloc(rd->a, PARTS_MAX * sizeof(*parts));
    for (q->parts = parts; q->parts_n < PARTS_MAX; q->parts_n++) {
        struct multi_header h;
        rd->head = place(rd);
        jute_get_record(&rd->in, &record_multi_header, &h, rd->a);
        if (h.done || rd->in.err) {
            return h.done && h.type == -1 && h.err == -1;
        }
        bool good = h.err == -1 && get_operation(rd, h.type, &parts[q->parts_n]);
        if (!good || parts[q->parts_n].watch.fn) {
            return false;
        }
    }
    return false;
}

bool golden_request(const struct golden *g, struct arena *a, struct reeve_request *q,
                    struct buf *want)
{
    enum { HEAD = 8, BODY = 12 };
    *q = (struct reeve_request){.op = REEVE_OP_NONE};
    buf_clear(want);
    buf_put_slice(want, buf_slice(&g->request));
    if (want->n < BODY || be32_get(want->p) != want->n - 4) {
        return false;
    }
    struct slice body = slice_of(want->p + BODY, want->n - BODY);
    struct reading rd = {jute_in(body, body.n), a, want, HEAD};
    int32_t type = (int32_t)be32_get(want->p + HEAD);
    bool good;
    if (type == OP_MULTI || type == OP_MULTI_READ) {
        q->op = type == OP_MULTI ? REEVE_OP_MULTI : REEVE_OP_MULTI_READ;
        good = get_parts(&rd, q);
    } else {
        good = get_operation(&rd, type, q);
        if (type == OP_GET_CHILDREN) {
            be32_put(want->p + HEAD, OP_GET_CHILDREN2);
        }
    }
    return good && !rd.in.err && jute_left(&rd.in) == 0;
}

// ---- answers ----------------------------------------------------------------------------------

struct expect {
    const struct golden *g;
    const char *prefix;
    int n;
};

static const char *field(struct expect *x, const char *key)
{
    char name[80];
    snprintf(name, sizeof(name), "%s%s", x->prefix, key);
    const char *at = find(x->g->decoded, name);
    x->n += at != NULL;
    return at;
}

static void expect_number(struct expect *x, const char *key, int64_t got)
{
    const char *at = field(x, key);
    if (at && strtoll(at, NULL, 10) != got) {
        fail_msg("%s: %s%s is %lld", x->g->name, x->prefix, key, (long long)got);
    }
}

// The characters of a JSON string; \u of the basic plane only.
static void unescape(const char *p, struct buf *b)
{
    buf_clear(b);
    for (p++; *p != '"'; p++) {
        if (*p != '\\') {
            buf_put_u8(b, (uint8_t)*p);
        } else if (*++p == 'u') {
            unsigned u;
            assert_int_equal(sscanf(p + 1, "%4x", &u), 1);
            p += 4;
            if (u >= 0x800) {
                buf_put_u8(b, (uint8_t)(0xe0 | u >> 12));
                buf_put_u8(b, (uint8_t)(0x80 | (u >> 6 & 0x3f)));
            } else if (u >= 0x80) {
                buf_put_u8(b, (uint8_t)(0xc0 | u >> 6));
            }
            buf_put_u8(b, u >= 0x80 ? (uint8_t)(0x80 | (u & 0x3f)) : (uint8_t)u);
        } else {
            buf_put_u8(b, (uint8_t)(*p == 'n' ? '\n' : *p));
        }
    }
}

static void expect_bytes(struct expect *x, const char *key, const void *got, size_t n)
{
    const char *at = field(x, key);
    if (!at) {
        return;
    }
    if (*at != '"') {
        assert_null(got);
        return;
    }
    struct buf want = {0};
    unescape(at, &want);
    if (!got || want.n != n || memcmp(want.p ? want.p : got, got, n) != 0) {
        fail_msg("%s: %s%s is %.*s", x->g->name, x->prefix, key, (int)n, (const char *)got);
    }
    assert_int_equal(((const char *)got)[n], 0);
    buf_fini(&want);
}

static void expect_str(struct expect *x, const char *key, const char *got)
{
    expect_bytes(x, key, got, got ? strlen(got) : 0);
}

static void expect_stat(struct expect *x, const struct reeve_result *r)
{
    const struct {
        const char *key;
        int64_t got;
    } rows[] = {{"stat.czxid", r->stat.czxid},
                {"stat.mzxid", r->stat.mzxid},
                {"stat.ctime", r->stat.ctime_ms},
                {"stat.mtime", r->stat.mtime_ms},
                {"stat.version", r->stat.version},
                {"stat.cversion", r->stat.cversion},
                {"stat.aversion", r->stat.aversion},
                {"stat.ephemeralOwner", r->stat.ephemeral_owner},
                {"stat.dataLength", r->stat.data_length},
                {"stat.numChildren", r->stat.num_children},
                {"stat.pzxid", r->stat.pzxid}};
    if (!field(x, rows[0].key)) {
        return;
    }
    assert_true(r->has_stat);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_number(x, rows[i].key, rows[i].got);
    }
}

static void expect_list(struct expect *x, const char *list, const struct reeve_result *r)
{
    char key[80];
    snprintf(key, sizeof(key), "%s.count", list);
    if (!field(x, key)) {
        return;
    }
    bool names = strcmp(list, "children") == 0 || strcmp(list, "ephemerals") == 0;
    expect_number(x, key, (int64_t)(names ? r->children_n : r->acl_n));
    for (size_t i = 0; i < r->children_n; i++) {
        snprintf(key, sizeof(key), "%s[%zu]", list, i);
        expect_str(x, key, r->children[i]);
    }
    for (size_t i = 0; i < r->acl_n; i++) {
        snprintf(key, sizeof(key), "%s[%zu].perms", list, i);
        expect_number(x, key, r->acl[i].perms);
        snprintf(key, sizeof(key), "%s[%zu].scheme", list, i);
        expect_str(x, key, r->acl[i].scheme);
        snprintf(key, sizeof(key), "%s[%zu].id", list, i);
        expect_str(x, key, r->acl[i].id);
        snprintf(key, sizeof(key), "%s[%zu].user", list, i);
        expect_str(x, key, r->acl[i].id);
    }
}

static int expect_fields(const struct golden *g, const char *prefix, const struct reeve_result *r)
{
    struct expect x = {g, prefix, 0};
    expect_stat(&x, r);
    expect_str(&x, "path", r->created);
    expect_bytes(&x, "data", r->data, r->data_len);
    expect_number(&x, "totalNumber", r->number);
    expect_list(&x, "children", r);
    expect_list(&x, "ephemerals", r);
    expect_list(&x, "acl", r);
    expect_list(&x, "clientInfo", r);
    expect_number(&x, *prefix ? "errBody" : "none", r->error);
    return x.n;
}

int golden_expect(const struct golden *g, const struct reeve_result *r)
{
    int n = expect_fields(g, "", r);
    for (size_t i = 0; i < r->parts_n; i++) {
        char prefix[32];
        snprintf(prefix, sizeof(prefix), "r%zu.", i);
        n += expect_fields(g, prefix, &r->parts[i]);
    }
    return n;
}
