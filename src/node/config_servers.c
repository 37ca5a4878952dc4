// SPDX-License-Identifier: Apache-2.0
//
// The part of the settings that says who belongs to the ensemble: server.N, group.N and weight.N
// lines, and the rules that a membership must fulfil before it is served. The lines are read by
// wire/members.h; here stand the sentences for whoever wrote them wrong.
#include <inttypes.h>

#include "node/config_internal.h"
#include "wire/members.h"

static void fmt_expected(struct slice key, struct buf *why)
{
    if (slice_has_prefix(key, SLICE_LIT("server."))) {
        buf_fmt(why, "must be server.N=host:quorumPort:electionPort, then :participant or "
                     ":observer, then ;clientPort or ;host:clientPort");
    } else if (slice_has_prefix(key, SLICE_LIT("group"))) {
        buf_fmt(why, "must be group.N= server numbers with : between, each in one group only");
    } else if (slice_has_prefix(key, SLICE_LIT("weight"))) {
        buf_fmt(why, "must be weight.N= a whole number that is not negative");
    } else {
        buf_fmt(why, "must be a hexadecimal number");
    }
}

enum err config_put_member(struct members *m, struct slice key, struct slice value, struct buf *why)
{
    enum err e = members_put(m, key, value);
    if (e == ERR_UNSUPPORTED) {
        buf_fmt(why, "%.*s is not a key of a membership: only server.N, group.N and weight.N are",
                SLICE_ARG(key));
    } else if (e) {
        buf_fmt(why, "%.*s=%.*s: ", SLICE_ARG(key), SLICE_ARG(value));
        if (e == ERR_LIMIT) {
            buf_fmt(why, "more than %d servers, or more than %d addresses of one", MEMBERS_MAX,
                    MEMBERS_ADDRS_MAX);
        } else {
            fmt_expected(key, why);
        }
    }
    return e;
}

enum err config_end_members(struct members *m, struct buf *why)
{
    enum err e = members_end(m);
    bool voter = false;
    for (size_t i = 0; i < m->n; i++) {
        voter = voter || !m->servers[i].observer;
    }
    if (e == ERR_LIMIT) {
        buf_fmt(why, "more than %d participants, or groups", MEMBERS_VOTERS_MAX);
    } else if (e && !voter) {
        buf_fmt(why, "the server.N lines name no participant%s",
                m->n ? ": observers alone are no ensemble" : "");
    } else if (e) {
        buf_fmt(why, "group.N and weight.N lines: each participant must be in a group, each "
                     "server of a group must be a participant or have a weight");
    }
    return e;
}

static void warn_about(const struct config *c, const struct members *m, struct buf *warnings)
{
    if (m->voters_n == 2) {
        buf_fmt(warnings, "with two servers the loss of either stops the ensemble; three are "
                          "needed to survive one\n");
    } else if (m->voters_n == 1) {
        buf_fmt(warnings, "with one server no failure is survived; three are needed\n");
    } else if (m->voters_n % 2 == 0) {
        buf_fmt(warnings,
                "%zu participants survive no more failures than %zu; an odd number is "
                "better\n",
                m->voters_n, m->voters_n - 1);
    }
    for (size_t i = 0; i < m->n; i++) {
        if (m->servers[i].addrs_n > 1 && !c->multi_address) {
            buf_fmt(warnings,
                    "server.%" PRId64 " has several addresses; Apache's servers take "
                    "that only with multiAddress.enabled=true\n",
                    m->servers[i].sid);
        }
    }
}

static enum err check_limit(const struct config *c, const char *key, int64_t ticks, bool must_be,
                            struct buf *why)
{
    if (must_be && ticks == 0) {
        buf_fmt(why, "%s is not set: an ensemble needs it (a number of ticks)", key);
        return ERR_INVALID;
    }
    if (ticks > INT32_MAX / c->tick_ms) {
        buf_fmt(why, "%s=%" PRId64 ": too long, with tickTime=%" PRId64 " at most %" PRId64, key,
                ticks, c->tick_ms, INT32_MAX / c->tick_ms);
        return ERR_INVALID;
    }
    return ERR_OK;
}

enum err config_check_members(const struct config *c, const struct members *m, bool *ensemble,
                              struct buf *warnings, struct buf *why)
{
    *ensemble = m->voters_n > 1 || !c->standalone;
    if (!*ensemble) {
        if (m->n > 1) {
            buf_fmt(why, "one participant with observers needs standaloneEnabled=false");
            return ERR_INVALID;
        }
        buf_fmt(warnings, "a single server.N line makes no ensemble; this is a standalone server "
                          "(standaloneEnabled=false makes it an ensemble of one)\n");
        return ERR_OK;
    }
    enum err e = check_limit(c, "initLimit", c->init_limit, true, why);
    if (e == ERR_OK) {
        e = check_limit(c, "syncLimit", c->sync_limit, true, why);
    }
    if (e == ERR_OK) {
        e = check_limit(c, "connectToLearnerMasterLimit", c->connect_limit, false, why);
    }
    if (e == ERR_OK) {
        warn_about(c, m, warnings);
    }
    return e;
}

enum err config_finish_servers(struct config *c, struct buf *warnings, struct buf *why)
{
    if (c->servers && c->dynamic_file) {
        buf_fmt(why,
                "server.N, group.N and weight.N lines and dynamicConfigFile=%s: they must "
                "all be in that file",
                c->dynamic_file);
        return ERR_INVALID;
    }
    if (!c->servers) {
        if (!c->standalone && !c->dynamic_file) {
            buf_fmt(why, "standaloneEnabled=false without server.N lines: at least one must say "
                         "who this server is");
            return ERR_INVALID;
        }
        return ERR_OK;
    }
    bool ensemble = false;
    enum err e = config_end_members(c->servers, why);
    if (e == ERR_OK) {
        e = config_check_members(c, c->servers, &ensemble, warnings, why);
    }
    if (e == ERR_OK && !ensemble) {
        members_free(&c->single);
        c->single = c->servers;
        c->servers = NULL;
    }
    return e;
}
