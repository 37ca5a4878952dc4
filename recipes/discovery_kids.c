// SPDX-License-Identifier: Apache-2.0
#include "recipes/discovery_kids.h"

#include <stdlib.h>
#include <string.h>

#include "recipes/discovery_keep.h"

static void step(struct kids *k);
static void on_list_event(void *ctx, const struct reeve_event *ev);
static void on_kid_event(void *ctx, const struct reeve_event *ev);

enum reeve_error kids_init(struct kids *k, struct kit_object *o, const char *path, unsigned flags,
                           kids_fn *changed, void *arg)
{
    *k = (struct kids){.o = o,
                       .changed = changed,
                       .arg = arg,
                       .flags = flags,
                       .stale = true,
                       .path = kit_str(o->zk, path)};
    k->due_end = &k->due;
    return k->path ? REEVE_OK : REEVE_NO_MEMORY;
}

static void kid_free(struct kid *c)
{
    const struct reeve *zk = c->kids->o->zk;
    kit_free(zk, c->name);
    kit_free(zk, c->path);
    kit_free(zk, c->data);
    kit_free(zk, c);
}

void kids_fini(struct kids *k)
{
    for (size_t i = 0; i < k->n; i++) {
        kid_free(k->list[i]);
    }
    if (k->o) {
        kit_free(k->o->zk, k->list);
        kit_free(k->o->zk, k->path);
    }
    *k = (struct kids){0};
}

// ---- the list -----------------------------------------------------------------------------------

