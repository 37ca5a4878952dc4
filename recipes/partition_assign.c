// SPDX-License-Identifier: Apache-2.0
#include "recipes/partition_assign.h"

#include <jansson.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "recipes/discovery_text.h"
#include "recipes/kit.h"

char *assign_registration(const struct reeve *zk, const struct reeve_topic *topics, size_t n,
                          int64_t now_ms)
{
    struct text t;
    text_init(&t, zk);
    text_str(&t, "{\"version\":1,\"subscription\":{");
    for (size_t i = 0; i < n; i++) {
        text_str(&t, i > 0 ? "," : "");
        text_json(&t, topics[i].name);
        text_str(&t, ":");
        text_int(&t, topics[i].streams ? topics[i].streams : 1);
    }
    text_str(&t, "},\"pattern\":\"static\",\"timestamp\":\"");
    text_int(&t, now_ms);
    text_str(&t, "\"}");
    return text_take(&t);
}

// ---- life ---------------------------------------------------------------------------------------

enum reeve_error assign_init(struct assign *a, const struct reeve *zk, const char *self,
                             const struct reeve_topic *topics, size_t n)
{
    *a = (struct assign){.zk = zk, .self = self, .even = true};
    a->topics = kit_alloc(zk, n * sizeof(*a->topics));
    if (!a->topics) {
        return REEVE_NO_MEMORY;
    }
    a->topics_n = n;
    for (size_t i = 0; i < n; i++) {
        a->topics[i].name = topics[i].name;
        a->topics[i].streams = topics[i].streams;
    }
    return REEVE_OK;
}

void assign_fini(struct assign *a)
{
    for (size_t i = 0; i < a->topics_n; i++) {
        struct assign_topic *t = &a->topics[i];
        for (size_t s = 0; s < t->shares_n; s++) {
            kit_free(a->zk, t->shares[s].text);
        }
        kit_free(a->zk, t->shares);
        kit_free(a->zk, t->partitions);
    }
    kit_free(a->zk, a->topics);
    *a = (struct assign){.zk = a->zk};
}

// ---- partitions ---------------------------------------------------------------------------------

static enum reeve_error room_for_partitions(struct assign *a, size_t topic, size_t n)
{
    if (n > ASSIGN_PARTITIONS_MAX) {
        return REEVE_MALFORMED;
    }
    a->topics[topic].partitions = kit_alloc(a->zk, (n + 1) * sizeof(int32_t));
    return a->topics[topic].partitions ? REEVE_OK : REEVE_NO_MEMORY;
}

enum reeve_error assign_count(struct assign *a, size_t topic, int32_t n)
{
    enum reeve_error e = room_for_partitions(a, topic, (size_t)n);
    for (int32_t i = 0; i < n && !e; i++) {
        a->topics[topic].partitions[a->topics[topic].partitions_n++] = i;
    }
    return e;
}

static int by_number(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a;
    int32_t y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

// Only plain decimal digits, without a sign.
static bool to_number(const char *s, int32_t *to)
{
    size_t n = strlen(s);
    if (n == 0 || n > 9 || strspn(s, "0123456789") != n) {
        return false;
    }
    *to = (int32_t)strtol(s, NULL, 10);
    return true;
}

enum reeve_error assign_brokers(struct assign *a, size_t topic, const char *json, size_t n)
{
    json_t *root = json ? json_loadb(json, n, 0, NULL) : NULL;
    json_t *partitions = json_object_get(root, "partitions");
    enum reeve_error e = json_is_object(partitions) ? REEVE_OK : REEVE_MALFORMED;
    struct assign_topic *t = &a->topics[topic];
    if (!e) {
        e = room_for_partitions(a, topic, json_object_size(partitions));
    }
    if (!e) {
        const char *key;
        json_t *replicas;
        json_object_foreach(partitions, key, replicas)
        {
            int32_t number;
            if (!to_number(key, &number)) {
                e = REEVE_MALFORMED;
                break;
            }
            t->partitions[t->partitions_n++] = number;
        }
        qsort(t->partitions, t->partitions_n, sizeof(int32_t), by_number);
    }
    json_decref(root);
    return e;
}

// ---- members ------------------------------------------------------------------------------------

// What remains of a filter as Kafka's TopicFilter cleans it: commas are alternatives, spaces and
// quotes around it go.
static bool clean_pattern(const char *raw, char out[ASSIGN_PATTERN_MAX + 8])
{
    size_t n = 0;
    if (strlen(raw) > ASSIGN_PATTERN_MAX) {
        return false;
    }
    out[n++] = '^';
    out[n++] = '(';
    for (const char *s = raw; *s; s++) {
        if (*s != ' ' && *s != '"' && *s != '\'') {
            out[n++] = *s == ',' ? '|' : *s;
        }
    }
    out[n++] = ')';
    out[n++] = '$';
    out[n] = '\0';
    return true;
}

static bool refers_back(const char *s)
{
    while ((s = strchr(s, '\\'))) {
        if (s[1] >= '0' && s[1] <= '9') {
            return true;
        }
        s += s[1] ? 2 : 1;
    }
    return false;
}

// Whether the filter lets the topic through. Java's regular expressions are taken for POSIX ones;
// repetition counts and back references, with which a few bytes can ask for gigabytes and hours,
// are refused. False: no filter.
static bool passes(const char *raw, const char *topic, bool *yes)
{
    char pattern[ASSIGN_PATTERN_MAX + 8];
    regex_t re;
    if (!clean_pattern(raw, pattern) || strchr(pattern, '{') || refers_back(pattern) ||
        regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB)) {
        return false;
    }
    *yes = regexec(&re, topic, 0, NULL, 0) == 0;
    regfree(&re);
    return true;
}

