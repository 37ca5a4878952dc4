// SPDX-License-Identifier: Apache-2.0
//
// status: all servers of the ensemble in one table. four: a four letter word to each.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cmd_status_ensemble.h"

enum { COLUMNS = 11, CELL_MAX = 300 };

// ---- the table ----------------------------------------------------------------------------------

static const char *const titles[COLUMNS] = {"ID",     "SERVER",  "MODE",       "VERSION",
                                            "ZXID",   "EPOCH",   "LATENCY",    "CONNS",
                                            "ZNODES", "WATCHES", "OUTSTANDING"};
typedef char row[COLUMNS][CELL_MAX];

static void put_number(char *cell, int64_t v)
{
    if (v >= 0) {
        snprintf(cell, CELL_MAX, "%" PRId64, v);
    } else {
        snprintf(cell, CELL_MAX, "-");
    }
}

static void fill_row(char (*cell)[CELL_MAX], const struct ensemble_server *s)
{
    const struct facts *f = &s->facts;
    put_number(cell[0], s->sid);
    if (s->at.port) {
        words4_name(&s->at, cell[1], CELL_MAX);
    } else {
        snprintf(cell[1], CELL_MAX, "%s", s->at.host);
    }
    if (!s->answered || !f->serving) {
        bool refused = words4_refused(f->said);
        snprintf(cell[2], CELL_MAX, "%s: %s",
                 refused       ? "unknown"
                 : s->answered ? "not serving"
                               : "down",
                 ensemble_trouble(s));
        return;
    }
    snprintf(cell[2], CELL_MAX, "%s", f->mode);
    snprintf(cell[3], CELL_MAX, "%s", f->version[0] ? f->version : "-");
    snprintf(cell[4], CELL_MAX, f->zxid < 0 ? "-" : "0x%" PRIx64, (uint64_t)f->zxid);
    put_number(cell[5], f->zxid < 0 ? -1 : (int64_t)((uint64_t)f->zxid >> 32));
    if (f->latency_avg >= 0) {
        snprintf(cell[6], CELL_MAX, "%.4g/%.4g", f->latency_avg, f->latency_max);
    } else {
        snprintf(cell[6], CELL_MAX, "-");
    }
    put_number(cell[7], f->connections);
    put_number(cell[8], f->nodes);
    put_number(cell[9], f->watches);
    put_number(cell[10], f->outstanding);
}

static enum out_color color_of(const struct ensemble_server *s)
{
    if (!s->answered || !s->facts.serving) {
        return OUT_RED;
    }
    return strcmp(s->facts.mode, "leader") == 0      ? OUT_GREEN
           : strcmp(s->facts.mode, "read-only") == 0 ? OUT_YELLOW
                                                     : OUT_PLAIN;
}

static void print_errors(struct cli *c, const struct ensemble_server *s)
{
    const struct facts *f = &s->facts;
    if (f->errors <= 0) {
        return;
    }
    out_printf(&c->out, "  ");
    for (size_t i = 0; i < FACTS_ERRORS_MAX; i++) {
        if (f->error[i].n > 0) {
            out_printf(&c->out, " %s=%" PRId64, f->error[i].name, f->error[i].n);
        }
    }
}

static void print_table(struct cli *c, const struct ensemble *e)
{
    row *rows = cli_alloc((e->n + 1) * sizeof(*rows));
    size_t width[COLUMNS] = {0};
    for (size_t i = 0; i <= e->n; i++) {
        for (size_t k = 0; i == 0 && k < COLUMNS; k++) {
            snprintf(rows[0][k], CELL_MAX, "%s", titles[k]);
        }
        if (i > 0) {
            fill_row(rows[i], &e->v[i - 1]);
        }
        // A cause may be long and has nothing behind it.
        bool down = i > 0 && rows[i][3][0] == '\0';
        for (size_t k = 0; k < (down ? 2 : COLUMNS); k++) {
            size_t n = strlen(rows[i][k]);
            width[k] = n > width[k] ? n : width[k];
        }
    }
    struct string safe = {0};
    for (size_t i = 0; i <= e->n; i++) {
        out_printf(&c->out, "%s", out_color(&c->out, i ? color_of(&e->v[i - 1]) : OUT_BOLD));
        for (size_t k = 0; k < COLUMNS && rows[i][k][0]; k++) {
            bool last = k + 1 == COLUMNS || rows[i][k + 1][0] == '\0';
            out_printf(&c->out, "%-*s%s", last ? 0 : (int)width[k],
                       out_safe(&c->out, rows[i][k], &safe), last ? "" : "  ");
        }
        if (i == 0) {
            out_printf(&c->out, "  ERRORS");
        } else if (e->v[i - 1].facts.serving) {
            char cell[CELL_MAX];
            put_number(cell, e->v[i - 1].facts.errors);
            out_printf(&c->out, "%*s  %s", (int)(width[COLUMNS - 1] - strlen(rows[i][COLUMNS - 1])),
                       "", cell);
            print_errors(c, &e->v[i - 1]);
        }
        out_printf(&c->out, "%s\n", out_color_end(&c->out));
    }
    string_fini(&safe);
    free(rows);
}

