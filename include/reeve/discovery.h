// SPDX-License-Identifier: Apache-2.0
//
// Naming and discovery: services put their addresses where clients find them. The layout is that of
// Curator's x-discovery (5.x, which Spring Cloud and Dubbo's application level use, too), so that
// Java programs see what is registered here and the other way round.
//
// Layout: <base>/<service>/<id>, data the instance as JSON as Curator's JsonInstanceSerializer
// writes it, byte for byte. DYNAMIC instances are ephemeral, STATIC and PERMANENT ones stay; the
// parents are containers.
//
// Three objects:
// - reeve_discovery registers instances, keeps them registered when sessions are lost and begin
//   again, and looks up by asking the server.
// - reeve_provider follows one service and picks instances from memory, from any thread:
//   round-robin, random or weighted, perhaps sticky, without those that the caller has said are
//   failing. Nodes whose data is no instance are left out.
// - reeve_instance is what both give out: it never changes, and it is the caller's until
//   reeve_instance_release().
//
// What is guaranteed: an instance is registered while its program's session lives; a provider has
// every state that lasts, and says so when it may be behind (reeve_provider_stale). What is not: an
// instance that is found may have died up to a session timeout ago, and an instance may be called
// by clients that still have the old state after unregister has returned. Who calls an instance and
// fails says so (reeve_provider_note_error) and takes the next.
//
//     struct reeve_discovery *d;
//     reeve_discovery_new(&d, zk, "/services", NULL);
//     struct reeve_instance me = {.name = "shop", .address = "10.0.0.7", .port = 8080};
//     reeve_discovery_register(d, &me, NULL);
//
//     struct reeve_provider *p;
//     reeve_provider_new(&p, zk, "/services", "shop", NULL);
//     const struct reeve_instance *i;
//     if (!reeve_provider_get(p, &i)) {
//         ... i->address, i->port ...
//         reeve_instance_release(&i);
//     }
//
// Threads, memory, errors: as in reeve.h; callbacks come on the loop's thread. Every object here is
// freed (and every instance released) before reeve_close(). Strings are UTF-8; service names and
// ids are names of nodes and thus have no '/'.
#pragma once

#include "reeve/reeve.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- instances ----------------------------------------------------------------------------------

enum reeve_service_type {
    REEVE_SERVICE_DYNAMIC, // ephemeral
    REEVE_SERVICE_STATIC,  // stays until it is unregistered, as PERMANENT does
    REEVE_SERVICE_PERMANENT,
    REEVE_SERVICE_DYNAMIC_SEQUENTIAL // read, but not registered here: UNIMPLEMENTED
};

struct reeve_pair {
    const char *key, *value;
};

// Zero means null or the default, so that {.name = "shop", .port = 80} is enough to register.
struct reeve_instance {
    const char *name;    // of the service
    const char *id;      // NULL when registering: one that nobody else has is drawn
    const char *address; // NULL: null
    int32_t port;        // 0: null
    int32_t ssl_port;    // 0: null
    // What programs add, as JSON text; NULL: null. Java reads objects by the class name in their
    // member "@class", and as a map where there is none.
    const char *payload;
    // The payload's members that are text, numbers or true/false, as text, without "@class"; and
    // those of its member "metadata", if that is an object (Dubbo's way). For registering without
    // `payload`: becomes the payload, a java.util.LinkedHashMap.
    const struct reeve_pair *metadata;
    size_t metadata_n;
    int64_t registration_time_ms; // UTC, since 1970; 0 when registering: now
    enum reeve_service_type type;
    const char *uri_spec; // as "{scheme}://{address}:{port}/x"; NULL: null
    bool disabled;        // providers do not pick it
};

// The value of a key of its metadata, or NULL.
REEVE_API const char *reeve_instance_get(const struct reeve_instance *i, const char *key);
// Its uri_spec with the variables filled in, as Curator does: scheme (https if there is an
// ssl_port), name, id, address, port, ssl-port, registration-time-utc, service-type; others give
// nothing. Cut to size n; returns the length it would need without the NUL, as snprintf does.
REEVE_API size_t reeve_instance_uri(const struct reeve_instance *i, char *text, size_t n);

