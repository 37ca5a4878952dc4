// SPDX-License-Identifier: Apache-2.0
//
// export: a subtree as JSON; see dump.h for its form.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/dump.h"
#include "cli/fetch.h"
#include "cli/subtree.h"

struct export
{
    FILE *to;
    bool terminal;
    size_t written, unread, masked;
    bool failed; // to write
};

static bool is_masked(const struct reeve_result *acl)
{
    for (size_t i = 0; i < acl->acl_n; i++) {
        size_t len = strlen(acl->acl[i].id);
        if (strcmp(acl->acl[i].scheme, "digest") == 0 && len > 1 &&
            strcmp(acl->acl[i].id + len - 2, ":x") == 0) {
            return true;
        }
    }
    return false;
}

static bool on_node(struct cli *c, void *ctx, const struct fetched *n)
{
    (void)c;
    struct export *x = ctx;
    if (n->data->error == REEVE_NO_NODE || n->acl->error == REEVE_NO_NODE) {
        return true;
    }
    if (n->data->error != REEVE_OK || n->acl->error != REEVE_OK) {
        x->unread++;
        return true;
    }
    x->masked += is_masked(n->acl);
    json_t *v = dump_encode(n->path, n->data, n->acl);
    char *s = out_json_text(x->terminal, v);
    x->failed = s == NULL || fprintf(x->to, "%s%s", x->written ? ",\n" : "", s) < 0;
    x->written++;
    free(s);
    json_decref(v);
    return !x->failed;
}

static bool write_head(const struct export *x, const struct cli *c, const char *path)
{
    json_t *name = out_json_string(path), *server = out_json_string(c->server);
    char *name_text = out_json_text(x->terminal, name);
    char *server_text = out_json_text(x->terminal, server);
    bool good = name_text && server_text &&
                fprintf(x->to, "{\"export\":%s,\"server\":%s,\"time\":%lld000,\"nodes\":[\n",
                        name_text, server_text, (long long)time(NULL)) > 0;
    free(name_text);
    free(server_text);
    json_decref(name);
    json_decref(server);
    return good;
}

static int write_nodes(struct cli *c, const struct subtree *w, struct export *x)
{
    size_t *which = cli_alloc((w->n + 1) * sizeof(*which)), n = 0;
    struct subtree_order order = {0};
    while (subtree_next(w, &order, &which[n])) {
        n++;
    }
    subtree_order_fini(&order);
    x->failed = !write_head(x, c, w->node[0].name);
    int code = x->failed ? CLI_OK : fetch_nodes(c, w, which, n, true, on_node, x);
    free(which);
    if (code == CLI_OK && !x->failed) {
        x->failed = fprintf(x->to, "\n]}\n") < 0;
    }
    return code;
}

static int say_left_out(struct cli *c, const char *path, const struct subtree *w,
                        const struct export *x)
{
    if (x->masked > 0) {
        out_note(&c->out,
                 "%zu nodes have digests that only those with ADMIN permission see; import wants "
                 "--no-acl then",
                 x->masked);
    }
    if (x->unread > 0 || w->refused > 0) {
        return cli_refuse(c, "%s: %zu nodes may not be read and are left out (NOAUTH)", path,
                          x->unread > w->refused ? x->unread : w->refused);
    }
    return CLI_OK;
}

// Where an export to a file goes: beside it, and moved there when it is whole, so that a failure
// leaves the old file as it was. What is no file (a device, a pipe) cannot be replaced: it is
// written itself.
struct place {
    char *file; // behind symbolic links
    char *part; // NULL: there is none
    bool kept;
};

// The mode of the file that is replaced, else what the umask leaves.
static mode_t mode_of(bool there, const struct stat *st)
{
    mode_t mask = umask(0);
    umask(mask);
    return there ? st->st_mode & 07777 : 0666 & ~mask;
}

// NULL, with errno: it cannot be written.
static FILE *place_open(struct place *p, const char *file)
{
    struct stat st;
    bool there = stat(file, &st) == 0;
    char *real = there ? realpath(file, NULL) : NULL;
    *p = (struct place){.file = real ? real : cli_dup(file)};
    if (there && !S_ISREG(st.st_mode)) {
        return fopen(p->file, "w");
    }
    struct string part = {0};
    string_addf(&part, "%s.XXXXXX", p->file);
    int fd = mkstemp(part.s);
    p->part = part.s;
    if (fd < 0) {
        free(p->part);
        p->part = NULL;
        return NULL;
    }
    FILE *to = fchmod(fd, mode_of(there, &st)) == 0 ? fdopen(fd, "w") : NULL;
    if (to == NULL) {
        close(fd);
    }
    return to;
}

static bool place_close(struct place *p, FILE *to)
{
    bool good = fflush(to) == 0 && (p->part == NULL || fsync(fileno(to)) == 0);
    int why = errno;
    if (fclose(to) != 0 && good) {
        good = false;
        why = errno;
    }
    errno = why;
    return good;
}

static bool place_keep(struct place *p)
{
    p->kept = p->part == NULL || rename(p->part, p->file) == 0;
    return p->kept;
}

static void place_fini(struct place *p)
{
    int why = errno;
    if (p->part && !p->kept) {
        unlink(p->part);
    }
    free(p->part);
    free(p->file);
    errno = why;
}

static int cannot_write(struct cli *c, const char *file)
{
    return cli_refuse(c, "%s cannot be written: %s", file, strerror(errno));
}

static int export_to_file(struct cli *c, const struct subtree *w, struct export *x,
                          const char *file)
{
    struct place p;
    x->to = place_open(&p, file);
    int code = x->to ? write_nodes(c, w, x) : cannot_write(c, file);
    if (x->to && (!place_close(&p, x->to) || x->failed)) {
        code = cannot_write(c, file);
    }
    if (code == CLI_OK && !place_keep(&p)) {
        code = cannot_write(c, file);
    }
    place_fini(&p);
    return code;
}

static void tell(struct cli *c, const char *path, const char *file, size_t written)
{
    if (c->out.json) {
        out_json(&c->out, json_pack("{s:o,s:o,s:I}", "path", out_json_string(path), "file",
                                    out_json_string(file), "exported", (json_int_t)written));
    } else {
        out_printf(&c->out, "exported %zu nodes to %s\n", written, file);
    }
}

// file NULL: standard output.
static int export_to(struct cli *c, const char *path, const char *file)
{
    struct subtree w;
    struct export x = {.to = c->out.to, .terminal = file == NULL && c->out.terminal};
    int code = subtree_load(c, path, SUBTREE_NAMES, &w);
    if (code == CLI_OK) {
        code = file ? export_to_file(c, &w, &x, file) : write_nodes(c, &w, &x);
        if (code == CLI_OK && x.failed) {
            code = CLI_NO; // main() says so
        }
    }
    if (code == CLI_OK) {
        if (file) {
            tell(c, path, file, x.written);
        }
        code = say_left_out(c, path, &w, &x);
    }
    subtree_fini(&w);
    return code;
}

int cmd_export(struct cli *c, const struct args *a)
{
    const char *file = a->n > 1 && strcmp(a->arg[1], "-") != 0 ? a->arg[1] : NULL;
    char *path = cli_path(c, a->arg[0], false);
    int code = export_to(c, path, file);
    free(path);
    return code;
}
