// SPDX-License-Identifier: Apache-2.0
//
// struct peers: the connections of the quorum port, a leader's with its learners or a learner's one
// with its leader. Bytes in become packets, packets become bytes that leave once per turn:
//
//   env bytes -> in -> peers_next() -> packet -> the node
//   role -> packet -> out | held (while a snapshot streams to that peer) -> peers_flush() -> env
//
// Who a connection is shows with its first packet; until then it has no sid. It knows no protocol
// beyond the form of packets.
#pragma once

#include "env.h"
#include "wire/qpacket.h"
#include "zab/zab_role.h"

#define PEER_UNKNOWN INT64_MIN

enum feed_kind { FEED_NONE, FEED_OFFER, FEED_SNAPSHOT, FEED_HISTORY };

// What the disk is giving to this learner; see feed.c.
struct feed {
    enum feed_kind kind;
    uint64_t tag;      // the disk's
    uint64_t role_tag; // OFFER, HISTORY: to be given back
    bool fresh;        // OFFER: waits for a new snapshot
    int64_t after;     // OFFER
    bool waits;        // the next part is not asked for before the connection has drained
    bool history_next; // behind the snapshot
    int64_t history_after;
    uint64_t history_role_tag;
};

struct peer_conn {
    struct peer_conn *next;
    uint32_t conn;
    int64_t sid;
    struct net_addr addr;
    bool closing, paused;
    bool observer;        // it came in on observerMasterPort
    bool told;            // the role knows that it is gone
    struct mono deadline; // unknown ones must have said who they are; streams must have moved
    struct buf in;        // not yet read
    size_t in_at;         // bytes of it that are read
    struct qpacket_reader reader;
    struct buf out, held;
    size_t unsent; // in the env
    struct feed feed;
};

struct peers {
    struct env *env;
    size_t bytes_max;        // longest data of a packet
    struct peer_conn *first; // the newest
    size_t n;
    struct mono cuts_since; // what was said of cut connections
    int cuts;
};

void peers_init(struct peers *p, struct env *env, size_t bytes_max);
void peers_fini(struct peers *p);
struct peer_conn *peers_add(struct peers *p, uint32_t conn, int64_t sid);
struct peer_conn *peers_of_conn(const struct peers *p, uint32_t conn); // NULL: none
struct peer_conn *peers_of_sid(const struct peers *p, int64_t sid);    // not one that is closing
struct peer_conn *peers_of_feed(const struct peers *p, uint64_t tag);
void peers_name(struct peers *p, struct peer_conn *c, int64_t sid); // it has said who it is
void peers_close(struct peers *p, struct peer_conn *c);             // its end is told by ENV_CLOSED
void peers_del(struct peers *p, struct peer_conn *c);               // after ENV_CLOSED

void peers_put(struct peer_conn *c, struct slice bytes);
struct slice peers_unread(const struct peer_conn *c);
void peers_read(struct peer_conn *c, size_t n);
// The next packet, if all of it is there: ERR_CUT if not, other errors are the peer's fault. Its
// slices are good until bytes are put; its ids lie in a.
enum err peers_next(struct peer_conn *c, struct arena *a, struct qpacket *k);

// text: what NEWLEADER carries.
void peers_send(struct peer_conn *c, const struct zab_packet *k, int64_t own_sid,
                struct slice text);
struct buf *peers_out(struct peer_conn *c); // where the next packet goes
size_t peers_backlog(const struct peer_conn *c);
void peers_flush_one(struct peers *p, struct peer_conn *c);
void peers_flush(struct peers *p);
