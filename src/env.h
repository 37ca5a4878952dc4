// SPDX-License-Identifier: Apache-2.0
//
// struct env: everything a server touches outside its own memory, as one small table. Made once for
// Linux (os/env_uv.c) and once for the simulator (sim/), so the whole server runs in either.
//
// Two kinds of calls:
// - The core thread's calls (network, timer, jobs) only enqueue. What comes of them arrives later
// as a
//   struct env_event at the server's step function, never from inside a call.
// - File calls block and return their result. They may be made only before the event loop runs
//   (recovery) or inside a job. A job is straight-line disk work; it runs on a lane, one job at a
//   time per lane, in order, off the core thread. Job memory belongs to the lane from env_job()
//   until its ENV_JOB_DONE arrives.
//
// Connections are small dense integers, used again only after their ENV_CLOSED was delivered. It
// makes no difference who began one.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mtime.h"
#include "base/slice.h"

// An IP address as bytes, network order; family 4 or 6, 0 for "any address".
struct net_addr {
    uint8_t family;
    uint8_t ip[16];
    uint16_t port;
};

// Where to connect to: a host name, or a literal without brackets.
struct env_target {
    struct slice host;
    uint16_t port;
};

struct env_job {
    void (*run)(struct env_job *job); // on the lane; may use file calls of job->env
    struct env *env;                  // set by env_job()
    void *owner;                      // for whoever gets ENV_JOB_DONE; env does not look at it
};

enum { ENV_TARGETS_MAX = 32 };

enum env_lane { ENV_LANE_LOG, ENV_LANE_BACKGROUND, ENV_LANES };

enum env_event_type {
    ENV_ACCEPT, // a connection came in on a listener
    ENV_DIALED, // a dial has become a connection
    ENV_DIAL_FAILED,
    ENV_DATA,     // bytes arrived; they are valid during the step only
    ENV_DRAINED,  // everything handed to env_send() on this connection has left
    ENV_CLOSED,   // the connection is gone, by the peer, by an error or by env_close()
    ENV_TIMER,    // the time given to env_timer() has come
    ENV_JOB_DONE, // a job has run
    ENV_STOP      // stop cleanly (SIGTERM, SIGINT)
};

struct env_event {
    enum env_event_type type;
    struct mono now;
    struct wall wall;
    uint32_t conn; // ACCEPT, DIALED, DATA, DRAINED, CLOSED
    union {
        struct {
            uint32_t listener;
            struct net_addr peer;
            struct net_addr local;
        } accept;
        struct {
            uint64_t dial;
            enum err why; // DIAL_FAILED: ERR_REFUSED (nobody listens, on any address), ERR_IO
        } dialed;
        struct slice data;
        enum err closed; // ERR_OK: the peer's or our own orderly end
        struct env_job *job;
    };
};

enum env_open {
    ENV_OPEN_READ = 0,
    ENV_OPEN_WRITE = 1,  // read and write
    ENV_OPEN_CREATE = 2, // create if missing
    ENV_OPEN_EXCL = 4,   // must not exist
    ENV_OPEN_TRUNC = 8
};

struct env_sysinfo {
    int64_t pid, open_fds, max_fds, mem_total, mem_free, mem_rss;
    char os_name[64], os_version[128], os_arch[64], host_name[256], user_name[64], user_home[256],
        user_dir[1024];
};

struct env_ops {
    // Network, core thread.
    // Listens; *listener names it in ENV_ACCEPT. backlog <= 0: the system's. Port 0: the system
    // picks; *bound is what it became.
    enum err (*listen)(struct env *e, const struct net_addr *at, int backlog, uint32_t *listener,
                       struct net_addr *bound);
    void (*unlisten)(struct env *e, uint32_t listener);
    // Connects to the first of the targets that answers: all at once, names resolved now, so one
    // that is dead or does not resolve delays no other. `dial` is the caller's name for it, not one
    // in use; ENV_DIALED or ENV_DIAL_FAILED follows, the latter after timeout_ms at the latest.
    // The targets are copied. n is at most ENV_TARGETS_MAX.
    void (*dial)(struct env *e, uint64_t dial, const struct env_target *to, size_t n,
                 int32_t timeout_ms);
    // Forgets a dial that has not been answered yet: nothing more is heard of it. Unknown: ignored.
    void (*undial)(struct env *e, uint64_t dial);
    // An own name's first address, blocking: for names of this machine only. Port is left alone.
    enum err (*resolve)(struct env *e, struct slice host, struct net_addr *addr);
    // Takes the bytes of *b (its storage may be swapped; *b is empty afterwards and may be used
    // again). Returns how many bytes, of this and earlier calls, still wait for the peer; if not 0,
    // an ENV_DRAINED will tell when it is 0. On a connection that env knows to be broken the bytes
    // are dropped (its ENV_CLOSED is on the way).
    size_t (*send)(struct env *e, uint32_t conn, struct buf *b);
    // Orderly close: what was sent goes out first (within a bound of the env's), then ENV_CLOSED.
    // No ENV_DATA comes after this call.
    void (*close)(struct env *e, uint32_t conn);
    // While paused no ENV_DATA comes. A closed peer may go unnoticed while paused.
    void (*pause)(struct env *e, uint32_t conn, bool paused);
    // One timer per server; a later call replaces the earlier.
    void (*timer)(struct env *e, struct mono at);
    void (*job)(struct env *e, enum env_lane lane, struct env_job *job);

    // Files, blocking; before the loop or inside a job. Paths are C strings. fds are small
    // integers.
    enum err (*file_open)(struct env *e, const char *path, unsigned flags, int *fd);
    void (*file_close)(struct env *e, int fd);
    enum err (*file_size)(struct env *e, int fd, uint64_t *size);
    // Reads up to n bytes; *got < n only at the end of the file.
    enum err (*file_read)(struct env *e, int fd, uint64_t off, void *p, size_t n, size_t *got);
    enum err (*file_write)(struct env *e, int fd, uint64_t off, const void *p,
                           size_t n);             // all of it
    enum err (*file_sync)(struct env *e, int fd); // data and the size needed to read it (fdatasync)
    enum err (*file_truncate)(struct env *e, int fd, uint64_t size);
    enum err (*rename)(struct env *e, const char *from, const char *to);
    enum err (*unlink)(struct env *e, const char *path);
    enum err (*make_dir)(struct env *e, const char *path); // with parents; existing is fine
    enum err (*sync_dir)(struct env *e,
                         const char *path); // makes creates, renames, unlinks durable
    // Calls each(ctx, name, size) for every regular file in a directory, in no order.
    enum err (*list)(struct env *e, const char *dir,
                     void (*each)(void *ctx, const char *name, uint64_t size), void *ctx);
    // Exclusive advisory lock on a file, made if missing, until process end: ERR_BUSY if another
    // process has it.
    enum err (*lock)(struct env *e, const char *path);
    enum err (*free_space)(struct env *e, const char *dir, uint64_t *bytes);

    // What time it is now, for measuring only: everything else goes by env.now. Any thread.
    struct mono (*clock)(struct env *e);
    void (*sysinfo)(struct env *e, struct env_sysinfo *info); // core thread; not a hot path
};

struct env {
    const struct env_ops *ops;
    struct logger log;
    uint64_t seed;    // random; the server's generators and hash seeds start from it
    struct mono now;  // kept current by the env before each event (core thread)
    struct wall wall; // the same
};
