// SPDX-License-Identifier: Apache-2.0
#include "cli/find_terms.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "cli/kinds.h"

struct unit {
    char letter;
    int64_t n;
};

// "+10k": a sign, digits, a unit. Units end with one of no letter: that of a bare number.
static bool read_number(const char *s, const struct unit *units, struct find_number *v)
{
    *v = (struct find_number){.given = true, .sign = *s == '+' ? 1 : *s == '-' ? -1 : 0};
    s += v->sign != 0;
    size_t digits = strspn(s, "0123456789");
    if (digits == 0 || digits > 12) {
        return false;
    }
    char number[16];
    snprintf(number, sizeof(number), "%.*s", (int)digits, s);
    parse_i64(number, 0, INT64_MAX, &v->n);
    while (units->letter != s[digits] && units->letter != '\0') {
        units++;
    }
    v->unit = units->n;
    size_t letters = units->letter ? 1 : 0;
    return s[digits + letters] == '\0' && v->n <= INT64_MAX / v->unit;
}

bool find_terms_read(struct find_terms *t, const struct args *a, char *why, size_t why_size)
{
    static const struct unit bytes[] = {{'k', 1 << 10}, {'K', 1 << 10}, {'M', 1 << 20},
                                        {'G', 1 << 30}, {'c', 1},       {'\0', 1}};
    static const struct unit times[] = {
        {'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'\0', 86400000}};
    const char *size = args_value(a, "size"), *mtime = args_value(a, "mtime");
    const char *owner = args_value(a, "owner");
    *t = (struct find_terms){.name = args_value(a, "name"),
                             .data = args_value(a, "data"),
                             .ephemeral = args_has(a, "ephemeral"),
                             .has_owner = owner != NULL};
    if (size && !read_number(size, bytes, &t->size)) {
        snprintf(why, why_size, "-size wants bytes as +N, -N or N, with k, M or G: not %s", size);
        return false;
    }
    if (mtime && !read_number(mtime, times, &t->age)) {
        snprintf(why, why_size, "-mtime wants an age as +N, -N or N, with s, m, h or d: not %s",
                 mtime);
        return false;
    }
    if (owner && !parse_session(owner, &t->owner)) {
        snprintf(why, why_size, "-owner wants a session as 0x...: not %s", owner);
        return false;
    }
    return true;
}

static bool compares(const struct find_number *v, int64_t exact, int64_t units)
{
    return !v->given || (v->sign > 0   ? exact > v->n * v->unit
                         : v->sign < 0 ? exact < v->n * v->unit
                                       : units == v->n);
}

bool find_terms_match(const struct find_terms *t, const char *path, const struct reeve_stat *st,
                      int64_t now_ms)
{
    if (t->name && fnmatch(t->name, path_name(path), 0) != 0) {
        return false;
    }
    if (st == NULL) {
        return !t->ephemeral && !t->has_owner && !t->size.given && !t->age.given;
    }
    if ((t->ephemeral && st->ephemeral_owner == 0) ||
        (t->has_owner && st->ephemeral_owner != t->owner)) {
        return false;
    }
    int64_t size = st->data_length, age_ms = now_ms - st->mtime_ms;
    return compares(&t->size, size, t->size.given ? (size + t->size.unit - 1) / t->size.unit : 0) &&
           compares(&t->age, age_ms, t->age.given ? age_ms / t->age.unit : 0);
}
