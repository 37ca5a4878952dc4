// SPDX-License-Identifier: Apache-2.0
//
// libreeve: a client of ZooKeeper's protocol, for Reeve and for Apache ZooKeeper 3.5 to 3.9.
//
// A `struct reeve` is one client: a list of servers, and one session with them at a time. It finds
// a server, keeps the session alive, moves it to another server when a connection is lost, and
// registers watches again. Nothing in it is global, nothing prints, nothing exits; no thread runs
// unless you start one.
//
//     struct reeve *zk;
//     struct reeve_options o = {.servers = "10.0.0.1:2181,10.0.0.2:2181,10.0.0.3:2181/app"};
//     if (reeve_new(&zk, &o) || reeve_start(zk)) { ... }
//     struct reeve_result r;
//     if (reeve_get(zk, "/config", NULL, &r)) {
//         char text[256];
//         puts(reeve_result_text(&r, text, sizeof(text))); // get /config: no such node (NONODE)
//     }
//     reeve_result_fini(&r);
//     reeve_close(&zk);
//
// Calls (ops.h has one pair of functions per operation, this header the two they all go through):
// - reeve_submit() is asynchronous. It copies what it is given and returns at once. REEVE_OK: the
//   callback will be called exactly once, whatever happens, never from inside reeve_submit(). Any
//   other value: nothing was begun and the callback is never called.
// - reeve_call() waits for the answer.
// Requests of one client are sent, executed and answered in the order they were submitted.
//
// When a connection is lost: reads without an answer are asked again at the next server, at most
// twice. Writes that were sent fail with REEVE_CONNECTION_LOSS, and so do all that were submitted
// behind them until then, so that no write is executed whose forerunner was lost;
// result.maybe_done tells those that may have been executed from those that surely were not. What
// is submitted while there is no connection waits for one: until the session is lost or, before the
// first session, for the session timeout.
//
// Sessions: when nothing was heard for so long that the servers may have ended the session, the
// client says so (REEVE_STATE_LOST) by its own clock, connected or not, no later than any server
// could: the session's deadline is its timeout counted from the moment the last answered request
// was sent. All requests then fail with REEVE_SESSION_EXPIRED, all watches end, and a new session
// begins (unless options.one_session). State is told first, the callbacks of failed requests come
// after it. One case no client can see: a follower that is cut off from its leader goes on
// answering heartbeats for up to syncLimit ticks, while the leader, which does not hear of them,
// may end the session. A write of a lost session with maybe_done may still be executed while the
// servers have it.
//
// Threads: every function may be called from any thread unless it says otherwise. Callbacks are
// made one at a time, in order, on the loop's thread: the one of reeve_start(), or whichever calls
// reeve_process() or waits in a blocking call. No lock is held during a callback: it may call
// anything here except what waits (those return REEVE_WRONG_THREAD) and reeve_close().
// After fork() the child must not touch its parent's clients, not even to close them.
//
// Three ways to drive a client:
// 1. reeve_start(): a thread of the library's own; blocking calls may be used from all others.
// 2. Your event loop: watch reeve_fd() for reading, wake up after reeve_timeout_ms(), and call
//    reeve_process() then. One thread at a time.
// 3. Neither: blocking calls drive the client while they wait. Heartbeats are sent only during
//    calls, so this is for programs that come and go.
//
// Memory: pointers given in are borrowed for the call unless said otherwise, and may be NULL only
// where that is said. Results and events given to callbacks are valid during the callback. Times
// are milliseconds, sizes bytes. Strings are UTF-8 and end in NUL.
//
// A callback that takes long holds up everything else of its client: nothing is sent or received
// meanwhile, so one that takes longer than a session lives ends the session. That is told before
// whatever waits behind the callback.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#    define REEVE_API __attribute__((visibility("default")))
#else
#    define REEVE_API
#endif

#define REEVE_VERSION "0.1.0"
// The version of the library that runs, which may be newer than the header's.
REEVE_API const char *reeve_version(void);

