// SPDX-License-Identifier: Apache-2.0
#include "cli/log_text.h"

#include <ctype.h>
#include <inttypes.h>

#include "cli/offline_text.h"
#include "wire/zkerr.h"

// What a part says, whatever its type: fields that a type does not have stay null.
struct facts {
    struct slice path, data;
    bool has_data;
    const struct acl_vec *acl;
    bool ephemeral, container, has_ttl, has_version, has_error, has_timeout;
    int64_t ttl_ms;
    int32_t version, error, timeout_ms;
    const struct slice_vec *paths; // CLOSE_SESSION, if it lists them
};

// ZooKeeper's own spelling follows from the opcode's: CREATE_SESSION, SET_ACL, CREATE_TTL.
void log_text_op(struct buf *b, int32_t type)
{
    const struct op_info *op = op_find(type);
    if (!op) {
        buf_fmt(b, "type %" PRId32, type);
        return;
    }
    bool upper = false;
    for (const char *p = op->name; *p; p++) {
        if (*p == '_') {
            upper = true;
            if (strcmp(p, "_ACL") == 0 || strcmp(p, "_TTL") == 0) {
                buf_fmt(b, "%s", p + 1);
                return;
            }
            continue;
        }
        buf_put_u8(b, (uint8_t)(upper ? *p : tolower((unsigned char)*p)));
        upper = false;
    }
}

static void facts_of_create(const struct txn_body *t, struct facts *f)
{
    f->has_data = true;
    switch (t->type) {
    case OP_CREATE_CONTAINER:
        f->path = t->create_container.path;
        f->data = t->create_container.data;
        f->acl = &t->create_container.acl;
        f->container = true;
        break;
    case OP_CREATE_TTL:
        f->path = t->create_ttl.path;
        f->data = t->create_ttl.data;
        f->acl = &t->create_ttl.acl;
        f->has_ttl = true;
        f->ttl_ms = t->create_ttl.ttl_ms;
        break;
    default:
        f->path = t->create.path;
        f->data = t->create.data;
        f->acl = &t->create.acl;
        f->ephemeral = t->create.ephemeral;
        break;
    }
}

static struct facts facts_of(const struct txn_body *t)
{
    struct facts f = {0};
    switch (t->type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL:
        facts_of_create(t, &f);
        break;
    case OP_DELETE:
    case OP_DELETE_CONTAINER:
        f.path = t->del.path;
        break;
    case OP_SET_DATA:
    case OP_RECONFIG:
        f.path = t->set_data.path;
        f.data = t->set_data.data;
        f.has_data = f.has_version = true;
        f.version = t->set_data.version;
        break;
    case OP_SET_ACL:
        f.path = t->set_acl.path;
        f.acl = &t->set_acl.acl;
        f.has_version = true;
        f.version = t->set_acl.version;
        break;
    case OP_CHECK:
        f.path = t->check.path;
        f.has_version = true;
        f.version = t->check.version;
        break;
    case OP_CREATE_SESSION:
        f.has_timeout = true;
        f.timeout_ms = t->create_session.timeout_ms;
        break;
    case OP_CLOSE_SESSION:
        f.paths = t->close_session.paths.n >= 0 ? &t->close_session.paths : NULL;
        break;
    case OP_ERROR:
        f.has_error = true;
        f.error = t->error.err;
        break;
    default:
        break;
    }
    return f;
}

// ---- text ---------------------------------------------------------------------------------------

static void put_data(struct buf *b, const struct facts *f, bool whole)
{
    if (!f->data.p) {
        buf_fmt(b, " null");
    } else if (whole) {
        buf_fmt(b, " \"");
        offline_escaped(b, f->data);
        buf_fmt(b, "\"");
    } else {
        buf_fmt(b, " %zu bytes", f->data.n);
    }
}

static void put_part(struct buf *b, const struct txn_body *t, bool data)
{
    struct facts f = facts_of(t);
    log_text_op(b, t->type);
    if (f.path.p) {
        buf_fmt(b, " ");
        offline_escaped(b, f.path);
    }
    if (f.has_data) {
        put_data(b, &f, data);
    }
    if (f.has_version) {
        buf_fmt(b, " version %" PRId32, f.version);
    }
    buf_fmt(b, "%s%s", f.ephemeral ? " ephemeral" : "", f.container ? " container" : "");
    if (f.has_ttl) {
        buf_fmt(b, " ttl %" PRId64 " ms", f.ttl_ms);
    }
    if (f.acl && (data || !f.has_data)) {
        buf_fmt(b, " acl ");
        offline_acl(b, f.acl);
    }
    if (f.has_timeout) {
        buf_fmt(b, " timeout %" PRId32 " ms", f.timeout_ms);
    }
    if (f.has_error) {
        buf_fmt(b, " %s (%" PRId32 ")", zkerr_name(f.error), f.error);
    }
    for (int32_t i = 0; f.paths && i < f.paths->n; i++) {
        buf_fmt(b, " ");
        offline_escaped(b, f.paths->v[i]);
    }
}

