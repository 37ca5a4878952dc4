// SPDX-License-Identifier: Apache-2.0
#include "disk/replay.h"

#include <inttypes.h>

#include "base/mem.h"
#include "disk/logfile.h"
#include "disk/window.h"
#include "limits.h"
#include "tree/apply.h"
#include "tree/load.h"

enum { LOOK_BYTES = 256 * 1024 };

// One file being replayed.
struct reader {
    struct env *env;
    const char *dir;
    struct disk_file *file;
    bool last; // of all log files, and its end may be what a crash left
    bool done; // an entry above how->until was seen
    const struct replay_how *how;
    struct tree *tree;
    struct replay *r;
    struct window w;
    struct arena arena;
    int64_t prev_zxid; // of the record before, in this file or an earlier one
};

static enum err damaged(const struct reader *rd, enum err e, const char *what)
{
    log_error(&rd->env->log,
              "%s/%s is damaged at offset %" PRIu64 ": %s. Restore this directory from another "
              "server or a backup; or, to give up every transaction from there on, cut the file "
              "(truncate -s %" PRIu64 ") and remove the log files after it",
              rd->dir, rd->file->name, rd->w.at, what, rd->w.at);
    return e;
}

static enum err unreadable(const struct reader *rd, enum err e)
{
    log_error(&rd->env->log, "cannot read %s/%s at offset %" PRIu64 ": %s; check the disk", rd->dir,
              rd->file->name, rd->w.at, err_text(e));
    return e;
}

// ---- what a crash leaves
// -------------------------------------------------------------------------

// What was read may be in the system's cache only: written by a server that died before its sync,
// or cut by a start that did. From now on it counts, so it has to be on the disk.
static enum err settle_file(struct reader *rd, uint64_t size)
{
    const struct env_ops *ops = rd->env->ops;
    char *path = disk_path(rd->dir, rd->file->name);
    int fd;
    enum err e = ops->file_open(rd->env, path, ENV_OPEN_WRITE, &fd);
    mem_free(path);
    if (e) {
        return e;
    }
    if (size < rd->w.size) {
        e = ops->file_truncate(rd->env, fd, size);
    }
    if (!e) {
        e = ops->file_sync(rd->env, fd);
    }
    ops->file_close(rd->env, fd);
    return e;
}

static enum err remove_file(struct reader *rd)
{
    char *path = disk_path(rd->dir, rd->file->name);
    enum err e = rd->env->ops->unlink(rd->env, path);
    mem_free(path);
    rd->file->size = 0;
    rd->r->changed_dir = true;
    return e;
}

// The end of the last file: whatever is behind the last record goes, so that nothing of it can come
// back when later bytes are written before it.
static enum err cut_end(struct reader *rd, bool torn)
{
    uint64_t end = rd->w.at;
    if (torn) {
        rd->r->cut += rd->w.size - end;
        log_warn(&rd->env->log,
                 "%s/%s: the last write was not finished when the server died; it was never "
                 "answered and is cut off at offset %" PRIu64,
                 rd->dir, rd->file->name, end);
    }
    enum err e = ERR_OK;
    if (end <= LOGFILE_HEADER_LEN) {
        e = remove_file(rd); // no record: nothing to keep, and older Apache servers mind
    } else {
        e = settle_file(rd, end);
        rd->file->size = end;
    }
    if (e) {
        log_error(&rd->env->log, "cannot cut %s/%s: %s", rd->dir, rd->file->name, err_text(e));
    }
    return e;
}

// Right records behind the start of the bad one in hand.
struct later {
    bool found, far; // any; one that is more than a batch behind
    size_t distance; // to the nearest
};

// Reads the rest of the file, which is what a damaged file is worth.
static enum err find_later(struct reader *rd, struct later *later)
{
    *later = (struct later){0};
    for (bool end = false; !end;) {
        enum err e = window_more(&rd->w, &end);
        if (e) {
            return e;
        }
    }
    struct slice s = window_slice(&rd->w);
    later->found = s.n > 0 && logfile_find_record(slice_skip(s, 1), &later->distance);
    later->distance += 1;
    size_t at;
    later->far = later->found && s.n > LIMIT_LOG_BATCH &&
                 logfile_find_record(slice_skip(s, LIMIT_LOG_BATCH), &at);
    return ERR_OK;
}

