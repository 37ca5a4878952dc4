// SPDX-License-Identifier: Apache-2.0
#include "disk/offer.h"

#include "base/mem.h"
#include "disk/logfile.h"

enum { SCAN_BYTES = 32 * 1024 * 1024 }; // in one job

// One making: the two listings.
struct making {
    struct offer *o;
    struct disk_files snaps, logs;
};

void offer_init(struct offer *o, struct env *env, const char *snap_dir, const char *log_dir,
                int64_t own_from)
{
    *o = (struct offer){.env = env, .snap_dir = snap_dir, .log_dir = log_dir, .own_from = own_from};
}

void offer_forget(struct offer *o)
{
    for (size_t i = 0; i < o->files_n; i++) {
        mem_free(o->files[i].runs);
    }
    o->files_n = 0;
}

void offer_fini(struct offer *o)
{
    offer_forget(o);
    mem_free(o->files);
    mem_free(o->runs);
    *o = (struct offer){0};
}

static void add_run(struct disk_run **v, size_t *n, size_t *cap, struct disk_run run)
{
    mem_grow((void **)v, cap, *n + 1, sizeof(**v));
    (*v)[(*n)++] = run;
}

// ---- reading
// ------------------------------------------------------------------------------------

static struct offer_file *find_file(struct offer *o, int64_t zxid)
{
    for (size_t i = 0; i < o->files_n; i++) {
        if (o->files[i].zxid == zxid) {
            return &o->files[i];
        }
    }
    return NULL;
}

static struct offer_file *know_file(struct offer *o, int64_t zxid)
{
    struct offer_file *f = find_file(o, zxid);
    if (!f) {
        mem_grow((void **)&o->files, &o->files_cap, o->files_n + 1, sizeof(*o->files));
        f = &o->files[o->files_n++];
        *f = (struct offer_file){.zxid = zxid};
    }
    return f;
}

static void forget_gone(struct making *m)
{
    struct offer *o = m->o;
    for (size_t i = o->files_n; i-- > 0;) {
        bool there = false;
        for (size_t j = 0; !there && j < m->logs.n; j++) {
            there = m->logs.v[j].zxid == o->files[i].zxid;
        }
        if (!there) {
            mem_free(o->files[i].runs);
            o->files[i] = o->files[--o->files_n];
        }
    }
}

static void note(struct offer_file *f, int64_t zxid, uint64_t bytes)
{
    struct disk_run *last = f->runs_n ? &f->runs[f->runs_n - 1] : NULL;
    if (last && zxid >> 32 == last->last >> 32 && zxid == last->last + 1) {
        last->last = zxid;
        last->bytes += bytes;
        return;
    }
    add_run(&f->runs, &f->runs_n, &f->runs_cap,
            (struct disk_run){.first = zxid, .last = zxid, .bytes = bytes});
}

// Reads on in one file. *left: bytes that this job may still read; 0: enough.
static enum err scan(struct offer *o, struct offer_file *f, uint64_t *left)
{
    struct logreader r;
    enum err e = logreader_open(&r, o->env, o->log_dir, f->zxid, f->at);
    if (e) {
        f->damaged = f->done = e == ERR_CORRUPT;
        return e == ERR_CORRUPT ? ERR_OK : e;
    }
    struct slice entry;
    int64_t zxid;
    enum logreader_next next = LOGREADER_ENTRY;
    while (*left > 0) {
        next = logreader_peek(&r, &o->bound, &entry, &zxid);
        if (next != LOGREADER_ENTRY || zxid > o->bound.durable) {
            break;
        }
        uint64_t n = entry.n + LOGFILE_RECORD_OVERHEAD;
        note(f, zxid, n);
        logreader_skip(&r, entry);
        *left -= n < *left ? n : *left;
    }
    f->at = r.w.at;
    f->damaged = next == LOGREADER_DAMAGED;
    f->done = next == LOGREADER_END && f->zxid != o->bound.file;
    logreader_close(&r);
    return next == LOGREADER_FAILED ? ERR_IO : ERR_OK;
}

static enum err scan_files(struct making *m, size_t from)
{
    uint64_t left = SCAN_BYTES;
    for (size_t i = from; i < m->logs.n && left > 0; i++) {
        struct offer_file *f = know_file(m->o, m->logs.v[i].zxid);
        enum err e = f->done ? ERR_OK : scan(m->o, f, &left);
        if (e) {
            return e;
        }
    }
    m->o->again = left == 0;
    return ERR_OK;
}

// ---- runs
// ---------------------------------------------------------------------------------------

