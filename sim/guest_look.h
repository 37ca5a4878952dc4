// SPDX-License-Identifier: Apache-2.0
//
// What the parts of guests look up in the committed history (model.h), which is always at least as
// far as what any guest was told; and what they have in common with each other.
#pragma once

#include "sim/guest_work.h"
#include "sim/model.h"

// ---- the history
// ---------------------------------------------------------------------------------

// All that a node ever was; NULL: it never was.
const struct model_node *guest_look(const struct world *w, const char *path);
// As it is now; NULL: there is none.
const struct model_version *guest_look_now(const struct world *w, const char *path);
// What a client was told of it with these numbers; NULL: it was never so.
const struct model_version *guest_look_told(const struct world *w, const char *path, int64_t czxid,
                                            int64_t mzxid);
// Its children as they are now, in order: *at is 0 first. False: there is no more.
bool guest_look_child(const struct world *w, const char *path, size_t *at, struct slice *name,
                      const struct model_version **v);
// Once all nodes below path that ever were, one after the other.
const struct model_node *guest_look_below(const struct world *w, const char *path, size_t *at);
bool guest_data_is(const struct model_version *v, const void *data, size_t n);

// ---- the guests
// ----------------------------------------------------------------------------------

// What parts still begin by chance they begin no more: soon everything must come to rest.
bool guest_is_quiet(const struct world *w);
uint32_t guest_index(const struct guest *g);
int64_t guest_session(const struct guest *g); // 0: none
// A read may end so: it found no session in time, lost three connections, or its session's end.
bool guest_may_go_unanswered(const struct guest *g, enum reeve_error e);
// What is told as an error may be no more than a server that refuses writes for a time: its disk is
// full, or it is an observer master that does not expect this client's session.
bool guest_may_be_refused(const struct world *w, enum reeve_error e);
// In check_calm: what is not as it should be may yet have its reasons, but not for long. *since_ns
// is the caller's, 0 at first. True: it is too long.
bool guest_is_too_long(const struct guest *g, bool bad, int64_t *since_ns);
void guest_fail(const struct guest *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
