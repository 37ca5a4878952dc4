// SPDX-License-Identifier: Apache-2.0
//
// struct hosts: the servers a client may connect to, and in which order it tries them.
//
// Servers are tried in rounds: hosts_next() gives each once, starting behind the one given last;
// when all have been tried the round has failed and hosts_backoff_ms() says how long to wait before
// the next one. A server that was tried but not waited for (another was faster) is given back. Each
// remembers why it failed last, for the one who asks why there is no connection.
//
// A new list keeps the client where it is, unless its server is not in it or the clients of all
// servers must be spread anew: the rule of ZooKeeper's StaticHostProvider.updateServerList.
//
// Memory: one array, replaced as a whole by a new list; a list that does not parse changes nothing.
#pragma once

#include "base/rng.h"
#include "client/alloc.h"

enum {
    HOSTS_MAX = 256,                           // each connect may walk them all
    HOST_NAME_MAX = 255,                       // what DNS allows, and any address
    HOST_TEXT_MAX = HOST_NAME_MAX + 2 + 6 + 1, // brackets, port, NUL
    HOST_WHY_MAX = 96,
    HOSTS_PORT = 2181,
    HOSTS_BACKOFF_MIN_MS = 50,
    HOSTS_BACKOFF_MAX_MS = 1000
};

struct host {
    char name[HOST_NAME_MAX + 1]; // without brackets
    uint16_t port;
    bool tried;             // in this round
    bool added;             // it was not in the list before
    char why[HOST_WHY_MAX]; // it failed last; "": it did not
};

struct hosts {
    struct reeve_allocator allocator;
    struct rng *rng;
    bool shuffle;
    struct host *list;
    size_t n, at;    // at: the next to be tried, if it was not yet
    unsigned rounds; // failed without a success between
    // After a list that moves clients: added ones are preferred with new_num of new_den.
    bool balancing;
    uint64_t new_num, new_den;
};

// text: "a,b:1,[::1]:2/chroot". *chroot is "" or a path, for alloc_put(). BAD_ARGUMENTS (`why` says
// what is wrong), NO_MEMORY. rng is borrowed for good.
enum reeve_error hosts_init(struct hosts *h, const struct reeve_allocator *a, struct rng *rng,
                            bool shuffle, const char *text, char **chroot, char *why, size_t why_n);
void hosts_fini(struct hosts *h);

// Another list, without a chroot. current: the server in use, or used last; name NULL: none ever.
// *move: the client is to leave it. Errors as above.
enum reeve_error hosts_update(struct hosts *h, const char *text, const char *name, uint16_t port,
                              bool *move, char *why, size_t why_n);

const struct host *hosts_next(struct hosts *h); // NULL: all have been tried in this round
bool hosts_left(const struct hosts *h);         // some have not been tried in this round
// The next one other than this, for a probe; nothing is marked. NULL: there is no other.
const struct host *hosts_other(struct hosts *h, size_t *cursor, const char *name, uint16_t port);
void hosts_give_back(struct hosts *h, const char *name, uint16_t port);
void hosts_failed(struct hosts *h, const char *name, uint16_t port, const char *why);
// It shall be the next one.
void hosts_prefer(struct hosts *h, const char *name, uint16_t port);
// A connection was of use: the next round begins anew, without waiting,
void hosts_settled(struct hosts *h);
// and behind this one, which has just been lost.
void hosts_lost(struct hosts *h, const char *name, uint16_t port);
// A round has failed: how long to wait. The next round begins.
int64_t hosts_backoff_ms(struct hosts *h);

// "no server: a:2181: connection refused; b:2181: ..." cut to n.
void hosts_why(const struct hosts *h, char *text, size_t n);
// "a:2181" or "[::1]:2181".
void host_fmt(const char *name, uint16_t port, char text[HOST_TEXT_MAX]);
