// SPDX-License-Identifier: Apache-2.0
#include "cli/words4.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"

enum { PORT_DEFAULT = 2181, READ_BYTES = 64 * 1024 };

// One round of questions. It lives until nobody needs it: the asker and each thread hold it.
struct round {
    pthread_mutex_t mutex; // guards what threads and the asker share: `left`, and `open` answers
    int event;             // readable when all have answered
    atomic_uint holders;
    size_t left;
    int64_t deadline_ms;
    struct question {
        struct round *round;
        struct words4 q;
        bool done;
    } * questions;
    size_t n;
};

static void drop(struct round *r)
{
    if (atomic_fetch_sub(&r->holders, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        free(r->questions[i].q.answer);
    }
    free(r->questions);
    close(r->event);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

static bool wait_for(int fd, short events, int64_t until_ms)
{
    for (;;) {
        int64_t left = until_ms - cli_now_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int n = left <= 0 ? 0 : poll(&p, 1, (int)left);
        if (n >= 0 || errno != EINTR) {
            return n > 0;
        }
    }
}

// ---- one question -------------------------------------------------------------------------------

// A connected socket, or -1 and why not.
static int connect_one(const struct addrinfo *a, int64_t until_ms, char *why)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen)) {
        error = errno;
    }
    if (error == EINPROGRESS) {
        socklen_t n = sizeof(error);
        if (!wait_for(fd, POLLOUT, until_ms)) {
            error = ETIMEDOUT;
        } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n)) {
            error = errno;
        }
    }
    if (error == 0) {
        return fd;
    }
    if (error == ETIMEDOUT) {
        snprintf(why, WORDS4_WHY_MAX, "no connection in time");
    } else {
        strerror_r(error, why, WORDS4_WHY_MAX);
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

// Each address gets its share of the time, so that one that is silent does not eat that of others.
static int connect_any(const struct words4 *q, int64_t deadline_ms, char *why)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", q->to.port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    int e = getaddrinfo(q->to.host, port, &hints, &list);
    if (e) {
        snprintf(why, WORDS4_WHY_MAX, "its name is not known: %s", gai_strerror(e));
        return -1;
    }
    int fd = -1, left = 0;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        left++;
    }
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next, left--) {
        int64_t now = cli_now_ms();
        fd = connect_one(a, now + (deadline_ms - now) / left, why);
    }
    freeaddrinfo(list);
    return fd;
}

static void read_answer(int fd, struct words4 *q, int64_t deadline_ms)
{
    char *p = NULL;
    size_t n = 0, cap = 0;
    for (;;) {
        if (cap - n < READ_BYTES) {
            cap = cap ? 2 * cap : 2 * READ_BYTES;
            p = cli_grow(p, cap);
        }
        ssize_t got = recv(fd, p + n, READ_BYTES, 0);
        if (got > 0 && n + (size_t)got < WORDS4_ANSWER_MAX) {
            n += (size_t)got;
            continue;
        }
        if (got > 0) {
            snprintf(q->why, sizeof(q->why), "its answer is too long");
            break;
        }
        if (got == 0 || (errno == ECONNRESET && n > 0)) {
            p[n] = '\0';
            q->answer = p;
            q->answer_n = n;
            return;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN) {
            strerror_r(errno, q->why, sizeof(q->why));
            break;
        }
        if (!wait_for(fd, POLLIN, deadline_ms)) {
            snprintf(q->why, sizeof(q->why), "it does not answer");
            break;
        }
    }
    free(p);
}

static void *ask_one(void *ctx)
{
    struct question *question = ctx;
    struct round *r = question->round;
    struct words4 mine = question->q;
    int fd = connect_any(&mine, r->deadline_ms, mine.why);
    if (fd >= 0) {
        if (send(fd, mine.word, 4, MSG_NOSIGNAL) == 4) {
            read_answer(fd, &mine, r->deadline_ms);
        } else {
            strerror_r(errno, mine.why, sizeof(mine.why));
        }
        close(fd);
    }
    pthread_mutex_lock(&r->mutex);
    question->q = mine;
    question->done = true;
    r->left--;
    bool last = r->left == 0;
    pthread_mutex_unlock(&r->mutex);
    uint64_t one = 1;
    if (last && write(r->event, &one, sizeof(one)) < 0) {
        abort(); // an eventfd that is open takes a one
    }
    drop(r);
    return NULL;
}

// ---- all of them --------------------------------------------------------------------------------

