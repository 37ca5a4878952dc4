// SPDX-License-Identifier: Apache-2.0
//
// The election of one server with the test as all its peers: events go in by hand, what comes of
// the last one is kept, and fle's invariants are checked after each. Time stands still but for
// erig_pass_ms(). For cmocka tests: what is not as it must be fails them.
#pragma once

#include "fle/fle.h"

enum { ERIG_PEERS = 10 }; // sids of those who are heard and told: below this

// Servers 1 to 3 of version 0.
extern const char erig_three[];

struct erig {
    struct fle *fle;
    struct mono now;
    // Of the last event.
    size_t actions;
    int sends;
    struct buf sent[ERIG_PEERS]; // encoded, the last one to each sid
    bool elected;
    enum note_state state; // if elected
    struct fle_vote vote;
    struct members *heard; // a newer membership; NULL: none
    int64_t voter_looking; // 0: nobody
};

// Adopts memberships, asks again after 200 ms to 60 s, waits 200 ms for a better vote.
void erig_open(struct erig *s, int64_t sid, const char *members);
void erig_open_with(struct erig *s, const struct fle_settings *settings, const char *members);
void erig_close(struct erig *s);

// Events.
void erig_step(struct erig *s, struct fle_event ev); // any, at the time of the rig
void erig_members(struct erig *s, const char *committed, const char *last_seen, bool restart);
void erig_start(struct erig *s, int64_t last_zxid, int64_t current_epoch);
void erig_hear_note(struct erig *s, int64_t sid, struct note n);
// A notification without a membership in it.
void erig_hear(struct erig *s, int64_t sid, enum note_state state, int64_t leader, int64_t zxid,
               int64_t round, int64_t epoch);
void erig_down(struct erig *s, int64_t sid);
void erig_pass_ms(struct erig *s, int64_t ms);

// What came of it.
int64_t erig_wait_ms(const struct erig *s); // until it wants to be woken
void erig_check_sent(struct erig *s, int64_t sid, enum note_state state, int64_t leader,
                     int64_t zxid, int64_t round, int64_t epoch);
void erig_check_elected(const struct erig *s, enum note_state state, int64_t leader);
