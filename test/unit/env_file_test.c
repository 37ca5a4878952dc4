// SPDX-License-Identifier: Apache-2.0
//
// The file calls of struct env on Linux, in a scratch folder: what each returns, links, a full
// disk. They block, so the event loop (env_uv_test.c) does not run here.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/env_uv.h"

static int setup(void **state)
{
    struct env *e;
    assert_int_equal(env_uv_new(LOG_WARN, &e), ERR_OK);
    *state = e;
    return 0;
}

static int teardown(void **state)
{
    env_uv_free((struct env **)state);
    return 0;
}

static void count_file(void *ctx, const char *name, uint64_t size)
{
    assert_string_equal(name, "two");
    *(uint64_t *)ctx += size + 1000;
}

static void test_files(void **state)
{
    struct env *e = *state;
    const struct env_ops *o = e->ops;
    char top[] = "/tmp/env_file_test.XXXXXX", dir[100], one[120], two[120];
    assert_non_null(mkdtemp(top));
    snprintf(dir, sizeof(dir), "%s/a//b/c", top);
    snprintf(one, sizeof(one), "%s/one", dir);
    snprintf(two, sizeof(two), "%s/two", dir);
    assert_int_equal(o->make_dir(e, dir), ERR_OK);
    assert_int_equal(o->make_dir(e, dir), ERR_OK);

    int fd;
    assert_int_equal(o->file_open(e, one, ENV_OPEN_READ, &fd), ERR_NOTFOUND);
    assert_int_equal(o->file_open(e, one, ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_EXCL, &fd),
                     ERR_OK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(o->file_write(e, fd, 5, "world", 5), ERR_OK);
    assert_int_equal(o->file_write(e, fd, 0, "hello", 5), ERR_OK);
    assert_int_equal(o->file_sync(e, fd), ERR_OK);
    uint64_t size = 0;
    assert_int_equal(o->file_size(e, fd, &size), ERR_OK);
    assert_int_equal(size, 10);
    char text[20];
    size_t got = 0;
    assert_int_equal(o->file_read(e, fd, 3, text, sizeof(text), &got), ERR_OK);
    assert_int_equal(got, 7);
    assert_memory_equal(text, "loworld", 7);
    assert_int_equal(o->file_truncate(e, fd, 4), ERR_OK);
    o->file_close(e, fd);
    int other;
    assert_int_equal(o->file_open(e, one, ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_EXCL, &other),
                     ERR_EXISTS);

    assert_int_equal(o->rename(e, one, two), ERR_OK);
    assert_int_equal(o->sync_dir(e, dir), ERR_OK);
    assert_int_equal(o->unlink(e, one), ERR_NOTFOUND);
    uint64_t sum = 0;
    assert_int_equal(o->list(e, dir, count_file, &sum), ERR_OK);
    assert_int_equal(sum, 1004);
    assert_int_equal(o->list(e, one, count_file, &sum), ERR_NOTFOUND);
    assert_int_equal(o->make_dir(e, two), ERR_IO); // a file has that name
    assert_int_equal(o->free_space(e, dir, &size), ERR_OK);
    assert_true(size > 0);

    // The second holder asks through an env of its own, as another process would.
    assert_int_equal(o->lock(e, one), ERR_OK);
    struct env *second;
    assert_int_equal(env_uv_new(LOG_ERROR, &second), ERR_OK);
    assert_int_equal(o->lock(second, one), ERR_BUSY);
    env_uv_free(&second);

    struct env_sysinfo info;
    o->sysinfo(e, &info);
    assert_int_equal(info.pid, getpid());
    assert_in_range(info.open_fds, 4, info.max_fds);
    assert_true(info.mem_rss > 100000 && info.mem_total > info.mem_rss && info.host_name[0]);

    o->unlink(e, one);
    o->unlink(e, two);
    rmdir(dir);
    snprintf(dir, sizeof(dir), "%s/a/b", top);
    rmdir(dir);
    snprintf(dir, sizeof(dir), "%s/a", top);
    rmdir(dir);
    assert_int_equal(rmdir(top), 0);
}

static void add_size(void *ctx, const char *name, uint64_t size)
{
    (void)name;
    *(uint64_t *)ctx += size + 1000;
}

// A log or snapshot that was moved to where there is space, with a link in its place, is there. A
// file that cannot be looked at is not missing.
static void test_links(void **state)
{
    struct env *e = *state;
    const struct env_ops *o = e->ops;
    char dir[] = "/tmp/env_file_test.XXXXXX", path[400], far[301];
    assert_non_null(mkdtemp(dir));
    int fd;
    snprintf(path, sizeof(path), "%s/file", dir);
    assert_int_equal(o->file_open(e, path, ENV_OPEN_WRITE | ENV_OPEN_CREATE, &fd), ERR_OK);
    assert_int_equal(o->file_write(e, fd, 0, "hello", 5), ERR_OK);
    o->file_close(e, fd);
    char link[60], nowhere[60], round[60], bad[60];
    snprintf(link, sizeof(link), "%s/link", dir);
    snprintf(nowhere, sizeof(nowhere), "%s/nowhere", dir);
    snprintf(round, sizeof(round), "%s/round", dir);
    snprintf(bad, sizeof(bad), "%s/bad", dir);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(symlink("missing", nowhere), 0);
    assert_int_equal(symlink("round", round), 0);
    uint64_t sum = 0;
    assert_int_equal(o->list(e, dir, add_size, &sum), ERR_OK);
    assert_int_equal(sum, 2010);
    memset(far, 'x', 300);
    far[300] = 0;
    assert_int_equal(symlink(far, bad), 0);
    assert_int_equal(o->list(e, dir, add_size, &sum), ERR_IO);
    unlink(bad);
    unlink(round);
    unlink(nowhere);
    unlink(link);
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

static void test_full_disk(void **state)
{
    struct env *e = *state;
    int fd;
    if (e->ops->file_open(e, "/dev/full", ENV_OPEN_WRITE, &fd)) {
        skip();
    }
    assert_int_equal(e->ops->file_write(e, fd, 0, "x", 1), ERR_NOSPACE);
    e->ops->file_close(e, fd);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_files),
        CASE(test_links),
        CASE(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