// Nothing was ever between these two, of which the second begins an epoch.
static bool is_joined(const struct making *m, int64_t prev, int64_t first)
{
    if (!log_zxid_follows(prev, first)) {
        return false;
    }
    if (prev >= m->o->own_from) {
        return true;
    }
    int64_t oldest = INT64_MAX;
    for (size_t i = 0; i < m->snaps.n; i++) {
        const struct disk_file *f = &m->snaps.v[i];
        if (f->kind != DISK_NAME_SNAPSHOT) {
            continue;
        }
        if (f->zxid > prev && f->zxid < first) {
            return false;
        }
        oldest = f->zxid < oldest ? f->zxid : oldest;
    }
    return oldest <= prev;
}

static void merge_run(const struct making *m, struct disk_run run, bool whole)
{
    struct offer *o = m->o;
    struct disk_run *prev = o->runs_n ? &o->runs[o->runs_n - 1] : NULL;
    if (prev && prev->last >> 32 == run.first >> 32 && run.first == prev->last + 1) {
        prev->last = run.last;
        prev->bytes += run.bytes;
        return;
    }
    run.joined = prev && whole && is_joined(m, prev->last, run.first);
    add_run(&o->runs, &o->runs_n, &o->runs_cap, run);
}

// The runs of logs[from..], none above `until`.
static void merge(const struct making *m, size_t from, int64_t until)
{
    struct offer *o = m->o;
    int64_t high = -1; // of what was merged or dropped
    bool whole = true;
    o->runs_n = 0;
    for (size_t i = from; i < m->logs.n; i++) {
        const struct offer_file *f = find_file(o, m->logs.v[i].zxid);
        must(f != NULL);
        for (size_t j = 0; j < f->runs_n; j++) {
            struct disk_run run = f->runs[j];
            if (run.first <= high) {
                o->runs_n = 0;
                run.first = high + 1;
            }
            run.last = run.last < until ? run.last : until;
            if (run.first <= run.last) {
                merge_run(m, run, whole);
                whole = true;
            }
            high = f->runs[j].last > high ? f->runs[j].last : high;
        }
        whole = whole && !f->damaged;
    }
}

// Whether the merged runs lead from snapshot z to the durable end without a hole.
static bool log_follows(const struct making *m, int64_t z)
{
    const struct offer *o = m->o;
    if (z >= o->bound.durable) {
        return true;
    }
    size_t i = 0;
    while (i < o->runs_n && o->runs[i].last <= z) {
        i++;
    }
    if (i == o->runs_n || o->runs[o->runs_n - 1].last < o->bound.durable) {
        return false;
    }
    const struct disk_run *run = &o->runs[i];
    bool follows = run->first <= z || (run->first == z + 1 && run->first >> 32 == z >> 32);
    if (!follows && i > 0) {
        follows = run->joined && (o->runs[i - 1].last == z || (z & UINT32_MAX) == 0);
    } else if (!follows) {
        follows = is_joined(m, z, run->first);
    }
    for (i++; follows && i < o->runs_n; i++) {
        follows = o->runs[i].joined;
    }
    return follows;
}

// ---- the whole
// ----------------------------------------------------------------------------------

static const struct disk_file *newest_good(const struct making *m)
{
    for (size_t i = m->snaps.n; i-- > 0;) {
        const struct disk_file *f = &m->snaps.v[i];
        for (size_t j = 0; f->kind == DISK_NAME_SNAPSHOT && j < m->o->good_n; j++) {
            if (m->o->good[j] == f->zxid) {
                return f;
            }
        }
    }
    return NULL;
}

static void judge(struct making *m, const struct disk_file *snap, size_t snap_from, size_t from)
{
    struct offer *o = m->o;
    if (snap) {
        merge(m, snap_from, INT64_MAX);
        o->snapshot_zxid = log_follows(m, snap->zxid) ? snap->zxid : -1;
        o->snapshot_bytes = snap->size;
    }
    merge(m, from, o->until);
}

static enum err make(struct making *m)
{
    struct offer *o = m->o;
    enum err e = disk_files_list(o->env, o->snap_dir, &m->snaps);
    if (!e) {
        e = log_files_list(o->env, o->log_dir, &o->bound, &m->logs);
    }
    if (e) {
        return e;
    }
    forget_gone(m);
    const struct disk_file *snap = newest_good(m);
    size_t from = log_files_find(&m->logs, o->after);
    size_t snap_from = snap ? log_files_find(&m->logs, snap->zxid) : from;
    e = scan_files(m, snap_from < from ? snap_from : from);
    if (!e && !o->again) {
        judge(m, snap, snap_from, from);
    }
    return e;
}

// A log that cannot be read is nothing to offer; the learner gets the tree then.
void offer_make(struct offer *o)
{
    struct making m = {.o = o};
    o->again = false;
    o->runs_n = 0;
    o->snapshot_zxid = -1;
    o->snapshot_bytes = 0;
    if (make(&m)) {
        o->runs_n = 0;
        o->again = false;
    }
    disk_files_fini(&m.snaps);
    disk_files_fini(&m.logs);
}
