// SPDX-License-Identifier: Apache-2.0
//
// The registrations of one object: nodes that are kept there (discovery_keep.h) and who waits for
// them. What Curator's instances and Dubbo's URLs have in common.
//
// Orders come as messages, in the order of the calls. One about a registration that is on its way
// out waits until that is gone, so that taking off and putting up of one path do not overtake each
// other.
//
//     (none) --PUT--> NEW --there--> THERE --TAKE_OFF--> LEAVING --gone--> (none)
//                        \--failed: told, and LEAVING--/
#pragma once

#include "reeve/discovery.h"

#include "recipes/discovery_keep.h"

enum regs_kind { REGS_PUT, REGS_UPDATE, REGS_TAKE_OFF };

struct regs;

// An order, and afterwards one who waits. Made by any thread with regs_order().
struct regs_order {
    struct regs_order *next;
    struct regs *regs;
    enum regs_kind kind;
    unsigned flags; // keep_flag
    char *path;
    char *data;          // what is to be written, or NULL
    const void *subject; // what the path stands for, or NULL; the class's
    reeve_discovery_fn *done;
    void *ctx;
};

struct regs_class {
    // Of a registration that was there once.
    void (*changed)(struct kit_object *o, const void *subject, enum reeve_registration what,
                    enum reeve_error e);
    void (*release)(const void *subject);
};

struct registration;

struct regs {
    struct kit_object *o;
    const struct regs_class *class;
    struct registration *list;
};

void regs_init(struct regs *s, struct kit_object *o, const struct regs_class *class);
void regs_on_session(struct regs *s, const struct reeve_session *session);
void regs_on_close(struct regs *s);

// Any thread. Takes path, data and subject in all cases; path or data may be NULL for want of
// memory, which is told here. OK: done comes exactly once.
enum reeve_error regs_send(struct regs *s, const struct regs_order *order);