struct reeve;

// ---- errors -------------------------------------------------------------------------------------

// 0 is success. From -1 to -127 these are ZooKeeper's codes and names; the first four of the second
// group may also be said by the client itself. From -200 on they are the library's own.
enum reeve_error {
    REEVE_OK = 0,
    REEVE_SYSTEM_ERROR = -1,
    REEVE_RUNTIME_INCONSISTENCY = -2, // also in a failed multi: a part behind the one that failed
    REEVE_DATA_INCONSISTENCY = -3,
    REEVE_MARSHALLING_ERROR = -5,
    REEVE_UNIMPLEMENTED = -6, // this server does not know the operation
    REEVE_NEW_CONFIG_NO_QUORUM = -13,
    REEVE_RECONFIG_IN_PROGRESS = -14,
    REEVE_API_ERROR = -100,
    REEVE_NO_NODE = -101,
    REEVE_NO_AUTH = -102,
    REEVE_BAD_VERSION = -103,
    REEVE_NO_CHILDREN_FOR_EPHEMERALS = -108,
    REEVE_NODE_EXISTS = -110,
    REEVE_NOT_EMPTY = -111,
    REEVE_INVALID_ACL = -114,
    REEVE_SESSION_MOVED = -118,
    REEVE_NOT_READ_ONLY = -119, // a write, and this server is in read-only mode
    REEVE_EPHEMERAL_ON_LOCAL_SESSION = -120,
    REEVE_NO_WATCHER = -121,
    REEVE_RECONFIG_DISABLED = -123,
    REEVE_SASL_REQUIRED = -124,
    REEVE_QUOTA_EXCEEDED = -125,
    REEVE_THROTTLED = -127,

    REEVE_CONNECTION_LOSS = -4,   // the connection was lost before the answer; see maybe_done
    REEVE_OPERATION_TIMEOUT = -7, // no answer within the time allowed
    REEVE_BAD_ARGUMENTS = -8,     // an invalid path, option, list of servers, ...
    REEVE_SESSION_EXPIRED = -112, // the session is over
    REEVE_AUTH_FAILED = -115,     // the server refused what reeve_add_auth() gave it

    REEVE_NO_MEMORY = -200,    // the allocator said no; nothing is lost but this call
    REEVE_CLOSED = -201,       // the client is being closed
    REEVE_TOO_BIG = -202,      // over options.request_max or answer_max; result.why has the sizes
    REEVE_WRONG_THREAD = -203, // a call that waits, from a callback
    REEVE_MALFORMED = -204,    // the server's answer breaks the protocol, or stored data its format
    REEVE_CANCELLED = -205,    // recipes: it was cancelled by the caller
    REEVE_SYSTEM = -206        // the operating system refused a thread, a descriptor, ...
};

// "NONODE" (ZooKeeper's spelling) and "no such node". Never NULL.
REEVE_API const char *reeve_error_name(enum reeve_error e);
REEVE_API const char *reeve_error_text(enum reeve_error e);

// ---- options ------------------------------------------------------------------------------------

// alloc(ctx, NULL, n): n bytes or NULL. alloc(ctx, p, n): p made n bytes long, or NULL and p is as
// it was. alloc(ctx, p, 0): p is freed. From any thread.
struct reeve_allocator {
    void *(*alloc)(void *ctx, void *p, size_t n);
    void *ctx;
};

enum reeve_log_level { REEVE_LOG_ERROR, REEVE_LOG_WARN, REEVE_LOG_INFO, REEVE_LOG_DEBUG };

