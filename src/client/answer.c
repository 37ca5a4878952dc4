// SPDX-License-Identifier: Apache-2.0
//
// One walk over the body. A string's NUL goes where the first byte of what follows it stands, so it
// is written when that has been read, at the next string or at the end: struct reader keeps the
// place in mind until then.
//
// Arrays: what is in the body bounds their size before anything is read (an element takes at least
// so many bytes), so one piece of memory is enough and a count that lies asks for no more than the
// body could hold.
#include "client/answer.h"

#include "wire/jute.h"
#include "wire/ops.h"

struct reader {
    struct jute_in in;
    uint8_t *body;
    uint8_t *nul; // where a NUL is due; NULL: nowhere
    struct slice chroot;
};

enum { ROOM_KEPT_MAX = 256 * 1024 }; // more goes when it is not needed any more
enum { NAME_MIN = 4, ACL_MIN = 12, ID_MIN = 8 };

// reeve_stat is node_stat with longer names: decoded as one.
_Static_assert(sizeof(struct reeve_stat) == sizeof(struct node_stat), "the same fields");
_Static_assert(offsetof(struct reeve_stat, aversion) == offsetof(struct node_stat, aversion), "");
_Static_assert(offsetof(struct reeve_stat, pzxid) == offsetof(struct node_stat, pzxid), "");

void answer_room_fini(struct answer_room *room)
{
    alloc_put(&room->allocator, room->p);
    room->p = NULL;
    room->cap = 0;
}

// Room for n bytes; what was in it is gone.
static bool room_make(struct answer_room *room, size_t n)
{
    if (n > room->cap || (room->cap > ROOM_KEPT_MAX && n <= ROOM_KEPT_MAX)) {
        answer_room_fini(room);
        room->p = n ? alloc_get(&room->allocator, NULL, n) : NULL;
        room->cap = room->p ? n : 0;
    }
    return room->cap >= n;
}

static const char *below(struct slice chroot, struct slice path)
{
    if (chroot.n && slice_has_prefix(path, chroot)) {
        if (path.n == chroot.n) {
            return "/";
        }
        if (path.p[chroot.n] == '/') {
            path = slice_skip(path, chroot.n);
        }
    }
    return (const char *)path.p;
}

const char *answer_below_chroot(const char *chroot, const char *path)
{
    return below(slice_str(chroot), slice_str(path));
}

// ---- fields -----------------------------------------------------------------------------------

static void put_nul(struct reader *rd)
{
    if (rd->nul) {
        *rd->nul = 0;
        rd->nul = NULL;
    }
}

static struct slice get_bytes(struct reader *rd)
{
    struct slice s = jute_get_bytes(&rd->in);
    put_nul(rd);
    if (s.p) {
        rd->nul = rd->body + (s.p - rd->body) + s.n;
    }
    return s;
}

// Null is "" where there is nothing a null could mean.
static const char *get_str(struct reader *rd)
{
    struct slice s = get_bytes(rd);
    return s.p ? (const char *)s.p : "";
}

// A path or the name of a child; both are never null.
static const char *get_path(struct reader *rd)
{
    struct slice s = get_bytes(rd);
    if (!s.p) {
        jute_fail(&rd->in, ERR_MALFORMED);
        return "";
    }
    return below(rd->chroot, s);
}

static size_t get_count(struct reader *rd, size_t elem_min)
{
    int32_t n = jute_get_count(&rd->in, elem_min);
    return n > 0 ? (size_t)n : 0;
}

static void get_stat(struct reader *rd, struct reeve_result *r)
{
    jute_get_record(&rd->in, &record_node_stat, &r->stat, NULL);
    r->has_stat = true;
}

static void get_data(struct reader *rd, struct reeve_result *r)
{
    struct slice s = get_bytes(rd);
    r->data = s.p;
    r->data_len = s.n;
}

static void get_names(struct reader *rd, struct reeve_result *r, const char **v)
{
    r->children = v;
    r->children_n = get_count(rd, NAME_MIN);
    for (size_t i = 0; i < r->children_n && !rd->in.err; i++) {
        v[i] = get_path(rd);
    }
}

