// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <libdeflate.h>

// Folded multiplication: the high and the low half of a 128-bit product, xored.
static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t load(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

uint64_t hash_bytes(uint64_t seed, struct slice s)
{
    uint64_t h = seed ^ (s.n * 0x9e3779b97f4a7c15u);
    const uint8_t *p = s.p;
    size_t n = s.n;
    while (n > 16) {
        h = fold(load(p, 8) ^ 0xa0761d6478bd642fu, load(p + 8, 8) ^ h);
        p += 16;
        n -= 16;
    }
    uint64_t a = n > 8 ? load(p, 8) : 0;
    uint64_t b = n > 8 ? load(p + 8, n - 8) : n ? load(p, n) : 0;
    h = fold(a ^ 0xe7037ed1a0b428dbu, b ^ h);
    return fold(h ^ 0x8ebc6af09c88c6e3u, 0x589965cc75374cc3u ^ s.n);
}

uint32_t hash_adler32(uint32_t sum, struct slice s)
{
    return s.n ? libdeflate_adler32(sum, s.p, s.n) : sum;
}

uint32_t hash_crc32(uint32_t sum, struct slice s)
{
    return s.n ? libdeflate_crc32(sum, s.p, s.n) : sum;
}
