// SPDX-License-Identifier: Apache-2.0
#include "disk/recover.h"

#include <inttypes.h>

#include "base/mem.h"
#include "disk/cut.h"
#include "disk/epochs.h"
#include "disk/replay.h"
#include "disk/snapload.h"
#include "disk/snapshot.h"
#include "disk/take.h"
#include "tree/load.h"

enum {
    CANDIDATES_MAX = 100, // Apache's number
    // Each start begins a new log. This many show that starts are more frequent than snapshots.
    LOGS_MANY = 64
};

struct recovery {
    struct env *env;
    const struct disk_config *cfg;
    const char *snap_dir, *log_dir;
    bool one_dir;
    struct tree *tree;
    struct tail *tail;
    struct disk_files snaps, logs; // the same files twice if there is one directory
    int64_t failed_zxid;           // newest snapshot that is damaged; -1: none
    struct recovered *out;
};

static enum err disk_error(const struct recovery *rc, enum err e, const char *dir)
{
    log_error(&rc->env->log,
              "cannot use the data directory %s: %s; check its disk and that this "
              "user may read and write there",
              dir, err_text(e));
    return e;
}

// ---- leftovers
// -------------------------------------------------------------------------------------

static enum err remove_leftovers(struct recovery *rc, const char *dir,
                                 const struct disk_files *files)
{
    bool any = false;
    for (size_t i = 0; i < files->n; i++) {
        if (files->v[i].kind != DISK_NAME_LEFTOVER) {
            continue;
        }
        char *path = disk_path(dir, files->v[i].name);
        enum err e = rc->env->ops->unlink(rc->env, path);
        mem_free(path);
        if (e) {
            return disk_error(rc, e, dir);
        }
        any = true;
    }
    enum err e = any ? rc->env->ops->sync_dir(rc->env, dir) : ERR_OK;
    return e ? disk_error(rc, e, dir) : ERR_OK;
}

// Two directories and a file in the wrong one: the configuration has changed under the data.
static enum err check_places(struct recovery *rc)
{
    for (size_t i = 0; !rc->one_dir && i < rc->logs.n; i++) {
        if (rc->logs.v[i].kind == DISK_NAME_SNAPSHOT) {
            log_error(&rc->env->log,
                      "%s is a snapshot in the directory of logs: move it to %s, or set dataLogDir "
                      "as it was",
                      rc->logs.v[i].name, rc->snap_dir);
            return ERR_INVALID;
        }
    }
    for (size_t i = 0; !rc->one_dir && i < rc->snaps.n; i++) {
        if (rc->snaps.v[i].kind == DISK_NAME_LOG) {
            log_error(&rc->env->log,
                      "%s is a log in the directory of snapshots: move it to %s, or set dataLogDir "
                      "as it was",
                      rc->snaps.v[i].name, rc->log_dir);
            return ERR_INVALID;
        }
    }
    return ERR_OK;
}

static enum err read_dirs(struct recovery *rc)
{
    disk_files_fini(&rc->snaps);
    disk_files_fini(&rc->logs);
    enum err e = disk_files_list(rc->env, rc->snap_dir, &rc->snaps);
    if (e) {
        return disk_error(rc, e, rc->snap_dir);
    }
    e = disk_files_list(rc->env, rc->log_dir, &rc->logs);
    return e ? disk_error(rc, e, rc->log_dir) : ERR_OK;
}

// What a server had decided before it died, and not finished.
static enum err finish_decided(struct recovery *rc)
{
    bool any = false;
    enum err e = ERR_OK;
    for (size_t i = 0; !e && i < rc->snaps.n; i++) {
        const struct disk_file *f = &rc->snaps.v[i];
        if (f->kind == DISK_NAME_CUT) {
            e = cut_finish(rc->env, rc->snap_dir, rc->log_dir, f->zxid, f->base);
        } else if (f->kind == DISK_NAME_TAKEN) {
            e = take_finish(rc->env, rc->snap_dir, rc->log_dir, f->zxid);
        } else {
            continue;
        }
        any = true;
        if (!e) {
            log_info(&rc->env->log, "%s/%s: finished what it stands for", rc->snap_dir, f->name);
        }
    }
    if (e) {
        return disk_error(rc, e, rc->snap_dir);
    }
    return any ? read_dirs(rc) : ERR_OK;
}

static enum err list_files(struct recovery *rc)
{
    enum err e = read_dirs(rc);
    if (!e) {
        e = check_places(rc);
    }
    if (!e) {
        e = finish_decided(rc);
    }
    if (!e) {
        e = remove_leftovers(rc, rc->snap_dir, &rc->snaps);
    }
    if (!e && !rc->one_dir) {
        e = remove_leftovers(rc, rc->log_dir, &rc->logs);
    }
    return e;
}

