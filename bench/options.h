// SPDX-License-Identifier: Apache-2.0
//
// What the command line asks for, checked: each field is within its bounds when main() hands it on.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum mode {
    MODE_LOAD,     // --op
    MODE_WATCHERS, // --watchers
    MODE_CHURN,    // --session-churn
    MODE_IDLE,     // --idle-sessions
    MODE_FILL,     // --fill
    MODE_WATCHES,  // --watches
};

enum load_op { LOAD_GET, LOAD_SET, LOAD_EXISTS, LOAD_CHILDREN, LOAD_CREATE, LOAD_DELETE, LOAD_MIX };

enum { SERVERS_MAX = 8 };

struct options {
    enum mode mode;
    enum load_op op;
    const char *host;
    uint16_t ports[SERVERS_MAX]; // connection i goes to the server i % port_count
    uint32_t port_count;
    uint32_t connections;
    uint32_t outstanding;
    double read_ratio; // of --op mix
    uint32_t size;     // bytes per znode
    uint32_t keys;
    double duration_s;
    double warmup_s;
    uint64_t ops;            // 0: until duration_s is over
    double rate;             // 0: closed loop
    pid_t pids[SERVERS_MAX]; // what these cost is added up
    uint32_t pid_count;      // 0: the servers' costs are not measured
    uint32_t count;          // of what the mode names: watchers, sessions, nodes, watches
    bool persistent;         // --watches: persistent ones
    bool hold;
    bool keep;
    bool json;
    uint32_t session_timeout_ms;
    uint64_t seed;
};
