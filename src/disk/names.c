// SPDX-License-Identifier: Apache-2.0
#include "disk/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

// Takes 1 to 16 hex digits off *s; false if there are none or the value is negative.
static bool take_zxid(const char **s, int64_t *zxid)
{
    uint64_t v = 0;
    int digits = 0;
    for (;; digits++, (*s)++) {
        char c = **s;
        unsigned d;
        if (c >= '0' && c <= '9') {
            d = (unsigned)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            d = (unsigned)(c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            d = (unsigned)(c - 'A' + 10);
        } else {
            break;
        }
        if (digits == 16) {
            return false;
        }
        v = v << 4 | d;
    }
    *zxid = (int64_t)v;
    return digits > 0 && *zxid >= 0;
}

static enum disk_name_kind snapshot_suffix(const char *s, enum disk_compression *packed)
{
    static const struct {
        const char *text;
        enum disk_name_kind kind;
        enum disk_compression packed;
    } suffixes[] = {
        {"", DISK_NAME_SNAPSHOT, DISK_PLAIN},
        {".gz", DISK_NAME_SNAPSHOT, DISK_GZIP},
        {".snappy", DISK_NAME_SNAPSHOT, DISK_SNAPPY},
        {".tmp", DISK_NAME_LEFTOVER, DISK_PLAIN},
        {".gz.tmp", DISK_NAME_LEFTOVER, DISK_PLAIN},
        {".snappy.tmp", DISK_NAME_LEFTOVER, DISK_PLAIN},
    };
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        if (strcmp(s, suffixes[i].text) == 0) {
            *packed = suffixes[i].packed;
            return suffixes[i].kind;
        }
    }
    return DISK_NAME_OTHER;
}

static bool is_leftover(const char *name)
{
    return strcmp(name, DISK_TMP_LOG) == 0 || strncmp(name, "tmp.snapshot.", 13) == 0 ||
           strncmp(name, "tmp.taken.snapshot.", 19) == 0 ||
           strcmp(name, "tmp.acceptedEpoch") == 0 || strcmp(name, "tmp.currentEpoch") == 0;
}

void disk_name_parse(const char *name, struct disk_file *f)
{
    *f = (struct disk_file){.kind = DISK_NAME_OTHER};
    size_t n = strlen(name);
    if (n >= DISK_NAME_MAX) {
        return;
    }
    memcpy(f->name, name, n + 1);
    const char *rest = name;
    if (is_leftover(name)) {
        f->kind = DISK_NAME_LEFTOVER;
    } else if (strncmp(name, "cut.", 4) == 0) {
        rest += 4;
        if (take_zxid(&rest, &f->zxid) && *rest++ == '.' && take_zxid(&rest, &f->base) && !*rest) {
            f->kind = DISK_NAME_CUT;
        }
    } else if (strncmp(name, DISK_TAKEN "snapshot.", 15) == 0) {
        rest += 15;
        if (take_zxid(&rest, &f->zxid) && !*rest) {
            f->kind = DISK_NAME_TAKEN;
        }
    } else if (strncmp(name, "log.", 4) == 0) {
        rest += 4;
        if (take_zxid(&rest, &f->zxid) && !*rest) {
            f->kind = DISK_NAME_LOG;
        }
    } else if (strncmp(name, "snapshot.", 9) == 0) {
        rest += 9;
        if (take_zxid(&rest, &f->zxid)) {
            f->kind = snapshot_suffix(rest, &f->packed);
        }
    }
}

void disk_name_log(char name[DISK_NAME_MAX], int64_t zxid)
{
    snprintf(name, DISK_NAME_MAX, "log.%" PRIx64, (uint64_t)zxid);
}

void disk_name_cut(char name[DISK_NAME_MAX], int64_t zxid, int64_t base)
{
    snprintf(name, DISK_NAME_MAX, "cut.%" PRIx64 ".%" PRIx64, (uint64_t)zxid, (uint64_t)base);
}

void disk_name_snapshot(char name[DISK_NAME_MAX], int64_t zxid, enum disk_compression packed)
{
    static const char *const suffix[] = {"", ".gz", ".snappy"};
    snprintf(name, DISK_NAME_MAX, "snapshot.%" PRIx64 "%s", (uint64_t)zxid, suffix[packed]);
}

char *disk_path(const char *dir, const char *name)
{
    size_t n = strlen(dir) + strlen(name) + 2;
    char *p = mem_alloc(n);
    snprintf(p, n, "%s/%s", dir, name);
    return p;
}

static void add(void *ctx, const char *name, uint64_t size)
{
    struct disk_files *files = ctx;
    struct disk_file f;
    disk_name_parse(name, &f);
    if (f.kind == DISK_NAME_OTHER) {
        return;
    }
    f.size = size;
    mem_grow((void **)&files->v, &files->cap, files->n + 1, sizeof(*files->v));
    files->v[files->n++] = f;
}

static int by_zxid(const void *a, const void *b)
{
    const struct disk_file *x = a, *y = b;
    return x->zxid != y->zxid ? (x->zxid < y->zxid ? -1 : 1) : strcmp(x->name, y->name);
}

enum err disk_files_list(struct env *env, const char *dir, struct disk_files *files)
{
    *files = (struct disk_files){0};
    enum err e = env->ops->list(env, dir, add, files);
    if (files->n) {
        qsort(files->v, files->n, sizeof(*files->v), by_zxid);
    }
    return e;
}

void disk_files_fini(struct disk_files *files)
{
    mem_free(files->v);
    *files = (struct disk_files){0};
}
