// SPDX-License-Identifier: Apache-2.0
//
// A whole server of an ensemble on a fake env, of which the test plays all the others, by bytes.
// The server is number `sid` of servers h1, h2, ...; quorum ports are 2000 + N, election ports
// 3000 + N, its clients' port is 2181. Whatever the server has to do now is done before a call
// returns: jobs have run, what it closed is gone, its timer has not come yet. Time stands still
// but for nrig_pass().
//
// Peers with a higher sid than the server's connect to it for elections, so tests number them so.
#pragma once

#include "node/node_internal.h"
#include "test/support/fake_env.h"
#include "wire/note.h"
#include "wire/qpacket.h"

enum { NRIG_QUORUM = 2000, NRIG_ELECTION = 3000, NRIG_CLIENTS = 2181, NRIG_TICK_MS = 200 };

struct nrig {
    struct fake_env *f;
    struct config cfg;
    struct node *n;
    bool hold_jobs; // jobs wait for nrig_go() with false
    struct arena arena;
    uint32_t votes[16]; // connections of the election port, by sid
    int64_t round;      // of the notifications sent; kept up with the server's
};

// lines: more of zoo.cfg, or NULL. voters: 1 to that many are; observers behind them.
struct nrig *nrig_new(int64_t sid, int voters, int observers, const char *lines);
void nrig_free(struct nrig **r); // stops it, runs what is in flight
void nrig_go(struct nrig *r);    // whatever can be done now
void nrig_pass(struct nrig *r, int64_t ms);

// Connections. Ports are those of the server when it listens, of the others when it dials.
uint32_t nrig_accept(struct nrig *r, uint16_t port);
uint32_t nrig_dialed(struct nrig *r, uint16_t port); // its dial has succeeded
void nrig_refuse(struct nrig *r, uint16_t port);     // it has failed
void nrig_put(struct nrig *r, uint32_t conn, struct slice bytes);
void nrig_hang_up(struct nrig *r, uint32_t conn);
bool nrig_open(const struct nrig *r, uint32_t conn);
void nrig_slow(struct nrig *r, uint32_t conn, bool slow); // false: takes all that waits
struct slice nrig_sent(struct nrig *r, uint32_t conn);    // not looked at yet; good until more is

// Elections.
void nrig_vote_conn(struct nrig *r, int64_t sid);           // says hello, unless it has
void nrig_note(struct nrig *r, int64_t sid, struct note n); // round and config filled in if not
bool nrig_next_note(struct nrig *r, int64_t sid, struct note *n);
// Everybody above the server's own sid and up to `voters` votes for the leader.
void nrig_elect(struct nrig *r, int64_t leader);

// Packets.
bool nrig_next(struct nrig *r, uint32_t conn, struct qpacket *k);
void nrig_expect(struct nrig *r, uint32_t conn, enum qpacket_type type, struct qpacket *k);
void nrig_send(struct nrig *r, uint32_t conn, enum qpacket_type type, int64_t zxid,
               struct slice data);
void nrig_send_record(struct nrig *r, uint32_t conn, enum qpacket_type type, int64_t zxid,
                      const struct record_type *record, const void *rec, struct slice rest);
void nrig_info(struct nrig *r, uint32_t conn, enum qpacket_type type, int64_t sid);

// Whole ways. A learner that joins the server: to UPTODATE once a quorum is there, else to its ACK.
uint32_t nrig_learner(struct nrig *r, int64_t sid, bool observer, int64_t zxid);
// The server is elected leader, and `sid` joins: it serves.
uint32_t nrig_lead(struct nrig *r, int64_t sid);
// The server follows (or observes) this leader, with an empty history, in epoch 1, and serves.
uint32_t nrig_follow(struct nrig *r, int64_t leader);

// Clients.
uint32_t nrig_client(struct nrig *r, int32_t timeout_ms); // connected; the answer is still to come
