// SPDX-License-Identifier: Apache-2.0
//
// What the shell says about trouble: one sentence with the command, the path and the cause, in the
// words of Apache's shell where it has some (scripts look for them), with the error's name behind.
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

// What stands before the path.
static const char *apache_words(enum reeve_error e)
{
    switch ((int)e) {
    case REEVE_NO_NODE:
        return "Node does not exist: ";
    case REEVE_NO_CHILDREN_FOR_EPHEMERALS:
        return "Ephemerals cannot have children: ";
    case REEVE_NODE_EXISTS:
        return "Node already exists: ";
    case REEVE_NOT_EMPTY:
        return "Node not empty: ";
    case REEVE_NOT_READ_ONLY:
        return "Not a read-only call: ";
    case REEVE_INVALID_ACL:
        return "Acl is not valid : ";
    case REEVE_NO_AUTH:
        return "Insufficient permission : ";
    case REEVE_BAD_ARGUMENTS:
        return "Arguments are not valid : ";
    case REEVE_BAD_VERSION:
        return "version No is not valid : ";
    case REEVE_QUOTA_EXCEEDED:
        return "Quota has exceeded : ";
    case REEVE_NO_WATCHER:
        return "No such watcher for ";
    default:
        return NULL;
    }
}

// Causes of which Apache's shell speaks without a path.
static const char *apache_sentence(enum reeve_error e)
{
    switch ((int)e) {
    case REEVE_RECONFIG_IN_PROGRESS:
        return "Another reconfiguration is in progress -- concurrent reconfigs not supported (yet)";
    case REEVE_NEW_CONFIG_NO_QUORUM:
        return "No quorum of new config is connected and up-to-date with the leader of last "
               "commmitted config - try invoking reconfiguration after new servers are connected "
               "and synced";
    case REEVE_RECONFIG_DISABLED:
        return "Reconfig is disabled";
    default:
        return NULL;
    }
}

void cli_cause(struct string *t, const struct reeve_result *r)
{
    const char *words = apache_words(r->error), *sentence = apache_sentence(r->error);
    const char *path = r->path ? r->path : "";
    if (sentence) {
        string_add(t, sentence);
    } else if (words) {
        string_addf(t, "%s%s", words, path);
    } else if (*path) {
        string_addf(t, "%s: %s", path, reeve_error_text(r->error));
    } else {
        string_add(t, reeve_error_text(r->error));
    }
    string_addf(t, " (%s)", reeve_error_name(r->error));
    if (r->why && r->why[0]) {
        string_addf(t, ": %s", r->why);
    }
    if (r->maybe_done) {
        string_add(t, "; the server may have executed it");
    }
}

int cli_fail(struct cli *c, const struct reeve_result *r)
{
    if (r->error == REEVE_CANCELLED) {
        return CLI_INTERRUPTED;
    }
    struct string t = {0};
    cli_cause(&t, r);
    out_error(&c->out, "%s: %s", c->command, string_of(&t));
    string_fini(&t);
    switch ((int)r->error) {
    case REEVE_OK:
        return CLI_OK;
    case REEVE_CONNECTION_LOSS:
    case REEVE_OPERATION_TIMEOUT:
    case REEVE_SESSION_EXPIRED:
    case REEVE_CLOSED:
        return CLI_NO_CONNECTION;
    case REEVE_BAD_ARGUMENTS:
        return CLI_USAGE;
    default:
        return CLI_NO;
    }
}

int cli_refuse(struct cli *c, const char *fmt, ...)
{
    struct string t = {0};
    va_list ap;
    va_start(ap, fmt);
    string_addv(&t, fmt, ap);
    va_end(ap);
    out_error(&c->out, "%s: %s", c->command, string_of(&t));
    string_fini(&t);
    return CLI_NO;
}

int cli_usage(struct cli *c, const char *fmt, ...)
{
    struct string t = {0};
    va_list ap;
    va_start(ap, fmt);
    string_addv(&t, fmt, ap);
    va_end(ap);
    const struct cli_command *row = cli_command_find(c->command);
    out_error(&c->out, "%s: %s; usage: %s%s%s", c->command, string_of(&t), c->command,
              row && row->synopsis[0] ? " " : "", row ? row->synopsis : "");
    string_fini(&t);
    return CLI_USAGE;
}
