// SPDX-License-Identifier: Apache-2.0
//
// See base.h. Out of memory is fatal here: a load tool without memory measures nothing.
#include "base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

void bench_fatal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fputs("reeve-bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

uint64_t bench_files_limit_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1024;
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}

void bench_bytes_fini(struct bytes *b)
{
    free(b->at);
    *b = (struct bytes){0};
}

uint8_t *bench_bytes_reserve(struct bytes *b, size_t n)
{
    if (b->from == b->len) {
        b->from = 0;
        b->len = 0;
    }
    if (b->cap - b->len >= n) {
        return b->at + b->len;
    }
    if (b->from > 0) {
        memmove(b->at, b->at + b->from, b->len - b->from);
        b->len -= b->from;
        b->from = 0;
    }
    if (b->cap - b->len < n) {
        size_t cap = b->cap < 512 ? 512 : b->cap;
        while (cap - b->len < n) {
            cap *= 2;
        }
        b->at = realloc(b->at, cap);
        if (b->at == NULL) {
            bench_fatal("out of memory for a buffer of %zu bytes", cap);
        }
        b->cap = cap;
    }
    return b->at + b->len;
}

void bench_bytes_put(struct bytes *b, const void *p, size_t n)
{
    if (n == 0) {
        return;
    }
    memcpy(bench_bytes_reserve(b, n), p, n);
    b->len += n;
}

void bench_bytes_put32(struct bytes *b, uint32_t v)
{
    put32(bench_bytes_reserve(b, 4), v);
    b->len += 4;
}

void bench_bytes_put64(struct bytes *b, uint64_t v)
{
    put64(bench_bytes_reserve(b, 8), v);
    b->len += 8;
}

void bench_bytes_put_string(struct bytes *b, const void *p, size_t n)
{
    bench_bytes_put32(b, (uint32_t)n);
    bench_bytes_put(b, p, n);
}

void bench_bytes_consume(struct bytes *b, size_t n)
{
    must(n <= bench_bytes_left(b));
    b->from += n;
    if (b->from == b->len) {
        b->from = 0;
        b->len = 0;
    }
}
