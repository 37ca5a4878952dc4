// SPDX-License-Identifier: Apache-2.0
#include "disk/excerpt.h"

#include "base/mem.h"

// Entries before the first one wanted are read over; that much of them in one job.
enum { PASS_BYTES = 8 * 1024 * 1024 };

void excerpt_init(struct excerpt *x, struct env *env, const char *dir, int64_t after, int64_t until,
                  bool from_snapshot)
{
    *x = (struct excerpt){
        .env = env, .dir = dir, .last = after, .until = until, .from_snapshot = from_snapshot};
}

void excerpt_close(struct excerpt *x)
{
    logreader_close(&x->r);
    x->done = true;
}

void excerpt_give_back(struct excerpt *x)
{
    for (size_t i = 0; i < x->n; i++) {
        blob_unref(&x->entries[i].txn);
    }
    x->n = 0;
}

void excerpt_fini(struct excerpt *x)
{
    must(!x->r.open);
    must(x->n == 0);
    mem_free(x->entries);
    x->entries = NULL;
}

// False: there is none.
static bool open_first(struct excerpt *x, const struct log_bound *bound)
{
    struct disk_files files;
    x->begun = true;
    bool ok = log_files_list(x->env, x->dir, bound, &files) == ERR_OK && files.n > 0;
    if (ok) {
        const struct disk_file *f = &files.v[log_files_find(&files, x->last + 1)];
        // (e,0) is no entry: who stands there has all that is before epoch e.
        x->strict = !x->from_snapshot && ((x->last & UINT32_MAX) != 0 || f->zxid > x->last);
        ok = logreader_open(&x->r, x->env, x->dir, f->zxid, 0) == ERR_OK;
    }
    disk_files_fini(&files);
    return ok;
}

static bool open_next(struct excerpt *x, const struct log_bound *bound)
{
    int64_t before = x->r.file;
    struct disk_files files;
    logreader_close(&x->r);
    bool ok = log_files_list(x->env, x->dir, bound, &files) == ERR_OK;
    size_t i = 0;
    while (ok && i < files.n && files.v[i].zxid <= before) {
        i++;
    }
    ok = ok && i < files.n && logreader_open(&x->r, x->env, x->dir, files.v[i].zxid, 0) == ERR_OK;
    disk_files_fini(&files);
    return ok;
}

static void add(struct excerpt *x, struct slice entry, int64_t zxid)
{
    mem_grow((void **)&x->entries, &x->cap, x->n + 1, sizeof(*x->entries));
    x->entries[x->n++] = (struct disk_entry){zxid, blob_new(entry)};
    x->last = zxid;
    x->strict = false;
    x->any = true;
}

enum took { TOOK_IT, TOOK_OVER, TOOK_PART_IS_FULL, TOOK_END };

static enum took take(struct excerpt *x, struct slice entry, int64_t zxid, size_t bytes,
                      const struct log_bound *bound)
{
    if (zxid > x->until || zxid > bound->durable) {
        return TOOK_END;
    }
    bool follows = x->strict ? zxid == x->last + 1 : log_zxid_follows(x->last, zxid);
    if (!follows) {
        x->strict &= x->any || zxid != x->last;
        return !x->any && zxid <= x->last ? TOOK_OVER : TOOK_END;
    }
    if (x->n > 0 && bytes + entry.n > DISK_PART) {
        return TOOK_PART_IS_FULL;
    }
    add(x, entry, zxid);
    return TOOK_IT;
}

// One step of reading. False: this job is over.
static bool step(struct excerpt *x, const struct log_bound *bound, size_t *bytes, size_t *passed)
{
    struct slice entry;
    int64_t zxid;
    switch (logreader_peek(&x->r, bound, &entry, &zxid)) {
    case LOGREADER_ENTRY:
        break;
    case LOGREADER_DAMAGED:
        x->strict = true;
        // fallthrough
    case LOGREADER_END:
        x->done = x->r.file == bound->file || !open_next(x, bound);
        return !x->done;
    case LOGREADER_FAILED:
        x->done = true;
        return false;
    }
    switch (take(x, entry, zxid, *bytes, bound)) {
    case TOOK_IT:
        *bytes += entry.n;
        break;
    case TOOK_OVER:
        *passed += entry.n;
        break;
    case TOOK_PART_IS_FULL:
        return false;
    case TOOK_END:
        x->done = true;
        return false;
    }
    logreader_skip(&x->r, entry);
    x->done = x->last >= x->until;
    x->again = *passed >= PASS_BYTES && x->n == 0;
    return !x->done && !x->again;
}

void excerpt_read(struct excerpt *x, const struct log_bound *bound)
{
    size_t bytes = 0, passed = 0;
    must(x->n == 0);
    x->again = false;
    if (!x->done && !x->begun) {
        x->done = x->last >= x->until || !open_first(x, bound);
    }
    while (!x->done && step(x, bound, &bytes, &passed)) {
    }
    if (x->done) {
        excerpt_close(x);
    } else {
        logreader_rest(&x->r, bound);
    }
}
