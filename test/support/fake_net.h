// SPDX-License-Identifier: Apache-2.0
//
// The network of a fake env: it only remembers. Listeners, dials and connections are rows that the
// test looks at; what becomes of a dial, what comes in on a connection and when it ends, the test
// says by the env events it gives to the server. Names: a small table, see fake_net.c.
#pragma once

#include "env.h"

enum { FAKE_CONNS = 64, FAKE_LISTENERS = 16, FAKE_DIALS = 32 };

struct fake_conn {
    bool used;    // from the accept or dial to its ENV_CLOSED
    bool closing; // the server has closed it; its ENV_CLOSED has not been given yet
    bool paused;
    bool slow;       // what is sent stays unsent
    struct buf sent; // everything, in order
    size_t unsent;   // of it
    size_t read;     // of it, looked at by the test
};

struct fake_listener {
    bool open;
    struct net_addr at;
};

struct fake_dial {
    bool open; // neither answered nor forgotten
    uint64_t dial;
    char host[64]; // of its first target
    uint16_t port;
    size_t targets;
};

struct fake_net {
    struct fake_conn conns[FAKE_CONNS]; // 0 is never used
    struct fake_listener listeners[FAKE_LISTENERS];
    struct fake_dial dials[FAKE_DIALS];
    size_t dialed;        // so far
    uint16_t taken_port;  // somebody else listens there; 0: none
    struct mono timer_at; // INT64_MAX: none
    uint16_t next_port;   // of what listens on port 0
};

void fake_net_init(struct fake_net *n, struct env_ops *ops);
void fake_net_fini(struct fake_net *n);
uint32_t fake_net_conn(struct fake_net *n);            // a new connection's number
void fake_net_gone(struct fake_net *n, uint32_t conn); // its ENV_CLOSED is being given
bool fake_net_listener(const struct fake_net *n, uint16_t port, uint32_t *listener);
struct fake_dial *fake_net_dial(struct fake_net *n, uint16_t port); // an open one; NULL: none
size_t fake_net_conns(const struct fake_net *n);                    // that are not gone
size_t fake_net_listeners(const struct fake_net *n);                // that are open
size_t fake_net_dials(const struct fake_net *n);                    // that are open
