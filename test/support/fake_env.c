// SPDX-License-Identifier: Apache-2.0
#include "test/support/fake_env.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static struct fake_env *of(struct env *e)
{
    return (struct fake_env *)e;
}

// Every file call comes through here.
static enum err enter(struct env *e)
{
    struct fake_env *f = of(e);
    return ++f->calls == f->fail_at ? f->fail_with : ERR_OK;
}

#define ENTER(e)             \
    enum err err = enter(e); \
    if (err) {               \
        return err;          \
    }

static enum err file_open(struct env *e, const char *path, unsigned flags, int *fd)
{
    ENTER(e);
    err = crashdisk_open(of(e)->disk, path, flags, fd);
    if (!err) {
        must((size_t)*fd < sizeof(of(e)->fds) / sizeof(of(e)->fds[0]));
        of(e)->fds[*fd].open = true;
        of(e)->fds[*fd].lost = false;
        snprintf(of(e)->fds[*fd].path, sizeof(of(e)->fds[*fd].path), "%s", path);
    }
    return err;
}

static void file_close(struct env *e, int fd)
{
    of(e)->fds[fd].open = false;
    crashdisk_close(of(e)->disk, fd);
}

static enum err file_size(struct env *e, int fd, uint64_t *size)
{
    ENTER(e);
    return crashdisk_size(of(e)->disk, fd, size);
}

static enum err file_read(struct env *e, int fd, uint64_t off, void *p, size_t n, size_t *got)
{
    ENTER(e);
    return crashdisk_read(of(e)->disk, fd, off, p, n, got);
}

static enum err file_write(struct env *e, int fd, uint64_t off, const void *p, size_t n)
{
    ENTER(e);
    err = of(e)->next_write;
    if (err) {
        of(e)->next_write = ERR_OK;
        enum err half = crashdisk_write(of(e)->disk, fd, off, p, n / 2);
        return half ? half : err;
    }
    return crashdisk_write(of(e)->disk, fd, off, p, n);
}

static enum err file_sync(struct env *e, int fd)
{
    ENTER(e);
    struct fake_env *f = of(e);
    for (int i = 0; f->lose_next_sync && i < 64; i++) {
        f->fds[i].lost |= f->fds[i].open && strcmp(f->fds[i].path, f->fds[fd].path) == 0;
    }
    f->lose_next_sync = false;
    if (f->fds[fd].lost) {
        f->fds[fd].lost = false;
        return ERR_IO;
    }
    return crashdisk_sync(f->disk, fd);
}

static enum err file_truncate(struct env *e, int fd, uint64_t size)
{
    ENTER(e);
    return crashdisk_truncate(of(e)->disk, fd, size);
}

static enum err rename_file(struct env *e, const char *from, const char *to)
{
    ENTER(e);
    err = crashdisk_rename(of(e)->disk, from, to);
    for (int i = 0; !err && i < 64; i++) {
        if (strcmp(of(e)->fds[i].path, from) == 0) {
            snprintf(of(e)->fds[i].path, sizeof(of(e)->fds[i].path), "%s", to);
        }
    }
    return err;
}

static enum err unlink_file(struct env *e, const char *path)
{
    ENTER(e);
    return crashdisk_unlink(of(e)->disk, path);
}

static enum err make_dir(struct env *e, const char *path)
{
    (void)path;
    ENTER(e);
    return ERR_OK;
}

static enum err sync_dir(struct env *e, const char *path)
{
    ENTER(e);
    return crashdisk_sync_dir(of(e)->disk, path);
}

static enum err list(struct env *e, const char *dir,
                     void (*each)(void *ctx, const char *name, uint64_t size), void *ctx)
{
    ENTER(e);
    return crashdisk_list(of(e)->disk, dir, each, ctx);
}

static enum err lock(struct env *e, const char *path)
{
    ENTER(e);
    struct fake_env *f = of(e);
    for (size_t i = 0; i < f->locks_n; i++) {
        if (strcmp(f->locks[i], path) == 0) {
            return ERR_BUSY;
        }
    }
    must(f->locks_n < sizeof(f->locks) / sizeof(f->locks[0]));
    f->locks[f->locks_n++] = mem_strdup(path);
    return ERR_OK;
}

static struct mono clock_now(struct env *e)
{
    return e->now;
}

static enum err free_space(struct env *e, const char *dir, uint64_t *bytes)
{
    (void)dir;
    ENTER(e);
    return crashdisk_free_space(of(e)->disk, bytes);
}

