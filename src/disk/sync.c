// SPDX-License-Identifier: Apache-2.0
//
// What a member of an ensemble asks of its disk: the course of epoch saves, truncations and
// installs on the core thread. The work is in epochs.c, cut.c and take.c.
#include "disk/sync.h"

#include <inttypes.h>

#include "disk/disk_internal.h"

void sync_init(struct disk *d, const struct tree *tree)
{
    d->snapshots_allowed = true;
    d->tree_config = *tree_config(tree);
    take_init(&d->take, d->env, &d->cfg, d->snap_dir, d->log_dir);
}

void sync_fini(struct disk *d)
{
    must(sync_idle(d));
    tail_fini(&d->tail);
    tail_fini(&d->cut.tail);
    tree_free(&d->cut.tree);
    take_fini(&d->take);
}

bool disk_is_replacing(const struct disk *d)
{
    return d->cutting != CUT_NONE || d->take.state == TAKE_COMMITTING;
}

bool sync_idle(const struct disk *d)
{
    return !d->saving_epoch && !d->take.busy && !disk_is_replacing(d);
}

bool sync_owns(const struct disk *d, const struct env_job *job)
{
    return job == &d->epoch_save.job || job == &d->cut.job || job == &d->take.job.job;
}

// ---- epochs
// --------------------------------------------------------------------------------------

void disk_get_epochs(const struct disk *d, struct disk_epochs *e)
{
    must(d->cfg.member);
    *e = d->epochs;
}

void disk_save_epoch(struct disk *d, enum disk_epoch which, int64_t epoch)
{
    must(d->cfg.member);
    must(!d->saving_epoch);
    must(epoch >= 0);
    if (d->log.state == LOG_BROKEN) {
        return; // the owner has been told to stop
    }
    d->epoch_save = (struct epoch_save){.job = {.run = epoch_save_run, .owner = d},
                                        .dir = d->snap_dir,
                                        .which = which,
                                        .epoch = epoch};
    d->saving_epoch = true;
    d->env->ops->job(d->env, ENV_LANE_LOG, &d->epoch_save.job);
}

static int broken(struct disk *d, struct disk_event *event)
{
    log_break(&d->log);
    *event = (struct disk_event){.type = DISK_LOG_BROKEN, .zxid = d->log.last_durable};
    return 1;
}

static int on_epoch(struct disk *d, struct disk_event *event)
{
    const struct epoch_save *s = &d->epoch_save;
    d->saving_epoch = false;
    if (s->err && s->err != ERR_NOSPACE) {
        log_error(&d->env->log, "an epoch could not be written to %s: %s; check the disk",
                  d->snap_dir, err_text(s->err));
        return broken(d, event);
    }
    if (s->err) {
        log_error(&d->env->log,
                  "no space in %s to write epoch %" PRId64 ": this server can have no role in it; "
                  "make space",
                  d->snap_dir, s->epoch);
        *event = (struct disk_event){.type = DISK_SYNC_FAILED, .zxid = s->epoch};
        return 1;
    }
    *(s->which == DISK_EPOCH_ACCEPTED ? &d->epochs.accepted : &d->epochs.current) = s->epoch;
    *event = (struct disk_event){.type = DISK_EPOCH_SAVED, .zxid = s->epoch};
    return 1;
}

// ---- tail, settled, snapshots
// --------------------------------------------------------------------

const struct disk_entry *disk_tail(const struct disk *d, size_t *n)
{
    return tail_entries(&d->tail, n);
}

void disk_forget_tail(struct disk *d)
{
    tail_fini(&d->tail);
}

bool disk_settled(const struct disk *d)
{
    return log_settled(&d->log) && !disk_is_replacing(d);
}

void disk_allow_snapshots(struct disk *d, bool allow)
{
    d->snapshots_allowed = allow;
}

// ---- what replaces the directory's contents
// ------------------------------------------------------

// Both jobs need the directories for themselves.
static bool is_alone(const struct disk *d)
{
    return !d->log.writing && !d->log.filling && !d->purging && !d->snapshot.busy && !d->take.busy;
}

static struct snap_writer *broken_snapshot(struct disk *d)
{
    return d->snapshot.state == SNAP_DROPPED ? &d->snapshot.job.writer : NULL;
}

// The half file of a snapshot given up is gone.
static void forget_broken(struct disk *d)
{
    if (d->snapshot.state == SNAP_DROPPED) {
        d->snapshot.state = SNAP_IDLE;
        d->snapshot_wanted = true;
        supply_snapshot_ended(&d->supply);
    }
}

// The snapshots that are left: none above zxid.
static void know_snapshots(struct disk *d, int64_t zxid, int64_t bytes)
{
    d->snap_bytes = bytes;
    d->snapshot.last_zxid = zxid;
    d->purge.known_n = 0;
    purge_know(&d->purge, zxid);
    supply_know_snapshot(&d->supply, zxid);
}

static int failed(struct disk *d, int64_t zxid, int64_t closed_bytes, struct disk_event *event)
{
    log_restart(&d->log, d->log.last_durable, d->log.closed_bytes + closed_bytes);
    *event = (struct disk_event){.type = DISK_SYNC_FAILED, .zxid = zxid};
    return 1;
}

static int replaced(struct disk *d, enum disk_event_type type, int64_t zxid, struct tree **tree,
                    struct disk_event *event)
{
    d->txns = d->bytes = 0;
    supply_forget_log(&d->supply);
    tail_fini(&d->tail);
    d->answer = (struct disk_answer){.tree = *tree};
    *tree = NULL;
    d->answer.entries = tail_entries(&d->cut.tail, &d->answer.entries_n);
    *event = (struct disk_event){.type = type, .zxid = zxid, .answer = &d->answer};
    return 1;
}

