// SPDX-License-Identifier: Apache-2.0
#include "disk/cut.h"

#include "base/mem.h"
#include "disk/logfile.h"
#include "disk/names.h"
#include "disk/replay.h"
#include "disk/snapload.h"
#include "disk/window.h"
#include "wire/txn.h"

int64_t cut_sum(const struct disk_files *files, enum disk_name_kind kind)
{
    int64_t sum = 0;
    for (size_t i = 0; i < files->n; i++) {
        sum += files->v[i].kind == kind ? (int64_t)files->v[i].size : 0;
    }
    return sum;
}

// ---- finish
// --------------------------------------------------------------------------------------

static enum err remove_above(struct env *env, const char *dir, const struct disk_files *files,
                             enum disk_name_kind kind, int64_t zxid)
{
    enum err e = ERR_OK;
    for (size_t i = 0; !e && i < files->n; i++) {
        if (files->v[i].kind != kind || files->v[i].zxid <= zxid) {
            continue;
        }
        char *path = disk_path(dir, files->v[i].name);
        e = env->ops->unlink(env, path);
        mem_free(path);
    }
    return e;
}

// Offset of the first record above zxid. ERR_NOTFOUND: there is none.
static enum err find_place(struct window *w, int64_t zxid)
{
    bool end = false;
    enum err e = window_more(w, &end);
    e = e ? e : logfile_check_header(window_slice(w));
    if (e) {
        return e;
    }
    window_skip(w, LOGFILE_HEADER_LEN);
    for (;;) {
        struct slice entry;
        size_t used;
        struct txn_header hdr;
        switch (logfile_next(window_slice(w), REPLAY_ENTRY_MAX, &entry, &used)) {
        case LOGFILE_RECORD:
            if (txn_decode_header(entry, &hdr)) {
                return ERR_CORRUPT;
            }
            if (hdr.zxid > zxid) {
                return ERR_OK;
            }
            window_skip(w, used);
            break;
        case LOGFILE_MORE:
            e = window_more(w, &end);
            if (e || end) {
                return e ? e : ERR_NOTFOUND;
            }
            break;
        case LOGFILE_END:
            return ERR_NOTFOUND;
        case LOGFILE_TORN:
        case LOGFILE_CORRUPT:
            return ERR_CORRUPT;
        }
    }
}

static enum err shorten(struct env *env, const char *path, uint64_t size)
{
    int fd;
    enum err e = env->ops->file_open(env, path, ENV_OPEN_WRITE, &fd);
    if (e) {
        return e;
    }
    e = env->ops->file_truncate(env, fd, size);
    if (!e) {
        e = env->ops->file_sync(env, fd);
    }
    env->ops->file_close(env, fd);
    return e;
}

// Damage: the look has read all from base to zxid, so it is new; but if there was nothing to read,
// nobody needs what is behind it either.
static enum err cut_file(struct env *env, const char *path, int64_t zxid, int64_t base)
{
    struct window w;
    enum err e = window_open(&w, env, path);
    if (e) {
        return e;
    }
    e = find_place(&w, zxid);
    uint64_t size = w.at;
    window_close(&w);
    if (e == ERR_NOTFOUND) {
        return ERR_OK;
    }
    bool damaged = e == ERR_CORRUPT || e == ERR_CUT;
    if (e && (!damaged || base != zxid)) {
        return e;
    }
    // A log without a record is what older Apache servers do not start on.
    return size <= LOGFILE_HEADER_LEN ? env->ops->unlink(env, path) : shorten(env, path, size);
}

// A file is named by its first record, so only the last at or below zxid can reach over it.
static enum err cut_logs(struct env *env, const char *dir, int64_t zxid, int64_t base)
{
    struct disk_files logs;
    enum err e = disk_files_list(env, dir, &logs);
    if (!e) {
        e = remove_above(env, dir, &logs, DISK_NAME_LOG, zxid);
    }
    for (size_t i = logs.n; !e && i-- > 0;) {
        if (logs.v[i].kind == DISK_NAME_LOG && logs.v[i].zxid <= zxid) {
            char *path = disk_path(dir, logs.v[i].name);
            e = cut_file(env, path, zxid, base);
            mem_free(path);
            break;
        }
    }
    disk_files_fini(&logs);
    return e ? e : env->ops->sync_dir(env, dir);
}

static enum err cut_snapshots(struct env *env, const char *dir, int64_t base)
{
    struct disk_files snaps;
    enum err e = disk_files_list(env, dir, &snaps);
    if (!e) {
        e = remove_above(env, dir, &snaps, DISK_NAME_SNAPSHOT, base);
    }
    disk_files_fini(&snaps);
    return e ? e : env->ops->sync_dir(env, dir);
}

