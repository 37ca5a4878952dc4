// SPDX-License-Identifier: Apache-2.0
//
// Two passes over a request: the first checks it and counts the bytes, then there is one
// allocation, the second writes. What an operation looks like on the wire is said once, in fill().
//
// The piece of memory: struct call, parts, room for the largest access control list in the codec's
// form, the frame, and the paths, each "<chroot><path>" so that both forms are views of one string.
#include "client/call.h"

#include "client/watchers.h"
#include "limits.h"
#include "wire/jute.h"
#include "wire/ops.h"
#include "wire/path.h"

enum { FRAME_HEAD = 4 + 8, XID_AT = 4, MULTI_HEAD = 9 };
enum { FLAG_TTL = 5, FLAG_TTL_SEQUENTIAL = 6 };
#define TTL_MAX_MS  0xffffffffff // as the server stores it: 40 bits
#define CONFIG_PATH "/zookeeper/config"

enum path_rule { PATH_NONE, PATH_NODE, PATH_CREATE, PATH_PREFIX, PATH_CONFIG };

static const struct op_row {
    int32_t opcode;
    int32_t part_opcode;   // within `part_of`
    enum reeve_op part_of; // NONE: is never a part
    enum path_rule rule;
    bool write;
    bool may_watch;
    enum watch_list list;
} rows[REEVE_OP_COUNT] = {
#define NODE            .rule = PATH_NODE
#define PART(op, multi) .part_opcode = (op), .part_of = (multi)
#define WATCH(l)        .may_watch = true, .list = (l)
    [REEVE_OP_CREATE] = {.opcode = OP_CREATE2,
                         PART(OP_CREATE2, REEVE_OP_MULTI),
                         .rule = PATH_CREATE,
                         .write = true},
    [REEVE_OP_DELETE] = {.opcode = OP_DELETE, PART(OP_DELETE, REEVE_OP_MULTI), NODE, .write = true},
    [REEVE_OP_EXISTS] = {.opcode = OP_EXISTS, NODE, WATCH(WATCH_DATA)},
    [REEVE_OP_GET] = {.opcode = OP_GET_DATA,
                      PART(OP_GET_DATA, REEVE_OP_MULTI_READ),
                      NODE,
                      WATCH(WATCH_DATA)},
    [REEVE_OP_SET] = {.opcode = OP_SET_DATA,
                      PART(OP_SET_DATA, REEVE_OP_MULTI),
                      NODE,
                      .write = true},
    [REEVE_OP_GET_ACL] = {.opcode = OP_GET_ACL, NODE},
    [REEVE_OP_SET_ACL] = {.opcode = OP_SET_ACL, NODE, .write = true},
    [REEVE_OP_CHILDREN] = {.opcode = OP_GET_CHILDREN2,
                           PART(OP_GET_CHILDREN, REEVE_OP_MULTI_READ),
                           NODE,
                           WATCH(WATCH_CHILD)},
    [REEVE_OP_SYNC] = {.opcode = OP_SYNC, NODE},
    [REEVE_OP_CHECK] = {PART(OP_CHECK, REEVE_OP_MULTI), NODE},
    [REEVE_OP_MULTI] = {.opcode = OP_MULTI, .write = true},
    [REEVE_OP_MULTI_READ] = {.opcode = OP_MULTI_READ},
    [REEVE_OP_ADD_WATCH] = {.opcode = OP_ADD_WATCH, NODE, .may_watch = true},
    [REEVE_OP_REMOVE_WATCHES] = {.opcode = OP_REMOVE_WATCHES, NODE},
    [REEVE_OP_CHECK_WATCHES] = {.opcode = OP_CHECK_WATCHES, NODE},
    [REEVE_OP_EPHEMERALS] = {.opcode = OP_GET_EPHEMERALS, .rule = PATH_PREFIX},
    [REEVE_OP_ALL_CHILDREN] = {.opcode = OP_GET_ALL_CHILDREN_NUMBER, NODE},
    [REEVE_OP_WHO_AM_I] = {.opcode = OP_WHO_AM_I},
    [REEVE_OP_ADD_AUTH] = {.opcode = OP_AUTH},
    [REEVE_OP_RECONFIG] = {.opcode = OP_RECONFIG, .write = true},
    [REEVE_OP_GET_CONFIG] = {.opcode = OP_GET_DATA, .rule = PATH_CONFIG, WATCH(WATCH_DATA)},
#undef NODE
#undef PART
#undef WATCH
};

