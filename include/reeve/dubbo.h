// SPDX-License-Identifier: Apache-2.0
//
// Dubbo's registry at interface level: what its ZookeeperRegistry reads and writes, so that C
// programs offer services to Java consumers and find Java providers.
//
// Layout: <root>/<service>/{providers,consumers,configurators,routers}/<URL>, the service's name
// and the URL encoded as Java's URLEncoder does. The parents are persistent, the leaves ephemeral
// (persistent with the parameter dynamic=false); nobody reads the leaves' data. The application
// level (/services/<app>/<host:port>) is Curator's layout with Dubbo's payload, an object with the
// members @class (org.apache.dubbo.registry.zookeeper.ZookeeperInstance), id, name and metadata:
// discovery.h reads and writes it.
//
// What is guaranteed: a registered URL is there while the program's session lives, and again after
// lost sessions; a subscription tells every list of providers that lasts. What is not: a provider
// in the list may have died up to a session timeout ago. While the registry cannot be asked, the
// last list is kept and `stale` is set, as Dubbo keeps its last notification.
//
// Threads, memory, errors: as in reeve.h; callbacks come on the loop's thread. Objects are freed,
// and URLs released, before reeve_close().
#pragma once

#include "reeve/discovery.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- URLs ---------------------------------------------------------------------------------------

// The parts of protocol://user:password@host:port/path?key=value&... What is missing is NULL or 0.
struct reeve_dubbo_url {
    const char *protocol, *username, *password, *host;
    int32_t port;
    const char *path; // without the slash before it: the service
    const struct reeve_pair *params;
    size_t params_n;
};

// Parses a URL, not encoded, as Dubbo's URLStrParser does; keys that begin with "default." give
// their short names, too. MALFORMED: no URL; NO_MEMORY. For reeve_dubbo_url_release().
REEVE_API enum reeve_error reeve_dubbo_url_parse(const struct reeve *zk, const char *text,
                                                 const struct reeve_dubbo_url **u);
REEVE_API const struct reeve_dubbo_url *reeve_dubbo_url_keep(const struct reeve_dubbo_url *u);
REEVE_API void reeve_dubbo_url_release(const struct reeve_dubbo_url **u);
// As Dubbo's toFullString(): parameters in the order of their keys. For reeve_realloc(zk, text, 0).
REEVE_API enum reeve_error reeve_dubbo_url_format(const struct reeve *zk,
                                                  const struct reeve_dubbo_url *u, char **text);
// The value of a parameter, or NULL; and the one for a method ("sayHello.weight" before "weight").
REEVE_API const char *reeve_dubbo_url_param(const struct reeve_dubbo_url *u, const char *key);
REEVE_API const char *reeve_dubbo_url_method_param(const struct reeve_dubbo_url *u,
                                                   const char *method, const char *key);
// The service: the parameter "interface", or else the path. NULL: none.
REEVE_API const char *reeve_dubbo_url_service(const struct reeve_dubbo_url *u);
// Whether a consumer wants this provider: interface, category, enabled, group, version, classifier.
REEVE_API bool reeve_dubbo_url_matches(const struct reeve_dubbo_url *consumer,
                                       const struct reeve_dubbo_url *provider);
// A provider's weight at that time (UTC): the parameter weight (100), less while it warms up, that
// is for `warmup` (600,000 ms) after its timestamp. As Dubbo's AbstractLoadBalance computes it.
REEVE_API int32_t reeve_dubbo_url_weight(const struct reeve_dubbo_url *u, const char *method,
                                         int64_t now_ms);

// ---- registering --------------------------------------------------------------------------------

struct reeve_dubbo;

struct reeve_dubbo_options {
    const char *root; // "/dubbo", Dubbo's registry parameter `group`
    // Who may do what with the nodes that are made, missing parents included; NULL: everybody
    // everything. Copied. BAD_ARGUMENTS: a list without entries.
    const struct reeve_acl *acl;
    size_t acl_n;
};

// BAD_ARGUMENTS: root is no path; NO_MEMORY. Nothing is asked of the servers yet.
REEVE_API enum reeve_error reeve_dubbo_new(struct reeve_dubbo **d, struct reeve *zk,
                                           const struct reeve_dubbo_options *o);
// What it has registered is unregistered in the background. Any thread.
REEVE_API void reeve_dubbo_free(struct reeve_dubbo **d);

// Registers a URL under its service and category (its parameter; providers), and keeps it there.
// For a consumer: consumer://host/service?category=consumers&... BAD_ARGUMENTS: it has no service,
// protocol or host; NO_AUTH, NO_MEMORY, CANCELLED, CLOSED.
REEVE_API enum reeve_error reeve_dubbo_register_async(struct reeve_dubbo *d,
                                                      const struct reeve_dubbo_url *u,
                                                      reeve_discovery_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_dubbo_register(struct reeve_dubbo *d,
                                                const struct reeve_dubbo_url *u);
// NO_NODE: it is not registered here.
REEVE_API enum reeve_error reeve_dubbo_unregister_async(struct reeve_dubbo *d,
                                                        const struct reeve_dubbo_url *u,
                                                        reeve_discovery_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_dubbo_unregister(struct reeve_dubbo *d,
                                                  const struct reeve_dubbo_url *u);

// ---- subscribing --------------------------------------------------------------------------------

struct reeve_dubbo_subscription;

struct reeve_dubbo_notice {
    const char *category;
    const struct reeve_dubbo_url *const *urls; // those that match the consumer; keep what you need
    size_t urls_n;
    size_t bad; // names that are no URLs
    bool empty; // there are none at the server (Dubbo's empty://). With keep_last, urls has the
                // ones from before
    bool stale; // this may be behind: the registry cannot be asked
    enum reeve_error why; // why it cannot, if that is not the connection
};
typedef void reeve_dubbo_fn(void *ctx, const struct reeve_dubbo_notice *n);

// Follows the categories of the consumer's parameter `category` (a list with commas, "*": all four;
// providers). fn is called for each category when it was read first and at each change. keep_last:
// a list of providers that becomes empty leaves the last one in use (Dubbo's
// enable-empty-protection). Nothing is written.
REEVE_API enum reeve_error reeve_dubbo_subscribe(struct reeve_dubbo_subscription **s,
                                                 struct reeve_dubbo *d,
                                                 const struct reeve_dubbo_url *consumer,
                                                 bool keep_last, reeve_dubbo_fn *fn, void *ctx);
// fn is not called any more once this returns (on the loop's thread; elsewhere a call may be under
// way). Any thread. A subscription is independent of its reeve_dubbo's end.
REEVE_API void reeve_dubbo_unsubscribe(struct reeve_dubbo_subscription **s);
// A provider by weighted random choice, Dubbo's default, from any thread. For release. NO_NODE.
REEVE_API enum reeve_error reeve_dubbo_pick(struct reeve_dubbo_subscription *s, const char *method,
                                            const struct reeve_dubbo_url **u);

#ifdef __cplusplus
}
#endif