// How many streams a registration has for a topic: 0 none, below 0 it cannot be told.
static int64_t streams_of(const json_t *root, const char *topic)
{
    const char *pattern = json_string_value(json_object_get(root, "pattern"));
    json_t *subscription = json_object_get(root, "subscription");
    if (!pattern || !json_is_object(subscription)) {
        return -1;
    }
    json_t *count = json_object_get(subscription, topic);
    bool white = !strcmp(pattern, "white_list");
    if (white || !strcmp(pattern, "black_list")) {
        void *first = json_object_iter(subscription);
        bool yes = false;
        if (!first) {
            return 0;
        }
        if (!passes(json_object_iter_key(first), topic, &yes)) {
            return -1;
        }
        count = yes == white && strcmp(topic, "__consumer_offsets") != 0
                    ? json_object_iter_value(first)
                    : NULL;
    }
    if (!count) {
        return 0;
    }
    int64_t n = json_is_integer(count) ? json_integer_value(count) : -1;
    return n >= 1 && n <= ASSIGN_STREAMS_MAX ? n : -1;
}

static enum reeve_error add_shares(struct assign *a, struct assign_topic *t, const char *id,
                                   int32_t n)
{
    size_t size = (t->shares_n + (size_t)n) * sizeof(*t->shares);
    struct assign_share *shares = reeve_realloc(a->zk, t->shares, size);
    if (!shares) {
        return REEVE_NO_MEMORY;
    }
    t->shares = shares;
    for (int32_t i = 0; i < n; i++) {
        struct text text;
        text_init(&text, a->zk);
        text_str(&text, id);
        text_str(&text, "-");
        text_int(&text, i);
        struct assign_share s = {.member = id, .stream = i, .text = text_take(&text)};
        if (!s.text) {
            return REEVE_NO_MEMORY;
        }
        shares[t->shares_n++] = s;
    }
    return REEVE_OK;
}

enum reeve_error assign_member(struct assign *a, const char *id, const char *json, size_t n)
{
    json_t *root = json ? json_loadb(json, n, 0, NULL) : NULL;
    enum reeve_error e = json_is_object(root) ? REEVE_OK : REEVE_MALFORMED;
    size_t shared = 0;
    int64_t first = 0;
    for (size_t i = 0; i < a->topics_n && !e; i++) {
        int64_t streams = streams_of(root, a->topics[i].name);
        if (streams < 0) {
            e = REEVE_MALFORMED;
        } else if (streams > 0) {
            e = add_shares(a, &a->topics[i], id, (int32_t)streams);
        }
        shared += streams > 0;
        first = i == 0 ? streams : first;
        a->even = a->even && streams == first;
    }
    const char *pattern = json_string_value(json_object_get(root, "pattern"));
    size_t subscribed = json_object_size(json_object_get(root, "subscription"));
    if (!e && pattern && !strcmp(pattern, "static") && subscribed != shared) {
        a->even = false;
    }
    json_decref(root);
    return e;
}

// ---- dividing -----------------------------------------------------------------------------------

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct assign_share *)a)->text, ((const struct assign_share *)b)->text);
}

static void add_one(const struct assign *a, const struct assign_share *s, size_t topic,
                    int32_t partition, struct assign_one *list, size_t *n)
{
    if (!strcmp(s->member, a->self)) {
        list[(*n)++] = (struct assign_one){topic, partition, s->stream};
    }
}

