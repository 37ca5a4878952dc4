// SPDX-License-Identifier: Apache-2.0
//
// The shell's inner interface: what a command gets, and what it may call.
//
// A command is a row of commands.def and a function in a file cmd_*.c. It runs on the main thread;
// the client's callbacks come on a thread of the library's and are carried over by notes (notes.h),
// so that commands, printing and the line editor need no locks. While a command waits, in
// cli_call() or cli_turn(), watch events are printed, and Ctrl-C ends the waiting.
//
// What a command does with trouble:
// - cli_fail(c, r) after a request that went wrong, cli_refuse() for a no of its own, cli_usage()
//   for wrong arguments: each prints a sentence with the command's name, and returns the exit code
//   to return.
// - Ctrl-C: requests return REEVE_CANCELLED and c->interrupted is set; return cli_fail() or
//   CLI_INTERRUPTED, without a sentence.
#pragma once

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/flags.h"
#include "cli/mem.h"
#include "cli/out.h"
#include "reeve/reeve.h"

enum cli_exit {
    CLI_OK = 0,
    CLI_NO = 1,            // the server said no, there is no such node, ...
    CLI_USAGE = 2,         // wrong usage
    CLI_NO_CONNECTION = 3, // no server, or the session is lost
    CLI_INTERRUPTED = 130, // Ctrl-C
};

struct cli_options {
    const char *servers;
    int32_t session_timeout_ms;
    int32_t connect_timeout_ms; // how long a command waits for a connection
    bool read_only;
    bool keep_going; // commands that are read: go on after one that failed
    bool wait_for_connection;
    bool interactive;
};

struct notes;
struct pending;
struct history;
struct line;

// What a watch told, for who wants to see events instead of the printing; see cli_hook.
struct cli_event {
    enum reeve_event_type type;
    enum reeve_watch_kind kind; // of the watch that told it
    const char *path;
    enum reeve_error why;
};

// One of the shell's watches: each kind tells which it is.
struct cli_watcher {
    struct cli *c;
    enum reeve_watch_kind kind;
};

struct cli {
    struct reeve *zk; // NULL: closed
    struct cli_options opt;
    struct out out;
    struct notes *notes;
    struct history *history;
    struct line *line; // the line editor, NULL if there is none
    char *cwd;         // begins with /, no / at its end but the root's
    bool print_watches;
    bool quit;
    int quit_code;
    bool interrupted;    // Ctrl-C, since the command began
    const char *command; // the name of the running command, for sentences

    // The session as last told: copies.
    enum reeve_state state;
    int64_t session_id;
    int32_t session_timeout_ms;
    char *server, *why;
    char *servers_given; // by connect; opt.servers may be this

    size_t outstanding; // requests without an answer
    struct pending *pendings;

    struct cli_watcher watcher[REEVE_WATCH_RECURSIVE + 1];
    // The event that was printed last, and the kinds of watches (bits) that told it: one change is
    // told to each of them, and printed once. Forgotten when a watch is set.
    const char *shown;
    char *shown_path;
    unsigned shown_kinds;

    // Where events go: printed if NULL.
    void (*hook)(struct cli *c, void *ctx, const struct cli_event *ev);
    void *hook_ctx;
};

// ---- commands -----------------------------------------------------------------------------------

// Options are sorted out before, as the row says. Returns enum cli_exit.
typedef int cli_fn(struct cli *c, const struct args *a);

enum cli_flag {
    CLI_OFFLINE = 1, // needs no connection
    CLI_HIDDEN = 2,  // old spellings: not in help and completion
    CLI_PATHS = 4,   // arguments are paths: completion asks the server
};

struct cli_command {
    const char *name;    // NULL: help is the title of the section that begins here
    const char *aliases; // with spaces between, or ""
    const char *synopsis;
    const char *help;
    const char *options;    // for args_parse()
    int args_min, args_max; // -1: any number
    cli_fn *fn;
    unsigned flags;
};

