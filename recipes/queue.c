// SPDX-License-Identifier: Apache-2.0
//
// A queue's layouts, its life, and what goes in. Puts of layouts with locks go through a ledger,
// which finds out what became of them when the answer is lost; the others have no place for one.

#include <stdio.h>
#include <string.h>

#include "recipes/queue_state.h"

static const struct queue_layout layouts[] = {
    [REEVE_QUEUE_LOCKING] = {.locks = true,
                             .inside = true,
                             .prefix = "entry-",
                             .priority_max = 999,
                             .by_priority = true},
    [REEVE_QUEUE_KAZOO] = {.prefix = "entry-", .priority_max = 999, .by_priority = true},
    [REEVE_QUEUE_SIMPLE] = {.prefix = "qn-", .priority_min = INT32_MIN, .priority_max = INT32_MAX},
    [REEVE_QUEUE_CURATOR] = {.locks = true,
                             .coded = true,
                             .prefix = "queue-",
                             .priority_min = INT32_MIN,
                             .priority_max = INT32_MAX},
    [REEVE_QUEUE_CURATOR_PRIORITY] = {.locks = true,
                                      .coded = true,
                                      .prefix = "queue-",
                                      .priority_min = INT32_MIN,
                                      .priority_max = INT32_MAX,
                                      .by_priority = true},
};

struct put {
    struct ledger_write write; // first
    struct put *next;          // of those held back
    struct reeve_queue *q;
    reeve_queue_done_fn *done;
    void *ctx;
    char *path;                    // of all parts, without the number
    struct reeve_queue_data *data; // encoded copies
    size_t n;
    bool made_dirs;
    struct reeve_request parts[];
};

// ---- the nodes that entries and locks live in ---------------------------------------------------

// Persistent ones: the foreign programs make them once and rely on them, so they must not vanish
// whenever the queue is empty. That of the ledgers comes last, so that what is above it is there;
// it is ours alone, and a container.
struct dirs {
    struct reeve_queue *q;
    const char *ours;
    size_t at;
    char *parent;
    kit_done_fn *done;
    void *arg;
};

static void next_dir(struct dirs *d);

static void dirs_done(struct dirs *d, enum reeve_error e)
{
    struct reeve_queue *q = d->q;
    kit_done_fn *done = d->done;
    void *arg = d->arg;
    kit_free(q->o.zk, d->parent);
    kit_free(q->o.zk, d);
    done(&q->o, arg, e);
}

static const char *dir_at(const struct reeve_queue *q, size_t i)
{
    return i == 0 ? q->entries : i == 1 ? q->locks : NULL;
}

static void on_dir(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct dirs *d = arg;
    if (r->error == REEVE_OK || r->error == REEVE_NODE_EXISTS) {
        d->at++;
        next_dir(d);
    } else if (kit_is_transient(r->error) || r->error == REEVE_NO_NODE) {
        next_dir(d);
    } else {
        dirs_done(d, r->error);
    }
}

static void on_parents(struct kit_object *o, void *arg, enum reeve_error e)
{
    struct dirs *d = arg;
    if (!e) {
        struct reeve_request q = {.op = REEVE_OP_CREATE, .path = dir_at(d->q, d->at)};
        e = kit_submit(o, &q, on_dir, d);
    }
    if (e) {
        dirs_done(d, e);
    }
}

static void on_ours(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    dirs_done(arg, e);
}

static void last_dir(struct dirs *d)
{
    enum reeve_error e = d->ours ? kit_ensure(&d->q->o, d->ours, on_ours, d) : REEVE_OK;
    if (e || !d->ours) {
        dirs_done(d, e);
    }
}

static void next_dir(struct dirs *d)
{
    const char *dir = dir_at(d->q, d->at);
    if (!dir) {
        last_dir(d);
        return;
    }
    kit_free(d->q->o.zk, d->parent);
    size_t n = (size_t)(kit_name(dir) - dir) - 1;
    d->parent = kit_bytes(d->q->o.zk, dir, n ? n : 1);
    enum reeve_error e = d->parent ? REEVE_OK : REEVE_NO_MEMORY;
    if (!e && n == 0) {
        on_parents(&d->q->o, d, REEVE_OK);
        return;
    }
    e = e ? e : kit_ensure(&d->q->o, d->parent, on_parents, d);
    if (e) {
        dirs_done(d, e);
    }
}

