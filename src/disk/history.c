// SPDX-License-Identifier: Apache-2.0
#include "disk/history.h"

#include "base/mem.h"

// Entries before the first one wanted are read over; that much of them in one job.
enum { PASS_BYTES = 8 * 1024 * 1024 };

void history_init(struct history *h, struct env *env, const char *dir, int64_t after, int64_t until)
{
    *h = (struct history){.env = env, .dir = dir, .last = after, .until = until};
}

void history_close(struct history *h)
{
    logreader_close(&h->r);
    h->done = true;
}

void history_give_back(struct history *h)
{
    for (size_t i = 0; i < h->n; i++) {
        blob_unref(&h->entries[i].txn);
    }
    h->n = 0;
}

void history_fini(struct history *h)
{
    must(!h->r.open);
    must(h->n == 0);
    mem_free(h->entries);
    h->entries = NULL;
}

// False: there is none.
static bool open_first(struct history *h, const struct log_bound *bound)
{
    struct disk_files files;
    h->begun = true;
    bool ok = log_files_list(h->env, h->dir, bound, &files) == ERR_OK && files.n > 0;
    if (ok) {
        const struct disk_file *f = &files.v[log_files_find(&files, h->last + 1)];
        // (e,0) is no entry: who stands there has all that is before epoch e.
        h->strict = (h->last & UINT32_MAX) != 0 || f->zxid > h->last;
        ok = logreader_open(&h->r, h->env, h->dir, f->zxid, 0) == ERR_OK;
    }
    disk_files_fini(&files);
    return ok;
}

static bool open_next(struct history *h, const struct log_bound *bound)
{
    int64_t before = h->r.file;
    struct disk_files files;
    logreader_close(&h->r);
    bool ok = log_files_list(h->env, h->dir, bound, &files) == ERR_OK;
    size_t i = 0;
    while (ok && i < files.n && files.v[i].zxid <= before) {
        i++;
    }
    ok = ok && i < files.n && logreader_open(&h->r, h->env, h->dir, files.v[i].zxid, 0) == ERR_OK;
    disk_files_fini(&files);
    return ok;
}

static void add(struct history *h, struct slice entry, int64_t zxid)
{
    mem_grow((void **)&h->entries, &h->cap, h->n + 1, sizeof(*h->entries));
    h->entries[h->n++] = (struct disk_entry){zxid, blob_new(entry)};
    h->last = zxid;
    h->strict = false;
    h->any = true;
}

enum took { TOOK_IT, TOOK_OVER, TOOK_PART_IS_FULL, TOOK_END };

static enum took take(struct history *h, struct slice entry, int64_t zxid, size_t bytes,
                      const struct log_bound *bound)
{
    if (zxid > h->until || zxid > bound->durable) {
        return TOOK_END;
    }
    bool follows = h->strict ? zxid == h->last + 1 : log_zxid_follows(h->last, zxid);
    if (!follows) {
        h->strict &= h->any || zxid != h->last;
        return !h->any && zxid <= h->last ? TOOK_OVER : TOOK_END;
    }
    if (h->n > 0 && bytes + entry.n > DISK_PART) {
        return TOOK_PART_IS_FULL;
    }
    add(h, entry, zxid);
    return TOOK_IT;
}

// One step of reading. False: this job is over.
static bool step(struct history *h, const struct log_bound *bound, size_t *bytes, size_t *passed)
{
    struct slice entry;
    int64_t zxid;
    switch (logreader_peek(&h->r, bound, &entry, &zxid)) {
    case LOGREADER_ENTRY:
        break;
    case LOGREADER_DAMAGED:
        h->strict = true;
        // fallthrough
    case LOGREADER_END:
        h->done = h->r.file == bound->file || !open_next(h, bound);
        return !h->done;
    case LOGREADER_FAILED:
        h->done = true;
        return false;
    }
    switch (take(h, entry, zxid, *bytes, bound)) {
    case TOOK_IT:
        *bytes += entry.n;
        break;
    case TOOK_OVER:
        *passed += entry.n;
        break;
    case TOOK_PART_IS_FULL:
        return false;
    case TOOK_END:
        h->done = true;
        return false;
    }
    logreader_skip(&h->r, entry);
    h->done = h->last >= h->until;
    h->again = *passed >= PASS_BYTES && h->n == 0;
    return !h->done && !h->again;
}

void history_read(struct history *h, const struct log_bound *bound)
{
    size_t bytes = 0, passed = 0;
    must(h->n == 0);
    h->again = false;
    if (!h->done && !h->begun) {
        h->done = h->last >= h->until || !open_first(h, bound);
    }
    while (!h->done && step(h, bound, &bytes, &passed)) {
    }
    if (h->done) {
        history_close(h);
    } else {
        logreader_rest(&h->r, bound);
    }
}
