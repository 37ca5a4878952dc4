// SPDX-License-Identifier: Apache-2.0
//
// Reads the annotated captures of test/golden/disk/wire/*.txt: the bytes of one message after the
// other, with the line that says when, where and which way it went.
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"

struct capture {
    FILE *file;
    char line[4096];
    char head[4096]; // "t=4.2  connection 10 (election port of server 1)  dialer --> acceptor ...",
                     // or "learner --> leader ..." of a scripted learner
    struct buf bytes;
    int connection;
    bool by_dialer; // the dialer sent it
};

void capture_open(struct capture *c, const char *path); // fails the test if it cannot
void capture_close(struct capture *c);
bool capture_next(struct capture *c); // false: no more
