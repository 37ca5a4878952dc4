// SPDX-License-Identifier: Apache-2.0
//
// The client library as a program that does what it is told on standard input, line by line, for
// test_clib.py. Public header only.
//
//     clib HOSTS [timeout=MS] [ro] [one] [answer=BYTES] [request=MS] [session=ID:PASSWD]
//
// A line is a verb and its words. Requests are submitted and not waited for: the answer to the N-th
// line is a line "N ERROR text", whenever it comes. States of the session are "state NAME ...",
// events "event ...". "wait PATH" is a call that waits; "end" closes the client, "leave" abandons
// it, and both print "bye" when that is done.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reeve/reeve.h"

enum { WORDS_MAX = 8 };

// What the letters of a verb are: p path, d data, f flags, v version, k kind, t ttl, s scheme,
// w watched (no word), a an ACL of scheme, id and permissions.
struct verb {
    const char *name;
    enum reeve_op op;
    const char *letters;
};

static const struct verb verbs[] = {
    {"create", REEVE_OP_CREATE, "pdft"},
    {"delete", REEVE_OP_DELETE, "pv"},
    {"exists", REEVE_OP_EXISTS, "p"},
    {"existsw", REEVE_OP_EXISTS, "pw"},
    {"get", REEVE_OP_GET, "p"},
    {"getw", REEVE_OP_GET, "pw"},
    {"set", REEVE_OP_SET, "pdv"},
    {"ls", REEVE_OP_CHILDREN, "p"},
    {"lsw", REEVE_OP_CHILDREN, "pw"},
    {"getacl", REEVE_OP_GET_ACL, "p"},
    {"setacl", REEVE_OP_SET_ACL, "pa"},
    {"sync", REEVE_OP_SYNC, "p"},
    {"addwatch", REEVE_OP_ADD_WATCH, "pkw"},
    {"rmwatch", REEVE_OP_REMOVE_WATCHES, "pk"},
    {"chkwatch", REEVE_OP_CHECK_WATCHES, "pk"},
    {"ephemerals", REEVE_OP_EPHEMERALS, "p"},
    {"all", REEVE_OP_ALL_CHILDREN, "p"},
    {"whoami", REEVE_OP_WHO_AM_I, ""},
    {"auth", REEVE_OP_ADD_AUTH, "sd"},
    {"config", REEVE_OP_GET_CONFIG, ""},
};

static struct reeve *zk;

// ---- what is told -------------------------------------------------------------------------------

static void on_state(void *ctx, const struct reeve_session *s)
{
    static const char *const names[] = {"CONNECTING", "CONNECTED",   "READ_ONLY", "SUSPENDED",
                                        "LOST",       "AUTH_FAILED", "ENDED"};
    (void)ctx;
    printf("state %s %" PRIx64 ":", names[s->state], (uint64_t)s->id);
    for (size_t i = 0; i < sizeof(s->passwd); i++) {
        printf("%02x", s->passwd[i]);
    }
    printf(" %d %d %s %s\n", s->timeout_ms, s->renewed, s->server[0] ? s->server : "-", s->why);
}

static void on_event(void *ctx, const struct reeve_event *ev)
{
    static const char *const names[] = {"?", "CREATED", "DELETED", "CHANGED", "CHILDREN", "ENDED"};
    (void)ctx;
    printf("event %s %s %d %s\n", names[ev->type], ev->path, ev->last, reeve_error_name(ev->why));
}

static void print_part(const struct reeve_result *r)
{
    if (r->created) {
        printf(" created=%s", r->created);
    }
    if (r->data) {
        printf(" data=%.*s", r->data_len < 400 ? (int)r->data_len : 400, (const char *)r->data);
    }
    if (r->has_stat) {
        printf(" version=%d owner=%" PRIx64, r->stat.version, (uint64_t)r->stat.ephemeral_owner);
    }
    if (r->op == REEVE_OP_CHILDREN || r->op == REEVE_OP_EPHEMERALS) {
        printf(" n=%zu children=", r->children_n);
        for (size_t i = 0; i < r->children_n && i < 20; i++) {
            printf("%s%s", i ? "," : "", r->children[i]);
        }
    }
    for (size_t i = 0; i < r->acl_n; i++) {
        printf(" acl=%s:%s:%d", r->acl[i].scheme, r->acl[i].id, r->acl[i].perms);
    }
    if (r->op == REEVE_OP_ALL_CHILDREN) {
        printf(" number=%" PRId64, r->number);
    }
}

