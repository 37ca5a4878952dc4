// SPDX-License-Identifier: Apache-2.0
#include "disk/epochs.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "disk/names.h"

enum {
    TEXT_MAX = 32,
    // Not an epoch: nothing there, or nothing that is one.
    MISSING = -1,
    UNREADABLE = -2
};

static const char *const names[] = {"acceptedEpoch", "currentEpoch"};

// ---- reading
// -------------------------------------------------------------------------------------

// The first line: digits, at most a 31-bit number, as an epoch is half of a zxid.
static int64_t parse(const char *p, size_t n)
{
    int64_t v = 0;
    size_t i = 0;
    for (; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
        v = v * 10 + (p[i] - '0');
        if (v > INT32_MAX) {
            return UNREADABLE;
        }
    }
    return i > 0 && (i == n || p[i] == '\n' || p[i] == '\r') ? v : UNREADABLE;
}

static enum err read_epoch(struct env *env, const char *dir, enum disk_epoch which, int64_t *epoch)
{
    char *path = disk_path(dir, names[which]);
    int fd;
    enum err e = env->ops->file_open(env, path, ENV_OPEN_READ, &fd);
    mem_free(path);
    if (e == ERR_NOTFOUND) {
        *epoch = MISSING;
        return ERR_OK;
    }
    if (e) {
        return e;
    }
    char text[TEXT_MAX];
    size_t n = 0;
    e = env->ops->file_read(env, fd, 0, text, sizeof(text), &n);
    env->ops->file_close(env, fd);
    *epoch = parse(text, n);
    return e;
}

// ---- writing
// -------------------------------------------------------------------------------------

static enum err write_tmp(struct env *env, const char *tmp, int64_t epoch)
{
    char text[TEXT_MAX];
    int n = snprintf(text, sizeof(text), "%" PRId64, epoch);
    int fd;
    enum err e =
        env->ops->file_open(env, tmp, ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_TRUNC, &fd);
    if (e) {
        return e;
    }
    e = env->ops->file_write(env, fd, 0, text, (size_t)n);
    if (!e) {
        e = env->ops->file_sync(env, fd);
    }
    env->ops->file_close(env, fd);
    return e;
}

static enum err write_epoch(struct env *env, const char *dir, enum disk_epoch which, int64_t epoch)
{
    char name[TEXT_MAX];
    snprintf(name, sizeof(name), DISK_TMP "%s", names[which]);
    char *tmp = disk_path(dir, name);
    char *path = disk_path(dir, names[which]);
    enum err e = write_tmp(env, tmp, epoch);
    if (!e) {
        e = env->ops->rename(env, tmp, path);
    }
    if (e) {
        (void)!env->ops->unlink(env, tmp); // a start removes what is left
    } else {
        e = env->ops->sync_dir(env, dir);
        e = e == ERR_NOSPACE ? ERR_IO : e; // it may show or not
    }
    mem_free(tmp);
    mem_free(path);
    return e;
}

void epoch_save_run(struct env_job *job)
{
    struct epoch_save *s = (struct epoch_save *)job;
    s->err = write_epoch(job->env, s->dir, s->which, s->epoch);
}

// ---- mending
// -------------------------------------------------------------------------------------

static void mend(const struct disk_epochs *found, int64_t log_epoch, struct disk_epochs *e)
{
    e->current = found->current > log_epoch ? found->current : log_epoch;
    if (found->accepted >= 0) {
        e->accepted = found->accepted > e->current ? found->accepted : e->current;
    } else if (found->accepted == MISSING && found->current == MISSING) {
        e->accepted = e->current;
    } else {
        e->accepted = e->current < INT32_MAX ? e->current + 1 : e->current;
    }
}

static const char *what_was(int64_t found, char text[TEXT_MAX])
{
    if (found >= 0) {
        snprintf(text, TEXT_MAX, "%" PRId64, found);
        return text;
    }
    return found == MISSING ? "missing" : "unreadable";
}

static enum err put_mended(struct env *env, const char *dir, enum disk_epoch which, int64_t found,
                           int64_t epoch, int64_t log_epoch)
{
    if (found == epoch) {
        return ERR_OK;
    }
    char text[TEXT_MAX];
    log_fmt(&env->log, found == MISSING ? LOG_INFO : LOG_WARN,
            "%s/%s was %s, now %" PRId64 " (the log is at epoch %" PRId64 ")", dir, names[which],
            what_was(found, text), epoch, log_epoch);
    enum err e = write_epoch(env, dir, which, epoch);
    if (e == ERR_NOSPACE) {
        log_warn(&env->log, "no space to write %s/%s; make some, the next start tries again", dir,
                 names[which]);
        return ERR_OK;
    }
    return e;
}

enum err epochs_recover(struct env *env, const char *dir, int64_t last_zxid, struct disk_epochs *e)
{
    int64_t log_epoch = last_zxid >> 32;
    struct disk_epochs found;
    enum err err = read_epoch(env, dir, DISK_EPOCH_ACCEPTED, &found.accepted);
    if (!err) {
        err = read_epoch(env, dir, DISK_EPOCH_CURRENT, &found.current);
    }
    if (!err) {
        mend(&found, log_epoch, e);
        // The promise first: half of this may never look as if one was lost.
        err = put_mended(env, dir, DISK_EPOCH_ACCEPTED, found.accepted, e->accepted, log_epoch);
    }
    if (!err) {
        err = put_mended(env, dir, DISK_EPOCH_CURRENT, found.current, e->current, log_epoch);
    }
    if (err) {
        log_error(&env->log,
                  "cannot read or write %s/%s and %s: %s; check the disk and that this user may "
                  "read and write there",
                  dir, names[DISK_EPOCH_ACCEPTED], names[DISK_EPOCH_CURRENT], err_text(err));
    }
    return err;
}
