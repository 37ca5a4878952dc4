// SPDX-License-Identifier: Apache-2.0
#include "wire/ops.h"

#include <stddef.h>

#include "wire/records.h"

static const struct op_info rows[] = {
#define OP(name, code, kind, record, lop) {code, OP_KIND_##kind, &record_##record, #name, lop},
#include "wire/ops.def"
#undef OP
};

enum {
#define OP(name, code, kind, record, lop) ROW_##name,
#include "wire/ops.def"
#undef OP
};

const struct op_info *op_find(int32_t code)
{
    switch (code) {
#define OP(name, value, kind, record, lop) \
    case value:                            \
        return &rows[ROW_##name];
#include "wire/ops.def"
#undef OP
    default:
        return NULL;
    }
}
