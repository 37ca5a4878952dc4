// SPDX-License-Identifier: Apache-2.0
//
// What the log writer does on a lane: straight-line work on the memory of one job, no more. The
// state that lasts between jobs is the core thread's, in log.c.
#include "base/mem.h"
#include "disk/log.h"
#include "disk/logfile.h"

enum {
    ZEROS = 64 * 1024, // written at a time
    BLOCK = 4096
};

static enum err put_zeros(struct env *env, int fd, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[ZEROS];
    while (from < to) {
        size_t n = to - from < ZEROS ? (size_t)(to - from) : ZEROS;
        enum err e = env->ops->file_write(env, fd, from, zeros, n);
        if (e) {
            return e;
        }
        from += n;
    }
    return ERR_OK;
}

uint64_t log_round_up(uint64_t n)
{
    return (n + BLOCK - 1) / BLOCK * BLOCK;
}

// Makes sure that the file is durably filled up to `end`. No space: it is as it was.
static enum err extend(struct log_write *w, uint64_t end)
{
    const struct env_ops *ops = w->job.env->ops;
    struct log_place *f = &w->place;
    uint64_t to = log_round_up(end + w->step);
    if (to <= f->filled) {
        return ERR_OK;
    }
    enum err e = put_zeros(w->job.env, f->fd, f->filled, to);
    if (!e) {
        e = ops->file_sync(w->job.env, f->fd);
    }
    if (!e) {
        f->filled = to;
        return ERR_OK;
    }
    enum err undo = ops->file_truncate(w->job.env, f->fd, f->filled);
    return undo ? ERR_IO : e;
}

// Takes a half-written batch back. What was durable before it stays.
static enum err undo_batch(struct log_write *w)
{
    const struct env_ops *ops = w->job.env->ops;
    enum err e = ops->file_truncate(w->job.env, w->place.fd, w->place.pos);
    if (!e) {
        e = ops->file_sync(w->job.env, w->place.fd);
    }
    w->place.filled = w->place.pos;
    return e ? ERR_IO : ERR_NOSPACE;
}

static enum err write_batch(struct log_write *w)
{
    const struct env_ops *ops = w->job.env->ops;
    struct log_place *f = &w->place;
    const struct buf *b = &w->batch->bytes;
    uint64_t end = f->pos + b->n;
    if (w->step && end > f->filled) {
        enum err e = extend(w, end);
        if (e) {
            return e;
        }
    }
    enum err e = ops->file_write(w->job.env, f->fd, f->pos, b->p, b->n);
    if (!e && w->force_sync) {
        e = ops->file_sync(w->job.env, f->fd);
    }
    if (e) {
        return e == ERR_NOSPACE ? undo_batch(w) : e;
    }
    f->pos = end;
    f->filled = f->filled > end ? f->filled : end;
    return ERR_OK;
}

// Header, batch (if any) and zeros into the temporary file. Leaves it open in *f.
static enum err make_file(struct log_write *w, const char *tmp, struct log_place *f)
{
    struct env *env = w->job.env;
    *f = (struct log_place){.fd = -1, .zxid = w->batch ? w->batch->first_zxid : 0};
    enum err e =
        env->ops->file_open(env, tmp, ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_TRUNC, &f->fd);
    if (e) {
        f->fd = -1;
        return e;
    }
    struct buf b = {0};
    logfile_put_header(&b);
    if (w->batch) {
        buf_put_slice(&b, buf_slice(&w->batch->bytes));
    }
    f->pos = b.n;
    f->filled = w->step || !w->batch ? log_round_up(b.n + w->step + w->probe_bytes) : b.n;
    e = env->ops->file_write(env, f->fd, 0, b.p, b.n);
    buf_fini(&b);
    if (!e) {
        e = put_zeros(env, f->fd, f->pos, f->filled);
    }
    if (!e) {
        e = env->ops->file_sync(env, f->fd);
    }
    return e;
}

// A temporary file that is not wanted; nothing depends on whether it is really gone.
static void drop_file(struct env *env, const char *tmp, struct log_place *f)
{
    if (f->fd >= 0) {
        env->ops->file_close(env, f->fd);
        f->fd = -1;
    }
    (void)!env->ops->unlink(env, tmp);
}

// The old file loses its zeros: they are no use to anybody, and no harm if they stay. Its records
// are durable already.
int64_t log_close_given(struct env *env, const struct log_place *place)
{
    if (place->fd < 0) {
        return 0;
    }
    bool cut = env->ops->file_truncate(env, place->fd, place->pos) == ERR_OK;
    env->ops->file_close(env, place->fd);
    return (int64_t)(cut ? place->pos : place->filled);
}

static enum err begin_file(struct log_write *w)
{
    struct env *env = w->job.env;
    char name[DISK_NAME_MAX];
    disk_name_log(name, w->batch->first_zxid);
    char *tmp = disk_path(w->dir, DISK_TMP_LOG);
    char *path = disk_path(w->dir, name);
    struct log_place f;
    enum err e = make_file(w, tmp, &f);
    if (!e) {
        e = env->ops->rename(env, tmp, path);
    }
    if (e) {
        drop_file(env, tmp, &f);
    } else {
        e = env->ops->sync_dir(env, w->dir);
        e = e == ERR_NOSPACE ? ERR_IO : e; // it may show or not: no way back from here
        w->closed_bytes = (uint64_t)log_close_given(env, &w->place);
        w->place = f;
    }
    mem_free(tmp);
    mem_free(path);
    return e;
}

// Is there space for what did not fit?
static enum err probe(struct log_write *w)
{
    if (w->place.fd >= 0 && !w->roll) {
        return extend(w, w->place.pos + w->probe_bytes);
    }
    char *tmp = disk_path(w->dir, DISK_TMP_LOG);
    struct log_place f;
    enum err e = make_file(w, tmp, &f);
    drop_file(w->job.env, tmp, &f);
    mem_free(tmp);
    return e;
}

void log_write_run(struct env_job *job)
{
    struct log_write *w = (struct log_write *)job;
    if (!w->batch) {
        w->err = probe(w);
        return;
    }
    logfile_seal(w->batch->bytes.p, w->batch->bytes.n);
    w->err = w->roll || w->place.fd < 0 ? begin_file(w) : write_batch(w);
}

void log_fill_run(struct env_job *job)
{
    struct log_fill *f = (struct log_fill *)job;
    const struct env_ops *ops = job->env->ops;
    char name[DISK_NAME_MAX];
    disk_name_log(name, f->zxid);
    char *path = disk_path(f->dir, name);
    int fd;
    f->err = ops->file_open(job->env, path, ENV_OPEN_WRITE, &fd);
    mem_free(path);
    if (f->err) {
        return;
    }
    f->err = put_zeros(job->env, fd, f->from, f->to);
    if (!f->err) {
        f->err = ops->file_sync(job->env, fd);
    }
    ops->file_close(job->env, fd);
}
