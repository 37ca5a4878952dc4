// SPDX-License-Identifier: Apache-2.0
//
// The handle: directories, counters, and who may use the background lane. One background job of
// this disk is in flight at a time, and the filler of the log goes first: it is short, and a log
// without zeros ahead costs every client. When something long is there already, it takes the log's
// lane.
#include "disk/disk.h"

#include <inttypes.h>

#include "base/mem.h"
#include "disk/disk_internal.h"
#include "disk/names.h"
#include "disk/recover.h"
#include "disk/supply.h"

// ---- open
// ----------------------------------------------------------------------------------------

// Apache: SyncRequestProcessor.resetSnapshotStats. Random, so that the servers of an ensemble do
// not all write at once.
static void restart_counters(struct disk *d)
{
    int64_t half = (d->cfg.snap_count > 2 ? d->cfg.snap_count : 2) / 2;
    d->txns = d->bytes = 0;
    d->txns_max = half + (int64_t)rng_below(&d->rng, (uint64_t)half);
    half = d->cfg.snap_size_bytes / 2;
    d->bytes_max = half > 0 ? half + (int64_t)rng_below(&d->rng, (uint64_t)half) : 0;
}

static char *version_dir(const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') {
        n--;
    }
    char *trimmed = mem_alloc(n + 1);
    memcpy(trimmed, dir, n);
    trimmed[n] = 0;
    char *path = disk_path(trimmed, "version-2");
    mem_free(trimmed);
    return path;
}

static enum err take_dir(struct env *env, const char *base, const char *dir)
{
    enum err e = env->ops->make_dir(env, dir);
    if (!e) {
        e = env->ops->sync_dir(env, base);
    }
    if (e) {
        log_error(&env->log,
                  "cannot make the data directory %s: %s; create it, or give another with "
                  "dataDir in zoo.cfg or --data-dir",
                  dir, err_text(e));
        return e;
    }
    char *path = disk_path(dir, DISK_LOCK);
    e = env->ops->lock(env, path);
    if (e == ERR_BUSY) {
        log_error(&env->log,
                  "another server is running on %s; stop it, or give this one a directory of its "
                  "own with dataDir in zoo.cfg or --data-dir",
                  dir);
    } else if (e) {
        log_error(&env->log, "cannot lock %s: %s; this user must be able to write there", path,
                  err_text(e));
    }
    mem_free(path);
    return e;
}

static enum err take_dirs(struct disk *d)
{
    enum err e = take_dir(d->env, d->cfg.data_dir, d->snap_dir);
    if (!e && strcmp(d->snap_dir, d->log_dir) != 0) {
        e = take_dir(d->env, d->cfg.data_log_dir, d->log_dir);
    }
    return e;
}

static void start_parts(struct disk *d, const struct tree *tree, const struct recovered *r)
{
    d->epochs = r->epochs;
    log_init(&d->log, d->env, &d->cfg, d->log_dir, tree_zxid(tree), r->log_bytes);
    snapshot_init(&d->snapshot, d->env, &d->cfg, d->snap_dir, r->snap_zxid);
    supply_init(&d->supply, d->env, &d->log, d->snap_dir, d->log_dir);
    d->snapshot_wanted = r->snapshot_wanted;
    d->purge = (struct purge){
        .snap_dir = d->snap_dir, .log_dir = d->log_dir, .retain = d->cfg.snap_retain};
    if (r->snap_zxid >= 0) {
        purge_know(&d->purge, r->snap_zxid);
        supply_know_snapshot(&d->supply, r->snap_zxid);
    }
    d->purge_wanted = d->cfg.purge_interval_ms > 0;
    d->purge_at = mono_add_ms(d->env->now, d->cfg.purge_interval_ms);
    d->snap_bytes = r->snap_bytes;
    d->recovered_txns = r->txns;
    d->snap_load_ms = r->snap_load_ms;
    d->replay_ms = r->replay_ms;
    d->rng = (struct rng){d->env->seed ^ 0x6469736bu};
    restart_counters(d);
    d->txns = r->txns; // many restarts must not make the log endless
}

enum err disk_open(struct env *env, const struct disk_config *cfg, struct tree *tree,
                   struct disk **disk)
{
    must(cfg->snap_retain == 0 || cfg->snap_retain >= 3);
    *disk = NULL;
    struct disk *d = mem_zalloc(sizeof(*d));
    d->env = env;
    d->cfg = *cfg;
    d->cfg.data_dir = mem_strdup(cfg->data_dir);
    d->cfg.data_log_dir = mem_strdup(cfg->data_log_dir);
    d->snap_dir = version_dir(cfg->data_dir);
    d->log_dir = version_dir(cfg->data_log_dir);
    d->log.place.fd = -1;
    sync_init(d, tree);
    struct recovered r;
    enum err e = take_dirs(d);
    if (!e) {
        e = recover(env, &d->cfg, d->snap_dir, d->log_dir, tree, &d->tail, &r);
    }
    if (e) {
        disk_free(&d);
        return e;
    }
    start_parts(d, tree, &r);
    log_info(&env->log,
             "data in %s: zxid 0x%" PRIx64 ", %zu nodes, %zu sessions (snapshot 0x%" PRIx64
             " and %" PRId64 " transactions of the log)",
             d->snap_dir, (uint64_t)tree_zxid(tree), tree_node_count(tree),
             session_count(tree_sessions_const(tree)),
             (uint64_t)(r.snap_zxid > 0 ? r.snap_zxid : 0), r.txns);
    *disk = d;
    return ERR_OK;
}