// Where the name is, or would stand.
static size_t place(const struct kids *k, const char *name, bool *there)
{
    size_t from = 0;
    size_t to = k->n;
    *there = false;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int c = strcmp(k->list[mid]->name, name);
        if (c == 0) {
            *there = true;
            return mid;
        }
        if (c < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

const struct kid *kids_find(const struct kids *k, const char *name)
{
    bool there;
    size_t at = place(k, name, &there);
    return there ? k->list[at] : NULL;
}

static void make_due(struct kid *c)
{
    if (c->reading) {
        c->again = true;
    } else if (!c->due && !c->gone && c->kids->flags & KIDS_DATA) {
        c->due = true;
        c->next_due = NULL;
        *c->kids->due_end = c;
        c->kids->due_end = &c->next_due;
    }
}

static struct kid *take_due(struct kids *k)
{
    struct kid *c = k->due;
    k->due = c->next_due;
    if (!k->due) {
        k->due_end = &k->due;
    }
    c->due = false;
    return c;
}

static bool room_for(struct kids *k, size_t n)
{
    if (n <= k->cap) {
        return true;
    }
    size_t cap = n * 2 < 16 ? 16 : n * 2;
    struct kid **list = reeve_realloc(k->o->zk, k->list, cap * sizeof(struct kid *));
    if (list) {
        k->list = list;
        k->cap = cap;
    }
    return list != NULL;
}

static struct kid *kid_new(struct kids *k, const char *name)
{
    struct kid *c = kit_alloc(k->o->zk, sizeof(*c));
    if (!c) {
        return NULL;
    }
    c->kids = k;
    c->name = kit_str(k->o->zk, name);
    c->path = k->flags & KIDS_DATA ? kit_join(k->o->zk, k->path, name) : NULL;
    if (!c->name || (k->flags & KIDS_DATA && !c->path)) {
        kid_free(c);
        return NULL;
    }
    return c;
}

enum reeve_error kids_add(struct kids *k, const char *name)
{
    bool there;
    size_t at = place(k, name, &there);
    if (there) {
        return REEVE_OK;
    }
    struct kid *c = room_for(k, k->n + 1) ? kid_new(k, name) : NULL;
    if (!c) {
        return REEVE_NO_MEMORY;
    }
    memmove(&k->list[at + 1], &k->list[at], (k->n - at) * sizeof(struct kid *));
    k->list[at] = c;
    k->n++;
    make_due(c);
    return REEVE_OK;
}

// It is freed now, or by the request for it that is under way; what is due is taken off the queue
// when its turn comes.
static void let_go(struct kid *c)
{
    c->gone = true;
    if (c->watching) {
        c->watching = false;
        reeve_unwatch(c->kids->o->zk, c->path, on_kid_event, c);
    }
    if (!c->reading && !c->due) {
        kid_free(c);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The sorted names become the list. What is new is made first, so that without memory nothing has
// changed but that some are there already.
static enum reeve_error merge(struct kids *k, const char **names, size_t n)
{
    for (size_t i = 0; i < k->n; i++) {
        k->list[i]->seen = false;
    }
    if (!room_for(k, k->n + n)) {
        return REEVE_NO_MEMORY;
    }
    size_t old_n = k->n;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        int c = -1;
        while (at < old_n && (c = strcmp(k->list[at]->name, names[i])) < 0) {
            at++;
        }
        if (at < old_n && c == 0) {
            k->list[at]->seen = true;
            continue;
        }
        struct kid *kid = kid_new(k, names[i]);
        if (!kid) {
            for (size_t j = old_n; j < k->n; j++) {
                kid_free(k->list[j]);
            }
            k->n = old_n;
            return REEVE_NO_MEMORY;
        }
        kid->seen = true;
        k->list[k->n++] = kid;
    }
    for (size_t j = old_n; j < k->n; j++) {
        make_due(k->list[j]);
        k->news = true;
    }
    return REEVE_OK;
}

static int by_kid(const void *a, const void *b)
{
    return strcmp((*(struct kid *const *)a)->name, (*(struct kid *const *)b)->name);
}

static void drop_unseen(struct kids *k)
{
    size_t n = 0;
    for (size_t i = 0; i < k->n; i++) {
        struct kid *c = k->list[i];
        if (c->seen) {
            k->list[n++] = c;
        } else {
            k->news = true;
            let_go(c);
        }
    }
    k->n = n;
    if (n > 1) {
        qsort(k->list, n, sizeof(struct kid *), by_kid);
    }
}

static enum reeve_error take_list(struct kids *k, const struct reeve_result *r)
{
    size_t n = r->children_n;
    const char **names = kit_alloc(k->o->zk, (n ? n : 1) * sizeof(char *));
    if (!names) {
        return REEVE_NO_MEMORY;
    }
    if (n > 0) {
        memcpy(names, r->children, n * sizeof(char *));
        qsort(names, n, sizeof(char *), by_name);
    }
    enum reeve_error e = merge(k, names, n);
    kit_free(k->o->zk, names);
    if (!e) {
        drop_unseen(k);
        k->news = k->news || !k->listed;
        k->listed = true;
    }
    return e;
}

// ---- asking -------------------------------------------------------------------------------------

static void tell(struct kids *k)
{
    k->news = false;
    k->changed(k->o, k->arg);
}

static void try_again(struct kit_object *o, void *arg)
{
    (void)o;
    struct kids *k = arg;
    k->waiting = false;
    step(k);
}

// Reading has failed; what is due stays due, and is tried at the next connection or a while later.
static void fail(struct kids *k, enum reeve_error e)
{
    if (!k->on) {
        return;
    }
    if (kit_is_over(e)) {
        struct reeve_session s;
        reeve_get_session(k->o->zk, &s);
        k->over = e == REEVE_CLOSED || s.state != REEVE_STATE_CONNECTED;
        if (!k->over) {
            step(k);
            return;
        }
        e = keep_why_final(k->o->zk); // OK: it goes on with the next session
    } else {
        int64_t ms = e == REEVE_NO_MEMORY ? KIT_AGAIN_MS : KIDS_AGAIN_MS;
        k->waiting = !kit_start(k->o, &k->again, ms, try_again, k);
    }
    if (e && (k->error != e || !k->stale)) {
        k->error = e;
        k->stale = true;
        tell(k);
    }
}

// An answer about the parent has come. False: nobody wants it any more.
static bool is_wanted(struct kids *k, const struct reeve_result *r)
{
    k->listing = false;
    k->watching = k->watching || r->watching;
    return k->on;
}

// With each list: servers do not tell of changed access, and who has come again unseen has no
// watch.
static void ask_unread(struct kids *k)
{
    for (size_t i = 0; i < k->n; i++) {
        if (k->list[i]->refused || k->list[i]->missed) {
            k->list[i]->missed = false;
            make_due(k->list[i]);
        }
    }
}

static void on_list(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct kids *k = arg;
    if (!is_wanted(k, r)) {
        return;
    }
    enum reeve_error e = r->error;
    if (e == REEVE_OK) {
        e = take_list(k, r);
        ask_unread(k);
    } else if (e == REEVE_NO_NODE) {
        e = take_list(k, &(struct reeve_result){0});
        k->exists_due = !(k->flags & KIDS_ONCE);
    }
    if (e) {
        k->list_due = true;
        fail(k, e);
        return;
    }
    step(k);
}

// It is created meanwhile, or its creation is watched now.
static void on_exists(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct kids *k = arg;
    if (!is_wanted(k, r)) {
        return;
    }
    if (r->error == REEVE_NO_NODE) {
        step(k);
        return;
    }
    k->list_due = true;
    if (r->error) {
        fail(k, r->error);
    } else {
        step(k);
    }
}

static bool take_data(struct kid *c, const struct reeve_result *r)
{
    char *copy = r->data ? kit_bytes(c->kids->o->zk, r->data, r->data_len) : NULL;
    if (r->data && !copy) {
        return false;
    }
    kit_free(c->kids->o->zk, c->data);
    c->data = copy;
    c->data_len = r->data_len;
    c->czxid = r->stat.czxid;
    c->mzxid = r->stat.mzxid;
    c->owner = r->stat.ephemeral_owner;
    c->absent = false;
    c->refused = false;
    c->change = ++c->kids->changes;
    c->kids->news = true;
    return true;
}

// The node is not there. A child will be missing in the next list, or there anew; a named one is
// waited for.
static void take_absence(struct kid *c)
{
    c->missed = true;
    if (c->kids->flags & KIDS_NAMED) {
        kit_free(c->kids->o->zk, c->data);
        c->data = NULL;
        c->data_len = 0;
        c->absent = true;
        c->change = ++c->kids->changes;
        c->kids->news = true;
    }
}

static void take_refusal(struct kid *c)
{
    kit_free(c->kids->o->zk, c->data);
    c->data = NULL;
    c->data_len = 0;
    c->refused = true;
    c->change = ++c->kids->changes;
    c->kids->news = true;
}

static bool all_refused(const struct kids *k)
{
    for (size_t i = 0; i < k->n; i++) {
        if (!k->list[i]->refused) {
            return false;
        }
    }
    return k->n > 0;
}

static void on_kid(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct kid *c = arg;
    struct kids *k = c->kids;
    c->reading = false;
    k->reads--;
    c->watching = c->watching || r->watching;
    if (c->gone) {
        let_go(c);
        step(k);
        return;
    }
    if (c->again) {
        c->again = false;
        make_due(c);
    }
    enum reeve_error e = r->error;
    bool named = k->flags & KIDS_NAMED;
    if (e == REEVE_NO_AUTH && !named) {
        take_refusal(c);
        e = REEVE_OK;
    } else if (e == REEVE_OK) {
        // An answer to `exists`, which has no data: it was created meanwhile.
        if (r->op == REEVE_OP_EXISTS) {
            make_due(c);
            c->absent = false;
        } else if (!take_data(c, r)) {
            e = REEVE_NO_MEMORY;
        }
    } else if (e == REEVE_NO_NODE) {
        bool was = c->absent;
        take_absence(c);
        if (!was && c->absent && !(k->flags & KIDS_ONCE)) {
            make_due(c); // now as a watch of its creation
        }
        e = REEVE_OK;
    }
    if (e) {
        make_due(c);
        fail(k, e);
        return;
    }
    step(k);
}

static void on_list_event(void *ctx, const struct reeve_event *ev)
{
    struct kids *k = ctx;
    k->watching = !ev->last;
    if (ev->type != REEVE_EVENT_ENDED || ev->why == REEVE_OK) {
        k->list_due = true;
        step(k);
    }
}

static void on_kid_event(void *ctx, const struct reeve_event *ev)
{
    struct kid *c = ctx;
    c->watching = !ev->last;
    if (ev->type != REEVE_EVENT_ENDED || ev->why == REEVE_OK) {
        c->absent = false;
        make_due(c);
        step(c->kids);
    }
}

static bool ask_list(struct kids *k)
{
    struct reeve_request q = {.op = k->list_due ? REEVE_OP_CHILDREN : REEVE_OP_EXISTS,
                              .path = k->path};
    if (!(k->flags & KIDS_ONCE)) {
        q.watch = (struct reeve_watch){on_list_event, k};
    }
    enum reeve_error e = kit_submit(k->o, &q, k->list_due ? on_list : on_exists, k);
    if (e) {
        fail(k, e);
        return false;
    }
    k->list_due = false;
    k->exists_due = false;
    k->listing = true;
    return true;
}

static bool ask_kid(struct kids *k)
{
    struct kid *c = take_due(k);
    if (c->gone) {
        let_go(c);
        return true;
    }
    struct reeve_request q = {.op = c->absent ? REEVE_OP_EXISTS : REEVE_OP_GET, .path = c->path};
    c->reading = true;
    k->reads++;
    if (!(k->flags & KIDS_ONCE)) {
        q.watch = (struct reeve_watch){on_kid_event, c};
    }
    enum reeve_error e = kit_submit(k->o, &q, on_kid, c);
    if (e) {
        c->reading = false;
        k->reads--;
        make_due(c);
        fail(k, e);
    }
    return !e;
}

static void step(struct kids *k)
{
    if (!k->on || k->over || k->waiting) {
        return;
    }
    if ((k->list_due || k->exists_due) && !k->listing && !ask_list(k)) {
        return;
    }
    while (k->due && k->reads < KIDS_READS) {
        if (!ask_kid(k)) {
            return;
        }
    }
    if (k->listing || k->list_due || k->reads > 0 || k->due) {
        return;
    }
    if (all_refused(k)) {
        ask_unread(k);
        fail(k, REEVE_NO_AUTH);
        return;
    }
    if (k->stale) {
        k->stale = false;
        k->error = REEVE_OK;
        k->news = true;
    }
    if (k->news) {
        tell(k);
    }
}

// ---- life ---------------------------------------------------------------------------------------

void kids_stop(struct kids *k)
{
    k->on = false;
    k->stopped = true;
    kit_cancel(&k->again);
    // Also a watch whose request is under way.
    reeve_unwatch(k->o->zk, k->path, on_list_event, k);
    for (size_t i = 0; i < k->n; i++) {
        if (k->list[i]->path) {
            reeve_unwatch(k->o->zk, k->list[i]->path, on_kid_event, k->list[i]);
        }
    }
    while (k->due) {
        struct kid *c = take_due(k);
        if (c->gone) {
            let_go(c);
        }
    }
}

static void read_all(struct kids *k)
{
    k->list_due = !(k->flags & KIDS_NAMED);
    for (size_t i = 0; i < k->n; i++) {
        k->list[i]->absent = false;
        make_due(k->list[i]);
    }
}

// final: why it cannot be read ever again, or OK.
static void say_stale(struct kids *k, enum reeve_error final)
{
    if (!k->stale || final) {
        k->stale = true;
        k->error = final ? final : k->error;
        tell(k);
    }
}

void kids_on_session(struct kids *k, const struct reeve_session *s)
{
    if (!k->on) {
        if (!k->stopped && s->state != REEVE_STATE_ENDED) {
            k->on = true;
            k->list_due = !(k->flags & KIDS_NAMED);
            step(k);
        }
        return;
    }
    switch (s->state) {
    case REEVE_STATE_CONNECTED:
    case REEVE_STATE_READ_ONLY:
        k->waiting = false;
        kit_cancel(&k->again);
        if (s->renewed || k->over) {
            read_all(k);
        }
        k->over = false;
        k->list_due = !(k->flags & KIDS_NAMED);
        step(k);
        break;
    case REEVE_STATE_LOST:
    case REEVE_STATE_AUTH_FAILED:
    case REEVE_STATE_ENDED:
        k->over = true;
        say_stale(k, keep_why_final(k->o->zk));
        break;
    case REEVE_STATE_SUSPENDED:
        say_stale(k, REEVE_OK);
        break;
    case REEVE_STATE_CONNECTING:
        break;
    }
}
