// SPDX-License-Identifier: Apache-2.0
//
// ACLs as clients of the simulator use them, and the rules over them, written down a second time
// and plainly: client-protocol.md 4.3-4.5.
#include "sim/ask.h"

#include "base/must.h"

#define S(text)                                      \
    {                                                \
        (const uint8_t *)("" text), sizeof(text) - 1 \
    }

static struct acl rows[ACLS][3] = {
    {{PERM_ALL, {S("world"), S("anyone")}}},
    {{PERM_READ, {S("world"), S("anyone")}}},
    {{PERM_ALL, {S("digest"), S("user:smGaoVKd/cQkjm7b88GyorAUz20=")}}},
    {{PERM_READ, {S("world"), S("anyone")}},
     {PERM_ALL, {S("digest"), S("user:smGaoVKd/cQkjm7b88GyorAUz20=")}}},
    {{PERM_ALL, {S("auth"), S("")}}},
    {{0, {S(""), S("")}}},
    {{PERM_ALL, {S("digest"), S("u")}}},
    {{PERM_ALL, {S("ip"), S("10.0.0.1")}}, {PERM_READ | PERM_DELETE, {S("world"), S("anyone")}}},
    {{PERM_ALL, {S("world"), S("anyone")}}, {PERM_ALL, {S("world"), S("anyone")}}},
    {{PERM_CREATE | PERM_DELETE, {S("world"), S("anyone")}},
     {PERM_WRITE, {S("digest"), S("super:lK75jTNcA+U9vtVEw5vB51mj/w4=")}},
     {PERM_READ, {S("digest"), S("user:smGaoVKd/cQkjm7b88GyorAUz20=")}}},
};
static const int32_t counts[ACLS] = {1, 1, 1, 2, 1, 0, 1, 2, 2, 3};
enum { ROW_AUTH = 4, ROW_EMPTY = 5, ROW_BAD = 6, ROW_TWICE = 8 };

static const char *const users[USERS] = {"user:pass", "super:secret"};
static const char *const digests[USERS] = {"user:smGaoVKd/cQkjm7b88GyorAUz20=",
                                           "super:lK75jTNcA+U9vtVEw5vB51mj/w4="};
static const char *const ips[] = {"10.0.0.1",  "10.0.0.2",  "10.0.0.3",  "10.0.0.4",
                                  "10.0.0.5",  "10.0.0.6",  "10.0.0.7",  "10.0.0.8",
                                  "10.0.0.9",  "10.0.0.10", "10.0.0.11", "10.0.0.12",
                                  "10.0.0.13", "10.0.0.14", "10.0.0.15", "10.0.0.16"};

struct acl_vec acls_list(int32_t row)
{
    must(row >= 0 && row < ACLS);
    return (struct acl_vec){rows[row], counts[row]};
}

int32_t acls_find(struct acl_vec list)
{
    for (int32_t row = 0; row < ACLS; row++) {
        int32_t i = 0;
        while (i < counts[row] && i < list.n && list.v[i].perms == rows[row][i].perms &&
               slice_eq(list.v[i].id.scheme, rows[row][i].id.scheme) &&
               slice_eq(list.v[i].id.id, rows[row][i].id.id)) {
            i++;
        }
        if (i == counts[row] && i == list.n) {
            return row;
        }
    }
    return -1;
}

const char *acls_user(uint32_t user)
{
    return users[user];
}

struct slice acls_digest(uint32_t user)
{
    return slice_str(digests[user]);
}

struct slice acls_ip(uint32_t client)
{
    return slice_str(ips[client]);
}

struct acl_vec acls_fix(int32_t row, struct who who, struct arena *a)
{
    struct acl_vec asked = acls_list(row);
    if (row == ROW_EMPTY || row == ROW_BAD || (row == ROW_AUTH && who.users == 0)) {
        return (struct acl_vec){NULL, -1};
    }
    if (row == ROW_TWICE) {
        asked.n = 1;
    }
    if (row != ROW_AUTH) {
        return asked;
    }
    struct acl_vec v = {arena_alloc(a, USERS * sizeof(struct acl)), 0};
    for (uint32_t u = 0; u < USERS; u++) {
        if (who.users & 1u << u) {
            v.v[v.n++] = (struct acl){asked.v[0].perms, {SLICE_LIT("digest"), acls_digest(u)}};
        }
    }
    return v;
}

static bool is_him(const struct zk_id *id, struct who who)
{
    if (slice_eq_str(id->scheme, "world")) {
        return true;
    }
    if (slice_eq_str(id->scheme, "ip")) {
        return slice_eq(id->id, acls_ip(who.client));
    }
    for (uint32_t u = 0; u < USERS; u++) {
        if ((who.users & 1u << u) && slice_eq(id->id, acls_digest(u))) {
            return true;
        }
    }
    return false;
}

bool acls_allow(struct acl_vec stored, int32_t perms, struct who who)
{
    for (int32_t i = 0; i < stored.n; i++) {
        if ((stored.v[i].perms & perms) && is_him(&stored.v[i].id, who)) {
            return true;
        }
    }
    return stored.n <= 0;
}

struct acl_vec acls_mask(struct acl_vec stored, struct arena *a)
{
    struct acl_vec v = {arena_alloc(a, (size_t)stored.n * sizeof(struct acl) + 1), stored.n};
    for (int32_t i = 0; i < v.n; i++) {
        v.v[i] = stored.v[i];
        struct slice id = v.v[i].id.id;
        const uint8_t *colon = id.n ? memchr(id.p, ':', id.n) : NULL;
        if (slice_eq_str(v.v[i].id.scheme, "digest") && colon) {
            size_t n = (size_t)(colon - id.p);
            uint8_t *masked = arena_alloc(a, n + 2);
            memcpy(masked, id.p, n);
            memcpy(masked + n, ":x", 2);
            v.v[i].id.id = slice_of(masked, n + 2);
        }
    }
    return v;
}
