// SPDX-License-Identifier: Apache-2.0
//
// kit_ensure() and seats: nodes that are made although connections are lost in the middle.
//
// A seat is a row of steps, each one request: create, and where that went wrong sync, children and
// exists to find out; delete to leave, and where there is doubt sync, children, exists and delete
// once more. A step that must happen but could not be asked for stays
// `step` and is tried again. Everything ends in took() or left().
#include <string.h>

#include "recipes/kit.h"

// ---- a node and its parents ---------------------------------------------------------------------

// From the whole path up to the first parent that is there, and down again. `at` is the length of
// the part of path that is being made; `cut` is the character that stands behind it.
struct ensure {
    struct kit_object *o;
    kit_done_fn *done;
    void *arg;
    size_t n, at;
    unsigned flags;
    bool looking;
    char path[];
};

static void ensure_on_result(struct kit_object *o, void *arg, const struct reeve_result *r);

static enum reeve_error ensure_ask(struct ensure *en)
{
    char cut = en->path[en->at];
    en->path[en->at] = 0;
    struct reeve_request q = {.op = en->looking ? REEVE_OP_EXISTS : REEVE_OP_CREATE,
                              .path = en->path,
                              .data = en->looking ? NULL : "",
                              .flags = en->looking ? 0 : en->flags};
    enum reeve_error e = kit_submit(en->o, &q, ensure_on_result, en);
    en->path[en->at] = cut;
    return e;
}

static void ensure_end(struct ensure *en, enum reeve_error e)
{
    struct kit_object *o = en->o;
    kit_done_fn *done = en->done;
    void *arg = en->arg;
    kit_free(o->zk, en);
    done(o, arg, e);
}

// True: it is over, *e says how.
static bool ensure_learn(struct ensure *en, enum reeve_error *e)
{
    bool looked = en->looking;
    en->looking = false;
    if (*e == REEVE_OK || *e == REEVE_NODE_EXISTS) {
        *e = REEVE_OK;
        if (en->at == en->n) {
            return true;
        }
        en->at += 1 + strcspn(en->path + en->at + 1, "/");
        return false;
    }
    if (*e == REEVE_NO_NODE) {
        while (!looked && en->at > 0 && en->path[--en->at] != '/') {
        }
        return en->at == 0;
    }
    if (*e == REEVE_UNIMPLEMENTED && en->flags == REEVE_CONTAINER) {
        en->flags = REEVE_PERSISTENT;
        return false;
    }
    en->looking = looked;
    return !kit_is_transient(*e);
}

static void ensure_on_result(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct ensure *en = arg;
    enum reeve_error e = o->ended ? REEVE_CLOSED : r->error;
    if (ensure_learn(en, &e) || (e = ensure_ask(en))) {
        ensure_end(en, e);
    }
}

static enum reeve_error ensure(struct kit_object *o, const char *path, unsigned flags,
                               kit_done_fn *done, void *arg)
{
    size_t n = strlen(path);
    struct ensure *en = kit_alloc(o->zk, sizeof(*en) + n + 1);
    if (!en) {
        return REEVE_NO_MEMORY;
    }
    *en = (struct ensure){.o = o, .done = done, .arg = arg, .n = n, .at = n};
    en->flags = flags;
    en->looking = true;
    memcpy(en->path, path, n + 1);
    enum reeve_error e = ensure_ask(en);
    if (e) {
        kit_free(o->zk, en);
    }
    return e;
}

enum reeve_error kit_ensure(struct kit_object *o, const char *path, kit_done_fn *done, void *arg)
{
    return ensure(o, path, REEVE_CONTAINER, done, arg);
}

enum reeve_error kit_ensure_plain(struct kit_object *o, const char *path, kit_done_fn *done,
                                  void *arg)
{
    return ensure(o, path, REEVE_PERSISTENT, done, arg);
}

// ---- names --------------------------------------------------------------------------------------

enum { GUID_LEN = 32, SEQ_LEN_MAX = 11 };

char *kit_name_curator(struct reeve *zk, const char *base)
{
    static const char form[] = "_c_xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx-";
    size_t base_n = strlen(base);
    char *name = kit_alloc(zk, sizeof(form) + base_n);
    if (!name) {
        return NULL;
    }
    char guid[GUID_LEN + 1];
    reeve_guid(zk, guid);
    const char *digit = guid;
    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        name[i] = form[i] == 'x' ? *digit++ : form[i];
    }
    memcpy(name + sizeof(form) - 1, base, base_n + 1);
    return name;
}

char *kit_name_kazoo(struct reeve *zk, const char *base)
{
    size_t base_n = strlen(base);
    char *name = kit_alloc(zk, GUID_LEN + base_n + 1);
    if (name) {
        reeve_guid(zk, name);
        memcpy(name + GUID_LEN, base, base_n + 1);
    }
    return name;
}

