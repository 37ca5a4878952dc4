// SPDX-License-Identifier: Apache-2.0
//
// Field tables of all records, made from records.def; the walkers in jute.c read them.
#include "wire/records.h"

#define FIELD(kind, name) {FIELD_##kind, #name},
#define RECORD(name, ...) static const struct record_field fields_##name[] = {__VA_ARGS__};
#include "wire/records.def"
#undef RECORD

const struct record_type record_none = {"none", NULL, 0, 0};
#define RECORD(name, ...)                                                              \
    const struct record_type record_##name = {                                         \
        #name, fields_##name, (int)(sizeof(fields_##name) / sizeof(fields_##name[0])), \
        sizeof(struct name)};
#include "wire/records.def"
