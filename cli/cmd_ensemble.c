// SPDX-License-Identifier: Apache-2.0
//
// The ensemble's members: config, reconfig.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"

enum { CONFIG_FILE_MAX = 1 << 20 };

// The next line of *at, trimmed, to be freed; NULL: there are no more.
static char *take_line(const char **at)
{
    const char *s = *at;
    if (*s == '\0') {
        return NULL;
    }
    size_t n = strcspn(s, "\n");
    *at = s + n + (s[n] == '\n');
    while (n > 0 && isspace((unsigned char)*s)) {
        s++;
        n--;
    }
    while (n > 0 && isspace((unsigned char)s[n - 1])) {
        n--;
    }
    return cli_dup_n(s, n);
}

// Where clients connect, of a member "host:2888:3888:participant;0.0.0.0:2181": what stands behind
// the semicolon, with the member's host if it is only a port. ConfigUtils.getClientConfigStr().
static void add_client_address(struct string *t, const char *value)
{
    const char *semicolon = strchr(value, ';');
    if (t->len > 0) {
        string_add_char(t, ',');
    }
    if (semicolon == NULL) {
        return;
    }
    const char *client = semicolon + 1;
    if (strchr(client, ':') == NULL) {
        string_add(t, "0.0.0.0:");
    }
    string_add(t, client);
}

// "version list": of a configuration's text.
static void client_string(struct string *t, const char *config)
{
    struct string list = {0};
    char *line, *version = cli_dup("");
    while ((line = take_line(&config)) != NULL) {
        char *equals = strchr(line, '=');
        if (equals && strncmp(line, "server.", 7) == 0) {
            add_client_address(&list, equals + 1);
        } else if (equals && strncmp(line, "version=", 8) == 0) {
            free(version);
            version = cli_dup(equals + 1);
        }
        free(line);
    }
    string_addf(t, "%s %s", version, string_of(&list));
    string_fini(&list);
    free(version);
}

static json_t *json_config(const char *config)
{
    json_t *members = json_array(), *v = json_object();
    char *line;
    const char *at = config;
    while ((line = take_line(&at)) != NULL) {
        char *equals = strchr(line, '=');
        if (equals && strncmp(line, "server.", 7) == 0) {
            *equals = '\0';
            json_array_append_new(members, json_pack("{s:o,s:o}", "id", out_json_string(line + 7),
                                                     "address", out_json_string(equals + 1)));
        } else if (equals && strncmp(line, "version=", 8) == 0) {
            json_object_set_new(v, "version", out_json_string(equals + 1));
        }
        free(line);
    }
    json_object_set_new(v, "config", out_json_string(config));
    json_object_set_new(v, "members", members);
    return v;
}

// A configuration as it came, after a line of its own if there is one.
static void print_config(struct cli *c, const struct reeve_result *r, const char *before,
                         bool with_stat)
{
    const char *config = r->data ? r->data : "null";
    if (c->out.json) {
        json_t *v = json_config(r->data ? r->data : "");
        if (with_stat) {
            json_object_set_new(v, "stat", out_json_stat(&r->stat));
        }
        out_json(&c->out, v);
        return;
    }
    struct string safe = {0};
    // Its lines are no danger to a terminal, a stranger's escape sequences would be.
    out_printf(&c->out, "%s%s\n", before, out_safe(&c->out, config, &safe));
    string_fini(&safe);
    if (with_stat) {
        out_stat(&c->out, &r->stat);
    }
}

int cmd_config(struct cli *c, const struct args *a)
{
    struct reeve_request q = {.op = REEVE_OP_GET_CONFIG};
    if (args_has(a, "w")) {
        cli_watch(c, &q);
    }
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, &q, &r) != REEVE_OK) {
        code = cli_fail(c, &r);
    } else if (args_has(a, "c") && !c->out.json) {
        struct string t = {0}, safe = {0};
        client_string(&t, r.data ? r.data : "");
        out_printf(&c->out, "%s\n", out_safe(&c->out, t.s, &safe));
        string_fini(&t);
        string_fini(&safe);
        if (args_has(a, "s")) {
            out_stat(&c->out, &r.stat);
        }
    } else {
        print_config(c, &r, "", args_has(a, "s"));
    }
    reeve_result_fini(&r);
    return code;
}

