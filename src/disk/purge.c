// SPDX-License-Identifier: Apache-2.0
#include "disk/purge.h"

#include "base/mem.h"
#include "disk/snapload.h"

void purge_know(struct purge *p, int64_t zxid)
{
    for (int i = 0; i < p->known_n; i++) {
        if (p->known[i] == zxid) {
            return;
        }
    }
    if (p->known_n == PURGE_KNOWN) {
        memmove(p->known, p->known + 1, (PURGE_KNOWN - 1) * sizeof(p->known[0]));
        p->known_n--;
    }
    p->known[p->known_n++] = zxid;
}

static bool is_good(struct purge *p, const struct disk_file *f)
{
    for (int i = 0; i < p->known_n; i++) {
        if (p->known[i] == f->zxid) {
            return true;
        }
    }
    struct snapload load;
    if (snapshot_load(p->job.env, p->snap_dir, f, NULL, &load)) {
        return false;
    }
    purge_know(p, f->zxid);
    return true;
}

// zxid of the oldest snapshot to keep; -1: there are not enough.
static int64_t oldest_kept(struct purge *p, const struct disk_files *snaps)
{
    int32_t good = 0;
    int64_t prev = -1;
    for (size_t i = snaps->n; i-- > 0;) {
        const struct disk_file *f = &snaps->v[i];
        // One zxid may have several files (.gz beside plain); it counts once.
        if (f->kind != DISK_NAME_SNAPSHOT || f->zxid == prev || !is_good(p, f)) {
            continue;
        }
        prev = f->zxid;
        if (++good == p->retain) {
            return f->zxid;
        }
    }
    return -1;
}

static void remove_below(struct purge *p, const char *dir, const struct disk_files *files,
                         enum disk_name_kind kind, int64_t zxid)
{
    struct env *env = p->job.env;
    for (size_t i = 0; i < files->n && !p->err; i++) {
        const struct disk_file *f = &files->v[i];
        if (f->kind != kind || f->zxid >= zxid) {
            continue;
        }
        char *path = disk_path(dir, f->name);
        p->err = env->ops->unlink(env, path);
        mem_free(path);
        if (p->err) {
            break;
        }
        bool snap = kind == DISK_NAME_SNAPSHOT;
        *(snap ? &p->snaps_removed : &p->logs_removed) += 1;
        *(snap ? &p->snap_bytes : &p->log_bytes) += (int64_t)f->size;
    }
}

// The log that may hold the record zxid + 1: the last that starts at or below zxid.
static int64_t first_log_kept(const struct disk_files *logs, int64_t zxid)
{
    int64_t keep = 0;
    for (size_t i = 0; i < logs->n; i++) {
        if (logs->v[i].kind == DISK_NAME_LOG && logs->v[i].zxid <= zxid) {
            keep = logs->v[i].zxid;
        }
    }
    return keep;
}

void purge_run(struct env_job *job)
{
    struct purge *p = (struct purge *)job;
    const struct env_ops *ops = job->env->ops;
    struct disk_files snaps = {0}, logs = {0};
    p->snaps_removed = p->logs_removed = 0;
    p->snap_bytes = p->log_bytes = 0;
    p->err = disk_files_list(job->env, p->snap_dir, &snaps);
    if (!p->err) {
        p->err = disk_files_list(job->env, p->log_dir, &logs);
    }
    int64_t keep = p->err ? -1 : oldest_kept(p, &snaps);
    if (keep >= 0) {
        // Snapshots first: a start that sees only half of this never finds one without its log.
        remove_below(p, p->snap_dir, &snaps, DISK_NAME_SNAPSHOT, keep);
        if (!p->err && p->snaps_removed) {
            p->err = ops->sync_dir(job->env, p->snap_dir);
        }
        remove_below(p, p->log_dir, &logs, DISK_NAME_LOG, first_log_kept(&logs, keep));
        if (!p->err && p->logs_removed) {
            p->err = ops->sync_dir(job->env, p->log_dir);
        }
    }
    disk_files_fini(&snaps);
    disk_files_fini(&logs);
}
