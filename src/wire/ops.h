// SPDX-License-Identifier: Apache-2.0
//
// Opcodes of requests and types of transactions (the same numbers), as a table. See ops.def.
#pragma once

#include <stdint.h>

enum op {
#define OP(name, code, kind, record, lop) OP_##name = (code),
#include "wire/ops.def"
#undef OP
};

enum op_kind {
    OP_KIND_NONE,
    OP_KIND_READ,
    OP_KIND_WRITE,
    OP_KIND_SESSION,
    OP_KIND_IO,
    OP_KIND_INTERNAL
};

struct record_type;
struct op_info {
    int32_t code;
    enum op_kind kind;
    const struct record_type *request; // NULL: no fixed record
    const char *name;                  // "GET_DATA"
    const char *lop;                   // "GETD"
};

// The row of an opcode, NULL for an unknown one.
const struct op_info *op_find(int32_t code);
