// SPDX-License-Identifier: Apache-2.0
#include "cli/out.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/bytes.h"

void out_init(struct out *o, FILE *to, FILE *err, bool json, enum out_colors colors)
{
    *o = (struct out){.to = to, .err = err, .json = json};
    o->terminal = isatty(fileno(to));
    o->err_terminal = isatty(fileno(err));
    const char *term = getenv("TERM");
    bool dumb = term == NULL || term[0] == '\0' || strcmp(term, "dumb") == 0;
    bool always = colors == OUT_COLOR_ALWAYS;
    bool may = colors == OUT_COLOR_AUTO && !dumb && getenv("NO_COLOR") == NULL;
    o->redraws = o->terminal && !dumb;
    o->err_redraws = o->err_terminal && !dumb;
    o->color = !json && (always || (may && o->terminal));
    o->err_color = always || (may && o->err_terminal);
}

static void end_progress(struct out *o)
{
    if (o->progress) {
        o->progress = false;
        fputs("\r\033[K", o->err);
        fflush(o->err);
    }
}

void out_printf(struct out *o, const char *fmt, ...)
{
    end_progress(o);
    va_list ap;
    va_start(ap, fmt);
    vfprintf(o->to, fmt, ap);
    va_end(ap);
}

char *out_json_text(bool terminal, const json_t *v)
{
    char *s = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (s && terminal && bytes_have_control(s, strlen(s))) {
        struct string safe = {0};
        bytes_escape_json(&safe, s);
        free(s);
        s = safe.s;
    }
    return s;
}

void out_json(struct out *o, json_t *v)
{
    end_progress(o);
    char *s = out_json_text(o->terminal, v);
    if (s == NULL) {
        fputs("reeve: out of memory\n", o->err);
        exit(1);
    }
    fputs(s, o->to);
    fputc('\n', o->to);
    free(s);
    json_decref(v);
}

static const char *const sequences[] = {
    [OUT_PLAIN] = "",          [OUT_RED] = "\033[31m",  [OUT_GREEN] = "\033[32m",
    [OUT_YELLOW] = "\033[33m", [OUT_BLUE] = "\033[34m", [OUT_DIM] = "\033[2m",
    [OUT_BOLD] = "\033[1m",
};

const char *out_color(const struct out *o, enum out_color c)
{
    return o->color ? sequences[c] : "";
}

const char *out_color_end(const struct out *o)
{
    return o->color ? "\033[0m" : "";
}

// A line on standard error. Names of nodes come from strangers: nothing in them reaches a terminal
// as a command.
static void say(struct out *o, const char *prefix, enum out_color c, const char *fmt, va_list ap)
{
    end_progress(o);
    fflush(o->to);
    struct string line = {0}, safe = {0};
    string_addv(&line, fmt, ap);
    const char *s = string_of(&line);
    if (bytes_have_control(s, line.len) || !bytes_are_utf8(s, line.len)) {
        bytes_escape(&safe, s, line.len);
        s = string_of(&safe);
    }
    fprintf(o->err, "%s%s%s%s\n", o->err_color ? sequences[c] : "", prefix, s,
            o->err_color ? "\033[0m" : "");
    fflush(o->err);
    string_fini(&line);
    string_fini(&safe);
}

void out_error(struct out *o, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(o, "reeve: ", OUT_RED, fmt, ap);
    va_end(ap);
}

