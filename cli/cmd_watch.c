// SPDX-License-Identifier: Apache-2.0
//
// Commands about watches: addWatch, removewatches, printwatches.
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"

int cmd_add_watch(struct cli *c, const struct args *a)
{
    const char *mode = args_value(a, "m");
    struct reeve_request q = {.op = REEVE_OP_ADD_WATCH, .kind = REEVE_WATCH_RECURSIVE};
    if (mode && strcasecmp(mode, "PERSISTENT") == 0) {
        q.kind = REEVE_WATCH_PERSISTENT;
    } else if (mode && strcasecmp(mode, "PERSISTENT_RECURSIVE") != 0) {
        return cli_usage(c, "there is no mode %s, only PERSISTENT and PERSISTENT_RECURSIVE", mode);
    }
    char *path = cli_path(c, a->arg[0], false);
    q.path = path;
    cli_watch(c, &q);
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, &q, &r) != REEVE_OK) {
        code = cli_fail(c, &r);
    } else if (c->out.json) {
        out_json(&c->out, json_pack("{s:o,s:s}", "path", out_json_string(path), "watch",
                                    q.kind == REEVE_WATCH_PERSISTENT ? "PERSISTENT"
                                                                     : "PERSISTENT_RECURSIVE"));
    }
    reeve_result_fini(&r);
    free(path);
    return code;
}

int cmd_remove_watches(struct cli *c, const struct args *a)
{
    char *path = cli_path(c, a->arg[0], false);
    if (args_has(a, "l") && !cli_connected(c)) {
        cli_unwatch(c, path);
        free(path);
        return CLI_OK;
    }
    struct reeve_request q = {.op = REEVE_OP_REMOVE_WATCHES,
                              .path = path,
                              .kind = args_has(a, "c")   ? REEVE_WATCH_CHILDREN
                                      : args_has(a, "d") ? REEVE_WATCH_DATA
                                      : args_has(a, "p") ? REEVE_WATCH_PERSISTENT
                                      : args_has(a, "r") ? REEVE_WATCH_RECURSIVE
                                                         : REEVE_WATCH_ANY};
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, &q, &r) == REEVE_MARSHALLING_ERROR && q.kind > REEVE_WATCH_ANY) {
        code = cli_refuse(c,
                          "%s: this server ends persistent watches only together with all "
                          "others (-a); ZooKeeper before 3.9 knows no -p and -r",
                          path);
    } else if (r.error != REEVE_OK) {
        code = cli_fail(c, &r);
    } else if (c->out.json) {
        out_json(&c->out, json_pack("{s:o,s:b}", "path", out_json_string(path), "removed", 1));
    }
    reeve_result_fini(&r);
    free(path);
    return code;
}

int cmd_print_watches(struct cli *c, const struct args *a)
{
    if (a->n > 0) {
        c->print_watches = strcmp(a->arg[0], "on") == 0;
    } else if (c->out.json) {
        out_json(&c->out, json_pack("{s:b}", "printwatches", c->print_watches));
    } else {
        out_printf(&c->out, "printwatches is %s\n", c->print_watches ? "on" : "off");
    }
    return CLI_OK;
}
