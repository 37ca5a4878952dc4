// SPDX-License-Identifier: Apache-2.0
//
// What happens to a server that has a role, and what it does about it: the events and actions of
// struct leader and struct learner. One of them lives from the end of an election to STEP_DOWN; the
// next role gets a new one, so nothing of a former role can act on (ZOOKEEPER-4541).
//
//   node                       leader | learner
//     START, PEER_UP, PACKET, TICK ->
//                              <- SEND, DROP, SAVE_EPOCH, APPEND, TRUNCATE, LOAD_SNAPSHOT, COMMIT
//     EPOCH_SAVED, LOGGED, TRUNCATED, SNAPSHOT_LOADED ->      each one means: it is durable
//                              <- SEND ACK ..., SERVE
//
// The order on disk is in the events: there is no ACK before LOGGED, no SAVE_EPOCH(current) before
// the synced history is LOGGED, no ACK of NEWLEADER before EPOCH_SAVED.
//
// What whoever runs a role owes it:
//   - before an election its log is settled: everything in it is durable and applied, what a role
//     left is either in the log or gone (ZOOKEEPER-2845); a TRUNCATE or LOAD_SNAPSHOT that had no
//     answer is finished or undone, and the tree is read from disk again (5094, 3642);
//   - last_zxid is the end of that log, and current_epoch is at least its epoch (a crash between
//   the
//     synced history and the epoch file leaves it behind: it is raised to it);
//   - packets to one peer keep their order, across SEND_SNAPSHOT too;
//   - a snapshot's stream that stands still for initLimit is cut: a role has no time limit for it.
//
// Reconfiguration: the leader gets the new membership with its PROPOSE, counts by the old and the
// new one from then on, and ACTIVATE says that it has committed, on the leader and on learners.
// What a membership is called, where it is stored, and what a change of role follows from it is
// node's. Node owes: the membership in a transaction it appends is its last seen one, durably,
// before that transaction is LOGGED; at SERVE the last seen one is activated.
//
// A standalone server is a leader that is `alone`: it serves from START on, has no epochs, peers
// and ticks, its own log is the quorum, and a full disk takes proposals back (ABORT) instead of
// ending the role. A SYNC is answered at once: whatever anybody was told of is applied. Its zxids
// go on over the end of an epoch, as Apache's.
#pragma once

#include "base/blob.h"
#include "base/mtime.h"
#include "wire/qpacket.h"
#include "wire/quorum.h"
#include "zab/sync_plan.h"

static inline int64_t zxid_epoch(int64_t zxid)
{
    return zxid >> 32;
}

static inline int64_t zxid_counter(int64_t zxid)
{
    return zxid & 0xffffffff;
}

static inline int64_t zxid_of_epoch(int64_t epoch) // of its NEWLEADER; no transaction has it
{
    return (int64_t)((uint64_t)epoch << 32);
}

// Whether a transaction `next` may stand behind `last` (2846, 4925: never over a gap).
static inline bool zxid_follows(int64_t last, int64_t next)
{
    return zxid_epoch(next) == zxid_epoch(last)
               ? next == last + 1
               : zxid_epoch(next) > zxid_epoch(last) && zxid_counter(next) == 1;
}

// A QuorumPacket whose data has been read.
struct zab_packet {
    enum qpacket_type type;
    int64_t zxid;
    struct blob *txn;       // PROPOSAL, INFORM
    int64_t config_version; // FOLLOWERINFO, OBSERVERINFO; their sid is that of the event
    int64_t current_epoch;  // ACKEPOCH: -1 is no yes
    int64_t designated;     // COMMITANDACTIVATE, INFORMANDACTIVATE: the next leader; the latter has
                            // a txn, too
    const struct id_vec *authinfo; // REQUEST: who the client is
    struct slice data; // of all other types, as it came; NEWLEADER: of the membership's text
};

struct zab_entry {
    int64_t zxid;
    struct blob *txn;
};

struct role_settings {
    int64_t sid;
    int64_t tick_ms;
    int64_t init_limit, sync_limit; // ticks
    bool observer;
    bool alone;          // leader: standalone; nothing else of the settings counts then
    bool wants_snapshot; // learner: says zxid 0, takes no opening packet but SNAP (its log cannot
                         // be cut as far as a TRUNC asked for)
    const struct members *committed, *last_seen; // borrowed for the time of the role
    int64_t accepted_epoch, current_epoch;       // as they stand on disk
    int64_t last_zxid;                           // end of the settled log
    int64_t leader;                              // learner: whom the election named
};

