// SPDX-License-Identifier: Apache-2.0
//
// log, snapshot: the words of the offline commands. The work is in offline_run.h.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/offline_run.h"

enum { DEPTH_DEFAULT = 1, DEPTH_MAX = 1000 };

static void say(void *ctx, const char *sentence)
{
    struct cli *c = ctx;
    out_error(&c->out, "%s: %s", c->command, sentence);
}

static bool tick(void *ctx, const char *path, uint64_t at, uint64_t size)
{
    struct cli *c = ctx;
    if (!c->out.terminal && size > 0) {
        out_progress(&c->out, "%s: %d %%", path, (int)(at * 100 / size));
    }
    cli_turn(c, -1, 0);
    return !c->interrupted;
}

static struct offline_shell shell_of(struct cli *c, const struct args *a)
{
    return (struct offline_shell){c->out.to, c->out.json || args_has(a, "json"), say, tick, c};
}

// "0x100000002" or "100000002", as logs and files are named.
static bool parse_zxid(const char *s, uint64_t *zxid)
{
    char *end;
    errno = 0;
    *zxid = strtoull(s, &end, 16);
    return errno == 0 && end != s && *end == '\0' && *s != '-' && *s != '+';
}

int cmd_log(struct cli *c, const struct args *a)
{
    struct log_request q = {.words = a->arg,
                            .words_n = a->n,
                            .data = args_has(a, "v"),
                            .check = args_has(a, "check"),
                            .recover = args_value(a, "recover"),
                            .to = UINT64_MAX,
                            .sh = shell_of(c, a)};
    const char *from = args_value(a, "from"), *to = args_value(a, "to");
    if ((from && !parse_zxid(from, &q.from)) || (to && !parse_zxid(to, &q.to))) {
        return cli_usage(c, "--from and --to want a zxid, in hexadecimal");
    }
    int code = log_run(&q);
    out_progress(&c->out, NULL);
    return code;
}

int cmd_snapshot(struct cli *c, const struct args *a)
{
    struct snap_request q = {.words = a->arg,
                             .words_n = a->n,
                             .data = args_has(a, "d"),
                             .summary = args_has(a, "summary"),
                             .compare = args_has(a, "compare"),
                             .replay = args_has(a, "replay"),
                             .depth = DEPTH_DEFAULT,
                             .sh = shell_of(c, a)};
    const char *depth = args_value(a, "depth"), *nodes = args_value(a, "nodes");
    const char *bytes = args_value(a, "bytes");
    int64_t v;
    if (q.compare != (a->n == 2)) {
        return cli_usage(c, "one file or directory is wanted, and two with --compare");
    }
    if (depth) {
        if (!parse_i64(depth, 0, DEPTH_MAX, &v)) {
            return cli_usage(c, "--depth wants a number from 0 to %d", DEPTH_MAX);
        }
        q.depth = (uint32_t)v;
    }
    if (nodes && parse_i64(nodes, 0, INT64_MAX, &v)) {
        q.nodes_min = (uint64_t)v;
    } else if (nodes) {
        return cli_usage(c, "--nodes wants a number");
    }
    if (bytes && parse_i64(bytes, 0, INT64_MAX, &v)) {
        q.bytes_min = (uint64_t)v;
    } else if (bytes) {
        return cli_usage(c, "--bytes wants a number");
    }
    int code = snap_run(&q);
    out_progress(&c->out, NULL);
    return code;
}
