// SPDX-License-Identifier: Apache-2.0
//
// What may be said of a node's name, and sizes, sessions and times as people write them.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/mem.h"

// Whether the server numbered it: ten digits at the end.
bool name_is_sequential(const char *name);
// The last component, "/" of the root. Points into path.
const char *path_name(const char *path);
// Whether path is top or below it.
bool path_is_in(const char *path, const char *top);

// "512", "1.5K", "20.0M". Returns text.
char *human_size(char text[16], uint64_t bytes);
// A session's id as shells print it: with or without 0x, hexadecimal.
bool parse_session(const char *s, int64_t *id);
// Seconds with a fraction, as milliseconds.
bool parse_seconds(const char *s, int64_t *ms);
