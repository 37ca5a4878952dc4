// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <libdeflate.h>

// Folded multiplication: the high and the low half of a 128-bit product, xored.
static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t load8(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint64_t load4(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

// The last 1 to 16 bytes as two words. The loads overlap instead of having a length of their own,
// so each is one instruction; different bytes of one length still give different words.
static inline void load_tail(const uint8_t *p, size_t n, uint64_t *a, uint64_t *b)
{
    if (n >= 8) {
        *a = load8(p);
        *b = load8(p + n - 8);
    } else if (n >= 4) {
        *a = load4(p);
        *b = load4(p + n - 4);
    } else {
        *a = n ? (uint64_t)p[0] << 16 | (uint64_t)p[n / 2] << 8 | p[n - 1] : 0;
        *b = 0;
    }
}

uint64_t hash_bytes(uint64_t seed, struct slice s)
{
    uint64_t h = seed ^ (s.n * 0x9e3779b97f4a7c15u);
    const uint8_t *p = s.p;
    size_t n = s.n;
    for (; n > 16; n -= 16, p += 16) {
        h = fold(load8(p) ^ 0xa0761d6478bd642fu, load8(p + 8) ^ h);
    }
    uint64_t a;
    uint64_t b;
    load_tail(p, n, &a, &b);
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
