// SPDX-License-Identifier: Apache-2.0
//
// Who gets the next item. Takes wait in a line of their own inside the program; the first is at
// work:
//
//     LOOKING --an entry--> GETTING --got it--> done
//        ^  ^--somebody was faster--/
//        |--nothing there--> in line behind other consumers (layouts with locks)
//        |--the first in line, or no line--> WAITING --something happened--> LOOKING
//
// Getting with locks: create the lock, then read the entry. Without: read it, then delete it. Only
// in GETTING may something be held, so timeouts and cancelling wait for its end, and nowhere else.
// Answers of an earlier step are recognised by the step's number and ignored.

#include <stdlib.h>
#include <string.h>

#include "recipes/queue_state.h"

static void work(struct reeve_queue *q);
static void look(struct reeve_queue *q);
static void line_up(struct reeve_queue *q);
static void look_line(struct reeve_queue *q);
static void try_next(struct reeve_queue *q);
static void submit_lock(struct reeve_queue *q);
static void submit_get(struct reeve_queue *q);
static void submit_delete(struct reeve_queue *q);
static void on_event(void *ctx, const struct reeve_event *ev);

static bool is_old(const struct reeve_queue *q, const void *arg)
{
    return (uintptr_t)arg != q->step;
}

static void forget_names(struct reeve_queue *q)
{
    for (size_t i = 0; i < q->names_n; i++) {
        kit_free(q->o.zk, q->names[i]);
    }
    kit_free(q->o.zk, q->names);
    q->names = NULL;
    q->names_n = 0;
    q->names_at = 0;
}

static void forget_before(struct reeve_queue *q)
{
    if (q->before) {
        reeve_unwatch(q->o.zk, q->before, on_event, q);
        kit_free(q->o.zk, q->before);
        q->before = NULL;
    }
}

// ---- the end of a take --------------------------------------------------------------------------

static void on_left(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)arg, (void)e;
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (q->lining) {
        line_up(q);
    }
}

static void leave_line(struct reeve_queue *q)
{
    q->lining = false;
    q->head = false;
    forget_before(q);
    if (q->seat.state == KIT_SEAT_TAKEN || q->seat.state == KIT_SEAT_TAKING) {
        (void)kit_seat_leave(&q->seat, on_left, NULL);
    }
}

static void call_take(struct queue_take *take, enum reeve_error e, struct reeve_queue_item *item)
{
    struct kit_object *o = &take->q->o;
    kit_cancel(&take->timeout);
    reeve_queue_take_fn *done = take->done;
    void *ctx = take->ctx;
    kit_free(o->zk, take);
    done(ctx, e, item);
}

static void end(struct reeve_queue *q, enum reeve_error e, struct reeve_queue_item *item)
{
    struct queue_take *take = q->first;
    q->first = take->next;
    if (!q->first) {
        q->end = &q->first;
    }
    q->step++;
    q->taking = TAKE_IDLE;
    kit_cancel(&q->again);
    forget_names(q);
    leave_line(q);
    call_take(take, e, item);
    work(q);
}

// Nothing is held at this moment, unless the item says that perhaps it is.
static void fail(struct reeve_queue *q, enum reeve_error e)
{
    struct reeve_queue_item *item = q->item;
    q->item = NULL;
    if (item && item->maybe && q->layout->locks && !kit_is_over(e)) {
        queue_item_release(item);
    } else if (item) {
        queue_item_free(item);
    }
    end(q, e, NULL);
}

static void deliver(struct reeve_queue *q, enum reeve_error e)
{
    struct reeve_queue_item *item = q->item;
    q->item = NULL;
    if (q->o.closed && q->layout->locks) {
        queue_item_release(item);
        end(q, kit_why_closed(&q->o), NULL);
        return;
    }
    queue_item_taken(item);
    end(q, e, item);
}

// ---- requests -----------------------------------------------------------------------------------

static void on_again(struct kit_object *o, void *arg)
{
    (void)arg;
    struct reeve_queue *q = (struct reeve_queue *)o;
    q->redo(q);
}

static void again(struct reeve_queue *q, void (*redo)(struct reeve_queue *q))
{
    q->redo = redo;
    q->step++;
    enum reeve_error e = kit_start(&q->o, &q->again, KIT_AGAIN_MS, on_again, NULL);
    if (e && q->item && q->layout->locks) {
        queue_item_release(q->item);
        q->item = NULL;
    }
    if (e) {
        fail(q, e);
    }
}

