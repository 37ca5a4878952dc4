// SPDX-License-Identifier: Apache-2.0
//
// struct elect: the election port of a server. It owns fle (the decisions), links (who keeps which
// connection) and their connections of the env, and lets them speak with each other:
//
//   env: accepted, dialed, bytes -> links -> notification -> fle -> notification -> links -> env
//                                                             '-> outcome, taken by the node
//
// The port is open for the server's whole life, in every role. Neither core is entered while the
// actions of its last step are being read: what one has for the other waits in a list.
#pragma once

#include "env.h"
#include "fle/fle.h"
#include "fle/links.h"

struct elect_settings {
    struct fle_settings fle;
    struct links_settings links;
    bool listen_all; // quorumListenOnAllIPs
    void *conn_ctx;  // for conn_taken
    // A connection of this port begins to exist; its further events belong here.
    void (*conn_taken)(void *ctx, uint32_t conn);
};

// What has come of it since the last elect_take().
struct elect_outcome {
    bool elected;
    enum note_state state;
    struct fle_vote vote;
    struct members *members; // a newer membership is known elsewhere; the caller's, or NULL
    bool voter_looking;      // leading, and one of its voters looks for a leader
};

struct elect;

struct elect *elect_new(struct env *env, const struct elect_settings *s);
void elect_free(struct elect **e);

// Who the servers are; the own address is where it listens. restart: they really differ from
// before: every connection ends, the round begins anew, and a START must follow.
void elect_set_members(struct elect *e, const struct members *committed,
                       const struct members *last_seen, bool restart);
void elect_start(struct elect *e, int64_t last_zxid, int64_t current_epoch);
void elect_set_role(struct elect *e, int64_t leader, int64_t zxid); // by a reconfiguration
void elect_quiet(struct elect *e); // the role is over, START cannot come yet
void elect_established(struct elect *e, int64_t epoch);
// Closes the port and every connection: this server is about to go.
void elect_leave(struct elect *e);

bool elect_listens(const struct elect *e, uint32_t listener);   // is it the election port's?
void elect_on_env(struct elect *e, const struct env_event *ev); // of its port, dials, connections
void elect_on_time(struct elect *e);
bool elect_next(const struct elect *e, struct mono *at);   // when on_time is wanted
bool elect_take(struct elect *e, struct elect_outcome *o); // false: nothing
// How many of the voters, this server left out, an election connection stands to.
size_t elect_reaches(const struct elect *e, const struct members *m);
const struct fle *elect_fle(const struct elect *e);
void elect_check(const struct elect *e);
