// SPDX-License-Identifier: Apache-2.0
//
// What every file of the load tool needs: big-endian integers, the clock, a byte buffer, and the
// one way to give up. The tool is a client of any server that speaks the protocol, so it shares no
// code with the server: a mistake in the server's codec must not hide in the tool that measures it.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

// A bug in this tool. Stays on in release builds.
#define must(x) ((x) ? (void)0 : bench_fatal("bug: %s:%d: %s", __FILE__, __LINE__, #x))

// Prints one line on stderr and exits with status 1. The tool has nothing to save: a run that went
// wrong has no result.
void bench_fatal(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

// Raises the limit of open files to what the system allows; returns it.
uint64_t bench_files_limit_raise(void);

static inline uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline void put32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}

static inline void put64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof v);
}

static inline uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

// Bytes with an owner: what is not yet consumed lies between `from` and `len`.
struct bytes {
    uint8_t *at;
    size_t from;
    size_t len;
    size_t cap;
};

void bench_bytes_fini(struct bytes *b);
// Makes room for n more bytes and returns where they go; the caller adds to len what it used.
uint8_t *bench_bytes_reserve(struct bytes *b, size_t n);
void bench_bytes_put(struct bytes *b, const void *p, size_t n);
void bench_bytes_put32(struct bytes *b, uint32_t v);
void bench_bytes_put64(struct bytes *b, uint64_t v);
// A jute string or buffer: length, then the bytes.
void bench_bytes_put_string(struct bytes *b, const void *p, size_t n);
// Drops n bytes at the front.
void bench_bytes_consume(struct bytes *b, size_t n);

static inline size_t bench_bytes_left(const struct bytes *b)
{
    return b->len - b->from;
}

// xorshift64*: the tool's own random numbers, so that a run can be repeated with its seed.
struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
    uint64_t x = r->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    r->state = x;
    return x * 0x2545f4914f6cdd1du;
}

// 0 .. n-1; n > 0. The bias of the multiply is below n / 2^32.
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
    return (uint32_t)(((rng_next(r) >> 32) * n) >> 32);
}