static enum err judge(struct reader *rd, const char *what)
{
    if (!rd->last) {
        return damaged(rd, ERR_CORRUPT, what);
    }
    struct later later;
    enum err e = find_later(rd, &later);
    if (e) {
        return unreadable(rd, e);
    }
    if (later.found) {
        struct slice bad = slice_head(window_slice(&rd->w), later.distance);
        if (later.far || !logfile_has_lost_sector(bad, rd->w.at)) {
            return damaged(rd, ERR_CORRUPT, what);
        }
    }
    return cut_end(rd, true);
}

static bool only_zeros(struct slice s)
{
    return s.n == 0 || (s.p[0] == 0 && memcmp(s.p, s.p + 1, s.n - 1) == 0);
}

// Is there nothing but zeros from here on? The window may show only the first of them.
static enum err look_to_end(const struct reader *rd, bool *zeros)
{
    struct slice s = window_slice(&rd->w);
    uint64_t at = rd->w.at + s.n;
    uint8_t *p = mem_alloc(LOOK_BYTES);
    size_t got = 1;
    enum err e = ERR_OK;
    *zeros = only_zeros(s);
    while (!e && *zeros && got > 0) {
        e = rd->env->ops->file_read(rd->env, rd->w.fd, at, p, LOOK_BYTES, &got);
        *zeros = e || only_zeros(slice_of(p, got));
        at += got;
    }
    mem_free(p);
    return e;
}

// The zeros behind the last record. More than zeros: a torn batch whose first sectors are missing,
// or damage.
static enum err at_end(struct reader *rd)
{
    if (!rd->last) {
        return ERR_OK;
    }
    bool zeros;
    enum err e = look_to_end(rd, &zeros);
    if (e) {
        return unreadable(rd, e);
    }
    return zeros ? cut_end(rd, false) : judge(rd, "records are missing");
}

// The file ends inside a record, or without room for one.
static enum err at_cut(struct reader *rd)
{
    if (!rd->last) {
        return ERR_OK; // as Apache reads it: the next file goes on
    }
    if (window_slice(&rd->w).n < LOGFILE_RECORD_HEAD) {
        return cut_end(rd, !only_zeros(window_slice(&rd->w)));
    }
    return judge(rd, "it ends inside a record");
}

// ---- records
// ---------------------------------------------------------------------------------------

// zxids go up by one, or to a later epoch.
static void check_order(struct reader *rd, int64_t zxid)
{
    int64_t prev = rd->prev_zxid;
    rd->prev_zxid = zxid;
    if (prev < 0 || zxid == prev + 1) {
        return;
    }
    bool next_epoch = zxid >> 32 > prev >> 32 && (zxid & UINT32_MAX) == 1;
    if (rd->how->tail && !next_epoch) {
        tail_clear(rd->how->tail);
    }
    if (zxid <= prev) {
        log_warn(&rd->env->log,
                 "%s/%s: zxid 0x%" PRIx64 " follows 0x%" PRIx64 ", it is applied again", rd->dir,
                 rd->file->name, (uint64_t)zxid, (uint64_t)prev);
    } else if (zxid >> 32 == prev >> 32) {
        rd->r->holes++;
        log_warn(&rd->env->log,
                 "%s/%s: no transactions between 0x%" PRIx64 " and 0x%" PRIx64
                 "; right only if this server once took a snapshot over from another",
                 rd->dir, rd->file->name, (uint64_t)prev, (uint64_t)zxid);
    }
}

static enum err replay_entry(struct reader *rd, struct slice entry)
{
    struct txn_header hdr;
    if (txn_decode_header(entry, &hdr)) {
        return damaged(rd, ERR_CORRUPT, "a record is too short for a transaction");
    }
    if (hdr.zxid > rd->how->until) {
        rd->done = true;
        return ERR_OK;
    }
    if (hdr.zxid <= tree_zxid(rd->tree) && rd->r->txns == 0) {
        return ERR_OK; // the snapshot has it
    }
    check_order(rd, hdr.zxid);
    arena_reset(&rd->arena);
    struct txn txn;
    enum err e = txn_decode(entry, REPLAY_ENTRY_MAX, &rd->arena, &txn);
    if (e == ERR_UNSUPPORTED) {
        return damaged(rd, e, "a record is of a type this version does not know");
    }
    if (e) {
        return damaged(rd, ERR_CORRUPT, "a record is malformed");
    }
    struct apply_out out = {0};
    apply_txn(rd->tree, &txn, &rd->arena, &out);
    rd->r->txns++;
    if (rd->how->tail) {
        tail_put(rd->how->tail, hdr.zxid, entry);
    }
    return ERR_OK;
}

