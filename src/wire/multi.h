// SPDX-License-Identifier: Apache-2.0
//
// The body of a multi request, operation by operation: { MultiHeader, record }* and a header that
// is done. For those who need to know what is asked without deciding it (tree/prep_multi.c does
// that).
#pragma once

#include "wire/jute.h"

// The opcode of the next operation; its record is skipped. False at the end, and where the body is
// malformed (in->err). The arena holds what skipping needs.
bool multi_next(struct jute_in *in, struct arena *a, int32_t *op);