static void submit(struct reeve_queue *q, const struct reeve_request *r, kit_result_fn *fn,
                   void (*redo)(struct reeve_queue *q))
{
    q->step++;
    enum reeve_error e = kit_submit(&q->o, r, fn, (void *)q->step);
    if (e == REEVE_NO_MEMORY && q->taking == TAKE_GETTING) {
        again(q, redo); // something may be held
    } else if (e) {
        fail(q, e);
    }
}

static struct reeve_watch watch_if(struct reeve_queue *q, bool wanted)
{
    return wanted ? (struct reeve_watch){on_event, q} : (struct reeve_watch){NULL, NULL};
}

static void on_dirs(struct kit_object *o, void *arg, enum reeve_error e)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (is_old(q, arg)) {
        return;
    }
    if (e) {
        fail(q, e);
    } else {
        look(q);
    }
}

static void make_dirs(struct reeve_queue *q)
{
    q->taking = TAKE_LOOKING;
    q->step++;
    enum reeve_error e = queue_make_dirs(q, NULL, on_dirs, (void *)q->step);
    if (e) {
        fail(q, e);
    }
}

// ---- looking ------------------------------------------------------------------------------------

// All names have the same first character, so that one may be overwritten.
static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a + 1, *(char *const *)b + 1);
}

static bool keep_names(struct reeve_queue *q, const struct reeve_result *r)
{
    forget_names(q);
    size_t prefix = strlen(q->layout->prefix);
    q->names = kit_alloc(q->o.zk, (r->children_n + 1) * sizeof(*q->names));
    if (!q->names) {
        return false;
    }
    for (size_t i = 0; i < r->children_n; i++) {
        if (strncmp(r->children[i], q->layout->prefix, prefix) == 0) {
            char *name = kit_str(q->o.zk, r->children[i]);
            if (!name) {
                return false;
            }
            q->names[q->names_n++] = name;
        }
    }
    qsort(q->names, q->names_n, sizeof(*q->names), by_text);
    return true;
}

// Those that somebody works on are no candidates.
static void drop_locked(struct reeve_queue *q, const struct reeve_result *r)
{
    for (size_t i = 0; i < r->children_n; i++) {
        char *const *found =
            bsearch(&r->children[i], q->names, q->names_n, sizeof(*q->names), by_text);
        if (found) {
            (*found)[0] = '\0'; // skipped by try_next()
        }
    }
}

// There is nothing to get at the moment.
static void nothing(struct reeve_queue *q)
{
    forget_names(q);
    if (q->first->expired || q->first->timeout_ms == 0) {
        fail(q, q->first->expired ? q->first->why : REEVE_OPERATION_TIMEOUT);
    } else if (q->layout->locks && !q->head) {
        line_up(q);
    } else if (q->stirred) {
        look(q);
    } else {
        q->taking = TAKE_WAITING;
    }
}

static void on_locks(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (is_old(q, arg)) {
        return;
    }
    if (r->error == REEVE_OK) {
        drop_locked(q, r);
        try_next(q);
    } else if (r->error == REEVE_NO_NODE) {
        make_dirs(q);
    } else if (kit_is_transient(r->error)) {
        again(q, look);
    } else {
        fail(q, r->error);
    }
}

static void on_entries(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (is_old(q, arg)) {
        return;
    }
    if (r->error == REEVE_NO_NODE) {
        make_dirs(q);
    } else if (kit_is_transient(r->error)) {
        again(q, look);
    } else if (r->error) {
        fail(q, r->error);
    } else if (!keep_names(q, r)) {
        fail(q, REEVE_NO_MEMORY);
    } else if (q->layout->locks && q->names_n) {
        struct reeve_request list = {
            .op = REEVE_OP_CHILDREN, .path = q->locks, .watch = watch_if(q, q->head)};
        submit(q, &list, on_locks, look);
    } else {
        try_next(q);
    }
}

static void look(struct reeve_queue *q)
{
    q->taking = TAKE_LOOKING;
    q->stirred = false;
    struct reeve_request list = {.op = REEVE_OP_CHILDREN,
                                 .path = q->entries,
                                 .watch = watch_if(q, q->head || !q->layout->locks)};
    submit(q, &list, on_entries, look);
}

// ---- getting ------------------------------------------------------------------------------------

