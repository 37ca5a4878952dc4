// SPDX-License-Identifier: Apache-2.0
//
// Commands that copy, move and delete subtrees: cp, mv, rm.
//
// What is copied is data and access control list; versions and times begin anew. An ephemeral node
// belongs to a session, which cannot be copied: cp leaves it out and says so, mv refuses. Servers
// tell no client which nodes are containers or have a TTL: the copies are plain nodes.
//
// mv is one transaction where all of it fits into one multi: the new nodes are created and the old
// ones deleted with the versions that were read, so that a change by others meanwhile undoes it and
// it is tried again. What is bigger is copied first, in several transactions, and deleted then; the
// user is told before.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/batch.h"
#include "cli/cli.h"
#include "cli/fetch.h"
#include "cli/kinds.h"
#include "cli/subtree.h"

// ---- copying ------------------------------------------------------------------------------------

struct copy {
    struct cli *c;
    const struct subtree *w;
    const char *from, *to;
    struct batch batch;
    bool move;        // ephemeral nodes are refused instead of left out
    bool one;         // everything goes into one batch, which is not committed here
    bool full;        // one: it does not fit
    int32_t *version; // of each node as it was read, -1: not copied; NULL: nobody wants to know
    size_t made, ephemerals;
    int code;
};

static int commit(struct copy *p)
{
    struct reeve_result r;
    int code = CLI_OK;
    if (batch_commit(p->c, &p->batch, &r) == REEVE_OK) {
        p->made += p->batch.n;
    } else {
        code = cli_fail(p->c, batch_cause(&r));
    }
    reeve_result_fini(&r);
    batch_clear(&p->batch);
    return code;
}

static void put(struct copy *p, const struct reeve_request *q)
{
    if (!batch_has_room(&p->batch, q)) {
        p->full = p->one;
        p->code = p->one ? CLI_OK : commit(p);
    }
    if (p->code == CLI_OK && !p->full) {
        batch_add(&p->batch, q);
    }
}

static bool on_node(struct cli *c, void *ctx, const struct fetched *n)
{
    struct copy *p = ctx;
    if (!fetch_usable(c, n, &p->code) || p->code != CLI_OK) {
        return p->code == CLI_OK;
    }
    int64_t owner = n->data->stat.ephemeral_owner;
    if (owner != 0) {
        if (p->move || n->i == 0) {
            p->code = cli_refuse(c,
                                 "%s is ephemeral: it belongs to session 0x%" PRIx64
                                 " and cannot be made again elsewhere",
                                 n->path, (uint64_t)owner);
            return false;
        }
        p->ephemerals++;
        return true;
    }
    // "" of the source's root, "/b" of what is below it.
    const char *rest = n->path + (strcmp(p->from, "/") == 0 ? 0 : strlen(p->from));
    struct string to = {0};
    string_addf(&to, "%s%s", strcmp(p->to, "/") == 0 ? "" : p->to, n->i == 0 ? "" : rest);
    struct reeve_request q = {.op = REEVE_OP_CREATE,
                              .path = string_of(&to),
                              .data = n->data->data,
                              .data_len = n->data->data_len,
                              .acl = n->acl->acl,
                              .acl_n = n->acl->acl_n};
    put(p, &q);
    string_fini(&to);
    if (p->version) {
        p->version[n->i] = n->data->stat.version;
    }
    return p->code == CLI_OK && !p->full;
}

// Parents stand before their children in a subtree.
static int copy_nodes(struct copy *p)
{
    int code = fetch_nodes(p->c, p->w, NULL, p->w->n, true, on_node, p);
    code = code == CLI_OK ? p->code : code;
    return code == CLI_OK && !p->one ? commit(p) : code;
}

// Where to: behind a slash the source's own name is added, as cp(1) does with a directory.
static char *target_of(struct cli *c, const char *arg, const char *from)
{
    char *to = cli_path(c, arg, false);
    size_t n = strlen(arg);
    if (n > 0 && arg[n - 1] == '/' && strcmp(from, "/") != 0) {
        char *inside = cli_path_join(to, path_name(from));
        free(to);
        to = inside;
    }
    return to;
}

static int refuse_inside(struct cli *c, const char *from, const char *to)
{
    return strcmp(from, to) == 0
               ? cli_refuse(c, "%s: source and target are the same", from)
               : cli_refuse(c, "%s is below %s: a node cannot go below itself", to, from);
}