static enum err replay_records(struct reader *rd)
{
    for (;;) {
        struct slice entry;
        size_t used;
        bool end = false;
        enum err e;
        switch (logfile_next(window_slice(&rd->w), REPLAY_ENTRY_MAX, &entry, &used)) {
        case LOGFILE_RECORD:
            e = replay_entry(rd, entry);
            if (e || rd->done) {
                return e;
            }
            window_skip(&rd->w, used);
            continue;
        case LOGFILE_MORE:
            e = window_more(&rd->w, &end);
            if (e) {
                return unreadable(rd, e);
            }
            if (end) {
                return at_cut(rd);
            }
            continue;
        case LOGFILE_END:
            return at_end(rd);
        case LOGFILE_TORN:
            return rd->last ? judge(rd, "a record does not end as one") : ERR_OK;
        case LOGFILE_CORRUPT:
            return judge(rd, "a record's checksum or length is wrong");
        }
    }
}

// A last file that a dying server had just begun: its header is not all there, and nothing else.
static enum err half_header(struct reader *rd, struct slice head)
{
    struct later later = {0};
    enum err e = head.n < LOGFILE_HEADER_LEN ? ERR_OK : find_later(rd, &later);
    head = window_slice(&rd->w);
    if (e) {
        return unreadable(rd, e);
    }
    if (later.found || !rd->last ||
        (head.n >= LOGFILE_HEADER_LEN && !only_zeros(slice_head(head, LOGFILE_HEADER_LEN)))) {
        return damaged(rd, ERR_CORRUPT, "it does not begin as a log file");
    }
    return cut_end(rd, head.n > 0);
}

static enum err replay_file(struct reader *rd)
{
    char *path = disk_path(rd->dir, rd->file->name);
    enum err e = window_open(&rd->w, rd->env, path);
    mem_free(path);
    if (e) {
        return unreadable(rd, e);
    }
    bool end;
    e = window_more(&rd->w, &end);
    if (e) {
        e = unreadable(rd, e);
    } else if (logfile_check_header(window_slice(&rd->w))) {
        e = half_header(rd, window_slice(&rd->w));
    } else {
        window_skip(&rd->w, LOGFILE_HEADER_LEN);
        e = replay_records(rd);
    }
    window_close(&rd->w);
    return e;
}

enum err replay_logs(struct env *env, const char *dir, struct disk_files *files, struct tree *tree,
                     const struct replay_how *how, struct replay *r)
{
    *r = (struct replay){0};
    size_t first = files->n, last = files->n;
    for (size_t i = 0; i < files->n; i++) {
        if (files->v[i].kind == DISK_NAME_LOG) {
            // The last one that starts at or below zxid + 1 has it, if any has.
            if (first == files->n || files->v[i].zxid <= tree_zxid(tree) + 1) {
                first = i;
            }
            last = i;
        }
    }
    struct reader rd = {
        .env = env, .dir = dir, .how = how, .tree = tree, .r = r, .prev_zxid = tree_zxid(tree)};
    enum err e = ERR_OK;
    for (size_t i = first; !e && !rd.done && i < files->n; i++) {
        if (files->v[i].kind != DISK_NAME_LOG) {
            continue;
        }
        rd.file = &files->v[i];
        rd.last = i == last && !how->look_only;
        e = replay_file(&rd);
    }
    arena_fini(&rd.arena);
    if (!e) {
        tree_replay_end(tree);
    }
    if (!e && !how->look_only && (first < files->n || r->changed_dir)) {
        e = env->ops->sync_dir(env, dir); // a new log's name may be in the cache only, too
    }
    return e;
}