// Zero means the default everywhere, so that {.servers = "..."} is enough.
struct reeve_options {
    // "host:port,host:port,...", then perhaps a chroot: "/app". A port left out is 2181, IPv6
    // addresses stand in brackets. The order is shuffled, and names are resolved at each connect.
    const char *servers;
    int32_t session_timeout_ms; // asked for: 10,000. The server decides: reeve_get_session()
    // For each request from submit to answer: no limit but the session's. One that was sent and is
    // not answered in time takes the connection with it, as its answer would come some day.
    int32_t request_timeout_ms;
    int32_t close_timeout_ms; // how long reeve_close() may wait for the server: 2,000
    uint32_t request_max;     // 1,048,575, as servers allow (jute.maxbuffer)
    uint32_t answer_max;      // 67,108,864
    bool read_only;           // a server without a quorum is better than none
    bool no_shuffle;          // try servers in the order given
    bool one_session;         // when the session is lost, do not begin another

    // A session to take up again, as reeve_get_session() told it; id 0: a new one.
    int64_t session_id;
    uint8_t session_passwd[16];

    // Called on any thread with one line, without a newline, from the middle of something: it must
    // not call this client. NULL: nothing is logged.
    void (*log)(void *ctx, enum reeve_log_level level, const char *line);
    void *log_ctx;

    struct reeve_allocator allocator; // malloc and free
    uint64_t seed;                    // of shuffling, jitter and GUIDs: from the system
};

// A new client. Nothing runs and no connection is made yet. BAD_ARGUMENTS: `servers` is missing or
// does not parse (options.log says where), or a timeout is negative. NO_MEMORY; SYSTEM: there are
// no more descriptors. *zk is NULL on errors.
REEVE_API enum reeve_error reeve_new(struct reeve **zk, const struct reeve_options *o);

// Starts the thread that drives the client and makes all callbacks from then on (but for those of a
// blocking call that drives already). It takes no signals but those of faults. BAD_ARGUMENTS: it
// was started before. SYSTEM: there are no more threads.
REEVE_API enum reeve_error reeve_start(struct reeve *zk);

// Ends the session (ephemeral nodes go) and the client. Requests that were sent before get their
// answers if the server gives them within close_timeout_ms; every other callback is called with
// REEVE_CLOSED; every watch ends. Without a connection at that moment the session is ended by the
// next server that takes it within that time; if none does it lives until its timeout. Then memory,
// thread and sockets are gone; *zk becomes NULL. Not from a callback, and not while another thread
// is inside a call on the same client other than a waiting one: waiting calls return REEVE_CLOSED,
// and reeve_close() waits until they have.
REEVE_API void reeve_close(struct reeve **zk);

// The same without ending the session on the server: it lives on until its timeout, or until a
// client with its id and password takes it up.
REEVE_API void reeve_abandon(struct reeve **zk);

// ---- your own event loop ------------------------------------------------------------------------

// A descriptor that becomes readable when reeve_process() has something to do; never anything else
// is to be waited for. The same one for the client's whole life.
REEVE_API int reeve_fd(const struct reeve *zk);
// How long to wait for it at most; -1: no limit. Ask after reeve_process(), right before waiting. A
// blocking call of another thread may drive the client meanwhile; when it stops the descriptor
// becomes readable.
REEVE_API int reeve_timeout_ms(const struct reeve *zk);
// Does what is to be done without waiting, and makes callbacks.
REEVE_API void reeve_process(struct reeve *zk);

// ---- the session --------------------------------------------------------------------------------

enum reeve_state {
    REEVE_STATE_CONNECTING, // no session yet
    REEVE_STATE_CONNECTED,
    REEVE_STATE_READ_ONLY,   // connected to a server without a quorum (options.read_only)
    REEVE_STATE_SUSPENDED,   // the connection is lost, the session perhaps not
    REEVE_STATE_LOST,        // the session is over; CONNECTING follows, unless one_session
    REEVE_STATE_AUTH_FAILED, // as LOST, but for good: what reeve_add_auth() gave was refused
    REEVE_STATE_ENDED        // the last word: reeve_close()
};

