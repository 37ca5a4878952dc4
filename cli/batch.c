// SPDX-License-Identifier: Apache-2.0
#include "cli/batch.h"

#include <stdlib.h>
#include <string.h>

static size_t bytes_of(const struct reeve_request *q)
{
    size_t n = 64 + strlen(q->path) + q->data_len;
    for (size_t i = 0; i < q->acl_n; i++) {
        n += 12 + strlen(q->acl[i].scheme) + strlen(q->acl[i].id);
    }
    return n;
}

static struct reeve_acl *copy_acl(const struct reeve_acl *acl, size_t n)
{
    struct reeve_acl *copy = cli_alloc(n * sizeof(*copy));
    for (size_t i = 0; i < n; i++) {
        copy[i] = (struct reeve_acl){acl[i].perms, cli_dup(acl[i].scheme), cli_dup(acl[i].id)};
    }
    return copy;
}

void batch_add(struct batch *b, const struct reeve_request *part)
{
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 64;
        b->part = cli_grow(b->part, b->cap * sizeof(*b->part));
    }
    struct reeve_request *q = &b->part[b->n++];
    *q = *part;
    q->path = cli_dup(part->path);
    q->data = part->data ? cli_dup_n(part->data, part->data_len) : NULL;
    q->acl = part->acl ? copy_acl(part->acl, part->acl_n) : NULL;
    b->bytes += bytes_of(part);
}

bool batch_has_room(const struct batch *b, const struct reeve_request *part)
{
    size_t parts_max = b->parts_max ? b->parts_max : BATCH_PARTS_MAX;
    return b->n == 0 || (b->n < parts_max && b->bytes + bytes_of(part) <= BATCH_BYTES_MAX);
}

void batch_clear(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct reeve_request *q = &b->part[i];
        for (size_t k = 0; k < q->acl_n && q->acl; k++) {
            free((char *)q->acl[k].scheme);
            free((char *)q->acl[k].id);
        }
        free((char *)q->path);
        free((void *)q->data);
        free((struct reeve_acl *)q->acl);
    }
    b->n = b->bytes = 0;
}

void batch_fini(struct batch *b)
{
    batch_clear(b);
    free(b->part);
    *b = (struct batch){0};
}

enum reeve_error batch_commit(struct cli *c, const struct batch *b, struct reeve_result *r)
{
    *r = (struct reeve_result){.op = REEVE_OP_MULTI, .path = "", .why = ""};
    if (b->n == 0) {
        return REEVE_OK;
    }
    struct reeve_request q = {.op = REEVE_OP_MULTI, .parts = b->part, .parts_n = b->n};
    return cli_call(c, &q, r);
}

const struct reeve_result *batch_cause(const struct reeve_result *r)
{
    for (size_t i = 0; i < r->parts_n; i++) {
        enum reeve_error e = r->parts[i].error;
        if (e != REEVE_OK && e != REEVE_RUNTIME_INCONSISTENCY) {
            return &r->parts[i];
        }
    }
    return r;
}
