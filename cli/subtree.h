// SPDX-License-Identifier: Apache-2.0
//
// Reads a subtree: names and stats, and data if asked for, many requests at a time. It is no
// snapshot: nodes may come and go meanwhile; what went is left out.
#pragma once

#include "cli/cli.h"

enum subtree_what {
    SUBTREE_NAMES = 0,
    SUBTREE_DATA = 1,  // data and stat of the node at the moment it was read
    SUBTREE_WATCH = 2, // sets one-shot watches for children, and for the root's data
};

enum { SUBTREE_NODES_MAX = 20000000 }; // beyond that a listing is refused

struct asked;
struct subtree_node {
    size_t parent;          // of the root: 0
    size_t depth;           // of the root: 0
    size_t first, n;        // its children, in order of their names
    char *name;             // of the root: the path
    enum reeve_error error; // OK; NO_NODE: it went; NO_AUTH: what is below it may not be seen
    bool has_stat, has_data;
    struct reeve_stat stat;
    void *data; // NULL with has_data: null
    size_t data_len;
};

// Nodes in order of their depth; [0] is the root, children stand behind their parents.
struct subtree {
    struct cli *c;
    struct subtree_node *node;
    size_t n, cap;
    unsigned what;
    size_t depth_max;       // nodes there have a stat, but their children are not asked for
    size_t asked, answered; // of the nodes, from the first on
    size_t reads, reads_max;
    size_t refused; // nodes with NO_AUTH
    bool failed;
    int code; // enum cli_exit
    struct asked *free_slots;
};

// CLI_OK, or it said why not: there is no such root, no connection, Ctrl-C. Nodes that may not be
// read are no failure: see `refused`. Give w to subtree_fini() in any case.
int subtree_load(struct cli *c, const char *root, unsigned what, struct subtree *w);
// The same to a depth only: 0 is the root alone.
int subtree_load_depth(struct cli *c, const char *root, unsigned what, size_t depth_max,
                       struct subtree *w);
void subtree_fini(struct subtree *w);

// The whole path of a node. To be freed.
char *subtree_path(const struct subtree *w, size_t i);

// Goes depth first. Each call gives the next node, its parent before it and the smaller name first.
// {0} begins with the root. False: that was all. To be given to subtree_order_fini().
struct subtree_order {
    size_t *stack, n, cap;
    bool begun;
};
bool subtree_next(const struct subtree *w, struct subtree_order *o, size_t *i);
void subtree_order_fini(struct subtree_order *o);