// The first node is begun here; done() may be called from inside only with an error.
enum reeve_error queue_make_dirs(struct reeve_queue *q, const char *ours, kit_done_fn *done,
                                 void *arg)
{
    struct dirs *d = kit_alloc(q->o.zk, sizeof(*d));
    if (!d) {
        return REEVE_NO_MEMORY;
    }
    *d = (struct dirs){.q = q, .ours = ours, .done = done, .arg = arg};
    next_dir(d);
    return REEVE_OK;
}

// ---- putting ------------------------------------------------------------------------------------

static void free_put(struct put *p)
{
    struct reeve *zk = p->q->o.zk;
    for (size_t i = 0; p->data && i < p->n; i++) {
        kit_free(zk, (void *)p->data[i].data);
    }
    kit_free(zk, p->data);
    kit_free(zk, p->path);
    kit_free(zk, p);
}

static void put_done(struct put *p, enum reeve_error e)
{
    reeve_queue_done_fn *done = p->done;
    void *ctx = p->ctx;
    free_put(p);
    done(ctx, e);
}

static void send_put(struct put *p);

static void on_put_dirs(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)arg;
    struct reeve_queue *q = (struct reeve_queue *)o;
    struct put *next;
    struct put *p = q->held;
    q->held = NULL;
    for (; p; p = next) {
        next = p->next;
        if (e || o->closed) {
            put_done(p, o->closed ? kit_why_closed(o) : e);
        } else {
            send_put(p);
        }
    }
}

// Until the nodes are there; what comes meanwhile waits behind it.
static void hold_back(struct put *p)
{
    struct reeve_queue *q = p->q;
    bool first = !q->held;
    struct put **end = &q->held;
    while (*end) {
        end = &(*end)->next;
    }
    *end = p;
    p->next = NULL;
    enum reeve_error e = first ? queue_make_dirs(q, q->producers, on_put_dirs, NULL) : REEVE_OK;
    if (e) {
        on_put_dirs(&q->o, NULL, e);
    }
}

static void put_answered(struct put *p, enum reeve_error e)
{
    if (e == REEVE_NO_NODE && !p->made_dirs && !p->q->o.closed) {
        p->made_dirs = true;
        hold_back(p);
    } else if (e == REEVE_NO_NODE && p->q->o.closed) {
        put_done(p, kit_why_closed(&p->q->o));
    } else {
        put_done(p, e);
    }
}

static void on_ledger(struct kit_object *o, struct ledger_write *w, enum reeve_error e,
                      const struct reeve_result *parts)
{
    (void)o, (void)parts;
    put_answered((struct put *)w, e);
}

static void on_put(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    put_answered(arg, r->error);
}

static void send_put(struct put *p)
{
    struct reeve_queue *q = p->q;
    if (q->layout->locks) {
        p->write = (struct ledger_write){.parts = p->parts, .parts_n = p->n, .done = on_ledger};
        ledger_write(&q->ledger, &p->write);
    } else {
        struct reeve_request multi = {.op = REEVE_OP_MULTI, .parts = p->parts, .parts_n = p->n};
        enum reeve_error e = kit_submit(&q->o, p->n == 1 ? p->parts : &multi, on_put, p);
        if (e) {
            put_done(p, e);
        }
    }
}

static void begin_put(struct kit_object *o, void *arg)
{
    struct put *p = arg;
    if (o->closed) {
        put_done(p, kit_why_closed(o));
    } else if (p->q->held) {
        hold_back(p);
    } else {
        send_put(p);
    }
}

static void put_u32(uint8_t *p, uint32_t u)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(u >> (24 - 8 * i));
    }
}

