// SPDX-License-Identifier: Apache-2.0
//
// The list of a group that follows changes: a recursive watch on the path, and after whatever
// happens below it the list of names again, with the data of those that the watch has named; so a
// change costs each who looks on two requests, whatever number of members there is. Changes that
// come while it is read are one more reading. Servers before 3.6 have no such watch: there, a watch
// of the children, set anew with each reading, which is of all.
//
// A recursive watch says nothing of what happened while there was no connection, so every new
// connection is a reason to read all, too.
#pragma once

#include "recipes/lock_list.h"

enum { GROUP_LATE_MAX = 1000 };

struct group_watch {
    struct kit_object *o; // NULL: not used
    const char *path;
    struct lock_list_want want;
    reeve_contenders_fn *fn;
    void *ctx;
    bool asking, dirty; // something is under way; read again after it
    bool set;           // the recursive watch stands
    bool plain;         // the server has none
    bool absent;        // plain: the path is not there
    bool over;          // the last word was said
    struct kit_timer again;
    // The list told last; who may have changed since has no data there.
    struct reeve_contenders *known;
    // Of those named since the list that is being read was begun: they may have changed behind
    // their read. late_all: anybody.
    char **late;
    size_t late_n;
    bool late_all;
};

void group_watch_init(struct group_watch *w, struct kit_object *o,
                      const struct lock_list_want *want, reeve_contenders_fn *fn, void *ctx);
void group_watch_on_session(struct group_watch *w, const struct reeve_session *s);
void group_watch_close(struct group_watch *w);
void group_watch_fini(struct group_watch *w); // in the object's fini()