static size_t voters(const struct ensemble *e)
{
    size_t n = 0;
    for (size_t i = 0; i < e->members_n; i++) {
        n += !e->members[i].observer;
    }
    return n;
}

// A leader that has lost most of its followers takes a moment to notice.
static bool most_voters_are_down(const struct ensemble *e)
{
    size_t serving = 0;
    for (size_t i = 0; i < e->n; i++) {
        const struct ensemble_server *s = &e->v[i];
        serving += s->answered && s->facts.serving && !s->observer;
    }
    return serving * 2 <= voters(e) && voters(e) > 0;
}

static void print_verdict(struct cli *c, const struct ensemble *e)
{
    bool quorum = ensemble_has_quorum(e);
    size_t down = ensemble_down(e);
    bool bad = !quorum || down > 0;
    out_printf(&c->out, "%s%s%s, %zu of %zu servers %s",
               out_color(&c->out, bad ? OUT_RED : OUT_GREEN), quorum ? "in service" : "NO QUORUM",
               out_color_end(&c->out), e->n - down, e->n, e->n == 1 ? "serves" : "serve");
    if (voters(e) > 0) {
        out_printf(&c->out, ", %zu voters%s", voters(e),
                   quorum && most_voters_are_down(e) ? "; most of them do not serve" : "");
    }
    if (e->members_n == 0 && !(e->n == 1 && strcmp(e->v[0].facts.mode, "standalone") == 0)) {
        out_printf(&c->out, "; nobody says who else belongs to it");
    }
    out_printf(&c->out, "\n");
}

// ---- JSON ---------------------------------------------------------------------------------------

static void set_number(json_t *o, const char *name, int64_t v)
{
    json_object_set_new(o, name, v >= 0 ? json_integer(v) : json_null());
}

static void set_serving(json_t *o, const struct facts *f)
{
    char zxid[24];
    snprintf(zxid, sizeof(zxid), "0x%" PRIx64, (uint64_t)f->zxid);
    json_object_set_new(o, "mode", out_json_string(f->mode));
    json_object_set_new(o, "version", out_json_string(f->version));
    json_object_set_new(o, "zxid", f->zxid >= 0 ? json_string(zxid) : json_null());
    set_number(o, "epoch", f->zxid < 0 ? -1 : (int64_t)((uint64_t)f->zxid >> 32));
    json_object_set_new(o, "latency_ms",
                        json_pack("{s:f,s:f,s:f}", "min", f->latency_min, "avg", f->latency_avg,
                                  "max", f->latency_max));
    set_number(o, "connections", f->connections);
    set_number(o, "znodes", f->nodes);
    set_number(o, "watches", f->watches);
    set_number(o, "outstanding", f->outstanding);
    set_number(o, "received", f->received);
    set_number(o, "sent", f->sent);
    json_t *errors = json_object();
    for (size_t i = 0; i < FACTS_ERRORS_MAX; i++) {
        if (f->error[i].name) {
            json_object_set_new(errors, f->error[i].name, json_integer(f->error[i].n));
        }
    }
    json_object_set_new(o, "errors", errors);
}

static json_t *json_server(const struct ensemble_server *s)
{
    char name[WORDS4_HOST_MAX + 16];
    words4_name(&s->at, name, sizeof(name));
    json_t *o = json_object();
    set_number(o, "id", s->sid);
    json_object_set_new(o, "server", out_json_string(s->at.port ? name : s->at.host));
    json_object_set_new(
        o, "role", s->member ? json_string(s->observer ? "observer" : "participant") : json_null());
    bool serving = s->answered && s->facts.serving;
    json_object_set_new(o, "serving", json_boolean(serving));
    if (serving) {
        set_serving(o, &s->facts);
    } else {
        json_object_set_new(o, "answers", json_boolean(s->answered));
        json_object_set_new(o, "cause", out_json_string(ensemble_trouble(s)));
    }
    return o;
}

static void print_json(struct cli *c, const struct ensemble *e)
{
    json_t *list = json_array();
    for (size_t i = 0; i < e->n; i++) {
        json_array_append_new(list, json_server(&e->v[i]));
    }
    out_json(&c->out, json_pack("{s:b,s:i,s:i,s:i,s:o}", "quorum", ensemble_has_quorum(e), "down",
                                (int)ensemble_down(e), "size", (int)e->n, "voters", (int)voters(e),
                                "servers", list));
}

// ---- the commands -------------------------------------------------------------------------------

