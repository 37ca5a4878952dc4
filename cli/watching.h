// SPDX-License-Identifier: Apache-2.0
//
// Follows the events of a node or a subtree, in their order, each with the size of the node's data
// as it is by then. One persistent watch; where the server knows none (before 3.6), one-shot
// watches, set again at each event: then events that follow each other closely come as one.
//
// While it is there the shell's hook is its own. Events of other watches of the shell are printed
// as ever.
#pragma once

#include "cli/cli.h"

struct watching_event {
    enum reeve_event_type type; // not ENDED
    const char *path;
    int64_t time_ms; // of this machine's clock, since 1970
    bool has_size;   // created and changed, and it was still there
    int32_t size;
};

typedef void watching_fn(struct cli *c, void *ctx, const struct watching_event *ev);

struct watching;
// CLI_OK, or it said why not; *w is to be given to watching_end() in both cases.
int watching_begin(struct cli *c, const char *path, bool recursive, watching_fn *fn, void *ctx,
                   struct watching **w);
// To be called after each cli_turn(). Not CLI_OK: it said what went wrong.
int watching_step(struct watching *w);
bool watching_ended(const struct watching *w); // the session took the watch along
void watching_end(struct watching **w);
