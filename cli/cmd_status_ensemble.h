// SPDX-License-Identifier: Apache-2.0
//
// All servers of an ensemble and what each says of itself: those that were named, and those that
// they know of (by conf, or where that is not allowed by /zookeeper/config). Four letter words,
// all servers at once; one that is dead costs the others nothing.
#pragma once

#include "cli/cmd_status_facts.h"
#include "cli/words4.h"

struct cli;

enum { ENSEMBLE_MAX = 2 * FACTS_MEMBERS_MAX, ENSEMBLE_TIMEOUT_MS = 3000 };

struct ensemble_server {
    struct words4_server at; // port 0: not known
    bool member, observer;   // of the membership that was found
    int64_t sid;             // -1: not known
    struct facts facts;      // of the last round
    bool answered;           // srvr
    char why[WORDS4_WHY_MAX];
    char *cons; // the answer, if it was asked for; else NULL
};

struct ensemble {
    struct ensemble_server v[ENSEMBLE_MAX];
    size_t n;
    struct facts_member members[FACTS_MEMBERS_MAX];
    size_t members_n; // 0: not known, or a server alone
};

// Finds the servers and asks each. False: Ctrl-C, or the list does not parse (said why; *code is
// what to return).
bool ensemble_find(struct cli *c, struct ensemble *e, int timeout_ms, int *code);
// Asks all again. False: Ctrl-C.
bool ensemble_ask(struct cli *c, struct ensemble *e, bool cons, int timeout_ms);
void ensemble_fini(struct ensemble *e);

// A server that serves with others needs a quorum to do so.
bool ensemble_has_quorum(const struct ensemble *e);
// How many do not serve.
size_t ensemble_down(const struct ensemble *e);
// Why one does not serve, in words.
const char *ensemble_trouble(const struct ensemble_server *s);
