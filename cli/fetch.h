// SPDX-License-Identifier: Apache-2.0
//
// Reads the data, and the access control lists if asked for, of many nodes of a subtree: a bounded
// number of requests at a time, and gives them out in the order that was asked for. A node's data
// is held only until it was given out, so that a tree of any size can be read.
#pragma once

#include "cli/subtree.h"

struct fetched {
    size_t i;                        // which node of the subtree
    const char *path;                // whole
    const struct reeve_result *data; // of a GET; look at its error
    const struct reeve_result *acl;  // of a GET_ACL, NULL if not asked for
};

// Called on the main thread, and may make requests. False: no more is wanted, and fetch_nodes()
// returns CLI_OK.
typedef bool fetch_fn(struct cli *c, void *ctx, const struct fetched *n);

// which: indexes of nodes, NULL: all n, from the root on. CLI_OK, or what it said (no connection)
// or Ctrl-C. A node that has gone or may not be read is no failure of it.
int fetch_nodes(struct cli *c, const struct subtree *w, const size_t *which, size_t n, bool acl,
                fetch_fn *fn, void *ctx);

// What to do with one that was not read: false: it has gone; true: it is to be used, or *code is
// set and it was said why (NO_AUTH, and a digest that only administrators may see).
bool fetch_usable(struct cli *c, const struct fetched *n, int *code);
