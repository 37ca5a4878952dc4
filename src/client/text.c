// SPDX-License-Identifier: Apache-2.0
//
// What the library says in words: errors and results.
#include <stdio.h>

#include "reeve/reeve.h"

static const struct {
    enum reeve_error error;
    const char *name, *text;
} errors[] = {
    {REEVE_OK, "OK", "success"},
    {REEVE_SYSTEM_ERROR, "SYSTEMERROR", "system error of the server"},
    {REEVE_RUNTIME_INCONSISTENCY, "RUNTIMEINCONSISTENCY", "not reached or inconsistent"},
    {REEVE_DATA_INCONSISTENCY, "DATAINCONSISTENCY", "the server's data is inconsistent"},
    {REEVE_CONNECTION_LOSS, "CONNECTIONLOSS", "the connection was lost"},
    {REEVE_MARSHALLING_ERROR, "MARSHALLINGERROR", "the server could not read the request"},
    {REEVE_UNIMPLEMENTED, "UNIMPLEMENTED", "the server does not know this operation"},
    {REEVE_OPERATION_TIMEOUT, "OPERATIONTIMEOUT", "no answer in time"},
    {REEVE_BAD_ARGUMENTS, "BADARGUMENTS", "invalid arguments"},
    {REEVE_NEW_CONFIG_NO_QUORUM, "NEWCONFIGNOQUORUM", "no quorum of the new members is in sync"},
    {REEVE_RECONFIG_IN_PROGRESS, "RECONFIGINPROGRESS", "another reconfiguration is under way"},
    {REEVE_API_ERROR, "APIERROR", "error of the interface"},
    {REEVE_NO_NODE, "NONODE", "no such node"},
    {REEVE_NO_AUTH, "NOAUTH", "not permitted"},
    {REEVE_BAD_VERSION, "BADVERSION", "the version is another one"},
    {REEVE_NO_CHILDREN_FOR_EPHEMERALS, "NOCHILDRENFOREPHEMERALS",
     "ephemeral nodes have no children"},
    {REEVE_NODE_EXISTS, "NODEEXISTS", "the node exists"},
    {REEVE_NOT_EMPTY, "NOTEMPTY", "the node has children"},
    {REEVE_SESSION_EXPIRED, "SESSIONEXPIRED", "the session is over"},
    {REEVE_INVALID_ACL, "INVALIDACL", "invalid access control list"},
    {REEVE_AUTH_FAILED, "AUTHFAILED", "the server refused the credentials"},
    {REEVE_SESSION_MOVED, "SESSIONMOVED", "the session has moved to another server"},
    {REEVE_NOT_READ_ONLY, "NOTREADONLY", "the server is in read-only mode"},
    {REEVE_EPHEMERAL_ON_LOCAL_SESSION, "EPHEMERALONLOCALSESSION",
     "a local session has no ephemeral nodes"},
    {REEVE_NO_WATCHER, "NOWATCHER", "no such watch"},
    {REEVE_RECONFIG_DISABLED, "RECONFIGDISABLED", "the servers do not allow reconfiguration"},
    {REEVE_SASL_REQUIRED, "SESSIONCLOSEDREQUIRESASLAUTH", "the server wants authentication first"},
    {REEVE_QUOTA_EXCEEDED, "QUOTAEXCEEDED", "over the quota"},
    {REEVE_THROTTLED, "THROTTLEDOP", "the server is overloaded and dropped the request"},
    {REEVE_NO_MEMORY, "NOMEMORY", "out of memory"},
    {REEVE_CLOSED, "CLOSED", "the client is closed"},
    {REEVE_TOO_BIG, "TOOBIG", "too big"},
    {REEVE_WRONG_THREAD, "WRONGTHREAD", "a call that waits was made from a callback"},
    {REEVE_MALFORMED, "MALFORMED", "malformed answer or data"},
    {REEVE_CANCELLED, "CANCELLED", "cancelled"},
    {REEVE_SYSTEM, "SYSTEM", "the operating system refused"},
};

enum { ERRORS = sizeof(errors) / sizeof(errors[0]) };

static int find(enum reeve_error e)
{
    int i = 0;
    while (i < ERRORS && errors[i].error != e) {
        i++;
    }
    return i;
}

const char *reeve_error_name(enum reeve_error e)
{
    int i = find(e);
    return i < ERRORS ? errors[i].name : "UNKNOWN";
}

const char *reeve_error_text(enum reeve_error e)
{
    int i = find(e);
    return i < ERRORS ? errors[i].text : "an error this library does not know";
}

const char *reeve_version(void)
{
    return REEVE_VERSION;
}

static const char *op_name(enum reeve_op op)
{
    static const char *const names[REEVE_OP_COUNT] = {
        [REEVE_OP_NONE] = "request",
        [REEVE_OP_CREATE] = "create",
        [REEVE_OP_DELETE] = "delete",
        [REEVE_OP_EXISTS] = "exists",
        [REEVE_OP_GET] = "get",
        [REEVE_OP_SET] = "set",
        [REEVE_OP_GET_ACL] = "get acl of",
        [REEVE_OP_SET_ACL] = "set acl of",
        [REEVE_OP_CHILDREN] = "children of",
        [REEVE_OP_SYNC] = "sync",
        [REEVE_OP_CHECK] = "check",
        [REEVE_OP_MULTI] = "multi",
        [REEVE_OP_MULTI_READ] = "multi read",
        [REEVE_OP_ADD_WATCH] = "add watch at",
        [REEVE_OP_REMOVE_WATCHES] = "remove watches of",
        [REEVE_OP_CHECK_WATCHES] = "check watches of",
        [REEVE_OP_EPHEMERALS] = "ephemerals below",
        [REEVE_OP_ALL_CHILDREN] = "number of nodes below",
        [REEVE_OP_WHO_AM_I] = "who am I",
        [REEVE_OP_ADD_AUTH] = "add auth",
        [REEVE_OP_RECONFIG] = "reconfig",
        [REEVE_OP_GET_CONFIG] = "get config",
    };
    return (unsigned)op < REEVE_OP_COUNT ? names[op] : names[REEVE_OP_NONE];
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

// The part of a multi that failed, the only one with an error of its own; NULL: none.
static const struct reeve_result *failed_part(const struct reeve_result *r)
{
    for (size_t i = 0; r->error && i < r->parts_n; i++) {
        if (r->parts[i].error == r->error) {
            return &r->parts[i];
        }
    }
    return NULL;
}

const char *reeve_result_text(const struct reeve_result *r, char *text, size_t n)
{
    char part[64] = "";
    const struct reeve_result *at = failed_part(r);
    if (at) {
        snprintf(part, sizeof(part), "%s, part %zu: ", op_name(r->op), (size_t)(at - r->parts) + 1);
    } else {
        at = r;
    }
    const char *path = or_empty(at->path);
    const char *why = or_empty(r->why);
    if (n) {
        snprintf(text, n, "%s%s%s%s: %s (%s)%s%s", part, op_name(at->op), *path ? " " : "", path,
                 reeve_error_text(r->error), reeve_error_name(r->error), *why ? ": " : "", why);
    }
    return text;
}
