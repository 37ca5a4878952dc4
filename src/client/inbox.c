// SPDX-License-Identifier: Apache-2.0
//
// What any thread puts in, and how the loop's thread takes it over: the lists are moved out under
// the lock, and worked through without it. The loop is woken by the first to put something in after
// it has taken all; the others know that it comes.
#include "client/client_internal.h"

#include <string.h>

#include "base/must.h"

// ---- lists of notes -----------------------------------------------------------------------------

void note_insert_after(struct note_list *l, struct note *at, struct note *n)
{
    n->prev = at;
    n->next = at ? at->next : l->first;
    *(n->prev ? &n->prev->next : &l->first) = n;
    *(n->next ? &n->next->prev : &l->last) = n;
}

void note_append(struct note_list *l, struct note *n)
{
    note_insert_after(l, l->last, n);
}

void note_remove(struct note_list *l, struct note *n)
{
    *(n->prev ? &n->prev->next : &l->first) = n->next;
    *(n->next ? &n->next->prev : &l->last) = n->prev;
}

struct note *client_note_new(const struct reeve *zk, enum note_kind kind, const char *text)
{
    size_t text_n = text ? strlen(text) + 1 : 0;
    struct note *n = alloc_zero(&zk->allocator, sizeof(*n) + text_n);
    if (!n) {
        return NULL;
    }
    n->kind = kind;
    if (text) {
        n->text = memcpy(n + 1, text, text_n);
    }
    return n;
}

void client_note_free(const struct reeve *zk, struct note *n)
{
    if (n->gate) {
        reeve_gate_open(n->gate);
    } else {
        alloc_put(&zk->allocator, n);
    }
}

// ---- putting in ---------------------------------------------------------------------------------

bool client_on_loop(const struct reeve *zk)
{
    return atomic_load_explicit(&zk->runner, memory_order_relaxed) == (uintptr_t)pthread_self();
}

bool client_mark_input(struct reeve *zk)
{
    return !atomic_exchange(&zk->has_input, true);
}

void client_unlock(struct reeve *zk, bool first)
{
    pthread_mutex_unlock(&zk->lock);
    if (first && !client_on_loop(zk)) {
        zk->driver.wake(zk, zk->driver.ctx);
    }
}

enum reeve_error client_put_call(struct reeve *zk, struct call *c)
{
    pthread_mutex_lock(&zk->lock);
    enum reeve_error e = zk->refuses;
    bool first = false;
    if (!e) {
        c->next = NULL;
        *zk->calls_to = c;
        zk->calls_to = &c->next;
        zk->calls_n++;
        first = client_mark_input(zk);
    }
    client_unlock(zk, first);
    return e;
}

// Taking back a watch is possible to the end; there is no answer that could refuse it.
enum reeve_error client_put_note(struct reeve *zk, struct note *n)
{
    pthread_mutex_lock(&zk->lock);
    bool refused = zk->closed && n->kind != NOTE_UNWATCH;
    bool first = false;
    if (!refused) {
        n->behind = zk->calls_n;
        note_append(&zk->notes, n);
        first = client_mark_input(zk);
    }
    client_unlock(zk, first);
    return refused ? REEVE_CLOSED : REEVE_OK;
}

void client_begin_close(struct reeve *zk, bool end_session)
{
    pthread_mutex_lock(&zk->lock);
    must(!zk->closed);
    zk->closed = true;
    zk->refuses = REEVE_CLOSED;
    zk->close_note =
        (struct note){.kind = NOTE_CLOSE, .behind = zk->calls_n, .end_session = end_session};
    note_append(&zk->notes, &zk->close_note);
    bool first = client_mark_input(zk);
    client_unlock(zk, first);
}

// ---- taking in ----------------------------------------------------------------------------------

static void take_note(struct reeve *zk, struct note *n)
{
    switch (n->kind) {
    case NOTE_POST:
    case NOTE_AFTER:
        client_task_add(zk, n);
        return;
    case NOTE_CLOSE:
        zk->closing = true;
        engine_close(zk->engine, n->end_session);
        return;
    case NOTE_UNWATCH:
        engine_unwatch(zk->engine, n->text, n->watch, n->ctx);
        break;
    case NOTE_SERVERS:
        client_take_servers(zk, n);
        return;
    }
    client_note_free(zk, n);
}

// The list was checked when it was put in; that there is no memory for it now is no reason to
// forget it.
void client_take_servers(struct reeve *zk, struct note *n)
{
    enum { AGAIN_MS = 100 };
    if (engine_set_servers(zk->engine, n->text) == REEVE_NO_MEMORY && !zk->closing) {
        n->due = mono_add_ms(zk->now, AGAIN_MS);
        client_task_add(zk, n);
    } else {
        client_note_free(zk, n);
    }
}

void client_take_in(struct reeve *zk)
{
    if (!atomic_load_explicit(&zk->has_input, memory_order_acquire)) {
        return;
    }
    pthread_mutex_lock(&zk->lock);
    struct call *calls = zk->calls;
    struct note_list notes = zk->notes;
    zk->calls = NULL;
    zk->calls_to = &zk->calls;
    zk->notes = (struct note_list){NULL, NULL};
    zk->fresh |= zk->listeners_changed;
    zk->listeners_changed = false;
    atomic_store(&zk->has_input, false);
    pthread_mutex_unlock(&zk->lock);
    while (calls || notes.first) {
        struct note *n = notes.first;
        if (n && n->behind == zk->taken_n) {
            note_remove(&notes, n);
            take_note(zk, n);
            continue;
        }
        struct call *c = calls;
        must(c);
        calls = c->next;
        c->next = NULL;
        zk->taken_n++;
        engine_submit(zk->engine, c);
    }
}
