// SPDX-License-Identifier: Apache-2.0
//
// reeve_post, reeve_after, reeve_cancel: functions that are called on the loop's thread. A timer is
// a note from the day it is asked for, so nothing can fail later. Timers stand in a list by their
// time; most are asked for with one of few lengths, so a new one finds its place near the end.
#include "client/client_internal.h"

static enum reeve_error put(struct reeve *zk, enum note_kind kind, int64_t ms, reeve_task_fn *fn,
                            void *ctx)
{
    const int64_t far_ms = INT64_MAX / 4 / 1000000; // as good as never, and no sum overflows
    if (!fn) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct note *n = client_note_new(zk, kind, NULL);
    if (!n) {
        return REEVE_NO_MEMORY;
    }
    n->task = fn;
    n->ctx = ctx;
    if (kind == NOTE_AFTER) {
        ms = ms < 0 ? 0 : ms > far_ms ? far_ms : ms;
        n->due = mono_add_ms(zk->driver.clock(zk->driver.ctx), ms);
    }
    enum reeve_error e = client_put_note(zk, n);
    if (e) {
        client_note_free(zk, n);
    }
    return e;
}

enum reeve_error reeve_post(struct reeve *zk, reeve_task_fn *fn, void *ctx)
{
    return put(zk, NOTE_POST, 0, fn, ctx);
}

enum reeve_error reeve_after(struct reeve *zk, int64_t ms, reeve_task_fn *fn, void *ctx)
{
    return put(zk, NOTE_AFTER, ms, fn, ctx);
}

static bool take_back(struct reeve *zk, struct note_list *l, reeve_task_fn *fn, void *ctx)
{
    for (struct note *n = l->first; n; n = n->next) {
        if (n->kind == NOTE_AFTER && n->task == fn && n->ctx == ctx) {
            note_remove(l, n);
            zk->tasks_n -= l == &zk->tasks;
            client_note_free(zk, n);
            return true;
        }
    }
    return false;
}

bool reeve_cancel(struct reeve *zk, reeve_task_fn *fn, void *ctx)
{
    if (!client_on_loop(zk)) {
        return false;
    }
    client_take_in(zk);
    return take_back(zk, &zk->timers, fn, ctx) || take_back(zk, &zk->tasks, fn, ctx);
}

// ---- on the loop's thread -----------------------------------------------------------------------

static void make_due(struct reeve *zk, struct note *n)
{
    note_append(&zk->tasks, n);
    zk->tasks_n++;
}

void client_task_add(struct reeve *zk, struct note *n)
{
    if (n->kind == NOTE_POST) {
        make_due(zk, n);
        return;
    }
    struct note *at = zk->timers.last;
    while (at && at->due.ns > n->due.ns) {
        at = at->prev;
    }
    note_insert_after(&zk->timers, at, n);
}

void client_tasks_ripen(struct reeve *zk)
{
    struct note *n;
    while ((n = zk->timers.first) && (zk->closing || n->due.ns <= zk->now.ns)) {
        note_remove(&zk->timers, n);
        make_due(zk, n);
    }
}

void client_tasks_run(struct reeve *zk)
{
    for (size_t left = zk->tasks_n; left > 0; left--) {
        if (client_overslept(zk)) {
            client_pull(zk);
        }
        struct note *n = zk->tasks.first;
        if (!n) {
            return;
        }
        note_remove(&zk->tasks, n);
        zk->tasks_n--;
        if (n->kind == NOTE_SERVERS) {
            client_take_servers(zk, n);
            continue;
        }
        reeve_task_fn *fn = n->task;
        void *ctx = n->ctx;
        client_note_free(zk, n);
        fn(ctx);
    }
}
