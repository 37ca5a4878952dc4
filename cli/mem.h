// SPDX-License-Identifier: Apache-2.0
//
// Memory of the shell, and a text that grows. The shell is a program for one user: when there is no
// memory it says so and ends, so nothing here returns NULL (string_of() and mem_copy() of nothing
// excepted). Everything is freed with free().
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

void *cli_alloc(size_t n); // zeroed
void *cli_grow(void *p, size_t n);
char *cli_dup(const char *s); // NULL gives NULL
char *cli_dup_n(const char *s, size_t n);

// Text that grows; `s` always ends in NUL once something was added. {0} is an empty one.
struct string {
    char *s;
    size_t len, cap;
};

void string_add(struct string *t, const char *s);
void string_add_n(struct string *t, const void *p, size_t n);
void string_add_char(struct string *t, char c);
void string_addf(struct string *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void string_addv(struct string *t, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
void string_cut(struct string *t, size_t len); // to len bytes
const char *string_of(const struct string *t); // "" when nothing was added
void string_fini(struct string *t);
