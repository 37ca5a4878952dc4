// SPDX-License-Identifier: Apache-2.0
#include "disk/snapshot.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "disk/snapfile.h"
#include "limits.h"

enum {
    // Bytes of one piece: what the lane does at a time, so that nothing waits long behind it.
    PIECE = 1024 * 1024,
    // The file is synced in steps, so that its end is not one long sync that the log feels.
    SYNC_STEP = 8 * 1024 * 1024,
    // Of a node beside its path and data.
    NODE_BYTES = 76,
    // What the log may take meanwhile, if it is on the same disk.
    LOG_BYTES = 1024 * 1024,
    BACKOFF_FIRST_MS = 1000,
    BACKOFF_MAX_MS = 5 * 60 * 1000
};

// ---- the file: on the lane, or before the loop
// ---------------------------------------------------

void snap_writer_init(struct snap_writer *w, struct env *env, const struct disk_config *cfg,
                      const char *dir, const struct walk_info *info)
{
    // Digest and last zxid both or neither: neither is what every Apache version with every setting
    // reads, and a lone last zxid is what most of them do not. disk-format.md 6.1.
    *w = (struct snap_writer){.env = env,
                              .dir = dir,
                              .packed = (enum disk_compression)cfg->compression,
                              .digest_section = cfg->digest_section,
                              .last_zxid_section = cfg->digest_section && cfg->last_zxid_section,
                              .zxid = info->zxid,
                              .digest = info->digest,
                              .prefix = DISK_TMP,
                              .fd = -1,
                              .adler = HASH_ADLER_INIT};
}

// Compressed or not, into the file.
static enum err put(struct snap_writer *w, struct slice bytes, bool last)
{
    w->adler = hash_adler32(w->adler, bytes);
    struct slice out = bytes;
    if (w->packed != DISK_PLAIN) {
        buf_clear(&w->out);
        enum err e = pack_put(w->pack, bytes, last, &w->out);
        if (e) {
            return e;
        }
        out = buf_slice(&w->out);
    }
    if (out.n == 0) {
        return ERR_OK;
    }
    enum err e = w->env->ops->file_write(w->env, w->fd, w->off, out.p, out.n);
    if (e) {
        return e;
    }
    w->off += out.n;
    if (w->off - w->synced >= SYNC_STEP) {
        w->synced = w->off;
        return w->env->ops->file_sync(w->env, w->fd);
    }
    return ERR_OK;
}

// One that cannot fit must not take the log's last bytes while it finds out.
static enum err check_room(const struct snap_writer *w)
{
    uint64_t free_bytes = 0;
    enum err e = w->room ? w->env->ops->free_space(w->env, w->dir, &free_bytes) : ERR_OK;
    return e ? e : free_bytes < w->room ? ERR_NOSPACE : ERR_OK;
}

enum err snap_writer_begin(struct snap_writer *w)
{
    enum err room = check_room(w);
    if (room) {
        return room;
    }
    char name[DISK_NAME_MAX], whole[2 * DISK_NAME_MAX];
    disk_name_snapshot(name, w->zxid, w->packed);
    snprintf(whole, sizeof(whole), "%s%s", w->prefix, name);
    w->tmp = disk_path(w->dir, whole);
    enum err e = w->env->ops->file_open(w->env, w->tmp,
                                        ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_TRUNC, &w->fd);
    if (e) {
        w->fd = -1;
        return e;
    }
    w->pack = w->packed != DISK_PLAIN ? pack_new(w->packed) : NULL;
    struct buf b = {0};
    snapfile_put_header(&b);
    e = put(w, buf_slice(&b), false);
    buf_fini(&b);
    return e;
}

enum err snap_writer_put(struct snap_writer *w, struct slice bytes)
{
    return put(w, bytes, false);
}

// Each seal holds the checksum of all before it.
static enum err put_seals(struct snap_writer *w)
{
    struct buf b = {0};
    snapfile_put_seal(&b, w->adler);
    if (w->digest_section) {
        snapfile_put_digest(&b, w->zxid, w->digest);
        snapfile_put_seal(&b, hash_adler32(w->adler, buf_slice(&b)));
    }
    if (w->last_zxid_section) {
        snapfile_put_last_zxid(&b, w->zxid);
        snapfile_put_seal(&b, hash_adler32(w->adler, buf_slice(&b)));
    }
    enum err e = put(w, buf_slice(&b), true);
    buf_fini(&b);
    return e;
}

