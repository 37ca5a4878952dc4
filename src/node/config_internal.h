// SPDX-License-Identifier: Apache-2.0
//
// What config.c, config_servers.c and dynconfig.c share: a membership's lines, with sentences for
// whoever wrote them wrong. `why` is appended to.
#pragma once

#include "node/config.h"

// One line. Errors as members_put().
must_check enum err config_put_member(struct members *m, struct slice key, struct slice value,
                                      struct buf *why);
// All of them are there. Errors as members_end().
must_check enum err config_end_members(struct members *m, struct buf *why);
// The part of config_finish() that is about c->servers.
must_check enum err config_finish_servers(struct config *c, struct buf *warnings, struct buf *why);