static int copy_tree(struct cli *c, const char *from, const char *to, bool recursive)
{
    struct subtree w;
    int code = subtree_load_depth(c, from, SUBTREE_NAMES, recursive ? SIZE_MAX : 0, &w);
    if (code == CLI_OK && w.refused > 0) {
        code = cli_refuse(c, "%s: the children of %zu nodes may not be read (NOAUTH)", from,
                          w.refused);
    }
    if (code == CLI_OK) {
        struct copy p = {.c = c, .w = &w, .from = from, .to = to};
        code = copy_nodes(&p);
        if (code == CLI_OK && c->out.json) {
            out_json(&c->out, json_pack("{s:o,s:o,s:I,s:I}", "from", out_json_string(from), "to",
                                        out_json_string(to), "copied", (json_int_t)p.made,
                                        "ephemerals", (json_int_t)p.ephemerals));
        } else if (code == CLI_OK && p.ephemerals > 0) {
            out_note(&c->out, "%zu ephemeral nodes were left out: they belong to sessions",
                     p.ephemerals);
        } else if (code != CLI_OK && p.made > 0) {
            out_note(&c->out, "%zu nodes were copied to %s before that", p.made, to);
        }
        batch_fini(&p.batch);
    }
    subtree_fini(&w);
    return code;
}

int cmd_cp(struct cli *c, const struct args *a)
{
    char *from = cli_path(c, a->arg[0], false), *to = target_of(c, a->arg[1], from);
    int code = path_is_in(to, from) && (args_has(a, "r") || strcmp(to, from) == 0)
                   ? refuse_inside(c, from, to)
                   : copy_tree(c, from, to, args_has(a, "r"));
    free(from);
    free(to);
    return code;
}

// ---- moving -------------------------------------------------------------------------------------

enum { MOVE_ROUNDS = 5 };

// A sequential name belongs to its parent's counter, which does not move along: the new parent
// would give the same numbers again.
static int refuse_sequential(struct cli *c, const struct subtree *w)
{
    for (size_t i = 0; i < w->n; i++) {
        const char *name = i == 0 ? path_name(w->node[0].name) : w->node[i].name;
        if (w->node[i].error != REEVE_NO_NODE && name_is_sequential(name)) {
            char *path = subtree_path(w, i);
            int code = cli_refuse(c,
                                  "%s has a sequence number, and the counter of its parent stays "
                                  "behind; -f moves it as a plain name",
                                  path);
            free(path);
            return code;
        }
    }
    return CLI_OK;
}

// Deletes what was read, children first. Stops where others have changed something.
static int delete_read(struct copy *p)
{
    for (size_t i = p->w->n; i-- > 0 && p->code == CLI_OK;) {
        if (p->version[i] < 0) {
            continue;
        }
        char *path = subtree_path(p->w, i);
        struct reeve_request q = {.op = REEVE_OP_DELETE, .path = path, .version = p->version[i]};
        put(p, &q);
        free(path);
    }
    return p->code != CLI_OK || p->one ? p->code : commit(p);
}

// All of it in one transaction. *again: others were faster. p->full: it does not fit.
static int move_at_once(struct copy *p, bool *again)
{
    p->one = true;
    int code = copy_nodes(p);
    code = code == CLI_OK && !p->full ? delete_read(p) : code;
    if (code != CLI_OK || p->full) {
        return code;
    }
    struct reeve_result r;
    *again = false;
    if (batch_commit(p->c, &p->batch, &r) != REEVE_OK) {
        const struct reeve_result *cause = batch_cause(&r);
        bool of_source = cause->path && path_is_in(cause->path, p->from);
        *again = of_source && (cause->error == REEVE_BAD_VERSION ||
                               cause->error == REEVE_NOT_EMPTY || cause->error == REEVE_NO_NODE);
        code = *again ? CLI_NO : cli_fail(p->c, cause);
    }
    reeve_result_fini(&r);
    return code;
}

static int move_in_parts(struct copy *p)
{
    out_note(&p->c->out,
             "%s: %zu nodes do not fit into one transaction: they are copied first and deleted "
             "then, and others may see both or parts meanwhile",
             p->c->command, p->w->n);
    batch_clear(&p->batch);
    p->one = p->full = false;
    memset(p->version, -1, p->w->n * sizeof(*p->version));
    int code = copy_nodes(p);
    if (code != CLI_OK) {
        out_note(&p->c->out, "nothing was deleted at %s; %zu nodes were made at %s", p->from,
                 p->made, p->to);
        return code;
    }
    size_t copied = p->made;
    code = delete_read(p);
    if (code != CLI_OK) {
        out_note(&p->c->out,
                 "all %zu nodes were copied to %s, but only %zu deleted at %s; what others have "
                 "changed there stays",
                 copied, p->to, p->made - copied, p->from);
    }
    return code;
}