void out_note(struct out *o, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(o, "", OUT_DIM, fmt, ap);
    va_end(ap);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void out_progress(struct out *o, const char *fmt, ...)
{
    enum { PAUSE_MS = 100 };
    if (fmt == NULL || !o->err_redraws) {
        end_progress(o);
        return;
    }
    if (o->progress && now_ms() - o->progress_ms < PAUSE_MS) {
        return;
    }
    end_progress(o);
    o->progress_ms = now_ms();
    fflush(o->to);
    va_list ap;
    va_start(ap, fmt);
    vfprintf(o->err, fmt, ap);
    va_end(ap);
    fflush(o->err);
    o->progress = true;
}

void out_flush(struct out *o)
{
    end_progress(o);
    fflush(o->to);
}

const char *out_safe(const struct out *o, const char *s, struct string *room)
{
    size_t n = strlen(s);
    if (!o->terminal || (bytes_are_utf8(s, n) && !bytes_have_control(s, n))) {
        return s;
    }
    string_cut(room, 0);
    bytes_escape(room, s, n);
    return string_of(room);
}

const char *out_line(const struct out *o, const char *s, struct string *room)
{
    const char *safe = out_safe(o, s, room);
    if (strpbrk(safe, "\r\n") == NULL) {
        return safe;
    }
    struct string line = {0};
    for (const char *p = safe; *p; p++) {
        if (*p == '\r' || *p == '\n') {
            string_addf(&line, "\\x%02x", (unsigned)*p);
        } else {
            string_add_char(&line, *p);
        }
    }
    string_fini(room);
    *room = line;
    return room->s;
}

void out_data(struct out *o, const void *p, size_t n, enum out_encoding e)
{
    end_progress(o);
    if (e == OUT_RAW) {
        fwrite(p ? p : "", 1, p ? n : 0, o->to);
        return;
    }
    struct string t = {0};
    if (p == NULL) {
        string_add(&t, "null");
    } else if (e == OUT_BASE64) {
        bytes_base64(&t, p, n);
    } else if (e == OUT_HEX) {
        bytes_hexdump(&t, p, n);
    } else if (!bytes_are_utf8(p, n) || (o->terminal && bytes_have_control(p, n))) {
        bytes_escape(&t, p, n);
    } else {
        string_add_n(&t, p, n);
    }
    fwrite(string_of(&t), 1, t.len, o->to);
    fputc('\n', o->to);
    string_fini(&t);
}

void out_json_data(json_t *obj, const void *p, size_t n, enum out_encoding e)
{
    if (p == NULL) {
        json_object_set_new(obj, "data", json_null());
        json_object_set_new(obj, "encoding", json_string("null"));
        return;
    }
    if (e != OUT_HEX && e != OUT_BASE64 && !bytes_are_utf8(p, n)) {
        e = OUT_BASE64;
    }
    struct string t = {0};
    if (e == OUT_BASE64) {
        bytes_base64(&t, p, n);
    } else if (e == OUT_HEX) {
        bytes_hex(&t, p, n);
    } else {
        string_add_n(&t, p, n);
    }
    const char *name = e == OUT_BASE64 ? "base64" : e == OUT_HEX ? "hex" : "utf-8";
    json_object_set_new(obj, "data", json_stringn(string_of(&t), t.len));
    json_object_set_new(obj, "encoding", json_string(name));
    string_fini(&t);
}

// "Sat Nov 21 07:13:54 UTC 2026", as Java prints it, in the local zone.
static void date_of(int64_t ms, char *text, size_t n)
{
    time_t t = (time_t)(ms / 1000 - (ms % 1000 < 0));
    struct tm tm;
    if (localtime_r(&t, &tm) == NULL || strftime(text, n, "%a %b %d %H:%M:%S %Z %Y", &tm) == 0) {
        snprintf(text, n, "%" PRId64 " ms", ms);
    }
}

void out_stat(struct out *o, const struct reeve_stat *s)
{
    char ctime_text[64], mtime_text[64];
    date_of(s->ctime_ms, ctime_text, sizeof(ctime_text));
    date_of(s->mtime_ms, mtime_text, sizeof(mtime_text));
    out_printf(o,
               "cZxid = 0x%" PRIx64 "\nctime = %s\nmZxid = 0x%" PRIx64 "\nmtime = %s\n"
               "pZxid = 0x%" PRIx64 "\ncversion = %d\ndataVersion = %d\naclVersion = %d\n"
               "ephemeralOwner = 0x%" PRIx64 "\ndataLength = %d\nnumChildren = %d\n",
               (uint64_t)s->czxid, ctime_text, (uint64_t)s->mzxid, mtime_text, (uint64_t)s->pzxid,
               s->cversion, s->version, s->aversion, (uint64_t)s->ephemeral_owner, s->data_length,
               s->num_children);
}

static json_t *json_hex(int64_t v)
{
    char s[24];
    snprintf(s, sizeof(s), "0x%" PRIx64, (uint64_t)v);
    return json_string(s);
}

json_t *out_json_stat(const struct reeve_stat *s)
{
    // Zxids and session ids are beyond what JSON readers keep exactly in a number: hexadecimal.
    return json_pack("{s:o,s:I,s:o,s:I,s:o,s:i,s:i,s:i,s:o,s:i,s:i}", "cZxid", json_hex(s->czxid),
                     "ctime", (json_int_t)s->ctime_ms, "mZxid", json_hex(s->mzxid), "mtime",
                     (json_int_t)s->mtime_ms, "pZxid", json_hex(s->pzxid), "cversion", s->cversion,
                     "dataVersion", s->version, "aclVersion", s->aversion, "ephemeralOwner",
                     json_hex(s->ephemeral_owner), "dataLength", s->data_length, "numChildren",
                     s->num_children);
}

json_t *out_json_string(const char *s)
{
    json_t *v = json_string(s);
    if (v == NULL) {
        struct string t = {0};
        bytes_escape(&t, s, strlen(s));
        v = json_string(string_of(&t));
        string_fini(&t);
    }
    return v;
}

char *out_perms(int32_t perms, char text[8])
{
    char *p = text;
    static const struct {
        int32_t bit;
        char letter;
    } letters[] = {{REEVE_PERM_CREATE, 'c'},
                   {REEVE_PERM_DELETE, 'd'},
                   {REEVE_PERM_READ, 'r'},
                   {REEVE_PERM_WRITE, 'w'},
                   {REEVE_PERM_ADMIN, 'a'}};
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        if (perms & letters[i].bit) {
            *p++ = letters[i].letter;
        }
    }
    *p = '\0';
    return text;
}

json_t *out_json_acl(const struct reeve_acl *acl, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        char perms[8];
        json_array_append_new(
            list, json_pack("{s:o,s:o,s:s}", "scheme", out_json_string(acl[i].scheme), "id",
                            out_json_string(acl[i].id), "perms", out_perms(acl[i].perms, perms)));
    }
    return list;
}
