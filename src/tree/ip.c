// SPDX-License-Identifier: Apache-2.0
#include "tree/ip.h"

enum { NUMBER_MAX = 100000 };

// Decimal digits up to `max`, all of the text; -1 if not.
static int number(struct slice s, int max)
{
    int v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || v > NUMBER_MAX) {
            return -1;
        }
        v = v * 10 + (s.p[i] - '0');
    }
    return s.n && v <= max ? v : -1;
}

// Cuts the text before the first c off *rest, which then begins behind c (null without one).
static struct slice cut(struct slice *rest, char c)
{
    struct slice s = *rest;
    const uint8_t *at = s.n ? memchr(s.p, c, s.n) : NULL;
    *rest = at ? slice_of(at + 1, (size_t)(s.p + s.n - at - 1)) : SLICE_NULL;
    return at ? slice_head(s, (size_t)(at - s.p)) : s;
}

static bool parse_v4(struct slice s, uint8_t *ip)
{
    for (int i = 0; i < 4; i++) {
        if (!s.p) {
            return false;
        }
        int v = number(cut(&s, '.'), 255);
        if (v < 0) {
            return false;
        }
        ip[i] = (uint8_t)v;
    }
    return s.p == NULL;
}

static int hex_group(struct slice s)
{
    int v = 0;
    if (s.n == 0 || s.n > 4) {
        return -1;
    }
    for (size_t i = 0; i < s.n; i++) {
        int c = s.p[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0) {
            return -1;
        }
        v = v * 16 + d;
    }
    return v;
}

// Groups separated by ':' into ip; their number, -1 if malformed. Empty text: none.
static int groups(struct slice s, uint8_t *ip)
{
    int n = 0;
    while (s.n || (n > 0 && s.p)) {
        int v = n < 8 ? hex_group(cut(&s, ':')) : -1;
        if (v < 0) {
            return -1;
        }
        ip[n * 2] = (uint8_t)(v >> 8);
        ip[n * 2 + 1] = (uint8_t)v;
        n++;
    }
    return n;
}

static bool parse_v6(struct slice s, uint8_t *ip)
{
    for (size_t i = 0; i + 1 < s.n; i++) {
        if (s.p[i] == ':' && s.p[i + 1] == ':') {
            uint8_t tail[16];
            int a = groups(slice_head(s, i), ip);
            int b = groups(slice_skip(s, i + 2), tail);
            if (a < 0 || b < 0 || a + b > 7) {
                return false;
            }
            memset(ip + a * 2, 0, (size_t)(16 - a * 2));
            memcpy(ip + 16 - b * 2, tail, (size_t)b * 2);
            return true;
        }
    }
    return groups(s, ip) == 8;
}

bool ip_parse(struct slice text, struct ip_net *out)
{
    *out = (struct ip_net){0};
    if (text.n && memchr(text.p, ':', text.n)) {
        struct slice rest = text;
        out->len = 16;
        out->bits = 128;
        return parse_v6(cut(&rest, '%'), out->ip);
    }
    out->len = 4;
    out->bits = 32;
    return parse_v4(text, out->ip);
}

bool ip_parse_net(struct slice text, struct ip_net *out)
{
    struct slice bits = text;
    struct slice ip = cut(&bits, '/');
    if (!ip_parse(ip, out) || (ip.n && memchr(ip.p, '%', ip.n))) {
        return false;
    }
    if (bits.p) {
        out->bits = number(bits, out->len * 8);
    }
    return out->bits >= 0;
}

bool ip_net_holds(const struct ip_net *net, const struct ip_net *ip)
{
    if (net->len != ip->len) {
        return false;
    }
    int whole = net->bits / 8;
    if (memcmp(net->ip, ip->ip, (size_t)whole) != 0) {
        return false;
    }
    int rest = net->bits % 8;
    return rest == 0 || ((net->ip[whole] ^ ip->ip[whole]) >> (8 - rest)) == 0;
}