void disk_free(struct disk **disk)
{
    struct disk *d = *disk;
    if (!d) {
        return;
    }
    must(!d->purging);
    sync_fini(d);
    log_fini(&d->log);
    snapshot_fini(&d->snapshot);
    supply_fini(&d->supply);
    mem_free((char *)(uintptr_t)d->cfg.data_dir);
    mem_free((char *)(uintptr_t)d->cfg.data_log_dir);
    mem_free(d->snap_dir);
    mem_free(d->log_dir);
    mem_free(d);
    *disk = NULL;
}

// ---- the log
// -------------------------------------------------------------------------------------

bool disk_background_busy(const struct disk *d)
{
    return d->purging || d->snapshot.busy || d->take.busy ||
           (d->log.filling && d->log.fill_on_background);
}

bool disk_append(struct disk *d, struct slice entry, int64_t zxid)
{
    must(!disk_is_replacing(d));
    if (!log_append(&d->log, entry, zxid)) {
        return false;
    }
    d->txns++;
    d->bytes += (int64_t)entry.n;
    return true;
}

size_t disk_backlog(const struct disk *d)
{
    return d->log.backlog;
}

void disk_flush(struct disk *d)
{
    log_flush(&d->log);
}

bool disk_idle(const struct disk *d)
{
    return log_idle(&d->log) && !d->snapshot.busy && !d->purging && supply_idle(&d->supply) &&
           sync_idle(d);
}

// ---- jobs
// ----------------------------------------------------------------------------------------

bool disk_owns(const struct disk *d, const struct env_job *job)
{
    return log_owns(&d->log, job) || job == &d->snapshot.job.job || job == &d->purge.job ||
           supply_owns(&d->supply, job) || sync_owns(d, job);
}

static void on_purged(struct disk *d)
{
    struct purge *p = &d->purge;
    d->purging = false;
    d->snap_bytes -= p->snap_bytes;
    d->log.closed_bytes -= p->log_bytes;
    if (p->snaps_removed || p->logs_removed) {
        log_info(&d->env->log,
                 "purged %d snapshots and %d logs that no start needs (%" PRId64 " bytes)",
                 p->snaps_removed, p->logs_removed, p->snap_bytes + p->log_bytes);
    }
    if (p->err) {
        log_warn(&d->env->log,
                 "old snapshots and logs could not be removed from %s: %s; the next purge tries "
                 "again, meanwhile watch the space",
                 d->snap_dir, err_text(p->err));
    }
}

static int on_snapshot(struct disk *d, struct disk_event *event)
{
    int64_t old_zxid = d->snapshot.last_zxid, old_bytes = d->snapshot.last_bytes;
    if (!snapshot_on_job(&d->snapshot)) {
        if (d->snapshot.job.err) {
            d->snapshot_wanted = true;
            supply_snapshot_ended(&d->supply);
        }
        return 0;
    }
    must(d->snapshot.last_zxid <= d->log.last_durable);
    d->snap_bytes += d->snapshot.last_bytes;
    d->snap_bytes -= d->snapshot.last_zxid == old_zxid ? old_bytes : 0; // written over
    purge_know(&d->purge, d->snapshot.last_zxid);
    supply_know_snapshot(&d->supply, d->snapshot.last_zxid);
    supply_snapshot_ended(&d->supply);
    d->purge_wanted |= d->cfg.purge_interval_ms == 0;
    *event = (struct disk_event){.type = DISK_SNAPPED, .zxid = d->snapshot.last_zxid};
    return 1;
}

int disk_on_job(struct disk *d, struct env_job *job, struct disk_event events[4])
{
    must(disk_owns(d, job));
    int n = 0;
    if (job == &d->purge.job) {
        on_purged(d);
    } else if (job == &d->snapshot.job.job) {
        n = on_snapshot(d, events);
    } else if (supply_owns(&d->supply, job)) {
        n = supply_on_job(&d->supply, job, events);
    } else if (sync_owns(d, job)) {
        n = sync_on_job(d, job, events);
    } else {
        n = log_on_job(&d->log, job, events);
    }
    sync_turn(d);
    if (!disk_is_replacing(d)) {
        log_fill_ahead(&d->log, disk_background_busy(d));
    }
    return n;
}

// ---- the turn
// ------------------------------------------------------------------------------------

