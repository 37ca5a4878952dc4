// SPDX-License-Identifier: Apache-2.0
//
// One instance: its JSON, and what is given to callers.
//
// An instance that was read keeps the parsed tree: the strings of the public struct point into it.
// What the tree has not as a string (the payload as text, numbers among the metadata, the uri's
// template) stands in memory of the client's allocator. It never changes after it was made, so that
// threads share it by an atomic count alone.
//
// Written text is put together by hand and not by the JSON library: Curator's readers and those who
// compare bytes get exactly Jackson's order and escapes, and the payload as the caller wrote it.
// Then it is parsed like a stranger's, which finds bad UTF-8 and the like.
#include "recipes/instance.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "recipes/discovery_text.h"
#include "recipes/kit.h"

struct instance {
    struct reeve_instance pub; // first: the handle
    const struct reeve *zk;
    atomic_size_t refs;
    json_t *root;
    char *bytes; // as read
    size_t bytes_n;
    char *payload, *uri_spec;
    struct reeve_pair *pairs;
    char (*numbers)[32]; // texts of metadata that are no strings
    size_t numbers_n;
};

static const char *const type_names[] = {"DYNAMIC", "STATIC", "PERMANENT", "DYNAMIC_SEQUENTIAL"};
enum { TYPES = 4 };

int64_t instance_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// ---- life ---------------------------------------------------------------------------------------

static struct instance *instance_of(const struct reeve_instance *i)
{
    return (struct instance *)(uintptr_t)i;
}

const struct reeve_instance *reeve_instance_keep(const struct reeve_instance *i)
{
    if (i) {
        atomic_fetch_add_explicit(&instance_of(i)->refs, 1, memory_order_relaxed);
    }
    return i;
}

static void destroy(struct instance *i)
{
    const struct reeve *zk = i->zk;
    json_decref(i->root);
    kit_free(zk, i->bytes);
    kit_free(zk, i->payload);
    kit_free(zk, i->uri_spec);
    kit_free(zk, i->pairs);
    kit_free(zk, i->numbers);
    kit_free(zk, i);
}

void reeve_instance_release(const struct reeve_instance **i)
{
    struct instance *in = instance_of(*i);
    *i = NULL;
    if (in && atomic_fetch_sub_explicit(&in->refs, 1, memory_order_acq_rel) == 1) {
        destroy(in);
    }
}

bool instance_same(const struct reeve_instance *a, const struct reeve_instance *b)
{
    const struct instance *x = instance_of(a);
    const struct instance *y = instance_of(b);
    return x->bytes_n == y->bytes_n && !memcmp(x->bytes, y->bytes, x->bytes_n);
}

enum reeve_error instances_init(struct reeve_instances *all, const struct reeve *zk, size_t n)
{
    *all = (struct reeve_instances){.zk = zk};
    all->list = kit_alloc(zk, (n ? n : 1) * sizeof(const struct reeve_instance *));
    return all->list ? REEVE_OK : REEVE_NO_MEMORY;
}

void reeve_instances_fini(struct reeve_instances *all)
{
    for (size_t i = 0; i < all->n; i++) {
        reeve_instance_release(&all->list[i]);
    }
    if (all->list) {
        kit_free(all->zk, all->list);
    }
    *all = (struct reeve_instances){.zk = all->zk};
}

const char *reeve_instance_get(const struct reeve_instance *i, const char *key)
{
    for (size_t k = 0; k < i->metadata_n; k++) {
        if (!strcmp(i->metadata[k].key, key)) {
            return i->metadata[k].value;
        }
    }
    return NULL;
}

// ---- templates of URIs --------------------------------------------------------------------------

struct part { // of a template: a literal, or a variable's name
    const char *p;
    size_t n;
    bool variable;
};

// Takes the next part off *at, as Curator's UriSpec(String) splits. 1: a part; 0: the end; -1: an
// open or a stray brace.
static int next_part(const char **at, struct part *part)
{
    for (;;) {
        const char *s = *at;
        size_t n = strcspn(s, "{}");
        if (n > 0) {
            *part = (struct part){s, n, false};
            *at = s + n;
            return 1;
        }
        if (*s != '{') {
            return *s ? -1 : 0;
        }
        n = strcspn(s + 1, "{}");
        if (s[1 + n] != '}') {
            return -1;
        }
        *at = s + n + 2;
        const char *from = s + 1;
        const char *to = from + n;
        while (from < to && (unsigned char)*from <= ' ') {
            from++;
        }
        while (to > from && (unsigned char)to[-1] <= ' ') {
            to--;
        }
        if (n > 0) { // "{}" is nothing
            *part = (struct part){from, (size_t)(to - from), true};
            return 1;
        }
    }
}