// with_perms: ACL, else ClientInfo.
static void get_acl(struct reader *rd, struct reeve_result *r, struct reeve_acl *v, bool with_perms)
{
    r->acl = v;
    r->acl_n = get_count(rd, with_perms ? ACL_MIN : ID_MIN);
    for (size_t i = 0; i < r->acl_n && !rd->in.err; i++) {
        v[i].perms = with_perms ? jute_get_int(&rd->in) : 0;
        v[i].scheme = get_str(rd);
        v[i].id = get_str(rd);
    }
}

static enum reeve_error error_of(int32_t err)
{
    return err <= 0 && err > REEVE_NO_MEMORY ? (enum reeve_error)err : REEVE_MALFORMED;
}

// ---- single operations ------------------------------------------------------------------------

static void get_created(struct reader *rd, struct reeve_result *r, bool with_stat)
{
    r->created = get_path(rd);
    if (with_stat) {
        get_stat(rd, r);
    }
}

// The elements of a list at the start of the body, or how many it could hold at most.
static size_t list_count(struct slice body, size_t elem_min)
{
    int32_t n = body.n >= 4 ? (int32_t)be32_get(body.p) : 0;
    size_t max = body.n / elem_min;
    return n <= 0 ? 0 : (size_t)n < max ? (size_t)n : max;
}

// What the arrays of a body may need at most.
static size_t arrays_size(enum reeve_op op, size_t parts_n, struct slice body)
{
    switch (op) {
    case REEVE_OP_CHILDREN:
    case REEVE_OP_EPHEMERALS:
        return list_count(body, NAME_MIN) * sizeof(char *);
    case REEVE_OP_GET_ACL:
        return list_count(body, ACL_MIN) * sizeof(struct reeve_acl);
    case REEVE_OP_WHO_AM_I:
        return list_count(body, ID_MIN) * sizeof(struct reeve_acl);
    case REEVE_OP_MULTI:
        return parts_n * sizeof(struct reeve_result);
    case REEVE_OP_MULTI_READ: // the lists are anywhere in it
        return parts_n * sizeof(struct reeve_result) + body.n / NAME_MIN * sizeof(char *);
    default:
        return 0;
    }
}

static void get_single(struct reader *rd, struct reeve_result *r, void *arrays)
{
    switch (r->op) {
    case REEVE_OP_CREATE:
        get_created(rd, r, true);
        break;
    case REEVE_OP_SYNC:
        get_created(rd, r, false);
        break;
    case REEVE_OP_EXISTS:
    case REEVE_OP_SET:
    case REEVE_OP_SET_ACL:
        get_stat(rd, r);
        break;
    case REEVE_OP_GET:
    case REEVE_OP_GET_CONFIG:
    case REEVE_OP_RECONFIG:
        get_data(rd, r);
        get_stat(rd, r);
        break;
    case REEVE_OP_CHILDREN:
        rd->chroot = SLICE_NULL; // names
        get_names(rd, r, arrays);
        get_stat(rd, r);
        break;
    case REEVE_OP_EPHEMERALS:
        get_names(rd, r, arrays);
        break;
    case REEVE_OP_GET_ACL:
        get_acl(rd, r, arrays, true);
        get_stat(rd, r);
        break;
    case REEVE_OP_WHO_AM_I:
        get_acl(rd, r, arrays, false);
        break;
    case REEVE_OP_ALL_CHILDREN:
        r->number = jute_get_int(&rd->in);
        break;
    default: // DELETE, the watch operations and ADD_AUTH say nothing more
        break;
    }
}

// ---- multi ------------------------------------------------------------------------------------

