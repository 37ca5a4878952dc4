// SPDX-License-Identifier: Apache-2.0
//
// Two walks by the same code: with p NULL it counts, then it copies. Arrays come first, strings
// behind them, so that nothing needs padding.
#include "client/result.h"

#include <string.h>

struct copy {
    char *arrays, *strings; // NULL: only counting
    size_t arrays_n, strings_n;
};

static void *take_array(struct copy *k, const void *from, size_t n)
{
    void *to = NULL;
    if (k->arrays && n) {
        to = memcpy(k->arrays + k->arrays_n, from, n);
    }
    k->arrays_n += n;
    return to;
}

// n bytes and a NUL; null stays null.
static const char *take_bytes(struct copy *k, const void *from, size_t n)
{
    char *to = NULL;
    if (!from) {
        return NULL;
    }
    if (k->strings) {
        to = k->strings + k->strings_n;
        memcpy(to, from, n);
        to[n] = 0;
    }
    k->strings_n += n + 1;
    return to;
}

static const char *take_str(struct copy *k, const char *s)
{
    return s ? take_bytes(k, s, strlen(s)) : NULL;
}

// Everything but the parts. `to` is a copy of r when k copies, else scratch.
static void take(struct copy *k, struct reeve_result *to, const struct reeve_result *r)
{
    const char **children = take_array(k, r->children, r->children_n * sizeof(*children));
    for (size_t i = 0; i < r->children_n; i++) {
        const char *s = take_str(k, r->children[i]);
        if (children) {
            children[i] = s;
        }
    }
    struct reeve_acl *acl = take_array(k, r->acl, r->acl_n * sizeof(*acl));
    for (size_t i = 0; i < r->acl_n; i++) {
        const char *scheme = take_str(k, r->acl[i].scheme);
        const char *id = take_str(k, r->acl[i].id);
        if (acl) {
            acl[i].scheme = scheme;
            acl[i].id = id;
        }
    }
    to->children = children;
    to->acl = acl;
    to->path = take_str(k, r->path);
    to->why = take_str(k, r->why);
    to->created = take_str(k, r->created);
    to->data = take_bytes(k, r->data, r->data_len);
}

static void take_all(struct copy *k, struct reeve_result *to, const struct reeve_result *r)
{
    struct reeve_result scratch;
    struct reeve_result *parts = take_array(k, r->parts, r->parts_n * sizeof(*parts));
    for (size_t i = 0; i < r->parts_n; i++) {
        take(k, parts ? &parts[i] : &scratch, &r->parts[i]);
    }
    take(k, to, r);
    to->parts = parts;
}

enum reeve_error result_copy(const struct reeve_allocator *a, struct reeve_result *to,
                             const struct reeve_result *r)
{
    struct reeve_result scratch = *r;
    struct copy count = {0};
    take_all(&count, &scratch, r);
    struct reeve_allocator *own =
        alloc_get(a, NULL, sizeof(*own) + count.arrays_n + count.strings_n);
    if (!own) {
        *to = (struct reeve_result){.error = REEVE_NO_MEMORY, .op = r->op, .path = "", .why = ""};
        return REEVE_NO_MEMORY;
    }
    *own = *a;
    struct copy k = {.arrays = (char *)(own + 1)};
    k.strings = k.arrays + count.arrays_n;
    *to = *r;
    take_all(&k, to, r);
    to->memory = own;
    to->allocator = own;
    return REEVE_OK;
}

void reeve_result_fini(struct reeve_result *r)
{
    if (r->memory) {
        struct reeve_allocator a = *r->allocator;
        alloc_put(&a, r->memory);
    }
    *r = (struct reeve_result){0};
}
