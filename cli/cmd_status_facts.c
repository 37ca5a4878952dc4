// SPDX-License-Identifier: Apache-2.0
#include "cli/cmd_status_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void facts_init(struct facts *f)
{
    *f = (struct facts){.sid = -1,
                        .zxid = -1,
                        .received = -1,
                        .sent = -1,
                        .connections = -1,
                        .outstanding = -1,
                        .nodes = -1,
                        .latency_min = -1,
                        .latency_avg = -1,
                        .latency_max = -1,
                        .watches = -1,
                        .ephemerals = -1,
                        .data_bytes = -1,
                        .uptime_ms = -1,
                        .synced_followers = -1,
                        .learners = -1,
                        .reads = -1,
                        .updates = -1,
                        .errors = -1};
}

// Takes a line off *at, cut to n. False: there is none any more.
static bool next_line(const char **at, char *line, size_t n)
{
    const char *s = *at;
    if (*s == '\0') {
        return false;
    }
    size_t len = strcspn(s, "\n");
    *at = s + len + (s[len] == '\n');
    len = len > 0 && s[len - 1] == '\r' ? len - 1 : len;
    len = len < n ? len : n - 1;
    memcpy(line, s, len);
    line[len] = '\0';
    return true;
}

// What stands behind `name` at the start of the line; NULL: another name stands there.
static const char *behind(const char *line, const char *name)
{
    size_t n = strlen(name);
    return strncmp(line, name, n) == 0 ? line + n : NULL;
}

static void copy(char *to, size_t n, const char *from, size_t len)
{
    len = len < n ? len : n - 1;
    memcpy(to, from, len);
    to[len] = '\0';
}

// "3.9.5-3b0a7, built on ..." -> "3.9.5"
static void take_version(struct facts *f, const char *s)
{
    copy(f->version, sizeof(f->version), s, strcspn(s, "-, "));
}

// ---- srvr ---------------------------------------------------------------------------------------

static void take_srvr_line(struct facts *f, const char *line)
{
    const struct {
        const char *name;
        int64_t *value;
    } numbers[] = {
        {"Received: ", &f->received},       {"Sent: ", &f->sent},
        {"Connections: ", &f->connections}, {"Outstanding: ", &f->outstanding},
        {"Node count: ", &f->nodes},
    };
    const char *v;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        if ((v = behind(line, numbers[i].name)) != NULL) {
            *numbers[i].value = strtoll(v, NULL, 10);
            return;
        }
    }
    if ((v = behind(line, "Zookeeper version: ")) != NULL) {
        take_version(f, v);
    } else if ((v = behind(line, "Zxid: ")) != NULL) {
        f->zxid = (int64_t)strtoull(v, NULL, 16);
    } else if ((v = behind(line, "Mode: ")) != NULL) {
        copy(f->mode, sizeof(f->mode), v, strcspn(v, " "));
        f->serving = true;
    } else if ((v = behind(line, "Latency min/avg/max: ")) != NULL) {
        double min, avg, max;
        if (sscanf(v, "%lf/%lf/%lf", &min, &avg, &max) == 3) {
            f->latency_min = min;
            f->latency_avg = avg;
            f->latency_max = max;
        }
    }
}

void facts_of_srvr(struct facts *f, const char *text)
{
    char line[512];
    const char *at = text;
    while (next_line(&at, line, sizeof(line))) {
        take_srvr_line(f, line);
    }
    if (!f->serving) {
        copy(f->said, sizeof(f->said), text, strcspn(text, "\n"));
    }
}

// ---- mntr ---------------------------------------------------------------------------------------

static const char *const error_names[FACTS_ERRORS_MAX] = {
    "unrecoverable_error_count", "digest_mismatches_count", "snapshot_error_count",
    "connection_rejected",       "large_requests_rejected", "auth_failed_count",
    "unsuccessful_handshake",    "restore_error_count"};

static void take_error(struct facts *f, const char *name, double v)
{
    for (size_t i = 0; i < FACTS_ERRORS_MAX; i++) {
        if (strcmp(name, error_names[i]) == 0) {
            f->error[i].name = error_names[i];
            f->error[i].n = (int64_t)v;
            f->errors = (f->errors < 0 ? 0 : f->errors) + (int64_t)v;
        }
    }
}