void snap_writer_release(struct snap_writer *w)
{
    if (w->fd >= 0) {
        w->env->ops->file_close(w->env, w->fd);
        w->fd = -1;
    }
    pack_free(&w->pack);
    buf_fini(&w->out);
    mem_free(w->tmp);
    w->tmp = NULL;
}

enum err snap_writer_seal(struct snap_writer *w)
{
    enum err e = put_seals(w);
    return e ? e : w->env->ops->file_sync(w->env, w->fd);
}

enum err snap_writer_rename(struct snap_writer *w, const char *path)
{
    enum err e = w->env->ops->rename(w->env, w->tmp, path);
    if (!e) {
        snap_writer_release(w);
    }
    return e;
}

enum err snap_writer_finish(struct snap_writer *w)
{
    enum err e = snap_writer_seal(w);
    if (e) {
        return e;
    }
    char name[DISK_NAME_MAX];
    disk_name_snapshot(name, w->zxid, w->packed);
    char *path = disk_path(w->dir, name);
    e = snap_writer_rename(w, path);
    mem_free(path);
    return e ? e : w->env->ops->sync_dir(w->env, w->dir);
}

void snap_writer_abort(struct snap_writer *w)
{
    char *tmp = w->tmp;
    w->tmp = NULL;
    snap_writer_release(w);
    if (tmp) {
        (void)!w->env->ops->unlink(w->env, tmp); // a start removes what is left
        mem_free(tmp);
    }
}

static enum err write_all(struct snap_writer *w, struct tree *tree)
{
    enum err e = snap_writer_begin(w);
    struct buf b = {0};
    for (bool done = false; !e && !done;) {
        done = tree_walk_slice(tree, LIMIT_SNAP_SLICE_NODES);
        buf_clear(&b);
        tree_walk_take(tree, &b);
        e = snap_writer_put(w, buf_slice(&b));
    }
    buf_fini(&b);
    return e ? e : snap_writer_finish(w);
}

enum err snapshot_write_now(struct env *env, const struct disk_config *cfg, const char *dir,
                            struct tree *tree, uint64_t *bytes)
{
    struct walk_info info;
    tree_walk_begin(tree, &info);
    struct snap_writer w;
    snap_writer_init(&w, env, cfg, dir, &info);
    enum err e = write_all(&w, tree);
    *bytes = w.off;
    if (e) {
        snap_writer_abort(&w);
        tree_walk_cancel(tree);
    }
    return e;
}

static void run(struct env_job *job)
{
    struct snap_job *j = (struct snap_job *)job;
    j->err = j->hopeless ? ERR_NOSPACE : ERR_OK;
    if (!j->err && j->first) {
        j->err = snap_writer_begin(&j->writer);
    }
    if (!j->err) {
        j->err = snap_writer_put(&j->writer, buf_slice(&j->bytes));
    }
    if (!j->err && j->last) {
        j->err = snap_writer_finish(&j->writer);
    }
    if (j->err) {
        snap_writer_abort(&j->writer);
    }
}

// ---- the course of it: on the core thread
// --------------------------------------------------------

void snapshot_init(struct snapshot *s, struct env *env, const struct disk_config *cfg,
                   const char *dir, int64_t last_zxid)
{
    *s = (struct snapshot){.env = env, .cfg = cfg, .dir = dir, .last_zxid = last_zxid};
    s->job.writer.fd = -1;
}

void snapshot_fini(struct snapshot *s)
{
    must(!s->busy);
    if (s->job.writer.tmp) {
        snap_writer_release(&s->job.writer); // the half file goes at the next start
    }
    buf_fini(&s->job.bytes);
}

int64_t snapshot_wait_ms(const struct snapshot *s, struct mono now)
{
    if (s->state != SNAP_IDLE) {
        return -1;
    }
    int64_t wait = mono_diff_ms(s->retry_at, now);
    return s->failures && wait > 0 ? wait : 0;
}

