// SPDX-License-Identifier: Apache-2.0
#include "cli/dump.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bytes.h"

json_t *dump_encode(const char *path, const struct reeve_result *data,
                    const struct reeve_result *acl)
{
    json_t *v = json_pack("{s:o}", "path", out_json_string(path));
    out_json_data(v, data->data, data->data_len, OUT_TEXT);
    if (acl) {
        json_object_set_new(v, "acl", out_json_acl(acl->acl, acl->acl_n));
    }
    if (data->stat.ephemeral_owner != 0) {
        json_object_set_new(v, "ephemeral", json_true());
    }
    json_object_set_new(v, "stat", out_json_stat(&data->stat));
    return v;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool from_hex(struct string *t, const char *s, size_t n)
{
    for (size_t i = 0; i + 1 < n; i += 2) {
        int high = hex_digit(s[i]), low = hex_digit(s[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        string_add_char(t, (char)(high * 16 + low));
    }
    return n % 2 == 0;
}

static bool decode_data(const json_t *v, struct dump_node *n)
{
    const json_t *data = json_object_get(v, "data"), *name = json_object_get(v, "encoding");
    const char *encoding = json_is_string(name) ? json_string_value(name) : "utf-8";
    if (data == NULL || json_is_null(data)) {
        return true;
    }
    if (!json_is_string(data)) {
        return false;
    }
    struct string t = {0};
    const char *s = json_string_value(data);
    size_t len = json_string_length(data);
    string_add_n(&t, "", 0);
    bool good = false;
    if (strcmp(encoding, "utf-8") == 0) {
        string_add_n(&t, s, len);
        good = true;
    } else if (strcmp(encoding, "base64") == 0) {
        good = strlen(s) == len && bytes_from_base64(&t, s);
    } else if (strcmp(encoding, "hex") == 0) {
        good = from_hex(&t, s, len);
    }
    n->data = t.s;
    n->data_len = t.len;
    return good;
}

static bool decode_acl(const json_t *list, struct dump_node *n)
{
    static const char letters[] = "rwcda"; // in the order of the bits
    size_t size = json_array_size(list);
    if (!json_is_array(list) || size == 0) {
        return false;
    }
    n->acl = cli_alloc(size * sizeof(*n->acl));
    for (size_t i = 0; i < size; i++) {
        const json_t *v = json_array_get(list, i);
        const char *scheme = json_string_value(json_object_get(v, "scheme"));
        const char *id = json_string_value(json_object_get(v, "id"));
        const char *perms = json_string_value(json_object_get(v, "perms"));
        if (!scheme || !id || !perms) {
            return false;
        }
        struct reeve_acl *a = &n->acl[n->acl_n++];
        *a = (struct reeve_acl){0, cli_dup(scheme), cli_dup(id)};
        for (; *perms; perms++) {
            const char *at = strchr(letters, *perms);
            if (at == NULL) {
                return false;
            }
            a->perms |= 1 << (at - letters);
        }
    }
    return true;
}

static bool is_true(const json_t *v, const char *name)
{
    return json_is_true(json_object_get(v, name));
}

bool dump_decode(const json_t *v, struct dump_node *n, char *why, size_t why_size)
{
    *n = (struct dump_node){0};
    const json_t *path = json_object_get(v, "path"), *acl = json_object_get(v, "acl");
    const char *wrong = NULL;
    if (!json_is_string(path) || json_string_value(path)[0] != '/') {
        snprintf(why, why_size, "a node has no path");
        return false;
    }
    n->path = cli_dup(json_string_value(path));
    n->ephemeral = is_true(v, "ephemeral");
    n->container = is_true(v, "container");
    n->ttl_ms = json_integer_value(json_object_get(v, "ttl_ms"));
    if (strlen(n->path) != json_string_length(path)) {
        wrong = "has a NUL in its path";
    } else if (!decode_data(v, n)) {
        wrong = "has data that are not what their encoding says";
    } else if (acl && !decode_acl(acl, n)) {
        wrong = "has an access control list that is none";
    } else if (n->ttl_ms < 0 || n->ttl_ms > 0xffffffffff || (n->container && n->ttl_ms > 0)) {
        wrong = "has a TTL that cannot be";
    }
    if (wrong) {
        snprintf(why, why_size, "%.120s %s", n->path, wrong);
    }
    return wrong == NULL;
}

void dump_node_fini(struct dump_node *n)
{
    for (size_t i = 0; i < n->acl_n; i++) {
        free((char *)n->acl[i].scheme);
        free((char *)n->acl[i].id);
    }
    free(n->acl);
    free(n->data);
    free(n->path);
    *n = (struct dump_node){0};
}

// ---- reading ------------------------------------------------------------------------------------

static bool fail(struct dump_reader *r, const char *what)
{
    snprintf(r->why, sizeof(r->why), "%s", what);
    r->failed = true;
    r->state = DUMP_ENDED;
    return false;
}

static int next_char(struct dump_reader *r)
{
    int ch;
    do {
        ch = getc(r->from);
    } while (ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r');
    return ch;
}

// The value that begins here, an object or array.
static json_t *load(struct dump_reader *r)
{
    json_error_t e;
    json_t *v = json_loadf(r->from, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &e);
    if (v == NULL) {
        char why[sizeof(r->why)];
        snprintf(why, sizeof(why), "it is not JSON: %s", e.text);
        fail(r, why);
    }
    return v;
}

// The rest of a string behind its first quote; out: its first bytes, as they stand there.
static bool skip_string(struct dump_reader *r, char *out, size_t size)
{
    size_t n = 0;
    for (int ch = getc(r->from); ch != '"'; ch = getc(r->from)) {
        if (ch == '\\') {
            ch = getc(r->from);
        }
        if (ch == EOF) {
            return fail(r, "it ends in a string");
        }
        if (n + 1 < size) {
            out[n++] = (char)ch;
        }
    }
    if (size > 0) {
        out[n] = '\0';
    }
    return true;
}

static bool skip_value(struct dump_reader *r)
{
    int ch = next_char(r);
    if (ch == '"') {
        return skip_string(r, NULL, 0);
    }
    if (ch == '{' || ch == '[') {
        ungetc(ch, r->from);
        json_t *v = load(r);
        json_decref(v);
        return v != NULL;
    }
    while (ch != EOF && (isalnum(ch) || strchr("+-.", ch))) {
        ch = getc(r->from);
    }
    ungetc(ch, r->from);
    return true;
}

// To the first node.
static bool find_nodes(struct dump_reader *r)
{
    int ch = next_char(r);
    if (ch == '[') {
        r->state = DUMP_NODES;
        return true;
    }
    if (ch != '{') {
        return fail(r, "it is not JSON as export and snapshot --json write it");
    }
    for (;;) {
        char name[16];
        ch = next_char(r);
        if (ch == ',') {
            ch = next_char(r);
        }
        if (ch != '"') {
            return fail(r, "it has no member \"nodes\"");
        }
        if (!skip_string(r, name, sizeof(name))) {
            return false;
        }
        if (next_char(r) != ':') {
            return fail(r, "it is not JSON: no colon behind a name");
        }
        if (strcmp(name, "nodes") == 0) {
            r->state = DUMP_NODES;
            return next_char(r) == '[' || fail(r, "its member \"nodes\" is no array");
        }
        if (!skip_value(r)) {
            return false;
        }
    }
}

json_t *dump_next(struct dump_reader *r)
{
    if (r->state == DUMP_START && !find_nodes(r)) {
        return NULL;
    }
    if (r->state == DUMP_ENDED) {
        return NULL;
    }
    int ch = next_char(r);
    if (ch == ',') {
        ch = next_char(r);
    }
    if (ch == ']') {
        r->state = DUMP_ENDED;
        return NULL;
    }
    if (ch != '{') {
        fail(r, ch == EOF ? "it ends in the middle" : "a node is no object");
        return NULL;
    }
    ungetc(ch, r->from);
    return load(r);
}