// One operation in the codec's form.
struct record {
    int32_t opcode;
    const struct record_type *type;
    union {
        struct create_ttl_request create; // its front is a create_request
        struct delete_request del;
        struct path_watch_request read;
        struct path_request path;
        struct set_data_request set;
        struct set_acl_request set_acl;
        struct check_version_request check;
        struct add_watch_request add_watch;
        struct watches_request watches;
        struct auth_packet auth;
        struct reconfig_request reconfig;
    } u;
};

_Static_assert(offsetof(struct create_ttl_request, flags) == offsetof(struct create_request, flags),
               "a create_ttl_request begins as a create_request");

static const struct acl open_acl = {
    PERM_ALL, {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}};

// ---- the record -------------------------------------------------------------------------------

static void fill_create(const struct reeve_request *q, struct slice path, struct acl_vec acl,
                        struct record *d)
{
    d->u.create = (struct create_ttl_request){path, slice_of(q->data, q->data_len), acl,
                                              (int32_t)q->flags, q->ttl_ms};
    d->type = &record_create_request;
    if (q->flags == REEVE_CONTAINER) {
        d->opcode = OP_CREATE_CONTAINER;
    } else if (q->ttl_ms > 0) {
        d->opcode = OP_CREATE_TTL;
        d->type = &record_create_ttl_request;
        d->u.create.flags = q->flags & REEVE_SEQUENTIAL ? FLAG_TTL_SEQUENTIAL : FLAG_TTL;
    }
}

static void fill(const struct reeve_request *q, struct slice path, struct acl_vec acl,
                 struct record *d)
{
    switch (q->op) {
    case REEVE_OP_CREATE:
        fill_create(q, path, acl, d);
        break;
    case REEVE_OP_DELETE:
        d->type = &record_delete_request;
        d->u.del = (struct delete_request){path, q->version};
        break;
    case REEVE_OP_EXISTS:
    case REEVE_OP_GET:
    case REEVE_OP_GET_CONFIG:
    case REEVE_OP_CHILDREN:
        d->type = &record_path_watch_request;
        d->u.read = (struct path_watch_request){path, q->watch.fn != NULL};
        break;
    case REEVE_OP_SET:
        d->type = &record_set_data_request;
        d->u.set = (struct set_data_request){path, slice_of(q->data, q->data_len), q->version};
        break;
    case REEVE_OP_SET_ACL:
        d->type = &record_set_acl_request;
        d->u.set_acl = (struct set_acl_request){path, acl, q->version};
        break;
    case REEVE_OP_CHECK:
        d->type = &record_check_version_request;
        d->u.check = (struct check_version_request){path, q->version};
        break;
    case REEVE_OP_ADD_WATCH:
        d->type = &record_add_watch_request;
        d->u.add_watch = (struct add_watch_request){path, q->kind == REEVE_WATCH_RECURSIVE};
        break;
    case REEVE_OP_REMOVE_WATCHES:
    case REEVE_OP_CHECK_WATCHES:
        d->type = &record_watches_request;
        d->u.watches = (struct watches_request){path, (int32_t)q->kind};
        break;
    case REEVE_OP_ADD_AUTH:
        d->type = &record_auth_packet;
        d->u.auth = (struct auth_packet){0, slice_str(q->scheme), slice_of(q->data, q->data_len)};
        break;
    case REEVE_OP_RECONFIG:
        d->type = &record_reconfig_request;
        d->u.reconfig = (struct reconfig_request){slice_str(q->joining), slice_str(q->leaving),
                                                  slice_str(q->members), q->config_version};
        break;
    case REEVE_OP_WHO_AM_I:
        d->type = &record_none;
        break;
    default: // GET_ACL, SYNC, EPHEMERALS, ALL_CHILDREN
        d->type = &record_path_request;
        d->u.path = (struct path_request){path};
    }
}

// ---- first pass: checks and sizes -------------------------------------------------------------

