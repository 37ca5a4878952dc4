// SPDX-License-Identifier: Apache-2.0
//
// The shell's connection: making and ending it, what comes over from the library's thread, and
// requests that Ctrl-C can end. See cli.h.
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/history.h"
#include "cli/line.h"
#include "cli/notes.h"
#include "cli/signals.h"

// A request under way. It belongs to the note that will bring its answer.
struct pending {
    struct cli *c;
    const struct reeve *zk;
    cli_done_fn *fn; // NULL: forgotten
    void *ctx;
    struct pending *next, **prev;
};

void cli_init(struct cli *c, const struct cli_options *o)
{
    *c = (struct cli){.opt = *o, .print_watches = true, .state = REEVE_STATE_ENDED};
    c->notes = notes_new();
    c->history = history_new();
    c->cwd = cli_dup("/");
    c->server = cli_dup("");
    c->why = cli_dup("");
    signals_init(notes_fd(c->notes));
}

void cli_fini(struct cli *c)
{
    cli_close(c);
    notes_free(&c->notes);
    history_free(&c->history);
    free(c->cwd);
    free(c->server);
    free(c->servers_given);
    free(c->why);
    free(c->shown_path);
}

// ---- the library's thread -----------------------------------------------------------------------

static struct note *new_note(enum note_kind kind)
{
    struct note *n = cli_alloc(sizeof(*n));
    n->kind = kind;
    return n;
}

static void on_state(void *ctx, const struct reeve_session *s)
{
    struct cli *c = ctx;
    struct note *n = new_note(NOTE_STATE);
    n->state.state = s->state;
    n->state.id = s->id;
    n->state.timeout_ms = s->timeout_ms;
    n->state.renewed = s->renewed;
    n->state.server = cli_dup(s->server);
    n->state.why = cli_dup(s->why);
    notes_put(c->notes, n);
}

static void on_event(void *ctx, const struct reeve_event *ev)
{
    struct cli_watcher *w = ctx;
    struct note *n = new_note(NOTE_EVENT);
    n->event.type = ev->type;
    n->event.kind = w->kind;
    n->event.why = ev->why;
    n->event.path = cli_dup(ev->path);
    notes_put(w->c->notes, n);
}

static void on_done(void *ctx, const struct reeve_result *r)
{
    struct pending *p = ctx;
    struct note *n = new_note(NOTE_ANSWER);
    n->ctx = p;
    if (reeve_result_copy(p->zk, &n->result, r) != REEVE_OK) {
        n->result =
            (struct reeve_result){.error = REEVE_NO_MEMORY, .op = r->op, .path = "", .why = ""};
    }
    notes_put(p->c->notes, n);
}

static void on_log(void *ctx, enum reeve_log_level level, const char *line)
{
    struct cli *c = ctx;
    if (level <= REEVE_LOG_INFO) { // a dial that failed is no warning
        notes_put_log(c->notes, line);
    }
}

// ---- life ---------------------------------------------------------------------------------------

bool cli_connect(struct cli *c, const char *servers)
{
    struct reeve_options o = {
        .servers = servers,
        .session_timeout_ms = c->opt.session_timeout_ms,
        .read_only = c->opt.read_only,
        .log = on_log,
        .log_ctx = c,
    };
    struct reeve *zk;
    notes_put_log(c->notes, "");
    enum reeve_error e = reeve_new(&zk, &o);
    if (e != REEVE_OK) {
        char log[512];
        notes_get_log(c->notes, log, sizeof(log));
        out_error(&c->out, "cannot use the servers \"%s\": %s (%s)", servers,
                  log[0] ? log : reeve_error_text(e), reeve_error_name(e));
        return false;
    }
    cli_close(c);
    c->zk = zk;
    c->state = REEVE_STATE_CONNECTING;
    free(c->server);
    // Until there is a connection, the list stands for the server.
    c->server = cli_dup(servers);
    e = reeve_listen(zk, on_state, c);
    if (e == REEVE_OK) {
        e = reeve_start(zk);
    }
    if (e != REEVE_OK) {
        out_error(&c->out, "cannot begin: %s (%s)", reeve_error_text(e), reeve_error_name(e));
        cli_close(c);
        return false;
    }
    return true;
}

