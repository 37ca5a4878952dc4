// SPDX-License-Identifier: Apache-2.0
//
// The replicated session table: id -> timeout as created. Part of the database, in snapshots.
// Expiry is not here (serve/expiry.h): it is a matter of clocks, this of transactions.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session_table;

struct session_table *session_table_new(uint64_t seed);
void session_table_free(struct session_table **t);
void session_put(struct session_table *t, int64_t id, int32_t timeout_ms);
void session_del(struct session_table *t, int64_t id);
bool session_get(const struct session_table *t, int64_t id,
                 int32_t *timeout_ms); // timeout may be NULL
size_t session_count(const struct session_table *t);
// Iteration: *cursor starts at 0; false at the end. The table must not change meanwhile.
bool session_next(const struct session_table *t, size_t *cursor, int64_t *id, int32_t *timeout_ms);
