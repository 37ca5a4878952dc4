// SPDX-License-Identifier: Apache-2.0
#include "cli/offline_text.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <time.h>

void offline_time(struct buf *b, int64_t wall_ms)
{
    time_t s = (time_t)(wall_ms / 1000);
    int ms = (int)(wall_ms % 1000);
    if (ms < 0) {
        ms += 1000;
        s--;
    }
    struct tm tm;
    char text[64];
    if (!gmtime_r(&s, &tm) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        buf_fmt(b, "%" PRId64 "ms", wall_ms); // a year that is none
        return;
    }
    buf_fmt(b, "%s.%03dZ", text, ms);
}

void offline_size(struct buf *b, uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    if (bytes < 1024) {
        buf_fmt(b, "%" PRIu64, bytes);
        return;
    }
    double v = (double)bytes / 1024;
    size_t unit = 0;
    while (v >= 1023.95 && units[unit + 1]) {
        v /= 1024;
        unit++;
    }
    buf_fmt(b, "%.1f%c", v, units[unit]);
}

void offline_base64(struct buf *b, struct slice s)
{
    while (s.n) {
        size_t n = s.n < 3 * 1024 ? s.n : 3 * 1024;
        size_t out = (n + 2) / 3 * 4;
        uint8_t *p = buf_reserve(b, out + 1); // and the NUL that is written
        EVP_EncodeBlock(p, s.p, (int)n);
        b->n--;
        s = slice_skip(s, n);
    }
}

// Length of the UTF-8 character at the front, 0 if there is none. Surrogates and overlong forms are
// none.
static size_t utf8_len(struct slice s)
{
    uint8_t c = s.p[0];
    if (c < 0x80) {
        return 1;
    }
    size_t n = c >= 0xf0 && c <= 0xf4  ? 4
               : c >= 0xe0 && c < 0xf0 ? 3
               : c >= 0xc2 && c < 0xe0 ? 2
                                       : 0;
    if (n == 0 || s.n < n) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((s.p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    uint8_t d = s.p[1];
    bool bad = (c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) ||
               (c == 0xf4 && d > 0x8f);
    return bad ? 0 : n;
}

static bool is_utf8(struct slice s)
{
    while (s.n) {
        size_t n = utf8_len(s);
        if (n == 0) {
            return false;
        }
        s = slice_skip(s, n);
    }
    return true;
}

void offline_escaped(struct buf *b, struct slice s)
{
    while (s.n) {
        size_t n = utf8_len(s);
        uint8_t c = s.p[0];
        if (c == '\n' || c == '\t' || c == '\r' || c == '\\') {
            buf_fmt(b, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : '\\');
            n = 1;
        } else if (n == 0 || c < 0x20 || c == 0x7f || (c == 0xc2 && s.p[1] < 0xa0)) {
            buf_fmt(b, "\\x%02x", c);
            n = 1;
        } else {
            buf_put(b, s.p, n);
        }
        s = slice_skip(s, n);
    }
}

static void put_json(struct buf *b, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == '"' || c == '\\') {
            buf_put_u8(b, '\\');
            buf_put_u8(b, c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_fmt(b, "\\u%04x", c);
        } else {
            buf_put_u8(b, c);
        }
    }
}

void offline_json(struct buf *b, struct slice s)
{
    struct buf escaped = {0};
    if (!is_utf8(s)) {
        offline_escaped(&escaped, s);
        s = buf_slice(&escaped);
    }
    buf_put_u8(b, '"');
    put_json(b, s);
    buf_put_u8(b, '"');
    buf_fini(&escaped);
}

void offline_json_data(struct buf *b, struct slice s)
{
    if (!s.p) {
        buf_fmt(b, "\"data\":null,\"encoding\":\"null\"");
        return;
    }
    bool text = is_utf8(s);
    buf_fmt(b, "\"data\":\"");
    if (text) {
        put_json(b, s);
    } else {
        offline_base64(b, s);
    }
    buf_fmt(b, "\",\"encoding\":\"%s\"", text ? "utf-8" : "base64");
}

static void put_perms(struct buf *b, int32_t perms)
{
    static const struct {
        int32_t bit;
        char letter;
    } letters[] = {{PERM_CREATE, 'c'},
                   {PERM_DELETE, 'd'},
                   {PERM_READ, 'r'},
                   {PERM_WRITE, 'w'},
                   {PERM_ADMIN, 'a'}};
    for (size_t i = 0; i < sizeof(letters) / sizeof(*letters); i++) {
        if (perms & letters[i].bit) {
            buf_put_u8(b, (uint8_t)letters[i].letter);
        }
    }
}

static void put_entry(struct buf *b, const struct acl *a)
{
    buf_put_slice(b, a->id.scheme);
    buf_put_u8(b, ':');
    buf_put_slice(b, a->id.id);
    buf_put_u8(b, ':');
    put_perms(b, a->perms);
}

void offline_acl(struct buf *b, const struct acl_vec *v)
{
    struct buf one = {0};
    for (int32_t i = 0; i < v->n; i++) {
        buf_clear(&one);
        put_entry(&one, &v->v[i]);
        buf_put(b, ",", i ? 1 : 0);
        offline_escaped(b, buf_slice(&one));
    }
    buf_fini(&one);
}

void offline_json_acl(struct buf *b, const struct acl_vec *v)
{
    buf_put_u8(b, '[');
    for (int32_t i = 0; i < v->n; i++) {
        buf_fmt(b, "%s{\"scheme\":", i ? "," : "");
        offline_json(b, v->v[i].id.scheme);
        buf_fmt(b, ",\"id\":");
        offline_json(b, v->v[i].id.id);
        buf_fmt(b, ",\"perms\":\"");
        put_perms(b, v->v[i].perms);
        buf_fmt(b, "\"}");
    }
    buf_put_u8(b, ']');
}
