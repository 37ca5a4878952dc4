// SPDX-License-Identifier: Apache-2.0
//
// What reading and writing of the ensemble's files share.
#pragma once

#include "env.h"

// A whole file, appended to *text. Blocking. ERR_LIMIT: longer than max; no message is written.
must_check enum err dynconfig_read_file(struct env *env, const char *path, size_t max,
                                        struct buf *text);
