// SPDX-License-Identifier: Apache-2.0
//
// Writing the ensemble's files. Each change is a job of its own on the lane of the log, so that
// they come in the order asked for, and a proposed membership is on the disk before the transaction
// that proposes it is, and so before its ACK. A job brings the files there in an order that a crash
// may cut anywhere:
//
//   .dynamic.next -> .dynamic.<version> -> (.bak) -> zoo.cfg points to it -> .dynamic.next goes
//
// Each file is written beside, synced, renamed, and the folder synced. Java's
// QuorumPeerConfig.writeDynamicConfig, editStaticConfig and backupOldConfig; but other than there
// the lines of zoo.cfg that stay, comments included, stay as they are and in their order.
#include "node/dynconfig.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/properties.h"
#include "limits.h"
#include "node/dynconfig_internal.h"

// A membership that waits to be written, as text. version 0 and empty: none.
struct wanted {
    int64_t version;
    struct buf text;
};

struct order {
    struct wanted next, active;
    bool own_client; // the membership tells this server's client port
    bool drop_next;
};

struct writing {
    struct env_job job;
    struct writing *next; // asked for after it
    struct env *env;
    const char *path;
    struct order order;
    enum err failed; // what came of it
    struct buf what; // "<file>: <why>" if it failed
};

struct dynconfig {
    struct env *env;
    char *path;                           // of zoo.cfg; NULL: nothing is written
    int64_t next_version, active_version; // the last ones asked for
    struct writing *first;                // in flight, oldest first
};

static void order_fini(struct order *o)
{
    buf_fini(&o->next.text);
    buf_fini(&o->active.text);
    *o = (struct order){0};
}

struct dynconfig *dynconfig_new(struct env *env, const struct config *c,
                                const struct dynconfig_start *s)
{
    struct dynconfig *d = mem_zalloc(sizeof(*d));
    d->env = env;
    d->path = c->config_path && c->reconfig_enabled ? mem_strdup(c->config_path) : NULL;
    d->active_version = s->committed ? s->committed->version : 0;
    d->next_version = s->last_seen ? s->last_seen->version : d->active_version;
    return d;
}

void dynconfig_free(struct dynconfig **dp)
{
    struct dynconfig *d = *dp;
    *dp = NULL;
    if (!d) {
        return;
    }
    must(!d->first);
    mem_free(d->path);
    mem_free(d);
}

// ---- on the lane

static char *path_of(const char *path, const char *suffix)
{
    struct buf b = {0};
    buf_fmt(&b, "%s%s", path, suffix);
    buf_put_u8(&b, 0);
    return (char *)b.p;
}

static enum err sync_folder(struct env *env, const char *path)
{
    char *dir = mem_strdup(path);
    char *slash = strrchr(dir, '/');
    if (slash) {
        slash[slash == dir] = '\0';
    }
    enum err e = env->ops->sync_dir(env, slash ? dir : ".");
    mem_free(dir);
    return e;
}

static enum err write_beside(struct env *env, const char *tmp, struct slice text)
{
    int fd;
    enum err e =
        env->ops->file_open(env, tmp, ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_TRUNC, &fd);
    if (e) {
        return e;
    }
    e = env->ops->file_write(env, fd, 0, text.p, text.n);
    if (e == ERR_OK) {
        e = env->ops->file_sync(env, fd);
    }
    env->ops->file_close(env, fd);
    return e;
}

static enum err replace(struct writing *w, const char *path, struct slice text)
{
    char *tmp = path_of(path, ".tmp");
    enum err e = write_beside(w->env, tmp, text);
    if (e == ERR_OK) {
        e = w->env->ops->rename(w->env, tmp, path);
    }
    if (e == ERR_OK) {
        e = sync_folder(w->env, path);
    }
    if (e) {
        buf_fmt(&w->what, "%s: %s", path, err_text(e));
    }
    mem_free(tmp);
    return e;
}

struct edit {
    bool own_client;
    bool was_static; // zoo.cfg named no dynamic file before
};

static struct slice bare_key(const struct properties *p)
{
    struct slice key = buf_slice(&p->key), prefix = SLICE_LIT("zookeeper.");
    return slice_has_prefix(key, prefix) ? slice_skip(key, prefix.n) : key;
}

static bool is_dropped(struct slice key, const struct edit *edit)
{
    bool client = slice_eq_str(key, "clientPort") || slice_eq_str(key, "clientPortAddress");
    return members_is_key(key) || slice_eq_str(key, "dynamicConfigFile") ||
           slice_eq_str(key, "peerType") || (client && edit->own_client);
}

// Behind whatever stands there: a last line without end, or one that a backslash would continue.
static void end_line(struct buf *b)
{
    if (b->n && b->p[b->n - 1] != '\n') {
        buf_put_u8(b, '\n');
    }
    if (b->n > 1 && b->p[b->n - 2] == '\\') {
        buf_put_u8(b, '\n');
    }
}

static void put_value(struct buf *b, const char *path)
{
    for (const char *p = path; *p; p++) {
        if (*p == '\\') {
            buf_put_u8(b, '\\');
        }
        buf_put_u8(b, (uint8_t)*p);
    }
}

