// SPDX-License-Identifier: Apache-2.0
//
// Hashing for tables (keyed with a random seed, since clients choose the names) and the two
// checksums of ZooKeeper's formats: Adler-32 over log records and snapshots, CRC-32 in tree
// digests.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

uint64_t hash_bytes(uint64_t seed, struct slice s);

// Both continue from `sum`; start with HASH_ADLER_INIT and HASH_CRC_INIT.
#define HASH_ADLER_INIT 1u
#define HASH_CRC_INIT   0u
uint32_t hash_adler32(uint32_t sum, struct slice s);
uint32_t hash_crc32(uint32_t sum, struct slice s);