// ---- seats: ends --------------------------------------------------------------------------------

static void step_create(struct kit_seat *s);
static void step_sync(struct kit_seat *s);
static void step_children(struct kit_seat *s);
static void step_exists(struct kit_seat *s);
static void step_delete(struct kit_seat *s);

static bool ephemeral(const struct kit_seat *s)
{
    return s->flags & REEVE_EPHEMERAL;
}

static bool sequential(const struct kit_seat *s)
{
    return s->flags & REEVE_SEQUENTIAL;
}

static int64_t session_now(const struct kit_seat *s)
{
    struct reeve_session session;
    reeve_get_session(s->o->zk, &session);
    return session.id;
}

static bool in_doubt(const struct kit_seat *s)
{
    return s->doubt && s->doubt == session_now(s);
}

static void empty(struct kit_seat *s)
{
    s->state = KIT_SEAT_EMPTY;
    s->maybe = false;
    s->leaving = false;
    s->sweeping = false;
    kit_cancel(&s->again);
}

static void left(struct kit_seat *s, enum reeve_error e)
{
    kit_done_fn *fn = s->left;
    s->left = NULL;
    empty(s);
    if (fn) {
        fn(s->o, s->left_arg, e);
    }
}

// Whoever wanted to leave is told behind whoever wanted to take.
static void took(struct kit_seat *s, enum reeve_error e)
{
    kit_done_fn *fn = s->taken;
    bool leaving = s->leaving;
    bool gone = !s->maybe || (ephemeral(s) && kit_is_over(e));
    kit_hold(s->o);
    s->taken = NULL;
    s->maybe = false;
    s->leaving = false;
    s->state = e && !leaving ? KIT_SEAT_EMPTY : leaving ? KIT_SEAT_LEAVING : KIT_SEAT_TAKEN;
    fn(s->o, s->taken_arg, leaving ? REEVE_CANCELLED : e);
    if (leaving && e) {
        left(s, gone ? REEVE_OK : e);
    } else if (leaving && s->state == KIT_SEAT_LEAVING) {
        step_delete(s);
    }
    kit_drop(s->o);
}

static void finish(struct kit_seat *s, enum reeve_error e)
{
    if (s->state == KIT_SEAT_TAKING) {
        took(s, e);
    } else {
        left(s, ephemeral(s) && kit_is_over(e) ? REEVE_OK : e);
    }
}

// ---- seats: requests ----------------------------------------------------------------------------

static void on_again(struct kit_object *o, void *arg)
{
    (void)o;
    kit_seat_poke(arg);
}

static void later(struct kit_seat *s)
{
    (void)kit_start(s->o, &s->again, KIT_AGAIN_MS, on_again, s); // else the session's next change
}

// Whether this must not end with an answer that is none: a node of ours is there, or may be.
static bool unresolved(const struct kit_seat *s)
{
    return s->maybe || s->state == KIT_SEAT_LEAVING;
}

static enum reeve_error ask(struct kit_seat *s, const struct reeve_request *q, kit_result_fn *fn)
{
    enum reeve_error e = kit_submit(s->o, q, fn, s);
    s->busy = !e;
    return e;
}

static void ask_or_end(struct kit_seat *s, const struct reeve_request *q, kit_result_fn *fn)
{
    enum reeve_error e = ask(s, q, fn);
    if (e == REEVE_NO_MEMORY && unresolved(s)) {
        later(s);
    } else if (e) {
        finish(s, e);
    }
}

static void go(struct kit_seat *s, void (*step)(struct kit_seat *))
{
    s->step = step;
    step(s);
}

void kit_seat_poke(struct kit_seat *s)
{
    if (s->step && !s->busy && unresolved(s)) {
        kit_cancel(&s->again);
        s->step(s);
    }
}

// The path is a node's that was there. Reeve's observer masters refuse a client so, for a moment,
// whose session they believe elsewhere.
static bool strange(const struct kit_seat *s, enum reeve_error e)
{
    return s->state == KIT_SEAT_LEAVING && e == REEVE_BAD_ARGUMENTS;
}

// What an error means that is not of the step's own; the step's request is answered.
static void fail(struct kit_seat *s, enum reeve_error e)
{
    bool lasting = !ephemeral(s) && e == REEVE_SESSION_EXPIRED && unresolved(s);
    if (kit_is_transient(e) || (lasting && !s->o->ended)) {
        s->step(s);
    } else if (unresolved(s) && (kit_is_for_now(e) || strange(s, e))) {
        later(s);
    } else {
        finish(s, e);
    }
}

// ---- seats: taking ------------------------------------------------------------------------------

static void keep(struct kit_seat *s, const struct reeve_stat *stat)
{
    s->czxid = stat->czxid;
    s->session = stat->ephemeral_owner;
    took(s, REEVE_OK);
}