static void add_job(struct env *e, enum env_lane lane, struct env_job *job)
{
    struct fake_env *f = of(e);
    must(f->jobs_n[lane] < sizeof(f->jobs[lane]) / sizeof(f->jobs[lane][0]));
    job->env = e;
    f->jobs[lane][f->jobs_n[lane]++] = job;
}

static void write_log(void *ctx, enum log_level level, const char *line)
{
    struct fake_env *f = ctx;
    buf_fmt(&f->log, "%s %s\n", log_level_name(level), line);
}

struct fake_env *fake_env_new(uint64_t seed)
{
    struct fake_env *f = mem_zalloc(sizeof(*f));
    f->rng.state = seed;
    f->disk = crashdisk_new(&f->rng);
    f->ops = (struct env_ops){.job = add_job,
                              .file_open = file_open,
                              .file_close = file_close,
                              .file_size = file_size,
                              .file_read = file_read,
                              .file_write = file_write,
                              .file_sync = file_sync,
                              .file_truncate = file_truncate,
                              .rename = rename_file,
                              .unlink = unlink_file,
                              .make_dir = make_dir,
                              .sync_dir = sync_dir,
                              .list = list,
                              .lock = lock,
                              .free_space = free_space,
                              .clock = clock_now};
    fake_net_init(&f->net, &f->ops);
    f->env = (struct env){.ops = &f->ops,
                          .log = {write_log, f, LOG_DEBUG},
                          .seed = seed,
                          .now = {1000000000},
                          .wall = {1700000000000}};
    return f;
}

static void drop_locks(struct fake_env *f)
{
    while (f->locks_n) {
        mem_free(f->locks[--f->locks_n]);
    }
}

void fake_env_free(struct fake_env **fp)
{
    struct fake_env *f = *fp;
    *fp = NULL;
    must(f->jobs_n[0] == 0);
    must(f->jobs_n[1] == 0);
    drop_locks(f);
    crashdisk_free(&f->disk);
    buf_fini(&f->log);
    fake_net_fini(&f->net);
    mem_free(f);
}

struct env_job *fake_env_run(struct fake_env *f, enum env_lane lane)
{
    if (f->jobs_n[lane] == 0) {
        return NULL;
    }
    struct env_job *job = f->jobs[lane][0];
    f->jobs_n[lane]--;
    memmove(f->jobs[lane], f->jobs[lane] + 1, f->jobs_n[lane] * sizeof(struct env_job *));
    job->run(job);
    return job;
}

void fake_env_reboot(struct fake_env *f, bool power)
{
    must(f->jobs_n[0] == 0);
    must(f->jobs_n[1] == 0);
    crashdisk_down(f->disk, power);
    crashdisk_up(f->disk);
    drop_locks(f);
    memset(f->fds, 0, sizeof(f->fds));
    f->lose_next_sync = false;
    f->fail_at = 0;
    f->next_write = ERR_OK;
}

void fake_env_fail(struct fake_env *f, uint64_t calls_from_now, enum err with)
{
    f->fail_at = f->calls + calls_from_now;
    f->fail_with = with;
}

bool fake_env_logged(const struct fake_env *f, const char *text)
{
    struct slice s = buf_slice(&f->log);
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= s.n; i++) {
        if (memcmp(s.p + i, text, n) == 0) {
            return true;
        }
    }
    return false;
}

void fake_env_pass_ms(struct fake_env *f, int64_t ms)
{
    f->env.now = mono_add_ms(f->env.now, ms);
    f->env.wall.ms += ms;
}

static void must_ok(enum err e)
{
    must(e == ERR_OK);
}

void fake_env_plant(struct fake_env *f, const char *path, struct slice content)
{
    int fd;
    must_ok(crashdisk_open(f->disk, path, ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_TRUNC, &fd));
    must_ok(crashdisk_write(f->disk, fd, 0, content.p, content.n));
    must_ok(crashdisk_sync(f->disk, fd));
    crashdisk_close(f->disk, fd);
    char dir[512];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 0, path);
    must_ok(crashdisk_sync_dir(f->disk, dir));
}

size_t fake_env_open_fds(const struct fake_env *f)
{
    size_t n = 0;
    for (size_t i = 0; i < sizeof(f->fds) / sizeof(f->fds[0]); i++) {
        n += f->fds[i].open;
    }
    return n;
}

struct slice fake_env_peek(struct fake_env *f, const char *path)
{
    return crashdisk_peek(f->disk, path);
}
