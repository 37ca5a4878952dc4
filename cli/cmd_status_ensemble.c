// SPDX-License-Identifier: Apache-2.0
#include "cli/cmd_status_ensemble.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"

enum { WORDS_EACH = 3 };

// ---- asking -------------------------------------------------------------------------------------

static void take_answers(struct ensemble *e, struct ensemble_server *s, struct words4 *q)
{
    facts_init(&s->facts);
    s->facts.sid = s->sid;
    s->why[0] = '\0';
    s->answered = q[0].answer != NULL;
    if (!s->answered) {
        snprintf(s->why, sizeof(s->why), "%s", q[0].why);
        return;
    }
    // mntr has some of the same numbers, perhaps a moment older: srvr comes last.
    if (q[1].answer && !words4_refused(q[1].answer)) {
        facts_of_mntr(&s->facts, q[1].answer);
    }
    facts_of_srvr(&s->facts, q[0].answer);
    if (strcmp(q[2].word, "cons") == 0) {
        free(s->cons);
        s->cons = q[2].answer && !words4_refused(q[2].answer) ? q[2].answer : NULL;
        q[2].answer = s->cons ? NULL : q[2].answer;
    } else if (q[2].answer && !words4_refused(q[2].answer)) {
        facts_of_conf(&s->facts, q[2].answer);
        if (e->members_n == 0) {
            e->members_n = facts_members(q[2].answer, e->members);
        }
    }
    s->sid = s->facts.sid;
}

// Asks those from `from` on whose address is known.
static bool ask(struct cli *c, struct ensemble *e, size_t from, const char *third, int timeout_ms)
{
    static const char *const words[] = {"srvr", "mntr"};
    struct words4 *q = cli_alloc((e->n * WORDS_EACH + 1) * sizeof(*q));
    size_t n = 0;
    for (size_t i = from; i < e->n; i++) {
        for (size_t w = 0; e->v[i].at.port && w < WORDS_EACH; w++) {
            q[n].to = e->v[i].at;
            snprintf(q[n++].word, sizeof(q->word), "%s", w < 2 ? words[w] : third);
        }
    }
    bool all = true;
    for (size_t at = 0; at < n && all;) {
        size_t most = WORDS4_MAX - WORDS4_MAX % WORDS_EACH;
        size_t part = n - at < most ? n - at : most;
        all = words4_ask(c, q + at, part, timeout_ms);
        at += part;
    }
    for (size_t i = from, at = 0; all && i < e->n; i++) {
        if (e->v[i].at.port) {
            take_answers(e, &e->v[i], q + at);
            at += WORDS_EACH;
        }
    }
    words4_fini(q, n);
    free(q);
    return all;
}

bool ensemble_ask(struct cli *c, struct ensemble *e, bool cons, int timeout_ms)
{
    return ask(c, e, 0, cons ? "cons" : "conf", timeout_ms);
}

// ---- who belongs to it --------------------------------------------------------------------------

// By a session of its own: the words that tell it are not allowed.
static void read_config_node(struct ensemble *e, const char *servers, int timeout_ms)
{
    struct reeve_options o = {
        .servers = servers, .request_timeout_ms = timeout_ms, .close_timeout_ms = 500};
    struct reeve *zk;
    if (reeve_new(&zk, &o)) {
        return;
    }
    struct reeve_result r = {0};
    if (reeve_start(zk) == REEVE_OK && reeve_wait_connected(zk, timeout_ms) == REEVE_OK) {
        if (reeve_get_config(zk, NULL, &r) == REEVE_OK && r.data) {
            e->members_n = facts_members(r.data, e->members);
        }
        reeve_result_fini(&r);
    }
    reeve_close(&zk);
}

static bool same_host(const struct facts_member *m, const char *host)
{
    return strcasecmp(m->client[0] ? m->client : m->host, host) == 0 ||
           strcasecmp(m->host, host) == 0;
}

static const struct ensemble_server *server_at(const struct ensemble *e,
                                               const struct words4_server *at)
{
    for (size_t i = 0; i < e->n; i++) {
        if (e->v[i].at.port == at->port && strcasecmp(e->v[i].at.host, at->host) == 0) {
            return &e->v[i];
        }
    }
    return NULL;
}

