// SPDX-License-Identifier: Apache-2.0
//
// The lines that the arrow keys and Ctrl-R bring back, kept in a file from one shell to the next:
// plain text, one line each, readable by its owner alone. Each line is added to the file at once,
// so that shells side by side all leave theirs; a file that has grown beyond twice RECALL_MAX lines
// is cut when it is read. A file that cannot be read or written is no error: nothing is kept then.
//
// It stands in for libedit's own history, whose file has a format of its own and is written as a
// whole at the end.
#pragma once

#include <stddef.h>

#include <histedit.h>

enum { RECALL_MAX = 1000, RECALL_FILE_MAX = 4 << 20 };

struct recall;
struct recall *recall_new(const char *file); // NULL: no file
void recall_free(struct recall **r);
// A line as it was entered. The same as the one before is not taken again, nor an empty one, nor
// one that begins with a space. keep: also in the file.
void recall_add(struct recall *r, const char *line, int keep);

// For el_set(el, EL_HIST, recall_step, r).
int recall_step(void *r, HistEvent *ev, int op, ...);