// One try, with the tree as it is now.
static int move_once(struct cli *c, const char *from, const char *to, bool force, bool *again,
                     bool *atomic)
{
    struct subtree w;
    int code = subtree_load(c, from, SUBTREE_NAMES, &w);
    *again = false;
    if (code == CLI_OK && w.refused > 0) {
        code = cli_refuse(c, "%s: the children of %zu nodes may not be read (NOAUTH)", from,
                          w.refused);
    }
    if (code == CLI_OK && !force) {
        code = refuse_sequential(c, &w);
    }
    if (code == CLI_OK) {
        struct copy p = {.c = c, .w = &w, .from = from, .to = to, .move = true};
        p.version = cli_alloc(w.n * sizeof(*p.version));
        memset(p.version, -1, w.n * sizeof(*p.version));
        p.full = w.n * 2 > BATCH_PARTS_MAX;
        code = p.full ? CLI_OK : move_at_once(&p, again);
        *atomic = !p.full;
        if (code == CLI_OK && p.full) {
            code = move_in_parts(&p);
        }
        free(p.version);
        batch_fini(&p.batch);
    }
    subtree_fini(&w);
    return code;
}

static int move_tree(struct cli *c, const char *from, const char *to, bool force)
{
    bool again = true, atomic = false;
    int code = CLI_OK;
    for (int round = 0; again && round < MOVE_ROUNDS; round++) {
        code = move_once(c, from, to, force, &again, &atomic);
    }
    if (again) {
        return cli_refuse(c, "%s: others change it all the time; nothing was moved", from);
    }
    if (code == CLI_OK && c->out.json) {
        out_json(&c->out, json_pack("{s:o,s:o,s:b}", "from", out_json_string(from), "to",
                                    out_json_string(to), "atomic", atomic));
    }
    return code;
}

int cmd_mv(struct cli *c, const struct args *a)
{
    char *from = cli_path(c, a->arg[0], false), *to = target_of(c, a->arg[1], from);
    int code = strcmp(from, "/") == 0 ? cli_refuse(c, "/: the root cannot be moved")
               : path_is_in(to, from) ? refuse_inside(c, from, to)
                                      : move_tree(c, from, to, args_has(a, "f"));
    free(from);
    free(to);
    return code;
}

// ---- rm -----------------------------------------------------------------------------------------

// Whether there is something to delete. False: *code says what, with -f nothing.
static bool is_there(struct cli *c, const char *path, bool force, int *code)
{
    struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = path};
    struct reeve_result r;
    enum reeve_error e = cli_call(c, &q, &r);
    *code = e == REEVE_OK || (force && e == REEVE_NO_NODE) ? CLI_OK : cli_fail(c, &r);
    reeve_result_fini(&r);
    return e == REEVE_OK;
}

static int delete_one(struct cli *c, const char *path, bool force)
{
    struct reeve_request q = {.op = REEVE_OP_DELETE, .path = path, .version = REEVE_ANY_VERSION};
    struct reeve_result r;
    enum reeve_error e = cli_call(c, &q, &r);
    int code = CLI_OK;
    if (e == REEVE_NOT_EMPTY) {
        code = cli_refuse(c, "%s has children; -r deletes them too (NOTEMPTY)", path);
    } else if (e != REEVE_OK && !(force && e == REEVE_NO_NODE)) {
        code = cli_fail(c, &r);
    } else if (c->out.json) {
        out_json(&c->out, json_pack("{s:o,s:I}", "path", out_json_string(path), "deleted",
                                    (json_int_t)(e == REEVE_OK)));
    }
    reeve_result_fini(&r);
    return code;
}

int cmd_rm(struct cli *c, const struct args *a)
{
    bool force = args_has(a, "f");
    int worst = CLI_OK;
    for (int i = 0; i < a->n; i++) {
        if (a->arg[i][0] == '\0') {
            return cli_usage(c, "a path is empty");
        }
    }
    for (int i = 0; i < a->n; i++) {
        char *path = cli_path(c, a->arg[i], false);
        char *words[] = {path, NULL};
        struct args one = {.n = 1, .arg = words, .dashes = -1};
        int code = CLI_OK;
        if (strcmp(path, "/") == 0) {
            code = cli_refuse(c, "/: the root cannot be deleted");
        } else if (!args_has(a, "r")) {
            code = delete_one(c, path, force);
        } else if (is_there(c, path, force, &code)) {
            code = cmd_deleteall(c, &one);
        }
        free(path);
        worst = worst == CLI_OK ? code : worst;
        if (code != CLI_OK && code != CLI_NO) {
            return code; // no connection, or Ctrl-C
        }
    }
    return worst;
}
