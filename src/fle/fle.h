// SPDX-License-Identifier: Apache-2.0
//
// struct fle: Fast Leader Election as a function: event in, actions out. It has no clock, socket or
// file in it; time comes in the event, and fle_next() says when it wants FLE_TIMER. Connections are
// fle/links.h, bytes are wire/note.h, and what is done with the result is node's.
//
// States, as they stand on the wire:
//
//   START -> LOOKING -> (ELECTED) -> LEADING | FOLLOWING | OBSERVING -> (START) -> LOOKING ...
//                          (ROLE) -> any of the three, without an election (reconfiguration)
//
// While LOOKING it holds a proposal, the best vote it has heard of in this round, and two sets of
// what voters said: recvset, of this round, and outofelection, of servers that have a role already.
// An election ends when a quorum of recvset agrees with the proposal and nothing better comes for a
// while, or when enough servers with a role, the leader among them, name the same leader. In a
// role it only answers; between a role's end and START it does not even that, for the answer would
// lead others to a leader that is none.
//
// Nothing here is durable, and nothing has to be: two servers may well believe to be elected (the
// epochs that zab agrees on before anything is served decide). What holds is that a quorum of
// voters has named the leader in one round, see fle_check.c.
//
// TLA+: FastLeaderElection.tla; Java: FastLeaderElection.lookForLeader and
// Messenger.WorkerReceiver.
#pragma once

#include "base/mtime.h"
#include "wire/note.h"
#include "wire/quorum.h"

struct fle_settings {
    int64_t sid;
    int32_t wait_min_ms;      // fastleader.minNotificationInterval, 200
    int32_t wait_max_ms;      // fastleader.maxNotificationInterval, 60,000
    int32_t finalize_wait_ms; // 200
    bool adopt_members;       // reconfigEnabled: a newer membership in a notification is news
};

// A vote: what it is for, and the round it was cast in.
struct fle_vote {
    int64_t leader, zxid, election_epoch, peer_epoch;
};

enum fle_event_type {
    FLE_MEMBERS,     // what the ensemble is; before the first START, and at each change
    FLE_START,       // look for a leader
    FLE_NOTE,        // a notification came in
    FLE_TIMER,       // the time is `now`; harmless if nothing is due
    FLE_DOWN,        // nobody listens at that server's address
    FLE_ROLE,        // a reconfiguration names the leader: no election
    FLE_QUIET,       // the role is over, and START cannot come yet: nothing is said until then
    FLE_ESTABLISHED, // the leader of currentVote has made this epoch (10.5)
};

struct fle_event {
    enum fle_event_type type;
    struct mono now;
    union {
        struct {
            const struct members *committed; // copied
            const struct members *last_seen; // copied; may be NULL
            bool restart; // it really differs from before: the round starts at 0 again. While
                          // LOOKING a START must follow.
        } members;
        struct {
            int64_t last_zxid;     // of the tree, which holds all of the log; -1: data was lost
            int64_t current_epoch; // as it stands on disk
        } start;
        struct {
            int64_t sid;
            const struct note *note;
        } note;
        struct {
            int64_t leader, zxid; // designated leader, zxid of the reconfiguration
        } role;
        int64_t epoch; // ESTABLISHED
        int64_t sid;   // DOWN
    };
};

enum fle_action_type {
    FLE_SEND,         // `note` to `sid`; a later one to the same sid replaces it if it still waits
    FLE_ELECTED,      // the election is over: `state` and `vote`
    FLE_NEW_MEMBERS,  // another server knows a newer membership: adopt it (15.5). If it really
                      // differs the election stands still until MEMBERS and START.
    FLE_VOTER_LOOKING // leading, and `sid`, which had voted for this leader, looks for one (5.9)
};

struct fle_action {
    enum fle_action_type type;
    int64_t sid;
    const struct note *note;
    enum note_state state;
    struct fle_vote vote;
    const struct members *members;
};

// Actions of one step, in order. What they point to belongs to fle and is good until the next step.
struct fle_out {
    const struct fle_action *actions;
    size_t n;
};

struct fle;

struct fle *fle_new(const struct fle_settings *s);
void fle_free(struct fle **f);
void fle_step(struct fle *f, const struct fle_event *ev, struct fle_out *out);
// When the next TIMER is wanted; false: never.
bool fle_next(const struct fle *f, struct mono *at);

enum note_state fle_state(const struct fle *f);
int64_t fle_round(const struct fle *f);                   // the logical clock
const struct fle_vote *fle_current(const struct fle *f);  // currentVote
const struct fle_vote *fle_proposal(const struct fle *f); // while LOOKING
const struct members *fle_committed(const struct fle *f);
void fle_check(const struct fle *f); // invariants, after every step in tests
