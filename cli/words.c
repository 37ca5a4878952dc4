// SPDX-License-Identifier: Apache-2.0
#include "cli/words.h"

#include <stdlib.h>
#include <string.h>

#include "cli/mem.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_escaped(char next)
{
    return next != '\0' && strchr(" \t'\"\\#", next) != NULL;
}

// Takes one word from *p (which is no space) to t. Returns the quote left open at the end, or 0.
static char take(const char **p, const char *end, struct string *t)
{
    char quote = 0;
    bool may_quote = true;
    const char *at = *p;
    string_add_n(t, "", 0);
    while (at < end && (quote || !is_space(*at))) {
        char c = *at;
        bool was_quote = false;
        if (quote && c == quote) {
            quote = 0;
            was_quote = true;
        } else if (!quote && may_quote && (c == '"' || c == '\'')) {
            quote = c;
            was_quote = true;
        } else if (c == '\\' && quote != '\'' && at + 1 < end && is_escaped(at[1])) {
            at++;
            string_add_char(t, *at);
        } else {
            string_add_char(t, c);
        }
        may_quote = was_quote;
        at++;
    }
    *p = at;
    return quote;
}

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && is_space(*p)) {
        p++;
    }
    return p;
}

static void add(struct words *w, char *word)
{
    w->word = cli_grow(w->word, ((size_t)w->n + 2) * sizeof(*w->word));
    w->word[w->n++] = word;
    w->word[w->n] = NULL;
}

enum words_error words_split(const char *line, struct words *w)
{
    *w = (struct words){0};
    const char *end = line + strlen(line);
    const char *p = skip_space(line, end);
    if (*p == '#') {
        p = end;
    }
    while (p < end) {
        struct string t = {0};
        char quote = take(&p, end, &t);
        add(w, t.s);
        if (quote) {
            words_fini(w);
            return WORDS_OPEN_QUOTE;
        }
        p = skip_space(p, end);
    }
    return WORDS_OK;
}

void words_fini(struct words *w)
{
    for (int i = 0; i < w->n; i++) {
        free(w->word[i]);
    }
    free(w->word);
    *w = (struct words){0};
}

void words_tail(const char *line, size_t len, struct words_tail *t)
{
    *t = (struct words_tail){0};
    const char *end = line + len, *p = skip_space(line, end);
    for (;;) {
        struct string word = {0};
        t->start = (size_t)(p - line);
        t->quote = take(&p, end, &word);
        if (p == end) {
            t->word = word.s;
            return;
        }
        if (t->index++ == 0) {
            t->first = word.s;
        } else {
            string_fini(&word);
        }
        p = skip_space(p, end);
    }
}

void words_tail_fini(struct words_tail *t)
{
    free(t->word);
    free(t->first);
    *t = (struct words_tail){0};
}

char *words_quote(const char *word, char quote)
{
    struct string t = {0};
    string_add_n(&t, "", 0);
    if (*word == '\0' && !quote) {
        string_add(&t, "\"\"");
    }
    for (const char *p = word; *p; p++) {
        bool special = false;
        if (quote == '"') {
            special = *p == '"' || *p == '\\';
        } else if (quote == 0) {
            special =
                is_space(*p) || *p == '\\' || (p == word && (*p == '"' || *p == '\'' || *p == '#'));
        }
        if (special) {
            string_add_char(&t, '\\');
        }
        string_add_char(&t, *p);
    }
    return t.s;
}
