// SPDX-License-Identifier: Apache-2.0
//
// The table of calls a server makes to its environment, on a simulated host. Nothing here decides:
// network calls go to the links, file calls to the crash disk, jobs and timer to the scheduler.
#include <stdio.h>

#include "sim/host.h"
#include "sim/plant.h"
#include "sim/tamper.h"
#include "sim/world.h"

static struct host *of(struct env *e)
{
    return (struct host *)(void *)e;
}

static const struct host_conn *conn_of(const struct host *h, uint32_t conn)
{
    must(conn < CONNS_MAX && h->conns[conn].link != LINK_NONE);
    return &h->conns[conn];
}

static enum err env_listen(struct env *e, const struct net_addr *at, int backlog,
                           uint32_t *listener, struct net_addr *bound)
{
    struct host *h = of(e);
    uint32_t free = LISTENERS_MAX;
    (void)backlog;
    for (uint32_t i = 0; i < LISTENERS_MAX; i++) {
        if (!h->listeners[i].open) {
            free = i < free ? i : free;
        } else if (h->listeners[i].port == at->port) {
            return ERR_BUSY;
        }
    }
    must(free < LISTENERS_MAX);
    h->listeners[free] = (struct listener){true, at->port};
    *listener = free;
    *bound = *at;
    return ERR_OK;
}

static void env_unlisten(struct env *e, uint32_t listener)
{
    must(listener < LISTENERS_MAX);
    of(e)->listeners[listener].open = false;
}

static void env_dial(struct env *e, uint64_t dial, const struct env_target *to, size_t n,
                     int32_t timeout_ms)
{
    host_dial(of(e), dial, to, n, timeout_ms);
}

static void env_undial(struct env *e, uint64_t dial)
{
    host_undial(of(e), dial);
}

static enum err env_resolve(struct env *e, struct slice host, struct net_addr *addr)
{
    uint32_t index;
    if (!host_resolve(of(e)->w, host, &index)) {
        return ERR_NOTFOUND;
    }
    *addr = host_addr(index, addr->port);
    return ERR_OK;
}

static size_t env_send(struct env *e, uint32_t conn, struct buf *b)
{
    struct host *h = of(e);
    size_t unsent = 0;
    if (!h->dropping) {
        const struct host_conn *c = conn_of(h, conn);
        unsent = tamper_send(h->w, c->link, c->side, b);
    }
    buf_clear(b);
    return unsent;
}

static void env_close(struct env *e, uint32_t conn)
{
    struct host *h = of(e);
    if (!h->dropping) {
        report_line(&h->w->report, "host %u closes conn %u", h->index, conn);
        net_close(h->w, conn_of(h, conn)->link, conn_of(h, conn)->side);
    }
}

static void env_pause(struct env *e, uint32_t conn, bool paused)
{
    struct host *h = of(e);
    if (!h->dropping) {
        report_line(&h->w->report, "host %u %s conn %u", h->index,
                    paused ? "stops reading" : "reads again from", conn);
        net_pause(h->w, conn_of(h, conn)->link, conn_of(h, conn)->side, paused);
    }
}

static void env_timer(struct env *e, struct mono at)
{
    struct host *h = of(e);
    struct world *w = h->w;
    if (h->dropping || (w->opt.plant == PLANT_NO_EXPIRY && w->now_ns > 5 * SIM_S)) {
        return;
    }
    int64_t in = (at.ns - clock_mono(&h->clock, w->now_ns).ns) / h->clock.speed * 100;
    h->timer_gen++;
    world_later(w, in > 0 ? in : 0,
                (struct sched_event){.kind = SCHED_TIMER, .a = h->index, .gen = h->timer_gen});
}

static void env_job(struct env *e, enum env_lane lane, struct env_job *job)
{
    struct host *h = of(e);
    struct lane *l = &h->lanes[lane];
    must(l->n < JOBS_MAX);
    job->env = e;
    l->jobs[l->n++] = job;
    if (!l->busy && !h->dropping) {
        host_on_job_done(h, lane); // starts the first waiting one
    }
}

static enum err env_file_open(struct env *e, const char *path, unsigned flags, int *fd)
{
    return crashdisk_open(of(e)->disk, path, flags, fd);
}

static void env_file_close(struct env *e, int fd)
{
    crashdisk_close(of(e)->disk, fd);
}

static enum err env_file_size(struct env *e, int fd, uint64_t *size)
{
    return crashdisk_size(of(e)->disk, fd, size);
}

static enum err env_file_read(struct env *e, int fd, uint64_t off, void *p, size_t n, size_t *got)
{
    return crashdisk_read(of(e)->disk, fd, off, p, n, got);
}

static enum err env_file_write(struct env *e, int fd, uint64_t off, const void *p, size_t n)
{
    return crashdisk_write(of(e)->disk, fd, off, p, n);
}

static enum err env_file_sync(struct env *e, int fd)
{
    return crashdisk_sync(of(e)->disk, fd);
}

static enum err env_file_truncate(struct env *e, int fd, uint64_t size)
{
    return crashdisk_truncate(of(e)->disk, fd, size);
}

static enum err env_rename(struct env *e, const char *from, const char *to)
{
    return crashdisk_rename(of(e)->disk, from, to);
}

static enum err env_unlink(struct env *e, const char *path)
{
    return crashdisk_unlink(of(e)->disk, path);
}

static enum err env_make_dir(struct env *e, const char *path)
{
    (void)path; // folders are always there and durable: the crash disk has only files
    return crashdisk_is_down(of(e)->disk) ? ERR_CRASHED : ERR_OK;
}

static enum err env_sync_dir(struct env *e, const char *path)
{
    return crashdisk_sync_dir(of(e)->disk, path);
}

static enum err env_list(struct env *e, const char *dir,
                         void (*each)(void *ctx, const char *name, uint64_t size), void *ctx)
{
    return crashdisk_list(of(e)->disk, dir, each, ctx);
}

static enum err env_lock(struct env *e, const char *path)
{
    return crashdisk_lock(of(e)->disk, path);
}

static enum err env_free_space(struct env *e, const char *dir, uint64_t *bytes)
{
    (void)dir;
    return crashdisk_free_space(of(e)->disk, bytes);
}

static struct mono env_clock(struct env *e)
{
    return e->now;
}

static void env_sysinfo(struct env *e, struct env_sysinfo *info)
{
    *info = (struct env_sysinfo){.pid = 1, .open_fds = 8, .max_fds = 1024};
    snprintf(info->os_name, sizeof(info->os_name), "Simulated");
    snprintf(info->host_name, sizeof(info->host_name), "host%u", of(e)->index);
}

const struct env_ops host_env_ops = {
    .listen = env_listen,
    .unlisten = env_unlisten,
    .dial = env_dial,
    .undial = env_undial,
    .resolve = env_resolve,
    .send = env_send,
    .close = env_close,
    .pause = env_pause,
    .timer = env_timer,
    .job = env_job,
    .file_open = env_file_open,
    .file_close = env_file_close,
    .file_size = env_file_size,
    .file_read = env_file_read,
    .file_write = env_file_write,
    .file_sync = env_file_sync,
    .file_truncate = env_file_truncate,
    .rename = env_rename,
    .unlink = env_unlink,
    .make_dir = env_make_dir,
    .sync_dir = env_sync_dir,
    .list = env_list,
    .lock = env_lock,
    .free_space = env_free_space,
    .clock = env_clock,
    .sysinfo = env_sysinfo,
};
