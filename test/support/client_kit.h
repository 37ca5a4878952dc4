// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the client library share: an allocator that counts and fails when told to, and
// the recorded conversations of test/golden/client-golden.jsonl as requests and answers.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "reeve/reeve.h"

// ---- memory -----------------------------------------------------------------------------------

struct kit_memory {
    int left; // allocations that still succeed; -1: all
    int asked, live;
};

// Moves a block at every reallocation, so that stale pointers are found.
struct reeve_allocator kit_allocator(struct kit_memory *m);

// ---- golden vectors ---------------------------------------------------------------------------

struct golden {
    char *line;
    char name[160]; // "group/seq name"
    struct buf request, response;
    const char *decoded; // the fields of the response; NULL: none
    bool v38;            // 3.8.0 answered so
};

// The next vector with a request; false at the end of the file. Start with two zeroed structs.
struct golden_file {
    void *file;
};
bool golden_next(struct golden_file *f, struct golden *g);
void golden_fini(struct golden *g);

// The vector's request as one of ours; false if there is no such request of ours. `want` gets the
// frame that ours must become: the vector's, but that the library asks create2 and getChildren2
// where the vector has a create or getChildren.
bool golden_request(const struct golden *g, struct arena *a, struct reeve_request *q,
                    struct buf *want);
// The fields that the vector names are those of the result (cmocka fails if not). Returns how many
// were compared.
int golden_expect(const struct golden *g, const struct reeve_result *r);
