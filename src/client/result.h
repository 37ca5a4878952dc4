// SPDX-License-Identifier: Apache-2.0
//
// Results that live on: one piece of memory with everything a result points to, and the allocator
// that gave it, so that it can be freed when the client is gone.
#pragma once

#include "client/alloc.h"

// reeve_result_copy() (waits.c) is this with the client's allocator. NO_MEMORY: `to` says so, and
// has nothing to be freed.
enum reeve_error result_copy(const struct reeve_allocator *a, struct reeve_result *to,
                             const struct reeve_result *r);