static void on_done(void *ctx, const struct reeve_result *r)
{
    char text[200];
    printf("%zu %s", (size_t)(uintptr_t)ctx, reeve_error_name(r->error));
    print_part(r);
    for (size_t i = 0; i < r->parts_n; i++) {
        printf(" [%s", reeve_error_name(r->parts[i].error));
        print_part(&r->parts[i]);
        printf("]");
    }
    if (r->error) {
        printf(" maybe=%d; %s", r->maybe_done, reeve_result_text(r, text, sizeof(text)));
    }
    printf("\n");
}

// ---- what is asked ------------------------------------------------------------------------------

static bool fill(struct reeve_request *q, char *const *words, size_t n, struct reeve_acl *acl)
{
    size_t v = 0, at = 1;
    while (v < sizeof(verbs) / sizeof(verbs[0]) && strcmp(verbs[v].name, words[0])) {
        v++;
    }
    if (v == sizeof(verbs) / sizeof(verbs[0])) {
        return false;
    }
    *q = (struct reeve_request){.op = verbs[v].op, .version = REEVE_ANY_VERSION};
    for (const char *l = verbs[v].letters; *l; l++) {
        const char *word = *l != 'w' && at < n ? words[at++] : NULL;
        switch (*l) {
        case 'p':
            q->path = word;
            break;
        case 'd':
            q->data = word;
            q->data_len = word ? strlen(word) : 0;
            break;
        case 'f':
            q->flags = word ? (unsigned)atoi(word) : 0;
            break;
        case 'v':
            q->version = word ? atoi(word) : REEVE_ANY_VERSION;
            break;
        case 'k':
            q->kind = (enum reeve_watch_kind)(word ? atoi(word) : 0);
            break;
        case 't':
            q->ttl_ms = word ? atoi(word) : 0;
            break;
        case 's':
            q->scheme = word;
            break;
        case 'w':
            q->watch = (struct reeve_watch){on_event, NULL};
            break;
        case 'a':
            *acl = (struct reeve_acl){at + 1 < n ? atoi(words[at + 1]) : REEVE_PERM_ALL, word,
                                      at < n ? words[at] : ""};
            q->acl = acl;
            q->acl_n = 1;
            break;
        }
    }
    return true;
}

// multi PATH VERSION DATA: create below, set, check, delete again: all or nothing.
static enum reeve_error multi(char *const *words, size_t n, void *ctx)
{
    char below[200];
    snprintf(below, sizeof(below), "%s/below", words[1]);
    struct reeve_multi *m = reeve_multi_new(zk);
    reeve_multi_create(m, below, "b", 1, 0);
    reeve_multi_set(m, words[1], words[3], strlen(words[3]), REEVE_ANY_VERSION);
    reeve_multi_check(m, words[1], n > 2 ? atoi(words[2]) : REEVE_ANY_VERSION);
    reeve_multi_delete(m, below, REEVE_ANY_VERSION);
    enum reeve_error e = reeve_multi_commit_async(m, on_done, ctx);
    reeve_multi_free(&m);
    return e;
}

static enum reeve_error multi_read(char *const *words, void *ctx)
{
    struct reeve_multi *m = reeve_multi_new(zk);
    reeve_multi_get(m, words[1]);
    reeve_multi_children(m, words[1]);
    reeve_multi_get(m, "/there/is/no/such/node");
    enum reeve_error e = reeve_multi_commit_async(m, on_done, ctx);
    reeve_multi_free(&m);
    return e;
}