// zxid of the first log; -1: there is none.
static int64_t first_log(const struct recovery *rc)
{
    for (size_t i = 0; i < rc->logs.n; i++) {
        if (rc->logs.v[i].kind == DISK_NAME_LOG) {
            return rc->logs.v[i].zxid;
        }
    }
    return -1;
}

// ---- snapshots
// ---------------------------------------------------------------------------------------

// Apache's servers do not sync their snapshots, and a server may have died between a rename and the
// sync of the directory. From now on older files may go because of this one.
static enum err settle_snapshot(struct recovery *rc, const struct disk_file *f)
{
    const struct env_ops *ops = rc->env->ops;
    char *path = disk_path(rc->snap_dir, f->name);
    int fd;
    enum err e = ops->file_open(rc->env, path, ENV_OPEN_READ, &fd);
    mem_free(path);
    if (!e) {
        e = ops->file_sync(rc->env, fd);
        ops->file_close(rc->env, fd);
    }
    e = e ? e : ops->sync_dir(rc->env, rc->snap_dir);
    return e ? disk_error(rc, e, rc->snap_dir) : ERR_OK;
}

// ERR_NOTFOUND: there is no good one.
static enum err load_newest(struct recovery *rc)
{
    int tried = 0;
    for (size_t i = rc->snaps.n; i-- > 0 && tried < CANDIDATES_MAX;) {
        struct disk_file *f = &rc->snaps.v[i];
        if (f->kind != DISK_NAME_SNAPSHOT) {
            continue;
        }
        tried++;
        struct snapload load;
        enum err e = snapshot_load(rc->env, rc->snap_dir, f, rc->tree, &load);
        if (!e) {
            rc->out->snap_zxid = f->zxid;
            return settle_snapshot(rc, f);
        }
        if (e == ERR_UNSUPPORTED) { // or does a damaged byte only look like it?
            struct snapload whole;
            enum err damage = snapshot_load(rc->env, rc->snap_dir, f, NULL, &whole);
            if (damage == ERR_CORRUPT || damage == ERR_CUT) {
                e = damage;
                load = whole;
            }
        }
        if (e == ERR_UNSUPPORTED) {
            log_error(&rc->env->log, "%s/%s: %s", rc->snap_dir, f->name, load.why);
            return e;
        }
        if (e != ERR_CORRUPT && e != ERR_CUT) {
            return disk_error(rc, e, rc->snap_dir);
        }
        rc->failed_zxid = rc->failed_zxid > f->zxid ? rc->failed_zxid : f->zxid;
        log_warn(&rc->env->log,
                 "%s/%s is not usable (%s, near byte %" PRIu64 "); trying the one before it",
                 rc->snap_dir, f->name, load.why, load.off);
    }
    return ERR_NOTFOUND;
}

// What every tree begins with, over whatever a half-read snapshot left.
static enum err empty_tree(struct tree *tree)
{
    static const char *const paths[] = {"", "/zookeeper", "/zookeeper/quota"};
    struct data_node n = {.data = SLICE_LIT(""), .acl = ACL_ID_OPEN};
    enum err e = ERR_OK;
    tree_load_begin(tree);
    for (size_t i = 0; !e && i < sizeof(paths) / sizeof(paths[0]); i++) {
        e = tree_load_node(tree, slice_str(paths[i]), &n);
    }
    return e ? e : tree_load_end(tree, 0);
}

// An empty directory, or one whose first server died while it wrote snapshot.0.
static enum err start_fresh(struct recovery *rc)
{
    uint64_t bytes;
    enum err e = snapshot_write_now(rc->env, rc->cfg, rc->snap_dir, rc->tree, &bytes);
    if (e) {
        return disk_error(rc, e, rc->snap_dir);
    }
    rc->out->snap_zxid = tree_zxid(rc->tree);
    rc->out->snap_bytes = (int64_t)bytes;
    return ERR_OK;
}

