// SPDX-License-Identifier: Apache-2.0
#include "sim/hostconf.h"

#include <stdio.h>

#include "sim/host.h"
#include "sim/world.h"

enum { TEXT_LEN = 96 };

static void set(struct host *h, const char *key, const char *value)
{
    struct buf why = {0};
    enum err e = config_set(&h->cfg, slice_str(key), slice_str(value), &why);
    must(e == ERR_OK);
    buf_fini(&why);
}

static void set_one_of(struct host *h, const char *key, const char *const *values, size_t n)
{
    set(h, key, values[world_below(h->w, n)]);
}

#define ONE_OF(...) \
    (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static void set_number(struct host *h, const char *key, uint32_t n)
{
    char text[TEXT_LEN];
    snprintf(text, sizeof(text), "%u", n);
    set(h, key, text);
}

void hostconf_draw(struct world *w, uint32_t voters, uint32_t observers)
{
    w->conf = (struct ensemble_conf){.voters = voters,
                                     .observers = observers,
                                     .init_limit = 6 + (uint32_t)world_below(w, 10),
                                     .sync_limit = 3 + (uint32_t)world_below(w, 5),
                                     .ports_in_lines = world_chance(w, 1, 2)};
    w->conf.observer_masters = observers && world_chance(w, 1, 2);
}

// Number N of the server.N lines; it is also what myid says.
static uint32_t sid_of(uint32_t index)
{
    return index + 1;
}

static void set_members(struct host *h)
{
    const struct ensemble_conf *c = &h->w->conf;
    for (uint32_t i = 0; i < c->voters + c->observers; i++) {
        char key[TEXT_LEN], value[TEXT_LEN];
        snprintf(key, sizeof(key), "server.%u", sid_of(i));
        snprintf(value, sizeof(value), "h%u:%d:%d:%s%s", i, PORT_QUORUM, PORT_ELECTION,
                 i < c->voters ? "participant" : "observer", c->ports_in_lines ? ";2181" : "");
        set(h, key, value);
    }
    set_number(h, "initLimit", c->init_limit);
    set_number(h, "syncLimit", c->sync_limit);
    if (c->observer_masters) {
        set_number(h, "observerMasterPort", PORT_OBSERVERS);
    }
    set_one_of(h, "commitLogCount", ONE_OF("1", "5", "50", "500"));
    set_one_of(h, "cnxTimeout", ONE_OF("500", "2000", "5000"));
}

static void write_myid(struct host *h)
{
    char text[TEXT_LEN];
    int fd, n = snprintf(text, sizeof(text), "%u\n", sid_of(h->index));
    enum err e = crashdisk_open(h->disk, "/data/myid", ENV_OPEN_WRITE | ENV_OPEN_CREATE, &fd);
    must(e == ERR_OK);
    e = crashdisk_write(h->disk, fd, 0, text, (size_t)n);
    must(e == ERR_OK);
    e = crashdisk_sync(h->disk, fd);
    must(e == ERR_OK);
    crashdisk_close(h->disk, fd);
    e = crashdisk_sync_dir(h->disk, "/data");
    must(e == ERR_OK);
}

void hostconf_make(struct host *h)
{
    struct buf why = {0};
    bool alone = h->w->conf.voters + h->w->conf.observers == 1;
    config_init(&h->cfg);
    if (alone || !h->w->conf.ports_in_lines) {
        set(h, "clientPort", "2181");
    }
    set(h, "dataDir", "/data");
    set_one_of(h, "dataLogDir", ONE_OF("/data", "/log"));
    set(h, "tickTime", "500");
    set(h, "extendedTypesEnabled", "true");
    set(h, "4lw.commands.whitelist", "*");
    set(h, "logLevel", "debug");
    set(h, "znode.container.checkIntervalMs", "700");
    set_one_of(h, "snapCount", ONE_OF("20", "100", "400", "100000"));
    set_one_of(h, "preAllocSize", ONE_OF("1", "4", "16", "64"));
    set_one_of(h, "txnLogSizeLimitInKb", ONE_OF("-1", "8", "64"));
    set_one_of(h, "snapshot.compression.method", ONE_OF("", "", "gz", "snappy"));
    set_one_of(h, "globalOutstandingLimit", ONE_OF("4", "100", "1000"));
    set_one_of(h, "maxClientCnxns", ONE_OF("0", "60"));
    set_one_of(h, "serializeLastProcessedZxid.enabled", ONE_OF("true", "false"));
    if (!alone) {
        set_members(h);
        write_myid(h);
    }
    enum err e = config_finish(&h->cfg, &why, &why);
    if (e) {
        report_fail(&h->w->report, "the settings are refused: %.*s", (int)why.n,
                    (const char *)why.p);
    }
    buf_fini(&why);
}
