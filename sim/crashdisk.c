// SPDX-License-Identifier: Apache-2.0
#include "sim/crashdisk.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"

enum { SECTOR = 512, FDS_MAX = 64, FIRST_FD = 3, LOCKS_MAX = 4 };

struct change { // a write, or with data.p == NULL a truncation to off
    uint64_t off;
    struct buf data;
    bool is_truncate;
};

struct file {
    struct buf seen, synced;
    struct change *changes; // since the last sync, oldest first
    size_t changes_n, changes_cap;
    int refs; // names, journal entries and descriptors
};

struct name {
    char *path;
    struct file *file;
};

struct names {
    struct name *v;
    size_t n, cap;
};

// A change of names not yet durable: to NULL is an unlink, from NULL a create.
struct move {
    char *from, *to;
    struct file *file;
};

struct crashdisk {
    struct rng *rng;
    bool down, lying, refused;
    uint64_t crash_after, capacity;
    uint32_t errors_one_in;
    struct names seen, synced;
    struct move *journal;
    size_t journal_n, journal_cap;
    struct file *fds[FDS_MAX];
    char *locks[LOCKS_MAX];
};

// ---- files and names -------------------------------------------------------------------------

static void drop_changes(struct file *f, size_t n)
{
    if (n == 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        buf_fini(&f->changes[i].data);
    }
    if (f->changes_n > n) {
        memmove(f->changes, f->changes + n, (f->changes_n - n) * sizeof(*f->changes));
    }
    f->changes_n -= n;
}

static void unref(struct file *f)
{
    if (--f->refs > 0) {
        return;
    }
    drop_changes(f, f->changes_n);
    mem_free(f->changes);
    buf_fini(&f->seen);
    buf_fini(&f->synced);
    mem_free(f);
}

static struct name *find(struct names *ns, const char *path)
{
    for (size_t i = 0; i < ns->n; i++) {
        if (strcmp(ns->v[i].path, path) == 0) {
            return &ns->v[i];
        }
    }
    return NULL;
}

static void forget(struct names *ns, const char *path)
{
    struct name *e = find(ns, path);
    if (e) {
        mem_free(e->path);
        unref(e->file);
        *e = ns->v[--ns->n];
    }
}

static void put(struct names *ns, const char *path, struct file *f)
{
    f->refs++;
    forget(ns, path);
    mem_grow((void **)&ns->v, &ns->cap, ns->n + 1, sizeof(*ns->v));
    ns->v[ns->n++] = (struct name){mem_strdup(path), f};
}

static void carry_out(struct names *ns, const struct move *m)
{
    if (m->from) {
        forget(ns, m->from);
    }
    if (m->to) {
        put(ns, m->to, m->file);
    }
}

static void note(struct crashdisk *d, const char *from, const char *to, struct file *f)
{
    mem_grow((void **)&d->journal, &d->journal_cap, d->journal_n + 1, sizeof(*d->journal));
    f->refs++;
    struct move m = {from ? mem_strdup(from) : NULL, to ? mem_strdup(to) : NULL, f};
    carry_out(&d->seen, &m);
    d->journal[d->journal_n++] = m;
}

static void drop_move(struct move *m)
{
    mem_free(m->from);
    mem_free(m->to);
    unref(m->file);
}

static void set_size(struct buf *b, uint64_t size)
{
    if (size > b->n) {
        size_t more = (size_t)size - b->n;
        memset(buf_reserve(b, more), 0, more);
    }
    b->n = (size_t)size;
}

static void write_at(struct buf *b, uint64_t off, const void *p, size_t n)
{
    if (off + n > b->n) {
        set_size(b, off + n);
    }
    if (n) {
        memcpy(b->p + off, p, n);
    }
}

static bool in_dir(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && path[n] == '/' && strchr(path + n + 1, '/') == NULL;
}

// ---- life ------------------------------------------------------------------------------------

struct crashdisk *crashdisk_new(struct rng *rng)
{
    struct crashdisk *d = mem_zalloc(sizeof(*d));
    d->rng = rng;
    d->capacity = UINT64_MAX;
    return d;
}

static void clear(struct names *ns)
{
    while (ns->n) {
        forget(ns, ns->v[ns->n - 1].path);
    }
}

static void close_all(struct crashdisk *d)
{
    for (int i = 0; i < FDS_MAX; i++) {
        if (d->fds[i]) {
            unref(d->fds[i]);
            d->fds[i] = NULL;
        }
    }
    for (int i = 0; i < LOCKS_MAX; i++) {
        mem_free(d->locks[i]);
        d->locks[i] = NULL;
    }
}

