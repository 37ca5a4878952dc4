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
