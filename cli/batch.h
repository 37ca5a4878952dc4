// SPDX-License-Identifier: Apache-2.0
//
// Writes gathered into one multi: all of it is done or nothing. Bounded in number and in bytes, so
// that no server refuses it for its size.
#pragma once

#include "cli/cli.h"

enum { BATCH_PARTS_MAX = 1000, BATCH_BYTES_MAX = 512 << 10 };

struct batch {
    struct reeve_request *part;
    size_t n, cap, bytes;
    size_t parts_max; // 0: BATCH_PARTS_MAX
};

// Copies all that the request points to.
void batch_add(struct batch *b, const struct reeve_request *part);
// Whether something of that size goes in; something always goes into an empty one.
bool batch_has_room(const struct batch *b, const struct reeve_request *part);
void batch_clear(struct batch *b);
void batch_fini(struct batch *b);

// OK with nothing to do. r is to be given to reeve_result_fini().
enum reeve_error batch_commit(struct cli *c, const struct batch *b, struct reeve_result *r);
// What a failed multi failed for: the part, or the multi itself.
const struct reeve_result *batch_cause(const struct reeve_result *r);
