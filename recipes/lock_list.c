// SPDX-License-Identifier: Apache-2.0
#include "recipes/lock_list.h"

#include <stdlib.h>
#include <string.h>

struct asking {
    struct lock_list_want want;
    lock_list_fn *fn;
    void *arg;
    struct reeve_contenders *list;
    size_t next, open; // the next to be read; reads under way
    enum reeve_error e;
    char path[];
};

// One read, so that its answer knows whose it is.
struct reading {
    struct asking *a;
    struct reeve_contender *to;
};

void reeve_contenders_free(struct reeve_contenders **lp)
{
    struct reeve_contenders *l = *lp;
    *lp = NULL;
    if (!l) {
        return;
    }
    for (size_t i = 0; i < l->n; i++) {
        kit_free(l->zk, (void *)(uintptr_t)l->list[i].name);
        kit_free(l->zk, (void *)(uintptr_t)l->list[i].data);
    }
    kit_free(l->zk, l->list);
    kit_free(l->zk, l);
}

static void end(struct kit_object *o, struct asking *a)
{
    struct asking own = *a;
    kit_free(o->zk, a);
    if (own.e) {
        reeve_contenders_free(&own.list);
    }
    own.fn(o, own.arg, own.e, own.list);
}

// Those without data are gone.
static void sweep(struct reeve_contenders *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (l->list[i].data) {
            l->list[n++] = l->list[i];
        } else {
            kit_free(l->zk, (void *)(uintptr_t)l->list[i].name);
        }
    }
    l->n = n;
}

static void on_data(struct kit_object *o, void *arg, const struct reeve_result *r);

static enum reeve_error read_one(struct kit_object *o, struct asking *a, struct reeve_contender *to)
{
    char *path = kit_join(o->zk, a->path, to->name);
    struct reading *mine = kit_alloc(o->zk, sizeof(*mine));
    enum reeve_error e = REEVE_NO_MEMORY;
    if (path && mine) {
        *mine = (struct reading){a, to};
        struct reeve_request q = {.op = REEVE_OP_GET, .path = path};
        e = kit_submit(o, &q, on_data, mine);
    }
    if (e) {
        kit_free(o->zk, mine);
    }
    kit_free(o->zk, path);
    return e;
}

static void read_on(struct kit_object *o, struct asking *a)
{
    while (!a->e && a->next < a->list->n && a->open < LOCK_LIST_AHEAD) {
        struct reeve_contender *to = &a->list->list[a->next++];
        if (!to->data) {
            a->e = read_one(o, a, to);
            a->open += !a->e;
        }
    }
    if (!a->open) {
        if (!a->e) {
            sweep(a->list);
        }
        end(o, a);
    }
}

static void on_data(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct asking *a = ((struct reading *)arg)->a;
    struct reeve_contender *to = ((struct reading *)arg)->to;
    kit_free(o->zk, arg);
    a->open--;
    if (r->error == REEVE_OK) {
        to->data = kit_bytes(o->zk, r->data, r->data_len);
        to->data_len = r->data_len;
        to->token = r->stat.czxid;
        to->session = r->stat.ephemeral_owner;
        a->e = to->data ? a->e : REEVE_NO_MEMORY;
    } else if (r->error == REEVE_NO_AUTH && a->want.markers_n) { // it has its place in the line
        to->data = kit_bytes(o->zk, NULL, 0);
        a->e = to->data ? a->e : REEVE_NO_MEMORY;
    } else if (r->error != REEVE_NO_NODE && r->error != REEVE_NO_AUTH) {
        a->e = r->error;
    }
    read_on(o, a);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct kit_entry *)a)->name, ((const struct kit_entry *)b)->name);
}

static bool ends_with(const char *name, const char *ending)
{
    size_t name_n = strlen(name);
    size_t n = strlen(ending);
    return name_n >= n && strcmp(name + name_n - n, ending) == 0;
}

static size_t pick(const struct asking *a, const struct reeve_result *r, struct kit_entry *out)
{
    if (a->want.markers_n) {
        return kit_sort(r->children, r->children_n, a->want.markers, a->want.markers_n, out);
    }
    size_t n = 0;
    for (size_t i = 0; i < r->children_n; i++) {
        if (ends_with(r->children[i], a->want.ending ? a->want.ending : "")) {
            out[n++] = (struct kit_entry){.name = r->children[i], .marker = -2};
        }
    }
    qsort(out, n, sizeof(*out), by_name);
    return n;
}

static int by_contender(const void *a, const void *b)
{
    return strcmp(((const struct reeve_contender *)a)->name,
                  ((const struct reeve_contender *)b)->name);
}

