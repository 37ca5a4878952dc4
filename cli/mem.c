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

void *mem_alloc(size_t n)
{
    return have(calloc(1, n ? n : 1));
}

void *mem_grow(void *p, size_t n)
{
    return have(realloc(p, n ? n : 1));
}

char *mem_dup(const char *s)
{
    return s ? mem_dup_n(s, strlen(s)) : NULL;
}

char *mem_dup_n(const char *s, size_t n)
{
    char *to = mem_alloc(n + 1);
    if (n > 0) {
        memcpy(to, s, n);
    }
    return to;
}

// Room for n more bytes and a NUL.
static void reserve(struct text *t, size_t n)
{
    if (t->cap - t->len > n) {
        return;
    }
    size_t cap = t->cap ? t->cap : 64;
    while (cap - t->len <= n) {
        cap *= 2;
    }
    t->s = mem_grow(t->s, cap);
    t->cap = cap;
}

void text_add_n(struct text *t, const void *p, size_t n)
{
    reserve(t, n);
    if (n > 0) {
        memcpy(t->s + t->len, p, n);
    }
    t->len += n;
    t->s[t->len] = '\0';
}

void text_add(struct text *t, const char *s)
{
    text_add_n(t, s, strlen(s));
}

void text_add_char(struct text *t, char c)
{
    text_add_n(t, &c, 1);
}

void text_addv(struct text *t, const char *fmt, va_list ap)
{
    char *s = NULL;
    int n = vasprintf(&s, fmt, ap);
    if (n < 0) {
        have(NULL);
    }
    text_add_n(t, s, (size_t)n);
    free(s);
}

void text_addf(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_addv(t, fmt, ap);
    va_end(ap);
}

void text_cut(struct text *t, size_t len)
{
    if (len < t->len) {
        t->len = len;
        t->s[len] = '\0';
    }
}

const char *text_of(const struct text *t)
{
    return t->s ? t->s : "";
}

void text_fini(struct text *t)
{
    free(t->s);
    *t = (struct text){0};
}
