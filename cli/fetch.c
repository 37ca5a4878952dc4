// SPDX-License-Identifier: Apache-2.0
#include "cli/fetch.h"

#include <stdlib.h>
#include <string.h>

enum { AT_A_TIME = 64 };

// One node under way. Slot k serves the k-th, (k + AT_A_TIME)-th ... node.
struct slot {
    struct fetch *f;
    size_t i;
    char *path;
    int waiting; // answers
    struct reeve_result data, acl;
};

struct fetch {
    struct cli *c;
    const struct subtree *w;
    const size_t *which;
    size_t n, sent, given;
    bool acl, failed;
    int code;
    struct slot slot[AT_A_TIME];
};

// Of the reads without an answer at the end of a connection the library asks again, so these are
// the ends of the session.
static bool is_fatal(enum reeve_error e)
{
    return e != REEVE_OK && e != REEVE_NO_NODE && e != REEVE_NO_AUTH;
}

static void take(struct slot *s, struct reeve_result *to, struct reeve_result *r)
{
    s->waiting--;
    *to = *r;
    *r = (struct reeve_result){0};
    if (is_fatal(to->error) && !s->f->failed) {
        s->f->failed = true;
        s->f->code = cli_fail(s->f->c, to);
    }
}

static void on_data(struct cli *c, void *ctx, struct reeve_result *r)
{
    (void)c;
    struct slot *s = ctx;
    take(s, &s->data, r);
}

static void on_acl(struct cli *c, void *ctx, struct reeve_result *r)
{
    (void)c;
    struct slot *s = ctx;
    take(s, &s->acl, r);
}

static void clear(struct slot *s)
{
    reeve_result_fini(&s->data);
    reeve_result_fini(&s->acl);
    free(s->path);
    *s = (struct slot){.f = s->f};
}

static void ask(struct slot *s, enum reeve_op op, cli_done_fn *fn)
{
    struct fetch *f = s->f;
    struct reeve_request q = {.op = op, .path = s->path};
    if (f->failed) {
        return;
    }
    if (cli_submit(f->c, &q, fn, s) == REEVE_OK) {
        s->waiting++;
        return;
    }
    struct reeve_result r;
    cli_call(f->c, &q, &r); // is refused again, and says what is wrong
    f->failed = true;
    f->code = cli_fail(f->c, &r);
    reeve_result_fini(&r);
}

static void send_next(struct fetch *f)
{
    struct slot *s = &f->slot[f->sent % AT_A_TIME];
    s->i = f->which ? f->which[f->sent] : f->sent;
    s->path = subtree_path(f->w, s->i);
    f->sent++;
    ask(s, REEVE_OP_GET, on_data);
    if (f->acl) {
        ask(s, REEVE_OP_GET_ACL, on_acl);
    }
}

// Gives out what is complete. False: that is enough.
static bool give(struct fetch *f, fetch_fn *fn, void *ctx)
{
    bool more = true;
    while (more && !f->failed && f->given < f->sent) {
        struct slot *s = &f->slot[f->given % AT_A_TIME];
        if (s->waiting > 0) {
            break;
        }
        struct fetched n = {
            .i = s->i, .path = s->path, .data = &s->data, .acl = f->acl ? &s->acl : NULL};
        more = fn(f->c, ctx, &n);
        clear(s);
        f->given++;
    }
    return more;
}

int fetch_nodes(struct cli *c, const struct subtree *w, const size_t *which, size_t n, bool acl,
                fetch_fn *fn, void *ctx)
{
    struct fetch *f = cli_alloc(sizeof(*f));
    *f = (struct fetch){.c = c, .w = w, .which = which, .n = n, .acl = acl};
    for (size_t i = 0; i < AT_A_TIME; i++) {
        f->slot[i].f = f;
    }
    int64_t begun_ms = cli_now_ms(), shown_ms = begun_ms;
    while (f->given < n && !f->failed && !c->interrupted && give(f, fn, ctx) && !c->interrupted) {
        while (!f->failed && f->sent < n && f->sent - f->given < AT_A_TIME) {
            send_next(f);
        }
        if (!f->failed && f->given < f->sent && f->slot[f->given % AT_A_TIME].waiting > 0) {
            cli_turn(c, -1, -1);
        }
        int64_t now_ms = cli_now_ms();
        if (now_ms - begun_ms > 500 && now_ms - shown_ms > 200) {
            shown_ms = now_ms;
            out_progress(&c->out, "%s: %zu of %zu nodes", c->command, f->given, n);
        }
    }
    out_progress(&c->out, NULL);
    cli_forget(c); // what is under way would write into slots
    int code = c->interrupted ? CLI_INTERRUPTED : f->code;
    for (size_t i = 0; i < AT_A_TIME; i++) {
        clear(&f->slot[i]);
    }
    free(f);
    return code;
}

bool fetch_usable(struct cli *c, const struct fetched *n, int *code)
{
    const struct reeve_result *bad = n->data->error != REEVE_OK            ? n->data
                                     : n->acl && n->acl->error != REEVE_OK ? n->acl
                                                                           : NULL;
    if (bad && bad->error == REEVE_NO_NODE) {
        return false;
    }
    if (bad) {
        *code = cli_fail(c, bad);
        return true;
    }
    for (size_t i = 0; n->acl && i < n->acl->acl_n; i++) {
        const struct reeve_acl *a = &n->acl->acl[i];
        size_t len = strlen(a->id);
        if (strcmp(a->scheme, "digest") == 0 && len > 1 && strcmp(a->id + len - 2, ":x") == 0) {
            *code = cli_refuse(c,
                               "%s: only those with ADMIN permission see its whole access control "
                               "list; addauth as one of them",
                               n->path);
        }
    }
    return true;
}
