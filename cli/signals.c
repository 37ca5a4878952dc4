// SPDX-License-Identifier: Apache-2.0
#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "cli/notes.h"

// What handlers may touch, and the only state of the shell outside struct cli.
static volatile sig_atomic_t interrupted, ended, resized, stopped, held, wake = -1;

static void on_signal(int number)
{
    int saved = errno;
    switch (number) {
    case SIGINT:
    case SIGTERM:
    case SIGHUP:
        if (number == SIGINT ? interrupted : ended) {
            _exit(128 + number);
        }
        *(number == SIGINT ? &interrupted : &ended) = number;
        break;
    case SIGTSTP:
        if (!held) {
            signals_stop();
        }
        stopped = held;
        break;
    default:
        resized = 1;
        break;
    }
    notes_wake((int)wake);
    errno = saved;
}

void signals_init(int wake_fd)
{
    wake = wake_fd;
    struct sigaction sa = {.sa_handler = on_signal};
    sigemptyset(&sa.sa_mask);
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction before;
        // Who started it may want it to live on (nohup).
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
            sigaction(numbers[i], &sa, NULL);
        }
    }
}

static int take(volatile sig_atomic_t *flag)
{
    int was = *flag;
    *flag = 0;
    return was;
}

bool signals_take_interrupt(void)
{
    return take(&interrupted) != 0;
}

int signals_take_end(void)
{
    return take(&ended);
}

bool signals_take_resize(void)
{
    return take(&resized) != 0;
}

bool signals_take_stop(void)
{
    return take(&stopped) != 0;
}

void signals_hold_stop(bool hold)
{
    held = hold;
}

void signals_stop(void)
{
    kill(getpid(), SIGSTOP);
}
