// SPDX-License-Identifier: Apache-2.0
//
// Ctrl-C and changes of the terminal's size, noted by handlers and taken by the main thread.
#pragma once

#include <stdbool.h>

// The handlers write to the eventfd wake_fd. A second Ctrl-C while the first was not taken ends the
// program at once: it hangs.
void signals_init(int wake_fd);
bool signals_take_interrupt(void); // since the last call
bool signals_take_resize(void);
