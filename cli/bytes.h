// SPDX-License-Identifier: Apache-2.0
//
// Bytes as text: escaped, base64, a dump in hexadecimal; and back from base64.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/mem.h"

// Whether it is UTF-8 (no surrogates, no longer form than needed).
bool bytes_are_utf8(const void *p, size_t n);
// Whether there are control characters other than newline and tab, or marks that turn text around.
bool bytes_have_control(const void *p, size_t n);

// What is not UTF-8 or one of those as \xNN, a backslash doubled.
void bytes_escape(struct string *t, const void *p, size_t n);
// JSON that means the same, with those of them as \uNNNN that JSON lets stand as they are.
void bytes_escape_json(struct string *t, const char *json);

void bytes_base64(struct string *t, const void *p, size_t n);
// Appends what base64 text stands for. False: it is none, and nothing is appended.
bool bytes_from_base64(struct string *t, const char *s);

// Lines of 16 bytes with a frame, as `get -x` of Apache's shell shows them, without the last
// newline. Nothing for no bytes.
void bytes_hexdump(struct string *t, const void *p, size_t n);
void bytes_hex(struct string *t, const void *p, size_t n); // "00ff"
