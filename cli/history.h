// SPDX-License-Identifier: Apache-2.0
//
// The lines of this run, numbered from 0, for `history` and `redo`. The line editor's history,
// which is kept in a file, is another one (line.h). The last HISTORY_MAX lines are kept.
#pragma once

#include <stddef.h>

enum { HISTORY_MAX = 1000 };

struct history;
struct history *history_new(void);
void history_free(struct history **h);
void history_add(struct history *h, const char *line);
void history_replace_last(struct history *h, const char *line);
size_t history_count(const struct history *h);                   // the number the next line gets
const char *history_get(const struct history *h, size_t number); // NULL: not kept
