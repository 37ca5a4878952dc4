// SPDX-License-Identifier: Apache-2.0
//
// Objects, messages, timers and requests of recipes; paths; sequence numbers. kit.h says what holds
// for them. kit_ensure() and seats are in kit_seat.c.
#include "recipes/kit.h"

#include <stdlib.h>
#include <string.h>

// ---- memory and paths ---------------------------------------------------------------------------

void *kit_alloc(const struct reeve *zk, size_t n)
{
    void *p = reeve_realloc(zk, NULL, n);
    return p ? memset(p, 0, n) : NULL;
}

void kit_free(const struct reeve *zk, void *p)
{
    if (p) {
        reeve_realloc(zk, p, 0);
    }
}

void *kit_bytes(const struct reeve *zk, const void *p, size_t n)
{
    char *copy = reeve_realloc(zk, NULL, n + 1);
    if (!copy) {
        return NULL;
    }
    if (n) {
        memcpy(copy, p, n);
    }
    copy[n] = 0;
    return copy;
}

char *kit_str(const struct reeve *zk, const char *s)
{
    return kit_bytes(zk, s, strlen(s));
}

char *kit_join(const struct reeve *zk, const char *parent, const char *name)
{
    size_t parent_n = strcmp(parent, "/") == 0 ? 0 : strlen(parent);
    size_t name_n = strlen(name);
    char *path = reeve_realloc(zk, NULL, parent_n + name_n + 2);
    if (!path) {
        return NULL;
    }
    memcpy(path, parent, parent_n);
    path[parent_n] = '/';
    memcpy(path + parent_n + 1, name, name_n + 1);
    return path;
}

const char *kit_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool part_ok(const char *part, size_t n)
{
    return n > 0 && !(n == 1 && part[0] == '.') && !(n == 2 && part[0] == '.' && part[1] == '.');
}

bool kit_path_ok(const char *path)
{
    if (!path || path[0] != '/') {
        return false;
    }
    while (path[1]) {
        size_t n = strcspn(path + 1, "/");
        if (!part_ok(path + 1, n)) {
            return false;
        }
        path += 1 + n;
        if (!path[0]) {
            return true;
        }
        if (!path[1]) {
            return false;
        }
    }
    return true;
}

bool kit_name_ok(const char *name)
{
    return name && !strchr(name, '/') && part_ok(name, strlen(name));
}

// ---- objects ------------------------------------------------------------------------------------

enum reeve_error kit_new(struct reeve *zk, const struct kit_class *class, struct kit_object **out)
{
    struct kit_object *o = kit_alloc(zk, class->size);
    *out = o;
    if (!o) {
        return REEVE_NO_MEMORY;
    }
    o->zk = zk;
    o->class = class;
    atomic_init(&o->refs, 1);
    return REEVE_OK;
}

static void free_acl(struct kit_object *o)
{
    for (size_t i = 0; i < o->acl_n; i++) {
        kit_free(o->zk, (void *)(uintptr_t)o->acl[i].scheme);
        kit_free(o->zk, (void *)(uintptr_t)o->acl[i].id);
    }
    kit_free(o->zk, o->acl);
}

enum reeve_error kit_set_acl(struct kit_object *o, const struct reeve_acl *acl, size_t n)
{
    if (!acl && !n) {
        return REEVE_OK;
    }
    bool ok = acl && n;
    for (size_t i = 0; ok && i < n; i++) {
        ok = acl[i].scheme && acl[i].id;
    }
    if (!ok) {
        return REEVE_BAD_ARGUMENTS;
    }
    o->acl = kit_alloc(o->zk, n * sizeof(*o->acl));
    o->acl_n = o->acl ? n : 0;
    ok = o->acl;
    for (size_t i = 0; ok && i < n; i++) {
        o->acl[i].perms = acl[i].perms;
        o->acl[i].scheme = kit_str(o->zk, acl[i].scheme);
        o->acl[i].id = kit_str(o->zk, acl[i].id);
        ok = o->acl[i].scheme && o->acl[i].id;
    }
    return ok ? REEVE_OK : REEVE_NO_MEMORY;
}

void kit_undo(struct kit_object *o)
{
    if (o->class->fini) {
        o->class->fini(o);
    }
    free_acl(o);
    kit_free(o->zk, o);
}

void kit_hold(struct kit_object *o)
{
    atomic_fetch_add(&o->refs, 1);
}

static void on_session(void *ctx, const struct reeve_session *s);

