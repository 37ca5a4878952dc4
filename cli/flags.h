// SPDX-License-Identifier: Apache-2.0
//
// Options of a command, spelled as Apache's shell spells them: `-s`, `-v 3`, `-v3`, `-sw` for
// `-s -w`, whole words behind one dash or two (`-add`, `--add`), anywhere in the line. `--` ends
// them: everything behind it is an argument. A negative number and a lone `-` are arguments.
//
// What a command knows is written in one string: names with spaces between, a colon behind those
// that want a value: "s w v: add:". Names separated by | exclude each other: "n:|b:|N:|B:".
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLAGS_MAX = 16 };

struct args {
    int n;      // arguments that are no options
    char **arg; // behind them NULL
    struct {
        const char *name; // as in the string of known ones, not ending in NUL
        size_t name_len;
        const char *value; // NULL: it takes none
    } flag[FLAGS_MAX];
    int flags_n;
    int dashes; // how many arguments stand before "--", or -1: there was none
};

// Sorts words into options and arguments. False: why says what is wrong. The strings are borrowed
// from words and known; `a` is to be given to args_fini() in both cases.
bool args_parse(struct args *a, const char *known, int words_n, char **words, char *why,
                size_t why_size);
void args_fini(struct args *a);

bool args_has(const struct args *a, const char *name);
const char *args_value(const struct args *a, const char *name); // NULL: not given

// A decimal number between min and max, and nothing behind it.
bool parse_i64(const char *s, int64_t min, int64_t max, int64_t *v);
