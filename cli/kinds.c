// SPDX-License-Identifier: Apache-2.0
#include "cli/kinds.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool name_is_sequential(const char *name)
{
    size_t n = strlen(name), digits = 0;
    while (digits < n && isdigit((unsigned char)name[n - digits - 1])) {
        digits++;
    }
    return digits >= 10;
}

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

bool path_is_in(const char *path, const char *top)
{
    size_t n = strlen(top);
    return strcmp(top, "/") == 0 ||
           (strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/'));
}

char *human_size(char text[16], uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    if (bytes < 1024) {
        snprintf(text, 16, "%" PRIu64, bytes);
        return text;
    }
    double v = (double)bytes / 1024;
    size_t unit = 0;
    while (v >= 1023.95 && units[unit + 1]) {
        v /= 1024;
        unit++;
    }
    snprintf(text, 16, "%.1f%c", v, units[unit]);
    return text;
}

bool parse_session(const char *s, int64_t *id)
{
    const char *digits = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? s + 2 : s;
    size_t n = strlen(digits);
    if (n == 0 || n > 16 || digits[strspn(digits, "0123456789abcdefABCDEF")] != '\0') {
        return false;
    }
    *id = (int64_t)strtoull(digits, NULL, 16);
    return true;
}

bool parse_seconds(const char *s, int64_t *ms)
{
    if (*s == '\0' || s[strspn(s, "0123456789.")] != '\0') {
        return false;
    }
    char *end;
    double v = strtod(s, &end);
    if (*end != '\0' || v > 1e9) {
        return false;
    }
    *ms = (int64_t)(v * 1000);
    return true;
}