enum role_event_type {
    ROLE_IN_START,
    ROLE_IN_TICK,            // four times per tick_ms or more often
    ROLE_IN_PEER_UP,         // sid is connected; for a learner: its leader
    ROLE_IN_PEER_DOWN,       // sid is not any more
    ROLE_IN_PACKET,          // from sid
    ROLE_IN_EPOCH_SAVED,     // epoch, as the last SAVE_EPOCH said
    ROLE_IN_LOGGED,          // the log is durable up to zxid
    ROLE_IN_LOG_FAILED,      // it can take no more: ends the role (4837, 4882)
    ROLE_IN_LOG_FULL,        // leader alone: nothing above zxid is in the log; COMMIT of what is
                             // up to it, ABORT of the others, oldest first. Else as LOG_FAILED
    ROLE_IN_TRUNCATED,       // learner: the log ends at zxid, the tree is at zxid
    ROLE_IN_SNAPSHOT_LOADED, // learner: the stream at zxid is a durable snapshot, and the tree
    ROLE_IN_SYNC_FAILED,     // learner: TRUNCATE or LOAD_SNAPSHOT could not be done
    ROLE_IN_PROPOSE,         // leader: txn with leader_next_zxid()
    ROLE_IN_SYNC,            // leader: a sync of sid (own sid: of an own client), tag
    ROLE_IN_DISK,            // leader: answer to ASK_DISK of sid, with its tag
    ROLE_IN_FED,             // leader: sid goes on taking the snapshot it is sent; that may last
    ROLE_IN_HISTORY,  // leader: answer to READ_HISTORY of sid, with its tag, a part at a time
    ROLE_IN_COMMITTED // observer master: the learner beside it has committed what packet, an INFORM
                      // or INFORMANDACTIVATE, says
};

struct role_event {
    enum role_event_type type;
    struct mono now;
    int64_t sid, zxid, epoch;
    uint64_t tag;
    struct blob *txn;
    // leader; it keeps a copy. PROPOSE: the txn is a reconfiguration to this membership, its
    // version is zxid, and no other one is outstanding (NULL: it is none). EPOCH_SAVED of the
    // accepted epoch: the last seen membership from now on (8.5; NULL: as before).
    const struct members *members;
    const struct zab_packet *packet;
    struct sync_ask disk; // DISK: disk, disk_n, size_factor, snapshot_bytes, snapshot_zxid
    struct {              // HISTORY: in order
        const struct zab_entry *entries;
        size_t n; // 0: that was all, or the log could not be read
    } history;
};

enum role_action_type {
    ROLE_SEND,          // packet to sid
    ROLE_DROP,          // cut sid off: `why`; leader only
    ROLE_SAVE_ACCEPTED, // acceptedEpoch := epoch, durable; EPOCH_SAVED follows
    ROLE_SAVE_CURRENT,  // currentEpoch := epoch, durable; EPOCH_SAVED follows
    ROLE_APPEND,        // zxid and txn to the log; LOGGED or LOG_FAILED follows
    ROLE_COMMIT,        // apply zxid and txn
    ROLE_ABORT,         // leader alone: zxid and txn will never commit, they are in no log
    ROLE_ACTIVATE,      // right behind the COMMIT of a reconfiguration: zxid, sid is the designated
                        // leader (its own, to go on as it is). A leader that is not it commits
                        // nothing more
    ROLE_SERVE,         // epoch is established: be live
    ROLE_STEP_DOWN,     // the role is over: `why`. No action follows, ever
    ROLE_SYNCED,        // leader: tag; learner: its oldest pending sync
    ROLE_TRUNCATE,      // learner: cut the log before the first entry above zxid, and remove
                        // snapshots above it (1549); TRUNCATED follows
    ROLE_LOAD_SNAPSHOT, // learner: the stream goes on with a snapshot at zxid. It replaces tree and
                        // log in one durable step; SNAPSHOT_LOADED follows
    ROLE_LAST_SEEN,     // learner: `data` is the leader's membership
    ROLE_PING,          // learner: answer this PING (zxid) with the sessions touched since
    ROLE_REQUEST,       // leader: REQUEST or REVALIDATE of sid. Learner: REVALIDATE's answer
    ROLE_TOUCHED,       // leader: `data` of a PING: sessions of sid
    ROLE_ASK_DISK,      // leader: what could be sent from disk to sid, who is at zxid; DISK follows
    ROLE_READ_HISTORY,  // leader: the log's entries behind zxid, for sid; HISTORY follows, the last
                        // one with n == 0, up to what is committed now
    ROLE_SEND_SNAPSHOT  // leader: stream to sid: SNAP(zxid), the snapshot `file`, the signature
};

struct role_action {
    enum role_action_type type;
    int64_t sid, zxid, epoch;
    uint64_t tag;
    bool fresh;       // ASK_DISK: a snapshot is to be taken first
    int64_t file;     // SEND_SNAPSHOT: of the file that DISK named; -1: there is none that would do
    struct blob *txn; // good until the next step
    struct zab_packet packet;
    struct slice data;
    const char *why;
};

// Actions of one step, in order; good until the next step.
struct role_out {
    const struct role_action *actions;
    size_t n;
};
