// SPDX-License-Identifier: Apache-2.0
//
// Quotas, as Apache's shell keeps them: below /zookeeper/quota stands the path of the limited node,
// and there zookeeper_limits with the limits and zookeeper_stats with what the server counts. Both
// are "count=2,bytes=6" and, behind "=", ";byteHardLimit=7;countHardLimit=9" (StatsTrack.java); -1
// is no limit. On one way from the root to a leaf only one node has a quota.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/subtree.h"

static const char quota_root[] = "/zookeeper/quota";
static const char limits_name[] = "zookeeper_limits", stats_name[] = "zookeeper_stats";

struct quota {
    int64_t count, bytes, count_hard, bytes_hard; // -1: none
};
static const struct quota no_quota = {-1, -1, -1, -1};

// ---- the text -----------------------------------------------------------------------------------

static void parse_field(struct quota *q, const char *s, size_t n)
{
    static const struct {
        const char *name;
        size_t at;
    } fields[] = {{"count=", offsetof(struct quota, count)},
                  {"bytes=", offsetof(struct quota, bytes)},
                  {"countHardLimit=", offsetof(struct quota, count_hard)},
                  {"byteHardLimit=", offsetof(struct quota, bytes_hard)}};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        size_t len = strlen(fields[i].name);
        if (n > len && memcmp(s, fields[i].name, len) == 0) {
            char *number = cli_dup_n(s + len, n - len);
            number[strcspn(number, "=")] = '\0'; // "bytes=5=" is written for old readers
            int64_t v;
            if (parse_i64(number, INT64_MIN, INT64_MAX, &v)) {
                memcpy((char *)q + fields[i].at, &v, sizeof(v));
            }
            free(number);
        }
    }
}

static struct quota parse_quota(const struct reeve_result *r)
{
    struct quota q = no_quota;
    const char *s = r->data ? r->data : "";
    while (*s) {
        size_t n = strcspn(s, ",;");
        parse_field(&q, s, n);
        s += n;
        s += *s != '\0';
    }
    return q;
}

static char *format_quota(const struct quota *q)
{
    struct string t = {0};
    string_addf(&t,
                "count=%" PRId64 ",bytes=%" PRId64 "=;byteHardLimit=%" PRId64
                ";countHardLimit=%" PRId64,
                q->count, q->bytes, q->bytes_hard, q->count_hard);
    return t.s;
}

// ---- requests -----------------------------------------------------------------------------------

static char *quota_path(const char *path, const char *leaf)
{
    struct string t = {0};
    string_addf(&t, "%s%s%s%s", quota_root, strcmp(path, "/") == 0 ? "" : path, leaf ? "/" : "",
                leaf ? leaf : "");
    return t.s;
}

static enum reeve_error request(struct cli *c, enum reeve_op op, const char *path, const char *data,
                                struct reeve_result *r)
{
    struct reeve_request q = {.op = op,
                              .path = path,
                              .data = data,
                              .data_len = data ? strlen(data) : 0,
                              .version = REEVE_ANY_VERSION};
    return cli_call(c, &q, r);
}

// A request whose failure is told, unless it is `fine`.
static int must_do(struct cli *c, enum reeve_op op, const char *path, const char *data,
                   enum reeve_error fine)
{
    struct reeve_result r;
    enum reeve_error e = request(c, op, path, data, &r);
    int code = e == REEVE_OK || e == fine ? CLI_OK : cli_fail(c, &r);
    reeve_result_fini(&r);
    return code;
}

// CLI_OK, *there: whether the node is, and what it says.
static int read_quota(struct cli *c, const char *path, const char *leaf, bool *there,
                      struct quota *q)
{
    char *at = quota_path(path, leaf);
    struct reeve_result r;
    enum reeve_error e = request(c, REEVE_OP_GET, at, NULL, &r);
    *there = e == REEVE_OK;
    *q = no_quota;
    int code = CLI_OK;
    if (e == REEVE_OK) {
        *q = parse_quota(&r);
    } else if (e != REEVE_NO_NODE) {
        code = cli_fail(c, &r);
    }
    reeve_result_fini(&r);
    free(at);
    return code;
}

