// SPDX-License-Identifier: Apache-2.0
//
// Splits a line into words, and quotes a word so that splitting gives it back.
//
// Apache's shell takes a quote for one only where a word begins, so that people write
// `create /a {"port":80}` without quoting. This is kept: a quote is special at the beginning of a
// word and directly behind a closing quote; anywhere else it is a character like others. Within
// quotes a word goes on to the same quote. A backslash stands for the space, tab, quote, backslash
// or # behind it, except between single quotes; before any other character it is just a backslash.
// A line whose first character is # is a comment.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum words_error { WORDS_OK, WORDS_OPEN_QUOTE };

// Words of a line, each memory of its own, and NULL behind the last.
struct words {
    char **word;
    int n;
};

// The words of line, none if it is empty or a comment. OPEN_QUOTE: a quote is not closed, and
// nothing is given.
enum words_error words_split(const char *line, struct words *w);
void words_fini(struct words *w);

// The word at the end of a line that is being written, for completion.
struct words_tail {
    int index;    // how many words stand before it
    size_t start; // where it begins in the line, with its quote
    char quote;   // the quote that is open, or 0
    char *word;   // without quotes and backslashes; to be freed
    char *first;  // the line's first word if index > 0, else NULL; to be freed
};
void words_tail(const char *line, size_t len, struct words_tail *t);
void words_tail_fini(struct words_tail *t);

// word as it must be written on a line; quote: within this open quote (not closed), 0: with
// backslashes. To be freed.
char *words_quote(const char *word, char quote);