static void try_next(struct reeve_queue *q)
{
    while (q->names_at < q->names_n && !q->names[q->names_at][0]) {
        q->names_at++;
    }
    if (q->names_at == q->names_n || q->first->expired) {
        nothing(q);
        return;
    }
    q->item = queue_item_new(q, q->names[q->names_at++]);
    if (!q->item) {
        fail(q, REEVE_NO_MEMORY);
        return;
    }
    q->taking = TAKE_GETTING;
    if (q->layout->locks) {
        submit_lock(q);
    } else {
        submit_get(q);
    }
}

// Somebody else has it. Once is chance; then they take turns.
static void missed(struct reeve_queue *q)
{
    queue_item_free(q->item);
    q->item = NULL;
    q->taking = TAKE_LOOKING;
    if (q->layout->locks && !q->head && !q->first->expired && q->first->timeout_ms != 0) {
        forget_names(q);
        line_up(q);
    } else {
        try_next(q);
    }
}

static void on_lock_seen(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (is_old(q, arg)) {
        return;
    }
    if (r->error == REEVE_OK) {
        bool ours = r->data_len == 32 && memcmp(r->data, q->item->guid, 32) == 0 &&
                    r->stat.ephemeral_owner == q->session;
        if (ours) {
            submit_get(q);
        } else {
            missed(q);
        }
    } else if (r->error == REEVE_NO_NODE) {
        submit_lock(q);
    } else if (kit_is_transient(r->error)) {
        again(q, submit_lock);
    } else {
        fail(q, r->error);
    }
}

static void submit_see_lock(struct reeve_queue *q)
{
    struct reeve_request r = {.op = REEVE_OP_GET, .path = q->item->lock};
    submit(q, &r, on_lock_seen, submit_lock);
}

static void on_lock(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (is_old(q, arg)) {
        return;
    }
    if (r->error == REEVE_OK) {
        submit_get(q);
    } else if (r->error == REEVE_NODE_EXISTS && q->item->maybe) {
        submit_see_lock(q);
    } else if (r->error == REEVE_NODE_EXISTS) {
        missed(q);
    } else if (kit_is_transient(r->error) || r->error == REEVE_NO_MEMORY) {
        q->item->maybe |= r->maybe_done || r->error == REEVE_NO_MEMORY;
        q->item->doubt |= r->maybe_done;
        again(q, submit_lock);
    } else if (r->error == REEVE_NO_NODE) {
        queue_item_free(q->item);
        q->item = NULL;
        make_dirs(q);
    } else {
        fail(q, r->error);
    }
}

static void submit_lock(struct reeve_queue *q)
{
    struct reeve_request r = {.op = REEVE_OP_CREATE,
                              .path = q->item->lock,
                              .data = q->item->guid,
                              .data_len = 32,
                              .flags = REEVE_EPHEMERAL};
    submit(q, &r, on_lock, submit_lock);
}

// With locks it is ours already; without, now it is deleted.
static void got(struct reeve_queue *q, const struct reeve_result *r)
{
    enum reeve_error e = queue_item_fill(q->item, r->data, r->data_len);
    q->item->version = r->stat.version;
    if (e == REEVE_NO_MEMORY && q->layout->locks) {
        queue_item_release(q->item);
        q->item = NULL;
        fail(q, e);
    } else if (e == REEVE_NO_MEMORY) {
        fail(q, e);
    } else if (q->layout->locks) {
        deliver(q, e);
    } else {
        submit_delete(q);
    }
}

static void on_got(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (is_old(q, arg)) {
        return;
    }
    if (r->error == REEVE_OK) {
        got(q, r);
    } else if (kit_is_transient(r->error)) {
        again(q, submit_get);
    } else if (q->layout->locks && !kit_is_over(r->error)) {
        queue_item_release(q->item); // finished by another one, just before we locked it
        q->item = NULL;
        q->taking = TAKE_LOOKING;
        if (r->error == REEVE_NO_NODE) {
            try_next(q);
        } else {
            fail(q, r->error);
        }
    } else if (r->error == REEVE_NO_NODE) {
        missed(q);
    } else {
        fail(q, r->error);
    }
}

static void submit_get(struct reeve_queue *q)
{
    struct reeve_request r = {.op = REEVE_OP_GET, .path = q->item->entry};
    submit(q, &r, on_got, submit_get);
}

