// SPDX-License-Identifier: Apache-2.0
//
// What `find` looks for: its options read, and asked of one node after the other. Everything here
// is decided by name and stat; the text that data must contain is looked for by the command, which
// reads the data of those nodes only that are left.
#pragma once

#include "cli/cli.h"

// +N more than, -N less than, N as much, in whole units rounded up (sizes) or down (ages), as
// find(1) counts.
struct find_number {
    bool given;
    int sign; // 1, -1, 0
    int64_t n, unit;
};

struct find_terms {
    const char *name, *data; // NULL: any. Borrowed from the options
    bool ephemeral;
    bool has_owner;
    int64_t owner;
    struct find_number size, age; // bytes; milliseconds since the last change of the data
};

// False: why says what is wrong.
bool find_terms_read(struct find_terms *t, const struct args *a, char *why, size_t why_size);
// st NULL: nothing is known of it. data is not looked at.
bool find_terms_match(const struct find_terms *t, const char *path, const struct reeve_stat *st,
                      int64_t now_ms);
