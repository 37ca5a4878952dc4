// SPDX-License-Identifier: Apache-2.0
#include "disk/take.h"

#include <stdio.h>

#include "base/mem.h"
#include "disk/names.h"
#include "disk/snapload.h"
#include "tree/load.h"

enum {
    PIECE = 1024 * 1024,
    // What the log may take meanwhile, if it is on the same disk.
    LOG_BYTES = 1024 * 1024
};

#define TMP_PREFIX DISK_TMP DISK_TAKEN

// ---- finish
// --------------------------------------------------------------------------------------

// ERR_OK also if it is there.
static enum err make_replaced(struct env *env, const char *dir, char **replaced)
{
    *replaced = disk_path(dir, "replaced");
    enum err e = env->ops->make_dir(env, *replaced);
    return e ? e : env->ops->sync_dir(env, dir);
}

static bool is_data(const struct disk_file *f)
{
    return f->kind == DISK_NAME_SNAPSHOT || f->kind == DISK_NAME_LOG;
}

// Every log and snapshot of `dir` goes to `to`; to NULL: goes.
static enum err move_data(struct env *env, const char *dir, const char *to)
{
    struct disk_files files;
    enum err e = disk_files_list(env, dir, &files);
    for (size_t i = 0; !e && i < files.n; i++) {
        if (!is_data(&files.v[i])) {
            continue;
        }
        char *path = disk_path(dir, files.v[i].name);
        char *target = to ? disk_path(to, files.v[i].name) : NULL;
        e = to ? env->ops->rename(env, path, target) : env->ops->unlink(env, path);
        mem_free(path);
        mem_free(target);
    }
    disk_files_fini(&files);
    return e;
}

static enum err set_aside(struct env *env, const char *dir)
{
    char *replaced;
    enum err e = make_replaced(env, dir, &replaced);
    if (!e) {
        e = move_data(env, dir, replaced);
    }
    if (!e) {
        e = env->ops->sync_dir(env, replaced);
    }
    mem_free(replaced);
    return e ? e : env->ops->sync_dir(env, dir);
}

static enum err empty_replaced(struct env *env, const char *dir)
{
    char *replaced;
    enum err e = make_replaced(env, dir, &replaced);
    if (!e) {
        e = move_data(env, replaced, NULL);
    }
    if (!e) {
        e = env->ops->sync_dir(env, replaced);
    }
    mem_free(replaced);
    return e;
}

static char *taken_path(const char *dir, int64_t zxid)
{
    char name[DISK_NAME_MAX], whole[2 * DISK_NAME_MAX];
    disk_name_snapshot(name, zxid, DISK_PLAIN);
    snprintf(whole, sizeof(whole), DISK_TAKEN "%s", name);
    return disk_path(dir, whole);
}

enum err take_finish(struct env *env, const char *snap_dir, const char *log_dir, int64_t zxid)
{
    enum err e = env->ops->sync_dir(env, snap_dir); // the decision itself may be in a cache only
    if (!e) {
        e = set_aside(env, snap_dir);
    }
    if (!e && strcmp(snap_dir, log_dir) != 0) {
        e = set_aside(env, log_dir);
    }
    if (e) {
        return e;
    }
    char name[DISK_NAME_MAX];
    disk_name_snapshot(name, zxid, DISK_PLAIN);
    char *from = taken_path(snap_dir, zxid);
    char *to = disk_path(snap_dir, name);
    e = env->ops->rename(env, from, to);
    mem_free(from);
    mem_free(to);
    return e ? e : env->ops->sync_dir(env, snap_dir);
}

// ---- on the lane
// ---------------------------------------------------------------------------------

static enum err check_room(const struct take_job *j)
{
    uint64_t room = 0;
    enum err e = j->job.env->ops->free_space(j->job.env, j->snap_dir, &room);
    return e ? e : room < j->bytes.n + LOG_BYTES ? ERR_NOSPACE : ERR_OK;
}

