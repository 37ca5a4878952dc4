// SPDX-License-Identifier: Apache-2.0
//
// Readers and writers are locks that differ in one thing: whom they let go before them.
#include "reeve/rwlock.h"

#include "recipes/lock_kind.h"

enum { READER, WRITER, SIDES };

static const char *const markers[][SIDES] = {
    [REEVE_LAYOUT_CURATOR] = {"__READ__", "__WRIT__"},
    [REEVE_LAYOUT_KAZOO] = {"__rlock__", "__lock__"},
};

static const struct turn_rule rules[][SIDES] = {
    [REEVE_LAYOUT_CURATOR] = {{false, "__READ__", {"__WRIT__"}, 1},
                              {false, "__WRIT__", {"__READ__", "__WRIT__"}, 2}},
    [REEVE_LAYOUT_KAZOO] = {{true, "__rlock__", {"__lock__"}, 1},
                            {true, "__lock__", {"__rlock__", "__lock__"}, 2}},
};

static enum reeve_error make(struct reeve_lock **l, struct reeve *zk, const char *path,
                             const struct reeve_lock_options *options, int side)
{
    struct reeve_lock_options none = {.layout = REEVE_LAYOUT_CURATOR};
    const struct reeve_lock_options *o = options ? options : &none;
    *l = NULL;
    if (o->layout > REEVE_LAYOUT_KAZOO) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct lock_wish wish = {
        .kind = &lock_kind_turn,
        .rule = &rules[o->layout][side],
        .list = {.markers = markers[o->layout], .markers_n = SIDES, .shared = READER}};
    return lock_make(l, zk, path, o, &wish);
}

enum reeve_error reeve_rwlock_reader_new(struct reeve_lock **l, struct reeve *zk, const char *path,
                                         const struct reeve_lock_options *o)
{
    return make(l, zk, path, o, READER);
}

enum reeve_error reeve_rwlock_writer_new(struct reeve_lock **l, struct reeve *zk, const char *path,
                                         const struct reeve_lock_options *o)
{
    return make(l, zk, path, o, WRITER);
}