// All of zoo.cfg but what is dropped, and where the servers are now.
static enum err edit_text(struct slice text, const char *dynamic, struct edit *edit,
                          struct buf *out)
{
    struct properties p;
    enum err e = ERR_OK;
    const uint8_t *from = text.p;
    edit->was_static = true;
    properties_init(&p, text);
    while (properties_next(&p, &e)) {
        if (slice_eq_str(bare_key(&p), "dynamicConfigFile")) {
            edit->was_static = false;
        }
        if (is_dropped(bare_key(&p), edit)) {
            buf_put(out, from, (size_t)(p.raw.p - from));
            from = p.raw.p + p.raw.n;
        }
    }
    properties_fini(&p);
    buf_put(out, from, (size_t)(text.p + text.n - from));
    end_line(out);
    buf_fmt(out, "dynamicConfigFile=");
    put_value(out, dynamic);
    buf_put_u8(out, '\n');
    return e;
}

static enum err point_to(struct writing *w, const char *dynamic)
{
    struct buf text = {0}, edited = {0};
    struct edit edit = {.own_client = w->order.own_client};
    enum err e = dynconfig_read_file(w->env, w->path, LIMIT_CONFIG_FILE, &text);
    if (e == ERR_OK) {
        e = edit_text(buf_slice(&text), dynamic, &edit, &edited);
    }
    if (e) {
        buf_fmt(&w->what, "%s: %s", w->path, err_text(e));
    }
    if (e == ERR_OK && edit.was_static) {
        char *bak = path_of(w->path, ".bak");
        e = replace(w, bak, buf_slice(&text));
        mem_free(bak);
    }
    if (e == ERR_OK) {
        e = replace(w, w->path, buf_slice(&edited));
    }
    buf_fini(&text);
    buf_fini(&edited);
    return e;
}

static enum err write_active(struct writing *w)
{
    char suffix[40];
    snprintf(suffix, sizeof(suffix), ".dynamic.%" PRIx64, (uint64_t)w->order.active.version);
    char *dynamic = path_of(w->path, suffix);
    enum err e = replace(w, dynamic, buf_slice(&w->order.active.text));
    if (e == ERR_OK) {
        e = point_to(w, dynamic);
    }
    mem_free(dynamic);
    return e;
}

static enum err drop_next(struct writing *w, const char *next)
{
    enum err e = w->env->ops->unlink(w->env, next);
    if (e == ERR_OK) {
        e = sync_folder(w->env, next);
    } else if (e == ERR_NOTFOUND) {
        return ERR_OK;
    }
    if (e) {
        buf_fmt(&w->what, "%s: %s", next, err_text(e));
    }
    return e;
}

static void run(struct env_job *job)
{
    struct writing *w = (struct writing *)job;
    char *next = path_of(w->path, ".dynamic.next");
    enum err e = ERR_OK;
    if (w->order.next.version) {
        e = replace(w, next, buf_slice(&w->order.next.text));
    }
    if (e == ERR_OK && w->order.active.version) {
        e = write_active(w);
    }
    if (e == ERR_OK && w->order.drop_next) {
        e = drop_next(w, next);
    }
    w->failed = e;
    mem_free(next);
}

// ---- on the core thread

static struct order *begin(struct dynconfig *d)
{
    struct writing *w = mem_zalloc(sizeof(*w));
    struct writing **at = &d->first;
    while (*at) {
        at = &(*at)->next;
    }
    *at = w;
    w->env = d->env;
    w->path = d->path;
    w->job = (struct env_job){.run = run, .owner = d};
    return &w->order;
}

static void enqueue(struct dynconfig *d)
{
    struct writing *w = d->first;
    while (w->next) {
        w = w->next;
    }
    d->env->ops->job(d->env, ENV_LANE_LOG, &w->job);
}

static void want(struct wanted *w, const struct members *m, enum members_form form)
{
    buf_clear(&w->text);
    members_fmt(&w->text, m, form);
    w->version = m->version;
}

void dynconfig_save_next(struct dynconfig *d, const struct members *m)
{
    if (!d->path || m->version <= d->next_version) {
        return;
    }
    d->next_version = m->version;
    want(&begin(d)->next, m, MEMBERS_NEXT);
    enqueue(d);
}

void dynconfig_forget_next(struct dynconfig *d)
{
    if (d->path) {
        d->next_version = d->active_version;
        begin(d)->drop_next = true;
        enqueue(d);
    }
}

void dynconfig_activate(struct dynconfig *d, const struct members *m, int64_t sid)
{
    if (!d->path || m->version <= d->active_version) {
        return;
    }
    const struct member *self = members_find(m, sid);
    struct order *o = begin(d);
    d->active_version = m->version;
    want(&o->active, m, MEMBERS_FILE);
    o->own_client = self && self->client.host.p;
    o->drop_next = d->next_version <= m->version;
    enqueue(d);
}

bool dynconfig_owns(const struct dynconfig *d, const struct env_job *job)
{
    const struct writing *w = d->first;
    while (w && &w->job != job) {
        w = w->next;
    }
    return w != NULL;
}

void dynconfig_on_job(struct dynconfig *d, struct env_job *job)
{
    struct writing *w = d->first;
    must(&w->job == job); // the lane does one after the other
    d->first = w->next;
    if (w->failed) {
        log_error(&d->env->log,
                  "the ensemble's new membership could not be written: %.*s; this server learns "
                  "it from the others when it starts again",
                  SLICE_ARG(buf_slice(&w->what)));
    } else if (w->order.active.version) {
        log_info(&d->env->log, "%s now points to the membership of version %" PRIx64, d->path,
                 (uint64_t)w->order.active.version);
    }
    order_fini(&w->order);
    buf_fini(&w->what);
    mem_free(w);
}

bool dynconfig_is_idle(const struct dynconfig *d)
{
    return !d->first;
}
