// SPDX-License-Identifier: Apache-2.0
#include "disk/window.h"

#include "base/mem.h"

enum err window_open(struct window *w, struct env *env, const char *path)
{
    *w = (struct window){.env = env, .fd = -1};
    enum err e = env->ops->file_open(env, path, ENV_OPEN_READ, &w->fd);
    if (e) {
        w->fd = -1;
        return e;
    }
    e = env->ops->file_size(env, w->fd, &w->size);
    if (e) {
        window_close(w);
        return e;
    }
    w->cap = w->size < WINDOW_BYTES ? (size_t)w->size + 1 : WINDOW_BYTES;
    w->p = mem_alloc(w->cap);
    return ERR_OK;
}

void window_close(struct window *w)
{
    if (w->env && w->fd >= 0) {
        w->env->ops->file_close(w->env, w->fd);
    }
    mem_free(w->p);
    *w = (struct window){.fd = -1};
}

enum err window_more(struct window *w, bool *end)
{
    size_t keep = w->n - w->from;
    if (w->from) {
        memmove(w->p, w->p + w->from, keep);
        w->from = 0;
        w->n = keep;
    }
    if (w->n == w->cap) {
        w->cap *= 2;
        w->p = mem_realloc(w->p, w->cap);
    }
    size_t got = 0;
    enum err e =
        w->env->ops->file_read(w->env, w->fd, w->at + keep, w->p + keep, w->cap - keep, &got);
    if (e) {
        return e;
    }
    w->n += got;
    *end = got == 0;
    return ERR_OK;
}
