// SPDX-License-Identifier: Apache-2.0
//
// A subtree as JSON, the form that `export` and `snapshot --json` write and `import` reads:
//
//     {..., "nodes": [
//     {"path": "/app", "data": "text", "encoding": "utf-8", "acl": [{"scheme": ...}], ...},
//     ...]}
//
// - path: absolute; parents stand before their children.
// - data and encoding: "utf-8", "base64", "hex", or data null and "null": the node's data is null.
// - acl: [{"scheme", "id", "perms": "cdrwa"}], as it was stored; left out: everybody everything.
// - "ephemeral": true, "container": true, "ttl_ms": N where it is such a node. Of the last two only
//   snapshots know: servers do not tell clients.
// - stat: for people; not read.
// Members that are not named here are ignored, inside and outside of "nodes". A bare array of nodes
// is read as well.
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "cli/cli.h"

struct dump_node {
    char *path;
    void *data; // NULL: null
    size_t data_len;
    struct reeve_acl *acl; // one piece of memory but the strings; NULL: everybody
    size_t acl_n;
    bool ephemeral, container;
    int64_t ttl_ms;
};

// The object of a node. acl may be NULL.
json_t *dump_encode(const char *path, const struct reeve_result *data,
                    const struct reeve_result *acl);
// False: why says what is wrong. To be given to dump_node_fini() in both cases.
bool dump_decode(const json_t *v, struct dump_node *n, char *why, size_t why_size);
void dump_node_fini(struct dump_node *n);

// Reads node after node, so that a file of any size can be read.
struct dump_reader {
    FILE *from;
    enum { DUMP_START, DUMP_NODES, DUMP_ENDED } state;
    bool failed;
    char why[200];
};
// The next one: a new reference. NULL: that was all, or failed and why.
json_t *dump_next(struct dump_reader *r);
