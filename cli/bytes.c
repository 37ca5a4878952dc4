// SPDX-License-Identifier: Apache-2.0
#include "cli/bytes.h"

#include <stdint.h>
#include <string.h>

// How many bytes the character at p takes, 0: it is none.
static size_t utf8_len(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80) {
        return 1;
    }
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n < len) {
        return 0;
    }
    uint32_t c = p[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

bool bytes_are_utf8(const void *p, size_t n)
{
    const unsigned char *at = p, *end = at + n;
    while (at < end) {
        size_t len = utf8_len(at, (size_t)(end - at));
        if (len == 0) {
            return false;
        }
        at += len;
    }
    return true;
}

static bool is_control(unsigned char c)
{
    return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
}

// What terminals obey beyond that: U+0080 to U+009F; and what makes text look like other text, the
// marks that turn its direction, and the separators of lines: U+2028 to U+202E, U+2066 to U+2069.
static bool is_obeyed(const unsigned char *p, size_t n)
{
    return (n >= 2 && p[0] == 0xc2 && p[1] < 0xa0) ||
           (n >= 3 && p[0] == 0xe2 &&
            ((p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) ||
             (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)));
}

bool bytes_have_control(const void *p, size_t n)
{
    const unsigned char *at = p;
    for (size_t i = 0; i < n; i++) {
        if (is_control(at[i]) || is_obeyed(at + i, n - i)) {
            return true;
        }
    }
    return false;
}

void bytes_escape(struct string *t, const void *p, size_t n)
{
    const unsigned char *at = p, *end = at + n;
    string_add_n(t, "", 0);
    while (at < end) {
        size_t len = utf8_len(at, (size_t)(end - at));
        if (len == 0 || is_control(*at) || is_obeyed(at, len)) {
            len = len ? len : 1;
            for (size_t i = 0; i < len; i++) {
                string_addf(t, "\\x%02x", at[i]);
            }
        } else if (*at == '\\') {
            string_add(t, "\\\\");
        } else {
            string_add_n(t, at, len);
        }
        at += len;
    }
}

void bytes_escape_json(struct string *t, const char *json)
{
    const unsigned char *at = (const unsigned char *)json, *end = at + strlen(json);
    string_add_n(t, "", 0);
    while (at < end) {
        size_t len = utf8_len(at, (size_t)(end - at));
        len = len ? len : 1;
        if (*at == 0x7f) {
            string_add(t, "\\u007f");
        } else if (is_obeyed(at, len)) {
            unsigned c = len == 2 ? at[1] : (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu) | 0x2000u;
            string_addf(t, "\\u%04x", c);
        } else {
            string_add_n(t, at, len);
        }
        at += len;
    }
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void bytes_base64(struct string *t, const void *p, size_t n)
{
    const unsigned char *at = p;
    string_add_n(t, "", 0);
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)at[i] << 16;
        v |= left > 1 ? (uint32_t)at[i + 1] << 8 : 0;
        v |= left > 2 ? at[i + 2] : 0;
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=',
                        left > 2 ? digits[v & 63] : '='};
        string_add_n(t, four, 4);
    }
}

bool bytes_from_base64(struct string *t, const char *s)
{
    size_t before = t->len, n = strlen(s), i = 0;
    uint32_t v = 0;
    while (n > 0 && s[n - 1] == '=' && (n % 4 == 0 || n % 4 == 3)) {
        n--; // at most two, and only where they complete a group
    }
    bool padded = s[n] != '\0';
    string_add_n(t, "", 0);
    for (; i < n; i++) {
        const char *d = memchr(digits, s[i], 64);
        if (d == NULL) {
            break;
        }
        v = v << 6 | (uint32_t)(d - digits);
        if (i % 4 > 0) {
            string_add_char(t, (char)(v >> (6 - i % 4 * 2) & 0xff));
        }
    }
    if (i < n || n % 4 == 1 || (padded && strlen(s) % 4 != 0)) {
        string_cut(t, before);
        return false;
    }
    return true;
}

void bytes_hex(struct string *t, const void *p, size_t n)
{
    const unsigned char *at = p;
    string_add_n(t, "", 0);
    for (size_t i = 0; i < n; i++) {
        string_addf(t, "%02x", at[i]);
    }
}

void bytes_hexdump(struct string *t, const void *p, size_t n)
{
    static const char line[] = "+-------------------------------------------------+";
    const unsigned char *at = p;
    string_add_n(t, "", 0);
    if (n == 0) {
        return;
    }
    string_addf(t, "         %s\n         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |\n",
                line);
    string_addf(t, "+--------%s----------------+", line);
    for (size_t row = 0; row < n; row += 16) {
        string_addf(t, "\n|%08zx|", row);
        for (size_t i = row; i < row + 16; i++) {
            if (i < n) {
                string_addf(t, " %02x", at[i]);
            } else {
                string_add(t, "   ");
            }
        }
        string_add(t, " |");
        for (size_t i = row; i < row + 16; i++) {
            string_add_char(t, i >= n ? ' ' : at[i] < 0x20 || at[i] > 0x7e ? '.' : (char)at[i]);
        }
        string_add_char(t, '|');
    }
    string_addf(t, "\n+--------%s----------------+", line);
}
