// SPDX-License-Identifier: Apache-2.0
//
// discover: services and their instances, as Curator's discovery (and ours) registers them, or with
// --dubbo as Dubbo's registry does.
//
// The subtree is read down to where instances stand, many requests at a time, and what is found is
// read by the library's own functions for these forms.
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/subtree.h"
#include "reeve/discovery.h"
#include "reeve/dubbo.h"

struct listing {
    struct cli *c;
    const struct subtree *w;
    const char *service; // NULL: all
    size_t instances, bad;
};

static const char *type_name(enum reeve_service_type t)
{
    return t == REEVE_SERVICE_DYNAMIC     ? "DYNAMIC"
           : t == REEVE_SERVICE_STATIC    ? "STATIC"
           : t == REEVE_SERVICE_PERMANENT ? "PERMANENT"
                                          : "DYNAMIC_SEQUENTIAL";
}

static json_t *text_or_null(const char *s)
{
    return s ? out_json_string(s) : json_null();
}

static json_t *number_or_null(int32_t n)
{
    return n ? json_integer(n) : json_null();
}

static json_t *json_pairs(const struct reeve_pair *pair, size_t n)
{
    json_t *v = json_object();
    for (size_t i = 0; i < n; i++) {
        json_object_set_new(v, pair[i].key, text_or_null(pair[i].value));
    }
    return v;
}

// " key=value key=value"
static void add_pairs(struct string *t, const struct reeve_pair *pair, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        string_addf(t, " %s=%s", pair[i].key, pair[i].value ? pair[i].value : "");
    }
}

static void print_line(struct cli *c, const char *service, const char *rest)
{
    struct string a = {0}, b = {0};
    out_printf(&c->out, "%s%s%s  %s\n", out_color(&c->out, OUT_BOLD),
               out_safe(&c->out, service, &a), out_color_end(&c->out), out_line(&c->out, rest, &b));
    string_fini(&a);
    string_fini(&b);
}

// ---- Curator's ----------------------------------------------------------------------------------

static void print_instance_json(struct cli *c, const char *service, const char *id,
                                const struct reeve_instance *in)
{
    char uri[1024] = "";
    json_t *payload = in->payload ? json_loads(in->payload, JSON_DECODE_ANY, NULL) : NULL;
    if (in->uri_spec) {
        reeve_instance_uri(in, uri, sizeof(uri));
    }
    json_t *v = json_pack("{s:o,s:o,s:o,s:o,s:o,s:s,s:b,s:I}", "service", out_json_string(service),
                          "id", out_json_string(id), "address", text_or_null(in->address), "port",
                          number_or_null(in->port), "ssl_port", number_or_null(in->ssl_port),
                          "type", type_name(in->type), "enabled", !in->disabled,
                          "registration_time", (json_int_t)in->registration_time_ms);
    json_object_set_new(v, "uri", text_or_null(in->uri_spec ? uri : NULL));
    json_object_set_new(v, "payload", payload ? payload : json_null());
    json_object_set_new(v, "metadata", json_pairs(in->metadata, in->metadata_n));
    out_json(&c->out, v);
}

static void print_instance(struct listing *l, const char *service, const char *id,
                           const struct reeve_instance *in)
{
    if (l->c->out.json) {
        print_instance_json(l->c, service, id, in);
        return;
    }
    struct string t = {0};
    string_addf(&t, "%s  %s", id, in->address ? in->address : "?");
    if (in->port) {
        string_addf(&t, ":%" PRId32, in->port);
    }
    if (in->ssl_port) {
        string_addf(&t, " ssl:%" PRId32, in->ssl_port);
    }
    string_addf(&t, "  %s%s", type_name(in->type), in->disabled ? " disabled" : "");
    add_pairs(&t, in->metadata, in->metadata_n);
    print_line(l->c, service, string_of(&t));
    string_fini(&t);
}

static void list_instance(struct listing *l, const struct subtree_node *service,
                          const struct subtree_node *node)
{
    const struct reeve_instance *in = NULL;
    if (node->error != REEVE_OK || !node->has_data) {
        return;
    }
    if (node->data == NULL ||
        reeve_instance_decode(l->c->zk, node->data, node->data_len, &in) != REEVE_OK) {
        l->bad++;
        out_note(&l->c->out, "%s/%s is no instance: its data is not what a discovery writes",
                 service->name, node->name);
        return;
    }
    l->instances++;
    print_instance(l, service->name, node->name, in);
    reeve_instance_release(&in);
}

// ---- Dubbo's ------------------------------------------------------------------------------------

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

