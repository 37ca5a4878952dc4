// SPDX-License-Identifier: Apache-2.0
//
// struct members: who belongs to an ensemble, as data. It is what the `server.N`, `group.G` and
// `weight.N` lines of zoo.cfg, a dynamic file, /zookeeper/config, a NEWLEADER packet and every
// notification of an election say, and Apache's QuorumVerifier stands for.
//
// It stands in wire because its text travels, and because election, agreement and node all need it.
//
// Filled key by key (members_put), then closed once (members_end), which checks the whole and works
// out voters and groups; after that it is read only. Text that breaks a rule is an error, never a
// part of a membership. Memory: one object with an arena inside, members_free() drops it all; who
// keeps one beyond a call copies it.
//
// A set of voters is a word of bits, bit i for voters[i]; see wire/quorum.h.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    MEMBERS_MAX = 1024,           // servers: every step of an election walks them
    MEMBERS_VOTERS_MAX = 64,      // one machine word per set of voters
    MEMBERS_ADDRS_MAX = 16,       // addresses of one server
    MEMBERS_TEXT_MAX = 384 * 1024 // fits a notification (512 KB) with room to spare
};

// A vote for nobody: what a server that may not vote puts for the leader. Java's Long.MIN_VALUE.
#define MEMBERS_NOBODY INT64_MIN

// One interface of a server. The host is a name or a literal as it was written, without brackets.
struct member_addr {
    struct slice host;
    uint16_t quorum_port, election_port;
};

struct member_client {
    struct slice host; // null: not given
    uint16_t port;
};

struct member {
    int64_t sid;
    bool observer;
    struct member_addr *addrs; // at least one, ascending by host
    size_t addrs_n;
    struct member_client client, secure;
};

struct members_pair { // a server's group, or its weight
    int64_t sid, value;
};

struct members_group {
    int64_t id;
    int64_t weight;  // of all its servers
    uint64_t voters; // bits
};

struct members {
    int64_t version;        // zxid of the reconfiguration that made it; 0: never established
    struct member *servers; // ascending by sid
    size_t n, cap;
    bool hierarchical;
    struct members_pair *grouped, *weights; // ascending by sid
    size_t grouped_n, grouped_cap, weights_n, weights_cap;

    // From here on worked out by members_end().
    int64_t voters[MEMBERS_VOTERS_MAX]; // participants' sids, ascending
    int64_t voter_weight[MEMBERS_VOTERS_MAX];
    size_t voters_n;
    struct members_group groups[MEMBERS_VOTERS_MAX]; // only those with a weight
    size_t groups_n;

    struct arena arena; // strings and addresses
};

struct members *members_new(void);
void members_free(struct members **m);
struct members *members_copy(const struct members *m);
// One participant without an address, version 0: a server that is alone.
struct members *members_alone(int64_t sid);

// Whether a key of a configuration file belongs to a membership: server., group, weight, version.
bool members_is_key(struct slice key);
// One property. ERR_UNSUPPORTED: not such a key; ERR_INVALID: the value breaks the format;
// ERR_LIMIT. A key given twice counts as it was given last.
must_check enum err members_put(struct members *m, struct slice key, struct slice value);
void members_remove(struct members *m, int64_t sid); // before members_end(); unknown: ignored
// ERR_INVALID: no voter, a participant in no group, a group with a server without weight.
must_check enum err members_end(struct members *m);
// All of a text, as a peer or a dynamic file says it. *m is new, or NULL on error.
must_check enum err members_parse(struct slice text, struct members **m);

enum members_form {
    MEMBERS_WIRE, // servers, groups, weights, version; no newline at the end
    MEMBERS_FILE, // sorted lines without version, each with a newline: <zoo.cfg>.dynamic.<version>
    MEMBERS_NEXT  // the same with version: <zoo.cfg>.dynamic.next
};
void members_fmt(struct buf *b, const struct members *m, enum members_form form);

const struct member *members_find(const struct members *m, int64_t sid); // NULL: not a member
bool members_is_voter(const struct members *m, int64_t sid);
bool members_is_observer(const struct members *m, int64_t sid);
// 1 for everybody by majority; else the weight, 0 for whoever has none.
int64_t members_weight(const struct members *m, int64_t sid);
// Java's QuorumMaj.containsQuorum and QuorumHierarchical.containsQuorum.
bool members_is_quorum(const struct members *m, uint64_t voters);
// Java's equals: the same version, or the same servers, addresses, types, groups and weights.
bool members_equal(const struct members *a, const struct members *b);

// Decimal text as Java's Long.parseLong takes it, without sign and at most `max`.
bool members_parse_number(struct slice s, int64_t max, int64_t *value);
// Splits "host:part:part" or "[v6]:part" at its colons, as Java's ConfigUtils.getHostAndPort:
// brackets are taken off, empty parts at the end are dropped. Returns the number of parts, 0 for
// broken brackets; parts beyond `max` are counted only.
size_t members_split_address(struct slice s, struct slice *parts, size_t max);