void crashdisk_free(struct crashdisk **dp)
{
    struct crashdisk *d = *dp;
    *dp = NULL;
    close_all(d);
    for (size_t i = 0; i < d->journal_n; i++) {
        drop_move(&d->journal[i]);
    }
    clear(&d->seen);
    clear(&d->synced);
    mem_free(d->seen.v);
    mem_free(d->synced.v);
    mem_free(d->journal);
    mem_free(d);
}

// ---- power cut -------------------------------------------------------------------------------

// How much of what was not synced survives: nothing, everything, or sector by sector.
enum luck { LUCK_NONE, LUCK_ALL, LUCK_MIXED };

static enum luck draw_luck(struct crashdisk *d)
{
    uint64_t x = rng_below(d->rng, 10);
    return x < 3 ? LUCK_NONE : x < 5 ? LUCK_ALL : LUCK_MIXED;
}

static void survive_write(struct crashdisk *d, struct file *f, const struct change *c,
                          enum luck luck)
{
    uint64_t end = c->off + c->data.n;
    for (uint64_t at = c->off; at < end;) {
        uint64_t stop = (at / SECTOR + 1) * SECTOR;
        stop = stop < end ? stop : end;
        if (luck == LUCK_ALL || rng_chance(d->rng, 1, 2)) {
            write_at(&f->synced, at, c->data.p + (at - c->off), (size_t)(stop - at));
        }
        at = stop;
    }
}

static void survive(struct crashdisk *d, struct file *f)
{
    enum luck luck = draw_luck(d);
    for (size_t i = 0; i < f->changes_n && luck != LUCK_NONE; i++) {
        const struct change *c = &f->changes[i];
        if (c->is_truncate) {
            if (luck == LUCK_ALL || rng_chance(d->rng, 1, 2)) {
                set_size(&f->synced, c->off);
            }
        } else {
            survive_write(d, f, c, luck);
        }
    }
    // The size is on its own way to the disk.
    if (luck == LUCK_MIXED && f->seen.n > f->synced.n && rng_chance(d->rng, 1, 2)) {
        set_size(&f->synced, f->seen.n);
    }
    drop_changes(f, f->changes_n);
    f->seen.n = 0;
    buf_put_slice(&f->seen, buf_slice(&f->synced));
}

static void survive_names(struct crashdisk *d)
{
    bool ordered = rng_chance(d->rng, 1, 2); // as a journalling file system would
    size_t keep = (size_t)rng_below(d->rng, d->journal_n + 1);
    for (size_t i = 0; i < d->journal_n; i++) {
        if (ordered ? i < keep : rng_chance(d->rng, 1, 2)) {
            carry_out(&d->synced, &d->journal[i]);
        }
    }
    for (size_t i = 0; i < d->journal_n; i++) {
        drop_move(&d->journal[i]);
    }
    d->journal_n = 0;
    clear(&d->seen);
    for (size_t i = 0; i < d->synced.n; i++) {
        put(&d->seen, d->synced.v[i].path, d->synced.v[i].file);
    }
}

void crashdisk_down(struct crashdisk *d, bool power)
{
    d->down = true;
    d->crash_after = 0;
    close_all(d);
    if (!power) {
        return;
    }
    survive_names(d);
    for (size_t i = 0; i < d->seen.n; i++) {
        survive(d, d->seen.v[i].file);
    }
}

void crashdisk_up(struct crashdisk *d)
{
    d->down = false;
}

bool crashdisk_is_down(const struct crashdisk *d)
{
    return d->down;
}

// ---- settings --------------------------------------------------------------------------------

void crashdisk_crash_after(struct crashdisk *d, uint64_t ops)
{
    d->crash_after = ops;
}

void crashdisk_set_capacity(struct crashdisk *d, uint64_t bytes)
{
    d->capacity = bytes;
}

bool crashdisk_refused(struct crashdisk *d)
{
    bool r = d->refused;
    d->refused = false;
    return r;
}

void crashdisk_set_errors(struct crashdisk *d, uint32_t one_in)
{
    d->errors_one_in = one_in;
}

void crashdisk_set_lying(struct crashdisk *d, bool lying)
{
    d->lying = lying;
}

uint64_t crashdisk_used(const struct crashdisk *d)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < d->seen.n; i++) {
        sum += d->seen.v[i].file->seen.n;
    }
    return sum;
}

// ---- calls -----------------------------------------------------------------------------------