static bool timeout_of(struct cli *c, const struct args *a, int *timeout_ms, int *code)
{
    const char *t = args_value(a, "t");
    int64_t v = ENSEMBLE_TIMEOUT_MS;
    if (t && !parse_i64(t, 10, 600000, &v)) {
        *code = cli_usage(c, "-t wants milliseconds, 10 to 600000");
        return false;
    }
    *timeout_ms = (int)v;
    return true;
}

int cmd_status(struct cli *c, const struct args *a)
{
    bool json = c->out.json;
    int code, timeout_ms;
    c->out.json = json || args_has(a, "json");
    struct ensemble *e = cli_alloc(sizeof(*e));
    if (timeout_of(c, a, &timeout_ms, &code) && ensemble_find(c, e, timeout_ms, &code)) {
        if (c->out.json) {
            print_json(c, e);
        } else {
            print_table(c, e);
            print_verdict(c, e);
        }
        code = ensemble_has_quorum(e) && ensemble_down(e) == 0 ? CLI_OK : CLI_NO;
    }
    ensemble_fini(e);
    free(e);
    c->out.json = json;
    return code;
}

static void print_answer(struct cli *c, const struct words4 *q, bool with_name)
{
    char name[WORDS4_HOST_MAX + 16];
    words4_name(&q->to, name, sizeof(name));
    if (c->out.json) {
        out_json(&c->out, q->answer ? json_pack("{s:o,s:o}", "server", out_json_string(name),
                                                "answer", out_json_string(q->answer))
                                    : json_pack("{s:o,s:o}", "server", out_json_string(name),
                                                "cause", out_json_string(q->why)));
        return;
    }
    if (!q->answer) {
        out_error(&c->out, "%s: %s: %s", c->command, name, q->why);
        return;
    }
    if (with_name) {
        out_printf(&c->out, "%s%s%s\n", out_color(&c->out, OUT_BOLD), name, out_color_end(&c->out));
    }
    // Line by line: what a server says is no command for a terminal, but its lines are lines.
    struct string safe = {0};
    for (char *line = q->answer; *line;) {
        size_t n = strcspn(line, "\n");
        bool end = line[n] == '\0';
        line[n] = '\0';
        char *tab;
        while (c->out.terminal && (tab = strchr(line, '\t')) != NULL) {
            *tab = ' ';
        }
        out_printf(&c->out, "%s\n", out_safe(&c->out, line, &safe));
        line += n + !end;
    }
    string_fini(&safe);
}

// A server that does not know a word takes it for something else, and closes. Only hash may have
// nothing to tell.
static void refuse_silence(struct words4 *q)
{
    if (q->answer && q->answer_n == 0 && strcmp(q->word, "hash") != 0) {
        free(q->answer);
        q->answer = NULL;
        snprintf(q->why, sizeof(q->why), "it closes without an answer; perhaps it knows no %s",
                 q->word);
    }
}

// The servers that are named behind the word, or all of the shell's list. -1: said what is wrong.
static int servers_of(struct cli *c, const struct args *a, struct words4_server *v, int *code)
{
    int n = 0;
    for (int i = 1; i < a->n; i++) {
        int more = words4_servers(a->arg[i], v + n, WORDS4_MAX - n);
        if (more < 0) {
            *code = cli_usage(c, "\"%s\" is no host:port", a->arg[i]);
            return -1;
        }
        n += more;
    }
    if (a->n == 1) {
        n = words4_servers(c->opt.servers, v, WORDS4_MAX);
    }
    if (n <= 0) {
        *code = cli_usage(c, "\"%s\" is no list of servers", c->opt.servers);
        return -1;
    }
    return n;
}

int cmd_four(struct cli *c, const struct args *a)
{
    bool json = c->out.json;
    int code, timeout_ms, n;
    struct words4_server to[WORDS4_MAX];
    if (strlen(a->arg[0]) != 4) {
        return cli_usage(c, "\"%s\" does not have four letters", a->arg[0]);
    }
    if (strcmp(a->arg[0], "stmk") == 0) {
        return cli_refuse(c, "stmk wants a number in binary behind it; it is not supported here");
    }
    if (!timeout_of(c, a, &timeout_ms, &code) || (n = servers_of(c, a, to, &code)) < 0) {
        return code;
    }
    struct words4 *q = cli_alloc((size_t)n * sizeof(*q));
    for (int i = 0; i < n; i++) {
        q[i].to = to[i];
        snprintf(q[i].word, sizeof(q[i].word), "%s", a->arg[0]);
    }
    c->out.json = json || args_has(a, "json");
    code = words4_ask(c, q, (size_t)n, timeout_ms) ? CLI_OK : CLI_INTERRUPTED;
    for (int i = 0; i < n && code != CLI_INTERRUPTED; i++) {
        refuse_silence(&q[i]);
        print_answer(c, &q[i], n > 1);
        if (!q[i].answer || words4_refused(q[i].answer)) {
            code = CLI_NO;
        }
    }
    words4_fini(q, (size_t)n);
    free(q);
    c->out.json = json;
    return code;
}