// The server counts by whole paths, and through a chroot /zookeeper is out of reach.
static bool has_chroot(struct cli *c, const char *servers)
{
    if (strchr(servers, '/') == NULL || strcmp(strchr(servers, '/'), "/") == 0) {
        return false;
    }
    cli_refuse(c, "quotas cannot be reached through a chroot: connect without it");
    return true;
}

// ---- listquota ----------------------------------------------------------------------------------

static json_t *json_quota(const struct quota *q)
{
    return json_pack("{s:I,s:I,s:I,s:I}", "count", (json_int_t)q->count, "bytes",
                     (json_int_t)q->bytes, "countHardLimit", (json_int_t)q->count_hard,
                     "byteHardLimit", (json_int_t)q->bytes_hard);
}

// What a node of the quota says as text, as it stands there.
static int print_raw(struct cli *c, const char *path, const char *leaf, const char *what)
{
    char *at = quota_path(path, leaf);
    struct reeve_result r;
    int code = CLI_OK;
    if (request(c, REEVE_OP_GET, at, NULL, &r) == REEVE_OK) {
        struct string safe_path = {0}, safe = {0};
        out_printf(&c->out, "Output %s for %s %s\n", what, out_safe(&c->out, path, &safe_path),
                   out_safe(&c->out, r.data ? r.data : "", &safe));
        string_fini(&safe_path);
        string_fini(&safe);
    } else {
        code = cli_fail(c, &r);
    }
    reeve_result_fini(&r);
    free(at);
    return code;
}

static int list_quota(struct cli *c, const char *path)
{
    bool there, counted;
    struct quota limits, stats;
    if (!c->out.json) {
        char *at = quota_path(path, limits_name);
        out_note(&c->out, "absolute path is %s", at);
        free(at);
    }
    int code = read_quota(c, path, limits_name, &there, &limits);
    if (code != CLI_OK || !there) {
        return code != CLI_OK ? code : cli_refuse(c, "quota for %s does not exist.", path);
    }
    if (c->out.json) {
        code = read_quota(c, path, stats_name, &counted, &stats);
        if (code == CLI_OK) {
            out_json(&c->out, json_pack("{s:o,s:o,s:o}", "path", out_json_string(path), "quota",
                                        json_quota(&limits), "used", json_quota(&stats)));
        }
        return code;
    }
    code = print_raw(c, path, limits_name, "quota");
    return code != CLI_OK ? code : print_raw(c, path, stats_name, "stat");
}

int cmd_list_quota(struct cli *c, const struct args *a)
{
    if (has_chroot(c, c->opt.servers)) {
        return CLI_NO;
    }
    char *path = cli_path(c, a->arg[0], false);
    int code = list_quota(c, path);
    free(path);
    return code;
}

// ---- setquota -----------------------------------------------------------------------------------

// A node above or below that has a quota, to be freed; NULL: none. A node without one may be part
// of the tree of quotas only because of others below it.
static int find_other(struct cli *c, const char *path, char **other)
{
    *other = NULL;
    int code = CLI_OK;
    // Above: each beginning of the path.
    for (const char *slash = strchr(path + 1, '/'); slash && code == CLI_OK && !*other;
         slash = strchr(slash + 1, '/')) {
        char *above = cli_dup_n(path, (size_t)(slash - path));
        bool there;
        struct quota q;
        code = read_quota(c, above, limits_name, &there, &q);
        if (there) {
            *other = above;
        } else {
            free(above);
        }
    }
    if (code != CLI_OK || *other) {
        return code;
    }
    char *root = quota_path(path, NULL);
    bool there = false;
    struct reeve_result r;
    enum reeve_error e = request(c, REEVE_OP_EXISTS, root, NULL, &r);
    if (e == REEVE_OK) {
        there = true;
    } else if (e != REEVE_NO_NODE) {
        code = cli_fail(c, &r);
    }
    reeve_result_fini(&r);
    struct subtree w = {0};
    if (there) {
        code = subtree_load(c, root, SUBTREE_NAMES, &w);
    }
    for (size_t i = 0; i < w.n && code == CLI_OK && !*other; i++) {
        if (i > 0 && w.node[i].parent != 0 && strcmp(w.node[i].name, limits_name) == 0) {
            char *at = subtree_path(&w, w.node[i].parent);
            *other = cli_dup(at + strlen(quota_root));
            free(at);
        }
    }
    subtree_fini(&w);
    free(root);
    return code;
}

