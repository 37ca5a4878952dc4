// SPDX-License-Identifier: Apache-2.0
//
// From the one struct config of the operator to what each part wants to know.
#pragma once

#include "disk/disk.h"
#include "env.h"
#include "node/config.h"
#include "serve/serve.h"
#include "tree/tree.h"

void settings_tree(const struct config *c, uint64_t seed, struct tree_config *t);
void settings_disk(const struct config *c, struct disk_config *d);
// Texts in *s point into c; the version text is the caller's.
void settings_serve(const struct config *c, uint64_t seed, const char *version,
                    struct serve_config *s);
// Where to listen. ERR_INVALID: clientPortAddress is not an IP address.
must_check enum err settings_client_addr(const struct config *c, struct net_addr *at);