// Every call comes through here: the machine may be down, or go down now.
static enum err enter(struct crashdisk *d)
{
    if (d->crash_after && --d->crash_after == 0) {
        d->down = true;
    }
    if (d->down) {
        return ERR_CRASHED;
    }
    return d->errors_one_in && rng_chance(d->rng, 1, d->errors_one_in) ? ERR_IO : ERR_OK;
}

static struct file *at(struct crashdisk *d, int fd)
{
    must(fd >= FIRST_FD && fd < FIRST_FD + FDS_MAX);
    must(d->fds[fd - FIRST_FD]);
    return d->fds[fd - FIRST_FD];
}

static void change(struct file *f, struct change c)
{
    mem_grow((void **)&f->changes, &f->changes_cap, f->changes_n + 1, sizeof(*f->changes));
    f->changes[f->changes_n++] = c;
}

static void resize(struct file *f, uint64_t size)
{
    set_size(&f->seen, size);
    change(f, (struct change){.off = size, .is_truncate = true});
}

enum err crashdisk_open(struct crashdisk *d, const char *path, unsigned flags, int *fd)
{
    enum err e = enter(d);
    if (e) {
        return e;
    }
    struct name *n = find(&d->seen, path);
    if (!n && !(flags & ENV_OPEN_CREATE)) {
        return ERR_NOTFOUND;
    }
    if (n && (flags & ENV_OPEN_EXCL)) {
        return ERR_EXISTS;
    }
    struct file *f = n ? n->file : mem_zalloc(sizeof(*f));
    if (!n) {
        note(d, NULL, path, f);
    } else if ((flags & ENV_OPEN_TRUNC) && f->seen.n) {
        resize(f, 0);
    }
    for (int i = 0; i < FDS_MAX; i++) {
        if (!d->fds[i]) {
            d->fds[i] = f;
            f->refs++;
            *fd = i + FIRST_FD;
            return ERR_OK;
        }
    }
    return ERR_LIMIT;
}

void crashdisk_close(struct crashdisk *d, int fd)
{
    // After a crash the descriptors are gone already; programs may still tidy up behind them.
    if (d->down && !d->fds[fd - FIRST_FD]) {
        return;
    }
    unref(at(d, fd));
    d->fds[fd - FIRST_FD] = NULL;
}

enum err crashdisk_size(struct crashdisk *d, int fd, uint64_t *size)
{
    enum err e = enter(d);
    if (!e) {
        *size = at(d, fd)->seen.n;
    }
    return e;
}

enum err crashdisk_read(struct crashdisk *d, int fd, uint64_t off, void *p, size_t n, size_t *got)
{
    enum err e = enter(d);
    *got = 0;
    if (e) {
        return e;
    }
    struct file *f = at(d, fd);
    if (off < f->seen.n) {
        *got = n < f->seen.n - off ? n : (size_t)(f->seen.n - off);
        memcpy(p, f->seen.p + off, *got);
    }
    return ERR_OK;
}

enum err crashdisk_write(struct crashdisk *d, int fd, uint64_t off, const void *p, size_t n)
{
    bool was_up = !d->down;
    enum err e = enter(d);
    if (e == ERR_CRASHED && !was_up) {
        return e;
    }
    struct file *f = at(d, fd);
    uint64_t used = crashdisk_used(d);
    uint64_t end = off + n;
    size_t take = n;
    if (e) {
        take = (size_t)rng_below(d->rng, n + 1); // the call that fails has done some of its work
    } else if (end > f->seen.n && used + (end - f->seen.n) > d->capacity) {
        uint64_t room = d->capacity > used ? d->capacity - used : 0;
        uint64_t fits = f->seen.n + room > off ? f->seen.n + room - off : 0;
        take = (size_t)fits < n ? (size_t)fits : n;
        d->refused = true;
        e = ERR_NOSPACE;
    }
    if (take) {
        write_at(&f->seen, off, p, take);
        struct change c = {.off = off};
        buf_put(&c.data, p, take);
        change(f, c);
    }
    return e;
}

enum err crashdisk_sync(struct crashdisk *d, int fd)
{
    enum err e = enter(d);
    struct file *f = e == ERR_CRASHED ? NULL : at(d, fd);
    if (e || d->lying) {
        return e;
    }
    for (size_t i = 0; i < f->changes_n; i++) {
        const struct change *c = &f->changes[i];
        if (c->is_truncate) {
            set_size(&f->synced, c->off);
        } else {
            write_at(&f->synced, c->off, c->data.p, c->data.n);
        }
    }
    drop_changes(f, f->changes_n);
    must(f->synced.n == f->seen.n);
    return ERR_OK;
}

