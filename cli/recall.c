// SPDX-License-Identifier: Apache-2.0
#include "cli/recall.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/mem.h"

struct recall {
    char **line; // the oldest first
    size_t n, cap;
    size_t at; // where the editor is; n: nowhere
    char *file;
};

static void put(struct recall *r, const char *s, size_t len)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->line = cli_grow(r->line, r->cap * sizeof(*r->line));
    }
    r->line[r->n++] = cli_dup_n(s, len);
}

static void drop_oldest(struct recall *r, size_t keep)
{
    size_t n = r->n > keep ? r->n - keep : 0;
    for (size_t i = 0; i < n; i++) {
        free(r->line[i]);
    }
    if (n > 0) {
        r->n -= n;
        memmove(r->line, r->line + n, r->n * sizeof(*r->line));
    }
}

static int open_file(const char *name, int flags)
{
    int fd = open(name, flags | O_CREAT | O_CLOEXEC, 0600);
    struct stat st;
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || fchmod(fd, 0600) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool write_all(int fd, const char *s, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, s, n);
        if (done <= 0) {
            return false;
        }
        s += done;
        n -= (size_t)done;
    }
    return true;
}

// What is kept in a new file that takes the old one's place.
static void rewrite(const struct recall *r)
{
    struct string name = {0}, all = {0};
    string_addf(&name, "%s.new", r->file);
    for (size_t i = 0; i < r->n; i++) {
        string_addf(&all, "%s\n", r->line[i]);
    }
    int fd = open_file(name.s, O_WRONLY | O_TRUNC);
    if (fd >= 0) {
        bool done = write_all(fd, string_of(&all), all.len);
        close(fd);
        if (!done || rename(name.s, r->file) != 0) {
            unlink(name.s);
        }
    }
    string_fini(&name);
    string_fini(&all);
}

// The end of the file: no more than RECALL_FILE_MAX bytes of it.
static void load(struct recall *r)
{
    int fd = open(r->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0) {
        return;
    }
    struct string all = {0};
    bool cut = false;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        cut = st.st_size > RECALL_FILE_MAX;
        lseek(fd, cut ? st.st_size - RECALL_FILE_MAX : 0, SEEK_SET);
        char part[65536];
        ssize_t n;
        while (all.len < RECALL_FILE_MAX && (n = read(fd, part, sizeof(part))) > 0) {
            string_add_n(&all, part, (size_t)n);
        }
    }
    close(fd);
    const char *p = string_of(&all), *end = p + all.len;
    for (const char *nl; p < end && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1) {
        if (nl > p) {
            put(r, p, (size_t)(nl - p));
        }
    }
    bool many = r->n > 2 * (size_t)RECALL_MAX;
    drop_oldest(r, RECALL_MAX);
    if (many || cut) {
        rewrite(r);
    }
    string_fini(&all);
}

struct recall *recall_new(const char *file)
{
    struct recall *r = cli_alloc(sizeof(*r));
    r->file = cli_dup(file);
    if (file) {
        load(r);
    }
    r->at = r->n;
    return r;
}

void recall_free(struct recall **r)
{
    if (*r == NULL) {
        return;
    }
    drop_oldest(*r, 0);
    free((*r)->line);
    free((*r)->file);
    free(*r);
    *r = NULL;
}

void recall_add(struct recall *r, const char *line, int keep)
{
    r->at = r->n;
    if (line[0] == '\0' || line[0] == ' ' || (r->n > 0 && strcmp(r->line[r->n - 1], line) == 0)) {
        return;
    }
    put(r, line, strlen(line));
    drop_oldest(r, RECALL_MAX);
    r->at = r->n;
    int fd = keep && r->file ? open_file(r->file, O_WRONLY | O_APPEND) : -1;
    if (fd >= 0) {
        struct string t = {0};
        string_addf(&t, "%s\n", line);
        write_all(fd, t.s, t.len);
        string_fini(&t);
        close(fd);
    }
}

// libedit's "first" is the newest line and "next" the one before it.
int recall_step(void *p, HistEvent *ev, int op, ...)
{
    struct recall *r = p;
    size_t to = r->n;
    switch (op) {
    case H_FIRST:
        to = r->n - 1; // none: beyond all
        break;
    case H_LAST:
        to = 0;
        break;
    case H_NEXT:
        to = r->at - 1;
        break;
    case H_PREV:
        to = r->at + 1;
        break;
    case H_CURR:
        to = r->at;
        break;
    default:
        break;
    }
    if (to >= r->n) {
        ev->num = -1;
        ev->str = "";
        return -1;
    }
    r->at = to;
    ev->num = (int)to;
    ev->str = r->line[to];
    return 0;
}