static char *decision_path(const char *dir, int64_t zxid, int64_t base)
{
    char name[DISK_NAME_MAX];
    disk_name_cut(name, zxid, base);
    return disk_path(dir, name);
}

enum err cut_finish(struct env *env, const char *snap_dir, const char *log_dir, int64_t zxid,
                    int64_t base)
{
    enum err e = env->ops->sync_dir(env, snap_dir); // the decision itself may be in a cache only
    if (!e) {
        e = cut_snapshots(env, snap_dir, base);
    }
    if (!e) {
        e = cut_logs(env, log_dir, zxid, base);
    }
    if (!e) {
        char *path = decision_path(snap_dir, zxid, base);
        e = env->ops->unlink(env, path);
        mem_free(path);
    }
    return e ? e : env->ops->sync_dir(env, snap_dir);
}

// ---- look
// ----------------------------------------------------------------------------------------

static bool holds_more(const struct snapload *load, int64_t zxid)
{
    const struct snapfile_info *info = &load->info;
    return (info->has_digest && info->digest_zxid > zxid) ||
           (info->has_last_zxid && info->last_zxid > zxid);
}

// The newest good snapshot that holds nothing above zxid. ERR_NOTFOUND: none.
static enum err load_base(struct cut *c, const struct disk_files *snaps)
{
    for (size_t i = snaps->n; i-- > 0;) {
        const struct disk_file *f = &snaps->v[i];
        if (f->kind != DISK_NAME_SNAPSHOT || f->zxid > c->zxid) {
            continue;
        }
        struct snapload load;
        enum err e = snapshot_load(c->job.env, c->snap_dir, f, c->tree, &load);
        bool unusable = e == ERR_CORRUPT || e == ERR_CUT || e == ERR_UNSUPPORTED;
        if (unusable || (!e && holds_more(&load, c->zxid))) {
            continue;
        }
        c->base = f->zxid;
        return e;
    }
    return ERR_NOTFOUND;
}

// The tree at zxid, from what would stay.
static enum err look(struct cut *c)
{
    struct env *env = c->job.env;
    struct disk_files snaps = {0}, logs = {0};
    enum err e = disk_files_list(env, c->snap_dir, &snaps);
    if (!e) {
        e = disk_files_list(env, c->log_dir, &logs);
    }
    if (!e) {
        e = load_base(c, &snaps);
    }
    struct replay r = {0};
    if (!e) {
        struct replay_how how = {.until = c->zxid, .look_only = true, .tail = &c->tail};
        e = replay_logs(env, c->log_dir, &logs, c->tree, &how, &r);
    }
    if (!e && (r.holes > 0 || tree_zxid(c->tree) != c->zxid)) {
        e = ERR_NOTFOUND;
    }
    disk_files_fini(&snaps);
    disk_files_fini(&logs);
    return e;
}

// ---- the job
// -------------------------------------------------------------------------------------

static enum err decide(struct cut *c)
{
    struct env *env = c->job.env;
    char *path = decision_path(c->snap_dir, c->zxid, c->base);
    int fd;
    enum err e = env->ops->file_open(env, path, ENV_OPEN_WRITE | ENV_OPEN_CREATE, &fd);
    mem_free(path);
    if (!e) {
        env->ops->file_close(env, fd);
        c->decided = true;
    }
    return e;
}

static enum err measure(struct cut *c)
{
    struct disk_files snaps = {0}, logs = {0};
    enum err e = disk_files_list(c->job.env, c->snap_dir, &snaps);
    if (!e) {
        e = disk_files_list(c->job.env, c->log_dir, &logs);
    }
    c->snap_bytes = cut_sum(&snaps, DISK_NAME_SNAPSHOT);
    c->log_bytes = cut_sum(&logs, DISK_NAME_LOG);
    disk_files_fini(&snaps);
    disk_files_fini(&logs);
    return e;
}

void cut_run(struct env_job *job)
{
    struct cut *c = (struct cut *)job;
    c->file_bytes = log_close_given(job->env, &c->file);
    if (c->broken) {
        snap_writer_abort(c->broken);
    }
    c->err = look(c);
    if (!c->err) {
        c->err = decide(c);
    }
    if (!c->err) {
        c->err = cut_finish(job->env, c->snap_dir, c->log_dir, c->zxid, c->base);
    }
    if (!c->err) {
        c->err = measure(c);
    }
}
