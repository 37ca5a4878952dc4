// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // vasprintf
#include "cli/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *have(void *p)
{
    if (p == NULL) {
        fputs("reeve: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

void *cli_alloc(size_t n)
{
    return have(calloc(1, n ? n : 1));
}

void *cli_grow(void *p, size_t n)
{
    return have(realloc(p, n ? n : 1));
}

char *cli_dup(const char *s)
{
    return s ? cli_dup_n(s, strlen(s)) : NULL;
}

char *cli_dup_n(const char *s, size_t n)
{
    char *to = cli_alloc(n + 1);
    if (n > 0) {
        memcpy(to, s, n);
    }
    return to;
}

// Room for n more bytes and a NUL.
static void reserve(struct string *t, size_t n)
{
    if (t->cap - t->len > n) {
        return;
    }
    size_t cap = t->cap ? t->cap : 64;
    while (cap - t->len <= n) {
        cap *= 2;
    }
    t->s = cli_grow(t->s, cap);
    t->cap = cap;
}

void string_add_n(struct string *t, const void *p, size_t n)
{
    reserve(t, n);
    if (n > 0) {
        memcpy(t->s + t->len, p, n);
    }
    t->len += n;
    t->s[t->len] = '\0';
}

void string_add(struct string *t, const char *s)
{
    string_add_n(t, s, strlen(s));
}

void string_add_char(struct string *t, char c)
{
    string_add_n(t, &c, 1);
}

void string_addv(struct string *t, const char *fmt, va_list ap)
{
    char *s = NULL;
    int n = vasprintf(&s, fmt, ap);
    if (n < 0) {
        have(NULL);
    }
    string_add_n(t, s, (size_t)n);
    free(s);
}

void string_addf(struct string *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    string_addv(t, fmt, ap);
    va_end(ap);
}

void string_cut(struct string *t, size_t len)
{
    if (len < t->len) {
        t->len = len;
        t->s[len] = '\0';
    }
}

const char *string_of(const struct string *t)
{
    return t->s ? t->s : "";
}

void string_fini(struct string *t)
{
    free(t->s);
    *t = (struct string){0};
}
