// SPDX-License-Identifier: Apache-2.0
//
// enum err: the one type of failure. 0 is success, so `if (e)` reads well. See err.def for the
// rows.
#pragma once

#include "base/must.h"

enum err {
#define ERR(name, text) ERR_##name,
#include "base/err.def"
#undef ERR
    ERR_COUNT
};

// The text of a failure, for log lines. Static, never NULL.
const char *err_text(enum err e);
