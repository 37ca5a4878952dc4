// SPDX-License-Identifier: Apache-2.0
//
// Who wants to hear of the session's states, and the copy of the session that any thread may ask
// for: it is the state told last, so a listener and reeve_get_session() never disagree.
//
// The list is under the lock. Another thread may say that one is gone while it is walked through;
// memory is freed at the end of a walk, and there is one walk at a time.
#include <stdio.h>

#include "client/client_internal.h"

enum reeve_error reeve_listen(struct reeve *zk, reeve_session_fn *fn, void *ctx)
{
    if (!fn) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct listener *l = alloc_zero(&zk->allocator, sizeof(*l));
    if (!l) {
        return REEVE_NO_MEMORY;
    }
    l->fn = fn;
    l->ctx = ctx;
    l->fresh = true;
    pthread_mutex_lock(&zk->lock);
    bool refused = zk->closed;
    bool first = false;
    if (!refused) {
        struct listener **to = &zk->listeners;
        while (*to) {
            to = &(*to)->next;
        }
        *to = l;
        zk->listeners_changed = true;
        first = client_mark_input(zk);
    }
    client_unlock(zk, first);
    if (refused) {
        alloc_put(&zk->allocator, l);
    }
    return refused ? REEVE_CLOSED : REEVE_OK;
}

void reeve_unlisten(struct reeve *zk, reeve_session_fn *fn, void *ctx)
{
    pthread_mutex_lock(&zk->lock);
    for (struct listener *l = zk->listeners; l; l = l->next) {
        l->gone |= l->fn == fn && l->ctx == ctx;
    }
    zk->listeners_changed = true;
    pthread_mutex_unlock(&zk->lock);
}

void reeve_get_session(struct reeve *zk, struct reeve_session *s)
{
    pthread_mutex_lock(&zk->lock);
    *s = zk->told[zk->told_at].session;
    pthread_mutex_unlock(&zk->lock);
    s->zxid = atomic_load_explicit(&zk->zxid, memory_order_relaxed);
}

// ---- on the loop's thread -----------------------------------------------------------------------

void client_told_set(struct reeve *zk, const struct reeve_session *s)
{
    pthread_mutex_lock(&zk->lock);
    zk->told_at = 1 - zk->told_at;
    struct told *t = &zk->told[zk->told_at];
    t->session = *s;
    snprintf(t->server, sizeof(t->server), "%s", s->server);
    snprintf(t->why, sizeof(t->why), "%s", s->why);
    t->session.server = t->server;
    t->session.why = t->why;
    pthread_mutex_unlock(&zk->lock);
}

// The next behind `at` (NULL: the first) that is to be called; what it is called with is copied.
static struct listener *next(struct reeve *zk, struct listener *at, bool only_fresh,
                             struct listener *copy)
{
    pthread_mutex_lock(&zk->lock);
    struct listener *l = at ? at->next : zk->listeners;
    while (l && (l->gone || (only_fresh && !l->fresh))) {
        l = l->next;
    }
    if (l) {
        l->fresh = false;
        *copy = *l;
    }
    pthread_mutex_unlock(&zk->lock);
    return l;
}

static void sweep(struct reeve *zk)
{
    pthread_mutex_lock(&zk->lock);
    for (struct listener **to = &zk->listeners; *to;) {
        struct listener *l = *to;
        if (l->gone) {
            *to = l->next;
            alloc_put(&zk->allocator, l);
        } else {
            to = &l->next;
        }
    }
    pthread_mutex_unlock(&zk->lock);
}

static void tell(struct reeve *zk, bool only_fresh)
{
    struct listener *l = NULL;
    struct listener copy;
    while ((l = next(zk, l, only_fresh, &copy))) {
        struct reeve_session s;
        reeve_get_session(zk, &s);
        copy.fn(copy.ctx, &s);
    }
    sweep(zk);
}

void client_tell(struct reeve *zk, const struct reeve_session *s)
{
    client_told_set(zk, s);
    tell(zk, false);
}

void client_tell_fresh(struct reeve *zk)
{
    if (zk->fresh) {
        zk->fresh = false;
        tell(zk, true);
    }
}

void client_listeners_free(struct reeve *zk)
{
    while (zk->listeners) {
        struct listener *l = zk->listeners;
        zk->listeners = l->next;
        alloc_put(&zk->allocator, l);
    }
}
