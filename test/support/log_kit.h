// SPDX-License-Identifier: Apache-2.0
//
// Log files for tests, made by hand: any zxids in any order.
#pragma once

#include "test/support/fake_env.h"

// (e,c)
#define ZX(e, c) ((int64_t)(e) << 32 | (c))

void log_kit_header(struct buf *b);
void log_kit_records(struct buf *b, int64_t first, int64_t last); // dkit_entry of each
// A file with these ranges of zxids, one behind the other; a list of pairs that ends with -1.
void log_kit_plant(struct fake_env *f, const char *path, const int64_t *ranges);
#define LOG_KIT_PLANT(f, path, ...) log_kit_plant(f, path, (const int64_t[]){__VA_ARGS__, -1})
