// SPDX-License-Identifier: Apache-2.0
#include "cli/help.h"

#include <string.h>

#include "cli/cli.h"

static const char synopsis[] = "reeve [options] [command [arguments]]";

static const char intro[] =
    "The shell of Reeve and Apache ZooKeeper. Without a command it is interactive on a terminal;\n"
    "else it reads commands from standard input, one a line, and stops at the first that fails.";

static const struct {
    const char *option, *text;
} options[] = {
    {"-s, --server LIST", "host:port[,host:port...][/chroot]; 127.0.0.1:2181, or what the variable "
                          "REEVE_SERVER says (-server too)"},
    {"--timeout MS", "session timeout to ask for: 30000 (-timeout too)"},
    {"--connect-timeout MS", "how long a command waits for a connection: 10000"},
    {"-r, --read-only", "a server without a quorum is better than none"},
    {"--json", "results as JSON, one value per line (also behind a command, for it alone)"},
    {"--keep-going", "input: go on after a command that failed"},
    {"--color, --no-color", "colours; else only on a terminal, and without NO_COLOR"},
    {"-waitforconnection", "connect first, fail if that takes too long"},
    {"--manual", "this and more as a page for man: reeve --manual | man -l -"},
    {"--version, --help", "(--help also behind a command: about that one)"},
};

static const struct {
    int code;
    const char *text;
} codes[] = {
    {CLI_OK, "done"},
    {CLI_NO, "the server said no: no such node, no permission, another version, ..."},
    {CLI_USAGE, "wrong usage"},
    {CLI_NO_CONNECTION, "no connection, or the session is lost"},
    {CLI_INTERRUPTED, "Ctrl-C"},
};

static const char words_text[] =
    "Words are parted by spaces. Quotes (\" or ') count where a word begins, so that\n"
    "create /a {\"port\":80} needs none; within \"\" and outside quotes a backslash stands for "
    "the\n"
    "space, quote, backslash or # behind it. A line that begins with # is a comment. Options may\n"
    "stand anywhere; -- ends them. Paths without a slash in front begin where cd went.";

static void print_codes(FILE *to, const char *before, const char *between, const char *after)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        fprintf(to, "%s%d%s%s%s", before, codes[i].code, between, codes[i].text, after);
    }
}

// "name synopsis" in one column, help in the other; or below, where the first is too long.
static void print_row(struct out *o, const struct cli_command *row)
{
    enum { FIRST = 40 };
    int n = (int)(strlen(row->name) + 1 + strlen(row->synopsis));
    out_printf(o, "  %s%s%s %s", out_color(o, OUT_BOLD), row->name, out_color_end(o),
               row->synopsis);
    if (n > FIRST - 2) {
        out_printf(o, "\n%*s%s\n", FIRST + 2, "", row->help);
    } else {
        out_printf(o, "%*s%s\n", FIRST - n, "", row->help);
    }
}

static void print_commands(struct out *o)
{
    for (size_t i = 0; i < cli_commands_n; i++) {
        const struct cli_command *row = &cli_commands[i];
        bool empty = row->name == NULL && i + 1 < cli_commands_n && cli_commands[i + 1].name &&
                     cli_commands[i + 1].flags & CLI_HIDDEN;
        if (row->name == NULL && !empty) {
            out_printf(o, "%s\n", row->help);
        } else if (row->name && !(row->flags & CLI_HIDDEN)) {
            print_row(o, row);
        }
    }
}

void help_program(FILE *to)
{
    fprintf(to, "usage: %s\n\n%s\n\n", synopsis, intro);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        fprintf(to, "  %-22s %s\n", options[i].option, options[i].text);
    }
    fprintf(to, "\nExit codes:\n");
    print_codes(to, "  ", " ", "\n");
    fprintf(to, "\nCommands:\n");
    struct out o;
    out_init(&o, to, stderr, false, OUT_COLOR_NEVER);
    print_commands(&o);
    fprintf(to, "\n%s\n", words_text);
}

// Text of a manual page: a backslash is written \e, a line must not begin with a dot or quote.
static void manual_text(FILE *to, const char *s)
{
    if (*s == '.' || *s == '\'') {
        fputs("\\&", to);
    }
    for (; *s; s++) {
        if (*s == '\\') {
            fputs("\\e", to);
        } else if (*s == '-') {
            fputs("\\-", to);
        } else {
            fputc(*s, to);
        }
    }
    fputc('\n', to);
}

static void manual_item(FILE *to, const char *head, const char *more, const char *text)
{
    fprintf(to, ".TP\n\\fB%s\\fR ", head);
    manual_text(to, more);
    manual_text(to, text);
}

void help_manual(FILE *to)
{
    fprintf(to,
            ".TH REEVE 1 \"\" \"reeve %s\"\n.SH NAME\nreeve \\- shell of a coordination "
            "service\n.SH SYNOPSIS\n",
            reeve_version());
    manual_text(to, synopsis);
    fprintf(to, ".SH DESCRIPTION\n");
    manual_text(to, intro);
    fprintf(to, ".PP\n");
    manual_text(to, words_text);
    fprintf(to, ".SH OPTIONS\n");
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        manual_item(to, options[i].option, "", options[i].text);
    }
    for (size_t i = 0; i < cli_commands_n; i++) {
        const struct cli_command *row = &cli_commands[i];
        if (row->name == NULL) {
            fprintf(to, ".SH COMMANDS: %s\n", row->help);
        } else {
            manual_item(to, row->name, row->synopsis, row->help);
        }
    }
    fprintf(to, ".SH EXIT STATUS\n");
    print_codes(to, ".TP\n\\fB", "\\fR\n", "\n");
    fprintf(to, ".SH FILES\n.TP\n\\fB~/.reeve_history\\fR\nthe last lines of interactive shells; "
                "REEVE_HISTORY names another file\n");
}

static json_t *json_row(const struct cli_command *row)
{
    return json_pack("{s:s,s:s,s:s}", "name", row->name, "arguments", row->synopsis, "help",
                     row->help);
}

int help_command(struct cli *c, const char *name)
{
    const struct cli_command *row = cli_command_find(name);
    if (row == NULL) {
        const struct cli_command *near = cli_command_near(name);
        out_error(&c->out, "help: Command not found %s%s%s", name, near ? "; is it " : "",
                  near ? near->name : "");
        return CLI_USAGE;
    }
    if (c->out.json) {
        out_json(&c->out, json_row(row));
    } else {
        out_printf(&c->out, "%s %s\n    %s\n", row->name, row->synopsis, row->help);
        if (row->aliases[0]) {
            out_printf(&c->out, "    also: %s\n", row->aliases);
        }
    }
    return CLI_OK;
}

int cmd_help(struct cli *c, const struct args *a)
{
    if (a->n > 0) {
        return help_command(c, a->arg[0]);
    }
    if (c->out.json) {
        json_t *list = json_array();
        for (size_t i = 0; i < cli_commands_n; i++) {
            if (cli_commands[i].name && !(cli_commands[i].flags & CLI_HIDDEN)) {
                json_array_append_new(list, json_row(&cli_commands[i]));
            }
        }
        out_json(&c->out, json_pack("{s:o}", "commands", list));
        return CLI_OK;
    }
    print_commands(&c->out);
    return CLI_OK;
}