static bool is(const struct part *p, const char *name)
{
    return p->n == strlen(name) && !memcmp(p->p, name, p->n);
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

static const char *number(char text[24], int64_t v)
{
    snprintf(text, 24, "%" PRId64, v);
    return text;
}

static const char *value_of(const struct reeve_instance *i, const struct part *p, char text[24])
{
    static const char *const types[] = {"dynamic", "static", "permanent", "dynamic_sequential"};
    if (is(p, "scheme")) {
        return i->ssl_port ? "https" : "http";
    }
    if (is(p, "name")) {
        return or_empty(i->name);
    }
    if (is(p, "id")) {
        return or_empty(i->id);
    }
    if (is(p, "address")) {
        return or_empty(i->address);
    }
    if (is(p, "port")) {
        return i->port ? number(text, i->port) : "";
    }
    if (is(p, "ssl-port")) {
        return i->ssl_port ? number(text, i->ssl_port) : "";
    }
    if (is(p, "registration-time-utc")) {
        return number(text, i->registration_time_ms);
    }
    if (is(p, "service-type")) {
        return (unsigned)i->type < TYPES ? types[i->type] : "";
    }
    return is(p, "[") ? "{" : is(p, "]") ? "}" : "";
}

size_t reeve_instance_uri(const struct reeve_instance *i, char *text, size_t n)
{
    size_t len = 0;
    const char *at = or_empty(i->uri_spec);
    struct part part;
    while (next_part(&at, &part) > 0) {
        char digits[24];
        const char *s = part.variable ? value_of(i, &part, digits) : part.p;
        size_t s_n = part.variable ? strlen(s) : part.n;
        if (len < n) {
            memcpy(text + len, s, s_n < n - len ? s_n : n - len);
        }
        len += s_n;
    }
    if (n > 0) {
        text[len < n ? len : n - 1] = '\0';
    }
    return len;
}

static bool put_uri_spec(struct text *t, const char *spec)
{
    if (!spec) {
        text_str(t, "null");
        return true;
    }
    const char *sep = "";
    struct part part;
    int more;
    text_str(t, "{\"parts\":[");
    while ((more = next_part(&spec, &part)) > 0) {
        char *value = kit_bytes(t->zk, part.p, part.n);
        t->failed = t->failed || !value;
        text_str(t, sep);
        text_str(t, "{\"value\":");
        text_json(t, value);
        text_str(t, part.variable ? ",\"variable\":true}" : ",\"variable\":false}");
        kit_free(t->zk, value);
        sep = ",";
    }
    text_str(t, "]}");
    return more == 0;
}

// ---- writing ------------------------------------------------------------------------------------

// A null, or the number: Java's Integer.
static void put_port(struct text *t, int32_t port)
{
    if (port) {
        text_int(t, port);
    } else {
        text_str(t, "null");
    }
}

static void put_payload(struct text *t, const struct reeve_instance *i)
{
    if (i->payload || i->metadata_n == 0) {
        text_str(t, i->payload ? i->payload : "null");
        return;
    }
    text_str(t, "{\"@class\":\"java.util.LinkedHashMap\"");
    for (size_t k = 0; k < i->metadata_n; k++) {
        text_str(t, ",");
        text_json(t, i->metadata[k].key);
        text_str(t, ":");
        text_json(t, i->metadata[k].value);
    }
    text_str(t, "}");
}

// JsonInstanceSerializer.serialize, which leaves `enabled` out for old readers: where it is true,
// so do we.
static bool put_instance(struct text *t, const struct reeve_instance *i)
{
    text_str(t, "{\"name\":");
    text_json(t, i->name);
    text_str(t, ",\"id\":");
    text_json(t, i->id);
    text_str(t, ",\"address\":");
    text_json(t, i->address);
    text_str(t, ",\"port\":");
    put_port(t, i->port);
    text_str(t, ",\"sslPort\":");
    put_port(t, i->ssl_port);
    text_str(t, ",\"payload\":");
    put_payload(t, i);
    text_str(t, ",\"registrationTimeUTC\":");
    text_int(t, i->registration_time_ms ? i->registration_time_ms : instance_wall_ms());
    text_str(t, ",\"serviceType\":\"");
    text_str(t, type_names[i->type]);
    text_str(t, "\",\"uriSpec\":");
    bool ok = put_uri_spec(t, i->uri_spec);
    text_str(t, i->disabled ? ",\"enabled\":false}" : "}");
    return ok;
}

static enum reeve_error why_not(const json_error_t *e)
{
    // What is wrong with the text always has a code; memory that is missing mostly has not. (In a
    // few places Jansson 2.14 takes it for bad syntax; nothing can tell the two apart then.)
    enum json_error_code code = json_error_code(e);
    return code == json_error_out_of_memory || code == json_error_unknown ? REEVE_NO_MEMORY
                                                                          : REEVE_MALFORMED;
}

// JSON, and nothing behind it. REEVE_BAD_ARGUMENTS, REEVE_NO_MEMORY.
static enum reeve_error check_json(const char *s, size_t n)
{
    json_error_t e;
    json_t *j = n <= INSTANCE_BYTES_MAX ? json_loadb(s, n, JSON_DECODE_ANY, &e) : NULL;
    if (!j) {
        bool memory = n <= INSTANCE_BYTES_MAX && why_not(&e) == REEVE_NO_MEMORY;
        return memory ? REEVE_NO_MEMORY : REEVE_BAD_ARGUMENTS;
    }
    json_decref(j);
    return REEVE_OK;
}

enum reeve_error reeve_instance_encode(const struct reeve *zk, const struct reeve_instance *i,
                                       char **text)
{
    *text = NULL;
    if (!i->name || !i->id || (unsigned)i->type >= TYPES) {
        return REEVE_BAD_ARGUMENTS;
    }
    for (size_t k = 0; k < i->metadata_n; k++) {
        if (!i->metadata[k].key) {
            return REEVE_BAD_ARGUMENTS;
        }
    }
    enum reeve_error e = i->payload ? check_json(i->payload, strlen(i->payload)) : REEVE_OK;
    if (e) {
        return e;
    }
    struct text t;
    text_init(&t, zk);
    bool ok = put_instance(&t, i);
    size_t n = t.n;
    char *p = text_take(&t);
    if (!p) {
        return REEVE_NO_MEMORY;
    }
    e = ok ? check_json(p, n) : REEVE_BAD_ARGUMENTS;
    if (e) {
        kit_free(zk, p);
        return e;
    }
    *text = p;
    return REEVE_OK;
}

// ---- reading ------------------------------------------------------------------------------------

// Null and missing are NULL; anything but a string is false.
static bool read_string(const json_t *o, const char *key, const char **s)
{
    const json_t *v = json_object_get(o, key);
    *s = json_string_value(v);
    return *s || !v || json_is_null(v);
}

// As Jackson does, a number may stand in a string, and a fraction is cut off.
static bool read_number(const json_t *o, const char *key, int64_t min, int64_t max, int64_t *to)
{
    const json_t *v = json_object_get(o, key);
    *to = 0;
    if (!v || json_is_null(v)) {
        return true;
    }
    if (json_is_real(v)) {
        double d = json_real_value(v);
        if (!(d > (double)min - 1 && d < (double)max + 1)) {
            return false;
        }
        *to = (int64_t)d;
    } else if (json_is_integer(v)) {
        *to = json_integer_value(v);
    } else {
        int used = 0;
        const char *s = json_string_value(v);
        if (!s || strlen(s) > 20 || sscanf(s, "%" SCNd64 "%n", to, &used) != 1 || s[used]) {
            return false;
        }
    }
    return *to >= min && *to <= max;
}

static bool read_type(const json_t *o, enum reeve_service_type *type)
{
    const char *s;
    *type = REEVE_SERVICE_DYNAMIC;
    if (!read_string(o, "serviceType", &s)) {
        return false;
    }
    for (unsigned k = 0; s && k < TYPES; k++) {
        if (!strcmp(s, type_names[k])) {
            *type = (enum reeve_service_type)k;
            return true;
        }
    }
    return !s;
}

// The template back from its parts. A brace in a literal is written as its variable.
static enum reeve_error read_uri_spec(struct instance *i, const json_t *spec)
{
    if (!spec || json_is_null(spec)) {
        return REEVE_OK;
    }
    const json_t *parts = json_object_get(spec, "parts");
    if (!json_is_object(spec) || (parts && !json_is_array(parts))) {
        return REEVE_MALFORMED;
    }
    struct text t;
    text_init(&t, i->zk);
    for (size_t k = 0; k < json_array_size(parts); k++) {
        const json_t *part = json_array_get(parts, k);
        const json_t *variable = json_object_get(part, "variable");
        const char *value;
        if (!json_is_object(part) || !read_string(part, "value", &value) ||
            (variable && !json_is_boolean(variable))) {
            text_fini(&t);
            return REEVE_MALFORMED;
        }
        bool is_variable = json_is_true(variable);
        text_str(&t, is_variable ? "{" : "");
        for (const char *s = or_empty(value); *s; s++) {
            bool brace = !is_variable && (*s == '{' || *s == '}');
            text_put(&t, brace ? (*s == '{' ? "{[}" : "{]}") : s, brace ? 3 : 1);
        }
        text_str(&t, is_variable ? "}" : "");
    }
    i->uri_spec = text_take(&t);
    i->pub.uri_spec = i->uri_spec;
    return i->uri_spec ? REEVE_OK : REEVE_NO_MEMORY;
}

// The members of an object that have a simple value.
static void add_pairs(struct instance *i, json_t *o)
{
    const char *key;
    json_t *v;
    json_object_foreach(o, key, v)
    {
        const char *value = json_string_value(v);
        char *room = i->numbers[i->numbers_n];
        if (json_is_integer(v)) {
            snprintf(room, sizeof(*i->numbers), "%" PRId64, (int64_t)json_integer_value(v));
        } else if (json_is_real(v)) {
            snprintf(room, sizeof(*i->numbers), "%.17g", json_real_value(v));
        } else if (json_is_boolean(v)) {
            snprintf(room, sizeof(*i->numbers), "%s", json_is_true(v) ? "true" : "false");
        } else if (!value) {
            continue;
        }
        if (!value) {
            value = room;
            i->numbers_n++;
        }
        if (strcmp(key, "@class") != 0) {
            i->pairs[i->pub.metadata_n++] = (struct reeve_pair){key, value};
        }
    }
}

static enum reeve_error read_payload(struct instance *i, json_t *payload)
{
    if (!payload || json_is_null(payload)) {
        return REEVE_OK;
    }
    char *dumped = json_dumps(payload, JSON_COMPACT | JSON_ENCODE_ANY);
    i->payload = dumped ? kit_str(i->zk, dumped) : NULL;
    json_free_t json_free_fn;
    json_get_alloc_funcs(NULL, &json_free_fn);
    if (dumped) {
        json_free_fn(dumped);
    }
    if (!i->payload) {
        return REEVE_NO_MEMORY;
    }
    i->pub.payload = i->payload;
    json_t *inner = json_object_get(payload, "metadata");
    size_t n = json_object_size(payload) + json_object_size(inner);
    if (n == 0) {
        return REEVE_OK;
    }
    i->pairs = kit_alloc(i->zk, n * sizeof(*i->pairs));
    i->numbers = kit_alloc(i->zk, n * sizeof(*i->numbers));
    if (!i->pairs || !i->numbers) {
        return REEVE_NO_MEMORY;
    }
    i->pub.metadata = i->pairs;
    add_pairs(i, payload);
    if (json_is_object(inner)) {
        add_pairs(i, inner);
    }
    return REEVE_OK;
}

static enum reeve_error read_members(struct instance *i)
{
    const json_t *o = i->root;
    int64_t port, ssl_port;
    const json_t *enabled = json_object_get(o, "enabled");
    if (!json_is_object(o) || !read_string(o, "name", &i->pub.name) ||
        !read_string(o, "id", &i->pub.id) || !read_string(o, "address", &i->pub.address) ||
        !read_number(o, "port", INT32_MIN, INT32_MAX, &port) ||
        !read_number(o, "sslPort", INT32_MIN, INT32_MAX, &ssl_port) ||
        !read_number(o, "registrationTimeUTC", INT64_MIN, INT64_MAX,
                     &i->pub.registration_time_ms) ||
        !read_type(o, &i->pub.type) ||
        (enabled && !json_is_boolean(enabled) && !json_is_null(enabled))) {
        return REEVE_MALFORMED;
    }
    i->pub.name = or_empty(i->pub.name);
    i->pub.id = or_empty(i->pub.id);
    i->pub.port = (int32_t)port;
    i->pub.ssl_port = (int32_t)ssl_port;
    i->pub.disabled = enabled && !json_is_true(enabled);
    enum reeve_error e = read_uri_spec(i, json_object_get(o, "uriSpec"));
    return e ? e : read_payload(i, json_object_get(o, "payload"));
}

enum reeve_error reeve_instance_decode(const struct reeve *zk, const void *data, size_t n,
                                       const struct reeve_instance **out)
{
    *out = NULL;
    if (!data || n == 0 || n > INSTANCE_BYTES_MAX) {
        return REEVE_MALFORMED;
    }
    struct instance *i = kit_alloc(zk, sizeof(*i));
    if (!i) {
        return REEVE_NO_MEMORY;
    }
    i->zk = zk;
    atomic_init(&i->refs, 1);
    json_error_t why;
    i->root = json_loadb(data, n, JSON_DISABLE_EOF_CHECK, &why);
    i->bytes = kit_bytes(zk, data, n);
    i->bytes_n = n;
    enum reeve_error e = !i->root ? why_not(&why) : i->bytes ? read_members(i) : REEVE_NO_MEMORY;
    if (e) {
        destroy(i);
        return e;
    }
    *out = &i->pub;
    return REEVE_OK;
}
