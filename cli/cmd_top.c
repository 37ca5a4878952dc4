// SPDX-License-Identifier: Apache-2.0
//
// top: servers and their busiest clients, looked at again and again. On a terminal it takes the
// screen and gives it back at its end; for scripts (--once, --batch) it prints one table behind the
// other. Both are the same text.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cmd_top_rates.h"
#include "cli/signals.h"

enum { CONNS_DEFAULT = 10, CONNS_MAX = 1000, BATCH_MAX = 1000000000 };

struct top {
    struct cli *c;
    struct ensemble *e;
    struct top_look *before, *now;
    int64_t interval_ms;
    size_t conns;  // shown
    int64_t times; // -1: until q
    bool screen;   // the terminal is taken
    struct termios saved;
};

// ---- the terminal -------------------------------------------------------------------------------

static bool take_screen(struct top *t)
{
    if (!t->c->out.redraws || !isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &t->saved)) {
        return false;
    }
    struct termios raw = t->saved;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO); // Ctrl-C still is a signal
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw)) {
        return false;
    }
    // Its lines are wider than many terminals: cut there, they do not push each other away.
    out_printf(&t->c->out, "\033[?1049h\033[?25l\033[?7l");
    out_flush(&t->c->out);
    signals_hold_stop(true); // Ctrl-Z: the terminal is given back first
    return true;
}

static void give_screen(struct top *t)
{
    if (t->screen) {
        out_printf(&t->c->out, "\033[?7h\033[?25h\033[?1049l");
        out_flush(&t->c->out);
        tcsetattr(STDIN_FILENO, TCSANOW, &t->saved);
        signals_hold_stop(false);
    }
}

static size_t screen_rows(const struct top *t)
{
    struct winsize w;
    if (!t->screen || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || w.ws_row == 0) {
        return SIZE_MAX;
    }
    return w.ws_row;
}

// True: q, or the input has ended.
static bool key_ends(void)
{
    char key;
    ssize_t n = read(STDIN_FILENO, &key, 1);
    return n <= 0 || key == 'q' || key == 'Q' || key == 4;
}

// ---- text ---------------------------------------------------------------------------------------

static void put_rate(struct string *s, bool known, double v)
{
    if (known) {
        string_addf(s, " %10.*f", v < 10 ? 1 : 0, v);
    } else {
        string_addf(s, " %10s", "-");
    }
}

static void put_count(struct string *s, int64_t v)
{
    if (v >= 0) {
        string_addf(s, " %8" PRId64, v);
    } else {
        string_addf(s, " %8s", "-");
    }
}

static void put_server(struct top *t, size_t i, struct string *s)
{
    const struct ensemble_server *v = &t->e->v[i];
    struct out *o = &t->c->out;
    char name[WORDS4_HOST_MAX + 16], id[24] = "-";
    if (v->sid >= 0) {
        snprintf(id, sizeof(id), "%" PRId64, v->sid);
    }
    words4_name(&v->at, name, sizeof(name));
    struct string safe = {0};
    string_addf(s, "%-4s %-24s ", id, out_safe(o, v->at.port ? name : v->at.host, &safe));
    if (!t->now->answered[i]) {
        string_addf(s, "%s%s%s\n", out_color(o, OUT_RED), out_safe(o, ensemble_trouble(v), &safe),
                    out_color_end(o));
        string_fini(&safe);
        return;
    }
    const struct facts *f = &v->facts;
    bool leads = strcmp(f->mode, "leader") == 0;
    struct top_rates r = top_server_rates(t->before, t->now, i);
    string_addf(s, "%s%-10s%s", out_color(o, leads ? OUT_GREEN : OUT_PLAIN),
                out_safe(o, f->mode, &safe), leads ? out_color_end(o) : "");
    string_fini(&safe);
    put_rate(s, r.known, r.received_s);
    put_rate(s, r.known, r.sent_s);
    put_rate(s, r.known, r.txns_s);
    double latency = r.known && r.latency_ms >= 0 ? r.latency_ms : f->latency_avg;
    if (latency >= 0) {
        string_addf(s, " %9.2f", latency);
    } else {
        string_addf(s, " %9s", "-");
    }
    put_count(s, f->connections);
    put_count(s, f->outstanding);
    put_count(s, f->nodes);
    put_count(s, f->watches);
    string_addf(s, f->zxid < 0 ? "  -\n" : "  0x%" PRIx64 "\n", (uint64_t)f->zxid);
}