static void on_deleted(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (is_old(q, arg)) {
        return;
    }
    bool maybe = q->item->maybe;
    q->item->maybe |= r->maybe_done || r->error == REEVE_NO_MEMORY;
    if (r->error == REEVE_OK) {
        deliver(q, REEVE_OK);
    } else if (kit_is_transient(r->error) || r->error == REEVE_NO_MEMORY) {
        again(q, submit_delete);
    } else if (q->item->maybe && (r->error == REEVE_NO_NODE || kit_is_over(r->error))) {
        deliver(q, REEVE_CONNECTION_LOSS);
    } else if (r->error == REEVE_NO_NODE && !maybe) {
        missed(q);
    } else if (r->error == REEVE_BAD_VERSION) {
        submit_get(q);
    } else {
        fail(q, r->error);
    }
}

static void submit_delete(struct reeve_queue *q)
{
    struct reeve_request r = {
        .op = REEVE_OP_DELETE, .path = q->item->entry, .version = q->item->version};
    submit(q, &r, on_deleted, submit_delete);
}

// ---- the line of consumers ----------------------------------------------------------------------

static void on_before(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (is_old(q, arg)) {
        return;
    }
    if (r->error == REEVE_OK) {
        q->taking = TAKE_WAITING;
    } else if (r->error == REEVE_NO_NODE) {
        look_line(q);
    } else if (kit_is_transient(r->error)) {
        again(q, look_line);
    } else {
        fail(q, r->error);
    }
}

// Whether our own place is in the list.
static bool in_line(const struct reeve_queue *q, const struct reeve_result *r)
{
    const char *mine = kit_name(q->seat.path);
    for (size_t i = 0; i < r->children_n; i++) {
        if (strcmp(r->children[i], mine) == 0) {
            return true;
        }
    }
    return false;
}

// The name of who stands just before us: the largest number below ours. NULL: we are first.
static const char *find_before(const struct reeve_queue *q, const struct reeve_result *r)
{
    const char *best = NULL;
    int32_t mine, seq, best_seq = 0;
    if (!kit_seq(q->seat.path, "-waiting-", &mine)) {
        return NULL;
    }
    for (size_t i = 0; i < r->children_n; i++) {
        if (kit_seq(r->children[i], "-waiting-", &seq) && kit_seq_cmp(seq, mine) < 0 &&
            (!best || kit_seq_cmp(seq, best_seq) > 0)) {
            best = r->children[i];
            best_seq = seq;
        }
    }
    return best;
}

static void on_twin_deleted(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (is_old(q, arg)) {
        return;
    }
    if (r->error == REEVE_OK || r->error == REEVE_NO_NODE || kit_is_transient(r->error)) {
        look_line(q);
    } else {
        fail(q, r->error);
    }
}

// A place of ours that was made late: we must not wait for it.
static void delete_twin(struct reeve_queue *q, const char *name)
{
    q->step++;
    enum reeve_error e = kit_delete(&q->o, q->waiting, name, on_twin_deleted, (void *)q->step);
    if (e) {
        fail(q, e);
    }
}

static void on_line(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (is_old(q, arg)) {
        return;
    }
    if (kit_is_transient(r->error)) {
        again(q, line_up);
        return;
    }
    if (r->error == REEVE_NO_NODE || (!r->error && !in_line(q, r))) {
        kit_seat_lost(&q->seat); // somebody deleted it
        again(q, line_up);
        return;
    }
    if (r->error) {
        fail(q, r->error);
        return;
    }
    const char *twin = kit_seat_twin(&q->seat, r);
    if (twin) {
        delete_twin(q, twin);
        return;
    }
    const char *before = find_before(q, r);
    if (!before) {
        q->head = true;
        look(q);
        return;
    }
    q->before = kit_join(q->o.zk, q->waiting, before);
    if (!q->before) {
        fail(q, REEVE_NO_MEMORY);
        return;
    }
    struct reeve_request see = {
        .op = REEVE_OP_EXISTS, .path = q->before, .watch = watch_if(q, true)};
    submit(q, &see, on_before, look_line);
}

static void look_line(struct reeve_queue *q)
{
    q->taking = TAKE_LOOKING;
    forget_before(q);
    struct reeve_request list = {.op = REEVE_OP_CHILDREN, .path = q->waiting};
    submit(q, &list, on_line, look_line);
}