void log_text_line(struct buf *b, const struct log_item *item, bool data)
{
    const struct txn *t = &item->txn;
    offline_time(b, t->hdr.time);
    buf_fmt(b, " session 0x%" PRIx64 " cxid %" PRId32 " zxid 0x%" PRIx64 " ",
            (uint64_t)t->hdr.client_id, t->hdr.cxid, (uint64_t)t->hdr.zxid);
    if (item->why) {
        log_text_op(b, t->hdr.type);
        buf_fmt(b, " %zu bytes, %s\n", item->entry.n, item->why);
        return;
    }
    put_part(b, &t->body, data);
    if (t->hdr.type == OP_MULTI) {
        buf_fmt(b, " of %" PRId32, t->parts_n);
    }
    if (data && t->has_digest) {
        buf_fmt(b, " digest %" PRId64, t->digest.digest);
    }
    for (int32_t i = 0; i < t->parts_n; i++) {
        buf_fmt(b, "\n    ");
        put_part(b, &t->parts[i], data);
    }
    buf_fmt(b, "\n");
}

// ---- JSON ---------------------------------------------------------------------------------------

static void json_data(struct buf *b, const struct facts *f, bool data)
{
    if (f->data.p) {
        buf_fmt(b, ",\"bytes\":%zu", f->data.n);
    }
    if (data || !f->data.p) {
        buf_fmt(b, ",");
        offline_json_data(b, f->data);
    }
}

static void json_part(struct buf *b, const struct txn_body *t, bool data)
{
    struct facts f = facts_of(t);
    buf_fmt(b, "\"op\":\"");
    log_text_op(b, t->type);
    buf_fmt(b, "\"");
    if (f.path.p) {
        buf_fmt(b, ",\"path\":");
        offline_json(b, f.path);
    }
    if (f.has_data) {
        json_data(b, &f, data);
    }
    if (f.has_version) {
        buf_fmt(b, ",\"version\":%" PRId32, f.version);
    }
    buf_fmt(b, "%s%s", f.ephemeral ? ",\"ephemeral\":true" : "",
            f.container ? ",\"container\":true" : "");
    if (f.has_ttl) {
        buf_fmt(b, ",\"ttl_ms\":%" PRId64, f.ttl_ms);
    }
    if (f.acl && (data || !f.has_data)) {
        buf_fmt(b, ",\"acl\":");
        offline_json_acl(b, f.acl);
    }
    if (f.has_timeout) {
        buf_fmt(b, ",\"timeout_ms\":%" PRId32, f.timeout_ms);
    }
    if (f.has_error) {
        buf_fmt(b, ",\"error\":\"%s\",\"error_code\":%" PRId32, zkerr_name(f.error), f.error);
    }
    if (f.paths) {
        buf_fmt(b, ",\"paths\":[");
        for (int32_t i = 0; i < f.paths->n; i++) {
            buf_put(b, ",", i ? 1 : 0);
            offline_json(b, f.paths->v[i]);
        }
        buf_fmt(b, "]");
    }
}

void log_text_json(struct buf *b, const struct log_item *item, bool data)
{
    const struct txn *t = &item->txn;
    buf_fmt(b, "{\"zxid\":\"0x%" PRIx64 "\",\"time\":\"", (uint64_t)t->hdr.zxid);
    offline_time(b, t->hdr.time);
    buf_fmt(b, "\",\"time_ms\":%" PRId64 ",\"session\":\"0x%" PRIx64 "\",\"cxid\":%" PRId32,
            t->hdr.time, (uint64_t)t->hdr.client_id, t->hdr.cxid);
    buf_fmt(b, ",\"offset\":%" PRIu64 ",\"length\":%zu,", item->off, item->entry.n);
    if (item->why) {
        buf_fmt(b, "\"type\":%" PRId32 ",\"problem\":\"%s\"}\n", t->hdr.type, item->why);
        return;
    }
    json_part(b, &t->body, data);
    if (t->hdr.type == OP_MULTI) {
        buf_fmt(b, ",\"parts\":[");
        for (int32_t i = 0; i < t->parts_n; i++) {
            buf_fmt(b, i ? ",{" : "{");
            json_part(b, &t->parts[i], data);
            buf_fmt(b, "}");
        }
        buf_fmt(b, "]");
    }
    if (data && t->has_digest) {
        buf_fmt(b, ",\"digest\":\"%" PRId64 "\"", t->digest.digest);
    }
    buf_fmt(b, "}\n");
}