static void work_off(struct cli *c);

void cli_close(struct cli *c)
{
    if (c->zk == NULL) {
        return;
    }
    cli_forget(c);
    struct reeve *zk = c->zk;
    c->zk = NULL;
    reeve_close(&zk);
    work_off(c);
    c->state = REEVE_STATE_ENDED;
    c->session_id = 0;
}

bool cli_connected(const struct cli *c)
{
    return c->state == REEVE_STATE_CONNECTED || c->state == REEVE_STATE_READ_ONLY;
}

const char *cli_state_name(enum reeve_state s)
{
    switch (s) {
    case REEVE_STATE_CONNECTING:
        return "CONNECTING";
    case REEVE_STATE_CONNECTED:
        return "CONNECTED";
    case REEVE_STATE_READ_ONLY:
        return "CONNECTEDREADONLY";
    case REEVE_STATE_SUSPENDED:
        return "SUSPENDED";
    case REEVE_STATE_LOST:
        return "LOST";
    case REEVE_STATE_AUTH_FAILED:
        return "AUTH_FAILED";
    case REEVE_STATE_ENDED:
        return "CLOSED";
    }
    return "?";
}

int64_t cli_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int no_connection(struct cli *c, int64_t waited_ms)
{
    char log[512];
    notes_get_log(c->notes, log, sizeof(log));
    const char *why = c->why[0] ? c->why : log;
    bool many = strchr(c->server, ',') != NULL;
    out_error(&c->out, "%s: no connection to %s within %g seconds%s%s%s", c->command, c->server,
              (double)waited_ms / 1000.0, why[0] ? ": " : "", why,
              many ? "; `status` asks each of them" : "");
    return CLI_NO_CONNECTION;
}

int cli_need_connection(struct cli *c, int64_t most_ms)
{
    most_ms =
        most_ms < 0 || most_ms > c->opt.connect_timeout_ms ? c->opt.connect_timeout_ms : most_ms;
    int64_t deadline_ms = cli_now_ms() + most_ms;
    while (!cli_connected(c)) {
        if (c->zk == NULL || c->state == REEVE_STATE_ENDED) {
            out_error(&c->out, "%s: Not connected; `connect host:port` connects", c->command);
            return CLI_NO_CONNECTION;
        }
        if (c->state == REEVE_STATE_AUTH_FAILED) {
            out_error(&c->out,
                      "%s: the session is over, its authentication was refused; "
                      "`connect` begins another",
                      c->command);
            return CLI_NO_CONNECTION;
        }
        int64_t left_ms = deadline_ms - cli_now_ms();
        if (left_ms <= 0) {
            return no_connection(c, most_ms);
        }
        cli_turn(c, -1, (int)left_ms);
        if (c->interrupted) {
            return CLI_INTERRUPTED;
        }
    }
    return CLI_OK;
}

// ---- what came over -----------------------------------------------------------------------------

static void on_answer_note(struct cli *c, struct note *n)
{
    struct pending *p = n->ctx;
    *p->prev = p->next;
    if (p->next) {
        p->next->prev = p->prev;
    }
    c->outstanding--;
    if (p->fn) {
        p->fn(c, p->ctx, &n->result);
    }
    free(p);
}

// As Watcher.Event.EventType.
static const char *event_name(const struct cli_event *ev)
{
    static const char *const names[] = {
        [REEVE_EVENT_CREATED] = "NodeCreated",
        [REEVE_EVENT_DELETED] = "NodeDeleted",
        [REEVE_EVENT_CHANGED] = "NodeDataChanged",
        [REEVE_EVENT_CHILDREN] = "NodeChildrenChanged",
    };
    if (ev->type != REEVE_EVENT_ENDED) {
        return names[ev->type];
    }
    return ev->kind == REEVE_WATCH_CHILDREN ? "ChildWatchRemoved"
           : ev->kind == REEVE_WATCH_DATA   ? "DataWatchRemoved"
                                            : "PersistentWatchRemoved";
}

