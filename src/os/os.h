// SPDX-License-Identifier: Apache-2.0
//
// What the files of this folder share: struct env_uv and who of them does what.
//
//   env_uv.c   the loop, the clock, the timer, signals, the table of calls
//   sock.c     listeners and connections
//   dial.c     connections that begin here, names
//   lane.c     the threads that run jobs
//   file.c     file calls         sysinfo.c  facts for monitoring        stderr.c  log lines
#pragma once

#include <pthread.h>
#include <sys/queue.h>
#include <uv.h>

#include "env.h"
#include "os/env_uv.h"

struct conn;
struct listener;
struct dial;
struct resolver;
TAILQ_HEAD(conn_list, conn);
TAILQ_HEAD(dial_list, dial);

struct lane {
    struct env_uv *e;
    pthread_t thread;
    bool started;
    int nice;              // of its thread
    pthread_mutex_t mutex; // guards what follows
    pthread_cond_t wake;
    bool stop;
    bool idle; // waits for `wake`
    struct env_job **todo, **done;
    size_t todo_n, todo_cap, done_n, done_cap;
};

struct env_uv {
    struct env env; // first: a struct env * of ours is a struct env_uv *
    uv_loop_t loop;
    uv_prepare_t before_poll; // ends a batch: the user's turn
    uv_timer_t timer;
    uv_signal_t signals[2];
    uv_async_t job_done;
    const struct env_uv_user *user; // while it runs
    bool clock_stale;               // env.now is of an earlier batch
    bool turn_due;
    unsigned events_n; // of this batch

    bool timer_set, timer_armed;
    struct mono timer_at, timer_armed_at;

    // sock.c
    struct conn **conns; // by number; NULL: free
    size_t conns_cap;
    uint32_t conns_used; // numbers given out so far
    uint32_t *free_ids;
    size_t free_ids_n, free_ids_cap;
    struct listener **listeners;
    size_t listeners_n, listeners_cap;
    struct conn_list leaving; // closed by us, not yet gone; oldest first
    uv_timer_t reaper;        // runs while `leaving` is not empty
    uv_timer_t accept_again;  // runs while there are no descriptors for new connections
    struct mono accept_warned;
    uint8_t *page; // what a read brings; one for all connections

    // dial.c
    struct dial_list dials; // not yet answered
    struct resolver *resolver;
    uv_async_t resolved;

    // file.c
    int *locks;
    size_t locks_n, locks_cap;

    struct lane lanes[ENV_LANES];
    struct env_job **done; // being delivered
    size_t done_n, done_cap;
};

static inline struct env_uv *env_uv_of(struct env *e)
{
    return (struct env_uv *)e;
}

// env_uv.c: hands an event to the user; fills in the time.
void env_uv_emit(struct env_uv *e, struct env_event *ev);
void env_uv_refresh_clock(struct env_uv *e);

// sock.c
void sock_init(struct env_uv *e);
void sock_fini(struct env_uv *e); // closes all; the loop must run once more
void sock_free(struct env_uv *e); // after that
enum err sock_listen(struct env *env, const struct net_addr *at, int backlog, uint32_t *listener,
                     struct net_addr *bound);
void sock_unlisten(struct env *env, uint32_t listener);
size_t sock_send(struct env *env, uint32_t conn, struct buf *b);
void sock_close(struct env *env, uint32_t conn);
void sock_pause(struct env *env, uint32_t conn, bool paused);
// A connected socket becomes a connection; returns its number. 0: impossible, the socket is closed.
uint32_t sock_adopt(struct env_uv *e, int fd);
// Descriptors at or above this are not for connections.
int sock_first_reserved_fd(void);

// dial.c
void dial_init(struct env_uv *e);
void dial_fini(struct env_uv *e); // forgets all; the loop must run once more
void dial_begin(struct env *env, uint64_t dial, const struct env_target *to, size_t n,
                int32_t timeout_ms);
void dial_forget(struct env *env, uint64_t dial);
enum err dial_resolve(struct env *env, struct slice host, struct net_addr *addr);

// lane.c
enum err lane_start(struct lane *l, struct env_uv *e, int nice);
void lane_stop(struct lane *l); // runs what is queued, then joins
void lane_put(struct lane *l, struct env_job *job);
// Core thread: swaps the finished jobs into *done.
void lane_take_done(struct lane *l, struct env_job ***done, size_t *n, size_t *cap);

// file.c
enum err file_open(struct env *env, const char *path, unsigned flags, int *fd);
void file_close(struct env *env, int fd);
enum err file_size(struct env *env, int fd, uint64_t *size);
enum err file_read(struct env *env, int fd, uint64_t off, void *p, size_t n, size_t *got);
enum err file_write(struct env *env, int fd, uint64_t off, const void *p, size_t n);
enum err file_sync(struct env *env, int fd);
enum err file_truncate(struct env *env, int fd, uint64_t size);
enum err file_rename(struct env *env, const char *from, const char *to);
enum err file_unlink(struct env *env, const char *path);
enum err file_make_dir(struct env *env, const char *path);
enum err file_sync_dir(struct env *env, const char *path);
enum err file_list(struct env *env, const char *dir,
                   void (*each)(void *ctx, const char *name, uint64_t size), void *ctx);
enum err file_lock(struct env *env, const char *path);
enum err file_free_space(struct env *env, const char *dir, uint64_t *bytes);
void file_fini(struct env_uv *e);

void sysinfo_get(struct env *env, struct env_sysinfo *info);

void stderr_write_line(void *ctx, enum log_level level, const char *line);
