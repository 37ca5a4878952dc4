// SPDX-License-Identifier: Apache-2.0
//
// The files that say who this server is and who belongs to its ensemble:
//
//   <dataDir>/myid              this server's number
//   zoo.cfg                     server.N lines, or dynamicConfigFile=<path>
//   <zoo.cfg>.dynamic.<hex>     the committed membership, its version in the name only
//   <zoo.cfg>.dynamic.next      one that was proposed, maybe not committed, its version inside
//   <zoo.cfg>.bak               zoo.cfg as it was before the first reconfiguration
//
// They are Apache's, so either program starts from what the other left. dynconfig_load() reads them
// once, before the loop. struct dynconfig writes them, in the order asked for, as jobs on the lane
// of the log, before what is appended to that later: a file is replaced as a whole or not at all. A
// failed write is logged and nothing else comes of it: what was committed is in the tree, too, and
// the other servers tell it again. Without reconfigEnabled, or without a zoo.cfg, nothing is ever
// written.
#pragma once

#include "env.h"
#include "node/config.h"
#include "wire/members.h"

struct dynconfig_start {
    int64_t sid;               // -1: no myid file (a server alone needs none)
    struct members *committed; // NULL: a server alone
    struct members *last_seen; // NULL, or one with a version above that of committed
    const struct member *self; // this server, in committed
    // Where clients are served: the server.N line's client part, else clientPort and
    // clientPortAddress. Of an ensemble without clientPortAddress: all addresses.
    struct net_addr client;
    bool client_is_static; // not from the server.N line: reconfigurations leave it alone
};

// Blocking, before the loop; warnings go to the log. On an error `why` is a sentence (appended) and
// *s is empty. ERR_INVALID: a file says something impossible; ERR_NOTFOUND: an ensemble's server
// without myid, or no file where dynamicConfigFile points; ERR_IO; ERR_LIMIT: a file too long.
must_check enum err dynconfig_load(struct env *env, const struct config *c,
                                   struct dynconfig_start *s, struct buf *why);
void dynconfig_start_fini(struct dynconfig_start *s);

struct dynconfig;

// The config must outlive it; of *s only the versions are looked at.
struct dynconfig *dynconfig_new(struct env *env, const struct config *c,
                                const struct dynconfig_start *s);
// No job may be in flight.
void dynconfig_free(struct dynconfig **d);

// Core thread; both copy what they need. Java's setLastSeenQuorumVerifier: writes .dynamic.next.
// A version that is not above the last one is ignored.
void dynconfig_save_next(struct dynconfig *d, const struct members *m);
// What save_next was given will never be: its file goes.
void dynconfig_forget_next(struct dynconfig *d);
// Java's setQuorumVerifier: writes .dynamic.<version>, makes zoo.cfg point to it, and deletes
// .dynamic.next unless that has a higher version. zoo.cfg keeps everything else, but loses server.,
// group, weight, peerType, and clientPort and clientPortAddress if the membership has a client part
// for `sid`. A version that is not above the last one is ignored.
void dynconfig_activate(struct dynconfig *d, const struct members *m, int64_t sid);

bool dynconfig_owns(const struct dynconfig *d, const struct env_job *job);
void dynconfig_on_job(struct dynconfig *d, struct env_job *job); // its ENV_JOB_DONE
bool dynconfig_is_idle(const struct dynconfig *d);               // nothing in flight or waiting