void kit_drop(struct kit_object *o)
{
    if (atomic_fetch_sub(&o->refs, 1) == 1) {
        reeve_unlisten(o->zk, on_session, o);
        kit_undo(o);
    }
}

// The handle's reference is given back here, so it happens once.
static void close_object(struct kit_object *o)
{
    o->closed = true;
    o->class->on_close(o);
    kit_drop(o);
}

static void on_session(void *ctx, const struct reeve_session *s)
{
    struct kit_object *o = ctx;
    kit_hold(o);
    o->ended |= s->state == REEVE_STATE_ENDED;
    if (o->class->on_session) {
        o->class->on_session(o, s);
    }
    if (atomic_exchange(&o->unsent, false) || (o->ended && !atomic_exchange(&o->closing, true))) {
        close_object(o);
    }
    kit_drop(o);
}

enum reeve_error kit_open(struct kit_object *o)
{
    return reeve_listen(o->zk, on_session, o);
}

static void on_close_message(void *ctx)
{
    close_object(ctx);
}

void kit_close(struct kit_object *o)
{
    if (!atomic_exchange(&o->closing, true) && reeve_post(o->zk, on_close_message, o)) {
        atomic_store(&o->unsent, true);
    }
}

bool kit_is_closing(const struct kit_object *o)
{
    return atomic_load(&o->closing);
}

enum reeve_error kit_why_closed(const struct kit_object *o)
{
    return o->ended ? REEVE_CLOSED : REEVE_CANCELLED;
}

bool kit_is_over(enum reeve_error e)
{
    return e == REEVE_SESSION_EXPIRED || e == REEVE_CLOSED || e == REEVE_AUTH_FAILED;
}

bool kit_is_transient(enum reeve_error e)
{
    return e == REEVE_CONNECTION_LOSS || e == REEVE_OPERATION_TIMEOUT || e == REEVE_SESSION_MOVED;
}

bool kit_is_for_now(enum reeve_error e)
{
    return e == REEVE_NO_MEMORY || e == REEVE_THROTTLED || e == REEVE_NOT_READ_ONLY ||
           e == REEVE_SYSTEM_ERROR;
}

// ---- messages and timers ------------------------------------------------------------------------

struct message {
    struct kit_object *o;
    kit_fn *fn;
    void *arg;
};

static void on_message(void *ctx)
{
    struct message m = *(struct message *)ctx;
    kit_free(m.o->zk, ctx);
    m.fn(m.o, m.arg);
    kit_drop(m.o);
}

enum reeve_error kit_send(struct kit_object *o, kit_fn *fn, void *arg)
{
    struct message *m = kit_alloc(o->zk, sizeof(*m));
    if (!m) {
        return REEVE_NO_MEMORY;
    }
    *m = (struct message){o, fn, arg};
    kit_hold(o);
    enum reeve_error e = reeve_post(o->zk, on_message, m);
    if (e) {
        kit_free(o->zk, m);
        kit_drop(o);
    }
    return e;
}

// A closing client calls all timers at once; its end is told, too, and on_close() sees to the rest.
static void on_timer(void *ctx)
{
    struct kit_timer *t = ctx;
    struct kit_object *o = t->o;
    t->on = false;
    if (reeve_now_ms(o->zk) >= t->due_ms) {
        t->fn(o, t->arg);
    }
    kit_drop(o);
}

enum reeve_error kit_start(struct kit_object *o, struct kit_timer *t, int64_t ms, kit_fn *fn,
                           void *arg)
{
    kit_cancel(t);
    int64_t now_ms = reeve_now_ms(o->zk);
    int64_t due_ms = ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + ms;
    *t = (struct kit_timer){.o = o, .fn = fn, .arg = arg, .due_ms = due_ms};
    enum reeve_error e = reeve_after(o->zk, ms, on_timer, t);
    if (e) {
        return e;
    }
    t->on = true;
    kit_hold(o);
    return REEVE_OK;
}

void kit_cancel(struct kit_timer *t)
{
    if (t->on && reeve_cancel(t->o->zk, on_timer, t)) {
        t->on = false;
        kit_drop(t->o);
    }
}

// ---- waiting ------------------------------------------------------------------------------------

enum reeve_error kit_wait_new(struct reeve *zk, struct kit_wait *w)
{
    return reeve_on_loop(zk) ? REEVE_WRONG_THREAD : reeve_gate_new(zk, &w->gate);
}

void kit_wait_open(struct kit_wait *w, enum reeve_error e)
{
    w->e = e;
    reeve_gate_open(w->gate);
}

void kit_wait_done(void *w, enum reeve_error e)
{
    kit_wait_open(w, e);
}

