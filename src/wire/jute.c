// SPDX-License-Identifier: Apache-2.0
//
// The walkers: one piece of code for every record. A field's place in the struct follows from the
// kinds before it; field_at() is that rule.
#include "wire/jute.h"

#include <inttypes.h>

enum { FMT_BYTES_MAX = 64 };

static const struct {
    uint8_t size, align;
} kinds[] = {
    [FIELD_b] = {sizeof(bool), _Alignof(bool)},
    [FIELD_i] = {4, 4},
    [FIELD_l] = {8, 8},
    [FIELD_s] = {sizeof(struct slice), _Alignof(struct slice)},
    [FIELD_sv] = {sizeof(struct slice_vec), _Alignof(struct slice_vec)},
    [FIELD_av] = {sizeof(struct acl_vec), _Alignof(struct acl_vec)},
    [FIELD_iv] = {sizeof(struct id_vec), _Alignof(struct id_vec)},
};

// Address of the field behind *off, which moves on to the field's end.
static inline void *field_at(const void *rec, size_t *off, enum field_kind kind)
{
    size_t align = kinds[kind].align;
    size_t at = (*off + align - 1) & ~(align - 1);
    *off = at + kinds[kind].size;
    return (uint8_t *)(uintptr_t)rec + at;
}

int32_t jute_get_count(struct jute_in *in, size_t elem_min)
{
    int32_t n = jute_get_int(in);
    if (n < 0) {
        return n == -1 && !in->err ? -1 : 0;
    }
    if ((size_t)n > jute_left(in) / elem_min) {
        jute_fail(in, ERR_CUT);
        return 0;
    }
    return n;
}

static struct slice_vec get_slices(struct jute_in *in, struct arena *a)
{
    struct slice_vec v = {NULL, jute_get_count(in, 4)};
    if (v.n > 0) {
        v.v = arena_alloc(a, (size_t)v.n * sizeof(*v.v));
    }
    for (int32_t i = 0; i < v.n; i++) {
        v.v[i] = jute_get_bytes(in);
    }
    return v;
}

static struct acl_vec get_acls(struct jute_in *in, struct arena *a)
{
    struct acl_vec v = {NULL, jute_get_count(in, 12)};
    if (v.n > 0) {
        v.v = arena_alloc(a, (size_t)v.n * sizeof(*v.v));
    }
    for (int32_t i = 0; i < v.n; i++) {
        v.v[i].perms = jute_get_int(in);
        v.v[i].id.scheme = jute_get_bytes(in);
        v.v[i].id.id = jute_get_bytes(in);
    }
    return v;
}

static struct id_vec get_ids(struct jute_in *in, struct arena *a)
{
    struct id_vec v = {NULL, jute_get_count(in, 8)};
    if (v.n > 0) {
        v.v = arena_alloc(a, (size_t)v.n * sizeof(*v.v));
    }
    for (int32_t i = 0; i < v.n; i++) {
        v.v[i].scheme = jute_get_bytes(in);
        v.v[i].id = jute_get_bytes(in);
    }
    return v;
}

void jute_get_record(struct jute_in *in, const struct record_type *type, void *rec, struct arena *a)
{
    size_t off = 0;
    for (int i = 0; i < type->fields_n; i++) {
        void *f = field_at(rec, &off, type->fields[i].kind);
        switch (type->fields[i].kind) {
        case FIELD_b:
            *(bool *)f = jute_get_bool(in);
            break;
        case FIELD_i:
            *(int32_t *)f = jute_get_int(in);
            break;
        case FIELD_l:
            *(int64_t *)f = jute_get_long(in);
            break;
        case FIELD_s:
            *(struct slice *)f = jute_get_bytes(in);
            break;
        case FIELD_sv:
            *(struct slice_vec *)f = get_slices(in, a);
            break;
        case FIELD_av:
            *(struct acl_vec *)f = get_acls(in, a);
            break;
        case FIELD_iv:
            *(struct id_vec *)f = get_ids(in, a);
            break;
        }
    }
}

static void put_slices(struct buf *b, const struct slice_vec *v)
{
    buf_put_i32(b, v->n);
    for (int32_t i = 0; i < v->n; i++) {
        jute_put_bytes(b, v->v[i]);
    }
}

static void put_acls(struct buf *b, const struct acl_vec *v)
{
    buf_put_i32(b, v->n);
    for (int32_t i = 0; i < v->n; i++) {
        buf_put_i32(b, v->v[i].perms);
        jute_put_bytes(b, v->v[i].id.scheme);
        jute_put_bytes(b, v->v[i].id.id);
    }
}

static void put_ids(struct buf *b, const struct id_vec *v)
{
    buf_put_i32(b, v->n);
    for (int32_t i = 0; i < v->n; i++) {
        jute_put_bytes(b, v->v[i].scheme);
        jute_put_bytes(b, v->v[i].id);
    }
}

