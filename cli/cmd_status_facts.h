// SPDX-License-Identifier: Apache-2.0
//
// What servers tell about themselves by srvr, mntr, conf and cons, Reeve's and Apache's from 3.5
// on: text in, numbers out. Pure. What a server does not say stays -1 or "".
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FACTS_ERRORS_MAX = 8, FACTS_MEMBERS_MAX = 64 };

struct facts {
    bool serving;      // srvr or mntr gave a mode
    char mode[24];     // leader follower observer standalone read-only
    char version[64];  // "3.9.5"
    char said[160];    // if it does not serve: what it said instead
    int64_t sid, zxid; // -1: not said
    int64_t received, sent, connections, outstanding, nodes;
    double latency_min, latency_avg, latency_max; // ms
    int64_t watches, ephemerals, data_bytes, uptime_ms, synced_followers, learners;
    int64_t reads, updates;      // answered, from mntr
    double reads_ms, updates_ms; // all their latencies together
    int64_t errors;              // sum of those below
    struct {
        const char *name; // "digest_mismatches_count"
        int64_t n;
    } error[FACTS_ERRORS_MAX];
};

void facts_init(struct facts *f);
void facts_of_srvr(struct facts *f, const char *text);
void facts_of_mntr(struct facts *f, const char *text);
void facts_of_conf(struct facts *f, const char *text); // sid

// The server lines of conf, or of /zookeeper/config.
struct facts_member {
    int64_t sid;
    bool observer;
    char host[256];   // where the members find it
    char client[256]; // where its clients do, "" if not said or any address
    uint16_t port;    // 0: not said
};
// Returns how many, at most FACTS_MEMBERS_MAX; 0 if it is a server alone.
size_t facts_members(const char *text, struct facts_member *v);

// One line of cons.
struct facts_conn {
    char peer[80]; // "127.0.0.1:4711"
    uint64_t session;
    int64_t received, sent, queued;
    int64_t latency_avg, latency_max; // ms
    char last_op[16];
};
// Takes the next connection off *text; false: there is none any more.
bool facts_next_conn(const char **text, struct facts_conn *conn);