static enum err write_piece(struct take_job *j)
{
    enum err e = check_room(j);
    if (!e && j->first) {
        // Of a peer's snapshot only the body is known: one seal, no sections.
        struct disk_config plain = *j->cfg;
        plain.compression = DISK_PLAIN;
        plain.digest_section = plain.last_zxid_section = false;
        struct walk_info info = {.zxid = j->zxid};
        snap_writer_init(&j->writer, j->job.env, &plain, j->snap_dir, &info);
        j->writer.prefix = TMP_PREFIX;
        e = snap_writer_begin(&j->writer);
    }
    return e ? e : snap_writer_put(&j->writer, buf_slice(&j->bytes));
}

static enum err load_back(struct take_job *j)
{
    struct disk_file f = {.kind = DISK_NAME_LEFTOVER, .zxid = j->zxid, .packed = DISK_PLAIN};
    char name[DISK_NAME_MAX];
    disk_name_snapshot(name, j->zxid, DISK_PLAIN);
    int n = snprintf(f.name, sizeof(f.name), TMP_PREFIX "%s", name);
    must(n < DISK_NAME_MAX);
    struct snapload load;
    enum err e = snapshot_load(j->job.env, j->snap_dir, &f, j->tree, &load);
    if (e == ERR_CORRUPT || e == ERR_CUT || e == ERR_UNSUPPORTED) {
        j->why = load.why;
    }
    if (!e) {
        tree_replay_end(j->tree);
    }
    return e;
}

static enum err prepare(struct take_job *j)
{
    enum err e = snap_writer_seal(&j->writer);
    j->snap_bytes = (int64_t)j->writer.off;
    if (!e) {
        e = load_back(j);
    }
    if (!e) {
        e = empty_replaced(j->job.env, j->snap_dir);
    }
    if (!e && strcmp(j->snap_dir, j->log_dir) != 0) {
        e = empty_replaced(j->job.env, j->log_dir);
    }
    return e;
}

static enum err install(struct take_job *j)
{
    enum err e = prepare(j);
    if (e) {
        return e;
    }
    char *path = taken_path(j->snap_dir, j->zxid);
    e = snap_writer_rename(&j->writer, path);
    mem_free(path);
    if (e) {
        return e;
    }
    j->decided = true;
    return take_finish(j->job.env, j->snap_dir, j->log_dir, j->zxid);
}

static void run(struct env_job *job)
{
    struct take_job *j = (struct take_job *)job;
    j->err = j->failed;
    if (j->commit) {
        j->file_bytes = log_close_given(job->env, &j->file);
        if (j->broken) {
            snap_writer_abort(j->broken);
        }
    }
    if (j->drop) {
        snap_writer_abort(&j->writer);
    }
    if (!j->err && (j->bytes.n > 0 || j->commit)) {
        j->err = write_piece(j);
    }
    if (!j->err && j->commit) {
        j->err = install(j);
    }
    if (j->err) {
        snap_writer_abort(&j->writer);
    }
}

// ---- on the core thread
// --------------------------------------------------------------------------

void take_init(struct take *t, struct env *env, const struct disk_config *cfg, const char *snap_dir,
               const char *log_dir)
{
    *t = (struct take){.env = env};
    t->job.cfg = cfg;
    t->job.snap_dir = snap_dir;
    t->job.log_dir = log_dir;
    t->job.file.fd = t->job.writer.fd = -1;
}

static void close_up(struct take *t)
{
    t->state = TAKE_NONE;
    t->begun = false;
    snapfile_fini(&t->parser);
    buf_fini(&t->window);
    buf_fini(&t->body);
}

void take_fini(struct take *t)
{
    must(!t->busy);
    close_up(t);
    snap_writer_release(&t->job.writer); // the half file goes at the next start
    buf_fini(&t->job.bytes);
    tree_free(&t->job.tree);
}