static enum err without_snapshot(struct recovery *rc)
{
    if (rc->failed_zxid > 0) {
        log_error(&rc->env->log,
                  "no snapshot in %s is usable (the lines above say why); restore the directory "
                  "from another server or a backup",
                  rc->snap_dir);
        return ERR_CORRUPT;
    }
    if (rc->failed_zxid == 0) {
        enum err e = empty_tree(rc->tree);
        must(e == ERR_OK);
    }
    int64_t log = first_log(rc);
    if (log < 0) {
        return start_fresh(rc);
    }
    rc->out->snapshot_wanted = true;
    if (rc->failed_zxid == 0 && (log & UINT32_MAX) == 1) {
        return ERR_OK; // snapshot.0 is the empty tree whether it can be read or not
    }
    if (!rc->cfg->trust_empty) {
        log_error(&rc->env->log,
                  "%s has transaction logs, but %s has no snapshot: data may be missing. Restore "
                  "the snapshots; or, if the logs really begin with an empty tree (an upgrade from "
                  "3.4), start once with snapshot.trust.empty=true",
                  rc->log_dir, rc->snap_dir);
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

// ---- the whole
// ---------------------------------------------------------------------------------------

// After an older snapshot had to do: the log must lead, without a hole, to where the damaged one
// was.
static enum err check_fallback(struct recovery *rc, const struct replay *r)
{
    if (rc->failed_zxid < 0 || rc->out->snap_zxid < 0) {
        return ERR_OK;
    }
    rc->out->snapshot_wanted = true;
    if (r->holes == 0 && tree_zxid(rc->tree) >= rc->failed_zxid) {
        return ERR_OK;
    }
    log_error(&rc->env->log,
              "snapshot 0x%" PRIx64 " is damaged and the logs do not lead from snapshot 0x%" PRIx64
              " to it: transactions would be lost. Restore the directory from another server or a "
              "backup; or, to give them up, remove the damaged snapshot",
              (uint64_t)rc->failed_zxid, (uint64_t)rc->out->snap_zxid);
    return ERR_CORRUPT;
}

// A log always stands beside what a snapshot tells; that there is none may be meant (a restored
// snapshot) or may be the loss of all that came after it.
static void miss_logs(const struct recovery *rc)
{
    if (rc->out->snap_zxid > 0 && first_log(rc) < 0) {
        log_warn(&rc->env->log,
                 "%s has no transaction logs: this is the state of snapshot 0x%" PRIx64
                 " and nothing later. If that is not meant, stop, and set dataLogDir to where the "
                 "logs are",
                 rc->log_dir, (uint64_t)rc->out->snap_zxid);
    }
}

// Restarts may not make files pile up: snapshots make the purge go on.
static void count_logs(struct recovery *rc, const struct replay *r)
{
    size_t n = 0;
    for (size_t i = 0; i < rc->logs.n; i++) {
        n += rc->logs.v[i].kind == DISK_NAME_LOG;
    }
    bool purged = rc->cfg->snap_retain > 0 && rc->cfg->purge_interval_ms == 0;
    rc->out->snapshot_wanted |= purged && n > LOGS_MANY && r->txns > 0;
}

static void sum_sizes(struct recovery *rc)
{
    for (size_t i = 0; i < rc->snaps.n; i++) {
        if (rc->snaps.v[i].kind == DISK_NAME_SNAPSHOT) {
            rc->out->snap_bytes += (int64_t)rc->snaps.v[i].size;
        }
    }
    for (size_t i = 0; i < rc->logs.n; i++) {
        if (rc->logs.v[i].kind == DISK_NAME_LOG) {
            rc->out->log_bytes += (int64_t)rc->logs.v[i].size;
        }
    }
}

static enum err run(struct recovery *rc)
{
    enum err e = list_files(rc);
    if (e) {
        return e;
    }
    struct mono begun = rc->env->ops->clock(rc->env);
    e = load_newest(rc);
    if (e == ERR_NOTFOUND) {
        e = without_snapshot(rc);
    }
    if (e) {
        return e;
    }
    struct mono loaded = rc->env->ops->clock(rc->env);
    struct replay r;
    struct replay_how how = {.until = INT64_MAX, .tail = rc->cfg->member ? rc->tail : NULL};
    e = replay_logs(rc->env, rc->log_dir, &rc->logs, rc->tree, &how, &r);
    if (e) {
        return e;
    }
    rc->out->snap_load_ms = mono_diff_ms(loaded, begun);
    rc->out->replay_ms = mono_diff_ms(rc->env->ops->clock(rc->env), loaded);
    rc->out->txns = r.txns;
    sum_sizes(rc);
    miss_logs(rc);
    count_logs(rc, &r);
    e = check_fallback(rc, &r);
    if (!e && rc->cfg->member) {
        e = epochs_recover(rc->env, rc->snap_dir, tree_zxid(rc->tree), &rc->out->epochs);
    }
    return e;
}

enum err recover(struct env *env, const struct disk_config *cfg, const char *snap_dir,
                 const char *log_dir, struct tree *tree, struct tail *tail, struct recovered *r)
{
    *r = (struct recovered){.snap_zxid = -1};
    struct recovery rc = {.env = env,
                          .cfg = cfg,
                          .snap_dir = snap_dir,
                          .log_dir = log_dir,
                          .one_dir = strcmp(snap_dir, log_dir) == 0,
                          .tree = tree,
                          .tail = tail,
                          .failed_zxid = -1,
                          .out = r};
    enum err e = run(&rc);
    disk_files_fini(&rc.snaps);
    disk_files_fini(&rc.logs);
    return e;
}