// RangeAssignor: neighbours go to one share, and the first shares get one more each.
static void divide_ranges(const struct assign *a, struct assign_one *list, size_t *n)
{
    for (size_t i = 0; i < a->topics_n; i++) {
        const struct assign_topic *t = &a->topics[i];
        size_t each = t->shares_n ? t->partitions_n / t->shares_n : 0;
        size_t extra = t->shares_n ? t->partitions_n % t->shares_n : 0;
        for (size_t s = 0; s < t->shares_n; s++) {
            size_t from = each * s + (s < extra ? s : extra);
            size_t to = from + each + (s < extra);
            for (size_t p = from; p < to; p++) {
                add_one(a, &t->shares[s], i, t->partitions[p], list, n);
            }
        }
    }
}

struct hashed {
    int32_t hash;
    struct assign_one one;
};

// String.hashCode(), which counts UTF-16: characters above 0xFFFF are two.
static uint32_t hash_text(const char *s)
{
    uint32_t h = 0;
    for (const unsigned char *u = (const unsigned char *)s; *u;) {
        uint32_t c = *u++;
        unsigned more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
        c = more == 3 ? c & 7 : more == 2 ? c & 15 : more == 1 ? c & 31 : c;
        for (; more > 0 && *u; more--) {
            c = c << 6 | (*u++ & 63);
        }
        if (c > 0xFFFF) {
            h = 31 * h + (0xD800 + ((c - 0x10000) >> 10));
            c = 0xDC00 + ((c - 0x10000) & 0x3FF);
        }
        h = 31 * h + c;
    }
    return h;
}

// Of TopicAndPartition.toString(): "[topic,7]".
static enum reeve_error hash_one(const struct assign *a, struct hashed *h)
{
    struct text t;
    text_init(&t, a->zk);
    text_str(&t, "[");
    text_str(&t, a->topics[h->one.topic].name);
    text_str(&t, ",");
    text_int(&t, h->one.partition);
    text_str(&t, "]");
    char *s = text_take(&t);
    h->hash = s ? (int32_t)hash_text(s) : 0;
    kit_free(a->zk, s);
    return s ? REEVE_OK : REEVE_NO_MEMORY;
}

static int by_hash(const void *a, const void *b)
{
    const struct hashed *x = a;
    const struct hashed *y = b;
    if (x->hash != y->hash) {
        return x->hash < y->hash ? -1 : 1;
    }
    if (x->one.topic != y->one.topic) {
        return x->one.topic < y->one.topic ? -1 : 1;
    }
    return (x->one.partition > y->one.partition) - (x->one.partition < y->one.partition);
}

static int by_place(const void *a, const void *b)
{
    const struct assign_one *x = a;
    const struct assign_one *y = b;
    if (x->topic != y->topic) {
        return x->topic < y->topic ? -1 : 1;
    }
    return (x->partition > y->partition) - (x->partition < y->partition);
}

// RoundRobinAssignor: all partitions in the order of their hashes, dealt out to the shares.
static enum reeve_error deal(const struct assign *a, size_t total, struct assign_one *list,
                             size_t *n)
{
    struct hashed *all = kit_alloc(a->zk, (total + 1) * sizeof(*all));
    enum reeve_error e = all ? REEVE_OK : REEVE_NO_MEMORY;
    size_t k = 0;
    for (size_t i = 0; i < a->topics_n; i++) {
        for (size_t p = 0; p < a->topics[i].partitions_n && !e; p++) {
            all[k].one = (struct assign_one){i, a->topics[i].partitions[p], 0};
            e = hash_one(a, &all[k++]);
        }
    }
    const struct assign_topic *first = &a->topics[0];
    if (!e && first->shares_n > 0) {
        qsort(all, total, sizeof(*all), by_hash);
        for (k = 0; k < total; k++) {
            add_one(a, &first->shares[k % first->shares_n], all[k].one.topic, all[k].one.partition,
                    list, n);
        }
        qsort(list, *n, sizeof(*list), by_place);
    }
    kit_free(a->zk, all);
    return e;
}

enum reeve_error assign_divide(struct assign *a, bool round_robin, struct assign_one **list,
                               size_t *n)
{
    size_t total = 0;
    *n = 0;
    *list = NULL;
    if (round_robin && !a->even) {
        return REEVE_BAD_ARGUMENTS;
    }
    for (size_t i = 0; i < a->topics_n; i++) {
        struct assign_topic *t = &a->topics[i];
        total += t->partitions_n;
        if (t->shares_n > 0) {
            qsort(t->shares, t->shares_n, sizeof(*t->shares), by_text);
        }
    }
    *list = kit_alloc(a->zk, (total + 1) * sizeof(**list));
    if (!*list) {
        return REEVE_NO_MEMORY;
    }
    enum reeve_error e = REEVE_OK;
    if (round_robin) {
        e = deal(a, total, *list, n);
    } else {
        divide_ranges(a, *list, n);
    }
    if (e) {
        kit_free(a->zk, *list);
        *list = NULL;
        *n = 0;
    }
    return e;
}
