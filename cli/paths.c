// SPDX-License-Identifier: Apache-2.0
//
// Paths as people write them, and access control lists as Apache's shell writes them.
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

char *cli_path_join(const char *parent, const char *name)
{
    struct string t = {0};
    string_addf(&t, "%s%s%s", parent, strcmp(parent, "/") == 0 ? "" : "/", name);
    return t.s;
}

// Adds one component of n bytes to an absolute path without a last slash ("" is the root).
static void step(struct string *t, const char *name, size_t n)
{
    if (n == 0 || (n == 1 && name[0] == '.')) {
        return;
    }
    if (n == 2 && name[0] == '.' && name[1] == '.') {
        const char *slash = t->len ? strrchr(t->s, '/') : NULL;
        string_cut(t, slash ? (size_t)(slash - t->s) : 0);
        return;
    }
    string_add_char(t, '/');
    string_add_n(t, name, n);
}

static void steps(struct string *t, const char *path)
{
    while (*path) {
        size_t n = strcspn(path, "/");
        step(t, path, n);
        path += n;
        path += *path == '/';
    }
}

char *cli_path(const struct cli *c, const char *arg, bool last_slash)
{
    struct string t = {0};
    string_add_n(&t, "", 0);
    if (arg[0] != '/') {
        steps(&t, c->cwd);
    }
    steps(&t, arg);
    size_t n = strlen(arg);
    if (t.len == 0 || (last_slash && n > 0 && arg[n - 1] == '/')) {
        string_add_char(&t, '/');
    }
    return t.s;
}

static bool parse_perms(const char *s, int32_t *perms)
{
    static const char letters[] = "rwcda"; // in the order of the bits
    *perms = 0;
    for (; *s; s++) {
        const char *at = strchr(letters, *s);
        if (at == NULL) {
            return false;
        }
        *perms |= 1 << (at - letters);
    }
    return true;
}

// AclParser.parse() of Apache: scheme to the first colon, permissions from the last one on.
bool cli_parse_acl(struct cli *c, const char *s, struct reeve_acl **list, size_t *n)
{
    size_t cap = 1, len = strlen(s);
    for (const char *p = s; *p; p++) {
        cap += *p == ',';
    }
    // The entries, and behind them the text that they point into.
    *list = cli_alloc(cap * sizeof(**list) + len + 1);
    *n = 0;
    char *text = (char *)(*list + cap), *next = text;
    memcpy(text, s, len + 1);
    while (next && *next) {
        char *entry = next;
        next = strchr(entry, ',');
        if (next) {
            *next++ = '\0';
        }
        char *first = strchr(entry, ':'), *last = strrchr(entry, ':');
        struct reeve_acl *a = &(*list)[(*n)++];
        if (first == last || !parse_perms(last + 1, &a->perms)) {
            cli_usage(c, "%s does not have the form scheme:id:perm, perm of the letters cdrwa",
                      s + (entry - text));
            free(*list);
            *list = NULL;
            return false;
        }
        *first = *last = '\0';
        a->scheme = entry;
        a->id = first + 1;
    }
    if (*n == 0) {
        cli_usage(c, "the access control list is empty");
        free(*list);
        *list = NULL;
        return false;
    }
    return true;
}