static void take_mntr(struct facts *f, const char *name, const char *value)
{
    const struct {
        const char *name;
        int64_t *value;
    } numbers[] = {
        {"watch_count", &f->watches},
        {"ephemerals_count", &f->ephemerals},
        {"approximate_data_size", &f->data_bytes},
        {"uptime", &f->uptime_ms},
        {"synced_followers", &f->synced_followers},
        {"learners", &f->learners},
        {"server_id", &f->sid},
        {"cnt_readlatency", &f->reads},
        {"cnt_updatelatency", &f->updates},
        {"packets_received", &f->received},
        {"packets_sent", &f->sent},
        {"num_alive_connections", &f->connections},
        {"outstanding_requests", &f->outstanding},
        {"znode_count", &f->nodes},
    };
    char *end;
    double v = strtod(value, &end);
    if (end == value) {
        if (strcmp(name, "server_state") == 0) {
            copy(f->mode, sizeof(f->mode), value, strlen(value));
            f->serving = true;
        }
        return;
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            *numbers[i].value = (int64_t)v;
            return;
        }
    }
    if (strcmp(name, "sum_readlatency") == 0) {
        f->reads_ms = v;
    } else if (strcmp(name, "sum_updatelatency") == 0) {
        f->updates_ms = v;
    } else if (strcmp(name, "version") == 0) {
        take_version(f, value);
    } else {
        take_error(f, name, v);
    }
}

void facts_of_mntr(struct facts *f, const char *text)
{
    char line[512];
    while (next_line(&text, line, sizeof(line))) {
        const char *name = behind(line, "zk_");
        char *tab = strchr(line, '\t');
        if (name && tab) {
            *tab = '\0';
            take_mntr(f, name, tab + 1);
        }
    }
}

// ---- conf ---------------------------------------------------------------------------------------

void facts_of_conf(struct facts *f, const char *text)
{
    char line[1024];
    while (next_line(&text, line, sizeof(line))) {
        const char *v = behind(line, "serverId=");
        if (v) {
            f->sid = strtoll(v, NULL, 10);
        }
    }
}

// Takes "host" or "[host]" off *s; what follows is a colon or the end.
static void take_host(const char **s, char *host, size_t n)
{
    const char *from = *s;
    size_t len;
    if (*from == '[') {
        from++;
        len = strcspn(from, "]");
        *s = from + len + (from[len] == ']');
    } else {
        len = strcspn(from, ":;|");
        *s = from + len;
    }
    copy(host, n, from, len);
}

static bool is_any_address(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 ||
           strcmp(host, "0:0:0:0:0:0:0:0") == 0;
}

// "host:2888:3888[|...][:role][;[address:]port]"
static void take_member(struct facts_member *m, const char *v)
{
    const char *client = strchr(v, ';');
    const char *at = v;
    take_host(&at, m->host, sizeof(m->host));
    const char *role = strstr(v, ":observer");
    m->observer = role && (!client || role < client);
    if (!client) {
        return;
    }
    at = client + 1;
    if (*at == '[' || strchr(at, ':')) {
        take_host(&at, m->client, sizeof(m->client));
        at += *at == ':';
    }
    long port = strtol(at, NULL, 10);
    m->port = port > 0 && port < 65536 ? (uint16_t)port : 0;
    if (is_any_address(m->client)) {
        m->client[0] = '\0';
    }
}

size_t facts_members(const char *text, struct facts_member *v)
{
    char line[1024];
    size_t n = 0;
    while (n < FACTS_MEMBERS_MAX && next_line(&text, line, sizeof(line))) {
        const char *number = behind(line, "server.");
        char *equals = strchr(line, '=');
        if (!number || !equals) {
            continue;
        }
        v[n] = (struct facts_member){.sid = strtoll(number, NULL, 10)};
        take_member(&v[n++], equals + 1);
    }
    return n;
}

// ---- cons ---------------------------------------------------------------------------------------

static void take_field(struct facts_conn *c, const char *name, const char *value)
{
    const struct {
        const char *name;
        int64_t *value;
    } numbers[] = {
        {"queued", &c->queued},      {"recved", &c->received},    {"sent", &c->sent},
        {"avglat", &c->latency_avg}, {"maxlat", &c->latency_max},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            *numbers[i].value = strtoll(value, NULL, 10);
        }
    }
    if (strcmp(name, "sid") == 0) {
        c->session = strtoull(value, NULL, 16);
    } else if (strcmp(name, "lop") == 0) {
        copy(c->last_op, sizeof(c->last_op), value, strlen(value));
    }
}

bool facts_next_conn(const char **text, struct facts_conn *conn)
{
    char line[1024];
    while (next_line(text, line, sizeof(line))) {
        // " /127.0.0.1:4711[1](queued=0,recved=1,...)"; an IPv6 address has brackets of its own.
        char *fields = strstr(line, "](");
        const char *peer = line[0] == ' ' && line[1] == '/' ? line + 2 : NULL;
        if (!peer || !fields) {
            continue;
        }
        *conn = (struct facts_conn){0};
        const char *state = fields;
        while (state > peer && *state != '[') {
            state--;
        }
        copy(conn->peer, sizeof(conn->peer), peer, (size_t)(state - peer));
        char *save, *end = strrchr(fields, ')');
        if (end) {
            *end = '\0';
        }
        for (char *p = strtok_r(fields + 2, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
            char *equals = strchr(p, '=');
            if (equals) {
                *equals = '\0';
                take_field(conn, p, equals + 1);
            }
        }
        return true;
    }
    return false;
}
