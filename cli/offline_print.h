// SPDX-License-Identifier: Apache-2.0
//
// How a run of an offline command tells what it found: results through a buffer to the shell's
// output, sentences to its `say`. An output that takes no more ends the run.
#pragma once

#include "cli/offline.h"
#include "cli/offline_run.h"

struct offline_print {
    const struct offline_shell *sh;
    struct offline o;
    struct buf out;
    bool stop;   // by Ctrl-C, or because nobody can read it
    bool failed; // something could not be read or written
};

// False: said why.
must_check bool offline_print_open(struct offline_print *p, const struct offline_shell *sh);
void offline_print_close(struct offline_print *p);

void offline_print_say(struct offline_print *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void offline_print_fail(struct offline_print *p, const char *path, enum err e); // of a call
void offline_print_flush(struct offline_print *p);
void offline_print_flush_much(struct offline_print *p); // only if it has become much