void snapshot_begin(struct snapshot *s, struct tree *tree)
{
    must(s->state == SNAP_IDLE);
    s->begun = s->env->now;
    tree_walk_begin(tree, &s->info);
    snap_writer_init(&s->job.writer, s->env, s->cfg, s->dir, &s->info);
    if (s->cfg->compression == DISK_PLAIN) { // how far others shrink is seen when they are done
        s->job.writer.room =
            (uint64_t)tree_data_size(tree) + s->info.nodes * NODE_BYTES + LOG_BYTES;
    }
    s->job.first = true;
    s->walked = false;
    s->state = SNAP_WALKING;
}

static void hand_over(struct snapshot *s, struct tree *tree, bool hopeless)
{
    buf_clear(&s->job.bytes);
    tree_walk_take(tree, &s->job.bytes);
    s->job.job = (struct env_job){.run = run, .owner = s};
    s->job.hopeless = hopeless;
    s->job.last = s->walked && !hopeless;
    s->busy = true;
    if (s->job.last) {
        s->state = SNAP_CLOSING;
    }
    s->env->ops->job(s->env, ENV_LANE_BACKGROUND, &s->job.job);
}

void snapshot_settle(struct snapshot *s, struct tree *tree)
{
    if (s->state == SNAP_FAILED) {
        tree_walk_cancel(tree);
        s->state = SNAP_IDLE;
    }
}

void snapshot_give_up(struct snapshot *s, struct tree *tree)
{
    snapshot_settle(s, tree);
    if (s->state == SNAP_WALKING) {
        tree_walk_cancel(tree);
        s->state = SNAP_DROPPED;
    }
}

bool snapshot_turn(struct snapshot *s, struct tree *tree, bool lane_free, int64_t logged, bool full)
{
    if (s->state != SNAP_WALKING) {
        return false;
    }
    if (!s->walked && tree_walk_waiting(tree) < LIMIT_SNAP_BACKLOG) {
        s->walked = tree_walk_slice(tree, LIMIT_SNAP_SLICE_NODES);
    }
    bool ahead = s->info.zxid > logged, hopeless = ahead && full;
    bool ready = s->walked ? !ahead : tree_walk_waiting(tree) >= PIECE;
    if (!s->busy && lane_free && (ready || hopeless)) {
        hand_over(s, tree, hopeless);
    }
    return s->state == SNAP_WALKING && !s->walked && tree_walk_waiting(tree) < LIMIT_SNAP_BACKLOG;
}

static void on_failure(struct snapshot *s)
{
    int64_t ms = BACKOFF_FIRST_MS;
    for (int i = 0; i < s->failures && ms < BACKOFF_MAX_MS; i++) {
        ms *= 2;
    }
    ms = ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
    s->failures++;
    s->errors++;
    s->retry_at = mono_add_ms(s->env->now, ms);
    // After the last piece there is no walk left to cancel.
    s->state = s->state == SNAP_WALKING ? SNAP_FAILED : SNAP_IDLE;
    log_error(&s->env->log,
              "snapshot 0x%llx could not be written to %s: %s; nothing is lost by that; make "
              "space or mend the disk, the next attempt is in %lld s",
              (unsigned long long)s->info.zxid, s->dir, err_text(s->job.err),
              (long long)(ms / 1000));
}

bool snapshot_on_job(struct snapshot *s)
{
    s->busy = false;
    s->job.first = false;
    if (s->job.bytes.cap > 2 * PIECE) {
        buf_fini(&s->job.bytes);
    }
    if (s->state == SNAP_DROPPED) {
        return false;
    }
    if (s->job.err) {
        on_failure(s);
        return false;
    }
    if (!s->job.last) {
        return false;
    }
    s->state = SNAP_IDLE;
    s->failures = 0;
    s->count++;
    summary_add(&s->ms, mono_diff_ms(s->env->now, s->begun));
    s->last_zxid = s->info.zxid;
    s->last_wall_ms = s->env->wall.ms;
    s->last_bytes = (int64_t)s->job.writer.off;
    log_info(&s->env->log, "snapshot 0x%llx written: %zu nodes, %lld bytes",
             (unsigned long long)s->info.zxid, s->info.nodes, (long long)s->last_bytes);
    return true;
}
