// SPDX-License-Identifier: Apache-2.0
//
// What the shell prints. Results go to standard output, as text or (--json) as one JSON value per
// line; sentences about what went wrong go to standard error. Colours only where a terminal is.
//
// Only the main thread prints.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#include "cli/mem.h"
#include "reeve/reeve.h"

enum out_color { OUT_PLAIN, OUT_RED, OUT_GREEN, OUT_YELLOW, OUT_BLUE, OUT_DIM, OUT_BOLD };
enum out_encoding { OUT_TEXT, OUT_BASE64, OUT_HEX, OUT_RAW };

struct out {
    FILE *to, *err;
    bool json;
    bool color, err_color;       // each is a terminal, and colours are not switched off
    bool terminal, err_terminal; // control characters are never sent to one
    bool redraws, err_redraws;   // a terminal that can replace what it shows
    bool progress;               // a line of progress stands on err
    int64_t progress_ms;         // when it was written
};

enum out_colors { OUT_COLOR_AUTO, OUT_COLOR_ALWAYS, OUT_COLOR_NEVER };
void out_init(struct out *o, FILE *to, FILE *err, bool json, enum out_colors colors);

void out_printf(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// v in one line without its newline, for a terminal without what that would obey. To be freed;
// NULL: it cannot be written.
char *out_json_text(bool terminal, const json_t *v);
// One line; takes v over. In JSON mode commands call this instead of out_printf().
void out_json(struct out *o, json_t *v);
// "reeve: " and a sentence and a newline on standard error.
void out_error(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// A note on standard error that is no error: without "reeve: ", dim. Control characters are
// escaped in both.
void out_note(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Replaces the line of progress on standard error, if that is a terminal and the last one was not
// just written; NULL takes it away. What else is printed takes it away first.
void out_progress(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void out_flush(struct out *o);

// The sequences that begin and end a colour on standard output, "" where there is none.
const char *out_color(const struct out *o, enum out_color c);
const char *out_color_end(const struct out *o);
// s as it may be printed: on a terminal control characters and what is not UTF-8 are escaped.
// Valid until the text is changed; s itself where nothing is to be changed.
const char *out_safe(const struct out *o, const char *s, struct string *room);
// The same where lines are told apart: a stranger's newline would make one of its own, also in a
// file or pipe.
const char *out_line(const struct out *o, const char *s, struct string *room);

// Data and a newline: as text (escaped where it is not UTF-8; "null" for NULL), as base64, as a
// hexadecimal dump; RAW: the bytes and nothing else.
void out_data(struct out *o, const void *p, size_t n, enum out_encoding e);
// Sets "data" and "encoding" of obj: "utf-8", "base64" (also where TEXT is asked for and it is not
// UTF-8), "hex"; NULL: null and "null".
void out_json_data(json_t *obj, const void *p, size_t n, enum out_encoding e);

// The eleven lines of Apache's shell.
void out_stat(struct out *o, const struct reeve_stat *s);
json_t *out_json_stat(const struct reeve_stat *s);

// A JSON string of text that should be UTF-8; escaped where it is not.
json_t *out_json_string(const char *s);
// "cdrwa", Apache's order. Returns text.
char *out_perms(int32_t perms, char text[8]);
json_t *out_json_acl(const struct reeve_acl *acl, size_t n);
