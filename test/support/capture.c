// SPDX-License-Identifier: Apache-2.0
#include "capture.h"

#include <string.h>

#include "base/must.h"

void capture_open(struct capture *c, const char *path)
{
    *c = (struct capture){.file = fopen(path, "r")};
    must(c->file);
}

void capture_close(struct capture *c)
{
    fclose(c->file);
    buf_fini(&c->bytes);
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Takes groups of hex digits, separated by one blank.
static void take_hex(const char *s, struct buf *b)
{
    while (hex_value(s[0]) >= 0 && hex_value(s[1]) >= 0) {
        buf_put_u8(b, (uint8_t)(hex_value(s[0]) << 4 | hex_value(s[1])));
        s += 2;
        s += *s == ' ' && hex_value(s[1]) >= 0;
    }
}

static void take_head(struct capture *c)
{
    memcpy(c->head, c->line, sizeof(c->head));
    const char *at = strstr(c->head, "connection ");
    c->connection = 0;
    for (at = at ? at + strlen("connection ") : ""; *at >= '0' && *at <= '9'; at++) {
        c->connection = c->connection * 10 + (*at - '0');
    }
    c->by_dialer = strstr(c->head, "-->") != NULL;
}

// A message is lines "    0010  0000000f   what it is" and "          | 73657276 ..." up to one
// that is neither.
bool capture_next(struct capture *c)
{
    buf_clear(&c->bytes);
    while (fgets(c->line, sizeof(c->line), c->file)) {
        if (strncmp(c->line, "t=", 2) == 0 || strncmp(c->line, "learner ", 8) == 0) {
            take_head(c);
        } else if (strncmp(c->line, "    ", 4) == 0 && hex_value(c->line[4]) >= 0) {
            take_hex(c->line + 10, &c->bytes);
        } else if (strncmp(c->line, "          | ", 12) == 0) {
            take_hex(c->line + 12, &c->bytes);
        } else if (c->bytes.n) {
            return true;
        }
    }
    return c->bytes.n > 0;
}
