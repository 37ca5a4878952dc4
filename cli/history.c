// SPDX-License-Identifier: Apache-2.0
#include "cli/history.h"

#include <stdlib.h>

#include "cli/mem.h"

struct history {
    char *line[HISTORY_MAX]; // number n is at n % HISTORY_MAX
    size_t count;
};

struct history *history_new(void)
{
    return cli_alloc(sizeof(struct history));
}

void history_free(struct history **h)
{
    if (*h == NULL) {
        return;
    }
    for (size_t i = 0; i < HISTORY_MAX; i++) {
        free((*h)->line[i]);
    }
    free(*h);
    *h = NULL;
}

static void put(struct history *h, size_t number, const char *line)
{
    char **at = &h->line[number % HISTORY_MAX];
    char *copy = cli_dup(line);
    free(*at);
    *at = copy;
}

void history_add(struct history *h, const char *line)
{
    put(h, h->count++, line);
}

void history_replace_last(struct history *h, const char *line)
{
    if (h->count > 0) {
        put(h, h->count - 1, line);
    }
}

size_t history_count(const struct history *h)
{
    return h->count;
}

const char *history_get(const struct history *h, size_t number)
{
    return number < h->count && h->count - number <= HISTORY_MAX ? h->line[number % HISTORY_MAX]
                                                                 : NULL;
}
