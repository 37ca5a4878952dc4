// SPDX-License-Identifier: Apache-2.0
//
// Requests whose answer many commands print alike. The result is freed; they return the exit code.
#pragma once

#include "cli/cli.h"

// As JSON {"path": ..., "stat": {...}}; as text the stat, if it is wanted.
int outcome_stat(struct cli *c, const struct reeve_request *q, bool text);
// As JSON {"path": ..., done: true}; as text the line, nothing if it is NULL.
int outcome_done(struct cli *c, const struct reeve_request *q, const char *done, const char *line);
