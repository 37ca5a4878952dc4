// SPDX-License-Identifier: Apache-2.0
//
// Moves money from one account to another: all of it or nothing, and exactly once, whatever becomes
// of the connection.
//
//     multi HOSTS FROM TO AMOUNT        multi 127.0.0.1:2181 /bank/ann /bank/bob 5
//
// The accounts are nodes whose data is a number. Three things happen in one multi: both accounts
// change, provided nobody else has changed them since they were read, and a node with a name of our
// own is created beside the first account. When the answer to the multi is lost, that node tells
// whether it was executed.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <reeve/reeve.h>

struct account {
    const char *path;
    int64_t money;
    int32_t version;
};

static enum reeve_error look(struct reeve *zk, struct account *a)
{
    struct reeve_result r;
    char text[300];
    enum reeve_error e = reeve_get(zk, a->path, NULL, &r);
    if (e) {
        fprintf(stderr, "%s\n", reeve_result_text(&r, text, sizeof(text)));
    } else {
        a->money = r.data ? strtoll(r.data, NULL, 10) : 0;
        a->version = r.stat.version;
    }
    reeve_result_fini(&r);
    return e;
}

static enum reeve_error move_once(struct reeve *zk, struct account *from, struct account *to,
                                  int64_t amount, const char *receipt)
{
    char less[24], more[24];
    int less_n = snprintf(less, sizeof(less), "%" PRId64, from->money - amount);
    int more_n = snprintf(more, sizeof(more), "%" PRId64, to->money + amount);
    struct reeve_multi *m = reeve_multi_new(zk);
    reeve_multi_create(m, receipt, NULL, 0, REEVE_PERSISTENT);
    reeve_multi_set(m, from->path, less, (size_t)less_n, from->version);
    reeve_multi_set(m, to->path, more, (size_t)more_n, to->version);
    enum reeve_error e = reeve_multi_commit(m, NULL); // NO_MEMORY of any step above, too
    reeve_multi_free(&m);
    return e;
}

static enum reeve_error move(struct reeve *zk, struct account *from, struct account *to,
                             int64_t amount)
{
    char guid[33], receipt[300];
    reeve_guid(zk, guid);
    snprintf(receipt, sizeof(receipt), "%s-receipt-%s", from->path, guid);
    for (;;) {
        enum reeve_error e = look(zk, from);
        e = e ? e : look(zk, to);
        if (e) {
            return e;
        }
        if (from->money < amount) {
            fprintf(stderr, "there are only %" PRId64 " at %s\n", from->money, from->path);
            return REEVE_CANCELLED;
        }
        e = move_once(zk, from, to, amount, receipt);
        if (e == REEVE_CONNECTION_LOSS && reeve_exists(zk, receipt, NULL, NULL) == REEVE_OK) {
            return REEVE_OK; // it was executed, only the answer is lost
        }
        if (e != REEVE_CONNECTION_LOSS && e != REEVE_BAD_VERSION) {
            return e;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: multi HOSTS FROM TO AMOUNT\n");
        return 2;
    }
    struct reeve *zk;
    struct reeve_options o = {.servers = argv[1]};
    enum reeve_error e = reeve_new(&zk, &o); // no thread: the calls do all there is to do
    if (!e) {
        struct account from = {.path = argv[2]}, to = {.path = argv[3]};
        e = move(zk, &from, &to, strtoll(argv[4], NULL, 10));
        reeve_close(&zk);
    }
    printf("%s\n", reeve_error_text(e));
    return e ? 1 : 0;
}
