// SPDX-License-Identifier: Apache-2.0
//
// File calls: blocking, on a lane or before the loop runs. Each returns one enum err; what the
// caller cannot tell apart by it (an I/O error, a bad mount) is logged here with the system's
// words, because they are lost above.
#define _GNU_SOURCE // O_PATH, AT_ flags
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <linux/limits.h>

#include "base/mem.h"
#include "os/os.h"

static enum err failed(struct env *env, const char *what, const char *path)
{
    int e = errno;
    switch (e) {
    case ENOENT:
        return ERR_NOTFOUND;
    case EEXIST:
        return ERR_EXISTS;
    case ENOSPC:
    case EDQUOT:
        return ERR_NOSPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        log_error(&env->log, "cannot %s %s: %s", what, path, strerror(e));
        return ERR_DENIED;
    default:
        log_error(&env->log, "cannot %s %s: %s", what, path, strerror(e));
        return ERR_IO;
    }
}

static enum err failed_fd(struct env *env, const char *what, int fd)
{
    int e = errno;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    path[n < 0 ? 0 : n] = '\0';
    errno = e;
    return failed(env, what, path);
}

enum err file_open(struct env *env, const char *path, unsigned flags, int *fd)
{
    int f = O_CLOEXEC | (flags & ENV_OPEN_WRITE ? O_RDWR : O_RDONLY);
    f |= flags & ENV_OPEN_CREATE ? O_CREAT : 0;
    f |= flags & ENV_OPEN_EXCL ? O_EXCL : 0;
    f |= flags & ENV_OPEN_TRUNC ? O_TRUNC : 0;
    do {
        *fd = open(path, f, 0644);
    } while (*fd < 0 && errno == EINTR);
    return *fd < 0 ? failed(env, "open", path) : ERR_OK;
}

void file_close(struct env *env, int fd)
{
    (void)env;
    must(fd >= 0);
    int r = close(fd); // what matters was synced before; EINTR has closed it on Linux
    must(r == 0 || errno != EBADF);
}

enum err file_size(struct env *env, int fd, uint64_t *size)
{
    struct stat st;
    if (fstat(fd, &st)) {
        return failed_fd(env, "look at", fd);
    }
    *size = (uint64_t)st.st_size;
    return ERR_OK;
}

enum err file_read(struct env *env, int fd, uint64_t off, void *p, size_t n, size_t *got)
{
    *got = 0;
    while (*got < n) {
        ssize_t r = pread(fd, (char *)p + *got, n - *got, (off_t)(off + *got));
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r < 0) {
            return failed_fd(env, "read", fd);
        }
        if (r == 0) {
            break;
        }
        *got += (size_t)r;
    }
    return ERR_OK;
}

enum err file_write(struct env *env, int fd, uint64_t off, const void *p, size_t n)
{
    size_t put = 0;
    while (put < n) {
        ssize_t r = pwrite(fd, (const char *)p + put, n - put, (off_t)(off + put));
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r < 0) {
            return failed_fd(env, "write", fd);
        }
        put += (size_t)r;
    }
    return ERR_OK;
}

enum err file_sync(struct env *env, int fd)
{
    // Not again after EINTR or an error: the kernel may have forgotten the failed pages, and a
    // second call would report success for them.
    return fdatasync(fd) ? failed_fd(env, "sync", fd) : ERR_OK;
}

enum err file_truncate(struct env *env, int fd, uint64_t size)
{
    int r;
    do {
        r = ftruncate(fd, (off_t)size);
    } while (r && errno == EINTR);
    return r ? failed_fd(env, "set the length of", fd) : ERR_OK;
}

enum err file_rename(struct env *env, const char *from, const char *to)
{
    return rename(from, to) ? failed(env, "rename", from) : ERR_OK;
}

enum err file_unlink(struct env *env, const char *path)
{
    return unlink(path) ? failed(env, "delete", path) : ERR_OK;
}

// A folder that is made is there for good: what is below it is synced as far as itself only.
static enum err sync_parent(struct env *env, const char *path)
{
    char up[PATH_MAX];
    snprintf(up, sizeof(up), "%s", path);
    size_t n = strlen(up);
    while (n > 0 && up[n - 1] == '/') {
        n--;
    }
    while (n > 0 && up[n - 1] != '/') {
        n--;
    }
    up[n] = '\0';
    return file_sync_dir(env, n ? up : ".");
}

static enum err make_one(struct env *env, const char *path)
{
    if (mkdir(path, 0755) == 0) {
        return sync_parent(env, path);
    }
    int e = errno;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        return ERR_OK; // whatever mkdir said about a folder that is there
    }
    errno = e == EEXIST ? ENOTDIR : e;
    return failed(env, "make the folder", path);
}

enum err file_make_dir(struct env *env, const char *path)
{
    size_t n = strlen(path);
    if (n == 0 || n >= PATH_MAX) {
        errno = n ? ENAMETOOLONG : EINVAL;
        return failed(env, "make the folder", path);
    }
    char part[PATH_MAX];
    memcpy(part, path, n + 1);
    for (size_t i = 1; i < n; i++) {
        if (part[i] != '/' || part[i - 1] == '/') {
            continue;
        }
        part[i] = '\0';
        enum err e = make_one(env, part);
        part[i] = '/';
        if (e) {
            return e;
        }
    }
    return make_one(env, path);
}

enum err file_sync_dir(struct env *env, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return failed(env, "open", path);
    }
    enum err e = ERR_OK;
    // Some file systems know no sync of a folder and say EINVAL; they need none.
    if (fsync(fd) && errno != EINVAL) {
        e = failed(env, "sync the folder", path);
    }
    close(fd);
    return e;
}

enum err file_list(struct env *env, const char *dir,
                   void (*each)(void *ctx, const char *name, uint64_t size), void *ctx)
{
    DIR *d = opendir(dir);
    if (!d) {
        return failed(env, "list", dir);
    }
    enum err e = ERR_OK;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(d);
        if (!entry) {
            e = errno ? failed(env, "list", dir) : ERR_OK;
            break;
        }
        struct stat st;
        // A link stands for its file, if it leads to any. One that vanished since is no failure;
        // one that cannot be looked at is, or it would count as missing.
        if (fstatat(dirfd(d), entry->d_name, &st, 0) == 0) {
            if (S_ISREG(st.st_mode)) {
                each(ctx, entry->d_name, (uint64_t)st.st_size);
            }
        } else if (errno != ENOENT && errno != ELOOP && errno != ENOTDIR) {
            e = failed(env, "look at a file of", dir);
            break;
        }
    }
    closedir(d);
    return e;
}

enum err file_lock(struct env *env, const char *path)
{
    struct env_uv *e = env_uv_of(env);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        return failed(env, "open", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        enum err err = errno == EWOULDBLOCK ? ERR_BUSY : failed(env, "lock", path);
        close(fd);
        return err;
    }
    mem_grow((void **)&e->locks, &e->locks_cap, e->locks_n + 1, sizeof(*e->locks));
    e->locks[e->locks_n++] = fd;
    return ERR_OK;
}

void file_fini(struct env_uv *e)
{
    for (size_t i = 0; i < e->locks_n; i++) {
        close(e->locks[i]);
    }
    mem_free(e->locks);
}

enum err file_free_space(struct env *env, const char *dir, uint64_t *bytes)
{
    struct statvfs st;
    if (statvfs(dir, &st)) {
        return failed(env, "look at", dir);
    }
    *bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return ERR_OK;
}