void take_begin(struct take *t, int64_t zxid)
{
    must(t->state == TAKE_NONE);
    t->state = TAKE_OPEN;
    t->zxid = zxid;
    t->ended = t->bad = t->begun = false;
    t->failed = ERR_OK;
    snapfile_init(&t->parser, SNAPLOAD_BYTES_MAX);
    // The wire has no file header; ours will have one.
    struct buf head = {0};
    struct snapfile_value v;
    snapfile_put_header(&head);
    snapfile_feed(&t->parser, buf_slice(&head));
    must(snapfile_next(&t->parser, &v) == SNAPFILE_MORE);
    must(snapfile_used(&t->parser) == head.n);
    buf_fini(&head);
}

// Walks over the items in the window. The seal's place is where the body has ended.
static void scan(struct take *t)
{
    struct snapfile_value v;
    enum snapfile_item item;
    snapfile_feed(&t->parser, buf_slice(&t->window));
    do {
        item = snapfile_next(&t->parser, &v);
    } while (item != SNAPFILE_MORE && item != SNAPFILE_BAD);
    t->ended = t->parser.state == SNAPFILE_AT_SEAL;
    t->bad = !t->ended && (item == SNAPFILE_BAD || t->parser.state == SNAPFILE_AT_TAIL);
    size_t n = snapfile_used(&t->parser);
    buf_put(&t->body, t->window.p, n);
    buf_consume(&t->window, n);
}

enum disk_take take_put(struct take *t, struct slice bytes, size_t *used)
{
    *used = 0;
    if (t->state != TAKE_OPEN || t->bad) {
        return DISK_TAKE_BAD;
    }
    if (t->ended) {
        return DISK_TAKE_DONE;
    }
    buf_put_slice(&t->window, bytes);
    scan(t);
    if (t->bad) {
        log_warn(&t->env->log, "the snapshot from the leader is none: %s", t->parser.why);
        return DISK_TAKE_BAD;
    }
    *used = bytes.n;
    if (t->ended) {
        *used -= t->window.n;
        buf_clear(&t->window);
        return DISK_TAKE_DONE;
    }
    return DISK_TAKE_MORE;
}

size_t take_backlog(const struct take *t)
{
    return t->state == TAKE_NONE ? 0 : t->body.n + (t->busy && !t->orphan ? t->job.bytes.n : 0);
}

void take_abandon(struct take *t)
{
    if (t->state == TAKE_OPEN) {
        t->orphan = t->busy;
        close_up(t);
    }
}

static void start(struct take *t, enum env_lane lane)
{
    struct take_job *j = &t->job;
    buf_clear(&j->bytes);
    if (t->state != TAKE_NONE) {
        struct buf spare = j->bytes;
        j->bytes = t->body;
        t->body = spare;
    }
    j->zxid = t->zxid;
    j->first = t->state != TAKE_NONE && !t->begun;
    j->drop = !t->begun; // of one before
    j->commit = t->state == TAKE_COMMITTING;
    j->failed = t->failed;
    j->decided = false;
    j->why = NULL;
    t->begun |= j->first;
    t->busy = true;
    j->job = (struct env_job){.run = run, .owner = t};
    t->env->ops->job(t->env, lane, &j->job);
}

void take_turn(struct take *t, bool lane_free)
{
    if (t->busy || !lane_free) {
        return;
    }
    bool piece = t->state == TAKE_OPEN && t->body.n >= PIECE;
    bool remove = t->state == TAKE_NONE && t->job.writer.tmp;
    if (piece || remove) {
        start(t, ENV_LANE_BACKGROUND);
    }
}

void take_commit(struct take *t)
{
    must(t->state == TAKE_COMMITTING);
    must(!t->busy);
    start(t, ENV_LANE_LOG);
}

bool take_on_job(struct take *t)
{
    struct take_job *j = &t->job;
    t->busy = false;
    if (t->orphan || t->state == TAKE_NONE) {
        t->orphan = false;
        return false;
    }
    if (!j->commit && t->state == TAKE_COMMITTING) {
        t->failed = j->err; // the commit that waits says so
        return false;
    }
    if (!j->commit && !j->err) {
        return false;
    }
    close_up(t);
    return true;
}
