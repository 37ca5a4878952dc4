// SPDX-License-Identifier: Apache-2.0
//
// The structs of records.def. Slices in a decoded record point into the input; vectors are laid out
// in the arena given to the decoder. Nothing here owns memory.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct zk_id {
    struct slice scheme, id;
};

struct acl {
    int32_t perms;
    struct zk_id id;
};

// Vectors: n == -1 is jute's null, which some requests may not have.
struct slice_vec {
    struct slice *v;
    int32_t n;
};

struct acl_vec {
    struct acl *v;
    int32_t n;
};

struct id_vec {
    struct zk_id *v;
    int32_t n;
};

enum acl_perm {
    PERM_READ = 1,
    PERM_WRITE = 2,
    PERM_CREATE = 4,
    PERM_DELETE = 8,
    PERM_ADMIN = 16,
    PERM_ALL = 31
};

#define RECORD_C_b  bool
#define RECORD_C_i  int32_t
#define RECORD_C_l  int64_t
#define RECORD_C_s  struct slice
#define RECORD_C_sv struct slice_vec
#define RECORD_C_av struct acl_vec
#define RECORD_C_iv struct id_vec

#define FIELD(kind, name) RECORD_C_##kind name;
#define RECORD(name, ...) \
    struct name {         \
        __VA_ARGS__       \
    };
#include "wire/records.def"
#undef RECORD
#undef FIELD

enum field_kind { FIELD_b, FIELD_i, FIELD_l, FIELD_s, FIELD_sv, FIELD_av, FIELD_iv };

struct record_field {
    enum field_kind kind;
    const char *name;
};

// A record's fields in wire order, which is also their order in the struct: the walkers in jute.c
// find a field by C's own alignment rules.
struct record_type {
    const char *name;
    const struct record_field *fields;
    int fields_n;
    size_t size; // sizeof the struct
};

extern const struct record_type record_none; // no fields
#define RECORD(name, ...) extern const struct record_type record_##name;
#include "wire/records.def"
#undef RECORD
