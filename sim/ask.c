// SPDX-License-Identifier: Apache-2.0
#include "sim/ask.h"

#include <stdio.h>

#include "wire/jute.h"

bool ask_is_write(const struct ask *q)
{
    const struct op_info *info = op_find(q->type);
    return info && info->kind == OP_KIND_WRITE;
}

static void encode_body(const struct ask *q, struct buf *b);

static void encode_multi(const struct ask *q, struct buf *b)
{
    for (int32_t i = 0; i < q->parts_n; i++) {
        struct multi_header h = {q->parts[i].type, false, -1};
        jute_put_record(b, &record_multi_header, &h);
        encode_body(&q->parts[i], b);
    }
    struct multi_header end = {-1, true, -1};
    jute_put_record(b, &record_multi_header, &end);
}

static void encode_create(const struct ask *q, struct buf *b)
{
    struct acl_vec acl = acls_list(q->acl);
    if (q->type == OP_CREATE_TTL) {
        struct create_ttl_request r = {q->path, q->data, acl, q->flags, q->ttl_ms};
        jute_put_record(b, &record_create_ttl_request, &r);
    } else {
        struct create_request r = {q->path, q->data, acl, q->flags};
        jute_put_record(b, &record_create_request, &r);
    }
}

static void encode_write(const struct ask *q, struct buf *b)
{
    struct delete_request del = {q->path, q->version};
    struct set_data_request set = {q->path, q->data, q->version};
    struct set_acl_request acl = {q->path, acls_list(q->acl), q->version};
    struct check_version_request check = {q->path, q->version};
    switch (q->type) {
    case OP_DELETE:
        jute_put_record(b, &record_delete_request, &del);
        break;
    case OP_SET_DATA:
        jute_put_record(b, &record_set_data_request, &set);
        break;
    case OP_SET_ACL:
        jute_put_record(b, &record_set_acl_request, &acl);
        break;
    case OP_CHECK:
        jute_put_record(b, &record_check_version_request, &check);
        break;
    default:
        encode_create(q, b);
        break;
    }
}

static void encode_body(const struct ask *q, struct buf *b)
{
    switch (q->type) {
    case OP_PING:
    case OP_CLOSE_SESSION:
    case OP_WHO_AM_I:
        break;
    case OP_MULTI:
    case OP_MULTI_READ:
        encode_multi(q, b);
        break;
    case OP_EXISTS:
    case OP_GET_DATA:
    case OP_GET_CHILDREN:
    case OP_GET_CHILDREN2:
        jute_put_bytes(b, q->path);
        jute_put_bool(b, q->watch);
        break;
    case OP_SYNC:
    case OP_GET_ACL:
    case OP_GET_EPHEMERALS:
    case OP_GET_ALL_CHILDREN_NUMBER:
        jute_put_bytes(b, q->path);
        break;
    case OP_ADD_WATCH:
    case OP_CHECK_WATCHES:
    case OP_REMOVE_WATCHES:
        jute_put_bytes(b, q->path);
        buf_put_i32(b, q->mode);
        break;
    case OP_SET_WATCHES:
    case OP_SET_WATCHES2:
        jute_put_record(b, q->type == OP_SET_WATCHES ? &record_set_watches : &record_set_watches2,
                        &q->set);
        break;
    case OP_AUTH:
        buf_put_i32(b, 0);
        jute_put_bytes(b, q->path);
        jute_put_bytes(b, q->data);
        break;
    default:
        encode_write(q, b);
        break;
    }
}

// set_watches is a prefix of set_watches2, in the struct as on the wire.
_Static_assert(offsetof(struct set_watches2, child) == offsetof(struct set_watches, child), "");

void ask_encode(const struct ask *q, struct buf *frame)
{
    size_t start = frame->n;
    buf_put_i32(frame, 0);
    buf_put_i32(frame, q->xid);
    buf_put_i32(frame, q->type);
    encode_body(q, frame);
    be32_put(frame->p + start, (uint32_t)(frame->n - start - 4));
}

void ask_fmt(const struct ask *q, char *text, size_t n)
{
    const struct op_info *info = op_find(q->type);
    int at = snprintf(text, n, "%d %s %.*s", q->xid, info ? info->name : "?", SLICE_ARG(q->path));
    for (int32_t i = 0; i < q->parts_n && at > 0 && (size_t)at < n; i++) {
        const struct ask *p = &q->parts[i];
        info = op_find(p->type);
        at += snprintf(text + at, n - (size_t)at, " [%s %.*s v%d f%d]", info->name,
                       SLICE_ARG(p->path), p->version, p->flags);
    }
    if (q->parts_n == 0 && at > 0 && (size_t)at < n && ask_is_write(q)) {
        snprintf(text + at, n - (size_t)at, " data %zu version %d flags %d acl %d", q->data.n,
                 q->version, q->flags, q->acl);
    } else if (at > 0 && (size_t)at < n && q->watch) {
        snprintf(text + at, n - (size_t)at, " watch");
    }
}