static void forget_shown(struct cli *c)
{
    free(c->shown_path);
    c->shown_path = NULL;
    c->shown_kinds = 0;
}

// Whether it is what the last one printed told, told to a watch of another kind.
static bool was_shown(struct cli *c, const struct cli_event *ev)
{
    const char *name = event_name(ev);
    unsigned kind = 1u << ev->kind;
    if (c->shown_path && strcmp(c->shown, name) == 0 && strcmp(c->shown_path, ev->path) == 0 &&
        !(c->shown_kinds & kind)) {
        c->shown_kinds |= kind;
        return true;
    }
    forget_shown(c);
    c->shown = name;
    c->shown_path = cli_dup(ev->path);
    c->shown_kinds = kind;
    return false;
}

static void show_event(struct cli *c, const struct cli_event *ev)
{
    // Of a session's end the state tells, once for all watches.
    if (ev->type == REEVE_EVENT_ENDED && ev->why != REEVE_OK && ev->why != REEVE_NO_AUTH) {
        return;
    }
    if (!c->print_watches || was_shown(c, ev)) {
        return;
    }
    if (c->out.json) {
        out_json(&c->out, json_pack("{s:s,s:o}", "event", event_name(ev), "path",
                                    out_json_string(ev->path)));
        out_flush(&c->out);
        return;
    }
    struct string safe = {0};
    out_printf(&c->out, "%sWATCHER:: WatchedEvent state:SyncConnected type:%s path:%s%s\n",
               out_color(&c->out, OUT_YELLOW), event_name(ev), out_safe(&c->out, ev->path, &safe),
               out_color_end(&c->out));
    out_flush(&c->out);
    string_fini(&safe);
}

// Sentences about the session are for people; scripts get exit codes.
static void show_state(struct cli *c, enum reeve_state before)
{
    if (c->state == REEVE_STATE_LOST || c->state == REEVE_STATE_AUTH_FAILED) {
        out_note(&c->out,
                 "session 0x%" PRIx64 " is over%s%s; its watches and ephemeral nodes are gone",
                 (uint64_t)c->session_id, c->why[0] ? ": " : "", c->why);
    } else if (c->opt.interactive && c->state == REEVE_STATE_SUSPENDED) {
        out_note(&c->out, "lost the connection to %s%s%s", c->server, c->why[0] ? ": " : "",
                 c->why);
    } else if (c->opt.interactive && before == REEVE_STATE_SUSPENDED && cli_connected(c)) {
        out_note(&c->out, "connected to %s again", c->server);
    }
}

static void on_state_note(struct cli *c, struct note *n)
{
    enum reeve_state before = c->state;
    c->state = n->state.state;
    if (n->state.id != 0) {
        c->session_id = n->state.id;
    }
    c->session_timeout_ms = n->state.timeout_ms;
    if (n->state.server[0]) {
        free(c->server);
        c->server = cli_dup(n->state.server);
    }
    free(c->why);
    c->why = cli_dup(n->state.why);
    if (c->state != before) {
        show_state(c, before);
    }
}

static void work_off(struct cli *c)
{
    struct note *n;
    size_t lost;
    while ((n = notes_get(c->notes, &lost)) != NULL) {
        line_hide(c->line);
        if (lost > 0) {
            out_note(&c->out, "%zu events came faster than they could be shown", lost);
        }
        struct cli_event ev = {n->event.type, n->event.kind, n->event.path, n->event.why};
        switch (n->kind) {
        case NOTE_ANSWER:
            on_answer_note(c, n);
            break;
        case NOTE_EVENT:
            if (c->hook) {
                c->hook(c, c->hook_ctx, &ev);
            } else {
                show_event(c, &ev);
            }
            break;
        case NOTE_STATE:
            on_state_note(c, n);
            break;
        }
        note_free(&n);
    }
    line_show(c->line);
}