static int64_t sooner(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

// Begins a snapshot if one is due or asked for. In how many ms again.
static int64_t maybe_snapshot(struct disk *d, struct tree *tree, struct mono now)
{
    bool due = d->txns > d->txns_max || (d->bytes_max > 0 && d->bytes > d->bytes_max);
    if (due) {
        log_roll(&d->log);
        restart_counters(d);
        // As Apache: what comes due while one is written only begins a new log.
        d->snapshot_wanted |= d->snapshot.state == SNAP_IDLE;
    }
    // A purge goes first, or snapshots that follow each other closely would never let it.
    bool purge_due = d->purge_wanted && d->cfg.snap_retain > 0;
    bool allowed = d->snapshots_allowed && !disk_is_replacing(d);
    if (!d->snapshot_wanted || !allowed || d->log.state != LOG_WRITING || purge_due) {
        return -1;
    }
    int64_t wait = snapshot_wait_ms(&d->snapshot, now);
    if (wait == 0) {
        if (!due) {
            log_roll(&d->log);
            restart_counters(d);
        }
        d->snapshot_wanted = false;
        snapshot_begin(&d->snapshot, tree);
    }
    return wait > 0 ? wait : -1;
}

static int64_t maybe_purge(struct disk *d, struct mono now)
{
    if (d->cfg.snap_retain == 0) {
        return -1;
    }
    int64_t wait = -1;
    if (d->cfg.purge_interval_ms > 0) {
        wait = mono_diff_ms(d->purge_at, now);
        if (wait <= 0) {
            d->purge_wanted = true;
            wait = d->cfg.purge_interval_ms;
            d->purge_at = mono_add_ms(now, wait);
        }
    }
    if (d->purge_wanted && d->snapshot.state == SNAP_IDLE && !disk_background_busy(d) &&
        !disk_is_replacing(d)) {
        d->purge_wanted = false;
        d->purging = true;
        d->purge.job = (struct env_job){.run = purge_run, .owner = d};
        d->env->ops->job(d->env, ENV_LANE_BACKGROUND, &d->purge.job);
    }
    return wait;
}

// An offer may need a snapshot: one is begun if that can come to something soon.
static void serve_offers(struct disk *d)
{
    supply_turn(&d->supply, d->log.state == LOG_WRITING && d->snapshot.failures == 0 &&
                                d->snapshots_allowed && !disk_is_replacing(d));
    d->snapshot_wanted |= supply_wants_snapshot(&d->supply) && d->snapshot.state == SNAP_IDLE;
}

int64_t disk_turn(struct disk *d, struct tree *tree, struct mono now)
{
    snapshot_settle(&d->snapshot, tree);
    int64_t wait = disk_is_replacing(d) ? -1 : log_turn(&d->log, now);
    serve_offers(d);
    wait = sooner(wait, maybe_snapshot(d, tree, now));
    if (snapshot_turn(&d->snapshot, tree, !disk_background_busy(d), d->log.last_durable,
                      d->log.state == LOG_FULL)) {
        wait = 0;
    }
    sync_turn(d);
    return sooner(wait, maybe_purge(d, now));
}

void disk_snapshot_soon(struct disk *d)
{
    d->snapshot_wanted = true;
}

bool disk_snapshot_running(const struct disk *d)
{
    return (d->snapshot_wanted && d->snapshots_allowed) || d->snapshot.state != SNAP_IDLE;
}

// ---- figures
// -------------------------------------------------------------------------------------

void disk_get_stats(const struct disk *d, struct disk_stats *s)
{
    *s = (struct disk_stats){.snap_count = d->snapshot.count,
                             .snap_errors = d->snapshot.errors,
                             .fsync_slow = d->log.fsync_slow,
                             .fsync_ns = d->log.fsync_ns,
                             .batch_txns = d->log.batch_txns,
                             .snapshot_ms = d->snapshot.ms,
                             .last_snap_zxid = d->snapshot.last_zxid,
                             .last_snap_wall_ms = d->snapshot.last_wall_ms,
                             .recovered_txns = d->recovered_txns,
                             .snap_load_ms = d->snap_load_ms,
                             .replay_ms = d->replay_ms};
}

void disk_sizes(const struct disk *d, int64_t *snap_bytes, int64_t *log_size)
{
    *snap_bytes = d->snap_bytes;
    *log_size = log_bytes(&d->log);
}

// ---- for learners: disk/sync.h
// -------------------------------------------------------------------

void disk_offer(struct disk *d, uint64_t tag, int64_t after, int64_t until)
{
    supply_offer(&d->supply, tag, after, until);
}

void disk_history_begin(struct disk *d, uint64_t tag, int64_t after, int64_t until)
{
    supply_history_begin(&d->supply, tag, after, until);
}

void disk_history_more(struct disk *d, uint64_t tag)
{
    supply_more(&d->supply, SUPPLY_HISTORY, tag);
}

void disk_history_end(struct disk *d, uint64_t tag)
{
    supply_end(&d->supply, SUPPLY_HISTORY, tag);
}

void disk_stream_begin(struct disk *d, uint64_t tag, int64_t zxid)
{
    supply_stream_begin(&d->supply, tag, zxid);
}

void disk_stream_more(struct disk *d, uint64_t tag)
{
    supply_more(&d->supply, SUPPLY_STREAM, tag);
}

void disk_stream_end(struct disk *d, uint64_t tag)
{
    supply_end(&d->supply, SUPPLY_STREAM, tag);
}
