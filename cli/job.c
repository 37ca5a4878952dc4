// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // pipe2, execvpe
#include "cli/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/mem.h"

// The environment and one more; of a name that is there the new value counts.
static char **with_variable(const char *name, const char *value)
{
    size_t n = 0, len = strlen(name), to = 0;
    while (environ[n]) {
        n++;
    }
    char **env = cli_alloc((n + 2) * sizeof(*env));
    for (size_t i = 0; i < n; i++) {
        if (strncmp(environ[i], name, len) != 0 || environ[i][len] != '=') {
            env[to++] = environ[i];
        }
    }
    struct string t = {0};
    string_addf(&t, "%s=%s", name, value);
    env[to] = t.s;
    return env;
}

static void free_variable(char **env)
{
    size_t n = 0;
    while (env[n]) {
        n++;
    }
    free(env[n - 1]);
    free(env);
}

// Between fork and exec. Handlers fall away by exec; what was ignored or blocked does not.
static void become(const struct job *j, char *const *argv, char **env, pid_t parent, int report)
{
    if (j->group) {
        setpgid(0, 0);
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent) { // else it was killed before the line above
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        execvpe(argv[0], argv, env);
    }
    int e = errno;
    ssize_t written = write(report, &e, sizeof(e));
    (void)written;
    _exit(127);
}

int job_start(struct job *j, char *const *argv, const char *name, const char *value)
{
    *j = (struct job){.fd = -1, .group = !isatty(STDIN_FILENO)};
    int report[2], e = 0;
    if (pipe2(report, O_CLOEXEC) != 0) {
        return errno;
    }
    char **env = with_variable(name, value);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(j, argv, env, parent, report[1]);
    }
    e = pid < 0 ? errno : 0;
    close(report[1]);
    free_variable(env);
    // Nothing is written if exec succeeds: it closes the pipe.
    if (e == 0 && read(report[0], &e, sizeof(e)) == (ssize_t)sizeof(e)) {
        waitpid(pid, NULL, 0);
    } else if (e == 0) {
        j->pid = pid;
        j->fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (j->fd < 0) {
            e = errno;
            job_signal(j, SIGKILL);
            waitpid(pid, NULL, 0);
            j->pid = 0;
        }
    }
    close(report[0]);
    return e;
}

void job_signal(struct job *j, int number)
{
    if (j->pid > 0 && !j->ended) {
        // The group is the child's doing; until it has done so only it itself is there.
        if (!j->group || kill(-j->pid, number) != 0) {
            kill(j->pid, number);
        }
    }
}

bool job_reap(struct job *j)
{
    if (j->pid > 0 && !j->ended) {
        j->ended = waitpid(j->pid, &j->status, WNOHANG) == j->pid;
    }
    return j->ended;
}

int job_code(const struct job *j)
{
    return WIFSIGNALED(j->status) ? 128 + WTERMSIG(j->status) : WEXITSTATUS(j->status);
}

void job_fini(struct job *j)
{
    if (j->fd >= 0) {
        close(j->fd);
    }
    *j = (struct job){.fd = -1};
}

// ---- signals ------------------------------------------------------------------------------------

static const int passed[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
enum { PASSED = sizeof(passed) / sizeof(passed[0]) };

// What the handler may touch.
static int signal_pipe[2] = {-1, -1};
static struct sigaction before[PASSED];

struct noted {
    int number;
    bool from_terminal;
};

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    int saved = errno;
    struct noted n = {.number = number, .from_terminal = info->si_code == SI_KERNEL};
    ssize_t written = write(signal_pipe[1], &n, sizeof(n));
    (void)written; // a full pipe has more of them than anybody can want
    errno = saved;
}

int job_signals_begin(void)
{
    if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        return -1;
    }
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < PASSED; i++) {
        sigaction(passed[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) { // nohup: it stays ignored, by the program as well
            sigaction(passed[i], &sa, NULL);
        }
    }
    return signal_pipe[0];
}

int job_signals_next(bool *from_terminal)
{
    struct noted n;
    if (read(signal_pipe[0], &n, sizeof(n)) != (ssize_t)sizeof(n)) {
        return 0;
    }
    *from_terminal = n.from_terminal;
    return n.number;
}

void job_signals_end(void)
{
    for (size_t i = 0; i < PASSED; i++) {
        sigaction(passed[i], &before[i], NULL);
    }
    close(signal_pipe[0]);
    close(signal_pipe[1]);
    signal_pipe[0] = signal_pipe[1] = -1;
}
