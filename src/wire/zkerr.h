// SPDX-License-Identifier: Apache-2.0
//
// enum zkerr: what a client is told. Data in results, never a failure of ours.
#pragma once

#include <stdint.h>

enum zkerr {
#define ZKERR(name, code) ZK_##name = (code),
#include "wire/zkerr.def"
#undef ZKERR
};

// "NONODE", or "?" for a code that is not in the table.
const char *zkerr_name(int32_t code);