static bool take_signals(struct cli *c)
{
    int end = signals_take_end();
    if (end != 0) {
        c->quit = true;
        c->quit_code = 128 + end;
    }
    bool taken = signals_take_interrupt() || end != 0;
    c->interrupted |= taken;
    return taken;
}

// Signals wake the queue's descriptor, and whoever takes from the queue clears it: what came before
// that has to be seen before waiting, and what comes meanwhile behind it.
bool cli_turn(struct cli *c, int fd, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = notes_fd(c->notes), .events = POLLIN},
                            {.fd = fd, .events = POLLIN}};
    if (poll(fds, 2, take_signals(c) ? 0 : timeout_ms) < 0) {
        fds[0].revents = fds[1].revents = 0;
    }
    take_signals(c); // before: what an answer sets off knows of a Ctrl-C
    if (fds[0].revents) {
        work_off(c);
    }
    take_signals(c);
    return fds[1].revents != 0;
}

// ---- requests -----------------------------------------------------------------------------------

enum reeve_error cli_submit(struct cli *c, const struct reeve_request *q, cli_done_fn *fn,
                            void *ctx)
{
    if (c->zk == NULL) {
        return REEVE_CLOSED;
    }
    struct pending *p = cli_alloc(sizeof(*p));
    *p = (struct pending){.c = c, .zk = c->zk, .fn = fn, .ctx = ctx};
    enum reeve_error e = reeve_submit(c->zk, q, on_done, p);
    if (e != REEVE_OK) {
        free(p);
        return e;
    }
    // The answer may be in the queue already; it is only worked off on this thread.
    p->next = c->pendings;
    p->prev = &c->pendings;
    if (p->next) {
        p->next->prev = &p->next;
    }
    c->pendings = p;
    c->outstanding++;
    return REEVE_OK;
}

void cli_forget(struct cli *c)
{
    for (struct pending *p = c->pendings; p; p = p->next) {
        p->fn = NULL;
    }
}

struct waiting {
    bool done;
    struct reeve_result *r;
};

static void on_call_done(struct cli *c, void *ctx, struct reeve_result *r)
{
    (void)c;
    struct waiting *w = ctx;
    w->done = true;
    *w->r = *r;
    *r = (struct reeve_result){0};
}

static enum reeve_error fill_in(struct reeve_result *r, const struct reeve_request *q,
                                enum reeve_error e)
{
    *r = (struct reeve_result){.error = e, .op = q->op, .path = q->path ? q->path : "", .why = ""};
    return e;
}

enum reeve_error cli_call(struct cli *c, const struct reeve_request *q, struct reeve_result *r)
{
    struct waiting w = {.r = r};
    enum reeve_error e = cli_submit(c, q, on_call_done, &w);
    if (e == REEVE_BAD_ARGUMENTS || e == REEVE_TOO_BIG) {
        return reeve_call(c->zk, q, r); // refused as well, and says what is wrong
    }
    if (e != REEVE_OK) {
        return fill_in(r, q, e);
    }
    while (!w.done && !c->interrupted) {
        cli_turn(c, -1, -1);
    }
    if (!w.done) {
        cli_forget(c);
        return fill_in(r, q, REEVE_CANCELLED);
    }
    return r->error;
}

void cli_watch(struct cli *c, struct reeve_request *q)
{
    enum reeve_watch_kind kind = q->op == REEVE_OP_ADD_WATCH  ? q->kind
                                 : q->op == REEVE_OP_CHILDREN ? REEVE_WATCH_CHILDREN
                                                              : REEVE_WATCH_DATA;
    c->watcher[kind] = (struct cli_watcher){c, kind};
    q->watch = (struct reeve_watch){.fn = on_event, .ctx = &c->watcher[kind]};
    forget_shown(c);
}

void cli_unwatch(struct cli *c, const char *path)
{
    for (int kind = 0; kind <= REEVE_WATCH_RECURSIVE; kind++) {
        reeve_unwatch(c->zk, path, on_event, &c->watcher[kind]);
    }
}
