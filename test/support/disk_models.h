// SPDX-License-Identifier: Apache-2.0
//
// What the tree must be at each zxid, for tests that cut a disk's life short: the dumps of a run in
// which nothing happened to it. For cmocka tests: what differs fails them.
#pragma once

#include "test/support/disk_kit.h"

enum { MODELS_MAX = 260 };

extern char *models[MODELS_MAX + 1];

void models_make(int last); // of the zxids 0 to last
void models_free(void);
void models_expect(struct dkit *k, int64_t zxid); // its tree is that of zxid

// The process ends, and with power the machine; the next start must succeed.
void models_reopen(struct dkit *k, bool power);
