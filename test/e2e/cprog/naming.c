// SPDX-License-Identifier: Apache-2.0
//
// The naming recipes as a program that test_recipes_naming.py talks to: a command per line on
// standard input, answers and events as lines on standard output. Ends in order when the input
// ends.
//
//     register BASE NAME ID ADDRESS PORT WEIGHT     unregister BASE NAME ID
//     find BASE NAME                                follow BASE NAME, then: pick, stale
//     offer URL        withdraw URL                 subscribe URL, then: choose
//     join GROUP TOPIC PARTITIONS ID                commit TOPIC PARTITION N, fetch ..., leave
//     session
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reeve/discovery.h"
#include "reeve/dubbo.h"
#include "reeve/partition.h"

static struct reeve *zk;
static struct reeve_discovery *discovery;
static struct reeve_provider *provider;
static struct reeve_dubbo *dubbo;
static struct reeve_dubbo_subscription *subscription;
static struct reeve_partitions *member;

static void say(const char *what, enum reeve_error e)
{
    printf("%s %s\n", what, e ? reeve_error_name(e) : "OK");
}

// ---- Curator's layout ---------------------------------------------------------------------------

static void on_registration(void *ctx, const struct reeve_instance *i, enum reeve_registration what,
                            enum reeve_error e)
{
    static const char *const names[] = {"again", "lost", "failed"};
    (void)ctx;
    printf("%s %s %s\n", names[what], i->id, e ? reeve_error_name(e) : "OK");
}

static enum reeve_error open_discovery(const char *base)
{
    const struct reeve_discovery_options o = {.changed = on_registration};
    return discovery ? REEVE_OK : reeve_discovery_new(&discovery, zk, base, &o);
}

static void put(char **w)
{
    const struct reeve_pair weight = {"weight", w[6]};
    const struct reeve_instance i = {.name = w[2],
                                     .id = w[3],
                                     .address = w[4],
                                     .port = (int32_t)strtol(w[5], NULL, 10),
                                     .metadata = &weight,
                                     .metadata_n = 1,
                                     .registration_time_ms = 1234567890123,
                                     .uri_spec = "{scheme}://{address}:{port}"};
    enum reeve_error e = open_discovery(w[1]);
    say("registered", e ? e : reeve_discovery_register(discovery, &i, NULL));
}

static void find(char **w)
{
    struct reeve_instances all = {0};
    enum reeve_error e = open_discovery(w[1]);
    e = e ? e : reeve_discovery_find(discovery, w[2], &all);
    printf("found");
    for (size_t i = 0; i < all.n; i++) {
        const struct reeve_instance *one = all.list[i];
        const char *weight = reeve_instance_get(one, "weight");
        char uri[100];
        reeve_instance_uri(one, uri, sizeof(uri));
        printf(" %s,%s,%d,%s,%s", one->id, one->address ? one->address : "-", one->port,
               weight ? weight : "-", uri);
    }
    printf(" %zu %s\n", all.bad, e ? reeve_error_name(e) : "OK");
    reeve_instances_fini(&all);
}

static void pick(void)
{
    const struct reeve_instance *i;
    enum reeve_error e = reeve_provider_get(provider, &i);
    printf("picked %s\n", e ? reeve_error_name(e) : i->id);
    reeve_instance_release(&i);
}

// ---- Dubbo --------------------------------------------------------------------------------------

static void on_notice(void *ctx, const struct reeve_dubbo_notice *n)
{
    (void)ctx;
    printf("%s", n->category);
    for (size_t i = 0; i < n->urls_n; i++) {
        printf(" %s:%d", n->urls[i]->host, n->urls[i]->port);
    }
    printf("%s%s\n", n->empty ? " empty" : "", n->stale ? " stale" : "");
}

static void with_url(const char *verb, const char *text)
{
    const struct reeve_dubbo_url *u = NULL;
    enum reeve_error e = dubbo ? REEVE_OK : reeve_dubbo_new(&dubbo, zk, NULL);
    e = e ? e : reeve_dubbo_url_parse(zk, text, &u);
    if (!e && !strcmp(verb, "offer")) {
        e = reeve_dubbo_register(dubbo, u);
    } else if (!e && !strcmp(verb, "withdraw")) {
        e = reeve_dubbo_unregister(dubbo, u);
    } else if (!e) {
        e = reeve_dubbo_subscribe(&subscription, dubbo, u, false, on_notice, NULL);
    }
    say(verb, e);
    reeve_dubbo_url_release(&u);
}

