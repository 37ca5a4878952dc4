// SPDX-License-Identifier: Apache-2.0
//
// struct auths: what reeve_add_auth() gave, kept for every connection to come.
//
// An entry is made when the call is submitted (a copy of its frame, so that nothing can fail
// later), is sent for the first time when the call's turn comes, and from then on at the begin of
// each connection before everything else. Servers answer auth packets with xid -4, among themselves
// in order, perhaps before the answers of earlier requests. The answer completes the call; until
// then it hangs at its entry, also over a lost connection. Equal entries are one once answered.
#pragma once

#include "client/call.h"

struct auth {
    struct auth *next;
    struct call *call; // waits for the answer; owned once it is sent; NULL: nobody waits
    bool sent;         // ever
    bool asked;        // on this connection, without an answer yet
    uint64_t end;      // asked: where its frame ends in the connection's stream
    size_t n;
    uint8_t frame[];
};

struct auths {
    struct reeve_allocator allocator;
    struct auth *first;
    struct auth *replay; // the next one to be sent at the begin of a connection
};

void auths_fini(struct auths *a); // the calls that hang there are freed
// False: no memory.
bool auths_add(struct auths *a, struct call *c);
// A call whose turn has come: its entry is to be sent now.
struct auth *auths_of(struct auths *a, const struct call *c);
// A connection begins.
void auths_rewind(struct auths *a);
// The next to be sent again, NULL: none. auths_replayed() when it is on its way.
struct auth *auths_to_replay(struct auths *a);
void auths_replayed(struct auths *a, uint64_t end);
// An answer without error. gone: how far the stream was sent. False: nothing was asked, or not as a
// whole. *c: the call it completes, or NULL.
bool auths_answered(struct auths *a, uint64_t gone, struct call **c);
// A call will be told something else: the entry stays, alone. With c NULL it takes any that hangs
// at a sent entry; returns it, or NULL.
struct call *auths_detach(struct auths *a, struct call *c);
