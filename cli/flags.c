// SPDX-License-Identifier: Apache-2.0
#include "cli/flags.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/mem.h"

// One entry of the string of known options.
struct known {
    const char *name;
    size_t len;
    bool value;
    int group; // entries joined by | have the same
};

static bool next_known(const char **at, struct known *k)
{
    const char *p = *at;
    while (*p == ' ' || *p == '|') {
        k->group += *p == ' ';
        p++;
    }
    if (*p == '\0') {
        return false;
    }
    k->name = p;
    k->len = strcspn(p, " :|");
    p += k->len;
    k->value = *p == ':';
    *at = p + (k->value ? 1 : 0);
    return true;
}

static bool find_known(const char *known, const char *name, size_t len, struct known *k)
{
    *k = (struct known){0};
    while (next_known(&known, k)) {
        if (k->len == len && memcmp(k->name, name, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_number(const char *s)
{
    return s[0] == '-' && s[1] != '\0' && s[strspn(s + 1, "0123456789.") + 1] == '\0';
}

static int find_flag(const struct args *a, const char *name, size_t len)
{
    for (int i = 0; i < a->flags_n; i++) {
        if (a->flag[i].name_len == len && memcmp(a->flag[i].name, name, len) == 0) {
            return i;
        }
    }
    return -1;
}

// Why an option may not join those that were given: itself, or one of its group.
static bool excluded(const struct args *a, const char *known, const struct known *k, char *why,
                     size_t why_size)
{
    if (find_flag(a, k->name, k->len) >= 0 && k->value) {
        snprintf(why, why_size, "option -%.*s is given twice", (int)k->len, k->name);
        return true;
    }
    struct known other = {0};
    while (next_known(&known, &other)) {
        bool same = other.len == k->len && memcmp(other.name, k->name, k->len) == 0;
        if (!same && other.group == k->group && find_flag(a, other.name, other.len) >= 0) {
            snprintf(why, why_size, "options -%.*s and -%.*s exclude each other", (int)other.len,
                     other.name, (int)k->len, k->name);
            return true;
        }
    }
    return false;
}

static bool put(struct args *a, const char *known, const struct known *k, const char *value,
                char *why, size_t why_size)
{
    if (excluded(a, known, k, why, why_size)) {
        return false;
    }
    if (find_flag(a, k->name, k->len) >= 0) {
        return true;
    }
    if (a->flags_n == FLAGS_MAX) {
        snprintf(why, why_size, "too many options");
        return false;
    }
    a->flag[a->flags_n].name = k->name;
    a->flag[a->flags_n].name_len = k->len;
    a->flag[a->flags_n].value = value;
    a->flags_n++;
    return true;
}

// One word that begins with a dash; *i is moved over a value that is a word of its own.
static bool take_option(struct args *a, const char *known, int *i, int words_n, char **words,
                        char *why, size_t why_size)
{
    const char *word = words[*i];
    const char *name = word + (word[1] == '-' ? 2 : 1);
    struct known k;
    if (find_known(known, name, strlen(name), &k)) {
        if (k.value && *i + 1 == words_n) {
            snprintf(why, why_size, "option %s wants a value", word);
            return false;
        }
        return put(a, known, &k, k.value ? words[++*i] : NULL, why, why_size);
    }
    const char *equals = strchr(name, '=');
    if (equals && find_known(known, name, (size_t)(equals - name), &k) && k.value) {
        return put(a, known, &k, equals + 1, why, why_size);
    }
    for (const char *p = name; word[1] != '-' && *p; p++) {
        if (!find_known(known, p, 1, &k)) {
            break;
        }
        if (k.value && p[1] == '\0') {
            if (*i + 1 == words_n) {
                snprintf(why, why_size, "option -%c wants a value", *p);
                return false;
            }
            return put(a, known, &k, words[++*i], why, why_size);
        }
        if (!put(a, known, &k, k.value ? p + 1 : NULL, why, why_size)) {
            return false;
        }
        if (k.value || p[1] == '\0') {
            return true;
        }
    }
    snprintf(why, why_size, "there is no option %s", word);
    return false;
}

bool args_parse(struct args *a, const char *known, int words_n, char **words, char *why,
                size_t why_size)
{
    *a = (struct args){.dashes = -1};
    a->arg = cli_alloc(((size_t)words_n + 1) * sizeof(*a->arg));
    for (int i = 0; i < words_n; i++) {
        const char *word = words[i];
        if (a->dashes >= 0 || word[0] != '-' || word[1] == '\0' || is_number(word)) {
            a->arg[a->n++] = words[i];
        } else if (strcmp(word, "--") == 0) {
            a->dashes = a->n;
        } else if (!take_option(a, known, &i, words_n, words, why, why_size)) {
            return false;
        }
    }
    return true;
}

void args_fini(struct args *a)
{
    free(a->arg);
    *a = (struct args){0};
}

bool args_has(const struct args *a, const char *name)
{
    return find_flag(a, name, strlen(name)) >= 0;
}

const char *args_value(const struct args *a, const char *name)
{
    int i = find_flag(a, name, strlen(name));
    return i < 0 ? NULL : a->flag[i].value;
}

bool parse_i64(const char *s, int64_t min, int64_t max, int64_t *v)
{
    if (s[strspn(s, "+-0123456789")] != '\0' || *s == '\0') {
        return false;
    }
    char *end;
    errno = 0;
    long long n = strtoll(s, &end, 10);
    if (errno != 0 || *end != '\0' || end == s || n < min || n > max) {
        return false;
    }
    *v = n;
    return true;
}