struct need {
    size_t frame, paths, acls;
    size_t frame_max;
};

// A sequential name gets digits behind it, which make "/a/" and even "/a/.." good ones.
static bool path_is_valid_before_digits(struct slice path)
{
    struct slice base = path_base(path);
    if (base.n > 2 || (base.n && base.p[0] != '.') || (base.n == 2 && base.p[1] != '.')) {
        return path_is_valid(path);
    }
    struct slice parent = path_parent(path);
    return parent.p && (parent.n == 0 || (parent.n > 1 && path_is_valid(parent)));
}

static bool path_is_good(const struct reeve_request *q, enum path_rule rule, struct slice path)
{
    if (!path.p || path.n == 0) {
        return false;
    }
    switch (rule) {
    case PATH_CREATE:
        return q->flags & REEVE_SEQUENTIAL ? path_is_valid_before_digits(path)
                                           : path_is_valid(path);
    case PATH_PREFIX:
        return path_is_valid_before_digits(path);
    default:
        return path_is_valid(path);
    }
}

static bool acl_is_good(const struct reeve_acl *acl, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!acl || !acl[i].scheme || !acl[i].id) {
            return false;
        }
    }
    return true;
}

static bool create_is_good(const struct reeve_request *q)
{
    if (q->flags > (REEVE_EPHEMERAL | REEVE_SEQUENTIAL) && q->flags != REEVE_CONTAINER) {
        return false;
    }
    bool ttl_fits = q->ttl_ms > 0 && q->ttl_ms <= TTL_MAX_MS;
    return q->ttl_ms == 0 || (ttl_fits && (q->flags & ~(unsigned)REEVE_SEQUENTIAL) == 0);
}

// What the other fields of the request must be.
static bool fields_are_good(const struct reeve_request *q)
{
    if (!q->data && q->data_len) {
        return false;
    }
    switch (q->op) {
    case REEVE_OP_CREATE:
        return create_is_good(q) && acl_is_good(q->acl, q->acl_n);
    case REEVE_OP_SET_ACL:
        return q->acl && acl_is_good(q->acl, q->acl_n);
    case REEVE_OP_ADD_WATCH:
        return q->watch.fn &&
               (q->kind == REEVE_WATCH_PERSISTENT || q->kind == REEVE_WATCH_RECURSIVE);
    case REEVE_OP_REMOVE_WATCHES:
    case REEVE_OP_CHECK_WATCHES:
        return q->kind >= REEVE_WATCH_CHILDREN && q->kind <= REEVE_WATCH_RECURSIVE;
    case REEVE_OP_ADD_AUTH:
        return q->scheme != NULL;
    case REEVE_OP_RECONFIG:
        return q->members ? !q->joining && !q->leaving : q->joining || q->leaving;
    default:
        return true;
    }
}

static bool has_acl(const struct reeve_request *q)
{
    return q->acl && (q->op == REEVE_OP_CREATE || q->op == REEVE_OP_SET_ACL);
}

static size_t acl_bytes(const struct reeve_request *q)
{
    size_t n = 0;
    for (size_t i = 0; i < q->acl_n; i++) {
        n += 12 + strlen(q->acl[i].scheme) + strlen(q->acl[i].id);
    }
    return n;
}

// "/" below "/app" is "/app"; but what gets digits, or stands for all below, keeps its slash.
static size_t server_path_len(const struct reeve_request *q, size_t chroot_n, size_t n)
{
    bool keeps =
        q->op == REEVE_OP_EPHEMERALS || (q->op == REEVE_OP_CREATE && q->flags & REEVE_SEQUENTIAL);
    return chroot_n + (n == 1 && chroot_n && !keeps ? 0 : n);
}

static const char *path_of(const struct reeve_request *q)
{
    return rows[q->op].rule == PATH_CONFIG ? CONFIG_PATH : q->path;
}

static size_t chroot_len(const struct reeve_request *q, const char *chroot)
{
    return rows[q->op].rule == PATH_CONFIG ? 0 : strlen(chroot);
}