enum reeve_error kit_wait_end(struct kit_wait *w, enum reeve_error begun)
{
    if (!begun) {
        begun = reeve_gate_wait(w->gate);
        begun = begun ? begun : w->e;
    }
    reeve_gate_free(&w->gate);
    return begun;
}

// ---- requests -----------------------------------------------------------------------------------

struct request {
    struct kit_object *o;
    kit_result_fn *fn;
    void *arg;
};

static void on_result(void *ctx, const struct reeve_result *r)
{
    struct request q = *(struct request *)ctx;
    kit_free(q.o->zk, ctx);
    q.fn(q.o, q.arg, r);
    kit_drop(q.o);
}

static struct reeve_request with_acl(const struct kit_object *o, const struct reeve_request *q)
{
    struct reeve_request own = *q;
    if (q->op == REEVE_OP_CREATE && !q->acl) {
        own.acl = o->acl;
        own.acl_n = o->acl_n;
    }
    return own;
}

static enum reeve_error submit_multi(struct kit_object *o, const struct reeve_request *q,
                                     struct request *mine)
{
    struct reeve_request own = *q;
    struct reeve_request *parts = kit_alloc(o->zk, q->parts_n * sizeof(*parts));
    if (!parts) {
        return REEVE_NO_MEMORY;
    }
    for (size_t i = 0; i < q->parts_n; i++) {
        parts[i] = with_acl(o, &q->parts[i]);
    }
    own.parts = parts;
    enum reeve_error e = reeve_submit(o->zk, &own, on_result, mine);
    kit_free(o->zk, parts);
    return e;
}

enum reeve_error kit_submit(struct kit_object *o, const struct reeve_request *q, kit_result_fn *fn,
                            void *arg)
{
    struct request *mine = kit_alloc(o->zk, sizeof(*mine));
    if (!mine) {
        return REEVE_NO_MEMORY;
    }
    *mine = (struct request){o, fn, arg};
    kit_hold(o);
    struct reeve_request own = with_acl(o, q);
    enum reeve_error e = o->acl && q->op == REEVE_OP_MULTI
                             ? submit_multi(o, q, mine)
                             : reeve_submit(o->zk, &own, on_result, mine);
    if (e) {
        kit_free(o->zk, mine);
        kit_drop(o);
    }
    return e;
}

enum reeve_error kit_delete(struct kit_object *o, const char *parent, const char *name,
                            kit_result_fn *fn, void *arg)
{
    char *path = kit_join(o->zk, parent, name);
    struct reeve_request q = {.op = REEVE_OP_DELETE, .path = path, .version = REEVE_ANY_VERSION};
    enum reeve_error e = path ? kit_submit(o, &q, fn, arg) : REEVE_NO_MEMORY;
    kit_free(o->zk, path);
    return e;
}

// ---- sequence numbers ---------------------------------------------------------------------------

static const char *behind_last(const char *name, const char *marker)
{
    const char *behind = NULL;
    for (const char *at = name; (at = strstr(at, marker)); at++) {
        behind = at + strlen(marker);
    }
    return behind;
}

// The server writes "%010d" of a number of 32 bits: ten digits, or a minus and nine or ten.
bool kit_seq(const char *name, const char *marker, int32_t *seq)
{
    const char *at = behind_last(name, marker);
    if (!at) {
        return false;
    }
    bool minus = *at == '-';
    size_t n = strlen(at += minus);
    if (strspn(at, "0123456789") != n || n > 10 || n < 10 - (size_t)minus) {
        return false;
    }
    int64_t value = strtoll(at, NULL, 10);
    value = minus ? -value : value;
    *seq = (int32_t)value;
    return value == *seq;
}

int kit_seq_cmp(int32_t a, int32_t b)
{
    int32_t ahead = (int32_t)((uint32_t)a - (uint32_t)b);
    return (ahead > 0) - (ahead < 0);
}

static int older_first(const void *a, const void *b)
{
    return kit_seq_cmp(((const struct kit_entry *)a)->seq, ((const struct kit_entry *)b)->seq);
}

size_t kit_sort(const char *const *names, size_t n, const char *const *markers, size_t markers_n,
                struct kit_entry *out)
{
    size_t out_n = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t m = 0; m < markers_n; m++) {
            int32_t seq;
            if (kit_seq(names[i], markers[m], &seq)) {
                out[out_n++] = (struct kit_entry){.name = names[i], .seq = seq, .marker = (int)m};
                break;
            }
        }
    }
    qsort(out, out_n, sizeof(*out), older_first);
    return out_n;
}