void jute_put_record(struct buf *b, const struct record_type *type, const void *rec)
{
    size_t off = 0;
    for (int i = 0; i < type->fields_n; i++) {
        const void *f = field_at(rec, &off, type->fields[i].kind);
        switch (type->fields[i].kind) {
        case FIELD_b:
            jute_put_bool(b, *(const bool *)f);
            break;
        case FIELD_i:
            buf_put_i32(b, *(const int32_t *)f);
            break;
        case FIELD_l:
            buf_put_i64(b, *(const int64_t *)f);
            break;
        case FIELD_s:
            jute_put_bytes(b, *(const struct slice *)f);
            break;
        case FIELD_sv:
            put_slices(b, f);
            break;
        case FIELD_av:
            put_acls(b, f);
            break;
        case FIELD_iv:
            put_ids(b, f);
            break;
        }
    }
}

static size_t size_vector(enum field_kind kind, const void *f)
{
    size_t n = 4;
    for (int32_t i = 0; i < ((const struct slice_vec *)f)->n; i++) {
        if (kind == FIELD_sv) {
            n += 4 + ((const struct slice_vec *)f)->v[i].n;
            continue;
        }
        const struct acl *acl = kind == FIELD_av ? &((const struct acl_vec *)f)->v[i] : NULL;
        const struct zk_id *id = acl ? &acl->id : &((const struct id_vec *)f)->v[i];
        n += (acl ? 12 : 8) + id->scheme.n + id->id.n;
    }
    return n;
}

size_t jute_size_record(const struct record_type *type, const void *rec)
{
    size_t off = 0;
    size_t n = 0;
    for (int i = 0; i < type->fields_n; i++) {
        const void *f = field_at(rec, &off, type->fields[i].kind);
        switch (type->fields[i].kind) {
        case FIELD_b:
            n += 1;
            break;
        case FIELD_i:
            n += 4;
            break;
        case FIELD_l:
            n += 8;
            break;
        case FIELD_s:
            n += 4 + ((const struct slice *)f)->n;
            break;
        default:
            n += size_vector(type->fields[i].kind, f);
        }
    }
    return n;
}

static void fmt_bytes(struct buf *b, struct slice s)
{
    if (!s.p) {
        buf_fmt(b, "null");
        return;
    }
    size_t n = s.n < FMT_BYTES_MAX ? s.n : FMT_BYTES_MAX;
    buf_fmt(b, "\"");
    for (size_t i = 0; i < n; i++) {
        uint8_t c = s.p[i];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
            buf_fmt(b, "\\x%02x", c);
        } else {
            buf_put_u8(b, c);
        }
    }
    buf_fmt(b, n < s.n ? "\"...(%zu)" : "\"", s.n);
}

static void fmt_vector(struct buf *b, enum field_kind kind, const void *f)
{
    int32_t n = ((const struct slice_vec *)f)->n;
    if (n == -1) {
        buf_fmt(b, "null");
        return;
    }
    buf_fmt(b, "[");
    for (int32_t i = 0; i < n; i++) {
        buf_fmt(b, i ? " " : "");
        if (kind == FIELD_sv) {
            fmt_bytes(b, ((const struct slice_vec *)f)->v[i]);
            continue;
        }
        const struct acl *acl = kind == FIELD_av ? &((const struct acl_vec *)f)->v[i] : NULL;
        const struct zk_id *id = acl ? &acl->id : &((const struct id_vec *)f)->v[i];
        fmt_bytes(b, id->scheme);
        buf_fmt(b, ":");
        fmt_bytes(b, id->id);
        if (acl) {
            buf_fmt(b, ":%" PRId32, acl->perms);
        }
    }
    buf_fmt(b, "]");
}

void jute_fmt_record(struct buf *b, const struct record_type *type, const void *rec)
{
    size_t off = 0;
    buf_fmt(b, "%s{", type->name);
    for (int i = 0; i < type->fields_n; i++) {
        const void *f = field_at(rec, &off, type->fields[i].kind);
        buf_fmt(b, "%s%s=", i ? " " : "", type->fields[i].name);
        switch (type->fields[i].kind) {
        case FIELD_b:
            buf_fmt(b, "%s", *(const bool *)f ? "true" : "false");
            break;
        case FIELD_i:
            buf_fmt(b, "%" PRId32, *(const int32_t *)f);
            break;
        case FIELD_l:
            buf_fmt(b, "0x%" PRIx64, (uint64_t) * (const int64_t *)f);
            break;
        case FIELD_s:
            fmt_bytes(b, *(const struct slice *)f);
            break;
        default:
            fmt_vector(b, type->fields[i].kind, f);
        }
    }
    buf_fmt(b, "}");
}