static enum reeve_error measure(const struct reeve_request *q, const char *chroot, struct need *n)
{
    if (!fields_are_good(q)) {
        return REEVE_BAD_ARGUMENTS;
    }
    if (q->data_len > n->frame_max || (has_acl(q) && q->acl_n > n->frame_max / 12)) {
        return REEVE_TOO_BIG;
    }
    struct slice path = SLICE_NULL;
    if (rows[q->op].rule != PATH_NONE) {
        path = slice_str(path_of(q));
        if (!path_is_good(q, rows[q->op].rule, path)) {
            return REEVE_BAD_ARGUMENTS;
        }
        size_t chroot_n = chroot_len(q, chroot);
        n->paths += chroot_n + path.n + 1;
        path.n = server_path_len(q, chroot_n, path.n);
    }
    // A list is counted by itself: its form for the codec is made when there is memory for it.
    struct acl_vec acl = {(struct acl *)(uintptr_t)&open_acl, has_acl(q) ? 0 : 1};
    struct record d;
    fill(q, path, acl, &d);
    n->frame += jute_size_record(d.type, &d.u);
    if (has_acl(q)) {
        n->frame += acl_bytes(q);
        n->acls = q->acl_n > n->acls ? q->acl_n : n->acls;
    }
    return n->frame > n->frame_max ? REEVE_TOO_BIG : REEVE_OK;
}

static enum reeve_error measure_parts(const struct reeve_request *q, const char *chroot,
                                      struct need *n)
{
    if (!q->parts || q->parts_n == 0) {
        return REEVE_BAD_ARGUMENTS;
    }
    for (size_t i = 0; i < q->parts_n; i++) {
        const struct reeve_request *part = &q->parts[i];
        if ((unsigned)part->op >= REEVE_OP_COUNT || rows[part->op].part_of != q->op ||
            part->watch.fn) {
            return REEVE_BAD_ARGUMENTS;
        }
        n->frame += MULTI_HEAD;
        enum reeve_error e = measure(part, chroot, n);
        if (e) {
            return e;
        }
    }
    n->frame += MULTI_HEAD;
    return n->frame > n->frame_max ? REEVE_TOO_BIG : REEVE_OK;
}

// ---- second pass ------------------------------------------------------------------------------

struct out {
    struct buf frame; // never grows
    char *paths;
    struct acl *acls;
};

// The string "<chroot><path>"; the client's path is its end.
static struct slice put_path(struct out *o, const struct reeve_request *q, const char *chroot,
                             const char **path)
{
    size_t chroot_n = chroot_len(q, chroot);
    size_t n = strlen(path_of(q));
    char *at = o->paths;
    memcpy(at, chroot, chroot_n);
    memcpy(at + chroot_n, path_of(q), n + 1);
    o->paths += chroot_n + n + 1;
    *path = at + chroot_n;
    return slice_of(at, server_path_len(q, chroot_n, n));
}

static struct acl_vec acl_of(struct out *o, const struct reeve_request *q)
{
    if (!has_acl(q)) {
        return (struct acl_vec){(struct acl *)(uintptr_t)&open_acl, 1};
    }
    for (size_t i = 0; i < q->acl_n; i++) {
        o->acls[i] =
            (struct acl){q->acl[i].perms, {slice_str(q->acl[i].scheme), slice_str(q->acl[i].id)}};
    }
    return (struct acl_vec){o->acls, (int32_t)q->acl_n};
}

// As a request of its own (part false) or as one of a multi.
static struct slice put(struct out *o, const struct reeve_request *q, const char *chroot, bool part,
                        const char **path)
{
    struct slice server_path = SLICE_NULL;
    *path = "";
    if (rows[q->op].rule != PATH_NONE) {
        server_path = put_path(o, q, chroot, path);
    }
    struct record d = {.opcode = part ? rows[q->op].part_opcode : rows[q->op].opcode};
    fill(q, server_path, acl_of(o, q), &d);
    buf_put_i32(&o->frame, d.opcode);
    if (part) {
        jute_put_bool(&o->frame, false);
        buf_put_i32(&o->frame, -1);
    }
    jute_put_record(&o->frame, d.type, &d.u);
    return server_path;
}

