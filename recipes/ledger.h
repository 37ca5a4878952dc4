// SPDX-License-Identifier: Apache-2.0
//
// Writes whose outcome is found out when the connection was lost before the answer.
//
// A ledger is an ephemeral node of ours, and each write is a multi: a change of the ledger, from
// the version the write before leaves it with, and the write itself. All or nothing is executed; so
// writes may follow each other without waiting, none is executed behind one that was not, and after
// a loss the ledger's version tells which were: all up to it, and none behind it. Where the node of
// a foreign program's layout is written, the program sees nothing of this.
//
//     WAITING --sent--> SENT --answer--> done
//        ^  ^            |  \--lost, perhaps executed--> UNSURE --the ledger says so--> done
//        |  \--behind one that failed--/                   |
//        \------------------- surely not executed ---------/
//
// After a failure nothing is sent until all that was sent is answered. What stays unknown is told
// as an error while the write is UNSURE, or with one of kit_is_over(): only when the session is
// lost, or somebody has deleted the ledger (CONNECTION_LOSS), or there is no memory to ask.
#pragma once

#include "recipes/kit.h"

struct ledger_write;

// parts: the answers of w's parts; NULL: it was executed, but its answer is lost. Once; w is the
// caller's again.
typedef void ledger_done_fn(struct kit_object *o, struct ledger_write *w, enum reeve_error e,
                            const struct reeve_result *parts);

struct ledger_write {
    const struct reeve_request *parts; // what they point at lives as long
    size_t parts_n;
    ledger_done_fn *done;
    enum { LEDGER_WAITING, LEDGER_SENT, LEDGER_UNSURE } state;
    int32_t version; // of the ledger once it is executed
    struct ledger *ledger;
    struct ledger_write *next;
};

struct ledger {
    struct kit_object *o;
    struct kit_seat seat;
    const char *dir;  // where the seat is made, once it is there; borrowed
    int32_t version;  // of the ledger once all that was sent is executed
    int32_t executed; // its version as far as is known
    struct ledger_write *first, **end;
    size_t sent; // without an answer
    bool broken; // one of those sent failed: nothing is sent until all are known
    bool asking; // the ledger is being read
    bool closing;
    struct kit_timer again;
};

void ledger_init(struct ledger *l, struct kit_object *o, const char *dir);
// From the object's on_session(): what kind of session there is.
void ledger_on_session(struct ledger *l, const struct reeve_session *s);
// From the object's on_close(): what was not sent is CANCELLED, what was sent has its answer still
// to come, and then the ledger goes.
void ledger_close(struct ledger *l);
void ledger_fini(struct ledger *l);

// In the order given. done() may come from inside. NO_NODE: also if dir is not there, which is the
// caller's to make.
void ledger_write(struct ledger *l, struct ledger_write *w);