// What the node holds for an item of the user's.
static bool encode(const struct reeve_queue *q, const struct reeve_queue_data *in,
                   struct reeve_queue_data *out)
{
    if (!q->layout->coded) {
        out->len = in->len;
        out->data = kit_bytes(q->o.zk, in->data, in->data ? in->len : 0);
        return out->data;
    }
    uint8_t *p = kit_alloc(q->o.zk, in->len + 10);
    if (!p) {
        return false;
    }
    put_u32(p, 0x00010001);
    p[4] = 1;
    put_u32(p + 5, (uint32_t)in->len);
    if (in->len) {
        memcpy(p + 9, in->data, in->len);
    }
    p[9 + in->len] = 2;
    *out = (struct reeve_queue_data){p, in->len + 10};
    return true;
}

static char *path_for(const struct reeve_queue *q, int32_t priority)
{
    char digits[16] = "", name[40];
    if (q->layout->by_priority && q->layout->coded) {
        snprintf(digits, sizeof(digits), "%d%08X", priority >= 0, (unsigned)priority);
    } else if (q->layout->by_priority) {
        snprintf(digits, sizeof(digits), "%03d-", (int)priority);
    }
    snprintf(name, sizeof(name), "%s%s", q->layout->prefix, digits);
    return kit_join(q->o.zk, q->entries, name);
}

static struct put *new_put(struct reeve_queue *q, const struct reeve_queue_data *items, size_t n,
                           int32_t priority)
{
    struct put *p = kit_alloc(q->o.zk, sizeof(*p) + n * sizeof(p->parts[0]));
    if (!p) {
        return NULL;
    }
    p->q = q;
    p->n = n;
    p->path = path_for(q, priority);
    p->data = kit_alloc(q->o.zk, n * sizeof(*p->data));
    bool all = p->path && p->data;
    for (size_t i = 0; all && i < n; i++) {
        all = encode(q, &items[i], &p->data[i]);
        p->parts[i] = (struct reeve_request){.op = REEVE_OP_CREATE,
                                             .path = p->path,
                                             .data = p->data[i].data,
                                             .data_len = p->data[i].len,
                                             .flags = REEVE_SEQUENTIAL};
    }
    if (!all) {
        free_put(p);
        return NULL;
    }
    return p;
}

enum reeve_error reeve_queue_put_many_async(struct reeve_queue *q,
                                            const struct reeve_queue_data *items, size_t n,
                                            int32_t priority, reeve_queue_done_fn *done, void *ctx)
{
    if (!n || !items || priority < q->layout->priority_min || priority > q->layout->priority_max) {
        return REEVE_BAD_ARGUMENTS;
    }
    for (size_t i = 0; i < n; i++) {
        if (items[i].len > INT32_MAX || (!items[i].data && items[i].len)) {
            return REEVE_BAD_ARGUMENTS;
        }
    }
    struct put *p = new_put(q, items, n, priority);
    if (!p) {
        return REEVE_NO_MEMORY;
    }
    p->done = done;
    p->ctx = ctx;
    enum reeve_error e = kit_send(&q->o, begin_put, p);
    if (e) {
        free_put(p);
    }
    return e;
}

enum reeve_error reeve_queue_put_many(struct reeve_queue *q, const struct reeve_queue_data *items,
                                      size_t n, int32_t priority)
{
    struct kit_wait w;
    enum reeve_error e = kit_wait_new(q->o.zk, &w);
    return e ? e
             : kit_wait_end(&w,
                            reeve_queue_put_many_async(q, items, n, priority, kit_wait_done, &w));
}

enum reeve_error reeve_queue_put_async(struct reeve_queue *q, const void *data, size_t len,
                                       int32_t priority, reeve_queue_done_fn *done, void *ctx)
{
    struct reeve_queue_data item = {data, len};
    return reeve_queue_put_many_async(q, &item, 1, priority, done, ctx);
}

enum reeve_error reeve_queue_put(struct reeve_queue *q, const void *data, size_t len,
                                 int32_t priority)
{
    struct reeve_queue_data item = {data, len};
    return reeve_queue_put_many(q, &item, 1, priority);
}

// ---- taking -------------------------------------------------------------------------------------

static void begin_take(struct kit_object *o, void *arg)
{
    struct queue_take *take = arg;
    if (o->closed) {
        take->done(take->ctx, kit_why_closed(o), NULL);
        kit_free(o->zk, take);
    } else {
        queue_take_begin((struct reeve_queue *)o, take);
    }
}