enum err crashdisk_truncate(struct crashdisk *d, int fd, uint64_t size)
{
    enum err e = enter(d);
    if (e) {
        return e;
    }
    struct file *f = at(d, fd);
    if (size > f->seen.n && crashdisk_used(d) + (size - f->seen.n) > d->capacity) {
        d->refused = true;
        return ERR_NOSPACE;
    }
    resize(f, size);
    return ERR_OK;
}

enum err crashdisk_rename(struct crashdisk *d, const char *from, const char *to)
{
    enum err e = enter(d);
    if (e) {
        return e;
    }
    struct name *n = find(&d->seen, from);
    if (!n) {
        return ERR_NOTFOUND;
    }
    note(d, from, to, n->file);
    return ERR_OK;
}

enum err crashdisk_unlink(struct crashdisk *d, const char *path)
{
    enum err e = enter(d);
    if (e) {
        return e;
    }
    struct name *n = find(&d->seen, path);
    if (!n) {
        return ERR_NOTFOUND;
    }
    note(d, path, NULL, n->file);
    return ERR_OK;
}

enum err crashdisk_sync_dir(struct crashdisk *d, const char *dir)
{
    enum err e = enter(d);
    if (e || d->lying) {
        return e;
    }
    size_t kept = 0;
    for (size_t i = 0; i < d->journal_n; i++) {
        struct move *m = &d->journal[i];
        if (in_dir(m->to ? m->to : m->from, dir)) {
            carry_out(&d->synced, m);
            drop_move(m);
        } else {
            d->journal[kept++] = *m;
        }
    }
    d->journal_n = kept;
    return ERR_OK;
}

void crashdisk_each(struct crashdisk *d, const char *dir,
                    void (*each)(void *ctx, const char *name, uint64_t size), void *ctx)
{
    for (size_t i = 0; i < d->seen.n; i++) {
        if (in_dir(d->seen.v[i].path, dir)) {
            each(ctx, d->seen.v[i].path + strlen(dir) + 1, d->seen.v[i].file->seen.n);
        }
    }
}

enum err crashdisk_list(struct crashdisk *d, const char *dir,
                        void (*each)(void *ctx, const char *name, uint64_t size), void *ctx)
{
    enum err e = enter(d);
    if (!e) {
        crashdisk_each(d, dir, each, ctx);
    }
    return e;
}

enum err crashdisk_lock(struct crashdisk *d, const char *path)
{
    int fd;
    enum err e = crashdisk_open(d, path, ENV_OPEN_WRITE | ENV_OPEN_CREATE, &fd);
    if (e) {
        return e;
    }
    crashdisk_close(d, fd);
    for (int i = 0; i < LOCKS_MAX; i++) {
        if (!d->locks[i]) {
            d->locks[i] = mem_strdup(path);
            return ERR_OK;
        }
        if (strcmp(d->locks[i], path) == 0) {
            return ERR_BUSY;
        }
    }
    return ERR_LIMIT;
}

enum err crashdisk_free_space(struct crashdisk *d, uint64_t *bytes)
{
    enum err e = enter(d);
    if (!e) {
        uint64_t used = crashdisk_used(d);
        uint64_t end = d->capacity == UINT64_MAX ? (uint64_t)1 << 40 : d->capacity;
        *bytes = end > used ? end - used : 0;
    }
    return e;
}

struct slice crashdisk_peek(struct crashdisk *d, const char *path)
{
    struct name *n = find(&d->seen, path);
    return n ? buf_slice(&n->file->seen) : SLICE_NULL;
}

void crashdisk_poke(struct crashdisk *d, const char *path, uint64_t off, uint8_t byte, size_t n)
{
    struct name *e = find(&d->seen, path);
    must(e && off + n <= e->file->seen.n);
    memset(e->file->seen.p + off, byte, n);
    must(off + n <= e->file->synced.n);
    memset(e->file->synced.p + off, byte, n);
}

static void lose_names(struct names *ns, const char *prefix)
{
    for (size_t i = ns->n; i-- > 0;) {
        if (strncmp(ns->v[i].path, prefix, strlen(prefix)) == 0) {
            forget(ns, ns->v[i].path); // whose place the last one takes, which was looked at
        }
    }
}

void crashdisk_lose(struct crashdisk *d, const char *prefix)
{
    lose_names(&d->seen, prefix);
    lose_names(&d->synced, prefix);
}
