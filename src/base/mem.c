// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

static _Noreturn void die(size_t n)
{
    fprintf(stderr, "out of memory (%zu bytes asked); stopping, the log has every answered write\n",
            n);
    exit(70);
}

void *mem_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p) {
        die(n);
    }
    return p;
}

void *mem_zalloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p) {
        die(n);
    }
    return p;
}

void *mem_realloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (!q) {
        die(n);
    }
    return q;
}

char *mem_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(mem_alloc(n), s, n);
}

void mem_free(void *p)
{
    free(p);
}

void mem_grow(void **v, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap) {
        return;
    }
    size_t n = *cap ? *cap : 8;
    while (n < need) {
        must(n <= SIZE_MAX / 2 / size);
        n *= 2;
    }
    *v = mem_realloc(*v, n * size);
    *cap = n;
}
