// SPDX-License-Identifier: Apache-2.0
#include "recipes/discovery_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "recipes/kit.h"

void text_init(struct text *t, const struct reeve *zk)
{
    *t = (struct text){.zk = zk};
}

void text_fini(struct text *t)
{
    kit_free(t->zk, t->p);
    *t = (struct text){.zk = t->zk};
}

static bool reserve(struct text *t, size_t n)
{
    if (t->failed || n > SIZE_MAX / 4 - t->n) {
        t->failed = true;
        return false;
    }
    if (t->n + n + 1 > t->cap) {
        size_t cap = (t->n + n + 1) * 2 < 256 ? 256 : (t->n + n + 1) * 2;
        char *p = reeve_realloc(t->zk, t->p, cap);
        if (!p) {
            t->failed = true;
            return false;
        }
        t->p = p;
        t->cap = cap;
    }
    return true;
}

void text_put(struct text *t, const void *p, size_t n)
{
    if (!reserve(t, n)) {
        return;
    }
    if (n > 0) {
        memcpy(t->p + t->n, p, n);
    }
    t->n += n;
    t->p[t->n] = '\0';
}

void text_str(struct text *t, const char *s)
{
    text_put(t, s, strlen(s));
}

void text_int(struct text *t, int64_t v)
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%" PRId64, v);
    text_put(t, digits, (size_t)n);
}

static void put_escaped(struct text *t, char c)
{
    static const char shorts[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    const char *at = c ? strchr(shorts, c) : NULL;
    // Letters stand in the table, too, at odd places.
    if (at && (at - shorts) % 2 == 0) {
        char pair[2] = {'\\', at[1]};
        text_put(t, pair, 2);
    } else if ((unsigned char)c < 0x20) {
        char code[8];
        int n = snprintf(code, sizeof(code), "\\u%04X", (unsigned)c);
        text_put(t, code, (size_t)n);
    } else {
        text_put(t, &c, 1);
    }
}

void text_json(struct text *t, const char *s)
{
    if (!s) {
        text_str(t, "null");
        return;
    }
    text_str(t, "\"");
    for (; *s; s++) {
        put_escaped(t, *s);
    }
    text_str(t, "\"");
}

char *text_take(struct text *t)
{
    text_put(t, "", 0); // a NUL, if there was nothing
    char *p = t->failed ? NULL : t->p;
    if (t->failed) {
        kit_free(t->zk, t->p);
    }
    *t = (struct text){.zk = t->zk};
    return p;
}
