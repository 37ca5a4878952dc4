// SPDX-License-Identifier: Apache-2.0
#include "cli/offline.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "os/env_uv.h"

static void keep_line(void *ctx, enum log_level level, const char *line)
{
    struct offline *o = ctx;
    (void)level;
    snprintf(o->said, sizeof(o->said), "%s", line);
}

enum err offline_open(struct offline *o)
{
    *o = (struct offline){0};
    struct sigaction before;
    bool known = sigaction(SIGPIPE, NULL, &before) == 0;
    enum err e = env_uv_new(LOG_ERROR, &o->env);
    if (known) {
        sigaction(SIGPIPE, &before, NULL); // `reeve log FILE | head` ends with head
    }
    if (!e) {
        o->env->log = (struct logger){keep_line, o, LOG_ERROR};
    }
    return e;
}

void offline_close(struct offline *o)
{
    if (o->env) {
        env_uv_free(&o->env);
    }
}

void offline_failure(struct offline *o, const char *path, enum err e, struct buf *text)
{
    if (o->said[0]) {
        buf_fmt(text, "%s", o->said);
    } else {
        buf_fmt(text, "cannot read %s: %s", path,
                e == ERR_NOTFOUND ? "no such file or directory" : err_text(e));
    }
    o->said[0] = '\0';
}

// ---- files --------------------------------------------------------------------------------------

static void add(struct offline_files *files, const char *path, const char *dir,
                const struct disk_file *name)
{
    mem_grow((void **)&files->v, &files->cap, files->n + 1, sizeof(*files->v));
    files->v[files->n++] = (struct offline_file){mem_strdup(path), mem_strdup(dir), *name, true};
}

static void add_file(struct offline_files *files, const char *word)
{
    const char *slash = strrchr(word, '/');
    struct disk_file name;
    disk_name_parse(slash ? slash + 1 : word, &name);
    char *dir = slash ? mem_strdup(word) : mem_strdup(".");
    if (slash) {
        dir[slash == word ? 1 : slash - word] = '\0';
    }
    add(files, word, dir, &name);
    mem_free(dir);
}

static enum err add_dir(struct offline *o, struct offline_files *files, const char *dir,
                        enum disk_name_kind kind, size_t *found)
{
    struct disk_files all;
    enum err e = disk_files_list(o->env, dir, &all);
    *found = 0;
    for (size_t i = 0; i < all.n; i++) {
        if (all.v[i].kind == kind) {
            char *path = disk_path(dir, all.v[i].name);
            add(files, path, dir, &all.v[i]);
            mem_free(path);
            ++*found;
        }
    }
    disk_files_fini(&all);
    return e;
}

enum err offline_add(struct offline *o, struct offline_files *files, const char *word,
                     enum disk_name_kind kind)
{
    struct stat st;
    if (stat(word, &st)) {
        return ERR_NOTFOUND;
    }
    if (!S_ISDIR(st.st_mode)) {
        add_file(files, word);
        return ERR_OK;
    }
    size_t found;
    enum err e = add_dir(o, files, word, kind, &found);
    if (!e && !found) {
        char *below = disk_path(word, "version-2");
        e = stat(below, &st) ? ERR_OK : add_dir(o, files, below, kind, &found);
        mem_free(below);
    }
    return e ? e : found ? ERR_OK : ERR_INVALID;
}

static int by_place(const void *a, const void *b)
{
    const struct offline_file *x = a, *y = b;
    bool named = x->name.kind != DISK_NAME_OTHER && y->name.kind != DISK_NAME_OTHER;
    int dirs = strcmp(x->dir, y->dir);
    if (dirs || !named) {
        return dirs ? dirs : strcmp(x->path, y->path);
    }
    return x->name.zxid != y->name.zxid ? (x->name.zxid < y->name.zxid ? -1 : 1)
                                        : strcmp(x->path, y->path);
}

bool offline_file_follows(const struct offline_file *f, const struct offline_file *before)
{
    return f->name.kind != DISK_NAME_OTHER && f->name.kind == before->name.kind &&
           strcmp(f->dir, before->dir) == 0;
}

void offline_files_settle(struct offline_files *files)
{
    if (files->n) {
        qsort(files->v, files->n, sizeof(*files->v), by_place);
    }
    for (size_t i = 0; i < files->n; i++) {
        struct offline_file *f = &files->v[i];
        f->last = i + 1 == files->n || !offline_file_follows(f + 1, f);
    }
}

void offline_files_fini(struct offline_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        mem_free(files->v[i].path);
        mem_free(files->v[i].dir);
    }
    mem_free(files->v);
    *files = (struct offline_files){0};
}
