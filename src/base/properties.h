// SPDX-License-Identifier: Apache-2.0
//
// Java's properties format, as zoo.cfg is written in: one key and value per logical line. '#' and
// '!' begin comments; '=', ':' or blanks end a key; a backslash at the end continues the line; \t
// \n \r \f \uXXXX and a backslash before any other character are escapes. Bytes are taken as UTF-8.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct properties {
    struct slice rest;
    unsigned line;      // where the last key stands, from 1
    unsigned next_line; // private
    struct buf key, value;
    struct slice raw; // the line or lines of the last key as they stand, with their end
};

void properties_init(struct properties *p, struct slice text);
void properties_fini(struct properties *p);
// The next key and value, in p->key and p->value (blanks around a value taken off, as Apache does).
// False: the end. *err tells ERR_LIMIT if a logical line is too long; then it is the end as well.
bool properties_next(struct properties *p, enum err *err);