struct reeve_session {
    enum reeve_state state;
    int64_t id; // 0: none. In REEVE_STATE_LOST the session that is over
    uint8_t passwd[16];
    int32_t timeout_ms; // what the server granted
    int64_t zxid;       // of the last transaction seen
    bool renewed;       // CONNECTED: this is a session the client did not have before
    const char *server; // "host:port" of the connection, now or last; "" at first
    const char *why;    // SUSPENDED, LOST, AUTH_FAILED: the cause, as a sentence; else ""
};

// Called at each change of state, in order with all other callbacks, and once soon after it was
// given, with the state of that time. NO_MEMORY, CLOSED.
typedef void reeve_session_fn(void *ctx, const struct reeve_session *s);
REEVE_API enum reeve_error reeve_listen(struct reeve *zk, reeve_session_fn *fn, void *ctx);
// It is not called any more once this returns (on the loop's thread; elsewhere a call may be under
// way).
REEVE_API void reeve_unlisten(struct reeve *zk, reeve_session_fn *fn, void *ctx);

// The present state, copied; strings live until the next change of state.
REEVE_API void reeve_get_session(struct reeve *zk, struct reeve_session *s);
// Waits until CONNECTED (or READ_ONLY, if allowed). timeout_ms -1: no limit. OPERATION_TIMEOUT,
// CLOSED, AUTH_FAILED, SESSION_EXPIRED (one_session), NO_MEMORY, WRONG_THREAD.
REEVE_API enum reeve_error reeve_wait_connected(struct reeve *zk, int64_t timeout_ms);

// Another list of servers, without a chroot. The session stays; the client moves to another server
// only as far as needed to spread the clients of all servers evenly (ZooKeeper's rule).
// BAD_ARGUMENTS: it does not parse, or has a chroot. NO_MEMORY, CLOSED.
REEVE_API enum reeve_error reeve_set_servers(struct reeve *zk, const char *servers);

// ---- requests -----------------------------------------------------------------------------------

enum reeve_op {
    REEVE_OP_NONE,
    REEVE_OP_CREATE, // path data acl flags ttl_ms         -> created, stat
    REEVE_OP_DELETE, // path version
    REEVE_OP_EXISTS, // path, watch                        -> stat
    REEVE_OP_GET,    // path, watch                        -> data, stat
    REEVE_OP_SET,    // path data version                  -> stat
    REEVE_OP_GET_ACL,
    REEVE_OP_SET_ACL,        // path acl version                   -> stat
    REEVE_OP_CHILDREN,       // path, watch                        -> children, stat
    REEVE_OP_SYNC,           // path: what was committed before is seen after -> created (path)
    REEVE_OP_CHECK,          // path version; only as a part of a multi
    REEVE_OP_MULTI,          // parts: CREATE DELETE SET CHECK     -> parts
    REEVE_OP_MULTI_READ,     // parts: GET CHILDREN                -> parts (CHILDREN: no stat)
    REEVE_OP_ADD_WATCH,      // path kind watch; PERSISTENT or RECURSIVE
    REEVE_OP_REMOVE_WATCHES, // path kind: all of the client's there
    REEVE_OP_CHECK_WATCHES,  // path kind: NO_WATCHER if there is none
    REEVE_OP_EPHEMERALS,     // path: a prefix                     -> children (whole paths)
    REEVE_OP_ALL_CHILDREN,   // path                               -> number
    REEVE_OP_WHO_AM_I,       //                                    -> acl (scheme and id)
    REEVE_OP_ADD_AUTH,       // scheme data; again by itself at each connect
    REEVE_OP_RECONFIG,       // joining leaving members version    -> data, stat
    REEVE_OP_GET_CONFIG,     // watch: /zookeeper/config, outside any chroot -> data, stat
    REEVE_OP_COUNT
};

enum { REEVE_ANY_VERSION = -1 };

enum reeve_flag {
    REEVE_PERSISTENT = 0,
    REEVE_EPHEMERAL = 1,
    REEVE_SEQUENTIAL = 2, // the server adds ten digits to the name
    REEVE_CONTAINER = 4   // alone
};