static void put_conn(struct top *t, const struct top_conn *c, struct string *s)
{
    const struct out *o = &t->c->out;
    struct string peer = {0}, op = {0};
    string_addf(
        s, "%-28s 0x%-18" PRIx64 " %-5" PRId64 " %10.1f %10.1f %7" PRId64 " %7" PRId64 "  %s\n",
        out_safe(o, c->now.peer, &peer), c->now.session, t->e->v[c->server].sid, c->received_s,
        c->sent_s, c->now.queued, c->now.latency_avg, out_safe(o, c->now.last_op, &op));
    string_fini(&peer);
    string_fini(&op);
}

static bool any_cons(const struct ensemble *e)
{
    for (size_t i = 0; i < e->n; i++) {
        if (e->v[i].cons) {
            return true;
        }
    }
    return false;
}

static void put_conns(struct top *t, size_t most, struct string *s)
{
    struct out *o = &t->c->out;
    if (!any_cons(t->e)) {
        string_addf(s, "\nno server tells its connections: cons is not in their "
                       "4lw.commands.whitelist\n");
        return;
    }
    const struct top_conn **v = cli_alloc((most + 1) * sizeof(const struct top_conn *));
    size_t n = top_busiest(t->now, v, most);
    string_addf(s, "\n%s%-28s %-20s %-5s %10s %10s %7s %7s  %s%s\n", out_color(o, OUT_BOLD),
                "CLIENT", "SESSION", "AT", "RECV/s", "SENT/s", "QUEUED", "AVG ms", "LAST",
                out_color_end(o));
    for (size_t i = 0; i < n; i++) {
        put_conn(t, v[i], s);
    }
    free(v);
}

static void draw(struct top *t)
{
    struct string s = {0};
    struct out *o = &t->c->out;
    if (t->screen) {
        string_add(&s, "\033[H\033[J");
    }
    size_t down = ensemble_down(t->e);
    string_addf(&s, "%s%s%s, %zu of %zu servers, every %g s%s\n\n",
                out_color(o, ensemble_has_quorum(t->e) ? OUT_GREEN : OUT_RED),
                ensemble_has_quorum(t->e) ? "in service" : "NO QUORUM", out_color_end(o),
                t->e->n - down, t->e->n, (double)t->interval_ms / 1000,
                t->screen ? "; q ends" : "");
    string_addf(&s, "%s%-4s %-24s %-10s %10s %10s %10s %9s %8s %8s %8s %8s  %s%s\n",
                out_color(o, OUT_BOLD), "ID", "SERVER", "MODE", "RECV/s", "SENT/s", "TXN/s",
                "LAT ms", "CONNS", "OUTST", "ZNODES", "WATCHES", "ZXID", out_color_end(o));
    for (size_t i = 0; i < t->e->n; i++) {
        put_server(t, i, &s);
    }
    size_t rows = screen_rows(t), used = t->e->n + 6;
    size_t most = rows == SIZE_MAX ? t->conns : rows > used ? rows - used : 0;
    put_conns(t, most < t->conns ? most : t->conns, &s);
    out_printf(o, "%s%s", string_of(&s), t->screen || t->times == 1 ? "" : "\n");
    out_flush(o);
    string_fini(&s);
}

// ---- JSON ---------------------------------------------------------------------------------------

static json_t *json_server(const struct top *t, size_t i)
{
    const struct ensemble_server *v = &t->e->v[i];
    char name[WORDS4_HOST_MAX + 16];
    words4_name(&v->at, name, sizeof(name));
    json_t *o = json_pack("{s:I,s:o,s:b}", "id", (json_int_t)v->sid, "server",
                          out_json_string(name), "serving", t->now->answered[i]);
    if (!t->now->answered[i]) {
        json_object_set_new(o, "cause", out_json_string(ensemble_trouble(v)));
        return o;
    }
    struct top_rates r = top_server_rates(t->before, t->now, i);
    json_object_set_new(o, "mode", out_json_string(v->facts.mode));
    if (r.known) {
        json_object_set_new(o, "received_s", json_real(r.received_s));
        json_object_set_new(o, "sent_s", json_real(r.sent_s));
        json_object_set_new(o, "txns_s", json_real(r.txns_s));
    }
    if (r.known && r.latency_ms >= 0) {
        json_object_set_new(o, "latency_ms", json_real(r.latency_ms));
    }
    json_object_set_new(o, "connections", json_integer(v->facts.connections));
    json_object_set_new(o, "outstanding", json_integer(v->facts.outstanding));
    return o;
}

