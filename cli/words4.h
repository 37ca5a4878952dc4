// SPDX-License-Identifier: Apache-2.0
//
// Four letter words: a client of ZooKeeper's oldest interface. One connection for each question,
// four bytes there, text back until the server closes. It needs no session, so it works on a server
// that serves nobody.
//
// All questions are asked at once, each on a thread of its own, because names are looked up by
// blocking calls; whoever does not answer in time is left behind (its thread ends by itself).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cli;

enum {
    WORDS4_HOST_MAX = 256,
    WORDS4_WHY_MAX = 160,
    WORDS4_MAX = 256,                     // questions at once
    WORDS4_ANSWER_MAX = 64 * 1024 * 1024, // cons of a hundred thousand connections
};

struct words4_server {
    char host[WORDS4_HOST_MAX]; // without brackets
    uint16_t port;
};

struct words4 {
    struct words4_server to;
    char word[5];
    // Out.
    char *answer; // NULL: there was none, and why says why; else to be freed
    size_t answer_n;
    char why[WORDS4_WHY_MAX];
};

// Asks all and waits for the answers, for Ctrl-C (false), or timeout_ms. n up to WORDS4_MAX.
bool words4_ask(struct cli *c, struct words4 *v, size_t n, int timeout_ms);
void words4_fini(struct words4 *v, size_t n); // the answers

// The servers of "host:port,[::1]:port,host/chroot"; a port left out is 2181. Returns how many, at
// most max; -1: it does not parse.
int words4_servers(const char *list, struct words4_server *v, int max);
// "host:port", with brackets around what has colons.
char *words4_name(const struct words4_server *s, char *text, size_t n);
// The server said that this word is not allowed.
bool words4_refused(const char *answer);
