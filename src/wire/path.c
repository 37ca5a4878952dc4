// SPDX-License-Identifier: Apache-2.0
//
// Apache validates UTF-16 code units after decoding; the same rule here on UTF-8 bytes. Invalid
// sequences decode to U+FFFD there, which is a refused character, so they are refused here.
#include "wire/path.h"

#include <stdint.h>

// Decodes one multi-byte character at s; 0 if it is not well-formed or outside the BMP.
static uint32_t decode(struct slice s, size_t *len)
{
    uint8_t c = s.p[0];
    if (c >= 0xc2 && c <= 0xdf && s.n >= 2 && (s.p[1] & 0xc0) == 0x80) {
        *len = 2;
        return (uint32_t)(c & 0x1f) << 6 | (s.p[1] & 0x3f);
    }
    if ((c & 0xf0) == 0xe0 && s.n >= 3 && (s.p[1] & 0xc0) == 0x80 && (s.p[2] & 0xc0) == 0x80) {
        uint32_t u = (uint32_t)(c & 0x0f) << 12 | (uint32_t)(s.p[1] & 0x3f) << 6 | (s.p[2] & 0x3f);
        *len = 3;
        return u >= 0x800 ? u : 0;
    }
    return 0;
}

static bool char_is_refused(uint32_t u)
{
    return u < 0x20 || (u >= 0x7f && u <= 0x9f) || (u >= 0xd800 && u <= 0xf8ff) ||
           (u >= 0xfff0 && u <= 0xffff);
}

static bool component_is_dots(struct slice c)
{
    return (c.n == 1 && c.p[0] == '.') || (c.n == 2 && c.p[0] == '.' && c.p[1] == '.');
}

bool path_is_valid(struct slice path)
{
    if (path.n == 0 || path.p[0] != '/') {
        return false;
    }
    size_t start = 1; // of the component in progress
    for (size_t i = 1; i < path.n;) {
        uint8_t c = path.p[i];
        if (c > '/' && c < 0x7f) { // most bytes of most paths
            i++;
            continue;
        }
        uint32_t u = c;
        size_t len = 1;
        if (c >= 0x80) {
            u = decode(slice_skip(path, i), &len);
        }
        if (char_is_refused(u)) {
            return false;
        }
        if (u == '/') {
            if (i == start || component_is_dots(slice_of(path.p + start, i - start))) {
                return false;
            }
            start = i + 1;
        }
        i += len;
    }
    return path.n == 1 ||
           (start < path.n && !component_is_dots(slice_of(path.p + start, path.n - start)));
}

bool path_is_under(struct slice path, struct slice top)
{
    if (top.n == 0 || (top.n == 1 && top.p[0] == '/')) {
        return true;
    }
    return slice_has_prefix(path, top) && (path.n == top.n || path.p[top.n] == '/');
}
