// SPDX-License-Identifier: Apache-2.0
//
// Ctrl-C, the end that others ask for, Ctrl-Z and changes of the terminal's size, noted by handlers
// and taken by the main thread.
#pragma once

#include <stdbool.h>

// The handlers write to the eventfd wake_fd. A second Ctrl-C or request to end while the first was
// not taken ends the program at once: it hangs.
void signals_init(int wake_fd);
bool signals_take_interrupt(void); // since the last call
int signals_take_end(void);        // SIGTERM or SIGHUP, 0: none
bool signals_take_resize(void);

// While the line editor has the terminal, Ctrl-Z is only noted, so that it can be given back before
// signals_stop(); else the process stops at once.
void signals_hold_stop(bool hold);
bool signals_take_stop(void);
void signals_stop(void); // returns when the shell goes on