// The path that the steps are about.
static char *subject(const struct kit_seat *s)
{
    return s->sweeping ? s->late : s->path;
}

static bool set_path(struct kit_seat *s, const char *name)
{
    char *path = subject(s);
    size_t parent_n = strcmp(s->parent, "/") == 0 ? 0 : strlen(s->parent);
    size_t name_n = strlen(name);
    if (name_n > strlen(s->name) + SEQ_LEN_MAX) {
        return false;
    }
    memcpy(path, s->parent, parent_n);
    path[parent_n] = '/';
    memcpy(path + parent_n + 1, name, name_n + 1);
    return true;
}

static void on_parents(struct kit_object *o, void *arg, enum reeve_error e)
{
    (void)o;
    struct kit_seat *s = arg;
    s->busy = false;
    if (e || s->leaving) {
        finish(s, e ? e : REEVE_CANCELLED);
    } else {
        go(s, step_create);
    }
}

static void make_parents(struct kit_seat *s)
{
    unsigned flags = s->plain_parents ? REEVE_PERSISTENT : REEVE_CONTAINER;
    enum reeve_error e = ensure(s->o, s->parent, flags, on_parents, s);
    s->busy = !e;
    if (e) {
        finish(s, e);
    }
}

// Also when it was the answer that found no memory.
static bool may_be_there(const struct kit_seat *s, const struct reeve_result *r)
{
    bool lost = kit_is_transient(r->error) || (!ephemeral(s) && r->error == REEVE_SESSION_EXPIRED);
    return (r->maybe_done && lost) || r->error == REEVE_NO_MEMORY || r->error == REEVE_MALFORMED;
}

static void on_created(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct kit_seat *s = arg;
    s->busy = false;
    if (r->error == REEVE_OK) {
        s->maybe = true;
        if (!set_path(s, kit_name(r->created))) {
            finish(s, REEVE_MALFORMED);
        } else if (r->has_stat) {
            keep(s, &r->stat);
        } else {
            go(s, step_exists);
        }
    } else if (may_be_there(s, r)) {
        s->maybe = true;
        go(s, step_sync);
    } else if (r->error == REEVE_NODE_EXISTS && !sequential(s) && in_doubt(s)) {
        s->maybe = true; // the one that was lost, made late
        go(s, step_exists);
    } else if (s->leaving) {
        finish(s, r->error);
    } else if (r->error == REEVE_NO_NODE && !s->no_parents) {
        make_parents(s);
    } else {
        fail(s, r->error);
    }
}

static struct reeve_request create_request(const struct kit_seat *s)
{
    return (struct reeve_request){.op = REEVE_OP_CREATE,
                                  .path = s->path,
                                  .data = s->data,
                                  .data_len = s->data_len,
                                  .flags = s->flags};
}

static void step_create(struct kit_seat *s)
{
    s->maybe = false;
    (void)set_path(s, s->name);
    struct reeve_request q = create_request(s);
    ask_or_end(s, &q, on_created);
}

// ---- seats: finding out -------------------------------------------------------------------------

// Nothing is there: made again, unless it is not wanted any more.
static void absent(struct kit_seat *s)
{
    s->doubt = s->maybe ? session_now(s) : s->doubt;
    s->maybe = false;
    if (s->state == KIT_SEAT_LEAVING) {
        left(s, REEVE_OK);
    } else if (s->leaving) {
        took(s, REEVE_NO_NODE);
    } else {
        go(s, step_create);
    }
}

static void on_synced(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct kit_seat *s = arg;
    s->busy = false;
    if (r->error == REEVE_OK || r->error == REEVE_NO_NODE) {
        go(s, step_children);
    } else {
        fail(s, r->error);
    }
}

// The lost create may still be on its way through the servers; a sync comes behind it.
static void step_sync(struct kit_seat *s)
{
    struct reeve_request q = {.op = REEVE_OP_SYNC, .path = s->parent};
    ask_or_end(s, &q, on_synced);
}

static const char *find(const struct kit_seat *s, const struct reeve_result *r)
{
    bool whole = !sequential(s);
    size_t n = strlen(s->name) + whole; // with the NUL
    for (size_t i = 0; i < r->children_n; i++) {
        if (strncmp(r->children[i], s->name, n) == 0) {
            return r->children[i];
        }
    }
    return NULL;
}

static void on_children(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct kit_seat *s = arg;
    s->busy = false;
    const char *name = r->error ? NULL : find(s, r);
    if (name && set_path(s, name)) {
        go(s, step_exists);
    } else if (r->error == REEVE_OK || r->error == REEVE_NO_NODE) {
        absent(s);
    } else {
        fail(s, r->error);
    }
}

