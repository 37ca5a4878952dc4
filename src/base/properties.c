// SPDX-License-Identifier: Apache-2.0
#include "base/properties.h"

#include "limits.h"

void properties_init(struct properties *p, struct slice text)
{
    *p = (struct properties){.rest = text, .next_line = 1};
}

void properties_fini(struct properties *p)
{
    buf_fini(&p->key);
    buf_fini(&p->value);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static struct slice skip_blanks(struct slice s)
{
    while (s.n && is_blank(s.p[0])) {
        s = slice_skip(s, 1);
    }
    return s;
}

// Takes one natural line, without its end.
static struct slice take_line(struct properties *p)
{
    size_t n = 0;
    while (n < p->rest.n && p->rest.p[n] != '\n' && p->rest.p[n] != '\r') {
        n++;
    }
    struct slice line = slice_head(p->rest, n);
    p->rest = slice_skip(p->rest, n);
    if (p->rest.n >= 2 && p->rest.p[0] == '\r' && p->rest.p[1] == '\n') {
        p->rest = slice_skip(p->rest, 2);
    } else if (p->rest.n) {
        p->rest = slice_skip(p->rest, 1);
    }
    p->next_line++;
    return line;
}

static bool continues(struct slice line)
{
    size_t n = 0;
    while (n < line.n && line.p[line.n - 1 - n] == '\\') {
        n++;
    }
    return n % 2 == 1;
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static void put_utf8(struct buf *b, unsigned c)
{
    if (c < 0x80) {
        buf_put_u8(b, (uint8_t)c);
    } else if (c < 0x800) {
        buf_put_u8(b, (uint8_t)(0xc0 | c >> 6));
        buf_put_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        buf_put_u8(b, (uint8_t)(0xe0 | c >> 12));
        buf_put_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_put_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

// s begins behind a backslash. Puts what is meant, returns how many bytes it took.
static size_t unescape(struct slice s, struct buf *b)
{
    static const char from[] = "tnrf", to[] = "\t\n\r\f";
    if (s.n >= 5 && s.p[0] == 'u') {
        unsigned c = 0;
        int ok = 0;
        for (size_t i = 1; i <= 4; i++) {
            int d = hex_digit(s.p[i]);
            ok |= d;
            c = c << 4 | (unsigned)(d & 15);
        }
        if (ok >= 0) {
            put_utf8(b, c);
            return 5;
        }
    }
    const char *known = s.p[0] ? strchr(from, s.p[0]) : NULL;
    buf_put_u8(b, known ? (uint8_t)to[known - from] : s.p[0]);
    return 1;
}

// Puts characters of s up to an unescaped one that ends a key, or all of them for a value.
static struct slice take_part(struct slice s, bool key, struct buf *b)
{
    while (s.n) {
        uint8_t c = s.p[0];
        if (key && (c == '=' || c == ':' || is_blank(c))) {
            break;
        }
        s = slice_skip(s, 1);
        if (c == '\\' && s.n) {
            s = slice_skip(s, unescape(s, b));
        } else if (c != '\\') {
            buf_put_u8(b, c);
        }
    }
    return s;
}

static bool split(struct properties *p, struct slice line)
{
    buf_clear(&p->key);
    buf_clear(&p->value);
    line = skip_blanks(take_part(line, true, &p->key));
    if (line.n && (line.p[0] == '=' || line.p[0] == ':')) {
        line = skip_blanks(slice_skip(line, 1));
    }
    take_part(line, false, &p->value);
    while (p->value.n && is_blank(p->value.p[p->value.n - 1])) {
        p->value.n--;
    }
    return true;
}

bool properties_next(struct properties *p, enum err *err)
{
    *err = ERR_OK;
    struct buf whole = {0};
    bool found = false;
    while (p->rest.n && !found && *err == ERR_OK) {
        p->line = p->next_line;
        const uint8_t *start = p->rest.p;
        struct slice line = skip_blanks(take_line(p));
        if (line.n == 0 || line.p[0] == '#' || line.p[0] == '!') {
            continue;
        }
        buf_clear(&whole);
        while (continues(line) && whole.n <= LIMIT_CONFIG_LINE) {
            buf_put(&whole, line.p, line.n - 1);
            line = skip_blanks(take_line(p));
        }
        buf_put_slice(&whole, line);
        if (whole.n > LIMIT_CONFIG_LINE) {
            *err = ERR_LIMIT;
        } else {
            p->raw = slice_of(start, (size_t)(p->rest.p - start));
            found = split(p, buf_slice(&whole));
        }
    }
    buf_fini(&whole);
    return found;
}