// The nodes on the way to the quota's, which are made if missing.
static int make_way(struct cli *c, const char *path)
{
    char *whole = quota_path(path, NULL);
    int code = CLI_OK;
    for (char *slash = strchr(whole + 1, '/'); code == CLI_OK; slash = strchr(slash + 1, '/')) {
        if (slash) {
            *slash = '\0';
        }
        if (strcmp(whole, "/zookeeper") != 0) {
            code = must_do(c, REEVE_OP_CREATE, whole, NULL, REEVE_NODE_EXISTS);
        }
        if (slash == NULL) {
            break;
        }
        *slash = '/';
    }
    free(whole);
    return code;
}

static void warn_if_exceeded(struct cli *c, const struct quota *limits, const struct quota *used)
{
    bool count = (limits->count >= 0 && limits->count < used->count) ||
                 (limits->count_hard >= 0 && limits->count_hard < used->count);
    bool bytes = (limits->bytes >= 0 && limits->bytes < used->bytes) ||
                 (limits->bytes_hard >= 0 && limits->bytes_hard < used->bytes);
    if (count) {
        out_note(&c->out,
                 "[Warning]: the count quota you create is less than the existing "
                 "count:%" PRId64,
                 used->count);
    }
    if (bytes) {
        out_note(&c->out,
                 "[Warning]: the bytes quota you create is less than the existing "
                 "bytes:%" PRId64,
                 used->bytes);
    }
}

static int write_quota(struct cli *c, const char *path, const struct quota *set)
{
    bool there, counted;
    struct quota q, used;
    int code = read_quota(c, path, limits_name, &there, &q);
    if (code != CLI_OK) {
        return code;
    }
    q.count = set->count >= 0 ? set->count : q.count;
    q.bytes = set->bytes >= 0 ? set->bytes : q.bytes;
    q.count_hard = set->count_hard >= 0 ? set->count_hard : q.count_hard;
    q.bytes_hard = set->bytes_hard >= 0 ? set->bytes_hard : q.bytes_hard;
    char *limits = quota_path(path, limits_name), *stats = quota_path(path, stats_name);
    char *text = format_quota(&q);
    if (there) {
        code = must_do(c, REEVE_OP_SET, limits, text, REEVE_OK);
    } else {
        code = make_way(c, path);
        code = code != CLI_OK ? code : must_do(c, REEVE_OP_CREATE, limits, text, REEVE_OK);
        // The server begins to count here.
        code = code != CLI_OK
                   ? code
                   : must_do(c, REEVE_OP_CREATE, stats, "count=0,bytes=0", REEVE_NODE_EXISTS);
    }
    if (code == CLI_OK && read_quota(c, path, stats_name, &counted, &used) == CLI_OK && counted) {
        warn_if_exceeded(c, &q, &used);
    }
    free(limits);
    free(stats);
    free(text);
    return code;
}

static int set_quota(struct cli *c, const char *path, const struct quota *q)
{
    if (strncmp(path, quota_root, strlen(quota_root)) == 0) {
        return cli_refuse(c, "cannot set a quota under the path: %s", quota_root);
    }
    struct reeve_result r;
    enum reeve_error e = request(c, REEVE_OP_EXISTS, path, NULL, &r);
    int code = e == REEVE_NO_NODE ? cli_refuse(c, "%s does not exist.", path)
               : e != REEVE_OK    ? cli_fail(c, &r)
                                  : CLI_OK;
    reeve_result_fini(&r);
    char *other = NULL;
    if (code == CLI_OK) {
        code = find_other(c, path, &other);
    }
    if (other) {
        bool above = strncmp(path, other, strlen(other)) == 0;
        code = cli_refuse(c, "%s has a %s %s which has a quota", path, above ? "parent" : "child",
                          other);
    }
    free(other);
    if (code == CLI_OK) {
        code = write_quota(c, path, q);
    }
    if (code == CLI_OK && c->out.json) {
        out_json(&c->out,
                 json_pack("{s:o,s:o}", "path", out_json_string(path), "quota", json_quota(q)));
    }
    return code;
}