// fill PATH COUNT LENGTH: children with names of that length; an error of one is the last answer's.
static enum reeve_error fill_up(char *const *words, void *ctx)
{
    static char path[1000];
    enum reeve_error e = REEVE_OK;
    int count = atoi(words[2]);
    for (int i = 0; i < count && !e; i++) {
        snprintf(path, sizeof(path), "%s/%0*d", words[1], atoi(words[3]), i);
        bool last = i == count - 1;
        e = reeve_create_async(zk, path, NULL, 0, 0, last ? on_done : NULL, ctx);
    }
    return e;
}

static void wait(const char *path, size_t number)
{
    struct reeve_result r;
    (void)reeve_get(zk, path, NULL, &r);
    on_done((void *)(uintptr_t)number, &r);
    reeve_result_fini(&r);
}

static void obey(char *line, size_t number)
{
    char *words[WORDS_MAX + 1] = {NULL}, *rest = NULL;
    size_t n = 0;
    for (char *w = strtok_r(line, " \n", &rest); w && n < WORDS_MAX;
         w = strtok_r(NULL, " \n", &rest)) {
        words[n++] = w;
    }
    void *ctx = (void *)(uintptr_t)number;
    struct reeve_request q;
    struct reeve_acl acl;
    enum reeve_error e;
    if (n == 0) {
        return;
    }
    if (strcmp(words[0], "multi") == 0) {
        e = multi(words, n, ctx);
    } else if (strcmp(words[0], "multiread") == 0) {
        e = multi_read(words, ctx);
    } else if (strcmp(words[0], "fill") == 0) {
        e = fill_up(words, ctx);
    } else if (strcmp(words[0], "servers") == 0) {
        e = reeve_set_servers(zk, words[1]);
        printf("%zu %s\n", number, reeve_error_name(e));
        return;
    } else if (strcmp(words[0], "unwatch") == 0) {
        reeve_unwatch(zk, words[1], on_event, NULL);
        printf("%zu OK\n", number);
        return;
    } else if (strcmp(words[0], "wait") == 0) {
        wait(words[1], number);
        return;
    } else {
        e = fill(&q, words, n, &acl) ? reeve_submit(zk, &q, on_done, ctx) : REEVE_BAD_ARGUMENTS;
    }
    if (e) {
        printf("%zu %s refused\n", number, reeve_error_name(e));
    }
}

static void on_log(void *ctx, enum reeve_log_level level, const char *line)
{
    (void)ctx;
    fprintf(stderr, "%d %s\n", level, line);
}

static void take_session(struct reeve_options *o, const char *text)
{
    o->session_id = (int64_t)strtoull(text, NULL, 16);
    text = strchr(text, ':') + 1;
    for (size_t i = 0; i < 16; i++) {
        unsigned byte;
        sscanf(text + 2 * i, "%2x", &byte);
        o->session_passwd[i] = (uint8_t)byte;
    }
}

int main(int argc, char **argv)
{
    struct reeve_options o = {.servers = argc > 1 ? argv[1] : NULL, .log = on_log};
    for (int i = 2; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        switch (argv[i][0]) {
        case 't':
            o.session_timeout_ms = atoi(value + 1);
            break;
        case 'r':
            if (value) {
                o.request_timeout_ms = atoi(value + 1);
            }
            o.read_only |= !value;
            break;
        case 'o':
            o.one_session = true;
            break;
        case 'a':
            o.answer_max = (uint32_t)atoi(value + 1);
            break;
        case 's':
            take_session(&o, value + 1);
            break;
        }
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    enum reeve_error e = reeve_new(&zk, &o);
    if (e || reeve_listen(zk, on_state, NULL) || reeve_start(zk)) {
        fprintf(stderr, "clib: %s\n", reeve_error_text(e));
        return 1;
    }
    static char line[65536];
    for (size_t number = 1; fgets(line, sizeof(line), stdin); number++) {
        if (strncmp(line, "end", 3) == 0) {
            break;
        }
        if (strncmp(line, "leave", 5) == 0) {
            reeve_abandon(&zk);
            break;
        }
        obey(line, number);
    }
    reeve_close(&zk);
    puts("bye");
    return 0;
}