// ---- truncation
// ----------------------------------------------------------------------------------

void disk_truncate(struct disk *d, struct tree *tree, int64_t zxid)
{
    must(d->cfg.member);
    must(disk_settled(d));
    if (d->log.state == LOG_BROKEN) {
        return;
    }
    snapshot_give_up(&d->snapshot, tree);
    tail_fini(&d->cut.tail);
    d->cut = (struct cut){
        .snap_dir = d->snap_dir, .log_dir = d->log_dir, .zxid = zxid, .file = {.fd = -1}};
    d->cutting = CUT_WAITING;
    sync_turn(d);
}

static void start_cut(struct disk *d)
{
    d->cutting = CUT_RUNNING;
    d->cut.file = log_give_file(&d->log);
    d->cut.broken = broken_snapshot(d);
    d->cut.tree = tree_new(&d->tree_config, &d->env->log);
    d->cut.job = (struct env_job){.run = cut_run, .owner = d};
    d->env->ops->job(d->env, ENV_LANE_LOG, &d->cut.job);
}

static int on_cut(struct disk *d, struct disk_event *event)
{
    struct cut *c = &d->cut;
    d->cutting = CUT_NONE;
    forget_broken(d);
    if (!c->err) {
        log_info(&d->env->log, "log cut at zxid 0x%" PRIx64 ", as the leader asked",
                 (uint64_t)c->zxid);
        log_restart(&d->log, c->zxid, c->log_bytes);
        know_snapshots(d, c->base, c->snap_bytes);
        return replaced(d, DISK_TRUNCATED, c->zxid, &c->tree, event);
    }
    tree_free(&c->tree);
    tail_fini(&c->tail);
    if (c->decided) {
        log_error(&d->env->log,
                  "the log could not be cut at zxid 0x%" PRIx64 ": %s; check the disk",
                  (uint64_t)c->zxid, err_text(c->err));
        return broken(d, event);
    }
    log_warn(&d->env->log,
             "the log cannot be cut at zxid 0x%" PRIx64
             " (%s): no snapshot and log lead there; nothing is changed",
             (uint64_t)c->zxid, err_text(c->err));
    return failed(d, c->zxid, c->file_bytes, event);
}

// ---- a snapshot from a peer
// ----------------------------------------------------------------------

void disk_take_begin(struct disk *d, int64_t zxid)
{
    must(d->cfg.member);
    must(zxid >= 0);
    take_begin(&d->take, zxid);
}

enum disk_take disk_take_put(struct disk *d, struct slice bytes, size_t *used)
{
    enum disk_take r = take_put(&d->take, bytes, used);
    sync_turn(d);
    return r;
}

size_t disk_take_backlog(const struct disk *d)
{
    return take_backlog(&d->take);
}

void disk_take_commit(struct disk *d, struct tree *tree)
{
    if (d->take.state != TAKE_OPEN || d->log.state == LOG_BROKEN) {
        return; // it has failed, and that has been said
    }
    must(d->take.ended);
    must(disk_settled(d));
    snapshot_give_up(&d->snapshot, tree);
    d->take.state = TAKE_COMMITTING;
    sync_turn(d);
}

void disk_take_abandon(struct disk *d)
{
    take_abandon(&d->take);
    sync_turn(d);
}

static void start_commit(struct disk *d)
{
    struct take_job *j = &d->take.job;
    j->file = log_give_file(&d->log);
    j->broken = broken_snapshot(d);
    j->tree = tree_new(&d->tree_config, &d->env->log);
    take_commit(&d->take);
}

static int on_commit(struct disk *d, struct disk_event *event)
{
    struct take_job *j = &d->take.job;
    j->file.fd = -1;
    forget_broken(d);
    if (!j->err) {
        log_info(&d->env->log,
                 "snapshot 0x%" PRIx64 " from the leader installed (%" PRId64
                 " bytes); what was there before is in %s/replaced",
                 (uint64_t)j->zxid, j->snap_bytes, d->snap_dir);
        log_restart(&d->log, j->zxid, 0);
        know_snapshots(d, j->zxid, j->snap_bytes);
        d->snapshot_wanted = false;
        tail_fini(&d->cut.tail);
        return replaced(d, DISK_INSTALLED, j->zxid, &j->tree, event);
    }
    tree_free(&j->tree);
    log_error(&d->env->log, "snapshot 0x%" PRIx64 " from the leader could not be installed: %s",
              (uint64_t)j->zxid, j->why ? j->why : err_text(j->err));
    return j->decided ? broken(d, event) : failed(d, j->zxid, j->file_bytes, event);
}

static int on_take(struct disk *d, struct disk_event *event)
{
    if (!take_on_job(&d->take)) {
        return 0;
    }
    if (d->take.job.commit) {
        return on_commit(d, event);
    }
    log_error(&d->env->log, "the snapshot from the leader could not be written to %s: %s",
              d->snap_dir, err_text(d->take.job.err));
    *event = (struct disk_event){.type = DISK_SYNC_FAILED, .zxid = d->take.job.zxid};
    return 1;
}

// ---- jobs
// ----------------------------------------------------------------------------------------

int sync_on_job(struct disk *d, struct env_job *job, struct disk_event *event)
{
    if (job == &d->epoch_save.job) {
        return on_epoch(d, event);
    }
    return job == &d->cut.job ? on_cut(d, event) : on_take(d, event);
}

void sync_turn(struct disk *d)
{
    if (d->cutting == CUT_WAITING && is_alone(d)) {
        start_cut(d);
    } else if (d->take.state == TAKE_COMMITTING && is_alone(d)) {
        start_commit(d);
    } else {
        take_turn(&d->take, !disk_background_busy(d));
    }
}