static void on_line_made(struct kit_object *o, void *arg, enum reeve_error e)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (is_old(q, arg)) {
        return;
    }
    if (e) {
        fail(q, e);
    } else {
        line_up(q);
    }
}

static void make_line(struct reeve_queue *q)
{
    q->step++;
    enum reeve_error e = queue_make_dirs(q, q->waiting, on_line_made, (void *)q->step);
    if (e) {
        fail(q, e);
    }
}

static void on_seated(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)arg;
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (!q->lining) {
        return; // the take has ended, and the seat is being left
    }
    if (e == REEVE_NO_NODE) {
        make_line(q);
    } else if (e) {
        fail(q, e);
    } else {
        look_line(q);
    }
}

static void line_up(struct reeve_queue *q)
{
    q->taking = TAKE_LOOKING;
    q->lining = true;
    if (q->seat.state == KIT_SEAT_TAKEN) {
        look_line(q);
    } else if (q->seat.state == KIT_SEAT_EMPTY) {
        char *name = kit_name_kazoo(q->o.zk, "-waiting-");
        enum reeve_error e = REEVE_NO_MEMORY;
        q->step++;
        if (name) {
            e = kit_seat_take(&q->seat, q->waiting, name, REEVE_EPHEMERAL | REEVE_SEQUENTIAL, NULL,
                              0, on_seated, NULL);
        }
        if (e) {
            fail(q, e);
        }
    }
}

static void on_event(void *ctx, const struct reeve_event *ev)
{
    struct reeve_queue *q = ctx;
    if (ev->type == REEVE_EVENT_ENDED && ev->why) {
        return; // the session's end, which on_session() deals with
    }
    q->stirred = true;
    if (q->taking != TAKE_WAITING) {
        return;
    }
    if (q->head || !q->layout->locks) {
        look(q);
    } else {
        look_line(q);
    }
}

// ---- takes come and go --------------------------------------------------------------------------

static void work(struct reeve_queue *q)
{
    if (q->first && q->taking == TAKE_IDLE) {
        look(q);
    }
}

// Ends a take with e, now or as soon as it holds nothing.
static void stop_take(struct queue_take *take, enum reeve_error e)
{
    struct reeve_queue *q = take->q;
    if (take == q->first && q->taking == TAKE_GETTING) {
        take->expired = true;
        take->why = e;
    } else if (take == q->first) {
        fail(q, e);
    } else {
        struct queue_take *t = q->first;
        while (t->next != take) {
            t = t->next;
        }
        t->next = take->next;
        if (!t->next) {
            q->end = &t->next;
        }
        call_take(take, e, NULL);
    }
}

static void on_time(struct kit_object *o, void *arg)
{
    (void)o;
    stop_take(arg, REEVE_OPERATION_TIMEOUT);
}

void queue_take_begin(struct reeve_queue *q, struct queue_take *take)
{
    *q->end = take;
    q->end = &take->next;
    if (take->timeout_ms > 0) {
        enum reeve_error e = kit_start(&q->o, &take->timeout, take->timeout_ms, on_time, take);
        if (e) {
            stop_take(take, e);
            return;
        }
    }
    work(q);
}

void queue_take_on_session(struct reeve_queue *q, const struct reeve_session *s)
{
    if (s->state == REEVE_STATE_LOST || s->state == REEVE_STATE_AUTH_FAILED) {
        q->lining = false;
        q->head = false;
        forget_before(q);
        kit_seat_lost(&q->seat);
        if (q->taking == TAKE_GETTING && q->again.on) {
            fail(q, REEVE_SESSION_EXPIRED);
        } else if (q->first && (q->taking == TAKE_LOOKING || q->taking == TAKE_WAITING)) {
            kit_cancel(&q->again);
            look(q); // waits for the next session
        }
    }
    kit_seat_poke(&q->seat);
}

void queue_take_close(struct reeve_queue *q)
{
    while (q->first && q->first->next) {
        stop_take(q->first->next, kit_why_closed(&q->o));
    }
    if (q->first && q->o.ended) {
        fail(q, REEVE_CLOSED);
    } else if (q->first) {
        stop_take(q->first, kit_why_closed(&q->o));
    }
    leave_line(q);
    reeve_unwatch(q->o.zk, q->entries, on_event, q);
    if (q->locks) {
        reeve_unwatch(q->o.zk, q->locks, on_event, q);
    }
}