static void choose(void)
{
    const struct reeve_dubbo_url *u;
    enum reeve_error e = reeve_dubbo_pick(subscription, NULL, &u);
    printf("chosen %s\n", e ? reeve_error_name(e) : u->host);
    reeve_dubbo_url_release(&u);
}

// ---- partitions ---------------------------------------------------------------------------------

static void on_partitions(void *ctx, const struct reeve_partition_event *ev)
{
    static const char *const names[] = {"assigned", "revoked", "gone", "trouble"};
    (void)ctx;
    printf("%s", names[ev->what]);
    for (size_t i = 0; i < ev->n; i++) {
        printf(" %d", ev->list[i].partition);
    }
    printf("%s%s\n", ev->error ? " " : "", ev->error ? reeve_error_name(ev->error) : "");
    if (ev->what == REEVE_PARTITIONS_REVOKED) {
        reeve_partition_released(member, ev->answer);
    }
}

static void join(char **w)
{
    const struct reeve_topic t = {w[2], 1, (int32_t)strtol(w[3], NULL, 10)};
    const struct reeve_partition_options o = {.id = w[4]};
    say("joined", reeve_partition_join(&member, zk, w[1], &t, 1, on_partitions, NULL, &o));
}

static void offsets(char **w)
{
    int64_t offset = w[3] ? strtoll(w[3], NULL, 10) : 0;
    int32_t partition = (int32_t)strtol(w[2], NULL, 10);
    if (w[3]) {
        say("committed", reeve_partition_commit(member, w[1], partition, offset));
    } else {
        enum reeve_error e = reeve_partition_fetch(member, w[1], partition, &offset);
        printf("fetched %" PRId64 " %s\n", offset, e ? reeve_error_name(e) : "OK");
    }
}

// ---- commands -----------------------------------------------------------------------------------

static void session(void)
{
    struct reeve_session s;
    reeve_get_session(zk, &s);
    printf("session %" PRId64 " ", s.id);
    for (int i = 0; i < 16; i++) {
        printf("%02x", s.passwd[i]);
    }
    printf("\n");
}

static void obey(char **w)
{
    const char *verb = w[0];
    if (!strcmp(verb, "register") && w[6]) {
        put(w);
    } else if (!strcmp(verb, "unregister") && w[3]) {
        say("unregistered", reeve_discovery_unregister(discovery, w[2], w[3]));
    } else if (!strcmp(verb, "find") && w[2]) {
        find(w);
    } else if (!strcmp(verb, "follow") && w[2]) {
        enum reeve_error e = reeve_provider_new(&provider, zk, w[1], w[2], NULL);
        say("following", e ? e : reeve_provider_wait(provider, 10000));
    } else if (!strcmp(verb, "pick")) {
        pick();
    } else if (!strcmp(verb, "stale")) {
        printf("stale %d\n", reeve_provider_stale(provider, NULL));
    } else if (w[1] && (!strcmp(verb, "offer") || !strcmp(verb, "withdraw") ||
                        !strcmp(verb, "subscribe"))) {
        with_url(verb, w[1]);
    } else if (!strcmp(verb, "choose")) {
        choose();
    } else if (!strcmp(verb, "join") && w[4]) {
        join(w);
    } else if ((!strcmp(verb, "commit") && w[3]) || (!strcmp(verb, "fetch") && w[2])) {
        offsets(w);
    } else if (!strcmp(verb, "leave")) {
        reeve_partition_leave(&member);
        printf("left\n");
    } else if (!strcmp(verb, "session")) {
        session();
    } else {
        printf("what? %s\n", verb);
    }
}

int main(int argc, char **argv)
{
    struct reeve_options o = {.servers = argc > 1 ? argv[1] : NULL, .session_timeout_ms = 4000};
    char line[4096];
    setvbuf(stdout, NULL, _IOLBF, 0);
    enum reeve_error e = reeve_new(&zk, &o);
    e = e ? e : reeve_start(zk);
    e = e ? e : reeve_wait_connected(zk, 15000);
    say("connected", e);
    while (!e && fgets(line, sizeof(line), stdin)) {
        char *words[8] = {NULL};
        char *save = NULL;
        size_t n = 0;
        for (char *w = strtok_r(line, " \n", &save); w && n < 7; w = strtok_r(NULL, " \n", &save)) {
            words[n++] = w;
        }
        if (n > 0) {
            obey(words);
        }
    }
    reeve_partition_leave(&member);
    reeve_dubbo_unsubscribe(&subscription);
    reeve_dubbo_free(&dubbo);
    reeve_provider_free(&provider);
    reeve_discovery_free(&discovery);
    reeve_close(&zk);
    return e != 0;
}
