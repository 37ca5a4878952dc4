// SPDX-License-Identifier: Apache-2.0
//
// What may stand where the cursor is: commands, options, and znodes, for which the server is asked.
#pragma once

#include <stddef.h>

struct cli;

struct completion {
    char *insert;  // what to write behind the cursor, quoted as needed; "" nothing. To be freed
    size_t cut;    // bytes before the cursor that `insert` replaces
    char **choice; // when there is more than one, sorted; each to be freed
    size_t n;
};

enum { COMPLETE_WAIT_MS = 1000 }; // for the server; later there is just no completion

// line: the bytes before the cursor.
void complete(struct cli *c, const char *line, size_t len, struct completion *out);
void completion_fini(struct completion *out);
