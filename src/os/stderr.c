// SPDX-License-Identifier: Apache-2.0
//
// Log lines on stderr: `2026-11-21 10:11:12.345 INFO  message`, local time, one write(2) each, so
// that lines of several threads do not mix. A line that stderr does not take at once (a full pipe
// whose reader has stopped) is lost, and their number is told later: a server does not stop for its
// log.
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

enum { TEXT_MAX = 2200 }; // below PIPE_BUF: a pipe that is ready takes it whole

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; // of what is ready, and `lost`
static unsigned lost;

static bool is_ready(void)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static size_t format(char text[TEXT_MAX], enum log_level level, const char *line)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    struct tm tm;
    localtime_r(&t.tv_sec, &tm);
    size_t n = strftime(text, TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm);
    int m = snprintf(text + n, TEXT_MAX - n, ".%03d %-5s %s", (int)(t.tv_nsec / 1000000),
                     log_level_name(level), line);
    must(m > 0);
    n += (size_t)m;
    if (n > TEXT_MAX - 1) {
        n = TEXT_MAX - 1;
    }
    text[n] = '\n'; // over the closing zero
    return n + 1;
}

void stderr_write_line(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    char text[TEXT_MAX];
    size_t n = format(text, level, line);
    pthread_mutex_lock(&mutex);
    if (lost && is_ready()) {
        char told[TEXT_MAX], what[64];
        snprintf(what, sizeof(what), "%u log lines were lost: stderr was full", lost);
        lost = write(STDERR_FILENO, told, format(told, LOG_WARN, what)) < 0 ? lost : 0;
    }
    if (lost || !is_ready() || write(STDERR_FILENO, text, n) < 0) {
        lost++;
    }
    pthread_mutex_unlock(&mutex);
}