// An OK part. Servers before 3.7.2 and 3.8.2 answer a create2 as a create.
static bool get_part(struct reader *rd, int32_t type, struct reeve_result *r, const char ***names)
{
    switch (r->op) {
    case REEVE_OP_CREATE:
        get_created(rd, r, type != OP_CREATE);
        return type == OP_CREATE || type == OP_CREATE2 || type == OP_CREATE_CONTAINER ||
               type == OP_CREATE_TTL;
    case REEVE_OP_DELETE:
        return type == OP_DELETE;
    case REEVE_OP_CHECK:
        return type == OP_CHECK;
    case REEVE_OP_SET:
        get_stat(rd, r);
        return type == OP_SET_DATA;
    case REEVE_OP_GET:
        get_data(rd, r);
        get_stat(rd, r);
        return type == OP_GET_DATA;
    default: // CHILDREN
        get_names(rd, r, *names);
        *names += r->children_n;
        return type == OP_GET_CHILDREN;
    }
}

static struct multi_header get_multi_header(struct reader *rd)
{
    struct multi_header h;
    jute_get_record(&rd->in, &record_multi_header, &h, NULL);
    return h;
}

// One part of the answer. False: it has no result but an error, which may be 0 in a multi that
// failed elsewhere.
static bool get_result(struct reader *rd, struct reeve_result *part, const char ***names)
{
    struct multi_header h = get_multi_header(rd);
    bool good = !h.done;
    if (h.type == OP_ERROR) {
        part->error = error_of(jute_get_int(&rd->in));
        good = good && part->error != REEVE_MALFORMED;
    } else if (good) {
        good = get_part(rd, h.type, part, names);
    }
    if (!good) {
        jute_fail(&rd->in, ERR_MALFORMED);
    }
    return h.type != OP_ERROR;
}

static void get_multi(struct reader *rd, const struct call *c, struct reeve_result *r, void *arrays)
{
    struct reeve_result *parts = arrays;
    const char **names = (const char **)(parts + c->parts_n);
    bool reads = r->op == REEVE_OP_MULTI_READ; // each part for itself, names instead of paths
    bool done = true;
    rd->chroot = reads ? SLICE_NULL : rd->chroot;
    for (size_t i = 0; i < c->parts_n && !rd->in.err; i++) {
        struct reeve_result *part = &parts[i];
        *part = (struct reeve_result){.op = c->parts[i].op, .path = c->parts[i].path, .why = ""};
        bool has_result = get_result(rd, part, &names);
        done = done && (has_result || (reads && part->error));
        if (!reads && !r->error) {
            r->error = part->error;
        }
    }
    if (!get_multi_header(rd).done || done == (r->error != REEVE_OK)) {
        jute_fail(&rd->in, ERR_MALFORMED);
    }
    r->parts = parts;
    r->parts_n = c->parts_n;
}

// ---- the whole --------------------------------------------------------------------------------

static void start(struct reeve_result *r, const struct call *c, enum reeve_error e)
{
    *r = (struct reeve_result){.error = e, .op = c->op, .path = c->path, .why = ""};
}

static bool sets_watch(const struct call *c, enum reeve_error e)
{
    if (c->watch && c->op == REEVE_OP_EXISTS) {
        c->watch->list = e ? WATCH_EXIST : WATCH_DATA;
        return !e || e == REEVE_NO_NODE;
    }
    return c->watch && !e;
}

enum reeve_error answer_read(struct answer_room *room, const struct call *c, const char *chroot,
                             int32_t err, uint8_t *body, size_t n, struct reeve_result *r)
{
    start(r, c, error_of(err));
    if (!err) {
        size_t size = arrays_size(c->op, c->parts_n, slice_of(body, n));
        if (!room_make(room, size)) {
            r->error = REEVE_NO_MEMORY;
            return r->error;
        }
        struct reader rd = {jute_in(slice_of(body, n), n), body, NULL, slice_str(chroot)};
        if (c->parts_n) {
            get_multi(&rd, c, r, room->p);
        } else {
            get_single(&rd, r, room->p);
        }
        put_nul(&rd);
        if (rd.in.err) {
            start(r, c, REEVE_MALFORMED);
        }
    }
    r->watching = sets_watch(c, r->error);
    return r->error;
}