// The members' lines of a file of the configuration, joined by commas. False: said what is wrong.
static bool read_members(struct cli *c, const char *name, struct string *members)
{
    FILE *f = fopen(name, "r");
    if (f == NULL) {
        cli_refuse(c, "Error processing %s: %s", name, strerror(errno));
        return false;
    }
    struct string all = {0};
    char part[4096];
    size_t n;
    while (all.len < CONFIG_FILE_MAX && (n = fread(part, 1, sizeof(part), f)) > 0) {
        string_add_n(&all, part, n);
    }
    fclose(f);
    const char *at = string_of(&all);
    char *line;
    while ((line = take_line(&at)) != NULL) {
        if (strncmp(line, "server.", 7) == 0 || strncmp(line, "group.", 6) == 0 ||
            strncmp(line, "weight.", 7) == 0) {
            string_addf(members, "%s%s", members->len ? "\n" : "", line);
        }
        free(line);
    }
    string_fini(&all);
    if (members->len == 0) {
        cli_refuse(c, "Error processing %s: there is no line server.N=...", name);
        return false;
    }
    return true;
}

static char *lower(const char *s)
{
    char *low = cli_dup(s);
    for (char *p = low; p && *p; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    return low;
}

// What a server says of a request without a path is less than people need.
static int fail_reconfig(struct cli *c, const struct reeve_result *r)
{
    if (r->error == REEVE_BAD_ARGUMENTS) {
        return cli_usage(c, "the server takes this for wrong: a member is written "
                            "server.ID=host:port:port[:role];port, -remove wants IDs, and voters "
                            "must be left");
    }
    if (r->error == REEVE_BAD_VERSION) {
        return cli_refuse(c, "the configuration has another version by now; `config` shows it");
    }
    return cli_fail(c, r);
}

static int reconfig(struct cli *c, const struct args *a, const char *members, int64_t version)
{
    char *joining = lower(args_value(a, "add")), *leaving = lower(args_value(a, "remove"));
    char *list = lower(members);
    struct reeve_request q = {.op = REEVE_OP_RECONFIG,
                              .joining = joining,
                              .leaving = leaving,
                              .members = list,
                              .config_version = version};
    struct reeve_result r;
    int code = CLI_OK;
    if (cli_call(c, &q, &r) != REEVE_OK) {
        code = fail_reconfig(c, &r);
    } else {
        print_config(c, &r, "Committed new configuration:\n", args_has(a, "s"));
    }
    reeve_result_fini(&r);
    free(joining);
    free(leaving);
    free(list);
    return code;
}

int cmd_reconfig(struct cli *c, const struct args *a)
{
    const char *v = args_value(a, "v"), *file = args_value(a, "file");
    const char *members = args_value(a, "members");
    bool step = args_has(a, "add") || args_has(a, "remove");
    if (!file && !members && !step) {
        return cli_usage(c, "one of -file, -members, -add and -remove is wanted");
    }
    if ((file || members) && step) {
        return cli_usage(c, "Can't use -file or -members together with -add or -remove (mixing "
                            "incremental and non-incremental modes is not allowed)");
    }
    if (file && members) {
        return cli_usage(c, "Can't use -file and -members together (conflicting non-incremental "
                            "modes)");
    }
    int64_t version = -1;
    if (v) {
        char *end;
        errno = 0;
        version = strtoll(v, &end, 16); // as config shows it
        if (errno || end == v || *end) {
            return cli_usage(c, "-v must be followed by a long (configuration version), in "
                                "hexadecimal");
        }
    }
    struct string from_file = {0};
    int code = CLI_NO;
    if (!file || read_members(c, file, &from_file)) {
        code = reconfig(c, a, file ? from_file.s : members, version);
    }
    string_fini(&from_file);
    return code;
}
