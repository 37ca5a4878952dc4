// SPDX-License-Identifier: Apache-2.0
//
// From a line to a command: the table of commands, finding one, sorting its options, running it;
// and commands from a file.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/help.h"
#include "cli/history.h"
#include "cli/kinds.h"
#include "cli/words.h"

// Data of a megabyte may be written with four characters a byte.
enum { LINE_MAX_BYTES = 8 << 20 };

#define SECTION(title) {.help = title},
#define COMMAND(name, aliases, synopsis, help, options, min, max, fn, flags) \
    {name, aliases, synopsis, help, options, min, max, fn, flags},
const struct cli_command cli_commands[] = {
#include "cli/commands.def"
};
#undef COMMAND
#undef SECTION
const size_t cli_commands_n = sizeof(cli_commands) / sizeof(cli_commands[0]);

static bool is_alias(const char *aliases, const char *name)
{
    size_t n = strlen(name);
    while (*aliases) {
        size_t len = strcspn(aliases, " ");
        if (len == n && memcmp(aliases, name, n) == 0) {
            return true;
        }
        aliases += len;
        aliases += strspn(aliases, " ");
    }
    return false;
}

const struct cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; i < cli_commands_n; i++) {
        const struct cli_command *row = &cli_commands[i];
        if (row->name && (strcmp(row->name, name) == 0 || is_alias(row->aliases, name))) {
            return row;
        }
    }
    return NULL;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

// How many letters are to be changed, added or taken away; capitals are no difference.
static size_t distance(const char *a, const char *b)
{
    enum { LONGEST = 32 };
    size_t n = strlen(b), row[LONGEST + 1];
    if (n > LONGEST) {
        return LONGEST;
    }
    for (size_t j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t change = diagonal + (lower(a[i]) != lower(b[j]));
            size_t less = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = change < less ? change : less;
        }
    }
    return row[n];
}

const struct cli_command *cli_command_near(const char *name)
{
    const struct cli_command *best = NULL;
    size_t least = strlen(name) > 4 ? 3 : 2;
    for (size_t i = 0; i < cli_commands_n; i++) {
        const struct cli_command *row = &cli_commands[i];
        if (row->name && !(row->flags & CLI_HIDDEN) && distance(name, row->name) < least) {
            least = distance(name, row->name);
            best = row;
        }
    }
    return best;
}

// How long a command with --timeout may wait for a connection, in ms; -1: it has none, or a wrong
// one. `lock --timeout 0` does not wait for others, but has to get there.
static int64_t own_limit_ms(const struct args *a)
{
    const char *s = args_value(a, "timeout");
    int64_t ms;
    return !s || !parse_seconds(s, &ms) ? -1 : ms < 1000 ? 1000 : ms;
}

static int run_row(struct cli *c, const struct cli_command *row, const struct args *a)
{
    if (a->n < row->args_min || (row->args_max >= 0 && a->n > row->args_max)) {
        return cli_usage(c, a->n < row->args_min ? "an argument is missing"
                                                 : "there are too many arguments");
    }
    // Most likely a variable of a script that is not set, and not meant to be the whole tree.
    if (row->flags & CLI_PATHS && a->n > 0 && a->arg[0][0] == '\0') {
        return cli_usage(c, "the path is empty");
    }
    if (!(row->flags & CLI_OFFLINE)) {
        int no = cli_need_connection(c, own_limit_ms(a));
        if (no != CLI_OK) {
            return no;
        }
    }
    return row->fn(c, a);
}