// For instances that the library has given out, not for those the caller has filled in himself.
REEVE_API const struct reeve_instance *reeve_instance_keep(const struct reeve_instance *i);
REEVE_API void reeve_instance_release(const struct reeve_instance **i);

struct reeve_instances {
    const struct reeve_instance **list;
    size_t n;
    size_t bad; // how many more there are whose data is not an instance
    const struct reeve *zk;
};
// Releases all of them.
REEVE_API void reeve_instances_fini(struct reeve_instances *all);

// The JSON text of an instance, as it is registered, for reeve_realloc(zk, text, 0). BAD_ARGUMENTS:
// there is no name or id, or something is not UTF-8, payload is not JSON, uri_spec has open braces;
// NO_MEMORY.
REEVE_API enum reeve_error reeve_instance_encode(const struct reeve *zk,
                                                 const struct reeve_instance *i, char **text);
// As lenient as Curator: members it does not know are ignored, those that are missing are null.
// MALFORMED: it is not JSON, or a member has the wrong type; NO_MEMORY.
REEVE_API enum reeve_error reeve_instance_decode(const struct reeve *zk, const void *data, size_t n,
                                                 const struct reeve_instance **i);

// ---- registering and asking ---------------------------------------------------------------------

struct reeve_discovery;

enum reeve_registration {
    REEVE_REGISTERED,         // it is there (again)
    REEVE_REGISTRATION_LOST,  // the session is over; it is registered again with the next one
    REEVE_REGISTRATION_FAILED // see `error`; tried again when the connection is next made
};

struct reeve_discovery_options {
    // What becomes of registrations, after the first `done`. May be NULL.
    void (*changed)(void *ctx, const struct reeve_instance *i, enum reeve_registration what,
                    enum reeve_error error);
    void *ctx;
    // Who may do what with the nodes that are made, missing parents included; NULL: everybody
    // everything. Copied. BAD_ARGUMENTS: a list without entries.
    const struct reeve_acl *acl;
    size_t acl_n;
};

// base: a path. The options are copied. BAD_ARGUMENTS, NO_MEMORY.
REEVE_API enum reeve_error reeve_discovery_new(struct reeve_discovery **d, struct reeve *zk,
                                               const char *base,
                                               const struct reeve_discovery_options *o);
// What it has registered is unregistered in the background. Any thread. A STATIC instance that is
// registered elsewhere under the same id just then may go with it.
REEVE_API void reeve_discovery_free(struct reeve_discovery **d);

typedef void reeve_discovery_fn(void *ctx, enum reeve_error e);
typedef void reeve_instances_fn(void *ctx, enum reeve_error e, const struct reeve_instances *all);

// Registers, and keeps it registered until it is unregistered: also through lost connections and
// sessions. An older node of that name and id (from a session before) is replaced. `done` comes
// when it is there for the first time, or could not be made (then nothing is kept); *id, if id is
// not NULL, is a copy of its id. Registering an id again is an update. BAD_ARGUMENTS (see encode),
// UNIMPLEMENTED, NO_AUTH, NO_MEMORY, CANCELLED (unregistered meanwhile), CLOSED; SESSION_EXPIRED,
// AUTH_FAILED: the client will have no other session.
REEVE_API enum reeve_error reeve_discovery_register_async(struct reeve_discovery *d,
                                                          const struct reeve_instance *i,
                                                          char id[64], reeve_discovery_fn *done,
                                                          void *ctx);
REEVE_API enum reeve_error reeve_discovery_register(struct reeve_discovery *d,
                                                    const struct reeve_instance *i, char id[64]);