static struct ensemble_server *of_member(struct ensemble *e, const struct facts_member *m)
{
    for (size_t i = 0; i < e->n; i++) {
        if (e->v[i].sid == m->sid) {
            return &e->v[i];
        }
    }
    struct ensemble_server *found = NULL;
    size_t by_host = 0;
    for (size_t i = 0; i < e->n; i++) {
        struct ensemble_server *s = &e->v[i];
        if (s->sid >= 0 || !same_host(m, s->at.host)) {
            continue;
        }
        if (m->port == s->at.port) {
            return s;
        }
        if (m->port == 0) {
            found = s;
            by_host++;
        }
    }
    return by_host == 1 ? found : NULL;
}

// Where its clients connect, if it is not said: at the port that the others have.
static struct words4_server address_of(const struct ensemble *e, const struct facts_member *m)
{
    struct words4_server at = {.port = m->port ? m->port : e->v[0].at.port};
    snprintf(at.host, sizeof(at.host), "%s", m->client[0] ? m->client : m->host);
    if (server_at(e, &at)) {
        at.port = 0; // that is another
    }
    return at;
}

static void add_members(struct ensemble *e)
{
    size_t named = e->n, strangers = 0;
    for (size_t k = 0; k < named; k++) {
        strangers += e->v[k].sid < 0;
    }
    for (size_t i = 0; i < e->members_n && e->n < ENSEMBLE_MAX; i++) {
        const struct facts_member *m = &e->members[i];
        struct ensemble_server *s = of_member(e, m);
        if (s && s->sid < 0) {
            strangers--;
        }
        if (!s) {
            struct words4_server at = address_of(e, m);
            if (at.port == 0 && strangers > 0) {
                strangers--; // one of those that were named and do not say who they are
                continue;
            }
            s = &e->v[e->n++];
            *s = (struct ensemble_server){.at = at};
            facts_init(&s->facts);
            snprintf(s->why, sizeof(s->why),
                     "where its clients connect is not known; name it with -s");
        }
        s->sid = m->sid;
        s->member = true;
        s->observer = m->observer;
    }
}

static int by_sid(const void *a, const void *b)
{
    const struct ensemble_server *x = a, *y = b;
    uint64_t p = (uint64_t)x->sid, q = (uint64_t)y->sid; // -1 goes last
    return p != q ? (p > q) - (p < q) : strcmp(x->at.host, y->at.host);
}

static bool any_of_many(const struct ensemble *e)
{
    for (size_t i = 0; i < e->n; i++) {
        if (e->v[i].facts.serving && strcmp(e->v[i].facts.mode, "standalone") != 0) {
            return true;
        }
    }
    return false;
}

bool ensemble_find(struct cli *c, struct ensemble *e, int timeout_ms, int *code)
{
    *e = (struct ensemble){0};
    struct words4_server named[FACTS_MEMBERS_MAX];
    int n = words4_servers(c->opt.servers, named, FACTS_MEMBERS_MAX);
    if (n <= 0) {
        *code = cli_usage(c, "\"%s\" is no list of servers", c->opt.servers);
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (!server_at(e, &named[i])) {
            e->v[e->n] = (struct ensemble_server){.at = named[i], .sid = -1};
            facts_init(&e->v[e->n++].facts);
        }
    }
    *code = CLI_INTERRUPTED;
    if (!ask(c, e, 0, "conf", timeout_ms)) {
        return false;
    }
    if (e->members_n == 0 && any_of_many(e)) {
        read_config_node(e, c->opt.servers, timeout_ms);
    }
    size_t known = e->n;
    add_members(e);
    if (e->n > known && !ask(c, e, known, "conf", timeout_ms)) {
        return false;
    }
    qsort(e->v, e->n, sizeof(*e->v), by_sid);
    return true;
}

void ensemble_fini(struct ensemble *e)
{
    for (size_t i = 0; i < e->n; i++) {
        free(e->v[i].cons);
    }
}

// ---- judging ------------------------------------------------------------------------------------

static bool serves(const struct ensemble_server *s)
{
    return s->answered && s->facts.serving;
}

bool ensemble_has_quorum(const struct ensemble *e)
{
    for (size_t i = 0; i < e->n; i++) {
        if (serves(&e->v[i]) && strcmp(e->v[i].facts.mode, "read-only") != 0) {
            return true;
        }
    }
    return false;
}

size_t ensemble_down(const struct ensemble *e)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n; i++) {
        n += !serves(&e->v[i]);
    }
    return n;
}

const char *ensemble_trouble(const struct ensemble_server *s)
{
    return !s->answered ? s->why : s->facts.serving ? "" : s->facts.said;
}
