// SPDX-License-Identifier: Apache-2.0
//
// A lock that many readers or one writer have at a time, first come, first served: a reader waits
// for the writers that came before it, a writer for all that came before it; so neither starves.
//
//     struct reeve_lock *reader;
//     reeve_rwlock_reader_new(&reader, zk, "/app/catalogue", NULL);
//     reeve_lock_acquire(reader, -1, NULL);
//
// Both sides are a struct reeve_lock, and everything in reeve/lock.h holds for them: guarantees,
// what a pause does, tokens, payload, on_lost, threads, errors. One handle is one contender. A
// client that holds the write lock and asks for the read lock waits for itself.
//
// A reader watches the last writer before it, a writer the last contender before it: the end of a
// writer wakes the readers behind it, which can then all go on, and nobody else.
//
// On the server: ephemeral sequential nodes below path. REEVE_LAYOUT_CURATOR: `_c_<guid>-__READ__`
// and `_c_<guid>-__WRIT__` and a number, as Curator's InterProcessReadWriteLock;
// REEVE_LAYOUT_KAZOO: `<guid>__rlock__` and `<guid>__lock__`, as kazoo's ReadLock and WriteLock (a
// kazoo Lock at the path is a writer that does not see readers).
#pragma once

#include "reeve/lock.h"

#ifdef __cplusplus
extern "C" {
#endif

// As reeve_lock_new(); reeve_lock_holders() lists both sides.
REEVE_API enum reeve_error reeve_rwlock_reader_new(struct reeve_lock **l, struct reeve *zk,
                                                   const char *path,
                                                   const struct reeve_lock_options *o);
REEVE_API enum reeve_error reeve_rwlock_writer_new(struct reeve_lock **l, struct reeve *zk,
                                                   const char *path,
                                                   const struct reeve_lock_options *o);

#ifdef __cplusplus
}
#endif
