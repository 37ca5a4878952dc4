// SPDX-License-Identifier: Apache-2.0
#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "cli/notes.h"

// What handlers may touch; the only state of the shell outside struct cli but the list of requests.
static volatile sig_atomic_t interrupted, resized, wake = -1;

static void on_signal(int number)
{
    int saved = errno;
    if (number == SIGINT) {
        if (interrupted) {
            _exit(130);
        }
        interrupted = 1;
    } else {
        resized = 1;
    }
    notes_wake((int)wake);
    errno = saved;
}

void signals_init(int wake_fd)
{
    wake = wake_fd;
    struct sigaction sa = {.sa_handler = on_signal};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGWINCH, &sa, NULL);
}

static bool take(volatile sig_atomic_t *flag)
{
    bool was = *flag;
    *flag = 0;
    return was;
}

bool signals_take_interrupt(void)
{
    return take(&interrupted);
}

bool signals_take_resize(void)
{
    return take(&resized);
}
