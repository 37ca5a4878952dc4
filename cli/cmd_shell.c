// SPDX-License-Identifier: Apache-2.0
//
// Commands about the session and the shell itself: connect, close, quit, cd, pwd, history, redo,
// version.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/history.h"
#include "cli/words.h"

int cmd_connect(struct cli *c, const struct args *a)
{
    const char *servers = a->n > 0 ? a->arg[0] : c->opt.servers;
    if (!cli_connect(c, servers)) {
        return CLI_USAGE;
    }
    if (servers != c->opt.servers) {
        free(c->servers_given);
        c->servers_given = cli_dup(servers);
        c->opt.servers = c->servers_given;
    }
    free(c->cwd);
    c->cwd = cli_dup("/");
    return CLI_OK;
}

int cmd_close(struct cli *c, const struct args *a)
{
    (void)a;
    if (c->zk == NULL) {
        return cli_refuse(c, "Not connected");
    }
    cli_close(c);
    return CLI_OK;
}

int cmd_quit(struct cli *c, const struct args *a)
{
    (void)a;
    c->quit = true;
    return CLI_OK;
}

int cmd_cd(struct cli *c, const struct args *a)
{
    char *path = cli_path(c, a->n > 0 ? a->arg[0] : "/", false);
    struct reeve_request q = {.op = REEVE_OP_EXISTS, .path = path};
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, &q, &r) == REEVE_OK) {
        free(c->cwd);
        c->cwd = path;
        path = NULL;
    } else {
        code = cli_fail(c, &r);
    }
    reeve_result_fini(&r);
    free(path);
    return code;
}

int cmd_pwd(struct cli *c, const struct args *a)
{
    (void)a;
    struct string safe = {0};
    if (c->out.json) {
        out_json(&c->out, json_pack("{s:o}", "path", out_json_string(c->cwd)));
    } else {
        out_printf(&c->out, "%s\n", out_safe(&c->out, c->cwd, &safe));
    }
    string_fini(&safe);
    return CLI_OK;
}

// The last eleven lines, this one included, as Apache's shell shows them.
int cmd_history(struct cli *c, const struct args *a)
{
    (void)a;
    size_t count = history_count(c->history);
    json_t *list = c->out.json ? json_array() : NULL;
    for (size_t i = count > 11 ? count - 11 : 0; i < count; i++) {
        const char *line = history_get(c->history, i);
        if (list) {
            json_array_append_new(list, json_pack("{s:I,s:o}", "number", (json_int_t)i, "line",
                                                  out_json_string(line)));
        } else {
            out_printf(&c->out, "%zu - %s\n", i, line);
        }
    }
    if (list) {
        out_json(&c->out, json_pack("{s:o}", "history", list));
    }
    return CLI_OK;
}

int cmd_redo(struct cli *c, const struct args *a)
{
    int64_t number;
    size_t count = history_count(c->history); // this line is in it already
    if (!parse_i64(a->arg[0], INT64_MIN, INT64_MAX, &number)) {
        return cli_usage(c, "%s is no number of a line", a->arg[0]);
    }
    const char *line = number < 0 ? NULL : history_get(c->history, (size_t)number);
    if (line == NULL || (size_t)number + 1 >= count) {
        return cli_usage(c, "Command index out of range");
    }
    char *copy = cli_dup(line);
    struct words w;
    int code = CLI_OK;
    if (words_split(copy, &w) == WORDS_OK && w.n > 0) {
        if (strcmp(w.word[0], "redo") == 0) {
            code = cli_usage(c, "No redoing redos");
        } else {
            history_replace_last(c->history, copy);
            if (c->opt.interactive) {
                out_note(&c->out, "%s", copy);
            }
            code = cli_run(c, w.n, w.word);
        }
    }
    words_fini(&w);
    free(copy);
    return code;
}

int cmd_version(struct cli *c, const struct args *a)
{
    (void)a;
    if (c->out.json) {
        out_json(&c->out, json_pack("{s:s,s:s}", "program", "reeve", "version", reeve_version()));
    } else {
        out_printf(&c->out, "ZooKeeper CLI version: reeve-%s\n", reeve_version());
    }
    return CLI_OK;
}