enum reeve_perm {
    REEVE_PERM_READ = 1,
    REEVE_PERM_WRITE = 2,
    REEVE_PERM_CREATE = 4,
    REEVE_PERM_DELETE = 8,
    REEVE_PERM_ADMIN = 16,
    REEVE_PERM_ALL = 31
};

struct reeve_acl {
    int32_t perms;
    const char *scheme, *id;
};

struct reeve_stat {
    int64_t czxid, mzxid, ctime_ms, mtime_ms;
    int32_t version, cversion, aversion;
    int64_t ephemeral_owner;
    int32_t data_length, num_children;
    int64_t pzxid;
};

enum reeve_watch_kind { // for ADD_WATCH, REMOVE_WATCHES and CHECK_WATCHES
    REEVE_WATCH_CHILDREN = 1,
    REEVE_WATCH_DATA = 2,
    REEVE_WATCH_ANY = 3,
    REEVE_WATCH_PERSISTENT = 4,
    REEVE_WATCH_RECURSIVE = 5
};

enum reeve_event_type {
    REEVE_EVENT_CREATED = 1,
    REEVE_EVENT_DELETED = 2,
    REEVE_EVENT_CHANGED = 3,
    REEVE_EVENT_CHILDREN = 4,
    REEVE_EVENT_ENDED = 5 // nothing happened to the node: the watch is over; see why
};

struct reeve_event {
    enum reeve_event_type type;
    const char *path; // of what changed; under a recursive watch, below the watched path
    bool last;        // this watch is not called again: always true for one-shot watches
    // ENDED: OK it was removed, SESSION_EXPIRED, AUTH_FAILED, CLOSED
    enum reeve_error why;
};

typedef void reeve_watch_fn(void *ctx, const struct reeve_event *ev);

// A watch is set only if result.watching says so; then fn is called until one call has `last`. A
// one-shot watch is called exactly once. The same fn and ctx at the same path and of the same kind
// are one watch, however often they are set.
struct reeve_watch {
    reeve_watch_fn *fn; // NULL: no watch
    void *ctx;
};

struct reeve_request {
    enum reeve_op op;
    const char *path; // below the chroot
    const void *data; // NULL: null, which ZooKeeper tells from empty
    size_t data_len;
    const struct reeve_acl *acl; // NULL in CREATE: everybody may do everything
    size_t acl_n;
    unsigned flags;  // enum reeve_flag
    int64_t ttl_ms;  // CREATE: above 0 the node goes when it had no change and children for so long
    int32_t version; // SET, DELETE, CHECK, SET_ACL: must be the node's, or REEVE_ANY_VERSION
    struct reeve_watch watch;
    enum reeve_watch_kind kind;
    const struct reeve_request *parts; // MULTI, MULTI_READ
    size_t parts_n;
    const char *scheme;                      // ADD_AUTH
    const char *joining, *leaving, *members; // RECONFIG: as zoo.cfg has servers; NULL: none
    int64_t config_version;                  // RECONFIG: -1 any
    int32_t timeout_ms;                      // 0: options.request_timeout_ms
};

struct reeve_result {
    enum reeve_error error;
    enum reeve_op op;
    const char *path; // the request's
    const char *why;  // more about the error, "" if there is no more; see reeve_result_text()
    bool maybe_done;  // an error of the connection, and the server may have executed it
    bool watching;    // the request's watch is set
    int64_t zxid;     // of the last transaction the server had seen when it answered; 0: none

    const void *data; // followed by a NUL that does not count; NULL: null, or none
    size_t data_len;
    bool has_stat;
    struct reeve_stat stat;
    const char *created; // CREATE: the path, with its sequence number. SYNC: the path
    const char *const *children;
    size_t children_n;
    const struct reeve_acl *acl;
    size_t acl_n;
    int64_t number;
    const struct reeve_result *parts; // MULTI, MULTI_READ: one for each part of the request
    size_t parts_n;

