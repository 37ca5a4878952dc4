// SPDX-License-Identifier: Apache-2.0
//
// struct reeve_multi: a growing list of parts. Whether it is one of writes or of reads is said by
// its first part; that they do not mix is checked where every request is (call.c).
#include <string.h>

#include "reeve/reeve.h"

struct reeve_multi {
    struct reeve *zk;
    struct reeve_request *parts;
    size_t n, cap;
    enum reeve_error error; // of building
};

struct reeve_multi *reeve_multi_new(struct reeve *zk)
{
    struct reeve_multi *m = reeve_realloc(zk, NULL, sizeof(*m));
    if (m) {
        *m = (struct reeve_multi){.zk = zk};
    }
    return m;
}

static bool grow(struct reeve_multi *m)
{
    size_t cap = m->cap ? 2 * m->cap : 8;
    void *p = reeve_realloc(m->zk, m->parts, cap * sizeof(*m->parts));
    if (!p) {
        m->error = REEVE_NO_MEMORY;
        return false;
    }
    m->parts = p;
    m->cap = cap;
    return true;
}

void reeve_multi_add(struct reeve_multi *m, const struct reeve_request *part)
{
    if (!m || m->error || (m->n == m->cap && !grow(m))) {
        return;
    }
    if (!part) {
        m->error = REEVE_BAD_ARGUMENTS;
        return;
    }
    m->parts[m->n++] = *part;
}

static struct reeve_request request_of(const struct reeve_multi *m)
{
    bool reads = m->n && (m->parts[0].op == REEVE_OP_GET || m->parts[0].op == REEVE_OP_CHILDREN);
    return (struct reeve_request){
        .op = reads ? REEVE_OP_MULTI_READ : REEVE_OP_MULTI, .parts = m->parts, .parts_n = m->n};
}

enum reeve_error reeve_multi_commit(struct reeve_multi *m, struct reeve_result *r)
{
    enum reeve_error e = m ? m->error : REEVE_NO_MEMORY;
    if (!e) {
        struct reeve_request q = request_of(m);
        return reeve_call(m->zk, &q, r);
    }
    if (r) {
        *r = (struct reeve_result){.error = e, .op = REEVE_OP_MULTI, .path = "", .why = ""};
    }
    return e;
}

enum reeve_error reeve_multi_commit_async(struct reeve_multi *m, reeve_done_fn *done, void *ctx)
{
    enum reeve_error e = m ? m->error : REEVE_NO_MEMORY;
    if (e) {
        return e;
    }
    struct reeve_request q = request_of(m);
    return reeve_submit(m->zk, &q, done, ctx);
}

void reeve_multi_free(struct reeve_multi **m)
{
    if (*m) {
        struct reeve *zk = (*m)->zk;
        if ((*m)->parts) {
            reeve_realloc(zk, (*m)->parts, 0);
        }
        reeve_realloc(zk, *m, 0);
        *m = NULL;
    }
}
