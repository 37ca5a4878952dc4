// SPDX-License-Identifier: Apache-2.0
//
// struct host: one machine: a crash disk, clocks, and at times a server process, for which it is
// the environment (struct env). It runs the real server code: node_new, node_step, node_turn.
//
// What happens to the server is queued in its inbox; a turn takes some of it, in order, then ends
// the round with node_turn. A paused process takes no turns. Jobs run at some moment between their
// submission and their ENV_JOB_DONE, one at a time per lane.
//
// A machine goes down in the middle of anything: from then on every file call fails, unfinished
// jobs end that way, their ends are delivered, and the node, whose output nobody sees any more, is
// freed.
#pragma once

#include "env.h"
#include "node/config.h"
#include "sim/clock.h"
#include "sim/crashdisk.h"
#include "sim/net.h"
#include "sim/trail.h"

enum {
    CONNS_MAX = 256,
    JOBS_MAX = 8,
    LISTENERS_MAX = 8,
    DIALS_MAX = 64,
    DIAL_TO_MAX = 8,
    PORT_CLIENT = 2181,
    PORT_QUORUM = 2888,
    PORT_OBSERVERS = 2191,
    PORT_ELECTION = 3888
};

// The first five are of a link.
enum inbox_kind {
    INBOX_ACCEPT,
    INBOX_DIALED,
    INBOX_READ,
    INBOX_DRAINED,
    INBOX_CLOSED,
    INBOX_DIAL_FAILED,
    INBOX_TIMER,
    INBOX_JOB,
    INBOX_STOP
};

struct inbox_item {
    enum inbox_kind kind;
    uint32_t link;
    enum side side; // this host's of the link
    uint64_t gen;   // of the link
    uint64_t dial;  // DIALED, DIAL_FAILED: its gen
    enum err err;
    struct env_job *job;
};

struct host_conn {
    uint32_t link; // LINK_NONE: this number is free
    enum side side;
};

struct listener {
    bool open;
    uint16_t port;
};

// A dial is in place until its answer is delivered; a gen of 0 is a free place.
struct dial {
    uint64_t gen, name;
    int64_t until_ns;
    struct {
        uint32_t host;
        uint16_t port;
    } to[DIAL_TO_MAX];
    size_t to_n;
};

struct lane {
    struct env_job *jobs[JOBS_MAX];
    uint32_t n;
    bool busy; // jobs[0] is scheduled to run, or has run
    bool ran;
};

struct node;
struct world;

struct host {
    struct env env; // first: the server's pointer to its environment is the host
    struct world *w;
    uint32_t index;
    struct crashdisk *disk;
    struct clock clock;
    struct config cfg;
    struct node *node; // NULL: not running
    uint64_t boot;     // generation of everything that dies with the process
    bool dropping, turn_due, stopping;
    int64_t stop_since_ns, booted_ns;
    int64_t paused_until_ns, paused_total_ns;
    bool pause_counts; // the pause is part of paused_total_ns
    struct inbox_item *inbox;
    size_t inbox_n, inbox_cap;
    struct host_conn conns[CONNS_MAX];
    struct listener listeners[LISTENERS_MAX];
    struct dial dials[DIALS_MAX];
    uint64_t dials_begun;
    struct lane lanes[ENV_LANES];
    int64_t job_delay_ns, stuck_until_ns;
    uint64_t timer_gen;
    bool may_fail;       // an injected error may have stopped the server
    bool kill_only;      // what stops the file calls is the end of the process, not of power
    bool rotten;         // a snapshot was spoiled
    bool full_now;       // its disk has a limit
    int64_t full_end_ns; // when the last limit was lifted
    struct trail trail;  // what it serves, beside the committed history
    struct buf scratch;
    uint64_t turns, boots;
};

struct host *host_new(struct world *w, uint32_t index);
void host_free(struct host **h);
void host_boot(struct host *h);
void host_down(struct host *h, bool power);
void host_boot_later(struct host *h, int64_t in_ns);
void host_stop(struct host *h); // SIGTERM

void host_post(struct host *h, struct inbox_item item);
struct env_event host_event(const struct host *h, enum env_event_type type);
// unseen: its monotonic clock stands still, as in a machine that is suspended.
void host_pause(struct host *h, int64_t for_ns, bool unseen);
// Time without the long pauses of any server: what sessions may be silent in.
int64_t hosts_awake_ns(const struct world *w);

// hostnet.c: the network as this host's server has it.
void host_net_reset(struct host *h);
void host_net_down(struct host *h, bool power);  // every connection ends with the process
bool host_accept(struct host *h, uint32_t link); // false: nobody listens
void host_deliver_link(struct host *h, const struct inbox_item *it);
void host_deliver_dial_failed(struct host *h, const struct inbox_item *it);
void host_dial(struct host *h, uint64_t name, const struct env_target *to, size_t n,
               int32_t timeout_ms);
void host_undial(struct host *h, uint64_t name);
void host_on_dial(struct host *h, uint64_t gen); // from the scheduler: it arrives, or tries again
bool host_resolve(const struct world *w, struct slice name, uint32_t *index);
struct net_addr host_addr(uint32_t index, uint16_t port);

// From the scheduler.
void host_on_turn(struct host *h);
void host_on_timer(struct host *h);
void host_on_job_run(struct host *h, enum env_lane lane);
void host_on_job_done(struct host *h, enum env_lane lane);

extern const struct env_ops host_env_ops; // hostenv.c
