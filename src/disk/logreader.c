// SPDX-License-Identifier: Apache-2.0
#include "disk/logreader.h"

#include "base/mem.h"
#include "disk/logfile.h"
#include "wire/txn.h"

// Longest entry accepted, as at a start: a longer length is damage.
enum { ENTRY_MAX = 256 * 1024 * 1024 };

struct log_bound log_bound_of(const struct log *l)
{
    bool writing = l->place.fd >= 0;
    return (struct log_bound){.file = writing ? l->place.zxid : -1,
                              .pos = writing ? l->place.pos : 0,
                              .durable = l->last_durable};
}

enum err log_files_list(struct env *env, const char *dir, const struct log_bound *bound,
                        struct disk_files *files)
{
    enum err e = disk_files_list(env, dir, files);
    size_t n = 0;
    for (size_t i = 0; i < files->n; i++) {
        if (files->v[i].kind == DISK_NAME_LOG && files->v[i].zxid <= bound->durable) {
            files->v[n++] = files->v[i];
        }
    }
    files->n = n;
    return e;
}

size_t log_files_find(const struct disk_files *files, int64_t zxid)
{
    size_t found = 0;
    for (size_t i = 0; i < files->n && files->v[i].zxid <= zxid; i++) {
        found = i;
    }
    return found;
}

bool log_zxid_follows(int64_t prev, int64_t zxid)
{
    return prev >> 32 == zxid >> 32 ? zxid == prev + 1 : zxid > prev && (zxid & UINT32_MAX) == 1;
}

static uint64_t limit_of(const struct logreader *r, const struct log_bound *bound)
{
    return r->file == bound->file ? bound->pos : UINT64_MAX;
}

static struct slice front(const struct logreader *r, const struct log_bound *bound)
{
    struct slice s = window_slice(&r->w);
    uint64_t limit = limit_of(r, bound);
    uint64_t room = limit > r->w.at ? limit - r->w.at : 0;
    return s.n > room ? slice_head(s, (size_t)room) : s;
}

static enum err check_header(struct logreader *r)
{
    bool end;
    enum err e = window_more(&r->w, &end);
    if (!e) {
        e = logfile_check_header(window_slice(&r->w));
    }
    if (!e) {
        window_skip(&r->w, LOGFILE_HEADER_LEN);
    }
    return e == ERR_CUT ? ERR_CORRUPT : e;
}

enum err logreader_open(struct logreader *r, struct env *env, const char *dir, int64_t file,
                        uint64_t at)
{
    char name[DISK_NAME_MAX];
    disk_name_log(name, file);
    char *path = disk_path(dir, name);
    *r = (struct logreader){.file = file};
    enum err e = window_open(&r->w, env, path);
    mem_free(path);
    if (e) {
        return e;
    }
    r->open = true;
    r->w.at = at;
    e = at == 0 ? check_header(r) : ERR_OK;
    if (e) {
        logreader_close(r);
    }
    return e;
}

void logreader_close(struct logreader *r)
{
    if (r->open) {
        window_close(&r->w);
        r->open = false;
    }
}

static enum logreader_next take(struct slice s, struct slice *entry, int64_t *zxid)
{
    struct txn_header hdr;
    if (txn_decode_header(s, &hdr)) {
        return LOGREADER_DAMAGED;
    }
    *entry = s;
    *zxid = hdr.zxid;
    return LOGREADER_ENTRY;
}

enum logreader_next logreader_peek(struct logreader *r, const struct log_bound *bound,
                                   struct slice *entry, int64_t *zxid)
{
    for (;;) {
        struct slice s = front(r, bound), found;
        size_t used;
        switch (logfile_next(s, ENTRY_MAX, &found, &used)) {
        case LOGFILE_RECORD:
            return take(found, entry, zxid);
        case LOGFILE_END:
            return LOGREADER_END;
        case LOGFILE_TORN:
        case LOGFILE_CORRUPT:
            return LOGREADER_DAMAGED;
        case LOGFILE_MORE:
            break;
        }
        bool end = s.n < window_slice(&r->w).n || r->w.at + s.n >= limit_of(r, bound);
        if (!end && window_more(&r->w, &end)) {
            return LOGREADER_FAILED;
        }
        if (end) {
            return s.n == 0 ? LOGREADER_END : LOGREADER_DAMAGED;
        }
    }
}

void logreader_skip(struct logreader *r, struct slice entry)
{
    window_skip(&r->w, entry.n + LOGFILE_RECORD_OVERHEAD);
}

void logreader_rest(struct logreader *r, const struct log_bound *bound)
{
    if (r->open) {
        r->w.n = r->w.from + front(r, bound).n;
    }
}