    void *memory; // the library's: what reeve_result_fini() frees
    const struct reeve_allocator *allocator;
};

// "create /a/b: no such node (NONODE)": operation, path, cause. Returns text, cut to size n.
REEVE_API const char *reeve_result_text(const struct reeve_result *r, char *text, size_t n);

typedef void reeve_done_fn(void *ctx, const struct reeve_result *r);

// OK; BAD_ARGUMENTS (a path that is no path, parts that may not be there), TOO_BIG, NO_MEMORY,
// CLOSED, AUTH_FAILED, SESSION_EXPIRED (one_session, and it is lost). done NULL: nobody wants to
// know.
REEVE_API enum reeve_error reeve_submit(struct reeve *zk, const struct reeve_request *q,
                                        reeve_done_fn *done, void *ctx);

// Waits for the result and returns its error. `r` (may be NULL) is always filled in, also when it
// could not be submitted, and is to be given to reeve_result_fini() then. WRONG_THREAD: from a
// callback.
REEVE_API enum reeve_error reeve_call(struct reeve *zk, const struct reeve_request *q,
                                      struct reeve_result *r);
REEVE_API void reeve_result_fini(struct reeve_result *r);
// A copy that outlives the callback, for reeve_result_fini(). NO_MEMORY.
REEVE_API enum reeve_error reeve_result_copy(const struct reeve *zk, struct reeve_result *to,
                                             const struct reeve_result *r);

// Takes back watches: every one of this fn and ctx at this path, whatever kind, also one whose
// request is still under way. It is not called again, not even with ENDED, once this returns (on
// the loop's thread; elsewhere a call may be under way, which is over when a reeve_post() behind
// this one is called). When nobody else here watches the path the server is told, without an
// answer.
REEVE_API void reeve_unwatch(struct reeve *zk, const char *path, reeve_watch_fn *fn, void *ctx);

// ---- what recipes are made of -------------------------------------------------------------------

// fn(ctx) once on the loop's thread, in order, soon, or after so many milliseconds. It is called
// also when the client is closed meanwhile (at once, then). NO_MEMORY, CLOSED: it is not called.
typedef void reeve_task_fn(void *ctx);
REEVE_API enum reeve_error reeve_post(struct reeve *zk, reeve_task_fn *fn, void *ctx);
REEVE_API enum reeve_error reeve_after(struct reeve *zk, int64_t ms, reeve_task_fn *fn, void *ctx);
// Takes back one waiting task of reeve_after(). True: it will not be called. Loop's thread only;
// elsewhere it is false.
REEVE_API bool reeve_cancel(struct reeve *zk, reeve_task_fn *fn, void *ctx);
// True in a callback, that is on the loop's thread while it makes them.
REEVE_API bool reeve_on_loop(const struct reeve *zk);

// A gate: one thread waits until a callback opens it. It stays open. Everything the opener did
// before is seen by who has waited. Make one for each wait and free it right after:
// reeve_close() waits until all are freed.
struct reeve_gate;
REEVE_API enum reeve_error reeve_gate_new(struct reeve *zk, struct reeve_gate **g);
REEVE_API void reeve_gate_open(struct reeve_gate *g);
// OK, WRONG_THREAD. No timeout: who opens it has one.
REEVE_API enum reeve_error reeve_gate_wait(struct reeve_gate *g);
REEVE_API void reeve_gate_free(struct reeve_gate **g);

// The client's allocator (n 0 frees), its clock (monotonic, from an arbitrary start), and 32
// hexadecimal digits and a NUL that nobody else will ever draw.
REEVE_API void *reeve_realloc(const struct reeve *zk, void *p, size_t n);
REEVE_API int64_t reeve_now_ms(const struct reeve *zk);
REEVE_API uint64_t reeve_random(struct reeve *zk);
REEVE_API void reeve_guid(struct reeve *zk, char guid[33]);

#ifdef __cplusplus
}
#endif

#include "reeve/ops.h"
