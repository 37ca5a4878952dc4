// SPDX-License-Identifier: Apache-2.0
#include "cli/complete.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/words.h"

static void add(struct completion *o, char *choice)
{
    o->choice = cli_grow(o->choice, (o->n + 1) * sizeof(*o->choice));
    o->choice[o->n++] = choice;
}

static bool begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static void add_commands(struct completion *o, const char *begin)
{
    for (size_t i = 0; i < cli_commands_n; i++) {
        const struct cli_command *row = &cli_commands[i];
        if (row->name && !(row->flags & CLI_HIDDEN) && begins(row->name, begin)) {
            add(o, cli_dup(row->name));
        }
    }
}

// The options of a command: the words of its row, with a dash.
static void add_options(struct completion *o, const struct cli_command *row, const char *begin)
{
    const char *p = row->options;
    while (*p) {
        size_t n = strcspn(p, " :|");
        struct string t = {0};
        string_add_char(&t, '-');
        string_add_n(&t, p, n);
        if (n > 0 && begins(t.s, begin)) {
            add(o, t.s);
        } else {
            string_fini(&t);
        }
        p += n;
        p += strspn(p, " :|");
    }
}

// Children of the node that begin's last slash ends, in begin's spelling (relative or not).
static void add_nodes(struct cli *c, struct completion *o, const char *begin)
{
    const char *slash = strrchr(begin, '/');
    size_t dir_len = slash ? (size_t)(slash - begin) + 1 : 0;
    char *dir = cli_dup_n(begin, dir_len);
    char *path = cli_path(c, dir, false);
    struct reeve_request q = {
        .op = REEVE_OP_CHILDREN, .path = path, .timeout_ms = COMPLETE_WAIT_MS};
    struct reeve_result r = {0};
    if (cli_connected(c) && cli_call(c, &q, &r) == REEVE_OK) {
        for (size_t i = 0; i < r.children_n; i++) {
            if (begins(r.children[i], begin + dir_len)) {
                struct string t = {0};
                string_addf(&t, "%s%s", dir, r.children[i]);
                add(o, t.s);
            }
        }
    }
    reeve_result_fini(&r);
    free(path);
    free(dir);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// Bytes that all choices begin with; never a part of a character.
static size_t common(const struct completion *o)
{
    size_t n = strlen(o->choice[0]);
    for (size_t i = 1; i < o->n; i++) {
        size_t k = 0;
        while (k < n && o->choice[0][k] == o->choice[i][k]) {
            k++;
        }
        n = k;
    }
    while (n > 0 && ((unsigned char)o->choice[0][n] & 0xc0) == 0x80) {
        n--;
    }
    return n;
}

static void decide(struct completion *o, const struct words_tail *t, size_t len, bool nodes)
{
    size_t n = common(o);
    if (n < strlen(t->word) || (o->n > 1 && n == strlen(t->word))) {
        return; // nothing to add
    }
    char *all = cli_dup_n(o->choice[0], n);
    char *quoted = words_quote(all, t->quote);
    struct string insert = {0};
    if (t->quote) {
        string_add_char(&insert, t->quote);
    }
    string_add(&insert, quoted);
    if (o->n == 1 && !nodes) {
        string_add_char(&insert, ' ');
    }
    free(all);
    free(quoted);
    free(o->insert);
    o->insert = insert.s;
    o->cut = len - t->start;
}

void complete(struct cli *c, const char *line, size_t len, struct completion *out)
{
    *out = (struct completion){.insert = cli_dup("")};
    struct words_tail t;
    words_tail(line, len, &t);
    const struct cli_command *row = t.first ? cli_command_find(t.first) : NULL;
    bool nodes = false;
    if (t.index == 0 || (t.index == 1 && row && strcmp(row->name, "help") == 0)) {
        add_commands(out, t.word);
    } else if (row && t.word[0] == '-') {
        add_options(out, row, t.word);
    } else if (row && row->flags & CLI_PATHS) {
        nodes = true;
        add_nodes(c, out, t.word);
    }
    if (out->n > 0) {
        qsort(out->choice, out->n, sizeof(*out->choice), by_name);
        decide(out, &t, len, nodes);
    }
    words_tail_fini(&t);
}

void completion_fini(struct completion *out)
{
    for (size_t i = 0; i < out->n; i++) {
        free(out->choice[i]);
    }
    free(out->choice);
    free(out->insert);
    *out = (struct completion){0};
}
