// SPDX-License-Identifier: Apache-2.0
//
// Any number of these may run; one of them works at a time. When it ends, dies or is cut off,
// another one goes on with the work, until SIGINT or SIGTERM.
//
//     worker HOSTS NAME                 worker 127.0.0.1:2181 host-7
//
// The work is to count: once a second, in a node. Each result carries the token of the leader that
// wrote it. A leader that was paused (by the system, by a debugger) may wake up and not know yet
// that another one leads: it sees a higher token, or finds that the node has changed since it
// looked, and does nothing.
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include <reeve/election.h>

static const char result_path[] = "/worker-result";
static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

// One piece of work, unless a later leader has been here.
static void work(struct reeve *zk, const char *name, int64_t token)
{
    struct reeve_result r;
    int64_t count = 0, writer = 0;
    enum reeve_error e = reeve_get(zk, result_path, NULL, &r);
    if (!e && r.data) {
        sscanf(r.data, "%" SCNd64 " %" SCNd64, &count, &writer);
    }
    int32_t version = r.stat.version;
    reeve_result_fini(&r);
    if (writer > token) {
        return;
    }
    char text[200];
    int n = snprintf(text, sizeof(text), "%" PRId64 " %" PRId64 " %s", count + 1, token, name);
    if (e == REEVE_NO_NODE) {
        e = reeve_create(zk, result_path, text, (size_t)n, REEVE_PERSISTENT, NULL);
    } else if (!e) {
        e = reeve_set(zk, result_path, text, (size_t)n, version, NULL);
    }
    printf("%s: %s\n", text, reeve_error_text(e));
    fflush(stdout);
}

static enum reeve_error run(struct reeve *zk, const char *name)
{
    struct reeve_election *election;
    struct reeve_election_options o = {.id = name};
    enum reeve_error e = reeve_election_new(&election, zk, "/worker-leader", &o);
    if (e) {
        return e;
    }
    e = reeve_election_join(election);
    while (!e && !ended) {
        int64_t token;
        e = reeve_election_wait(election, 500, &token);
        if (e == REEVE_OPERATION_TIMEOUT) {
            e = REEVE_OK; // somebody else leads
            continue;
        }
        while (!e && !ended && reeve_election_token(election) == token) {
            work(zk, name, token);
            nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        }
    }
    reeve_election_free(&election); // the next one may begin at once
    return e;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: worker HOSTS NAME\n");
        return 2;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    struct reeve *zk;
    struct reeve_options o = {.servers = argv[1]};
    enum reeve_error e = reeve_new(&zk, &o);
    if (!e) {
        e = reeve_start(zk);
        e = e ? e : run(zk, argv[2]);
        reeve_close(&zk);
    }
    fprintf(stderr, "worker: %s\n", reeve_error_text(e));
    return e ? 1 : 0;
}