int cli_run(struct cli *c, int words_n, char **words)
{
    const struct cli_command *row = cli_command_find(words[0]);
    if (row == NULL) {
        const struct cli_command *near = cli_command_near(words[0]);
        out_error(&c->out, "Command not found %s; %s%s%s`help` lists all", words[0],
                  near ? "is it " : "", near ? near->name : "", near ? "? " : "");
        return CLI_USAGE;
    }
    // --json and --help may stand behind any command, for that command alone.
    struct string known = {0};
    string_addf(&known, "%s json help", row->options);
    const char *before = c->command;
    bool json = c->out.json, color = c->out.color;
    c->command = words[0];
    struct args a;
    char why[160];
    int code;
    if (args_parse(&a, known.s, words_n - 1, words + 1, why, sizeof(why))) {
        c->out.json = json || args_has(&a, "json");
        c->out.color = color && !c->out.json;
        code = args_has(&a, "help") ? help_command(c, row->name) : run_row(c, row, &a);
    } else {
        code = cli_usage(c, "%s", why);
    }
    args_fini(&a);
    string_fini(&known);
    out_flush(&c->out);
    cli_forget(c);
    c->out.json = json;
    c->out.color = color;
    c->command = before;
    return code;
}

int cli_run_line(struct cli *c, const char *line)
{
    struct words w;
    if (words_split(line, &w) != WORDS_OK) {
        out_error(&c->out, "a quote is not closed: %s", line);
        return CLI_USAGE;
    }
    int code = CLI_OK;
    if (w.n > 0) {
        c->interrupted = false;
        history_add(c->history, line);
        code = cli_run(c, w.n, w.word);
    }
    words_fini(&w);
    return code;
}

// ---- commands that are read ---------------------------------------------------------------------

struct input {
    int fd;
    struct string buf;
    size_t start;    // of the next line in buf
    size_t line_len; // of the one given last
    bool ended;
};

// The next line, in the buffer, without its newline; NULL: there are no more. TOO_LONG is said.
static char *next_line(struct cli *c, struct input *in)
{
    for (;;) {
        char *from = in->buf.s ? in->buf.s + in->start : NULL;
        char *end = from ? memchr(from, '\n', in->buf.len - in->start) : NULL;
        if (end || (in->ended && from && in->start < in->buf.len)) {
            in->start = end ? (size_t)(end - in->buf.s) + 1 : in->buf.len;
            in->line_len = (size_t)(in->buf.s + in->start - from) - (end != NULL);
            if (end) {
                *end = '\0';
            }
            return from;
        }
        if (in->ended || c->interrupted) {
            return NULL;
        }
        if (in->start > 0) {
            memmove(in->buf.s, from, in->buf.len - in->start);
            string_cut(&in->buf, in->buf.len - in->start);
            in->start = 0;
        }
        if (in->buf.len > LINE_MAX_BYTES) {
            out_error(&c->out, "a line of the input is longer than %d bytes", LINE_MAX_BYTES);
            c->quit = true;
            c->quit_code = CLI_USAGE;
            return NULL;
        }
        if (cli_turn(c, in->fd, -1)) {
            char part[65536];
            ssize_t n = read(in->fd, part, sizeof(part));
            if (n > 0) {
                string_add_n(&in->buf, part, (size_t)n);
            }
            in->ended = n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
        }
    }
}

// Half a command is none: what stands before a NUL may be the name of something else.
static int run_read_line(struct cli *c, const char *line, size_t len)
{
    if (strlen(line) != len) {
        out_error(&c->out, "a NUL byte stands in the line: %s", line);
        return CLI_USAGE;
    }
    return cli_run_line(c, line);
}

int cli_run_file(struct cli *c, int fd)
{
    struct input in = {.fd = fd};
    int first = CLI_OK;
    char *line;
    while (!c->quit && (line = next_line(c, &in)) != NULL) {
        int code = run_read_line(c, line, in.line_len);
        if (first == CLI_OK) {
            first = code;
        }
        if (code == CLI_INTERRUPTED || (code != CLI_OK && !c->opt.keep_going)) {
            break;
        }
    }
    string_fini(&in.buf);
    if (c->interrupted) {
        return c->quit_code ? c->quit_code : CLI_INTERRUPTED;
    }
    return first != CLI_OK ? first : c->quit_code;
}