enum reeve_error reeve_queue_take_async(struct reeve_queue *q, int64_t timeout_ms,
                                        reeve_queue_take_fn *done, void *ctx)
{
    struct queue_take *take = kit_alloc(q->o.zk, sizeof(*take));
    if (!take) {
        return REEVE_NO_MEMORY;
    }
    take->q = q;
    take->timeout_ms = timeout_ms;
    take->done = done;
    take->ctx = ctx;
    enum reeve_error e = kit_send(&q->o, begin_take, take);
    if (e) {
        kit_free(q->o.zk, take);
    }
    return e;
}

struct waiting_take {
    struct kit_wait wait;
    struct reeve_queue_item *item;
};

static void on_take(void *ctx, enum reeve_error e, struct reeve_queue_item *item)
{
    struct waiting_take *w = ctx;
    w->item = item;
    kit_wait_open(&w->wait, e);
}

enum reeve_error reeve_queue_take(struct reeve_queue *q, int64_t timeout_ms,
                                  struct reeve_queue_item **item)
{
    struct waiting_take w = {.item = NULL};
    *item = NULL;
    enum reeve_error e = kit_wait_new(q->o.zk, &w.wait);
    if (!e) {
        e = kit_wait_end(&w.wait, reeve_queue_take_async(q, timeout_ms, on_take, &w));
        *item = w.item;
    }
    return e;
}

// ---- looking ------------------------------------------------------------------------------------

struct count {
    reeve_queue_count_fn *done;
    void *ctx;
};

static void on_count(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct count c = *(struct count *)arg;
    kit_free(o->zk, arg);
    uint32_t n = r->error ? 0 : (uint32_t)r->stat.num_children;
    c.done(c.ctx, r->error == REEVE_NO_NODE ? REEVE_OK : r->error, n);
}

static void begin_count(struct kit_object *o, void *arg)
{
    struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = ((struct reeve_queue *)o)->entries};
    enum reeve_error e = o->closed ? kit_why_closed(o) : kit_submit(o, &q, on_count, arg);
    if (e) {
        struct reeve_result failed = {.error = e};
        on_count(o, arg, &failed);
    }
}

enum reeve_error reeve_queue_length_async(struct reeve_queue *q, reeve_queue_count_fn *done,
                                          void *ctx)
{
    struct count *c = kit_alloc(q->o.zk, sizeof(*c));
    if (!c) {
        return REEVE_NO_MEMORY;
    }
    *c = (struct count){done, ctx};
    enum reeve_error e = kit_send(&q->o, begin_count, c);
    if (e) {
        kit_free(q->o.zk, c);
    }
    return e;
}

struct waiting_count {
    struct kit_wait wait;
    uint32_t n;
};

static void on_length(void *ctx, enum reeve_error e, uint32_t n)
{
    struct waiting_count *w = ctx;
    w->n = n;
    kit_wait_open(&w->wait, e);
}

enum reeve_error reeve_queue_length(struct reeve_queue *q, uint32_t *n)
{
    struct waiting_count w = {.n = 0};
    enum reeve_error e = kit_wait_new(q->o.zk, &w.wait);
    if (!e) {
        e = kit_wait_end(&w.wait, reeve_queue_length_async(q, on_length, &w));
    }
    *n = w.n;
    return e;
}

// One try: the lowest name of a list, and its data. NO_NODE with *empty: there was none.
static enum reeve_error peek_once(struct reeve_queue *q, struct reeve_result *r, bool *empty)
{
    struct reeve_result list;
    size_t prefix = strlen(q->layout->prefix);
    const char *lowest = NULL;
    enum reeve_error e = reeve_children(q->o.zk, q->entries, NULL, &list);
    for (size_t i = 0; !e && i < list.children_n; i++) {
        const char *name = list.children[i];
        bool ours = strncmp(name, q->layout->prefix, prefix) == 0;
        lowest = ours && (!lowest || strcmp(name, lowest) < 0) ? name : lowest;
    }
    char *path = lowest ? kit_join(q->o.zk, q->entries, lowest) : NULL;
    *empty = !lowest;
    *r = (struct reeve_result){.error = REEVE_NO_NODE, .path = "", .why = ""};
    if (path) {
        e = reeve_get(q->o.zk, path, NULL, r);
        kit_free(q->o.zk, path);
    } else if (!e) {
        e = lowest ? REEVE_NO_MEMORY : REEVE_NO_NODE;
    }
    reeve_result_fini(&list);
    return e;
}

