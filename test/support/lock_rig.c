// SPDX-License-Identifier: Apache-2.0
#include "test/support/lock_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

static void check(struct lock_rig *w)
{
    size_t held = 0;
    size_t writers = 0;
    for (size_t i = 0; i < w->n; i++) {
        held += w->k[i].held;
        writers += w->k[i].held && w->k[i].kind != LOCK_RIG_READER;
    }
    must(held <= w->limit);
    if (w->k[0].kind != LOCK_RIG_LEASE) {
        must(!writers || held == 1);
    }
}

static void on_lost(void *ctx, enum reeve_error why)
{
    struct contender *k = ctx;
    must(k->held);
    k->held = false;
    k->lost++;
    k->why = why;
}

static void on_granted(void *ctx, enum reeve_error e, int64_t token)
{
    struct contender *k = ctx;
    must(k->asking);
    k->asking = false;
    k->e = e;
    k->failed += e != 0;
    must((token > 0) == !e);
    if (!e) {
        k->held = true;
        k->granted++;
        k->token = token;
        k->order = ++k->w->grants;
        if (k->kind == LOCK_RIG_LOCK || k->kind == LOCK_RIG_WRITER) {
            must(token > k->w->last_token);
            k->w->last_token = token;
        }
        check(k->w);
    }
}

static void on_released(void *ctx, enum reeve_error e)
{
    struct contender *k = ctx;
    k->released++;
    k->released_e = e;
}

static enum reeve_error make(struct contender *k, enum reeve_layout layout)
{
    char name[16];
    int n = snprintf(name, sizeof(name), "c%d", (int)(k - k->w->k));
    struct reeve_lock_options o = {
        .layout = layout, .payload = name, .payload_len = (size_t)n, .on_lost = on_lost, .ctx = k};
    switch (k->kind) {
    case LOCK_RIG_READER:
        return reeve_rwlock_reader_new(&k->l, k->zk, "/app/lock", &o);
    case LOCK_RIG_WRITER:
        return reeve_rwlock_writer_new(&k->l, k->zk, "/app/lock", &o);
    case LOCK_RIG_LEASE:
        return reeve_semaphore_new(&k->l, k->zk, "/app/lock", (int32_t)k->w->limit, &o);
    case LOCK_RIG_LOCK:
        break;
    }
    return reeve_lock_new(&k->l, k->zk, "/app/lock", &o);
}

void lock_rig_init(struct lock_rig *w, size_t n, enum reeve_layout layout, size_t limit,
                   const enum lock_rig_kind *kinds, size_t kinds_n)
{
    must(n <= LOCK_RIG_MAX);
    *w = (struct lock_rig){.c = crig_new(), .n = n, .limit = limit};
    for (size_t i = 0; i < n; i++) {
        struct contender *k = &w->k[i];
        k->w = w;
        k->kind = kinds[i % kinds_n];
        k->zk = crig_client(w->c, NULL);
        must(make(k, layout) == REEVE_OK);
    }
    crig_run(w->c);
}

static size_t list(struct lock_rig *w, const char *path, char *text, size_t text_max)
{
    struct reeve *zk = crig_client(w->c, NULL);
    struct reeve_result r;
    size_t n = 0;
    size_t at = 0;
    text[0] = 0;
    if (reeve_children(zk, path, NULL, &r) == REEVE_OK) {
        n = r.children_n;
        for (size_t i = 0; i < n && at + 100 < text_max; i++) {
            at += (size_t)snprintf(text + at, text_max - at, "%s ", r.children[i]);
        }
    }
    reeve_result_fini(&r);
    crig_close(w->c, &zk);
    return n;
}

const char *lock_rig_names(struct lock_rig *w, const char *path)
{
    static char text[8192];
    list(w, path, text, sizeof(text));
    return text;
}

size_t lock_rig_count(struct lock_rig *w, const char *path)
{
    char text[2];
    return list(w, path, text, sizeof(text));
}

void lock_rig_fini(struct lock_rig *w)
{
    crig_fail_alloc(w->c, 0, 0);
    for (size_t i = 0; i < w->n; i++) {
        w->k[i].held = false;
        reeve_lock_free(&w->k[i].l);
    }
    crig_advance(w->c, 15000);
    must(lock_rig_count(w, "/app/lock/leases") == 0);
    must(lock_rig_count(w, "/app/lock/locks") == 0);
    must(lock_rig_count(w, "/app/lock-__lock__") == 0);
    const char *left = lock_rig_names(w, "/app/lock");
    if (!strstr(left, "leases") && left[0]) {
        fprintf(stderr, "left behind: %s\n", left);
        abort();
    }
    for (size_t i = 0; i < w->n; i++) {
        must(!w->k[i].asking);
        if (w->k[i].zk) {
            crig_close(w->c, &w->k[i].zk);
        }
    }
    crig_free(&w->c);
}

void contender_acquire(struct contender *k, int64_t timeout_ms)
{
    k->asking = true;
    while (reeve_lock_acquire_async(k->l, timeout_ms, on_granted, k)) {
    }
}

void contender_release(struct contender *k)
{
    k->held = false;
    while (reeve_lock_release_async(k->l, on_released, k)) {
    }
}