// Other data for what is registered under the same name and id. NO_NODE: nothing is.
REEVE_API enum reeve_error reeve_discovery_update_async(struct reeve_discovery *d,
                                                        const struct reeve_instance *i,
                                                        reeve_discovery_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_discovery_update(struct reeve_discovery *d,
                                                  const struct reeve_instance *i);
// NO_NODE: nothing is registered here under that name and id.
REEVE_API enum reeve_error reeve_discovery_unregister_async(struct reeve_discovery *d,
                                                            const char *name, const char *id,
                                                            reeve_discovery_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_discovery_unregister(struct reeve_discovery *d, const char *name,
                                                      const char *id);

// All instances of a service, in the order of their ids, as the server has them now. A service that
// does not exist has none. In the callback `all` is borrowed (reeve_instance_keep); otherwise the
// caller's, for reeve_instances_fini(), whatever came out.
REEVE_API enum reeve_error reeve_discovery_find_async(struct reeve_discovery *d, const char *name,
                                                      reeve_instances_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_discovery_find(struct reeve_discovery *d, const char *name,
                                                struct reeve_instances *all);
// One of them; NO_NODE, MALFORMED.
REEVE_API enum reeve_error reeve_discovery_find_one(struct reeve_discovery *d, const char *name,
                                                    const char *id,
                                                    const struct reeve_instance **i);
// The names of all services: r->children, in no order.
REEVE_API enum reeve_error reeve_discovery_names_async(struct reeve_discovery *d,
                                                       reeve_done_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_discovery_names(struct reeve_discovery *d, struct reeve_result *r);

// ---- providers ----------------------------------------------------------------------------------

struct reeve_provider;

enum reeve_balance {
    REEVE_ROUND_ROBIN,
    REEVE_RANDOM,
    REEVE_WEIGHTED // random, in the proportion of the instances' weights
};

// Zero means the default.
struct reeve_provider_options {
    enum reeve_balance balance;
    bool sticky;            // the same one as long as it is there and not failing
    const char *weight_key; // of metadata, a number from 0 to 1,000,000: "weight"; without it: 1
    // Curator's DownInstancePolicy: an instance with so many errors is not picked until so long
    // after the first of them.
    uint32_t down_errors; // 2
    int64_t down_ms;      // 30,000
    // When all are failing: the one whose last error is longest ago, instead of none.
    bool least_failing;
    // Something has changed: instances, or whether it is stale. On the loop's thread.
    void (*changed)(void *ctx, struct reeve_provider *p);
    void *ctx;
    uint64_t seed; // of random picks: from the client
};

// Begins to follow a service. BAD_ARGUMENTS, NO_MEMORY, CLOSED. The options are copied.
REEVE_API enum reeve_error reeve_provider_new(struct reeve_provider **p, struct reeve *zk,
                                              const char *base, const char *service,
                                              const struct reeve_provider_options *o);
// `changed` is not called any more once this returns (on the loop's thread; elsewhere a call may be
// under way). Any thread; threads inside other calls must have left.
REEVE_API void reeve_provider_free(struct reeve_provider **p);

// Waits until the service's instances were read for the first time. OPERATION_TIMEOUT (timeout_ms
// -1: no limit), CLOSED, WRONG_THREAD, or why they cannot be read (NO_AUTH, ...).
REEVE_API enum reeve_error reeve_provider_wait(struct reeve_provider *p, int64_t timeout_ms);
// Picks one, from what is known now; never waits. NO_NODE: there is none that can be picked.
REEVE_API enum reeve_error reeve_provider_get(struct reeve_provider *p,
                                              const struct reeve_instance **i);
// All that could be picked, in the order of their ids; for reeve_instances_fini(). NO_MEMORY.
REEVE_API enum reeve_error reeve_provider_all(struct reeve_provider *p,
                                              struct reeve_instances *all);
// The caller could not use this instance.
REEVE_API void reeve_provider_note_error(struct reeve_provider *p, const struct reeve_instance *i);
// The state may be behind: nothing was read yet, there is no connection, or reading failed (`why`
// says how; may be NULL). What was known last is kept and picked from meanwhile.
REEVE_API bool reeve_provider_stale(struct reeve_provider *p, enum reeve_error *why);

#ifdef __cplusplus
}
#endif