enum reeve_error reeve_queue_peek(struct reeve_queue *q, struct reeve_result *r)
{
    bool empty;
    enum reeve_error e = peek_once(q, r, &empty);
    while (e == REEVE_NO_NODE && !empty) { // it was taken in between
        reeve_result_fini(r);
        e = peek_once(q, r, &empty);
    }
    return e;
}

// ---- life ---------------------------------------------------------------------------------------

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    if (s->state == REEVE_STATE_LOST || s->state == REEVE_STATE_AUTH_FAILED) {
        queue_items_lost(q);
    }
    q->session = s->id;
    ledger_on_session(&q->ledger, s);
    queue_take_on_session(q, s);
    if (s->state == REEVE_STATE_ENDED) {
        queue_items_end(q);
    }
}

static void on_close(struct kit_object *o)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    queue_take_close(q);
    ledger_close(&q->ledger);
}

static void fini(struct kit_object *o)
{
    struct reeve_queue *q = (struct reeve_queue *)o;
    char *own[] = {q->path, q->entries, q->locks, q->waiting, q->producers, q->before};
    ledger_fini(&q->ledger);
    kit_seat_fini(&q->seat);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        kit_free(o->zk, own[i]);
    }
}

static const struct kit_class queue_class = {
    .size = sizeof(struct reeve_queue),
    .on_session = on_session,
    .on_close = on_close,
    .fini = fini,
};

// Members that need memory. fini() frees what there is.
static enum reeve_error make(struct reeve_queue *q, const char *path)
{
    struct reeve *zk = q->o.zk;
    const char *side = q->layout->inside ? path : q->opt.lock_path;
    q->path = kit_str(zk, path);
    q->entries = q->layout->inside ? kit_join(zk, path, "entries") : kit_str(zk, path);
    if (!q->path || !q->entries) {
        return REEVE_NO_MEMORY;
    }
    if (!q->layout->locks) {
        return REEVE_OK;
    }
    q->locks = q->layout->inside ? kit_join(zk, path, "taken") : kit_str(zk, side);
    q->waiting = kit_join(zk, side, "waiting");
    q->producers = kit_join(zk, side, "producers");
    return q->locks && q->waiting && q->producers ? REEVE_OK : REEVE_NO_MEMORY;
}

static bool options_ok(const char *path, const struct reeve_queue_options *o)
{
    const struct queue_layout *layout = &layouts[o->layout];
    bool needs_lock_path = layout->locks && !layout->inside;
    return path && kit_path_ok(path) && path[1] && needs_lock_path == (o->lock_path != NULL) &&
           (!o->lock_path || (kit_path_ok(o->lock_path) && o->lock_path[1]));
}

enum reeve_error reeve_queue_new(struct reeve_queue **qp, struct reeve *zk, const char *path,
                                 const struct reeve_queue_options *options)
{
    struct reeve_queue_options o = options ? *options : (struct reeve_queue_options){0};
    *qp = NULL;
    if ((size_t)o.layout >= sizeof(layouts) / sizeof(layouts[0]) || !options_ok(path, &o)) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &queue_class, &object);
    if (e) {
        return e;
    }
    struct reeve_queue *q = (struct reeve_queue *)object;
    q->opt = o;
    q->layout = &layouts[o.layout];
    q->end = &q->first;
    kit_seat_init(&q->seat, object);
    q->seat.no_parents = true;
    e = make(q, path);
    ledger_init(&q->ledger, object, q->producers);
    e = e ? e : kit_set_acl(object, o.acl, o.acl_n);
    e = e ? e : kit_open(object);
    if (e) {
        kit_undo(object);
        return e;
    }
    q->opt.lock_path = NULL; // borrowed only until here
    q->opt.acl = NULL;
    *qp = q;
    return REEVE_OK;
}

void reeve_queue_free(struct reeve_queue **qp)
{
    struct reeve_queue *q = *qp;
    *qp = NULL;
    if (q) {
        kit_close(&q->o);
    }
}