static void step_children(struct kit_seat *s)
{
    struct reeve_request q = {.op = REEVE_OP_CHILDREN, .path = s->parent};
    ask_or_end(s, &q, on_children);
}

static void on_exists(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct kit_seat *s = arg;
    s->busy = false;
    bool ours = !r->error && (!ephemeral(s) || r->stat.ephemeral_owner == session_now(s));
    if (!r->error && !ours && !sequential(s)) {
        s->maybe = false; // the name is somebody else's, so it was not made, and will not be
        s->doubt = 0;
    }
    if (ours && s->state == KIT_SEAT_LEAVING) {
        go(s, step_delete);
    } else if (ours) {
        keep(s, &r->stat);
    } else if (r->error == REEVE_OK || r->error == REEVE_NO_NODE) {
        absent(s);
    } else {
        fail(s, r->error);
    }
}

static void step_exists(struct kit_seat *s)
{
    struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = subject(s)};
    ask_or_end(s, &q, on_exists);
}

// ---- seats: leaving -----------------------------------------------------------------------------

static void on_deleted(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct kit_seat *s = arg;
    s->busy = false;
    if (r->error != REEVE_OK && r->error != REEVE_NO_NODE) {
        fail(s, r->error);
    } else if (in_doubt(s)) {
        s->sweeping = true;
        go(s, step_sync);
    } else {
        left(s, REEVE_OK);
    }
}

static void step_delete(struct kit_seat *s)
{
    s->step = step_delete;
    struct reeve_request q = {
        .op = REEVE_OP_DELETE, .path = subject(s), .version = REEVE_ANY_VERSION};
    ask_or_end(s, &q, on_deleted);
}

// ---- seats: what recipes call -------------------------------------------------------------------

void kit_seat_init(struct kit_seat *s, struct kit_object *o)
{
    *s = (struct kit_seat){.o = o};
}

void kit_seat_fini(struct kit_seat *s)
{
    kit_free(s->o->zk, s->name);
    kit_free(s->o->zk, s->path);
    kit_free(s->o->zk, s->late);
    s->name = NULL;
    s->path = NULL;
    s->late = NULL;
}

enum reeve_error kit_seat_take(struct kit_seat *s, const char *parent, char *name, unsigned flags,
                               const void *data, size_t data_len, kit_done_fn *taken, void *arg)
{
    struct reeve *zk = s->o->zk;
    if (name && s->name && in_doubt(s) && (flags & REEVE_SEQUENTIAL)) {
        kit_free(zk, name);
        name = s->name;
        s->name = NULL;
    }
    kit_seat_fini(s);
    s->name = name;
    size_t n = name ? strlen(parent) + strlen(name) + SEQ_LEN_MAX + 2 : 0;
    s->path = name ? kit_alloc(zk, n) : NULL;
    s->late = name ? kit_alloc(zk, n) : NULL;
    if (!s->path || !s->late) {
        return REEVE_NO_MEMORY;
    }
    s->parent = parent;
    s->flags = flags;
    s->data = data;
    s->data_len = data_len;
    s->taken = taken;
    s->taken_arg = arg;
    (void)set_path(s, name);
    struct reeve_request q = create_request(s);
    enum reeve_error e = ask(s, &q, on_created);
    if (!e) {
        s->state = KIT_SEAT_TAKING;
        s->step = step_create;
    }
    return e;
}

bool kit_seat_leave(struct kit_seat *s, kit_done_fn *fn, void *arg)
{
    if (s->state == KIT_SEAT_EMPTY) {
        return false;
    }
    s->left_arg = arg;
    if (s->state == KIT_SEAT_TAKING) {
        s->leaving = true;
        s->left = fn;
        return true;
    }
    if (s->state == KIT_SEAT_TAKEN) {
        s->state = KIT_SEAT_LEAVING;
        s->left = NULL; // one that cannot even begin ends without a word: the answer is false
        step_delete(s);
    }
    if (s->state == KIT_SEAT_LEAVING) {
        s->left = fn;
    }
    return s->state == KIT_SEAT_LEAVING;
}

const char *kit_seat_twin(const struct kit_seat *s, const struct reeve_result *r)
{
    size_t n = s->state == KIT_SEAT_TAKEN && sequential(s) ? strlen(s->name) : 0;
    for (size_t i = 0; n && i < r->children_n; i++) {
        const char *name = r->children[i];
        if (strncmp(name, s->name, n) == 0 && strcmp(name, kit_name(s->path)) != 0) {
            return name;
        }
    }
    return NULL;
}

void kit_seat_lost(struct kit_seat *s)
{
    if (s->state == KIT_SEAT_TAKEN) {
        empty(s);
    } else if (s->state != KIT_SEAT_EMPTY && !s->busy && ephemeral(s)) {
        finish(s, REEVE_SESSION_EXPIRED);
    }
}