extern const struct cli_command cli_commands[];
extern const size_t cli_commands_n;
const struct cli_command *cli_command_find(const char *name); // also by alias
// The known command nearest to a mistyped name, or NULL.
const struct cli_command *cli_command_near(const char *name);

// One function for each row.
#define SECTION(title)
#define COMMAND(name, aliases, synopsis, help, options, min, max, fn, flags) cli_fn fn;
#include "cli/commands.def"
#undef COMMAND
#undef SECTION

// Runs words[0] with its arguments. A line is split into words first; an empty line and a comment
// are CLI_OK.
int cli_run(struct cli *c, int words_n, char **words);
int cli_run_line(struct cli *c, const char *line);
// Commands from a file, to its end, the first failure or quit. Returns the first failure's code.
int cli_run_file(struct cli *c, int fd);

// ---- life ---------------------------------------------------------------------------------------

void cli_init(struct cli *c, const struct cli_options *o);
// False: said why.
bool cli_connect(struct cli *c, const char *servers);
void cli_close(struct cli *c); // ends the session; c->zk is NULL then
void cli_fini(struct cli *c);
int64_t cli_now_ms(void); // monotonic

bool cli_connected(const struct cli *c);
const char *cli_state_name(enum reeve_state s); // as Apache's shell: "CONNECTED"
// Waits for a connection as long as options allow, and most_ms (-1: no such limit). CLI_OK, else it
// said why.
int cli_need_connection(struct cli *c, int64_t most_ms);

// ---- requests -----------------------------------------------------------------------------------

// reeve_call() that Ctrl-C can end. r is always filled in and to be given to reeve_result_fini().
enum reeve_error cli_call(struct cli *c, const struct reeve_request *q, struct reeve_result *r);

// Many at a time: fn is called on the main thread, from cli_turn() or a cli_call(). Not OK: it is
// never called, and the caller may print the error by cli_call() with the same request. Who stops
// waiting (c->interrupted) calls cli_forget() before what ctx points to goes.
// The result may be taken over: *mine = *r; *r = (struct reeve_result){0}.
typedef void cli_done_fn(struct cli *c, void *ctx, struct reeve_result *r);
enum reeve_error cli_submit(struct cli *c, const struct reeve_request *q, cli_done_fn *fn,
                            void *ctx);
// No function of a request that is under way will be called.
void cli_forget(struct cli *c);

// Waits for anything (answers, events, signals, or input on fd if it is not -1), no longer than
// timeout_ms (-1: no limit), and works it off. True: fd is readable. Look at c->interrupted.
bool cli_turn(struct cli *c, int fd, int timeout_ms);

// Sets the shell's watch in a request: events are printed, or given to the hook.
void cli_watch(struct cli *c, struct reeve_request *q);
// All of the shell's watches at path are forgotten.
void cli_unwatch(struct cli *c, const char *path);

// ---- sentences ----------------------------------------------------------------------------------

// "get: Node does not exist: /a (NONODE)". Nothing for REEVE_CANCELLED.
int cli_fail(struct cli *c, const struct reeve_result *r);
int cli_refuse(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_usage(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// The cause alone, "Node does not exist: /a", and "no such node (NONODE)" where Apache has no
// sentence for it.
void cli_cause(struct string *t, const struct reeve_result *r);

// ---- paths --------------------------------------------------------------------------------------

// arg as an absolute path: relative to cwd, without "." and "..", double and last slashes;
// last_slash: the one at the end stays (names of sequential nodes). To be freed. A path that is
// none is left for the client to refuse.
char *cli_path(const struct cli *c, const char *arg, bool last_slash);
char *cli_path_join(const char *parent, const char *name); // to be freed

// "world:anyone:r,digest:u:h:cdrwa"; false: said what is wrong. list to be freed, one piece of
// memory.
bool cli_parse_acl(struct cli *c, const char *s, struct reeve_acl **list, size_t *n);