static struct round *begin(const struct words4 *v, size_t n, int timeout_ms)
{
    struct round *r = cli_alloc(sizeof(*r));
    pthread_mutex_init(&r->mutex, NULL);
    r->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_init(&r->holders, 1);
    r->deadline_ms = cli_now_ms() + timeout_ms;
    r->questions = cli_alloc(n * sizeof(*r->questions));
    r->n = r->left = n;
    for (size_t i = 0; i < n; i++) {
        r->questions[i] = (struct question){.round = r, .q = v[i]};
        snprintf(r->questions[i].q.why, WORDS4_WHY_MAX, "its name is not found in time");
    }
    return r;
}

static void start(struct round *r)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 256 * 1024);
    for (size_t i = 0; i < r->n; i++) {
        pthread_t thread;
        atomic_fetch_add(&r->holders, 1);
        if (pthread_create(&thread, &attr, ask_one, &r->questions[i])) {
            pthread_mutex_lock(&r->mutex);
            snprintf(r->questions[i].q.why, WORDS4_WHY_MAX, "the system gives no thread");
            r->left--;
            pthread_mutex_unlock(&r->mutex);
            drop(r);
        }
    }
    pthread_attr_destroy(&attr);
}

static size_t still_open(struct round *r)
{
    pthread_mutex_lock(&r->mutex);
    size_t left = r->left;
    pthread_mutex_unlock(&r->mutex);
    return left;
}

bool words4_ask(struct cli *c, struct words4 *v, size_t n, int timeout_ms)
{
    struct round *r = begin(v, n, timeout_ms);
    start(r);
    while (still_open(r) > 0 && !c->interrupted) {
        int64_t left = r->deadline_ms + 50 - cli_now_ms(); // threads end at the deadline, too
        if (left <= 0) {
            break;
        }
        cli_turn(c, r->event, (int)left);
    }
    pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; i < n; i++) {
        struct question *q = &r->questions[i];
        v[i] = q->q;
        if (q->done) {
            q->q.answer = NULL; // the caller's now
        } else {
            v[i].answer = NULL;
        }
    }
    pthread_mutex_unlock(&r->mutex);
    drop(r);
    return !c->interrupted;
}

void words4_fini(struct words4 *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(v[i].answer);
        v[i].answer = NULL;
    }
}

// ---- names --------------------------------------------------------------------------------------

static bool parse_one(const char *s, size_t n, struct words4_server *to)
{
    const char *host = s, *end = s + n, *colon = NULL;
    size_t host_n = n;
    if (n > 0 && s[0] == '[') {
        const char *bracket = memchr(s, ']', n);
        if (!bracket) {
            return false;
        }
        host = s + 1;
        host_n = (size_t)(bracket - host);
        colon = bracket + 1 < end ? bracket + 1 : NULL;
        if (colon && *colon != ':') {
            return false;
        }
    } else {
        for (const char *p = s; p < end; p++) {
            colon = *p == ':' ? p : colon;
        }
        host_n = colon ? (size_t)(colon - s) : n;
    }
    int64_t port = PORT_DEFAULT;
    if (colon) {
        char digits[8] = "";
        size_t digits_n = (size_t)(end - colon) - 1;
        if (digits_n >= sizeof(digits)) {
            return false;
        }
        memcpy(digits, colon + 1, digits_n);
        if (!parse_i64(digits, 1, 65535, &port)) {
            return false;
        }
    }
    if (host_n == 0 || host_n >= sizeof(to->host)) {
        return false;
    }
    memcpy(to->host, host, host_n);
    to->host[host_n] = '\0';
    to->port = (uint16_t)port;
    return true;
}

int words4_servers(const char *list, struct words4_server *v, int max)
{
    size_t n = strcspn(list, "/");
    int found = 0;
    for (size_t at = 0; at <= n && found < max;) {
        size_t part = strcspn(list + at, ",/");
        while (part > 0 && list[at] == ' ') {
            at++;
            part--;
        }
        size_t len = part;
        while (len > 0 && list[at + len - 1] == ' ') {
            len--;
        }
        if (!parse_one(list + at, len, &v[found])) {
            return -1;
        }
        found++;
        at += part + 1;
    }
    return found;
}

char *words4_name(const struct words4_server *s, char *text, size_t n)
{
    bool colons = strchr(s->host, ':') != NULL;
    snprintf(text, n, "%s%s%s:%u", colons ? "[" : "", s->host, colons ? "]" : "", s->port);
    return text;
}

bool words4_refused(const char *answer)
{
    return strstr(answer, "is not executed because it is not in the whitelist") != NULL;
}
