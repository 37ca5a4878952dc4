// SPDX-License-Identifier: Apache-2.0
#include "cli/outcome.h"

int outcome_stat(struct cli *c, const struct reeve_request *q, bool text)
{
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, q, &r) != REEVE_OK) {
        code = cli_fail(c, &r);
    } else if (c->out.json) {
        out_json(&c->out, json_pack("{s:o,s:o}", "path", out_json_string(q->path), "stat",
                                    out_json_stat(&r.stat)));
    } else if (text) {
        out_stat(&c->out, &r.stat);
    }
    reeve_result_fini(&r);
    return code;
}

int outcome_done(struct cli *c, const struct reeve_request *q, const char *done, const char *line)
{
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, q, &r) != REEVE_OK) {
        code = cli_fail(c, &r);
    } else if (c->out.json) {
        out_json(&c->out, json_pack("{s:o,s:b}", "path", out_json_string(q->path), done, 1));
    } else if (line) {
        out_printf(&c->out, "%s\n", line);
    }
    reeve_result_fini(&r);
    return code;
}
