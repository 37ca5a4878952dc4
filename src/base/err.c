// SPDX-License-Identifier: Apache-2.0
//
// Texts of failures, and the end of the line for bugs.
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

const char *err_text(enum err e)
{
    static const char *const texts[] = {
#define ERR(name, text) [ERR_##name] = text,
#include "base/err.def"
#undef ERR
    };
    _Static_assert(sizeof(texts) / sizeof(texts[0]) == ERR_COUNT, "one text per failure");
    return (unsigned)e < ERR_COUNT ? texts[e] : "unknown failure";
}

_Noreturn void must_fail(const char *what, const char *file, int line)
{
    fprintf(stderr,
            "BUG %s:%d: must(%s) does not hold; stopping (a server has every answered write in its "
            "log)\n",
            file, line, what);
    abort();
}