static void print_json(struct top *t)
{
    json_t *servers = json_array(), *clients = json_array();
    for (size_t i = 0; i < t->e->n; i++) {
        json_array_append_new(servers, json_server(t, i));
    }
    const struct top_conn **v = cli_alloc((t->conns + 1) * sizeof(const struct top_conn *));
    size_t n = top_busiest(t->now, v, t->conns);
    for (size_t i = 0; i < n; i++) {
        char session[24];
        snprintf(session, sizeof(session), "0x%" PRIx64, v[i]->now.session);
        json_array_append_new(clients,
                              json_pack("{s:o,s:s,s:I,s:f,s:f,s:o}", "client",
                                        out_json_string(v[i]->now.peer), "session", session, "at",
                                        (json_int_t)t->e->v[v[i]->server].sid, "received_s",
                                        v[i]->received_s, "sent_s", v[i]->sent_s, "last_op",
                                        out_json_string(v[i]->now.last_op)));
    }
    free(v);
    out_json(&t->c->out, json_pack("{s:o,s:o}", "servers", servers, "clients", clients));
    out_flush(&t->c->out);
}

// ---- the loop -----------------------------------------------------------------------------------

static void stop_if_asked(struct top *t)
{
    if (t->screen && signals_take_stop()) {
        give_screen(t);
        signals_stop();
        t->screen = take_screen(t);
        draw(t);
    }
}

// False: Ctrl-C, or q.
static bool pause_until(struct top *t, int64_t at_ms)
{
    int64_t left;
    while ((left = at_ms - cli_now_ms()) > 0 && !t->c->interrupted) {
        if (cli_turn(t->c, t->screen ? STDIN_FILENO : -1, (int)left) && key_ends()) {
            return false;
        }
        stop_if_asked(t);
    }
    return !t->c->interrupted;
}

static bool look(struct top *t)
{
    struct top_look *old = t->before;
    t->before = t->now;
    t->now = old;
    top_look_fini(t->now);
    int timeout_ms =
        t->interval_ms < ENSEMBLE_TIMEOUT_MS ? (int)t->interval_ms : ENSEMBLE_TIMEOUT_MS;
    if (!ensemble_ask(t->c, t->e, true, timeout_ms < 250 ? 250 : timeout_ms)) {
        return false;
    }
    top_look_take(t->now, t->e, cli_now_ms());
    top_conn_rates(t->before, t->now);
    return true;
}

static int run(struct top *t)
{
    int code;
    if (!ensemble_find(t->c, t->e, ENSEMBLE_TIMEOUT_MS, &code)) {
        return code;
    }
    int64_t next_ms = cli_now_ms();
    bool go = look(t);
    t->screen = go && t->times < 0 && take_screen(t);
    if (t->times < 0 && !t->screen) {
        t->times = 1; // no terminal
    }
    if (t->screen) {
        draw(t);
    }
    for (int64_t n = 0; go && n != t->times; n++) {
        next_ms += t->interval_ms;
        go = pause_until(t, next_ms) && look(t);
        if (go && t->c->out.json) {
            print_json(t);
        } else if (go) {
            draw(t);
        }
    }
    give_screen(t);
    return t->c->interrupted && !t->screen ? CLI_INTERRUPTED : CLI_OK;
}

int cmd_top(struct cli *c, const struct args *a)
{
    struct top t = {.c = c, .interval_ms = 1000, .conns = CONNS_DEFAULT, .times = -1};
    const char *d = args_value(a, "d"), *n = args_value(a, "n"), *batch = args_value(a, "batch");
    int64_t v;
    if (d) {
        char *end;
        double s = strtod(d, &end);
        if (end == d || *end || !(s >= 0.1 && s <= 3600)) {
            return cli_usage(c, "-d wants seconds, 0.1 to 3600");
        }
        t.interval_ms = (int64_t)(s * 1000);
    }
    if (n && !parse_i64(n, 0, CONNS_MAX, &v)) {
        return cli_usage(c, "-n wants a number up to %d", CONNS_MAX);
    }
    t.conns = n ? (size_t)v : t.conns;
    if (batch && !parse_i64(batch, 1, BATCH_MAX, &t.times)) {
        return cli_usage(c, "--batch wants how many times");
    }
    bool json = c->out.json;
    c->out.json = json || args_has(a, "json");
    t.times = args_has(a, "once") || (c->out.json && !batch) ? 1 : t.times;
    t.e = cli_alloc(sizeof(*t.e));
    t.before = cli_alloc(sizeof(*t.before));
    t.now = cli_alloc(sizeof(*t.now));
    int code = run(&t);
    ensemble_fini(t.e);
    top_look_fini(t.before);
    top_look_fini(t.now);
    free(t.e);
    free(t.before);
    free(t.now);
    c->out.json = json;
    return code;
}