// As Java's URLDecoder. To be freed.
static char *url_decode(const char *s)
{
    char *text = cli_alloc(strlen(s) + 1), *to = text;
    for (; *s; s++) {
        int high = *s == '%' ? hex_digit(s[1]) : -1, low = high >= 0 ? hex_digit(s[2]) : -1;
        if (low >= 0) {
            *to++ = (char)(high * 16 + low);
            s += 2;
        } else {
            *to++ = *s == '+' ? ' ' : *s;
        }
    }
    return text;
}

static void print_url_json(struct cli *c, const char *service, const char *category,
                           const char *text, const struct reeve_dubbo_url *u)
{
    out_json(&c->out, json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "service",
                                out_json_string(service), "category", out_json_string(category),
                                "protocol", text_or_null(u->protocol), "address",
                                text_or_null(u->host), "port", number_or_null(u->port), "metadata",
                                json_pairs(u->params, u->params_n), "url", out_json_string(text)));
}

static void list_url(struct listing *l, const char *service, const char *category, const char *name)
{
    const struct reeve_dubbo_url *u = NULL;
    char *text = url_decode(name);
    if (reeve_dubbo_url_parse(l->c->zk, text, &u) != REEVE_OK) {
        l->bad++;
        out_note(&l->c->out, "%s/%s/%s is no URL", service, category, name);
    } else if (l->c->out.json) {
        print_url_json(l->c, service, category, text, u);
    } else {
        struct string t = {0};
        string_addf(&t, "%s  %s://%s", category, u->protocol ? u->protocol : "?",
                    u->host ? u->host : "?");
        if (u->port) {
            string_addf(&t, ":%" PRId32, u->port);
        }
        add_pairs(&t, u->params, u->params_n);
        print_line(l->c, service, string_of(&t));
        string_fini(&t);
    }
    l->instances += u != NULL;
    if (u) {
        reeve_dubbo_url_release(&u);
    }
    free(text);
}

static void list_categories(struct listing *l, const struct subtree_node *service)
{
    char *name = url_decode(service->name);
    for (size_t k = service->first; k < service->first + service->n; k++) {
        const struct subtree_node *category = &l->w->node[k];
        for (size_t i = category->first; i < category->first + category->n; i++) {
            list_url(l, name, category->name, l->w->node[i].name);
        }
    }
    free(name);
}

// ---- the command --------------------------------------------------------------------------------

// The service's name as it stands in the tree.
static bool is_asked_for(const struct listing *l, const char *name, bool dubbo)
{
    if (l->service == NULL) {
        return true;
    }
    char *plain = dubbo ? url_decode(name) : cli_dup(name);
    bool same = strcmp(plain, l->service) == 0;
    free(plain);
    return same;
}

static int list_services(struct listing *l, bool dubbo)
{
    const struct subtree *w = l->w;
    const struct subtree_node *base = &w->node[0];
    size_t services = 0;
    for (size_t s = base->first; s < base->first + base->n; s++) {
        const struct subtree_node *service = &w->node[s];
        if (service->error == REEVE_NO_NODE || !is_asked_for(l, service->name, dubbo)) {
            continue;
        }
        services++;
        if (dubbo) {
            list_categories(l, service);
            continue;
        }
        for (size_t i = service->first; i < service->first + service->n; i++) {
            list_instance(l, service, &w->node[i]);
        }
    }
    if (l->service && services == 0) {
        return cli_refuse(l->c, "%s: there is no service %s (NONODE)", base->name, l->service);
    }
    if (!l->c->out.json && l->instances == 0 && l->bad == 0) {
        out_note(&l->c->out, "%s: no instances", base->name);
    }
    return w->refused == 0
               ? CLI_OK
               : cli_refuse(l->c, "%s: %zu nodes may not be read (NOAUTH)", base->name, w->refused);
}

int cmd_discover(struct cli *c, const struct args *a)
{
    bool dubbo = args_has(a, "dubbo");
    char *base = cli_path(c, a->n > 0 ? a->arg[0] : dubbo ? "/dubbo" : "/services", false);
    struct subtree w;
    int code = subtree_load_depth(c, base, dubbo ? SUBTREE_NAMES : SUBTREE_DATA, dubbo ? 3 : 2, &w);
    if (code == CLI_OK) {
        struct listing l = {.c = c, .w = &w, .service = a->n > 1 ? a->arg[1] : NULL};
        code = list_services(&l, dubbo);
    }
    subtree_fini(&w);
    free(base);
    return code;
}
