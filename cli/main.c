// SPDX-License-Identifier: Apache-2.0
//
// reeve: the shell. Reads the program's options and runs one command, or commands from standard
// input, or the interactive shell. Exit codes: enum cli_exit, told by --help.
//
// Options are Apache's (-server, -timeout, -r, -waitforconnection) and ours with two dashes. They
// end at the first word without a dash, the command.
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/help.h"
#include "cli/line.h"

struct settings {
    struct cli_options cli;
    bool json, help, manual, version;
    enum out_colors colors;
    const char *wrong; // what stood where
    const char *wrong_word;
};

// One option without a value. False: it is none.
static bool take_switch(struct settings *s, const char *name)
{
    struct {
        const char *name, *other;
        bool *flag;
    } switches[] = {
        {"r", "read-only", &s->cli.read_only},
        {"json", NULL, &s->json},
        {"keep-going", NULL, &s->cli.keep_going},
        {"waitforconnection", NULL, &s->cli.wait_for_connection},
        {"h", "help", &s->help},
        {"manual", NULL, &s->manual},
        {"version", NULL, &s->version},
    };
    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        if (strcmp(name, switches[i].name) == 0 ||
            (switches[i].other && strcmp(name, switches[i].other) == 0)) {
            *switches[i].flag = true;
            return true;
        }
    }
    bool color = strcmp(name, "color") == 0, no_color = strcmp(name, "no-color") == 0;
    if (color || no_color) {
        s->colors = color ? OUT_COLOR_ALWAYS : OUT_COLOR_NEVER;
    }
    return color || no_color;
}

static bool wrong(struct settings *s, const char *what, const char *word)
{
    s->wrong = what;
    s->wrong_word = word;
    return false;
}

static bool set_value(struct settings *s, const char *name, const char *word, const char *value)
{
    if (strcmp(name, "s") == 0 || strcmp(name, "server") == 0) {
        s->cli.servers = value;
        return true;
    }
    bool connect = strcmp(name, "connect-timeout") == 0;
    int64_t ms;
    if (!parse_i64(value, 1, INT32_MAX, &ms)) {
        return wrong(s, "wants milliseconds", word);
    }
    *(connect ? &s->cli.connect_timeout_ms : &s->cli.session_timeout_ms) = (int32_t)ms;
    return true;
}

static bool takes_value(const char *name)
{
    return strcmp(name, "s") == 0 || strcmp(name, "server") == 0 || strcmp(name, "timeout") == 0 ||
           strcmp(name, "connect-timeout") == 0;
}

// The word at *i, which begins with a dash, and its value.
static bool take_option(struct settings *s, int *i, int argc, char **argv)
{
    char *word = argv[*i];
    const char *name = word + (word[1] == '-' ? 2 : 1);
    if (strcmp(name, "client-configuration") == 0) {
        return wrong(s, "is for TLS and SASL of Java's client, which reeve does not speak", word);
    }
    if (take_switch(s, name)) {
        return true;
    }
    if (takes_value(name)) {
        return *i + 1 < argc ? set_value(s, name, word, argv[++*i])
                             : wrong(s, "wants a value", word);
    }
    char *equals = strchr(name, '=');
    if (equals) {
        char *left = cli_dup_n(name, (size_t)(equals - name));
        bool known = takes_value(left);
        bool done = known && set_value(s, left, word, equals + 1);
        free(left);
        if (known) {
            return done;
        }
    }
    return wrong(s, "is no option", word);
}

// Returns where the command begins, or -1.
static int parse(struct settings *s, int argc, char **argv)
{
    const char *servers = getenv("REEVE_SERVER");
    *s = (struct settings){.cli = {.servers = servers && servers[0] ? servers : "127.0.0.1:2181",
                                   .session_timeout_ms = 30000,
                                   .connect_timeout_ms = 10000}};
    int i = 1;
    while (i < argc && argv[i][0] == '-' && argv[i][1] != '\0') {
        if (strcmp(argv[i], "--") == 0) {
            return i + 1;
        }
        if (!take_option(s, &i, argc, argv)) {
            return -1;
        }
        i++;
    }
    return i;
}

static int interactive(struct cli *c)
{
    c->line = line_new(c);
    out_note(&c->out, "reeve %s; `help` lists commands, TAB completes", reeve_version());
    int code = line_run(c->line);
    line_free(&c->line);
    return code;
}

static int run(struct settings *s, int words_n, char **words)
{
    struct cli c;
    cli_init(&c, &s->cli);
    out_init(&c.out, stdout, stderr, s->json, s->colors);
    c.command = "connect";
    const struct cli_command *row = words_n > 0 ? cli_command_find(words[0]) : NULL;
    bool offline = words_n > 0 && (row == NULL || row->flags & CLI_OFFLINE);
    int code = offline || cli_connect(&c, s->cli.servers) ? CLI_OK : CLI_USAGE;
    if (code == CLI_OK && !offline && s->cli.wait_for_connection) {
        code = cli_need_connection(&c, -1);
    }
    if (code == CLI_OK && words_n > 0) {
        code = cli_run(&c, words_n, words);
        code = c.quit_code ? c.quit_code : code;
    } else if (code == CLI_OK) {
        code = s->cli.interactive ? interactive(&c) : cli_run_file(&c, STDIN_FILENO);
    }
    out_flush(&c.out);
    if (ferror(stdout)) {
        out_error(&c.out, "standard output cannot be written");
        code = code == CLI_OK ? CLI_NO : code;
    }
    cli_fini(&c);
    return code;
}

int main(int argc, char **argv)
{
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1) {
        setlocale(LC_CTYPE, "C.UTF-8"); // names of nodes are UTF-8 everywhere
    }
    struct settings s;
    int first = parse(&s, argc, argv);
    if (first < 0) {
        fprintf(stderr, "reeve: %s %s; see reeve --help\n", s.wrong_word, s.wrong);
        return CLI_USAGE;
    }
    if (s.help) {
        help_program(stdout);
        return CLI_OK;
    }
    if (s.manual) {
        help_manual(stdout);
        return CLI_OK;
    }
    if (s.version) {
        printf("reeve %s\n", reeve_version());
        return CLI_OK;
    }
    s.cli.interactive = first == argc && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    return run(&s, argc - first, argv + first);
}
