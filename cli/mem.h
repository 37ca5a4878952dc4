// SPDX-License-Identifier: Apache-2.0
//
// Memory of the shell, and a text that grows. The shell is a program for one user: when there is no
// memory it says so and ends, so nothing here returns NULL (text_of() and mem_copy() of nothing
// excepted). Everything is freed with free().
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

void *mem_alloc(size_t n); // zeroed
void *mem_grow(void *p, size_t n);
char *mem_dup(const char *s); // NULL gives NULL
char *mem_dup_n(const char *s, size_t n);

// Text that grows; `s` always ends in NUL once something was added. {0} is an empty one.
struct text {
    char *s;
    size_t len, cap;
};

void text_add(struct text *t, const char *s);
void text_add_n(struct text *t, const void *p, size_t n);
void text_add_char(struct text *t, char c);
void text_addf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_addv(struct text *t, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void text_cut(struct text *t, size_t len); // to len bytes
const char *text_of(const struct text *t); // "" when nothing was added
void text_fini(struct text *t);
