// SPDX-License-Identifier: Apache-2.0
//
// A program that the shell runs: started, signalled, waited for through a descriptor, and the
// signals that the shell itself gets meanwhile, which are passed on.
//
// Where standard input is no terminal the program gets a process group of its own, and signals go
// to all of it, so that nothing it has started outlives it. On a terminal it stays in the shell's
// group: the terminal's keys (Ctrl-C) reach it by themselves, and it may read from the terminal.
// Should the shell itself be killed, the system ends the program (not what it has started).
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct job {
    pid_t pid; // 0: none
    int fd;    // readable: it has ended
    bool group;
    bool ended;
    int status; // of waitpid()
};

// With NAME=VALUE added to its environment. 0, or errno: ENOENT is no such program.
int job_start(struct job *j, char *const *argv, const char *name, const char *value);
void job_signal(struct job *j, int number); // nothing, once it has ended
bool job_reap(struct job *j);               // true: it has ended
// As sh(1) says it: the exit code, or 128 and the signal.
int job_code(const struct job *j);
void job_fini(struct job *j); // it has ended, or was never started

// From begin to end SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 are noted and do nothing
// else. Returns a descriptor that is readable when one has come.
int job_signals_begin(void);
// The next one, 0: none. from_terminal: the terminal has sent it, to the whole process group.
int job_signals_next(bool *from_terminal);
void job_signals_end(void);
