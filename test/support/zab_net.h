// SPDX-License-Identifier: Apache-2.0
//
// The little world of zab_net_test.c: servers with a disk that is late, packets on their way,
// memberships, what was ever delivered, and the bugs that can be planted.
#pragma once

#include "base/mem.h"
#include "base/rng.h"
#include "fle/fle.h"
#include "zab/leader.h"
#include "zab/learner.h"

enum { SIDS = 7, LOG = 1200, OPS = 256, FLIGHTS = 8192, TICK_MS = 200, READ_PART = 25, TRIES = 12 };

enum plant {
    PLANT_NONE,
    PLANT_ACK_BEFORE_LOGGED,
    PLANT_EPOCH_BEFORE_HISTORY,
    PLANT_COMMIT_WITHOUT_QUORUM,
    PLANT_FORGOTTEN_TRUNC,
    PLANT_DIFF_OVER_A_GAP,
    PLANT_ACCEPTED_EPOCH_NOT_SAVED,
    PLANT_SNAPSHOT_NOT_DURABLE,
    PLANT_COMMITS_WITHOUT_ENTRIES,
    PLANT_OLD_QUORUM,          // a reconfiguration that only its old members acknowledge
    PLANT_COMMITS_AFTER_LEAVE, // a leader goes on behind a reconfiguration that names another
    PLANT_COUNT
};

enum { CONFIGS = 96, NET_NOBODY = -1 };

struct config { // of a membership, the zxid of its reconfiguration is its version
    struct members *m;
    struct buf text;
};

struct record {
    int64_t zxid, value; // negative: a reconfiguration, to the config of that number
};

struct state { // a snapshot on its way or on disk
    struct record log[LOG];
    size_t n;
};

enum op_type { OP_ACCEPTED, OP_CURRENT, OP_SYNC, OP_TRUNC, OP_SNAP, OP_DISK, OP_READ };

struct op {
    enum op_type type;
    struct mono at;
    int64_t zxid, sid; // zxid: or the epoch
    uint64_t tag;
};

struct server {
    struct fle *fle; // NULL: down
    struct leader *leader;
    struct learner *learner;
    struct history history;
    bool elected;
    enum note_state role;
    int64_t follows;

    struct record log[LOG]; // all of the history, in whatever form it is on disk
    size_t n, synced, applied;
    int64_t accepted, current; // durable
    int committed, seen;       // configs, durable
    int newleader;             // the one NEWLEADER named
    int64_t named;             // who leads by a reconfiguration, to be followed without an election
    int64_t named_zxid;
    bool handed_over;   // its role named another leader
    int tries;          // to reach its leader
    bool restart;       // the election begins anew
    bool leaderless;    // its connection has lost the other end
    struct state *snap; // came with SNAP, or NULL
    struct op ops[OPS];
    size_t ops_n;
    struct mono disk_free, up_at;
    int conn; // as a learner: number of its connection, 0: none
    bool dropped;
    bool snap_volatile; // planted: a snapshot that a crash takes away
};

struct flight {
    bool used, is_note, is_end;
    int from, to, conn; // conn 0: none, it is a note
    struct mono at;
    struct note note;
    struct zab_packet packet;
    struct state *snap;
    int config; // NEWLEADER
};

struct world {
    struct rng rng;
    struct mono now;
    struct config configs[CONFIGS];
    int configs_n;
    int n, voters;
    enum plant plant;
    const char *fault;
    struct server servers[SIDS];
    bool cut[SIDS][SIDS];
    struct flight flights[FLIGHTS];
    size_t flights_n;
    struct mono not_before[SIDS][SIDS];
    int conns;
    int64_t delay_max_ms, disk_max_ms;
    size_t keep;
    uint64_t propose_every;  // steps, on average
    uint64_t reconfig_every; // 0: never
    struct record truth[LOG];
    size_t truth_n;
    struct record proposed[LOG * 2];
    size_t proposed_n;
    int64_t values;
    int truncs, snaps, diffs, serves, reconfigs, activations, handovers;
};

// ---- zab_net.c: the servers ----

void net_fault(struct world *w, const char *what); // the first one counts
struct blob *net_blob(const struct record *r);
struct record net_record(int64_t zxid, const struct blob *txn);
void net_step(struct world *w, int s, struct role_event ev);
void net_elect(struct world *w, int s, struct fle_event ev);
void net_look(struct world *w, int s);
void net_land(struct flight *f);
void net_disconnect(struct world *w, int learner);
void net_crash(struct world *w, int s);
bool net_can_propose(const struct world *w, int s);
void net_propose_record(struct world *w, int s, int64_t value, const struct members *next);
void net_propose(struct world *w, int s);
void net_run(struct world *w, int64_t ms);

// ---- zab_net_config.c: their memberships ----

void net_first_config(struct world *w, int members); // the others are none
void net_configs_fini(struct world *w);
int net_config_of_version(const struct world *w, int64_t version);
struct slice net_committed_text(const struct world *w, const struct server *v);
void net_tell_members(struct world *w, int s, bool restart); // the election
void net_adopt(struct world *w, int s, int config);          // another server's is newer
void net_seen(struct world *w, int s, int config);
// Whether the role is over by that.
bool net_activate(struct world *w, int s, int config, int64_t designated);
void net_next_role(struct world *w, int s);
const struct members *net_first_version(struct world *w, int s, int64_t epoch); // NULL: it has one
void net_reconfigure(struct world *w, int s); // proposes some change
// What a leader commits is durable on quorums of the memberships that decide.
void net_check_commit(struct world *w, const struct server *v, const struct record *r);