struct reeve_contender *lock_list_find(const struct reeve_contenders *l, const char *name)
{
    struct reeve_contender key = {.name = name};
    return l && l->n ? bsearch(&key, l->list, l->n, sizeof(key), by_contender) : NULL;
}

// What is known of it already.
static enum reeve_error take_known(struct kit_object *o, const struct asking *a,
                                   struct reeve_contender *to)
{
    const struct reeve_contender *old = lock_list_find(a->want.known, to->name);
    if (!old || !old->data) {
        return REEVE_OK;
    }
    to->data = kit_bytes(o->zk, old->data, old->data_len);
    to->data_len = old->data_len;
    to->token = old->token;
    to->session = old->session;
    return to->data ? REEVE_OK : REEVE_NO_MEMORY;
}

static enum reeve_error keep_names(struct kit_object *o, struct asking *a,
                                   const struct reeve_result *r)
{
    struct reeve_contenders *l = a->list;
    struct kit_entry *entries = kit_alloc(o->zk, (r->children_n + 1) * sizeof(*entries));
    l->list = kit_alloc(o->zk, (r->children_n + 1) * sizeof(*l->list));
    size_t n = entries && l->list ? pick(a, r, entries) : 0;
    enum reeve_error e = entries && l->list ? REEVE_OK : REEVE_NO_MEMORY;
    for (size_t i = 0; i < n && !e; i++) {
        l->list[i].name = kit_str(o->zk, entries[i].name);
        l->list[i].shared = entries[i].marker == a->want.shared;
        l->n++;
        e = l->list[i].name ? take_known(o, a, &l->list[i]) : REEVE_NO_MEMORY;
    }
    kit_free(o->zk, entries);
    return e;
}

static void on_children(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct asking *a = arg;
    if (r->error == REEVE_OK) {
        a->e = keep_names(o, a, r);
    } else if (r->error != REEVE_NO_NODE) {
        a->e = r->error;
    }
    read_on(o, a);
}

enum reeve_error lock_list_ask(struct kit_object *o, const struct lock_list_want *want,
                               lock_list_fn *fn, void *arg)
{
    size_t n = strlen(want->path) + 1;
    struct asking *a = kit_alloc(o->zk, sizeof(*a) + n);
    struct reeve_contenders *l = kit_alloc(o->zk, sizeof(*l));
    enum reeve_error e = REEVE_NO_MEMORY;
    if (a && l) {
        *a = (struct asking){.want = *want, .fn = fn, .arg = arg, .list = l};
        l->zk = o->zk;
        memcpy(a->path, want->path, n);
        struct reeve_request q = {.op = REEVE_OP_CHILDREN, .path = a->path};
        e = kit_submit(o, &q, on_children, a);
    }
    if (e) {
        kit_free(o->zk, a);
        kit_free(o->zk, l);
    }
    return e;
}

// ---- for the public functions -------------------------------------------------------------------

struct asked {
    reeve_contenders_fn *done;
    void *ctx;
};

static void on_list(struct kit_object *o, void *arg, enum reeve_error e,
                    struct reeve_contenders *list)
{
    struct asked asked = *(struct asked *)arg;
    kit_free(o->zk, arg);
    asked.done(asked.ctx, e, list);
    reeve_contenders_free(&list);
}

enum reeve_error lock_list_async(struct kit_object *o, const struct lock_list_want *want,
                                 reeve_contenders_fn *done, void *ctx)
{
    struct asked *asked = kit_alloc(o->zk, sizeof(*asked));
    if (!asked) {
        return REEVE_NO_MEMORY;
    }
    *asked = (struct asked){done, ctx};
    enum reeve_error e = lock_list_ask(o, want, on_list, asked);
    if (e) {
        kit_free(o->zk, asked);
    }
    return e;
}

struct list_wait {
    struct kit_wait wait;
    struct reeve_contenders **list;
};

static void on_list_waited(struct kit_object *o, void *arg, enum reeve_error e,
                           struct reeve_contenders *list)
{
    (void)o;
    struct list_wait *w = arg;
    *w->list = list;
    kit_wait_open(&w->wait, e);
}

enum reeve_error lock_list_wait(struct kit_object *o, const struct lock_list_want *want,
                                struct reeve_contenders **list)
{
    struct list_wait w = {.list = list};
    *list = NULL;
    enum reeve_error e = kit_wait_new(o->zk, &w.wait);
    return e ? e : kit_wait_end(&w.wait, lock_list_ask(o, want, on_list_waited, &w));
}
