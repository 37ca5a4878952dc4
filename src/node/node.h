// SPDX-License-Identifier: Apache-2.0
//
// struct node: one whole server without an operating system. It wires the parts together and is the
// only place where data passes from one to the next:
//
//   env events -> serve -> submits -> prep -> zab -> disk -> zab -> apply -> serve -> env
//
// Everything runs on the core thread, in node_step; node_turn ends a round of events: it hands the
// gathered log batch to the disk and the gathered output to the network.
#pragma once

#include "env.h"
#include "node/config.h"

struct node;

// Recovers the data directory and listens. On failure a line has been logged that says what to do.
must_check enum err node_new(struct env *env, const struct config *cfg, struct node **node);
void node_free(struct node **n);

void node_step(struct node *n, const struct env_event *ev);
// After each batch of events (and at least when the env's timer fires).
void node_turn(struct node *n);
// True once a stop (ENV_STOP) has been carried out: connections closed, log synced. failed: it
// stopped because it could not go on (disk broken) and the process should exit with an error.
bool node_stopped(const struct node *n, bool *failed);

// Where it serves, after node_new.
const struct net_addr *node_client_addr(const struct node *n);
struct tree;
const struct tree *node_tree(const struct node *n); // for checkers
void node_check(const struct node *n);              // invariants of all parts

// What this server is to its ensemble, for checkers.
struct node_view {
    bool serving; // what its tree shows is committed
    bool leading;
    int64_t epoch; // current; 0 when standalone
};
struct node_view node_view(const struct node *n);
