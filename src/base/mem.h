// SPDX-License-Identifier: Apache-2.0
//
// Server memory. Running out is not an answer a server can give half-way through a transaction, so
// these never return NULL: the process says so and stops, and recovers from its log. (The client
// library does not use this file.)
#pragma once

#include <stddef.h>

void *mem_alloc(size_t n);
void *mem_zalloc(size_t n);
void *mem_realloc(void *p, size_t n);
char *mem_strdup(const char *s);
void mem_free(void *p);

// Grows *v (elements of `size` bytes) so that it holds at least `need`; *cap is updated.
void mem_grow(void **v, size_t *cap, size_t need, size_t size);
