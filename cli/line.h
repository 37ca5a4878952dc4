// SPDX-License-Identifier: Apache-2.0
//
// The line editor of the interactive shell: libedit with a history in a file, completion, a prompt
// that tells the server and the state, and watch events printed above the line being written.
//
// The history (recall.h) is ~/.reeve_history; REEVE_HISTORY names another file, or none if empty.
// Lines that begin with a space are not kept, and addauth, which has a password in it, only for
// this shell.
#pragma once

struct cli;
struct line;

struct line *line_new(struct cli *c);
void line_free(struct line **l);

// Reads lines and runs them until quit or the end of input. Returns the exit code.
int line_run(struct line *l);

// While a line is being written: takes it off the screen, and puts it there again below what was
// printed since. Nothing otherwise; l may be NULL.
void line_hide(struct line *l);
void line_show(struct line *l);
