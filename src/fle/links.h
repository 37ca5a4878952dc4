// SPDX-License-Identifier: Apache-2.0
//
// struct links: who keeps which connection of the election port, and what waits to be sent; as a
// function, event in, actions out. One connection per pair of servers: the one that the server with
// the larger sid dialed. The smaller one dials only to be heard of: it says who it is and closes,
// and the larger one dials back. Java: QuorumCnxManager.
//
//   a connection   accepted: HELLO (its initial message is awaited) -> UP -> closed
//                  dialed: UP, or closed at once by the smaller sid
//   a peer         has at most one connection and at most one dial in flight, each with its own
//   time
//                  limit, so one that is silent delays nobody
//
// To each peer one message may wait; a newer one takes its place. When a connection comes up the
// one that waits goes out, or else the last one again, for it may have been lost with the one
// before. So peers hear old words now and then, and the election bears it.
//
// Identity is the sid, never an address: names are resolved by whoever dials, at each dial. A
// broken connection is mended if nothing has come since the last SEND, which may be lost: at once,
// and a second time a moment later, for a process that is being ended may still have taken the
// first. So is the dial of a smaller server that nobody answers by dialing back. Else the next SEND
// does it.
#pragma once

#include "base/mtime.h"
#include "wire/note.h"
#include "wire/quorum.h"

enum {
    LINKS_PEERS_MAX = 2 * MEMBERS_MAX, // of two memberships, or strangers
    LINKS_HELLOS_MAX = 128,            // accepted and silent; the oldest goes if there are more
    LINKS_STRANGER_DIALS_MAX = 32,     // in flight, to where no membership says: anybody may ask
    LINKS_RETRY_MS = 50, // a living server has dialed back by then, a dead one refuses
    LINKS_DIAL_ADDRS_MAX = 2 * MEMBERS_ADDRS_MAX
};

struct links_settings {
    int64_t sid;
    bool multi_address; // multiAddress.enabled: initial messages V2
    int32_t dial_ms;    // cnxTimeout, 5,000
    int32_t hello_ms;   // quorumCnxnTimeoutMs, tickTime * syncLimit
};

enum links_event_type {
    LINKS_MEMBERS,     // where the servers are
    LINKS_RESET,       // the membership has changed: all connections and messages go
    LINKS_SEND,        // a message to another server
    LINKS_ACCEPTED,    // a connection came in
    LINKS_DIALED,      // a DIAL has succeeded
    LINKS_DIAL_FAILED, // nobody listens, or no name resolves
    LINKS_DATA,        // bytes came
    LINKS_DRAINED,     // all that was written on a connection has left; may come at once
    LINKS_CLOSED,      // a connection is gone, whoever closed it
    LINKS_TIMER
};

struct links_event {
    enum links_event_type type;
    struct mono now;
    uint64_t dial; // DIALED, DIAL_FAILED
    uint32_t conn; // ACCEPTED, DIALED, DATA, DRAINED, CLOSED
    union {
        struct {
            const struct members *committed; // copied
            const struct members *last_seen; // copied; may be NULL
        } members;
        struct {
            int64_t sid;        // not the own one
            struct slice bytes; // a notification without the frame's length
        } send;
        struct slice data;
    };
};

enum links_action_type {
    LINKS_DIAL,    // connect to any of the addresses, all at once or one by one
    LINKS_UNDIAL,  // forget that dial; its connection, if there is one by now, is closed
    LINKS_WRITE,   // in one piece; DRAINED follows
    LINKS_CLOSE,   // after what was written; nothing more is heard of it but CLOSED
    LINKS_DELIVER, // a message came from that server
    LINKS_DOWN     // that server cannot be reached
};

struct links_action {
    enum links_action_type type;
    uint64_t dial;                 // DIAL, UNDIAL: its name, never used twice
    uint32_t conn;                 // WRITE, CLOSE
    int64_t sid;                   // DIAL, DELIVER, DOWN
    const struct note_addr *addrs; // DIAL
    size_t addrs_n;
    struct slice bytes; // WRITE, DELIVER
};

// Actions of one step, in order. What they point to is good until the next step.
struct links_out {
    const struct links_action *actions;
    size_t n;
};

struct links;

struct links *links_new(const struct links_settings *s);
void links_free(struct links **l);
void links_step(struct links *l, const struct links_event *ev, struct links_out *out);
bool links_next(const struct links *l, struct mono *at); // when TIMER is wanted; false: never
bool links_is_up(const struct links *l, int64_t sid);
size_t links_conns(const struct links *l);
void links_check(const struct links *l); // invariants, after every step in tests
