// SPDX-License-Identifier: Apache-2.0
//
// What the files of the leader share: its state, and one record per connected learner.
#pragma once

#include "zab/acts.h"
#include "zab/catchup.h"
#include "zab/epoch.h"
#include "zab/leader.h"
#include "zab/proposals.h"

enum leader_phase {
    LEADER_DISCOVERY,
    LEADER_ACCEPTING,
    LEADER_PROMISES,
    LEADER_CURRENT,
    LEADER_SYNC,
    LEADER_BROADCAST,
    LEADER_OVER
};

enum peer_phase {
    PEER_CONNECTED,
    PEER_JOINED,
    PEER_TOLD,
    PEER_PROMISED,
    PEER_SYNCING,
    PEER_OFFERED,
    PEER_ACKED,
    PEER_LIVE
};

struct peer {
    int64_t sid;
    enum peer_phase phase;
    bool observer;
    int64_t accepted; // epoch, as it said
    struct catchup catchup;
    int64_t acked;                // the last proposal it acknowledged; 0: none
    int64_t commit_sent;          // and the COMMITs up to this one
    struct mono deadline;         // its next packet
    struct mono since[2];         // oldest and newest proposal without ACK: since when
    int64_t unacked[2];           // and which; 0: none
    uint64_t pings, pongs, proof; // leader_confirm.c
};

struct pending_sync {
    int64_t sid, zxid; // answered when zxid is committed ...
    uint64_t round;    // ... and this round confirmed
    uint64_t tag;
};

enum { LEADER_OWN_MEMBERS = 3, LEADER_HINTS = 256 };

struct leader {
    struct role_settings s; // `committed` goes on to what is activated
    struct quorum quorum;   // of what is proposed now: see leader_members.c
    struct members *own[LEADER_OWN_MEMBERS];
    size_t own_at;
    int64_t reconfig;   // its zxid, while it is outstanding
    int64_t designated; // who leads by the membership activated last; another one: nothing commits
    int64_t *activated; // reconfigurations whose COMMIT some learner has yet to be sent
    size_t activated_n, activated_cap;
    struct history *history;
    enum leader_phase phase;
    struct epoch epoch;
    struct quorum_acks newleader;
    struct proposals proposals;
    struct mono now, deadline, next_ping, next_look;
    struct peer *peers;
    size_t peers_n, peers_cap;
    uint32_t hints[LEADER_HINTS]; // by the low bits of a sid: where it was among the peers
    bool pin_stale;               // who is read from the log, or how far, has changed
    struct pending_sync *syncs;   // [syncs_at, syncs_n), in zxid order
    size_t syncs_at, syncs_n, syncs_cap;
    uint64_t round, round_wanted, confirmed; // leader_confirm.c
    uint64_t questions;
    int refusals; // by voters that have accepted a later epoch
    struct acts acts;
};

void leader_step_down(struct leader *l, const char *why);
void leader_drop(struct leader *l, struct peer *p, const char *why);
struct mono leader_limit(const struct leader *l, int64_t ticks);

// leader_members.c: who counts, and who leads on.
void leader_members_init(struct leader *l, const struct members *last_seen);
void leader_members_fini(struct leader *l);
void leader_members_seen(struct leader *l, const struct members *m); // 8.5: before NEWLEADER
void leader_members_serve(struct leader *l);
void leader_members_propose(struct leader *l, const struct members *next, int64_t zxid);
void leader_members_commit(struct leader *l, const struct proposal *p);

// leader_confirm.c: whether this is still the leader.
void leader_ping(struct leader *l, struct peer *p);
void leader_confirm_live(struct leader *l, struct peer *p);
void leader_confirm_pong(struct leader *l, struct peer *p);
uint64_t leader_confirm_for(struct leader *l,
                            int64_t sid); // the round that a sync of sid waits for

// leader_sync.c: from PROMISED to OFFERED.
void leader_sync_begin(struct leader *l, struct peer *p);
void leader_sync_on_disk(struct leader *l, struct peer *p, const struct role_event *ev);
void leader_sync_on_history(struct leader *l, struct peer *p, const struct role_event *ev);