static void put_parts(struct out *o, const struct reeve_request *q, const char *chroot,
                      struct call_part *parts)
{
    buf_put_i32(&o->frame, rows[q->op].opcode);
    for (size_t i = 0; i < q->parts_n; i++) {
        parts[i].op = q->parts[i].op;
        put(o, &q->parts[i], chroot, true, &parts[i].path);
    }
    struct multi_header end = {-1, true, -1};
    jute_put_record(&o->frame, &record_multi_header, &end);
}

static bool is_multi(const struct reeve_request *q)
{
    return q->op == REEVE_OP_MULTI || q->op == REEVE_OP_MULTI_READ;
}

static void encode(struct call *c, const struct need *n, const char *chroot,
                   const struct reeve_request *q)
{
    struct call_part *parts = (struct call_part *)(c + 1);
    struct out o = {.acls = (struct acl *)(parts + c->parts_n)};
    c->frame = (uint8_t *)(o.acls + n->acls);
    c->frame_n = n->frame;
    c->parts = parts;
    c->path = "";
    o.frame = (struct buf){c->frame, 0, n->frame};
    o.paths = (char *)c->frame + n->frame;
    buf_put_i32(&o.frame, (int32_t)(n->frame - 4));
    buf_put_i32(&o.frame, 0); // the xid
    if (is_multi(q)) {
        put_parts(&o, q, chroot, parts);
    } else {
        c->server_path = put(&o, q, chroot, false, &c->path);
    }
    c->opcode = (int32_t)be32_get(c->frame + XID_AT + 4);
    must(o.frame.n == n->frame);
    must(o.frame.p == c->frame);
}

static bool take_watch(struct call *c, const struct reeve_request *q)
{
    enum watch_list list = rows[q->op].list;
    if (q->op == REEVE_OP_ADD_WATCH) {
        list = q->kind == REEVE_WATCH_RECURSIVE ? WATCH_RECURSIVE : WATCH_PERSISTENT;
    }
    c->watch = q->watch.fn ? watch_new(&c->allocator, list, c->server_path, &q->watch) : NULL;
    return c->watch || !q->watch.fn;
}

enum reeve_error call_new(const struct reeve_allocator *a, const char *chroot, uint32_t request_max,
                          const struct reeve_request *q, struct call **c)
{
    *c = NULL;
    if (!q || (unsigned)q->op >= REEVE_OP_COUNT || rows[q->op].opcode == 0 ||
        (q->watch.fn && !rows[q->op].may_watch)) {
        return REEVE_BAD_ARGUMENTS;
    }
    size_t max = request_max < INT32_MAX ? request_max : INT32_MAX;
    struct need n = {.frame = FRAME_HEAD, .frame_max = max + 4};
    enum reeve_error e = is_multi(q) ? measure_parts(q, chroot, &n) : measure(q, chroot, &n);
    if (e) {
        return e;
    }
    size_t parts_n = is_multi(q) ? q->parts_n : 0;
    struct call *new = alloc_get(a, NULL,
                                 sizeof(*new) + parts_n * sizeof(struct call_part) +
                                     n.acls * sizeof(struct acl) + n.frame + n.paths);
    if (!new) {
        return REEVE_NO_MEMORY;
    }
    *new = (struct call){.op = q->op,
                         .write = rows[q->op].write,
                         .timeout_ms = q->timeout_ms,
                         .parts_n = parts_n,
                         .kind = q->kind,
                         .allocator = *a};
    encode(new, &n, chroot, q);
    if (!take_watch(new, q)) {
        call_free(&new);
        return REEVE_NO_MEMORY;
    }
    *c = new;
    return REEVE_OK;
}

size_t call_size(const char *chroot, const struct reeve_request *q)
{
    struct need n = {.frame = FRAME_HEAD, .frame_max = SIZE_MAX / 2};
    enum reeve_error e = is_multi(q) ? measure_parts(q, chroot, &n) : measure(q, chroot, &n);
    return e ? n.frame_max : n.frame - 4;
}

void call_free(struct call **c)
{
    if (*c) {
        struct reeve_allocator a = (*c)->allocator;
        watch_free(&(*c)->watch);
        alloc_put(&a, *c);
        *c = NULL;
    }
}

void call_set_xid(struct call *c, int32_t xid)
{
    c->xid = xid;
    be32_put(c->frame + XID_AT, (uint32_t)xid);
}
