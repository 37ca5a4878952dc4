// SPDX-License-Identifier: Apache-2.0
//
// What the files of the leader share: its state, and one record per connected learner.
#pragma once

#include "zab/acts.h"
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
    int64_t last_zxid;    // as it said
    uint64_t asked;       // tag of its last question to the disk; answers to others are late ones
    int64_t read_to;      // the log is being read for it up to here, or further
    int64_t sent;         // everything up to it is queued
    int64_t commit_sent;  // and the COMMITs up to this one
    struct mono deadline; // its next packet
    struct mono since[2]; // oldest and newest proposal without ACK: since when
    int64_t unacked[2];   // and which; 0: none
};

struct pending_sync {
    int64_t sid, zxid; // answered when zxid is committed
    uint64_t tag;
};

struct leader {
    struct role_settings s;
    struct quorum quorum; // committed, and last seen if it is newer
    struct history *history;
    enum leader_phase phase;
    struct epoch epoch;
    struct quorum_acks newleader;
    struct proposals proposals;
    struct mono now, deadline, next_ping, next_look;
    struct peer *peers;
    size_t peers_n, peers_cap;
    struct pending_sync *syncs;
    size_t syncs_n, syncs_cap;
    uint64_t questions;
    struct acts acts;
};

void leader_step_down(struct leader *l, const char *why);
void leader_drop(struct leader *l, struct peer *p, const char *why);
struct mono leader_limit(const struct leader *l, int64_t ticks);

// leader_sync.c: from PROMISED to OFFERED.
void leader_sync_begin(struct leader *l, struct peer *p);
void leader_sync_on_disk(struct leader *l, struct peer *p, const struct role_event *ev);
void leader_sync_on_history(struct leader *l, struct peer *p, const struct role_event *ev);
