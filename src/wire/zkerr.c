// SPDX-License-Identifier: Apache-2.0
#include "wire/zkerr.h"

const char *zkerr_name(int32_t code)
{
    switch (code) {
#define ZKERR(name, value) \
    case value:            \
        return #name;
#include "wire/zkerr.def"
#undef ZKERR
    default:
        return "?";
    }
}