// ---- the other way: what a library has put on the wire -----------------------------------------

static bool decode_part(struct jute_in *in, struct arena *a, struct ask *q);

static void decode_multi(struct jute_in *in, struct arena *a, struct ask *q)
{
    size_t cap = 0;
    q->path = SLICE_LIT("");
    for (;;) {
        struct multi_header h;
        jute_get_record(in, &record_multi_header, &h, a);
        if (in->err || h.done) {
            return;
        }
        if ((size_t)q->parts_n == cap) {
            struct ask *old = q->parts;
            cap = cap ? 2 * cap : 8;
            q->parts = arena_zalloc(a, cap * sizeof(*q->parts));
            memcpy(q->parts, old ? old : q->parts, (size_t)q->parts_n * sizeof(*q->parts));
        }
        struct ask *part = &q->parts[q->parts_n++];
        part->type = h.type;
        part->version = -1;
        if (!decode_part(in, a, part)) {
            jute_fail(in, ERR_MALFORMED);
            return;
        }
    }
}

static void decode_create(struct jute_in *in, struct arena *a, struct ask *q)
{
    struct create_ttl_request r = {0};
    jute_get_record(
        in, q->type == OP_CREATE_TTL ? &record_create_ttl_request : &record_create_request, &r, a);
    q->path = r.path;
    q->data = r.data;
    q->flags = r.flags;
    q->ttl_ms = r.ttl_ms;
    q->acl = acls_find(r.acl);
}

// create_request is a prefix of create_ttl_request, in the struct as on the wire.
_Static_assert(offsetof(struct create_ttl_request, flags) == offsetof(struct create_request, flags),
               "");

static void decode_acl(struct jute_in *in, struct arena *a, struct ask *q)
{
    struct set_acl_request r;
    jute_get_record(in, &record_set_acl_request, &r, a);
    q->path = r.path;
    q->version = r.version;
    q->acl = acls_find(r.acl);
}

static bool decode_part(struct jute_in *in, struct arena *a, struct ask *q)
{
    switch (q->type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL:
        decode_create(in, a, q);
        break;
    case OP_SET_ACL:
        decode_acl(in, a, q);
        break;
    case OP_SET_DATA:
        q->path = jute_get_bytes(in);
        q->data = jute_get_bytes(in);
        q->version = jute_get_int(in);
        break;
    case OP_DELETE:
    case OP_CHECK:
        q->path = jute_get_bytes(in);
        q->version = jute_get_int(in);
        break;
    case OP_GET_DATA:
    case OP_GET_CHILDREN:
        q->path = jute_get_bytes(in);
        q->watch = jute_get_bool(in);
        break;
    default:
        return false;
    }
    return q->acl >= 0;
}

static bool decode_body(struct jute_in *in, struct arena *a, struct ask *q)
{
    switch (q->type) {
    case OP_PING:
    case OP_CLOSE_SESSION:
    case OP_WHO_AM_I:
        return true;
    case OP_MULTI:
    case OP_MULTI_READ:
        decode_multi(in, a, q);
        return true;
    case OP_EXISTS:
    case OP_GET_CHILDREN2:
        q->path = jute_get_bytes(in);
        q->watch = jute_get_bool(in);
        return true;
    case OP_SYNC:
    case OP_GET_ACL:
    case OP_GET_EPHEMERALS:
    case OP_GET_ALL_CHILDREN_NUMBER:
        q->path = jute_get_bytes(in);
        return true;
    case OP_ADD_WATCH:
    case OP_CHECK_WATCHES:
    case OP_REMOVE_WATCHES:
        q->path = jute_get_bytes(in);
        q->mode = jute_get_int(in);
        return true;
    case OP_SET_WATCHES:
    case OP_SET_WATCHES2:
        q->path = SLICE_LIT("");
        jute_get_record(in, q->type == OP_SET_WATCHES ? &record_set_watches : &record_set_watches2,
                        &q->set, a);
        return true;
    default:
        return decode_part(in, a, q);
    }
}

bool ask_decode(struct slice frame, struct arena *a, struct ask *q)
{
    struct jute_in in = jute_in(frame, SIZE_MAX);
    *q = (struct ask){.version = -1};
    q->xid = jute_get_int(&in);
    q->type = jute_get_int(&in);
    return decode_body(&in, a, q) && !in.err && jute_left(&in) == 0;
}
