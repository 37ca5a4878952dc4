// SPDX-License-Identifier: Apache-2.0
//
// Who a connection is: client-protocol.md 4.5. A list of identities is one immutable block of
// memory; an auth packet makes a new one. So a request may keep the list it came with while the
// connection already has a longer one.
#pragma once

#include "base/buf.h"
#include "env.h"
#include "tree/acl.h"

struct auth_config {
    bool digest_enabled;
    const char *digest_alg;    // Java's or OpenSSL's name
    const char *super_digest;  // NULL: none
    const char *ensemble_name; // comma list, NULL: provider not loaded
    size_t bytes_max;          // longest block: identities are never removed
};

enum auth_result {
    AUTH_OK,
    AUTH_FAILED, // answered, then the connection closes
    AUTH_CLOSE   // closes without an answer
};

// A peer's address as Java writes it: 127.0.0.1, 0:0:0:0:0:0:0:1.
void auth_addr_fmt(const struct net_addr *addr, struct buf *b);

struct auth *auth_new(const struct net_addr *peer); // ip:<address>; freed with mem_free
// *added: the longer list, or NULL if the packet adds nothing. The old one stays the caller's.
enum auth_result auth_packet_apply(const struct auth_config *cfg, const struct auth *old,
                                   struct slice scheme, struct slice data, struct auth **added);
// Any identity of one of the schemes (comma list)?
bool auth_has_scheme(const struct auth *a, const char *schemes);
// The name whoAmI shows.
struct slice auth_user(const struct zk_id *id);
// Does the comma list contain the word? Blanks around words do not count.
bool auth_list_has(const char *list, struct slice word);