int cmd_set_quota(struct cli *c, const struct args *a)
{
    struct quota q = no_quota;
    const char *n = args_value(a, "n"), *b = args_value(a, "b"), *hard_n = args_value(a, "N"),
               *hard_b = args_value(a, "B");
    if (!n && !b && !hard_n && !hard_b) {
        return cli_usage(c, "one of -n, -b, -N and -B is wanted");
    }
    if ((n && !parse_i64(n, 1, INT32_MAX, &q.count)) ||
        (hard_n && !parse_i64(hard_n, 1, INT32_MAX, &q.count_hard))) {
        return cli_usage(c, "the num quota must be greater than zero");
    }
    if ((b && !parse_i64(b, 0, INT64_MAX, &q.bytes)) ||
        (hard_b && !parse_i64(hard_b, 0, INT64_MAX, &q.bytes_hard))) {
        return cli_usage(c, "the bytes quota must be greater than or equal to zero");
    }
    if (has_chroot(c, c->opt.servers)) {
        return CLI_NO;
    }
    char *path = cli_path(c, a->arg[0], false);
    int code = set_quota(c, path, &q);
    free(path);
    return code;
}

// ---- delquota -----------------------------------------------------------------------------------

// Takes the quota's own nodes away, then those on the way that nobody else needs.
static int remove_quota(struct cli *c, const char *path)
{
    char *limits = quota_path(path, limits_name), *stats = quota_path(path, stats_name);
    int code = must_do(c, REEVE_OP_DELETE, limits, NULL, REEVE_NO_NODE);
    code = code != CLI_OK ? code : must_do(c, REEVE_OP_DELETE, stats, NULL, REEVE_NO_NODE);
    free(limits);
    free(stats);
    char *way = quota_path(path, NULL);
    while (code == CLI_OK && strlen(way) > strlen(quota_root)) {
        struct reeve_result r;
        enum reeve_error e = request(c, REEVE_OP_DELETE, way, NULL, &r);
        if (e != REEVE_OK && e != REEVE_NO_NODE && e != REEVE_NOT_EMPTY) {
            code = cli_fail(c, &r);
        }
        reeve_result_fini(&r);
        if (e == REEVE_NOT_EMPTY) {
            break;
        }
        *strrchr(way, '/') = '\0';
    }
    free(way);
    return code;
}

static int del_quota(struct cli *c, const char *path, const struct args *a)
{
    bool there;
    struct quota q;
    int code = read_quota(c, path, limits_name, &there, &q);
    if (code != CLI_OK) {
        return code;
    }
    if (!there) {
        return cli_refuse(c, "Quota does not exist for %s", path);
    }
    if (a->flags_n == 0) {
        return remove_quota(c, path);
    }
    q.count = args_has(a, "n") ? -1 : q.count;
    q.bytes = args_has(a, "b") ? -1 : q.bytes;
    q.count_hard = args_has(a, "N") ? -1 : q.count_hard;
    q.bytes_hard = args_has(a, "B") ? -1 : q.bytes_hard;
    char *limits = quota_path(path, limits_name), *text = format_quota(&q);
    code = must_do(c, REEVE_OP_SET, limits, text, REEVE_OK);
    free(limits);
    free(text);
    return code;
}

int cmd_del_quota(struct cli *c, const struct args *a)
{
    if (has_chroot(c, c->opt.servers)) {
        return CLI_NO;
    }
    char *path = cli_path(c, a->arg[0], false);
    int code = del_quota(c, path, a);
    if (code == CLI_OK && c->out.json) {
        out_json(&c->out, json_pack("{s:o,s:b}", "path", out_json_string(path), "deleted", 1));
    }
    free(path);
    return code;
}
