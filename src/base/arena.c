// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/must.h"

enum { CHUNK_MIN = 16 * 1024 - 64, ALIGN = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t cap;
    _Alignas(ALIGN) uint8_t bytes[];
};

void *arena_alloc(struct arena *a, size_t n)
{
    must(n <= SIZE_MAX / 2);
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!a->head || a->head->cap - a->used < n) {
        size_t cap = n > CHUNK_MIN ? n : CHUNK_MIN;
        struct arena_chunk *c = mem_alloc(sizeof(*c) + cap);
        c->next = a->head;
        c->cap = cap;
        a->head = c;
        a->used = 0;
    }
    void *p = a->head->bytes + a->used;
    a->used += n;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    return memset(arena_alloc(a, n), 0, n);
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    if (!s.p) {
        return s;
    }
    uint8_t *p = arena_alloc(a, s.n + 1);
    memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return slice_of(p, s.n);
}

char *arena_fmt(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    must(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

// Keeps one ordinary chunk; a large one of an unusual request is given back.
void arena_reset(struct arena *a)
{
    struct arena_chunk *keep = NULL;
    while (a->head) {
        struct arena_chunk *c = a->head;
        a->head = c->next;
        if (!keep && c->cap == CHUNK_MIN) {
            keep = c;
        } else {
            mem_free(c);
        }
    }
    if (keep) {
        keep->next = NULL;
    }
    a->head = keep;
    a->used = 0;
}

void arena_fini(struct arena *a)
{
    while (a->head) {
        struct arena_chunk *c = a->head;
        a->head = c->next;
        mem_free(c);
    }
    a->used = 0;
}
